"""What a message that came in tells of its way (`--received`): the hop that handed it over, and what the receiver found.

The trusted hop is the Received field of the receiver's border host: the one that says who handed the message over. Providers
pass mail on between hosts of their own, some with public addresses (Microsoft 365), so it is, in this order: the field that the
user named; the one whose client the receiver itself judged, as its SPF result tells; the topmost one with a public address that
is not internal relaying. A field with a public address that is not the receiver's own relaying is never passed over, since what
stands below it may come from anybody. Where mail was forwarded, the address is that of the last relay, and SPF is asked about
it as the receiver asked.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from msgspec import Struct

from ..engine import fact
from ..mime.addresses import parse_path
from ..mime.authres import AuthenticationResults, MethodResult, parse_authentication_results
from ..mime.fields import Field
from ..mime.lexer import HeaderError
from ..mime.message import Message
from ..mime.received import Received, parse_received
from ..model import IPAddress, NotApplicable, Unavailable, Where
from ..records.names import BadName, is_hostname, psl_organizational_domain, to_ascii, unmapped
from ..records.networks import is_private_address
from ..rulefiles import providers
from .identity import MailFromDomain, SendingHost
from .roots import AsReceived, Now

MAX_HOPS = 100  # Received fields looked at; MTAs give a message up after 25 to 100 (RFC 5321 section 6.3 asks for at least 100)
MAX_RESULTS = 20  # Authentication-Results fields looked at; iCloud writes five, a mailing list passes on a few

# How receivers name the client in the remarks of their SPF result: Google, iCloud and Mail.ru, Microsoft, Google's neutral.
_CLIENT = re.compile(
    r"(?:designates?|sender ip is|client-ip=|remote-ip=)\s*\[?([0-9a-f.:]{3,45})|:\s*([0-9a-f.:]{3,45}) is neither",
    re.IGNORECASE,
)


class HopBasis(StrEnum):
    """How the trusted hop was told from the others."""

    DECLARED = "declared"  # --trusted-hop
    RESULTS = "results"  # the receiver's SPF result names this client
    FIRST_PUBLIC = "first-public"  # the topmost public address that is not the receiver's own


@dataclass(frozen=True, slots=True)
class Hop:
    """One Received field that could be read. `number` counts all Received fields from the top, from 1."""

    number: int
    field: Field
    received: Received
    ip: IPAddress | None

    @property
    def public(self) -> bool:
        """Whether the client's address can be that of one from outside."""
        return self.ip is not None and is_public(self.ip)


@dataclass(frozen=True, slots=True)
class Hops:
    """The way of the message, the last hop first, as far as it can be read; only the receiver's own part cannot be forged."""

    each: tuple[Hop, ...]


@dataclass(frozen=True, slots=True)
class TrustedHop:
    """The Received field in which the receiver's border host says who handed the message over."""

    received: Received
    field: Field
    ip: IPAddress
    number: int = 1
    basis: HopBasis = HopBasis.FIRST_PUBLIC


@dataclass(frozen=True, slots=True)
class ReceivedAuthResults:
    """The receiver's Authentication-Results (RFC 8601): who says so, and each method's result.

    `authserv_id` is "" where the field has none (Microsoft 365). `ignored` are fields that somebody else may have written.
    `unread` counts results that do not follow the grammar.
    """

    authserv_id: str
    results: tuple[MethodResult, ...]
    at: Where
    ignored: tuple[tuple[str, Where], ...] = field(default=())
    unread: int = 0

    def of(self, method: str) -> tuple[MethodResult, ...]:
        """The results of one method: "spf", "dkim", "dmarc" …"""
        return AuthenticationResults(self.authserv_id, self.results).of(method)

    @property
    def client(self) -> IPAddress | None:
        """The address that SPF was judged for, where a remark tells it."""
        return next((ip for one in self.of("spf") if (ip := client_of(one)) is not None), None)


def is_public(ip: IPAddress) -> bool:
    """Whether an address can be that of a client from outside; those kept for documentation count, our examples use them."""
    return not is_private_address(ip) and not ip.is_multicast


class _Houses(NamedTuple):
    """The organizations that each mailbox provider's hosts are in: by each of them, and by the domains of its mailboxes.

    `greeted` are those whose hosts greet one another under several names, as Received fields of 2025 and 2026 have them.
    """

    by_host: Mapping[str, frozenset[str]]
    by_mailbox: Mapping[str, frozenset[str]]
    greeted: frozenset[frozenset[str]]


@lru_cache(maxsize=1)
def _houses() -> _Houses:
    made = _Houses({}, {}, frozenset())
    for one in providers().values():
        organizations = frozenset(map(psl_organizational_domain, (*one["mx"], *one.get("hosts", ()))))
        made = _Houses(
            {**made.by_host, **dict.fromkeys(organizations, organizations)},
            {**made.by_mailbox, **dict.fromkeys(one["domains"], organizations)},
            made.greeted | ({organizations} if "hosts" in one else frozenset()),
        )
    return made


def house(name: str | None) -> frozenset[str]:
    """The organizational domains that belong together with a host's; empty for what is no host name of two labels."""
    if not name:
        return frozenset()
    try:
        ascii_name = to_ascii(name.strip("[]"))
    except BadName:
        return frozenset()
    if not is_hostname(ascii_name):
        return frozenset()
    organization = psl_organizational_domain(ascii_name)
    known = _houses()
    # A mailbox domain stands for its provider, a name below it need not: customers' lines are at verizon.net and wanadoo.fr.
    return known.by_mailbox.get(ascii_name) or known.by_host.get(organization) or frozenset({organization})


def client_of(one: MethodResult) -> IPAddress | None:
    """The client address that the remarks or properties of a result name."""
    stated = one.get("smtp.remote-ip") or one.get("policy.client-ip")
    return _ip(stated) if stated else _client_in(one.comments)


def _client_in(texts: Sequence[str]) -> IPAddress | None:
    for text in texts:
        if found := _CLIENT.search(text):
            return _ip((found[1] or found[2]).rstrip(".:"))
    return None


def _ip(text: str) -> IPAddress | None:
    try:
        return unmapped(ip_address(text.strip("[]")))
    except ValueError:
        return None


# --- the hop -----------------------------------------------------------------------------------------------------


@fact
def hops(came_in: AsReceived, message: Message) -> Hops:  # noqa: ARG001 -- only for messages that came in
    """Read the Received fields; one that cannot be read keeps its number."""
    return Hops(tuple(_read_hops(message.all("received")[:MAX_HOPS])))


def _read_hops(fields: Sequence[Field]) -> Iterator[Hop]:
    for number, one in enumerate(fields, 1):
        try:
            received = parse_received(one.text)
        except HeaderError:
            continue
        yield Hop(number, one, received, None if received.ip is None else unmapped(received.ip))


@fact
def trusted_hop(came_in: AsReceived, way: Hops, message: Message) -> TrustedHop:
    """Find the border, see the top of this module. NotApplicable where no field tells a client from outside."""
    if came_in.trusted_hop is not None:
        return _declared(came_in.trusted_hop, way, len(message.all("received")))
    possible = _possible(way.each)
    if not possible:
        raise NotApplicable("no Received field names a public client address")
    named = _named_client(message, possible[-1])
    hop = next((one for one in possible if one.ip == named), possible[-1])
    basis = HopBasis.RESULTS if hop.ip == named else HopBasis.FIRST_PUBLIC
    assert hop.ip is not None
    return TrustedHop(hop.received, hop.field, hop.ip, hop.number, basis)


def _declared(number: int, way: Hops, count: int) -> TrustedHop:
    hop = next((one for one in way.each if one.number == number), None)
    if hop is None:
        why = "cannot be read" if number <= count else f"is not there: the message has {count}"
        raise NotApplicable(f"Received field {number} (--trusted-hop) {why}")
    if hop.ip is None:
        raise NotApplicable(f"Received field {number} (--trusted-hop) names no client address")
    return TrustedHop(hop.received, hop.field, hop.ip, number, HopBasis.DECLARED)


def _possible(way: Sequence[Hop]) -> list[Hop]:
    """The hops with a public address from the top, down to the first that is not the receiver's internal relaying."""
    found: list[Hop] = []
    ours: frozenset[str] = frozenset()
    for hop in way:
        by = house(hop.received.by)
        if hop.received.submitted and found:  # the receiver's own user logged in there: the border is above
            break
        ours |= by if not found or by & ours or not hop.public else frozenset()
        if not hop.public:
            continue
        found.append(hop)
        if not _inside(hop.received) & ours:
            break
    return found


def _inside(received: Received) -> frozenset[str]:
    """Whose host handed over: by the name that DNS gave; of one's own greeting only large providers' are worth anything."""
    greeted = house(received.helo)
    return house(received.rdns) if received.rdns else greeted if greeted in _houses().greeted else frozenset()


def _named_client(message: Message, last: Hop) -> IPAddress | None:
    """The client in the topmost SPF result that the receiver can have written: above the last possible hop, or right below."""
    for one in message.fields:
        if one.lower == "received" and one.offset > last.field.offset:
            return None
        if one.lower == "received-spf":
            return _client_in([one.text])
        if one.lower == "authentication-results":
            try:
                said = parse_authentication_results(one.text, lenient=True)
            except HeaderError:
                return None
            spf = [client for result in said.of("spf") + said.of("iprev") if (client := client_of(result)) is not None]
            if spf:
                return spf[0]
    return None


@fact
def host_of_hop(hop: TrustedHop) -> SendingHost:
    """The host that handed the message over, and its EHLO name."""
    return SendingHost(hop.ip, hop.received.helo)


@fact
def mail_from_of_return_path(
    came_in: AsReceived,  # noqa: ARG001 -- only for messages that came in
    message: Message,
    host: SendingHost | NotApplicable,
) -> MailFromDomain:
    """MAIL FROM as final delivery wrote it down (RFC 5321 section 4.4); for the null sender the EHLO name."""
    field = message.first("return-path")
    if field is None:
        raise NotApplicable("the message has no Return-Path field")
    try:
        box = parse_path(field.text)
    except HeaderError as error:
        raise NotApplicable(f"Return-Path cannot be read: {error}") from None
    if box is not None:
        try:
            return MailFromDomain(to_ascii(box.domain), box.address)
        except BadName as error:
            raise NotApplicable(f"the domain in Return-Path is no domain name: {error}") from None
    ehlo = host.ehlo if isinstance(host, SendingHost) else None
    if ehlo is None:
        raise NotApplicable("the sender is null (<>) and no Received field tells the EHLO name")
    try:
        return MailFromDomain(to_ascii(ehlo), f"postmaster@{ehlo}", "helo")  # RFC 7208 section 2.4
    except BadName as error:
        raise NotApplicable(f"the EHLO name {ehlo!r} is no domain name: {error}") from None


@fact
def time_of_hop(hop: TrustedHop) -> Now:
    """When the border host took the message."""
    if hop.received.date is None:
        raise Unavailable("the trusted Received field has no date that can be read", hop.field.at)
    return Now(hop.received.date.moment)


# --- the receiver's results --------------------------------------------------------------------------------------


@fact
def auth_results(came_in: AsReceived, message: Message, hop: TrustedHop | NotApplicable) -> ReceivedAuthResults:
    """What the receiver found, told from what others wrote (RFC 8601 section 5).

    What stands above the trusted hop was written by the receiver: the topmost field, and others there of the same name or
    organization (iCloud has a name for each method). Of those below the hop only the first can be the receiver's (Google,
    Fastmail), and only if it carries the name of the host that took the message. A declared authserv-id (`--authserv-id`)
    stands for all this.
    """
    fields = message.all("authentication-results")[:MAX_RESULTS]
    if not fields:
        raise NotApplicable("the message has no Authentication-Results field")
    read = [_read_results(one) for one in fields]
    border = hop.field.offset if isinstance(hop, TrustedHop) else None
    above = [n for n, one in enumerate(fields) if border is not None and one.offset < border]
    if came_in.authserv_id is not None:
        wanted = came_in.authserv_id.lower()
        taken = [n for n, one in enumerate(read) if not isinstance(one, HeaderError) and one.authserv_id.lower() == wanted]
        if not taken:
            raise NotApplicable(f"no Authentication-Results field is of {came_in.authserv_id} (--authserv-id)")
    elif above and isinstance(hop, TrustedHop):
        # A hop that the user named has its own results next to it; else the topmost field is the receiver's last word.
        first = above[-1] if hop.basis is HopBasis.DECLARED else above[0]
        taken = [n for n in above if n == first or _together(read[first], read[n])]
    else:
        taken = [0] if _of_border(fields[0], read[0], hop, message) else []
        if not taken:
            raise NotApplicable(f"{_whose(read[0])} stands where the sender may have written it (--authserv-id trusts a name)")
    first = taken[0]
    top = read[first]
    if isinstance(top, HeaderError):
        raise Unavailable(f"Authentication-Results cannot be read: {top}", fields[first].where(top.position))
    mine = [one for n in taken if not isinstance(one := read[n], HeaderError)]
    results = tuple(result for one in mine for result in one.results)
    if not results and top.unread:
        fault = top.unread[0]
        raise Unavailable(f"Authentication-Results cannot be read: {fault}", fields[first].where(fault.position))
    others = tuple(
        ("" if isinstance(one, HeaderError) else one.authserv_id, fields[n].at) for n, one in enumerate(read) if n not in taken
    )
    return ReceivedAuthResults(
        top.authserv_id,
        results,
        fields[first].at,
        others,
        sum(len(one.unread) for one in mine),
    )


def _read_results(one: Field) -> AuthenticationResults | HeaderError:
    try:
        return parse_authentication_results(one.text, lenient=True)
    except HeaderError as error:
        return error.with_traceback(None)


def _together(one: AuthenticationResults | HeaderError, other: AuthenticationResults | HeaderError) -> bool:
    """Whether two fields come from one receiver."""
    if isinstance(one, HeaderError) or isinstance(other, HeaderError):
        return False
    same = one.authserv_id.lower() == other.authserv_id.lower()
    return same or bool(house(one.authserv_id) & house(other.authserv_id))


def _of_border(
    one: Field, said: AuthenticationResults | HeaderError, hop: TrustedHop | NotApplicable, message: Message
) -> bool:
    """Whether a field may be the border's though no trusted hop is below it: it stands above all Received, or right below."""
    received = message.all("received")
    if isinstance(hop, NotApplicable):
        return not received or one.offset < received[0].offset
    between = any(hop.field.offset < other.offset < one.offset for other in received)
    named = isinstance(said, AuthenticationResults) and house(said.authserv_id) & house(hop.received.by)
    return not between and bool(named)


def _whose(said: AuthenticationResults | HeaderError) -> str:
    name = "" if isinstance(said, HeaderError) else said.authserv_id
    return f"the topmost Authentication-Results field, of {name}," if name else "the topmost Authentication-Results field"


# --- the hop, for the report -------------------------------------------------------------------------------------


class CameIn(Struct, frozen=True):
    """Who handed the message over, from the Received field of the receiver's border host.

    `hop` is the field's number from the top, from 1; `basis` how it was told from the others (declared, results,
    first-public); `tls` the version; `encrypted` None where the field does not tell; `time` ISO 8601.
    """

    ip: str
    ehlo: str | None
    name: str | None
    by: str | None
    tls: str | None
    encrypted: bool | None
    time: str | None
    hop: int
    line: int
    basis: str


@fact
def came_in_from(hop: TrustedHop) -> CameIn:
    """What the trusted hop says."""
    received = hop.received
    return CameIn(
        str(hop.ip),
        received.helo,
        received.rdns,
        received.by,
        received.tls,
        received.encrypted,
        None if received.date is None else received.date.moment.isoformat(),
        hop.number,
        hop.field.line,
        hop.basis.value,
    )
