"""The SQLite file: opening it, and one durable transaction for many pieces of work. Blocking; for the writer's thread alone."""

import contextlib
import os
import random
import sqlite3
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .. import durable
from .facts import JournalError
from .schema import migrate

FILE = "journal.sqlite"
BUSY = 5.0  # seconds to wait for another worker's transaction; one takes milliseconds, and SQLite's own default in Python is 5
POLL = (0.0002, 0.002)  # seconds between two looks whether it is our turn
WAL_LIMIT = 67_108_864  # octets that the write-ahead log keeps of the disk after a checkpoint

Work = Callable[[sqlite3.Connection], Any]

_WORKS_OWN = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError)


class Store:
    """One worker's connection. Opened when first needed, and again after every fault: a fault is never taken to have passed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._beside = tuple(path.with_name(f"{path.name}-{end}") for end in ("wal", "shm"))
        self._file: os.stat_result | None = None
        self._files: list[os.stat_result] = []  # write-ahead log and shared memory that the connection has open
        self._suspect = False  # an fsync may have failed: see _mend

    def together(self, works: Sequence[Work], *, reading: bool = False) -> list[Any]:
        """Do all of them in one transaction, and return what they return once it is on the disk.

        `reading`: none of them writes, so that nobody who does has to wait for them.
        A work that fails through itself stands in the list as its exception, the others are done. Raises JournalError where the
        store fails; then whether the works took effect is not known.
        """
        try:
            return self._transaction(works, "BEGIN" if reading else "BEGIN IMMEDIATE")
        except JournalError:
            self.close()
            raise
        except _WORKS_OWN as error:
            self._roll_back()
            if len(works) == 1:
                return [error]
            return [result for work in works for result in self.together([work], reading=reading)]
        except (sqlite3.Error, OSError) as error:
            self._suspect = self._suspect or _input_or_output(error)
            self.close()
            raise JournalError(f"{self.path}: {error}") from error

    def close(self) -> None:
        """Close; open transactions are rolled back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _transaction(self, works: Sequence[Work], begin: str) -> list[Any]:
        connection = self._opened()
        _when_free(lambda: connection.execute(begin))
        results = [work(connection) for work in works]
        connection.execute("COMMIT")
        return results

    def _roll_back(self) -> None:
        if self._connection is not None and self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:
                self.close()

    def _opened(self) -> sqlite3.Connection:
        """The connection, to the files that have the names now: one that was moved away or deleted is let go."""
        if self._connection is not None:
            if _same(self._file, self.path):
                others = [one for one, seen in zip(self._beside, self._files, strict=True) if not _same(seen, one)]
                if not others:
                    return self._connection
                if not any(one.exists() for one in others):
                    # Somebody deleted the log alone. What we write there nobody would ever find; what is in it already is taken
                    # into the main file, unless another worker has begun a new one.
                    self._mend(self._connection)
            self.close()
        durable.folder(self.path.parent)
        found = _made(self.path)
        connection = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            _when_free(lambda: self._set_up(connection))
            files = [one.stat() for one in self._beside]
        except BaseException:
            connection.close()
            raise
        self._connection, self._file, self._files = connection, found, files
        return connection

    def _set_up(self, connection: sqlite3.Connection) -> None:
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise JournalError(f"{self.path}: this file system has no write-ahead log (shared memory is missing)")
        # FULL: every commit waits for the disk. NORMAL would keep the file whole, yet lose what we have promised to remember.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT}")
        if self._suspect:
            self._mend(connection)
        migrate(connection)

    def _mend(self, connection: sqlite3.Connection) -> None:
        """After a failed fsync, and where the log has lost its name, write everything anew before anything is believed.

        The kernel marks pages clean whose writing failed, and the next fsync succeeds without them ("fsyncgate", PostgreSQL
        2018): commits behind a hole in the log would be lost with it. A whole checkpoint writes the log's pages into the main
        file, which makes them dirty again, waits for the disk, and empties the log.
        """
        connection.execute(f"PRAGMA busy_timeout = {BUSY * 1_000:.0f}")
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        connection.execute("PRAGMA busy_timeout = 0")
        if busy:
            raise JournalError(f"{self.path}: another process reads while the log must be emptied")
        self._suspect = False


def _same(seen: os.stat_result | None, path: Path) -> bool:
    """Whether the file of that name is the one that was seen."""
    with contextlib.suppress(OSError):
        return seen is not None and os.path.samestat(seen, path.stat())
    return False


def _made(path: Path) -> os.stat_result:
    """The file as it is, made where there is none. Raises OSError, JournalError.

    SQLite would make it 0644 less the umask; its -wal and -shm files take mode and owner of the file. One that is there is not
    opened: closing it would take away the locks of every other connection of this process (POSIX; "How To Corrupt" in SQLite's
    documentation, section 2.2).
    """
    with contextlib.suppress(FileExistsError):
        os.close(durable.opened(path, os.O_RDWR | os.O_EXCL))
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise JournalError(f"{path}: not a regular file")
    return found


def _when_free(act: Callable[[], Any]) -> None:
    """Do something as soon as no other worker is in the way. Raises sqlite3.OperationalError once that takes too long.

    SQLite's own waiting sleeps up to 0.1 s a time, while a transaction takes a millisecond: two busy workers then have messages
    that wait for a quarter of a second. And it does not wait at all where several open a new file and each makes it WAL.
    """
    until = time.monotonic() + BUSY
    while True:
        try:
            act()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(random.uniform(*POLL))  # noqa: S311 -- so that two that wait do not keep step
        else:
            return


def _input_or_output(error: Exception) -> bool:
    """Whether the disk failed, as against a full disk, a lock, a file that is none: SQLite has rolled those back."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or code & 0xFF == sqlite3.SQLITE_IOERR
