"""`delivcheck.guard`: any function that sends."""

import asyncio
import functools
import inspect
import smtplib
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest

import delivcheck
from delivcheck.integrations import guard as guards
from delivcheck.integrations import written
from tests.integrations import house


class Noting:
    """A guard that lets everything through, and keeps what it was asked; `faults` are what could not be judged."""

    def __init__(self):
        self.asked, self.faults = [], []

    def check(self, octets, mail_from, rcpt_to=(), *, smtputf8=False, hook="guard"):
        self.asked.append((octets, mail_from, tuple(rcpt_to), smtputf8))

    def unjudged(self, reason, octets=b"", mail_from="", rcpt_to=(), *, hook):
        self.faults.append(reason)


def sender(sink):
    """A function of somebody's own that sends by the standard library."""

    def send(message, *, to=house.RECIPIENT, sender=house.BOUNCES):
        with smtplib.SMTP(sink.host, sink.port) as smtp:
            if isinstance(message, Message):
                smtp.send_message(message, sender, to)
            else:
                smtp.sendmail(sender, to, message)
        return "sent"

    return send


def async_sender(sink):
    send = sender(sink)

    async def send_async(message, *, to=house.RECIPIENT, sender=house.BOUNCES):
        return await asyncio.to_thread(send, message, to=to, sender=sender)

    return send_async


KINDS = pytest.mark.parametrize("kind", ["sync", "async"])


def call(kind, sink, message, **options):
    if kind == "sync":
        return delivcheck.guard(sender(sink), **options)(message)
    return asyncio.run(delivcheck.guard(async_sender(sink), **options)(message))


# --- the four outcomes -------------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("form", [lambda: house.good(".dots\r\n..\r\n"), house.email], ids=["bytes", "EmailMessage"])
def test_a_good_message_arrives_octet_for_octet(sink, record, kind, form):
    message = form()
    assert call(kind, sink, message, guard=house.guard(record=record)) == "sent"
    assert sink.messages[0].octets == written.octets_of(message)
    assert sink.messages[0].octets == (message if isinstance(message, bytes) else message.as_bytes(policy=policy.SMTP))
    assert not house.recorded(record)


@KINDS
def test_a_bad_message_is_refused_with_the_rules_id_and_the_function_is_not_called(sink, record, kind):
    with pytest.raises(smtplib.SMTPDataError, match=house.BAD_RULE) as refused:
        call(kind, sink, house.bad(), guard=house.guard(record=record))
    assert (refused.value.smtp_code, refused.value.rules) == (550, (house.BAD_RULE,))
    assert not sink.lines
    assert [event["event"] for event in house.recorded(record)] == ["refused"]


@KINDS
def test_with_dns_dead_it_is_sent_and_recorded(sink, record, kind):
    message = house.good()
    call(kind, sink, message, guard=house.guard(dns=house.Dead(), record=record))
    assert sink.messages[0].octets == message
    assert [event["event"] for event in house.recorded(record)] == ["bypassed"]


@KINDS
def test_with_dns_dead_it_is_a_temporary_failure_where_that_was_asked_for(sink, kind):
    with pytest.raises(delivcheck.MessageUndetermined):
        call(kind, sink, house.good(), guard=house.guard(dns=house.Dead(), on_unknown="raise"))
    assert not sink.lines


@KINDS
@pytest.mark.parametrize("dns", [house.dns(), house.Dead()], ids=["alive", "dead"])
def test_observe_sends_all_the_same(sink, record, kind, dns):
    message = house.bad()
    call(kind, sink, message, guard=house.guard(dns=dns, mode="observe", on_unknown="raise", record=record))
    assert sink.messages[0].octets == message
    assert [event["event"] for event in house.recorded(record)] == ["bypassed"]


# --- how it is applied -------------------------------------------------------------------------------------------


def test_options_make_a_guard_of_its_own(sink, record):
    options = {"policy": house.POLICY, "mode": "observe", "config": False, "dns": house.dns(), "record": record}
    delivcheck.guard(sender(sink), **options)(house.bad())
    assert [event["event"] for event in house.recorded(record)] == ["bypassed"]
    with pytest.raises(delivcheck.PolicyError):
        delivcheck.guard(sender(sink), policy="no-such-policy", config=False, dns="offline")
    with pytest.raises(TypeError, match="policy"):
        delivcheck.guard(sender(sink), policy="bulk", guard=house.guard())
    with pytest.raises(TypeError):
        delivcheck.guard("send")


def test_as_a_decorator_with_and_without_options(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    house.configuration(tmp_path, mode="observe")
    for name in ("_default", "_unmade"):
        monkeypatch.setattr(guards, name, None)
    monkeypatch.setattr(guards, "Guard", functools.partial(guards.Guard, dns=house.dns(), record=tmp_path / "record"))

    @delivcheck.guard
    def plain(message):
        "What it says."
        return message

    @delivcheck.guard(guard=house.guard())
    async def other(message):
        return message

    message = house.bad()
    assert plain(message) is message
    assert (plain.__name__, plain.__doc__, str(inspect.signature(plain))) == ("plain", "What it says.", "(message)")
    assert inspect.iscoroutinefunction(other)
    assert [event["hook"] for event in house.recorded(tmp_path / "record")] == ["guard"]
    with pytest.raises(delivcheck.MessageRefused):
        asyncio.run(other(message))


def test_methods_partials_and_callable_objects():
    guard, message = house.guard(), house.email(subject=house.BAD_SUBJECT)

    class Mailer:
        @delivcheck.guard(guard=guard)
        def send(self, message):
            raise AssertionError

        async def __call__(self, message):
            raise AssertionError

    for one in (Mailer().send, delivcheck.guard(functools.partial(Mailer.send, Mailer()), guard=guard)):
        with pytest.raises(delivcheck.MessageRefused):
            one(message)
    with pytest.raises(delivcheck.MessageRefused):
        asyncio.run(delivcheck.guard(Mailer(), guard=guard)(message))


def test_smtplibs_own_method_can_be_wrapped(sink):
    with smtplib.SMTP(sink.host, sink.port) as smtp:
        send = delivcheck.guard(smtp.sendmail, guard=house.guard())
        send(house.BOUNCES, [house.RECIPIENT], house.good())
        with pytest.raises(delivcheck.MessageRefused):
            send(house.BOUNCES, [house.RECIPIENT], house.bad())


# --- where the message is ----------------------------------------------------------------------------------------


class Other:
    """A message of another library's."""

    def __init__(self, octets):
        self.octets = octets

    def as_string(self):
        return self.octets.decode()


class Both(Other):
    def as_bytes(self):
        return self.octets


@pytest.mark.parametrize(
    "form",
    [
        bytes,
        bytearray,
        bytes.decode,
        lambda octets: octets.replace(b"\r\n", b"\n"),
        lambda octets: octets.decode().replace("\r\n", "\n"),
        Other,
        Both,
        message_from_bytes,
        lambda octets: message_from_bytes(octets, policy=policy.SMTP),
    ],
    ids=["bytes", "bytearray", "str", "bytes LF", "str LF", "as_string", "as_bytes", "Message", "EmailMessage"],
)
def test_a_message_in_every_form_is_found_and_handed_on_as_it_was(form):
    octets, noting = house.good(), Noting()
    given = form(octets)
    assert (
        delivcheck.guard(lambda host, to, text, message: message, guard=noting)("smtp:25", "x@y.example", "Note: a\n\nb", given)
        is given
    )
    assert noting.asked == [(octets, house.SENDER, ("x@y.example",), False)]
    assert not noting.faults


@pytest.mark.parametrize("where", ["mime", lambda _subject, mime: mime["raw"]])
def test_where_it_is_can_be_said(where):
    noting = Noting()
    wrapped = delivcheck.guard(lambda subject, mime: None, guard=noting, message=where)
    wrapped("x", {"raw": b"Subject: only\n"} if callable(where) else "Subject: only\n")
    assert noting.asked == [(b"Subject: only\r\n", "", (), False)]


def test_arguments_without_a_name_and_of_a_function_without_a_signature():
    noting, octets = Noting(), house.good()

    def any_at_all(*args, **kwargs):
        pass

    delivcheck.guard(
        any_at_all, guard=noting, mail_from="Source", rcpt_to="Destinations", message=lambda **k: k["RawMessage"]["Data"]
    )(Source="a@example.org", Destinations=["b@example.net"], RawMessage={"Data": octets})
    delivcheck.guard(any_at_all, guard=noting)(1, octets, to="c@example.net")
    delivcheck.guard([].append, guard=noting)(octets)
    assert [one[1:3] for one in noting.asked] == [
        ("a@example.org", ("b@example.net",)),
        (house.SENDER, ("c@example.net",)),
        (house.SENDER, (house.RECIPIENT,)),
    ]


def test_a_parameter_that_does_not_exist_is_said_when_it_is_wrapped():
    with pytest.raises(TypeError, match="messsage"):
        delivcheck.guard(lambda message: None, message="messsage", guard=Noting())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "Note: this\nis a text\n",
        "smtp://host:25",
        "Dear all,\nFrom: here\n",
        b"\x00\x01",
        "Key: value\nOther: value\n\n",
    ],
)
def test_what_is_no_message_is_not_taken_for_one(text):
    assert not written.is_raw(text)
    assert not written.is_message(text)


class Angry(EmailMessage):
    def as_bytes(self, *_args, **_more):
        raise KeyError("no")

    __copy__ = as_bytes


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (("a@example.org", "text"), {}, "no message among the arguments"),
        ((house.good(), "x"), {"message": "body"}, "TypeError"),
        ((house.good(), "x"), {"message": lambda *_: 1 / 0}, "ZeroDivisionError"),
        ((house.good(), "x"), {"rcpt_to": lambda *_: 5}, "TypeError"),
        ((Angry(), "x"), {}, "no"),
    ],
)
def test_what_cannot_be_found_or_read_is_a_fault_and_mail_goes_on(arguments, options, said):
    noting, called = Noting(), []
    if options.get("message") == "body":
        arguments = (arguments[0], 5)
    wrapped = delivcheck.guard(lambda message, body: called.append(message), guard=noting, **options)
    wrapped(*arguments)
    assert said in noting.faults[0]
    assert called == [arguments[0]]


def test_recipients_that_can_be_read_once_only_are_left_to_the_function(record):
    got = []
    wrapped = delivcheck.guard(lambda raw, to: got.extend(to), guard=house.guard(record=record), rcpt_to="to")
    wrapped(house.good(), (one for one in [house.RECIPIENT]))
    assert got == [house.RECIPIENT]
    assert "read once only" in house.recorded(record)[0]["reason"]


@KINDS
def test_a_message_that_is_not_found_is_recorded_or_for_later(record, kind):
    def send(text):
        return "sent"

    async def send_async(text):
        return "sent"

    def run(guard):
        if kind == "sync":
            return delivcheck.guard(send, guard=guard)("hello")
        return asyncio.run(delivcheck.guard(send_async, guard=guard)("hello"))

    assert run(house.guard(record=record)) == "sent"
    with pytest.raises(delivcheck.MessageUndetermined):
        run(house.guard(record=record, on_unknown="raise"))
    assert [event["event"] for event in house.recorded(record)] == ["bypassed", "deferred"]


def test_a_wrong_call_is_the_functions_own_to_refuse():
    with pytest.raises(TypeError, match="required positional"):
        delivcheck.guard(lambda message, to: None, guard=Noting())(house.good())


# --- where the envelope is ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "envelope"),
    [
        ({}, (house.SENDER, (house.RECIPIENT,))),
        ({"Sender": "s@example.org"}, ("s@example.org", (house.RECIPIENT,))),
        ({"Sender": "s@example.org", "Return_Path": "<r@example.org>"}, ("r@example.org", (house.RECIPIENT,))),
        ({"Return_Path": "<>"}, ("", (house.RECIPIENT,))),
        (
            {"Cc": "A <a@example.net>, b@example.net", "Bcc": "c@example.net"},
            (house.SENDER, (house.RECIPIENT, "a@example.net", "b@example.net", "c@example.net")),
        ),
        (
            {"Resent_Date": "Mon, 23 Nov 2026 12:00:00 +0000", "Resent_From": "f@example.org", "Resent_To": "t@example.net"},
            ("f@example.org", ("t@example.net",)),
        ),
        ({"To": "undisclosed-recipients:;"}, (house.SENDER, ())),
    ],
)
@pytest.mark.parametrize("form", ["object", "octets"])
def test_the_envelope_of_the_messages_own_fields(fields, envelope, form):
    noting = Noting()
    message = house.email(**fields) if form == "object" else house.good(**fields)
    delivcheck.guard(lambda message: None, guard=noting)(message)
    assert noting.asked[0][1:3] == envelope
    assert form == "octets" or b"Bcc" not in noting.asked[0][0]


def test_arguments_go_before_the_messages_fields_and_the_names_given_before_the_usual_ones():
    noting, octets = Noting(), house.good()

    def send(message, from_addr, to_addrs, bounces=None, also=None):
        pass

    delivcheck.guard(send, guard=noting)(octets, "A <a@example.org>", ("B <b@example.net>", "c@example.net"))
    delivcheck.guard(send, guard=noting)(octets, None, [])
    delivcheck.guard(send, guard=noting, mail_from="bounces", rcpt_to="also")(
        octets, "a@example.org", "b@example.net", "x@example.org", "y@example.net, z@example.net"
    )
    delivcheck.guard(send, guard=noting, mail_from=lambda *_a, **_k: "l@example.org")(octets, "a@example.org", "b@example.net")
    assert [one[1:3] for one in noting.asked] == [
        ("a@example.org", ("b@example.net", "c@example.net")),
        (house.SENDER, (house.RECIPIENT,)),
        ("x@example.org", ("y@example.net", "z@example.net")),
        ("l@example.org", ("b@example.net",)),
    ]


@pytest.mark.parametrize("form", ["object", "octets"])
def test_an_envelope_that_needs_smtputf8(form):
    noting = Noting()
    message = house.email(From="grüße@example.org") if form == "object" else house.good(From="grüße@example.org")
    delivcheck.guard(lambda message: None, guard=noting)(message)
    octets, mail_from, _, utf8 = noting.asked[0]
    assert (mail_from, utf8) == ("grüße@example.org", True)
    assert "From: grüße@example.org".encode() in octets


# --- the same octets ---------------------------------------------------------------------------------------------


def multipart(outer=MIMEMultipart):
    message = outer("mixed")
    message["From"], message["To"], message["Subject"] = house.FROM, house.TO, house.SUBJECT
    inner = MIMEMultipart("alternative")
    inner.attach(MIMEText("text"))
    inner.attach(MIMEText("<p>text</p>", "html"))
    message.attach(inner)
    return message


def html():
    message = house.email(Bcc="secret@example.net")
    message.add_alternative("<p>Grüße</p>", subtype="html")
    return message


@pytest.mark.parametrize("make", [multipart, html, house.email], ids=["MIMEMultipart", "alternative", "plain"])
def test_of_an_object_it_is_judged_what_smtplib_sends_boundaries_and_all(sink, make):
    noting = Noting()
    message = make()
    with smtplib.SMTP(sink.host, sink.port) as smtp:
        delivcheck.guard(smtp.send_message, guard=noting)(message)
    assert noting.asked[0][0] == sink.messages[0].octets
