"""Characters made visible, measured and wrapped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.report.paint import Paint, cells, to_ascii, visible, wrapped


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[31mred", "␛[31mred"),
        ("a\r\nb\0", "a␍␊b␀"),
        ("a\tb", "a b"),
        ("\x7f", "␡"),
        ("\x85\x9b", "<U+0085><U+009B>"),
        ("\u202egpj.exe", "<U+202E>gpj.exe"),
        ("a\u200bb\ufeff", "a<U+200B>b<U+FEFF>"),
        ("a\u00a0b", "a<U+00A0>b"),
        ("\u2028", "<U+2028>"),
        ("\udce9t\udce9", "<E9>t<E9>"),
        ("\ud800", "<U+D800>"),
        ("bücher 東京", "bücher 東京"),
    ],
)
def test_what_a_terminal_would_obey_is_spelt_out(given, shown):
    assert visible(given) == shown


@pytest.mark.parametrize(("text", "wide"), [("abc", 3), ("東京", 4), ("\u00e9", 1), ("e\u0301", 1), ("👍", 2)])
def test_cells_are_those_of_the_terminal(text, wide):
    assert cells(text) == wide


@given(st.text())
def test_ascii_is_ascii(text):
    assert to_ascii(visible(text)).isascii()


def test_typography_has_a_likeness():
    assert to_ascii("│ ┌─ “x” … → 1 ≥ 2 · ␛") == '| +- "x" ... -> 1 >= 2 - ^['


@given(st.text(st.characters(categories=("L", "Zs")), max_size=200), st.integers(20, 100))
def test_wrapping_loses_no_word_and_keeps_to_the_width(text, width):
    lines = wrapped(text, width, "fix ")
    assert "".join(lines).removeprefix("fix ").split() or not text.split()
    assert " ".join(lines).removeprefix("fix ").split() == text.split()
    assert all(cells(line) <= width or len(line.split()) <= 2 for line in lines)


def test_colour_wraps_only_when_it_is_wanted():
    assert Paint()("error", "no") == "no"
    assert Paint(colour=True)("error", "no") == "\x1b[1;31mno\x1b[0m"
    assert Paint(columns=40).width == 80
    assert Paint(columns=300).width == 120
