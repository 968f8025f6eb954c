"""Held mail: a durable copy of each message in `<state>/held`, until a person releases or discards it or its time is over.

`<trace>.eml` has exactly the octets that came, since a release judges them again; `<trace>.json` says all else, and only with
it an entry exists. Files are never changed, only replaced: a reader, or a crash, sees a whole file or none.

Where the configuration names a key (`key-file` of [gate.hold]) both are encrypted, each for its own name only. What was held
before is read as it is. What is held can be counted, listed by trace, discarded and expired without the key.
"""

import asyncio
import contextlib
import fcntl
import functools
import hashlib
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import ParamSpec, TypeVar

import msgspec

from .. import ulid
from ..facts.roots import Origin
from ..keyring import NoKeys, NotOpened, is_sealed
from ..model import Level, TargetReport
from ..model import Outcome as Judged
from . import durable
from .model import Client, Credential, Incoming, MailFrom, Outcome, RcptTo
from .sealing import Sealing
from .settings import Hold

FOLDER = "held"
SCHEMA = "delivcheck-held/1"
MAX_FINDINGS = 50  # rules whose findings are kept with an entry: what a person reads
MAX_SAID = 500  # characters of one finding
STALE = 3_600.0  # seconds after which a half-written file has no writer any more
PATIENCE = 5.0  # seconds to wait for another worker that holds a message
THREADS = 4  # that write at the same time; more only wait for one another
WAITING = 100  # pieces of work for them: each may hold a whole message, which nobody counts any more once it was not waited for
_POLL = 0.01  # seconds between two looks
CONFIRMED = 86_400.0  # seconds of uptime for which the clock must say that an entry is too old: a wrong one is noticed by then

_LOCK = ".lock"
_OVERDUE = ".overdue"  # JSON: the uptime at which each entry was first found to be too old

P = ParamSpec("P")
T = TypeVar("T")


class HeldError(Exception):
    """Nothing was held, or nothing was found; one line for the operator. To a client that is 452 4.3.1."""


class LockedError(HeldError):
    """It is encrypted, and cannot be read here."""


class FullError(HeldError):
    """What is held already takes all the room that the configuration gives."""


class NotHeldError(HeldError):
    """There is no such entry, or no longer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that failed or was undecided, and what it found."""

    rule: str
    outcome: str
    level: str
    found: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What `<trace>.json` says: everything that judging and relaying need beside the octets. Addresses are as they came."""

    schema: str = SCHEMA
    trace: str
    received: datetime
    held: datetime
    sender: MailFrom
    recipients: tuple[RcptTo, ...]
    ip: str | None
    port: int
    listener: str
    helo: str | None
    tls: str | None
    protocol: str
    credential: Credential | None
    forwarded: dict[str, str]
    stream: str | None
    next_hop: str | None
    signed_later: bool
    reason: str
    rules: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    size: int  # of the octets
    sha256: str  # of the octets, hexadecimal
    sealed: bool = False  # the octets lie there encrypted

    def incoming(self, octets: bytes) -> Incoming:
        """The message as it came in then."""
        return Incoming(
            octets,
            self.sender.address,
            tuple(one.address for one in self.recipients),
            self.client(),
            self.trace,
            self.received,
            Origin.AS_SENT,
            smtputf8=self.sender.smtputf8,
            next_hop=self.next_hop,
            stream=self.stream,
            signed_later=self.signed_later,
        )

    def client(self) -> Client:
        """The client of then."""
        return Client(
            None if self.ip is None else ip_address(self.ip),
            self.port,
            self.listener,
            helo=self.helo,
            tls=self.tls,
            protocol=self.protocol,
            credential=self.credential,
            forwarded=dict(self.forwarded),
        )


@dataclass(frozen=True, slots=True)
class Damaged:
    """An entry that cannot be read, half-written perhaps; it is listed, since mail may be in it."""

    trace: str
    reason: str


@dataclass(frozen=True, slots=True)
class Usage:
    """How much is held: files of messages, and octets of all files."""

    messages: int
    octets: int


_decode = msgspec.json.Decoder(Entry).decode


class HeldStore:
    """The folder. Its methods block, but for `keep` and `work`; many processes may use it at the same time.

    `hold` bounds what `keep` adds and what `expire` leaves.
    """

    def __init__(self, state: Path, hold: Hold) -> None:
        self.folder = state / FOLDER
        self._hold = hold
        self._sealing = None if hold.key is None else Sealing(hold.key)
        self._threads = ThreadPoolExecutor(THREADS, "held")
        self._waiting = 0

    def check(self) -> None:
        """Whether the keys can be had, where some are named. Blocks. Raises keyring.NoKeys."""
        if self._sealing is not None:
            self._sealing.check()

    # --- holding

    async def keep(
        self,
        incoming: Incoming,
        outcome: Outcome,
        *,
        sender: MailFrom | None = None,
        recipients: Sequence[RcptTo] = (),
        until: float = math.inf,
    ) -> Entry:
        """Hold a message: on the disk when this returns, and only then may the client be told 250. Raises HeldError.

        `sender` and `recipients` carry what MAIL and RCPT said beside the addresses. From `until` on (`time.monotonic`) nothing
        is begun; what was begun by then comes to its end.
        """
        entry = _entry(incoming, outcome, sender, recipients)
        return await self.work(self.put, entry, incoming.octets, until)

    async def work(self, method: Callable[P, T], /, *arguments: P.args, **named: P.kwargs) -> T:
        """One of the methods that block, in a thread of ours: a disk that hangs must keep nothing else from its threads.

        Raises HeldError, too, where WAITING others wait for the disk.
        """
        if self._waiting >= WAITING:
            raise HeldError(f"{self._waiting} others wait for the disk")
        self._waiting += 1
        work = asyncio.get_running_loop().run_in_executor(self._threads, functools.partial(method, *arguments, **named))
        work.add_done_callback(self._done)
        return await work

    def _done(self, _: "asyncio.Future[T]") -> None:
        self._waiting -= 1

    def put(self, entry: Entry, octets: bytes, until: float = math.inf) -> Entry:
        """Write an entry, which is returned as it lies there: on the disk by then. Raises HeldError: then it is not held."""
        _in_time(entry, until)
        entry = replace(entry, sealed=self._sealing is not None)
        described, written = self._sealed(entry.trace, "json", _encoded(entry)), self._sealed(entry.trace, "eml", octets)
        with _told(entry.trace, "not held: there is no state folder"):
            durable.folder(self.folder.parent)
            durable.folder(self.folder)
            with self._alone():
                used = self.usage().octets
                if used + len(written) + len(described) > self._hold.max_octets:
                    raise FullError(f"{entry.trace}: not held: {used} of {self._hold.max_octets} octets are taken")
                if self._file(entry.trace, "json").exists():
                    raise HeldError(f"{entry.trace}: held already")
                durable.write(self._file(entry.trace, "eml"), written)
                try:
                    _in_time(entry, until)
                    durable.write(self._file(entry.trace, "json"), described)
                except BaseException:
                    with contextlib.suppress(OSError):
                        self._file(entry.trace, "json").unlink(missing_ok=True)  # its folder's fsync may have failed
                        self._file(entry.trace, "eml").unlink(missing_ok=True)
                    raise
        return entry

    def usage(self) -> Usage:
        """What is held now. Raises HeldError."""
        messages = octets = 0
        with _told(str(self.folder)), contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as files:
            for file in files:
                with contextlib.suppress(FileNotFoundError):  # taken away meanwhile
                    octets += file.stat(follow_symlinks=False).st_size
                    messages += file.name.endswith(".eml") and ulid.valid(file.name[: -len(".eml")])
        return Usage(messages, octets)

    # --- looking

    def entries(self) -> list[Entry | Damaged]:
        """All of them, oldest first. Raises HeldError."""
        return list(self.after(""))

    def after(self, last: str) -> Iterator[Entry | Damaged]:
        """Those behind a trace, oldest first, each read when it is its turn: a page reads no more. Raises HeldError."""
        with _told(str(self.folder)):
            files = list(self.folder.iterdir()) if self.folder.exists() else []
        known = sorted({file.stem for file in files if file.suffix in (".eml", ".json")})
        for trace in filter(ulid.valid, known):
            if trace <= last:
                continue
            try:
                yield self.entry(trace)
            except NotHeldError:
                with contextlib.suppress(OSError):
                    if self._file(trace, "eml").exists():
                        yield Damaged(trace, "it has no envelope: it is being written, or its writing was cut short")
            except HeldError as error:
                yield Damaged(trace, str(error))

    def entry(self, trace: str) -> Entry:
        """One of them. Raises HeldError."""
        path = self._file(trace, "json")
        with _told(trace):
            piece = durable.read(path)
        entry = _decoded(self._opened(trace, "json", piece) if is_sealed(piece) else piece, trace)
        if entry.trace != trace:
            raise HeldError(f"{trace}: the file names another entry")
        return entry

    def octets(self, entry: Entry) -> bytes:
        """The message, as it came. Raises HeldError, also where it is no longer what it was."""
        with _told(entry.trace):
            octets = durable.read(self._file(entry.trace, "eml"))
        if entry.sealed:
            octets = self._opened(entry.trace, "eml", octets)
        if hashlib.sha256(octets).hexdigest() != entry.sha256:
            raise HeldError(f"{entry.trace}: the octets are not those that were held")
        return octets

    def beginning(self, entry: Entry, most: int) -> bytes:
        """So much of the message, for its header; not held against its hash. Raises HeldError."""
        if entry.sealed:
            return self.octets(entry)[:most]
        with _told(entry.trace), durable.reading(self._file(entry.trace, "eml")) as file:
            return file.read(most)

    # --- ending

    @contextlib.contextmanager
    def claimed(self, trace: str) -> Iterator[Entry]:
        """The entry, for nobody else to release, discard or expire meanwhile. Raises HeldError."""
        with self._claim(trace):
            yield self.entry(trace)

    @contextlib.contextmanager
    def _claim(self, trace: str) -> Iterator[None]:
        """The same for an entry that cannot be read, too."""
        path = self._file(trace, "json")
        with _told(trace):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            with _told(trace):
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise HeldError(f"{trace}: it is being released or discarded just now") from None
                if not os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False)):
                    raise HeldError(f"{trace}: it changed just now, please look again")
            yield
        finally:
            os.close(descriptor)

    def narrow(self, entry: Entry, recipients: Iterable[RcptTo], reason: str) -> None:
        """Keep a claimed entry for these of its recipients only; for none: take it away. Raises HeldError."""
        left = tuple(recipients)
        if not left:
            self.remove(entry.trace)
            return
        described = self._sealed(entry.trace, "json", _encoded(replace(entry, recipients=left, reason=reason)))
        with _told(entry.trace):
            durable.write(self._file(entry.trace, "json"), described)

    def remove(self, trace: str) -> None:
        """Take a claimed entry away, for good when this returns. Raises HeldError."""
        with _told(trace):
            self._file(trace, "json").unlink(missing_ok=True)  # first: an entry is there with its envelope, or not at all
            self._file(trace, "eml").unlink(missing_ok=True)
            durable.sync(self.folder)

    def discard(self, trace: str) -> None:
        """Take an entry away that nobody is releasing, a damaged one too. Raises HeldError."""
        try:
            with self._claim(trace):
                self.remove(trace)
        except NotHeldError:
            if not self._file(trace, "eml").exists():
                raise
            self.remove(trace)

    def expire(self, now: datetime, uptime: float | None = None) -> list[str]:
        """Discard what is held for longer than `keep_days`, and what crashes left behind; the traces. Raises HeldError.

        `uptime` (`time.monotonic`, None: somebody asks for it) is of a gate that does so by itself: a clock that is wrong for
        once must not cost mail that was acknowledged. It discards what every run of the last CONFIRMED seconds found too old.
        """
        before = now - timedelta(days=self._hold.keep_days)
        overdue = [
            one.trace for one in self.entries() if (one.held if isinstance(one, Entry) else ulid.minted(one.trace)) < before
        ]
        gone = []
        for trace in overdue if uptime is None else self._confirmed(overdue, uptime):
            with contextlib.suppress(HeldError):  # it is being released just now
                self.discard(trace)
                gone.append(trace)
        self._sweep(now)
        return gone

    def _confirmed(self, overdue: Sequence[str], uptime: float) -> list[str]:
        """Those that were overdue CONFIRMED seconds ago, too, and ever since; after a start of the machine it begins anew."""
        path, seen = self.folder / _OVERDUE, dict[str, float]()
        with contextlib.suppress(OSError, msgspec.MsgspecError):  # not there, or nothing of ours: then all are seen now
            seen = msgspec.json.decode(path.read_bytes(), type=dict[str, float])
        found = {trace: seen[trace] if seen.get(trace, math.inf) <= uptime else uptime for trace in overdue}
        if found != seen:
            with _told(str(path)):
                durable.write(path, msgspec.json.encode(found))
        return [trace for trace, since in found.items() if uptime - since >= CONFIRMED]

    # --- within

    def _file(self, trace: str, end: str) -> Path:
        """The file of an entry. Only a trace id as we mint them becomes a path: no folder, no dots, no other name."""
        if not ulid.valid(trace):
            raise NotHeldError(f"{trace[:100]!r} is no trace id")
        return self.folder / f"{trace}.{end}"

    def _sealed(self, trace: str, end: str, octets: bytes) -> bytes:
        """As it goes to the disk. Raises LockedError."""
        if self._sealing is None:
            return octets
        try:
            return self._sealing.seal(f"held {trace}.{end}", octets)
        except NoKeys as error:
            raise LockedError(f"{trace}: not held: the key of held mail: {error}") from None

    def _opened(self, trace: str, end: str, piece: bytes) -> bytes:
        """As it was before it was sealed. Raises LockedError."""
        if self._sealing is None:
            raise LockedError(f"{trace}: it is encrypted, and [gate.hold] names no key")
        try:
            return self._sealing.open(f"held {trace}.{end}", piece)
        except NoKeys as error:
            raise LockedError(f"{trace}: it is encrypted, and the key cannot be had: {error}") from None
        except NotOpened as error:
            raise LockedError(f"{trace}: {error}") from None

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """One writer at a time, so that the room is counted right. Raises HeldError, OSError."""
        descriptor = durable.opened(self.folder / _LOCK, os.O_RDWR)
        try:
            until = time.monotonic() + PATIENCE
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise HeldError(f"not held: another worker has been writing for {PATIENCE:g} s") from None
                    time.sleep(_POLL)
            yield
        finally:
            os.close(descriptor)

    def _sweep(self, now: datetime) -> None:
        """Take away temporary files that nobody writes any more."""
        with _told(str(self.folder)):
            for path in self.folder.glob(".*.*.*") if self.folder.exists() else ():
                with contextlib.suppress(FileNotFoundError):
                    if now.timestamp() - path.stat(follow_symlinks=False).st_mtime > STALE:
                        path.unlink()


def _in_time(entry: Entry, until: float) -> None:
    if time.monotonic() >= until:
        raise HeldError(f"{entry.trace}: not held: the time for this message is over")


def _entry(incoming: Incoming, outcome: Outcome, sender: MailFrom | None, recipients: Sequence[RcptTo]) -> Entry:
    client = incoming.client
    return Entry(
        trace=incoming.trace,
        received=incoming.received,
        held=datetime.now(UTC),
        sender=sender or MailFrom(incoming.mail_from, smtputf8=incoming.smtputf8),
        recipients=tuple(recipients) or tuple(map(RcptTo, incoming.rcpt_to)),
        ip=None if client.ip is None else str(client.ip),
        port=client.port,
        listener=client.listener,
        helo=client.helo,
        tls=client.tls,
        protocol=client.protocol,
        credential=client.credential,
        forwarded=dict(client.forwarded),
        stream=incoming.stream,
        next_hop=incoming.next_hop,
        signed_later=incoming.signed_later,
        reason=outcome.decision.reason[:MAX_SAID],
        rules=outcome.decision.rules[:MAX_FINDINGS],
        findings=() if outcome.report is None else tuple(findings(outcome.report))[:MAX_FINDINGS],
        size=len(incoming.octets),
        sha256=hashlib.sha256(incoming.octets).hexdigest(),
    )


def findings(report: TargetReport) -> Iterator[Finding]:
    """What speaks against a message, errors first."""
    for result in sorted(report.results, key=lambda one: -one.level.rank):
        if result.level is not Level.OFF and result.outcome in (Judged.FAIL, Judged.UNKNOWN):
            said = [problem.message for problem in result.problems] or [result.reason or ""]
            yield Finding(result.rule, str(result.outcome), str(result.level), tuple(one[:MAX_SAID] for one in said[:5]))


def _encoded(entry: Entry) -> bytes:
    try:
        return msgspec.json.encode(entry)
    except (UnicodeError, TypeError, ValueError, msgspec.MsgspecError) as error:
        raise HeldError(f"{entry.trace}: not held: {error}") from error


def _decoded(octets: bytes, trace: str) -> Entry:
    try:
        entry = _decode(octets)
        if entry.ip is not None:
            ip_address(entry.ip)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise HeldError(f"{trace}: its envelope cannot be read: {error}") from None
    if entry.schema != SCHEMA:
        raise HeldError(f"{trace}: written by another delivcheck ({entry.schema[:40]})")
    return entry


@contextlib.contextmanager
def _told(what: str, absent: str = "not held, or no longer") -> Iterator[None]:
    """What the file system says, as a HeldError of one line."""
    try:
        yield
    except FileNotFoundError:
        raise NotHeldError(f"{what}: {absent}") from None
    except OSError as error:
        raise HeldError(f"{what}: {error.strerror or error}") from error
