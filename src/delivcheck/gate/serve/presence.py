"""Which gates run on a state folder, and where they listen: for the check, and for who starts a second one by accident.

Several gates may share the folder (containers do), so this is no lock of it: each has a file with its addresses, locked for as
long as its supervisor lives.
"""

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from .. import durable

FOLDER = "gates"
MAX_OCTETS = 100_000  # of a file: 255 listeners with the longest paths there are


class Presence:
    """This gate. Raises OSError when made."""

    def __init__(self, state: Path) -> None:
        self.state = state
        durable.folder(state / FOLDER)
        self._path = state / FOLDER / f"{os.getpid()}-{secrets.token_hex(8)}"
        self._descriptor = durable.opened(self._path, os.O_RDWR)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def tell(self, addresses: Iterable[str]) -> None:
        """Where we listen from now on. Raises OSError."""
        octets = json.dumps({"pid": os.getpid(), "addresses": sorted(addresses)}).encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, octets, 0)

    def forget(self) -> None:
        """Let go of the descriptor, in a child: the lock is its parent's."""
        with contextlib.suppress(OSError):
            os.close(self._descriptor)

    def close(self) -> None:
        """We are no more."""
        self._path.unlink(missing_ok=True)
        self.forget()


def listening(state: Path) -> dict[str, int]:
    """The addresses that gates on this folder listen at, each with its supervisor's process. What is damaged is not there."""
    found: dict[str, int] = {}
    with contextlib.suppress(OSError):
        for path in (state / FOLDER).iterdir():
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                octets = _of_the_living(path)
                if octets is not None:
                    told = json.loads(octets)
                    found |= dict.fromkeys(map(str, told["addresses"]), int(told["pid"]))
    return found


def _of_the_living(path: Path) -> bytes | None:
    """What a gate says of itself; None where it runs no more, and its file is taken away. Raises OSError."""
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123 -- a descriptor
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read(MAX_OCTETS)
        if os.fstat(file.fileno()).st_size:  # one without a word is just being made
            path.unlink(missing_ok=True)
        return None
