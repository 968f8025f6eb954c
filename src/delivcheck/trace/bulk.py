"""Many rows in one statement: arrays on PostgreSQL, `executemany` on SQLite, which is a loop in C there.

To PostgreSQL a row each would be a message each way; thousands of VALUES would be another statement for every number of rows,
planned anew. Arrays of columns are one statement, which is planned once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

CHUNK = 500  # values in one list on SQLite, which takes 32,766 parameters

T = TypeVar("T")
Row: TypeAlias = Mapping[str, Any]


def chunks(values: Sequence[T], most: int = CHUNK) -> Iterator[Sequence[T]]:
    """So many at a time."""
    for start in range(0, len(values), most):
        yield values[start : start + most]


def rows_in(db: sa.Connection, wanted: sa.Select[Any], column: sa.ColumnElement[Any], values: Iterable[Any]) -> Iterator[Any]:
    """The rows of a query whose column is one of these."""
    listed = list(values)
    if not listed:
        return
    if db.dialect.name == "postgresql":
        found = sa.bindparam("b_values", listed, type_=postgresql.ARRAY(column.type))
        yield from db.execute(wanted.where(column == sa.any_(found)))
        return
    for some in chunks(listed):
        yield from db.execute(wanted.where(column.in_(some)))


def insert(db: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Insert rows that all have the same columns."""
    if not rows:
        return
    if db.dialect.name == "postgresql":
        names = tuple(rows[0])
        db.execute(_arrays(table, names), _columns(rows, names))
    else:
        db.execute(table.insert(), rows)


def insert_into(db: sa.Connection, table: sa.Table) -> Any:
    """An INSERT that knows ON CONFLICT."""
    return (postgresql.insert if db.dialect.name == "postgresql" else sqlite.insert)(table)


def inserted(db: sa.Connection, table: sa.Table, rows: Sequence[Row], *columns: str) -> list[Any]:
    """The same, and columns of what was inserted, in whatever order."""
    if not rows:
        return []
    wanted = [table.c[name] for name in columns]
    if db.dialect.name == "postgresql":
        names = tuple(rows[0])
        return list(db.execute(_arrays(table, names).returning(*wanted), _columns(rows, names)))
    return list(db.execute(table.insert().returning(*wanted), rows))


def add_up(db: sa.Connection, table: sa.Table, rows: Sequence[Row], *sums: str) -> None:
    """Insert rows, or where there is one of this key add these columns to it."""
    if not rows:
        return
    if db.dialect.name == "postgresql":
        names = tuple(rows[0])
        db.execute(_adding(_arrays(table, names), table, sums), _columns(rows, names))
    else:
        db.execute(_adding(sqlite.insert(table), table, sums), rows)


def add_up_from(db: sa.Connection, table: sa.Table, columns: Sequence[str], rows: sa.Select[Any], *sums: str) -> None:
    """The same with the rows of a query, which must have a WHERE: without one SQLite takes ON CONFLICT for a join's."""
    made = insert_into(db, table)
    db.execute(_adding(made.from_select(list(columns), rows, include_defaults=False), table, sums))


def update(db: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Give rows the values of other columns, by `id`."""
    if not rows:
        return
    names = tuple(rows[0])
    if db.dialect.name == "postgresql":
        new = _unnested(table, names).subquery("new")
        changed = table.update().where(table.c.id == new.c.id).values({name: new.c[name] for name in names if name != "id"})
        db.execute(changed, _columns(rows, names))
    else:
        changed = table.update().where(table.c.id == sa.bindparam("a_id"))
        values: dict[str, Any] = {name: sa.bindparam(f"a_{name}") for name in names if name != "id"}
        db.execute(changed.values(values), [{f"a_{name}": value for name, value in row.items()} for row in rows])


def delete(db: sa.Connection, column: sa.Column[Any], values: Iterable[Any]) -> None:
    """Delete the rows whose column is one of these."""
    listed = list(values)
    for some in chunks(listed):
        db.execute(column.table.delete().where(column.in_(some)))


def _adding(made: Any, table: sa.Table, sums: Sequence[str]) -> sa.Executable:
    more = {name: table.c[name] + made.excluded[name] for name in sums}
    updated: sa.Executable = made.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=more)
    return updated


@lru_cache(maxsize=64)
def _arrays(table: sa.Table, names: tuple[str, ...]) -> Any:
    # What a column is otherwise SQLAlchemy fills in, but not where the rows are a query's.
    others = [one for one in table.columns if one.name not in names and one.default is not None]
    defaults = [sa.literal(one.default.arg, one.type) for one in others]  # type: ignore[union-attr]  # ours are plain values
    wanted = _unnested(table, names).add_columns(*defaults)
    return postgresql.insert(table).from_select([*names, *(one.name for one in others)], wanted, include_defaults=False)


def _unnested(table: sa.Table, names: Sequence[str]) -> sa.Select[Any]:
    arrays = (sa.bindparam(f"a_{name}", type_=postgresql.ARRAY(table.c[name].type)) for name in names)
    return sa.select(*(sa.func.unnest(one).label(name) for one, name in zip(arrays, names, strict=True)))


def _columns(rows: Sequence[Row], names: Sequence[str]) -> dict[str, list[Any]]:
    return {f"a_{name}": [row[name] for row in rows] for name in names}
