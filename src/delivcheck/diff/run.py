"""Audit a domain twice, with the DNS as it is and with a change laid over it, and tell what differs.

    diff = delivcheck.diff_domain("example.com", Path("new.zone"))
    diff.verdict                 # fail: something gets worse
    delivcheck.diff_to_json(diff)

Both audits run side by side over one set of answers, so that nothing is asked twice and no timeout looks like a difference.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from .. import catalog
from ..api import options_of, session_of, waited
from ..checker import Checker, InputError, Options
from ..facts.roots import Envelope
from ..facts.summary import SHOWN
from ..model import Answer, Dns, DnsUse, Failed, Found, IPAddress, TargetKind
from ..policy import Policy
from ..records.names import BadName, is_within, to_ascii
from ..version import __version__
from . import compare, values

if TYPE_CHECKING:
    from ..checker import DnsMode
    from ..net.client import Client
    from ..net.zone import Zone

    Change = str | bytes | Path | Zone

MAX_SELECTORS = 50  # taken from a file's names, like MAX_PROBLEMS; a domain has a handful
GRACE = 5.0  # seconds that the deadline of one audit ends after the one both share, so that only the shared one ever cuts

DOMAINKEY = "._domainkey."


@dataclass(frozen=True, slots=True)
class Inputs:
    """What both audits are given beside the domain."""

    session: Any = None
    envelope: Envelope | None = None
    selectors: Sequence[str] = ()


async def difference(
    domain: str, after: Sequence["Zone"], options: Options, inputs: Inputs | None = None, before: Sequence["Zone"] = ()
) -> values.Diff:
    """Compare `domain` without and with the files `after` laid over `options.dns`; `before` lies under both audits.

    `options.dns` is a client or "live". Raises InputError for what is no domain name, PolicyError.
    """
    from ..net.deadline import Deadline
    from ..net.shared import Noted, Shared
    from ..net.zone import ZoneOverlay

    started = time.monotonic()
    inputs = inputs or Inputs()
    base = _client(options.dns)
    shared = Shared(Deadline(base, options.timeout))
    beneath = ZoneOverlay(before, shared) if before else shared
    sides = [Noted(beneath), Noted(ZoneOverlay(after, beneath))]
    book = catalog.standard()
    now = options.now or datetime.now(UTC)
    try:
        name = to_ascii(domain)
    except BadName as error:
        raise InputError(f"not a domain name: {error}") from None

    async def audit(dns: Noted) -> compare.Audit:
        facts: dict[type, Any] = {}
        chosen = replace(options, dns=dns, now=now, timeout=options.timeout + GRACE)
        shown = {**SHOWN, TargetKind.DOMAIN: (*SHOWN[TargetKind.DOMAIN], *compare.FACTS)}
        checker = Checker(chosen, book, shown, gathered=facts.update)
        selectors = (*inputs.selectors, *await _present(dns, name, (*before, *after)))
        report = await checker.domain(
            domain,
            session=inputs.session,
            envelope=inputs.envelope,
            selectors=tuple(dict.fromkeys(selectors)),
            among_others=True,  # the sides do not name the same, and a key found on one only would look like a change
        )
        return compare.Audit(report, facts, dns.answers)

    try:
        one, other = await asyncio.gather(*map(audit, sides))
    finally:
        await shared.close()
    zones = tuple(values.ZoneUsed(zone.file, zone.kind, len(zone.records), zone.closes, zone.unread) for zone in after)
    found = compare.compare(one, other, options.fail_on, whole=not any(zone.unread for zone in zones))
    return values.Diff(
        version=__version__,
        domain=domain,
        policy=options.policy.name,
        verdict=found.verdict,
        elapsed_ms=round((time.monotonic() - started) * 1000),
        dns=getattr(base, "use", DnsUse)(),
        zones=zones,
        **found.parts,
    )


def _client(dns: "Dns | DnsMode") -> "Client":
    if dns == "offline":
        raise InputError("there is nothing to compare with while DNS is not asked")
    if dns != "live":
        return cast("Client", dns)
    from ..net.dns import Live
    from ..net.outside import Outside

    return Outside(Live())


async def _present(dns: Dns, domain: str, zones: Iterable["Zone"]) -> list[str]:
    """The selectors that the files have a key for and that this side of the change has, or may have where DNS does not say.

    Named to the audit, since a new selector would hardly be guessed; on the side where it has no key it is not named, or adding
    one would read as mending a key that was missing.
    """
    tail = f"{DOMAINKEY.lstrip('.')}{domain}"
    names = dict.fromkeys(name for zone in zones for name, type_ in zone.records if type_ in {"TXT", "CNAME"})
    found = [name for name in names if is_within(name, tail) and name != tail and "*" not in name][:MAX_SELECTORS]
    answers: list[Answer] = await asyncio.gather(*(dns.ask(name, "TXT") for name in found))
    return [
        name.removesuffix(f".{tail}")
        for name, answer in zip(found, answers, strict=True)
        if isinstance(answer, (Found, Failed))
    ]


# --- one call ----------------------------------------------------------------------------------------------------


async def diff_domain_async(
    domain: str,
    change: "Change | list[Change]",
    *,
    before: "Sequence[Change]" = (),
    origin: str | None = None,
    ip: str | IPAddress | None = None,
    ehlo: str | None = None,
    mail_from: str | None = None,
    policy: str | Policy = "bulk",
    dns: "Dns | DnsMode" = "live",
    selectors: Sequence[str] = (),
    **settings: Any,
) -> values.Diff:
    """Tell what a DNS change would alter for a sender domain.

    `change` is what would be published: the text or octets of a BIND zone file, an octoDNS file or a Terraform plan, a path to
    one, a `net.zone.Zone`, or several of these in a list. `origin` is the zone of a text whose names are relative. What is in
    `before` is laid over the DNS first and belongs to both sides. The other parameters are those of `audit_domain_async`.
    Raises InputError, PolicyError, ZoneError.
    """
    several = change if isinstance(change, list) else [change]
    inputs = Inputs(session_of(ip, ehlo, None), None if mail_from is None else Envelope(mail_from), tuple(selectors))
    after, earlier = ([_zone(each, origin) for each in files] for files in (several, before))
    return await difference(domain, after, options_of(policy, dns, settings), inputs, earlier)


def _zone(change: "Change", origin: str | None) -> "Zone":
    from ..net import zonefile

    if isinstance(change, Path):
        return zonefile.read(change, origin)
    return zonefile.parse(change, origin=origin) if isinstance(change, (str, bytes)) else change


def diff_domain(domain: str, change: "Change | list[Change]", **parameters: Any) -> values.Diff:
    """`diff_domain_async`, waited for. Not to be called from a running event loop."""
    return waited(diff_domain_async(domain, change, **parameters), "diff_domain_async")


def diff_to_json(diff: values.Diff) -> bytes:
    """Serialise to schema `delivcheck-diff/1`."""
    return msgspec.json.encode(diff)
