"""An audit takes as many rounds as the longest chain of questions that its domain has: no fact waits for what it need not."""

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from delivcheck.api import Checker, Options
from delivcheck.facts.roots import Session
from delivcheck.model import TargetKind
from delivcheck.net import zonefile
from delivcheck.net.client import Closed
from delivcheck.net.dns import Live
from delivcheck.net.zone import ZoneOverlay
from delivcheck.policy import load
from tests import servers
from tests.bench.fixture.chains import longest_chain, records
from tests.facts.spf_rounds import Rounds

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SELECTORS = ("s1", "ed")
DELAY = 150  # ms; all questions of a round must be out before the first answer is back, on a busy machine too


class Remembering(Rounds):
    """Answers at once what it has answered before, as a client with a cache does."""

    def __init__(self, answer):
        super().__init__(answer)
        self.answers = {}

    async def ask(self, name, type):  # noqa: A002 -- the DNS word
        if (name, type) not in self.answers:
            self.answers[name, type] = await super().ask(name, type)
        return self.answers[name, type]


def checker(dns):
    return Checker(Options(load("bulk"), dns=dns, now=NOW))


def audit(made, one):
    session = Session(ip_address(one["sender_ip"]), ehlo_of(one))
    return made.domain(one["domain"], session=session, selectors=SELECTORS)


def ehlo_of(one):
    return f"out1.{one['domain']}"


def chain_of(known, one):
    return longest_chain(known, one["domain"], one["sender_ip"], ehlo_of(one), SELECTORS)


@pytest.fixture(scope="module")
def zones(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zones")
    command = [sys.executable, str(servers.FIXTURE / "gen_zones.py"), str(folder), "--domains", "200", "--keypool", "2"]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def test_every_domain_of_the_fixture_takes_its_longest_chain(zones):
    known = records(zones)
    overlay = ZoneOverlay([zonefile.read(str(path)) for path in sorted((zones / "zones").glob("*.zone"))], Closed())

    def answer(name, type_):
        try:
            overlay.ask(name, type_).send(None)
        except StopIteration as answered:
            return answered.value
        raise AssertionError("files need not be waited for")

    seen = {}
    for one in json.loads((zones / "manifest.json").read_text())["domains"]:
        dns = Remembering(answer)
        report = dns.run(audit(checker(dns), one))
        assert report.kind is TargetKind.DOMAIN
        assert not any(result.outcome == "unknown" and result.level == "error" for result in report.results), one
        assert dns.rounds == chain_of(known, one), one
        seen.setdefault(dns.rounds, one["profile"])
    assert set(seen) >= {2, 3, 5}


def test_the_delay_line_counts_the_longest_chain(nsd, delay_line):
    known = records(nsd.folder)
    domains = nsd.manifest["domains"]
    asyncio.run(audit(checker(Live([nsd.address])), domains[0]))  # loads what an audit needs
    for one in domains[:6]:
        delay_line.reset(DELAY)
        client = Live([delay_line.address])
        asyncio.run(audit(checker(client), one))
        stats = delay_line.stats()
        assert stats["rounds"] == chain_of(known, one), one
        assert stats["queries"] == stats["unique"], "no question twice"
        assert client.use().rounds == stats["rounds"]
