"""Requests that came with an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): what each was, and its answer.

The journal keeps mail from being sent twice; this keeps a key from standing for two requests, and gives the same answer again.
What was refused for all is forgotten at once: nothing was sent, so the body may be mended under the same key.
"""

import hashlib
from dataclasses import dataclass

import sqlalchemy as sa

from .schema import answered

KEPT = 86_400_000  # milliseconds: a day, as Stripe's and Resend's
LEASE = (
    60_000  # milliseconds in which one without an answer is taken for at work, perhaps in another gate; the deadline is 25 s
)
PRUNED = 1_000  # rows that one request clears away at most


class Other(Exception):  # noqa: N818 -- an answer, no error
    """The key stands for another request (409)."""


class AtWork(Exception):  # noqa: N818 -- an answer, no error
    """The same request is being answered just now (409, come again)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered: the HTTP status, and the body as JSON."""

    status: int
    body: str


def begin(db: sa.Connection, api_key: str, key: str, request: str, now: int) -> Answer | None:
    """Take the key for a request, in a transaction of `write`; its answer where it has one. Raises Other, AtWork.

    `request` is the SHA-256 of all that is asked, in hexadecimal; `now` Unix milliseconds.
    """
    old = sa.select(answered.c.api_key, answered.c.key).where(answered.c.at < now - KEPT).limit(PRUNED)
    for row in db.execute(old).all():
        db.execute(
            answered.delete().where(answered.c.api_key == row.api_key, answered.c.key == row.key, answered.c.at < now - KEPT)
        )
    mine = _mine(api_key, key)
    found = db.execute(sa.select(answered).where(mine).with_for_update()).one_or_none()
    if found is None:
        db.execute(answered.insert().values(api_key=api_key, key=_hash(key), request=request, at=now))
        return None
    if found.request != request:
        raise Other
    if found.status is not None:
        return Answer(found.status, found.answer)
    if found.at > now - LEASE:
        raise AtWork
    db.execute(answered.update().where(mine).values(at=now))
    return None


def end(db: sa.Connection, api_key: str, key: str, answer: Answer) -> None:
    """This is what was answered, and will be again."""
    db.execute(answered.update().where(_mine(api_key, key)).values(status=answer.status, answer=answer.body))


def open_again(db: sa.Connection, api_key: str, key: str) -> None:
    """Some recipients are still to come: the same request may be made again at once, another one not."""
    db.execute(answered.update().where(_mine(api_key, key)).values(at=answered.c.at - LEASE))


def forget(db: sa.Connection, api_key: str, key: str) -> None:
    """Nothing was sent: the key is free."""
    db.execute(answered.delete().where(_mine(api_key, key)))


def _mine(api_key: str, key: str) -> sa.ColumnElement[bool]:
    return sa.and_(answered.c.api_key == api_key, answered.c.key == _hash(key))


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
