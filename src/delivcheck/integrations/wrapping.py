"""A check before any other function that sends: `send = delivcheck.guard(send)`, or `@delivcheck.guard(policy="bulk")`.

The message is found among the call's arguments, the envelope there or in the message's own fields. The function gets the very
arguments it was called with. Octets that it is given are judged as they are, with CRLF line ends; of an object that can be
written down in more than one way (an EmailMessage) it is judged what `smtplib.send_message` would send. Whatever the function
adds or changes after that has not been seen here.
"""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from .written import addresses, envelope_of, header_of, is_message, is_raw, octets_of

if TYPE_CHECKING:
    from .guard import Checks

F = TypeVar("F", bound=Callable[..., Any])

# What parameters are called by those who send mail: smtplib, aiosmtplib, boto3, the SDKs of ESPs.
_SENDER = ("from_addr", "mail_from", "envelope_from", "envelope_sender", "return_path", "sender", "from_email", "from_")
_RECIPIENTS = ("to_addrs", "rcpt_to", "envelope_to", "recipients", "destinations", "to_emails", "to")
NOT_FOUND = "no message among the arguments; name its parameter with message="

Where = str | Callable[..., Any]


@overload
def guard(send_function: F, /) -> F: ...


@overload
def guard(
    send_function: F,
    /,
    *,
    guard: "Checks | None" = None,
    message: Where | None = None,
    mail_from: Where | None = None,
    rcpt_to: Where | None = None,
    **options: Any,
) -> F: ...


@overload
def guard(
    *,
    guard: "Checks | None" = None,
    message: Where | None = None,
    mail_from: Where | None = None,
    rcpt_to: Where | None = None,
    **options: Any,
) -> Callable[[F], F]: ...


def guard(
    send_function: Callable[..., Any] | None = None,
    /,
    *,
    guard: "Checks | None" = None,
    message: Where | None = None,
    mail_from: Where | None = None,
    rcpt_to: Where | None = None,
    **options: Any,
) -> Any:
    """The function, which now sends only what passes. Without a function: a decorator.

    `message`, `mail_from` and `rcpt_to` say where these are: the name of a parameter, or a function that gets the arguments of
    the call and returns them. What is not said is looked for. `guard` judges; or `options` (policy, mode, on_unknown and the
    rest) are those of a `delivcheck.Guard` of its own; without either the configuration says it all.

    A message that is not found, or cannot be read, is a fault like others: the function is called, and a bypass recorded.
    """
    if guard is not None and options:
        raise TypeError(f"{', '.join(options)}: options of a guard, and a guard is given")
    if send_function is None:
        return functools.partial(
            globals()["guard"], guard=guard, message=message, mail_from=mail_from, rcpt_to=rcpt_to, **options
        )
    if not callable(send_function):
        raise TypeError(f"a function that sends is wanted, not {type(send_function).__name__}")
    if options:
        from .guard import Guard

        guard = Guard(**options)
    return _wrapped(send_function, guard, _Finder(send_function, message, mail_from, rcpt_to))


def _wrapped(send_function: Callable[..., Any], guard: "Checks | None", find: "_Finder") -> Callable[..., Any]:
    if _is_async(send_function):

        @functools.wraps(send_function)
        async def checked_async(*args: Any, **kwargs: Any) -> Any:
            judging = _guard(guard)
            try:
                octets, sender, recipients, utf8 = find(args, kwargs)
            except Exception as error:  # noqa: BLE001 -- whatever the caller's objects do: mail goes on
                judging.unjudged(_said(error), hook="guard")
            else:
                await judging.check_async(octets, sender, recipients, smtputf8=utf8, hook="guard")
            return await send_function(*args, **kwargs)

        return checked_async

    @functools.wraps(send_function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        judging = _guard(guard)
        try:
            octets, sender, recipients, utf8 = find(args, kwargs)
        except Exception as error:  # noqa: BLE001 -- as above
            judging.unjudged(_said(error), hook="guard")
        else:
            judging.check(octets, sender, recipients, smtputf8=utf8, hook="guard")
        return send_function(*args, **kwargs)

    return checked


def _is_async(send_function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(send_function) or inspect.iscoroutinefunction(type(send_function).__call__)


def _guard(given: "Checks | None") -> "Checks":
    if given is not None:
        return given
    from .guard import default

    return default()


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, LookupError) and error.args else f"{type(error).__name__}: {error}"


class _Finder:
    """Finds the message and its envelope in the arguments of a call. Raises LookupError where there is none."""

    def __init__(
        self, send_function: Callable[..., Any], message: Where | None, mail_from: Where | None, rcpt_to: Where | None
    ) -> None:
        """Raises TypeError for a name that the function does not have."""
        self._message, self._mail_from, self._rcpt_to = message, mail_from, rcpt_to
        try:
            self._signature: inspect.Signature | None = inspect.signature(send_function)
        except (TypeError, ValueError):  # written in C
            self._signature = None
        if self._signature is None or _takes_any(self._signature):
            return
        for name in (message, mail_from, rcpt_to):
            if isinstance(name, str) and name not in self._signature.parameters:
                raise TypeError(f"no parameter {name!r} in {self._signature}")

    def __call__(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[bytes, str, tuple[str, ...], bool]:
        """Octets, MAIL FROM, recipients, whether SMTPUTF8 is needed."""
        named = self._named(args, kwargs)
        found = _at(self._message, named, args, kwargs) if self._message is not None else _searched(named)
        header = header_of(found)
        own_sender, own_recipients = envelope_of(header)
        sender = _of(self._mail_from, _SENDER, named, args, kwargs)[:1]
        recipients = _of(self._rcpt_to, _RECIPIENTS, named, args, kwargs)
        mail_from = sender[0] if sender else own_sender
        rcpt_to = tuple(recipients or own_recipients)
        utf8 = not "".join((mail_from, *rcpt_to)).isascii()
        return octets_of(found, utf8=utf8), mail_from, rcpt_to, utf8

    def _named(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name, those of `*args` and `**kwargs` one by one."""
        if self._signature is None:
            return {**{str(at): one for at, one in enumerate(args)}, **kwargs}
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        named: dict[str, Any] = {}
        for name, value in bound.arguments.items():
            match self._signature.parameters[name].kind:
                case inspect.Parameter.VAR_POSITIONAL:
                    named.update({f"{name}[{at}]": one for at, one in enumerate(value)})
                case inspect.Parameter.VAR_KEYWORD:
                    named.update(value)
                case _:
                    named[name] = value
        return named


def _takes_any(signature: inspect.Signature) -> bool:
    return any(one.kind is inspect.Parameter.VAR_KEYWORD for one in signature.parameters.values())


def _at(where: Where, named: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    if callable(where):
        return where(*args, **kwargs)
    if where not in named:
        raise LookupError(f"the call has no argument {where!r}")
    if isinstance(named[where], Iterator):
        raise TypeError(f"{where!r} can be read once only, and that is for the function")
    return named[where]


def _searched(named: Mapping[str, Any]) -> Any:
    """The first argument that is a message, or the first octets or text that begin like one."""
    for test in (is_message, is_raw):
        for value in named.values():
            if test(value):
                return value
    raise LookupError(NOT_FOUND)


def _of(
    where: Where | None, names: Sequence[str], named: Mapping[str, Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> list[str]:
    """The addresses that were said to be there, or that stand where others keep them."""
    if where is not None:
        return list(addresses(_at(where, named, args, kwargs)))
    return next((found for found in _each(names, named) if found), [])


def _each(names: Sequence[str], named: Mapping[str, Any]) -> Iterator[list[str]]:
    for name in names:
        value = named.get(name)
        if isinstance(value, str | list | tuple | set | frozenset):
            yield list(addresses(value))
