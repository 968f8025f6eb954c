"""A template rendered with values missing, long and hostile: what shows only then, and whose value it was."""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import replace

import msgspec

from ..checker import Checker
from ..facts.leftovers import missing_words
from ..facts.roots import DataKind, Rendering
from ..model import Level, Outcome, Problem, Result, TargetReport, Where
from ..saying import in_one_line, listed
from .data.files import DataSet
from .data.fuzz import JUDGED_BY, Case, cases
from .rehearse import Performance, Script

MOST_NAMED = 3  # values that are guilty together and are named
MAX_SUSPECTED = 8  # values that are tried alone, before halves of all are
MAX_NAMED = 300  # characters of their names

Key = tuple[str, str | None, int | None, int | None]  # rule, and the place: the words differ with the values
Judge = Callable[[Rendering, Performance, Checker], Awaitable[TargetReport]]
Perform = Callable[[DataSet], Performance]


class Fuzzing:
    """Tries changed values on one template, with what its first data set showed as the measure of what is new."""

    def __init__(self, script: Script, given: DataSet, base: TargetReport, perform: Perform, judge: Judge) -> None:
        """`perform` renders with data, `judge` checks what came of it."""
        self._script, self._given = script, given
        self._known = {_key(result, problem) for result in base.results for problem in result.problems}
        self._lines = {_line(problem) for result in base.results if result.rule == FORETOLD for problem in result.problems}
        self._perform, self._judge = perform, judge
        self._own_words = frozenset[str]()
        self._read: defaultdict[tuple[str | None, int | None], dict[str, None]] = defaultdict(dict)  # what each line reads
        for variable in script.variables:
            self._read[variable.at.file, variable.at.line][variable.name] = None

    async def reports(self, done: Performance, checkers: Callable[[Collection[str]], Checker]) -> AsyncIterator[TargetReport]:
        """A report for each kind of values that shows something new, with nothing else in it.

        `checkers` gives the checker with some rules alone.
        """
        text = done.text
        self._own_words = frozenset(word for word in missing_words() if word in text)
        settings = self._script.settings
        passed: dict[str, Result] = {}
        open_: set[str] = set()  # rules that did not pass with some values, told or not
        report: TargetReport | None = None
        for case in cases(self._given.name, self._given.data, self._script.variables, settings.fuzz, settings.required):
            made = self._performed(case)
            report = await self._judged(case, made, checkers(JUDGED_BY[case.kind]))
            passed |= {one.rule: one for one in report.results if one.outcome is Outcome.PASS}
            open_.update(one.rule for one in report.results if one.outcome in {Outcome.FAIL, Outcome.UNKNOWN})
            if shown := self._shown(report):
                fewer = checkers({key[0] for key in shown})
                for names, keys in (await self._whose(case, shown, fewer)).items():
                    told = await self._judged(case, made, fewer, names) if names else report
                    data = f"{case.name}: {in_one_line(listed(names, MOST_NAMED), MAX_NAMED)}" if names else case.name
                    yield self._only(told, keys, data, case)
        if report is not None:  # what only such values can show has been tried
            yield msgspec.structs.replace(report, results=tuple(one for one in passed.values() if one.rule not in open_))

    def _performed(self, case: Case) -> Performance:
        return self._perform(replace(self._given, name=case.name, data=case.data))

    async def _judged(self, case: Case, done: Performance, checker: Checker, guilty: tuple[str, ...] = ()) -> TargetReport:
        rendering = Rendering(
            case.name, case.kind, self._given.made_up, done.faults, done.headers, guilty=guilty, own_words=self._own_words
        )
        return await self._judge(rendering, done, checker)

    def _shown(self, report: TargetReport) -> frozenset[Key]:
        return frozenset(
            key
            for result in report.results
            if result.outcome is Outcome.FAIL
            for problem in result.problems
            if (key := _key(result, problem)) not in self._known and not self._foretold(result, problem)
        )

    def _foretold(self, result: Result, problem: Problem) -> bool:
        """Whether the source showed already that a value is missing here."""
        return result.rule in FORETELLS and _line(problem) in self._lines

    async def _whose(self, case: Case, shown: frozenset[Key], checker: Checker) -> Mapping[tuple[str, ...], frozenset[Key]]:
        """What is shown, by whose values it is; () where that could not be found out. `checker` need not know other rules."""
        guilty: dict[Key, tuple[str, ...]] = {}
        for name, keys in self._suspected(case, shown).items():
            alone = case.only((name,))
            seen = self._shown(await self._judged(alone, self._performed(alone), checker))
            guilty |= dict.fromkeys(keys & seen, (name,))
        if left := shown - guilty.keys():
            search = case.narrow(left)
            try:
                asked = next(search)
                while True:
                    asked = search.send(self._shown(await self._judged(asked, self._performed(asked), checker)))
            except StopIteration as end:
                guilty |= end.value
        by_names: defaultdict[tuple[str, ...], set[Key]] = defaultdict(set)
        for key in shown:
            by_names[guilty.get(key, ())].add(key)
        return {names: frozenset(keys) for names, keys in sorted(by_names.items())}

    def _suspected(self, case: Case, shown: frozenset[Key]) -> Mapping[str, set[Key]]:
        """By the value that is read where something shows, what it may be guilty of: each is to be tried alone."""
        found: defaultdict[str, set[Key]] = defaultdict(set)
        for key in sorted(shown, key=str):
            _, file, line, _ = key
            names = [name for name in self._read.get((file, line), ()) if name in case.changed]
            if len(names) == 1 and (names[0] in found or len(found) < MAX_SUSPECTED):
                found[names[0]].add(key)
        return found

    def _only(self, report: TargetReport, keys: frozenset[Key], data: str, case: Case) -> TargetReport:
        results = []
        for result in report.results:
            once: dict[Key, Problem] = {}
            for problem in result.problems:
                if (key := _key(result, problem)) in keys:
                    once.setdefault(key, _with(problem, data, case.kind))
            if once:
                level = result.level if result.rule in _CERTAIN else min(result.level, Level.WARNING, key=_rank)
                results.append(msgspec.structs.replace(result, level=level, problems=tuple(once.values())))
                self._known.update(once)
        return msgspec.structs.replace(report, results=tuple(results))


# A fault whatever the program makes sure of. Of the others nobody here knows whether such values ever come.
_CERTAIN = frozenset({"template/does-not-render", "template/value-breaks-markup"})


# A greeting without a default says before anything is rendered what "Hi ," and "Hi None" show.
FORETOLD = "template/merge-field-without-default"
FORETELLS = frozenset({"template/empty-greeting", "template/unrendered-code", "template/missing-value-shows"})


def _line(problem: Problem) -> tuple[str | None, int | None]:
    where = problem.where or Where()
    return where.file, where.line


def _rank(level: Level) -> int:
    return level.rank


def _with(problem: Problem, data: str, kind: DataKind) -> Problem:
    """The problem with the data that shows it, where its own words do not say it."""
    return problem if f"with {kind.words}" in problem.message else msgspec.structs.replace(problem, data=data)


def _key(result: Result, problem: Problem) -> Key:
    where = problem.where or Where()
    return result.rule, where.file, where.line, where.column


def judged_by(checker: Checker) -> Callable[[Collection[str]], Checker]:
    """Gives the checker with some rules alone, made once."""
    made: dict[frozenset[str], Checker] = {}

    def of(rules: Collection[str]) -> Checker:
        names = frozenset(rules)
        if names not in made:
            made[names] = checker.only(names)
        return made[names]

    return of
