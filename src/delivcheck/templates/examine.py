"""One template with all its data → the report of one target: every finding once, on the template's own line."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from .. import policy
from ..checker import Checker
from ..facts.roots import Rendering, TemplateSource
from ..model import Outcome, Problem, Result, TargetReport
from .baseline import Baseline
from .data.files import DataSet
from .data.undeclared import undeclared
from .fuzzing import Fuzzing, judged_by
from .model import Source
from .rehearse import Performance, Script, Stage, placed
from .suppress import Silencer


@dataclass
class Examiner:
    """Examines templates, one after the other; what they share is read, compiled and remembered once."""

    stage: Stage
    silencer: Silencer
    baseline: Baseline
    _narrowed: dict[int, tuple[Checker, Callable[[Collection[str]], Checker]]] = field(default_factory=dict)

    async def examine(
        self,
        script: Script,
        sets: Sequence[DataSet],
        checker: Checker,
        files: dict[str, Source],
        last: Mapping[str, bool],
    ) -> TargetReport:
        """Check a template with each of its data sets.

        `files` are the files that it is made of, by the names that findings give them; those that rendering adds are put in.
        `last` are those of them that no later template has, and whether all that use them are known.
        """
        reports: list[tuple[str | None, TargetReport]] = []
        if script.faults:
            rendering = Rendering(sets[0].name if sets else "", faults=script.faults)
            reports.append((None, await checker.rehearsal(script.template.name, script.source(files), rendering)))
            sets = ()
        lacking = undeclared(script.variables, [one.data for one in sets if not one.made_up])
        for number, given in enumerate(sets):
            done = self._perform(script, given, files)
            rendering = Rendering(given.name, made_up=given.made_up, faults=done.faults, headers=done.headers)
            if number:
                reports.append((given.name, await self._judge(script, rendering, done, checker)))
                continue
            report = await self._judge(script, replace(rendering, undeclared=lacking), done, checker, script.source(files))
            reports.append((None, report))
            if script.settings.fuzz and done.built is not None:
                reports += [(None, one) async for one in self._fuzzed(script, given, report, done, checker, files)]
        report = msgspec.structs.replace(merge(reports), facts={"template": _told(script, sets)})
        return await self._quiet(report, files, last, checker)

    def _perform(self, script: Script, given: DataSet, files: dict[str, Source]) -> Performance:
        done = self.stage.perform(script, given)
        files.update(done.sources)
        return done

    def _fuzzed(  # noqa: PLR0917 -- what one examination has
        self,
        script: Script,
        given: DataSet,
        report: TargetReport,
        done: Performance,
        checker: Checker,
        files: dict[str, Source],
    ) -> AsyncIterator[TargetReport]:
        async def judge(rendering: Rendering, done: Performance, checker: Checker) -> TargetReport:
            return await self._judge(script, rendering, done, checker)

        if id(checker) not in self._narrowed:
            self._narrowed[id(checker)] = (checker, judged_by(checker))
        fuzzing = Fuzzing(script, given, report, lambda changed: self._perform(script, changed, files), judge)
        return fuzzing.reports(done, self._narrowed[id(checker)][1])

    @staticmethod
    async def _judge(
        script: Script, rendering: Rendering, done: Performance, checker: Checker, source: TemplateSource | None = None
    ) -> TargetReport:
        name = script.template.name
        if done.built is None:
            return await checker.rehearsal(name, source, rendering)
        return await checker.rehearsal(name, source, rendering, done.built.octets, place=placed(done.built, name))

    async def _quiet(
        self, report: TargetReport, files: Mapping[str, Source], last: Mapping[str, bool], checker: Checker
    ) -> TargetReport:
        """The report without what comments and the baseline silence, and with what is to be said of the comments."""
        results, silenced = self.silencer.quiet(report.results, files, report.target)
        if (said := self.silencer.told(list(last), [name for name, whole in last.items() if not whole])) is not None:
            about = await checker.rehearsal(report.target, silences=said)
            told = {one.rule: one for one in about.results if one.outcome in {Outcome.FAIL, Outcome.PASS}}
            results = [told.get(one.rule, one) for one in results]
        results, known = self.baseline.quiet(results, report.target, files)
        counts = msgspec.structs.replace(policy.count(results), suppressed=silenced + known)
        # A rule that was silenced was judged: where every one was, that is no run in which nothing could be.
        judged = [one for one in results if one.outcome is not Outcome.NOT_APPLICABLE] if silenced + known else results
        verdict = policy.verdict(judged, checker.options.fail_on)
        return msgspec.structs.replace(report, results=tuple(results), counts=counts, verdict=verdict)


def _told(script: Script, sets: Sequence[DataSet]) -> dict[str, Any]:
    """What a report says of how the template was rendered."""
    engines = dict.fromkeys(part.engine.name for part in script.parts)
    return {
        "engine": next(iter(engines), None),
        "data": [one.name for one in sets if not one.made_up],
        "made_up": any(one.made_up for one in sets),
    }


# --- several renderings, one report ------------------------------------------------------------------------------

_WORSE = {Outcome.NOT_APPLICABLE: 0, Outcome.PASS: 1, Outcome.UNKNOWN: 2, Outcome.FAIL: 3}


def merge(reports: Sequence[tuple[str | None, TargetReport]]) -> TargetReport:
    """One report of several about the same target. A problem names the data set that shows it, if the first one does not."""
    if len(reports) == 1:
        first = reports[0][1]
        return msgspec.structs.replace(first, results=tuple(_each_once(one) for one in first.results))
    together: dict[str, Result] = {}
    seen: defaultdict[str, set[object]] = defaultdict(set)
    for data, report in reports:
        for result in report.results:
            known = seen[result.rule]
            new = [problem for problem in _each_once(result).problems if known.isdisjoint(_keys(problem))]
            known.update(key for problem in new for key in _keys(problem))
            problems = [one if data is None else msgspec.structs.replace(one, data=data) for one in new]
            before = together.get(result.rule)
            together[result.rule] = (
                msgspec.structs.replace(result, problems=tuple(problems))
                if before is None
                else _worse(before, result, problems)
            )
    return msgspec.structs.replace(reports[0][1], results=tuple(together.values()))


def _worse(one: Result, other: Result, problems: Iterable[Problem]) -> Result:
    """The worse of two results of a rule, with the problems of both."""
    leading = other if _WORSE[other.outcome] > _WORSE[one.outcome] else one
    level = max((one.level, other.level), key=lambda level: level.rank) if one.outcome is other.outcome else leading.level
    return msgspec.structs.replace(leading, level=level, problems=(*one.problems, *problems))


def _each_once(result: Result) -> Result:
    """A problem of a part that a loop repeats is one problem of the template."""
    if len(result.problems) < 2:
        return result
    once = {(problem.message, problem.where): problem for problem in reversed(result.problems)}
    return msgspec.structs.replace(result, problems=tuple(reversed(once.values())))


def _keys(problem: Problem) -> Iterator[object]:
    """What makes two problems of a rule, found with different data, the same one: the words, and the place if it is exact."""
    yield problem.message, problem.where
    if problem.where is not None and problem.where.column is not None and not problem.where.approximate:
        yield problem.where
