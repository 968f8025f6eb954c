"""What judging one message costs: CPU time by size, beside the standard library's parser on the same octets.

    python -m tests.bench.judging            a table for newsletters and texts of 5, 30, 100 and 200 KB
    python -m tests.bench.judging --each 30  the facts and rules that take longest at 30 KB

All rules on, mails that are signed and all different, DNS in memory, everything warm. The two take turns; the ratio is what can be
compared between machines, and between a busy and a quiet minute of one. How time and memory grow to 25 MB: `tests.bench.linear`.
"""

import argparse
import asyncio
import email
import email.policy
import gc
import itertools
import logging
import statistics
import time
from ipaddress import ip_address

from rich.console import Console
from rich.table import Table

from delivcheck.api import Checker, Options
from delivcheck.costs import Costs
from delivcheck.facts.roots import Envelope, Session
from delivcheck.model import Verdict
from delivcheck.net.snapshot import from_mapping
from delivcheck.policy import load
from tests.bench import letters
from tests.bench.table import Row

SIZES = (5, 30, 100, 200)  # KB
ROUNDS = 40
SHOWN = 25  # facts and rules
TOLD = 8  # of each, in the table of `poe bench`


class Judge:
    """The whole rule book over one message after the other, as a gate has it: no report for people, no outlook."""

    def __init__(self, costs=None):
        self.costs = costs
        self._loop = asyncio.new_event_loop()  # no Runner: it takes the repr of what comes out, see api.check_message
        options = Options(load("bulk"), dns=from_mapping(letters.RECORDS))
        self._checker = Checker(options, shown={}, outlooks=False, costs=costs)
        self._envelope = Envelope(letters.SENDER, (letters.RECIPIENT,))
        self._session = Session(ip_address(letters.IP), letters.GATE, tls="TLSv1.3")

    def __call__(self, data):
        assert self.report(data).verdict is Verdict.PASS

    def report(self, data):
        return self._loop.run_until_complete(self._checker.message(data, envelope=self._envelope, session=self._session))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._loop.close()


def parse(data):
    """The yardstick: header fields and texts by `email`."""
    for part in email.message_from_bytes(data, policy=email.policy.default).walk():
        list(part.items())
        if not part.is_multipart():
            part.get_content()


def measure(quick):
    """Rows for `poe bench`: beside the yardstick, the costliest rule, and how it grows."""
    rounds = ROUNDS // 4 if quick else ROUNDS
    for kind, size in itertools.product(letters.KINDS, SIZES):
        found = [(1000 * a, 1000 * b) for a, b in pairs(size, rounds, kind)]
        about = {"what": f"judge a signed {kind}, {size} KB", "unit": "ms CPU", "peer": "email.policy.default", "cost": True}
        yield Row.costs(f"judging/{kind}/{size}k/email", found, **about)
    facts, rules = costs(30, rounds)
    costliest = max(rules, key=rules.get)
    yield Row.figures("check/rule", [rules[costliest] * 1e6], costliest)
    for kind, each in (("fact", facts), ("rule", rules)):
        for place, name in enumerate(sorted(each, key=each.get, reverse=True)[:TOLD], 1):
            about = {"what": f"where 30 KB take time: {kind} {name}", "unit": "µs"}
            yield Row.figures(f"judging/{kind}/{place}", [each[name] * 1e6], **about)
    yield from _grown(quick)


def _grown(quick):
    from tests.bench import linear  # it takes the Judge from here

    sizes = (1, 25) if quick else linear.MEGABYTES
    found = list(linear.measure(sizes, rounds=1 if quick else linear.ROUNDS))
    growths = {kind: linear.growth(found, kind) for kind in letters.KINDS}
    worst = max(growths, key=growths.get)
    yield Row.figures("check/linear", [growths[worst]], worst)
    most = max(found, key=lambda one: one.memory)
    yield Row.figures("check/memory", [most.memory], f"{most.kind}, {most.megabytes} MB")


def pairs(kilobytes, rounds=ROUNDS, kind="newsletter"):
    """Seconds of CPU for judging and for parsing, message by message."""
    each = letters.letters(kilobytes, rounds + 5, make=letters.KINDS[kind])
    times = []
    with Judge() as judge:
        for data in each[rounds:]:
            judge(data), parse(data)
        gc.collect()
        gc.freeze()  # as the gate's workers do
        try:
            for data in each[:rounds]:
                begun = time.process_time()
                judge(data)
                between = time.process_time()
                parse(data)
                times.append((between - begun, time.process_time() - between))
        finally:
            gc.unfreeze()
    return times


def costs(kilobytes, rounds=ROUNDS, kind="newsletter"):
    """Seconds of each fact's provider and of each rule, in the quicker rounds; nothing is recalled from one to the next."""
    with Judge(Costs()) as judge:
        for data in letters.letters(kilobytes, rounds + 1, make=letters.KINDS[kind]):
            judge(data)
        found = judge.costs.facts, judge.costs.rules
    return [{one.name: one.us / 1e6 for one in each} for each in found]


def table_of_sizes():
    """Ours beside the yardstick."""
    table = Table("message", "judged in", "parsed by email in", "ratio", "least", "most")
    for kind, size in itertools.product(letters.KINDS, SIZES):
        times = pairs(size, kind=kind)
        ours, theirs = (statistics.median(side) for side in zip(*times, strict=True))
        ratios = sorted(a / b for a, b in times)
        figures = (statistics.median(ratios), ratios[0], ratios[-1])
        table.add_row(
            f"{kind}, {size} KB", f"{ours * 1000:.2f} ms", f"{theirs * 1000:.2f} ms", *(f"{one:.2f}" for one in figures)
        )
    return table


def table_of_costs(kilobytes):
    """The costliest facts and rules."""
    table = Table("fact", "µs", "rule", "µs")
    columns = [sorted(one.items(), key=lambda pair: -pair[1]) for one in costs(kilobytes)]
    for row in itertools.islice(zip(*columns, strict=False), SHOWN):
        table.add_row(*(cell for name, took in row for cell in (name, f"{took * 1e6:.0f}")))
    table.add_section()
    table.add_row(*(cell for one in columns for cell in (f"all {len(one)}", f"{sum(took for _, took in one) * 1e6:.0f}")))
    return table


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--each", type=int, metavar="KB", help="what each fact and each rule takes of a message of this size")
    chosen = parser.parse_args()
    Console().print(table_of_sizes() if chosen.each is None else table_of_costs(chosen.each))
