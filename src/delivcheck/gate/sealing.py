"""The keys for what lies on our disks encrypted, from where the configuration says they are: read when first needed, and kept.

A key that was put in front while we run is found as soon as something comes that it sealed; what we seal ourselves meanwhile is
sealed with the one that was newest when we began, which opens it as well.
"""

import threading
import time

from ..keyring import MAX_FILE, BadKeys, Keyring, NoKeys, UnknownKey
from . import secret
from .secret import NoSecret
from .settings import Secret

AGAIN = 10.0  # seconds between two looks for the keys: a list of things that we cannot open must not run a command for each


class Sealing:
    """One for each place where a key is named. Blocks; safe from several threads at once."""

    def __init__(self, where: Secret) -> None:
        self._where = where
        self._found: Keyring | NoKeys | None = None
        self._looked = 0.0
        self._looking = threading.Lock()  # one command at a time

    def check(self) -> None:
        """Whether there are keys. Raises keyring.NoKeys."""
        self._ring()

    def seal(self, place: str, plain: bytes) -> bytes:
        """A piece for this place. Raises keyring.NoKeys."""
        return self._ring().seal(place, plain)

    def open(self, place: str, piece: bytes) -> bytes:
        """What was sealed for this place. Raises keyring.NotOpened; NoKeys is one."""
        ring = self._ring()
        try:
            return ring.open(place, piece)
        except UnknownKey:
            return self._ring(beyond=ring).open(place, piece)

    def _ring(self, beyond: Keyring | None = None) -> Keyring:
        """The keys; looked for anew where there are none, or still those that did not do. Raises keyring.NoKeys."""
        with self._looking:
            lacking = not isinstance(self._found, Keyring) or self._found is beyond
            if self._found is None or (lacking and time.monotonic() - self._looked >= AGAIN):
                self._found = _read(self._where) if beyond is None else _or(_read(self._where), beyond)
                self._looked = time.monotonic()
            if isinstance(self._found, NoKeys):
                raise NoKeys(str(self._found))
            return self._found


def _read(where: Secret) -> Keyring | NoKeys:
    try:
        return Keyring.parsed(secret.read(where, MAX_FILE))
    except NoSecret as error:
        return NoKeys(str(error))
    except BadKeys as error:
        return NoKeys(f"{secret.place(where)}: {error}")


def _or(found: Keyring | NoKeys, kept: Keyring) -> Keyring:
    """Keys that cannot be read just now are no reason to forget those that we have."""
    return kept if isinstance(found, NoKeys) else found
