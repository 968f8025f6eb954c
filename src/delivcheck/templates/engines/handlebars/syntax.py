"""Source text to nodes, by the lexer and the grammar of handlebars.js 4.7 (src/handlebars.l, src/handlebars.yy)."""

import re
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache

from ...model import Source, TemplateFault
from ..tracing import MAX_DEPTH, MAX_TAGS
from .nodes import Block, Call, Comment, Content, Expression, Literal, Output, Partial, Path, Program, Strip
from .whitespace import control

MAX_ARGUMENTS = 1_000  # of one call
KEPT = 128  # parsed templates that are kept; each partial of a run is parsed once


@lru_cache(maxsize=KEPT)
def parse(text: str, name: str) -> Program:
    """The program of a template. Raises TemplateFault."""
    program = _Parser(Source(name, text)).parse()
    control(program, text)
    return program


class _Tag(Enum):
    """What a tag is, by how it opens."""

    RAW_BLOCK = auto()
    LONG_COMMENT = auto()
    COMMENT = auto()
    PARTIAL_BLOCK = auto()
    PARTIAL = auto()
    BLOCK = auto()
    DECORATOR_BLOCK = auto()
    END = auto()
    ELSE = auto()
    INVERSE = auto()
    CHAIN = auto()
    TRIPLE = auto()
    UNESCAPED = auto()
    DECORATOR = auto()
    OUTPUT = auto()


_OPENING = re.compile(
    r"\{\{(?P<left>~)?(?P<sign>\{\{(?!/)|!--|!|#>|>|#\*|#|/|(?:\^|\s*else)\s*(?P<right>~)?\}\}|\^|\s*else(?!\w)|\{|&|\*|)"
)
_BY_SIGN = {
    "!--": _Tag.LONG_COMMENT,
    "!": _Tag.COMMENT,
    "#>": _Tag.PARTIAL_BLOCK,
    ">": _Tag.PARTIAL,
    "#*": _Tag.DECORATOR_BLOCK,
    "#": _Tag.BLOCK,
    "/": _Tag.END,
    "^": _Tag.INVERSE,
    "{": _Tag.TRIPLE,
    "{{": _Tag.RAW_BLOCK,
    "&": _Tag.UNESCAPED,
    "*": _Tag.DECORATOR,
    "": _Tag.OUTPUT,
}
_ID = r"[^\s!\"#%&'()*+,./;<=>@\[\\\]^`{|}~]+"
_TOKEN = re.compile(
    r"\s*(?:"
    r"(?P<close>~?\}\}\}\}|\}~?\}\}|~?\}\})"
    r"|(?P<string>\"(?:\\\"|[^\"\\]|\\(?!\"))*\"|'(?:\\'|[^'\\]|\\(?!'))*')"
    r"|(?P<number>-?[0-9]+(?:\.[0-9]+)?(?=[~}\s)\]]))"
    r"|(?P<word>(?:true|false|null|undefined)(?=[~}\s)\]]))"
    r"|(?P<params>as\s+\|)"
    rf"|(?P<id>\.\.|\.(?=[=~}}\s/.)\]|])|{_ID}(?=[=~}}\s/.)\]|])|\[(?:\\\]|[^\]\\]|\\(?!\]))*\])"
    r"|(?P<sign>[()@=|/.])"
    r"|(?P<end>\Z))"
)
_WORDS = {"true": True, "false": False, "null": None, "undefined": None}
_LONG_END = re.compile(r"--(~)?\}\}")


@dataclass(slots=True, frozen=True)
class _Token:
    kind: str  # a group of _TOKEN
    text: str
    start: int
    end: int


@dataclass(slots=True, frozen=True)
class _Stop:
    """The tag that ended a program: {{/x}}, {{else}}, {{else if x}}, or the end of the text."""

    tag: _Tag | None
    strip: Strip
    start: int
    end: int
    call: Call | None = None
    params: tuple[str, ...] = ()


class _Parser:
    def __init__(self, source: Source) -> None:
        self.source, self.text = source, source.text
        self.at = 0
        self.depth = self.tags = 0
        self.lookahead: _Token | None = None

    def parse(self) -> Program:
        program, stop = self._program()
        if stop.tag is not None:
            raise self._fault(f"{self._shown(stop.start, stop.end)} without a block that it belongs to", stop.start, stop.end)
        return program

    def _fault(self, message: str, start: int, end: int | None = None) -> TemplateFault:
        return TemplateFault(message, self.source.where(start, end))

    def _shown(self, start: int, end: int) -> str:
        code = " ".join(self.text[start:end].split())
        return code if len(code) <= 60 else f"{code[:60]}…"

    # --- text and tags

    def _program(self, params: tuple[str, ...] = ()) -> tuple[Program, _Stop]:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._fault(f"blocks nested more than {MAX_DEPTH} deep", self.at)
        program = Program(params=params)
        while True:
            start = self._content(program)
            if start < 0:
                self.depth -= 1
                return program, _Stop(None, Strip(), len(self.text), len(self.text))
            stop = self._tag(program, start)
            if stop is not None:
                self.depth -= 1
                return program, stop

    def _content(self, program: Program) -> int:
        """Take the text up to the next tag; where that begins, -1 at the end of the text."""
        text = self.text
        while True:
            found = text.find("{{", self.at)
            if found < 0:
                self._keep(program, self.at, len(text))
                self.at = len(text)
                return -1
            slashes = text[max(self.at, found - 2) : found]
            if not slashes.endswith("\\"):
                self._keep(program, self.at, found)
                return found
            self._keep(program, self.at, found - 1)  # the backslash speaks to the lexer only
            if slashes == "\\\\":
                return found
            after = text.find("{{", found + 2)
            self.at = len(text) if after < 0 else after
            while after >= 0 and self.at > found + 2 and self.at > after - 2 and text[self.at - 1] == "\\":
                self.at -= 1
            self._keep(program, found, self.at)

    def _keep(self, program: Program, start: int, end: int) -> None:
        if start < end:
            program.body.append(Content(start, end))

    def _tag(self, program: Program, start: int) -> _Stop | None:
        """Take one tag, and what it opens; what ends the program it stands in is given back."""
        opening = _OPENING.match(self.text, start)
        assert opening is not None, "there are two brackets, and the sign may be empty"
        sign = opening["sign"]
        tag = _BY_SIGN.get(sign) or (_Tag.ELSE if sign.endswith("}}") else _Tag.CHAIN)
        left = opening["left"] is not None
        self.at = opening.end()
        self.tags += 1
        if self.tags > MAX_TAGS:
            raise self._fault(f"more than {MAX_TAGS:,} tags", start)
        if tag is _Tag.ELSE:
            return _Stop(tag, Strip(left, opening["right"] is not None), start, self.at)
        if tag in {_Tag.COMMENT, _Tag.LONG_COMMENT}:
            program.body.append(self._comment(tag, start, left=left))
            return None
        if tag is _Tag.RAW_BLOCK:
            program.body.append(self._raw_block(start))
            return None
        if tag is _Tag.DECORATOR:
            raise self._fault("decorators that the application defines are not known here", start, self.at)
        if tag in {_Tag.TRIPLE, _Tag.UNESCAPED, _Tag.OUTPUT}:
            call = self._call(start)
            closing = self._close(start, "}}}" if tag is _Tag.TRIPLE else "}}")
            program.body.append(Output(call, tag is not _Tag.OUTPUT, Strip(left, closing), start, self.at))
            return None
        if tag is _Tag.PARTIAL:
            program.body.append(self._partial(start, left=left))
            return None
        if tag is _Tag.PARTIAL_BLOCK:
            program.body.append(self._partial_block(start, left=left))
            return None
        if tag in {_Tag.END, _Tag.CHAIN}:
            call = self._call(start)
            params = self._params() if tag is _Tag.CHAIN else ()
            return _Stop(tag, Strip(left, self._close(start)), start, self.at, call, params)
        block = self._block(start, left=left, tag=tag)
        program.body.append(block)
        if block.inline:
            program.inlines.append(block)
        return None

    def _comment(self, tag: _Tag, start: int, *, left: bool) -> Comment:
        if tag is _Tag.LONG_COMMENT:
            closing = _LONG_END.search(self.text, self.at - 2)
            if closing is None:
                raise self._fault("a comment is never closed", start, self.at)
            self.at = closing.end()
            return Comment(Strip(left, closing[1] is not None))
        end = self.text.find("}}", self.at)
        if end < 0:
            raise self._fault("a comment is never closed", start, self.at)
        self.at = end + 2
        return Comment(Strip(left, self.text[end - 1] == "~"))

    def _raw_block(self, start: int) -> Block:
        """`{{{{name}}}} text {{{{/name}}}}`: the text is copied, whatever it looks like; such blocks nest."""
        call = self._call(start)
        self._close(start, "}}}}")
        opened, inner, depth = self.at, self.at, 1
        while depth:
            found = self.text.find("{{{{", inner)
            if found < 0:
                raise self._fault(f"{self._shown(start, opened)} is never closed", start, opened)
            inner = found + 4
            if self.text[inner : inner + 1] != "/":
                depth += 1
                continue
            end = self.text.find("}}}}", inner)
            if end >= 0:
                depth -= 1
                self.at = end + 4
        name = self.text[inner + 1 : self.at - 4]
        if name != call.path.original:
            raise self._fault(f"{{{{{{{{/{name[:60]}}}}}}}}} closes {{{{{{{{{call.path.original}}}}}}}}}", found, self.at)
        body = Program([Content(opened, found)] if found > opened else [])
        return Block(call, body, None, Strip(), Strip(), Strip(), start, opened)

    # --- blocks

    def _block(self, start: int, *, left: bool, tag: _Tag) -> Block:
        call = self._call(start)
        params = self._params()
        opened = Strip(left, self._close(start))
        end = self.at
        inline = tag is _Tag.DECORATOR_BLOCK
        if inline and call.path.original != "inline":
            raise self._fault("decorators that the application defines are not known here", start, end)
        main: Program | None
        main, stop = self._program(params)
        inverse, middle, stop = self._else(stop)
        if inline and (inverse is not None or len(call.args) != 1):
            raise self._fault("an inline partial has a name and no {{else}}", start, end)
        self._check_end(stop, call.path.original, start, end)
        if inverse is not None and inverse.chained:
            _chained(inverse).close = stop.strip
        if tag is _Tag.INVERSE:
            return Block(call, inverse, main, opened, middle, stop.strip, start, end)
        return Block(call, main, inverse, opened, middle, stop.strip, start, end, inline)

    def _else(self, stop: _Stop) -> tuple[Program | None, Strip, _Stop]:
        """What stands behind `{{else}}` or `{{else if x}}`, the tildes of that, and the tag that ends it all."""
        if stop.tag is _Tag.ELSE:
            other, last = self._program()
            if last.tag in {_Tag.ELSE, _Tag.CHAIN}:
                raise self._fault("a second {{else}} in one block", last.start, last.end)
            return other, stop.strip, last
        if stop.tag is not _Tag.CHAIN:
            return None, Strip(), stop
        assert stop.call is not None
        self.depth += 1  # a thousand of `else if` are as deep as a thousand blocks
        main, after = self._program(stop.params)
        inverse, middle, last = self._else(after)
        self.depth -= 1
        if inverse is not None and inverse.chained:
            _chained(inverse).close = after.strip
        close = after.strip if inverse is not None else Strip()
        block = Block(stop.call, main, inverse, stop.strip, middle, close, stop.start, stop.end)
        return Program([block], chained=True), stop.strip, last

    def _check_end(self, stop: _Stop, name: str, start: int, end: int) -> None:
        if stop.tag is None:
            raise self._fault(f"{self._shown(start, end)} is never closed", start, end)
        if stop.tag is not _Tag.END or stop.call is None:
            raise self._fault(f"{self._shown(stop.start, stop.end)} does not belong here", stop.start, stop.end)
        if stop.call.path.original != name:
            line = self.source.line_of(start)
            message = f"{self._shown(stop.start, stop.end)} does not close {self._shown(start, end)} of line {line}"
            raise self._fault(message, stop.start, stop.end)

    def _partial(self, start: int, *, left: bool) -> Partial:
        name, args, named = self._partial_name(start)
        strip = Strip(left, self._close(start))
        return Partial(name, args, named, None, strip, strip, start, self.at)

    def _partial_block(self, start: int, *, left: bool) -> Partial:
        name, args, named = self._partial_name(start)
        opened = Strip(left, self._close(start))
        end = self.at
        block, stop = self._program()
        self._check_end(stop, _written(name), start, end)
        return Partial(name, args, named, block, opened, stop.strip, start, end)

    def _partial_name(self, start: int) -> tuple[Expression, tuple[Expression, ...], tuple[tuple[str, Expression], ...]]:
        name = self._expression(start)
        args, named = self._arguments(start)
        if len(args) > 1:
            raise self._fault(f"a partial takes one context, and here are {len(args)}", start, self.at)
        return name, args, named

    # --- what stands in a tag

    def _peek(self) -> _Token:
        if self.lookahead is None:
            found = _TOKEN.match(self.text, self.at)
            if (found is None or found.lastgroup is None) and "}}" not in self.text[self.at :]:
                start = self.text.rfind("{{", 0, self.at)
                raise self._fault("a tag is never closed", start, start + 2)
            if found is None or found.lastgroup is None:
                at = self.at + len(self.text[self.at :]) - len(self.text[self.at :].lstrip())
                raise self._fault(f"{self.text[at : at + 1]!r} is not understood here", at, at + 1)
            kind = found.lastgroup
            self.lookahead = _Token(kind, found[kind], found.start(kind), found.end())
        return self.lookahead

    def _take(self) -> _Token:
        token = self._peek()
        self.at, self.lookahead = token.end, None
        return token

    def _takes(self, sign: str) -> bool:
        token = self._peek()
        if token.kind in {"sign", "id"} and token.text == sign:
            self._take()
            return True
        return False

    def _close(self, start: int, wanted: str = "}}") -> bool:
        """Take the end of a tag; whether it has a tilde."""
        token = self._peek()
        if token.kind == "end":
            raise self._fault("a tag is never closed", start, start + 2)
        if token.kind != "close" or token.text.replace("~", "") != wanted:
            raise self._fault(f"{token.text!r} stands where {wanted} is expected", token.start, token.end)
        self.at, self.lookahead = token.end, None
        return "~" in token.text

    def _call(self, start: int) -> Call:
        name = self._expression(start)
        if isinstance(name, Literal):  # {{"a name with spaces"}}
            name = Path(name.original, (name.original,), 0, data=False, scoped=False, start=name.start, end=name.end)
        args, named = self._arguments(start)
        if isinstance(name, Call):
            if args or named:
                raise self._fault("a helper is called by its name", start, self.at)
            return name
        return Call(name, args, named, start, self.at)

    def _arguments(self, start: int) -> tuple[tuple[Expression, ...], tuple[tuple[str, Expression], ...]]:
        args: list[Expression] = []
        named: list[tuple[str, Expression]] = []
        while True:
            token = self._peek()
            if token.kind in {"close", "params", "end"} or token.text == ")":
                return tuple(args), tuple(named)
            if len(args) + len(named) >= MAX_ARGUMENTS:
                raise self._fault(f"more than {MAX_ARGUMENTS:,} arguments", start, self.at)
            key = _NAMED.match(self.text, token.start) if token.kind in {"id", "number", "word"} else None
            if key is not None:
                self.at, self.lookahead = key.end(), None
                named.append((key[1].strip("[]"), self._expression(start)))
            elif named:
                raise self._fault(f"{token.text!r} stands behind named arguments", token.start, token.end)
            else:
                args.append(self._expression(start))

    def _params(self) -> tuple[str, ...]:
        """`as |item index|`"""
        if self._peek().kind != "params":
            return ()
        self._take()
        names = []
        while not self._takes("|"):
            token = self._take()
            if token.kind != "id":
                raise self._fault(f"{token.text!r} is no name", token.start, token.end)
            names.append(token.text)
        return tuple(names)

    def _expression(self, start: int) -> Expression:
        token = self._peek()
        if token.kind == "string":
            self._take()
            quote = token.text[0]
            value = token.text[1:-1].replace(f"\\{quote}", quote)
            return Literal(value, value, token.start, token.end)
        if token.kind == "number":
            self._take()
            return Literal(
                float(token.text) if "." in token.text else int(token.text[:300]), token.text, token.start, token.end
            )
        if token.kind == "word":
            self._take()
            return Literal(_WORDS[token.text], token.text, token.start, token.end)
        if token.text == "(":
            return self._subexpression()
        return self._path(start)

    def _subexpression(self) -> Call:
        opened = self._take()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._fault(f"expressions nested more than {MAX_DEPTH} deep", opened.start)
        call = self._call(opened.start)
        if not self._takes(")"):
            raise self._fault("a parenthesis is never closed", opened.start, opened.end)
        self.depth -= 1
        return Call(call.path, call.args, call.named, opened.start, self.at)

    def _path(self, start: int) -> Path:
        first = self._peek()
        data = self._takes("@")
        parts: list[str] = []
        depth = 0
        while True:
            token = self._take()
            if token.kind == "end":
                raise self._fault("a tag is never closed", start, start + 2)
            if token.kind != "id":
                hint = f": write [{token.text}]" if token.kind in {"number", "word"} else ""
                raise self._fault(f"{token.text!r} stands where a name is expected{hint}", token.start, token.end)
            literal = token.text.startswith("[")
            part = token.text[1:-1] if literal else token.text
            if not literal and part in {"..", ".", "this"}:
                if parts:
                    raise self._fault(
                        f"{self._shown(first.start, token.end)}: {part!r} may only begin a path", first.start, token.end
                    )
                depth += part == ".."
            else:
                parts.append(part)
            if self.text[token.end : token.end + 1] not in {"/", "."} or self._peek().kind != "sign":
                break
            self._take()
        original = self.text[first.start : token.end]
        scoped = re.match(r"\.|this\b", original) is not None
        return Path(original, tuple(parts), depth, data, scoped, first.start, token.end)


_NAMED = re.compile(rf"({_ID}|\[[^\]]*\])\s*=\s*")


def _chained(program: Program) -> Block:
    block = program.body[0]
    assert isinstance(block, Block)
    return block


def _written(name: Expression) -> str:
    return name.path.original if isinstance(name, Call) else name.original
