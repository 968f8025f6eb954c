"""The suppression list as workers have it: a copy in the state folder, which the clerk keeps.

So no message waits for a database, and a store that is away for a day neither holds up mail nor lets any through to somebody
who is suppressed: the list of before holds on. What is put on the list acts within seconds.

The file is sorted, and looked into in place (mmap): 40 octets for an entry, of which only a hash says whose it is. It is
replaced as a whole, never changed: whoever has the old one open reads that to its end.
"""

import hashlib
import json
import mmap
import os
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...trace.model import Reason, normal
from .. import durable
from .suppressed import Entry, NotKnownError

FILE = "suppressed"
LOOK = 0.5  # seconds between two looks whether there is a new one
MAX_STREAMS = 65_535  # of all tenants; a stream is a table of somebody's configuration

_MAGIC = b"DCSUPPR1"
_HEAD = struct.Struct(">8s26sQQ")  # magic, identity of the store, entries, octets of the streams' names behind them
_ENTRY = struct.Struct(">20sqqHBx")  # key, since, until (0: for good), stream, reason
_KEY = 20
_REASONS = tuple(Reason)


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry with whose it is; `address` in its normal form."""

    tenant: str
    address: str
    entry: Entry


def written(folder: Path, entries: Iterable[Listed], store: str = "") -> int:
    """Put the list of a store (`Store.identity`) into the folder, whole; how many entries it has. Blocks. Raises OSError."""
    streams: dict[str, int] = {}
    rows: list[bytes] = []
    for one in entries:
        stream = streams.setdefault(one.entry.stream, len(streams))
        if stream > MAX_STREAMS:
            raise OSError(f"more than {MAX_STREAMS} streams have a suppression list")
        reason = _REASONS.index(Reason(one.entry.reason))
        rows.append(_ENTRY.pack(_key(one.tenant, one.address), one.entry.since, one.entry.until or 0, stream, reason))
    rows.sort()
    names = json.dumps(list(streams)).encode()
    durable.write(folder / FILE, b"".join([_HEAD.pack(_MAGIC, store.encode(), len(rows), len(names)), *rows, names]))
    return len(rows)


def kept(folder: Path) -> tuple[str, int] | None:
    """Of which store the list in the folder is, and its entries; None where there is none that workers can take. Blocks."""
    try:
        with durable.reading(folder / FILE) as file:
            magic, store, count, names = _HEAD.unpack(file.read(_HEAD.size))
            size = os.fstat(file.fileno()).st_size
    except (OSError, struct.error):
        return None
    if magic != _MAGIC or size != _HEAD.size + count * _ENTRY.size + names:
        return None
    return store.rstrip(b"\0").decode("ascii", "replace"), count


def _key(tenant: str, address: str) -> bytes:
    return hashlib.sha256(f"{tenant}\0{address}".encode("utf-8", "surrogatepass")).digest()[:_KEY]


class Copied:
    """A `Suppressed` over the file. Opened when first needed, and again whenever there is a new one."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = folder / FILE, clock
        self._looked = float("-inf")
        self._seen: tuple[int, int, int] | None = None
        self._mapped: mmap.mmap | None = None
        self._count = 0
        self._streams: Sequence[str] = ()

    async def find(self, tenant: str, address: str) -> Sequence[Entry]:
        """What stands there of an address, for whichever streams. Raises NotKnownError. A few microseconds, no disk."""
        self._refresh()
        mapped = self._mapped
        if mapped is None:
            raise NotKnownError(f"there is no {self._path} yet: the clerk makes it as soon as it reaches the trace's store")
        key = _key(tenant, normal(address))
        found: list[Entry] = []
        at = self._first(mapped, key)
        while at < self._count:
            one, since, until, stream, reason = _ENTRY.unpack_from(mapped, _HEAD.size + at * _ENTRY.size)
            if one != key:
                break
            found.append(Entry(self._streams[stream], str(_REASONS[reason]), since, until or None))
            at += 1
        return found

    def _first(self, mapped: mmap.mmap, key: bytes) -> int:
        """The number of the first entry that is not below the key."""
        low, high = 0, self._count
        while low < high:
            middle = (low + high) // 2
            start = _HEAD.size + middle * _ENTRY.size
            if mapped[start : start + _KEY] < key:
                low = middle + 1
            else:
                high = middle
        return low

    def _refresh(self) -> None:
        """Take the file that has the name now. One that cannot be read leaves the old one in use."""
        now = self._clock()
        if now < self._looked + LOOK:
            return
        self._looked = now
        try:
            with durable.reading(self._path) as file:
                found = os.fstat(file.fileno())
                stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
                if stamp == self._seen:
                    return
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):  # not there, or empty
            return
        try:
            magic, _, count, names = _HEAD.unpack_from(mapped, 0)
            end = _HEAD.size + count * _ENTRY.size
            if magic != _MAGIC or end + names != len(mapped):
                raise ValueError("no list of ours")
            streams = json.loads(mapped[end:])
        except (struct.error, ValueError):
            mapped.close()
            return
        self.close()
        self._seen, self._mapped, self._count, self._streams = stamp, mapped, count, streams

    def close(self) -> None:
        """Let go of the file."""
        if self._mapped is not None:
            self._mapped.close()
            self._mapped = None
