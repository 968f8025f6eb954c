"""Runs a gate as a process of its own, and speaks the stand-in's toy protocol with it."""

import atexit
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Self

import pytest

from tests import servers

ROOT = Path(__file__).parents[3]
PATIENCE = 30.0  # seconds a gate may take for anything here; a busy machine of two cores needs two


class Running:
    """A running gate; `log` are the events it has written so far."""

    def __init__(self, process: "subprocess.Popen[bytes] | Forked", settings: Path, stderr: Path) -> None:
        self.process, self.settings, self.stderr = process, settings, stderr

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stderr.read_text().splitlines() if line.startswith("{")]

    def events(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        return [
            one for one in self.log if one["event"] == event and all(one.get(key) == value for key, value in fields.items())
        ]

    def wait(self, found: Callable[[], Any], what: str = "") -> Any:
        end = time.monotonic() + PATIENCE
        while not (result := found()):
            if time.monotonic() > end:
                pytest.fail(f"{what or found} did not come; the log:\n{self.stderr.read_text()[-3000:]}")
            time.sleep(0.02)
        return result

    def wait_for(self, event: str, count: int = 1, **fields: Any) -> list[dict[str, Any]]:
        def enough() -> list[dict[str, Any]]:
            found = self.events(event, **fields)
            return found if len(found) >= count else []

        return self.wait(enough, f"{count} of {event} {fields}")

    def address(self, listener: str) -> tuple[str, int]:
        """Where a listener listens that has port 0 in its settings."""
        opened = self.wait_for("listener", listener=listener)[-1]
        host, _, port = opened["address"][0].rpartition(":")
        return host.strip("[]"), int(port)

    def say(self, line: str, listener: str = "a") -> str:
        with self.client(listener) as client:
            return client.say(line)

    def client(self, listener: str = "a") -> "Client":
        return Client(socket.create_connection(self.address(listener), PATIENCE))

    def get(self, path: str) -> tuple[int, str]:
        return http(self.address("admin"), f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    def metric(self, name: str, **labels: str) -> float:
        code, text = self.get("/metrics")
        assert code == 200
        return sum(
            float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if re.match(rf"{name}[ {{]", line) and all(f'{key}="{value}"' in line for key, value in labels.items())
        )

    def workers(self) -> set[int]:
        """The children that are alive."""
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return {int(pid) for pid in found.split()}

    def change(self, **settings: Any) -> None:
        self.settings.write_text(json.dumps(json.loads(self.settings.read_text()) | settings))

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        return self.process.wait(PATIENCE)


class Client:
    """One connection with the stand-in."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.file = connection.makefile("rb")

    def send(self, line: str) -> None:
        self.connection.sendall(line.encode() + b"\n")

    def read(self) -> str:
        return self.file.readline().decode().strip()

    def say(self, line: str) -> str:
        self.send(line)
        return self.read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.connection.close()


def http(address: tuple[str, int], request: bytes) -> tuple[int, str]:
    with socket.create_connection(address, PATIENCE) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        with connection.makefile("rb") as file:
            octets = file.read()
    head, _, body = octets.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, body.decode()


def command(settings: Path) -> list[str]:
    return [sys.executable, "-m", "tests.gate.serve.stand_in", str(settings)]


class Forked:
    """A process that the nursery started, with as much of subprocess.Popen as is needed here."""

    def __init__(self, folder: Path) -> None:
        self._code = folder / "code"
        pid = folder / "pid"
        end = time.monotonic() + PATIENCE
        while not pid.exists():
            assert time.monotonic() < end, "the nursery does not answer"
            time.sleep(0.005)
        self.pid = int(pid.read_text())

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def poll(self) -> int | None:
        return int(self._code.read_text()) if self._code.exists() else None

    def wait(self, seconds: float = PATIENCE) -> int:
        end = time.monotonic() + seconds
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("gate", seconds)
            time.sleep(0.01)
        return code


@cache
def nursery() -> "subprocess.Popen[bytes]":
    """One for all tests of this process; it ends with its standard input."""
    started = subprocess.Popen([sys.executable, "-m", "tests.gate.serve.nursery"], cwd=ROOT, stdin=subprocess.PIPE)
    atexit.register(end, started)
    return started


def end(started: "subprocess.Popen[bytes]") -> None:
    assert started.stdin is not None
    started.stdin.close()
    started.wait(PATIENCE)


def born(settings: Path, stderr: Path, environment: dict[str, str], arguments: Sequence[str]) -> Forked:
    for name in ("pid", "code"):
        (settings.parent / name).unlink(missing_ok=True)
    stderr.touch()
    paths = {"settings": str(settings), "stderr": str(stderr), "folder": str(settings.parent)}
    request = {**paths, "environment": environment, "arguments": list(arguments)}
    pipe = nursery().stdin
    assert pipe is not None
    pipe.write(json.dumps(request).encode() + b"\n")
    pipe.flush()
    return Forked(settings.parent)


def started(
    program: Sequence[str],
    stderr: Path,
    before: Callable[[], None] | None,
    pass_fds: Sequence[int],
    environment: dict[str, str],
) -> "subprocess.Popen[bytes]":
    with stderr.open("wb") as output:
        return subprocess.Popen(
            program,
            cwd=ROOT,
            stderr=output,
            stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            pass_fds=pass_fds,
            preexec_fn=before,  # noqa: PLW1509 -- sets limits, takes no lock
            env={**os.environ, **environment},
        )


@contextmanager
def gate(
    folder: Path,
    *,
    before: Callable[[], None] | None = None,
    pass_fds: Sequence[int] = (),
    environment: dict[str, str] | None = None,
    ready: bool = True,
    program: Sequence[str] = (),
    arguments: Sequence[str] = (),
    **settings: Any,
) -> Iterator[Running]:
    """A gate with these settings, for as long as the block runs; `ready` waits until its workers serve.

    With `arguments` it is `delivcheck …`, with `program` whatever that is.
    """
    host = servers.loopback()
    path, stderr = folder / "settings.json", folder / "stderr"
    path.write_text(json.dumps({"listeners": {"a": f"{host}:0"}, **settings}))
    if before or pass_fds or program:
        process = started(program or command(path), stderr, before, pass_fds, environment or {})
    else:
        process = born(path, stderr, environment or {}, arguments)
    running = Running(process, path, stderr)
    try:
        if ready:
            running.wait_for("worker", settings.get("workers", 2), what="start")
        yield running
    finally:
        children = running.workers() if process.poll() is None else set()
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(PATIENCE)
        for pid in children:  # orphans, where the supervisor was killed
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
