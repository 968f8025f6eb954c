"""DKIM keys: read from where the operator keeps them, chosen by domain, made anew, and the records that publish them."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...facts.signing import SigningError, SigningKey, check, load_private
from ...records.dkim import key_name
from ...records.names import BadName, parents, to_ascii
from .. import secret, settings
from ..settings import Secret
from .errors import PreparationError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

MAX_PEM = 65_536  # octets that are read; an RSA key of 16,384 bits has 13,000
USUAL_BITS = 2048  # RFC 8301 section 3.2: signers SHOULD use at least this
MAX_BITS = 4096  # of a key we make; RFC 8301 section 3.2: verifiers must handle up to 4,096
MIN_BITS = 1024  # the same section: signers MUST use at least this
STRING = 255  # octets of one character-string of a TXT record (RFC 1035 section 3.3)


@dataclass(frozen=True, slots=True)
class Key:
    """A key that can sign; `record` is what DNS must publish for it at `name`."""

    signing: SigningKey
    algorithm: str  # a=: rsa-sha256 or ed25519-sha256
    record: str

    @property
    def name(self) -> str:
        """Where in DNS its record belongs."""
        return key_name(self.signing.selector, self.signing.domain)


@dataclass(frozen=True, slots=True)
class Keyring:
    """All keys, by domain (lower-case A-labels), in the configuration's order: the first one's signature is the topmost."""

    by_domain: Mapping[str, tuple[Key, ...]] = field(default_factory=dict)

    def nearest(self, domain: str) -> tuple[Key, ...]:
        """The keys of the domain, or of its nearest parent that has any: that is d= (aligned under relaxed DMARC)."""
        return next((self.by_domain[name] for name in (domain, *parents(domain)) if name in self.by_domain), ())

    def __bool__(self) -> bool:
        return bool(self.by_domain)

    def __iter__(self) -> Iterator[Key]:
        return (key for keys in self.by_domain.values() for key in keys)


def load(wanted: Iterable[settings.SigningKey]) -> Keyring:
    """Read all keys; blocks. Raises PreparationError, which names the key by selector and domain and never shows any of it."""
    found: dict[str, list[Key]] = {}
    for one in wanted:
        shown = f"DKIM key {one.selector}._domainkey.{one.domain}"
        try:
            domain, selector = to_ascii(one.domain), to_ascii(one.selector)
            key = usable(SigningKey(domain, selector, read(one.secret)))
        except (BadName, SigningError, PreparationError) as error:
            raise PreparationError(f"{shown}: {error}") from None
        keys = found.setdefault(domain, [])
        if any(other.signing.selector == selector for other in keys):
            raise PreparationError(f"{shown}: it is configured twice")
        keys.append(key)
    return Keyring({domain: tuple(keys) for domain, keys in found.items()})


def usable(signing: SigningKey) -> Key:
    """The key with what belongs to it. Raises SigningError where it cannot be read, or is too short to sign with."""
    return Key(signing, check(signing), record(load_private(signing.pem)[0]))


# --- where keys are kept ---------------------------------------------------------------------------------------------


def read(where: Secret) -> bytes:
    """What a key's file, environment variable or command gives. Raises PreparationError."""
    try:
        octets = secret.read(where, MAX_PEM)
    except secret.NoSecret as error:
        raise PreparationError(str(error)) from None
    if where.environment is not None and b"\n" not in octets.strip():  # a .env file has one line for it
        octets = octets.replace(b"\\n", b"\n")
    return octets


# --- keys and records ------------------------------------------------------------------------------------------------


def new(kind: str, bits: int = USUAL_BITS) -> bytes:
    """A new private key as PKCS #8 PEM, `kind` "rsa" or "ed25519". Raises PreparationError for a size not to be used."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    made: RSAPrivateKey | Ed25519PrivateKey
    if kind == "ed25519":
        made = ed25519.Ed25519PrivateKey.generate()
    elif MIN_BITS <= bits <= MAX_BITS:
        made = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    else:
        raise PreparationError(f"an RSA key must have {MIN_BITS} to {MAX_BITS} bits")
    return made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def record(key: "RSAPrivateKey | Ed25519PrivateKey") -> str:
    """The TXT record's text: SubjectPublicKeyInfo for RSA (RFC 6376 section 3.6.1), 32 octets for Ed25519 (RFC 8463)."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if isinstance(key, Ed25519PrivateKey):
        kind, raw = "ed25519", key.public_key().public_bytes_raw()
    else:
        kind = "rsa"
        raw = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k={kind}; p={base64.b64encode(raw).decode('ascii')}"


def zone_line(name: str, text: str) -> str:
    """A record as a zone file has it, its name absolute, the text in strings of at most 255 octets."""
    strings = [text[at : at + STRING] for at in range(0, len(text), STRING)]
    if len(strings) == 1:
        return f'{name}. IN TXT "{text}"'
    return "\n".join([f"{name}. IN TXT (", *(f'    "{one}"' for one in strings), ")"])


def form_lines(name: str, text: str) -> str:
    """The same for who types it into a provider's form, as comments of a zone file: both can be printed together."""
    return (
        "; In a provider's form: type TXT, and this name (without the domain at its end, where the form adds that itself)\n"
        f";   {name}\n"
        "; with this value, in one line and without quotation marks:\n"
        f";   {text}"
    )
