"""Several renderings of one template become one report."""

from delivcheck.model import Counts, DeclaredClass, Level, Outcome, Problem, Result, TargetKind, TargetReport, Verdict, Where
from delivcheck.templates.examine import merge


def report(*results):
    return TargetReport("a.html", TargetKind.TEMPLATE, Verdict.PASS, DeclaredClass(), Counts(), tuple(results), {}, {})


def problem(words, line=1, column=1, *, approximate=False, level=Level.WARNING):
    return Problem(words, Where(file="a.html", line=line, column=column, approximate=approximate), level)


def failed(*problems, level=Level.WARNING, rule="x/y"):
    return Result(rule, Outcome.FAIL, level, problems=problems)


def other(outcome, rule="x/y"):
    return Result(rule, outcome, Level.NOTE)


def told(*reports):
    """Outcome, level, and each problem's words with its data."""
    (result,) = merge(reports).results
    return result.outcome, result.level, [(one.message, one.data) for one in result.problems]


def test_a_problem_names_the_data_that_shows_it_if_the_first_does_not():
    first, second = report(failed(problem("a"))), report(failed(problem("a"), problem("b", 2)))
    assert told((None, first), ("two.json", second)) == (Outcome.FAIL, Level.WARNING, [("a", None), ("b", "two.json")])


def test_the_same_place_is_told_once_whatever_the_words():
    assert told((None, report(failed(problem("a 7")))), ("two", report(failed(problem("a 8")))))[2] == [("a 7", None)]


def test_places_that_are_only_near_hold_several():
    first, second = (report(failed(problem(words, approximate=True))) for words in ("a 7", "a 8"))
    assert told((None, first), ("two", second))[2] == [("a 7", None), ("a 8", "two")]


def test_two_problems_of_one_place_are_two():
    assert told((None, report(failed(problem("a"), problem("b")))))[2] == [("a", None), ("b", None)]
    assert told((None, report(other(Outcome.PASS))), ("two", report(failed(problem("a"), problem("b")))))[2] == [
        ("a", "two"),
        ("b", "two"),
    ]


def test_the_same_problem_in_the_same_place_is_one():
    assert told((None, report(failed(problem("a"), problem("a")))))[2] == [("a", None)]


def test_the_worst_outcome_and_level_are_kept():
    fails = report(failed(problem("a", level=Level.ERROR), level=Level.ERROR))
    for outcome in (Outcome.PASS, Outcome.UNKNOWN, Outcome.NOT_APPLICABLE):
        for order in ([fails, report(other(outcome))], [report(other(outcome)), fails]):
            outcome_told, level, problems = told((None, order[0]), ("two", order[1]))
            assert (outcome_told, level, len(problems)) == (Outcome.FAIL, Level.ERROR, 1)
    mild = report(failed(problem("b", 2, level=Level.NOTE), level=Level.NOTE))
    assert told((None, mild), ("two", fails))[1] is Level.ERROR
    assert told((None, report(other(Outcome.NOT_APPLICABLE))), ("two", report(other(Outcome.PASS))))[0] is Outcome.PASS
    assert told((None, report(other(Outcome.PASS))), ("two", report(other(Outcome.UNKNOWN))))[0] is Outcome.UNKNOWN


def test_rules_that_only_a_later_one_has_are_there():
    merged = merge([(None, report(other(Outcome.PASS))), ("two", report(failed(problem("a"), rule="x/z")))])
    assert [one.rule for one in merged.results] == ["x/y", "x/z"]
