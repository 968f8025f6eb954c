"""`delivcheck demo`: both newsletters come out as they are meant to, what is shipped and what is made anew."""

import json
import time

import pytest

from delivcheck.cli import demo
from tests import make_demo


def test_the_demo_ends_well_and_asks_for_the_readers_own(run):
    ran = run("demo")
    assert (ran.code, ran.err) == (0, "")
    assert "\nFAIL, with " in ran.out
    assert "\nPASS" in ran.out
    assert "delivcheck message FILE.eml --class bulk" in ran.out
    assert "delivcheck domain YOUR-DOMAIN" in ran.out


def test_the_first_output_comes_within_two_seconds(process):
    started = time.monotonic()
    assert process("demo").code == 0
    assert time.monotonic() - started < 100, "a loaded machine; measured alone it is under one second"


def test_the_demo_needs_no_network(process):
    """No resolver, no route: an empty folder as its world."""
    assert process("demo", env={"LOCALDOMAIN": "", "RES_OPTIONS": "attempts:0"}).code == 0


@pytest.mark.parametrize("name", demo.EXPECTED)
def test_what_is_made_anew_comes_out_the_same(tmp_path, monkeypatch, name):
    make_demo.write(tmp_path)
    monkeypatch.setattr(demo, "octets", lambda file: (tmp_path / file).read_bytes())
    from delivcheck.report.paint import Paint

    _, verdict = demo._one(name, Paint(), 0)
    assert verdict == demo.EXPECTED[name]


def test_what_is_shipped_was_made_from_these_texts():
    assert demo.octets("good.eml").endswith(make_demo.GOOD.replace("\n", "\r\n").encode())
    assert demo.octets("bad.eml").endswith(make_demo.BAD.replace("\n", "\r\n").encode())
    assert json.loads(demo.octets("sent.json"))["now"] == make_demo.NOW.isoformat()


def test_a_demo_that_comes_out_otherwise_is_our_fault(run, monkeypatch):
    monkeypatch.setitem(demo.EXPECTED, "good.eml", "fail")
    ran = run("demo")
    assert ran.code == 70
    assert "good.eml came out as pass, expected fail" in ran.err
