"""What the HTML of a message uses that mail clients do not all support: feature by feature, with the places."""

import re
from bisect import bisect_left
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from ..engine import fact
from ..mime.cascade import MAX_INLINE
from ..mime.conditionals import Conditionals, conditionals
from ..mime.css import MAX_SHEET
from ..mime.html import Element, HtmlDocument, Tag
from ..model import Where
from ..records.clients import Feature, features
from ..rulefiles import data
from .client_css import OUTLOOK_HIDES, has_colour, hides, in_sheet, in_style
from .message import HtmlPart, HtmlParts

NEAR = 1_000  # characters between a background and the VML that stands for it; a bulletproof background has 300
MAX_INSIDE = 50  # elements inside a <video> or <picture> among which an image is looked for
MAX_ABOUT = 50  # elements of one name that are looked at, to see whether they do without
MAX_NAMES = 8_192  # characters of one class attribute that are read

_IMAGE_ENDING = re.compile(r"\.([a-z0-9]{2,5})(?:[?#]|\Z)")
_STYLED = re.compile(r"<[a-z][a-z0-9]*+(?=\s)[^<>]*?\sstyle\s*+=\s*+(?:\"([^\"]*)\"|'([^']*)')", re.IGNORECASE)
_SHEET = re.compile(r"<style\b[^<>]*+>([^<]*+)", re.IGNORECASE)
_FACE = re.compile(r"@font-face\s*+\{[^{}]*+\}", re.IGNORECASE)
_FONT = re.compile(r"font-family\s*+:\s*+(?:&quot;|[\"'])?([^;,{}\"'&!<>]{1,100})(?:&quot;|[\"'])?\s*+(,?)", re.IGNORECASE)
_TOLD = re.compile(r"<[\w:-]{1,40}|[^;{}\"'<>\s](?:[^;{}\"'<>\r\n]{0,79}[^;{}\"'<>\s])?")  # a tag, a declaration, a selector
_VML = re.compile(r"<v:(?:rect|roundrect|fill|image|background|shape)\b", re.IGNORECASE)


class Seen(StrEnum):
    """Who sees a place: Outlook for Windows has comments of its own, and others are hidden from it."""

    BY_ALL = "by-all"
    BY_OTHERS = "by-others"
    BY_WORD = "by-word"


class Place(NamedTuple):
    """A place in a document: a tag, in one of its attributes or in the text of its style element, `inside` characters on.

    Without a tag there (`attribute` is None, `inside` negative) it is the offset itself.
    """

    offset: int
    attribute: str | None
    inside: int
    seen: Seen


@dataclass(frozen=True, slots=True)
class Use:
    """A feature that one HTML part uses, and the places in order."""

    feature: Feature
    part: HtmlPart
    places: tuple[Place, ...]

    def where(self, place: Place) -> Where:
        """The place in the message."""
        document = self.part.document
        assert isinstance(document, HtmlDocument)
        start = _start(document, place)
        told = _TOLD.match(document.source, start)
        return self.part.where(start, told.end() if told else None)


def _start(document: HtmlDocument, place: Place) -> int:
    element = document.written_at.get(place.offset) if place.inside >= 0 else None
    if element is not None and place.attribute is None and element.texts:
        return element.texts[0].offset_of(place.inside)
    found = element.attribute(place.attribute) if element is not None and place.attribute else None
    if found is None:
        return max(place.offset, 0)
    written = document.source[found.start : found.end].find(found.value) if found.value else -1
    # With character references in it the value is written otherwise, and its parts stand elsewhere.
    return found.start if written < 0 else found.start + written + place.inside


@dataclass(frozen=True, slots=True)
class ClientFeatures:
    """All uses, part by part, each feature but once a part."""

    each: tuple[Use, ...]


@fact
def client_features(html: HtmlParts) -> ClientFeatures:
    """Look through the HTML parts that could be read."""
    known = features()
    return ClientFeatures(
        tuple(
            Use(known[name], part, tuple(sorted(places, key=lambda place: place.offset)))
            for part, document in html.readable
            for name, places in _Search(document).found.items()
        )
    )


class _Markup(NamedTuple):
    """How features are told by tags."""

    elements: Mapping[str, str]
    attributes: Mapping[str, tuple[tuple[str | None, str], ...]]  # by attribute: the tag or None for all, the feature
    images: Mapping[str, str]
    unless: Mapping[str, frozenset[str]]


@lru_cache(maxsize=1)
def _markup() -> _Markup:
    judged: Mapping[str, Any] = data("client-features")["feature"]
    elements, images = {}, {}
    attributes: dict[str, list[tuple[str | None, str]]] = {}
    for name, one in judged.items():
        elements.update(dict.fromkeys(one.get("elements", ()), name))
        images.update(dict.fromkeys(one.get("images", ()), name))
        for each in one.get("attributes", ()):
            tag, _, attribute = each.rpartition(" ")
            attributes.setdefault(attribute, []).append((tag or None, name))
    return _Markup(
        elements,
        {name: tuple(found) for name, found in attributes.items()},
        images,
        {name: frozenset(one.get("unless", ())) for name, one in judged.items()},
    )


class _Search:
    """Goes through one document; `found` has the places by feature."""

    def __init__(self, document: HtmlDocument) -> None:
        self.document = document
        self.found: dict[str, list[Place]] = {}
        self.markup = _markup()
        self._conditionals: Conditionals | None = None
        self._vml: list[int] | None = None
        self._names: frozenset[str] | None = None
        self._tags_of: Mapping[str, list[Tag]] | None = None
        self._hidden: list[tuple[int, int]] = []
        self._inline = 0
        self._made_up: dict[tuple[Tag, str], bool] = {}
        pending: list[tuple[Tag, str, str, int]] = []  # tag, feature, attribute, place inside: judged when all is seen
        for tag in document.tags:
            if tag.attributes or tag.name in self.markup.elements:
                pending.extend(self._of_tag(tag))
        for tag, feature, attribute, inside in pending:
            if not self._made_up_for(tag, feature):
                self._add(feature, tag.offset, attribute, inside)
        self._sheets()
        self._comments()

    def _of_tag(self, tag: Tag) -> Iterator[tuple[Tag, str, str, int]]:
        markup = self.markup
        if tag.name in markup.elements and not tag.is_end:
            yield tag, markup.elements[tag.name], "", -1
        for name, value in tag.attributes:
            if name == "style":
                self._inline += len(value)
                for hit in in_style(value) if self._inline <= MAX_INLINE else ():
                    if hit.feature != OUTLOOK_HIDES:
                        yield tag, hit.feature, name, hit.start
                    elif element := self.document.written_at.get(tag.offset):
                        end = element.end_tag
                        self._hidden.append((tag.offset, element.end if end is None else end))
            elif name == "src":
                if tag.name == "img" and (ending := _IMAGE_ENDING.search(value.lower())) and ending[1] in markup.images:
                    yield tag, markup.images[ending[1]], name, 0
            elif name == "href":
                if tag.name == "a" and value[:1] == "#" and len(value) > 1:
                    yield tag, "html-anchor-links", name, 0
            elif name in markup.attributes:
                for wanted, feature in markup.attributes[name]:
                    if wanted is None or wanted == tag.name:
                        yield tag, feature, name, 0

    def _made_up_for(self, tag: Tag, feature: str) -> bool:
        """Whether something about the element does without the feature."""
        key = tag, feature
        if key not in self._made_up:
            self._made_up[key] = self._does_without(tag, feature)
        return self._made_up[key]

    def _does_without(self, tag: Tag, feature: str) -> bool:
        unless = self.markup.unless[feature]
        if feature == "html-anchor-links":
            return self._leads_nowhere(tag)
        if not unless:
            return False
        attributes = dict(reversed(tag.attributes))  # of a duplicate the first counts
        style = attributes.get("style", "")
        return (
            ("colour" in unless and ("bgcolor" in attributes or has_colour(style)))
            or ("align" in unless and "align" in attributes)
            or ("hidden" in unless and hides(style))
            or ("vml" in unless and self._near_vml(tag.offset))
            or (not unless.isdisjoint({"content", "image"}) and self._has_content(tag, texts="content" in unless))
        )

    def _leads_nowhere(self, tag: Tag) -> bool:
        """Whether a link's target is not in the mail, or the link itself, which keeps phones from making a link of a date."""
        address = next((value for name, value in tag.attributes if name == "href"), "").strip()
        targets = self.tags_of.get(address, ())
        return not targets or targets == [tag]

    def _near_vml(self, offset: int) -> bool:
        if self._vml is None:
            self._vml = [comment.offset for comment in self.conditionals.own if _VML.search(comment.text)]
        number = bisect_left(self._vml, offset - NEAR)
        return number < len(self._vml) and self._vml[number] <= offset + NEAR

    def _has_content(self, tag: Tag, *, texts: bool) -> bool:
        element = self.document.written_at.get(tag.offset)
        if element is None:
            return False
        if texts and any(text.data.strip() for text in element.first_texts(MAX_INSIDE)):
            return True
        return any(each.tag == "img" for each in element.first_descendants(MAX_INSIDE))

    @property
    def conditionals(self) -> Conditionals:
        """What Word sees; asked for only where something was found, or comments are there."""
        if self._conditionals is None:
            self._conditionals = conditionals(self.document.comments, self._hidden)
        return self._conditionals

    def _add(self, feature: str, offset: int, attribute: str | None, inside: int) -> None:
        seen = Seen.BY_OTHERS if self.conditionals.hides(offset) else Seen.BY_ALL
        self.found.setdefault(feature, []).append(Place(offset, attribute, inside, seen))

    # --- style elements

    def _sheets(self) -> None:
        left = MAX_SHEET
        families: dict[str, None] = {}
        for element in self.document.all("style"):
            if (element.get("media") or "all").strip().lower() not in {"all", "screen", ""}:
                continue
            text = element.text[: max(left, 0)]
            left -= len(text)
            sheet = in_sheet(text)
            families.update(dict.fromkeys(sheet.families))
            if sheet.holds and _in_body(element):
                self._add("html-style", max(element.offset, 0), None, -1)
            for hit in sheet.hits:
                fitting = [names for names in hit.selectors if names <= self.names]
                if fitting and not self._all_made_up_for(frozenset().union(*fitting), hit.feature):
                    self._add(hit.feature, element.offset, None, hit.start)
        if families:
            self._fonts(families)

    def _all_made_up_for(self, names: frozenset[str], feature: str) -> bool:
        """Whether the elements that a rule is about, as far as its names tell, all do without a feature."""
        if not self.markup.unless[feature]:
            return False
        wanted = [name for name in names if name[0] in ".#"] or list(names)
        about = dict.fromkeys(tag for name in wanted for tag in self.tags_of.get(name, ())[:MAX_ABOUT])
        return bool(about) and all(self._made_up_for(tag, feature) for tag in about)

    @property
    def names(self) -> frozenset[str]:
        """The tags, .classes and #ids of the document, and those tags that repair supplies."""
        if self._names is None:
            self._names = frozenset({*self.tags_of, "html", "head", "body", "tbody"})
        return self._names

    @property
    def tags_of(self) -> Mapping[str, list[Tag]]:
        """The start tags of the document by their names, .classes and #ids; <a name> counts as an id."""
        if self._tags_of is None:
            found: dict[str, list[Tag]] = {}
            for tag in self.document.tags:
                if not tag.is_end:
                    found.setdefault(tag.name, []).append(tag)
                    for name, value in tag.attributes:
                        if name == "class":
                            for each in value[:MAX_NAMES].split():
                                found.setdefault("." + each, []).append(tag)
                        elif name == "id" or (name == "name" and tag.name == "a"):
                            found.setdefault("#" + value.strip(), []).append(tag)
            self._tags_of = found
        return self._tags_of

    def _fonts(self, families: Container[str]) -> None:
        """The places where a font that the mail loads is the only one that is named."""
        declared = [found.span() for found in _FACE.finditer(self.document.source)]
        for found in _FONT.finditer(self.document.source):
            if not found[2] and found[1].strip().lower() in families:
                number = bisect_left(declared, (found.start(),)) - 1
                if number < 0 or found.start() >= declared[number][1]:
                    self._add("css-at-font-face", found.start(), None, -1)

    # --- comments for Outlook

    def _comments(self) -> None:
        """The CSS in comments that Word alone reads; VML has styles of its own kind."""
        known: dict[str, tuple[tuple[str, int], ...]] = {}
        crlf = "\r\n" in self.document.source
        for comment in self.conditionals.own:
            if comment.text not in known:
                known[comment.text] = tuple(_in_comment(comment.text))
            for feature, start in known[comment.text]:
                # The comment's text has LF alone; where the source has CRLF, its places are as many lines further on.
                lines = comment.text.count("\n", 0, start) if crlf else 0
                self.found.setdefault(feature, []).append(Place(comment.offset + start + lines, None, -1, Seen.BY_WORD))


def _in_comment(text: str) -> Iterator[tuple[str, int]]:
    for styled in _STYLED.finditer(text):
        group = 1 if styled[1] is not None else 2
        for hit in in_style(styled[group]):
            if hit.feature != OUTLOOK_HIDES:
                yield hit.feature, styled.start(group) + hit.start
    for opened in _SHEET.finditer(text):
        for rule in in_sheet(opened[1]).hits:
            yield rule.feature, opened.start(1) + rule.start


def _in_body(element: Element) -> bool:
    return any(around.tag == "body" for around in element.ancestors)
