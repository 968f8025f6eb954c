"""Visible words: names and addresses are found however they are broken, and what looks like a postal address."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.facts.message import html_parts, text_parts
from delivcheck.facts.wording import addresses_in, wording
from delivcheck.mime.message import parse
from delivcheck.model import NotApplicable


def words(text, kind="plain"):
    head = f"MIME-Version: 1.0\r\nContent-Type: text/{kind}; charset=utf-8\r\n\r\n"
    message = parse((head + text.replace("\n", "\r\n")).encode())
    return wording.function(text_parts.function(message), html_parts.function(message))


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("Example Ltd", "EXAMPLE\nLTD.", True),
        ("Example Ltd", "Example Ltda", False),
        ("1 Main St., Springfield, IL 62701", "1 Main St - Springfield IL 62701", True),
        ("1 Main St", "11 Main Street", False),
        ("Hauptstraße 5", "HAUPTSTRASSE 5", True),
        ("株式会社見本", "送信者は株式会社見本です", True),
        ("C&A", "von C & A.", True),
        ("***", "***", False),
    ],
)
def test_a_name_is_found_as_words(name, text, found):
    assert words(text).has(name) == found


@pytest.mark.parametrize(
    "text",
    [
        "Example Ltd, 1 Main St, Springfield IL 62701",
        "123 W. Martin Luther King Blvd\nAtlanta, GA 30303-1234",
        "P.O. Box 12, Ames, IA 50010",
        "PO Box 7, Wellington 6011",
        "100 King St W, Toronto ON M5X 1A9",
        "10 Downing Street, London SW1A 2AA",
        "Hauptstraße 5, 10115 Berlin",
        "Am Alten Weg 7a\nD-80331 München",
        "Postfach 12 34\n53001 Bonn",
        "12 bis, rue de la Paix\n75002 Paris",
        "Calle Mayor, 3\n28013 Madrid",
        "Via Roma 12, 00184 Roma",
        "Kalverstraat 92, 1012 PH Amsterdam",
        "Mariahilfer Straße 1, 1060 Wien",
        "Vesterbrogade 3, 1620 København",
        "Drottninggatan 5, 111 51 Stockholm",
        "ul. Nowy Świat 15, 00-029 Warszawa",
        "Rua Augusta 100, 1100-053 Lisboa",
        "Rua Augusta, 100 - São Paulo - CEP 01305-000",
        "42 Wallaby Way, Sydney NSW 2000",
        "1 Raffles Place, Singapore 048616",
        "MG Road, Bengaluru 560 001, India",
        "Av. Providencia 1234, Santiago",
        "〒100-0001 東京都千代田区千代田1-1",
        "東京都千代田区丸の内1丁目",
        "서울특별시 중구 세종대로 110",
        "北京市朝阳区建国路 93号",
    ],
)
def test_an_address_of_a_known_form_is_recognised(text):
    assert words(text).address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Our offers in May 2026",
        "Order 10115 has shipped. Total 49.00",
        "Call 555 0100 today, 24 hours",
        "© 2026 Example Ltd. All rights reserved.",
        "In 1999 Berlin was cold; 12345 people came",
        "Save 20 % on 62701 items",
        "Tracking 1Z999AA10123456784",
        "https://example.org/10115/Berlin",
        "Bestellung vom 12.05.2026, 10:30 Uhr",
        "Example Ltd, Beside the old mill",
    ],
)
def test_numbers_are_no_address(text):
    assert not words(text).address


@pytest.mark.parametrize(
    ("html", "doubt"),
    [
        ("<p>Hi</p>", False),
        ("<p>Hi</p><img src=a width=600 height=800>", True),
        ("<p>Hi</p><img src=a>", True),
        ("<p>Hi</p><img src=a width=1 height=1>", False),
        ("<p>Hi</p><img src=logo.png width=120 height=40>", False),
        ("<p>Hi</p><img src=a width=600>", True),
        ("<p>Hi</p><img src=a width=100% height=auto>", True),
        ("<p>Hi</p><img src=a width=600 height=20>", False),
        (f"<p>{'word ' * 60}</p><img src=a width=600 height=800>", False),
        ("<p>Hi</p><img src=a style='display:none'>", False),
    ],
)
def test_a_large_picture_may_have_the_words(html, doubt):
    assert (words(html, "html").doubt is not None) == doubt


def test_html_that_was_not_read_may_have_them_too():
    text = words("<p>" * 1_100_000, "html")
    assert "not read" in text.doubt


def test_without_text_there_is_nothing_to_look_at():
    message = parse(b"MIME-Version: 1.0\r\nContent-Type: image/png\r\n\r\nx")
    with pytest.raises(NotApplicable):
        wording.function(text_parts.function(message), html_parts.function(message))


@given(st.text(max_size=300))
def test_any_text_can_be_searched(text):
    for start, end in addresses_in(text):
        assert 0 <= start < end <= len(text)


@pytest.mark.parametrize(
    "piece",
    [
        "10115 Berlin ",
        "IL 62701 ",
        "a.",
        "-",
        "1 Main ",
        "Hauptstraße",
        "東京都千代田区",
        "서울",
        "北京市朝阳区",
        "p.o.",
        "M5X1A9 ",
        "1 a b c d ",
        "00-029 W",
        "省",
        "가",
        "1",
        "Via Roma ",
    ],
)
def test_time_grows_with_the_text_and_not_with_its_square(piece):
    def seconds(size):
        text = piece * (size // len(piece))
        started = time.perf_counter()
        list(addresses_in(text))
        return time.perf_counter() - started

    assert seconds(200_000) < 40 * max(seconds(20_000), 0.02)
