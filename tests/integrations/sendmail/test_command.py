"""`delivcheck sendmail` as one of delivcheck's commands: what click makes of it, and what becomes of the log."""

import io
import logging
import sys
import syslog
from types import SimpleNamespace

import pytest

from delivcheck.cli import main
from delivcheck.integrations.sendmail.sysexits import Exit
from tests.integrations import house


@pytest.fixture
def told(monkeypatch):
    """The lines that syslog gets, whatever others did to the root logger (Celery's worker sets its level)."""
    lines = []
    monkeypatch.setattr(logging.getLogger(), "level", logging.CRITICAL)
    monkeypatch.setattr(syslog, "syslog", lambda level, line: lines.append((level, line)))
    return lines


def call(monkeypatch, *argv, stdin=b""):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(stdin)))
    return main(["sendmail", *argv])


def test_every_word_reaches_sendmail_as_it_stands(place, monkeypatch, told, capsys):
    octets = house.good()
    config = f"--config={place.config}"
    assert call(monkeypatch, config, "-v", "-oi", "-f", "", "--", "-h@example.net", stdin=octets) == Exit.UNAVAILABLE
    assert "null-sender" in capsys.readouterr().err  # the empty word was there
    assert call(monkeypatch, config, "-oi", "--", "-h@example.net", stdin=octets) == Exit.OK
    assert [one.rcpt_to for one in place.sink.messages] == [("-h@example.net",)]
    assert [line.partition(":")[0] for _, line in told] == ["refused"]


def test_mail_that_is_sent_without_a_pass_stands_in_the_system_log_and_is_no_fault(place, monkeypatch, told, capsys):
    place.record.mkdir()  # it cannot be written
    code = call(monkeypatch, f"--config={place.config}", "--mode=observe", "-v", "-ti", stdin=house.bad())
    assert code == Exit.OK
    lines = dict(told)
    assert house.BAD_RULE in lines[syslog.LOG_WARNING]
    assert "not recorded" in lines[syslog.LOG_ERR]
    assert "without a pass: observe" in capsys.readouterr().err
    assert logging.getLogger("delivcheck").handlers == []


def test_a_closed_stdin_sends_nothing(place, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["sendmail", f"--config={place.config}", "-i", house.RECIPIENT]) == Exit.IOERR
    assert place.sink.messages == []


def test_the_help_names_the_exit_codes(capsys):
    assert main(["sendmail", "--help"]) == 0
    assert "sysexits" in capsys.readouterr().out


def test_without_arguments_it_says_who_is_missing(monkeypatch, capsys):
    assert call(monkeypatch) == Exit.USAGE
    assert "no recipients" in capsys.readouterr().err
