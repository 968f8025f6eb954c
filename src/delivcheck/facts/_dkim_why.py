"""Finds out, where that is possible, what was done to a message after it was signed: undoes likely changes one at a time."""

import hashlib
from collections.abc import Callable

from ..mime.canonical import Header, HeaderPairs
from ..mime.canonical import body as canonical_body
from ..records.dkim import DkimKey, DkimSignature
from .dkim_crypto import Bodies, Fit, fit, header_hash

MAX_BODY = 10_000_000  # octets; beyond, no search: each try hashes the body once more
MAX_LAST_LINES = 40  # lines that a list or a scanner may have appended; a legal footer has about ten
MAX_TRIES = 30  # header fields left out, one at a time, from the top, where relays add theirs


def of_body(bodies: Bodies, signature: DkimSignature) -> str | None:
    """Say what was done to the body; None if no guess makes bh= fit."""
    if signature.length is not None or len(bodies) > MAX_BODY:
        return None
    body = bodies.body
    how, wanted = signature.body_canonicalization, signature.body_hash
    for what, undo in _UNDO:
        if hashlib.sha256(undo(body, how)).digest() == wanted:
            return what
    return _appended(canonical_body(body, how), wanted)


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


def of_header(
    header: Header, fields: HeaderPairs, signature: DkimSignature, unsigned: tuple[bytes, bytes], key: DkimKey
) -> str | None:
    """Say which header field was added, when the signature fits without it; None if that is not what happened."""
    for index in header.among(signature.signed)[:MAX_TRIES]:
        if fit(key, signature.signature, header_hash(header, signature, unsigned, index)) is Fit.FITS:
            return f"a {fields[index][0].decode('latin-1')} field was added"
    return None
