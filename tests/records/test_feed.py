"""Figures are read from what people have, and what cannot be read is told with its line."""

import re
from contextlib import suppress
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.records import feed
from delivcheck.records.feed import Feed, FeedError, FeedRow, parse_feed

DAY = date(2026, 11, 20)


def rows(text):
    return parse_feed(text.encode() if isinstance(text, str) else text).rows


@pytest.mark.parametrize(
    ("text", "row"),
    [
        ("date,sent\n2026-11-20,10\n", FeedRow(DAY, sent=10, line=2)),
        ('Date;Domain;Volume\n20261120;Example.ORG;"1,234,567"\n', FeedRow(DAY, "example.org", sent=1234567, line=2)),
        ("date\tspam rate\n2026-11-20T00:00:00Z\t0,3 %\n", FeedRow(DAY, complaint_rate=0.003, line=2)),
        ("day,User-reported spam rate\n2026-11-20,.004\n", FeedRow(DAY, complaint_rate=0.004, line=2)),
        ("\ufeffdate,sent,colour\n2026-11-20,10,red\n", FeedRow(DAY, sent=10, line=2)),
        (
            "date,ip,mail-from,sent\n2026-11-20,2001:DB8::0001,a@B.example,10\n",
            FeedRow(DAY, ip="2001:db8::1", mail_from="b.example", sent=10, line=2),
        ),
        ("date,provider,delivered\n\n2026-11-20,GMAIL.com.,10\n,,\n", FeedRow(DAY, provider="gmail.com", delivered=10, line=3)),
        (
            '[{"date": "2026-11-20", "hard-bounces": 3, "d": "x.example"}, {"date": "2026-11-20"}]',
            FeedRow(DAY, dkim_domain="x.example", hard_bounces=3),
        ),
        ('{"days": [{"date": "2026-11-20", "sent": 5, "complaints": "1"}]}', FeedRow(DAY, sent=5, complaints=1)),
        (
            '{"trafficStats": [{"name": "domains/example.org/trafficStats/20261120", "userReportedSpamRatio": 0}, {"name": "domains/a.b/trafficStats/20261121"}]}',
            FeedRow(DAY, "example.org", "gmail.com", complaint_rate=0.0),
        ),
        (
            '{"results": [{"error": {"code": 7}}, {"response": {"domainStats": [{"name": "domains/example.org/domainStats/a", "metric": "SPAM_RATE", "date": {"year": 2026, "month": 11, "day": 20}, "value": {"doubleValue": 0.001}}]}}]}',
            FeedRow(DAY, "example.org", "gmail.com", complaint_rate=0.001),
        ),
        (
            """{"domainStats": [
                {"name": "domains/example.org/domainStats/a", "metric": "feedback_loop_spam_rate", "value": {"doubleValue": 1}},
                {"metric": 7},
                {"name": "domains/example.org/domainStats/b", "metric": "spam-rate", "value": {}},
                {"name": "domains/example.org/domainStats/b", "metric": "spam-rate", "date": {"year": 2026, "month": 11, "day": 20},
                 "value": {"floatValue": 0.2}}]}""",
            FeedRow(DAY, "example.org", "gmail.com", complaint_rate=0.2),
        ),
    ],
)
def test_one_row_of_each_shape(text, row):
    assert rows(text) == (row,)


@pytest.mark.parametrize(
    ("text", "complaint", "line"),
    [
        ("", "the first line names no date", 1),
        ("date,colour\n2026-11-20,red\n", "no column with figures", 1),
        ("date,sent\n", "no row with figures", None),
        ("date,sent\n2026-11-20,10\n2026-13-40,10\n", "no date such as", 3),
        ("date,sent\n2026-11-20,-1\n", "no number of messages", 2),
        ("date,sent\n2026-11-20,1.5\n", "no number of messages", 2),
        ("date,spam rate\n2026-11-20,3\n", "no rate", 2),
        ("date,spam rate\n2026-11-20,101 %\n", "no rate", 2),
        ("date,ip,sent\n2026-11-20,example.org,1\n", "no IP address", 2),
        ("date,domain,sent\n2026-11-20,a..b,1\n", "no domain name", 2),
        ("date,sent\n,10\n", "figures and no date", 2),
        ("date,sent\n2026-11-20,1,2\n", "3 values under 2 columns", 2),
        ('date,sent\n2026-11-20,"1\n', "not valid CSV", 2),
        (b"date,sent\n\xff", "not UTF-8", None),
        ("{", "not valid JSON", None),
        ("[" * 100_000, "not valid JSON", None),
        ("{}", "none of days, trafficStats", None),
        ('{"days": {}}', "days: a list of objects", None),
        ("[1]", "a list of objects", None),
        ('[{"date": 20261120, "sent": 1}]', "entry 1: 20261120 stands where a text belongs", None),
        ('[{"date": "2026-11-20", "sent": true}]', "no number of messages", None),
        ('[{"date": "2026-11-20", "complaint-rate": [1]}]', "no rate", None),
        ('{"trafficStats": [{"name": "x"}]}', "trafficStats 1 has no name", None),
        ('{"trafficStats": [{"name": "domains/a.b/trafficStats/20269999", "userReportedSpamRatio": 0.1}]}', "no date", None),
        ('{"domainStats": [{"metric": "spam_rate", "value": {"floatValue": 0.1}}]}', "domainStats 1 has no name", None),
        (
            '{"domainStats": [{"name": "domains/a.b/domainStats/x", "metric": "spam_rate", "value": {"floatValue": 0.1}}]}',
            "DAILY",
            None,
        ),
        (
            '{"domainStats": [{"name": "domains/a.b/domainStats/x", "metric": "spam_rate", "date": {"year": 2026, "month": 0, "day": 0}, "value": {"floatValue": 0.1}}]}',
            "DAILY",
            None,
        ),
        (f'[{{"date": "{"9" * 100}", "sent": 1}}]', "'9999999999999999999999999999999999999", None),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text, complaint, line):
    with pytest.raises(FeedError, match=re.escape(complaint)) as error:
        rows(text)
    assert error.value.line == line


def test_a_file_is_bounded_in_octets_and_rows(monkeypatch):
    monkeypatch.setattr(feed, "MAX_ROWS", 2)
    with pytest.raises(FeedError, match="more than 2 rows"):
        rows("date,sent\n" + "2026-11-20,1\n" * 3)
    with pytest.raises(FeedError, match="more than 10,000,000 octets"):
        parse_feed(b"x" * (feed.MAX_OCTETS + 1))


PIECES = [
    "date",
    "sent",
    "spam rate",
    "domain",
    "provider",
    ",",
    ";",
    "\n",
    '"',
    "2026-11-20",
    "0.3 %",
    "12",
    "{",
    "}",
    "[",
    "]",
    ":",
    '"days"',
]
PIECES += ['"trafficStats"', '"domainStats"', '"name"', '"metric"', '"spam_rate"', '"value"', "null", "1e999", "\x00", "é"]


@given(
    st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(PIECES), max_size=40).map(lambda each: "".join(each).encode()))
)
def test_it_returns_or_raises_feed_error(octets):
    with suppress(FeedError):
        assert isinstance(parse_feed(octets), Feed)
