"""Hands a judged message on: to a server by SMTP or LMTP, or to another sendmail. All of its recipients get it, or none.

One exit code can say only one thing, and whoever is told "not sent" sends again: so a recipient who is refused keeps the
message from the others, as msmtp has it. Behind LMTP, which answers for each recipient at the end, the text says who has it.
"""

import asyncio
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ...gate.model import Client, Extensions, MailFrom, RcptTo
from ...gate.ports import Outgoing, Uncertain, Unready
from ...gate.relay import commands
from ...gate.relay.relay import NextHops
from ...gate.reply import Reply, printable
from ...gate.settings import NextHop
from .settings import Sendmail
from .sysexits import Exit, NotSent, of

LOOP = "DELIVCHECK_SENDMAIL"  # in the environment of the other sendmail: it may turn out to be we ourselves
SENDING = 300.0  # seconds for DATA and the message: what RFC 5321 section 4.5.3.2 gives its parts, and fewer than all of them

_CLIENT = Client(None, protocol="sendmail")


@dataclass(frozen=True, slots=True)
class Letter:
    """What is handed on: octets with CRLF, the envelope, and what is asked of delivery notifications."""

    octets: bytes
    sender: str
    recipients: tuple[RcptTo, ...]
    ret: str | None = None
    envid: str | None = None

    @property
    def smtputf8(self) -> bool:
        """Whether an address is beyond ASCII."""
        return not (self.sender.isascii() and all(one.address.isascii() for one in self.recipients))

    @property
    def mail(self) -> MailFrom:
        """What MAIL says."""
        body = "7BIT" if self.octets.isascii() else "8BITMIME"
        return MailFrom(self.sender, len(self.octets), body, self.smtputf8, self.ret, self.envid)


class Way(Protocol):
    """A way to the next hop. For one message, or for those of one session, each after the other."""

    async def extensions(self) -> Extensions:
        """What it can. Raises Unready."""
        ...

    async def send(self, letter: Letter) -> str:
        """Send to all; what the next hop said. Raises NotSent."""
        ...

    async def close(self) -> None:
        """Nothing more comes."""
        ...


def way(settings: Sendmail) -> Way:
    """The way that the configuration names. Raises NotSent."""
    if isinstance(settings.next_hop, tuple):
        return Program(settings.next_hop)
    return Server(settings.next_hop, settings.domain)


class Server:
    """By SMTP or LMTP, as the gate relays."""

    def __init__(self, hop: NextHop, name: str) -> None:
        """`name` is ours, in EHLO. Raises NotSent."""
        self._hop = hop
        try:
            self._hops = NextHops([hop], name)
        except OSError as error:
            raise NotSent(Exit.CONFIG, f"{hop.ca_file}: {error.strerror or error}") from None

    async def extensions(self) -> Extensions:
        """As of its EHLO."""
        return await self._hops.extensions()

    async def send(self, letter: Letter) -> str:
        """One transaction."""
        if not commands.relayable(letter.octets):  # nobody says where its lines end: the next hop might find another message
            raise NotSent(Exit.DATAERR, "a bare CR stands in the message, which SMTP does not carry")
        try:
            outgoing = await self._hops.open(self._hop.name, letter.mail, _CLIENT)
            try:
                await _offer(outgoing, letter)
                replies = await outgoing.send(letter.octets, _nothing, time.monotonic() + SENDING)
            finally:
                await outgoing.abort()  # of what is over already it does nothing
        except Unready as unready:
            raise NotSent(Exit.TEMPFAIL, f"{self._hop.name}: {_shown(unready.reply)}", unready.reply) from None
        except Uncertain as uncertain:
            raise NotSent(Exit.TEMPFAIL, f"{self._hop.name}: {uncertain}; it may have the message all the same") from None
        return _outcome(letter, replies)

    async def close(self) -> None:
        """Say goodbye."""
        await self._hops.close()


async def _offer(outgoing: Outgoing, letter: Letter) -> None:
    """Name every recipient. Raises NotSent where one is refused."""
    refused: list[tuple[RcptTo, Reply]] = []
    for recipient in letter.recipients:
        reply = await outgoing.rcpt(recipient)
        if not reply.positive:
            refused.append((recipient, reply))
    if refused:
        raise _refused(refused, "")


def _outcome(letter: Letter, replies: Sequence[Reply]) -> str:
    """What was said at the end: by SMTP once, by LMTP of each recipient. Raises NotSent."""
    if len(replies) == 1:
        if replies[0].positive:
            return _shown(replies[0])
        raise NotSent(of(replies[0]), f"the next hop says {replies[0]}", replies[0])
    refused = [(one, reply) for one, reply in zip(letter.recipients, replies, strict=True) if not reply.positive]
    if not refused:
        return _shown(replies[0])
    have = [one.address for one, reply in zip(letter.recipients, replies, strict=True) if reply.positive]
    raise _refused(refused, f"; it was sent to {', '.join(have)}" if have else "")


def _refused(refused: Sequence[tuple[RcptTo, Reply]], rest: str) -> NotSent:
    """What to say of recipients who were refused; for good goes before for now."""
    recipient, reply = next((one for one in refused if one[1].permanent), refused[0])
    more = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
    return NotSent(of(reply), f"{recipient.address}{more}: the next hop says {reply}{rest}", reply)


def _shown(reply: Reply) -> str:
    return printable(reply.text)


async def _nothing() -> None:
    """Nothing is to be written down before the final dot."""


class Program:
    """By another sendmail(8)."""

    def __init__(self, command: Sequence[str]) -> None:
        """`command` and its first arguments. Raises NotSent."""
        if os.environ.get(LOOP):
            raise NotSent(Exit.CONFIG, f"{command[0]}: the next hop is delivcheck sendmail itself")
        self._command = command

    async def extensions(self) -> Extensions:
        """A sendmail says no."""
        return Extensions(eight_bit=True, smtputf8=True, dsn=True)

    async def send(self, letter: Letter) -> str:
        """Run it once."""
        return await asyncio.to_thread(self._run, letter)

    async def close(self) -> None:
        """Nothing is left of it."""

    def _run(self, letter: Letter) -> str:
        local = letter.octets.replace(b"\r\n", b"\n")
        program = self._command[0]
        try:
            # Its words go to our stderr: our own stdout may be an SMTP dialogue.
            done = subprocess.run(  # noqa: S603 -- the administrator's command; no shell, and addresses behind "--"
                self._arguments(letter), input=local, stdout=2, env={**os.environ, LOOP: "1"}, check=False
            )
        except (OSError, ValueError) as error:
            raise NotSent(Exit.TEMPFAIL, f"{program}: {error.strerror if isinstance(error, OSError) else error}") from None
        if done.returncode == 0:
            return program
        if done.returncode < 0:
            raise NotSent(Exit.TEMPFAIL, f"{program} was ended by signal {-done.returncode}")
        known = done.returncode in Exit.__members__.values()
        code = Exit(done.returncode) if known else Exit.UNAVAILABLE
        raise NotSent(code, f"{program} says {code.name if known else 'no'} (exit code {done.returncode})")

    def _arguments(self, letter: Letter) -> list[str]:
        """The command line. Raises NotSent.

        What begins with "-" is no option behind "--", and yet one to the sendmails that know no "--".
        """
        addresses = [one.address for one in letter.recipients]
        if bad := next((one for one in (letter.sender, *addresses) if one.startswith("-")), None):
            raise NotSent(Exit.DATAERR, f"{bad}: an address that begins with a hyphen is not given to another program")
        words = [*self._command]
        if not {"-i", "-oi"} & set(words):
            words.append("-i")  # a line of one dot ends nothing any more
        words += ["-f", letter.sender or "<>"]
        notify = next((one.notify for one in letter.recipients if one.notify), ())
        for option, value in (("-N", ",".join(notify).lower()), ("-R", (letter.ret or "").lower()), ("-V", letter.envid or "")):
            if value:
                words += [option, value]
        return [*words, "--", *addresses]
