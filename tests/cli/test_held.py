"""`delivcheck held`: what is held is shown safely, and goes where a person sends it: out, judged again, or away."""

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from delivcheck.gate.held import HeldStore
from delivcheck.gate.model import Action, Decision, Outcome
from delivcheck.gate.reply import Reply
from delivcheck.gate.settings import Hold
from tests.gate.next_hop import NextHop
from tests.gate.test_held import OCTETS, RECIPIENTS, SENDER, incoming

CONFIG = """\
policy = "policy.toml"
nameservers = ["127.0.0.1:9"]

[streams.news]
class = "bulk"

[gate]
name = "gate.example.com"
state = "state"

[gate.hold]
keep-days = 7

[[gate.listen]]
name = "submission"
kind = "smtp"
address = "127.0.0.1:2525"
trusted = ["127.0.0.1"]

[[gate.next-hop]]
name = "hop"
address = "{address}"
"""
NOTHING = 'extends = "bulk"\n[rules]\n"*" = "off"\n'
STRICT = 'extends = "bulk"\n'
WHY = "dkim/no-signature \x1b[2Jno signature"


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


@pytest.fixture
def store(state):
    return HeldStore(state, Hold())


@pytest.fixture
def configured(tmp_path, state):
    """Write the configuration of a gate."""

    def write(policy=NOTHING, address="127.0.0.1:9"):
        (tmp_path / "policy.toml").write_text(policy)
        (tmp_path / "delivcheck.toml").write_text(CONFIG.format(address=address))

    write()
    return write


def hold(store, octets=OCTETS, sender=SENDER, **more):
    decision = Decision(Action.HOLD, Reply(250, "2.0.0", "held"), ("dkim/no-signature",), WHY)
    return asyncio.run(store.keep(incoming(octets, **more), Outcome(decision, b""), sender=sender, recipients=RECIPIENTS)).trace


@contextmanager
def next_hop(**options):
    """A next hop in a thread of its own."""
    hop, loop, up = NextHop(**options), asyncio.new_event_loop(), threading.Event()

    def work():
        asyncio.set_event_loop(loop)
        loop.run_until_complete(hop.start())
        up.set()
        loop.run_forever()
        loop.run_until_complete(hop.stop())
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    up.wait(5)
    try:
        yield hop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


# --- looking ---------------------------------------------------------------------------------------------------------


def test_nothing_held_is_an_empty_list(run, configured):
    assert run("held", "list").out == "0 messages held, 0 octets\n"


@pytest.mark.attack(68)
def test_the_list_names_each_message_on_one_safe_line(run, configured, store):
    first = hold(store)
    second = hold(store, sender=replace(SENDER, address="a\x1b[31m\r\nb@example.com"))
    ran = run("held", "list")
    lines = ran.out.splitlines()
    assert ran.code == 0
    assert [line.split()[0] for line in lines] == [first, second, "2"]
    assert "<ada@example.com> to <bob@example.org> and 1 more" in lines[0]
    assert "\x1b" not in ran.out
    assert "2 messages held" in lines[-1]


def test_the_list_as_json_has_everything_but_the_message(run, configured, store):
    trace = hold(store)
    (one,) = run("held", "list", "-f", "json").json["held"]
    assert (one["trace"], one["recipients"][1]["address"]) == (trace, "eve@example.net")
    assert one["credential"]["name"] == "app"


@pytest.mark.attack(68)
@pytest.mark.parametrize(
    ("header", "subject"),
    [
        (b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?q?_aus_K=C3=B6ln?=\r\n", "Grüße aus Köln"),
        ("Subject: 注文".encode() + b"\r\n", "注文"),
        (b"Subject: =?utf-8?b?G1syShs=?= x\x1b[2J\r\n", "␛[2J␛ x␛[2J"),
        (b"Subject: =?utf-8?q?a=0D=0A01ARZ3NDEKTSV4RRFFQ69G5FAV_b?=\r\n", "a␍␊01ARZ3NDEKTSV4RRFFQ69G5FAV b"),
        (b"Subject: " + b"n" * 51 + b"\r\n", "n" * 47 + "..."),
        (b"Subject: " + "注".encode() * 26 + b"\r\n", "注" * 23 + "..."),
        (b"Subject: a" + "\u0301".encode() * 30_000 + b"\r\n", "a" + "\u0301" * 199 + "..."),
        (b"Subject: " + b"n" * 50 + b"\r\n", "n" * 50),
        (b"Subject:\r\n", "(empty subject)"),
        (b"From: a@example.com\r\n", "(no subject)"),
        (b"SUBJECT: one\r\nSubject: two\r\n", "one"),
        (b"X: " + b"x" * 70_000 + b"\r\nSubject: late\r\n", "(no subject)"),
        (b"Subject: caf\xe9\r\n", "café"),
    ],
)
def test_the_subject_is_read_as_people_read_it_safe_and_in_one_line(run, configured, store, header, subject):
    trace = hold(store, header + b"\r\nx\r\n")
    [line, _] = run("held", "list").out.splitlines()
    assert f" octets  {subject}  dkim/no-signature" in line
    shown = run("held", "show", trace).out
    assert f"subject:    {subject.removesuffix('...')}" in shown
    one = run("held", "list", "-f", "json").json["held"][0]
    assert one["subject"].startswith(subject.removesuffix("..."))


def test_show_names_the_file_and_a_message_that_is_gone_is_said(run, configured, store, tmp_path):
    trace = hold(store)
    file = run("held", "show", trace, "-f", "json").json["file"]
    assert (tmp_path / file).read_bytes() == OCTETS
    assert f"file:       {file} (--octets shows it, --raw writes it out)\n" in run("held", "show", trace).out
    (tmp_path / file).unlink()
    assert "(unreadable: not held, or no longer)" in run("held", "list").out


def test_a_damaged_entry_is_listed_and_can_be_discarded(run, configured, store):
    trace = hold(store)
    (store.folder / f"{trace}.json").write_text('{"trace":')
    assert f"{trace}  damaged: " in run("held", "list").out
    assert run("held", "list", "-f", "json").json["held"][0]["reason"]
    assert run("held", "discard", trace).code == 0
    assert run("held", "list").out.startswith("0 messages")


@pytest.mark.attack(68)
def test_show_says_why_and_prints_the_message_so_that_the_terminal_obeys_nothing(run, configured, store):
    trace = hold(store, b"Subject: \x1b]0;pwned\x07\r\n\r\nbody \xff\r\nlast\r\n")
    plain = run("held", "show", trace.lower())
    assert plain.code == 0
    assert f"trace:      {trace}\n" in plain.out
    assert "to:         <eve@example.net>\n" in plain.out
    assert "user app" in plain.out
    assert "reason:     dkim/no-signature" in plain.out
    assert "subject:    ␛]0;pwned␇\n" in plain.out
    assert "body" not in plain.out
    whole = run("held", "show", trace, "--octets")
    assert "body <FF>\nlast\n" in whole.out
    assert not set(whole.out) & {"\x1b", "\x07", "\r"}


def test_raw_is_the_message_to_the_octet(configured, store, process):
    octets = b"Subject: lunch\r\n\r\nat noon\r\n.\r\n"
    ran = process("held", "show", hold(store, octets), "--raw")
    assert ran.out.encode() == octets


def test_show_as_json_may_have_the_octets(run, configured, store):
    trace = hold(store)
    assert run("held", "show", trace, "-f", "json", "--octets").json["octets"].encode("latin-1") == OCTETS
    assert "octets" not in run("held", "show", trace, "-f", "json").json


@pytest.mark.attack(67)
@pytest.mark.parametrize("name", ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "../../../etc/passwd", "..", "x\x1b[31m"])
@pytest.mark.parametrize("command", ["show", "release", "discard"])
def test_what_is_not_held_is_a_line_and_exit_3(run, configured, command, name):
    ran = run("held", command, name)
    assert ran.code == 3
    assert len(ran.err.splitlines()) == 1
    assert "\x1b" not in ran.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("list",), "name the state folder with --state"),
        (("release", "--all"), "without [gate]"),
        (("release",), "either TRACE... or --all"),
        (("show", "X", "--raw", "--octets"), "--raw is the message and nothing else"),
        (("discard",), "missing argument"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(run, arguments, complaint):
    ran = run("held", *arguments)
    assert ran.code == 2
    assert complaint in ran.err


def test_without_a_configuration_the_folder_can_be_named(run, tmp_path):
    trace = hold(HeldStore(tmp_path / "elsewhere", Hold()))
    assert run("held", "list", "--state", "elsewhere").out.startswith(trace)


# --- ending ----------------------------------------------------------------------------------------------------------


def test_what_passes_now_is_released_to_the_octet(run, configured, store):
    octets = b"Received: by app.example.com; Mon, 23 Nov 2026 12:00:00 +0000\r\nSubject: lunch\r\n\r\nat noon\r\n.\r\n"
    with next_hop() as hop:
        configured(address=f"{hop.host}:{hop.port}")
        trace = hold(store, octets)
        ran = run("held", "release", trace.lower())
    assert (ran.code, ran.out) == (0, f"{trace} released to 2 of 2 recipients\n")
    (message,) = hop.messages
    assert message.octets.endswith(octets)
    assert b"bob@example.org" in message.rcpt_to[0]
    assert store.entries() == []


def test_what_fails_again_stays_held(run, configured, store):
    with next_hop() as hop:
        configured(STRICT, address=f"{hop.host}:{hop.port}")
        trace = hold(store, b"From: a@example.com\r\nFrom: b@example.com\r\n\r\nx\r\n")
        ran = run("held", "release", "--all")
    assert ran.code == 1
    assert ran.out.startswith(f"{trace} stays held: ")
    assert hop.messages == []
    assert len(store.entries()) == 1


def test_releasing_everything_where_nothing_is_held_is_done_and_says_so(run, configured, state):
    ran = run("held", "release", "--all")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"nothing is held in {state.relative_to(state.parent) / 'held'}\n"


def test_a_recipient_that_is_refused_stays_held(run, configured, store):
    with next_hop(says={"RCPT": ["250 ok", "550 5.1.1 no\x1b[31m such user"]}) as hop:
        configured(address=f"{hop.host}:{hop.port}")
        trace = hold(store)
        ran = run("held", "release", trace)
    assert ran.code == 1
    assert ran.out.startswith(f"{trace} released to 1 of 2 recipients\n  <eve@example.net> stays held: 550 5.1.1 no")
    assert "\x1b" not in ran.out
    (entry,) = store.entries()
    assert [one.address for one in entry.recipients] == ["eve@example.net"]


def test_a_journal_that_cannot_be_written_is_a_line(run, configured, store, state):
    trace = hold(store)
    (state / "journal.sqlite").write_bytes(b"x" * 4_096)
    ran = run("held", "release", trace)
    assert ran.code == 3
    assert "not a database" in ran.err
    assert len(store.entries()) == 1


def test_expire_takes_what_is_older_than_the_configuration_says(run, configured, store):
    old, young = hold(store), hold(store)
    entry = store.entry(old)
    with store.claimed(old):
        store.narrow(replace(entry, held=datetime.now(UTC) - timedelta(days=8)), entry.recipients, "")
    ran = run("held", "expire")
    assert ran.out == f"{old} expired\n"
    assert "expired" in ran.err, "the log has it, too"
    assert old in ran.err
    assert [one.trace for one in store.entries()] == [young]


def test_discard_takes_those_that_are_named(run, configured, store):
    one, other, third = hold(store), hold(store), hold(store)
    ran = run("held", "discard", one, "01ARZ3NDEKTSV4RRFFQ69G5FAV", third)
    assert ran.code == 3
    assert ran.out == f"{one} discarded\n{third} discarded\n"
    assert [entry.trace for entry in store.entries()] == [other]
