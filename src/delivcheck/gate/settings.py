"""What the operator chose: the `[gate]` table of the configuration, as values. `reading` makes them of the file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from ..model import IPAddress, Level
from ..trace.model import Tracking as Counting

Network = IPv4Network | IPv6Network

# Seconds that nobody chooses, here because `reading` holds what somebody chose against them.
DNS_TIME = 10.0  # for all DNS of one message: below the deadline, so that an outage still ends in "unknown"
DEADLINE = 25.0  # from the end of a message to our answer, if no other is chosen: KumoMTA's, and below every client's
CONNECTION_WAIT = 30.0  # for one of a next hop's connections; the client waits 5 minutes for the reply to its RCPT
HANDOVER = (
    1.0  # from a stop on, for connections that begun before the successor had the address: a handshake takes a round trip
)
CONNECTION_REST = 5.0  # of a client without a command before DATA; then others may have the connection it holds


class Mode(StrEnum):
    """Whether the verdict has consequences."""

    OBSERVE = "observe"  # judge, log and count; every message is accepted, whatever breaks
    ENFORCE = "enforce"


class OnFault(StrEnum):
    """What becomes of a message that could not be judged because something of ours failed (time-out, disk, a bug)."""

    DEFER = "defer"  # 451, tempfail: the client, which has a queue, comes again
    SEND = "send"  # unjudged, and counted as a bypass
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Manner:
    """How a listener's mail is treated: whether the verdict has consequences, and what a fault of ours means."""

    mode: Mode = Mode.ENFORCE
    on_fault: OnFault = OnFault.DEFER


class Kind(StrEnum):
    """What a listener speaks."""

    MILTER = "milter"
    SMTP = "smtp"  # for trusted networks, `smtpd_proxy_filter` included; STARTTLS and AUTH where they are set up
    SUBMISSION = "submission"  # 587: AUTH is required, STARTTLS before it (RFC 6409)
    SUBMISSIONS = "submissions"  # 465: TLS from the first octet (RFC 8314)
    LMTP = "lmtp"
    BOUNCES = "bounces"  # SMTP that takes only what comes back: reports, complaints, unsubscribing by mail
    HTTP = "http"  # the Web Service, the collector of opens and clicks, the pages; HTTPS with a certificate


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen or connect: a UNIX socket's path, or host and port."""

    path: Path | None = None
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        """As the configuration writes it."""
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A TLS server's certificate chain and key, PEM files; read again when they change."""

    chain: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Listener:
    """One address that the gate listens on."""

    name: str
    kind: Kind
    address: Address
    networks: tuple[Network, ...] = ()  # who may connect at all; empty: everyone who can reach it
    trusted: tuple[Network, ...] = ()  # who may relay without AUTH; never for submission
    credential: str | None = None  # the credential that `trusted` clients have (`[gate.credentials.NAME]`)
    certificate: Certificate | None = None
    xclient: tuple[Network, ...] = ()  # who may say XCLIENT
    xforward: tuple[Network, ...] = ()  # who may say XFORWARD
    proxy: tuple[Network, ...] = ()  # who must begin with a PROXY header (versions 1 and 2)
    stream: str | None = None
    mode: Mode | None = None  # None: the gate's
    on_fault: OnFault | None = None  # None: the gate's
    pre_sign: bool = False  # a signer comes after us, so DKIM is not judged
    received: bool | None = None  # whether our own Received goes on top; None: yes, but not behind XFORWARD, never as a milter
    banner: str | None = None
    group: str | None = None  # of a UNIX socket
    socket_mode: int = 0o660  # of a UNIX socket


class Security(StrEnum):
    """TLS to a next hop."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"  # STARTTLS where offered, the certificate not verified
    REQUIRED = "required"  # STARTTLS, certificate verified, or nothing is sent
    IMPLICIT = "implicit"  # TLS from the first octet, certificate verified


class SaslMechanism(StrEnum):
    """How we log in at a next hop."""

    PLAIN = "PLAIN"
    LOGIN = "LOGIN"
    XOAUTH2 = "XOAUTH2"


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret is: a file, an environment variable, or a command that prints it. Never its value."""

    file: Path | None = None
    environment: str | None = None
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NextHop:
    """A server that mail is handed on to, and the profile that says what it does with it (`profiles.py`)."""

    name: str
    address: Address
    lmtp: bool = False
    security: Security = Security.OPPORTUNISTIC
    ca_file: Path | None = None
    server_name: str | None = None  # for certificate and SNI where it is not the host
    user: str | None = None
    secret: Secret | None = None
    mechanism: SaslMechanism | None = None  # None: the best that is offered
    domains: tuple[str, ...] = (
        "*",
    )  # recipient domains, lower-case A-labels, "*.example.com" for all below, "*" for all others
    profile: str = "relay"
    connections: int = 20  # at most, for each worker
    xforward: bool = False  # tell it who the client was (`smtpd_proxy_filter`)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A DKIM key: rsa or ed25519, PEM. `domain` signs for itself and what is below it where no key is nearer."""

    domain: str
    selector: str
    secret: Secret


@dataclass(frozen=True, slots=True)
class Additions:
    """Header fields that are put in before judging, where they are missing. Values may name {trace}, {stream}, {recipient}."""

    date: bool = True
    message_id: bool = True
    list_unsubscribe: str | None = None  # an https URL; bulk mail only, single-recipient transactions where {recipient} is used
    feedback_id: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def personal(self) -> bool:
        """Whether a copy holds something of its recipient, and so cannot be another's."""
        return any(
            "{recipient}" in text for text in (self.list_unsubscribe or "", self.feedback_id or "", *self.fields.values())
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client, and the gate, may take. Each default's precedent stands beside it in `smtp/limits.py`."""

    message_size: int = 36_700_160  # octets
    recipients: int = 1_000
    connections: int = 1_000  # per worker
    connections_per_client: int = 50  # per worker and address
    in_flight: int = 268_435_456  # octets of messages in memory, per worker
    repair_line_ends: bool = False  # bare CR and LF become CRLF before judging, instead of a refusal


@dataclass(frozen=True, slots=True)
class Hold:
    """Holding, off unless the table is there."""

    keep_days: int = 30
    max_octets: int = 1_073_741_824
    key: Secret | None = None  # held mail is encrypted with it


@dataclass(frozen=True, slots=True)
class Webhooks:
    """Whom events may be told to, beside what is public; and how their secrets lie in the store."""

    networks: tuple[Network, ...] = ()  # private ones that webhooks may be in, over http, too
    key: Secret | None = None  # webhooks' secrets are encrypted with it


@dataclass(frozen=True, slots=True)
class Otel:
    """Spans and metrics over OTLP/HTTP, off unless the table is there."""

    endpoint: str  # a base URL without a slash at its end; /v1/traces and /v1/metrics are put behind it
    service_name: str = "delivcheck-gate"
    interval: float = 60.0  # seconds between two exports of metrics; the OpenTelemetry specification's default


class Keep(StrEnum):
    """What the trace keeps of a message beside the facts about it."""

    FACTS = "facts"  # envelope, subject, verdict, findings
    HEADERS = "headers"
    MESSAGE = "message"  # all of it


@dataclass(frozen=True, slots=True)
class Trace:
    """What becomes of mail is kept, off unless the table is there. Days of 0: for good."""

    url: str | None = None  # None: an SQLite file in the state folder; never with a password
    password: Secret | None = None
    keep: Keep = Keep.HEADERS
    keep_days: int = 90  # messages with their events
    keep_content_days: int = 30  # their headers and bodies
    max_octets: int | None = None  # the oldest go first
    tenants: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # tenant: credentials, users and listeners of theirs

    def tenant_of(self, name: str) -> str:
        """Whose mail this credential's, user's or listener's is."""
        return next((tenant for tenant, names in self.tenants.items() if name in names), "default")


@dataclass(frozen=True, slots=True)
class Tracking:
    """Whether opens and clicks are counted, and how; links and pixels begin with `Http.public_url`."""

    mode: Counting = Counting.NONE
    streams: Mapping[str, Counting] = field(default_factory=dict)  # of a stream in place of `mode`
    links: bool = True
    pixel: bool = True
    exclude: tuple[str, ...] = ()  # links that stay as they are: patterns of hosts, or with "://" of URLs
    attribution_days: int = 90  # that an open or click counts; a link leads on for good

    def mode_of(self, stream: str | None) -> Counting:
        """The mode for mail of a stream."""
        return self.streams.get(stream or "", self.mode)


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """List-Unsubscribe with our own one-click endpoint, in bulk mail; off unless the table is there."""

    mailto: str | None = None  # a mailbox that takes unsubscribing mail, or "@domain" of which all local parts are ours
    streams: tuple[str, ...] = ()  # only in mail of these; empty: in all bulk mail


@dataclass(frozen=True, slots=True)
class Http:
    """What is served over HTTP. `public_url` is how recipients' programs reach us: links and one-click begin with it."""

    public_url: str | None = None  # without a slash at its end
    pages: bool = True
    trusted_proxies: tuple[Network, ...] = ()  # whose X-Forwarded-For and -Proto, and the next field, are believed
    trusted_user_header: str | None = None  # a proxy signs people in, and names them here


# --- sending rules -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class When:
    """What a sending rule asks of mail. Empty: it asks nothing. Of each list one is enough; `routing` says how they compare.

    Down to `listener` it is known at RCPT; from `verdict` on when the message was judged; the rest when it is there.
    """

    sender: tuple[str, ...] = ()  # MAIL FROM; "" is the null sender. Patterns: "*" stands for anything
    sender_domain: tuple[str, ...] = ()  # lower-case A-labels, "*.name" for all below it, "*" for all
    recipient: tuple[str, ...] = ()
    recipient_domain: tuple[str, ...] = ()
    credential: tuple[str, ...] = ()
    listener: tuple[str, ...] = ()
    stream: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    template: tuple[str, ...] = ()
    class_: tuple[str, ...] = ()  # a `MessageClass`
    larger_than: int | None = None  # octets, as the message came
    smaller_than: int | None = None
    header: tuple[tuple[str, tuple[str, ...]], ...] = ()  # field name, lower case, and patterns of its text
    verdict: tuple[str, ...] = ()  # "pass", "fail", "unknown"
    failed: tuple[str, ...] = ()  # patterns of rule ids, at whatever level
    undecided: tuple[str, ...] = ()


class Per(StrEnum):
    """What a limit counts apart."""

    SENDER = "sender"
    SENDER_DOMAIN = "sender-domain"
    RECIPIENT = "recipient"
    RECIPIENT_DOMAIN = "recipient-domain"
    CREDENTIAL = "credential"


@dataclass(frozen=True, slots=True)
class Limit:
    """So many recipients in so many seconds, `burst` of them at once; `per` None: all together that the rule matches."""

    count: int
    seconds: int
    burst: int
    per: Per | None = None

    def __str__(self) -> str:
        """As the configuration has it."""
        units = {1: "second", 60: "minute", 3_600: "hour", 86_400: "day"}
        return f"{self.count}/{units.get(self.seconds, f'{self.seconds} s')}{f' per {self.per}' if self.per else ''}"


class Ending(StrEnum):
    """What a rule makes of a message, whatever else is said of it."""

    SEND = "send"  # though the verdict is against it
    HOLD = "hold"
    DEFER = "defer"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class SendingRule:
    """One `[[gate.rule]]`: for mail that is as `when` says in all, and as `unless` says in nothing, this is done.

    `levels` are rule ids or patterns and their levels; `only_recipients` are patterns of addresses, others are refused.
    """

    name: str
    when: When = When()
    unless: When = When()
    next_hop: str | None = None
    stream: str | None = None
    policy: str | None = None
    levels: tuple[tuple[str, Level], ...] = ()
    ending: Ending | None = None
    text: str = ""  # of a refusal or deferral
    limit: Limit | None = None
    only_recipients: tuple[str, ...] = ()
    stop: bool = False  # the rules below it are not looked at


@dataclass(frozen=True, slots=True)
class Bounces:
    """`[gate.bounces]`: what comes back. `domain` is that of signed return paths, lower-case A-labels."""

    domain: str
    return_paths: bool = True
    streams: tuple[str, ...] | None = None  # whose mail has them; None: all
    addresses: tuple[str, ...] = ()  # further ones whose mail is taken in: of feedback loops
    maildir: Path | None = None
    postfix_log: Path | None = None


class Provider(StrEnum):
    """Who reports over HTTP."""

    POSTMARK = "postmark"
    MAILGUN = "mailgun"
    SES = "ses"
    SENDGRID = "sendgrid"


@dataclass(frozen=True, slots=True)
class Reports:
    """`[gate.reports.NAME]`: one webhook of a sending service, at /hooks/NAME."""

    name: str
    provider: Provider
    secret: Secret | None = None
    user: str | None = None  # of HTTP Basic
    topics: tuple[str, ...] = ()  # SES: ARNs of SNS topics
    subscribe: bool = False  # SES: confirm subscriptions of these topics


@dataclass(frozen=True, slots=True)
class Gate:
    """The whole `[gate]` table."""

    name: str  # our host name: banner, EHLO, authserv-id, Message-ID's right side
    listeners: tuple[Listener, ...]
    next_hops: tuple[NextHop, ...] = ()
    mode: Mode = Mode.ENFORCE
    on_fault: OnFault = OnFault.DEFER
    state: Path = Path("/var/lib/delivcheck")  # journal, held mail
    egress: tuple[IPAddress, ...] = ()  # the addresses that mail leaves from: SPF is judged for them
    egress_ehlo: str | None = None
    workers: int | None = None  # None: one per core
    deadline: float = DEADLINE
    drain: float = 60.0  # seconds that messages in flight have at a stop
    watchdog: float = 30.0  # seconds a worker may be silent before it is killed
    at_most_once: bool = False  # an ambiguous end is not sent again
    users: Path | None = None  # the users' file (`delivcheck user`)
    credentials: Mapping[str, "CredentialSettings"] = field(default_factory=dict)
    keys: tuple[SigningKey, ...] = ()
    rules: tuple[SendingRule, ...] = ()  # in their order: the first one that says a thing decides it
    additions: Additions | None = None
    limits: Limits = field(default_factory=Limits)
    hold: Hold | None = None
    webhooks: Webhooks = field(default_factory=Webhooks)
    otel: Otel | None = None
    trace: Trace | None = None
    http: Http = field(default_factory=Http)
    tracking: Tracking = field(default_factory=Tracking)
    unsubscribe: Unsubscribe | None = None
    bounces: Bounces | None = None
    reports: tuple[Reports, ...] = ()
    admin: Address | None = None  # metrics and health, HTTP
    log_format: str = "text"  # or "json"
    log_level: str = "info"
    notice: float = 0.0  # seconds from a stop on in which connections are still taken, and /ready says that it ends
    reuse_port: bool = False  # a second gate may have the same addresses, to which this one leaves them when it stops

    @property
    def farewell(self) -> float:
        """Seconds from a stop until connections are taken no more."""
        return max(self.notice, HANDOVER) if self.reuse_port else self.notice

    @property
    def personal(self) -> bool:
        """Whether a copy holds something of its recipient, so that each recipient comes in a transaction of its own."""
        return self.unsubscribe is not None or (self.additions is not None and self.additions.personal)

    def manner(self, listener: str | Listener) -> Manner:
        """How this listener's mail is treated: what it says itself, else the gate."""
        found = (
            listener if isinstance(listener, Listener) else next((one for one in self.listeners if one.name == listener), None)
        )
        if found is None:
            return Manner(self.mode, self.on_fault)
        return Manner(found.mode or self.mode, found.on_fault or self.on_fault)


@dataclass(frozen=True, slots=True)
class CredentialSettings:
    """`[gate.credentials.NAME]`: what clients of trusted networks may send; `model.Credential` says what each means."""

    domains: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    may_declare: bool = False
