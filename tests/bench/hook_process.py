"""What the hook through the daemon costs: its whole process beside bare Python, and a warm check beside one in this process.

    python -m tests.bench.hook_process [--runs N]

All sides take turns; the best of each is compared, since what else runs on the machine only adds. CPU is of the child alone (the
daemon's is told beside it). Nothing here is a test: tests/integrations shows that the answers are right.
"""

import argparse
import os
import py_compile
import sys
import tempfile
import time
from pathlib import Path

from delivcheck import hook
from delivcheck.integrations.guard import Guard
from tests.integrations import house
from tests.integrations.daemons import daemon

OCTETS = 30_000  # the message of issue 8
TEXT = "Your order has been sent, and will be with you in two or three days.\r\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=60)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder, house.name_server() as dns:
        path = house.configuration(folder, nameserver=dns.address, timeout=10.0)
        with daemon(Path(folder), path) as running:
            octets = house.good(TEXT * (OCTETS // len(TEXT)))
            _processes(running, octets, Path(folder), runs)
            _calls(running, octets, path, runs * 5)


def _processes(running, octets, folder, runs):
    """Whole processes: CPU of the child, and the time until it has ended."""
    message = folder / "message"
    message.write_bytes(octets)
    python = [sys.executable, "-I", "-S"]
    asked = [hook.__file__, "--socket", str(running.socket), "--mail-from", house.BOUNCES, "--rcpt-to", house.RECIPIENT]
    compiled = py_compile.compile(hook.__file__, cfile=str(folder / "hook.pyc"))
    sides = {
        "python -I -S -c pass": [*python, "-c", "pass"],
        "python -c pass": [sys.executable, "-c", "pass"],
        "python -I -S hook.py": [*python, *asked],
        "... --then true": [*python, *asked, "--then", "true"],
        "python -I -S hook.pyc": [*python, compiled, *asked[1:]],
    }
    best = dict.fromkeys(sides, (1e9, 1e9))
    for _ in range(runs):
        for name, command in sides.items():
            best[name] = tuple(map(min, best[name], _process(command, message)))
    print(f"whole process, best of {runs}, a message of {len(octets):,} octets")
    bare, usual = best["python -I -S -c pass"], best["python -c pass"]
    for name, (cpu, wall) in best.items():
        ratios = f"CPU {cpu / bare[0]:.2f}, time {wall / bare[1]:.2f} x python -I -S; {cpu / usual[0]:.2f}, {wall / usual[1]:.2f} x python"
        print(f"  {name:22} {cpu * 1e3:6.1f} ms CPU {wall * 1e3:6.1f} ms   {ratios}")


def _process(command, message):
    started = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 0, str(message), os.O_RDONLY, 0)])
    _, status, used = os.wait4(pid, 0)
    wall = time.perf_counter() - started
    assert status == 0, status
    return used.ru_utime + used.ru_stime, wall


def _calls(running, octets, path, runs):
    """A warm check: in this process, and through the daemon."""
    sides = {"in this process": Guard(config=path), "through the daemon": Guard(config=path, daemon=running.socket)}
    taken = {name: [] for name in sides}
    for _ in range(runs):
        for name, guard in sides.items():
            message = octets.replace(b"Message-ID: <", b"Message-ID: <%d." % time.monotonic_ns())
            started = time.perf_counter()
            guard.check(message, house.BOUNCES, (house.RECIPIENT,))
            taken[name].append(time.perf_counter() - started)
    print(f"a warm check of {len(octets):,} octets, {runs} calls")
    for name, each in taken.items():
        each.sort()
        assert sides[name].counts == {"sent": runs}, sides[name].counts
        print(f"  {name:22} {each[0] * 1e3:6.2f} ms least {each[len(each) // 2] * 1e3:6.2f} ms median")
        sides[name].close()


if __name__ == "__main__":
    main()
