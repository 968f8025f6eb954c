"""Short texts are remembered; long ones never fill the memory."""

import pytest

from delivcheck.memo import LONGEST, lazy, remembered
from delivcheck.mime.headers import parse_addresses, parse_content_type
from delivcheck.mime.lexer import MAX_VALUE, HeaderError


def test_only_short_texts_are_remembered():
    called = []

    @remembered(4)
    def length(text):
        called.append(text)
        return len(text)

    for text in ("a", "a", "x" * (LONGEST + 1), "x" * (LONGEST + 1)):
        assert length(text) == len(text)
    assert len(called) == 3


@pytest.mark.parametrize(
    ("parse", "value"), [(parse_addresses, "a@b.example, " * 10_000), (parse_content_type, "text/plain; " + "a=b; " * 30_000)]
)
def test_a_value_that_no_receiver_takes_is_refused_and_not_read(parse, value):
    with pytest.raises(HeaderError) as error:
        parse(value)
    assert error.value.position == MAX_VALUE


def test_a_lazy_property_is_worked_out_once_for_each_object():
    class Box:
        def __init__(self, value):
            self.value, self.asked = value, 0

        @lazy
        def double(self):
            """Twice the value."""
            self.asked += 1
            return self.value * 2

    one, other = Box(1), Box(2)
    assert [one.double, one.double, other.double] == [2, 2, 4]
    assert (one.asked, other.asked) == (1, 1)
    assert Box.double.__doc__ == "Twice the value."
