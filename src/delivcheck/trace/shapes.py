"""What the trace tells others, as JSON: one `Struct` for each thing, whoever asks.

The Web Service answers in these shapes (its OpenAPI document is made of them), webhooks post them, `delivcheck trace`,
`stats`, `events` and `suppress` write them, exports have an event's fields as columns. A message's own name is `id`, and
`message_id` wherever something else names it; what stands in its header is `header_message_id`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from .messages import Event, Message, Recipient, Result, Summary
from .model import iso
from .stats import Figures
from .suppressions import Suppression

VERSION = 1  # of the shape of events, which outlive the program that wrote them: files, queues of webhooks

Id = Annotated[str, Meta(pattern="^[0-7][0-9A-HJKMNP-TV-Z]{25}$", examples=["01KAT3Q5W1J9Z3M4X7V2N8B6C0"])]
Time = Annotated[str, Meta(description="RFC 3339, UTC.", examples=["2026-11-23T12:00:00.000Z"])]


# --- events ------------------------------------------------------------------------------------------------------


class EventOut(Struct, frozen=True):
    """Something that happened to one recipient. De-duplicate by `event_id`: an event may be told twice, none is left out."""

    v: int
    event: str
    event_id: str
    message_id: Id
    rcpt: str | None  # null: somebody (aggregate tracking)
    ts: Time
    stream: str
    template: str
    tags: list[str]
    from_domain: str
    header_message_id: str
    provider: str
    source: str
    verdict: str | None
    actor: str | None
    detail: dict[str, Any]
    cursor: int


def event(one: Event) -> EventOut:
    """An event."""
    return EventOut(
        VERSION, one.kind.value, one.id, one.trace, one.recipient or None, iso(one.at), one.stream, one.template,
        list(one.tags), one.from_domain, one.message_id, one.provider, one.source, one.verdict or None, one.actor,
        dict(one.detail), one.seq,
    )  # fmt: skip


# --- messages ----------------------------------------------------------------------------------------------------


class StateOut(Struct, frozen=True):
    """A recipient, and where it stands: the last kind of event that says most."""

    rcpt: str
    state: str


class SummaryOut(Struct, frozen=True, kw_only=True):
    """A message in a list; `to` are its first recipients, `states` how many of all stand where."""

    id: Id
    received: Time
    subject: str
    mail_from: str
    from_domain: str
    stream: str
    template: str
    tags: list[str]
    client: str
    verdict: str | None
    action: str
    rules: list[str]
    size: int
    recipients: int
    to: list[StateOut]
    states: dict[str, int]


class RecipientOut(Struct, frozen=True):
    """A recipient of a message; `seen` is everything that ever happened."""

    rcpt: str
    provider: str
    state: str
    updated: Time
    seen: list[str]


class ResultOut(Struct, frozen=True):
    """What a rule said of a message."""

    rule: str
    outcome: str
    level: str
    problems: list[str]


class MessageOut(Struct, frozen=True, kw_only=True):
    """A message and all that is known of it but header and body."""

    id: Id
    received: Time
    gate: str
    framing: str
    listener: str
    client: str
    stream: str
    class_: str = field(name="class")
    template: str
    tags: list[str]
    mail_from: str
    from_domain: str
    subject: str
    header_message_id: str
    queue_id: str
    size: int
    sha256: str
    verdict: str | None
    policy: str
    action: str
    rules: list[str]
    reason: str
    bypass: str | None
    mode: str
    next_hop: str
    judge_ms: float
    tracking: str
    held: str | None
    recipients: list[RecipientOut]
    results: list[ResultOut]
    events: list[EventOut]
    links: list[str]
    left_out: int  # recipients and events that are too many to be told here
    has_headers: bool
    has_body: bool


def summary(one: Summary) -> SummaryOut:
    """A message in a list."""
    return SummaryOut(
        id=one.trace,
        received=iso(one.received),
        subject=one.subject,
        mail_from=one.mail_from,
        from_domain=one.from_domain,
        stream=one.stream,
        template=one.template,
        tags=list(one.tags),
        client=one.client,
        verdict=one.verdict or None,
        action=one.action,
        rules=list(one.rules),
        size=one.size,
        recipients=one.recipients,
        to=[StateOut(address, state) for address, state in one.to],
        states=dict(one.states),
    )


def message(one: Message) -> MessageOut:
    """All that is known of one."""
    return MessageOut(
        **{name: getattr(one, name) for name in _SAME},
        id=one.trace,
        received=iso(one.received),
        class_=one.message_class,
        tags=list(one.tags),
        header_message_id=one.message_id,
        verdict=one.verdict or None,
        rules=list(one.rules),
        bypass=one.bypass or None,
        held=one.held or None,
        recipients=[_recipient(each) for each in one.named],
        results=[_result(each) for each in one.results],
        events=[event(each) for each in one.events],
        links=list(one.links),
        has_headers=one.headers is not None,
    )


_SAME = (
    "gate", "framing", "listener", "client", "stream", "template", "mail_from", "from_domain", "subject", "queue_id", "size",
    "sha256", "policy", "action", "reason", "mode", "next_hop", "judge_ms", "tracking", "left_out", "has_body",
)  # fmt: skip


def _recipient(one: Recipient) -> RecipientOut:
    return RecipientOut(one.address, one.provider, one.state, iso(one.updated), [kind.value for kind in one.seen])


def _result(one: Result) -> ResultOut:
    return ResultOut(one.rule, one.outcome, one.level, list(one.problems))


# --- figures -----------------------------------------------------------------------------------------------------


class CountOut(Struct, frozen=True):
    """How often, and to how many recipients."""

    events: int
    recipients: int


class RateOut(Struct, frozen=True):
    """A share with the interval in which the true one lies in 95 of 100 cases (Wilson); not `enough`: too few to say."""

    k: int
    n: int
    share: float
    low: float
    high: float
    enough: bool


class GroupOut(Struct, frozen=True):
    """The figures of one value of a dimension, or of one hour or day."""

    value: str
    counts: dict[str, CountOut]
    rates: dict[str, RateOut]


def group(value: str, figures: Figures) -> GroupOut:
    """Figures with their rates."""
    rates = {name: RateOut(one.k, one.n, one.share, one.low, one.high, one.enough) for name, one in figures.rates().items()}
    return GroupOut(value, counts(figures), rates)


def counts(figures: Figures) -> dict[str, CountOut]:
    """The counts alone, of one step of a plot, say."""
    return {kind: CountOut(one.events, one.recipients) for kind, one in sorted(figures.counts.items())}


# --- suppressions ------------------------------------------------------------------------------------------------


class SuppressionOut(Struct, frozen=True):
    """An address that gets no mail, of one stream or ("") of all. `until` null: for good."""

    address: str
    stream: str
    reason: Literal["bounce", "complaint", "unsubscribe", "manual"]
    note: str
    since: Time
    until: str | None


def suppression(one: Suppression) -> SuppressionOut:
    """An entry of the list."""
    until = None if one.until is None else iso(one.until)
    return SuppressionOut(one.address, one.stream, one.reason.value, one.note, iso(one.since), until)


def row(one: EventOut) -> Mapping[str, Any]:
    """An event as a row of an export: a column for each field."""
    return {name: getattr(one, name) for name in EventOut.__struct_fields__}
