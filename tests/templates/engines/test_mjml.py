"""MJML: what is rendered, that every place is told or marked as near, and what a broken or hostile template comes to."""

import re
import resource
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("mrml")
pytest.importorskip("css_inline")

import css_inline
import mrml

from delivcheck.model import Where
from delivcheck.templates.engines import registry
from delivcheck.templates.engines.chain import then
from delivcheck.templates.engines.mjml import Mjml, inlining, make, marking, reading
from delivcheck.templates.model import Host, Piece, Rendered, Source, TemplateFault
from delivcheck.templates.sources import FileSources

CORPUS = Path(__file__).parents[4] / "shared/corpora/tpl-mjml/templates"


class Folder:
    """Sources from a table of names."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self.files = files

    def find(self, name: str, asked_by: Source | None = None, suffixes: Sequence[str] = ("",)) -> Source:
        for suffix in suffixes:
            if name + suffix in self.files:
                return Source(name + suffix, self.files[name + suffix])
        raise TemplateFault(f"template {name} is not found")


def render(text: str, files: Mapping[str, str] | None = None) -> Rendered:
    made = Mjml().render(Source("mail.mjml", text), {}, Folder(files or {}), html=True)
    sound(made)
    return made


def sound(made: Rendered) -> None:
    """Pieces are in order, none over another, and what is copied is the source's own."""
    at = 0
    for piece in made.pieces:
        assert at <= piece.start < piece.end <= len(made.text)
        source = made.sources[piece.file].text
        assert 0 <= piece.at <= piece.until <= len(source)
        if piece.copied:
            assert made.text[piece.start : piece.end] == source[piece.at : piece.until]
        at = piece.end


def document(body: str = "", head: str = "", attributes: str = "") -> str:
    return f"<mjml{attributes}>\n<mj-head>{head}</mj-head>\n<mj-body>\n{body}\n</mj-body>\n</mjml>\n"


def column(body: str, head: str = "") -> str:
    return document(f"<mj-section>\n<mj-column>\n{body}\n</mj-column>\n</mj-section>", head)


def fault(text: str, files: Mapping[str, str] | None = None) -> TemplateFault:
    with pytest.raises(TemplateFault) as caught:
        render(text, files)
    return caught.value


def places(made: Rendered, needle: str) -> list[Where]:
    return [found for one in re.finditer(re.escape(needle), made.text) if (found := made.where(one.start(), one.end()))]


def line_of(text: str, needle: str) -> int:
    return text[: text.index(needle)].count("\n") + 1


# --- places ------------------------------------------------------------------------------------------------------

FILES = {
    "main.mjml": """<mjml lang="xx-fault28">
  <mj-head>
    <mj-title>fault01</mj-title>
    <mj-preview>
      fault02
    </mj-preview>
    <mj-style>
      .a { color: red }
      .fault03 { color: red }
    </mj-style>
    <mj-attributes>
      <mj-all color="#fault04" />
      <mj-class name="big"
                background-color="#fault05" />
      <mj-image alt="fault06" />
    </mj-attributes>
    <mj-raw><meta name="x"
      content="fault07"></mj-raw>
    <mj-include path="head" />
    <mj-include path="css/mail.css" type="css" />
  </mj-head>
  <mj-body background-color="#fault29">
    <mj-wrapper css-class="outer">
      <mj-section background-url="https://example.org/fault08.png" full-width="full-width">
        <mj-group>
          <mj-column
            css-class="fault09 narrow">
            <mj-text
              color="#fault10">
              <p>é ünï fault11</p>
              <p><a
                href="https://example.org/fault12">x</a> & <br>
                <IMG SRC=fault13></p>
            </mj-text>
            <mj-image
              src="fault14.png"
              title="a b"
              href="https://example.org/fault15"
            />
            <mj-button mj-class="big" href="fault16">
              Go
              fault17
            </mj-button>
          </mj-column>
        </mj-group>
      </mj-section>
      <!-- a comment
           fault18 -->
    </mj-wrapper>
    <mj-include path="parts/body.mjml" />
    <mj-include path="parts/raw.html" type="html" />
    <mj-section><mj-column>
      <mj-table><tr><td>
        fault19</td></tr></mj-table>
      <mj-social><mj-social-element name="facebook"
        href="https://example.org/fault20" alt="fault21">fault22</mj-social-element></mj-social>
      <mj-navbar base-url="https://example.org"><mj-navbar-link href="/fault23">
        fault24</mj-navbar-link></mj-navbar>
      <mj-accordion><mj-accordion-element><mj-accordion-title>fault25</mj-accordion-title>
        <mj-accordion-text>fault26</mj-accordion-text></mj-accordion-element></mj-accordion>
      <mj-image src="plain.png" alt="fault\u00a027 with a no-break space, \\ and é"/>
      <mj-divider border-color="#fault30" />
    </mj-column></mj-section>
  </mj-body>
</mjml>
""",
    "head.mjml": '<mj-font name="Lato"\n  href="https://example.org/lato" />\n<mj-style>\n  .fault31 {}</mj-style>',
    "css/mail.css": "\n\n.b {}\n.fault32 {}\n",
    "parts/body.mjml": """<mjml><mj-head><mj-style>
.fault33 {}
</mj-style></mj-head>
<mj-body>
  <mj-section><mj-column>
    <mj-text>


      fault34
    </mj-text>
    <mj-include path="parts/inner.mjml"/>
  </mj-column></mj-section>
</mj-body></mjml>""",
    "parts/inner.mjml": '<mj-text>fault35</mj-text>\n<mj-button\n  href="fault36">fault37</mj-button>',
    "parts/raw.html": "<p>\n<p>\n<a href=fault38>fault39\n",
}
FAULTS = sorted({word for text in FILES.values() for word in re.findall(r"fault\d\d", text)} | {"fault\u00a027"})


@pytest.fixture(scope="module")
def planted() -> Rendered:
    return render(FILES["main.mjml"], FILES)


@pytest.mark.parametrize("word", FAULTS)
def test_a_planted_fault_is_found_where_it_was_planted(word: str, planted: Rendered) -> None:
    name, text = next((name if name != "main.mjml" else "mail.mjml", text) for name, text in FILES.items() if word in text)
    found = places(planted, word)
    assert found
    source = Source(name, text)
    at = text.index(word)
    for where in found:
        assert where == source.where(at, at + len(word))
        assert not where.approximate


def test_there_are_enough_of_them() -> None:
    assert len(FAULTS) >= 38


@pytest.mark.parametrize(
    "style", ["", '<mj-style inline="inline">.narrow td { padding: 1px } p { margin: 0 } a { color: red }</mj-style>']
)
def test_a_component_s_own_element_is_placed_at_the_component(style: str) -> None:
    text = column('<mj-text>x</mj-text>\n<mj-image\n src="a.png"/>\n\n<mj-button href="#">y</mj-button>', style)
    made = render(text)
    image, button = text.index("<mj-image"), text.index("<mj-button")
    source = Source("mail.mjml", text)
    assert places(made, "<img") == [source.where(image, image + len("<mj-image"))]
    assert places(made, "<a ") == [source.where(button, button + len("<mj-button"))]


def test_a_generated_attribute_that_is_the_author_s_is_placed_there() -> None:
    text = column('<mj-image\n src="a.png"\n alt="b"/><mj-text\n color="#aabbcc">x</mj-text>')
    made = render(text)
    source = Source("mail.mjml", text)
    for written, rendered in (('alt="b"', 'alt="'), ('color="#aabbcc"', "color:#aabbcc"), ('src="a.png"', 'src="')):
        at = text.index(written)
        assert places(made, rendered) == [source.where(at, at + len(written))]


def test_generated_markup_is_near_its_component_and_says_so() -> None:
    text = column('<mj-text>one</mj-text>\n<mj-button href="#">two</mj-button>')
    lines = {(where.line, where.approximate) for where in places(render(text), 'role="presentation"')}
    assert lines == {(4, True), (5, True), (7, True)}  # the section, the column, the button


def test_everything_in_the_html_has_a_place(planted: Rendered) -> None:
    assert sum(piece.end - piece.start for piece in planted.pieces) == len(planted.text)


def test_authors_classes_survive_and_ours_do_not(planted: Rendered) -> None:
    classes = set(re.findall(r'class="([^"]*)"', planted.text))
    assert {"outer-outlook", "fault09 narrow-outlook"} <= classes or "outer-outlook" in classes
    assert any(one.endswith("fault09 narrow") for one in classes)
    assert not re.search(r"Zq\d", planted.text)
    assert ' class=""' not in planted.text


@pytest.mark.parametrize(
    "default", ['<mj-all css-class="mine" />', '<mj-text css-class="mine" />', '<mj-class name="k" css-class="mine" />']
)
def test_a_default_class_is_not_hidden_by_ours(default: str) -> None:
    text = column('<mj-text mj-class="j k">x</mj-text>\n<mj-image src="a"/>', f"<mj-attributes>{default}</mj-attributes>")
    made = render(text)
    assert ('class="mine"' in made.text) == ('<mj-class name="k"><' not in default)  # mrml passes that over
    assert not places(made, "x</div>")[0].approximate
    lines = {(where.line, where.approximate) for where in places(made, 'role="presentation"')}
    assert "mj-all" in default or lines == {(4, True), (5, True), (7, True)}


def test_a_source_with_the_words_of_marks_is_rendered_as_any_other() -> None:
    made = render(column('<mj-text css-class="Zq0x1z">Zq0x0z Zq1x1z</mj-text>'))
    assert "Zq0x0z Zq1x1z" in made.text
    assert 'class="Zq0x1z"' in made.text


# --- through another engine --------------------------------------------------------------------------------------


def jinja(text: str, parts: Sequence[str]) -> Rendered:
    """What a template engine would hand over: stretches of the template, some of them more than once."""
    made, pieces, at = "", [], 0
    for part in parts:
        if part.startswith("="):  # a value
            name = "{{ " + part[1:].split("=")[0] + " }}"
            start = text.index(name)
            value = part[1:].split("=")[1]
            pieces.append(Piece(at, at + len(value), "mail.mjml.j2", start, start + len(name), copied=False))
            made += value
        else:
            start = text.index(part)
            pieces.append(Piece(at, at + len(part), "mail.mjml.j2", start, start + len(part), copied=True))
            made += part
        at = len(made)
    return Rendered(made, tuple(pieces), {"mail.mjml.j2": Source("mail.mjml.j2", text)})


LOOP = """<mjml><mj-body>
{% for item in items %}
  <mj-section><mj-column>
    <mj-text>
      fault40 {{ item }} fault41
    </mj-text>
    <mj-image src="https://example.org/{{ item.image }}.png"
      alt="fault42" />
    <mj-include path="part" />
  </mj-column></mj-section>
{% endfor %}
<mj-raw>fault43
</mj-raw></mj-body></mjml>"""


@pytest.mark.parametrize("style", [False, True])
def test_places_lead_through_an_engine_that_writes_mjml(style: bool) -> None:
    loop = (
        LOOP.replace("<mjml>", '<mjml><mj-head><mj-style inline="inline">p{color:red}</mj-style></mj-head>') if style else LOOP
    )
    head, rest = loop.split("{% for item in items %}")
    body, tail = rest.split("{% endfor %}")
    one, two, three = re.split(r"\{\{ [a-z.]+ \}\}", body)
    first = jinja(
        loop,
        [head, *[part for value in ("A1", "B1") for part in (one, f"=item={value}", two, f"=item.image={value}", three)], tail],
    )
    assert first.text.startswith(head)
    files = Folder({"part.mjml": "<mj-text>\nfault44</mj-text>"})
    made = then(Mjml(), first, Source("mail.mjml.j2", loop), files, html=True)
    sound(made)
    source = Source("mail.mjml.j2", loop)
    for word, times in (("fault40", 2), ("fault41", 2), ("fault42", 2), ("fault43", 1)):
        at = loop.index(word)
        assert places(made, word) == [source.where(at, at + len(word))] * times
    at = loop.index("{{ item }}")
    image = loop.index("{{ item.image }}")
    assert places(made, "A1") == [source.where(at, at + 10), source.where(image, image + 16)] == places(made, "B1")
    assert places(made, "fault44") == [Where(file="part.mjml", line=2, column=1, end_column=8)] * 2


BASE = "<mjml>\n<mj-head><mj-title>{{ title }}</mj-title></mj-head>\n<mj-body>{% block body %}{% endblock %}</mj-body></mjml>"
INHERITING = """{% extends "base.j2" %}
{% macro item(x) %}
<mj-text>
  fault45 {{ x }}
</mj-text>
{% endmacro %}
{% block body %}
<mj-section><mj-column>
{% for x in names -%}
  {{ item(x) }}
  <mj-image src="https://{{ x }}/fault46" alt="fault47"/>
{%- endfor %}
<mj-include path="part"/>
</mj-column></mj-section>
{% endblock %}"""


def test_places_lead_through_jinja2_with_inheritance_macros_and_loops(tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    (tmp_path / "base.j2").write_text(BASE)
    (tmp_path / "part.mjml").write_text("<mj-text>\nfault48</mj-text>")
    (tmp_path / "mail.mjml.j2").write_text(INHERITING)
    sources = FileSources([tmp_path])
    source = sources.open(tmp_path / "mail.mjml.j2", "mail.mjml.j2")
    made = registry.engine("jinja2+mjml", Host()).render(source, {"names": ["V1", "V2"], "title": "T1"}, sources, html=True)
    sound(made)
    for word in ("fault45", "fault46", "fault47"):
        at = INHERITING.index(word)
        assert places(made, word) == [source.where(at, at + len(word))] * 2
    image = INHERITING.index("<mj-image")
    assert places(made, "<img") == [source.where(image, image + len("<mj-image"))] * 2
    for value in ("V1", "V2"):
        assert [(one.line, one.approximate) for one in places(made, value)] == [(4, False), (11, False)]
    for word, file, line in (("T1", "base.j2", 2), ("fault48", "part.mjml", 2)):
        assert {(Path(str(one.file)).name, one.line, one.approximate) for one in places(made, word)} == {(file, line, False)}


def test_a_fault_leads_through_an_engine_that_writes_mjml() -> None:
    text = "{% set x %}\n<mjml><mj-body>\n<mj-foo/></mj-body></mjml>"
    first = jinja(text, [text.partition("\n")[2]])
    with pytest.raises(TemplateFault, match="no component is called <mj-foo>") as caught:
        then(Mjml(), first, Source("mail.mjml.j2", text), Folder({}), html=True)
    assert caught.value.where is not None
    assert (caught.value.where.file, caught.value.where.line) == ("mail.mjml.j2", 3)


# --- what is rendered --------------------------------------------------------------------------------------------


def words(html: str) -> list[str]:
    """Tags and words, without what may differ: blanks, and how they stand within tags."""
    html = html.replace("\\n", "\n").replace("\\r", "\r")  # mrml writes line ends in attributes so
    return [re.sub(r"\s+", "", one).replace("/>", ">") for one in re.findall(r"<[^>]*>|[^<\s]+", html)]


KNOWN_TO_DIFFER = {"loyalty-client.mjml"}  # repeats attributes: the last counts for mrml, the first for MJML


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpora are not here")
def test_the_corpus_is_rendered_as_mrml_does_it() -> None:
    files = sorted(CORPUS.glob("*.mjml"))
    assert len(files) == 25
    for file in files:
        text = file.read_text(encoding="utf-8")
        made = render(text)
        assert not re.search(r"</?mj-|Zq\d", made.text), file.name
        try:
            own = mrml.to_html(text).content
        except OSError:
            continue  # it does not like line ends of Windows there
        if file.name not in KNOWN_TO_DIFFER and 'inline="inline"' not in text:
            assert words(made.text) == words(own), file.name


def test_html_in_ending_tags_arrives_untouched() -> None:
    html = "<p CLASS=a>1 & 2 &nbsp;<br>\r\n<!--[if mso]><b><![endif]--> {{ name }} <mj-what> </i>"
    assert html in render(column(f"<mj-text>\n  {html}\n</mj-text>")).text
    assert html in render(column(f"<mj-raw>{html}</mj-raw>")).text


def test_what_mrml_would_spoil_arrives_untouched() -> None:
    made = render(column('<mj-image src="a" alt=\'a "b" \\ \u00a0\nc\'/>'))
    assert 'alt="a &quot;b&quot; \\ \u00a0\nc"' in made.text


def test_lenient_where_mjml_is() -> None:
    made = render(
        column('<MJ-IMAGE src=a.png alt="x"/><mj-image SRC="no" src="b.png" src="c.png" fluid-on-mobile></mj-image><mj-text />')
    )
    assert 'src="a.png"' in made.text
    assert 'src="b.png"' in made.text


def test_prologues_and_comments_before_the_root_are_passed_over() -> None:
    assert render("\ufeff<?xml version='1.0'?>\n<!doctype mjml>\n<!-- x --><mjml><mj-body></mj-body></mjml>\n").text


def test_plain_html_between_components_is_rendered() -> None:
    made = render(column('<div id="a">x<br><img src="b"/><span></span></div><![if !mso]><mj-text>y</mj-text><![endif]>'))
    assert '<div id="a">x<br />' in made.text
    assert "<![if !mso]>" in made.text


def test_html_attributes_are_passed_over() -> None:
    head = '<mj-html-attributes><mj-selector path=".a"><mj-html-attribute name="x">1</mj-html-attribute></mj-selector></mj-html-attributes>'
    assert render(column("<mj-text>x</mj-text>", head)).text


def test_there_are_no_variables() -> None:
    assert make("mjml", Host()).variables(Source("a", "{{ x }}"), Folder({})) == ()


def test_values_need_not_be_marked_for_an_honest_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    text = column('<mj-text font-size="20px">x</mj-text><mj-image\nwidth="100px" src="a.png"/>')
    plain = render(text)
    monkeypatch.setattr(marking, "VERBATIM", marking.VERBATIM | {"width"})  # mrml computes with it
    made = render(text)
    assert made.text == plain.text
    assert places(made, "x</div>")[0].line == 6
    assert not places(made, "x</div>")[0].approximate
    assert places(made, "a.png")[0].approximate


def test_marks_that_mrml_refuses_are_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    real = mrml.to_html

    def refusing(document: str) -> object:
        if "Zq0x" in document.partition("<mj-text")[2].partition(">")[0]:
            raise OSError("invalid attribute in root template at position 3:4")
        return real(document)

    text = column('<mj-text color="red">fault01</mj-text>')
    before = render(text).text
    monkeypatch.setattr(mrml, "to_html", refusing)
    made = render(text)
    assert made.text == before
    assert [(one.line, one.approximate) for one in places(made, "fault01")] == [(6, False)]


# --- inlined styles ----------------------------------------------------------------------------------------------

INLINED = column(
    '<mj-text css-class="x">\r\n<p class="q">é &eacute;\u00a0&nbsp; a & b &lt;<br/>\r\nfault01 <img src="?a&fault02"></p>\n'
    '<ul><li style="fault03:1">fault04<li>5</ul><table><b>fault05</b><tr><td>6</table></mj-text>',
    '<mj-style inline="inline">\n.q { color: red }\n.x { margin: 9px } li { outline-width: 7px }</mj-style><mj-style>.kept {}</mj-style>',
)


def test_styles_are_inlined() -> None:
    made = render(INLINED)
    assert '<p class="q" style="color: red;">' in made.text
    assert "margin: 9px" in made.text
    assert ".kept {}" in made.text
    assert ".q {" not in made.text
    assert "dlq" not in made.text


@pytest.mark.parametrize("word", ["fault01", "fault02", "fault04", "fault05"])
def test_places_survive_inlining(word: str) -> None:
    made = render(INLINED)
    at = INLINED.index(word)
    assert places(made, word) == [Source("mail.mjml", INLINED).where(at, at + len(word))]


def test_a_style_that_was_changed_by_inlining_is_near() -> None:
    where = places(render(INLINED), "outline-width: 7px")
    assert [(one.line, one.approximate) for one in where] == [(line_of(INLINED, "<ul>"), True)] * 2


def test_as_css_inline_does_it_alone() -> None:
    text = INLINED.replace(' inline="inline"', "")
    css = INLINED.partition('inline="inline">')[2].partition("</mj-style>")[0]
    inliner = css_inline.CSSInliner(
        inline_style_tags=False, keep_style_tags=True, keep_link_tags=True, load_remote_stylesheets=False, extra_css=css
    )
    own = inliner.inline(render(text).text)
    made = render(INLINED).text
    assert made == re.sub(r"<style[^>]*>\s*\.q \{[^<]*</style>", "", own)


def test_where_numbers_change_what_is_inlined_places_are_near() -> None:
    text = column(
        "<mj-text>fault01 <b>fault02</b></mj-text>", '<mj-style inline="inline">b:not([dlq0x]) { color: red }</mj-style>'
    )
    made = render(text)
    assert "color: red" in made.text
    assert [(one.line, one.approximate) for one in places(made, "fault02")] == [(6, True)]


def test_inlining_reads_what_is_no_html_as_a_browser_does() -> None:
    made = render(column("<mj-text><b class=q><mjml </mj-text>", '<mj-style inline="inline">b { color: red }</mj-style>'))
    assert '<b class="q" style="color: red;"><mjml<' in made.text


def test_styles_that_cannot_be_inlined_are_a_fault() -> None:
    found = fault(column('<mj-text><p style=";0">x</p></mj-text>', '\n<mj-style inline="inline">p { color: red }</mj-style>'))
    assert found.message.startswith("the inlined styles: ")
    assert found.where is not None
    assert (found.where.line, found.where.column) == (3, 1)


def test_an_empty_inlined_style_is_nothing() -> None:
    assert "x</div>" in render(column("<mj-text>x</mj-text>", '<mj-style inline="inline"> </mj-style>')).text


# --- includes ----------------------------------------------------------------------------------------------------


def test_included_heads_and_style_sheets_go_into_the_head() -> None:
    body = '<mj-include path="a.mjml"/><mj-include path="b.css" type="css"/><mj-include path="c.css" type="css" css-inline="inline"/>'
    files = {
        "a.mjml": "<mjml><mj-head><mj-title>T</mj-title></mj-head><mj-body><mj-text>x</mj-text></mj-body></mjml>",
        "b.css": ".b { color: red }",
        "c.css": "div { outline: 7px }",
    }
    made = render(f"<mjml><mj-body><mj-section><mj-column>{body}</mj-column></mj-section></mj-body></mjml>", files).text
    head, _, rest = made.partition("</head>")
    assert "<title>T</title>" in head
    assert ".b { color: red }" in head
    assert "outline: 7px" not in head
    assert "outline: 7px" in rest


def test_parts_of_the_root_may_be_included() -> None:
    files = {
        "head.mjml": "<mj-head><mj-title>T</mj-title></mj-head>",
        "all.mjml": "<mjml><mj-head><mj-title>U</mj-title></mj-head><mj-body><mj-raw>b</mj-raw></mj-body></mjml>",
        "body.mjml": "<mj-body><mj-raw>c</mj-raw></mj-body>",
    }
    made = render('<mjml><mj-include path="head"/><mj-include path="body"/></mjml>', files).text
    assert "<title>T</title>" in made
    assert "c</div></body>" in made
    made = render(
        '<mjml><mj-head><mj-include path="all"/></mj-head><mj-body><mj-include path="body"/></mj-body></mjml>', files
    ).text
    assert "<title>U</title>" in made
    assert "c</div></body>" in made
    assert ">b" not in made


def test_nothing_is_opened(tmp_path: Path) -> None:
    """No file, since none could be opened; and nobody came to the socket."""
    (tmp_path / "part.mjml").write_text("<mj-text>read from the disk</mj-text>")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        links = f'<mj-raw><link rel="stylesheet" href="{url}/a.css"><style>@import "{url}/b.css";</style></mj-raw>'
        text = column(
            f'<mj-image src="{url}/c.png"/><mj-text>x</mj-text>', f'{links}<mj-style inline="inline">p{{}}</mj-style>'
        )
        missing = [f"{url}/part.mjml", f"file://{tmp_path}/part.mjml", str(tmp_path / "part.mjml")]
        before = render(text).text
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        try:
            with pytest.raises(OSError, match="open files"):
                (tmp_path / "part.mjml").open()
            made = render(text).text
            faults = [fault(column(f'<mj-include path="{path}"/>')).message for path in missing]
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert made == before
        assert all(one.endswith("is not found") for one in faults)
        with pytest.raises(BlockingIOError):
            server.accept()


# --- faults ------------------------------------------------------------------------------------------------------

BROKEN = [
    ("", "there is no <mjml> element", 1, 1),
    ("<p>x</p>", "there is no <mjml> element", 1, 1),
    ("<mjml>", "<mjml> is never closed", 1, 1),
    ("x\n<mjml></mjml>", "text outside of <mjml>", 1, 1),
    ("<mjml></mjml>\n<mjml></mjml>", "a second <mjml> element", 2, 1),
    ("<mjml>\n  <mj-section/></mjml>", "<mj-section> is neither in <mj-head> nor in <mj-body>", 2, 3),
    ("<mjml>\n x</mjml>", "text is neither in <mj-head> nor in <mj-body>", 2, 2),
    ("<mjml><mj-head>\n<mj-text/></mj-head></mjml>", "unexpected element: <mj-text>", 2, 1),
    ("<mjml><mj-head>\nwords</mj-head></mjml>", "unexpected token", 2, 1),
    ("</mjml>", "</mjml> closes nothing", 1, 1),
    (column("<mj-foo>x</mj-foo>"), "no component is called <mj-foo>", 6, 1),
    (column("<mj-text>x"), "<mj-text> is never closed", 6, 1),
    (column("\n é<mj-text>x</mj-text></mj-text>"), "</mj-text> stands where <mj-column> of line 5 is still open", 7, 24),
    (column("<mj-text"), "<mj-text is never closed with >", 6, 1),
    (column("<mj-divider></mj-divider x>"), "</mj-divider is never closed with >", 6, 13),
    (column('<mj-text a="b>x</mj-text>').replace('"', "'"), "a value in <mj-text> is missing or its quotation mark never closed", 6, 11),
    (column("<mj-text {% if %}>x</mj-text>"), "'{%' in <mj-text> is no attribute's name", 6, 10),
    (column(f"<mj-text {'é' * 50}>x</mj-text>"), f"'{'é' * 40}…' in <mj-text> is no attribute's name", 6, 10),
    (column('<mj-text "a">x</mj-text>'), "'\"' in <mj-text> is no attribute", 6, 10),
    (column("a < b"), "a < that begins no tag: write &lt;", 6, 3),
    (column("<!-- never"), "a comment is never closed", 6, 1),
    (column("<mj-include/>"), "<mj-include> without a path", 6, 1),
    (column('<mj-include path="gone"/>'), "template gone is not found", 6, 19),
    (column('<mj-text font-family="' + "x" * 3_000 + '">x</mj-text>'), "font-family of <mj-text> has more than 2,000 characters", 6, 10),
    (column("<mj-wrapper>" * 200), "more than 100 elements within each other", 6, 96 * 12 + 1),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message", "line", "at"), BROKEN, ids=range(len(BROKEN)))
def test_a_broken_template_is_one_fault_with_its_place(text: str, message: str, line: int, at: int) -> None:
    found = fault(text)
    assert found.message == message
    assert found.where is not None
    assert (found.where.file, found.where.line, found.where.column) == ("mail.mjml", line, at)


def test_a_fault_in_an_included_file_is_placed_there() -> None:
    found = fault(column('<mj-include path="a"/>'), {"a.mjml": "<mj-text>x</mj-text>\n<mj-foo/>"})
    assert (found.message, found.where) == (
        "no component is called <mj-foo>",
        Where(file="a.mjml", line=2, column=1, end_column=8),
    )


def test_a_circle_of_includes_is_a_fault() -> None:
    found = fault(
        column('<mj-include path="a"/>'), {"a.mjml": '\n<mj-include path="b"/>', "b.mjml": '<mj-include path="a.mjml"/>'}
    )
    assert (found.message, found.where and found.where.file) == ("a.mjml includes itself", "b.mjml")


def test_includes_that_multiply_end() -> None:
    files = {f"f{n}.mjml": f'<mj-include path="f{n + 1}"/>' * 20 for n in range(9)} | {"f9.mjml": "<mj-spacer/>"}
    assert "more than" in fault(column('<mj-include path="f0"/>'), files).message
    chain = {f"f{n}.mjml": f'<mj-include path="f{n + 1}"/>' for n in range(500)}
    assert "within each other" in fault(column('<mj-include path="f0"/>'), chain).message


def test_a_find_s_own_place_is_kept() -> None:
    class Strict(Folder):
        def find(self, name: str, asked_by: Source | None = None, suffixes: Sequence[str] = ("",)) -> Source:
            raise TemplateFault("not text", Where(file="x", line=9))

    with pytest.raises(TemplateFault) as caught:
        Mjml().render(Source("a", column('<mj-include path="x"/>')), {}, Strict({}), html=True)
    assert caught.value.where == Where(file="x", line=9)


def test_a_panic_of_mrml_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        pass

    def panic(_: str) -> None:
        raise PanicException("slice\nindex")

    monkeypatch.setattr(mrml, "to_html", panic)
    found = fault(column(""))
    assert found.message == "mrml gave up: slice index: <mjml>"

    def stop(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(mrml, "to_html", stop)
    with pytest.raises(KeyboardInterrupt):
        render(column(""))


# --- hostile input -----------------------------------------------------------------------------------------------


def test_ten_megabytes_of_text_are_rendered() -> None:
    text = column("<mj-text>" + "x" * 10_000_000 + "</mj-text>")
    assert len(render(text).text) > 10_000_000
    assert "more than 10,485,760 characters" in fault(text + " " * 500_000).message


def test_what_would_grow_too_large_ends() -> None:
    assert "components" in fault(column("<mj-spacer/>" * 20_000)).message
    assert (
        "images in carousels"
        in fault(column("<mj-carousel>" + '<mj-carousel-image src="a"/>' * 300 + "</mj-carousel>")).message
    )
    head = f'<mj-attributes><mj-all color="{"x" * 10_000}"/></mj-attributes>'
    assert "characters are rendered" in fault(column("<mj-text>x</mj-text>" * 2_000, head)).message


def test_html_too_deep_or_too_much_for_inlining_is_a_fault() -> None:
    style = '<mj-style inline="inline">b { color: red }</mj-style>'
    for deep in ("<b>" * 100_000, "<b></i>" * 100_000):
        assert "within each other" in fault(column(f"<mj-text>{deep}</mj-text>", style)).message
    rules = '<mj-style inline="inline">' + "b{}" * 50_000 + "</mj-style>"
    assert "too many" in fault(column("<mj-text>" + "<br>" * 1_000 + "</mj-text>", rules)).message
    assert render(column("<mj-text>" + "<b>" * 100_000 + "</mj-text>")).text


def test_tags_that_never_end_are_read_once() -> None:
    style = '<mj-style inline="inline">b { color: red }</mj-style>'
    for part in ("<b ", '<a "', "<a title='", "<!--", "</b", "<", "<style>", "&"):
        made = render(column("<mj-text>" + part * 20_000 + "</mj-text>", style))
        assert made.pieces
    assert "never closed" in fault("<mjml " + 'a="' * 100_000).message


TAGS = ["mjml", "mj-head", "mj-body", "mj-section", "mj-column", "mj-text", "mj-raw", "mj-image", "mj-style", "mj-attributes", "mj-include", "b", "br"]  # fmt: skip
BITS = st.one_of(
    st.sampled_from([f"<{tag}>" for tag in TAGS] + [f"</{tag}>" for tag in TAGS] + [f"<{tag} " for tag in TAGS]),
    st.sampled_from(
        ['a="', "css-class='x", "=", '"', "'", "/>", ">", "<!--", "-->", "<![CDATA[", "]]>", "\r\n", "&nbsp;", 'path="a"']
    ),
    st.text(max_size=5),
)


@given(bits=st.lists(BITS, max_size=40))
def test_it_returns_or_raises_the_declared_error(bits: list[str]) -> None:
    for text in (
        "".join(bits),
        column("".join(bits)),
        column(f"<mj-text>{''.join(bits)}</mj-text>", '<mj-style inline="inline">b{a:b}</mj-style>'),
    ):
        try:
            render(text, {"a": "<mj-text>x</mj-text>"})
        except TemplateFault as error:
            assert "\n" not in error.message
            assert error.where is not None


VALUE = st.text(st.characters(exclude_characters="<>", exclude_categories=["Cs"]), max_size=8).map(
    lambda text: text.replace('"', "")
)
COLOR = st.sampled_from(["", "red", "#abc", "rgb(1, 2, 3)"])
LEAF = st.one_of(
    st.builds(
        '<mj-text color="{}" css-class="{}">{}</mj-text>'.format, COLOR, st.sampled_from(["", "a", "a b", "c-outlook"]), VALUE
    ),
    st.builds('<mj-image src="{}" alt="{}" title="{}" width="10px"/>'.format, VALUE, VALUE, VALUE),
    st.builds('<mj-button href="{}" background-color="{}" mj-class="k">{}</mj-button>'.format, VALUE, COLOR, VALUE),
    st.builds("<mj-raw><p>{}<b>{}</b></mj-raw>".format, VALUE, VALUE),
    st.sampled_from(["<mj-divider/>", "<mj-spacer height='3px'/>", "<!-- c -->", "<mj-table><tr><td>x</td></tr></mj-table>"]),
)
COLUMN = st.builds('<mj-column background-color="{}">{}</mj-column>'.format, COLOR, st.lists(LEAF, max_size=4).map("\n".join))
SECTION = st.builds(
    '<mj-section css-class="{}">{}</mj-section>'.format, st.sampled_from(["", "s"]), st.lists(COLUMN, max_size=3).map("\n".join)
)
BODY = st.lists(st.one_of(SECTION, st.builds("<mj-wrapper>{}</mj-wrapper>".format, SECTION)), max_size=3).map("\n".join)


@settings(deadline=None)
@given(body=BODY, inline=st.sampled_from(["", '<mj-style inline="inline">p, td { color: red } .a { margin: 0 }</mj-style>']))
def test_marks_leave_no_trace_and_pieces_are_the_source_s_own(body: str, inline: str) -> None:
    made = render(document(body, f'{inline}<mj-attributes><mj-class name="k" color="#123456"/></mj-attributes>'))
    assert not re.search(r"Zq\d|dlq\d", made.text)
    assert sum(piece.exact for piece in made.pieces) >= body.count("<mj-text")


HTML_BITS = st.one_of(
    st.sampled_from(["<p>", "</p>", "<b class=q id='1'>", "<B>", "</b>", '<a href="?a&b&amp;c" style="x:1">', "</a>", "<br/>", "<table>", "<tr>", "<td align=x>"]),
    st.sampled_from(["<!-- c -->", "<!--[if mso]><b><![endif]-->", "<style>b{}</style>", "<title>t</title>", "&eacute;", "&copy", "\u00a0", "\r\n", "<", "<b ", "<b", '"']),
    st.text(max_size=4),
)  # fmt: skip


@given(bits=st.lists(HTML_BITS, max_size=30))
def test_what_inlining_copies_is_the_document_s_own(bits: list[str]) -> None:
    text = f"<!doctype html><html><head></head><body>{''.join(bits)}</body></html>"
    source = Source("a.html", text)
    css = Source("a.css", "b, td { color: red } .q { margin: 0 }")
    style = reading.Node("mj-style", css, 0, 0, content=(0, len(css.text)), inlined=True)
    whole = Rendered(text, (Piece(0, len(text), "a.html", 0, len(text), copied=True),), {"a.html": source})
    try:
        sound(inlining.inlined(whole, [style]))
    except TemplateFault as error:
        assert error.message.startswith("the inlined styles: ")
