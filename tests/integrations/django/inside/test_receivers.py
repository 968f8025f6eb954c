"""django-anymail: the gate before its test backend, by signal and wrapped, and what services report in the trace."""

import shutil
from contextlib import contextmanager
from datetime import UTC, datetime

import django
import pytest
import sqlalchemy as sa
from anymail import signals
from anymail.message import AnymailMessage
from anymail.signals import AnymailTrackingEvent
from django.core import mail
from django.test import override_settings

from delivcheck.integrations import anymail as ours
from delivcheck.integrations.errors import MessageRefused
from delivcheck.trace import schema
from delivcheck.trace.model import Kind
from delivcheck.trace.store import Store, StoreError
from tests.integrations import house
from tests.integrations.django.inside.project import MAILERS, project

ANYMAIL = "anymail.backends.test.EmailBackend"
PATIENT = datetime(2026, 11, 23, 12, tzinfo=UTC)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")


@pytest.fixture(autouse=True)
def outbox(monkeypatch):
    monkeypatch.setattr(mail, "outbox", [], raising=False)
    return mail.outbox


@contextmanager
def connected(receiver=ours.gate, **hooks):
    """Mail goes to anymail's test backend, past our receiver."""
    hooks = {"policy": house.POLICY, "dns": house.dns(), "config": False, **hooks}
    where = {"MAILERS": {"default": {"BACKEND": ANYMAIL}}} if MAILERS else {"EMAIL_BACKEND": ANYMAIL}
    signals.pre_send.connect(receiver)
    try:
        with override_settings(DELIVCHECK=hooks, **where):
            yield
    finally:
        signals.pre_send.disconnect(receiver)


def letter(subject=house.SUBJECT, **more):
    return AnymailMessage(subject, house.TEXT, house.FROM, [house.TO], **more)


# --- the four outcomes -------------------------------------------------------------------------------------------


def test_a_good_message_goes_on(outbox):
    message = letter()
    with connected():
        assert message.send() == 1
    assert outbox == [message]
    assert message.anymail_status.status == {"sent"}
    assert message.delivcheck.verdict == "pass"


def test_a_bad_message_is_cancelled_as_anymail_does_and_its_status_says_rejected(outbox, tmp_path):
    message, record = letter(house.BAD_SUBJECT, bcc=["blind@example.net"]), tmp_path / "record"
    with connected(record=record):
        assert message.send() == 0
    assert outbox == []
    assert message.anymail_status.status == {"rejected"}
    assert set(message.anymail_status.recipients) == {house.RECIPIENT, "blind@example.net"}
    assert message.delivcheck.rules == (house.BAD_RULE,)
    [event] = house.recorded(record)
    assert (event["event"], event["hook"], event["rules"]) == ("refused", "anymail", [house.BAD_RULE])


def test_the_strict_gate_raises_what_except_clauses_of_both_libraries_take(outbox):
    from anymail.exceptions import AnymailError

    for kind in (AnymailError, MessageRefused):
        with connected(ours.strict_gate), pytest.raises(kind, match=house.BAD_RULE):
            letter(house.BAD_SUBJECT).send()
    with connected(ours.strict_gate):
        assert letter(house.BAD_SUBJECT).send(fail_silently=True) == 0
    assert outbox == []


def test_dead_dns_is_a_recorded_bypass_or_a_temporary_failure(outbox, tmp_path):
    record = tmp_path / "record"
    with connected(dns=house.Dead(), record=record):
        assert letter().send() == 1
    assert [one["event"] for one in house.recorded(record)] == ["bypassed"]
    with connected(dns=house.Dead(), on_unknown="raise"), pytest.raises(ours.Undetermined) as raised:
        letter().send()
    assert raised.value.smtp_code == 451
    assert len(outbox) == 1


def test_observe_sends_all_the_same(outbox):
    with connected(mode="observe"):
        assert letter(house.BAD_SUBJECT).send() == 1
    assert len(outbox) == 1


def test_our_backend_wraps_anymails_too(outbox):
    message = letter()
    with project(backend=ANYMAIL):
        assert message.send() == 1
        with pytest.raises(MessageRefused):
            letter(house.BAD_SUBJECT).send()
    assert len(outbox) == 1
    assert message.anymail_status.status == {"sent"}  # noted on the message that the caller has


def test_what_the_service_fills_in_is_not_judged_and_recorded(outbox, tmp_path):
    record = tmp_path / "record"
    with connected(record=record):
        assert letter("Dear {{ name }}", merge_global_data={"name": "Pat"}).send() == 1
        assert letter("", template_id="welcome").send() == 1
    assert ["merge_global_data" in one["reason"] or "template_id" in one["reason"] for one in house.recorded(record)] == [
        True
    ] * 2


def test_the_envelope_sender_is_anymails():
    message = letter(envelope_sender="bounces@example.org")
    with connected():
        seen = []
        signals.post_send.connect(take := lambda sender, message, **_: seen.append(message.delivcheck))
        message.send()
        signals.post_send.disconnect(take)
    assert ours.Outgoing(message, service=True).mail_from == "bounces@example.org"
    assert seen[0].verdict == "pass"


# --- the trace ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def migrated(tmp_path_factory):
    """An empty store's file, to be copied: to make one takes its time."""
    path = tmp_path_factory.mktemp("store") / "trace.sqlite"
    made = Store(f"sqlite:///{path}")
    made.migrate()
    made.close()
    return path


@pytest.fixture
def store(tmp_path, migrated):
    """A store, with mail that goes into it."""
    shutil.copy(migrated, tmp_path)
    made = Store(f"sqlite:///{tmp_path}/trace.sqlite")
    signals.post_send.connect(ours.sent)
    signals.tracking.connect(ours.tracking)
    with connected(TRACE=f"sqlite:///{tmp_path}/trace.sqlite"):
        yield made
    signals.post_send.disconnect(ours.sent)
    signals.tracking.disconnect(ours.tracking)
    for one in ours._stores.values():
        one.close()
    ours._stores.clear()
    made.close()


def events(store):
    """(kind, recipient, detail) of all events, in the order in which they came."""
    e, r = schema.event.c, schema.recipient.c
    with store.read() as db:
        wanted = sa.select(e.kind, r.address, e.detail, e.source).join(schema.recipient, r.id == e.recipient).order_by(e.seq)
        return [(one.kind, one.address, one.detail, one.source) for one in db.execute(wanted)]


def report(event_type, message_id, recipient=house.RECIPIENT, **said):
    """What anymail's webhook view does with an event."""
    event = AnymailTrackingEvent(event_type=event_type, timestamp=PATIENT, message_id=message_id, recipient=recipient, **said)
    signals.tracking.send(sender=None, event=event, esp_name="Test")


def test_a_message_that_was_sent_is_in_the_trace_under_the_trace_of_its_ruling(store):
    message = letter(tags=["receipt"])
    assert message.send() == 1
    m = schema.message.c
    with store.read() as db:
        row = db.execute(sa.select(m.id, m.message_id, m.subject, m.from_domain, m.next_hop, m.verdict)).one()
    assert row == (message.delivcheck.trace, "0", house.SUBJECT, "example.org", "Test", "pass")
    assert [(kind, who) for kind, who, *_ in events(store)] == [
        (kind, house.RECIPIENT) for kind in ("checked", "passed", "sent")
    ]


@pytest.mark.parametrize(
    ("told", "kind", "within"),
    [
        (("delivered", {"mta_response": "250 2.0.0 OK"}), Kind.DELIVERED, "250 2.0.0 OK"),
        (("deferred", {"mta_response": "451 4.7.1 greylisted"}), Kind.DEFERRED, "4.7.1"),
        (("bounced", {"mta_response": "550 5.1.1 no such user", "reject_reason": "bounced"}), Kind.BOUNCED, '"bad-mailbox"'),
        (("bounced", {"mta_response": "550 5.1.1 no such user", "reject_reason": "bounced"}), Kind.BOUNCED, '"suppress"'),
        (("rejected", {"reject_reason": "unsubscribed"}), Kind.SUPPRESSED, "unsubscribed"),
        (("rejected", {"reject_reason": "other", "description": "a bad day"}), Kind.REFUSED, "a bad day"),
        (("failed", {"description": "template error"}), Kind.REFUSED, "template error"),
        (("complained", {}), Kind.COMPLAINED, '"complaint"'),
        (("unsubscribed", {}), Kind.UNSUBSCRIBED, '"unsubscribe"'),
        (("opened", {"user_agent": "Mozilla/5.0 (X11) Firefox/140.0"}), Kind.OPENED, ""),
        (("clicked", {"click_url": "https://example.org/a"}), Kind.CLICKED, "https://example.org/a"),
    ],
)
def test_what_a_service_reports_goes_to_its_message(store, told, kind, within):
    letter().send()
    name, said = told
    report(name, "0", **said)
    report(name, "0", **said)  # services tell twice
    last = events(store)[3:]
    assert [(one[0], one[1], one[3]) for one in last] == [(kind, house.RECIPIENT, "webhook:test")]
    assert within in last[0][2]


@pytest.mark.parametrize("name", ["queued", "sent", "subscribed", "autoresponded", "unknown"])
def test_what_says_nothing_of_a_fate_is_forgotten(store, name):
    letter().send()
    report(name, "0")
    assert len(events(store)) == 3


def test_what_is_about_nobody_of_ours_is_forgotten(store):
    letter().send()
    report("delivered", "another")
    report("delivered", "0", recipient="somebody@example.com")
    assert len(events(store)) == 3


def test_a_message_is_found_by_our_trace_in_its_metadata(store):
    message = letter()
    message.send()
    report("delivered", "of the service's own", metadata={"delivcheck-trace": message.delivcheck.trace})
    assert events(store)[-1][0] == "delivered"


def test_a_store_that_is_gone_makes_the_service_come_again_and_stops_no_mail(store, monkeypatch, caplog):
    letter().send()

    def gone(*_):
        raise StoreError("the disk is full")

    monkeypatch.setattr(ours, "ingest", gone)
    with pytest.raises(StoreError):
        report("delivered", "0")
    assert letter().send() == 1
    assert "not in the trace: the disk is full" in caplog.text


def test_a_gates_configuration_says_where_the_trace_is(tmp_path):
    where = tmp_path / "delivcheck.toml"
    gate = '[gate]\nname = "gate.example.org"\nstate = "."\n[[gate.listen]]\nkind = "milter"\naddress = "127.0.0.1:0"\n'
    where.write_text(f'policy = "{house.POLICY}"\n{gate}')
    signals.post_send.connect(ours.sent)
    try:
        with connected(config=where):
            letter().send()
    finally:
        signals.post_send.disconnect(ours.sent)
    (made,) = ours._stores.values()
    assert [kind for kind, *_ in events(made)] == ["checked", "passed", "sent"]
    ours._stores.clear()
    made.close()


def test_without_a_gate_there_is_no_store(caplog):
    with connected(), pytest.raises(django.core.exceptions.ImproperlyConfigured, match="which trace"):
        report_to_ours()


def report_to_ours():
    event = AnymailTrackingEvent(event_type="delivered", timestamp=PATIENT, message_id="0", recipient=house.RECIPIENT)
    ours.tracking(None, event, "Test")
