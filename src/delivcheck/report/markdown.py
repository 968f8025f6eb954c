"""Markdown (GitHub's and GitLab's), for job summaries and comments on merge requests: a table, then findings by file.

All text of others stands in code spans. Nothing is looked for in them: no HTML, link, image, mention, reference to an issue,
emoji or quick action; so there is nothing to see to but the fence (GFM 0.29 section 6.3) and, in a table, the bar (4.10).
"""

from collections.abc import Iterator

from ..model import Level, Outcome, Report, Rule, TargetReport
from .entries import Distinct, Entry, Setting, told
from .words import Exit, number, run_totals

MAX_CHARACTERS = 65_000  # a comment on GitHub takes 65,536; GitLab's takes 1,000,000
MAX_SUMMARY = 250_000  # of a job summary, in characters: GitHub takes 1 MiB a step, and a character is up to 4 octets of it
MAX_ROWS = 200  # targets in the table

_LEVELS = (Level.ERROR, Level.WARNING, Level.NOTE)
_HEAD = ("| Target | Verdict | Errors | Warnings | Notes | Undecided |", "| --- | --- | ---: | ---: | ---: | ---: |")


class Markdown:
    """Writes one run, all of it at its end: the table comes first. `room` is how many characters there may be."""

    def __init__(self, setting: Setting, room: int = MAX_CHARACTERS) -> None:
        self._setting = setting
        self._room = room

    def opening(self) -> str:
        """Nothing."""
        return ""

    def target(self, target: TargetReport, seconds: float = 0.0) -> str:  # noqa: ARG002 -- the end has it all
        """Nothing."""
        return ""

    def closing(self, report: Report, code: Exit) -> str:
        """The whole document."""
        lines = [f"## delivcheck: {report.verdict}", "", f"{run_totals(report)}; policy {code_span(report.policy)}.", ""]
        lines += _table(report)
        used = sum(len(line) + 1 for line in lines) + len(_more(0)) + 20
        shown = total = 0
        full = False
        for block in self._blocks(report):
            total += block[0]
            size = sum(len(line) + 1 for line in block[1])
            full = full or used + size > self._room
            if not full:
                lines += block[1]
                used += size
                shown += block[0]
        if shown < total:
            lines += ["", _more(total - shown)]
        lines += ["", f"Exit code {int(code)}."] if code is not Exit.PASS else []
        return "".join(f"{line}\n" for line in lines)

    def _blocks(self, report: Report) -> Iterator[tuple[int, list[str]]]:
        """How many findings some lines tell, and the lines: the head of a file with its first finding, or one finding."""
        distinct = Distinct(self._setting.files)
        files: dict[str, list[Entry]] = {}
        for target in report.targets:
            for entry in distinct.of(target):
                files.setdefault(entry.target.target if entry.place is None else entry.place.file.path, []).append(entry)
        for name, found in files.items():
            head = ["", f"### {code_span(name)}", ""]
            for entry in sorted(found, key=_order):
                yield 1, [*head, *self._finding(entry)]
                head = []

    def _finding(self, entry: Entry) -> list[str]:
        level = "undecided" if entry.level is None else str(entry.level)
        at = _at(entry)
        lines = [f"- **{level}** {f'{at}: ' if at else ''}{code_span(entry.message)} ({_rule(entry, self._setting)})"]
        if entry.fix is not None:
            lines.append(f"  - fix: {code_span(entry.fix)}")
        return lines


def code_span(text: str) -> str:
    """Text of others as a code span (GFM section 6.3): its fence is longer than any run of backticks inside."""
    shown = told(text)
    longest = max((len(run) for run in _runs(shown)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if not shown or shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def _runs(text: str) -> Iterator[str]:
    run = ""
    for character in text:
        if character == "`":
            run += character
        elif run:
            yield run
            run = ""
    yield run


def cell(text: str) -> str:
    """A code span in a table. A bar ends a cell even in code, and readers differ on backslashes before it: it becomes ¦."""
    return code_span(text).replace("|", "¦")


def _table(report: Report) -> list[str]:
    rows = []
    for target in report.targets[:MAX_ROWS]:
        if isinstance(target.error, str):
            rows.append(f"| {cell(target.target)} | unreadable: {cell(target.error)} | | | | |")
            continue
        failed = [result.level for result in target.results if result.outcome is Outcome.FAIL]
        counts = " | ".join(str(count) for count in (*map(failed.count, _LEVELS), target.counts.unknown))
        rows.append(f"| {cell(target.target)} | {target.verdict} | {counts} |")
    if len(report.targets) > MAX_ROWS:
        rows.append(f"| and {number(len(report.targets) - MAX_ROWS, 'more target')} | | | | | |")
    return [*_HEAD, *rows]


def _more(count: int) -> str:
    return f"… and {number(count, 'more finding')}, for which there is no room here."


def _order(entry: Entry) -> tuple[int, int, int]:
    """By line; within one, the worst first. What has no line stands at the head of its file."""
    place = entry.place
    line = (place.line if place is not None else None) or 0
    return line, -(entry.level.rank if entry.level is not None else 0), (place.column if place is not None else None) or 0


def _at(entry: Entry) -> str:
    place = entry.place
    if entry.dns is not None:
        return f"at {code_span(entry.dns)}"
    if place is None or place.line is None:
        return ""
    if entry.approximate:
        return f"near line {place.line}"
    return f"line {place.line}" + (f", column {place.column}" if place.column is not None else "")


def _rule(entry: Entry, setting: Setting) -> str:
    """The rule's id, linked to what it rests on."""
    name = f"`{entry.result.rule}`"
    page: Rule | None = setting.rules.get(entry.result.rule)
    urls = [source.url for source in page.source if source.url] if page is not None else []
    return f"[{name}](<{urls[0]}>)" if urls and _linkable(urls[0]) else name


def _linkable(url: str) -> bool:
    """Whether a URL of a page can stand between angle brackets (GFM section 6.6): another's folder of rules may have any."""
    return url.startswith(("https://", "http://")) and url.isascii() and url.isprintable() and not set(url) & set("<>\\ ")
