"""The gate as it is run: `delivcheck gate` with a configuration, a client and a next hop on loopback."""

import asyncio
import signal
import smtplib
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests import servers
from tests.gate.next_hop import NextHop, Slow
from tests.gate.serve.running import gate

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
    program = [sys.executable, "-m", "delivcheck", "gate", "--config", str(path)]
    with gate(folder, program=program, ready=ready, workers=2) as running:
        yield running


@contextmanager
def next_hop(**options):
    """A next hop in a thread of its own, so that tests can wait."""
    loop, hop = asyncio.new_event_loop(), NextHop(**options)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(hop.start(), loop).result(10)
        yield hop
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


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"gate_lines": 'staet = "/x"'}, "gate.staet: no such key"),
        ({"more": '[[gate.sign]]\ndomain = "example.org"\nselector = "s1"\nkey-file = "nowhere.pem"'}, "nowhere.pem"),
        ({"listen_lines": 'certificate = "nowhere.pem"'}, "nowhere.pem"),
    ],
)
def test_what_cannot_be_carried_out_is_one_line_and_exit_2(tmp_path, changes, line):
    path = configuration(tmp_path, 9, **changes)
    done = subprocess.run(
        [sys.executable, "-m", "delivcheck", "gate", "--config", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    said = [one for one in done.stderr.splitlines() if one.startswith("delivcheck: ")]
    assert (done.returncode, len(said)) == (2, 1)
    assert line in said[0]
