"""A gate that is told to stop, or to read its configuration again, in the middle of mail (attack 61)."""

import signal
import socket
import threading
import time

import pytest

from tests.gate.milter import mta_side
from tests.soak.gates import REFUSE, configuration, figures, gate, listen
from tests.soak.queueing import Mail, Refused, Session, stuffed
from tests.soak.sink import sink

AT_ONCE = 100
DRAIN = 8
ROOM = "[gate.limits]\nconnections-per-client = 1000\n"


def mail(number, *, refuse=False):
    field = f"{REFUSE}: yes\r\n" if refuse else ""
    return Mail(str(number), f"From: a@example.org\r\nX-Number: {number}\r\n{field}\r\n{'text ' * 20}\r\n".encode())


class Client(threading.Thread):
    """Comes as far as it is told, waits until the gate has been told to stop, and goes on where it can."""

    def __init__(self, address, number, stage, ready, stopped):
        super().__init__()
        self.address, self.number, self.stage, self.ready, self.stopped = address, number, stage, ready, stopped
        self.end = "nothing"

    def run(self):
        try:
            self._run()
        except Refused as no:
            self.end = str(no.code)
        except (OSError, EOFError) as lost:
            self.end = type(lost).__name__

    def _run(self):
        with Session(self.address) as session:
            octets = stuffed(mail(self.number).octets)
            session.begin(mail(self.number))
            if self.stage == "recipient":
                self._wait()
                session.want(2)  # what it is told without having asked is 421
                return
            session.say("DATA", 3)
            if self.stage == "half":
                session.socket.sendall(octets[:50])
                self._wait()
                time.sleep(0.3)
                session.socket.sendall(octets[50:])
            else:
                session.socket.sendall(octets)
                self.ready.release()
            self.end = str(session.want(2) and 250)

    def _wait(self):
        self.ready.release()
        self.stopped.wait(20)


@pytest.mark.attack(61)
def test_a_stop_with_a_hundred_messages_in_flight_loses_none(tmp_path, soak):
    for attempt in range(10 if soak else 1):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        stop_one(folder, 0.15 * attempt)


def stop_one(tmp_path, after):
    """Stop a gate that has so many in flight, so many seconds after the last of them came as far as it should."""
    stages = ["half", "answer", "answer", "recipient"]  # a quarter each, half of them wait for the next hop
    ready, stopped = threading.Semaphore(0), threading.Event()
    with sink(tmp_path, delay=1.5) as hop:
        path = configuration(
            tmp_path,
            listen("smtp", received=False),
            hop=(hop.host, hop.port),
            lines=f"drain = {DRAIN}",
            more=ROOM,
            hops="connections = 100",
        )
        with gate(tmp_path, path) as running:
            address = running.address("smtp")
            clients = [Client(address, number, stages[number % 4], ready, stopped) for number in range(AT_ONCE)]
            for one in clients:
                one.start()
            for _ in clients:
                assert ready.acquire(timeout=20)
            time.sleep(after)
            began = time.monotonic()
            running.signal(signal.SIGTERM)
            time.sleep(0.1)
            stopped.set()
            for one in clients:
                one.join(30)
            code = running.ended()
            took = time.monotonic() - began
        ends = {stage: [one.end for one in clients if one.stage == stage] for stage in stages}
        figures({stage: {end: found.count(end) for end in set(found)} for stage, found in ends.items()}, f"{took:.1f} s")
        assert code == 0
        assert took < DRAIN
        numbers = hop.numbers
        assert {str(one.number) for one in clients if one.end == "250"} == set(numbers)
        assert set(numbers.values()) == {1}
        assert set(ends["answer"]) == {"250"}
        assert set(ends["recipient"]) == {"421"}
        assert set(ends["half"]) <= {"250", "421", "451"}


@pytest.mark.attack(61)
@pytest.mark.parametrize("strict_first", [True, False])
def test_a_message_is_judged_by_the_rules_that_held_when_its_session_began(tmp_path, strict_first):
    """Of the two rules, the one that refuses the message is there before the reload, or after it."""
    with sink(tmp_path) as hop:
        path = configuration(
            tmp_path,
            listen("smtp"),
            listen("milter", "milter", f"unix:{tmp_path}/m.sock"),
            hop=(hop.host, hop.port),
        )
        strict = (tmp_path / "policy.toml").read_text()
        mild = strict.partition("[[forbid]]")[0]
        (tmp_path / "policy.toml").write_text(strict if strict_first else mild)
        with gate(tmp_path, path) as running, socket.socket(socket.AF_UNIX) as mta:
            with Session(running.address("smtp")) as session:
                octets = stuffed(mail(1, refuse=True).octets)
                session.begin(mail(1))
                session.say("DATA", 3)
                session.socket.sendall(octets[:60])
                mta.settimeout(20)
                mta.connect(f"{tmp_path}/m.sock")
                whole = mta_side.message(fields=((b"From", b" a@example.org"), (REFUSE.encode(), b" yes")))
                mta.sendall(mta_side.offer() + mta_side.SESSION + whole[: -len(mta_side.END)])
                time.sleep(0.1)  # until they are there, which no log of this level says
                (tmp_path / "policy.toml").write_text(mild if strict_first else strict)
                running.signal(signal.SIGHUP)
                running.wait_for("worker", what="reload")
                session.socket.sendall(octets[60:])
                code, _ = session.reply()
                mta.sendall(mta_side.END)
                answer = last_answer(mta)
            assert code == (550 if strict_first else 250)
            assert answer == ("y" if strict_first else "a")
            with Session(running.address("smtp")) as session:
                if strict_first:
                    session.send(mail(2, refuse=True))
                else:
                    with pytest.raises(Refused, match="550"):
                        session.send(mail(2, refuse=True))
        assert set(hop.numbers) == ({"2"} if strict_first else {"1"})


def last_answer(mta):
    """The milter's word on the message: "y" for a reply of its own, "a" or "c" where it goes on its way."""
    octets = b""
    while True:
        octets += mta.recv(65536)
        commands = [command for command, _ in mta_side.read(octets)]
        if commands[-1] in "yactr" and len(commands) > 1:
            return commands[-1]
