import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.templates.engines.registry import engine
from delivcheck.templates.model import Host, Source, TemplateFault, Use

from .planted import Given, holds, lines_with, places

DATA = {"a": 1, "b": "<&>\"'", "items": [{"n": "x"}, {"n": "y"}], "o": {"k": "v", "d": {"e": 5}}, "e": [], "z": 0, "t": True, "f": False, "nul": None, "l": [1, 2], "name": "N", "which": "p"}  # fmt: skip
PARTIALS = {
    "p": "[{{a}} {{n}}]",
    "ml": "|\n{{a}}\n{{#t}}\nx\n{{/t}}\n|\n",
    "parent": "<{{$title}}Default {{a}}{{/title}}>",
    "mid": "{{<parent}}{{$title}}mid{{/title}}{{/parent}}",
}


def render(text, data=DATA, *, html=True, **partials):
    return engine("mustache", Host()).render(Source("t", text), data, Given(**PARTIALS, **partials), html=html)


@pytest.mark.parametrize(
    ("text", "expected"),  # by the specification, https://github.com/mustache/spec
    [
        ("{{a}} {{b}} {{{b}}} {{&b}} {{nope}} {{nul}}", "1 &lt;&amp;&gt;&quot;&#39; <&>\"' <&>\"'  "),
        ("{{o.d.e}}{{o.nope.e}}{{#o}}{{d.e}}{{a}}{{/o}}", "551"),
        ("{{#items}}{{n}}{{a}}{{/items}}{{#l}}({{.}}){{/l}}", "x1y1(1)(2)"),
        ("{{#e}}x{{/e}}{{^e}}y{{/e}}{{#f}}x{{/f}}{{^nope}}z{{/nope}}{{#t}}t{{/t}}{{#z}}x{{/z}}", "yzt"),
        ("a\n  {{! c }}\nb {{! c }}\n", "a\nb \n"),
        ("a\r\n{{#t}}\r\nb\r\n{{/t}}\r\nc", "a\r\nb\r\nc"),
        ("  {{#t}}\n  b\n  {{/t}}", "  b\n"),
        (" {{#t}}YES\n{{/t}}|", " YES\n|"),
        ("{{=<% %>=}}(<%a%>)<%={{ }}=%>({{a}})", "(1)(1)"),
        ("{{=| |=}}\n|a|", "1"),
        ("  {{a}}  {{> p}}\n", "  1  [1 ]\n"),
        (" x\n  {{> ml}}\n y", " x\n  |\n  1\n  x\n  |\n y"),
        ("{{>*which}}{{> p }}", "[1 ][1 ]"),
        ("{{$x}}d{{/x}}{{<parent}}{{$title}}mine {{name}}{{/title}}ignored{{/parent}}{{<parent}}{{/parent}}", "d<mine N><Default 1>"),
        ("{{<mid}}{{$title}}top{{/title}}{{/mid}}{{> mid}}", "<top><mid>"),
    ],
)  # fmt: skip
def test_renders_as_the_specification_has_it(text, expected):
    made = render(text)
    assert made.text == expected
    assert holds(made)
    assert render("{{b}}", html=False).text == DATA["b"]


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("\n{{#a}}x", 2, 1, "{{#a}} is never closed"),
        ("{{#a}}\n é{{/b}}", 2, 4, "does not close {{#a}} of line 1"),
        ("{{/a}}", 1, 1, "without a section"),
        ("x {{a", 1, 3, "never closed"),
        ("{{ }}", 1, 1, "without a name"),
        ("{{=a=}}", 1, 1, "two delimiters"),
        ("\n{{#each a}}{{/each a}}", 2, 1, "Handlebars, not Mustache"),
        ("é\n{{> nope}}", 2, 1, "template nope is not found"),
        ("{{> loop}}", 1, 1, "include itself"),
        ("{{#a}}" * 500, 1, 601, "nested more than 100"),
        ("{{a}}" * 20_001, 1, 100_001, "more than 20,000 tags"),
        ("{{#l}}{{#l}}{{#l}}{{#l}}{{/l}}{{/l}}{{/l}}{{/l}}", 1, 1, "loops without end"),
    ],
)
def test_a_fault_says_where_and_what_in_one_line(text, line, column, says):
    with pytest.raises(TemplateFault, match=says) as raised:
        render(text, {**DATA, "l": list(range(100))}, loop="{{> loop}}")
    where = raised.value.where
    assert (where.line, where.column) == (line, column)
    assert "\n" not in raised.value.message


MAIN = """FAULT 1
{{#a}}FAULT 2{{/a}}
{{#items}}
  FAULT 3 {{n}}
  {{#n}}
    é FAULT 4
  {{/n}}
  {{^nope}}
    FAULT 5
  {{/nope}}
{{/items}}
  {{> part}}
😀 FAULT 6 {{! no }}
   {{#t}}   FAULT 7 {{/t}}   FAULT 8
{{<wrap}}
  {{$slot}}
    FAULT 9
  {{/slot}}
{{/wrap}}
{{=<% %>=}}
FAULT 10 <%a%>
<%={{ }}=%>
{{!
  more
}}
FAULT 11
{{#o}}{{k}} FAULT 12{{/o}}
{{#nul}}{{/nul}}{{^nul}}FAULT 13{{/nul}} FAULT 14
<a href="{{name}}">FAULT 15</a>
{{#l}}
FAULT 16
{{/l}}
"""
PART = "FAULT 17\n{{#items}}\n  {{n}}FAULT 18\n{{/items}}\n {{> deep}}\nFAULT 19\n{{{b}}} FAULT 20\n"
WRAP = "FAULT 21\n  {{$slot}}no{{/slot}}FAULT 22\n{{$rest}}\n FAULT 23\n{{/rest}}\n{{#e}}no{{/e}}\nFAULT 24 {{>*which}}"
DEEP = "{{#items}}{{#l}}\nFAULT 25{{.}}{{/l}}{{^e}}\n FAULT 26\n{{/e}}{{/items}}\n{{{b}}}\nFAULT 27\n{{a}}\n\n FAULT 28"
P = "\n FAULT 29\n{{! no }}\n{{#t}}\n FAULT 30 {{/t}}"


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_thirty_planted_faults_are_found_on_their_lines(ends):
    texts = {"t": MAIN, "part": PART, "wrap": WRAP, "deep": DEEP, "p": P}
    written = {name: text.replace("\n", ends) for name, text in texts.items()}
    made = engine("mustache", Host()).render(Source("t", written["t"]), DATA, Given(**written), html=True)
    assert holds(made)
    for number in range(1, 31):
        found, planted = set(places(made, f"FAULT {number}")), set(lines_with(f"FAULT {number}", **texts))
        assert found
        assert found <= planted  # "FAULT 1" stands in "FAULT 12", too


def test_variables_are_found_with_their_paths_and_uses():
    text = "{{name}}{{#items}}{{n}}{{.}}{{/items}}{{#is_paid}}{{total}}{{/is_paid}}{{#company}}{{city.zip}}{{/company}}{{^none}}{{x}}{{/none}}{{>*which}}{{> p}}{{<parent}}{{$title}}{{own}}{{/title}}{{/parent}}{{> rec}}"
    found = engine("mustache", Host()).variables(Source("t", text), Given(**PARTIALS, rec="{{> rec}}{{deep}}"))
    assert {(one.name, one.use, one.at.file, one.sure) for one in found} == {
        ("name", Use.TEXT, "t", False), ("items", Use.LIST, "t", True), ("items[].n", Use.TEXT, "t", True), ("items[]", Use.TEXT, "t", True),
        ("is_paid", Use.TRUTH, "t", True), ("total", Use.TEXT, "t", False), ("company", Use.TRUTH, "t", True), ("company.city.zip", Use.TEXT, "t", True),
        ("none", Use.TRUTH, "t", True), ("x", Use.TEXT, "t", False), ("which", Use.OTHER, "t", False), ("a", Use.TEXT, "p", False),
        ("n", Use.TEXT, "p", False), ("own", Use.TEXT, "t", False), ("deep", Use.TEXT, "rec", False),
    }  # fmt: skip


TEXTS = st.lists(
    st.sampled_from(
        [
            "{{a}}",
            "{{{b}}}",
            "{{&b}}",
            "{{#t}}",
            "{{/t}}",
            "{{^e}}",
            "{{/e}}",
            "{{#items}}",
            "{{/items}}",
            "{{> p}}",
            "{{!c}}",
            "\n",
            "  ",
            " x",
            "é",
            "{{n}}",
            "{{o.k}}",
        ]
    ),
    max_size=14,
).map("".join)


@given(st.one_of(TEXTS, st.text(alphabet="{}#/^ax=! \n", max_size=30)))
def test_any_text_renders_with_true_places_or_has_one_fault(text):
    try:
        made = render(text)
        engine("mustache", Host()).variables(Source("t", text), Given(**PARTIALS))
    except TemplateFault as fault:
        assert "\n" not in fault.message
    else:
        assert holds(made)


@given(TEXTS)
def test_another_implementation_gives_the_same_text(text):
    chevron = pytest.importorskip("chevron")
    try:
        made = render(text, {**DATA, "b": "<"})
    except TemplateFault:
        return
    assert made.text == chevron.render(text, {**DATA, "b": "<"}, partials_dict=PARTIALS)
