"""Finds out, where that is possible, what was done to a message after it was signed: undoes likely changes one at a time."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence

from ..records.dkim import DkimKey, DkimSignature
from ._dkimpy import Bodies, Fit, Verifier, canonical_body

MAX_BODY = 10_000_000  # octets; beyond, no search: each try hashes the body once more
MAX_LAST_LINES = 40  # lines that a list or a scanner may have appended; a legal footer has about ten
MAX_TRIES = 30  # header fields left out, one at a time, from the top, where relays add theirs


def of_body(bodies: Bodies, signature: DkimSignature) -> str | None:
    """Say what was done to the body; None if no guess makes bh= fit."""
    if signature.length is not None or len(bodies.body) > MAX_BODY:
        return None
    how, wanted = signature.body_canonicalization, signature.body_hash
    for what, undo in _UNDO:
        if hashlib.sha256(undo(bodies.body, how)).digest() == wanted:
            return what
    return _appended(canonical_body(bodies.body, how), wanted)


def _other(how: str) -> str:
    return "simple" if how == "relaxed" else "relaxed"


_UNDO: tuple[tuple[str, Callable[[bytes, str], bytes]], ...] = (
    ("bh= is the hash of an empty body", lambda _, how: canonical_body(b"", how)),
    ("it was made with the other canonicalization than c= says", lambda body, how: canonical_body(body, _other(how))),
    (
        "it was made over bare LF line ends, before the message got CRLF",
        lambda body, how: canonical_body(body, how).replace(b"\r\n", b"\n"),
    ),
    (
        "a dot was added to each line that begins with one",
        lambda body, how: canonical_body((b"\n" + body).replace(b"\n..", b"\n.")[1:], how),
    ),
    (
        "a dot was removed from each line that began with two",
        lambda body, how: canonical_body((b"\n" + body).replace(b"\n.", b"\n..")[1:], how),
    ),
)


def _appended(body: bytes, wanted: bytes) -> str | None:
    """Whether the hash fits without the last few lines."""
    lines = body.split(b"\r\n")[:-1] if body.count(b"\r\n") <= MAX_LAST_LINES else body.rsplit(b"\r\n", MAX_LAST_LINES + 1)[:-1]
    running = hashlib.sha256()
    fits = -1
    for number, line in enumerate(lines):
        running.update(line + b"\r\n")
        if line and running.digest() == wanted:
            fits = number
            break
    added = len(lines) - 1 - fits
    return None if fits < 0 else f"{added} line{' was' if added == 1 else 's were'} appended to the body after signing"


def of_headers(
    fields: Sequence[tuple[bytes, bytes]], signature: DkimSignature, field: tuple[bytes, bytes], key: DkimKey
) -> str | None:
    """Say which header field was added, when the signature fits without it; None if that is not what happened."""
    room = Counter(signature.signed)
    tried = 0
    for index, (name, _) in enumerate(fields):
        lower = name.lower().decode("latin-1")
        if not room[lower]:
            continue
        tried += 1
        if tried > MAX_TRIES:
            break
        if Verifier([*fields[:index], *fields[index + 1 :]]).fit(signature, field, key) is Fit.FITS:
            return f"a {name.decode('latin-1')} field was added"
    return None
