"""The gate's nouns; `ports` has the shapes in which its parts know one another.

A framing (SMTP, LMTP, milter, later HTTP) makes an `Incoming` of what it was given; the pipeline makes an `Outcome` of that,
with a `Decision`; the framing answers accordingly. Nothing here does any I/O.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

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
    may_declare: bool = False  # X-Delivcheck-Class, -Stream, -Tag and -Template are read from its mail
    unnamed: bool = False  # a trusted network for which no credential was configured; `name` is its listener's, and nobody's
    tenant: str | None = None  # whose mail it is, of an API key, which says so itself; None: as `[gate.trace]` has it

    @property
    def user(self) -> str:
        """Who it is, for the log: "" where nobody said so."""
        return "" if self.unnamed else self.name

    @classmethod
    def of(cls, listener: Listener, known: Mapping[str, CredentialSettings]) -> "Credential":
        """What those have whom the listener trusts: the credential it names, or without one its own name and no limit."""
        said = known.get(listener.credential or "", CredentialSettings())
        classes = tuple(map(MessageClass, said.classes))
        name, unnamed = listener.credential or listener.name, listener.credential is None
        return cls(name, said.domains, said.streams, classes, said.may_declare, unnamed)


def stream_for(stream: str | None, credential: Credential | None) -> str | None:
    """The listener's stream, where the credential may use it; else the first of the credential's own."""
    if credential is None or not credential.streams or stream in credential.streams:
        return stream
    return credential.streams[0]


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
    written_from: str | None = None  # the sender as the client wrote it, where `mail_from` is a signed return path of ours
    held: str | None = None  # the trace under which it was held, of a release
    deadline: float | None = None  # `time.monotonic`, by when it is sent or held; None: the gate's time from now on


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
    next_hop: str | None = None  # where a sending rule sends it; None: where it was to go
    sending_rules: tuple[str, ...] = ()  # the names of those that matched
    notes: tuple[bytes, ...] = field(default=(), compare=False, repr=False)  # for the trace (`record.judged`)
