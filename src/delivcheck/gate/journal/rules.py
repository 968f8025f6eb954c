"""What is kept, and what is concluded from it (research/gate.md section 4.2), as statements on an open transaction.

Blocking, without a clock: times are Unix milliseconds. `alive` says of an owner's name whether that worker still runs.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..reply import Reply
from .facts import Attempt, Conflict, Earlier, Fresh, InProgress, Peer, Record, Replay, State, Unsure
from .rows import COLUMNS, columns_of, record_of, replies_json, text_of
from .schema import OPEN

Alive = Callable[[str], bool]

REPLAY_FOR = 5 * 86_400_000  # ms; who queues gives up after 4 to 5 days (RFC 5321 section 4.5.4.1), and comes no more
EXPLICIT_FOR = 86_400_000  # ms that an explicit key holds; Stripe and Resend keep theirs as long


# --- before the message goes out -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Submission:
    """A message that came in and is not sent yet. `claim` is a name that nothing else has; `owner` the worker that asks."""

    key: bytes
    rcpt_to: tuple[str, ...]
    explicit: bytes | None
    owner: str
    claim: str
    now: int
    alive: Alive


def earlier(db: sqlite3.Connection, asked: Submission) -> Earlier:
    """What stands against sending a submission. A replay is claimed for `owner`: nobody else gets it while that one lives."""
    where = f"key = ? AND explicit IS NULL AND {OPEN} AND dot > ?"
    found = _living(db, asked.alive, where, (asked.key, asked.now - REPLAY_FOR))
    for record in found:
        if record.state is State.ACCEPTED and record.peer is Peer.GONE:
            return _claimed(db, record, asked)
    # One whose client still waits stands against nothing: two clients with the same mail at the same time both mean it.
    for record in found:
        if record.state is State.DOT and record.peer is Peer.GONE:
            return InProgress(record.attempt.trace)
    for record in found:
        if record.state is State.UNCERTAIN:
            return Unsure(record.attempt.trace)
    return Fresh()


def under_key(db: sqlite3.Connection, asked: Submission) -> Earlier:
    """The same where the client gave a key, and so said that it means one mail: whether that was answered does not matter."""
    found = _living(db, asked.alive, _HOLDING, (asked.explicit, asked.now - EXPLICIT_FOR))
    for record in found:
        if record.attempt.key != asked.key:
            return Conflict(record.attempt.trace)
    for record in found:
        if record.state is State.ACCEPTED:
            if record.peer is Peer.GONE:
                return _claimed(db, record, asked)
            return Replay(record.attempt.trace, _for_these(record, asked.rcpt_to))
    for record in found:
        if record.state is State.DOT:
            return InProgress(record.attempt.trace)
    return Unsure(found[0].attempt.trace) if found else Fresh()


# By which attempts an explicit key is taken; one that was refused or deferred leaves it free, since its mail never went.
_HOLDING = "explicit = ? AND state IN ('dot', 'uncertain', 'accepted') AND followed IS NULL AND dot > ?"


def _claimed(db: sqlite3.Connection, record: Record, asked: Submission) -> Replay:
    """Answered by this submission from now on; if its worker dies before the reply is written, the next one may have it."""
    trace = record.attempt.trace
    db.execute("UPDATE attempt SET peer = 'waiting', owner = ?, claim = ? WHERE trace = ?", (asked.owner, asked.claim, trace))
    return Replay(trace, _for_these(record, asked.rcpt_to))


def unclaimed(db: sqlite3.Connection, key: bytes, claim: str) -> None:
    """Take back a claim: the submission never learned of it."""
    where = f"key = ? AND {OPEN} AND claim = ?"
    db.execute(f"UPDATE attempt SET peer = 'gone', claim = NULL WHERE {where}", (key, claim))  # noqa: S608 -- our own words


def _for_these(record: Record, rcpt_to: Sequence[str]) -> tuple[Reply, ...]:
    """A reply for each recipient in the order asked now, which need not be the order of then."""
    then = record.attempt.rcpt_to
    if len(record.replies) != len(then):  # one for all
        return (record.replies[0],) * len(rcpt_to)
    left = list(zip(then, record.replies, strict=True))
    replies = []
    for name in map(text_of, rcpt_to):
        found = next((pair for pair in left if pair[0] == name), None)
        if found is not None:
            left.remove(found)  # a recipient that stands there twice has two
        replies.append(found[1] if found is not None else record.replies[0])
    return tuple(replies)


def begin(db: sqlite3.Connection, attempt: Attempt, owner: str, now: int) -> bool:
    """Write down that the final dot is next. False where its explicit key was taken meanwhile: it must not be sent."""
    if attempt.explicit is not None:
        query = f"SELECT 1 FROM attempt WHERE {_HOLDING} AND trace <> ? LIMIT 1"  # noqa: S608 -- our own words
        if db.execute(query, (attempt.explicit, now - EXPLICIT_FOR, attempt.follows or "")).fetchone():
            return False
    _insert(db, attempt, owner, dot=now)
    if attempt.follows is not None:
        db.execute("UPDATE attempt SET followed = ? WHERE trace = ? AND followed IS NULL", (attempt.trace, attempt.follows))
    return True


# --- after it went out -----------------------------------------------------------------------------------------------


def finish(db: sqlite3.Connection, attempt: Attempt, owner: str, *, state: State, replies: Sequence[Reply], now: int) -> None:
    """Write down what the next hop said. The attempt as a whole, should the file have been replaced since its dot."""
    written = db.execute(
        "UPDATE attempt SET state = ?, replies = ?, replied = ? WHERE trace = ? AND state IN ('dot', 'uncertain')",
        (state, replies_json(replies), now, attempt.trace),
    )
    if not written.rowcount and not db.execute("SELECT 1 FROM attempt WHERE trace = ?", (attempt.trace,)).fetchone():
        _insert(db, attempt, owner, dot=now, state=state, replies=replies)
    if state is not State.ACCEPTED:
        _not_followed(db, attempt.trace)


def unsent(db: sqlite3.Connection, trace: str) -> None:
    """The dot was not sent after all."""
    db.execute("UPDATE attempt SET state = 'unsent' WHERE trace = ? AND state = 'dot'", (trace,))
    _not_followed(db, trace)


def _not_followed(db: sqlite3.Connection, trace: str) -> None:
    """What this attempt was to repeat is open again."""
    where = "trace = (SELECT follows FROM attempt WHERE trace = ?) AND followed = ?"
    db.execute(f"UPDATE attempt SET followed = NULL WHERE {where}", (trace, trace))  # noqa: S608 -- our own words


def uncertain(db: sqlite3.Connection, trace: str) -> None:
    """The dot was sent, and no reply came."""
    db.execute("UPDATE attempt SET state = 'uncertain' WHERE trace = ? AND state = 'dot'", (trace,))


def settle(db: sqlite3.Connection, trace: str, state: State) -> bool:
    """What somebody found out about an uncertain attempt. False where there is none of that name."""
    return bool(db.execute("UPDATE attempt SET state = ? WHERE trace = ? AND state = 'uncertain'", (state, trace)).rowcount)


def answered(db: sqlite3.Connection, trace: str, now: int) -> None:
    """Our reply was written to the client."""
    db.execute("UPDATE attempt SET peer = 'answered', told = ?, claim = NULL WHERE trace = ?", (now, trace))


def gone(db: sqlite3.Connection, trace: str) -> None:
    """The client was gone before our reply; one that was answered stays so."""
    db.execute("UPDATE attempt SET peer = 'gone', claim = NULL WHERE trace = ? AND peer = 'waiting'", (trace,))


# --- workers that died, and what is old ------------------------------------------------------------------------------


def bury(db: sqlite3.Connection, owner: str) -> tuple[list[str], list[str]]:
    """Conclude for a worker that is no more: what it was sending is uncertain, who waited for it is gone. Traces of both."""
    mine = f"owner = ? AND {OPEN}"
    lost = _traces(db, f"SET state = 'uncertain', peer = 'gone' WHERE {mine} AND state = 'dot'", owner)
    left = _traces(db, f"SET peer = 'gone', claim = NULL WHERE {mine} AND state = 'accepted' AND peer = 'waiting'", owner)
    return lost, left


def _traces(db: sqlite3.Connection, change: str, owner: str) -> list[str]:
    return sorted(row[0] for row in db.execute(f"UPDATE attempt {change} RETURNING trace", (owner,)).fetchall())


def owners(db: sqlite3.Connection) -> list[str]:
    """The workers whose attempts are open."""
    return [row[0] for row in db.execute(f"SELECT DISTINCT owner FROM attempt WHERE {OPEN}")]  # noqa: S608 -- our own words


def prune(db: sqlite3.Connection, before: str, most: int) -> int:
    """Delete up to `most` attempts whose trace is less than `before`, but not what a worker is sending."""
    chosen = "SELECT trace FROM attempt WHERE trace < ? AND state <> 'dot' LIMIT ?"
    return db.execute(f"DELETE FROM attempt WHERE trace IN ({chosen})", (before, most)).rowcount  # noqa: S608 -- our own words


def _living(db: sqlite3.Connection, alive: Alive, where: str, values: tuple[Any, ...]) -> list[Record]:
    """Attempts, oldest first, after the conclusions for those of their workers that are no more."""
    found = select(db, where, values)
    pending = {one.owner for one in found if one.state is State.DOT or one.peer is Peer.WAITING}
    dead = [owner for owner in pending if not alive(owner)]
    for owner in dead:
        bury(db, owner)
    return select(db, where, values) if dead else found


def select(db: sqlite3.Connection, where: str, values: tuple[Any, ...] = (), most: int = -1) -> list[Record]:
    """Attempts, oldest first."""
    query = f"SELECT {COLUMNS} FROM attempt WHERE {where} ORDER BY trace LIMIT ?"  # noqa: S608 -- our own words
    return [record_of(row) for row in db.execute(query, (*values, most))]


def _insert(
    db: sqlite3.Connection, attempt: Attempt, owner: str, *, dot: int, state: State = State.DOT, replies: Sequence[Reply] = ()
) -> None:
    replied = None if state is State.DOT else dot
    values = (*columns_of(attempt), str(state), str(Peer.WAITING), owner, replies_json(replies), dot, replied, None)
    db.execute(f"INSERT INTO attempt ({COLUMNS}) VALUES ({', '.join('?' * len(values))})", values)  # noqa: S608 -- our own words
