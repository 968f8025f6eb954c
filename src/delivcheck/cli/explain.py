"""`delivcheck explain`: a rule's page, offline."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from . import options

if TYPE_CHECKING:
    from ..model import Level, Rule


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

    RULE is an id (spf/too-many-lookups), its last part, a whole family (spf), or an id of the catalogue (SPF004).
    """
    from .. import catalog
    from .. import policy as policies
    from ..report import page
    from . import output

    house = policies.load(policy).house if policy else ()
    book = {**catalog.pages(), **{rule.id: rule for rule, _ in house}}
    style, titles = output.paint(color), output.titles()
    wanted = [found for name in names for found in find(name, book)]
    for position, (family, rules) in enumerate(wanted):
        text = (
            page.listing([(rule, rule.level) for rule in rules], style, wrap=sys.stdout.isatty())
            if family
            else page.page(rules[0], levels(rules[0]), titles, style)
        )
        output.write(("\n" if position else "") + text, style.colour)
        if family:
            output.write(f"\nNext: delivcheck explain {rules[0].id}\n")
    return 0


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
    """The rule's level under each shipped policy, for a sender that declares nothing else."""
    from .. import policy, rulefiles
    from ..facts.roots import Declared

    return {name: policy.load(name).level(rule, Declared()) for name in rulefiles.load()["policies"]}
