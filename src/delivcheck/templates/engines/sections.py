"""What the readers of several languages share: tests around a value, and what a section `{{#name}}…{{/name}}` is for."""

import re
from enum import Enum, auto


class Kind(Enum):
    """What the value of a section most likely is."""

    FLAG = auto()
    LIST = auto()
    OBJECT = auto()


_FLAG = re.compile(r"(?:is|has|have|show|can|should|use|uses|with|no|not|enable|enabled|allow|include|hide)(?:[_-]|(?=[A-Z]))")
_PLURAL = re.compile(r"(?:[^siu]s|es|List|list|rows|[_-]all)\Z")


MAX_LOOKED_AT = 20  # names of a path that may be tested by themselves


def tested(path: tuple[str, ...], tests: frozenset[tuple[str, ...]]) -> bool:
    """Whether a path, or what it leads through, is among those that are tested."""
    return bool(tests) and any(path[:end] in tests for end in range(1, min(len(path), MAX_LOOKED_AT) + 1))


def kind(name: str, *, reads_inside: bool) -> Kind:
    """By its name, and by whether anything is read inside of the section: a guess, but only made-up data depends on it."""
    if _FLAG.match(name) or not reads_inside:
        return Kind.FLAG
    return Kind.LIST if _PLURAL.search(name) else Kind.OBJECT
