"""The showcase's next hop: takes all mail, and refuses or puts off what its address asks for; the mail goes nowhere."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_LINE = 65_536  # octets
ANSWERS = {  # by the beginning of a recipient's local part
    "gone": "550 5.1.1 The account does not exist",
    "full": "452 4.2.2 The mailbox is full",
    "spam": "550 5.7.1 The content was taken for spam",
}


@dataclass(slots=True)
class Taken:
    """A message with its envelope."""

    mail_from: str
    rcpt_to: list[str] = field(default_factory=list)
    octets: bytes = b""


class Sink:
    """An SMTP server for one client that knows the protocol: our own relay."""

    def __init__(self, taken: Callable[[Taken], None]) -> None:
        self._taken, self._count = taken, 0

    async def serve(self, host: str) -> tuple[asyncio.Server, int]:
        """Listen on a port of the kernel's choice, which is returned."""
        server = await asyncio.start_server(self._session, host, 0, limit=MAX_LINE)
        return server, server.sockets[0].getsockname()[1]

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        message = Taken("")

        def say(text: str) -> None:
            writer.write(text.encode() + b"\r\n")

        say("220 sink.example ESMTP, which keeps nothing")
        try:
            while line := await reader.readline():
                verb, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
                match verb.upper():
                    case "EHLO" | "HELO":
                        say("250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES")
                        say("250 SIZE 36700160")
                    case "MAIL":
                        message = Taken(_path(rest))
                        say("250 2.1.0 ok")
                    case "RCPT":
                        address = _path(rest)
                        refusal = next((text for start, text in ANSWERS.items() if address.startswith(start)), None)
                        if refusal is None:
                            message.rcpt_to.append(address)
                        say(refusal or "250 2.1.5 ok")
                    case "DATA":
                        say("354 go on")
                        await writer.drain()
                        message.octets = await _data(reader)
                        self._count += 1
                        say(f"250 2.0.0 queued as DEMO{self._count:06}")
                        self._taken(message)
                    case "QUIT":
                        say("221 2.0.0 bye")
                        break
                    case _:
                        say("250 2.0.0 ok")
                await writer.drain()
        except (OSError, ValueError, EOFError):
            pass
        finally:
            writer.close()


def _path(rest: str) -> str:
    return rest.partition("<")[2].partition(">")[0]


async def _data(reader: asyncio.StreamReader) -> bytes:
    lines = []
    while (line := await reader.readline()) not in {b".\r\n", b""}:
        lines.append(line.removeprefix(b"."))
    return b"".join(lines)
