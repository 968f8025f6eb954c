"""One call: check a message, audit a domain.

    report = check_message(octets, message_class="bulk")
    report = audit_domain("example.com")

Results are frozen and serialise to the JSON of schema `delivcheck/1` (`to_json`). For many targets use one `Checker`.
"""

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence
from ipaddress import ip_address
from typing import Any, TypeVar

from . import policy
from .checker import DEFAULT_TIMEOUT, Checker, DnsMode, InputError, Options
from .facts.roots import AsReceived, Envelope, Origin, Session
from .model import Dns, IPAddress, MessageClass, Report, Stage, Volume
from .reporting import only_telling, report, to_json, unreadable

__all__ = [
    "DEFAULT_TIMEOUT",
    "Checker",
    "DnsMode",
    "InputError",
    "Options",
    "audit_domain",
    "audit_domain_async",
    "check_message",
    "check_message_async",
    "only_telling",
    "report",
    "to_json",
    "unreadable",
]

T = TypeVar("T")


def options_of(chosen: str | policy.Policy, dns: Dns | DnsMode, settings: Mapping[str, Any]) -> Options:
    """The options of a call: words are taken for classes and volumes, and a name for its policy. Raises PolicyError."""
    made = chosen if isinstance(chosen, policy.Policy) else policy.load(chosen)
    if "message_class" in settings and settings["message_class"] is not None:
        settings = {**settings, "message_class": MessageClass(settings["message_class"])}
    if "volume" in settings and settings["volume"] is not None:
        settings = {**settings, "volume": Volume(settings["volume"])}
    return Options(made, dns, **settings)


def session_of(ip: str | IPAddress | None, ehlo: str | None, tls: str | None) -> Session | None:
    """The session of a call; None without an address. Raises ValueError."""
    return None if ip is None else Session(ip_address(str(ip)), ehlo, tls)


def sessions_of(
    ip: str | IPAddress | Sequence[str | IPAddress] | None, ehlo: str | Sequence[str | None] | None
) -> list[Session]:
    """The sessions that addresses and EHLO names come to, one by one. Raises ValueError."""
    ips = [] if ip is None else list(ip) if isinstance(ip, Sequence) and not isinstance(ip, str) else [ip]
    names = [ehlo] if ehlo is None or isinstance(ehlo, str) else list(ehlo)
    if names == [None]:
        names *= len(ips)
    if ips and len(names) != len(ips):
        raise ValueError(f"{len(ips)} addresses and {len(names)} EHLO names")
    return [Session(ip_address(str(one)), name) for one, name in zip(ips, names, strict=False)]


async def check_message_async(
    octets: bytes,
    *,
    envelope: Envelope | None = None,
    ip: str | IPAddress | None = None,
    ehlo: str | None = None,
    tls: str | None = None,
    policy: str | policy.Policy = "bulk",
    dns: Dns | DnsMode = "live",
    name: str = "message",
    stage: Stage = Stage.POST_SIGN,
    received: bool | AsReceived = False,
    selectors: Sequence[str] = (),
    **settings: Any,
) -> Report:
    """Check one message as it will be sent (or, with `received`, as it came in).

    `octets` are the message as bytes, CRLF or stored with LF throughout; `settings` are the other fields of `Options`
    (`message_class="bulk"`, `now=…`, `timeout=…`); `received` may be an `AsReceived` that names the trusted hop.
    Raises InputError, PolicyError.
    """
    started = time.monotonic()
    checker = Checker(options_of(policy, dns, settings))
    origin = Origin.AS_RECEIVED if received else Origin.AS_SENT
    target = await checker.message(
        octets,
        name=name,
        envelope=envelope,
        session=session_of(ip, ehlo, tls),
        selectors=selectors,
        stage=stage,
        origin=origin,
        came_in=received if isinstance(received, AsReceived) else None,
    )
    return report([target], checker.options, started)


async def audit_domain_async(
    domain: str,
    *,
    ip: str | IPAddress | Sequence[str | IPAddress] | None = None,
    ehlo: str | Sequence[str | None] | None = None,
    mail_from: str | None = None,
    policy: str | policy.Policy = "bulk",
    dns: Dns | DnsMode = "live",
    selectors: Sequence[str] = (),
    **settings: Any,
) -> Report:
    """Audit one sender domain; parameters as in `check_message_async`. Raises InputError, PolicyError.

    `ip` may be several addresses, with as many EHLO names or none: each is then a target of its own behind the domain's, of the
    kind `sending-ip`; a single one is judged with the domain.
    """
    started = time.monotonic()
    checker = Checker(options_of(policy, dns, settings))
    envelope = None if mail_from is None else Envelope(mail_from)
    sessions = sessions_of(ip, ehlo)
    only, apart = (sessions[0] if len(sessions) == 1 else None), len(sessions) > 1
    targets = await asyncio.gather(
        checker.domain(domain, session=only, envelope=envelope, selectors=selectors, addresses_apart=apart),
        *(checker.sending_ip(each, domain, envelope=envelope) for each in sessions if apart),
    )
    return report(targets, checker.options, started)


def waited(work: Coroutine[Any, Any, T], twin: str) -> T:
    """Run a coroutine to its end. Raises RuntimeError where an event loop is running, naming the function to await there."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        kept: list[T] = []

        async def keep() -> None:
            kept.append(await work)

        asyncio.run(keep())  # CPython 3.11 takes the repr of what `run` returns, twice (signal.getsignal of the handler it set)
        return kept[0]
    work.close()
    raise RuntimeError(f"an event loop is running here: await delivcheck.{twin}(...) instead")


def check_message(octets: bytes, **parameters: Any) -> Report:
    """`check_message_async`, waited for. Not to be called from a running event loop."""
    return waited(check_message_async(octets, **parameters), "check_message_async")


def audit_domain(domain: str, **parameters: Any) -> Report:
    """`audit_domain_async`, waited for. Not to be called from a running event loop."""
    return waited(audit_domain_async(domain, **parameters), "audit_domain_async")
