"""Forks what the supervisor needs: workers, and a reader of the configuration."""

import logging
import os
import pickle
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from ...config import ConfigError
from ...policy import PolicyError
from ...rulefiles import RuleFileError
from . import channel
from .channel import Channel
from .worker import Loaded, Start, work

HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)  # by the supervisor

_log = logging.getLogger("delivcheck.gate")

BUG = 70  # EX_SOFTWARE of sysexits.h


@dataclass(eq=False, slots=True)
class Worker:
    """A worker as the supervisor sees it. Times are of the monotonic clock."""

    pid: int
    slot: int
    channel: Channel
    started: float
    heard: float
    clerk: bool = False
    ready: bool = False  # it is built
    serving: float | None = None  # since when
    ending: float | None = None  # when it was told to retire or stop
    asked: float | None = None  # when it was asked where it hangs
    trace: list[str] = field(default_factory=list)  # what it answered
    error: str | None = None  # why it cannot be built
    bug: bool = False  # that was a fault of our own
    unready: str = ""  # what keeps it from serving well
    dns: tuple[str, ...] = ()  # how DNS of our own domains is for it, and which domains; () where it has not said


def start_worker(start: Start, now: float, foreign: Iterable[Any], forget: Callable[[], None]) -> Worker:
    """Fork a worker. `foreign` are sockets it must not keep; `forget` lets go of the supervisor's own. Raises OSError."""
    ours, theirs = channel.pair()
    try:
        pid = _fork()
    except OSError:
        ours.close()
        theirs.close()
        raise
    if pid == 0:

        def child() -> int:
            ours.close()
            forget()
            for one in foreign:
                one.close()
            own = Channel(theirs)
            try:
                return work(start, own)
            except Exception as error:  # noqa: BLE001 -- logged in the next line but one, and told to the supervisor
                own.say(channel.BUG, f"a fault of delivcheck itself: {type(error).__name__}: {error}")
                _log.exception("a worker ends by a fault of ours")
                return BUG

        _run_and_exit(child)
    theirs.close()
    return Worker(pid, start.slot, Channel(ours), now, now, start.clerk)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a configuration cannot be used, in one line; `ours`: by a fault of our own."""

    why: str
    ours: bool = False


@dataclass(eq=False, slots=True)
class Reader:
    """A child that reads the configuration: `octets` collects what it says."""

    pid: int
    pipe: socket.socket
    started: float
    octets: bytearray = field(default_factory=bytearray)

    def fileno(self) -> int:
        """For the selector."""
        return self.pipe.fileno()

    def read(self) -> bool:
        """Read on; whether all is there."""
        try:
            data = self.pipe.recv(1 << 20)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        self.octets += data
        return not data

    def result(self) -> "Loaded | Refusal":
        """What was read, or why nothing was."""
        self.pipe.close()
        try:
            found = pickle.loads(self.octets)  # noqa: S301 -- our own child wrote it, and nobody else has the socket
        except Exception:  # noqa: BLE001 -- whatever is wrong with it: the child was killed while it wrote
            return Refusal("what reads the configuration ended without an answer", ours=True)
        return found if isinstance(found, (Loaded, Refusal)) else Refusal("what reads the configuration failed", ours=True)


def start_reader(load: Callable[[], Loaded], now: float, forget: Callable[[], None]) -> Reader:
    """Read the configuration in a child. Raises OSError.

    So nothing that is kept of the old one slips into the new one, and a hanging disk hangs the child alone.
    """
    ours, theirs = socket.socketpair()
    try:
        pid = _fork()
    except OSError:
        ours.close()
        theirs.close()
        raise
    if pid == 0:

        def child() -> int:
            ours.close()
            forget()
            theirs.sendall(_read(load))
            return 0

        _run_and_exit(child)
    theirs.close()
    ours.setblocking(False)
    return Reader(pid, ours, now)


def _read(load: Callable[[], Loaded]) -> bytes:
    try:
        return pickle.dumps(load())
    except (ConfigError, PolicyError, RuleFileError) as error:
        return pickle.dumps(Refusal(str(error)))
    except Exception as error:  # noqa: BLE001 -- it must be told, not raised: nobody would see it here
        where = traceback.extract_tb(error.__traceback__)[-1]
        why = f"a fault of delivcheck itself: {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"
        return pickle.dumps(Refusal(why, ours=True))


def _fork() -> int:
    """Fork with the supervisor's signals held back, so that none is taken by a child that still has its handlers."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        pid = os.fork()
        if pid == 0:
            signal.set_wakeup_fd(-1)
            for one in HANDLED:
                signal.signal(one, signal.SIG_DFL)
        return pid
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run_and_exit(child: Callable[[], int]) -> NoReturn:
    """The child's whole life: it never returns into what the supervisor was doing."""
    code = BUG
    try:
        code = child()
    except BaseException:  # noqa: BLE001 -- SystemExit and KeyboardInterrupt, too, must not unwind the supervisor's frames
        sys.stderr.write(traceback.format_exc())
    finally:
        os._exit(code)


def ended(pid: int) -> str | None:
    """How a child ended, in words; None while it runs. "" where it ended well."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return "it is gone"
    if found == 0:
        return None
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        return f"killed by {signal.Signals(-code).name if -code in set(signal.Signals) else f'signal {-code}'}"
    return f"exit code {code}" if code else ""


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a child that was not waited for yet."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
