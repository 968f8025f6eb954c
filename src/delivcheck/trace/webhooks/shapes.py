"""Webhooks and their deliveries as JSON, for the Web Service and the command line."""

from collections.abc import Mapping

from msgspec import Struct

from ..model import Kind, iso
from ..shapes import Id, Time
from .deliveries import Delivery, State
from .register import Webhook


class WebhookOut(Struct, frozen=True, kw_only=True):
    """A webhook with what waits for it; its secret is shown once, when it is made. No `kinds`: all of them."""

    id: str
    url: str
    kinds: list[str]
    note: str
    enabled: bool
    created: Time
    disabled: str | None  # since when
    failing: str | None  # since when every attempt failed
    cursor: int
    waiting: int
    dead: int


class DeliveryOut(Struct, frozen=True, kw_only=True):
    """Something that a webhook was told, or is to be."""

    id: int
    event_id: str
    event: str
    message_id: Id
    state: str
    attempts: int
    due: str | None
    status: int | None  # of HTTP, of the last attempt
    error: str
    updated: Time


def webhook(one: Webhook, counts: Mapping[State, int]) -> WebhookOut:
    """A webhook; `counts` are those of `deliveries.counts`."""
    return WebhookOut(
        id=one.id,
        url=one.url,
        kinds=[kind.value for kind in Kind if kind in one.kinds],
        note=one.note,
        enabled=one.disabled is None,
        created=iso(one.created),
        disabled=_when(one.disabled),
        failing=_when(one.failing),
        cursor=one.cursor,
        waiting=counts.get(State.WAITING, 0),
        dead=counts.get(State.DEAD, 0),
    )


def delivery(one: Delivery) -> DeliveryOut:
    """A delivery."""
    return DeliveryOut(
        id=one.id,
        event_id=one.event_id,
        event=one.kind,
        message_id=one.trace,
        state=one.state.value,
        attempts=one.attempts,
        due=iso(one.due) if one.state is State.WAITING else None,
        status=one.status,
        error=one.error,
        updated=iso(one.updated),
    )


def _when(at: int | None) -> str | None:
    return None if at is None else iso(at)
