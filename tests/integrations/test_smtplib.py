"""`delivcheck.smtplib`, through the standard library into a real server."""

import smtplib as standard
import ssl
from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest

from delivcheck import smtplib
from delivcheck.integrations import guard as guards
from delivcheck.integrations.case import wire
from tests.integrations import house
from tests.net.https_server import certificate


class Noting:
    """A guard that lets everything through, and keeps what it was asked."""

    def __init__(self):
        self.asked = []

    def check(self, octets, mail_from, rcpt_to=(), *, smtputf8=False, hook="guard"):
        self.asked.append((octets, mail_from, tuple(rcpt_to), smtputf8, hook))


def client(sink, guard, kind=smtplib.SMTP, **more):
    return kind(sink.host, sink.port, guard=guard, **more)


@pytest.fixture(scope="session")
def tls_contexts(tmp_path_factory):
    """The server's, with a certificate of its own, and the client's."""
    path = certificate(tmp_path_factory.mktemp("tls"))
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    theirs.load_cert_chain(path)
    ours.check_hostname = False  # it is reached by an address
    ours.load_verify_locations(path)
    return theirs, ours


# --- the four outcomes -------------------------------------------------------------------------------------------


def test_a_good_message_arrives_octet_for_octet(sink, record):
    message = house.good("One.\r\n.two\r\n..three\r\n.")
    with client(sink, house.guard(record=record)) as smtp:
        assert smtp.sendmail(house.BOUNCES, [house.RECIPIENT], message) == {}
    [taken] = sink.messages
    assert (taken.octets, taken.mail_from, taken.rcpt_to) == (message, house.BOUNCES, (house.RECIPIENT,))
    assert not house.recorded(record)


def test_a_bad_message_is_refused_with_the_rules_id_and_nothing_is_said_to_the_server(sink, record):
    with client(sink, house.guard(record=record)) as smtp:
        with pytest.raises(standard.SMTPDataError) as refused:
            smtp.sendmail(house.BOUNCES, [house.RECIPIENT], house.bad())
        assert refused.value.smtp_code == 550
        assert house.BAD_RULE.encode() in refused.value.smtp_error
        assert isinstance(refused.value, smtplib.MessageRefused)
        assert [event["event"] for event in house.recorded(record)] == ["refused"]
        smtp.sendmail(house.BOUNCES, [house.RECIPIENT], house.good())  # the connection is of use still
    assert len(sink.messages) == 1
    assert sum(line.lower().startswith("mail") for line in sink.lines) == 1


def test_with_dns_dead_it_is_sent_and_recorded(sink, record):
    message = house.good()
    with client(sink, house.guard(dns=house.Dead(), record=record)) as smtp:
        smtp.sendmail(house.BOUNCES, [house.RECIPIENT], message)
    assert sink.messages[0].octets == message
    [event] = house.recorded(record)
    assert (event["event"], event["hook"], event["verdict"]) == ("bypassed", "smtplib", "unknown")


def test_with_dns_dead_it_is_a_temporary_failure_where_that_was_asked_for(sink):
    guard = house.guard(dns=house.Dead(), on_unknown="raise")
    with client(sink, guard) as smtp, pytest.raises(standard.SMTPDataError) as deferred:
        smtp.sendmail(house.BOUNCES, [house.RECIPIENT], house.good())
    assert deferred.value.smtp_code == 451
    assert isinstance(deferred.value, smtplib.MessageUndetermined)
    assert not sink.messages


@pytest.mark.parametrize("dns", [house.dns(), house.Dead()], ids=["alive", "dead"])
def test_observe_sends_all_the_same(sink, record, dns):
    message = house.bad()
    with client(sink, house.guard(dns=dns, mode="observe", on_unknown="raise", record=record)) as smtp:
        smtp.sendmail(house.BOUNCES, [house.RECIPIENT], message)
    assert sink.messages[0].octets == message
    assert [event["event"] for event in house.recorded(record)] == ["bypassed"]


# --- the same octets ---------------------------------------------------------------------------------------------

BODIES = {
    "dots": b".\r\n..\r\n.a\r\n",
    "no end": b"text",
    "empty": b"",
    "LF throughout": b"one\n.two\n\nthree\n",
    "CRLF and LF": b"one\r\ntwo\n.three\r\n",
    "a CR": b"one\rtwo\r\n",
    "8-bit": "Grüße\r\n".encode(),
    "latin": b"Gr\xfc\xdfe\r\n",
    "NUL": b"a\0b\r\n",
    "long": b"x" * 5000 + b"\r\n",
}


def on_the_wire(sink):
    """The octets between DATA and its dot, dots unstuffed as smtplib stuffs them: after a bare LF, too."""
    [session] = sink.hop.sessions
    raw = bytes(session.raw)
    start = raw.lower().index(b"\r\ndata\r\n") + 8
    lines = raw[start : raw.index(b"\r\n.\r\n", start) + 2].split(b"\n")
    return b"\n".join(line[1:] if line.startswith(b".") else line for line in lines)


@pytest.mark.parametrize("kind", ["sendmail", "data"])
@pytest.mark.parametrize("name", BODIES)
def test_what_was_judged_is_what_the_server_sees(sink, name, kind):
    head = b"From: a@example.org\nSubject: x\n\n" if name == "LF throughout" else b"From: a@example.org\r\nSubject: x\r\n\r\n"
    noting = Noting()
    with client(sink, noting) as smtp:
        if kind == "sendmail":
            smtp.sendmail("a@example.org", "b@example.net", head + BODIES[name])
        else:
            smtp.ehlo()
            smtp.mail("a@example.org")
            smtp.rcpt("b@example.net")
            assert smtp.data(head + BODIES[name])[0] == 250
    [(octets, *_)] = noting.asked
    assert octets == on_the_wire(sink)
    assert octets == wire(head + BODIES[name])


def test_text_becomes_what_smtplib_makes_of_it(sink):
    noting = Noting()
    with client(sink, noting) as smtp:
        smtp.sendmail("a@example.org", "b@example.net", "Subject: x\n\none\rtwo\r\n.three")
        with pytest.raises(UnicodeEncodeError):
            smtp.sendmail("a@example.org", "b@example.net", "Subject: ü\n\n")
        with pytest.raises(TypeError):
            smtp.sendmail("a@example.org", "b@example.net", 5)
        smtp.sendmail("a@example.org", "b@example.net", bytearray(b"Subject: x\r\n\r\n"))
    assert [octets for octets, *_ in noting.asked] == [one.octets for one in sink.messages]
    assert noting.asked[0][0] == b"Subject: x\r\n\r\none\r\ntwo\r\n.three\r\n"


def test_bare_line_ends_are_refused_by_the_rules():
    with pytest.raises(smtplib.MessageRefused):
        house.guard().check(wire(house.good() + b"one\ntwo\r\n"), house.BOUNCES, [house.RECIPIENT])


# --- all of its methods ------------------------------------------------------------------------------------------


def test_send_message_of_every_kind(sink):
    noting, both = Noting(), MIMEMultipart("alternative")
    both["From"], both["To"], both["Bcc"] = house.FROM, house.TO, "Secret <secret@example.net>"
    both.attach(MIMEText("text"))
    both.attach(MIMEText("<p>Grüße</p>", "html"))
    with client(sink, noting) as smtp:
        smtp.send_message(house.email())
        smtp.send_message(both)
        smtp.send_message(house.email(Cc="c@example.net"), house.BOUNCES, ["x@example.net"])
    assert [one[0] for one in noting.asked] == [one.octets for one in sink.messages]
    assert [one[1:3] for one in noting.asked] == [
        (house.SENDER, (house.RECIPIENT,)),
        (house.SENDER, (house.RECIPIENT, "secret@example.net")),
        (house.BOUNCES, ("x@example.net",)),
    ]
    assert all((one.mail_from, one.rcpt_to) == asked[1:3] for one, asked in zip(sink.messages, noting.asked, strict=True))
    assert b"secret" not in sink.messages[1].octets


def test_a_resent_message_goes_by_its_resent_fields(sink):
    message = house.email(Resent_Date="Mon, 23 Nov 2026 12:00:00 +0000", Resent_From="r@example.org", Resent_To="s@example.net")
    noting = Noting()
    with client(sink, noting) as smtp:
        smtp.send_message(message)
    assert noting.asked[0][1:3] == ("r@example.org", ("s@example.net",))


def test_smtputf8_is_judged_as_such(sink):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "grüße@example.org", house.TO, "Grüße"
    message.set_content("Grüße")
    noting = Noting()
    with client(sink, noting) as smtp:
        smtp.send_message(message)
        smtp.send_message(house.email())
    assert [one[3] for one in noting.asked] == [True, False]
    assert noting.asked[0][0] == sink.messages[0].octets
    assert "Grüße".encode() in sink.messages[0].octets
    assert "SMTPUTF8" in sink.messages[0].parameters


def test_options_that_can_be_read_once_only_reach_judge_and_server(sink):
    noting = Noting()
    with client(sink, noting) as smtp:
        smtp.sendmail(house.SENDER, iter([house.RECIPIENT]), house.good(), mail_options=iter(["SMTPUTF8"]))
    assert noting.asked[0][3]
    assert "SMTPUTF8" in sink.messages[0].parameters


def test_the_low_level_commands_are_checked_with_the_recipients_that_were_taken(sink):
    sink.hop.says["RCPT"] = lambda _session, line: "550 5.1.1 no" if b"nobody" in line else None
    noting = Noting()
    with client(sink, noting) as smtp:
        smtp.ehlo()
        for recipients in (["b@example.net", "nobody@example.net"], ["c@example.net"]):
            smtp.mail("Shop <a@example.org>", ["SMTPUTF8"])
            for one in recipients:
                smtp.rcpt(one)
            smtp.data(house.good())
    assert [one[1:4] for one in noting.asked] == [
        ("a@example.org", ("b@example.net",), True),
        ("a@example.org", ("c@example.net",), True),
    ]


def test_a_refusal_at_data_ends_the_transaction_and_not_the_connection(sink):
    with client(sink, house.guard()) as smtp:
        smtp.ehlo()
        smtp.mail(house.BOUNCES)
        smtp.rcpt(house.RECIPIENT)
        with pytest.raises(smtplib.MessageRefused):
            smtp.data(house.bad())
        assert sink.lines[-1].lower() == "rset"
        smtp.sendmail(house.BOUNCES, house.RECIPIENT, house.good())
    assert len(sink.messages) == 1


def test_what_the_server_refuses_is_said_as_smtplib_says_it(sink):
    sink.hop.says["RCPT"] = lambda _session, line: "550 5.1.1 no" if b"nobody" in line else None
    with client(sink, house.guard()) as smtp:
        refused = smtp.sendmail(house.BOUNCES, [house.RECIPIENT, "nobody@example.net"], house.good())
        assert refused == {"nobody@example.net": (550, b"5.1.1 no")}
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            smtp.sendmail(house.BOUNCES, ["nobody@example.net"], house.good())
        sink.hop.says["DOT"] = "554 5.6.0 no"
        with pytest.raises(smtplib.SMTPDataError) as error:
            smtp.sendmail(house.BOUNCES, [house.RECIPIENT], house.good())
        assert not isinstance(error.value, smtplib.MessageStopped)
        sink.hop.says.clear()
        smtp.mail(house.BOUNCES)
        smtp.rcpt(house.RECIPIENT)
        with pytest.raises(smtplib.MessageRefused):  # nothing of that makes it forget to look
            smtp.data(house.bad())


@pytest.mark.parametrize("kind", [smtplib.SMTP_SSL, smtplib.LMTP])
def test_the_other_two_classes(kind, tls_contexts):
    theirs, ours = tls_contexts
    tls = kind is smtplib.SMTP_SSL
    with house.sink(lmtp=not tls, **({"tls": theirs, "implicit": True} if tls else {})) as sink:
        message = house.good()
        with client(sink, house.guard(), kind, **({"context": ours} if tls else {})) as smtp:
            smtp.sendmail(house.BOUNCES, [house.RECIPIENT], message)
            with pytest.raises(smtplib.MessageRefused):
                smtp.sendmail(house.BOUNCES, [house.RECIPIENT], house.bad())
        assert [one.octets for one in sink.messages] == [message]


def test_starttls_and_login(tls_contexts):
    theirs, ours = tls_contexts
    with house.sink(tls=theirs, extensions=("STARTTLS", "AUTH PLAIN", "8BITMIME"), users={"pat": "secret"}) as sink:
        with client(sink, house.guard()) as smtp:
            smtp.starttls(context=ours)
            smtp.login("pat", "secret")
            smtp.send_message(house.email())
        assert sink.hop.messages[0].session.user == "pat"


def test_lmtp_over_a_socket(tmp_path):
    with house.sink(lmtp=True, path=tmp_path / "lmtp") as sink:
        with smtplib.LMTP(str(tmp_path / "lmtp"), guard=house.guard()) as smtp:
            smtp.sendmail(house.BOUNCES, [house.RECIPIENT], house.good())
        assert len(sink.messages) == 1


# --- a drop-in ---------------------------------------------------------------------------------------------------


def test_it_has_every_name_that_smtplib_has():
    assert set(standard.__all__) <= set(smtplib.__all__)
    assert (smtplib.SMTP_PORT, smtplib.SMTP_SSL_PORT, smtplib.CRLF) == (25, 465, "\r\n")
    assert issubclass(smtplib.SMTP, standard.SMTP)
    assert smtplib.SMTPDataError is standard.SMTPDataError
    with pytest.raises(AttributeError):
        smtplib.no_such_name  # noqa: B018 -- asking is the test


def test_without_a_guard_the_configuration_is_asked(sink, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("_default", "_unmade"):
        monkeypatch.setattr(guards, name, None)
    with house.name_server() as dns:
        house.configuration(tmp_path, dns.address, record="record")
        with smtplib.SMTP(sink.host, sink.port) as smtp:
            with pytest.raises(smtplib.MessageRefused):
                smtp.sendmail(house.BOUNCES, [house.RECIPIENT], house.bad())
            smtp.send_message(house.email())
        guards.default().close()
    assert [event["hook"] for event in house.recorded(tmp_path / "record")] == ["smtplib"]
    assert len(sink.messages) == 1
