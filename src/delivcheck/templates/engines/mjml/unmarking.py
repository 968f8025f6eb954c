"""What mrml made of a marked document, marks replaced by what they stand for, with the pieces of it."""

import re

from ....records.placeholders import MAX_TEMPLATE
from ...model import Piece, Source, TemplateFault
from .marking import Mark, Marked
from .reading import Node

MAX_OUTPUT = MAX_TEMPLATE  # characters: what is read of a template is what may be made of it

_TAG = re.compile(r"<[A-Za-z][\w:]*")
_LABEL = re.compile(r"[\w:-]+(?:=\"|:)(?:url\('?)?\Z")  # alt=" · color:
_LABEL_REACH = 60  # characters before a value in which its label is looked for
_SUFFIX = re.compile(r"-(?:outlook|thumbnail)\b")


def unmarked(html: str, marked: Marked, root: Node) -> str:
    """What mrml made of the plain document, marks replaced. Raises TemplateFault where it grows too large."""
    parts, at, length = [], 0, len(html)
    for found in re.finditer(rf"{marked.prefix}(\d+)z", html):
        mark = marked.marks[int(found[1])]
        text = mark.text.replace('"', "&quot;") if mark.attribute is not None else mark.text
        parts += [html[at : found.start()], text]
        at = found.end()
        length += len(text)
        _limit(length, root)
    return "".join([*parts, html[at:]])


def _limit(length: int, root: Node) -> None:
    if length > MAX_OUTPUT:
        where = root.source.where(root.start, root.name_end)
        raise TemplateFault(f"more than {MAX_OUTPUT:,} characters are rendered", where)


class Unmarked:
    """What mrml made of the document with all marks, these replaced by what they stand for, and the pieces of it."""

    def __init__(self, html: str, marked: Marked, root: Node) -> None:
        """Raises TemplateFault where it grows too large."""
        self.html, self.made, self.length = html, list[str](), 0
        self.pieces: list[Piece] = []
        self.owner = self.root = root
        at = 0
        for found in re.finditer(rf"{marked.prefix}(\d+)z", html):
            if found.start() < at:
                continue
            mark = marked.marks[int(found[1])]
            at = self._class(mark, at, found) if mark.is_class else self._value(mark, at, found)
        self._generated(html[at:])
        self.text = "".join(self.made)

    def _grow(self, text: str) -> tuple[int, int]:
        start = self.length
        self.length += len(text)
        _limit(self.length, self.root)
        self.made.append(text)
        return start, self.length

    def _generated(self, text: str) -> None:
        """Markup that mrml made for a component, or nearly for it."""
        self._printed(text, self.owner.source, self.owner.start, self.owner.name_end, exact=False)

    def _printed(self, text: str, source: Source, at: int, until: int, *, exact: bool) -> None:
        if not text:
            return
        start, end = self._grow(text)
        made = Piece(start, end, source.name, at, until, False, exact)
        if self.pieces and self.pieces[-1][2:] == made[2:]:
            made = made._replace(start=self.pieces.pop().start)
        self.pieces.append(made)

    def _tag(self, gap: str, node: Node | None) -> None:
        """The markup before a mark. The tag that has the mark is its component's."""
        begins = gap.rfind("<") if node is not None else -1
        if node is not None and begins >= 0 and begins > gap.rfind(">"):
            found = _TAG.match(gap, begins)
            self._generated(gap[:begins])
            self.owner = node
            if found is not None:
                self._printed(found[0], node.source, node.start, node.name_end, exact=True)
                begins = found.end()
            gap = gap[begins:]
        elif node is not None:
            self.owner = node
        self._generated(gap)

    def _class(self, mark: Mark, at: int, found: re.Match[str]) -> int:
        """Take the class out, and the attribute with it where it stands there alone."""
        gap, end = self.html[at : found.start()], found.end()
        if (suffix := _SUFFIX.match(self.html, end)) is not None:
            end = suffix.end()
        after = self.html[end : end + 1]
        if gap.endswith(' class="') and after == '"':
            gap, end = gap[: -len(' class="')], end + 1
        elif after == " " and not gap.endswith(" "):
            end += 1
        elif gap.endswith(" "):
            gap = gap[:-1]
        self._tag(gap, mark.node)
        return end

    def _value(self, mark: Mark, at: int, found: re.Match[str]) -> int:
        gap = self.html[at : found.start()]
        label = None
        if mark.attribute is not None:
            reach = max(len(gap) - _LABEL_REACH, 0)
            label = _LABEL.search(gap, reach)
            if label is not None:
                gap = gap[: label.start()]
        if mark.attribute is not None:
            self._tag(gap, mark.node)
        else:
            self._generated(gap)
            self.owner = mark.node or self.owner  # of what closes it
        if label is not None and mark.attribute is not None:
            self._printed(label[0], mark.source, mark.attribute.at, mark.attribute.end, exact=True)
        text = mark.text
        if mark.attribute is not None and '"' in text:
            self._printed(text.replace('"', "&quot;"), mark.source, mark.start, mark.end, exact=True)
        elif text:
            self.pieces.append(Piece(*self._grow(text), mark.source.name, mark.start, mark.end, copied=True))
        return found.end()
