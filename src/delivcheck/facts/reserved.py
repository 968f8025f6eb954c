"""Names that public DNS never has, from `rules/data/reserved-names.toml`."""

from functools import lru_cache

from ..memo import LONGEST_HOST, remembered
from ..records.names import is_within
from ..rulefiles import data


@lru_cache(maxsize=1)
def _unreachable() -> tuple[str, ...]:
    return tuple(data("reserved-names")["unreachable"]["names"])


@remembered(4096, LONGEST_HOST)
def reserved_top(name: str) -> str | None:
    """The reserved name that a lower-case name is, or lies under; None for a name that public DNS may have."""
    return next((top for top in _unreachable() if is_within(name, top)), None)
