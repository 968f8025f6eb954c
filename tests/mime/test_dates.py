"""Dates: RFC 5322's forms, its obsolete ones flagged, everything else refused."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.mime.dates import ObsoleteDate, parse_date
from delivcheck.mime.lexer import HeaderError
from tests.mime.outcomes import is_inside, outcome


@pytest.mark.parametrize(
    ("value", "utc"),
    [
        ("Fri, 21 Nov 1997 09:55:06 -0600", "1997-11-21T15:55:06"),
        ("21 Nov 1997 09:55:06 -0600", "1997-11-21T15:55:06"),
        ("Fri, 21 Nov 1997 09:55 -0600", "1997-11-21T15:55:00"),
        ("fri,21 nov 1997 09:55:06 +0530", "1997-11-21T04:25:06"),
        ("Tue, 1 Jul 2003 10:52:37 +0200 (CEST)", "2003-07-01T08:52:37"),
        ("Thu, 01 Jan 2026 00:00:00 -0000", "2026-01-01T00:00:00"),
        ("Sat, 31 Dec 2016 23:59:60 +0000", "2017-01-01T00:00:00"),
        ("Thu, 29 Feb 2024 00:00:00 +0000", "2024-02-29T00:00:00"),
        ("Thu,\r\n 13\r\n Feb 1969 23:32 -0330", "1969-02-14T03:02:00"),
    ],
)
def test_a_date_is_a_moment(value: str, utc: str) -> None:
    found = parse_date(value)
    assert found.moment.astimezone(UTC).replace(tzinfo=None).isoformat() == utc
    assert found.obsolete == ()


def test_minus_zero_says_nothing_of_the_place_and_second_sixty_is_told() -> None:
    assert parse_date("1 Jan 2026 00:00:00 -0000").unknown_zone
    assert not parse_date("1 Jan 2026 00:00:00 +0000").unknown_zone
    assert parse_date("31 Dec 2016 23:59:60 +0000").leap_second
    commented = parse_date(" (a) 1 Jan 2026 00:00:00 +0000 (b)")
    assert commented.comments == ("a", "b")
    assert " (a) 1 Jan 2026 00:00:00 +0000 (b)"[slice(*commented.span)] == "1 Jan 2026 00:00:00 +0000"


@pytest.mark.parametrize(
    ("value", "forms", "year", "offset_minutes"),
    [
        ("21 Nov 97 09:55:06 GMT", {ObsoleteDate.SHORT_YEAR, ObsoleteDate.NAMED_ZONE}, 1997, 0),
        ("21 Nov 26 09:55:06 +0000", {ObsoleteDate.SHORT_YEAR}, 2026, 0),
        ("21 Nov 126 09:55:06 +0000", {ObsoleteDate.SHORT_YEAR}, 2026, 0),
        ("21 Nov 1997 09(comment):55:06 EST", {ObsoleteDate.NAMED_ZONE, ObsoleteDate.COMMENT_INSIDE}, 1997, -300),
        ("21 Nov 1997 09:55:06 PDT", {ObsoleteDate.NAMED_ZONE}, 1997, -420),
        ("21 Nov 1997 09:55:06 Z", {ObsoleteDate.NAMED_ZONE}, 1997, 0),
        ("21 Nov 1997 09 : 55 : 06 +0100", set(), 1997, 60),
    ],
)
def test_obsolete_forms_are_read_and_flagged(value: str, forms: set[ObsoleteDate], year: int, offset_minutes: int) -> None:
    found = parse_date(value)
    assert set(found.obsolete) == forms
    assert found.moment.year == year
    assert found.moment.utcoffset() == timedelta(minutes=offset_minutes)


def test_military_zones_say_nothing() -> None:
    assert parse_date("21 Nov 1997 09:55:06 A").unknown_zone
    assert not parse_date("21 Nov 1997 09:55:06 Z").unknown_zone


@pytest.mark.parametrize(
    ("value", "position"),
    [
        ("", 0),
        ("Thu, 21 Nov 1997 09:55:06 -0600", 0),
        ("Foo, 21 Nov 1997 09:55:06 -0600", 0),
        ("Fri 21 Nov 1997 09:55:06 -0600", 4),
        ("Fri, 32 Nov 1997 09:55:06 -0600", 5),
        ("30 Feb 2026 09:55:06 -0600", 0),
        ("0 Feb 2026 09:55:06 -0600", 0),
        ("100 Feb 2026 09:55:06 -0600", 0),
        ("21 11 1997 09:55:06 -0600", 3),
        ("21 Foo 1997 09:55:06 -0600", 3),
        ("21 Nov 1899 09:55:06 -0600", 7),
        ("21 Nov 12345 09:55:06 -0600", 7),
        ("21 Nov 1 09:55:06 -0600", 7),
        ("21 Nov x 09:55:06 -0600", 7),
        ("21 Nov 1997 24:00:00 -0600", 12),
        ("21 Nov 1997 09:60:00 -0600", 12),
        ("21 Nov 1997 09:55:61 -0600", 12),
        ("21 Nov 1997 9:55:06 -0600", 12),
        ("21 Nov 1997 0955 -0600", 12),
        ("21 Nov 1997 09:55:06", 20),
        ("21 Nov 1997 09:55:06 -600", 21),
        ("21 Nov 1997 09:55:06 -0660", 21),
        ("21 Nov 1997 09:55:06 +2400", 21),
        ("21 Nov 1997 09:55:06 CET", 21),
        ("21 Nov 1997 09:55:06 J", 21),
        ("21 Nov 1997 09:55:06 -0600 x", 27),
        ("1997-11-21T09:55:06Z", 0),
        ("31 Dec 9999 23:59:59 -0100", 7),
        ("31 Dec 9999 23:59:60 +0000", 7),
        ("21 Nov 1997 09:55:06 -0600 (open", 27),
    ],
)
def test_what_is_no_date_is_refused_where_it_stops_being_one(value: str, position: int) -> None:
    with pytest.raises(HeaderError) as caught:
        parse_date(value)
    assert caught.value.position == position


PIECES = st.sampled_from(
    [
        "Mon",
        "Tue",
        ",",
        " ",
        "1",
        "21",
        "Nov",
        "2026",
        "26",
        "09:55:06",
        ":",
        "60",
        "+0000",
        "-9959",
        "GMT",
        "Z",
        "(",
        ")",
        "(c)",
        "\\",
        "x",
        "٣",
    ]
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=15).map(" ".join)))
def test_it_returns_or_raises_header_error_with_a_position_inside(value: str) -> None:
    found = outcome(parse_date, value)
    assert is_inside(found, value) if isinstance(found, HeaderError) else found.moment.tzinfo is not None


@given(st.datetimes(min_value=datetime(1900, 1, 2), max_value=datetime(9999, 12, 30)), st.integers(-23 * 60, 23 * 60))  # noqa: DTZ001 -- the strategy wants naive ends
def test_what_the_standard_library_writes_is_read_as_it_reads_it(moment: datetime, minutes: int) -> None:
    from datetime import timezone

    text = format_datetime(moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes))))
    assert parse_date(text).moment == parsedate_to_datetime(text)
