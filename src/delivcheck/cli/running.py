"""Examine targets side by side, hand each on as soon as it is known, and end with one exit code."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass

from .. import api
from ..model import TargetKind, TargetReport
from ..report.text import Given
from ..report.words import exit_code
from .faults import say
from .options import Run
from .output import slim
from .progress import Progress

log = logging.getLogger("delivcheck")


@dataclass(frozen=True, slots=True)
class Job:
    """One target: how to examine it, or why it cannot be."""

    name: str
    kind: TargetKind
    examine: Callable[[api.Checker], Awaitable[TargetReport]] | None = None
    error: str | None = None
    given: Given | None = None


def check(jobs: Iterable[Job], run: Run, at_once: int) -> int:
    """Examine every job, `at_once` of them side by side, and print. Returns the exit code."""
    started = time.monotonic()
    waiting = iter(jobs)
    first = list(itertools.islice(waiting, 2))
    sink = run.sink
    sink.single = len(first) < 2
    checker = api.Checker(run.options)
    sink.rules = checker.book.rules
    done: list[tuple[int, TargetReport]] = []
    with contextlib.ExitStack() as stack:
        stack.callback(sink.close)
        progress = stack.enter_context(Progress())
        sink.before_writing = progress.clear
        writers = sink.writers

        def give(job: Job, target: TargetReport) -> None:
            for writer in writers:
                writer.shown(target, job.given or Given())

        in_order = _InOrder(give)

        def known(number: int, job: Job, target: TargetReport) -> None:
            progress.count += 1
            if isinstance(target.error, str):
                progress.clear()
                say(f"{target.target}: {target.error}")
            for writer in writers:
                writer.known(target)
            in_order.take(number, job, target)
            done.append((number, target if sink.keeps_every_result else slim(target)))

        _run(_all(itertools.chain(first, waiting), checker, at_once, known, progress))
        report = api.report([target for _, target in sorted(done, key=lambda one: one[0])], run.options, started)
        code = exit_code(report.targets, exit_zero=sink.exit_zero)
        progress.clear()
        for writer in writers:
            writer.end(report, code)
    if run.save_snapshot is not None:
        run.save_snapshot()
    return int(code)


def _run(work: Awaitable[None]) -> None:
    """Run to the end; of several errors in the group of workers the first is the one to tell."""

    async def main() -> None:
        await work

    try:
        asyncio.run(main())
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


async def _all(
    jobs: Iterator[Job],
    checker: api.Checker,
    at_once: int,
    known: Callable[[int, Job, TargetReport], None],
    progress: Progress,
) -> None:
    """A few workers over one iterator: the next input is read when somebody is free for it."""
    numbered = enumerate(jobs)

    async def work() -> None:
        for number, job in numbered:
            progress.name = job.name
            known(number, job, await _examine(job, checker))

    ticking = asyncio.create_task(progress.tick())
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work())
    finally:
        ticking.cancel()


async def _examine(job: Job, checker: api.Checker) -> TargetReport:
    """The report of one job, whatever happens: an input that cannot be examined does not stop the others."""
    if job.examine is None:
        return api.unreadable(job.name, job.kind, job.error or "unreadable")
    try:
        return await job.examine(checker)
    except api.InputError as error:
        return api.unreadable(job.name, job.kind, str(error))
    except Exception as error:
        log.exception("examining %s failed", job.name)  # the run exits 70 for it
        return api.unreadable(job.name, job.kind, f"delivcheck failed here: {type(error).__name__}: {error}")


class _InOrder:
    """Gives targets on in the order of the command line, each as soon as all before it are known."""

    def __init__(self, give: Callable[[Job, TargetReport], None]) -> None:
        self._give = give
        self._next = 0
        self._early: dict[int, tuple[Job, TargetReport]] = {}

    def take(self, number: int, job: Job, target: TargetReport) -> None:
        """Take one target."""
        self._early[number] = (job, target)
        while self._next in self._early:
            self._give(*self._early.pop(self._next))
            self._next += 1
