"""Amounts, dates, codes and order numbers as people write them; hostile texts."""

import re
import time
from datetime import date
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.facts import stated_values
from delivcheck.facts.stated_values import amounts_in, bare, codes_in, dates_in, numbers_in, same, speaks_of_code


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("€1.234,56", "1234.56"),
        ("1,234.56 USD", "1234.56"),
        ("1 234,56 €", "1234.56"),
        ("CHF 1'234.50", "1234.50"),
        ("1\u202f234,50\xa0€", "1234.50"),
        ("$1,234", "1234"),
        ("1.234 EUR", "1234"),
        ("$1,234,567", "1234567"),
        ("£5", "5"),
        ("US$ 19.9", "19.9"),
        ("99,- kr and 100 kr", "100"),
        ("5 Euro", "5"),
        ("kr 250,00", "250"),
    ],
)
def test_amounts(text, number):
    (found,) = amounts_in(f"in all {text}.")
    assert found.readings == {Decimal(number)}


@pytest.mark.parametrize("text", ["5 apples", "EURO5", "room 1200", "v1.234", "$", "20 Eurozone", "100 krill", "USD"])
def test_no_amounts(text):
    assert list(amounts_in(text)) == []


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("2026-03-04", {date(2026, 3, 4)}),
        ("3/4/2026", {date(2026, 3, 4), date(2026, 4, 3)}),
        ("13.4.2026", {date(2026, 4, 13)}),
        ("4 March 2026", {date(2026, 3, 4)}),
        ("4. März 2026", {date(2026, 3, 4)}),
        ("4 de marzo de 2026", {date(2026, 3, 4)}),
        ("1er mars 2026", {date(2026, 3, 1)}),
        ("March 4th, 2026", {date(2026, 3, 4)}),
        ("Mar. 4, 2026", {date(2026, 3, 4)}),
        ("4th of March, 2026", {date(2026, 3, 4)}),
    ],
)
def test_dates(text, days):
    (found,) = dates_in(f"It is {text}, they say.")
    assert found.readings == days


@pytest.mark.parametrize(
    "text", ["2026", "30 February 2026", "31/31/2026", "March 2026", "1/2/26", "4 ſeptember 2026", "127.0.0.2026"]
)
def test_no_dates(text):
    assert list(dates_in(text)) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Your verification code is 482 913.", "482913"),
        ("Your code:\n\n  482913\n", "482913"),
        ("PIN: 4821", "4821"),
        ("Ihr Code lautet G-482913", "g482913"),
        ("Your code is AB3-9KX and good for 10 minutes", "ab39kx"),
        ("votre code : 48291", "48291"),
    ],
)
def test_codes(text, code):
    (found,) = codes_in(text)
    assert found.readings == {code}


@pytest.mark.parametrize(
    "text", ["Shopping 4821", "Your code. In 2026", "standard 4821", "Your code expires in 10 minutes, in 2026"]
)
def test_no_codes(text):
    assert list(codes_in(text)) == []


def test_a_word_for_a_code_is_a_word():
    assert speaks_of_code("Your PIN follows")
    assert not speaks_of_code("shopping, standard, spin")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("order #10234", "10234"),
        ("Order no. RE-2026118", "re2026118"),
        ("Rechnungsnummer: 2026-00118", "202600118"),
        ("Invoice\n  20261", "20261"),
        ("Booking reference: 12AB34", "12ab34"),
    ],
)
def test_numbers(text, number):
    (found,) = numbers_in(text)
    assert found.readings == {number}


@pytest.mark.parametrize("text", ["order 3 chairs", "border 10234", "order now: 10234", "orders 10234"])
def test_no_numbers(text):
    assert list(numbers_in(text)) == []


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("€19,99", "€19.99", True),
        ("€19,99", "€1999", True),  # cents in small type, put together
        ("€19,99", "€19", True),  # and set apart
        ("€19,99", "€18", False),
        ("€19,99", "€19.98", False),
        ("$5", "5.00 USD", True),
    ],
)
def test_amounts_that_can_be_the_same(one, other, alike):
    (mine,), (theirs,) = amounts_in(one), amounts_in(other)
    assert same(mine, theirs) is alike


def test_dates_are_the_same_in_any_of_their_readings():
    (mine,), (theirs,), (third,) = dates_in("3/4/2026"), dates_in("4 March 2026"), dates_in("5 March 2026")
    assert same(mine, theirs)
    assert not same(mine, third)


def test_bare():
    assert bare("Re-2026_118 é") == "re2026118é"


@given(st.text(st.sampled_from("0123456789.,'€$ -/:#ABcode \nmay order"), max_size=200) | st.text(max_size=200))
def test_they_return(text):
    for find in (amounts_in, dates_in, codes_in, numbers_in):
        for one in find(text):
            assert text[one.start : one.end].strip() == one.written.strip()
            assert one.readings


@pytest.mark.parametrize(
    "text",
    [
        "1" * 200_000,
        "1.000" * 40_000,
        "1 " * 100_000,
        "$1," * 66_000,
        "your code " * 20_000,
        "1/1/" * 50_000,
        "2026 " * 40_000,
        "order " * 33_000,
    ],
    ids=range(8),
)
def test_they_take_time_in_proportion(text):
    start = time.process_time()
    for find in (amounts_in, dates_in, codes_in, numbers_in):
        list(find(text))
    assert time.process_time() - start < 5


CHARACTERS = ["1", "2", "0", "9", "A", "B", "-", " ", "\xa0", ".", ",", "a", "_", "É", "١", "\n", "12345", "ABC", "2026"]


@given(st.lists(st.sampled_from(CHARACTERS), max_size=24).map("".join))
def test_looking_at_words_with_digits_alone_misses_no_value(text):
    for pattern, some in product((stated_values._CODE, stated_values._NUMBER), (text, text + " word" * 400)):
        found = [one.span() for one in stated_values._with_digit(pattern, some)]
        assert found == [one.span() for one in pattern.finditer(some)]
    years = [one.span() for one in re.finditer(r"(?<!\d)(?:19|20)\d\d(?!\d)", text)]
    assert [one.span() for one in stated_values._YEAR.finditer(text)] == years
