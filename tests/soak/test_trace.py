"""The whole gate is killed at random moments, and started again: the trace still knows what became of every message."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from delivcheck.trace import schema
from delivcheck.trace.store import Store
from tests import servers
from tests.mta import wait_until
from tests.soak.gates import configuration, figures, listen
from tests.soak.queueing import Mail, Queue
from tests.soak.sink import sink


class Whole:
    """A gate with all its processes, which are killed together, and started again at the same address."""

    def __init__(self, path, log):
        self._path, self._log, self._process, self.deaths = path, log, None, 0
        self._lock = threading.Lock()

    def start(self):
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "delivcheck", "gate", "--config", str(self._path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self):
        with self._lock:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self.deaths += 1
            self.start()

    def stop(self):
        self._process.terminate()
        self._process.wait(60)


@contextmanager
def killed_at_random(gate, times, dice, within):
    """So many times, from `within` seconds after the last time on, as soon as the gate is up again."""
    over = threading.Event()

    def work():
        for _ in range(times):
            if over.wait(dice.uniform(*within)):
                return
            gate.kill()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def mails(count):
    for number in range(count):
        head = f"From: a@example.org\r\nTo: pat@example.net\r\nSubject: n{number}\r\nMessage-ID: <{number}@example.org>\r\n"
        yield Mail(str(number), (f"{head}X-Number: {number}\r\n\r\n" + os.urandom(200).hex() + "\r\n").encode())


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/state/trace.sqlite"
        return
    cluster = request.getfixturevalue("postgres")
    name = cluster.create()
    yield cluster.url(name)
    cluster.drop(name)


@pytest.mark.attack(53, 58)
def test_every_message_that_the_next_hop_has_is_sent_or_uncertain_in_the_trace(tmp_path, soak, url):
    count, rate, kills, within = (5_000, 60.0, 20, (2.0, 6.0)) if soak else (150, 60.0, 2, (0.5, 1.0))
    sent = list(mails(count))
    host = servers.loopback()
    address = (host, servers.free_port(host))
    with sink(tmp_path, delay=0.005) as hop:
        listener = listen("smtp", address=f"{host}:{address[1]}", received=False)
        more = f'[gate.trace]\nurl = "{url}"\n'
        path = configuration(tmp_path, listener, hop=(hop.host, hop.port), more=more)
        gate = Whole(path, tmp_path / "log")
        gate.start()
        client = Queue(address, rate=rate, sessions=1)
        with killed_at_random(gate, kills, random.Random(7), within):
            client.run(sent, count / rate * 6 + 120)
        store = Store(url)
        wait_until(lambda: _settled(store, hop), lambda: f"{_missing(store, hop)} are not in the trace")
        gate.stop()
        came = hop.taken
        told = _told(store)
        again = {sha256: times - 1 for sha256, times in Counter(one.sha256 for one in came).items() if times > 1}
        figures(
            url.partition(":")[0],
            acknowledged=len(client.acknowledged),
            kills=gate.deaths,
            duplicates=sum(again.values()),
            uncertain=sum("uncertain" in kinds for kinds, _ in told.values()),
        )
    assert len(client.acknowledged) == count
    assert set(client.acknowledged) == {one.number for one in came}
    assert {one.sha256 for one in came if not told[one.sha256][0] & {"sent", "uncertain"}} == set()
    assert sum(again.values()) <= gate.deaths
    assert {one for one, times in again.items() if told[one][1] < times} == set()
    store.close()


def _told(store):
    """By SHA-256: the kinds of what happened to a message, and how many attempts say that they repeat another."""
    found = {}
    with store.read() as db:
        rows = db.execute(
            sa.select(schema.message.c.sha256, schema.message.c.id, schema.event.c.kind, schema.event.c.detail).join(
                schema.event, schema.event.c.message == schema.message.c.id
            )
        ).all()
    repeats = {}
    for sha256, trace, kind, detail in rows:
        found.setdefault(sha256, set()).add(kind)
        if json.loads(detail).get("repeats"):
            repeats.setdefault(sha256, set()).add(trace)
    return {one: (kinds, len(repeats.get(one, ()))) for one, kinds in found.items()}


def _missing(store, hop):
    told = _told(store)
    return [one.number for one in hop.taken if not told.get(one.sha256, (set(), 0))[0] & {"sent", "uncertain"}]


def _settled(store, hop):
    time.sleep(0.2)
    return not _missing(store, hop)
