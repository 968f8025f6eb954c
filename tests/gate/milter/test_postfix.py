"""The milter behind a real Postfix, whose smtpd runs chrooted as Debian has it."""

import random
import re
import signal
import smtplib
import ssl
import threading
import time

import pytest

from tests.gate.milter.serving import process, serve
from tests.mime.corpora import messages, needs_corpora
from tests.mta import needs_postfix, postfix, service, sink, wait_until
from tests.net.https_server import certificate
from tests.servers import free_port, loopback

pytestmark = needs_postfix

# Long queue ids since short ones are used again; nothing added, no line folded.
UNTOUCHED = {"enable_long_queue_ids": "yes", "local_header_rewrite_clients": "", "smtp_line_length_limit": "0"}
MILTER = {"smtpd_milters": "unix:delivcheck/milter.sock"}


def socket_of(mta):
    return mta.queue / "delivcheck" / "milter.sock"


def message(do="", *, name="one", body="hello\r\n"):
    return f"From: a@sender.example\r\nSubject: {name}\r\nX-Do: {do}\r\n\r\n{body}".encode()


def send(mta, octets, *, port=None, recipients=("b@rcpt.example",)):
    """The reply to the message, or what came before it."""
    with mta.smtp(port) as client:
        return dialogue(client, octets, recipients)


def dialogue(client, octets, recipients=("b@rcpt.example",)):
    client.ehlo_or_helo_if_needed()
    code, text = client.mail("a@sender.example")
    if code == 250:
        for recipient in recipients:
            client.rcpt(recipient)
        code, text = client.data(octets)
    return code, text.decode()


@pytest.fixture(scope="module")
def taken():
    with sink() as made:
        yield made


@pytest.fixture(scope="module")
def mta(taken):
    with postfix({**MILTER, "default_transport": taken.transport}) as made:
        yield made


@pytest.fixture
def milter(mta, taken):
    taken.messages.clear()
    with serve(socket_of(mta)) as served:
        yield served


def test_a_message_is_accepted_and_its_octets_and_session_are_known(mta, taken, milter):
    assert send(mta, message(), recipients=("b@rcpt.example", "c@rcpt.example"))[0] == 250
    taken.wait(1)
    [seen] = milter.pipeline.seen
    queue_id = re.search(rb"with ESMTP id (\w+)", taken.messages[0].octets)[1].decode()
    assert (seen.mail_from, seen.rcpt_to) == ("a@sender.example", ("b@rcpt.example", "c@rcpt.example"))
    assert (str(seen.client.ip), seen.client.helo, seen.client.queue_id) == ("127.0.0.1", "client.example", queue_id)
    assert (seen.client.protocol, seen.client.tls, seen.client.credential) == ("milter", None, None)
    assert taken.messages[0].octets.endswith(seen.octets)


def test_a_refusal_comes_with_our_code_and_text(mta, taken, milter):
    assert send(mta, message("refuse")) == (550, "5.7.26 dmarc/not-aligned 100% not aligned")
    assert send(mta, message("defer")) == (451, "4.4.3 dns did not answer")
    assert send(mta, message())[0] == 250
    assert len(taken.wait(1)) == 1


def test_a_held_message_is_in_the_mtas_quarantine(mta, taken, milter):
    assert send(mta, message("hold", name="held"))[0] == 250
    assert [one["queue_name"] for one in mta.queued()] == ["hold"]
    mta.release()
    assert b"Subject: held\r\n" in taken.wait(1)[0].octets
    assert len(milter.pipeline.seen) == 1, "a released message is not judged again"


def test_fields_are_added_and_taken_out_where_they_were_judged_to_be(mta, taken, milter):
    octets = b"X-Away: 1\r\nX-Away: 2\r\nx-away: 3\r\n" + message("insert delete")
    assert send(mta, octets)[0] == 250
    lines = taken.wait(1)[0].octets.split(b"\r\n\r\n")[0].split(b"\r\n")
    assert lines[:4] == [b"X-Second: a", b"\tb", b"X-First: 1", lines[3]]
    assert lines[3].startswith(b"Received: ")
    assert lines[-1] == b"X-Last: 3"
    assert [line for line in lines if line.lower().startswith(b"x-away")] == [b"X-Away: 2"]


def test_the_octets_that_were_judged_with_our_edits_are_those_that_are_handed_on(mta, taken, milter):
    octets = b"X-Away: 1\r\nX-Away: 2\r\nx-away: 3\r\n" + message("insert delete apply")
    assert send(mta, octets)[0] == 250
    relayed = re.sub(rb"\r\nReceived: .*?\r\n(?![ \t])", b"\r\n", taken.wait(1)[0].octets, count=1, flags=re.DOTALL)
    assert milter.pipeline.judged == [relayed]


def test_a_message_with_addresses_in_utf_8_is_known_as_such(mta, taken, milter):
    for options in (["SMTPUTF8", "BODY=8BITMIME"], []):
        with mta.smtp() as client:
            client.ehlo()
            client.command_encoding = "utf-8"
            client.mail("ä@sender.example" if options else "a@sender.example", options)
            client.rcpt("b@rcpt.example")
            client.data(message())
    assert [(one.mail_from, one.smtputf8) for one in milter.pipeline.seen] == [
        ("ä@sender.example", True),
        ("a@sender.example", False),
    ]


def test_the_clients_tls_is_known(tmp_path, taken):
    both = str(certificate(tmp_path))
    tls = {"smtpd_tls_security_level": "may", "smtpd_tls_cert_file": both, "smtpd_tls_key_file": both}
    with postfix({**MILTER, **tls}) as mta, serve(socket_of(mta)) as milter:
        context = ssl.create_default_context(cafile=both)
        context.check_hostname = False
        with mta.smtp() as client:
            client.starttls(context=context)
            assert dialogue(client, message())[0] == 250
            assert milter.pipeline.seen[0].client.tls == client.sock.version()


@pytest.mark.attack(44)
def test_messages_of_one_connection_share_nothing(mta, taken, milter):
    asks = ["insert", "refuse", "", "defer", "delete", "hold", "insert", "", "raise", ""]
    replies = []
    with mta.smtp() as client:
        for number, ask in enumerate(asks):
            replies.append(dialogue(client, message(ask, name=f"message {number}"))[0])
            client.mail("x@sender.example")
            client.rset()
    assert replies == [250, 550, 250, 451, 250, 250, 250, 250, 451, 250]
    added = {one.octets.split(b"Subject: ")[1][:9]: b"X-First" in one.octets for one in taken.wait(6)}
    assert added == {
        b"message 0": True,
        b"message 2": False,
        b"message 4": False,
        b"message 6": True,
        b"message 7": False,
        b"message 9": False,
    }
    assert [seen.octets.count(b"Subject: ") for seen in milter.pipeline.seen] == [1] * len(asks)
    assert {seen.rcpt_to for seen in milter.pipeline.seen} == {("b@rcpt.example",)}
    assert len([1 for event, told in milter.events if event == "connection" and told["what"] == "open"]) == 1
    mta.discard()


def test_a_fault_of_ours_is_temporary_and_says_nothing_of_it(mta, milter):
    code, text = send(mta, message("raise"))
    assert code == 451
    assert "boom" not in text
    assert ("fault", "RuntimeError: boom\r\n250 injected") in [(event, told.get("reason")) for event, told in milter.events]


def test_mail_of_the_machine_itself_is_judged_and_recipients_are_never_refused_one_by_one(taken):
    with (
        postfix({"non_smtpd_milters": "unix:delivcheck/milter.sock", "default_transport": taken.transport}) as mta,
        serve(socket_of(mta)) as milter,
    ):
        taken.messages.clear()
        assert mta.submit(message("refuse", name="bad"), "b@rcpt.example").returncode == 0
        assert mta.submit(message(name="good"), "b@rcpt.example", "c@rcpt.example").returncode == 0
        mta.wait("END-OF-MESSAGE.*5.7.26 dmarc/not-aligned 100% not aligned")
        wait_until(lambda: len(milter.pipeline.seen) == 2 and not mta.queued(), mta.log)
        assert [one.envelope[0] for one in taken.messages if b"Subject: good" in one.octets] == ["MAIL FROM:<a@sender.example>"]
        assert not [one for one in taken.messages if b"Subject: bad" in one.octets and "MAIL FROM:<a@" in one.envelope[0]]
        assert all(seen.client.queue_id for seen in milter.pipeline.seen)


def test_a_second_milter_sees_what_the_first_added(taken):
    with postfix(
        {"smtpd_milters": "unix:delivcheck/first.sock, unix:delivcheck/second.sock", "default_transport": taken.transport}
    ) as mta:
        folder = mta.queue / "delivcheck"
        with serve(folder / "first.sock"), serve(folder / "second.sock") as second:
            assert send(mta, message("insert"))[0] == 250
            assert b"X-First: 1\r\n" in second.pipeline.seen[0].octets
            assert b"X-Second: a\r\n\tb\r\n" in second.pipeline.seen[0].octets


def test_a_slow_answer_is_waited_for_as_long_as_we_say_that_we_are_working(taken, monkeypatch):
    monkeypatch.setattr("delivcheck.gate.milter.server.PROGRESS", 0.2)
    with postfix({"smtpd_milters": "{ unix:delivcheck/milter.sock, content_timeout=1s }"}) as mta, serve(socket_of(mta)):
        assert send(mta, message("sleep=1.3"))[0] == 250


# --- what Postfix does when we are not there: the failure matrix of the documentation ------------------------------------

ACTIONS = {"tempfail": 451, "accept": 250, "quarantine": 250, "reject": 550}
OPTIONS = "connect_timeout=1s, command_timeout=1s, content_timeout=1s"


@pytest.fixture(scope="module")
def four():
    """One smtpd for each default action; the milter is another for each test."""
    host = loopback()
    ports = {action: free_port(host) for action in ACTIONS}
    lines = [
        service(
            host,
            ports[action],
            f"-o {{ smtpd_milters = {{ unix:delivcheck/milter.sock, default_action={action}, {OPTIONS} }} }}",
        )
        for action in ACTIONS
    ]
    with postfix(services=lines, host=host) as mta:
        yield mta, ports


def reply_of(mta, port, octets):
    """The code of what was said, at whatever stage."""
    try:
        return send(mta, octets, port=port)[0]
    except smtplib.SMTPResponseException as error:  # the greeting, too
        return error.smtp_code


def outcome(mta, port, octets):
    """The code, and whether the message is held."""
    code = reply_of(mta, port, octets)
    held = [one for one in mta.queued() if one["queue_name"] == "hold"]
    mta.discard()
    return code, bool(held)


@pytest.mark.parametrize("action", ACTIONS)
def test_the_milter_is_not_there(four, action):
    mta, ports = four
    code, held = outcome(mta, ports[action], message())
    assert (code, held) == ({**ACTIONS, "reject": 554}[action], action == "quarantine")


@pytest.mark.parametrize("fault", ["killed", "frozen", "frozen before"])
def test_the_milter_goes_in_the_middle_of_a_message(four, fault, tmp_path):
    mta, ports = four
    results = {}
    with process(socket_of(mta), tmp_path) as milter:
        before = len(re.findall("message-id=", mta.log()))
        if fault == "frozen before":
            milter.send_signal(signal.SIGSTOP)

        def one(action):
            results[action] = reply_of(mta, ports[action], message("sleep=9", name=action))

        threads = [threading.Thread(target=one, args=(action,)) for action in ACTIONS]
        for thread in threads:
            thread.start()
        if fault != "frozen before":
            mta.wait("message-id=", before + len(ACTIONS))
            time.sleep(0.1)  # until the milter is asked, which no log says
            milter.send_signal(signal.SIGKILL if fault == "killed" else signal.SIGSTOP)
        for thread in threads:
            thread.join(20)
        milter.send_signal(signal.SIGCONT)
    held = [mta.octets(one["queue_id"]) for one in mta.queued() if one["queue_name"] == "hold"]
    mta.discard()
    # Refused when it greets where it could not even connect, else at the end of the message.
    assert results == {**ACTIONS, "reject": 554 if fault == "frozen before" else 550}
    assert [re.search(rb"Subject: (\w+)", one)[1] for one in held] == [b"quarantine"]


# --- what we judge is what Postfix was given, and what it hands on --------------------------------------------------------

# What a message needs for Postfix to leave it alone: fields from the first line on, none that it takes out (message_drop_headers).
PLAIN = re.compile(
    rb"(?!From )(?:(?!(?:Return-Path|Content-Length|Bcc|Resent-Bcc):)[!-9;-~]+:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)+\r\n",
    re.IGNORECASE,
)


def judged_and_relayed(given):
    """Send all that is given; for each that was accepted: what was given, what the milter made of it, what the sink got.

    Postfix's own Received field, which no milter sees, is taken off.
    """
    with (
        sink() as taken,
        postfix({**MILTER, **UNTOUCHED, "default_transport": taken.transport}) as mta,
        serve(socket_of(mta)) as milter,
    ):
        accepted = {}
        with mta.smtp() as client:
            for octets in given:
                code, text = dialogue(client, octets)
                if code == 250:
                    accepted[re.search(r"queued as (\w+)", text)[1]] = octets
        judged = {seen.client.queue_id: seen.octets for seen in milter.pipeline.seen}
        relayed = {}
        for one in taken.wait(len(accepted)):
            own, rest = re.match(rb"(Received: .*?\r\n)(?![ \t])(.*)", one.octets, re.DOTALL).groups()
            relayed[re.search(rb"with ESMTP id (\w+)", own)[1].decode()] = rest
        return [(octets, judged[queue_id], relayed[queue_id]) for queue_id, octets in accepted.items()]


@needs_corpora
def test_corpus_messages_are_judged_as_they_are_handed_on(soak):
    alone = 0
    for given, judged, relayed in judged_and_relayed(octets for _, octets in messages(soak=soak)):
        # Nothing tells a milter whether a message without a body has the blank line: it always gets one.
        assert judged in {relayed, relayed + b"\r\n"}
        if PLAIN.match(given) and given.endswith(b"\r\n") and not re.search(rb"\r(?!\n)|(?<!\r)\n", given):
            assert judged == given
            alone += 1
    assert alone > 20


def generated(count):
    """Messages of any octets that a line may have."""
    dice = random.Random(4)
    usable = bytes(set(range(1, 256)) - set(b"\r\n"))
    for number in range(count):
        lines = [
            dice.choice([b"", b".", b"..", b" "])
            + bytes(dice.choices(usable, k=dice.choice([0, 1, 40, 76, dice.randrange(990)])))
            for _ in range(dice.randrange(12))
        ]
        fold = dice.choice([b"", b"\r\n ", b"\r\n\t\t", b" \r\n  "])
        blank = dice.choice([b"", b" ", b"  ", b"\t"])
        yield b"From: a@sender.example\r\nSubject:%b%b%bend \r\nX-Empty:\r\n\r\n%b" % (
            blank,
            b"n%d" % number,
            fold,
            b"".join(line + b"\r\n" for line in lines),
        )


def test_any_body_and_any_fold_is_judged_as_it_was_given_and_handed_on(soak):
    large = message(body="".join(f"line {number}\r\n" for number in range(100_000)))
    found = judged_and_relayed([large, *generated(10_000 if soak else 200)])
    assert len(found) == (10_001 if soak else 201)
    for given, judged, relayed in found:
        assert given == judged == relayed
