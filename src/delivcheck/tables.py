"""Typed values from a TOML file that a user wrote, and errors that name the file, the line and the key."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Keys = tuple[str | int, ...]  # a key's path; a number is the place in an array of tables, from 0


class ConfigError(Exception):
    """A configuration that cannot be used; one line that names the file, the line where it is known, and the key."""


class Reader:
    """Reads values of a parsed file; every method raises ConfigError where the value is not what is wanted."""

    def __init__(self, path: Path, text: str, inside: tuple[str, ...] = ()) -> None:
        """`inside` is the table of the file that is ours, `("tool", "delivcheck")` of a pyproject.toml."""
        self.path, self.text, self.inside = path, text, inside

    @cached_property
    def lines(self) -> dict[Keys, int]:
        """Where every key stands, found once: a file may have thousands of rules."""
        return _lines(self.text)

    def line(self, keys: Keys) -> int | None:
        """The line of a key; None where it cannot be told."""
        return self.lines.get((*self.inside, *keys))

    def place(self, keys: Keys) -> str:
        """File and line of a key, or of the innermost table around it that is known."""
        for end in range(len(keys), 0, -1):
            if line := self.line(keys[:end]):
                return f"{self.path}:{line}"
        return str(self.path)

    def fail(self, keys: Keys, what: str) -> ConfigError:
        """The error to raise about a key."""
        name = ".".join(_shown(key) for key in keys if isinstance(key, str))
        return ConfigError(f"{self.place(keys)}: {name}: {what}")

    def unknown(self, key: str, known: Iterable[str]) -> str:
        """What to say of a key that does not exist, after "no such key"."""
        return nearest(key, known)

    def table(self, keys: Keys, raw: Any, known: Iterable[str] | None) -> Mapping[str, Any]:
        """A table with no other keys than the known ones; None: its keys are the user's own names."""
        if not isinstance(raw, Mapping):
            raise self.fail(keys, "a table is wanted here")
        for key in raw:
            if known is not None and key not in known:
                raise self.fail((*keys, key), f"no such key{self.unknown(key, known)}")
        return raw

    def tables(self, keys: Keys, raw: Any) -> Sequence[Any]:
        """An array of tables, which are not looked into yet."""
        if not isinstance(raw, list):
            raise self.fail(keys, f"tables [[{'.'.join(map(str, keys))}]] are wanted here")
        return raw

    def one_of(self, keys: Keys, value: Any, words: Any) -> Any:
        """A member of an enumeration of words; None stays None."""
        if value is None:
            return None
        try:
            return words(value)
        except ValueError:
            raise self.fail(keys, f"{value!r} is none of {', '.join(words)}{nearest(str(value), words)}") from None

    def words(self, keys: Keys, value: Any) -> tuple[str, ...]:
        """A list of strings."""
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return tuple(value)
        raise self.fail(keys, f"a list of strings is wanted here, not {value!r}")

    def each_as(self, keys: Keys, given: Iterable[str], read: Callable[[str], T]) -> tuple[T, ...]:
        """What a parser makes of each string, without repeats; the parser's declared error is a ValueError."""
        try:
            return tuple(dict.fromkeys(map(read, given)))
        except ValueError as error:
            raise self.fail(keys, str(error)) from None

    def string(self, keys: Keys, value: Any) -> str | None:
        """A string that is not blank; None stays None."""
        if value is None or (isinstance(value, str) and value.strip()):
            return value
        raise self.fail(keys, f"a string is wanted here, not {value!r}")

    def flag(self, keys: Keys, value: Any) -> bool:
        """True or false."""
        if isinstance(value, bool):
            return value
        raise self.fail(keys, f"true or false is wanted here, not {value!r}")

    def number(self, keys: Keys, value: Any, most: float, what: str = "a number") -> float:
        """A number above 0 and below `most`, which also keeps infinity and not-a-number out."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < most:
            raise self.fail(keys, f"{what} above 0, not {value!r}")
        return value


@dataclass(frozen=True)
class Section:
    """A table of the configuration that a package above reads, as it was parsed; `keys` lead to it."""

    keys: tuple[str, ...]
    raw: Any
    reader: Reader = field(compare=False, repr=False)


def nearest(name: str, known: Iterable[str]) -> str:
    """The hint at the name that was meant, with the semicolon before it; "" where none is near."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {_shown(near[0])}?" if near else ""


def _shown(key: str) -> str:
    """A key in one line, whatever it holds."""
    return key if key.isprintable() else repr(key)


# --- lines ---------------------------------------------------------------------------------------------------------

# TOML 1.0 as far as it takes to know where keys stand. The text was parsed already: what is not TOML never comes here.
_BETWEEN = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
_HEADER = re.compile(r"""(?P<open>\[++)(?P<path>(?:"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'|[^\]"'\n])++)\]++""")
_KEY = re.compile(
    r"""(?P<path>(?:"[^"\n]*"|'[^'\n]*'|[A-Za-z0-9_-]+)(?:[ \t]*\.[ \t]*(?:"[^"\n]*"|'[^'\n]*'|[A-Za-z0-9_-]+))*)[ \t]*="""
)
_PART = re.compile(r""""([^"\n]*)"|'([^'\n]*)'|([A-Za-z0-9_-]+)""")
_TOKEN = re.compile(  # no possessive group with a lookahead in it: Python 3.11 before 3.11.5 matches those wrongly (gh-106052)
    r"""(?P<blank>[ \t\r]++|\#[^\n]*+)
    | (?P<end>\n) | (?P<open>[\[{]) | (?P<close>[\]}]) | (?P<comma>,)
    | \"{3}(?s:[^"\\]|\\.|"(?!""))*"{3,5} | '{3}(?:[^']|'(?!''))*'{3,5}
    | "(?:[^"\\\n]|\\.)*+" | '[^'\n]*+' | [^\s"'\[\]{},\#]++ | ["']""",
    re.VERBOSE,
)


def _lines(text: str) -> dict[Keys, int]:
    """The line on which each key stands first: tomllib keeps no lines.

    A table of an array stands under its number and, the first one, under the array's own name, too.
    """
    return _Lines(text).found


class _Lines:
    """Walks once through a TOML text; strings and brackets are followed, so that what stands in a value is no key."""

    def __init__(self, text: str) -> None:
        self.text, self.found = text, dict[Keys, int]()
        self.line, self.counted = 1, 0
        arrays: dict[Keys, int] = {}  # how many tables each array has so far
        table: Keys = ()
        at = 0
        while (at := self.end(_BETWEEN, at)) < len(text):
            if header := _HEADER.match(text, at):
                *above, last = _parts(header["path"]) or ("",)
                table = (*_numbered(above, arrays), last)
                if len(header["open"]) > 1:
                    self.stands(table, at)
                    arrays[table] = arrays.get(table, 0) + 1
                    table = (*table, arrays[table] - 1)
                self.stands(table, at)
                at = header.end()
            elif key := _KEY.match(text, at):
                keys = (*table, *_parts(key["path"]))
                self.stands(keys, at)
                at = self.value(keys, key.end())
            else:
                at += 1

    def end(self, pattern: re.Pattern[str], at: int) -> int:
        found = pattern.match(self.text, at)
        return found.end() if found else at

    def stands(self, keys: Keys, at: int) -> None:
        self.line += self.text.count("\n", self.counted, at)
        self.counted = at
        self.found.setdefault(keys, self.line)

    def value(self, keys: Keys, at: int) -> int:
        """Go through a value; keys of inline tables in it, and elements of arrays, stand somewhere, too. Returns its end."""
        around: list[tuple[str, Keys, int]] = []  # the brackets that are open: which, whose, how many elements before
        while token := _TOKEN.match(self.text, at):
            if token["end"] and not around:
                break
            if not (token["blank"] or token["end"] or token["comma"] or token["close"]):
                self.stands(keys, at)
            at = token.end()
            if token["open"]:
                around.append((token[0], keys, 0))
                keys = (*keys, 0) if token[0] == "[" else keys
            elif token["close"] and around:
                keys = around.pop()[1]
            elif token["comma"] and around:
                bracket, whose, before = around[-1]
                around[-1] = (bracket, whose, before + 1)
                keys = (*whose, before + 1) if bracket == "[" else whose
            if (token["open"] or token["comma"]) and around and around[-1][0] == "{":
                at = self.end(_BETWEEN, at)
                if key := _KEY.match(self.text, at):
                    keys = (*around[-1][1], *_parts(key["path"]))
                    self.stands(keys, at)
                    at = key.end()
        return at


def _numbered(parts: Iterable[str], arrays: Mapping[Keys, int]) -> Keys:
    """The path of a table, in arrays through their last table, as TOML has it."""
    path: Keys = ()
    for part in parts:
        path = (*path, part)
        if path in arrays:
            path = (*path, arrays[path] - 1)
    return path


def _parts(path: str) -> tuple[str, ...]:
    return tuple("".join(part) for part in _PART.findall(path))
