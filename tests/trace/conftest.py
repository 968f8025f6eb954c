"""A trace store for each test, on SQLite and on PostgreSQL: migrated and empty."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from delivcheck.trace import migrations, schema
from delivcheck.trace.store import Store


def made(store: Store) -> None:
    """As migrations lead there, which test_migrations.py holds equal: so a table may be changed before its migration is."""
    with store.write() as db:
        schema.metadata.create_all(db)
        db.exec_driver_sql(f"CREATE TABLE {migrations.TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)")
        db.exec_driver_sql(f"INSERT INTO {migrations.TABLE} VALUES ('{migrations.HEAD}')")
    store.close()


DATABASES = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def _template_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file, which costs less to copy than to make."""
    path = tmp_path_factory.mktemp("trace") / "template.sqlite"
    made(Store(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def _template_database(postgres) -> str:
    name = postgres.create()
    made(Store(postgres.url(name)))
    return name


@pytest.fixture
def sqlite_store(_template_file: Path, tmp_path: Path) -> Iterator[Store]:
    """`trace.sqlite` in the test's folder."""
    path = tmp_path / "trace.sqlite"
    shutil.copy(_template_file, path)
    path.chmod(0o600)
    store = Store(f"sqlite:///{path}")
    yield store
    store.close()


@pytest.fixture
def postgres_store(_template_database: str, postgres) -> Iterator[Store]:
    """A database of the test's own."""
    name = postgres.create(_template_database)
    store = Store(postgres.url(name))
    yield store
    store.close()
    postgres.drop(name)


@pytest.fixture(params=DATABASES)
def store(request: pytest.FixtureRequest) -> Store:
    """The test runs once on each database."""
    return request.getfixturevalue({"sqlite": "sqlite_store", "postgresql": "postgres_store"}[request.param])
