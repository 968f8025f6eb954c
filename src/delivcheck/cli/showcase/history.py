"""The showcase's last two days: what would be in the trace if the shop had been sending for so long."""

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from ... import ulid
from ...trace.model import Actor, Kind, Tracking
from ...trace.records import Event, Message, Record, Result, event_id
from .mails import DOMAINS, PEOPLE
from .zone import SENDER

HOURS = 48
BUSIEST = 26  # messages of an hour

SUBJECTS = {"receipts": "Your order {}", "resets": "Choose a new password", "news": "Lamps of ash and linen"}
TEMPLATES = {"receipts": "order-sent", "resets": "password-reset", "news": "weekly"}
REFUSALS = (
    ("template/unrendered-code", "{{ first_name }} in the text: code of Jinja, Django, Handlebars or Liquid"),
    ("links/unresolvable-host", "http://localhost:3000/verify leads to the reader's own machine"),
    ("dmarc/not-aligned", "neither SPF nor DKIM is aligned with gmail.com, whose policy is reject"),
)


def records(now: datetime, seed: int = 4711) -> Iterator[Record]:
    """Messages and what became of them, the oldest first; invented, and the same each time but for the hour."""
    dice = random.Random(seed)  # noqa: S311 -- no secret
    for back in range(HOURS, 0, -1):
        begin = now - timedelta(hours=back)
        shape = 0.25 + 0.75 * max(0.0, math.sin((begin.hour - 5) / 24 * 2 * math.pi)) ** 0.7
        moments = sorted(dice.uniform(0, 3600) for _ in range(round(BUSIEST * shape * dice.uniform(0.7, 1.1))))
        for seconds in moments:
            yield from _one(begin + timedelta(seconds=seconds), dice)


def _one(moment: datetime, dice: random.Random) -> Iterator[Record]:
    stream = dice.choices(("receipts", "news", "resets"), (55, 30, 15))[0]
    number = dice.randrange(1_000, 9_999)
    trace = ulid.floor(moment.astimezone(UTC))[:10] + ulid.new()[10:]
    address = f"{dice.choice(PEOPLE)}.demo{number}@{dice.choice(DOMAINS)}"
    at = int(moment.timestamp() * 1000)
    refused = dice.random() < 0.05
    rule, said = dice.choice(REFUSALS)
    yield Message(
        trace=trace,
        received=at,
        recipients=(address,),
        framing="ESMTP",
        listener="submission",
        client="shop",
        stream=stream,
        message_class="bulk" if stream == "news" else "transactional",
        template=TEMPLATES[stream],
        tags=("autumn",) if stream == "news" else (),
        mail_from=f"bounces@{SENDER}",
        from_domain=SENDER,
        subject=SUBJECTS[stream].format(number),
        message_id=f"<{trace}@{SENDER}>",
        size=dice.randrange(4_000, 30_000),
        verdict="fail" if refused else "pass",
        policy="transactional",
        action="refuse" if refused else "send",
        rules=(rule,) if refused else (),
        mode="enforce",
        next_hop="out",
        judge_ms=round(dice.uniform(4, 18), 1),
        tracking=Tracking.NONE if stream == "resets" else Tracking.AGGREGATE,
        results=(Result(rule, "fail", "error", (said,)),) if refused else (),
        links=(f"https://www.{SENDER}/orders/{number}",) if stream == "receipts" else (),
    )

    def event(kind: Kind, after: float, *, source: str = "gate", actor: Actor | None = None, **detail: object) -> Event:
        when = at + int(after * 1000)
        return Event(
            id=event_id(trace, kind, address, str(when)),
            trace=trace,
            kind=kind,
            at=when,
            recipient=address,
            source=source,
            actor=actor,
            detail=detail,
        )

    yield event(Kind.ACCEPTED, 0)
    yield event(Kind.CHECKED, 0.01, verdict="fail" if refused else "pass")
    if refused:
        yield event(Kind.REFUSED, 0.01, by="gate", reply=f"550 5.7.1 {rule} {said} ({trace})", rules=[rule])
        return
    yield event(Kind.PASSED, 0.01)
    yield event(Kind.SENT, 0.05, source="journal", next_hop="out", reply="250 2.0.0 queued")
    fate = dice.random()
    if fate < 0.02:
        yield event(Kind.BOUNCED, 4, source="dsn", cause="bad-mailbox", status="5.1.1", text="550 5.1.1 no such user")
        return
    if fate < 0.05:
        yield event(Kind.DEFERRED, 2, source="log", by="next-hop", reply="421 4.7.0 try again later")
    yield event(Kind.DELIVERED, dice.uniform(1, 40), source="log", reply="250 2.0.0 OK")
    if stream == "resets":
        return
    if dice.random() < 0.5:
        actor = dice.choices((Actor.HUMAN, Actor.UNKNOWN, Actor.MACHINE), (55, 30, 15))[0]
        after = dice.uniform(60, 7_200)
        yield event(Kind.OPENED, after, source="collector", actor=actor)
        if dice.random() < 0.35:
            yield event(Kind.CLICKED, after + dice.uniform(3, 90), source="collector", actor=Actor.HUMAN, link=0)
    if stream == "news" and dice.random() < 0.01:
        yield event(Kind.COMPLAINED, dice.uniform(600, 9_000), source="arf")
