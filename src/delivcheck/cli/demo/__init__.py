"""`delivcheck demo`: a bad newsletter and a good one, with the DNS they need."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import click

from .. import options

if TYPE_CHECKING:
    from ... import api
    from ...model import TargetReport
    from ...report.text import Given

EXPECTED = {"bad.eml": "fail", "good.eml": "pass"}  # in the order shown

INTRODUCTION = "Two newsletters of invented senders, judged without network and without files."
YOUR_TURN = """\
Now yours. Which mail, which folder, which domain shall be next?

  delivcheck message FILE.eml --class bulk   a message you saved
  delivcheck message FOLDER/ --class bulk    a Maildir, a directory of .eml files
  delivcheck domain YOUR-DOMAIN              the DNS behind your mail

For receipts, resets and the like say --class transactional.
"""


@click.command(name="demo")
@click.option("-v", "--verbose", is_flag=True, help="Every result with its reason.")
@options.COLOR
def command(*, verbose: bool, color: str) -> int:
    """Check a bad newsletter and a good one of invented senders; needs no network and no file."""
    from .. import output
    from ..faults import say

    style = output.paint(color)
    output.write(INTRODUCTION + "\n\n")
    unexpected = []
    for name, expected in EXPECTED.items():
        text, verdict = _one(name, style, verbosity=int(verbose))
        output.write(text + "\n", style.colour)
        if verdict != expected:
            unexpected.append(f"{name} came out as {verdict}, expected {expected}")
    output.write(YOUR_TURN)
    if unexpected:
        say(f"a fault of delivcheck itself: {'; '.join(unexpected)}")
        return 70
    return 0


def octets(name: str) -> bytes:
    """A file of the demo."""
    return files(__name__).joinpath(name).read_bytes()


def _one(name: str, style: Any, verbosity: int) -> tuple[str, str]:
    """The report on one newsletter, and its verdict."""
    from ... import api, policy
    from ...model import MessageClass
    from ...net.snapshot import Listed, Snapshot
    from ...report.text import TextReport
    from .. import output

    sent = json.loads(octets("sent.json"))
    answers = Snapshot.parse(octets("dns.json"), "dns.json").answers
    options = api.Options(
        policy=policy.load("bulk"),
        dns=Listed({(question.name, question.type): answer for question, answer in answers.items()}),
        message_class=MessageClass.BULK,
        now=datetime.fromisoformat(sent["now"]),
        owned_domains=tuple(sent["owned-domains"]),
    )
    checker = api.Checker(options)
    started = time.monotonic()
    target, given = asyncio.run(_examine(checker, name, sent))
    made = TextReport(checker.book.rules, "bulk", style, output.titles(), verbosity)
    return made.target(target, given, api.report([target], options, started)), str(target.verdict)


async def _examine(checker: api.Checker, name: str, sent: dict[str, Any]) -> tuple[TargetReport, Given]:
    from ipaddress import ip_address

    from ...facts.roots import Envelope, Session
    from ...report.text import Given

    how = sent["sent"][name]
    data = octets(name)
    target = await checker.message(
        data,
        name=name,
        envelope=Envelope(how["mail_from"], (sent["rcpt"],)),
        session=Session(ip_address(how["ip"]), how["ehlo"]),
    )
    return target, Given(data, how["mail_from"], how["ip"])
