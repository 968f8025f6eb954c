"""What the names of a template stand for, as far as that can be told without data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import nodes

from ...model import EACH
from .compiling import Parsed


@dataclass(frozen=True, slots=True)
class Path:
    """A value of the data; `each` is what its items are, where that is not what the path says."""

    steps: tuple[str, ...]
    each: Any = None
    sure: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    """Several values in one, to be unpacked."""

    items: tuple[Any, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Macro:
    """A macro, or the body of a `call`, with the names and the template around it."""

    node: nodes.Macro | nodes.CallBlock
    scope: "Scope"
    parsed: Parsed


@dataclass(frozen=True, eq=False, slots=True)
class Module:
    """An imported template."""

    names: Mapping[str, Any]


@dataclass(slots=True)
class Scope:
    """Names and what they stand for. `closed`: what is not among them, or further out, is not the data's either."""

    outer: "Scope | None" = None
    closed: bool = False
    names: dict[str, Any] = field(default_factory=dict)

    def find(self, name: str, known: Mapping[str, Any]) -> Any:
        """What a name stands for; `known` are the environment's own."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            if scope.closed:
                return None
            scope = scope.outer
        return None if name in known else Path((name,))


def member(value: Any, name: Any) -> Any:
    """What an attribute or item of a value stands for."""
    if isinstance(value, Module):
        return value.names.get(name)
    if isinstance(value, Pair):
        return value.items[name] if isinstance(name, int) and -len(value.items) <= name < len(value.items) else None
    if not isinstance(value, Path):
        return None
    if isinstance(name, str):
        return Path((*value.steps, *name.split(".")))
    return each(value)


def each(value: Any) -> Any:
    """What the items of a value stand for."""
    if isinstance(value, Path):
        return value.each if value.each is not None else Path((*value.steps, EACH))
    return value.items[0] if isinstance(value, Pair) and value.items else None


def bind(scope: Scope, target: nodes.Node, value: Any) -> None:
    """Let the names of an assignment stand for a value."""
    if isinstance(target, nodes.Name):
        scope.names[target.name] = value
    elif isinstance(target, nodes.Tuple):
        for number, one in enumerate(target.items):
            bind(scope, one, member(value, number))
