"""Nothing that was acknowledged is lost, nothing that was refused is sent, whatever dies meanwhile."""

import asyncio
import hashlib
import os

import pytest

from delivcheck.gate.journal import Journal, State
from tests.mta import needs_postfix, postfix, wait_until
from tests.soak.gates import REFUSE, Killer, configuration, every, figures, gate, listen
from tests.soak.queueing import Mail, Queue
from tests.soak.sink import sink

REFUSED = 10  # of so many messages one is refused


def named(number):
    """Every second has a Message-ID; the same octets without one are another mail, once the next hop has taken the first."""
    return int(number) % 2 == 0


def mails(count):
    for number in range(count):
        refuse = f"{REFUSE}: yes\r\n" if number % REFUSED == REFUSED - 1 else ""
        name = f"Message-ID: <{number}@example.org>\r\n" if named(number) else ""
        head = f"From: a@example.org\r\nTo: pat@example.net\r\nSubject: n{number}\r\n{name}"
        text = f"{head}X-Number: {number}\r\n{refuse}\r\n"
        yield Mail(str(number), (text + os.urandom(400).hex() + "\r\n").encode())


def outage(hop):
    """The next hop dies, and returns."""
    hop.kill()
    hop.start()


@pytest.mark.attack(49, 53)
def test_through_the_gate_itself(tmp_path, soak):
    count, rate = (5_000, 60.0) if soak else (150, 50.0)
    sent = list(mails(count))
    with sink(tmp_path, delay=0.01) as hop:
        path = configuration(tmp_path, listen("smtp", received=False), hop=(hop.host, hop.port))
        with gate(tmp_path, path) as running:
            kill = Killer(running)
            client = Queue(running.address("smtp"), rate=rate)
            with every(1.0 if soak else 0.5, kill), every(5.0 if soak else 1.3, lambda: outage(hop)):
                client.run(sent, count / rate * 3 + 60)
            refused = {number for number, _ in client.refused}
            came = hop.numbers
            again = {number: times - 1 for number, times in came.items() if times > 1}
            lost, marked = wait_for_marks(tmp_path / "state", sent, again)
        figures(
            "gate",
            acknowledged=len(client.acknowledged),
            refused=len(refused),
            kills=kill.kills,
            outages=hop.deaths,
            retries=sum(client.tries.values()) - count,
            duplicates=sum(again.values()),
            why=client.later.most_common(),
        )
        octets = {one.number: hashlib.sha256(one.octets).hexdigest() for one in sent}
        assert {number for number in client.acknowledged if number not in came} == set()
        assert refused & came.keys() == set()
        assert refused == {one.number for one in sent if REFUSE.encode() in one.octets}
        assert all(one.sha256 == octets[one.number] for one in hop.taken)
        # A death meets each session at its final dot at most once.
        assert sum(again.values()) <= (kill.kills + hop.deaths) * client.sessions
        assert {number: marked[number] for number in again if marked[number] < again[number]} == {}
        assert {number: lost[number] for number in again if named(number) and lost[number] < again[number]} == {}


def wait_for_marks(state, sent, again):
    """How many uncertain attempts, and how many that follow another, the journal has of each message that came more than once."""
    digests = {hashlib.sha256(one.octets).digest(): one.number for one in sent}

    async def look():
        async with Journal(state) as journal:
            found = await journal.records()
        lost = [digests[one.attempt.digest] for one in found if one.state is State.UNCERTAIN]
        return lost, [digests[one.attempt.digest] for one in found if one.attempt.follows]

    return [{number: marks.count(number) for number in again} for marks in asyncio.run(look())]


@needs_postfix
@pytest.mark.attack(49, 50)
def test_through_postfix_and_its_milter(tmp_path, soak):
    count, rate = (5_000, 60.0) if soak else (150, 50.0)
    sent = list(mails(count))
    settings = {
        "smtpd_milters": "unix:delivcheck/milter.sock",
        "milter_default_action": "tempfail",
        "local_header_rewrite_clients": "",
        "minimal_backoff_time": "1s",
        "maximal_backoff_time": "2s",
        "queue_run_delay": "1s",
        "transport_retry_time": "1s",
    }
    with sink(tmp_path) as hop, postfix({**settings, "default_transport": f"smtp:[{hop.host}]:{hop.port}"}) as mta:
        milter = listen("milter", "milter", f"unix:{mta.queue}/delivcheck/milter.sock", group="postfix")
        with gate(tmp_path, configuration(tmp_path, milter)) as running:
            kill = Killer(running)
            client = Queue(mta.address, rate=rate)
            with every(1.0 if soak else 0.5, kill), every(5.0 if soak else 1.3, lambda: outage(hop)):
                client.run(sent, count / rate * 3 + 60)
            mta.flush()
            wait_until(lambda: not mta.queued(), lambda: f"{len(mta.queued())} messages are left in the queue")
        refused = {number for number, _ in client.refused}
        came = hop.numbers
        again = {number: times - 1 for number, times in came.items() if times > 1}
        figures(
            "postfix",
            acknowledged=len(client.acknowledged),
            refused=len(refused),
            kills=kill.kills,
            outages=hop.deaths,
            retries=sum(client.tries.values()) - count,
            duplicates=sum(again.values()),
            why=client.later.most_common(),
        )
        octets = {one.number: hashlib.sha256(one.octets).hexdigest() for one in sent}
        assert {number for number in client.acknowledged if number not in came} == set()
        assert refused & came.keys() == set()
        assert refused == {one.number for one in sent if REFUSE.encode() in one.octets}
        assert all(one.without_received == octets[one.number] for one in hop.taken)
        # Ours end nothing between Postfix's 250 and its delivery: only the next hop's own deaths can, as without a milter.
        assert sum(again.values()) <= hop.deaths
