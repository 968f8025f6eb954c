"""Jinja2's filters, with limits, and with places for what they make of captured text."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from jinja2.filters import FILTERS, do_indent, do_join, do_replace, make_attrgetter
from jinja2.utils import pass_environment, pass_eval_context
from markupsafe import Markup, soft_str

from ..tracing import MAX_OUTPUT
from .limits import LimitReached, Meter, before_percent, width
from .text import PlacedMarkup, PlacedText, carried, escaped, joined, marked_safe, separated


def filters(meter: Meter) -> dict[str, Any]:
    """All filters, each of which counts on a meter."""
    return {name: _metered(name, function, meter) for name, function in {**FILTERS, **_OWN}.items()}


def _metered(name: str, function: Callable[..., Any], meter: Meter) -> Callable[..., Any]:
    number = 1 if hasattr(function, "jinja_pass_arg") else 0  # of the argument that is filtered
    has_width = name in _WIDTHS

    @functools.wraps(function)  # with the marks that say what is passed to it
    def run(*args: Any, **kwargs: Any) -> Any:
        meter.spend()
        value = args[number] if len(args) > number else None
        meter.weigh(value)
        if has_width:
            width(*args[number + 1 :], *kwargs.values())
        made = function(*args, **kwargs)
        if isinstance(made, str):
            meter.spend_on(made)
            if isinstance(value, PlacedText) and value.pieces and not (isinstance(made, PlacedText) and made.pieces):
                return carried(value, made)
        return made

    return run


def _escape(value: Any) -> Markup:
    return escaped(value) if isinstance(value, PlacedText) else FILTERS["e"](value)


def _force_escape(value: Any) -> Markup:
    if isinstance(value, PlacedMarkup):
        value = PlacedText.of(str(value), value.pieces)
    return escaped(value) if isinstance(value, PlacedText) else FILTERS["forceescape"](value)


def _string(value: Any) -> str:
    return soft_str(value)


def _indent(value: Any, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    by = len(width) if isinstance(width, str) else width
    if isinstance(value, str) and by > 0 and by * (value.count("\n") + 2) > MAX_OUTPUT:
        raise LimitReached("indents by too much")
    if not isinstance(value, PlacedText):
        return do_indent(value, width, first, blank)
    kind = type(value)
    room = kind(width if isinstance(width, str) else " " * width)
    lines = (value + kind("\n")).splitlines()
    indented = [line if number == 0 or not (blank or line) else room + line for number, line in enumerate(lines)]
    return joined(kind, [*([room] if first else []), *separated("\n", indented)])


@pass_eval_context
def _join(eval_ctx: Any, value: Any, d: Any = "", attribute: Any = None) -> str:
    if attribute is not None:
        value = map(make_attrgetter(eval_ctx.environment, attribute), value)
    items = list(value)
    if not any(isinstance(one, PlacedText) for one in (*items, d)):
        _small(d, items)
        made: str = do_join(eval_ctx, items, d)
        return made
    if not eval_ctx.autoescape:
        return joined(PlacedText, separated(_plain(d), map(_plain, items)))
    if not hasattr(d, "__html__") and not any(hasattr(one, "__html__") for one in items):
        return joined(PlacedText, separated(soft_str(d), map(soft_str, items)))
    return joined(PlacedMarkup, separated(escaped(d), map(escaped, items)))


def _small(separator: Any, items: list[Any]) -> None:
    length = sum(len(one) for one in items if isinstance(one, str)) + len(soft_str(separator)) * len(items)
    if length > MAX_OUTPUT:
        raise LimitReached(f"joins more than {MAX_OUTPUT:,} characters")


def _plain(value: Any) -> str:
    """As str(value)."""
    return PlacedText.of(str(value), value.pieces) if isinstance(value, PlacedText) else str(value)


@pass_eval_context
def _replace(eval_ctx: Any, s: Any, old: str, new: str, count: int | None = None) -> str:
    text = soft_str(s)
    if len(text) + text.count(str(old)) * len(str(new)) > MAX_OUTPUT:
        raise LimitReached(f"replaces into more than {MAX_OUTPUT:,} characters")
    if not isinstance(s, PlacedText):
        return do_replace(eval_ctx, s, old, new, count)
    number = -1 if count is None else count
    if not eval_ctx.autoescape:
        plain = PlacedText.of(str(s), s.pieces)
        return plain.replace(str(old), str(new), number)
    if hasattr(old, "__html__") or (hasattr(new, "__html__") and not isinstance(s, Markup)):
        return escaped(s).replace(soft_str(old), soft_str(new), number)
    return s.replace(soft_str(old), soft_str(new), number)


def _format(value: Any, *args: Any, **kwargs: Any) -> str:
    before_percent(soft_str(value), args)
    return FILTERS["format"](value, *args, **kwargs)  # type: ignore[no-any-return]


@pass_environment
def _first(environment: Any, seq: Any) -> Any:
    """Stand for `random`, too: what is checked must be the same each time."""
    try:
        return next(iter(seq))
    except StopIteration:
        return environment.undefined("No first item, sequence was empty.")


_WIDTHS = frozenset({"center", "batch", "slice", "tojson", "wordwrap"})
_OWN: Mapping[str, Callable[..., Any]] = {
    "safe": marked_safe,
    "e": _escape,
    "escape": _escape,
    "forceescape": _force_escape,
    "string": _string,
    "indent": _indent,
    "join": _join,
    "replace": _replace,
    "format": _format,
    "random": _first,
}
