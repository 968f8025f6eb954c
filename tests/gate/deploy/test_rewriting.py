"""What Postfix changes after the gate has judged, before that, and what to set: each line of the table in docs/gate.md.

A milter that passes everything keeps what it judged; a next hop keeps what came. Postfix's own Received field, which no milter
sees, is taken off.
"""

import smtplib
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.gate.deploy.site import settings_of, without_received
from tests.gate.milter.serving import serve
from tests.gate.next_hop import ALL
from tests.gate.serve.test_gate import next_hop
from tests.mta import needs_postfix, postfix, service, wait_until
from tests.servers import free_port, loopback

pytestmark = needs_postfix

MILTER = {"smtpd_milters": "unix:delivcheck/milter.sock", "enable_long_queue_ids": "yes"}
SAME_OCTETS = settings_of("same-octets.main.cf")
HEADER = b"From: a@sender.example\r\nTo: b@rcpt.example\r\nSubject: one\r\nDate: Mon, 23 Nov 2026 09:00:00 +0000\r\nMessage-ID: <1@sender.example>\r\n"
PLAIN = HEADER + b"\r\nhello\r\n"
EIGHT_BIT = (
    HEADER
    + b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\ngr\xc3\xbc\xc3\x9fe\r\n"
)
LONG = HEADER + b"\r\n" + b"x" * 1_500 + b"\r\n"
WITHOUT_8BITMIME = ("PIPELINING", "SIZE 36700160", "DSN", "ENHANCEDSTATUSCODES")  # SMTPUTF8 would mean 8BITMIME, too


@contextmanager
def through(settings=None, extensions=ALL, **options):
    """Postfix with the milter before a next hop; gives a function from octets to what was judged and what was relayed."""
    with (
        next_hop(extensions=extensions) as hop,
        postfix({**MILTER, "default_transport": f"smtp:[{hop.host}]:{hop.port}", **(settings or {})}, **options) as mta,
        serve(mta.queue / "delivcheck" / "milter.sock") as milter,
    ):

        def pass_through(octets):
            with mta.smtp() as client:
                client.ehlo()
                client.mail("a@sender.example", ["BODY=8BITMIME"])
                client.rcpt("b@rcpt.example")
                code, text = client.data(octets)
                assert code == 250, text
            wait_until(lambda: len(hop.messages) == 1, mta.log)
            return milter.pipeline.judged[-1], without_received(hop.messages[0].octets)

        pass_through.mta, pass_through.hop, pass_through.milter = mta, hop, milter
        yield pass_through


def map_of(folder, text):
    """A regexp table that Postfix, whose daemons are not root, can read."""
    path = Path(folder) / "etc" / "map"
    path.write_text(text)
    path.chmod(0o644)
    return path


# --- after us -------------------------------------------------------------------------------------------------------


def test_8_bit_mail_is_converted_for_a_next_hop_without_8bitmime():
    with through(extensions=WITHOUT_8BITMIME) as sent:
        judged, relayed = sent(EIGHT_BIT)
    assert judged == EIGHT_BIT
    assert b"Content-Transfer-Encoding: quoted-printable" in relayed


def test_8_bit_mail_is_not_converted_where_that_is_switched_off():
    with through(SAME_OCTETS, extensions=WITHOUT_8BITMIME) as sent:
        judged, relayed = sent(EIGHT_BIT)
    assert judged == relayed == EIGHT_BIT


def test_long_lines_are_broken():
    with through() as sent:
        judged, relayed = sent(LONG)
    assert judged == LONG
    assert b"x" * 998 + b"\r\n " + b"x" * 502 + b"\r\n" in relayed


def test_long_lines_are_not_broken_where_that_is_switched_off():
    with through(SAME_OCTETS) as sent:
        judged, relayed = sent(LONG)
    assert judged == relayed == LONG


@pytest.mark.parametrize(
    ("setting", "table", "found"),
    [
        ("smtp_generic_maps", "/^a@sender/ b@outside.example\n", b"From: b@outside.example\r\n"),
        ("smtp_header_checks", "/^Subject: one/ REPLACE Subject: two\n", b"Subject: two\r\n"),
        ("smtp_body_checks", "/^hello/ REPLACE bye\n", b"bye\r\n"),
    ],
)
def test_what_the_smtp_client_rewrites_was_judged_as_it_was_before(setting, table, found):
    with through() as sent:
        mta = sent.mta
        mta.change(**{setting: f"regexp:{map_of(mta.folder, table)}"})
        judged, relayed = sent(PLAIN)
        assert (judged, found in relayed) == (PLAIN, True)


def test_a_content_filter_gets_what_was_judged_and_what_comes_back_is_judged_only_where_milters_run():
    host = loopback()
    ports = [free_port(host), free_port(host)]
    back = [
        service(host, ports[0], "-o content_filter="),
        service(host, ports[1], "-o content_filter= -o receive_override_options=no_milters"),
    ]
    for port, times in zip(ports, (2, 1), strict=True):
        with through({"content_filter": f"smtp:[{host}]:{port}"}, services=back, host=host) as sent:
            judged, relayed = sent(PLAIN)
            assert sent.milter.pipeline.judged == [PLAIN, judged][:times]
            assert relayed.endswith(PLAIN)
            assert relayed.count(b"Received: ") == 1, "that of the first time is part of the message by now"


# --- before us ------------------------------------------------------------------------------------------------------


def test_what_cleanup_rewrites_is_judged_as_it_leaves_but_for_the_envelope():
    with through() as sent:
        mta = sent.mta
        mta.change(canonical_maps=f"regexp:{map_of(mta.folder, '/^a@sender/ b@outside.example' + chr(10))}")
        judged, relayed = sent(PLAIN)
        assert judged == relayed == PLAIN.replace(b"a@sender.example", b"b@outside.example")
        assert sent.milter.pipeline.seen[0].mail_from == "a@sender.example"
        assert sent.hop.messages[0].mail_from.startswith(b"MAIL FROM:<b@outside.example>")


def test_masquerading_is_judged_as_it_leaves_but_for_the_envelope():
    with through({"masquerade_domains": "example"}) as sent:
        judged, relayed = sent(PLAIN)
        assert judged == relayed
        assert b"From: a@example\r\n" in judged
        assert sent.milter.pipeline.seen[0].mail_from == "a@sender.example"
        assert sent.hop.messages[0].mail_from.startswith(b"MAIL FROM:<a@example>")


def test_header_checks_come_before_us():
    with through() as sent:
        mta = sent.mta
        mta.change(header_checks=f"regexp:{map_of(mta.folder, '/^Subject: one/ REPLACE Subject: two' + chr(10))}")
        judged, relayed = sent(PLAIN)
        assert judged == relayed == PLAIN.replace(b"one", b"two")


def test_bcc_and_the_like_are_gone_before_us():
    with through() as sent:
        judged, relayed = sent(b"Bcc: secret@rcpt.example\r\nReturn-Path: <x@y.example>\r\nContent-Length: 7\r\n" + PLAIN)
    assert judged == relayed == PLAIN


BARE = b"From: a@sender.example\r\nSubject: one\r\n\r\nhello\r\n"


@pytest.mark.parametrize(("settings", "added"), [({}, True), ({"local_header_rewrite_clients": ""}, False)])
def test_what_is_missing_is_added_before_us_unless_that_is_switched_off(settings, added):
    with through(settings) as sent:
        judged, relayed = sent(BARE)
    assert judged == relayed
    assert [field in judged for field in (b"\r\nMessage-Id: ", b"\r\nDate: ")] == [added, added]


@pytest.mark.parametrize(
    "settings", [{}, {"smtpd_forbid_bare_newline": "normalize", "smtpd_forbid_bare_newline_exclusions": ""}]
)
def test_bare_line_feeds_are_line_ends_before_us(settings):
    with through(settings) as sent:
        judged, relayed = sent_raw(sent, HEADER + b"\r\none\ntwo\r\n")
    assert judged == relayed == HEADER + b"\r\none\r\ntwo\r\n"


def sent_raw(sent, octets):
    """smtplib makes CRLF of bare LF, so the data is written as it stands."""
    with sent.mta.smtp() as client:
        client.ehlo()
        client.mail("a@sender.example")
        client.rcpt("b@rcpt.example")
        client.docmd("DATA")
        client.send(octets + b".\r\n")
        code, text = client.getreply()
        if code != 250:
            raise smtplib.SMTPDataError(code, text)
    wait_until(lambda: len(sent.hop.messages) == 1, sent.mta.log)
    return sent.milter.pipeline.judged[-1], without_received(sent.hop.messages[0].octets)


# --- all of it together ---------------------------------------------------------------------------------------------


@pytest.mark.attack(1, 10)
def test_bare_line_feeds_are_refused_with_what_we_ask_to_set():
    with through(settings_of("smuggling.main.cf")) as sent:
        with pytest.raises((smtplib.SMTPDataError, smtplib.SMTPServerDisconnected)):
            sent_raw(sent, HEADER + b"\r\none\n.\nMAIL FROM:<evil@sender.example>\r\n")
        assert not sent.milter.pipeline.judged


@pytest.mark.attack(12)
def test_who_speaks_too_early_is_cut_off_with_what_we_ask_to_set():
    with through(settings_of("smuggling.main.cf")) as sent, sent.mta.smtp() as client:
        client.ehlo()
        client.send(b"MAIL FROM:<a@sender.example>\r\nRCPT TO:<b@rcpt.example>\r\nDATA\r\nSubject: x\r\n\r\nearly\r\n.\r\n")
        replies = client.file or client.sock.makefile("rb")
        assert b"554 5.5.0 Error: SMTP protocol synchronization\r\n" in replies.read(), "and that was the end"
        assert not sent.milter.pipeline.judged
