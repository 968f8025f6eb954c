"""What paths lead to, links followed: looked up once in a run, for each file is asked for ten times."""

import os
from functools import lru_cache
from pathlib import Path

MAX_KNOWN = 10_000  # files, and folders, that are remembered; a large monorepo has some 5,000 templates


def followed(path: Path) -> Path:
    """As Path.resolve(), once a run. Raises ValueError for a NUL in it."""
    text = os.fspath(path)
    return _followed(text, "" if os.path.isabs(text) else os.getcwd())


@lru_cache(MAX_KNOWN)
def _followed(text: str, here: str) -> Path:  # noqa: ARG001 -- a path from another place is another path
    if ".." in text or "\0" in text:  # after a link to a folder, ".." is what is above that folder
        return Path(os.path.realpath(text))
    # Strings: a Path costs more than the look at the disk.
    folder, name = os.path.split(os.path.abspath(text))
    whole = os.path.join(_real_folder(folder), name)
    return Path(os.path.realpath(whole) if os.path.islink(whole) else whole)


@lru_cache(MAX_KNOWN)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


def forget() -> None:
    """Look every folder up again: a new run begins, or files have changed."""
    _followed.cache_clear()
    _real_folder.cache_clear()
