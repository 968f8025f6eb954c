"""The contract's own arithmetic: lines and columns of sources, and the way back from rendered text."""

from hypothesis import given
from hypothesis import strategies as st

from delivcheck.model import Where
from delivcheck.templates.model import EACH, Piece, Rendered, Source, Use, Variable

LETTERS = st.text(st.sampled_from("ab é€\U0001f469\r\n\n\t\0\ud800"), max_size=60)


# --- sources -----------------------------------------------------------------------------------------------------


@given(LETTERS, st.integers(0, 70))
def test_a_place_leads_back_to_its_character(text, at):
    source = Source("a.html", text)
    at = min(at, len(text))
    where = source.where(at)
    assert source.offset(where.line, where.column) == at


@given(LETTERS, st.integers(0, 70), st.integers(0, 70))
def test_the_end_of_a_stretch_is_told_where_it_is_on_the_same_line(text, start, end):
    source = Source("a.html", text)
    start, end = sorted((min(start, len(text)), min(end, len(text))))
    where = source.where(start, end)
    if start < end and "\n" not in text[start : end - 1]:
        assert where.end_column > where.column
        if text[end - 1] != "\n":
            assert source.offset(where.line, where.end_column) == end
    else:
        assert where.end_column is None


@given(LETTERS)
def test_lines_are_counted_as_editors_count_them(text):
    source = Source("a.html", text)
    assert source.line_of(len(text)) == text.count("\n") + 1
    for number, line in enumerate(text.split("\n"), 1):
        start = source.start_of(number)
        assert text[start : start + len(line)] == line


def test_columns_are_octets():
    where = Source("a.html", "x\nÄöü€ {{ name }}").where(7, 17)
    assert (where.line, where.column, where.end_column) == (2, 11, 21)


@given(LETTERS, st.integers(-3, 90), st.integers(1, 90))
def test_places_that_are_not_there_lead_to_somewhere_in_the_text(text, line, column):
    assert 0 <= Source("a.html", text).offset(line, column) <= len(text)


def test_the_name_of_a_variable_is_as_people_write_it():
    at = Where(line=1)
    assert Variable(("order", "items", EACH, "price"), Use.TEXT, at).name == "order.items[].price"
    assert Variable(("tags", EACH), Use.TEXT, at).name == "tags[]"


# --- rendered text -----------------------------------------------------------------------------------------------


@st.composite
def renderings(draw, source, name):
    """A text made of stretches of a source, of values, and of what came from nowhere."""
    text, pieces = "", []
    for _ in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from(["copied", "value", "nowhere"]))
        at = draw(st.integers(0, len(source)))
        until = draw(st.integers(at, len(source)))
        made = source[at:until] if kind == "copied" else draw(st.text("XYZ\n", max_size=6))
        if kind != "nowhere":
            exact = draw(st.booleans())
            pieces.append(Piece(len(text), len(text) + len(made), name, at, until, kind == "copied", exact))
        text += made
    return Rendered(text, tuple(pieces), {name: Source(name, source)})


SOURCE = "Hi {{ name }},\n<p>Grüße\r\n{{ body }}</p>\n"


def assert_true(rendered, texts):
    """Pieces are in order and inside of the text, and what is copied reads the same in its source."""
    end = 0
    for piece in rendered.pieces:
        assert end <= piece.start <= piece.end <= len(rendered.text)
        end = piece.end
        assert 0 <= piece.at <= piece.until <= len(texts[piece.file])
        if piece.copied:
            assert rendered.text[piece.start : piece.end] == texts[piece.file][piece.at : piece.until]


@given(st.data())
def test_through_two_renderings_every_copied_piece_still_reads_as_its_source(data):
    first = data.draw(renderings(SOURCE, "a.j2"))
    second = data.draw(renderings(first.text, "between"))
    both = second.through(first, "between")
    assert both.text == second.text
    assert_true(both, {"a.j2": SOURCE})
    assert "between" not in both.sources


@given(st.data())
def test_a_place_through_two_renderings_is_where_the_two_lead_one_after_the_other(data):
    first = data.draw(renderings(SOURCE, "a.j2"))
    second = data.draw(renderings(first.text, "between"))
    both = second.through(first, "between")
    for at in range(len(second.text)):
        piece, has = second.piece(at)
        if not has or not piece.copied:
            continue
        there = piece.at + at - piece.start
        origin, known = first.piece(there)
        if known and origin.copied:
            expected = first.sources["a.j2"].where(
                origin.at + there - origin.start, approximate=not (origin.exact and piece.exact)
            )
            assert both.where(at) == expected


@given(st.data())
def test_nothing_is_called_exact_that_was_not_in_both(data):
    first = data.draw(renderings(SOURCE, "a.j2"))
    second = data.draw(renderings(first.text, "between"))
    both = second.through(first, "between")
    for piece in both.pieces:
        if piece.exact:
            assert all(second.piece(at)[0].exact for at in range(piece.start, piece.end))


@given(st.data(), st.integers(0, 40))
def test_without_its_first_characters_every_other_keeps_its_place(data, characters):
    made = data.draw(renderings(SOURCE, "a.j2"))
    characters = min(characters, len(made.text))
    rest = made.without(characters)
    assert rest.text == made.text[characters:]
    assert_true(rest, {"a.j2": SOURCE})
    for at in range(len(rest.text)):
        assert rest.piece(at)[1] == made.piece(at + characters)[1]
        if rest.piece(at)[1]:
            assert rest.where(at) == made.where(at + characters)


@given(st.data(), st.integers(0, 60))
def test_what_came_from_nowhere_is_near_its_neighbour_and_says_so(data, at):
    made = data.draw(renderings(SOURCE, "a.j2"))
    piece, has = made.piece(at)
    where = made.where(at)
    if piece is None:
        assert where is None
    elif not has:
        assert where.approximate


def test_a_value_stands_where_the_code_stands_that_printed_it():
    made = Rendered(
        "Hi Bob!",
        (Piece(0, 3, "a", 0, 3, copied=True), Piece(3, 6, "a", 3, 13, copied=False)),
        {"a": Source("a", "Hi {{ name }}!")},
    )
    assert made.where(4) == Where(file="a", line=1, column=4, end_column=14)
    assert made.where(0, 2) == Where(file="a", line=1, column=1, end_column=3)
    assert made.where(0, 5) == Where(file="a", line=1, column=1)  # reaches into the value: no end that is one
    assert made.where(6) == Where(file="a", line=1, column=14, approximate=True)


def test_code_that_another_engine_wrote_stands_where_its_own_code_stands():
    page = Source("a", "{% if x %}<mj-text>{{ y }}</mj-text>{% endif %}")
    first = Rendered(
        "<mj-text>7</mj-text>",
        (
            Piece(0, 9, "a", 10, 19, copied=True),
            Piece(9, 10, "a", 19, 26, copied=False),
            Piece(10, 20, "a", 26, 36, copied=True),
        ),
        {"a": page},
    )
    second = Rendered(
        "<td>7</td>",
        (Piece(0, 4, "b", 0, 9, copied=False), Piece(4, 5, "b", 9, 10, copied=True)),
        {"b": Source("b", first.text)},
    )
    both = second.through(first, "b")
    assert both.where(1) == Where(file="a", line=1, column=11, end_column=20)
    assert both.where(4) == Where(file="a", line=1, column=20, end_column=27)
