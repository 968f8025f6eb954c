"""`delivcheck explain`: a rule's page, offline."""

from __future__ import annotations

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
    asked = [(name, find(name, book)) for name in names]
    for name in (name for name, found in asked if not found):
        output.write(_replied(name, book, style), style.colour)
    wanted = [page_or_family for _, found in asked for page_or_family in found]
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


def _replied(reply: str, book: Mapping[str, Rule], style: Paint) -> str:
    """What a provider's reply may mean. Raises UsageError where it fits none: the nearest rule, or whose reply it is."""
    from .. import mailboxes, replies
    from ..report import page

    if found := replies.recognise(reply):
        return page.replies(found, style)
    context = click.get_current_context()
    if whose := replies.whose_reply(reply) if replies.CODE.search(reply) else set():
        titles = ", ".join(mailboxes.tables()[name].title for name in sorted(whose))
        raise click.UsageError(f"this is a reply of {titles}, and its table has no such answer", context)
    if replies.CODE.search(reply):
        raise click.UsageError(f"no provider's table has the reply {reply[:80]!r}", context)
    raise click.UsageError(f"no rule {reply!r}{_near(reply, book)}", context)


def find(name: str, book: Mapping[str, Rule]) -> list[tuple[bool, list[Rule]]]:
    """The pages that a name means, and whether it means a family. Nothing for a name that no page has."""
    if name in book:
        return [(False, [book[name]])]
    family = [rule for rule in book.values() if rule.family == name.rstrip("/")]
    if family:
        return [(True, family)]
    same = [rule for rule in book.values() if name.upper() in rule.covers or rule.id.partition("/")[2] == name]
    if same:
        return [(False, [rule]) for rule in same]
    return []


def _near(name: str, book: Mapping[str, Rule]) -> str:
    """The nearest rule or family, as `; did you mean …?`."""
    import difflib

    from .. import policy

    near = policy.suggestion(name, book)
    if not near:
        families = difflib.get_close_matches(name, {rule.family for rule in book.values()}, 1)
        near = f"; did you mean the family {families[0]}?" if families else ""
    return near


def levels(rule: Rule) -> dict[str, Level]:
    """The rule's level under each shipped policy, if the sender declares nothing; of those that add to bulk, where they do."""
    from .. import config, policy, rulefiles
    from ..facts.roots import Declared

    shipped = {name: policy.load(name) for name in rulefiles.load()["policies"]}
    found = {name: one.level(rule, Declared()) for name, one in shipped.items()}
    base = shipped[config.DEFAULT_POLICY]
    adding = {name for name, one in shipped.items() if one.column == base.column and (one.packs or one.settings)}
    return {name: level for name, level in found.items() if name not in adding or level is not found[base.name]}
