"""Hosts of links: what can be told without DNS, what DNS tells, and what a failure does not tell."""

import asyncio

import pytest

from delivcheck.facts import link_hosts
from delivcheck.facts.link_hosts import Host, askable, never_public
from delivcheck.facts.message import Links
from delivcheck.mime.links import links_in_text, split_url
from delivcheck.model import Unavailable
from delivcheck.net.snapshot import from_mapping


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://localhost:8000/", "reader's own machine"),
        ("http://app.localhost/", "reader's own machine"),
        ("http://2130706433/", "private address"),
        ("http://[::1]/", "private address"),
        ("http://wiki/", "local network"),
        ("https://a.local/", ".local"),
        ("https://a.internal./", ".internal"),
        ("https://www.shop.com/", None),
        ("https://8.8.8.8/", None),
        ("https://[v1.x]/", None),
        ("https://", None),
        ("https://localhost.shop.com/", None),
    ],
)
def test_what_is_never_public_is_told_without_dns(url, why):
    told = never_public(split_url(url))
    assert told is None if why is None else why in told


def states(urls, zone):
    links = Links(tuple(links_in_text(urls)))
    return asyncio.run(link_hosts.link_hosts.function(links, from_mapping(zone)))


@pytest.mark.parametrize(
    ("zone", "state"),
    [
        ({"shop.com A": "192.0.2.7"}, Host.REACHABLE),
        ({"shop.com AAAA": "2001:db8::7", "shop.com A": "SERVFAIL"}, Host.REACHABLE),
        ({"shop.com TXT": "x"}, Host.NO_ADDRESS),
        ({}, Host.NOT_FOUND),
        ({"shop.com A": "10.0.0.7"}, Host.PRIVATE),
        ({"shop.com A": ["10.0.0.7", "192.0.2.7"]}, Host.REACHABLE),
    ],
)
def test_what_dns_says_of_a_host(zone, state):
    assert states("https://shop.com/", zone).each == {"shop.com": state}


def test_a_failure_hides_only_its_own_host():
    found = states(
        "https://shop.com/ https://b.com/", {"shop.com A": "TIMEOUT", "shop.com AAAA": "TIMEOUT", "b.com A": "192.0.2.7"}
    )
    assert isinstance(found.each["shop.com"], Unavailable)
    assert found.each["b.com"] is Host.REACHABLE


def test_a_name_that_dns_cannot_carry_is_not_asked_about():
    links = list(links_in_text(f"https://{'a' * 70}.com/ https://shop.com/ mailto:a@b.com http://10.0.0.1/"))
    assert list(askable(links)) == ["shop.com"]


def test_hosts_over_the_limit_are_counted(monkeypatch):
    monkeypatch.setattr(link_hosts, "MAX_HOSTS", 1)
    found = states("https://a.com/ https://b.com/ https://c.com/", {"a.com A": "192.0.2.7"})
    assert list(found.each) == ["a.com"]
    assert found.left_out == 2
