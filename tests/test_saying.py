"""What is quoted in a message is short, prints, and says that it goes on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.saying import in_one_line, listed, shortened


@pytest.mark.parametrize(
    ("text", "most", "said"),
    [
        ("", 5, ""),
        ("abcde", 5, "abcde"),
        ("abcdef", 5, "abcd…"),
        ("a\nb", 5, "a<U+000A>b"),
        ("bücher", 6, "bücher"),
        ("a\u202eb\x1b", 9, "a<U+202E>b<U+001B>"),
        ("\ud800", 9, "<U+D800>"),
    ],
)
def test_a_text_is_cut_and_spelled_out(text, most, said):
    assert shortened(text, most) == said


@given(st.text(), st.integers(1, 40))
def test_what_is_said_prints_and_is_bounded(text, most):
    said = shortened(text, most)
    assert said.isprintable()
    assert len(said) <= most * len("<U+10FFFF>")


def test_white_space_says_nothing_in_prose():
    assert in_one_line(" a\r\n  b\tc ", 20) == "a b c"
    assert in_one_line("a " * 100, 4) == "a a…"


def test_a_list_says_how_much_is_left_out():
    assert listed(["a", "b"], 2) == "a, b"
    assert listed(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert listed(["a", "b", "c"], 2, "; ") == "a; b and 1 more"
    assert listed([], 2) == ""
