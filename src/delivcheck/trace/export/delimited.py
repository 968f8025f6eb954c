"""Rows as CSV (RFC 4180) that no spreadsheet takes for formulas."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import msgspec

from .rows import Row, Table

PIECE = 64 * 1024  # octets that are given on at once

# OWASP, "CSV Injection" (checked 2026-11-23): a cell that begins with one of these may be run by a spreadsheet. The full-width
# forms count too, which Excel folds in some locales.
_ACTING = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def write(made: Iterator[Row], table: Table) -> Iterator[bytes]:
    """The head line and a line for each row, in pieces of about PIECE octets."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(table)
    for row in made:
        writer.writerow([_cell(row.get(name)) for name in table])
        if text.tell() >= PIECE:
            yield _octets(text)
            text.seek(0)
            text.truncate()
    yield _octets(text)


def _octets(text: io.StringIO) -> bytes:
    return text.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> Any:
    """A value as it stands in a cell. Numbers stay numbers; text that would act gets an apostrophe in front (OWASP)."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    text = text.replace("\0", "\ufffd")
    # Leading spaces are skipped by some readers; what stands behind them acts then.
    return f"'{text}" if text.lstrip(" \xa0\ufeff").startswith(_ACTING) else text
