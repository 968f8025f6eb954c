"""List-Unsubscribe and List-Unsubscribe-Post: what is read, what is at fault, and where."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.records.unsubscribe import (
    MAX_ITEMS,
    UnsubscribeError,
    parse_list_unsubscribe,
    parse_post,
    scan_list_unsubscribe,
)


@pytest.mark.parametrize(
    ("text", "uris"),
    [
        ("<https://example.com/u/1>", ["https://example.com/u/1"]),
        ("<https://example.com/u/1>, <mailto:u@example.com>", ["https://example.com/u/1", "mailto:u@example.com"]),
        ("<https://example.com/u,1>", ["https://example.com/u,1"]),  # commas count outside the brackets only
        ("(leave (really)) <https://example.com/u>(by \\) web)", ["https://example.com/u"]),
        ("< https://example.com/u >", ["https://example.com/u"]),
        ("<HTTPS://Example.com/U>", ["HTTPS://Example.com/U"]),
        ("<ftp://example.com/list.txt>", ["ftp://example.com/list.txt"]),
        ("<https://[2001:db8::1]/u>", ["https://[2001:db8::1]/u"]),
        ("<https://example.com/?a=%ABfoo%20>", ["https://example.com/?a=%ABfoo%20"]),
        ("<https://user@example.com:8443/u>", ["https://user@example.com:8443/u"]),
    ],
)
def test_what_is_right_is_read_in_order(text, uris):
    assert [uri.text for uri in parse_list_unsubscribe(text).uris] == uris


@pytest.mark.parametrize(
    ("text", "kind", "marked"),
    [
        ("", "empty", ""),
        ("   ", "empty", "   "),
        ("https://example.com/u", "no-brackets", "https://example.com/u"),
        ("NO", "no-brackets", "NO"),
        ("Unsubscribe: <https://example.com/u>", "no-brackets", "Unsubscribe:"),
        (", <https://example.com/u>", "empty-item", ","),
        ("<https://example.com/u", "not-closed", "<https://example.com/u"),
        ("<https://a.example/u, <mailto:u@a.example>", "not-closed", "<https://a.example/u, "),
        ("<https://example.com/u> <mailto:u@example.com>", "separator", "<"),
        ("<https://example.com/u>; <mailto:u@example.com>", "separator", ";"),
        ("<https://example.com/u> or by mail", "separator", "or by mail"),
        ("<https://example.com/u> x, <mailto:u@example.com>", "separator", "x"),
        ("<https://example.com/u> =?utf-8?q?=3Cmailto?=", "encoded-word", "=?utf-8?q?=3Cmailto?="),
        ("<https://example.com/u>,", "empty-item", ","),
        ("(never closed <https://example.com/u>", "comment", "(never closed <https://example.com/u>"),
        ("=?utf-8?q?=3Chttps?=\t<mailto:u@example.com>", "encoded-word", "=?utf-8?q?=3Chttps?="),
        ("<=?utf-8?B?aHR0cHM=?=>", "encoded-word", "=?utf-8?B?aHR0cHM=?="),
        ("<>", "empty-uri", "<>"),
        ("<{{ url }}>", "placeholder", "{{ url }}"),
        ("<https://example.com/?e=*|EMAIL|*>", "placeholder", "https://example.com/?e=*|EMAIL|*"),
        ("<%UNSUBSCRIBE_URL%>", "placeholder", "%UNSUBSCRIBE_URL%"),
        ("<https://example.com/a b>", "space", " "),
        ("<https://example.com/ü>", "non-ascii", "ü"),
        ('<https://example.com/"u">', "character", '"'),
        ("<https://example.com/%zz>", "percent", "%"),
        ("<https://example.com/u?l[]=1>", "bracket", "["),
        ("<https://example.com/u]>", "bracket", "]"),
        ("<www.example.com/u>", "no-scheme", "www.example.com/u"),
        ("<https:///u>", "no-host", "https:///u"),
        ("<mailto:?subject=leave>", "no-address", "mailto:?subject=leave"),
    ],
)
def test_a_fault_has_a_kind_and_a_place(text, kind, marked):
    with pytest.raises(UnsubscribeError) as error:
        parse_list_unsubscribe(text)
    assert error.value.kind == kind
    start, end = error.value.span
    assert text[start:end] == marked
    assert str(error.value)[:1] != str(error.value)[:1].upper() or not str(error.value)[:1].isalpha()


def test_a_uri_with_a_fault_of_its_own_is_still_listed():
    found = scan_list_unsubscribe("<https://example.com/a b>, <mailto:u@example.com>")
    assert [uri.text for uri in found.uris] == ["https://example.com/ab", "mailto:u@example.com"]
    assert [uri.text for uri in found.web] == ["https://example.com/ab"]
    assert [uri.text for uri in found.of("mailto")] == ["mailto:u@example.com"]


def test_white_space_is_removed_and_the_place_is_that_of_the_whole():
    (uri,) = scan_list_unsubscribe("< https://Example.com:443/u?a=b#c >").uris
    assert (uri.text, uri.scheme, uri.host, uri.path, uri.query, uri.span) == (
        "https://Example.com:443/u?a=b#c",
        "https",
        "example.com",
        "/u",
        "a=b",
        (2, 33),
    )


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("<mailto:u@example.com>", ("u@example.com",)),
        ("<mailto:a@example.com,b@example.com>", ("a@example.com", "b@example.com")),
        ("<mailto:?to=a%40example.com&subject=x>", ("a@example.com",)),
        ("<mailto:a%2Bb@example.com>", ("a+b@example.com",)),
        ("<https://example.com/u@v>", ()),
    ],
)
def test_addresses_of_a_mailto_uri(text, addresses):
    (uri,) = scan_list_unsubscribe(text).uris
    assert uri.addresses == addresses


@pytest.mark.parametrize("value", ["List-Unsubscribe=One-Click", " List-Unsubscribe=One-Click\t"])
def test_the_one_right_value(value):
    parse_post(value)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("One-Click", "value"),
        ("list-unsubscribe=one-click", "case"),
        ('"List-Unsubscribe=One-Click"', "value"),
        ("List-Unsubscribe=One-Click; a=b", "value"),
        ("List-Unsubscribe= One-Click", "value"),
        ("=?utf-8?q?List-Unsubscribe=3DOne-Click?=", "encoded-word"),
        ("One-Click" * 20, "value"),
        ("One\x01Click", "value"),
    ],
)
def test_any_other_value_is_told_apart(value, kind):
    with pytest.raises(UnsubscribeError) as error:
        parse_post(value)
    assert error.value.kind == kind
    start, end = error.value.span
    assert value[start:end] == (value.strip() or value)
    assert str(error.value).isprintable()


@given(st.text(alphabet=st.sampled_from("<>(),;\\ \t=?%[]{}@:/#abQé*|") | st.characters(), max_size=60))
def test_any_value_is_read_or_refused_with_the_declared_error(text):
    found = scan_list_unsubscribe(text)
    for fault in found.faults:
        assert 0 <= fault.span[0] <= fault.span[1] <= len(text)
    for uri in found.uris:
        assert 0 <= uri.span[0] < uri.span[1] <= len(text)
        assert uri.addresses is not None
    for parse in (parse_list_unsubscribe, parse_post):
        with suppress(UnsubscribeError):
            parse(text)


@pytest.mark.parametrize(
    "text",
    ["<" * 200_000, "<a:b>," * 40_000, "(" * 200_000, "<a:b> ;" * 40_000, "<<" * 50_000 + ">" * 50_000, "a" * 300_000 + ">"],
)
def test_hostile_values_take_linear_time(text):
    started = time.process_time()
    found = scan_list_unsubscribe(text)
    assert time.process_time() - started < 20
    assert len(found.uris) + len(found.faults) <= 2 * MAX_ITEMS + 2
