"""Looks up what proposals need, all of it side by side: forwarders, sending services, free names, keys elsewhere."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import compress

from ...model import Dns, NoData, NoSuchName, NotApplicable, Unavailable
from ...records.dkim import key_name
from ...records.names import BadName, psl_organizational_domain, to_ascii
from ...rulefiles import data
from .. import spf_verdict
from ..dkim import PublishedKey, SignatureField, Via, published
from ..identity import MailFromDomain, SendingHost
from ..received import Hops, TrustedHop
from ..verdicts import DkimResult, DkimVerdict, DmarcResult, SpfResult
from .situation import FAILED, MAX_SIGNATURES, Situation

MAX_EARLIER = 5  # hops below the trusted one that SPF is asked about; mail is rarely forwarded more than twice
MAX_SERVICES = 10  # SPF records of sending services that are tried, all at once
MAX_KEYS = 8  # keys found elsewhere that a signature is tried with
FREE = ("bounce", "bounces", "return")  # usual labels of a domain that takes bounces


@dataclass(frozen=True, slots=True)
class Scouted:
    """What was looked up for proposals alone.

    `includes`: names of sending services whose SPF record passes for this host. `author_passes`: SPF would pass with MAIL FROM
    at the author domain. `free` is a name below it that does not exist. `other_keys`: per signature, where
    else a key is, and which. `forwarder`: the hop before the trusted one for which SPF passes, as "192.0.2.1 (hop 3)".
    """

    includes: tuple[str, ...] = ()
    author_passes: bool = False
    free: str | None = None
    other_keys: Mapping[int, tuple[tuple[str, PublishedKey], ...]] | None = None
    forwarder: str | None = None


async def scout(s: Situation, dns: Dns) -> Scouted:
    """Look everything up side by side."""
    (forwarder, includes), (author_passes, free), keys = await asyncio.gather(
        _who_sent_it(s, dns), _at_the_author(s, dns), _keys_elsewhere(s, dns)
    )
    if forwarder is not None:  # then the envelope is its own
        author_passes, free = False, None
    return Scouted(includes, author_passes, free, keys, forwarder)


async def _who_sent_it(s: Situation, dns: Dns) -> tuple[str | None, tuple[str, ...]]:
    """Whom it came from where SPF does not pass: a forwarder, or sending services whose record has the host."""
    host, sender = s.it.host, s.it.mail_from
    if host is None or sender is None or s.spf is None or s.spf.result is SpfResult.PASS or s.hop is None:
        return None, ()
    forwarder, includes = await asyncio.gather(_forwarder(sender, s.hops, s.hop, dns), _includes(s, host, s.hop, dns))
    return forwarder, () if forwarder is not None else includes


async def _at_the_author(s: Situation, dns: Dns) -> tuple[bool, str | None]:
    """Where under the author domain bounces could go: whether SPF passes there, and a free name below it."""
    host, sender = s.it.host, s.it.mail_from
    if host is None or sender is None or s.spf is None or s.dmarc.result is DmarcResult.PASS or sender.name == s.author:
        return False, None
    return await asyncio.gather(_passes(host, s.author, dns), _free(s.author, dns))


async def _keys_elsewhere(s: Situation, dns: Dns) -> dict[int, tuple[tuple[str, PublishedKey], ...]]:
    """For each signature that another key may fit, the keys that there are."""
    fields = {one.index: one for one in s.it.signatures.each}
    failing = [one for one in s.it.verdicts.each if one.result in FAILED][:MAX_SIGNATURES]
    tried = [fields[one.index] for one in failing if _other_key_may_fit(one)]
    found = await asyncio.gather(*(_other_keys(one, s, dns) for one in tried))
    return {one.index: keys for one, keys in zip(tried, found, strict=True)}


def _other_key_may_fit(verdict: DkimVerdict) -> bool:
    return verdict.cause in {"no-key", "revoked", "bad-key", "signature"}


async def _passes(host: SendingHost, domain: str, dns: Dns, sender: str | None = None) -> bool:
    try:
        verdict = await spf_verdict.evaluate(host, MailFromDomain(domain, sender or f"postmaster@{domain}"), dns)
    except (Unavailable, NotApplicable):
        return False
    return verdict.result is SpfResult.PASS


async def _forwarder(sender: MailFromDomain, hops: Hops, hop: TrustedHop, dns: Dns) -> str | None:
    """The earlier hop for which SPF passes: then what handed the message over was a forwarder.

    Those fields can be forged, which gains nothing: it only keeps a host from being proposed for the record.
    """
    if sender.identity != "mailfrom":
        return None
    earlier = [one for one in hops.each if one.number > hop.number and one.public][:MAX_EARLIER]
    hosts = [(one.number, SendingHost(one.ip, one.received.helo)) for one in earlier if one.ip is not None and one.ip != hop.ip]
    passes = await asyncio.gather(*(_passes(host, sender.name, dns, sender.sender) for _, host in hosts))
    return next((f"{host.ip} (hop {number})" for number, host in compress(hosts, passes)), None)


async def _includes(s: Situation, host: SendingHost, hop: TrustedHop, dns: Dns) -> tuple[str, ...]:
    """Sending services whose own SPF record has this host: by its names, and by who signs."""
    named = [hop.received.rdns, hop.received.helo, *(one.domain for one in s.it.verdicts.each if one.result is DkimResult.PASS)]
    organizations = dict.fromkeys(
        psl_organizational_domain(name) for one in named if one and (name := _ascii(one)) and "." in name
    )
    assert s.spf is not None
    ours = psl_organizational_domain(s.spf.domain)
    names = [(organization, name) for organization in organizations if organization != ours for name in _services(organization)]
    passes = await asyncio.gather(*(_passes(host, name, dns) for _, name in names[:MAX_SERVICES]))
    found: dict[str, str] = {}
    for organization, name in compress(names, passes):
        found.setdefault(organization, name)
    return tuple(found.values())


def _services(organization: str) -> tuple[str, ...]:
    """Names at which the SPF record for a sending service's customers may stand, the likely ones first."""
    table = [
        name
        for provider in data("selectors")["provider"]
        for name in provider["domains"]
        if psl_organizational_domain(name) == organization
    ]
    return tuple(dict.fromkeys((*table, f"_spf.{organization}", f"spf.{organization}", organization)))


def _ascii(name: str) -> str | None:
    try:
        return to_ascii(name)
    except BadName:
        return None


async def _free(author: str, dns: Dns) -> str | None:
    """A name below the author domain that has nothing yet."""

    async def nothing_at(name: str) -> bool:
        answers = await asyncio.gather(*(dns.ask(name, kind) for kind in ("TXT", "MX", "A")))
        return all(isinstance(one, (NoSuchName, NoData)) and not one.aliases for one in answers)

    names = [f"{label}.{author}" for label in FREE]
    return next(compress(names, await asyncio.gather(*map(nothing_at, names))), None)


async def _other_keys(one: SignatureField, s: Situation, dns: Dns) -> tuple[tuple[str, PublishedKey], ...]:
    """Keys that may be the right one, by name: at a slip of the name, or under another selector of the domain."""
    signature = one.signature
    if signature is None:
        return ()
    domain, selector = signature.domain, signature.selector
    above = psl_organizational_domain(domain)
    slips = [f"{signature.key_name}.{domain}", f"{selector}.{domain}", f"_domainkey.{domain}", f"{selector}._domainkey.{above}"]
    used = [other.selector for _, other in s.it.signatures.readable if other.domain == domain]
    names = [*slips, *(key_name(name, domain) for name in dict.fromkeys((*used, *data("selectors")["common"])))]
    asked = list(dict.fromkeys(name for name in names if _ascii(name) is not None and name != signature.key_name))
    answers = await asyncio.gather(*(dns.ask(name, "TXT") for name in asked))
    keys = [(name, published(selector, domain, Via.GUESSED, answer)) for name, answer in zip(asked, answers, strict=True)]
    return tuple((name, key) for name, key in keys if isinstance(key, PublishedKey) and key.usable)[:MAX_KEYS]
