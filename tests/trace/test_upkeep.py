"""The store stays as small and as young as it shall be, forgets whom it must, and can be put back."""

import sqlite3
import subprocess
import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from delivcheck.trace import audit, messages, schema, stats, upkeep
from delivcheck.trace.model import Kind
from delivcheck.trace.records import Result
from delivcheck.trace.store import Store
from delivcheck.trace.upkeep import BackupError
from tests.trace.told import ADA, BOB, NOON, event, message, sent, tell

DAY = 86_400_000
NOW = datetime.fromtimestamp(NOON / 1000, UTC)


def still(_):
    """Time passes quickly."""


def count(store, table):
    with store.read() as db:
        return db.scalar(sa.select(sa.func.count()).select_from(table))


@pytest.fixture
def aged(store):
    """A message for each of the last ten days."""
    records = []
    for days in range(10):
        one = message(days, NOON - days * DAY, headers=b"From: x\r\n\r\n", body=b"hi " * 100, links=("https://example.com",))
        records += sent(one)
    return store, tell(store, records)


# --- retention -------------------------------------------------------------------------------------------------------


def test_what_is_too_old_goes_with_all_that_hangs_of_it_and_figures_stay(aged):
    store, tenant = aged
    period = stats.Period.of(NOON - 20 * DAY, NOON + DAY)
    with store.read() as db:
        before = stats.totals(db, tenant, period)
    assert upkeep.expire(store, NOW, keep_days=4.5, sleep=still) == upkeep.Kept(aged=5)
    assert [count(store, table) for table in (schema.message, schema.recipient, schema.tag, schema.link)] == [5, 5, 5, 5]
    assert count(store, schema.event) == 15
    with store.read() as db:
        assert stats.totals(db, tenant, period) == before
        assert min(one.received for one in messages.latest(db, tenant)) == NOON - 4 * DAY
    assert upkeep.expire(store, NOW, keep_days=4.5, sleep=still) == upkeep.Kept()


def test_headers_and_bodies_may_go_before_the_rest(aged):
    store, tenant = aged
    assert upkeep.expire(store, NOW, keep_content_days=2.5, sleep=still) == upkeep.Kept(emptied=7)
    assert upkeep.expire(store, NOW, keep_content_days=2.5, sleep=still) == upkeep.Kept()
    with store.read() as db:
        kept = [messages.get(db, tenant, one.trace).has_body for one in messages.latest(db, tenant)]
    assert kept == [True] * 3 + [False] * 7
    # A day later the next one.
    assert upkeep.expire(store, NOW + timedelta(days=1), keep_content_days=2.5, sleep=still) == upkeep.Kept(emptied=1)


def test_nothing_goes_where_nobody_says_so(aged):
    store, _ = aged
    assert upkeep.expire(store, NOW, keep_days=0, keep_content_days=0) == upkeep.Kept()
    assert upkeep.expire(store, NOW) == upkeep.Kept()
    assert upkeep.expire(store, NOW, keep_days=10**9) == upkeep.Kept()


def test_a_store_that_is_too_large_loses_its_oldest_messages(store):
    records = [record for number in range(300) for record in sent(message(number, NOON + number, body=b"x" * 10_000))]
    tell(store, records)
    if not store.sqlite:
        with store.write() as db:
            db.execute(sa.text("ANALYZE"))
    size = upkeep.octets(store)
    assert size > 300 * (10_000 if store.sqlite else 150)  # PostgreSQL compresses
    done = upkeep.expire(store, NOW, max_octets=size // 2, sleep=still)
    assert 0 < done.crowded < 300
    with store.read() as db:
        assert min(db.scalars(sa.select(schema.message.c.received))) == NOON + done.crowded
    if store.sqlite:
        assert upkeep.octets(store) <= size // 2
    assert upkeep.expire(store, NOW, max_octets=10 * size, sleep=still) == upkeep.Kept()


def test_writers_have_their_turn_between_small_transactions(aged, monkeypatch):
    """A pause, in which another writer gets in at once, lies between two transactions; one of a large message is cut up, too."""
    store, _ = aged
    monkeypatch.setattr("delivcheck.trace.upkeep.retention.MAX_MESSAGES", 2)
    monkeypatch.setattr("delivcheck.trace.upkeep.retention.MAX_EVENTS", 3)
    large = message(50, NOON - 30 * DAY, to=[f"p{number}@example.org" for number in range(10)])
    tell(store, sent(large))
    turns = []

    def other(seconds):
        assert seconds > 0
        turns.append(tell(store, sent(message(1_000 + len(turns), NOON))))

    assert upkeep.expire(store, NOW, keep_days=0.5, sleep=other).aged == 10
    assert len(turns) > 10
    assert count(store, schema.message) == 1 + len(turns)


# --- erasure ---------------------------------------------------------------------------------------------------------

PERSONAL = ("bob", "Bob", "BOB", "secret")


@pytest.fixture
def known(store):
    """Bob is all over the place."""
    alone = message(
        0, to=("Bob@Example.org",), subject="secret for Bob", mail_from="b+bob=example.org@bounce.example.com", headers=b"To: bob\r\n",
        body=b"secret", links=("https://example.com/?u=bob",), message_id="<bob.1@example.com>", verdict="fail", reason="bob: no",
        results=(Result("to/bad", "fail", "error", ("bob@example.org is odd",)),),
    )  # fmt: skip
    shared = message(1, NOON + 1, to=(ADA, BOB), subject="secret for all")
    records = [*sent(alone), *sent(shared)]
    records += [
        event(
            alone,
            Kind.BOUNCED,
            "Bob@Example.org",
            50,
            text="<bob@example.org>: secret",
            suppress={"reason": "bounce", "stream": ""},
        ),
        event(shared, Kind.DEFERRED, ADA, 60, reply="450 after BOB@example.org"),
    ]
    tenant = tell(store, [*records, *sent(message(2, NOON + 2, to=(ADA,), subject="for Ada"))])
    with store.write() as db:
        audit.note(db, tenant, "cli:root", "suppression.add", BOB, {"note": "Bob called"})
        audit.note(db, tenant, "cli:root", "key.add", "shop")
        here = sa.and_(schema.suppression.c.address == BOB, schema.suppression.c.tenant == tenant)
        if db.execute(schema.suppression.update().where(here).values(note="Bob called")).rowcount == 0:
            db.execute(
                schema.suppression.insert().values(tenant=tenant, address=BOB, reason="bounce", note="Bob called", since=1)
            )
    return store, tenant


def everything(store):
    """All that stands in the tables."""
    with store.read() as db:
        return {
            table.name: repr([tuple(row) for row in db.execute(sa.select(table))]) for table in schema.metadata.sorted_tables
        }


def test_an_erased_person_is_nowhere_but_on_the_suppression_list(known):
    store, tenant = known
    period = stats.Period.of(NOON, NOON + DAY)
    with store.read() as db:
        before = stats.totals(db, tenant, period)
    done = upkeep.erase(store, tenant, "BOB@example.ORG", who="cli:root", reference="ticket 7")
    assert (done.messages, done.suppressions, done.notes, done.nothing) == (2, 1, 1, False)
    left = everything(store)
    listed = left.pop("suppression")
    assert not [name for name, text in left.items() if any(word in text for word in PERSONAL)]
    assert BOB in listed
    assert "called" not in listed
    with store.read() as db:
        assert stats.totals(db, tenant, period) == before
        (note,) = audit.read(db, tenant, action="erase")
        assert (note.object, note.who, note.detail["messages"]) == ("ticket 7", "cli:root", 2)
        kept = messages.get(db, tenant, message(1, NOON + 1).trace)
    assert (kept.recipients[0].address, kept.recipients[0].state) == (ADA, "deferred")
    assert kept.recipients[1].address.endswith("@invalid")
    assert (kept.stream, kept.verdict, kept.subject, kept.mail_from) == ("receipts", "pass", "", "@example.com")


def test_others_stay_as_they_are(known):
    store, tenant = known
    upkeep.erase(store, tenant, BOB, who="cli:root")
    with store.read() as db:
        other = messages.get(db, tenant, message(2, NOON + 2).trace)
    assert (other.subject, other.recipients[0].address, other.events[2].detail["next_hop"]) == ("for Ada", ADA, "mx")


def test_suppressions_go_where_somebody_asks_for_it(known):
    store, tenant = known
    assert upkeep.erase(store, tenant, BOB, who="cli:root", suppressions=True).suppressions == 1
    assert count(store, schema.suppression) == 0


def test_erasing_again_does_no_harm_and_finds_only_what_must_stay(known):
    store, tenant = known
    upkeep.erase(store, tenant, BOB, who="cli:root")
    again = upkeep.erase(store, tenant, BOB, who="cli:root")
    assert (again.messages, again.suppressions, again.notes) == (0, 1, 0)
    assert upkeep.erase(store, tenant, "nobody@example.org", who="cli:root").nothing


@pytest.mark.parametrize("address", ["", "  "])
def test_nobody_in_particular_cannot_be_erased(known, address):
    store, tenant = known
    before = everything(store)
    with pytest.raises(ValueError, match="no address"):
        upkeep.erase(store, tenant, address, who="cli:root")
    assert everything(store) == before


def test_another_tenants_mail_to_the_same_person_stays(known):
    store, tenant = known
    other = tell(store, sent(message(9, NOON, to=(BOB,), tenant="other")), "other")
    upkeep.erase(store, tenant, BOB, who="cli:root")
    with store.read() as db:
        assert messages.latest(db, other)[0].to == ((BOB, "sent"),)


def test_what_is_erased_stands_in_no_page_of_the_file(sqlite_store, tmp_path):
    name = b"zebulon.unmistakable"
    tenant = tell(sqlite_store, sent(message(0, to=(f"{name.decode()}@example.org",), body=b"for " + name)))
    upkeep.erase(sqlite_store, tenant, f"{name.decode()}@example.org", who="cli:root")
    sqlite_store.close()
    assert not [file for file in tmp_path.glob("trace.sqlite*") if name in file.read_bytes()]


# --- backup ----------------------------------------------------------------------------------------------------------


def test_what_is_backed_up_comes_back(aged, tmp_path):
    store, tenant = aged
    file = tmp_path / "backup"
    before = everything(store)
    made = upkeep.backup(store, file)
    assert made.octets == file.stat().st_size > 0
    assert file.stat().st_mode & 0o777 == 0o600
    tell(store, sent(message(99, NOON + 99)))
    upkeep.expire(store, NOW, keep_days=3, sleep=still)
    upkeep.restore(store, file, who="cli:root")
    after = everything(store)
    assert "restore" in after.pop("audit")
    before.pop("audit")
    assert after == before
    tell(store, sent(message(99, NOON + 99)))  # and it goes on
    with store.read() as db:
        assert messages.latest(db, tenant)[0].subject == "Receipt 99"
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


def test_a_backup_is_one_state_while_others_write(sqlite_store, tmp_path):
    tenant = tell(sqlite_store, [record for number in range(50) for record in sent(message(number))])
    stop, begun, turns = threading.Event(), threading.Event(), []

    def writer():
        while not stop.is_set():
            turns.append(tell(sqlite_store, sent(message(1_000 + len(turns), NOON + 1))))
            begun.set()

    thread = threading.Thread(target=writer)
    thread.start()
    try:
        begun.wait(10)
        upkeep.backup(sqlite_store, tmp_path / "backup")
    finally:
        stop.set()
        thread.join()
    copy = Store(f"sqlite:///{tmp_path / 'backup'}")
    with copy.read() as db:
        per = db.execute(sa.select(sa.func.count()).select_from(schema.event).group_by(schema.event.c.message)).scalars().all()
        assert set(per) == {3}
        assert len(messages.search(db, tenant, limit=500).rows) == len(per) > 50
    copy.close()


def test_a_backup_writes_over_nothing(aged, tmp_path):
    store, _ = aged
    file = tmp_path / "precious"
    file.write_text("mine")
    with pytest.raises(BackupError, match="is there already"):
        upkeep.backup(store, file)
    with pytest.raises(BackupError, match="No such file"):
        upkeep.backup(store, tmp_path / "gone" / "backup")
    assert file.read_text() == "mine"


def test_what_is_no_backup_is_not_restored(aged, tmp_path):
    store, _ = aged
    before = everything(store)
    foreign = tmp_path / "browser.sqlite"
    with sqlite3.connect(foreign) as db:
        db.execute("CREATE TABLE history (url TEXT)")
    db.close()
    damaged = tmp_path / "damaged"
    upkeep.backup(store, damaged)
    octets = bytearray(damaged.read_bytes())
    octets[5_000 : len(octets) // 2] = bytes(len(octets) // 2 - 5_000)
    damaged.write_bytes(octets)
    text = tmp_path / "text"
    text.write_text("hello")
    for file in (foreign, damaged, text, tmp_path / "gone", tmp_path):
        with pytest.raises(BackupError) as caught:
            upkeep.restore(store, file, who="cli:root")
        assert "\n" not in str(caught.value)
    assert everything(store) == before


def test_a_restore_does_not_wait_for_who_has_the_tables_open(postgres_store, tmp_path):
    tenant = tell(postgres_store, sent(message(0)))
    upkeep.backup(postgres_store, tmp_path / "backup")
    other = Store(postgres_store.url.render_as_string())
    with other.read() as db:
        messages.latest(db, tenant)
        with pytest.raises(BackupError, match="1 others have the trace open"):
            upkeep.restore(postgres_store, tmp_path / "backup", who="cli:root")
    other.close()
    with postgres_store.read() as db:
        assert len(messages.latest(db, tenant)) == 1


def test_a_trace_is_restored_to_a_place_where_none_was(sqlite_store, tmp_path):
    tenant = tell(sqlite_store, sent(message(0)))
    upkeep.backup(sqlite_store, tmp_path / "backup")
    new = Store(f"sqlite:///{tmp_path / 'new.sqlite'}")
    upkeep.restore(new, tmp_path / "backup", who="cli:root")
    with new.read() as db:
        assert len(messages.latest(db, tenant)) == 1
    new.close()
    assert (tmp_path / "new.sqlite").stat().st_mode & 0o777 == 0o600


def test_the_password_goes_to_nobodys_command_line(postgres_store, tmp_path, monkeypatch):
    seen = []
    real = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: (seen.append((a, k)), real(*a, **k))[1])
    store = Store(postgres_store.url.set(password="hunter2").render_as_string(hide_password=False))
    upkeep.backup(store, tmp_path / "backup")
    store.close()
    (((command,), keywords),) = seen
    assert not any("hunter2" in word for word in command)
    assert keywords["env"]["PGPASSWORD"] == "hunter2"


def test_without_postgresqls_programs_it_says_what_is_missing(postgres_store, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupError, match="pg_dump is not installed"):
        upkeep.backup(postgres_store, tmp_path / "backup")
