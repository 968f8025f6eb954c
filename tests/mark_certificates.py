"""Test-only mark certificates, the same octets every time: keys derived from names, fixed numbers, Ed25519 signatures.

They protect nothing. `made` is what a rule page's example asks for, and tests use the pieces.
"""

import base64
import gzip
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID

USAGE = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.31")
MARK_TYPE = x509.ObjectIdentifier("1.3.6.1.4.1.53087.1.13")
LOGOTYPE = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.12")
SHA256 = bytes.fromhex("608648016503040201")
SINCE, UNTIL = "2026-06-01", "2027-06-01"


def key(name: str) -> ed25519.Ed25519PrivateKey:
    """A key derived from a name."""
    return ed25519.Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"delivcheck test mark {name}".encode()).digest())


# --- the logotype extension (RFC 9399 section 4.1) ---------------------------------------------------------------


def der(tag: int, *parts: bytes) -> bytes:
    """One DER value."""
    content = b"".join(parts)
    if len(content) < 128:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(length)]) + length + content


def logotype(svg: bytes, *, hashed: bytes | None = None, uri: str | None = None, algorithm: bytes = SHA256) -> bytes:
    """The extension for one embedded logo; `hashed`: what the hash is of, the SVG itself if not given."""
    if uri is None:
        uri = "data:image/svg+xml;base64," + base64.b64encode(gzip.compress(svg, mtime=0)).decode()
    digest = hashlib.sha256(svg if hashed is None else hashed).digest()
    return details(
        der(0x16, b"image/svg+xml"),
        der(0x30, der(0x30, der(0x30, der(0x06, algorithm)), der(0x04, digest))),
        der(0x30, der(0x16, uri.encode())),
    )


def details(*parts: bytes) -> bytes:
    """The extension around the LogotypeDetails of one image."""
    return der(0x30, der(0xA2, der(0xA0, der(0x30, der(0x30, der(0x30, *parts))))))


# --- certificates ------------------------------------------------------------------------------------------------


def _name(common: str, kind: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example Marks"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    if kind is not None:
        parts.append(x509.NameAttribute(MARK_TYPE, kind))
    return x509.Name(parts)


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def request(
    common: str,
    issuer: str,
    extensions: Sequence[x509.ExtensionType],
    since: str = SINCE,
    until: str = UNTIL,
    kind: str | None = None,
) -> x509.CertificateBuilder:
    """A certificate that is not signed yet."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(common, kind))
        .issuer_name(_name(issuer))
        .public_key(key(common).public_key())
        .serial_number(int.from_bytes(hashlib.sha256(common.encode()).digest()[:8]) >> 1)
        .not_valid_before(_day(since))
        .not_valid_after(_day(until))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder


def certificate(
    common: str,
    issuer: str,
    extensions: Sequence[x509.ExtensionType],
    *validity: str,
    signer: Any = None,
    kind: str | None = None,
) -> x509.Certificate:
    """A certificate, signed with the key derived from the issuer's name or with another."""
    return request(common, issuer, extensions, *validity, kind=kind).sign(signer or key(issuer), None)


AUTHORITY_ONLY = [x509.BasicConstraints(ca=True, path_length=None)]


def authority(common: str, issuer: str, since: str = "2020-01-01", until: str = "2040-01-01") -> x509.Certificate:
    """The certificate of an authority."""
    return certificate(common, issuer, AUTHORITY_ONLY, since, until)


def mark(spec: Mapping[str, Any], logo: bytes) -> x509.Certificate:
    """A mark certificate by an example's words."""
    extensions: list[x509.ExtensionType] = []
    if spec.get("domains"):
        extensions.append(x509.SubjectAlternativeName([x509.DNSName(name) for name in spec["domains"]]))
    if spec.get("usage", True):
        extensions.append(x509.ExtendedKeyUsage([USAGE]))
    if spec.get("logo", True) is not False:
        value = b"\x30\x00" if spec.get("logo") == "" else logotype(logo)
        extensions.append(x509.UnrecognizedExtension(LOGOTYPE, value))
    issuer = spec.get("issuer", "Example Mark CA")
    validity = spec.get("since", SINCE), spec.get("until", UNTIL)
    return certificate("Example", issuer, extensions, *validity, kind=spec.get("kind"))


AUTHORITY, ROOT = authority("Example Mark CA", "Example Mark Root"), authority("Example Mark Root", "Example Mark Root")
ROOT_SHA256 = ROOT.fingerprint(hashes.SHA256()).hex()


def pem(*certificates: x509.Certificate) -> bytes:
    """A file of certificates."""
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def made(spec: Mapping[str, Any], http: Mapping[str, Any]) -> bytes:
    """The file an example asks for: `{ domains, since, until, usage, kind, issuer, chain, logo }`, see `rules/README.md`."""
    page = spec.get("logo")
    logo = str(http[page]["body"]).encode() if isinstance(page, str) and page else b"<svg/>"
    parts = {"mark": mark(spec, logo), "authority": AUTHORITY, "root": ROOT}
    return pem(*(parts[name] for name in spec.get("chain", ("mark", "authority", "root"))))
