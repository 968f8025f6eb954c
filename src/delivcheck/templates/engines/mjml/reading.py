"""MJML's own elements with their places in the source; the HTML within them is not looked into, as MJML does it.

Strict where MJML is XML, and lenient where MJML's parser is: values without quotation marks, capital letters.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ....records.placeholders import MAX_TEMPLATE
from ...model import Source, TemplateFault
from .components import ENDING, KNOWN, VOID

MAX_DEPTH = 100  # elements within elements; mrml 6.0.1 does 1,000, and at 10,000 ends the process. The corpus: 7
MAX_NODES = 10_000  # components of a template; mrml makes about 1 kB of each. The corpus: 125


@dataclass(slots=True)
class Attribute:
    """One attribute: where its name begins, and its value's range; None for one without."""

    name: str
    at: int
    value: tuple[int, int] | None
    end: int  # after the closing quotation mark


@dataclass(slots=True)
class Words:
    """A comment (its range is what stands between its marks) or text between components."""

    source: Source
    start: int
    end: int
    comment: bool


@dataclass(slots=True)
class Node:
    """An element. `content` is the range of the HTML in an ending tag, without the blanks around it, where there is any."""

    tag: str
    source: Source
    start: int  # of "<"
    name_end: int
    attributes: Sequence[Attribute] = ()
    children: "list[Node | Words]" = field(default_factory=list)
    content: tuple[int, int] | None = None
    inlined: bool = False  # a style sheet for the elements' style attributes

    def value(self, name: str) -> str | None:
        """The value of an attribute."""
        found = next((one.value for one in self.attributes if one.name == name), None)
        return None if found is None else self.source.text[slice(*found)]


_NAME = re.compile(r"</?([A-Za-z][^\s/<>]*+)")
_ATTRIBUTE = re.compile(r"\s*+([^\s=>/\"'<]++)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'=<>`]++)))?")
_END = re.compile(r"\s*+(/?)>")
_PLAIN_NAME = re.compile(r"[A-Za-z_:][\w:.-]*+\Z")


def read(source: Source) -> list[Node | Words]:
    """The elements of one file. Raises TemplateFault."""
    if len(source.text) > MAX_TEMPLATE:
        raise TemplateFault(f"more than {MAX_TEMPLATE:,} characters, which is more than any mail has", source.where(0))
    return _Reader(source).run()


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source, self.text = source, source.text
        self.top: list[Node | Words] = []
        self.open: list[Node] = []
        self.count = 0

    def run(self) -> list[Node | Words]:
        at = 1 if self.text.startswith("\ufeff") else 0
        while (found := self.text.find("<", at)) >= 0:
            self._words(at, found)
            at = self._markup(found)
        self._words(at, len(self.text))
        if self.open:
            raise self._fault(f"<{self.open[-1].tag}> is never closed", self.open[-1].start, self.open[-1].name_end)
        return self.top

    def _fault(self, message: str, start: int, end: int | None = None) -> TemplateFault:
        return TemplateFault(message, self.source.where(start, end))

    def _add(self, item: Node | Words) -> None:
        (self.open[-1].children if self.open else self.top).append(item)
        self.count += 1
        if self.count > MAX_NODES:
            raise self._fault(f"more than {MAX_NODES:,} components", item.start)

    def _words(self, start: int, end: int) -> None:
        if start < end and not self.text[start:end].isspace():
            self._add(Words(self.source, *_trimmed(self.text, start, end), comment=False))

    def _markup(self, at: int) -> int:
        """Read what a "<" begins; the place after it."""
        text = self.text
        if text.startswith("<!--", at):
            end = text.find("-->", at + 4)
            if end < 0:
                raise self._fault("a comment is never closed", at)
            self._add(Words(self.source, at + 4, end, comment=True))
            return end + 3
        found = _NAME.match(text, at)
        if found is None:
            end = text.find(">", at)
            if text[at + 1 : at + 2] in {"!", "?"} and end >= 0:
                if self.open:  # <![if !mso]>: goes into the HTML as it is; before the root it is a prologue
                    self._add(Words(self.source, at, end + 1, comment=False))
                return end + 1
            raise self._fault("a < that begins no tag: write &lt;", at)
        tag = found[1].lower()
        if text[at + 1] == "/":
            return self._closing(tag, at, found.end())
        return self._opening(tag, at, found.end())

    def _closing(self, tag: str, at: int, name_end: int) -> int:
        end = self.text.find(">", name_end)
        if end < 0 or (end > name_end and not self.text[name_end:end].isspace()):
            raise self._fault(f"</{tag} is never closed with >", at, name_end)
        if not self.open:
            raise self._fault(f"</{tag}> closes nothing", at, end + 1)
        if self.open[-1].tag != tag:
            opened = self.open[-1]
            line = self.source.line_of(opened.start)
            raise self._fault(f"</{tag}> stands where <{opened.tag}> of line {line} is still open", at, end + 1)
        self.open.pop()
        return end + 1

    def _opening(self, tag: str, at: int, name_end: int) -> int:
        if tag.startswith("mj") and tag not in KNOWN and not self._within("mj-attributes"):
            raise self._fault(f"no component is called <{tag}>", at, name_end)
        node = Node(tag, self.source, at, name_end)
        node.attributes, at, empty = self._attributes(node)
        node.inlined = tag == "mj-style" and node.value("inline") == "inline"
        self._add(node)
        if tag in ENDING and not self._within("mj-attributes"):
            return at if empty else self._content(node, at)
        if empty or tag in VOID:
            return at
        self.open.append(node)
        if len(self.open) > MAX_DEPTH:
            raise self._fault(f"more than {MAX_DEPTH} elements within each other", node.start, node.name_end)
        return at

    def _within(self, tag: str) -> bool:
        return bool(self.open) and self.open[-1].tag == tag

    def _attributes(self, node: Node) -> tuple[list[Attribute], int, bool]:
        made: dict[str, Attribute] = {}
        at = node.name_end
        while (end := _END.match(self.text, at)) is None:
            found = _ATTRIBUTE.match(self.text, at)
            if found is None:
                raise self._unread(node, at)
            name = found[1]
            if not _PLAIN_NAME.match(name):
                shown = name if len(name) <= 40 else f"{name[:40]}…"
                raise self._fault(f"{shown!r} in <{node.tag}> is no attribute's name", found.start(1), found.end(1))
            group = found.lastindex or 1
            value = found.span(group) if group > 1 else None
            made.setdefault(name, Attribute(name, found.start(1), value, found.end()))  # the first one counts, as in HTML
            at = found.end()
        return list(made.values()), end.end(), bool(end[1])

    def _unread(self, node: Node, at: int) -> TemplateFault:
        rest = self.text[at : at + 200].lstrip()
        if not rest or rest[0] == "<":
            return self._fault(f"<{node.tag} is never closed with >", node.start, node.name_end)
        if rest[0] == "=":
            return self._fault(f"a value in <{node.tag}> is missing or its quotation mark never closed", at)
        return self._fault(f"{rest[0]!r} in <{node.tag}> is no attribute", at + self.text[at : at + 200].index(rest[0]))

    def _content(self, node: Node, at: int) -> int:
        closing = re.compile(rf"</{node.tag}\s*+>", re.IGNORECASE).search(self.text, at)
        if closing is None:
            raise self._fault(f"<{node.tag}> is never closed", node.start, node.name_end)
        start, end = _trimmed(self.text, at, closing.start())
        node.content = (start, end) if start < end else None
        return closing.end()


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A range without the blanks at its ends."""
    inner = text[start:end]
    left = len(inner) - len(inner.lstrip())
    return start + left, max(start + len(inner.rstrip()), start + left)
