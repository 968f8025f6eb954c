"""Credentials for a next hop: read from where the configuration says, kept until they fail once."""

import asyncio

from ..secret import NoSecret, place, read
from ..settings import Secret

MAX_SECRET = 8_192  # octets; what fits into an AUTH line of 12,288 octets (RFC 4954 section 4) after base64


class Kept:
    """A secret that is read once, and again after `forget`: tokens expire, passwords change while we run."""

    def __init__(self, where: Secret) -> None:
        self._where = where
        self._value: str | None = None
        self._reading = asyncio.Lock()  # one command at a time, however many connections want its output

    async def value(self) -> str:
        """The secret. Raises NoSecret."""
        async with self._reading:
            if self._value is None:
                self._value = await _read(self._where)
            return self._value

    def forget(self, value: str) -> None:
        """This value was refused: the next one to ask has it read anew, unless somebody else already did."""
        if self._value == value:
            self._value = None

    def __repr__(self) -> str:  # a value must not get into a log by way of a traceback
        return f"Kept({self._where!r})"


async def _read(where: Secret) -> str:
    octets = await asyncio.to_thread(read, where, MAX_SECRET)
    try:
        text = octets.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise NoSecret(f"{place(where)}: not UTF-8") from None
    if not text or any(char in text for char in "\0\r\n"):
        raise NoSecret(f"{place(where)}: not one line")
    return text


__all__ = ["Kept", "NoSecret"]
