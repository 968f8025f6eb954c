"""The tree walk as pure logic: names, stops, organizational domain, and what missing answers can change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.facts.tree_walk import (
    MAX_QUERIES,
    Undecided,
    decide,
    names,
    organizational_domain,
    policy_domain,
    same_organization,
)


@pytest.mark.parametrize(
    ("domain", "asked"),
    [
        ("com", "com"),
        ("example.com", "example.com com"),
        ("a.mail.example.com", "a.mail.example.com mail.example.com example.com com"),
        ("a.b.c.d.e.f.com", "a.b.c.d.e.f.com b.c.d.e.f.com c.d.e.f.com d.e.f.com e.f.com f.com com"),
        ("a.b.c.d.e.f.g.com", "a.b.c.d.e.f.g.com b.c.d.e.f.g.com c.d.e.f.g.com d.e.f.g.com e.f.g.com f.g.com g.com com"),
        # RFC 9989 section 4.10, the example: names in between are never asked about
        (
            "a.b.c.d.e.f.g.h.i.j.mail.example.com",
            """a.b.c.d.e.f.g.h.i.j.mail.example.com g.h.i.j.mail.example.com h.i.j.mail.example.com i.j.mail.example.com
            j.mail.example.com mail.example.com example.com com""",
        ),
        # section 5.1.8: the record at b.c.d.e.f.g.example.com is not found
        (
            "mail.a.b.c.d.e.f.g.example.com",
            """mail.a.b.c.d.e.f.g.example.com c.d.e.f.g.example.com d.e.f.g.example.com e.f.g.example.com f.g.example.com
            g.example.com example.com com""",
        ),
    ],
)
def test_the_names_of_a_walk(domain, asked):
    assert names(domain) == tuple(asked.split())


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=120).map(".".join))
def test_a_walk_never_asks_more_than_eight_questions(domain):
    walk = names(domain)
    assert len(walk) <= MAX_QUERIES
    assert walk[0] == domain
    assert walk[-1] == domain.rpartition(".")[2]
    assert all(domain == name or domain.endswith(f".{name}") for name in walk)


@pytest.mark.parametrize(
    ("start", "flags", "organization"),
    [
        # RFC 9989 section 4.10.2, rule by rule and example by example
        ("a.mail.example.com", {}, "a.mail.example.com"),
        ("a.mail.example.com", {"mail.example.com": "u", "example.com": "u"}, "example.com"),
        ("a.mail.example.com", {"mail.example.com": "n", "example.com": "u"}, "mail.example.com"),
        ("a.mail.example.com", {"com": "y"}, "example.com"),
        ("mail.example.com", {"mail.example.com": "u", "example.com": "y"}, "mail.example.com"),
        ("a.mail.example.com", {"example.com": "y"}, "mail.example.com"),
        ("a.mail.example.com", {"a.mail.example.com": "n", "example.com": "u"}, "a.mail.example.com"),
        ("a.mail.example.com", {"a.mail.example.com": "u"}, "a.mail.example.com"),
        # psd=y where the walk starts ends the walk and is no public suffix for itself
        ("bank.example", {"bank.example": "y", "example": "u"}, "bank.example"),
        # the top-level domain is asked too, and its record has the fewest labels
        ("example.com", {"example.com": "u", "com": "u"}, "com"),
        # a record above the stop is out of sight
        ("a.b.example.com", {"b.example.com": "n", "example.com": "u", "com": "u"}, "b.example.com"),
        # one label below a public suffix that the walk jumped to: rebuilt from the starting name (editor's answer)
        ("a.b.c.d.e.f.g.h.example.com", {"d.e.f.g.h.example.com": "y"}, "c.d.e.f.g.h.example.com"),
        # eight labels: the parent has seven, nothing is jumped
        ("a.b.c.d.e.f.example.com", {"b.c.d.e.f.example.com": "y"}, "a.b.c.d.e.f.example.com"),
        # a name the walk never comes to does not count
        ("mail.a.b.c.d.e.f.g.example.com", {"b.c.d.e.f.g.example.com": "n", "example.com": "u"}, "example.com"),
    ],
)
def test_the_organizational_domain_is_selected_from_the_records_of_the_walk(start, flags, organization):
    assert organizational_domain(start, flags) == organization


@pytest.mark.parametrize(
    ("author", "flags", "applies"),
    [
        ("example.com", {}, None),
        ("a.example.com", {"a.example.com": "u", "example.com": "u"}, "a.example.com"),
        ("a.example.com", {"example.com": "u"}, "example.com"),
        # a record between author and organizational domain belongs to neither
        ("a.b.example.com", {"b.example.com": "u", "example.com": "u"}, "example.com"),
        ("a.b.example.com", {"b.example.com": "n", "example.com": "u"}, "b.example.com"),
        # the public suffix's record, only where the organizational domain has none
        ("a.giant.bank.example", {"bank.example": "y"}, "bank.example"),
        ("a.giant.bank.example", {"giant.bank.example": "u", "bank.example": "y"}, "giant.bank.example"),
        ("x.a.giant.bank.example", {"a.giant.bank.example": "u", "bank.example": "y"}, "bank.example"),
        ("bank.example", {"bank.example": "y"}, "bank.example"),
        ("mail.a.b.c.d.e.f.g.example.com", {"b.c.d.e.f.g.example.com": "u"}, None),
    ],
)
def test_the_record_that_applies(author, flags, applies):
    assert policy_domain(author, flags) == applies


# --- missing answers -----------------------------------------------------------------------------------------------


def organization(start):
    return lambda world: organizational_domain(start, world)


@pytest.mark.parametrize(
    ("start", "flags", "failed", "outcome"),
    [
        ("a.example.com", {"a.example.com": "n"}, ["example.com", "com"], "a.example.com"),  # above the stop
        ("a.example.com", {"example.com": "y"}, ["com"], "a.example.com"),
        ("a.example.com", {"a.example.com": "u", "example.com": "n"}, ["com"], "example.com"),
        ("a.example.com", {"example.com": "u"}, ["com"], Undecided),
        ("a.example.com", {"example.com": "n"}, ["a.example.com"], Undecided),
        # whatever stands at the start, the fewest labels are elsewhere, unless it says psd
        ("a.example.com", {}, ["a.example.com"], "a.example.com"),
        ("a.b.c.d.e.com", {}, ["b.c.d.e.com", "c.d.e.com", "d.e.com", "e.com", "com"], Undecided),
        ("a.b.c.d.e.com", {"a.b.c.d.e.com": "n"}, ["b.c.d.e.com", "c.d.e.com", "d.e.com", "e.com", "com"], "a.b.c.d.e.com"),
    ],
)
def test_a_missing_answer_matters_only_if_it_could_change_the_organization(start, flags, failed, outcome):
    if outcome is Undecided:
        with pytest.raises(Undecided) as caught:
            decide(organization(start), [start], flags, failed)
        assert set(caught.value.failed) <= set(failed)
    else:
        assert decide(organization(start), [start], flags, failed) == outcome


def test_two_domains_of_one_registrant_are_aligned_whatever_the_top_level_domain_would_have_said():
    pair = ("example.com", "mail.example.com")
    flags = {"example.com": "u"}
    with pytest.raises(Undecided):
        decide(organization("example.com"), ["example.com"], flags, ["com"])
    assert decide(lambda world: same_organization(*pair, world), pair, flags, ["com"])


NAMES = ("a.b.c.d", "b.c.d", "x.b.c.d", "c.d", "y.d", "d")
FLAGS = st.sampled_from([None, "u", "n", "y"])


@given(
    st.sampled_from([*NAMES, "a.a.a.a.a.a.a.b.c.d"]),
    st.sampled_from([*NAMES, "a.a.a.a.a.a.a.b.c.d"]),
    st.fixed_dictionaries(dict.fromkeys(NAMES, FLAGS)),
    st.sets(st.sampled_from(NAMES), max_size=4),
)
def test_a_conclusion_drawn_without_some_answers_holds_with_them(one, other, truth, failed):
    whole = {name: flag for name, flag in truth.items() if flag is not None}
    told = {name: flag for name, flag in whole.items() if name not in failed}
    for conclude in (
        lambda world: same_organization(one, other, world),
        lambda world: organizational_domain(one, world),
        lambda world: policy_domain(other, world),
    ):
        try:
            drawn = decide(conclude, [one, other], told, failed)
        except Undecided:
            continue
        assert drawn == conclude(whole)


@given(st.sampled_from(["a.b.c.d", "x.a.b.c.d.e.f.g.h"]), st.dictionaries(st.sampled_from("abcd"), st.sampled_from("uny")))
def test_the_organizational_domain_is_the_start_or_above_it(start, flags):
    flags = {".".join(start.split(".")[index:]): flag for index, flag in enumerate(flags.values())}
    found = organizational_domain(start, flags)
    assert start == found or start.endswith(f".{found}")
