"""CSS as it is written: declarations and blocks with their places."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.mime.css_source import MAX_BLOCKS, MAX_DECLARATIONS, blocks, declarations, without_comments


def written(text):
    """Names and values, each found again at its place."""
    found = list(declarations(text))
    assert all(text[one.start :].lower().startswith(one.name) for one in found)
    return [(one.name, one.value) for one in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("color: red; WIDTH:10PX", [("color", "red"), ("width", "10px")]),
        (" margin:0 auto !important;", [("margin", "0 auto")]),
        (
            "background:url(data:image/png;base64,xx); color:red",
            [("background", "url(data:image/png;base64,xx)"), ("color", "red")],
        ),
        ("content:'a;b'; top:0", [("content", "'a;b'"), ("top", "0")]),
        ('content:"a\\";b"; top:0', [("content", '"a\\";b"'), ("top", "0")]),
        ("a:b);c:d", [("a", "b)"), ("c", "d")]),
        ("a:(b;c:d", [("a", "(b;c:d")]),  # a bracket that stays open takes the rest, as in a browser
        ("nothing; :x; ;", []),
    ],
)
def test_declarations_end_where_a_browser_ends_them(text, found):
    assert written(text) == found


def test_so_many_declarations_are_read_and_no_more():
    assert len(list(declarations("a:b;" * (MAX_DECLARATIONS + 5)))) == MAX_DECLARATIONS
    assert len(list(declarations("a:(b);" * (MAX_DECLARATIONS + 5)))) == MAX_DECLARATIONS


@pytest.mark.parametrize("text", ["a/*;b:c*/:d", "<!-- a{b:c} -->", "/* no end", "a:b"])
def test_places_stay_where_comments_go(text):
    assert len(without_comments(text)) == len(text)
    assert "/*" not in without_comments(text)
    assert "--" not in without_comments(text)


def found(text):
    """Of each block what it is for, its declarations, whether it is conditional and nested; places hold."""
    made = list(blocks(text))
    assert all(text[block.start :].startswith(block.head) for block in made)
    assert all(text[one.start :].startswith(one.name) for block in made for one in block.declarations)
    return [
        (block.head, [f"{one.name}:{one.value}" for one in block.declarations], block.conditional, block.nested)
        for block in made
    ]


@pytest.mark.parametrize(
    ("sheet", "what"),
    [
        ("a { b:c }\np, .d{e:f;g:h}", [("a", ["b:c"], False, False), ("p, .d", ["e:f", "g:h"], False, False)]),
        ("@import 'x'; a{b:c}", [("a", ["b:c"], False, False)]),
        ("@media screen { a{b:c} }", [("a", ["b:c"], False, False)]),
        ("@media (max-width:600px){ a{b:c} } d{e:f}", [("a", ["b:c"], True, False), ("d", ["e:f"], False, False)]),
        ("@media screen{@supports (x:y){a{b:c}}}", [("a", ["b:c"], True, False)]),
        ("@font-face{font-family:x}", [("@font-face", ["font-family:x"], False, False)]),
        ("a{b:c; &:hover{d:e} f:g}", [("&:hover", ["d:e"], False, True), ("a", ["b:c", "f:g"], False, False)]),
        ("a{& b{d:e}}", [("& b", ["d:e"], False, True), ("a", [], False, False)]),
        ("a{b:'}'} c{d:e}", [("a", ["b:'}'"], False, False), ("c", ["d:e"], False, False)]),
        ("} a{b:c", []),
    ],
)
def test_blocks_are_told_with_what_stands_around_them(sheet, what):
    assert found(sheet) == what


def test_so_many_blocks_are_read_and_no_more():
    assert len(list(blocks("a{b:c}" * (MAX_BLOCKS + 5)))) == MAX_BLOCKS


@given(st.text("ab:;{}()'\"/*\\@-!<> \n", max_size=80))
def test_whatever_stands_in_a_sheet_it_is_read(text):
    """It returns, and raises nothing; places are in the text."""
    assert all(0 <= one.start <= len(text) for one in declarations(text))
    assert all(0 <= one.start <= len(text) for block in blocks(text) for one in block.declarations)
