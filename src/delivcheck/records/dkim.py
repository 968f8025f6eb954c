"""Reads DKIM key records and DKIM-Signature fields, and tells every fault with its place (RFC 6376 sections 3.5, 3.6.1).

`parse_key` and `parse_signature` return a value or raise DkimSyntaxError, which holds all faults, the tag list as far as it
could be read, and nothing else. Positions are offsets in characters into the text that was given. `select` tells key records
from other TXT records at the same name. Nothing here verifies anything.
"""

import re
from binascii import a2b_base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from ..memo import remembered
from .names import BadName, is_within, to_ascii
from .tags import Tag, TagList, scan_tags, without_white_space

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

T = TypeVar("T")

MAX_SIGNED_NAMES = 500  # names in h=; real signatures list twenty to sixty, and Gmail takes 5,000 header fields at most
ALGORITHMS = {
    "rsa-sha1": "rsa",
    "rsa-sha256": "rsa",
    "ed25519-sha256": "ed25519",
}  # a= → the k= it needs (RFC 6376 section 3.3, RFC 8463 section 3)
CANONICALIZATIONS = frozenset({"simple", "relaxed"})
REQUIRED = ("v", "a", "b", "bh", "d", "h", "s")  # RFC 6376 section 6.1.1
ED25519_OCTETS = 32  # RFC 8463 section 4.2

_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")
_SELECTOR = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\Z")  # sub-domains, and the underscores that exist
_HEADER_NAME = re.compile(r"[\x21-\x39\x3c-\x7e]+\Z")  # ftext (RFC 5322 section 3.6.8) without the semicolon that ends h=
_HEADER_NAMES = re.compile(r"[\x21-\x39\x3c-\x7e]+(?::[\x21-\x39\x3c-\x7e]+)*\Z")
_OTHER_RECORD = re.compile(r"\s*v\s*=\s*(?:spf|dmarc|sts|tlsrpt|bimi)", re.IGNORECASE)
_BARE_KEY = re.compile(r"M[A-Za-z0-9+/]{80,}={0,2}\Z")  # somebody published the key without "p="


@dataclass(frozen=True, slots=True)
class DkimFault:
    """One thing wrong, one clause without a final stop; `span` as in TagError. `tag` is the tag's name, or "" for the list."""

    message: str
    span: tuple[int, int]
    tag: str = ""


class DkimSyntaxError(ValueError):
    """A key record or a signature cannot be used as it is written. The first fault, and all of them in `faults`."""

    def __init__(self, faults: tuple[DkimFault, ...], tags: TagList) -> None:
        """Keep the faults, in order of place, and the tags that could be read."""
        first = faults[0]
        super().__init__(first.message)
        self.message = first.message
        self.span = first.span
        self.faults = faults
        self.tags = tags


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A usable or revoked key record. `bits`: the RSA modulus, 256 for Ed25519, None when revoked or of an unknown type."""

    tags: TagList
    kind: str  # k=
    data: bytes  # p=, decoded
    bits: int | None
    hashes: tuple[str, ...] | None  # h=; None: any
    services: tuple[str, ...]  # s=
    flags: tuple[str, ...]  # t=
    notes: str | None  # n=

    @property
    def text(self) -> str:
        """The record as published."""
        return self.tags.text

    @property
    def revoked(self) -> bool:
        """An empty p= (RFC 6376 section 3.6.1)."""
        return not self.data

    @property
    def testing(self) -> bool:
        """Whether t= has y: the domain is testing DKIM."""
        return "y" in self.flags

    @property
    def strict_identity(self) -> bool:
        """Whether t= has s: the domain of i= must equal d=."""
        return "s" in self.flags

    @property
    def for_email(self) -> bool:
        """Whether s= lists email or everything (RFC 6376 section 3.6.1: a colon-separated list)."""
        return "*" in self.services or "email" in self.services

    def span(self, tag: str) -> tuple[int, int] | None:
        """Where a tag stands, from its name to the end of its value."""
        found = self.tags.get(tag)
        return found.whole if found else None


class DkimSignature(Struct, frozen=True):
    """A DKIM-Signature field that is well-formed; domains are lower-case A-labels (RFC 8616 section 4)."""

    tags: TagList
    algorithm: str  # a=
    signature: bytes  # b=, decoded
    body_hash: bytes  # bh=, decoded
    header_canonicalization: str  # c=, before the slash
    body_canonicalization: str  # c=, after it
    domain: str  # d=
    signed: tuple[str, ...]  # h=, lower case, repeats kept
    identity: str | None  # i= as written
    identity_domain: str  # the domain of i=, or d=
    length: int | None  # l=
    selector: str  # s=
    time: int | None  # t=, seconds since 1970
    expires: int | None  # x=, seconds since 1970

    @property
    def key_name(self) -> str:
        """The DNS name of the key (RFC 6376 section 3.6.2.1)."""
        return key_name(self.selector, self.domain)

    def span(self, tag: str) -> tuple[int, int] | None:
        """Where a tag stands, from its name to the end of its value."""
        found = self.tags.get(tag)
        return found.whole if found else None


def key_name(selector: str, domain: str) -> str:
    """Name the place in DNS where the key of a selector is."""
    return f"{selector}._domainkey.{domain}"


# --- keys --------------------------------------------------------------------------------------------------------


@remembered(512)  # as with DMARC records
def parse_key(text: str) -> DkimKey:
    """Read a key record, its character-strings already joined. Raises DkimSyntaxError.

    An unknown k= is no fault: such a key is simply not for us (RFC 6376 section 3.6.1).
    """
    tags = scan_tags(text)
    faults = [DkimFault(fault.message, fault.span) for fault in tags.faults]
    version = tags.get("v")
    if version and version.value != "DKIM1":  # a plain text comparison (section 3.6.1)
        faults.append(DkimFault("v= is not exactly DKIM1", version.whole, "v"))
    elif version and version is not tags.tags[0]:
        faults.append(DkimFault("v= is not the first tag", version.whole, "v"))
    kind = tags.value("k", "rsa") or ""
    data, bits = b"", None
    key = tags.get("p")
    if key is None:
        faults.append(DkimFault("there is no p=", (len(text), len(text)), "p"))
    else:
        try:
            data = _base64(key)
            bits = key_bits(kind, data) if data else None
        except ValueError as error:
            faults.append(DkimFault(f"p= {error}", key.whole, "p"))
    if faults or "\\;" in text:
        raise DkimSyntaxError((*_escaped_semicolons(text), *sorted(faults, key=_place)), tags)
    return DkimKey(
        tags=tags,
        kind=kind,
        data=data,
        bits=bits,
        hashes=_list(tags, "h") or None,  # h= and s= left empty restrict nothing: so OpenDKIM reads them, and no RFC says
        services=_list(tags, "s") or ("*",),
        flags=_list(tags, "t"),
        notes=tags.value("n"),
    )


def key_bits(kind: str, data: bytes) -> int | None:
    """Measure a public key: the RSA modulus in bits, 256 for Ed25519, None for a kind nobody knows.

    Raises ValueError, the text going on from "p= …".
    """
    if kind == "ed25519":
        if len(data) != ED25519_OCTETS:
            raise ValueError(f"decodes to {len(data)} octets, an Ed25519 key has {ED25519_OCTETS}")
        return 256
    if kind != "rsa":
        return None
    try:
        return load_rsa(data).key_size
    except ValueError as error:
        if len(data) == ED25519_OCTETS:
            raise ValueError(f"{error}; its {ED25519_OCTETS} octets look like Ed25519, without k=ed25519") from None
        raise


@remembered(512)  # as with their records; reading a key takes half as long as verifying with it
def load_rsa(data: bytes) -> "RSAPublicKey":
    """Read an RSA key, as SubjectPublicKeyInfo or as the bare RSAPublicKey that section 3.6.1 describes. Raises ValueError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        public = load_der_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        declared = _der_length(data)
        if declared is not None and declared > len(data):
            raise ValueError(f"is cut off: {len(data)} octets of {declared}") from None
        raise ValueError("is no RSA public key") from None
    if not isinstance(public, RSAPublicKey):
        raise ValueError("holds a key that is not RSA")  # noqa: TRY004 -- what was published, not how we were called
    return public


def select(texts: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tell the TXT records at a selector that are, or try to be, keys from those of another kind: (keys, others).

    A wildcard answers for selectors too, so an SPF record or a verification token here is normal and no key.
    """
    keys: list[str] = []
    others: list[str] = []
    for text in texts:
        (keys if _is_key(text) else others).append(text)
    return tuple(keys), tuple(others)


@remembered(512)
def _is_key(text: str) -> bool:
    if _OTHER_RECORD.match(text):  # "Records beginning with a v= tag with any other value MUST be discarded" (section 3.6.1)
        return False
    tags = scan_tags(text)
    return "p" in tags or (tags.value("v") or "").lower().startswith("dkim") or bool(_BARE_KEY.match(without_white_space(text)))


def _escaped_semicolons(text: str) -> list[DkimFault]:
    r"""Find the "\;" that a zone file's quoting leaves behind when it is pasted into a form that quotes by itself."""
    at = text.find("\\;")
    return [] if at < 0 else [DkimFault("a backslash stands before the semicolon", (at, at + 2))]


def _der_length(data: bytes) -> int | None:
    """How long a DER SEQUENCE says it is, header included; None if this is no SEQUENCE."""
    if len(data) < 2 or data[0] != 0x30:  # tag and length (X.690)
        return None
    if data[1] < 0x80:  # the short form
        return 2 + data[1]
    octets = data[1] & 0x7F
    return 2 + octets + int.from_bytes(data[2 : 2 + octets], "big") if octets <= 4 else None


# --- signatures --------------------------------------------------------------------------------------------------


def parse_signature(text: str) -> DkimSignature:
    """Read the value of a DKIM-Signature field, folded or not. Raises DkimSyntaxError.

    What makes a signature useless without being a fault of syntax is left to whoever judges it: rsa-sha1, an h= without From,
    x= in the past.
    """
    tags = scan_tags(text)
    faults = [DkimFault(fault.message, fault.span) for fault in tags.faults]
    present = {tag.name: tag for tag in reversed(tags.tags)}  # the first of each name
    faults += [DkimFault(f"there is no {name}=", (len(text), len(text)), name) for name in REQUIRED if name not in present]

    def read(name: str, reader: Callable[[Tag], T], default: T) -> T:
        tag = present.get(name)
        if tag is None:
            return default
        try:
            return reader(tag)
        except ValueError as error:
            faults.append(DkimFault(f"{name}= {error}", tag.whole, name))
            return default

    read("v", _version, None)
    algorithm = read("a", _algorithm, "")
    signature = read("b", _some_base64, b"")
    body_hash = read("bh", _some_base64, b"")
    header, body = read("c", _canonicalization, ("simple", "simple"))
    domain = read("d", _domain, "")
    signed: tuple[str, ...] = read("h", _signed, tuple[str, ...]())
    identity_domain = read("i", lambda tag: _identity(tag, domain), domain)
    length = read("l", lambda tag: _number(tag, 76), None)
    read("q", _query, None)
    selector = read("s", _selector, "")
    time = read("t", lambda tag: _number(tag, 12), None)
    expires = read("x", lambda tag: _number(tag, 12), None)
    if faults:
        raise DkimSyntaxError(tuple(sorted(faults, key=_place)), tags)
    return DkimSignature(
        tags=tags,
        algorithm=algorithm,
        signature=signature,
        body_hash=body_hash,
        header_canonicalization=header,
        body_canonicalization=body,
        domain=domain,
        signed=signed,
        identity=present["i"].value if "i" in present else None,
        identity_domain=identity_domain,
        length=length,
        selector=selector,
        time=time,
        expires=expires,
    )


def _version(tag: Tag) -> None:
    if tag.value != "1":
        raise ValueError("is not 1")


def _algorithm(tag: Tag) -> str:
    if tag.value not in ALGORITHMS:
        raise ValueError(f"names the algorithm {tag.value[:40]!a}, which nobody verifies")
    return tag.value


def _canonicalization(tag: Tag) -> tuple[str, str]:
    header, _, body = tag.value.partition("/")
    body = body if "/" in tag.value else "simple"  # section 3.5, c=
    if header not in CANONICALIZATIONS or body not in CANONICALIZATIONS:
        raise ValueError(f"names the canonicalization {tag.value[:40]!a}; there are simple and relaxed")
    return header, body


def _domain(tag: Tag) -> str:
    try:
        name = to_ascii(tag.value)
    except BadName as error:
        raise ValueError(f"is no domain name: {error}") from None
    if "." not in name or tag.value.endswith("."):  # domain-name = sub-domain 1*("." sub-domain)
        raise ValueError("is no domain name of two or more labels without a final dot")
    return name


def _selector(tag: Tag) -> str:
    try:
        name = to_ascii(tag.value)
    except BadName as error:
        raise ValueError(f"is no selector: {error}") from None
    if not _SELECTOR.match(name):
        raise ValueError("is no selector: it has characters other than letters, digits, hyphens and dots")
    return name


def _signed(tag: Tag) -> tuple[str, ...]:
    return _names(tag.value)


@remembered(512)  # a sender's h= is often the same
def _names(value: str) -> tuple[str, ...]:
    text = without_white_space(value)
    names = text.lower().split(":") if text.isascii() else [name.lower() for name in text.split(":")]
    if len(names) > MAX_SIGNED_NAMES:
        raise ValueError(f"lists {len(names)} names, more than the {MAX_SIGNED_NAMES} that are read")
    if not _HEADER_NAMES.match(text):
        wrong = next(name for name in names if not _HEADER_NAME.match(name))
        raise ValueError(f"lists {wrong[:40]!a}, which is no header field name")
    return tuple(names)


def _identity(tag: Tag, domain: str) -> str:
    """Read i= = [ Local-part ] "@" domain-name, where the domain is d= or below it (section 3.5)."""
    _, at, written = tag.value.rpartition("@")
    if not at:
        raise ValueError("has no @")
    try:
        name = to_ascii(written)
    except BadName as error:
        raise ValueError(f"has no usable domain: {error}") from None
    if domain and not is_within(name, domain):
        raise ValueError(f"has the domain {name}, which is not within d={domain}")
    return name


def _number(tag: Tag, digits: int) -> int:
    if not (tag.value.isascii() and tag.value.isdigit() and len(tag.value) <= digits):
        raise ValueError(f"is not a number of up to {digits} digits")
    return int(tag.value)


def _query(tag: Tag) -> None:
    """Hold q= to what exists; unknown methods beside dns/txt are ignored (section 3.5)."""
    methods = [without_white_space(method).lower() for method in tag.value.split(":")]
    if "dns/txt" not in methods:
        raise ValueError("does not name dns/txt")


# --- both --------------------------------------------------------------------------------------------------------


def _place(fault: DkimFault) -> tuple[int, int]:
    return fault.span


def _list(tags: TagList, name: str) -> tuple[str, ...]:
    """Read a colon-separated list; empty items are dropped."""
    items = (without_white_space(item) for item in (tags.value(name) or "").split(":"))
    return tuple(item for item in items if item)


def _base64(tag: Tag) -> bytes:
    """Decode base64 with white space anywhere in it."""
    text = without_white_space(tag.value)
    try:
        data = a2b_base64(text, strict_mode=True)
    except ValueError:
        data = b""
    if len(text) != (len(data) + 2) // 3 * 4:  # strict, it still takes more equals signs than there should be
        stray = _NOT_BASE64.search(text.rstrip("="))
        raise ValueError(
            f"has the character {stray[0]!a}, which is not base64" if stray else "is not whole base64: characters are missing"
        )
    return data


def _some_base64(tag: Tag) -> bytes:
    data = _base64(tag)
    if not data:
        raise ValueError("is empty")
    return data
