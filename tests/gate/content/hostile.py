"""Messages that are meant to break who reads them (attacks 30 to 42), each made for a size in octets.

A family is a function of the size; `FAMILIES` has them all by name. What comes out is about that large, has CRLF line ends and no
line over 998 octets but where that is the point, and begins with the fields of an honest message, so that nothing is refused
before the reader that is meant.
"""

import base64
import gzip
import io
import quopri
import zipfile
from collections.abc import Callable

HEADER = (
    b"From: Shop <orders@example.org>\r\nTo: Pat <pat@example.net>\r\nSubject: Your order 4711\r\n"
    b"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n"
)
PLAIN = b"Content-Type: text/plain; charset=utf-8\r\n"
FAMILIES: dict[str, tuple[tuple[int, ...], Callable[[int], bytes]]] = {}


def family(*attacks: int) -> Callable[[Callable[[int], bytes]], Callable[[int], bytes]]:
    def register(make: Callable[[int], bytes]) -> Callable[[int], bytes]:
        FAMILIES[make.__name__.replace("_", "-")] = (attacks, make)
        return make

    return register


def with_fields(fields: bytes) -> bytes:
    return HEADER + fields + PLAIN + b"\r\nhello\r\n"


def with_body(body: bytes, kind: bytes = b"text/plain; charset=utf-8", fields: bytes = b"") -> bytes:
    return HEADER + fields + b"Content-Type: " + kind + b"\r\n\r\n" + body + b"\r\n"


def folded(name: bytes, unit: bytes, size: int, per_line: int = 0) -> bytes:
    """One field made of units, folded before every line's worth of them."""
    per_line = per_line or max(900 // len(unit), 1)
    line = b" " + unit * per_line + b"\r\n"
    return name + b":" + line * max(size // len(line), 1)


def html(body: bytes) -> bytes:
    return with_body(wrapped(body), b"text/html; charset=utf-8")


def wrapped(octets: bytes, width: int = 900) -> bytes:
    """Cut into lines; the break falls anywhere, as it does in quoted-printable before decoding."""
    return b"\r\n".join(octets[at : at + width] for at in range(0, len(octets), width))


def encoded(octets: bytes, kind: bytes, name: bytes) -> bytes:
    return (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + PLAIN + b"\r\nhello\r\n--b\r\nContent-Type: " + kind
        + b"\r\nContent-Disposition: attachment; filename=" + name + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(octets).replace(b"\n", b"\r\n") + b"--b--\r\n"
    )  # fmt: skip


# --- 30: header sections -------------------------------------------------------------------------------------------


@family(30)
def many_fields(size):
    return with_fields(b"X-A: b\r\n" * (size // 8))


@family(30)
def many_different_fields(size):
    return with_fields(b"".join(b"X-%06d: b\r\n" % n for n in range(size // 13)))


@family(30)
def one_long_field(size):
    return with_fields(folded(b"X-A", b"word ", size))


@family(30)
def many_folded_lines(size):
    return with_fields(b"X-A: b\r\n" + b" c\r\n" * (size // 4))


@family(30)
def blank_folds(size):
    return with_fields(b"Subject:" + b" \r\n" * (size // 3))


@family(30, 37)
def many_froms(size):
    return with_fields(b"From: a@example.org\r\n" * (size // 21))


@family(30)
def many_signatures(size):
    one = b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s1; h=from:to:subject; bh=aGVsbG8=; b=aGVsbG8=\r\n"
    return one * (size // len(one)) + with_fields(b"")


@family(30)
def signature_with_many_names(size):
    return (
        b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s1; bh=aGVsbG8=; b=aGVsbG8=;\r\n"
        + folded(b" h=from", b"from:to:x-a:", size)[:-3] + b"\r\n" + with_fields(b"")
    ).replace(b" h=from:", b" h=from:", 1)  # fmt: skip


@family(30)
def many_received(size):
    one = b"Received: from a.example (a.example [192.0.2.1]) by b.example with ESMTP id 1; Mon, 23 Nov 2026 10:00:00 +0000\r\n"
    return one * (size // len(one)) + with_fields(b"")


# --- 33: quadratic parsers -----------------------------------------------------------------------------------------

for _name, _field, _unit in (
    ("comments-open", b"To", b"("), ("comments-deep", b"From", b"((((a))))"), ("commas", b"To", b","),
    ("phrase", b"From", b"word "), ("at-signs", b"To", b"@"), ("brackets", b"To", b"<"), ("quotes", b"To", b'"'),
    ("backslashes", b"To", b"\\"), ("groups", b"To", b"a:;"), ("semicolons", b"To", b";"), ("routes", b"To", b"<@a,@b:"),
    ("many-addresses", b"To", b"a@b.example,"), ("many-authors", b"From", b"a@b.example,"), ("many-reply-to", b"Reply-To", b"a@b%d.example,"),
    ("references", b"References", b"<a@b.example> "), ("references-open", b"References", b"<a@b "), ("message-id", b"Message-ID", b"<"),
    ("encoded-words", b"Subject", b"=?utf-8?q?a?= "), ("encoded-words-b", b"Subject", b"=?utf-8?b?YQ==?= "),
    ("encoded-words-half", b"Subject", b"=?utf-8?q?"), ("encoded-words-torn", b"Subject", b"=?utf-8?q?=C3?= "),
    ("question-marks", b"Subject", b"=?"), ("subject-blanks", b"Subject", b"  "), ("subject-words", b"Subject", b"Re: Fwd: "),
    ("subject-placeholders", b"Subject", b"{{"), ("subject-percent", b"Subject", b"%%a"), ("subject-money", b"Subject", b"$1,"),
    ("date-comments", b"Date", b"("), ("date-words", b"Date", b"Mon, "),
    ("list-unsubscribe", b"List-Unsubscribe", b"<https://example.org/u>, "), ("list-unsubscribe-open", b"List-Unsubscribe", b"<"),
    ("list-unsubscribe-mailto", b"List-Unsubscribe", b"<mailto:a@b.example?subject=x>, "), ("list-id", b"List-Id", b"a<b."),
    ("feedback-id", b"Feedback-ID", b"a:"), ("authentication-results", b"Authentication-Results", b"gate.example.org; spf=pass; "),
    ("authentication-results-comments", b"Authentication-Results", b"("), ("arc", b"ARC-Seal", b"i=1; "),
    ("dkim-tags", b"DKIM-Signature", b"v=1; "), ("dkim-semicolons", b"DKIM-Signature", b";"), ("dkim-blanks", b"DKIM-Signature", b"  "),
    ("content-type-parameters", b"Content-Type", b"; a=b"), ("content-type-quotes", b"Content-Type", b'; a="'),
    ("content-type-comments", b"Content-Type", b"("), ("disposition-comments", b"Content-Disposition", b"attachment ("),
    ("received-comments", b"Received", b"from a ("), ("auto-submitted", b"Auto-Submitted", b"auto-generated; "), ("in-reply-to", b"In-Reply-To", b"("),
    ("mime-version-comments", b"MIME-Version", b"("), ("encoding-comments", b"Content-Transfer-Encoding", b"("),
    ("precedence", b"Precedence", b"bulk "), ("sender", b"Sender", b"a@b.example "), ("return-path", b"Return-Path", b"<<"),
    ("bimi-selector", b"BIMI-Selector", b"v=BIMI1; s=a; "), ("bimi-indicator", b"BIMI-Indicator", b"YWFh"),
    ("tls-required", b"TLS-Required", b"no "), ("x-priority", b"X-Priority", b"1 "), ("autocrypt", b"Autocrypt", b"addr=a@b; "),
):  # fmt: skip

    def _make(size, field=_field, unit=_unit):
        header = b"".join(line + b"\r\n" for line in HEADER.split(b"\r\n")[:-1] if not line.startswith(field + b":"))
        first = b" multipart/mixed; boundary=b" if field == b"Content-Type" else b""
        mine = folded(field, unit, size)
        mine = mine.replace(b":", b":" + first + (b"\r\n" if first else b""), 1)
        return header + mine + (b"" if field == b"Content-Type" else PLAIN) + b"\r\nhello\r\n"

    FAMILIES[_name] = ((33,), _make)


@family(33, 40)
def continuations(size):
    parts = b"".join(b";\r\n filename*%d=a" % n for n in range(size // 18))
    return with_body(b"hello", fields=b"Content-Disposition: attachment" + parts + b"\r\n")


@family(33, 40)
def continuations_encoded(size):
    parts = b"".join(b";\r\n filename*%d*=%%41" % n for n in range(size // 21))
    return with_body(b"hello", fields=b"Content-Disposition: attachment" + parts + b"\r\n")


@family(33, 40)
def continuations_backwards(size):
    count = size // 18
    parts = b"".join(b";\r\n filename*%d=a" % n for n in range(count, -1, -1))
    return with_body(b"hello", fields=b"Content-Disposition: attachment" + parts + b"\r\n")


# --- 32: structure -------------------------------------------------------------------------------------------------


@family(32)
def deep_multipart(size):
    """Multiparts within one another, each with a boundary of its own."""
    opened = b"".join(b"Content-Type: multipart/mixed; boundary=b%07d\r\n\r\n--b%07d\r\n" % (n, n) for n in range(size // 75))
    return HEADER + opened + PLAIN + b"\r\nhello\r\n"


@family(32)
def deep_and_closed(size):
    depth = size // 90
    opened = b"".join(b"Content-Type: multipart/mixed; boundary=b%07d\r\n\r\n--b%07d\r\n" % (n, n) for n in range(depth))
    closed = b"".join(b"--b%07d--\r\n" % n for n in reversed(range(depth)))
    return HEADER + opened + PLAIN + b"\r\nhello\r\n" + closed


@family(32)
def same_boundary_within(size):
    return HEADER + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" * (size // 50) + PLAIN + b"\r\nhello\r\n"


@family(32)
def growing_boundaries(size):
    """Each boundary begins with the one around it, so that every line of the inner might be one of the outer."""
    lines, total, n = [], 0, 1
    while total < size and n < 70:
        lines.append(b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n--%b\r\n" % (b"b" * n, b"b" * n))
        total, n = total + len(lines[-1]), n + 1
    return HEADER + b"".join(lines) + (b"--" + b"b" * 69 + b"\r\n\r\nx\r\n") * ((size - total) // 76) + b"\r\n"


@family(32)
def siblings(size):
    return HEADER + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * (size // 5) + b"--b--\r\n"


@family(32)
def full_siblings(size):
    one = b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n"
    return HEADER + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + one * (size // len(one)) + b"--b--\r\n"


@family(32)
def html_siblings(size):
    one = b"--b\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n"
    return HEADER + b"Content-Type: multipart/alternative; boundary=b\r\n\r\n" + one * (size // len(one)) + b"--b--\r\n"


@family(32, 40)
def attachment_siblings(size):
    one = (
        b"--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment; filename=a.pdf.exe\r\n\r\nx\r\n"
    )
    return HEADER + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + one * (size // len(one)) + b"--b--\r\n"


@family(32)
def image_siblings(size):
    one = b"--b\r\nContent-Type: image/png\r\nContent-ID: <a@b>\r\n\r\nx\r\n"
    return HEADER + b"Content-Type: multipart/related; boundary=b\r\n\r\n" + one * (size // len(one)) + b"--b--\r\n"


@family(32)
def calendar_siblings(size):
    one = b"--b\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"
    return HEADER + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + one * (size // len(one)) + b"--b--\r\n"


@family(32)
def sibling_headers(size):
    one = b"--b\r\n" + b"X-A: b\r\n" * 100 + b"\r\n"
    return HEADER + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + one * (size // len(one)) + b"--b--\r\n"


@family(32)
def messages_within(size):
    return HEADER + b"Content-Type: message/rfc822\r\n\r\n" * (size // 32) + b"Subject: x\r\n\r\nhello\r\n"


@family(32)
def long_boundary(size):
    boundary = b"b" * min(size, 2000)
    fold = b"\r\n ".join(boundary[at : at + 900] for at in range(0, len(boundary), 900))
    return with_body(b"--b\r\n" * (size // 5), b'multipart/mixed; boundary="' + fold + b'"')


@family(32)
def almost_boundaries(size):
    return with_body(b"--" + b"b" * 60 + b"x\r\n" + b"--bb\r\n" * (size // 6), b"multipart/mixed; boundary=" + b"b" * 70)


# --- 34: bombs -----------------------------------------------------------------------------------------------------


@family(34)
def base64_lines(size):
    return with_body(b"QQ==\r\n" * (size // 6), fields=b"Content-Transfer-Encoding: base64\r\n")


@family(34)
def base64_junk(size):
    return with_body(b"!Q!Q!\r\n" * (size // 7), fields=b"Content-Transfer-Encoding: base64\r\n")


@family(34)
def quoted_printable(size):
    return with_body(wrapped(b"=41=4" * (size // 5)), fields=b"Content-Transfer-Encoding: quoted-printable\r\n")


@family(34)
def soft_breaks(size):
    return with_body(b"=\r\n" * (size // 3), fields=b"Content-Transfer-Encoding: quoted-printable\r\n")


@family(34)
def quoted_printable_blanks(size):
    return with_body(wrapped(b" \t" * (size // 2)), fields=b"Content-Transfer-Encoding: quoted-printable\r\n")


@family(34)
def uuencoded(size):
    return with_body(b"begin 644 a.exe\r\n#86)C\r\n`\r\nend\r\n" * (size // 32))


@family(34)
def uuencoded_open(size):
    return with_body(b"begin 644 a.exe\r\n" * (size // 17))


@family(34)
def zip_bomb(size):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive, archive.open("a.txt", "w") as member:
        for _ in range(size // 2_000):
            member.write(bytes(1_000_000))
    return HEADER + encoded(made.getvalue(), b"application/zip", b"a.zip")


@family(34)
def zip_within_zip(size):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("a.exe", b"\0" * 1_000_000)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for n in range(max(size // (len(inner.getvalue()) + 150), 1)):
            archive.writestr(f"{n}.zip", inner.getvalue())
    return HEADER + encoded(made.getvalue(), b"application/zip", b"a.zip")


@family(34)
def zip_of_many(size):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for n in range(size // 120):
            archive.writestr(f"{n}.txt", b"")
    return HEADER + encoded(made.getvalue(), b"application/zip", b"a.zip")


@family(34)
def gzip_bomb(size):
    made = io.BytesIO()
    with gzip.GzipFile(fileobj=made, mode="wb", compresslevel=9) as file:
        for _ in range(size // 2_000):
            file.write(bytes(1_000_000))
    return HEADER + encoded(made.getvalue(), b"application/gzip", b"a.tar.gz")


@family(34)
def many_zip_bombs(size):
    made = io.BytesIO()
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("a.txt", b"\0" * 5_000_000)
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b.zip", inner.getvalue() * 1)
    part = encoded(made.getvalue(), b"application/zip", b"a.zip")
    one = part[part.index(b"--b\r\nContent-Type: application/zip") : -len(b"--b--\r\n")]
    return HEADER + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + one * (size // len(one) + 1) + b"--b--\r\n"


# --- 35: HTML ------------------------------------------------------------------------------------------------------

for _name, _unit in (
    ("html-tables", b"<table><tr><td>"), ("html-divs", b"<div>"), ("html-bold", b"<b>"), ("html-links", b"<a href=https://example.org/>x</a>"),
    ("html-links-open", b"<a href=https://example.org/>"), ("html-fonts", b"<font color=red><b><i>"), ("html-close", b"</p>"),
    ("html-comments", b"<!--"), ("html-comment-pairs", b"<!-- a -->"), ("html-conditionals", b"<!--[if mso]>x<![endif]-->"), ("html-conditionals-open", b"<!--[if mso]>"),
    ("html-svg", b"<svg>"), ("html-svg-mixed", b"<svg><foreignObject><math><mi>"), ("html-entities", b"&amp;"), ("html-entity-half", b"&am"),
    ("html-numbers", b"&#65;"), ("html-lt", b"<"), ("html-open-tag", b"<a "), ("html-attributes", b"<a b=c d=e f=g>"), ("html-styles", b"<p style='color:red;display:none'>x"),
    ("html-style-sheets", b"<style>p{color:red}</style>"), ("html-selects", b"<select><option>"), ("html-forms", b"<form><input>"), ("html-scripts", b"<script>"),
    ("html-images", b"<img src=cid:a@b alt=x>"), ("html-text", b"word "), ("html-newlines", b"\r\n"), ("html-paragraphs", b"<p>x"), ("html-lists", b"<ul><li>"),
    ("html-frames", b"<template>"), ("html-nbsp", b"&nbsp;"), ("html-zero-width", "\u200b‌".encode()), ("html-base", b"<base href=https://a.example/>"),
    ("html-titles", b"<title>"), ("html-plaintext", b"<textarea>"), ("html-buttons", b"<a href=https://a.example/u?e=a%40b.example><button>Unsubscribe"),
    ("html-adoption", b"<a><b><p>"), ("html-adoption-2", b"<b><p></b>"), ("html-tds", b"<td>x"), ("html-rulesets", b"<p class=a id=b>x</p>"),
    ("html-json", b"<script type=application/ld+json>[[[["), ("html-mailto", b"<a href='mailto:a@b.example?subject=x'>x</a>"),
    ("html-languages", b"<p lang=x_Y dir=rtl>x"), ("html-headings", b"<h1><h3>x"), ("html-links-of-images", b"<a href=https://a.example/><img src=cid:a@b alt=''></a>"),
    ("html-links-of-tables", b"<a href=https://a.example/><table><td>"), ("html-faint", b"<p style=color:#999>x"), ("html-right-to-left", "<p>العربية المرسلة إليكم الآن".encode()),
):  # fmt: skip
    FAMILIES[_name] = ((35,), lambda size, unit=_unit: html(unit * (size // len(unit))))


@family(35)
def css_rules(size):
    return html(b"<style>" + b".a .b>c+d~e{color:red}" * (size // 44) + b"</style>" + b"<p class='a b'>x</p>" * (size // 40))


@family(35)
def css_nesting(size):
    return html(b"<style>" + b"@media screen{" * (size // 14))


@family(35)
def css_brackets(size):
    return html(b"<style>a{b:" + b"((((" * (size // 4))


@family(35)
def css_selectors(size):
    return html(b"<style>" + b":not(" * (size // 20) + b"</style>" + b"<p style='" + b"a:b;" * (size // 8) + b"'>x")


@family(35)
def css_universal(size):
    return html(
        b"<style>"
        + b"* * * * * p{display:none}" * (size // 60)
        + b"</style>"
        + b"<div>" * min(size // 100, 400)
        + b"<p>x" * (size // 12)
    )


@family(35)
def xml_entities(size):
    body = b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa">' + b"".join(
        b'<!ENTITY a%d "&a;&a;&a;&a;">' % n for n in range(size // 40)
    )
    return with_body(wrapped(body + b"]><svg>&a9;</svg>"), b"image/svg+xml")


@family(35)
def xml_external(size):
    body = b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>' + b"&x;" * (size // 3)
    return with_body(wrapped(body + b"</svg>"), b"image/svg+xml")


@family(35)
def calendar(size):
    return with_body(b"BEGIN:VCALENDAR\r\n" + b"BEGIN:VEVENT\r\n" * (size // 14), b"text/calendar; method=REQUEST")


@family(35)
def calendar_properties(size):
    return with_body(b"BEGIN:VCALENDAR\r\n" + b'A;B="c":d\r\n' * (size // 11), b"text/calendar; method=REQUEST")


# --- 36: what patterns of rules may choke on ------------------------------------------------------------------------

for _name, _unit in (
    ("text-a", b"a"), ("text-blanks", b" "), ("text-words", b"word "), ("text-digits", b"1"), ("text-digit-groups", b"12 34"), ("text-dots", b"."),
    ("text-at", b"a@"), ("text-addresses", b"a@b.c "), ("text-urls", b"http://a.b "), ("text-urls-open", b"http://"), ("text-www", b"www."),
    ("text-slashes", b"/"), ("text-braces", b"{{"), ("text-braces-open", b"{{a"), ("text-percent", b"{%"), ("text-percent-words", b"%%FIRST"), ("text-dollars", b"${"),
    ("text-brackets", b"[["), ("text-brackets-words", b"[first"), ("text-stars", b"*|"), ("text-lt", b"<%="), ("text-dashes", b"-"), ("text-undef", b"undefined "),
    ("text-hello", b"Hello , "), ("text-dear", b"Dear "), ("text-unsubscribe", b"unsubscribe "), ("text-click", b"click here to unsubscribe "),
    ("text-money", b"$1,000 "), ("text-free", b"FREE!!! "), ("text-percent-off", b"50% off "), ("text-street", b"12 Main Street, "), ("text-zip", b"12345 A "),
    ("text-phone", b"+49 30 "), ("text-umlaut", "ä".encode()), ("text-emoji", "👍🏽‍".encode()), ("text-combining", "\u0301".encode()),
    ("text-bidi", "\u202e".encode()), ("text-quotes", b'"'), ("text-colons", b":"), ("text-equals", b"=3D"), ("text-mixed-case", b"aB"),
    ("text-token", b"0123456789abcdef"), ("text-parentheses", b"("), ("text-entities", b"&amp;"), ("text-newlines", b"\r\n"), ("text-signature", b"-- \r\n"),
    ("text-quote-lines", b"> \r\n"), ("text-blank-lines", b" \r\n"), ("text-invoice", b"Invoice No. "), ("text-address-line", b"Street 1, 10115 "),
    ("text-apos", b"'"), ("text-pipe", b"|"), ("text-hash", b"#{"), ("text-none", b"None null NaN "), ("text-lorem", b"lorem ipsum "), ("text-bad", b"\xff\xfe"),
):  # fmt: skip
    FAMILIES[_name] = (
        (36,),
        lambda size, unit=_unit: with_body(
            unit * (size // len(unit)) if b"\r\n" in unit else wrapped(unit * (size // len(unit)), 990 // len(unit) * len(unit))
        ),
    )

    # the same in HTML, and in quoted-printable, where a line has no end
    FAMILIES[f"html-{_name}"] = ((36,), lambda size, unit=_unit: html(b"<p>" + unit * (size // len(unit)) + b"</p>"))
    FAMILIES[f"endless-{_name}"] = (
        (36,),
        lambda size, unit=_unit: with_body(
            quopri.encodestring(unit * (size // len(unit))).replace(b"\n", b"\r\n"),
            fields=b"Content-Transfer-Encoding: quoted-printable\r\n",
        ),
    )


@family(36)
def long_url(size):
    return html(
        b"<a href='https://a.example/" + b"a" * (size // 2) + b"'>x</a><a href='https://" + b"a." * (size // 4) + b"'>y</a>"
    )


@family(36)
def url_parameters(size):
    return html(b"<a href='https://a.example/?" + b"a=b&amp;" * (size // 8) + b"'>x</a>")


@family(36)
def many_urls(size):
    return html(b"".join(b"<a href=https://a%d.example/%d>https://b%d.example</a>" % (n, n, n) for n in range(size // 55)))


@family(36)
def placeholder_urls(size):
    return html(b"".join(b"<a href='https://a.example/{{a%d}}?x=[[b]]'>x</a>" % n for n in range(size // 50)))


# --- the most that each limit for a single part lets through, part after part ---------------------------------------


def items(size: int) -> int:
    """How many things to put into one part: 2,000, as in a very large newsletter, unless the message is to be a small one."""
    return max(min(size // 500, 2_000), 10)


def parted(body: bytes, size: int, kind: bytes = b"text/html; charset=utf-8") -> bytes:
    """The same body in part after part."""
    one = b"--b\r\nContent-Type: " + kind + b"\r\n\r\n" + wrapped(body) + b"\r\n"
    return HEADER + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + one * max(size // len(one), 1) + b"--b--\r\n"


@family(32, 35)
def parted_urls(size):
    return parted(b"".join(b"<a href=https://a%d.example/%d>https://b%d.example</a>" % (n, n, n) for n in range(2_000)), size)


@family(32, 35)
def different_urls(size):
    """As many parts as it takes, no address in them twice."""
    count, parts = size // 70, []
    for start in range(0, count, items(size)):
        links = (
            b"<a href=https://a%d.example/%d>https://b%d.example</a>" % (n, n, n) for n in range(start, start + items(size))
        )
        parts.append(b"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + wrapped(b"".join(links)) + b"\r\n")
    return HEADER + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"".join(parts) + b"--b--\r\n"


@family(32, 35)
def parted_placeholder_urls(size):
    return parted(b"".join(b"<a href='https://a.example/{{a%d}}?x=[[b]]'>x</a>" % n for n in range(2_000)), size)


@family(32, 35)
def parted_styles(size):
    return parted(
        b"<style>"
        + b".a .b>c+d~e{color:red;display:none}" * (items(size) // 4)
        + b"</style>"
        + b"<p class='a b'>x</p>" * items(size),
        size,
    )


@family(32, 35)
def parted_faults(size):
    return parted(b"<a><b><p></i></td>&am" * items(size), size)


@family(32, 35)
def parted_images(size):
    return parted(b"<img src=cid:a@b alt=x><a href=mailto:a@b.example>x</a>" * items(size), size)


@family(32, 36)
def parted_texts(size):
    return parted(
        b"%%FIRST {{a}} http://a.b 50% off 12 Main Street, 12345 A unsubscribe " * items(size),
        size,
        b"text/plain; charset=utf-8",
    )


@family(32, 34)
def parted_encodings(size):
    return parted(
        b"=41=4=" * (10 * items(size)), size, b"text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable"
    )


@family(32, 33)
def parted_parameters(size):
    return parted(
        b"x",
        size,
        b'application/pdf; name="'
        + b"=?utf-8?q?=C3?= " * 50
        + b'"\r\nContent-Disposition: attachment;'
        + b"".join(b"\r\n filename*%d*=%%41;" % n for n in range(60))
        + b" x=y",
    )
