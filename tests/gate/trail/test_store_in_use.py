"""What operators do to the trace's store while gates write to it; and two gates that write to the same one."""

import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from delivcheck.trace import schema
from delivcheck.trace.store import Store
from delivcheck.trace.upkeep import expire
from tests.gate.trail.place import WHOLE, cli, mail, place
from tests.mta import wait_until


@contextmanager
def traffic(made, recipient="ada@example.net"):
    """Mail without end, until the block is left; what was acknowledged, in a list."""
    over, done, faults = threading.Event(), [], []

    def work():
        try:
            while not over.is_set():
                made.send(mail(str(len(done))), recipient)
                done.append(len(done))
        except Exception as error:  # noqa: BLE001 -- told to the test
            faults.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        wait_until(lambda: len(done) > 3 or bool(faults), lambda: "no mail")
        yield done
    finally:
        over.set()
        thread.join()
    assert not faults, faults


def all_there(made, recipient, count):
    wait_until(lambda: made.kinds(recipient=recipient).count("sent") == count, lambda: f"{count} are not all there")


def test_a_backup_an_erasure_and_retention_go_on_beside_a_gate_that_writes(tmp_path):
    with place(tmp_path, workers=2) as made:
        made.send(mail("confidential"), "pat@example.net")
        made.wait_kinds(WHOLE, recipient="pat@example.net")
        (trace,) = {one.message for one in made.events(recipient="pat@example.net")}
        with traffic(made) as done:
            saved = tmp_path / "saved.sqlite"
            made.cli("backup", "create", str(saved))
            assert "from 1 message" in made.cli("erase", "pat@example.net", "--yes", "--reference", "ticket 7")
            assert made.kinds(recipient="pat@example.net") == []
            assert b"confidential" not in made.cli("trace", trace, "--format", "json").encode()
        all_there(made, "ada@example.net", len(done))

        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        url = f"sqlite:///{elsewhere}/trace.sqlite"
        cli("backup", "restore", str(saved), "--yes", "--store", url)
        restored = json.loads(cli("trace", trace, "--store", url, "--format", "json"))
        assert restored.get("message", restored)["subject"] == "confidential"
        assert "confidential" in cli("trace", "--recipient", "pat@example.net", "--store", url)

        with traffic(made, "eve@example.net") as more:
            gone = expire(made.store, datetime.now(UTC) + timedelta(days=91), keep_days=90)
            assert gone.aged >= len(done) + 1
            since = len(more)
            wait_until(lambda: len(more) > since + 3, lambda: "mail does not go on")
        made.send(mail(), "last@example.net")
        made.wait_kinds(WHOLE, recipient="last@example.net")
        assert made.kinds(recipient="ada@example.net") == []
        assert made.kinds(recipient="eve@example.net").count("sent") >= 3
        assert not made.running.events("fault")


def test_two_gates_over_one_database_tell_the_same_events_in_the_same_order(tmp_path, postgres):
    count, name = 25, postgres.create()
    url = postgres.url(name)
    more = f'[gate.trace]\nurl = "{url}"\n'
    for one in ("first", "second"):
        (tmp_path / one).mkdir()
    try:
        with place(tmp_path / "first", more) as first, place(tmp_path / "second", more) as second:
            key = first.key("reader", "read")
            senders = [
                threading.Thread(target=lambda made=made, to=to: [made.send(mail(str(n)), to) for n in range(count)])
                for made, to in [(first, "pat@example.net"), (second, "eve@example.net")]
            ]
            followed = {made: ([], [0]) for made in map(id, (first, second))}
            for sender in senders:
                sender.start()

            def follow(made):
                seen, cursor = followed[id(made)]
                page = made.ask("GET", f"/v1/events?after={cursor[0]}&limit=50&wait=1", key=key).json
                seen += [one["event_id"] for one in page["events"]]
                cursor[0] = page["next"]
                return len(seen) >= 2 * 4 * count

            for made in (first, second):
                wait_until(lambda made=made: follow(made), lambda made=made: f"{len(followed[id(made)][0])} events")
            for sender in senders:
                sender.join()
            one, other = (followed[id(made)][0] for made in (first, second))
            assert one == other
            assert len(set(one)) == len(one) == 2 * 4 * count
            store = Store(url)
            with store.read() as db:
                assert set(db.scalars(sa.select(schema.event.c.id))) == set(one)
            store.close()
            told = second.ask("GET", "/v1/messages?q=to:pat@example.net", key=key).json["messages"]
            assert told
            assert first.ask("GET", f"/v1/messages/{told[0]['id']}", key=key).status == 200
    finally:
        postgres.drop(name)
