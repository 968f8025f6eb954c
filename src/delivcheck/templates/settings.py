"""The `[templates]` table of the configuration, read strictly. Raises ConfigError, and nothing else, with file, line and key.

`[[templates.overrides]]` says the same for the files that match its patterns; later ones go before earlier ones.
"""

import fnmatch
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..config import Config
from ..facts.roots import DataKind
from ..records.names import to_ascii
from ..tables import Keys, Reader
from .engines import registry
from .links import followed
from .model import Host

PARTIALS = ("_*", "*/_*", "*partials/*", "*layouts/*", "*includes/*", "*macros/*")  # what nobody sends by itself


@dataclass(frozen=True)
class Settings:
    """What holds for one template. Paths are absolute or from where the user stands; names of `data` and twins are as written.

    `paths` are the files and folders of the templates. `engine` None: by the file's name and text. `fuzz` are the kinds of
    values to try beside those that are given. `render` is the command that renders what no engine here can, `output` the file
    that it writes (None: its standard output). `subject` and `text` are files, in which `{stem}` stands for the template's name
    without its suffixes; `subject_macro` and `text_macro` are macros of Jinja2 that the program calls in place of rendering the
    template as a whole. `language` (a BCP 47 tag) and `https_hosts` are what --fix may take for granted.
    """

    folder: Path = field(default_factory=Path.cwd)
    paths: tuple[str, ...] = ()
    engine: str | None = None
    roots: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    author: str | None = None
    subject: str | None = None
    text: str | None = None
    subject_macro: str | None = None
    text_macro: str | None = None
    required: tuple[str, ...] = ()
    partials: tuple[str, ...] = PARTIALS
    fuzz: tuple[DataKind, ...] = tuple(DataKind)[1:]
    render: tuple[str, ...] | str | None = None
    output: str | None = None
    baseline: str | None = None
    language: str | None = None
    https_hosts: tuple[str, ...] = ()
    host: Host = field(default_factory=Host)
    overrides: tuple[tuple[tuple[str, ...], Mapping[str, Any]], ...] = ()

    def at(self, path: Path) -> "Settings":
        """What holds for one file."""
        if not self.overrides:
            return self
        below = _below(path, self.folder)
        said: dict[str, Any] = {}
        for patterns, changed in self.overrides:
            if any(fnmatch.fnmatchcase(below, pattern) for pattern in patterns):
                said.update(changed)
        return replace(self, **said) if said else self

    def is_partial(self, path: Path, searched: Path) -> bool:
        """Whether a file that was found in a folder is for others to include."""
        # The user's patterns are about the project, as all of them are. Ours are guesses about names below what was given.
        below = _below(path, searched if self.partials is PARTIALS else self.folder)
        return any(fnmatch.fnmatchcase(below, pattern) for pattern in self.partials)


def _below(path: Path, folder: Path) -> str:
    real, base = followed(path), followed(folder)
    return real.relative_to(base).as_posix() if real.is_relative_to(base) else real.as_posix()


def read(found: Config) -> Settings:
    """What the configuration says of templates; a configuration without the table says nothing. Raises ConfigError."""
    folder = Path.cwd() if found.path is None else found.path.parent
    section = found.templates
    if section is None:
        return Settings(folder)
    reader, keys = section.reader, section.keys
    table = reader.table(keys, section.raw, (*_KEYS, "overrides"))
    said = _said(reader, keys, table)
    overrides = []
    for number, one in enumerate(reader.tables((*keys, "overrides"), table.get("overrides", []))):
        at: Keys = (*keys, "overrides", number)
        given = reader.table(at, one, ("paths", *_PER_PATH))
        patterns = reader.words((*at, "paths"), given.get("paths", []))
        if not patterns:
            raise reader.fail(at, "paths: at least one pattern is wanted")
        overrides.append((patterns, _said(reader, at, {key: value for key, value in given.items() if key != "paths"})))
    return Settings(folder, **said, overrides=tuple(overrides))


def _said(reader: Reader, keys: Keys, table: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for key, value in table.items():
        if key in _KEYS and key not in {"stubs", "options"}:
            name, read_value = _KEYS[key]
            said[name] = read_value(reader, (*keys, key), value)
    if "stubs" in table or "options" in table:
        said["host"] = _host(reader, keys, table)
    return said


def _text(reader: Reader, keys: Keys, value: Any) -> str:
    text = reader.string(keys, value) or ""
    if "\0" in text:
        raise reader.fail(keys, f"a NUL in {text!r}")
    return text


def _identifier(reader: Reader, keys: Keys, value: Any) -> str:
    name = _text(reader, keys, value)
    if not name.isidentifier():
        raise reader.fail(keys, f"{name!r} is no name of a macro")
    return name


def _words(reader: Reader, keys: Keys, value: Any) -> tuple[str, ...]:
    return reader.words(keys, [value] if isinstance(value, str) else value)


def _engine(reader: Reader, keys: Keys, value: Any) -> str:
    try:
        return registry.known(_text(reader, keys, value))
    except registry.UnknownEngine as error:
        raise reader.fail(keys, str(error)) from None


def _kinds(reader: Reader, keys: Keys, value: Any) -> tuple[DataKind, ...]:
    if isinstance(value, bool):
        return tuple(DataKind)[1:] if value else ()
    kinds = tuple(reader.one_of(keys, word, DataKind) for word in reader.words(keys, value))
    return tuple(kind for kind in dict.fromkeys(kinds) if kind is not DataKind.FULL)


def _command(reader: Reader, keys: Keys, value: Any) -> tuple[str, ...] | str:
    if isinstance(value, str):
        return _text(reader, keys, value)
    words = reader.words(keys, value)
    if not words or not words[0].strip() or "\0" in "".join(words):
        raise reader.fail(keys, "a program and its arguments are wanted here")
    return words


def _language(reader: Reader, keys: Keys, value: Any) -> str:
    tag = _text(reader, keys, value)
    if re.fullmatch(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,8}", tag) is None:  # RFC 5646 section 2.1
        raise reader.fail(keys, f"{tag!r} is no language tag such as en or pt-BR")
    return tag


def _hosts(reader: Reader, keys: Keys, value: Any) -> tuple[str, ...]:
    def host(text: str) -> str:
        name = to_ascii(text.removeprefix("*."))
        return f"*.{name}" if text.startswith("*.") else name

    return reader.each_as(keys, reader.words(keys, value), host)


def _host(reader: Reader, keys: Keys, table: Mapping[str, Any]) -> Host:
    stubs = reader.table((*keys, "stubs"), table.get("stubs", {}), ("filters", "tags", "tests"))
    options = reader.table((*keys, "options"), table.get("options", {}), None)
    return Host(**{key: reader.words((*keys, "stubs", key), value) for key, value in stubs.items()}, options=dict(options))


_PER_PATH: Mapping[str, tuple[str, Callable[[Reader, Keys, Any], Any]]] = {
    "engine": ("engine", _engine),
    "data": ("data", _words),
    "from": ("author", _text),
    "subject": ("subject", _text),
    "text": ("text", _text),
    "subject-macro": ("subject_macro", _identifier),
    "text-macro": ("text_macro", _identifier),
    "required": ("required", _words),
    "fuzz": ("fuzz", _kinds),
    "render": ("render", _command),
    "output": ("output", _text),
}
_KEYS: Mapping[str, Any] = {
    **_PER_PATH,
    "paths": ("paths", _words),
    "roots": ("roots", _words),
    "partials": ("partials", _words),
    "baseline": ("baseline", _text),
    "language": ("language", _language),
    "https-hosts": ("https_hosts", _hosts),
    "stubs": None,
    "options": None,
}
