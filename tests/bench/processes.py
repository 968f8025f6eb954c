"""Whole processes beside bare Python: `delivcheck --help`, and the hook through the daemon with a message of 30 KB.

Seconds on the clock from start to end, since the hook waits for the daemon, whose processor time is another process's. The sides take
turns; of several runs the quickest counts, for what else runs on the machine only adds. The hook is run as the documentation has it,
`python -I -S`, and so is the Python beside it. Also a warm check through the daemon, beside one in this process.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from delivcheck import hook
from delivcheck.integrations.guard import Guard
from tests.bench.table import Row
from tests.integrations import house
from tests.integrations.daemons import daemon

OCTETS = 30_000  # the message of issue 8
TEXT = "Your order has been sent, and will be with you in two or three days.\r\n"
RUNS = 12  # of each, in a round
ROUNDS = {False: 7, True: 2}  # of a full run, and of a quick one
CALLS = 100


def measure(quick):
    """The goals; the processor time beside them; and in a full run a warm check."""
    rounds = ROUNDS[quick]
    with tempfile.TemporaryDirectory() as name, house.name_server() as dns:
        folder, path = Path(name), house.configuration(Path(name), nameserver=dns.address, timeout=10.0)
        with daemon(folder, path) as running:
            octets = house.good(TEXT * (OCTETS // len(TEXT)))
            message = folder / "message"
            message.write_bytes(octets)
            asked = ["--socket", str(running.socket), "--mail-from", house.BOUNCES, "--rcpt-to", house.RECIPIENT]
            for short, what, command, bare in (
                ("help", "delivcheck --help", [*_delivcheck(), "--help"], [sys.executable]),
                (
                    "hook",
                    "hook through the daemon, 30 KB",
                    [sys.executable, "-I", "-S", hook.__file__, *asked],
                    [sys.executable, "-I", "-S"],
                ),
            ):
                found = _turns([command, [*bare, "-c", "pass"]], message, rounds)
                yield Row.costs(f"start/{short}", [(ours[0], theirs[0]) for ours, theirs in found])
                cpu = [(ours[1], theirs[1]) for ours, theirs in found]
                about = {"what": f"{what}: its own processor time", "unit": "ms CPU", "peer": "bare Python", "cost": True}
                yield Row.costs(f"start/{short}/cpu", cpu, **about)
            if not quick:
                yield _calls(running, octets, path, rounds)


def _delivcheck():
    script = Path(sys.executable).with_name("delivcheck")
    return [str(script)] if script.exists() else [sys.executable, "-m", "delivcheck"]


def _turns(commands, message, rounds):
    """Round by round, of each command the least milliseconds on the clock, and of its processor."""
    for command in commands:
        _process(command, message)
    return [[[*map(min, *turns)] for turns in zip(*_runs(commands, message), strict=True)] for _ in range(rounds)]


def _runs(commands, message):
    return [[_process(command, message) for command in commands] for _ in range(RUNS)]


def _process(command, message):
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, str(message), os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    ]
    started = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
    _, status, used = os.wait4(pid, 0)
    wall = time.perf_counter() - started
    assert status == 0, command
    return wall * 1000, (used.ru_utime + used.ru_stime) * 1000


def _calls(running, octets, path, rounds):
    """A warm check: through the daemon, and in this process; every message has another Message-ID."""
    sides = [Guard(config=path, daemon=running.socket), Guard(config=path)]
    pairs = [[_calls_of(guard, octets) for guard in sides] for _ in range(rounds + 1)][1:]
    for guard in sides:
        assert set(guard.counts) == {"sent"}, guard.counts
        guard.close()
    about = {
        "what": "a warm check of 30 KB of text through the daemon",
        "unit": "ms",
        "peer": "in the process itself",
        "cost": True,
    }
    return Row.costs("hook/warm", pairs, **about)


def _calls_of(guard, octets):
    taken = []
    for _ in range(CALLS):
        message = octets.replace(b"Message-ID: <", b"Message-ID: <%d." % time.monotonic_ns())
        started = time.perf_counter()
        guard.check(message, house.BOUNCES, (house.RECIPIENT,))
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)
