"""Countries that were declared: codes, other words for them, groups."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.records.jurisdictions import BadJurisdiction, parse, spread
from delivcheck.rulefiles import data


@pytest.mark.parametrize(
    ("text", "code"), [("DE", "DE"), (" de ", "DE"), ("eu", "EU"), ("uk", "GB"), ("USA", "US"), ("EL", "GR")]
)
def test_a_code_is_read_in_any_case(text, code):
    assert parse(text) == code


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("Germany", "; did you mean DE (Germany)?"),
        ("Deutschland", ""),
        ("united kingdon", "; did you mean GB (United Kingdom)?"),
        ("European Union", "; did you mean EU (European Union)?"),
        ("XX", ""),
        ("", ""),
    ],
)
def test_what_is_no_code_is_refused_with_the_nearest(text, nearest):
    with pytest.raises(BadJurisdiction) as error:
        parse(text)
    assert str(error.value).endswith(f"is no code of a country such as DE, US or EU{nearest}")


@given(st.text(max_size=200))
def test_any_text_is_a_code_or_none(text):
    try:
        assert parse(text) in {*data("jurisdictions")["names"], *data("jurisdictions")["groups"]}
    except BadJurisdiction as error:
        assert error.span == (0, len(text))


def test_a_group_brings_its_members_and_a_member_its_group():
    assert spread(["DE"]) == {"DE", "EU"}
    assert {"DE", "FR", "EU"} < spread(["EU"])
    assert len(spread(["EU"])) == 28
    assert spread(["GB", "US"]) == {"GB", "US"}
    assert spread([]) == frozenset()


def test_every_code_of_the_data_is_one():
    book = data("jurisdictions")
    codes = {*book["names"], *book["groups"]}
    assert all(set(members) <= codes for members in book["groups"].values())
    assert set(book["also"].values()) <= codes
    for name, element in data("statutes").items():
        if isinstance(element, dict):
            assert set(element) <= codes, name
