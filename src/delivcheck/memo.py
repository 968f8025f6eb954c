"""Remembers what short texts came to; long ones are worked out again.

Templates and records repeat themselves, so remembering pays; but the texts are other people's, and a cache of a few thousand
values of any length would let them fill the memory.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

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
