"""`delivcheck diff`: what a DNS change that is not published yet would alter for a sender domain."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from . import options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..api import Options
    from ..diff.run import Inputs
    from ..diff.values import Diff
    from ..model import Level
    from ..net.zone import Zone
    from ..report.words import Exit

FORMATS = ("text", "json")
NOT_ASKED = {  # options that this command does not have: a probe sees what is published, not what would be
    "probe": False,
    "second_opinion": False,
    "blocklists": False,
    "feed": None,
    "outputs": (),
    "verbose": False,
}
CLOSING = {"zone_only": "--zone-only", "offline": "--offline"}  # here both are one: there is nothing but the files
ITS_OWN = (options.ZONES, options.ZONE_ONLY, options.OFFLINE)
ASKING = {"nameservers": "--nameserver", "snapshot": "--snapshot", "save_snapshot": "--save-snapshot"}


@click.command(name="diff")
@click.argument("domain", metavar="DOMAIN")
@options.group(
    click.option(
        "--zone",
        "zones",
        metavar="FILE",
        type=click.Path(),
        multiple=True,
        required=True,
        help="The change: a zone file, octoDNS YAML, or Terraform plan JSON (repeatable).",
    ),
    click.option(
        "--before",
        "before",
        metavar="FILE",
        type=click.Path(),
        multiple=True,
        help="Compare with the DNS under this file, such as the last version of the zone (repeatable).",
    ),
    click.option("--selector", "selectors", metavar="NAME", multiple=True, help="A DKIM selector that is in use (repeatable)."),
    click.option("--ip", metavar="ADDRESS", help="The address the mail leaves from."),
    click.option("--ehlo", metavar="NAME", help="The EHLO name given with --ip."),
    click.option("--mail-from", metavar="ADDRESS", help="MAIL FROM, where it is at another domain."),
    *options.JUDGING,
    click.option("--format", "-f", "format", type=click.Choice(FORMATS), default="text", show_default=True),
    click.option("--exit-zero", is_flag=True, help="Return 0 whatever the verdict."),
    click.option("-q", "--quiet", is_flag=True, help="Only the verdict."),
    options.COLOR,
    *(option for option in options.RESOLVING if option not in ITS_OWN),
    click.option("--zone-only", is_flag=True, help="Ask no DNS: what --before and --zone do not have does not exist."),
    click.option("--offline", is_flag=True, help="The same as --zone-only."),
)
def command(domain: str, **given: Any) -> int:
    """Show what a DNS change would alter: rules, SPF's addresses, DMARC policy, DKIM keys, MX, provider outlook.

    The change is a BIND zone file (whole, or only what changes), an octoDNS file named after its zone, or a Terraform plan as
    terraform show -json prints it.

    Exit codes: 0 nothing gets worse, 1 something does (a rule at or above --fail-on, or a provider's outlook), 3 DOMAIN is no
    domain, 4 that could not be told.
    """
    from .domain import no_domain
    from .faults import say

    context = click.get_current_context()
    why = no_domain(domain.strip())
    if why is not None:
        say(f"{domain}: {why}")
        return 3
    closed = _closed(given, context)

    from ..api import InputError
    from ..diff.run import Inputs
    from ..net import zonefile
    from ..report.words import Exit

    session, envelope = options.session(given["ip"], given["ehlo"]), options.envelope(given["mail_from"])
    named = options.words("--selector", given["selectors"])
    # The files are laid over by the comparison itself, on one side each; what is beneath both is as in `domain`.
    run = options.read({**given, **NOT_ASKED, "zones": (), "zone_only": False, "offline": closed})
    chosen = _without_dns(run.options) if closed else run.options
    inputs = Inputs(session, envelope, (*named, *run.config.selectors))
    after, before = ([zonefile.read(path) for path in paths] for paths in (given["zones"], given["before"]))
    try:
        diff = _compare(domain.strip(), after, chosen, inputs, before)
    except InputError as error:
        say(f"{domain}: {error}")
        return 3
    if run.save_snapshot is not None:
        run.save_snapshot()
    code = Exit.PASS if given["exit_zero"] else exit_code(diff)
    _print(diff, given, code, run.sink.fail_on)
    return int(code)


def exit_code(diff: Diff) -> Exit:
    """0 nothing gets worse, 1 something does, 4 that could not be told."""
    from ..model import Verdict
    from ..report.words import Exit

    return {Verdict.PASS: Exit.PASS, Verdict.FAIL: Exit.FAIL, Verdict.UNKNOWN: Exit.UNKNOWN}[diff.verdict]


def _closed(given: Mapping[str, Any], context: click.Context) -> bool:
    """Whether the files are all there is. Raises UsageError when that leaves nothing to compare with, or DNS is to be asked."""
    for name, option in CLOSING.items():
        if given[name]:
            if not given["before"]:
                raise click.UsageError(f"{option} needs --before FILE: there is no DNS to compare with", context)
            for other, word in ASKING.items():
                if given[other]:
                    raise click.UsageError(f"{option} answers from the files alone, so {word} cannot hold", context)
            return True
    return False


def _without_dns(chosen: Options) -> Options:
    from dataclasses import replace

    from ..net.client import Closed

    return replace(chosen, dns=Closed())


def _compare(domain: str, after: Sequence[Zone], chosen: Options, inputs: Inputs, before: Sequence[Zone]) -> Diff:
    from ..diff.run import difference
    from .progress import Progress

    with Progress() as progress:
        progress.name = domain

        async def go() -> Diff:
            ticking = asyncio.create_task(progress.tick())
            try:
                return await difference(domain, after, chosen, inputs, before)
            finally:
                ticking.cancel()

        return asyncio.run(go())


def _print(diff: Diff, given: dict[str, Any], code: Exit, fail_on: Level | None) -> None:
    from ..diff.run import diff_to_json
    from ..report import diff as report
    from . import output

    if given["format"] == "json":
        output.write_octets(output.inert(diff_to_json(diff)) + b"\n")
        return
    style = output.paint(given["color"])
    make = report.verdict_line if given["quiet"] else report.text
    output.write(make(diff, style, output.titles(), code, fail_on), style.colour)
