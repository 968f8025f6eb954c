"""Figures say what happened, how sure they are, and nothing that nobody told."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.trace import schema, stats
from delivcheck.trace.model import Actor, Kind
from delivcheck.trace.stats import Dimension, Period, Standing, Step, rate
from tests.trace.told import ADA, BOB, NOON, event, message, refused, sent, tell

HOUR = 3_600_000
PERIOD = Period.of(NOON - 24 * HOUR, NOON + 24 * HOUR)


@pytest.fixture
def told(store):
    records = []
    for number in range(6):
        one = message(number, NOON + number * HOUR, to=(BOB, ADA), stream="news" if number % 2 else "receipts")
        records += sent(one)
        records += [event(one, Kind.OPENED, ADA, 1_000, "1", actor=Actor.MACHINE)]
    # A person who shows no pictures clicks all the same, twice; another's machine opened before she did.
    records += [event(message(0), Kind.CLICKED, BOB, 2_000, str(turn), actor=Actor.HUMAN) for turn in range(2)]
    records += [event(message(0), Kind.OPENED, ADA, 3_000, "2", actor=Actor.HUMAN)]
    records += [event(message(0), Kind.BOUNCED, BOB, 9_000, status="5.1.1")]
    records += refused(10, NOON + HOUR)
    return store, tell(store, records)


def test_the_funnel_counts_recipients_and_forces_nothing(told):
    store, tenant = told
    with store.read() as db:
        found = stats.totals(db, tenant, PERIOD)
    assert {kind: found.recipients(kind) for kind in Kind if found.recipients(kind)} == {
        "accepted": 13, "checked": 12, "refused": 1, "sent": 12, "bounced": 1, "opened": 6, "clicked": 1,
    }  # fmt: skip
    assert found[Kind.CLICKED] == stats.Count(2, 1)
    assert {actor: count.recipients for actor, count in found.actors(Kind.OPENED).items()} == {
        Actor.HUMAN: 1, Actor.MACHINE: 6, Actor.UNKNOWN: 0,
    }  # fmt: skip
    assert not found.told
    rates = found.rates(enough=1)
    assert (rates["refused"].k, rates["refused"].n) == (1, 13)
    assert (rates["opened"].k, rates["opened"].n) == (1, 12)
    assert (rates["bounced"].k, rates["bounced"].n) == (1, 12)


def test_by_time_there_are_no_gaps_and_the_sum_is_the_whole(told):
    store, tenant = told
    with store.read() as db:
        for step, width in ((Step.HOUR, 1), (Step.DAY, 24)):
            points = stats.over_time(db, tenant, PERIOD, step)
            assert [b.hour - a.hour for a, b in pairwise(points)] == [width] * (len(points) - 1)
            assert sum(point.figures.recipients("accepted") for point in points) == 13
        hours = stats.over_time(db, tenant, Period.of(NOON, NOON + 6 * HOUR))
    assert [point.figures.recipients("accepted") for point in hours] == [2, 3, 2, 2, 2, 2]
    assert hours[0].at == datetime(2026, 11, 18, 12, tzinfo=UTC)


def test_hours_that_were_rolled_up_are_still_their_day(told):
    from delivcheck.trace import tallies

    store, tenant = told
    with store.write() as db:
        before = stats.over_time(db, tenant, PERIOD, Step.DAY)
        assert tallies.roll_up(db, PERIOD.end + 48)
        assert stats.over_time(db, tenant, PERIOD, Step.DAY) == before


def test_too_many_points_are_refused(told):
    store, tenant = told
    with store.read() as db, pytest.raises(ValueError, match="ask for days"):
        stats.over_time(db, tenant, Period(0, 500_000))


@pytest.mark.parametrize(
    ("dimension", "values"),
    [
        (Dimension.STREAM, [("receipts", 7), ("news", 6)]),
        (Dimension.TAG, [("eu", 13)]),
        (Dimension.TEMPLATE, [("receipt", 13)]),
        (Dimension.DOMAIN, [("example.com", 13)]),
        (Dimension.PROVIDER, [("", 7), ("gmail", 6)]),
        (Dimension.RULE, [("dkim/missing", 1)]),
    ],
)
def test_groups_come_with_most_mail_first(told, dimension, values):
    store, tenant = told
    with store.read() as db:
        groups = stats.by(db, tenant, PERIOD, dimension)
        assert [(one.value, one.figures.recipients("accepted")) for one in groups] == values
        for one in groups:
            assert stats.totals(db, tenant, PERIOD, dimension, one.value) == one.figures


def test_another_tenant_counts_nothing_of_it(told):
    store, _ = told
    other = tell(store, sent(message(99, tenant="other")), "other")
    with store.read() as db:
        assert stats.totals(db, other, PERIOD).recipients("accepted") == 1
        assert [one.value for one in stats.by(db, other, PERIOD, Dimension.RULE)] == []


# --- rates -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [  # Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_wilsons(k, n, low, high):
    found = rate(k, n)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@given(st.integers(-5, 2_000), st.integers(-5, 1_000))
def test_a_rate_lies_in_its_interval_and_that_between_0_and_1(k, n):
    found = rate(k, n)
    assert 0 <= found.low <= found.share <= found.high <= 1
    assert found.enough == (n >= stats.MIN_N)
    assert str(found)


def test_few_are_too_few_to_say():
    assert str(rate(1, 50)) == "too few to say (1 of 50)"
    assert str(rate(1, 1_000)) == "0.10 % (0.02 to 0.56 %, n = 1,000)"


# --- Google ----------------------------------------------------------------------------------------------------------


def test_googles_lines_are_drawn_over_what_google_says_alone(told):
    store, tenant = told
    one = message(0)
    tell(store, [event(one, Kind.COMPLAINED, BOB, 9_000, source="arf")])
    day = NOON // HOUR // 24
    rows = [(0.0009, "a.example"), (0.0010, "b.example"), (0.0030, "c.example"), (None, "d.example")]
    with store.write() as db:
        for share, domain in rows:
            db.execute(schema.postmaster.insert().values(tenant=tenant, domain=domain, day=day, spam_rate=share))
        db.execute(schema.postmaster.insert().values(tenant=tenant, domain="a.example", day=day - 90, spam_rate=0.5))
    with store.read() as db:
        found = stats.spam_rates(db, tenant, PERIOD)
        assert stats.spam_rates(db, tenant + 1, PERIOD) == []
        assert len(stats.spam_rates(db, tenant, PERIOD, "c.example")) == 1
    assert [(one.domain, one.standing) for one in found] == [
        ("a.example", Standing.GOOD), ("b.example", Standing.OVER), ("c.example", Standing.FAR_OVER),
    ]  # fmt: skip


def test_the_last_day_is_today_and_whole():
    now = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
    assert (Period.last(1, now).begin, Period.last(1, now).over) == (
        datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 23, 16, tzinfo=UTC),
    )  # fmt: skip
    assert Period.last(30, now).begin == datetime(2026, 10, 25, tzinfo=UTC)
