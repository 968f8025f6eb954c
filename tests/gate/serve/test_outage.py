"""What counts as an outage of DNS for our own domains, question by question."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from delivcheck.gate.serve.outage import Outage
from delivcheck.model import Failed, Failure, Found, NoSuchName, Question
from delivcheck.net import lasting
from delivcheck.net.client import Closed
from delivcheck.net.lasting import Lasting

DOWN = Failed(Failure.TIMEOUT, "no answer")
FOUND, NONE = Found(((b"x",),), 60), NoSuchName(60)
KEY, POLICY = Question("s1._domainkey.example.org", "TXT"), Question("_dmarc.example.org", "TXT")
FOREIGN_KEY = Question("x._domainkey.example.org", "TXT")


class World(Closed):
    answer = DOWN

    async def ask(self, name, type):  # noqa: A002 -- the protocol's word
        return self.answer


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def made(*, told=None):
    world, clock = World(), Clock()
    dns = Lasting(world, clock)
    config = SimpleNamespace(owned_domains=("example.org",))
    gate = SimpleNamespace(credentials={}, keys=(SimpleNamespace(selector="s1", domain="example.org"),))
    return Outage(config, gate, dns, told or (lambda *_, **__: None)), dns, world, clock


@pytest.mark.parametrize(
    ("question", "before", "later", "state"),
    [
        (POLICY, FOUND, 3600, ("stale", ["example.org"])),
        (POLICY, FOUND, lasting.MAX_STALE + 61, ("lost", ["example.org"])),
        (POLICY, NONE, 3600, ("lost", ["example.org"])),  # that there was none is not known any more, so DMARC is not
        (KEY, FOUND, 3600, ("stale", ["example.org"])),
        (KEY, None, 0, ("lost", ["example.org"])),
        (FOREIGN_KEY, None, 0, None),  # whoever signs with it waits, and nobody else
        (Question("mx.example.net", "A"), None, 0, None),
    ],
)
async def test_what_is_not_answered_is_stale_or_lost_where_all_mail_of_a_domain_needs_it(question, before, later, state):
    outage, dns, world, clock = made()
    if before is not None:
        world.answer = before
        await dns.ask(question.name, question.type)
        world.answer = DOWN
        clock.now += later
    await dns.ask(question.name, question.type)
    assert outage.state() == (state if before is None or state else ("", []))
    assert bool(outage.lacking()) == (state is not None and state[0] == "lost")


async def test_nothing_is_said_of_dns_before_it_was_heard_and_an_answer_ends_the_outage():
    outage, dns, world, clock = made()
    assert outage.state() is None
    await dns.ask(POLICY.name, POLICY.type)
    assert outage.state() == ("lost", ["example.org"])
    world.answer = replace(FOUND)
    clock.now += lasting.FAILED
    await dns.ask(POLICY.name, POLICY.type)
    assert outage.state() == ("", [])
    assert outage.lacking() == []
