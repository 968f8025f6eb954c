"""System checks: settings that cannot be (always, without network), and the sender domains of the project (--deploy)."""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Warning  # noqa: A004 -- Django's names
from django.core.exceptions import ImproperlyConfigured

from ... import config as configuration
from ...checker import Checker, InputError, Options
from ...facts.roots import Session
from ...gate.judging import Overlay, options_for
from ...model import Level, MessageClass, Outcome, Result, TargetReport
from ...net import dns as live
from ...net.outside import Outside
from .. import settings as hooks
from . import conf

DEADLINE = 15.0  # seconds for all DNS of the audit, as `delivcheck domain` takes
SENDERS = ("DEFAULT_FROM_EMAIL", "SERVER_EMAIL")
SAID = 3  # problems of one rule that a message says; `delivcheck domain` says all

# --- settings ------------------------------------------------------------------------------------------------------


def settings_are_valid(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001 -- Django's signature
    """E001: `DELIVCHECK`; E002: a mailer that is ours; both with the configuration that they lead to."""
    found = []
    try:
        conf.guard(conf.project().hooks)
    except ImproperlyConfigured as error:
        found.append(Error(str(error), id="delivcheck.E001"))
    else:
        found += _configuration()
    for alias, mailer in getattr(settings, "MAILERS", {}).items():
        if str(mailer.get("BACKEND", "")).startswith(conf.OURS):
            try:
                conf.guard(conf.mailer(alias, mailer.get("OPTIONS", {})).hooks, f"MAILERS[{alias!r}]: OPTIONS")
            except ImproperlyConfigured as error:
                found.append(Error(str(error), id="delivcheck.E002"))
    return found


def _configuration() -> list[CheckMessage]:
    """E003: the configuration cannot be read. Without settings of its own a project's mail would go on, unjudged."""
    try:
        hooks.read(_config(conf.project()))
    except conf.CANNOT_BE as error:
        return [Error(str(error), id="delivcheck.E003", hint="until it is mended, mail is sent without having been judged")]
    return []


def _config(chosen: conf.Chosen) -> configuration.Config:
    path = chosen.hooks.get("config")
    return configuration.Config() if path is False else configuration.discover(path)


# --- domains -------------------------------------------------------------------------------------------------------


def domains_are_in_order(app_configs: Any, **_: Any) -> list[CheckMessage]:  # noqa: ARG001 -- Django's signature
    """E010, W010: what the domain audit found; W011, I011: what it could not find out; W012: a sender without a domain."""
    found: list[CheckMessage] = []
    by_domain: dict[str, list[str]] = {}
    for name in SENDERS:
        domain = parseaddr(str(getattr(settings, name, "")))[1].rpartition("@")[2].lower()
        if "." in domain:
            by_domain.setdefault(domain, []).append(name)
        elif name != "SERVER_EMAIL" or settings.ADMINS or settings.MANAGERS:  # nobody else is written to from it
            said = f"{getattr(settings, name, '')!r} has no domain that mail could come from"
            found.append(Warning(said, hint=f"Set {name} to an address of your own domain.", obj=name, id="delivcheck.W012"))
    try:
        options, session = _options(conf.project())
        if options.dns == "offline":
            said = "The sender domains were not looked at: DELIVCHECK says that no DNS is asked."
            return [*found, Info(said, id="delivcheck.I012")]
        checker = Checker(options, outlooks=False)
    except (ImproperlyConfigured, *conf.CANNOT_BE) as error:
        said = f"The sender domains were not looked at: {error}"
        return [*found, Warning(said, id="delivcheck.W013")]
    for domain, report in zip(by_domain, _audited(checker, list(by_domain), session), strict=True):
        found += _told(report, ", ".join(by_domain[domain]), checker)
    return found


def _options(chosen: conf.Chosen) -> tuple[Options, Session | None]:
    """What hooks judge by, so that a domain is held against the same policy as its mail."""
    config = _config(chosen)
    table = hooks.read(config)
    said = chosen.hooks
    dns: Any = said.get("dns", "live")
    if dns == "live":
        dns = Outside(live.Live([live.nameserver(text) for text in config.nameservers] or None))
    levels = tuple((pattern, Level(level)) for pattern, level in said.get("rules", {}).items())
    options = options_for(config, said.get("stream", table.stream), dns, Overlay(said.get("policy"), levels))
    if "message_class" in said:
        options = replace(options, message_class=MessageClass(said["message_class"]))
    session = Session(table.ips[0], table.ehlo) if len(table.ips) == 1 else None
    return replace(options, timeout=min(config.timeout or DEADLINE, DEADLINE)), session


def _audited(checker: Checker, domains: Sequence[str], session: Session | None) -> list[TargetReport | str]:
    """The reports, side by side; a string says why there is none. In a thread: an event loop may be running in this one."""

    async def one(domain: str) -> TargetReport | str:
        try:
            return await checker.domain(domain, session=session)
        except InputError as error:
            return str(error)

    async def every() -> list[TargetReport | str]:
        return list(await asyncio.gather(*map(one, domains)))

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, every()).result()


def _told(report: TargetReport | str, obj: str, checker: Checker) -> Iterator[CheckMessage]:
    if isinstance(report, str):
        yield Warning(report, obj=obj, id="delivcheck.W012")
        return
    for result in report.results:
        if result.outcome is Outcome.FAIL and result.level in {Level.ERROR, Level.WARNING}:
            kind, key = (Error, "delivcheck.E010") if result.level is Level.ERROR else (Warning, "delivcheck.W010")
            yield kind(f"{report.target}: {result.rule}: {_problems(result)}", hint=_hint(result, checker), obj=obj, id=key)
    undecided = [one for one in report.results if one.outcome is Outcome.UNKNOWN and one.level in {Level.ERROR, Level.WARNING}]
    if undecided:
        serious = any(one.level is Level.ERROR for one in undecided)
        kind, key = (Warning, "delivcheck.W011") if serious else (Info, "delivcheck.I011")
        names = ", ".join(one.rule for one in undecided)
        reasons = "; ".join(dict.fromkeys(one.reason for one in undecided if one.reason))
        said = f"{report.target}: it could not be found out whether these hold: {names} ({reasons})"
        yield kind(said, hint="Run it again, where DNS can be asked.", obj=obj, id=key)


def _problems(result: Result) -> str:
    said = [problem.message for problem in result.problems]
    return "; ".join(said[:SAID]) + (f" (and {len(said) - SAID} more)" if len(said) > SAID else "")


def _hint(result: Result, checker: Checker) -> str:
    exact = next((problem.fix for problem in result.problems if problem.fix), None)
    return f"{exact or checker.book.rules[result.rule].fix} More: delivcheck explain {result.rule}"
