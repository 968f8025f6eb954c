"""SARIF 2.1.0, for code scanning and editors: one result a line, written as targets come, with the rules at the end.

Section numbers are those of the OASIS standard with errata 01 (2023-08-28), read 2026-11-23. What GitHub's code scanning asks
beyond it ("SARIF support for code scanning", read the same day) is met where a finding has a file. A finding in DNS has none
and a logical location instead; GitHub refuses a file with such a result, so audits of domains are for other readers.

What is silenced is counted and no result: GitHub takes no notice of `suppressions` (github/codeql-action issue 1230) and would
open an alert for each. Nor is what passed, which GitHub takes for failed, as it does not look at `kind` either.
"""

import json
import re
from typing import Any

from ..model import Level, Outcome, Report, Rule, TargetKind, TargetReport
from ..version import __version__
from .entries import Distinct, Entry, Setting, told
from .paint import visible
from .places import Place, units
from .words import Exit

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"  # as CodeQL and GitHub's documentation name the root of the repository
FINGERPRINT = "delivcheckEvidence/v1"  # 3.27.17: the version is raised when it is computed in another way

MAX_DESCRIPTION = 1024  # characters; GitHub's limit on shortDescription and fullDescription

# 3.58.6 and 3.27.10 have the same three words as we do.
_LEVELS = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "note", Level.OFF: "none"}
_SEVERITIES = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "recommendation", Level.OFF: "recommendation"}

_PLACEHOLDER = re.compile(r"\{(\d+)\}")
_FIELD = re.compile(r"[!-9;-~]+:[ \t]")  # a header field (RFC 5322 section 2.2)
_URL = re.compile(r"""http://[^\s"'<>]*""")


class Sarif:
    """Writes one run."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._distinct = Distinct(setting.files)
        self._rules: dict[str, int] = {}  # by id the index in tool.driver.rules, in the order of their first results
        self._suppressed = 0
        self._written = False

    def opening(self) -> str:
        """All that is known before the first target."""
        # 3.14.14: the root's own address is left out. Where a job's container sees the repository is nobody's business, would
        # make equal runs differ, and keeps GitHub from finding the files under its own path.
        head = {
            "columnKind": "utf16CodeUnits",
            "originalUriBaseIds": {ROOT: {"description": {"text": "The root of the repository."}}},
        }
        return f'{{"$schema": "{SCHEMA}", "version": "2.1.0", "runs": [{{{_json(head)[1:-1]}, "results": ['

    def target(self, target: TargetReport, seconds: float = 0.0) -> str:  # noqa: ARG002 -- SARIF times only runs
        """The results of one target, a line each."""
        self._suppressed += target.counts.suppressed
        lines = []
        for entry in self._distinct.of(target):
            lines.append(f"{',' if self._written else ''}\n{_json(self._result(entry))}")
            self._written = True
        return "".join(lines)

    def closing(self, report: Report, code: Exit) -> str:
        """The tool with the rules that have results, and how the run ended."""
        driver = {
            "name": "delivcheck",
            "version": __version__,
            "semanticVersion": __version__,
            "rules": [_descriptor(name, self._setting.rules.get(name)) for name in self._rules],
        }
        tail = {
            "tool": {"driver": driver},
            "invocations": [_invocation(report, code)],
            "properties": {"policy": visible(report.policy), "verdict": report.verdict, "suppressed": self._suppressed},
        }
        return f"\n], {_json(tail)[1:-1]}}}]}}\n"

    def _result(self, entry: Entry) -> dict[str, Any]:
        name = entry.result.rule
        open_ = entry.level is None
        made: dict[str, Any] = {
            "ruleId": name,
            "ruleIndex": self._rules.setdefault(name, len(self._rules)),
            # 3.27.9: open is "insufficient information to decide whether a problem exists"; 3.27.10: its level is none.
            "kind": "open" if open_ else "fail",
            "level": "none" if entry.level is None else _LEVELS[entry.level],
            "message": {"text": _text(entry.message)},
            "locations": [_location(entry)],
            "partialFingerprints": {FINGERPRINT: entry.fingerprint},
        }
        fix = _fix(entry)
        if fix is not None:
            made["fixes"] = [fix]
        more = {
            "target": visible(entry.target.target),
            "approximate": entry.approximate or None,
            "data": entry.data,
            "fix": None if entry.fix is None else told(entry.fix),
            "because": entry.result.because if isinstance(entry.result.because, str) else None,
        }
        made["properties"] = {key: value for key, value in more.items() if value is not None}
        return made


def _json(value: Any) -> str:
    """JSON in ASCII, so that nothing in it acts on who prints it."""
    return json.dumps(value, ensure_ascii=True)


def _text(text: str) -> str:
    """A plain text message in which nothing is a placeholder (3.11.5) or an embedded link (3.11.6).

    3.11.5 would have every brace doubled. Hardly any reader halves them again (GitHub and VS Code do not), and messages about
    templates are full of `{{name}}`; so only what could be taken for a placeholder is doubled.
    """
    return _PLACEHOLDER.sub(r"{{\1}}", text).replace("](", "] (")


# --- places ------------------------------------------------------------------------------------------------------


def _location(entry: Entry) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if entry.place is not None:
        # GitHub calls region.startLine required; that of the whole file is line 1.
        region: dict[str, Any] = {"startLine": entry.place.line or 1}
        if entry.place.column is not None:
            region["startColumn"] = entry.place.column
        if entry.place.end_column is not None:
            region["endColumn"] = entry.place.end_column
        made["physicalLocation"] = {"artifactLocation": _artifact(entry.place), "region": region}
    logical = _logical(entry)
    if logical is not None:
        made["logicalLocations"] = [logical]
    if entry.approximate:
        made["properties"] = {"approximate": True}
    return made


def _artifact(place: Place) -> dict[str, Any]:
    return {"uri": place.file.uri, **({"uriBaseId": ROOT} if place.file.relative else {})}


def _logical(entry: Entry) -> dict[str, Any] | None:
    """What a finding is in, beside or instead of a file: a name in DNS, a header field, a MIME part."""
    where, target = entry.where, visible(entry.target.target)
    if entry.dns is not None:
        return {"name": entry.dns, "fullyQualifiedName": f"{target}/{entry.dns}", "kind": "dns"}
    if where is not None and where.header is not None:
        name = visible(where.header)
        return {"name": name, "fullyQualifiedName": f"{target}/{name}", "kind": "header"}
    if where is not None and where.part is not None:
        name = visible(where.part)
        return {"name": name, "fullyQualifiedName": f"{target}/{name}", "kind": "part"}
    if entry.place is None or entry.place.file.member:
        kind = entry.target.kind if entry.target.kind is not TargetKind.TEMPLATE else TargetKind.MESSAGE
        return {"name": target, "fullyQualifiedName": target, "kind": str(kind)}
    return None


# --- fixes -------------------------------------------------------------------------------------------------------


def _fix(entry: Entry) -> dict[str, Any] | None:
    """The replacement of a stretch of the file, where `Problem.fix` is one for sure.

    A fix is "the exact record, header or line that would be right here", which alone does not say what to take away. It is a
    replacement where it is the same URL as in what is marked, with `https`, or the same header field, whole, on one line.
    """
    place, fix = entry.place, entry.fix
    if fix is None or place is None or place.text is None or place.column is None or not fix.isprintable():
        return None
    span = _field(entry, place, place.text, fix) if _FIELD.match(fix) else _url(place, place.text, fix)
    if span is None:
        return None
    region = {"startLine": place.line, "startColumn": span[0], "endColumn": span[1]}
    replacement = {"deletedRegion": region, "insertedContent": {"text": fix}}
    change = {"artifactLocation": _artifact(place), "replacements": [replacement]}
    return {"description": {"text": _text(f"Replace with {told(fix)}")}, "artifactChanges": [change]}


def _field(entry: Entry, place: Place, line: str, fix: str) -> tuple[int, int] | None:
    """The columns of the header field that the fix is, in a message; that of a template has code in it, not its value."""
    header = entry.where.header if entry.where is not None else None
    if header is None or place.continued or entry.target.kind is not TargetKind.MESSAGE:
        return None
    names = {text.partition(":")[0].lower() for text in (line, fix, header)}
    return (1, units(line) + 1) if len(names) == 1 and ":" in line else None


def _url(place: Place, line: str, fix: str) -> tuple[int, int] | None:
    """The columns of the one URL in what is marked that is the fix with `http`."""
    if not fix.startswith("https://") or place.column is None or place.end_column is None:
        return None
    marked = line.encode("utf-16-le")[2 * (place.column - 1) : 2 * (place.end_column - 1)].decode("utf-16-le", "replace")
    found = [one for one in _URL.finditer(marked) if one[0] == f"http{fix.removeprefix('https')}"]
    if len(found) != 1:
        return None
    start = place.column + units(marked[: found[0].start()])
    return start, start + units(found[0][0])


# --- rules and the run -------------------------------------------------------------------------------------------


def _descriptor(name: str, page: Rule | None) -> dict[str, Any]:
    """A rule's page (3.49)."""
    if page is None:
        return {"id": name}
    read = [source for source in page.source if source.url is not None and source.url.startswith(("https://", "http://"))]
    how = f"delivcheck explain {name}"
    said = "\n\n".join((page.why.strip(), f"Fix: {page.fix.strip()}", how))
    links = "\n".join(f"- [{source.name}]({source.url}), read {source.checked}" for source in read)
    marked = "\n\n".join(filter(None, (page.why.strip(), "**Fix**", page.fix.strip(), links, f"`{how}`")))
    made: dict[str, Any] = {
        "id": name,
        "shortDescription": {"text": _description(page.title)},
        "fullDescription": {"text": _description(page.why)},
        "help": {"text": _text(said), "markdown": _PLACEHOLDER.sub(r"{{\1}}", marked)},
        "defaultConfiguration": {"level": _LEVELS[page.level], "enabled": page.level is not Level.OFF},
        "properties": {
            "tags": list(dict.fromkeys((page.family, str(page.basis), *sorted(str(kind) for kind in page.targets)))),
            "problem.severity": _SEVERITIES[page.level],  # GitHub's
        },
    }
    if read:
        made["helpUri"] = read[0].url
    return made


def _description(text: str) -> str:
    flat = " ".join(text.split())
    return _text(flat if len(flat) <= MAX_DESCRIPTION else f"{flat[: MAX_DESCRIPTION - 1]}…")


def _invocation(report: Report, code: Exit) -> dict[str, Any]:
    """How the run ended (3.20); findings do not make it unsuccessful."""
    notifications = [
        {"level": "error", "message": {"text": _text(f"{visible(one.target)}: {told(one.error)}")}}
        for one in report.targets
        if isinstance(one.error, str)
    ]
    notifications += [
        {"level": "error", "message": {"text": _text(f"{result.rule}: {told(result.reason or 'a fault of delivcheck')}")}}
        for one in report.targets
        for result in one.results
        if result.outcome is Outcome.UNKNOWN and result.bug is True
    ]
    return {
        "executionSuccessful": code not in {Exit.UNREADABLE, Exit.BUG},
        "exitCode": int(code),
        "exitCodeDescription": code.name.lower(),
        **({"toolExecutionNotifications": notifications} if notifications else {}),
    }
