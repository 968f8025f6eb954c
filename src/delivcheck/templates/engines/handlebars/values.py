"""What JavaScript makes of a value: whether it is true, how it is printed, what it has inside."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;", "`": "&#x60;", "=": "&#x3D;"})
MAX_FLATTENED = 20  # lists in lists that are printed; JavaScript joins them however deep they are


def escape(text: str) -> str:
    """As `Handlebars.Utils.escapeExpression`."""
    return text.translate(_ESCAPES)


def is_list(value: Any) -> bool:
    """Whether JavaScript would have an array."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def truth(value: Any) -> bool:
    """Whether JavaScript takes it for true: an empty list and an empty object are."""
    if value is None or value is False or value == "":
        return False
    if isinstance(value, int | float):
        return value != 0 and not (isinstance(value, float) and math.isnan(value))
    return True


def empty(value: Any) -> bool:
    """As `Handlebars.Utils.isEmpty`: 0 is not empty, an empty list is."""
    if is_list(value):
        return len(value) == 0
    return not truth(value) and (isinstance(value, bool) or not isinstance(value, int))


def text(value: Any, deep: int = 0) -> str:
    """How JavaScript prints it; nothing for null and undefined, as Handlebars has it."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, Mapping):
        return "[object Object]"
    if is_list(value):
        return ",".join(text(one, deep + 1) for one in value) if deep < MAX_FLATTENED else ""
    return str(value)


def number(value: float) -> str:
    """A number as JavaScript writes the everyday ones: no `.0`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return str(int(value)) if value.is_integer() and abs(value) < 1e21 else repr(value)


def inside(value: Any, name: str) -> Any:
    """A property of a value, None where there is none."""
    if isinstance(value, Mapping):
        if name in value:
            return value[name]
        return value.get(int(name)) if name.isdecimal() and len(name) < 10 else None
    if is_list(value) or isinstance(value, str):
        if name == "length":
            return len(value)
        if name.isdecimal() and len(name) < 10 and int(name) < len(value):
            return value[int(name)]
    return None


def same(one: Any, other: Any) -> bool:
    """Whether two contexts are one, as `!=` of JavaScript tells for objects and for plain values."""
    if isinstance(one, Mapping) or isinstance(other, Mapping) or is_list(one) or is_list(other):
        return one is other
    return type(one) is type(other) and bool(one == other)
