"""One line of a message or one DNS record, with the place that a problem is about marked below it."""

from collections.abc import Iterator
from dataclasses import dataclass

from .paint import MIN_COLUMNS, Paint, cells, decoded, shown

CONTEXT = 4 * MIN_COLUMNS  # octets kept on either side of a mark before measuring: a line may have a million
MAX_CONTINUATION = 3  # octets after the first of a character in UTF-8, RFC 3629 section 3
TAB = "    "  # as rustc shows one


@dataclass(frozen=True, slots=True)
class _Cell:
    """One character as printed, and which octets (or characters) of the source it stands for."""

    start: int
    end: int
    text: str
    width: int


def of_octets(line: bytes, mark: tuple[int, int] | None, paint: Paint, gutter: str) -> list[str]:
    """A line of a message; `mark` is a half-open range of octets in it."""
    low, high = _around(len(line), mark)
    for _ in range(MAX_CONTINUATION):
        if low > 0 and line[low] & 0xC0 == 0x80:  # not into the middle of a character
            low -= 1
    measured = list(_measured(decoded(line[low:high]), low, paint, octets=True))
    return _frame(measured, (low > 0, high < len(line)), mark, paint, gutter)


def of_text(record: str, mark: tuple[int, int] | None, paint: Paint, gutter: str) -> list[str]:
    """A DNS record; `mark` is a half-open range of characters in it."""
    low, high = _around(len(record), mark)
    measured = list(_measured(record[low:high], low, paint, octets=False))
    return _frame(measured, (low > 0, high < len(record)), mark, paint, gutter)


def _around(length: int, mark: tuple[int, int] | None) -> tuple[int, int]:
    start = min(mark[0], length) if mark else 0
    return max(0, start - CONTEXT), min(length, start + CONTEXT)


def _measured(text: str, start: int, paint: Paint, *, octets: bool) -> Iterator[_Cell]:
    for character in text:
        size = len(character.encode("utf-8", "surrogateescape")) if octets else 1
        printed = TAB if character == "\t" else paint.plain(shown(character))
        yield _Cell(start, start + size, printed, cells(printed))
        start += size


def _frame(line: list[_Cell], cut: tuple[bool, bool], mark: tuple[int, int] | None, paint: Paint, gutter: str) -> list[str]:
    room = paint.width - cells(gutter)
    first, last = _marked(line, mark)
    dots = paint.plain("…")
    start, end = _window(line, first, last, room - 2 * len(dots))
    before = dots if start > 0 or cut[0] else ""
    after = dots if end < len(line) or cut[1] else ""
    source = before + "".join(cell.text for cell in line[start:end]) + after
    if mark is None:
        return [f"{gutter}{source}"]
    indent = len(before) + sum(cell.width for cell in line[start:first])
    length = max(1, sum(cell.width for cell in line[first : min(last, end)]))
    return [f"{gutter}{source}", f"{gutter}{' ' * indent}{paint('mark', '^' * length)}"]


def _marked(line: list[_Cell], mark: tuple[int, int] | None) -> tuple[int, int]:
    """Indexes of the first cell that the mark touches and of the one after the last."""
    if mark is None:
        return 0, 0
    begin, stop = mark[0], max(mark[1], mark[0] + 1)
    first = next((index for index, cell in enumerate(line) if cell.end > begin), len(line))
    last = next((index for index in range(first, len(line)) if line[index].start >= stop), len(line))
    return first, last


def _window(line: list[_Cell], first: int, last: int, room: int) -> tuple[int, int]:
    """The stretch of the line to print: all of it, or what fits around the mark, its beginning before its end."""
    if sum(cell.width for cell in line) <= room:
        return 0, len(line)
    start = end = min(first, len(line))
    used = 0
    while end < min(last, len(line)) and used + line[end].width <= room:
        used += line[end].width
        end += 1
    lead = (room - used) // 2  # half of what is left goes before the mark, unless the line begins sooner
    while start > 0 and lead >= line[start - 1].width:
        start -= 1
        lead -= line[start].width
        used += line[start].width
    while end < len(line) and used + line[end].width <= room:
        used += line[end].width
        end += 1
    while start > 0 and used + line[start - 1].width <= room:
        start -= 1
        used += line[start].width
    return start, end
