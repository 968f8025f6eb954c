"""A peer that is gone is no fault of ours, at whatever moment it went; what is a fault is told as one."""

import asyncio
import socket
import struct

import pytest

from delivcheck.gate.smtp.connection import Connection

from .support import running
from .test_driver import drive, until

RESET = struct.pack("ii", 1, 0)


def faults(one):
    return [fields for event, fields in one.events if event == "fault"]


@pytest.mark.parametrize("resets", [True, False], ids=["reset", "close"])
@drive
async def test_clients_that_go_in_the_instant_of_a_drain_are_no_faults(resets):
    async with running() as one:
        loop = asyncio.get_running_loop()
        raw = [socket.create_connection(one.address) for _ in range(20)]
        for each in raw:
            each.setblocking(False)
            assert (await loop.sock_recv(each, 100)).startswith(b"220 ")
        for each in raw:
            if resets:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            each.close()
        one.server.drain()  # before the loop has seen that they are gone; the 421 draws a reset from those that closed
        await one.idle()
        assert not faults(one)
        assert one.server.connections == one.server.load.connections == 0


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(107, "Transport endpoint is not connected"), 0),
        (ConnectionResetError(104, "reset"), 0),
        (OSError(5, "Input/output error"), 1),
        (TimeoutError("ours"), 1),
        (KeyError("a bug"), 1),
    ],
    ids=repr,
)
@drive
async def test_only_what_the_clients_socket_says_is_no_fault(monkeypatch, error, told):
    async def fails(_):
        raise error

    monkeypatch.setattr(Connection, "run", fails)
    async with running() as one:
        await one.client(greeting=False)
        await until(lambda: any(fields["what"] == "close" for event, fields in one.events if event == "connection"))
        await one.idle()
        assert len(faults(one)) == told
