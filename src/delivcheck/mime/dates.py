"""Date and time of Date and Received (RFC 5322 sections 3.3 and 4.3)."""

import re
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

from msgspec import Struct

from .lexer import Lexer

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY_NUMBER = {name.lower(): number for number, name in enumerate(_DAYS)}
_MONTH_NUMBER = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}

# RFC 5322 section 4.3: the zones that mean something; the military letters mean -0000, since they were once defined wrongly.
_OBSOLETE_ZONES = {
    "ut": 0, "gmt": 0, "est": -300, "edt": -240, "cst": -360, "cdt": -300, "mst": -420, "mdt": -360, "pst": -480, "pdt": -420,
}  # fmt: skip

_WORD = re.compile(r"[A-Za-z]+")
_NUMBER = re.compile(r"[0-9]+")
_OFFSET = re.compile(r"([+-])([0-9]+)")
_MIN_YEAR = 1900  # RFC 5322 section 3.3


class ObsoleteDate(StrEnum):
    """Forms of RFC 5322 section 4.3: understood, never to be generated."""

    NAMED_ZONE = "named-zone"
    SHORT_YEAR = "short-year"
    COMMENT_INSIDE = "comment-inside"  # a comment before the end


class DateTime(Struct, frozen=True):
    """A date-time. `moment` has the zone it was written with; second 60 of a leap second becomes the next second.

    `unknown_zone` tells of -0000: the time is UTC and says nothing of the place (RFC 5322 section 3.3). `span` leaves out white
    space and comments around the date.
    """

    moment: datetime
    span: tuple[int, int]
    unknown_zone: bool = False
    leap_second: bool = False
    obsolete: tuple[ObsoleteDate, ...] = ()
    comments: tuple[str, ...] = ()


def parse_date(value: str) -> DateTime:
    """Read a date-time. Raises HeaderError for what is out of range and for a weekday that does not fit the date."""
    lexer = Lexer(value)
    found = _date(lexer)
    lexer.cfws()
    if not lexer.done:
        lexer.fail("something stands after the date")
    return found


def _date(lexer: Lexer) -> DateTime:
    obsolete = []
    lexer.cfws()
    start = lexer.pos
    weekday, weekday_at = None, start
    if name := lexer.take(_WORD):
        weekday = _DAY_NUMBER.get(name[0].lower())
        if weekday is None:
            lexer.fail(f"{name[0][:20]!r} is no day of the week", start)
        lexer.cfws()
        lexer.expect(",", "a comma should follow the day of the week")
        lexer.cfws()
    day_at = lexer.pos
    day = _number(lexer, "day", 1, 2)
    lexer.cfws()
    month_at = lexer.pos
    name = lexer.take(_WORD)
    if name is None:
        lexer.fail("the month is missing")
    month = _MONTH_NUMBER.get(name[0].lower())
    if month is None:
        lexer.fail(f"{name[0][:20]!r} is no month", month_at)
    lexer.cfws()
    year_at = lexer.pos
    year = _number(lexer, "year", 2, 9)
    digits = lexer.pos - year_at
    if digits < 4:  # RFC 5322 section 4.3: two digits 00-49 are 2000-2049, other two and all three count from 1900
        obsolete.append(ObsoleteDate.SHORT_YEAR)
        year += 2000 if digits == 2 and year < 50 else 1900
    if not _MIN_YEAR <= year <= 9999:
        lexer.fail(f"the year {year} is out of range", year_at)
    lexer.cfws()
    hour, minute, second = _time(lexer)
    lexer.cfws()
    comments = len(lexer.comments)
    offset, unknown, named = _zone(lexer)
    if named:
        obsolete.append(ObsoleteDate.NAMED_ZONE)
    if comments:
        obsolete.append(ObsoleteDate.COMMENT_INSIDE)
    end = lexer.pos
    leap = second == 60  # RFC 5322 section 3.3: allowed, for a leap second
    zone = UTC if not offset else timezone(timedelta(minutes=offset))
    try:
        moment = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=zone)
    except ValueError:
        lexer.fail(f"there is no {day} {_MONTHS[month - 1]} {year}", day_at)
    if weekday is not None and moment.weekday() != weekday:  # RFC 5322 section 3.3: must be the day implied by the date
        lexer.fail(f"{day} {_MONTHS[month - 1]} {year} was no {_DAYS[weekday]}, but a {_DAYS[moment.weekday()]}", weekday_at)
    if leap:
        try:
            moment += timedelta(seconds=1)
        except OverflowError:
            lexer.fail("the year is out of range", year_at)
    try:
        moment.astimezone(UTC)  # so that whoever compares moments need not fear the ends of the calendar
    except OverflowError:
        lexer.fail("the year is out of range", year_at)
    lexer.cfws()
    return DateTime(moment, (start, end), unknown, leap, tuple(obsolete), tuple(lexer.comments))


def _number(lexer: Lexer, what: str, least: int, most: int) -> int:
    start = lexer.pos
    found = lexer.take(_NUMBER)
    if found is None:
        lexer.fail(f"the {what} is missing")
    if not least <= len(found[0]) <= most:
        lexer.fail(f"the {what} has {len(found[0])} digits", start)
    return int(found[0])


def _time(lexer: Lexer) -> tuple[int, int, int]:
    at = lexer.pos
    hour = _number(lexer, "hour", 2, 2)
    lexer.cfws()
    lexer.expect(":", "a colon should follow the hour")
    lexer.cfws()
    minute = _number(lexer, "minute", 2, 2)
    second = 0
    after = lexer.pos
    lexer.cfws()
    if lexer.next == ":":
        lexer.pos += 1
        lexer.cfws()
        second = _number(lexer, "second", 2, 2)
    else:
        lexer.pos = after
    if hour > 23 or minute > 59 or second > 60:
        lexer.fail(f"there is no time {hour:02}:{minute:02}:{second:02}", at)
    return hour, minute, second


def _zone(lexer: Lexer) -> tuple[int, bool, bool]:
    """Minutes east of Greenwich, whether the place is unknown (-0000), and whether it was a name."""
    start = lexer.pos
    if offset := lexer.take(_OFFSET):
        if len(offset[2]) != 4:
            lexer.fail("a time zone has four digits", start)
        hours, minutes = int(offset[2][:2]), int(offset[2][2:])
        if minutes > 59 or hours > 23:
            lexer.fail(f"there is no time zone {offset[0]}", start)
        total = hours * 60 + minutes
        return (-total if offset[1] == "-" else total), offset[0] == "-0000", False
    name = lexer.take(_WORD)
    if name is None:
        lexer.fail("the time zone is missing")
    known = name[0].lower()
    if known in _OBSOLETE_ZONES:
        return _OBSOLETE_ZONES[known], False, True
    if len(known) > 1 or known == "j":
        lexer.fail(f"{name[0][:20]!r} is no time zone", start)
    return 0, known != "z", True
