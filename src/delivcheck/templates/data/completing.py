"""Makes up what people's data lacks, so that one missing name does not hide all other findings; the name itself is told.

Values of data files are whole where they are: what some set has, a default sees to, or a condition asks for stays missing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..model import Use, Variable
from .undeclared import is_missing


def lacking(variables: Iterable[Variable], data: Sequence[Mapping[str, Any]]) -> tuple[Variable, ...]:
    """What the template cannot do without and no data set has: functions of the program, and values that were forgotten."""
    every = tuple(variables)
    asked_for = {one.path for one in every if one.use is Use.TRUTH}  # `{% if coupon %}` is what sees to `coupon.code`
    return tuple(
        one
        for one in every
        if not one.sure
        and one.path
        and not any(one.path[:end] in asked_for for end in range(1, len(one.path) + 1))
        and all(is_missing(one.path, each) for each in data)
    )


def completed(base: Any, more: Any, objects: Any = None) -> Any:
    """The values of `base`, and what only `more` has, or `objects` in its place (the same names); nothing given is changed."""
    chosen = more if objects is None else objects
    if isinstance(base, Mapping) and isinstance(more, Mapping):
        made = {
            name: completed(base[name], value, chosen[name]) if name in base else chosen[name] for name, value in more.items()
        }
        return type(base)({**base, **made}) if isinstance(base, dict) else {**base, **made}
    if isinstance(base, list) and isinstance(more, list) and more:
        return [completed(one, more[0], chosen[0]) for one in base]
    return base
