"""How much of a limit is used up: a table in `<state>/rates` that all workers of the machine share.

Each thing that is counted has a time in the table up to which its limit is spoken for (GCRA, the "virtual scheduling" of ITU-T
I.371 annex A): one number of 8 octets, whatever the limit. A file with slots of a fixed size, read and written in place under
a lock that ends with its holder: no database, no process to ask. A slot that is torn or damaged counts as empty, which lets a
few more through; a file that is gone or cut is filled again. Nothing is mapped into memory: a full disk is an error here, and
would be a SIGBUS there.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .. import durable
from ..settings import Limit

FILE = "rates"
BUCKETS = 8_192  # with SLOTS: 65,536 things that are counted apart, 2 MiB; Postfix's anvil keeps one entry for each client, too
SLOTS = 8  # of a bucket; what comes to a full one takes the place of what is free soonest
PATIENCE = 0.25  # seconds for the lock: whoever has it needs some microseconds
RETRY = 0.001

T = TypeVar("T")

_SLOT = struct.Struct("<16sQI4x")
_SALT = b"delivcheck rates 1"
_NANO = 1_000_000_000


class RatesError(Exception):
    """It cannot be counted just now; one line for the log."""


@dataclass(frozen=True, slots=True)
class Charge:
    """One recipient on a limit: `key` is what is counted (`key_of`)."""

    key: bytes
    limit: Limit

    @property
    def step(self) -> int:
        """Nanoseconds that one takes up."""
        return max(1, self.limit.seconds * _NANO // self.limit.count)


def key_of(rule: str, limit: Limit, value: str) -> bytes:
    """What is counted, in 16 octets. A limit that was changed begins anew."""
    hashed = hashlib.sha256(_SALT)
    for part in (rule, f"{limit.count}/{limit.seconds}/{limit.per or ''}", value):
        octets = part.encode("utf-8", "surrogatepass")
        hashed.update(len(octets).to_bytes(8, "big"))
        hashed.update(octets)
    return hashed.digest()[:16]


class Rates:
    """One for each worker; opened when first needed, after the fork. `clock`: nanoseconds, the same for all processes."""

    def __init__(self, folder: Path, clock: Callable[[], int] = time.time_ns) -> None:
        self._path, self._clock = folder / FILE, clock
        self._descriptor: int | None = None

    async def take(self, charges: Sequence[Charge]) -> int | None:
        """Count all of them, or none: the place of the first that is used up, None where there is room. Raises RatesError."""
        return await self._locked(lambda: self._take(charges))

    async def give_back(self, charges: Sequence[Charge]) -> None:
        """Count them no more: the recipient was not taken. Raises RatesError."""
        await self._locked(lambda: self._give_back(charges))

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    # --- under the lock ---

    def _take(self, charges: Sequence[Charge]) -> int | None:
        now = self._clock()
        wanted: dict[bytes, tuple[int, int]] = {}  # key: where, until when it is spoken for then
        for index, charge in enumerate(charges):
            where, until = wanted.get(charge.key) or self._find(charge.key)
            burst = charge.step * charge.limit.burst
            if until > now + burst:  # the clock was put back, or the burst is smaller now: it is free again a burst from here
                until = now + burst
                self._write(where, charge.key, until)
            until = max(until, now) + charge.step
            if until > now + burst:
                return index
            wanted[charge.key] = where, until
        for key, (where, until) in wanted.items():
            self._write(where, key, until)
        return None

    def _give_back(self, charges: Sequence[Charge]) -> None:
        now = self._clock()
        for charge in charges:
            where, until = self._find(charge.key)
            if until > now:
                self._write(where, charge.key, max(until - charge.step, 0))

    def _find(self, key: bytes) -> tuple[int, int]:
        """Where a key's slot is, or is to be, and the time in it (0: none)."""
        begin = int.from_bytes(key[:8], "big") % BUCKETS * SLOTS * _SLOT.size
        assert self._descriptor is not None
        bucket = os.pread(self._descriptor, SLOTS * _SLOT.size, begin).ljust(SLOTS * _SLOT.size, b"\0")
        free, soonest = begin, None
        for number in range(SLOTS):
            found, until, check = _SLOT.unpack_from(bucket, number * _SLOT.size)
            sound = check == _check(found, until)
            if sound and found == key:
                return begin + number * _SLOT.size, until
            until = until if sound else 0
            if soonest is None or until < soonest:
                free, soonest = begin + number * _SLOT.size, until
        return free, 0

    def _write(self, where: int, key: bytes, until: int) -> None:
        assert self._descriptor is not None
        os.pwrite(self._descriptor, _SLOT.pack(key, until, _check(key, until)), where)

    # --- the file, and its lock ---

    async def _locked(self, work: Callable[[], T]) -> T:
        """Do something while nobody else does. No thread: it takes microseconds, and nothing is waited for but the lock."""
        end = time.monotonic() + PATIENCE
        try:
            while True:
                with self._tried() as mine:
                    if mine:
                        return work()
                if time.monotonic() >= end:
                    raise RatesError(f"{self._path}: somebody else has it for over {PATIENCE} s")
                await asyncio.sleep(RETRY)
        except OSError as error:
            self.close()
            raise RatesError(f"{self._path}: {error.strerror or error}") from error

    @contextlib.contextmanager
    def _tried(self) -> Iterator[bool]:
        """The lock, or that somebody else has it just now. Raises OSError."""
        if self._descriptor is None:
            self._descriptor = durable.opened(self._path, os.O_RDWR)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            if self._descriptor is not None:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)


def _check(key: bytes, until: int) -> int:
    return zlib.crc32(_SALT + key + until.to_bytes(8, "little"))
