"""The store: a database by its URL, opened when first needed, with one error for all that can be wrong with it."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from .. import ulid
from . import bulk, files, migrations, schema
from .model import DEFAULT_TENANT

IDENTITY = "store"  # of `position`
BUSY = 10.0  # seconds that a writer waits for another; a batch of `ingest` takes a tenth of one
WRITING: Mapping[str, Any] = {"delivcheck_writing": True}
TURN = 0x64_65_6C_69_76_01  # of PostgreSQL's advisory locks, which are numbers: who adds events
MIGRATING = 0x64_65_6C_69_76_02  # who changes the tables
CONNECT = 5  # seconds to connect to PostgreSQL
POSTGRESQL = {  # libpq's: a server that is gone without a word is noticed within half a minute, not after TCP's two hours
    "connect_timeout": CONNECT,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "delivcheck",
}
DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
WANTED = "sqlite:////PATH or postgresql://USER@HOST/NAME is expected"


class StoreError(Exception):
    """The store cannot be read or written just now, or is none of ours; one line for the operator."""


class Store:
    """One for each process. Blocking: call it from a thread where an event loop runs. Safe from several threads at once.

    `url` is SQLAlchemy's: `sqlite:////var/lib/delivcheck/trace.sqlite`, `postgresql+psycopg://user@host/name`; "postgresql://"
    is taken for the latter. Nothing is opened before it is needed, and a fault is not remembered.
    """

    def __init__(self, url: str, password: str | None = None) -> None:
        """Raises StoreError for a URL that is none."""
        try:
            self.url = sa.make_url(url)
        except (sa.exc.ArgumentError, ValueError):  # neither's text is shown: a part of the password may be in it
            raise StoreError(f"the store's URL cannot be read: {WANTED}") from None
        driver = DRIVERS.get(self.url.drivername)
        if driver is None:
            raise StoreError(f"the store's URL begins with {self.url.drivername}: {WANTED}")
        self.url = self.url.set(drivername=driver)
        if password is not None:
            self.url = self.url.set(password=password)
        self.sqlite = driver == "sqlite"
        if self.sqlite and self.url.database in {None, "", ":memory:"}:
            raise StoreError(f"the store's URL names no file: {WANTED}")
        self._path = Path(self.url.database or "") if self.sqlite else None
        try:
            self._engine = _sqlite(self.url, self._path) if self._path is not None else _postgresql(self.url)
        except ImportError:
            raise StoreError("PostgreSQL needs the extra postgres: pip install 'delivcheck[postgres]'") from None

    def __str__(self) -> str:
        """Which store, for a person; never a password."""
        if self._path is not None:
            return str(self._path)
        return f"PostgreSQL database {self.url.database or self.url.username} at {self.url.host or 'the local socket'}"

    @contextlib.contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection for reading: one state of the data from its first statement to its end. Raises StoreError."""
        if self._path is not None and not self._path.exists():
            raise StoreError(f"{self}: there is no such file; the gate makes it when it starts")
        with self._faults(), self._engine.connect() as connection:
            if self.sqlite:
                yield connection
            else:
                yield connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @contextlib.contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction, which waits for other writers on SQLite, and is whole or nothing. Raises StoreError."""
        with self._faults(), self._engine.connect() as connection, connection.execution_options(**WRITING).begin():
            yield connection

    def in_turn(self, connection: sa.Connection, what: int = TURN) -> None:
        """In a transaction of `write`: wait for all others who say this, until the transaction's end.

        On PostgreSQL numbers are given out when a row is inserted, and rows are seen when they are committed: who reads on from
        the highest number seen would pass over rows of a transaction that took longer. SQLite has one writer anyway.
        """
        if not self.sqlite:
            connection.execute(sa.text("SELECT set_config('lock_timeout', :wait, true)"), {"wait": f"{BUSY:g}s"})
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:what)"), {"what": what})

    def tenant(self, connection: sa.Connection, name: str = DEFAULT_TENANT) -> int:
        """The number of a tenant, who is made where there is none. In a transaction of `write` if it may be new."""
        wanted = sa.select(schema.tenant.c.id).where(schema.tenant.c.name == name)
        found = connection.scalar(wanted)
        if found is None:
            # Another process may be making the same one just now: its row is waited for, and is then the one that there is.
            connection.execute(bulk.insert_into(connection, schema.tenant).values(name=name).on_conflict_do_nothing())
            found = connection.scalar(wanted)
        return int(found or 0)

    def identity(self) -> str:
        """A name that this store has and no other, a backup of it excepted: 26 characters, made at first. Raises StoreError."""
        wanted = sa.select(schema.position.c.value).where(schema.position.c.name == IDENTITY)
        with self.read() as connection:
            found = connection.scalar(wanted)
        if found is None:
            with self.write() as connection:
                new = bulk.insert_into(connection, schema.position).values(name=IDENTITY, value=ulid.new())
                connection.execute(new.on_conflict_do_nothing())
                found = connection.scalar(wanted)
        return str(found)

    def migrate(self) -> None:
        """Bring the database to this version, whoever comes first. Raises StoreError, also for one of a later version."""
        try:
            with self._faults():
                if self._path is None or self._path.exists():
                    with self.read() as connection:
                        if migrations.version(connection) == migrations.HEAD:
                            return
                with self.write() as connection:
                    self.in_turn(connection, MIGRATING)
                    migrations.upgrade(connection)
        except migrations.NotOurs as error:
            raise StoreError(f"{self}: {error}") from None

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            if isinstance(error, sa.exc.DBAPIError) and not isinstance(error, sa.exc.DataError | sa.exc.IntegrityError):
                # Whatever it was: the file may have been put back from a backup, the server may have become a standby.
                self._engine.dispose()
            raise StoreError(f"{self}: {_said(error)}") from error
        except UnicodeError as error:
            raise StoreError(f"{self}: text that no database keeps") from error
        except OSError as error:
            if not self.sqlite or error.filename is None or Path(error.filename) != self._path:
                raise
            raise StoreError(f"{self}: {error.strerror}") from error


def _said(error: sa.exc.SQLAlchemyError) -> str:
    """The one line of it that is for operators. Never a second line: PostgreSQL tells the row's values there."""
    cause = getattr(error, "orig", None) or error
    state = getattr(cause, "sqlstate", None)
    text = next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
    if state == "42P01" or text.startswith("no such table"):
        return f"{text} (the gate makes the tables when it starts)"
    if state == "42703" or text.startswith("no such column"):
        return f"{text} (it is of another version of delivcheck)"
    return text


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


def _postgresql(url: sa.URL) -> sa.Engine:
    """`pool_pre_ping`: a server that was started again, or took over, is found before a transaction begins."""
    own = {name: value for name, value in POSTGRESQL.items() if name not in url.query}
    return sa.create_engine(url, pool_pre_ping=True, pool_timeout=BUSY, hide_parameters=True, connect_args=own)


# --- SQLite ----------------------------------------------------------------------------------------------------------


def _sqlite(url: sa.URL, path: Path) -> sa.Engine:
    arguments = {"timeout": BUSY, "check_same_thread": False}
    engine = sa.create_engine(url, pool_timeout=BUSY, hide_parameters=True, connect_args=arguments)

    @sa.event.listens_for(engine, "do_connect")
    def _make(*_: Any) -> None:
        # For its owner only; what SQLite puts beside it has the same mode. One that is there may be shared on purpose.
        with contextlib.suppress(FileExistsError):
            os.close(files.made(path))

    @sa.event.listens_for(engine, "connect")
    def _set_up(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # the module would begin by itself, later than where we say
        cursor = connection.cursor()
        _write_ahead(cursor)
        # FULL: a commit is on the disk when it returns, since what was committed here is deleted from the journal's outbox.
        for pragma in ("synchronous = FULL", "foreign_keys = ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        record.info["file"] = _file(path)

    @sa.event.listens_for(engine, "checkout")
    def _same(_: Any, record: Any, __: Any) -> None:
        if record.info.get("file") != _file(path):  # a backup was put in its place: the old one is written to in vain
            raise sa.exc.DisconnectionError("the file was replaced")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        writing = connection.get_execution_options().get("delivcheck_writing")
        # A reader that turns writer meets "database is locked" without waiting: who will write says so at once.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Readers and the writer do not wait for each other. To switch over, SQLite itself does not wait for others."""
    end = time.monotonic() + BUSY
    while cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return  # or the file system cannot, and the mode is another


def _file(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
