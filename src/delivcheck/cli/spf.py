"""`delivcheck spf`: what a domain's SPF record costs, term by term, and what it says about an address."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from . import options

if TYPE_CHECKING:
    from ..facts.identity import MailFromDomain, SendingHost
    from ..facts.spf import SpfTree
    from ..facts.verdicts import SpfVerdict
    from ..net.client import Client

NOT_ASKED = {"offline": False, "probe": False, "second_opinion": False}  # options that this command does not have


@click.command(name="spf")
@click.argument("domain", metavar="DOMAIN")
@options.group(
    click.option("--ip", metavar="ADDRESS", help="Evaluate the record for this sending address."),
    click.option("--mail-from", metavar="ADDRESS", help="MAIL FROM for --ip [default: postmaster@DOMAIN]."),
    click.option("--ehlo", metavar="NAME", help="The EHLO name for --ip."),
    *(option for option in options.RESOLVING if option is not options.OFFLINE),
    options.CONFIG,
    click.option("--format", "-f", "format", type=click.Choice(["text", "json"]), default="text", show_default=True),
    options.COLOR,
)
def command(domain: str, **given: Any) -> int:
    """Show the tree of look-ups that a domain's SPF record leads to; with --ip also evaluate it.

    Exit codes: 0 the record can be evaluated (with --ip: it passes), 1 it cannot (or does not pass), 3 DOMAIN is no domain,
    4 DNS did not say.
    """
    from .. import config
    from ..api import DEFAULT_TIMEOUT
    from ..records.names import BadName, to_ascii
    from ..report import spftree
    from . import output, resolving
    from .domain import no_domain
    from .faults import say

    context = click.get_current_context()
    why = no_domain(domain.strip())
    try:
        name = to_ascii(domain)
    except BadName as error:
        why, name = why or f"not a domain name: {error}", ""
    if why is not None:
        say(f"{domain}: {why}")
        return 3
    if given["ip"] is None and given["mail_from"] is not None:
        raise click.UsageError("--mail-from says nothing without --ip, the address it is sent from", context)
    session = options.session(given["ip"], given["ehlo"])
    sender = _sender(name, given["mail_from"])
    found = config.discover(given["config"])
    dns = resolving.client({**given, **NOT_ASKED}, found.nameservers)
    assert dns.client != "offline"
    seconds = options.seconds(given["timeout"]) or found.timeout or DEFAULT_TIMEOUT

    from ..facts.identity import SendingHost

    host = None if session is None else SendingHost(session.ip, session.ehlo)
    tree, verdict = asyncio.run(_look(name, host, sender, dns.client, seconds))
    if dns.save is not None:
        dns.save()
    evaluated = "" if host is None else f"{host.ip} with MAIL FROM <{sender.sender}>"
    if given["format"] == "json":
        import msgspec

        output.write_octets(output.inert(msgspec.json.encode(spftree.plain(tree, verdict, evaluated))) + b"\n")
    else:
        style = output.paint(given["color"])
        output.write(spftree.text(tree, verdict, evaluated, style), style.colour)
    return _code(tree, verdict)


def _sender(domain: str, mail_from: str | None) -> MailFromDomain:
    """MAIL FROM at the domain. Raises UsageError when it is at another one: SPF would be asked there."""
    from ..facts.identity import MailFromDomain
    from ..records.names import BadName, to_ascii

    envelope = options.envelope(mail_from)
    if envelope is None or not envelope.mail_from:
        return MailFromDomain(domain, f"postmaster@{domain}")
    other = envelope.mail_from.rpartition("@")[2]
    try:
        same = to_ascii(other) == domain
    except BadName:
        same = False
    if not same:
        text = f"--mail-from is at {other}: receivers look for SPF there, so ask delivcheck spf {other}"
        raise click.UsageError(text, click.get_current_context())
    return MailFromDomain(domain, envelope.mail_from)


async def _look(
    domain: str, host: SendingHost | None, sender: MailFromDomain, client: Client, seconds: float
) -> tuple[SpfTree, SpfVerdict | str | None]:
    from ..facts import spf, spf_verdict
    from ..model import Unavailable
    from ..net.deadline import Deadline

    dns = Deadline(client, seconds)
    found = await spf.tree(domain, dns)
    if host is None:
        return found, None
    try:
        return found, await spf_verdict.evaluate(host, sender, dns)
    except Unavailable as unknown:
        return found, unknown.reason


def _code(tree: SpfTree, verdict: SpfVerdict | str | None) -> int:
    from ..facts.verdicts import SpfResult
    from ..report import spftree

    if isinstance(verdict, str):
        return 4
    if verdict is not None:
        return 0 if verdict.result is SpfResult.PASS else 1
    return {"PASS": 0, "FAIL": 1, "UNKNOWN": 4}[spftree.word(tree)]
