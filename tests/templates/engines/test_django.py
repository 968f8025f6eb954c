"""Django's templates are rendered as Django does, and each stretch of the text is led back to its source."""

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from delivcheck.templates.data.made_up import as_objects, made_up
from delivcheck.templates.model import Host, Source, TemplateFault, Use
from delivcheck.templates.sources import FileSources

pytest.importorskip("django")

from django.template import Context
from django.template.engine import Engine

from delivcheck.templates.engines.django import language, make, reads, trace
from delivcheck.templates.engines.django.language import LIBRARIES
from delivcheck.templates.engines.django.room import room

CORPUS = Path(__file__).parents[4] / "shared/corpora/tpl-pip-django-allauth/allauth/templates"


class Texts:
    """Templates by name."""

    def __init__(self, texts):
        self.sources = {name: Source(name, text) for name, text in texts.items()}
        self.asked = []

    def find(self, name, asked_by=None, suffixes=("",)):
        self.asked.append((name, asked_by.name if asked_by else None))
        if name.removeprefix("./") not in self.sources:
            raise TemplateFault(f"template {name} is not found")
        return self.sources[name.removeprefix("./")]


def render(text, data=None, *, html=True, host=None, **others):
    sources = Texts({"main": text, **others})
    return make("django", host or Host()).render(sources.sources["main"], data or {}, sources, html=html)


def variables(text, *, host=None, **others):
    sources = Texts({"main": text, **others})
    return make("django", host or Host()).variables(sources.sources["main"], sources)


def fault(text, data=None, **rest):
    with pytest.raises(TemplateFault) as caught:
        render(text, data, **rest)
    assert "\n" not in caught.value.message
    assert not caught.value.message.endswith(".")
    return caught.value


def pieces(rendered):
    """What each piece is, and what it came from."""
    return [
        (rendered.text[one.start : one.end], rendered.sources[one.file].text[one.at : one.until], one.copied, one.exact)
        for one in rendered.pieces
    ]


def check(rendered):
    """Pieces are in order, none is empty or over another, and copied ones equal the source."""
    at = 0
    for one in rendered.pieces:
        assert at <= one.start < one.end <= len(rendered.text)
        source = rendered.sources[one.file].text
        assert 0 <= one.at < one.until <= len(source)
        if one.copied:
            assert rendered.text[one.start : one.end] == source[one.at : one.until]
        at = one.end


# --- positions ---------------------------------------------------------------------------------------------------

BASE = (
    "{# the parent #}\r\n"
    "<html lang='de'>é FAULT01\r\n"
    "{% load i18n %}{% block head %}parent's FAULT02 {{ v01 }}{% endblock %}\r\n"
    "{% spaceless %}\r\n <table>\r\n  <tr>  <td>ÜÜ FAULT03 {{ v02 }}</td>\r\n </tr></table> FAULT04 \r\n{% endspaceless %}\r\n"
    "{% block body %}{% endblock %}{% include 'part' with inner=v03 only %} {% include './part' %}FAULT05 {{ v04 }}\r\n"
)
MAIN = (
    "{% extends 'base' %}{% load i18n %} never shown\n"
    "{% block head %}日本 FAULT06{{ block.super }}{{ v05 }} FAULT07{% endblock %}\n"
    "{% block body %}\n"
    "{% for item in items %}\n"
    "  é {{ item.v06 }} {% if item.v06 %}FAULT08{% else %}FAULT09 {{ v07 }}{% endif %}\n"
    "{% empty %}none{% endfor %}\n"
    "{% with a=v08 b=v09|upper %}{{ a }}FAULT10{{ b }}{% endwith %}\n"
    "{% autoescape off %}{{ v10 }}<b>FAULT11</b>{% endautoescape %}\n"
    "{% blocktranslate with name=v11 trimmed %}\n"
    "   Grüße {{ name }},\n"
    "   FAULT12 100% sure {{ name }}\n"
    "   FAULT13\n"
    "{% endblocktranslate %}\n"
    "{% blocktrans count n=items|length %}one FAULT14 {{ n }}{% plural %}many {{ n }}\r\n é FAULT15{% endblocktrans %}\n"
    "{% trans 'ü FAULT16' %} {% verbatim %}{{ no }} FAULT17{% endverbatim %}\n"
    "{% filter lower %}<i>{{ v12 }}</i> fault18 {{ v13 }}{% endfilter %}\n"
    "{% ifchanged v12 %}FAULT19{% endifchanged %}{% cycle 'a' v14 %}{% firstof nothing v15 %}\n"
    "{% for x in pairs %}{% ifchanged %}{{ x.v16 }}{% endifchanged %}{% endfor %}\n"
    "{% language 'de' %}{% cache 5 k %}FAULT20{% endcache %}{% endlanguage %}{% now 'Y' %}\n"
    "{% endblock %}"
)
MAIN = MAIN.replace("{% load i18n %}", "{% load i18n cache %}", 1)
PART = "{% comment %} FAULT21 {% endcomment %}part é\n\n FAULT22 {{ inner }}{{ v03 }}{% if deep %}{% include 'part' with deep=0 %}{% endif %}\n"
VALUES = {f"v{number:02}": f"value{number:02}<&é" for number in range(1, 17)}
DATA = {
    **VALUES,
    "items": [{"v06": VALUES["v06"]}, {"v06": ""}],
    "pairs": [{"v16": VALUES["v16"]}, {"v16": VALUES["v16"]}],
    "deep": 1,
}
SHOWN = [*(f"FAULT{number:02}" for number in (*range(1, 14), 15, 16, 17, 19, 20, 22)), "fault18"]


@pytest.fixture(scope="module")
def planted():
    return render(MAIN, DATA, base=BASE, part=PART)


@pytest.mark.parametrize("fault", SHOWN)
def test_a_planted_text_is_found_where_it_was_planted(planted, fault):
    (source,) = (one for one in planted.sources.values() if fault in one.text)
    at, want = -1, source.where(source.text.index(fault), source.text.index(fault) + len(fault))
    for _ in range(planted.text.count(fault)):
        at = planted.text.index(fault, at + 1)
        assert planted.where(at, at + len(fault)) == want
        assert not want.approximate
    assert at >= 0


# v03 is printed under the name that `include` gives it, and under its own; v08, v09 and v11 under other names only.
PRINTED = {
    **{name: ("{{ " + name + " }}",) for name in ("v01", "v02", "v04", "v05", "v07", "v10", "v12", "v13")},
    "v03": ("{{ inner }}", "{{ v03 }}"),
    "v06": ("{{ item.v06 }}",),
    "v08": ("{{ a }}",),
    "v09": ("{{ b }}",),
    "v11": ("{{ name }}",),
    "v15": ("{% firstof nothing v15 %}",),
    "v16": ("{{ x.v16 }}",),
}


@pytest.mark.parametrize("name", sorted(PRINTED))
def test_a_value_is_found_where_it_is_printed(planted, name):
    seen = [one for one in planted.pieces if f"value{name[1:]}" in planted.text[one.start : one.end].lower()]
    assert seen
    for piece in seen:
        assert piece.exact
        assert not piece.copied
        assert planted.sources[piece.file].text[piece.at : piece.until] in PRINTED[name]


def test_all_pieces_of_the_planted_template_are_exact(planted):
    check(planted)
    assert all(one.exact for one in planted.pieces)
    assert planted.text.count("part é") == 3
    for hidden in ("FAULT14", "FAULT21", "never shown"):
        assert hidden not in planted.text
    covered = sum(one.end - one.start for one in planted.pieces)
    assert covered == len(planted.text)


def test_the_text_is_what_plain_django_makes(planted):
    assert planted.text == plain(MAIN, DATA, base=BASE, part=PART)


def plain(text, data, *, autoescape=True, **others):
    """Django's own rendering, from memory."""
    texts = {"main": text, **others}
    for name, one in texts.items():  # Django's tag would write to a cache, and waits for one
        texts[name] = one.replace("{% cache 5 k %}", "").replace("{% endcache %}", "")
    with room():
        engine = Engine(
            libraries=dict(LIBRARIES), loaders=[("django.template.loaders.locmem.Loader", texts)], autoescape=autoescape
        )
        return engine.get_template("main").render(Context(data, autoescape=autoescape))


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("{% filter upper %}abc {{ x }} 12{% endfilter %}", [("ABC", "abc", False, True), (" ", " ", True, True), ("<A&B>", "{{ x }}", False, True), (" 12", " 12", True, True)]),
        ("{% filter force_escape %}some <b> text{% endfilter %}", [
            ("some", "some", True, False), (" &lt;b&gt; ", "{% filter force_escape %}", False, False), ("text", "text", True, False)]),
        ("{% filter cut:'abcde' %}abcde{% endfilter %}", []),
        ("{% filter default:'abcd' %}{% endfilter %}", [("abcd", "{% filter default:'abcd' %}", False, True)]),
        ("{% filter wordcount|stringformat:'s' %}a b c{% endfilter %}", [("3", "{% filter wordcount|stringformat:'s' %}", False, True)]),
        ("{% filter linebreaksbr %}line one\nline two{% endfilter %}", [
            ("line", "line", True, False), (" ", "{% filter linebreaksbr %}", False, False)]),
        ("{% filter json %}{% endfilter %}x", [("x", "x", True, True)]),
        ("{% load i18n %}{% trans 'a a' %}{% trans 'a' %}{% trans x %}", [
            ("a a", "a a", True, True), ("a", "{% trans 'a' %}", False, True), ("<A&B>", "{% trans x %}", False, True)]),
        ("{% load i18n %}{% blocktrans asvar y %}text{% endblocktrans %}{{ y }}", [("text", "{{ y }}", False, True)]),
        ("{% load i18n %}{% blocktrans %}{% endblocktrans %}{% blocktrans %}{{ nothing }}{% endblocktrans %}", []),
        ("{% load i18n %}{% blocktrans trimmed %} \n {% endblocktrans %}{% blocktrans with z=x %}a\r\rb{{ z }}{% endblocktrans %}", [
            ("a", "a", True, True), ("\n", "\r", False, True), ("\n", "\r", False, True), ("b", "b", True, True), ("<A&B>", "{{ z }}", False, True)]),
        ("{% load i18n %}{% blocktrans count n=2 %}same {{ n }}{% plural %}same {{ n }}{% endblocktrans %}", [
            ("same ", "same ", True, True), ("2", "{{ n }}", False, True)]),
        ("{% load i18n %}{% blocktrans context 'c' count n=1 %}a{% plural %}b{% endblocktrans %}", [("a", "a", True, True)]),
        ("{% for i in 'aab' %}{% ifchanged %}{{ i }}{% else %}={% endifchanged %}{% endfor %}", [
            ("a", "{{ i }}", False, True), ("=", "=", True, True), ("b", "{{ i }}", False, True)]),
        ("{% spaceless %} {% endspaceless %}{% templatetag openblock %}", [("{%", "{% templatetag openblock %}", False, True)]),
        ("{% spaceless %}{{ s }} <b>{% endspaceless %}", [("<a>", "{{ s }}", False, True), ("<b>", "<b>", True, True)]),
        ("{% regroup l by k as g %}{% widthratio 1 2 100 %}{% lorem 2 w %}", [
            ("50", "{% widthratio 1 2 100 %}", False, True), ("lorem ipsum", "{% lorem 2 w %}", False, True)]),
    ],
)  # fmt: skip
def test_a_tag_that_changes_what_is_in_it(text, want):
    host = Host(filters=("json",))
    rendered = render(text, {"x": "<A&B>", "s": "<a> "}, html=False, host=host)
    check(rendered)
    assert pieces(rendered)[: len(want)] == want
    assert bool(pieces(rendered)) == bool(want)


def test_ifchanged_with_nothing_before_it_renders_twice():
    # Django renders the contents again where they came to nothing: what they printed first is not in the text
    rendered = render("{% ifchanged %}{% cycle '' 'second' %}{% endifchanged %}")
    assert pieces(rendered) == [("second", "{% cycle '' 'second' %}", False, True)]


def test_the_same_spelling_in_data_does_not_lead_astray():
    text = "{% load i18n %}{% blocktranslate with a=x %}Dear {{ a }}, you{% endblocktranslate %}|{% spaceless %}<p>{{ x }}</p> <i>{% endspaceless %}"
    hostile = "Dear , you %(a)s {{ a }} \0\ue000> <"
    rendered = render(text, {"x": hostile}, html=False)
    assert all(one.exact for one in rendered.pieces)
    at = rendered.text.rindex("<i>")
    assert rendered.where(at, at + 3) == rendered.sources["main"].where(text.index("<i>"), text.index("<i>") + 3)
    check(rendered)


# --- against plain Django ----------------------------------------------------------------------------------------

_LEAVES = st.sampled_from([
    "plain text\n", "  <p> \r\n <b>", "é日", "{{ x }}", "{{ y|default:'none'|upper }}", "{{ n.m }}", "{# no #}", "{{ items|join:', ' }}",
    "{% include 'part' %}", "{% include 'part' with x=n.m only %}", "{% trans 'Hi' %}", "{% cycle 'a' x %}", "{% firstof z x %}",
    "{% verbatim %}{{ x }}{% endverbatim %}", "{% blocktrans with a=x trimmed %} \n a {{ a }}\n b 5% {% endblocktrans %}",
    "{% blocktranslate count n=items|length %}{{ n }} one\r\n{% plural %}many {{ n }}{% endblocktranslate %}", "100% %(x)s { ", " %}",
])  # fmt: skip
_AROUND = st.sampled_from([
    ("{% for i in items %}", "{{ i }}{% empty %}-{% endfor %}"), ("{% if x %}", "{% else %}no{% endif %}"), ("{% with x=y %}", "{% endwith %}"),
    ("{% spaceless %}", "{% endspaceless %}"), ("{% filter upper %}", "{% endfilter %}"), ("{% filter force_escape %}", "{% endfilter %}"),
    ("{% autoescape off %}", "{% endautoescape %}"), ("{% ifchanged %}", "{% endifchanged %}"), ("{% filter linebreaks %}", "{% endfilter %}"),
    ("{% filter striptags|title %}", "{% endfilter %}"), ("{% language 'de' %}", "{% endlanguage %}"),
])  # fmt: skip
_TEMPLATES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4).map("".join) | st.tuples(_AROUND, inner).map(lambda pair: pair[0][0] + pair[1] + pair[0][1])
    ),
    max_leaves=12,
)
_HOSTILE = st.text(st.sampled_from("<>&%'\"{}#()s \t\r\n\0\ue000\u202eéa")) | st.sampled_from(
    ["", "plain text\n", "{{ x }}", "%(a)s", "> <", "\ud800"]
)


@given(_TEMPLATES, _TEMPLATES, _HOSTILE, st.lists(_HOSTILE, max_size=3), st.booleans())
@example("{% spaceless %} {{ x }} <b> {% endspaceless %}", "", "> <", [], True)
def test_the_text_equals_plain_djangos_and_copied_pieces_the_source(body, part, x, items, html):
    text = "{% extends 'base' %}{% load i18n %}{% block b %}" + body + "{{ block.super }}{% endblock %}"
    base = "{% load i18n %}<{% block b %}" + part.replace("include", "firstof") + "{% endblock %}>"
    others = {
        "base": base,
        "part": "{% load i18n %}" + part.replace("{% include 'part'", "{% firstof 'part'").replace(" with x=n.m only", ""),
    }
    others["base"] = others["base"].replace(" with x=n.m only", "")
    data = {"x": x, "items": items, "n": {"m": x}, "y": items[0] if items else None}
    rendered = render(text, data, html=html, **others)
    assert rendered.text == plain(text, data, autoescape=html, **others)
    check(rendered)


_CODE = st.lists(
    st.sampled_from([
        "{%", "%}", "{{", "}}", "{#", "#}", " ", "\n", "if", "endif", "for", "x", "in", "endfor", "block", "endblock", "extends", "'main'",
        "include", "with", "=", "|", "default", ":", "'", "blocktrans", "endblocktrans", "load", "i18n", "foo", "endfoo", "else", ".", "_",
        "super", "1", "count", "plural", "regroup", "by", "as", "cycle", "filter", "upper", "verbatim", "endverbatim", "url", "elif", "not",
    ]),
    max_size=25,
).map("".join)  # fmt: skip


@given(_CODE | _CODE.map(lambda code: code.replace("{%", "{% ").replace("%}", " %}")) | st.text())
def test_it_returns_or_raises_the_one_declared_error(text):
    host = Host(tags=("foo",))
    try:
        check(render(text, {"x": ["a"]}, host=host))
    except TemplateFault as error:
        assert error.where is not None
    try:
        variables(text, host=host)
    except TemplateFault as error:
        assert error.where is not None


# --- what the tags do --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "data", "want"),
    [
        ("{{ x }}", {"x": "<b>"}, "&lt;b&gt;"),
        ("{% load humanize %}{{ n|intcomma }} {{ n|intword }}", {"n": 1234567}, "1,234,567 1.2 million"),
        ("{% load l10n %}{% localize off %}{{ n }}{% endlocalize %}{% load tz %}{% timezone 'Europe/Paris' %}{% endtimezone %}", {"n": 1.5}, "1.5"),
        ("{% load i18n %}{% language 'de' %}{{ n|floatformat:2 }}{% get_current_language as l %} {{ l }}{% endlanguage %} {{ n|floatformat:2 }}", {"n": 1.5}, "1,50 de 1.50"),
        ("{% load i18n %}{% get_current_language_bidi as b %}{{ b }}{% get_language_info for 'ar' as l %}{{ l.bidi }}{% language 'xx' %}{{ 1.5 }}{% endlanguage %}", {}, "FalseTrue1.5"),
        ("{% load i18n %}{% trans 'May' context 'month' %}{{ _('x') }}{% blocktrans context 'c' %}y{% endblocktrans %}", {}, "Mayxy"),
        ("{{ l|random }}{{ nothing|random }}", {"l": ["first", "second"]}, "first"),
        ("{% debug %}{% csrf_token %}{% lorem x w random %}", {"x": "no"}, "lorem"),
        ("{% load cache %}{% cache 500 name x %}{{ x }}{% endcache %}", {"x": 1}, "1"),
        ("<{% url 'a:b' %}> {% url 'c' x k=y %} https://{{ d }}{% url 'c' %}", {"x": "a/b\r\n", "y": "", "d": "h"}, "<https://www.example.email/a/b/> https://www.example.email/c/a%2Fb%0D%0A/ https://h/c/"),
        ("{% if 1 %}https://h{% endif %}{% url 'c' %}{% url 'd' as u %} {{ u }}", {}, "https://h/c/ https://www.example.email/d/"),
        ("{% url 'd' as u %}https://{{ d }}{{ u }}", {"d": "h"}, "https://h/d/"),
        ("{% load static %}{% static 'a b.png' %} {% static '/c' as s %}{{ s }} {% get_static_prefix %} {% get_media_prefix as m %}{{ m }}", {}, "https://www.example.email/static/a%20b.png https://www.example.email/static/c https://www.example.email/static/ https://www.example.email/media/"),
        ("{{ d.items|length }}{% for k, v in d.items %}{{ k }}={{ v }}{% endfor %}", {"d": {"a": 1}}, "1a=1"),
        ("{% include names %}", {"names": ["nowhere", "other"]}, "the other"),
    ],
)  # fmt: skip
def test_tags_that_ask_what_is_not_here(text, data, want):
    assert render(text, data, other="the other").text == want


def test_addresses_begin_as_the_host_says():
    host = Host(options={"url_base": "https://shop.test/", "string_if_invalid": "MISSING %s"})
    assert render(" {% url 'home' %} {{ nobody }}", host=host).text == " https://shop.test/home/ MISSING nobody"
    assert render(" {% url 'home' %}", host=Host(options={"url_base": ""})).text == " /home/"


def test_stubs_print_what_is_in_them():
    text = (
        "{% load theirs more.theirs %}{% load box from theirs %}{% box a=1 %}in {{ x }}{% else %}not{{ y }}{% endbox %}{% user u as who %}{{ who }}"
        "{% box %}{% box %}deep{% endbox %}{{ x|fmt_money:3|fmt }}"
    )
    rendered = render(text, {"x": "X", "who": "Ann"}, host=Host(tags=("box", "user"), filters=("fmt*",)))
    assert rendered.text == "in XAnndeepX"
    check(rendered)
    assert {one.name for one in variables(text, host=Host(tags=("box", "user"), filters=("fmt*",)))} == {"x", "y", "who"}


def test_a_library_may_be_stubbed_by_its_name():
    assert render("{% load theirs %}a", host=Host(options={"libraries": ["their*"]})).text == "a"


def test_text_is_not_escaped():
    assert render("{{ x }}", {"x": "<&'>"}, html=False).text == "<&'>"


def test_who_asks_is_told_and_relative_names_stay_relative():
    sources = Texts({"main": "{% extends './base' %}", "base": "{% include '../up' %}"})
    with pytest.raises(TemplateFault, match=r"template \.\./up is not found"):
        make("django", Host()).render(sources.sources["main"], {}, sources, html=True)
    assert sources.asked == [("base", "main"), ("../up", "base")]


def test_each_file_is_parsed_once():
    sources = Texts({"main": "{% include 'part' %}{% for i in 'ab' %}{% include 'part' %}{% endfor %}", "part": "p"})
    engine = make("django", Host())
    parsed = set()
    for _ in range(3):
        assert engine.render(sources.sources["main"], {}, sources, html=True).text == "ppp"
        parsed |= {id(engine._language.parse(source)) for source in sources.sources.values()}
    assert len(parsed) == 2


# --- faults ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "others", "message", "place"),
    [
        ("a\n {% foo %}", {}, "Invalid block tag: 'foo'; one of the project's own is stubbed by its name in stubs.tags", ("main", 2, 2)),
        ("{% if x %}{% foo %}{% endif %}", {}, "Invalid block tag: 'foo', expected 'elif', 'else' or 'endif'; one of the project's own", ("main", 1, 11)),
        ("é{% endif %}", {}, "Invalid block tag: 'endif'. Did you forget to register or load this tag?", ("main", 1, 3)),
        ("{{ x|foo }}", {}, "Invalid filter: 'foo'; one of the project's own is stubbed by its name in stubs.filters", ("main", 1, 1)),
        ("{% load foo %}", {}, "'foo' is not a registered tag library; one of the project's own is stubbed by options.libraries = ['foo']", ("main", 1, 1)),
        ("{% load i18n foo %}{% bar %}{% box x %}{% trans 'a' %}{% endbox %}{% if x %}{% elif y %}{% else %}{% bar %}{% endif %}", {}, "'foo' is not a registered tag library; one of the project's own is stubbed by stubs.tags = ['bar', 'box']", ("main", 1, 1)),
        ("\n\n{% if x %}", {}, "Unclosed tag: 'if'. Looking for one of: elif, else, endif", ("main", 3, 1)),
        ("{{ }}", {}, "Empty variable tag", ("main", 1, 1)),
        ("{{ x._y }}", {}, "Variables and attributes may not begin with underscores: 'x._y'", ("main", 1, 1)),
        ("a{% extends 'x' %}{% extends 'y' %}", {}, "'extends' cannot appear more than once", ("main", 1, 2)),
        ("{{ x }}{% extends 'x' %}", {}, "{% extends 'x' %} must be the first tag in 'main'", ("main", 1, 8)),
        ("{% include 'p' %}", {"p": "\n\n{{ y|z }}"}, "Invalid filter: 'z'", ("p", 3, 1)),
        ("\n{% include 'none' %}", {}, "template none is not found", ("main", 2, 1)),
        ("\n{% extends 'none' %}", {}, "template none is not found", ("main", 2, 1)),
        ("{% include nothing %}", {}, "no template is named", ("main", 1, 1)),
        ("{% include names %}", {}, "template b is not found", ("main", 1, 1)),
        ("{% include 'main' %}", {}, "templates include one another in a circle: main → main", ("main", 1, 1)),
        ("{% include 'p' %}", {"p": "é{% include 'q' %}", "q": "{% include 'p' %}"}, "templates include one another in a circle: p → q → p", None),
        ("{% extends 'main' %}", {}, "templates extend one another in a circle: main → main", ("main", 1, 1)),
        ("{% extends 'p' %}", {"p": "{% extends 'main' %}"}, "templates extend one another in a circle: main → p → main", ("p", 1, 1)),
        ("\n{% for a, b in l %}{% endfor %}", {}, "Need 2 values to unpack in for loop; got 1", ("main", 2, 1)),
        ("{% filter length %}a{% endfilter %}", {}, "the tag makes int and no text", ("main", 1, 1)),
        ("{{ s|default:nothing.there }}", {}, "Failed lookup for key [nothing]", ("main", 1, 1)),
        ("{{ s|ljust:'a' }}", {}, "invalid literal for int()", ("main", 1, 1)),
        ("{% load i18n %}{% get_language_info for 's' as x %}", {}, "KeyError: ", ("main", 1, 16)),
        ("{% include '" + "../" * 20 + "a' %}", {}, "points outside the file hierarchy", ("main", 1, 1)),
        ("{% " + "x" * 10_001 + " %}", {}, "a tag of more than 10,000 characters", ("main", 1, 1)),
        ("{% if x %}" * 2_000, {}, "tags are nested too deeply", None),
        ("{% load i18n %}{% blocktrans trimmed %}a" + " " * 11_000 + "b{% endblocktrans %}", {}, "thousands of blanks", ("main", 1, 16)),
        ("{%" * 100_000, {}, "a line with thousands of tags that have no end", ("main", 1, 1)),
    ],
)  # fmt: skip
def test_a_fault_has_djangos_words_and_its_place(text, others, message, place):
    found = fault(text, {"l": [1], "s": "s", "names": ["a", "b"]}, **others)
    assert message in found.message
    assert "⌂" not in found.message
    if place is not None:
        assert (found.where.file, found.where.line, found.where.column) == place


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ s|ljust:'99999999999' }}", "filter ljust"),
        ("{{ s|center:99999999.0 }}", "filter center"),
        ("{{ 1|floatformat:'99999999g' }}", "filter floatformat"),
        ("{{ 1|stringformat:'099999999d' }}", "filter stringformat"),
        ("{{ l|join:big }}", "filter join"),
        ("{% with a=big %}" + "{% with a=a|add:a %}" * 30 + "{% endwith %}" * 31, "filter add makes more than"),
        ("{{ amps|force_escape }}", "filter force_escape makes more than"),
        ("{% lorem 99999999 w %}", "lorem of more than"),
        ("{% for a in l %}{% for b in l %}{% for c in l %}.{% endfor %}{% endfor %}{% endfor %}", "rendering takes more than"),
        ("{% for a in l %}{{ big }}{% endfor %}", "rendering writes more than"),
        ("{% for a in ten %}{{ big }}{{ big }}{% endfor %}", "renders to more than"),
    ],
)
def test_nothing_grows_without_end(text, message, monkeypatch):
    monkeypatch.setattr(trace, "MAX_STEPS", 2_000)
    found = fault(text, {"s": "s", "amps": "&" * 2_500_000, "l": list(range(1_000)), "ten": "0123456789", "big": "b" * 600_000})
    assert message in found.message


def test_short_widths_are_djangos():
    assert (
        render("[{{ s|ljust:4 }}{{ 1|floatformat:'2' }}{{ 2|stringformat:'03d' }}{{ 'ab'|join:'-' }}]", {"s": "s"}).text
        == "[s   1.00002a-b]"
    )


@pytest.mark.parametrize(
    "code",
    [
        "block.origin",
        "block.context.template.engine",
        "block.nodelist",
        "block.token",
        "block.render",
        "_trace",
        "template",
        "render_context",
        "dicts",
    ],
)
def test_a_template_does_not_reach_the_engine(code):
    text = "{% block a %}[{{ " + code + " }}{% with b=block %}{{ b.context }}{% endwith %}]{% endblock %}"
    if code.startswith("_"):
        fault(text)
    else:
        assert render(text).text == "[]"


def test_a_template_does_not_change_the_data():
    data = {"l": [2, 1], "d": {"a": 1}, "own": {"pop": "key", "sort": {"clear": 2}}}
    text = "{{ l.pop }}{{ l.sort }}{{ d.clear }}{{ d.popitem }}{{ l.0 }}{{ own.pop }}{{ own.sort.clear }}{{ own.clear }}"
    assert render(text, data).text == "2key2"
    fault("{{ l.0|default:l.clear }}", data)
    assert data == {"l": [2, 1], "d": {"a": 1}, "own": {"pop": "key", "sort": {"clear": 2}}}


# --- variables ---------------------------------------------------------------------------------------------------


def read(text, **others):
    return [(one.name, one.use, one.sure, one.literals) for one in variables(text, **others)]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("{{ a.b }} {{ c|default:d }} {{ 'x' }} {{ 1 }} {{ True }}", [("a.b", Use.TEXT, False, ()), ("d", Use.OTHER, False, ()), ("c", Use.TEXT, True, ())]),
        ("{% for i in a.b %}{{ i.c }}{{ forloop.counter }}{{ i.d.0 }}{% empty %}{{ i }}{% endfor %}", [
            ("a.b", Use.LIST, False, ()), ("a.b[].c", Use.TEXT, False, ()), ("a.b[].d[]", Use.TEXT, False, ()), ("i", Use.TEXT, False, ())]),
        ("{% for a, b in c %}{{ a }}{{ b.d }}{% endfor %}", [("c", Use.LIST, False, ()), ("c[].0", Use.TEXT, False, ()), ("c[].1.d", Use.TEXT, False, ())]),
        ("{% for k, v in c.items %}{{ k }}{{ v }}{% endfor %}{% for x in c|dictsort:'a' %}{{ x.a }}{% endfor %}{% for x in 'ab' %}{{ x }}{% endfor %}", [
            ("c", Use.OTHER, False, ()), ("c", Use.LIST, False, ()), ("c[].a", Use.TEXT, False, ())]),
        ("{% if a and b == 'x' %}{{ a }}{{ b }}{% elif c in 'a,b' or not d %}{{ d }}{% else %}{{ d }}{{ a }}{% endif %}{{ a }}", [
            ("a", Use.TRUTH, True, ()), ("b", Use.OTHER, True, ("x",)), ("a", Use.TEXT, True, ()), ("b", Use.TEXT, True, ()),
            ("c", Use.OTHER, True, ("a,b",)), ("d", Use.TRUTH, True, ()), ("d", Use.TEXT, False, ()), ("d", Use.TEXT, True, ()),
            ("a", Use.TEXT, False, ()), ("a", Use.TEXT, False, ())]),
        ("{% if a.b is not None %}{{ a }}{{ a.b.c }}{% endif %}{% if x > 3 %}{% endif %}{% if not y %}{% else %}{{ y }}{% endif %}", [
            ("a.b", Use.OTHER, True, (None,)), ("a", Use.TEXT, True, ()), ("a.b.c", Use.TEXT, False, ()), ("x", Use.OTHER, True, (3,)),
            ("y", Use.TRUTH, True, ()), ("y", Use.TEXT, True, ())]),
        ("{% if a or b %}{{ a }}{% endif %}{% if a == b %}{% endif %}{% if a == 1 == b %}{% endif %}{% if x|length > 1 %}{% endif %}", [
            ("a", Use.TRUTH, True, ()), ("b", Use.TRUTH, True, ()), ("a", Use.TEXT, False, ()), ("a", Use.OTHER, True, ()), ("b", Use.OTHER, True, ()),
            ("a", Use.OTHER, True, (1,)), ("b", Use.OTHER, True, ()), ("x", Use.LIST, True, ())]),
        ("{% with p=order.total q=r|upper s='t' %}{{ p.x }}{{ q }}{{ s }}{% endwith %}{{ p }}", [
            ("order.total", Use.OTHER, False, ()), ("r", Use.OTHER, False, ()), ("order.total.x", Use.TEXT, False, ()), ("p", Use.TEXT, False, ())]),
        ("{% load i18n %}{% blocktrans with n=a.b count k=c context d asvar v %}{{ n }}{{ k }}{{ e }}{% plural %}{{ f }}{% endblocktrans %}{{ v }}", [
            ("a.b", Use.OTHER, False, ()), ("c", Use.OTHER, False, (1,)), ("d", Use.OTHER, False, ()), ("a.b", Use.TEXT, False, ()),
            ("e", Use.TEXT, False, ()), ("f", Use.TEXT, False, ())]),
        ("{% firstof a b 'c' %}{% firstof a b as f %}{{ f }}{% cycle 'x' y as z %}{{ z }}{% widthratio a b 100 as w %}{{ w }}", [
            ("a", Use.TEXT, True, ()), ("b", Use.TEXT, True, ()), ("a", Use.TEXT, True, ()), ("b", Use.TEXT, False, ()), ("y", Use.TEXT, False, ()),
            ("a", Use.OTHER, False, (1,)), ("b", Use.OTHER, False, (1,))]),
        ("{% regroup people by home.city as g %}{% for c in g %}{{ c.grouper }}{% for p in c.list %}{{ p.n }}{% endfor %}{{ c }}{{ c.x }}{% endfor %}{{ g.0.grouper }}{{ g.x }}{% regroup 'a' by b as h %}{{ h }}", [
            ("people", Use.LIST, False, ()), ("people[].home.city", Use.OTHER, False, ()), ("people[].home.city", Use.TEXT, False, ()),
            ("people", Use.LIST, False, ()), ("people[].n", Use.TEXT, False, ()), ("people[].home.city", Use.TEXT, False, ())]),
        ("{% url a b c=d as u %}{{ u }}{% filter default:e %}{{ f }}{% endfilter %}{% ifchanged g %}{% endifchanged %}{% trans h %}", [
            ("a", Use.OTHER, False, ()), ("b", Use.OTHER, False, ()), ("d", Use.OTHER, False, ()), ("e", Use.OTHER, False, ()),
            ("f", Use.TEXT, False, ()), ("g", Use.OTHER, False, ()), ("h", Use.OTHER, False, ())]),
    ],
)  # fmt: skip
def test_what_is_read(text, want):
    assert read(text.replace("{% trans", "{% load i18n %}{% trans")) == want


def test_what_is_read_is_placed():
    text = "é{% if x %}\n{% elif not order.total > 3 %}{% endif %}{{ y|default:z }}{% include 'p' with q=y %}"
    found = variables(text, p="\n {{ q }}{{ r }}")
    assert [(one.name, one.at.file, one.at.line, one.at.column, one.at.end_column) for one in found] == [
        ("x", "main", 1, 9, 10),
        ("order.total", "main", 2, 13, 24),
        ("z", "main", 2, 55, 56),
        ("y", "main", 2, 45, 46),
        ("y", "main", 2, 81, 82),
        ("y", "p", 2, 5, 6),
        ("r", "p", 2, 12, 13),
    ]


def test_parents_and_includes_are_followed():
    others = {
        "base": "{{ p }}{% block a %}{{ hidden }}{% endblock %}{% block b %}{{ q }}{% endblock %}{% block c %}{% endblock %}",
        "part": "{{ r.s }}{{ t }}",
    }
    text = "{% extends 'base' %}{{ never }}{% block a %}{% include 'part' with r=u only %}{% endblock %}{% block b %}{{ block.super }}{{ block.name }}{% endblock %}{% block c %}{% include 'none' %}{% include v %}{% endblock %}"
    assert [one.name for one in variables(text, **others)] == ["p", "u", "u.s", "t", "q", "v"]


def test_a_parent_that_is_a_variable_leaves_the_blocks():
    assert [one.name for one in variables("{% extends p %}{{ never }}{% block a %}{{ b }}{% endblock %}")] == ["p", "b"]


def test_circles_end_when_they_are_read():
    assert [one.name for one in variables("{{ a }}{% include 'main' %}{% include 'p' %}", p="{% include 'main' %}{{ b }}")] == [
        "a",
        "b",
    ]
    with pytest.raises(TemplateFault, match="in a circle: main → p → main"):
        variables("{% extends 'p' %}", p="{% extends 'main' %}")
    with pytest.raises(TemplateFault, match="template none is not found"):
        variables("{% extends 'none' %}")


def test_reading_doubling_includes_ends(monkeypatch):
    monkeypatch.setattr(reads, "MAX_READ", 2_000)
    others = {f"p{number}": f"{{% include 'p{number + 1}' %}}{{% include 'p{number + 1}' %}}" for number in range(30)}
    assert variables("{% include 'p0' %}{{ x }}", p30="{{ y }}", **others)


def test_what_is_kept_has_a_limit(monkeypatch):
    monkeypatch.setattr(language, "MAX_KEPT", 1)
    monkeypatch.setattr("delivcheck.templates.engines.django.MAX_KEPT", 1)
    sources = Texts({"main": "{{ x }}{% include 'part' %}", "part": "{{ y }}"})
    engine = make("django", Host())
    for _ in range(2):
        for source in sources.sources.values():
            assert engine.variables(source, sources)
            assert engine.render(source, {"x": 1, "y": 2}, sources, html=True).text in {"12", "2"}
    assert len(engine._language._parsed) == 1


def test_variables_are_kept():
    sources = Texts({"main": "{% extends 'base' %}", "base": "{{ x }}"})
    engine = make("django", Host())
    first = engine.variables(sources.sources["main"], sources)
    assert engine.variables(sources.sources["main"], sources) is first
    assert len(sources.asked) == 1


# --- Django around us --------------------------------------------------------------------------------------------


def run(code):
    """Run code in a Python of its own."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_nothing_is_left_behind_in_a_process():
    run("""
        import sys
        import delivcheck.templates.engines.registry, delivcheck.templates.model
        assert "django" not in sys.modules
        from delivcheck.templates.engines.registry import engine
        from delivcheck.templates.model import Host, Source, TemplateFault
        made = engine("django", Host())
        source = Source("a", "{% load i18n tz %}{% trans 'Yes' %}{{ 1.5 }}{% now 'Y' as y %}{% language 'fr' %}{% endlanguage %}{{ d|date }}")
        assert made.render(source, {}, None, html=True).text == "Yes1.5"
        try:
            made.render(Source("b", "{% if %}"), {}, None, html=True)
        except TemplateFault:
            pass
        from django.conf import settings
        assert not settings.configured
        settings.configure(LANGUAGE_CODE="de", TIME_ZONE="Europe/Berlin", TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}])
        # configured, but without apps: its settings hold, its translations cannot
        assert made.render(source, {}, None, html=True).text == "Yes1,5"
        import django
        django.setup()
        from django.utils import timezone, translation
        assert str(timezone.get_default_timezone()) == "Europe/Berlin"
        assert translation.gettext("Yes") == "Ja"
        assert made.render(source, {}, None, html=True).text == "Ja1,5"
    """)


def test_in_a_project_its_own_options_hold():
    run("""
        import sys, types
        library = types.ModuleType("theirs")
        from django.template import Library
        library.register = Library()
        library.register.simple_tag(lambda: "theirs", name="ours")
        library.register.simple_block_tag(lambda content: f"<{content}>", name="wrap")
        sys.modules["theirs"] = library
        urls = types.ModuleType("urls")
        import django
        from django.conf import settings
        settings.configure(LANGUAGE_CODE="de", ROOT_URLCONF="urls", STATIC_URL="/s/", TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {
            "libraries": {"theirs": "theirs"}, "string_if_invalid": "?"}}])
        django.setup()
        from django.urls import path
        urls.urlpatterns = [path("home/", lambda request: None, name="home")]
        sys.modules["urls"] = urls
        from delivcheck.templates.engines.django import language, make, reads, trace
        from delivcheck.templates.model import Host, Source
        from django.template import engines
        text = (
            "{% load theirs i18n static %}{% ours %}{% wrap %}text{% endwrap %}{% url 'home' %} {% static 'a' %} {% get_static_prefix %} {{ nobody }}"
            "{% trans 'Yes' %}{% blocktrans %}Yes{% endblocktrans %}"
            "{% blocktrans with a=x trimmed %}\\r\\n a \\r\\n{{ a }}{% endblocktrans %}{% blocktrans with a=x %}x\\r\\ny{{ a }}{% endblocktrans %}"
        )
        made = make("django", Host()).render(Source("a", text), {"x": "<"}, None, html=True)
        assert made.text == engines["django"].from_string(text).render({"x": "<"}), made.text
        assert made.text == "theirs&lt;text&gt;/home/ /s/a /s/ ?JaJaa &lt;x\\ny&lt;", made.text
        at = made.text.index("text")
        assert made.where(at).column == text.index("text") + 1 and not made.where(at).approximate
        assert make("django", Host()).render(Source("a", " {% url 'nowhere' %}"), {}, None, html=True).text == " https://www.example.email/nowhere/"
    """)


def test_a_project_without_djangos_templates():
    run("""
        import django
        from django.conf import settings
        settings.configure()
        django.setup()
        from delivcheck.templates.engines.django import language, make, reads, trace
        from delivcheck.templates.model import Host, Source
        assert make("django", Host()).render(Source("a", "{{ x }}"), {"x": 1}, None, html=True).text == "1"
    """)


# --- the corpus --------------------------------------------------------------------------------------------------

STUBS = Host(tags=("user_display", "element", "slot", "setvar", "provider_login_url"))
NOT_HERE = {
    "account/base_manage.html",
    "account/base_confirm_code.html",
    "account/base_entrance.html",
}  # pages, which no mail is


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpora are not here")
@pytest.mark.parametrize("objects", [False, True])
def test_every_template_of_allauth_whose_references_are_there_is_rendered(objects):
    sources, engine, rendered, missing = FileSources([CORPUS]), make("django", STUBS), 0, []
    for path in sorted(CORPUS.rglob("*.*")):
        source = sources.open(path, path.relative_to(CORPUS).as_posix())
        try:
            read = engine.variables(source, sources)
            data = made_up(read).data
            made = engine.render(source, as_objects(read, data) if objects else data, sources, html=path.suffix == ".html")
        except TemplateFault as error:
            missing.append(error.message)
            continue
        check(made)
        assert all(one.exact for one in made.pieces)
        rendered += 1
    assert rendered == 50
    assert [error.split(";")[0] for error in missing] == [
        f"template {name} is not found" for name in (error.split()[1] for error in missing) if name in NOT_HERE
    ]
    assert len(missing) == 6
