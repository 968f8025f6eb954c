"""The store when its database is locked, broken, full or gone: one line for the operator, nothing half done, and on again afterwards."""

import shutil
import sqlite3
import sys

import pytest
import sqlalchemy as sa

from delivcheck.trace import schema
from delivcheck.trace import store as module
from delivcheck.trace.ingest import ingest
from delivcheck.trace.model import Kind
from delivcheck.trace.records import Event, Message, event_id
from delivcheck.trace.store import Store, StoreError
from tests import postgres as servers

NOON = 1_795_435_200_000
TRACE = "01KAX9QFJ4N2M8T6V0R3W5Y7Z1"
RECORDS = (
    Message(trace=TRACE, received=NOON, recipients=("ann@gmail.com",), sha256="0" * 64),
    Event(id=event_id(TRACE, Kind.SENT, None), trace=TRACE, kind=Kind.SENT, at=NOON),
)


def counted(store):
    with store.read() as db:
        return [db.scalar(sa.select(sa.func.count()).select_from(table)) for table in (schema.message, schema.event)]


def refuses(store, match):
    """One line, and nothing was written."""
    with pytest.raises(StoreError, match=match) as caught:
        ingest(store, RECORDS)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def works(store):
    assert ingest(store, RECORDS).aside == ()
    assert counted(store) == [1, 1]


@pytest.fixture
def hasty(monkeypatch):
    """Nobody waits for a lock for ten seconds here."""
    monkeypatch.setattr(module, "BUSY", 0.2)


# --- URLs and passwords ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "cannot be read"),
        ("trace.sqlite", "cannot be read"),
        ("postgresql://u:secret@host:port/x", "cannot be read"),
        ("mysql://u:secret@host/x", "begins with mysql"),
        ("postgresql+asyncpg://u:secret@host/x", "begins with postgresql.asyncpg"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_a_url_that_is_none_is_told_in_one_line_without_its_password(url, says):
    with pytest.raises(StoreError, match=says) as caught:
        Store(url)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_password_stands_in_any_error(postgres):
    for store in (
        Store(postgres.url(user=servers.GUARDED, password="wrong-horse")),
        Store(postgres.url(user=servers.GUARDED), "wrong-horse"),
        Store(f"postgresql://{servers.GUARDED}@/postgres?host={postgres.folder}&password=wrong-horse"),
        Store("postgresql://u:wrong-horse@127.0.0.1:1/x"),
    ):
        with pytest.raises(StoreError) as caught:
            store.migrate()
        assert "\n" not in str(caught.value)
        assert "wrong-horse" not in f"{caught.value} {store}"


def test_a_password_from_elsewhere_is_used(postgres):
    store = Store(postgres.url(user=servers.GUARDED), servers.PASSWORD)
    with store.read() as db:
        assert db.scalar(sa.text("SELECT current_user")) == servers.GUARDED
    store.close()


def test_without_the_driver_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreError, match=r"delivcheck\[postgres\]"):
        Store("postgresql://host/name")


def test_to_read_a_store_that_is_not_there_makes_no_file(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/trace.sqlite")
    with pytest.raises(StoreError, match="no such file; the gate makes it"), store.read():
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told_in_one_line(tmp_path):
    with pytest.raises(StoreError, match=r"trace\.sqlite: No such file or directory$"):
        Store(f"sqlite:///{tmp_path}/none/trace.sqlite").migrate()


# --- both --------------------------------------------------------------------------------------------------------


def test_who_reads_sees_one_state_from_beginning_to_end(store):
    with store.read() as db:
        before = db.scalar(sa.select(sa.func.count()).select_from(schema.message))
        works(store)
        assert db.scalar(sa.select(sa.func.count()).select_from(schema.message)) == before == 0


def test_a_transaction_is_whole_or_nothing(store):
    def broken():
        with store.write() as db:
            store.tenant(db, "acme")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    with store.read() as db:
        assert db.scalar(sa.select(sa.func.count()).select_from(schema.tenant)) == 0


def test_a_store_without_tables_says_who_makes_them(store):
    with store.write() as db:
        schema.metadata.drop_all(db)
    with pytest.raises(StoreError, match="the gate makes the tables when it starts"):
        counted(store)


# --- SQLite ------------------------------------------------------------------------------------------------------


@pytest.mark.attack(58)
def test_a_locked_file_is_told_and_works_when_the_other_lets_go(hasty, sqlite_store):
    store = Store(str(sqlite_store.url))
    other = sqlite3.connect(store.url.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    refuses(store, "locked")
    other.execute("ROLLBACK")
    other.close()
    works(store)
    store.close()


@pytest.mark.attack(58)
@pytest.mark.parametrize("first", [True, False], ids=["opened before", "not opened before"])
def test_a_broken_file_is_told_and_its_backup_works_without_a_restart(sqlite_store, tmp_path, first):
    store, path, backup = sqlite_store, tmp_path / "trace.sqlite", tmp_path / "backup"
    shutil.copy(path, backup)
    if first:
        works(store)
        store.close()
    path.write_bytes(b"this is no database at all " * 1_000)
    for name in ("trace.sqlite-wal", "trace.sqlite-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    refuses(store, "not a database|malformed")
    backup.replace(path)
    works(store)


def test_a_file_that_was_replaced_under_us_is_the_one_that_is_written_to(sqlite_store, tmp_path):
    path, backup = tmp_path / "trace.sqlite", tmp_path / "backup"
    shutil.copy(path, backup)
    works(sqlite_store)
    for name in ("trace.sqlite-wal", "trace.sqlite-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    backup.replace(path)
    assert counted(sqlite_store) == [0, 0]
    works(sqlite_store)
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT count(*) FROM message").fetchone() == (1,)
    other.close()


def test_a_read_only_file_is_told_and_works_when_it_may_be_written(sqlite_store):
    def only(connection, _):
        connection.execute("PRAGMA query_only = ON")  # SQLite's own refusal; root's tests may write any file

    sa.event.listen(sqlite_store._engine, "connect", only)
    refuses(sqlite_store, "attempt to write a readonly database")
    sa.event.remove(sqlite_store._engine, "connect", only)
    works(sqlite_store)


@pytest.mark.attack(57)
def test_a_full_disk_is_told_and_works_when_there_is_room(sqlite_store):
    def full(connection, _):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    sa.event.listen(sqlite_store._engine, "connect", full)
    big = tuple(
        Event(id=event_id(TRACE, Kind.CLICKED, "ann@gmail.com", str(n)), trace=TRACE, kind=Kind.CLICKED, at=NOON,
              recipient="ann@gmail.com", detail={"url": "https://example.org/" + "x" * 2_000})
        for n in range(200)
    )  # fmt: skip
    with pytest.raises(StoreError, match="database or disk is full") as caught:
        ingest(sqlite_store, [*RECORDS, *big])
    assert "\n" not in str(caught.value)
    assert counted(sqlite_store) == [0, 0]
    sa.event.remove(sqlite_store._engine, "connect", full)
    sqlite_store.close()  # the limit is the connection's here, not the disk's
    assert ingest(sqlite_store, [*RECORDS, *big]).events == 201


# --- PostgreSQL --------------------------------------------------------------------------------------------------


@pytest.mark.attack(58)
def test_a_server_that_was_started_again_under_us_is_found_at_once(postgres, postgres_store):
    works(postgres_store)
    postgres.restart()
    works(postgres_store)


@pytest.mark.attack(58)
def test_a_server_that_is_gone_is_told_and_works_when_it_is_back(postgres, postgres_store):
    assert counted(postgres_store) == [0, 0]
    postgres.stop()
    try:
        refuses(postgres_store, "connection")
        refuses(postgres_store, "connection")
    finally:
        postgres.start()
    works(postgres_store)


@pytest.mark.attack(58)
def test_a_server_that_goes_in_the_middle_leaves_nothing_half_done(postgres, postgres_store):
    def interrupted():
        with postgres_store.write() as db:
            number = postgres_store.tenant(db)
            db.execute(schema.message.insert().values(id=TRACE, tenant=number, received=NOON))
            postgres.restart()
            db.execute(schema.message.update().values(subject="x"))

    with pytest.raises(StoreError) as caught:
        interrupted()
    assert "\n" not in str(caught.value)
    assert counted(postgres_store) == [0, 0]
    works(postgres_store)


@pytest.mark.attack(58)
def test_a_server_that_became_a_standby_is_told_and_works_when_it_leads_again(postgres, postgres_store):
    name = postgres_store.url.database
    counted(postgres_store)
    for setting, does in (
        ("on", lambda: refuses(postgres_store, "read-only transaction")),
        ("off", lambda: works(postgres_store)),
    ):
        postgres.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = {setting}")
        if setting == "on":
            postgres_store.close()  # as a failover does: the old connections are gone
        does()


@pytest.mark.attack(58)
def test_another_who_does_not_end_its_turn_is_not_waited_for_without_end(hasty, postgres_store):
    other = Store(postgres_store.url.render_as_string(hide_password=False))
    with other.write() as db:
        other.in_turn(db)
        refuses(postgres_store, "lock timeout")
    works(postgres_store)
    other.close()


def test_a_connection_for_reading_does_not_write(postgres_store):
    with pytest.raises(StoreError, match="read-only"), postgres_store.read() as db:
        postgres_store.tenant(db, "acme")
