"""Message identifiers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.mime.identifiers import Identifier, parse_identifier, parse_identifiers
from delivcheck.mime.lexer import HeaderError
from tests.mime.outcomes import is_inside, outcome


@pytest.mark.parametrize(
    ("value", "left", "right", "obsolete"),
    [
        ("<1234@local.machine.example>", "1234", "local.machine.example", False),
        (" <a.b-c@d> (comment) ", "a.b-c", "d", False),
        ("<a@[192.0.2.1]>", "a", "[192.0.2.1]", False),
        ('<"quoted left"@d.example>', '"quoted left"', "d.example", True),
        ("<a@exämple.de>", "a", "exämple.de", False),
    ],
)
def test_an_identifier_has_two_sides(value: str, left: str, right: str, obsolete: bool) -> None:
    found = parse_identifier(value)
    assert (found.left, found.right, found.obsolete) == (left, right, obsolete)
    assert value[slice(*found.span)] == found.text


@pytest.mark.parametrize(
    ("value", "position"),
    [
        ("", 0),
        ("a@b", 0),
        ("<a>", 2),
        ("<a@>", 3),
        ("<@b>", 1),
        ("<>", 1),
        ("<", 1),
        ("<a", 2),
        ("<a@", 3),
        ("<a@b", 4),
        ("<a b@c>", 2),
        ("<a@b c>", 4),
        ("<a@b@c>", 4),
        ("<a@b> x", 6),
        ("<a@b> <c@d>", 6),
        ("< a@b>", 1),
        ("<a..b@c>", 2),
        ("<a@b>(open", 5),
    ],
)
def test_what_is_no_identifier_is_refused_where_it_stops_being_one(value: str, position: int) -> None:
    with pytest.raises(HeaderError) as caught:
        parse_identifier(value)
    assert caught.value.position == position


def test_references_are_a_list() -> None:
    assert [found.text for found in parse_identifiers("<a@b>\t<c@d> (x)\r\n <e@f>")] == ["<a@b>", "<c@d>", "<e@f>"]
    for value in ("", "<a@b>, <c@d>", "<a@b> junk"):
        with pytest.raises(HeaderError):
            parse_identifiers(value)


@given(
    st.one_of(st.text(), st.lists(st.sampled_from(["<", ">", "@", "a", ".", " ", "[", "]", '"', "\\", "(", ")"])).map("".join))
)
def test_it_returns_or_raises_header_error_with_a_position_inside(value: str) -> None:
    for parse in (parse_identifier, parse_identifiers):
        found = outcome(parse, value)
        assert isinstance(found, Identifier | tuple) or is_inside(found, value)
