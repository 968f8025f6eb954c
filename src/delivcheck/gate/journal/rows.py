"""Between the journal's values and the columns of its table."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from ..reply import Reply
from .facts import Attempt, Peer, Record, State

MAX_REPLY = 512  # characters of a reply's text that are kept: RFC 5321's line, and a thousand recipients may each have one

COLUMNS = (
    "trace, key, digest, next_hop, mail_from, rcpt_to, size, credential, explicit, follows, "
    "state, peer, owner, replies, dot, replied, followed"
)

_encode = msgspec.json.Encoder().encode
texts_of = msgspec.json.Decoder(tuple[str, ...]).decode
_replies = msgspec.json.Decoder(tuple[tuple[int, str | None, str], ...]).decode


def text_of(text: str) -> str:
    """Text that can be stored: octets that were no UTF-8, which Python has as lone surrogates, become their escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def json_of(value: Any) -> str:
    """JSON as text."""
    return _encode(value).decode()


def replies_json(replies: Sequence[Reply]) -> str:
    """Replies as they are kept."""
    return json_of([(one.code, one.enhanced, text_of(one.text[:MAX_REPLY])) for one in replies])


def columns_of(attempt: Attempt) -> tuple[Any, ...]:
    """An attempt as the first columns of COLUMNS."""
    return (
        attempt.trace,
        attempt.key,
        attempt.digest,
        text_of(attempt.next_hop),
        text_of(attempt.mail_from),
        json_of([text_of(one) for one in attempt.rcpt_to]),
        attempt.size,
        None if attempt.credential is None else text_of(attempt.credential),
        attempt.explicit,
        json_of(attempt.follows) if attempt.follows else None,
    )


def record_of(row: Sequence[Any]) -> Record:
    """A row of COLUMNS."""
    trace, key, digest, next_hop, mail_from, rcpt_to, size, credential, explicit, follows, *known = row
    state, peer, owner, replies, dot, replied, followed = known
    repeats = texts_of(follows) if follows else ()
    attempt = Attempt(trace, key, digest, next_hop, mail_from, texts_of(rcpt_to), size, credential, explicit, repeats)
    return Record(
        attempt,
        State(state),
        Peer(peer),
        owner,
        tuple(Reply(*one) for one in _replies(replies)),
        _moment(dot),
        None if replied is None else _moment(replied),
        followed,
    )


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
