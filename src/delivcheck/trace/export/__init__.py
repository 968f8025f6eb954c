"""What the trace holds, as a file: events, or messages with a row for each recipient, as CSV, JSON lines or Parquet.

Octets come piece by piece and memory stays as small as one page of rows, however many there are. `Format.PARQUET` needs the
extra `parquet`, which is imported when the first piece is asked for.
"""

from collections.abc import Iterator
from enum import StrEnum

from ..queries import Query
from ..store import Store
from . import delimited, lines, rows
from .rows import Row, Table


class Format(StrEnum):
    """How rows are written."""

    CSV = "csv"  # RFC 4180, UTF-8 without a mark; no cell of it is a formula
    JSONL = "jsonl"
    PARQUET = "parquet"

    @property
    def media_type(self) -> str:
        """For a Content-Type."""
        return _MEDIA[self]


_MEDIA = {
    Format.CSV: "text/csv; charset=utf-8; header=present",  # RFC 7111
    Format.JSONL: "application/x-ndjson",
    Format.PARQUET: "application/vnd.apache.parquet",
}


class MissingExtra(Exception):  # noqa: N818 -- reads well in an except clause
    """A library that an extra brings is not there; the message is one line that names the extra."""


def write(made: Iterator[Row], table: Table, form: Format) -> Iterator[bytes]:
    """Rows as the octets of a file. Raises MissingExtra, and what `made` raises."""
    if form is Format.CSV:
        return delimited.write(made, table)
    if form is Format.JSONL:
        return lines.write(made)
    try:
        from . import columns
    except ImportError as error:
        raise MissingExtra(f"Parquet needs the extra parquet: pip install 'delivcheck[parquet]' ({error})") from None
    return columns.write(made, table)


def events(store: Store, tenant: int, form: Format, choice: rows.Choice = rows.Choice()) -> Iterator[bytes]:  # noqa: B008 -- frozen
    """All events of a choice, in the order of their cursor. Raises MissingExtra, StoreError."""
    return write(rows.events(store, tenant, choice), rows.EVENTS, form)


def messages(
    store: Store,
    tenant: int,
    form: Format,
    query: Query = Query(),  # noqa: B008 -- frozen
    *,
    most: int | None = None,
) -> Iterator[bytes]:
    """The messages that a query finds (at most `most`), newest first, a row a recipient. Raises MissingExtra, StoreError."""
    return write(rows.messages(store, tenant, query, most), rows.MESSAGES, form)
