"""Data sets from files: JSON, YAML or TOML beside a template, or named by the user.

A file is one data set, named as the file is. One whose only key is `data-sets` has several, by name:
`{"data-sets": {"new": {…}, "returning": {…}}}` gives `welcome.json#new` and `welcome.json#returning`, in every format.

Beside `welcome.html` these are its data: `welcome.json`, `welcome.data.json`, `welcome.<case>.json` and all in the folder
`welcome.data/`; with `.yaml`, `.yml` and `.toml` as well. A file that is named as another template's (`welcome.mobile.json`
where there is a `welcome.mobile.html`) is that one's.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from ...rulefiles import loads
from ..model import Variable
from ..sources import shown
from .plain import MAX_DEPTH, MAX_VALUES, DataError, plain

SUFFIXES = (".json", ".yaml", ".yml", ".toml")
SEVERAL = "data-sets"  # the only key of a file that has several data sets
MAX_FILE = 1_000_000  # octets, as of our other files (rulefiles.MAX_TOML); nobody mails a megabyte of values
MAX_SETS = 100  # of one template; what has more wants a test suite of its own


@dataclass(frozen=True, slots=True)
class DataSet:
    """Values to render a template with: mappings with string keys, lists, strings, numbers, booleans, dates, times and None.

    `path` is the file they stand in; None for made-up ones. `lacking` is what the template reads and nobody gave.
    """

    name: str
    data: Mapping[str, Any]
    path: Path | None = None
    made_up: bool = False
    lacking: tuple[Variable, ...] = ()


# --- finding -----------------------------------------------------------------------------------------------------


@dataclass
class Nearby:
    """Finds data files beside templates; every folder is listed once a run."""

    _folders: dict[Path, dict[str, str]] = field(default_factory=dict)
    _alike: dict[Path, dict[str, dict[str, str]]] = field(default_factory=dict)  # names by what stands before their first dot

    def of(self, folder: Path, stem: str) -> tuple[Path, ...]:
        """The data files of the template whose files are named `stem`, in any case, and a suffix: at most MAX_SETS, by name."""
        stem = stem.lower()
        names = self._near(folder, stem)
        found = [folder / name for lowered, name in names.items() if _belongs(lowered, stem, names)]
        inside = names.get(f"{stem}.data")
        if inside is not None:
            found += [
                folder / inside / name for lowered, name in self._names(folder / inside).items() if lowered.endswith(SUFFIXES)
            ]
        return tuple(found[:MAX_SETS])

    def _near(self, folder: Path, stem: str) -> dict[str, str]:
        """Of the names in a folder those that a stem may begin."""
        if folder not in self._alike:
            alike = self._alike[folder] = {}
            for lowered, name in self._names(folder).items():
                alike.setdefault(lowered.partition(".")[0], {})[lowered] = name
        return self._alike[folder].get(stem.partition(".")[0], {})

    def _names(self, folder: Path) -> dict[str, str]:
        """The names in a folder by how they read in lower case."""
        if folder not in self._folders:
            try:
                self._folders[folder] = {name.lower(): name for name in sorted(path.name for path in folder.iterdir())}
            except OSError:  # whoever looks for templates in it tells of it
                self._folders[folder] = {}
        return self._folders[folder]


def _belongs(name: str, stem: str, names: Iterable[str]) -> bool:
    suffix = next((one for one in SUFFIXES if name.endswith(one)), None)
    if suffix is None or not name.startswith(f"{stem}."):
        return False
    case = name[len(stem) : -len(suffix)]
    if case in {"", ".data"}:
        return True
    # `welcome.mobile.json`: data of a template of that name, if there is one. Its folder's other data are no template.
    whole = f"{stem}{case}."
    return case.count(".") == 1 and not any(
        other.startswith(whole) and not other.endswith((*SUFFIXES, ".data")) for other in names
    )


# --- reading -----------------------------------------------------------------------------------------------------


def read(path: Path) -> tuple[DataSet, ...]:
    """The data sets of a file, at least one. Raises DataError."""
    name = shown(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(name, f"data is read from {', '.join(SUFFIXES)} files")
    values = reader(name, _text(name, path))
    if not isinstance(values, Mapping):
        raise DataError(name, f"a data set is a mapping of names to values, not {_kind(values)}", 1)
    return tuple(_sets(name, path, values))


def _sets(name: str, path: Path, values: Mapping[str, Any]) -> Iterator[DataSet]:
    if set(values) != {SEVERAL}:
        yield DataSet(name, values, path)
        return
    several = values[SEVERAL]
    if not isinstance(several, Mapping) or not several or not all(isinstance(one, Mapping) for one in several.values()):
        raise DataError(name, f"{SEVERAL} is a mapping of names to data sets")
    if len(several) > MAX_SETS:
        raise DataError(name, f"{len(several)} data sets; more than {MAX_SETS} are not taken")
    for case, one in several.items():
        yield DataSet(f"{name}#{case}", one, path)


def _text(name: str, path: Path) -> str:
    try:
        if not path.is_file():  # a device or a pipe would be waited for
            raise DataError(name, "not a file" if path.exists() else "no such file")
        with path.open("rb") as file:
            raw = file.read(MAX_FILE + 1)
    except OSError as error:
        raise DataError(name, f"cannot be read: {error.strerror or error}") from None
    if len(raw) > MAX_FILE:
        raise DataError(name, f"more than {MAX_FILE} octets of data")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(name, "not UTF-8", raw.count(b"\n", 0, error.start) + 1) from None


def _json(name: str, text: str) -> Any:
    def refuse(word: str) -> NoReturn:
        raise DataError(name, f"no JSON: {word} is no number (RFC 8259 section 6)")

    try:
        return plain(name, json.loads(text, parse_constant=refuse))
    except json.JSONDecodeError as error:
        raise DataError(name, f"no JSON: {_lower(error.msg)}", error.lineno) from None
    except RecursionError:
        raise DataError(name, f"nested deeper than {MAX_DEPTH}") from None
    except ValueError as error:  # an integer of more digits than Python converts
        raise DataError(name, f"no JSON: {_lower(str(error).partition(':')[0])}") from None


_TOML_PLACE = re.compile(r"(?s)\A(.{0,300}?) \((?:at line (\d+), column \d+|at end of document)\)\Z")


def _toml(name: str, text: str) -> Any:
    try:
        return plain(name, loads(text))
    except tomllib.TOMLDecodeError as error:
        found = _TOML_PLACE.match(str(error))
        line = int(found[2]) if found and found[2] else text.count("\n") + 1 if found else None
        raise DataError(name, f"no TOML: {_lower(found[1] if found else str(error))}", line) from None


def _yaml(name: str, text: str) -> Any:
    try:
        from .yaml_values import load
    except ImportError:
        raise DataError(name, "reading YAML needs PyYAML: pip install 'delivcheck[templates]'") from None
    return load(name, text)


_READERS: Mapping[str, Callable[[str, str], Any]] = {".json": _json, ".toml": _toml, ".yaml": _yaml, ".yml": _yaml}


def _lower(message: str) -> str:
    """A parser's message as a clause of ours."""
    line = " ".join(message.split())[:200]
    return line[:1].lower() + line[1:]


def _kind(value: object) -> str:
    return "a list" if isinstance(value, list) else "nothing" if value is None else "one value"


__all__ = ["MAX_DEPTH", "MAX_FILE", "MAX_SETS", "MAX_VALUES", "SEVERAL", "SUFFIXES", "DataError", "DataSet", "Nearby", "read"]
