"""The source of an HTML document: line ends normalised for the parser, its tokens, the way back to the text as given.

turbohtml's own offsets are wrong where there is a CR (1.15.4 counts CRLF once for elements, twice for attributes), so it
never sees one. Every offset that leaves this module counts characters of the text that was given.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import cached_property
from html import unescape
from itertools import accumulate, chain
from typing import Any

import turbohtml
from msgspec import Struct

MAX_NODES = 100_000  # tags and texts; rspamd stops at 8,192 tags, the largest newsletter of our corpora has 3,000
MAX_COPIES = 200_000  # elements that repairing unclosed formatting could make; see _copies
# Of one tag. An element is asked for its attributes again and again, and repair copies it with all of them. The XML parsers of
# Java stop at 200 (jdk.xml.elementAttributeLimit), a newsletter's largest tags have 20.
MAX_ATTRIBUTES = 500
MAX_SEARCHES = 100  # texts out of order that are looked for in the source, each in linear time
MAX_DEPTH = 512  # turbohtml, like browsers, lets no tree grow deeper

# HTML section 13.2.4.3
_FORMATTING = frozenset({"a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"})
_CR = re.compile(r"\r\n?")
_BLANK = re.compile(r"[ \t\n\r\f]*")
_REFERENCE = re.compile(r"&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[0-9A-Za-z]+);?")


class HtmlError(ValueError):
    """The text is too large, or would become too large when repaired. `position` is the offset where the limit was met."""

    def __init__(self, message: str, position: int = 0) -> None:
        """Keep the reason, one clause, and the offset."""
        super().__init__(message)
        self.position = position


class Run(Struct, frozen=True, eq=False, gc=False):
    """A text token: its characters, where it begins and ends in the normalised text."""

    data: str
    start: int
    end: int


class Tag(Struct, frozen=True, eq=False, gc=False):
    """A start or end tag as written, before any repair. `offset` is in the text as given, `plain_offset` in the normalised."""

    name: str
    is_end: bool
    offset: int
    attributes: tuple[tuple[str, str], ...]
    plain_offset: int


class HtmlSource:
    """A text made ready for the parser (`plain`), its tokens in order, and the maps between the two texts."""

    def __init__(self, text: str, max_nodes: int = MAX_NODES) -> None:
        """Normalise and tokenise. Raises HtmlError where the tree would become too large."""
        self.text = text
        self._max_nodes = max_nodes
        self._bom = text.startswith("\ufeff")  # the parser takes it for text that begins the body
        plain = text[1:] if self._bom else text
        self._crlf = array("I")  # where in `plain` line ends stand that were CRLF
        pairs = plain.count("\r\n")
        # Where all line ends are CRLF, as in mail, an offset is as many characters further on as its line has lines before it.
        self._alike = pairs == plain.count("\n") == plain.count("\r")
        if self._alike:
            plain = plain.replace("\r\n", "\n")
        elif "\r" in plain:
            for found in _CR.finditer(plain):
                if found.end() - found.start() == 2:
                    self._crlf.append(found.start() - len(self._crlf))
            plain = _CR.sub("\n", plain)
        self.plain = plain
        lengths = map(len, plain.split("\n")[:-1])
        self.line_starts = array("I", accumulate((length + 1 for length in lengths), initial=0))
        if self._alike:
            self._crlf.extend(start - 1 for start in self.line_starts[1:])
        self.tags: list[Tag] = []
        self.comments: list[tuple[str, int]] = []
        self._tokenise()

    def _tokenise(self) -> None:
        starts, tags, comments, most = self.line_starts, self.tags, self.comments, self._max_nodes
        by_line = (
            None if self._crlf and not self._alike else int(self._alike)
        )  # how much further on each line is, see `given_on`
        shift = self._bom - self._alike
        kinds = turbohtml.TokenType
        text, start_tag, end_tag, comment = kinds.TEXT, kinds.START_TAG, kinds.END_TAG, kinds.COMMENT
        count = text_before = 0  # a text counts when the next token comes
        token: Any  # turbohtml says that each of its fields may be None, which depends on the kind
        for token in turbohtml.tokenize(self.plain):
            kind = token.type
            count += text_before
            if kind is text:
                text_before = 1
            else:
                text_before = 0
                line = token.line
                offset = starts[line - 1] + token.col
                if kind is comment:
                    comments.append((token.data, offset))
                    count += 1
                elif kind is start_tag or kind is end_tag:
                    given = self.given(offset) if by_line is None else offset + shift + line * by_line
                    attributes = tuple(token.attrs) if kind is start_tag else ()  # a list made anew each time
                    tags.append(Tag(token.tag, kind is end_tag, given, attributes, offset))
                    count += 1
                    if len(attributes) > MAX_ATTRIBUTES:
                        raise HtmlError(f"a tag has more than {MAX_ATTRIBUTES} attributes", given)
            if count > most:
                offset = self.given(starts[token.line - 1] + token.col)
                raise HtmlError(f"the document has more than {most} tags, texts and comments", offset)
        if _copies(tags) > MAX_COPIES:
            raise HtmlError(f"repairing unclosed elements would make more than {MAX_COPIES} copies")

    @cached_property
    def runs(self) -> list[Run]:
        """The text tokens in order: they are many, and asked for only where a place in a text is told."""
        starts, found = self.line_starts, []
        pending: tuple[str, int] | None = None
        token: Any
        for token in turbohtml.tokenize(self.plain, capture_attributes=False):
            offset = starts[token.line - 1] + token.col
            if pending is not None:
                found.append(Run(*pending, offset))
            pending = (token.data, offset) if token.type is turbohtml.TokenType.TEXT else None
        if pending is not None:
            found.append(Run(*pending, len(self.plain)))
        return found

    # --- places

    def given(self, offset: int) -> int:
        """The offset in the text as given of one in `plain`."""
        return offset + self._bom + (bisect_left(self._crlf, offset) if self._crlf else 0)

    def given_on(self, line: int, offset: int) -> int:
        """The same where the offset's line in `plain`, from 1, is known."""
        return offset + self._bom + line - 1 if self._alike else self.given(offset)

    @cached_property
    def _given_lines(self) -> "array[int]":
        return array("I", chain((0,), (found.end() for found in re.finditer(r"\r\n?|\n", self.text))))

    def spot(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset in the text as given, both from 1; lines end at CRLF, CR or LF."""
        line = bisect_right(self._given_lines, max(offset, 0))
        return line, max(offset, 0) - self._given_lines[line - 1] + 1

    @cached_property
    def _stream(self) -> str:
        """All text tokens, one after the other."""
        return "".join(run.data for run in self.runs)

    @cached_property
    def _run_starts(self) -> list[int]:
        starts, total = [], 0
        for run in self.runs:
            starts.append(total)
            total += len(run.data)
        return starts

    def align(self, texts: Iterable[str]) -> list[int]:
        """Where each text of the tree begins in the stream of text tokens; -1 where that cannot be said.

        The tree leaves out white space here and there and moves text out of tables; nearly always the next text of the tree is
        the next of the source.
        """
        stream = self._stream
        found: list[int] = []
        position = ahead = searches = 0
        behind_blank: dict[int, int] = {}
        for data in texts:
            for start in (position, ahead):
                place = start
                if not stream.startswith(data, place):
                    if start not in behind_blank:
                        behind_blank[start] = _end_of_blank(stream, start)
                    place = behind_blank[start]
                if stream.startswith(data, place):
                    position = place + len(data)
                    break
            else:
                lead = _end_of_blank(data, 0)
                place = position if lead == len(data) else -1
                if place < 0 and searches < MAX_SEARCHES:
                    searches += 1
                    # Text that was moved out of a table stands further on, and may be put together from several tokens.
                    key = data[lead : lead + 24]
                    place = stream.find(key, position)
                    place = max((stream.find(key) if place < 0 else place) - lead, -1)
                    ahead = place + len(data) if place >= 0 else ahead
            found.append(place)
        return found

    def origin(self, place: int) -> int:
        """The offset in the text as given of a character of the stream."""
        number = max(bisect_right(self._run_starts, place) - 1, 0)
        run = self.runs[number]
        return self.given(run.start + self._in_run(run, place - self._run_starts[number]))

    def _in_run(self, run: Run, position: int) -> int:
        """Characters of source before a character of a text token: more where character references stand before it."""
        if len(run.data) == run.end - run.start:
            return position
        source = self.plain[run.start : run.end]
        made = used = 0
        for found in _REFERENCE.finditer(source):
            made += found.start() - used
            if made >= position:
                return found.start() - (made - position)
            characters = unescape(found[0])
            if characters == found[0]:  # no reference at all
                used = found.start()
                continue
            used = found.end()
            if found[0][-1] != ";":  # only a prefix may have been one: &notit is ¬it
                used -= len(characters) - 1
                characters = characters[:1]
            made += len(characters)
            if made > position:
                return found.start()
        return min(used + position - made, len(source))


def _end_of_blank(text: str, start: int) -> int:
    found = _BLANK.match(text, start)
    assert found is not None
    return found.end()


def _copies(tags: Sequence[Tag]) -> int:
    """A bound on the elements that the parser makes beyond those written.

    Formatting elements left open are opened again in each block that follows (HTML section 13.2.4.3), up to three of a kind:
    500 unclosed ones before 10,000 paragraphs would make five million.
    """
    if _most_open(tags) <= 3:
        return 0
    open_by_name: dict[str, list[Any]] = {}
    open_of_kind: dict[Any, int] = {}
    total = open_now = 0
    for tag in tags:
        name, is_end = tag.name, tag.is_end
        if name in _FORMATTING:
            stack = open_by_name.setdefault(name, [])
            if not is_end:
                kind = (name, tag.attributes)
                open_of_kind[kind] = open_of_kind.get(kind, 0) + 1
                open_now += open_of_kind[kind] <= 3
                stack.append(kind)
            elif stack:
                kind = stack.pop()
                open_now -= open_of_kind[kind] <= 3
                open_of_kind[kind] -= 1
        elif not is_end and open_now > 3:
            total += min(open_now, MAX_DEPTH)
    return total


def _most_open(tags: Sequence[Tag]) -> int:
    """How many formatting elements are open at once, at most."""
    opened: dict[str, int] = {}
    now = most = 0
    for tag in tags:
        name = tag.name
        if name in _FORMATTING:
            if not tag.is_end:
                opened[name] = opened.get(name, 0) + 1
                now += 1
                most = max(most, now)
            elif opened.get(name):
                opened[name] -= 1
                now -= 1
    return most
