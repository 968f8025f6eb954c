"""The shapes in which the gate's parts know one another, and what they tell each other when something is missing.

A framing has a `Handler` behind it (a milter its own); that has a `Pipeline` to judge and a `Relay` to send. Each is made of
what stands below it and given to what stands above it, and everything is told to a `Watch`.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from .model import Client, Credential, Extensions, Incoming, MailFrom, Outcome, RcptTo
from .reply import Reply


class Pipeline(Protocol):
    """What stands behind every framing. Never raises: a fault of ours is a Decision, too."""

    async def process(self, incoming: Incoming) -> Outcome:
        """Prepare, judge and decide, within the deadline."""
        ...

    def sent(self, trace: str) -> None:
        """The message is on its way: what is remembered of mail that was sent is remembered of this one."""
        ...


# --- the server side -------------------------------------------------------------------------------------------------


class Handler(Protocol):
    """What stands behind one SMTP or LMTP connection. The server calls it in the order of the dialogue, never two at once.

    A handler that raises is our own fault: the server answers 451 4.3.0 and logs it, without the exception's text.
    """

    async def extensions(self, client: Client) -> Extensions:
        """For EHLO: what can be offered now. Raises Unready where that is not known."""
        ...

    async def authenticate(self, client: Client, user: str, password: str) -> Credential | None:
        """None: wrong user or password, which the answer does not tell apart. Raises Unready, Busy if it is undecided."""
        ...

    async def mail(self, client: Client, sender: MailFrom) -> Reply:
        """The MAIL command; a positive reply opens a transaction."""
        ...

    async def rcpt(self, client: Client, recipient: RcptTo) -> Reply:
        """One RCPT command."""
        ...

    async def message(self, client: Client, octets: bytes) -> Sequence[Reply]:
        """The message with CRLF line ends, dot-stuffing undone. One reply; behind LMTP one for each accepted recipient."""
        ...

    def gone(self, client: Client, *, quits: bool) -> None:
        """The client sends no more while `message` is at work, which goes on; `replied` says whether it heard the answer.

        `quits`: it had said QUIT, and only did not wait. Without that, its connection was lost.
        """
        ...

    async def replied(self, client: Client, *, written: bool) -> None:
        """The reply to the message was handed to the connection, or (`written` false) the client was gone by then."""
        ...

    async def reset(self, client: Client) -> None:
        """The transaction ends without a message: RSET, a new EHLO, QUIT, or the connection is gone."""
        ...


class Unready(Exception):  # noqa: N818 -- no error of a program: it says what is missing just now
    """Something outside is not there just now (disk, next hop, users' file); the reply is what the client is told (4xx)."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class Busy(Unready):
    """Too much is asked of us at a time: whoever goes on asking is slowed down, and hung up on."""


# --- the client side -------------------------------------------------------------------------------------------------


class Uncertain(Exception):  # noqa: N818 -- not known is not an error
    """The final dot was sent and no reply came: the next hop may have the message (RFC 1047). The text says what happened.

    `replies` are those that did come before it went wrong: LMTP has one for each recipient, in their order.
    """

    def __init__(self, text: str, replies: Sequence[Reply] = ()) -> None:
        super().__init__(text)
        self.replies = tuple(replies)


class NoRoute(LookupError):  # noqa: N818 -- reads well in an except clause
    """No next hop is configured for a recipient's domain."""


class Outgoing(Protocol):
    """One transaction with a next hop, opened when the first recipient comes."""

    async def rcpt(self, recipient: RcptTo) -> Reply:
        """Hand the recipient on; the reply is the next hop's own, 4xx of ours where it cannot be reached.

        MAIL goes with the first one (PIPELINING). Where that is refused, its reply, 5xx too, is the reply to every recipient.
        421 is told as 451, since our own connection stays.
        """
        ...

    async def send(self, octets: bytes, before_dot: Callable[[], Awaitable[None]], deadline: float) -> Sequence[Reply]:
        """Send the message, octets unchanged but for dot-stuffing; the reply to the final dot (LMTP: one per recipient).

        `before_dot` is awaited when all but the final dot was sent; where it raises, or `deadline` (`time.monotonic`) has come,
        the dot is never sent and the connection closed. Raises Unready before the dot, Uncertain after it.
        """
        ...

    async def abort(self) -> None:
        """End without sending: RSET where the connection can be used again."""
        ...


class Relay(Protocol):
    """The next hops."""

    async def extensions(self) -> Extensions:
        """What all next hops can, as known from their last EHLO; one that was never reached is asked now, briefly.

        Raises Unready where none was ever reached: with nothing offered, clients would convert or bounce what they have.
        """
        ...

    def route(self, recipient: str) -> str:
        """The name of the next hop for this recipient (the address without brackets). Raises NoRoute."""
        ...

    async def open(self, next_hop: str, sender: MailFrom, client: Client) -> Outgoing:
        """Begin a transaction: have a connection. Raises Unready where the next hop cannot be reached.

        A sender that it refuses is told by `rcpt`. Whoever opens ends with `send` or `abort`, or the connection is never free.
        """
        ...


# --- what is told ----------------------------------------------------------------------------------------------------


class Watch(Protocol):
    """Told everything that happens, once; the log, the metrics and the trace are made of it.

    Fields are plain values (texts, numbers, lists of texts) of any origin: whoever writes them makes them safe. No secret is
    ever a field. Events and their fields:

    * `message`, when it was judged: trace, framing, listener, client, user, queue_id (the MTA's, behind a milter), mail_from,
      rcpt_to, size, message_id, sha256 (of the judged octets), stream, message_class, notes (what preparing left undone),
      action, rules, sending_rules (those that matched), reason, bypass, next_hop, ms, judge_ms, mode
    * `bypass`, beside those that `message` tells: trace, cause, reason
    * `refused`, before there was a message: trace, at ("mail", "rcpt"), listener, client, user, address, reply (that of the
      next hop, where it was asked)
    * `sent`, what became of it behind SMTP: trace, held (of a release: the trace under which it was held), next_hop,
      what ("accepted", "refused", "deferred", "uncertain", "replayed", "held"), code, reply, ms
    * `connection`: listener, client, what ("open", "close", "refused", "fault"), reason
    * `auth`: listener, client, user, ok
    * `relay`: next_hop, what ("connected", "failed", "reused", "tls", "late": a reply after its caller had gone), reason, ms
    * `uncertain`: trace, next_hop, reason
    * `fault`: where, reason, trace (where it is about a message), traceback (the end of one, never in a reply)
    * `worker`: what ("start", "stop", "ended", "killed", "failed", "drain", "reload"), pid, reason, traceback (where one hung),
      role ("mail", "clerk")
    * `listener`: what ("open"), listener, address
    * `configuration`: what ("loaded": it is in force, "refused", "warning"), reason
    * `dns`, about our own domains: what ("stale": old answers serve, "lost": there is none, "back", or "served": how many were
      old), names, count
    * `held`, what became of held mail: what ("released", "kept" for those recipients that have it not yet, "discarded",
      "expired"), trace, reason
    * `ingest`, the clerk brought records into the trace: count
    * `outbox`, how much waits for the trace's store: waiting (records), behind (seconds since nothing did)
    * `store`, the trace's store could not be had: what ("failed"), where, reason
    * `webhook`: what ("done", "failed": it is tried again, "dead", "disabled"), count, webhook, reason
    * `http`, a request was answered: route (its pattern, "other" for what is none), method, status, ms
    * `dropped`, opens and clicks that were not counted: count
    * `suppressed`, a recipient who is on the suppression list: trace, listener, user, address, reason ("bounce", "complaint",
      "unsubscribe", "manual"), since, stream
    * `limited`, a recipient who must come later by a sending rule's limit: trace, rule
    * `log`: where, reason (what a library logged), traceback, or dropped (how many lines could not be written)
    """

    def __call__(self, event: str, /, **fields: Any) -> None:
        """Note one event; never raises, never blocks."""
        ...


def unwatched(event: str, /, **fields: Any) -> None:
    """A Watch that notes nothing."""
