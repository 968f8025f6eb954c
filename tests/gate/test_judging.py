"""The gate's judge: streams, egress addresses, and a key that was published after it had been asked for."""

import os
import signal
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from delivcheck import checker
from delivcheck.gate.judging import Egress, Judge
from delivcheck.gate.missing import Missing
from delivcheck.gate.model import Client, Incoming
from delivcheck.model import MessageClass, Outcome, Verdict
from delivcheck.net import authoritative
from delivcheck.net.dns import Live
from delivcheck.net.lasting import Lasting
from tests import servers
from tests.conftest import require
from tests.gate import world
from tests.keys import sign_example
from tests.soak.gates import all_off


def incoming(octets, **more):
    return Incoming(
        octets,
        more.pop("mail_from", "bounces@example.org"),
        ("pat@example.net",),
        Client(None),
        "T1",
        datetime.now(UTC),
        **more,
    )


def errors(report, outcome=Outcome.FAIL):
    return {one.rule for one in report.results if one.outcome is outcome and one.level == "error"}


def judge(folder, records, ips=(world.IP,), text="", **more):
    egress = Egress(tuple(map(ip_address, ips)), "gate.example.org")
    return Judge(world.configuration(folder, text), Lasting(world.dns(records)), egress, **more)


async def test_a_signed_message_from_our_address_passes(tmp_path):
    octets, records = world.signed()
    found = await judge(tmp_path, records).judge(octets, incoming(octets))
    assert found.report.verdict is Verdict.PASS, errors(found.report) | errors(found.report, Outcome.UNKNOWN)


async def test_spf_is_judged_for_our_egress_address_whoever_the_client_is(tmp_path):
    octets, records = world.signed()
    found = await judge(tmp_path, records, ips=("203.0.113.9",)).judge(octets, incoming(octets))
    assert "spf/not-authorised" in errors(found.report)


async def test_of_several_addresses_the_one_that_fares_worst_is_judged(tmp_path):
    octets, records = world.signed()
    found = await judge(tmp_path, records, ips=(world.IP, "203.0.113.9")).judge(octets, incoming(octets))
    assert "spf/not-authorised" in errors(found.report)


async def test_a_next_hop_that_sends_from_its_own_addresses_is_not_judged_by_ours(tmp_path):
    octets, records = world.signed()
    made = judge(tmp_path, records, ips=("203.0.113.9",))
    made.egress = Egress(made.egress.ips, elsewhere=frozenset({"ses"}))
    found = await made.judge(octets, incoming(octets, next_hop="ses"))
    assert not any(rule.startswith("spf/") for rule in errors(found.report))


async def test_a_stream_has_its_own_policy_and_class(tmp_path):
    octets, records = world.signed()
    text = '[streams.news]\npolicy = "bulk"\nclass = "bulk"\n'
    made = judge(tmp_path, records, text=text)
    assert "unsubscribe/missing" not in errors((await made.judge(octets, incoming(octets))).report)
    found = await made.judge(octets, incoming(octets), "news")
    assert found.report.declared.class_ is MessageClass.BULK
    assert any(rule.startswith("unsubscribe/") for rule in errors(found.report))


async def test_mail_before_its_signer_is_not_asked_for_a_signature(tmp_path):
    octets = world.message()
    found = await judge(tmp_path, world.RECORDS).judge(octets, incoming(octets, signed_later=True))
    assert not any(rule.startswith("dkim/") for rule in errors(found.report))


async def test_a_key_published_after_it_was_asked_for_passes_at_once(tmp_path):
    # The resolver keeps "no such name" for the hour that the zone's SOA says; the zone's own server knows better.
    require("nsd")
    octets, keys = sign_example(
        world.message(From="Shop <orders@rotate.test>", Message_ID="<1@rotate.test>"),
        {"domain": "rotate.test", "selector": "new"},
        datetime.now(UTC),
    )
    zones = tmp_path / "zones"
    zones.mkdir()
    zone = (
        "$ORIGIN rotate.test.\n$TTL 300\n@ 3600 IN SOA ns1.rotate.test. hostmaster.rotate.test. {serial} 3600 600 604800 3600\n"
        '@ IN NS ns1\nns1 IN A 127.0.0.1\n@ IN MX 10 mx\nmx IN A 192.0.2.25\n@ IN TXT "v=spf1 ip4:192.0.2.25 -all"\n'
        '_dmarc IN TXT "v=DMARC1; p=reject; rua=mailto:d@rotate.test"\n'
    )
    (zones / "rotate.test.zone").write_text(zone.format(serial=1))
    (tmp_path / "nsd").mkdir()
    with servers.nsd(tmp_path / "nsd", domains=1, extra=zones) as server:
        dns = Lasting(Live(nameservers=[server.address]))
        asked_directly = authoritative.Live(dns, allowed=lambda ip: ip.is_loopback, endpoint=lambda ip: server.address)
        made = Judge(
            world.configuration(tmp_path),
            dns,
            Egress((ip_address(world.IP),), "mx.rotate.test"),
            missing=Missing(dns, asked_directly),
        )
        envelope = {"mail_from": "bounces@rotate.test"}
        before = await made.judge(octets, incoming(octets, **envelope))
        assert "dkim/no-key" in errors(before.report)
        (published,) = keys.values()
        strings = " ".join(f'"{published[start : start + 255]}"' for start in range(0, len(published), 255))
        served = next((tmp_path / "nsd").rglob("rotate.test*"))
        served.write_text(zone.format(serial=2) + f"new._domainkey IN TXT {strings}\n")
        os.kill(int((tmp_path / "nsd" / "nsd.pid").read_text()), signal.SIGHUP)
        end = datetime.now(UTC).timestamp() + 5
        while datetime.now(UTC).timestamp() < end:
            after = await made.judge(octets, incoming(octets, **envelope))
            if not any(rule.startswith("dkim/") for rule in errors(after.report)):
                break
        assert not any(rule.startswith("dkim/") for rule in errors(after.report))
        assert type(await dns.beneath.ask("new._domainkey.rotate.test", "TXT")).__name__ == "NoSuchName", (
            "the cache still says no"
        )


@pytest.mark.attack(59)
async def test_without_dns_nothing_fails_and_nothing_passes(tmp_path):
    octets, _ = world.signed()
    closed = servers.free_port("127.0.0.1")
    dns = Lasting(Live(nameservers=[("127.0.0.1", closed)], timeout=0.2))
    found = await Judge(world.configuration(tmp_path), dns, Egress((ip_address(world.IP),))).judge(octets, incoming(octets))
    assert found.report.verdict is Verdict.UNKNOWN


async def test_what_no_rule_asks_about_is_not_even_taken_apart(tmp_path, monkeypatch):
    (tmp_path / "off.toml").write_text(f'extends = "transactional"\n[rules]\n{all_off()}\n')
    judging = Judge(world.configuration(tmp_path, policy="off.toml"), None)
    monkeypatch.setattr(checker, "parse", None)
    found = await judging.judge(b"\xff no: message\r\n", incoming(b""))
    assert (found.report.verdict, found.report.results) == (Verdict.PASS, ())
    with pytest.raises(checker.InputError, match="empty"):
        await judging.judge(b"\r\n", incoming(b""))
