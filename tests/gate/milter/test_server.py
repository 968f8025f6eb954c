"""The driver: real sockets, many at a time, each unharmed by the others."""

import asyncio
import contextlib
import ipaddress
import resource
import socket
import struct
import tempfile
import threading
import time
from pathlib import Path
from typing import ClassVar

import pytest

from delivcheck.gate.milter import server as driver
from delivcheck.gate.milter.codec import AddHeader, Answer
from delivcheck.gate.settings import Limits
from delivcheck.gate.smtp.limits import Load
from tests.gate.milter import mta_side as mta
from tests.gate.milter.serving import serve
from tests.gate.milter.test_protocol import GARBAGE
from tests.mta import wait_until
from tests.servers import loopback


@pytest.fixture
def path():
    with tempfile.TemporaryDirectory() as folder:  # a UNIX socket's path is short
        yield Path(folder) / "milter.sock"


OPENING = mta.offer() + mta.SESSION


@pytest.fixture(autouse=True)
def _clients_end():
    yield
    while Mta.clients:
        Mta.clients.pop().close()


class Mta:
    """A client that speaks as Postfix does."""

    clients: ClassVar[list[socket.socket]] = []

    def __init__(self, address, session=OPENING):
        self.sock = socket.socket(socket.AF_UNIX if isinstance(address, (str, Path)) else socket.AF_INET)
        self.clients.append(self.sock)
        self.sock.settimeout(10)
        self.sock.connect(str(address) if isinstance(address, Path) else address)
        self.sock.sendall(session)
        if session.endswith(mta.SESSION) or session == mta.offer():
            assert self.packet()[0] == "O"

    def octets(self, count):
        found = b""
        while len(found) < count:
            more = self.sock.recv(count - len(found))
            if not more:
                raise EOFError
            found += more
        return found

    def packet(self):
        (length,) = struct.unpack("!I", self.octets(4))
        octets = self.octets(length)
        return chr(octets[0]), octets[1:]

    def say(self, octets):
        self.sock.sendall(octets)
        return self

    def ask(self, do="", **more):
        """Send a message; the command that answers it."""
        self.say(mta.message(fields=[*mta.FIELDS, (b"X-Do", f" {do}".encode())], **more))
        said = []
        while not said or said[-1] not in "ayt":
            said.append(self.packet()[0])
        return "q" if "q" in said else said[-1]

    def ended(self):
        """Whether the other side hangs up."""
        with contextlib.suppress(ConnectionResetError):
            while self.sock.recv(65_536):
                pass
        return True


def test_a_message_is_answered_over_a_unix_socket_and_over_tcp(path):
    for address in (path, (loopback(), 0)):
        with serve(address) as served:
            client = Mta(served.address)
            assert [client.ask(do) for do in ("", "refuse", "defer", "", "hold")] == ["a", "y", "y", "a", "q"]
            client.sock.close()


@pytest.mark.attack(43)
def test_nonsense_closes_its_own_connection_and_no_other(path):
    with serve(path) as served:
        other = Mta(path)
        other.say(mta.mail() + mta.rcpt())
        for octets in GARBAGE.values():
            assert Mta(path, b"").say(octets).ended()
        assert Mta(path, b"").say(b"\0\0").sock.close() is None  # a probe that goes again
        other.say(mta.content() + mta.END)
        assert other.packet()[0] == "a"
        assert other.ask() == "a"
        wait_until(lambda: served.server.connections() == 1, lambda: served.events)
        faults = [told["reason"] for event, told in served.events if event == "connection" and told["what"] == "fault"]
        assert len(faults) == len(GARBAGE) + 1
        assert "a packet of 1195725856 octets" in faults  # "GET "


@pytest.mark.attack(43)
def test_nonsense_behind_a_message_ends_the_connection_once_the_message_is_answered(path):
    with serve(path) as served:
        client = Mta(path)
        client.say(mta.message(fields=[(b"X-Do", b" sleep=0.05")]) + mta.packet("z"))
        assert client.packet()[0] == "a"
        assert client.ended()
        wait_until(lambda: served.server.connections() == 0, lambda: served.events)
        assert served.events[-2][1]["reason"] == "the unknown command 0x7a"


@pytest.mark.attack(43)
def test_memory_stays_flat_under_nonsense_and_floods(path):
    load = Load(Limits())
    with serve(path, budget=load, limits=Limits(message_size=2_000_000)) as served:
        clients = [Mta(path) for _ in range(4)]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        field = mta.field(b"X-Flood", b" " + b"x" * 1_000) * 1_000
        for client in clients:
            client.say(mta.mail() + mta.rcpt())
            for _ in range(20):
                client.say(field)
            client.say(mta.END_OF_HEADER + mta.END)
            command, text = client.packet()
            assert (command, text[:10]) == ("y", b"552 5.3.4 ")
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 30_000, f"{grown} KB more for 80 MB of fields"
        wait_until(lambda: load.octets == 0, lambda: load.octets)
        assert served.server.connections() == 4


def test_while_a_message_is_worked_on_the_mta_is_told_so(path, monkeypatch):
    monkeypatch.setattr(driver, "PROGRESS", 0.05)
    with serve(path):
        client = Mta(path)
        client.say(mta.message(fields=[(b"X-Do", b" sleep=0.3")]))
        commands = []
        while not commands or commands[-1] == "p":
            commands.append(client.packet()[0])
        assert 2 <= commands.count("p") <= 8
        assert commands[-1] == "a"
        client.say(mta.ABORT)
        assert client.ask() == "a"


def test_a_message_whose_mta_has_gone_is_not_worked_on_any_more(path):
    load = Load(Limits())
    with serve(path, budget=load) as served:
        client = Mta(path)
        client.say(mta.message(fields=[(b"X-Do", b" sleep=60")]))
        wait_until(lambda: served.pipeline.began == 1, lambda: "never began")
        client.sock.close()
        wait_until(lambda: served.server.connections() == 0, lambda: served.events)
        assert load.octets == 0
        assert served.events[-2][1]["reason"] == "the MTA went away in the middle of a message"
        assert Mta(path).ask() == "a"


@pytest.mark.attack(44)
def test_many_connections_at_a_time_get_each_its_own_answers(path):
    asks = ["", "refuse", "sleep=0.01 defer", "insert", "hold", "sleep=0.02"]
    expected = ["a", "y", "y", "a", "q", "a"]
    failed = []

    def one(shift):
        client = Mta(path)
        for _ in range(3):
            got = [client.ask(ask) for ask in asks[shift:] + asks[:shift]]
            if got != expected[shift:] + expected[:shift]:
                failed.append((shift, got))

    with serve(path):
        threads = [threading.Thread(target=one, args=(number % 6,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert not failed


class Broken:
    """A handler with a bug, and one that asks for what it may not do."""

    async def message(self, message, can):
        if b"bug" in message.octets:
            raise KeyError("secret\r\n250 ok")
        return Answer((AddHeader(b"X", b"y"),))


def test_a_bug_behind_us_is_a_temporary_failure_without_its_text(path):
    with serve(path, handler=Broken()) as served:
        client = Mta(path, mta.offer(actions=0) + mta.SESSION)
        for body in (b"bug\r\n", b"fine\r\n"):
            client.say(mta.message(body=(body,)))
            command, text = client.packet()
            assert (command, text[:10], b"secret" in text) == ("y", b"451 4.3.0 ", False)
        reasons = [told["reason"] for event, told in served.events if event == "fault"]
        assert reasons == ["KeyError: 'secret\\r\\n250 ok'", "the MTA does not let us add_headers"]


def test_connections_over_the_limit_and_from_elsewhere_are_refused(path):
    with serve(path, limits=Limits(connections=2)) as served:
        kept = [Mta(path), Mta(path)]
        assert Mta(path, b"").ended()
        assert kept[0].ask() == "a"
        assert ("refused", "2 connections are open") in [(told.get("what"), told.get("reason")) for _, told in served.events]
    with serve((loopback(), 0), networks=(ipaddress.ip_network("192.0.2.0/24"),)) as served:
        assert Mta(served.address, b"").ended()


# --- the end -------------------------------------------------------------------------------------------------------------


def test_draining_lets_a_session_go_on_for_a_while_and_every_message_end(path, monkeypatch):
    monkeypatch.setattr(driver, "DRAIN", 0.3)
    with serve(path) as served:
        before, waiting, working, half = Mta(path, mta.offer()), Mta(path), Mta(path), Mta(path)
        working.say(mta.message(fields=[(b"X-Do", b" sleep=0.6")]))
        half.say(mta.mail() + mta.rcpt() + mta.content())
        wait_until(lambda: served.pipeline.began == 1, lambda: "never began")
        served.call(served.server.drain)
        assert before.ended(), "no session: nobody notices"
        assert waiting.ask() == "a", "a message in a session that was open"
        assert waiting.ended()
        assert half.say(mta.END).packet()[0] == "a"
        assert half.ended()
        assert working.packet()[0] == "a"
        assert working.ended()
        wait_until(lambda: served.server.connections() == 0, lambda: served.events)
        assert not [told for event, told in served.events if event == "connection" and told["what"] == "fault"]


def test_closing_cuts_everything_and_leaves_nothing(path):
    load = Load(Limits())
    with serve(path, budget=load) as served:
        working, idle = Mta(path), Mta(path)
        working.say(mta.message(fields=[(b"X-Do", b" sleep=60")]))
        wait_until(lambda: served.pipeline.began == 1, lambda: "never began")
        served.call(served.server.close)
        assert working.ended()
        assert idle.ended()
        wait_until(lambda: served.server.connections() == 0, lambda: served.events)
        assert load.octets == 0


def test_who_is_silent_for_too_long_is_let_go(path, monkeypatch):
    monkeypatch.setattr(driver, "SWEEP", 0.05)
    monkeypatch.setattr(driver, "NEGOTIATION", 0.2)
    monkeypatch.setattr(driver, "IDLE", 0.5)
    with serve(path) as served:
        mute, idle, working = Mta(path, b""), Mta(path), Mta(path)
        working.say(mta.message(fields=[(b"X-Do", b" sleep=0.8")]))
        begun = time.monotonic()
        assert mute.ended()
        assert idle.ended()
        assert time.monotonic() - begun >= 0.4
        assert working.packet()[0] == "a"
        assert served.server.connections() == 1


@pytest.mark.attack(43)
def test_who_does_not_read_our_answers_is_not_listened_to_and_let_go_after_a_while(path, monkeypatch):
    monkeypatch.setattr(driver, "UNREAD", 0.3)
    with serve(path) as served:
        other = Mta(path)
        deaf = Mta(path, b"").say(mta.offer(steps=0))
        deaf.sock.settimeout(0.1)
        asked, said = mta.packet("U") * 2_000, 0
        with contextlib.suppress(ConnectionError):  # it cannot say any more, and then it is hung up on
            for _ in range(10_000):
                with contextlib.suppress(TimeoutError):
                    said += deaf.sock.send(asked)
        assert said < 10_000_000, "what it said is not kept, nor are its answers"
        wait_until(lambda: served.server.connections() == 1, lambda: served.events)
        assert "it does not read our answers" in [told["reason"] for event, told in served.events if event == "connection"]
        assert other.ask() == "a"


def test_who_reads_late_gets_every_answer(path):
    with serve(path) as served:
        late = Mta(path, b"").say(mta.offer(steps=0))
        asked = 200_000
        sender = threading.Thread(target=late.sock.sendall, args=(mta.packet("U") * asked,))
        sender.start()
        time.sleep(0.2)
        got = [late.packet()[0] for _ in range(asked + 1)]
        sender.join(10)
        assert got == ["O"] + ["c"] * asked
        assert served.server.connections() == 1


async def test_a_server_that_serves_nobody_has_nothing_to_wait_for():
    made = driver.Server("milter", Broken(), Limits())
    made.drain()
    await made.close()
    assert made.connections() == 0
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
