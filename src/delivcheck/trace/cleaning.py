"""Records made fit for the tables: what no database keeps is replaced, what is absurdly long is cut, and it is told.

A record is written by the gate, but what stands in it comes from mail, reports and clicks. It must never hold up what
comes behind it.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from .. import ulid
from .model import DEFAULT_TENANT, Actor, Kind, Reason, Tracking, normal
from .records import Event, Message

MAX_NAME = 255  # characters of what `tally.value` holds
MAX_ADDRESS = 320  # characters: 64 + 1 + 255, RFC 3696 erratum 1690
MAX_ID = 512  # characters of what has an index: PostgreSQL's hold rows of 2,704 octets, a character has up to four
MAX_TEXT = 2_000  # characters of free text; RFC 5322 section 2.1.1 has lines of 998, and a subject may be folded
MAX_URL = 8_192  # characters; browsers and proxies commonly take that much in a request line
MAX_PROBLEMS = 50
MAX_RECIPIENTS = 50_000  # of one message; Postfix takes 1,000 by default, Exim as many as come
MAX_TAGS = 10  # as at Mailgun and SendGrid
MAX_RULES = 1_000
MAX_LINKS = 10_000
MAX_DETAIL = 65_536  # characters of an event's detail
MAX_DEPTH = 8
MAX_ITEMS = 200
MAX_MOMENT = 253_402_300_799_999  # the end of the year 9999
MAX_OCTETS = 104_857_600  # of a header or body that is kept; no provider takes mail of 100 MB
LARGEST = 2**63 - 1  # BIGINT

EVENTS_ONLY, ENVELOPE, JUDGED = 0, 1, 2  # `message.known`
NOBODY = ""  # `recipient.normal` of nobody in particular

# Never done by all recipients at once: a pixel that is the same for all says that somebody opened, and not who.
PERSONAL = frozenset({Kind.OPENED, Kind.CLICKED, Kind.UNSUBSCRIBED, Kind.COMPLAINED})

Row = dict[str, Any]


class Unfit(ValueError):  # noqa: N818 -- reads well in an except clause
    """Nothing can be made of this record; says why."""


class Cleaner:
    """Cleans one record; `did` says whether there was anything to do."""

    def __init__(self) -> None:
        self.did = False

    def text(self, value: str, most: int = MAX_TEXT) -> str:
        """Free text: too much of it is cut."""
        value = self._plain(value)
        if len(value) <= most:
            return value
        self.did = True
        return f"{value[: most - 1]}…"

    def name(self, value: str, most: int = MAX_NAME) -> str:
        """What tells one thing from another: where it is cut, a hash keeps it from being taken for its neighbour."""
        value = self._plain(value)
        if len(value) <= most:
            return value
        self.did = True
        if most < 26:
            return value[:most]
        return f"{value[: most - 17]}~{hashlib.sha256(value.encode()).hexdigest()[:16]}"

    def number(self, value: int, most: int = LARGEST) -> int:
        """A count or a moment."""
        if 0 <= value <= most:
            return value
        self.did = True
        return min(max(value, 0), most)

    def some(self, values: Sequence[Any], most: int) -> Sequence[Any]:
        """So many of them."""
        if len(values) <= most:
            return values
        self.did = True
        return values[:most]

    def octets(self, value: bytes | None) -> bytes | None:
        """A header or body as it is, or the beginning of one that is too large."""
        if value is None or len(value) <= MAX_OCTETS:
            return value
        self.did = True
        return value[:MAX_OCTETS]

    def detail(self, value: Mapping[str, Any]) -> str:
        """JSON, as small as what people look at must be."""
        if not value:
            return "{}"
        try:
            text = msgspec.json.encode(self._value(value, MAX_DEPTH)).decode()
        except (TypeError, ValueError, OverflowError):
            self.did = True
            return '{"unreadable":true}'
        if len(text) > MAX_DETAIL:
            self.did = True
            return '{"too_large":true}'
        return text

    def _plain(self, value: str) -> str:
        """Without NUL, which PostgreSQL's text has not, and without lone surrogates, which UTF-8 has not."""
        if value.isascii():
            if "\0" not in value:
                return value
        else:
            try:
                value.encode()
                if "\0" not in value:
                    return value
            except UnicodeEncodeError:
                value = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        self.did = True
        return value.replace("\0", "\ufffd")

    def _value(self, value: Any, depth: int) -> Any:
        match value:
            case str():
                return self.text(value, MAX_URL)
            case bool() | None:
                return value
            case int() if -LARGEST <= value <= LARGEST:
                return value
            case float() if math.isfinite(value):
                return value
            case Mapping() if depth:
                return {
                    self.name(str(key)): self._value(one, depth - 1) for key, one in self.some(list(value.items()), MAX_ITEMS)
                }
            case list() | tuple() if depth:
                return [self._value(one, depth - 1) for one in self.some(value, MAX_ITEMS)]
        self.did = True
        return str(type(value).__name__)


@lru_cache(maxsize=65_536)
def compared(address: str) -> str:
    """`model.normal` of a cleaned address, which is the same for each of its events."""
    return Cleaner().name(normal(address), MAX_ADDRESS)


def recipients(clean: Cleaner, message: Message) -> list[tuple[str, str]]:
    """(normal, as it came) in the order of the envelope, each once."""
    found: dict[str, str] = {}
    for one in clean.some(message.recipients, MAX_RECIPIENTS):
        address = clean.name(one, MAX_ADDRESS)
        found.setdefault(compared(address), address)
    return list(found.items())


def message_row(clean: Cleaner, message: Message) -> Row:
    """The row of `message`, but its tenant. Raises Unfit."""
    if not ulid.valid(message.trace):
        raise Unfit("the trace is no ULID")
    text, name = clean.text, clean.name
    return {
        "id": message.trace,
        "received": clean.number(message.received, MAX_MOMENT),
        "gate": name(message.gate),
        "framing": name(message.framing, 16),
        "listener": name(message.listener, 64),
        "client": text(message.client, MAX_NAME),
        "stream": name(message.stream),
        "class": name(message.message_class, 16),
        "template": name(message.template),
        "mail_from": name(message.mail_from, MAX_ADDRESS),
        "from_domain": name(message.from_domain),
        "subject": text(message.subject),
        "message_id": name(message.message_id, MAX_ID),
        "queue_id": name(message.queue_id, MAX_ID),
        "size": clean.number(message.size),
        "sha256": name(message.sha256, 64),
        "verdict": name(message.verdict, 8),
        "policy": text(message.policy),
        "action": name(message.action, 8),
        "rules": _json([name(one, 128) for one in clean.some(message.rules, MAX_RULES)]),
        "reason": text(message.reason),
        "bypass": text(message.bypass),
        "mode": name(message.mode, 8),
        "next_hop": text(message.next_hop),
        "judge_ms": message.judge_ms if 0 <= message.judge_ms < 1e12 else 0.0,
        "tracking": str(Tracking(message.tracking)),
        "held": name(message.held, 26),
        "headers": clean.octets(message.headers),
        "body": clean.octets(message.body),
    }


def _json(values: list[str]) -> str:
    return msgspec.json.encode(values).decode() if values else "[]"


def tenant(clean: Cleaner, name: str) -> str:
    """A tenant's name."""
    return clean.name(name, 64) or DEFAULT_TENANT


def tags(clean: Cleaner, message: Message) -> list[str]:
    """Each once, in order."""
    return list(dict.fromkeys(clean.name(one, 128) for one in clean.some(message.tags, MAX_TAGS) if one))


def results(clean: Cleaner, message: Message) -> list[Row]:
    """The rows of `result`, but message and tenant: one for each rule."""
    rows: dict[str, Row] = {}
    for one in clean.some(message.results, MAX_RULES):
        rule = clean.name(one.rule, 128)
        problems = [clean.text(problem) for problem in clean.some(one.problems, MAX_PROBLEMS)]
        rows.setdefault(
            rule,
            {
                "rule": rule,
                "outcome": clean.name(one.outcome, 16),
                "level": clean.name(one.level, 8),
                "problems": _json(problems),
            },
        )
    return list(rows.values())


def links(clean: Cleaner, message: Message) -> list[str]:
    """Targets in the order of their numbers."""
    return [clean.text(one, MAX_URL) for one in clean.some(message.links, MAX_LINKS)]


def suppressed(said: Any) -> tuple[Reason, str] | None:
    """What an event's `detail["suppress"]` says: why, and in which stream ("": all); None where it says nothing of the kind."""
    if not isinstance(said, Mapping):
        return None
    try:
        return Reason(said.get("reason", "")), Cleaner().name(str(said.get("stream") or ""))
    except ValueError:
        return None


def event_key(clean: Cleaner, event: Event) -> str:
    """The id as the table holds it. Raises Unfit where the event names no message."""
    if not ulid.valid(event.trace):
        raise Unfit("the trace is no ULID")
    if len(event.id) == 32 and event.id.isalnum() and event.id.isascii():
        return event.id
    clean.did = True
    return hashlib.sha256(event.id.encode("utf-8", "surrogatepass")).hexdigest()[:32]


# --- records, cleaned ------------------------------------------------------------------------------------------------


class Happened(msgspec.Struct, omit_defaults=True):
    """A cleaned event, also as it stands in `waiting`. `normal` None: to all recipients of the envelope."""

    id: str
    trace: str
    normal: str | None
    kind: Kind
    at: int
    source: str
    actor: Actor | None = None
    detail: str = "{}"
    suppress: tuple[Reason, str] | None = None
    tenant: str = ""


@dataclass(slots=True)
class Came:
    """A cleaned message."""

    row: Row
    known: int
    tenant: str
    recipients: list[tuple[str, str]]
    tags: list[str]
    results: list[Row]
    links: list[str]


def came(clean: Cleaner, one: Message) -> Came:
    """All that the tables hold of a message. Raises Unfit.

    It was judged where anything says so; a recipient that is refused in the envelope is told of with less.
    """
    judged = bool(one.sha256 or one.action or one.verdict or one.results or one.size)
    return Came(
        message_row(clean, one),
        JUDGED if judged else ENVELOPE,
        tenant(clean, one.tenant),
        recipients(clean, one),
        tags(clean, one),
        results(clean, one),
        links(clean, one),
    )


def happened(clean: Cleaner, one: Event) -> Happened:
    """What the tables hold of an event. Only one that names its recipient suppresses anybody. Raises Unfit."""
    normal = None if one.recipient is None else compared(clean.name(one.recipient, MAX_ADDRESS))
    return Happened(
        event_key(clean, one),
        one.trace,
        NOBODY if normal is None and one.kind in PERSONAL else normal,
        one.kind,
        clean.number(one.at, MAX_MOMENT),
        clean.name(one.source, 32),
        one.actor,
        clean.detail(one.detail),
        suppressed(one.detail.get("suppress")) if one.detail and normal else None,
        clean.name(one.tenant, 64),
    )
