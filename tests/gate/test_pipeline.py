"""What stands behind every framing: prepare, judge, decide; and whatever breaks, an answer."""

import asyncio
import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address

import msgspec
import pytest

from delivcheck.gate.judging import Egress, Judge
from delivcheck.gate.model import Action, Client, Credential, Incoming
from delivcheck.gate.pipeline import GatePipeline
from delivcheck.gate.prepare import Preparer
from delivcheck.gate.settings import Address, CredentialSettings, Gate, Kind, Listener, Mode, OnFault
from delivcheck.model import Level, Outcome, Verdict
from delivcheck.net.lasting import Lasting
from tests.gate import world

LISTENERS = (
    Listener("relay", Kind.SMTP, Address(host="127.0.0.1", port=25)),
    Listener("watching", Kind.SMTP, Address(host="127.0.0.1", port=26), mode=Mode.OBSERVE),
    Listener("hooks", Kind.SMTP, Address(host="127.0.0.1", port=27), on_fault=OnFault.SEND),
)
GATE = Gate("gate.example.org", LISTENERS)


class Told(list):
    """Everything that the watch was told."""

    def __call__(self, event, /, **fields):
        self.append((event, fields))

    def of(self, event):
        return [fields for name, fields in self if name == event]


def pipeline(folder, records, gate=GATE, preparer=None, text=""):
    judge = Judge(
        world.configuration(folder, text), Lasting(world.dns(records)), Egress((ip_address(world.IP),), "gate.example.org")
    )
    preparer = preparer or Preparer(gate.name, without_received=[one.name for one in gate.listeners])
    return GatePipeline(gate, judge, preparer, Told())


def incoming(octets, listener="relay", protocol="ESMTP", **more):
    client = Client(ip_address("127.0.0.1"), listener=listener, protocol=protocol)
    return Incoming(octets, "bounces@example.org", ("pat@example.net",), client, "T1", datetime.now(UTC), **more)


async def test_what_passes_is_sent_as_the_very_octets_that_were_judged(tmp_path):
    octets, records = world.signed()
    line = pipeline(tmp_path, records)
    outcome = await line.process(incoming(octets))
    assert (outcome.decision.action, outcome.octets) == (Action.SEND, octets)
    (told,) = line.watch.of("message")
    assert told["sha256"] == hashlib.sha256(octets).hexdigest()
    assert (told["action"], told["bypass"], told["mode"]) == ("send", "", "enforce")


async def test_what_fails_is_refused_with_the_rule(tmp_path):
    octets = world.message()
    outcome = await pipeline(tmp_path, world.RECORDS).process(incoming(octets))
    assert outcome.decision.action is Action.REFUSE
    assert outcome.decision.reply.text.startswith("dkim/no-signature ")


@pytest.mark.parametrize(("credential", "user"), [(None, ""), ("office", "office")])
async def test_a_trusted_network_without_a_credential_is_no_user_in_the_log(tmp_path, credential, user):
    octets, records = world.signed()
    line = pipeline(tmp_path, records)
    coming = incoming(octets)
    coming.client.credential = Credential.of(replace(LISTENERS[0], credential=credential), {"office": CredentialSettings()})
    await line.process(coming)
    assert line.watch.of("message")[0]["user"] == user


async def test_a_listener_that_observes_sends_what_fails(tmp_path):
    line = pipeline(tmp_path, world.RECORDS)
    outcome = await line.process(incoming(world.message(), "watching"))
    assert (outcome.decision.action, outcome.decision.bypass) == (Action.SEND, "observe: refuse")
    assert line.watch.of("message")[0]["bypass"] == "observe: refuse"


async def test_what_is_no_message_is_refused_as_malformed(tmp_path):
    outcome = await pipeline(tmp_path, {}).process(incoming(b"\r\n"))
    assert (outcome.decision.action, outcome.decision.reply.code, outcome.decision.reply.enhanced) == (
        Action.REFUSE,
        550,
        "5.6.0",
    )


@pytest.mark.attack(64)
async def test_a_message_that_goes_in_circles_is_refused(tmp_path):
    octets = b"".join(b"Received: from a by b; Mon, 23 Nov 2026 10:00:00 +0000\r\n" for _ in range(31)) + world.message()
    outcome = await pipeline(tmp_path, world.RECORDS).process(incoming(octets))
    assert (outcome.decision.reply.code, outcome.decision.reply.enhanced) == (554, "5.4.6")


class Breaking:
    """A judge that fails in a way of the test's choosing."""

    def __init__(self, error):
        self.error = error

    async def judge(self, *arguments):
        if isinstance(self.error, float):
            await asyncio.sleep(self.error)
        raise self.error


@pytest.mark.attack(70)
@pytest.mark.parametrize("error", [RuntimeError("secret"), SystemExit(3), MemoryError(), RecursionError(), 60.0], ids=repr)
@pytest.mark.parametrize(
    ("listener", "action", "code"), [("relay", Action.DEFER, 451), ("watching", Action.SEND, 451), ("hooks", Action.SEND, 451)]
)
async def test_a_fault_of_ours_is_answered_by_the_fault_policy_without_its_text(
    tmp_path, monkeypatch, caplog, error, listener, action, code
):
    monkeypatch.setattr("delivcheck.gate.pipeline.MARGIN", 0.02)
    octets, records = world.signed()
    line = pipeline(tmp_path, records, replace(GATE, deadline=0.04))
    line.judge = Breaking(error)
    outcome = await line.process(incoming(octets, listener))
    assert (outcome.decision.action, outcome.decision.reply.code) == (action, code)
    assert "secret" not in outcome.decision.reply.text
    assert outcome.octets == octets
    assert bool(outcome.decision.bypass) == (action is Action.SEND)
    assert line.watch.of("fault")


@pytest.mark.attack(70)
async def test_a_rule_that_breaks_is_a_fault_of_ours_too_and_its_text_is_for_the_log(tmp_path, monkeypatch):
    octets, records = world.signed()
    line = pipeline(tmp_path, records)
    real = line.judge.judge

    async def broken(*arguments):
        judged = await real(*arguments)
        first = judged.report.results[0]
        bug = msgspec.structs.replace(
            first, outcome=Outcome.UNKNOWN, level=Level.ERROR, reason="NameError: secret", problems=(), bug=True
        )
        return replace(judged, report=msgspec.structs.replace(judged.report, verdict=Verdict.UNKNOWN, results=(bug,)))

    monkeypatch.setattr(line.judge, "judge", broken)
    outcome = await line.process(incoming(octets))
    assert (outcome.decision.action, outcome.decision.reply.code) == (Action.DEFER, 451)
    assert "secret" not in outcome.decision.reply.text
    assert "NameError: secret" in line.watch.of("fault")[0]["reason"]


async def test_who_cancels_is_obeyed(tmp_path):
    octets, records = world.signed()
    line = pipeline(tmp_path, records)
    line.judge = Breaking(60.0)
    task = asyncio.create_task(line.process(incoming(octets)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_stream_that_only_the_header_names_is_the_senders_fault(tmp_path):
    octets, records = world.signed()
    coming = incoming(b"X-Delivcheck-Stream: nosuch\r\n" + octets)
    coming.client.credential = Credential("app", may_declare=True)
    outcome = await pipeline(tmp_path, records).process(coming)
    assert (outcome.decision.action, outcome.decision.reply.code) == (Action.REFUSE, 550)
    assert "delivcheck.toml" not in outcome.decision.reply.text


@pytest.mark.parametrize("of", ["listener", "user"])
async def test_a_stream_that_the_operator_renamed_bounces_nothing(tmp_path, of):
    octets, records = world.signed()
    coming = incoming(octets, **({"stream": "renamed"} if of == "listener" else {}))
    coming.client.credential = Credential("app", streams=("renamed",)) if of == "user" else None
    outcome = await pipeline(tmp_path, records).process(coming)
    assert (outcome.decision.action, outcome.decision.reply.code) == (Action.DEFER, 451)


async def test_a_message_id_counts_as_used_when_its_message_was_sent(tmp_path):
    # Who mends what was refused sends it again under the same Message-ID.
    octets, records = world.signed(world.message("first", **{"Message-ID": "<1@example.org>"}))
    mended, _ = world.signed(world.message("mended", **{"Message-ID": "<1@example.org>"}))
    line = pipeline(tmp_path, records)
    await line.process(incoming(octets))
    assert (await line.process(incoming(mended))).decision.action is Action.SEND
    line.sent("T1")
    assert (await line.process(incoming(octets))).decision.rules == ("headers/message-id-reused",)
