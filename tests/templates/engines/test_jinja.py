"""The Jinja2 engine: what it renders and refuses, what it says of a fault, and which variables it finds."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.templates.data.made_up import as_objects, made_up
from delivcheck.templates.engines import registry
from delivcheck.templates.engines.jinja import Jinja
from delivcheck.templates.model import Host, Source, TemplateFault, TemplateMissing, Use
from delivcheck.templates.sources import FileSources

CORPORA = Path(__file__).parents[4] / "shared" / "corpora"


@dataclass
class Texts:
    """Templates by name, as `model.Sources`, and who asked for them."""

    sources: dict[str, Source]
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def find(self, name, asked_by=None, suffixes=("",)):
        self.asked.append((name, asked_by and asked_by.name))
        if name == "outside":
            raise TemplateFault("template outside is outside the folders that were given")
        if name not in self.sources:
            raise TemplateMissing(f"template {name} is not found")
        return self.sources[name]


def texts(main, **others):
    return Texts({name: Source(name, text) for name, text in {"main": main, **others}.items()})


def text(main, data=None, *, html=True, host=None, **others):
    sources = texts(main, **others)
    return Jinja(host or Host()).render(sources.sources["main"], data or {}, sources, html=html).text


def fault(main, data=None, *, host=None, html=True, **others):
    with pytest.raises(TemplateFault) as raised:
        text(main, data, host=host, html=html, **others)
    assert "\n" not in raised.value.message
    assert not raised.value.message.endswith(".")
    return raised.value


# --- rendering ---------------------------------------------------------------------------------------------------


def test_the_registry_knows_it():
    assert registry.engine("jinja2", Host()).name == "jinja2"


def test_values_are_escaped_in_html_and_not_in_text():
    assert text("{{ a }}", {"a": "<&>"}) == "&lt;&amp;&gt;"
    assert text("{{ a }}", {"a": "<&>"}, html=False) == "<&>"


def test_one_engine_renders_both_and_keeps_no_state():
    engine, sources = (
        Jinja(Host()),
        texts(
            "{% import 'm' as m %}{{ m.f() }}{{ m.f() }}{{ a }}",
            m="{% set n = namespace(x=0) %}{% macro f() %}{% set n.x = n.x + 1 %}{{ n.x }}{% endmacro %}",
        ),
    )
    main = sources.sources["main"]
    for _ in range(2):
        assert engine.render(main, {"a": "<"}, sources, html=True).text == "12&lt;"
        assert engine.render(main, {"a": "<"}, sources, html=False).text == "12<"


def test_a_changed_source_is_compiled_anew():
    engine = Jinja(Host())
    for word in ("one", "two"):
        sources = texts("{% include 'part' %}", part=word)
        assert engine.render(sources.sources["main"], {}, sources, html=True).text == word


def test_who_asks_for_a_template_is_told():
    sources = texts("{% extends 'base' %}", base="{% include 'part' %}", part="x")
    Jinja(Host()).render(sources.sources["main"], {}, sources, html=True)
    assert sources.asked == [("base", "main"), ("part", "base")]


def test_a_missing_include_may_be_ignored_but_not_one_that_cannot_be_had():
    assert text("a{% include 'nope' ignore missing %}b{% include ['nope', 'part'] %}", part="c") == "abc"
    assert fault("{% include 'outside' ignore missing %}").message == "template outside is outside the folders that were given"


def test_what_is_random_is_the_same_each_time():
    assert text("{{ [3, 1]|random }}{{ []|random }}{{ lipsum(1) == lipsum(1) }}{{ lipsum(1, html=false)[:5] }}") == "3TrueLorem"


def test_messages_are_not_translated():
    main = "{{ _('a %(x)s', x=1) }}{{ gettext('100%') }}{{ ngettext('%(num)s one', '%(num)s more', 2, num=2) }}{{ pgettext('c', '<i>') }}{{ npgettext('c', 'one', 'more', 1) }}"
    assert text(main) == "a 1100%2 more&lt;i&gt;one"
    assert text("{% trans 'context' x=2 %}one{% pluralize %}{{ x }} more{% endtrans %}") == "2 more"
    assert text("{% trans x=f() %}one{% pluralize %}{{ x }} more{% endtrans %}", {"f": lambda: 1}) == "one"
    assert text("{% trans %} a\n b {% endtrans %}", host=Host(options={"i18n_trimmed": True})) == "a b"
    assert (
        text("{% trans %} a\n b {% endtrans %}", host=Host(options={"newline_sequence": "\r\n", "i18n_trimmed": True})) == "a b"
    )


def test_a_macro_of_the_template_may_be_what_the_program_sends():
    base = "ignored{% macro get_body() %}{% block body %}{% endblock %}{% endmacro %}"
    main = "{% extends 'base' %}{% block body %}Dear {{ name }}{% endblock %}"
    host = Host(options={"macro": "get_body"})
    assert text(main, {"name": "Ada"}, base=base, host=host) == "Dear Ada"
    assert text("no macro", host=host) == "no macro"
    sources = texts(main, base=base)
    assert [one.name for one in Jinja(host).variables(sources.sources["main"], sources)] == ["name"]


def test_what_the_program_adds_is_stubbed_by_patterns():
    host = Host(filters=("fmt_*", "money"), tests=("odd_*",), tags=("assets", "box*"))
    main = "{{ a|fmt_date('x', y=1) }}{{ a|money }}{% if a is odd_looking %}t{% endif %}{% assets 'x', y=1 %}{% boxed q %}in{{ a }}{% endboxed %}{{ [a]|map('money')|join }}"
    assert text(main, {"a": 1}, host=host) == "11tin11"
    assert fault("{{ a|other }}", host=host).message == "No filter named 'other'"
    assert fault("{% other %}", host=host).message.startswith("Encountered unknown tag 'other'")
    assert "'if' is not" not in fault("{% boxed %", host=host).message


def test_settings_of_the_program_are_taken():
    assert text("[[ a ]]", {"a": 1}, host=Host(options={"variable_start_string": "[[", "variable_end_string": "]]"})) == "1"
    assert fault("{{ a }}", host=Host(options={"undefined": "strict"})).message == "'a' is undefined"
    assert text("{{ a.b.c }}", host=Host(options={"undefined": "chainable"})) == ""
    assert fault("{% do f() %}", host=Host(options={"extensions": ["jinja2.ext.i18n"]})).message.startswith(
        "Encountered unknown tag"
    )
    assert text("{% for i in [1, 2] %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}") == "1"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"trim_block": True}, "no option 'trim_block'"),
        ({"trim_blocks": "yes"}, "trim_blocks must be true or false"),
        ({"undefined": "none"}, "undefined must be one of"),
        ({"undefined": []}, "undefined must be one of"),
        ({"extensions": "i18n"}, "extensions must be a list"),
        ({"extensions": ["os.system"]}, "no extension 'os.system'"),
        ({"newline_sequence": "\t"}, "newline_sequence must be a line end"),
        ({"block_start_string": ""}, "block_start_string must be a delimiter"),
        ({"block_start_string": "{{"}, "three different"),
        ({"line_statement_prefix": 1}, "line_statement_prefix must be a prefix"),
        ({"macro": "a b"}, "macro must be the name of a macro"),
        ({"i18n_trimmed": 1}, "i18n_trimmed must be true or false"),
    ],
)
def test_settings_that_cannot_be_are_told_in_one_line(options, said):
    with pytest.raises(ValueError, match=said) as raised:
        Jinja(Host(options=options))
    assert "\n" not in str(raised.value)


# --- faults ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("main", "said", "line", "column"),
    [
        ("a\n{{ x y }}", "expected token 'end of print statement', got 'y'", 2, 6),
        ("é {% if x %}\n", "Unexpected end of template", 1, None),
        ("a\n {% nope %}", "Encountered unknown tag 'nope'", 2, 5),
        ("a\n{# x", "Missing end of comment tag", 2, 3),
        ("a\n{{ 'x }}", 'unexpected char "\'"', 2, 4),
        ("a\n\n{{ x|nope }}", "No filter named 'nope'", 3, 6),
        ("a\n{% if false %}{{ x|nope }}{% endif %}{% if true %}{{ x|nope }}{% endif %}", "No filter named 'nope' found", 2, 51),
        ("a\n{{ x is nope }}", "No test named 'nope'", 2, 6),
        ("ü\n  {{ x.y.z }}", "'x' is undefined", 2, 3),
        ("{% for i in [1] %}\n{{ 1 / 0 }}\n{% endfor %}", "ZeroDivisionError: division by zero", 2, 1),
        ("\n{{ 'a' + 1 }}", "TypeError: can only concatenate str", 2, 1),
        ("\n {% include 'nope' %}", "template nope is not found", 2, 2),
        ("\n {% include ['nope', 'none'] %}", "none of the templates given were found: nope, none", 2, 2),
        ("\n {% include x %}", "'x' is undefined", 2, 2),
        ("\n {% extends 'outside' %}", "template outside is outside", 2, 2),
        ("\n {% extends 'broken' %}", "tag name expected", 1, 4),
        ("\n {% from 'part' import f %}{{ f() }}", "the template 'part' (imported on", 2, 28),
        ("\n {% for i in 5 %}{% endfor %}", "TypeError: 'int' object is not iterable", 2, 2),
        ("{% macro f(x) %}\n\n {{ x.y.z }}{% endmacro %}\n{{ f(1) }}", "'int object' has no attribute 'y'", 3, 2),
        ("{% filter length %}x{% endfilter %}", "TypeError: expected str instance, int found", 1, 1),
        ("{% block a %}{% endblock %}\n{% block a %}{% endblock %}", "block 'a' defined twice", 2, 4),
        ("\n{{ f(1)(2) }}", "ValueError: a long text", 2, 1),
        ("\n{{ " + "1" * 5_000 + " }}", "ValueError: Exceeds the limit", 1, 1),
        ("\nx{{ '\\ud800' }}", "writes half a surrogate pair", 2, 2),
        ("\n" + "x" * 100_000 + "{{ " + "1_" * 5_000 + "1 }}", "has a number of more than 4,300 digits", 2, 100_004),
        ("{% trans trimmed %}" + "a " * 60_000 + "{% endtrans %}", "a message of more than 100,000 words", 1, None),
        ("{{ a }}" * 50_000, "has more than 100,000 tokens", 1, None),
    ],
)
def test_a_fault_says_what_and_where(main, said, line, column):
    def f(_):
        raise ValueError("a long\ntext " + "x" * 10_000)

    found = fault(main, {"f": f}, part="", broken="{% %}")
    assert found.message.startswith(said)
    assert len(found.message) < 600
    if line:
        assert found.where.line == line
    if column:
        assert found.where.column == column


def test_a_fault_in_an_included_file_is_there():
    assert fault("\n\n{% include 'part' %}", part="a\n b {{ 1 / 0 }}").where.file == "part"


@pytest.mark.parametrize(
    ("files", "way", "at"),
    [
        ({"main": "{% include 'main' %}"}, "main → main", ("main", 1)),
        ({"main": "a\n{% include 'b' %}", "b": "\n\n{% include 'main' %}"}, "main → b → main", ("b", 3)),
        ({"main": "{% extends 'b' %}", "b": "{% extends 'main' %}"}, "main → b → main", ("b", 1)),
        ({"main": "{% extends 'main' %}"}, "main → main", ("main", 1)),
        (
            {"main": "{% import 'b' as b with context %}", "b": "{% import 'main' as m with context %}"},
            "main → b → main",
            ("b", 1),
        ),
    ],
)
def test_a_circle_is_shown(files, way, at):
    found = fault(**files)
    assert found.message == f"templates bring in one another without end: {way}"
    assert (found.where.file, found.where.line) == at


@pytest.mark.parametrize(
    "main",
    [
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% block a %}{{ self.a() }}{% endblock %}",
        "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{{ " + "(" * 3_000 + "1" + ")" * 3_000 + " }}",
        "{{ " + "[" * 150 + "]" * 150 + " }}",
        "{% for i in x %}" * 30 + "{% endfor %}" * 30,
        "{% if x %}" * 2_000 + "{% endif %}" * 2_000,
    ],
)
def test_what_is_too_deep_is_a_fault(main):
    assert fault(main).where is not None


@pytest.mark.parametrize(
    "main", ["{{ a" + ".b" * 5_000 + " }}", "{{ a" + " + a" * 5_000 + " }}", "{{ a" + "|upper" * 5_000 + " }}"]
)
def test_expressions_that_are_too_deep_have_no_variables_but_a_fault(main):
    assert fault(main).where is not None
    with pytest.raises(TemplateFault, match="too deeply"):
        variables(main)


# --- limits ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "main",
    [
        "{{ 'a' * 10**9 }}",
        "{{ [1] * 10**9 }}",
        "{% set n = namespace(x='aaaaaaaaaa') %}{% for i in range(90) %}{% set n.x = n.x + n.x %}{% endfor %}",
        "{% set n = namespace(x='aaaaaaaaaa') %}{% for i in range(90) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "{% set n = namespace(x=[1]) %}{% for i in range(90) %}{% set n.x = n.x + n.x %}{% endfor %}",
        "{% set n = namespace(x=[1]) %}{% for i in range(90) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
        "{% set n = namespace(x=[1]) %}{% for i in range(90) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x|tojson }}",
        "{% set n = namespace(x={}) %}{% for i in range(90) %}{% set n.x = {'a': n.x, 'b': n.x} %}{% endfor %}{{ '%s' % n.x }}",
        "{% set n = namespace(x=7) %}{% for i in range(90) %}{% set n.x = n.x * n.x %}{% endfor %}",
        "{{ 10**10000000 }}",
        "{{ '%999999999d' % 1 }}",
        "{{ '%*d' % (999999999, 1) }}",
        "{{ '%.999999999f'|format(1.0) }}",
        "{{ '%9999999999999999999d'|format(1) }}",
        "{{ '{:>999999999}'.format(1) }}",
        "{{ '{:>{}}'.format(1, 999999999) }}",
        "{{ '{a:>{b}}'.format_map({'a': 1, 'b': 999999999}) }}",
        "{{ 'x'.ljust(10**9) }}",
        "{{ 'x'.zfill(999999999) }}",
        "{{ ('\\t' * 10000).expandtabs(90000) }}",
        "{{ (1).to_bytes(999999999, 'big') }}",
        "{{ ('a' * 10000).replace('', 'b' * 10000) }}",
        "{{ ('a' * 10000)|replace('a', 'b' * 10000) }}",
        "{{ ('a' * 10000).translate({97: 'b' * 10000}) }}",
        "{{ ('a' * 10000).join(range(10000)|map('string')|list) }}",
        "{{ range(10000)|join('a' * 10000) }}",
        "{{ 'x'|center(999999999) }}",
        "{{ 'x'|indent(999999999, true) }}",
        "{{ range(9)|batch(999999999, 'x')|list }}",
        "{{ range(9)|slice(999999999)|list }}",
        "{{ lipsum(999999999) }}",
        "{{ range(999999999) }}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% for a in range(9999) %}{{ range(99999)|sum }}{% endfor %}",
        "{% macro f(n) %}{% if n %}{% set _ = f(n - 1) %}{% set _ = f(n - 1) %}{% endif %}{% endmacro %}{{ f(90) }}",
        "{% for a in range(99999) %}{{ 'a' * 100000 }}{% endfor %}",
        "{% for a in range(99999) %}{% set t %}{{ 'a' * 100000 }}{% endset %}{% endfor %}",
        "{% for a in range(99999) %}{% include 'part' %}{% endfor %}{% for a in range(99999) %}{% include 'part' %}{% endfor %}",
        "{% set t %}{% for a in range(99999) %}a{{ a }}{% endfor %}{% endset %}{% for a in range(999) %}{% set t = t ~ 'x' %}{% endfor %}",
    ],
)
def test_what_would_take_all_time_or_memory_is_stopped(main):
    found = fault(main, part="x")
    assert found.where is not None
    assert any(word in found.message for word in ("more than", "too large", "too big", "Range too big", "indents"))


def test_text_that_grows_too_long_is_told_of_where_it_does():
    found = fault("\n{% for i in range(99) %}{% include 'part' %}{% endfor %}", part="\n\n" + "x" * 500_000)
    assert "10,485,760 characters" in found.message
    assert (found.where.file, found.where.approximate) == ("part", True)
    assert "10,485,760 characters" in fault("{{ a }}", {"a": "x" * 11_000_000}).message


@pytest.mark.parametrize(
    "main",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ f.__globals__ }}",
        "{{ ''['__class__'] }}{{ 'seen' if ''['__class__'] }}",
        "{{ '{0.__class__.__mro__}'.format('') }}",
        "{% set _ = items.append(1) %}",
        "{{ items.clear() }}",
        "{{ danger() }}",
        "{{ self.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os }}",
    ],
)
def test_the_sandbox_holds(main):
    def danger():
        raise AssertionError

    danger.unsafe_callable = True
    items = [0]
    try:
        made = text(main, {"f": fault, "items": items, "danger": danger})
    except TemplateFault as found:
        assert "unsafe" in found.message or "not safely callable" in found.message or "undefined" in found.message
    else:
        assert made == "", "what it may not see is undefined"
    assert items == [0]


def test_ordinary_templates_are_far_from_the_limits():
    data = {"items": [{"name": f"item {number}", "price": number * 1_000_003} for number in range(1_000)]}
    main = "{% for i in items %}<td>{{ i.name|upper }}</td><td>{{ '{:,.2f}'.format(i.price) }}</td>{{ '%05d' % i.price }}{% endfor %}"
    assert text(main, data).count("<td>") == 2_000


TOKENS = [
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "-",
    "+",
    "x",
    ".",
    "|",
    ",",
    "'",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "1",
    "=",
    "~",
    "é",
    "if",
    "endif",
    "else",
    "for",
    "in",
    "endfor",
    "set",
    "endset",
    "trans",
    "endtrans",
    "block",
    "raw",
    "endraw",
    "macro",
    "endmacro",
    "call",
    "endcall",
    "filter",
    "endfilter",
    "upper",
    "include",
    "extends",
    "import",
    "from",
    "as",
    "with",
    "endwith",
    "loop",
    "not",
    "is",
    "do",
    "break",
    " ",
    " ",
    "\n",
    "\r",
]


PLAIN = Jinja(Host())
STUBBING = Jinja(Host(filters=("*",), tags=("*",), tests=("*",), options={"trim_blocks": True}))


@given(
    st.lists(st.sampled_from(TOKENS), max_size=40).map("".join) | st.lists(st.sampled_from(TOKENS), max_size=40).map(" ".join)
)
def test_it_returns_or_raises_the_declared_error(main):
    sources = texts(main)
    for engine in (PLAIN, STUBBING):
        try:
            engine.variables(sources.sources["main"], sources)
        except TemplateFault as found:
            assert found.where is not None
        try:
            made = engine.render(sources.sources["main"], {"x": ["1"]}, sources, html=True)
        except TemplateFault:
            continue
        assert all(piece.end > piece.start for piece in made.pieces)


# --- variables ---------------------------------------------------------------------------------------------------


def variables(main, **others):
    sources = texts(main, **others)
    return Jinja(Host(filters=("*",))).variables(sources.sources["main"], sources)


def names(main, **others):
    return list(dict.fromkeys(one.name for one in variables(main, **others)))


@pytest.mark.parametrize(
    ("main", "found"),
    [
        ("{{ a }}{{ b.c }}{{ d['e'].f }}{{ g[0].h }}{{ i[k].l }}", ["a", "b.c", "d.e.f", "g[].h", "k", "i[].l"]),
        ("{% for i in order.items %}{{ i.price }}{{ loop.index }}{% else %}{{ i }}{% endfor %}", ["order.items", "order.items[].price", "i"]),
        ("{% for a, b in pairs if a.x %}{{ b.y }}{% endfor %}", ["pairs", "pairs[][].x", "pairs[][].y"]),
        ("{% for k, v in d.items() %}{{ k }}{{ v.x }}{% endfor %}{% for k, v in e|items %}{{ k }}{% endfor %}", ["d.items", "e.items"]),
        ("{% for i in a|sort(attribute='n') %}{{ i.x }}{% endfor %}", ["a", "a[].n", "a[].x"]),
        ("{% for g, l in a|groupby('city') %}{% for i in l %}{{ i.x }}{% endfor %}{% endfor %}", ["a", "a[].city", "a[].x"]),
        ("{% for row in a|batch(2) %}{% for i in row %}{{ i.x }}{% endfor %}{% endfor %}", ["a", "a[].x"]),
        ("{{ a|map(attribute='n.m')|join }}{{ (b|first).c }}{{ d[1:]|length }}{{ e|map('upper')|list }}", ["a", "a[].n.m", "b", "b[].c", "d", "e"]),
        ("{% set x = a.b %}{{ x.c }}{% set y %}{{ z }}{% endset %}{{ y }}{% set p, q = [a, 1] %}{{ p.r }}{{ q }}", ["a.b", "a.b.c", "z", "a", "a.r"]),
        ("{% with u = user.name, v = 1 %}{{ u.first }}{{ v }}{% endwith %}{{ u }}", ["user.name", "user.name.first", "u"]),
        ("{% macro f(x, y=z.w) %}{{ x.n }}{{ y.m }}{{ free }}{% endmacro %}{{ f(user) }}{{ f(y=2, x=other) }}", ["user", "z.w", "user.n", "z.w.m", "free", "other", "other.n"]),
        ("{% macro f(x) %}{{ x }}{{ f(x) }}{% endmacro %}{{ f(a) }}{{ f(1, extra) }}", ["a", "extra"]),
        ("{% macro f(l) %}{% for i in l %}{{ caller(i.n) }}{% endfor %}{% endmacro %}{% call(x) f(a.b) %}{{ x.y }}{{ z }}{% endcall %}", ["a.b", "a.b[].n", "a.b[].n.y", "z"]),
        ("{% call host(1) %}{{ a }}{% endcall %}", ["a", "host"]),
        ("{% filter fmt(a) %}{{ b }}{% endfilter %}{% do f(c) %}{% autoescape d %}{{ e }}{% endautoescape %}", ["b", "a", "c", "f", "d", "e"]),
        ("{% trans n=cart|length, u %}{{ n }}{{ u }}{{ w }}{% pluralize %}{{ n }}{% endtrans %}{{ _('%(a)s', a=aa) }}", ["cart", "u", "w", "aa"]),
        ("{{ range(n) }}{{ namespace(x=m).x }}{{ 'x %s'|format(o) }}{{ 'x'.format(p) }}{{ 'x' ~ q }}{{ -r }}{{ s + t }}{{ {'a': u}['a'] }}", list("nmopqrstu")),
        ("{{ super() }}{{ self.a() }}{{ varargs }}{{ kwargs }}{{ none }}{{ true }}", []),
    ],
)  # fmt: skip
def test_the_data_that_a_template_reads(main, found):
    assert sorted(names(main)) == sorted(found)


def test_includes_parents_and_imports_are_followed():
    found = variables(
        "{% extends base_or_not if x else 'base' %}{% from 'm' import f %}{% import 'm' as m with context %}{% set s = top %}"
        "{% block a %}{{ super() }}{{ f(y) }}{{ m.g(z) }}{{ s.t }}{% endblock %}ignored {{ ignored }}",
        base="{{ title }}{% block a %}{{ old }}{% endblock %}{% for i in l %}{% include ['none', 'part'] %}{% endfor %}{% include part_of %}",
        m="{% macro f(v) %}{{ v.n }}{{ not_read }}{% endmacro %}{% macro g(v) %}{{ v.n }}{{ read }}{% endmacro %}",
        part="{{ i.p }}{% include 'part' %}{% include 'closed' without context %}",
        closed="{{ nothing }}",
    )
    assert {(one.name, one.at.file) for one in found if one.use is Use.TEXT} == {
        ("title", "base"), ("old", "base"), ("y.n", "m"), ("z.n", "m"), ("read", "m"), ("top.t", "main"), ("l[].p", "part"),
    }  # fmt: skip
    assert {"base_or_not", "x", "part_of", "l", "top"} <= {one.name for one in found}


def test_a_parent_that_is_not_there_hides_no_variable():
    assert names("{% extends 'nope' %}{% block a %}{{ b }}{% endblock %}") == ["b"]


@pytest.mark.parametrize(
    ("main", "sure"),
    [
        ("{{ a }}", False),
        ("{{ a|default('x') }}", True),
        ("{{ a|d }}", True),
        ("{{ a or 'x' }}", True),
        ("{% if a %}{{ a }}{% endif %}", True),
        ("{% if a is defined and b %}{{ a }}{% endif %}", True),
        ("{% if a == 1 %}{{ a }}{% endif %}", True),
        ("{% if a|length %}{{ a }}{% endif %}", True),
        ("{% if a or b %}{{ a }}{% endif %}", False),
        ("{% if not a %}{{ a }}{% endif %}", False),
        ("{% if not a %}x{% else %}{{ a }}{% endif %}", True),
        ("{% if a is undefined %}x{% elif b %}{{ a }}{% endif %}", True),
        ("{% if a is none or b %}x{% else %}{{ a }}{% endif %}", True),
        ("{% if a %}x{% endif %}{{ a }}", False),
        ("{{ a if a else 'x' }}", True),
        ("{{ 'x' if not a else a }}", True),
        ("{{ a and a }}", True),
        ("{% set v = a|default('') %}{{ v }}", True),
        ("{% set v = a or '' %}{{ v }}", True),
        ("{% if a.b %}{{ a }}{% endif %}", False),
    ],
)
def test_what_sees_to_a_value_being_missing_is_seen(main, sure):
    printed = [one for one in variables(main) if one.use is Use.TEXT and one.name == "a"]
    assert printed[-1].sure is sure


def test_uses_and_constants_are_told():
    found = variables(
        "{{ a }}{% if b %}{% endif %}{% for i in c %}{% endfor %}{{ d() }}{{ e.f(1).g }}{% if h == 'x' or h in ['y', 'z'] or 'w' == h %}{% endif %}"
        "{% if i is sameas 1 %}{% endif %}{{ j|join }}{{ k|length }}{{ l|upper }}"
    )
    assert {(one.name, one.use) for one in found} == {
        ("a", Use.TEXT), ("b", Use.TRUTH), ("c", Use.LIST), ("d", Use.CALL), ("e.f", Use.CALL), ("e.f.g", Use.TEXT), ("h", Use.OTHER),
        ("i", Use.OTHER), ("j", Use.LIST), ("k", Use.OTHER), ("l", Use.TEXT),
    }  # fmt: skip
    assert {literal for one in found if one.name == "h" for literal in one.literals} == {"x", "y", "z", "w"}
    assert [one.literals for one in found if one.name == "i"] == [(1,)]


def test_a_variable_has_its_place():
    [one] = variables("ü\r\n é {{ user.name.first|upper }}")
    assert (one.at.line, one.at.column, one.at.end_column) == (2, 8, 23)


def test_a_broken_template_has_no_variables_but_a_fault():
    with pytest.raises(TemplateFault, match="unexpected"):
        variables("{{ a")


def test_a_template_of_which_the_walk_would_have_no_end_is_walked_in_part():
    calls = "".join(
        f"{{% macro m{n}(x) %}}{{{{ m{n - 1}(x.a) }}}}{{{{ m{n - 1}(x.b) }}}}{{% endmacro %}}" for n in range(1, 40)
    )
    assert names("{% macro m0(x) %}{{ x }}{% endmacro %}" + calls + "{{ m39(y) }}")


# --- other people's templates ------------------------------------------------------------------------------------


class Indico(FileSources):
    """Indico's way of naming: `rb/emails/x.txt` is modules/rb/templates/emails/x.txt."""

    def find(self, name, asked_by=None, suffixes=("",)):
        root = self.roots[0] / "indico"
        parts = name.split("/")
        ways = [root / "modules" / Path(*parts[:n]) / "templates" / Path(*parts[n:]) for n in range(1, len(parts))]
        for path in (*ways, root / "web" / "templates" / name):
            if path.is_file():
                return self.open(path, path.relative_to(root).as_posix())
        return super().find(name, asked_by, suffixes)


LACKING = {
    "layout/base.html",
    "forms/base_widget.html",
    "forms/_form.html",
    "message_box.html",
    "logs/entry_base.html",
    "users/base.html",
}


@pytest.mark.parametrize(
    ("folder", "kind", "options"),
    [("tpl-pip-indico", Indico, {"macro": "get_body"}), ("tpl-sendwithus", FileSources, {})],
)
def test_other_peoples_templates_render_with_made_up_data(folder, kind, options):
    root = CORPORA / folder
    if not root.is_dir():
        pytest.skip("no corpora")
    sources = kind([root])
    engine = Jinja(Host(filters=("*",), options=options))
    paths = sorted(path for path in root.rglob("*") if path.suffix in {".html", ".txt"} and "_LICENCE" not in path.parts)
    failed, rendered = [], 0
    for path in paths:
        source = sources.open(path, path.name)
        try:
            found = engine.variables(source, sources)
            data: dict[str, Any] = as_objects(found, made_up(found).data)
            made = engine.render(source, data, sources, html=path.suffix == ".html")
        except TemplateFault as error:
            if not any(f"template {name} is not found" == error.message for name in LACKING):
                failed.append((path.name, error.message))
            continue
        rendered += 1
        assert "".join(made.text[p.start : p.end] for p in made.pieces) == made.text, "everything came from somewhere"
        assert all(piece.exact for piece in made.pieces)
        for piece in made.pieces:
            if piece.copied:
                assert made.text[piece.start : piece.end] == made.sources[piece.file].text[piece.at : piece.until]
    assert len(failed) <= 0.05 * (len(failed) + rendered), failed
