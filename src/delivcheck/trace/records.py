"""What the gate tells the trace, as it waits in the journal's outbox: one record is one row, in MessagePack.

Times are Unix milliseconds. A record may come twice, or late, or out of order: events have ids that follow from what they say,
and a message completes what is known of it already.
"""

import hashlib
from typing import Any

import msgspec

from .model import DEFAULT_TENANT, Actor, Kind, Tracking

BUCKET = "tracking"  # `framing` of what is no message: the stream and day on which opens and clicks of nobody hang


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a rule said: outcome "fail" or "unknown", level "error", "warning" or "note"; `problems` one line each."""

    rule: str
    outcome: str
    level: str
    problems: tuple[str, ...] = ()


class Message(msgspec.Struct, frozen=True, omit_defaults=True, tag="message", kw_only=True):
    """A message as it was judged. `trace` is its id, of which everything else hangs.

    `action` is what the gate did ("send", "refuse", "defer", "hold"), `verdict` what the rules said ("pass", "fail", "unknown";
    "" where it was not judged), `rules` the ids that decided. `headers` and `body` are kept only where the operator asked.
    """

    trace: str
    received: int
    recipients: tuple[str, ...]
    tenant: str = DEFAULT_TENANT
    gate: str = ""  # the gate's name: which of several it was
    framing: str = ""
    listener: str = ""
    client: str = ""  # credential or API key, by name
    stream: str = ""
    message_class: str = ""
    template: str = ""
    tags: tuple[str, ...] = ()
    mail_from: str = ""
    from_domain: str = ""
    subject: str = ""
    message_id: str = ""
    queue_id: str = ""
    size: int = 0
    sha256: str = ""  # hexadecimal, of the judged octets
    verdict: str = ""
    policy: str = ""
    action: str = ""
    rules: tuple[str, ...] = ()
    reason: str = ""
    bypass: str = ""
    mode: str = ""
    next_hop: str = ""
    judge_ms: float = 0.0
    tracking: Tracking = Tracking.NONE
    results: tuple[Result, ...] = ()
    links: tuple[str, ...] = ()  # targets of rewritten links, in the order of their numbers from 0
    held: str = ""  # the trace under which it was held, of a release
    headers: bytes | None = None
    body: bytes | None = None


class Event(msgspec.Struct, frozen=True, omit_defaults=True, tag="event", kw_only=True):
    """Something that happened to one recipient, or (`recipient` None) to all recipients of the message alike.

    An open, a click, an unsubscription or a complaint is never that of all: with None or "" it is of nobody in particular.
    `tenant` matters only where the message is not known any more, and "" is then the default one.
    `source` says who told: "gate", "journal", "api", "dsn", "arf", "log", "webhook:postmark", "collector", "cli" …
    """

    id: str
    trace: str
    kind: Kind
    at: int
    recipient: str | None = None
    source: str = "gate"
    actor: Actor | None = None
    detail: dict[str, Any] = {}
    tenant: str = ""


Record = Message | Event

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)


def encode(record: Record) -> bytes:
    """As it stands in the outbox."""
    return _encoder.encode(record)


def decode(octets: bytes) -> Record:
    """The other way round. Raises msgspec.DecodeError (ValidationError is one)."""
    return _decoder.decode(octets)


def event_id(trace: str, kind: Kind, recipient: str | None, *what: str) -> str:
    """The id of an event: the same for the same event, however often and from wherever it is told. 32 hexadecimal digits.

    `what` is all that tells it from another of its kind (an attempt's number, a Message-ID of a report, the moment of a click).
    """
    hashed = hashlib.sha256(b"delivcheck event 1\0")
    for part in (trace, str(kind), "" if recipient is None else f"={recipient}", *what):
        octets = part.encode("utf-8", "surrogatepass")
        hashed.update(len(octets).to_bytes(8))
        hashed.update(octets)
    return hashed.hexdigest()[:32]
