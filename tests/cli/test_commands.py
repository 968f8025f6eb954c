"""The command line as a whole: what it imports, what it offers, how it ends."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from delivcheck import __version__
from delivcheck.cli import COMMANDS
from tests.cli.conftest import MESSAGE, environment

FULL = Path("/dev/full")

HEAVY = (
    "dns",
    "checkdmarc",
    "rich",
    "msgspec",
    "spf",
    "dkim",
    "delivcheck.catalog",
    "delivcheck.api",
    "delivcheck.checks",
    "asyncio",
    "sqlalchemy",
    "alembic",
    "fastapi",
    "uvicorn",
    "jinja2",
    "pyarrow",
    "opentelemetry",
)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["message", "--help"], ["domain", "--help"], ["nonsense"]], ids=str
)
def test_help_and_version_import_nothing_heavy(arguments):
    script = (
        "import sys; from delivcheck.cli import main; main(sys.argv[1:]); "
        f"print('LOADED', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, check=True, env=environment(), text=True
    )
    assert done.stdout.splitlines()[-1] == "LOADED []"


KEEPING = (
    "sqlalchemy",
    "alembic",
    "fastapi",
    "starlette",
    "uvicorn",
    "jinja2",
    "pyarrow",
    "opentelemetry",
    "prometheus_client",
)


def test_checking_a_message_imports_nothing_of_the_trace_and_its_service(message):
    script = (
        "import sys; from delivcheck.cli import main; main(sys.argv[1:]); "
        f"print('LOADED', [name for name in {KEEPING!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "message", str(message), "--offline", "--class", "bulk"],
        capture_output=True,
        check=True,
        env=environment(),
        text=True,
    )
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_help_names_the_commands_that_are_there_and_no_others(run):
    listed = run("--help").out.partition("Commands:\n")[2]
    assert [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "] == list(COMMANDS)
    assert set(COMMANDS) == {
        "domain",
        "message",
        "template",
        "diff",
        "spf",
        "explain",
        "rules",
        "gate",
        "held",
        "key",
        "user",
        "demo",
        "completion",
        "trace",
        "stats",
        "events",
        "erase",
        "backup",
        "suppress",
        "routing",
        "webhook",
        "postmaster",
        "bounce",
        "daemon",
        "sendmail",
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(run, name):
    ran = run(name, "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"Usage: delivcheck {name}")


def test_version(run):
    assert run("--version").out == f"delivcheck {__version__}\n"


def test_nothing_at_all_gets_the_help_and_a_usage_error(run):
    ran = run()
    assert ran.code == 2
    assert ran.out == ""
    assert "Commands:" in ran.err


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("mesage", "no command 'mesage'; did you mean message?"),
        ("xyz", "no command 'xyz'"),
        ("example.com", "'example.com' is no command; did you mean delivcheck domain example.com?"),
        ("lunch.eml", "'lunch.eml' is no command; did you mean delivcheck message lunch.eml?"),
        ("gait", "no command 'gait'; did you mean gate?"),
    ],
)
def test_a_wrong_command_gets_the_one_that_was_meant(run, message, word, says):
    ran = run(word)
    assert ran.code == 2
    assert ran.err.startswith(f"delivcheck: {says}")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell"])
def test_completion_prints_a_script(run, shell):
    ran = run("completion", shell)
    assert ran.code == 0
    assert "_DELIVCHECK_COMPLETE" in ran.out


def test_completion_knows_rules_and_policies(process):
    def completed(words):
        ran = process(env={"_DELIVCHECK_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()))})
        return {line.partition(",")[2] for line in ran.out.splitlines()}

    assert "class/undeclared" in completed("delivcheck explain")
    assert {"bulk", "transactional"} <= completed("delivcheck message --policy")
    assert {"domain", "message", "explain"} <= completed("delivcheck")


# --- how a run ends ----------------------------------------------------------------------------------------------


def _broken_rule(folder):
    """An installed package whose only rule always raises."""
    package = folder / "broken_rules"
    (package / "rules" / "broken").mkdir(parents=True)
    (package / "__init__.py").write_text(
        "from delivcheck.engine import rule\n"
        "from delivcheck.facts.roots import Octets\n"
        "@rule('broken/always')\n"
        "def always(octets: Octets):\n"
        "    raise KeyError('on purpose')\n"
        "    yield\n"
    )
    (package / "rules" / "broken" / "always.toml").write_text(
        'title = "t"\nlevel = "error"\nbasis = "practice"\nsince = "0.1"\ntargets = ["message"]\nstage = "template"\n'
        'why = "w"\nfix = "f"\n[[source]]\nname = "s"\nchecked = 2026-11-22\n'
    )
    info = folder / "broken_rules-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-rules\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[delivcheck.rules]\nbroken = broken_rules\n")
    return {"PYTHONPATH": os.pathsep.join([environment()["PYTHONPATH"], str(folder)])}


@pytest.mark.parametrize("form", ["text", "jsonl"])
def test_a_fault_of_our_own_is_70_in_every_format_and_asks_for_a_report(process, message, tmp_path, form):
    ran = process("message", message, "--offline", "--class", "bulk", "--format", form, env=_broken_rule(tmp_path))
    assert ran.code == 70
    assert ran.err.count("\n") == 1
    assert "the check broken/always failed; please report this, with what `delivcheck -v ...` adds" in ran.err
    assert "Traceback" not in ran.err


def test_a_fault_of_our_own_shows_its_traceback_with_v(process, message, tmp_path):
    ran = process("message", message, "--offline", "-v", env=_broken_rule(tmp_path))
    assert ran.code == 70
    assert "KeyError: 'on purpose'" in ran.err
    assert all(line.startswith("delivcheck: ") for line in ran.err.splitlines())


def test_a_rule_of_an_installed_package_is_listed(process, tmp_path):
    ran = process("message", "--offline", "-", stdin=MESSAGE, env=_broken_rule(tmp_path))
    assert "broken/always" in ran.out


def test_who_stops_reading_gets_no_traceback(tmp_path):
    for number in range(300):
        (tmp_path / f"{number}.eml").write_bytes(MESSAGE)
    with subprocess.Popen(
        [sys.executable, "-m", "delivcheck", "message", str(tmp_path), "--offline", "--format", "jsonl", "-v"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as running:
        running.stdout.readline()
        running.stdout.close()
        errors = running.stderr.read()
        code = running.wait(60)
    assert errors == b""
    assert code == 141


@pytest.fixture
def silence():
    """The socket of a name server that never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(30)
        yield listening


@pytest.fixture
def silent_server(silence):
    """Its address."""
    return f"127.0.0.1:{silence.getsockname()[1]}"


def test_control_c_ends_quietly_with_130(silence, silent_server):
    with subprocess.Popen(
        [sys.executable, "-m", "delivcheck", "domain", "example.com", "--nameserver", silent_server, "--timeout", "30"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as running:
        silence.recv(512)  # the first question is there, so the run is under way
        running.send_signal(signal.SIGINT)
        out, errors = running.communicate(timeout=30)
    assert running.returncode == 130
    assert out == b""
    assert errors.strip() == b"delivcheck: interrupted"


def test_control_c_does_not_wait_for_standard_input():
    with subprocess.Popen(
        [sys.executable, "-m", "delivcheck", "message", "-", "--offline"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as running:
        running.stdin.write(MESSAGE)
        running.stdin.flush()
        time.sleep(5)
        running.send_signal(signal.SIGINT)
        started = time.monotonic()
        errors = running.stderr.read()
        code = running.wait(30)
    assert (code, errors.strip()) == (130, b"delivcheck: interrupted")
    assert time.monotonic() - started < 100


def test_json_lines_come_while_standard_input_is_still_open(tmp_path):
    (tmp_path / "z").write_text("$ORIGIN example.com.\n@ IN SOA a b 1 2 3 4 5\n")
    with subprocess.Popen(
        [sys.executable, "-m", "delivcheck", "domain", "-", "--zone", "z", "--zone-only", "-f", "jsonl"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env=environment(),
    ) as running:
        for name in ("one.example", "two.example"):
            running.stdin.write(f"{name}\n".encode())
            running.stdin.flush()
            assert json.loads(running.stdout.readline())["target"] == name
        running.stdin.close()
        assert running.wait(30) in {0, 1, 4}


@pytest.mark.skipif(not FULL.exists(), reason="no full device there")
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_full_disk_is_no_fault_of_ours(message, form):
    with FULL.open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "delivcheck", "message", str(message), "--offline", "-f", form],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            check=False,
        )
    assert (done.returncode, done.stderr) == (2, b"delivcheck: standard output: No space left on device\n")


def test_without_standard_streams_nothing_breaks(message):
    command = f"exec {sys.executable} -m delivcheck message {message} --offline <&- >&-"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, env=environment(), check=False)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_silent_name_server_is_unknown_inside_the_timeout(process, silent_server):
    started = time.monotonic()
    ran = process("spf", "example.com", "--nameserver", silent_server, "--timeout", "1")
    assert ran.code == 4
    assert ran.out.startswith("UNKNOWN: example.com: DNS did not answer")
    assert time.monotonic() - started < 100


def test_progress_is_for_terminals_only(process, silent_server):
    assert process("domain", "example.com", "--nameserver", silent_server, "--timeout", "1.5").err == ""


# --- colour ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "env", "coloured"),
    [
        ((), {}, False),
        ((), {"FORCE_COLOR": "1"}, True),
        ((), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
        (("--color", "never"), {"FORCE_COLOR": "1"}, False),
    ],
    ids=str,
)
def test_colour_only_where_it_is_wanted(run, message, monkeypatch, arguments, env, coloured):
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    ran = run("message", message, "--offline", *arguments)
    assert ("\x1b[" in ran.out) is coloured


def test_colour_changes_no_word(run, message):
    plain = run("message", message, "--offline", "--color", "never").out
    coloured = run("message", message, "--offline", "--color", "always").out
    times = re.compile(r"\d+\.\d+ s")
    assert times.sub("", re.sub(r"\x1b\[[0-9;]*m", "", coloured)).replace("always", "never") == times.sub("", plain)


def test_a_terminal_that_is_not_utf_8_gets_ascii(process, tmp_path):
    (tmp_path / "bücher.eml").write_bytes(MESSAGE.replace(b"Ada", "Ädä".encode()))
    ran = process("message", "bücher.eml", "--offline", env={"PYTHONIOENCODING": "ascii"})
    assert ran.code in {0, 1, 4}
    assert ran.out.isascii()


def test_json_is_utf_8_whatever_the_terminal_is(process, tmp_path):
    (tmp_path / "bücher.eml").write_bytes(MESSAGE)
    ran = process("message", "bücher.eml", "--offline", "-f", "json", env={"PYTHONIOENCODING": "ascii"})
    assert json.loads(ran.out)["targets"][0]["target"] == "bücher.eml"


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
def test_progress_is_drawn_on_a_terminal_after_half_a_second_and_taken_away(silent_server):
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "delivcheck",
            "domain",
            "example.com",
            "--nameserver",
            silent_server,
            "--timeout",
            "2",
            "-f",
            "json",
        ],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment(TERM="xterm"),
    ) as running:
        os.close(theirs)
        drawn = b""
        with contextlib.suppress(OSError):  # the other side is closed
            while part := os.read(ours, 4096):
                drawn += part
        json.loads(running.stdout.read())
    os.close(ours)
    assert b"\r\x1b[K0 checked, 1 s, example.com" in drawn or b"\r\x1b[K0 checked, 0 s, example.com" in drawn
    assert drawn.endswith(b"\r\x1b[K")
