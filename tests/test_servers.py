"""The machinery of the tests themselves: real servers on loopback, and no network but that."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import settings

from tests import servers

ROOT = Path(__file__).parent.parent

PAGE = """
import pytest

def test_needs_one(nsd):
    pass

def test_needs_none():
    pass
"""


def run(*command, **environment):
    """Run Python in the checkout, without the servers on the PATH if PATH is given."""
    cleared = {
        name: value for name, value in os.environ.items() if name not in ("CI", "DELIVCHECK_INSTALL", "PYTEST_XDIST_WORKER")
    }
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=cleared | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


WITHOUT = """
import sys
from tests import servers
servers.program = lambda name: None
servers.install = lambda packages: print("installing", *packages)
code, line = servers.check(sys.argv[1:])
print(line)
sys.exit(code)
"""


NAMES, DEBIAN = ", ".join(servers.PACKAGES), " ".join(servers.PACKAGES.values())
HOW = f"apt-get install {DEBIAN}"
SKIPPED = f"servers missing: {NAMES} ({HOW}); their tests will be skipped\n"
NOT_INSTALLED = f"installing {DEBIAN}\nservers missing, and they could not be installed: {NAMES}"


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "says"),
    [
        ((), {}, 0, SKIPPED),
        (("--install-if-asked",), {}, 0, SKIPPED),
        ((), {"DELIVCHECK_INSTALL": "1"}, 0, SKIPPED),
        (("--install-if-asked",), {"DELIVCHECK_INSTALL": "1"}, 1, NOT_INSTALLED),
        ((), {"CI": "true"}, 1, NOT_INSTALLED),
    ],
)
def test_servers_are_installed_only_when_asked_for(arguments, environment, code, says):
    done = run("-c", WITHOUT, *arguments, **environment)
    assert (done.returncode, done.stdout[: len(says)]) == (code, says), done.stderr


PLUGIN = """
from tests import servers
servers.program = lambda name: None
"""


@pytest.mark.parametrize(("ci", "code", "outcome"), [("false", 0, "1 passed, 1 skipped"), ("true", 1, "1 passed, 1 error")])
def test_a_missing_server_is_named_at_the_end_and_fails_in_ci(tmp_path, ci, code, outcome):
    # A folder of its own, with this project's conftest as its plugin.
    (tmp_path / "no_servers.py").write_text(PLUGIN)
    (tmp_path / "test_page.py").write_text(PAGE)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    done = run(
        "-m",
        "pytest",
        "-p",
        "tests.conftest",
        "-p",
        "no_servers",
        "-p",
        "no:cacheprovider",
        str(tmp_path),
        CI=ci,
        PYTHONPATH=paths,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert outcome in done.stdout
    if not code:
        assert "1 tests skipped because nsd is not installed: test_page.py::test_needs_one" in done.stdout


@pytest.mark.parametrize("address", [("192.0.2.1", 53), ("2001:db8::1", 53), ("dns.example", 53)])
def test_nothing_leaves_this_machine(address):
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        with pytest.raises(RuntimeError, match="connect to"):
            sock.connect(address)
        with pytest.raises(RuntimeError, match="sendto to"):
            sock.sendto(b"", address)
        with pytest.raises(RuntimeError, match="connect_ex to"):
            sock.connect_ex(address)
    if "example" in address[0]:
        with pytest.raises(RuntimeError, match="getaddrinfo of"):
            socket.create_connection(address)


def test_loopback_and_unix_sockets_are_free(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass
    with socket.create_server(("localhost", 0)) as server, socket.create_connection(("localhost", server.getsockname()[1])):
        pass
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))


def test_hypothesis_is_thorough_only_in_a_soak(soak):
    assert settings.default.max_examples == (10_000 if soak else 50)


def test_a_server_that_does_not_start_is_told_with_its_log(tmp_path):
    command = [sys.executable, "-c", "print('no such port'); raise SystemExit(3)"]
    with (
        pytest.raises(servers.NotStartedError, match="no such port"),
        servers.running(command, tmp_path / "log", lambda: False),
    ):
        pass


def test_a_server_is_stopped_with_its_children_though_the_test_fails(tmp_path):
    log = tmp_path / "log"
    code = """if True:
        import json, subprocess, time
        print(json.dumps({"child": subprocess.Popen(["sleep", "60"]).pid}), flush=True)
        time.sleep(60)
    """

    def fails():
        with servers.running([sys.executable, "-c", code], log, lambda: servers.said(log) is not None) as process:
            raise ZeroDivisionError(process.pid)

    with pytest.raises(ZeroDivisionError) as caught:
        fails()
    assert not alive(caught.value.args[0])
    end = time.monotonic() + 5
    while alive(servers.said(log)["child"]) and time.monotonic() < end:  # killed, but by the kernel's leave
        time.sleep(0.01)
    assert not alive(servers.said(log)["child"])


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_the_generated_zones_are_served(nsd):
    assert len(nsd.manifest["domains"]) == 8
    assert servers.answers(*nsd.address)
