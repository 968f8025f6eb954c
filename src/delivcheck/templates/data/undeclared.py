"""Finds the variables that a template reads and no data set has."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from ...facts.roots import Undeclared
from ...model import Where
from ...rulefiles import data as book
from ..model import EACH, Use, Variable

MAX_PLACES = 20  # of one variable that are told
MAX_NEAR = 200  # names among which the most similar is looked for
MAX_ITEMS = 50  # of a list that are looked into; its items are alike, or some have what others lack


@dataclass(slots=True)
class _Lacking:
    """What is told of one name."""

    places: list[Where] = field(default_factory=list)
    near: str | None = None
    sure: bool = True


def undeclared(variables: Iterable[Variable], data: Sequence[Mapping[str, Any]]) -> tuple[Undeclared, ...]:
    """What no data set has, in the order in which it is read; of `user.name` and `user.email` only `user`, if there is none.

    Functions and objects of the program that are called are passed over, since data from files has none (but of
    `order.shop.upper()` there is `order.shop`); so is what lies below a text, and below lists that are empty in every data set.
    """
    variables = tuple(variables)
    asked_for = {one.path for one in variables if one.use is Use.TRUTH}  # `{% if coupon %}` sees to `coupon.code`, too
    lacking: dict[str, _Lacking] = {}
    always = frozenset(book("templates")["names"]["always"])
    known: dict[tuple[str, ...], list[_Has | tuple[int, list[str]]]] = {}  # most variables are read in several places
    for variable in variables:
        if not variable.path or variable.path[0] in always:
            continue
        if (found := known.get(variable.path)) is None:
            found = known[variable.path] = [_looked_up(variable.path, one) for one in data]
        lacks = [one for one in found if not isinstance(one, _Has)]
        if _Has.IT in found or not lacks:
            continue
        at, names = max(lacks, key=lambda one: one[0])
        if variable.use is Use.CALL and at in {0, len(variable.path) - 1}:
            continue
        path = variable.path[: at + 1]
        name = Variable(path, variable.use, variable.at).name
        told = lacking.setdefault(name, _Lacking())
        if told.near is None:
            told.near = _near(path, names)
        told.places.append(variable.at)
        ways = (variable.path[:end] for end in range(1, len(variable.path) + 1))
        told.sure = told.sure and (variable.sure or any(way in asked_for for way in ways))
    return tuple(Undeclared(name, tuple(one.places[:MAX_PLACES]), one.near, one.sure) for name, one in lacking.items())


def is_missing(path: tuple[str, ...], data: Mapping[str, Any]) -> bool:
    """Whether data does not have a path, as far as it can be said."""
    return not isinstance(_looked_up(path, data), _Has)


def _near(path: tuple[str, ...], names: Sequence[str]) -> str | None:
    near = difflib.get_close_matches(path[-1], names[:MAX_NEAR], 1)
    if not near:
        lowered = {_bare(name): name for name in names[:MAX_NEAR]}
        near = [lowered[_bare(path[-1])]] if _bare(path[-1]) in lowered else []
    return ".".join((*path[:-1], near[0])).replace(f".{EACH}", EACH) if near else None


def _bare(name: str) -> str:
    """A name without what people spell it differently with: firstName, first_name, first-name."""
    return name.replace("_", "").replace("-", "").lower()


class _Has(Enum):
    """What a data set has at a path, if it does not lack it."""

    IT = auto()
    NOTHING_TO_SAY = auto()  # an empty list on the way


def _looked_up(path: tuple[str, ...], data: Mapping[str, Any]) -> _Has | tuple[int, list[str]]:
    """Whether a data set has a path; if not, the step that it lacks, with the names that stand there in its place."""
    values: list[Any] = [data]
    for number, step in enumerate(path):
        if step == EACH:
            values = [inner for value in values for inner in _items(value)]
            if not values:
                return _Has.NOTHING_TO_SAY
            continue
        if any(not isinstance(value, Mapping) for value in values):
            return _Has.IT  # an attribute of a text, a date or a list is the language's own
        having = [value[step] for value in values if step in value]
        if not having:
            return _Has.IT if step in vars(dict) else (number, sorted({name for value in values for name in value}))
        values = having
    return _Has.IT


def _items(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [*value][:MAX_ITEMS]
    return value[:MAX_ITEMS] if isinstance(value, list) else []
