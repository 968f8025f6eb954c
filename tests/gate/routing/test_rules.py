"""What sending rules say: matched and why, what wins, what waits."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.gate.routing.rules import Facts, Rules, asked, envelope
from delivcheck.gate.settings import Ending, Limit, SendingRule, When
from delivcheck.model import Level

ADDRESSES = ("a@example.org", "b@example.com", "c@mail.example.com")
STREAMS = ("resets", "weekly")
FULL = Facts(
    "a@example.org",
    ("b@example.com",),
    "shop",
    "smtp",
    "resets",
    ("spring",),
    "welcome",
    "bulk",
    1_000,
    lambda name: ["spring 2026"] if name == "x-campaign" else [],
    "fail",
    ("dkim/no-signature",),
    (),
)


def some(*values):
    return st.lists(st.sampled_from(values), max_size=2, unique=True).map(tuple)


ABOUT_INPUT = st.builds(
    When,
    sender=some(*ADDRESSES, "*@example.org", ""),
    recipient=some(*ADDRESSES, "*@example.com"),
    recipient_domain=some("example.com", "*.example.com", "*"),
    credential=some("shop", "other"),
    stream=some(*STREAMS, "*"),
    tag=some("spring", "s*"),
    larger_than=st.none() | st.integers(0, 20),
    header=st.sampled_from([(), (("x-campaign", ("spring*",)),), (("x-campaign", ("*",)),)]),
)
WHENS = ABOUT_INPUT | st.builds(When, verdict=some("pass", "fail"), recipient=some(*ADDRESSES), stream=some(*STREAMS))


@st.composite
def rule_lists(draw, whens=WHENS):
    made = []
    for number in range(draw(st.integers(0, 6))):
        when, unless = draw(whens), draw(st.just(When()) | whens)
        about = {*asked(when), *asked(unless)}
        late = bool(about & {"verdict", "failed", "undecided"})
        made.append(
            SendingRule(
                f"r{number}",
                when,
                unless,
                next_hop=None if late else draw(st.none() | st.sampled_from(["one", "two"])),
                stream=None if late else draw(st.none() | st.none() | st.sampled_from(STREAMS)),
                policy=None if late else draw(st.none() | st.sampled_from(["bulk", "strict"])),
                levels=() if late else draw(st.sampled_from([(), (("html/*", Level.OFF),), (("html/*", Level.ERROR),)])),
                ending=draw(st.none() | st.none() | st.sampled_from([Ending.HOLD, Ending.REFUSE, Ending.DEFER])),
                limit=None if late else draw(st.none() | st.just(Limit(1, 60, 1))),
                stop=draw(st.booleans()) and draw(st.booleans()),
            )
        )
    return made


@st.composite
def known_facts(draw):
    return Facts(
        draw(st.sampled_from([*ADDRESSES, ""])),
        (draw(st.sampled_from(ADDRESSES)),),
        draw(st.sampled_from(["shop", ""])),
        "smtp",
        draw(st.sampled_from([*STREAMS, ""])),
        draw(st.sampled_from([(), ("spring",), ("Spring", "x")])),
        "",
        "bulk",
        draw(st.integers(0, 20)),
        draw(st.sampled_from([lambda _: [], lambda _: ["Spring 2026", ""]])),
    )


def at_rcpt(facts, *, stream=True):
    return envelope(facts.sender, facts.recipients, facts.credential, facts.listener, facts.stream if stream else None)


@given(rule_lists(), known_facts())
def test_the_first_rule_that_matches_and_says_a_thing_decides_it(rules, facts):
    ruling = Rules(rules).on_input(facts)
    matched = [step.rule for step in ruling.steps if step.matched]
    for key in ("next_hop", "stream", "policy"):
        said = [getattr(rule, key) for rule in matched if getattr(rule, key) is not None]
        assert getattr(ruling, key) == (said[0] if said else None)
    endings = [rule.ending for rule in matched if rule.ending is not None]
    assert ruling.ending is (endings[0] if endings else None)
    assert ruling.limits == tuple(rule for rule in matched if rule.limit is not None)
    levels = [level for rule in matched for _, level in rule.levels]
    assert dict(ruling.levels).get("html/*") == (levels[0] if levels else None)
    ends = [rule for rule in matched if rule.stop]
    assert not ends or matched[-1] is ends[0]


@given(rule_lists(), known_facts(), st.booleans())
def test_what_is_known_at_rcpt_is_still_so_when_the_message_is_there(rules, facts, stream):
    rules = [replace(rule, stream=None) for rule in rules]
    early, whole = Rules(rules).at_rcpt(at_rcpt(facts, stream=stream)), Rules(rules).on_input(facts)
    later = {step.rule.name: step.matched for step in whole.steps}
    for step in early.steps:
        if step.matched is not None and step.rule.name in later:
            assert later[step.rule.name] == step.matched
    assert all(step.matched is not None for step in whole.steps)
    if early.ending in {Ending.REFUSE, Ending.DEFER}:
        assert whole.ending is early.ending, "who is refused at RCPT would have been refused"


@given(rule_lists(), known_facts(), st.sampled_from(ADDRESSES), st.sampled_from(["pass", "fail"]))
def test_recipients_of_one_kind_are_the_same_to_every_rule(rules, facts, other, verdict):
    made = Rules(rules)
    another = replace(facts, recipients=(other,))
    if made.kind(at_rcpt(facts)) != made.kind(at_rcpt(another)):
        return
    one, two = made.on_input(facts), made.on_input(another)
    for key in ("next_hop", "stream", "policy", "levels", "ending"):
        assert getattr(one, key) == getattr(two, key)
    judged = [
        made.on_verdict(replace(each, verdict=verdict, failed=(), undecided=()), before)
        for each, before in ((facts, one), (another, two))
    ]
    assert judged[0].ending is judged[1].ending


@given(rule_lists(), known_facts())
def test_a_rule_that_does_not_match_might_as_well_not_be_there(rules, facts):
    ruling = Rules(rules).on_input(facts)
    matched = {step.rule.name for step in ruling.steps if step.matched}
    without = Rules([rule for rule in rules if rule.name in matched]).on_input(facts)
    for key in ("next_hop", "stream", "policy", "levels", "ending", "limits"):
        assert getattr(ruling, key) == getattr(without, key)


@given(rule_lists(), known_facts())
def test_every_step_says_why(rules, facts):
    for step in (*Rules(rules).on_input(facts).steps, *Rules(rules).at_rcpt(at_rcpt(facts, stream=False)).steps):
        assert step.why().isprintable()
        assert step.why().startswith(("matches", "does not match: ", "not known yet: "))


@pytest.mark.parametrize(
    ("when", "matches"),
    [
        (When(sender=("A@EXAMPLE.org",)), True),
        (When(sender_domain=("example.org",)), True),
        (When(recipient_domain=("*.example.com",)), False),
        (When(class_=("bulk",)), True),
        (When(template=("wel*",)), True),
        (When(larger_than=999), True),
        (When(larger_than=1_000), False),
        (When(smaller_than=1_001), True),
        (When(header=(("x-campaign", ("SPRING*",)),)), True),
        (When(header=(("x-other", ("*",)),)), False),
        (When(verdict=("fail", "unknown"), failed=("dkim/*",)), True),
        (When(undecided=("*",)), False),
        (When(stream=("*",), tag=("spring",)), True),
    ],
)
def test_each_key_is_compared_as_it_is_documented(when, matches):
    rules = Rules([SendingRule("it", when, ending=Ending.HOLD)])
    ruling = rules.on_input(FULL) if not rules.about_verdict else rules.on_verdict(FULL, rules.on_input(FULL))
    assert ruling.matched == (("it",) if matches else ())
    unless = Rules([SendingRule("it", unless=when, ending=Ending.HOLD)])
    ruling = unless.on_input(FULL) if not unless.about_verdict else unless.on_verdict(FULL, unless.on_input(FULL))
    assert ruling.matched == (() if matches else ("it",))


def test_mail_of_no_stream_is_of_no_stream_whatever_the_pattern():
    assert Rules([SendingRule("it", When(stream=("*",)), stop=True)]).on_input(replace(FULL, stream="")).matched == ()


def test_a_refusal_below_a_rule_that_may_stop_it_waits_for_the_message_and_a_limit_does_not():
    rules = Rules(
        [
            SendingRule("spring", When(tag=("spring",)), stop=True),
            SendingRule("nobody", ending=Ending.REFUSE, text="no", limit=Limit(1, 1, 1)),
        ]
    )
    early = rules.at_rcpt(envelope("a@example.org", ["b@example.com"]))
    assert early.ending is None
    assert [rule.name for rule in early.limits] == ["nobody"]
    assert rules.on_input(FULL).ending is None
    assert rules.on_input(replace(FULL, tags=())).ending is Ending.REFUSE


def test_a_stream_that_a_rule_sets_is_the_one_that_rules_below_it_see():
    rules = Rules([SendingRule("set", stream="weekly"), SendingRule("see", When(stream=("weekly",)), next_hop="two")])
    assert rules.on_input(FULL).next_hop == "two"
    assert rules.at_rcpt(envelope("a@example.org", ["b@example.com"])).next_hop == "two"


def test_rules_below_one_that_stops_are_not_looked_at_after_judging_either():
    rules = Rules([SendingRule("end", stop=True), SendingRule("late", When(verdict=("fail",)), ending=Ending.SEND)])
    before = rules.on_input(FULL)
    assert rules.on_verdict(FULL, before).steps == ()
