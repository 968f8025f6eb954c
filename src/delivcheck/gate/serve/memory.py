"""Hands DNS answers on to the next worker: through a file in the state folder, which survives a restart of the gate, too.

A worker that begins while DNS is down would have no old answer to judge by, and defer what its predecessor sent (RFC 8767 is of
use only to who was there before). The file is all workers' together: what one writes, it puts before what it finds there.
"""

import asyncio
import fcntl
import os
import stat
import time
from contextlib import suppress
from pathlib import Path

from ...net import remembered
from ...net.lasting import Aged, Lasting
from ...net.remembered import MAX_OCTETS, MOST, NotRememberedError
from .. import durable
from ..ports import Watch

FILE = "dns-answers.json"
TICK = 1.0  # seconds between two looks at whether there is something to write
NEWS = 2.0  # seconds at least between two writings: what is lost with a worker that dies was learned within them
LEFT = 60.0  # seconds after which nobody writes a file any more that has not its name yet
RENEWALS = 60.0  # the same where nothing but ages changed, of which an old answer may have 86,400


def load(folder: Path) -> list[Aged]:
    """The answers that are there, what was used last first. Whatever is wrong with the file, it is as if there were none."""
    try:
        return remembered.parse(_read(folder), time.time())
    except (OSError, NotRememberedError):
        return []


def save(folder: Path, items: list[Aged]) -> bool:
    """Write these, and of those that others wrote what there is room for. False: somebody else writes now. Raises OSError."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        known = {one.question for one in items}
        others = [one for one in load(folder) if one.question not in known] if len(items) < MOST else []
        durable.write(folder / FILE, remembered.dump([*items, *others], time.time()))
        return True
    finally:
        os.close(lock)


def _read(folder: Path) -> bytes:
    """The file's octets, where it is one that only we, or root, could write. Raises OSError."""
    with open(os.open(folder / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123 -- a descriptor
        found = os.fstat(file.fileno())
        owners = {0, os.geteuid(), folder.stat().st_uid}
        if not stat.S_ISREG(found.st_mode) or found.st_uid not in owners or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise PermissionError
        return file.read(MAX_OCTETS + 1)


def _sweep(folder: Path) -> None:
    """Take away what workers left behind that were killed while they wrote."""
    for path in folder.glob(f".{FILE}.*"):
        with suppress(OSError):
            if time.time() - path.lstat().st_mtime > LEFT:
                path.unlink()


class Memory:
    """One worker's share: reads at the start, then writes what its client learns."""

    def __init__(self, dns: Lasting, folder: Path, watch: Watch) -> None:
        self._dns, self._folder, self._watch = dns, folder, watch
        self._news = self._renewals = 0
        self._written = time.monotonic() - NEWS
        self._failed = False
        _sweep(folder)
        dns.remember(load(folder))

    async def keep(self) -> None:
        """Write what is new. Runs until it is cancelled."""
        while True:
            await asyncio.sleep(TICK)
            since = time.monotonic() - self._written
            if (since >= NEWS and self._dns.news > self._news) or (since >= RENEWALS and self._dns.renewals > self._renewals):
                await self.save()

    async def save(self) -> None:
        """Write what is known now; a disk that takes nothing is told of once."""
        news, renewals = self._dns.news, self._dns.renewals
        if (news, renewals) == (self._news, self._renewals):
            return
        try:
            if not await asyncio.to_thread(save, self._folder, self._dns.memory(MOST)):
                return
        except OSError as error:
            if not self._failed:
                self._watch("fault", where="dns-answers", reason=f"{self._folder / FILE}: {error.strerror or error}")
            self._failed = True
            self._written = time.monotonic()
            return
        self._failed = False
        self._news, self._renewals, self._written = news, renewals, time.monotonic()
