"""Visible text of an HTML document: put together as a reader sees it, each character knowing where it came from."""

import re
from bisect import bisect_right
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .html import Element, Text

_COLLAPSIBLE = re.compile(r"[ \t\n\r\f]+")
_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "details", "dialog", "dir", "div",
    "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup",
    "hr", "html", "li", "main", "menu", "nav", "ol", "option", "p", "pre", "search", "section", "summary", "table", "tbody",
    "td", "tfoot", "th", "thead", "tr", "ul",
})  # fmt: skip


class Shown:
    """Texts put together: white space collapsed (CSS Text section 4.1), a line for each block."""

    def __init__(self, texts: Iterable["Text"]) -> None:
        """Put together."""
        pieces: list[str] = []
        self._starts: list[int] = []
        self._origins: list[tuple[Text, int]] = []
        size = 0
        ends = "\n"  # what the text ends with: no blank begins it
        block: Element | None = None
        seen = 0  # elements before the text before
        blocks: dict[int, Element | None] = {}
        for text in texts:
            around = _block(text.parent, blocks)
            if pieces and ends != "\n":
                between = text.document.elements[seen : text.before]
                if around is not block or any(element.tag in _BLOCKS for element in between):
                    pieces.append("\n")
                    size, ends = size + 1, "\n"
            block, seen = around, text.before
            position = 0
            for found in [*_COLLAPSIBLE.finditer(text.data), None]:
                stop = found.start() if found else len(text.data)
                if stop > position:
                    self._starts.append(size)
                    self._origins.append((text, position))
                    piece = text.data[position:stop]
                    pieces.append(piece)
                    size, ends = size + len(piece), "x"
                if found:
                    position = found.end()
                    if ends == "x":
                        pieces.append(" ")
                        size, ends = size + 1, " "
        self.text = "".join(pieces).rstrip()

    def offset(self, position: int) -> int:
        """Where a character came from."""
        number = bisect_right(self._starts, position) - 1
        if number < 0:
            return 0
        text, first = self._origins[number]
        return text.offset_of(min(first + position - self._starts[number], max(len(text.data) - 1, 0)))


def _block(element: "Element", known: "dict[int, Element | None]") -> "Element | None":
    """The nearest element around a text that makes lines of its own; `known` keeps this from climbing any way twice."""
    passed = []
    found: Element | None = element
    while found is not None and found.tag not in _BLOCKS:
        if found.index in known:
            found = known[found.index]
            break
        passed.append(found.index)
        found = found.parent
    known.update(dict.fromkeys(passed, found))
    return found
