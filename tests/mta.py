"""A private Postfix for the tests, and a sink that takes what it delivers.

    from tests.mta import needs_postfix, postfix, sink

    @needs_postfix
    def test_something():
        with postfix({"smtpd_milters": "unix:delivcheck/milter.sock"}) as mta:      # mail is discarded
            serve(mta.queue / "delivcheck" / "milter.sock")                         # where a chrooted smtpd sees it
            with mta.smtp() as client:
                client.sendmail("a@sender.example", ["b@rcpt.example"], b"Subject: x\r\n\r\ny\r\n")
            mta.wait("status=sent")

        with sink() as taken, postfix({"default_transport": taken.transport}) as mta: ...      # taken.wait(1)[0].octets

`postfix` takes settings of main.cf and lines of master.cf; the rest is Debian's unmodified master.cf, whose smtpd runs chrooted, but
for the address that smtpd listens on. Configuration, queue and data are in a folder of the instance's own, that goes away with it;
/etc/postfix is neither read nor written. It starts in 0.1 s, so that each test can have its own. More smtpd
services, with options of their own: `postfix(services=[service(host, port, "-o smtpd_proxy_filter=...")])`. Settings can be changed
while it runs: `mta.change(smtpd_milters="...")`.
"""

import json
import os
import re
import shutil
import smtplib
import socketserver
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.servers import free_port, loopback, program, running

MASTER = Path("/usr/share/postfix/master.cf.dist")  # Debian's; the package has it whatever /etc/postfix was made to be
DAEMONS = Path("/usr/lib/postfix/sbin")
OWNER = "postfix"
WAIT = 20.0  # seconds for something to appear in the log or the queue; a busy machine of two cores needs some

_PRIVATE = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace")
_CHROOT = ("services", "hosts", "resolv.conf", "nsswitch.conf", "localtime")  # what Debian copies below the queue's etc/
_SMTPD = re.compile(r"^smtp +inet .*smtpd\n", re.MULTILINE)

# Nothing asks DNS, nothing looks outside, nothing is delivered to this machine's users; else what a relay host is like.
BASE = {
    "compatibility_level": "3.6",
    "inet_protocols": "ipv4",
    "myhostname": "mail.example",
    "mydestination": "",
    "mynetworks": "127.0.0.0/8",
    "smtpd_relay_restrictions": "permit_mynetworks, reject",
    "smtpd_peername_lookup": "no",
    "smtp_dns_support_level": "disabled",
    "alias_maps": "",
    "alias_database": "",
    "local_recipient_maps": "",
    "default_transport": "discard:",
    "append_dot_mydomain": "no",
    "biff": "no",
    "notify_classes": "",
}


# Over a test, or as a module's `pytestmark`: skipped where Postfix cannot be run; in CI its absence is a failure.
needs_postfix = pytest.mark.usefixtures("_postfix_there")


@dataclass(frozen=True, slots=True)
class Postfix:
    """A running Postfix: its first smtpd listens at (host, port)."""

    host: str
    port: int
    folder: Path
    settings: dict[str, str]

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    @property
    def queue(self) -> Path:
        """The queue directory, which is what a chrooted daemon sees as its root. `delivcheck/` is there for the milter's socket."""
        return self.folder / "queue"

    @property
    def config(self) -> Path:
        return self.folder / "etc"

    def smtp(self, port: int | None = None) -> smtplib.SMTP:
        """A client, connected."""
        return smtplib.SMTP(self.host, port or self.port, local_hostname="client.example", timeout=30)

    def submit(self, octets: bytes, *recipients: str, sender: str = "a@sender.example") -> subprocess.CompletedProcess[str]:
        """Submit with sendmail(1), without smtpd; line ends are the platform's there."""
        command = [str(program("sendmail")), "-C", str(self.config), "-i", "-f", sender, "--", *recipients]
        done = subprocess.run(command, input=octets.replace(b"\r\n", b"\n"), capture_output=True, check=False)
        return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())

    def log(self) -> str:
        path = self.folder / "mail.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait(self, pattern: str, count: int = 1) -> list[str]:
        """The log's lines that match, as soon as there are `count`."""
        seek = re.compile(f"^.*(?:{pattern}).*$", re.MULTILINE)
        found: list[str] = []

        def enough() -> bool:
            found[:] = seek.findall(self.log())
            return len(found) >= count

        wait_until(enough, lambda: f"{pattern!r} {count} times in the log:\n{self.log()}")
        return found

    def queued(self) -> list[dict[str, Any]]:
        """What is in the queue, as `postqueue -j` says: `queue_name` of hold, deferred, active …, `queue_id`, `sender`."""
        return [json.loads(line) for line in self._run("postqueue", "-j").splitlines()]

    def octets(self, queue_id: str) -> bytes:
        """A queued message as it would be delivered, with CRLF line ends."""
        return self._run("postcat", "-h", "-b", "-q", queue_id, encoding="latin-1").encode("latin-1").replace(b"\n", b"\r\n")

    def flush(self) -> None:
        """Try to deliver now."""
        self._run("postqueue", "-f")

    def release(self) -> None:
        """Let go of all that is held, and deliver it."""
        self._run("postsuper", "-H", "ALL")
        self.flush()

    def discard(self) -> None:
        """Throw away all that is queued."""
        self._run("postsuper", "-d", "ALL")

    def change(self, **settings: str) -> None:
        """Change main.cf, and have new connections see it; running daemons end when their clients have gone."""
        self.settings.update(settings)
        _write_main(self.config, self.settings)
        self._run("postfix", "reload")

    def _run(self, name: str, *arguments: str, encoding: str = "utf-8") -> str:
        command = [str(program(name)), "-c", str(self.config), *arguments]
        return subprocess.run(command, check=True, capture_output=True).stdout.decode(encoding)


def wait_until(true: Callable[[], bool], what: Callable[[], str]) -> None:
    end = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < end, what()
        time.sleep(0.01)


def service(host: str, port: int, *options: str, chroot: bool = True) -> str:
    """A line of master.cf: one more smtpd. Options as `-o name=value`; a value with blanks in braces: `-o { name = value }`."""
    return f"{host}:{port} inet n - {'y' if chroot else 'n'} - - smtpd {' '.join(options)}"


@contextmanager
def postfix(
    settings: Mapping[str, str] | None = None,
    services: Sequence[str] = (),
    *,
    chroot: bool = True,
    options: Sequence[str] = (),
    host: str | None = None,
    port: int | None = None,
) -> Iterator[Postfix]:
    """Run Postfix until the block ends. `options` and `chroot` are for the first smtpd; `services` are more lines of master.cf."""
    host = host or loopback()
    port = port or free_port(host)
    # Not pytest's tmp_path: others cannot enter that, nor is it short enough for a UNIX socket's path.
    folder = Path(tempfile.mkdtemp(prefix="delivcheck-postfix-"))
    try:
        _lay_out(folder)
        own = {
            "inet_interfaces": "loopback-only",
            "queue_directory": str(folder / "queue"),
            "data_directory": str(folder / "data"),
        }
        own |= {"maillog_file": str(folder / "mail.log"), "maillog_file_prefixes": str(folder)}
        instance = Postfix(host, port, folder, {**BASE, **own, **(settings or {})})
        _write_main(instance.config, instance.settings)
        lines = [service(host, port, *options, chroot=chroot), *services]
        (instance.config / "master.cf").write_text(
            _SMTPD.sub("", MASTER.read_text(), 1) + "".join(f"{line}\n" for line in lines)
        )
        command = [str(DAEMONS / "master"), "-c", str(instance.config)]
        # Its ports are open by then; a connection to see it for ourselves would be in the way of what tests count.
        with running(command, folder / "master.log", lambda: "daemon started" in instance.log()):
            yield instance
    finally:
        shutil.rmtree(folder)


def _lay_out(folder: Path) -> None:
    """The folders as `postfix set-permissions` makes them, which would take longer than all the rest."""
    folder.chmod(0o755)
    queue = folder / "queue"
    for path in (folder / "etc", queue, queue / "pid", queue / "etc"):
        path.mkdir()
    for name in (*_PRIVATE, "maildrop", "public", "delivcheck", "../data"):
        (queue / name).mkdir(mode=0o700)
        shutil.chown(queue / name, OWNER)
    for name, mode in (("maildrop", 0o1730), ("public", 0o2710)):
        shutil.chown(queue / name, OWNER, "postdrop")
        (queue / name).chmod(mode)
    shutil.chown(queue / "delivcheck", "root", OWNER)
    (queue / "delivcheck").chmod(0o750)
    for name in _CHROOT:
        if (source := Path("/etc") / name).exists():
            shutil.copyfile(source, queue / "etc" / name)


def _write_main(config: Path, settings: Mapping[str, str]) -> None:
    path = config / "main.cf"
    path.write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
    os.utime(path, (0, 0))  # each daemon reads a young file again and again, for it may still be being written: 1.5 s


# --- the sink ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Taken:
    """A message as it came over the wire, dot-stuffing undone; `envelope` are the MAIL and RCPT lines as they came."""

    envelope: tuple[str, ...]
    octets: bytes


@dataclass(slots=True)
class Sink:
    """Takes everything. `transport` is the value for `default_transport`."""

    host: str
    port: int
    messages: list[Taken] = field(default_factory=list)

    @property
    def transport(self) -> str:
        return f"smtp:[{self.host}]:{self.port}"

    def wait(self, count: int) -> list[Taken]:
        wait_until(lambda: len(self.messages) >= count, lambda: f"{len(self.messages)} of {count} messages came")
        return self.messages


@contextmanager
def sink() -> Iterator[Sink]:
    """An SMTP server on loopback that takes all mail and keeps it: 8BITMIME and SMTPUTF8, and nothing else that could change it."""
    host = loopback()
    taken = Sink(host, 0)

    class Dialogue(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            envelope: list[str] = []
            self.wfile.write(b"220 sink.example ESMTP\r\n")
            while line := self.rfile.readline():
                command = line.decode("utf-8", "replace").rstrip("\r\n")
                match command.upper().split(":")[0].split(" ")[0]:
                    case "EHLO":
                        self.wfile.write(b"250-sink.example\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")
                        continue
                    case "DATA":
                        self.wfile.write(b"354 go on\r\n")
                        taken.messages.append(Taken(tuple(envelope), self._data()))
                    case "MAIL" | "RSET":
                        envelope = [command]
                    case "RCPT":
                        envelope.append(command)
                    case "QUIT":
                        self.wfile.write(b"221 bye\r\n")
                        return
                self.wfile.write(b"250 ok\r\n")

        def _data(self) -> bytes:
            lines = []
            while (line := self.rfile.readline()) not in {b".\r\n", b""}:
                lines.append(line[1:] if line.startswith(b".") else line)
            return b"".join(lines)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server((host, 0), Dialogue) as server:
        taken.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield taken
        finally:
            server.shutdown()
            thread.join()
