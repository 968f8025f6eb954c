"""-bs: an SMTP server on standard input and output, over the gate's own state machine, without AUTH and TLS."""

import asyncio
import contextlib
import os
from dataclasses import replace

from ...gate.model import MailFrom, RcptTo
from ...gate.ports import Unready
from ...gate.reply import Reply
from ...gate.settings import Kind, Limits
from ...gate.smtp.events import Ended, Event, Hello, Mail, Message, Rcpt, Reset
from ...gate.smtp.limits import Load
from ...gate.smtp.protocol import Options
from ...gate.smtp.protocol import Session as Dialogue
from ..errors import MessageStopped
from ..guard import Guard, Unmade
from . import compose, nexthop
from .running import HOOK, not_sent
from .sysexits import NotSent

PIECE = 65_536  # octets read at a time

_OK = Reply(250, "2.0.0", "Ok")


class Session:
    """One dialogue, with any number of messages. Recipients are looked at by the next hop when the message is sent."""

    def __init__(self, guard: Guard | Unmade, way: nexthop.Way, name: str) -> None:
        """`name` is ours, in the greeting."""
        limits = Limits()
        self._guard, self._way, self._name = guard, way, name
        self._dialogue = Dialogue(Options(name, Kind.SMTP, limits, secure=True, trusted=True), Load(limits))
        self._sender = MailFrom("")
        self._recipients: list[RcptTo] = []

    async def run(self, reading: int, writing: int) -> None:
        """Talk over two file descriptors until QUIT, or until the caller is gone."""
        dialogue = self._dialogue
        dialogue.open()
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                while not isinstance(event := dialogue.next_event(), Ended):
                    if event is not None:
                        await self._answer(event)
                        continue
                    _write(writing, dialogue.output())
                    octets = await asyncio.to_thread(os.read, reading, PIECE)
                    dialogue.receive(octets) if octets else dialogue.end_of_input()
                _write(writing, dialogue.output())
        finally:
            await self._way.close()

    async def _answer(self, event: Event) -> None:
        dialogue = self._dialogue
        match event:
            case Hello():
                self._recipients = []
                try:
                    dialogue.greet(await self._way.extensions())
                except Unready as unready:
                    dialogue.refuse(unready.reply)
            case Mail(sender):
                self._sender, self._recipients = sender, []
                dialogue.answer(_OK)
            case Rcpt(recipient):
                self._recipients.append(recipient)
                dialogue.answer(_OK)
            case Message(octets):
                dialogue.answer(await self._message(octets))
            case Reset():
                dialogue.done()
            case _:  # there is neither TLS nor AUTH here, and nobody is listed for XCLIENT
                raise AssertionError(event)

    async def _message(self, octets: bytes) -> Reply:
        """Judge and send; what the caller is told."""
        address = self._sender.address
        try:
            octets = compose.completed(octets, compose.Author(address or f"MAILER-DAEMON@{self._name}", "", self._name))
            letter = nexthop.Letter(octets, address, tuple(self._recipients), self._sender.ret, self._sender.envid)
            names = [one.address for one in letter.recipients]
            ruling = await self._guard.check_async(octets, address, names, smtputf8=letter.smtputf8, hook=HOOK)
            said = await self._way.send(letter)
        except MessageStopped as stopped:
            return not_sent(stopped).reply
        except NotSent as error:
            return replace(error.reply, text=str(error))
        return Reply(250, "2.0.0", f"{said} ({ruling.trace})")


def _write(descriptor: int, octets: bytes) -> None:
    while octets:
        octets = octets[os.write(descriptor, octets) :]
