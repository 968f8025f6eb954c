"""Received in the hands of many MTAs, and Authentication-Results as large receivers write it."""

from datetime import UTC, datetime
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.mime.authres import AuthenticationResults, parse_authentication_results
from delivcheck.mime.lexer import HeaderError
from delivcheck.mime.received import Received, parse_received
from tests.mime.corpora import messages, needs_corpora
from tests.mime.outcomes import is_inside, outcome

DATE = "; Mon, 23 Nov 2026 10:00:00 +0000"


@pytest.mark.parametrize(
    ("value", "helo", "rdns", "ip", "by"),
    [
        # RFC 5321 and Postfix
        ("from mx.a.example (host.a.example [192.0.2.1]) by in.b.example with ESMTPS id 1 for <u@b.example>",
         "mx.a.example", "host.a.example", "192.0.2.1", "in.b.example"),
        ("from mx.a.example (unknown [192.0.2.1]) by in.b.example", "mx.a.example", None, "192.0.2.1", "in.b.example"),
        ("from mx.a.example (host.a.example. [IPv6:2001:db8::1]) by in.b.example", "mx.a.example", "host.a.example", "2001:db8::1", "in.b.example"),
        # Exim
        ("from host.a.example ([192.0.2.1] helo=mx.a.example) by in.b.example with esmtps (TLS1.3) (Exim 4.98)",
         "mx.a.example", "host.a.example", "192.0.2.1", "in.b.example"),
        ("from [192.0.2.1] (helo=mx.a.example) by in.b.example", "mx.a.example", None, "192.0.2.1", "in.b.example"),
        # qmail
        ("from unknown (HELO mx.a.example) (192.0.2.1) by in.b.example with SMTP", "mx.a.example", None, "192.0.2.1", "in.b.example"),
        # Google: the address without brackets in a second comment
        ("from mail-ej1.a.example (mail-ej1.a.example. [192.0.2.1]) by mx.b.example with SMTPS id x (Google Transport Security)",
         "mail-ej1.a.example", "mail-ej1.a.example", "192.0.2.1", "mx.b.example"),
        # Microsoft
        ("from mx.a.example (192.0.2.1) by in.b.example (2001:db8::5) with Microsoft SMTP Server (version=TLS1_3) id 15.20 via Frontend",
         "mx.a.example", None, "192.0.2.1", "in.b.example"),
        # Yahoo; a greeting is no evidence, even if it is an address
        ("from 192.0.2.1 (EHLO mx.a.example) by 10.197.38.100 with SMTPs (version=TLS1_3)", "mx.a.example", None, "192.0.2.1", "10.197.38.100"),
        ("from 192.0.2.1 (EHLO [10.0.0.5]) by 10.197.38.100 with SMTP", "10.0.0.5", None, "192.0.2.1", "10.197.38.100"),
        ("from [192.0.2.7] by in.b.example", "[192.0.2.7]", None, "192.0.2.7", "in.b.example"),
        ("from localhost (localhost [127.0.0.1]) by in.b.example", "localhost", None, "127.0.0.1", "in.b.example"),
        ("from mx.a.example 192.0.2.1 by in.b.example", "mx.a.example", None, "192.0.2.1", "in.b.example"),
        ("by in.b.example (Postfix, from userid 0)", None, None, None, "in.b.example"),
        ("from a.example (999.1.1.1) by in.b.example", "a.example", None, None, "in.b.example"),
    ],
)  # fmt: skip
def test_a_hop_is_read_however_it_was_written(value: str, helo: str, rdns: str | None, ip: str | None, by: str) -> None:
    found = parse_received(value + DATE)
    assert (found.helo, found.rdns, found.by) == (helo, rdns, by)
    assert found.ip == (ip_address(ip) if ip else None)
    assert found.date.moment == datetime(2026, 11, 23, 10, tzinfo=UTC)


def test_the_other_clauses_are_kept() -> None:
    found = parse_received('from a.example by b.example via TCP with ESMTPS id "x y" for <u@c.example>' + DATE)
    assert (found.protocol, found.id, found.recipient) == ("ESMTPS", '"x y"', "u@c.example")


@pytest.mark.parametrize(
    ("value", "tls", "encrypted"),
    [
        ("from a.example by mx.google.com with ESMTPS id x (version=TLS1_3 cipher=TLS_AES_128_GCM_SHA256 bits=128/128)", "TLSv1.3", True),
        ("from a.example (192.0.2.1) by b.example with Microsoft SMTP Server (version=TLS1_2, cipher=TLS_ECDHE_RSA) id 1", "TLSv1.2", True),
        ("from a.example (h.a.example [192.0.2.1]) (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)) by b.example", "TLSv1.3", True),
        ("from a.example ([192.0.2.1]) by b.example with esmtps (TLS1.3) tls TLS_AES_256_GCM_SHA384 (Exim 4.98)", "TLSv1.3", True),
        ("from a.example by b.example (version=TLSv1/SSLv3 cipher=AES)", "TLSv1.0", True),
        ("from a.example by b.example (version=SSLv3)", "SSLv3", True),
        ("from a.example by b.example with ESMTPS", None, True),
        ("from a.example by b.example with UTF8SMTPSA", None, True),
        ("from a.example by b.example with ESMTP (TLS_AES_128_GCM_SHA256)", None, None),
        ("from a.example by b.example with ESMTPA", None, None),
    ],
)  # fmt: skip
def test_the_version_of_tls_is_read_where_it_is_told(value: str, tls: str | None, encrypted: bool | None) -> None:
    found = parse_received(value + DATE)
    assert (found.tls, found.encrypted) == (tls, encrypted)


def test_a_submission_is_told_from_a_border() -> None:
    assert parse_received("from a.example by b.example with ESMTPSA" + DATE).submitted
    assert not parse_received("from a.example by b.example with ESMTPS" + DATE).submitted


def test_a_date_that_cannot_be_read_is_none_and_its_text_is_kept() -> None:
    found = parse_received("from a.example by b.example; yesterday")
    assert (found.date, found.date_text) == (None, "yesterday")
    assert parse_received("from a.example by b.example (open").by == "b.example"
    assert parse_received("from a.example ) by b.example").by == "b.example"


@pytest.mark.parametrize("value", ["", "hello", "with SMTP", "; yesterday"])
def test_what_tells_neither_hop_nor_time_is_refused(value: str) -> None:
    with pytest.raises(HeaderError):
        parse_received(value)


@needs_corpora
def test_real_received_fields_tell_who_handed_over(soak: bool) -> None:
    from delivcheck.mime.message import parse

    read = refused = 0
    for _, data in messages(soak=soak):
        for field in parse(data).all("received"):
            try:
                read += parse_received(field.text).by is not None
            except HeaderError:
                refused += 1
    assert read > 20 * refused


# --- Authentication-Results --------------------------------------------------------------------------------------


def test_results_carry_method_result_reason_and_properties() -> None:
    value = (
        "mx.b.example 1; spf=pass (b.example: designates) smtp.mailfrom=bounce@a.example; "
        'dkim/1=FAIL reason="bad signature" header.d=a.example header.b=ab/+=; dmarc=none (p=none) header.from=a.example; arc=pass (i=1)'
    )
    found = parse_authentication_results(value)
    assert (found.authserv_id, found.version) == ("mx.b.example", 1)
    assert [(each.method, each.result) for each in found.results] == [
        ("spf", "pass"),
        ("dkim", "fail"),
        ("dmarc", "none"),
        ("arc", "pass"),
    ]
    spf, dkim, dmarc, _ = found.results
    assert spf.get("smtp.mailfrom") == "bounce@a.example"
    assert spf.comments == ("b.example: designates",)
    assert (dkim.version, dkim.reason, dkim.get("header.b"), dkim.get("x.y")) == (1, "bad signature", "ab/+=", None)
    assert value[slice(*dkim.span)].startswith("dkim/1=FAIL")
    assert found.of("dmarc") == (dmarc,)
    assert value[slice(*dmarc.properties[0].span)] == "header.from=a.example"


@pytest.mark.parametrize(
    ("value", "authserv_id", "methods"),
    [
        ("mx.b.example; none", "mx.b.example", []),
        ("mx.b.example", "mx.b.example", []),
        ("mx.b.example;", "mx.b.example", []),
        ('"quoted id"; spf=pass', "quoted id", ["spf"]),
        ("spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=a.example; dkim=none", "", ["spf", "dkim"]),
        ("spf = pass smtp.mailfrom = a.example", "", ["spf"]),
        ('mx.b.example; spf=pass smtp.mailfrom="a b"@c.example', "mx.b.example", ["spf"]),
        ("mx.b.example; spf=none smtp.mailfrom=<>", "mx.b.example", ["spf"]),
    ],
)
def test_forms_seen_from_receivers_are_read(value: str, authserv_id: str, methods: list[str]) -> None:
    found = parse_authentication_results(value)
    assert (found.authserv_id, [each.method for each in found.results]) == (authserv_id, methods)


@pytest.mark.parametrize(
    ("value", "position"),
    [
        ("", 0),
        ("; spf=pass", 0),
        ("mx; spf", 7),
        ("mx; spf=", 8),
        ("mx spf=pass", 3),
        ("mx; spf/x=pass", 8),
        ("mx; spf=pass x", 14),
        ("mx; spf=pass; =x", 14),
        ("mx (", 3),
    ],
)
def test_what_does_not_follow_the_grammar_is_refused_where_it_stops(value: str, position: int) -> None:
    with pytest.raises(HeaderError) as caught:
        parse_authentication_results(value)
    assert caught.value.position == position


def test_a_lenient_reader_passes_over_what_it_cannot_read() -> None:
    found = parse_authentication_results("mx; header.From=a@b; dkim=pass header.d=a.example; spf; dmarc=pass", lenient=True)
    assert [(each.method, each.result) for each in found.results] == [("dkim", "pass"), ("dmarc", "pass")]
    assert len(found.unread) == 2
    assert parse_authentication_results("spf;dkim=pass", lenient=True).of("dkim")
    assert parse_authentication_results("mx spf=pass", lenient=True).of("spf")


@pytest.mark.parametrize("value", ["", "; spf=pass", "mx (", "mx" + "; =" * 30])
def test_even_a_lenient_reader_gives_up(value: str) -> None:
    with pytest.raises(HeaderError):
        parse_authentication_results(value, lenient=True)


PIECES = st.sampled_from(
    [
        "from",
        "by",
        "with",
        "id",
        "for",
        "a.example",
        "[192.0.2.1]",
        "(",
        ")",
        "(c)",
        ";",
        "=",
        "spf",
        "/1",
        "pass",
        '"',
        "\\",
        "<",
        ">",
        " ",
        "helo=x",
        "::",
        "reason=",
        "é",
        "none",
    ]
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=30).map(" ".join), st.lists(PIECES, max_size=30).map("".join)))
def test_they_return_or_raise_header_error_with_a_position_inside(value: str) -> None:
    def lenient(text: str) -> AuthenticationResults:
        return parse_authentication_results(text, lenient=True)

    strict = parse_authentication_results
    for parse, kind in ((parse_received, Received), (strict, AuthenticationResults), (lenient, AuthenticationResults)):
        found = outcome(parse, value)
        assert isinstance(found, kind) or is_inside(found, value)
