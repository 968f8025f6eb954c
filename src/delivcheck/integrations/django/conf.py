"""What the project's settings say: `DELIVCHECK`, and the OPTIONS of a mailer. Raises ImproperlyConfigured, in one line.

`DELIVCHECK` holds for the whole project; the OPTIONS of a mailer (Django 6.1), and what `get_connection` is given, go before
it. What none of them says, the `[hooks]` table of the configuration does.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from ...net.dns import NoNameservers
from ...policy import PolicyError
from ...rulefiles import RuleFileError
from ...tables import ConfigError, nearest
from ..guard import Checks, Guard, default
from ..settings import Mode, OnUnknown

SETTING = "DELIVCHECK"
OURS = "delivcheck.integrations.django."
SMTP = "django.core.mail.backends.smtp.EmailBackend"  # Django's own default

CANNOT_BE = (ConfigError, PolicyError, RuleFileError, NoNameservers, ValueError)  # what a guard says of what it is given


@dataclass(frozen=True, slots=True)
class Chosen:
    """What holds for one backend. `hooks` are a guard's arguments; `options` the wrapped backend's.

    `trace` is the URL of the store that anymail's events go to, None for that of [gate.trace] in the configuration.
    """

    backend: str
    options: Mapping[str, Any]
    hooks: Mapping[str, Any]
    trace: str | None = None


def project() -> Chosen:
    """What `DELIVCHECK` says. Raises ImproperlyConfigured."""
    said = getattr(settings, SETTING, {})
    if not isinstance(said, Mapping):
        raise ImproperlyConfigured(f"{SETTING}: a dictionary is wanted, not {type(said).__name__}")
    rest = dict(said)
    backend = _backend(SETTING, "BACKEND", rest.pop("BACKEND", SMTP))
    options = _mapping(SETTING, "OPTIONS", rest.pop("OPTIONS", {}))
    trace = rest.pop("TRACE", None)
    if trace is not None and not isinstance(trace, str):
        raise ImproperlyConfigured(f"{SETTING}: TRACE: the URL of a store is wanted, not {type(trace).__name__}")
    return Chosen(backend, options, _hooks(SETTING, rest, ("BACKEND", "OPTIONS", "TRACE")), trace)


def connection(given: Mapping[str, Any]) -> Chosen:
    """What holds for a backend that is made without `MAILERS`: ours is taken out of what `get_connection` was given."""
    whole = project()
    own = {name: value for name, value in given.items() if name in _HOOKS}
    rest = {name: value for name, value in given.items() if name not in own}
    return Chosen(whole.backend, {**whole.options, **rest}, {**whole.hooks, **_hooks("get_connection()", own)})


def mailer(alias: str, given: Mapping[str, Any]) -> Chosen:
    """What holds for a mailer of Django 6.1. Raises ImproperlyConfigured (InvalidMailer is one)."""
    at, rest = f"MAILERS[{alias!r}]: OPTIONS", dict(given)
    passed = set(
        rest.get("_ignore_unknown_kwargs") or ()
    )  # what Django's deprecated arguments come by: fail_silently, username
    django = {name: rest.pop(name) for name in ("_ignore_unknown_kwargs", *sorted(passed)) if name in rest}
    if "backend" not in rest:
        raise ImproperlyConfigured(f"{at}: backend: the backend that sends is wanted, such as {SMTP!r}")
    backend = _backend(at, "backend", rest.pop("backend"))
    options = _mapping(at, "backend_options", rest.pop("backend_options", {}))
    hooks = _hooks(at, rest, ("backend", "backend_options", "fail_silently"))
    return Chosen(backend, {**options, **django}, {**project().hooks, **hooks})


# --- guards --------------------------------------------------------------------------------------------------------

_guards: dict[Any, Guard] = {}  # a backend is made for every mail, and its guard once a process


def guard(hooks: Mapping[str, Any], at: str = SETTING) -> Checks:
    """The guard of these settings; without any, that of all hooks. Raises ImproperlyConfigured."""
    if not hooks:
        return default()
    key = tuple(sorted((name, _frozen(value)) for name, value in hooks.items()))
    if key not in _guards:
        try:
            made = Guard(**hooks)
        except CANNOT_BE as error:
            raise ImproperlyConfigured(f"{at}: {error}") from None
        _guards.setdefault(key, made)  # another thread may have been faster; a guard that nobody asks costs nothing
    return _guards[key]


def forget(**_: Any) -> None:
    """Make guards anew, and read the configuration again: the settings were changed (a receiver of `setting_changed`)."""
    while _guards:
        _guards.popitem()[1].close()


def _frozen(value: Any) -> Any:
    return tuple(sorted(value.items())) if isinstance(value, Mapping) else _Same(value)


@dataclass(frozen=True, slots=True, order=False)
class _Same:
    """A value as part of a key: equal to what is equal and of its type, for False is no 0 here."""

    value: Any

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and type(self.value) is type(other.value) and bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash(self.value)


# --- reading -------------------------------------------------------------------------------------------------------


def _word(value: Any) -> Any:
    return value if isinstance(value, str) and value else _WRONG


def _path(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, (str, os.PathLike)) and os.fspath(value) else _WRONG


def _path_or_false(value: Any) -> Any:
    return value if value is False else _path(value)


def _seconds(value: Any) -> Any:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else _WRONG


def _flag(value: Any) -> Any:
    return value if isinstance(value, bool) else _WRONG


def _levels(value: Any) -> Any:
    fits = isinstance(value, Mapping) and all(isinstance(one, str) for pair in value.items() for one in pair)
    return dict(value) if fits else _WRONG


def _callable(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = import_string(value)
        except ImportError:
            return _WRONG
    return value if callable(value) else _WRONG


def _one_of(*words: str) -> Callable[[Any], Any]:
    return lambda value: value if isinstance(value, str) and value in words else _WRONG


def _dns(value: Any) -> Any:
    return value if value in ("live", "offline") or callable(getattr(value, "ask", None)) else _WRONG


_WRONG = object()
_HOOKS: Mapping[str, tuple[Callable[[Any], Any], str]] = {
    "policy": (_word, "the name or the file of a policy"),
    "stream": (_word, "the name of a stream"),
    "message_class": (_one_of("bulk", "transactional"), "bulk or transactional"),
    "rules": (_levels, "a dictionary of levels by rule id or pattern"),
    "mode": (_one_of(*Mode), "enforce or observe"),
    "on_unknown": (_one_of(*OnUnknown), "send or raise"),
    "config": (_path_or_false, "the path of a configuration, or False for none"),
    "dns": (_dns, "live or offline"),
    "deadline": (_seconds, "a number of seconds"),
    "record": (_path, "the path of a file"),
    "daemon": (_path_or_false, "the path of a socket, or False for none"),
    "signed_later": (_flag, "True or False"),
    "on_event": (_callable, "something to call, or its dotted path"),
}


def _hooks(at: str, said: Mapping[str, Any], others: tuple[str, ...] = ()) -> dict[str, Any]:
    found = {}
    for name, value in said.items():
        if name not in _HOOKS:
            raise ImproperlyConfigured(f"{at}: no setting {name!r}{nearest(str(name), [*_HOOKS, *others])}")
        read, wanted = _HOOKS[name]
        if value is None:
            continue
        if (took := read(value)) is _WRONG:
            raise ImproperlyConfigured(f"{at}: {name}: {wanted}, not {value!r}")
        found[name] = took
    return found


def _mapping(at: str, name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ImproperlyConfigured(f"{at}: {name}: a dictionary of arguments for the backend is wanted, not {value!r}")
    return dict(value)


def _backend(at: str, name: str, value: Any) -> str:
    if not isinstance(value, str) or "." not in value:
        raise ImproperlyConfigured(f"{at}: {name}: the dotted path of a backend is wanted, not {value!r}")
    if value.startswith(OURS):
        raise ImproperlyConfigured(f"{at}: {name}: {value} is the wrapping backend; name the one that it wraps")
    return value
