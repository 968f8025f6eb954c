"""Runs command lines, inside this process or as one of their own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import delivcheck
from delivcheck.cli import main

PACKAGE = str(Path(delivcheck.__file__).parents[1])

MESSAGE = b"""\
From: Ada <ada@example.com>
To: bob@example.org
Subject: lunch
Date: Mon, 23 Nov 2026 12:00:00 +0000
Message-ID: <1@example.com>

At noon?
"""

ZONE = """\
$ORIGIN example.com.
$TTL 300
@ IN SOA ns1 host 1 2 3 4 5
@ IN MX 10 mx
@ IN TXT "v=spf1 include:_spf.example.com mx -all"
_spf IN TXT "v=spf1 ip4:192.0.2.0/24 a:gone.example.com -all"
_dmarc IN TXT "v=DMARC1; p=reject"
mx IN A 192.0.2.25
"""


@dataclass(frozen=True)
class Ran:
    """What a command line came to."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """stdout as one JSON value."""
        return json.loads(self.out)

    @property
    def lines(self):
        """stdout as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every test stands in an empty folder: no configuration, no colour, no terminal width of whoever runs it."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(capfdbinary, monkeypatch):
    """Run in this process: fast."""

    def go(*arguments, stdin=None):
        if stdin is not None:
            read, write = os.pipe()
            os.write(write, stdin)
            os.close(write)
            monkeypatch.setattr(sys, "stdin", os.fdopen(read, "r"))
        capfdbinary.readouterr()
        code = main([str(argument) for argument in arguments])
        if stdin is not None:
            sys.stdin.close()
        caught = capfdbinary.readouterr()
        return Ran(code, caught.out.decode(), caught.err.decode())

    return go


def environment(**more):
    """The environment of a process of our own: nothing that changes output, the package found."""
    kept = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}}
    return {**kept, "PYTHONPATH": os.pathsep.join([PACKAGE, kept.get("PYTHONPATH", "")]).strip(os.pathsep), **more}


@pytest.fixture
def process(tmp_path):
    """Run as a process: what stdout is and how it ends are real."""

    def go(*arguments, stdin=b"", env=None, **settings):
        done = subprocess.run(
            [sys.executable, "-m", "delivcheck", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            check=False,
            cwd=tmp_path,
            env=environment(**(env or {})),
            timeout=60,
            **settings,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    return go


@pytest.fixture
def message(tmp_path):
    """A message as a file, LF line ends."""
    file = tmp_path / "lunch.eml"
    file.write_bytes(MESSAGE)
    return file


@pytest.fixture
def zone(tmp_path):
    """A zone file."""
    file = tmp_path / "example.com.zone"
    file.write_text(ZONE)
    return file
