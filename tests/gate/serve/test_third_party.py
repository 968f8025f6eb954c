"""Rules of other people's in the gate as it is run: what they do costs their own verdict, or at most their worker (attack 70)."""

import smtplib
import sys

import pytest

from tests.gate.serve.running import gate
from tests.gate.serve.test_gate import MESSAGE, configuration, next_hop, send

PACKAGE = {
    "odd_rules/__init__.py": "",
    "odd_rules/facts.py": """
import asyncio
from dataclasses import dataclass
from delivcheck.engine import fact
from delivcheck.mime.message import Message
from delivcheck.model import Dns

@dataclass(frozen=True, slots=True)
class Odd:
    subject: str

@fact
async def odd(message: Message, dns: Dns) -> Odd:
    subject = message.first("subject").text.strip()
    await asyncio.sleep(0.01)  # so that it goes on in a task of its own
    if subject == "provider exits":
        raise SystemExit(3)
    return Odd(subject)
""",
    "odd_rules/checks.py": """
import sys
import time
from delivcheck.engine import rule
from delivcheck.model import Findings, Problem
from .facts import Odd

@rule("odd/rule")
def odd_rule(odd: Odd) -> Findings:
    match odd.subject:
        case "exits":
            sys.exit(3)
        case "fails":
            raise RuntimeError("secret")
        case "recurses":
            yield from odd_rule.function(odd)
        case "allocates":
            yield Problem(str(len(bytearray(1 << 60))))
        case "hangs":
            hang_in_a_rule()

def hang_in_a_rule():
    while True:
        time.sleep(0.1)
""",
    "odd_rules/rules/odd/rule.toml": """
title = "An odd rule"
level = "error"
basis = "practice"
since = "0.1"
targets = ["message"]
stage = "pre-sign"
why = "To see what becomes of it."
fix = "None."
[[source]]
name = "Nobody's handbook"
checked = 2026-11-22
""",
    "odd_rules-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: odd-rules\nVersion: 1.0\n",
    "odd_rules-1.0.dist-info/entry_points.txt": "[delivcheck.rules]\nodd = odd_rules.checks\n\n[delivcheck.facts]\nodd = odd_rules.facts\n",
}


def installed(folder):
    for name, text in PACKAGE.items():
        path = folder / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {"PYTHONPATH": str(folder / "site")}


def subject(text):
    return MESSAGE.replace(b"Subject: one", b"Subject: " + text.encode())


@pytest.mark.attack(70)
def test_what_a_rule_of_somebody_elses_does_is_its_own_verdict_and_a_hanging_one_costs_its_worker(tmp_path):
    with next_hop() as hop:
        path = configuration(tmp_path, hop.port, gate_lines="watchdog = 3")
        program = [sys.executable, "-m", "delivcheck", "gate", "--config", str(path)]
        with gate(tmp_path, program=program, environment=installed(tmp_path), workers=2) as running:
            address, workers = running.address("smtp"), running.workers()
            failed = 0
            for number, text in enumerate(("harmless", "exits", "provider exits", "fails", "recurses", "allocates"), 1):
                assert send(address, subject(text)) == {}  # observing, so that each goes on
                told = running.wait_for("message", number)[-1]
                assert "dkim/no-signature" in told["rules"], told  # all other rules were asked as ever
                assert not running.events("fault", where="pipeline")  # judged, and not waved through for a fault of ours
                said = running.stderr.read_text()
                failed += text != "harmless"
                assert said.count("the check odd/rule failed") + said.count("the provider of Odd failed") == failed, text
            assert running.workers() == workers
            assert "secret" not in hop.raw.decode()
            with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionResetError, TimeoutError)):
                send(address, subject("hangs"))
            (killed,) = running.wait_for("worker", what="killed")
            assert any("hang_in_a_rule" in line for line in killed["traceback"])
            running.wait_for("worker", 3, what="start")
            assert len(running.workers()) == 2
            assert len(running.workers() - workers) == 1
            assert send(address, subject("harmless again")) == {}
            assert len(hop.messages) == 7
