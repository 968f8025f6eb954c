"""Backup and restore of the whole store, while the gate is running.

SQLite by its online backup interface, checked before it counts; PostgreSQL by its own pg_dump and pg_restore, which must be of
the server's version or a later one. The keys of tokens are a file of their own: without it old links open nothing.
"""

import contextlib
import os
import secrets
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from .. import audit, files
from ..store import BUSY, Store

_MAGIC = b"SQLite format 3\0"  # sqlite.org/fileformat.html, section 1.3
_DUMP = b"PGDMP"  # what pg_dump --format=custom begins with


class BackupError(Exception):
    """No backup could be made, or none can be restored from this; one line for the operator."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A backup as it was made or restored."""

    path: Path
    octets: int


def backup(store: Store, path: Path) -> Copied:
    """Write all of the store to a file that does not exist yet, mode 0600. Raises BackupError.

    It appears under its name only when it is whole, on the disk, and (SQLite) found sound.
    """
    if path.exists() or path.is_symlink():
        raise BackupError(f"{path}: is there already")
    with _draft(path) as draft:
        if store.sqlite:
            _from_sqlite(store, draft)
        else:
            _pg(store, ["pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={draft}"])
        try:
            with draft.open("rb+") as file:
                os.fsync(file.fileno())
            os.link(draft, path)  # unlike a rename, over nothing that came meanwhile
        except FileExistsError:
            raise BackupError(f"{path}: is there already") from None
        except OSError as error:
            raise BackupError(f"{path}: {error.strerror or error}") from None
    return Copied(path, path.stat().st_size)


def restore(store: Store, path: Path, *, who: str) -> Copied:
    """Put a backup in the place of all that the store has, and bring it to this version. Raises BackupError, StoreError.

    Others that have the store open see the old state until the new one is whole. Stop the gate nevertheless: what it told the
    trace after the backup is not in it, and its journal does not tell it again.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(len(_MAGIC))
    except OSError as error:
        raise BackupError(f"{path}: {error.strerror or error}") from None
    if store.sqlite:
        if begin != _MAGIC:
            raise BackupError(f"{path}: no backup of a trace in SQLite")
        _into_sqlite(store, path)
    else:
        if not begin.startswith(_DUMP):
            raise BackupError(f"{path}: no backup of a trace in PostgreSQL (pg_dump --format=custom)")
        _alone(store)
        _pg(store, ["pg_restore", "--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction", str(path)])
    store.migrate()
    with store.write() as db:
        audit.note(db, store.tenant(db), who, "restore", path.name)
    return Copied(path, path.stat().st_size)


@contextlib.contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """A new file beside the one that is wanted, gone at the end."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise BackupError(f"{path.parent}: {error.strerror or error}") from None
    try:
        yield draft
    finally:
        for name in (draft, Path(f"{draft}-wal"), Path(f"{draft}-shm"), Path(f"{draft}-journal")):
            name.unlink(missing_ok=True)


# --- SQLite ------------------------------------------------------------------------------------------------------


def _from_sqlite(store: Store, draft: Path) -> None:
    try:
        with contextlib.closing(_opened(_file(store))) as source, contextlib.closing(sqlite3.connect(draft)) as target:
            # In one step: it reads one state, and under WAL readers hold up no writer. Step by step it would begin anew after
            # each change that somebody else makes, and never end on a busy gate (sqlite.org/backup.html).
            source.backup(target)
            # A file by itself: without this it wants a -wal beside it, and cannot be read from a medium that is read-only.
            target.execute("PRAGMA journal_mode = DELETE").fetchone()
            _sound(target, draft)
    except sqlite3.Error as error:
        raise BackupError(f"{_file(store)}: {error}") from None


def _into_sqlite(store: Store, path: Path) -> None:
    target_path = _file(store)
    try:
        with contextlib.closing(_opened(path)) as source:
            _sound(source, path)
            _ours(source, path)
            new = not target_path.exists()
            if new:
                os.close(files.made(target_path))
            with contextlib.closing(sqlite3.connect(target_path, timeout=BUSY)) as target:
                source.backup(target)  # in one step: one transaction of the target, which others see whole or not at all
    except sqlite3.Error as error:
        raise BackupError(f"{path}: {error}") from None
    except OSError as error:
        raise BackupError(f"{target_path}: {error.strerror or error}") from None


def _opened(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise BackupError(f"{path}: there is no such file")
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY)


def _sound(db: sqlite3.Connection, path: Path) -> None:
    found = [row[0] for row in db.execute("PRAGMA integrity_check(1)")]
    if found != ["ok"]:
        raise BackupError(f"{path}: damaged: {found[0] if found else 'no answer'}")


def _ours(db: sqlite3.Connection, path: Path) -> None:
    """Whether this is a trace at all: anybody's browser history is a sound database, too."""
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"tenant", "message", "recipient", "event"} <= tables:
        raise BackupError(f"{path}: a database, but no trace")


def _file(store: Store) -> Path:
    name = store.url.database
    if not name or name == ":memory:":
        raise BackupError("a store in memory has no backup")
    return Path(name)


# --- PostgreSQL --------------------------------------------------------------------------------------------------


def _alone(store: Store) -> None:
    """Nobody else may have the database open: pg_restore waits without end for who holds a table. Raises BackupError."""
    store.close()  # what we have open ourselves
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'"
    )
    with store.read() as db:
        number = db.scalar(sa.text(others)) or 0
    store.close()
    if number:
        raise BackupError(f"{number} others have the trace open; stop the gate first")


def _pg(store: Store, arguments: list[str]) -> None:
    """Run one of PostgreSQL's own programs; the password goes by the environment, which other users cannot read."""
    program = shutil.which(arguments[0])
    if program is None:
        raise BackupError(f"{arguments[0]} is not installed (Debian: postgresql-client)")
    url = store.url
    host, port = url.query.get("host", url.host), url.query.get("port", url.port)
    environment = {
        **os.environ,
        **{name: str(value) for name, value in (("PGHOST", host), ("PGPORT", port), ("PGUSER", url.username)) if value},
        **({"PGPASSWORD": str(url.password)} if url.password else {}),
        "PGDATABASE": url.database or "",
        "PGCONNECT_TIMEOUT": "5",
    }
    database = [f"--dbname={url.database}"] if arguments[0] == "pg_restore" else []
    done = subprocess.run(  # noqa: S603 -- one of two programs, by its path; names and numbers of ours
        [program, *database, "--no-password", *arguments[1:]], env=environment, capture_output=True, check=False
    )
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise BackupError(said[-1] if said else f"{arguments[0]} ended with {done.returncode}")
