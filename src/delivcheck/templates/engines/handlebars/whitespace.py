"""White-space control of Handlebars: tildes, and tags that stand alone on their line.

The order of the steps is that of handlebars.js 4.7 (lib/handlebars/compiler/whitespace-control.js), since each one sees what
those before it left. "Alone" is judged by the text as it stood in the source, trimming is done on what is left of it.
"""

from .nodes import Block, Comment, Content, Node, Output, Partial, Program, Strip

SPACE = (  # what \s is in ECMAScript (ECMA-262 section 22.2.2.9)
    " \t\n\v\f\r\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
)


def control(program: Program, text: str) -> None:
    """Trim the text of a whole template."""
    _Control(text).program(program, is_root=True)


class _Control:
    def __init__(self, text: str) -> None:
        self.text = text

    def program(self, program: Program, *, is_root: bool = False) -> None:
        body = program.body
        for number, node in enumerate(body):
            if isinstance(node, Content):
                continue
            strip, opens, closes, alone = self._strip(node)
            before = self._blank_before(body, number, is_root=is_root)
            after = self._blank_after(body, number, is_root=is_root)
            if strip.right:
                self._trim_right(body, number + 1, whole=True)
            if strip.left:
                self._trim_left(body, number - 1, whole=True)
            if alone and before and after:
                self._trim_right(body, number + 1)
                if self._trim_left(body, number - 1) and isinstance(node, Partial):
                    node.indent = self._indent(body[number - 1])
            if opens and before and isinstance(node, Block | Partial):
                self._trim_right(_first_body(node), 0)
                self._trim_left(body, number - 1)
            if closes and after and isinstance(node, Block | Partial):
                self._trim_right(body, number + 1)
                last = _last_body(node)
                self._trim_left(last, len(last) - 1)

    def _strip(self, node: Node) -> tuple[Strip, bool, bool, bool]:
        """A node's tildes, and whether its opening tag, its closing tag and itself may stand alone."""
        if isinstance(node, Block):
            return self._block(node.program, node.inverse, node.open, node.middle, node.close)
        if isinstance(node, Partial):
            if node.block is not None:
                return self._block(node.block, None, node.open, Strip(), node.close)
            return node.open, False, False, True
        if isinstance(node, Comment):
            return node.strip, False, False, True
        assert isinstance(node, Output)
        return node.strip, False, False, False

    def _block(
        self, main: Program | None, other: Program | None, opened: Strip, middle: Strip, closed: Strip
    ) -> tuple[Strip, bool, bool, bool]:
        for one in (main, other):
            if one is not None:
                self.program(one)
        program = main or other
        assert program is not None
        inverse = other if main else None
        first = last = inverse
        if inverse is not None and inverse.chained:
            first = last = _chained(inverse).program
        opens = self._blank_after(program.body, -1)
        closes = self._blank_before((first or program).body, len((first or program).body))
        if opened.right:
            self._trim_right(program.body, 0, whole=True)
        if inverse is not None and first is not None and last is not None:
            if middle.left:
                self._trim_left(program.body, len(program.body) - 1, whole=True)
            if middle.right:
                self._trim_right(first.body, 0, whole=True)
            if closed.left:
                self._trim_left(last.body, len(last.body) - 1, whole=True)
            if self._blank_before(program.body, len(program.body)) and self._blank_after(first.body, -1):
                self._trim_left(program.body, len(program.body) - 1)
                self._trim_right(first.body, 0)
        elif closed.left:
            self._trim_left(program.body, len(program.body) - 1, whole=True)
        return Strip(opened.left, closed.right), opens, closes, False

    # --- asking

    def _blank_before(self, body: list[Node], number: int, *, is_root: bool = False) -> bool:
        """Whether only white space stands before a node on its line."""
        if number == 0:
            return is_root
        before = body[number - 1]
        if not isinstance(before, Content):
            return False
        original = self.text[before.first : before.last]
        space = original[len(original.rstrip(SPACE)) :]
        return "\n" in space or (is_root and number == 1 and len(space) == len(original))

    def _blank_after(self, body: list[Node], number: int, *, is_root: bool = False) -> bool:
        """Whether only white space stands behind a node on its line."""
        if number + 1 == len(body):
            return is_root
        after = body[number + 1]
        if not isinstance(after, Content):
            return False
        original = self.text[after.first : after.last]
        space = original[: len(original) - len(original.lstrip(SPACE))]
        return "\n" in space or (is_root and number + 2 == len(body) and len(space) == len(original))

    def _indent(self, node: Node) -> tuple[int, int]:
        assert isinstance(node, Content)
        original = self.text[node.first : node.last]
        return node.first + len(original.rstrip(" \t")), node.last

    # --- trimming

    def _trim_right(self, body: list[Node], number: int, *, whole: bool = False) -> None:
        """Trim the beginning of the text behind a tag: the rest of its line, or all white space."""
        node = body[number] if number < len(body) else None
        if not isinstance(node, Content) or (not whole and node.right_stripped):
            return
        text = self.text[node.start : node.end]
        rest = text.lstrip(SPACE) if whole else text.lstrip(" \t").removeprefix("\r").removeprefix("\n")
        node.right_stripped = len(rest) != len(text)
        node.start = node.end - len(rest)

    def _trim_left(self, body: list[Node], number: int, *, whole: bool = False) -> bool:
        """Trim the end of the text before a tag; whether something was trimmed."""
        node = body[number] if number >= 0 and body else None
        if not isinstance(node, Content) or (not whole and node.left_stripped):
            return False
        text = self.text[node.start : node.end]
        rest = text.rstrip(SPACE if whole else " \t")
        node.left_stripped = len(rest) != len(text)
        node.end = node.start + len(rest)
        return node.left_stripped


def _chained(program: Program) -> Block:
    block = program.body[0]
    assert isinstance(block, Block)
    return block


def _first_body(node: Block | Partial) -> list[Node]:
    program = node.block if isinstance(node, Partial) else node.program or node.inverse
    return program.body if program else []


def _last_body(node: Block | Partial) -> list[Node]:
    program = node.block if isinstance(node, Partial) else node.inverse or node.program
    return program.body if program else []
