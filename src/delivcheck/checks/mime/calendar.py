"""Rules about invitations: what calendars of Outlook, Gmail and Apple need to offer "Accept" (RFC 5545, RFC 6047)."""

from collections.abc import Iterator
from urllib.parse import unquote

from ...engine import rule
from ...facts.calendars import METHODS, SCHEDULING, CalendarPart, Calendars
from ...facts.content import place
from ...mime.headers import HeaderError, parse_mailbox
from ...mime.icalendar import CalendarFault, Property
from ...model import Findings, Level, NotApplicable, Problem, Undetermined, Where
from ...saying import shortened

_SHOWN = 80  # characters of a value in a message
_EVENTS = frozenset({"VEVENT", "VTODO", "VJOURNAL"})
_UNREAD = frozenset({CalendarFault.TOO_LARGE, CalendarFault.TOO_DEEP})
_ASKS_ATTENDEES = frozenset({"REQUEST"})  # RFC 5546 section 3.2.2: ATTENDEE 1+, ORGANIZER 1, DTSTART 1


def _at(one: CalendarPart, property_: Property) -> Where:
    return one.part.where_text(property_.start, property_.end)


def _shown(text: str) -> str:
    return shortened(text, _SHOWN)


def _scheduling(found: Calendars) -> tuple[CalendarPart, ...]:
    asking = tuple(one for one in found.each if one.is_scheduling)
    if not asking:
        raise NotApplicable("the message has no invitation")
    return asking


@rule("mime/calendar-method-mismatch")
def calendar_method_mismatch(found: Calendars) -> Findings:
    if not found.each:
        raise NotApplicable("the message has no calendar")
    for one in found.each:
        header, inside = one.declared, one.calendar.method
        where = place(one.part, "content-type")
        if one.part.content_type != "text/calendar":
            continue  # RFC 6047 section 2.4 speaks of text/calendar; the attached copy needs no parameter
        if header is None:
            # Note 2 there: without the parameter it is no invitation. A published event needs to be none.
            if one.method in SCHEDULING:
                what = f"METHOD is {one.method}, and Content-Type has no method parameter"
                yield Problem(what, where, fix=f"Content-Type: text/calendar; method={one.method}; charset=UTF-8")
        elif inside is None:
            if one.calendar.components:
                yield Problem(f"Content-Type has method={_shown(header)}, and the calendar has no METHOD", where)
        elif header != one.method:  # "the same (ignoring case)"
            yield Problem(f"Content-Type has method={_shown(header)}, the calendar METHOD:{_shown(one.method or '')}", where)
        elif header not in METHODS:  # RFC 5546 section 1.4
            yield Problem(f"METHOD:{_shown(header)} is no method", _at(one, inside))


@rule("mime/calendar-not-alternative")
def calendar_not_alternative(found: Calendars) -> Findings:
    asking = _scheduling(found)
    if any(one.alternative for one in asking):
        return
    shown = next((one for one in asking if not one.attached), None)
    if shown is None:
        method = asking[0].method or asking[0].declared
        where = place(asking[0].part, "content-disposition", "content-type")
        yield Problem(f"the calendar with METHOD:{method} is attached and stands in no multipart/alternative", where)
    elif shown.part.path != "1":  # the whole message may be the calendar (RFC 6047 section 4.1)
        what = "the calendar stands beside the text and not in multipart/alternative with it"
        yield Problem(what, place(shown.part, "content-type"), Level.NOTE)


@rule("mime/calendar-address-invalid")
def calendar_address_invalid(found: Calendars) -> Findings:
    for one in _scheduling(found):
        for property_ in one.calendar.properties:
            if property_.name in {"ORGANIZER", "ATTENDEE"}:
                fault = _address_fault(property_.value.strip())
                if fault is not None:
                    yield Problem(f"{property_.name} {fault}: {_shown(property_.value)}", _at(one, property_))


def _address_fault(value: str) -> str | None:
    """Why a calendar address is no mailto URI with one bare address (RFC 6047 section 2.3, RFC 6068 section 2)."""
    scheme, colon, rest = value.partition(":")
    if not colon or scheme.lower() != "mailto":
        return "is no mailto: address"
    address = unquote(rest.partition("?")[0])
    if "<" in address or " " in address.strip():
        return "has a name beside the address"
    try:
        parse_mailbox(address)
    except HeaderError:
        return "has no mail address after mailto:"
    return None


@rule("mime/calendar-incomplete")
def calendar_incomplete(found: Calendars) -> Findings:
    if not found.each:
        raise NotApplicable("the message has no calendar")
    for one in found.each:
        for flaw in one.calendar.flaws:
            where = one.part.where_text(flaw.start)
            if flaw.fault in _UNREAD:
                yield Undetermined(str(flaw.fault), where)
            else:
                yield Problem(f"{_shown(flaw.about)} {flaw.fault}".strip(), where)
        if one.calendar.components[:1] == ("VCALENDAR",):
            yield from _missing(one)
        # RFC 6047 section 2.4: UTF-8, and declared as soon as there is more than ASCII
        charset = one.part.charset
        if charset not in {None, "utf-8", "us-ascii"} and one.part.content_type == "text/calendar":
            where = place(one.part, "content-type")
            yield Problem(f"the calendar is in {_shown(charset or '')}, not in UTF-8", where)


def _missing(one: CalendarPart) -> Iterator[Problem]:
    """What a calendar and its events must have (RFC 5545 sections 3.6 and 3.6.1, RFC 5546 section 3.2.2)."""
    calendar = one.calendar
    has: dict[int, set[str]] = {}
    for property_ in calendar.properties:
        has.setdefault(property_.component, set()).add(property_.name)
    for number, name in enumerate(calendar.components):
        wanted: tuple[str, ...] = ()
        if name == "VCALENDAR":
            wanted = ("VERSION", "PRODID")
        elif name in _EVENTS:
            wanted = ("UID", "DTSTAMP")
            if name == "VEVENT" and one.method in _ASKS_ATTENDEES:
                wanted += ("DTSTART", "ORGANIZER", "ATTENDEE")
        lacking = [word for word in wanted if word not in has.get(number, ())]
        if lacking:
            yield Problem(f"{name} has no {' and no '.join(lacking)}", one.part.where_text(calendar.begins[number]))
