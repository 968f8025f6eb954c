"""Whether streams of different class are sent under one identity: From address, or sending address with d= domain."""

from dataclasses import dataclass
from itertools import combinations

from ..engine import fact
from ..model import NotApplicable, Unavailable, Where
from ..records.names import BadName, psl_organizational_domain, to_ascii, unmapped
from .dkim import DkimSignatures
from .identity import SendingHost
from .message import FromField
from .roots import AuditedDomain, Declared, Stream, Streams


@dataclass(frozen=True, slots=True)
class SharedIdentities:
    """What is shared, in words, each with its place."""

    each: tuple[tuple[str, Where | None], ...]


@fact
def shared_by_streams(streams: Streams, audited: AuditedDomain) -> SharedIdentities:
    """The pairs of streams that share something under the audited domain. NotApplicable when none is sent from there."""
    organization = psl_organizational_domain(audited.name)
    mine = [one for one in streams.each if organization in _organizations(one)]
    if not mine:
        raise NotApplicable(f"no stream of the configuration is sent from {organization}")
    found: list[tuple[str, Where | None]] = []
    for one, other in combinations(mine, 2):
        if None in {one.message_class, other.message_class} or one.message_class is other.message_class:
            continue
        both = f"the streams {one.name} ({one.message_class}) and {other.name} ({other.message_class}) share"
        found += [(f"{both} the From address {address}", other.at) for address in one.authors if address in other.authors]
        found += [(f"{both} {ip} with d={name}", other.at) for ip, name in _pairs(one) if (ip, name) in _pairs(other)]
    return SharedIdentities(tuple(found))


def _organizations(stream: Stream) -> set[str]:
    names = [*(author.rpartition("@")[2] for author in stream.authors), *stream.dkim_domains]
    return {psl_organizational_domain(name) for name in names}


def _pairs(stream: Stream) -> list[tuple[object, str]]:
    return [(ip, name) for ip in stream.ips for name in stream.dkim_domains]


@fact
def shared_with_message(
    streams: Streams,
    author: FromField,
    declared: Declared,
    host: SendingHost | NotApplicable | Unavailable,
    signatures: DkimSignatures,
) -> SharedIdentities:
    """What a message shares with streams of another class than its own. NotApplicable when its class was not declared."""
    if declared.message_class is None:
        raise NotApplicable("the message's class was not declared, so it cannot be held against the streams")
    address = _address(author)
    ip = unmapped(host.ip) if isinstance(host, SendingHost) else None
    found: list[tuple[str, Where | None]] = []
    for other in streams.each:
        if other.message_class in {None, declared.message_class}:
            continue
        whose = f"the stream {other.name} ({other.message_class}), and this message is {declared.message_class}"
        if address in other.authors:
            found.append((f"{address} is the From address of {whose}", author.at))
        if ip in other.ips:
            found += [
                (f"{ip} with d={signature.domain} belongs to {whose}", field.at)
                for field, signature in signatures.readable
                if signature.domain in other.dkim_domains
            ]
    return SharedIdentities(tuple(found))


def _address(author: FromField) -> str | None:
    """The one author's address as the configuration has it: lower case, the domain in A-labels."""
    box = author.mailbox
    if box is None:
        return None
    try:
        return f"{box.local.lower()}@{to_ascii(box.domain)}"
    except BadName:
        return None
