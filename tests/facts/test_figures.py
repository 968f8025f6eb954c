"""Rates and volumes come out of the user's figures without tripping over small numbers or strange options."""

import asyncio
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck import api, policy
from delivcheck.facts.figures import interval
from delivcheck.model import Outcome
from delivcheck.records.feed import parse_feed


def judged(rule, text, **options):
    """The result of one rule for example.org, with figures and options."""
    chosen = policy.load("bulk").with_settings([policy.Setting(rule, options=options)] if options else [])
    feed = parse_feed(text.encode(), "feed.csv")
    checker = api.Checker(
        api.Options(chosen, dns="offline", feed=feed, now=datetime.fromisoformat("2026-11-22T12:00:00Z")), shown={}
    )
    return next(one for one in asyncio.run(checker.domain("example.org")).results if one.rule == rule)


@given(st.integers(0, 10**6), st.integers(1, 10**6))
def test_an_interval_holds_its_share(count, total):
    count = min(count, total)
    low, high = interval(count, total)

    assert 0 <= low <= count / total <= high <= 1


@pytest.mark.parametrize(
    ("count", "total", "low", "high"), [(0, 100, 0.0, 0.0369), (1, 50, 0.0005, 0.1114), (34, 10_000, 0.00235, 0.00475)]
)
def test_intervals_are_near_the_exact_ones_of_poisson(count, total, low, high):
    found = interval(count, total)

    assert found == pytest.approx((low, high), rel=0.05, abs=0.0003)


@pytest.mark.parametrize("window", [-1, 0, 10**12])
def test_no_window_is_too_strange(window):
    text = "date,sent\n0001-01-01,1\n2026-11-20,10\n2026-11-21,100000\n"
    result = judged("reputation/sudden-volume", text, **{"window-days": window})

    assert not result.bug
    assert result.outcome is (Outcome.FAIL if window > 0 else Outcome.NOT_APPLICABLE)


def test_a_whole_number_will_do_for_a_factor():
    text = "date,sent\n2026-11-20,1000\n2026-11-21,2500\n"

    assert judged("reputation/sudden-volume", text).outcome is Outcome.FAIL
    assert judged("reputation/sudden-volume", text, factor=3).outcome is Outcome.PASS


def test_figures_that_are_all_plans_are_judged_from_the_first_day_on():
    text = "date,sent\n2026-12-01,1000\n2026-12-02,5000\n"

    assert judged("reputation/sudden-volume", text).outcome is Outcome.FAIL


def test_more_bounces_than_mail_are_all_of_it():
    result = judged("reputation/many-hard-bounces", "date,sent,hard-bounces\n2026-11-21,100,300\n")

    assert result.problems[0].message.startswith("100.00 % of the mail on 2026-11-21 bounced for good (100 of 100;")
