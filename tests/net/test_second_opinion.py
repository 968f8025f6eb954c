"""checkdmarc judges our answers, in a process of its own, and whatever happens there is an opinion or a reason."""

import asyncio
import sys

import pytest

from delivcheck.model import Failed, Failure, Found, HttpAnswer, NoData, NoSuchName, ProbeFailed, ProbeFault, SmtpAnswer
from delivcheck.net.probe import Scripted
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


LOGO = b"""<svg version="1.2" baseProfile="tiny-ps" viewBox="0 0 9 9" width="9" height="9" xmlns="http://www.w3.org/2000/svg">
<title>Example</title><path d="M0 0h9v9H0z"/></svg>"""
PUBLISHED = {("default._bimi.example.org", "TXT"): txt("v=BIMI1; l=https://example.org/logo.svg; a=")}


def probed(answers, http, smtp):
    probe = Scripted(http, smtp)
    said = asyncio.run(ask_checkdmarc("example.org", Zone(answers), 30.0, probe))["opinions"]
    return said, probe.asked


def test_with_a_probe_the_logo_is_fetched_by_us_and_judged_by_it():
    fine, asked = probed({**GOOD, **PUBLISHED}, {"https://example.org/logo.svg": HttpAnswer(200, (), LOGO)}, {})
    assert asked == ["GET https://example.org/logo.svg"]
    assert not [text for text in fine["bimi"]["warnings"] if text.startswith("image")]

    odd = LOGO.replace(b"tiny-ps", b"full")
    broken, _ = probed({**GOOD, **PUBLISHED}, {"https://example.org/logo.svg": HttpAnswer(200, (), odd)}, {})
    assert [text for text in broken["bimi"]["warnings"] if text.startswith("image: ") and "base profile" in text.lower()]

    for answer in (HttpAnswer(404, (), b""), ProbeFailed(ProbeFault.ADDRESS, "no address that may be probed")):
        gone, _ = probed({**GOOD, **PUBLISHED}, {"https://example.org/logo.svg": answer}, {})
        assert [text for text in gone["bimi"]["warnings"] if text.startswith("image: Failed to download")]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (SmtpAnswer("mx", ("STARTTLS",), "TLSv1.3"), None),
        (SmtpAnswer("mx", ()), "STARTTLS is not supported on mx.example.org"),
        (SmtpAnswer("mx", ("STARTTLS",), "unverified", "certificate has expired"), "certificate has expired"),
        (ProbeFailed(ProbeFault.TIMEOUT, "no answer within 10 s"), "no answer within 10 s"),
    ],
    ids=["good", "none", "expired", "silent"],
)
def test_with_a_probe_mail_servers_are_greeted_by_us(answer, words):
    world = {**GOOD, ("mx.example.org", "AAAA"): NoData()}
    said = probed(world, {}, {"mx.example.org": answer})[0]["mx"]["warnings"]
    about_tls = [text for text in said if "reverse DNS" not in text]
    assert bool(about_tls) == (words is not None)
    assert words is None or words in about_tls[0]
    assert len(about_tls) <= 1, "port 465 is nobody's business"


def test_without_a_probe_nothing_is_fetched_or_greeted():
    said = opinions({**GOOD, **PUBLISHED})
    assert not [text for text in (*said["mx"]["warnings"], *said["bimi"]["warnings"]) if "STARTTLS" in text or "image" in text]


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
