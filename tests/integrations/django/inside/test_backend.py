"""The e-mail backend: the four outcomes through Django's SMTP backend, and what Django's users expect beside them."""

import asyncio
import pickle
import threading
from email import message_from_bytes
from email import policy as policies
from smtplib import SMTPRecipientsRefused
from types import SimpleNamespace

import django
import pytest
from asgiref.sync import sync_to_async
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.integrations.django.outgoing import Outgoing
from delivcheck.integrations.errors import MessageRefused, MessageUndetermined
from tests.integrations import house
from tests.integrations.django.inside.project import LOCMEM, MAILERS, OURS, SMTP, letter, project

deprecated = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")


@pytest.fixture
def sink():
    with house.sink() as made:
        yield made


def connection():
    return mail.mailers.default if MAILERS else mail.get_connection()


# --- the four outcomes -------------------------------------------------------------------------------------------


def test_a_good_message_arrives_octet_for_octet_as_it_was_judged(sink, judged):
    message = letter(bcc=["blind@example.net"], cc=["Anna <anna@example.net>"])
    message.attach_alternative("<p>Your order has been sent.</p>", "text/html")
    message.attach("bill.pdf", b"%PDF-1.4 \x00\xff", "application/pdf")
    with project(sink):
        assert message.send() == 1
    [taken] = sink.messages
    assert [taken.octets] == judged
    assert b"blind" not in taken.octets
    assert (taken.mail_from, taken.rcpt_to) == (house.SENDER, (house.RECIPIENT, "anna@example.net", "blind@example.net"))
    assert message.delivcheck.verdict == "pass"


def test_a_bad_message_is_refused_with_the_rules_id_before_anything_is_said_to_the_server(sink):
    with project(sink), pytest.raises(MessageRefused, match=house.BAD_RULE) as raised:
        letter(house.BAD_SUBJECT).send()
    assert raised.value.rules == (house.BAD_RULE,)
    assert raised.value.smtp_code == 550
    assert raised.value.report is not None
    assert sink.messages == []
    assert sink.lines == []


def test_dead_dns_is_a_recorded_bypass(sink, tmp_path):
    record = tmp_path / "record"
    with project(sink, dns=house.Dead(), record=record):
        assert letter().send() == 1
    assert len(sink.messages) == 1
    [event] = house.recorded(record)
    assert (event["event"], event["hook"]) == ("bypassed", "django")


def test_dead_dns_is_a_temporary_failure_where_that_was_asked_for(sink):
    with project(sink, dns=house.Dead(), on_unknown="raise"), pytest.raises(MessageUndetermined) as raised:
        letter().send()
    assert raised.value.smtp_code == 451
    assert sink.messages == []


def test_observe_sends_all_the_same(sink, tmp_path):
    record = tmp_path / "record"
    with project(sink, mode="observe", record=record):
        assert letter(house.BAD_SUBJECT).send() == 1
    assert len(sink.messages) == 1
    [event] = house.recorded(record)
    assert (event["event"], event["rules"]) == ("bypassed", [house.BAD_RULE])


# --- several, and silence ----------------------------------------------------------------------------------------


def test_a_refused_message_does_not_keep_back_the_others_and_the_exception_says_what_became_of_them(sink):
    bad, messages = letter(house.BAD_SUBJECT), [letter("Your order 1"), letter("Your order 2")]
    with project(sink), pytest.raises(MessageRefused) as raised:
        connection().send_messages([messages[0], bad, messages[1]])
    assert raised.value.sent == 2
    assert raised.value.stopped == ((bad, raised.value),)
    assert "2 of 3" in raised.value.__notes__[0]
    assert [b"Your order 1" in sink.messages[0].octets, b"Your order 2" in sink.messages[1].octets] == [True, True]
    assert sum(line.upper().startswith("EHLO") for line in sink.lines) == 1  # one connection, as without us


def test_silently_a_refused_message_is_not_sent_not_counted_and_recorded(sink, tmp_path):
    record = tmp_path / "record"
    with project(sink, record=record, options={"fail_silently": True}):
        backend = connection()
        backend.fail_silently = True
        assert backend.send_messages([letter(), letter(house.BAD_SUBJECT)]) == 1
    assert len(sink.messages) == 1
    assert [one["event"] for one in house.recorded(record)] == ["refused"]


@deprecated
def test_fail_silently_is_handed_on_to_both(sink):
    with project(sink):
        assert letter(house.BAD_SUBJECT).send(fail_silently=True) == 0
    with project(SimpleNamespace(host=sink.host, port=1)):  # where nobody listens
        assert letter().send(fail_silently=True) == 0
        with pytest.raises(ConnectionRefusedError):
            letter().send()


@deprecated
def test_send_mass_mail_sends_the_others(sink):
    rows = [(subject, house.TEXT, house.FROM, [house.TO]) for subject in ("Your order 1", house.BAD_SUBJECT)]
    with project(sink), pytest.raises(MessageRefused) as raised:
        mail.send_mass_mail(rows)
    assert raised.value.sent == len(sink.messages) == 1


def test_a_message_for_nobody_is_passed_by(sink):
    with project(sink):
        assert connection().send_messages([letter(house.BAD_SUBJECT, to=[])]) == 0
        assert connection().send_messages([]) == 0
    assert sink.lines == []


def test_a_message_twice_in_one_batch_is_two_messages(sink):
    message = letter()
    with project(sink):
        assert connection().send_messages([message, message]) == 2
    ids = {message_from_bytes(one.octets)["Message-ID"] for one in sink.messages}
    assert len(ids) == 2
    assert "message" not in vars(message)


def test_a_header_with_a_line_end_is_djangos_own_error(sink):
    with project(sink), pytest.raises(ValueError, match=r"newline|linefeed|Header values"):
        letter("one\ntwo").send()
    assert sink.messages == []


def test_what_the_servers_answer_is_reaches_the_caller_as_without_us():
    with (
        house.sink(says={"RCPT": "550 5.1.1 no such user"}) as refusing,
        project(refusing),
        pytest.raises(SMTPRecipientsRefused, match="no such user"),
    ):
        letter().send()


# --- what is handed on -------------------------------------------------------------------------------------------


def test_the_outbox_has_the_message_that_was_judged(judged):
    mail.outbox = []
    with project(backend=LOCMEM):
        letter().send()
    [kept] = mail.outbox
    again = kept.message() if django.VERSION < (6,) else kept.message(policy=policies.SMTP)
    how = {"linesep": "\r\n"} if django.VERSION < (6,) else {}
    assert [again.as_bytes(**how)] == judged
    vars(kept).update(connection=None, _connection=None)
    assert pickle.loads(pickle.dumps(kept)).message()["Message-ID"] == again["Message-ID"]


def test_a_backend_that_changes_the_message_sends_it_changed():
    outgoing = Outgoing(letter())
    with outgoing.handed_on() as mail_:
        made = mail_.message()
        before = made.as_bytes()
        made["X-Added"] = "by a backend"
        assert b"X-Added" not in before
        assert b"X-Added" in made.as_bytes()


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=2_000),
    st.binary(max_size=300),
)
def test_what_is_judged_is_what_django_would_send(subject, html, attached):
    message = letter(
        " ".join(subject.split()),
        "Guten Tag, Änne\n.\n" + html,
        headers={"Message-ID": "<1@example.org>", "Date": "Mon, 23 Nov 2026 10:00:00 +0000"},
    )
    message.attach_alternative(html, "text/html")
    message.attach("a.bin", attached, "application/octet-stream")
    try:
        outgoing = Outgoing(message)
    except ValueError:
        return  # Django's own word, see above
    with outgoing.handed_on() as handed:
        made = handed.message() if django.VERSION < (6,) else handed.message(policy=policies.SMTP)
        how = {"linesep": "\r\n"} if django.VERSION < (6,) else {}
        assert made.as_bytes(**how) == outgoing.octets
        assert type(made).as_bytes(made, **how) in (outgoing.octets, outgoing.octets.removesuffix(b"\r\n"))


def test_a_class_of_the_projects_own_that_cannot_be_serialised_goes_on_and_is_recorded(tmp_path):
    class Odd(EmailMessage):
        def message(self, **_):
            raise RuntimeError("rendered by the service")

    record = tmp_path / "record"
    with project(backend="django.core.mail.backends.dummy.EmailBackend", record=record):  # it looks at nothing
        assert Odd("x", "y", house.FROM, [house.TO]).send() == 1
    [event] = house.recorded(record)
    assert event["reason"] == "fault: it cannot be serialised: RuntimeError: rendered by the service"


def test_names_in_other_scripts_are_judged_as_they_are_sent():
    message = letter(to=["Pät <pat@exämple.net>"])
    outgoing = Outgoing(message)
    assert outgoing.rcpt_to == ("pat@xn--exmple-cua.net",)


# --- threads and loops -------------------------------------------------------------------------------------------


def test_an_asynchronous_view_sends_from_a_thread(sink):
    async def view():
        return await asyncio.gather(
            *(sync_to_async(letter(f"Your order {one}").send, thread_sensitive=False)() for one in range(5))
        )

    with project(sink):
        assert asyncio.run(view()) == [1] * 5
    assert len(sink.messages) == 5


def test_threads_share_one_guard():
    with project(backend=LOCMEM):
        found = set()
        threads = [threading.Thread(target=lambda: found.add(id(connection().guard))) for _ in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert id(connection().guard) in found


# --- settings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hooks", "said"),
    [
        ({"polcy": "bulk"}, "no setting 'polcy'; did you mean policy?"),
        ({"mode": "enforced"}, "mode: enforce or observe, not 'enforced'"),
        ({"policy": "transactionl"}, "did you mean transactional"),
        ({"stream": "weekly"}, "no stream 'weekly'"),
        ({"rules": {"no/such-rule": "off"}}, "no/such-rule"),
        ({"rules": {house.BAD_RULE: "of"}}, "'of'"),
        ({"deadline": True}, "deadline: a number of seconds"),
        ({"deadline": -1}, "deadline: seconds above 0"),
        ({"on_event": "no.such.thing"}, "on_event: something to call"),
        ({"signed_later": "no"}, "signed_later: True or False"),
        ({"daemon": 5}, "daemon: the path of a socket"),
        ({"dns": "dead"}, "dns: live or offline"),
    ],
)
def test_a_setting_that_cannot_be_is_told_where_it_stands(hooks, said):
    with project(backend=LOCMEM, **hooks), pytest.raises(ImproperlyConfigured) as raised:
        connection()
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_our_backend_does_not_wrap_itself():
    with project(backend=OURS), pytest.raises(ImproperlyConfigured, match="name the one that it wraps"):
        connection()


def test_a_backend_that_is_not_there_is_told():
    with project(backend="no.such.Backend"), pytest.raises(ImproperlyConfigured, match="cannot be imported"):
        connection()


@deprecated
@override_settings(DELIVCHECK=["policy"], EMAIL_BACKEND=OURS)
def test_the_setting_is_a_dictionary():
    with pytest.raises(ImproperlyConfigured, match="a dictionary is wanted, not list"):
        mail.get_connection()


@deprecated
def test_what_a_connection_is_given_goes_before_the_projects_settings(sink):
    said = {"BACKEND": SMTP, "policy": house.POLICY, "dns": house.dns(), "config": False}
    with override_settings(EMAIL_BACKEND=OURS, DELIVCHECK=said):
        backend = mail.get_connection(host=sink.host, port=sink.port, mode="observe")
        assert backend.send_messages([letter(house.BAD_SUBJECT)]) == 1
    assert len(sink.messages) == 1


@deprecated
def test_without_settings_the_configuration_says_everything(sink, tmp_path, monkeypatch):
    house.configuration(tmp_path, mode="observe", record=tmp_path / "record")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("delivcheck.integrations.guard._default", None)
    monkeypatch.setattr("delivcheck.integrations.guard._unmade", None)  # another test's, for ten seconds
    with override_settings(EMAIL_BACKEND=OURS, DELIVCHECK={}, EMAIL_HOST=sink.host, EMAIL_PORT=sink.port):
        backend = mail.get_connection()
        assert backend.send_messages([letter(house.BAD_SUBJECT)]) == 1
    backend.guard.close()
    assert [one["event"] for one in house.recorded(tmp_path / "record")] == ["bypassed"]


@pytest.mark.skipif(not MAILERS, reason="MAILERS came with Django 6.1")
def test_each_mailer_has_its_own_policy_and_the_projects_settings_beneath(sink):
    to_sink = {"host": sink.host, "port": sink.port}
    made = {"backend": SMTP, "backend_options": to_sink}
    mailers = {
        "default": {"BACKEND": OURS, "OPTIONS": made},
        "lax": {"BACKEND": OURS, "OPTIONS": {**made, "rules": {house.BAD_RULE: "off"}}},
        "none": {"BACKEND": OURS, "OPTIONS": {"policy": "bulk"}},
    }
    with override_settings(MAILERS=mailers, DELIVCHECK={"policy": house.POLICY, "dns": house.dns(), "config": False}):
        with pytest.raises(MessageRefused):
            letter(house.BAD_SUBJECT).send()
        assert letter(house.BAD_SUBJECT).send(using="lax") == 1
        with pytest.raises(ImproperlyConfigured, match=r"MAILERS\['none'\]: OPTIONS: backend"):
            letter().send(using="none")
    assert len(sink.messages) == 1


@pytest.fixture
def judged(monkeypatch):
    """The octets that guards were asked about."""
    from delivcheck.integrations.guard import Guard

    octets, check = [], Guard.check

    def noted(self, given, *args, **kwargs):
        octets.append(given)
        return check(self, given, *args, **kwargs)

    monkeypatch.setattr(Guard, "check", noted)
    return octets
