"""Patterns of sending rules: `*` stands for anything, everything else for itself; letters' case is nothing.

No `?` and no `[…]`: an address literal has brackets, and whoever writes one means them. Matching is linear in the text.
"""

import unicodedata
from collections.abc import Callable, Sequence

from ...records.names import BadName, to_ascii
from ...trace.model import normal

ALL = "*"

Match = Callable[[str], bool]


def folded(text: str) -> str:
    """A text as it is compared: NFC, without case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def glob(pattern: str) -> Match:
    """What tells whether a text, which is folded already, is as the (folded) pattern says."""
    if ALL not in pattern:
        return pattern.__eq__
    first, *middle, last = pattern.split(ALL)

    def match(text: str) -> bool:
        if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
            return False
        at, end = len(first), len(text) - len(last)
        for piece in middle:  # the first place is the best one: it leaves most room for the rest
            found = text.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return True

    return match


def address(pattern: str) -> str:
    """A pattern of addresses in the form of `trace.model.normal`: labels of its domain as A-labels, those with a star aside."""
    if ALL not in pattern:
        return normal(pattern)
    local, at, domain = unicodedata.normalize("NFC", pattern.strip()).rpartition("@")
    if not at:
        return folded(pattern.strip())
    return f"{folded(local)}@{'.'.join(map(_label, domain.split('.')))}"


def _label(label: str) -> str:
    try:
        return label.lower() if ALL in label else to_ascii(label)
    except BadName:
        return folded(label)


def domain(pattern: str) -> Match:
    """A domain in the form that the configuration has: a name, `*.name` for all below it and not itself, `*` for all."""
    if pattern == ALL:
        return lambda _: True
    if pattern.startswith("*."):
        return lambda name: name.endswith(pattern[1:])
    return pattern.__eq__


def any_of(matches: Sequence[Match]) -> Match:
    """One is enough."""
    return matches[0] if len(matches) == 1 else lambda text: any(match(text) for match in matches)
