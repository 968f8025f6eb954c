"""The journal's nouns: what an attempt is, what is known of it, and what a new submission is told of earlier ones."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ..reply import Reply


class JournalError(Exception):
    """The journal cannot be read or written just now; what was asked may or may not have been kept. Answer 452 4.3.1 or 451.

    The text is for the log, not for the client.
    """


class OvertakenError(Exception):
    """Since `answer_for`, another submission of the same mail came to its final dot: this one must not be sent. Answer 451."""


class State(StrEnum):
    """What is known of the next hop."""

    DOT = "dot"  # the final dot may have been sent; written before it is
    ACCEPTED = "accepted"  # it took the message; behind LMTP, for one recipient at least
    HELD = "held"  # it was not asked: a durable copy is held here
    REFUSED = "refused"  # 5xx
    DEFERRED = "deferred"  # 4xx
    UNCERTAIN = "uncertain"  # the dot was sent, or may have been, and no reply is known (RFC 1047)
    UNSENT = "unsent"  # the dot was not sent after all


class Peer(StrEnum):
    """What is known of the client."""

    WAITING = "waiting"  # connected, as far as its worker knows
    ANSWERED = "answered"  # our reply was written to it
    GONE = "gone"  # it was gone before our reply
    SPENT = "spent"  # and so was the one that came again and was given the reply that was kept


@dataclass(frozen=True, slots=True)
class Attempt:
    """One message on its way to one next hop. No mail, only facts about it.

    `key` is `fingerprint` of what came, `digest` the SHA-256 of what was judged and goes out, `size` the number of its octets.
    `rcpt_to` stands in the order in which the next hop was told. `explicit` is `explicit_key` of a key that the client gave,
    `follows` are the traces of earlier attempts that this one repeats, or may repeat (`Known.follows`). `notes` are records for
    the outbox, written with the intent; where there are some, every change of its state is told there, too.
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
    follows: tuple[str, ...] = ()
    notes: tuple[bytes, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Record:
    """An attempt as the journal has it.

    `replies` are the next hop's: one for all, or behind LMTP one for each of `rcpt_to`; of an uncertain attempt those that came
    before it broke, of the first recipients.
    """

    attempt: Attempt
    state: State
    peer: Peer
    owner: str  # of the worker that has it
    replies: tuple[Reply, ...]
    dot: datetime
    replied: datetime | None
    followed: str | None  # the trace of the attempt that repeated this one


# --- what a new submission is told -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of each recipient of a submission; nothing stands against sending to those of whom nothing is.

    `replies`: what was said of a recipient that has the message already, which is answered and not sent again; None where it is
    to be sent. `replayed` are the attempts that these are from, and they count as the answer: call `answered`, `gone` or
    `unheard` with each. `follows` are attempts that sending would repeat, to be named in `Attempt.follows`; whether those in
    `unsure` arrived is not known: at least once sends all the same, at most once answers 451.
    """

    replies: tuple[Reply | None, ...]
    replayed: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether all recipients have it."""
        return None not in self.replies


@dataclass(frozen=True, slots=True)
class InProgress:
    """It is being sent, or held, just now for a client that has gone: answer 451, come again."""

    trace: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """Its explicit key was used for other octets, or another sender, within the day: answer 550 5.7.1 (HTTP 409)."""

    trace: str


Earlier = Known | InProgress | Conflict


# --- keys ------------------------------------------------------------------------------------------------------------


def fingerprint(octets: bytes, mail_from: str, credential: str | None) -> bytes:
    """The SHA-256 by which a message is known again: the octets as received, its sender, and who sent it. 32 octets.

    Recipients are no part of it: who comes again comes for those that are left, and each is looked up for itself. Every field
    is written with its length in front, so that no two submissions share a key by moving octets between fields. A credential
    that is missing is none that is empty.
    """
    hashed = hashlib.sha256(b"delivcheck attempt 2\0")
    for part in (mail_from, "" if credential is None else f"={credential}"):
        _field(hashed, part)
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
