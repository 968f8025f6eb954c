"""`delivcheck explain`: a rule's page, offline."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from . import options

if TYPE_CHECKING:
    from ..model import Level, Rule
    from ..report.paint import Paint


def complete(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Rule ids and families that begin like this."""
    from .. import rulefiles

    ids = list(rulefiles.load()["pages"])
    return [name for name in (*ids, *dict.fromkeys(name.partition("/")[0] for name in ids)) if name.startswith(incomplete)]


@click.command(name="explain")
@click.argument("names", nargs=-1, required=True, metavar="RULE...", shell_complete=complete)
@click.option("--policy", metavar="NAME|FILE", help="Show the house rules of this policy, too.")
@options.COLOR
def command(names: tuple[str, ...], policy: str | None, color: str) -> int:
    """Show the page of a rule: why it is asked, how to fix it, who says so, examples.

    RULE is an id (spf/too-many-lookups), its last part, a whole family (spf), an id of the catalogue (SPF004), or what a
    provider answered: a code (550-5.7.26), or the reply as the log or the bounce has it, in quotes.
    """
    from .. import catalog, mailboxes
    from .. import policy as policies
    from ..report import page
    from . import output

    house = policies.load(policy).house if policy else ()
    book = {**catalog.pages(), **{rule.id: rule for rule, _ in house}}
    style = output.paint(color)
    replies = [name for name in names if _REPLY.match(name)]
    for name in replies:
        output.write(_replied(name, style), style.colour)
    wanted = [found for name in names if name not in replies for found in find(name, book)]
    for position, (family, rules) in enumerate(wanted):
        text = (
            page.listing([(rule, rule.level) for rule in rules], style, wrap=sys.stdout.isatty())
            if family
            else page.page(rules[0], levels(rules[0]), mailboxes.answers_to(rules[0].id), style)
        )
        output.write(("\n" if position else "") + text, style.colour)
        if family:
            output.write(f"\nNext: delivcheck explain {rules[0].id}\n")
    return 0


_REPLY = re.compile(r"\s*[245](?:\d\d|\.\d{1,3}\.\d{1,3})(?![\w.])")  # what an SMTP reply begins with


def _replied(reply: str, style: Paint) -> str:
    """What a provider's reply may mean: the answers of the tables that it fits. Raises UsageError when it fits none."""
    from .. import mailboxes
    from ..report import page

    found = mailboxes.recognise(reply)
    if not found:
        raise click.UsageError(f"no provider's table has the reply {reply[:80]!r}", click.get_current_context())
    return page.replies(found, style)


def find(name: str, book: Mapping[str, Rule]) -> list[tuple[bool, list[Rule]]]:
    """The pages that a name means, and whether it means a family. Raises UsageError with the nearest name."""
    if name in book:
        return [(False, [book[name]])]
    family = [rule for rule in book.values() if rule.family == name.rstrip("/")]
    if family:
        return [(True, family)]
    same = [rule for rule in book.values() if name.upper() in rule.covers or rule.id.partition("/")[2] == name]
    if same:
        return [(False, [rule]) for rule in same]
    from .. import policy

    near = policy.suggestion(name, book)
    if not near:
        import difflib

        families = difflib.get_close_matches(name, {rule.family for rule in book.values()}, 1)
        near = f"; did you mean the family {families[0]}?" if families else ""
    raise click.UsageError(f"no rule {name!r}{near}", click.get_current_context())


def levels(rule: Rule) -> dict[str, Level]:
    """The rule's level under each shipped policy, for a sender that declares nothing else; of packs those that raise it."""
    from .. import config, policy, rulefiles
    from ..facts.roots import Declared

    shipped = {name: policy.load(name) for name in rulefiles.load()["policies"]}
    found = {name: one.level(rule, Declared()) for name, one in shipped.items()}
    base = found[config.DEFAULT_POLICY]
    return {name: level for name, level in found.items() if not shipped[name].packs or level is not base}
