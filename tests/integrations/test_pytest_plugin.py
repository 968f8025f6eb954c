"""The pytest plugin, in real runs of pytest inside this one."""

import os
import subprocess
import sys

import aiosmtplib  # noqa: F401 -- see `loaded`
import pytest

from delivcheck.net.snapshot import Snapshot
from delivcheck.testing import assert_deliverable
from tests.integrations import house

pytest_plugins = ("pytester",)

MAIL = f"""
from datetime import datetime, UTC
from email.message import EmailMessage
import itertools, smtplib
import pytest

numbers = itertools.count()

def mail(subject="Your order 4711"):
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "{house.FROM}", "{house.TO}", subject
    message["Date"] = datetime.now(UTC)
    message["Message-ID"] = f"<{{next(numbers)}}@{house.DOMAIN}>"
    message.set_content("Your order has been sent.")
    return message

BAD = "{house.BAD_SUBJECT}"
"""


@pytest.fixture(scope="module", autouse=True)
def loaded():
    """What a run inside this one imports is forgotten after it, but for what was there before; it takes a second to load."""
    assert_deliverable(house.good(), config=False, dns=house.dns())


@pytest.fixture
def inner(pytester, monkeypatch):
    """Run tests in this process; gives the outcome."""
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def run(tests, *options, ini="", **files):
        pytester.makepyprojecttoml(f"[tool.pytest.ini_options]\n{ini}")
        for name, text in files.items():
            (pytester.path / name.replace("_toml", ".toml")).write_text(text)
        pytester.makepyfile(test_mail=MAIL + tests)
        # -W: warnings are errors around here, and filters of the process hold for a run inside it.
        return pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:cacheprovider", "-W", "default", *options)

    return run


@pytest.fixture
def spread(pytester, inner, monkeypatch):
    """Run tests in two processes of pytest-xdist. Other plugins are left out: each takes its time to load, three times."""
    pytest.importorskip("xdist")
    ours = ("-p", "xdist", "-p", "delivcheck.integrations.pytest_plugin")

    def run(tests, *options, **files):
        inner("", **files)
        pytester.makepyfile(test_mail=MAIL + tests)
        with monkeypatch.context() as alone:
            alone.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            return pytester.runpytest_subprocess(*ours, "-n", "2", "-W", "default", *options)

    return run


def text(result):
    return result.stdout.str()


def test_good_mail_passes_and_bad_mail_fails_with_its_frame(inner):
    result = inner("""
def test_good(deliverable):
    assert str(deliverable(mail()).verdict) == "pass"

def test_bad(deliverable):
    deliverable(mail(BAD))
""")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*def test_bad(deliverable):",
            "E*NotDeliverable: FAIL, with 1 error*: message",
            "E*error: {{ order.number }} in Subject: *",
            "E*┌─ message:3:21",
            "E*3 │ Subject: Your order {{ order.number }}",
            "E*rule  delivcheck explain template/unrendered-code",
            'E*ignore=[[]"template/unrendered-code"[]]',
            "delivcheck: 2 checked, 2 of them offline: rules that ask DNS did not run",
        ],
        consecutive=False,
    )
    assert "\x1b" not in text(result)
    assert "site-packages" not in text(result)
    assert "examine.py" not in text(result)


def test_where_pytest_colours_the_findings_are_coloured_and_files_are_not(inner, pytester):
    result = inner("def test_bad(deliverable):\n    deliverable(mail(BAD))\n", "--color=yes", "--junitxml=junit.xml")
    assert "\x1b[1;31merror\x1b[0m: {{ order.number }}" in text(result)
    kept = (pytester.path / "junit.xml").read_text()
    assert "error: {{ order.number }}" in kept
    assert "#x1B" not in kept


def test_the_plain_assertion_serves_as_well(inner):
    result = inner("""
from delivcheck.testing import assert_deliverable

def test_good():
    assert_deliverable(mail())

def test_bad():
    assert_deliverable(mail(BAD))
""")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([">       assert_deliverable(mail(BAD))", "E*NotDeliverable: FAIL*"])
    assert "hold(" not in text(result)


def test_the_marker_the_command_line_and_the_ini_file_say_what_holds(inner):
    tests = """
def test_as_the_run_says(deliverable):
    print(deliverable(mail()).policy)

@pytest.mark.delivcheck(policy="strict")
def test_marked(deliverable):
    assert deliverable(mail()).policy == "strict"
    assert deliverable(mail(), "transactional").policy == "transactional"

@pytest.mark.delivcheck(ignore=["template/unrendered-code"])
def test_ignored(deliverable):
    deliverable(mail(BAD))

@pytest.mark.delivcheck(stream="receipts")
def test_stream(deliverable):
    report = deliverable(mail(BAD))
    assert (report.policy, report.targets[0].declared.stream) == ("transactional", "receipts")
"""
    streams = '[streams.receipts]\npolicy = "transactional"\nrules = {"template/unrendered-code" = "note"}\n'
    ini = 'delivcheck_policy = "transactional"\n'
    result = inner(tests, "-rP", ini=ini, delivcheck_toml=streams)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["transactional"])
    result = inner(tests, "-rP", "--delivcheck-policy=strict", ini=ini, delivcheck_toml=streams)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["strict"])


def test_levels_and_ignored_rules_of_the_ini_file_hold_without_a_warning(inner):
    tests = "def test_it(deliverable):\n    deliverable(mail(BAD))\n    deliverable(mail())\n"
    inner(tests, ini='delivcheck_ignore = ["template/*", "headers/date-missing"]\n').assert_outcomes(passed=1, warnings=0)
    tests = 'def test_it(deliverable):\n    deliverable(mail(""))\n'
    inner(tests).assert_outcomes(passed=1)
    inner(tests, ini='delivcheck_fail_on = "warning"\n').assert_outcomes(failed=1)
    inner(tests, "--delivcheck-fail-on=warning").assert_outcomes(failed=1)


def test_a_mark_that_ignores_nothing_is_warned_of_once_and_a_classs_is_not(inner):
    result = inner("""
@pytest.mark.delivcheck(ignore=["template/unrendered-code"])
def test_own(deliverable):
    deliverable(mail())
    deliverable(mail())

@pytest.mark.delivcheck(ignore=["template/unrendered-code"])
def test_of_use_in_one(deliverable):
    deliverable(mail())
    deliverable(mail(BAD))

@pytest.mark.delivcheck(ignore=["template/unrendered-code"])
class TestIt:
    def test_it(self, deliverable):
        deliverable(mail())
""")
    result.assert_outcomes(passed=3, warnings=1)
    result.stdout.fnmatch_lines(["*test_mail.py:*: UnusedIgnore: mark delivcheck: ignore: template/unrendered-code: *"])


def test_what_a_mark_or_an_ignore_gets_wrong_is_told(inner):
    result = inner("""
@pytest.mark.delivcheck(polcy="strict")
def test_key(deliverable):
    deliverable(mail())

@pytest.mark.delivcheck(ignore=["template/unrendered-cod"])
def test_rule(deliverable):
    deliverable(mail())
""")
    result.assert_outcomes(errors=1, failed=1)
    result.stdout.fnmatch_lines(["*mark delivcheck: it takes policy, *, not polcy*"])
    result.stdout.fnmatch_lines(["*no rule 'template/unrendered-cod'; did you mean template/unrendered-code?"])


SENDING = """
def send(subject):
    with smtplib.SMTP("mail.example.com", 587) as client:
        client.starttls()
        client.login("name", "password")
        client.send_message(mail(subject))

@pytest.mark.parametrize("number", range(4))
def test_good(sent_mail, number):
    send("Your order 4711")
    assert [(one.mail_from, one.rcpt_to, one.message["Subject"]) for one in sent_mail] == [
        ("orders@example.org", ("pat@example.net",), "Your order 4711")
    ]
    sent_mail.assert_deliverable()

def test_bad(sent_mail):
    send(BAD)
    sent_mail.assert_deliverable()

@pytest.mark.delivcheck(ignore="template/unrendered-code")
def test_marked(sent_mail):
    send(BAD)
    sent_mail.assert_deliverable()

def test_none(sent_mail):
    sent_mail.assert_deliverable()

def test_aiosmtplib(sent_mail):
    import asyncio, aiosmtplib
    asyncio.run(aiosmtplib.send(mail(), hostname="mail.example.com"))
    sent_mail.assert_deliverable()
"""


def test_mail_that_a_test_sends_is_taken_and_judged(inner):
    result = inner(SENDING)
    result.assert_outcomes(passed=6, failed=2)
    result.stdout.fnmatch_lines(["*>*sent_mail.assert_deliverable()", "E*┌─ sent_mail[[]0[]]:3:21"])
    result.stdout.fnmatch_lines(["E*no mail was sent*"])


def test_processes_of_xdist_are_counted_together(spread):
    result = spread(SENDING)
    result.assert_outcomes(passed=6, failed=2)
    result.stdout.fnmatch_lines(["delivcheck: 7 checked, 7 of them offline: *"])
    assert "error: {{ order.number }} in Subject" in text(result)


ASKING = """
def test_it(deliverable, dns_snapshot):
    deliverable(mail())

@pytest.mark.delivcheck(snapshot="other.json")
def test_named(deliverable):
    deliverable(mail())
"""


@pytest.mark.parametrize("how", ["inner", "spread"])
def test_dns_is_recorded_once_and_replayed_without_a_server(pytester, inner, request, how):
    run = request.getfixturevalue(how)
    with house.name_server() as server:
        result = run(ASKING, "--delivcheck-record", delivcheck_toml=f'nameservers = ["{server.address}"]\n')
        result.assert_outcomes(passed=2)
        assert server.asked
    result.stdout.fnmatch_lines_random(
        ["delivcheck: */test_mail.dns.json: * DNS answers", "delivcheck: */other.json: * DNS answers"]
    )
    names = {question.name for question in Snapshot.load(pytester.path / "other.json").answers}
    assert {"example.org", "_dmarc.example.org"} <= names
    result = inner(ASKING, delivcheck_toml='nameservers = ["127.0.0.1:1"]\n')
    result.assert_outcomes(passed=2)
    assert "offline" not in text(result)


def test_recording_some_tests_takes_nothing_from_the_others(inner, pytester):
    path = pytester.path / "test_mail.dns.json"
    old = '{"format": "delivcheck-dns/1", "taken": "2020-01-01T00:00:00Z", "answers": {"old.example TXT": {"is": "no-data", "ttl": 300}}}'
    path.write_text(old)
    with house.name_server() as server:
        inner(ASKING, "--delivcheck-record", "-k", "test_it", delivcheck_toml=f'nameservers = ["{server.address}"]\n')
    kept = Snapshot.load(path)
    assert {"old.example", "example.org"} <= {question.name for question in kept.answers}
    assert kept.taken.year == 2020
    assert not (pytester.path / "other.json").exists()


def test_without_a_snapshot_it_is_said_how_to_make_one(inner, pytester):
    result = inner(ASKING)
    result.assert_outcomes(errors=1, failed=1)
    result.stdout.fnmatch_lines(["*test_mail.dns.json: No such file or directory (--delivcheck-record makes one)"])
    empty = '{"format": "delivcheck-dns/1", "taken": "2026-01-01T00:00:00Z", "answers": {}}'
    (pytester.path / "all.json").write_text(empty)
    result = inner("def test_it(deliverable):\n    deliverable(mail())\n", ini='delivcheck_snapshot = "all.json"\n')
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*undecided (level error): no answer for *", "E*--delivcheck-record makes one."])


def test_what_cannot_be_recorded_is_told(inner, pytester):
    (pytester.path / "test_mail.dns.json").write_text("{}")
    with house.name_server() as server:
        options = ("--delivcheck-record", "-k", "test_it")
        result = inner(ASKING, *options, delivcheck_toml=f'nameservers = ["{server.address}"]\n')
    result.stdout.fnmatch_lines(["delivcheck: not recorded: *"])


def test_a_run_without_our_fixtures_says_nothing_of_us(inner):
    result = inner("def test_it():\n    pass\n")
    result.assert_outcomes(passed=1)
    assert "delivcheck:" not in text(result)


def test_the_options_are_in_the_help_and_the_marker_is_known(inner):
    inner("")
    shown = text(inner("", "--help"))
    for name in ("--delivcheck-record", "--delivcheck-policy", "--delivcheck-fail-on"):
        assert name in shown
    for name in ("policy", "stream", "ignore", "fail_on", "snapshot", "config"):
        assert f"delivcheck_{name} (" in shown
    assert "@pytest.mark.delivcheck(policy=None" in text(inner("", "--markers"))
    assert "deliverable" in text(inner("", "--fixtures"))


LOOK = """
def test_it(pytestconfig):
    import sys
    assert pytestconfig.pluginmanager.hasplugin("delivcheck.integrations.pytest_plugin")
    ours = sorted(name for name in sys.modules if name.startswith("delivcheck"))
    assert ours == ["delivcheck", "delivcheck.integrations", "delivcheck.integrations.pytest_plugin", "delivcheck.version"], ours
    roots = {name.partition(".")[0] for name in sys.modules}
    assert not roots & {"django", "aiosmtplib", "smtplib", "msgspec", "dns", "turbohtml", "click", "fastapi"}, roots
"""


def test_loading_the_plugin_imports_nothing_else(pytester):
    pytester.makepyfile(test_look=LOOK)
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}  # other plugins import what they like
    command = [sys.executable, "-m", "pytest", "-q", "-p", "delivcheck.integrations.pytest_plugin", str(pytester.path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=alone)
    assert done.returncode == 0, done.stdout


def test_it_is_there_without_being_asked_for():
    from importlib.metadata import entry_points

    [entry] = [one for one in entry_points(group="pytest11") if one.name == "delivcheck"]
    assert entry.value == "delivcheck.integrations.pytest_plugin"
