"""CSS as it is written, with places: every declaration of a style attribute, every rule of a style element.

`css` reads what decides about visibility and forgets the rest; this reads everything, and understands less of it.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

MAX_DECLARATIONS = 500  # of one block or style attribute; the longest of our corpora has 40
MAX_BLOCKS = 5_000  # of one style element; 16 KB, what Gmail takes, hold 1,000

_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_PLAIN = re.compile(r"[^()\"'\\]*\Z")  # neither strings, functions nor escapes: a declaration ends at the next ;
_STOP = re.compile(r"[;()]|\"(?:[^\"\\\n]|\\.)*+\"?|'(?:[^'\\\n]|\\.)*+'?|\\.", re.DOTALL)
_BRACE_OR_STRING = re.compile(r"[{}]|\"(?:[^\"\\\n]|\\.)*+\"?|'(?:[^'\\\n]|\\.)*+'?", re.DOTALL)
# Media that every mail client with a screen is; what stands in other at-rules holds for some of them only.
_ALWAYS = frozenset({"@media", "@media all", "@media screen", "@media only screen", "@media only all"})


class Declaration(NamedTuple):
    """One declaration: name and value in lower case, `!important` cut off; `start` is the offset of its name."""

    name: str
    value: str
    start: int


class Block(NamedTuple):
    """A rule or a declaration at-rule (`@font-face`): what stands before its brace, and its own declarations.

    `conditional`: it stands in an at-rule that does not hold everywhere. `nested`: it stands in another rule.
    """

    head: str
    start: int
    pieces: Sequence[tuple[int, str]]  # what stands in it and not in blocks of its own, with offsets
    conditional: bool
    nested: bool

    @property
    def declarations(self) -> tuple[Declaration, ...]:
        """Its own declarations, read anew each time."""
        return tuple(each for place, piece in self.pieces for each in declarations(piece, place))


def without_comments(text: str) -> str:
    """The same text with blanks for comments and for the `<!--` and `-->` around a sheet, so that places stay."""
    if "/*" in text:
        text = _COMMENT.sub(lambda found: " " * len(found[0]), text)
    return text.replace("<!--", "    ").replace("-->", "   ") if "-->" in text or "<!--" in text else text


def declarations(text: str, start: int = 0) -> Iterator[Declaration]:
    """The declarations of a text without comments. Never raises; their places are counted from `start`."""
    at = start
    for piece in islice(text.split(";") if _PLAIN.match(text) else _split(text), MAX_DECLARATIONS):
        name, colon, value = piece.partition(":")
        if colon and (bare := name.strip().lower()):
            yield Declaration(bare, value.partition("!")[0].strip().lower(), at + len(name) - len(name.lstrip()))
        at += len(piece) + 1


def _split(text: str) -> Iterator[str]:
    """What stands between semicolons that are neither in strings nor in brackets."""
    depth = at = 0
    for found in _STOP.finditer(text):
        if found[0] == "(":
            depth += 1
        elif found[0] == ")":
            depth = max(depth - 1, 0)
        elif found[0] == ";" and not depth:
            yield text[at : found.start()]
            at = found.end()
    yield text[at:]


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a style sheet with declarations of their own, and nested ones, in the order of their ends. Never raises."""
    text = without_comments(text)
    open_blocks: list[_Open] = []
    start = count = 0
    for found in _BRACE_OR_STRING.finditer(text):
        if found[0] == "{":
            inside = text[start : found.start()]
            written = inside.rpartition(";")[2]
            head = written.strip()
            around = open_blocks[-1] if open_blocks else _TOP
            if around.is_rule and len(inside) > len(written):
                around.pieces.append((start, inside[: -len(written)] if written else inside))
            open_blocks.append(around.within(head, found.start() - len(written.lstrip())))
        elif found[0] == "}" and open_blocks:
            block = open_blocks.pop()
            block.pieces.append((start, text[start : found.start()]))
            if block.is_rule:
                yield Block(block.head, block.start, block.pieces, block.conditional, block.nested)
                count += 1
                if count == MAX_BLOCKS:
                    return
        else:
            continue
        start = found.end()


class _Open(NamedTuple):
    """A block that has no end yet."""

    head: str
    start: int
    is_rule: bool
    conditional: bool
    nested: bool
    pieces: list[tuple[int, str]]

    def within(self, head: str, start: int) -> "_Open":
        """A block that begins in this one."""
        word = head.partition(" ")[0].lower()
        holds_declarations = not head.startswith("@") or word in {"@font-face", "@page"}
        always = not head.startswith("@") or holds_declarations or " ".join(head.lower().split()) in _ALWAYS
        return _Open(head, start, holds_declarations, self.conditional or not always, self.nested or self.is_rule, [])


_TOP = _Open("", 0, is_rule=False, conditional=False, nested=False, pieces=[])
