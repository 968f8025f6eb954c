"""Where a message says to whom it was sent."""

import time

import pytest

from delivcheck.facts.named_recipients import _in_uri, _stated


@pytest.mark.parametrize(
    "text",
    [
        "This email was sent to bob@example.com.",
        "THIS E-MAIL WAS SENT TO: <Bob@Example.com>",
        "You are subscribed to this list as bob@example.com",
        "This\nmessage  was\nsent to the address bob@example.com",
        "Diese Nachricht wurde an „bob@example.com“ gesendet.",
        "Cet e-mail a été envoyé à l'adresse bob@example.com",
        "Это письмо отправлено на bob@example.com",
    ],
)
def test_statements(text):
    ((address, start, end),) = _stated(text)
    assert address == "bob@example.com"
    assert text[start:end].lower() == address


@pytest.mark.parametrize(
    "text",
    [
        "bob@example.com invited you",
        "A receipt was sent to bob@example.com",
        "This email was sent to you. Questions: bob@example.com",
        "This email was sent to all customers who had asked for it at bob@example.com",
        "This email was sent to you by bob",
    ],
)
def test_what_says_it_not(text):
    assert list(_stated(text)) == []


@pytest.mark.parametrize(
    ("uri", "addresses"),
    [
        ("https://a.example/u?email=bob%40example.com", ["bob@example.com"]),
        ("https://a.example/u?E-Mail=Bob@example.com&t=1", ["bob@example.com"]),
        ("https://a.example/u?from=bob@example.com", []),
        ("https://a.example/u?email=9f2c77", []),
        ("https://a.example/u/bob@example.com", []),
        ("mailto:leave+bob=example.com@a.example", ["bob@example.com"]),
        ("mailto:leave-7-bob=example.com@a.example?subject=leave", ["bob@example.com"]),
        ("mailto:leave@a.example?subject=leave%20eve@example.com&cc=x", ["eve@example.com"]),
        ("mailto:bob@example.com", []),
        ("nothing", []),
    ],
)
def test_addresses_in_uris(uri, addresses):
    assert list(_in_uri(uri)) == addresses


@pytest.mark.parametrize(
    "text",
    [
        "this email was sent to " + "a" * 500_000,
        "this email was sent to @" * 40_000,
        "this email was sent to a@" + "b." * 500_000,
    ],
)
def test_it_takes_time_in_proportion(text):
    start = time.process_time()
    list(_stated(text))
    list(_in_uri("mailto:" + text))
    assert time.process_time() - start < 5
