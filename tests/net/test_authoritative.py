"""Name servers asked directly: whom we talk to, what they must have authority for, and that silence is no answer."""

import asyncio
from ipaddress import ip_address

import dns.flags
import dns.message
import pytest

from delivcheck import api, policy
from delivcheck.model import Failed, Failure, Found, NoData, NoSuchName, Outcome
from delivcheck.net.authoritative import Live, at_port_53
from delivcheck.net.snapshot import from_mapping
from tests import servers
from tests.conftest import require
from tests.net.scripted import Scripted, over_tcp, response, silent, truncated

AA = dns.flags.AA
SOA = ["example.org. 300 SOA ns1.example.org. hostmaster.example.org. 7 3600 600 604800 300"]
WORLD = from_mapping(
    {"ns1.example.org A": "192.0.2.53", "ns1.example.org AAAA": "2001:db8::53", "ns2.example.org A": "192.0.2.54"}
)


def client(world, at, **how):
    """A client to which the servers' addresses stand for ports on loopback."""
    ports = {ip_address(ip): address for ip, address in at.items()}
    return Live(world, allowed=lambda ip: ip in ports, endpoint=ports.__getitem__, **{"attempt": 0.1, "timeout": 1.0, **how})


def asked(udp, name="example.org", kind="TXT", tcp=None, server="ns1.example.org"):
    async def run():
        async with Scripted(udp, tcp) as one:
            return await client(WORLD, {"192.0.2.53": one.address}).ask_at(server, name, kind), one.seen

    return asyncio.run(run())


TXT = 'example.org. 300 TXT "v=spf1 -all"'


def test_a_server_is_asked_for_what_it_has_itself():
    answer, seen = asked(lambda query: [response(query, TXT, flags=AA)])

    assert answer == Found(((b"v=spf1 -all",),))
    (query,) = map(dns.message.from_wire, seen)
    assert not query.flags & (dns.flags.RD | dns.flags.AD)


@pytest.mark.parametrize(
    ("say", "wanted"),
    [
        (lambda query: [response(query, authority=SOA, flags=AA)], NoData(300)),
        (lambda query: [response(query, authority=SOA, flags=AA, rcode="NXDOMAIN")], NoSuchName(300)),
        (
            lambda query: [response(query, "example.org. 300 CNAME x.example.net.", flags=AA)],
            NoData(300, ("x.example.net",)),
        ),
        (lambda query: [response(query, TXT)], Failed(Failure.LAME, "answers without authority")),
        (lambda query: [response(query, authority=SOA, rcode="NXDOMAIN")], Failed(Failure.LAME, "answers without authority")),
        (
            lambda query: [response(query, authority=[". 300 NS a.root-servers.net."])],
            Failed(Failure.LAME, "refers to other name servers"),
        ),
        (lambda query: [response(query, rcode="REFUSED")], Failed(Failure.REFUSED, "REFUSED")),
        (lambda query: [response(query, rcode="SERVFAIL")], Failed(Failure.SERVFAIL, "SERVFAIL")),
        (lambda query: [response(query, rcode="FORMERR")], Failed(Failure.SERVFAIL, "FORMERR")),
    ],
    ids=["nodata", "nxdomain", "alias", "no-aa", "no-aa-nxdomain", "upward", "refused", "servfail", "formerr"],
)
def test_what_a_server_says_is_an_answer_or_shows_that_it_serves_nothing(say, wanted):
    assert asked(say)[0] == wanted


def test_a_long_answer_comes_over_tcp():
    answer, seen = asked(truncated, tcp=over_tcp(lambda query: response(query, TXT, flags=AA)))

    assert isinstance(answer, Found)
    assert len(seen) == 2


def test_a_silent_server_is_tried_twice_and_says_nothing():
    answer, seen = asked(silent)

    assert (answer.kind, len(seen)) == (Failure.TIMEOUT, 2)


def test_the_time_for_one_question_is_kept_whatever_is_tried():
    async def run():
        async with Scripted(silent) as one:
            return await client(WORLD, {"192.0.2.53": one.address}, attempt=5.0, timeout=0.2).ask_at(
                "ns1.example.org", "a", "A"
            )

    assert asyncio.run(asyncio.wait_for(run(), 3)) == Failed(Failure.TIMEOUT, "no answer within 0.2 s")


def test_the_other_address_is_asked_where_the_first_is_silent():
    async def run():
        async with Scripted(silent) as four, Scripted(lambda query: [response(query, TXT, flags=AA)]) as six:
            at = {"192.0.2.53": four.address, "2001:db8::53": six.address}
            return await client(WORLD, at).ask_at("ns1.example.org", "example.org", "TXT")

    assert isinstance(asyncio.run(run()), Found)


@pytest.mark.parametrize(
    ("world", "kind"),
    [
        ({"ns1.example.org A": "127.0.0.1"}, Failure.TIMEOUT),
        ({"ns1.example.org A": "10.0.0.53", "ns1.example.org AAAA": "fd00::53"}, Failure.TIMEOUT),
        ({"ns1.example.org A": "TIMEOUT"}, Failure.TIMEOUT),
        ({"example.org A": "192.0.2.1"}, Failure.LAME),
        ({"ns1.example.org TXT": "x"}, Failure.LAME),
    ],
    ids=["loopback", "private", "timeout", "no such name", "no address"],
)
def test_nobody_is_asked_at_an_address_that_is_private_or_not_there(world, kind):
    def never(ip):
        raise AssertionError(ip)

    answer = asyncio.run(Live(from_mapping(world), endpoint=never).ask_at("ns1.example.org", "example.org", "TXT"))
    assert answer.kind is kind


def test_names_that_no_zone_can_hold_are_not_asked_for():
    assert isinstance(asyncio.run(Live(WORLD).ask_at("ns1.example.org", "x" * 64, "TXT")), NoSuchName)
    with pytest.raises(ValueError, match="no record type"):
        asyncio.run(Live(WORLD).ask_at("ns1.example.org", "example.org", "NOTHING"))


def test_name_servers_listen_at_port_53():
    assert at_port_53(ip_address("192.0.2.53")) == ("192.0.2.53", 53)


# --- two real servers --------------------------------------------------------------------------------------------

ZONE = """$ORIGIN twin.test.
$TTL 300
@ IN SOA ns1.infra.test. hostmaster.infra.test. {serial} 3600 600 604800 60
@ IN NS ns1.infra.test.
@ IN NS ns2.infra.test.
@ IN MX 10 mx
@ IN TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc IN TXT "v=DMARC1; p={policy}"
mx IN A 192.0.2.25
"""


@pytest.fixture
def twins(tmp_path):
    """Two NSD of which the second has missed a change; and what a resolver says of their names."""
    require("nsd")
    for name, serial, wanted in (("one", 7, "reject"), ("two", 6, "none")):
        (tmp_path / name / "zones").mkdir(parents=True)
        (tmp_path / name / "zones" / "twin.test.zone").write_text(ZONE.format(serial=serial, policy=wanted))
    with (
        servers.nsd(tmp_path / "one" / "nsd", 1, tmp_path / "one" / "zones") as one,
        servers.nsd(tmp_path / "two" / "nsd", 1, tmp_path / "two" / "zones") as two,
    ):
        world = {
            "twin.test NS": ["ns1.infra.test", "ns2.infra.test"],
            "twin.test MX": "10 mx.twin.test",
            "_dmarc.twin.test TXT": "v=DMARC1; p=reject",
            "ns1.infra.test A": "192.0.2.53",
            "ns2.infra.test A": "192.0.2.54",
        }
        yield world, {"192.0.2.53": one.address, "192.0.2.54": two.address}


def audited(world, at):
    dns = from_mapping(world)
    options = api.Options(policy.load("bulk"), dns=dns, authoritative=client(dns, at, attempt=1.0, timeout=3.0))
    report = asyncio.run(api.Checker(options).domain("twin.test"))
    return {result.rule: result for result in report.results}


def test_servers_that_disagree_are_told_by_name(twins):
    results = audited(*twins)

    record, serial = (problem.message for problem in results["dns/servers-disagree"].problems)
    assert record == (
        "the name servers of twin.test disagree on _dmarc.twin.test TXT (DMARC): "
        "ns1.infra.test: v=DMARC1; p=reject; ns2.infra.test: v=DMARC1; p=none"
    )
    assert serial.endswith("disagree on the serial of the zone: ns1.infra.test: serial 7; ns2.infra.test: serial 6")
    assert results["dns/lame-server"].outcome is Outcome.PASS


def test_one_that_has_gone_silent_leaves_both_rules_open(twins):
    world, at = twins
    results = audited(world, {"192.0.2.53": at["192.0.2.53"], "192.0.2.54": ("127.0.0.1", servers.free_port("127.0.0.1"))})

    assert results["dns/servers-disagree"].outcome is Outcome.UNKNOWN
    assert results["dns/lame-server"].outcome is Outcome.UNKNOWN
    assert "ns2.infra.test" in results["dns/lame-server"].reason


def test_without_the_client_nobody_is_asked(twins):
    world, _ = twins
    options = api.Options(policy.load("bulk"), dns=from_mapping(world))
    report = asyncio.run(api.Checker(options).domain("twin.test"))
    assert {one.outcome for one in report.results if one.rule in {"dns/servers-disagree", "dns/lame-server"}} == {
        Outcome.NOT_APPLICABLE
    }
