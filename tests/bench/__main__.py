"""`poe bench`: what we cost beside others, as ratios within one run; writes RESULTS.md and results.json.

Modules of this folder measure, each beside its peers, in turns; `tests.bench.goals` says what is to come out, `tests.bench.table` how
it is told. Nothing of it is a test: times on a shared machine prove nothing alone, which is why every figure has its spread.
"""

import argparse
import contextlib
import importlib
import importlib.util
import logging
import os
import platform
import signal
import sys
import time
import traceback
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import adapt, install, table

MODULES = ("domains", "dkim", "judging", "filters", "gate", "processes", "batches")
ADAPTED = {"domains": adapt.domains, "dkim": adapt.dkim}
HERE = Path(__file__).parent


def main():
    parser = argparse.ArgumentParser(prog="poe bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few rounds, some minutes")
    parser.add_argument(
        "--only", action="append", choices=MODULES, help="measure this alone (repeatable); then no file is written"
    )
    parser.add_argument("--install", action="store_true", help="install what is missing to measure beside, without asking")
    parser.add_argument("--out", type=Path, default=HERE, metavar="FOLDER", help="where the two files go")
    chosen = parser.parse_args()
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every server that runs is ended
    _say(install.install(asked=chosen.install or os.environ.get("DELIVCHECK_INSTALL") == "1"))
    rows, reasons = measured(chosen.only or MODULES, quick=chosen.quick)
    wanted, others = table.complete(rows, reasons)
    if chosen.only:
        wanted = [row for row in wanted if row.goal.module in chosen.only]
    _print(wanted, others)
    if not chosen.only:
        about = {"quick": chosen.quick, "machine": machine(), "versions": install.versions()}
        (chosen.out / "RESULTS.md").write_text(table.as_markdown(wanted, others, about))
        (chosen.out / "results.json").write_text(table.as_json(wanted, others, about))


def measured(names, *, quick):
    """All rows, and of each module that measures nothing the reason."""
    rows, reasons = [], dict.fromkeys(set(MODULES) - set(names), "not asked for")
    for name in names:
        begun = time.monotonic()
        if importlib.util.find_spec(f"tests.bench.{name}") is None:
            reasons[name] = f"no module tests.bench.{name}"
            continue
        measure = ADAPTED.get(name) or getattr(importlib.import_module(f"tests.bench.{name}"), "measure", None)
        if measure is None:
            reasons[name] = f"tests.bench.{name} does not measure yet"
            continue
        try:
            with contextlib.redirect_stdout(sys.stderr):  # standard output is the tables'
                for row in measure(quick):
                    rows.append(row)  # noqa: PERF402 -- those that came before a failure stay
        except Exception as error:  # noqa: BLE001 -- one that fails does not stop the others; the table says so
            traceback.print_exc()
            reasons[name] = f"tests.bench.{name} failed: {type(error).__name__}"
        _say(f"{name}: {time.monotonic() - begun:.0f} s")
    return rows, reasons


def machine():
    """In words that fit many."""
    return f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, {platform.python_implementation()}"


def _say(text):
    print(text, file=sys.stderr, flush=True)


def _print(*groups):
    for rows in filter(None, groups):
        shown = Table(*table.HEAD)
        for row in rows:
            shown.add_row(*(cell.replace("**", "") for cell in row.cells()))
        Console(width=None if sys.stdout.isatty() else 200).print(shown)


if __name__ == "__main__":
    main()
