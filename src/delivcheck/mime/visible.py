"""Visible text of an HTML document: put together as a reader sees it, each character knowing where it came from."""

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .html import Text

_BLANKS = " \t\n\r\f"
_COLLAPSIBLE = re.compile(r"[ \t\n\r\f]+")
_SEVERAL = re.compile(r"[ \t\n\r\f]{2,}")
_NO_BLANK = re.compile(r"[ \t\n\r\f]{2,}|[\t\n\r\f]")  # what collapses to something else than it is
BLOCKS = frozenset({
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
        self._texts: list[Text] = []
        # Of each stretch that stands as it was written: where it begins here, the number of its text, where it begins there.
        self._starts, self._numbers, self._origins = array("I"), array("I"), array("I")
        size = 0
        ends = "\n"  # what the text ends with: no blank begins it
        block = begun = -1  # of the text before: the block it is in, and how many begin before it
        for text in texts:
            nearest, before = text.document.blocks
            around, begin = nearest[text.parent.index], before[text.before]
            if ends != "\n" and (around != block or begin != begun):
                pieces.append("\n")
                size, ends = size + 1, "\n"
            block, begun = around, begin
            data = text.data
            blank = _COLLAPSIBLE.match(data)
            if blank and ends != "x":  # the blank before it is the one that stays
                data = data[blank.end() :]
            if not data:
                continue
            position = len(text.data) - len(data)
            self._texts.append(text)
            self._begin(size, position)
            if "  " in data or "\n" in data or "\t" in data or "\r" in data or "\f" in data:
                for found in _SEVERAL.finditer(text.data, position):
                    size += found.start() + 1 - position
                    position = found.end()
                    self._begin(size, position)
                data = _NO_BLANK.sub(" ", data)
            size += len(text.data) - position
            pieces.append(data)
            ends = " " if pieces[-1].endswith(" ") else "x"
        self.text = "".join(pieces).rstrip()

    def _begin(self, size: int, position: int) -> None:
        """Note that what stands at `size` here begins at `position` of the last text."""
        self._starts.append(size)
        self._numbers.append(len(self._texts) - 1)
        self._origins.append(position)

    def offset(self, position: int) -> int:
        """Where a character came from."""
        number = bisect_right(self._starts, position) - 1
        if number < 0:
            return 0
        text, first = self._texts[self._numbers[number]], self._origins[number]
        return text.offset_of(min(first + position - self._starts[number], max(len(text.data) - 1, 0)))


def collapsed(data: str) -> str:
    """What `Shown` makes of one text by itself."""
    return _NO_BLANK.sub(" ", data.lstrip(_BLANKS)).rstrip()
