"""The roots: what we were given. Nothing here is looked up or guessed."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ..model import Dns, IPAddress, MessageClass, Probe, Volume


class Origin(StrEnum):
    """How close the octets are to what goes over the wire."""

    AS_SENT = "as-sent"  # exactly what is or was handed to SMTP
    AS_RECEIVED = "received"  # came in: Received, Authentication-Results and more were added by others
    RECONSTRUCTED = "reconstructed"  # put together from the parts that a milter is given


@dataclass(frozen=True, slots=True)
class Octets:
    """A message as CRLF octets. `line_ends_converted`: stored with bare LF throughout, so framing cannot be judged."""

    data: bytes
    line_ends_converted: bool = False
    origin: Origin = Origin.AS_SENT


@dataclass(frozen=True, slots=True)
class Envelope:
    """MAIL FROM without the angle brackets ("" is the null sender) and the RCPT TO addresses."""

    mail_from: str
    rcpt_to: tuple[str, ...] = ()
    smtputf8: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """The SMTP session that will carry the message: the address it leaves from, the EHLO name, whether TLS is used."""

    ip: IPAddress
    ehlo: str | None = None
    tls: bool | None = None


@dataclass(frozen=True, slots=True)
class AuditedDomain:
    """The domain under audit, as a lower-case A-label name."""

    name: str


@dataclass(frozen=True, slots=True)
class Selectors:
    """DKIM selectors that the user named (`--selector`), or that messages or the trace showed."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Now:
    """The time everything is judged by; always with a time zone."""

    time: datetime


@dataclass(frozen=True, slots=True)
class Declared:
    """What the sender says about the mail. Class is never guessed; volume is bulk unless declared low."""

    message_class: MessageClass | None = None
    volume: Volume = Volume.BULK
    stream: str | None = None
    jurisdictions: tuple[str, ...] = ()
    owned_domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AsReceived:
    """`--received`: the message came in, so the trusted hop's Received field tells IP, EHLO name and time."""


@dataclass(frozen=True, slots=True)
class SecondOpinionWanted:
    """`--second-opinion`: ask checkdmarc about the same domain, over the same answers. Seconds it may take."""

    timeout: float = 20.0


WHY_ABSENT: dict[type, str] = {
    Octets: "there is no message",
    Envelope: "no envelope was given (--mail-from)",
    Session: "no sending address was given (--ip)",
    AuditedDomain: "no domain is audited",
    Selectors: "no selector was named (--selector)",
    Dns: "DNS was not asked (--offline)",
    Now: "no time was given",
    Declared: "nothing was declared",
    AsReceived: "the message did not come in (--received)",
    SecondOpinionWanted: "not asked for (--second-opinion)",
    Probe: "live probes were not asked for (--probe)",
}
