"""Bringing records into the store: in any order, as often as they come, and whatever stands in them."""

import itertools
import random
import threading

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delivcheck import ulid
from delivcheck.trace import cleaning, ingest, schema, tallies
from delivcheck.trace.model import DEFAULT_TENANT, Actor, Kind
from delivcheck.trace.records import Event, Message, Result, event_id
from delivcheck.trace.store import Store, StoreError

NOON = 1_795_435_200_000  # 2026-11-23 12:00:00 UTC
HOUR = tallies.HOUR
MANY = 20 if settings.default.max_examples <= 100 else 2_000  # of databases filled and emptied, with --soak
# Fixed: what the tables hold must not depend on when a test runs.
TRACES = tuple(f"01K{letter}X9QFJ4N2M8T6V0R3W5Y7Z1" for letter in "ABCDE")
ADDRESSES = ("ann@gmail.com", "Bob@Example.org", "bob@example.org", "cy@web.de", "")


def message(trace=TRACES[0], recipients=("ann@gmail.com", "Bob@Example.org"), **values):
    return Message(
        **{"trace": trace, "received": NOON, "recipients": recipients, "sha256": "0" * 64, "action": "send"} | values
    )


def happened(kind, recipient=None, trace=TRACES[0], *what, **values):
    key = event_id(trace, kind, recipient, *what)
    return Event(**{"id": key, "trace": trace, "kind": kind, "at": NOON + 1_000, "recipient": recipient} | values)


def bring(store, *records):
    return ingest.ingest(store, records)


def rows(store, table, *columns):
    with store.read() as db:
        return db.execute(sa.select(*(table.c[name] for name in columns)).order_by(*(table.c[name] for name in columns))).all()


def states(store):
    return dict(map(tuple, rows(store, schema.recipient, "address", "state")))


def tally(store, kind, dimension="all", value=""):
    t = schema.tally.c
    with store.read() as db:
        found = db.execute(
            sa.select(sa.func.sum(t.events), sa.func.sum(t.recipients)).where(
                t.kind == kind, t.dimension == dimension, t.value == value
            )
        ).one()
    return tuple(int(one or 0) for one in found)


def suppressed(store):
    return rows(store, schema.suppression, "address", "stream", "reason")


def suppressed_by_tenant(store):
    """The graver reason stays, and the event that came first: of those the order may say which one."""
    s, t = schema.suppression.c, schema.tenant.c
    with store.read() as db:
        return set(
            db.execute(sa.select(t.name, s.address, s.stream, s.reason).join_from(schema.suppression, schema.tenant)).all()
        )


def emptied(store):
    with store.write() as db:
        for table in reversed(schema.metadata.sorted_tables):
            db.execute(table.delete())
    tallies._stores.pop(store, None)


def contents(store):
    """All tables without the numbers that rows were given."""
    with store.read() as db:
        tenants = dict(db.execute(sa.select(schema.tenant.c.id, schema.tenant.c.name)).all())
        who = {one.id: (one.message, one.normal) for one in db.execute(sa.select(schema.recipient))}
        found = {}
        for table in schema.metadata.sorted_tables:
            if table.name in {"tenant", "suppression"}:
                continue
            found[table.name] = []
            for row in db.execute(table.select()):
                values = dict(row._mapping)
                if "tenant" in values:
                    values["tenant"] = tenants[values["tenant"]]
                if table.name == "event":
                    values["recipient"] = who[values["recipient"]]
                    del values["seq"]
                if table.name == "recipient":
                    del values["id"]
                found[table.name].append(tuple(values.items()))
            found[table.name].sort(key=repr)
    return found


# --- order and repetition ----------------------------------------------------------------------------------------

DETAILS = st.sampled_from(
    [
        {},
        {"reply": "250 ok"},
        {"suppress": {"reason": "bounce", "stream": ""}},
        {"suppress": {"reason": "complaint", "stream": "news"}},
    ]
)


@st.composite
def events(draw):
    trace, kind = draw(st.sampled_from(TRACES[:3])), draw(st.sampled_from(Kind))
    recipient = draw(st.none() | st.sampled_from(ADDRESSES))
    what = draw(st.sampled_from("12"))
    actor = draw(st.sampled_from([None, *Actor])) if kind in {Kind.OPENED, Kind.CLICKED} else None
    at = NOON + draw(st.integers(0, 5))
    # All that tells two events apart is in their ids, as with those of the gate.
    return happened(kind, recipient, trace, what, str(actor), str(at), actor=actor, at=at, detail=draw(DETAILS) | {"n": what})


@st.composite
def histories(draw):
    """What becomes of three messages: some were judged, some have recipients refused in the envelope, of some only events came."""
    found = []
    for trace in TRACES[:3]:
        tenant = draw(st.sampled_from([DEFAULT_TENANT, "acme"]))
        if draw(st.booleans()):
            found.append(
                message(
                    trace,
                    tuple(draw(st.lists(st.sampled_from(ADDRESSES[:4]), max_size=3))),
                    tenant=tenant,
                    received=NOON - draw(st.sampled_from([0, HOUR])),
                    tags=tuple(draw(st.lists(st.sampled_from("xyz"), max_size=2))),
                    stream=draw(st.sampled_from(["", "news"])),
                    action=draw(st.sampled_from(["send", "refuse"])),
                    rules=("a/b",),
                    results=(Result("c/d", "fail", "error", ("no",)),),
                    links=("https://example.org/",),
                )
            )
        for address in draw(st.lists(st.sampled_from(ADDRESSES[:4]), max_size=2, unique_by=str.casefold)):
            at = NOON - HOUR + draw(st.integers(0, 3)) * HOUR // 2
            found.append(Message(trace=trace, received=at, recipients=(address,), tenant=tenant))
    unique = {one.id: one for one in draw(st.lists(events(), max_size=12))}
    return found + list(unique.values())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=MANY)
@given(histories(), st.randoms(use_true_random=False))
def test_any_order_in_any_batches_and_any_repetition_lead_to_the_same_tables(store, records, chance):
    emptied(store)
    bring(store, *records)
    once, whom = contents(store), suppressed_by_tenant(store)

    emptied(store)
    told = records + chance.sample(records, chance.randint(0, len(records)))
    chance.shuffle(told)
    while told:
        size = chance.randint(1, len(told))
        bring(store, *told[:size])
        told = told[size:]
    assert contents(store) == once
    again = suppressed_by_tenant(store)
    assert whom - again == set()
    # While an event's message was not there its tenant was not known, either.
    assert {tenant for tenant, *_ in again - whom} <= {DEFAULT_TENANT}

    done = bring(store, *records)
    assert (done.messages, done.events, done.repeated) == (0, 0, len(records))
    assert contents(store) == once


def test_a_batch_is_told_twice_and_once_in_the_store(store):
    records = [message(), happened(Kind.ACCEPTED), happened(Kind.SENT, "ann@gmail.com")]
    first, second = bring(store, *records), bring(store, *records)
    assert (first.messages, first.events, first.repeated) == (1, 3, 0)
    assert (second.messages, second.events, second.repeated) == (0, 0, 3)


# --- messages and their events -----------------------------------------------------------------------------------


def test_what_happened_to_a_message_happened_to_each_recipient_of_its_envelope(store):
    bring(store, message(), happened(Kind.ACCEPTED))
    assert states(store) == {"ann@gmail.com": "accepted", "Bob@Example.org": "accepted"}
    assert tally(store, "accepted") == (2, 2)


def test_an_event_without_its_message_makes_a_row_at_the_time_of_its_trace(store):
    bring(store, happened(Kind.DELIVERED, "Ann@gmail.com"))
    ((key, received, known),) = rows(store, schema.message, "id", "received", "known")
    assert (key, received, known) == (TRACES[0], int(ulid.minted(TRACES[0]).timestamp() * 1000), 0)
    assert rows(store, schema.recipient, "address", "number", "state") == [("ann@gmail.com", ingest.OUTSIDE, "delivered")]
    assert tally(store, "delivered") == (0, 0)  # nobody knows yet whose mail it was


def test_a_message_completes_what_came_before_it_and_events_keep_their_numbers(store):
    bring(store, happened(Kind.DELIVERED, "ann@gmail.com"), happened(Kind.ACCEPTED))
    before = rows(store, schema.event, "seq", "id")
    bring(store, message(stream="news", tags=("a",)))
    assert set(before) < set(rows(store, schema.event, "seq", "id"))
    assert states(store) == {"ann@gmail.com": "delivered", "Bob@Example.org": "accepted"}
    assert tally(store, "delivered", "stream", "news") == tally(store, "delivered", "tag", "a") == (1, 1)
    assert tally(store, "accepted") == (2, 2)
    assert rows(store, schema.waiting, "id") == []


def test_the_tenant_of_a_message_takes_its_events_along_under_new_numbers(store):
    bring(store, happened(Kind.DELIVERED, "ann@gmail.com"))
    ((old,),) = rows(store, schema.event, "seq")
    bring(store, message(tenant="acme"))
    with store.write() as db:
        acme = store.tenant(db, "acme")
    # A cursor of that tenant's that is past the old number finds it all the same.
    ((new, owner),) = rows(store, schema.event, "seq", "tenant")
    assert (new > old, owner) == (True, acme)


def test_who_was_refused_in_the_envelope_did_not_get_what_the_others_got(store):
    refused = Message(trace=TRACES[0], received=NOON, recipients=("gone@web.de",))
    bring(store, refused, happened(Kind.REFUSED, "gone@web.de"))
    assert tally(store, "refused") == (1, 1)
    bring(store, message(), happened(Kind.ACCEPTED), happened(Kind.SENT, "ann@gmail.com"))
    assert states(store) == {"ann@gmail.com": "sent", "Bob@Example.org": "accepted", "gone@web.de": "refused"}
    assert tally(store, "accepted") == (2, 2)
    assert tally(store, "refused") == (1, 1)


def test_a_second_judgement_of_a_trace_changes_nothing(store):
    bring(store, message(subject="one"))
    assert bring(store, message(subject="two")).repeated == 1
    assert rows(store, schema.message, "subject") == [("one",)]


def test_addresses_that_differ_in_case_only_are_one_recipient(store):
    bring(store, message(recipients=("Ann@GMAIL.com", "ann@gmail.com")), happened(Kind.SENT, "ANN@gmail.com"))
    assert rows(store, schema.recipient, "address", "provider", "state") == [("Ann@GMAIL.com", "gmail", "sent")]


@pytest.mark.parametrize("kinds", list(itertools.permutations((Kind.ACCEPTED, Kind.DELIVERED, Kind.SENT))))
def test_a_recipient_stands_where_the_weightiest_event_says_not_the_last_one(sqlite_store, kinds):
    for kind in kinds:
        bring(sqlite_store, message(recipients=("ann@gmail.com",)), happened(kind, "ann@gmail.com"))
    assert states(sqlite_store) == {"ann@gmail.com": "delivered"}


def test_every_kind_has_its_place():
    assert sorted(ingest.PRECEDENCE) == sorted(Kind)


def test_a_machine_that_fetches_pictures_does_not_make_a_message_opened(store):
    bring(store, message(recipients=("ann@gmail.com",)), happened(Kind.DELIVERED, "ann@gmail.com"))
    bring(store, happened(Kind.OPENED, "ann@gmail.com", actor=Actor.MACHINE))
    assert states(store) == {"ann@gmail.com": "delivered"}
    assert (tally(store, "opened"), tally(store, "opened.machine"), tally(store, "opened.human")) == ((1, 1), (1, 1), (0, 0))
    bring(store, happened(Kind.OPENED, "ann@gmail.com", TRACES[0], "2", actor=Actor.HUMAN))
    assert states(store) == {"ann@gmail.com": "opened"}
    assert (tally(store, "opened"), tally(store, "opened.human")) == ((2, 1), (1, 1))


@pytest.mark.parametrize("kind", sorted(cleaning.PERSONAL))
def test_what_only_one_person_can_have_done_is_never_that_of_all(store, kind):
    bring(store, message(), happened(Kind.SENT), happened(kind, detail={"suppress": {"reason": "complaint", "stream": ""}}))
    assert states(store) == {"ann@gmail.com": "sent", "Bob@Example.org": "sent", "": str(kind)}
    assert suppressed(store) == []


# --- suppressions ------------------------------------------------------------------------------------------------


def test_an_event_suppresses_its_recipient_once_and_never_again_when_it_is_told_again(store):
    told = [message(), happened(Kind.BOUNCED, "Ann@gmail.com", detail={"suppress": {"reason": "bounce", "stream": "news"}})]
    bring(store, *told)
    assert suppressed(store) == [("ann@gmail.com", "news", "bounce")]
    with store.write() as db:
        db.execute(schema.suppression.delete())  # as an operator does
    bring(store, *told)
    assert suppressed(store) == []


def test_a_complaint_about_mail_that_the_trace_forgot_suppresses_all_the_same(store):
    bring(store, happened(Kind.COMPLAINED, "ann@gmail.com", detail={"suppress": {"reason": "complaint", "stream": ""}}))
    assert suppressed(store) == [("ann@gmail.com", "", "complaint")]


@pytest.mark.parametrize("said", [None, "yes", {}, {"reason": "spite"}, {"reason": ["bounce"]}, {"stream": "x"}])
def test_what_is_no_reason_suppresses_nobody_and_holds_up_nothing(sqlite_store, said):
    done = bring(sqlite_store, message(), happened(Kind.BOUNCED, "ann@gmail.com", detail={"suppress": said}))
    assert (done.events, suppressed(sqlite_store)) == (1, [])


# --- hostile records ---------------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(), max_size=20) | st.sampled_from(
    [
        "\0",
        "a\0b",
        "\ud800",
        "\udfff@example.org",
        "x" * 300,
        "é" * 3_000,
        "x" * 100_000,
        "\U0010ffff" * 700,
        "a@" + "b" * 5_000,
        "'; --",
    ]
)
NUMBERS = st.integers() | st.sampled_from([-1, 2**31, 2**63, 2**200])
THINGS = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.floats() | TEXTS | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def hostile_messages(draw):
    words = {
        name: draw(TEXTS)
        for name in ("tenant", "listener", "client", "stream", "message_class", "template", "mail_from", "from_domain", "subject",
                     "message_id", "queue_id", "sha256", "verdict", "policy", "action", "reason", "next_hop", "held")
    }  # fmt: skip
    return Message(
        **words,
        trace=draw(st.sampled_from(TRACES)),
        received=draw(NUMBERS),
        recipients=tuple(draw(st.lists(TEXTS, max_size=3))),
        size=draw(NUMBERS),
        judge_ms=draw(st.floats()),
        tags=tuple(draw(st.lists(TEXTS, max_size=12))),
        rules=tuple(draw(st.lists(TEXTS, max_size=2))),
        results=(Result(draw(TEXTS), draw(TEXTS), draw(TEXTS), (draw(TEXTS),)),),
        links=(draw(TEXTS),),
        headers=draw(st.none() | st.binary(max_size=9)),
    )


@st.composite
def hostile_events(draw):
    return Event(
        id=draw(TEXTS),
        trace=draw(st.sampled_from(TRACES) | TEXTS),
        kind=draw(st.sampled_from(Kind)),
        at=draw(NUMBERS),
        recipient=draw(st.none() | TEXTS),
        source=draw(TEXTS),
        detail={"what": draw(THINGS), "suppress": draw(THINGS | st.just({"reason": "bounce", "stream": "\0\ud800" * 400}))},
        tenant=draw(TEXTS),
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=MANY)
@given(st.lists(hostile_messages() | hostile_events(), max_size=6))
def test_whatever_stands_in_a_record_it_never_holds_up_those_behind_it(store, records):
    emptied(store)
    done = bring(store, *records, message(TRACES[4], sha256="f" * 64), happened(Kind.SENT, "ann@gmail.com", TRACES[4], "last"))
    assert (TRACES[4],) in rows(store, schema.message, "id")
    assert (event_id(TRACES[4], Kind.SENT, "ann@gmail.com", "last"),) in rows(store, schema.event, "id")
    # Cleaned rather than set aside: only what names no message at all is lost, and told.
    assert all(not ulid.valid(one.record.trace) for one in done.aside), done.aside
    assert all("\n" not in one.why for one in done.aside)


def test_a_record_that_the_database_will_not_have_is_set_aside_alone(store, monkeypatch):
    # As if cleaning had not known of something.
    monkeypatch.setattr(cleaning.Cleaner, "_plain", lambda self, value: value)
    bad = happened(Kind.SENT, "ann@gmail.com", TRACES[1], source="\ud800")
    done = bring(store, message(), happened(Kind.SENT, "ann@gmail.com"), bad, message(TRACES[2]))
    assert [one.record for one in done.aside] == [bad]
    assert (done.messages, done.events) == (2, 1)


def test_a_fault_of_the_store_sets_nothing_aside(store):
    with store.write() as db:
        schema.link.drop(db)
    with pytest.raises(StoreError, match="link"):
        bring(store, message(links=("https://example.org/",)))


def test_a_fault_of_ours_does_not_hold_up_the_queue(sqlite_store, monkeypatch):
    real = ingest._Batch._message

    def broken(self, came):
        if came.row["id"] == TRACES[1]:
            raise KeyError(TRACES[1])
        return real(self, came)

    monkeypatch.setattr(ingest._Batch, "_message", broken)
    done = bring(sqlite_store, message(), message(TRACES[1]), message(TRACES[2]))
    assert ([one.record.trace for one in done.aside], done.messages) == ([TRACES[1]], 2)


def test_a_name_that_is_cut_is_not_taken_for_its_neighbour():
    clean = cleaning.Cleaner()
    one, other = clean.name("x" * 500 + "1"), clean.name("x" * 500 + "2")
    assert (len(one), one != other, clean.did) == (cleaning.MAX_NAME, True, True)


# --- tallies -----------------------------------------------------------------------------------------------------


def test_a_message_counts_under_the_rules_that_stopped_it_or_else_under_those_that_failed(store):
    failed = tuple(Result(rule, "fail", "error", ()) for rule in ("a/a", "b/b"))
    bring(store, message(action="refuse", rules=("a/a",), results=failed), happened(Kind.REFUSED))
    bring(store, message(TRACES[1], results=failed), happened(Kind.SENT, None, TRACES[1]))
    assert (tally(store, "refused", "rule", "a/a"), tally(store, "refused", "rule", "b/b")) == ((2, 2), (0, 0))
    assert tally(store, "sent", "rule", "b/b") == (2, 2)


def test_who_invents_tags_without_end_makes_no_more_rows(store, monkeypatch):
    monkeypatch.setattr(tallies, "MAX_VALUES", 5)
    for number in range(8):
        trace = ulid.new()
        bring(store, message(trace, ("ann@gmail.com",), tags=(f"tag{number}",)), happened(Kind.ACCEPTED, None, trace))
        if number == 3:
            tallies._stores.pop(store)  # another process goes on
    found = {value for dimension, value in rows(store, schema.tally, "dimension", "value") if dimension == "tag"}
    assert found == {f"tag{number}" for number in range(5)} | {tallies.OTHERS}
    assert tally(store, "accepted", "tag", tallies.OTHERS) == (3, 3)
    assert tally(store, "accepted") == (8, 8)


def test_old_hours_become_days_and_no_sum_changes(store):
    for number in range(50):
        trace = ulid.new()
        bring(store, message(trace, received=NOON - number * HOUR), happened(Kind.ACCEPTED, None, trace))
    hour = NOON // HOUR
    for _ in range(2):
        with store.write() as db:
            tallies.roll_up(db, hour)  # noon: yesterday is over, today is not
        assert tally(store, "accepted") == (100, 100)
        found = {(at - hour, weight) for at, weight in rows(store, schema.tally, "hour", "weight")}
        assert found == {(-number, 0) for number in range(13)} - {(-12, 0)} | {(-12, 0), (-36, 1), (-60, 1)}
    late = ulid.new()
    bring(store, message(late, received=NOON - 30 * HOUR), happened(Kind.ACCEPTED, None, late))
    with store.write() as db:
        assert tallies.roll_up(db, hour) > 0
    assert tally(store, "accepted") == (102, 102)
    assert hour - 30 not in {at for (at,) in rows(store, schema.tally, "hour")}


@pytest.mark.parametrize(
    ("address", "provider"),
    [("a@gmail.com", "gmail"), ("a@googlemail.com", "gmail"), ("a@shop.example", ""), ("", ""), ("a", "")],
)
def test_a_provider_is_known_by_its_own_domains(address, provider):
    assert tallies.provider(address) == provider


# --- several at once ---------------------------------------------------------------------------------------------


def test_who_reads_on_from_the_highest_number_misses_nothing_while_several_write(store, soak):
    others = [Store(str(store.url.render_as_string(hide_password=False))) for _ in range(3)]
    batches, errors = 40 if soak else 8, []

    def write(one, seed):
        chance = random.Random(seed)
        try:
            for _ in range(batches):
                trace = ulid.new()
                size = chance.randint(1, 20)
                bring(one, message(trace), *(happened(Kind.OPENED, "ann@gmail.com", trace, str(n)) for n in range(size)))
        except Exception as error:  # noqa: BLE001 -- told in the test's own thread
            errors.append(error)

    writers = [threading.Thread(target=write, args=(one, seed)) for seed, one in enumerate(others)]
    for one in writers:
        one.start()
    read, cursor, last = set(), 0, False
    while not last:
        last = not any(one.is_alive() for one in writers)
        with store.read() as db:
            found = db.scalars(
                sa.select(schema.event.c.seq).where(schema.event.c.seq > cursor).order_by(schema.event.c.seq)
            ).all()
        read.update(found)
        cursor = max([cursor, *found])
    for one, other in zip(writers, others, strict=True):
        one.join()
        other.close()
    assert not errors
    assert read == {seq for (seq,) in rows(store, schema.event, "seq")}


def test_a_number_is_never_given_twice(store):
    bring(store, message(), happened(Kind.SENT, "ann@gmail.com"))
    ((first,),) = rows(store, schema.event, "seq")
    with store.write() as db:
        db.execute(schema.message.delete())
    bring(store, message(TRACES[1]), happened(Kind.SENT, "ann@gmail.com", TRACES[1]))
    ((second,),) = rows(store, schema.event, "seq")
    assert second > first
