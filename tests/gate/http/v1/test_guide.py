"""docs/web-service.md, read as its reader would: every example is run by a shell against a real service, every number looked up."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from delivcheck.gate.http import bounds
from delivcheck.gate.http.v1 import auth, reading, sending
from delivcheck.trace.keys import Scope
from tests.conftest import require
from tests.gate.http.v1.serving import serving

ROOT = Path(__file__).parents[4]
GUIDE = (ROOT / "docs" / "web-service.md").read_text()


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def test_every_example_does_what_the_guide_says(tmp_path):
    require("curl")
    with serving(tmp_path, hold=True) as (web, url):
        environment = {**os.environ, "GATE": url, "KEY": web.token, "no_proxy": "127.0.0.1"}

        def run(block):
            done = subprocess.run(
                ["sh", "-e"], input=block, env=environment, capture_output=True, text=True, timeout=30, check=False
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        check, send, whole, became, lists = blocks("sh")
        assert json.loads(run(check))["verdict"] == "pass"
        sent = json.loads(run(send))
        assert sent["status"] == "sent", sent
        assert [one["recipient"] for one in sent["recipients"]] == ["pat@example.net", "archive@example.org"]
        assert json.loads(run(send)) == sent
        assert json.loads(run(whole))["status"] == "sent"
        assert len(web.hop.messages) == 2
        web.done(web.settle())
        answers = run(became)
        assert sent["id"] in answers
        assert '"event":"sent"' in answers
        assert '"by":"day"' in answers
        assert run(lists).count("eve@example.net") == 2


def test_every_number_is_the_codes():
    assert f"{bounds.SMALL:,} octets" in GUIDE
    assert f"{bounds.IDLE:g} s between two pieces, {bounds.RATE // 1024} KiB a second after {bounds.GRACE:g} s" in GUIDE
    assert f"{auth.RATE:g} a second, {auth.BURST} at once" in GUIDE
    assert f"after {reading.MAX_WAIT} seconds" in GUIDE
    assert f"1 to {sending.MAX_KEY} printable" in GUIDE
    assert auth.FRESH == 2.0
    assert "two seconds later" in GUIDE
    assert all(f"`{scope}`" in GUIDE for scope in Scope)


def test_the_configuration_is_one(tmp_path):
    from delivcheck import config
    from delivcheck.gate import reading as gate_reading

    (block,) = blocks("toml")
    assert tomllib.loads(block)
    path = tmp_path / "delivcheck.toml"
    path.write_text(block + '\n[[gate.next-hop]]\nname = "mta"\naddress = "127.0.0.1:25"\n')
    gate = gate_reading.read(config.load(path))
    assert [str(one.kind) for one in gate.listeners] == ["http"]


@pytest.mark.parametrize("block", blocks("console"))
def test_a_key_is_made_by_the_command(tmp_path, block):
    from click.testing import CliRunner

    from delivcheck.cli import root
    from delivcheck.trace import keys

    arguments = block.strip().removeprefix("$ delivcheck ").split()
    done = CliRunner().invoke(root, [*arguments, "--store", f"sqlite:///{tmp_path}/trace.sqlite"])
    assert done.exit_code == 0, done.output
    assert keys.parts(done.output.strip())
