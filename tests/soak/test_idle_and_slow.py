"""Clients that do nothing cost little, slow ones hold up nobody, and memory does not grow with the mail."""

import socket
import time
from contextlib import ExitStack, suppress

import pytest

from tests.gate import world
from tests.soak.gates import configuration, figures, gate, listen, resident, serving
from tests.soak.queueing import Mail, Queue, Session
from tests.soak.resolver import resolver
from tests.soak.sink import sink
from tests.soak.test_observe import RECORDS

IDLE = 1_000
COST = 50  # KB each
SLOW = 400
WINDOW = 60.0  # seconds over which the least rate is averaged (limits.Patience)
GROWTH = 6_144  # KiB of two workers that are no leak: the allocator's own slack, which does not grow with the count
# KiB of each message that are kept on purpose: its Message-ID's hash and first trace, of 65,536 messages (facts.earlier.REMEMBERED)
REMEMBERED = 0.5
ROOM = "[gate.limits]\nconnections-per-client = 2000\nconnections = 2000\n"


@pytest.mark.attack(47)
def test_a_thousand_idle_connections_cost_little(tmp_path):
    with sink(tmp_path) as hop:
        path = configuration(tmp_path, listen("smtp"), hop=(hop.host, hop.port), more=ROOM)
        with gate(tmp_path, path) as running, ExitStack() as stack:
            for _ in range(20):  # what the first connections bring for good: the next hop's, buffers, code
                stack.enter_context(Session(running.address("smtp")))
            workers = serving(running)
            before, _ = resident(workers)
            for _ in range(IDLE):
                stack.enter_context(Session(running.address("smtp")))
            after, _ = resident(workers)
            figures(f"an idle connection costs {(after - before) * 1.024 / IDLE:.1f} KB")
            assert (after - before) * 1.024 / IDLE < COST
            with Session(running.address("smtp")) as new:
                new.send(mail("1"))
            assert serving(running) == workers


@pytest.mark.attack(47)
def test_slow_clients_hold_up_nobody(tmp_path, soak):
    with sink(tmp_path) as hop:
        path = configuration(tmp_path, listen("smtp"), hop=(hop.host, hop.port), more=ROOM, hops="connections = 500")
        with gate(tmp_path, path) as running, ExitStack() as stack:
            address = running.address("smtp")
            slow = []
            for number in range(SLOW):
                one = stack.enter_context(Session(address))
                if number % 2:  # half of them dawdle over a command, half over a message
                    one.begin(mail("slow"))
                    one.say("DATA", 3)
                slow.append(one)
            began = time.monotonic()
            longest, sent = 0.0, 0
            while time.monotonic() - began < (WINDOW + 15 if soak else 2.0):
                for one in slow:
                    trickle(one.socket)
                now = time.monotonic()
                with Session(address) as new:
                    new.send(mail(str(sent)))
                sent += 1
                longest = max(longest, time.monotonic() - now)
                time.sleep(0.2)
            gone = [number for number, one in enumerate(slow) if ended(one.socket)]
            figures(f"{sent} messages beside {SLOW} slow clients, the slowest in {longest:.2f} s; {len(gone)} were sent away")
            assert hop.numbers.keys() >= {str(number) for number in range(sent)}
            if soak:
                assert {number for number in range(SLOW) if number % 2} <= set(gone)


def trickle(sock):
    with suppress(OSError):
        sock.send(b"x")


def ended(sock):
    """Whether it was told 421 and hung up on."""
    sock.settimeout(5)
    sock.setblocking(False)
    try:
        return sock.recv(4096).startswith((b"421", b"451")) or True
    except BlockingIOError:
        return False
    except OSError:
        return True


def mail(number):
    return Mail(number, world.message(X_Number=number))


@pytest.mark.attack(49)
def test_memory_does_not_grow_with_the_mail(tmp_path, soak):
    """Every rule is on, DNS answers, and every message is another one; some clients go away in the middle."""
    count = 50_000 if soak else 500
    with sink(tmp_path) as hop, resolver(RECORDS, ttl=60) as names:
        path = configuration(
            tmp_path,
            listen("smtp"),
            hop=(hop.host, hop.port),
            mode="observe",
            policy="bulk",
            nameserver=names.address,
            lines=f'egress = ["{world.IP}"]',
        )
        with gate(tmp_path, path) as running:
            sizes, rates = [], []
            part = count // 10
            for turn in range(10):
                client = Queue(running.address("smtp"), sessions=4)
                client.run([mail(f"{turn}-{number}") for number in range(part)], 1_200)
                for number in range(20):
                    leave(running.address("smtp"), number)
                sizes.append(resident(serving(running))[0])
                rates.append(part / client.lasted)
            figures("KiB after each tenth:", sizes, "messages a second:", [round(one) for one in rates])
            assert len(hop.numbers) == count
            # From half-way on: what else is cached is cached by then.
            assert max(sizes[5:]) - sizes[4] < GROWTH + REMEMBERED * count / 2
            assert running.events("worker", what="ended") == []


def leave(address, number):
    """Go away after so many octets of a dialogue."""
    dialogue = b"EHLO x\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<pat@example.net>\r\nDATA\r\n" + mail("x").octets
    with socket.create_connection(address, 10) as sock:
        sock.sendall(dialogue[: number * 17])
