"""`python -m tests.bench.templates`: what `delivcheck template` costs for 200 templates, in processor time beyond its start.

Whole processes are measured, as CI runs them: one with all templates, and one with a template of each engine, whose difference is
what the other templates took. Both take turns, and the least of several rounds counts, since others on the machine only add.
Where the time goes is measured in one more process, by clocks around the functions named in PHASES. Nothing of it is a test.
`--quick` takes a fifth of the templates and one round.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import mails

WANTED = 1.0  # seconds for 200 templates
OF_EACH = 40  # templates, where engines are compared
COMMAND = (sys.executable, "-m", "delivcheck", "template", ".", "--class", "transactional", "--config", "delivcheck.toml")
PHASES = Path(__file__).with_name("phases.py")


@dataclass(frozen=True)
class Took:
    """What one process took: seconds of processor, its report, its phases."""

    seconds: float
    targets: tuple[dict, ...]
    phases: dict[str, float]


def run(folder, *options, phases=False):
    """Check all templates of a folder."""
    command = [sys.executable, str(PHASES), *COMMAND[3:]] if phases else [*COMMAND]
    report, told = folder.parent / "report.json", folder.parent / "phases.json"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [*command, *options, "--output", f"json={report}"],
        cwd=folder,
        env={**os.environ, "PHASES": str(told)},
        check=False,
        capture_output=True,
        text=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode in {0, 1, 4}, done.stderr
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Took(
        seconds,
        tuple(json.loads(report.read_text())["targets"]),
        json.loads(told.read_text()) if phases else {},
    )


def beyond(room, shares, rounds, *options):
    """The run with all templates that took least, and the seconds that it took beyond one with a template of each engine."""
    whole, start = room / "whole" / "mail", room / "start" / "mail"
    for folder, counts in ((whole, shares), (start, dict.fromkeys(shares, 1))):
        if not folder.exists():
            folder.mkdir(parents=True)
            mails.write(folder, counts)
    took, starts = [], []
    for _ in range(rounds):
        took.append(run(whole, *options))
        starts.append(run(start, *options).seconds)
    best = min(took, key=lambda one: one.seconds)
    return best, best.seconds - min(starts)


def ran(targets):
    """Of each target, how many rules ran."""
    return [target["counts"]["pass"] + target["counts"]["fail"] + target["counts"]["unknown"] for target in targets]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few templates, once: whether it runs at all")
    chosen = parser.parse_args()
    shares = {engine: max(count // (5 if chosen.quick else 1), 1) for engine, count in mails.SHARES.items()}
    rounds = 1 if chosen.quick else 5
    console = Console(width=160)
    with tempfile.TemporaryDirectory(prefix="delivcheck-bench-") as name:
        room = Path(name)
        _totals(console, room, shares, rounds)
        _engines(console, room, shares, rounds)
        _phases(console, room)


def _totals(console, room, shares, rounds):
    table = Table("templates", "seconds beyond the start", "wanted", "ms each", "start", "rules that ran", "least a template")
    count = sum(shares.values())
    for what, options in (("as they are (--no-fuzz)", ("--no-fuzz",)), ("also with missing, empty, long … values", ())):
        best, seconds = beyond(room / "all", shares, rounds if "--no-fuzz" in options else 1, *options)
        rules = ran(best.targets)
        assert len(rules) == count, len(rules)
        wanted = f"< {WANTED * count / 200:.2f}" if options else ""
        table.add_row(
            f"{count} {what}", f"{seconds:.2f}", wanted, f"{1000 * seconds / count:.1f}", f"{best.seconds - seconds:.2f}",
            f"{sum(rules):,}", str(min(rules)),
        )  # fmt: skip
    console.print(table)


def _engines(console, room, shares, rounds):
    table = Table("engine", "templates", "ms each, beyond the start")
    count = max(OF_EACH * sum(shares.values()) // 200, 2)
    for engine in shares:
        _, seconds = beyond(room / engine, {engine: count}, min(rounds, 3), "--no-fuzz")
        table.add_row(engine, str(count), f"{1000 * seconds / (count - 1):.1f}")
    console.print(table)


def _phases(console, room):
    whole = run(room / "all" / "whole" / "mail", "--no-fuzz", phases=True).phases
    start = run(room / "all" / "start" / "mail", "--no-fuzz", phases=True).phases
    table = Table("phase, all templates together", "ms beyond the start")
    for phase, seconds in sorted(whole.items(), key=lambda one: start.get(one[0], 0) - one[1]):
        table.add_row(phase, f"{1000 * (seconds - start.get(phase, 0)):.0f}")
    console.print(table)


if __name__ == "__main__":
    main()
