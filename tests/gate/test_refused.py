"""Mail that is refused before there is a message: reply and log have the same trace, so that who asks can be told."""

from dataclasses import replace
from ipaddress import ip_network

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


@pytest.mark.attack(63)
async def test_a_client_that_may_not_relay_is_in_the_log_where_nobody_can_log_in(tmp_path):
    """A network that was forgotten in `trusted`: its application hears 550, and the operator finds out why."""
    stranger = replace(TRUSTED, trusted=(ip_network("192.0.2.0/24"),))
    async with NextHop() as hop, gate(tmp_path, hop, listener=stranger) as whole, await whole.client() as client:
        await client.say("EHLO client.example.org")
        said = [await client.say("MAIL FROM:<bounces@example.org>") for _ in range(20)]
        told = whole.told.of("refused")
    assert [one["reply"] for one in told] == [*said[:19], told[-1]["reply"]]
    assert said[0].startswith("550 5.7.1 relaying is not allowed from your address (")
    assert (told[0]["at"], told[0]["client"], told[0]["user"]) == ("mail", "127.0.0.1", "")
    assert said[-1].startswith("421 4.7.0 too many errors"), "and a log has an end"
