"""Trace ids: unique, sortable, and safe as names."""

import os
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.gate import trace


def test_ids_of_one_process_rise_even_within_a_millisecond():
    made = [trace.new() for _ in range(5_000)]
    assert made == sorted(set(made))
    assert all(map(trace.valid, made))


@pytest.mark.attack(60)
def test_a_clock_that_is_set_back_makes_no_smaller_id(monkeypatch):
    now = time.time_ns()
    before = trace.new()
    monkeypatch.setattr(trace.time, "time_ns", lambda: now - 3_600_000_000_000)
    assert trace.new() > before


def test_an_id_says_when_it_was_made():
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    made = trace.new()
    assert before <= trace.minted(made) <= datetime.now(UTC) + timedelta(seconds=1)
    assert trace.floor(before - timedelta(seconds=1)) < made < trace.floor(datetime.now(UTC) + timedelta(seconds=5))


def test_children_of_one_parent_do_not_share_ids():
    trace.new()
    made = []
    for _ in range(2):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(write, "".join(trace.new() for _ in range(50)).encode())
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
    if trace.valid(text):
        assert len(text) == 26
        assert text.isascii()
        assert text.isalnum()
        trace.minted(text)
    else:
        with pytest.raises(ValueError, match="no trace id"):
            trace.minted(text)
