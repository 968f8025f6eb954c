"""`delivcheck rules`: the list of rules."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from . import options

if TYPE_CHECKING:
    from ..model import Level, Rule

SCHEMA = "delivcheck-rules/1"


@click.command(name="rules")
@click.option(
    "--family", "families", metavar="NAME", multiple=True, help="Only this family: spf, dkim, dmarc, ... (repeatable)."
)
@click.option(
    "--level",
    "wanted",
    type=click.Choice(["error", "warning", "note", "off"]),
    multiple=True,
    help="Only this level (repeatable).",
)
@click.option(
    "--target", type=click.Choice(["message", "domain", "sending-ip", "template"]), help="Only rules that inspect this."
)
@click.option("--policy", metavar="NAME|FILE", help="The policy that sets the levels [default: bulk].")
@click.option("--format", "-f", "format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--site", metavar="DIR", type=click.Path(), help="Write the whole book as a site into this directory instead.")
@options.COLOR
def command(
    *,
    families: tuple[str, ...],
    wanted: tuple[str, ...],
    target: str | None,
    policy: str | None,
    format: str,
    site: str | None,
    color: str,
) -> int:
    """List the rules with the level that a policy gives them, or write them as a site."""
    if site is not None:
        return _write_site(site)
    import difflib

    from .. import catalog, config
    from .. import policy as policies
    from ..facts.roots import Declared
    from ..model import Volume
    from ..report import page
    from . import output

    chosen = policies.load(policy or config.DEFAULT_POLICY)
    pages = catalog.pages()
    if chosen.settings or chosen.house:  # what a policy sets is held against the checks and their options
        book = catalog.standard().with_rules(chosen.house)
        policies.hold_against(chosen, book.rules, book.checks)
        pages = book.rules
    known = dict.fromkeys(rule.family for rule in pages.values())
    for family in families:
        if family not in known:
            near = difflib.get_close_matches(family, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise click.UsageError(f"no family {family!r}; {hint}", click.get_current_context())
    declared = Declared(chosen.message_class, chosen.volume or Volume.BULK)
    rows = [(rule, chosen.level(rule, declared)) for rule in pages.values()]
    rows = [
        (rule, level)
        for rule, level in rows
        if (not families or rule.family in families)
        and (not wanted or level in wanted)
        and (not target or target in rule.targets)
    ]
    if format == "json":
        output.write_octets(_json(chosen.name, rows))
        return 0
    style = output.paint(color)
    output.write(page.listing(rows, style, wrap=sys.stdout.isatty()), style.colour)
    output.write(f"{len(rows)} of {len(pages)} rules under the policy {chosen.name}\n")
    return 0


def _write_site(folder: str) -> int:
    """Write the site and say where it begins. Raises UsageError where it cannot be written."""
    from pathlib import Path

    from .. import catalog, mailboxes
    from ..report.site import site
    from ..version import __version__
    from . import explain, output

    book = catalog.pages()
    root, count = Path(folder), 0
    try:
        for path, text in site(
            book, {name: explain.levels(rule) for name, rule in book.items()}, mailboxes.tables(), __version__
        ):
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            count += 1
    except OSError as error:
        raise click.UsageError(
            f"--site: {error.filename or folder}: {error.strerror or error}", click.get_current_context()
        ) from None
    output.write(f"{count} files; begin at {root / 'index.html'}\n")
    return 0


def _json(policy: str, rows: list[tuple[Rule, Level]]) -> bytes:
    """The pages without their examples, each with its level under the policy."""
    import msgspec

    def plain(rule: Rule, level: Level) -> dict[str, Any]:
        whole: dict[str, Any] = msgspec.to_builtins(rule)
        return {**{key: value for key, value in whole.items() if key != "example"}, "level": str(level)}

    value = {"schema": SCHEMA, "policy": policy, "rules": [plain(rule, level) for rule, level in rows]}
    return msgspec.json.encode(value) + b"\n"
