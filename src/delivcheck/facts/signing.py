"""Signs a message with DKIM: which header fields, which tags, and the complete field to put on top.

`dkim_crypto` makes hash and signature, the field is written here; the octets are never re-serialised. Not a fact itself: the
gate, the demo and `delivcheck key` sign, and the rules then judge what came of it.
"""

import base64
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from ..mime.canonical import Header, HeaderPairs
from ..mime.canonical import field as canonical_field
from ..mime.defects import DEFAULT
from ..mime.fields import Scanner
from ..mime.message import MessageError
from ..mime.message import check as check_octets
from ..records.names import BadName, to_ascii

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from .dkim_crypto import Bodies

MIN_RSA_BITS = 1024  # RFC 8301 section 3.2: signers MUST use at least this
MAX_NAME = 60  # characters of d=, s= or a name in h=: a line has room for 70, and none of them for white space
# Columns of the field's lines, as dkimpy has them: the name and its colon stand before the first, a space before the others.
_FIRST_LINE, _LINE, _LAST_LINE = 57, 70, 71
_NAME = re.compile(rf"[!-9<-~]{{1,{MAX_NAME}}}\Z")
CANONICALIZATIONS = ("relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple")

# Fields signed where they are present (RFC 6376 section 5.4.1; RFC 8058 section 4 for the List-Unsubscribe pair; Feedback-ID,
# which Gmail reads only when it is signed). Trace fields and those that relays rewrite are not here.
SIGNED = (
    *("from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references"),
    *("mime-version", "content-type", "content-transfer-encoding", "content-id", "content-description", "content-language"),
    *("list-id", "list-help", "list-unsubscribe", "list-unsubscribe-post", "list-subscribe", "list-post", "list-owner"),
    *("list-archive", "feedback-id", "auto-submitted", "precedence", "organization"),
)
# Listed once more than they occur, absent or not, so that nobody can add one (RFC 6376 sections 5.4 and 8.15); no relay has
# reason to. A Content-Type that is added would make HTML of plain text.
FROZEN = frozenset({"from", "to", "cc", "subject", "reply-to", "content-type"})
# Listed once more only where present: a submission server adds what is missing of these (RFC 6409 section 8), and an ESP its
# List fields.
FROZEN_IF_PRESENT = frozenset(
    {
        *("date", "message-id", "sender", "in-reply-to", "references", "mime-version"),
        *("content-transfer-encoding", "list-id", "list-unsubscribe", "list-unsubscribe-post", "feedback-id"),
    }
)


class SigningError(ValueError):
    """The message or the key cannot be signed with; one clause."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """What signs: d=, s=, and a private key as PEM (PKCS #8 or PKCS #1; RSA or Ed25519). The key is not shown by repr."""

    domain: str
    selector: str
    pem: bytes = field(repr=False)


def sign(
    octets: bytes,
    key: SigningKey,
    now: datetime,
    headers: Sequence[str] | None = None,
    *,
    canonicalization: str = "relaxed/relaxed",
    expires: datetime | None = None,
) -> bytes:
    """Make one complete DKIM-Signature field, folded, with its final CRLF, to be put before `octets` (CRLF line ends).

    `headers` is h= in order, repeats meaning over-signing; None takes `default_headers`. Relaxed canonicalization survives
    refolding. No l= is ever written. Raises SigningError.
    """
    from .dkim_crypto import Bodies

    try:
        check_octets(octets)
    except MessageError as error:
        raise SigningError(str(error)) from None
    section, _ = Scanner(octets, DEFAULT).message_header()
    fields = [(one.name.encode(), one.raw) for one in section.fields]
    body = Bodies(octets, section.end)
    return sign_fields(fields, body, key, now, headers, canonicalization=canonicalization, expires=expires)


def sign_fields(
    fields: HeaderPairs,
    body: "Bodies",
    key: SigningKey,
    now: datetime,
    headers: Sequence[str] | None = None,
    *,
    canonicalization: str = "relaxed/relaxed",
    expires: datetime | None = None,
) -> bytes:
    """As `sign`, over a message that was parsed already: several keys then share one hash of the body. Raises SigningError."""
    from . import dkim_crypto

    if canonicalization not in CANONICALIZATIONS:
        raise SigningError(f"there is no canonicalization {canonicalization}")
    private, algorithm = load_private(key.pem)
    domain, selector = _checked(key.domain, "domain"), _checked(key.selector, "selector")
    present = [name.decode("utf-8", "replace").lower() for name, _ in fields]
    if "from" not in present:
        raise SigningError("the message has no From field")  # it MUST be signed (RFC 6376 section 5.4)
    names = default_headers(present) if headers is None else tuple(name.lower() for name in headers)
    if "from" not in names:
        raise SigningError("the list of header fields to sign has no From")
    if not all(_NAME.match(name) for name in names):
        raise SigningError("the list of header fields to sign has something that is no field name")
    how, _, how_body = canonicalization.partition("/")
    until = f" x={int(expires.timestamp())};" if expires else ""
    begun = _folded(
        f"v=1; a={algorithm}; c={canonicalization}; d={domain}; s={selector}; t={int(now.timestamp())};{until}"
        f" h={' : '.join(names)}; bh={base64.b64encode(body.sha256(how_body)).decode('ascii')}; b="
    )
    octets = Header(fields).selected(names, how) + canonical_field(b"DKIM-Signature", b" " + begun, how)[:-2]
    return b"DKIM-Signature: %b%b\r\n" % (begun, _chopped(dkim_crypto.sign(private, octets)))


def _folded(tags: str) -> bytes:
    """Fold between words; b=, which comes last, is on a line of its own, so that its value changes nothing before it."""
    *words, last = tags.split(" ")
    lines, line, room = [], words[0], _FIRST_LINE
    for word in words[1:]:
        if len(line) + 1 + len(word) <= room:
            line += " " + word
        else:
            lines.append(line)
            line, room = word, _LINE
    return "\r\n ".join([*lines, line, last]).encode("ascii")


def _chopped(signature: bytes) -> bytes:
    """The value of b=, over as many lines as it takes."""
    text = base64.b64encode(signature)
    first = _LAST_LINE - len("b=")
    return b"\r\n ".join([text[:first], *(text[at : at + _LAST_LINE] for at in range(first, len(text), _LAST_LINE))])


def sign_with_all(octets: bytes, keys: Iterable[SigningKey], now: datetime, headers: Sequence[str] | None = None) -> bytes:
    """One field for each key, the first key's on top: RSA beside Ed25519, for those who know only one (RFC 8463 section 3)."""
    return b"".join(sign(octets, key, now, headers) for key in keys)


def check(key: SigningKey) -> str:
    """The algorithm that this key signs with (a=). Raises SigningError where it can sign nothing."""
    _checked(key.domain, "domain")
    _checked(key.selector, "selector")
    return load_private(key.pem)[1]


def default_headers(present: Iterable[str]) -> tuple[str, ...]:
    """The h= for a message with these header fields (lower case, repeats kept): what is signed, and what is over-signed."""
    counts = Counter(present)
    names: list[str] = []
    for name in SIGNED:
        more = name in FROZEN or (name in FROZEN_IF_PRESENT and counts[name] > 0)
        names += [name] * (counts[name] + more)
    return tuple(names)


@lru_cache(maxsize=1024)  # of our own keys: reading one of RSA tests its primes, which takes longer than a hundred signatures
def load_private(pem: bytes) -> tuple["RSAPrivateKey | Ed25519PrivateKey", str]:
    """Read a private key; the signature's algorithm follows from its type."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it is encrypted
        raise SigningError(f"the private key cannot be read: {error}") from None
    if isinstance(key, Ed25519PrivateKey):
        return key, "ed25519-sha256"
    if not isinstance(key, RSAPrivateKey):
        raise SigningError("the private key is neither RSA nor Ed25519")
    if key.key_size < MIN_RSA_BITS:
        raise SigningError(f"the private key has {key.key_size} bits, and verifiers refuse fewer than {MIN_RSA_BITS}")
    return key, "rsa-sha256"


def _checked(name: str, what: str) -> str:
    try:
        ascii_name = to_ascii(name)
    except BadName as error:
        raise SigningError(f"the {what} cannot be used: {error}") from None
    if len(ascii_name) > MAX_NAME:
        raise SigningError(f"the {what} has {len(ascii_name)} characters, more than the {MAX_NAME} that can be written")
    return ascii_name
