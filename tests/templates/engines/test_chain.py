"""Engines one after the other, and the way back through all of them."""

from pathlib import Path

import pytest

from delivcheck.model import Where
from delivcheck.templates.engines.chain import BETWEEN, Chain, then
from delivcheck.templates.engines.included import included
from delivcheck.templates.engines.registry import engine
from delivcheck.templates.model import Host, Piece, Rendered, Source, TemplateFault, TemplateMissing
from delivcheck.templates.sources import FileSources

PAGE = """\
<mjml>
  <mj-body>
    {% for item in items %}
    <mj-section><mj-column>
      <mj-text>Grüße {{ item.name }}, <b>yours</b></mj-text>
    </mj-column></mj-section>
    {% endfor %}
    {% include "foot.mjml.j2" %}
  </mj-body>
</mjml>
"""
FOOT = """\
<mj-section><mj-column>
  <mj-text>{{ shop }} in Berlin</mj-text>
</mj-column></mj-section>
"""


@pytest.fixture
def sources(tmp_path):
    (tmp_path / "page.mjml.j2").write_text(PAGE)
    (tmp_path / "foot.mjml.j2").write_text(FOOT)
    return FileSources([tmp_path])


def rendered(sources, data, page=None):
    source = sources.open(sources.roots[0] / "page.mjml.j2", "page.mjml.j2")
    if page is not None:
        source = Source(source.name, page, source.path)
    return engine("jinja2+mjml", Host()).render(source, data, sources, html=True)


DATA = {"items": [{"name": "Oak"}, {"name": "Elm"}], "shop": "Wood & Co"}


@pytest.mark.parametrize(
    ("words", "line"),
    [("Grüße", 5), ("Oak", 5), ("Elm", 5), ("yours", 5), ("Wood", 2), ("Berlin", 2)],
)
def test_text_of_mjml_that_jinja2_writes_is_on_its_line(sources, words, line):
    made = rendered(sources, DATA)
    where = made.where(made.text.index(words))
    assert where.line == line
    assert where.file.endswith("foot.mjml.j2" if line == 2 else "page.mjml.j2")
    assert not where.approximate


def test_nothing_of_what_stands_between_is_told(sources):
    made = rendered(sources, DATA)
    assert not [name for name in made.sources if BETWEEN in name]
    for at in range(0, len(made.text), 7):
        assert BETWEEN not in made.where(at).file


def test_the_variables_are_those_of_the_first_engine(sources):
    source = sources.open(sources.roots[0] / "page.mjml.j2", "page.mjml.j2")
    assert {one.name for one in engine("jinja2+mjml", Host()).variables(source, sources)} >= {"items[].name", "shop"}


def test_what_the_second_engine_refuses_is_on_the_line_of_the_template(sources):
    page = PAGE.replace("</mj-column></mj-section>\n    {% endfor", "</mj-section>\n    {% endfor")
    with pytest.raises(TemplateFault) as caught:
        rendered(sources, DATA, page)
    where = caught.value.where
    assert where.file == "page.mjml.j2"
    assert 4 <= where.line <= 7
    assert "\n" not in caught.value.message


OUTER = "<mjml><mj-body>\n<mj-include path='part' />\n</mj-body></mjml>\n"
PART = "<mj-section><mj-column>\n  <mj-text>Grüße {{ name }}, yours</mj-text>\n<mj-include path='./deep/far.mjml' /></mj-column></mj-section>\n"
FAR = "<mj-text>Far\n {{ shop }}</mj-text>"


def included_by(tmp_path, **files):
    """The source that includes the others, and where they are found."""
    written = {"outer": OUTER, "part": PART, "deep/far": FAR, **files}
    for name, text in written.items():
        path = tmp_path / f"{name}.mjml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    sources = FileSources([tmp_path])
    return sources.open(tmp_path / "outer.mjml", "outer.mjml"), sources


VALUES = {"name": "Oak", "shop": "Wood"}


@pytest.mark.parametrize(
    ("words", "file", "line", "column"),
    [
        ("Grüße", "part.mjml", 2, 12),
        ("Oak", "part.mjml", 2, 20),
        (", yours", "part.mjml", 2, 30),
        ("Far", "far.mjml", 1, 10),
        ("Wood", "far.mjml", 2, 2),
    ],
)
def test_text_of_included_files_that_the_first_engine_writes_is_where_it_stands(tmp_path, words, file, line, column):
    source, sources = included_by(tmp_path)
    made = engine("jinja2+mjml", Host()).render(source, VALUES, sources, html=True)
    where = made.where(made.text.index(words))
    assert where.file.endswith(file)
    assert (where.line, where.column, where.approximate) == (line, column, False)
    assert not [name for name in made.sources if BETWEEN in name]


def test_included_files_without_code_are_taken_as_they_are(tmp_path):
    source, sources = included_by(
        tmp_path, part="<mj-section><mj-column><mj-text>\nno code }}</mj-text></mj-column></mj-section>"
    )
    made = engine("jinja2+mjml", Host()).render(source, VALUES, sources, html=True)
    where = made.where(made.text.index("no code"))
    assert (where.file.rpartition("/")[2], where.line, where.column) == ("part.mjml", 2, 1)


def test_the_variables_are_those_of_included_files_too(tmp_path):
    source, sources = included_by(tmp_path)
    found = {one.name: one.at for one in engine("jinja2+mjml", Host()).variables(source, sources)}
    assert found.keys() == {"name", "shop"}
    assert (found["shop"].file.rpartition("/")[2], found["shop"].line) == ("far.mjml", 2)


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("part", "<mj-section>\n{{ 1 // 0 }}</mj-section>", 2),
        ("part", "<mj-section>\n{% if %}</mj-section>", 2),
        ("part", "<mj-section><mj-column>\n{{ name }}<mj-text>x</mj-section>", 2),
        ("deep/far", "<mj-text>{{ name }}\n{% include 'gone' %}</mj-text>", 2),
        ("deep/far", "{{ '' }}\n\n<mj-include path='gone' />", 3),
    ],
)
def test_faults_of_included_files_are_on_their_lines(tmp_path, name, text, line):
    source, sources = included_by(tmp_path, **{name: text})
    with pytest.raises(TemplateFault) as caught:
        engine("jinja2+mjml", Host()).render(source, VALUES, sources, html=True)
    assert caught.value.where.file.endswith(f"{name.rpartition('/')[2]}.mjml")
    assert caught.value.where.line == line
    assert BETWEEN not in caught.value.message


# --- what is included, without reading it ------------------------------------------------------------------------


def test_every_included_file_is_found_once_with_what_it_includes(tmp_path):
    source, sources = included_by(
        tmp_path, outer=OUTER + OUTER + "<mj-include path=\"gone\" /><MJ-INCLUDE css-class='x' path = 'part.mjml'>"
    )
    assert [one.path.name for one in included(source, sources)] == ["part.mjml", "far.mjml"]


def test_circles_of_includes_end(tmp_path):
    source, sources = included_by(tmp_path, part=OUTER.replace("part", "outer"))
    assert [one.path.name for one in included(source, sources)] == ["part.mjml"]


@pytest.mark.parametrize(
    "text",
    ["<mj-include " * 20_000, "<mj-include path=" * 20_000, "<mj-include path='" * 20_000, "<mj-include path" + " " * 100_000],
)
def test_hostile_includes_take_no_time(text):
    assert list(included(Source("a", text), FileSources(()))) == []


class Refusing:
    """An engine that cannot."""

    name = "refusing"

    def __init__(self, where):
        self.where = where

    def render(self, source, data, sources, *, html):
        where = self.where
        if where is not None and where.file == "":
            where = Where(file=source.name, line=where.line, column=where.column)
        raise TemplateMissing("no", where)


FIRST = Rendered(
    "one\nzwei ü three\n", (Piece(0, 17, "a", 5, 22, copied=True),), {"a": Source("a", "xxxx\none\nzwei ü three\n")}
)


@pytest.mark.parametrize(
    ("where", "led"),
    [
        (Where(file="", line=2, column=9), Where(file="a", line=3, column=9)),
        (Where(file="", line=2), Where(file="a", line=3)),
        (Where(file="", line=99), Where(file="a", line=4)),
        (Where(file=""), None),
        (Where(file="part.mjml", line=7), Where(file="part.mjml", line=7)),
        (None, None),
    ],
)
def test_faults_are_led_back(where, led):
    with pytest.raises(TemplateFault) as caught:
        then(Refusing(where), FIRST, Source("a", "", Path("a")), FileSources(()), html=True)
    found = caught.value.where
    if led is None:
        assert found is None
    else:
        assert (found.file, found.line) == (led.file, led.line)
        assert found.column == led.column or where.line == 99


def test_a_chain_of_three():
    class Upper:
        name = "upper"

        def render(self, source, data, sources, *, html):
            text = source.text.upper()
            return Rendered(text, (Piece(0, len(text), source.name, 0, len(text), copied=True),), {source.name: source})

    chain = Chain([engine("jinja2", Host()), Upper(), Upper()])
    made = chain.render(Source("a", "hi\n{{ x }}!"), {"x": "bob"}, FileSources(()), html=False)
    assert (chain.name, made.text) == ("jinja2+upper+upper", "HI\nBOB!")
    assert made.where(4) == Where(file="a", line=2, column=1, end_column=8)
    assert made.where(6) == Where(file="a", line=2, column=8)
