"""Patterns of sending rules."""

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.gate.routing import patterns
from delivcheck.trace.model import normal

SMALL = st.text("ab*", max_size=8)


@given(SMALL, st.text("ab", max_size=10))
def test_a_star_stands_for_anything_and_everything_else_for_itself(pattern, text):
    wanted = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL) is not None
    assert patterns.glob(pattern)(text) is wanted


@given(st.text(max_size=20))
def test_any_text_without_a_star_matches_itself_and_nothing_longer(text):
    if "*" not in text:
        assert patterns.glob(text)(text)
        assert not patterns.glob(text)(text + "x")


def test_brackets_and_question_marks_are_nothing_special():
    assert patterns.glob("*@[192.0.2.1]")("pat@[192.0.2.1]")
    assert not patterns.glob("a?c")("abc")
    assert fnmatch.fnmatchcase("abc", "a?c"), "which is why fnmatch is not used"


def test_matching_is_linear_on_hostile_text():
    assert not patterns.glob("*a" * 1_000 + "b")("a" * 100_000)


@pytest.mark.parametrize(
    ("pattern", "address"),
    [
        ("Pat@Example.COM", "pat@example.com"),
        ("*@bücher.example", "x@xn--bcher-kva.example"),
        ("*@*.bücher.example", "x@mail.xn--bcher-kva.example"),
        ("jose\u0301@example.com", "josé@example.com"),
        ("*@*", "x@example.com"),
        ("", ""),
        ("*", ""),
    ],
)
def test_addresses_are_compared_in_one_form(pattern, address):
    assert patterns.glob(patterns.address(pattern))(normal(address))


@given(st.text(max_size=30))
def test_an_address_as_a_pattern_matches_itself(text):
    if "*" not in text:
        assert patterns.glob(patterns.address(text))(normal(text))


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [("example.com", "example.com", "a.example.com"), ("*.example.com", "a.b.example.com", "example.com"), ("*", "", None)],
)
def test_a_domain_is_itself_and_with_a_star_what_is_below_it(pattern, inside, outside):
    assert patterns.domain(pattern)(inside)
    assert outside is None or not patterns.domain(pattern)(outside)
