"""Unsubscribing: the mailto URI of List-Unsubscribe, what a message to it says, and the event that comes of it."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote

from ...mime.headers import HeaderError, display_text, parse_addresses, parse_token
from ...mime.message import Field, MessageError, header_of
from ..model import Kind, Reason, normal
from ..records import Event, event_id
from ..tokens import MAX_TOKEN, BadToken, Tokens
from .marks import DAY, LEAVE, VERSION, Leaving, check, leaving, sealed, short, short_opened

PREFIX = "u-"  # of a local part that unsubscribes
MAX_ADDRESSES = 20  # of the message, looked at: it has one
MAX_SUBJECT = 2 * MAX_TOKEN  # characters

_TO = ("to", "cc", "delivered-to", "x-original-to", "envelope-to")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{60,}")
_LOCAL = re.compile(r"(?:\A|\+)u-([a-z2-7]{40,62})\Z", re.IGNORECASE)


class Left(NamedTuple):
    """Who wants to leave what. `recipient` None: the recipient of the message `trace` of whom `marks.check` makes `check`.

    Then the stream is that of the message, too. An author whose address gives the same check is the recipient.
    """

    trace: str
    recipient: str | None
    stream: str | None = None  # None: that of the message
    tenant: str = ""  # "": that of the message
    check: bytes = b""


def mailto(tokens: Tokens, address: str, leave: Leaving) -> str:
    """The mailto URI. `address` is a mailbox: the subject has the token; of "@domain" all local parts are ours."""
    if address.startswith("@"):
        return f"mailto:{PREFIX}{short(tokens, leave.trace, leave.address)}{address}"
    return f"mailto:{quote(address, safe='@+')}?subject=unsubscribe%20{sealed(tokens, LEAVE, leave)}"


def unsubscribe_from_mail(octets: bytes, tokens: Tokens, recipients: Sequence[str] = ()) -> Left | None:
    """What a message asks for that came to such an address; None: nothing. `recipients` are those of the envelope.

    Replies that no person wrote are not heard (RFC 3834 section 5: "auto-replied"); what a program sends for its user is, which
    mailbox providers mark "auto-generated". Never raises.
    """
    try:
        fields = header_of(octets)
    except MessageError:
        return None
    if any(_is_reply(one) for one in fields):
        return None
    subject = next((display_text(one)[:MAX_SUBJECT] for one in fields if one.lower == "subject"), "")
    for word in (*_TOKEN.findall(subject), *_TOKEN.findall(re.sub(r"\s+", "", subject.partition(" ")[2]))):
        try:
            found = leaving(tokens, word)
        except BadToken:
            continue
        return Left(found.trace, found.address, found.stream, found.tenant)
    return _by_address(fields, tokens, recipients)


def unsubscribed(left: Left, at: int, by: str) -> Event:
    """What the trace is told; of a `left` with a recipient and a stream. Told twice on one day it is the same event.

    `at` are Unix milliseconds; `by` is "one-click", "mail" …. On another day it is another: in between, somebody may have
    subscribed again, and left again with the letter of last week.
    """
    assert left.recipient is not None
    return Event(
        id=event_id(left.trace, Kind.UNSUBSCRIBED, normal(left.recipient), str(at // DAY)),
        trace=left.trace,
        kind=Kind.UNSUBSCRIBED,
        at=at,
        recipient=left.recipient,
        source="collector" if by == "one-click" else by,
        detail={"by": by, "suppress": {"reason": str(Reason.UNSUBSCRIBE), "stream": left.stream or ""}},
        tenant=left.tenant,
    )


def _by_address(fields: Sequence[Field], tokens: Tokens, recipients: Sequence[str]) -> Left | None:
    to = [*recipients[:MAX_ADDRESSES], *_addresses(fields, _TO)]
    for address in dict.fromkeys(to[: 2 * MAX_ADDRESSES]):
        local = _LOCAL.search(address.rpartition("@")[0])
        if local is None:
            continue
        try:
            trace, hashed = short_opened(tokens, local[1])
        except BadToken:
            continue
        author = next((one for one in _addresses(fields, ("from", "sender")) if check(one) == hashed), None)
        return Left(trace, author, check=hashed)
    return None


def _addresses(fields: Sequence[Field], names: Sequence[str]) -> Iterator[str]:
    count = 0
    for field in fields:
        if field.lower not in names:
            continue
        try:
            boxes = parse_addresses(field.text).mailboxes
        except HeaderError:
            continue
        for box in boxes:
            count += 1
            if count > MAX_ADDRESSES:
                return
            yield f"{box.local}@{box.domain}"


def _is_reply(field: Field) -> bool:
    """A vacation notice, or a report that something did not arrive."""
    if field.lower == "auto-submitted":
        try:
            return parse_token(field.text) == "auto-replied"
        except HeaderError:
            return field.text.strip().lower().startswith("auto-replied")
    return field.lower == "content-type" and field.text.strip().lower().startswith("multipart/report")


def leave(trace: str, address: str, stream: str, tenant: str) -> Leaving:
    """What a token for unsubscribing holds."""
    return Leaving(VERSION, trace, address, stream, tenant)
