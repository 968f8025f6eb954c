"""What the Web Service answers, as `Struct`s, of which its OpenAPI document is made; what the trace tells is `trace.shapes`."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from ....trace.shapes import EventOut, GroupOut, Id, ResultOut, SummaryOut, SuppressionOut, Time
from ....trace.webhooks.shapes import DeliveryOut, WebhookOut


class ReplyOut(Struct, frozen=True):
    """An SMTP reply: the next hop's, or ours. `status` is the enhanced code of RFC 3463."""

    code: int
    status: str | None
    text: str


class FindingOut(Struct, frozen=True):
    """A rule that failed or could not be decided, what it found, and how that is mended."""

    rule: str
    outcome: str
    level: str
    problems: list[str]
    title: str = ""
    fix: str = ""
    link: str = ""


class RecipientOut(Struct, frozen=True):
    """What became of one recipient. `id` is the message that it was in, "" where none came to be.

    sent: the next hop has it. held: a durable copy waits here for a person. refused: for good. deferred: not now, send again.
    """

    recipient: str
    id: str
    status: Literal["sent", "held", "refused", "deferred"]
    by: Literal["gate", "next-hop"]
    reply: ReplyOut


class SentOut(Struct, frozen=True):
    """What became of a request. "partial": not the same of every recipient."""

    status: Literal["sent", "held", "partial"]
    id: str
    recipients: list[RecipientOut]
    findings: list[FindingOut] = field(default_factory=list)


class ErrorOut(Struct, frozen=True):
    """A place in what was asked: a JSON pointer (RFC 6901), or "query NAME" and the like; and what is wrong there."""

    at: str
    detail: str


class ProblemOut(Struct, frozen=True, omit_defaults=True):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str = ""
    errors: list[ErrorOut] = field(default_factory=list)
    findings: list[FindingOut] = field(default_factory=list)
    recipients: list[RecipientOut] = field(default_factory=list)


class MessagesOut(Struct, frozen=True):
    """Messages, newest first. `next` is `after` of the next page, null on the last one."""

    messages: list[SummaryOut]
    next: str | None


class EventsOut(Struct, frozen=True):
    """Events in the order in which they were noted. `next` is `after` of the next request, also where there are none yet."""

    events: list[EventOut]
    next: int


class StatsOut(Struct, frozen=True):
    """Figures about the mail that was received from `since` until `until`, whatever happened to it later."""

    since: Time
    until: Time
    by: str
    groups: list[GroupOut]


class SuppressionsOut(Struct, frozen=True):
    """Suppressed addresses. `next` is `after` of the next page, null on the last one."""

    suppressions: list[SuppressionOut]
    next: str | None


class SuppressIn(Struct, frozen=True, forbid_unknown_fields=True):
    """Addresses to be suppressed."""

    addresses: Annotated[
        list[Annotated[str, Meta(max_length=320, examples=["pat@example.net"])]], Meta(min_length=1, max_length=1_000)
    ]
    stream: Annotated[str, Meta(max_length=128, description='"" for all streams.')] = ""
    reason: Literal["bounce", "complaint", "unsubscribe", "manual"] = "manual"
    note: Annotated[str, Meta(max_length=500)] = ""
    days: Annotated[int, Meta(ge=1, le=36_500, description="For so long; null for good.")] | None = None


class HeldOut(Struct, frozen=True):
    """A held message. `findings` say why."""

    id: Id
    held: Time
    received: Time
    mail_from: str
    recipients: list[str]
    subject: str
    client: str
    stream: str
    size: int
    sha256: str
    reason: str
    rules: list[str]
    findings: list[ResultOut]


class HeldListOut(Struct, frozen=True):
    """Held mail, oldest first. `next` is `after` of the next page, null on the last one."""

    held: list[HeldOut]
    next: str | None


class ReleasedOut(Struct, frozen=True):
    """What became of a release. "held": it did not pass, or the next hop did not take it, and it is held for those still."""

    id: Id
    status: Literal["sent", "held"]
    recipient: str
    reply: ReplyOut


class NewWebhookOut(WebhookOut, frozen=True, kw_only=True):
    """A webhook that was just registered. Its secret is never shown again."""

    secret: str


class WebhooksOut(Struct, frozen=True):
    """All webhooks."""

    webhooks: list[WebhookOut]


class DeliveriesOut(Struct, frozen=True):
    """What a webhook was told, or is to be, newest first. `next` is `before` of the next page, null on the last one."""

    deliveries: list[DeliveryOut]
    next: int | None
