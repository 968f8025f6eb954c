"""Source text to nodes, by the Mustache specification 1.4 (github.com/mustache/spec). Offsets are those of characters."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from ...model import Source, TemplateFault
from ..tracing import MAX_DEPTH, MAX_TAGS

KEPT = 128  # parsed templates that are kept; each partial of a run is parsed once
SIGNS = "#^/<$>!&="


@dataclass(slots=True, frozen=True)
class Content:
    """Text from `start` to `end`. `lines` are the places in it where a line begins, for a partial that is indented."""

    start: int
    end: int
    lines: tuple[int, ...]


@dataclass(slots=True, frozen=True)
class Output:
    """`{{x}}`, `{{{x}}}`, `{{&x}}`; `name_at` is where the name stands."""

    name: str
    raw: bool
    start: int
    end: int
    name_at: int


@dataclass(slots=True, frozen=True)
class Section:
    """`{{#x}} … {{/x}}`, and with `inverted` `{{^x}} … {{/x}}`."""

    name: str
    inverted: bool
    body: "tuple[Node, ...]"
    start: int
    end: int
    name_at: int


@dataclass(slots=True, frozen=True)
class Partial:
    """`{{>x}}`, with `dynamic` `{{>*x}}`; with `blocks` `{{<x}} … {{/x}}`. `indent` is where its white space stands."""

    name: str
    dynamic: bool
    blocks: "dict[str, Block] | None"
    start: int
    end: int
    name_at: int
    indent: tuple[int, int] | None


@dataclass(slots=True, frozen=True)
class Block:
    """`{{$x}} … {{/x}}`: what a template that inherits may put another in the place of."""

    name: str
    body: "tuple[Node, ...]"


Node = Content | Output | Section | Partial | Block


@lru_cache(maxsize=KEPT)
def parse(text: str, name: str) -> tuple[Node, ...]:
    """The nodes of a template. Raises TemplateFault."""
    return _Parser(Source(name, text)).parse()


@dataclass(slots=True)
class _Tag:
    sign: str  # one of SIGNS, "{", or nothing for an output
    name: str
    start: int
    end: int
    name_at: int
    alone: bool = False
    indent: tuple[int, int] | None = None


@dataclass(slots=True)
class _Open:
    """A section that was opened and not closed yet."""

    tag: _Tag
    body: list[Node] = field(default_factory=list)


_HANDLEBARS = re.compile(r"(?:each|if|unless|with)\s+\S")


class _Parser:
    def __init__(self, source: Source) -> None:
        self.source, self.text = source, source.text

    def parse(self) -> tuple[Node, ...]:
        root = _Open(_Tag("", "", 0, 0, 0))
        stack = [root]
        at = 0
        for number, tag in enumerate(self._tags()):
            if number >= MAX_TAGS:
                raise self._fault(f"more than {MAX_TAGS:,} tags", tag)
            start, end = tag.start, tag.end
            if tag.alone:
                start, end = self._line_of(tag)
            stack[-1].body.extend(self._content(at, start, before_tag=not tag.alone))
            at = end
            if tag.sign in {"#", "^", "<", "$"}:
                if len(stack) > MAX_DEPTH:
                    raise self._fault(f"sections nested more than {MAX_DEPTH} deep", tag)
                stack.append(_Open(tag))
            elif tag.sign == "/":
                opened = self._closed(stack, tag)
                stack[-1].body.append(_made(opened))
            elif tag.sign == ">":
                name = tag.name.removeprefix("*").strip()
                stack[-1].body.append(Partial(name, tag.name[:1] == "*", None, tag.start, tag.end, tag.name_at, tag.indent))
            elif tag.sign in {"", "&", "{"}:
                stack[-1].body.append(Output(tag.name, tag.sign != "", tag.start, tag.end, tag.name_at))
        stack[-1].body.extend(self._content(at, len(self.text), before_tag=False))
        if len(stack) > 1:
            raise self._fault(f"{self._shown(stack[-1].tag)} is never closed", stack[-1].tag)
        return tuple(root.body)

    def _closed(self, stack: list[_Open], tag: _Tag) -> _Open:
        if len(stack) == 1:
            raise self._fault(f"{self._shown(tag)} without a section that it belongs to", tag)
        opened = stack.pop()
        if opened.tag.name != tag.name:
            line = self.source.line_of(opened.tag.start)
            raise self._fault(f"{self._shown(tag)} does not close {self._shown(opened.tag)} of line {line}", tag)
        return opened

    def _content(self, start: int, end: int, *, before_tag: bool) -> Iterator[Content]:
        """The text between two tags; an empty one where a line begins with a tag that prints."""
        lines = []
        at = start if start == 0 or self.text[start - 1] == "\n" else self.text.find("\n", start, end) + 1 or end + 1
        while at < end or (at == end and before_tag):
            lines.append(at)
            at = self.text.find("\n", at, end) + 1 or end + 1
        if start < end or lines:
            yield Content(start, end, tuple(lines))

    def _line_of(self, tag: _Tag) -> tuple[int, int]:
        start = self.text.rfind("\n", 0, tag.start) + 1
        end = self.text.find("\n", tag.end)
        return start, end + 1 if end >= 0 else len(self.text)

    # --- tags

    def _tags(self) -> Iterator[_Tag]:
        text, at = self.text, 0
        left, right = "{{", "}}"
        line_end = -1  # up to here lines have a tag already, and no other one can stand alone there
        while (start := text.find(left, at)) >= 0:
            tag = self._tag(start, left, right)
            at = tag.end
            if tag.sign == "=":
                left, right = self._delimiters(tag)
            if tag.sign not in {"", "&", "{"} and start > line_end:
                self._stands_alone(tag)
            if not tag.alone and tag.end > line_end:
                line_end = text.find("\n", tag.end)
                line_end = len(text) if line_end < 0 else line_end
            yield tag

    def _tag(self, start: int, left: str, right: str) -> _Tag:
        text = self.text
        inner = start + len(left)
        while text[inner : inner + 1] in _SPACES:
            inner += 1
        sign = text[inner : inner + 1]
        if sign == "{" and left == "{{":
            closing, sign = "}" + right, "{"
        elif sign == "=":
            closing = "=" + right
        else:
            closing, sign = right, sign if sign and sign in SIGNS else ""
        inner += len(sign)
        end = text.find(closing, inner)
        if end < 0:
            raise TemplateFault("a tag is never closed", self.source.where(start, start + len(left)))
        raw = text[inner:end]
        name = raw.strip()
        tag = _Tag(sign, name, start, end + len(closing), inner + len(raw) - len(raw.lstrip()))
        if not name and sign != "!":
            raise self._fault(f"{self._shown(tag)}: a tag without a name", tag)
        if sign in {"#", "^"} and _HANDLEBARS.match(name):
            raise self._fault(f"{self._shown(tag)} is Handlebars, not Mustache: say engine handlebars", tag)
        return tag

    def _delimiters(self, tag: _Tag) -> tuple[str, str]:
        found = tag.name.split()
        if len(found) != 2 or any("=" in one for one in found):
            raise self._fault(f"{self._shown(tag)}: two delimiters are wanted, without an equals sign", tag)
        return found[0], found[1]

    def _stands_alone(self, tag: _Tag) -> None:
        """Note whether a tag has a line for itself, which then goes with it."""
        text = self.text
        start = text.rfind("\n", 0, tag.start) + 1
        end = text.find("\n", tag.end)
        end = len(text) if end < 0 else end
        if not text[start : tag.start].strip(" \t") and not text[tag.end : end].strip(" \t\r"):
            tag.alone = True
            tag.indent = (start, tag.start) if start < tag.start else None

    def _shown(self, tag: _Tag) -> str:
        code = " ".join(self.text[tag.start : tag.end].split())
        return code if len(code) <= 60 else f"{code[:60]}…"

    def _fault(self, message: str, tag: _Tag) -> TemplateFault:
        return TemplateFault(message, self.source.where(tag.start, tag.end))


_SPACES = frozenset(" \t\r\n")


def _made(opened: _Open) -> Node:
    tag, body = opened.tag, tuple(opened.body)
    if tag.sign == "$":
        return Block(tag.name, body)
    if tag.sign == "<":
        blocks = {one.name: one for one in body if isinstance(one, Block)}
        name = tag.name.removeprefix("*").strip()
        return Partial(name, tag.name[:1] == "*", blocks, tag.start, tag.end, tag.name_at, tag.indent)
    return Section(tag.name, tag.sign == "^", body, tag.start, tag.end, tag.name_at)
