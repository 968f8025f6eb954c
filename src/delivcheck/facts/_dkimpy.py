"""dkimpy's second opinion: the hashes that it makes of the same parts, asked where ours do not fit a signature.

Only its canonicalization and its choice of fields are asked. Whether a hash and a signature go together is for cryptography to
say, and tags, keys and time are judged by us, since there dkimpy differs from the RFCs (tests/facts/test_dkim_verdict.py shows
each fault). Where it would take long it is not asked: some of its patterns are quadratic. Imported only when a signature does
not fit.
"""

import hashlib
from collections.abc import Sequence

from dkim import select_headers
from dkim.canonicalization import ALGORITHMS

from ..mime.canonical import HeaderPairs

MAX_BODY = 1_000_000  # octets; at 30 MB a second
MAX_WHITE = 50  # octets of white space in a row in a body: a pattern is quadratic in them
MAX_COMPARED = 100_000  # names of h= times fields: each name is searched for in all of them


def body_hash(body: bytes, how: str, length: int | None) -> bytes | None:
    """The hash of the canonical body, or of its first `length` octets; None where it would take long."""
    if len(body) > MAX_BODY or b" " * MAX_WHITE in body.replace(b"\t", b" "):
        return None
    # Without a line end it would keep the white space at the end of the last line, against RFC 6376 section 3.4.4.
    ended = body if not body or body.endswith(b"\r\n") else body + b"\r\n"
    return hashlib.sha256(ALGORITHMS[how.encode("ascii")].canonicalize_body(ended)[:length]).digest()


def header_hash(fields: HeaderPairs, names: Sequence[str], unsigned: tuple[bytes, bytes], how: str) -> bytes | None:
    """The hash of the fields that h= means and of the signature field, `names` being h= and `unsigned` as for ours.

    None where it would take long. Its own search for b= is left out: it takes what looks like b= in any tag.
    """
    wanted = [name.encode("ascii") for name in (*names, "from")]
    listed = frozenset(wanted)
    candidates = [(name, value + b"\r\n") for name, value in fields if name.lower() in listed]
    if len(wanted) * len(candidates) > MAX_COMPARED:
        return None
    canonical = ALGORITHMS[how.encode("ascii")].canonicalize_headers
    name, value = unsigned
    chosen = select_headers(canonical(candidates), wanted) + canonical([(name, value + b"\r\n")])
    return hashlib.sha256(b"".join(name + b":" + value for name, value in chosen)[:-2]).digest()
