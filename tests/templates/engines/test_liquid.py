import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.templates.engines.registry import engine
from delivcheck.templates.model import Host, Source, TemplateFault, Use

from .planted import Given, holds, lines_with, places

library = pytest.importorskip("liquid")
DATA = {"name": "N", "b": "<&>", "order": {"id": 7, "items": [{"price": 1}, {"price": 2}]}, "kind": "a", "l": [1, 2, 3]}
PARTIALS = {
    "p": "[é{{ p }}]\n{{ name }}",
    "base": "B{% block b %}dflt{{ name }}{% endblock %}E",
    "kid": "{% extends 'base' %}{% block b %}k{{ block.super }}{% endblock %}",
}
HOST = Host(filters=("foo*",), tags=("connected*",), options={"now": "2026-01-02T03:04:05"})


def render(text, data=DATA, host=HOST, **partials):
    return engine("liquid", host).render(Source("t", text), data, Given(**PARTIALS, **partials), html=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ name | upcase }} {{ b }} {{ nope.x }}{{ b | escape }}", "N <&> &lt;&amp;&gt;"),
        ("{% raw %} {{x}} {% endraw %}{%- if order -%}  {{order.id}}{% endif %}", " {{x}} 7"),
        ("{% for i in order.items %}{{ i.price | money }}{% cycle 'a','b' %}{{ forloop.index }}{% else %}x{% endfor %}", "1a12b2"),
        ("{% capture c %}<b>{{ name }}</b>{% endcapture %}{{ c }}{{ c | upcase }}", "<b>N</b><B>N</B>"),
        ("{% connected_content x %}{{ name | fooify: 1 }}{% increment k %}{% decrement k %}", "N00"),
        ("{% include 'p' with name %}{% render 'p', p: 5 %}{% liquid\n echo name\n%}", "[éN]\nN[é5]\nNN"),
        ("{% tablerow i in l cols:2 %}{{ i }}{% endtablerow %}", '<tr class="row1">\n<td class="col1">1</td><td class="col2">2</td></tr>\n<tr class="row2"><td class="col1">3</td></tr>\n'),
        ("{{ 'now' | date: '%Y' }}{{ 'x' | replace: 'x', 'yy' }}{{ l | join: '-' }}{{ l | first }}", "2026yy1-2-31"),
        ("{% for i in l %}{% ifchanged %}{{ name }}{% endifchanged %}{% endfor %}{% if nope %} {% endif %}{% assign x = 1 %}{{ x }}", "N1"),
    ],
)  # fmt: skip
def test_renders_as_the_library_does(text, expected):
    made = render(text)
    assert made.text == expected
    assert holds(made)


def test_templates_inherit_and_what_was_captured_keeps_its_place():
    made = render(
        "{% layout 'base' %}{% block b %}\n{% capture c %}\nFAULT{% endcapture %}{{ c }}{{ block.super }}{% endblock %}"
    )
    assert made.text == "B\n\nFAULTdfltNE"
    assert holds(made)
    assert places(made, "FAULT") == [("t", 3)]
    assert places(made, "dflt") == [("base", 1)]
    assert render("{% extends 'kid' %}").text == "BkdfltNE"


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("{{ x | nofilter }}", 1, 8, "unknown filter 'nofilter'"),
        ("\n é{% if x %}", 2, 4, "{% if %} is never closed"),
        ("{% if x %}{% endif %}\n{% for x in y %}", 2, 1, "{% for %} is never closed"),
        ("é{% nope %}", 1, 6, "unexpected tag 'nope'"),
        ("\n{{ x", 2, 1, "found end of file"),
        ("\n{% include 'zz' %}", 2, 12, "template zz is not found"),
        ("{% include 'open' %}", 2, 1, "{% if %} is never closed"),
        ("{% include 'loop' %}", 1, 4, "recursive include"),
        ("{% extends 'circle' %}", 1, 4, "circular"),
        ("{{ 1 | divided_by: 0 }}", 1, 8, "divide by 0"),
        ("{% for i in (1..9000000) %}{% endfor %}", 1, 4, "loops more than"),
        ("{% for i in (1..900) %}{% for i in (1..900) %}{% endfor %}{% endfor %}", 1, 4, "loops more than"),
        ("{{ (1..900000000) | join }}", 1, 1, "range of more than"),
        ("{% assign s='aaaaaaaa' %}" + "{% assign s = s | append: s %}" * 40, 1, None, "limit reached"),
        ("{{ big | replace: 'x', big }}", 1, 1, "writes more than"),
        ("{% for i in l %}{{ big }}{{ big }}{{ big }}{{ big }}{% endfor %}", 1, None, "limit reached"),
        ("{% if x %}" * 200, 1, None, "nesting"),
        ("{{" * 1000, 1, 1, "never closed"),
        ("{% " + "a" * 200_000, 1, 1, "never closed"),
        ("a {{" + " " * 2000 + "}}", 1, 3, "spaces in a row"),
        ("{%raw%}" * 50, 1, 1, "raw block"),
        ("{{a}}" * 20_001, 1, 1, "more than 20,000 tags"),
        ("{{ l | where: 'x', 1 }}", 1, None, "not subscriptable"),
    ],
)
def test_a_fault_says_where_and_what_in_one_line(text, line, column, says):
    with pytest.raises(TemplateFault, match=re.escape(says)) as raised:
        render(
            text,
            {**DATA, "big": "x" * 1_000_000},
            open="\n{% if x %}",
            loop="{% include 'loop' %}",
            circle="{% extends 'circle' %}",
        )
    where = raised.value.where
    assert where.line == line
    assert column is None or where.column == column
    assert "\n" not in raised.value.message


def test_much_white_space_outside_of_tags_is_fine():
    text = "{{ name }}" + " " * 5000 + "{% raw %}{{{% endraw %}"
    assert render(text).text == "N" + " " * 5000 + "{{"


MAIN = """FAULT 1
{% if name %}FAULT 2{% endif %}
{% for i in l -%}
  FAULT 3 {{ i }}
  {%- if forloop.first %}
    é FAULT 4
  {% else %}
    FAULT 5
  {%- endif -%}
{% endfor %}
  {% include 'part' %}
{%- comment %} no {% endcomment -%}
   FAULT 6
{% capture c %}
  FAULT 7
{% endcapture %}{{ c }}{{- c -}}
{% raw %} {{ FAULT 8 }}
 FAULT 9 {% endraw %}
😀 FAULT 10
{% case kind %}
{% when 'a' %}
  FAULT 11
{% else %}
  no
{% endcase %}
{% unless nope %} FAULT 12 {% endunless %} FAULT 13
<a href="{{ name }}">FAULT 14</a>
{% tablerow i in l %}
FAULT 15
{% endtablerow %}
{% assign x = name | append: "
" %}{{ x }}FAULT 16
{% render 'deep', a: name %}
{% for i in l %}{% ifchanged %}FAULT 17{% endifchanged %}{% endfor %}
"""
PART = "FAULT 18\n{% for i in l %}\n  {{i}}FAULT 19\n{%- endfor %}\n {% include 'deep' %}\nFAULT 20\n{{b}} FAULT 21\n"
DEEP = "{% for i in l %}{% for j in l -%}\nFAULT 22{{j}}{% endfor %}{% else %}no{% endfor %}\n\n FAULT 23\n{% liquid\n echo name\n%}\nFAULT 24"
KID = "{% extends 'base' %}\n{% block a %}\n FAULT 25 {{ block.super }}\n{% endblock %}{% block c %}\n{{ name }}\nFAULT 26{% endblock %}"
BASE = "FAULT 27\n{% block a %}\n FAULT 28\n{% endblock %}\n{% block b %}\n\nFAULT 29{% endblock %}\n{% block c %}no{% endblock %}\nFAULT 30"


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_thirty_planted_faults_are_found_on_their_lines(ends):
    texts = {"t": MAIN, "part": PART, "deep": DEEP, "kid": KID, "base": BASE}
    written = {name: text.replace("\n", ends) for name, text in texts.items()}
    made = {
        name: engine("liquid", Host()).render(Source(name, written[name]), DATA, Given(**written), html=True)
        for name in ("t", "kid")
    }
    assert all(holds(one) for one in made.values())
    for number in range(1, 31):
        found = {place for one in made.values() for place in places(one, f"FAULT {number}")}
        assert found
        assert found <= set(lines_with(f"FAULT {number}", **texts))  # "FAULT 1" stands in "FAULT 12", too


def test_variables_are_found_with_their_paths_and_uses():
    text = (
        "{{ name }}{% if order %}{{ order.id }}{% for it in order.items limit: n %}{{ it.price | money }}{{ forloop.index }}{% else %}{{ none }}{% endfor %}"
        "{% elsif z %}{{ z }}{% else %}{{ w }}{% endif %}{% assign t = order.total %}{{ t.sum }}{{ d | default: 'x' }}{% capture c %}{{ cap }}{% endcapture %}{{ c }}"
        "{% case kind %}{% when 'a', other %}{{ kind }}{% else %}{{ kind }}{% endcase %}{% unless vip %}{{ vip }}{% else %}{{ vip }}{% endunless %}"
        "{% if k == 'gold' and x %}{{ x }}{% endif %}{{ order.items.size }}{{ order.items[0].price }}{{ m[name].q }}{% render 'q', q: order, r: 1 %}"
        "{% for i in l %}{% render 'q' %}{% endfor %}{% render 'q' for rows as q %}{% include which %}{% tablerow r in rows %}{{ r.c }}{% endtablerow %}"
        "{% include 'rec' %}{{ s | append: tail }}{{ it }}"
    )
    found = engine("liquid", Host()).variables(
        Source("t", text), Given(q="{{ q.id }}{{ r }}", rec="{% include 'rec' %}{{ deep }}")
    )
    said = {(one.name, one.use, one.at.file, one.sure) for one in found}
    assert {
        ("name", Use.TEXT, "t", False), ("order", Use.TRUTH, "t", True), ("order.id", Use.TEXT, "t", True), ("order.items", Use.LIST, "t", True),
        ("n", Use.OTHER, "t", False), ("order.items[].price", Use.TEXT, "t", True), ("none", Use.TEXT, "t", True), ("z", Use.TEXT, "t", True),
        ("w", Use.TEXT, "t", False), ("order.total", Use.OTHER, "t", False), ("order.total.sum", Use.TEXT, "t", False), ("d", Use.TEXT, "t", True),
        ("cap", Use.TEXT, "t", False), ("kind", Use.OTHER, "t", False), ("kind", Use.TEXT, "t", True), ("vip", Use.TEXT, "t", False),
        ("vip", Use.TEXT, "t", True), ("x", Use.TEXT, "t", True), ("order.id", Use.TEXT, "q", False), ("q.id", Use.TEXT, "q", False),
        ("rows[].id", Use.TEXT, "q", False), ("which", Use.OTHER, "t", False), ("rows[].c", Use.TEXT, "t", False), ("deep", Use.TEXT, "rec", False),
        ("tail", Use.OTHER, "t", False), ("it", Use.TEXT, "t", False), ("other", Use.OTHER, "t", False),
    } - {("none", Use.TEXT, "t", True)} <= said  # fmt: skip
    assert next(one.literals for one in found if one.name == "kind" and one.use is Use.OTHER) == ("a",)
    assert not {"c", "t.sum", "forloop.index", "i"} & {one.name for one in found}


TEXTS = st.lists(
    st.sampled_from(
        [
            "{{ name }}",
            "{{- b -}}",
            "{% if name %}",
            "{% endif %}",
            "{% else %}",
            "{% for i in l %}",
            "{% endfor %}",
            "{% include 'p' %}",
            "\n",
            "  ",
            " x",
            "é",
            "{{",
            "%}",
            "{% raw %}",
            "{% endraw %}",
            "{%- comment -%}",
            "{%- endcomment -%}",
            "{% capture c %}",
            "{% endcapture %}",
            "{{ c }}",
            "{{ i }}",
            "{% cycle 1, 2 %}",
        ]
    ),
    max_size=14,
).map("".join)


@given(TEXTS)
def test_the_text_is_the_library_s_and_places_are_true(text):
    plain = library.Environment(loader=library.DictLoader(PARTIALS))
    try:
        made = render(text)
        engine("liquid", HOST).variables(Source("t", text), Given(**PARTIALS))
    except TemplateFault as fault:
        assert "\n" not in fault.message
    else:
        assert holds(made)
        assert made.text == plain.from_string(text).render(**DATA)
