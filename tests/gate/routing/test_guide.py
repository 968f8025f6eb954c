"""docs/sending-rules.md: every example can be read, does what the text around it says, and every key is named."""

import re
from pathlib import Path

import pytest

from delivcheck.cli import main
from delivcheck.gate import reading
from delivcheck.gate.reading.rules import RULE, WHEN
from delivcheck.gate.routing.rules import Rules, envelope
from delivcheck.gate.settings import Ending
from tests.gate import world

PAGE = Path(__file__).parents[3] / "docs" / "sending-rules.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
HEAD = """[streams.resets]
class = "transactional"
[streams.invoices]
class = "transactional"
[streams.weekly]
class = "bulk"
[gate]
name = "gate.example.org"
[gate.hold]
[gate.credentials.staging]
[[gate.listen]]
kind = "smtp"
address = "127.0.0.1:2525"
trusted = "127.0.0.0/8"
[[gate.next-hop]]
name = "main"
address = "127.0.0.1:26"
[[gate.next-hop]]
name = "fast"
address = "127.0.0.1:27"
domains = "fast.example"
[[gate.next-hop]]
name = "provider"
address = "127.0.0.1:28"
domains = "provider.example"
"""


def rules_of(folder, text):
    found = world.configuration(folder, HEAD + text)
    return reading.read(found).rules


@pytest.mark.parametrize("text", EXAMPLES, ids=[re.search('name = "(.*?)"', one)[1] for one in EXAMPLES])
def test_every_example_can_be_read(tmp_path, text):
    assert rules_of(tmp_path, text)


def test_all_examples_go_together_in_one_file(tmp_path):
    assert len(rules_of(tmp_path, "".join(EXAMPLES))) == 9


def test_the_page_names_every_key():
    text = PAGE.read_text()
    for key in (*RULE, *WHEN):
        assert key == "name" or f"`{key}`" in text


def test_the_examples_do_what_is_said_of_them(tmp_path):
    rules = {one.name: one for one in rules_of(tmp_path, "".join(EXAMPLES))}
    retired = Rules([rules["retired"]]).at_rcpt(envelope("x@OLD.example.com", ["pat@example.net"]))
    assert retired.ending is Ending.REFUSE
    staging = Rules([rules["staging"]]).at_rcpt(envelope("x@example.com", ["pat@example.net"], "staging"))
    assert staging.outside(["pat@example.net"])
    assert staging.outside(["pat@staging.example.com"]) is None


def test_the_console_shows_what_the_command_prints(tmp_path, capsys, monkeypatch):
    shown = re.search(r"\$ delivcheck routing test (.*?)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    world.configuration(tmp_path, HEAD + EXAMPLES[1])
    (tmp_path / "message.eml").write_bytes(world.message())
    monkeypatch.chdir(tmp_path)
    assert main(["routing", "test", *shown[1].split()]) == 0
    assert capsys.readouterr().out == shown[2]
