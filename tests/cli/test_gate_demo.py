"""`delivcheck gate --demo` shows a gate at work within moments, on this machine alone, and takes everything away again."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import dns.message
import dns.rcode
import pytest

from delivcheck.cli.showcase import history, mails, zone
from delivcheck.trace.ingest import ingest
from delivcheck.trace.records import Event, Message
from delivcheck.trace.store import Store

PATIENCE = 60.0  # seconds; a quiet machine needs three


@contextmanager
def demo(tmp_path):
    out = tmp_path / "out"
    with out.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "delivcheck", "gate", "--demo"], stdout=file, stderr=file)
    try:
        yield process, out
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE)


def wait(found, out):
    end = time.monotonic() + PATIENCE
    while not (result := found()):
        assert time.monotonic() < end, out.read_text()
        time.sleep(0.1)
    return result


def test_it_shows_mail_and_leaves_nothing(tmp_path):
    with demo(tmp_path) as (process, out):
        said = wait(lambda: re.search(r"Pages +(\S+)\n +Sign in with (\S+)", out.read_text()), out)
        folder = Path(re.search(r"--config (\S+)/delivcheck.toml", out.read_text())[1])
        request = urllib.request.Request(f"{said[1]}v1/messages", headers={"Authorization": f"Bearer {said[2]}"})

        def messages():
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return json.load(answer)["messages"]
            except OSError:
                return []

        first = {one["id"] for one in wait(messages, out)}
        assert first  # two days of them at once
        wait(lambda: {one["id"] for one in messages()} - first, out)  # and more come
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
        assert not folder.exists()
        assert "Traceback" not in out.read_text()


def test_a_configuration_beside_it_is_a_usage_error():
    done = subprocess.run(
        [sys.executable, "-m", "delivcheck", "gate", "--demo", "--config", "x.toml"], capture_output=True, check=False
    )
    assert done.returncode == 2


def test_its_history_can_be_kept(tmp_path):
    records = list(history.records(datetime.now(UTC)))
    store = Store(f"sqlite:///{tmp_path}/trace.sqlite")
    store.migrate()
    done = ingest(store, records)
    store.close()
    assert done.aside == ()
    assert done.messages == sum(isinstance(one, Message) for one in records) > 300
    assert done.events == sum(isinstance(one, Event) for one in records)


@pytest.mark.parametrize("make", [make for _, make in mails.KINDS])
def test_its_letters_say_their_stream_and_template(make):
    made = make(4711)
    assert made["X-Delivcheck-Stream"] in {"receipts", "resets", "statements", "news"}
    assert made["X-Delivcheck-Template"]


@pytest.mark.parametrize(
    ("name", "kind", "code", "count"),
    [
        ("example.com", "TXT", dns.rcode.NOERROR, 1),
        ("example.com", "AAAA", dns.rcode.NOERROR, 0),
        ("_domainkey.example.com", "TXT", dns.rcode.NOERROR, 0),  # an empty non-terminal
        ("nobody.example.com", "A", dns.rcode.NXDOMAIN, 0),
    ],
)
def test_its_dns_says_what_there_is_and_what_there_is_not(name, kind, code, count):
    response = zone.answer(dns.message.make_query(name, kind), zone.records("AAAA"))
    assert response.rcode() == code
    assert sum(len(one) for one in response.answer) == count
