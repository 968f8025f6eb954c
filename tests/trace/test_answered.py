"""Requests under an Idempotency-Key: one request for each, one answer, for a day."""

import pytest

from delivcheck.trace import answered
from delivcheck.trace.answered import KEPT, LEASE, Answer, AtWork, Other

NOW = 1_795_000_000_000


def begin(store, request="r1", key="k", now=NOW, api_key="app"):
    with store.write() as db:
        return answered.begin(db, api_key, key, request, now)


def test_an_answer_is_given_again_for_a_day(store):
    assert begin(store) is None
    with store.write() as db:
        answered.end(db, "app", "k", Answer(200, "{}"))
    assert begin(store, now=NOW + KEPT) == Answer(200, "{}")
    assert begin(store, now=NOW + KEPT + 1) is None


@pytest.mark.attack(62)
def test_another_request_is_told_so_answered_or_not(store):
    begin(store)
    for _ in range(2):
        with pytest.raises(Other):
            begin(store, "r2")
        with store.write() as db:
            answered.end(db, "app", "k", Answer(200, "{}"))


def test_one_at_work_is_waited_for_until_its_lease_is_over(store):
    begin(store)
    with pytest.raises(AtWork):
        begin(store, now=NOW + LEASE - 1)
    assert begin(store, now=NOW + LEASE) is None
    with pytest.raises(AtWork):
        begin(store, now=NOW + LEASE + 1)


def test_what_was_forgotten_is_free_and_what_is_open_is_the_same_requests(store):
    begin(store)
    with store.write() as db:
        answered.open_again(db, "app", "k")
    with pytest.raises(Other):
        begin(store, "r2")
    assert begin(store) is None
    with store.write() as db:
        answered.forget(db, "app", "k")
    assert begin(store, "r2") is None


def test_keys_of_two_parties_are_two(store):
    assert begin(store) is None
    assert begin(store, "r2", api_key="other") is None
    assert begin(store, "r2", key="k2") is None
