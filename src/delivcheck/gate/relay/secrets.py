"""Credentials for a next hop: read from where the configuration says, kept until they fail once."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

from ..settings import Secret

COMMAND = 10.0  # seconds a command may take to print a secret; token helpers ask a server, and somebody waits for us
KILLED = 1.0  # seconds for its end after that
MAX_SECRET = 8_192  # octets; what fits into an AUTH line of 12,288 octets (RFC 4954 section 4) after base64


class NoSecret(Exception):  # noqa: N818 -- reads well in an except clause
    """The secret cannot be had; the text names the place, never a value."""


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
    if where.file is not None:
        octets = await asyncio.to_thread(_file, where.file)
        place = f"file {where.file}"
    elif where.environment is not None:
        octets = os.environb.get(where.environment.encode(), b"")
        place = f"environment variable {where.environment}"
    elif where.command:
        octets = await _printed(where.command)
        place = f"command {where.command[0]}"
    else:
        raise NoSecret("no place is named for the secret")
    try:
        text = octets.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise NoSecret(f"{place}: not UTF-8") from None
    if not text or len(octets) > MAX_SECRET or any(char in text for char in "\0\r\n"):
        raise NoSecret(f"{place}: not one line of at most {MAX_SECRET} octets")
    return text


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_SECRET + 1)
    except OSError as error:
        raise NoSecret(f"file {path}: {error.strerror}") from None


async def _printed(command: tuple[str, ...]) -> bytes:
    """What the command printed. Its error output goes where ours does, since that is where a person looks for it."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, start_new_session=True
        )
    except OSError as error:
        raise NoSecret(f"command {command[0]}: {error.strerror}") from None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(COMMAND):
            octets = bytearray()
            while len(octets) <= MAX_SECRET and (piece := await process.stdout.read(MAX_SECRET)):
                octets += piece
            if len(octets) <= MAX_SECRET and await process.wait() != 0:
                raise NoSecret(f"command {command[0]}: exit code {process.returncode}")
            return bytes(octets)
    except TimeoutError:
        raise NoSecret(f"command {command[0]}: nothing within {COMMAND:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its own group: a shell's children, too
            with contextlib.suppress(TimeoutError):  # asyncio takes it for ended when its output is, too
                async with asyncio.timeout(KILLED):
                    while await process.stdout.read(MAX_SECRET):
                        pass
                    await process.wait()
