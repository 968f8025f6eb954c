"""The roots: what we were given. Nothing here is looked up or guessed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from ..model import Authoritative, Dns, IPAddress, MessageClass, Probe, Volume, Where
from ..records.feed import Feed


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
    """The SMTP session that carries the message: the address it leaves from, the EHLO name, and TLS.

    `tls` is the protocol version as OpenSSL and Postfix write it ("TLSv1.3"), "none" without TLS, None when nobody says.
    """

    ip: IPAddress
    ehlo: str | None = None
    tls: str | None = None


@dataclass(frozen=True, slots=True)
class AddressesApart:
    """Mail leaves from several addresses, each of which is a target of its own: this one is about none of them."""


@dataclass(frozen=True, slots=True)
class AuditedDomain:
    """The domain under audit, as a lower-case A-label name."""

    name: str


@dataclass(frozen=True, slots=True)
class Selectors:
    """DKIM selectors that the user named (`--selector`), or that messages or the trace showed.

    `among_others`: the domain may have others, so that the usual ones are tried beside those that have a key.
    """

    names: tuple[str, ...]
    among_others: bool = False


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
    trusts_class_header: bool = False  # X-Delivcheck-Class may declare the class of the message it stands on


@dataclass(frozen=True, slots=True)
class Sender:
    """What the sender says about itself, the `[sender]` table of the configuration; None and () mean that it does not say.

    `sexually_oriented` and `unsolicited` are about its mail; `mailbox_domains` are the domains, as lower-case A-labels, under
    which people have mailboxes.
    """

    postal_address: str | None = None
    legal_name: str | None = None
    brand_names: tuple[str, ...] = ()
    sexually_oriented: bool = False
    unsolicited: bool = False
    mailbox_domains: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names that readers may know the sender by."""
        return (*((self.legal_name,) if self.legal_name else ()), *self.brand_names)


@dataclass(frozen=True, slots=True)
class ReaderClients:
    """Which mail clients the sender's readers use, the `[clients]` table: percent by client; others read with the rest."""

    percent: Mapping[str, float]


class TemplateRole(StrEnum):
    """What a template's text becomes."""

    HTML = "html"
    PLAIN = "plain"
    SUBJECT = "subject"


@dataclass(frozen=True, slots=True)
class TemplateText:
    """The source of one part of a template, line ends as in its file; without `file` it is the one the target is named by."""

    text: str
    role: TemplateRole
    file: str | None = None


@dataclass(frozen=True, slots=True)
class TemplateSource:
    """A template before it is rendered: its texts, the engine if it was named, the variables that are always there.

    `others` are the texts of what it includes and extends; None where nobody has read them.
    """

    texts: tuple[TemplateText, ...]
    engine: str | None = None
    required: tuple[str, ...] = ()
    others: tuple[str, ...] | None = None


class DataKind(StrEnum):
    """What the values of a data set are like: as they are, or changed to see what the template does then."""

    FULL = "full"
    MISSING = "missing"
    EMPTY = "empty"
    NONE = "none"
    LONG = "very-long"
    RIGHT_TO_LEFT = "right-to-left"
    EMOJI = "emoji"
    HTML = "html-special"
    LINES = "line-breaks"

    @property
    def words(self) -> str:
        """The values in words, after "with"."""
        return _KINDS[self]


_KINDS = {
    DataKind.FULL: "all values",
    DataKind.MISSING: "values missing",
    DataKind.EMPTY: "empty values",
    DataKind.NONE: "values that are None",
    DataKind.LONG: "very long values",
    DataKind.RIGHT_TO_LEFT: "values written from right to left",
    DataKind.EMOJI: "emoji in values",
    DataKind.HTML: "HTML's characters in values",
    DataKind.LINES: "line breaks in values",
}

PLANTED = "data-delivcheck"  # the attribute in values of DataKind.HTML, and the header field in those of DataKind.LINES


@dataclass(frozen=True, slots=True)
class RenderFault:
    """Why a template did not render: the engine's message in one line, the place where it is known, and what would mend it."""

    message: str
    where: Where | None = None
    fix: str | None = None


def _nowhere(_start: int, _end: int) -> Where | None:
    return None


@dataclass(frozen=True, slots=True)
class RenderedHeader:
    """A header field as the template rendered it, with its line breaks; `place` gives the template's place of characters."""

    name: str
    value: str
    place: Callable[[int, int], Where | None] = _nowhere


@dataclass(frozen=True, slots=True)
class Undeclared:
    """A variable that no data set has, as people write it (`order.items[].price`), with the places that read it.

    `near` is the most similar name that the data has; `sure`: every place has a default or a test for it.
    """

    name: str
    places: tuple[Where, ...]
    near: str | None = None
    sure: bool = False


@dataclass(frozen=True, slots=True)
class Rendering:
    """A template as it was rendered with one data set, beside the message that came of it; there is none if it has `faults`.

    `made_up`: nobody gave the data, so nothing follows from what it has or lacks. `guilty` are the names of the values that
    were changed, where they are not all. `undeclared` is found of the whole template and stands with its first data set only.
    `own_words` are the words for nothing ("None", "null") that the template writes whatever its values are.
    """

    data: str
    kind: DataKind = DataKind.FULL
    made_up: bool = False
    faults: tuple[RenderFault, ...] = ()
    headers: tuple[RenderedHeader, ...] = ()
    undeclared: tuple[Undeclared, ...] = ()
    guilty: tuple[str, ...] = ()
    own_words: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Silence:
    """A comment in a template that silences rules, and what there is to say of it: it has a `fault`, expired, or is unused."""

    rules: str
    at: Where
    until: date | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Silences:
    """Those comments of one template, and the day they were held against."""

    each: tuple[Silence, ...]
    today: date


@dataclass(frozen=True, slots=True)
class AsReceived:
    """`--received`: the message came in, so the trusted hop's Received field tells IP, EHLO name and time.

    `trusted_hop` is the number of that field, from the top and from 1 (`--trusted-hop`); `authserv_id` the name under which the
    receiver writes Authentication-Results (`--authserv-id`). Both are found out where they are None.
    """

    trusted_hop: int | None = None
    authserv_id: str | None = None


@dataclass(frozen=True, slots=True)
class SecondOpinionWanted:
    """`--second-opinion`: ask checkdmarc about the same domain, over the same answers. Seconds it may take."""

    timeout: float = 20.0


@dataclass(frozen=True, slots=True)
class BlockLists:
    """The block lists that may be asked (`--blocklists`), by their zones: lower-case names; they can hold the user's key."""

    zones: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stream:
    """What the configuration says of who sends a stream: its class, From addresses (lower case), addresses and d= domains."""

    name: str
    message_class: MessageClass | None = None
    authors: tuple[str, ...] = ()
    ips: tuple[IPAddress, ...] = ()
    dkim_domains: tuple[str, ...] = ()
    at: Where | None = None


@dataclass(frozen=True, slots=True)
class Streams:
    """The streams of which the configuration says who sends them."""

    each: tuple[Stream, ...]


@dataclass(frozen=True, slots=True)
class Earlier:
    """The first message before this one, in the same run, that had its Message-ID over another body; None for none."""

    name: str | None = None


@dataclass(frozen=True, slots=True)
class UnsubscribeTest:
    """The https address that the user set up for trying one-click unsubscribing: nobody is subscribed under its token."""

    url: str


WHY_ABSENT: dict[type, str] = {
    Octets: "there is no message",
    Envelope: "no envelope was given (--mail-from)",
    Session: "no sending address was given (--ip)",
    AddressesApart: "the sending addresses are not apart",
    AuditedDomain: "no domain is audited",
    Selectors: "no selector was named (--selector)",
    Dns: "DNS was not asked (--offline)",
    Now: "no time was given",
    Declared: "nothing was declared",
    Sender: "the sender says nothing about itself ([sender] of the configuration)",
    ReaderClients: "the clients of the readers were not given ([clients] of the configuration)",
    TemplateSource: "there is no template",
    Rendering: "the template was not rendered",
    Silences: "no comment in the template silences a rule",
    AsReceived: "the message did not come in (--received)",
    SecondOpinionWanted: "not asked for (--second-opinion)",
    Probe: "live probes were not asked for (--probe)",
    Authoritative: "the name servers of the zone were not asked directly (--authoritative)",
    BlockLists: "block lists were not asked (--blocklists)",
    Feed: "no complaint or volume figures were given (--feed)",
    Streams: "no stream of the configuration says who sends it (from, ip, dkim-domain)",
    Earlier: "no message of this run is remembered",
    UnsubscribeTest: "no test address for unsubscribing was given (unsubscribe-test-url)",
}
