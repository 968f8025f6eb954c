"""The programs that call sendmail, with their own words: PHP, cron, git, mutt."""

import os
import re
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import require
from tests.integrations import house
from tests.integrations.sendmail.place import WAIT

TO = house.RECIPIENT
CRON = "cron"


def run(*command, **options):
    return subprocess.run(command, capture_output=True, timeout=WAIT, check=False, **options)


# --- PHP ---------------------------------------------------------------------------------------------------------


MAIL = r"""
$headers = "From: Shop <orders@example.org>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
         . "Bcc: blind@example.net";
var_dump(mail("pat@example.net", $argv[1], "Your order has been sent.\n.\nThanks.", $headers, "-f" . $argv[2]));
"""


def php(place, subject=house.SUBJECT, sender=house.BOUNCES):
    require("php")
    return run("php", "-n", "-d", f"sendmail_path={place.script} -t -i", "-r", MAIL, subject, sender)


def test_php_mail_arrives_with_its_mixed_lines_mended_and_what_is_missing_added(place):
    done = php(place)
    [taken] = place.sink.messages
    assert done.stdout == b"bool(true)\n", done.stderr
    assert (taken.mail_from, taken.rcpt_to) == (house.BOUNCES, (TO, "blind@example.net"))
    head, _, body = taken.octets.partition(b"\r\n\r\n")
    assert body == b"Your order has been sent.\r\n.\r\nThanks.\r\n"
    assert head.startswith(b"To: pat@example.net\r\nSubject: Your order 4711\r\nFrom: Shop <orders@example.org>\r\n")
    assert re.search(rb"\r\nDate: [^\r]+\r\nMessage-ID: <[^\r]+>\Z", head)
    assert b"blind" not in head


def test_php_mail_is_false_and_the_log_names_the_rule(place):
    done = php(place, house.BAD_SUBJECT)
    assert done.stdout == b"bool(false)\n"
    assert house.BAD_RULE.encode() in done.stderr
    assert place.sink.messages == []


def test_php_mail_with_options_of_a_stranger_behind_the_sender_sends_nothing(place):
    done = php(place, sender=f"{house.SENDER} --mode=observe -X/tmp/x")
    assert done.stdout == b"bool(false)\n"
    assert b"stand before those of sendmail" in done.stderr
    assert place.sink.messages == []


# --- git ---------------------------------------------------------------------------------------------------------


PATCH = f"""From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: Shop <{house.SENDER}>
Date: Mon, 1 Jan 2001 00:00:00 +0000
Subject: [PATCH] SUBJECT
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

Explains itself.
---
 a | 1 +

diff --git a/a b/a
.
--
2.39
"""


def git(place, subject):
    require("git-send-email")
    patch = place.folder / "0001.patch"
    patch.write_text(PATCH.replace("SUBJECT", subject))
    environment = {**os.environ, "HOME": str(place.folder), "GIT_CONFIG_NOSYSTEM": "1"}
    options = ["--sendmail-cmd", str(place.script), "--from", house.FROM, "--envelope-sender", house.BOUNCES, "--to", house.TO]
    options += ["--confirm=never", "--no-validate", "--suppress-cc=all", "--cc=kim@example.net"]
    return run("git", "send-email", *options, str(patch), cwd=place.folder, env=environment)


def test_git_sends_a_patch(place):
    done = git(place, "Mend the counter")
    assert done.returncode == 0, done.stderr
    [taken] = place.sink.messages
    assert (taken.mail_from, taken.rcpt_to) == (house.BOUNCES, (TO, "kim@example.net"))
    assert b"Subject: [PATCH] Mend the counter\r\n" in taken.octets
    assert taken.octets.endswith(b"diff --git a/a b/a\r\n.\r\n--\r\n2.39\r\n")


def test_git_stops_and_shows_the_rule(place):
    done = git(place, "{{ order.number }}")
    assert done.returncode != 0
    assert house.BAD_RULE.encode() in done.stderr
    assert place.sink.messages == []


# --- mutt --------------------------------------------------------------------------------------------------------


def mutt(place, subject):
    require("mutt")
    settings = place.folder / "muttrc"
    settings.write_text(
        f'set sendmail="{place.script} -oem -oi"\nset from="{house.FROM}"\nset use_envelope_from=yes\n'
        f'set hostname="{house.DOMAIN}"\nset copy=no\nset send_charset="utf-8"\n'
    )
    environment = {**os.environ, "HOME": str(place.folder), "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    command = ["mutt", "-n", "-F", str(settings), "-s", subject, "-b", "blind@example.net", "--", TO]
    return run(*command, input="Your order has been sent, Zoë.\n.\n".encode(), env=environment)


def test_mutt_sends(place):
    done = mutt(place, house.SUBJECT)
    assert done.returncode == 0, done.stderr
    [taken] = place.sink.messages
    assert (taken.mail_from, taken.rcpt_to) == (house.SENDER, (TO, "blind@example.net"))
    assert taken.octets.endswith("\r\n\r\nYour order has been sent, Zoë.\r\n.\r\n".encode())
    assert b"blind" not in taken.octets


def test_mutt_fails_and_shows_the_rule(place):
    done = mutt(place, house.BAD_SUBJECT)
    assert done.returncode != 0
    assert house.BAD_RULE.encode() in done.stdout + done.stderr
    assert place.sink.messages == []


# --- cron --------------------------------------------------------------------------------------------------------


@pytest.fixture
def cron(place):
    """Debian's cron with a crontab of the test's own and our script where it looks for sendmail: in a world of its own.

    It has that path compiled in. A mount namespace gives it another /usr/sbin/sendmail, and folders for crontab and lock file.
    """
    require("cron")
    if os.geteuid() != 0 or run("unshare", "--mount", "--pid", "--fork", "true").returncode != 0:
        pytest.skip("cron looks for /usr/sbin/sendmail and nowhere else, and this user cannot give it another one (unshare)")
    if not Path("/usr/sbin/sendmail").exists():
        pytest.skip("there is no /usr/sbin/sendmail that could be covered")
    processes = []

    def start(output):
        tables, state = place.folder / "crontabs", place.folder / "run"
        for folder in (tables, state):
            folder.mkdir()
        table = tables / "root"
        table.write_text(f"MAILTO={TO}\nMAILFROM={house.SENDER}\n@reboot echo {shlex.quote(output)}\n")
        table.chmod(0o600)
        empty = place.folder / "empty"
        empty.mkdir()
        steps = [
            f"mount --bind {place.script} /usr/sbin/sendmail",
            f"mount --bind {tables} /var/spool/cron/crontabs",
            f"mount --bind {state} /run",
            f"mount --bind {empty} /etc/cron.d",
            "mount --bind /dev/null /etc/crontab",
            "exec cron -f",
        ]
        log = place.folder / "log"
        with log.open("wb") as told:
            command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", "\n".join(steps)]
            processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=told, stderr=told))
        return log

    yield start
    for process in processes:
        process.kill()  # unshare lets no SIGTERM through; what it started goes with it (--kill-child)
        process.wait(30)


def test_cron_mails_what_a_job_says(place, cron):
    place.configure(more='[rules]\n"*" = "note"')
    log = cron("backup: 3 files")
    try:
        [taken] = place.sink.wait(1)
    except AssertionError:
        pytest.fail(log.read_text(errors="replace"))
    assert taken.rcpt_to == (TO,)
    assert b"To: pat@example.net\r\nSubject: Cron <root@" in taken.octets
    assert taken.octets.endswith(b"\r\n\r\nbackup: 3 files\r\n")


def test_cron_mails_nothing_that_a_rule_refuses(place, cron):
    cron("{{ order.number }}")
    end = time.monotonic() + house.WAIT
    while not place.recorded:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert place.recorded[0]["event"] == "refused"
    assert place.recorded[0]["hook"] == "sendmail"
    assert place.sink.messages == []
