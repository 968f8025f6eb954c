"""Names that look like others."""

import idna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.records.lookalikes import imitates, skeleton, whole_script
from delivcheck.rulefiles import data

OWN = ("modern-chairs.com",)


def a_label(name):
    return idna.encode(name, uts46=True).decode()


@pytest.mark.parametrize(
    ("host", "taken_for"),
    [
        ("modem-chairs.com", "modern-chairs.com"),
        ("shop.m0dern-chairs.com", "modern-chairs.com"),
        ("modern-chairs.com", None),
        ("shop.modern-chairs.com", None),
        ("modern-chairs.org", None),
        ("paypa1.com", "paypal.com"),
        ("paypal.com", None),
        ("login.paypal.com", None),
        ("rnicrosoft.com", "microsoft.com"),
        (a_label("раураӏ.com"), "paypal.com"),
        (a_label("gοοgle.com"), "google.com"),
        ("example.org", None),
        ("localhost", None),
    ],
)
def test_imitates(host, taken_for):
    assert imitates(host, OWN) == taken_for


def test_a_sender_that_has_both_names_imitates_neither():
    assert imitates("modem-chairs.com", (*OWN, "modem-chairs.com")) is None


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("аррӏе.com", ("аррӏе", "Cyrillic", "apple")),
        ("www.ехо2.com", ("ехо2", "Cyrillic", "exo2")),
        ("ехо.ru", None),
        ("ехо.рф", None),
        ("пример.com", None),
        ("ορος.gr", None),
        ("νου.com", ("νου", "Greek", "vou")),
        ("müller.de", None),
        ("example.com", None),
        ("日本.jp", None),
    ],
)
def test_whole_script(name, found):
    assert whole_script(a_label(name)) == found


def test_every_letter_of_the_table_can_stand_in_a_domain_name():
    book = data("lookalikes")["letters"]
    for script in ("Cyrillic", "Greek", "Armenian", "Latin"):
        for letter, latin in book[script].items():
            assert idna.encode(f"{letter}{letter}").startswith(b"xn--")
            assert latin.isascii()


def test_no_imitated_site_looks_like_another():
    names = data("lookalikes")["imitated"]["names"]
    assert len({skeleton(name) for name in names}) == len(names)


@given(st.text(max_size=80))
def test_they_return(text):
    skeleton(text)
    whole_script(text)
    imitates(text.lower() or "a", OWN)
