"""GitLab's Code Quality report: one JSON array with an object a finding, as merge requests show and compare them.

docs.gitlab.com "Code Quality", "Code Quality report format", read 2026-11-23. Of several objects with one fingerprint GitLab
shows one, so each has its own; and since it compares branches by them, they do not change with the line.
"""

import json
from typing import Any

from ..model import Level, Report, TargetReport
from .entries import Distinct, Entry, Setting, told
from .paint import visible
from .words import Exit

_SEVERITIES = {Level.ERROR: "critical", Level.WARNING: "major", Level.NOTE: "minor", Level.OFF: "info"}
UNDECIDED = "info"
UNREADABLE = "blocker"


class Gitlab:
    """Writes one run."""

    def __init__(self, setting: Setting) -> None:
        self._distinct = Distinct(setting.files)
        self._files = setting.files
        self._written = False

    def opening(self) -> str:
        """The beginning of the array."""
        return "["

    def target(self, target: TargetReport, seconds: float = 0.0) -> str:  # noqa: ARG002 -- the format has no times
        """The objects of one target, a line each."""
        if isinstance(target.error, str):
            return self._line(
                {
                    "description": told(target.error),
                    "check_name": "delivcheck/input",
                    "fingerprint": f"input {visible(target.target)}",
                    "severity": UNREADABLE,
                    "location": {"path": visible(target.target), "lines": {"begin": 1}},
                }
            )
        return "".join(self._line(_object(entry)) for entry in self._distinct.of(target))

    def closing(self, report: Report, code: Exit) -> str:  # noqa: ARG002 -- the objects have said all
        """The end of the array."""
        return "\n]\n" if self._written else "]\n"

    def _line(self, value: dict[str, Any]) -> str:
        comma, self._written = "," if self._written else "", True
        return f"{comma}\n{json.dumps(value, ensure_ascii=True)}"


def _object(entry: Entry) -> dict[str, Any]:
    place = entry.place
    at = f"{entry.dns}: " if entry.dns is not None else ""
    fix = f" (fix: {told(entry.fix)})" if entry.fix is not None else ""
    # The format knows no finding without a path: for a domain its name stands there.
    path = place.file.path if place is not None else entry.target.target
    return {
        "description": f"{at}{entry.message}{fix}",
        "check_name": entry.result.rule,
        "fingerprint": entry.fingerprint,
        "severity": UNDECIDED if entry.level is None else _SEVERITIES[entry.level],
        "location": {"path": visible(path), "lines": {"begin": (place.line if place is not None else None) or 1}},
    }
