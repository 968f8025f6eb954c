"""`python -m tests.bench.gate`: the gate beside pymilter, rspamd, and aiosmtpd with aiosmtplib; its latency and its processor time.

As `tests.bench`: both sides take turns in one run, ratios are pair by pair, and nothing of it is a test. The processes are real
ones (`delivcheck gate` with its log, metrics and journal; Postfix with its queue in memory), the messages newsletters of about 10
and 100 KB. `--quick` takes few, `--only WORD` the rows with that word.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests import keys
from tests.bench import load, peers
from tests.bench.letters import DOMAIN, IP, KEY, RECIPIENT, RECORDS, SELECTOR, SENDER, letters
from tests.servers import program
from tests.soak import gates

SESSIONS = 10
SIZES = (10, 100)  # KB
MEMORY = Path("/dev/shm")  # Postfix's queue: its disk is not what is measured
PER_SECOND = {10: 100, 100: 20}  # messages of so many KB, where latency is measured
_ALL_ON = f"""
[[gate.sign]]
domain = "{DOMAIN}"
selector = "{SELECTOR}"
key-file = "key.pem"
[gate.prepare]
list-unsubscribe = "https://www.{DOMAIN}/u?t={{trace}}"
feedback-id = "17:news:harbour"
fields.X-Entity-Ref-ID = "{{trace}}"
"""


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    rounds: int = 5
    messages: int = 2_000  # of 10 KB, without rules; a fifth of 100 KB or with all rules

    def count(self, kilobytes, *, rules=False):
        return self.messages // (1 if kilobytes < 50 else 3) // (5 if rules else 1)


# --- ours --------------------------------------------------------------------------------------------------------------


@contextmanager
def gate(folder, *listeners, policy="off.toml", **settings):
    """`delivcheck gate`; gives what runs, and the pids of its workers."""
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "off.toml").write_text(f'extends = "bulk"\n[rules]\n{gates.all_off()}\n')
    (folder / "key.pem").write_bytes(keys.pem(KEY))
    (folder / "key.pem").chmod(0o600)
    path = gates.configuration(folder, *listeners, policy=policy, **settings)
    with gates.gate(folder, path, workers=settings.get("workers", 2)) as running:
        yield running, sorted(running.workers())


def one_listener(path):
    """A milter on a UNIX socket that Postfix can use."""
    return gates.listen("milter", kind="milter", address=f"unix:{path}", socket_mode="0666")


# --- rows --------------------------------------------------------------------------------------------------------------


def take_turns(rounds, *works):
    """What each work gives, round by round; the first round warms up and does not count."""
    for work in works:
        work()
    return [[work() for work in works] for _ in range(rounds)]


def through_postfix(mta, messages):
    """Messages a second, sent by our own client: no two are the same."""
    sent = load.smtp(mta.address, messages, sessions=SESSIONS)
    assert not sent.refused, sent.refused[:3]
    return sent.rate


def with_smtp_source(address, octets, count, folder):
    """Messages a second, sent by smtp-source: one message again and again, several in a connection."""
    file = folder / f"letter{len(octets)}"
    file.write_bytes(octets.replace(b"\r\n", b"\n"))
    where = "inet:{}:{}".format(*address)
    options = ["-d", "-s", str(SESSIONS), "-m", str(count), "-f", SENDER, "-t", RECIPIENT, "-F", str(file)]
    begun = time.perf_counter()
    subprocess.run([program("smtp-source"), *options, where], check=True, capture_output=True)
    return count / (time.perf_counter() - begun)


def to_milter(path, messages):
    """Messages a second over the milter protocol itself."""
    sent = load.milter(str(path), messages, sessions=SESSIONS)
    assert not sent.refused, sent.refused[:3]
    return sent.rate


def milter_without_rules(scale, folder):
    """Against pymilter: without Postfix, and behind one each; with a worker for each processor as it comes, and with one."""
    for workers in (os.cpu_count() or 1, 1):
        yield from _without_rules(scale, folder / f"by{workers}", workers)


def _without_rules(scale, folder, workers):
    from tests.mta import postfix

    folder.mkdir(mode=0o755)
    by = f"{workers} worker{'s' * (workers > 1)}"

    with ExitStack() as stack:
        ours = stack.enter_context(postfix({"smtpd_milters": "unix:delivcheck/milter.sock"}))
        theirs = stack.enter_context(postfix({"smtpd_milters": "unix:delivcheck/milter.sock"}))
        bare = stack.enter_context(postfix())
        own, their = (one.queue / "delivcheck" / "milter.sock" for one in (ours, theirs))
        _, pids = stack.enter_context(gate(folder / "gate", one_listener(own), workers=workers))
        their_pids = stack.enter_context(peers.pymilter(folder, their))
        for kilobytes in SIZES:
            messages = load.many(letters(kilobytes, 100), scale.count(kilobytes))
            found, ticks = counted(
                [pids, their_pids], scale, partial(to_milter, own, messages), partial(to_milter, their, messages)
            )
            yield f"milter, no rules, {kilobytes} KB, {by} / pymilter", found, 1, ticks
        for kilobytes in SIZES:
            octets, count = letters(kilobytes, 1)[0], scale.count(kilobytes)
            works = [partial(with_smtp_source, mta.address, octets, count, folder) for mta in (ours, theirs, bare)]
            found, ticks = counted([pids, their_pids, ()], scale, *works)
            yield f"the same behind Postfix, {kilobytes} KB, {by} / pymilter", found, 1, ticks
            yield f"the same behind Postfix, {kilobytes} KB, {by} / Postfix alone", [(a, c) for a, _, c in found], None, ticks


def milter_with_all_rules(scale, folder):
    """Against rspamd, two workers each."""
    from tests.mta import postfix

    with ExitStack() as stack:
        ours = stack.enter_context(postfix({"smtpd_milters": "unix:delivcheck/milter.sock"}))
        theirs = stack.enter_context(postfix({"smtpd_milters": "unix:delivcheck/milter.sock"}))
        dns = stack.enter_context(peers.name_server(folder / "dns", RECORDS))
        nothing = stack.enter_context(peers.name_server(folder / "nothing", {}))
        own, their = (one.queue / "delivcheck" / "milter.sock" for one in (ours, theirs))
        settings = {"policy": "bulk", "nameserver": dns, "lines": f'egress = ["{IP}"]'}
        running, pids = stack.enter_context(gate(folder / "gate", one_listener(own), **settings))
        their_pids = stack.enter_context(peers.rspamd(folder / "rspamd", their, nothing))
        for kilobytes in SIZES:
            messages = letters(kilobytes, scale.count(kilobytes, rules=True))
            works = [partial(through_postfix, mta, messages) for mta in (ours, theirs)]
            found, ticks = counted([pids, their_pids], scale, *works)
            yield f"milter, all rules, behind Postfix, {kilobytes} KB / rspamd", found, 3, ticks
        all_judged(running)


def smtp_without_rules(scale, folder):
    """Against aiosmtpd with aiosmtplib, before smtp-sink; with a worker for each processor as it comes, and with one."""
    for workers in (os.cpu_count() or 1, 1):
        yield from _smtp(scale, folder / f"by{workers}", workers)


def _smtp(scale, folder, workers):
    folder.mkdir(mode=0o755)
    by = f"{workers} worker{'s' * (workers > 1)}"
    with ExitStack() as stack:
        sink = stack.enter_context(peers.sink(folder))
        running, pids = stack.enter_context(gate(folder / "gate", gates.listen("smtp"), hop=sink, workers=workers))
        theirs, their_pids = stack.enter_context(peers.relay(folder, sink))
        for kilobytes in SIZES:
            octets, count = letters(kilobytes, 1)[0], scale.count(kilobytes)
            works = [partial(with_smtp_source, one, octets, count, folder) for one in (running.address("smtp"), theirs)]
            found, ticks = counted([pids, their_pids], scale, *works)
            yield f"SMTP, no rules, {kilobytes} KB, {by} / aiosmtpd and aiosmtplib", found, 2, ticks


def latency(scale, folder):
    """Everything on, at a given rate, against the sink alone: milliseconds, not messages a second."""
    with ExitStack() as stack:
        sink = stack.enter_context(peers.sink(folder))
        dns = stack.enter_context(peers.name_server(folder / "dns", RECORDS))
        settings = {"policy": "bulk", "nameserver": dns, "lines": f'egress = ["{IP}"]', "more": _ALL_ON, "hop": sink}
        running, pids = stack.enter_context(gate(folder / "gate", gates.listen("smtp"), **settings))
        for kilobytes in SIZES:
            messages = letters(kilobytes, scale.count(kilobytes, rules=True), signed=False)

            def paced(address, messages=messages, rate=PER_SECOND[kilobytes]):
                sent = load.smtp(address, messages, sessions=SESSIONS, rate=rate)
                assert not sent.refused, sent.refused[:3]
                return sent.worst(0.5) * 1000, sent.worst(0.99) * 1000

            rounds, spent = [], 0.0
            for count in range(scale.rounds + 1):
                before = peers.cpu(pids)
                with_gate = paced(running.address("smtp"))
                spent += (peers.cpu(pids) - before) * bool(count)
                rounds += [(with_gate, paced(sink))] if count else []
            added = [(a[0] - b[0], a[1] - b[1]) for a, b in rounds]
            yield f"{PER_SECOND[kilobytes]} of {kilobytes} KB a second", added, spent / len(messages) / scale.rounds * 1000
        all_judged(running)


def counted(processes, scale, *works):
    """The rounds, and for each of the works the milliseconds of processor that its processes had for a message."""
    spent, sent = [0.0] * len(works), [0.0] * len(works)

    def watched(number):
        before, begun = peers.cpu(processes[number]), time.perf_counter()
        rate = works[number]()
        spent[number] += peers.cpu(processes[number]) - before
        sent[number] += rate * (time.perf_counter() - begun)
        return rate

    found = take_turns(scale.rounds, *(partial(watched, number) for number in range(len(works))))
    return found, [1000 * a / b for a, b in zip(spent, sent, strict=True)]


def all_judged(running):
    """Only mail that was judged, and passed, tells anything about what judging costs."""
    other = [one for one in running.events("message") if one["action"] != "send" or one["bypass"] or one["rules"]]
    assert not other, other[0]
    assert not running.events("fault"), running.events("fault")[0]


# --- telling -----------------------------------------------------------------------------------------------------------

NEEDS = {  # what each measurement needs, by its name on the command line
    "pymilter": (milter_without_rules, ("Milter", "postfix", "smtp-source")),
    "rspamd": (milter_with_all_rules, ("rspamd", "postfix", "nsd")),
    "aiosmtpd": (smtp_without_rules, ("aiosmtpd", "aiosmtplib", "smtp-source", "smtp-sink")),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few messages: whether it runs at all")
    parser.add_argument("--only", choices=[*NEEDS, "latency"], help="one measurement")
    chosen = parser.parse_args()
    scale = Scale(2, 300) if chosen.quick else Scale()
    tempfile.tempdir = str(MEMORY) if MEMORY.is_dir() else None  # tests.mta makes its folders there
    for name, (rows, needs) in NEEDS.items():
        if chosen.only not in {None, name}:
            continue
        if lacking := peers.there(*needs):
            print(f"not beside {name}: {', '.join(lacking)} missing", file=sys.stderr)
            continue
        table = Table("messages a second", "ours", "theirs", "ratio", "least", "most", "wanted", "ms CPU: ours", "theirs")
        with room() as folder:
            for what, found, wanted, ticks in rows(scale, folder):
                table.add_row(*_row(what, found, wanted, ticks))
        Console(width=180).print(table)
    if chosen.only in {None, "latency"}:
        if lacking := peers.there("smtp-sink", "nsd"):
            print(f"no latency: {', '.join(lacking)} missing", file=sys.stderr)
            return
        table = Table("added, with everything on", "p50 ms", "p99 ms", "least", "most", "ms CPU a message")
        with room() as folder:
            for what, added, spent in latency(scale, folder):
                worst = sorted(one[1] for one in added)
                middle = statistics.median(one[0] for one in added)
                table.add_row(what, *(f"{x:.1f}" for x in (middle, statistics.median(worst), worst[0], worst[-1], spent)))
        Console(width=180).print(table)


def _row(what, found, wanted, ticks):
    ratios = sorted(one[0] / one[1] for one in found)
    ours, theirs = (statistics.median(one[at] for one in found) for at in (0, 1))
    numbers = [f"{ours:.0f}", f"{theirs:.0f}", *(f"{x:.2f}" for x in (statistics.median(ratios), ratios[0], ratios[-1]))]
    return [what, *numbers, f"≥ {wanted}" if wanted else "", f"{ticks[0]:.2f}", f"{ticks[1]:.2f}" if wanted else ""]


@contextmanager
def room():
    """A folder on the disk, for the journal is to be as slow as it is."""
    folder = Path(tempfile.mkdtemp(prefix="delivcheck-bench-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
