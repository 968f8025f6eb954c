"""How the cost of judging grows with the message: seconds of CPU and memory for each MB, up to 25 MB.

    python -m tests.bench.linear             newsletters and texts of 1, 5, 10 and 25 MB

Every figure comes from a process of its own that has judged small messages before; memory is the most that was resident while the
message was read and judged, beyond what was before, beside the message's size (Linux tells it in /proc).
"""

import argparse
import json
import logging
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import letters
from tests.bench.judging import Judge

MEGABYTES = (1, 5, 10, 25)  # 25 MB is what Gmail takes
ROUNDS = 3


@dataclass(frozen=True)
class Figure:
    """Seconds of CPU and peak of memory, both for one octet's worth of message: s per MB, and octets per octet."""

    kind: str
    megabytes: int
    seconds_a_megabyte: float
    memory: float


def measure(sizes=MEGABYTES, rounds=ROUNDS, kinds=tuple(letters.KINDS)):
    """A Figure for each kind and size, medians of so many processes."""
    for kind in kinds:
        for size in sizes:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "message.eml"
                path.write_bytes(letters.letters(size * 1000, 1, make=letters.KINDS[kind])[0])
                found = [_in_a_process(path) for _ in range(rounds)]
            octets = found[0]["octets"]
            seconds, memory = (statistics.median(one[name] for one in found) for name in ("seconds", "memory"))
            yield Figure(kind, size, seconds / octets * 1e6, memory / octets)


def growth(figures, kind, least=1, most=25):
    """How many times an octet costs at the greater size what it costs at the smaller."""
    by_size = {one.megabytes: one.seconds_a_megabyte for one in figures if one.kind == kind}
    return by_size[most] / by_size[least]


def _in_a_process(path):
    command = [sys.executable, "-m", "tests.bench.linear", "--one", str(path)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def one(path):
    """Judge one message; seconds, and octets of memory beyond those that were taken before it was read."""
    with Judge() as judge:
        for kind in letters.KINDS.values():
            for data in letters.letters(30, 2, make=kind):
                judge(data)
        Path("/proc/self/clear_refs").write_text("5")  # forget the greatest so far, proc(5)
        before = _resident("VmRSS")
        data = path.read_bytes()
        begun = time.process_time()
        judge.report(data)  # the largest do not pass
        return {"octets": len(data), "seconds": time.process_time() - begun, "memory": _resident("VmHWM") - before}


def _resident(name):
    return int(re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)[1]) * 1024


def table():
    """One row for each kind and size."""
    made = Table("message", "CPU for a MB", "beside 1 MB", "memory / message")
    for kind in letters.KINDS:
        first = None
        for found in measure(kinds=(kind,)):
            first = first or found.seconds_a_megabyte
            grown = found.seconds_a_megabyte / first
            made.add_row(
                f"{kind}, {found.megabytes} MB", f"{found.seconds_a_megabyte:.3f} s", f"{grown:.2f}", f"{found.memory:.1f}"
            )
    return made


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--one", type=Path, metavar="FILE", help="one message, in this process; JSON")
    chosen = parser.parse_args()
    if chosen.one is None:
        Console().print(table())
    else:
        sys.stdout.write(json.dumps(one(chosen.one)))
