"""The engine plans only what is read, gathers each fact once, and never turns an absence into a pass."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import pytest

from delivcheck.engine import (
    MAX_COUNTED,
    MAX_PROBLEMS,
    Check,
    EngineError,
    Facts,
    Planner,
    Roots,
    fact,
    gather,
    proceed,
    rule,
    run,
    side_by_side,
)
from delivcheck.model import Level, NotApplicable, Outcome, Problem, Unavailable, Undetermined, Where


@dataclass(frozen=True)
class Given:
    value: int


@dataclass(frozen=True)
class Other:
    value: int


@dataclass(frozen=True)
class Doubled:
    value: int


@dataclass(frozen=True)
class Sum:
    value: int


@dataclass(frozen=True)
class Told:
    text: str


@fact
def doubled(given: Given) -> Doubled:
    return Doubled(given.value * 2)


@fact
def doubled_of_other(other: Other) -> Doubled:
    return Doubled(other.value * 20)


@fact
async def total(given: Given, doubled: Doubled) -> Sum:
    await asyncio.sleep(0)
    return Sum(given.value + doubled.value)


def facts_of(providers, wanted, *given, why_absent=None):
    roots = Roots(*given, why_absent=why_absent)
    return asyncio.run(gather(Planner(providers).plan(wanted, roots), roots))


def check(function):
    return rule("test/rule")(function)


def test_facts_are_made_from_roots_through_other_facts():
    assert facts_of([doubled, total], [Sum], Given(3))[Sum] == Sum(9)


def test_only_what_is_asked_for_is_planned():
    assert Planner([doubled, total]).plan([Doubled], Roots(Given(1))).steps == (doubled,)


def test_inputs_of_a_provider_that_was_given_up_are_not_planned():
    @fact
    def told_of_both(doubled: Doubled, other: Other) -> Told:
        return Told(f"{doubled} {other}")

    @fact
    def told(given: Given) -> Told:
        return Told(str(given.value))

    assert Planner([doubled, told_of_both, told]).plan([Told], Roots(Given(1))).steps == (told,)


@pytest.mark.parametrize(("given", "expected"), [(Given(1), 2), (Other(1), 20)])
def test_the_provider_that_the_roots_reach_is_taken(given, expected):
    assert facts_of([doubled, doubled_of_other], [Doubled], given)[Doubled] == Doubled(expected)


def test_the_first_reachable_provider_wins():
    assert facts_of([doubled_of_other, doubled], [Doubled], Given(1), Other(1))[Doubled] == Doubled(20)


def test_a_root_that_was_given_beats_every_provider():
    assert facts_of([doubled], [Doubled], Given(1), Doubled(7))[Doubled] == Doubled(7)


def test_a_root_can_stand_for_its_protocol():
    assert Roots((Given, Other(1)))[Given] == Other(1)
    assert len(Roots(Given(1), Other(2))) == 2


def test_what_no_root_reaches_is_not_applicable_with_the_reason_in_the_users_words():
    value = facts_of([doubled, total], [Sum], why_absent={Given: "no --given"})[Sum]

    assert isinstance(value, NotApplicable)
    assert value.reason == "no --given"


def test_what_nobody_makes_is_named():
    assert facts_of([], [Sum])[Sum].reason == "no Sum was given"


def test_an_unavailable_fact_flows_to_what_is_made_of_it():
    @fact
    def broken(given: Given) -> Doubled:
        raise Unavailable(f"no answer for {given.value}")

    value = facts_of([broken, total], [Sum], Given(1))[Sum]

    assert isinstance(value, Unavailable)
    assert value.reason == "no answer for 1"


def test_a_provider_that_opts_in_sees_the_absence():
    @fact
    def told(doubled: Doubled | Unavailable | NotApplicable) -> Told:
        return Told(type(doubled).__name__)

    @fact
    def broken(given: Given) -> Doubled:
        raise Unavailable("gone")

    assert facts_of([broken, told], [Told], Given(1))[Told] == Told("Unavailable")
    assert facts_of([doubled, told], [Told])[Told] == Told("NotApplicable")
    assert facts_of([doubled, told], [Told], Given(1))[Told] == Told("Doubled")


def test_seeing_one_kind_of_absence_is_not_seeing_the_other():
    @fact
    def told(doubled: Doubled | NotApplicable) -> Told:
        return Told(type(doubled).__name__)

    @fact
    def broken(given: Given) -> Doubled:
        raise Unavailable("gone")

    assert isinstance(facts_of([broken, told], [Told], Given(1))[Told], Unavailable)


def test_a_provider_that_fails_makes_its_fact_unavailable_and_says_it_is_a_bug(caplog):
    @fact
    async def broken(given: Given) -> Doubled:
        raise ZeroDivisionError(given)

    facts = facts_of([broken], [Doubled], Given(1))

    assert facts[Doubled].bug
    assert "ZeroDivisionError" in facts[Doubled].reason
    assert "Doubled" in caplog.text
    judged = run(check(reads_doubled), facts)
    assert (judged.outcome, judged.bug) == (Outcome.UNKNOWN, True)


def reads_doubled(doubled: Doubled) -> Iterator[Problem]:
    if doubled.value > 10:
        yield Problem(f"{doubled.value} is too much")


def test_facts_that_wait_are_gathered_side_by_side():
    order = []

    @fact
    async def slow(given: Given) -> Doubled:
        order.append("doubled starts")
        await asyncio.sleep(0.01)
        order.append("doubled ends")
        return Doubled(given.value)

    @fact
    async def slow_too(given: Given) -> Told:
        order.append("told starts")
        await asyncio.sleep(0.01)
        order.append("told ends")
        return Told(str(given.value))

    facts_of([slow, slow_too], [Doubled, Told], Given(1))

    assert {*order[:2]} == {"doubled starts", "told starts"}


def test_a_fact_that_two_readers_need_is_made_once():
    made = []

    @fact
    def counted(given: Given) -> Doubled:
        made.append(given)
        return Doubled(1)

    @fact
    def told(doubled: Doubled) -> Told:
        return Told(str(doubled.value))

    facts_of([counted, total, told], [Sum, Told], Given(1))

    assert len(made) == 1


def test_providers_have_ended_when_gathering_is_cancelled():
    ended = []

    @fact
    async def endless(given: Given) -> Doubled:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(given)
        return Doubled(0)

    async def main():
        roots = Roots(Given(1))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await gather(Planner([endless]).plan([Doubled], roots), roots)
        return list(ended)

    assert asyncio.run(main()) == [Given(1)]


@pytest.mark.parametrize("waiting", [True, False])
def test_gathering_goes_on_from_facts_that_are_there(waiting, caplog):
    order = []

    @fact
    async def other(given: Given) -> Other:
        order.append("other")
        await asyncio.sleep(0)
        return Other(given.value + 1)

    async def later(value):
        return Told(str(value))

    @fact
    def told(doubled: Doubled):  # waits, though it is no coroutine function
        order.append("told")
        return later(doubled.value)

    told.function.__annotations__["return"] = Told

    @fact
    def sum_of(doubled: Doubled, other: Other) -> Sum:
        raise ZeroDivisionError

    @fact
    def tasks(doubled: Doubled) -> Tasks:
        raise ZeroDivisionError

    roots = Roots(Given(3), Doubled(4))
    facts = Facts(roots)
    plan = Planner([other, told, sum_of, tasks]).plan([Sum, Told, Tasks], roots)
    asyncio.run(proceed(plan, facts, waiting=waiting))
    assert facts[Told] == Told("4")
    assert facts[Other] == Other(4)
    assert facts[Sum].bug
    assert facts[Tasks].bug
    assert order == (["other", "told"] if waiting else ["told", "other"])
    assert len(caplog.records) == 2


def test_where_nothing_waits_there_is_nothing_left():
    roots = Roots(Given(3))
    facts = Facts(roots)
    asyncio.run(proceed(Planner([doubled]).plan([Doubled], roots), facts, waiting=False))
    assert facts[Doubled] == Doubled(6)


@dataclass(frozen=True)
class Tasks:
    names: tuple[str, ...]


def test_providers_that_need_not_wait_take_no_tasks_of_their_own():
    @fact
    async def at_once(given: Given) -> Doubled:
        return Doubled(given.value)

    @fact
    async def at_once_too(given: Given) -> Told:
        return Told(str(given.value))

    @fact
    async def tasks(doubled: Doubled, told: Told) -> Tasks:
        return Tasks(tuple(task.get_name() for task in asyncio.all_tasks()))

    async def main():
        asyncio.current_task().set_name("caller")
        roots = Roots(Given(1))
        return await gather(Planner([at_once, at_once_too, tasks]).plan([Tasks], roots), roots)

    assert asyncio.run(main())[Tasks] == Tasks(("caller",))


def test_what_becomes_ready_while_one_provider_waits_does_not_wait_for_it():
    order = []

    @fact
    async def slow(given: Given) -> Told:
        await asyncio.sleep(0.05)
        order.append("told")
        return Told("slow")

    @fact
    async def quick(given: Given) -> Doubled:
        await asyncio.sleep(0)
        return Doubled(given.value)

    @fact
    async def total(doubled: Doubled) -> Sum:
        order.append("sum")
        return Sum(doubled.value)

    facts = facts_of([slow, quick, total], [Told, Sum], Given(3))

    assert (facts[Sum], facts[Told], order) == (Sum(3), Told("slow"), ["sum", "told"])


def test_all_providers_have_ended_when_gathering_is_cancelled():
    ended = []

    @fact
    async def endless(given: Given) -> Doubled:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("doubled")
        return Doubled(0)

    @fact
    async def endless_too(given: Given) -> Told:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("told")
        return Told("")

    async def main():
        roots = Roots(Given(1))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await gather(Planner([endless, endless_too]).plan([Doubled, Told], roots), roots)
        return sorted(ended), len(asyncio.all_tasks())

    assert asyncio.run(main()) == (["doubled", "told"], 1)


def test_a_time_limit_inside_one_provider_ends_that_one_alone():
    """Both run in the caller's task, one after the other begins; the limit is that of the first."""

    @fact
    async def hurried(given: Given) -> Doubled:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(60)
        except TimeoutError:
            raise Unavailable("too slow") from None
        return Doubled(0)

    @fact
    async def patient(given: Given) -> Told:
        await asyncio.sleep(0.05)
        return Told("done")

    facts = facts_of([hurried, patient], [Doubled, Told], Given(1))

    assert (facts[Doubled].reason, facts[Told]) == ("too slow", Told("done"))


# --- side by side --------------------------------------------------------------------------------------------------


async def after(seconds, value, ended=None):
    try:
        if seconds:
            await asyncio.sleep(seconds)
    finally:
        if ended is not None:
            ended.append(value)
    if isinstance(value, Exception):
        raise value
    return value


@pytest.mark.parametrize("waits", [(), (0,), (0, 0, 0), (0.01, 0, 0), (0, 0.03, 0.01), (0.02, 0.01, 0.03)])
def test_results_come_in_the_order_asked_for_whoever_waits(waits):
    async def main():
        begun = asyncio.get_running_loop().time()
        found = await side_by_side(*(after(seconds, number) for number, seconds in enumerate(waits)))
        return found, asyncio.get_running_loop().time() - begun, len(asyncio.all_tasks())

    found, took, tasks = asyncio.run(main())

    assert (found, tasks) == (tuple(range(len(waits))), 1)
    assert took < sum(waits) + 1


def test_those_that_wait_do_so_at_the_same_time():
    order = []

    async def one(name):
        order.append(f"{name} begins")
        await asyncio.sleep(0.01)
        order.append(f"{name} ends")

    asyncio.run(waited(one("a"), one("b")))

    assert order[:2] == ["a begins", "b begins"]


async def waited(*each):
    return await side_by_side(*each)


@pytest.mark.parametrize(
    ("waits", "ended"),
    [((0, 0), []), ((0.01, 60), ["other"])],  # what has not begun need not end
    ids=["before the others begin", "while the others wait"],
)
def test_a_failure_ends_the_others(waits, ended):
    told = []

    async def main():
        with pytest.raises(ValueError, match="no"):
            await side_by_side(after(waits[0], ValueError("no")), after(waits[1], "other", told))
        return len(asyncio.all_tasks())

    assert asyncio.run(main()) == 1
    assert told == ended


# --- plans and declarations ----------------------------------------------------------------------------------------


def test_facts_made_of_each_other_are_told():
    @fact
    def first(told: Told) -> Doubled:
        return Doubled(len(told.text))

    @fact
    def second(doubled: Doubled) -> Told:
        return Told(str(doubled.value))

    with pytest.raises(EngineError, match="Doubled → Told → Doubled"):
        Planner([first, second]).plan([Doubled], Roots())


def test_a_parameter_without_a_type_or_with_two_facts_is_refused():
    def untyped(given) -> Doubled:
        return Doubled(given)

    def two(either: Given | Other) -> Doubled:
        return Doubled(either.value)

    def nothing(given: Given):
        return given

    with pytest.raises(EngineError, match="parameter given has no type"):
        _ = fact(untyped).needs
    with pytest.raises(EngineError, match="must name one fact"):
        _ = fact(two).needs
    with pytest.raises(EngineError, match="return type"):
        _ = fact(nothing).makes


def test_providers_and_checks_say_who_they_are():
    assert repr(doubled).endswith("test_engine.doubled>")
    assert repr(check(reads_doubled)) == "<check test/rule>"


# --- run -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "outcome", "reason"),
    [
        (Doubled(1), Outcome.PASS, None),
        (Doubled(11), Outcome.FAIL, None),
        (Unavailable("timeout"), Outcome.UNKNOWN, "timeout"),
        (NotApplicable("no envelope"), Outcome.NOT_APPLICABLE, "no envelope"),
    ],
)
def test_the_four_outcomes(value, outcome, reason):
    judged = run(check(reads_doubled), {Doubled: value})

    assert (judged.outcome, judged.reason) == (outcome, reason)


def test_a_problem_beats_something_undetermined_in_the_same_rule():
    def both(given: Given) -> Iterator[Problem | Undetermined]:
        yield Undetermined(f"key {given.value} timed out")
        yield Problem("key 2 is revoked")

    judged = run(check(both), {Given: Given(1)})

    assert judged.outcome is Outcome.FAIL
    assert judged.reason == "key 1 timed out"


def test_only_undetermined_is_unknown_and_says_each_reason_once():
    def unsure(given: Given) -> Iterator[Undetermined]:
        yield from [Undetermined("timeout"), Undetermined("timeout"), Undetermined(f"{given.value}")]

    judged = run(check(unsure), {Given: Given(1)})

    assert (judged.outcome, judged.reason) == (Outcome.UNKNOWN, "timeout; 1")
    assert judged.where is None


def test_what_is_unknown_shows_its_first_place():
    here, there = Where(line=3), Where(line=9)

    def unsure(given: Given) -> Iterator[Problem | Undetermined]:
        yield Undetermined(f"no place {given.value}")
        yield Undetermined("a part was not read")
        yield Undetermined("a part was not read", here)
        yield Undetermined("a part was not read", there)

    def failing(given: Given) -> Iterator[Problem | Undetermined]:
        yield Problem(f"found {given.value}")
        raise Unavailable("the rest was not read", there)

    given = {Given: Given(1)}
    assert run(check(unsure), given).where == here
    assert run(check(failing), given).where == there
    assert run(check(reads_doubled), {Doubled: Unavailable("timeout", here)}).where == here


def test_of_a_flood_of_reasons_the_first_are_told_and_the_rest_counted():
    def unsure(given: Given) -> Iterator[Undetermined]:
        yield from (Undetermined(f"part {number + given.value}") for number in range(100_000))

    judged = run(check(unsure), {Given: Given(1)})

    assert judged.reason is not None
    assert judged.reason.startswith("part 1; part 2; ")
    assert judged.reason.endswith("part 20; and 99980 more")


def test_a_check_that_raises_is_unknown_never_a_pass(caplog):
    def broken(given: Given) -> Iterator[Problem]:
        yield Problem("seen before the fault")
        raise KeyError(given)

    judged = run(check(broken), {Given: Given(1)})

    assert (judged.outcome, judged.bug) == (Outcome.UNKNOWN, True)
    assert "test/rule" in caplog.text


@pytest.mark.parametrize(
    ("before", "error", "outcome"),
    [
        ([], NotApplicable("no body"), Outcome.NOT_APPLICABLE),
        ([Problem("x")], NotApplicable("no more"), Outcome.FAIL),
        ([], Unavailable("timeout"), Outcome.UNKNOWN),
        ([Problem("x")], Unavailable("timeout"), Outcome.FAIL),
    ],
)
def test_a_check_may_raise_what_a_provider_may(before, error, outcome):
    def raises(given: Given) -> Iterator[Problem]:
        yield from before
        raise error

    assert run(check(raises), {Given: Given(1)}).outcome is outcome


def test_a_flood_of_problems_is_cut_and_counted():
    def many(given: Given) -> Iterator[Problem]:
        for number in range(given.value):
            yield Problem(f"line {number}")

    problems = run(check(many), {Given: Given(MAX_PROBLEMS + 7)}).problems

    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1].message == "and 7 more"


def test_a_flood_of_lesser_problems_hides_no_worse_one():
    def many(given: Given) -> Iterator[Problem]:
        for number in range(given.value):
            yield Problem(f"line {number}", level=Level.NOTE)
        yield Problem("of the rule's own level")
        yield Problem("the worst", level=Level.ERROR)

    problems = run(check(many), {Given: Given(MAX_PROBLEMS + 7)}).problems

    assert {"the worst", "of the rule's own level"} <= {problem.message for problem in problems}
    assert len(problems) == MAX_PROBLEMS + 1


def test_the_line_that_counts_the_rest_is_worth_no_more_than_what_it_counts():
    def many(given: Given) -> Iterator[Problem]:
        for number in range(given.value):
            yield Problem(f"line {number}", level=Level.NOTE)

    assert run(check(many), {Given: Given(MAX_PROBLEMS + 7)}).problems[-1].level is Level.NOTE


def test_a_flood_without_end_is_not_looked_at_to_its_end():
    def many(given: Given) -> Iterator[Problem]:
        for number in count(given.value):
            yield Problem(f"line {number}", level=Level.NOTE)

    last = run(check(many), {Given: Given(1)}).problems[-1]

    assert last.message == f"and more than {MAX_COUNTED} more, the rest was not looked at"
    assert last.level is Level.ERROR


def test_keyword_only_parameters_are_options():
    def limited(given: Given, *, max_octets: int = 5) -> Iterator[Problem]:
        if given.value > max_octets:
            yield Problem("too large")

    limit = check(limited)

    assert limit.options == {"max-octets": 5}
    assert [need.fact for need in limit.needs] == [Given]
    assert run(limit, {Given: Given(6)}).outcome is Outcome.FAIL
    assert run(limit, {Given: Given(6)}, {"max-octets": 9}).outcome is Outcome.PASS
    assert isinstance(limit, Check)


def test_nothing_is_absent_in_a_way_of_its_own():
    # The engine tells absences by their exact type.
    assert not Unavailable.__subclasses__()
    assert not NotApplicable.__subclasses__()
