"""The standalone hook: a process on the interpreter alone, through a real daemon, into a real SMTP sink."""

import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck import hook, ulid
from delivcheck.integrations import bypass, case, settings
from delivcheck.integrations.errors import MessageRefused, MessageUndetermined
from delivcheck.integrations.ruling import Ruling, Wanted
from tests.integrations import house
from tests.integrations.daemons import daemon

SENDING = """\
import smtplib, sys
host, port, sender, recipient = sys.argv[1:]
with smtplib.SMTP(host, int(port)) as server:
    server.sendmail(sender, [recipient], sys.stdin.buffer.read())
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A daemon over a name server that has the domain in order."""
    folder = tmp_path_factory.mktemp("daemon")
    with house.name_server() as dns, daemon(folder, house.configuration(folder, nameserver=dns.address, timeout=10.0)) as one:
        yield one


@pytest.fixture(scope="module")
def deaf(tmp_path_factory):
    """A daemon whose name server never answers."""
    folder = tmp_path_factory.mktemp("deaf")
    with (
        house.dead_name_server() as dns,
        daemon(folder, house.configuration(folder, nameserver=dns.address, timeout=0.3)) as one,
    ):
        yield one


@pytest.fixture
def sink():
    with house.sink() as one:
        yield one


def program(*arguments, script=hook.__file__):
    return [sys.executable, "-I", "-S", str(script), *map(str, arguments)]


def run(message, socket, *arguments):
    envelope = ("--mail-from", house.BOUNCES, "--rcpt-to", house.RECIPIENT)
    command = program("--socket", socket, *envelope, *arguments)
    return subprocess.run(command, input=message, capture_output=True, check=False)


@pytest.fixture
def sending(tmp_path, sink):
    """A command that sends what is on its standard input to the sink."""
    script = tmp_path / "sending.py"
    script.write_text(SENDING)
    return ["--then", sys.executable, script, sink.host, sink.port, house.BOUNCES, house.RECIPIENT]


# --- the four outcomes -------------------------------------------------------------------------------------------


def test_a_good_message_arrives_octet_for_octet(running, sink, sending, tmp_path):
    message, record = house.good("Grüße.\r\n.\r\n..dots", Content_Transfer_Encoding="8bit"), tmp_path / "record"
    done = run(message, running.socket, "--record", record, *sending)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [one.octets for one in sink.messages] == [case.wire(message)]
    assert not record.exists()


def test_a_bad_message_is_refused_with_the_rules_id(running, sink, sending, tmp_path):
    done = run(house.bad(), running.socket, "--record", tmp_path / "record", *sending)
    assert (done.returncode, done.stdout) == (hook.REFUSED, b"")
    assert re.fullmatch(rf"delivcheck: refused: 550 5\.7\.1 .*{house.BAD_RULE}.*\n", done.stderr.decode())
    assert sink.messages == []
    [event] = house.recorded(tmp_path / "record")
    assert (event["event"], event["rules"], event["mail_from"]) == ("refused", [house.BAD_RULE], house.BOUNCES)
    assert event["trace"] in done.stderr.decode()


def test_without_dns_a_message_is_sent_and_recorded(deaf, sink, sending, tmp_path):
    message = house.good()
    done = run(message, deaf.socket, "--record", tmp_path / "record", *sending)
    assert done.returncode == 0
    assert b"sent without a pass: unknown: " in done.stderr
    assert [one.octets for one in sink.messages] == [case.wire(message)]
    [event] = house.recorded(tmp_path / "record")
    assert (event["event"], event["verdict"], event["rcpt_to"]) == ("bypassed", "unknown", [house.RECIPIENT])


def test_without_dns_a_caller_that_tries_again_is_told_to(deaf, sink, sending):
    done = run(house.good(), deaf.socket, "--on-unknown", "raise", *sending)
    assert done.returncode == hook.TEMPFAIL
    assert done.stderr.startswith(b"delivcheck: not now: 451 4.")
    assert sink.messages == []


def test_observing_never_stops_mail(running, sink, sending, tmp_path):
    done = run(house.bad(), running.socket, "--observe", "--record", tmp_path / "record", *sending)
    assert done.returncode == 0
    assert len(sink.messages) == 1
    [event] = house.recorded(tmp_path / "record")
    assert (event["event"], event["rules"]) == ("bypassed", [house.BAD_RULE])
    assert event["reason"].startswith("observe: refuse: ")


# --- a daemon that is not there ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "code", "event", "sent"), [((), 0, "bypassed", 1), (("--on-unknown=raise",), 75, "deferred", 0)]
)
def test_without_a_daemon_mail_is_sent_and_recorded_or_waits(more, code, event, sent, sink, sending, tmp_path):
    done = run(house.good(), tmp_path / "nobody", "--record", tmp_path / "record", *more, *sending)
    assert done.returncode == code
    assert f"{tmp_path}/nobody: No such file or directory" in done.stderr.decode()
    assert len(sink.messages) == sent
    [found] = house.recorded(tmp_path / "record")
    assert found["event"] == event
    assert ulid.valid(found["trace"])


def test_a_record_that_cannot_be_written_stops_nothing(tmp_path):
    done = run(house.good(), tmp_path / "nobody", "--record", tmp_path / "no" / "folder")
    assert done.returncode == 0
    assert b"not recorded" in done.stderr


def test_a_record_that_nobody_reads_holds_nothing_up(tmp_path):
    os.mkfifo(tmp_path / "record")
    done = run(house.good(), tmp_path / "nobody", "--record", tmp_path / "record")
    assert done.returncode == 0
    assert b"not recorded" in done.stderr


# --- as a program ------------------------------------------------------------------------------------------------


def test_it_needs_nothing_but_the_interpreter(running, tmp_path):
    """Copied elsewhere, beside modules that would break it: only what an interpreter has anyway, and _socket, is imported."""
    script = Path(shutil.copy(hook.__file__, tmp_path))
    for name in ("time", "os", "_socket", "socket", "json", "delivcheck"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not this one')")

    def imported(*command, message=b""):
        given = [sys.executable, "-I", "-S", "-X", "importtime", *map(str, command)]
        done = subprocess.run(given, input=message, capture_output=True, check=True, cwd=tmp_path)
        return {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines() if "|" in line}

    asked = imported(script, "--socket", running.socket, "--mail-from", house.BOUNCES, message=house.good())
    assert asked - imported("-c", "pass") == {"_socket"}


def test_a_message_with_lf_is_judged_and_handed_on_with_crlf(running):
    message = house.good()
    done = run(message.replace(b"\r\n", b"\n"), running.socket, "--then", "cat")
    assert (done.returncode, done.stdout) == (0, message)


def test_a_command_that_wants_its_own_line_ends_gets_them(running):
    message = house.good().replace(b"\r\n", b"\n")
    assert run(message, running.socket, "--as-given", "--then", "cat").stdout == message


def test_it_stands_in_a_pipe_of_a_shell(running, tmp_path):
    (tmp_path / "message").write_bytes(house.good())
    hooked = shlex.join(program("--socket", running.socket, "--mail-from", house.BOUNCES, "--rcpt-to", house.RECIPIENT))
    line = f"cat message | {hooked} --then tee copy | wc -c; {hooked} < message && echo passed"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, env={}, capture_output=True, text=True, check=True)
    octets = case.wire((tmp_path / "message").read_bytes())
    assert done.stdout.split() == [str(len(octets)), "passed"]
    assert (tmp_path / "copy").read_bytes() == octets


def test_the_socket_may_stand_in_the_environment(running):
    done = subprocess.run(
        program("--mail-from", house.BOUNCES),
        input=house.bad(),
        env={"DELIVCHECK_SOCKET": str(running.socket)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == hook.REFUSED


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [(["sh", "-c", "exit 42"], 42, b""), (["no-such-program-here"], 127, b"No such file"), (["/"], 126, b"Permission denied")],
)
def test_the_exit_code_is_the_commands(running, command, code, words):
    done = run(house.good(), running.socket, "--then", *command)
    assert done.returncode == code
    assert words in done.stderr


def test_a_command_dies_of_a_closed_pipe_as_it_would_from_a_shell(running):
    done = subprocess.run(
        [
            "sh",
            "-c",
            f"{shlex.join(program('--socket', running.socket, '--observe', '--then', 'sh', '-c', 'yes; echo $? >&2'))} | head -1",
        ],
        input=house.good(),
        capture_output=True,
        check=False,
    )
    assert (done.stdout, done.stderr.splitlines()[-1]) == (b"y\n", b"141")


def test_without_files_in_memory_a_pipe_does(running):
    message = house.good("A line that is not the shortest one.\r\n" * 5_000)
    arguments = ["hook.py", "--socket", str(running.socket), "--mail-from", house.BOUNCES, "--then", "cat"]
    source = f"compile(open({hook.__file__!r}, encoding='utf-8').read(), 'hook.py', 'exec')"
    code = f"import posix, sys; del posix.memfd_create; sys.argv = {arguments!r}; exec({source}, {{'__name__': '__main__'}})"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], input=message, capture_output=True, check=True)
    assert done.stdout == case.wire(message)


def test_a_limit_to_the_size_of_files_is_none_to_the_message(running):
    message = house.good("A line that is not the shortest one.\r\n" * 5_000)
    command = program("--socket", running.socket, "--mail-from", house.BOUNCES, "--then", "cat")
    limited = ["sh", "-c", f"ulimit -f 1; exec {shlex.join(command)}"]
    done = subprocess.run(limited, input=message, capture_output=True, check=True)
    assert done.stdout == case.wire(message)


def test_a_command_gets_its_signals_as_from_a_shell(running):
    command = program("--socket", running.socket, "--observe", "--then", "grep", "SigIgn", "/proc/self/status")
    done = subprocess.run(command, input=house.good(), capture_output=True, check=True)
    ignored = int(done.stdout.split()[1], 16)
    assert not ignored >> signal.SIGPIPE - 1 & 1
    assert not ignored >> signal.SIGXFSZ - 1 & 1


@pytest.mark.parametrize("observe", [(), ("--observe",)])
def test_a_message_that_cannot_be_read_is_not_one_that_is_refused(observe, tmp_path):
    command = program("--socket", tmp_path / "nobody", *observe, "--then", "touch", tmp_path / "sent")
    done = subprocess.run(["sh", "-c", f"{shlex.join(command)} <&-"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (74, b"delivcheck: the message cannot be read: standard input is closed\n")
    assert not (tmp_path / "sent").exists()


def test_without_memory_for_the_question_mail_is_sent_and_for_the_message_it_is_unread(monkeypatch, capsys, tmp_path):
    def without(*_):
        raise MemoryError

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(house.good())))
    monkeypatch.setattr(hook, "ask", without)
    assert hook.main(["--record", str(tmp_path / "record")]) == 0
    assert "MemoryError" in house.recorded(tmp_path / "record")[0]["reason"]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=SimpleNamespace(read=without)))
    assert hook.main([]) == 74
    assert "the message cannot be read: MemoryError" in capsys.readouterr().err


def test_a_bug_is_not_a_refusal(monkeypatch, capsys):
    monkeypatch.setattr(hook, "main", lambda _: 1 // 0)
    assert hook.run() == 70
    assert "our own fault: ZeroDivisionError" in capsys.readouterr().err


def test_a_message_that_cannot_be_handed_on_is_for_later(monkeypatch, capsys):
    def without(*_):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(hook, "_held", without)
    assert hook._then(["cat"], b"") == 75
    assert "cannot be handed on: Resource" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--no-such"], "--no-such: no such option"),
        (["message.eml"], "message.eml: no such option"),
        (["--mail-from"], "a value is wanted"),
        (["--then"], "a command is wanted"),
        (["--class", "news"], "bulk or transactional, not 'news'"),
        (["--signed-later=perhaps"], "yes or no, not 'perhaps'"),
        (["--deadline", "nan"], "seconds above 0 and below 600"),
        (["--deadline", "soon"], "seconds above 0 and below 600"),
        (["--observe=no"], "no such option"),
    ],
)
def test_words_it_does_not_know_are_an_error_of_usage(arguments, words, capsys):
    assert hook.main(arguments) == hook.USAGE
    assert words in capsys.readouterr().err


def test_the_help_names_every_option(capsys):
    assert hook.main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in (*hook._VALUES, "--observe", "--as-given", "--smtputf8", "--then"))


# --- the same as everywhere --------------------------------------------------------------------------------------


@pytest.mark.parametrize("observe", [False, True])
@pytest.mark.parametrize("on_unknown", ["send", "raise"])
@pytest.mark.parametrize("wanted", Wanted)
@pytest.mark.parametrize("verdict", ["pass", "fail", "unknown"])
@pytest.mark.parametrize("bypassed", [None, "on-unknown"])
def test_what_follows_is_what_follows_in_a_guard(observe, on_unknown, wanted, verdict, bypassed, tmp_path):
    record = tmp_path / "record"
    ruling = Ruling(wanted, verdict, 451, "4.4.3", "later", ulid.new(), ("a/b",), "why", bypassed)
    made = house.guard(mode="observe" if observe else "enforce", on_unknown=on_unknown, record=record)
    code = 0
    try:
        made._done(made._case, ruling, "hook")
    except MessageRefused:
        code = hook.REFUSED
    except MessageUndetermined:
        code = hook.TEMPFAIL
    events = [(one["event"], one["reason"]) for one in house.recorded(record)]

    answer = hook.Answer([f"{wanted} {verdict} 451 4.4.3 {ruling.trace}".encode(), b"text: later", b"reason: why"])
    answer.bypass = bypassed
    options = hook.Options([*(["--observe"] if observe else []), "--on-unknown", on_unknown])
    what, reason, found = hook._follows(answer, options)
    assert (found, [(what, reason)] if what else []) == (code, events)


def test_a_record_has_the_fields_of_every_hook(tmp_path):
    run(house.good(), tmp_path / "nobody", "--record", tmp_path / "record", "--stream", "receipts", "--policy", "strict")
    [event] = house.recorded(tmp_path / "record")
    assert list(event) == [one.name for one in fields(bypass.Event)]
    assert (event["stream"], event["policy"], event["hook"]) == ("receipts", "strict", "hook")


def test_the_numbers_are_those_of_every_hook():
    assert (hook.DEADLINE, hook.SOCKET.encode() in hook.HELP.encode()) == (settings.DEADLINE, True)


def test_its_ids_are_ids():
    assert ulid.valid(hook._ulid())


@given(st.binary())
def test_its_octets_are_those_of_every_hook(octets):
    assert hook.wire(octets) == case.wire(octets)


@given(st.one_of(st.none(), st.text(), st.lists(st.text())))
def test_its_json_is_json(value):
    assert json.loads(hook._json(value)) == value


@given(st.text(st.characters(exclude_categories=[])))
def test_every_text_comes_through_a_line(text):
    line = hook.escaped(text)
    assert not any(one < 32 or one == 127 for one in line)
    assert hook.unescaped(line) == text


@given(st.binary())
def test_what_is_no_value_is_an_error_of_the_protocol(octets):
    """It returns, or raises that."""
    try:
        assert isinstance(hook.unescaped(octets), str)
    except hook.ProtocolError as error:
        assert "not UTF-8 with %XX" in str(error)


@given(
    st.lists(
        st.one_of(st.binary(), st.sampled_from([b"send pass 250 - X", b"report: 9", b"report: -1", b"text: x"])), min_size=1
    )
)
def test_what_is_no_answer_is_an_error_of_the_protocol(lines):
    """It returns, or raises that."""
    try:
        assert hook.Answer(lines).wanted in {"send", "refuse", "defer", "fault"}
    except hook.ProtocolError as error:
        assert str(error)
