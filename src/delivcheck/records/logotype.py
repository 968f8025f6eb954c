"""The logotype extension of a certificate (RFC 9399, before it RFC 3709): DER to the subject's logo and its hashes."""

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

OID = "1.3.6.1.5.5.7.1.12"  # id-pe-logotype, RFC 9399 section 4.1
MAX_ITEMS = 100  # values in one sequence; real extensions have one or two

_SEQUENCE, _OID, _OCTETS, _IA5 = 0x30, 0x06, 0x04, 0x16
_SUBJECT_LOGO = 0xA2  # subjectLogo [2] EXPLICIT LogotypeInfo
_DIRECT = 0xA0  # direct [0] LogotypeData

# HashAlgAndValue's algorithms, by the DER of their OID (RFC 5754 section 2; SHA-1 is RFC 3709's)
_HASHES = {
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
    bytes.fromhex("2b0e03021a"): "sha1",
}


class LogotypeError(ValueError):
    """The extension is not what RFC 9399 section 4.1 says; one clause."""


@dataclass(frozen=True, slots=True)
class Logotype:
    """The subject's logo: media type, (hash name, value) pairs of known hashes, and the octets of a data: URI as they are."""

    media_type: str
    hashes: tuple[tuple[str, bytes], ...]
    embedded: bytes | None = None

    def is_of(self, octets: bytes) -> bool:
        """Whether a hash is that of these octets."""
        return any(hashlib.new(name, octets, usedforsecurity=False).digest() == value for name, value in self.hashes)


def parse(der: bytes) -> Logotype:
    """Read the value of the extension. Raises LogotypeError.

    LogotypeExtn → subjectLogo → direct → image → LogotypeImage → LogotypeDetails (RFC 9399 section 4.1), the first image.
    """
    extension = _one(_SEQUENCE, _values(der), "the extension")
    info = _one(_SUBJECT_LOGO, _values(extension), "subjectLogo")
    data = _one(_DIRECT, _values(info), "a logo in the certificate itself")
    images = _one(_SEQUENCE, _values(data), "the list of images")
    image = _one(_SEQUENCE, _values(images), "an image")
    details = list(_values(_one(_SEQUENCE, _values(image), "the details of the image")))
    media_type = _one(_IA5, details[:1], "the media type").decode("latin-1")
    hashes = []
    for tag, value in _values(_one(_SEQUENCE, details[1:2], "the list of hashes")):
        pair = list(_values(value)) if tag == _SEQUENCE else []
        algorithm = _one(_OID, _values(_one(_SEQUENCE, pair[:1], "a hash algorithm")), "a hash algorithm")
        if algorithm in _HASHES:
            hashes.append((_HASHES[algorithm], _one(_OCTETS, pair[1:], "a hash")))
    uris = [
        value.decode("latin-1") for tag, value in _values(_one(_SEQUENCE, details[2:3], "the list of addresses")) if tag == _IA5
    ]
    return Logotype(media_type, tuple(hashes), next((found for uri in uris if (found := _data(uri)) is not None), None))


def _data(uri: str) -> bytes | None:
    """The octets of a data: URI (RFC 2397), None for another or one that cannot be decoded."""
    head, comma, body = uri.partition(",")
    if not comma or not head.lower().startswith("data:"):
        return None
    octets = unquote_to_bytes(body)
    if not head.lower().endswith(";base64"):
        return octets
    try:
        return base64.b64decode(octets)
    except binascii.Error:
        return None


def _one(tag: int, values: Iterator[tuple[int, bytes]] | list[tuple[int, bytes]], what: str) -> bytes:
    """The first value of this tag."""
    for found, content in values:
        if found == tag:
            return content
    raise LogotypeError(f"{what} is missing")


def _values(der: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, content) of each value in turn (X.690 section 8.1). Raises LogotypeError."""
    at = 0
    for _ in range(MAX_ITEMS):
        if at == len(der):
            return
        if at + 2 > len(der):
            raise LogotypeError("it breaks off")
        tag, length = der[at], der[at + 1]
        at += 2
        if length & 0x80:  # long form, X.690 section 8.1.3.5; the indefinite form is no DER
            width = length & 0x7F
            if not 1 <= width <= 4 or at + width > len(der):
                raise LogotypeError("a length in it cannot be read")
            length = int.from_bytes(der[at : at + width])
            at += width
        if at + length > len(der):
            raise LogotypeError("it breaks off")
        yield tag, der[at : at + length]
        at += length
    raise LogotypeError(f"it has more than {MAX_ITEMS} values in one place")
