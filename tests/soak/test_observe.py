"""Observe mode harms nobody, whatever is out of order: Postfix takes all mail, and what was not judged is counted."""

import os
import re
import signal
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from tests.gate import world
from tests.mta import needs_postfix, postfix
from tests.soak.gates import configuration, figures, gate, listen, serving, settle
from tests.soak.queueing import Mail, Queue, Session
from tests.soak.resolver import resolver
from tests.soak.sink import sink

RATE = 100.0  # messages a second
WORKERS = 4
TXT = {"example.org TXT": '"v=spf1 ip4:192.0.2.25 -all"', "_dmarc.example.org TXT": '"v=DMARC1; p=none"'}
RECORDS = {**{key: value for key, value in world.RECORDS.items() if " TXT" not in key}, **TXT}


def mails(prefix, count):
    for number in range(count):
        yield Mail(f"{prefix}{number}", world.message(X_Number=f"{prefix}{number}"))


@contextmanager
def full_disk(folder):
    """A folder on a disk of its own that is full."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(folder)], check=False).returncode:
        pytest.skip("only root can have a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder):
    with suppress_full(), (folder / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1024))


@contextmanager
def suppress_full():
    try:
        yield
    except OSError as error:
        assert error.errno == 28


def judged_by_each(running):
    """How many messages each worker judged, out of its own file of metrics."""
    found = {}
    for pid in serving(running):
        (path,) = set(re.findall(r"/\S*/counter_w\d+\.db", Path(f"/proc/{pid}/maps").read_text()))
        collector = MultiProcessCollector(CollectorRegistry(), str(Path(path).parent))
        for metric in collector.merge([path]):
            for sample in metric.samples:
                if sample.name == "delivcheck_messages_total":
                    found[pid] = found.get(pid, 0) + int(sample.value)
    return found


@needs_postfix
@pytest.mark.attack(57, 59)
def test_whatever_fails_postfix_takes_all_mail(tmp_path, soak):
    seconds, watchdog = (20, 10) if soak else (1, 2)
    count = int(RATE * seconds)
    with (
        resolver(RECORDS) as names,
        sink(tmp_path) as hop,
        full_disk(tmp_path / "state") as state,
        # As the documentation has it; all else in it is the tests' own, none of it about milters.
        postfix({"smtpd_milters": "unix:delivcheck/milter.sock", "milter_default_action": "accept"}) as mta,
    ):
        path = configuration(
            tmp_path,
            listen("smtp"),
            listen("milter", "milter", f"unix:{mta.queue}/delivcheck/milter.sock", group="postfix"),
            hop=(hop.host, hop.port),
            workers=WORKERS,
            mode="observe",
            policy="bulk",
            nameserver=names.address,
            state=state,
            lines=f'watchdog = {watchdog}\negress = ["{world.IP}"]',
        )
        with gate(tmp_path, path, workers=WORKERS) as running:

            def load(name):
                client = Queue(mta.address, rate=RATE, sessions=60, per_session=1)
                client.run(mails(name, count), seconds * 3 + 120)
                settle(0.5)
                ids = {re.search(r"queued as (\w+)", text)[1] for text in client.said.values()}
                told = {one["queue_id"]: one for one in running.events("message")}
                bypassed = [one for one in ids & told.keys() if told[one]["bypass"]]
                warned = warnings(mta)
                figures(
                    name,
                    f"accepted={len(ids)} judged={len(ids & told.keys())} bypassed={len(bypassed)} warnings={len(warned)}",
                    f"longest={max(client.took):.2f} s, {count / client.lasted:.0f}/s",
                )
                assert (len(ids), client.refused, client.later) == (count, [], {})
                return ids - told.keys(), len(warned), client

            missed, warned, _ = load("quiet")
            assert (missed, warned) == (set(), 0)
            assert len(judged_by_each(running)) == WORKERS
            assert all(judged_by_each(running).values())

            names.silent = True
            if soak:
                missed, warned, _ = load("no-dns")
                assert (missed, warned) == (set(), 0)
            fill(state)
            if soak:
                missed, warned, _ = load("full-disk")
                assert (missed, warned) == (set(), 0)
            with Session(running.address("smtp")) as session:
                for one in mails("by-smtp", 10):
                    session.send(one)
            assert len(hop.taken) == 10
            assert len(running.events("bypass", cause="journal")) == 10

            stopped = min(serving(running))
            stop = threading.Timer(seconds / 3, os.kill, (stopped, signal.SIGSTOP))
            stop.start()
            missed, warned, _ = load("stopped")
            stop.join()
            # What the stopped worker had begun with, Postfix took by its default action, and said so; some of it was judged.
            assert len(missed) <= warned
            running.wait_for("worker", what="killed", pid=stopped)

            told = running.events("message")
            counted = running.metric("delivcheck_bypasses_total")
            # The worker that was killed may have told of its last message and not have counted it.
            assert counted in {written := sum(1 for one in told if one["bypass"]) + 10, written - 1}
            assert all(one["level"] == "warning" for one in told if one["bypass"])


def warnings(mta):
    return [line for line in mta.log().splitlines() if "warning: " in line and "milter" in line]
