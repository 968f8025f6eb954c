"""What comes back changes what it may: one signed 5.1.1 suppresses exactly one recipient, and nothing else suppresses anybody."""

import secrets
import time

import pytest
import sqlalchemy as sa

from delivcheck import ulid
from delivcheck.trace import schema
from delivcheck.trace.bounces import paths
from delivcheck.trace.ingest import ingest
from delivcheck.trace.intake import EARLY, TooEarlyError, sent_of, take_in
from delivcheck.trace.model import Kind
from delivcheck.trace.records import Message
from delivcheck.trace.store import StoreError
from delivcheck.trace.tokens import KEY, Tokens
from delivcheck.trace.tracking.leaving import leave, mailto
from tests.trace.bounces.test_reading import arf
from tests.trace.bounces.written import one, report, words

DOMAIN = "bounces.example.com"
TOKENS = Tokens([secrets.token_bytes(KEY)])
PAT = "Pat@Example.net"
NOW = time.time_ns() // 1_000_000


def sent(store, *recipients, stream="news"):
    """A message of ours in the store, and its signed return path."""
    trace = ulid.new()
    ingest(store, [Message(trace=trace, received=NOW, recipients=recipients or (PAT,), stream=stream, sha256="0" * 64)])
    return trace, paths.address(TOKENS, DOMAIN, trace)


def taken(store, octets, *recipients, now=NOW):
    events = take_in(octets, recipients, TOKENS, domain=DOMAIN, find=sent_of(store), now=now)
    ingest(store, events)
    return events


def suppressed(store):
    with store.read() as db:
        s = schema.suppression.c
        return {tuple(row) for row in db.execute(sa.select(s.address, s.stream, s.reason))}


BAD = report(one(PAT, "failed", "5.1.1", "550 5.1.1 user unknown"))


def test_one_signed_bounce_of_a_bad_mailbox_suppresses_exactly_one(store):
    trace, path = sent(store)
    sent(store, "other@example.net")
    (event,) = taken(store, BAD, path)
    assert (event.kind, event.trace, event.recipient, event.detail["class"]) == (Kind.BOUNCED, trace, PAT, "bad-mailbox")
    assert suppressed(store) == {("pat@example.net", "", "bounce")}


def test_the_same_report_again_is_the_same_event_and_counts_once(store):
    _, path = sent(store)
    assert [event.id for event in taken(store, BAD, path)] == [event.id for event in taken(store, BAD, path, now=NOW + 5)]
    with store.read() as db:
        assert db.scalar(sa.select(sa.func.count()).select_from(schema.event).where(schema.event.c.kind == "bounced")) == 1


@pytest.mark.parametrize(
    "octets",
    [
        report(one(PAT, "failed", "5.7.26", "550 5.7.26 unauthenticated - gsmtp")),
        report(one(PAT, "failed", "5.7.515", "550 5.7.515 Access denied")),
        report(one(PAT, "failed", "5.7.1", "550 5.7.1 user unknown")),
        report(one(PAT, "failed", "5.2.2", "552 5.2.2 mailbox full")),
        report(one(PAT, "failed", "5.1.8", "550 5.1.8 sender address rejected")),
        report(one(PAT, "failed", "5.1.7", "553 5.1.7 bad sender")),
        report(one(PAT, "failed", "5.1.1", "550 5.1.1 blocked for spam")),
        report(one(PAT, "failed", "4.4.1", "connection timed out")),
        report(one(PAT, "failed", "5.1.1", "450 4.1.1 try again")),
        report(one(PAT, "delayed", "4.2.0", "450 4.2.0 greylisted")),
        report(one(PAT, "delayed", "5.1.1")),
        report(one(PAT, "delivered", "2.0.0")),
        report(one(PAT, "failed", "5.0.0", "550 rejected")),
        report([("Final-Recipient", f"rfc822;{PAT}"), ("Disposition", "x; deleted")], status_type="message/disposition-notification"),
        words("I am away until 550 5.1.1.", subject="Out of office", header=(("Auto-Submitted", "auto-replied"),)),
        arf(("Feedback-Type", "not-spam"), ("Version", "1")),
        arf(("Feedback-Type", "auth-failure"), ("Version", "1")),
    ],
)  # fmt: skip
def test_what_says_nothing_for_sure_about_the_address_suppresses_nobody_signed_as_it_is(store, octets):
    _, path = sent(store)
    taken(store, octets, path)
    assert suppressed(store) == set()


def test_an_unsigned_or_foreign_return_path_gives_no_event_at_all(store):
    trace, _ = sent(store)
    forged = paths.address(Tokens([secrets.token_bytes(KEY)]), DOMAIN, trace)
    for to in ((), (f"bounces@{DOMAIN}",), (forged,), (f"b-{trace.lower()}@{DOMAIN}",)):
        assert taken(store, BAD, *to) == []
    assert suppressed(store) == set()


def test_a_forged_report_with_a_token_that_was_seen_reaches_nobody_but_its_own_recipient(store):
    _, path = sent(store)
    sent(store, "victim@example.net")
    forged = report(one("victim@example.net", "failed", "5.1.1", "550 5.1.1 user unknown"))
    assert {event.recipient for event in taken(store, forged, path)} == {PAT}
    assert suppressed(store) <= {("pat@example.net", "", "bounce")}


def test_an_alias_of_which_one_address_works_is_not_suppressed(store):
    _, path = sent(store)
    both = report(
        one("a@inner.example", "failed", "5.1.1", "550 5.1.1 user unknown"), one("b@inner.example", "delivered", "2.0.0")
    )
    taken(store, both, path)
    assert suppressed(store) == set()


def test_a_thousand_forged_reports_are_no_thousand_events(store):
    _, path = sent(store)
    for number in range(50):
        diagnostic = f"550 5.7.{number} nonsense {number}"
        taken(store, report(one(PAT, "failed", f"5.7.{number}", diagnostic), header=(("Message-ID", f"<{number}@x>"),)), path)
    with store.read() as db:
        assert db.scalar(sa.select(sa.func.count()).select_from(schema.event)) <= 2


def test_a_redacted_complaint_is_resolved_by_the_token_and_stops_the_stream_it_is_about(store):
    _, path = sent(store)
    returned = (f"Authentication-Results: mx.example; spf=pass smtp.mailfrom={path}", "From: a@sender.example")
    octets = arf(("Feedback-Type", "abuse"), ("Version", "1"), ("Original-Rcpt-To", "redacted"), returned=returned)
    (event,) = taken(store, octets, f"fbl@{DOMAIN}")
    assert (event.kind, event.recipient) == (Kind.COMPLAINED, PAT)
    assert suppressed(store) == {("pat@example.net", "news", "complaint")}


def test_a_complaint_that_names_a_return_path_in_arfs_own_field_is_resolved(store):
    _, path = sent(store)
    octets = arf(("Feedback-Type", "abuse"), ("Version", "1"), ("Original-Mail-From", f"<{path.upper()}>"))
    assert [event.kind for event in taken(store, octets)] == [Kind.COMPLAINED]


def test_a_report_of_a_message_that_is_not_in_the_store_yet_comes_again_and_of_one_that_is_gone_is_forgotten(store):
    path = paths.address(TOKENS, DOMAIN, ulid.new())
    with pytest.raises(TooEarlyError):
        taken(store, BAD, path)
    assert taken(store, BAD, path, now=NOW + 2 * EARLY) == []


def test_unsubscribing_by_mail_is_taken_in(store):
    trace, _ = sent(store)
    uri = mailto(TOKENS, f"@{DOMAIN}", leave(trace, PAT, "news", "default"))
    octets = words("please", subject="unsubscribe", header=(("X-To", uri),))
    (event,) = taken(store, octets, uri.removeprefix("mailto:"))
    assert (event.kind, event.recipient) == (Kind.UNSUBSCRIBED, PAT)
    assert suppressed(store) == {("pat@example.net", "news", "unsubscribe")}


@pytest.mark.attack(58)
def test_a_store_that_is_away_is_an_error_that_says_come_again(tmp_path):
    from delivcheck.trace.store import Store

    path = paths.address(TOKENS, DOMAIN, ulid.new())
    with pytest.raises(StoreError):
        take_in(BAD, (path,), TOKENS, domain=DOMAIN, find=sent_of(Store(f"sqlite:///{tmp_path}/no/where.sqlite")), now=NOW)
