"""Changes to SPF records: one editor for what rules advise and what is proved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.records.spf import parse, read
from delivcheck.records.spf_edit import corrected, ended, merged, with_term, without_term

RECORDS = st.lists(
    st.sampled_from(["mx", "a", "+all", "all", "-all", "~all", "redirect=a.example", "exp=b.example", "ipv4:192.0.2.1"])
)


@pytest.mark.parametrize(
    ("texts", "one"),
    [
        (["v=spf1 mx -all", "v=spf1 a mx -all"], "v=spf1 mx a -all"),
        (["v=spf1 mx ~all", "v=spf1 a -all"], "v=spf1 mx a ~all"),
        (["v=spf1 mx +all", "v=spf1 a -all"], "v=spf1 mx a ~all"),
        (["v=spf1 mx all", "v=spf1 a +all"], "v=spf1 mx a ~all"),
        (["v=spf1 mx", "v=spf1 a"], "v=spf1 mx a ~all"),
        (["v=spf1 mx -all", "v=spf1 redirect=a.example"], None),
        (["v=spf1 mx -all", "v=spf1 moo"], None),
    ],
)
def test_several_records_become_one_that_keeps_their_common_end(texts, one):
    assert merged(texts) == one


@pytest.mark.parametrize(
    ("text", "last", "first"),
    [
        ("v=spf1 mx -all", "v=spf1 mx a -all", "v=spf1 a mx -all"),
        ("v=spf1 mx redirect=b.example", "v=spf1 mx a redirect=b.example", "v=spf1 a mx redirect=b.example"),
        ("v=spf1 mx ", "v=spf1 mx a", "v=spf1 a mx"),
        ("v=spf1", "v=spf1 a", "v=spf1 a"),
        ("v=spf1 mx +all", "v=spf1 mx a ~all", "v=spf1 a mx ~all"),
    ],
)
def test_a_term_is_added_before_the_end_or_before_everything(text, last, first):
    assert with_term(read(text), "a") == last
    assert with_term(read(text), "a", first=True) == first


def test_an_end_takes_the_place_of_any_other_and_loses_no_term():
    assert ended(read("v=spf1 mx ?all exp=b.example"), "~all") == "v=spf1 mx exp=b.example ~all"
    assert ended(read("v=spf1 mx +all"), "+all") == "v=spf1 mx ~all"
    assert ended(read("v=spf1 moo"), "~all") is None


def test_a_term_is_left_out():
    assert without_term(read("v=spf1 mx include:gone.example  all"), (10, 30)) == "v=spf1 mx ~all"


def test_a_slip_is_put_right_and_not_everybody_let_pass():
    assert corrected(read("v=spf1 ipv4:192.0.2.1 +all")) == "v=spf1 ip4:192.0.2.1 ~all"


@given(st.lists(RECORDS.map(lambda words: " ".join(["v=spf1", *words])), min_size=1, max_size=3))
def test_no_change_lets_everybody_pass(texts):
    for text in texts:
        record = read(text)
        changed = [
            merged(texts),
            corrected(record),
            ended(record, "+all"),
            *(with_term(record, "ip4:192.0.2.7", first=first) for first in (True, False)),
        ]
        for one in filter(None, changed):
            end = read(one).all
            assert end is None or end.qualifier != "+"
            assert read(one).faults or parse(one)
