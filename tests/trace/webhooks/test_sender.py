"""Webhooks: each event reaches the server signed and at least once, whatever fails; nothing else does."""

import asyncio
import contextlib
import json
import time

import pytest
import sqlalchemy as sa

from delivcheck.keyring import Keyring, NotOpened
from delivcheck.trace import audit, schema
from delivcheck.trace.model import Kind
from delivcheck.trace.webhooks import deliveries, register, sender, signing
from delivcheck.trace.webhooks.deliveries import ATTEMPTS, DISABLE_AFTER, LEASE, SCHEDULE, Result, State
from delivcheck.trace.webhooks.sender import Sender
from tests.trace.webhooks.hearing import happened, hearing, poster, until


def registered(store, tenant, url, **more):
    with store.write() as db:
        return register.add(db, tenant, url, who="key:test", **more)


@contextlib.asynccontextmanager
async def sending(store, sealer=None, told=None):
    """A sender at work."""
    async with poster() as out:
        work = asyncio.create_task(Sender(store, out, sealer, told or sender.Untold()).run())
        try:
            yield work
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work


class Told(list):
    """Keeps what it is told, as words."""

    def __bool__(self):
        return True

    def settled(self, settled):
        self.extend(word for word in ("done", "failed", "dead") for _ in range(getattr(settled, word)))

    def failed(self, reason):
        self.append(reason)


def rows(store):
    with store.read() as db:
        return db.execute(sa.select(schema.delivery).order_by(schema.delivery.c.id)).all()


def test_each_event_reaches_the_server_once_with_a_signature_of_the_secret(store, tenant):
    async def go():
        async with hearing() as heard:
            _, secret = registered(store, tenant, heard.url)
            traces = [happened(store, Kind.SENT, Kind.BOUNCED) for _ in range(5)]
            async with sending(store):
                await until(lambda: len(heard.requests) == 10 and all(one.state == "done" for one in rows(store)))
            for line, fields, body in heard.requests:
                assert line == "POST /hooks HTTP/1.1"
                signing.verify(secret, fields, body, time.time())
                told = json.loads(body)
                assert set(told) == {"type", "timestamp", "data"}
                assert fields["webhook-id"] == told["data"]["event_id"]
                assert told["data"]["rcpt"] == "a@example.net"
                assert told["data"]["message_id"] in traces
                assert told["type"] == told["data"]["event"]
            assert len({fields["webhook-id"] for _, fields, _ in heard.requests}) == 10
            assert heard.connections <= sender.EACH, "connections are kept"

    asyncio.run(go())


def test_it_hears_of_the_kinds_it_asked_for_from_its_registration_on_and_of_its_own_tenant(store, tenant):
    async def go():
        async with hearing() as heard:
            happened(store, Kind.BOUNCED)
            registered(store, tenant, heard.url, kinds=[Kind.BOUNCED])
            wanted = happened(store, Kind.SENT, Kind.BOUNCED)
            happened(store, Kind.BOUNCED, tenant="other")
            async with sending(store):
                await until(lambda: heard.requests)
                await asyncio.sleep(0.2)
            assert [json.loads(body)["data"]["message_id"] for _, _, body in heard.requests] == [wanted]

    asyncio.run(go())


def test_what_fails_is_tried_again_with_the_same_id_and_body(store, tenant, monkeypatch):
    monkeypatch.setattr(deliveries, "SCHEDULE", (0.01, 0.01, 0.01))

    async def go():
        answers = {1: 500, 2: None, 3: b"HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"}
        async with hearing(lambda number: answers.get(number, 200)) as heard:
            registered(store, tenant, heard.url)
            happened(store, Kind.SENT)
            told = Told()
            async with sending(store, told=told):
                await until(lambda: [one.state for one in rows(store)] == ["done"])
            assert len(heard.requests) == 4
            assert len({(fields["webhook-id"], body) for _, fields, body in heard.requests}) == 1
            assert told == ["failed"] * 3 + ["done"]
            assert rows(store)[0].attempts == 4
            with store.read() as db:
                assert register.every(db, tenant)[0].failing is None

    asyncio.run(go())


def test_a_desk_that_died_leaves_its_deliveries_to_the_next(store, tenant):
    async def go():
        async with hearing() as heard:
            registered(store, tenant, heard.url)
            happened(store, Kind.SENT)
            with store.write() as db:
                now = register.now()
                deliveries.spread(db, now)
                (taken,) = deliveries.take(db, now, 10, {}, 8)
                assert deliveries.take(db, now + LEASE - 1, 10, {}, 8) == []
                (again,) = deliveries.take(db, now + LEASE, 10, {}, 8)
            assert (taken.event, taken.attempt, again.attempt) == (again.event, 1, 2)
            with store.write() as db:  # the first one was only slow: its failure is not the second one's, its success counts
                deliveries.settle(db, [Result(taken, False, 500, "late")], now)
                assert db.scalar(sa.select(schema.delivery.c.error)) == ""
                deliveries.settle(db, [Result(taken, True, 200)], now)
                assert db.scalar(sa.select(schema.delivery.c.state)) == "done"
                deliveries.settle(db, [Result(again, False, 500, "later")], now)
                assert db.scalar(sa.select(schema.delivery.c.state)) == "done"

    asyncio.run(go())


def test_several_desks_over_one_postgresql_share_the_work(postgres_store):
    happened(postgres_store, Kind.ACCEPTED)
    with postgres_store.write() as db:
        tenant = postgres_store.tenant(db)

    async def go():
        async with hearing() as heard:
            registered(postgres_store, tenant, heard.url)
            for _ in range(40):
                happened(postgres_store, Kind.SENT)
            async with sending(postgres_store), sending(postgres_store), sending(postgres_store):
                await until(
                    lambda: len(rows(postgres_store)) == 40 and all(one.state == "done" for one in rows(postgres_store))
                )
            assert len(heard.requests) == len({fields["webhook-id"] for _, fields, _ in heard.requests}) == 40

    asyncio.run(go())


def test_after_all_attempts_it_is_dead_until_somebody_replays_it(store, tenant):
    hook, _ = registered(store, tenant, "http://127.0.0.1:9/")
    happened(store, Kind.SENT)
    now = register.now()
    with store.write() as db:
        deliveries.spread(db, now)
        for attempt in range(1, ATTEMPTS + 1):
            (task,) = deliveries.take(db, now, 10, {}, 8)
            assert task.attempt == attempt
            settled = deliveries.settle(db, [Result(task, False, 500, "it answered 500")], now)
            assert (settled.failed, settled.dead) == ((1, 0) if attempt < ATTEMPTS else (0, 1))
            now += int(1_200 * SCHEDULE[min(attempt, len(SCHEDULE)) - 1]) + 1
        assert deliveries.take(db, now, 10, {}, 8) == []
        (dead,) = deliveries.page(db, tenant, hook.id, state=State.DEAD)
        assert (dead.attempts, dead.status, dead.error, dead.kind) == (ATTEMPTS, 500, "it answered 500", "sent")
        assert deliveries.counts(db, tenant) == {hook.id: {State.DEAD: 1}}
        assert deliveries.replay(db, tenant + 1, hook.id, now, who="key:other") == 0
        assert deliveries.replay(db, tenant, hook.id, now, who="key:test", only=[dead.id]) == 1
        assert deliveries.take(db, now, 10, {}, 8)[0].attempt == 1
        assert audit.read(db, tenant, action="webhook.replay")[0].detail == {"deliveries": 1}


def test_the_schedule_is_three_days_and_waits_vary():
    assert 3 * 86_400 < sum(SCHEDULE) < 4 * 86_400
    waits = {deliveries.wait(3) for _ in range(50)}
    assert len(waits) > 10
    assert all(0.8 * SCHEDULE[2] <= one <= 1.2 * SCHEDULE[2] for one in waits)
    assert deliveries.wait(1, retry_after=600) == 600


@pytest.mark.parametrize(("status", "failing_for"), [(410, 0), (500, DISABLE_AFTER)])
def test_who_is_gone_or_fails_for_days_is_disabled_and_told_on_from_there_when_enabled(store, tenant, status, failing_for):
    hook, _ = registered(store, tenant, "http://127.0.0.1:9/")
    happened(store, Kind.SENT)
    now = register.now()
    with store.write() as db:
        deliveries.spread(db, now)
        (task,) = deliveries.take(db, now, 10, {}, 8)
        if failing_for:
            assert deliveries.settle(db, [Result(task, False, status, "no")], now).disabled == ()
            (task,) = deliveries.take(db, now + failing_for, 10, {}, 8)
        settled = deliveries.settle(db, [Result(task, False, status, "no")], now + failing_for)
        assert [name for name, _ in settled.disabled] == [hook.id]
        assert audit.read(db, tenant, action="webhook.disable")[0].who == deliveries.DESK
        assert deliveries.take(db, now + 2 * DISABLE_AFTER, 10, {}, 8) == []
    happened(store, Kind.BOUNCED)
    with store.write() as db:
        assert deliveries.spread(db, now) == 0
        assert register.enable(db, tenant, hook.id, who="key:test")
        assert deliveries.spread(db, now) > 0
        kinds = {one.event.kind for one in deliveries.take(db, now + 2 * DISABLE_AFTER, 10, {}, 8)}
        assert kinds == {Kind.SENT, Kind.BOUNCED}


def test_a_server_that_fails_gets_one_at_a_time_and_does_not_hold_up_others(store, tenant):
    bad, _ = registered(store, tenant, "http://127.0.0.1:9/")
    good, _ = registered(store, tenant, "http://127.0.0.1:9/good")
    for _ in range(5):
        happened(store, Kind.SENT)
    now = register.now()
    with store.write() as db:
        deliveries.spread(db, now)
        first = deliveries.take(db, now, 100, {}, 2)
        assert sorted(one.webhook for one in first) == sorted([bad.id] * 2 + [good.id] * 2)
        deliveries.settle(db, [Result(one, one.webhook == good.id, 500, "no") for one in first], now)
        taken = [one.webhook for one in deliveries.take(db, now, 100, {}, 8)]
        assert (taken.count(bad.id), taken.count(good.id)) == (1, 3)


def test_a_rotated_secret_signs_beside_the_old_one_for_a_day(store, tenant):
    hook, old = registered(store, tenant, "http://127.0.0.1:9/")
    with store.write() as db:
        new = register.rotate(db, tenant, hook.id, who="key:test")
        _, written = register.with_secret(db, tenant, hook.id)
    now = register.now()
    assert register.secrets(hook.id, written, None, now) == (new, old)
    assert register.secrets(hook.id, written, None, now + register.OVERLAP) == (new,)
    fields = signing.headers((new, old), "x", now // 1000, b"{}")
    for secret in (new, old):
        signing.verify(secret, fields, b"{}", time.time())


def test_secrets_lie_in_the_store_encrypted_where_a_key_is_configured(store, tenant):
    ring = Keyring([b"k" * 32])
    hook, secret = registered(store, tenant, "http://127.0.0.1:9/", sealer=ring)
    plain, open_secret = registered(store, tenant, "http://127.0.0.1:9/")
    with store.read() as db:
        _, written = register.with_secret(db, tenant, hook.id)
        _, before = register.with_secret(db, tenant, plain.id)
    assert secret.removeprefix("whsec_").encode() not in written
    assert register.secrets(hook.id, written, ring, 0) == (secret,)
    assert register.secrets(plain.id, before, ring, 0) == (open_secret,)
    for wrong in (None, Keyring([b"x" * 32])):
        with pytest.raises(NotOpened):
            register.secrets(hook.id, written, wrong, 0)
    with pytest.raises(NotOpened):
        register.secrets(plain.id, written, ring, 0)


def test_a_key_that_is_missing_costs_attempts_and_no_events(store, tenant):
    async def go():
        async with hearing() as heard:
            registered(store, tenant, heard.url, sealer=Keyring([b"k" * 32]))
            happened(store, Kind.SENT)
            async with sending(store):
                await until(lambda: rows(store) and rows(store)[0].error)
            assert heard.requests == []
            assert "names no key" in rows(store)[0].error
            assert rows(store)[0].state == "waiting"

    asyncio.run(go())


def test_deliveries_go_with_their_event_and_webhook_and_old_ones_are_forgotten(store, tenant):
    hook, _ = registered(store, tenant, "http://127.0.0.1:9/")
    trace = happened(store, Kind.SENT)
    kept = happened(store, Kind.SENT)
    now = register.now()
    with store.write() as db:
        deliveries.spread(db, now)
        tasks = deliveries.take(db, now, 10, {}, 8)
        deliveries.settle(db, [Result(one, True, 200) for one in tasks if one.event.trace == kept], now)
        db.execute(schema.message.delete().where(schema.message.c.id == trace))
        assert [one.trace for one in deliveries.page(db, tenant, hook.id)] == [kept]
        assert deliveries.prune(db, now + deliveries.KEEP_DONE) == 0
        assert deliveries.prune(db, now + deliveries.KEEP_DONE + 1) == 1
    with store.write() as db:
        assert not register.remove(db, tenant + 1, hook.id, who="key:other")
        assert register.remove(db, tenant, hook.id, who="key:test")
        assert register.every(db, tenant) == []


def test_a_ping_comes_signed_and_leaves_nothing_behind(store, tenant):
    async def go():
        async with hearing() as heard, poster() as out:
            hook, secret = registered(store, tenant, heard.url)
            with store.read() as db:
                known = register.with_secret(db, tenant, hook.id)
            assert (await Sender(store, out, None, sender.Untold()).ping(*known)).ok
            ((_, fields, body),) = heard.requests
            signing.verify(secret, fields, body, time.time())
            assert json.loads(body)["type"] == "ping"
            assert rows(store) == []

    asyncio.run(go())
