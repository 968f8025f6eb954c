"""`delivcheck.aiosmtp`, through aiosmtplib into a real server."""

import asyncio
import inspect
import pickle
import smtplib
from email.message import EmailMessage

import aiosmtplib
import pytest
from aiosmtplib.protocol import normalize_message_line_endings

from delivcheck import aiosmtp
from delivcheck.integrations import aiosmtp as hook
from delivcheck.integrations import guard as guards
from tests.integrations import house


class Noting:
    """A guard that lets everything through, and keeps what it was asked."""

    def __init__(self):
        self.asked = []

    async def check_async(self, octets, mail_from, rcpt_to=(), *, smtputf8=False, hook="guard"):
        await asyncio.sleep(0)
        self.asked.append((octets, mail_from, tuple(rcpt_to), smtputf8, hook))


def client(sink, guard):
    return aiosmtp.SMTP(hostname=sink.host, port=sink.port, guard=guard)


async def send(sink, message, guard, **more):
    envelope = {} if isinstance(message, EmailMessage) else {"sender": house.BOUNCES, "recipients": [house.RECIPIENT]}
    return await aiosmtp.send(message, hostname=sink.host, port=sink.port, guard=guard, **{**envelope, **more})


# --- the four outcomes -------------------------------------------------------------------------------------------


async def test_a_good_message_arrives_octet_for_octet(sink, record):
    message = house.good("One.\r\n.two\r\n..three\r\n.")
    assert (await send(sink, message, house.guard(record=record)))[0] == {}
    [taken] = sink.messages
    assert (taken.octets, taken.mail_from, taken.rcpt_to) == (message, house.BOUNCES, (house.RECIPIENT,))
    assert not house.recorded(record)


@pytest.mark.parametrize("caught", [aiosmtplib.SMTPDataError, smtplib.SMTPDataError], ids=["theirs", "smtplib's"])
async def test_a_bad_message_is_refused_with_the_rules_id_as_both_libraries_do(sink, record, caught):
    with pytest.raises(caught) as refused:
        await send(sink, house.bad(), house.guard(record=record))
    error = refused.value
    assert isinstance(error, aiosmtp.MessageRefused)
    assert (error.code, error.smtp_code, error.rules) == (550, 550, (house.BAD_RULE,))
    assert house.BAD_RULE in error.message
    assert error.report.policy == house.POLICY
    assert not sink.messages
    assert not any(line.lower().startswith("mail") for line in sink.lines)
    assert [event["event"] for event in house.recorded(record)] == ["refused"]


async def test_with_dns_dead_it_is_sent_and_recorded(sink, record):
    message = house.good()
    await send(sink, message, house.guard(dns=house.Dead(), record=record))
    assert sink.messages[0].octets == message
    [event] = house.recorded(record)
    assert (event["event"], event["hook"], event["verdict"]) == ("bypassed", "aiosmtp", "unknown")


async def test_with_dns_dead_it_is_a_temporary_failure_where_that_was_asked_for(sink):
    with pytest.raises(aiosmtplib.SMTPDataError) as deferred:
        await send(sink, house.good(), house.guard(dns=house.Dead(), on_unknown="raise"))
    assert (deferred.value.code, type(deferred.value)) == (451, aiosmtp.MessageUndetermined)
    assert not isinstance(deferred.value, aiosmtp.MessageRefused)
    assert not sink.messages


@pytest.mark.parametrize("dns", [house.dns(), house.Dead()], ids=["alive", "dead"])
async def test_observe_sends_all_the_same(sink, record, dns):
    message = house.bad()
    await send(sink, message, house.guard(dns=dns, mode="observe", on_unknown="raise", record=record))
    assert sink.messages[0].octets == message
    assert [event["event"] for event in house.recorded(record)] == ["bypassed"]


# --- the same octets ---------------------------------------------------------------------------------------------

BODIES = [
    b".\r\n..\r\n.a\r\n",
    b"text",
    b"",
    b"\n.two\n",
    b"\r\ntwo\n.three\r\n",
    b"one\rtwo\r\n",
    "Grüße\r\n".encode(),
    b"a\0b",
    b"\r\r\n\r",
]


@pytest.mark.parametrize("kind", ["sendmail", "data"])
@pytest.mark.parametrize("body", BODIES)
async def test_what_was_judged_is_what_the_server_sees(sink, body, kind):
    message = b"From: a@example.org\r\nSubject: x\r\n\r\n" + body
    noting = Noting()
    async with client(sink, noting) as smtp:
        if kind == "sendmail":
            await smtp.sendmail("a@example.org", "b@example.net", message)
        else:
            await smtp.mail("a@example.org")
            await smtp.rcpt("b@example.net")
            await smtp.data(message)
    [(octets, *_)] = noting.asked
    assert octets == sink.messages[0].octets == normalize_message_line_endings(message)


async def test_text_is_ascii_as_in_aiosmtplib(sink):
    noting = Noting()
    async with client(sink, noting) as smtp:
        await smtp.sendmail("a@example.org", ["b@example.net"], "Subject: x\n\none\rtwo")
        with pytest.raises(UnicodeEncodeError):
            await smtp.sendmail("a@example.org", ["b@example.net"], "Subject: ü\n\n")
    assert noting.asked[0][0] == sink.messages[0].octets == b"Subject: x\r\n\r\none\r\ntwo\r\n"


# --- all of its methods ------------------------------------------------------------------------------------------


async def test_send_takes_a_message_object_and_its_own_envelope(sink):
    noting = Noting()
    await send(sink, house.email(Bcc="secret@example.net"), noting)
    await send(sink, house.email(), noting, sender=house.BOUNCES, recipients="x@example.net")
    assert [one[1:3] for one in noting.asked] == [
        (house.SENDER, (house.RECIPIENT, "secret@example.net")),
        (house.BOUNCES, ("x@example.net",)),
    ]
    assert [one[0] for one in noting.asked] == [one.octets for one in sink.messages]
    assert b"secret" not in noting.asked[0][0]


async def test_smtputf8_is_judged_as_such(sink):
    message = house.email(From="grüße@example.org")
    noting = Noting()
    async with client(sink, noting) as smtp:
        await smtp.send_message(message)
    [(octets, sender, _, utf8, name)] = noting.asked
    assert (octets, sender, utf8, name) == (sink.messages[0].octets, "grüße@example.org", True, "aiosmtp")


async def test_the_low_level_commands_are_checked_and_a_refusal_ends_the_transaction(sink):
    sink.hop.says["RCPT"] = lambda _session, line: "550 5.1.1 no" if b"nobody" in line else None
    async with client(sink, house.guard()) as smtp:
        await smtp.mail(house.BOUNCES)
        with pytest.raises(aiosmtplib.SMTPRecipientRefused):
            await smtp.rcpt("nobody@example.net")
        await smtp.rcpt(house.RECIPIENT)
        with pytest.raises(aiosmtp.MessageRefused):
            await smtp.data(house.bad())
        assert sink.lines[-1].lower() == "rset"
        await smtp.sendmail(house.BOUNCES, [house.RECIPIENT], house.good())
    assert len(sink.messages) == 1


async def test_a_refusal_is_told_where_the_server_does_not_end_the_transaction(sink):
    sink.hop.says["RSET"] = "421 4.3.2 going down"
    async with client(sink, house.guard()) as smtp:
        await smtp.mail(house.BOUNCES)
        await smtp.rcpt(house.RECIPIENT)
        with pytest.raises(aiosmtp.MessageRefused):
            await smtp.data(house.bad())
    assert sink.messages == []


async def test_many_tasks_may_use_one_client(sink):
    """The flag that says "this one was judged" belongs to a task, not to the client."""
    guard = house.guard()
    async with client(sink, guard) as smtp:
        mails = [house.bad() if number % 3 == 0 else house.good() for number in range(15)]
        done = await asyncio.gather(
            *(smtp.sendmail(house.BOUNCES, house.RECIPIENT, one) for one in mails), return_exceptions=True
        )
    assert [type(one) is aiosmtp.MessageRefused for one in done] == [number % 3 == 0 for number in range(15)]
    assert sorted(one.octets for one in sink.messages) == sorted(one for at, one in enumerate(mails) if at % 3)
    assert guard.counts == {"sent": 10, "refused": 5}


def test_the_synchronous_methods_are_checked_too(sink):
    smtp = client(sink, house.guard())
    with pytest.raises(aiosmtp.MessageRefused):
        smtp.sendmail_sync(house.BOUNCES, [house.RECIPIENT], house.bad())
    smtp.send_message_sync(house.email())
    assert len(sink.messages) == 1


# --- a drop-in ---------------------------------------------------------------------------------------------------


def test_send_has_the_signature_of_the_installed_version():
    ours, theirs = (list(inspect.signature(one).parameters.values()) for one in (aiosmtp.send, aiosmtplib.send))
    assert ours[:-1] == theirs
    assert ours[-1].name == "guard"


async def test_wrong_calls_are_told_as_there():
    with pytest.raises(TypeError, match="hots"):
        await aiosmtp.send(house.good(), hots="localhost")
    for given in ({"recipients": ["a@example.net"]}, {"sender": "a@example.org"}):
        said = []
        for one in (aiosmtp.send, aiosmtplib.send):
            with pytest.raises(ValueError, match="must be provided") as error:
                await one(house.good(), **given)
            said.append(str(error.value))
        assert said[0] == said[1]


def test_it_has_every_name_that_aiosmtplib_has():
    for name in aiosmtplib.__all__:
        assert getattr(aiosmtp, name)
    assert aiosmtp.SMTPDataError is aiosmtplib.SMTPDataError
    assert issubclass(aiosmtp.SMTP, aiosmtplib.SMTP)
    with pytest.raises(AttributeError):
        aiosmtp.no_such_name  # noqa: B018 -- asking is the test


def test_its_errors_are_pickled_whole():
    async def fails():
        await hook.SMTP(guard=house.guard())._check(house.bad(), house.BOUNCES, [house.RECIPIENT], utf8=False)

    with pytest.raises(aiosmtp.MessageRefused) as refused:
        asyncio.run(fails())
    again = pickle.loads(pickle.dumps(refused.value))
    assert type(again) is aiosmtp.MessageRefused
    assert (again.code, again.message, str(again)) == (550, refused.value.message, str(refused.value))


async def test_without_a_guard_the_configuration_is_asked(sink, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("_default", "_unmade"):
        monkeypatch.setattr(guards, name, None)
    with house.name_server() as dns:
        house.configuration(tmp_path, dns.address)
        with pytest.raises(aiosmtp.MessageRefused):
            await aiosmtp.send(house.email(subject=house.BAD_SUBJECT), hostname=sink.host, port=sink.port)
        await aiosmtp.send(house.email(), hostname=sink.host, port=sink.port)
        guards.default().close()
    assert len(sink.messages) == 1
