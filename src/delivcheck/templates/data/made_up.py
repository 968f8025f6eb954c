"""Makes up a data set for a template: a value for everything that it reads, of the kind that it reads it as.

The data is plain, so that every engine takes it and it can be changed value by value; `as_objects` then makes of it what the
templates of Python programs expect.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ..model import EACH, Use, Variable
from .files import DataSet
from .shape import Kind, Shape
from .standin import StandIn
from .values import is_count, is_predicate, singular, text_for, value_for

NAME = "made-up data"
ITEMS = 2  # of a list: what stands between items shows
MAX_LISTS = 4  # lists in each other that have ITEMS; further ones have one item, or a template could ask for millions


class Printed(dict[str, Any]):
    """A mapping that prints as a text, for what a template both prints and reaches into."""

    def __init__(self, values: Mapping[str, Any], text: str) -> None:
        """Take the values and the text."""
        super().__init__(values)
        self.text = text

    def __str__(self) -> str:
        return self.text


class Record(dict[str, Any]):
    """A mapping whose names go before the methods of mappings, as an object's do: `order.items` is what the data says."""

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and name in self:
            return self[name]
        return super().__getattribute__(name)


def as_records(data: Mapping[str, Any]) -> dict[str, Any]:
    """Data as people gave it for Jinja2, which asks for attributes first: with Records for its mappings."""
    return {name: _recorded(value) for name, value in data.items()}


def _recorded(value: Any) -> Any:
    if isinstance(value, list):
        return [_recorded(one) for one in value]
    return Record({name: _recorded(one) for name, one in value.items()}) if isinstance(value, Mapping) else value


# --- making up ---------------------------------------------------------------------------------------------------


def made_up(variables: Iterable[Variable]) -> DataSet:
    """A data set with everything that the variables read."""
    root = Shape.of(variables)
    return DataSet(
        NAME, {name: _value(child, (name,), 0, 0) for name, child in root.children.items() if name != EACH}, None, True
    )


def _value(shape: Shape, path: tuple[str, ...], number: int, lists: int) -> Any:
    """One value; `path` are the names on the way to it, `number` the item of the innermost list that it is in."""
    kind = shape.kind
    if kind is Kind.LIST:
        each = shape.each or Shape({Use.TEXT})
        one = (*path[:-1], singular(path[-1])) if path else path
        return [_value(each, one, at, lists + 1) for at in range(ITEMS if lists < MAX_LISTS else 1)]
    if kind is Kind.RECORD:
        values = {name: _value(shape.children[name], (*path, name), number, lists) for name in shape.names}
        if not values:
            values = {text_for(("item",), at): text_for(path, at) for at in range(ITEMS)}
        return Printed(values, text_for(path, number)) if Use.TEXT in shape.uses else values
    literal = next((one for one in shape.literals if isinstance(one, str | int | float) and one != ""), None)
    if literal is not None:
        # Of "count > 1" as of "count == 1": more is said of what there are several of.
        return literal + 1 if is_count(path) and isinstance(literal, int) and not isinstance(literal, bool) else literal
    if kind is Kind.TRUTH or is_predicate(path):
        return True
    return value_for(path, number)


# --- what Python programs hand over ------------------------------------------------------------------------------


def as_objects(variables: Iterable[Variable], data: Mapping[str, Any]) -> dict[str, Any]:
    """Made-up data, also after values were taken out of it, as the templates of Jinja2 and Django expect it.

    What is called can be called, and what variables() could not see (it went through a macro or a filter) is there. What the
    variables name but the data has not stays missing.
    """
    root = Shape.of(variables)
    return {name: _object(root.children.get(name), value, (name,)) for name, value in data.items()}


def _object(shape: Shape | None, value: Any, path: tuple[str, ...]) -> Any:
    called = shape is not None and shape.is_called
    if isinstance(value, list):
        each = shape.each if shape else None
        one = (*path[:-1], singular(path[-1]))
        items = [_object(each, inner, one) for inner in value]
        if called or (shape is not None and not shape.children.keys() <= {EACH}):
            return StandIn(text_for(path), path, items=items, value=items)
        return items
    if isinstance(value, Mapping):
        children = {
            name: _object(shape.children.get(name) if shape else None, inner, (*path, name)) for name, inner in value.items()
        }
        known = frozenset(shape.names) if shape else frozenset()
        text = value.text if isinstance(value, Printed) else text_for(path)
        names = [StandIn(name, (*path, name)) for name in children]  # what walking over a mapping gives
        return StandIn(text, path, children=children, known=known, items=names)
    if isinstance(value, str):
        return StandIn(value, path)
    if shape is not None and shape.children:  # its methods are called: `days().count()` of a number
        return StandIn(str(value), path)
    return StandIn(text_for(path), path, value=value) if called else value
