"""`Host.options` of Jinja2: the settings of an Environment that a program may have made, by the names that they have there."""

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import ChainableUndefined, DebugUndefined, StrictUndefined, Undefined
from jinja2.ext import ExprStmtExtension, Extension, LoopControlExtension

from .trans import Translations

_DELIMITERS = tuple(f"{what}_{end}_string" for what in ("block", "variable", "comment") for end in ("start", "end"))
_PREFIXES = ("line_statement_prefix", "line_comment_prefix")
_SWITCHES = ("trim_blocks", "lstrip_blocks", "keep_trailing_newline")
_NEWLINES = ("\n", "\r\n", "\r")
_UNDEFINED: Mapping[str, type[Undefined]] = {
    "default": Undefined,
    "chainable": ChainableUndefined,
    "debug": DebugUndefined,
    "strict": StrictUndefined,
}
_EXTENSIONS: Mapping[str, type[Extension]] = {
    "i18n": Translations,
    "do": ExprStmtExtension,
    "loopcontrols": LoopControlExtension,
}
NAMES = (*_DELIMITERS, *_PREFIXES, *_SWITCHES, "newline_sequence", "undefined", "extensions", "i18n_trimmed", "macro")


def settings(options: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of an Environment. Raises ValueError, one line, for what is none of them or cannot be.

    `macro` and `i18n_trimmed` are none of them, and left to the caller: the name of a macro that the program calls for the
    text, as Indico does with `get_body`, and whether `trans` trims. All extensions that Jinja2 brings for templates are on
    unless `extensions` names some: each adds tags, and changes nothing else.
    """
    unknown = sorted(set(options) - set(NAMES))
    if unknown:
        raise ValueError(f"jinja2 has no option {unknown[0]!r}: there are {', '.join(NAMES)}")
    made: dict[str, Any] = {"undefined": Undefined, "extensions": list(_EXTENSIONS.values())}
    for name, value in options.items():
        if name == "i18n_trimmed":
            _checked(name, value, lambda one: isinstance(one, bool), "true or false")
        elif name == "macro":
            _checked(name, value, lambda one: isinstance(one, str) and one.isidentifier(), "the name of a macro")
        else:
            made[name] = _value(name, value)
    marks = [made.get(name, default) for name, default in zip(_DELIMITERS[::2], ("{%", "{{", "{#"), strict=True)]
    if len(set(marks)) < len(marks):
        raise ValueError("jinja2: block, variable and comment need three different start strings")
    return made


def _value(name: str, value: Any) -> Any:
    if name in _SWITCHES:
        return _checked(name, value, lambda one: isinstance(one, bool), "true or false")
    if name in _DELIMITERS:
        return _checked(name, value, lambda one: isinstance(one, str) and one.strip() != "", "a delimiter")
    if name in _PREFIXES:
        return _checked(name, value, lambda one: one is None or (isinstance(one, str) and one.strip() != ""), "a prefix")
    if name == "newline_sequence":
        return _checked(name, value, lambda one: one in _NEWLINES, "a line end")
    if name == "undefined":
        return _UNDEFINED[_checked(name, value, lambda one: one in tuple(_UNDEFINED), f"one of {', '.join(_UNDEFINED)}")]
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"jinja2: {name} must be a list, not {value!r}")  # noqa: TRY004 -- configuration, one kind of error
    names = [str(one).removeprefix("jinja2.ext.") for one in value]
    for one in names:
        if one not in _EXTENSIONS:
            raise ValueError(f"jinja2: no extension {one!r}, only {', '.join(_EXTENSIONS)}; name tags of others in `tags`")
    return [_EXTENSIONS[one] for one in names]


def _checked(name: str, value: Any, fits: Callable[[Any], bool], wanted: str) -> Any:
    if not fits(value):
        raise ValueError(f"jinja2: {name} must be {wanted}, not {value!r}")
    return value
