"""iCalendar as mail carries it (RFC 5545): its properties in order, each with its component and place.

`scan_calendar` never raises: it returns what can be read and every fault with its place. Values are not interpreted.
"""

import re
from collections.abc import Iterator
from enum import StrEnum

from msgspec import Struct

MAX_PROPERTIES = 20_000  # looked at; a public holiday calendar of ten years has 2,000
MAX_DEPTH = 10  # components within one another; RFC 5545 knows three (VCALENDAR, VEVENT, VALARM)
MAX_FAULTS = 20  # kept; one program makes the same mistake in every line

_NAME = re.compile(r"[A-Za-z0-9-]+")  # RFC 5545 section 3.1: iana-token and x-name
_PARAMETER = re.compile(r';([A-Za-z0-9-]+)=((?:"[^"\r\n]*+"|[^";:,\r\n]*+)(?:,(?:"[^"\r\n]*+"|[^";:,\r\n]*+))*+)')
# Section 3.1: a line that begins with white space goes on; bare LF is read too, since receivers do.
_FOLD = re.compile(r"\r?\n[ \t]")
_END = re.compile(r"\r?\n")
_BLANK = re.compile(r"[\r\n]++")


class CalendarFault(StrEnum):
    """What is wrong with the form of a calendar, in words that a message can use."""

    NO_CALENDAR = "no calendar begins with BEGIN:VCALENDAR"
    NOT_CLOSED = "is not closed by its END"
    WRONG_END = "is closed where it is not open"
    NO_COLON = "a line has no colon after its name"
    TOO_LARGE = f"the calendar has more than {MAX_PROPERTIES} lines, the rest was not looked at"
    TOO_DEEP = f"components stand more than {MAX_DEPTH} deep in one another, the rest was not looked at"


class Property(Struct, frozen=True):
    """One content line. `name` and parameter names are upper case; `value` is as written, unfolded.

    `component` counts the components of the calendar in order of their BEGIN, 0 is the outermost; `inside` is its name.
    `start` and `end` are characters of the text, the line end left out.
    """

    name: str
    parameters: tuple[tuple[str, str], ...]
    value: str
    component: int
    inside: str
    start: int
    end: int


class Flaw(Struct, frozen=True):
    """A fault with the component or line that it is about and its place in the text."""

    fault: CalendarFault
    about: str
    start: int


class Calendar(Struct, frozen=True):
    """All properties in order. `components` are the names by number, `begins` the place of each BEGIN."""

    properties: tuple[Property, ...]
    components: tuple[str, ...]
    begins: tuple[int, ...]
    flaws: tuple[Flaw, ...] = ()

    def of(self, name: str, component: int | None = None) -> Iterator[Property]:
        """The properties of a name (upper case), of one component or of all."""
        return (one for one in self.properties if one.name == name and component in {None, one.component})

    @property
    def method(self) -> Property | None:
        """METHOD of the first calendar (RFC 5545 section 3.7.2)."""
        return next((one for one in self.of("METHOD") if one.inside == "VCALENDAR"), None)


def scan_calendar(text: str) -> Calendar:
    """Read a calendar as far as it can be read. Never raises, takes time in proportion to the text."""
    found: list[Property] = []
    components: list[str] = []
    begins: list[int] = []
    flaws: list[Flaw] = []
    opened: list[int] = []

    def note(fault: CalendarFault, about: str, start: int) -> None:
        if len(flaws) < MAX_FAULTS:
            flaws.append(Flaw(fault, about, start))

    lines = 0
    for start, end, line in _lines(text):
        lines += 1
        if lines > MAX_PROPERTIES:
            note(CalendarFault.TOO_LARGE, "", start)
            break
        name = _NAME.match(line)
        if name is None or line[name.end() : name.end() + 1] not in {":", ";"}:
            if opened:  # before a calendar begins there may be anything
                note(CalendarFault.NO_COLON, line[:40], start)
            continue
        parameters, value = _rest(line, name.end())
        if value is None:
            note(CalendarFault.NO_COLON, line[:40], start)
            continue
        upper, word = name[0].upper(), value.strip().upper()
        if upper == "BEGIN":
            if len(opened) == MAX_DEPTH:
                note(CalendarFault.TOO_DEEP, word[:40], start)
                break
            opened.append(len(components))
            components.append(word[:40])
            begins.append(start)
        elif upper == "END":
            if opened and components[opened[-1]] == word[:40]:
                opened.pop()
            else:
                note(CalendarFault.WRONG_END, word[:40], start)
        elif opened:
            found.append(Property(upper, parameters, value, opened[-1], components[opened[-1]], start, end))
    else:
        for number in opened:
            note(CalendarFault.NOT_CLOSED, components[number], begins[number])
    if not components or components[0] != "VCALENDAR":
        flaws.insert(0, Flaw(CalendarFault.NO_CALENDAR, "", 0))
    return Calendar(tuple(found), tuple(components), tuple(begins), tuple(flaws))


def _lines(text: str) -> Iterator[tuple[int, int, str]]:
    """Content lines, unfolded, with their places; empty ones left out."""
    start = 0
    while start < len(text):
        blank = _BLANK.match(text, start)
        start = blank.end() if blank else start
        end = len(text)
        for found in _END.finditer(text, start):
            if text[found.end() : found.end() + 1] not in {" ", "\t"}:
                end = found.start()
                break
        line = text[start:end]
        if line.strip():
            yield start, end, _FOLD.sub("", line).lstrip("\ufeff")
        after = _END.match(text, end)
        start = after.end() if after else len(text)


def _rest(line: str, at: int) -> tuple[tuple[tuple[str, str], ...], str | None]:
    """Parameters and value of a line from behind its name; no value where no colon follows."""
    parameters = []
    while found := _PARAMETER.match(line, at):
        parameters.append((found[1].upper(), found[2]))
        at = found.end()
    return tuple(parameters), line[at + 1 :] if line[at : at + 1] == ":" else None
