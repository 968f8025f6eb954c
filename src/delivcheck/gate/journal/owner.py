"""Who owns an attempt: a name for each worker, and a lock on a file that lives exactly as long as the worker does.

A process number alone will not do: it is given out again, and gates in several containers that share the state directory all
have number 1. The kernel lets go of a `flock` when its process ends, however it ends.
"""

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from .. import durable

FOLDER = "workers"
_NAME = re.compile(r"[0-9]+-[0-9a-f]{16}", re.ASCII)


class Owner:
    """This worker. Holds its lock from `__init__` to `close`. Raises OSError.

    The descriptor is not inherited through exec; a process that forks must do so before.
    """

    def __init__(self, state: Path) -> None:
        self.folder = state / FOLDER
        durable.folder(state)
        durable.folder(self.folder)
        self.name = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._path = self.folder / self.name
        self._descriptor = self._locked()

    def _locked(self) -> int:
        """Make the file and lock it; again where `sweep` of another worker took it away in between."""
        while True:
            descriptor = durable.opened(self._path, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(os.fstat(descriptor), self._path.stat()):
                        return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def alive(self, name: str) -> bool:
        """Whether the worker of this name still runs. Raises OSError where that cannot be found out."""
        return name == self.name or held(self.folder, name)

    def sweep(self) -> None:
        """Take away the files of workers that are no more. Raises OSError."""
        for path in self.folder.iterdir():
            if path.name != self.name and _NAME.fullmatch(path.name):
                # The lock is held until the file is gone: its worker may just be getting it.
                with contextlib.suppress(FileNotFoundError), _free(path) as free:
                    if free:
                        path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go: whoever looks from now on finds this worker gone."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def held(folder: Path, name: str) -> bool:
    """Whether somebody holds the lock of this name; a file that is not there is held by nobody. Raises OSError."""
    if _NAME.fullmatch(name) is None:
        return False
    try:
        with _free(folder / name) as free:
            return not free
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _free(path: Path) -> Iterator[bool]:
    """Whether a lock could be had, and hold it meanwhile."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)
