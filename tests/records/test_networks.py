"""Private networks are told from public ones, whatever form an address has."""

from ipaddress import ip_address, ip_network

import pytest

from delivcheck.records.networks import is_private_address, is_private_network


@pytest.mark.parametrize(
    ("text", "private"),
    [
        ("0.0.0.0", True),
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("172.31.255.255", True),
        ("172.32.0.0", False),
        ("192.168.0.1", True),
        ("169.254.169.254", True),
        ("100.64.0.1", True),
        ("100.128.0.1", False),
        ("192.0.2.1", False),
        ("::", True),
        ("::1", True),
        ("::2", False),
        ("fd00::1", True),
        ("fe80::1", True),
        ("2001:db8::1", False),
        ("::ffff:10.0.0.1", True),
        ("::ffff:192.0.2.1", False),
    ],
)
def test_an_address_nobody_reaches_from_outside_is_private(text, private):
    assert is_private_address(ip_address(text)) is private


@pytest.mark.parametrize(
    ("text", "private"),
    [
        ("10.0.0.0/8", True),
        ("10.2.0.0/16", True),
        ("10.0.0.0/7", False),
        ("0.0.0.0/0", False),
        ("192.0.2.0/24", False),
        ("fc00::/8", True),
        ("::/0", False),
    ],
)
def test_a_network_is_private_when_all_of_it_is(text, private):
    assert is_private_network(ip_network(text)) is private
