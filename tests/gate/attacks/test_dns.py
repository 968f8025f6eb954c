"""Name servers that lie, flood or hang, asked by the gate over real sockets: later, in time, and never taken for an answer (attack 59)."""

import asyncio
import os
import time
from ipaddress import ip_address

import dns.message
import pytest

from delivcheck.gate.judging import Egress, Judge
from delivcheck.gate.model import Action
from delivcheck.gate.pipeline import GatePipeline
from delivcheck.gate.prepare import Preparer
from delivcheck.net.dns import Live
from delivcheck.net.lasting import Lasting
from tests.gate import world
from tests.gate.test_pipeline import GATE, Told, incoming
from tests.net.scripted import Scripted, over_tcp, response, truncated

SOA = ". 60 SOA ns.org. root.org. 1 3600 600 86400 60"
QUESTIONS = 200  # for one message: what it costs a name server in the worst of these cases is bounded, too


def name_and_type(query):
    question = dns.message.from_wire(query).question[0]
    return question.name.to_text().lower(), question.to_text().split()[-1]


def zone(records):
    """A server that has these records, and knows that there are no others."""

    def answer(query):
        name, type_ = name_and_type(query)
        found = []
        for key, values in records.items():
            owner, kind = key.split(" ")
            if (owner + ".", kind) == (name, type_):
                for value in [values] if isinstance(values, str) else values:
                    strings = " ".join(f'"{value[at : at + 250]}"' for at in range(0, len(value), 250))
                    data = strings if kind == "TXT" else value.rstrip(".") + "." if kind == "PTR" else value
                    found.append(f"{name} 60 {kind} {data}")
        if found:
            return response(query, *found)
        there = any(key.split(" ")[0] + "." == name for key in records)
        return response(query, rcode="NOERROR" if there else "NXDOMAIN", authority=[SOA])

    return answer


def forged(query):
    octets = bytearray(response(query, f'{name_and_type(query)[0]} 60 TXT "v=spf1 +all"'))
    octets[0] ^= 0xFF  # of no question of ours
    return bytes(octets)


def to_itself(query):
    name, _ = name_and_type(query)
    return response(query, f"{name} 60 CNAME {name}")


def on_and_on(query):
    name, _ = name_and_type(query)
    return response(query, f"{name} 60 CNAME x.{name}" if len(name) < 200 else f"{name} 60 CNAME {name[-100:]}")


BAD = {
    "silence": (lambda _: [], None),
    "truncated, and no TCP": (truncated, None),
    "truncated over TCP too": (truncated, over_tcp(lambda query: truncated(query)[0])),
    "answers to no question": (lambda query: [forged(query)] * 100, None),
    "noise": (lambda _: [os.urandom(500) for _ in range(20)], None),
    "an alias to itself": (lambda query: [to_itself(query)], None),
    "aliases without end": (lambda query: [on_and_on(query)], None),
    "SERVFAIL": (lambda query: [response(query, rcode="SERVFAIL")], None),
    "REFUSED": (lambda query: [response(query, rcode="REFUSED")], None),
    "a question without an answer": (lambda query: [query], None),
}


async def judged(tmp_path, server, octets, patience=0.3):
    """The outcome; how many seconds it took; nothing broke."""
    judge = Judge(
        world.configuration(tmp_path),
        Lasting(Live([server.address], timeout=patience)),
        Egress((ip_address(world.IP),), "gate.example.org"),
    )
    line = GatePipeline(GATE, judge, Preparer(GATE.name, without_received=[one.name for one in GATE.listeners]), Told())
    begun = time.monotonic()
    outcome = await asyncio.wait_for(line.process(incoming(octets)), 20)
    assert not line.watch.of("fault")
    return outcome, time.monotonic() - begun


@pytest.mark.attack(59)
@pytest.mark.parametrize("name", BAD)
async def test_what_is_no_answer_makes_the_mail_wait(tmp_path, name):
    octets, _ = world.signed()
    async with Scripted(*BAD[name]) as server:
        outcome, took = await judged(tmp_path, server, octets)
        assert outcome.decision.action is Action.DEFER, outcome.decision
        assert outcome.decision.reply.code == 451
        assert outcome.decision.reply.enhanced in {"4.4.3", "4.7.24"}
        assert took < 15
        assert len(server.seen) < QUESTIONS


@pytest.mark.attack(59)
async def test_the_same_zone_from_a_good_server_lets_it_pass(tmp_path):
    octets, records = world.signed()
    async with Scripted(lambda query: [zone(records)(query)]) as server:
        outcome, _ = await judged(tmp_path, server, octets, patience=2.0)
        assert outcome.decision.action is Action.SEND, outcome.decision


@pytest.mark.attack(59)
async def test_forgeries_before_the_true_answer_change_nothing(tmp_path):
    octets, records = world.signed()
    async with Scripted(lambda query: [*[forged(query)] * 20, zone(records)(query)]) as server:
        outcome, _ = await judged(tmp_path, server, octets, patience=2.0)
        assert outcome.decision.action is Action.SEND, outcome.decision


@pytest.mark.attack(59)
@pytest.mark.parametrize(
    ("spf", "more"),
    [
        ("v=spf1 " + "".join(f"a:v{n}.example.org " for n in range(50)) + "-all", {}),
        ("v=spf1 " + "".join(f"exists:%{{i}}.v{n}.example.org " for n in range(50)) + "-all", {}),
        ("v=spf1 " + "".join(f"include:i{n}.example.org " for n in range(50)) + "-all", {f"i{n}.example.org TXT": f"v=spf1 include:i{n + 1}.example.org -all" for n in range(60)}),
        ("v=spf1 mx -all", {"example.org MX": [f"{n} mx{n}.example.org." for n in range(100)]}),
        ("v=spf1 redirect=example.org", {}),
    ],
    ids=["voids", "exists", "includes", "100 MX", "a circle"],
)  # fmt: skip
async def test_a_record_that_asks_for_very_many_questions_is_refused_after_a_few(tmp_path, spf, more):
    """RFC 7208 section 4.6.4: 10 terms, 2 voids, 10 names of an MX."""
    octets, records = world.signed()
    answers = zone({**records, "example.org TXT": spf, **more})
    async with Scripted(lambda query: [answers(query)], over_tcp(answers)) as server:
        outcome, took = await judged(tmp_path, server, octets, patience=2.0)
        assert outcome.decision.action is Action.REFUSE, outcome.decision
        assert any(one.startswith("spf/") for one in outcome.decision.rules), outcome.decision.rules
        assert took < 15
        assert len(server.seen) < QUESTIONS


@pytest.mark.attack(59)
async def test_ten_thousand_texts_at_one_name_are_read_within_bounds_or_not_at_all(tmp_path):
    octets, records = world.signed()
    many = zone({**records, "example.org TXT": [*(f"x{number}" for number in range(10_000)), records["example.org TXT"]]})

    def udp(query):
        wire = many(query)
        return [wire] if len(wire) < 1_200 else truncated(query)

    def tcp(query):
        wire = many(query)
        return wire if len(wire) <= 65_535 else truncated(query)[0]

    async with Scripted(udp, over_tcp(tcp)) as server:
        outcome, took = await judged(tmp_path, server, octets, patience=1.0)
        assert outcome.decision.action in {Action.SEND, Action.DEFER}
        assert took < 15
        assert len(server.seen) < QUESTIONS
