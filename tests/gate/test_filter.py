"""What stands behind a milter: what it makes of a message of the MTA's, and of the pipeline's outcome."""

import asyncio
import itertools
from ipaddress import ip_address, ip_network

import pytest

from delivcheck.facts.roots import Origin
from delivcheck.gate.filter import Filter
from delivcheck.gate.judging import Egress, Judge
from delivcheck.gate.milter.codec import AddHeader, Answer, Can, ChangeHeader, InsertHeader, Quarantine
from delivcheck.gate.milter.protocol import WANTED_ACTIONS, Connection
from delivcheck.gate.model import Action
from delivcheck.gate.pipeline import GatePipeline
from delivcheck.gate.prepare import Preparer
from delivcheck.gate.settings import Additions, Address, CredentialSettings, Gate, Kind, Listener, Mode, OnFault
from delivcheck.net.lasting import Lasting
from tests.gate import world
from tests.gate.milter import mta_side as mta
from tests.gate.milter.serving import REPLIES, Obedient
from tests.gate.whole import Told


def arrived(octets=None, do="", session=mta.SESSION, max_octets=1_000_000, **more):
    """A message as the milter's state machine gives it."""
    fields, body = [*mta.FIELDS, (b"X-Do", f" {do}".encode())], (b"hello\r\n",)
    if octets is not None:
        header, _, rest = octets.partition(b"\r\n\r\n")
        unfolded = header.replace(b"\r\n ", b"\n ").replace(b"\r\n\t", b"\n\t")
        fields, body = [tuple(line.split(b":", 1)) for line in unfolded.split(b"\r\n")], (rest,)
    connection = Connection(max_octets)
    connection.receive(mta.offer() + session + mta.message(fields=fields, body=body, **more))
    return connection.next()


def milter(**settings):
    return Listener("milter", Kind.MILTER, Address(), **settings)


def made(pipeline=None, listener=None, **settings):
    told = Told()
    return Filter(Gate("gate.example.org", (), **settings), listener or milter(), pipeline or Obedient(), told), told


async def answer(do="", can=WANTED_ACTIONS, listener=None, **settings):
    return await made(listener=listener, **settings)[0].message(arrived(do=do), can)


def line(folder, records, listener, settings=None, **options):
    """A filter before the real pipeline."""
    gate = Gate("gate.example.org", (listener,), **(settings or {}))
    judge = Judge(world.configuration(folder), Lasting(world.dns(records)), Egress((ip_address(world.IP),), gate.name))
    told = Told()
    return Filter(gate, listener, GatePipeline(gate, judge, Preparer(gate.name, **options), told), told), told


# --- what comes in -------------------------------------------------------------------------------------------------------


async def test_the_pipeline_is_given_what_the_mta_knows():
    pipeline = Obedient()
    session = mta.macros("C", j="mail.example") + mta.connect("client.example", b"6", 2525, "2001:db8::7")
    session += mta.macros("H", **{"{tls_version}": "TLSv1.3"}) + mta.helo("me.example")
    message = arrived(world.message(), session=session, sender="bounces@example.org", recipients=("a@x.example", "b@y.example"))
    listener = milter(stream="receipts", pre_sign=True)
    await made(pipeline, listener)[0].message(message, WANTED_ACTIONS)
    [seen] = pipeline.seen
    assert seen.origin is Origin.RECONSTRUCTED
    assert (seen.mail_from, seen.rcpt_to) == ("bounces@example.org", ("a@x.example", "b@y.example"))
    assert (seen.stream, seen.signed_later, seen.next_hop, seen.smtputf8) == ("receipts", True, None, False)
    client = seen.client
    assert (str(client.ip), client.port, client.helo, client.tls) == ("2001:db8::7", 2525, "me.example", "TLSv1.3")
    assert (client.protocol, client.listener, client.queue_id, client.credential) == ("milter", "milter", "Q1", None)
    assert len(message.octets) == 0, "kept once only"


LIMITED = {
    "apps": CredentialSettings(("example.org",), ("receipts",), ("transactional",), True),
    "alice": CredentialSettings(may_declare=True),
}


@pytest.mark.parametrize(
    ("more", "listener", "name"),
    [
        ({}, milter(), None),
        ({"{auth_authen}": "alice"}, milter(), "alice"),
        ({"{auth_authen}": "alice"}, milter(credential="apps"), "alice"),
        ({}, milter(credential="apps"), None),
        ({}, milter(credential="apps", trusted=(ip_network("192.0.2.0/24"),)), "apps"),
        ({}, milter(credential="apps", trusted=(ip_network("10.0.0.0/8"),)), None),
    ],
)
async def test_who_logged_in_or_is_trusted_has_a_credential(more, listener, name):
    pipeline = Obedient()
    handler, _ = made(pipeline, listener, credentials=LIMITED, mode=Mode.OBSERVE)
    await handler.message(arrived(**more), WANTED_ACTIONS)
    credential = pipeline.seen[0].client.credential
    assert (credential and credential.name) == name
    if credential is not None:
        limited = listener.credential == "apps"
        assert credential.domains == (("example.org",) if limited else ())
        assert credential.may_declare is limited, "a login at the MTA is not a name of our own"


@pytest.mark.attack(20)
@pytest.mark.parametrize(("sender", "author"), [("a@evil.example", "a@example.org"), ("a@example.org", "a@evil.example")])
async def test_who_is_bound_to_domains_may_write_no_other(tmp_path, sender, author):
    handler, told = line(tmp_path, world.RECORDS, milter(credential="apps"), {"credentials": LIMITED})
    message = arrived(world.message(From=author), sender=sender, **{"{auth_authen}": "alice"})
    refused = await handler.message(message, WANTED_ACTIONS)
    assert refused.refusal.code == 550
    assert "alice may not send as a@evil.example" in refused.refusal.text
    assert told.of("message")[0]["action"] == "refuse"


# --- what goes out -------------------------------------------------------------------------------------------------------


async def test_each_decision_has_its_answer():
    assert await answer("send") == Answer()
    assert await answer("refuse") == Answer(refusal=REPLIES[Action.REFUSE])
    assert await answer("defer") == Answer(refusal=REPLIES[Action.DEFER])
    held = await answer("hold insert")
    assert held.refusal is None
    assert isinstance(held.changes[-1], Quarantine)
    assert held.changes[-1].reason.startswith("as asked (")


async def test_edits_are_made_in_their_order_deletions_from_the_last():
    assert (await answer("delete insert")).changes == (
        ChangeHeader(b"X-Away", 3),
        ChangeHeader(b"X-Away", 1),
        InsertHeader(b"X-First", b"1"),
        InsertHeader(b"X-Second", b"a\r\n\tb"),
        AddHeader(b"X-Last", b"3"),
    )


@pytest.mark.attack(45)
@pytest.mark.parametrize(
    ("do", "can", "mode", "on_fault", "expected"),
    [
        ("", Can(0), Mode.ENFORCE, OnFault.DEFER, "accept"),
        ("refuse", Can(0), Mode.ENFORCE, OnFault.DEFER, 550),
        ("insert", Can.CHANGE_HEADERS, Mode.ENFORCE, OnFault.DEFER, 451),
        ("delete", Can.ADD_HEADERS, Mode.ENFORCE, OnFault.DEFER, 451),
        ("insert", Can(0), Mode.ENFORCE, OnFault.SEND, "accept"),
        ("insert", Can(0), Mode.ENFORCE, OnFault.HOLD, 451),
        ("insert", Can.QUARANTINE, Mode.ENFORCE, OnFault.HOLD, "hold"),
        ("hold", Can(0), Mode.ENFORCE, OnFault.DEFER, 451),
        ("hold", Can(0), Mode.ENFORCE, OnFault.HOLD, 451),
        ("insert", Can(0), Mode.OBSERVE, OnFault.DEFER, "accept"),
    ],
)
async def test_an_mta_that_lets_us_do_less_gets_no_half_of_an_answer(do, can, mode, on_fault, expected):
    found = await answer(do, can, mode=mode, on_fault=on_fault)
    if isinstance(expected, int):
        assert found.refusal.code == expected
    else:
        assert found.refusal is None
        assert [type(one) for one in found.changes] == ([Quarantine] if expected == "hold" else [])


async def test_mail_that_was_to_be_held_is_never_sent_because_it_cannot_be():
    found = await answer("hold", Can(0), on_fault=OnFault.SEND)
    assert found.refusal is not None
    assert found.refusal.code == 451


@pytest.mark.attack(70)
@pytest.mark.parametrize(("mode", "on_fault"), list(itertools.product(Mode, OnFault)))
async def test_a_bug_behind_the_filter_is_the_fault_policys(mode, on_fault):
    handler, told = made(mode=mode, on_fault=on_fault)
    found = await handler.message(arrived(do="raise"), WANTED_ACTIONS)
    if mode is Mode.OBSERVE or on_fault is OnFault.SEND:
        assert found == Answer()
    elif on_fault is OnFault.HOLD:
        assert isinstance(found.changes[0], Quarantine)
    else:
        assert found.refusal.code == 451
        assert "boom" not in found.refusal.text
    assert told.of("fault")[0]["reason"].startswith("RuntimeError: boom")


@pytest.mark.parametrize("mode", Mode)
async def test_a_message_that_is_too_large_is_refused_as_by_smtp_and_only_observed_when_observing(tmp_path, mode):
    handler, told = line(tmp_path, world.RECORDS, milter(mode=mode))
    found = await handler.message(arrived(max_octets=10), WANTED_ACTIONS)
    assert (found.refusal and found.refusal.code) == (552 if mode is Mode.ENFORCE else None)
    assert bool(told.of("message")[0]["bypass"]) == (mode is Mode.OBSERVE)


@pytest.mark.parametrize(("on_fault", "code"), [(OnFault.DEFER, 451), (OnFault.SEND, None), (OnFault.HOLD, None)])
async def test_a_message_that_there_is_no_room_for_is_the_fault_policys(tmp_path, on_fault, code):
    handler, told = line(tmp_path, world.RECORDS, milter(on_fault=on_fault))
    message = arrived()
    message.missing = "no-room"
    found = await handler.message(message, WANTED_ACTIONS)
    assert (found.refusal and found.refusal.code) == code
    assert [event for event, _ in told] == ["fault", "message"]


async def test_work_that_is_called_off_is_no_fault():
    handler, told = made()
    task = asyncio.create_task(handler.message(arrived(do="sleep=60"), WANTED_ACTIONS))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert told == []


# --- before the real pipeline --------------------------------------------------------------------------------------------


async def test_what_passes_is_accepted_and_what_fails_is_refused_with_its_rule(tmp_path):
    octets, records = world.signed()
    handler, told = line(tmp_path, records, milter())
    passed = await handler.message(
        arrived(octets, sender="bounces@example.org", recipients=("pat@example.net",)), WANTED_ACTIONS
    )
    refused = await handler.message(arrived(world.message(), sender="bounces@example.org"), WANTED_ACTIONS)
    assert passed == Answer()
    assert str(refused.refusal).startswith("550 5.7.20 dkim/no-signature ")
    assert [(one["framing"], one["action"]) for one in told.of("message")] == [("milter", "send"), ("milter", "refuse")]


async def test_what_is_not_judged_in_observe_mode_is_accepted_all_the_same(tmp_path):
    handler, told = line(tmp_path, world.RECORDS, milter(mode=Mode.OBSERVE))
    assert await handler.message(arrived(world.message()), WANTED_ACTIONS) == Answer()
    assert told.of("message")[0]["bypass"] == "observe: refuse"


@pytest.mark.attack(38)
async def test_our_own_fields_of_others_are_taken_out_and_missing_ones_put_in(tmp_path):
    octets = world.message(Date=None)
    forged = b"".join(
        b"X-Delivcheck-Class: bulk%d\r\nAuthentication-Results: gate.example.org; dkim=pass\r\n" % number for number in (1, 2)
    )
    handler, _ = line(tmp_path, world.RECORDS, milter(mode=Mode.OBSERVE), additions=Additions(message_id=False))
    found = await handler.message(arrived(forged + octets), WANTED_ACTIONS)
    assert [(one.name, one.index) for one in found.changes if isinstance(one, ChangeHeader)] == [
        (b"Authentication-Results", 2),
        (b"X-Delivcheck-Class", 2),
        (b"Authentication-Results", 1),
        (b"X-Delivcheck-Class", 1),
    ]
    assert [one.name for one in found.changes if not isinstance(one, ChangeHeader)] == [b"Date"]


async def test_mail_is_remembered_when_the_mta_was_told_to_take_it(tmp_path):
    octets, records = world.signed()
    other, _ = world.signed(octets.partition(b"\r\nFrom:")[2].join([b"From:", b""]).replace(b"has been sent", b"has been lost"))
    handler, _ = line(tmp_path, records, milter())
    message = {"sender": "bounces@example.org", "recipients": ("pat@example.net",)}
    assert await handler.message(arrived(octets, **message), WANTED_ACTIONS) == Answer()
    again = await handler.message(arrived(other, **message), WANTED_ACTIONS)
    assert "headers/message-id-reused" in str(again.refusal)
