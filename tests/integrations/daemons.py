"""Runs `delivcheck daemon` as a process of its own."""

import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0  # seconds for anything here; a busy machine of two cores needs three


class Running:
    """A running daemon; `log` is what it has written so far."""

    def __init__(self, process, socket, stderr):
        self.process, self.socket, self.stderr = process, socket, stderr

    @property
    def log(self):
        return self.stderr.read_text()

    def wait_for(self, text):
        end = time.monotonic() + PATIENCE
        while text not in self.log:
            if time.monotonic() > end:
                pytest.fail(f"{text!r} did not come: {self.log}")
            time.sleep(0.01)

    @property
    def sockets(self):
        """How many sockets an idle one has: it listens, and its event loop wakes itself by a pair."""
        return 3

    def wait_gone(self):
        """Until it listens no more."""
        end = time.monotonic() + PATIENCE
        while self.socket.exists():
            assert time.monotonic() < end, self.log
            time.sleep(0.01)

    def signal(self, number):
        self.process.send_signal(number)

    def ended(self):
        return self.process.wait(PATIENCE)

    def stop(self):
        self.signal(signal.SIGTERM)
        return self.ended()


def command(configuration, *arguments):
    return [sys.executable, "-m", "delivcheck", "daemon", "--config", str(configuration), *arguments]


@contextmanager
def daemon(folder, configuration, *arguments, name="daemon", ready=True, **options):
    """A daemon at folder/<name>.socket, for as long as the block runs."""
    path, stderr = folder / f"{name}.socket", folder / f"{name}.stderr"
    if "--socket" not in arguments:
        arguments = ("--socket", str(path), *arguments)
    with stderr.open("wb") as output:
        process = subprocess.Popen(
            command(configuration, *arguments), cwd=ROOT, stderr=output, stdin=subprocess.DEVNULL, **options
        )
    running = Running(process, path, stderr)
    try:
        if ready:
            running.wait_for("listener what=open")
        yield running
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
