"""Rows for the table of `poe bench` from modules that measure in values of their own, and have a command and a table of their own."""

import os
import statistics
from importlib import import_module

from tests.bench.goals import GOALS, MESSAGES
from tests.bench.table import Row

_GOALS = {goal.id: goal for goal in GOALS}
_DOMAINS = {  # how a figure's words begin: the goal
    "rounds of": "domain/rounds",
    "one domain, 20 ms away": "domain/checkdmarc",
    "the same, whole process": "domain/cli/checkdmarc",
    "the same, audits a second": "domains/rate",
    "the same, questions a domain": "domains/questions",
    "the same, CPU a domain": "domains/cpu",
}


def dkim(quick):
    """`tests.bench.dkim` gives seconds of CPU a message, and the ratios of its rounds."""
    absent = {}
    for one in import_module("tests.bench.dkim").measure(*(3,) if quick else (), absent=absent):
        work, size, how = one.what.partition(" / ")[0].removeprefix("DKIM ").split(", ")
        peer = one.what.partition(" / ")[2]
        name = f"dkim/{work}/{size.split()[0]}k/{peer}" + ("" if how.startswith("RSA") else f"/{how.lower()}")
        about = {"what": f"DKIM {work}, {size}, {how}", "unit": MESSAGES, "peer": peer}
        pairs = [(1 / one.ours, 1 / (one.ours * ratio)) for ratio in one.ratios]
        yield Row.rates(name, pairs, **({} if name in _GOALS else about))
    for goal in GOALS:
        if goal.module == "dkim" and goal.peer in absent:
            yield Row.missing(goal.id, absent[goal.peer])


def domains(quick):
    """`tests.bench.domains` gives what was measured each time. It keeps to one core; what is measured after it may have all again."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    try:
        found = import_module("tests.bench.domains").measure(*((1, 1) if quick else (5, 2)))
    finally:
        if cores is not None:
            os.sched_setaffinity(0, cores)
    for one in found:
        [name] = [goal for begin, goal in _DOMAINS.items() if one.what.startswith(begin)] or ["domains/checkdmarc"]
        pairs = list(zip(one.ours, one.theirs, strict=False))
        if name == "domains/checkdmarc":  # seconds for all of them
            yield Row.rates(name, [tuple(200 / seconds for seconds in pair) for pair in pairs])
        elif _GOALS[name].peer:
            yield Row.costs(name, pairs)
        else:
            yield Row.figures(name, one.ours, _beside(one))


def _beside(one):
    return f"checkdmarc {statistics.median(one.theirs):.3g}" if one.theirs else ""
