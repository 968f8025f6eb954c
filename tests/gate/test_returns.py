"""What the gate sends with signed return paths comes back to it: over SMTP, by a Maildir, by a pipe, and from Postfix's log."""

import io
import secrets
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from delivcheck import config, ulid
from delivcheck.cli import main
from delivcheck.gate import reading, returned
from delivcheck.gate.intake import Intake
from delivcheck.gate.model import Credential
from delivcheck.gate.return_path import ReturnPaths
from delivcheck.gate.settings import Address, Bounces, Kind, Listener
from delivcheck.tables import ConfigError
from delivcheck.trace import schema, tokens
from delivcheck.trace.bounces import paths, postfix
from delivcheck.trace.ingest import ingest
from delivcheck.trace.intake import sent_of
from delivcheck.trace.model import Kind as What
from delivcheck.trace.records import Event, Message, event_id
from delivcheck.trace.store import Store
from delivcheck.trace.tokens import KEY, Tokens
from tests import mta
from tests.gate import world
from tests.gate.next_hop import NextHop
from tests.gate.whole import gate
from tests.mta import needs_postfix
from tests.trace.bounces.refusing import refusing
from tests.trace.bounces.written import one, report
from tests.trace.conftest import made as migrated

DOMAIN = "bounces.example.org"
TOKENS = Tokens([secrets.token_bytes(KEY)])
SETTINGS = Bounces(DOMAIN, addresses=(f"fbl@{DOMAIN}",))
PAT = "pat@example.net"
BAD = report(one(PAT, "failed", "5.1.1", "550 5.1.1 user unknown"))
SIGNED, RECORDS = world.signed()
WITH_DOMAIN = {**RECORDS, f"{DOMAIN} TXT": f"v=spf1 ip4:{world.IP} -all", f"{DOMAIN} MX": "10 mx.example.org."}
RETURNING = Listener("returning", Kind.BOUNCES, Address(host="127.0.0.1", port=25))


@pytest.fixture
def store(tmp_path):
    made = Store(f"sqlite:///{tmp_path / 'trace.sqlite'}")
    migrated(made)
    yield made
    made.close()


def sent(store, reply="", recipient=PAT):
    trace, now = ulid.new(), time.time_ns() // 1_000_000
    events = [
        Event(
            id=event_id(trace, What.SENT, recipient),
            trace=trace,
            kind=What.SENT,
            at=now,
            recipient=recipient,
            detail={"reply": reply},
        )
    ]
    ingest(store, [Message(trace=trace, received=now, recipients=(recipient,), stream="news", sha256="0" * 64), *events])
    return trace


def happened(store, source=None):
    with store.read() as db:
        e = schema.event.c
        wanted = sa.select(e.message, e.kind).where(e.kind != "sent").order_by(e.seq)
        return [tuple(row) for row in db.execute(wanted if source is None else wanted.where(e.source == source))]


def suppressed(store):
    with store.read() as db:
        return set(db.scalars(sa.select(schema.suppression.c.address)))


# --- what the operator says ---------------------------------------------------------------------------------------

BASE = '[gate]\nname = "gate.example.org"\nstate = "."\n'
TRACE = "[gate.trace]\n"
HTTP = '[[gate.listen]]\nkind = "http"\naddress = "127.0.0.1:0"\n'
BACK = '[[gate.listen]]\nkind = "bounces"\naddress = "127.0.0.1:0"\n'
TABLE = f'[gate.bounces]\ndomain = "{DOMAIN}"\n'


def read(folder, *text):
    path = folder / "delivcheck.toml"
    path.write_text(BASE + "".join(text))
    return reading.read(config.load(path))


def test_the_configuration_says_where_what_comes_back_goes(tmp_path):
    more = 'return-paths = false\nstreams = ["news"]\naddresses = ["FBL@Example.org"]\nmaildir = "Maildir"\npostfix-log = "/var/log/mail.log"\n'
    hook = '[gate.reports.pm]\nprovider = "postmark"\nuser = "hook"\nsecret-file = "pm"\n'
    amazon = '[gate.reports.aws]\nprovider = "ses"\ntopics = ["arn:aws:sns:eu-west-1:123456789012:x"]\nsubscribe = true\n'
    found = read(tmp_path, TRACE, BACK, HTTP, TABLE, more, hook, amazon)
    assert found.bounces == Bounces(
        DOMAIN,
        return_paths=False,
        streams=("news",),
        addresses=("fbl@example.org",),
        maildir=tmp_path / "Maildir",
        postfix_log=Path("/var/log/mail.log"),
    )
    assert [(one.name, one.provider, one.user, one.subscribe) for one in found.reports] == [
        ("pm", "postmark", "hook", False),
        ("aws", "ses", None, True),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TRACE + HTTP + "[gate.bounces]\n", "domain:"),
        (HTTP + TABLE, "trace"),
        (TRACE + BACK, "[gate.bounces]"),
        (TRACE + BACK + 'stream = "x"\n' + TABLE, "no such key"),
        (TRACE + BACK + TABLE + '[gate.reports.pm]\nprovider = "postmark"\nsecret-env = "X"\n', "http"),
        (TRACE + HTTP + '[gate.reports.pm]\nprovider = "postmark"\n', "secret-file"),
        (TRACE + HTTP + '[gate.reports.pm]\nprovider = "ses"\n', "topics"),
        (TRACE + HTTP + '[gate.reports.pm]\nprovider = "nobody"\n', "nobody"),
        (TRACE + HTTP + '[gate.reports.pm]\nprovider = "postmark"\nsecret = "open"\n', "secrets do not stand"),
    ],
)
def test_what_cannot_work_is_said_with_its_line(tmp_path, text, why):
    with pytest.raises(ConfigError) as failed:
        read(tmp_path, text)
    assert why in str(failed.value)
    assert str(tmp_path / "delivcheck.toml") in str(failed.value)


# --- sent with a signed return path ------------------------------------------------------------------------------


async def test_each_recipient_goes_with_a_return_path_of_its_own_that_is_judged_and_says_which_message_it_is(tmp_path):
    async with NextHop() as hop, gate(tmp_path, hop, WITH_DOMAIN) as whole:
        whole.reception.return_paths = ReturnPaths(TOKENS, SETTINGS)
        replies = await whole.send(SIGNED, (PAT, "b@example.net"))
        assert replies[2].startswith("452 4.5.3")
        assert replies[-1].startswith("250")
        (message,) = hop.messages
        (told,) = whole.told.of("message")
        path = paths.opened(TOKENS, told["mail_from"], DOMAIN)
    assert path == (told["trace"], 0)
    assert told["mail_from"] in str(vars(message))


async def test_a_null_sender_and_another_stream_keep_their_own(tmp_path):
    signed = ReturnPaths(TOKENS, Bounces(DOMAIN, streams=("news",)))
    async with NextHop() as hop, gate(tmp_path, hop, WITH_DOMAIN) as whole:
        whole.reception.return_paths = signed
        await whole.send(SIGNED)
        whole.reception.return_paths = ReturnPaths(TOKENS, SETTINGS)
        await whole.send(SIGNED, sender="")
        assert [told["mail_from"] for told in whole.told.of("message")] == ["bounces@example.org", ""]


async def test_whose_sender_it_is_is_asked_of_the_one_that_the_client_wrote(tmp_path):
    async with NextHop() as hop, gate(tmp_path, hop, WITH_DOMAIN) as whole:
        whole.reception.return_paths = ReturnPaths(TOKENS, SETTINGS)
        whole.server.trust = lambda _, client: (
            setattr(client, "credential", Credential("shop", domains=("example.org",))) or True
        )
        assert (await whole.send(SIGNED))[-1].startswith("250")
        assert (await whole.send(SIGNED, sender="x@foreign.example"))[0].startswith("550 5.7.1")


async def test_a_retry_is_known_though_its_return_path_would_be_another(tmp_path):
    key = b"X-Delivcheck-Idempotency-Key: 4711\r\n"
    async with NextHop() as hop, gate(tmp_path, hop, WITH_DOMAIN) as whole:
        whole.reception.return_paths = ReturnPaths(TOKENS, SETTINGS)
        whole.server.trust = lambda _, client: setattr(client, "credential", Credential("shop", may_declare=True)) or True
        assert (await whole.send(key + SIGNED))[-1].startswith("250")
        assert (await whole.send(key + SIGNED))[-1].startswith("250")
        assert len(hop.messages) == 1
        (record,) = await whole.journal.records()
        assert record.attempt.mail_from.endswith(f"@{DOMAIN}")


# --- taken in over SMTP ------------------------------------------------------------------------------------------


def receiving(whole, store):
    async def note(events):
        ingest(store, events)

    whole.reception.intake = Intake(
        settings=SETTINGS, tokens=TOKENS, find=sent_of(store), note=note, leaving=f"@{DOMAIN}", watch=whole.told
    )


async def test_the_listener_takes_what_is_for_our_addresses_and_nothing_else(tmp_path, store):
    path = paths.address(TOKENS, DOMAIN, sent(store))
    async with NextHop() as hop, gate(tmp_path, hop, listener=RETURNING) as whole:
        receiving(whole, store)
        for nobody in (
            f"x@{DOMAIN}",
            f"b-{'a' * 45}@{DOMAIN}",
            PAT,
            "pat%example.net@gate.example.org",
            f"postmaster@{DOMAIN}",
        ):
            replies = await whole.send(BAD, (nobody,), sender="")
            assert replies[1].startswith("550 5.1.1"), nobody
        assert (await whole.send(BAD, (path,), sender=""))[-1].startswith("250")
        assert (await whole.send(b"no header at all", (f"fbl@{DOMAIN}",), sender="a@x.example"))[-1].startswith("250")
        assert hop.messages == []
    assert [kind for _, kind in happened(store)] == ["bounced"]
    assert suppressed(store) == {PAT}


async def test_what_cannot_be_noted_now_is_to_come_again(tmp_path, store):
    early = paths.address(TOKENS, DOMAIN, ulid.new())
    path = paths.address(TOKENS, DOMAIN, sent(store))
    async with NextHop() as hop, gate(tmp_path, hop, listener=RETURNING) as whole:
        receiving(whole, store)
        assert (await whole.send(BAD, (early,), sender=""))[-1].startswith("451")
        (tmp_path / "trace.sqlite").rename(tmp_path / "away")
        for extra in ("-wal", "-shm"):
            (tmp_path / f"trace.sqlite{extra}").unlink(missing_ok=True)
        store.close()
        assert (await whole.send(BAD, (path,), sender=""))[-1].startswith("451")


# --- Maildir and pipe --------------------------------------------------------------------------------------------


def test_a_maildir_is_taken_in_once_and_a_crash_in_between_changes_nothing(tmp_path, store, monkeypatch):
    path = paths.address(TOKENS, DOMAIN, sent(store))
    folder = tmp_path / "Maildir"
    for name in ("new", "cur", "tmp"):
        (folder / name).mkdir(parents=True)
    octets = report(one(PAT, "failed", "5.1.1", "550 5.1.1 user unknown"), header=(("Delivered-To", path),))
    (folder / "new" / "1.a.host").write_bytes(octets)
    (folder / "new" / "2.b.host").write_bytes(b"")
    (folder / "new" / "3.link").symlink_to("/etc/passwd")
    early = report(one(PAT, "failed", "5.1.1"), header=(("Delivered-To", paths.address(TOKENS, DOMAIN, ulid.new())),))
    (folder / "new" / "4.early").write_bytes(early)
    maildir = returned.Maildir(folder, store, TOKENS, DOMAIN)
    monkeypatch.setattr(returned.os, "rename", lambda *_: (_ for _ in ()).throw(OSError("killed")))
    with pytest.raises(OSError, match="killed"):
        maildir.once()
    monkeypatch.undo()
    assert maildir.once() == 2
    assert maildir.once() == 0
    assert sorted(one.name for one in (folder / "new").iterdir()) == ["3.link", "4.early"]
    assert sorted(one.name for one in (folder / "cur").iterdir()) == ["1.a.host:2,S", "2.b.host:2,S"]
    assert [kind for _, kind in happened(store)] == ["bounced"]


def run(monkeypatch, octets, *arguments):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(octets)))
    return main(["bounce", *arguments])


def test_the_pipe_command_takes_in_and_ends_as_mtas_understand(tmp_path, store, monkeypatch, capsys):
    keys = tokens.load(tmp_path / tokens.FILE, make=True)
    path = paths.address(keys, DOMAIN, sent(store))
    text = f'[gate]\nname = "gate.example.org"\nstate = "."\n[gate.trace]\n[[gate.listen]]\nkind = "bounces"\naddress = "127.0.0.1:0"\n[gate.bounces]\ndomain = "{DOMAIN}"\n'
    (tmp_path / "delivcheck.toml").write_text(text)
    config = ("--config", str(tmp_path / "delivcheck.toml"))
    assert run(monkeypatch, BAD, path, *config) == 0
    assert run(monkeypatch, BAD, path, *config) == 0
    assert run(monkeypatch, BAD, f"nobody@{DOMAIN}", *config) == 0
    assert [kind for _, kind in happened(store)] == ["bounced"]
    assert run(monkeypatch, b"", path, *config) == 65
    assert run(monkeypatch, BAD, paths.address(keys, DOMAIN, ulid.new()), *config) == 75
    (tmp_path / "delivcheck.toml").write_text(text.partition("[gate.bounces]")[0].replace('"bounces"', '"http"'))
    assert run(monkeypatch, BAD, path, *config) == 78
    assert run(monkeypatch, BAD, "--explain") == 0
    assert "bad-mailbox" in capsys.readouterr().out


# --- Postfix's log -----------------------------------------------------------------------------------------------


@needs_postfix
def test_a_real_postfix_log_says_what_was_delivered_deferred_and_bounced(tmp_path, store):
    with refusing() as hop, mta.postfix({"default_transport": f"smtp:[{hop.host}]:{hop.port}"}) as server:
        wanted = {}
        for name in ("good", "nobody", "quota"):
            recipient = f"{name}@rcpt.example"
            with server.smtp() as client:
                client.mail("a@sender.example")
                client.rcpt(recipient)
                reply = client.data(b"Subject: x\r\n\r\ny\r\n")[1].decode()
            wanted[name] = sent(store, f"250 {reply}", recipient)
        server.wait("@rcpt.example>, .*status=(sent|bounced|deferred) ", 3)
        log = returned.Log(server.folder / "mail.log", store)
        while log.once():
            pass
        assert set(happened(store, "log")) == {
            (wanted["good"], "delivered"),
            (wanted["nobody"], "bounced"),
            (wanted["quota"], "deferred"),
        }
        again = returned.Log(server.folder / "mail.log", store)
        while again.once():
            pass
        assert len(happened(store, "log")) == 3
    assert suppressed(store) == set()  # anybody on a machine can write to its log


LINE = "Nov 23 10:00:0{n} mail postfix/smtp[9]: {id}: to=<pat@example.net>, relay=mx[192.0.2.1]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 ok)\n"


def test_a_log_that_is_rotated_truncated_or_cut_in_a_line_is_read_once_and_whole(tmp_path, store):
    traces = [sent(store, f"250 2.0.0 Ok: queued as AAAA00{number}") for number in range(4)]
    path = tmp_path / "mail.log"
    path.write_text(LINE.format(n=0, id="AAAA000") + LINE.format(n=1, id="AAAA001")[:40])
    log = returned.Log(path, store)
    while log.once():
        pass
    assert [trace for trace, _ in happened(store, "log")] == traces[:1]
    with path.open("a") as file:
        file.write(LINE.format(n=1, id="AAAA001")[40:])
    path.rename(tmp_path / "mail.log.1")
    path.write_text(LINE.format(n=2, id="AAAA002"))
    log = returned.Log(path, store)  # restarted, too
    while log.once():
        pass
    assert [trace for trace, _ in happened(store, "log")] == traces[:3]
    path.write_text("")
    path.write_text(LINE.format(n=3, id="AAAA003")[:-1] + "\n")
    while log.once():
        pass
    assert len(happened(store, "log")) >= 3


def test_gates_of_several_machines_follow_logs_of_one_path_each_for_itself(tmp_path, store):
    path, aside = tmp_path / "mail.log", tmp_path / "of the other machine"
    path.write_text(LINE.format(n=0, id="AAAA000"))
    here = returned.Log(path, store, "gate-a.example.com")
    assert here.once() == path.stat().st_size
    path.rename(aside)
    path.write_text(LINE.format(n=0, id="BBBB000") * 3)
    assert returned.Log(path, store, "gate-b.example.com").once() == path.stat().st_size
    aside.rename(path)
    with path.open("a") as file:
        file.write(LINE.format(n=1, id="AAAA001"))
    again = returned.Log(path, store, "gate-a.example.com")
    assert again.once() == len(LINE.format(n=1, id="AAAA001"))
    assert again.once() == 0


def test_a_line_that_comes_before_its_message_waits_for_it(tmp_path, store):
    path = tmp_path / "mail.log"
    path.write_text(LINE.format(n=0, id="BBBB000"))
    log = returned.Log(path, store)
    while log.once():
        pass
    assert happened(store) == []
    trace = sent(store, "250 2.0.0 Ok: queued as BBBB000")
    log.once()
    assert happened(store, "log") == [(trace, "delivered")]


def test_a_filter_on_the_way_gives_a_second_queue_id_and_is_no_delivery():
    known = postfix.Known()
    known.learn("AAAA000", "T")
    first = postfix.read(
        "Nov 23 10:00:00 mail postfix/smtp[9]: AAAA000: to=<a@b.example>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as CCCC111)"
    )
    assert known.trace(first) == "T"
    assert not postfix.delivers(first)
    second = postfix.read(
        "2026-11-23T10:00:01.123456+00:00 mail postfix/smtp[9]: CCCC111: to=<a@b.example>, relay=mx[192.0.2.1]:25, delay=1, dsn=2.0.0, status=sent (250 ok)"
    )
    assert known.trace(second) == "T"
    assert postfix.delivers(second)
