"""What the gate is wired to: next hops, the DKIM keys that DNS has, the SPF records that must name our addresses."""

import asyncio
from collections.abc import AsyncIterator, Iterable

from ....config import Config
from ....facts.dkim import PublishedKey, Via, published
from ....facts.identity import MailFromDomain, SendingHost
from ....facts.spf_verdict import evaluate
from ....facts.verdicts import SpfResult
from ....model import Found, IPAddress, NoData, NoSuchName, NotApplicable, Unavailable
from ....net.client import Client
from ....net.deadline import Deadline
from ....records.dkim import DkimKey, load_rsa, parse_key
from ...prepare import PreparationError
from ...prepare import keys as key_store
from ...prepare.keys import Key
from ...profiles import PROFILES
from ...relay.connection import Connection, Lost
from ...relay.dial import Dial
from ...settings import Gate, Kind, NextHop, Security
from .finding import Finding, State

PATIENCE = 20.0  # seconds for a next hop or for the DNS of one domain: a person waits; mail itself waits longer


# --- next hops -----------------------------------------------------------------------------------------------------


async def next_hops(gate: Gate) -> AsyncIterator[Finding]:
    """Connect, greet, STARTTLS, log in: as with mail, to all at the same time."""
    for found in await asyncio.gather(*(_next_hop(gate, hop) for hop in gate.next_hops)):
        for one in found:
            yield one


async def _next_hop(gate: Gate, hop: NextHop) -> list[Finding]:
    what = f"next hop {hop.name}"
    told: list[str] = []
    try:
        dial = Dial(hop, gate.name, lambda happened, why: told.append(why) if happened == "failed" else None)
    except OSError as error:  # ssl.SSLError is one
        return [Finding(State.BROKEN, what, f"{hop.ca_file}: {error.strerror or error}")]
    try:
        async with asyncio.timeout(PATIENCE):
            connection = await dial()
    except Lost as error:
        return [Finding(State.PROBLEM, what, f"{_there(hop)}{error}")]
    except (TimeoutError, OSError) as error:
        why = f"nothing within {PATIENCE:g} s" if isinstance(error, TimeoutError) else str(error.strerror or error)
        return [Finding(State.PROBLEM, what, f"{_there(hop)}{why}")]
    try:
        found = list(_offered(gate, hop, connection, told))
        await connection.quit()
    except Lost:
        connection.abort()
    return [Finding(one.state, what, one.text) for one in found]


def _there(hop: NextHop) -> str:
    """Where it is, unless its name says that already."""
    return "" if hop.name == str(hop.address) else f"{hop.address}: "


def _offered(gate: Gate, hop: NextHop, connection: Connection, told: Iterable[str]) -> Iterable[Finding]:
    """What was reached, and what mail will miss there."""
    tls = f"{connection.tls}{'' if connection.verified else ', certificate not verified'}" if connection.tls else "no TLS"
    login = f", logged in as {hop.user}" if hop.user is not None else ""
    yield Finding(State.OK, "", f"{_there(hop)}{tls}{login}")
    for why in told:
        yield Finding(State.WARNING, "", why)
    if connection.tls is None and hop.security is Security.OPPORTUNISTIC and not connection.local:
        yield Finding(State.WARNING, "", "offers no TLS: mail goes in the clear")
    if not connection.offers.extensions.eight_bit:
        yield Finding(State.WARNING, "", "offers no 8BITMIME: mail in UTF-8 or 8-bit is refused, since nothing is converted")
    size = connection.offers.size
    if size is not None and size < gate.limits.message_size:
        text = f"takes {size} octets at most: message-size ({gate.limits.message_size}) is not what holds"
        yield Finding(State.WARNING, "", text)


# --- DKIM ----------------------------------------------------------------------------------------------------------


async def dkim(gate: Gate, dns: Client) -> AsyncIterator[Finding]:
    """Whether DNS has the key that we sign with; a key that cannot be read was told already."""
    keys = []
    for one in gate.keys:
        try:
            keys += list(key_store.load([one]))
        except PreparationError:
            continue
    for found in await asyncio.gather(*(_published(key, dns) for key in keys)):
        yield found


async def _published(key: Key, dns: Client) -> Finding:
    what = f"DKIM key {key.name}"
    answer = await Deadline(dns, PATIENCE).ask(key.name, "TXT")
    found = published(key.signing.selector, key.signing.domain, Via.NAMED, answer)
    if isinstance(found, Unavailable):
        return Finding(State.PROBLEM, what, found.reason)
    why = _no_match(key, found)
    if why is not None:
        return Finding(State.PROBLEM, what, f"{why}; publish {key.record}")
    if len(found.texts) > 1:  # RFC 6376 section 3.6.2.2: the results are undefined
        return Finding(State.PROBLEM, what, f"{len(found.texts)} keys are published, and verifiers take any of them")
    (_, match), *_ = found.usable
    if match.testing:
        return Finding(State.WARNING, what, "t=y: the domain is testing DKIM, and signatures may count for nothing")
    return Finding(State.OK, what, f"{key.algorithm}, {match.bits} bits, as published")


def _no_match(key: Key, found: PublishedKey) -> str | None:
    """Why no published key is ours; None where one is."""
    if not found.texts:
        return "is not published"
    ours = _public(parse_key(key.record))
    usable = [one for _, one in found.usable]
    if any(not one.revoked and _public(one) == ours for one in usable):
        return None
    if not usable:
        return "what is published is no key"
    if all(one.revoked for one in usable):
        return "is revoked (empty p=)"
    return "another key is published"


def _public(key: DkimKey) -> object:
    """What makes a public key itself, however it is written."""
    if key.kind != "rsa":
        return key.kind, key.data
    try:
        return key.kind, load_rsa(key.data).public_numbers()
    except ValueError:
        return key.kind, key.data


# --- SPF -----------------------------------------------------------------------------------------------------------


async def spf(config: Config, gate: Gate, dns: Client) -> AsyncIterator[Finding]:
    """Whether the SPF records of our own domains authorise the addresses that mail leaves from."""
    if not gate.egress:
        return  # `reading.warnings` says what follows
    if all(one.kind is not Kind.MILTER for one in gate.listeners) and not any(
        PROFILES[hop.profile].spf for hop in gate.next_hops
    ):
        yield Finding(State.OK, "egress", "every next hop sends from addresses of its own, so SPF of ours says nothing")
        return
    paths = [gate.bounces.domain] if gate.bounces is not None and gate.bounces.return_paths else []  # MAIL FROM is there
    domains = dict.fromkeys([*config.owned_domains, *(key.domain for key in gate.keys), *paths])
    if not domains:
        yield Finding(State.WARNING, "egress", "no owned-domains are named, so there is no SPF record to look at")
    for domain in domains:
        for found in await asyncio.gather(*(_authorised(domain, ip, gate.egress_ehlo, dns) for ip in gate.egress)):
            yield found


async def _authorised(domain: str, ip: IPAddress, ehlo: str | None, dns: Client) -> Finding:
    what = f"SPF of {domain}"
    sender = MailFromDomain(domain, f"postmaster@{domain}")
    try:
        verdict = await evaluate(SendingHost(ip, ehlo), sender, Deadline(dns, PATIENCE))
    except (Unavailable, NotApplicable) as error:
        return Finding(State.PROBLEM, what, f"{ip}: {error.reason}")
    decided = f" ({verdict.reason or verdict.mechanism})" if verdict.reason or verdict.mechanism else ""
    state = State.OK if verdict.result is SpfResult.PASS else State.PROBLEM
    return Finding(state, what, f"{ip}: {verdict.result}{decided}")


# --- what comes back -----------------------------------------------------------------------------------------------


async def returning(gate: Gate, dns: Client) -> AsyncIterator[Finding]:
    """Whether what comes back can be brought anywhere: the domain of return paths has an MX, or at least an address."""
    if gate.bounces is None:
        return
    domain, what = gate.bounces.domain, f"MX of {gate.bounces.domain}"
    asked = Deadline(dns, PATIENCE)
    answer = await asked.ask(domain, "MX")
    if isinstance(answer, Found):
        hosts = [host for _, host in sorted(answer.records)]
        if hosts == [""]:  # RFC 7505
            yield Finding(State.PROBLEM, what, "says that it takes no mail (null MX): nothing can come back")
        else:
            yield Finding(State.OK, what, ", ".join(hosts))
    elif isinstance(answer, NoData | NoSuchName):
        # RFC 5321 section 5.1: without an MX mail goes to the address itself.
        found = [await asked.ask(domain, type_) for type_ in ("A", "AAAA")] if isinstance(answer, NoData) else []
        if any(isinstance(one, Found) for one in found):
            yield Finding(State.WARNING, what, "there is none, so that mail comes to its own address")
        else:
            yield Finding(State.PROBLEM, what, "there is none, and no address: nothing can come back")
    else:
        yield Finding(State.PROBLEM, what, str(answer))
