"""The tables' history, by Alembic: brings a database from whatever version it has to this one. Never back: restore a backup.

A migration is never changed once it was released; what a table is to become goes into a new one. They import nothing of ours,
so that they do tomorrow what they do today. `HEAD` is the last one's name; tests hold it, and what all of them lead to,
against `schema`.
"""

from pathlib import Path

import sqlalchemy as sa

HEAD = "0001"
TABLE = "delivcheck_version"  # not Alembic's own name: another application's history may lie in the same database
FOLDER = Path(__file__).parent


class NotOurs(Exception):  # noqa: N818 -- reads well in an except clause
    """The database is of a later version, or somebody else's. One line."""


def version(connection: sa.Connection) -> str | None:
    """The name of the last migration that was made; None in an empty database. Raises NotOurs, SQLAlchemyError."""
    inspector = sa.inspect(connection)
    if inspector.has_table(TABLE):
        found: str | None = connection.scalar(sa.text(f"SELECT version_num FROM {TABLE}"))  # noqa: S608 -- our own name
        return found
    others = sorted(inspector.get_table_names())
    if others:
        shown = ", ".join(others[:3]) + (" …" if len(others) > 3 else "")
        raise NotOurs(f"there are tables that are not delivcheck's ({shown}): it needs a database or schema of its own")
    return None


def known() -> frozenset[str]:
    """The names of all migrations: from each of these this version can go on."""
    return frozenset(path.name.partition("_")[0] for path in (FOLDER / "versions").glob("[0-9]*_*.py"))


def upgrade(connection: sa.Connection) -> None:
    """Make what migrations are missing, in the connection's transaction. Raises NotOurs, SQLAlchemyError."""
    now = version(connection)
    if now == HEAD:
        return
    from alembic.config import Config  # costs a tenth of a second, and is needed once in a version
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    if now is not None and now not in {one.revision for one in scripts.walk_revisions()}:
        raise NotOurs(f"its tables are of a later version of delivcheck ({now}; this one knows {HEAD}): update delivcheck")
    environment = EnvironmentContext(config, scripts, fn=lambda at, _: scripts._upgrade_revs("head", at))  # noqa: SLF001 -- as Alembic's own `upgrade`
    with environment:
        environment.configure(connection=connection, version_table=TABLE)
        environment.run_migrations()
