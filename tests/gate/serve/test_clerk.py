"""The process that keeps the trace: mail does not depend on it, and nothing that it was to bring is lost with it."""

import os
import signal
import sqlite3
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from delivcheck.gate.journal.store import FILE
from delivcheck.gate.routing.copied import FILE as SUPPRESSED
from delivcheck.trace import schema, suppressions
from delivcheck.trace.model import Reason
from delivcheck.trace.store import Store
from tests.mta import wait_until
from tests.soak.gates import configuration, gate, listen
from tests.soak.queueing import Mail, Refused, Session
from tests.soak.sink import sink

OCTETS = b"From: a@example.org\r\nTo: pat@example.net\r\nSubject: hello\r\nX-Number: %d\r\n\r\nHello.\r\n"


@contextmanager
def serving(tmp_path, more="[gate.trace]\n", *, http=True, workers=2):
    listeners = [listen("smtp", received=False)] + [listen("http", "http")] * http
    with sink(tmp_path) as hop:
        path = configuration(tmp_path, *listeners, hop=(hop.host, hop.port), workers=workers, more=more)
        with gate(tmp_path, path, workers=workers + ("[gate.trace]" in more)) as running:
            yield running, path, hop


def send(running, number):
    with Session(running.address("smtp")) as session:
        return session.send(Mail(str(number), OCTETS % number))


def clerk(running):
    """Its process id, of the one that serves now."""
    return running.wait(
        lambda: next(
            (one["pid"] for one in running.events("worker", what="start", role="clerk") if one["pid"] in running.workers()), 0
        ),
        "a clerk",
    )


def kinds(store):
    with store.read() as db:
        return sorted(db.scalars(sa.select(schema.event.c.kind)))


WHOLE = ["accepted", "checked", "passed", "sent"]


def store_of(tmp_path):
    return Store(f"sqlite:///{tmp_path}/state/trace.sqlite")


def test_a_message_is_in_the_store_by_the_name_that_the_client_was_told(tmp_path):
    with serving(tmp_path) as (running, _, _):
        said = send(running, 1)
        store = store_of(tmp_path)
        wait_until(lambda: kinds(store) == WHOLE, lambda: str(kinds(store)))
        with store.read() as db:
            assert db.scalar(sa.select(schema.message.c.id)) in said
        store.close()


def test_http_is_served_by_the_clerk_and_mail_by_the_workers(tmp_path):
    with serving(tmp_path) as (running, _, _):
        host, port = running.address("http")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://{host}:{port}/v1/events", timeout=10)
        assert refused.value.code == 401
        refused.value.close()
        os.kill(clerk(running), signal.SIGSTOP)
        try:
            assert send(running, 1)
        finally:
            os.kill(clerk(running), signal.SIGCONT)


def test_a_clerk_that_is_killed_costs_no_mail_and_no_record(tmp_path):
    with serving(tmp_path) as (running, _, hop):
        for number in range(3):
            os.kill(clerk(running), signal.SIGKILL)
            send(running, number)
        store = store_of(tmp_path)
        wait_until(lambda: kinds(store) == sorted(WHOLE * 3), lambda: str(kinds(store)))
        assert len(hop.taken) == 3
        store.close()


@pytest.mark.attack(58)
def test_a_store_that_is_away_holds_up_no_mail_and_gets_everything_later(tmp_path, postgres):
    name = postgres.create()
    url = postgres.url(name)
    with serving(tmp_path, f'[gate.trace]\nurl = "{url}"\n') as (running, _, _):
        store = Store(url)
        send(running, 1)
        wait_until(lambda: kinds(store) == WHOLE, lambda: str(kinds(store)))
        store.close()
        postgres.stop()
        try:
            for number in range(2, 5):
                send(running, number)
            running.wait_for("fault", where="trace")
        finally:
            postgres.start()
        wait_until(lambda: kinds(store) == sorted(WHOLE * 4), lambda: str(kinds(store)))
        store.close()
    postgres.drop(name)


@pytest.mark.attack(58)
def test_a_store_that_is_away_at_the_start_keeps_nobody_from_starting(tmp_path):
    with serving(tmp_path):
        pass  # now there is a copy of the suppression list
    away = f"postgresql://nobody@/nothing?host={tmp_path}/nowhere"
    with serving(tmp_path, f'[gate.trace]\nurl = "{away}"\n') as (running, _, hop):
        assert send(running, 2)
        running.wait_for("fault", where="trace")
        assert len(hop.taken) == 1


def test_mail_waits_where_nobody_knows_yet_who_is_suppressed(tmp_path):
    away = f"postgresql://nobody@/nothing?host={tmp_path}/nowhere"
    with serving(tmp_path, f'[gate.trace]\nurl = "{away}"\n') as (running, _, hop):
        with pytest.raises(Refused, match="451"):
            send(running, 1)
        running.wait_for("fault", where="suppressions")
        assert not hop.taken


def test_who_is_put_on_the_suppression_list_is_refused_from_then_on(tmp_path):
    with serving(tmp_path) as (running, _, hop):
        assert send(running, 1)
        store = store_of(tmp_path)
        with store.write() as db:
            suppressions.add(db, store.tenant(db), "PAT@example.net", Reason.UNSUBSCRIBE)
        wait_until(lambda: refused(running, 2), lambda: "the list does not act")
        assert {one.number for one in hop.taken} <= {"1", "2"}
        wait_until(lambda: "suppressed" in kinds(store), lambda: str(kinds(store)))
        with store.write() as db:
            suppressions.remove(db, store.tenant(db), "pat@example.net")
        wait_until(lambda: not refused(running, 3), lambda: "the list still acts")
        store.close()


@pytest.mark.attack(58)
def test_a_list_that_is_lost_or_damaged_is_written_again(tmp_path):
    # Workers that started after it was lost said 451 to all mail, until somebody was put on the list.
    with serving(tmp_path, workers=1) as (running, _, _):
        path = tmp_path / "state" / SUPPRESSED
        whole = path.read_bytes()
        for harm in (path.unlink, lambda: path.write_bytes(b"junk")):
            harm()
            wait_until(lambda: path.exists() and path.read_bytes() == whole, lambda: "it is not there again")
        assert send(running, 1)


@pytest.mark.attack(58)
def test_a_store_that_is_lost_makes_nobody_forget_who_is_suppressed(tmp_path):
    with serving(tmp_path) as (running, _, hop):
        assert send(running, 1)
        store = store_of(tmp_path)
        with store.write() as db:
            suppressions.add(db, store.tenant(db), "pat@example.net", Reason.UNSUBSCRIBE)
        wait_until(lambda: refused(running, 2), lambda: "the list does not act")
        store.close()
    for one in (tmp_path / "state").glob("trace.sqlite*"):
        one.unlink()
    with serving(tmp_path) as (running, _, hop):
        running.wait_for("fault", where="suppressions")
        assert refused(running, 3)
        assert not [one for one in hop.taken if one.number == "3"]


def refused(running, number):
    try:
        send(running, number)
    except Refused as no:
        return no.code == 550
    return False


def test_a_record_that_cannot_be_read_does_not_hold_up_the_others(tmp_path):
    with serving(tmp_path) as (running, _, _):
        with sqlite3.connect(tmp_path / "state" / FILE, timeout=10) as journal:
            journal.execute("INSERT INTO outbox (record) VALUES (x'c1')")
        send(running, 1)
        store = store_of(tmp_path)
        wait_until(lambda: kinds(store) == WHOLE, lambda: str(kinds(store)))
        assert running.wait_for("fault", where="outbox")
        store.close()


def test_a_reload_turns_the_trace_on_and_off(tmp_path):
    with serving(tmp_path, more="", http=False) as (running, path, _):
        text = path.read_text()
        path.write_text(text + "[gate.trace]\n")
        running.signal(signal.SIGHUP)
        clerk(running)
        send(running, 1)
        store = store_of(tmp_path)
        wait_until(lambda: kinds(store) == WHOLE, lambda: str(kinds(store)))
        path.write_text(text)
        running.signal(signal.SIGHUP)
        running.wait_for("configuration", 3, what="loaded")
        send(running, 2)
        assert kinds(store) == WHOLE
        store.close()
