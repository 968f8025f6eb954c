"""`delivcheck webhook` and `delivcheck postmaster`: the same registers as the Web Service's, by hand."""

import json

import pytest

from delivcheck.trace.model import Kind
from delivcheck.trace.store import Store
from delivcheck.trace.webhooks import deliveries
from tests.trace.webhooks.hearing import happened

CONFIG = """\
policy = "transactional"
[gate]
name = "gate.example.com"
state = "."
[[gate.listen]]
kind = "milter"
address = "127.0.0.1:0"
[gate.trace]
[gate.webhooks]
networks = ["127.0.0.0/8"]
key-file = "webhooks.key"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "delivcheck.toml").write_text(CONFIG)
    (tmp_path / "webhooks.key").write_text("ab" * 32)
    store = Store(f"sqlite:///{tmp_path / 'trace.sqlite'}")
    store.migrate()
    happened(store, Kind.ACCEPTED)
    store.close()
    return tmp_path


@pytest.fixture
def store(folder):
    opened = Store(f"sqlite:///{folder / 'trace.sqlite'}")
    yield opened
    opened.close()


def test_a_webhook_is_added_listed_rotated_disabled_and_removed(run, folder, store):
    where = ("--config", folder / "delivcheck.toml")
    added = run("webhook", "add", "https://app.example.com/hooks", "--event", "bounced", *where)
    assert added.code == 0, added.err
    name, secret = added.out.split("\n")[0], added.out.split("secret: ")[1].strip()
    assert secret.startswith("whsec_")
    assert secret[6:].encode() not in (folder / "trace.sqlite").read_bytes()
    listed = run("webhook", "list", *where)
    assert f"{name}  https://app.example.com/hooks  bounced  enabled  0 waiting, 0 dead" in listed.out
    assert run("webhook", "list", "-f", "json", *where).json["webhooks"][0]["kinds"] == ["bounced"]
    rotated = run("webhook", "rotate", name.lower(), *where)
    assert rotated.out.startswith("secret: whsec_")
    assert secret not in rotated.out
    assert run("webhook", "disable", name, *where).out == f"{name} disabled\n"
    assert "disabled" in run("webhook", "list", *where).out
    assert run("webhook", "enable", name, *where).code == 0
    assert run("webhook", "remove", name, *where).code == 0
    assert run("webhook", "remove", name, *where).code == 3
    assert run("webhook", "list", *where).out == "no webhooks\n"


def test_what_is_dead_is_listed_and_replayed(run, folder, store):
    where = ("--config", folder / "delivcheck.toml")
    name = run("webhook", "add", "https://app.example.com/hooks", *where).out.split("\n")[0]
    happened(store, Kind.BOUNCED)
    with store.write() as db:
        deliveries.spread(db, 0)
        db.execute(deliveries.d.update().values(state="dead", error="it answered 500"))
    dead = run("webhook", "dead", name, *where)
    assert "bounced of" in dead.out
    assert dead.out.endswith("1 dead\n")
    assert run("webhook", "replay", name, *where).code == 2
    assert run("webhook", "replay", name, "--all", *where).out == "1 to be told again\n"
    assert run("webhook", "dead", name, *where).out == "0 dead\n"


def test_a_ping_that_is_not_taken_is_exit_1(run, folder, store):
    where = ("--config", folder / "delivcheck.toml")
    name = run("webhook", "add", "http://127.0.0.1:1/", *where).out.split("\n")[0]
    tested = run("webhook", "test", name, *where)
    assert (tested.code, tested.out[:8]) == (1, "failed: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["https://10.0.0.1/"], "no public address"),
        (["https://app.example.com/", "--event", "bouncd"], "'bouncd' is none of accepted"),
    ],
)
def test_what_cannot_be_is_a_line(run, folder, arguments, said):
    done = run("webhook", "add", *arguments, "--config", folder / "delivcheck.toml")
    assert done.code == 2
    assert said in done.err


def test_a_key_that_is_missing_is_a_line(run, folder):
    (folder / "webhooks.key").unlink()
    done = run("webhook", "add", "https://app.example.com/", "--config", folder / "delivcheck.toml")
    assert done.code == 3
    assert "webhooks.key cannot be read" in done.err


def test_googles_numbers_are_imported(run, folder, tmp_path):
    (tmp_path / "day.json").write_text(
        json.dumps({"trafficStats": [{"name": "domains/example.com/trafficStats/20260102", "userReportedSpamRatio": 0.002}]})
    )
    done = run("postmaster", "import", tmp_path / "day.json", "--config", folder / "delivcheck.toml")
    assert done.out == "1 days of example.com, from 2026-01-02 to 2026-01-02\n"
    (tmp_path / "bad.csv").write_text("x")
    bad = run("postmaster", "import", tmp_path / "bad.csv", "--config", folder / "delivcheck.toml")
    assert bad.code == 3
    assert 'columns "Date"' in bad.err
