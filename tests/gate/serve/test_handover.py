"""One gate after another at the same addresses: no client sees that."""

import os
import signal
import socket
import stat
import threading
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import servers
from tests.gate.serve.running import Client, gate
from tests.soak.gates import figures

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="Linux alone sends connections to a successor")

CLIENTS = 4


def free_address():
    host = servers.loopback()
    return f"{host}:{servers.free_port(host)}"


def folder(tmp_path, name):
    made = tmp_path / name
    made.mkdir()
    return made


def connected(address):
    if isinstance(address, str):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(20)
        try:
            sock.connect(address)
        except OSError:
            sock.close()
            raise
        return Client(sock)
    return Client(socket.create_connection(address, 20))


class Load:
    """Clients that connect, ask for the worker's process and hang up, again and again; every other end is an error."""

    def __init__(self, *addresses):
        self._over = threading.Event()
        self.answers, self.errors = Counter(), []
        self._threads = [threading.Thread(target=self._work, args=(one,)) for one in addresses for _ in range(CLIENTS)]

    def _work(self, address):
        while not self._over.is_set():
            try:
                with connected(address) as client:
                    self.answers[int(client.say("PID"))] += 1
            except (OSError, ValueError) as error:
                self.errors.append(f"{address}: {type(error).__name__} {error}")

    def __enter__(self):
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for one in self._threads:
            one.join()


def stopped(running):
    running.signal(signal.SIGTERM)
    assert running.ended() == 0


def test_a_successor_takes_over_under_load_and_no_connection_fails(tmp_path, soak):
    address, path = free_address(), tmp_path / "gate.sock"
    host, _, port = address.partition(":")
    settings = {"listeners": {"a": address, "u": f"unix:{path}"}, "reuse_port": True, "socket_mode": 0o666}
    rolls = 20 if soak else 3
    with ExitStack() as gates:
        old = gates.enter_context(gate(folder(tmp_path, "0"), **settings))
        with Load((host, int(port)), str(path)) as load:
            for number in range(rolls):
                new = gates.enter_context(gate(folder(tmp_path, str(number + 1)), **settings))
                mine = new.workers()
                stopped(old)
                before = sum(load.answers[pid] for pid in mine)
                new.wait(lambda: sum(load.answers[pid] for pid in mine) > before, "an answer of the successor")  # noqa: B023 -- called here
                assert stat.S_IMODE(path.stat().st_mode) == 0o666
                old = new
    figures("handover", rolls=rolls, connections=sum(load.answers.values()), errors=len(load.errors))
    assert load.errors == []
    assert sum(load.answers.values()) > 100 * rolls


def test_who_waits_in_the_queue_of_the_one_that_goes_is_answered_by_it(tmp_path):
    address, path = free_address(), tmp_path / "gate.sock"
    host, _, port = address.partition(":")
    settings = {"listeners": {"a": address, "u": f"unix:{path}"}, "reuse_port": True, "drain": 10.0}
    with gate(folder(tmp_path, "old"), **settings) as old:
        workers = old.workers()
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        waiting = [connected(one) for one in ((host, int(port)), str(path)) for _ in range(20)]
        with gate(folder(tmp_path, "new"), **settings) as new:
            old.signal(signal.SIGTERM)
            old.wait_for("worker", what="drain", pid=old.process.pid)
            with connected((host, int(port))) as client, connected(str(path)) as other:
                assert {int(client.say("PID")), int(other.say("PID"))} <= new.workers()
            for pid in workers:
                os.kill(pid, signal.SIGCONT)
            assert {int(one.say("PID")) for one in waiting} <= workers
            for one in waiting:
                one.__exit__()
            assert old.ended() == 0


def test_a_successor_that_cannot_serve_takes_no_connection(tmp_path):
    address, path = free_address(), tmp_path / "gate.sock"
    host, _, port = address.partition(":")
    settings = {"listeners": {"a": address, "u": f"unix:{path}"}, "reuse_port": True}
    with gate(folder(tmp_path, "old"), **settings) as old, Load((host, int(port)), str(path)) as load:
        with gate(folder(tmp_path, "new"), ready=False, build="error", **settings) as new:
            assert new.ended() == 2
        before = sum(load.answers.values())
        old.wait(lambda: sum(load.answers.values()) > before + 20, "answers")
    assert load.errors == []
    assert list(tmp_path.glob(".gate.sock*")) == []


def test_a_file_that_is_no_socket_is_not_replaced(tmp_path):
    path = tmp_path / "gate.sock"
    path.write_text("precious")
    with gate(folder(tmp_path, "one"), ready=False, listeners={"u": f"unix:{path}"}, reuse_port=True) as running:
        assert running.ended() == 2
    assert path.read_text() == "precious"


def test_both_must_say_so(tmp_path):
    address = free_address()
    with gate(folder(tmp_path, "old"), listeners={"a": address}):
        new = folder(tmp_path, "new")
        with gate(new, ready=False, listeners={"a": address}, reuse_port=True) as running:
            assert running.ended() == 2
        assert f"{address}: address already in use" in running.stderr.read_text()


def test_a_stop_is_told_before_connections_are_taken_no_more(tmp_path):
    host = servers.loopback()
    with gate(tmp_path, listeners={"a": f"{host}:0"}, admin=f"{host}:0", notice=2.0) as running:
        address = running.address("a")
        assert running.get("/ready") == (200, "ready\n")
        running.signal(signal.SIGTERM)
        running.wait(lambda: running.get("/ready") == (503, "draining\n"), "draining")
        with connected(address) as client:
            assert int(client.say("PID"))
        assert running.ended() == 0
        with pytest.raises(ConnectionRefusedError):
            connected(address)
