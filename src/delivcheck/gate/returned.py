"""What comes back without anybody connecting: a Maildir whose messages are taken in, and the log of a Postfix behind us.

The clerk runs both as one task (`follow`) until it is cancelled. Whatever is killed in between is read again: events have
ids that follow from what they say, and a place in a log is written down only when its events are in the store.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
import sqlalchemy as sa

from ..trace import schema
from ..trace.bounces import codes, postfix
from ..trace.bounces.causes import why
from ..trace.bounces.model import PASSING, Action, Fate
from ..trace.bounces.reading import MAX_OCTETS
from ..trace.bounces.services import bounced
from ..trace.ingest import ingest
from ..trace.intake import ReportError, TooEarlyError, sent_of, take_in
from ..trace.model import Kind, normal
from ..trace.records import Event, event_id
from ..trace.store import Store, StoreError
from ..trace.tokens import Tokens
from .desk import Desk
from .ports import Watch

PAUSE = 2.0  # seconds between two looks
AGAIN = 30.0  # seconds after a fault
BATCH = 500  # messages of a Maildir, or lines of a log, at a time
MAX_CHUNK = 1_048_576  # octets of a log that are read at once
MAX_PARTIAL = 65_536  # octets of a line without its end: more is no line of Postfix's
PATIENCE = 600.0  # seconds that a line waits for its message, which comes to the store by way of the journal
MAX_WAITING = 10_000  # such lines
TAIL = 200_000  # events from the end, in which messages that were sent lately are looked for at a start

_THROUGH = frozenset({Kind.PASSED, Kind.BYPASSED, Kind.HELD})  # of a milter: the MTA has it

Task = Callable[[Desk], Awaitable[None]]


async def follow(desk: Desk) -> None:
    """All that the configuration asks for, until it is cancelled."""
    async with asyncio.TaskGroup() as group:
        for task in _wanted(desk):
            group.create_task(_endless(task(desk)))


async def _endless(work: Awaitable[None]) -> None:
    await work


def _wanted(desk: Desk) -> list[Task]:
    bounces = desk.gate.bounces
    if bounces is None:
        return []
    return [task for path, task in ((bounces.maildir, follow_maildir), (bounces.postfix_log, follow_log)) if path is not None]


async def follow_maildir(desk: Desk) -> None:
    """Take in what comes into the Maildir."""
    bounces = desk.gate.bounces
    assert bounces is not None
    assert bounces.maildir is not None
    maildir = Maildir(bounces.maildir, desk.store, desk.tokens, bounces.domain)
    await _repeat(maildir.once, "maildir", desk)


async def follow_log(desk: Desk) -> None:
    """Follow Postfix's log."""
    bounces = desk.gate.bounces
    assert bounces is not None
    assert bounces.postfix_log is not None
    log = Log(bounces.postfix_log, desk.store, desk.gate.name)
    await _repeat(log.once, "postfix-log", desk)


async def _repeat(once: Callable[[], int], where: str, desk: Desk) -> None:
    watch: Watch = desk.watch
    while True:
        wait = PAUSE
        try:
            if await desk.work(once):
                wait = 0.0
        except (OSError, StoreError) as error:
            watch("fault", where=where, reason=str(error))
            wait = AGAIN
        await asyncio.sleep(wait)


# --- Maildir -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Maildir:
    """A Maildir that some MTA delivers to: what is in `new` is read, and moved to `cur` once its events are in the store."""

    folder: Path
    store: Store
    tokens: Tokens
    domain: str

    def once(self) -> int:
        """Take in at most BATCH messages, the oldest first; how many were. Blocks. Raises OSError, StoreError."""
        with os.scandir(self.folder / "new") as found:
            files = sorted(one.name for one in found if not one.name.startswith(".") and one.is_file(follow_symlinks=False))
        done = 0
        for name in files[:BATCH]:
            try:
                events = self._events(self.folder / "new" / name)
            except TooEarlyError:
                continue  # it stays in `new`, and is looked at again
            except FileNotFoundError:
                continue  # somebody else's reader took it
            if events:
                ingest(self.store, events)
            done += self._seen(name)
        return done

    def _events(self, path: Path) -> list[Event]:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123 -- a descriptor
            octets = file.read(MAX_OCTETS + 1)
        try:
            return take_in(octets, (), self.tokens, domain=self.domain, find=sent_of(self.store), now=_now())
        except ReportError:
            return []

    def _seen(self, name: str) -> int:
        base = name.partition(":")[0]
        try:
            os.rename(self.folder / "new" / name, self.folder / "cur" / f"{base}:2,S")  # noqa: PTH104 -- as Maildir describes it
        except FileNotFoundError:
            return 0
        return 1


# --- Postfix's log -----------------------------------------------------------------------------------------------


class Place(msgspec.Struct, frozen=True):
    """How far a log was read: in the file with this number, up to this octet."""

    inode: int
    offset: int


class Log:
    """Postfix's log, followed over its rotation. `gate`: on whose machine; several share a store and have the same path."""

    def __init__(self, path: Path, store: Store, gate: str = "") -> None:
        self._path, self._store = path, store
        self._name = f"postfix-log:{gate}:{path}"[:255]
        self._known = postfix.Known()
        self._seq: int | None = None
        self._waiting: list[tuple[float, postfix.Line]] = []  # lines of messages that the store does not know, or not yet

    def once(self) -> int:
        """Bring what is new, at most a chunk; octets read. Blocks. Raises OSError, StoreError."""
        place = self._place()
        path = self._file(place)
        if path is None:
            return 0
        with path.open("rb") as file:
            inode, size = os.fstat(file.fileno()).st_ino, os.fstat(file.fileno()).st_size
            offset = place.offset if place is not None and place.inode == inode and place.offset <= size else 0
            file.seek(offset)
            chunk = file.read(MAX_CHUNK)
        end = chunk.rfind(b"\n") + 1
        if not end and len(chunk) > MAX_PARTIAL:
            end = len(chunk)
        if not end:
            self._learn()
            if events := self._late(datetime.now().astimezone()):
                ingest(self._store, events)
            if path != self._path:  # the old file is read to its end
                self._keep(Place(_inode(self._path), 0))
                return 1
            return 0
        self._learn()
        now = datetime.now().astimezone()
        read = [postfix.read(line.decode("utf-8", "replace")) for line in chunk[:end].split(b"\n")]
        events = [*self._late(now), *(event for line in read if line is not None and (event := self._event(line, now)))]
        for start in range(0, len(events), BATCH):
            ingest(self._store, events[start : start + BATCH])
        self._keep(Place(inode, offset + end))
        return end

    def _file(self, place: Place | None) -> Path | None:
        """The file to read on: the one that was being read, under whatever name it is now, until its end."""
        if not self._path.exists():
            return None
        if place is None or place.inode == _inode(self._path):
            return self._path
        with contextlib.suppress(OSError):
            for path in sorted(self._path.parent.glob(f"{_literal(self._path.name)}*")):
                if not path.name.endswith((".gz", ".xz", ".bz2", ".zst")) and _inode(path) == place.inode:
                    return path
        return self._path

    def _late(self, now: datetime) -> list[Event]:
        """The events of lines whose message has come to the store since."""
        waiting, self._waiting = self._waiting, []
        found = []
        for since, line in waiting:
            if self._known.trace(line) is not None:
                if event := self._event(line, now):
                    found.append(event)
            elif time.monotonic() - since < PATIENCE:
                self._waiting.append((since, line))
        return found

    def _event(self, line: postfix.Line, now: datetime) -> Event | None:
        trace = self._known.trace(line)
        if trace is None:
            if len(self._waiting) < MAX_WAITING:
                self._waiting.append((time.monotonic(), line))
            return None
        at = postfix.moment(line.when, now)
        what = ("log", line.queue_id, line.when)
        recipient = line.original or line.recipient
        if line.status == "sent":
            if not postfix.delivers(line):
                return None
            kind, detail = Kind.DELIVERED, {"by": "postfix", "relay": line.relay, "reply": line.text}
        else:
            said = codes.reply(line.text)
            failed = line.status == "bounced"
            action = Action.FAILED if failed else Action.DELAYED
            cause = why(line.dsn, said.code, line.text, remote=line.relay.partition("[")[0], action=action)
            fate = Fate(
                recipient=recipient,
                action=action,
                status=line.dsn,
                code=said.code,
                diagnostic=line.text,
                remote_mta=line.relay,
                cause=cause.cause,
                permanent=failed and line.dsn.startswith("5") and cause.cause not in PASSING,
                provider=cause.provider,
                rules=cause.rules,
            )
            kind = Kind.BOUNCED if failed else Kind.DEFERRED
            detail = {**bounced(fate), "by": "next-hop", "reply": line.text}
        return Event(
            id=event_id(trace, kind, normal(recipient), *what),
            trace=trace,
            kind=kind,
            at=at,
            recipient=recipient,
            source="log",
            detail=detail,
        )

    def _learn(self) -> None:
        """Which queue ids our messages have, from what was sent, or went by as a milter, since the last time."""
        e = schema.event.c
        with self._store.read() as db:
            if self._seq is None:
                last = int(db.scalar(sa.select(sa.func.max(e.seq))) or 0)
                self._seq = max(0, last - TAIL)
                m = schema.message.c
                behind_milter = sa.select(m.queue_id, m.id).where(m.queue_id != "").order_by(m.id.desc()).limit(BATCH * 20)
                for queue_id, trace in reversed(db.execute(behind_milter).all()):
                    self._known.learn(queue_id, trace)
            wanted = (
                sa.select(e.seq, e.message, e.kind, e.detail, schema.message.c.queue_id)
                .join(schema.message, schema.message.c.id == e.message)
                .where(e.seq > self._seq)
                .order_by(e.seq)
            )
            for seq, trace, kind, detail, behind in db.execute(wanted):
                self._seq = seq
                if behind and kind in _THROUGH:  # behind a milter nothing is sent by us, and the MTA's own id is known
                    self._known.learn(behind, trace)
                if kind == Kind.SENT:
                    reply = msgspec.json.decode(detail).get("reply", "")
                    if queue_id := postfix.queue_id_of(str(reply)):
                        self._known.learn(queue_id, trace)

    def _place(self) -> Place | None:
        with self._store.read() as db:
            found = db.scalar(sa.select(schema.position.c.value).where(schema.position.c.name == self._name))
        try:
            return None if found is None else msgspec.json.decode(found, type=Place)
        except msgspec.DecodeError:
            return None

    def _keep(self, place: Place) -> None:
        value, p = msgspec.json.encode(place).decode(), schema.position
        with self._store.write() as db:
            if not db.execute(p.update().where(p.c.name == self._name).values(value=value)).rowcount:
                db.execute(p.insert().values(name=self._name, value=value))


def _literal(name: str) -> str:
    """A file's name as a pattern that means itself."""
    return "".join(f"[{one}]" if one in "*?[" else one for one in name)


def _inode(path: Path) -> int:
    return path.stat().st_ino


def _now() -> int:
    return time.time_ns() // 1_000_000
