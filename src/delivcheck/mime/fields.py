"""Header fields: one section of octets taken apart into fields, each with its raw octets, its text and its place."""

import re
from bisect import bisect_right
from itertools import accumulate
from typing import NamedTuple

from msgspec import Struct

from ..memo import lazy
from ..model import Where
from .defects import DefectKind, Defects, Limits, Room

_WELL_FORMED = re.compile(
    rb"([\x21-\x39\x3b-\x7e]+)([ \t]*):"
)  # RFC 5322 section 2.2; white space before the colon is section 4.5.8
_MBOX = re.compile(rb">?From ")
_LINE_END = re.compile(rb"\r?\n")
_BLANK_LINE = re.compile(rb"\n\r?\n")
STEP = 4096  # characters between two known offsets, as in charsets
_WSP = b" \t"
_SPACE, _TAB, _CR, _LF = 0x20, 0x09, 0x0D, 0x0A


class Field(Struct, frozen=True, eq=False, dict=True):
    """One header field as it stands in the message.

    `raw` are the octets after the colon, folding included, without the final line end. `offset` is that of the name's first
    octet in the message, `value_offset` that of the first octet of `raw`; `line` counts from 1 and the field covers
    `line_count` lines. `part` is the number of the MIME part whose header this is, None for the message's own.
    """

    name: str
    lower: str
    raw: bytes
    offset: int
    value_offset: int
    line: int
    line_count: int
    part: str | None = None

    @lazy
    def _unfolded(self) -> bytes:
        # RFC 5322 section 2.2.3: unfolding removes each CRLF before white space. Every line end in `raw` stands before white
        # space.
        return self.raw.replace(b"\r\n", b"").replace(b"\n", b"") if b"\n" in self.raw else self.raw

    @lazy
    def charset(self) -> str:
        """What `text` was decoded with: us-ascii, utf-8 (RFC 6532), or iso-8859-1 where the octets are neither."""
        if self.raw.isascii():
            return "us-ascii"
        try:
            self._unfolded.decode()
        except UnicodeDecodeError:
            return "iso-8859-1"
        return "utf-8"

    @lazy
    def text(self) -> str:
        """The value unfolded, without white space around it. Encoded-words stand as they are."""
        return self._unfolded.strip(_WSP).decode(self.charset)

    @property
    def at(self) -> Where:
        """The place of the whole field: its first line."""
        return Where(line=self.line, column=1, header=self.name, part=self.part)

    @lazy
    def _folds(self) -> tuple[list[int], list[int], list[int]]:
        """Of each line end in `raw`: where it stands in the unfolded value, the octets taken out up to it, where it ends."""
        places, taken, ends = [], [], []
        shift = 0
        for end in _LINE_END.finditer(self.raw):
            places.append(end.start() - shift)
            shift += end.end() - end.start()
            taken.append(shift)
            ends.append(end.end())
        return places, taken, ends

    @lazy
    def _lead(self) -> int:
        return len(self._unfolded) - len(self._unfolded.lstrip(_WSP))

    @lazy
    def _steps(self) -> list[int]:
        """The octets before every STEP-th character of a text in UTF-8."""
        text = self.text
        return list(accumulate((len(text[start : start + STEP].encode()) for start in range(0, len(text), STEP)), initial=0))

    def raw_offset(self, index: int) -> int:
        """Where in `raw` the octets of `text[index]` begin. Takes no longer in a long field than in a short one."""
        if self.charset == "utf-8":
            step = min(index // STEP, len(self._steps) - 1)
            index = self._steps[step] + len(self.text[step * STEP : index].encode())
        place = self._lead + index
        places, taken, _ = self._folds
        fold = bisect_right(places, place)
        return place + (taken[fold - 1] if fold else 0)

    def where(self, start: int = 0, end: int | None = None) -> Where:
        """The place of `text[start:end]`, wherever folding has put it; `end_column` stays on the line where it starts."""
        first = self.raw_offset(start)
        places, taken, ends = self._folds
        line = bisect_right(ends, first)
        column = first - ends[line - 1] + 1 if line else first + 1 + self.value_offset - self.offset
        last = None
        if end is not None:
            stop = self.raw_offset(end - 1) + 1 if end > start else first
            if self.charset == "utf-8" and end > start:
                stop += len(self.text[end - 1].encode()) - 1
            if line < len(ends):
                stop = min(stop, max(first, places[line] + (taken[line - 1] if line else 0)))
            last = column + stop - first
        return Where(line=self.line + line, column=column, end_column=last, header=self.name, part=self.part)


class Section(NamedTuple):
    """A header section: its fields, the offset where it ends (after the blank line), and how many fields it has in truth."""

    fields: tuple[Field, ...]
    end: int
    total: int
    line: int  # number of the line at `end`


class Scanner:
    """Takes header sections apart, in one pass over each.

    `stops` holds the delimiter lines of all multiparts that are open, without trailing white space: a section ends at one.
    """

    def __init__(self, data: bytes, limits: Limits) -> None:
        """Keep what all sections of a message share."""
        self.data = data
        self.limits = limits
        self.room = Room()
        self.left = limits.part_headers
        self.stops: dict[bytes, tuple[int, bool]] = {}

    def message_header(self) -> tuple[Section, Defects]:
        """The top-level section: the first blank line ends it.

        Lines before it that are no fields are defects, not body: what a signature or a relay takes for the header is what
        stands before the first blank line (RFC 5322 section 2.1, RFC 6376 section 2.4.4). If there is none at all, the body
        begins at the first line that cannot be a field.
        """
        blank = _BLANK_LINE.search(self.data)
        end = blank.start() + 1 if blank else len(self.data)
        if self.data.startswith((b"\r\n", b"\n")):
            end = 0
        defects = Defects(self.room)
        lenient = blank is not None or end == 0
        return self._section(0, end, 1, None, defects, room=self.limits.header_octets, lenient=lenient), defects

    def part_header(self, start: int, line: int, part: str) -> tuple[Section, Defects]:
        """The section of a part: a blank line ends it, and so does a delimiter or a line that cannot be a field.

        As of a message, an mbox separator line before it is passed over: forwarded messages begin with one.
        """
        defects = Defects(self.room)
        room = max(min(self.limits.header_octets, self.left), 0)
        section = self._section(start, len(self.data), line, part, defects, room=room, lenient=False)
        self.left -= section.end - start
        return section, defects

    def _section(
        self, start: int, end: int, line: int, part: str | None, defects: Defects, *, room: int, lenient: bool
    ) -> Section:
        data, limits = self.data, self.limits
        fields: list[Field] = []
        count = 0
        position = begin = start
        name = b""
        value = value_end = opened = -1  # of the field that is open, if `value` is not negative

        def close() -> None:
            nonlocal value
            if value < 0:
                return
            if count <= limits.fields:
                text = name.decode("utf-8", "replace")
                raw = data[value:value_end]
                fields.append(Field(text, text.lower(), raw, begin, value, opened, line - opened, part))
            value = -1

        def note(kind: DefectKind, message: str, column: int = 1, header: str | None = None) -> None:
            defects.add(kind, message, Where(line=line, column=column, header=header, part=part))

        while position < end:
            feed = data.find(b"\n", position, end)
            after = end if feed < 0 else feed + 1
            stop = after
            while stop > position and data[stop - 1] in (_LF, _CR):  # a line end, or several CR before one LF
                stop -= 1
            first = data[position]
            if stop == position:  # the blank line
                close()
                return Section(tuple(fields), after, count, line + 1)
            if position - start > room:
                what = "has more than" if room == limits.header_octets else "and those of the parts before it have more than"
                most = room if room == limits.header_octets else limits.part_headers
                note(DefectKind.HEADER_TOO_LARGE, f"the header section {what} {most} octets")
                close()
                if lenient:  # of the message: it still ends at its blank line; of a part it ends here
                    after = data.find(b"\n", end) + 1 or len(data)
                    return Section(tuple(fields), after, count, line + data.count(b"\n", position, after))
                return Section(tuple(fields), position, count, line)
            if first in (_SPACE, _TAB):
                if not data[position:stop].strip(_WSP):
                    note(DefectKind.BLANK_CONTINUATION, "a continuation line of nothing but white space")
                if value >= 0:
                    value_end = stop
                elif count == 0 and position == start:
                    note(DefectKind.LEADING_CONTINUATION, "the header section begins with a continuation line")
                line, position = line + 1, after
                continue
            close()
            if first == 0x2D and data.startswith(b"--", position) and data[position:stop].rstrip(_WSP) in self.stops:
                return Section(tuple(fields), position, count, line)  # RFC 2046 section 5.1.1: no body, so no blank line either
            match = _WELL_FORMED.match(data, position, stop)
            if match:
                name = match[1]
                if match[2]:
                    shown = name.decode()
                    note(DefectKind.SPACE_BEFORE_COLON, f"white space between {shown} and its colon", len(name) + 1, shown)
                begin, value = position, match.end()
            else:
                colon = data.find(b":", position, stop)
                if position == start and _MBOX.match(data, position, stop):
                    note(DefectKind.MBOX_LINE, "an mbox separator line stands before the header")
                    line, position = line + 1, after
                    continue
                if colon < 0 or not lenient:
                    if not lenient:
                        note(DefectKind.NO_BLANK_LINE, "a line that is no header field follows the header without a blank line")
                        return Section(tuple(fields), position, count, line)
                    note(DefectKind.NO_COLON, "a line in the header section has no colon and continues none")
                    line, position = line + 1, after
                    continue
                name = data[position:colon].rstrip(_WSP)
                if name:
                    note(DefectKind.BAD_NAME, f"the field name {_shown(name)} has octets that no name may have")
                else:
                    note(DefectKind.NO_NAME, "a header line begins with a colon")
                begin, value = position, colon + 1
            count += 1
            if count == limits.fields + 1:
                note(DefectKind.TOO_MANY_FIELDS, f"the header section has more than {limits.fields} fields")
            value_end, opened = max(stop, value), line
            line, position = line + 1, after
        close()
        if lenient:  # `end` is the blank line, or the octets begin with one
            after = data.find(b"\n", end) + 1
            return Section(tuple(fields), after or len(data), count, line + 1)
        return Section(tuple(fields), end, count, line)  # RFC 5322 section 3.5: a message may be fields alone


def _shown(name: bytes) -> str:
    return ascii(name[:40].decode("latin-1"))
