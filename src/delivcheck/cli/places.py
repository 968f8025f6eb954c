"""Finds the root of the repository, and reads lines of files again: what reports for CI say of places rests on it."""

import contextlib
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from ..report.places import File
from ..report.problems import Source

MAX_FILE = 33_554_432  # octets, 32 MiB: what Gmail takes is less; of larger files columns are not told
KEPT = 4  # files whose lines are kept: a template and what it includes

_MEMBER = re.compile(r"(?P<mbox>.+)#\d+\Z", re.DOTALL)


class Disk:
    """Files as they lie on the disk, named from the root of the repository around the working directory, or else from there."""

    def __init__(self, here: str | None = None) -> None:
        self._here = os.path.realpath(here or Path.cwd())
        self.root = repository(self._here) or self._here
        self._source = lru_cache(maxsize=KEPT)(_read)

    def find(self, name: str) -> File:
        """The file that a target or a place names; it need not exist."""
        member = _MEMBER.match(name)
        if member is not None and not os.path.lexists(self._full(name)) and Path(self._full(member["mbox"])).is_file():
            return File(self._named(self._full(member["mbox"])), member=True)
        return File(self._named(self._full(name)))

    def line(self, name: str, number: int) -> bytes | None:
        """A line of a file, from 1, without its line end; None where it cannot be read again."""
        source = self._source(self._full(name))
        line = None if source is None else source.line(number)
        return None if line is None else line.removesuffix(b"\n").removesuffix(b"\r")

    def _full(self, name: str) -> str:
        return os.path.normpath(Path(self._here, name))

    def _named(self, full: str) -> str:
        """From the root; also where the file was named by way of a link to it."""
        path = Path(full)
        for one in (path, *_behind_links(path)):
            if one.is_relative_to(self.root):
                return one.relative_to(self.root).as_posix()
        return path.as_posix()


def _behind_links(path: Path) -> Iterator[Path]:
    """The path with its folder's links followed; the file's own name stays, by which the repository knows it."""
    with contextlib.suppress(OSError, ValueError, RuntimeError):  # a loop of links, a NUL
        yield path.parent.resolve() / path.name


def repository(folder: str) -> str | None:
    """The nearest folder, from this one up, that has a `.git`: a folder, or a file in a work tree or submodule."""
    path = Path(folder)
    return next((str(one) for one in (path, *path.parents) if os.path.lexists(one / ".git")), None)


def _read(path: str) -> Source | None:
    try:
        if not Path(path).is_file() or Path(path).stat().st_size > MAX_FILE:  # a pipe could be waited for for ever
            return None
        return Source(Path(path).read_bytes())
    except (OSError, ValueError):
        return None
