"""The one place that calls dkimpy: it selects, canonicalizes and hashes header fields, verifies a signature and writes one.

dkimpy 1.1.8 is subclassed, not patched, and only its lower half is used: what stands above (parsing the message, judging tags,
keys and time) is ours, because its answers differ from the RFCs; tests/facts/test_dkim_verdict.py shows each fault first. Two
tricks keep its primitives out: an object that verifies and signs with cryptography stands where dkimpy expects a PyNaCl key,
and the body hash, quadratic there in the length of a run of spaces, is computed here. Imported only when somebody wants a
verdict or a signature.
"""

import hashlib
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

import dkim
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from dkim.canonicalization import CanonicalizationPolicy

from ..records.dkim import DkimKey, DkimSignature, load_rsa

HeaderPairs = Sequence[tuple[bytes, bytes]]  # name, and value as it stands after the colon, without the final CRLF

_WHITE = re.compile(rb"[ \t]+")
_FINAL_LINES = re.compile(rb"(?:\n\r)*")  # read backwards


class Fit(StrEnum):
    """How a signature, a key and the signed header fields go together."""

    FITS = "fits"
    OTHER_HEADERS = "other-headers"  # this key made the signature, over other octets (RSA only: it lets one recover the hash)
    OTHER_KEY = "other-key"  # not made with this key, or damaged (RSA only)
    NEITHER = "neither"  # it does not fit; Ed25519 does not tell more


# --- the body ----------------------------------------------------------------------------------------------------


def canonical_body(body: bytes, how: str) -> bytes:
    """The body as RFC 6376 section 3.4.3 (simple) or 3.4.4 (relaxed) has it, in time linear in its length."""
    if how == "relaxed":
        if body and not body.endswith(b"\r\n"):
            body += b"\r\n"
        body = body.replace(b"\t", b" ")
        while b"  " in body:  # each pass halves the runs
            body = body.replace(b"  ", b" ")
        body = body.replace(b" \r\n", b"\r\n")
    core = len(body.rstrip(b"\r\n"))
    match = _FINAL_LINES.match(body[core:][::-1])
    kept = body[: len(body) - (match.end() if match else 0)]
    return kept + b"\r\n" if kept or how == "simple" else b""


class Bodies:
    """The hashes of one body, each canonicalization computed once however many signatures ask."""

    def __init__(self, body: bytes) -> None:
        """Keep the body; nothing is computed yet."""
        self.body = body
        self._canonical: dict[str, bytes] = {}
        self._hashes: dict[tuple[str, int | None], bytes] = {}

    def length(self, how: str) -> int:
        """How many octets the canonical body has."""
        return len(self._made(how))

    def sha256(self, how: str, length: int | None = None) -> bytes:
        """Hash the canonical body, or its first `length` octets (l=)."""
        if (how, length) not in self._hashes:
            view = memoryview(self._made(how))
            self._hashes[how, length] = hashlib.sha256(view if length is None else view[:length]).digest()
        return self._hashes[how, length]

    def _made(self, how: str) -> bytes:
        if how not in self._canonical:
            self._canonical[how] = canonical_body(self.body, how)
        return self._canonical[how]


# --- verifying ---------------------------------------------------------------------------------------------------


class _Public:
    """Stands where dkimpy expects a nacl VerifyKey; keeps its answer, since dkimpy knows a mismatch only in nacl's words."""

    def __init__(self, key: DkimKey) -> None:
        self._key = Ed25519PublicKey.from_public_bytes(key.data) if key.kind == "ed25519" else load_rsa(key.data)
        self.fit = Fit.NEITHER

    def verify(self, digest: bytes, signature: bytes) -> None:
        if isinstance(self._key, RSAPublicKey):
            self.fit = _fit_rsa(self._key, digest, signature)
            return
        try:
            self._key.verify(signature, digest)  # PureEdDSA over the SHA-256 hash (RFC 8463 section 3)
            self.fit = Fit.FITS
        except InvalidSignature:
            self.fit = Fit.NEITHER


def _fit_rsa(key: RSAPublicKey, digest: bytes, signature: bytes) -> Fit:
    try:
        key.verify(signature, digest, PKCS1v15(), Prehashed(SHA256()))
        return Fit.FITS
    except InvalidSignature:
        pass
    try:
        key.recover_data_from_signature(signature, PKCS1v15(), SHA256())
        return Fit.OTHER_HEADERS
    except InvalidSignature:
        return Fit.OTHER_KEY


class Verifier(dkim.DKIM):  # type: ignore[misc]  # dkimpy ships no types
    """Verifies one signature over header fields that somebody else has parsed."""

    def __init__(self, headers: HeaderPairs) -> None:
        """Take the fields in the order of the message; dkimpy's own parser is not used."""
        super().__init__()
        self._all = [(name, value + b"\r\n") for name, value in headers]

    def fit(self, signature: DkimSignature, field: tuple[bytes, bytes], key: DkimKey) -> Fit:
        """Hash the signed fields as the signature says and hold its b= against them.

        `field` is the DKIM-Signature field's name and its value with the value of b= already taken out (RFC 6376 section 3.7).
        """
        names = [name.encode("ascii") for name in signature.signed]
        # dkimpy canonicalizes every field of the message, and walks all of them for each name: give it what it can select, from
        # the bottom (RFC 6376 section 5.4.2), and one From more, which it hashes where there is one that h= does not list.
        room = Counter([*names, b"from"])
        self.headers = []
        for pair in reversed(self._all):
            lower = pair[0].lower()
            if room[lower]:
                room[lower] -= 1
                self.headers.append(pair)
        self.headers.reverse()
        self.pk = _Public(key)
        self.keysize = key.bits
        self.ktag = b"ed25519"  # "hand the hash to pk.verify": RSA goes that way too
        self.seqtlsrpt = False
        name, value = field
        if signature.header_canonicalization == "relaxed":
            # The RFC's own result (section 3.4.2), reached here: dkimpy's search for b= is quadratic in a run of white space.
            value = _WHITE.sub(b" ", value.replace(b"\r\n", b""))
        how = signature.header_canonicalization.encode("ascii")
        tags = {b"a": b"rsa-sha256", b"c": how, b"b": b64encode(signature.signature)}
        self.verify_sig_process(tags, names, (name, value + b"\r\n"), None)  # without bh=: the body is not its business
        return self.pk.fit


# --- signing -----------------------------------------------------------------------------------------------------


class _Made:
    """What nacl's sign returns, as far as dkimpy looks at it."""

    def __init__(self, signature: bytes) -> None:
        self.signature = signature


class _Private:
    """Stands where dkimpy expects a nacl SigningKey."""

    def __init__(self, key: RSAPrivateKey | Ed25519PrivateKey) -> None:
        self._key = key

    def sign(self, digest: bytes) -> _Made:
        if isinstance(self._key, RSAPrivateKey):
            return _Made(self._key.sign(digest, PKCS1v15(), Prehashed(SHA256())))
        return _Made(self._key.sign(digest))


class Signer(dkim.DKIM):  # type: ignore[misc]  # dkimpy ships no types
    """Writes one DKIM-Signature field over header fields that somebody else has parsed."""

    def __init__(self, headers: HeaderPairs) -> None:
        """Take the fields in the order of the message."""
        super().__init__()
        self._all = [(name, value + b"\r\n") for name, value in headers]

    def field(
        self,
        tags: Sequence[tuple[str, str]],
        signed: Sequence[str],
        canonicalization: str,
        key: RSAPrivateKey | Ed25519PrivateKey,
    ) -> bytes:
        """The complete field, folded, with its final CRLF. `tags` in order, without h= and b=, which come last.

        `canonicalization` is the whole of c=.
        """
        names = [name.encode("ascii") for name in signed]
        wanted = frozenset(names)
        self.headers = [pair for pair in self._all if pair[0].lower() in wanted]
        self.hasher = hashlib.sha256
        self.signature_algorithm = b"ed25519-sha256"  # "hand the hash to pk.sign"
        fields = [(name.encode("ascii"), value.encode("ascii")) for name, value in tags]
        fields += [(b"b", b"0" * 60)]  # room that makes dkimpy fold before b= on both of its passes
        policy = CanonicalizationPolicy.from_c_value(canonicalization.encode("ascii"))
        value: bytes = self.gen_header(fields, names, policy, b"DKIM-Signature", _Private(key))
        return b"DKIM-Signature: " + value
