"""Finds the folder `rules/` and reads it, from its compiled index where that is current.

Parsing some two hundred TOML pages costs 100 ms, the index 3 ms. A wheel brings the index along; in a checkout it is kept
beside the pages (git-ignored) and made anew whenever a page's name, size or time has changed. The build hook loads this
file by path, when of the package's dependencies only msgspec is there.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

FOLDERS_OF_DATA = frozenset({"policies", "providers", "data"})  # the rest of rules/ are families of pages
INDEX_IN_WHEEL = "index.json"
INDEX_IN_CHECKOUT = ".rules-index.json"
MAX_TOML = 1_000_000  # characters of one file; the largest that comes with us has 20,000
MAX_KEY = 64  # parts of a dotted key; ours have three, and memory grows with the square
_LONG_KEY = re.compile(rf"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{MAX_KEY}}}""")
INDEX_FORMAT = 1


class RuleFileError(Exception):
    """A file under rules/ that cannot be used; the text names the file, and the field where there is one."""


def folder() -> Path:
    """The rules that come with this installation: inside the package, or the checkout's for an editable install."""
    installed = Path(__file__).parent / "rules"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "rules"


def parse(path: Path) -> dict[str, Any]:
    """Read one TOML file. Raises RuleFileError with path and line."""
    try:
        return loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RuleFileError(f"{path}: {error.strerror or error}") from None
    except ValueError as error:  # not UTF-8, not TOML, or a path with NUL
        raise RuleFileError(f"{path}: not valid TOML: {error}") from None


def loads(text: str) -> dict[str, Any]:
    """Parse TOML that others wrote. Raises tomllib.TOMLDecodeError, nothing else, and takes bounded time and memory.

    tomllib itself lets deep nesting and long numbers through as other errors, and keeps every prefix of a dotted key.
    """
    if len(text) > MAX_TOML:
        raise tomllib.TOMLDecodeError(f"longer than {MAX_TOML} characters")
    if _LONG_KEY.search(text):
        raise tomllib.TOMLDecodeError(f"a key of more than {MAX_KEY} parts")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise tomllib.TOMLDecodeError("nested too deeply") from None
    except ValueError as error:  # a number of more than 4,300 digits
        raise tomllib.TOMLDecodeError(str(error).partition(":")[0]) from None


def compiled(root: Path) -> dict[str, Any]:
    """Parse every file below a rules folder: {"pages": {id: page}, "policies": {name: …}, "providers": …, "data": …}.

    Values are JSON's; dates become ISO strings.
    """
    book: dict[str, Any] = {"format": INDEX_FORMAT, "pages": {}, "policies": {}, "providers": {}, "data": {}}
    for path in sorted(root.glob("*/*.toml")):
        family = path.parent.name
        if family in FOLDERS_OF_DATA:
            book[family][path.stem] = parse(path)
        else:
            book["pages"][f"{family}/{path.stem}"] = parse(path)
    return msgspec.json.decode(msgspec.json.encode(book), type=dict[str, Any])


def digest(root: Path) -> str:
    """A hash over names, sizes and times of all files that the index is made from."""
    seen = hashlib.sha256()
    for path in sorted(root.glob("*/*.toml")):
        stat = path.stat()
        seen.update(f"{path.parent.name}/{path.name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return seen.hexdigest()


def load(root: Path | None = None) -> dict[str, Any]:
    """Everything below a rules folder, as `compiled` gives it; our own is read once. Raises RuleFileError.

    Into another's folder nothing is written.
    """
    if root is None:
        return _own()
    if not root.is_dir():
        raise RuleFileError(f"{root}: no such folder of rules")
    return compiled(root)


def data(name: str) -> Mapping[str, Any]:
    """One dated file of our own `rules/data`, by its name without suffix."""
    return load()["data"][name]  # type: ignore[no-any-return]


def providers() -> Mapping[str, Mapping[str, Any]]:
    """Our own tables of mailbox providers, by the name of their file, as they are written."""
    return load()["providers"]  # type: ignore[no-any-return]


@lru_cache(maxsize=1)
def _own() -> dict[str, Any]:
    root = folder()
    shipped = root / INDEX_IN_WHEEL
    if shipped.is_file():
        return msgspec.json.decode(shipped.read_bytes(), type=dict[str, Any])
    if not root.is_dir():
        raise RuleFileError(f"{root}: no such folder of rules")
    return indexed(root)


def indexed(root: Path) -> dict[str, Any]:
    """What `compiled` gives for a checkout's folder, from the index kept there or, where that is stale, made anew and kept."""
    kept, now = root / INDEX_IN_CHECKOUT, digest(root)
    with suppress(OSError, ValueError):
        index = msgspec.json.decode(kept.read_bytes(), type=dict[str, Any])
        if index.get("digest") == now and index.get("format") == INDEX_FORMAT:
            return index
    index = {**compiled(root), "digest": now}
    with suppress(OSError):  # a read-only checkout is slower, not broken
        temporary = kept.with_suffix(".tmp")
        temporary.write_bytes(msgspec.json.encode(index))
        temporary.replace(kept)
    return index
