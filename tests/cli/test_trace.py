"""The trace on the command line: found, shown, counted, followed, erased, backed up; with the exit codes of all commands."""

import csv
import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

import pytest

from delivcheck.gate.held import HeldStore
from delivcheck.gate.settings import Hold
from delivcheck.trace import audit
from delivcheck.trace.model import Actor, Kind
from delivcheck.trace.store import Store
from tests.cli.conftest import environment
from tests.gate.test_held import hold
from tests.trace.told import ADA, BOB, event, message, refused, sent, tell, trace

COMMANDS = ("trace", "stats", "events", "erase", "backup")
HEAVY = ("sqlalchemy", "alembic", "pyarrow", "psycopg", "fastapi", "msgspec", "dns", "rich")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'trace.sqlite'}"
        return
    postgres = request.getfixturevalue("postgres")
    name = postgres.create()
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture
def store(url):
    made = Store(url)
    made.migrate()
    yield made
    made.close()


@pytest.fixture
def now():
    return time.time_ns() // 1_000_000


@pytest.fixture
def told(store, now, run):
    """Three sent, one of which bounced for one of two, and one refused; a command line that knows the store."""
    two = message(
        2, now - 1_000, to=(ADA, BOB), subject="Für \x1b[31mSie", headers=b"From: a@example.com\r\nTo: b\r\n", tags=("vip",)
    )
    records = [record for number in range(2) for record in sent(message(number, now - 5_000 + number))]
    records += [
        *sent(two),
        event(two, Kind.BOUNCED, BOB, 500, source="dsn", text="<\x1b]0;x\x07> no such user", status="5.1.1"),
    ]
    records += [event(two, Kind.OPENED, ADA, 700, "1", source="collector", actor=Actor.MACHINE), *refused(3, now)]
    tell(store, records)
    go = lambda *arguments, **more: run(*arguments, "--store", store.url.render_as_string(hide_password=False), **more)  # noqa: E731 -- a fixture
    return go, trace(2, now - 1_000)


@pytest.mark.attack(68)
def test_a_message_is_shown_with_its_timeline_and_nothing_of_it_acts_on_the_terminal(told):
    go, name = told
    ran = go("trace", name.lower())
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == name
    assert "  subject     Für ␛[31mSie" in lines
    assert "  <ada@gmail.com> (gmail)  " in "\n".join(lines)
    assert "  <bob@example.org>  bounced" in lines
    shown = [re.sub(r"^  [-0-9]{10} [:0-9.]{12}  ", "", line) for line in lines if re.match(r"  20\d\d-", line)]
    assert [line.split()[0] for line in shown] == ["accepted", "checked", "sent", "bounced", "opened"]
    assert "<bob@example.org> [dsn] status: 5.1.1, <␛]0;x␇> no such user" in " ".join(ran.out.split())
    assert "\x1b" not in ran.out


def test_the_header_is_shown_where_it_was_kept(told):
    go, name = told
    assert "From: a@example.com" in go("trace", name, "--headers").out
    assert "From: a@example.com" not in go("trace", name).out
    refused_one = go("trace", "--last", "1", "--format", "json").json["messages"][0]["id"]
    assert "(the header was not kept)" in go("trace", refused_one, "--headers").out


def test_a_message_as_json_and_its_events_as_lines(told):
    go, name = told
    whole = go("trace", name, "-f", "json").json
    assert whole["schema"] == "delivcheck-trace/1"
    assert (whole["id"], whole["tags"], whole["has_headers"]) == (name, ["vip"], True)
    assert [one["rcpt"] for one in whole["recipients"]] == [ADA, BOB]
    lines = go("trace", name, "-f", "jsonl").lines
    assert lines == whole["events"]
    assert {one["event"] for one in lines} == {"accepted", "checked", "sent", "bounced", "opened"}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["01ARZ3NDEKTSV4RRFFQ69G5FAV"], 3, "no such message"),
        (["not-an-id"], 2, "no trace id"),
        ([], 2, "which message?"),
        (["01ARZ", "--last", "2"], 2, "an ID is one message"),
        (["--search", "colour:red"], 2, "no key 'colour'"),
        (["--search", 'to:"x'], 2, "quotation mark"),
        (["--recipient", "bob"], 2, "for all of a domain say @bob"),
        (["--recipient", "a@b", "--search", "to:c@d"], 2, "one is enough"),
        (["--last", "0"], 2, "x>=1"),
        (["--last", "1", "--tenant", "nobody"], 3, "there is no tenant 'nobody'"),
    ],
)
def test_what_is_not_found_and_what_is_not_understood_are_told_apart(told, arguments, code, said):
    go, _ = told
    ran = go("trace", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_the_beginning_of_an_id_is_enough_where_it_is_one_message(told):
    go, name = told
    assert go("trace", name[:25].lower()).out.startswith(f"{name}\n")  # their times differ before that
    ran = go("trace", name[:5])
    assert (ran.code, ran.out) == (3, "")
    assert "several" in ran.err


def test_messages_are_listed_newest_first(told):
    go, name = told
    rows = go("trace", "--recipient", "BOB@example.org").out.splitlines()
    assert [row.split()[0][-1] for row in rows] == ["3", "2", "1", "0"]
    assert "<ada@gmail.com> and 1 more  1 bounced, 1 sent" in rows[1]
    assert rows[0].endswith("refused  Receipt 3  dkim/missing")
    limited = go("trace", "--last", "2").out.splitlines()
    assert limited[-1] == "... and older ones; --last 4 shows more"
    assert go("trace", "--search", "tag:vip status:bounced").out.startswith(name)
    assert go("trace", "--search", "tag:none").out == "no message matches\n"
    found = go("trace", "--last", "1", "-f", "json").json
    assert (len(found["messages"]), found["more"]) == (1, True)


def test_what_is_found_is_exported(told, tmp_path):
    go, _ = told
    rows = list(csv.DictReader(io.StringIO(go("trace", "-s", "", "-f", "csv").out, newline="")))
    assert [row["rcpt"] for row in rows] == [BOB, ADA, BOB, BOB, BOB]
    assert len(go("trace", "-s", "tag:vip", "-f", "jsonl").lines) == 2
    file = tmp_path / "out.parquet"
    assert go("trace", "-n", "1", "-f", "parquet", "-o", file).out == ""
    assert file.read_bytes()[:4] == file.read_bytes()[-4:] == b"PAR1"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".out")] == []


def test_a_file_that_cannot_be_written_is_a_line(told, tmp_path):
    go, _ = told
    ran = go("events", "-o", tmp_path / "gone" / "x")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "No such file or directory" in ran.err


def test_without_a_store_nothing_is_made_and_a_line_says_so(run, tmp_path):
    for command in (["trace", "--last", "1"], ["stats"], ["events"], ["erase", "a@b.c", "--yes"], ["backup", "create", "x"]):
        ran = run(*command, "--store", f"sqlite:///{tmp_path}/gone.sqlite")
        assert (ran.code, ran.out) == (3, "")
        assert ran.err.count("\n") == 1
        assert run(*command).code == 2  # no configuration either
        assert run(*command, "--store", "nonsense://x").code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def configured(store, tmp_path):
    """The folder has a configuration that leads to the store."""
    trace_table = "" if store.sqlite else f'url = "{store.url.render_as_string().replace("+psycopg", "")}"'
    (tmp_path / "delivcheck.toml").write_text(
        f"""
        [gate]
        state = "{tmp_path}"
        name = "gate.example.com"
        [[gate.listen]]
        kind = "milter"
        address = "127.0.0.1:8890"
        [gate.trace]
        {trace_table}
        """
    )


@pytest.mark.usefixtures("configured")
def test_the_store_is_found_by_the_configuration(store, now, run):
    tell(store, sent(message(0, now)))
    ran = run("trace", "--last", "1")
    assert (ran.code, ran.err) == (0, "")
    assert "Receipt 0" in ran.out


# --- figures ---------------------------------------------------------------------------------------------------------


def test_figures_are_drawn_and_told(told):
    go, _ = told
    ran = go("stats")
    assert (ran.code, ran.err) == (0, "")
    lines = [line.split() for line in ran.out.splitlines() if re.match(r"  [a-z]+ +\d", line)]
    rows = {line[0]: line for line in lines}
    assert [rows[kind][1] for kind in ("accepted", "sent", "refused", "bounced", "opened")] == ["5", "4", "1", "1", "1"]
    assert "too few to say (1 of 5)" in ran.out
    assert "0 human-likely, 1 machine, 0 unknown" in ran.out
    assert "█" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80
    data = go("stats", "-f", "json").json
    assert data["counts"]["bounced"] == {"events": 1, "recipients": 1}
    assert data["rates"]["bounced"]["enough"] is False
    assert (data["rates"]["bounced"]["k"], data["rates"]["bounced"]["n"]) == (1, 4)
    assert len(data["points"]) == 30
    rows = list(csv.DictReader(io.StringIO(go("stats", "-f", "csv").out)))
    assert sum(int(row["accepted"]) for row in rows) == 5


def test_figures_by_what_mail_has_in_common(told):
    go, _ = told
    text = go("stats", "--by", "tag").out
    assert [line.split()[0] for line in text.splitlines()[3:5]] == ["eu", "vip"]
    assert go("stats", "--by", "rule", "-f", "json").json["groups"][0]["value"] == "dkim/missing"
    assert go("stats", "--by", "provider", "--only", "gmail", "-f", "json").json["counts"]["accepted"]["recipients"] == 1
    assert "no mail in this time" in go("stats", "--by", "tag", "--only", "x").out
    assert go("stats", "--only", "x").code == 2
    assert go("stats", "--step", "hour", "--days", "3000").code == 2


def test_a_terminal_without_unicode_gets_ascii(told, monkeypatch, store):
    shown = subprocess.run(
        [sys.executable, "-m", "delivcheck", "stats", "--store", store.url.render_as_string(hide_password=False)],
        env=environment(PYTHONIOENCODING="ascii", LC_ALL="C", PYTHONUTF8="0"),
        capture_output=True,
        check=True,
    ).stdout
    assert shown.isascii()
    assert b"####" in shown


# --- events ----------------------------------------------------------------------------------------------------------


def test_events_are_written_in_the_order_they_became_known(told):
    go, _ = told
    every = go("events").lines
    assert len(every) == 16
    assert [one["cursor"] for one in every] == sorted(one["cursor"] for one in every)
    assert go("events", "--after", every[9]["cursor"]).lines == every[10:]
    assert [one["event"] for one in go("events", "--kind", "bounced", "--kind", "OPENED").lines] == ["bounced", "opened"]
    assert go("events", "--since", "1h").lines == every
    assert go("events", "--until", "1h").lines == []
    assert go("events", "--kind", "lost").code == 2
    assert go("events", "--since", "soon").code == 2
    assert go("events", "--follow", "--format", "csv").code == 2


def test_events_are_followed_until_somebody_stops_it(store, now):
    tell(store, sent(message(0, now)))
    address = store.url.render_as_string(hide_password=False)
    with subprocess.Popen(
        [sys.executable, "-m", "delivcheck", "events", "--follow", "--after", "0", "--store", address],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        first = [json.loads(process.stdout.readline())["event"] for _ in range(3)]
        tell(store, sent(message(1, now)))
        then = [json.loads(process.stdout.readline())["message_id"] for _ in range(3)]
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    assert first == ["accepted", "checked", "sent"]
    assert then == [trace(1, now)] * 3


def test_csv_on_a_terminal_does_not_act_and_parquet_is_not_for_it(told, store):
    address = store.url.render_as_string(hide_password=False)

    def on_terminal(*arguments):
        leader, follower = pty.openpty()
        process = subprocess.Popen([sys.executable, "-m", "delivcheck", *arguments, "--store", address], env=environment(), stdout=follower, stderr=follower)  # fmt: skip
        os.close(follower)
        shown = b""
        try:
            while piece := os.read(leader, 65_536):
                shown += piece
        except OSError:  # what Linux says when the other side has closed
            pass
        os.close(leader)
        return process.wait(20), shown

    code, shown = on_terminal("trace", "-s", "tag:vip", "-f", "csv")
    assert code == 0
    assert b"\x1b" not in shown
    code, shown = on_terminal("events", "-f", "parquet")
    assert code == 2
    assert b"not for a terminal" in shown


# --- erasure, backup -------------------------------------------------------------------------------------------------


def test_a_person_is_erased_and_it_stands_in_the_audit_log(told, store):
    go, name = told
    assert go("erase", BOB, stdin=b"").code == 2  # nobody to ask
    ran = go("erase", BOB.upper(), "--yes", "--reference", "ticket 7")
    assert (ran.code, ran.out, ran.err) == (0, "BOB@EXAMPLE.ORG: erased from 4 messages, 0 suppressions kept\n", "")
    assert "bob@" not in go("events").out.lower()
    assert "@invalid>  bounced" in go("trace", name).out
    with store.read() as db:
        (note,) = audit.read(db, 1, action="erase")
    assert note.object == "ticket 7"
    assert note.who.startswith("cli:")
    again = go("erase", BOB, "--yes")
    assert (again.code, again.out) == (3, "")
    assert go("erase", "bob", "--yes").code == 2


@pytest.mark.usefixtures("configured")
def test_held_mail_of_an_erased_person_is_named(run, tmp_path):
    entry = hold(HeldStore(tmp_path, Hold()))
    ran = run("erase", "Bob@Example.org", "--yes")
    assert ran.code == 1
    assert ran.err == f"delivcheck: held mail to Bob@Example.org is left: delivcheck held discard {entry.trace}\n"
    assert run("erase", "nobody@example.org", "--yes").code == 3


def test_a_backup_is_made_and_put_back(told, store, tmp_path):
    go, _ = told
    store.close()  # PostgreSQL's is put back only where nobody else has it open
    file = tmp_path / "copy"
    made = go("backup", "create", file)
    assert (made.code, made.err) == (0, "")
    assert re.fullmatch(rf"{re.escape(str(file))}: \d+ octets\n", made.out)
    assert go("backup", "create", file).code == 3
    assert go("erase", BOB, "--yes").code == 0
    assert go("backup", "restore", file, stdin=b"").code == 2
    ran = go("backup", "restore", file, "--yes")
    assert (ran.code, ran.err) == (0, "")
    assert len(go("trace", "--recipient", BOB, "-f", "json").json["messages"]) == 4
    assert go("backup", "restore", tmp_path / "gone", "--yes").code == 3


# --- cold ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_heavy(command):
    script = f"import sys; from delivcheck.cli import main; main([{command!r}, '--help']); print('LOADED', [n for n in {HEAVY!r} if n in sys.modules])"  # fmt: skip
    shown = subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, check=True, text=True).stdout
    assert shown.endswith("LOADED []\n")


@pytest.mark.parametrize(
    ("missing", "arguments", "said"),
    [
        ("sqlalchemy", ["trace", "--last", "1"], "delivcheck[gate]"),
        ("sqlalchemy", ["stats"], "delivcheck[gate]"),
        ("sqlalchemy", ["events"], "delivcheck[gate]"),
        ("sqlalchemy", ["erase", "a@b.c", "--yes"], "delivcheck[gate]"),
        ("sqlalchemy", ["backup", "create", "x"], "delivcheck[gate]"),
        ("pyarrow", ["events", "--format", "parquet", "--output", "x"], "delivcheck[parquet]"),
    ],
)
def test_a_missing_extra_is_one_line_that_names_it(tmp_path, missing, arguments, said):
    store = Store(f"sqlite:///{tmp_path / 'trace.sqlite'}")
    store.migrate()
    store.close()
    script = f"import sys; sys.modules[{missing!r}] = None; from delivcheck.cli import main; sys.exit(main(sys.argv[1:]))"
    ran = subprocess.run(
        [sys.executable, "-c", script, *arguments, "--store", f"sqlite:///{tmp_path / 'trace.sqlite'}"],
        env=environment(), capture_output=True, check=False, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (2, "")
    assert said in ran.stderr
    assert ran.stderr.count("\n") == 1
