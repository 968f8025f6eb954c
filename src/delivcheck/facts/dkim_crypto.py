"""Hashes what a DKIM signature covers, and holds it against key and signature, or signs it (RFC 6376 sections 3.7, 6.1.3).

The octets come from `mime.canonical`, the hash from hashlib, RSA and Ed25519 from cryptography. Imported only when somebody
wants a verdict or a signature.
"""

import hashlib
from enum import StrEnum
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from ..mime.canonical import Header, body, field, pieces
from ..records.dkim import DkimKey, DkimSignature, load_rsa

_PADDING = PKCS1v15()
_HASHED = Prehashed(SHA256())


class Bodies:
    """The hashes of one body, each canonicalization computed once however many signatures ask."""

    def __init__(self, octets: bytes, start: int = 0, end: int | None = None) -> None:
        """Keep where the body is, `octets[start:end]`; nothing is computed yet."""
        self._range = octets, start, len(octets) if end is None else end
        self._whole: dict[str, bytes] = {}
        self._hashes: dict[tuple[str, int | None], bytes] = {}

    @property
    def body(self) -> bytes:
        """The octets as they stand."""
        octets, start, end = self._range
        return octets[start:end]

    def __len__(self) -> int:
        """How many octets stand there."""
        _, start, end = self._range
        return end - start

    def length(self, how: str) -> int:
        """How many octets the canonical body has."""
        return len(self._made(how))

    def sha256(self, how: str, length: int | None = None) -> bytes:
        """Hash the canonical body, or its first `length` octets (l=)."""
        if (how, length) not in self._hashes:
            made = hashlib.sha256()
            if length is None:
                for piece in pieces(*self._range, how):
                    made.update(piece)
            else:
                made.update(memoryview(self._made(how))[:length])
            self._hashes[how, length] = made.digest()
        return self._hashes[how, length]

    def _made(self, how: str) -> bytes:
        """The whole canonical body, kept: l= cuts it anywhere, and each signature may have another."""
        if how not in self._whole:
            self._whole[how] = body(self.body, how)
        return self._whole[how]


def header_hash(header: Header, signature: DkimSignature, unsigned: tuple[bytes, bytes], without: int | None = None) -> bytes:
    """Hash the signed fields and the signature field as the signature says (section 3.7).

    `unsigned` is the DKIM-Signature field's name and its value with the value of b= taken out; `without` as in `Header`.
    """
    how = signature.header_canonicalization
    # One From more than h= lists is hashed where there is one: a message has one author field (RFC 5322 section 3.6), and a
    # second one would be shown as what is signed (RFC 6376 section 8.15). So has dkimpy it.
    signed = header.selected((*signature.signed, "from"), how, without)
    return hashlib.sha256(signed + field(*unsigned, how)[:-2]).digest()


# --- verifying ---------------------------------------------------------------------------------------------------


class Fit(StrEnum):
    """How a signature, a key and a hash of the signed header fields go together."""

    FITS = "fits"
    OTHER_HEADERS = "other-headers"  # this key made the signature, over other octets (RSA only: it lets one recover the hash)
    OTHER_KEY = "other-key"  # not made with this key, or damaged (RSA only)
    NEITHER = "neither"  # it does not fit; Ed25519 does not tell more


def fit(key: DkimKey, signature: bytes, digest: bytes) -> Fit:
    """Hold a signature against a usable key (RSA or Ed25519) and the SHA-256 hash of what it should be over."""
    if key.kind == "ed25519":
        try:
            _ed25519(key.data).verify(signature, digest)  # PureEdDSA over the SHA-256 hash (RFC 8463 section 3)
        except InvalidSignature:
            return Fit.NEITHER
        return Fit.FITS
    public = load_rsa(key.data)
    try:
        public.verify(signature, digest, _PADDING, _HASHED)
        return Fit.FITS
    except InvalidSignature:
        pass
    return _misfit(public, signature)


def _misfit(public: RSAPublicKey, signature: bytes) -> Fit:
    try:
        public.recover_data_from_signature(signature, _PADDING, SHA256())
        return Fit.OTHER_HEADERS
    except InvalidSignature:
        return Fit.OTHER_KEY


@lru_cache(maxsize=512)  # of 32 octets each
def _ed25519(data: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(data)


# --- signing -----------------------------------------------------------------------------------------------------


def sign(key: RSAPrivateKey | Ed25519PrivateKey, octets: bytes) -> bytes:
    """The signature over the SHA-256 hash of canonical header fields."""
    digest = hashlib.sha256(octets).digest()
    return key.sign(digest) if isinstance(key, Ed25519PrivateKey) else key.sign(digest, _PADDING, _HASHED)
