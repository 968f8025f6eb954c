"""One line a problem, for editors, greps and CI logs: `file:line:column: level rule message`."""

from collections.abc import Iterator

from ..model import Outcome, TargetReport, Where
from .paint import Paint, visible
from .words import circumstances, level_of, place


def target(report: TargetReport, paint: Paint | None = None) -> str:
    """The lines of one target; what is undecided has the level `unknown`."""
    return (paint or Paint()).finished(_lines(report))


def _lines(report: TargetReport) -> Iterator[str]:
    for result in report.results:
        if result.outcome is Outcome.FAIL:
            for problem in result.problems:
                at = place(problem.where, report)
                name = visible(report.target)
                if problem.where is not None and problem.where.name is not None:
                    at = f"{name} {at}"  # a DNS name alone does not say whose audit it belongs to
                yield f"{at}: {level_of(problem, result)} {result.rule} {visible(problem.message)}{circumstances(problem)}"
        elif result.outcome is Outcome.UNKNOWN:
            where = result.where if isinstance(result.where, Where) and result.where.line is not None else None
            yield f"{place(where, report)}: unknown {result.rule} {visible(result.reason or '')}".rstrip()
