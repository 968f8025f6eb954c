"""Secrets that others can get at: readable ones are told of, writable ones are not used."""

import signal

import pytest

from delivcheck.cli import main
from tests.gate.serve.test_gate import configuration, real
from tests.gate.test_checkup import certified
from tests.keys import pem

SIGN = '[[gate.sign]]\ndomain = "example.org"\nselector = "s1"\nkey-file = "dkim.pem"\n'
LOGIN = 'user = "us"\npassword-file = "password"\n'
FILES = {
    "dkim.pem": "the DKIM key of example.org",
    "tls.pem": "the key of the TLS certificate",
    "password": "the password for the next hop out",
}


@pytest.fixture
def place(tmp_path):
    """A gate with a secret of every kind, each for its owner and group alone."""
    certified(tmp_path)
    (tmp_path / "dkim.pem").write_bytes(pem("rsa2048"))
    (tmp_path / "password").write_text("secret\n")
    for name in FILES:
        (tmp_path / name).chmod(0o640)
    path = configuration(tmp_path, 9, listen_lines='certificate = "chain.pem"\nkey = "tls.pem"', more=LOGIN + SIGN)
    return tmp_path, path


def check(path, capsys):
    code = main(["gate", "--check", "--config", str(path)])
    found = capsys.readouterr()
    return code, (found.out + found.err).splitlines()


@pytest.mark.parametrize("name", FILES)
def test_a_secret_that_everybody_can_read_is_a_warning_of_the_check_and_of_the_log(place, capsys, name):
    folder, path = place
    (folder / name).chmod(0o644)
    line = f"{folder / name}: everybody on this machine can read {FILES[name]} (mode 0644); chmod o= {folder / name}"
    code, lines = check(path, capsys)
    assert [one for one in lines if "can read" in one] == [f"warning  configuration: {line}"]
    assert code == 1  # nobody listens at port 9
    with real(folder, path) as running:
        assert running.wait_for("configuration", what="warning", level="warning", reason=line)


@pytest.mark.parametrize("name", FILES)
def test_a_secret_that_everybody_can_write_to_is_not_used(place, capsys, name):
    folder, path = place
    (folder / name).chmod(0o606)
    line = f"{folder / name}: everybody on this machine can write to {FILES[name]} (mode 0606); chmod o= {folder / name}"
    assert check(path, capsys) == (2, [f"delivcheck: {line}"])
    with real(folder, path, ready=False) as running:
        assert running.ended() == 2
        assert running.stderr.read_text() == f"delivcheck: {line}\n"


def test_a_running_gate_goes_on_with_the_old_secret(place):
    folder, path = place
    with real(folder, path) as running:
        (folder / "dkim.pem").chmod(0o666)
        running.signal(signal.SIGHUP)
        (told,) = running.wait_for("configuration", what="refused")
        assert "everybody on this machine can write to the DKIM key" in told["reason"]


def test_a_group_may_read_and_is_told_of_where_it_can_write(place, capsys):
    folder, path = place
    assert not [one for one in check(path, capsys)[1] if "can read" in one or "can write" in one]
    (folder / "tls.pem").chmod(0o660)
    assert [one for one in check(path, capsys)[1] if f"{folder / 'tls.pem'}: its group can write to the key" in one]
