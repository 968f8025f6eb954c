"""Template files: read once, found from one another, and who asked for whom.

Nothing is read outside the folders that the run was given: a template of somebody else's must not bring in `/etc/passwd`.
"""

import difflib
import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from ..records.placeholders import MAX_TEMPLATE
from . import links
from .links import followed
from .model import Source, TemplateFault, TemplateMissing

MAX_OCTETS = 4 * MAX_TEMPLATE  # of a file with MAX_TEMPLATE characters: four octets each (RFC 3629 section 3)
MAX_NEAR = 2_000  # file names among which the one that was meant is looked for
MAX_INDEXED = 100_000  # files below the folders that a name is looked for in; a large monorepo's `git ls-files`
# Folders of other people's code, and those that templates keep the shared ones in.
SKIPPED = frozenset({"htmlcov", "node_modules", "__pycache__", "venv", "site-packages", "bower_components", "vendor"})
BESIDE = ("partials", "_partials", "includes", "layouts", "_layouts", "templates")


def read(path: Path, name: str) -> Source:
    """Read one file. Raises TemplateFault where it is no text, too large, or cannot be read."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe or a device would be waited for
            raise TemplateFault(f"{name}: not a file")
        with path.open("rb") as file:
            octets = file.read(min(found.st_size, MAX_OCTETS) + 1)  # a buffer of MAX_OCTETS for each would take its time
            octets += file.read(MAX_OCTETS + 1 - len(octets)) if len(octets) > found.st_size else b""
    except OSError as error:
        raise TemplateFault(f"{name}: {error.strerror or error}") from None
    except ValueError as error:  # a NUL in the path
        raise TemplateFault(f"{name!r}: {error}") from None
    return Source(name, text_of(octets, name), path)


def text_of(octets: bytes, name: str) -> str:
    """The text of a file. Raises TemplateFault."""
    if len(octets) > MAX_OCTETS:
        raise TemplateFault(f"{name}: more than {MAX_TEMPLATE:,} characters, which is more than any mail has")
    if octets.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise TemplateFault(f"{name}: stored as UTF-16: save it as UTF-8")
    if b"\0" in octets:
        raise TemplateFault(f"{name}: binary data, no template")
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TemplateFault(f"{name}: not UTF-8: {error.reason} at octet {error.start}") from None
    if len(text) > MAX_TEMPLATE:
        raise TemplateFault(f"{name}: more than {MAX_TEMPLATE:,} characters, which is more than any mail has")
    return text


class FileSources:
    """The template files of a run. Looks names up below `roots` (folders), where the templates stand or the user said."""

    def __init__(self, roots: Iterable[Path]) -> None:
        """`roots` in the order in which they are looked in."""
        self.roots: tuple[Path, ...] = ()
        self._typed: dict[Path, Path] = {}  # as the user wrote them, by what they are
        self.add_roots(roots)
        self.asked: defaultdict[Path, set[Path]] = defaultdict(set)  # file: the files that it asked for
        self._read: dict[Path, Source] = {}
        self._real: dict[Path, Path] = {}  # of the files that were read, by their sources' paths
        self._found: dict[tuple[str, Path | None, tuple[str, ...]], tuple[Path, Path, str]] = {}

    def add_roots(self, roots: Iterable[Path], typed: Iterable[Path] = ()) -> None:
        """Look for names in these folders, too, after the others; files below `typed` are called as the user called those."""
        self.roots = tuple(dict.fromkeys([*self.roots, *map(followed, roots)]))
        self._typed = {**{followed(one): one for one in typed}, **self._typed}

    def open(self, path: Path, name: str) -> Source:
        """The source of a file, read once. Raises TemplateFault."""
        real = followed(path)
        if real not in self._read:
            self._read[real] = read(path, name)
            self._real[path] = real
        return self._read[real]

    def named(self, name: str) -> Source | None:
        """The source that reports call by a name, if it was read."""
        return next((source for source in self._read.values() if source.name == name), None)

    def put(self, source: Source, text: str) -> None:
        """Take a text for what the file has, without writing it."""
        if source.path is not None:
            self._read[followed(source.path)] = Source(source.name, text, source.path)
            self._found.clear()

    @property
    def read_so_far(self) -> tuple[Path, ...]:
        """The real paths of the files that were read."""
        return tuple(self._read)

    def known(self, real: Path) -> Source | None:
        """The source of a file that was read, by its real path."""
        return self._read.get(real)

    def find(self, name: str, asked_by: Source | None = None, suffixes: Sequence[str] = ("",)) -> Source:
        """As `model.Sources`: beside the one that asks, in the folders above it, in the roots, then wherever one file fits."""
        asking = asked_by.path if asked_by is not None else None
        here = asking.parent if asking is not None else None
        key = (name, here, tuple(suffixes))
        found = self._found.get(key)
        if found is None:
            path = self._find(name, here, suffixes)
            found = self._found[key] = path, followed(path), self._named(path)
        path, real, named = found
        if asking is not None:
            self.asked[self._known_real(asking)].add(real)  # before it is read: one that is broken is asked for, too
        return self._read.get(real) or self.open(path, named)

    def _known_real(self, path: Path) -> Path:
        return self._real.get(path) or followed(path)

    def forget(self, paths: Iterable[Path]) -> None:
        """Read these files again when they are wanted, and look every name up anew."""
        links.forget()
        for path in paths:
            self._read.pop(followed(path), None)
            self.asked.pop(followed(path), None)
        self._real.clear()
        self._found.clear()
        self.__dict__.pop("_files", None)

    def needed_by(self, path: Path) -> frozenset[Path]:
        """A file and all that it asks for, directly or through others."""
        wanted, found = [self._known_real(path)], set[Path]()
        while wanted:
            one = wanted.pop()
            if one not in found:
                found.add(one)
                wanted.extend(self.asked.get(one, ()))
        return frozenset(found)

    # --- looking

    def _find(self, name: str, here: Path | None, suffixes: Sequence[str]) -> Path:
        shown = name if name.isprintable() else repr(name)
        if not name or "\0" in name:
            raise TemplateMissing(f"no template is called {shown!r}")
        relative = name.lstrip("/\\").replace("\\", "/")
        outside = False
        for folder in self._folders(here, relative):
            for suffix in suffixes:
                path = folder / (relative + suffix)
                if _is_file(path):
                    if self.within(path):
                        return path
                    outside = True
        if outside:
            raise TemplateFault(f"template {shown} is outside the folders that were given")
        fitting = self._ending(relative, suffixes)
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise TemplateFault(f"template {shown} may be one of {len(fitting)}: name the folder it is looked for in as a root")
        raise TemplateMissing(f"template {shown} is not found{self._near(relative)}")

    def _near(self, relative: str) -> str:
        """The hint at the file that was meant, by its last name; "" where none is near."""
        last = relative.rpartition("/")[2]
        near = difflib.get_close_matches(last, list(self._files)[:MAX_NEAR], 1)
        return f"; did you mean {near[0]}?" if near and near[0].isprintable() and near[0] != last else ""

    def _folders(self, here: Path | None, relative: str) -> Iterator[Path]:
        if here is not None:
            above = [here, *(one for one in here.parents if self.within(one))]
            yield from above
            if not relative.startswith("."):
                yield from (one / folder for one in above for folder in BESIDE)
        if relative.startswith("."):
            return
        for root in self.roots:
            yield root
            yield from (root / folder for folder in BESIDE)

    def within(self, path: Path) -> bool:
        """Whether a file, or what a link leads to, is below the roots, and not hidden there.

        `.env` and `.git/config`, in which a checkout keeps the token that it was made with, are no templates.
        """
        real = self._known_real(path)
        return any(not _is_hidden(real.relative_to(root)) for root in self.roots if real.is_relative_to(root))

    def _ending(self, relative: str, suffixes: Sequence[str]) -> list[Path]:
        """The files below the roots whose path ends so.

        Apps of a framework keep their templates in folders of their own, which their names there leave out: Flask's
        `shop/mail/base.html` is `shop/templates/mail/base.html`.
        """
        last = relative.rpartition("/")[2]
        near = [
            path for suffix in suffixes for path in self._files.get(last + suffix, ()) if _is_file(path) and self.within(path)
        ]
        wanted = tuple(f"/{relative}{suffix}" for suffix in suffixes)
        exact = [path for path in near if path.as_posix().endswith(wanted)]
        return exact or [path for path in near if path.as_posix().replace("/templates/", "/").endswith(wanted)]

    @cached_property
    def _files(self) -> dict[str, list[Path]]:
        """Every file below the roots by its last name."""
        found: defaultdict[str, list[Path]] = defaultdict(list)
        seen = 0
        for root in self.roots:
            for path in below(root):
                found[path.name].append(path)
                seen += 1
                if seen >= MAX_INDEXED:
                    return dict(found)
        return {name: list(dict.fromkeys(paths)) for name, paths in found.items()}

    def _named(self, path: Path) -> str:
        """A file as the user would write it: as they did its folder, or else from where they stand, if it is below."""
        real = followed(path)
        for folder in real.parents:
            if folder in self._typed:
                return shown(self._typed[folder] / real.relative_to(folder))
        here = followed(Path.cwd())
        return shown(real.relative_to(here) if real.is_relative_to(here) else real)


def below(folder: Path) -> Iterator[Path]:
    """Files below a folder, sorted; hidden ones and other people's code are passed by, links are not followed."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(one for one in folders if not one.startswith(".") and one not in SKIPPED)
        for name in sorted(files):
            if not name.startswith("."):
                yield here / name


def shown(path: Path) -> str:
    """A path as text that JSON can hold, with slashes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace").replace(os.sep, "/")


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than the file system has, a folder that may not be looked into
        return False
