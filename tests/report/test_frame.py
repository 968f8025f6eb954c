"""The marked line: whatever the line is, the mark stands under what it marks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.report import frame
from delivcheck.report.paint import Paint, cells, visible

WIDE = Paint(columns=120)


def marked(lines, gutter):
    """What stands above the carets, by cells."""
    source, carets = (line.removeprefix(gutter) for line in lines)
    start, end = carets.index("^"), len(carets)
    column, found = 0, ""
    for character in source:
        if start <= column < end:
            found += character
        column += cells(character)
    return found


@pytest.mark.parametrize(
    ("line", "mark", "above"),
    [
        (b"Subject: hello", (9, 14), "hello"),
        ("Subject: 東京 hello".encode(), (16, 21), "hello"),
        ("Subject: 東京 hello".encode(), (9, 15), "東京"),
        (b"\tto : x", (4, 5), ":"),
        (b"a\x1bb", (1, 2), "␛"),
        (b"caf\xe9 x", (3, 4), "<E9>"),
        (b"x" * 500 + b"MARK" + b"y" * 500, (500, 504), "MARK"),
        ("é".encode() * 500 + b"MARK" + "é".encode() * 500, (1000, 1004), "MARK"),
        (b"MARK" + b"y" * 500, (0, 4), "MARK"),
        (b"x" * 500 + b"MARK", (500, 504), "MARK"),
    ],
)
def test_the_mark_stands_under_its_octets(line, mark, above):
    assert marked(frame.of_octets(line, mark, Paint(), "   3 │ "), "   3 │ ") == above


def test_a_mark_behind_the_end_points_there():
    assert frame.of_octets(b"abc", (3, 4), Paint(), "| ") == ["| abc", "|    ^"]
    assert frame.of_octets(b"", (0, 1), Paint(), "| ") == ["| ", "| ^"]


def test_a_mark_longer_than_the_screen_is_shown_from_its_beginning():
    source, carets = frame.of_octets(b"ab" * 400, (10, 700), Paint(), "| ")
    assert cells(source) <= 80
    assert source.endswith("…")
    assert carets.count("^") > 60


def test_a_span_of_a_record_counts_characters():
    assert marked(frame.of_text("v=spf1 ünt include:x -all", (11, 20), Paint(), "│ "), "│ ") == "include:x"


def test_ascii_keeps_the_mark_in_place():
    lines = frame.of_octets("東京 ".encode() * 60 + b"MARK" + b" y" * 60, (420, 424), Paint(unicode=False), "| ")
    assert all(line.isascii() for line in lines)
    assert marked(lines, "| ") == "MARK"


@given(st.binary(max_size=2000), st.integers(0, 2100), st.integers(0, 300), st.booleans())
def test_any_line_with_any_mark_fits_the_screen(line, start, length, unicode):
    paint = Paint(unicode=unicode)
    source, carets = frame.of_octets(line, (start, start + length), paint, "   3 │ ")
    assert cells(source) <= 80
    assert cells(carets) <= 80
    assert carets.count("^") >= 1
    assert visible(source) == source


@given(st.text(max_size=500), st.integers(0, 600), st.integers(0, 100))
def test_any_record_with_any_span_fits_the_screen(record, start, length):
    for line in frame.of_text(record, (start, start + length), Paint(), "     │ "):
        assert cells(line) <= 80


def test_a_line_of_a_million_octets_is_not_measured_whole():
    line = b"x" * 5_000_000
    source, _ = frame.of_octets(line, (2_500_000, 2_500_004), WIDE, "| ")
    assert source.startswith("| …x")
