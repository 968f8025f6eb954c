"""The gate as it is run: `delivcheck gate` with a configuration, a client and a next hop on loopback."""

import asyncio
import os
import signal
import smtplib
import socket
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from delivcheck.gate.held import HeldStore
from delivcheck.gate.settings import Hold
from tests import servers
from tests.gate.next_hop import NextHop, Slow
from tests.gate.serve.running import gate
from tests.gate.test_held import OCTETS, hold

MESSAGE = b"From: a@example.org\r\nTo: b@example.net\r\nSubject: one\r\n\r\nhello\r\n"


def configuration(folder, hop_port, *, gate_lines="", listen_lines="", more=""):
    state = folder / "state"
    state.mkdir(exist_ok=True)
    host = servers.loopback()
    path = folder / "delivcheck.toml"
    path.write_text(f"""
nameservers = ["{host}:{servers.free_port(host)}"]
[gate]
name = "gate.example.com"
mode = "observe"
state = "{state}"
workers = 2
log-format = "json"
log-level = "debug"
admin = "{host}:0"
{gate_lines}
[[gate.listen]]
name = "smtp"
kind = "smtp"
address = "{host}:0"
trusted = ["127.0.0.0/8"]
{listen_lines}
[[gate.next-hop]]
name = "out"
address = "{host}:{hop_port}"
security = "none"
{more}
""")
    return path


@contextmanager
def real(folder, path, *, ready=True):
    with gate(folder, arguments=["gate", "--config", str(path)], ready=ready, workers=2) as running:
        yield running


@contextmanager
def next_hop(**options):
    """A next hop in a thread of its own, so that tests can wait."""
    loop, hop = asyncio.new_event_loop(), NextHop(**options)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(hop.start(), loop).result(10)
        try:
            yield hop
        finally:
            asyncio.run_coroutine_threadsafe(hop.stop(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def send(address, octets=MESSAGE):
    client = smtplib.SMTP(*address, timeout=10)
    try:
        return client.sendmail("a@example.org", ["b@example.net"], octets)
    finally:
        client.close()


def test_a_message_goes_through_and_is_counted_and_logged(tmp_path):
    with next_hop() as hop, real(tmp_path, configuration(tmp_path, hop.port)) as running:
        assert send(running.address("smtp")) == {}
        (got,) = hop.messages
        assert got.octets.endswith(b"Subject: one\r\n\r\nhello\r\n")
        (told,) = running.wait_for("message")
        assert (told["action"], told["listener"], told["mode"]) == ("send", "smtp", "observe")
        (sent,) = running.wait_for("sent")
        assert (sent["what"], sent["trace"]) == ("accepted", told["trace"])
        assert running.metric("delivcheck_messages_total", listener="smtp") == 1
        assert running.metric("delivcheck_sent_total", code_class="2xx") == 1
        assert running.get("/ready") == (200, "ready\n")


def test_how_much_is_held_is_told_as_it_is_and_whoever_took_it_away(tmp_path):
    path = configuration(tmp_path, 9, more="[gate.hold]\nkeep-days = 30")
    with real(tmp_path, path) as running:
        assert running.metric("delivcheck_held_messages") == 0
        store = HeldStore(tmp_path / "state", Hold())
        entries = [hold(store) for _ in range(2)]
        assert running.metric("delivcheck_held_messages") == 2
        assert running.metric("delivcheck_held_octets") > 2 * len(OCTETS)
        store.discard(entries[0].trace)
        assert running.metric("delivcheck_held_messages") == 1
        assert "# TYPE delivcheck_held_messages gauge" in running.get("/metrics")[1]


def test_a_start_and_a_reload_say_which_configuration_is_in_force(tmp_path):
    path = configuration(tmp_path, 9)
    with real(tmp_path, path) as running:
        (told,) = running.wait_for("configuration", what="loaded")
        assert (told["level"], told["reason"]) == ("info", f"{path} is in force, workers: 2")
        path.write_text(path.read_text().replace("workers = 2", "workers = 1"))
        running.signal(signal.SIGHUP)
        told = running.wait_for("configuration", 2, what="loaded")[-1]
        assert told["reason"] == f"{path} was read again and is in force, workers: 1"
        running.wait(lambda: running.get("/ready") == (200, "ready\n"), "ready by the new ones")
        path.write_text("[gate]\n")
        running.signal(signal.SIGHUP)
        running.wait_for("configuration", what="refused")
        assert len(running.events("configuration", what="loaded")) == 2


@pytest.mark.attack(68)
def test_what_a_client_says_cannot_write_log_lines_of_its_own(tmp_path):
    with next_hop() as hop, real(tmp_path, configuration(tmp_path, hop.port)) as running:
        with socket.create_connection(running.address("smtp"), 10) as client, client.makefile("rb") as file:
            file.readline()
            for line in (b"EHLO x\x1b[2J\r\n", b'MAIL FROM:<"a\rlevel=error"@x>\r\n', b"\xff\x9b31m\r\n", b"QUIT\r\n"):
                client.sendall(line)
            file.read()
        send(running.address("smtp"), MESSAGE.replace(b"\r\n\r\n", b"\r\nMessage-ID: <\x1b]0;x\x07\xc2\x9b@x>\r\n\r\n", 1))
        running.wait_for("message")
        running.signal(signal.SIGTERM)
        running.ended()
        text = running.stderr.read_text()
        assert all(line.startswith('{"time":') and line.isprintable() for line in text.split("\n") if line)


@pytest.mark.attack(61)
def test_a_stop_waits_for_the_next_hop_s_answer(tmp_path):
    with (
        next_hop(says={"DOT": Slow(1.0, "250 2.0.0 queued")}) as hop,
        real(tmp_path, configuration(tmp_path, hop.port)) as running,
        ThreadPoolExecutor(10) as pool,
    ):
        sending = [pool.submit(send, running.address("smtp")) for _ in range(10)]
        running.wait_for("message", 10)
        running.signal(signal.SIGTERM)
        assert [one.result(10) for one in sending] == [{}] * 10
        assert running.ended() == 0
        assert len(hop.messages) == 10


# SMFIC_OPTNEG, version 6, all actions, all steps; the answer is one packet of thirteen octets
NEGOTIATION = struct.pack("!IcIII", 13, b"O", 6, 0x1FF, 0x1FFFFF)


def test_a_milter_is_served_on_a_unix_socket_and_drained(tmp_path):
    path = tmp_path / "milter.sock"
    listen = f'[[gate.listen]]\nname = "milter"\nkind = "milter"\naddress = "unix:{path}"'
    with real(tmp_path, configuration(tmp_path, 9, listen_lines=listen)) as running, socket.socket(socket.AF_UNIX) as mta:
        mta.connect(str(path))
        mta.settimeout(10)
        mta.sendall(NEGOTIATION)
        assert mta.recv(4096)[4:5] == b"O"
        running.wait_for("connection", listener="milter", what="open")
        running.signal(signal.SIGTERM)
        assert mta.recv(4096) == b""
        assert running.ended() == 0


@pytest.mark.attack(48)
def test_a_flood_of_connections_hears_421_and_those_after_it_are_served(tmp_path):
    limits = "[gate.limits]\nconnections = 2"
    with next_hop() as hop, real(tmp_path, configuration(tmp_path, hop.port, more=limits)) as running, ExitStack() as stack:
        address = running.address("smtp")
        banners = []
        for _ in range(20):  # two workers have room for two each
            client = stack.enter_context(socket.create_connection(address, 10))
            banners.append(client.recv(4096)[:3])
        assert banners.count(b"220") >= 2
        assert banners.count(b"421") >= 16
        assert set(banners) == {b"220", b"421"}
        stack.close()
        running.wait(lambda: running.metric("delivcheck_open_connections") == 0)
        assert send(address) == {}


@pytest.mark.attack(53, 61)
def test_a_killed_worker_costs_no_message_that_was_acknowledged(tmp_path):
    with (
        next_hop(says={"DOT": [Slow(1.5, "250 2.0.0 queued")]}) as hop,
        real(tmp_path, configuration(tmp_path, hop.port)) as running,
        ThreadPoolExecutor(1) as pool,
    ):
        sending = pool.submit(send, running.address("smtp"))
        running.wait_for("message")
        running.wait(lambda: any(session.dots for session in hop.sessions), "the final dot")
        for worker in running.workers():
            os.kill(worker, signal.SIGKILL)
        with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionResetError)):
            sending.result(10)
        (told,) = running.wait_for("uncertain")  # the successor has read it in the journal
        assert told["trace"] == running.events("message")[0]["trace"]
        assert send(running.address("smtp")) == {}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"gate_lines": 'staet = "/x"'}, "gate.staet: no such key"),
        ({"more": '[[gate.sign]]\ndomain = "example.org"\nselector = "s1"\nkey-file = "nowhere.pem"'}, "nowhere.pem"),
        ({"listen_lines": 'certificate = "nowhere.pem"'}, "nowhere.pem"),
    ],
)
def test_what_cannot_be_carried_out_is_one_line_and_exit_2(tmp_path, changes, line):
    with real(tmp_path, configuration(tmp_path, 9, **changes), ready=False) as running:
        assert running.ended() == 2
        (said,) = [one for one in running.stderr.read_text().splitlines() if one.startswith("delivcheck: ")]
        assert line in said


def test_the_command_itself_starts_the_gate(tmp_path):
    path = configuration(tmp_path, 9)
    program = [sys.executable, "-m", "delivcheck", "gate", "--config", str(path)]
    with gate(tmp_path, program=program, workers=2) as running:
        running.signal(signal.SIGINT)
        assert running.ended() == 0
