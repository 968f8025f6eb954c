"""Makes up mail and what became of it, as the gate would tell it, and brings it into a store."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from delivcheck import ulid
from delivcheck.trace.ingest import ingest
from delivcheck.trace.model import Actor, Kind
from delivcheck.trace.records import Event, Message, Record, Result, event_id
from delivcheck.trace.store import Store

NOON = 1_795_003_200_000  # 2026-11-18 12:00 UTC
BOB = "bob@example.org"
ADA = "ada@gmail.com"


def trace(number: int = 0, at: int = NOON) -> str:
    """A trace id of a moment, the same each time."""
    head = ulid.floor(datetime.fromtimestamp(at / 1000, UTC))[:10]
    return head + f"{number:016d}"


def message(number: int = 0, at: int = NOON, to: Sequence[str] = (BOB,), **more: Any) -> Message:
    """A message that passed."""
    said = {
        "framing": "smtp",
        "listener": "submission",
        "client": "shop",
        "stream": "receipts",
        "template": "receipt",
        "tags": ("eu",),
        "mail_from": "bounce@example.com",
        "from_domain": "example.com",
        "subject": f"Receipt {number}",
        "message_id": f"<{number}@example.com>",
        "queue_id": f"4Xq{number}",
        "size": 1_234,
        "sha256": "ab" * 32,
        "verdict": "pass",
        "policy": "transactional",
        "action": "send",
        "next_hop": "mx",
    }
    return Message(trace=trace(number, at), received=at, recipients=tuple(to), **{**said, **more})


def event(
    one: Message | str, kind: Kind, recipient: str | None = None, after: int = 0, *what: str, source: str = "gate",
    actor: Actor | None = None, at: int | None = None, **detail: Any,
) -> Event:  # fmt: skip
    """Something that happened so many milliseconds after the message came."""
    name = one if isinstance(one, str) else one.trace
    received = at if at is not None else (NOON if isinstance(one, str) else one.received)
    return Event(
        id=event_id(name, kind, recipient, *what),
        trace=name,
        kind=kind,
        at=received + after,
        recipient=recipient,
        source=source,
        actor=actor,
        detail=detail,
    )


def sent(one: Message) -> list[Record]:
    """A message that the next hop took."""
    return [
        one,
        event(one, Kind.ACCEPTED),
        event(one, Kind.CHECKED, after=20, verdict="pass"),
        event(one, Kind.SENT, after=120, next_hop="mx", reply="250 2.0.0 Ok: queued"),
    ]


def refused(number: int = 0, at: int = NOON, rule: str = "dkim/missing", **more: Any) -> list[Record]:
    """One that a rule stopped."""
    results = (Result(rule, "fail", "error", ("no signature",)), Result("spf/weak", "unknown", "warning", ("timeout",)))
    one = message(number, at, **{"verdict": "fail", "action": "refuse", "rules": (rule,), "results": results, **more})
    return [one, event(one, Kind.ACCEPTED), event(one, Kind.REFUSED, after=30, by="gate", rules=[rule], reply="550 5.7.20 no")]


def tell(store: Store, records: Iterable[Record], tenant: str = "default") -> int:
    """Bring it in; the tenant's number."""
    ingest(store, list(records))
    with store.write() as db:
        return store.tenant(db, tenant)
