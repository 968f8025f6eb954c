"""TLSA records are read or refused with a place, and fit a certificate by usage, selector and digest."""

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.records.tlsa import Certificate, TlsaError, fits, parse

LEAF, ABOVE = Certificate(b"leaf", b"leaf key"), Certificate(b"above", b"key above")


def digest(octets, how="sha256"):
    return hashlib.new(how, octets).hexdigest()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"3 1 1 {digest(b'leaf key')}", True),
        (f"3 0 1 {digest(b'leaf')}", True),
        (f"3 1 2 {digest(b'leaf key', 'sha512')}", True),
        ("3 0 0 " + b"leaf".hex(), True),
        (f"3 1 1 {digest(b'key above')}", False),  # usage 3 is about the host's own certificate
        (f"2 1 1 {digest(b'key above')}", True),
        (f"2 0 1 {digest(b'leaf')}", True),
        (f"3 1 1 {digest(b'other')}", False),
    ],
)
def test_a_record_fits_by_usage_selector_and_digest(text, expected):
    record = parse(text)
    assert record.fault is None
    assert fits(record, (LEAF, ABOVE)) is expected


def test_a_certificate_that_cannot_be_read_fits_as_a_whole_alone():
    chain = (LEAF, Certificate(b"above", None))
    assert fits(parse("2 0 0 " + b"above".hex()), chain)
    assert not fits(parse(f"2 1 1 {digest(b'')}"), chain)
    assert fits(parse(f"2 1 1 {digest(b'leaf key')}"), chain)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("0 0 1 " + "00" * 32, "usage 0 is not for SMTP"),
        ("4 0 1 " + "00" * 32, "usage 4 is unknown"),
        ("3 7 1 " + "00" * 32, "selector 7 is unknown"),
        ("3 1 9 00", "matching type 9 is unknown"),
        ("3 1 2 " + "00" * 32, "a SHA512 has 64 octets, here are 32"),
        (r"\# 5 0301010000", "a SHA256 has 32 octets, here are 2"),
    ],
)
def test_what_smtp_cannot_use_says_why(text, fault):
    assert parse(text).fault == fault


@pytest.mark.parametrize("text", ["", "3 1 1", "3 1 1 0", "3 1 1 xx", "a b c 00", r"\# 2 0301", r"\# 3 030"])
def test_what_is_no_record_is_refused(text):
    with pytest.raises(TlsaError) as error:
        parse(text)
    assert error.value.span == (0, len(text))


@given(st.text(max_size=200))
def test_parsing_returns_or_raises_its_one_error(text):
    with contextlib.suppress(TlsaError):
        parse(text)
