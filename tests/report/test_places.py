"""Columns: from octets to UTF-16 code units."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.model import Where
from delivcheck.report.places import File, Place, located
from tests.report.forms import failing

TEXT = st.text(alphabet=st.sampled_from("aß東\U0001f600\t "), max_size=12)


class Line:
    """Files of one line each."""

    def __init__(self, octets):
        self.octets = octets

    def find(self, name):
        return File(name)

    def line(self, name, number):
        return self.octets


@given(TEXT, TEXT, TEXT)
def test_a_stretch_of_octets_is_the_same_stretch_of_code_units(before, inside, after):
    line = (before + inside + after).encode()
    start = len(before.encode()) + 1
    where = Where(file="a", line=2, column=start, end_column=start + len(inside.encode()))
    place = located(where, failing(), Line(line))
    units = line.decode().encode("utf-16-le")
    assert place.column == len(before.encode("utf-16-le")) // 2 + 1
    if inside:
        assert units[2 * (place.column - 1) : 2 * (place.end_column - 1)].decode("utf-16-le") == inside
    else:
        assert place.end_column is None


@given(st.binary(max_size=12), st.integers(-3, 20), st.integers(-3, 20))
def test_no_column_is_told_that_the_line_does_not_have(line, column, end):
    place = located(Where(file="a", line=1, column=column, end_column=end), failing(), Line(line))
    for told in (place.column, place.end_column):
        assert told is None or 1 <= told <= len(line) + 1


@pytest.mark.parametrize(
    ("place", "said"), [(Place(File("a")), "a"), (Place(File("a"), 3), "a:3"), (Place(File("a"), 3, 4), "a:3:4")]
)
def test_a_place_reads_as_editors_take_it(place, said):
    assert str(place) == said
