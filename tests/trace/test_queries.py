"""The words in which people look for mail: read as they were meant, or refused in one line with the place."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.trace.model import Kind
from delivcheck.trace.queries import KEYS, MAX_QUERY, BadQuery, Query, parse_query

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = 86_400_000


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", Query()),
        ("  \t\n ", Query()),
        ("to:Bob@EXAMPLE.org", Query(recipient="bob@example.org")),
        ("to:<Bob@EXAMPLE.org>", Query(recipient="bob@example.org")),
        ("to:@bücher.example", Query(recipient="@xn--bcher-kva.example")),
        ("bob@example.org", Query(recipient="bob@example.org")),
        ("<1@example.com>", Query(message_id="<1@example.com>")),
        ("01KC3X9QF5", Query(trace="01KC3X9QF5")),
        ("01kc3x9qf5j8", Query(trace="01KC3X9QF5J8")),
        ("invoice", Query(subject=("invoice",))),
        ("invoices for", Query(subject=("invoices", "for"))),
        ('"invoice 17"', Query(subject=("invoice 17",))),
        ('tag:"two words" tag:b', Query(tags=("two words", "b"))),
        ("status:BOUNCED event:opened event:sent", Query(state=Kind.BOUNCED, kinds=(Kind.OPENED, Kind.SENT))),
        ("verdict:none", Query(verdict="")),
        ("domain:EXAMPLE.com domain-not-a-key", Query(from_domain="example.com", subject=("domain-not-a-key",))),
        ("https://example.com/x", Query(subject=("https://example.com/x",))),
        ("message-id:a@b", Query(message_id="a@b")),
        ("since:24h", Query(since=1_795_435_200_000 - DAY)),
        ("since:2d until:1d", Query(since=1_795_435_200_000 - 2 * DAY, until=1_795_435_200_000 - DAY)),
        ("since:2026-11-23", Query(since=1_795_435_200_000 - DAY // 2)),
        ("since:2026-11-23T13:00+01:00", Query(since=1_795_435_200_000)),
        ('tag:a"b', Query(tags=('a"b',))),
        ("rule:a/b rule:c/d", Query(rules=("a/b", "c/d"))),
    ],
)
def test_a_query_is_read_as_it_was_meant(text, query):
    assert parse_query(text, NOW) == query


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        ("stat:bounced", 0, "no key 'stat'"),
        ("a status:gone", 2, "'gone' is none of accepted"),
        ("verdict:good", 0, "none of pass"),
        ("to:bob", 0, "for all of a domain say @bob"),
        ("stream:a stream:b", 9, "is given twice"),
        ("stream:", 0, "without a value"),
        ('stream:""', 0, "without a value"),
        ('"open', 0, "quotation mark that nothing closes"),
        ('tag:"a"b', 7, "quotation mark"),
        ("since:yesterday", 0, "neither a span"),
        ("until:2d since:1d", 0, "not before"),
        ("trace:UUUU", 0, "no trace id"),
        ("x" * (MAX_QUERY + 1), 0, "more than"),
        ("a " * 40, 64, "more than 32 terms"),
    ],
)
def test_what_is_no_query_is_refused_with_its_place(text, at, said):
    with pytest.raises(BadQuery, match=said) as caught:
        parse_query(text, NOW)
    assert "\n" not in str(caught.value)
    assert caught.value.at == at


@given(
    st.text(max_size=300)
    | st.lists(st.sampled_from([*(f"{key}:" for key in KEYS), '"', " ", "a", "@", "2d", "\0", "0"])).map("".join)
)
def test_it_returns_or_raises_bad_query(text):
    try:
        assert isinstance(parse_query(text, NOW), Query)
    except BadQuery as error:
        assert 0 <= error.at <= len(text)
        assert str(error)
