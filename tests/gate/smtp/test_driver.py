"""The driver over real sockets: messages, faults, clients that go away, going down (attacks 5, 12, 48, 49, 61, 68)."""

import asyncio
import contextlib
import smtplib
import socket
import struct
from pathlib import Path

import pytest

from delivcheck.gate.model import Client
from delivcheck.gate.ports import Unready
from delivcheck.gate.reply import Reply
from delivcheck.gate.settings import CredentialSettings, Kind, Limits
from delivcheck.gate.smtp.limits import Patience

from .support import OK, Recorder, gate, listener, running

MESSAGE = b"From: a@example.com\r\nTo: b@example.net\r\nSubject: hi\r\n\r\nHello\r\n"


def drive(test):
    """Run a test that is a coroutine."""

    def run(*arguments, **names):
        asyncio.run(test(*arguments, **names))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    run.__signature__ = __import__("inspect").signature(test)
    return run


async def until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 -- what is waited for has no event
            await asyncio.sleep(0.005)


# --- messages --------------------------------------------------------------------------------------------------------


@drive
async def test_a_message_goes_through_with_every_call_in_its_order():
    async with running() as one:
        talker = await one.client()
        await talker.hello()
        await talker.begin()
        assert await talker.say(MESSAGE + b".") == "250 2.0.0 taken"
        assert (await talker.say("QUIT")).startswith("221")
        assert await talker.end() == ""
        await one.idle()
        assert one.handler.names() == ["extensions", "mail", "rcpt", "message", "replied"]
        assert one.handler.calls[-1] == ("replied", True)
        assert one.messages()[0][2] == MESSAGE
        assert [fields["what"] for event, fields in one.events if event == "connection"] == ["open", "close"]
        assert one.server.load.connections == one.server.load.octets == 0


@drive
async def test_large_messages_come_through_to_the_last_octet():
    async with running() as one:
        talker = await one.client()
        await talker.hello()
        body = b"Subject: x\r\n\r\n" + b"".join(b"%d " % number + b"." * (number % 990) + b"\r\n" for number in range(20_000))
        stuffed = body.replace(b"\r\n.", b"\r\n..")
        await talker.begin()
        assert await talker.say(stuffed + b".") == "250 2.0.0 taken"
        await talker.send(b"MAIL FROM:<>\r\nRCPT TO:<b@example.net>\r\nBDAT %d LAST\r\n%b" % (len(body), body))
        assert [await talker.reply() for _ in range(3)][2] == "250 2.0.0 taken"
        assert [octets for _, _, octets in one.messages()] == [body, body]


@drive
async def test_lmtp_over_a_unix_socket_has_a_reply_for_each_recipient(tmp_path: Path):
    async with running(listener(Kind.LMTP, trusted=()), path=tmp_path / "lmtp.sock") as one:
        talker = await one.client()
        assert (await talker.say("LHLO c")).startswith("250")
        await talker.begin("1@example.net", "2@example.net")
        assert await talker.say(MESSAGE + b".") == "250 2.0.0 taken 1@example.net"
        assert await talker.reply() == "250 2.0.0 taken 2@example.net"
        assert one.handler.clients[0].ip is None
        assert one.handler.clients[0].protocol == "LMTP"


@drive
async def test_smtplib_can_send_through_it():
    async with running() as one:

        def send() -> None:
            with smtplib.SMTP(*one.address) as client:
                client.sendmail("a@example.com", ["b@example.net", "c@example.net"], MESSAGE)
                client.sendmail("a@example.com", ["d@example.net"], MESSAGE)

        await asyncio.to_thread(send)
        await one.idle()
        assert [len(rcpts) for _, rcpts, _ in one.messages()] == [2, 1]


@drive
async def test_a_trusted_network_has_the_listeners_credential_and_nobody_else_has():
    settings = gate(credentials={"app": CredentialSettings(("example.com",), ("news",), ("bulk",), may_declare=True)})
    for trusted in (True, False):
        more = {} if trusted else {"trusted": ()}
        async with running(listener(credential="app", **more), settings) as one:
            talker = await one.client()
            await talker.hello()
            said = await talker.say("MAIL FROM:<a@example.com>")
            assert said.startswith("250" if trusted else "530 5.7.0")
            if trusted:
                credential = one.handler.clients[0].credential
                assert (credential.name, credential.domains, credential.may_declare) == ("app", ("example.com",), True)
            else:
                assert (await talker.say("RCPT TO:<b@example.com>")).startswith("503"), (
                    "a handler that says yes changes nothing"
                )
                assert one.handler.names() == ["extensions", "mail"]
                assert [client.credential for client in one.handler.clients] == [None]


# --- faults of ours --------------------------------------------------------------------------------------------------


async def boom(*_):
    raise RuntimeError("secret detail\r\n250 injected")


@pytest.mark.parametrize("where", ["extensions", "mail", "rcpt", "message"])
@drive
async def test_a_fault_is_later_and_never_told(where: str):
    async with running(make=lambda: Recorder(hooks={where: boom})) as one:
        talker = await one.client(greeting=False)
        said = [await talker.reply()]
        for line in (b"EHLO c", b"MAIL FROM:<a@example.com>", b"RCPT TO:<b@example.net>", b"DATA", MESSAGE + b"."):
            said.append(await talker.say(line))
            if said[-1][0] not in "23":
                break
        assert said[-1].startswith("451 4.3.0")
        assert "secret" not in "".join(said)
        (fault,) = [fields for event, fields in one.events if event == "fault"]
        assert where in fault["where"]
        assert "secret detail" in fault["reason"]
        if where == "message":
            assert one.handler.names()[-2:] == ["message", "reset"]
            assert (await talker.say("NOOP")).startswith("250")


@pytest.mark.parametrize("where", ["extensions", "mail", "rcpt", "message"])
@drive
async def test_what_is_not_ready_says_its_own_reply(where: str):
    async def unready(*_):
        raise Unready(Reply(450, "4.4.1", "no next hop"))

    async with running(make=lambda: Recorder(hooks={where: unready})) as one:
        talker = await one.client()
        for line in (b"EHLO c", b"MAIL FROM:<a@example.com>", b"RCPT TO:<b@example.net>", b"DATA", MESSAGE + b"."):
            said = await talker.say(line)
            if said[0] not in "23":
                break
        assert said == "450 4.4.1 no next hop"
        assert not [one for one in one.events if one[0] == "fault"]


# --- clients that go away ----------------------------------------------------------------------------------------------


def waiting() -> tuple[Recorder, asyncio.Event, asyncio.Event]:
    """A handler whose `message` begins and waits."""
    begun, go = asyncio.Event(), asyncio.Event()

    async def message(_):
        begun.set()
        await go.wait()
        return [OK]

    return Recorder(hooks={"message": message}), begun, go


@pytest.mark.attack(49)
@pytest.mark.parametrize("how", ["reset", "close"])
@drive
async def test_a_message_is_finished_when_its_client_is_gone_and_the_handler_knows(how: str):
    handler, begun, go = waiting()
    async with running(make=lambda: handler) as one:
        talker = await one.client()
        await talker.hello()
        await talker.begin()
        await talker.send(MESSAGE + b".\r\n")
        await begun.wait()
        if how == "reset":
            sock = talker.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            talker.writer.transport.abort()
        else:
            await talker.close()
        await until(lambda: handler.names()[-1] == "gone")
        go.set()
        await one.idle()
        assert handler.calls[-1] == ("replied", False)
        assert len(handler.messages) == 1


@pytest.mark.attack(49)
@drive
async def test_a_client_that_only_closed_its_half_hears_the_answer():
    handler, begun, go = waiting()
    async with running(make=lambda: handler) as one:
        talker = await one.client()
        await talker.hello()
        await talker.begin()
        await talker.send(MESSAGE + b".\r\nQUIT\r\n")
        talker.writer.write_eof()
        await begun.wait()
        await asyncio.sleep(0.02)
        go.set()
        assert await talker.end() == "250 2.0.0 Ok\r\n221 2.0.0 goodbye\r\n"
        await one.idle()
        assert handler.calls[-1] == ("replied", True)


@pytest.mark.attack(49)
@pytest.mark.parametrize("half", [True, False])
@drive
async def test_a_client_may_go_after_any_part_of_the_dialogue(half: bool):
    parts = [
        b"EH",
        b"LO c\r\n",
        b"MAIL FROM:<a@example.com>\r",
        b"\nRCPT TO:<b@example.net>\r\n",
        b"DATA\r\n",
        b"Subject: x\r\n",
        b"\r\nx\r\n.",
        b"\r\n",
    ]
    async with running() as one:
        for count in range(len(parts) + 1):
            talker = await one.client()
            for part in parts[:count]:
                await talker.send(part)
                if part in {parts[1], parts[3], parts[4], parts[7]}:
                    await talker.reply()
                    if part == parts[3]:
                        await talker.reply()
            if half:
                talker.writer.write_eof()
                await talker.end()
            await talker.close()
            await one.idle()
            names = one.handler.names()
            assert names.count("message") == (count == 8)
            opened = names.count("mail") == 1
            assert names.count("reset") == (opened and count < 8)
        assert one.server.load.connections == one.server.load.octets == one.server.connections == 0
        assert not [one for one in one.events if one[0] == "fault"]


@drive
async def test_while_the_handler_works_the_client_waits_in_its_own_memory():
    handler, begun, go = waiting()
    async with running(make=lambda: handler) as one:
        talker = await one.client()
        await talker.hello()
        await talker.begin()
        await talker.send(MESSAGE + b".\r\n")
        await begun.wait()
        talker.writer.write(b"NOOP " + b"x" * 20_000_000)
        await asyncio.sleep(0.2)
        (connection,) = one.server._open
        assert connection._session.pending < 600_000
        go.set()
        assert await talker.reply() == "250 2.0.0 Ok"


@drive
async def test_replies_that_nobody_reads_are_not_piled_up():
    async def long(_):
        return Reply(250, "2.0.0", "x" * 1_900)

    async with running(settings=gate(Limits(recipients=100_000)), make=lambda: Recorder(hooks={"rcpt": long})) as one:
        talker = await one.client()
        talker.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        await talker.hello()
        await talker.say("MAIL FROM:<a@example.com>")
        talker.writer.transport.pause_reading()
        for _ in range(80):
            talker.writer.write(b"RCPT TO:<b@example.net>\r\n" * 100)
        (connection,) = one.server._open
        await until(lambda: connection._full)
        await asyncio.sleep(0.05)
        assert connection._transport.get_write_buffer_size() < 300_000
        connection.abort()


# --- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.attack(48)
@drive
async def test_above_the_cap_clients_hear_421_and_below_it_they_are_served_again():
    async with running(settings=gate(Limits(connections=3))) as one:
        talkers = [await one.client() for _ in range(3)]
        for _ in range(5):
            turned_away = await one.client(greeting=False)
            assert (await turned_away.end()).startswith("421 4.3.2")
        await talkers[0].say("QUIT")
        await until(lambda: one.server.load.connections == 2)
        assert (await (await one.client()).hello()).startswith("250")


@pytest.mark.attack(48)
@drive
async def test_one_client_cannot_take_all_connections():
    async with running(settings=gate(Limits(connections_per_client=2))) as one:
        talkers = [await one.client() for _ in range(2)]
        turned_away = await one.client(greeting=False)
        assert (await turned_away.end()).startswith("421 4.7.0")
        await talkers[0].say("QUIT")
        await until(lambda: one.server.load.connections == 1)
        await one.client()


@drive
async def test_networks_that_are_not_listed_may_not_connect():
    from ipaddress import ip_network

    async with running(listener(networks=(ip_network("192.0.2.0/24"),))) as one:
        assert (await (await one.client(greeting=False)).end()).startswith("554 5.7.1")
        assert one.handlers == []


@pytest.mark.attack(12)
@drive
async def test_who_talks_before_the_banner_is_hung_up_on():
    async with running() as one:
        sock = socket.create_connection(one.address)
        sock.sendall(b"EHLO c\r\n")  # the server's loop, which is this one, has not run since
        talker = await one.client(greeting=False, sock=sock)
        assert (await talker.end()).startswith("554 5.5.0")
        await one.idle()
        assert one.handler.names() == []


@pytest.mark.attack(13)
@drive
async def test_a_browser_is_hung_up_on_and_reads_why():
    async with running() as one:
        talker = await one.client()
        await talker.send(b"POST / HTTP/1.1\r\nHost: gate.example\r\n\r\n" + b"MAIL FROM:<a@example.com>\r\n" * 1_000)
        assert (await talker.end()).startswith("421 4.7.0")


@pytest.mark.attack(47)
@drive
async def test_a_command_that_comes_octet_by_octet_ends_with_421():
    async with running(patience=Patience(command=0.3)) as one:
        talker = await one.client()
        await talker.hello()
        await talker.send(b"NO")
        for octet in b"OPOPOPOPOPOPOPOPOPOP":
            await asyncio.sleep(0.02)
            with contextlib.suppress(ConnectionError):
                await talker.send(bytes([octet]))
        assert (await talker.end()).startswith("421 4.4.2")


@pytest.mark.attack(47)
@pytest.mark.parametrize(
    "patience", [Patience(data=0.2, linger=0.1), Patience(window=0.2, rate=1_000, linger=0.1)], ids=["silent", "slow"]
)
@drive
async def test_a_message_that_does_not_come_on_ends_with_421(patience: Patience):
    async with running(patience=patience) as one:
        talker = await one.client()
        await talker.hello()
        await talker.begin()
        for _ in range(8):
            if patience.data > 1:
                await talker.send(b"x")
            await asyncio.sleep(0.02)
        assert (await talker.end()).startswith("421 4.4.2")
        await one.idle()
        assert one.handler.names()[-1] == "reset"


@pytest.mark.attack(47)
@drive
async def test_a_message_that_comes_fast_enough_takes_as_long_as_it_takes():
    async with running(patience=Patience(command=0.2, window=0.1, rate=1_000)) as one:
        talker = await one.client()
        await talker.hello()
        await talker.begin()
        for _ in range(30):
            await talker.send(b"x" * 98 + b"\r\n")
            await asyncio.sleep(0.02)
        assert await talker.say(".") == "250 2.0.0 taken"


@drive
async def test_the_clients_clock_stands_still_while_the_handler_works():
    async def slow(_):
        await asyncio.sleep(0.4)

    async with running(make=lambda: Recorder(hooks={"message": slow}), patience=Patience(command=0.2, data=0.2)) as one:
        talker = await one.client()
        await talker.hello()
        await talker.begin()
        assert await talker.say(MESSAGE + b".") == "250 2.0.0 taken"


@pytest.mark.attack(47)
@drive
async def test_idle_clients_do_not_keep_new_ones_out(soak: bool):
    async with running(settings=gate(Limits(connections_per_client=10_000))) as one:
        await asyncio.gather(*(one.client() for _ in range(1_000 if soak else 200)))
        talker = await one.client()
        await talker.hello()
        await talker.begin()
        assert await talker.say(MESSAGE + b".") == "250 2.0.0 taken"


# --- going down ------------------------------------------------------------------------------------------------------


@pytest.mark.attack(61)
@drive
async def test_going_down_lets_messages_finish_and_says_421_to_all_others():
    handler, begun, go = waiting()
    made = iter([handler])
    async with running(make=lambda: next(made, None) or Recorder()) as one:
        busy = await one.client()
        await busy.hello()
        await busy.begin()
        await busy.send(MESSAGE + b".\r\n")
        await begun.wait()
        idle, typing, sending = await one.client(), await one.client(), await one.client()
        await typing.send(b"EHL")
        await sending.hello()
        await sending.begin()
        await sending.send(b"Subject: x\r\n")
        await asyncio.sleep(0.02)
        one.server.drain()
        assert (await idle.end()).startswith("421 4.3.2")
        assert (await typing.end()).startswith("421 4.3.2")
        assert await sending.say(".") == "250 2.0.0 taken"
        assert (await sending.end()).startswith("421 4.3.2")
        await until(lambda: one.server.connections == 1)
        late = await one.client(greeting=False)
        assert (await late.end()).startswith("421 4.3.2")
        go.set()
        said = await busy.end()
        assert said.startswith("250 2.0.0 Ok\r\n421 4.3.2")
        await one.idle()
        assert one.server.connections == 0
        assert handler.calls[-1] == ("replied", True)


@drive
async def test_protocol_names_are_those_of_the_registry():
    async with running() as one:
        talker = await one.client()
        await talker.say("HELO c")
        await talker.say("MAIL FROM:<a@example.com>")
        await talker.hello()
        await talker.say("MAIL FROM:<a@example.com>")
        await talker.say("RSET")
        await talker.say("MAIL FROM:<ü@example.com> SMTPUTF8")
        assert [client.protocol for client in one.handler.clients] == ["SMTP", "ESMTP", "UTF8SMTP"]
        assert isinstance(one.handler.clients[0], Client)
