import fcntl
import json
import logging
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.gate.serve import log
from delivcheck.gate.serve.log import MAX_LINE, Log


def written(form="text", level="debug", events=(), **options):
    """What a log writes to a pipe."""
    read, write = os.pipe()
    made = Log(form, level, fd=write, now=lambda: datetime(2026, 11, 23, 8, 0, tzinfo=UTC), **options)
    for event, fields in events:
        made(event, **fields)
    os.set_blocking(read, False)
    try:
        octets = os.read(read, 1 << 20)
    except BlockingIOError:
        octets = b""
    os.close(read)
    os.close(write)
    made.close()
    return octets.decode("ascii" if form == "never" else "utf-8")


def test_text_is_logfmt():
    fields = {
        "trace": "x1",
        "rules": ["spf/none", "dkim/none"],
        "ms": 1.23456,
        "ok": True,
        "reason": 'a "b" \\',
        "none": None,
        "e": "",
        "list": [],
        "mail_from": "",
        "count": 0,
    }
    line = written(events=[("message", fields)])
    assert line == (
        "2026-11-23T08:00:00.000+00:00 info message "
        'trace=x1 rules=[spf/none,dkim/none] ms=1.235 ok=true reason="a \\"b\\" \\\\" mail_from="" count=0\n'
    )


def test_json_is_one_object_a_line():
    line = written(
        "json", events=[("message", {"rcpt_to": [f"u{n}@example.org" for n in range(1000)], "size": 3, "subject": "é"})]
    )
    told = json.loads(line)
    assert told["rcpt_to"][-1] == "and 990 more"
    assert (told["size"], told["subject"], told["level"], told["event"]) == (3, "é", "info", "message")


@pytest.mark.parametrize(
    ("event", "fields", "level"),
    [
        ("message", {"bypass": ""}, "info"),
        ("message", {"bypass": "observe: refuse", "action": "send"}, "warning"),
        ("message", {"bypass": "", "action": "send"}, "info"),
        ("message", {"action": "refuse"}, "warning"),
        ("message", {"action": "defer"}, "warning"),
        ("message", {"action": "hold"}, "warning"),
        ("refused", {"at": "mail"}, "warning"),
        ("sent", {"what": "accepted"}, "info"),
        ("sent", {"what": "refused"}, "warning"),
        ("sent", {"what": "deferred"}, "warning"),
        ("held", {"what": "released"}, "info"),
        ("held", {"what": "expired"}, "warning"),
        ("dns", {"what": "stale"}, "warning"),
        ("dns", {"what": "lost"}, "warning"),
        ("dns", {"what": "back"}, "warning"),
        ("dns", {"what": "served"}, "debug"),
        ("worker", {"what": "reload"}, "info"),
        ("auth", {"ok": False}, "warning"),
        ("auth", {"ok": True}, "info"),
        ("connection", {"what": "open"}, "debug"),
        ("connection", {"what": "refused"}, "warning"),
        ("relay", {"what": "reused"}, "debug"),
        ("relay", {"what": "failed"}, "warning"),
        ("uncertain", {}, "warning"),
        ("fault", {}, "error"),
        ("something new", {}, "info"),
    ],
)
def test_levels_say_what_matters(event, fields, level):
    assert f" {level} {event}" in written(events=[(event, fields)])
    assert (written(level="error", events=[(event, fields)]) != "") == (level == "error")


@pytest.mark.attack(39, 68)
@given(st.text(), st.sampled_from(["text", "json"]))
def test_a_value_never_writes_a_line_of_its_own_nor_acts_on_a_terminal(value, form):
    line = written(form, events=[("message", {"helo": value, "rules": [value]})])
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    if form == "json":
        assert json.loads(line)["helo"].encode("utf-16", "surrogatepass")


@pytest.mark.attack(39, 68)
@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize(
    "value",
    [
        "a\nlevel=error x",
        "a\r\n",
        "\x1b[2J\x1b]0;x\x07",
        "\x9b31m",
        "\u202etxt.exe",
        "\u2028",
        "\x00",
        "\ud83d",
        "x\U000e0041",
        "\x7f",
    ],
)
def test_controls_and_invisible_characters_are_escaped(form, value):
    line = written(form, events=[("connection", {"reason": value})])
    assert line[:-1].isprintable()
    assert line.isascii()
    assert line.count("\n") == 1


@given(st.lists(st.text(max_size=3000), max_size=30), st.sampled_from(["text", "json"]))
def test_a_line_is_never_longer_than_a_pipe_takes_at_once(values, form):
    fields = {f"f{number}": value for number, value in enumerate(values)} | {"rules": values}
    line = written(form, events=[("message", fields)])
    assert 0 < len(line.encode()) <= MAX_LINE


def test_a_value_whose_text_cannot_be_had_costs_a_line_and_nothing_else():
    class Evil:
        def __str__(self):
            raise RuntimeError("no")

    lines = written(events=[("message", {"x": Evil()}), ("message", {"x": "y"})]).splitlines()
    assert [line.partition(" ")[2] for line in lines] == ["warning log dropped=1", "info message x=y"]


# --- a log that takes no more ----------------------------------------------------------------------------------------


def test_a_full_pipe_drops_lines_counts_them_and_says_so():
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    made = Log(fd=write)
    for _ in range(200):
        made("message", reason="x" * 400)  # returns, though nobody reads
    assert made.dropped > 150
    dropped = made.dropped
    assert os.get_blocking(write)  # stderr is shared: it stays as it was
    os.read(read, 1 << 20)
    made("message", reason="again")
    lines = os.read(read, 1 << 20).decode().splitlines()
    assert lines[0].endswith(f"warning log dropped={dropped}")
    assert lines[1].endswith("reason=again")
    assert made.dropped == 0
    made.close()
    made("message", reason="after the end")
    assert made.dropped == 1
    os.close(read)
    os.close(write)


def test_a_full_socket_drops_lines():
    near, far = socket.socketpair()
    with near, far:
        made = Log(fd=near.fileno())
        for _ in range(2000):
            made("message", reason="x" * 400)
        made.close()
        assert made.dropped > 0
        assert near.getblocking()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_drops_lines():
    full = os.open("/dev/full", os.O_WRONLY)
    made = Log(fd=full)
    made("message", reason="x")
    assert made.dropped == 1
    os.close(full)


@pytest.mark.parametrize("fd", [9999, -1])
def test_without_stderr_nothing_happens(fd):
    made = Log(fd=fd)
    made("message", reason="x")
    assert made.dropped == 1


def test_a_closed_pipe_is_no_end():
    read, write = os.pipe()
    os.close(read)
    made = Log(fd=write)
    made("message", reason="x")
    assert made.dropped == 1
    os.close(write)


# --- the journal of systemd ------------------------------------------------------------------------------------------


def test_the_journal_gets_a_level_it_understands_and_no_time():
    near, far = socket.socketpair()
    with near, far:
        found = os.fstat(near.fileno())
        made = Log(fd=near.fileno(), journal=f"{found.st_dev}:{found.st_ino}")
        made("fault", where="x")
        assert far.recv(4096) == b"<3>error fault where=x\n"
        other = Log(fd=near.fileno(), journal="1:2")
        other("fault", where="x")
        assert far.recv(4096).startswith(b"20")
        made.close()
        other.close()


# --- logging ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def taken_over():
    root, ours = logging.getLogger(), logging.getLogger("delivcheck")
    before = (root.handlers[:], ours.handlers[:], ours.propagate, logging.raiseExceptions)
    told = []
    log.take_over(lambda event, **fields: told.append((event, fields)))
    yield told
    root.handlers[:], ours.handlers[:], ours.propagate, logging.raiseExceptions = before


def test_what_modules_log_becomes_events_with_the_end_of_the_traceback(taken_over):
    try:
        raise ValueError("secret\nthing")
    except ValueError:
        logging.getLogger("delivcheck.gate").exception("it failed: %s", "x")
    logging.getLogger("asyncio").warning("slow")
    logging.getLogger("delivcheck").info("unimportant")
    logging.getLogger("delivcheck").error("%d", "not a number")
    (fault, fields), (warning, said), (_, broken) = taken_over
    assert (fault, fields["where"], fields["reason"]) == ("fault", "delivcheck.gate", "it failed: x")
    assert fields["traceback"][-2:] == ["ValueError: secret", "thing"]
    assert (warning, said) == ("log", {"where": "asyncio", "reason": "slow"})
    assert broken["reason"] == "a log record that cannot be written"


def test_several_watches_are_told():
    told = []
    watch = log.both(lambda event, **fields: told.append(("one", event)), lambda event, **fields: told.append(("two", fields)))
    watch("x", a=1)
    assert told == [("one", "x"), ("two", {"a": 1})]
