"""One worker process: builds all it serves with after the fork, serves, and finishes what it has when it is told to."""

import asyncio
import contextlib
import faulthandler
import gc
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..ports import Watch
from ..settings import Gate
from . import channel, log
from .admin import Admin
from .channel import Channel
from .doors import Connect, Door
from .listeners import Opened
from .metrics import Metrics, MetricsError
from .otel import OtelError, Telemetry

BEAT = 1.0  # seconds between two signs of life
NAMED = 10  # domains that the supervisor is told of
LOOK = 0.05  # seconds between two looks at whether a draining worker is done
ADMIN = "admin"  # the name under which the admin address is opened; no listener's, since those are words of the operator's

TRACE_SIGNAL = signal.SIGUSR2  # the supervisor's question where a silent worker hangs

_log = logging.getLogger("delivcheck.gate")


class CannotServe(Exception):  # noqa: N818 -- reads well in an except clause
    """What was configured cannot be built (a key, a certificate, a policy); one line for the operator."""


class Counting(Protocol):
    """What counts the messages that are being worked on."""

    def began(self) -> None:
        """One more."""
        ...

    def ended(self) -> None:
        """One less."""
        ...


class Running(Protocol):
    """What a worker serves with."""

    def connect(self, listener: str) -> Connect:
        """What takes the connections of a listener."""
        ...

    def unready(self) -> list[str]:
        """What keeps us from serving just now (the journal, a next hop), in words; empty: nothing."""
        ...

    def outage(self) -> tuple[str, list[str]] | None:
        """How DNS of our own domains is ("lost", "stale" or "" where it answers), and which domains; None: not known yet."""
        ...

    def drain(self) -> None:
        """Take no new message: idle connections end now (421 4.3.2), the others when their message is answered."""
        ...

    def connections(self) -> int:
        """How many connections are open."""
        ...

    async def now(self) -> Mapping[str, float]:
        """What the metrics tell of the moment, by their names in `metrics`."""
        ...

    async def close(self) -> None:
        """End everything, at once."""
        ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration as it was read: the whole file for the checks, its `[gate]` table for the gate."""

    config: Any  # config.Config
    gate: Gate
    warnings: tuple[str, ...] = ()  # what works, and is hardly meant


Build = Callable[[Loaded, Watch, Counting | None], Awaitable[Running]]


@dataclass(frozen=True, slots=True)
class Start:
    """What a worker is given: its number among the workers alive, what it serves, and how it is built."""

    slot: int
    loaded: Loaded
    opened: Mapping[str, Opened]
    build: Build
    metrics: Path | None = None
    journal: str | None = None  # $JOURNAL_STREAM
    clerk: bool = False


def work(start: Start, own: Channel) -> int:
    """Serve until told to end; the exit code. Runs in the forked child, which does nothing else."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor says what follows from it
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a reload is the supervisor's, too
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    faulthandler.register(TRACE_SIGNAL, file=own.fileno(), all_threads=True, chain=False)
    gate = start.loaded.gate
    watch: Watch = log.Log(gate.log_format, gate.log_level, journal=start.journal)
    metrics: Metrics | None = None
    if start.metrics is not None:
        try:
            metrics = Metrics(start.metrics, f"w{start.slot}")
            watch = log.both(watch, metrics)
        except MetricsError as error:  # mail matters more
            watch("fault", where="metrics", reason=str(error))
    telemetry: Telemetry | None = None
    if gate.otel is not None:
        try:
            telemetry = Telemetry(gate.otel, instance=f"{gate.name}/w{start.slot}")
            watch = log.both(watch, telemetry)
        except OtelError as error:  # as above
            watch("fault", where="otel", reason=str(error))
    log.take_over(watch)
    loop = _new_loop()
    asyncio.set_event_loop(loop)
    # No asyncio.Runner: it waits at its end for threads, and one that hangs in a look-up must not keep a drained worker alive.
    try:
        return loop.run_until_complete(_Worker(start, own, watch, metrics).run())
    finally:
        if telemetry is not None:
            telemetry.close()


def _new_loop() -> asyncio.AbstractEventLoop:
    """One of uvloop's where it is installed ([speed]), else asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


class _Worker:
    def __init__(self, start: Start, own: Channel, watch: Watch, metrics: Metrics | None) -> None:
        self._start, self._channel, self._watch, self._metrics = start, own, watch, metrics
        self._told: asyncio.Queue[str] = asyncio.Queue()
        self._draining = False
        self._running: Running | None = None
        self._others: list[str] = []  # what other workers are unready for

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._channel.fileno(), self._listen)
        loop.add_signal_handler(signal.SIGTERM, self._told.put_nowait, channel.STOP)  # systemd tells every process of the unit
        beating = loop.create_task(self._beat())
        try:
            running = await self._built()
            if running is None:
                return 2
            return await self._serve(running)
        finally:
            beating.cancel()
            loop.remove_reader(self._channel.fileno())

    async def _built(self) -> Running | None:
        try:
            return await self._start.build(self._start.loaded, self._watch, self._metrics)
        except CannotServe as error:
            self._channel.say(channel.ERROR, str(error))
        except Exception as error:  # noqa: BLE001 -- logged, and told to the supervisor
            _log.exception("a worker cannot be built")
            self._channel.say(channel.BUG, f"a fault of delivcheck itself: {type(error).__name__}: {error}")
        return None

    async def _serve(self, running: Running) -> int:
        """From ready to the end."""
        gc.collect()
        gc.freeze()  # it stays: to look through it again and again stopped all mail for 30 ms each time
        self._channel.say(channel.READY)
        if (word := await self._told.get()) != channel.GO:
            await running.close()
            return 0
        self._running = running
        doors, admin = self._open(running)
        self._watch("worker", what="start", pid=os.getpid(), role="clerk" if self._start.clerk else "mail")
        while (word := await self._told.get()) not in {channel.RETIRE, channel.STOP}:
            pass
        self._draining = True
        gate = self._start.loaded.gate
        if word == channel.STOP:  # what is on its way to us is let in, as if nothing were
            await asyncio.sleep(gate.farewell)
        for door in doors:
            door.close()
        self._watch("worker", what="drain", pid=os.getpid(), reason=word)
        # Where successors answer for the gate, we do no more; else we say "draining" to the end.
        if word == channel.RETIRE or gate.reuse_port:
            for door in admin:
                door.close()
        running.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(gate.drain):
                # Whoever was let in at the last moment hears 421, too.
                while running.connections() or any(door.busy for door in doors):  # noqa: ASYNC110 -- a look costs nothing
                    await asyncio.sleep(LOOK)
        left = running.connections()
        await running.close()
        self._watch("worker", what="stop", pid=os.getpid(), reason=f"{left} connections cut" if left else "drained")
        return 0

    def _open(self, running: Running) -> tuple[list[Door], list[Door]]:
        """The doors for mail, and those for the admin address."""
        admin = Admin(self._start.metrics if self._metrics else None, lambda: self._unready(running), running.now)
        doors: list[Door] = []
        own: list[Door] = []
        for name, opened in self._start.opened.items():
            connect = admin.connect if name == ADMIN else running.connect(name)
            (own if name == ADMIN else doors).extend(Door(name, one, connect, self._watch) for one in opened.sockets)
        return doors, own

    def _unready(self, running: Running) -> list[str]:
        return ["draining"] if self._draining else list(dict.fromkeys([*running.unready(), *self._others]))

    def _listen(self) -> None:
        for word, text in self._channel.heard():
            if word == channel.OTHERS:
                self._others = text.split(channel.SEPARATOR) if text else []
            else:
                self._told.put_nowait(word)
        if self._channel.closed:  # the supervisor is gone, and with it who would watch and replace us
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._told.put_nowait(channel.STOP)

    async def _beat(self) -> None:
        told = dns = ""
        while True:
            self._channel.say(channel.BEAT)
            lacking = channel.SEPARATOR.join(self._running.unready() if self._running is not None else ())
            if lacking != told:
                self._channel.say(channel.UNREADY, lacking)
                told = lacking
            if self._running is not None and (outage := self._running.outage()) is not None:
                how, names = outage
                if (now := f"{how or channel.WELL} {' '.join(names[:NAMED])}") != dns:
                    self._channel.say(channel.DNS, now)
                    dns = now
            await asyncio.sleep(BEAT)
