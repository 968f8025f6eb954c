"""Remembers what short texts came to; long ones are worked out again.

Templates and records repeat themselves, so remembering pays; but the texts are other people's, and a cache of a few thousand
values of any length would let them fill the memory.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, Generic, Self, TypeVar, overload

K = TypeVar("K", str, bytes)
T = TypeVar("T")

LONGEST = 4096  # characters (or octets) of a text that is remembered: longer than any honest header value, style or URL
LONGEST_HOST = 300  # of a host: longer than the 253 of any name (RFC 1035 section 2.3.4)


def remembered(maxsize: int, longest: int = LONGEST) -> Callable[[Callable[[K], T]], Callable[[K], T]]:
    """Cache a function of one text for the `maxsize` texts used last, those over `longest` characters left out."""

    def decorate(function: Callable[[K], T]) -> Callable[[K], T]:
        cached = lru_cache(maxsize)(function)

        @wraps(function)
        def call(text: K) -> T:
            return cached(text) if len(text) <= longest else function(text)

        return call

    return decorate


class lazy(Generic[T]):  # noqa: N801 -- a decorator, as functools.cached_property is
    """A property that is worked out when it is first asked for, of an object with a `__dict__`.

    As functools.cached_property, which before Python 3.12 takes a lock each time: a microsecond for each of the hundred that a
    message has. Two threads may both work it out; one of two equal values stays.
    """

    def __init__(self, function: Callable[[Any], T]) -> None:
        self._function = function
        self._name = function.__name__
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> Self | T:
        """Its value, which from then on is found before this is asked."""
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._function(instance)
        return value
