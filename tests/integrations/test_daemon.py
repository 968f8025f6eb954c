"""The daemon as a process behind its socket: what it rules, what its clients may do to it, how it starts, reloads and ends."""

import asyncio
import contextlib
import grp
import json
import os
import re
import signal
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest

from delivcheck import hook, ulid
from delivcheck.cli import main
from delivcheck.integrations import asking, case, server
from delivcheck.integrations.case import Case
from delivcheck.integrations.errors import MessageRefused, MessageUndetermined
from delivcheck.integrations.guard import Guard
from delivcheck.integrations.ruling import Ruling, Wanted
from delivcheck.integrations.server import Loaded, Server
from delivcheck.integrations.settings import Hooks
from delivcheck.model import Outcome
from tests.gate import world
from tests.integrations import house
from tests.integrations.daemons import PATIENCE, ROOT, command, daemon

STREAMS = """
[streams.news]
policy = "own.toml"
class = "bulk"
"""
OWN = 'title = "Our own"\nextends = "bulk"\n'
ENVELOPE = (house.BOUNCES, (house.RECIPIENT,))


def written(folder, nameserver, **options):
    (folder / "own.toml").write_text(OWN)
    patient = {
        "timeout": 10.0,
        "deadline": 60.0,
    }  # the first message of a process imports what it needs, on a busy machine for seconds
    return house.configuration(folder, nameserver=nameserver, text=STREAMS, **patient, **options)


@pytest.fixture(scope="module")
def dns():
    octets, records = world.signed()
    with house.name_server(records) as one:
        one.signed = octets
        yield one


@pytest.fixture(scope="module")
def running(tmp_path_factory, dns):
    """A daemon over a name server that has the domain in order; `configuration` is its file."""
    folder = tmp_path_factory.mktemp("daemon")
    path = written(folder, dns.address)
    with daemon(folder, path) as one:
        one.configuration = path
        yield one


@pytest.fixture
def deaf(tmp_path):
    """A daemon whose name server never answers; each message takes two seconds."""
    with (
        house.dead_name_server() as dead,
        daemon(tmp_path, house.configuration(tmp_path, nameserver=dead.address, timeout=2.0)) as one,
    ):
        yield one


def guard(running, **options):
    return Guard(**{"config": False, "daemon": running.socket, "deadline": 60.0, **options})


def raw(path, octets):
    """What comes back for these octets, until the daemon closes the connection."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(str(path))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(octets)
        found = b""
        with contextlib.suppress(ConnectionResetError):
            while more := connection.recv(65536):
                found += more
        return found


def request(octets, *lines):
    return b"\n".join([b"CHECK/1 %d" % len(octets), *(line.encode() for line in lines), b"", octets])


# --- the four outcomes, through a guard --------------------------------------------------------------------------


def test_a_good_message_passes_with_its_report(running):
    ruling = guard(running).check(house.good(), *ENVELOPE)
    assert (ruling.wanted, ruling.verdict, ruling.code, ruling.bypass) == (Wanted.SEND, "pass", 250, None)
    assert ruling.report().targets[0].verdict == "pass"


def test_a_bad_message_is_refused_with_the_rules_id(running, tmp_path):
    with pytest.raises(MessageRefused) as caught:
        guard(running, record=tmp_path / "record").check(house.bad(), *ENVELOPE)
    assert (caught.value.smtp_code, caught.value.rules) == (550, (house.BAD_RULE,))
    failed = [
        one.rule for one in caught.value.report.targets[0].results if one.outcome is Outcome.FAIL and one.level == "error"
    ]
    assert failed == [house.BAD_RULE]
    assert [one["event"] for one in house.recorded(tmp_path / "record")] == ["refused"]
    assert caught.value.trace in running.log


def test_without_dns_a_message_is_sent_and_recorded_or_waits(deaf, tmp_path):
    assert guard(deaf, record=tmp_path / "record").check(house.good(), *ENVELOPE).bypass.startswith("unknown: ")
    assert [one["event"] for one in house.recorded(tmp_path / "record")] == ["bypassed"]
    with pytest.raises(MessageUndetermined) as caught:
        guard(deaf, on_unknown="raise").check(house.good(), *ENVELOPE)
    assert caught.value.smtp_code == 451


def test_observing_never_stops_mail(running, tmp_path):
    found = guard(running, mode="observe", record=tmp_path / "record").check(house.bad(), *ENVELOPE)
    assert found.bypass.startswith("observe: refuse: ")
    assert len(house.recorded(tmp_path / "record")) == 1


async def test_a_running_loop_is_not_held_up(running):
    turns = 0

    async def turning():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(turning())
    found = await asyncio.gather(*(guard(running).check_async(house.good(), *ENVELOPE) for _ in range(5)))
    beside.cancel()
    assert [one.verdict for one in found] == ["pass"] * 5
    assert turns > 5


# --- the same as in one's own process ----------------------------------------------------------------------------

CASES = {
    "good": lambda: Case(house.good(), *ENVELOPE),
    "bad": lambda: Case(house.bad(), *ENVELOPE),
    "a stream": lambda: Case(house.good(), *ENVELOPE, stream="news"),
    "no such stream": lambda: Case(house.good(), *ENVELOPE, stream="nwes"),
    "a policy": lambda: Case(house.good(), *ENVELOPE, policy="strict"),
    "a class": lambda: Case(house.good(), *ENVELOPE, message_class="bulk"),
    "no such class": lambda: Case(house.good(), *ENVELOPE, message_class="news"),
    "levels": lambda: Case(house.bad(), *ENVELOPE, rules=(("template/*", "error"), (house.BAD_RULE, "off"))),
    "no such rule": lambda: Case(house.good(), *ENVELOPE, rules=(("no/such=rule", "off"),)),
    "no such level": lambda: Case(house.good(), *ENVELOPE, rules=((house.BAD_RULE, "loud"),)),
    "signed": lambda: Case(SIGNED[0], *ENVELOPE),
    "signed later": lambda: Case(SIGNED[0], *ENVELOPE, signed_later=True),
    "not signed later": lambda: Case(house.good(), *ENVELOPE, signed_later=False),
    "SMTPUTF8": lambda: Case(house.good(), "grüße@example.org", ("pelé@example.net",), smtputf8=True),
    "many recipients": lambda: Case(house.good(), house.BOUNCES, tuple(f"p{at}@example.net" for at in range(1_000))),
    "odd addresses": lambda: Case(
        house.good(), "a%b\r\nRCPT TO:<x>@example.org", ("", "50%@example.net", "\u2028\x00@x", "\udce9@x")
    ),
    "null sender": lambda: Case(house.good(), "", (house.RECIPIENT,)),
    "nothing": lambda: Case(b"", *ENVELOPE),
    "no message": lambda: Case(b"\x00" * 100, *ENVELOPE),
    "bare LF": lambda: Case(house.good().replace(b"\r\n", b"\n"), *ENVELOPE),
    "8 bit": lambda: Case(house.good(Subject="Grüße").replace("ü".encode(), b"\xfc"), *ENVELOPE),
    "a megabyte": lambda: Case(house.good("A line of text, again and again.\r\n" * 33_000), *ENVELOPE),
    "no report": lambda: Case(house.good(), *ENVELOPE, report=False),
}
SIGNED = []


@pytest.fixture(scope="module")
def own(running):
    one = Guard(config=running.configuration)
    yield one
    one.close()


@pytest.mark.parametrize("name", CASES)
def test_a_ruling_is_the_same_as_in_ones_own_process(name, running, own, dns):
    SIGNED[:] = [dns.signed]
    asked = CASES[name]()
    found = [own._rule(asked), asking.rule(running.socket, asked, 30.0)]
    first, second = ([one.wanted, one.verdict, one.code, one.enhanced, one.rules, one.bypass] for one in found)
    assert first == second
    same = [[one.text.replace(one.trace, "TRACE"), one.reason.replace(one.trace, "TRACE"), _told(one)] for one in found]
    assert same[0] == same[1]


def _told(ruling):
    """What the report says of the message; only the trace's id, the time and what DNS cost may differ."""
    if not ruling.octets:
        return None
    [target] = json.loads(ruling.octets.replace(ruling.trace.encode(), b"TRACE"))["targets"]
    return target


def test_a_message_that_is_too_large_is_refused_in_the_words_of_the_parser(running):
    ruling = asking.rule(running.socket, Case(bytes(server.MAX_OCTETS + 1), "a@example.org"), 30.0)
    text = f"the message has {server.MAX_OCTETS + 1} octets, the limit is {server.MAX_OCTETS}"
    assert (ruling.wanted, ruling.code, ruling.enhanced) == (Wanted.REFUSE, 550, "5.6.0")
    assert (ruling.reason, ruling.text) == (text, f"{text} ({ruling.trace})")


def test_a_client_names_policies_and_no_files(running):
    outside = running.configuration.parent / "own.toml"
    assert asking.rule(running.socket, Case(house.good(), *ENVELOPE, policy="own"), 30.0).wanted is not Wanted.FAULT
    for named in (str(outside), "own.toml", "./own", "../own", "/etc/passwd", ""):
        ruling = asking.rule(running.socket, Case(house.good(), *ENVELOPE, policy=named), 30.0)
        assert ruling.wanted is Wanted.FAULT
        assert ruling.reason.startswith(f"policy: no {named!r}: a client may name own, ")
    with pytest.raises(ValueError, match="is a file"):
        guard(running, policy=str(outside))


def test_several_requests_may_share_a_connection(running):
    octets = [case.wire(house.good()), case.wire(house.bad())]
    lines = f"mail-from: {house.BOUNCES}", f"rcpt-to: {house.RECIPIENT}"
    found = raw(running.socket, b"".join(request(one, *lines) for one in octets) + b"end\n").decode()
    assert re.findall(r"^(send pass 250|refuse fail 550|error)", found, re.MULTILINE) == [
        "send pass 250",
        "refuse fail 550",
        "error",
    ]


# --- hostile clients ---------------------------------------------------------------------------------------------

BAD_REQUESTS = {
    "another protocol": b"GET / HTTP/1.1\r\n\r\n",
    "no line": b"\x00" * 200_000,
    "another version": b"CHECK/2 5\n\nhello",
    "no number": b"CHECK/1 many\n\n",
    "a negative number": b"CHECK/1 -1\n\n",
    "an endless number": b"CHECK/1 " + b"9" * 5_000 + b"\n\n",
    "10,000 lines": b"CHECK/1 5\n" + b"rcpt-to: a@example.org\n" * 10_000 + b"\nhello",
    "a line without a colon": b"CHECK/1 5\nhello\n\nhello",
    "an unknown name": b"CHECK/1 5\nfile: /etc/passwd\n\nhello",
    "a name twice": b"CHECK/1 5\nmail-from: a@x\nmail-from: b@x\n\nhello",
    "no escape": b"CHECK/1 5\nmail-from: %zz\n\nhello",
    "half an escape": b"CHECK/1 5\nmail-from: %4\n\nhello",
    "a control": b"CHECK/1 5\nmail-from: a\rb\n\nhello",
    "not UTF-8": b"CHECK/1 5\nmail-from: \xff\n\nhello",
    "a long line": b"CHECK/1 5\nmail-from: " + b"a" * 3_000 + b"\n\nhello",
    "a deadline of nan": b"CHECK/1 5\ndeadline: nan\n\nhello",
    "a deadline of ages": b"CHECK/1 5\ndeadline: 1e9\n\nhello",
    "perhaps": b"CHECK/1 5\nsmtputf8: perhaps\n\nhello",
    "a rule without a level": b"CHECK/1 5\nrule: size/too-large\n\nhello",
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_what_is_no_request_is_answered_in_one_line(name, running):
    found = raw(running.socket, BAD_REQUESTS[name])
    assert re.fullmatch(rb"error [^\n]{1,200}\n", found), found
    assert guard(running).check(house.good(), *ENVELOPE).verdict == "pass"


def test_clients_that_hang_up_anywhere_cost_nobody_else_anything(running):
    whole = request(case.wire(house.good()), f"mail-from: {house.BOUNCES}", "report: yes")
    for end in range(0, len(whole) + 1, 17):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(running.socket))
            connection.sendall(whole[:end])
    assert guard(running).check(house.good(), *ENVELOPE).verdict == "pass"
    assert " event=fault" not in running.log
    assert " fault " not in running.log


def test_a_daemon_that_is_no_daemon_is_a_fault(tmp_path):
    path = tmp_path / "socket"
    for said in (
        b"",
        b"220 mail.example.org ESMTP\r\n",
        b"send pass 250",
        b"send pass 250 - T\nreport: 99\n\nshort",
        b"\n\n",
        b"x" * 70_000,
    ):
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
            listening.listen()

            def answer(listening=listening, said=said):
                connection, _ = listening.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(said)

            thread = threading.Thread(target=answer)
            thread.start()
            ruling = asking.rule(path, Case(house.good(), *ENVELOPE), 5.0)
            thread.join()
        path.unlink()
        assert (ruling.wanted, ulid.valid(ruling.trace)) == (Wanted.FAULT, True)
        assert ruling.reason.startswith(f"{path}: ")


def test_a_daemon_that_says_nothing_is_waited_for_no_longer_than_the_deadline(tmp_path, monkeypatch):
    monkeypatch.setattr(hook, "SPARE", 0.1)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        listening.listen()
        ruling = asking.rule(tmp_path / "socket", Case(bytes(5_000_000), *ENVELOPE), 0.2)
    assert ruling.wanted is Wanted.FAULT


@pytest.mark.parametrize("asked", [Case(b"", "a\0b" * 2_000), Case(b"", "", ("a",) * 6_000)])
def test_what_the_daemon_would_not_take_is_a_fault(asked, running):
    ruling = asking.rule(running.socket, asked, 5.0)
    assert (ruling.wanted, "the daemon takes" in ruling.reason) == (Wanted.FAULT, True)


def test_a_path_that_is_none_is_a_fault():
    for path in ("a\0b", "x" * 300, "/"):
        assert asking.rule(Path(path), Case(b"", ""), 5.0).wanted is Wanted.FAULT


# --- limits, with a judge that takes its time --------------------------------------------------------------------


class Slow:
    """Rules when it is told to."""

    def __init__(self):
        self.go, self.begun, self.most = asyncio.Event(), 0, 0
        self.now = 0

    async def rule(self, asked):
        self.begun += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.go.wait()
        finally:
            self.now -= 1
        return Ruling(Wanted.SEND, "pass", 250, "2.0.0", "ok", ulid.new(), octets=b"{}" * (500_000 if asked.report else 0))


@contextlib.asynccontextmanager
async def serving(folder, judge, hooks=None):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "s"))
        listening.listen()
        listening.setblocking(False)
        told = []
        made = Server(Loaded(judge, hooks or Hooks(), {}), lambda event, **fields: told.append((event, fields)))
        made.told = told
        accepting = asyncio.create_task(made.accept(listening))
        try:
            yield made
        finally:
            accepting.cancel()
            await made.drain(0)


async def asked(folder, octets, *, shut=False):
    reader, writer = await asyncio.open_unix_connection(folder / "s")
    writer.write(octets)
    if shut:
        writer.write_eof()
    return reader, writer


async def until(found):
    async with asyncio.timeout(PATIENCE):
        while not found():  # noqa: ASYNC110 -- it is another task's business, which tells nobody
            await asyncio.sleep(0.005)


async def test_a_client_that_sends_nothing_is_let_go(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "IDLE", 0.05)
    async with serving(tmp_path, Slow()):
        for said in (b"", b"CHECK"):
            reader, writer = await asked(tmp_path, said)
            assert await reader.read() == b""
            writer.close()


async def test_a_request_that_does_not_come_to_its_end_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "RECEIVE", 0.05)
    judge = Slow()
    async with serving(tmp_path, judge):
        for said in (b"CHECK/1 5\n", b"CHECK/1 5\nmail-from: x", b"CHECK/1 5\n\nhell"):
            reader, writer = await asked(tmp_path, said)
            assert (await reader.read()).startswith(b"error the request was not here within")
            writer.close()
        assert judge.begun == 0


async def test_a_client_that_has_shut_its_side_still_hears_the_answer(tmp_path):
    judge = Slow()
    judge.go.set()
    async with serving(tmp_path, judge):
        reader, writer = await asked(tmp_path, b"CHECK/1 5\n\nhello", shut=True)
        assert (await reader.read()).startswith(b"send pass 250 ")
        writer.close()


async def test_a_client_that_does_not_take_its_answer_is_let_go(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "ANSWER", 0.05)
    judge = Slow()
    judge.go.set()
    async with serving(tmp_path, judge) as made:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "s"))
            client.sendall(b"CHECK/1 5\nreport: yes\n\nhello")
            await until(lambda: judge.begun and not made._connections)


@pytest.mark.parametrize("said", ["deadline: 0.05\n", ""])
async def test_what_takes_too_long_is_a_fault(said, tmp_path):
    async with serving(tmp_path, Slow(), Hooks(deadline=0.05)) as made:
        reader, writer = await asked(tmp_path, f"CHECK/1 5\n{said}\nhello".encode())
        assert (await reader.readline()).startswith(b"fault unknown 451 4.3.0 ")
        assert b"reason: not judged in time\n" in await reader.readuntil(b"\n\n")
        writer.close()
        assert [(event, fields["action"], fields["ok"]) for event, fields in made.told] == [("message", "fault", False)]


async def test_no_more_connections_are_taken_than_there_are_places(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "CONNECTIONS", 2)
    judge = Slow()
    async with serving(tmp_path, judge):
        clients = [await asked(tmp_path, b"CHECK/1 5\n\nhello", shut=True) for _ in range(5)]
        await until(lambda: judge.begun == 2)
        await asyncio.sleep(0.05)
        assert judge.begun == 2
        judge.go.set()
        for reader, writer in clients:
            assert (await reader.read()).startswith(b"send pass ")
            writer.close()
        assert (judge.begun, judge.most) == (5, 2)


async def test_large_messages_wait_for_room_and_small_ones_pass_them(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "SMALL", 10)
    monkeypatch.setattr(server, "LARGE_ROOM", 250)
    judge = Slow()
    async with serving(tmp_path, judge):
        large = [await asked(tmp_path, b"CHECK/1 100\n\n" + b"x" * 100, shut=True) for _ in range(4)]
        await until(lambda: judge.begun == 2)
        small = await asked(tmp_path, b"CHECK/1 5\n\nhello", shut=True)
        await until(lambda: judge.begun == 3)
        await asyncio.sleep(0.05)
        assert judge.begun == 3
        judge.go.set()
        for reader, writer in (*large, small):
            assert (await reader.read()).startswith(b"send pass ")
            writer.close()
        assert judge.most == 3


async def test_at_the_end_idle_clients_go_and_the_others_are_answered(tmp_path):
    judge = Slow()
    async with serving(tmp_path, judge) as made:
        idle, idle_writer = await asked(tmp_path, b"")
        busy, busy_writer = await asked(tmp_path, b"CHECK/1 5\n\nhello")
        await until(lambda: judge.begun == 1 and len(made._idle) == 1)
        draining = asyncio.create_task(made.drain(PATIENCE))
        assert await idle.read() == b""
        judge.go.set()
        assert (await busy.read()).startswith(b"send pass ")
        assert await draining == 0
        idle_writer.close()
        busy_writer.close()


async def test_what_is_not_ready_at_the_end_is_cut_off(tmp_path):
    judge = Slow()
    async with serving(tmp_path, judge) as made:
        reader, writer = await asked(tmp_path, b"CHECK/1 5\n\nhello")
        await until(lambda: judge.begun == 1)
        assert await made.drain(0.01) == 1
        assert await reader.read() == b""
        writer.close()


# --- the process -------------------------------------------------------------------------------------------------


def checking(one, **options):
    """A check in a thread; `done()` waits for what came of it."""
    found = []

    def check():
        try:
            found.append(guard(one, **options).check(house.good(), *ENVELOPE))
        except MessageUndetermined as error:
            found.append(error)

    thread = threading.Thread(target=check)
    thread.start()

    def done():
        thread.join(PATIENCE)
        return found[0]

    return done


def waits(one):
    """Until the daemon has a message at work: beside the sockets that it always has, one of a client and one for DNS are open."""
    end = time.monotonic() + PATIENCE
    while sum(map(_is_socket, Path(f"/proc/{one.process.pid}/fd").iterdir())) < one.sockets + 2:
        assert time.monotonic() < end, "no message came to be judged"
        time.sleep(0.05)


def _is_socket(entry):
    with contextlib.suppress(OSError):
        return str(entry.readlink()).startswith("socket:")
    return False


def test_killed_in_the_middle_it_leaves_a_bypass_and_a_socket_that_the_next_one_replaces(tmp_path, running):
    with house.dead_name_server() as dead:
        path = house.configuration(tmp_path, nameserver=dead.address, timeout=30.0)
        with daemon(tmp_path, path) as one:
            done = checking(one, record=tmp_path / "record")
            waits(one)
            one.signal(signal.SIGKILL)
            one.ended()
            assert done().bypass.startswith(f"fault: {one.socket}: ")
        [event] = house.recorded(tmp_path / "record")
        assert (event["event"], event["verdict"]) == ("bypassed", "unknown")
    assert one.socket.is_socket()
    with daemon(tmp_path, running.configuration) as again:
        assert guard(again).check(house.good(), *ENVELOPE).verdict == "pass"
        assert again.stop() == 0
    assert not one.socket.exists()


def test_told_to_end_it_answers_first(deaf):
    done = checking(deaf, on_unknown="raise")
    waits(deaf)
    assert deaf.stop() == 0
    found = done()
    assert isinstance(found, MessageUndetermined)
    assert found.ruling.wanted is Wanted.DEFER
    assert "reason=drained" in deaf.log
    assert not deaf.socket.exists()


def test_told_twice_it_ends_at_once(tmp_path):
    with house.dead_name_server() as dead:
        with daemon(tmp_path, house.configuration(tmp_path, nameserver=dead.address, timeout=30.0)) as one:
            done = checking(one)
            waits(one)
            one.signal(signal.SIGTERM)
            one.wait_gone()
            assert one.stop() == 0
            assert done().bypass.startswith("fault: ")
        assert "1 requests cut off" in one.log


def test_a_changed_configuration_is_read_again_and_a_broken_one_is_not(tmp_path, dns):
    path = written(tmp_path, dns.address)
    with daemon(tmp_path, path) as one:
        with pytest.raises(MessageRefused):
            guard(one).check(house.bad(), *ENVELOPE)
        path.write_text(path.read_text() + f'[rules]\n"{house.BAD_RULE}" = "off"\n')
        one.signal(signal.SIGHUP)
        one.wait_for("configuration what=loaded")
        assert guard(one).check(house.bad(), *ENVELOPE).verdict == "pass"

        (tmp_path / "own.toml").write_text('title = "x"\nextends = "transactional"\n[rules]\n"no/such" = "off"\n')
        one.signal(signal.SIGHUP)
        one.wait_for("the old one stays")
        assert "own.toml" in one.log
        path.write_text("policy = 7")
        one.signal(signal.SIGHUP)
        one.wait_for("policy: a policy's name or file, not 7; the old one stays")
        assert guard(one).check(house.bad(), *ENVELOPE).verdict == "pass"


def test_a_changed_policy_file_is_read_again(tmp_path, dns):
    path = written(tmp_path, dns.address)
    with daemon(tmp_path, path) as one:
        with pytest.raises(MessageRefused) as caught:
            guard(one, stream="news").check(house.good(), *ENVELOPE)
        assert "unsubscribe/missing" in caught.value.rules
        (tmp_path / "own.toml").write_text(OWN + '[rules]\n"*" = "off"\n')
        one.signal(signal.SIGHUP)
        one.wait_for("configuration what=loaded")
        assert guard(one, stream="news").check(house.good(), *ENVELOPE).verdict == "pass"


@pytest.fixture
def start(capsys):
    """Starts a daemon that is to end by itself: exit code and the lines of stderr."""

    def started(configuration, *arguments):
        code = main(["daemon", "--config", str(configuration), *arguments])
        return code, capsys.readouterr().err.splitlines()

    return started


def test_a_second_one_on_the_same_socket_ends_and_the_first_one_serves(running, start):
    code, [line] = start(running.configuration, "--socket", str(running.socket))
    assert (code, line) == (2, f"delivcheck: listener daemon: unix:{running.socket}: address already in use")
    assert guard(running).check(house.good(), *ENVELOPE).verdict == "pass"


def test_a_file_that_is_no_socket_is_left_alone(tmp_path, running, start):
    (tmp_path / "file").write_text("mine")
    code, [line] = start(running.configuration, "--socket", str(tmp_path / "file"))
    assert (code, "there is a file that is no socket" in line) == (2, True)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[hooks]\nmode = "loud"\n', "delivcheck.toml:2: hooks.mode: "),
        ('[hooks]\nstream = "nwes"\n', "no stream 'nwes'"),
        ('policy = "no.toml"\n', "no.toml: No such file"),
        ('nameservers = ["127.0.0.1:99999"]\n', "127.0.0.1:99999"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_told_in_one_line(text, words, tmp_path, start):
    (tmp_path / "delivcheck.toml").write_text(text)
    code, lines = start(tmp_path / "delivcheck.toml", "--socket", str(tmp_path / "s"))
    assert (code, len(lines)) == (2, 1)
    assert words in lines[0]
    assert not (tmp_path / "s").exists()


def test_the_socket_is_its_owners_or_a_groups(running, tmp_path, start):
    assert stat.S_IMODE(running.socket.stat().st_mode) == 0o600
    group = grp.getgrgid(os.getegid()).gr_name
    with daemon(tmp_path, running.configuration, "--group", group) as one:
        found = one.socket.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, os.getegid())
    code, [line] = start(running.configuration, "--socket", str(tmp_path / "s"), "--group", "no-such-group")
    assert (code, "there is no group 'no-such-group'" in line) == (2, True)


def test_the_configuration_may_say_where(tmp_path, dns):
    path = written(tmp_path, dns.address, daemon="run/s")
    (tmp_path / "run").mkdir()
    with (tmp_path / "stderr").open("wb") as output:
        process = subprocess.Popen(command(path), cwd=ROOT, stderr=output)
    try:
        end = time.monotonic() + PATIENCE
        while not (tmp_path / "run" / "s").exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        assert Guard(config=path).check(house.good(), *ENVELOPE).verdict == "pass"
    finally:
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_systemd_may_open_the_socket_and_is_told(tmp_path, running):
    path, told = tmp_path / "given", tmp_path / "notify"
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        listening.bind(str(path))
        listening.listen()
        notified.bind(str(told))
        notified.settimeout(PATIENCE)
        early = checking_at(path)  # asked before there is a daemon: it waits, and is not refused
        script = 'LISTEN_PID=$$ LISTEN_FDS=1 NOTIFY_SOCKET=$1 exec 3<&$2 "${@:3}"'
        given = ["bash", "-c", script, "bash", str(told), str(listening.fileno()), *command(running.configuration)]
        process = subprocess.Popen(given, cwd=ROOT, stderr=subprocess.DEVNULL, pass_fds=[listening.fileno()])
        try:
            assert notified.recv(1000).decode() == f"READY=1\nSTATUS=judging at unix:{path}"
            assert early().verdict == "pass"
            process.send_signal(signal.SIGHUP)
            assert notified.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert notified.recv(1000).startswith(b"READY=1")
        finally:
            process.terminate()
            assert process.wait(PATIENCE) == 0
        assert notified.recv(1000) == b"STOPPING=1"
        assert path.is_socket()


def checking_at(path):
    class At:
        socket = path

    return checking(At, deadline=PATIENCE)


def test_it_prints_where_the_hook_is(capsys):
    assert main(["daemon", "--print-hook"]) == 0
    assert Path(capsys.readouterr().out.strip()) == Path(hook.__file__).resolve()
