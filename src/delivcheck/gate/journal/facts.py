"""The journal's nouns: what an attempt is, what is known of it, and what a new submission is told of earlier ones."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ..reply import Reply


class JournalError(Exception):
    """The journal cannot be read or written just now; what was asked may or may not have been kept. Answer 452 4.3.1 or 451.

    The text is for the log, not for the client.
    """


class OvertakenError(Exception):
    """Another submission under the same explicit key has come to its final dot first: this one must not be sent. Answer 451."""


class State(StrEnum):
    """What is known of the next hop."""

    DOT = "dot"  # the final dot may have been sent; written before it is
    ACCEPTED = "accepted"  # it took the message; behind LMTP, for one recipient at least
    REFUSED = "refused"  # 5xx
    DEFERRED = "deferred"  # 4xx
    UNCERTAIN = "uncertain"  # the dot was sent, or may have been, and no reply is known (RFC 1047)
    UNSENT = "unsent"  # the dot was not sent after all


class Peer(StrEnum):
    """What is known of the client."""

    WAITING = "waiting"  # connected, as far as its worker knows
    ANSWERED = "answered"  # our reply was written to it
    GONE = "gone"  # it was gone before our reply


@dataclass(frozen=True, slots=True)
class Attempt:
    """One message on its way to one next hop. No mail, only facts about it.

    `key` is `fingerprint` of what came, `digest` the SHA-256 of what was judged and goes out, `size` the number of its octets.
    `rcpt_to` stands in the order in which the next hop was told. `explicit` is `explicit_key` of a key that the client gave,
    `follows` the trace of an uncertain attempt that this one repeats.
    """

    trace: str
    key: bytes
    digest: bytes
    next_hop: str
    mail_from: str
    rcpt_to: tuple[str, ...]
    size: int
    credential: str | None = None
    explicit: bytes | None = None
    follows: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """An attempt as the journal has it. `replies` are the next hop's: one, or behind LMTP one for each of `rcpt_to`."""

    attempt: Attempt
    state: State
    peer: Peer
    owner: str  # of the worker that has it
    replies: tuple[Reply, ...]
    dot: datetime
    replied: datetime | None
    followed: str | None  # the trace of the attempt that repeated this uncertain one


# --- what a new submission is told -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fresh:
    """Nothing is known that stands against sending it."""


@dataclass(frozen=True, slots=True)
class Replay:
    """It was sent before and its client was never told: answer with these, one for each recipient, and do not send.

    It counts as the answer: call `answered(trace)` or `gone(trace)` with this trace once the reply was, or was not, written.
    """

    trace: str
    replies: tuple[Reply, ...]


@dataclass(frozen=True, slots=True)
class InProgress:
    """It is being sent just now for a client that has gone: answer 451, come again."""

    trace: str


@dataclass(frozen=True, slots=True)
class Unsure:
    """It may have been sent before. At least once: send it, with `follows=trace`; at most once: answer 451."""

    trace: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """Its explicit key was used for another payload within the day: answer 550 5.7.1 (HTTP 409)."""

    trace: str


Earlier = Fresh | Replay | InProgress | Unsure | Conflict


# --- keys ------------------------------------------------------------------------------------------------------------


def fingerprint(octets: bytes, mail_from: str, rcpt_to: Sequence[str], credential: str | None) -> bytes:
    """The SHA-256 by which a retry is known: the octets as received, the envelope, and who sent it. 32 octets.

    Every field is written with its length in front, so that no two submissions share a key by moving octets between fields; the
    order of recipients does not count, how often each stands there does. A credential that is missing is none that is empty.
    """
    hashed = hashlib.sha256(b"delivcheck attempt 1\0")
    for part in (mail_from, "" if credential is None else f"={credential}"):
        _field(hashed, part)
    hashed.update(len(rcpt_to).to_bytes(8))
    for recipient in sorted(rcpt_to):
        _field(hashed, recipient)
    hashed.update(len(octets).to_bytes(8))
    hashed.update(octets)
    return hashed.digest()


def explicit_key(key: str, credential: str | None) -> bytes:
    """What a client's own key (`X-Delivcheck-Idempotency`, Idempotency-Key) is kept as: 32 octets; nobody's meets another's."""
    hashed = hashlib.sha256(b"delivcheck explicit 1\0")
    for part in ("" if credential is None else f"={credential}", key):
        _field(hashed, part)
    return hashed.digest()


def _field(hashed: "hashlib._Hash", text: str) -> None:
    octets = text.encode("utf-8", "surrogatepass")  # one to one for every str
    hashed.update(len(octets).to_bytes(8))
    hashed.update(octets)
