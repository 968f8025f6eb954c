"""Trace ids: unique, sortable, and safe as names."""

import os
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck import ulid


def test_ids_of_one_process_rise_even_within_a_millisecond():
    made = [ulid.new() for _ in range(5_000)]
    assert made == sorted(set(made))
    assert all(map(ulid.valid, made))


@pytest.mark.attack(60)
def test_a_clock_that_is_set_back_makes_no_smaller_id(monkeypatch):
    now = time.time_ns()
    before = ulid.new()
    monkeypatch.setattr(ulid.time, "time_ns", lambda: now - 3_600_000_000_000)
    assert ulid.new() > before


def test_an_id_says_when_it_was_made():
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    made = ulid.new()
    assert before <= ulid.minted(made) <= datetime.now(UTC) + timedelta(seconds=1)
    assert ulid.floor(before - timedelta(seconds=1)) < made < ulid.floor(datetime.now(UTC) + timedelta(seconds=5))


def test_children_of_one_parent_do_not_share_ids():
    ulid.new()
    made = []
    for _ in range(2):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(write, "".join(ulid.new() for _ in range(50)).encode())
            os._exit(0)
        os.waitpid(child, 0)
        os.close(write)
        octets = os.read(read, 26 * 50)
        os.close(read)
        made += [octets[start : start + 26] for start in range(0, len(octets), 26)]
    assert len(set(made)) == 100


@pytest.mark.attack(67)
@given(st.text() | st.from_regex(r"[0-9A-Z]{26}", fullmatch=True))
def test_it_is_valid_or_no_name_at_all(text):
    if ulid.valid(text):
        assert len(text) == 26
        assert text.isascii()
        assert text.isalnum()
        ulid.minted(text)
    else:
        with pytest.raises(ValueError, match="no trace id"):
            ulid.minted(text)
