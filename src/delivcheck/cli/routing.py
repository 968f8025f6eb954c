"""`delivcheck routing test`: what the sending rules would do with a message, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..gate.routing.rules import Step
    from ..gate.serve.trial import Group

SCHEMA = "delivcheck-routing/1"
MISSING = 3
STOPPED = 1
_MARKS = {True: "+", False: "-", None: "?"}


@click.group(name="routing")
def command() -> None:
    """Show what the sending rules ([[gate.rule]]) make of mail."""


@command.command(name="test")
@click.argument("file", metavar="FILE|-", type=click.Path())
@options.group(
    click.option("--mail-from", metavar="ADDRESS", required=True, help='MAIL FROM; "" is the null sender.'),
    click.option("--rcpt", "recipients", metavar="ADDRESS", required=True, multiple=True, help="A recipient (repeatable)."),
    click.option("--listener", metavar="NAME", help="Where it comes in [default: the first listener]."),
    click.option("--credential", metavar="NAME", help="Whose it is: a user, or a [gate.credentials.NAME]."),
    click.option("--stream", metavar="NAME", help="The stream, instead of the listener's."),
    click.option("--offline", is_flag=True, help="Judge nothing, though there are rules on the verdict."),
    click.option("--format", "-f", "format", type=click.Choice(["text", "json"]), default="text", show_default=True),
    options.CONFIG,
)
def test(file: str, **given: Any) -> int:
    """Show which sending rules match a message and why, where it would go, and what would be done.

    Nothing is sent or counted, and the suppression list is not asked. It is judged, as the gate would, only where there are
    rules on the verdict.

    Exit codes: 0 it would be sent or held, 1 a recipient would be refused or deferred, 2 usage or configuration, 3 the message
    cannot be read.
    """
    import asyncio
    from dataclasses import replace

    from .. import config
    from ..gate import reading
    from ..gate.prepare import LoopError, NotPreparedError
    from ..gate.routing.rules import Rules
    from ..gate.serve import trial
    from ..mime.storage import with_crlf
    from .faults import say

    context = click.get_current_context()
    found = config.discover(given["config"], system=config.SYSTEM_FILE)
    if found.gate is None:
        raise click.UsageError(f"{found.path or 'there is no delivcheck.toml'}: sending rules are in [gate]", context)
    gate = reading.read(found)
    octets = _octets(file)
    if octets is None:
        return MISSING
    try:
        listener = trial.listener_of(gate, given["listener"])
        credential = trial.credential_of(gate, listener, given["credential"])
        if given["stream"] is not None:
            found.stream(given["stream"])  # raises ConfigError for one that is not there
            listener = replace(listener, stream=given["stream"])
            credential = replace(credential, streams=())
        groups = asyncio.run(
            trial.tried(
                found,
                gate,
                with_crlf(octets)[0],
                sender=given["mail_from"].removeprefix("<").removesuffix(">"),
                recipients=tuple(one.removeprefix("<").removesuffix(">") for one in given["recipients"]),
                listener=listener,
                credential=credential,
                judge=Rules(gate.rules).about_verdict and not given["offline"],
            )
        )
    except trial.NobodyError as error:
        raise click.UsageError(str(error), context) from None
    except (NotPreparedError, LoopError) as error:
        say(f"{file}: {error}")
        return MISSING
    _show(groups, given["format"])
    return STOPPED if any(_stops(one) for one in groups) else 0


def _octets(file: str) -> bytes | None:
    import sys
    from pathlib import Path

    from .faults import say

    try:
        if file == "-":
            return sys.stdin.buffer.read() if sys.stdin is not None else b""
        return Path(file).read_bytes()
    except OSError as error:
        say(f"{file}: {error.strerror or error}")
        return None


def _stops(group: Group) -> bool:
    from ..gate.model import Action

    if group.outcome is not None:
        return group.outcome.decision.action in {Action.REFUSE, Action.DEFER}
    return group.reply is not None and not group.observing


# --- in words ----------------------------------------------------------------------------------------------------------


def _show(groups: list[Group], form: str) -> None:
    from ..report.paint import visible
    from . import output, writing

    if form == "json":
        octets = writing.json_octets({"schema": SCHEMA, "groups": [_plain(one) for one in groups]})
        output.write_octets(output.inert(octets))
        return
    lines: list[str] = []
    for number, one in enumerate(groups):
        lines += [""] if number else []
        lines += _described(one)
    if len(groups) > 1:
        lines += ["", "Recipients of different blocks cannot share a transaction: 452 4.5.3, and they come again."]
    output.write(output.paint("auto").finished([visible(line) for line in lines]))


def _described(group: Group) -> list[str]:
    lines = [", ".join(f"<{one}>" for one in group.recipients)]
    lines += _steps("at RCPT", group.early.steps)
    if group.input is not None:
        lines += _steps("before judging", group.input.ruling.steps)
    if group.outcome is not None and group.outcome.report is not None:
        lines += _steps(f"after judging (verdict {group.outcome.report.verdict})", group.steps)
    return [*lines, *(f"  {name + ':':<12}{text}" for name, text in _facts(group) if text)]


def _steps(title: str, steps: Iterable[Step]) -> list[str]:
    steps = list(steps)
    width = max((len(step.rule.name) for step in steps), default=0)
    return (
        [f"  {title}", *(f"    {_MARKS[step.matched]} {step.rule.name:<{width}}  {step.why()}" for step in steps)]
        if steps
        else []
    )


def _facts(group: Group) -> list[tuple[str, str]]:
    ruling = group.input.ruling if group.input is not None else group.early
    by = {key: f" (rule {rule.name})" for key, rule in ruling.by.items()}
    limits = [f"{rule.limit} (rule {rule.name})" for rule in group.about.limits]
    return [
        ("next hop", f"{group.next_hop}{by.get('next_hop', '')}" if group.next_hop is not None else ""),
        ("stream", f"{group.stream}{by.get('stream', '')}" if group.stream else ""),
        ("policy", f"{ruling.policy}{by.get('policy', '')}" if ruling.policy else ""),
        ("levels", ", ".join(f"{pattern} {level}" for pattern, level in ruling.levels)),
        ("limits", ", ".join(limits)),
        ("then", _then(group)),
    ]


def _then(group: Group) -> str:
    if group.outcome is not None:
        decision = group.outcome.decision
        why = f" ({decision.bypass})" if decision.bypass else f": {decision.reason}" if decision.reason else ""
        return f"{decision.action}{why}" if _stops(group) is False else f"{decision.action}: {decision.reply}"
    if group.reply is not None:
        return f"sent, since the gate observes; it would be {group.reply}" if group.observing else str(group.reply)
    if group.input is not None and group.input.held:
        return "held, if it passes"
    return "judged, and sent if it passes"


def _plain(group: Group) -> dict[str, Any]:
    ruling = group.input.ruling if group.input is not None else group.early
    return {
        "recipients": list(group.recipients),
        "next_hop": group.next_hop,
        "stream": group.stream,
        "policy": ruling.policy,
        "levels": {pattern: str(level) for pattern, level in ruling.levels},
        "limits": [{"rule": rule.name, "limit": str(rule.limit)} for rule in group.about.limits],
        "reply": str(group.reply) if group.reply is not None else None,
        "held": group.input is not None and group.input.held,
        "verdict": str(group.outcome.report.verdict)
        if group.outcome is not None and group.outcome.report is not None
        else None,
        "action": str(group.outcome.decision.action) if group.outcome is not None else None,
        "rules": [
            {"stage": stage, "name": step.rule.name, "matched": step.matched, "why": step.why()}
            for stage, steps in (
                ("rcpt", group.early.steps),
                ("input", group.input.ruling.steps if group.input is not None else ()),
                ("verdict", group.steps),
            )
            for step in steps
        ],
    }
