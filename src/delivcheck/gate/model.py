"""The gate's nouns, and the shapes in which its parts know one another.

A framing (SMTP, LMTP, milter, later HTTP) makes an `Incoming` of what it was given; the pipeline makes an `Outcome` of that,
with a `Decision`; the framing answers accordingly. Nothing here does any I/O.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from ..facts.roots import Origin
from ..model import IPAddress, MessageClass, TargetReport
from .reply import Reply
from .settings import CredentialSettings, Listener

# --- who sends -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Credential:
    """A user of the gate, or a network that may relay, and what mail from there may be. Empty tuples: no limit.

    `domains` are lower-case A-labels; a name allows itself and all below it. `streams` are names of the configuration, the
    first is taken where the mail names none. `classes` limits what a header may declare.
    """

    name: str
    domains: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    classes: tuple[MessageClass, ...] = ()
    may_declare: bool = False  # X-Delivcheck-Class, -Stream and -Tag are read from its mail

    @classmethod
    def of(cls, listener: Listener, known: Mapping[str, CredentialSettings]) -> "Credential":
        """What those have whom the listener trusts: the credential it names, or without one its own name and no limit."""
        said = known.get(listener.credential or "", CredentialSettings())
        classes = tuple(map(MessageClass, said.classes))
        return cls(listener.credential or listener.name, said.domains, said.streams, classes, said.may_declare)


@dataclass(slots=True)
class Client:
    """The connected peer. Mutable: EHLO, STARTTLS, AUTH, XCLIENT and XFORWARD tell more as the session goes on.

    `protocol` is what RFC 3848 registers for "with" in Received: SMTP, ESMTP, ESMTPS, ESMTPSA, LMTP …; "milter" for a milter.
    """

    ip: IPAddress | None  # None on a UNIX socket
    port: int = 0
    listener: str = ""  # the listener's name in the configuration
    helo: str | None = None
    tls: str | None = None  # "TLSv1.3"; None without TLS
    protocol: str = "SMTP"
    credential: Credential | None = None
    forwarded: dict[str, str] = field(default_factory=dict)  # XFORWARD attributes, names upper case, of a listed peer
    queue_id: str | None = None  # the MTA's, behind a milter


# --- the envelope ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MailFrom:
    """The MAIL command: the reverse path without angle brackets ("" is the null sender) and its parameters, decoded.

    `body` is "7BIT" or "8BITMIME" (None: not said), `ret` "FULL" or "HDRS", `envid` decoded xtext (RFC 3461).
    """

    address: str
    size: int | None = None
    body: str | None = None
    smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None


@dataclass(frozen=True, slots=True)
class RcptTo:
    """One RCPT command: `notify` of NEVER, SUCCESS, FAILURE, DELAY; `orcpt` as (type, decoded address), RFC 3461 section 4."""

    address: str
    notify: tuple[str, ...] = ()
    orcpt: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Extensions:
    """What of ESMTP can be used from end to end: EHLO offers it only where the next hop does, too. `size` in octets."""

    eight_bit: bool = False  # 8BITMIME
    smtputf8: bool = False
    dsn: bool = False
    size: int | None = None  # None: the next hop names no limit

    def __and__(self, other: "Extensions") -> "Extensions":
        """What both can."""
        sizes = [size for size in (self.size, other.size) if size is not None]
        return Extensions(
            self.eight_bit and other.eight_bit,
            self.smtputf8 and other.smtputf8,
            self.dsn and other.dsn,
            min(sizes, default=None),
        )


# --- what comes in, and what becomes of it ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message as it came, in any framing. `octets` have CRLF line ends; `trace` is the id that every answer names."""

    octets: bytes
    mail_from: str
    rcpt_to: tuple[str, ...]
    client: Client
    trace: str
    received: datetime  # with time zone
    origin: Origin = Origin.AS_SENT
    smtputf8: bool = False
    next_hop: str | None = None  # the next hop's name in the configuration; None behind a milter
    stream: str | None = None  # set by the listener; the credential and the message's own headers may say more
    signed_later: bool = False  # stage "pre-sign": a signer comes after us
    missing: str | None = None  # why the octets are not all there: "too-large", "no-room"; None where they are


class Action(StrEnum):
    """What the gate does with a message."""

    SEND = "send"
    REFUSE = "refuse"
    DEFER = "defer"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done, what the client is told, and why. `reply` is for SMTP; of SEND it is only the text before the next hop's.

    `rules` are the ids that decided. `bypass` says why a message that was not judged, or did not pass, is sent all the same
    ("fault", "observe", …); every bypass is counted.
    """

    action: Action
    reply: Reply
    rules: tuple[str, ...] = ()
    reason: str = ""
    bypass: str | None = None


@dataclass(frozen=True, slots=True)
class Insert:
    """Put a field above all others of the header, or below them (`last`). `value` is unfolded or folded with CRLF + blank.

    Written as `name: value`; the value has no blank in front. Octets, since headers may be UTF-8 (RFC 6532).
    """

    name: bytes
    value: bytes
    last: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    """Take out the n-th field of this name, counted from 1 from the top, in the header as it came (names without case)."""

    name: bytes
    index: int


Edit = Insert | Delete


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the pipeline made of a message. `octets` were judged, and are what must be relayed, to the last one.

    `edits` led from the octets that came to these: deletions first, the last field first, then insertions in their order.
    """

    decision: Decision
    octets: bytes
    edits: tuple[Edit, ...] = ()
    report: TargetReport | None = None  # None: it could not be judged
    stream: str | None = None


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
        """None: wrong user or password, which the answer does not tell apart. Raises Unready where it cannot be decided."""
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

    def gone(self, client: Client) -> None:
        """The client sends no more while `message` is at work, which goes on; `replied` says whether it heard the answer."""
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
      action, rules, reason, bypass, next_hop, ms, judge_ms, mode
    * `bypass`, beside those that `message` tells: trace, cause, reason
    * `refused`, before there was a message: at ("mail"), listener, client, user, address, reply
    * `sent`, what became of it behind SMTP: trace, next_hop, what ("accepted", "refused", "deferred", "uncertain", "replayed",
      "held"), code, reply, ms
    * `connection`: listener, client, what ("open", "close", "refused", "fault"), reason
    * `auth`: listener, client, user, ok
    * `relay`: next_hop, what ("connected", "failed", "reused", "tls", "late": a reply after its caller had gone), reason, ms
    * `uncertain`: trace, next_hop, reason
    * `fault`: where, reason, trace (where it is about a message), traceback (the end of one, never in a reply)
    * `worker`: what ("start", "stop", "ended", "killed", "failed", "drain", "reload"), pid, reason, traceback (where one hung)
    * `listener`: what ("open"), listener, address
    * `configuration`: what ("refused", "warning"), reason
    * `dns`: what ("stale"), count
    * `held`: what ("expired"), trace
    * `log`: where, reason (what a library logged), traceback, or dropped (how many lines could not be written)
    """

    def __call__(self, event: str, /, **fields: Any) -> None:
        """Note one event; never raises, never blocks."""
        ...


def unwatched(event: str, /, **fields: Any) -> None:
    """A Watch that notes nothing."""
