"""checkdmarc judges our answers, in a process of its own, and whatever happens there is an opinion or a reason."""

import asyncio
import sys

import pytest

from delivcheck.model import Failed, Failure, Found, NoSuchName
from delivcheck.net.second_opinion import NoOpinion, ask_checkdmarc


class Zone:
    def __init__(self, answers):
        self.answers = answers
        self.asked = []

    async def ask(self, name, type):  # noqa: A002
        self.asked.append((name, type))
        return self.answers.get((name, type), NoSuchName())


def txt(text):
    return Found(((text.encode(),),))


GOOD = {
    ("example.org", "TXT"): txt("v=spf1 ip4:192.0.2.1 -all"),
    ("_dmarc.example.org", "TXT"): txt("v=DMARC1; p=reject; rua=mailto:a@example.org"),
    ("example.org", "MX"): Found(((10, "mx.example.org"),)),
    ("mx.example.org", "A"): Found(("192.0.2.2",)),
    ("example.org", "SOA"): Found((("ns.example.org", "root.example.org", 1, 7200, 3600, 1209600, 300),)),
}


def opinions(answers, timeout=30.0):
    return asyncio.run(ask_checkdmarc("example.org", Zone(answers), timeout))["opinions"]


def test_a_sound_domain_is_sound_to_both():
    said = opinions(GOOD)

    assert said["spf"] == {"valid": True, "error": None, "warnings": []}
    assert said["dmarc"]["valid"]
    assert said["mx"]["valid"]


def test_a_broken_record_is_told_with_its_error():
    said = opinions({**GOOD, ("example.org", "TXT"): txt("v=spf1 ip4:192.0.2.999 -all")})

    assert not said["spf"]["valid"]
    assert "192.0.2.999" in said["spf"]["error"]


def test_a_failure_of_dns_ends_and_does_not_hang():
    for kind in Failure:
        said = opinions({**GOOD, ("example.org", "TXT"): Failed(kind)})
        assert not said["spf"]["valid"]


def test_of_bimi_the_record_alone_is_judged_and_its_absence_not_at_all():
    assert "bimi" not in opinions(GOOD)

    at = ("default._bimi.example.org", "TXT")
    good = opinions({**GOOD, at: txt("v=BIMI1; l=https://example.org/logo.svg; a=https://example.org/vmc.pem")})["bimi"]
    assert good == {"valid": True, "error": None, "warnings": []}
    assert not opinions({**GOOD, at: txt("v=BIMI1; l=http://example.org/logo.svg")})["bimi"]["valid"]


def test_every_question_comes_to_us():
    zone = Zone(GOOD)

    asyncio.run(ask_checkdmarc("example.org", zone, 30.0))

    assert {("example.org", "TXT"), ("_dmarc.example.org", "TXT"), ("example.org", "MX")} <= set(zone.asked)


def test_one_run_knows_nothing_of_the_run_before():
    assert opinions(GOOD)["spf"]["valid"]
    assert not opinions({})["spf"]["valid"]


def test_taking_too_long_is_a_reason():
    with pytest.raises(NoOpinion, match=r"more than 0\.05 s"):
        asyncio.run(ask_checkdmarc("example.org", Zone(GOOD), 0.05))


def test_a_process_that_dies_is_a_reason(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(NoOpinion):
        asyncio.run(ask_checkdmarc("example.org", Zone(GOOD), 5.0))
