"""Workflow commands of GitHub Actions: a finding a line, which the runner shows beside the line of the file.

docs.github.com "Workflow commands for GitHub Actions" has the commands; how values are escaped is said by actions/toolkit alone
(packages/core/src/command.ts, escapeData and escapeProperty). Both read 2026-11-23. GitHub shows ten annotations of each level
a step, so what it leaves out stands in the job summary.
"""

from ..model import Level, Report, TargetReport
from .entries import Distinct, Entry, Setting, told
from .paint import visible
from .words import Exit

_COMMANDS = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "notice", Level.OFF: "notice"}

_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})


class Github:
    """Writes one run."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._distinct = Distinct(setting.files)

    def opening(self) -> str:
        """Nothing."""
        return ""

    def target(self, target: TargetReport, seconds: float = 0.0) -> str:  # noqa: ARG002 -- annotations have no times
        """The commands of one target."""
        lines = [self._command(entry) for entry in self._distinct.of(target)]
        if isinstance(target.error, str):
            text = f"{visible(target.target)}: {told(target.error)}"
            lines.append(f"::error title=delivcheck::{text.translate(_DATA)}")
        return "".join(f"{line}\n" for line in lines)

    def closing(self, report: Report, code: Exit) -> str:  # noqa: ARG002 -- the commands have said all
        """Nothing: the exit code fails the step."""
        return ""

    def _command(self, entry: Entry) -> str:
        if entry.level is not None:
            command = _COMMANDS[entry.level]
        else:
            command = "warning" if self._setting.decides(entry.result.level) else "notice"
        values: dict[str, object] = {}
        message = entry.message
        place = entry.place
        if place is not None:
            values["file"] = visible(place.file.path)
            if place.line is not None:
                values |= {"line": place.line, "endLine": place.line}
            if place.column is not None:
                values["col"] = place.column
            if place.end_column is not None:
                values["endColumn"] = place.end_column
        if entry.dns is not None:
            message = f"{entry.dns}: {message}"
        elif place is None or place.file.member:
            message = f"{visible(entry.target.target)}: {message}"
        if entry.fix is not None:
            message += f"\nfix: {told(entry.fix)}"
        values["title"] = entry.result.rule
        said = ",".join(f"{name}={str(value).translate(_PROPERTY)}" for name, value in values.items())
        return f"::{command} {said}::{message.translate(_DATA)}"
