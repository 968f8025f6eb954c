"""Writes docs/gate-settings.md from the tables that read the configuration: `python -m tests.gate.deploy.settings_page`."""

import dataclasses
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from delivcheck.gate import settings
from delivcheck.gate.reading.keys import TABLES
from delivcheck.gate.reading.rules import RULE, WHEN

PAGE = Path(__file__).parents[3] / "docs" / "gate-settings.md"

HEAD = """\
# The keys of `[gate]`

Written by `python -m tests.gate.deploy.settings_page` from the tables that read the file; [gate.md](gate.md) says how to use them.
Unknown keys are errors, with the line. Paths that are not absolute are looked for beside the file. **required**: there is no
default; an empty default: off, or as the text says.
"""

KINDS = {
    "[gate]": (settings.Gate, ""),
    "[[gate.listen]]": (settings.Listener, "One for each address to listen on."),
    "[[gate.next-hop]]": (
        settings.NextHop,
        "Where mail goes that passes; a milter needs none. `-file`, `-env` or `-command`: one of them.",
    ),
    "[[gate.sign]]": (settings.SigningKey, "DKIM keys; all keys of a domain sign. `-file`, `-env` or `-command`: one of them."),
    "[gate.credentials.NAME]": (settings.CredentialSettings, "What clients of a listener without AUTH of their own may send."),
    "[gate.prepare]": (
        settings.Additions,
        "Header fields that are added where they are missing, before judging. Without this table: none.",
    ),
    "[gate.limits]": (settings.Limits, ""),
    "[gate.hold]": (
        settings.Hold,
        "This table turns holding on; a policy says what is held. `-file`, `-env` or `-command`: one of them, or none.",
    ),
    "[gate.webhooks]": (settings.Webhooks, "Whom events may be told to; [webhooks.md](webhooks.md) says how."),
    "[gate.otel]": (settings.Otel, "This table turns OpenTelemetry on, which is the extra `otel`."),
    "[gate.bounces]": (settings.Bounces, "What comes back; [what-comes-back.md](what-comes-back.md) says how."),
    "[gate.reports.NAME]": (
        settings.Reports,
        "A webhook of a sending service, at /hooks/NAME; the secret is where one of three keys says.",
    ),
    "[gate.trace]": (
        settings.Trace,
        "This table turns the trace on; the password's `-file`, `-env` or `-command`: one of them.",
    ),
    "[gate.http]": (settings.Http, "For listeners of kind http."),
    "[gate.tracking]": (
        settings.Tracking,
        "Opens and clicks, not counted unless asked for; [tracking.md](tracking.md) says how.",
    ),
    "[gate.unsubscribe]": (
        settings.Unsubscribe,
        "This table turns one-click unsubscribing on, for bulk mail of a stream; see [tracking.md](tracking.md).",
    ),
}
RULES = {"[[gate.rule]]": RULE, "[gate.rule.when]": WHEN}
KINDS |= {
    "[[gate.rule]]": (
        settings.SendingRule,
        "Sending rules, in their order; [sending-rules.md](sending-rules.md) says how they work.",
    ),
    "[gate.rule.when]": (settings.When, "What a rule asks of mail, as `when.stream = …` in it; `unless.…` has the same keys."),
}
REQUIRED = {
    "[gate]": {"name"},
    "[[gate.listen]]": {"kind", "address"},
    "[[gate.next-hop]]": {"address"},
    "[[gate.sign]]": {"domain", "selector"},
    "[gate.otel]": {"endpoint"},
    "[gate.bounces]": {"domain"},
    "[gate.reports.NAME]": {"provider"},
}


def as_toml(value: Any) -> str:
    """A default as the file would have it; "" for what is off."""
    match value:
        case None | () | "":
            return ""
        case bool():
            return str(value).lower()
        case int() if value > 0o777:
            return f"{value:_}"
        case float():
            return f"{value:g}"
        case Enum() | str() | Path():
            return f'"{value}"'
        case tuple():
            return f"[{', '.join(map(as_toml, value))}]"
        case dict():
            return ""
        case _:
            return str(value)


def default(kind: type, key: str) -> str:
    field = {one.name: one for one in dataclasses.fields(kind)}.get(key.replace("-", "_"))
    if field is None:
        return ""
    if key == "socket-mode":
        return f'"{field.default:04o}"'
    if field.default is not dataclasses.MISSING:
        return as_toml(field.default)
    return as_toml(field.default_factory()) if field.default_factory is not dataclasses.MISSING else ""


def escaped(text: str) -> str:
    """What Markdown would take for something else."""
    for mark in "|*[":
        text = text.replace(mark, f"\\{mark}")
    return text


def lines() -> Iterator[str]:
    yield HEAD
    for name, table in (TABLES | RULES).items():
        kind, about = KINDS[name]
        yield f"## `{name}`\n"
        if about:
            yield f"{about}\n"
        yield "| key | default | what it is |\n| --- | --- | --- |"
        for key, one in table.items():
            value = default(kind, key)
            shown = "**required**" if key in REQUIRED.get(name, ()) else f"`{value}`" if value else ""
            yield f"| `{key}` | {shown} | {escaped(one.means)} |"
        yield ""


def page() -> str:
    return "\n".join(lines())


if __name__ == "__main__":
    PAGE.write_text(page())
