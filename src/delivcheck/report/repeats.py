"""Templates share files: what was found in one of those is told with the first template, and counted with the others."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from ..model import Outcome, Problem, Result, TargetKind, TargetReport


@dataclass
class Repeats:
    """Remembers what a run has told so far of files that several targets have, and which rules' fixes."""

    _told: set[tuple[str, Problem]] = field(default_factory=set)
    _rules: set[str] = field(default_factory=set)

    def without(self, target: TargetReport) -> tuple[TargetReport, Counter[str]]:
        """The target without problems that were told of another one, and how many of them each file has."""
        left = Counter[str]()
        if target.kind is not TargetKind.TEMPLATE:
            return target, left
        results = tuple(self._fresh(target, left))
        return (msgspec.structs.replace(target, results=results) if left else target), left

    def _fresh(self, target: TargetReport, left: Counter[str]) -> Iterator[Result]:
        for result in target.results:
            if result.outcome is not Outcome.FAIL:
                yield result
                continue
            kept = []
            for problem in result.problems:
                file = problem.where.file if problem.where is not None else None
                key = (result.rule, msgspec.structs.replace(problem, data=None))
                if file is None or file == target.target or key not in self._told:
                    kept.append(problem)
                else:
                    left[file] += 1
                self._told.add(key)
            if kept:
                yield result if len(kept) == len(result.problems) else msgspec.structs.replace(result, problems=tuple(kept))

    def is_new(self, rule: str) -> bool:
        """Whether a rule's fix is to be told: with the first target that needs it."""
        new = rule not in self._rules
        self._rules.add(rule)
        return new
