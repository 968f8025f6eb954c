"""`delivcheck message` on real files."""

import json
import mailbox

import jsonschema
import pytest

from delivcheck.report import schema
from tests.cli.conftest import MESSAGE

WHOLE = jsonschema.Draft202012Validator(schema.packaged())
LINE = jsonschema.Draft202012Validator({**schema.packaged(), "$ref": "#/$defs/TargetReport"})


def names(ran):
    return [target["target"] for target in ran.json["targets"]]


def results(ran, number=0):
    return {result["rule"]: result for result in ran.json["targets"][number]["results"]}


# --- where messages come from ------------------------------------------------------------------------------------


def test_a_folder_gives_every_eml_below_sorted(run, tmp_path):
    for name in ("b.eml", "a/z.EML", "a/notes.txt", "c/d/e.eml"):
        file = tmp_path / "mails" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(MESSAGE)
    ran = run("message", "mails", "--offline", "-f", "json")
    assert names(ran) == ["mails/b.eml", "mails/a/z.EML", "mails/c/d/e.eml"]


def test_a_maildir_gives_cur_and_new(run, tmp_path):
    box = mailbox.Maildir(tmp_path / "Maildir")
    box.add(MESSAGE)
    read = mailbox.MaildirMessage(MESSAGE)
    read.set_subdir("cur")
    box.add(read)
    (tmp_path / "Maildir" / "tmp" / "half").write_bytes(MESSAGE)
    (tmp_path / "Maildir" / "cur" / ".hidden").write_bytes(MESSAGE)
    found = names(run("message", tmp_path / "Maildir", "--offline", "-f", "json"))
    assert sorted(name.split("/")[-2] for name in found) == ["cur", "new"]


def test_an_mbox_gives_its_messages_by_number(run, tmp_path):
    separator = b"From ada@example.com Mon Nov 23 12:00:00 2026\n"
    (tmp_path / "sent.mbox").write_bytes(b"".join(separator + MESSAGE + b"\n" for _ in range(3)))
    assert names(run("message", "sent.mbox", "--offline", "-f", "json")) == ["sent.mbox#1", "sent.mbox#2", "sent.mbox#3"]


def test_standard_input_is_a_message_or_an_mbox(run):
    assert names(run("message", "-", "--offline", "-f", "json", stdin=MESSAGE)) == ["-"]
    mbox = b"From ada@example.com Mon Nov 23 12:00:00 2026\n" + MESSAGE
    assert names(run("message", "-", "--offline", "-f", "json", stdin=mbox)) == ["-#1"]


def test_a_message_stored_with_lf_is_the_same_message(run, tmp_path):
    (tmp_path / "lf.eml").write_bytes(MESSAGE)
    (tmp_path / "crlf.eml").write_bytes(MESSAGE.replace(b"\n", b"\r\n"))
    ran = run("message", "lf.eml", "crlf.eml", "--offline", "-f", "json", "-v")

    def told(target):
        return {
            result["rule"]: result["outcome"]
            for result in target["results"]
            if "other line ends" not in (result["reason"] or "") and "line-ends" not in result["rule"]
        }

    lf, crlf = map(told, ran.json["targets"])
    assert {rule: outcome for rule, outcome in crlf.items() if rule in lf} == lf


def test_targets_keep_the_order_of_the_command_line(run, tmp_path):
    for name in "abcdefgh":
        (tmp_path / f"{name}.eml").write_bytes(MESSAGE)
    given = [f"{name}.eml" for name in "hgfedcba"]
    assert names(run("message", *given, "--offline", "-f", "json")) == given


def test_a_file_given_twice_is_checked_twice(run, message):
    assert len(names(run("message", message, message, "--offline", "-f", "json"))) == 2


# --- formats -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [[], ["-v"], ["--class", "bulk", "--volume", "low"], ["--policy", "strict"]], ids=str)
def test_json_keeps_to_the_schema(run, message, more):
    value = run("message", message, "--offline", "-f", "json", *more).json
    WHOLE.validate(value)
    assert value["targets"][0]["kind"] == "message"


def test_json_brings_no_control_character_to_the_terminal(run, tmp_path):
    acting = "\x7f\x9b31m\u202e\u2066"
    (tmp_path / f"{acting}.eml").write_bytes(MESSAGE.replace(b"lunch", f"{{{{ {acting} }}}}".encode()))
    for form in ("json", "jsonl"):
        ran = run("message", tmp_path, "--offline", "-f", form, "-v")
        assert all(character == "\n" or character.isprintable() for character in ran.out)
        assert acting in json.loads(ran.out.splitlines()[0]).get("target", "") or acting in ran.json["targets"][0]["target"]


def test_jsonl_has_a_line_a_target_and_nothing_else(run, message, tmp_path):
    (tmp_path / "two.eml").write_bytes(MESSAGE)
    ran = run("message", message, "two.eml", "gone.eml", "--offline", "-f", "jsonl")
    assert len(ran.lines) == 3
    for line in ran.lines:
        LINE.validate(line)


def test_several_outputs_at_once(run, message, tmp_path):
    arguments = ["-o", "json=out.json", "-o", "jsonl=out.jsonl", "-o", "concise=out.txt", "--output", "text=report.txt"]
    ran = run("message", message, "--offline", *arguments)
    WHOLE.validate(json.loads((tmp_path / "out.json").read_bytes()))
    LINE.validate(json.loads((tmp_path / "out.jsonl").read_bytes()))
    assert "class/undeclared" in (tmp_path / "out.txt").read_text()
    report = (tmp_path / "report.txt").read_text()
    assert report.splitlines()[0] == ran.out.splitlines()[0]
    assert "\x1b[" not in report


def test_concise_is_a_line_a_problem(run, message):
    ran = run("message", message, "--offline", "-f", "concise")
    assert any(line.startswith(f"{message}: warning class/undeclared ") for line in ran.out.splitlines())


def test_verbose_json_has_every_result(run, message):
    few = run("message", message, "--offline", "-f", "json").json["targets"][0]
    every = run("message", message, "--offline", "-f", "json", "-v").json["targets"][0]
    assert few["counts"] == every["counts"]
    assert {result["outcome"] for result in few["results"]} <= {"fail", "unknown"}
    counts = every["counts"]
    assert len(every["results"]) == counts["pass"] + counts["fail"] + counts["unknown"] + counts["not-applicable"]


# --- what decides ------------------------------------------------------------------------------------------------

ONLY = ("--policy", "only.toml", "--offline")  # one rule alone, so that what decides does not hang on the rest of the book


@pytest.fixture
def only(tmp_path):
    (tmp_path / "only.toml").write_text('[rules]\n"*" = "off"\n"class/undeclared" = "warning"\n')


@pytest.mark.usefixtures("only")
@pytest.mark.parametrize(
    ("more", "code"),
    [
        ([], 0),
        (["--fail-on", "warning"], 1),
        (["--fail-on", "note"], 1),
        (["--fail-on", "never"], 0),
        (["--rule", "class/undeclared=error"], 1),
        (["--rule", "class/undeclared=error", "--fail-on", "never"], 0),
        (["--rule", "class/undeclared=error", "--exit-zero"], 0),
        (["--rule", "class/undeclared=error", "--rule", "class/undeclared=note"], 0),
        (["--rule", "*=off", "--fail-on", "note"], 0),
        (["--class", "transactional", "--fail-on", "note"], 0),
        (["gone.eml", "--rule", "class/undeclared=error"], 3),
        (["gone.eml", "--exit-zero"], 3),
    ],
    ids=str,
)
@pytest.mark.parametrize("form", ["text", "concise", "json", "jsonl"])
def test_the_exit_code_is_the_same_in_every_format(run, message, more, code, form):
    assert run("message", message, *ONLY, "-f", form, *more).code == code


@pytest.mark.usefixtures("only")
def test_an_undeclared_class_is_a_pass_with_a_warning_and_the_way_out(run, message):
    ran = run("message", message, *ONLY)
    first, second = ran.out.splitlines()[:2]
    assert first == f"PASS, with 1 warning: {message}"
    assert second.strip() == "its class was not declared: add --class bulk or --class transactional"
    assert f"Next: delivcheck message {message} --policy only.toml --offline --class bulk" in ran.out


@pytest.mark.usefixtures("only")
def test_a_declared_class_is_a_plain_pass(run, message):
    assert run("message", message, *ONLY, "--class", "bulk").out.startswith(f"PASS: {message}\n")


@pytest.mark.usefixtures("only")
def test_quiet_is_the_verdict_alone(run, message):
    assert run("message", message, *ONLY, "-q").out == f"PASS, with 1 warning: {message}\n"


def test_what_is_declared_stands_in_the_report(run, message):
    ran = run("message", message, "--offline", "-f", "json", "--class", "transactional", "--volume", "low")
    assert ran.json["targets"][0]["declared"] == {"class": "transactional", "volume": "low", "stream": None}


def test_the_head_says_from_whom_to_what(run, tmp_path, message):
    sent = [
        "--mail-from",
        "<b@bounce.example.com>",
        "--rcpt",
        "bob@example.org",
        "--ip",
        "192.0.2.25",
        "--ehlo",
        "m.example.com",
    ]
    head = " ".join(run("message", message, "--offline", *sent).out.split("\n\n")[0].split())
    assert "From Ada <ada@example.com> · MAIL FROM <b@bounce.example.com> · IP 192.0.2.25 · policy bulk" in head
    assert "--mail-from ADDRESS" not in head


def test_the_null_sender_is_a_sender(run, message):
    assert "MAIL FROM <>" in run("message", message, "--offline", "--mail-from", "<>").out
    assert "MAIL FROM <>" in run("message", message, "--offline", "--mail-from", "").out


@pytest.mark.parametrize("flag", ["--pre-sign", "--received"])
def test_other_ways_of_having_a_message(run, message, flag):
    WHOLE.validate(run("message", message, "--offline", "-f", "json", flag).json)


def test_now_takes_a_zone_or_means_utc(run, message):
    for time in ("2026-11-23T12:00:00", "2026-11-23T12:00:00+01:00", "2026-11-23"):
        assert run("message", message, "--offline", "--now", time).code in {0, 1, 4}


# --- configuration -----------------------------------------------------------------------------------------------


def test_a_stream_gives_class_volume_policy_and_rules(run, message, tmp_path):
    (tmp_path / "delivcheck.toml").write_text(
        'class = "bulk"\n[streams.receipts]\nclass = "transactional"\nvolume = "low"\n[streams.receipts.rules]\n"*" = "off"\n'
    )
    ran = run("message", message, "--offline", "-f", "json", "-v", "--stream", "receipts")
    target = ran.json["targets"][0]
    assert target["declared"] == {"class": "transactional", "volume": "low", "stream": "receipts"}
    assert target["results"] == []
    ran = run("message", message, "--offline", "-f", "json", "--stream", "receipts", "--class", "bulk")
    assert ran.json["targets"][0]["declared"]["class"] == "bulk"


def test_the_command_line_beats_the_file(run, message, tmp_path):
    (tmp_path / "delivcheck.toml").write_text('class = "bulk"\n[rules]\n"class/undeclared" = "off"\n')
    assert run("message", message, "--offline", "-f", "json").json["targets"][0]["declared"]["class"] == "bulk"
    ran = run("message", message, "--offline", "-f", "json", "--policy", "transactional")
    assert ran.json["targets"][0]["declared"]["class"] == "transactional"
    assert ran.json["policy"] == "transactional"


# --- DNS ---------------------------------------------------------------------------------------------------------


def test_a_saved_snapshot_answers_the_next_run(run, message, zone, tmp_path):
    sent = ["--ip", "192.0.2.7", "--mail-from", "ada@example.com"]
    live = run("message", message, *sent, "--zone", zone, "--zone-only", "--save-snapshot", "dns.json", "-f", "json", "-v")
    again = run("message", message, *sent, "--snapshot", "dns.json", "-f", "json", "-v")
    assert json.loads((tmp_path / "dns.json").read_bytes())["answers"]
    assert again.json["targets"][0]["results"] == live.json["targets"][0]["results"]
    assert again.json["targets"][0]["facts"] == live.json["targets"][0]["facts"]
    assert again.json["dns"]["snapshot_age_s"] >= 0
    assert "DNS as of" in " ".join(run("message", message, "--snapshot", "dns.json").out.split())


def test_offline_asks_nothing_and_says_so_once(run, message):
    ran = run("message", message, "--offline", "--ip", "192.0.2.7", "--mail-from", "ada@example.com")
    assert ran.out.count("(--offline)") <= 1
    assert run("message", message, "--offline", "-f", "json").json["dns"]["questions"] == 0


def test_files_have_the_streams_that_their_paths_have_in_the_configuration(run, message, tmp_path, monkeypatch):
    text = '[streams.receipts]\nclass = "transactional"\n\n[[overrides]]\npaths = ["receipts/*"]\nstream = "receipts"\nrules = { "mime/latin-1" = "note" }\n'
    (tmp_path / "delivcheck.toml").write_text(text)
    for folder in ("receipts", "news"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.eml").write_bytes(message.read_bytes())
    monkeypatch.chdir(tmp_path)

    came = run("message", "receipts", "news", "--offline", "-f", "json").json["targets"]
    asked = run("message", "receipts", "--class", "bulk", "--offline", "-f", "json").json["targets"]

    assert [(one["declared"]["stream"], one["declared"]["class"]) for one in came] == [
        ("receipts", "transactional"),
        (None, None),
    ]
    assert asked[0]["declared"]["class"] == "bulk"  # the command line goes before the file


def test_a_message_of_an_mbox_has_the_override_of_its_file(run, message, tmp_path, monkeypatch):
    (tmp_path / "delivcheck.toml").write_text('[[overrides]]\npaths = ["mail/a.mbox"]\nclass = "transactional"\n')
    (tmp_path / "mail").mkdir()
    one = b"From a@example.org Mon Nov 23 10:00:00 2026\n" + message.read_bytes().replace(b"\r\n", b"\n") + b"\n"
    (tmp_path / "mail" / "a.mbox").write_bytes(one * 2)
    monkeypatch.chdir(tmp_path)

    came = run("message", "mail/a.mbox", "--offline", "-f", "json").json["targets"]

    assert [(each["target"], each["declared"]["class"]) for each in came] == [
        ("mail/a.mbox#1", "transactional"),
        ("mail/a.mbox#2", "transactional"),
    ]


@pytest.mark.parametrize(
    ("override", "complaint"),
    [('policy = "bulkk"', "did you mean bulk?"), ('rules = { "mime/latin-9" = "note" }', "mime/latin-9")],
)
def test_an_override_that_matches_no_file_is_checked_too(run, message, tmp_path, monkeypatch, override, complaint):
    (tmp_path / "delivcheck.toml").write_text(f'[[overrides]]\npaths = ["none/*"]\n{override}\n')
    (tmp_path / "a.eml").write_bytes(message.read_bytes())
    monkeypatch.chdir(tmp_path)

    came = run("message", "a.eml", "--offline")

    assert came.code == 2
    assert complaint in came.err


def test_an_override_with_an_unknown_policy_is_a_usage_error(run, message, tmp_path, monkeypatch):
    (tmp_path / "delivcheck.toml").write_text('[[overrides]]\npaths = ["*"]\npolicy = "bulkk"\n')
    (tmp_path / "a.eml").write_bytes(message.read_bytes())
    monkeypatch.chdir(tmp_path)

    came = run("message", "a.eml", "--offline")

    assert came.code == 2
    assert "did you mean bulk?" in came.err
