"""Hands in what comes by HTTP, as a client of our own SMTP side would: the same rules, limits, journal and next hops.

There is no second way for mail through the gate. Each copy goes through transactions of `transaction.Transactions`; recipients
that are told to come again in a transaction of their own (452 4.5.3) do, at once.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address

from .. import ulid
from .delivery import LATE
from .desk import Conflicting, Copy, Said, Underway
from .held import HeldError
from .journal import Conflict, InProgress, JournalError
from .model import Action, Client, Credential, Incoming, MailFrom, Outcome, RcptTo
from .ports import Unready
from .release import Releaser
from .reply import Reply
from .settings import Listener
from .transaction import Reception, Transactions

AT_ONCE = 8  # transactions of one request that are open at the same time: of a next hop's connections, which are 20

_FAULT = Reply(451, "4.3.0", "the gate failed here, please try again")


class Submission:
    """The `desk.Handing` over a worker's own reception, for one HTTP listener."""

    def __init__(self, reception: Reception, listener: Listener, releaser: Releaser | None) -> None:
        self._reception, self._listener, self._releaser = reception, listener, releaser

    async def submit(
        self, credential: Credential, sender: str, copies: Sequence[Copy], *, ip: str | None = None, key: str | None = None
    ) -> list[Said]:
        """Judge and send. Raises Conflicting, Underway, and nothing else."""
        room = asyncio.Semaphore(AT_ONCE)
        client = self._client(credential, ip)

        async def one(number: int, copy: Copy) -> list[Said]:
            async with room:
                own = None if key is None else f"{key} {number}" if len(copies) > 1 else key
                return await self._copy(client, sender, copy, own)

        done = await asyncio.gather(*(one(*pair) for pair in enumerate(copies)), return_exceptions=True)
        said: list[Said] = []
        for copy, found in zip(copies, done, strict=True):
            if isinstance(found, list):
                said += found
            elif isinstance(found, (Conflicting, Underway)):
                raise found
            elif isinstance(found, Exception):
                self._reception.watch("fault", where="submission", reason=f"{type(found).__name__}: {found}")
                said += [Said(address, "", _FAULT, ours=True) for address in copy.recipients]
            else:
                raise found
        return said

    async def _copy(self, client: Client, sender: str, copy: Copy, key: str | None) -> list[Said]:
        """One content, in as many transactions as it takes."""
        said: dict[str, Said] = {}
        left = list(dict.fromkeys(copy.recipients))
        while left:
            handler = self._reception.transactions(self._listener)
            handler.key = key
            told, left = await self._transaction(handler, replace(client), sender, copy.octets, left)
            said.update((one.recipient, one) for one in told)
        return [said[address] for address in dict.fromkeys(copy.recipients)]

    async def _transaction(
        self, handler: Transactions, client: Client, sender: str, octets: bytes, addresses: Sequence[str]
    ) -> tuple[list[Said], list[str]]:
        """One transaction: what was said of those it took or refused, and who is to come again."""
        deadline = self._reception.gate.deadline
        smtputf8 = not (sender.isascii() and all(address.isascii() for address in addresses))
        mail = MailFrom(sender, size=len(octets), body="8BITMIME", smtputf8=smtputf8)
        reply = await handler.mail(client, mail)
        if not reply.positive:
            return [Said(address, _named(reply), reply, ours=True) for address in addresses], []
        taken: list[str] = []
        said: list[Said] = []
        again: list[str] = []
        try:
            async with asyncio.timeout(deadline):
                for address in addresses:
                    reply = await handler.rcpt(client, RcptTo(address))
                    if reply.positive:
                        taken.append(address)
                    elif taken and (reply.code, reply.enhanced) == (452, "4.5.3"):
                        again.append(address)
                    else:
                        said.append(Said(address, handler.trace, reply, ours=bool(_named(reply))))
        except TimeoutError:  # a next hop that is silent at RCPT: nobody has anything
            trace = handler.trace
            await handler.reset(client)
            return [Said(address, trace, LATE, ours=True) for address in addresses], []
        except BaseException:
            await handler.reset(client)
            raise
        if not taken:
            await handler.reset(client)
            return said, again
        replies = list(await handler.message(client, octets))
        await handler.replied(client, written=True)
        passage = handler.passage
        assert passage is not None
        if isinstance(passage.earlier, Conflict):
            raise Conflicting
        if isinstance(passage.earlier, InProgress) and handler.key is not None:
            raise Underway
        if len(replies) == 1:
            replies *= len(taken)
        outcome = passage.outcome
        held = outcome is not None and outcome.decision.action is Action.HOLD
        sending = outcome is not None and outcome.decision.action is Action.SEND
        said += [
            Said(address, _named(reply) or passage.trace, reply, held and reply.positive, not sending, outcome)
            for address, reply in zip(taken, replies, strict=True)
        ]
        return said, again

    async def check(self, credential: Credential, sender: str, copy: Copy, *, ip: str | None = None) -> Outcome:
        """Judge, and send nothing: nothing is in the journal, nor in the trace."""
        relay = self._reception.relay
        try:
            next_hop: str | None = relay.route(copy.recipients[0]) if copy.recipients else None
        except LookupError:
            next_hop = None
        return await self._reception.pipeline.process(
            Incoming(
                copy.octets,
                sender,
                copy.recipients,
                self._client(credential, ip),
                ulid.new(),
                datetime.now(UTC),
                next_hop=next_hop,
                stream=self._listener.stream,
                signed_later=self._listener.pre_sign,
            )
        )

    async def release(self, trace: str, *, who: str) -> Said:  # noqa: ARG002 -- the contract's
        """Release held mail: the same octets, judged again. Raises held.HeldError."""
        if self._releaser is None:
            raise HeldError("holding is off: there is no [gate.hold]")
        try:
            done = await self._releaser.release(trace)
        except (JournalError, Unready) as error:
            raise HeldError(f"not just now: {error}") from error
        if done.left:
            reply = next((reply for _, reply in done.replies if not reply.positive), done.decision.reply)
            return Said(", ".join(done.left), trace, reply, held=True)
        reply = next((reply for _, reply in done.replies), done.decision.reply)
        return Said(", ".join(address for address, _ in done.replies), trace, reply)

    def _client(self, credential: Credential, ip: str | None) -> Client:
        return Client(
            None if ip is None else ip_address(ip), listener=self._listener.name, protocol="HTTP", credential=credential
        )


def _named(reply: Reply) -> str:
    """The trace that a reply of ours names, in front or at its end, of a replay the first one's; "" where it names none."""
    words = (reply.text.partition(" ")[0], reply.text.rpartition("(")[2].rstrip(")"), reply.text.rpartition(" ")[2])
    return next((word for word in words if ulid.valid(word)), "")
