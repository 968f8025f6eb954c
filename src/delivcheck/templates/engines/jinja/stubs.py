"""Filters, tests and tags that only the program knows, by patterns of their names."""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from jinja2 import nodes
from jinja2.parser import Parser


def unchanged(value: Any = "", *_: Any, **__: Any) -> Any:
    """Stand for a filter: give the input back."""
    return value


def true(*_: Any, **__: Any) -> bool:
    """Stand for a test."""
    return True


class Stubbed(dict[str, Any]):
    """A table that has a stub for every name that fits a pattern."""

    def __init__(self, known: Mapping[str, Any], patterns: tuple[str, ...], stub: Any) -> None:
        super().__init__(known)
        self._patterns = patterns
        self._stub = stub

    def __missing__(self, name: str) -> Any:
        if not any(fnmatchcase(name, pattern) for pattern in self._patterns):
            raise KeyError(name)
        return self._stub

    def get(self, name: str, default: Any = None) -> Any:
        """As a dict, with the stubs."""
        try:
            return self[name]
        except KeyError:
            return default

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.get(name) is not None


class Tags:
    """The host's tags: nothing themselves; what stands between one and its `end…` is kept."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._patterns = patterns

    def of(self, known: Mapping[str, Callable[[Parser], Any]]) -> dict[str, Callable[[Parser], Any]]:
        """A parser's table of tags with stubs for the others."""
        return Stubbed(known, self._patterns, _read) if self._patterns else dict(known)


def _read(parser: Parser) -> list[nodes.Node]:
    """Read a tag whose language is not known, and its body if the source ever ends it."""
    name = next(parser.stream).value
    while parser.stream.current.type not in {"block_end", "eof"}:
        next(parser.stream)
    if f"end{name}" not in parser.environment.placing.text:  # type: ignore[attr-defined]  # our own environment
        return []
    return parser.parse_statements((f"name:end{name}",), drop_needle=True)
