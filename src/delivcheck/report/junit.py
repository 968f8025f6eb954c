"""JUnit XML, for the test pages of CI systems: a suite a target, a case a rule that ran.

There is no standard. Followed is what readers take: GitLab (docs.gitlab.com "Unit test reports" and its Gitlab::Ci::Reports,
read 2026-11-23) shows the text of an element and no attribute of it, so the text says all that the attributes say.
"""

from html import escape

from ..model import Outcome, Report, Result, TargetReport
from .entries import Entry, Setting, entries, told
from .paint import visible
from .words import Exit, number

# What a case may be told to be; the counts in a suite's head go by these names.
_FAILURE, _ERROR, _SKIPPED, _OUTPUT = "failure", "error", "skipped", "system-out"


class Junit:
    """Writes one run."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    def opening(self) -> str:
        """The declaration and the root; its totals could only stand here if all targets waited for the last, so it has none."""
        return '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="delivcheck">\n'

    def target(self, target: TargetReport, seconds: float = 0.0) -> str:
        """The suite of one target; rules have no times of their own."""
        cases: list[tuple[str, str, str, str]] = []  # the rule's family and id, what became of it, the element that says so
        if isinstance(target.error, str):
            cases.append(("delivcheck", "input", _ERROR, _element(_ERROR, "unreadable", told(target.error))))
        found: dict[str, list[Entry]] = {}
        for entry in entries(target, self._setting.files):
            found.setdefault(entry.result.rule, []).append(entry)
        for result in target.results:
            kind, element = self._case(result, found.get(result.rule, []))
            cases.append((result.rule.partition("/")[0], result.rule, kind, element))
        kinds = [kind for _, _, kind, _ in cases]
        name = _quoted(visible(target.target))
        counts = f'tests="{len(cases)}" failures="{kinds.count(_FAILURE)}" errors="{kinds.count(_ERROR)}"'
        lines = [f'  <testsuite name={name} {counts} skipped="{kinds.count(_SKIPPED)}" time="{seconds:.3f}">']
        place = next((one.place for several in found.values() for one in several if one.place is not None), None)
        file = f" file={_quoted(visible(place.file.path))}" if place is not None else ""  # which GitLab links
        for family, rule, _, element in cases:
            # GitLab and Jenkins know a case by classname and name over all suites: without the target in it, one would hide
            # that of another. Jenkins takes what is before the last full stop for the package.
            owner = _quoted(f"{visible(target.target)}.{family}")
            case = f"    <testcase classname={owner} name={_quoted(rule)}{file}"
            lines += [f"{case}>", element, "    </testcase>"] if element else [f"{case}/>"]
        return "\n".join([*lines, "  </testsuite>\n"])

    def closing(self, report: Report, code: Exit) -> str:  # noqa: ARG002 -- the suites have said all
        """The end of the root."""
        return "</testsuites>\n"

    def _case(self, result: Result, found: list[Entry]) -> tuple[str, str]:
        """What became of a rule, and its element: red where the run is, so that a warning that fails nobody fails no test."""
        decides = self._setting.decides(result.level)
        body = "\n".join(_line(entry) for entry in found)
        if result.outcome is Outcome.FAIL:
            more = f" (and {number(len(found) - 1, 'more finding', 'more findings')})" if len(found) > 1 else ""
            message = f"{found[0].message}{more}" if found else result.rule
            if isinstance(result.because, str):
                body += f"\nfollows from {result.because}"
            if decides:
                return _FAILURE, _element(_FAILURE, str(result.level), message, body)
            return _OUTPUT, f"      <{_OUTPUT}>{_text(body)}</{_OUTPUT}>"
        reason = told(result.reason or "")
        if result.outcome is Outcome.UNKNOWN:
            if decides or result.bug is True:
                return _ERROR, _element(_ERROR, "bug" if result.bug is True else "undecided", reason, body)
            return _SKIPPED, _element(_SKIPPED, "undecided", reason, body)
        if result.outcome is Outcome.NOT_APPLICABLE:
            return _SKIPPED, _element(_SKIPPED, "not-applicable", reason)
        return "", ""


def _line(entry: Entry) -> str:
    """One finding, its place first, and the exact fix where there is one."""
    at = entry.dns or ("" if entry.place is None else visible(entry.place))
    head = f"{at}: " if at else ""
    level = f"{entry.level} " if entry.level is not None else ""
    fix = f"\n  fix: {told(entry.fix)}" if entry.fix is not None else ""
    return f"{head}{level}{entry.result.rule} {entry.message}{fix}"


def _element(name: str, kind: str, message: str, body: str = "") -> str:
    return f"      <{name} type={_quoted(kind)} message={_quoted(message)}>{_text(body or message)}</{name}>"


def _quoted(text: str) -> str:
    return f'"{_text(text)}"'


def _text(text: str) -> str:
    """Escaped. All text of others is visible by now, hence has only characters that XML 1.0 section 2.2 allows."""
    return escape(text, quote=True)
