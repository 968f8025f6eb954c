"""The TXT answer at the envelope domain, and the tree of look-ups behind it."""

import asyncio
import time
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivcheck import catalog
from delivcheck.engine import Planner, Provider, Roots, gather
from delivcheck.facts import identity, spf
from delivcheck.facts.identity import MailFromDomain, SendingHost
from delivcheck.facts.roots import WHY_ABSENT, AuditedDomain, Envelope
from delivcheck.facts.spf import Led, SpfRecords, SpfTree, tree
from delivcheck.facts.spf_crawl import MAX_DEPTH, MAX_QUESTIONS, MAX_RECORDS
from delivcheck.facts.spf_verdict import evaluate
from delivcheck.facts.verdicts import SpfResult
from delivcheck.model import Dns, Failed, Found, NoData, NoSuchName, NotApplicable, Question, Unavailable
from delivcheck.net.snapshot import from_mapping
from delivcheck.records.spf import MAX_MX, read
from delivcheck.records.spf_macros import can_be_asked, dns_name, expand
from tests.facts.spf_rounds import Rounds

PLANNER = Planner([identity.mail_from_of_envelope, identity.mail_from_audited, *catalog.collect([spf], Provider)])


def built(zone, domain="example.org"):
    return asyncio.run(tree(domain, from_mapping(zone)))


def facts(zone, *roots, wanted=(SpfRecords, SpfTree)):
    world = from_mapping(zone)
    given = Roots(*(roots or [AuditedDomain("example.org")]), (Dns, world), why_absent=WHY_ABSENT)
    return asyncio.run(gather(PLANNER.plan(wanted, given), given)), world


def lines(zone):
    return [
        f"{'  ' * step.depth}{step.branch.term.text} {step.branch.lookups}" + (" again" if step.again else "")
        for step in built(zone).walk()
    ]


# --- the answer --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "texts", "others", "exists"),
    [
        ({"example.org TXT": ["v=spf1 mx", "a=b"]}, ("v=spf1 mx",), ("a=b",), True),
        ({"example.org TXT": ["v=spf1 mx", "V=SPF1"]}, ("V=SPF1", "v=spf1 mx"), (), True),
        ({"example.org A": "192.0.2.1"}, (), (), True),
        ({"example.org TXT": "NXDOMAIN"}, (), (), False),
        ({"www.example.org A": "192.0.2.1"}, (), (), True),
        ({}, (), (), False),
    ],
)
def test_records_and_what_stands_beside_them(answer, texts, others, exists):
    found, _ = facts(answer, wanted=(SpfRecords,))
    records = found[SpfRecords]
    assert (records.texts, records.others, records.exists) == (texts, others, exists)
    assert (records.only is None) == (len(texts) != 1)


@pytest.mark.parametrize("failure", ["TIMEOUT", "SERVFAIL", "REFUSED", "BOGUS"])
def test_a_failure_is_no_absence(failure):
    found, _ = facts({"example.org TXT": failure})
    for key in (SpfRecords, SpfTree):
        assert isinstance(found[key], Unavailable)
        assert found[key].reason == f"no answer for example.org TXT: {failure.lower()}"
        assert (found[key].where.name, found[key].where.type) == ("example.org", "TXT")


@pytest.mark.parametrize(
    ("zone", "reason"),
    [
        ({"example.org A": "192.0.2.1"}, "example.org has no SPF record"),
        ({"example.org TXT": ["v=spf1 a", "v=spf1 mx"]}, "example.org has 2 SPF records, so none of them is evaluated"),
    ],
)
def test_without_one_record_there_is_no_tree(zone, reason):
    found, world = facts(zone)
    assert isinstance(found[SpfTree], NotApplicable)
    assert found[SpfTree].reason == reason
    assert [str(question) for question in world.asked] == ["example.org TXT"]


def test_a_name_of_one_label_is_not_asked():
    found, world = facts({}, AuditedDomain("localhost"))
    assert isinstance(found[SpfRecords], NotApplicable)
    assert world.asked == []


def test_the_envelope_says_which_domain_even_in_an_audit():
    found, _ = facts({"bounce.example TXT": "v=spf1 -all"}, AuditedDomain("example.org"), Envelope("b@bounce.example"))
    assert found[SpfTree].domain == "bounce.example"


def test_the_size_of_an_answer_is_what_dnspython_makes_of_it():
    import dns.message
    import dns.rrset

    texts = ["v=spf1 " + " ".join(f"ip4:192.0.2.{n}" for n in range(40)) + " -all", "a=b", "c" * 255]
    records = facts({"example.org TXT": texts}, wanted=(SpfRecords,))[0][SpfRecords]
    reply = dns.message.make_response(dns.message.make_query("example.org", "TXT", use_edns=0))
    quoted = [" ".join('"' + string.decode() + '"' for string in strings) for strings in records.txt]
    reply.answer.append(dns.rrset.from_text("example.org.", 300, "IN", "TXT", *quoted))
    assert records.answer_size == len(reply.to_wire())


# --- the tree ----------------------------------------------------------------------------------------------------

OFFICE = {
    "example.org TXT": "v=spf1 a mx include:esp.example exists:%{i}.x.example ptr redirect=%{d2}.example",
    "example.org A": "192.0.2.1",
    "example.org MX": ["20 b.example.org", "10 a.example.org"],
    "a.example.org A": "192.0.2.2",
    "b.example.org AAAA": "2001:db8::2",
    "esp.example TXT": "v=spf1 include:one.example ?include:two.example ip4:198.51.100.0/24 ~all a:never.example",
    "one.example TXT": "v=spf1 ip4:198.51.100.1 -all",
    "two.example TXT": "v=spf1 include:one.example a:gone.example -all",
    "example.org.example TXT": "v=spf1 -all",
}


def test_a_tree_says_what_each_term_costs_and_where_it_leads():
    assert lines(OFFICE) == [
        "a 1",
        "mx 1",
        "include:esp.example 5",
        "  include:one.example 1",
        "    ip4:198.51.100.1 0",
        "    -all 0",
        "  ?include:two.example 3",
        "    include:one.example 1 again",
        "    a:gone.example 1",
        "    -all 0",
        "  ip4:198.51.100.0/24 0",
        "  ~all 0",
        "exists:%{i}.x.example 1",
        "ptr 1",
        "redirect=%{d2}.example 1",
        "  -all 0",
    ]
    found = built(OFFICE)
    assert (found.lookups, found.count, found.voids, found.complete) == (10, "10", 1, True)
    assert [(one.term.text, one.lookups) for one in found.spenders][:2] == [("include:esp.example", 5), ("a", 1)]
    a, mx, include, exists, ptr, redirect = found.root.branches
    assert (a.target, a.addresses) == ("example.org", ("192.0.2.1",))
    assert (mx.hosts, mx.addresses) == (("a.example.org", "b.example.org"), ("192.0.2.2", "2001:db8::2"))
    assert (include.target, include.voids, include.void, include.node.name) == ("esp.example", 1, (), "esp.example")
    assert include.node.branches[1].node.branches[1].void == (Question("gone.example", "A"),)
    assert (exists.dynamic, exists.target, ptr.target) == (True, None, None)
    assert redirect.target == "example.org.example"
    assert [node.name for node in found.nodes()] == [
        "example.org",
        "esp.example",
        "one.example",
        "two.example",
        "example.org.example",
    ]
    assert [node.name for node in found.policies()] == ["example.org", "example.org.example"]


def test_what_cannot_match_is_not_asked():
    _, world = facts(OFFICE)
    asked = {str(question) for question in world.asked}
    assert "never.example A" not in asked
    assert not any(question.endswith("PTR") or "x.example" in question for question in asked)
    assert len(world.asked) == len(asked)


def test_an_include_that_timed_out_hides_only_itself():
    zone = {
        "example.org TXT": "v=spf1 include:slow.example include:a.example -all",
        "slow.example TXT": "TIMEOUT",
        "a.example TXT": "v=spf1 mx -all",
    }
    found = built(zone)
    slow, other, _ = found.root.branches
    assert (slow.node.state, slow.node.unavailable.reason, slow.complete) == (
        Led.UNKNOWN,
        "no answer for slow.example TXT: timeout",
        False,
    )
    assert (other.node.state, other.complete, other.lookups) == (Led.RECORD, True, 2)
    assert (found.count, found.complete, found.root.counted) == ("at least 3", False, False)
    assert [one.reason for one in found.unavailable] == ["no answer for slow.example TXT: timeout"]


def test_addresses_that_timed_out_leave_the_look_ups_counted():
    zone = {
        "example.org TXT": "v=spf1 a mx mx:b.example -all",
        "example.org A": "SERVFAIL",
        "example.org MX": "TIMEOUT",
        "b.example MX": "10 c.example",
        "c.example AAAA": "TIMEOUT",
    }
    found = built(zone)
    assert (found.count, found.complete, found.root.counted) == ("3", False, True)
    assert [str(one.question) for one in found.unanswered] == ["example.org A", "example.org MX", "c.example AAAA"]
    assert found.root.branches[0].unavailable[0].reason == "no answer for example.org A: servfail"
    assert found.root.unavailable is None


@pytest.mark.parametrize(
    ("target", "state"),
    [
        ({}, Led.NONE),
        ({"a.example TXT": ["v=spf1 a", "v=spf1 mx"]}, Led.SEVERAL),
        ({"a.example TXT": "v=spf1 moo"}, Led.RECORD),
        ({"a.example TXT": "BOGUS"}, Led.UNKNOWN),
    ],
)
def test_what_stands_at_a_target(target, state):
    found = built({"example.org TXT": "v=spf1 include:a.example", **target})
    assert found.root.branches[0].node.state is state
    assert bool(found.root.branches[0].void) == (not target)


def test_a_tree_can_be_asked_for_whatever_stands_at_its_root():
    assert built({}).root.state is Led.NONE
    assert built({"example.org TXT": "TIMEOUT"}).count == "at least 0"


@pytest.mark.parametrize(
    ("zone", "loops"),
    [
        ({"example.org TXT": "v=spf1 include:example.org"}, [("example.org", "include:example.org")]),
        (
            {"example.org TXT": "v=spf1 include:a.example", "a.example TXT": "v=spf1 mx redirect=example.org"},
            [("a.example", "redirect=example.org")],
        ),
        (
            {
                "example.org TXT": "v=spf1 include:a.example include:b.example",
                "a.example TXT": "v=spf1 include:b.example",
                "b.example TXT": "v=spf1 include:a.example",
            },
            [("b.example", "include:a.example")],
        ),
    ],
)
def test_a_loop_is_marked_where_it_closes(zone, loops):
    found = built(zone)
    assert [(step.node.name, step.branch.term.text) for step in found.walk() if step.branch.loop] == loops
    assert found.root.endless
    assert found.count.startswith("at least ")


@pytest.mark.parametrize(
    ("zone", "passing"),
    [
        ({"example.org TXT": "v=spf1 ?a mx -all"}, ["mx"]),
        ({"example.org TXT": "v=spf1 include:a.example", "a.example TXT": "v=spf1 a ~mx"}, ["include:a.example", "a"]),
        ({"example.org TXT": "v=spf1 ?include:a.example ~all", "a.example TXT": "v=spf1 a"}, []),
        ({"example.org TXT": "v=spf1 redirect=a.example", "a.example TXT": "v=spf1 all redirect=b.example"}, ["all"]),
        (
            {"example.org TXT": "v=spf1 include:a.example include:a.example", "a.example TXT": "v=spf1 a include:a.example"},
            ["include:a.example", "include:a.example", "a", "include:a.example"],
        ),
    ],
)
def test_which_terms_let_hosts_pass(zone, passing):
    assert [branch.term.text for _, branch in built(zone).passing()] == passing


# --- what hostile zones cost -------------------------------------------------------------------------------------


class Counting:
    """A world made by a function of name and type that counts the questions."""

    def __init__(self, answer):
        self.answer, self.questions = answer, 0

    async def ask(self, name, type):  # noqa: A002 -- the DNS word
        self.questions += 1
        await asyncio.sleep(0)
        return self.answer(name, type)


def txt(text):
    return Found(((text.encode(),),))


def twice(name, kind):
    """A binary tree as deep as one likes, in a handful of records: each includes the next one twice."""
    depth = int(name.partition(".")[0])
    return (
        txt(f"v=spf1 include:{depth + 1}.example include:{depth + 1}.example -all")
        if kind == "TXT" and depth < 19
        else txt("v=spf1 a -all")
    )


def test_a_record_included_a_million_times_is_counted_and_not_visited():
    world = Counting(twice)
    began = time.process_time()
    found = asyncio.run(tree("0.example", world))
    assert found.lookups == 2**20 - 2 + 2**19
    assert (world.questions, len(list(found.walk()))) == (20 + 2, 19 * 3 + 2)
    assert repr(found)
    assert time.process_time() - began < 10


def test_a_chain_without_end_ends():
    world = Counting(lambda name, kind: txt(f"v=spf1 include:{int(name.partition('.')[0]) + 1}.example -all"))
    found = asyncio.run(tree("0.example", world))
    assert world.questions == MAX_DEPTH + 1
    assert [node.state for node in found.nodes()][-1] is Led.SKIPPED
    assert found.count == f"at least {MAX_DEPTH + 1}"


def test_a_broad_tree_ends():
    world = Counting(lambda name, kind: txt("v=spf1 " + " ".join(f"include:{n}.{name[-20:]}" for n in range(60)) + " -all"))
    found = asyncio.run(tree("example", world))
    assert world.questions == MAX_RECORDS
    assert not found.complete


def test_a_record_of_many_hosts_ends():
    text = "v=spf1 " + " ".join(f"a:{n}.example" for n in range(2000)) + " -all"
    world = Counting(lambda name, kind: txt(text) if kind == "TXT" else NoData())
    found = asyncio.run(tree("example.org", world))
    assert world.questions == MAX_QUESTIONS
    assert (found.count, found.complete) == ("2000", False)
    assert found.root.branches[-2].skipped


def test_a_tree_takes_as_long_as_it_is_deep():
    def answer(name, kind):
        level = name.count(".")
        if kind == "TXT":
            return txt(
                "v=spf1 mx " + (" ".join(f"include:{n}.{name}" for n in range(3)) if level < 3 else "a:x.example") + " -all"
            )
        return Found(((10, "mx.example"), (20, f"mx2.{name}"))) if kind == "MX" else Found(("192.0.2.1",))

    world = Rounds(answer)
    found = world.run(tree("a.example", world))
    assert found.lookups == 1 + 3 * (1 + 1) + 9 * (1 + 2)
    assert (world.rounds, world.questions) == (5, 56), "three levels of records, the MX of the last and their addresses"


# --- properties --------------------------------------------------------------------------------------------------

NAMES = ["example.org", "a.example", "b.example", "c.example", "d.example"]
TERMS = st.one_of(
    st.sampled_from(
        [
            "a",
            "mx",
            "ptr",
            "?all",
            "-all",
            "ip4:192.0.2.0/24",
            "exists:%{i}.a.example",
            "exists:x%{d}",
            "exists:e..example",
            "a:%{o}",
        ]
    ),
    st.builds(
        "{}:{}".format,
        st.sampled_from(["a", "mx", "include", "?include", "exists"]),
        st.sampled_from([*NAMES[1:], "gone.example"]),
    ),
    st.builds("redirect={}".format, st.sampled_from(NAMES[1:])),
)


@st.composite
def worlds(draw):
    zone = {}
    for number, name in enumerate(NAMES):
        if number == 0 or draw(st.booleans()):
            terms = [
                term
                for term in draw(st.lists(TERMS, max_size=5))
                if not any(earlier in term for earlier in NAMES[: number + 1])
            ]
            only_one = [
                term for n, term in enumerate(terms) if not term.startswith("redirect") or "redirect" not in " ".join(terms[:n])
            ]
            zone[f"{name} TXT"] = " ".join(["v=spf1", *only_one])
        if draw(st.booleans()):
            zone[f"{name} A"] = draw(st.sampled_from(["192.0.2.1", "198.51.100.1"]))
        if draw(st.booleans()):
            zone[f"{name} MX"] = [f"10 {draw(st.sampled_from([*NAMES, 'gone.example']))}"]
    return zone


def by_hand(zone, name):
    """Look-ups and voids of a record, worked out term by term without any memory: what the tree must come to."""
    world = from_mapping(zone)

    def ask(name, kind):
        return asyncio.run(world.ask(name, kind))

    def void(name, *kinds):
        return int(can_be_asked(name) and all(isinstance(ask(name, kind), (NoData, NoSuchName)) for kind in kinds))

    answer = ask(name, "TXT")
    if not isinstance(answer, Found):
        return 0, 0
    spent, voids = 0, 0
    for term in read(answer.records[0][0].decode()).evaluated:
        if not term.asks:
            continue
        spent += 1
        about = expand(term.macros, {"d": name, "o": "example.org"}) if term.value is not None else name
        if about is None or term.name == "ptr":
            continue
        about = dns_name(about)
        if term.name in {"include", "redirect"}:
            below = by_hand(zone, about)
            spent, voids = spent + below[0], voids + below[1] + void(about, "TXT")
        elif term.name == "mx":
            voids += void(about, "MX")
            found = ask(about, "MX")
            voids += sum(void(host, "A", "AAAA") for _, host in found.records[:MAX_MX]) if isinstance(found, Found) else 0
        else:
            voids += void(about, *(["A"] if term.name == "exists" else ["A", "AAAA"]))
    return spent, voids


@given(worlds())
def test_the_counts_are_those_worked_out_by_hand(zone):
    found = built(zone)
    assert (found.lookups, found.voids) == by_hand(zone, "example.org")
    assert found.complete


@given(worlds(), st.sampled_from(["192.0.2.1", "198.51.100.9", "2001:db8::1"]))
@settings(max_examples=50)
def test_no_host_spends_more_than_the_tree_says(zone, ip):
    host, sender = SendingHost(ip_address(ip), "out.example"), MailFromDomain("example.org", "me@example.org")
    verdict = asyncio.run(evaluate(host, sender, from_mapping(zone)))
    if verdict.result is not SpfResult.PERMERROR:
        assert verdict.lookups <= built(zone).lookups


FAILING = st.sampled_from(["TIMEOUT", "SERVFAIL", "BOGUS"])


@given(worlds(), st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["TXT", "A", "AAAA", "MX"]), FAILING), max_size=3))
def test_failures_only_ever_hide_something(zone, failures):
    """With answers missing the counts can be lower, never higher, and what is missing is named."""
    broken = zone | {f"{name} {kind}": failure for name, kind, failure in failures}
    whole, partial = built(zone), built(broken)
    assert partial.lookups <= whole.lookups
    assert partial.voids <= whole.voids
    assert partial.complete == (not partial.unanswered)
    assert all(isinstance(each.failed, Failed) for each in partial.unanswered)
    assert list(partial.walk()) is not None
