"""TLS, AUTH and who may say who a client is, over real sockets (attacks 21 to 24, 26, 28, 29, 68)."""

import asyncio
import base64
import os
import ssl
from ipaddress import ip_network
from pathlib import Path

import pytest

from delivcheck.gate.ports import Unready
from delivcheck.gate.reply import Reply
from delivcheck.gate.settings import Certificate, Kind, Limits
from delivcheck.gate.smtp.limits import Patience
from delivcheck.gate.smtp.tls import BadCertificate, Contexts, context

from .support import EVERYONE, QUICK, Recorder, certificate, gate, issue, listener, running, trusting
from .test_driver import MESSAGE, drive, until

PASSWORD = base64.b64encode(b"\0ann\0secret").decode()
WRONG = base64.b64encode(b"\0ann\0hunter2").decode()
USERS = gate(users=Path("users"))


def submission(kind: Kind = Kind.SUBMISSION, **more):
    return listener(kind, **{"trusted": (), "certificate": certificate(), **more})


# --- STARTTLS --------------------------------------------------------------------------------------------------------


@pytest.mark.attack(21, 22)
@drive
async def test_what_was_said_before_tls_is_forgotten():
    async with running(listener(certificate=certificate())) as one:
        talker = await one.client()
        assert "STARTTLS" in await talker.hello()
        await talker.start_tls()
        assert (await talker.say("MAIL FROM:<a@example.com>")).startswith("503 5.5.1")
        assert "STARTTLS" not in await talker.hello()
        assert (await talker.say("STARTTLS")).startswith("503")
        await talker.begin()
        assert await talker.say(MESSAGE + b".") == "250 2.0.0 taken"
        assert one.handler.clients[0].protocol == "ESMTPS"
        assert one.handler.clients[0].tls == "TLSv1.3"


@pytest.mark.attack(21)
@pytest.mark.parametrize("together", [True, False])
@drive
async def test_commands_put_behind_starttls_are_never_heard(together: bool):
    injected = b"EHLO evil\r\nMAIL FROM:<evil@example.com>\r\n"
    async with running(listener(certificate=certificate())) as one:
        talker = await one.client()
        await talker.hello()
        if together:
            await talker.send(b"STARTTLS\r\n" + injected)
            assert (await talker.end()).startswith("554 5.5.0")
        else:
            assert (await talker.say("STARTTLS")).startswith("220")
            await talker.send(injected)
            talker.writer.write_eof()
            async with asyncio.timeout(10):
                await talker.reader.read()
        await one.idle()
        assert one.handler.names() == ["extensions"]


@pytest.mark.attack(24)
@drive
async def test_implicit_tls_offers_no_starttls_and_serves():
    async with running(submission(Kind.SUBMISSIONS), USERS) as one:
        reader, writer = await asyncio.open_connection(*one.address, ssl=trusting())
        assert (await reader.readline()).startswith(b"220 ")
        from .support import Talker

        talker = Talker(reader, writer)
        one.talkers.append(talker)
        said = await talker.hello()
        assert "STARTTLS" not in said
        assert "AUTH PLAIN LOGIN" in said
        assert (await talker.say("STARTTLS")).startswith("503")
        assert (await talker.say("MAIL FROM:<a@example.com>")).startswith("530 5.7.0")
        assert (await talker.say(f"AUTH PLAIN {PASSWORD}")).startswith("235")
        await talker.begin()
        assert await talker.say(MESSAGE + b".") == "250 2.0.0 taken"
        assert one.handler.clients[0].protocol == "ESMTPSA"


@pytest.mark.attack(28)
@pytest.mark.parametrize("implicit", [True, False])
@drive
async def test_a_handshake_that_never_comes_to_its_end_is_given_up(implicit: bool):
    patience = Patience(handshake=0.2, linger=0.1)
    async with running(submission(Kind.SUBMISSIONS if implicit else Kind.SUBMISSION), USERS, patience=patience) as one:
        talker = await one.client(greeting=not implicit)
        if not implicit:
            await talker.hello()
            await talker.say("STARTTLS")
        await talker.send(b"\x16\x03\x01")
        assert await talker.end() == ""
        await one.idle()
        assert one.server.load.connections == 0


async def s_client(one, *arguments: str, first: tuple[tuple[str, str], ...] = ()) -> tuple[int, str]:
    """OpenSSL's own client, which says QUIT at last; `first`: what must have been shown before it says what."""
    host, port = one.address
    command = ["openssl", "s_client", "-connect", f"{host}:{port}", "-starttls", "smtp", "-crlf", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "OPENSSL_CONF": "/dev/null"},
    )  # fmt: skip
    output = b""
    try:
        async with asyncio.timeout(20):
            for shown, line in first:
                while shown.encode() not in output:
                    more = await process.stdout.read(4_096)
                    assert more, output
                    output += more
                process.stdin.write(f"{line}\n".encode())
            rest, _ = await process.communicate(None if first else b"QUIT\n")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, (output + rest).decode("utf-8", "replace")


@pytest.mark.attack(28)
@drive
async def test_openssl_speaks_tls_1_2_and_later_and_nothing_before():
    async with running(listener(certificate=certificate())) as one:
        for version, name in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
            code, output = await s_client(one, version, "-ign_eof")
            assert code == 0, output
            assert name in output
            assert "221 2.0.0" in output
        for version in ("-tls1", "-tls1_1"):
            code, output = await s_client(one, version, "-cipher", "DEFAULT@SECLEVEL=0")
            assert code != 0
            assert "Cipher is (NONE)" in output


@pytest.mark.attack(28)
@drive
async def test_openssl_cannot_renegotiate():
    async with running(listener(certificate=certificate())) as one:
        _, output = await s_client(
            one, "-tls1_2", first=(("250 STARTTLS", "NOOP"), ("250 2.0.0 Ok", "R"), ("RENEGOTIATING", "NOOP"))
        )
        before, there, after = output.partition("RENEGOTIATING")
        assert there
        assert "250 2.0.0 Ok" in before
        assert "250 2.0.0 Ok" not in after


@drive
async def test_a_renewed_certificate_is_used_and_a_broken_one_leaves_the_old(tmp_path: Path):
    files = issue(tmp_path, "old.example")
    events = []
    async with running(listener(certificate=files)) as one:

        async def presented() -> bytes:
            talker = await one.client()
            await talker.hello()
            await talker.start_tls()
            return talker.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)

        first = await presented()
        assert await presented() == first
        issue(tmp_path, "new.example")
        second = await presented()
        assert second != first
        files.chain.write_text("nonsense")
        assert await presented() == second
        assert await presented() == second
        events = [fields for event, fields in one.events if event == "fault"]
        assert len(events) == 1
        assert "chain.pem" in events[0]["reason"]
        issue(tmp_path, "newer.example")
        assert await presented() not in {first, second}


def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path):
    good = issue(tmp_path)
    for chain, key, named in (
        (tmp_path / "no.pem", good.key, "no.pem"),
        (good.chain, tmp_path / "no.key", "no.key"),
        (good.key, good.key, "key.pem"),
        (tmp_path, good.key, str(tmp_path)),
    ):
        with pytest.raises(BadCertificate, match=named):
            context(Certificate(chain, key))
        with pytest.raises(BadCertificate):
            Contexts().get(Certificate(chain, key))
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(BadCertificate, match="the certificate and the key do not belong together: "):
        context(Certificate(good.chain, issue(other).key))


# --- AUTH ------------------------------------------------------------------------------------------------------------


@pytest.mark.attack(23)
@drive
async def test_no_password_is_ever_asked_for_in_the_clear():
    async with running(submission(), USERS) as one:
        talker = await one.client()
        assert "AUTH" not in await talker.hello()
        for line in (f"AUTH PLAIN {PASSWORD}", "AUTH LOGIN", "auth plain"):
            assert (await talker.say(line)).startswith("538 5.7.11")
        assert (await talker.say("MAIL FROM:<a@example.com>")).startswith("530 5.7.0")
        assert "authenticate" not in one.handler.names()


@drive
async def test_a_unix_socket_needs_no_tls_for_a_password(tmp_path: Path):
    async with running(listener(Kind.SUBMISSION, trusted=()), USERS, path=tmp_path / "socket") as one:
        talker = await one.client()
        assert "AUTH PLAIN LOGIN" in await talker.hello()
        assert (await talker.say("MAIL FROM:<a@example.com>")).startswith("530 5.7.0")
        assert (await talker.say(f"AUTH PLAIN {PASSWORD}")).startswith("235")
        await talker.begin()
        assert one.handler.clients[0].credential.name == "ann"
        assert one.handler.clients[0].protocol == "ESMTPA"


@pytest.mark.attack(26, 68)
@drive
async def test_guessing_ends_with_421_and_no_password_is_told_anyone():
    async with running(submission(), USERS) as one:
        talker = await one.client()
        await talker.hello()
        await talker.start_tls()
        await talker.hello()
        said = [await talker.say(f"AUTH PLAIN {WRONG}") for _ in range(3)]
        assert [line[:9] for line in said] == ["535 5.7.8", "535 5.7.8", "421 4.7.0"]
        assert await talker.end() == ""
        await one.idle()
        auths = [fields for event, fields in one.events if event == "auth"]
        assert [(fields["user"], fields["ok"]) for fields in auths] == [("ann", False)] * 3
        assert "hunter2" not in repr(one.events)
        assert WRONG not in repr(one.events)


@pytest.mark.attack(68)
@drive
async def test_a_fault_while_logging_in_tells_no_password():
    async def boom(user, password):
        raise RuntimeError(f"bad: {password}")

    async with running(submission(), USERS, make=lambda: Recorder(hooks={"authenticate": boom})) as one:
        talker = await one.client()
        await talker.hello()
        await talker.start_tls()
        await talker.hello()
        assert (await talker.say(f"AUTH PLAIN {WRONG}")).startswith("451 4.3.0")
        (fault,) = [fields for event, fields in one.events if event == "fault"]
        assert fault["reason"] == "RuntimeError"
        assert "hunter2" not in repr(one.events)


@drive
async def test_a_users_file_that_cannot_be_read_is_no_wrong_password():
    async def unready(user, password):
        raise Unready(Reply(454, "4.7.0", "later"))

    async with running(submission(), USERS, make=lambda: Recorder(hooks={"authenticate": unready})) as one:
        talker = await one.client()
        await talker.hello()
        await talker.start_tls()
        await talker.hello()
        for _ in range(5):
            assert await talker.say(f"AUTH PLAIN {PASSWORD}") == "454 4.7.0 later"


@pytest.mark.attack(26)
@drive
async def test_the_delay_after_a_wrong_password_holds_nobody_else_up():
    async with running(submission(), USERS, patience=Patience(auth=60, linger=0.1)) as one:
        guesser, other = await one.client(), await one.client()
        for talker in (guesser, other):
            await talker.hello()
            await talker.start_tls()
            await talker.hello()
        await guesser.send(f"AUTH PLAIN {WRONG}\r\n".encode())
        await until(lambda: any(event == "auth" for event, _ in one.events))
        assert (await other.say(f"AUTH PLAIN {PASSWORD}")).startswith("235")
        with pytest.raises(TimeoutError):  # and the one who guessed still waits
            async with asyncio.timeout(0.1):
                await guesser.reader.read(1)


@pytest.mark.attack(28, 48)
@drive
async def test_handshakes_that_are_not_finished_take_no_more_places_than_one_client_may_have():
    limits = Limits(connections_per_client=3)
    patience = Patience(handshake=0.3, linger=0.1)
    settings = gate(limits, users=Path("users"))
    async with running(submission(Kind.SUBMISSIONS), settings, patience=patience) as one:
        halves = [await one.client(greeting=False) for _ in range(3)]
        for half in halves:
            await half.send(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a ClientHello
        await until(lambda: one.server.load.connections == 3)
        late = await one.client(greeting=False)
        await late.end()
        assert one.server.load.connections == 3, "there is no fourth place"
        for half in halves:
            assert await half.end() == ""
        await until(lambda: one.server.load.connections == 0)
        reader, writer = await asyncio.open_connection(*one.address, ssl=trusting())
        assert (await reader.readline()).startswith(b"220 ")
        writer.close()


# --- who says who a client is ------------------------------------------------------------------------------------------

DOCUMENTATION = (ip_network("192.0.2.0/24"),)


@pytest.mark.attack(29)
@drive
async def test_proxy_from_a_listed_peer_is_believed():
    async with running(listener(proxy=EVERYONE, trusted=DOCUMENTATION)) as one:
        for address, answer in (("192.0.2.7", "250"), ("198.51.100.1", "530")):
            talker = await one.client(greeting=False)
            await talker.send(f"PROXY TCP4 {address} 192.0.2.9 4711 25\r\n".encode())
            assert (await talker.reply()).startswith("220")
            await talker.hello()
            assert (await talker.say("MAIL FROM:<a@example.com>")).startswith(answer)
        assert (one.handlers[0].clients[0].port, str(one.handlers[0].clients[0].ip)) == (4711, "192.0.2.7")


@pytest.mark.attack(29)
@drive
async def test_proxy_in_the_same_segment_as_a_tls_handshake_leaves_the_handshake_alone():
    async with running(submission(Kind.SUBMISSIONS, proxy=EVERYONE), USERS) as one:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = trusting().wrap_bio(incoming, outgoing)
        talker = await one.client(greeting=False)
        before = b"PROXY TCP4 192.0.2.7 192.0.2.9 4711 25\r\n"
        async with asyncio.timeout(10):
            while True:
                try:
                    banner = tls.read(100)
                    break
                except ssl.SSLWantReadError:
                    await talker.send(before + outgoing.read())
                    before = b""
                    incoming.write(await talker.reader.read(65_536))
        assert banner.startswith(b"220 ")


@pytest.mark.attack(29)
@pytest.mark.parametrize("said", [b"EHLO client.example\r\n", b"PROXY TCP4 nonsense\r\n\r\n\r\n\r\n", b"PROXY UNKN", b""])
@drive
async def test_a_listed_peer_without_a_proxy_header_is_hung_up_on(said: bytes):
    async with running(listener(proxy=EVERYONE), patience=Patience(proxy=0.1)) as one:
        talker = await one.client(greeting=False)
        await talker.send(said)
        assert await talker.end() == ""
        assert one.handlers == []


@pytest.mark.attack(29)
@drive
async def test_proxy_from_any_other_peer_is_talk_before_its_turn():
    async with running(listener(proxy=DOCUMENTATION)) as one:
        talker = await one.client(greeting=False)
        await talker.send(b"PROXY TCP4 192.0.2.7 192.0.2.9 4711 25\r\n")
        assert "250" not in await talker.end()
        assert one.handler.calls == []


@pytest.mark.attack(29)
@drive
async def test_xclient_of_a_listed_peer_makes_it_another_client():
    async with running(listener(xclient=EVERYONE)) as one:
        talker = await one.client()
        await talker.hello()
        assert (await talker.say("XCLIENT ADDR=198.51.100.1 PORT=99 HELO=c.example")).startswith("220")
        assert (await talker.say("MAIL FROM:<a@example.com>")).startswith("503")
        await talker.hello()
        # That client is in no trusted network
        assert (await talker.say("MAIL FROM:<a@example.com>")).startswith("530")
        assert (await talker.say("XCLIENT ADDR=[UNAVAILABLE]")).startswith("220")
        await talker.hello()
        assert (await talker.say("MAIL FROM:<a@example.com>")).startswith("530")
        assert (await talker.say("XCLIENT ADDR=127.0.0.1")).startswith("220")
        await talker.hello()
        assert (await talker.say("MAIL FROM:<a@example.com>")).startswith("250")
        assert [str(client.ip) for client in one.handler.clients if client.credential is not None] == ["127.0.0.1"]


@pytest.mark.attack(29)
@pytest.mark.parametrize("bad", ["ADDR=nonsense", "ADDR=127.1", "PORT=x", "ADDR=IPV6:fe80::1+25eth0 PORT=999999"])
@drive
async def test_xclient_with_nonsense_changes_nothing(bad: str):
    async with running(listener(xclient=EVERYONE)) as one:
        talker = await one.client()
        await talker.hello()
        assert (await talker.say(f"XCLIENT {bad}")).startswith("501 5.5.4")
        assert (await talker.say("MAIL FROM:<a@example.com>")).startswith("250")
        assert str(one.handler.clients[0].ip).startswith("127.")


@pytest.mark.attack(29)
@drive
async def test_xforward_of_a_listed_peer_holds_for_one_transaction():
    async with running(listener(xforward=EVERYONE)) as one:
        talker = await one.client()
        await talker.hello()
        for name in ("one", None, "two"):
            if name:
                assert (await talker.say(f"XFORWARD NAME={name} ADDR=192.0.2.1")).startswith("250")
                assert (await talker.say("XFORWARD SOURCE=REMOTE")).startswith("250")
            await talker.begin()
            assert await talker.say(MESSAGE + b".") == "250 2.0.0 taken"
        forwarded = [client.forwarded for client in one.handler.clients]
        assert forwarded == [
            {"NAME": "one", "ADDR": "192.0.2.1", "SOURCE": "REMOTE"}, {}, {"NAME": "two", "ADDR": "192.0.2.1", "SOURCE": "REMOTE"},
        ]  # fmt: skip


@pytest.mark.attack(29)
@drive
async def test_who_is_not_listed_may_say_neither():
    async with running(listener(xclient=DOCUMENTATION, xforward=DOCUMENTATION), patience=QUICK) as one:
        talker = await one.client()
        said = await talker.hello()
        assert "XCLIENT" not in said
        assert "XFORWARD" not in said
        assert (await talker.say("XCLIENT ADDR=192.0.2.7")).startswith("550 5.7.0")
        assert (await talker.say("XFORWARD ADDR=192.0.2.7")).startswith("550 5.7.0")
