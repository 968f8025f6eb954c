"""What a data file may hold, and the one error of reading one."""

from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

MAX_DEPTH = 64  # of lists and mappings in each other; MongoDB takes 100, real data sets have five
MAX_VALUES = 100_000  # in all, a text counting once more for each TEXT characters; a megabyte of JSON seldom has as many
TEXT = 64

SCALARS = (str, int, float, bool, datetime, date, time, type(None))


class DataError(Exception):
    """A data file that cannot be used: one line that names the file, the line where it is known, and what is wrong."""

    def __init__(self, file: str, what: str, line: int | None = None) -> None:
        """Keep the parts for whoever writes another format."""
        super().__init__(f"{file}:{line}: {what}" if line is not None else f"{file}: {what}")
        self.file, self.what, self.line = file, what, line


def size_of(value: Any) -> int:
    """What one value by itself counts, without what is in it."""
    return 1 + len(value) // TEXT if isinstance(value, str) else 1


def plain(name: str, value: Any) -> Any:
    """The value as it is. Raises DataError for too many in it and too deep, and for what is no plain value."""
    left = MAX_VALUES
    open_ = [(value, 0)]
    while open_:
        one, depth = open_.pop()
        left -= size_of(one)
        if left < 0:
            raise DataError(name, f"more than {MAX_VALUES} values")
        if depth > MAX_DEPTH:
            raise DataError(name, f"nested deeper than {MAX_DEPTH}")
        if isinstance(one, Mapping):
            open_ += [(inner, depth + 1) for inner in one.values()]
        elif isinstance(one, list):
            open_ += [(inner, depth + 1) for inner in one]
        elif not isinstance(one, SCALARS):
            raise DataError(name, f"a {type(one).__name__} is no plain value")
    return value
