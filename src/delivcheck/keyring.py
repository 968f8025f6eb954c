"""What lies on a disk encrypted: AES-256-GCM under the newest of several keys, bound to the place that it lies in.

A sealed piece is MARK, the key's id, a random nonce, and the ciphertext with its tag. The id says which key opens it, so keys
change without anything being written anew: a new one is put in front, and the old ones stay as long as something needs them.
"""

import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY = 32  # octets: AES-256
ID = 8  # octets of a key's id; whoever has two keys of one id has made them so
NONCE = 12  # octets, random: good for 2**32 pieces under one key (NIST SP 800-38D section 8.3)
TAG = 16
MARK = b"\0dlvsealed1\0"  # no JSON text and no header field begins so
MAX_KEYS = 100  # in one file: one a month for eight years
MAX_FILE = MAX_KEYS * (2 * KEY + 2)  # octets

OVERHEAD = len(MARK) + ID + NONCE + TAG  # octets by which a sealed piece is longer


class BadKeys(ValueError):  # noqa: N818 -- reads well in an except clause
    """Not a file of keys; never shows what is in it."""


class NotOpened(Exception):  # noqa: N818 -- reads well in an except clause
    """A piece that these keys do not open; one clause for the operator."""


class NoKeys(NotOpened):
    """The keys themselves cannot be had; nothing can be sealed, either."""


class UnknownKey(NotOpened):
    """It was sealed with a key that is not among them: it can be opened by who has that one."""


class Keyring:
    """Seals with the first key, opens with that of the id. Raises BadKeys."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY for key in keys):
            raise BadKeys(f"keys of {KEY} octets are wanted")
        self._keys = {_id(key): AESGCM(key) for key in reversed(keys)}
        self._newest = _id(keys[0])

    @classmethod
    def parsed(cls, octets: bytes) -> "Keyring":
        """The keys of a file, 64 hexadecimal digits on each line, the newest first. Raises BadKeys."""
        try:
            keys = [bytes.fromhex(line) for line in octets.decode("ascii").split()]
        except ValueError:
            raise BadKeys(_WANTED) from None
        if not 0 < len(keys) <= MAX_KEYS or any(len(key) != KEY for key in keys):
            raise BadKeys(_WANTED)
        return cls(keys)

    def seal(self, place: str, plain: bytes) -> bytes:
        """The piece, to be opened only as what lies in this place."""
        nonce = os.urandom(NONCE)
        head = MARK + self._newest
        return head + nonce + self._keys[self._newest].encrypt(nonce, plain, head + place.encode())

    def open(self, place: str, piece: bytes) -> bytes:
        """What was sealed. Raises NotOpened."""
        if not is_sealed(piece) or len(piece) < OVERHEAD:
            raise NotOpened("it is cut short")
        head, nonce = piece[: len(MARK) + ID], piece[len(MARK) + ID : len(MARK) + ID + NONCE]
        name = head[len(MARK) :]
        if name not in self._keys:
            raise UnknownKey(f"it is encrypted with the key {name.hex()}, which is not among ours")
        try:
            return self._keys[name].decrypt(nonce, piece[len(head) + NONCE :], head + place.encode())
        except InvalidTag:
            raise NotOpened("it was altered, or is another's") from None

    def __repr__(self) -> str:  # keys must not get into a log by way of a traceback
        return f"Keyring({', '.join(name.hex() for name in self._keys)})"


_WANTED = f"no file of keys, {2 * KEY} hexadecimal digits on each line (openssl rand -hex {KEY})"


def is_sealed(piece: bytes) -> bool:
    """Whether it says that it is."""
    return piece.startswith(MARK)


def _id(key: bytes) -> bytes:
    """A name that says nothing of the key."""
    return hashlib.sha256(b"delivcheck key id 1\0" + key).digest()[:ID]
