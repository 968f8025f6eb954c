"""Writes the first migration from `schema.metadata`: `python -m tests.trace.first_migration`. Until it is released, then never again."""

import subprocess
import sys
from pathlib import Path

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext

from delivcheck.trace import migrations, schema

FILE = migrations.FOLDER / "versions" / "0001_first.py"
HEAD = '''"""The first tables: tenants, messages and what became of them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
'''


def main() -> None:
    with sa.create_engine("sqlite://").connect() as connection:
        script = produce_migrations(MigrationContext.configure(connection), schema.metadata)
        assert script.upgrade_ops is not None
        code = render_python_code(script.upgrade_ops)
    lines = [line for line in code.splitlines() if not line.strip().startswith("#")]
    FILE.write_text(HEAD + "".join(f"    {line.strip()}\n" if line.strip() else "\n" for line in lines))
    subprocess.run([str(Path(sys.executable).parent / "ruff"), "format", FILE], check=True)


if __name__ == "__main__":
    main()
