"""`delivcheck daemon` as a process: opens its socket, reads the configuration again on SIGHUP, drains on SIGTERM.

It is one process with one event loop, and judging is CPU: it serves one core. What more would take: several processes that
share the listening socket, as the gate's workers do, each with its own rules and DNS answers.
"""

import asyncio
import contextlib
import fcntl
import gc
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from .. import rulefiles
from ..config import Config, ConfigError
from ..gate.ports import Watch
from ..gate.serve import log
from ..gate.serve.listeners import Opened, Wanted, close_all, described, open_all
from ..gate.serve.notify import Notify, handed_over
from ..gate.serve.warming import warm
from ..gate.settings import Address
from ..hook import SOCKET
from . import settings
from .judge import Bench
from .server import Loaded, Server

DRAIN = 30.0  # seconds that requests have at the end; three times a hook's deadline. deploy/systemd waits longer
STARTING = 5.0  # seconds that another daemon may take for opening its socket in the same folder
LISTENER = "daemon"  # also FileDescriptorName= of a socket unit

PRIVATE, SHARED = 0o600, 0o660  # the socket's mode: for its owner, and for a group


@dataclass(frozen=True, slots=True)
class How:
    """What the command line says. `socket` goes before the configuration's."""

    socket: Path | None = None
    group: str | None = None
    log_format: str = "text"
    log_level: str = "info"


Load = Callable[[], Config]


def run(load: Load, how: How, environment: MutableMapping[str, str] = os.environ) -> None:
    """Serve until SIGTERM or SIGINT. Raises ConfigError, PolicyError, RuleFileError, NoNameservers, CannotListen."""
    notify, handed = Notify(environment), handed_over(environment)
    with contextlib.closing(notify):
        loaded, wanted = _loaded(load())
        opened = _opened(how, wanted, handed)
        watch = log.Log(how.log_format, how.log_level, journal=environment.get("JOURNAL_STREAM"))
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is a loop that reads the configuration again
        log.take_over(watch)
        try:
            warm()  # who asks meanwhile waits in the socket's queue
            gc.collect()
            gc.freeze()  # rules and modules stay: to look through them again and again would hold up every message
            asyncio.run(_Daemon(load, loaded, opened, notify, watch).run())
        finally:
            close_all({LISTENER: opened}, but={})
            watch.close()


def _loaded(config: Config, before: Loaded | None = None) -> tuple[Loaded, Path | None]:
    """What a configuration comes to, and the socket that it names. Raises ConfigError, PolicyError, NoNameservers."""
    hooks = settings.read(config)
    bench = Bench(config, hooks)
    if before is not None and isinstance(before.bench, Bench):
        bench.succeed(before.bench)
    return Loaded(bench, hooks, _policies(config)), hooks.daemon


def _policies(config: Config) -> dict[str, str]:
    """The policies that clients may name: ours, and the files that the configuration names, by their names without ".toml"."""
    layers = [config.layer, *config.streams.values(), *(one.layer for one in config.overrides)]
    files = [layer.policy for layer in layers if layer.policy is not None and layer.policy.endswith(".toml")]
    shipped = rulefiles.load()["policies"]
    return {Path(file).stem: file for file in files} | {name: name for name in shipped}


# --- the socket ------------------------------------------------------------------------------------------------------


def _opened(how: How, wanted: Path | None, handed: list[tuple[str, socket.socket]]) -> Opened:
    """The listening socket: systemd's, or our own. Raises CannotListen, ConfigError."""
    if handed:
        if len(handed) > 1:
            raise ConfigError(f"systemd hands over {len(handed)} sockets; the daemon has one")
        one = handed[0][1]
        if one.family != socket.AF_UNIX or one.type != socket.SOCK_STREAM:
            raise ConfigError(f"systemd hands over {described(one)}, which is no UNIX stream socket")
        return Opened(Address(path=Path(os.fsdecode(one.getsockname()))), [one], ours=False)
    path = (how.socket or wanted or Path(SOCKET)).absolute()
    one_wanted = Wanted(LISTENER, Address(path=path), how.group, SHARED if how.group else PRIVATE)
    with _alone(path.parent):
        return open_all([one_wanted], {}, [])[LISTENER]


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One daemon at a time looks for a socket that nobody listens on: a second one would take away what the first just made.

    Whoever may read the folder can hold this lock, so it is not waited for long.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # said better by who opens the socket
        yield
        return
    try:
        end = time.monotonic() + STARTING
        while time.monotonic() < end:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


# --- the process -----------------------------------------------------------------------------------------------------


class _Daemon:
    def __init__(self, load: Load, loaded: Loaded, opened: Opened, notify: Notify, watch: Watch) -> None:
        self._load, self._opened, self._notify, self._watch = load, opened, notify, watch
        self._loaded = loaded
        self._stop = asyncio.Event()
        self._stopping = asyncio.Event()
        self._fresh: asyncio.Task[None] | None = None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        server = Server(self._loaded, self._watch)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end)
        loop.add_signal_handler(signal.SIGHUP, self._reload, server)
        self._keep_fresh()
        accepting = [loop.create_task(server.accept(one)) for one in self._opened.sockets]
        beating = loop.create_task(self._beat())
        name = self._opened.names()[0]
        self._watch("listener", what="open", address=name, pid=os.getpid())
        self._notify.ready(f"judging at {name}")
        await self._stop.wait()
        self._notify.stopping()
        for task in accepting:
            task.cancel()
        await asyncio.gather(*accepting, return_exceptions=True)
        close_all({LISTENER: self._opened}, but={})  # who comes now is told at once, and not at the end
        draining = loop.create_task(server.drain(DRAIN))
        again = loop.create_task(self._stopping.wait())
        await asyncio.wait([draining, again], return_when=asyncio.FIRST_COMPLETED)
        cut = draining.result() if draining.done() else await server.drain(0)
        self._watch("listener", what="closed", address=name, reason=f"{cut} requests cut off" if cut else "drained")
        beating.cancel()

    def _end(self) -> None:
        """The first signal drains, the second one ends that."""
        if self._stop.is_set():
            self._stopping.set()
        self._stop.set()

    def _reload(self, server: Server) -> None:
        """Read the configuration again; a bad one changes nothing. It takes milliseconds, in which nobody is answered."""
        if self._stop.is_set():
            return
        self._notify.reloading()
        name = self._opened.names()[0]
        try:
            loaded, wanted = _loaded(self._load(), server.loaded)
        except Exception as error:  # noqa: BLE001 -- whatever is wrong with it, the old one serves on
            why = str(error) or type(error).__name__
            self._watch("configuration", what="refused", reason=f"{why}; the old one stays")
        else:
            server.loaded = self._loaded = loaded
            self._keep_fresh()
            self._watch("configuration", what="loaded")
            if wanted is not None and f"unix:{wanted.absolute()}" != name and self._opened.ours:
                self._watch("configuration", what="warning", reason=f"hooks.daemon: {name} stays until a restart")
        self._notify.ready(f"judging at {name}")

    def _keep_fresh(self) -> None:
        if self._fresh is not None:
            self._fresh.cancel()
        assert isinstance(self._loaded.bench, Bench)
        self._fresh = asyncio.get_running_loop().create_task(self._loaded.bench.keep_fresh())

    async def _beat(self) -> None:
        while self._notify.watchdog is not None:
            self._notify.alive()
            await asyncio.sleep(self._notify.watchdog)
