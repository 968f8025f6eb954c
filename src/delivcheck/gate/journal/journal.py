"""The journal as the gate uses it: asynchronous, one for each worker process, all on the same file."""

import asyncio
import contextlib
import functools
import itertools
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from ... import ulid
from ..reply import Reply
from . import rules
from .facts import Attempt, Earlier, JournalError, OvertakenError, Record, State
from .owner import Owner
from .store import FILE, Store
from .writer import Writer

PATIENCE = 15.0  # seconds to wait for the disk: below the gate's deadline of 25, and above store.BUSY
PRUNE_AT_ONCE = 1_000  # rows deleted in one transaction, which others wait for

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Recovered:
    """The attempts of workers that are no more, by trace: `uncertain` may have been sent, `unanswered` were."""

    uncertain: tuple[str, ...]
    unanswered: tuple[str, ...]


class Journal:
    """What became of every message whose final dot was, or was about to be, sent. Keeps facts, never mail.

    The order of calls for one message:

    1. `answer_for` when the message is there, and act on what it says.
    2. `before_dot`; where it raises, the dot must not be sent. `unsent` where the dot was not sent all the same.
    3. `after` with the next hop's reply, before ours; or `uncertain` where none came. To hold a message goes the same way.
    4. `answered` once our reply is written, `gone` where the client is gone, as early as that is known: until then, the same
       mail from another connection is a second mail that is meant.

    Nothing is opened before it is needed, and a fault is not remembered: the journal works again as soon as its disk does.
    The methods that are not async return at once and never raise; what they say is tried again until it is written.
    """

    def __init__(self, state: Path) -> None:
        self._state = state
        self._owner: Owner | None = None
        self._writer = Writer(Store(state / FILE))
        self._log = state / f"{FILE}-wal"
        self._claims = itertools.count()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        await self.close()

    @property
    def waiting(self) -> int:
        """How many entries are not yet on the disk."""
        return self._writer.waiting

    # --- one message

    async def answer_for(
        self, key: bytes, rcpt_to: Sequence[str], explicit: bytes | None = None, *, named: bool = True, lasting: bool = False
    ) -> Earlier:
        """What a new submission is to be told of earlier ones with the same `fingerprint`. Raises JournalError.

        `named`: it came with a Message-ID, without which a retry cannot be told from another mail. `lasting`: the explicit key
        holds for longer than a day.
        """
        me = self._me()
        claim = f"{me.name} {next(self._claims)}"
        asked = rules.Submission(key, tuple(rcpt_to), explicit, me.name, claim, _now(), me.alive, named, lasting)
        try:
            found: Earlier = await self._ask(_on(rules.earlier if explicit is None else rules.under_key, asked))
        except BaseException:
            # Whether it was written is not known, nor is the submission there any more to give the replay to.
            self._writer.later(_on(rules.unclaimed, key, claim))
            raise
        return found

    async def before_dot(self, attempt: Attempt, *, left: bool = False) -> None:
        """On the disk when it returns: the dot may be sent. Raises JournalError, OvertakenError: it must not.

        `left`: the client is gone already.
        """
        try:
            me = self._me()
            mine = await self._ask(_on(rules.begin, attempt, me.name, _now(), me.alive, left=left))
        except BaseException:
            self.unsent(attempt.trace)  # it may be on the disk all the same
            raise
        if not mine:
            raise OvertakenError(attempt.trace)

    def unsent(self, trace: str) -> None:
        """The dot was not sent, though it was announced."""
        self._writer.later(_on(rules.unsent, trace))

    async def after(self, attempt: Attempt, replies: Sequence[Reply], *, held: bool = False) -> None:
        """What the next hop said: one reply, or behind LMTP one for each of `rcpt_to`. On the disk when it returns.

        `held`: it is we who have the message. Raises JournalError. The client is told what was said all the same, since it is
        true; it is written later.
        """
        state = State.HELD if held else _state(replies)
        finish = _on(rules.finish, attempt, self._me().name, state=state, replies=tuple(replies), now=_now())
        await self._ask(finish, owed=True)

    def held(self, attempt: Attempt, reply: Reply) -> None:
        """We have the message after all, though nobody waited for that any more."""
        self._writer.later(_on(rules.finish, attempt, self._me().name, state=State.HELD, replies=(reply,), now=_now()))

    def uncertain(self, trace: str, replies: Sequence[Reply] = ()) -> None:
        """The dot was sent and no reply came, or behind LMTP only these (`ports.Uncertain`)."""
        self._writer.later(_on(rules.uncertain, trace, tuple(replies)))

    def unheard(self, trace: str) -> None:
        """A replay of this attempt was not given after all: it is there for the next."""
        self._writer.later(_on(rules.unheard, trace))

    def answered(self, trace: str) -> None:
        """Our reply was written to the client. Also of a replay, with its trace."""
        self._writer.later(_on(rules.answered, trace, _now()), lazy=True)

    def gone(self, trace: str) -> None:
        """The client is gone, and was not answered. Also of a replay, with its trace."""
        self._writer.later(_on(rules.gone, trace))

    # --- all of them

    async def recover(self, alive: Callable[[str], bool] | None = None) -> Recovered:
        """Conclude for workers that are no more; at the start, and when a worker died. Raises JournalError.

        `alive` says of an owner's name whether it runs; by default its lock does.
        """
        lives = alive or self._me().alive

        def work(db: sqlite3.Connection) -> Recovered:
            buried = [rules.bury(db, owner) for owner in rules.owners(db) if not lives(owner)]
            return Recovered(tuple(one for lost, _ in buried for one in lost), tuple(one for _, left in buried for one in left))

        found: Recovered = await self._ask(work)
        with contextlib.suppress(OSError):  # files left over harm nobody
            self._me().sweep()
        return found

    async def prune(self, older_than: timedelta) -> int:
        """Forget attempts that are older, but those that are being sent; how many there were. Raises JournalError."""
        before = ulid.floor(datetime.now(UTC) - older_than)
        total = 0
        while deleted := await self._ask(_on(rules.prune, before, PRUNE_AT_ONCE)):
            total += deleted
        return total

    async def settle(self, trace: str, *, sent: bool) -> bool:
        """What a person found out about an uncertain attempt; False where there is none. Raises JournalError."""
        found: bool = await self._ask(_on(rules.settle, trace, State.ACCEPTED if sent else State.DEFERRED))
        return found

    # --- the outbox: what the trace is told

    def note(self, records: Sequence[bytes]) -> None:
        """Tell the trace, by and by; it is lost only with the machine, or a kill within the next moments."""
        if records:
            self._writer.later(_on(rules.note, tuple(records)), lazy=True)

    async def noted(self, records: Sequence[bytes]) -> None:
        """Tell the trace; on the disk when it returns. Raises JournalError, and then it may be there all the same."""
        await self._ask(_on(rules.note, tuple(records)))

    async def outbox(self, most: int) -> list[tuple[int, bytes | Record | None]]:
        """The oldest of what is to be told: number and record, or the attempt whose state changed. Raises JournalError."""
        found: list[tuple[int, bytes | Record | None]] = await self._ask(_on(rules.outbox, most), reading=True)
        return found

    async def told(self, numbers: Sequence[int]) -> None:
        """These are in the store. Raises JournalError; then they come again."""
        await self._ask(_on(rules.told, tuple(numbers)))

    def mark(self) -> object:
        """Another one after every commit, whichever process's: who finds the same as before need not ask for the outbox again.

        None where that cannot be said. A look at the write-ahead log, without a lock or a transaction; its time is that of the
        kernel's clock tick, so that two commits within some milliseconds may look like one: ask now and then all the same.
        """
        try:
            found = self._log.stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    async def backlog(self) -> int:
        """How many records wait in the outbox, about. Raises JournalError."""
        found: tuple[int, int] = await self._ask(_on(rules.waiting), reading=True)
        return found[0]

    async def find(self, trace: str) -> Record | None:
        """One attempt. Raises JournalError."""
        found = await self._ask(_on(rules.select, "trace = ?", (trace,)), reading=True)
        return found[0] if found else None

    async def records(self, state: State | None = None, most: int = -1) -> list[Record]:
        """Attempts, oldest first, at most so many. Raises JournalError."""
        where, values = ("1", ()) if state is None else ("state = ?", (str(state),))
        found: list[Record] = await self._ask(_on(rules.select, where, values, most), reading=True)
        return found

    async def close(self) -> None:
        """Write what is to be written, and let go of the file."""
        await self._writer.close()
        if self._owner is not None:
            self._owner.close()
            self._owner = None

    # --- within

    def _me(self) -> Owner:
        """This worker's name and lock, had when first needed. Raises JournalError."""
        if self._owner is None:
            try:
                self._owner = Owner(self._state)
            except OSError as error:
                raise JournalError(str(error)) from error
        return self._owner

    async def _ask(self, work: Callable[[sqlite3.Connection], Any], *, owed: bool = False, reading: bool = False) -> Any:
        done = self._writer.do(work, owed=owed, reading=reading)
        # A third of what asyncio.timeout costs, and there are three of them for each message.
        overdue = asyncio.get_running_loop().call_later(PATIENCE, _give_up, done)
        try:
            return await done
        finally:
            overdue.cancel()


def _state(replies: Sequence[Reply]) -> State:
    """What the replies come to. Behind LMTP one recipient that has the message decides: it must not go there again."""
    if any(reply.positive for reply in replies):
        return State.ACCEPTED
    return State.REFUSED if replies and all(reply.permanent for reply in replies) else State.DEFERRED


def _on(
    rule: Callable[Concatenate[sqlite3.Connection, P], T], *values: P.args, **named: P.kwargs
) -> Callable[[sqlite3.Connection], T]:
    """A rule with its values, waiting for a transaction."""
    return functools.partial(_call, rule, values, named)


def _call(rule: Callable[..., T], values: tuple[Any, ...], named: dict[str, Any], db: sqlite3.Connection) -> T:
    return rule(db, *values, **named)


def _give_up(done: "asyncio.Future[Any]") -> None:
    if not done.done():
        done.set_exception(JournalError(f"the disk has not answered within {PATIENCE:g} s"))


def _now() -> int:
    return time.time_ns() // 1_000_000
