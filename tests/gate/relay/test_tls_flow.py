"""Over TLS a message never waits for room that there is: asyncio's flow control there has a corner of its own."""

import pytest

from delivcheck.gate.settings import Security
from tests.gate.next_hop import ALL, NextHop
from tests.gate.relay.test_security import server
from tests.gate.relay.way import in_loop, relay_to, sent
from tests.net.https_server import certificate


@pytest.mark.parametrize("size", [10, 5_000, 1_000_000])
@pytest.mark.parametrize("security", [Security.REQUIRED, Security.IMPLICIT])
@in_loop
async def test_many_messages_over_one_connection_with_tls_all_go_at_once(tmp_path, security, size):
    pem = certificate(tmp_path, ("hop.example",))
    octets = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * (size // 12 + 1)
    implicit = security is Security.IMPLICIT
    async with (
        NextHop(extensions=(*ALL, *(() if implicit else ("STARTTLS",))), tls=server(pem), implicit=implicit) as hop,
        relay_to(hop, security=security, ca_file=pem, server_name="hop.example") as relay,
    ):
        for count in range(1, 4):  # an odd and an even number of looks at the buffer before each
            for extra in range(count):
                [reply] = await sent(relay, *(f"b{number}@rcpt.example" for number in range(extra + 1)), octets=octets)
                assert reply.code == 250
        assert hop.connections == 1
        assert {one.octets for one in hop.messages} == {octets}
