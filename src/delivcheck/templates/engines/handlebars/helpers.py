"""Helpers: those of Handlebars, of SendGrid and of handlebars-layouts, and stand-ins for an application's.

A helper takes an `Invocation` and gives back a value that is printed, or writes the bodies of its block itself.
"""

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ...model import Host, TemplateFault
from . import values


class Body(Protocol):
    """The inside of a block: written with a context, and with what `@name` and `as |name|` stand for there."""

    def __call__(self, context: Any, *, data: Mapping[str, Any] | None = None, params: tuple[Any, ...] = ()) -> None:
        """Write it."""
        ...


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call. `main` and `inverse` are None where the helper is called without a block, and write nothing where empty.

    `layouts` and `write_partial` are for helpers that put templates together; `fault` makes an error at the call's place.
    """

    name: str
    this: Any
    args: tuple[Any, ...]
    named: Mapping[str, Any]
    main: Body | None
    inverse: Body | None
    layouts: list[dict[str, list[tuple[str, Body]]]]
    write_partial: Callable[[str, Any], None]
    write_nothing: Callable[[Body, Any], None]
    fault: Callable[[str], TemplateFault]

    def argument(self, number: int = 0) -> Any:
        """An argument, None where it is missing."""
        return self.args[number] if number < len(self.args) else None

    def choose(self, *, main: bool) -> Any:
        """The main body or the inverse; without a block, the truth itself."""
        if self.main is None or self.inverse is None:
            return main
        (self.main if main else self.inverse)(self.this)
        return None


Helper = Callable[[Invocation], Any]


# --- of Handlebars itself (lib/handlebars/helpers) --------------------------------------------------------------------


def _if(call: Invocation) -> Any:
    if len(call.args) != 1:
        raise call.fault(f"#{call.name} takes one argument, and here are {len(call.args)}")
    return call.choose(main=_held(call))


def _unless(call: Invocation) -> Any:
    if len(call.args) != 1:
        raise call.fault(f"#{call.name} takes one argument, and here are {len(call.args)}")
    return call.choose(main=not _held(call))


def _held(call: Invocation) -> bool:
    value = call.args[0]
    return not values.empty(value) and (values.truth(value) or values.truth(call.named.get("includeZero")))


def _with(call: Invocation) -> Any:
    if len(call.args) != 1:
        raise call.fault(f"#with takes one argument, and here are {len(call.args)}")
    if call.main is None or call.inverse is None:
        return None
    value = call.args[0]
    if values.empty(value):
        call.inverse(call.this)
    else:
        call.main(value, params=(value,))
    return None


def _each(call: Invocation) -> Any:
    if not call.args:
        raise call.fault("#each without what it walks over")
    each(call, call.args[0])


def each(call: Invocation, value: Any) -> None:
    """Write the block for every item of a list, or every value of an object; the inverse where there is none."""
    if call.main is None or call.inverse is None:
        return
    if isinstance(value, Mapping):
        items: list[tuple[Any, Any]] = [(str(key), one) for key, one in value.items()]
    elif values.is_list(value):
        items = list(enumerate(value))
    else:
        items = []
    last = len(items) - 1
    for number, (key, one) in enumerate(items):
        data = {"key": key, "index": number, "first": number == 0, "last": number == last}
        call.main(one, data=data, params=(one, key))
    if not items:
        call.inverse(call.this)


def _lookup(call: Invocation) -> Any:
    return values.inside(call.argument(0), values.text(call.argument(1)))


def _log(_: Invocation) -> None:
    return None


def _raw(call: Invocation) -> None:
    """`{{{{raw}}}}`, which Handlebars' guide has everyone define so."""
    if call.main is not None:
        call.main(call.this)


# --- of SendGrid's dynamic templates (docs "Using Handlebars", 2024-05) -----------------------------------------------


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _equals(call: Invocation) -> Any:
    return call.choose(main=values.text(call.argument(0)) == values.text(call.argument(1)))


def _not_equals(call: Invocation) -> Any:
    return call.choose(main=values.text(call.argument(0)) != values.text(call.argument(1)))


def _greater(call: Invocation) -> Any:
    return call.choose(main=_number(call.argument(0)) > _number(call.argument(1)))


def _less(call: Invocation) -> Any:
    return call.choose(main=_number(call.argument(0)) < _number(call.argument(1)))


def _greater_or_equal(call: Invocation) -> Any:
    return call.choose(main=_number(call.argument(0)) >= _number(call.argument(1)))


def _less_or_equal(call: Invocation) -> Any:
    return call.choose(main=_number(call.argument(0)) <= _number(call.argument(1)))


def _and(call: Invocation) -> Any:
    return call.choose(main=all(not values.empty(one) and values.truth(one) for one in call.args))


def _or(call: Invocation) -> Any:
    return call.choose(main=any(not values.empty(one) and values.truth(one) for one in call.args))


def _not(call: Invocation) -> Any:
    return call.choose(main=not any(not values.empty(one) and values.truth(one) for one in call.args))


def _insert(call: Invocation) -> Any:
    """`{{insert name "default=Customer"}}`"""
    value = call.argument(0)
    default = values.text(call.argument(1))
    return default.removeprefix("default=") if value is None or value == "" else value


def _length(call: Invocation) -> Any:
    value = call.argument(0)
    return len(value) if isinstance(value, str | Mapping) or values.is_list(value) else 0


def _given_back(call: Invocation) -> Any:
    return call.argument(0)


# --- of handlebars-layouts (its README, 3.1.4) ------------------------------------------------------------------------


def _extend(call: Invocation) -> None:
    """`{{#extend "layout"}}{{#content "body"}}…{{/content}}{{/extend}}`; `embed` alike."""
    call.layouts.append({})
    try:
        if call.main is not None:
            call.write_nothing(call.main, call.this)
        context = call.this
        if call.named or call.argument(1) is not None:
            extra = call.argument(1)
            context = {
                **(context if isinstance(context, Mapping) else {}),
                **(extra if isinstance(extra, Mapping) else {}),
                **call.named,
            }
        call.write_partial(values.text(call.argument(0)), context)
    finally:
        call.layouts.pop()


def _content(call: Invocation) -> Any:
    name = values.text(call.argument(0))
    if call.main is None:
        return any(name in contents for contents in call.layouts)
    if call.layouts:
        call.layouts[-1].setdefault(name, []).append((values.text(call.named.get("mode")) or "replace", call.main))
    return None


def _block(call: Invocation) -> None:
    name = values.text(call.argument(0))
    bodies = [call.main] if call.main is not None else []
    for contents in reversed(call.layouts):
        for mode, body in contents.get(name, ()):
            bodies = [body] if mode == "replace" else [*bodies, body] if mode == "append" else [body, *bodies]
    for body in bodies:
        body(call.this)


KNOWN: Mapping[str, Helper] = {
    "if": _if, "unless": _unless, "with": _with, "each": _each, "lookup": _lookup, "log": _log, "raw": _raw,
    "equals": _equals, "notEquals": _not_equals, "greaterThan": _greater, "lessThan": _less, "and": _and, "or": _or,
    "insert": _insert, "length": _length, "formatDate": _given_back,
    "eq": _equals, "ne": _not_equals, "gt": _greater, "lt": _less, "gte": _greater_or_equal, "lte": _less_or_equal, "not": _not,
    "extend": _extend, "embed": _extend, "content": _content, "block": _block,
}  # fmt: skip
ALONE = frozenset({"if", "unless", "with", "each", "lookup", "log", "raw"})
# a call even without arguments; of the others `{{content}}` is a variable


def helper_of(host: Host, name: str, *, alone: bool) -> Helper | None:
    """The helper of a name, None where there is none; `alone`: it stands there without arguments."""
    found = _stand_in(host, name)
    return found or (KNOWN.get(name) if not alone or name in ALONE else None)


def _stand_in(host: Host, name: str) -> Helper | None:
    for patterns, helper in ((host.tests, _true), (host.filters, _first), (host.tags, _log)):
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            return helper
    return None


def _true(call: Invocation) -> Any:
    return call.choose(main=True)


def _first(call: Invocation) -> Any:
    """Its first argument; around a block, what stands in it."""
    if call.main is not None:
        call.main(call.this)
        return None
    return call.argument(0)
