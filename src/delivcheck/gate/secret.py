"""Secrets: read from the file, environment variable or command that the configuration names. Never shows a value."""

import asyncio
import contextlib
import os
import selectors
import signal
import subprocess
import time

from .settings import Secret

COMMAND = 10.0  # seconds a command has: systemd-creds, a vault's client, a token helper that asks its server; somebody waits


class NoSecret(Exception):  # noqa: N818 -- reads well in an except clause
    """The secret cannot be had; one clause that names the place, never a value."""


def read(secret: Secret, most: int) -> bytes:
    """What the place gives, at most so many octets, and something. Blocks. Raises NoSecret."""
    where, octets = _read(secret, most)
    if not octets.strip():
        raise NoSecret(f"{where} gives nothing")
    if len(octets) > most:
        raise NoSecret(f"{where} gives more than {most} octets")
    return octets


class Kept:
    """A secret in one line that is read once, and again after `forget`: tokens expire, passwords change while we run."""

    def __init__(self, where: Secret, most: int) -> None:
        self._where, self._most = where, most
        self._value: str | None = None
        self._reading = asyncio.Lock()  # one command at a time, however many connections want its output

    async def value(self) -> str:
        """The secret. Raises NoSecret."""
        async with self._reading:
            if self._value is None:
                self._value = _line(self._where, await asyncio.to_thread(read, self._where, self._most))
            return self._value

    def forget(self, value: str) -> None:
        """This value was refused: the next one to ask has it read anew, unless somebody else already did."""
        if self._value == value:
            self._value = None

    def __repr__(self) -> str:  # a value must not get into a log by way of a traceback
        return f"Kept({self._where!r})"


def _line(where: Secret, octets: bytes) -> str:
    try:
        text = octets.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise NoSecret(f"{place(where)}: not UTF-8") from None
    if not text or any(char in text for char in "\0\r\n"):
        raise NoSecret(f"{place(where)}: not one line")
    return text


def place(secret: Secret) -> str:
    """Where it is, in words."""
    if secret.file is not None:
        return str(secret.file)
    if secret.environment is not None:
        return f"the environment variable {secret.environment}"
    return f"the command {secret.command[0]}" if secret.command else "the configuration"


def _read(secret: Secret, most: int) -> tuple[str, bytes]:
    where = place(secret)
    if secret.file is not None:
        try:
            with secret.file.open("rb") as file:
                return where, file.read(most + 1)
        except OSError as error:
            raise NoSecret(f"{where} cannot be read: {error.strerror or error}") from None
    if secret.environment is not None:
        octets = os.environb.get(secret.environment.encode())
        if octets is None:
            raise NoSecret(f"{where} is not set")
        return where, octets
    if secret.command:
        return where, _printed(secret.command, where, most)
    raise NoSecret("neither a file nor an environment variable nor a command is named")


def _printed(command: tuple[str, ...], where: str, most: int) -> bytes:
    """What the command printed. Its error output goes where ours does, since that is where a person looks for it."""
    try:
        process = subprocess.Popen(  # noqa: S603 -- the operator's own command, without a shell
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
        )
    except (OSError, ValueError) as error:
        raise NoSecret(f"{where} cannot be run: {getattr(error, 'strerror', None) or error}") from None
    with process:
        try:
            octets = _output(process, most)
            if octets is None:
                raise NoSecret(f"{where} took more than {COMMAND:g} seconds")
            if len(octets) <= most and process.wait(COMMAND) != 0:
                raise NoSecret(f"{where} ended with {process.returncode}")
            return octets
        except subprocess.TimeoutExpired:
            raise NoSecret(f"{where} took more than {COMMAND:g} seconds") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its own group: a shell's children, too


def _output(process: "subprocess.Popen[bytes]", most: int) -> bytes | None:
    """All that it prints, up to one octet too many; None where it takes too long."""
    assert process.stdout is not None
    end, octets = time.monotonic() + COMMAND, b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while len(octets) <= most:
            if not selector.select(max(end - time.monotonic(), 0)):
                return None
            piece = os.read(process.stdout.fileno(), most + 1)
            if not piece:
                break
            octets += piece
    return octets
