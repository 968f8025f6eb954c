"""Real servers for the tests: finds them, installs them where that was asked for, runs them on loopback.

`python -m tests.servers --install-if-asked` says in one line which are missing. With CI=true, or with DELIVCHECK_INSTALL=1, it
installs the Debian packages if it may, and a server that is still missing afterwards is an error.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

PACKAGES = {  # program: Debian packages, with what they only recommend and the tests need: SASL, TLS
    "nsd": "nsd",
    "postfix": "postfix libsasl2-modules",
    "opendkim": "opendkim",
    "swaks": "swaks libnet-ssleay-perl",
    "msmtp": "msmtp",
    "curl": "curl",
    "openssl": "openssl",
    "chromium": "chromium",  # the pages are looked at in it
    "postgres": "postgresql",
    "haproxy": "haproxy",
    "php": "php-cli php-symfony-mailer",  # which Laravel and Mautic send with, too
    "ruby": "ruby ruby-actionmailer",  # of Rails
    "mutt": "mutt",
    "cron": "cron",
    "git-send-email": "git git-email",  # a program of git's own folder
}
NODEMAILER = "nodemailer"  # a package of npm's, had where npm is: Debian's npm is 400 packages, so it is nobody's duty
PRESEED = "postfix postfix/main_mailer_type select No configuration\n"  # answers to what a package would ask for
POSTGRESQL = frozenset({"postgres", "initdb", "psql", "pg_dump", "pg_restore"})
START = 20.0  # seconds a server may take to answer; a busy machine of two cores needs one
FIXTURE = Path(__file__).parent / "bench" / "fixture"
ZONES = Path(__file__).parent / "net" / "zones"
POLICY = Path("/usr/sbin/policy-rc.d")
NPM = Path(__file__).parent.parent / ".pytest_cache" / "d" / "npm"  # where npm installs, without a lock file
MODULES = Path(__file__).parent / "gate" / "clients" / "package.json"
NODE_MODULES = NPM / "node_modules"


# --- which there are ---------------------------------------------------------------------------------------------


def program(name: str) -> str | None:
    """Where a server's program is; servers are often not on a user's PATH."""
    if name == NODEMAILER:
        return str(NODE_MODULES / name) if (NODE_MODULES / name).is_dir() and shutil.which("node") else None
    folders = [os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", "/sbin"]
    folders += ["/usr/lib/git-core", "/usr/libexec/git-core"]
    if name in POSTGRESQL:  # Debian keeps several versions side by side, and none on the PATH
        folders += sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    return shutil.which(name, path=os.pathsep.join(folders))


def missing() -> list[str]:
    return [name for name in PACKAGES if program(name) is None]


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() == "true"


def check(arguments: Sequence[str]) -> tuple[int, str]:
    """The exit code, and the one line to say."""
    lacking = missing()
    if not lacking:
        return 0, f"servers for the tests: {', '.join(PACKAGES)}"
    packages = [one for name in lacking for one in PACKAGES[name].split()]
    how = f"apt-get install {' '.join(packages)}"
    if not in_ci() and not ("--install-if-asked" in arguments and os.environ.get("DELIVCHECK_INSTALL") == "1"):
        return 0, f"servers missing: {', '.join(lacking)} ({how}); their tests will be skipped"
    install(packages)
    if lacking := missing():
        return 1, f"servers missing, and they could not be installed: {', '.join(lacking)} ({how} as root)"
    return 0, f"servers installed: {' '.join(packages)}"


def install(packages: Sequence[str], preseed: str = "") -> None:
    """Install Debian packages, without any of the services that they would start; `preseed` has answers to more questions."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if shutil.which("debconf-set-selections"):
        subprocess.run(["debconf-set-selections"], input=(PRESEED + preseed).encode(), env=environment, check=False)
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")  # "action forbidden by policy"
        POLICY.chmod(0o755)
    try:
        if subprocess.run(command, env=environment, check=False).returncode:
            subprocess.run(["apt-get", "update"], env=environment, check=False)
            subprocess.run(command, env=environment, check=False)
    finally:
        if ours:
            POLICY.unlink()
    if shutil.which("systemctl"):
        for package in packages:  # one that is no service must not keep the others enabled
            subprocess.run(["systemctl", "disable", "--now", package], check=False, capture_output=True)


def install_modules() -> None:
    """Install what tests/gate/clients/package.json names, beside pytest's cache."""
    npm = shutil.which("npm")
    if npm is None or program(NODEMAILER) is not None:
        return
    NPM.mkdir(parents=True, exist_ok=True)
    shutil.copy(MODULES, NPM)
    subprocess.run([npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=NPM, check=False)


# --- running one -------------------------------------------------------------------------------------------------


class NotStartedError(Exception):
    """A server did not come up; the text has the end of its log."""


@contextmanager
def running(command: Sequence[str], log: Path, ready: Callable[[], bool]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in the foreground until the block ends, however it ends."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        end = time.monotonic() + START
        while not ready():
            if process.poll() is not None or time.monotonic() > end:
                raise NotStartedError(f"{Path(command[0]).name}: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        finally:
            with suppress(ProcessLookupError):  # its children, which are a process group of their own
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def loopback() -> str:
    """A loopback address of this test process's own, so that several side by side do not take each other's ports."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    host = f"127.0.2.{10 + int(worker) % 200}"
    with socket.socket() as probe:
        try:
            probe.bind((host, 0))
        except OSError:  # macOS has 127.0.0.1 only
            return "127.0.0.1"
    return host


def free_port(host: str) -> int:
    """A port that nobody has, for UDP and TCP."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind((host, 0))
            port = tcp.getsockname()[1]
            with suppress(OSError):
                udp.bind((host, port))
                return int(port)


def said(log: Path) -> Any:
    """The line of JSON that our own servers print when their ports are open; None until then."""
    text = log.read_text() if log.exists() else ""
    return json.loads(text.partition("\n")[0]) if text.startswith("{") and "\n" in text else None


# --- NSD ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Nsd:
    """A running name server. `manifest` tells what is right and wrong with the domains it serves, see gen_zones.py."""

    host: str
    port: int
    folder: Path
    manifest: dict[str, Any]

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port


@contextmanager
def nsd(folder: Path, domains: int = 8, extra: Path = ZONES) -> Iterator[Nsd]:
    """NSD with generated sender domains, d000.example and on, and the zones of a folder."""
    path = program("nsd")
    assert path is not None
    for attempt in range(3):
        host = loopback()
        port = free_port(host)
        options = ["--domains", str(domains), "--keypool", "2", "--listen", f"{host}@{port}", "--extra", str(extra)]
        subprocess.run([sys.executable, str(FIXTURE / "gen_zones.py"), str(folder), *options], check=True, capture_output=True)
        try:
            with running([path, "-d", "-c", str(folder / "nsd.conf")], folder / "out.log", partial(answers, host, port)):
                yield Nsd(host, port, folder, json.loads((folder / "manifest.json").read_text()))
                return
        except NotStartedError:
            if attempt == 2:  # somebody took the port in between: once is bad luck, three times is something else
                raise


def answers(host: str, port: int) -> bool:
    """Whether a DNS server answers there."""
    question = b"\0\1\0\0\0\1\0\0\0\0\0\0" + b"\0" + b"\0\6\0\1"  # . SOA
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.2)
        try:
            sock.connect((host, port))
            sock.send(question)
            return sock.recv(512)[:2] == question[:2]
        except OSError:
            return False


# Postfix is in mta.py, PostgreSQL in postgres.py.

# --- delay line --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DelayLine:
    """A running delayproxy.py: holds every answer back, and counts."""

    host: str
    port: int
    control: tuple[str, int]

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    def tell(self, command: str) -> bytes:
        with socket.socket(type=socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.connect(self.control)
            sock.send(command.encode())
            return sock.recv(65535)

    def reset(self, delay_ms: float = 20) -> None:
        self.tell(f"delay {delay_ms}")
        self.tell("reset")

    def stats(self) -> dict[str, Any]:
        """Answered questions: queries, unique, tcp, rounds, span_ms, types."""
        return json.loads(self.tell("stats"))


@contextmanager
def delay_line(folder: Path, upstream: tuple[str, int]) -> Iterator[DelayLine]:
    host, log = loopback(), folder / "delayproxy.log"
    command = [sys.executable, str(FIXTURE / "delayproxy.py"), "--upstream", f"{upstream[0]}:{upstream[1]}"]
    with running([*command, "--listen", f"{host}:0", "--control", f"{host}:0"], log, lambda: said(log) is not None):
        ports = said(log)
        yield DelayLine(host, ports["listen"][1], tuple(ports["control"]))


if __name__ == "__main__":
    if in_ci() or os.environ.get("DELIVCHECK_INSTALL") == "1":
        install_modules()
    code, line = check(sys.argv[1:])
    sys.stdout.write(line + "\n")
    sys.exit(code)
