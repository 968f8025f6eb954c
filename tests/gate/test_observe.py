"""Observe mode is harmless: whatever is wrong with a message, or with us, it is accepted, handed on, and counted."""

import asyncio
from dataclasses import replace

import pytest

from delivcheck.gate import delivery, passage
from delivcheck.gate.journal import JournalError
from delivcheck.gate.settings import CredentialSettings, Mode
from tests.gate import world
from tests.gate.next_hop import NextHop
from tests.gate.whole import TRUSTED, gate

LISTENER = replace(TRUSTED, credential="shop", mode=Mode.OBSERVE)
BOUND = {"shop": CredentialSettings(domains=("example.org",), may_declare=True)}
PLAIN = world.message()


def looping():
    return b"".join(b"Received: from a by b; Mon, 23 Nov 2026 10:00:00 +0000\r\n" for _ in range(40)) + PLAIN


class Broken:
    """Stands for a part that fails, or hangs."""

    def __init__(self, error=None):
        self.error = error

    def __getattr__(self, name):
        async def broken(*arguments, **named):
            await asyncio.sleep(0 if self.error else 60)
            raise self.error

        return broken


async def nothing(whole, monkeypatch):
    pass


async def judge_fails(whole, monkeypatch):
    whole.reception.pipeline.judge.judge = Broken(RuntimeError("boom")).judge


async def preparing_fails(whole, monkeypatch):
    def prepare(incoming):
        raise RuntimeError("boom")

    whole.reception.pipeline.preparer.prepare = prepare


async def looking_for_a_key_fails(whole, monkeypatch):
    def idempotency_key(octets, credential):
        raise RuntimeError("boom")

    monkeypatch.setattr(passage, "idempotency_key", idempotency_key)


async def telling_fails(whole, monkeypatch):
    monkeypatch.setattr("delivcheck.gate.pipeline.hashlib", None)


async def journal_fails(whole, monkeypatch):
    for name in ("answer_for", "before_dot", "after"):
        setattr(whole.journal, name, getattr(Broken(JournalError("disk")), name))


async def journal_hangs(whole, monkeypatch):
    monkeypatch.setattr(delivery, "OBSERVING", 0.01)
    for name in ("answer_for", "before_dot"):
        setattr(whole.journal, name, getattr(Broken(), name))


@pytest.mark.attack(57, 58, 70)
@pytest.mark.parametrize(
    ("octets", "sender", "breaks"),
    [
        (PLAIN, "bounces@example.org", nothing),
        (PLAIN, "bounces@example.com", nothing),
        (PLAIN, "", nothing),
        (world.message(From="a@example.com"), "bounces@example.org", nothing),
        (b"no header at all\r\n\r\nx\r\n", "bounces@example.org", nothing),
        (b"\r\n", "bounces@example.org", nothing),
        (looping(), "bounces@example.org", nothing),
        (b"X-Delivcheck-Stream: nosuch\r\n" + PLAIN, "bounces@example.org", nothing),
        (PLAIN, "bounces@example.org", judge_fails),
        (PLAIN, "bounces@example.org", preparing_fails),
        (PLAIN, "bounces@example.org", looking_for_a_key_fails),
        (PLAIN, "bounces@example.org", telling_fails),
        (PLAIN, "bounces@example.org", journal_fails),
        (PLAIN, "bounces@example.org", journal_hangs),
    ],
    ids=lambda value: getattr(value, "__name__", None) or str(value)[:40],
)
async def test_whatever_is_wrong_it_is_sent_and_the_bypass_is_told(tmp_path, monkeypatch, caplog, octets, sender, breaks):
    async with NextHop() as hop, gate(tmp_path, hop, listener=LISTENER, credentials=BOUND) as whole:
        await breaks(whole, monkeypatch)
        *_, end = await whole.send(octets, sender=sender)
        assert end.startswith("250 "), end
        assert len(hop.messages) == 1
        bypassed = [one for one in whole.told.of("message") if one["bypass"]] + whole.told.of("bypass")
        assert bypassed or breaks is telling_fails


async def test_a_key_that_stands_for_another_message_is_no_reason_either(tmp_path):
    keyed = b"X-Delivcheck-Idempotency-Key: 1\r\n"
    async with NextHop() as hop, gate(tmp_path, hop, listener=LISTENER, credentials=BOUND) as whole:
        for text in ("one", "two"):
            *_, end = await whole.send(keyed + world.message(text))
            assert end.startswith("250 ")
        assert len(hop.messages) == 2
        assert [one["cause"] for one in whole.told.of("bypass")] == ["observe"]


@pytest.mark.attack(57, 58, 70)
@pytest.mark.parametrize(
    ("breaks", "said"),
    [
        (judge_fails, "451 4.3.0 "),
        (preparing_fails, "451 4.3.0 "),
        (looking_for_a_key_fails, "250 2.0.0 "),  # judged it is all the same, and sent once
        (journal_fails, "452 4.3.1 "),
    ],
)
async def test_enforcing_a_fault_of_ours_is_never_a_5xx(tmp_path, monkeypatch, caplog, breaks, said):
    octets, records = world.signed()
    enforcing = replace(LISTENER, mode=Mode.ENFORCE)
    async with NextHop() as hop, gate(tmp_path, hop, records, listener=enforcing, credentials=BOUND) as whole:
        await breaks(whole, monkeypatch)
        *_, end = await whole.send(octets)
        assert end.startswith(said)
        assert "boom" not in end
        assert [one.octets for one in hop.messages] == [octets] * said.startswith("250")
        assert sum(session.dots for session in hop.sessions) == len(hop.messages)
