"""Trace ids: ULIDs, which every answer, log line and journal entry of a message names.

A ULID is 48 bits of Unix time in milliseconds and 80 random bits, written as 26 letters and digits of Crockford's base 32: it
sorts by time, needs nobody who counts, and can be read out on the telephone.
"""

import os
import re
import threading
import time
from datetime import UTC, datetime

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O, U
_LENGTH = 26
_RANDOM_BITS = 80
_VALID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)  # 130 bits of room for 128: the first digit is at most 7

_lock = threading.Lock()
_last = 0  # the number last given out in this process


def new() -> str:
    """A new id, greater than every one this process has given out, also where the clock was set back or stood still."""
    global _last  # noqa: PLW0603 -- monotonic per process, as the ULID specification has it
    with _lock:
        made = (time.time_ns() // 1_000_000) << _RANDOM_BITS | int.from_bytes(os.urandom(_RANDOM_BITS // 8))
        if made >> _RANDOM_BITS <= _last >> _RANDOM_BITS:
            made = _last + 1  # the specification's increment; into the next millisecond where 80 bits overflow
        _last = made
    return _written(made)


def valid(text: str) -> bool:
    """Whether this is an id as `new` writes it: upper case, nothing else. Safe as a file's name."""
    return _VALID.fullmatch(text) is not None


def minted(trace: str) -> datetime:
    """When an id was made, in UTC. Raises ValueError where it is none."""
    if not valid(trace):
        raise ValueError(f"{trace!r} is no trace id")
    number = 0
    for digit in trace:
        number = number << 5 | _ALPHABET.index(digit)
    return datetime.fromtimestamp((number >> _RANDOM_BITS) / 1000, UTC)


def floor(moment: datetime) -> str:
    """The least id of a moment (with time zone): all that were made before it are smaller."""
    return _written(max(0, int(moment.timestamp() * 1000)) << _RANDOM_BITS)


def _written(number: int) -> str:
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))


def _forked() -> None:
    """A forked child must not count on from where its parent and its sisters do."""
    global _last, _lock
    _last, _lock = 0, threading.Lock()


os.register_at_fork(after_in_child=_forked)
