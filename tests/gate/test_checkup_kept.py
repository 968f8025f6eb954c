"""`delivcheck gate --check` of what is kept: the trace's store, its keys, held mail, and where reports come from."""

import asyncio
import sqlite3

import pytest
import sqlalchemy as sa

from delivcheck.gate.held import HeldStore
from delivcheck.gate.ports import unwatched
from delivcheck.gate.serve import building, checkup
from delivcheck.gate.serve.checkup import State, kept
from delivcheck.gate.serve.worker import CannotServe
from delivcheck.gate.settings import Hold, Secret
from delivcheck.trace import migrations, tokens
from delivcheck.trace.store import Store
from tests.gate.test_checkup import DNS, MILTER, here, loaded, looked, worst
from tests.gate.test_held import hold
from tests.servers import free_port, loopback

__all__ = ["here"]  # a fixture

TRACE = "[gate.trace]\n"
BOUNCES = '[gate.trace]\n[gate.bounces]\ndomain = "bounces.example.com"\n'
PATHS = {"bounces.example.com TXT": "v=spf1 ip4:192.0.2.25 -all"}


def found(folder, more, what="trace", dns=DNS):
    one = worst(looked(loaded(folder, MILTER + more), dns), what)
    return one.state, one.text


# --- the store -------------------------------------------------------------------------------------------------------


def test_a_store_that_is_not_there_yet_is_made_by_the_gate_and_not_by_the_check(here):
    state, text = found(here, TRACE)
    assert (state, text) == (State.OK, f"{here}/state/trace.sqlite: is made at the start")
    assert list((here / "state").iterdir()) == []


def test_a_store_of_this_version_is_well_and_an_empty_one_is_filled_at_the_start(here):
    path = here / "state" / "trace.sqlite"
    path.touch()
    assert "empty; its tables are made at the start" in found(here, TRACE)[1]
    store = Store(f"sqlite:///{path}")
    store.migrate()
    store.close()
    assert found(here, TRACE) == (State.OK, str(path))


def test_a_store_of_an_earlier_version_is_brought_to_this_one_and_a_later_one_is_not_ours_to_write(here, monkeypatch):
    path = here / "state" / "trace.sqlite"
    store = Store(f"sqlite:///{path}")
    store.migrate()
    monkeypatch.setattr(migrations, "HEAD", "9999")
    assert found(here, TRACE) == (State.OK, f"{path}: its tables are brought from 0001 to 9999 at the start")
    with store.write() as db:
        db.execute(sa.text(f"UPDATE {migrations.TABLE} SET version_num = 'f00d'"))
    store.close()
    state, text = found(here, TRACE)
    assert state is State.PROBLEM
    assert "its tables are of a later version of delivcheck (f00d): update delivcheck; what happens to mail waits" in text


def test_the_migrations_that_are_known_are_those_that_alembic_finds():
    assert migrations.HEAD in migrations.known()
    assert len(migrations.known()) == len(list((migrations.FOLDER / "versions").glob("[0-9]*.py")))


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_database_of_somebody_elses_is_told_of_and_stays_as_it_is(here, mode):
    path = here / "state" / "trace.sqlite"
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA journal_mode = {mode}")
        db.execute("CREATE TABLE orders (id)")
    db.close()
    before = path.read_bytes()
    state, text = found(here, TRACE)
    assert state is State.PROBLEM
    assert "there are tables that are not delivcheck's (orders)" in text
    assert path.read_bytes() == before
    assert checkup.exit_code(looked(loaded(here, MILTER + TRACE))) == 1


def test_a_file_that_is_no_database_and_a_server_that_is_not_there_are_one_line(here):
    (here / "state" / "trace.sqlite").write_text("rubbish" * 100)
    assert found(here, TRACE)[0] is State.PROBLEM
    port = free_port(loopback())
    state, text = found(here, f'[gate.trace]\nurl = "postgresql://nobody@{loopback()}:{port}/trace"\n')
    assert state is State.PROBLEM
    assert "\n" not in text


def test_a_database_of_postgresql_is_looked_at_without_a_change(here, postgres):
    url = postgres.url(postgres.create())
    assert ":" not in url.partition("://")[2].rpartition("@")[0], "no password"
    more = f'[gate.trace]\nurl = "{url}"\n'
    assert found(here, more)[0] is State.OK
    store = Store(url)
    with store.read() as db:
        assert migrations.version(db) is None, "the check made nothing"
    store.migrate()
    store.close()
    assert "empty" not in found(here, more)[1]


def test_a_password_that_cannot_be_had_keeps_the_gate_from_starting(here):
    more = '[gate.trace]\nurl = "postgresql://a@db.example/t"\npassword-env = "NOT_SET"\n'
    assert found(here, more) == (State.BROKEN, "the database's password: the environment variable NOT_SET is not set")


def test_what_the_extra_brings_is_named_where_it_is_missing(here, monkeypatch):
    monkeypatch.setattr(kept, "find_spec", lambda name: None if name in {"fastapi", "jinja2"} else object())
    state, text = found(here, TRACE)
    assert (state, text) == (State.BROKEN, "fastapi: not installed: pip install 'delivcheck[gate]'")
    monkeypatch.setattr(kept, "GATE", ())
    http = f'[[gate.listen]]\nkind = "http"\naddress = "{loopback()}:{free_port(loopback())}"\n'
    state, text = found(here, TRACE + http, "pages")
    assert state is State.WARNING
    assert text.endswith("pip install 'delivcheck[web]'")


# --- keys ------------------------------------------------------------------------------------------------------------


def test_token_keys_are_made_by_the_gate_and_must_be_keys_that_nobody_else_reads(here):
    path = here / "state" / tokens.FILE
    assert found(here, TRACE, "token keys") == (State.OK, f"{path}: made at the first start")
    assert not path.exists()
    tokens.load(path, make=True)
    assert found(here, TRACE, "token keys") == (State.OK, str(path))
    path.chmod(0o640)
    assert found(here, TRACE, "token keys")[0] is State.WARNING
    path.write_text("rubbish")
    state, text = found(here, TRACE, "token keys")
    assert state is State.BROKEN
    assert "128 hexadecimal digits" in text


HOLD = '[gate.hold]\nkey-file = "held.keys"\n'


@pytest.mark.parametrize(
    ("keys", "says"), [(None, "No such file or directory"), ("", "gives nothing"), ("hunter2", "no file of keys")]
)
def test_a_key_of_held_mail_that_is_none_keeps_the_gate_from_starting_in_one_line(here, keys, says):
    if keys is not None:
        (here / "held.keys").write_text(keys)
    state, text = found(here, HOLD, "key of held mail")
    assert state is State.BROKEN
    assert says in text
    with pytest.raises(CannotServe, match=f"^the key of held mail: .*{says}") as error:
        asyncio.run(building.build(loaded(here, MILTER + HOLD), unwatched, None))
    assert "\n" not in str(error.value)
    assert "hunter2" not in f"{error.value}{text}"


def test_held_mail_that_the_key_does_not_open_is_told_of(here):
    (here / "held.keys").write_text("ab" * 32)
    store = HeldStore(here / "state", Hold(key=Secret(file=here / "held.keys")))
    entry = hold(store)
    assert found(here, HOLD, "key of held mail")[0] is State.OK
    (here / "held.keys").write_text("cd" * 32)
    state, text = found(here, HOLD, "key of held mail")
    assert state is State.PROBLEM
    assert f"1 of 1 held messages are not opened with it, {entry.trace} among them" in text


# --- what comes back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("records", "state", "says"),
    [
        ({"bounces.example.com MX": "10 mx.example.com."}, State.OK, "mx.example.com"),
        ({"bounces.example.com MX": "0 ."}, State.PROBLEM, "null MX"),
        ({"bounces.example.com A": "192.0.2.1"}, State.WARNING, "comes to its own address"),
        ({}, State.PROBLEM, "nothing can come back"),
        ({"bounces.example.com MX": "TIMEOUT"}, State.PROBLEM, "time"),
    ],
    ids=["an MX", "a null MX", "an address", "nothing", "no answer"],
)
def test_the_domain_of_return_paths_must_take_mail(here, records, state, says):
    told, text = found(here, BOUNCES, "MX of bounces.example.com", {**DNS, **PATHS, **records})
    assert (told, says in text) == (state, True), text


def test_spf_is_looked_at_where_return_paths_are(here):
    assert found(here, BOUNCES, "SPF of bounces.example.com", {**DNS, **PATHS})[0] is State.OK
    assert found(here, BOUNCES, "SPF of bounces.example.com")[0] is State.PROBLEM


def test_a_maildir_a_log_and_the_secrets_of_reports_are_looked_at(here):
    more = (
        BOUNCES
        + 'maildir = "Maildir"\npostfix-log = "mail.log"\n[gate.reports.pm]\nprovider = "postmark"\nsecret-file = "pm"\n'
    )
    more += f'[[gate.listen]]\nkind = "http"\naddress = "{loopback()}:{free_port(loopback())}"\n'
    for what in ("Maildir", "Postfix log", "reports pm"):
        assert found(here, more, what)[0] is State.PROBLEM
    for name in ("new", "cur"):
        (here / "Maildir" / name).mkdir(parents=True)
    (here / "mail.log").touch()
    (here / "pm").write_text("s3cret")
    for what in ("Maildir", "Postfix log", "reports pm"):
        assert found(here, more, what)[0] is State.OK
