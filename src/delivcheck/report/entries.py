"""The findings of a run one by one, as CI formats list them: on one line, placed, with a fingerprint that outlives edits."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from ..model import Level, Outcome, Problem, Report, Result, Rule, TargetReport, Where
from .paint import visible
from .places import Files, Place, located
from .words import Exit, circumstances, level_of, place

MAX_MESSAGE = 1000  # characters of a message or fix; GitHub cuts the descriptions of rules at 1024

_NUMBER = re.compile(r"[0-9]+")


# --- what every format is made from, and does --------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """What a run's reports rest on beside its targets; `fail_on` is None where nothing fails the run."""

    rules: Mapping[str, Rule]
    files: Files
    fail_on: Level | None = Level.ERROR
    policy: str = ""

    def decides(self, level: Level) -> bool:
        """Whether a rule at this level decides the run: below, a test must not be red where the run is green."""
        return self.fail_on is not None and level.rank >= self.fail_on.rank


class Form(Protocol):
    """A format on its way: what stands before, the targets one after the other, what stands behind. Each returns text."""

    def opening(self) -> str:
        """What stands before the first target."""
        ...

    def target(self, target: TargetReport, seconds: float) -> str:
        """One target, in the order of the command line; `seconds` is how long it took."""
        ...

    def closing(self, report: Report, code: Exit) -> str:
        """What stands behind the last one. Its targets have lost what passed."""
        ...


# --- one finding -------------------------------------------------------------------------------------------------


def told(text: str) -> str:
    """Text of others on one line of bearable length, with nothing in it that acts."""
    return visible(text) if len(text) <= MAX_MESSAGE else f"{visible(text[:MAX_MESSAGE])}…"


@dataclass(frozen=True, slots=True)
class Entry:
    """One finding; `level` is None for what could not be decided. `message`, `fix` and `data` are fit to be shown."""

    target: TargetReport
    result: Result
    level: Level | None
    message: str
    where: Where | None = None
    place: Place | None = None
    fix: str | None = None  # as the check has it, not made visible: it may be put into a file
    data: str | None = None
    evidence: str = ""  # the message as the check has it
    fingerprint: str = ""  # of those that `Distinct` gives

    @property
    def dns(self) -> str | None:
        """The place in DNS: name and type."""
        return place(self.where) if self.where is not None and self.where.name is not None else None

    @property
    def approximate(self) -> bool:
        """Whether the place is only near."""
        return self.where is not None and self.where.approximate


def entries(target: TargetReport, files: Files) -> Iterator[Entry]:
    """The findings of one target, in the order of its results: problems, and what is undecided."""
    for result in target.results:
        if result.outcome is Outcome.FAIL:
            for problem in result.problems:
                yield _of_problem(target, result, problem, files)
        if result.outcome is Outcome.UNKNOWN or (result.outcome is Outcome.FAIL and result.reason):
            where = result.where if isinstance(result.where, Where) else None
            message = f"undecided: {told(result.reason or 'no reason was given')}"
            at = located(where, target, files)
            yield Entry(target, result, None, message, where, at, evidence=result.reason or "")


def _of_problem(target: TargetReport, result: Result, problem: Problem, files: Files) -> Entry:
    data = None if problem.data is None else told(problem.data)
    at = located(problem.where, target, files)
    message = told(problem.message) + circumstances(problem)
    return Entry(
        target, result, level_of(problem, result), message, problem.where, at, problem.fix, data, evidence=problem.message
    )


class Distinct:
    """The findings of a run, each once, with fingerprints: a file that several templates include is found fault with once."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._seen: dict[bytes, int] = {}
        self._alike: Counter[bytes] = Counter()
        self._number = 0

    def of(self, target: TargetReport) -> Iterator[Entry]:
        """The findings of a target that no earlier target had at the same place."""
        self._number += 1
        for entry in entries(target, self._files):
            where = entry.where or Where()
            evidence = self._evidence(entry)
            key = _digest((*evidence, where.line, where.column, where.part, where.span, entry.evidence))
            if self._seen.setdefault(key, self._number) != self._number:
                continue
            alike = _digest(evidence)
            self._alike[alike] += 1
            yield replace(entry, fingerprint=_digest((*evidence, self._alike[alike])).hex())

    @staticmethod
    def _evidence(entry: Entry) -> tuple[object, ...]:
        """What a finding is recognised by after lines were put in above it, or a number in it has changed.

        Not the line and column, and no digits: "9 of 10 look-ups" is the finding that was "8 of 10" yesterday. Findings that
        are alike so are told apart by counting them. A baseline of templates knows findings by the same.
        """
        where = entry.where or Where()
        path = entry.place.file.path if entry.place is not None else entry.target.target
        member = entry.target.target if entry.place is not None and entry.place.file.member else None
        words = _NUMBER.sub("0", " ".join(entry.evidence.split()))
        return (entry.result.rule, path, member, where.name, where.type, where.header, entry.level is None, words)


def _digest(parts: tuple[object, ...]) -> bytes:
    text = "\0".join("" if part is None else str(part) for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]  # 128 bits, as MD5 in others' reports
