"""The nouns everybody shares: DNS answers, places, problems, results, rules and reports.

Imports nothing of ours. The values that leave the program (`Report` and what it holds) are msgspec structs
whose fields are the JSON of schema `delivcheck/1`: what you see here is what a consumer parses.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

from msgspec import UNSET, Struct, UnsetType, field

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


# --- words -------------------------------------------------------------------------------------------------------


class Level(StrEnum):
    """What a failed rule is worth. The policy sets it; `off` means the rule does not run."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    OFF = "off"

    @property
    def rank(self) -> int:
        """Error 3, warning 2, note 1, off 0: higher is worse."""
        return _RANKS[self]


_RANKS = {Level.ERROR: 3, Level.WARNING: 2, Level.NOTE: 1, Level.OFF: 0}


class Outcome(StrEnum):
    """How one rule came out for one target."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not-applicable"


class Verdict(StrEnum):
    """What follows for one target: only rules at error level (or at `--fail-on`) decide it."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"


class TargetKind(StrEnum):
    """What is examined, and what a page can say it inspects."""

    MESSAGE = "message"
    DOMAIN = "domain"
    SENDING_IP = "sending-ip"
    TEMPLATE = "template"


class Stage(StrEnum):
    """When a rule can be judged first: a template in CI, a message before or after signing, DNS, or live probes."""

    TEMPLATE = "template"
    PRE_SIGN = "pre-sign"
    POST_SIGN = "post-sign"
    DOMAIN = "domain"
    LIVE = "live"


class Basis(StrEnum):
    """What a rule stands on: an RFC's MUST, a statute, a mailbox provider's page, or experience."""

    STANDARD = "standard"
    LAW = "law"
    PROVIDER = "provider"
    PRACTICE = "practice"


class MessageClass(StrEnum):
    """Declared by the sender, never guessed: marketing and other subscribed mail, or mail a person's act triggered."""

    BULK = "bulk"
    TRANSACTIONAL = "transactional"


class Volume(StrEnum):
    """Whether the primary domain is a bulk sender (Gmail: about 5,000 a day once, for good; Microsoft: over 5,000)."""

    BULK = "bulk"
    LOW = "low"


# --- DNS ---------------------------------------------------------------------------------------------------------


class Failure(StrEnum):
    """Why DNS gave no answer. None of these says anything about the record."""

    SERVFAIL = "servfail"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    BOGUS = "bogus"
    LAME = "lame"  # only of a name server asked directly: it answers without authority for the zone (RFC 9499 section 7)


@dataclass(frozen=True, slots=True)
class Found:
    """Records exist.

    `records` by type: TXT a tuple of bytes (its character-strings); A and AAAA the address as text; MX a pair
    (preference, host); NS, PTR, CNAME a name; SOA (mname, rname, serial, refresh, retry, expire, minimum); any other type its
    presentation form. Names are lower case A-labels without the final dot; the root is "".
    `ttl` in seconds; `authentic` is the AD bit; `aliases` the CNAME targets passed on the way, in order.
    """

    records: tuple[Any, ...]
    ttl: int = 300
    authentic: bool = False
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoData:
    """The name exists, this type does not (NOERROR without an answer, RFC 2308 section 2.2)."""

    ttl: int = 300
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoSuchName:
    """The name does not exist (NXDOMAIN, RFC 8020). With `aliases`: a CNAME that leads nowhere."""

    ttl: int = 300
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer: neither presence nor absence is known."""

    kind: Failure
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind} ({self.detail})" if self.detail else str(self.kind)


Answer = Found | NoData | NoSuchName | Failed


@dataclass(frozen=True, slots=True)
class Question:
    """One DNS question; `name` as in `Found`, `type` upper case (`TXT`)."""

    name: str
    type: str

    def __str__(self) -> str:
        return f"{self.name or '.'} {self.type}"


@runtime_checkable
class Dns(Protocol):
    """The one way anything here asks DNS. Live, overlay, recorder and replay all have this shape."""

    async def ask(self, name: str, type: str) -> Answer:  # noqa: A002 -- the DNS word for it
        """Answer one question; never raises for what DNS or the network does."""
        ...


@runtime_checkable
class Authoritative(Protocol):
    """Asks one name server of a zone directly, past every resolver and cache; only when the user asked (`--authoritative`)."""

    async def ask_at(self, server: str, name: str, type: str) -> Answer:  # noqa: A002 -- the DNS word for it
        """What the server of that host name says to one question; never raises for what DNS or the network does.

        An alias that leads out of what it serves is NoData with `aliases`. Failed is LAME where it answers without authority.
        """
        ...


# --- live probes -------------------------------------------------------------------------------------------------


class ProbeFault(StrEnum):
    """Why a probe brought nothing; `ProbeFailed.is_evidence` says what follows."""

    ADDRESS = "address"  # the address policy forbids it (private, loopback …)
    DNS = "dns"
    TIMEOUT = "timeout"
    CONNECT = "connect"
    TLS = "tls"  # the certificate or handshake is not acceptable
    PROTOCOL = "protocol"
    TOO_LARGE = "too-large"


@dataclass(frozen=True, slots=True)
class ProbeFailed:
    """A probe without an answer. `status` where one came and only its body was not taken (too-large)."""

    fault: ProbeFault
    detail: str = ""
    status: int | None = None

    @property
    def is_evidence(self) -> bool:
        """Whether it shows a fault of the server: what it presents as TLS does.

        All else may lie on our side, also that nobody listens: many networks that mail is checked from let no one out.
        """
        return self.fault is ProbeFault.TLS

    def __str__(self) -> str:
        return f"{self.fault}: {self.detail}" if self.detail else str(self.fault)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A response to a GET or POST; redirects are not followed, `location` is where one points. Header names lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The first field of a name."""
        return next((value for field_name, value in self.headers if field_name == name), None)


@dataclass(frozen=True, slots=True)
class SmtpAnswer:
    """What a mail server says before any mail: banner, EHLO keywords (upper case), and how STARTTLS went.

    `tls` is the protocol version ("TLSv1.3"), None without STARTTLS; `certificate_fault` says why its certificate is not valid
    for the host name. `size` is what its SIZE announces, in octets (RFC 1870 section 3: 0 or absent sets no limit); `chain` the
    certificates it shows in DER, leaf first, verified or not.
    """

    banner: str
    extensions: tuple[str, ...]
    tls: str | None = None
    certificate_fault: str | None = None
    size: int | None = None
    chain: tuple[bytes, ...] = ()


@runtime_checkable
class Probe(Protocol):
    """HTTP and SMTP, spoken only when the user asked (`--probe`), and never to an address that the policy forbids."""

    async def get(self, url: str) -> HttpAnswer | ProbeFailed:
        """Fetch a URL; never raises for what the network does."""
        ...

    async def post(self, url: str, body: bytes, content_type: str) -> HttpAnswer | ProbeFailed:
        """Post to a URL without cookies."""
        ...

    async def smtp(self, host: str, port: int = 25) -> SmtpAnswer | ProbeFailed:
        """Greet a mail server and try STARTTLS; no mail is begun."""
        ...


# --- evidence ----------------------------------------------------------------------------------------------------


class Where(Struct, frozen=True, omit_defaults=True):
    """A place in a file (line and column from 1, columns in octets) or in DNS (name, type, record, span).

    `span` is the half-open range of characters of `record` that the problem is about. For a place in a message
    `end_column`, when set, is the column after the last octet concerned on the same line.
    """

    file: str | None = None
    line: int | None = None
    column: int | None = None
    end_column: int | None = None
    header: str | None = None
    part: str | None = None  # MIME part number as in IMAP: "1.2"
    name: str | None = None
    type: str | None = None
    record: str | None = None
    span: tuple[int, int] | None = None
    approximate: bool = False  # of a template: near the place, which is not known for sure


class Problem(Struct, frozen=True, omit_defaults=True):
    """One piece of evidence: what was found and where, never advice (that is the page's).

    `level` only for a sub-case that the page says is worth less or more than the rule. `fix` is the exact record, header
    or line that would be right here, where the check can compute it.
    """

    message: str
    where: Where | None = None
    level: Level | None = None
    fix: str | None = None
    data: str | None = None  # of a template: the data set with which it shows, where it does not with the first


@dataclass(frozen=True, slots=True)
class Undetermined:
    """A check could not find out: the rule is `unknown` unless it also found a problem."""

    reason: str
    where: Where | None = None


Finding = Problem | Undetermined
Findings = Iterator[Finding]


class Unavailable(Exception):  # noqa: N818 -- a value as much as an exception, and named as in DESIGN section 2
    """A fact could not be had this time (DNS did not answer, a limit was hit): what needs it is `unknown`.

    Raised by a provider, or kept inside a collection as the value of one item.
    """

    def __init__(self, reason: str, where: Where | None = None, *, bug: bool = False) -> None:
        """Keep the reason, one clause without a final stop, and the place; `bug`: the fault is ours, so the run exits 70."""
        super().__init__(reason)
        self.reason = reason
        self.where = where
        self.bug = bug


class NotApplicable(Exception):  # noqa: N818 -- as above
    """There is nothing to judge, or it was not asked for: what needs it is `not-applicable`, with this reason."""

    def __init__(self, reason: str) -> None:
        """Keep the reason, one clause without a final stop."""
        super().__init__(reason)
        self.reason = reason


# --- rules -------------------------------------------------------------------------------------------------------


class Source(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a rule comes from, and the day somebody read it there."""

    name: str
    checked: date
    url: str | None = None


class Example(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="kebab"):
    """One case on a rule's page: documentation and test at once. `rules/README.md` explains every field."""

    name: str
    is_: str = field(name="is")
    message: str | None = None
    file: str | None = None
    raw: str | None = None
    template: str | None = None
    engine: str | None = None
    plain: str | None = None  # the template's plain-text twin
    required: tuple[str, ...] = ()
    data: dict[str, Any] = {}  # with which the template is rendered
    rendering: dict[str, Any] = {}  # what came of rendering, where no engine has to show it
    domain: str | None = None
    dns: dict[str, Any] = {}
    before: dict[str, Any] = {}  # DNS as it was when the same client was asked last, a TTL ago
    zone: str | None = None
    envelope: dict[str, Any] = {}
    ip: str | None = None
    ehlo: str | None = None
    now: str | None = None
    declared: dict[str, Any] = {}
    sender: dict[str, Any] = {}
    clients: dict[str, float] = {}  # percent of readers by mail client
    selectors: tuple[str, ...] = ()
    sign: dict[str, Any] | tuple[dict[str, Any], ...] | None = None
    received: bool = False
    stage: str | None = None
    http: dict[str, Any] = {}
    smtp: dict[str, Any] = {}
    servers: dict[str, Any] = {}  # by host name, what a name server asked directly says: `dns`, or a failure as one word
    probes: tuple[str, ...] | None = None  # "GET https://…"
    blocklists: tuple[str, ...] = ()
    feed: str | None = None
    streams: dict[str, Any] = {}
    unsubscribe_test_url: str | None = None
    earlier: tuple[str, ...] = ()  # messages of the same run that went before
    options: dict[str, Any] = {}
    says: str | None = None
    line: int | None = None
    header: str | None = None
    part: str | None = None
    at: str | None = None  # "_dmarc.example.org TXT"
    mark: str | None = None  # the characters of the record or line that the place points at
    level: str | None = None
    asks: tuple[str, ...] | None = None
    outlook: dict[str, str] = {}  # provider: "would-reject 550-5.7.26"
    replies: tuple[str, ...] = ()
    traps: tuple[str, ...] = ()


class Rule(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="kebab"):
    """A rule's page, `rules/<family>/<problem>.toml`; the path is the id."""

    id: str
    title: str
    level: Level
    basis: Basis
    since: str
    why: str
    fix: str
    targets: tuple[TargetKind, ...]
    stage: Stage
    source: tuple[Source, ...]
    example: tuple[Example, ...] = ()
    covers: tuple[str, ...] = ()
    levels: dict[str, Level] = {}  # the level under another column: low-volume, strict, csa, a regional pack
    class_: MessageClass | None = field(name="class", default=None)
    volume: Volume | None = None
    not_for: tuple[Literal["received", "reconstructed", "converted"], ...] = ()  # octets it cannot judge
    spamassassin: tuple[str, ...] = ()
    rspamd: tuple[str, ...] = ()
    see: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()  # rules (ids or patterns) that fail along with it: mending this one mends them

    @property
    def family(self) -> str:
        """The part of the id before the slash."""
        return self.id.partition("/")[0]


# --- what comes out: JSON schema delivcheck/1 --------------------------------------------------------------------


class Result(Struct, frozen=True):
    """One rule's outcome for one target."""

    rule: str
    outcome: Outcome
    level: Level
    reason: str | None = None
    covers: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    bug: bool | UnsetType = UNSET  # our own check raised: exit 70
    because: str | UnsetType = UNSET  # the failed rule that this one follows from: mending that one mends this
    where: Where | UnsetType = UNSET  # the place of what `reason` could not find out, if it has one


class Counts(Struct, frozen=True, rename="kebab"):
    """How many rules came out how; `suppressed` are those the user silenced with a reason."""

    pass_: int = field(name="pass", default=0)
    fail: int = 0
    unknown: int = 0
    not_applicable: int = 0
    suppressed: int = 0


class PostmasterRow(Struct, frozen=True):
    """A row of a provider's own compliance page (Google Postmaster Tools), as far as it can be judged from here."""

    name: str
    state: str  # compliant | needs-work | unknown
    rules: tuple[str, ...] = ()


class Outlook(Struct, frozen=True):
    """What one provider would likely do, from what can be seen here; never "accepted".

    `code` and `text` are the provider's answer to the worst of it, as its table has them.
    """

    outlook: str  # no-known-blocker | may-junk | would-defer | would-reject | unknown
    rules: tuple[str, ...] = ()
    code: str | None = None
    text: str | None = None
    rows: tuple[PostmasterRow, ...] = ()


class DeclaredClass(Struct, frozen=True, rename={"class_": "class"}):
    """What the sender declared about this mail."""

    class_: MessageClass | None = None
    volume: Volume = Volume.BULK
    stream: str | None = None


class DnsUse(Struct, frozen=True):
    """What the run cost in DNS. `rounds`: the longest run of questions that waited for one another."""

    questions: int = 0
    rounds: int = 0
    snapshot_age_s: int | None = None


class TargetReport(Struct, frozen=True):
    """Everything about one target; also one line of `--format jsonl`."""

    target: str
    kind: TargetKind
    verdict: Verdict
    declared: DeclaredClass
    counts: Counts
    results: tuple[Result, ...]
    facts: dict[str, Any]
    providers: dict[str, Outlook]
    error: str | UnsetType | None = UNSET  # the input could not be read: exit 3


class Report(Struct, frozen=True, kw_only=True):
    """One run over one or more targets; the schema's name stands first in the JSON."""

    schema: str = "delivcheck/1"
    version: str
    policy: str
    verdict: Verdict
    elapsed_ms: int
    dns: DnsUse
    targets: tuple[TargetReport, ...]


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Fail before unknown before pass."""
    seen = set(verdicts)
    for verdict in (Verdict.FAIL, Verdict.UNKNOWN):
        if verdict in seen:
            return verdict
    return Verdict.PASS
