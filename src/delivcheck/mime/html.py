"""HTML of mail: the one seam over turbohtml. Elements, texts, comments and what can be seen, with places in the text as given.

turbohtml builds the tree by the HTML standard and tokenises with positions. Both see the text with its line ends normalised,
since turbohtml's own offsets are wrong where there is a CR; every offset that leaves this module counts characters of the text
that was given.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from html import unescape
from typing import Any, NamedTuple

import turbohtml
from msgspec import Struct

from .cascade import Hidden, Style, resolve

MAX_HTML = 10_485_760  # characters; rspamd's max_html_len
MAX_NODES = 100_000  # elements and texts; rspamd stops at 8,192 tags, the largest newsletter of our corpora has 3,000
MAX_SEARCHES = 100  # texts out of order that are looked for in the source, each in linear time
MAX_COPIES = 200_000  # elements that repairing unclosed formatting could make; see _copies

# HTML section 13.2.4.3
_FORMATTING = frozenset({"a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"})
_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "body", "br", "caption", "center", "dd", "details", "dialog", "dir", "div",
    "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup",
    "hr", "html", "li", "main", "menu", "nav", "ol", "option", "p", "pre", "search", "section", "summary", "table", "tbody",
    "td", "tfoot", "th", "thead", "tr", "ul",
})  # fmt: skip
_VOID = frozenset({
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
})  # fmt: skip
# HTML section 13.1.2.4 lets td, th and tr stay open too; in mail an open cell is a mistake that breaks the layout.
_MAY_STAY_OPEN = _VOID | {
    "html", "head", "body", "p", "li", "dt", "dd", "option", "optgroup", "tbody", "thead", "tfoot", "colgroup", "caption",
    "rt", "rp",
}  # fmt: skip
_CR = re.compile(r"\r\n?")
_COLLAPSIBLE = re.compile(r"[ \t\n\r\f]+")
_REFERENCE = re.compile(r"&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[0-9A-Za-z]+);?")
_CHARSET_IN_CONTENT = re.compile(r"charset\s*=\s*[\"']?([^\s;\"']+)", re.IGNORECASE)


class HtmlError(ValueError):
    """The text is too large, or would become too large when repaired. `position` is the offset where the limit was met."""

    def __init__(self, message: str, position: int = 0) -> None:
        """Keep the reason, one clause, and the offset."""
        super().__init__(message)
        self.position = position


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


class Tag(NamedTuple):
    """A start or end tag as written, before any repair."""

    name: str
    is_end: bool
    offset: int
    attributes: tuple[tuple[str, str], ...]


class Element(Struct, frozen=True, eq=False):
    """An element of the tree, in document order by `index`. `offset` is that of its start tag, -1 if the parser supplied it.

    `attributes` are as written, in order, names in lower case, character references resolved, duplicates kept.
    """

    document: "HtmlDocument"
    index: int
    tag: str
    attributes: tuple[tuple[str, str], ...]
    parent: "Element | None"
    offset: int
    node: Any  # turbohtml's own, for what is rarely asked for

    def get(self, name: str) -> str | None:
        """The value of an attribute, None if it is missing; of a duplicate the first counts (HTML section 13.2.5.33)."""
        for each, value in self.attributes:
            if each == name:
                return value
        return None

    def attribute(self, name: str) -> Attribute | None:
        """An attribute with its place."""
        value = self.get(name)
        if value is None or self.offset < 0:
            return None
        location = self.node.source_location
        span = location.attrs.get(name) if location else None
        if span is None:
            return None
        given = self.document.given
        return Attribute(name, value, given(span.start_offset), given(span.end_offset))

    @property
    def end(self) -> int:
        """The offset after the start tag; -1 if the parser supplied it."""
        location = self.node.source_location
        return -1 if location is None else self.document.given(location.start_tag.end_offset)

    @property
    def end_tag(self) -> int | None:
        """The offset of the end tag; None where the source has none."""
        location = self.node.source_location
        return None if location is None or location.end_tag is None else self.document.given(location.end_tag.start_offset)

    @property
    def line(self) -> int:
        """The line of the start tag in the given text, from 1."""
        return self.document.spot(self.offset)[0]

    @property
    def column(self) -> int:
        """The column of the start tag in the given text, from 1, in characters."""
        return self.document.spot(self.offset)[1]

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
        return self.document.elements[self.index + 1 : self.document.ends[self.index][0]]

    @property
    def texts(self) -> Sequence["Text"]:
        """The texts inside, in document order, hidden ones too."""
        document = self.document
        return document.texts[document.first_text[self.index] : document.ends[self.index][1]]

    def first_descendants(self, limit: int) -> Sequence["Element"]:
        """The first elements inside: for whoever asks many elements, which may hold one another."""
        return self.document.elements[self.index + 1 : min(self.index + 1 + limit, self.document.ends[self.index][0])]

    def first_texts(self, limit: int) -> Sequence["Text"]:
        """The first texts inside."""
        first = self.document.first_text[self.index]
        return self.document.texts[first : min(first + limit, self.document.ends[self.index][1])]

    @property
    def text(self) -> str:
        """All text inside as it stands in the source, hidden or not, character references resolved."""
        return "".join(text.data for text in self.texts)

    @property
    def visible_text(self) -> str:
        """What a reader sees of it, white space collapsed."""
        return visible_text(self.texts)


class Text(Struct, frozen=True, eq=False):
    """A run of text, character references resolved."""

    document: "HtmlDocument"
    index: int
    data: str
    parent: Element

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


class _Run(NamedTuple):
    """A text token: its characters, where it begins and ends in the normalised text."""

    data: str
    start: int
    end: int


class HtmlDocument:
    """A parsed document. Made once, never changed; styles, texts and places are worked out when first asked for.

    `source` is the text as given, `elements` and `texts` are in document order, `comments` and `tags` in the order of the
    source.
    """

    def __init__(self, source: str) -> None:
        """Parse; see `parse_html`."""
        self.source = source
        self._bom = source.startswith("\ufeff")  # the parser takes it for text that begins the body
        plain = source[1:] if self._bom else source
        self._crlf: list[int] = []
        if "\r" in plain:
            removed = 0
            for found in _CR.finditer(plain):
                if found.end() - found.start() == 2:
                    self._crlf.append(found.start() - removed)
                    removed += 1
            plain = _CR.sub("\n", plain)
        self._plain = plain
        self._line_starts = [0, *(found.end() for found in re.finditer("\n", plain))]
        self._runs: list[_Run] = []
        self._tags: list[tuple[str, bool, int, list[tuple[str, str]]]] = []
        self._comments: list[tuple[str, int]] = []
        self._tokenise()
        tree = turbohtml.parse(plain, source_locations=True)
        self._tree = tree
        self._walk(tree)

    # --- building

    def _tokenise(self) -> None:
        starts, size = self._line_starts, len(self._plain)
        text, start_tag, end_tag, comment = (
            turbohtml.TokenType.TEXT,
            turbohtml.TokenType.START_TAG,
            turbohtml.TokenType.END_TAG,
            turbohtml.TokenType.COMMENT,
        )
        pending: tuple[str, int] | None = None
        token: Any  # turbohtml says that each of its fields may be None, which depends on the kind
        for token in turbohtml.tokenize(self._plain):
            kind = token.type
            offset = starts[token.line - 1] + token.col
            if pending is not None:
                self._runs.append(_Run(pending[0], pending[1], offset))
                pending = None
            if kind == start_tag:
                self._tags.append((token.tag, False, offset, token.attrs))
            elif kind == text:
                pending = (token.data, offset)
            elif kind == end_tag:
                self._tags.append((token.tag, True, offset, []))
            elif kind == comment:
                self._comments.append((token.data, offset))
        if pending is not None:
            self._runs.append(_Run(pending[0], pending[1], size))
        if _copies(self._tags) > MAX_COPIES:
            raise HtmlError(f"repairing unclosed elements would make more than {MAX_COPIES} copies")
        if len(self._tags) + len(self._runs) > MAX_NODES:
            raise HtmlError(
                f"the document has more than {MAX_NODES} tags and texts", self.given(self._tags[-1][2]) if self._tags else 0
            )

    def _walk(self, tree: Any) -> None:
        """Turn the tree into lists. A stack instead of recursion; `None` on it closes an element."""
        starts = self._line_starts
        by_offset = {offset: attributes for _, is_end, offset, attributes in self._tags if not is_end}
        elements: list[Element] = []
        texts: list[Text] = []
        self.elements: Sequence[Element] = elements
        self.texts: Sequence[Text] = texts
        self.first_text: list[int] = []
        self.ends: list[tuple[int, int]] = []  # of each element: the index after its last descendant, and after its last text
        given = self.given
        waiting: list[tuple[Any, Element | None]] = [(node, None) for node in reversed(tree.children)]
        while waiting:
            node, parent = waiting.pop()
            if node is None:
                assert parent is not None
                self.ends[parent.index] = (len(elements), len(texts))
                continue
            kind = type(node)
            if len(elements) + len(texts) > MAX_NODES + MAX_COPIES:
                raise HtmlError(f"the repaired document has more than {MAX_NODES + MAX_COPIES} nodes")
            if kind is turbohtml.Element:
                position = node.position
                offset = -1
                attributes: tuple[tuple[str, str], ...] = ()
                if position is not None:
                    place = starts[position[0] - 1] + position[1]
                    offset, attributes = given(place), tuple(by_offset.get(place, ()))
                element = Element(self, len(elements), node.tag, attributes, parent, offset, node)
                elements.append(element)
                self.first_text.append(len(texts))
                self.ends.append((0, 0))
                waiting.append((None, element))
                waiting.extend((child, element) for child in reversed(node.children))
            elif kind is turbohtml.Text and parent is not None:
                texts.append(Text(self, len(texts), node.data, parent))

    # --- places

    def given(self, offset: int) -> int:
        """The offset in the given text of one in the normalised text."""
        return offset + self._bom + (bisect_left(self._crlf, offset) if self._crlf else 0)

    @cached_property
    def _given_lines(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer(r"\r\n?|\n", self.source))]

    def spot(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset in the given text, both from 1; lines end at CRLF, CR or LF."""
        line = bisect_right(self._given_lines, max(offset, 0))
        return line, max(offset, 0) - self._given_lines[line - 1] + 1

    @cached_property
    def _alignment(self) -> list[int]:
        """Where each text begins in the concatenation of all text tokens; -1 where that cannot be said.

        The tree leaves out white space here and there and moves text out of tables; nearly always the next text of the tree is
        the next of the source.
        """
        stream = self._stream
        found: list[int] = []
        position = ahead = searches = 0
        for text in self.texts:
            data = text.data
            for start in (position, ahead):
                place = start
                if not stream.startswith(data, place):
                    blank = _COLLAPSIBLE.match(stream, start)
                    place = blank.end() if blank else start
                if stream.startswith(data, place):
                    position = place + len(data)
                    break
            else:
                blank = _COLLAPSIBLE.fullmatch(data)
                place = position if blank else -1
                if not blank and searches < MAX_SEARCHES:
                    searches += 1
                    # Text that was moved out of a table has its own place further on, and may be put together from several
                    # runs.
                    lead = len(data) - len(data.lstrip())
                    key = data[lead : lead + 24]
                    place = stream.find(key, position)
                    place = (stream.find(key) if place < 0 else place) - lead
                    ahead = place + len(data)
            found.append(max(place, -1))
        return found

    @cached_property
    def _stream(self) -> str:
        return "".join(run.data for run in self._runs)

    @cached_property
    def _run_starts(self) -> list[int]:
        starts, total = [], 0
        for run in self._runs:
            starts.append(total)
            total += len(run.data)
        return starts

    def text_offset(self, index: int, position: int) -> int:
        """Where a character of a text stands in the given text; the element's start tag where that cannot be said."""
        aligned = self._alignment[index]
        if aligned < 0:
            return max(self.texts[index].parent.offset, 0)
        place = aligned + position
        number = max(bisect_right(self._run_starts, place) - 1, 0)
        run = self._runs[number]
        return self.given(run.start + self._in_run(run, place - self._run_starts[number]))

    def _in_run(self, run: _Run, position: int) -> int:
        """Characters of source before a character of a text token: more where character references stand before it."""
        if len(run.data) == run.end - run.start:
            return position
        source = self._plain[run.start : run.end]
        made = used = 0
        for found in _REFERENCE.finditer(source):
            made += found.start() - used
            if made >= position:
                return found.start() - (made - position)
            length = len(unescape(found[0]))
            used = found.end()
            if made + length > position:
                return found.start()
            if length > 1 and found[0][-1] != ";":  # a prefix was a reference: &notit is ¬it
                used = found.end() - (length - 1)
                length = 1
            made += length
        return min(used + position - made, len(source))

    # --- what is in it

    @cached_property
    def comments(self) -> tuple[Comment, ...]:
        """All comments in the order of the source."""
        return tuple(Comment(text, self.given(offset)) for text, offset in self._comments)

    @cached_property
    def tags(self) -> tuple[Tag, ...]:
        """All tags as written, before any repair."""
        return tuple(Tag(name, is_end, self.given(offset), tuple(found)) for name, is_end, offset, found in self._tags)

    def all(self, *tags: str) -> Iterator[Element]:
        """The elements with one of the given names, in document order."""
        return (element for element in self.elements if element.tag in tags)

    @cached_property
    def _styles(self) -> tuple[tuple[Style, ...], bool]:
        sheets = (
            element.text
            for element in self.all("style")
            if (element.get("media") or "all").strip().lower() in {"all", "screen", ""}
            and (element.get("type") or "text/css").lower() == "text/css"
        )
        return resolve(self.elements, sheets)

    @property
    def styles(self) -> tuple[Style, ...]:
        """The computed style of each element, by its index."""
        return self._styles[0]

    @property
    def styles_complete(self) -> bool:
        """Whether the style sheets were understood in full; if not, less is called hidden."""
        return self._styles[1]

    @cached_property
    def _shown(self) -> "_Shown":
        return _Shown(text for text in self.texts if text.hidden is None)

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

    @cached_property
    def faults(self) -> tuple[Fault, ...]:
        """What is wrong with the markup: the tokeniser's parse errors, then unclosed, nested and second elements."""
        found = [
            Fault(error.code, self.given(min(self._line_starts[error.line - 1] + error.col, len(self._plain))))
            for error in self._tree.errors
            if error.line <= len(self._line_starts)
        ]
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
        found += self._unclosed()
        return tuple(found)

    def _unclosed(self) -> Iterator[Fault]:
        """Elements that need an end tag and have none."""
        seen = set()
        for element in self.elements:
            if element.offset < 0 or element.offset in seen:
                continue
            seen.add(element.offset)  # a repaired element stands in the tree more than once
            if (
                element.tag not in _MAY_STAY_OPEN
                and element.end_tag is None
                and element.node.namespace is turbohtml.Namespace.HTML
            ):
                yield Fault("unclosed-element", element.offset, element.tag)


class _Shown:
    """Visible text put together, remembering where each piece came from."""

    def __init__(self, texts: Iterator[Text]) -> None:
        pieces: list[str] = []
        self._starts: list[int] = []
        self._origins: list[tuple[Text, int]] = []
        size = 0
        ends = "\n"  # what the text ends with: no blank begins it
        block: Element | None = None
        for text in texts:
            around = _block(text.parent)
            if around is not block and pieces and ends != "\n":
                pieces.append("\n")
                size, ends = size + 1, "\n"
            block = around
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


def visible_text(texts: Iterable[Text]) -> str:
    """What a reader sees of some texts, white space collapsed, a line for each block."""
    return _Shown(text for text in texts if text.hidden is None).text


def _block(element: Element | None) -> Element | None:
    while element is not None and element.tag not in _BLOCKS:
        element = element.parent
    return element


def _copies(tags: Sequence[tuple[str, bool, int, list[tuple[str, str]]]]) -> int:
    """A bound on the elements that the parser makes beyond those written.

    Formatting elements left open are opened again in each block that follows (HTML section 13.2.4.3), up to three of a kind: 500
    unclosed ones before 10,000 paragraphs would make five million.
    """
    open_by_name: dict[str, list[Any]] = {}
    open_of_kind: dict[Any, int] = {}
    total = open_now = 0
    for name, is_end, _, attributes in tags:
        if name in _FORMATTING:
            stack = open_by_name.setdefault(name, [])
            if not is_end:
                kind = (name, *map(tuple, attributes))
                open_of_kind[kind] = open_of_kind.get(kind, 0) + 1
                open_now += open_of_kind[kind] <= 3
                stack.append(kind)
            elif stack:
                kind = stack.pop()
                open_now -= open_of_kind[kind] <= 3
                open_of_kind[kind] -= 1
        elif not is_end and open_now > 3:
            total += min(open_now, 512)  # turbohtml lets no tree grow deeper
    return total


def parse_html(text: str) -> HtmlDocument:
    """Parse an HTML document or fragment. Raises HtmlError over MAX_HTML, MAX_NODES or MAX_COPIES, and nothing else."""
    if len(text) > MAX_HTML:
        raise HtmlError(f"the document has {len(text)} characters, the limit is {MAX_HTML}", MAX_HTML)
    return HtmlDocument(text)
