"""Which templates a change on disk concerns: their own files, those that they include, their data."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

Stamp = tuple[int, int, int]  # modification time in ns, octets, inode: editors replace a file rather than write into it


def stamp(path: Path) -> Stamp | None:
    """What tells that a file has changed; None for one that is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


@dataclass
class Watch:
    """Looks at files, and says which changed since the last look. Polling works on every file system, mounted ones too."""

    _stamps: dict[Path, Stamp | None] | None = None

    def look(self, paths: Iterable[Path]) -> frozenset[Path]:
        """Look at these files. Returns the real paths of those that changed, came or went since; none the first time."""
        before, self._stamps = self._stamps, {real: stamp(real) for real in map(_real, paths)}
        if before is None:
            return frozenset()
        now = self._stamps
        return frozenset(path for path in {*before, *now} if before.get(path) != (now[path] if path in now else stamp(path)))


def concerned(changed: Iterable[Path], needs: Mapping[str, frozenset[Path]]) -> list[str]:
    """The templates that need one of the files, in their order; `needs` are the real paths that each is made of."""
    files = frozenset(changed)
    return [name for name, needed in needs.items() if needed & files]


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
