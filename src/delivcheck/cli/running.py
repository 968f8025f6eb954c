"""Examine targets side by side, hand each on as soon as it is known, and end with one exit code."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from typing import Any

from .. import api
from ..model import TargetKind, TargetReport
from ..policy import PolicyError
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
    path: str | None = None  # the file, where the configuration may have something of its own for it


def check(jobs: Iterable[Job], run: Run, at_once: int) -> int:
    """Examine every job, `at_once` of them side by side, and print. Returns the exit code."""
    started = time.monotonic()
    waiting = iter(jobs)
    sink = run.sink
    first = list(itertools.islice(waiting, 2)) if sink.wants_the_number else []
    sink.single = len(first) < 2
    checkers = _Checkers(run)
    sink.rules.update(checkers.of(None).book.rules)
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

        def known(number: int, job: Job, target: TargetReport, seconds: float) -> None:
            progress.count += 1
            if isinstance(target.error, str):
                progress.clear()
                say(f"{target.target}: {target.error}")
            for writer in writers:
                writer.known(target)
            in_order.take(number, replace(job, given=replace(job.given or Given(), seconds=seconds)), target)
            done.append((number, target if sink.keeps_every_result else slim(target)))

        pool = _Pool(checkers, known, progress)
        _unwrapped(pool.run(itertools.chain(first, waiting), at_once))
        report = api.report([target for _, target in sorted(done, key=lambda one: one[0])], run.options, started)
        code = exit_code(report.targets, bug=pool.bug, exit_zero=sink.exit_zero)
        progress.clear()
        for writer in writers:
            writer.end(report, code)
    if run.save_snapshot is not None:
        run.save_snapshot()
    return int(code)


def _unwrapped(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end; of several errors in the group of workers the first is the one to tell."""
    try:
        asyncio.run(work)
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


class _Checkers:
    """The checker for each file: one for the run, and one for each set of overrides that files have in the configuration."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._used: set[int] = set()
        self._made = {id(run.options): api.Checker(run.options)}
        for (
            options
        ) in run.overridden:  # a rule's name that is misspelt is told at the start, and of patterns that match no file
            self._made[id(options)] = self._checker(options)

    def of(self, path: str | None) -> api.Checker:
        """The checker for one file, or for what is no file. Raises PolicyError."""
        chosen = self._run.options if path is None else self._run.at(path)
        if id(chosen) not in self._made:
            self._made[id(chosen)] = self._checker(chosen)
        made = self._made[id(chosen)]
        if id(chosen) not in self._used:
            self._used.add(id(chosen))
            self._run.sink.rules.update(made.book.rules)
        return made

    def _checker(self, options: api.Options) -> api.Checker:
        return api.Checker(options, earlier=self._made[id(self._run.options)].earlier)


class _Pool:
    """A few workers over one feed of jobs: the next input is read when somebody is free for it."""

    def __init__(self, checkers: _Checkers, known: Callable[[int, Job, TargetReport, float], None], progress: Progress) -> None:
        self.bug = False  # whether examining a target failed through a fault of our own
        self._checkers, self._known, self._progress = checkers, known, progress

    async def run(self, jobs: Iterator[Job], at_once: int) -> None:
        """Examine all of them."""
        feed = _Feed(jobs)
        ticking = asyncio.create_task(self._progress.tick())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(at_once):
                    group.create_task(self._work(feed))
        finally:
            ticking.cancel()

    async def _work(self, feed: _Feed) -> None:
        async for number, job in feed:
            self._progress.name = job.name
            started = time.monotonic()
            target = await self._examine(job)
            self._known(number, job, target, time.monotonic() - started)

    async def _examine(self, job: Job) -> TargetReport:
        """The report of one job, whatever happens: an input that cannot be examined does not stop the others."""
        if job.examine is None:
            return api.unreadable(job.name, job.kind, job.error or "unreadable")
        try:
            return await job.examine(self._checkers.of(job.path))
        except api.InputError as error:
            return api.unreadable(job.name, job.kind, str(error))
        except PolicyError:  # of an override, known when its first file comes
            raise
        except Exception as error:
            self.bug = True
            log.exception("examining %s failed", job.name)
            return api.unreadable(job.name, job.kind, f"delivcheck failed here: {type(error).__name__}: {error}")


class _Feed:
    """Numbered jobs out of an iterator that may block, on a slow pipe for one, while other targets wait for DNS.

    A thread reads it, one job ahead of the workers. It is a daemon, so that Ctrl-C need not wait for the pipe.
    """

    def __init__(self, jobs: Iterator[Job]) -> None:
        self._jobs = jobs
        self._ready: asyncio.Queue[tuple[int, Job] | BaseException | None] = asyncio.Queue(1)
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for numbered in enumerate(self._jobs):
                if not self._put(numbered):
                    return
        except BaseException as error:  # noqa: BLE001 -- whatever reading raises belongs to the run, not to this thread
            self._put(error)
        else:
            self._put(None)

    def _put(self, item: tuple[int, Job] | BaseException | None) -> bool:
        """Wait until somebody wants it; False when the run is over."""
        putting = self._ready.put(item)
        try:
            asyncio.run_coroutine_threadsafe(putting, self._loop).result()
        except (RuntimeError, CancelledError):  # the loop is closed, or closing
            putting.close()
            return False
        return True

    def __aiter__(self) -> _Feed:
        return self

    async def __anext__(self) -> tuple[int, Job]:
        item = await self._ready.get()
        if isinstance(item, tuple):
            return item
        self._ready.put_nowait(item)  # for the other workers
        if item is None:
            raise StopAsyncIteration
        raise item


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
