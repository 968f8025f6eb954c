"""`delivcheck.testing`: what passes and fails an assertion, and whether what is captured is what a real server gets."""

import asyncio
import smtplib
import subprocess
import sys
import textwrap
import threading
import warnings
from email.message import EmailMessage, Message
from email.mime.text import MIMEText

import aiosmtplib
import pytest

from delivcheck import PolicyError
from delivcheck import smtplib as ours
from delivcheck.integrations.case import Case
from delivcheck.integrations.testing.octets import outgoing
from delivcheck.integrations.testing.server import Server
from delivcheck.net.snapshot import Recorder, SnapshotError
from delivcheck.tables import ConfigError
from delivcheck.testing import NotDeliverable, Sent, UnusedIgnore, assert_deliverable, capture
from tests.integrations import house

NO_RECORD = "dmarc/no-record"


def hold(message, *arguments, **options):
    return assert_deliverable(message, *arguments, **{"config": False, **options})


def refused(message, *arguments, **options):
    with pytest.raises(NotDeliverable) as caught:
        hold(message, *arguments, **options)
    return caught.value


# --- the assertion -----------------------------------------------------------------------------------------------


def test_a_good_message_passes_and_gives_its_report():
    report = hold(house.good())
    assert (str(report.verdict), report.policy) == ("pass", "transactional")


def test_a_bad_message_fails_with_the_rules_id():
    error = refused(house.bad())
    assert isinstance(error, AssertionError)
    assert error.rules == (house.BAD_RULE,)
    assert f"delivcheck explain {house.BAD_RULE}" in str(error)
    assert f'ignore=["{house.BAD_RULE}"]' in str(error)
    assert str(error.report.verdict) == "fail"


def test_the_findings_are_those_of_the_command_line(tmp_path):
    path = tmp_path / "bad.eml"
    path.write_bytes(house.bad())
    command = [sys.executable, "-m", "delivcheck", "message", "--offline", "--pre-sign", "--policy", "transactional", str(path)]
    shown = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=tmp_path, timeout=120, check=False).stdout
    findings = shown[shown.index("\nerror: ") : shown.index("\n\n", shown.index("\nnote: "))]
    assert "┌─" in findings
    assert findings in str(refused(path))
    assert str(refused(path)).splitlines()[0] == shown.splitlines()[0]


def test_the_text_is_plain_and_has_colours_only_when_asked():
    error = refused(house.bad())
    assert "\x1b" not in str(error)
    assert "\x1b[1;31merror" in error.text(colour=True)


def test_what_dns_would_say_is_not_asked_and_said_so():
    error = refused(house.bad())
    waiting = [one.rule for one in error.report.targets[0].results if one.reason == "DNS was not asked (--offline)"]
    assert NO_RECORD in waiting
    assert f"DNS was not asked, so {len(waiting)} rules did not run" in " ".join(str(error).split())


def test_with_dns_its_rules_run_and_fail():
    hold(house.good(), dns=house.dns())
    assert NO_RECORD in refused(house.good(), dns={"example.org MX": "10 mx.example.org."}).rules


def test_what_cannot_be_found_out_is_no_pass():
    error = refused(house.good(), dns=house.Dead())
    assert str(error.report.verdict) == "unknown"
    assert "undecided (level error)" in str(error)
    assert "To let it pass" not in str(error)
    assert "not ask" not in str(error)


def test_dns_may_be_a_snapshot_file(tmp_path):
    path, recorder = tmp_path / "dns.json", Recorder(house.dns())
    hold(house.good(), dns=recorder)
    recorder.save(path)
    assert hold(house.good(), dns=path).dns.snapshot_age_s is not None
    with pytest.raises(SnapshotError):
        hold(house.good(), dns=tmp_path / "none")
    with pytest.raises(ValueError, match=r"not 'dns\.json'"):
        hold(house.good(), dns="dns.json")


def test_the_envelope_is_judged_where_it_is_known():
    envelope = {"mail_from": house.BOUNCES, "rcpt_to": [house.RECIPIENT]}
    named = {one.rule: str(one.outcome) for one in hold(house.good(), dns=house.dns(), **envelope).targets[0].results}
    unnamed = {one.rule: str(one.outcome) for one in hold(house.good(), dns=house.dns()).targets[0].results}
    assert [named[rule] for rule, outcome in unnamed.items() if outcome == "not-applicable"].count("pass") > 0
    with pytest.raises(ValueError, match="mail_from"):
        hold(house.good(), rcpt_to=house.RECIPIENT)


def test_fail_on_sets_the_level():
    message = house.good(Subject=None)
    assert hold(message).targets[0].counts.fail > 0
    assert "headers/subject-empty" in refused(message, fail_on="warning").rules
    with pytest.raises(ValueError, match="fail_on"):
        hold(message, fail_on="never")


def test_nothing_at_all_is_no_message():
    with pytest.raises(AssertionError, match="message: "):
        hold(b"")


def test_it_serves_where_an_event_loop_is_running():
    async def test():
        hold(house.good())
        assert refused(house.bad()).rules == (house.BAD_RULE,)

    asyncio.run(test())


def test_the_event_loop_that_a_test_has_set_stays():
    loop = asyncio.new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        hold(house.good())
        assert asyncio.get_event_loop_policy().get_event_loop() is loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_threads_may_assert_side_by_side():
    failed = []

    def work():
        try:
            for _ in range(3):
                hold(house.good())
                failed.append(refused(house.bad()).rules)
        except BaseException as error:  # noqa: BLE001 -- looked at below
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == [(house.BAD_RULE,)] * 12


def test_messages_of_different_tests_know_nothing_of_each_other():
    for text in ("One.", "Another."):
        hold(house.good(text, Message_ID="<always-the-same@example.org>"))


# --- ignoring ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ignore", [[house.BAD_RULE], "template/*", (house.BAD_RULE,)])
def test_what_is_ignored_may_fail(ignore):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = hold(house.bad(), ignore=ignore)
    assert report.targets[0].counts.suppressed == 1
    assert house.BAD_RULE not in {one.rule for one in report.targets[0].results}


def test_what_is_not_ignored_still_fails():
    assert house.BAD_RULE not in refused(house.bad(From=None), ignore=[house.BAD_RULE]).rules


def test_a_rule_that_does_not_exist_is_told_with_the_near_one():
    with pytest.raises(PolicyError, match=f"no rule 'template/unrendered-cod'; did you mean {house.BAD_RULE}"):
        hold(house.bad(), ignore=["template/unrendered-cod"])


def test_an_ignore_that_ignores_nothing_is_warned_of_where_it_stands():
    with pytest.warns(UnusedIgnore, match=house.BAD_RULE) as caught:
        assert_deliverable(house.good(), config=False, ignore=[house.BAD_RULE])
    assert caught[0].filename == __file__


def test_what_did_not_run_may_be_ignored_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hold(house.good(), ignore=[NO_RECORD])
        hold(house.good(), ignore=["dmarc/*", "dns/*"], dns={"example.org MX": "10 mx.example.org."})


def test_what_is_undecided_may_be_ignored():
    hold(house.good(), ignore=["dmarc/*", "dns/*"], dns=house.Dead())


# --- configuration -----------------------------------------------------------------------------------------------


STREAMS = """
[streams.weekly]
policy = "bulk"
class = "bulk"
[streams.receipts.rules]
"template/unrendered-code" = "warning"
"""


def test_stream_and_configuration_say_what_is_not_said_here(tmp_path, monkeypatch):
    path = tmp_path / "delivcheck.toml"
    path.write_text(STREAMS)
    assert assert_deliverable(house.good(), config=path).policy == "transactional"
    assert assert_deliverable(house.bad(), stream="receipts", config=path).policy == "transactional"
    with pytest.raises(NotDeliverable) as caught:
        assert_deliverable(house.good(), stream="weekly", config=path)
    assert caught.value.report.policy == "bulk"
    assert assert_deliverable(house.good(), "transactional", stream="receipts", config=path).policy == "transactional"
    path.write_text('policy = "strict"\n')
    monkeypatch.chdir(tmp_path)
    assert assert_deliverable(house.good()).policy == "strict"
    with pytest.raises(ConfigError):
        assert_deliverable(house.good(), stream="weekly")
    with pytest.raises(PolicyError):
        hold(house.good(), "transactionl")


# --- messages in all forms ---------------------------------------------------------------------------------------


def old_fashioned():
    message = Message()
    for name, value in house.email().items():
        message[name] = value
    message.set_payload("Your order has been sent.\n")
    return message


FORMS = {
    "EmailMessage": house.email,
    "Message": old_fashioned,
    "MIMEText": lambda: mime_text("Ihre Bestellung ist unterwegs: grün."),
    "with Bcc": lambda: house.email(Bcc="hidden@example.net"),
    "with dots": lambda: house.email(text=".\n..two\nend\n.\n"),
    "From in the text": lambda: house.email(text="From here on\n"),
    "other letters": lambda: house.email(text="grün ✓\n" * 3),
    "an address with other letters": lambda: house.email(To="Pat <pät@example.net>"),
}


def mime_text(text):
    message = MIMEText(text)
    for name, value in house.email().items():
        if name not in message:
            message[name] = value
    return message


@pytest.mark.parametrize("form", FORMS)
def test_a_message_is_judged_as_smtplib_sends_it(form):
    message = FORMS[form]()
    with house.sink() as sink, smtplib.SMTP(sink.host, sink.port) as client:
        client.send_message(message)
    [taken] = sink.messages
    assert outgoing(message).octets == taken.octets


def test_octets_may_come_as_text_as_bytes_and_with_an_envelope(tmp_path):
    octets = house.bad()
    stored = octets.replace(b"\r\n", b"\n")
    (tmp_path / "bad.eml").write_bytes(stored)
    forms = [octets, bytearray(octets), memoryview(octets), stored, stored.decode(), tmp_path / "bad.eml"]
    sent = [Sent(octets, house.SENDER, (house.RECIPIENT,), "smtplib"), Case(octets, house.SENDER, (house.RECIPIENT,))]
    for form in (*forms, *sent):
        assert outgoing(form).octets == octets
        assert refused(form).rules == (house.BAD_RULE,)
    assert {outgoing(one).mail_from for one in forms} == {None}
    assert {(outgoing(one).mail_from, outgoing(one).rcpt_to) for one in sent} == {(house.SENDER, (house.RECIPIENT,))}
    with pytest.raises(TypeError, match=r"not builtins\.int"):
        hold(5)


# --- captured mail, beside what a real server gets ---------------------------------------------------------------


def by_smtplib(send):
    def run(host, port):
        with smtplib.SMTP(host, port) as client:
            send(client)

    return run


def by_aiosmtplib(message, **options):
    def run(host, port):
        asyncio.run(aiosmtplib.send(message, hostname=host, port=port, **options))

    return run


def over_one_connection(client):
    client.sendmail(house.SENDER, house.RECIPIENT, FIRST)
    with pytest.raises(smtplib.SMTPSenderRefused):
        client.sendmail("a@b.example> x", house.RECIPIENT, FIRST)
    client.sendmail("", [house.RECIPIENT, "kim@example.net"], SECOND, mail_options=["BODY=8BITMIME"])


FIRST, SECOND = house.good(), house.good("grün\r\n.\r\n..\r\nend")
PLAIN, INTERNATIONAL = house.email(text=".\n..two\n"), house.email(To="Pat <pät@example.net>")
ENVELOPE = {"sender": house.SENDER, "recipients": [house.RECIPIENT]}
SENDERS = {
    "send_message": by_smtplib(lambda client: client.send_message(PLAIN)),
    "send_message with other letters": by_smtplib(lambda client: client.send_message(INTERNATIONAL)),
    "sendmail of text": by_smtplib(lambda client: client.sendmail(house.SENDER, house.RECIPIENT, "A: b\n\n.\n..x\nend")),
    "sendmail of bytes": by_smtplib(lambda client: client.sendmail(house.SENDER, house.RECIPIENT, SECOND)),
    "two of one connection": by_smtplib(lambda client: [client.send_message(PLAIN), client.send_message(INTERNATIONAL)]),
    "step by step": by_smtplib(
        lambda client: [client.ehlo(), client.mail(house.SENDER), client.rcpt(house.RECIPIENT), client.data(SECOND)]
    ),
    "aiosmtplib of a message": by_aiosmtplib(PLAIN),
    "aiosmtplib of a message with other letters": by_aiosmtplib(INTERNATIONAL),
    "aiosmtplib of bytes": by_aiosmtplib(SECOND, **ENVELOPE),
    "aiosmtplib of text": by_aiosmtplib("A: b\n\n.\n..x\nend", **ENVELOPE),
}


@pytest.mark.parametrize("how", SENDERS)
def test_what_is_captured_is_what_a_real_server_gets(how):
    with house.sink() as sink:
        SENDERS[how](sink.host, sink.port)
    with capture() as sent:
        SENDERS[how]("mail.example.com", 25)
    assert [(one.octets, one.mail_from, one.rcpt_to) for one in sent] == [
        (one.octets, one.mail_from, one.rcpt_to) for one in sink.messages
    ]
    given = [{word for word in one.parameters.upper().split() if not word.startswith("SIZE=")} for one in sink.messages]
    assert [{word.upper() for word in one.parameters} for one in sent] == given
    assert len(sent) == len(sink.messages) > 0


def implicit_tls():
    with smtplib.SMTP_SSL("mail.example.com") as client:
        client.login("name", "password")
        client.send_message(PLAIN)


def starttls():
    with smtplib.SMTP("mail.example.com", 587) as client:
        client.starttls()
        assert not client.has_extn("starttls") or not client.ehlo_resp
        client.login("name", "password")
        assert not client.has_extn("starttls")
        client.send_message(PLAIN)


def login():
    with smtplib.SMTP("mail.example.com", 587) as client:
        client.user, client.password = "name", "password"
        client.auth("LOGIN", client.auth_login)
        client.auth("PLAIN", client.auth_plain, initial_response_ok=False)
        client.send_message(PLAIN)


def lmtp():
    with smtplib.LMTP("/run/lmtp.sock") as client:
        client.send_message(PLAIN)


def lmtp_over_tcp():
    with smtplib.LMTP("127.0.0.1", 24) as client:
        client.send_message(PLAIN)


def connected_later():
    client = smtplib.SMTP()
    client.connect("mail.example.com:2525")
    client.send_message(PLAIN)
    client.quit()


class Proxied(smtplib.SMTP):
    def _get_socket(self, *_):
        raise AssertionError("a connection was opened")


def proxied():
    with Proxied("mail.example.com") as client:
        client.send_message(PLAIN)


def aio_tls():
    asyncio.run(aiosmtplib.send(PLAIN, hostname="mail.example.com", use_tls=True, username="name", password="password"))


def aio_starttls():
    asyncio.run(aiosmtplib.send(PLAIN, hostname="mail.example.com", start_tls=True, username="name", password="password"))


def aio_by_hand():
    async def run():
        async with aiosmtplib.SMTP(hostname="mail.example.com", start_tls=False) as client:
            await client.noop()
            await client.send_message(PLAIN)

    asyncio.run(run())


@pytest.mark.parametrize(
    "send",
    [implicit_tls, starttls, login, lmtp, lmtp_over_tcp, connected_later, proxied, aio_tls, aio_starttls, aio_by_hand],
)
def test_no_way_of_connecting_leaves_the_process(send):
    with capture() as sent:
        send()
    assert [one.octets for one in sent] == [outgoing(PLAIN).octets]
    assert sent[0].via == ("aiosmtplib" if send.__name__.startswith("aio") else "smtplib")
    assert sent[0].message["Subject"] == house.SUBJECT
    assert (sent[0].mail_from, sent[0].rcpt_to) == (house.SENDER, (house.RECIPIENT,))


def test_captured_mail_is_held_against_the_rules():
    with capture() as sent, smtplib.SMTP("mail.example.com") as client:
        client.send_message(house.email())
        sent.assert_deliverable(config=False)
        client.send_message(house.email(subject=house.BAD_SUBJECT))
        with pytest.raises(NotDeliverable) as caught:
            sent.assert_deliverable(config=False)
        assert caught.value.rules == (house.BAD_RULE,)
        assert "sent[1]:" in str(caught.value)
        assert "sent[0]" not in str(caught.value)
        sent.assert_deliverable(config=False, ignore=[house.BAD_RULE])
        with pytest.warns(UnusedIgnore) as warned:
            sent.assert_deliverable(config=False, ignore=[house.BAD_RULE, "headers/date-missing"])
        assert warned[0].filename == __file__
        sent.clear()
        assert not sent
        with pytest.raises(AssertionError, match="no mail was sent"):
            sent.assert_deliverable(config=False)


DIALOG = [
    (b"", b""),
    (b"HELO me\r\n", b"250"),
    (b"DATA\r\n", b"503"),
    (b"RCPT TO:<a@example.net>\r\n", b"503"),
    (b"MAIL a@example.org\r\n", b"501"),
    (b'MAIL FROM:<"a>b"@example.org> BODY=8BITMIME SIZE=9\r\n', b"250"),
    (b"RCPT TO:<>\r\n", b"501"),
    (b"RCPT TO:<a@example.net>\r\n", b"250"),
    (b"VRFY a\r\n", b"252"),
    (b"NOOP\r\n", b"250"),
    (b"TURN\r\n", b"502"),
    (b"DA", b""),
    (b"TA\r\n", b"354"),
    (b"A: b\r", b""),
    (b"\n..\r\n.", b""),
    (b"\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n.\r\n", b"250 250 250 354 250"),
    (b"MAIL FROM:<>\r\nRSET\r\nDATA\r\n", b"250 250 503"),
    (b"STARTTLS\r\n", b"220"),
    (b"AUTH LOGIN\r\n", b"334"),
    (b"bmFtZQ==\r\ncGFzcw==\r\n", b"334 235"),
    (b"QUIT\r\n", b"221"),
]


def test_the_server_in_memory_keeps_to_smtp_however_its_input_is_cut():
    for size in (1, 3, 1_000):
        taken = []
        server = Server(taken.append)
        for said, codes in DIALOG:
            heard = b"".join(server.receive(said[at : at + size]) for at in range(0, len(said), size))
            assert [line[:3] for line in heard.splitlines()] == codes.split(), said
        assert [(one.mail_from, one.rcpt_to, one.octets, one.parameters) for one in taken] == [
            ('"a>b"@example.org', ("a@example.net",), b"A: b\r\n.\r\n", ("BODY=8BITMIME",)),
            ("", ("b@example.net",), b"", ()),
        ]


def test_line_ends_that_are_wrong_on_the_wire_are_found():
    with capture() as sent, smtplib.SMTP("mail.example.com") as client:
        client.sendmail(house.SENDER, house.RECIPIENT, house.good().replace(b"\r\n", b"\n"))
    with pytest.raises(NotDeliverable) as caught:
        sent.assert_deliverable(config=False)
    assert "headers/bare-line-ends" in caught.value.rules


def test_the_checking_drop_in_is_captured_behind_its_check():
    with capture() as sent, ours.SMTP("mail.example.com", guard=house.guard()) as client:
        client.send_message(house.email())
        with pytest.raises(ours.MessageRefused):
            client.send_message(house.email(subject=house.BAD_SUBJECT))
    assert len(sent) == 1


def test_the_innermost_capture_takes_it_and_afterwards_all_is_as_before():
    before = dict(vars(smtplib.SMTP)), dict(vars(smtplib.LMTP)), dict(vars(aiosmtplib.SMTP)), list(sys.meta_path)
    with capture() as outer:
        connected_later()
        with capture() as inner:
            connected_later()
        connected_later()
    assert (len(outer), len(inner)) == (2, 1)
    assert before == (dict(vars(smtplib.SMTP)), dict(vars(smtplib.LMTP)), dict(vars(aiosmtplib.SMTP)), list(sys.meta_path))
    with house.sink() as sink, smtplib.SMTP(sink.host, sink.port) as client:
        client.send_message(PLAIN)
    assert len(sink.messages) == 1


def test_mail_of_other_threads_is_taken_too():
    with capture() as sent:
        threads = [threading.Thread(target=connected_later) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(sent) == 8
    assert len(sent[2:4]) == 2


def run(code):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_aiosmtplib_imported_in_the_midst_is_taken_and_not_imported_before():
    run("""
        import asyncio, sys
        from delivcheck.testing import capture
        with capture() as sent:
            assert "aiosmtplib" not in sys.modules
            import aiosmtplib
            asyncio.run(aiosmtplib.send(b"A: b\\r\\n\\r\\n", sender="a@example.org", recipients=["b@example.net"], hostname="x.example"))
        assert [one.octets for one in sent] == [b"A: b\\r\\n\\r\\n"], list(sent)
        with capture() as sent:
            asyncio.run(aiosmtplib.send(b"A: c\\r\\n\\r\\n", sender="a@example.org", recipients=["b@example.net"], hostname="x.example"))
        assert len(sent) == 1
        assert not [name for name in sys.modules if name.partition(".")[0] in {"django", "pytest", "fastapi"}]
    """)


DJANGO = """
    import django
    from django.conf import settings
    backend = "django.core.mail.backends.{backend}.EmailBackend"
    options = dict(host="mail.example.com", use_tls=True) if {tls} else dict()
    if django.VERSION >= (6, 1):
        settings.configure(MAILERS=dict(default=dict(BACKEND=backend, OPTIONS=options)))
    else:
        settings.configure(EMAIL_BACKEND=backend, EMAIL_USE_TLS={tls})
    from django.core.mail import EmailMultiAlternatives
    from delivcheck.testing import NotDeliverable, assert_deliverable, capture
    def made(subject):
        one = EmailMultiAlternatives(subject, "Your order has been sent.\\n.\\n", "Shop <orders@example.org>",
            ["Pat <pat@example.net>"], bcc=["kim@example.net"], headers={{"Message-ID": "<1@example.org>", "Date": "Mon, 23 Nov 2026 10:00:00 +0000"}})
        return one
    with capture() as sent:
        made("Your order 4711").send()
        assert len(sent) == 1
        made("Your order {{{{ order.number }}}}").send()
        assert (sent[1].mail_from, sent[1].rcpt_to) == ("orders@example.org", ("pat@example.net", "kim@example.net"))
        try:
            sent.assert_deliverable(config=False)
        except NotDeliverable as error:
            assert error.rules == ("template/unrendered-code",), error
            assert "sent[1]:" in str(error)
        else:
            raise SystemExit("passed")
        sent.assert_deliverable(config=False, ignore=["template/unrendered-code"])
        print(sent[0].via, sent[0].octets.hex())
    assert_deliverable(made("Your order 4711"), config=False)
    try:
        assert_deliverable(made("Your order {{{{ order.number }}}}"), config=False)
    except NotDeliverable as error:
        assert "MAIL FROM <orders@example.org>" in str(error)
    else:
        raise SystemExit("passed")
"""


def test_djangos_outbox_is_taken_as_its_smtp_backend_would_send_it():
    pytest.importorskip("django")
    outbox = run(DJANGO.format(backend="locmem", tls=False)).split()
    wire = run(DJANGO.format(backend="smtp", tls=True)).split()
    assert (outbox[0], wire[0]) == ("django", "smtplib")
    assert outbox[1] == wire[1]


def test_an_email_message_of_ones_own_kind_is_taken():
    class Letter(EmailMessage):
        pass

    letter = Letter()
    for name, value in house.email(subject=house.BAD_SUBJECT).items():
        letter[name] = value
    letter.set_content(house.TEXT)
    assert refused(letter).rules == (house.BAD_RULE,)
