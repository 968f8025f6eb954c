"""What is kept, and what is concluded from it (research/gate.md section 4.2), as statements on an open transaction.

Blocking, without a clock: times are Unix milliseconds. `alive` says of an owner's name whether that worker still runs.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..reply import Reply
from .facts import Attempt, Conflict, Earlier, InProgress, Known, Peer, Record, State
from .rows import COLUMNS, columns_of, record_of, replies_json, text_of, texts_of
from .schema import OPEN

Alive = Callable[[str], bool]

REMEMBERED = 5 * 86_400_000  # ms; who queues gives up after 4 to 5 days (RFC 5321 section 4.5.4.1), and comes no more
REPLAY_FOR = 86_400_000  # ms that an answer is kept for a client that never heard it; its retries come within hours
EXPLICIT_FOR = 86_400_000  # ms that an explicit key holds; Stripe and Resend keep theirs as long

IN_ONE = 500  # values of one query; SQLite took 999 for long

_UNHEARD = frozenset({Peer.GONE, Peer.SPENT})


# --- before the message goes out -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Submission:
    """A message that came in and is not sent yet. `claim` is a name that nothing else has; `owner` the worker that asks.

    `named`: it came with a Message-ID. `lasting`: its explicit key holds for as long as anything is known of it.
    """

    key: bytes
    rcpt_to: tuple[str, ...]
    explicit: bytes | None
    owner: str
    claim: str
    now: int
    alive: Alive
    named: bool = True
    lasting: bool = False


def earlier(db: sqlite3.Connection, asked: Submission) -> Earlier:
    """What stands against sending a submission to its recipients, each of them for itself.

    That its client never heard of an end does not prove that the same mail again is a retry: some clients never listen, and a
    worker may die between writing our reply and noting that. To answer a mail that was meant, and not send it, would lose it;
    to send a retry is a duplicate that the journal marks. So it is answered instead of sent only where all of this holds:

    * the octets that came have a Message-ID: then they are the same message by definition (RFC 5322 section 3.6.4). Without
      one, two alerts of the same second are the same octets, and both are meant;
    * it is no older than REPLAY_FOR;
    * it was not given before without being heard: who never listens would never send again.

    In all other cases it is sent, and the journal says what it repeats. A replay is claimed for `owner`: nobody else gets it
    while that one lives. An attempt of which only a part of the recipients is asked for stays as it is, for the others.
    """
    found = _living(db, asked.alive, _LIKE_IT, (asked.key, asked.now - REMEMBERED))

    def replays(record: Record) -> bool:
        young = record.dot.timestamp() * 1_000 > asked.now - REPLAY_FOR
        return asked.named and young and record.peer is Peer.GONE

    # One whose client still waits stands against nothing: two clients with the same mail at the same time both mean it.
    told = _sorted_out(found, asked.rcpt_to, replays, flies=lambda record: record.peer is Peer.GONE)
    for trace in told.replayed if isinstance(told, Known) else ():
        change = "SET peer = 'waiting', owner = ?, claim = ? WHERE trace = ?"
        db.execute(f"UPDATE attempt {change}", (asked.owner, asked.claim, trace))
    return told


def under_key(db: sqlite3.Connection, asked: Submission) -> Earlier:
    """The same where the client gave a key, and so said that it means one mail: whether that was answered does not matter."""
    since = 0 if asked.lasting else asked.now - EXPLICIT_FOR
    found = _living(db, asked.alive, _HOLDING, (asked.explicit, since))
    for record in found:
        if record.attempt.key != asked.key:
            return Conflict(record.attempt.trace)
    return _sorted_out(found, asked.rcpt_to, lambda _: True, flies=lambda _: True)


# What may stand against a submission without a key of the client's own, and by which attempts such a key is taken; one that was
# refused or deferred leaves it free, since its mail never went. One that is being sent is never too old: the clock has jumped.
_YOUNG = "(dot > ? OR state = 'dot')"
_LIKE_IT = f"key = ? AND explicit IS NULL AND {OPEN} AND {_YOUNG}"
_HOLDING = f"explicit = ? AND state IN ('dot', 'uncertain', 'accepted', 'held') AND {_YOUNG}"


def _sorted_out(
    found: Sequence[Record], rcpt_to: Sequence[str], replays: Callable[[Record], bool], flies: Callable[[Record], bool]
) -> Known | InProgress:
    """Each recipient for itself. An attempt is `replayed` where everybody who has its message is answered from it."""
    left = [(record, _said(record)) for record in found]
    replies: list[Reply | None] = []
    used: dict[str, list[tuple[str, Reply | None]]] = {}
    follows: dict[str, None] = {}
    unsure: dict[str, None] = {}
    for name in map(text_of, rcpt_to):
        for record, said in left:
            reply = _positive(said, name)
            if reply is not None and replays(record):
                said.remove((name, reply))  # a recipient that stands there twice has two
                used[record.attempt.trace] = said
                replies.append(reply)
                break
        else:
            replies.append(None)
            for record, said in left:
                trace = record.attempt.trace
                if record.state is State.DOT:
                    if flies(record) and (name, None) in said:
                        return InProgress(trace)
                elif record.followed is None and (name, None) in said:
                    follows[trace] = unsure[trace] = None
                elif record.followed is None and record.peer in _UNHEARD and _positive(said, name) is not None:
                    follows[trace] = None
    whole = [trace for trace, said in used.items() if not any(reply is not None and reply.positive for _, reply in said)]
    return Known(tuple(replies), tuple(whole), tuple(follows), tuple(unsure))


def _said(record: Record) -> list[tuple[str, Reply | None]]:
    """What is known of each recipient of an attempt; None: it may have the message."""
    then, known = record.attempt.rcpt_to, list[Reply | None](record.replies)
    if record.state in (State.ACCEPTED, State.HELD):
        if len(known) == 1:  # one for all
            known *= len(then)
        known += [Reply(250, "2.0.0", record.attempt.trace)] * (len(then) - len(known))  # a person has found out
    else:
        known += [None] * (len(then) - len(known))
    return list(zip(then, known, strict=False))


def _positive(said: Sequence[tuple[str, Reply | None]], name: str) -> Reply | None:
    return next((reply for one, reply in said if one == name and reply is not None and reply.positive), None)


def unclaimed(db: sqlite3.Connection, key: bytes, claim: str) -> None:
    """Take back a claim: the submission never learned of it."""
    where = f"key = ? AND {OPEN} AND claim = ?"
    db.execute(f"UPDATE attempt SET peer = 'gone', claim = NULL WHERE {where}", (key, claim))  # noqa: S608 -- our own words


def unheard(db: sqlite3.Connection, trace: str) -> None:
    """A replay was not given after all."""
    where = "trace = ? AND peer = 'waiting' AND claim IS NOT NULL"
    db.execute(f"UPDATE attempt SET peer = 'gone', claim = NULL WHERE {where}", (trace,))  # noqa: S608 -- our own words


def begin(db: sqlite3.Connection, attempt: Attempt, owner: str, now: int, alive: Alive, *, left: bool = False) -> bool:
    """Write down that the final dot is next. False where the same mail got ahead since `earlier`: it must not be sent.

    What its client would be told then, it is told when it comes again. `left`: the client is gone already, so that what came
    after it is its retry, even where that was answered.
    """
    names = frozenset(map(text_of, attempt.rcpt_to))
    if attempt.explicit is not None:
        found = _living(db, alive, _HOLDING, (attempt.explicit, now - EXPLICIT_FOR))
        others = [one for one in found if one.followed is None and not _repeats(attempt, one)]
        if any(one.attempt.key != attempt.key or _may_have(one) & names for one in others):
            return False
    elif any(_ahead(attempt, one, names) for one in _living(db, alive, _LIKE_IT, (attempt.key, now - REMEMBERED))):
        return False
    if left and any(_may_have(one) & names for one in select(db, _LATER, (attempt.trace, attempt.key))):
        return False
    repeated = [one for trace in attempt.follows for one in select(db, "trace = ?", (trace,))]
    if any(one.followed is not None for one in repeated):
        return False
    _insert(db, attempt, owner, dot=now, peer=Peer.GONE if left else Peer.WAITING)
    for one in repeated:
        if _open_for(one) <= names:  # else it stands open for its other recipients
            db.execute("UPDATE attempt SET followed = ? WHERE trace = ?", (attempt.trace, one.attempt.trace))
    return True


# Traces lie in the order of time: these are the few of the last seconds.
_LATER = "trace > ? AND key = ? AND state IN ('dot', 'uncertain', 'accepted', 'held')"


def _repeats(attempt: Attempt, other: Record) -> bool:
    return other.attempt.trace in attempt.follows


def _ahead(attempt: Attempt, other: Record, names: frozenset[str]) -> bool:
    """Whether another attempt at the same mail, which this one does not know of, would be repeated unmarked."""
    if _repeats(attempt, other) or not _open_for(other) & names:
        return False
    if other.state is State.DOT:  # two clients that are connected both mean it, unless both repeat one attempt
        return other.peer in _UNHEARD or not frozenset(attempt.follows).isdisjoint(other.attempt.follows)
    return other.state is State.UNCERTAIN or other.peer in _UNHEARD


def _may_have(record: Record) -> frozenset[str]:
    """The recipients that have the message, or may have it."""
    return frozenset(name for name, reply in _said(record) if reply is None or reply.positive)


def _open_for(record: Record) -> frozenset[str]:
    """Those of them whose client does not know that."""
    return frozenset(
        name for name, reply in _said(record) if reply is None or (reply.positive and record.peer is not Peer.ANSWERED)
    )


# --- after it went out -----------------------------------------------------------------------------------------------


def finish(db: sqlite3.Connection, attempt: Attempt, owner: str, *, state: State, replies: Sequence[Reply], now: int) -> None:
    """Write down what the next hop said. The attempt as a whole, should the file have been replaced since its dot."""
    written = db.execute(
        "UPDATE attempt SET state = ?, replies = ?, replied = ? WHERE trace = ? AND state IN ('dot', 'uncertain')",
        (state, replies_json(replies), now, attempt.trace),
    )
    if not written.rowcount and not db.execute("SELECT 1 FROM attempt WHERE trace = ?", (attempt.trace,)).fetchone():
        _insert(db, attempt, owner, dot=now, state=state, replies=replies)
    if not all(reply.positive for reply in replies):
        _not_followed(db, attempt.trace)


def unsent(db: sqlite3.Connection, trace: str) -> None:
    """The dot was not sent after all."""
    db.execute("UPDATE attempt SET state = 'unsent' WHERE trace = ? AND state = 'dot'", (trace,))
    _not_followed(db, trace)


def _not_followed(db: sqlite3.Connection, trace: str) -> None:
    """What this attempt was to repeat is open again: at least one recipient has not got it from this one, and may have had it.

    Behind LMTP the others may have; should mail for them come again, it says of one more attempt than it must what it repeats.
    """
    for (follows,) in db.execute("SELECT follows FROM attempt WHERE trace = ? AND follows IS NOT NULL", (trace,)).fetchall():
        for one in texts_of(follows):
            db.execute("UPDATE attempt SET followed = NULL WHERE trace = ? AND followed = ?", (one, trace))


def uncertain(db: sqlite3.Connection, trace: str, replies: Sequence[Reply] = ()) -> None:
    """The dot was sent, and no reply came, or behind LMTP only these."""
    change = "SET state = 'uncertain', replies = ? WHERE trace = ? AND state = 'dot'"
    db.execute(f"UPDATE attempt {change}", (replies_json(replies), trace))
    if not all(reply.positive for reply in replies):
        _not_followed(db, trace)


def settle(db: sqlite3.Connection, trace: str, state: State) -> bool:
    """What somebody found out about an uncertain attempt. False where there is none of that name.

    That it arrived its client is to hear when it comes again: it was told 451, and `answered` is of that.
    """
    arrived = state is State.ACCEPTED
    change = "SET state = ?, peer = CASE WHEN ? THEN 'gone' ELSE peer END WHERE trace = ? AND state = 'uncertain'"
    found = db.execute(f"UPDATE attempt {change}", (state, arrived, trace)).rowcount
    if found and not arrived:
        _not_followed(db, trace)
    return bool(found)


def answered(db: sqlite3.Connection, trace: str, now: int) -> None:
    """Our reply was written to the client."""
    db.execute("UPDATE attempt SET peer = 'answered', told = ?, claim = NULL WHERE trace = ?", (now, trace))


def gone(db: sqlite3.Connection, trace: str) -> None:
    """The client was gone before our reply, the first one or one that was given it again; one that was answered stays so."""
    change = "SET peer = CASE WHEN claim IS NULL THEN 'gone' ELSE 'spent' END, claim = NULL"
    db.execute(f"UPDATE attempt {change} WHERE trace = ? AND peer = 'waiting'", (trace,))


# --- workers that died, and what is old ------------------------------------------------------------------------------


def bury(db: sqlite3.Connection, owner: str) -> tuple[list[str], list[str]]:
    """Conclude for a worker that is no more: what it was sending is uncertain, who waited for it is gone. Traces of both."""
    mine = f"owner = ? AND {OPEN}"
    lost = _traces(db, f"SET state = 'uncertain', peer = 'gone' WHERE {mine} AND state = 'dot'", owner)
    left = _traces(
        db, f"SET peer = 'gone', claim = NULL WHERE {mine} AND state IN ('accepted', 'held') AND peer = 'waiting'", owner
    )
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
    db: sqlite3.Connection,
    attempt: Attempt,
    owner: str,
    *,
    dot: int,
    state: State = State.DOT,
    peer: Peer = Peer.WAITING,
    replies: Sequence[Reply] = (),
) -> None:
    replied = None if state is State.DOT else dot
    traced = bool(attempt.notes)
    values = (*columns_of(attempt), str(state), str(peer), owner, replies_json(replies), dot, replied, None, traced)
    columns = f"{COLUMNS}, traced"
    db.execute(f"INSERT INTO attempt ({columns}) VALUES ({', '.join('?' * len(values))})", values)  # noqa: S608 -- our own words
    note(db, attempt.notes)
    if traced and state is not State.DOT:
        db.execute("INSERT INTO outbox (trace) VALUES (?)", (attempt.trace,))


# --- the outbox ------------------------------------------------------------------------------------------------------


def note(db: sqlite3.Connection, records: Sequence[bytes]) -> None:
    """Put records into the outbox."""
    db.executemany("INSERT INTO outbox (record) VALUES (?)", [(one,) for one in records])


def outbox(db: sqlite3.Connection, most: int) -> list[tuple[int, bytes | Record | None]]:
    """The oldest of what is to be told: number and record, or the attempt whose state changed (None: it was pruned)."""
    rows = db.execute("SELECT seq, trace, record FROM outbox ORDER BY seq LIMIT ?", (most,)).fetchall()
    changed = sorted({trace for _, trace, _ in rows if trace is not None})
    found: dict[str, Record] = {}
    for start in range(0, len(changed), IN_ONE):
        some = changed[start : start + IN_ONE]
        for one in select(db, f"trace IN ({', '.join('?' * len(some))})", tuple(some)):
            found[one.attempt.trace] = one
    return [(seq, record if trace is None else found.get(trace)) for seq, trace, record in rows]


def waiting(db: sqlite3.Connection) -> tuple[int, int]:
    """How many records wait in the outbox, about, and the number of the first."""
    first, last = db.execute("SELECT min(seq), max(seq) FROM outbox").fetchone()
    return (0, 0) if first is None else (last - first + 1, first)


def told(db: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """These are in the store now."""
    db.executemany("DELETE FROM outbox WHERE seq = ?", [(one,) for one in numbers])
