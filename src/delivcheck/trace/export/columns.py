"""Rows as Parquet, with pyarrow: the only module that imports it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from .rows import Row, Table, Type

GROUP = 10_000  # rows of a row group: some megabytes in memory, and enough of a kind to compress

_TYPES = {
    Type.TEXT: pa.string(),
    Type.NUMBER: pa.int64(),
    Type.REAL: pa.float64(),
    Type.TIME: pa.timestamp("ms", tz="UTC"),
    Type.TEXTS: pa.list_(pa.string()),
    Type.OBJECT: pa.string(),  # JSON: what stands in it is another thing for each kind of event
}


class _Sink:
    """A file of which pyarrow knows only that it can be written to, and which is emptied as it goes."""

    closed = False

    def __init__(self) -> None:
        self._buffer = bytearray()

    def write(self, octets: Any) -> int:
        """Take octets."""
        self._buffer += octets
        return len(octets)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""

    def taken(self) -> bytes:
        """What was written since the last time."""
        octets = bytes(self._buffer)
        self._buffer.clear()
        return octets


def write(made: Iterator[Row], table: Table) -> Iterator[bytes]:
    """A row group for every GROUP rows, and the foot; a file without rows has its columns all the same."""
    schema = pa.schema([(name, _TYPES[kind]) for name, kind in table.items()])
    sink = _Sink()
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd") as writer:
        waiting: list[Row] = []
        for row in made:
            waiting.append(row)
            if len(waiting) == GROUP:
                writer.write_batch(_batch(waiting, table, schema))
                waiting = []
                yield sink.taken()
        if waiting:
            writer.write_batch(_batch(waiting, table, schema))
    yield sink.taken()


def _batch(rows: list[Row], table: Table, schema: pa.Schema) -> pa.RecordBatch:
    arrays = [
        pa.array([_value(row.get(name), kind) for row in rows], type=_TYPES[kind], from_pandas=False)
        for name, kind in table.items()
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _value(value: Any, kind: Type) -> Any:
    if value is None:
        return None
    if kind is Type.TIME:
        return datetime.fromisoformat(value)
    return msgspec.json.encode(value).decode() if kind is Type.OBJECT else value
