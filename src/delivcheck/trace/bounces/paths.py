"""Signed return paths (VERP): `b-<token>@bounces.example.com` says which message, and to whom; nobody else can make one.

The token has the trace (16 octets) and the recipient's number (2), with 80 bits of HMAC-SHA256: 45 characters of base 32, which
survive a change of case. With `b-` that is 47 of the 64 octets that a local part may have (RFC 5321 section 4.5.3.1.1).
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from ... import ulid
from ..tokens import BadToken, Tokens

PURPOSE = "return path"
PREFIX = "b-"
MAX_NUMBER = 0xFFFF
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # of ulid
_DIGITS = 26
_LENGTH = 45  # characters of a token
_ADDRESS = re.compile(rf"(?<![A-Za-z0-9._+-])[Bb]-[A-Za-z2-7]{{{_LENGTH}}}@[A-Za-z0-9.-]{{1,253}}")
MAX_FOUND = 20  # addresses of this form that are tried in one text


class Path(NamedTuple):
    """Of which message a return path is, and of which of its recipients (their place in the envelope, from 0)."""

    trace: str
    number: int


def address(tokens: Tokens, domain: str, trace: str, number: int = 0) -> str:
    """The return path of a recipient's copy. Raises ValueError for a trace that is none, or a number beyond 65,535."""
    if not ulid.valid(trace) or not 0 <= number <= MAX_NUMBER:
        raise ValueError("a trace and the number of one of its recipients are wanted")
    return f"{PREFIX}{tokens.short(PURPOSE, _packed(trace) + number.to_bytes(2))}@{domain}"


def opened(tokens: Tokens, address: str, domain: str) -> Path:
    """What a return path of ours says; upper and lower case do not matter. Raises BadToken: it is none of ours."""
    local, _, at = address.strip().strip("<>").rpartition("@")
    if at.rstrip(".").lower() != domain.lower() or not local.lower().startswith(PREFIX) or len(local) != len(PREFIX) + _LENGTH:
        raise BadToken
    payload = tokens.short_opened(PURPOSE, local[len(PREFIX) :])
    if len(payload) != 18:
        raise BadToken
    trace = _unpacked(payload[:16])
    return Path(trace, int.from_bytes(payload[16:]))


def is_ours(address: str, domain: str) -> bool:
    """Whether this has the form of a return path at our domain, whoever made it."""
    local, _, at = address.rpartition("@")
    return at.lower() == domain.lower() and local.lower().startswith(PREFIX)


def found_in(text: str) -> list[str]:
    """What has the form of such an address in a text, as in smtp.mailfrom= of Authentication-Results. Linear, bounded."""
    found: dict[str, None] = {}
    for one in _ADDRESS.finditer(text):
        found.setdefault(one[0])
        if len(found) == MAX_FOUND:
            break
    return list(found)


def first_opened(tokens: Tokens, addresses: Iterable[str], domain: str) -> Path | None:
    """The first of these that we signed."""
    for one in addresses:
        try:
            return opened(tokens, one, domain)
        except BadToken:
            continue
    return None


def _packed(trace: str) -> bytes:
    number = 0
    for digit in trace:
        number = number << 5 | _ALPHABET.index(digit)
    return number.to_bytes(16)


def _unpacked(octets: bytes) -> str:
    number = int.from_bytes(octets)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (_DIGITS - 1), -1, -5))
