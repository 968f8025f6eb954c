"""Migrations lead from an empty database exactly to `schema.metadata`, whoever starts them, and to no database of others."""

import os
import stat
import subprocess
import sys
import textwrap

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from delivcheck.trace import migrations, schema
from delivcheck.trace.store import Store, StoreError
from tests.trace.conftest import DATABASES


@pytest.fixture(params=DATABASES)
def empty(request, tmp_path):
    """The URL of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/trace.sqlite"
        return
    server = request.getfixturevalue("postgres")
    name = server.create()
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def fresh(empty):
    """A store of which nothing was opened yet."""
    store = Store(empty)
    yield store
    store.close()


def shape(connection):
    """All that a database says about its tables."""
    found = {}
    inspector = sa.inspect(connection)
    for name in inspector.get_table_names():
        if name == migrations.TABLE:
            continue
        found[name] = {
            "columns": [
                (one["name"], str(one["type"]), one["nullable"], str(one.get("default"))) for one in inspector.get_columns(name)
            ],
            "key": inspector.get_pk_constraint(name)["constrained_columns"],
            "foreign": sorted(
                (one["constrained_columns"], one["referred_table"], one["referred_columns"], str(one["options"]))
                for one in inspector.get_foreign_keys(name)
            ),
            "unique": sorted((str(one["name"]), one["column_names"]) for one in inspector.get_unique_constraints(name)),
            "indexes": sorted((one["name"], one["column_names"], bool(one["unique"])) for one in inspector.get_indexes(name)),
        }
        if connection.dialect.name == "sqlite":
            made = connection.scalar(sa.text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": name})
            found[name]["kinds"] = ("AUTOINCREMENT" in made, "WITHOUT ROWID" in made)
    return found


def test_migrations_lead_from_nothing_to_the_schema(fresh, request):
    fresh.migrate()
    with fresh.read() as db:
        migrated = shape(db)
        assert compare_metadata(MigrationContext.configure(db, opts={"version_table": migrations.TABLE}), schema.metadata) == []
    with fresh.write() as db:
        schema.metadata.drop_all(db)
        schema.metadata.create_all(db)
    with fresh.read() as db:
        assert migrated == shape(db), "schema.py was changed: python -m tests.trace.first_migration"


def test_the_last_migration_is_the_one_that_is_looked_for():
    config = Config()
    config.set_main_option("script_location", str(migrations.FOLDER))
    assert ScriptDirectory.from_config(config).get_heads() == [migrations.HEAD]


def test_migrating_again_changes_nothing_and_keeps_what_is_there(fresh):
    fresh.migrate()
    with fresh.write() as db:
        number = fresh.tenant(db, "acme")
    fresh.migrate()
    with fresh.write() as db:
        assert fresh.tenant(db, "acme") == number


def test_a_database_with_tables_of_others_is_left_alone(fresh):
    with fresh.write() as db:
        db.exec_driver_sql("CREATE TABLE message (id INTEGER)")
    with pytest.raises(StoreError, match=r"tables that are not delivcheck's \(message\)") as caught:
        fresh.migrate()
    assert "\n" not in str(caught.value)
    with fresh.read() as db:
        assert sa.inspect(db).get_table_names() == ["message"]


def test_a_database_of_a_later_version_is_left_alone(fresh):
    fresh.migrate()
    with fresh.write() as db:
        db.exec_driver_sql(f"UPDATE {migrations.TABLE} SET version_num = '9999'")
    with pytest.raises(StoreError, match=r"of a later version of delivcheck \(9999; this one knows \d{4}\): update") as caught:
        fresh.migrate()
    assert "\n" not in str(caught.value)


def test_a_migration_that_breaks_off_leaves_nothing_behind(fresh, monkeypatch):
    def broken(connection):
        migrations_upgrade(connection)
        connection.exec_driver_sql("SELECT * FROM no_such_table")

    migrations_upgrade = migrations.upgrade
    monkeypatch.setattr(migrations, "upgrade", broken)
    with pytest.raises(StoreError, match="no_such_table"):
        fresh.migrate()
    with fresh.read() as db:
        assert sa.inspect(db).get_table_names() == []
    monkeypatch.undo()
    fresh.migrate()


STARTER = textwrap.dedent("""
    import sys
    from delivcheck.trace.store import Store
    store = Store(sys.argv[1])
    sys.stdin.readline()
    store.migrate()
    with store.write() as db:
        print(store.tenant(db, "acme"))
""")


def test_those_who_start_at_the_same_time_all_find_the_tables(empty):
    starters = [
        subprocess.Popen([sys.executable, "-c", STARTER, empty], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for one in starters:
        one.stdin.write("\n")
        one.stdin.flush()
    said = [one.communicate(timeout=60) for one in starters]
    assert [one.returncode for one in starters] == [0, 0, 0]
    assert len({out for out, _ in said}) == 1


def test_the_file_is_its_owners_alone(tmp_path):
    path = tmp_path / "trace.sqlite"
    before = os.umask(0)
    try:
        store = Store(f"sqlite:///{path}")
        store.migrate()
        assert {stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()} == {0o600}
        store.close()
    finally:
        os.umask(before)
