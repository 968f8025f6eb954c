"""One transaction with a next hop: recipients, the message, what became of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from ..model import Client, MailFrom, RcptTo
from ..ports import Uncertain, Unready
from ..profiles import PROFILES
from ..reply import Reply
from ..settings import CONNECTION_REST
from . import commands
from .connection import DATA, RSET, TERMINATION, Connection, Insecure, Lost
from .dial import NotLoggedIn
from .hop import Hop
from .pool import Full

LET_GO = CONNECTION_REST
ANSWER = 240.0  # seconds for all that one RCPT of the client sets off: it waits 300 (RFC 5321 section 4.5.3.2.3)


async def begun(hop: Hop, sender: MailFrom, client: Client) -> "Delivery":
    """A transaction on a pooled or new connection. Raises Unready."""
    try:
        async with asyncio.timeout(ANSWER):
            connection, reused = await hop.pool.take()
    except (Lost, Full, TimeoutError) as why:
        raise Unready(_unready(why)) from None
    return Delivery(hop, sender, client, connection, reused=reused)


class Delivery:
    """The `ports.Outgoing`: one message's way to the next hop. It owns `_connection` until it gives or drops it.

    A client that says nothing for a while does not keep others from the next hop: its connection goes back to the pool, with
    RSET, and with the next command another one is taken and told of sender and recipients.
    """

    def __init__(self, hop: Hop, sender: MailFrom, client: Client, connection: Connection, *, reused: bool) -> None:
        self._hop, self._sender, self._client = hop, sender, client
        self._connection: Connection | None = connection
        self._reused = reused
        self._again = True  # a connection that went away may still be replaced, once
        self._begun = False  # MAIL was written on this connection
        self._accepted: list[RcptTo] = []
        self._resting: asyncio.TimerHandle | None = None  # until the connection is let go of; only between commands
        self._let_go = False  # and is to be had again
        self._over: Reply | None = None  # what every further recipient is told: the sender was refused, the connection lost
        self._wait()

    # --- recipients --------------------------------------------------------------------------------------------------

    async def rcpt(self, recipient: RcptTo) -> Reply:
        """Hand the recipient on, with MAIL before the first; a refused MAIL is the reply to every recipient."""
        if self._over is not None:
            return self._over
        most = PROFILES[self._hop.settings.profile].recipients
        if most is not None and len(self._accepted) >= most:  # RFC 5321 section 4.5.3.1.10: the client sends the rest again
            return Reply(452, "4.5.3", f"the next hop takes {most} recipients a message, please send the others another one")
        self._wake()
        try:
            async with asyncio.timeout(ANSWER):
                try:
                    await self._have()
                    reply = await self._rcpt(recipient)
                except Lost:
                    if not self._reused or not self._again:
                        raise
                    await self._replace()
                    reply = await self._rcpt(recipient)
        except (Lost, Full, TimeoutError) as why:
            self._drop()
            self._over = _unready(why)
            return self._over
        except BaseException:
            self._drop()
            raise
        if reply.positive:
            self._accepted.append(recipient)
        self._wait()
        return reply

    async def _rcpt(self, *recipients: RcptTo) -> Reply:
        """RCPT for each on the connection there is: the first refusal, or the last one's reply. Raises Lost."""
        if self._over is not None:
            return self._over
        connection = self._owned()
        opening: list[bytes] = []
        if not self._begun:
            try:
                opening = self._opening(connection)
            except commands.Unspeakable as error:
                return self._end(_refusal(error, "5.1.7"))
        try:
            each = [commands.rcpt(one, connection.offers, utf8=self._sender.smtputf8) for one in recipients]
        except commands.Unspeakable as error:
            return _refusal(error, "5.1.3")
        if opening:
            self._begun, connection.clean = True, False
            connection.messages += 1
        replies = await connection.group([*opening, *each])
        for said, reply in zip(opening, replies, strict=False):
            if said == RSET and reply.code != 250:
                raise Lost(f"RSET was answered {reply}", reply)
            if said.startswith(b"XFORWARD ") and not reply.positive:
                self._hop.note("failed", f"XFORWARD: {reply}")  # the mail goes all the same, as from Postfix's own client
            if said.startswith(b"MAIL ") and not _final(reply, "MAIL").positive:
                return self._end(_mirrored(reply))
        answers = [_mirrored(_final(reply, "RCPT")) for reply in replies[len(opening) :]]
        return next((reply for reply in answers if not reply.positive), answers[-1])

    def _opening(self, connection: Connection) -> list[bytes]:
        """What comes before the first RCPT."""
        opening = [] if connection.clean else [RSET]
        if self._hop.settings.xforward:
            opening += commands.xforward(commands.forwarded(self._client), connection.offers)
        return [*opening, commands.mail(self._sender, connection.offers)]

    async def _replace(self) -> None:
        """A new connection in place of one that went away, with the recipients that were accepted. Raises Lost, Full.

        Only before the message: nothing was handed over that could come twice.
        """
        self._again = False
        self._drop()
        await self._take(fresh=True)

    async def _take(self, *, fresh: bool = False) -> None:
        """A connection, told of the sender and the recipients that were accepted. Raises Lost, Full."""
        self._let_go = False
        self._connection, self._reused = await self._hop.pool.take(fresh=fresh)
        self._begun = False
        if self._accepted and not (reply := await self._rcpt(*self._accepted)).positive:
            raise Lost(f"a recipient that was accepted is refused on a new connection: {reply}")

    # --- rest between commands ---------------------------------------------------------------------------------------

    def _wait(self) -> None:
        if self._connection is not None:
            self._resting = asyncio.get_running_loop().call_later(LET_GO, self._rest)

    def _rest(self) -> None:
        """The client has been silent for LET_GO seconds."""
        self._drop(keep=True)
        self._let_go = True

    def _wake(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None

    async def _have(self) -> None:
        """Have a connection again where it was let go of. Raises Lost, Full."""
        if self._let_go:
            await self._take()

    # --- the message -------------------------------------------------------------------------------------------------

    async def send(self, octets: bytes, before_dot: Callable[[], Awaitable[None]], deadline: float) -> Sequence[Reply]:
        """Send the message. Raises Unready before the final dot, Uncertain after it; see `ports.Outgoing`.

        Cancelled before the dot, the connection is closed. Cancelled after it, the wait for the reply goes on, and what came is
        told to the log only: whoever must know it shields the call.
        """
        self._wake()
        if (self._connection is None and not self._let_go) or not self._accepted:
            raise Unready(self._over or Reply(451, "4.3.0", "there is no transaction with the next hop"))
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                if (refusal := await self._data(octets)) is not None:
                    self._drop(keep=True)
                    return [refusal] * self._replies
                connection = self._owned()
                await connection.stream(commands.dot_stuffed(octets))
                await before_dot()
                await connection.look()
                # Nothing is awaited from here on until the dot is written.
                if time.monotonic() >= deadline:
                    raise TimeoutError
                answers = connection.end(self._replies)
        except (Lost, Full) as why:
            self._drop()
            raise Unready(_unready(why)) from None
        except TimeoutError:
            self._drop()
            raise Unready(Reply(451, "4.4.5", "the time for this message was over before the next hop had it")) from None
        except BaseException:
            self._drop()
            raise
        self._connection = None  # it is the wait's now, whatever becomes of us
        ending = asyncio.create_task(self._ending(connection, answers))
        self._hop.late.add(ending)
        ending.add_done_callback(self._hop.late.discard)
        try:
            return await asyncio.shield(ending)
        except asyncio.CancelledError:
            ending.add_done_callback(self._late)
            raise

    async def _data(self, octets: bytes) -> Reply | None:
        """DATA; the reply that ends it here, or None where the message may come. Raises Lost, Full, Unready."""
        if not commands.relayable(octets):  # what came was refused or mended long ago, so this is our own fault: it waits
            self._hop.note("failed", "a message with a bare CR or LF, or without an end of line")
            raise Unready(Reply(451, "4.3.0", "the message cannot be relayed as it is"))
        try:
            await self._have()
            if (unfit := self._unfit(octets)) is not None:
                return unfit
            reply = await self._owned().ask(b"DATA\r\n", DATA)
        except Lost:
            # The connection stood still while the client sent the message and we judged it: others do not wait that long.
            if not self._again:
                raise
            await self._replace()
            if (unfit := self._unfit(octets)) is not None:
                return unfit
            reply = await self._owned().ask(b"DATA\r\n", DATA)
        if reply.code == 354:
            return None
        if reply.positive:
            raise Lost(f"DATA was answered {reply}")
        return _mirrored(reply)

    def _unfit(self, octets: bytes) -> Reply | None:
        """Why this message cannot go to this next hop: nothing is ever converted, since it is signed (gate.md attack 41)."""
        offers = self._owned().offers
        if "8BITMIME" not in offers and not octets.isascii():
            return Reply(554, "5.6.3", "the next hop takes no 8-bit mail")
        if self._sender.body == "7BIT" and not octets.isascii():
            return Reply(554, "5.6.3", "it was declared 7BIT, and has 8-bit content")
        if offers.size is not None and len(octets) > offers.size:
            return Reply(552, "5.3.4", f"the next hop takes messages of at most {offers.size} octets")
        return None

    @property
    def _replies(self) -> int:
        """How many replies the dot has: one, or with LMTP one for each recipient it accepted (RFC 2033 section 4.2)."""
        return len(self._accepted) if self._hop.settings.lmtp else 1

    async def _ending(self, connection: Connection, answers: "list[asyncio.Future[Reply]]") -> list[Reply]:
        """The replies to the final dot. Raises Uncertain."""
        replies: list[Reply] = []
        try:
            async with asyncio.timeout(TERMINATION):
                for answer in answers:
                    replies.append(_final(await answer, "the message"))  # noqa: PERF401 -- those before a failure are told
        except Lost as lost:
            self._hop.pool.drop(connection)
            raise Uncertain(f"no reply to the message: {lost}", replies) from None
        except TimeoutError:
            self._hop.pool.drop(connection)
            raise Uncertain(f"no reply to the message within {TERMINATION:g} s", replies) from None
        except BaseException:
            self._hop.pool.drop(connection)
            raise
        self._hop.pool.give(connection)
        return [_mirrored(reply) for reply in replies]

    def _late(self, ending: "asyncio.Task[list[Reply]]") -> None:
        """Nobody waits for the reply any more."""
        if ending.cancelled():
            return
        error = ending.exception()
        self._hop.note("late", str(error) if error is not None else "; ".join(map(str, ending.result())))

    # --- the end -----------------------------------------------------------------------------------------------------

    async def abort(self) -> None:
        """End without sending. May be called at any time, and again."""
        self._let_go = False
        self._drop(keep=True)
        self._over = self._over or Reply(451, "4.3.0", "the transaction was ended")

    def _end(self, reply: Reply) -> Reply:
        """Nothing more can come of this transaction, by the next hop's word: every recipient is told this."""
        self._over = reply
        self._drop(keep=True)
        return reply

    def _drop(self, *, keep: bool = False) -> None:
        """Let go of the connection; `keep` it for others, with RSET, where its state is known."""
        self._wake()
        connection, self._connection = self._connection, None
        if connection is not None and keep:
            self._hop.pool.give(connection, reset=self._begun)
        elif connection is not None:
            self._hop.pool.drop(connection)

    def _owned(self) -> Connection:
        if self._connection is None:
            raise Lost("the connection was given up")
        return self._connection


# --- replies ---------------------------------------------------------------------------------------------------------


def _mirrored(reply: Reply) -> Reply:
    """The next hop's reply for our client. 421 would say that *our* connection closes (RFC 5321 section 3.8): 451."""
    return Reply(451, reply.enhanced, reply.text) if reply.code == 421 else reply


def _final(reply: Reply, to: str) -> Reply:
    """A reply that must be a yes or a no. Raises Lost for 3xx: then it and we are not at the same place."""
    if 300 <= reply.code < 400:
        raise Lost(f"{to} was answered {reply}")
    return reply


def _refusal(error: commands.Unspeakable, enhanced: str) -> Reply:
    """What cannot be said to the next hop, by what it lacks (RFC 6531 section 3.5, RFC 3463 section 3.7), or by its syntax."""
    match error.needs:
        case "SMTPUTF8":
            return Reply(553, "5.6.7", str(error))
        case "8BITMIME":
            return Reply(554, "5.6.3", str(error))
        case _:
            return Reply(501, enhanced, str(error))


def _unready(why: Exception) -> Reply:
    """What our client is told where the next hop cannot be had: always 4xx, since the mail is not at fault."""
    match why:
        case NotLoggedIn():
            return Reply(451, "4.7.0", "the next hop does not take our credentials")
        case Insecure():
            return Reply(451, "4.7.5", "no secure connection with the next hop")
        case Full():
            return Reply(451, "4.4.5", "all connections with the next hop are in use")
        case Lost(reply=Reply() as reply):
            enhanced = reply.enhanced if reply.enhanced is not None and reply.temporary else "4.4.0"
            return Reply(451, enhanced, f"the next hop says: {reply}")
        case Lost():
            return Reply(451, "4.4.2", "the connection with the next hop was lost or not made")
        case _:
            return Reply(451, "4.4.2", "the next hop does not answer")
