"""`delivcheck` with clocks around what it does; writes the seconds of each phase to the file that $PHASES names.

A process of its own, started by `tests.bench.templates`. A phase's time is without that of the phases inside it.
"""

import json
import os
import sys
import time
from collections import Counter
from functools import wraps
from pathlib import Path

from delivcheck import checker, engine
from delivcheck.cli import main
from delivcheck.templates import examine, message, run
from delivcheck.templates.engines import registry

_clock = time.process_time
_seconds = Counter()
_inside = []


def timed(phase, function):
    """The function with a clock around it."""

    @wraps(function)
    def work(*args, **kwargs):
        begun = _clock()
        _inside.append(0.0)
        try:
            return function(*args, **kwargs)
        finally:
            took = _clock() - begun
            _seconds[phase] += took - _inside.pop()
            if _inside:
                _inside[-1] += took

    return work


def watch():
    """Put clocks in."""
    engine._call = timed("check: make the facts", engine._call)
    checker.run = timed("check: run the rules", checker.run)
    checker.parse = timed("check: take the message apart", checker.parse)
    message.build = timed("put the message together", message.build)
    run.Run._data = timed("read the data", run.Run._data)
    run.Run.prepare = timed("find and read", run.Run.prepare)
    examine.undeclared = timed("check: variables that no data has", examine.undeclared)
    made = registry._make

    def make(name, host):
        one = made(name, host)
        one.variables = timed(f"{name}: what it reads", one.variables)
        one.render = timed(f"{name}: render", one.render)
        return one

    registry._make = make


if __name__ == "__main__":
    watch()
    begun = _clock()
    code = main(sys.argv[1:])
    _seconds["all else"] = _clock() - begun - sum(_seconds.values())
    Path(os.environ["PHASES"]).write_text(json.dumps(_seconds))
    sys.exit(code)
