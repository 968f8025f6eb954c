"""What is done before the fork, so that no message waits for it."""

import subprocess
import sys

PROGRAM = """
import asyncio, sys
from delivcheck.gate.serve import building, warming
warming.warm()
before = set(sys.modules)
from tests.bench import letters
from delivcheck import policy
from delivcheck.checker import Checker, Options
from delivcheck.facts.roots import Envelope
from delivcheck.net.snapshot import from_mapping
checker = Checker(Options(policy.load("bulk"), from_mapping(letters.RECORDS)), shown={}, outlooks=False)
report = asyncio.run(checker.message(letters.letters(10, 1)[0], envelope=Envelope(letters.SENDER, (letters.RECIPIENT,))))
print(report.verdict, *sorted(name for name in set(sys.modules) - before if name.startswith("delivcheck")))
"""


def test_the_first_message_finds_every_module_of_ours_loaded():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["pass"]
