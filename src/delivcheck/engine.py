"""Plan, gather, run: from the roots we were given to one outcome for each check.

Providers say by their parameter types what they need and by their return type what they make; checks say what they need.
The planner walks from the checks that were selected to the roots, so that only what somebody will read is gathered.
Nothing registers itself: `@fact` and `@rule` return values that the catalog collects.

Longer than other modules, since gathering and running read the same signatures, which nobody else should.
"""

import asyncio
import inspect
import logging
import types
import typing
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from operator import itemgetter
from typing import Any, TypeVar, overload

from msgspec import Struct

from .model import Finding, Level, NotApplicable, Outcome, Problem, Unavailable, Undetermined, Where

log = logging.getLogger("delivcheck")
T = TypeVar("T")
U = TypeVar("U")

MAX_PROBLEMS = (
    50  # per rule and target; a message with 10,000 bare LFs is told fifty times, then counted (Ruff and zizmor have no limit)
)
MAX_REASONS = 20  # why a rule is undecided, in one line: a message of 10,000 parts may have one for each
MAX_COUNTED = 10_000  # findings of one check past those that are kept: counting costs time, and nobody reads the number

Absent = Unavailable | NotApplicable


class EngineError(Exception):
    """The facts and checks themselves are wired wrongly: a programmer's fault, found by a test at import."""


# --- what providers and checks declare ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Need:
    """One parameter: the fact's type, and which of the two ways of being absent the function wants to see for itself."""

    name: str
    fact: type
    sees: frozenset[type] = frozenset()


_ABSENT = frozenset({Unavailable, NotApplicable})  # by their exact types, as in `Need.sees`: neither has subclasses


def _needs(function: Callable[..., Any]) -> tuple[Need, ...]:
    """Read a signature; keyword-only parameters are options, not needs."""
    hints = typing.get_type_hints(function)
    needs = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            continue
        try:
            hint = hints[parameter.name]
        except KeyError:
            raise EngineError(f"{function.__qualname__}: parameter {parameter.name} has no type") from None
        members = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        wanted = [member for member in members if member not in _ABSENT]
        if len(wanted) != 1 or not isinstance(wanted[0], type):
            where = f"{function.__qualname__}: parameter {parameter.name}"
            raise EngineError(f"{where} must name one fact, optionally | Unavailable | NotApplicable")
        needs.append(Need(parameter.name, wanted[0], frozenset(member for member in members if member in _ABSENT)))
    return tuple(needs)


def taker(needs: Sequence[Need]) -> Callable[[Mapping[type, Any]], tuple[Any, ...]]:
    """What takes the arguments of a function from the facts: all rules of a message do so."""
    keys = [need.fact for need in needs]
    if len(keys) == 1:
        key = keys[0]
        return lambda facts: (facts[key],)
    return itemgetter(*keys) if keys else lambda _: ()


def _withheld(needs: Sequence[Need], arguments: Collection[Any]) -> Absent | None:
    """The first absence that a function does not want to see for itself; None where it can be called."""
    if _ABSENT.isdisjoint(map(type, arguments)):  # nearly always
        return None
    for need, value in zip(needs, arguments, strict=True):
        if type(value) in _ABSENT and type(value) not in need.sees:
            return value  # type: ignore[no-any-return]  # one of the two, as the line above says
    return None


@dataclass(frozen=True, eq=False)
class Provider:
    """A function that makes one fact. It may be a coroutine function; one that waits for nothing should not be.

    `steady`: see `fact`.
    """

    function: Callable[..., Any]
    steady: bool = False

    @cached_property
    def needs(self) -> tuple[Need, ...]:
        """What it is made from."""
        return _needs(self.function)

    @cached_property
    def take(self) -> Callable[[Mapping[type, Any]], tuple[Any, ...]]:
        """Takes its arguments from the facts."""
        return taker(self.needs)

    @cached_property
    def makes(self) -> type:
        """The fact's type, its return annotation."""
        made = typing.get_type_hints(self.function).get("return")
        if not isinstance(made, type):
            raise EngineError(f"{self.function.__qualname__}: a provider's return type is the fact it makes")
        return made

    @cached_property
    def may_wait(self) -> bool:
        """Whether it is a coroutine function."""
        return inspect.iscoroutinefunction(self.function)

    def __repr__(self) -> str:
        return f"<provider {self.function.__module__}.{self.function.__qualname__}>"


@overload
def fact(function: Callable[..., Any], /) -> Provider: ...


@overload
def fact(*, steady: bool) -> Callable[[Callable[..., Any]], Provider]: ...


def fact(function: Callable[..., Any] | None = None, /, *, steady: bool = False) -> Any:
    """Declare a provider. Several may make the same fact from different roots: the first that the roots reach is taken.

    A steady one promises that equal needs and equal answers to the questions it asks of `Dns` make an equal fact, whenever that
    is: no clock, no chance, no file, no other root that acts. What else it needs is steady, too, or small and hashable. Its
    fact may then serve the next message (see `recall`). One that does not say so is called for every target.
    """
    return (lambda it: Provider(it, steady)) if function is None else Provider(function, steady)


@dataclass(frozen=True, eq=False)
class Check:
    """The function behind a rule's page."""

    id: str
    function: Callable[..., Iterator[Finding]]

    @cached_property
    def needs(self) -> tuple[Need, ...]:
        """The facts it reads."""
        return _needs(self.function)

    @cached_property
    def take(self) -> Callable[[Mapping[type, Any]], tuple[Any, ...]]:
        """Takes its arguments from the facts."""
        return taker(self.needs)

    @cached_property
    def passed(self) -> "Judged":
        """How nearly all of its runs end."""
        return Judged(self.id, Outcome.PASS)

    @cached_property
    def options(self) -> dict[str, Any]:
        """Its options and their defaults: the keyword-only parameters, with hyphens as a policy writes them."""
        return {
            parameter.name.replace("_", "-"): parameter.default
            for parameter in inspect.signature(self.function).parameters.values()
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY
        }

    def __repr__(self) -> str:
        return f"<check {self.id}>"


def rule(id: str) -> Callable[[Callable[..., Iterator[Finding]]], Check]:  # noqa: A002 -- the word the pages use
    """Bind a check to its page by id."""

    def bind(function: Callable[..., Iterator[Finding]]) -> Check:
        return Check(id, function)

    return bind


# --- roots -------------------------------------------------------------------------------------------------------


class Roots(Mapping[type, Any]):
    """What we were given, by type. A root that was not given is absent; `why_absent` says so in the user's words."""

    def __init__(self, *values: object, why_absent: Mapping[type, str] | None = None) -> None:
        """Take the values; each stands for its own type, or for the type of a (type, value) pair."""
        self._values: dict[type, Any] = {}
        for value in values:
            if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], type):
                self._values[value[0]] = value[1]
            else:
                self._values[type(value)] = value
        self.why_absent = dict(why_absent or {})

    def __getitem__(self, key: type) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[type]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


# --- plan --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """Which providers to run, inputs first, and why each fact that was asked for cannot be had at all."""

    steps: tuple[Provider, ...]
    unreachable: Mapping[type, NotApplicable] = field(default_factory=dict)

    @cached_property
    def waits_for(self) -> Mapping[Provider, int]:
        """How many of the facts that the plan makes each provider needs."""
        made = {provider.makes for provider in self.steps}
        return {provider: len(made.intersection(need.fact for need in provider.needs)) for provider in self.steps}

    @cached_property
    def readers(self) -> Mapping[type, Sequence[Provider]]:
        """Of each fact that the plan makes: who needs it, in the order of the plan."""
        readers: dict[type, list[Provider]] = {provider.makes: [] for provider in self.steps}
        for provider in self.steps:
            for key in dict.fromkeys(need.fact for need in provider.needs):
                if key in readers:
                    readers[key].append(provider)
        return readers

    @cached_property
    def halves(self) -> "tuple[tuple[Provider, ...], Plan]":
        """The steps that wait for nothing, nor for one that may wait, and a plan of the others."""
        later: set[type] = set()
        for provider in self.steps:
            if provider.may_wait or not later.isdisjoint(need.fact for need in provider.needs):
                later.add(provider.makes)
        at_once = tuple(provider for provider in self.steps if provider.makes not in later)
        return at_once, Plan(tuple(provider for provider in self.steps if provider.makes in later))


class Planner:
    """Knows all providers; answers which of them a set of needs takes. Immutable once made."""

    def __init__(self, providers: Iterable[Provider]) -> None:
        """Index the providers by what they make, in the order given."""
        self._by_type: dict[type, list[Provider]] = {}
        for provider in providers:
            self._by_type.setdefault(provider.makes, []).append(provider)

    @property
    def facts(self) -> Mapping[type, Sequence[Provider]]:
        """All facts and who can make them."""
        return self._by_type

    def plan(self, wanted: Iterable[type], roots: Roots) -> Plan:
        """Choose a provider for everything the wanted facts are made of.

        A provider is chosen when all facts it needs can be had, or when it wants to see that they are not applicable.
        """
        chosen: dict[type, Provider] = {}
        unreachable: dict[type, NotApplicable] = {}
        order: list[Provider] = []
        path: list[type] = []

        def reach(key: type) -> bool:
            if key in roots or key in chosen:
                return True
            if key in unreachable:
                return False
            if key in path:
                cycle = " → ".join(each.__name__ for each in [*path[path.index(key) :], key])
                raise EngineError(f"facts made of each other: {cycle}")
            path.append(key)
            why: NotApplicable | None = None
            for provider in self._by_type.get(key, ()):
                missing = [n for n in provider.needs if not reach(n.fact) and NotApplicable not in n.sees]
                if not missing:
                    path.pop()
                    chosen[key] = provider
                    order.append(provider)
                    return True
                why = why or unreachable[missing[0].fact]
            path.pop()
            unreachable[key] = why or NotApplicable(roots.why_absent.get(key, f"no {key.__name__} was given"))
            return False

        wanted = tuple(wanted)
        for key in wanted:
            reach(key)
        # A provider that was tried and given up may have left inputs behind that nobody will read.
        read: set[type] = set()
        unread = list(wanted)
        while unread:
            key = unread.pop()
            if key not in read:
                read.add(key)
                unread += [need.fact for need in chosen[key].needs] if key in chosen else []
        return Plan(tuple(provider for provider in order if provider.makes in read), unreachable)


# --- gather ------------------------------------------------------------------------------------------------------


class Facts(dict[type, Any]):
    """The gathered values by type: a fact, or the `Unavailable` or `NotApplicable` that stands in its place."""


def _call(provider: Provider, facts: Facts) -> Any:
    """Call a provider with its inputs, or hand the first absence it does not want to see to its own fact."""
    arguments = provider.take(facts)
    withheld = _withheld(provider.needs, arguments)
    return provider.function(*arguments) if withheld is None else withheld


def _settled(provider: Provider, error: Exception | SystemExit) -> Absent:
    """The value a provider's exception leaves behind. SystemExit too: out of a task it would end the whole event loop."""
    if isinstance(error, (Unavailable, NotApplicable)):
        return error.with_traceback(None)
    log.error("the provider of %s failed", provider.makes.__name__, exc_info=error)
    return Unavailable(f"delivcheck could not make {provider.makes.__name__}: {type(error).__name__}: {error}", bug=True)


async def gather(plan: Plan, roots: Roots) -> Facts:
    """Run the plan. Providers that wait run side by side; each starts when the last of its inputs is there."""
    facts = Facts(roots)
    facts.update(plan.unreachable)
    await _Gathering(plan, facts).run()
    return facts


async def proceed(plan: Plan, facts: Facts, *, waiting: bool) -> None:
    """Run a plan that goes on from facts which are there, and put what it makes beside them.

    Where no `waiting` is expected, what cannot wait is made first, one after the other: questions leave later, and nothing
    needs to be kept in order meanwhile.
    """
    if not waiting:
        at_once, plan = plan.halves
        for provider in at_once:
            try:
                value = _call(provider, facts)
                if hasattr(type(value), "__await__"):  # of a function that only returns a coroutine
                    value = await value
            except (Exception, SystemExit) as error:  # noqa: BLE001 -- as in `_Gathering`
                value = _settled(provider, error)
            facts[provider.makes] = value
    if plan.steps:
        await _Gathering(plan, facts).run()


class _Gathering:
    """One run of a plan, by workers that share what is ready.

    Most answers of DNS come from a cache, so most providers that may wait do not. A task for each would cost more than what it
    does: the first worker is the caller's own task, and others are made only when one has to wait while something is ready.
    """

    def __init__(self, plan: Plan, facts: Facts) -> None:
        self.facts = facts
        self._missing = dict(plan.waits_for)
        self._readers = plan.readers
        self._ready = deque(provider for provider, missing in self._missing.items() if not missing)
        self._workers: set[asyncio.Task[None]] = set()
        self._relief: asyncio.Handle | None = None

    async def run(self) -> None:
        """Work until all is made."""
        try:
            await self._work()
            while self._workers:
                done, _ = await asyncio.wait(self._workers, return_when=asyncio.FIRST_COMPLETED)
                for worker in done:
                    self._workers.remove(worker)
                    worker.result()
        finally:
            if self._relief is not None:
                self._relief.cancel()
            for worker in self._workers:
                worker.cancel()
            if self._workers:  # a service has no end of the loop that waits for them
                await asyncio.gather(*self._workers, return_exceptions=True)

    async def _work(self) -> None:
        while self._ready:
            provider = self._ready.popleft()
            try:
                value = _call(provider, self.facts)
                if hasattr(type(value), "__await__"):
                    if self._ready and self._relief is None:
                        self._relief = asyncio.get_running_loop().call_soon(self._relieve)
                    value = await value
            except (Exception, SystemExit) as error:  # noqa: BLE001 -- a provider may fail in any way; its readers must not
                value = _settled(provider, error)
            self._settle(provider, value)

    def _relieve(self) -> None:
        """Called by the event loop, which means that whoever worked has to wait."""
        self._relief = None
        for _ in range(len(self._ready)):
            self._workers.add(asyncio.get_running_loop().create_task(self._work()))

    def _settle(self, provider: Provider, value: Any) -> None:
        self.facts[provider.makes] = value
        for reader in self._readers[provider.makes]:
            self._missing[reader] -= 1
            if not self._missing[reader]:
                self._ready.append(reader)


@overload
async def side_by_side(one: Coroutine[Any, Any, T], other: Coroutine[Any, Any, U], /) -> tuple[T, U]: ...


@overload
async def side_by_side(*each: Coroutine[Any, Any, T]) -> tuple[T, ...]: ...


async def side_by_side(*each: Coroutine[Any, Any, Any]) -> tuple[Any, ...]:
    """What `asyncio.gather` gives, for coroutines most of which need not wait: a task is made only of one behind one that does.

    Raises what the first of them in their order raises; the others are then cancelled.
    """
    left = deque(each)
    tasks: list[asyncio.Task[Any]] = []

    def go_on() -> None:
        """Called by the event loop, which means that the one before has to wait."""
        tasks.extend(asyncio.get_running_loop().create_task(one) for one in left)
        left.clear()

    others = asyncio.get_running_loop().call_soon(go_on) if len(each) > 1 else None
    results: list[Any] = []
    try:
        while left:
            results.append(await left.popleft())
        results += [await task for task in tasks]
    finally:
        if others is not None:
            others.cancel()
        for one in left:
            one.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)
    return tuple(results)


# --- run ---------------------------------------------------------------------------------------------------------


class Judged(Struct, frozen=True, gc=False):
    """One check's outcome before any policy: what it found, or why it could not."""

    id: str
    outcome: Outcome
    problems: tuple[Problem, ...] = ()
    reason: str | None = None
    bug: bool = False
    where: Where | None = None  # the place of what could not be found out, the first that has one


# How much a finding's own level tells; none at all means the rule's, which is not known here: that is taken to lie between.
_WORTH = {Level.OFF: 0, Level.NOTE: 1, Level.WARNING: 2, None: 3, Level.ERROR: 4}


def _keep_worst(problems: list[Problem], finding: Problem) -> None:
    """Put a finding in the place of one that is worth less, if there is one: a flood of notes must not hide an error."""
    place = min(range(len(problems)), key=lambda index: _WORTH[problems[index].level])
    if _WORTH[problems[place].level] < _WORTH[finding.level]:
        problems[place] = finding


def run(check: Check, facts: Mapping[type, Any], options: Mapping[str, Any] | None = None) -> Judged:
    """Call one check. A problem found beats something undetermined; a check that raises is unknown, never a pass."""
    arguments = check.take(facts)
    if not _ABSENT.isdisjoint(map(type, arguments)) and (withheld := _withheld(check.needs, arguments)) is not None:
        if isinstance(withheld, NotApplicable):
            return Judged(check.id, Outcome.NOT_APPLICABLE, reason=withheld.reason)
        return Judged(check.id, Outcome.UNKNOWN, reason=withheld.reason, bug=withheld.bug, where=withheld.where)
    problems: list[Problem] = []
    unsure: dict[str, Where | None] | None = None  # each reason once, with its first place; None: nothing at all was found
    more = 0
    named = {name.replace("-", "_"): value for name, value in options.items()} if options else _NO_OPTIONS
    try:
        for finding in check.function(*arguments, **named):
            if unsure is None:
                unsure = {}
            if isinstance(finding, Undetermined):
                unsure[finding.reason] = unsure.get(finding.reason) or finding.where
            elif len(problems) < MAX_PROBLEMS:
                problems.append(finding)
            else:
                more += 1
                _keep_worst(problems, finding)
                if more == MAX_COUNTED:
                    break
    except NotApplicable as nothing:
        nothing.__traceback__ = None  # it may be a fact, which outlives this run
        if not problems:
            return Judged(check.id, Outcome.NOT_APPLICABLE, reason=nothing.reason)
    except Unavailable as unknown:
        unknown.__traceback__ = None
        unsure = unsure or {}
        unsure[unknown.reason] = unsure.get(unknown.reason) or unknown.where
    except (Exception, SystemExit) as error:  # a rule of somebody else's may even want to end the program
        log.exception("the check %s failed", check.id)
        return Judged(check.id, Outcome.UNKNOWN, reason=f"delivcheck failed here: {type(error).__name__}: {error}", bug=True)
    if unsure is None:  # nearly always
        return check.passed
    if more == MAX_COUNTED:  # what was not looked at may be the worst of all
        problems.append(Problem(f"and more than {more} more, the rest was not looked at", level=Level.ERROR))
    elif more:
        problems.append(Problem(f"and {more} more", level=max(problems, key=lambda one: _WORTH[one.level]).level))
    reason, where = _told(unsure) if unsure else (None, None)
    if problems:
        return Judged(check.id, Outcome.FAIL, tuple(problems), reason, where=where)
    return Judged(check.id, Outcome.PASS if reason is None else Outcome.UNKNOWN, reason=reason, where=where)


_NO_OPTIONS: Mapping[str, Any] = {}


def _told(unsure: Mapping[str, Where | None]) -> tuple[str | None, Where | None]:
    """The reasons in one, as many as are kept, and the first place there is."""
    said = "; ".join(islice(unsure, MAX_REASONS))
    if len(unsure) > MAX_REASONS:
        said += f"; and {len(unsure) - MAX_REASONS} more"
    return said or None, next((where for where in unsure.values() if where is not None), None)
