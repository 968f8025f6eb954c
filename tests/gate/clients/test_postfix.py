"""Postfix as the gate's client: as a relay host's user with SASL over verified TLS, and as a content filter's over LMTP."""

import re
import time

import pytest

from tests.gate.clients.place import NAME, PASSWORD, RECIPIENTS, USER, Place, faulty, letter, place
from tests.mta import Postfix, needs_postfix, postfix, wait_until

pytestmark = needs_postfix


def relaying(one: Place, listener: str = "submission", **more: str) -> dict[str, str]:
    """Settings that make a Postfix send all its mail to the gate."""
    host, port = one.gate.address(listener)
    return {
        "default_transport": "smtp",
        "relayhost": f"[{host}]:{port}",
        "smtp_sasl_auth_enable": "yes",
        "smtp_sasl_password_maps": f"inline:{{ {{ [{host}]:{port} = {USER}:{PASSWORD} }} }}",
        "smtp_sasl_security_options": "noanonymous",
        "smtp_tls_security_level": "verify",
        "smtp_tls_verify_cert_match": NAME,
        "smtp_tls_CAfile": str(one.authority),
        "smtp_tls_loglevel": "1",
        "smtp_tls_wrappermode": "yes" if listener == "submissions" else "no",
        "smtp_host_lookup": "native",
        "smtputf8_enable": "yes",
        **more,
    }


@pytest.mark.parametrize("listener", ["submission", "submissions"])
@pytest.mark.parametrize("mechanism", ["plain", "login"])
def test_it_logs_in_over_verified_tls_and_its_mail_arrives_as_it_was_judged(rich, listener, mechanism):
    sent = letter("Grüße\r\n.\r\n..two")
    with postfix(relaying(rich, listener, smtp_sasl_mechanism_filter=mechanism)) as mta:
        with mta.smtp() as client:
            client.sendmail(sent.sender, sent.to, sent.octets, ["BODY=8BITMIME"])
        mta.wait("status=sent")
        assert "Verified TLS connection established" in mta.log()
    got = rich.arrived(sent)
    assert got.octets.endswith(sent.octets)
    assert got.mail_from.endswith(b"BODY=8BITMIME")
    assert rich.judged(sent)[0]["user"] == USER


def test_status_notifications_and_internationalized_addresses_go_through_both(rich):
    sent = letter("Grüße", to=("jürgen@example.net",))
    with postfix(relaying(rich)) as mta:
        with mta.smtp() as client:
            options = ["BODY=8BITMIME", "SMTPUTF8", "RET=HDRS", "ENVID=QQ314159"]
            client.ehlo()
            client.mail(sent.sender, options)
            client.command_encoding = "utf-8"
            client.rcpt(sent.to[0], ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;pat@example.net"])
            client.data(sent.octets)
        mta.wait("status=sent")
    got = rich.arrived(sent)
    assert {b"BODY=8BITMIME", b"SMTPUTF8", b"RET=HDRS", b"ENVID=QQ314159"} <= set(got.mail_from.split(b" "))
    assert got.rcpt_to == ["RCPT TO:<jürgen@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;pat@example.net".encode()]


def test_a_refusal_is_in_the_bounce_with_the_rule(rich):
    sent = faulty()
    with postfix(relaying(rich, bounce_notice_recipient="x", header_checks="")) as mta:
        assert mta.submit(sent.octets, *sent.to, sender=sent.sender).returncode == 0
        (line,) = mta.wait("status=bounced")
        assert "said: 550 5.6.0 headers/from-repeated" in line
    rich.never(sent)


@pytest.mark.attack(26)
def test_a_wrong_password_leaves_the_mail_in_its_queue(rich):
    sent = letter()
    host, port = rich.gate.address("submission")
    wrong = f"inline:{{ {{ [{host}]:{port} = {USER}:not-the-right-one }} }}"
    with postfix(relaying(rich, smtp_sasl_password_maps=wrong)) as mta:
        assert mta.submit(sent.octets, *sent.to, sender=sent.sender).returncode == 0
        (line, *_) = mta.wait("status=deferred")
        assert "535 5.7.8" in line
        assert mta.queued()[0]["queue_name"] == "deferred"
    rich.never(sent)


@pytest.mark.attack(25)
def test_a_certificate_that_it_does_not_trust_gets_neither_password_nor_mail(rich):
    sent = letter()
    before = len(rich.gate.events("message"))
    with postfix(relaying(rich, smtp_tls_verify_cert_match="other.example")) as mta:
        assert mta.submit(sent.octets, *sent.to, sender=sent.sender).returncode == 0
        mta.wait("status=deferred.*certificate")
    assert len(rich.gate.events("message")) == before
    rich.never(sent)


@pytest.mark.attack(41)
def test_it_converts_before_the_gate_signs_or_bounces_where_the_next_hop_is_poor(poor):
    eight, raw, utf8 = letter("Grüße"), letter("Grüße"), letter(to=("jürgen@example.net",))
    with postfix(relaying(poor)) as mta:
        with mta.smtp() as client:
            client.sendmail(eight.sender, eight.to, eight.octets, ["BODY=8BITMIME"])
            mta.wait("status=sent")
            client.sendmail(utf8.sender, utf8.to, utf8.octets, ["SMTPUTF8"])
            assert mta.wait("status=bounced.*SMTPUTF8")
        mta.change(disable_mime_output_conversion="yes")
        with mta.smtp() as client:
            client.sendmail(raw.sender, raw.to, raw.octets, ["BODY=8BITMIME"])
            assert mta.wait("status=bounced.*554 5.6.3 the next hop takes no 8-bit mail")
    got = poor.arrived(eight)  # with a signature that verifies: what is signed is what Postfix made of it
    assert got.octets.isascii()
    assert b"Content-Transfer-Encoding: quoted-printable\r\n" in got.octets
    poor.never(raw)
    poor.never(utf8)


def again(mta: Postfix, pattern: str, count: int = 1) -> None:
    """Have the queue tried until the log says so often enough."""

    def enough() -> bool:
        mta.flush()
        time.sleep(0.1)
        return len(re.findall(pattern, mta.log())) >= count

    wait_until(enough, lambda: f"{pattern} {count} times in {mta.log()}")


def test_what_is_told_to_come_again_comes_again_and_arrives_once(rich):
    sent = letter()
    rich.hop.says = {"RCPT": ["450 4.2.1 mailbox busy"], "DOT": ["451 4.3.0 not now"]}
    with postfix(relaying(rich)) as mta:
        assert mta.submit(sent.octets, *sent.to, sender=sent.sender).returncode == 0
        again(mta, "status=sent")
        (first, second) = mta.wait("status=deferred", 2)
        assert "said: 450 4.2.1 mailbox busy" in first
        assert "said: 451 4.3.0 not now" in second
    assert len(rich.found(sent)) == 1


def test_a_recipient_with_another_next_hop_comes_in_another_transaction(rich):
    sent = letter(to=("kim@example.org", "pat@example.net"))
    with postfix(relaying(rich)) as mta:
        assert mta.submit(sent.octets, *sent.to, sender=sent.sender).returncode == 0
        again(mta, "status=sent", 2)
        (line,) = mta.wait("status=deferred")
        assert "said: 452 4.5.3 this recipient has another next hop" in line
    assert [len(each.rcpt_to) for each in rich.found(sent)] == [1, 1]


def test_more_recipients_than_the_gate_takes_come_in_another_transaction(rich):
    sent = letter(to=[f"r{number}@example.net" for number in range(RECIPIENTS + 30)])
    with postfix(relaying(rich, smtp_destination_recipient_limit="200")) as mta:
        assert mta.submit(sent.octets, *sent.to, sender=sent.sender).returncode == 0
        again(mta, "status=sent", RECIPIENTS + 30)
        assert "said: 452 4.5.3 too many recipients" in mta.log()
    came = [address for each in rich.found(sent) for address in each.rcpt_to]
    assert [len(each.rcpt_to) for each in rich.found(sent)] == [RECIPIENTS, 30]
    assert len(set(came)) == len(sent.to)


def filtering(one: Place) -> dict[str, str]:
    host, port = one.gate.address("lmtp")
    return {"content_filter": f"lmtp:inet:{host}:{port}", "lmtp_tls_security_level": "none"}


def test_as_content_filter_over_lmtp_each_recipient_has_a_reply(rich):
    sent, bad = letter(to=("pat@example.net", "kim@example.net")), faulty()
    with postfix(filtering(rich)) as mta:
        with mta.smtp() as client:
            client.sendmail(sent.sender, sent.to, sent.octets)
            mta.wait("status=sent", 2)
            client.sendmail(bad.sender, bad.to, bad.octets)
            (line,) = mta.wait("status=bounced")
        assert "said: 550 5.6.0 headers/from-repeated" in line
    assert rich.arrived(sent).octets.endswith(sent.octets)
    rich.never(bad)


def test_behind_lmtp_and_before_lmtp_each_recipient_has_its_own_reply(tmp_path):
    says = {"DOT": ["250 2.0.0 taken", "452 4.2.2 mailbox full"]}
    with place(tmp_path, lmtp=True, says=says) as one, postfix(filtering(one)) as mta:
        sent = letter(to=("pat@example.net", "kim@example.net"))
        with mta.smtp() as client:
            client.sendmail(sent.sender, sent.to, sent.octets)
        (taken,), (full,) = mta.wait("status=sent"), mta.wait("status=deferred")
        assert "452 4.2.2 mailbox full" in full
        again(mta, "status=sent", 2)
        recipient = re.compile("to=<[^>]*>")
        late = mta.wait("status=sent", 2)[1]
        assert recipient.search(full)[0] == recipient.search(late)[0] != recipient.search(taken)[0]
