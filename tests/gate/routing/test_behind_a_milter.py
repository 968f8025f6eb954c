"""Sending rules behind a milter: the queue is the MTA's, and recipients cannot be parted."""

from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from delivcheck import ulid
from delivcheck.facts.roots import Origin
from delivcheck.gate.judging import Egress, Judge
from delivcheck.gate.model import Action, Client, Credential, Incoming
from delivcheck.gate.pipeline import GatePipeline
from delivcheck.gate.prepare import Preparer
from delivcheck.gate.routing.routing import Routing
from delivcheck.gate.routing.rules import Rules
from delivcheck.gate.routing.suppressed import Entry
from delivcheck.gate.settings import Address, Ending, Gate, Kind, Listener, Mode, SendingRule, When
from delivcheck.model import Level
from delivcheck.net.lasting import Lasting
from tests.gate import world
from tests.gate.whole import Told

LENIENT = SendingRule("lenient", levels=(("*", Level.OFF),))


class List:
    def __init__(self, *suppressed):
        self.suppressed = suppressed

    async def find(self, tenant, address):
        return (Entry("", "bounce", 0),) if address in self.suppressed else ()

    def close(self):
        pass


async def process(folder, *rules, to=("a@example.net", "b@example.com"), suppressed=None, octets=None, **settings):
    listener = Listener("milter", Kind.MILTER, Address())
    gate = Gate("gate.example.org", (listener,), rules=rules, **settings)
    told = Told()
    judge = Judge(world.configuration(folder), Lasting(world.dns()), Egress((ip_address(world.IP),), gate.name))
    routing = Routing(Rules(rules), None, suppressed, told)
    pipeline = GatePipeline(gate, judge, Preparer(gate.name), told, routing)
    client = Client(None, listener="milter", protocol="milter", credential=Credential("milter", unnamed=True))
    made = Incoming(
        octets or world.message(), "bounces@example.org", to, client, ulid.new(), datetime.now(UTC), origin=Origin.RECONSTRUCTED
    )
    return await pipeline.process(made), told


async def test_a_rule_that_is_about_one_of_the_recipients_is_about_the_message(tmp_path):
    refused = SendingRule("no", When(recipient=("b@example.com",)), ending=Ending.REFUSE, text="x")
    outcome, _ = await process(tmp_path, refused)
    assert str(outcome.decision.reply).startswith("550 5.7.1 no: x (")
    outcome, _ = await process(tmp_path, LENIENT, refused, to=("a@example.net",))
    assert outcome.decision.action is Action.SEND


async def test_one_recipient_that_is_not_listed_stops_the_message_of_a_staging_system(tmp_path):
    staging = SendingRule("staging", only_recipients=("*@example.net",))
    outcome, _ = await process(tmp_path, LENIENT, staging)
    assert outcome.decision.action is Action.REFUSE
    assert "b@example.com is none of the recipients" in outcome.decision.reason
    outcome, _ = await process(tmp_path, LENIENT, staging, to=("a@example.net",))
    assert outcome.decision.action is Action.SEND


async def test_a_next_hop_says_nothing_there(tmp_path):
    outcome, _ = await process(tmp_path, LENIENT, SendingRule("away", next_hop="fast"))
    assert outcome.next_hop is None


@pytest.mark.parametrize(
    ("listed", "action"),
    [(("a@example.net", "b@example.com"), Action.REFUSE), (("a@example.net",), Action.SEND)],
    ids=["all", "some"],
)
async def test_mail_is_refused_where_everybody_is_suppressed_and_told_of_where_somebody_is(tmp_path, listed, action):
    outcome, told = await process(tmp_path, LENIENT, suppressed=List(*listed))
    assert outcome.decision.action is action
    if action is Action.SEND:
        assert told.of("bypass")[0]["reason"] == "a@example.net is suppressed since 1970-01-01 (bounce)"


async def test_the_mta_holds_what_a_rule_holds(tmp_path):
    outcome, _ = await process(tmp_path, LENIENT, SendingRule("big", ending=Ending.HOLD))
    assert outcome.decision.action is Action.HOLD


async def test_observing_it_is_sent_all_the_same(tmp_path):
    refused = SendingRule("no", ending=Ending.REFUSE, text="x")
    outcome, _ = await process(tmp_path, LENIENT, refused, mode=Mode.OBSERVE)
    assert (outcome.decision.action, outcome.decision.bypass) == (Action.SEND, "observe: refuse")
    assert outcome.decision.rules == ("rule/no",)
