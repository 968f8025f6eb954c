"""The command line: finds the command, imports it, and turns whatever comes of it into one exit code.

A command's module is imported when it is called, not before, so that `--help` stays fast (DESIGN section 10).
"""

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click

from ..version import __version__

COMMANDS = {  # name: (module, the line in --help); the order is that of --help
    "domain": ("domain", "Audit a sender domain's DNS."),
    "message": ("message", "Check messages: .eml files, mbox, Maildir, directories, or - for stdin."),
    "template": ("template", "Render mail templates, check what they become, and point at their own lines."),
    "diff": ("diff", "Show what a DNS change that is not published yet would alter."),
    "spf": ("spf", "Show what an SPF record costs, or evaluate it for an address."),
    "gate": ("gate", "Run the gate: an SMTP server or milter that sends only what passes."),
    "daemon": ("daemon", "Judge messages for hooks, with rules and DNS kept warm."),
    "sendmail": ("sendmail", "Send a message as sendmail(8) does, if it passes."),
    "explain": ("explain", "Show a rule's page: why, fix, sources, examples."),
    "rules": ("rules", "List the rules."),
    "key": ("key", "Make a DKIM key, and print the DNS record that publishes it."),
    "trace": ("trace", "Show what became of a message, or find messages."),
    "stats": ("stats", "Count mail: how far it got, what was stopped; by time, stream, tag, rule ..."),
    "events": ("events", "Write out what happened to mail, event by event; --follow goes on."),
    "held": ("held", "List, show, release or discard the mail that the gate holds."),
    "suppress": ("suppress", "Keep the list of addresses that get no mail."),
    "routing": ("routing", "Show what the sending rules would do with a message."),
    "webhook": ("webhook", "Tell other servers of events: add, list, test, replay."),
    "postmaster": ("postmaster", "Import what Google Postmaster Tools says of a domain."),
    "user": ("user", "Add, list and revoke the users of the gate."),
    "bounce": ("bounce", "Take in what comes back: bounces, complaints, unsubscribing mail."),
    "erase": ("erase", "Erase a person's address from the trace."),
    "backup": ("backup", "Copy the trace to a file, and put it back."),
    "demo": ("demo", "Check a bad newsletter and a good one; needs no network and no file."),
    "completion": ("completion", "Print the completion script for a shell."),
}

DOMAIN_LIKE = "."
TEMPLATE_LIKE = frozenset({".html", ".htm", ".j2", ".jinja", ".jinja2", ".mjml", ".liquid", ".hbs", ".handlebars", ".mustache"})


class Commands(click.Group):
    """A group that knows its commands by name and imports the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 -- click's signature
        """All names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 -- click's signature
        """Import one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"{__name__}.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- click's signature
        """The list in --help, without importing them all."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a file or a domain in its place gets the command line that was meant."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            import difflib
            import shlex
            from pathlib import Path

            if Path(name).exists():
                meant = "template" if Path(name).suffix.lower() in TEMPLATE_LIKE else "message"
                raise click.UsageError(f"{name!r} is no command; did you mean delivcheck {meant} {shlex.quote(name)}?", ctx)
            if DOMAIN_LIKE in name:
                raise click.UsageError(f"{name!r} is no command; did you mean delivcheck domain {shlex.quote(name)}?", ctx)
            near = difflib.get_close_matches(name, COMMANDS, 1)
            raise click.UsageError(f"no command {name!r}{f'; did you mean {near[0]}?' if near else ''}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "--version", prog_name="delivcheck", message="%(prog)s %(version)s")
@click.option("-v", "--verbose", is_flag=True, expose_value=False, help="Show the traceback of a fault of our own.")
def root() -> None:
    """Is there anything here for which mailbox providers refuse or hide mail, and what exactly must change?

    Exit codes: 0 pass, 1 something failed at or above --fail-on, 2 usage or configuration, 3 an input is missing or unreadable,
    4 nothing failed but something at or above --fail-on is undecided, 70 our own fault.
    """


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; nothing is raised."""
    from . import faults

    arguments = list(sys.argv[1:] if argv is None else argv)
    with faults.gathered(arguments) as ending:
        result: Any = root.main(args=arguments, prog_name="delivcheck", standalone_mode=False, obj=arguments)
        ending.code = result if isinstance(result, int) else 0
        if sys.stdout is not None:
            sys.stdout.flush()
    return ending.code
