"""What the trace's commands write: octets to a file or a pipe, times, and text that is cut to its columns."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click


def written(made: Iterator[bytes], path: str | Path | None, kind: str = "json") -> int:
    """Write pieces to standard output, or to a file, which is there only when it is whole. 0.

    `kind` is "json", "csv" or "parquet": nothing of them acts on a terminal. Raises UsageError for a path that cannot be
    written, and for what is not for a terminal; OutputError, ReaderGone.
    """
    from . import output
    from .faults import OutputError

    context = click.get_current_context()
    if path is None:
        terminal = sys.stdout is not None and sys.stdout.isatty()
        if kind == "parquet" and terminal:
            raise click.UsageError("this format is not for a terminal; name a file with --output", context)
        for piece in made:
            output.write_octets(_harmless(piece, kind, terminal=terminal))
        return 0
    file = Path(path)
    if file.exists() and not file.is_file():  # /dev/null, a named pipe: nothing that could be half
        with file.open("wb") as there:
            there.writelines(made)
        return 0
    draft = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        # The addresses of other people: not for everybody on this machine.
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise click.UsageError(f"--output: {file}: {error.strerror or error}", context) from None
    try:
        with os.fdopen(descriptor, "wb") as open_file:
            for piece in made:
                try:
                    open_file.write(piece)
                except OSError as error:
                    raise OutputError(f"{file}: {error.strerror or error}") from None
        draft.replace(file)
    except OSError as error:
        raise OutputError(f"{file}: {error.strerror or error}") from None
    finally:
        draft.unlink(missing_ok=True)
    return 0


def _harmless(piece: bytes, kind: str, *, terminal: bool) -> bytes:
    """JSON has escapes for what a terminal obeys; CSV has none, and stays as it is where no terminal reads it."""
    from ..report.paint import visible
    from . import output

    if kind == "json":
        return output.inert(piece)
    if kind == "csv" and terminal:
        return "\n".join(visible(line) for line in piece.decode().replace("\r\n", "\n").split("\n")).encode()
    return piece


def json_octets(value: Any) -> bytes:
    """JSON on one line."""
    import msgspec

    return msgspec.json.encode(value) + b"\n"


def utc(milliseconds: int, *, fine: bool = True) -> str:
    """A time as `delivcheck held` and the log have it: UTC, whoever reads it where; `fine`: with its milliseconds."""
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    return f"{time:%Y-%m-%d %H:%M:%S}" + (f".{time.microsecond // 1000:03d}" if fine else "")


def cut(text: str, columns: int) -> str:
    """The beginning of a text in so many columns."""
    from ..report.paint import cells

    if cells(text[: 4 * columns]) <= columns and len(text) <= 4 * columns:
        return text
    used = 0
    for at, character in enumerate(text):
        used += cells(character)
        if used > columns - len("..."):
            return f"{text[:at]}..."
    return text
