"""One message: what happened to it, recipient by recipient, what the rules said, its header, and how it looks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ... import ulid
from ...trace import messages
from ...trace.keys import Scope
from ...trace.messages import Event, Moment
from .. import letters
from ..site import Answer, Page, Refusal, Visit

EACH = 12  # recipients who have a timeline of their own; more share one
LINKS = 200  # links that are listed
SOMEBODY = "somebody"  # who opened or clicked where tracking is aggregate

# Details of events that are shown in words of ours, in this order; any others follow under their own names.
_DETAILS = {
    "reply": "reply",
    "code": "code",
    "status": "status",
    "class": "cause",
    "text": "text",
    "reason": "because",
    "cause": "because",
    "why": "because",
    "by": "by",
    "next_hop": "next hop",
    "url": "link",
}
_BESIDE = ("rules", "rule", "as", "repeats")  # shown as links


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a timeline. `rules` and `traces` are linked."""

    kind: str
    at: int
    source: str
    actor: str
    details: tuple[tuple[str, str], ...]
    rules: tuple[str, ...]
    traces: tuple[str, ...]
    recipients: tuple[str, ...] = ()


def line(event: Event | Moment, recipients: tuple[str, ...] = ()) -> Line:
    """An event as the page tells it."""
    detail = event.detail
    rules = [*_texts(detail.get("rules")), *_texts(detail.get("rule"))]
    traces = [one for name in ("as", "repeats") for one in _texts(detail.get(name)) if ulid.valid(one)]
    return Line(
        str(event.kind),
        event.at,
        event.source,
        event.actor or "",
        tuple(details(detail)),
        tuple(dict.fromkeys(rules)),
        tuple(dict.fromkeys(traces)),
        recipients,
    )


def details(detail: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Details as pairs of name and text, those that we have words for first."""
    said = {name: value for name, value in detail.items() if value not in (None, "", [], {}) and name not in _BESIDE}
    if "text" in said and "reply" not in said:  # a bounce's: code, status and text are what the server said
        said["reply"] = " ".join(str(said.pop(name)) for name in ("code", "status", "text") if name in said)
    if "url" in said:
        said.pop("link", None)  # its number
    for name in (*(name for name in _DETAILS if name in said), *(name for name in said if name not in _DETAILS)):
        yield _DETAILS.get(name, name.replace("_", " ")), _text(said[name])


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(one)}" for name, one in value.items() if one not in (None, ""))
    return msgspec.json.encode(value).decode()


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value] if value else []
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def show(visit: Visit) -> Answer:
    """The page."""
    trace = visit.path("trace").upper()
    with visit.desk.store.read() as db:
        found = messages.get(db, visit.tenant, trace) if ulid.valid(trace) else None
        octets = messages.body(db, visit.tenant, trace) if found is not None and found.has_body else None
    if found is None:
        raise Refusal(404, "there is no such message, or none that you may see")
    each = len(found.recipients) <= EACH
    by_recipient: dict[str, list[Line]] = {}
    for event in found.events:
        by_recipient.setdefault(event.recipient, []).append(line(event))
    results = sorted(found.results, key=lambda one: (_LEVELS.get(one.level, 9), one.outcome, one.rule))
    return visit.page(
        "message.html",
        message=found,
        somebody=SOMEBODY,
        each=[(one, by_recipient.get(one.address, [])) for one in found.recipients] if each else [],
        together=[] if each else [line(one, tuple(to or SOMEBODY for to in one.recipients)) for one in found.timeline()],
        results=results,
        fields=letters.fields(found.headers + b"\r\n") if found.headers is not None else (),
        letter=letters.letter(octets) if octets is not None else None,
        links=found.links[:LINKS],
    )


_LEVELS = {"error": 0, "warning": 1, "note": 2}


def html(visit: Visit) -> Answer:
    """Its HTML, for the frame of the page."""
    trace = visit.path("trace").upper()
    with visit.desk.store.read() as db:
        octets = messages.body(db, visit.tenant, trace) if ulid.valid(trace) else None
    answer = None if octets is None else letters.framed(octets)
    if answer is None:
        raise Refusal(404, "there is nothing of this message to show")
    return answer


PAGES = (
    Page("GET", "/messages/{trace}", Scope.READ, show),
    Page("GET", "/messages/{trace}/html", Scope.READ, html),
)
