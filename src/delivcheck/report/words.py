"""The words that several reports share: counted nouns, places, exit codes."""

from collections.abc import Iterable
from enum import IntEnum

from msgspec import UNSET

from ..model import Level, Outcome, Problem, Report, Result, TargetReport, Verdict, Where
from .paint import visible


class Exit(IntEnum):
    """What a command returns to the shell, the same in every format (DESIGN section 7)."""

    PASS = 0
    FAIL = 1
    USAGE = 2
    UNREADABLE = 3
    UNKNOWN = 4
    BUG = 70  # EX_SOFTWARE of sysexits.h
    INTERRUPTED = 130  # 128 + SIGINT, as shells have it
    PIPE = 141  # 128 + SIGPIPE: who reads our output has gone


PRECEDENCE = (Exit.BUG, Exit.USAGE, Exit.UNREADABLE, Exit.FAIL, Exit.UNKNOWN, Exit.PASS)


def exit_code(targets: Iterable[TargetReport], *, bug: bool = False, exit_zero: bool = False) -> Exit:
    """The exit code of a run; `exit_zero` forgives findings and undecided rules, not missing inputs or our own faults."""
    seen = {Exit.BUG} if bug else set()
    for target in targets:
        if isinstance(target.error, str):
            seen.add(Exit.UNREADABLE)
        elif target.verdict is not Verdict.PASS and not exit_zero:
            seen.add(Exit.FAIL if target.verdict is Verdict.FAIL else Exit.UNKNOWN)
        if any(result.bug is True for result in target.results):
            seen.add(Exit.BUG)
    return next((code for code in PRECEDENCE if code in seen), Exit.PASS)


def number(count: int, noun: str, plural: str | None = None) -> str:
    """A count with its noun: `1 error`, `2 errors`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def joined(words: list[str]) -> str:
    """Words as a sentence has them: a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def level_of(problem: Problem, result: Result) -> Level:
    """A problem's own level, or its rule's."""
    return problem.level or result.level


def tally(target: TargetReport) -> list[str]:
    """How many results failed at each level, and how many are undecided, worst first: `2 errors`, `6 undecided`."""
    found = [result for result in target.results if result.outcome is Outcome.FAIL]
    failed = [result.level for result in found if result.because is UNSET]
    words = [number(failed.count(level), str(level)) for level in (Level.ERROR, Level.WARNING, Level.NOTE) if level in failed]
    if following := len(found) - len(failed):
        words.append(f"{following} that {'follows' if following == 1 else 'follow'}")
    if target.counts.unknown:
        words.append(f"{target.counts.unknown:,} undecided")
    return words


def place(where: Where | None, target: TargetReport | None = None) -> str:
    """Where a problem is, as editors and greps take it: `file:line:column`, `name TYPE`, or the target's name."""
    name = "" if target is None else visible(target.target)
    if where is None:
        return name
    if where.name is not None:
        return visible(f"{where.name or '.'} {where.type or ''}".rstrip())
    file = visible(where.file) if where.file is not None else name
    if where.line is not None:
        column = None if where.approximate else where.column
        return ":".join(str(part) for part in (file, where.line, column) if part not in {None, ""})
    inside = f"part {where.part}" if where.part else f"header {where.header}" if where.header else ""
    return visible(" ".join(part for part in (file, inside) if part))


def near(where: Where) -> str:
    """The word before a place that is not known for sure."""
    return "near " if where.approximate else ""


def circumstances(problem: Problem) -> str:
    """What holds of a problem beside its message, in brackets: ` (near this line, with missing.json)`; mostly nothing."""
    said = ["near this line"] if problem.where is not None and problem.where.approximate else []
    if problem.data is not None:
        said.append(f"with {visible(problem.data)}")
    return f" ({', '.join(said)})" if said else ""


def undecided_at(result: Result) -> str:
    """The place in a file of what is undecided, in brackets; a name in DNS the reason has already."""
    where = result.where
    return f" ({near(where)}{place(where)})" if isinstance(where, Where) and where.line is not None else ""


def verdict_sentence(target: TargetReport) -> str:
    """The verdict word first; a pass that left something open never reads like a plain one."""
    words = tally(target)
    if target.verdict is Verdict.PASS and not words:
        return "PASS"
    if target.verdict is Verdict.UNKNOWN and not any(result.outcome is Outcome.FAIL for result in target.results):
        return f"UNKNOWN, {target.counts.unknown:,} undecided" if target.counts.unknown else "UNKNOWN, nothing could be judged"
    return f"{target.verdict.value.upper()}, with {joined(words)}" if words else target.verdict.value.upper()


def run_totals(report: Report) -> str:
    """How many targets came out how: `3 targets: 1 fail, 2 pass`."""
    unread = sum(isinstance(one.error, str) for one in report.targets)
    seen = [one.verdict for one in report.targets if not isinstance(one.error, str)]
    parts = [f"{seen.count(verdict)} {verdict}" for verdict in (Verdict.FAIL, Verdict.UNKNOWN, Verdict.PASS) if verdict in seen]
    if unread:
        parts.append(f"{unread} unreadable")
    return f"{number(len(report.targets), 'target')}: {', '.join(parts)}"
