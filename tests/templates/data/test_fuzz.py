"""Changed values: which, how, that nothing else changes, and who is found guilty with few renders."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck import catalog
from delivcheck.facts.roots import PLANTED, DataKind
from delivcheck.model import TargetKind, Where
from delivcheck.templates.data.fuzz import JUDGED_BY, LONG, LONG_LIST, MAX_NARROWING, cases
from delivcheck.templates.data.made_up import Printed
from delivcheck.templates.model import EACH, Use, Variable

DATA = {
    "first_name": "Ana",
    "reset_url": "https://shop.com/r/7",
    "total": 39,
    "paid": True,
    "status": "shipped",
    "lang": "en",
    "email": "ana@shop.com",
    "code": "A7-1",
    "body_html": "Hello",
    "intro": "<p>Hi</p>",
    "note": None,
    "tags": ["green", "red"],
    "order": {"items": [{"title": "Oak chair", "price": "39.00"}, {"title": "Table", "price": "89.00"}]},
}


def all_cases(data=DATA, variables=(), **options):
    return {one.kind: one for one in cases("welcome.json", data, variables, **options)}


def variable(name, use=Use.TEXT, *literals):
    return Variable(tuple(name.replace("[]", f".{EACH}").split(".")), use, Where(line=1), literals=literals)


def test_one_case_for_each_kind():
    made = list(cases("welcome.json", DATA))
    assert [one.kind for one in made] == list(DataKind)[1:]
    assert made[0].name == "welcome.json, values missing"


def test_what_is_missing_empty_or_none():
    made = all_cases()
    for kind in (DataKind.EMPTY, DataKind.NONE):
        assert set(made[kind].changed) == {"first_name", "tags[]", "order.items[].title", "body_html", "intro"}
    assert set(made[DataKind.MISSING].changed) == {"first_name", "order.items[].title", "body_html", "intro"}
    assert made[DataKind.MISSING].data["order"]["items"] == [{"price": "39.00"}, {"price": "89.00"}]
    assert made[DataKind.EMPTY].data["order"]["items"][1] == {"title": "", "price": "89.00"}
    assert made[DataKind.NONE].data["tags"] == [None, None]
    assert made[DataKind.NONE].data["paid"] is True


def test_the_senders_own_values_are_always_there():
    made = all_cases({"site_name": "Shop", "current_site": {"name": "Shop"}, "shop": "Shop", "shop_owner": "Pat"})
    assert made[DataKind.MISSING].changed == ("shop_owner",)
    assert len(made[DataKind.HTML].changed) == 4


TYPED = ("first_name", "order.items[].title", "tags[]")


@pytest.mark.parametrize("kind", [DataKind.RIGHT_TO_LEFT, DataKind.EMOJI, DataKind.LINES])
def test_only_what_people_write_gets_peoples_characters(kind):
    assert set(all_cases()[kind].changed) == {*TYPED, "body_html", "intro"}


@pytest.mark.parametrize(
    ("value", "typed"),
    [
        ("Ana", True),
        ("Reminder: pay by Monday", True),
        ("José María, 2 chairs", True),
        ("Müller & Söhne", True),
        ("", True),  # may be anything
        ("https://a.com/x", False),
        ("mailto:ana@a.com", False),
        ("/images/chair.png", False),
        ("//cdn.a.com/x", False),
        ("ana@a.com", False),
        ("www.a.com", False),
        ("#c0ffee", False),
        ("A-204817", False),
        ("39.00", False),
        ("€ 39", False),
        ("!?", False),
    ],
)
def test_what_people_write_is_told_by_the_value_too(value, typed):
    assert bool(all_cases({"x": value}, kinds={DataKind.EMOJI})) is typed


def test_html_is_not_written_into_html():
    case = all_cases()[DataKind.HTML]
    assert set(case.changed) == {*TYPED}
    assert case.data["first_name"] == f'Ana"\'><b {PLANTED}="x">&'
    assert all_cases()[DataKind.LINES].data["first_name"] == f"Ana\r\n{PLANTED}: x"


def test_long_values_and_long_lists():
    case = all_cases()[DataKind.LONG]
    assert len(case.data["first_name"]) in {LONG, LONG - 1}
    assert case.data["first_name"].startswith("Ana Ana ")
    assert len(case.data["order"]["items"]) == len(case.data["tags"]) == LONG_LIST
    assert len(case.data["order"]["items"][49]["title"]) >= LONG - 1
    assert set(case.changed) == {*TYPED, "body_html", "intro", "tags", "order.items"}
    assert len(all_cases({"text": "word " * 5_000})[DataKind.LONG].data["text"]) <= 10_000


def test_what_the_template_does_not_read_or_compares_is_left_alone():
    variables = [
        variable("first_name"),
        variable("status", Use.OTHER, "shipped"),
        variable("order.items[].title"),
        variable("total", Use.OTHER),
    ]
    made = all_cases(variables=variables)
    assert made[DataKind.MISSING].changed == ("first_name", "order.items[].title")
    assert made[DataKind.EMOJI].changed == ("first_name", "order.items[].title")
    assert made[DataKind.LONG].changed == ("first_name", "order.items", "order.items[].title")
    whole = all_cases(variables=[variable("order", Use.OTHER)])  # handed on, and so perhaps printed
    assert whole[DataKind.MISSING].changed == ("order.items[].title",)


def test_what_is_called_is_not_taken_away():
    made = all_cases({"user": {"name": "Ana"}}, [variable("user.name", Use.CALL), variable("user.name")])
    assert DataKind.MISSING not in made
    assert made[DataKind.EMOJI].changed == ("user.name",)


def test_required_values_are_always_there():
    made = all_cases(required=["first_name", "order", "tags"])
    assert "first_name" not in made[DataKind.MISSING].changed
    assert not any(name.startswith(("order", "tags")) for name in made[DataKind.NONE].changed)
    assert "first_name" in made[DataKind.HTML].changed


def test_kinds_are_chosen_and_what_has_nothing_to_change_has_no_case():
    assert set(all_cases(kinds={DataKind.EMOJI})) == {DataKind.EMOJI}
    assert all_cases({"paid": True, "none": None}) == {}
    assert all_cases({"total": 3}) == {}


def test_what_prints_as_a_text_still_does():
    case = all_cases({"user": Printed({"items": "chairs"}, "Ana")})[DataKind.EMOJI]
    assert str(case.data["user"]) == "Ana"
    assert case.data["user"]["items"].startswith("chairs ")


def test_every_rule_of_a_kind_inspects_templates():
    book = catalog.assemble(strict=False)
    assert set(JUDGED_BY) == set(DataKind) - {DataKind.FULL}
    for rules in JUDGED_BY.values():
        for name in rules:
            assert TargetKind.TEMPLATE in book.rules[name].targets, name


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
JSON = st.dictionaries(
    st.text(min_size=1, max_size=4),
    st.recursive(
        SCALARS, lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=4), one, max_size=3), max_leaves=12
    ),
    max_size=5,
)


def shape(value):
    """What stays when single values are changed."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    return [shape(one) for one in value] if isinstance(value, list) else None


@given(JSON)
def test_any_data_keeps_its_shape_and_is_not_touched_itself(data):
    before = copy.deepcopy(data)
    for case in cases("x", data):
        json.dumps(case.data)
        if case.kind not in {DataKind.MISSING, DataKind.LONG}:
            assert shape(case.data) == shape(data)
        assert case.only(()).data == data
        assert case.only(case.changed).data == case.data
    assert data == before


# --- whose fault it is -------------------------------------------------------------------------------------------


def found_guilty(case, shows, most=MAX_NARROWING):
    """Drive the search with a template that shows what `shows` says of the changed names; the number of renders, too."""
    search, renders = case.narrow(shows(set(case.changed)), most), 0
    part = next(search, None)
    while part is not None:
        renders += 1
        try:
            part = search.send(shows(set(part.changed)))
        except StopIteration as done:
            return done.value, renders
    return None, renders


def many(number):
    return all_cases({f"name{chr(97 + n // 26)}{chr(97 + n % 26)}": "Ana" for n in range(number)})[DataKind.EMOJI]


def test_one_of_many_is_found_by_halving():
    case = many(64)
    guilty, renders = found_guilty(case, lambda names: {"broken"} if "nameby" in names else set())
    assert guilty == {"broken": ("nameby",)}
    assert renders <= 2 * 6


def test_each_finding_has_its_own_guilty():
    case = many(8)
    guilty, renders = found_guilty(case, lambda names: {name for name in names if name in {"nameaa", "nameah"}})
    assert guilty == {"nameaa": ("nameaa",), "nameah": ("nameah",)}
    assert renders <= MAX_NARROWING


def test_two_that_must_come_together_are_named_together_if_they_are_few():
    case = many(8)
    guilty, _ = found_guilty(case, lambda names: {"long"} if {"nameaa", "nameab"} <= names else set())
    assert guilty == {"long": ("nameaa", "nameab")}
    guilty, _ = found_guilty(case, lambda names: {"long"} if {"nameaa", "nameah"} <= names else set())
    assert guilty == {"long": ()}


def test_the_search_ends_when_it_costs_too_much():
    case = many(200)
    guilty, renders = found_guilty(case, set)
    assert renders == MAX_NARROWING
    assert set(guilty) == set(case.changed)


def test_a_single_value_needs_no_render():
    search = many(1).narrow({"broken"})
    with pytest.raises(StopIteration) as done:
        next(search)
    assert done.value.value == {"broken": ("nameaa",)}


@given(st.integers(1, 40), st.data())
def test_whoever_is_guilty_alone_is_found_if_renders_are_not_counted(number, draw):
    case = many(number)
    wanted = draw.draw(st.sets(st.sampled_from(case.changed), max_size=4))
    guilty, _ = found_guilty(case, lambda names: names & wanted, most=1_000)
    if number > 1:
        assert guilty == {name: (name,) for name in wanted}
