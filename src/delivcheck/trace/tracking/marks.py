"""What stands in the tokens of links, pixels and unsubscribing. A URL is in its token: redirects ask nobody, and never expire.

An *identified* mark names the message, which then has one recipient. An *aggregate* one names nobody: its bucket is all mail of
a stream on one day, and since sealing is deterministic everybody who gets the same link that day gets the same token.
"""

import hashlib
from datetime import UTC, datetime

import msgspec

from ... import ulid
from ..model import DEFAULT_TENANT, normal
from ..tokens import BadToken, Tokens

OPEN, CLICK, LEAVE, LEAVE_BY_MAIL = "open", "click", "unsubscribe", "unsubscribe by mail"  # purposes
VERSION = 1
DAY = 86_400_000  # milliseconds
CHECK = 8  # octets of the address's hash in a short token: it is told from others of one message, and no more
_TRACE = 16  # octets of a ULID
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Bucket(msgspec.Struct, frozen=True, array_like=True):
    """What mail is counted together in aggregate mode: that of a stream, template and tags, on a day (Unix days, UTC)."""

    day: int
    stream: str = ""
    template: str = ""
    tags: tuple[str, ...] = ()
    tenant: str = DEFAULT_TENANT

    @property
    def trace(self) -> str:
        """The id under which its events stand: a ULID of the day's first millisecond, the same for the same bucket."""
        rest = hashlib.sha256(b"delivcheck bucket 1\0" + msgspec.msgpack.encode(self)).digest()[: _TRACE - 6]
        return unpacked((self.day * DAY).to_bytes(6) + rest)


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """Of a link (`url`, and its `number` in the message) or, without a URL, of a pixel; with a `trace` or else a `bucket`."""

    version: int
    trace: str = ""
    bucket: Bucket | None = None
    number: int = 0
    url: str = ""

    @property
    def about(self) -> str:
        """The trace that events about it stand under."""
        return self.trace if self.bucket is None else self.bucket.trace

    @property
    def sent(self) -> int:
        """When the message was sent, Unix milliseconds; of a bucket when its day began."""
        if self.bucket is not None:
            return self.bucket.day * DAY
        return int(ulid.minted(self.trace).timestamp() * 1000)


class Leaving(msgspec.Struct, frozen=True, array_like=True):
    """Of List-Unsubscribe: the address itself, since it must work when the trace is long forgotten."""

    version: int
    trace: str
    address: str
    stream: str
    tenant: str = DEFAULT_TENANT


_encode = msgspec.msgpack.Encoder().encode
_marks: msgspec.msgpack.Decoder[Mark] = msgspec.msgpack.Decoder(Mark)
_leavings: msgspec.msgpack.Decoder[Leaving] = msgspec.msgpack.Decoder(Leaving)


def day_of(moment: datetime) -> int:
    """The Unix day of a moment with time zone."""
    return int(moment.astimezone(UTC).timestamp() * 1000) // DAY


def sealed(tokens: Tokens, purpose: str, mark: Mark | Leaving) -> str:
    """The token."""
    return tokens.sealed(purpose, _encode(mark))


def opened(tokens: Tokens, purpose: str, token: str) -> Mark:
    """The mark in a token for OPEN or CLICK. Raises BadToken."""
    try:
        mark = _marks.decode(tokens.opened(purpose, token))
    except msgspec.DecodeError:  # of a later version, if at all
        raise BadToken from None
    if mark.version != VERSION or (mark.bucket is None and not ulid.valid(mark.trace)):
        raise BadToken
    return mark


def leaving(tokens: Tokens, token: str) -> Leaving:
    """What stands in a token for LEAVE. Raises BadToken."""
    try:
        found = _leavings.decode(tokens.opened(LEAVE, token))
    except msgspec.DecodeError:
        raise BadToken from None
    if found.version != VERSION or not ulid.valid(found.trace) or not found.address:
        raise BadToken
    return found


# --- for the local part of an address ------------------------------------------------------------------------------


def short(tokens: Tokens, trace: str, address: str) -> str:
    """A token for LEAVE_BY_MAIL: the trace and a few octets of the address's hash. 55 characters."""
    return tokens.short(LEAVE_BY_MAIL, packed(trace) + check(address))


def short_opened(tokens: Tokens, token: str) -> tuple[str, bytes]:
    """The trace, and what `check` makes of the recipient's address. Raises BadToken."""
    payload = tokens.short_opened(LEAVE_BY_MAIL, token)
    if len(payload) != _TRACE + CHECK:
        raise BadToken
    return unpacked(payload[:_TRACE]), payload[_TRACE:]


def check(address: str) -> bytes:
    """A few octets by which an address is recognised."""
    return hashlib.sha256(normal(address).encode("utf-8", "replace")).digest()[:CHECK]


def packed(trace: str) -> bytes:
    """The 16 octets of a ULID. Raises ValueError."""
    if not ulid.valid(trace):
        raise ValueError(f"{trace!r} is no trace id")
    number = 0
    for digit in trace:
        number = number << 5 | _CROCKFORD.index(digit)
    return number.to_bytes(_TRACE)


def unpacked(octets: bytes) -> str:
    """The ULID of 16 octets."""
    number = int.from_bytes(octets)
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))
