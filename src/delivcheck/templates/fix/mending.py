"""Mends the templates of a run in memory: edit, render, compare, keep what is proved; nothing is written here."""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...checker import Checker
from ...model import Outcome, TargetReport
from ..baseline import Baseline
from ..model import Source
from ..rehearse import Script
from ..run import Prepared, Run
from .proof import Read, read, same
from .repairs import REPAIRS, Allowed, Edit, repair, repairs

MAX_ROUNDS = 100  # of one template: what was mended may show what stood behind it, and a refused half comes again


@dataclass
class Mended:
    """A file as it was and as it is to be, and how often each rule was mended in it."""

    path: Path
    name: str
    before: str
    after: str
    rules: dict[str, int] = field(default_factory=dict)


class Mending:
    """Mends one run's templates. `allowed` is what the user declared."""

    def __init__(self, run: Run, checker: Checker, allowed: Allowed) -> None:
        """The checker needs no other rules than those that have repairs."""
        self._run, self._allowed = run, allowed
        self._checker = checker.only(REPAIRS)
        self._refused: set[tuple[str, Edit]] = set()  # edits that changed what a reader gets
        self._given: dict[str, list[Read]] = {}  # by each template, as its files stood
        self.files: dict[Path, Mended] = {}

    async def mend(self, paths: Sequence[str]) -> list[Mended]:
        """Mend every template of the paths. Returns the files that change, in the order in which they were met."""
        found = self._run.prepare(paths)
        templates = [_full(one, one.script) for one in found if one.script is not None and one.error is None]
        known, self._run.examiner.baseline = self._run.examiner.baseline, Baseline()  # what was there long ago is mended, too
        try:
            for one in templates:
                await self._template(one, templates)
        finally:
            self._run.examiner.baseline = known
        return [one for one in self.files.values() if one.after != one.before]

    async def _template(self, one: Prepared, templates: Sequence[Prepared]) -> None:
        for _ in range(MAX_ROUNDS):
            fresh = replace(one, script=self._run.reread(one))
            edits = self._edits(fresh, await self._run.examine(fresh, self._checker, {}))
            done = [self._tried(source, wanted, templates) for source, wanted in edits]
            if True not in done:
                return

    def _edits(self, one: Prepared, report: TargetReport) -> list[tuple[Source, list[Edit]]]:
        """The edits that the report asks for, by file; none over another, none that was refused before."""
        found: defaultdict[str, dict[int, Edit]] = defaultdict(dict)
        failed = [result for result in report.results if result.outcome is Outcome.FAIL]
        files = [source for real in self._run.files(one) if (source := self._run.sources.known(real)) is not None]
        for result in failed:
            asked = [(source, edit) for source in files for edit in repairs(result.rule, source, self._allowed)]
            for problem in result.problems:
                source = self._run.sources.named(problem.where.file or "") if problem.where is not None else None
                made = None if source is None else repair(result.rule, problem, source, self._allowed)
                if source is not None and made is not None:
                    asked.append((source, made))
            for source, edit in asked:
                if (source.name, edit) not in self._refused:
                    found[source.name].setdefault(edit.start, edit)
        pairs = ((self._run.sources.named(name), edits) for name, edits in found.items())
        return [(source, sorted(edits.values())) for source, edits in pairs if source is not None]

    def _tried(self, source: Source, edits: list[Edit], templates: Sequence[Prepared]) -> bool:
        """Make edits in a file, if no template that has it reads differently then; if one does, half of them at a time."""
        assert source.path is not None
        real = Path(os.path.realpath(source.path))
        concerned = [one for one in templates if real in self._run.files(one)]
        for one in concerned:  # what each gave before anything was mended is what it must give after all of it
            if one.name not in self._given:
                self._given[one.name] = self._read(one)
        self._run.put(source, applied(source.text, edits))
        if all(same(self._given[one.name], self._read(one)) for one in concerned):
            kept = self.files.setdefault(real, Mended(real, source.name, source.text, source.text))
            kept.after = applied(source.text, edits)
            for edit in edits:
                kept.rules[edit.rule] = kept.rules.get(edit.rule, 0) + 1
            return True
        self._run.put(source, source.text)
        if len(edits) == 1:
            self._refused.add((source.name, edits[0]))
            return False
        # The first half that holds is kept; the rest is asked for again in the next round, where it stands by then.
        middle = len(edits) // 2
        return self._tried(source, edits[:middle], templates) or self._tried(source, edits[middle:], templates)

    def _read(self, one: Prepared) -> list[Read]:
        script = self._run.reread(one)
        return [read(self._run.stage.perform(script, given)) for given in one.sets]


def _full(one: Prepared, script: Script) -> Prepared:
    """The template with its data sets as they are: no rule that has a repair is tried on changed values."""
    return replace(one, script=replace(script, settings=replace(script.settings, fuzz=())))


def applied(text: str, edits: Iterable[Edit]) -> str:
    """A text with edits made, none of which is over another."""
    pieces, at = [], 0
    for edit in sorted(edits):
        pieces += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*pieces, text[at:]])
