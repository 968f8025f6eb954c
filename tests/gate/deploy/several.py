"""Two gates over one PostgreSQL behind HAProxy, with the files of deploy/haproxy as they are but for paths, ports and addresses.

Everything is on loopback: gate-a and gate-b have an address each, the clients a third one, which only the PROXY header can tell.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import keys, servers
from tests.gate.deploy.site import DEPLOY, ROOT, enforcing, exchanged, name_server
from tests.gate.serve.running import Running
from tests.net.https_server import certificate

HAPROXY = DEPLOY / "haproxy"
CLIENT = "127.0.7.7"  # whom the gates trust; the balancer's own address they do not
PORTS = ("25", "587", "8025", "9125")


def host_of(name: str) -> str:
    """Where a gate is; both have the same ports, as on machines of their own."""
    return servers.loopback().replace("127.0.2.", f"127.0.{'3' if name == 'gate-a' else '4'}.")


class Gate:
    """One gate with all its processes, which can be killed together, and started again at the same address."""

    def __init__(self, settings: Path, log: Path) -> None:
        self.settings, self.log, self.deaths = settings, log, 0
        self._process: Any = None
        self._lock = threading.Lock()

    def start(self) -> "Gate":
        self._process = self._started()
        return self

    def _started(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "delivcheck", "gate", "--config", str(self.settings)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def events(self) -> Running:
        return Running(self._process, self.settings, self.log)

    def wait(self) -> "Gate":
        """Until it serves: of all its starts so far the last one."""
        pid = self._process.pid
        mine = f"/proc/{pid}/task/{pid}/children"
        self.events.wait(
            lambda: (
                {one["pid"] for one in self.events.events("worker", what="start", role="mail")}
                & {int(child) for child in Path(mine).read_text().split()}
            ),
            "a worker",
        )
        return self

    def kill(self, *, again: bool = True) -> None:
        """SIGKILL for supervisor, workers and clerk at once."""
        with self._lock:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self.deaths += 1
            if again:
                self._process = self._started()

    def replace(self) -> None:
        """Rolling: a successor at the same addresses, and then the end of this one."""
        with self._lock:
            before, self._process = self._process, self._started()
            self.wait()
            before.send_signal(signal.SIGTERM)
            assert before.wait(60) == 0

    def stop(self) -> int:
        self._process.terminate()
        return int(self._process.wait(60))

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill(again=False)


@dataclass
class Site:
    """What runs. `port` has the ports that both gates have, `front` those of the balancer, by the ports in the files."""

    folder: Path
    gates: dict[str, Gate]
    host: str
    port: dict[str, int]
    front: dict[str, int]
    pem: Path

    @property
    def smtp(self) -> tuple[str, int]:
        return self.host, self.front["25"]

    def delivcheck(self, gate: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """A command, with a gate's configuration."""
        command = [sys.executable, "-m", "delivcheck", *arguments, "--config", str(self.gates[gate].settings)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=60)


def settings(folder: Path, name: str, exchange: dict[str, str], more: str = "") -> Path:
    """Write a gate's configuration into a folder of its own, where its state is, too."""
    own = folder / name
    (own / "state").mkdir(parents=True)
    (own / "state" / "tokens.key").write_text("5a" * 64 + "\n")  # which all gates need
    text = enforcing(exchanged((HAPROXY / f"{name}.toml").read_text(), exchange | {"/var/lib/delivcheck": str(own / "state")}))
    text = text.replace("[gate]", '[gate]\nworkers = 1\nlog-format = "json"\n' + more, 1)
    path = own / "delivcheck.toml"
    path.write_text(text)
    return path


@contextmanager
def site(
    folder: Path, store: str, hop: tuple[str, int], *, policy: str = "", more: str = "", notice: int = 3
) -> Iterator[Site]:
    """Both gates and HAProxy, serving. `policy`: the text of another one; `more`: further keys of [gate]."""
    host = servers.loopback()
    port = {one: servers.free_port(host_of("gate-a")) for one in PORTS}
    front = {one: servers.free_port(host) for one in ("25", "587", "443")}
    secrets = folder / "secrets"
    (folder / "certs").mkdir()
    secrets.mkdir(mode=0o700)
    pem = certificate(folder / "certs", ("mail.example.com",))
    for name, octets in {
        "fullchain.pem": pem.read_bytes(),
        "privkey.pem": pem.read_bytes(),
        "s1.pem": keys.pem("rsa2048"),
        "database-password": b"none is asked for\n",
    }.items():
        (secrets / name).write_bytes(octets)
        (secrets / name).chmod(0o400)
    (folder / "policy.toml").write_text(policy)
    with name_server() as dns:
        exchange = {
            "/run/secrets": str(secrets),
            "/etc/delivcheck/users": str(folder),
            "10.25.0.0/24": "127.0.0.1/32",
            "198.51.100.0/24": f"{CLIENT}/32",
            "relay.example.com:25": f"{hop[0]}:{hop[1]}",
            'security = "required"': 'security = "none"',
            "postgresql://delivcheck@postgres/delivcheck": store,
            'policy        = "transactional"': f'policy = "{folder / "policy.toml" if policy else "transactional"}"\n'
            f'nameservers = ["{dns}"]\n',
            "notice = 3 ": f"notice = {notice} ",
        }
        gates = {}
        for name in ("gate-a", "gate-b"):
            addresses = {f'"0.0.0.0:{one}"': f'"{host_of(name)}:{port[one]}"' for one in PORTS}
            path = settings(folder, name, exchange | addresses, more)
            gates[name] = Gate(path, folder / name / "log")
        try:
            for one in gates.values():
                one.start()
            for one in gates.values():
                one.wait()
            with haproxy(folder, host, port, front):
                yield Site(folder, gates, host, port, front, pem)
        finally:
            for one in gates.values():
                one.close()


@contextmanager
def haproxy(folder: Path, host: str, port: dict[str, int], front: dict[str, int]) -> Iterator[None]:
    """HAProxy with deploy/haproxy/haproxy.cfg."""
    exchange = {
        "/etc/haproxy/certs": str(folder / "certs"),
        "check port 9125": f"check port {port['9125']}",
        **{f"bind :{one}\n": f"bind {host}:{front[one]}\n" for one in ("25", "587")},
        "bind :443 ": f"bind {host}:{front['443']} ",
        **{
            f" {name}:{one}{end}": f" {host_of(name)}:{port[one]}{end}"
            for name in ("gate-a", "gate-b")
            for one, end in (("25", " "), ("587", " "), ("8025", "\n"))
        },
    }
    if os.geteuid() != 0:  # nobody else can become somebody
        exchange |= {"    user haproxy\n": "", "    group haproxy\n": ""}
    path = folder / "haproxy.cfg"
    path.write_text(exchanged((HAPROXY / "haproxy.cfg").read_text(), exchange))
    program = servers.program("haproxy")
    assert program is not None

    def answers() -> bool:
        with suppress(OSError), socket.create_connection((host, front["25"]), 1) as connection:
            connection.settimeout(2)
            return bool(connection.recv(1))
        return False

    with servers.running([program, "-db", "-f", str(path)], folder / "haproxy.log", answers):
        yield


def settle(found: Any, what: str) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 30
    while not found():
        assert time.monotonic() < end, what
        time.sleep(0.05)
