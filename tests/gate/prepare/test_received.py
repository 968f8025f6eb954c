"""The Received field of the SMTP front, and loops."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.gate.model import Incoming
from delivcheck.gate.prepare import LoopError, load
from delivcheck.gate.settings import Address, Gate, Kind, Listener
from delivcheck.mime.headers import parse_received
from tests.gate.prepare.mail import GATE, MESSAGE, NOW, TRACE, client, incoming, quiet, through_milter, values


def received(**more):
    it = Incoming(MESSAGE, "", ("b@example.net",), client(**more), TRACE, NOW)
    found = quiet().prepare(it).octets
    assert found.endswith(MESSAGE)
    assert found.startswith(b"Received: from ")
    assert max(len(line) for line in found.removesuffix(MESSAGE).split(b"\r\n")) <= 998
    return parse_received(values(found, "Received")[0])


def test_it_says_who_gave_the_message_to_whom_and_how():
    found = received(protocol="ESMTPSA", tls="TLSv1.3")
    assert (found.from_name, found.ip, found.by) == ("app.example.org", ip_address("192.0.2.25"), GATE)
    assert (found.protocol, found.id, found.tls, found.submitted) == ("ESMTPSA", TRACE, "TLSv1.3", True)
    assert found.date_text == "Mon, 23 Nov 2026 12:00:00 +0000"
    assert found.recipient is None  # it would tell who else got it


@pytest.mark.parametrize(
    ("ip", "helo", "name"),
    [
        ("2001:db8::1", "[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
        ("::ffff:192.0.2.25", "[192.0.2.25]", "[192.0.2.25]"),
        ("192.0.2.25", "BÜRO.example.org", "xn--bro-hoa.example.org"),
        ("192.0.2.25", "workstation_7", "workstation_7"),
        ("192.0.2.25", None, "[192.0.2.25]"),
        ("192.0.2.25", "x) by y (", "[192.0.2.25]"),
        ("192.0.2.25", "[999.1.1.1]", "[192.0.2.25]"),
        ("192.0.2.25", "a\r\nBcc: b@example.net", "[192.0.2.25]"),
    ],
)
def test_address_and_greeting_are_written_as_the_rfc_has_them(ip, helo, name):
    octets = quiet().prepare(Incoming(MESSAGE, "", ("b@example.net",), client(ip=ip_address(ip), helo=helo), TRACE, NOW)).octets
    literal = "[IPv6:2001:db8::1]" if ip == "2001:db8::1" else "[192.0.2.25]"
    assert octets.startswith(f"Received: from {name} ({literal})\r\n\tby ".encode())


@pytest.mark.parametrize(
    ("protocol", "comes_to"), [("ESMTP", "UTF8SMTP"), ("ESMTPSA", "UTF8SMTPSA"), ("LMTP", "UTF8LMTP"), ("SMTP", "SMTP")]
)
def test_internationalised_mail_names_its_protocol(protocol, comes_to):
    it = Incoming(MESSAGE, "", ("b@example.net",), client(protocol=protocol), TRACE, NOW, smtputf8=True)
    assert f" with {comes_to} id " in values(quiet().prepare(it).octets, "Received")[0]


@given(st.text(max_size=50), st.text(max_size=20), st.text(max_size=30), st.text(max_size=10))
def test_nothing_a_client_says_gets_out_of_the_field(helo, protocol, trace, tls):
    if protocol == "milter":
        return
    it = Incoming(MESSAGE, "", (), client(helo=helo, protocol=protocol, tls=tls), trace, NOW)
    octets = quiet().prepare(it).octets
    head = octets.removesuffix(MESSAGE).removesuffix(b"\r\n")
    lines = head.split(b"\r\n")
    assert lines[0].startswith(b"Received: from ")
    assert all(line.startswith(b"\t") and line.strip() for line in lines[1:])
    assert parse_received(head.replace(b"\r\n", b"").partition(b":")[2].decode("ascii")).by == GATE


def test_a_milter_adds_none():
    assert quiet().prepare(through_milter()).octets is MESSAGE


@pytest.mark.parametrize(
    ("given", "adds"),
    [
        ({}, True),
        ({"received": False}, False),
        ({"xforward": (ip_network("127.0.0.0/8"),)}, False),
        ({"xforward": (ip_network("127.0.0.0/8"),), "received": True}, True),
    ],
)
def test_behind_another_mta_and_where_told_so_none_is_added(given, adds):
    listener = Listener("front", Kind.SMTP, Address(host="127.0.0.1", port=25), **given)
    it = Incoming(MESSAGE, "", (), client(listener="front"), TRACE, NOW)
    assert len(load(Gate(GATE, (listener,))).prepare(it).edits) == adds


# --- loops -----------------------------------------------------------------------------------------------------------

HOP = b"Received: from a.example by b.example with ESMTP id 1; Mon, 23 Nov 2026 10:00:00 +0000\r\n"


@pytest.mark.attack(64)
def test_thirty_hops_pass_and_thirty_one_are_a_loop():
    assert quiet().prepare(incoming(HOP * 30 + MESSAGE)).octets
    with pytest.raises(LoopError, match="31 Received fields"):
        quiet().prepare(incoming(HOP * 31 + MESSAGE))
    with pytest.raises(LoopError, match="goes in circles"):
        quiet().prepare(through_milter(HOP * 31 + MESSAGE))


@pytest.mark.attack(64)
def test_the_fifth_passage_through_the_gate_is_a_loop():
    octets = MESSAGE
    for _ in range(4):
        octets = HOP + quiet().prepare(incoming(octets)).octets
    with pytest.raises(LoopError, match="come through this gate 4 times"):
        quiet().prepare(incoming(octets))


@pytest.mark.attack(64)
def test_our_trace_field_four_times_is_a_loop():
    assert quiet().prepare(incoming(b"X-Delivcheck-Trace: 1\r\n" * 3 + MESSAGE))
    with pytest.raises(LoopError):
        quiet().prepare(incoming(b"X-Delivcheck-Trace: 1\r\n" * 4 + MESSAGE))


def test_an_mta_of_the_same_name_is_not_us():
    hop = f"Received: from a.example by {GATE} (Postfix) with ESMTP id 1; Mon, 23 Nov 2026 10:00:00 +0000\r\n".encode()
    assert quiet().prepare(incoming(hop * 10 + MESSAGE))
