"""What people's data lacks: which of it is made up, and how it is put in."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.model import Where
from delivcheck.templates.data.completing import completed, lacking
from delivcheck.templates.data.made_up import Record
from delivcheck.templates.model import EACH, Use, Variable

DATA = {"name": "Ana", "order": {"items": [{"sku": "1"}, {"sku": "2", "gift": True}], "none": []}, "note": None}


def variable(name, use=Use.TEXT, *, sure=False):
    return Variable(tuple(name.replace("[]", f".{EACH}").split(".")), use, Where(line=1), sure)


def names(*variables, data=(DATA,)):
    return [one.name for one in lacking([one if isinstance(one, Variable) else variable(one) for one in variables], data)]


# --- what is made up ---------------------------------------------------------------------------------------------


def test_what_no_data_set_has_is_lacking():
    assert names("name", "shop", "order.total", "order.items[].sku", "order.items[].price") == [
        "shop",
        "order.total",
        "order.items[].price",
    ]


def test_functions_of_the_program_are_lacking():
    assert names(variable("url_for", Use.CALL), variable("name.upper", Use.CALL)) == ["url_for"]


@pytest.mark.parametrize(
    "variables",
    [
        ["name"],
        ["order.items[].gift"],  # one of them has it
        ["order.none[].anything"],  # nobody knows what an empty list has
        ["name.length"],  # the language's own
        ["note"],  # None was given
        [variable("coupon", sure=True)],
        [variable("coupon", Use.TRUTH)],
        [variable("coupon", Use.TRUTH), "coupon"],
        [variable("coupon", Use.TRUTH), "coupon.code"],
        [variable("user.vip", Use.TRUTH), "user.vip.level.name"],
        [Variable((), Use.TEXT, Where(line=1))],
    ],
)
def test_what_is_there_or_seen_to_is_not_made_up(variables):
    assert names(*variables) == []


def test_a_guard_sees_to_nothing_beside_it():
    assert names(variable("coupon", Use.TRUTH), "coupons", "shop.coupon") == ["coupons", "shop.coupon"]


def test_what_some_data_set_has_stays_missing_in_the_others():
    assert names("coupon", "shop", data=[DATA, {"coupon": "A"}]) == ["shop"]
    assert names("a.b", data=[{"a": {}}, {"a": {"b": 1}}]) == []


def test_without_data_nothing_is_there():
    assert names("shop", data=[{}]) == ["shop"]


# --- how it is put in --------------------------------------------------------------------------------------------


def test_what_was_given_stays_and_the_rest_is_put_in():
    more = {"name": "x", "shop": "Oak", "order": {"items": [{"sku": "9", "price": 7}], "total": 3}, "note": {"a": 1}}
    given_ = copy.deepcopy(DATA)
    assert completed(given_, more) == {
        "name": "Ana",
        "shop": "Oak",
        "order": {"items": [{"sku": "1", "price": 7}, {"sku": "2", "gift": True, "price": 7}], "none": [], "total": 3},
        "note": None,
    }
    assert given_ == DATA


def test_objects_are_put_in_place_of_values():
    call = object()
    made = completed({"a": {"x": 1}, "l": [{}]}, {"f": "text", "a": {"g": "text"}, "l": [{"h": "t"}]}, {"f": call, "a": {"g": call}, "l": [{"h": call}]})  # fmt: skip
    assert made == {"a": {"x": 1, "g": call}, "l": [{"h": call}], "f": call}


def test_records_stay_records():
    made = completed({"order": Record({"items": "mine"})}, {"order": {"total": 3}})
    assert type(made["order"]) is Record
    assert made["order"].items == "mine"
    assert made["order"].total == 3


@pytest.mark.parametrize(
    ("base", "more"), [([], [1]), ([1], []), ("x", {"a": 1}), (None, {"a": 1}), ({}, {}), (0, 1), ([{"a": 1}], {"a": 2})]
)
def test_what_is_of_another_kind_stays_as_it_is(base, more):
    assert completed(base, more) == base


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


def contains(whole, part):
    """Whether everything of `part` is in `whole`, where it was."""
    if isinstance(part, dict) and isinstance(whole, dict):
        return all(name in whole and contains(whole[name], value) for name, value in part.items())
    if isinstance(part, list) and isinstance(whole, list):
        return len(whole) == len(part) and all(map(contains, whole, part))
    return whole == part


@given(st.dictionaries(st.sampled_from("abc"), VALUES), st.dictionaries(st.sampled_from("abc"), VALUES))
def test_nothing_that_was_given_is_lost_or_changed(base, more):
    before = copy.deepcopy((base, more))
    made = completed(base, more)
    assert contains(made, base)
    assert made.keys() == base.keys() | more.keys()
    assert (base, more) == before
