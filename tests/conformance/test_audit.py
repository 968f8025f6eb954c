"""A domain audit against a real name server, 20 ms away: right outcomes, few rounds, never past its time."""

import asyncio
import json
import socket
import threading
import time
from ipaddress import ip_address

import pytest

from delivcheck.api import Checker, Options, report, to_json
from delivcheck.facts.roots import Session
from delivcheck.model import Outcome, Verdict
from delivcheck.net.dns import Live
from delivcheck.policy import load
from tests.test_catalog import BOOK, reads_dns

MOST_ROUNDS = 7
TRIES = 10


def audit(domain, nameservers, timeout=15.0, **given):
    """The report as JSON and the seconds it took."""
    options = Options(load("bulk"), dns=Live(nameservers=nameservers), timeout=timeout)
    begin = time.monotonic()
    session = Session(ip_address(given.pop("ip")), given.pop("ehlo")) if "ip" in given else None
    target = asyncio.run(Checker(options).domain(domain, session=session, **given))
    taken = time.monotonic() - begin
    return json.loads(to_json(report([target], options, begin))), target, taken


def decided_without_dns(target):
    """Rules that passed or failed although a fact they read could not be had."""
    decided = {result.rule for result in target.results if result.outcome in {Outcome.PASS, Outcome.FAIL}}
    return {rule for rule in decided if reads_dns(BOOK.rules[rule])}


def test_an_ordinary_domain_takes_at_most_seven_rounds(nsd, delay_line, record_property):
    """SPF three includes deep, two MX, two selectors.

    A busy machine may start a question late, which only one of the two counts sees: one of several runs must agree.
    """
    made = nsd.manifest["domains"]
    domain = next(each["domain"] for each in made if 3 in each["includes"] or each["profile"] == "C")
    for _ in range(TRIES):
        delay_line.reset()
        told, target, taken = audit(domain, [delay_line.address], selectors=("s1", "ed"))
        counted = delay_line.stats()
        if (told["dns"]["questions"], told["dns"]["rounds"]) == (counted["queries"], counted["rounds"]):
            break
    record_property("rounds", counted["rounds"])
    record_property("seconds", round(taken, 3))
    assert told["dns"] == {"questions": counted["queries"], "rounds": counted["rounds"], "snapshot_age_s": None}
    assert counted["rounds"] <= MOST_ROUNDS
    assert target.counts.unknown == 0


def test_every_domain_of_the_fixture_is_judged_as_it_was_made(nsd, delay_line):
    wrong = {
        "spf-missing": "spf/no-record",
        "spf-multiple": "spf/several-records",
        "spf-plus-all": "spf/passes-everyone",
        "spf-too-many-lookups": "spf/too-many-lookups",
        "dmarc-missing": "dmarc/no-record",
    }
    for each in nsd.manifest["domains"]:
        _, target, _ = audit(each["domain"], [nsd.address], selectors=("s1", "ed"))
        failed = {result.rule for result in target.results if result.outcome is Outcome.FAIL}
        assert {wrong[issue] for issue in each["issues"]} <= failed
        assert not failed & (set(wrong.values()) - {wrong[issue] for issue in each["issues"]})


@pytest.fixture
def silent():
    """A name server that never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        yield server.getsockname()


@pytest.fixture
def refusing():
    """A name server that refuses every question."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.1)
        going = threading.Event()
        going.set()

        def serve():
            while going.is_set():
                try:
                    question, sender = server.recvfrom(4096)
                except TimeoutError:
                    continue
                server.sendto(question[:2] + b"\x81\x05" + question[4:], sender)  # QR, RD, RCODE REFUSED

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()
        going.clear()
        thread.join()


def test_among_name_servers_one_that_refuses_and_one_that_is_silent_change_nothing(nsd, silent, refusing):
    domain = nsd.manifest["domains"][0]["domain"]
    _, alone, _ = audit(domain, [nsd.address], selectors=("s1",))

    _, among, taken = audit(domain, [refusing, silent, nsd.address], selectors=("s1",))

    assert [(one.rule, one.outcome) for one in among.results] == [(one.rule, one.outcome) for one in alone.results]
    assert taken < 60


def test_where_dns_does_not_answer_everything_is_unknown_and_in_time(silent):
    _, target, taken = audit("example.org", [silent], timeout=1.0, ip="192.0.2.1", ehlo="mail.example.org", selectors=("s1",))

    assert taken < 10
    assert target.verdict is Verdict.UNKNOWN
    assert decided_without_dns(target) == set()


def test_refused_everywhere_is_unknown(refusing):
    _, target, _ = audit("example.org", [refusing], ip="192.0.2.1", ehlo="mail.example.org", selectors=("s1",))

    assert target.verdict is Verdict.UNKNOWN
    assert decided_without_dns(target) == set()
