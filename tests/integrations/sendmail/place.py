"""A sendmail of a test's own: a sink, DNS, a configuration, and the command, in this process or as a program."""

import io
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from delivcheck.integrations.sendmail import running
from tests.integrations import house

ROOT = Path(__file__).parents[3]
WAIT = 120  # seconds for a process; a busy machine of two cores starts one in several


@dataclass
class Done:
    code: int
    said: str


class Place:
    """`call` is the command in this process; `script` is a program that callers can be pointed at."""

    def __init__(self, folder, sink, nameserver):
        self.folder, self.sink, self._nameserver = folder, sink, nameserver
        self.record = folder / "record"
        self.configure()

    def configure(self, table=None, *, more="", **hooks):
        """Write the configuration anew. `table` is [sendmail] in TOML."""
        if table is None:
            table = f'next-hop = "smtp://{self.sink.host}:{self.sink.port}"'
        text = f'[sendmail]\ndomain = "{house.DOMAIN}"\n{table}\n{more}'
        nameserver = hooks.pop("nameserver", self._nameserver)
        hooks.setdefault("deadline", 60)  # seconds: a busy machine must not make bypasses
        self.config = house.configuration(self.folder, nameserver, text=text, record=self.record, **hooks)

    def call(self, *argv, stdin=b"", environment=None):
        said = []
        code = running.run(["--config", str(self.config), *argv], io.BytesIO(stdin), said.append, environment or {})
        return Done(code, "\n".join(said))

    def process(self, *argv, stdin=b"", **options):
        command = [sys.executable, "-m", "delivcheck", "sendmail", "--config", str(self.config), *argv]
        return subprocess.run(command, input=stdin, capture_output=True, timeout=WAIT, cwd=ROOT, check=False, **options)

    @property
    def script(self):
        """The wrapper that docs/hooks/sendmail.md shows, with where we are in place of an installation."""
        path = self.folder / "sendmail"
        path.write_text(
            f'#!/bin/sh\nPYTHONPATH={ROOT / "src"} exec {sys.executable} -m delivcheck sendmail --config {self.config} -bm "$@"\n'
        )
        path.chmod(0o755)
        return path

    @property
    def recorded(self):
        return house.recorded(self.record)

    def program(self, code=0):
        """Another sendmail, that writes down what it is given. Returns its path."""
        path = self.folder / "other-sendmail"
        path.write_text(
            f"#!{sys.executable}\nimport json, sys\n"
            f"octets = sys.stdin.buffer.read()\n"
            f"open({str(self.folder / 'given')!r}, 'w').write(json.dumps([sys.argv[1:], octets.decode('latin-1')]))\n"
            f"sys.stderr.write('other: a word\\n')\nsys.exit({code})\n"
        )
        path.chmod(0o755)
        return path

    @property
    def given(self):
        """The other sendmail's arguments, and the octets on its stdin; None where it was not run."""
        path = self.folder / "given"
        if not path.exists():
            return None
        argv, octets = json.loads(path.read_text())
        return argv, octets.encode("latin-1")


@contextmanager
def place(folder, **options):
    with house.sink(**options) as sink, house.name_server() as dns:
        yield Place(Path(os.fspath(folder)), sink, dns.address)
