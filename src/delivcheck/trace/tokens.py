"""Tokens that only we can have made: for links, pixels, one-click unsubscribing and return paths.

Two forms. A *sealed* one goes into a URL: AES-SIV (RFC 5297), so that it can be neither changed nor read, and the same payload
gives the same token. A *short* one goes into the local part of an address, which has 64 octets and may lose its case on the
way: the payload in plain base 32, with 80 bits of HMAC-SHA256. Both are bound to their purpose: one for a link opens no other
door.

Keys are kept for good, since a link in a receipt must work as long as the receipt is kept: a new one is put in front of them.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from . import files

KEY = 64  # octets: AES-256-SIV
MAC = 10  # octets of a short token's HMAC
MAX_TOKEN = 8_192  # characters of a sealed one: a URL of 2,000 octets, several times
FILE = "tokens.key"  # in the gate's state folder, where no other is configured


class BadToken(ValueError):  # noqa: N818 -- reads well in an except clause
    """Not one of ours, or not for this purpose. Says no more: whoever sends it must learn nothing."""


class Tokens:
    """Makes tokens with the first key, and opens those of all keys (each of 64 octets)."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY for key in keys):
            raise ValueError(f"keys of {KEY} octets are wanted")
        self._keys = tuple(keys)
        self._sealers = tuple(AESSIV(key) for key in keys)

    def sealed(self, purpose: str, payload: bytes) -> str:
        """A token for a URL: letters, digits, "-" and "_", a third longer than the payload and 22 more."""
        return _text(self._sealers[0].encrypt(payload, [purpose.encode()]))

    def opened(self, purpose: str, token: str) -> bytes:
        """The payload. Raises BadToken."""
        if not token or len(token) > MAX_TOKEN or not token.isascii():
            raise BadToken
        try:
            octets = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise BadToken from None
        if _text(octets) != token:  # one spelling: base 64 has bits in its last character that no octet holds
            raise BadToken
        for sealer in self._sealers:
            try:
                return sealer.decrypt(octets, [purpose.encode()])
            except (InvalidTag, ValueError):
                continue
        raise BadToken

    def short(self, purpose: str, payload: bytes) -> str:
        """A token for a local part: a-z and 2-7, 8 characters for every 5 octets of payload and MAC."""
        return _local(payload + _mac(self._keys[0], purpose, payload))

    def short_opened(self, purpose: str, token: str) -> bytes:
        """The payload; case does not matter. Raises BadToken."""
        if not token.isascii() or len(token) > MAX_TOKEN:
            raise BadToken
        try:
            octets = base64.b32decode(token.upper() + "=" * (-len(token) % 8))
        except (binascii.Error, ValueError):
            raise BadToken from None
        if _local(octets) != token.lower():
            raise BadToken
        payload, mac = octets[:-MAC], octets[-MAC:]
        matches = [hmac.compare_digest(mac, _mac(key, purpose, payload)) for key in self._keys]
        if not payload or not any(matches):
            raise BadToken
        return payload


def _text(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _local(octets: bytes) -> str:
    return base64.b32encode(octets).rstrip(b"=").decode().lower()


def _mac(key: bytes, purpose: str, payload: bytes) -> bytes:
    return hmac.digest(key, b"delivcheck short 1\0" + purpose.encode() + b"\0" + payload, hashlib.sha256)[:MAC]


def load(path: Path, *, make: bool = False) -> Tokens:
    """The keys of a file, one in hexadecimal on each line, the newest first. `make`: a missing file is made, mode 0600.

    Raises OSError, and ValueError for a file that holds something else.
    """
    if make:
        _made(path)
    try:
        return Tokens([bytes.fromhex(line) for line in path.read_text("ascii").split()])
    except ValueError as error:
        raise ValueError(f"{path}: no file of token keys, 128 hexadecimal digits on each line") from error


def _made(path: Path) -> None:
    """Make the file where there is none; who comes at the same time finds the same keys. Raises OSError."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(files.made(draft), "w") as file:
            file.write(f"{secrets.token_hex(KEY)}\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)
