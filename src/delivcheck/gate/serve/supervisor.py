"""Opens the sockets, starts the workers and watches over them: replaces those that die or hang, reloads, drains.

It does little, so that little can go wrong with it: no event loop, no thread, nothing of a message. All that can fail (reading
the configuration, building, judging) happens in children. A generation is the workers of one configuration; a new one serves
when all its workers are built, and only then are the old ones told to retire, with the rules they have.

Over 500 lines because it is one state machine: every signal, every word of a worker and every turn of the clock looks at the
same generations (coming, current, retiring), and may end any of them.
"""

import gc
import os
import resource
import selectors
import signal
import socket
import time
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..ports import Watch, unwatched
from ..settings import Gate, Kind
from . import channel, log
from .listeners import CannotListen, Opened, Wanted, close_all, open_all, steer_away
from .metrics import Metrics, MetricsError, forget_worker, open_folder, remove_folder
from .notify import Notify, handed_over
from .presence import Presence, listening
from .processes import HANDLED, Reader, Refusal, Worker, ended, kill, start_reader, start_worker
from .worker import ADMIN, TRACE_SIGNAL, Build, Loaded, Start

TURN = 1.0  # seconds between two looks at the clock
START_LIMIT = 60.0  # seconds a worker may take to be built; systemd's TimeoutStartSec is 90
LOAD_LIMIT = 30.0  # seconds for reading the configuration
GRACE = 10.0  # seconds beyond the drain time, for a worker to end by itself
TRACE_WAIT = 0.5  # seconds a hanging worker has to say where it hangs
TRACE_LINES = 60

# A worker that dies is replaced at once, a second one soon; what cannot even be built waits as long as OpenSSH's and systemd's
# users are used to. One that serves is back within a second however often it dies: whoever can make it die must not keep us
# down.
SOON = 0.1
LONGEST_BUILT, LONGEST_UNBUILT = 1.0, 30.0
STEADY = 5.0  # seconds of service after which a death is no longer part of a series


class CannotStart(Exception):  # noqa: N818 -- reads well in an except clause
    """The gate cannot start; one line that says why. Nothing is left behind. `ours`: by a fault of our own."""

    def __init__(self, why: str, *, ours: bool = False) -> None:
        super().__init__(why)
        self.ours = ours


@dataclass(eq=False, slots=True)
class Generation:
    """The workers of one configuration."""

    loaded: Loaded
    opened: dict[str, Opened]
    workers: list[Worker] = field(default_factory=list)
    failures: int = 0  # deaths in a row, of workers that served
    unbuilt: int = 0  # and of such as never did, since one did
    due: list[tuple[float, bool]] = field(default_factory=list)  # when replacements are to be started, and whether of the clerk


class Supervisor:
    """Runs the gate until it is told to stop. `load` reads the configuration, `build` makes what a worker serves with.

    `clerk` makes what one process more serves with where there is a trace: all of HTTP, and none of the mail's listeners.
    """

    def __init__(
        self,
        load: Callable[[], Loaded],
        build: Build,
        environment: MutableMapping[str, str] = os.environ,
        clerk: Build | None = None,
    ) -> None:
        self._load, self._build, self._clerk = load, build, clerk
        self._journal = environment.get("JOURNAL_STREAM")
        self._notify = Notify(environment)
        self._handed = handed_over(environment)
        self._environment = environment
        self._log: log.Log | None = None
        self._watch: Watch = unwatched
        self._folder: Path | None = None  # of metrics
        self._presence: Presence | None = None
        self._dns: tuple[str, list[str]] = ("", [])  # what was told of it last
        self._metrics: Metrics | None = None
        self._selector = selectors.DefaultSelector()
        self._woken, self._wake = socket.socketpair()
        self._reader: Reader | None = None
        self._again = False  # a reload was asked for while one is under way
        self._coming: Generation | None = None
        self._current: Generation | None = None
        self._retiring: list[Generation] = []
        self._slots: set[int] = set()
        self._stopping: float | None = None  # when patience ends
        self._error: CannotStart | None = None
        self._fed = 0.0

    # --- the whole life

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises CannotStart."""
        before = {one: signal.getsignal(one) for one in HANDLED}
        for end in (self._woken, self._wake):
            end.setblocking(False)
        old = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        for one in HANDLED:
            signal.signal(one, lambda *_: None)  # the wake-up socket has it
        self._selector.register(self._woken, selectors.EVENT_READ, self._signals)
        _raise_descriptor_limit()
        gc.collect()
        gc.freeze()  # what is imported is shared with the workers for good, unless the collector writes to it
        try:
            self._begin_loading()
            while not self._over():
                self._turn()
        finally:
            self._clean_up()
            gc.unfreeze()
            signal.set_wakeup_fd(old)
            for one, handler in before.items():
                signal.signal(one, handler)
        if self._error is not None:
            raise self._error

    def _over(self) -> bool:
        if self._error is not None:
            return True
        return self._stopping is not None and not any(True for _ in self._all())

    def _all(self) -> list[Worker]:
        return [worker for generation in self._generations() for worker in generation.workers]

    def _generations(self) -> list[Generation]:
        return [one for one in (self._coming, self._current, *self._retiring) if one is not None]

    def _turn(self) -> None:
        """Hear everybody first, then look at the clock: after a pause of our own nobody is taken for silent."""
        for key, _ in self._selector.select(self._patience()):
            key.data()
            if self._error is not None:
                return
        now = time.monotonic()
        self._reap(now)
        self._check(now)
        if self._notify.watchdog is not None and now - self._fed >= self._notify.watchdog:
            self._notify.alive()
            self._fed = now

    def _patience(self) -> float:
        soon = [at - time.monotonic() for one in self._generations() for at, _ in one.due]
        asked = [TRACE_WAIT for worker in self._all() if worker.asked is not None]
        return max(0.0, min([TURN, self._notify.watchdog or TURN, *soon, *asked]))

    def _signals(self) -> None:
        with suppress(BlockingIOError):
            for number in self._woken.recv(4096):
                if number in {signal.SIGTERM, signal.SIGINT}:
                    self._stop(signal.Signals(number).name)
                elif number == signal.SIGHUP:
                    self._reload()

    def _clean_up(self) -> None:
        for worker in self._all():
            kill(worker.pid)
            with suppress(ChildProcessError):
                os.waitpid(worker.pid, 0)
            worker.channel.close()
        if self._reader is not None:
            kill(self._reader.pid)
            with suppress(ChildProcessError):
                os.waitpid(self._reader.pid, 0)
            self._reader.pipe.close()
        for generation in self._generations():
            close_all(generation.opened, but={})
        for _, one in self._handed:
            one.close()
        if self._folder is not None:
            remove_folder(self._folder)
        self._notify.close()
        if self._presence is not None:
            self._presence.close()
            self._presence = None
        self._forget()

    def _forget(self) -> None:
        """Let go of what only a supervisor needs; in children, too, which share nothing of it by that."""
        if self._presence is not None:
            self._presence.forget()
        self._selector.close()
        self._woken.close()
        self._wake.close()

    # --- reading the configuration

    def _begin_loading(self) -> None:
        try:
            self._reader = start_reader(self._load, time.monotonic(), self._forget)
        except OSError as error:
            self._refuse(f"no process for reading the configuration: {error.strerror}")
            return
        self._selector.register(self._reader, selectors.EVENT_READ, self._read)

    def _read(self) -> None:
        if self._reader is not None and self._reader.read():
            self._end_loading()

    def _end_loading(self) -> None:
        reader = self._reader
        if reader is None:
            return
        self._reader = None
        self._selector.unregister(reader)
        late = time.monotonic() - reader.started > LOAD_LIMIT
        result = reader.result() if not late else Refusal(f"the configuration could not be read within {LOAD_LIMIT:g} seconds")
        kill(reader.pid)  # it has said all it had to say, or has hung
        with suppress(ChildProcessError):
            os.waitpid(reader.pid, 0)
        if self._stopping is not None:
            return
        if isinstance(result, Refusal):
            self._refuse(result.why, ours=result.ours)
        else:
            self._prepare(result)

    def _refuse(self, why: str, *, ours: bool = False) -> None:
        """The new configuration cannot be used: at the start that is the end, later all stays as it was."""
        if self._current is None:
            self._error = CannotStart(why, ours=ours)
            return
        self._watch("configuration", what="refused", reason=f"{why}; the old one stays")
        self._notify.ready(self._status())
        self._next_reload()

    def _reload(self) -> None:
        if self._stopping is not None:
            return
        if self._reader is not None or self._coming is not None or self._current is None:
            self._again = True
            return
        self._notify.reloading()
        self._begin_loading()

    def _next_reload(self) -> None:
        if self._again:
            self._again = False
            self._reload()

    # --- a new generation

    def _prepare(self, loaded: Loaded) -> None:
        """Open what it listens on and start its workers; they serve when all of them are built."""
        gate = loaded.gate
        if self._current is None:
            self._log_as(loaded)
        have = self._current.opened if self._current is not None else {}
        try:
            if gate.admin is not None and self._folder is None:
                self._folder = open_folder(self._environment)
                self._metrics = Metrics(self._folder, "supervisor")
                self._log_as(self._current.loaded if self._current is not None else loaded)
            opened = open_all(_wanted(loaded), have, self._handed)
        except CannotListen as error:
            self._refuse(f"{error}{_by_whom(gate, error)}")
            return
        except MetricsError as error:
            self._refuse(str(error))
            return
        for line in loaded.warnings:
            self._watch("configuration", what="warning", reason=line)
        self._coming = Generation(loaded, opened)
        mail = any(one.kind is not Kind.HTTP for one in gate.listeners)
        clerks = [True] if gate.trace is not None and self._clerk is not None else []
        for clerk in [*([False] * (gate.workers or _cores()) if mail or not clerks else []), *clerks]:
            if not self._start_one(self._coming, clerk=clerk):
                self._abandon("no process for a worker: too many processes, or no memory")
                return

    def _log_as(self, loaded: Loaded) -> None:
        """Write as this configuration says."""
        if self._log is not None:
            self._log.close()
        self._log = written = log.Log(loaded.gate.log_format, loaded.gate.log_level, journal=self._journal)
        self._watch = log.both(written, self._metrics) if self._metrics is not None else written
        log.take_over(self._watch)

    def _start_one(self, generation: Generation, *, clerk: bool) -> bool:
        slot = next(number for number in range(len(self._slots) + 1) if number not in self._slots)
        build = self._clerk if clerk and self._clerk is not None else self._build
        opened = _share(generation, clerk=clerk)
        start = Start(slot, generation.loaded, opened, build, self._folder, self._journal, clerk)
        mine = {id(one) for one in opened.values()}
        foreign = [
            one
            for other in self._generations()
            for others in other.opened.values()
            if id(others) not in mine
            for one in others.sockets
        ]
        unused = [one for _, one in self._handed if not any(one in opened.sockets for opened in generation.opened.values())]
        siblings = [worker.channel for worker in self._all()]
        try:
            worker = start_worker(start, time.monotonic(), [*foreign, *unused, *siblings], self._forget)
        except OSError as error:
            self._watch("worker", what="failed", reason=f"no process: {error.strerror}")
            return False
        self._slots.add(slot)
        generation.workers.append(worker)
        self._selector.register(worker.channel, selectors.EVENT_READ, partial(self._hear, generation, worker))
        return True

    def _abandon(self, why: str, *, ours: bool = False) -> None:
        """Give up the generation that was coming."""
        generation, self._coming = self._coming, None
        if generation is None:
            return
        for worker in list(generation.workers):
            kill(worker.pid)
            with suppress(ChildProcessError):
                os.waitpid(worker.pid, 0)
            self._remove(generation, worker)
        close_all(generation.opened, but=self._current.opened if self._current is not None else {})
        self._refuse(why, ours=ours)

    def _take_over(self, generation: Generation) -> None:
        """All its workers are built: they serve, and those before them retire."""
        try:
            for one in generation.opened.values():
                one.listen()
        except OSError as error:
            self._abandon(f"listeners: {error.strerror}")
            return
        before, self._current, self._coming = self._current, generation, None
        for worker in generation.workers:
            self._go(worker)
        if before is not None:
            self._log_as(generation.loaded)
            self._watch("worker", what="reload", pid=os.getpid(), reason=f"{len(generation.workers)} new workers")
            self._retiring.append(before)
            before.due.clear()
            for worker in before.workers:
                self._end(worker, channel.RETIRE)
            close_all(before.opened, but=generation.opened)
        old = before.opened if before is not None else {}
        for name, opened in generation.opened.items():
            if opened not in old.values():
                self._watch("listener", what="open", listener=name, address=opened.names())
        where = getattr(generation.loaded.config, "path", None) or "the configuration"
        now = "is in force" if before is None else "was read again and is in force"
        self._watch("configuration", what="loaded", reason=f"{where} {now}, workers: {len(generation.workers)}")
        self._tell_presence(generation)
        self._notify.ready(self._status())
        self._next_reload()

    def _tell_presence(self, generation: Generation) -> None:
        """Where we listen, for `delivcheck gate --check`; without it mail goes on all the same."""
        state = generation.loaded.gate.state
        try:
            if self._presence is not None and self._presence.state != state:
                self._presence.close()
                self._presence = None
            if self._presence is None and state.is_dir():
                self._presence = Presence(state)
            if self._presence is not None:
                self._presence.tell(str(one.address) for one in generation.opened.values())
        except OSError as error:
            self._watch("fault", where="presence", reason=f"{state}: {error.strerror}")

    @staticmethod
    def _go(worker: Worker) -> None:
        worker.serving = time.monotonic()
        worker.channel.say(channel.GO)

    @staticmethod
    def _end(worker: Worker, word: str) -> None:
        worker.ending = time.monotonic()
        worker.channel.say(word)

    def _status(self) -> str:
        current = self._current
        return "" if current is None else f"{len(current.workers)} workers, listeners: {', '.join(current.opened)}"

    # --- workers

    def _hear(self, generation: Generation, worker: Worker) -> None:
        if worker not in generation.workers:  # given up since it became readable
            return
        for word, text in worker.channel.heard():
            if word == channel.BEAT:
                worker.heard, worker.asked = time.monotonic(), None
                worker.trace.clear()
            elif word == channel.READY:
                worker.ready = True
                worker.heard = time.monotonic()
            elif word in {channel.ERROR, channel.BUG}:
                worker.error, worker.bug = text, word == channel.BUG
            elif word == channel.UNREADY:
                worker.unready = text
                self._tell_others(generation)
            elif word == channel.DNS:
                worker.dns = tuple(text.split())
                if generation is self._current:
                    self._look_at_dns(generation)
            elif len(worker.trace) < TRACE_LINES:  # faulthandler's answer to TRACE_SIGNAL
                worker.trace.append(f"{word} {text}".strip())
        if worker.channel.closed:
            self._selector.unregister(worker.channel)  # its end is told by SIGCHLD
        if generation is self._coming:
            if worker.error is not None:
                self._abandon(worker.error, ours=worker.bug)
            elif all(one.ready for one in generation.workers):
                self._take_over(generation)
        elif generation is self._current and worker.ready and worker.serving is None and worker.ending is None:
            self._go(worker)

    def _look_at_dns(self, generation: Generation) -> None:
        """Tell once what every worker finds out: DNS of our own domains is away, or is back."""
        said = [worker.dns for worker in generation.workers if worker.dns]
        how = next((one for one in ("lost", "stale") if any(one == each[0] for each in said)), "")
        names = sorted({name for each in said if each[0] == how for name in each[1:]})
        if how == self._dns[0]:
            return
        if how == "lost":
            self._watch("dns", what="lost", names=names)
        elif how == "stale":
            self._watch("dns", what="stale", names=names)
        else:
            self._watch("dns", what="back", names=self._dns[1])
        self._dns = (how, names)

    @staticmethod
    def _tell_others(generation: Generation) -> None:
        """Whoever is asked whether the gate is ready answers for all."""
        for worker in generation.workers:
            unready = [one.unready for one in generation.workers if one is not worker and one.unready]
            worker.channel.say(channel.OTHERS, channel.SEPARATOR.join(dict.fromkeys(unready)))

    def _reap(self, now: float) -> None:
        for generation in self._generations():
            for worker in list(generation.workers):
                how = ended(worker.pid)
                if how is None:
                    continue
                if not worker.channel.closed:
                    self._hear(generation, worker)  # its last words may say why
                if worker not in generation.workers:  # they did, and the generation was given up
                    continue
                self._remove(generation, worker)
                self._ended(generation, worker, how, now)
        self._retiring = [one for one in self._retiring if one.workers]

    def _ended(self, generation: Generation, worker: Worker, how: str, now: float) -> None:
        why = worker.error or how or "ended without being told"
        if generation is self._coming:
            self._abandon(worker.error or f"a worker cannot be built: {why}")
            return
        if worker.ending is not None and not how:
            return
        self._watch("worker", what="ended", pid=worker.pid, reason=why)
        if generation is self._current and self._stopping is None:
            generation.due.append((now + _wait(generation, worker, now), worker.clerk))

    def _remove(self, generation: Generation, worker: Worker) -> None:
        generation.workers.remove(worker)
        self._slots.discard(worker.slot)
        if not worker.channel.closed:
            self._selector.unregister(worker.channel)
        worker.channel.close()
        if worker.unready:
            self._tell_others(generation)
        if self._folder is not None:
            forget_worker(self._folder, f"w{worker.slot}")

    def _check(self, now: float) -> None:
        """Everything that is due: silent workers, replacements, and the end of patience."""
        if self._reader is not None and now - self._reader.started > LOAD_LIMIT:
            self._end_loading()
        for generation in self._generations():
            for worker in list(generation.workers):
                if worker.ready and now - worker.heard > generation.loaded.gate.watchdog:
                    self._silent(worker, now)
                elif not worker.ready and now - worker.started > START_LIMIT:
                    worker.error = worker.error or f"not built within {START_LIMIT:g} seconds"
                    kill(worker.pid)
                elif worker.ending is not None and now - worker.ending > _leave(generation) + GRACE:
                    self._watch("worker", what="killed", pid=worker.pid, reason="it does not end")
                    kill(worker.pid)
        current = self._current
        if current is not None and self._stopping is None:
            late = [one for one in current.due if one[0] <= now]
            for one in late:
                current.due.remove(one)
                if not self._start_one(current, clerk=one[1]):
                    current.due.append((now + LONGEST_BUILT, one[1]))
        if self._stopping is not None and now > self._stopping:
            for worker in self._all():
                kill(worker.pid)

    def _silent(self, worker: Worker, now: float) -> None:
        """Ask where it hangs, then end it: its messages were not acknowledged, and come again."""
        if worker.asked is None:
            worker.asked = now
            kill(worker.pid, TRACE_SIGNAL)
        elif now - worker.asked >= TRACE_WAIT:
            reason = f"silent for {now - worker.heard:.0f} seconds"
            self._watch("worker", what="killed", pid=worker.pid, reason=reason, traceback=worker.trace[:TRACE_LINES])
            worker.asked = now
            kill(worker.pid)

    # --- the end

    def _stop(self, why: str) -> None:
        now = time.monotonic()
        if self._stopping is not None:  # asked twice: no patience any more
            self._stopping = now
            return
        longest = max((_leave(one) for one in self._generations()), default=0.0)
        self._stopping = now + longest + GRACE
        self._notify.stopping()
        if self._coming is not None:
            coming, self._coming = self._coming, None
            for worker in coming.workers:
                kill(worker.pid)
            self._retiring.append(coming)
        for generation in self._generations():
            generation.due.clear()
            if generation.loaded.gate.reuse_port and not steer_away(generation.opened):
                self._watch(
                    "fault", where="listener", reason="this kernel sends no connections to a successor: some may be lost"
                )
            for worker in generation.workers:
                self._end(worker, channel.STOP)
            close_all(generation.opened, but={})
        self._watch("worker", what="drain", pid=os.getpid(), reason=why)  # when nobody is let in any more


def _leave(generation: Generation) -> float:
    """Seconds that a worker has from the word that it is to end."""
    return generation.loaded.gate.farewell + generation.loaded.gate.drain


def _wait(generation: Generation, worker: Worker, now: float) -> float:
    """Seconds until a worker that died is replaced.

    The two series are apart: a hundred workers that served and died must not make the next one, which dies while it is built,
    wait as if a hundred had.
    """
    if worker.serving is not None:
        generation.failures = 1 if now - worker.serving > STEADY else generation.failures + 1
        generation.unbuilt = 0
        series, longest = generation.failures, LONGEST_BUILT
    else:
        generation.unbuilt += 1
        series, longest = generation.unbuilt, LONGEST_UNBUILT
    return 0.0 if series == 1 else min(longest, SOON * 2.0 ** min(series, 20))


def _share(generation: Generation, *, clerk: bool) -> dict[str, Opened]:
    """The sockets of the clerk, or of a worker; those of the admin address are the workers', where there are any."""
    http = {one.name for one in generation.loaded.gate.listeners if one.kind is Kind.HTTP}
    alone = len(http) == len(generation.loaded.gate.listeners)
    return {name: one for name, one in generation.opened.items() if (name in http or (name == ADMIN and alone)) is clerk}


def _wanted(loaded: Loaded) -> list[Wanted]:
    """What is listened on: every listener, and the address for metrics and health. Raises CannotListen."""
    gate = loaded.gate
    shared = gate.reuse_port
    wanted = [Wanted(one.name, one.address, one.group, one.socket_mode, shared) for one in gate.listeners]
    if gate.admin is not None:
        if any(one.name == ADMIN for one in wanted):
            raise CannotListen(ADMIN, "the name belongs to the address for metrics and health; choose another")
        wanted.append(Wanted(ADMIN, gate.admin, shared=shared))
    return wanted


def _by_whom(gate: Gate, error: CannotListen) -> str:
    """Whether it is another gate, one with the same configuration started twice as a rule, that has the address."""
    addresses = {one.name: str(one.address) for one in gate.listeners} | {ADMIN: str(gate.admin)}
    process = listening(gate.state).get(addresses.get(error.listener, "")) if error.taken else None
    return f", by a gate that runs already (process {process})" if process is not None else ""


def _cores() -> int:
    """The cores that this process may use."""
    with suppress(AttributeError):  # macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _raise_descriptor_limit() -> None:
    """As many descriptors as the hard limit allows, as Go does since 1.19: the soft one of 1,024 is for users of select(2)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
