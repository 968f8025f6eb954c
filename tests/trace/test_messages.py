"""Messages are found by whatever is known of them, page by page, and by nobody but their tenant."""

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delivcheck.trace import messages, schema, shapes, stats
from delivcheck.trace.model import Actor, Kind, iso
from delivcheck.trace.queries import BadQuery, Query, parse_query
from delivcheck.trace.records import BUCKET, Result
from delivcheck.trace.stats import Period
from tests.trace.told import ADA, BOB, NOON, event, message, refused, sent, tell, trace


@pytest.fixture
def told(store):
    """Twelve messages: receipts to Bob, one to Ada and Bob that bounced for Bob, one refused, one of another stream."""
    records = []
    for number in range(9):
        records += sent(message(number, NOON + number * 60_000))
    two = message(9, NOON + 9 * 60_000, to=(ADA, "Bob@Example.ORG"), tags=("eu", "vip"), subject="Für 100 % von Ihnen_")
    records += [
        *sent(two),
        event(two, Kind.BOUNCED, "Bob@Example.ORG", 5_000, source="dsn", status="5.1.1", text="no such user"),
    ]
    records += [event(two, Kind.OPENED, ADA, 9_000, "1", source="collector", actor=Actor.HUMAN)]
    records += refused(10, NOON + 10 * 60_000)
    records += sent(message(11, NOON + 11 * 60_000, stream="news", template="", tags=(), from_domain="news.example.com"))
    return store, tell(store, records)


def found(told, text, **more):
    store, tenant = told
    with store.read() as db:
        return [int(row.trace[10:]) for row in messages.search(db, tenant, parse_query(text), **more).rows]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("", [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        ("to:BOB@example.org", [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        ("to:ada@gmail.com", [9]),
        ("ada@gmail.com", [9]),
        ("to:@gmail.com", [9]),
        ("to:@mail.com", []),
        ("provider:gmail", [9]),
        ("status:bounced", [9]),
        ("status:refused", [10]),
        ("status:opened to:ada@gmail.com", [9]),
        ("status:bounced to:ada@gmail.com", []),  # both of the same recipient
        ("event:bounced event:sent", [9]),
        ("event:opened", [9]),
        ("event:clicked", []),
        ("stream:news", [11]),
        ("tag:vip", [9]),
        ("tag:vip tag:eu", [9]),
        ("tag:vip tag:us", []),
        ("template:receipt stream:receipts status:refused", [10]),
        ("rule:dkim/missing", [10]),
        ("rule:dkim/missing rule:spf/weak", [10]),
        ("rule:dkim/missing tag:eu status:refused to:bob@example.org", [10]),
        ("verdict:fail", [10]),
        ("verdict:none", []),
        ("from:BOUNCE@example.com stream:news", [11]),
        ("domain:News.Example.com", [11]),
        ("client:shop stream:news", [11]),
        ("message-id:3@example.com", [3]),
        ("<3@example.com>", [3]),
        ("queue-id:4Xq3", [3]),
        ('subject:"ür 100 % VON"', [9]),
        ("subject:100_", []),  # no wildcard
        ("ihnen_", [9]),
        ("receipt 10", [10]),
        ("since:2026-11-18T12:10Z", [11, 10]),
        ("until:2026-11-18T12:01Z", [0]),
        ("since:2026-11-18T12:02Z until:2026-11-18T12:04Z", [3, 2]),
    ],
)
def test_a_query_finds_what_it_says(told, text, numbers):
    assert found(told, text) == numbers


def test_a_trace_is_found_by_its_beginning_in_any_case(told):
    whole = trace(5, NOON + 5 * 60_000)
    assert found(told, f"trace:{whole}") == [5]
    assert found(told, whole.lower()) == [5]
    assert found(told, f"trace:{whole[:10]}") == [5]
    assert len(found(told, f"trace:{whole[:5]}")) == 12


def test_pages_follow_one_another_without_gap_or_double_whatever_comes_in_between(told):
    store, tenant = told
    seen, after = [], None
    for turn in range(20):
        with store.read() as db:
            page = messages.search(db, tenant, Query(tags=("eu",)), after, 3)
        seen += [int(row.trace[10:]) for row in page.rows]
        after = page.next
        if after is None:
            break
        tell(store, sent(message(100 + turn, NOON + 3_600_000)))
    assert seen == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]


def test_the_last_page_says_that_it_is_the_last(told):
    store, tenant = told
    with store.read() as db:
        assert messages.search(db, tenant, limit=12).next is None
        assert messages.search(db, tenant, limit=11).next is not None


@pytest.mark.parametrize("cursor", ["", "\0", "z" * 1_000, "\ud800", "ünïcode", "'; DROP TABLE message; --"])
def test_any_text_will_do_for_a_cursor(told, cursor):
    store, tenant = told
    with store.read() as db:
        messages.search(db, tenant, after=cursor)
        assert messages.get(db, tenant, cursor) is None


def test_another_tenant_sees_nothing(told):
    store, tenant = told
    other = tell(store, sent(message(50, NOON, tenant="other")), "other")
    with store.read() as db:
        assert [row.subject for row in messages.search(db, other).rows] == ["Receipt 50"]
        assert len(messages.search(db, tenant, limit=100).rows) == 12
        for query in ("to:bob@example.org", "tag:eu", "rule:dkim/missing", "status:sent", "queue-id:4Xq3", "status:refused"):
            assert {row.subject for row in messages.search(db, other, parse_query(query)).rows} <= {"Receipt 50"}
        assert messages.get(db, other, trace(5, NOON + 5 * 60_000)) is None
        assert messages.body(db, other, trace(5, NOON + 5 * 60_000)) is None
        assert {one.trace for one in messages.events(db, other)} == {trace(50)}
        assert messages.summaries(db, other, [trace(5, NOON + 5 * 60_000)]) == ()


def test_a_row_names_some_recipients_and_counts_all(store):
    to = [f"p{number}@example.org" for number in range(10)]
    one = message(0, to=to)
    tenant = tell(store, [*sent(one), event(one, Kind.BOUNCED, "p3@example.org", 900, status="5.1.1")])
    with store.read() as db:
        (row,) = messages.latest(db, tenant)
    assert row.to == (("p0@example.org", "sent"), ("p1@example.org", "sent"), ("p2@example.org", "sent"))
    assert row.recipients == 10
    assert row.states == {"sent": 9, "bounced": 1}
    assert (row.tags, row.rules, row.subject) == (("eu",), (), "Receipt 0")


def test_a_message_is_shown_with_all_that_is_known_of_it(store):
    one = message(
        0, to=(ADA, BOB), links=("https://example.com/a", "https://example.com/b"), headers=b"From: x\r\n", body=b"hi",
        results=(Result("b/two", "fail", "warning", ("line",)), Result("a/one", "unknown", "note")), mode="enforce", judge_ms=1.5,
    )  # fmt: skip
    clicked = event(
        one, Kind.CLICKED, ADA, 60_000, "1", source="collector", actor=Actor.UNKNOWN, link=1, url="https://example.com/b"
    )
    tenant = tell(store, [*sent(one), clicked])
    with store.read() as db:
        got = messages.get(db, tenant, one.trace)
        assert messages.body(db, tenant, one.trace) == b"hi"
    assert [(to.address, to.state, to.seen) for to in got.recipients] == [
        (ADA, "clicked", (Kind.ACCEPTED, Kind.CHECKED, Kind.SENT, Kind.CLICKED)),
        (BOB, "sent", (Kind.ACCEPTED, Kind.CHECKED, Kind.SENT)),
    ]
    assert [(moment.kind, moment.recipients) for moment in got.timeline()] == [
        (Kind.ACCEPTED, (ADA, BOB)),
        (Kind.CHECKED, (ADA, BOB)),
        (Kind.SENT, (ADA, BOB)),
        (Kind.CLICKED, (ADA,)),
    ]
    assert [said.rule for said in got.results] == ["a/one", "b/two"]
    assert got.links == ("https://example.com/a", "https://example.com/b")
    assert (got.headers, got.has_body, got.mode, got.judge_ms, got.left_out) == (b"From: x\r\n", True, "enforce", 1.5, 0)


def test_opens_of_nobody_in_particular_are_no_recipient_of_a_list(store):
    one = message(0)
    tenant = tell(store, [*sent(one), event(one, Kind.OPENED, None, 5_000, "1", source="collector")])
    with store.read() as db:
        (row,) = messages.latest(db, tenant)
        last = messages.events(db, tenant)[-1]
    assert (row.recipients, row.to) == (1, ((BOB, "sent"),))
    assert shapes.event(last).rcpt is None


@pytest.mark.parametrize("text", ["", "stream:receipts", "tag:eu", "status:opened", "event:opened", "stream:receipts tag:eu"])
def test_what_opens_of_nobody_hang_on_is_no_message_of_a_list(store, text):
    one = message(0)
    bucket = message(1, to=(), framing=BUCKET, client="", subject="")
    tenant = tell(
        store, [*sent(one), event(one, Kind.OPENED, BOB, 5_000, "1"), bucket, event(bucket, Kind.OPENED, None, 9_000, "2")]
    )
    with store.read() as db:
        assert [row.trace for row in messages.search(db, tenant, parse_query(text)).rows] == [one.trace]
        shown = messages.get(db, tenant, bucket.trace)
        assert [each.recipient for each in shown.events] == [""]
        assert (shown.named, shapes.message(shown).recipients) == ((), [])
        assert stats.totals(db, tenant, Period.of(NOON, NOON + 1)).recipients("opened") == 2


def test_the_cursor_of_events_goes_through_all_of_them_once(told):
    store, tenant = told
    seen, after = [], 0
    while True:
        with store.read() as db:
            page = messages.events(db, tenant, after, 7)
        if not page:
            break
        seen += [one.id for one in page]
        after = page[-1].seq
    with store.read() as db:
        stored = list(db.scalars(sa.select(schema.event.c.id).order_by(schema.event.c.seq)))
        assert messages.last_seq(db, tenant) == after
    assert seen == stored


def test_events_can_be_had_by_kind_and_time(told):
    store, tenant = told
    with store.read() as db:
        only = messages.events(db, tenant, kinds=[Kind.BOUNCED, Kind.OPENED])
        assert [one.kind for one in only] == [Kind.BOUNCED, Kind.OPENED]
        until = messages.events(db, tenant, until=NOON + 60_000)
        assert {one.trace for one in until} == {trace(0)}
        assert messages.events(db, tenant, since=NOON + 10**9) == []
        assert messages.events(db, tenant, 2**80) == []


def test_an_event_is_told_in_the_one_shape(told):
    store, tenant = told
    with store.read() as db:
        (one,) = messages.events(db, tenant, kinds=[Kind.BOUNCED])
    shape = msgspec.to_builtins(shapes.event(one))
    assert shape == {
        "v": 1,
        "event": "bounced",
        "event_id": one.id,
        "message_id": trace(9, NOON + 9 * 60_000),
        "rcpt": "Bob@Example.ORG",
        "ts": "2026-11-18T12:09:05.000Z",
        "stream": "receipts",
        "template": "receipt",
        "tags": ["eu", "vip"],
        "from_domain": "example.com",
        "header_message_id": "<9@example.com>",
        "provider": "",
        "source": "dsn",
        "verdict": "pass",
        "actor": None,
        "detail": {"status": "5.1.1", "text": "no such user"},
        "cursor": one.seq,
    }


@given(st.text(max_size=80))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
def test_whatever_is_looked_for_the_store_answers(store, text):
    try:
        query = parse_query(text)
    except BadQuery:
        return
    with store.read() as db:
        messages.search(db, 1, query)


@pytest.mark.parametrize(
    "text",
    ["status:sent", "tag:eu", "to:bob@example.org", "rule:dkim/missing", "event:bounced to:bob@example.org", "trace:01M"],
)
def test_what_has_an_index_is_read_along_it_in_order(sqlite_store, text):
    """No sorting of all that matches, and no look at all messages: a page costs what it shows."""
    with sqlite_store.read() as db:
        wanted = messages._matching(1, parse_query(text), None).limit(50)
        plan = " ".join(row[3] for row in db.execute(sa.text("EXPLAIN QUERY PLAN " + str(
            wanted.compile(db, compile_kwargs={"literal_binds": True})
        ))))  # fmt: skip
    assert "TEMP B-TREE" not in plan, plan
    assert "SCAN" not in plan, plan


@pytest.mark.parametrize("text", ["message-id:1@example.com", "queue-id:4Xq1"])
def test_what_few_have_is_found_by_its_index(sqlite_store, text):
    with sqlite_store.read() as db:
        wanted = messages._matching(1, parse_query(text), None).limit(50).compile(db, compile_kwargs={"literal_binds": True})
        plan = " ".join(row[3] for row in db.execute(sa.text(f"EXPLAIN QUERY PLAN {wanted}")))
    assert "ix_message_tenant_message_id" in plan or "ix_message_queue_id" in plan, plan


def test_times_are_written_with_their_milliseconds():
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert iso(253_402_300_799_999) == iso(2**53) == "9999-12-31T23:59:59.999Z"
