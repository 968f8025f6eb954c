"""Variables that no data set has: found with the name that is missing, its places, and what it may have been meant to be."""

import pytest

from delivcheck.facts.roots import Undeclared
from delivcheck.model import Where
from delivcheck.templates.data.undeclared import undeclared
from delivcheck.templates.model import EACH, Use, Variable

DATA = {
    "first_name": "Ana",
    "shippingAddress": {"city": "Vienna"},
    "order": {"items": [{"sku": "1", "gift": True}, {"sku": "2"}], "none": [], "note": None},
}


def variable(name, line=1, use=Use.TEXT, *, sure=False):
    return Variable(tuple(name.replace("[]", f".{EACH}").split(".")), use, Where(line=line), sure)


def names(*written, data=(DATA,)):
    return [one.name for one in undeclared([variable(name) for name in written], data)]


@pytest.mark.parametrize(
    "name",
    [
        "first_name",
        "order.items[].sku",
        "order.items[].gift",  # one of them has it
        "order.none[].anything.at.all",  # nobody knows what is in an empty list
        "first_name.upper",  # a method of the language's own
        "order.note.text",
        "order.items.length",
        "order.keys",
        "now",
        "loop.index",
        "order[]",
    ],
)
def test_what_is_there_or_cannot_be_told(name):
    assert names(name) == []


def test_what_is_not_there():
    assert names("frist_name", "order.items[].price", "user.email", "user.name") == [
        "frist_name",
        "order.items[].price",
        "user",
    ]


def test_it_is_enough_that_one_data_set_has_it():
    assert names("coupon", "x", data=[DATA, {"coupon": "A"}]) == ["x"]
    assert names("a.b", data=[{}, {"a": {}}]) == ["a.b"]
    assert names("anything", data=[]) == []
    assert names("a[].b", data=[{"a": []}, {"a": [{"c": 1}]}]) == ["a[].b"]  # an empty list says nothing


def test_calls_are_functions_of_the_program():
    calls = ["url_for", "helpers.url_for", "helpers.urls.to", "order.total", "first_name.upper"]
    assert undeclared([variable(name, use=Use.CALL) for name in calls], [DATA]) == ()


def test_what_a_method_is_called_of_is_a_value():
    found = undeclared([variable("order.shop.upper", use=Use.CALL), variable("order.items[].name.upper", use=Use.CALL)], [DATA])
    assert [one.name for one in found] == ["order.shop", "order.items[].name"]


def test_places_and_the_nearest_name():
    found = undeclared(
        [variable("order.items[].skuu", 3), variable("order.items[].skuu", 5, sure=True), variable("shipping_address.city", 7, sure=True)],
        [DATA],
    )  # fmt: skip
    assert found == (
        Undeclared("order.items[].skuu", (Where(line=3), Where(line=5)), "order.items[].sku"),
        Undeclared("shipping_address", (Where(line=7),), "shippingAddress", sure=True),
    )
