"""The live client against a real name server, and what it counts."""

import asyncio
import itertools
import time
from contextlib import AsyncExitStack

import pytest

from delivcheck.model import Answer, DnsUse, Failed, Failure, Found, NoData, NoSuchName, Question
from delivcheck.net import dns as live
from delivcheck.net.deadline import Deadline
from delivcheck.net.dns import Live
from delivcheck.net.plain import MAX_NEGATIVE_TTL
from tests.net.scripted import Scripted, response, silent

BIG = (tuple(b"%03d" % number + b"x" * 252 for number in range(16)),)
SOA = ("ns1.infra.test", "hostmaster.infra.test", 2026112301, 3600, 600, 604800, 60)
NINE = tuple(f"l{number}.wire.test" for number in range(2, 10))


def asks(client: object, *questions: str) -> list[Answer]:
    """The answers to questions asked at the same time, "name type"."""

    async def run() -> list[Answer]:
        return await asyncio.gather(*(client.ask(*question.split()) for question in questions))

    return asyncio.run(run())


# --- answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("wire.test A", Found(("198.51.100.7",))),
        ("WIRE.test. a", Found(("198.51.100.7",))),
        ("wire.test AAAA", Found(("2001:db8::7",))),
        ("wire.test MX", Found(((10, "mx1.wire.test"), (20, "mx2.wire.test")))),
        ("nullmx.wire.test MX", Found(((0, ""),))),
        ("wire.test TXT", Found(((b"two ", b"strings"), (b"v=spf1 -all",)))),
        ("octets.wire.test TXT", Found(((b'\0\xff"\\;',),))),
        ("big.wire.test TXT", Found(BIG)),
        ("wire.test NS", Found(("ns1.infra.test", "ns2.infra.test"))),
        ("wire.test SOA", Found((SOA,))),
        ("7.wire.test PTR", Found(("host.wire.test",))),
        ("wire.test CAA", Found(('0 issue "ca.example"',))),
        ("_25._tcp.wire.test TLSA", Found(("3 1 1 " + "0123456789abcdef" * 4,))),
        ("q.wild.wire.test TXT", Found(((b"wild",),))),
        ("short.wire.test TXT", Found(((b"short-lived",),), ttl=1)),
        ("c1.wire.test A", Found(("198.51.100.7",), aliases=("c2.wire.test", "c3.wire.test", "wire.test"))),
        ("c1.wire.test CNAME", Found(("c2.wire.test",))),
        ("l1.wire.test A", Found(("198.51.100.9",), aliases=NINE)),
        ("c3.wire.test PTR", NoData(ttl=60, aliases=("wire.test",))),
        ("wire.test PTR", NoData(ttl=60)),
        ("below.wire.test TXT", NoData(ttl=60)),
        ("nope.wire.test A", NoSuchName(ttl=60)),
        ("nope A", NoSuchName()),
        ("gone.wire.test A", NoSuchName(ttl=60, aliases=("nowhere.wire.test",))),
    ],
)
def test_a_real_server_is_understood(nsd, question, answer):
    assert asks(Live([nsd.address]), question) == [answer]


@pytest.mark.attack(59)
@pytest.mark.parametrize(
    ("question", "says"),
    [
        ("broken.test A", "SERVFAIL"),
        ("loop1.wire.test A", "the CNAME records of loop1.wire.test lead back to loop1.wire.test"),
        ("l0.wire.test A", "more than 8 CNAME records follow on l0.wire.test"),
    ],
)
def test_a_broken_zone_is_unknown(nsd, question, says):
    (answer,) = asks(Live([nsd.address]), question)
    assert isinstance(answer, Failed)
    assert answer.kind is Failure.SERVFAIL
    assert says in answer.detail


@pytest.mark.parametrize(
    "name",
    [
        "a..example",
        ".example",
        "example..",
        "x" * 64 + ".example",
        ".".join(["a" * 60] * 5),
        "exämple.org",
        "a\\.b\\9.example",
        "..",
    ],
)
def test_a_name_that_no_zone_can_hold_does_not_exist_and_is_not_asked(name):
    client = Live([("127.0.0.1", 9)])
    (answer,) = asyncio.run(_gather(client.ask(name, "TXT")))
    assert isinstance(answer, NoSuchName)
    assert client.use() == DnsUse()


async def _gather(*awaitables):
    return await asyncio.gather(*awaitables)


@pytest.mark.parametrize("type_", ["", "NOPE", "TYPE70000", "ANY", "AXFR", "A B"])
def test_a_type_that_does_not_exist_is_a_fault_of_the_caller(type_):
    with pytest.raises(ValueError, match="type"):
        asyncio.run(Live([("127.0.0.1", 9)]).ask("example.org", type_))


# --- wire economy ------------------------------------------------------------------------------------------------


def test_an_answer_that_does_not_fit_is_fetched_over_tcp(delay_line):
    client = Live([delay_line.address])
    assert asks(client, "big.wire.test TXT") == [Found(BIG)]
    assert delay_line.stats()["tcp"] == 1
    assert client.use() == DnsUse(questions=2, rounds=2)


def test_a_question_is_in_flight_once_whoever_asks(delay_line):
    answers = asks(Live([delay_line.address]), *["wire.test TXT"] * 50, "WIRE.TEST. txt")
    assert len(set(map(type, answers))) == 1
    assert delay_line.stats()["queries"] == 1


@pytest.mark.parametrize(
    "question", ["wire.test TXT", "nope.wire.test TXT", "wire.test PTR", "c1.wire.test A", "broken.test A"]
)
def test_an_answer_is_kept_for_its_time_also_over_event_loops(delay_line, question):
    client = Live([delay_line.address])
    first = asks(client, question)
    assert asks(client, question, question) == first * 2
    assert delay_line.stats()["queries"] == 1


@pytest.mark.parametrize(("question", "questions"), [("wire.test TXT", 1), ("short.wire.test TXT", 1), ("broken.test A", 2)])
def test_a_failure_is_kept_for_a_moment_only(delay_line, monkeypatch, question, questions):
    monkeypatch.setattr(live, "MOMENT", 0.05)
    client = Live([delay_line.address])
    asks(client, question)
    time.sleep(0.06)
    asks(client, question)
    assert delay_line.stats()["queries"] == questions


def test_the_cache_is_bounded_and_forgets_what_was_not_used_for_longest(delay_line, monkeypatch):
    monkeypatch.setattr(live, "CACHED", 2)
    client = Live([delay_line.address])
    for name in ("a", "b", "a", "c", "a", "b"):
        asks(client, f"{name}.wild.wire.test TXT")
    assert delay_line.stats()["queries"] == 4  # a, b, c, and b again


def test_two_runs_over_one_fresh_loop_each_do_not_disturb_one_another(delay_line):
    client = Live([delay_line.address], limit=1)  # so that the loop's semaphore is really waited for
    for number in range(3):
        assert len(asks(client, *[f"n{number}.{each}.wild.wire.test TXT" for each in range(3)])) == 3
    assert delay_line.stats()["queries"] == 9


@pytest.mark.parametrize("batches", [[1], [20], [1, 1, 1], [5, 1, 12], [2, 2, 2, 2]])
def test_rounds_are_counted_as_the_delay_line_counts_them(delay_line, batches):
    delay_line.reset(delay_ms=60)  # longer than a busy machine needs to send a burst
    client = Live([delay_line.address])

    async def run():
        for number, size in enumerate(batches):
            await asyncio.gather(*(client.ask(f"{each}.b{number}.wild.wire.test", "TXT") for each in range(size)))

    asyncio.run(run())
    stats = delay_line.stats()
    assert (client.use().questions, client.use().rounds) == (stats["queries"], stats["rounds"]) == (sum(batches), len(batches))


def test_a_chain_beside_a_burst_counts_the_chain(delay_line):
    delay_line.reset(delay_ms=60)
    client = Live([delay_line.address])

    async def chain():
        for number in range(3):
            await client.ask(f"c{number}.wild.wire.test", "TXT")

    asyncio.run(_gather(chain(), *(client.ask(f"b{number}.wild.wire.test", "TXT") for number in range(10))))
    assert client.use() == DnsUse(questions=13, rounds=3)
    assert delay_line.stats()["rounds"] == 3


def test_no_more_questions_than_the_limit_are_in_flight():
    async def run():
        async with Scripted(lambda query: [response(query)], delay=0.02) as server:
            client = Live([server.address], limit=3)
            await _gather(*(client.ask(f"n{number}.test", "A") for number in range(12)))
            return server.most

    assert asyncio.run(run()) == 3


def test_waiting_for_a_turn_does_not_use_up_a_questions_time():
    async def run():
        async with Scripted(lambda query: [response(query)], delay=0.15) as server:
            client = Live([server.address], limit=1, timeout=1.0)  # the last of ten waits longer than that for its turn
            return await _gather(*(client.ask(f"n{number}.test", "A") for number in range(10)))

    assert all(isinstance(answer, NoData) for answer in asyncio.run(run()))


# --- several servers ---------------------------------------------------------------------------------------------


def refusing(query):
    return [response(query, rcode="REFUSED")]


def failing(query):
    return [response(query, rcode="SERVFAIL")]


def answering(query):
    return [response(query, "n.test. 60 A 192.0.2.1")]


NAME_SERVERS = {"R": refusing, "S": silent, "F": failing, "A": answering}


@pytest.mark.parametrize(
    ("order", "kind", "at_most"),
    [
        ("RSA", None, 0.6),
        ("SRA", None, 0.6),
        ("ASR", None, 0.2),
        ("FA", None, 0.2),
        ("RR", Failure.REFUSED, 0.2),
        ("RF", Failure.SERVFAIL, 0.2),
        ("S", Failure.TIMEOUT, 1.2),
        ("SR", Failure.REFUSED, 1.2),
        ("SRF", Failure.SERVFAIL, 1.2),
    ],
)
def test_every_server_gets_its_turn_before_a_question_fails(order, kind, at_most):
    async def run():
        async with AsyncExitStack() as stack:
            servers = [await stack.enter_async_context(Scripted(NAME_SERVERS[each])) for each in order]
            client = Live([server.address for server in servers], timeout=1.0)
            began = time.monotonic()
            answer = await client.ask("n.test", "A")
            return answer, time.monotonic() - began

    answer, took = asyncio.run(run())
    assert took < at_most
    if kind is None:
        assert answer == Found(("192.0.2.1",), ttl=60)
    else:
        assert isinstance(answer, Failed)
        assert answer.kind is kind


def test_among_three_servers_the_real_one_answers(nsd):
    async def run():
        async with Scripted(refusing) as refuses, Scripted(silent) as says_nothing:
            client = Live([refuses.address, says_nothing.address, nsd.address], timeout=1.5)
            answers = await _gather(
                *(client.ask("wire.test", type_) for type_ in ("A", "MX", "TXT", "PTR")), client.ask("x.wire.test", "A")
            )
            return [type(answer) for answer in answers], client.use().questions

    assert asyncio.run(run()) == ([Found, Found, Found, NoData, NoSuchName], 15)


def test_a_server_that_failed_where_another_answered_is_asked_last_for_a_while(monkeypatch):
    monkeypatch.setattr(live, "PENALTY", 0.3)

    async def run():
        async with Scripted(silent) as first, Scripted(answering) as second:
            client = Live([first.address, second.address], timeout=0.4)
            await client.ask("n.test", "A")
            after_one = len(first.seen)
            for number in range(5):
                await client.ask(f"m{number}.test", "A")
            after_six = len(first.seen)
            await asyncio.sleep(0.31)
            await client.ask("n.test", "AAAA")
            return after_one, after_six, len(first.seen)

    assert asyncio.run(run()) == (1, 1, 2)


def test_servers_that_all_fail_stay_in_their_order():
    async def run():
        async with Scripted(failing) as first, Scripted(failing) as second:
            client = Live([first.address, second.address])
            await client.ask("a.test", "A")
            second.udp = first.udp = answering
            await client.ask("n.test", "A")
            return len(first.seen), len(second.seen)

    assert asyncio.run(run()) == (2, 1)


def test_a_lost_datagram_is_sent_again():
    datagrams = itertools.count()

    def loses_the_first(query):
        return answering(query) if next(datagrams) else []

    async def run():
        async with Scripted(loses_the_first) as server:
            client = Live([server.address], timeout=0.4)
            return await client.ask("n.test", "A"), client.use()

    assert asyncio.run(run()) == (Found(("192.0.2.1",), ttl=60), DnsUse(questions=2, rounds=2))


def test_nobody_listening_is_said_so():
    (answer,) = asks(Live([("127.0.0.1", 9)], timeout=0.5), "example.org A")
    assert answer == Failed(Failure.TIMEOUT, "127.0.0.1:9: Connection refused")


def test_no_time_at_all_is_a_timeout():
    (answer,) = asks(Live([("127.0.0.1", 9)], timeout=0), "example.org A")
    assert isinstance(answer, Failed)
    assert answer.kind is Failure.TIMEOUT


# --- deadline ----------------------------------------------------------------------------------------------------


def test_after_the_deadline_nobody_waits_and_nothing_is_left_behind():
    async def run():
        async with Scripted(silent) as server:
            beneath = Live([server.address], timeout=30)
            client = Deadline(beneath, 0.2)
            began = time.monotonic()
            waited = await _gather(*(client.ask(f"n{number}.test", "A") for number in range(20)))
            at_deadline = time.monotonic() - began
            late = await client.ask("another.test", "A")
            after = time.monotonic() - began
            await asyncio.sleep(0)
            tasks = len(asyncio.all_tasks())
            return waited, at_deadline, late, after - at_deadline, tasks, len(server.seen), client.use()

    waited, at_deadline, late, after, tasks, seen, use = asyncio.run(run())
    assert {answer.kind for answer in (*waited, late)} == {Failure.TIMEOUT}
    assert 0.2 <= at_deadline < 5
    assert after < 2
    assert tasks == 1
    assert seen == use.questions == 20


def test_a_deadline_lets_go_of_its_own_questions_only():
    async def run():
        async with Scripted(answering, delay=0.2) as server:
            beneath = Live([server.address])
            hurried, patient = Deadline(beneath, 0.1), Deadline(beneath, 5)
            return await _gather(hurried.ask("n.test", "A"), patient.ask("n.test", "A")), len(server.seen)

    (late, found), seen = asyncio.run(run())
    assert isinstance(late, Failed)
    assert isinstance(found, Found)
    assert seen == 1


def test_whoever_asks_after_all_others_gave_up_does_not_wait_for_their_question():
    async def run():
        async with Scripted(silent) as server:
            client = Live([server.address], timeout=5)
            assert isinstance(await Deadline(client, 0.05).ask("n.test", "A"), Failed)
            server.udp = answering
            return await client.ask("n.test", "A")

    assert isinstance(asyncio.run(run()), Found)


def test_the_clock_starts_with_the_first_question():
    async def run():
        async with Scripted(answering) as server:
            client = Deadline(Live([server.address]), 0.2)
            await asyncio.sleep(0.3)
            return await client.ask("n.test", "A"), client.snapshot_age_s

    assert asyncio.run(run()) == (Found(("192.0.2.1",), ttl=60), None)


def test_a_cancelled_caller_is_cancelled_and_takes_its_question_along():
    async def run():
        async with Scripted(silent) as server:
            client = Live([server.address])
            task = asyncio.create_task(client.ask("n.test", "A"))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(0)
            return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1


class Stepwise:
    """A client that waits so many times before its answer; `seen` are the errors that reached it while it did."""

    snapshot_age_s = None

    def __init__(self, waits, answer):
        self.waits, self.answer, self.seen = waits, answer, []

    async def ask(self, name, type):  # noqa: A002 -- the DNS word
        for _ in range(self.waits):
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError as error:
                self.seen.append(type_of(error))
                raise
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def type_of(error):
    return error.__class__.__name__


@pytest.mark.parametrize("waits", [0, 1, 3])
def test_a_deadline_hands_on_what_comes_however_often_the_client_waits(waits):
    answer = Found(("192.0.2.1",))
    assert asyncio.run(Deadline(Stepwise(waits, answer), 5).ask("n.test", "A")) is answer
    with pytest.raises(ValueError, match="no such type"):
        asyncio.run(Deadline(Stepwise(waits, ValueError("no such type")), 5).ask("n.test", "A"))


def test_a_client_beneath_sees_that_the_time_is_over():
    client = Stepwise(100, Found(("192.0.2.1",)))
    assert isinstance(asyncio.run(Deadline(client, 0.03).ask("n.test", "A")), Failed)
    assert client.seen == ["CancelledError"]


# --- which servers -----------------------------------------------------------------------------------------------


def test_the_systems_servers_are_read(tmp_path):
    path = tmp_path / "resolv.conf"
    path.write_text(
        "# x\nsearch a.test\nnameserver 127.0.0.53\nnameserver ::1 # y\nnameserver fe80::1%lo\nnameserver a.test\nnameserver\n"
    )
    assert live.system_nameservers(path) == [("127.0.0.53", 53), ("::1", 53), ("fe80::1%lo", 53)]


@pytest.mark.parametrize("text", [None, "", "search a.test\n", "nameserver dns.test\n"])
def test_a_system_without_servers_is_said_so(tmp_path, text):
    path = tmp_path / "resolv.conf"
    if text is not None:
        path.write_text(text)
    with pytest.raises(live.NoNameservers, match=r"resolv\.conf"):
        live.system_nameservers(path)


def test_no_server_at_all_is_an_error():
    with pytest.raises(live.NoNameservers):
        Live([])


def test_the_default_is_the_system(monkeypatch):
    monkeypatch.setattr(live, "system_nameservers", lambda: [("127.0.0.1", 9)])
    assert asks(Live(timeout=0.5), "example.org A") == [Failed(Failure.TIMEOUT, "127.0.0.1:9: Connection refused")]


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("127.0.0.1", ("127.0.0.1", 53)),
        ("127.0.0.1:5353", ("127.0.0.1", 5353)),
        ("::1", ("::1", 53)),
        ("[::1]", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)),
        ("2001:db8::1", ("2001:db8::1", 53)),
        ("localhost:54", ("127.0.0.1", 54)),
    ],
)
def test_a_server_can_be_named(text, server):
    assert live.nameserver(text) in (server, ("::1", 54))  # what localhost is depends on the machine


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:²",
        "[::1",
        "a" * 300,
        "::1:x",
        "a:" + "9" * 5000,
        "[127.0.0.1]:53",
    ],
)
def test_what_is_no_server_is_said_so(monkeypatch, text):
    monkeypatch.setattr(live.socket, "getaddrinfo", _unknown_host)
    with pytest.raises(live.NoNameservers):
        live.nameserver(text)


def _unknown_host(*_arguments, **_options):
    raise OSError


def test_constants_that_others_rely_on():
    assert live.TIMEOUT >= 2 * live.ATTEMPT  # a lost datagram is sent again
    assert MAX_NEGATIVE_TTL > live.MOMENT >= 1  # RFC 9520 section 3.2
    assert Question("", "NS") == live.normal(".", "ns")
