"""What happens in an SMTP session and needs somebody outside the state machine to act."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..model import MailFrom, RcptTo
from .auth import Password


@dataclass(frozen=True, slots=True)
class Hello:
    """EHLO, LHLO (`extended`) or HELO; answer with `greet`. `resets`: a transaction ended by it (RFC 5321 section 4.1.4)."""

    name: str
    extended: bool
    resets: bool


@dataclass(frozen=True, slots=True)
class StartTls:
    """The client waits for TLS: write the output, shake hands, say `secured`."""


@dataclass(frozen=True, slots=True)
class Login:
    """A client claims to be a user; answer with `authenticated`."""

    claim: Password


@dataclass(frozen=True, slots=True)
class Mail:
    """MAIL; answer with `answer`."""

    sender: MailFrom


@dataclass(frozen=True, slots=True)
class Stranger:
    """MAIL of a client that may not send, and cannot log in here; answer with `refuse`, whatever it is."""

    sender: MailFrom


@dataclass(frozen=True, slots=True)
class Rcpt:
    """RCPT; answer with `answer`."""

    recipient: RcptTo


@dataclass(frozen=True, slots=True)
class Message:
    """The whole message, line ends and dots undone; answer with `answer`, behind LMTP with one reply for each recipient."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Reset:
    """The transaction is over without a message; answer with `done`."""


@dataclass(frozen=True, slots=True)
class Impersonate:
    """XCLIENT of a listed peer, None for what is not known; answer with `impersonated`."""

    attributes: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Forward:
    """XFORWARD of a listed peer; answer with `done`."""

    attributes: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing more is said or heard: write the output and hang up. Comes once; `reason` is for the log."""

    reason: str


Event = Hello | StartTls | Login | Mail | Stranger | Rcpt | Message | Reset | Impersonate | Forward | Ended
