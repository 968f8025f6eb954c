"""Whatever octets come, the whole rule book answers: no fault of ours, in time, in JSON that fits the schema.

A normal run takes every seventh corpus message and 50 made ones; `--soak` all of them and 10,000.
"""

import asyncio
import json
import time
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from delivcheck.api import Checker, InputError, Options, to_json
from delivcheck.facts.roots import Envelope, Origin, Session
from delivcheck.net.snapshot import from_mapping
from delivcheck.policy import load
from delivcheck.report import schema

CORPORA = Path(__file__).parents[2].parent / "shared" / "corpora"
MESSAGES = sorted(
    path for path in CORPORA.glob("msg-*/**/*") if path.is_file() and not path.name.startswith("_") and path.name != "README"
)
EVERY = 7
SECONDS = 1.0  # for one message, of this process's own time: the machine may be busy with others
FITS = jsonschema.Draft202012Validator({**schema.packaged(), "$ref": "#/$defs/TargetReport"})
ENVELOPE = Envelope("bounce@example.org", ("a@example.net", "b@example.com"))
SESSION = Session(ip_address("192.0.2.1"), "mail.example.org")


@lru_cache(maxsize=1)
def checker():
    """Not made while tests are collected: a page that has no check yet must not stop all others."""
    return Checker(Options(load("bulk"), dns=from_mapping({}), now=datetime(2026, 11, 23, tzinfo=UTC)))


def examine(data, origin=Origin.AS_SENT):
    """Check a message and hold the report against schema and clock; None for what is no message.

    What took too long gets two more tries: the garbage of ten thousand earlier cases is sometimes collected on this one's time.
    """
    ready = checker()
    for _ in range(3):
        begin = time.process_time()
        try:
            report = asyncio.run(ready.message(data, envelope=ENVELOPE, session=SESSION, origin=origin))
        except InputError:
            return None
        taken = time.process_time() - begin
        if taken < SECONDS:
            break
    faults = [f"{result.rule}: {result.reason}" for result in report.results if result.bug is True]
    assert faults == []
    FITS.validate(json.loads(to_json(report, every_result=True)))
    assert taken < SECONDS
    return report


@pytest.mark.skipif(not MESSAGES, reason="the corpora are not there: ../shared/corpora")
@pytest.mark.parametrize("number", range(EVERY))
def test_every_message_of_the_corpora_is_checked(number, soak):
    if number and not soak:
        pytest.skip("a sample; --soak takes all")
    examined = 0
    for path in MESSAGES[number::EVERY]:
        data = path.read_bytes()
        examined += examine(data) is not None
        examine(data, Origin.AS_RECEIVED)
    assert examined > len(MESSAGES) // EVERY // 2


# --- made messages -------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(
    [
        "From",
        "To",
        "Cc",
        "Bcc",
        "Subject",
        "Date",
        "Message-ID",
        "Reply-To",
        "Sender",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
        "Content-Disposition",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
        "List-Id",
        "Feedback-ID",
        "DKIM-Signature",
        "Received",
        "Authentication-Results",
        "Return-Path",
        "X-Anything",
        "Content-ID",
        "Precedence",
    ]
)
PIECES = st.sampled_from(
    [
        "a@example.org",
        "<a@example.org>",
        '"x" <a@b.example>',
        "a@b, c@d",
        "group: a@b;",
        "=?utf-8?q?=C3=A9?=",
        "=?utf-8?b?w6k=?=",
        "=?x?y?z?=",
        "<https://example.org/u?t={{ token }}>",
        "<mailto:u@example.org>",
        "List-Unsubscribe=One-Click",
        "1.0",
        "text/html",
        "text/plain; charset=utf-8",
        'multipart/mixed; boundary="b"',
        "multipart/alternative; boundary=b",
        "multipart/related; boundary=c",
        "message/rfc822",
        "base64",
        "quoted-printable",
        "8bit",
        "x-unknown",
        "attachment; filename=a.exe",
        "name*0*=utf-8''%C3%A9",
        "v=1; a=rsa-sha256; d=example.org; s=s; h=from; bh=aGk=; b=aGk=; c=relaxed/simple; l=3; t=1; x=2",
        "Mon, 23 Nov 2026 12:00:00 +0000",
        "32 Foo 99999 25:61:61",
        "(comment (nested",
        '"unclosed',
        "\\",
        "\t",
        " ",
        "\r\n ",
        "\n",
        "\r",
        "\x00",
        "\x1b[31m",
        "é",
        "٣",
        "x" * 200,
        ";",
        ",",
        "<",
        ">",
        "from [192.0.2.1] (mail.example.org [192.0.2.1]) by mx.example.net with ESMTPS; Mon, 23 Nov 2026 12:00:00 +0000",
        "mx.example.net; spf=pass smtp.mailfrom=a@example.org; dkim=fail header.d=example.org",
    ]
)
FIELDS = st.builds(lambda name, pieces: f"{name}: {''.join(pieces)}", NAMES, st.lists(PIECES, max_size=4))
BODIES = st.lists(
    st.sampled_from(
        [
            "--b",
            "--b--",
            "--c",
            "--c--",
            "",
            "Content-Type: text/html",
            "Content-Type: text/plain",
            "Content-Transfer-Encoding: base64",
            "PGh0bWw+PGEgaHJlZj0iaHR0cDovL3gudGVzdC8iPnh4PC9hPg==",
            "<html><body><a href='http://192.0.2.1/'>https://example.com</a>",
            "<p style='display:none'>",
            "<style>@import 'x'; p{color:red",
            "<!--[if mso]>",
            "<table><td><form><script>",
            "{{ name }} %%x%% *|F|*",
            "=C3=A9=",
            "=ZZ",
            "https://example.org/unsubscribe?e=a@example.net",
            "Hi ,",
            "x" * 1200,
            "é",
            "\x00",
            "\r",
            "unsubscribe",
            "&#x27;&amp;&zwnj;",
        ]
    ),
    max_size=12,
).map("\r\n".join)
MADE = st.builds(
    lambda fields, blank, body: ("\r\n".join(fields) + blank + body).encode("utf-8", "surrogateescape"),
    st.lists(FIELDS, max_size=12),
    st.sampled_from(["\r\n\r\n", "\n\n", "\r\n", ""]),
    BODIES,
)


@given(MADE | st.binary(max_size=400))
@example(b"\x00")
@example(b" leading\r\n\r\n")
@example(b":\r\n\r\n")
def test_any_octets_are_checked(data):
    examine(data)


@given(MADE)
def test_any_octets_that_came_in_are_checked(data):
    examine(data, Origin.AS_RECEIVED)
