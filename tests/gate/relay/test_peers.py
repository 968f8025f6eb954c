"""Real servers as next hops: smtp-sink, and Postfix."""

import hashlib
import os
import random
import socket
import subprocess
from functools import partial

import pytest

from delivcheck.gate import settings
from delivcheck.gate.relay.relay import NextHops
from tests.conftest import require
from tests.gate.relay.way import MESSAGE, in_loop, sent
from tests.mta import needs_postfix, postfix, sink
from tests.servers import free_port, loopback, program, running


def answers(host, port):
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


def relay_at(host, port, **more):
    return NextHops([settings.NextHop("hop", settings.Address(host=host, port=port), **more)], "gate.example")


@pytest.mark.attack(3)
@pytest.mark.parametrize("options", [[], ["-e"], ["-p"], ["-8"]], ids=["all", "no esmtp", "no pipelining", "no 8bitmime"])
def test_smtp_sink_gets_every_octet(tmp_path, options):
    require("smtp-sink")
    host = loopback()
    port = free_port(host)
    command = [
        program("smtp-sink"),
        *(("-u", "nobody") if os.geteuid() == 0 else ()),
        *options,
        "-D",
        "%M.",
        f"{host}:{port}",
        "50",
    ]
    folder = tmp_path / "mail"
    folder.mkdir()
    folder.chmod(0o777)
    for one in (tmp_path, *list(tmp_path.parents)[:2]):
        one.chmod(one.stat().st_mode | 0o011)
    random_ = random.Random(3)
    bodies = [b"".join(random_.choice([b".", b"..", b".x", b"", b"y" * 900]) + b"\r\n" for _ in range(30)) for _ in range(20)]

    @in_loop
    async def deliver():
        relay = relay_at(host, port)
        for body in bodies:
            (reply,) = await sent(relay, octets=b"Subject: x\r\n\r\n" + body)
            assert reply.code == 250
        await relay.close()

    with running(
        ["sh", "-c", f"cd {folder} && exec {subprocess.list2cmdline(command)}"], tmp_path / "log", partial(answers, host, port)
    ):
        deliver()
    got = b"\n".join(path.read_bytes() for path in folder.iterdir())
    for body in bodies:  # the sink writes LF line ends
        assert body.replace(b"\r\n", b"\n") in got


@needs_postfix
def test_postfix_takes_our_mail_and_names_it_in_its_reply():
    with sink() as taken, postfix({"default_transport": taken.transport}) as mta:

        @in_loop
        async def deliver():
            relay = relay_at(mta.host, mta.port)
            extensions = await relay.extensions()
            assert extensions.eight_bit
            assert extensions.dsn
            for number in range(3):
                (reply,) = await sent(relay, octets=MESSAGE + f"{number}\r\n.\r\n".encode(), body="8BITMIME")
                assert reply.text.startswith("Ok: queued as ")
            await relay.close()

        deliver()
        bodies = {hashlib.sha256(one.octets.partition(b"\r\n\r\n")[2]).digest() for one in taken.wait(3)}
        wanted = {hashlib.sha256(MESSAGE.partition(b"\r\n\r\n")[2] + f"{n}\r\n.\r\n".encode()).digest() for n in range(3)}
        assert bodies == wanted
