"""TAP 14, the Test Anything Protocol: a test point a rule and target, with YAML diagnostics.

testanything.org "TAP version 14 specification", read 2026-11-23. What does not decide the run is `# TODO`, which by the
specification does not fail a suite; what could not be judged is `# SKIP`. The plan stands at the end, where it may.
"""

import json
from collections.abc import Iterable

from ..model import Outcome, Report, Result, TargetReport
from .entries import Entry, Setting, entries, told
from .paint import visible
from .words import Exit

_DESCRIPTION = str.maketrans({"\\": "\\\\", "#": "\\#"})


class Tap:
    """Writes one run."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._number = 0

    def opening(self) -> str:
        """The version line."""
        return "TAP version 14\n"

    def target(self, target: TargetReport, seconds: float = 0.0) -> str:  # noqa: ARG002 -- points have no times of their own
        """The test points of one target."""
        lines: list[str] = []
        if isinstance(target.error, str):
            lines += [self._point(target, "input", ok=False), *_block(["severity: fail", f"message: {_yaml(target.error)}"])]
        found: dict[str, list[Entry]] = {}
        for entry in entries(target, self._setting.files):
            found.setdefault(entry.result.rule, []).append(entry)
        for result in target.results:
            lines += self._result(target, result, found.get(result.rule, []))
        return "".join(f"{line}\n" for line in lines)

    def closing(self, report: Report, code: Exit) -> str:  # noqa: ARG002 -- the points have said all
        """The plan."""
        return f"1..{self._number}\n"

    def _result(self, target: TargetReport, result: Result, found: list[Entry]) -> list[str]:
        decides = self._setting.decides(result.level)
        if result.outcome is Outcome.PASS:
            return [self._point(target, result.rule)]
        if result.outcome is Outcome.NOT_APPLICABLE:
            return [self._point(target, result.rule, directive=f"SKIP {told(result.reason or 'not applicable')}")]
        if result.outcome is Outcome.UNKNOWN and not decides and result.bug is not True:
            return [self._point(target, result.rule, directive=f"SKIP undecided: {told(result.reason or 'no reason')}")]
        directive = "" if decides or result.bug is True else f"TODO at level {result.level} it does not fail the run"
        values = [f"severity: {_yaml(str(result.level))}"]
        if isinstance(result.because, str):
            values.append(f"because: {_yaml(result.because)}")
        if found:
            values += ["findings:", *(line for entry in found for line in _finding(entry))]
        return [self._point(target, result.rule, ok=False, directive=directive), *_block(values)]

    def _point(self, target: TargetReport, name: str, *, ok: bool = True, directive: str = "") -> str:
        self._number += 1
        described = f"{told(target.target)}: {name}".translate(_DESCRIPTION)
        return f"{'ok' if ok else 'not ok'} {self._number} - {described}{f' # {directive}' if directive else ''}"


def _finding(entry: Entry) -> Iterable[str]:
    yield f"  - message: {_yaml(entry.message)}"
    if entry.dns is not None or entry.place is not None:
        yield f"    at: {_yaml(entry.dns or str(entry.place))}"
    if entry.level is not None and entry.level is not entry.result.level:
        yield f"    severity: {_yaml(str(entry.level))}"
    if entry.fix is not None:
        yield f"    fix: {_yaml(entry.fix)}"


def _block(values: list[str]) -> list[str]:
    """A YAML diagnostic block, indented by two spaces."""
    return ["  ---", *(f"  {value}" for value in values), "  ..."]


def _yaml(text: str) -> str:
    """Text as a YAML double-quoted scalar on one line; a JSON string is one (YAML 1.2 section 1.2)."""
    return json.dumps(visible(told(text)), ensure_ascii=False)
