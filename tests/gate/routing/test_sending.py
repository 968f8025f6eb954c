"""Sending rules through a whole gate, over SMTP: each action, recipients of several kinds, observe mode, faults of ours."""

import asyncio
import contextlib
from dataclasses import replace

import pytest

from delivcheck.gate.held import HeldStore
from delivcheck.gate.routing import rates
from delivcheck.gate.routing.suppressed import Entry, NotKnownError
from delivcheck.gate.settings import (
    Address,
    CredentialSettings,
    Ending,
    Kind,
    Limit,
    Mode,
    OnFault,
    Per,
    Security,
    SendingRule,
    When,
)
from delivcheck.gate.settings import NextHop as Hop
from delivcheck.model import Level
from delivcheck.trace.model import normal
from tests.gate import world
from tests.gate.next_hop import NextHop
from tests.gate.whole import TRUSTED, gate

DECLARES = {"shop": CredentialSettings(may_declare=True)}
BY_SHOP = replace(TRUSTED, credential="shop")
TO = ("pat@example.net",)


class List:
    """A suppression list in memory; an exception in the place of entries is raised."""

    def __init__(self, **entries):
        self.entries = {f"{name}@example.net": found for name, found in entries.items()}

    async def find(self, tenant, address):
        found = self.entries.get(address, ())
        if isinstance(found, Exception):
            raise found
        return found

    def close(self):
        pass


@contextlib.asynccontextmanager
async def two(folder, rules, *, octets=None, records=None, **more):
    """A gate before two next hops, "main" for everybody and "fast" for nobody but by a rule."""
    octets_, records_ = world.signed(octets) if records is None else (octets, records)
    async with NextHop() as main, NextHop() as fast:
        hops = (
            Hop("main", Address(host=main.host, port=main.port), security=Security.NONE),
            Hop("fast", Address(host=fast.host, port=fast.port), security=Security.NONE, domains=("fast.example",)),
        )
        async with gate(folder, main, records_, hops=hops, rules=tuple(rules), **more) as whole:
            whole.main, whole.fast, whole.octets = main, fast, octets_
            yield whole


def rule(name="it", when=None, **does):
    return SendingRule(name, when or When(), **does)


# --- at RCPT -----------------------------------------------------------------------------------------------------


async def test_a_rule_on_the_envelope_refuses_the_recipient_it_is_about_and_no_other(tmp_path):
    refused = rule("no-partners", When(recipient_domain=("*.example.com",)), ending=Ending.REFUSE, text="not from here")
    async with two(tmp_path, [refused]) as whole:
        replies = await whole.send(whole.octets, ("x@mail.example.com", "pat@example.net"))
        assert replies[1].startswith("550 5.7.1 no-partners: not from here (")
        assert replies[2].startswith("250")
        assert replies[-1].startswith("250")
        assert [one.rcpt_to for one in whole.main.messages] == [[b"RCPT TO:<pat@example.net>"]]


async def test_a_rule_that_defers_says_451(tmp_path):
    async with two(tmp_path, [rule("later", ending=Ending.DEFER, text="after nine")]) as whole:
        assert (await whole.send(whole.octets))[1].startswith("451 4.7.1 later: after nine (")


async def test_on_a_staging_system_only_listed_recipients_get_mail(tmp_path):
    staging = rule("staging", When(listener=("relay",)), only_recipients=("*@example.net", "boss@example.com"))
    async with two(tmp_path, [staging]) as whole:
        replies = await whole.send(whole.octets, ("Boss@EXAMPLE.com", "customer@example.com", "pat@example.net"))
        assert replies[1].startswith("250")
        assert replies[2].startswith("550 5.7.1 staging: customer@example.com is none of the recipients ")
        assert replies[3].startswith("250")
        assert len(whole.main.messages[0].rcpt_to) == 2


async def test_a_rule_on_the_envelope_names_the_next_hop_before_one_is_opened(tmp_path):
    async with two(tmp_path, [rule(when=When(sender=("*@example.org",)), next_hop="fast")]) as whole:
        assert (await whole.send(whole.octets))[-1].startswith("250")
        assert (len(whole.main.messages), len(whole.fast.messages)) == (0, 1)
        assert b"MAIL FROM:<bounces@example.org>" not in [line for one in whole.main.sessions for line in one.lines]


async def test_beyond_the_limit_a_recipient_hears_450_until_its_time_is_over(tmp_path, monkeypatch):
    slow = rule("slow", limit=Limit(2, 3_600, 2, Per.RECIPIENT_DOMAIN))
    async with two(tmp_path, [slow]) as whole:
        to = ("a@example.net", "b@example.net", "c@example.net", "d@example.com")
        replies = await whole.send(whole.octets, to)
        assert [one[:3] for one in replies[1:5]] == ["250", "250", "450", "250"]
        assert replies[3].startswith("450 4.7.1 slow: more than 2 an hour for this recipient domain, please try again later (")
        assert (await whole.send(whole.octets, ("a@example.net",)))[1].startswith("450")
        clock = whole.reception.routing.rates._clock
        monkeypatch.setattr(whole.reception.routing.rates, "_clock", lambda: clock() + 1_900 * 1_000_000_000)
        assert (await whole.send(whole.octets, ("a@example.net",)))[1].startswith("250")


async def test_a_recipient_that_the_next_hop_does_not_take_does_not_count(tmp_path):
    async with two(tmp_path, [rule(limit=Limit(1, 3_600, 1))]) as whole:
        whole.main.says["RCPT"] = ["450 4.2.0 greylisted"] * 3
        replies = [await whole.send(whole.octets) for _ in range(4)]
        assert [one[1][:9] for one in replies] == ["450 4.2.0"] * 3 + ["250 2.1.5"]
        assert (await whole.send(whole.octets))[1].startswith("450 4.7.1 it: more than 1 an hour, ")


@pytest.mark.attack(69)
async def test_a_suppressed_recipient_is_refused_in_whatever_spelling(tmp_path):
    class Normal(List):
        async def find(self, tenant, address):
            listed = normal(address) == "jos\u00e9@xn--bcher-kva.example"
            return [Entry("", "complaint", 1_780_000_000_000)] if listed else []

    async with two(tmp_path, [], suppressed=Normal()) as whole, await whole.client() as client:
        await client.say("EHLO client.example.org")
        await client.say("MAIL FROM:<bounces@example.org> SMTPUTF8")
        for spelling in ("JOSÉ@Bücher.example", "jose\u0301@BÜCHER.EXAMPLE", "josé@xn--bcher-kva.example"):
            reply = await client.say(f"RCPT TO:<{spelling}>")
            assert reply.startswith("550 5.7.1 suppressed since 2026-05-28 (complaint) (")
        assert (await client.say("RCPT TO:<pat@example.net>")).startswith("250")
        (told, *_) = whole.told.of("suppressed")
        assert (told["reason"], told["stream"]) == ("complaint", "")


async def test_an_entry_of_another_stream_keeps_nothing(tmp_path):
    listed = List(pat=[Entry("weekly", "unsubscribe", 0)])
    receipts = replace(TRUSTED, stream="receipts")
    async with two(tmp_path, [], suppressed=listed, listener=receipts, streams=("receipts", "weekly")) as whole:
        assert (await whole.send(whole.octets))[-1].startswith("250")
    weekly = replace(TRUSTED, stream="weekly")
    async with two(tmp_path, [], suppressed=listed, listener=weekly, streams=("receipts", "weekly")) as whole:
        assert (await whole.send(whole.octets))[1].startswith("550 5.7.1 suppressed since 1970-01-01 (unsubscribe)")


async def test_a_stream_that_is_known_with_the_message_only_finds_its_suppressions_then(tmp_path):
    listed = List(pat=[Entry("weekly", "unsubscribe", 0)])
    made = world.message(X_Delivcheck_Stream="weekly")
    more = {"listener": BY_SHOP, "credentials": DECLARES, "suppressed": listed, "streams": ("receipts", "weekly")}
    async with two(tmp_path, [], octets=made, **more) as whole:
        replies = await whole.send(whole.octets, ("pat@example.net", "ann@example.net"))
        assert replies[1].startswith("250")
        assert replies[2].startswith("452 4.5.3 "), "she can have it, so it must not be refused for both"
        assert replies[-1].startswith("550 5.7.1 suppressed since 1970-01-01 (unsubscribe)")
        assert whole.main.messages == []
        assert (await whole.send(whole.octets, ("ann@example.net",)))[-1].startswith("250")


# --- when the message is there -----------------------------------------------------------------------------------


async def test_a_rule_on_the_content_sends_it_by_another_next_hop(tmp_path):
    campaign = rule("spring", When(header=(("x-campaign", ("spring*",)),)), next_hop="fast")
    async with two(tmp_path, [campaign], octets=world.message(X_Campaign="Spring 2026")) as whole:
        reply = (await whole.send(whole.octets, ("a@example.net", "b@example.net")))[-1]
        assert reply.startswith("250 2.0.0 ")
        assert (whole.main.messages, len(whole.fast.messages)) == ([], 1)
        assert whole.fast.messages[0].octets == whole.octets
        assert len(whole.fast.messages[0].rcpt_to) == 2
        (told,) = whole.told.of("message")
        assert (told["next_hop"], told["sending_rules"]) == ("fast", ["spring"])
        (sent,) = whole.told.of("sent")
        assert sent["next_hop"] == "fast"


async def test_where_the_other_next_hop_is_gone_it_waits(tmp_path):
    campaign = rule("spring", When(header=(("x-campaign", ("*",)),)), next_hop="fast")
    async with two(tmp_path, [campaign], octets=world.message(X_Campaign="x")) as whole:
        await whole.fast.stop()
        assert (await whole.send(whole.octets))[-1].startswith("451 4.4.")
        assert whole.main.messages == []


@pytest.mark.parametrize(
    ("when", "header"),
    [
        (When(tag=("spring",)), {"X-Delivcheck-Tag": "autumn, Spring"}),
        (When(template=("welcome*",)), {"X-Delivcheck-Template": "welcome-2"}),
        (When(stream=("receipts",)), {"X-Delivcheck-Stream": "receipts"}),
        (When(class_=("bulk",)), {"X-Delivcheck-Class": "bulk"}),
        (When(larger_than=100, smaller_than=100_000), {}),
    ],
    ids=["tag", "template", "stream", "class", "size"],
)
async def test_a_rule_on_what_the_mail_says_of_itself_refuses_it(tmp_path, when, header):
    refused = rule("no", when, ending=Ending.REFUSE, text="not today")
    made = world.message(**{name.replace("-", "_"): value for name, value in header.items()})
    async with two(tmp_path, [refused], octets=made, listener=BY_SHOP, credentials=DECLARES) as whole:
        assert (await whole.send(whole.octets))[-1].startswith("550 5.7.1 no: not today (")
        assert whole.main.messages == []


async def test_what_a_client_may_not_say_of_its_mail_is_nothing_to_a_rule(tmp_path):
    refused = rule("no", When(tag=("spring",)), ending=Ending.REFUSE, text="x")
    async with two(tmp_path, [refused], octets=world.message(X_Delivcheck_Tag="spring")) as whole:
        assert (await whole.send(whole.octets))[-1].startswith("250")


async def test_levels_of_a_rule_are_those_it_is_judged_by(tmp_path):
    lenient = rule("internal", When(recipient_domain=("example.net",)), levels=(("dkim/*", Level.OFF), ("dmarc/*", Level.OFF)))
    async with two(tmp_path, [lenient]) as whole:
        unsigned = world.message()
        assert (await whole.send(unsigned, ("pat@example.net",)))[-1].startswith("250")
        assert (await whole.send(unsigned, ("pat@example.com",)))[-1].startswith("550 5.7.20 dkim/no-signature")


async def test_recipients_that_are_judged_by_other_rules_come_again(tmp_path):
    lenient = rule("internal", When(recipient_domain=("example.net",)), levels=(("dkim/*", Level.OFF), ("dmarc/*", Level.OFF)))
    async with two(tmp_path, [lenient]) as whole:
        replies = await whole.send(world.message(), ("a@example.net", "b@example.com", "c@example.net"))
        assert replies[2].startswith("452 4.5.3 other rules hold for this recipient")
        assert [one[:3] for one in (replies[1], replies[3])] == ["250", "250"]
        assert replies[-1].startswith("250")
        assert len(whole.main.messages[0].rcpt_to) == 2


async def test_a_rule_that_only_limits_parts_no_recipients(tmp_path):
    slow = rule("slow", When(recipient_domain=("example.net",)), limit=Limit(9, 60, 9))
    async with two(tmp_path, [slow]) as whole:
        replies = await whole.send(whole.octets, ("a@example.net", "b@example.com"))
        assert [one[:3] for one in replies[1:3]] == ["250", "250"]


async def test_a_required_rule_refuses_though_its_policy_would_not(tmp_path):
    strict = rule("strict", levels=(("headers/auto-submitted-missing", Level.ERROR),))
    async with two(tmp_path, []) as whole:
        assert (await whole.send(whole.octets))[-1].startswith("250")
    (tmp_path / "b").mkdir()
    async with two(tmp_path / "b", [strict]) as whole:
        assert (await whole.send(whole.octets))[-1].startswith("550 5.6.0 headers/auto-submitted-missing")


async def test_a_policy_of_a_rule_takes_the_place_of_the_streams(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('extends = "transactional"\n[rules]\n"headers/auto-submitted-missing" = "error"\n')
    async with two(tmp_path, [rule("own", policy=str(own))]) as whole:
        assert (await whole.send(whole.octets))[-1].startswith("550 5.6.0 headers/auto-submitted-missing")


async def test_a_stream_of_a_rule_is_the_one_it_is_judged_and_told_by(tmp_path):
    async with two(tmp_path, [rule("receipts", When(sender=("*",)), stream="receipts")]) as whole:
        assert (await whole.send(whole.octets))[-1].startswith("250")
        assert whole.told.of("message")[0]["stream"] == "receipts"


# --- holding -----------------------------------------------------------------------------------------------------


async def test_a_rule_holds_what_would_be_sent_and_a_release_lets_it_go(tmp_path):
    from delivcheck.gate.release import Releaser

    big = rule("big", When(larger_than=10), ending=Ending.HOLD)
    async with two(tmp_path, [big], hold=True) as whole:
        assert (await whole.send(whole.octets))[-1].startswith("250 2.0.0 held ")
        assert whole.main.messages == []
        (entry,) = whole.reception.held.entries()
        assert entry.reason == "held by the sending rule big"
        shared = whole.reception
        releaser = Releaser(store=shared.held, pipeline=shared.pipeline, relay=shared.relay, journal=shared.journal)
        done = await releaser.release(entry.trace)
        assert done.left == ()
        assert [one.octets for one in whole.main.messages] == [whole.octets]


async def test_what_fails_is_refused_though_a_rule_on_the_input_would_hold_it(tmp_path):
    async with two(tmp_path, [rule("big", ending=Ending.HOLD)], hold=True) as whole:
        assert (await whole.send(world.message()))[-1].startswith("550 5.7.20 dkim/no-signature")


async def test_a_release_goes_by_the_next_hop_that_the_rules_name(tmp_path):
    from delivcheck.gate.release import Releaser

    both = [rule("big", ending=Ending.HOLD), rule("away", When(larger_than=10), next_hop="fast")]
    async with two(tmp_path, both, hold=True) as whole:
        assert (await whole.send(whole.octets))[-1].startswith("250 2.0.0 held ")
        shared = whole.reception
        (entry,) = shared.held.entries()
        releaser = Releaser(store=shared.held, pipeline=shared.pipeline, relay=shared.relay, journal=shared.journal)
        await releaser.release(entry.trace)
        assert (len(whole.main.messages), len(whole.fast.messages)) == (0, 1)


# --- after judging -----------------------------------------------------------------------------------------------


async def test_what_failed_is_held_refused_or_sent_as_a_rule_on_the_verdict_says(tmp_path):
    unsigned = world.message()
    hold = rule("unsigned", When(failed=("dkim/no-signature",)), ending=Ending.HOLD)
    async with two(tmp_path, [hold], hold=True) as whole:
        assert (await whole.send(unsigned))[-1].startswith("250 2.0.0 held ")
        assert isinstance(whole.reception.held, HeldStore)
        assert whole.reception.held.entries()[0].reason.startswith("unsigned: dkim/no-signature ")
    (tmp_path / "b").mkdir()
    send = rule("resets", When(verdict=("fail", "unknown"), sender=("bounces@example.org",)), ending=Ending.SEND)
    async with two(tmp_path / "b", [send]) as whole:
        assert (await whole.send(unsigned))[-1].startswith("250")
        told = whole.told.of("message")[0]
        assert (told["action"], told["bypass"]) == ("send", "rule: resets")
        assert "dkim/no-signature" in told["rules"]
    (tmp_path / "c").mkdir()
    refuse = rule("passed", When(verdict=("pass",)), ending=Ending.REFUSE, text="a holiday")
    async with two(tmp_path / "c", [refuse]) as whole:
        assert (await whole.send(whole.octets))[-1].startswith("550 5.7.1 passed: a holiday (")
        assert (await whole.send(unsigned))[-1].startswith("550 5.7.20 ")
        assert whole.told.of("message")[0]["rules"] == ["rule/passed"]


async def test_a_rule_for_one_recipient_after_judging_parts_recipients_before(tmp_path):
    send = rule("vip", When(verdict=("fail",), recipient=("vip@example.net",)), ending=Ending.SEND)
    async with two(tmp_path, [send]) as whole:
        replies = await whole.send(world.message(), ("vip@example.net", "pat@example.net"))
        assert replies[2].startswith("452 4.5.3 ")
        assert replies[-1].startswith("250")
        assert (await whole.send(world.message(), ("pat@example.net",)))[-1].startswith("550 5.7.20")


# --- observe mode, faults of ours, LMTP, milter --------------------------------------------------------------------


@pytest.mark.parametrize(
    "does",
    [
        {"ending": Ending.REFUSE, "text": "x"},
        {"ending": Ending.DEFER, "text": "x"},
        {"when": When(tag=("x",)), "ending": Ending.REFUSE, "text": "x"},
        {"when": When(verdict=("pass",)), "ending": Ending.REFUSE, "text": "x"},
        {"only_recipients": ("boss@example.com",)},
        {"limit": Limit(1, 86_400, 1)},
        {"ending": Ending.HOLD},
    ],
    ids=["refuse", "defer", "content", "verdict", "only", "limit", "hold"],
)
async def test_observing_nothing_is_refused_and_what_would_have_been_is_counted(tmp_path, does):
    made = world.message(X_Delivcheck_Tag="x")
    more = {"mode": Mode.OBSERVE, "listener": BY_SHOP, "credentials": DECLARES, "hold": True}
    async with two(tmp_path, [rule(**does)], octets=made, **more) as whole:
        replies = await whole.send(whole.octets, ("a@example.net", "b@example.net", "c@example.com"))
        assert {one[:3] for one in replies} == {"250", "354"}
        assert len(whole.main.messages[0].rcpt_to) == 3
        bypasses = [one["bypass"] for one in whole.told.of("message")] + [one["cause"] for one in whole.told.of("bypass")]
        assert any(one.startswith("observe") for one in bypasses)


async def test_observing_suppressed_recipients_get_their_mail_and_are_told_of(tmp_path):
    listed = List(pat=[Entry("", "bounce", 0)])
    async with two(tmp_path, [], suppressed=listed, mode=Mode.OBSERVE) as whole:
        assert (await whole.send(whole.octets))[-1].startswith("250")
        assert whole.told.of("suppressed")[0]["address"] == "pat@example.net"
        assert whole.told.of("message")[0]["bypass"] == "observe: refuse"


@pytest.mark.parametrize(
    ("more", "code"),
    [({}, "451"), ({"on_fault": OnFault.SEND}, "250"), ({"mode": Mode.OBSERVE}, "250")],
    ids=["defer", "send", "observe"],
)
async def test_a_list_that_cannot_be_asked_is_a_fault_of_ours(tmp_path, more, code):
    listed = List(pat=NotKnownError("the store is down"))
    async with two(tmp_path, [], suppressed=listed, **more) as whole:
        replies = await whole.send(whole.octets)
        assert replies[1].startswith(code)
        assert "store" not in "".join(replies)
        assert whole.told.of("fault")[0]["where"] == "suppressions"
        if code == "250":
            assert replies[-1].startswith("250")
            assert whole.told.of("bypass")[0]["cause"] == "suppressions"


@pytest.mark.parametrize(("more", "code"), [({}, "451 4.3.0"), ({"on_fault": OnFault.SEND}, "250")], ids=["defer", "send"])
async def test_rates_that_cannot_be_counted_are_a_fault_of_ours(tmp_path, monkeypatch, more, code):
    async with two(tmp_path, [rule(limit=Limit(1, 60, 1))], **more) as whole:
        (tmp_path / rates.FILE).mkdir()
        replies = await whole.send(whole.octets)
        assert replies[1].startswith(code)
        assert whole.told.of("fault")[0]["where"] == "rates"


async def test_lmtp_answers_for_each_recipient(tmp_path):
    lmtp = replace(TRUSTED, kind=Kind.LMTP)
    refused = rule("no", When(recipient=("b@example.net",)), ending=Ending.REFUSE, text="x")
    async with two(tmp_path, [refused], listener=lmtp) as whole, await whole.client() as client:
        await client.say("LHLO client.example.org")
        await client.say("MAIL FROM:<bounces@example.org>")
        assert (await client.say("RCPT TO:<a@example.net>")).startswith("250")
        assert (await client.say("RCPT TO:<b@example.net>")).startswith("550 5.7.1 no: x")


async def test_without_rules_and_list_a_message_is_read_once(tmp_path, monkeypatch):
    from delivcheck.gate.prepare import Preparer

    calls = []
    read = Preparer.read
    monkeypatch.setattr(Preparer, "read", lambda self, incoming: calls.append(1) or read(self, incoming))
    async with two(tmp_path, []) as whole:
        assert (await whole.send(whole.octets))[-1].startswith("250")
        assert len(calls) == 1
    (tmp_path / "b").mkdir()
    async with two(tmp_path / "b", [rule(next_hop="fast")]) as whole:
        assert (await whole.send(whole.octets))[-1].startswith("250")
        assert len(calls) == 2


async def test_clients_at_the_same_time_share_a_limit(tmp_path):
    async with two(tmp_path, [rule(limit=Limit(5, 86_400, 5))]) as whole:
        done = await asyncio.gather(*(whole.send(whole.octets, (f"r{number}@example.net",)) for number in range(12)))
        assert sorted(one[1][:3] for one in done).count("250") == 5
