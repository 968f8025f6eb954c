"""A second gate started by accident, and a check that tells the running gate from another program."""

import os
import signal
import socket
import subprocess
import sys

from delivcheck.gate.serve.presence import FOLDER, Presence, listening
from tests import servers
from tests.gate.serve.running import gate
from tests.gate.serve.test_gate import configuration, next_hop, real


def fixed(folder, hop_port, port=None):
    """A configuration whose listener has a port of its own, not 0."""
    host = servers.loopback()
    path = configuration(folder, hop_port)
    text = path.read_text().replace(
        f'kind = "smtp"\naddress = "{host}:0"', f'kind = "smtp"\naddress = "{host}:{port or servers.free_port(host)}"'
    )
    path.write_text(text.replace(f'admin = "{host}:0"\n', ""))
    return path


def checked(path):
    program = [sys.executable, "-m", "delivcheck", "gate", "--check", "--config", str(path)]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)
    (line,) = [one for one in done.stdout.splitlines() if "listener smtp" in one]
    return done.returncode, line


def test_a_second_gate_of_the_same_configuration_is_one_line_and_exit_2_and_the_first_goes_on(tmp_path):
    with next_hop() as hop:
        path = fixed(tmp_path, hop.port)
        (tmp_path / "second").mkdir()
        with real(tmp_path, path) as first:
            first.wait_for("configuration", what="loaded")
            with gate(tmp_path / "second", arguments=["gate", "--config", str(path)], ready=False) as second:
                assert second.ended() == 2
            (line,) = second.stderr.read_text().splitlines()
            assert line.endswith(f": address already in use, by a gate that runs already (process {first.process.pid})")
            with socket.create_connection(first.address("smtp"), 10) as client:
                assert client.recv(4) == b"220 "
            first.signal(signal.SIGHUP)
            first.wait_for("worker", 4, what="start")  # a reload is no second gate


def test_the_check_knows_the_running_gate_and_nobody_else(tmp_path):
    with next_hop() as hop:
        path = fixed(tmp_path, hop.port)
        with real(tmp_path, path) as running:
            running.wait_for("configuration", what="loaded")
            code, line = checked(path)
            assert line.startswith("ok ")
            assert line.endswith(f"listens there (process {running.process.pid})")
            running.process.kill()
            running.ended()
        assert listening(tmp_path / "state") == {}  # though it could not say goodbye
        with socket.create_server((servers.loopback(), 0)) as other:  # one that even greets as we do
            code, line = checked(fixed(tmp_path, hop.port, other.getsockname()[1]))
            assert (code, line.split()[0]) == (2, "broken")
            assert line.endswith("address already in use, by another program")


def test_a_gate_that_is_gone_or_damaged_listens_nowhere(tmp_path):
    one = Presence(tmp_path)
    one.tell(["127.0.0.1:25"])
    other = Presence(tmp_path)
    other.tell(["unix:/x"])
    assert listening(tmp_path) == {"127.0.0.1:25": os.getpid(), "unix:/x": os.getpid()}
    one.forget()  # as where it was killed
    assert listening(tmp_path) == {"unix:/x": os.getpid()}
    other.close()
    assert listening(tmp_path) == {}
    assert list((tmp_path / FOLDER).iterdir()) == []
    damaged = Presence(tmp_path)
    os.pwrite(damaged._descriptor, b"[[[", 0)
    assert listening(tmp_path) == {}
    damaged.close()
