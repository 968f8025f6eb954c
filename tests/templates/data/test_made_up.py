"""Made-up data: everything that a template reads is there, of the right kind, with a value that fits its name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.model import Where
from delivcheck.templates.data.made_up import as_objects, as_records, made_up
from delivcheck.templates.data.values import DOMAIN, MACHINE, is_machines, text_for, words_of
from delivcheck.templates.model import EACH, Use, Variable

AT = Where(line=1)


def read(*written):
    """Variables as `name use literal…`: "order.items[].price text"."""
    made = []
    for one in written:
        name, use, *literals = one.split() if isinstance(one, str) else one
        path = tuple(name.replace("[]", f".{EACH}").split("."))
        made.append(Variable(path, Use(use), AT, literals=tuple(literals)))
    return made


def data(*written):
    return made_up(read(*written)).data


def test_values_fit_their_names():
    assert data("user.firstName text", "order.items[].price text", "order.items[].image_url text", "reset_url text") == {
        "user": {"firstName": "Pat"},
        "order": {
            "items": [
                {"price": "39.00", "image_url": f"https://www.{DOMAIN}/images/chair.png"},
                {"price": "89.00", "image_url": f"https://www.{DOMAIN}/images/table.png"},
            ]
        },
        "reset_url": f"https://www.{DOMAIN}/garden",
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("unsubscribe_url", f"https://www.{DOMAIN}/unsubscribe/u7"),
        ("customerEmail", f"pat.sample@{DOMAIN}"),
        ("credit_card_last_four", "4242"),
        ("guest_count", 2),
        ("is_new", True),
        ("verificationCode", "204817"),
        ("trial_end_date", "23 November 2026"),
        ("created_at", "23 November 2026"),
        ("bgColor", "#ffffff"),
        ("htmlURL", f"https://www.{DOMAIN}/garden"),
        ("message_complete", "Message-complete"),
        ("_", "Sample"),
    ],
)
def test_a_value_by_name(name, value):
    assert data(f"{name} text") == {name: value}


def test_conditions_are_true_and_comparisons_hold():
    assert data("has_items truth", "x truth", ("status", "other", "paid"), ("n", "other", 3), ("count", "other", 1)) == {
        "has_items": True,
        "x": True,
        "status": "paid",
        "n": 3,
        "count": 2,
    }
    assert data(("flag", "other", False), ("note", "text", "")) == {"flag": False, "note": text_for(("note",))}


def test_lists_have_two_items_of_their_singular():
    assert data("tags list") == {"tags": ["Chairs", "Chairs"]}
    assert data("people.0.name text") == {"people": [{"name": "Pat Sample"}, {"name": "Pat Sample"}]}
    assert data("products[] text", "products.length text") == {"products": ["Garden chair", "Garden table"]}
    assert data("rows[][] text") == {"rows": [["Row", "Row"], ["Row", "Row"]]}


def test_what_is_printed_and_reached_into_is_both():
    user = data("user text", "user.email text")["user"]
    assert user == {"email": f"pat.sample@{DOMAIN}"}
    assert str(user) == "Pat Sample"


def test_what_is_walked_over_and_read_by_name():
    assert data("order list", "order.total text", "order[] text") == {"order": {"total": "128.00"}}
    assert isinstance(data("order.total text", "order[].price text")["order"], list)


def test_a_method_of_every_text_is_no_value():
    assert data("name.upper call", "day.strftime call") == {"name": "Pat Sample", "day": "23"}
    assert data("taxes.items call") == {"taxes": {"Garden chair": "Taxes", "Garden table": "Taxes"}}


def test_lists_in_lists_do_not_multiply():
    deep = data(f"a{'[]' * 18}.b text")

    def count(value):
        return sum(map(count, value)) if isinstance(value, list) else 1

    assert count(deep["a"]) == 2**4


STEPS = st.sampled_from(["a", "items", "url", "first_name", "count", "0", EACH, "length", "upper", "get"])
VARIABLES = st.lists(
    st.builds(
        lambda first, rest, use, literals: Variable((first, *rest), use, AT, literals=tuple(literals)),
        st.sampled_from(["user", "order", "items", "x"]),
        st.lists(STEPS, max_size=30),
        st.sampled_from(Use),
        st.lists(st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)), max_size=2),
    ),
    max_size=12,
)


def plain(value):
    if isinstance(value, dict):
        return all(isinstance(name, str) and plain(one) for name, one in value.items())
    if isinstance(value, list):
        return all(map(plain, value))
    return isinstance(value, str | int | float | bool)


@given(VARIABLES)
def test_any_variables_get_plain_data_always_the_same(variables):
    made = made_up(variables).data
    assert plain(made)
    assert set(made) == {one.path[0] for one in variables}
    assert made == made_up(variables).data
    assert set(as_objects(variables, made)) == set(made)


@given(st.lists(st.lists(st.sampled_from(["user", "order", "name", "url", EACH]), min_size=1, max_size=5), max_size=6))
def test_what_is_only_printed_is_there_unless_it_is_walked_over_too(paths):
    paths = [("data", *path) for path in paths if path[0] != EACH]
    made = made_up([Variable(tuple(path), Use.TEXT, AT) for path in paths]).data
    walked = {tuple(path[:end]) for path in paths for end in range(len(path)) if path[end] == EACH}
    for path in paths:
        if any(tuple(path[:end]) in walked and path[end] != EACH for end in range(1, len(path))):
            continue
        at = made
        for step in path:
            if isinstance(at, dict) and step == EACH:  # a contradiction below it was resolved the other way
                break
            at = at[0] if step == EACH else at[step]


def test_names_go_before_methods():
    records = as_records({"order": {"items": [{"title": "Chair"}], "n": 1}})
    order = records["order"]
    assert isinstance(order, dict)
    assert order.items == [{"title": "Chair"}]
    assert order.get("n") == 1
    assert str(order) == "{'items': [{'title': 'Chair'}], 'n': 1}"
    assert order.keys() == {"items", "n"}


def test_machines_values_are_told_by_their_names():
    assert all(is_machines((name,)) for name in MACHINE)
    assert is_machines(("order", "shipping_id"))
    assert not is_machines(("user", "first_name"))
    assert words_of(("order", "shippingHTMLName")) == ("order", "shipping", "html", "name")


# --- whatever is read renders ------------------------------------------------------------------------------------


def used(variable, number):
    """A piece of a Jinja2 template that reads a variable as its use says."""
    at, opened = variable.path[0], 0
    for step in variable.path[1:]:
        if step == EACH:
            opened += 1
            at, around = f"one{number}x{opened}", at
            yield f"{{% for {at} in {around} %}}"
        else:
            at += f"[{step}]" if step.isdigit() else f".{step}"
    yield {
        Use.TEXT: f"{{{{ {at} }}}}",
        Use.TRUTH: f"{{% if {at} %}}yes{{% endif %}}",
        Use.LIST: f"{{% for one in {at} %}}{{{{ one }}}}{{% endfor %}}",
        Use.CALL: f"{{{{ {at}() }}}}",
        Use.OTHER: f"{{{{ {at} == 'x' }}}}",
    }[variable.use]
    yield "{% endfor %}" * opened


NAMES = st.sampled_from(["a", "items", "url", "first_name", "count", "is_new", "price", "note"])
READ = st.lists(
    st.builds(
        lambda first, rest, use: Variable((first, *rest), use, AT),
        st.sampled_from(["user", "order", "items", "x"]),
        st.lists(NAMES | st.just(EACH), max_size=4),
        st.sampled_from(Use),
    ),
    max_size=8,
)


def is_walked(variables):
    """Whether some value is both walked over, or called, and read by name: one of the two may find nothing."""
    walked = {one.path[:at] for one in variables for at in range(len(one.path)) if one.path[at] == EACH}
    walked |= {one.path for one in variables if one.use in {Use.LIST, Use.CALL}}
    return any(one.path[:at] in walked and one.path[at] != EACH for one in variables for at in range(1, len(one.path)))


@given(READ)
def test_a_template_that_reads_them_renders_with_strict_variables(variables):
    jinja2 = pytest.importorskip("jinja2")
    source = "".join(piece for number, one in enumerate(variables) for piece in used(one, number))
    strict = jinja2.StrictUndefined if not is_walked(variables) else jinja2.ChainableUndefined
    made = jinja2.Environment(autoescape=True, undefined=strict).from_string(source)
    made.render(as_objects(variables, made_up(variables).data))
