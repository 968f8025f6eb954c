"""All 203 cases of the openspf.org suite for RFC 7208, through our fact: roots, planner, gather, over a closed zone."""

import asyncio
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path

import pytest

from delivcheck import catalog
from delivcheck.engine import Planner, Provider, Roots, gather
from delivcheck.facts import identity, spf, spf_verdict
from delivcheck.facts.roots import WHY_ABSENT, Envelope, Session
from delivcheck.facts.verdicts import SpfResult, SpfVerdict
from delivcheck.model import Dns, Failed, Failure, Found, NotApplicable, Unavailable
from delivcheck.net.snapshot import Listed

yaml = pytest.importorskip("yaml", reason="the suite is YAML")

SUITE = Path(__file__).parents[3] / "shared" / "suites" / "spf" / "rfc7208-tests.yml"
PLANNER = Planner([identity.host_of_session, identity.mail_from_of_envelope, *catalog.collect([spf, spf_verdict], Provider)])
TYPES = ("A", "AAAA", "MX", "PTR", "TXT", "CNAME")

# A MAIL FROM domain that DNS has no room for never becomes a MailFromDomain: where RFC 7208 section 4.3 says none, the fact
# does not apply.
NO_DOMAIN = {"toolonglabel", "emptylabel"}


@lru_cache(maxsize=1)
def suite():
    if not SUITE.exists():
        return []
    scenarios = yaml.safe_load_all(SUITE.read_bytes())
    return [(name, test, scenario["zonedata"]) for scenario in scenarios for name, test in scenario["tests"].items()]


def zone(data):
    """The suite's zone as answers: SPF stands for TXT unless the name has TXT of its own, TIMEOUT for all that is not there."""
    answers = {}
    for owner, entries in data.items():
        name = owner.lower()
        of_type = {kind: [] for kind in TYPES}
        records = [entry for entry in entries if isinstance(entry, dict)]
        own_txt = any("TXT" in entry for entry in records)
        for entry in records:
            ((kind, value),) = entry.items()
            if kind == "SPF" and not own_txt:
                kind = "TXT"  # RFC 7208 has no type SPF; the suite keeps RFC 4408's zones
            if kind == "SPF" or value == "NONE":
                continue
            of_type[kind].append(record(kind, value))
        for kind, values in of_type.items():
            if values:
                answers[name, kind] = Found(tuple(values))
            elif "TIMEOUT" in entries:
                answers[name, kind] = Failed(Failure.TIMEOUT)
    return answers


def record(kind, value):
    if kind == "TXT":
        strings = value if isinstance(value, list) else [value]
        return tuple(string.encode("latin-1") for string in strings)
    if kind == "MX":
        return value[0], value[1].lower().removesuffix(".")
    return value.lower().removesuffix(".")


async def result(test, data):
    dns = Listed(zone(data))
    session = Session(ip_address(test["host"]), test["helo"])
    roots = Roots(Envelope(test.get("mailfrom") or ""), session, (Dns, dns), why_absent=WHY_ABSENT)
    facts = await gather(PLANNER.plan([SpfVerdict, spf.SpfTree], roots), roots)
    assert isinstance(facts[spf.SpfTree], (spf.SpfTree, Unavailable, NotApplicable))
    assert not getattr(facts[spf.SpfTree], "bug", False)
    return facts[SpfVerdict]


@pytest.mark.skipif(not SUITE.exists(), reason="the shared suites are not beside this checkout")
def test_the_suite_is_whole():
    assert len(suite()) == 203


@pytest.mark.parametrize(("name", "test", "data"), suite(), ids=[case[0] for case in suite()])
def test_a_case_of_the_suite_has_its_result(name, test, data):
    verdict = asyncio.run(result(test, data))
    allowed = test["result"] if isinstance(test["result"], list) else [test["result"]]

    if isinstance(verdict, Unavailable):
        assert not getattr(verdict, "bug", False), verdict.reason
        assert "temperror" in allowed, verdict.reason
    elif name in NO_DOMAIN:
        assert isinstance(verdict, NotApplicable)
        assert allowed == ["none"]
    else:
        assert verdict.result in allowed, verdict
        assert (verdict.reason is not None) == (verdict.result is SpfResult.PERMERROR)
        assert verdict.lookups <= 11
