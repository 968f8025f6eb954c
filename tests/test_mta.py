"""The machinery of the tests themselves: a private Postfix, and the sink behind it."""

import socket

from tests.mta import needs_postfix, postfix, service, sink
from tests.servers import free_port, loopback

pytestmark = needs_postfix


def test_mail_through_a_private_postfix_comes_to_the_sink():
    with sink() as taken, postfix({"default_transport": taken.transport}) as mta:
        with mta.smtp() as client:
            client.sendmail("a@sender.example", ["b@rcpt.example"], b"Subject: x\r\n\r\n..y\r\n")
        mta.wait("status=sent")
        message = taken.wait(1)[0]
    assert message.envelope == ("MAIL FROM:<a@sender.example>", "RCPT TO:<b@rcpt.example>")
    assert message.octets.endswith(b"\r\n\r\n..y\r\n")
    assert not mta.folder.exists()


def test_mail_of_the_sendmail_command_waits_in_the_queue_while_it_is_held():
    with postfix({"header_checks": "static:HOLD"}) as mta:
        assert mta.submit(b"Subject: x\r\n\r\ny\r\n", "b@rcpt.example").returncode == 0
        mta.wait("cleanup.* hold: header")
        [entry] = mta.queued()
        assert entry["queue_name"] == "hold"
        assert b"\r\nSubject: x\r\n" in mta.octets(entry["queue_id"])


def test_settings_can_be_changed_and_another_smtpd_has_its_own_options():
    host = loopback()
    other = free_port(host)
    with postfix(services=[service(host, other, "-o smtpd_banner=other")], options=["-o smtpd_banner=first"], host=host) as mta:
        for port, banner in ((mta.port, b"first"), (other, b"other")):
            with socket.create_connection((host, port), 10) as sock:
                assert sock.recv(100) == b"220 " + banner + b"\r\n"
        mta.change(message_size_limit="4242")
        with mta.smtp() as client:
            client.ehlo()
            assert client.esmtp_features["size"] == "4242"
