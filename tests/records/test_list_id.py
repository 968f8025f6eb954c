"""List-Id: the identifier, and why a value has none."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.records.list_id import MAX_ID, ListId, ListIdError, parse_list_id


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<news.example.com>", ListId("news.example.com")),
        ("Example News <news.example.com>", ListId("news.example.com", "Example News")),
        ('"a <b> \\" c" <news.example.com>', ListId("news.example.com", '"a <b> \\" c"')),
        ("<a+b.0123.localhost>", ListId("a+b.0123.localhost")),
    ],
)
def test_the_identifier_is_read(text, found):
    assert parse_list_id(text) == found


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("", "empty"),
        ("Example News", "no-brackets"),
        ('"<news.example.com>"', "no-brackets"),
        ("<news.example.com", "no-brackets"),
        ("<news.example.com> x", "after"),
        ("<news. example.com>", "space"),
        ("<news(list).example.com>", "space"),
        (f"<{'a.' * MAX_ID}b>", "length"),
        ("<news..example.com>", "character"),
        ("<>", "character"),
        ("<news>", "no-dot"),
    ],
)
def test_a_value_that_is_none_says_why(text, kind):
    with pytest.raises(ListIdError) as error:
        parse_list_id(text)
    assert error.value.kind == kind


@given(st.text(alphabet=st.sampled_from('<>"\\. ab()é') | st.characters(), max_size=40))
def test_any_value_is_read_or_refused_with_the_declared_error(text):
    with suppress(ListIdError):
        assert "." in parse_list_id(text).id
