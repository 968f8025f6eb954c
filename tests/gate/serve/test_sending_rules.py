"""Sending rules and the suppression list of the gate as it is run: after a reload, shared by workers, out of the real store."""

import signal
import smtplib

from delivcheck.cli import main
from tests.gate.serve.test_gate import configuration, next_hop, real

ENFORCE = 'mode = "enforce"\n'


def written(folder, hop, rules="", more=""):
    (folder / "policy.toml").write_text('extends = "bulk"\n[rules]\n"*" = "off"\n')
    path = configuration(folder, hop.port, more=rules + more)
    text = path.read_text().replace('mode = "observe"\n', ENFORCE)
    path.write_text(f'policy = "{folder / "policy.toml"}"\n{text}')
    return path


def rcpt(address, recipient):
    """What a RCPT is answered with."""
    client = smtplib.SMTP(*address, timeout=10)
    try:
        client.ehlo("client.example.org")
        client.mail("a@example.org")
        code, text = client.rcpt(recipient)
        return f"{code} {text.decode()}"
    finally:
        client.close()


def test_workers_share_a_limit_and_the_list_and_a_reload_brings_other_rules(tmp_path, capsys):
    with next_hop() as hop:
        path = written(tmp_path, hop, '[[gate.rule]]\nname = "slow"\nlimit = "5/day"\n', "[gate.trace]\n")
        assert main(["suppress", "add", "Pat@Example.net", "--reason", "complaint", "--config", str(path)]) == 0
        capsys.readouterr()
        with real(tmp_path, path) as running:
            address = running.address("smtp")
            said = rcpt(address, "pat@EXAMPLE.net")
            assert said.startswith("550 5.7.1 suppressed since 20")
            assert "(complaint)" in said
            assert running.wait_for("suppressed")[0]["address"] == "pat@EXAMPLE.net"
            said = [rcpt(address, f"r{number}@example.net")[:3] for number in range(12)]
            assert said == ["250"] * 5 + ["450"] * 7
            path.write_text(path.read_text() + '[[gate.rule]]\nname = "closed"\nrefuse = "not any more"\n')
            running.signal(signal.SIGHUP)
            running.wait_for("configuration", 2, what="loaded")
            running.wait(lambda: rcpt(address, "b@example.net").startswith("550 5.7.1 closed: not any more ("), "the new rule")
            path.write_text(path.read_text() + '[[gate.rule]]\nname = "never"\nrefuse = "twice"\n')
            running.signal(signal.SIGHUP)
            (told,) = running.wait_for("configuration", what="refused")
            assert "it never matches: closed above it says refuse" in told["reason"]
            assert rcpt(address, "b@example.net").startswith("550 5.7.1 closed: not any more (")
