"""Where rendered text came from: planted faults, and templates that nobody wrote, compared with plain Jinja2."""

import re
from dataclasses import dataclass, field

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.templates.engines.jinja import Jinja
from delivcheck.templates.model import Host, Rendered, Source, TemplateFault, TemplateMissing


@dataclass
class Texts:
    """Templates by name, as `model.Sources`."""

    sources: dict[str, Source] = field(default_factory=dict)

    @staticmethod
    def of(texts: dict[str, str]) -> "Texts":
        return Texts({name: Source(name, text) for name, text in texts.items()})

    def find(self, name, asked_by=None, suffixes=("",)):
        if name not in self.sources:
            raise TemplateMissing(f"template {name} is not found")
        return self.sources[name]


def render(texts, data=None, *, html=True, **options) -> Rendered:
    sources = Texts.of(texts)
    return Jinja(Host(options=options)).render(sources.sources["main"], data or {}, sources, html=html)


# --- planted faults ----------------------------------------------------------------------------------------------

# What is planted is written §…§ in the template, by itself or inside code that prints it; the marks are taken out, and what
# stands between them must lead back to just where it stood.
PLANTED = {
    "in plain text": {"main": "one\ntwo §FAULT§ three"},
    "after non-ASCII": {"main": "Grüße 🎉 an €\n  日本 §FAULT§"},
    "in a file with CRLF": {"main": "one\r\ntwo\r\n  three §FAULT§\r\nfour"},
    "over a CRLF": {"main": "one\r\ntwo §FAU§\r\n§LT§ four"},
    "in a file with lone CR": {"main": "one\rtwo\r§FAULT§"},
    "after a comment": {"main": "a {# note\n note #} b §FAULT§"},
    "after a comment that strips": {"main": "a \n{#- note -#}\n\n b §FAULT§"},
    "after an output": {"main": "Dear {{ name }},\n §FAULT§"},
    "after a value that looks like the template": {"main": "{{ hostile }} §FAULT§"},
    "in a condition": {"main": "{% if yes %}\n §FAULT§ {% endif %}"},
    "in an else": {"main": "{% if not yes %}no{% elif no %}no{% else %}\n §FAULT§ {% endif %}"},
    "in a loop": {"main": "{% for i in three %}{{ i }}\n<b>§FAULT§</b>\n{% endfor %}"},
    "in a loop in a loop": {"main": "{% for i in three %}{% for j in three %}\n{{ i }}§FAULT§{% endfor %}{% endfor %}"},
    "in a loop's else": {"main": "{% for i in nobody %}x{% else %}\n  §FAULT§{% endfor %}"},
    "in a recursive loop": {"main": "{% for i in tree recursive %}<{{ i.n }}\n§FAULT§{{ loop(i.below) }}>{% endfor %}"},
    "with white space control": {"main": "a  {%- if yes -%}  \n\n  §FAULT§  \n {%- endif -%}  b"},
    "in an included file": {"main": "a{% include 'part' %}b", "part": "\n\n  §FAULT§"},
    "in a file that an included file includes": {"main": "a{% include 'x' %}", "x": "{% include 'part' %}", "part": "\n §FAULT§"},
    "in a file that is included without context": {"main": "{% include 'part' without context %}", "part": "\n §FAULT§"},
    "in a parent's text": {"main": "{% extends 'base' %}{% block a %}x{% endblock %}", "base": "one\n§FAULT§{% block a %}{% endblock %}"},
    "in a block that overrides": {"main": "{% extends 'base' %}\n{% block a %}\n §FAULT§{% endblock %}", "base": "{% block a %}{% endblock %}"},
    "in a block that is not overridden": {"main": "{% extends 'base' %}", "base": "x{% block a %}\n §FAULT§{% endblock %}"},
    "in what super() prints": {
        "main": "{% extends 'base' %}{% block a %}[{{ super() }}]{% endblock %}",
        "base": "x{% block a %}\n §FAULT§ {{ name }}{% endblock %}",
    },
    "in what super.super() prints": {
        "main": "{% extends 'mid' %}{% block a %}[{{ super.super() }}]{% endblock %}",
        "mid": "{% extends 'base' %}{% block a %}mid{% endblock %}",
        "base": "x{% block a %}\n §FAULT§ {{ name }}{% endblock %}",
    },
    "in a block that is called by name": {"main": "{{ self.a() }}{% block a %}\n §FAULT§{% endblock %}"},
    "in a macro": {"main": "{% macro f(x) %}<{{ x }}\n §FAULT§>{% endmacro %}\n{{ f(1) }}{{ f(name) }}"},
    "in an imported macro": {"main": "{% from 'm' import f as g %}\n{{ g(1) }}", "m": "{% macro f(x) %}<{{ x }}\n §FAULT§>{% endmacro %}"},
    "in a module's macro, imported with context": {
        "main": "{% import 'm' as m with context %}\n{{ m.f(1) }}",
        "m": "{% macro f(x) %}<{{ name }}\n §FAULT§>{% endmacro %}",
    },
    "in the body of a call": {"main": "{% macro f() %}<{{ caller(1) }}>{% endmacro %}\n{% call(x) f() %}{{ x }}\n §FAULT§{% endcall %}"},
    "in captured text": {"main": "{% set t %}a <b>\n §FAULT§ {{ name }}{% endset %}\n{{ t }}"},
    "in captured text that is trimmed": {"main": "{% set t %}   \n §FAULT§ {{ name }} {% endset %}\n{{ t|trim }}"},
    "in captured text with filters of its own": {"main": "{% set t | upper %}a \n §FAULT§ {{ name }}{% endset %}\n{{ t }}"},
    "in captured text that is put together": {"main": "{% set t %}\n §FAULT§{% endset %}\n{{ 'x' ~ t ~ name }}{{ t + t }}"},
    "in captured text that is joined": {"main": "{% set t %}\n §FAULT§{% endset %}\n{{ ['x', t, name]|join(', ') }}"},
    "in captured text that is wrapped": {"main": "{% set t %}some words and\n  §FAULT§ in it{% endset %}\n{{ t|wordwrap(8) }}"},
    "in captured text in which something is replaced": {"main": "{% set t %}a-b-\n §FAULT§ -{% endset %}\n{{ t|replace('-', ' + ') }}"},
    "in captured text that is cut": {"main": "{% set t %}a b\n §FAULT§ c{% endset %}\n{{ t[2:] }}{{ t[:-1].strip() }}"},
    "in captured text that is escaped": {"main": "{% autoescape false %}{% set t %}<b>\n §FAULT§ &{% endset %}{{ t|e }}{% endautoescape %}"},
    "in a macro's text that is a namespace's": {"main": "{% set n = namespace() %}{% set n.t %}x\n §FAULT§{% endset %}{{ n.t }}"},
    "in a filtered stretch": {"main": "{% filter upper %}a\n §FAULT§ {{ name }}{% endfilter %}"},
    "in an indented stretch": {"main": "{% filter indent(4, true) %}a\n §FAULT§\n\n b{% endfilter %}"},
    "in a stretch that is filtered twice": {"main": "{% filter trim|indent|replace('x', 'yy') %}\n x \n §FAULT§x{% endfilter %}"},
    "in a message": {"main": "{% trans %}\n  hello §FAULT§ 100%{% endtrans %}"},
    "in a message after a placeholder": {"main": "{% trans n=name|upper %}\n {{ n }} {{ name }} §FAULT§{% endtrans %}"},
    "in a trimmed message": {"main": "{% trans trimmed n=name %}\n  one\n   {{ n }}\n   §FAULT§ two \n\n{% endtrans %}"},
    "in a plural": {"main": "{% trans n=three|length %}one{% pluralize %}\n {{ n }} §FAULT§{% endtrans %}"},
    "in a raw stretch": {"main": "{% raw -%}  {{ no }} {% no %}\n §FAULT§{% endraw %}"},
    "in with": {"main": "{% with a=name %}{{ a }}\n §FAULT§{% endwith %}"},
    "in a stretch without escaping": {"main": "{% autoescape false %}<i>{{ hostile }}\n §FAULT§{% endautoescape %}"},
    "in a stretch whose escaping is data": {"main": "{% autoescape yes %}<i>{{ hostile }}\n §FAULT§{% endautoescape %}"},
    "in the value of an output": {"main": "a\n é §{{ 'FAULT' }}§"},
    "in the value of an output with CRLF": {"main": "a\r\n é §{{ fault\r\n}}§"},
    "in the value of an output in a loop": {"main": "{% for i in three %}\n §{{- fault -}}§ {% endfor %}"},
    "in the value of an output in a macro": {"main": "{% macro f(x) %}\n §{{ x }}§{% endmacro %} {{ f(fault) }}"},
    "in the value of an output in captured text": {"main": "{% set t %}\n §{{ fault }}§{% endset %}{{ t|trim }}"},
    "in the value of a placeholder": {"main": "{% trans x=fault %}\n a §{{ x }}§{% endtrans %}"},
    "in the value of an output after a dictionary": {"main": "{{ {'a': '}}'}['a'] }}\n §{{ {'x': {'y': fault}}['x']['y'] }}§"},
}  # fmt: skip

DATA = {
    "name": "Ada & Co",
    "fault": "FAULT",
    "hostile": "{{ x }} <§> \ue000\ue001\x00 one\ntwo three {% raw %}",
    "yes": True,
    "no": False,
    "nobody": [],
    "three": [1, 2, 3],
    "tree": [{"n": 1, "below": [{"n": 2, "below": []}]}],
}


def unmarked(texts):
    """The templates without marks, and the stretches that were marked: file, start, end."""
    plain, planted = {}, []
    for name, text in texts.items():
        parts = text.split("§")
        at = 0
        for number, part in enumerate(parts):
            if number % 2:
                planted.append((name, at, at + len(part)))
            at += len(part)
        plain[name] = "".join(parts)
    return plain, planted


@pytest.mark.parametrize("html", [True, False])
@pytest.mark.parametrize("texts", PLANTED.values(), ids=PLANTED)
def test_what_was_planted_leads_back_to_its_very_place(texts, html):
    plain, planted = unmarked(texts)
    made = render(plain, DATA, html=html)
    found = list(re.finditer("FAULT" if "FAU§\r" not in texts["main"] else "FAU|LT", made.text, re.IGNORECASE))
    assert len(found) >= len(planted)
    places = set()
    for one in found:
        piece, has = made.piece(one.start())
        assert has, "it came from somewhere"
        assert piece.exact, "the place is known for sure"
        assert piece.end >= one.end(), "all of it is of one place"
        if piece.copied:
            places.add((piece.file, piece.at + one.start() - piece.start, piece.at + one.end() - piece.start))
        else:
            places.add((piece.file, piece.at, piece.until))
        where = made.where(one.start(), one.end())
        source = made.sources[where.file]
        assert not where.approximate
        assert where in [source.where(start, end) for name, start, end in planted if name == where.file]
    assert places == set(planted)


SETTINGS = {
    "trim_blocks": {"main": "{% if yes %}\n  §FAULT§\n{% endif %}\n §FAULT§"},
    "lstrip_blocks": {"main": "   {% if yes %}\n  §FAULT§\n   {% endif %}\n §FAULT§"},
    "keep_trailing_newline": {"main": "a\n §FAULT§\n"},
}


@pytest.mark.parametrize(("option", "texts"), SETTINGS.items(), ids=SETTINGS)
def test_settings_of_white_space_move_no_place(option, texts):
    plain, planted = unmarked(texts)
    made = render(plain, DATA, **{option: True})
    places = [made.piece(one.start()) for one in re.finditer("FAULT", made.text)]
    assert [
        (p.file, p.at + one.start() - p.start) for (p, _), one in zip(places, re.finditer("FAULT", made.text), strict=True)
    ] == [(name, start) for name, start, _ in planted]


def test_delimiters_and_line_statements_of_the_program_are_known():
    main = "# if yes\n  <FAULT> <= fault =>\n# endif\n<# note #>x ## a comment\n FAULT"
    made = render(
        {"main": main},
        DATA,
        variable_start_string="<=",
        variable_end_string="=>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
        line_statement_prefix="#",
        line_comment_prefix="##",
    )
    found = [made.piece(one.start())[0] for one in re.finditer("FAULT", made.text)]
    assert [main[piece.at : piece.until].strip() for piece in found] == ["<FAULT>", "<= fault =>", "FAULT"]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("own", ["\n", "\r\n", "\r"])
def test_each_line_has_its_place_whatever_line_ends_the_file_and_the_program_have(newline, own):
    main = own.join(["one", "two {{ x }}", "", "three"])
    made = render({"main": main}, {"x": 1}, newline_sequence=newline)
    assert made.text == newline.join(["one", "two 1", "", "three"])
    for word in ("one", "two", "three"):
        piece, has = made.piece(made.text.index(word))
        assert has
        assert piece.exact
        assert piece.at + made.text.index(word) - piece.start == main.index(word)
    assert "".join(made.text[p.start : p.end] for p in made.pieces) == made.text


def test_a_file_with_very_many_lines_has_no_place_for_each_and_does_not_say_so():
    main = "a\r\n" * 100_001
    made = render({"main": main})
    assert made.text == "a\n" * 100_000 + "a"
    assert [(piece.copied, piece.exact) for piece in made.pieces] == [(False, False)]


# --- what is done with captured text -----------------------------------------------------------------------------

PLAIN = "{% set n = namespace() %}{% autoescape false %}{% set n.t %}a <b> {{ name }}\n& b{% endset %}{% endautoescape %}{% set t = n.t %}"
SAFE = "{% set t %}a <b> {{ name }}\n& b{% endset %}"
DONE_WITH_TEXT = """
['<', t]|join('-') ; ['<', 1]|join(t) ; [t, 1]|join('<'|safe) ; [[t], [name]]|join(attribute=0) ; t|replace('a', '<i>')
t|replace('a'|safe, '<z>') ; t|replace('a', '<'|safe) ; t|replace('b', '', 1) ; '<' + t ; t + '<' ; '<'|safe + t ; t + '<'|safe ; t + t
t[0] ; t[-1] ; t[99:] ; t[5:2] ; t[::-1] ; t|forceescape ; t|e ; t|e|e ; t|safe|e ; t.replace('', '-') ; t.replace('a', '<') ; [t] ; {'a': t}
t.join(['<', '>']) ; '<'.join([t, t]) ; t.escape('<') ; t.upper() ; t|upper|lower ; t|title ; t|capitalize ; t.splitlines() ; t.split()
t|wordwrap(4) ; t|wordwrap(4, false) ; t|wordwrap(9, true, '<br>') ; t|indent ; t|indent('<', true) ; t|indent(2, false, true) ; t|trim('ab ')
t|striptags ; t|truncate(5, true, '') ; t|center(40) ; t|string ; t|list ; t|first ; t|last ; t|length ; t|urlencode ; t|tojson ; t|pprint
t == 'x' ; t ~ 1 ; 1 ~ t ~ name ; t in 'abc' ; 'a' in t ; t|format(1) ; '%s|%s'|format(t, name) ; '{}{}'.format(t, name) ; t.format() ; t * 2
t.strip() ; t.lstrip('a') ; t.rstrip() ; t.partition('<') ; t.find('b') ; t.removeprefix('a') ; t.center(50, '<') ; t|default('x') ; t|reverse|first
t.encode()|length ; t|filesizeformat if false else t ; [t, 'A']|sort|join ; [t, t]|unique|join ; t is string ; t is escaped ; loop is defined
[0][1] ; t[99] ; t.nope ; t.pieces ; t['cut'] ; t['upper']() ; t.nope.x ; t['nope'].x ; t / 2 ; t - 1 ; t|xmlattr if false else t ; {'a': t}|xmlattr ; t|int ; t|batch(3)|list ; t|groupby(0)|list|length ; t|urlize
""".replace("\n", " ; ").split(" ; ")  # fmt: skip


@pytest.mark.parametrize(
    ("captured", "html"), [(PLAIN, True), (SAFE, True), (SAFE, False)], ids=["text in html", "markup in html", "text in text"]
)
@pytest.mark.parametrize("expression", [one for one in DONE_WITH_TEXT if one])
def test_what_is_done_with_captured_text_comes_out_as_in_jinja2(expression, captured, html):
    main = f"{captured}{{{{ {expression} }}}}{{{{ t|length }}}}"
    try:
        expected = by_plain_jinja2({"main": main}, {}, html)
    except Exception as error:  # noqa: BLE001 -- whatever it raises
        with pytest.raises(TemplateFault) as raised:
            render({"main": main}, VALUES, html=html)
        assert str(error).rstrip(".")[:20] in raised.value.message
        return
    made = render({"main": main}, VALUES, html=html)
    assert made.text == expected
    assert "".join(made.text[p.start : p.end] for p in made.pieces) == expected
    for piece in made.pieces:
        if piece.copied and piece.exact:
            assert made.text[piece.start : piece.end].casefold() == main[piece.at : piece.until].casefold()


# --- templates that nobody wrote ---------------------------------------------------------------------------------

ROOM = st.sampled_from(["", " ", "  ", "\n", " \n  ", "\n\n", "\t", "é ", "<b>", "&", "'"])
SIGN = st.sampled_from(["", "", "-", "+"])
EXPRESSIONS = st.sampled_from(
    ["name", "rich|safe", "rich", "three", "three|join('-')", "loop_like.a", "missing", "name|upper", "'lit'", "name ~ rich", "t", "t|trim", "t|upper", "t|length", "t|indent", "t|replace('a', '<')", "t|wordwrap(5)", "t ~ name", "t|e", "t|forceescape", "t|striptags", "t[1:4]", "t|truncate(9)", "t|title", "t|center(30)", "t|safe", "[t, name]|join(t)", "t.strip()", "t.split()|join(' ')", "t|string|lower", "t.replace('a', name)", "'%s!'|format(t)", "t % 1 if false else t", "f(t)", "f(name, 2)", "t.upper()", "t|first", "t + name", "name + t", "t|urlencode", "t|reverse", "t.splitlines()|last|default(1)", "t|list|length", "t == ''", "[t]", "t * 2", "t|indent(2, true, true)", "_('x %(y)s', y=name)", "gettext('plain')", "ngettext('one', 'two', 2)", "[name, t]|map('upper')|join", "'a'.join([t, 'x'])"]
)  # fmt: skip


@st.composite
def bodies(draw, depth=0, counter=None):
    """A stretch of template; every piece of its text has a number of its own."""
    counter = counter if counter is not None else [0]
    made = []
    for _ in range(draw(st.integers(0 if depth else 1, 4 if depth < 2 else 2))):
        counter[0] += 1
        word = f"{draw(ROOM)}w{counter[0]}w{draw(ROOM)}"
        a, b, c, d = (draw(SIGN) for _ in range(4))
        kinds = ["word", "word", "output", "comment", "raw", "trans"]
        kind = draw(
            st.sampled_from(kinds if depth > 2 else [*kinds, "if", "for", "set", "filter", "call", "include", "with", "auto"])
        )

        def inner():
            return draw(bodies(depth + 1, counter))

        if kind == "word":
            made.append(word)
        elif kind == "output":
            made.append(f"{{{{{a if a == '-' else ''} {draw(EXPRESSIONS)} {b if b == '-' else ''}}}}}")
        elif kind == "comment":
            made.append(f"{{#{a}{word}{b}#}}")
        elif kind == "raw":
            made.append(f"{{%{a} raw {b if b == '-' else ''}%}}{word}{{{{ no }}}}{{%{c} endraw {d}%}}")
        elif kind == "trans":
            what = draw(st.sampled_from(["", "trimmed", "x=name", "trimmed x=t, y=three", "x=three|length"]))
            plural = "{% pluralize %}" + word + "{{ x }}" if "x=" in what and draw(st.booleans()) else ""
            use = "{{ x }}" if "x=" in what else "{{ name }}" if draw(st.booleans()) else ""
            made.append(f"{{%{a} trans {what} {b}%}}{word}{use}{draw(ROOM)}{plural}{{%{c} endtrans {d}%}}")
        elif kind == "if":
            made.append(
                f"{{%{a} if {draw(st.sampled_from(['name', 'missing', 't']))} {b}%}}{inner()}{{%{c} else {d}%}}{inner()}{{% endif %}}"
            )
        elif kind == "for":
            made.append(f"{{%{a} for i in three {b}%}}{inner()}{{{{ loop.index }}}}{{%{c} endfor {d}%}}")
        elif kind == "set":
            made.append(f"{{%{a} set t {b}%}}{inner()}{{%{c} endset {d}%}}")
        elif kind == "filter":
            name = draw(
                st.sampled_from(
                    ["upper", "trim", "indent", "replace('w', 'v')", "wordwrap(7)", "striptags", "e", "trim|indent(2, true)"]
                )
            )
            made.append(f"{{%{a} filter {name} {b}%}}{inner()}{{%{c} endfilter {d}%}}")
        elif kind == "call":
            made.append(f"{{%{a} call g() {b}%}}{inner()}{{%{c} endcall {d}%}}")
        elif kind == "include":
            made.append(f"{{%{a} include '{draw(st.sampled_from(['part', 'loose']))}' {b}%}}")
        elif kind == "with":
            made.append(f"{{%{a} with name = t {b}%}}{inner()}{{%{c} endwith {d}%}}")
        else:
            made.append(
                f"{{%{a} autoescape {draw(st.sampled_from(['true', 'false', 'yes']))} {b}%}}{inner()}{{%{c} endautoescape {d}%}}"
            )
    return "".join(made)


@st.composite
def families(draw):
    counter = [0]
    body = lambda: draw(bodies(1, counter))  # noqa: E731
    macros = (
        "{% macro f(x, y=1) %}" + draw(bodies(2, counter)).replace("call g", "call h") + "<i>{{ x }}</i>{% endmacro %}"
        "{% macro g() %}[{{ caller() }}|{{ caller()|trim }}]{% endmacro %}{% macro h() %}{{ caller() }}{% endmacro %}"
    ).replace("f(t)", "t").replace("f(name, 2)", "name").replace("'part'", "'loose'")  # fmt: skip
    names = "{% from 'macros' import f, g, h with context %}{% set t = 'pre <x>' %}"
    texts = {
        "macros": macros,
        "loose": "<w900w {{ name }}\n>",
        "part": names + body().replace("'part'", "'loose'"),
        "base": names
        + body()
        + "{% block a %}"
        + names
        + body()
        + "{% endblock %}"
        + body()
        + "{% block b scoped %}w901w{% endblock %}",
        "main": "{% extends 'base' %}{% block a %}" + names + "{{ super() }}" + body() + "{{ super()|trim }}{% endblock %}",
    }
    if draw(st.booleans()):
        texts = {name: text.replace("\n", "\r\n") for name, text in texts.items()}
    options = {name: draw(st.booleans()) for name in ("trim_blocks", "lstrip_blocks", "keep_trailing_newline")}
    return texts, options, draw(st.booleans())


VALUES = {"name": "Ada <&>", "rich": "<b>bold</b>", "three": [1, "<2>", 3], "loop_like": {"a": 1}, "yes": True}


_ADDRESS = re.compile(r" at 0x[0-9a-f]+")  # `{{ missing|reverse }}` prints an object of Python's, another one each time


def by_plain_jinja2(texts, options, html):
    environment = jinja2.Environment(
        autoescape=html,
        loader=jinja2.DictLoader(texts),
        extensions=["jinja2.ext.i18n", "jinja2.ext.do", "jinja2.ext.loopcontrols"],
        **options,
    )
    environment.install_null_translations()
    environment.globals["gettext"] = lambda text, **variables: text % variables if variables else text
    return environment.get_template("main").render(VALUES)


@given(families())
def test_the_text_is_what_jinja2_writes_and_every_piece_is_where_it_says(family):
    texts, options, html = family
    try:
        expected = by_plain_jinja2(texts, options, html)
    except Exception as error:  # noqa: BLE001 -- whatever it raises
        with pytest.raises(TemplateFault):
            render(texts, VALUES, html=html, **options)
        assert not isinstance(error, jinja2.TemplateSyntaxError), texts
        return
    made = render(texts, VALUES, html=html, **options)
    assert _ADDRESS.sub("", made.text) == _ADDRESS.sub("", expected)
    done = 0
    for piece in made.pieces:
        assert done <= piece.start < piece.end, "in order, none over another, none empty"
        done = piece.end
        rendered, source = made.text[piece.start : piece.end], made.sources[piece.file].text[piece.at : piece.until]
        if piece.copied and piece.exact:
            assert rendered.casefold() == source.casefold()
        elif piece.exact:
            assert re.fullmatch(r"\{[{%].*[%}]\}|[\s<>&'\"]+", source, re.DOTALL), source
    for word in re.finditer(r"w\d+w", made.text):
        piece, has = made.piece(word.start())
        if has and piece.copied:
            whole = made.sources[piece.file].text
            number = piece.at + word.start() - piece.start
            assert not piece.exact or whole.startswith(word[0], number)
