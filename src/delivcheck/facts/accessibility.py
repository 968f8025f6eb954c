"""What a screen reader makes of the HTML: the texts, images, links, headings and tables it comes to, each in its surroundings.

An accessibility tree in the words of WAI-ARIA 1.2 section 7.1, for as much of it as rules ask: what is hidden from everybody
(`display: none`, `visibility: hidden`, `aria-hidden`) is left out, what is hidden only from the eye is not. Each document is
walked through once, however deep it is.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from ..engine import fact
from ..mime.cascade import Hidden, Style
from ..mime.html import Element, HtmlDocument, Text
from ..model import Unavailable
from .message import HtmlPart, HtmlParts

MAX_NAME = 500  # characters of the name of a link or heading; what a person listens to is far shorter
PRESENTATION = frozenset({"presentation", "none"})  # WAI-ARIA 1.2 section 5.3.1: the two are synonyms

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_DATA_CELLS = frozenset({"th", "caption"})
_AROUND = frozenset({"lang", "dir", "aria-hidden", "style", "scope", "headers"})  # attributes that mean more than their element
_NEW_LINE = frozenset({"br", "div", "li", "p", "table", "td", "th", "tr"})  # those of them that mail puts into links
_DIRECTION = re.compile(r"(?:^|[;\s])direction\s*:\s*(rtl|ltr)\b")


class Around(NamedTuple):
    """What surrounds an element: the nearest link, heading and table, and what was last said of language and direction.

    `language_at` and `direction_at` are the elements that say it.
    """

    silent: bool = False
    link: "Named | None" = None
    heading: "Named | None" = None
    table: "Table | None" = None
    language: str | None = None
    language_at: Element | None = None
    direction: str | None = None


@dataclass(eq=False, slots=True)
class Named:
    """A link or heading with what is inside, from which its name comes; `level` of a heading, from 1."""

    element: Element
    level: int = 0
    texts: list[str] = field(default_factory=list)
    images: list[Element] = field(default_factory=list)
    _room: int = MAX_NAME
    _seen: int = -1  # elements before the text before
    _name: str | None = None

    def add(self, text: Text) -> None:
        """Take in a text; where a line ends between it and the one before, a blank stands between them."""
        if self._room > 0:
            if self._seen >= 0 and any(one.tag in _NEW_LINE for one in text.document.elements[self._seen : text.before]):
                self.texts.append(" ")
            self._seen = text.before
            self.texts.append(text.data[: self._room])
            self._room -= len(text.data)

    @property
    def name(self) -> str:
        """What is read out for it: its label, or else what is inside, or else its title; "" for nothing.

        The steps of Accessible Name and Description Computation 1.2 section 4.3.2 that mail has a use for.
        """
        if self._name is None:
            self._name = self._worked_out()
        return self._name

    def _worked_out(self) -> str:
        if label := _said(self.element, "aria-label"):
            return label
        inside = " ".join("".join(self.texts).split())
        if not inside:
            inside = " ".join(name for image in self.images[:MAX_NAME] if (name := name_of(image)))
        return inside or _said(self.element, "title")

    @property
    def is_named_elsewhere(self) -> bool:
        """Whether its name is the text of some other element."""
        return bool(_said(self.element, "aria-labelledby"))


def name_of(image: Element) -> str:
    """What is read out for an image, "" for nothing."""
    return _said(image, "aria-label") or _said(image, "alt") or _said(image, "title")


def _said(element: Element, attribute: str) -> str:
    value = element.get(attribute)
    return " ".join(value[:MAX_NAME].split()) if value else ""


@dataclass(eq=False, slots=True)
class Table:
    """A table; `is_explained` if it has a role, or headers that show that it holds data."""

    element: Element
    is_explained: bool = False


class AccessibilityTree:
    """One document as a screen reader comes to it, in document order. Made once, never changed."""

    def __init__(self, part: HtmlPart, document: HtmlDocument) -> None:
        """Walk through a document."""
        self.part = part
        self.document = document
        self.links: list[Named] = []
        self.headings: list[Named] = []
        self.tables: list[Table] = []
        self.images: list[Element] = []
        self.texts: list[Text] = []
        self.languages: list[Element] = []  # that say one
        self._around: list[Around] = []
        self._walk()

    def around(self, element: Element) -> Around:
        """What surrounds the texts directly inside an element, itself included."""
        return self._around[element.index]

    def _walk(self) -> None:
        styles, around = self.document.styles, self._around
        for element in self.document.elements:
            here = _OUTSIDE if element.parent is None else around[element.parent.index]
            if element.attributes:
                here = self._inside(element, here)
            if element.tag in _SEEN and not here.silent and not _is_silent(styles[element.index]):
                here = self._enter(element, here)
            around.append(here)
        for text in self.document.texts:
            index = text.parent.index
            here = around[index]
            blank = text.data.isspace()
            # Blank ones part the words of a name: <a><b>Garden</b> <i>chairs</i></a>.
            if here.silent or (blank and here.link is None and here.heading is None) or _is_silent(styles[index]):
                continue
            if here.link is not None:
                here.link.add(text)
            if here.heading is not None:
                here.heading.add(text)
            if not blank:
                self.texts.append(text)

    def _inside(self, element: Element, above: Around) -> Around:
        """What is around the inside of an element with attributes."""
        here = above
        for name, value in element.attributes:
            if name not in _AROUND:
                continue
            if name == "style":
                found = _DIRECTION.search(value) if "direction" in value else None
                if found and element.get("dir") is None:
                    here = here._replace(direction=found[1])
            elif name == "lang":
                self.languages.append(element)
                here = here._replace(language=value.strip(), language_at=element)
            elif name == "dir":
                here = here._replace(direction=value.strip().lower() or None)
            elif name == "aria-hidden":
                if value.strip().lower() == "true":
                    here = here._replace(silent=True)
            elif above.table is not None:
                above.table.is_explained = True
        return here

    def _enter(self, element: Element, here: Around) -> Around:
        tag = element.tag
        if tag == "img":
            self.images.append(element)
            for holder in (here.link, here.heading):
                if holder is not None:
                    holder.images.append(element)
        elif tag == "a":
            if element.get("href") is not None:
                self.links.append(Named(element))
                return Around(here.silent, self.links[-1], *here[2:])  # `_replace` takes four times as long
        elif tag == "table":
            table = Table(element, bool(_said(element, "role") or _said(element, "summary")))
            self.tables.append(table)
            return here._replace(table=table)
        elif tag in _DATA_CELLS:
            if here.table is not None:
                here.table.is_explained = True
        elif _said(element, "role").lower() not in PRESENTATION:
            self.headings.append(Named(element, _HEADINGS[tag]))
            return Around(here.silent, here.link, self.headings[-1], *here[3:])
        return here

    @cached_property
    def first(self) -> int:
        """The offset of the outermost element as written: where something is missing that concerns the whole document."""
        for element in self.document.elements:
            if element.offset >= 0 and element.tag in {"html", "body"}:
                return element.offset
        return 0


_SEEN = frozenset({"img", "a", "table", *_DATA_CELLS, *_HEADINGS})
_OUTSIDE = Around()


def _is_silent(style: Style) -> bool:
    """Whether a screen reader passes over an element, as far as its style says."""
    return not style.visible or style.subtree is Hidden.DISPLAY or style.subtree is Hidden.NOT_RENDERED


@dataclass(frozen=True, slots=True)
class AccessibilityTrees:
    """Of each readable text/html part its accessibility tree; `unavailable` tells of the others."""

    each: Sequence[AccessibilityTree]
    unavailable: tuple[Unavailable, ...] = ()


@fact
def accessibility_trees(html: HtmlParts) -> AccessibilityTrees:
    """The trees of all parts, in the order of the message."""
    return AccessibilityTrees(tuple(AccessibilityTree(*each) for each in html.readable), html.unavailable)
