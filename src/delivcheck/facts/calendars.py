"""The calendar objects of a message: invitations, cancellations, published events (RFC 5545, RFC 6047)."""

from dataclasses import dataclass

from ..engine import fact
from ..mime.icalendar import Calendar, scan_calendar
from ..mime.message import Message, Part

MAX_TEXT = 2_000_000  # characters of one calendar that are read; Google Calendar imports no file above 1 MB
MAX_CALENDARS = 20  # of one message that are read; an invitation has two, the alternative and the attached copy

_TYPES = frozenset({"text/calendar", "application/ics"})

# RFC 5546 section 1.4: what asks the receiver's calendar to do something. PUBLISH only shows an event.
SCHEDULING = frozenset({"REQUEST", "REPLY", "ADD", "CANCEL", "REFRESH", "COUNTER", "DECLINECOUNTER"})
METHODS = SCHEDULING | {"PUBLISH"}


@dataclass(frozen=True, slots=True)
class CalendarPart:
    """One part with a calendar. `attached`: clients list it as a file; `alternative`: it stands for the text."""

    part: Part
    calendar: Calendar
    attached: bool
    alternative: bool

    @property
    def method(self) -> str | None:
        """METHOD of the object, upper case."""
        found = self.calendar.method
        return None if found is None else found.value.strip().upper()

    @property
    def declared(self) -> str | None:
        """The `method` parameter of Content-Type, upper case (RFC 6047 section 2.4)."""
        value = self.part.params.get("method")
        return None if value is None else value.strip().upper()

    @property
    def is_scheduling(self) -> bool:
        """Whether it is an iMIP body part that asks for something, by either of the two."""
        return self.method in SCHEDULING or self.declared in SCHEDULING


@dataclass(frozen=True, slots=True)
class Calendars:
    """All calendars of the message in its order, those of messages inside left out."""

    each: tuple[CalendarPart, ...]


@fact
def calendars(message: Message) -> Calendars:
    """Read each. `.ics` files of another type count where they begin as a calendar does."""
    found: list[CalendarPart] = []
    for part in message.leaves:
        if part.children or not (part.content_type in _TYPES or (part.filename or "").lower().endswith(".ics")):
            continue
        text = part.text[:MAX_TEXT]
        if part.content_type not in _TYPES and "BEGIN:VCALENDAR" not in text[:1000].upper():
            continue
        attached = part.disposition == "attachment" or part.content_type != "text/calendar"
        found.append(CalendarPart(part, scan_calendar(text), attached, not attached and _is_alternative(message, part)))
        if len(found) == MAX_CALENDARS:
            break
    return Calendars(tuple(found))


def _is_alternative(message: Message, part: Part) -> bool:
    around = message.parent(part)
    while around is not None and around.content_type != "multipart/alternative":
        around = message.parent(around)
    return around is not None
