"""What a message that came in tells of its way (`--received`): the hop that handed it over, and what the receiver found.

The trusted hop is the topmost Received field whose `from` clause has a public address. This is right for a mailbox whose
border host writes the topmost such field, which is most of them. It is wrong where the provider passes mail on between hosts
of its own with public addresses (Microsoft 365 does) and where mail was forwarded: then the address is that of the last
relay, and SPF is asked about it as the receiver would have been. Fields below the trusted hop can be forged by the sender
and are not looked at.
"""

from dataclasses import dataclass

from ..engine import fact
from ..mime.addresses import parse_path
from ..mime.authres import AuthenticationResults, MethodResult, parse_authentication_results
from ..mime.fields import Field
from ..mime.lexer import HeaderError
from ..mime.message import Message
from ..mime.received import Received, parse_received
from ..model import IPAddress, NotApplicable, Unavailable, Where
from ..records.names import BadName, to_ascii, unmapped
from ..records.networks import is_private_address
from .identity import MailFromDomain, SendingHost
from .roots import AsReceived, Now

MAX_HOPS = 100  # Received fields looked at; MTAs give a message up after 25 to 100 (RFC 5321 section 6.3 asks for at least 100)


@dataclass(frozen=True, slots=True)
class TrustedHop:
    """The Received field in which the receiver's border host says who handed the message over."""

    received: Received
    field: Field
    ip: IPAddress


@dataclass(frozen=True, slots=True)
class ReceivedAuthResults:
    """The topmost Authentication-Results field: who says so, and each method's result (RFC 8601)."""

    authserv_id: str
    results: tuple[MethodResult, ...]
    at: Where

    def of(self, method: str) -> tuple[MethodResult, ...]:
        """The results of one method: "spf", "dkim", "dmarc" …"""
        return AuthenticationResults(self.authserv_id, self.results).of(method)


def is_public(ip: IPAddress) -> bool:
    """Whether an address can be that of a client from outside; those kept for documentation count, our examples use them."""
    return not is_private_address(ip) and not ip.is_multicast


@fact
def trusted_hop(came_in: AsReceived, message: Message) -> TrustedHop:  # noqa: ARG001 -- only for messages that came in
    """The topmost Received field with a public client address."""
    for field in message.all("received")[:MAX_HOPS]:
        try:
            received = parse_received(field.text)
        except HeaderError:
            continue
        if received.ip is not None and is_public(unmapped(received.ip)):
            return TrustedHop(received, field, unmapped(received.ip))
    raise NotApplicable("no Received field names a public client address")


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


@fact
def auth_results(came_in: AsReceived, message: Message) -> ReceivedAuthResults:  # noqa: ARG001 -- as above
    """What the receiver found; fields further down may come from anybody."""
    field = message.first("authentication-results")
    if field is None:
        raise NotApplicable("the message has no Authentication-Results field")
    try:
        found = parse_authentication_results(field.text)
    except HeaderError as error:
        raise Unavailable(f"Authentication-Results cannot be read: {error}", field.where(error.position)) from None
    return ReceivedAuthResults(found.authserv_id, found.results, field.at)
