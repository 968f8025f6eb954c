"""The stand-in for a program's objects: whatever a template of Jinja2 or Django does with it, it renders, and it ends."""

import copy
import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.model import Where
from delivcheck.templates.data.made_up import as_objects, made_up
from delivcheck.templates.data.standin import MAX_DEPTH, MAX_TEXT, StandIn, stand_in
from delivcheck.templates.engines import registry
from delivcheck.templates.model import Host, Source, Use, Variable
from delivcheck.templates.sources import FileSources

jinja2_sandbox = pytest.importorskip("jinja2.sandbox")
USER = stand_in("user")


def jinja(source, **data):
    environment = jinja2_sandbox.ImmutableSandboxedEnvironment(autoescape=True, extensions=["jinja2.ext.do"])
    return environment.from_string(source).render(data or {"user": stand_in("user"), "x": stand_in("x")})


EXPRESSIONS = [
    ("user", "Pat Sample"),
    ("user.email", "pat.sample@example.email"),
    ("user['first_name']", "Pat"),
    ("user.get_full_name()", "Pat Sample"),
    ("user.profile.address.city|upper", "VIENNA"),
    ("user.orders[0].total", "128.00"),
    ("user.orders|length", "2"),
    ("user.start.strftime('%d.%m.%Y')", "23.11.2026"),
    ("user.start.year", "2026"),
    ("'%.2f'|format(user.total)", "128.00"),
    ("'%d of %s'|format(user.count, user.name)", "2 of Pat Sample"),
    ("'{:,.2f}'.format(user.total)", "128.00"),
    ("user.total * 2", "256"),
    ("2 + user.total", "130"),
    ("'EUR ' ~ user.total", "EUR 128.00"),
    ("'EUR ' + user.total", "EUR 128.00"),
    ("user.total + ' EUR'", "128.00 EUR"),
    ("user.total / 0", "128.00"),
    ("user.total - user.total", "0"),
    ("user.name.split(' ')[0]", "Pat"),
    ("user.name[:3]", "Pat"),
    ("user.name|truncate(5, True)", "Pat Sample"),
    ("user.total|round(1)", "128.0"),
    ("user.total|int + 1", "129"),
    ("user.status == 'paid'", "True"),
    ("user.status in ('paid', 'sent')", "True"),
    ("user.nothing is none", "False"),
    ("user.nothing == none", "False"),
    ("'a' in user.tags", "True"),
    ("user.count > 100", "True"),
    ("user.missing is defined", "True"),
    ("(user.orders|sort(attribute='date'))|length", "2"),
    ("user.orders|map(attribute='total')|join(', ')", "128.00, 128.00"),
    ("user.orders|sum(attribute='total')", "256"),
    ("user.name|tojson", '"Pat Sample"'),
    ("user.name|length", "2"),
    ("range(user.count)|list", "[0, 1]"),
    ("user.comments|first", "The chairs are fine, thank you."),
    ("-user.total", "-128"),
    ("user.total // 3, user.total % 3, 300 // user.total, 300 % user.total, 256 / user.total, 256 - user.total", "(42, 2, 2, 44, 2.0, 128)"),
    ("user.total ** 99999", "128.00"),
    ("2 ** user.total", "128.00"),
    ("user.get('name', 'x')", "Pat Sample"),
    ("user.a.b.c.d.e.f.g.h|length", "0"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "wanted"), EXPRESSIONS, ids=[one for one, _ in EXPRESSIONS])
def test_an_expression_of_jinja2(expression, wanted):
    made = jinja(f"{{{{ {expression} }}}}")
    assert made.replace("&#39;", "'").replace("&#34;", '"').strip() == wanted


def test_loops_go_round_twice_and_unpack():
    assert jinja("{% for one in user.orders %}{{ loop.index }}{{ one.id }} {% endfor %}") == "1204817 2204817 "
    assert jinja("{% for key, value in user.settings.items() %}{{ key }}={{ value }} {% endfor %}").count("=") == 2
    assert jinja("{% for a, b in user.pairs %}{{ a }} {% endfor %}") == "User-pair User-pair "
    assert jinja("{{ user.name|urlencode }}")  # a list to this filter, which asks what it is


def test_a_tree_ends():
    tree = (
        "{% macro show(node) %}<li>{% for one in node.children %}{{ show(one) }}{% endfor %}</li>{% endmacro %}{{ show(user) }}"
    )
    assert 1 < jinja(tree).count("<li>") <= 2 ** (MAX_DEPTH + 1)


@pytest.mark.parametrize("attack", ["user.__class__", "user._path", "user['__class__']", "user.mro", "user|attr('__class__')", "user.format.__globals__"])  # fmt: skip
def test_nothing_of_python_is_reached(attack):
    assert "class" not in jinja(f"{{{{ {attack} }}}}").lower().replace("class=", "")


def test_nothing_grows():
    assert len(str(USER.name.replace("a", "x" * 100_000))) <= MAX_TEXT
    assert len(f"{USER:>1000000}") <= MAX_TEXT
    assert len(str(USER.x % 99_999)) <= MAX_TEXT
    assert USER * 10**9 == 2 * 10**9
    assert len("x" * stand_in("n")) < MAX_TEXT


def test_it_is_a_text_to_whom_it_matters():
    assert json.dumps({"user": USER}) == '{"user": "Pat Sample"}'
    assert copy.deepcopy(USER) is USER
    assert copy.copy(USER) is USER
    texts = [USER, USER.email]
    assert ",".join(texts) == "Pat Sample,pat.sample@example.email"
    assert f"{stand_in('total'):.1f} {stand_in('date'):%Y} {stand_in('total'):5}" == "128.0 2026 128.00"
    assert (float(stand_in("total")), abs(stand_in("total")), round(stand_in("total"))) == (128.0, 128, 128)
    assert (bool(USER), bool(StandIn("")), len(StandIn(""))) == (True, False, 0)


def test_it_may_be_asked_for_what_it_has_not():
    known = StandIn("x", ("x",), children={"a": "1"}, known=frozenset({"a", "gone"}))
    assert known.a == known["a"] == known.get("a") == "1"
    assert known.get("gone", "none") == "none"
    assert list(known) == ["a"]
    assert list(known.items()) == [("a", "1")]
    assert list(reversed(known)) == ["a"]
    with pytest.raises(AttributeError):
        known.gone  # noqa: B018
    with pytest.raises(KeyError):
        known["_path"]
    with pytest.raises(IndexError):
        StandIn("")[0]
    assert StandIn("x", ("x",), items=["a", "b"], value=7)() == 7
    assert "x".join(StandIn("x", ("x",), items=["a", "b"])) == "axb"


OTHERS = st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=5), st.just(USER), st.just(dt.date(2026, 1, 1)))
SIGNS = ["+", "-", "*", "/", "//", "**", "==", "!=", "<", ">=", "in"]


@given(st.sampled_from(["user", "total", "x.y.z", "count", "date"]), OTHERS)
def test_what_is_done_to_it_does_not_raise(name, other):
    one = stand_in(name)
    for work in (
        lambda: one + other, lambda: other + one if not isinstance(other, str | type(None) | dt.date) else one, lambda: one - other,
        lambda: one * other, lambda: one / other, lambda: one // other, lambda: one % other, lambda: one**other, lambda: one == other,
        lambda: one != other, lambda: one < other, lambda: one >= other, lambda: other in one, lambda: {2: 1}[one], lambda: one(other),
        lambda: one.strftime(other), lambda: one.replace(other, other), lambda: one.get(other),
    ):  # fmt: skip
        work()


# --- with Django -------------------------------------------------------------------------------------------------


def test_django_renders_it():
    pytest.importorskip("django")
    source = (
        "{{ user }}|{{ user.get_full_name }}|{{ user.start|date:'d.m.Y' }}|{{ user.total|floatformat:1 }}|{{ user.orders|length }}|"
        "{% for o in user.orders.all %}{{ o.id }},{% endfor %}|{% for k, v in user.settings.items %}{{ forloop.counter }}{% endfor %}|"
        "{% if user.count > 1 and user.status == 'paid' %}yes{% endif %}|{{ user.names|join:'+' }}|{{ user.note|default:'none' }}"
    )
    made = registry.engine("django", Host()).render(
        Source("a.html", source), {"user": stand_in("user")}, FileSources(()), html=True
    )
    assert (
        made.text
        == "Pat Sample|Pat Sample|23.11.2026|128.0|2|7,7,|12|yes|Pat Sample+Pat Sample|The chairs are fine, thank you."
    )


# --- objects of made-up data -------------------------------------------------------------------------------------


def variables(*written):
    return [Variable(tuple(name.split(".")), use, Where(line=1)) for name, use in written]


def test_made_up_data_as_objects():
    wanted = variables(
        ("user.get_name", Use.CALL), ("user.email", Use.TEXT), ("orders", Use.CALL), ("orders.[].id", Use.TEXT), ("items", Use.LIST),
        ("order.lines.[].price", Use.TEXT), ("order.lines.total", Use.TEXT), ("is_new", Use.CALL), ("on", Use.TRUTH),
    )  # fmt: skip
    objects = as_objects(wanted, made_up(wanted).data)
    made = jinja(
        "{{ user.get_name() }} {{ user.email }} {{ user.not_seen.anywhere() }} {% for o in orders() %}{{ o.id }}{{ o.more }}{% endfor %} "
        "{{ items|length }}{% for l in order.lines %}{{ l.price }};{% endfor %}{{ order.lines.total }} {{ is_new() }}{{ on }}",
        **objects,
    )
    assert made == (
        "Pat Sample pat.sample@example.email Not-seen-anywhere 204817Order-more204818Order-more 239.00;89.00;128.00 TrueTrue"
    )


def test_what_was_taken_out_stays_missing():
    wanted = variables(("user.name", Use.TEXT), ("user.email", Use.TEXT))
    data = made_up(wanted).data
    del data["user"]["name"]
    assert jinja("[{{ user.name }}] {{ user.email }}", **as_objects(wanted, data)) == "[] pat.sample@example.email"
