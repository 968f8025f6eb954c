"""Held mail: the same octets after every crash, listed whatever lies there, and released once, after being judged again."""

import asyncio
import contextlib
import hashlib
import json
import os
import stat
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import delivcheck
from delivcheck import ulid
from delivcheck.gate import durable
from delivcheck.gate import held as module
from delivcheck.gate.held import CONFIRMED, Damaged, FullError, HeldError, HeldStore, NotHeldError
from delivcheck.gate.journal import Journal, JournalError, State
from delivcheck.gate.journal import journal as journals
from delivcheck.gate.model import Action, Client, Credential, Decision, Incoming, MailFrom, Outcome, RcptTo
from delivcheck.gate.relay.relay import NextHops
from delivcheck.gate.release import Releaser, discard
from delivcheck.gate.reply import Reply
from delivcheck.gate.settings import DEADLINE, Address, Hold, Security
from delivcheck.gate.settings import NextHop as NextHopSettings
from delivcheck.model import MessageClass
from tests.gate.next_hop import CLOSE, SILENCE, NextHop
from tests.gate.relay.way import Told, relay_to

OCTETS = b"From: ada@example.com\r\nSubject: \xff\x00 lunch\r\n\r\n..at noon?\r\n"
PACKAGE = str(Path(delivcheck.__file__).parents[1])
HOLD = Decision(Action.HOLD, Reply(250, "2.0.0", "held"), ("dkim/no-signature",), "dkim/no-signature no signature")
SENDER = MailFrom("ada@example.com", body="8BITMIME", ret="HDRS", envid="x y")
RECIPIENTS = (RcptTo("bob@example.org", ("NEVER",), ("rfc822", "b@x")), RcptTo("eve@example.net"))


def incoming(octets=OCTETS, **more):
    client = Client(
        ip_address("192.0.2.1"),
        4_711,
        "submission",
        helo="app.example.com",
        tls="TLSv1.3",
        protocol="ESMTPSA",
        credential=Credential("app", ("example.com",), ("news",), (MessageClass.BULK,)),
        forwarded={"NAME": "x"},
    )
    given = {"next_hop": "hop", "stream": "news", **more}
    to = tuple(one.address for one in RECIPIENTS)
    return Incoming(octets, SENDER.address, to, client, ulid.new(), datetime.now(UTC), **given)


def hold(store, octets=OCTETS, recipients=RECIPIENTS, **more):
    message = incoming(octets, **more)
    return asyncio.run(store.keep(message, Outcome(HOLD, b"judged"), sender=SENDER, recipients=recipients))


@pytest.fixture
def store(tmp_path):
    return HeldStore(tmp_path, Hold())


# --- holding ---------------------------------------------------------------------------------------------------------


@given(octets=st.binary(max_size=300))
def test_what_is_held_is_what_came(tmp_path_factory, octets):
    store = HeldStore(tmp_path_factory.mktemp("state"), Hold())
    entry = hold(store, octets)
    assert store.octets(store.entry(entry.trace)) == octets


def test_everything_that_judging_and_relaying_need_comes_back(store):
    message = incoming(signed_later=True, smtputf8=True)
    sender = replace(SENDER, smtputf8=True)
    entry = asyncio.run(store.keep(message, Outcome(HOLD, b""), sender=sender, recipients=RECIPIENTS))
    (found,) = store.entries()
    assert found == entry
    assert found.incoming(OCTETS) == message
    assert (found.sender, found.recipients) == (sender, RECIPIENTS)
    assert (found.reason, found.rules) == (HOLD.reason, HOLD.rules)
    assert store.usage().messages == 1


def test_without_esmtp_parameters_the_addresses_are_enough(store):
    message = replace(incoming(), client=Client(None, listener="lmtp"))
    entry = asyncio.run(store.keep(message, Outcome(HOLD, b"")))
    assert [one.address for one in entry.recipients] == list(message.rcpt_to)
    assert store.entry(entry.trace).incoming(OCTETS) == message


def test_only_the_owner_can_read_it(store):
    before = os.umask(0)
    try:
        hold(store)
    finally:
        os.umask(before)
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.folder.iterdir()} == {0o600}


def test_the_room_is_bounded(tmp_path):
    store = HeldStore(tmp_path, Hold(max_octets=3_000))
    entry = hold(store)
    with pytest.raises(FullError, match="of 3000 octets are taken"):
        hold(store, bytes(3_000))
    assert [one.trace for one in store.entries()] == [entry.trace]
    store.discard(entry.trace)
    hold(store)


@pytest.mark.attack(57)
async def test_what_waits_for_a_disk_that_hangs_is_bounded(store, monkeypatch):
    monkeypatch.setattr(module, "WAITING", 6)
    goes_on = threading.Event()
    waiting = [asyncio.ensure_future(store.work(goes_on.wait)) for _ in range(6)]
    await asyncio.sleep(0)
    try:
        with pytest.raises(HeldError, match="6 others wait for the disk"):
            await store.work(store.usage)
    finally:
        goes_on.set()
        await asyncio.gather(*waiting)
    assert (await store.work(store.usage)).messages == 0


def test_one_trace_is_held_once(store):
    entry = hold(store)
    with pytest.raises(HeldError, match="held already"):
        store.put(entry, b"other")
    assert store.octets(entry) == OCTETS


@pytest.mark.attack(57)
def test_a_state_folder_that_is_none_is_a_declared_error(tmp_path):
    with pytest.raises(HeldError, match="no state folder"):
        hold(HeldStore(tmp_path / "a" / "b", Hold()))
    (tmp_path / "file").write_text("")
    with pytest.raises(HeldError):
        hold(HeldStore(tmp_path / "file", Hold()))
    assert HeldStore(tmp_path / "a" / "b", Hold()).entries() == []


KEEP = """
import asyncio, os, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from delivcheck.gate import durable
from delivcheck.gate.held import HeldError, HeldStore
from delivcheck.gate.settings import Hold
from tests.gate import test_held as t
store = HeldStore(Path(sys.argv[1]), Hold())
"""


def child(script, *arguments, **more):
    environment = {**os.environ, "PYTHONPATH": PACKAGE, **more}
    root = str(Path(__file__).parents[2])
    return subprocess.run(
        [sys.executable, "-c", KEEP + script, *map(str, arguments), root],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=30,
    )


DISK_FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, resource.RLIM_INFINITY))
for octets in (bytes(1_000_000), bytes(2_001)):
    try:
        t.hold(store, octets)
    except HeldError as error:
        print(error, file=sys.stderr)
    else:
        raise SystemExit("held in spite of the limit")
assert sorted(path.name for path in store.folder.iterdir()) == [".lock"], list(store.folder.iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
t.hold(store, bytes(1_000_000))
"""


@pytest.mark.attack(57)
def test_a_disk_that_takes_no_more_is_a_declared_error_and_leaves_nothing_behind(tmp_path):
    done = child(DISK_FULL, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "too large" in done.stderr


DIES = """
state = Path(sys.argv[1])

def dies_at(step):  # in a process of its own: at its n-th call of the system it is killed
    calls = []
    def counted(name):
        real = getattr(os, name)
        def call(*arguments, **more):
            calls.append(name)
            if len(calls) == step:
                os.kill(os.getpid(), 9)
            return real(*arguments, **more)
        setattr(os, name, call)
    for name in ("open", "fsync", "replace", "rename"):
        counted(name)
    folder = state / str(step)
    folder.mkdir()
    (folder / "done").write_text(t.hold(HeldStore(folder, Hold())).trace)
    os._exit(0)

for step in range(1, 40):
    child = os.fork() or dies_at(step)
    if os.waitpid(child, 0)[1] == 0:
        break
"""


@pytest.mark.attack(53, 57)
def test_killed_at_every_step_it_is_held_whole_or_not_at_all(tmp_path):
    done = child(DIES, tmp_path)
    assert done.returncode == 0, done.stderr
    steps = sorted(tmp_path.iterdir(), key=lambda folder: int(folder.name))
    assert [(step / "done").exists() for step in steps] == [False] * (len(steps) - 1) + [True]
    assert len(steps) > 8
    for step in steps:
        store = HeldStore(step, Hold())
        whole = [one for one in store.entries() if not isinstance(one, Damaged)]
        assert all(store.octets(entry) == OCTETS for entry in whole)
        store.expire(datetime.now(UTC) + timedelta(days=31))  # what is left over goes
        assert [path.name for path in store.folder.glob("*")] in ([], [".lock"])
    assert [entry.trace for entry in whole] == [(steps[-1] / "done").read_text()]


@pytest.mark.attack(60)
def test_a_clock_that_is_wrong_for_a_while_costs_no_held_mail(store):
    """The gate asks every hour; it discards what was too old for a whole day of uptime, over restarts of its workers."""
    entry, now = hold(store), datetime.now(UTC)
    wrong, hour = now + timedelta(days=10_000), 3_600.0
    for run in range(24):
        assert HeldStore(store.folder.parent, Hold()).expire(wrong, 1_000.0 + run * hour) == []
    assert store.expire(now, 1_000.0 + 24 * hour) == [], "it was set right"
    assert store.expire(wrong, 1_000.0 + 25 * hour) == [], "so that it begins anew"
    assert store.expire(wrong, 500.0) == [], "and after a start of the machine, too"
    assert [one.trace for one in store.entries()] == [entry.trace]
    assert store.expire(wrong, 500.0 + 23.9 * hour) == []
    assert store.expire(wrong, 500.0 + 24 * hour) == [entry.trace]
    assert store.expire(wrong, 500.0 + 25 * hour) == []


@pytest.mark.parametrize("octets", [b"", b"[]", b"\xff", b'{"x": "y"}'])
def test_what_is_known_of_old_entries_may_be_lost(store, octets):
    entry, late = hold(store), datetime.now(UTC) + timedelta(days=40)
    assert store.expire(late, 0.0) == []
    (store.folder / ".overdue").write_bytes(octets)
    assert store.expire(late, CONFIRMED) == []
    assert store.expire(late, 2 * CONFIRMED) == [entry.trace]


def test_an_envelope_that_cannot_be_written_is_a_declared_error(store):
    with pytest.raises(HeldError):
        asyncio.run(store.keep(replace(incoming(), mail_from="\ud800"), Outcome(HOLD, b"")))
    assert store.entries() == []


# --- looking ---------------------------------------------------------------------------------------------------------


@pytest.mark.attack(67)
@given(
    name=st.sampled_from(["../../etc/passwd", "..", "", "/etc/passwd", "x\0y", "01ARZ3NDEKTSV4RRFFQ69G5FAV/../x"]) | st.text()
)
def test_only_a_trace_id_ever_becomes_a_path(tmp_path_factory, name):
    store = HeldStore(tmp_path_factory.getbasetemp(), Hold())
    for ask in (store.entry, store.discard, lambda name: store.claimed(name).__enter__()):
        with pytest.raises(NotHeldError):
            ask(name)


@pytest.mark.attack(67)
def test_no_symbolic_link_is_followed(store, tmp_path):
    entry = hold(store)
    path = store.folder / f"{entry.trace}.eml"
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    (tmp_path / "secret").write_bytes(OCTETS)
    with pytest.raises(HeldError):
        store.octets(entry)


ENVELOPES = st.binary(max_size=200) | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(
    lambda value: json.dumps(value).encode()
)


@given(octets=st.lists(ENVELOPES, min_size=1, max_size=50))
@settings(max_examples=10)
def test_whatever_lies_in_an_envelope_it_is_listed_and_can_be_discarded(tmp_path_factory, octets):
    store = HeldStore(tmp_path_factory.mktemp("state"), Hold())
    kept, broken = hold(store), hold(store)
    for one in octets:
        (store.folder / f"{broken.trace}.json").write_bytes(one)
        first, second = store.entries()
        assert first == kept
        assert isinstance(second, Damaged)
    store.discard(broken.trace)
    assert store.entries() == [kept]


def test_half_an_entry_is_listed_and_other_files_are_not(store):
    kept, half = hold(store), hold(store)
    (store.folder / f"{half.trace}.json").unlink()
    for name in (".x.json.0011", "README", "not-a-trace.json", "not-a-trace.eml"):
        (store.folder / name).write_text("{}")
    found = store.entries()
    assert [one.trace for one in found] == [kept.trace, half.trace]
    assert isinstance(found[1], Damaged)
    with pytest.raises(NotHeldError):
        store.entry(half.trace)
    store.discard(half.trace)
    with pytest.raises(NotHeldError):
        store.discard(half.trace)


def test_octets_that_changed_are_not_taken_for_those_that_were_held(store):
    entry = hold(store)
    (store.folder / f"{entry.trace}.eml").write_bytes(OCTETS + b"!")
    with pytest.raises(HeldError, match="not those that were held"):
        store.octets(entry)


def test_what_is_old_expires_and_what_is_being_released_does_not(store):
    old, claimed = hold(store), hold(store)
    damaged = hold(store)
    (store.folder / f"{damaged.trace}.json").write_text("{")
    late = datetime.now(UTC) + timedelta(days=31)
    assert store.expire(datetime.now(UTC) + timedelta(days=29)) == []
    with store.claimed(claimed.trace):
        assert store.expire(late) == [old.trace, damaged.trace]
    assert store.expire(late) == [claimed.trace]
    assert store.usage().messages == 0


def test_an_entry_is_claimed_by_one(store):
    entry = hold(store)
    with store.claimed(entry.trace):
        with pytest.raises(HeldError, match="just now"), store.claimed(entry.trace):
            pass
        with pytest.raises(HeldError, match="just now"):
            store.discard(entry.trace)
    store.discard(entry.trace)


# --- release ---------------------------------------------------------------------------------------------------------


class Judging:
    """A pipeline that decides as it is told, and notes what it was given."""

    def __init__(self, action=Action.SEND, prepare=lambda octets: octets):
        self.decision, self.prepare, self.given = Decision(action, Reply(451, "4.7.1", "why")), prepare, []

    async def process(self, incoming):
        self.given.append(incoming)
        return Outcome(self.decision, self.prepare(incoming.octets))


@contextlib.asynccontextmanager
async def releasing(state, hop, pipeline=None, **more):
    async with Journal(state) as journal, relay_to(hop) as relay:
        store = HeldStore(state, Hold())
        yield Releaser(store=store, pipeline=pipeline or Judging(), relay=relay, journal=journal, watch=Told(), **more)


def through(test):
    """Run a test with a held message, a next hop, and what releases."""

    def go(tmp_path, **options):
        async def work():
            store = HeldStore(tmp_path, Hold())
            entry = await store.keep(incoming(), Outcome(HOLD, b""), sender=SENDER, recipients=RECIPIENTS)
            async with asyncio.timeout(20), NextHop(**options) as hop:
                await test(tmp_path, store, entry.trace, hop)

        asyncio.run(work())

    return go


def test_what_passes_now_is_sent_as_judged_with_its_parameters_and_no_longer_held(tmp_path):
    async def test(state, store, trace, hop):
        pipeline = Judging(prepare=lambda octets: b"X: 1\r\n" + octets)
        async with releasing(state, hop, pipeline) as releaser:
            done = await releaser.release(trace)
            assert done.left == ()
            assert [(address, reply.code) for address, reply in done.replies] == [
                ("bob@example.org", 250),
                ("eve@example.net", 250),
            ]
            assert [(one.octets, one.held, one.stream) for one in pipeline.given] == [(OCTETS, trace, "news")]
            (message,) = hop.messages
            assert message.octets == b"X: 1\r\n" + OCTETS
            assert b"RET=HDRS" in message.mail_from
            assert b"NOTIFY=NEVER" in message.rcpt_to[0]
            assert store.entries() == []
            (record,) = await releaser.journal.records()
            assert (record.state, record.peer) == (State.ACCEPTED, "answered")
            assert record.attempt.digest == hashlib.sha256(message.octets).digest()

    through(test)(tmp_path)


@pytest.mark.parametrize("action", [Action.HOLD, Action.REFUSE, Action.DEFER])
def test_what_does_not_pass_now_stays_held_and_is_not_sent(tmp_path, action):
    async def test(state, store, trace, hop):
        async with releasing(state, hop, Judging(action)) as releaser:
            done = await releaser.release(trace)
        assert (done.decision.action, done.left) == (action, ("bob@example.org", "eve@example.net"))
        assert hop.messages == []
        assert len(store.entries()) == 1

    through(test)(tmp_path)


def test_a_recipient_that_is_not_taken_stays_held_alone(tmp_path):
    async def test(state, store, trace, hop):
        hop.says["RCPT"] = lambda session, line: "550 5.1.1 no such user" if b"eve" in line else None
        async with releasing(state, hop) as releaser:
            done = await releaser.release(trace)
            assert done.left == ("eve@example.net",)
            (entry,) = store.entries()
            assert entry.recipients == RECIPIENTS[1:]
            assert "no such user" in entry.reason
            hop.says.clear()
            assert (await releaser.release(trace)).left == ()
        assert [len(message.rcpt_to) for message in hop.messages] == [1, 1]
        assert store.entries() == []

    through(test)(tmp_path)


def test_behind_lmtp_each_recipient_has_its_own_end(tmp_path):
    async def test(state, store, trace, hop):
        hop.says["DOT"] = ["250 2.0.0 ok", "452 4.2.2 full"]
        async with releasing(state, hop) as releaser:
            done = await releaser.release(trace)
        assert [reply.code for _, reply in done.replies] == [250, 452]
        (entry,) = store.entries()
        assert entry.recipients == RECIPIENTS[1:]

    through(test)(tmp_path, lmtp=True)


@pytest.mark.parametrize(
    "says",
    [
        {"BANNER": "554 no"},
        {"MAIL": "451 4.3.0 later"},
        {"RCPT": "550 5.1.1 no"},
        {"DATA": "451 later"},
        {"DOT": "552 5.2.3 big"},
    ],
    ids=lambda says: next(iter(says)),
)
def test_wherever_the_next_hop_says_no_it_stays_held(tmp_path, says):
    async def test(state, store, trace, hop):
        async with releasing(state, hop) as releaser:
            done = await releaser.release(trace)
            assert len(done.left) == 2
            assert {reply.positive for _, reply in done.replies} == {False}
            hop.says.clear()
            assert (await releaser.release(trace)).left == ()
        assert len(hop.messages) == 1
        assert store.entries() == []

    through(test)(tmp_path, says=says)


@pytest.mark.attack(52)
def test_an_end_without_a_reply_is_uncertain_and_is_repeated_or_not_as_configured(tmp_path):
    async def test(state, store, trace, hop):
        hop.says["DOT"] = [CLOSE]
        async with releasing(state, hop, at_most_once=True) as releaser:
            done = await releaser.release(trace)
            assert [reply.code for _, reply in done.replies] == [451, 451]
            assert [one for one, _ in releaser.watch if one != "relay"] == ["uncertain", "sent", "held"]
            again = await releaser.release(trace)
            assert "not known" in again.replies[0][1].text
            assert hop.messages == []
        async with releasing(state, hop) as releaser:
            assert (await releaser.release(trace)).left == ()
            first, second = await releaser.journal.records()
            assert (first.state, second.attempt.follows) == (State.UNCERTAIN, (first.attempt.trace,))
        assert len(hop.messages) == 1

    through(test)(tmp_path)


@pytest.mark.attack(53)
@pytest.mark.parametrize("same_process", [True, False])
def test_what_was_sent_but_not_taken_away_is_not_sent_again(tmp_path, monkeypatch, same_process):
    async def test(state, store, trace, hop):
        narrow = HeldStore.narrow

        def fails(*_):
            raise HeldError("the disk is gone")

        async with contextlib.AsyncExitStack() as stack:
            releaser = await stack.enter_async_context(releasing(state, hop))
            monkeypatch.setattr(HeldStore, "narrow", fails)
            with pytest.raises(HeldError):
                await releaser.release(trace)
            assert len(store.entries()) == 1
            monkeypatch.setattr(HeldStore, "narrow", narrow)
            if not same_process:
                await stack.aclose()
                releaser = await stack.enter_async_context(releasing(state, hop))
            done = await releaser.release(trace)
            assert done.left == ()
        assert len(hop.messages) == 1
        assert store.entries() == []

    through(test)(tmp_path)


@pytest.mark.attack(53)
def test_a_recipient_that_was_refused_before_a_crash_is_not_lost_with_those_that_were_taken(tmp_path, monkeypatch):
    async def test(state, store, trace, hop):
        hop.says["RCPT"] = lambda session, line: "550 5.1.1 no such user" if b"bob" in line else None

        def fails(*_):
            raise HeldError("the disk is gone")

        async with releasing(state, hop) as releaser:
            with monkeypatch.context() as patch:
                patch.setattr(HeldStore, "narrow", fails)
                with pytest.raises(HeldError):
                    await releaser.release(trace)
            done = await releaser.release(trace)
        assert done.left == ("bob@example.org",)
        assert [len(message.rcpt_to) for message in hop.messages] == [1]
        (entry,) = store.entries()
        assert entry.recipients == RECIPIENTS[:1]

    through(test)(tmp_path)


@pytest.mark.attack(57)
def test_without_a_journal_nothing_is_released(tmp_path):
    async def test(state, store, trace, hop):
        (state / "journal.sqlite").mkdir()
        async with releasing(state, hop) as releaser:
            with pytest.raises(JournalError):
                await releaser.release(trace)
        assert hop.messages == []
        assert len(store.entries()) == 1

    through(test)(tmp_path)


def test_a_release_that_is_cancelled_after_the_dot_is_uncertain(tmp_path):
    async def test(state, store, trace, hop):
        asked = asyncio.Event()

        def dot(session, line):
            asked.set()
            return

        hop.says["DOT"] = dot
        async with releasing(state, hop) as releaser:
            real = releaser.relay.open

            async def opened(*arguments):
                outgoing = await real(*arguments)
                send = outgoing.send

                async def hangs(octets, before_dot, deadline):
                    await send(octets, before_dot, deadline)
                    asked.set()
                    await asyncio.sleep(60)

                outgoing.send = hangs
                return outgoing

            releaser.relay.open = opened
            task = asyncio.create_task(releaser.release(trace))
            await asked.wait()
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            (record,) = await releaser.journal.records()
            assert record.state is State.UNCERTAIN
        assert len(store.entries()) == 1

    through(test)(tmp_path)


def test_the_deadline_is_the_gates(tmp_path):
    assert module.PATIENCE < DEADLINE


def test_what_root_makes_belongs_to_who_owns_the_folder(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(tmp_path, 65534, 65534)
    store = HeldStore(tmp_path, Hold())
    hold(store)
    owners = {path.stat().st_uid for path in [store.folder, *store.folder.iterdir()]}
    assert owners == {65534}


def test_a_file_is_replaced_as_a_whole(tmp_path):
    durable.write(tmp_path / "x", b"one")
    durable.write(tmp_path / "x", b"two")
    assert durable.read(tmp_path / "x") == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@contextlib.asynccontextmanager
async def over_two(state, one, two, pipeline, **more):
    """A releaser whose configuration sends example.org to one next hop, and all else to another."""
    hops = (
        NextHopSettings("one", Address(host=one.host, port=one.port), security=Security.NONE, domains=("example.org",)),
        NextHopSettings("two", Address(host=two.host, port=two.port), security=Security.NONE, domains=("*",)),
    )
    relay = NextHops(hops, "gate.example.org")
    try:
        async with Journal(state) as journal:
            store = HeldStore(state, Hold())
            yield Releaser(store=store, pipeline=pipeline, relay=relay, journal=journal, watch=Told(), **more)
    finally:
        await relay.close()


def told(releaser, event):
    return [fields for name, fields in releaser.watch if name == event]


def test_it_is_judged_for_each_next_hop_it_goes_to_now(tmp_path):
    """What was held for one may go to two by now, whose headers and limits are others."""

    class ByHop(Judging):
        async def process(self, incoming):
            self.given.append(incoming)
            assert incoming.deadline is not None
            octets = f"X-Hop: {incoming.next_hop}\r\n".encode() + incoming.octets
            passes = incoming.next_hop != "two" or self.decision.action is Action.SEND
            return Outcome(self.decision if not passes else Decision(Action.SEND, Reply(250, "2.0.0", "")), octets)

    async def test(state, store, trace, one):
        async with NextHop() as two:
            async with over_two(state, one, two, ByHop(Action.HOLD)) as releaser:
                done = await releaser.release(trace)
                assert [(each.next_hop, each.rcpt_to) for each in releaser.pipeline.given] == [
                    ("one", ("bob@example.org",)),
                    ("two", ("eve@example.net",)),
                ]
                assert (done.decision.action, done.left) == (Action.HOLD, ("eve@example.net",))
                (kept,) = told(releaser, "held")
                assert (kept["what"], kept["trace"]) == ("kept", trace)
                assert [message.octets for message in one.messages] == [b"X-Hop: one\r\n" + OCTETS]
                assert two.messages == []
            async with over_two(state, one, two, ByHop(Action.SEND)) as releaser:
                assert (await releaser.release(trace)).left == ()
            assert [message.octets for message in two.messages] == [b"X-Hop: two\r\n" + OCTETS]
            assert len(one.messages) == 1
            assert store.entries() == []

    through(test)(tmp_path)


def test_a_release_is_told_of(tmp_path):
    async def test(state, store, trace, hop):
        hop.says["RCPT"] = ["250 2.1.5 ok", "451 4.2.1 later"]
        async with releasing(state, hop) as releaser:
            await releaser.release(trace)
            hop.says.clear()
            await releaser.release(trace)
            assert [(one["what"], one["trace"]) for one in told(releaser, "held")] == [("kept", trace), ("released", trace)]
            records = await releaser.journal.records()
            assert [(one["what"], one["held"], one["trace"]) for one in told(releaser, "sent")] == [
                ("accepted", trace, record.attempt.trace) for record in records
            ]

    through(test)(tmp_path)


def test_a_discard_is_told_of(tmp_path):
    async def test(state, store, trace, hop):
        watch = Told()
        discard(store, trace, watch)
        with pytest.raises(NotHeldError):
            discard(store, trace, watch)
        assert [(name, one["what"], one["trace"]) for name, one in watch] == [("held", "discarded", trace)]
        assert store.entries() == []

    through(test)(tmp_path)


@pytest.mark.attack(53)
def test_what_was_sent_is_not_sent_again_however_late_the_second_release(tmp_path, monkeypatch):
    async def test(state, store, trace, hop):
        def fails(*_):
            raise HeldError("the disk is gone")

        async with releasing(state, hop) as releaser:
            with monkeypatch.context() as patch:
                patch.setattr(HeldStore, "narrow", fails)
                for _ in range(3):
                    with pytest.raises(HeldError):
                        await releaser.release(trace)
            late = time.time_ns() // 1_000_000 + 20 * 86_400_000
            monkeypatch.setattr(journals, "_now", lambda: late)
            assert (await releaser.release(trace)).left == ()
        assert len(hop.messages) == 1
        assert store.entries() == []

    through(test)(tmp_path)


@pytest.mark.attack(52)
def test_behind_lmtp_who_was_answered_before_it_broke_is_released_and_the_rest_stays(tmp_path):
    async def test(state, store, trace, hop):
        hop.says["DOT"] = ["250 2.0.0 ok", CLOSE]
        async with releasing(state, hop, at_most_once=True) as releaser:
            done = await releaser.release(trace)
            assert ([reply.code for _, reply in done.replies], done.left) == ([250, 451], ("eve@example.net",))
            assert "not known" in (await releaser.release(trace)).replies[0][1].text
        async with releasing(state, hop) as releaser:
            assert (await releaser.release(trace)).left == ()
            first, second = await releaser.journal.records()
            assert second.attempt.follows == (first.attempt.trace,)
            assert second.attempt.rcpt_to == ("eve@example.net",)

    through(test)(tmp_path, lmtp=True)


def test_nobody_waits_for_a_next_hop_that_hangs_beyond_the_deadline(tmp_path):
    async def test(state, store, trace, hop):
        hop.says["RCPT"] = SILENCE
        async with releasing(state, hop, deadline=0.2) as releaser:
            done = await releaser.release(trace)
            assert {reply.code for _, reply in done.replies} == {451}
        assert len(store.entries()) == 1

    through(test)(tmp_path)
