"""What idle connections cost (attack 47)."""

import asyncio
import gc
import sys
from pathlib import Path

import pytest

from delivcheck.gate.settings import Limits

from .support import certificate, gate, listener, running
from .test_driver import drive

MOST = 50_000  # octets for each idle connection

CLIENTS = """
import socket, ssl, sys
host, port, count, tls = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "tls"
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
held = []
for _ in range(count):
    one = socket.create_connection((host, port))
    one.recv(1000)
    if tls:
        for line in (b"EHLO c\\r\\n", b"STARTTLS\\r\\n"):
            one.sendall(line)
            one.recv(1000)
        one = context.wrap_socket(one)
    one.sendall(b"EHLO c\\r\\n")
    one.recv(1000)
    held.append(one)
print("ready", flush=True)
sys.stdin.read()
"""


def private() -> int:
    """Octets of memory that are this process's own."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:")) * 1024


@pytest.mark.attack(47)
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells what memory is a process's own")
@pytest.mark.parametrize("tls", ["clear", "tls"])
@drive
async def test_a_thousand_idle_connections_cost_little(tls: str, soak: bool):
    count = 1_000 if soak else 100
    settings = gate(Limits(connections=2_000, connections_per_client=2_000))
    async with running(listener(certificate=certificate()), settings) as one:
        talker = await one.client()  # what is made once is no cost of the others
        await talker.hello()
        await talker.start_tls()
        gc.collect()
        before = private()
        host, port = one.address
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CLIENTS, host, str(port), str(count), tls,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(120):
                assert await process.stdout.readline() == b"ready\n"
            gc.collect()
            assert one.server.connections == count + 1
            assert (private() - before) / count < MOST
            again = await one.client()
            assert (await again.hello()).startswith("250")
        finally:
            process.kill()
            await process.wait()
