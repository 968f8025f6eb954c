"""The octets of a message, and where each of them stands: line, column, statistics of lines."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

BLOCK = 65_536  # octets between two known line numbers: counting line ends in one block takes microseconds
CHUNK = 1_048_576  # octets split into lines at a time, so that 150 MB of short lines do not become 50 M objects at once
FIRST_FEW = 50  # places kept of each fault; a report shows no more (engine.MAX_PROBLEMS)

_BARE_LF = re.compile(rb"(?<!\r)\n")
_BARE_CR = re.compile(rb"\r(?!\n)")
_NUL = re.compile(rb"\0")
_EIGHT_BIT = re.compile(rb"[\x80-\xff]")
_HIGH = bytes(range(0x80, 0x100))


def eight_bit(data: bytes) -> tuple[int, int]:
    """How many octets are above 0x7F, and the offset of the first (-1 if there is none)."""
    if data.isascii():
        return 0, -1
    first = _EIGHT_BIT.search(data)
    assert first is not None
    return len(data) - len(data.translate(None, _HIGH)), first.start()


class Spot(NamedTuple):
    """One octet: its line and column from 1, and its offset from 0."""

    line: int
    column: int
    offset: int


class Spots(NamedTuple):
    """How often something occurs, and the first FIRST_FEW places."""

    total: int
    first: tuple[Spot, ...]


class Line(NamedTuple):
    """One line: its number from 1, its length in octets without the line end, and the offset of its first octet."""

    number: int
    length: int
    offset: int


@dataclass(frozen=True, slots=True)
class Lines:
    """Line statistics of a message. The top-level header section is the header; every other line counts as body.

    Lines end at CRLF or at a bare LF; a bare CR ends none (RFC 5322 section 2.3: CR and LF occur only together). The longest
    lines are None where there is no line.
    """

    longest_header: Line | None
    longest_body: Line | None
    bare_cr: Spots
    bare_lf: Spots
    nul: Spots
    eight_bit_header: Spots
    eight_bit_body: int  # octets above 0x7F after the header section


@dataclass(frozen=True, eq=False)
class Source:
    """The message as given. Offsets count from 0, lines and columns from 1."""

    data: bytes

    @cached_property
    def _line_ends_before(self) -> list[int]:
        """How many LF stand before each BLOCK."""
        counts = [0]
        for start in range(0, len(self.data) - BLOCK, BLOCK):
            counts.append(counts[-1] + self.data.count(b"\n", start, start + BLOCK))
        return counts

    def line_of(self, offset: int) -> int:
        """The number of the line an offset stands on."""
        block = min(offset // BLOCK, len(self._line_ends_before) - 1)
        return self._line_ends_before[block] + self.data.count(b"\n", block * BLOCK, offset) + 1

    def spot(self, offset: int) -> Spot:
        """Line and column of an offset; one beyond the end is the end."""
        offset = max(0, min(offset, len(self.data)))
        return Spot(self.line_of(offset), offset - self.data.rfind(b"\n", 0, offset), offset)

    def line_end(self, offset: int) -> int:
        """Where the line of an offset ends, its line end not counted."""
        end = self.data.find(b"\n", offset)
        if end < 0:
            return len(self.data)
        return end - 1 if end > offset and self.data[end - 1] == 0x0D else end

    def lines(self, start: int = 0, end: int | None = None) -> Iterator[Line]:
        """All lines between two offsets; the first must begin a line."""
        number = self.line_of(start)
        for lines in self._split(start, len(self.data) if end is None else end):
            for line in lines:
                yield Line(number, len(line) - line.endswith(b"\r"), start)
                number += 1
                start += len(line) + 1

    def longer_than(self, limit: int) -> Iterator[Line]:
        """The lines of more octets than a limit, line ends not counted."""
        number, start = 1, 0
        for lines in self._split(0, len(self.data)) if len(self.data) > limit else ():
            if max(map(len, lines)) > limit:  # nearly never: otherwise nothing is made of the lines
                for each in lines:
                    length = len(each) - each.endswith(b"\r")
                    if length > limit:
                        yield Line(number, length, start)
                    number += 1
                    start += len(each) + 1
            else:
                number += len(lines)
                start += sum(map(len, lines)) + len(lines)

    def statistics(self, header_end: int) -> Lines:
        """Count and measure; `header_end` is where the header section ends."""
        data = self.data
        pairs, feeds, returns = data.count(b"\r\n"), data.count(b"\n"), data.count(b"\r")
        header, body = data[:header_end], data[header_end:]
        alike = pairs in {0, feeds}
        return Lines(
            longest_header=self._longest(0, header_end, alike),
            longest_body=self._longest(header_end, len(data), alike),
            bare_cr=self._spots(_BARE_CR, returns - pairs),
            bare_lf=self._spots(_BARE_LF, feeds - pairs),
            nul=self._spots(_NUL, data.count(b"\0")),
            eight_bit_header=self._spots(_EIGHT_BIT, eight_bit(header)[0], header_end),
            eight_bit_body=eight_bit(body)[0],
        )

    def _split(self, start: int, end: int) -> Iterator[list[bytes]]:
        while start < end:
            cut = self.data.find(b"\n", start + CHUNK, end) + 1 or end
            yield self.data[start : cut - (self.data[cut - 1] == 0x0A)].split(b"\n")
            start = cut

    def _longest(self, start: int, end: int, alike: bool) -> Line | None:
        """The first longest line. Where line ends differ, one without CR beats one as long with."""
        best, where = -1, start
        for lines in self._split(start, end):
            lengths = list(map(len, lines))
            longest = max(lengths)
            number = lengths.index(longest)
            if not alike:
                plain = (n for n, line in enumerate(lines) if lengths[n] == longest and not line.endswith(b"\r"))
                number = next(plain, number)
            length = longest - lines[number].endswith(b"\r")
            if length > best:
                best, where = length, start + sum(lengths[:number]) + number
            start += sum(lengths) + len(lengths)
        return None if best < 0 else Line(self.line_of(where), best, where)

    def _spots(self, pattern: re.Pattern[bytes], total: int, end: int | None = None) -> Spots:
        if not total:
            return Spots(0, ())
        found = pattern.finditer(self.data, 0, len(self.data) if end is None else end)
        return Spots(total, tuple(self.spot(match.start()) for match, _ in zip(found, range(FIRST_FEW), strict=False)))
