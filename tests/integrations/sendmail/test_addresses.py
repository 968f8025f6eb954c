"""Addresses of command lines and headers, and what of them reaches the envelope."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.gate.model import RcptTo
from delivcheck.gate.relay import commands
from delivcheck.gate.relay.protocol import Offers
from delivcheck.integrations.sendmail.addresses import BadAddress, envelope, one


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"a@{'b' * 63}.example", [f"a@{'b' * 63}.example"]),
        ("a@b.example", ["a@b.example"]),
        ("<a@b.example>", ["a@b.example"]),
        ("root", ["root@here.example"]),
        ("root (Cron Daemon)", ["root@here.example"]),
        ("Root <root>", ["root@here.example"]),
        ("a@b.example,c@d.example,a@b.example", ["a@b.example", "c@d.example"]),
        ('"Doe, Jane" <j@b.example>, (a, comment) k@b.example', ["j@b.example", "k@b.example"]),
        ("Team: a@b.example, B <b@b.example>;, c@d.example", ["a@b.example", "b@b.example", "c@d.example"]),
        ("undisclosed-recipients:;", []),
        ("undisclosed-recipients: ;", []),
        ("=?utf-8?q?Zo=C3=AB?= <z@b.example>", ["z@b.example"]),
        ('"a b"@b.example', ['"a b"@b.example']),
        ("a@[192.0.2.1]", ["a@[192.0.2.1]"]),
        ("<@relay.example:a@b.example>", ["a@b.example"]),
        ("zoë@b.example", ["zoë@b.example"]),
        ("a@bücher.example", ["a@xn--bcher-kva.example"]),
        (" , ,a@b.example, ", ["a@b.example"]),
        ("", []),
        ("|/bin/sh", ["|/bin/sh@here.example"]),  # never a program: it has a domain by now
        ("-oQ/tmp@b.example", ["-oQ/tmp@b.example"]),
    ],
)
def test_the_envelope_of_a_list(text, wanted):
    assert envelope(text, "here.example") == wanted


@pytest.mark.parametrize(
    "text",
    [
        "a@b@c.example",
        "a b@c.example",
        "a@b.example c@d.example",
        "a@b.example> SIZE=1",
        "<a@b.example",
        '"a@b.example',
        "a@b.example\r\nRCPT TO:<evil@c.example>",
        "a@b.example\nx@c.example",
        "a\0@b.example",
        '"a\r\nb"@c.example',
        "a@b..example",
        f"a@{'b' * 64}.example",
        f"{'a' * 300}@b.example",
        "\udcff@b.example",
        "a@b.example:c@d.example",
        "a@b.example RCPT TO:<evil@c.example>",
    ],
)
def test_what_is_no_address(text):
    with pytest.raises(BadAddress) as raised:
        envelope(text, "here.example")
    assert len(str(raised.value)) < 400


def test_a_sender_is_one_address():
    assert one("Me <me@b.example>", "x.example") == "me@b.example"
    for text in ("", "a@b.example, c@d.example"):
        with pytest.raises(BadAddress):
            one(text, "x.example")


@given(st.one_of(st.text(max_size=40), st.text(alphabet='ab@.,;:<>"()[]\\ \r\n\0-=?', max_size=40)))
def test_it_returns_addresses_that_smtp_can_carry_or_raises_its_one_error(text):
    try:
        found = envelope(text, "here.example")
    except BadAddress:
        return
    for address in found:
        line = commands.rcpt(RcptTo(address), Offers(), utf8=True)
        assert line == f"RCPT TO:<{address}>\r\n".encode()
        assert line.count(b"\n") == 1
