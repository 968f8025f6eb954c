"""HTML of mail: with `html_source` the one seam over turbohtml. Elements, texts, comments, and what of it can be seen.

turbohtml builds the tree by the HTML standard. Every offset that leaves this module counts characters of the text as given.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

import turbohtml
from msgspec import Struct

from .cascade import Hidden, Resolved, Style, Work, resolve
from .html_source import MAX_COPIES, MAX_NODES, HtmlError, HtmlSource, Tag
from .visible import BLOCKS, Shown, collapsed

__all__ = [
    "Attribute",
    "Comment",
    "Element",
    "Fault",
    "HtmlDocument",
    "HtmlError",
    "Room",
    "Tag",
    "Text",
    "parse_html",
    "visible_text",
]

MAX_HTML = 10_485_760  # characters of all HTML of a message; rspamd's max_html_len, which is for one part
MAX_DOCUMENTS = 500  # of one message; each takes half a millisecond however little is in it, and a letter has one or two
# Characters looked through for the parser's own errors, of which every character may be one, at 300 octets each; ten times
# what Gmail shows.
MAX_FAULTY = 1_048_576
MAX_FAULTS = 1_000  # of one code; a report shows no more than 50 (engine.MAX_PROBLEMS)
_VOID = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
})  # fmt: skip
# HTML section 13.1.2.4 lets td, th and tr stay open too; in mail an open cell is a mistake that breaks the layout.
_MAY_STAY_OPEN = _VOID | {
    "html", "head", "body", "p", "li", "dt", "dd", "option", "optgroup", "tbody", "thead", "tfoot", "colgroup", "caption",
    "rt", "rp",
}  # fmt: skip
# Where the parser goes by other rules, see HtmlDocument._closed.
_OTHERWISE = frozenset({"svg", "math", "template", "select", "frameset", "form", "plaintext", "noscript"})
_CHARSET_IN_CONTENT = re.compile(r"charset\s*=\s*[\"']?([^\s;\"']+)", re.IGNORECASE)


class Fault(NamedTuple):
    """A parse error of the HTML standard by its code there, or one of ours, with its offset.

    Ours: `unclosed-element` (with the tag's name), `nested-a`, `second-body`.
    """

    code: str
    offset: int
    detail: str = ""


class Comment(NamedTuple):
    """A comment; `text` is what stands between `<!--` and `-->`. MSO conditionals are comments too."""

    text: str
    offset: int


class Attribute(NamedTuple):
    """An attribute, character references resolved; its span covers name and value with quotes."""

    name: str
    value: str
    start: int
    end: int


class Ends(NamedTuple):
    """By the index of an element: the index after its last descendant, and that after its last text."""

    elements: list[int]
    texts: list[int]


class Blocks(NamedTuple):
    """By the index of an element: that of the nearest with lines of its own, -1 for none; how many such begin before it."""

    nearest: list[int]
    before: list[int]


class Element(Struct, frozen=True, eq=False):
    """An element of the tree, in document order by `index`. `offset` is that of its start tag, -1 if the parser supplied it.

    `attributes` are in the order written, names in lower case, character references resolved; of a duplicate the first is kept
    (HTML section 13.2.5.33), the others are among the document's `faults`.
    """

    document: "HtmlDocument"
    index: int
    tag: str
    attributes: tuple[tuple[str, str], ...]
    parent: "Element | None"
    offset: int
    node: Any  # turbohtml's own, for what is rarely asked for

    def get(self, name: str) -> str | None:
        """The value of an attribute, None if it is missing."""
        for each, value in self.attributes:
            if each == name:
                return value
        return None

    def attribute(self, name: str) -> Attribute | None:
        """An attribute with its place."""
        value = self.get(name)
        if value is None or self.offset < 0:
            return None
        location = self.document.written_at[self.offset].node.source_location  # a copy made in repair has none of its own
        span = location.attrs.get(name) if location else None
        if span is None:
            return None
        given = self.document.places.given
        return Attribute(name, value, given(span.start_offset), given(span.end_offset))

    @property
    def end(self) -> int:
        """The offset after the start tag; -1 if the parser supplied it."""
        location = self.node.source_location
        return -1 if location is None else self.document.places.given(location.start_tag.end_offset)

    @property
    def end_tag(self) -> int | None:
        """The offset of the end tag; None where the source has none."""
        location = self.node.source_location
        return (
            None if location is None or location.end_tag is None else self.document.places.given(location.end_tag.start_offset)
        )

    @property
    def line(self) -> int:
        """The line of the start tag in the given text, from 1."""
        return self.document.places.spot(self.offset)[0]

    @property
    def column(self) -> int:
        """The column of the start tag in the given text, from 1, in characters."""
        return self.document.places.spot(self.offset)[1]

    @property
    def style(self) -> Style:
        """The computed style, as far as it decides what can be seen."""
        return self.document.styles[self.index]

    @property
    def hidden(self) -> Hidden | None:
        """Why a reader does not see text directly inside; None if it can be seen."""
        return self.document.styles[self.index].hidden

    @property
    def ancestors(self) -> Iterator["Element"]:
        """The elements around, nearest first."""
        above = self.parent
        while above is not None:
            yield above
            above = above.parent

    @property
    def descendants(self) -> Sequence["Element"]:
        """The elements inside, in document order."""
        return self.document.elements[self.index + 1 : self.document.ends.elements[self.index]]

    @property
    def texts(self) -> Sequence["Text"]:
        """The texts inside, in document order, hidden ones too."""
        document = self.document
        return document.texts[document.first_text[self.index] : document.ends.texts[self.index]]

    def first_descendants(self, limit: int) -> Sequence["Element"]:
        """The first elements inside: for whoever asks many elements, which may hold one another."""
        return self.document.elements[self.index + 1 : min(self.index + 1 + limit, self.document.ends.elements[self.index])]

    def first_texts(self, limit: int) -> Sequence["Text"]:
        """The first texts inside."""
        first = self.document.first_text[self.index]
        return self.document.texts[first : min(first + limit, self.document.ends.texts[self.index])]

    @property
    def text(self) -> str:
        """All text inside as it stands in the source, hidden or not, character references resolved."""
        return "".join(text.data for text in self.texts)

    @property
    def visible_text(self) -> str:
        """What a reader sees of it, white space collapsed."""
        return visible_text(self.texts)


class Text(Struct, frozen=True, eq=False):
    """A run of text, character references resolved. `before` is how many elements begin before it."""

    document: "HtmlDocument"
    index: int
    data: str
    parent: Element
    before: int

    @property
    def hidden(self) -> Hidden | None:
        """Why a reader does not see it; None if it can be seen."""
        return self.document.styles[self.parent.index].hidden

    @property
    def offset(self) -> int:
        """Where it begins in the given text."""
        return self.document.text_offset(self.index, 0)

    def offset_of(self, position: int) -> int:
        """Where a character of `data` stands in the given text."""
        return self.document.text_offset(self.index, position)


class Room:
    """What may still be read of the HTML of one message: a mail can hold thousands of parts, each small and each costly."""

    __slots__ = ("characters", "documents", "nodes", "work")

    def __init__(self) -> None:
        """Begin with all of it."""
        self.characters = MAX_HTML
        self.documents = MAX_DOCUMENTS
        self.nodes = MAX_NODES + MAX_COPIES
        self.work = Work()


class HtmlDocument:
    """A parsed document. Made once, never changed; styles, texts and places are worked out when first asked for.

    `source` is the text as given, `elements` and `texts` are in document order, `comments` and `tags` in the order of the
    source.
    """

    def __init__(self, source: str, room: Room | None = None) -> None:
        """Parse; see `parse_html`."""
        self.source = source
        self._room = room or Room()
        self.places = HtmlSource(source, min(MAX_NODES, self._room.nodes))
        self._tree = turbohtml.parse(self.places.plain, source_locations=True, allow_declarative_shadow_roots=False)
        self._walk(self._tree)

    def _walk(self, tree: Any) -> None:
        """Turn the tree into lists, in document order; a parent always comes before what is inside."""
        places = self.places
        starts, given_on, most = places.line_starts, places.given_on, self._room.nodes
        tag_at = {tag.plain_offset: tag for tag in places.tags if not tag.is_end}
        elements: list[Element] = []
        texts: list[Text] = []
        self.elements: Sequence[Element] = elements
        self.texts: Sequence[Text] = texts
        self.first_text: list[int] = []
        first_text = self.first_text
        of_node: dict[Any, Element] = {}
        begun = said = 0  # how many of each there are
        for node in tree.descendants:
            kind = type(node)
            if kind is turbohtml.Text:
                parent = of_node.get(node.parent)
                if parent is not None:
                    texts.append(Text(self, said, node.data, parent, begun))
                    said += 1
            elif kind is turbohtml.Element:
                offset = -1
                attributes: tuple[tuple[str, str], ...] = ()
                line = node.source_line
                if line is not None:
                    place = starts[line - 1] + node.source_col
                    tag = tag_at.get(place)
                    if tag is None:
                        offset = given_on(line, place)
                    else:
                        offset, attributes = tag.offset, tag.attributes
                element = Element(self, begun, node.tag, attributes, of_node.get(node.parent), offset, node)
                of_node[node] = element
                first_text.append(said)
                elements.append(element)
                begun += 1
            if begun + said > most:
                raise HtmlError(f"the repaired document has more than {most} nodes")
        self._room.nodes -= begun + said

    @cached_property
    def written_at(self) -> dict[int, Element]:
        """The elements by offset; of one that was copied in repair the first."""
        found: dict[int, Element] = {}
        for element in self.elements:
            found.setdefault(element.offset, element)
        return found

    @cached_property
    def ends(self) -> Ends:
        """Where each element ends."""
        elements = list(range(1, len(self.elements) + 1))
        texts = self.first_text.copy()
        for text in self.texts:
            texts[text.parent.index] = text.index + 1
        for element in reversed(self.elements):
            if element.parent is not None:
                around, inside = element.parent.index, element.index
                if elements[inside] > elements[around]:  # noqa: PLR1730 -- `max` takes three times as long
                    elements[around] = elements[inside]
                if texts[inside] > texts[around]:  # noqa: PLR1730 -- as above
                    texts[around] = texts[inside]
        return Ends(elements, texts)

    @cached_property
    def blocks(self) -> Blocks:
        """Where lines begin and end."""
        nearest: list[int] = []
        before, begun = [0], 0
        for element in self.elements:
            if element.tag in BLOCKS:
                begun += 1
                nearest.append(element.index)
            else:
                nearest.append(-1 if element.parent is None else nearest[element.parent.index])
            before.append(begun)
        return Blocks(nearest, before)

    # --- places

    def spot(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1, the column in characters."""
        return self.places.spot(offset)

    @cached_property
    def _alignment(self) -> list[int]:
        return self.places.align(text.data for text in self.texts)

    def text_offset(self, index: int, position: int) -> int:
        """Where a character of a text stands in the source; the element's start tag where that cannot be said."""
        aligned = self._alignment[index]
        return max(self.texts[index].parent.offset, 0) if aligned < 0 else self.places.origin(aligned + position)

    # --- what is in it

    @cached_property
    def comments(self) -> tuple[Comment, ...]:
        """All comments in the order of the source."""
        return tuple(Comment(text, self.places.given(offset)) for text, offset in self.places.comments)

    @property
    def tags(self) -> Sequence[Tag]:
        """All tags as written, before any repair."""
        return self.places.tags

    @cached_property
    def values(self) -> dict[str, list[str]]:
        """The values of attributes as written, by name: for whoever asks whether there is anything to look for."""
        found: dict[str, list[str]] = {}
        for tag in self.tags:
            for name, value in tag.attributes:
                if name in found:
                    found[name].append(value)
                else:
                    found[name] = [value]
        return found

    def all(self, *tags: str) -> Iterator[Element]:
        """The elements with one of the given names, in document order."""
        found = [self._by_tag[tag] for tag in tags if tag in self._by_tag]
        if len(found) < 2:
            return iter(found[0] if found else ())
        return iter(sorted(chain.from_iterable(found), key=lambda element: element.index))

    @cached_property
    def _by_tag(self) -> dict[str, list[Element]]:
        found: dict[str, list[Element]] = {}
        for element in self.elements:
            found.setdefault(element.tag, []).append(element)
        return found

    @cached_property
    def _styles(self) -> Resolved:
        sheets = (
            element.text
            for element in self.all("style")
            if (element.get("media") or "all").strip().lower() in {"all", "screen", ""}
            and (element.get("type") or "text/css").lower() == "text/css"
        )
        return resolve(self.elements, sheets, self._room.work)

    @cached_property
    def styles(self) -> tuple[Style, ...]:
        """The computed style of each element, by its index."""
        return self._styles.styles

    @property
    def styles_complete(self) -> bool:
        """Whether the style sheets were understood in full; if not, less is called hidden."""
        return self._styles.complete

    @property
    def styles_cut(self) -> bool:
        """Whether the styles are so many that they were not worked out in full."""
        return self._styles.cut

    @cached_property
    def _shown(self) -> Shown:
        return Shown(text for text in self.texts if text.hidden is None)

    @property
    def visible_text(self) -> str:
        """What a reader sees: white space collapsed, a line for each block. Without alternative texts of images."""
        return self._shown.text

    def visible_offset(self, position: int) -> int:
        """Where a character of `visible_text` stands in the given text."""
        return self._shown.offset(position)

    @cached_property
    def hidden_texts(self) -> tuple[Text, ...]:
        """The texts in the body that CSS hides, blank ones and what is never rendered (style, title) left out."""
        return tuple(
            text
            for text in self.texts
            if text.hidden is not None and text.hidden is not Hidden.NOT_RENDERED and text.data.strip()
        )

    @cached_property
    def preheader(self) -> tuple[Text, ...]:
        """The hidden texts before the first visible one: what a client previews beside the subject."""
        first = next((text.index for text in self.texts if text.hidden is None and text.data.strip()), len(self.texts))
        return tuple(text for text in self.hidden_texts if text.index < first)

    @cached_property
    def title(self) -> str | None:
        """The text of the title element."""
        return next((" ".join(element.text.split()) for element in self.all("title")), None)

    @cached_property
    def base(self) -> Element | None:
        """The first base element with an href."""
        return next((element for element in self.all("base") if element.get("href") is not None), None)

    @cached_property
    def charset(self) -> tuple[str, int] | None:
        """The charset a meta element declares, in lower case, and the offset of the element."""
        for element in self.all("meta"):
            named = element.get("charset")
            if named is None and (element.get("http-equiv") or "").strip().lower() == "content-type":
                found = _CHARSET_IN_CONTENT.search(element.get("content") or "")
                named = found[1] if found else None
            if named:
                return named.strip().lower(), element.offset
        return None

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What is wrong with the markup: the tokeniser's parse errors, then nested, second and unclosed elements."""
        return (*self.faults_as_written, *self.unclosed())

    @cached_property
    def faults_as_written(self) -> tuple[Fault, ...]:
        """Those that the source shows by itself, without the unclosed elements.

        Parse errors are those of the first MAX_FAULTY characters, and of each code the first MAX_FAULTS.
        """
        found = list(self._parse_errors())
        link_open = body_open = False
        for tag in self.tags:
            if tag.name == "a":
                if link_open and not tag.is_end:
                    found.append(Fault("nested-a", tag.offset))
                link_open = not tag.is_end
            elif tag.name == "body" and not tag.is_end:
                if body_open:
                    found.append(Fault("second-body", tag.offset))
                body_open = True
        return tuple(found)

    @property
    def faults_cut(self) -> bool:
        """Whether the document was too large to be looked through for parse errors to its end."""
        return len(self.places.plain) > MAX_FAULTY

    def _parse_errors(self) -> Iterator[Fault]:
        places = self.places
        # The parser makes an object for every error at once: of a large document only the beginning is asked for them.
        beginning = places.plain[:MAX_FAULTY]
        errors = turbohtml.parse(beginning).errors if self.faults_cut else self._tree.errors
        counts: dict[str, int] = {}
        for error in errors:
            counts[error.code] = counts.get(error.code, 0) + 1
            if counts[error.code] > MAX_FAULTS or error.line > len(places.line_starts):
                continue
            if not (self.faults_cut and error.code.startswith("eof-")):  # it is the beginning that ends there
                yield Fault(error.code, places.given(min(places.line_starts[error.line - 1] + error.col, len(places.plain))))

    @cached_property
    def _closed(self) -> set[int]:
        """The offsets of elements that need an end tag and have it for certain: nearly all of a document that was written well.

        To ask the parser takes ten times as long. Where everything inside an element is nested in the tree as it is in the
        source, the element is the current node when its end tag comes, and is closed by it (HTML section 13.2.6.4.7).
        """
        closed: set[int] = set()
        if not _OTHERWISE.isdisjoint(self._by_tag):
            return closed
        opened: list[tuple[Element, int]] = []  # each with the number of surprises before it
        surprises = 0
        for tag in self.tags:
            if tag.is_end:
                if not opened or opened[-1][0].tag != tag.name:
                    surprises += 1
                    continue
                element, before = opened.pop()
                if before == surprises and tag.name not in _MAY_STAY_OPEN:
                    closed.add(element.offset)
                continue
            found = self.written_at.get(tag.offset)
            if found is None or found.tag != tag.name:
                surprises += 1
                continue
            around = found.parent
            while around is not None and around.offset < 0:
                around = around.parent
            if around is not (opened[-1][0] if opened else None):
                surprises += 1
            if tag.name not in _VOID:
                opened.append((found, surprises))
        return closed

    def unclosed(self, tags: Collection[str] | None = None) -> Iterator[Fault]:
        """Elements that need an end tag and have none: all, or only those of some names, since to ask each takes its time."""
        for element in self.written_at.values():  # a repaired element stands in the tree more than once
            if (
                element.offset >= 0
                and element.tag not in _MAY_STAY_OPEN
                and (tags is None or element.tag in tags)
                and element.offset not in self._closed
                and ((location := element.node.source_location) is None or location.end_tag is None)
                and element.node.namespace is turbohtml.Namespace.HTML
            ):
                yield Fault("unclosed-element", element.offset, element.tag)


def visible_text(texts: Iterable[Text]) -> str:
    """What a reader sees of some texts, white space collapsed, a line for each block."""
    seen = [text for text in texts if text.hidden is None]
    return collapsed(seen[0].data) if len(seen) == 1 else Shown(seen).text


def parse_html(text: str, room: Room | None = None) -> HtmlDocument:
    """Parse an HTML document or fragment; what it takes of `room` is taken off.

    Raises HtmlError over MAX_HTML, MAX_NODES, MAX_ATTRIBUTES or MAX_COPIES, or where `room` has not enough left, and nothing
    else.
    """
    room = room or Room()
    if len(text) > MAX_HTML:
        raise HtmlError(f"the document has {len(text)} characters, the limit is {MAX_HTML}", MAX_HTML)
    if len(text) > room.characters:
        raise HtmlError(f"all HTML of the message has more than {MAX_HTML} characters", room.characters)
    if room.documents <= 0:
        raise HtmlError(f"the message has more than {MAX_DOCUMENTS} HTML parts")
    room.documents -= 1
    room.characters -= len(text)
    return HtmlDocument(text, room)
