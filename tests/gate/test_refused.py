"""Mail that is refused before there is a message: reply and log have the same trace, so that who asks can be told."""

from dataclasses import replace

import pytest

from delivcheck.gate.serve.log import Level, level_of
from delivcheck.gate.settings import Address, CredentialSettings, Security
from delivcheck.gate.settings import NextHop as Hop
from tests.gate.next_hop import NextHop
from tests.gate.whole import TRUSTED, gate


@pytest.mark.parametrize(
    ("listener", "domains", "says", "at", "begins"),
    [
        (replace(TRUSTED, credential="shop"), "*", {}, "mail", "550 5.7.1 shop may not send as bounces@example.org"),
        (TRUSTED, "example.com", {}, "rcpt", "550 5.7.1 there is no next hop for this recipient"),
        (TRUSTED, "*", {"RCPT": "550 5.1.1 no such user"}, "rcpt", "550 5.1.1 no such user"),
        (TRUSTED, "*", {"MAIL": "451 4.3.0 later"}, "rcpt", "451 4.3.0 later"),
    ],
    ids=["sender", "no next hop", "the next hop's own", "the next hop, of MAIL"],
)
async def test_a_refused_command_is_in_the_log_at_the_default_level(tmp_path, listener, domains, says, at, begins):
    credentials = {"shop": CredentialSettings(domains=("example.com",))}
    async with NextHop(says=says) as there:
        hop = Hop("hop", Address(host=there.host, port=there.port), security=Security.NONE, domains=(domains,))
        async with gate(tmp_path, there, listener=listener, hops=(hop,), credentials=credentials) as whole:
            replies = await whole.send(b"")
            (told,) = whole.told.of("refused")
    assert replies[-1].startswith(begins)
    assert (told["at"], told["reply"], told["client"]) == (at, replies[-1], "127.0.0.1")
    assert told["address"] == ("bounces@example.org" if at == "mail" else "pat@example.net")
    assert told["trace"] in "".join(replies)
    assert level_of("refused", told) is Level.WARNING
