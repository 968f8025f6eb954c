"""What each fact and each rule of a message costs: µs of the processor's time, on a warm run.

What is worked out once for a target and then read by several is counted to the first that reads it: a rule may be cheap only
because another one came before.
"""

import functools
import time
import types
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from .engine import Check, Facts, Judged, Plan, Provider, Roots, gather, run

BUDGET = 50.0  # µs a rule may take: with 300 of them a message has its verdict in less time than a round of DNS takes
QUICKER = 5  # one round in so many is quicker than what is told: a busy machine makes times longer, never shorter


@dataclass(frozen=True, slots=True)
class Cost:
    """µs that one takes; `kept` tells that the next message of the same sender is spared them (see `recall`)."""

    name: str
    us: float
    kept: bool


class Costs:
    """Measures what a checker does, over as many rounds as it is given; the first is not counted."""

    def __init__(self) -> None:
        self.rounds = -1  # that are counted
        self._facts: dict[str, list[float]] = defaultdict(list)
        self._rules: dict[str, list[float]] = defaultdict(list)
        self._kept: set[str] = set()
        self._timed: dict[Provider, Provider] = {}
        self._none = min(_difference() for _ in range(100))  # what looking at the clock takes

    async def gather(self, plan: Plan, roots: Roots, kept: Collection[type]) -> Facts:
        """Begin a round: gather the facts as the engine does; `kept` are those that the next message is spared."""
        self.rounds += 1
        self._kept |= {one.__name__ for one in kept}
        return await gather(Plan(tuple(map(self._of, plan.steps)), plan.unreachable), roots)

    def run(self, check: Check, facts: Mapping[type, Any], options: Mapping[str, Any] | None, *, kept: bool) -> Judged:
        """Run one check as the engine does."""
        if kept:
            self._kept.add(check.id)
        begun = time.thread_time()
        judged = run(check, facts, options)
        self._note(self._rules, check.id, begun)
        return judged

    @property
    def facts(self) -> list[Cost]:
        """The facts by their types' names, the costliest first."""
        return self._sorted(self._facts)

    @property
    def rules(self) -> list[Cost]:
        """The rules that ran, the costliest first."""
        return self._sorted(self._rules)

    def _sorted(self, taken: Mapping[str, list[float]]) -> list[Cost]:
        quick = {name: sorted(each)[len(each) // QUICKER] * 1e6 for name, each in taken.items()}
        return [Cost(name, us, name in self._kept) for name, us in sorted(quick.items(), key=lambda pair: (-pair[1], pair[0]))]

    def _note(self, place: dict[str, list[float]], name: str, begun: float) -> None:
        if self.rounds:
            place[name].append(max(0.0, time.thread_time() - begun - self._none))

    def _of(self, provider: Provider) -> Provider:
        """The provider, with a clock."""
        if provider not in self._timed:
            self._timed[provider] = Provider(self._clocked(provider.function, provider.makes.__name__))
        return self._timed[provider]

    def _clocked(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*arguments: Any) -> Any:
            begun = time.thread_time()
            try:
                value = function(*arguments)
            finally:
                self._note(self._facts, name, begun)
            if hasattr(type(value), "__await__"):
                steps = self._facts[name] if self.rounds else []
                return _awaited(value, lambda took: _add(steps, took - self._none))
            return value

        return call


def _difference() -> float:
    begun = time.thread_time()
    return time.thread_time() - begun


def _add(steps: list[float], took: float) -> None:
    """Add to the last round."""
    if steps:
        steps[-1] += max(0.0, took)


async def _awaited(awaitable: Awaitable[Any], took: Callable[[float], None]) -> Any:
    return await _in_steps(awaitable, took)


@types.coroutine
def _in_steps(awaitable: Awaitable[Any], took: Callable[[float], None]) -> Generator[Any, None, Any]:
    """What `await` does (PEP 380), with the time of each step: what is waited for meanwhile costs others."""
    steps = awaitable.__await__()
    error: BaseException | None = None
    while True:
        begun = time.thread_time()
        try:
            waits_for = next(steps) if error is None else steps.throw(error)
        except StopIteration as done:
            return done.value
        finally:
            took(time.thread_time() - begun)
        error = None
        try:
            yield waits_for
        except BaseException as thrown:  # noqa: BLE001 -- a cancellation, too, is for the provider to see
            error = thrown
