"""-bs: SMTP on standard input and output."""

import asyncio
import re
import smtplib
import socket
import subprocess
import sys
import threading

import pytest

from delivcheck.integrations.guard import Guard
from delivcheck.integrations.sendmail import nexthop, session, settings
from delivcheck.integrations.sendmail.sysexits import Exit
from tests import servers
from tests.conftest import require
from tests.integrations import house
from tests.integrations.sendmail.place import WAIT

TO = house.RECIPIENT


class Client(smtplib.SMTP):
    """The standard library's client over the socket that it is given."""

    def __init__(self, sock):
        self._given = sock
        super().__init__("sendmail", 25, local_hostname="client.example")

    def _get_socket(self, *_):
        return self._given


@pytest.fixture
def client(place):
    """A session of this process, and a client of it."""
    ours, theirs = socket.socketpair()
    found = []

    def serve():
        guard = Guard(config=place.config, **place.options)
        known = settings.read(guard.config)
        talk = session.Session(guard, nexthop.way(known), known.domain)
        try:
            found.append(asyncio.run(talk.run(ours.fileno(), ours.fileno())))
        finally:
            guard.close()
            ours.close()

    thread = threading.Thread(target=serve)
    theirs.settimeout(60)

    def start(**options):
        place.options = options
        thread.start()
        return Client(theirs)

    yield start
    theirs.close()
    thread.join(60)
    assert found == [None]


def test_good_messages_arrive_and_bad_ones_hear_the_rule(place, client):
    talk = client()
    first, second = house.good("one\r\n.\r\ntwo"), house.good()
    talk.sendmail(house.BOUNCES, [TO, "kim@example.net"], first)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        talk.sendmail(house.SENDER, [TO], house.bad())
    talk.sendmail(house.SENDER, [TO], second)
    talk.quit()
    assert refused.value.smtp_code == 550
    assert house.BAD_RULE in refused.value.smtp_error.decode()
    assert [one.octets for one in place.sink.messages] == [first, second]
    assert place.sink.messages[0].mail_from == house.BOUNCES
    assert place.sink.messages[0].rcpt_to == (TO, "kim@example.net")
    assert [one["hook"] for one in place.recorded] == ["sendmail"]


def test_dns_dead_is_a_bypass_or_a_451(place, client):
    with house.dead_name_server() as dead:
        place.configure(nameserver=dead.address, timeout=0.2)
        talk = client(on_unknown="raise")
        with pytest.raises(smtplib.SMTPDataError) as waits:
            talk.sendmail(house.SENDER, [TO], house.good())
        talk.quit()
    assert waits.value.smtp_code == 451
    assert place.sink.messages == []


def test_observe_sends_all_the_same(place, client):
    octets = house.bad()
    talk = client(mode="observe")
    talk.sendmail(house.SENDER, [TO], octets)
    talk.quit()
    assert [one.octets for one in place.sink.messages] == [octets]
    assert [one["event"] for one in place.recorded] == ["bypassed"]


def test_the_next_hops_no_is_passed_on(place, client):
    place.sink.hop.says["RCPT"] = "550 5.1.1 no such user"
    talk = client()
    with pytest.raises(smtplib.SMTPDataError) as refused:
        talk.sendmail(house.SENDER, [TO], house.good())
    talk.quit()
    assert refused.value.smtp_code == 550
    assert b"5.1.1 pat@example.net: the next hop says 550 5.1.1 no such user" in refused.value.smtp_error


def test_it_offers_what_the_next_hop_can_and_neither_auth_nor_tls(place, client):
    talk = client()
    talk.ehlo()
    offered = set(talk.esmtp_features)
    talk.quit()
    assert {"8bitmime", "smtputf8", "dsn", "size"} <= offered
    assert not {"auth", "starttls"} & offered


def test_a_next_hop_that_is_down_is_said_at_ehlo(place, client):
    place.configure(f'next-hop = "smtp://{place.sink.host}:{servers.free_port(place.sink.host)}"')
    talk = client()
    code, text = talk.ehlo()
    talk.quit()
    assert code == 451
    assert b"4.4.1" in text


def test_what_is_missing_is_added_and_blind_copies_are_taken_out(place, client):
    talk = client()
    octets = house.good(Message_ID=None, Date=None, Bcc="blind@example.net")
    talk.sendmail(house.SENDER, [TO, "blind@example.net"], octets)
    talk.rset()
    talk.quit()
    [taken] = place.sink.messages
    assert b"blind@" not in taken.octets
    assert re.search(rb"\r\nDate: .*\r\nMessage-ID: <[0-9A-Z]{26}@example\.org>\r\n\r\n", taken.octets)


def test_a_client_that_goes_away_sends_nothing(place, client):
    talk = client()
    talk.ehlo()
    talk.mail(house.SENDER)
    talk.rcpt(TO)
    talk.docmd("DATA")
    talk.send(b"From: x@example.org\r\n\r\nhalf")
    talk.close()
    assert place.sink.messages == []


def test_another_sendmail_does_not_talk_into_the_dialogue(place):
    place.configure(f'next-hop = ["{place.program()}"]')
    done = dialogue(place, "HELO me.example", f"MAIL FROM:<{house.SENDER}>", f"RCPT TO:<{TO}>", "DATA", house.good(), "QUIT")
    assert [line[:3] for line in done.stdout.decode().splitlines()] == ["220", "250", "250", "250", "354", "250", "221"]
    assert b"other: a word" in done.stderr
    assert place.given[1] == place.sent.replace(b"\r\n", b"\n")


def dialogue(place, *steps):
    """Talk to a process, one step after the other's answer."""
    command = [sys.executable, "-m", "delivcheck", "sendmail", "--config", str(place.config), "-bs"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        said = process.stdout.readline()
        for step in steps:
            if isinstance(step, bytes):
                place.sent = step
                process.stdin.write(step + b".\r\n")
            else:
                process.stdin.write(step.encode() + b"\r\n")
            process.stdin.flush()
            said += process.stdout.readline()
        rest, errors = process.communicate(timeout=WAIT)
    assert process.returncode == Exit.OK
    return subprocess.CompletedProcess(command, process.returncode, said + rest, errors)


def test_swaks_talks_to_it_by_a_pipe(place):
    require("swaks")
    octets = house.good()
    data = place.folder / "data"
    data.write_bytes(octets)
    command = ["swaks", "--pipe", f"{place.script} -bs", "--from", house.SENDER, "--to", TO, "--data", f"@{data}"]
    done = subprocess.run([*command, "--helo", "client.example"], capture_output=True, timeout=WAIT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [one.octets for one in place.sink.messages] == [octets + b"\r\n"]  # the line is swaks's own
