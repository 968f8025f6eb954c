"""Our SPF, DKIM and record verdicts beside pyspf's, dkimpy's and checkdmarc's, over the same closed answers.

They are equal but for the differences in ARGUED, each with the clause that decides it. The table is held to be exact: a difference
that is not in it fails, and so does one that is in it and does not occur.
"""

import asyncio
import re
from collections import defaultdict
from dataclasses import dataclass

import pytest

from delivcheck.net.snapshot import Listed, from_mapping
from tests.conformance import generated_domains, peers, signed_corpora
from tests.conformance.test_openspf import SUITE, result, suite, zone
from tests.facts.dkim_world import verdicts
from tests.mime.corpora import needs_corpora

DOMAINS = 200


@dataclass(frozen=True)
class Difference:
    """A case, or a class of cases (a way of writing a record, a cause), in which a peer says something else than we do."""

    peer: str
    case: str
    ours: str
    theirs: str
    why: str


_TIMEOUT = "a look-up that failed says nothing about the record: "
_OTHER_TXT = "records that do not begin with the version tag are discarded, so there is none: "

ARGUED = {
    "openspf": (
        Difference(
            "pyspf",
            "ptr-cname-loop",
            "neutral",
            "temperror",
            "RFC 7208 section 5.5: if a DNS error occurs while doing the PTR look-up, the mechanism fails to match; the suite says so, too",
        ),
    ),
    "corpora": (
        Difference("dkimpy", "algorithm", "fail", "pass", "RFC 8301 section 3.1: rsa-sha1 MUST NOT be used for verifying"),
    ),
    "spf": (),
    "dkim": (
        Difference("dkimpy", "rsa-sha1", "fail", "pass", "RFC 8301 section 3.1: rsa-sha1 MUST NOT be used for verifying"),
        Difference(
            "dkimpy",
            "for several services",
            "pass",
            "fail",
            "RFC 6376 section 3.6.1, s=: a colon-separated list of service types; email is one of them",
        ),
        Difference(
            "dkimpy",
            "only sha1",
            "fail",
            "pass",
            "RFC 6376 section 6.1.2 step 6: if h= of the key does not list the hash of a=, the verifier MUST ignore the key",
        ),
        Difference(
            "dkimpy",
            "strict identity",
            "fail",
            "pass",
            "RFC 6376 section 3.6.1, t=s: the domain of i= MUST NOT be a subdomain of d=",
        ),
        Difference(
            "dkimpy",
            "version last",
            "fail",
            "pass",
            "RFC 6376 section 3.6.1, v=: if specified, it MUST be the first tag in the record",
        ),
        Difference(
            "dkimpy",
            "not base64",
            "fail",
            "pass",
            "RFC 6376 section 3.6.1, p= is a base64string: ALPHA, DIGIT, + and / (section 2.10); 6.1.2 step 4: malformed, so ignored",
        ),
        Difference(
            "dkimpy",
            "l= too long",
            "fail",
            "pass",
            "RFC 6376 section 3.5, l=: MUST NOT be larger than the octets in the canonicalized body",
        ),
        Difference(
            "dkimpy",
            "no From in h=",
            "fail",
            "pass",
            "RFC 6376 section 6.1.1: if h= does not include From, the verifier MUST ignore the signature",
        ),
    ),
    "records": (
        # SPF
        Difference("checkdmarc spf", "times out", "unknown", "absent", _TIMEOUT + "RFC 7208 section 4.4, temperror"),
        Difference("checkdmarc spf", "servfail", "unknown", "absent", _TIMEOUT + "RFC 7208 section 4.4, temperror"),
        Difference("checkdmarc spf", "a times out", "unknown", "valid", _TIMEOUT + "RFC 7208 section 2.6.6, temperror"),
        Difference(
            "checkdmarc spf", "include that times out", "unknown", "invalid", _TIMEOUT + "RFC 7208 section 5.2, temperror"
        ),
        Difference(
            "checkdmarc spf",
            "leading blank",
            "invalid",
            "absent",
            "RFC 7208 section 4.5 discards it, and spf/no-record says that too; spf/malformed-txt says beside it what stands there",
        ),
        Difference(
            "checkdmarc spf",
            "quoted",
            "invalid",
            "absent",
            "RFC 7208 section 4.5 discards it, and spf/no-record says that too; spf/malformed-txt says beside it what stands there",
        ),
        Difference(
            "checkdmarc spf",
            "equals for a colon",
            "invalid",
            "valid",
            "RFC 7208 section 6 makes it an unknown modifier, ignored: our verdict (as pyspf's) is that, and the rule says that it was",
        ),
        Difference(
            "checkdmarc spf",
            "upper case",
            "valid",
            "invalid",
            "RFC 7208 section 12 is ABNF, whose literals are case-insensitive (RFC 5234 section 2.3)",
        ),
        # DMARC
        Difference("checkdmarc dmarc", "times out", "unknown", "invalid", _TIMEOUT + "RFC 9989 section 4.10.1"),
        Difference(
            "checkdmarc dmarc", "beside other txt", "valid", "invalid", "RFC 9989 section 4.10 step 2: the other is discarded"
        ),
        Difference(
            "checkdmarc dmarc", "other txt in its place", "absent", "invalid", _OTHER_TXT + "RFC 9989 section 4.10 step 2"
        ),
        Difference("checkdmarc dmarc", "spf in its place", "absent", "invalid", _OTHER_TXT + "RFC 9989 section 4.10 step 2"),
        Difference("checkdmarc dmarc", "no version", "absent", "invalid", _OTHER_TXT + "RFC 9989 section 4.10 step 2"),
        Difference(
            "checkdmarc dmarc",
            "adkim misspelt",
            "invalid",
            "valid",
            "RFC 9989 section 4.8: such a value is discarded; we say so as for any tag, checkdmarc warns here and refuses t=yes",
        ),
        Difference(
            "checkdmarc dmarc",
            "fo 0 and 1",
            "invalid",
            "valid",
            "RFC 9989 section 4.8, dmarc-fo: 0 or 1, not both; discarded, and we say so as for any tag; checkdmarc warns",
        ),
        Difference(
            "checkdmarc dmarc",
            "no p",
            "invalid",
            "valid",
            "RFC 9989 section 4.7 takes it for p=none, as we do; but RFC 7489 section 6.3 requires p=, and Gmail refuses (5.7.40)",
        ),
        Difference(
            "checkdmarc dmarc",
            "no p and no addresses",
            "invalid",
            "valid",
            "RFC 9989 section 4.10.1: without a valid p= and without rua= the receiver applies no DMARC processing",
        ),
        Difference(
            "checkdmarc dmarc",
            "version alone",
            "invalid",
            "valid",
            "RFC 9989 section 4.10.1: without a valid p= and without rua= the receiver applies no DMARC processing",
        ),
        # MTA-STS and TLS-RPT
        Difference(
            "checkdmarc mta-sts", "times out", "unknown", "absent", _TIMEOUT + "RFC 8461 section 5.1 keeps the cached policy"
        ),
        Difference("checkdmarc mta-sts", "spf in its place", "absent", "invalid", _OTHER_TXT + "RFC 8461 section 3.1"),
        Difference(
            "checkdmarc mta-sts",
            "version alone",
            "invalid",
            "absent",
            "RFC 8461 section 3.1 discards what does not begin with v=STSv1; either way there is no policy, and we say what is missing",
        ),
        Difference(
            "checkdmarc tls-rpt", "times out", "unknown", "absent", _TIMEOUT + "RFC 8460 section 3 asks DNS anew each day"
        ),
        Difference(
            "checkdmarc tls-rpt",
            "version alone",
            "invalid",
            "absent",
            "RFC 8460 section 3 discards what does not begin with v=TLSRPTv1; either way nobody reports, and we say what is missing",
        ),
    ),
}


class Comparison:
    """Counts cases, and gathers those in which the two differ."""

    def __init__(self, what, record_property):
        self.what, self.cases, self.record_property = what, 0, record_property
        self.found = defaultdict(set)

    def hold(self, peer, case, ours, theirs, where):
        self.cases += 1
        if ours != theirs:
            self.found[peer, case, ours.partition(":")[0], theirs.partition(":")[0]].add(where)

    def is_as_argued(self):
        self.record_property("cases", self.cases)
        self.record_property("differences", len(self.found))
        argued = {(each.peer, each.case, each.ours, each.theirs) for each in ARGUED[self.what]}
        assert {key: sorted(where)[:3] for key, where in self.found.items() if key not in argued} == {}
        assert argued - set(self.found) == set(), "argued, and no longer there"


def test_each_difference_is_argued_with_a_clause_and_once():
    for each in ARGUED.values():
        assert all(re.search(r"RFC \d{4} section \d", one.why) for one in each)
        assert len({(one.peer, one.case) for one in each}) == len(each)


@pytest.mark.skipif(not SUITE.exists(), reason="the shared suites are not beside this checkout")
def test_pyspf_and_we_agree_on_the_openspf_suite(record_property):
    comparison = Comparison("openspf", record_property)
    for name, test, data in suite():
        ours = peers.spf_word(asyncio.run(result(test, data)))
        theirs = peers.pyspf(Listed(zone(data)), test["host"], test.get("mailfrom") or "", test["helo"])
        comparison.hold("pyspf", name, ours, theirs, name)
    comparison.is_as_argued()
    assert comparison.cases == 203


@needs_corpora
def test_dkimpy_and_we_agree_on_the_signed_messages_of_the_corpora(record_property):
    comparison = Comparison("corpora", record_property)
    passed = 0
    for name, octets in signed_corpora.messages():
        given = {"as it is": (octets, {})}
        if (anew := signed_corpora.signed_anew(octets)) is not None:
            given |= {label: (change(anew[0]), anew[1]) for label, change in signed_corpora.CHANGES.items()}
        for label, (changed, keys) in given.items():
            for verdict in verdicts(changed, keys):
                ours = "pass" if verdict.result == "pass" else "fail"
                theirs = peers.dkimpy(changed, from_mapping(keys), verdict.index)
                passed += ours == theirs == "pass"
                comparison.hold("dkimpy", verdict.cause or "none", ours, theirs, f"{name}, {label}")
    record_property("passed", passed)
    comparison.is_as_argued()
    assert comparison.cases >= 500
    assert passed >= 150  # or they would agree on nothing but failures


@pytest.fixture(scope="module")
def seeds(soak):
    return range(1, 6 if soak else 2)


def generated(seeds):
    for seed in seeds:
        for domain in generated_domains.generate(DOMAINS, seed):
            yield domain, from_mapping(domain.zone)


def test_pyspf_and_we_agree_on_generated_domains(seeds, record_property):
    comparison = Comparison("spf", record_property)
    seen = set()
    for domain, world in generated(seeds):
        for ip in generated_domains.SENDS:
            ours = peers.our_spf(world, ip, domain.name)
            theirs = peers.pyspf(world, ip, f"postmaster@{domain.name}")
            seen.add(ours)
            comparison.hold("pyspf", domain.ways["spf"], ours, theirs, f"{domain.name} from {ip}")
    comparison.is_as_argued()
    assert seen == {"pass", "fail", "softfail", "neutral", "none", "permerror", "temperror"}


def test_dkimpy_and_we_agree_on_generated_domains(seeds, record_property):
    comparison = Comparison("dkim", record_property)
    for domain, world in generated(seeds):
        (verdict,) = verdicts(domain.octets, domain.zone)
        ours = "pass" if verdict.result == "pass" else "fail"
        comparison.hold("dkimpy", domain.ways["dkim"], ours, peers.dkimpy(domain.octets, world), domain.name)
    comparison.is_as_argued()


def test_checkdmarc_and_we_agree_on_generated_domains(seeds, record_property):
    comparison = Comparison("records", record_property)
    for domain, world in generated(seeds):
        ours, theirs = peers.our_records(world, domain.name), peers.checkdmarc_of(world, domain.name)
        for kind, word in theirs.items():
            comparison.hold(f"checkdmarc {kind}", domain.ways[kind], ours[kind], word, domain.name)
    comparison.is_as_argued()
