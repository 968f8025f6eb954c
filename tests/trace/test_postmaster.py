"""Google's numbers: read from what its API and spreadsheets give, or refused with the place."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.trace import postmaster, schema
from delivcheck.trace.postmaster import BadImport, Day, parse

V1 = {
    "trafficStats": [
        {
            "name": "domains/mail.example.com/trafficStats/20260102",
            "userReportedSpamRatio": 0.002,
            "spfSuccessRatio": 1.0,
            "domainReputation": "HIGH",
        },
        {"name": "domains/mail.example.com/trafficStats/20260101", "dkimSuccessRatio": 0.99},
    ],
    "nextPageToken": "x",
}
V2 = {
    "domainStats": [
        {
            "name": "domains/example.com/domainStats/a1",
            "metric": "spamRate",
            "date": {"year": 2026, "month": 1, "day": 3},
            "value": {"doubleValue": 0.0011},
        },
        {
            "name": "domains/example.com/domainStats/a2",
            "metric": "spf",
            "date": {"year": 2026, "month": 1, "day": 3},
            "value": {"doubleValue": 1},
        },
        {
            "name": "domains/example.com/domainStats/a3",
            "metric": "SPAM_RATE",
            "date": {"year": 2026, "month": 1, "day": 4},
            "value": {},
        },
    ]
}


def test_version_1_of_the_api():
    found = parse(json.dumps(V1).encode())
    assert found == [
        Day("mail.example.com", date(2026, 1, 1), None, {"dkimSuccessRatio": 0.99}),
        Day("mail.example.com", date(2026, 1, 2), 0.002, {"spfSuccessRatio": 1.0, "domainReputation": "HIGH"}),
    ]
    assert parse(json.dumps([V1, V1["trafficStats"][0]]).encode()) == found
    assert parse(json.dumps(V1["trafficStats"][0]).encode()) == found[1:]


def test_version_2_of_the_api_and_its_batches():
    expected = [Day("example.com", date(2026, 1, 3), 0.0011, {"spf": 1}), Day("example.com", date(2026, 1, 4), None, {})]
    assert parse(json.dumps(V2).encode()) == expected
    assert parse(json.dumps({"results": [{"response": V2}]}).encode()) == expected


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("Date,Spam rate\n2026-01-01,0.1%\n2026-01-02,\n", [0.001, None]),
        ('Date,Spam rate (%)\n"Jan 1, 2026",0.3\n', [0.003]),
        ("\ufeffDay\tUser reported spam rate\r\n20260101\t0.0004\r\n", [0.0004]),
        ("date,spam_rate\n2026/01/01,1e-3\n", [0.001]),
    ],
)
def test_csv_with_a_date_and_a_rate(text, rates):
    found = parse(text.encode(), "Example.COM")
    assert [one.spam_rate for one in found] == pytest.approx(rates)
    assert {one.domain for one in found} == {"example.com"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("a,b\n1,2\n", 'line 1: columns "Date"'),
        ("Date,Spam rate\n01/02/2026,1%\n", "line 2: '01/02/2026' is no date"),
        ("Date,Spam rate\n2026-01-01,250%\n", "line 2: '2.5' is no ratio"),
        ("Date,Spam rate\n1999-01-01,1%\n", "no day that it could know"),
        ("Date,Spam rate\n2026-01-01\n", "line 2: it has fewer columns"),
        ("{", "no JSON"),
        ("{}", "no day in it"),
        ('{"name": "domains/x.example/trafficStats/20261399"}', "20261399 is no day"),
        (
            '{"trafficStats": [{"name": "domains/x.example/trafficStats/20260101", "userReportedSpamRatio": "1"}]}',
            r"\$.trafficStats\[0\]",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, said):
    with pytest.raises(BadImport, match=said):
        parse(text.encode(), "example.com")


def test_a_file_that_names_no_domain_needs_one():
    with pytest.raises(BadImport, match="--domain"):
        parse(b"Date,Spam rate\n2026-01-01,1%\n")


def test_a_day_to_come_is_a_slip():
    later = datetime.now(UTC).date() + timedelta(days=3)
    with pytest.raises(BadImport, match="no day"):
        parse(f"Date,Spam rate\n{later},1%\n".encode(), "example.com")


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=10)
    | st.sampled_from(["domains/example.com/trafficStats/20260101", "domains/a/domainStats/x"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["trafficStats", "domainStats", "name", "metric", "date", "value", "year", "month", "day", "userReportedSpamRatio"]),
        inner,
        max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(
    octets=st.one_of(
        st.binary(max_size=100),
        st.text(max_size=100).map(lambda text: f"Date,Spam rate\n{text}".encode("utf-8", "replace")),
        JSON.map(lambda tree: json.dumps(tree).encode()),
    )
)
def test_any_file_is_days_or_the_one_error_in_one_line(octets):
    try:
        found = parse(octets, "example.com")
    except BadImport as error:
        assert "\n" not in str(error)
    else:
        assert all(one.spam_rate is None or 0 <= one.spam_rate <= 1 for one in found)


def test_what_was_known_of_a_day_is_replaced_and_is_its_tenants(store):
    with store.write() as db:
        mine, other = store.tenant(db, "default"), store.tenant(db, "other")
        assert postmaster.store(db, mine, parse(json.dumps(V1).encode())) == 2
        assert postmaster.store(db, mine, [Day("mail.example.com", date(2026, 1, 2), 0.004, {})]) == 1
        rows = db.execute(sa.select(schema.postmaster).order_by(schema.postmaster.c.day)).all()
        assert [(one.tenant, one.spam_rate) for one in rows] == [(mine, None), (mine, 0.004)]
        assert other not in {one.tenant for one in rows}
