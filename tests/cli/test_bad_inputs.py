"""Every input that cannot be examined gets one clear line and the right exit code."""

import json
import os

import pytest

from tests.cli.conftest import MESSAGE

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0\0\0\1\0\x08\6\0\0\0"


def one_line(ran):
    assert ran.err.count("\n") == 1
    assert ran.err.startswith("delivcheck: ")
    return ran.err.removeprefix("delivcheck: ").rstrip("\n")


# --- messages: exit 3 --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "octets", "says"),
    [
        ("gone.eml", None, "gone.eml: no such file or directory"),
        ("empty.eml", b"", "empty.eml: the file is empty"),
        ("blank.eml", b"\r\n\n\n", "blank.eml: there are only blank lines in it"),
        ("picture.eml", PNG, "picture.eml: no e-mail message but binary data"),
        ("nul.eml", b"\0\0\0\0Subject: x\n\n", "nul.eml: no e-mail message but binary data"),
        ("noise.eml", b"\x7fELF\x02\0\1\nab:\n", "noise.eml: no e-mail message but binary data"),
        ("text.eml", b"just some words\nand more\n", "text.eml: no e-mail message: it has no header field"),
        (
            "outlook.msg",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "outlook.msg: no e-mail message but an Outlook .msg file: save it as .eml",
        ),
        (
            "page.html",
            b"<!DOCTYPE html>\n<p>a: b</p>",
            "page.html: an HTML page, not a message: what is wanted has its header on top",
        ),
        ("utf16.eml", "From: a@example.com\n".encode("utf-16"), "utf16.eml: no e-mail message but stored as UTF-16"),
        ("a.pdf", b"%PDF-1.7\n", "a.pdf: no e-mail message but a PDF file"),
        ("a.zip", b"PK\x03\x04\n", "a.zip: no e-mail message but a ZIP archive"),
        ("a.gz", b"\x1f\x8b\x08\0", "a.gz: no e-mail message but gzip-compressed: unpack it first"),
    ],
)
@pytest.mark.parametrize("form", ["text", "concise", "json", "jsonl"])
def test_a_file_that_is_no_message(run, tmp_path, name, octets, says, form):
    if octets is not None:
        (tmp_path / name).write_bytes(octets)
    ran = run("message", name, "--offline", "--format", form)
    assert ran.code == 3
    assert one_line(ran).startswith(says)


def test_a_directory_without_messages(run, tmp_path):
    (tmp_path / "mails").mkdir()
    (tmp_path / "mails" / "notes.txt").write_bytes(MESSAGE)
    ran = run("message", "mails", "--offline")
    assert ran.code == 3
    assert one_line(ran) == "mails: a directory without messages: no .eml file and no Maildir in it"


def test_nothing_on_standard_input(run):
    ran = run("message", "-", "--offline", stdin=b"")
    assert ran.code == 3
    assert one_line(ran) == "-: the file is empty"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(run, message):
    message.chmod(0)
    assert one_line(run("message", message, "--offline")).endswith("lunch.eml: permission denied")


def test_a_name_with_a_line_end_or_an_escape_stays_one_line(run, tmp_path):
    ran = run("message", "a\nb\x1b[31m.eml", "--offline")
    assert ran.code == 3
    assert one_line(ran) == "a␊b␛[31m.eml: no such file or directory"


def test_one_unreadable_file_does_not_stop_the_others(run, message):
    ran = run("message", "gone.eml", message, "void.eml", "--offline", "--format", "json")
    assert ran.code == 3
    assert [target.get("error") for target in ran.json["targets"]] == [
        "no such file or directory",
        None,
        "no such file or directory",
    ]
    assert ran.json["targets"][1]["counts"]["pass"] + ran.json["targets"][1]["counts"]["fail"] > 0
    assert ran.err.splitlines() == [
        "delivcheck: gone.eml: no such file or directory",
        "delivcheck: void.eml: no such file or directory",
    ]


def test_a_file_name_that_is_not_utf_8_can_stand_in_json(run, tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.eml")).write_bytes(MESSAGE)
    ran = run("message", tmp_path, "--offline", "--format", "json")
    assert ran.json["targets"][0]["target"].endswith("caf\\xe9.eml")


# --- domains: exit 3 ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("exa mple.com", "exa mple.com: not a domain name: there is a space in it"),
        ("", ": the name is empty"),
        ("news@example.com", "news@example.com: this is an e-mail address, not a domain; say example.com"),
        (
            "https://www.example.com/shop?a=b",
            "https://www.example.com/shop?a=b: this is a URL, not a domain; say www.example.com",
        ),
        ("http://u:p@example.com:8080", "http://u:p@example.com:8080: this is a URL, not a domain; say example.com"),
        ("example.com/shop", "example.com/shop: not a domain name: there is a path in it; say example.com"),
        ("localhost", "localhost: not a domain name"),
        ("192.0.2.1", "192.0.2.1: not a domain name"),
        ("a..example.com", "a..example.com: not a domain name: the name has an empty label"),
        ("x" * 64 + ".com", "x" * 64 + ".com: not a domain name: the label xxxx"),
        ("b\x00.com", "b␀.com: not a domain name: "),
        ("☃\u2028.com", "☃<U+2028>.com: not a domain name"),
    ],
)
def test_what_is_no_domain(run, zone, name, says):
    ran = run("domain", name, "--zone", zone, "--zone-only")
    assert ran.code == 3
    assert one_line(ran).startswith(says)


def test_the_spf_command_says_the_same(run):
    ran = run("spf", "news@example.com")
    assert ran.code == 3
    assert one_line(ran) == "news@example.com: this is an e-mail address, not a domain; say example.com"
    assert run("spf", "a..b").code == 3


def test_an_idn_is_no_bad_input(run, zone):
    ran = run("domain", "bücher.example", "--zone", zone, "--zone-only")
    assert ran.code in {0, 1, 4}
    assert "bücher.example (xn--bcher-kva.example)" in " ".join(ran.out.split())


def test_a_list_that_is_missing_or_empty(run, tmp_path, zone):
    (tmp_path / "names").write_text("# nothing\n\n")
    for file, says in (("gone", "gone: no such file or directory"), ("names", "names: there is no domain name in it")):
        ran = run("domain", "--from-file", file, "--zone", zone, "--zone-only")
        assert ran.code == 3
        assert one_line(ran) == says


# --- configuration and usage: exit 2 -----------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_a_strangers_configuration_is_passed_by_and_told(run, message, tmp_path):
    file = tmp_path / "delivcheck.toml"
    file.write_text("no such key = 1\n")
    os.chown(file, 12345, -1)
    mode = tmp_path.stat().st_mode
    tmp_path.chmod(0o1777)
    try:
        ran = run("message", message, "--offline")
    finally:
        tmp_path.chmod(mode)
    assert ran.code in {0, 1, 4}
    assert "delivcheck.toml: not read: it is another user's" in one_line(ran)


@pytest.mark.parametrize("form", ["text", "concise", "json", "jsonl"])
@pytest.mark.parametrize(
    ("files", "arguments", "says"),
    [
        ({"z": "$ORIGIN example.com.\n@ IN A 192.0.2.1\n@ IN A not-an-address\n"}, ["--zone", "z", "--zone-only"], "z:3: "),
        ({}, ["--zone", "gone", "--zone-only"], "gone: No such file"),
        (
            {"s": '{"format": "delivcheck-dns/99", "taken": "2026-01-01T00:00:00Z", "answers": {}}'},
            ["--snapshot", "s"],
            "s: the format is",
        ),
        ({"s": "nonsense"}, ["--snapshot", "s"], "s: "),
        ({}, ["--snapshot", "gone"], "gone: No such file"),
        (
            {"p.toml": '[rules]\n"class/undeclard" = "off"\n'},
            ["--policy", "p.toml"],
            "p.toml: no rule 'class/undeclard'; did you mean class/undeclared?",
        ),
        ({"p.toml": "[rules\n"}, ["--policy", "p.toml"], "p.toml: not valid TOML: "),
        ({}, ["--policy", "bulc"], "no policy 'bulc': "),
        (
            {},
            ["--rule", "class/undeclared=eror"],
            "--rule: rules.\"class/undeclared\": 'eror' is none of error, warning, note, off",
        ),
        ({}, ["--rule", "class/undeclared"], "--rule: 'class/undeclared' is not RULE=LEVEL"),
        ({}, ["--rule", "clas/undeclared=off"], "--rule: no rule 'clas/undeclared'; did you mean class/undeclared?"),
        ({"delivcheck.toml": "polcy = 'bulk'\n"}, [], "delivcheck.toml:1: polcy: no such key; did you mean policy?"),
        ({}, ["--config", "gone.toml"], "gone.toml: No such file"),
        (
            {},
            ["--stream", "weekly"],
            "no stream 'weekly': streams are named in the configuration, and there is no delivcheck.toml",
        ),
        ({}, ["--class", "marketing"], "invalid value for '--class': 'marketing' is not one of 'bulk', 'transactional'"),
        ({}, ["--now", "yesterday"], "--now: 'yesterday' is no ISO time such as"),
        ({}, ["--timeout", "0"], "--timeout: a number of seconds above 0, not 0"),
        ({}, ["--timeout", "soon"], "invalid value for '--timeout': 'soon' is not a valid float"),
        ({}, ["--nameserver", "[::1]:0"], "'[::1]:0' "),
        ({}, ["--ip", "300.1.2.3"], "--ip: '300.1.2.3' is no IP address"),
        ({}, ["--ehlo", "mail.example.com"], "--ehlo says nothing without --ip"),
        ({}, ["--mail-from", "nobody"], "--mail-from: 'nobody' is no address"),
        ({}, ["--output", "json"], "--output: 'json' is not FORMAT=FILE"),
        ({}, ["--output", "yaml=x"], "--output: 'yaml' is none of text, concise, json, jsonl"),
        ({}, ["--output", "json=no/such/x"], "--output: no/such/x: no such directory"),
        ({}, ["--output", "json=."], "--output: .: is a directory"),
        ({}, ["--output", "json=-"], "--output: for stdout say --format json"),
        ({}, ["--save-snapshot", "no/such/x"], "--save-snapshot: no/such/x: no such directory"),
        ({}, ["-q", "-v"], "--quiet and --verbose contradict each other"),
        ({}, ["--polcy", "bulk"], "no such option '--polcy'. Did you mean '--policy'?"),
        ({}, ["--zone-only"], "--zone-only needs --zone FILE"),
        ({"z": ""}, ["--offline", "--snapshot", "z"], "--offline asks no DNS at all, --snapshot answers from a file"),
        ({"z": ""}, ["--offline", "--zone-only", "--zone", "z"], "--offline asks no DNS at all, --zone-only answers"),
        ({"z": ""}, ["--offline", "--zone", "z"], "--offline asks no DNS at all: for zone files without the network"),
        ({}, ["--offline", "--nameserver", "127.0.0.1"], "--offline asks no DNS, so --nameserver cannot hold"),
        ({}, ["--offline", "--save-snapshot", "s"], "--offline asks no DNS, so there is nothing for --save-snapshot"),
        ({}, ["--offline", "--probe"], "--offline and --probe contradict each other"),
        ({}, ["--offline", "--second-opinion"], "--offline and --second-opinion contradict each other"),
        ({"s": ""}, ["--snapshot", "s", "--nameserver", "127.0.0.1"], "--snapshot answers every question"),
        ({"s": "", "z": ""}, ["--snapshot", "s", "--zone", "z", "--zone-only"], "--snapshot and --zone-only both claim"),
        ({"z": ""}, ["--zone", "z", "--zone-only", "--nameserver", "127.0.0.1"], "--zone-only answers every question"),
    ],
    ids=str,
)
def test_a_run_that_cannot_begin_is_2_in_every_format(run, tmp_path, files, arguments, says, form):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    ran = run("domain", "example.com", *arguments, "--format", form)
    assert ran.code == 2
    assert ran.out == ""
    assert one_line(ran).startswith(says)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["message", "x.eml", "--received", "--pre-sign"], "--received and --pre-sign contradict each other"),
        (["message", "x.eml", "--second-opinion"], "--second-opinion is about a domain"),
        (["message", "x.eml", "--rcpt", "a@example.com"], "--rcpt needs --mail-from"),
        (["message", "x.eml", "--rcpt", "a", "--mail-from", "<>"], "--rcpt: 'a' is no address"),
        (["message"], "missing argument 'FILE...|-'"),
        (["domain"], "which domain? Name one, or - for names on standard input"),
        (["domain", "example.com", "--jobs", "0"], "invalid value for '--jobs'"),
        (["spf", "example.com", "--mail-from", "a@example.com"], "--mail-from says nothing without --ip"),
        (["spf", "example.com", "--mail-from", "a@example.org", "--ip", "192.0.2.1"], "--mail-from is at example.org"),
        (["spf", "example.com", "--offline"], "no such option '--offline'"),
        (["explain", "clas/undeclared"], "no rule 'clas/undeclared'; did you mean class/undeclared?"),
        (["explain", "clas"], "no rule 'clas'; did you mean the family class?"),
        (["explain", "qqqqqq"], "no rule 'qqqqqq'"),
        (["explain"], "missing argument 'RULE...'"),
        (["rules", "--family", "clas"], "no family 'clas'; did you mean class?"),
        (["rules", "--family", "qqqqqq"], "no family 'qqqqqq'; there are a11y, bimi, class, "),
        (["rules", "--policy", "qqqqqq"], "no policy 'qqqqqq'"),
        (["completion", "tcsh"], "invalid value for '{bash|zsh|fish|powershell}': 'tcsh' is not one of"),
    ],
    ids=str,
)
def test_words_that_do_not_fit_are_2(run, arguments, says):
    ran = run(*arguments)
    assert ran.code == 2
    assert one_line(ran).startswith(says)


@pytest.mark.parametrize(
    "arguments",
    [["--mail-from", "\udce9@example.com"], ["--ip", "192.0.2.1", "--ehlo", "\udce9"], ["--selector", "\udce9"]],
    ids=ascii,
)
def test_octets_that_are_not_utf_8_are_no_words(run, message, arguments):
    ran = run("message", message, "--offline", *arguments)
    assert ran.code == 2
    assert one_line(ran).startswith(f"{arguments[-2]}: ")


def test_an_output_file_that_cannot_be_written_is_2(run, message, tmp_path):
    ran = run("message", message, "--offline", "--output", "json=/dev/full/x")
    assert ran.code == 2
    assert "--output: /dev/full/x: no such directory" in one_line(ran)


@pytest.mark.parametrize("outputs", [["json=may.eml"], ["json=link"], ["json=new", "jsonl=./new"]])
def test_a_report_is_not_written_over_what_is_read_or_over_another(run, tmp_path, monkeypatch, outputs):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "may.eml").write_bytes(b"From: a@example.org\r\n\r\nHello\r\n")
    (tmp_path / "link").symlink_to("may.eml")
    ran = run("message", "may.eml", "--offline", *(word for output in outputs for word in ("--output", output)))
    assert ran.code == 2
    assert "something else is read from or written to it" in one_line(ran)
    assert (tmp_path / "may.eml").read_bytes().endswith(b"Hello\r\n")


def test_json_of_an_unreadable_input_is_json(run):
    ran = run("message", "gone.eml", "--offline", "--format", "jsonl")
    assert json.loads(ran.out) == {
        "target": "gone.eml",
        "kind": "message",
        "verdict": "unknown",
        "declared": {"class": None, "volume": "bulk", "stream": None},
        "counts": {"pass": 0, "fail": 0, "unknown": 0, "not-applicable": 0, "suppressed": 0},
        "results": [],
        "facts": {},
        "providers": {},
        "error": "no such file or directory",
    }
