"""A sender whose DNS is in order, in a closed zone; what the policies say of its messages."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from delivcheck.api import Checker, Options
from delivcheck.facts.roots import Envelope, Session
from delivcheck.model import Dns, Level, MessageClass, Outcome, Result, TargetReport
from delivcheck.net.snapshot import from_mapping
from delivcheck.policy import load
from tests.keys import record, sign_example

CORPORA = Path(__file__).parents[3] / "shared" / "corpora"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SENDER, READER = "shop.com", "mailbox.net"
IP, EHLO = "192.0.2.25", "out.shop.com"
SELECTOR = "s2026"
SESSION = Session(ip_address(IP), EHLO, tls="TLSv1.3")
ENVELOPE = Envelope(f"bounce@{SENDER}", (f"pat.sample@{READER}",))


def zone(domain: str = SENDER, host: str = EHLO) -> dict[str, Any]:
    """Everything a sender domain should publish. Any other host has an address, as the sites that mail links to do."""
    return {
        "* A": "198.51.100.80",
        **{
            f"*.{top} A": "198.51.100.80" for top in ("com", "net", "org")
        },  # these exist, so `*` does not stand for names below
        f"{domain} A": "192.0.2.80",
        f"www.{domain} A": "192.0.2.80",
        f"{domain} MX": f"10 mx.{domain}.",
        f"mx.{domain} A": "192.0.2.10",
        f"{domain} SOA": f"ns1.{domain}. hostmaster.{domain}. 1 3600 600 604800 300",
        f"{domain} NS": [f"ns1.{domain}.", f"ns2.{domain}."],
        f"{domain} TXT": f"v=spf1 ip4:{IP} -all",
        f"_dmarc.{domain} TXT": f"v=DMARC1; p=reject; rua=mailto:dmarc@{domain}",
        f"{SELECTOR}._domainkey.{domain} TXT": record("rsa2048"),
        f"{host} A": IP,
        f"{host} TXT": "v=spf1 a -all",
        "25.2.0.192.in-addr.arpa PTR": f"{host}.",
        f"{READER} MX": f"10 mx.{READER}.",
        f"mx.{READER} A": "198.51.100.10",
    }


def signed(message: bytes, domain: str = SENDER, **spec: Any) -> bytes:
    """The message with a signature of the sender's own key."""
    return sign_example(message, {"domain": domain, "selector": SELECTOR, **spec}, NOW)[0]


@lru_cache(maxsize=64)
def _checker(policy: str, message_class: str | None) -> Checker:
    wanted = None if message_class is None else MessageClass(message_class)
    return Checker(Options(load(policy), dns=from_mapping(zone()), now=NOW, message_class=wanted), shown={})


def judge(
    message: bytes,
    policy: str,
    message_class: str | None = None,
    *,
    dns: Mapping[str, Any] | Dns | None = None,
    envelope: Envelope | None = ENVELOPE,
    session: Session | None = SESSION,
    now: datetime = NOW,
) -> TargetReport:
    """What a policy says of a message as this sender sends it; `dns` is another zone, as a mapping, or a client."""
    if dns is None and now is NOW:
        checker = _checker(policy, message_class)
    else:
        wanted = None if message_class is None else MessageClass(message_class)
        world = from_mapping(zone() if dns is None else dns) if dns is None or isinstance(dns, Mapping) else dns
        checker = Checker(Options(load(policy), dns=world, now=now, message_class=wanted), shown={})
    kept: list[TargetReport] = []

    async def keep() -> None:
        kept.append(await checker.message(message, envelope=envelope, session=session))

    asyncio.run(keep())  # what it returns it would write out, to compare signal handlers (CPython 3.11)
    return kept[0]


def failing(results: Iterable[Result], least: Level) -> list[Result]:
    """The rules that failed at a level or above."""
    return [one for one in results if one.outcome is Outcome.FAIL and one.level.rank >= least.rank]
