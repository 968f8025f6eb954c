"""The sender's own domains: one form for names, and two questions about a host."""

import pytest

from delivcheck.facts.identity import FromDomain
from delivcheck.facts.own_domains import OwnDomains, own_domains
from delivcheck.facts.roots import Declared
from delivcheck.model import NotApplicable, Unavailable

make = own_domains.function
OWN = OwnDomains(("mail.example.com", "xn--bcher-kva.example"), "shop.example")


@pytest.mark.parametrize(
    ("host", "has", "same_organization"),
    [
        ("mail.example.com", True, True),
        ("a.mail.example.com.", True, True),
        ("A.MAIL.EXAMPLE.COM", True, True),
        ("www.example.com", False, True),
        ("xmail.example.com", False, True),
        ("www.bücher.example", True, True),
        ("click.shop.example", True, True),
        ("shop.example.", True, True),
        ("bank.example", False, False),
        ("[::1]", False, False),
        ("a..b", False, False),
        ("", False, False),
        (None, False, False),
    ],
)
def test_a_host_is_the_senders_in_whatever_form_it_is_written(host, has, same_organization):
    assert OWN.has(host) is has
    assert OWN.same_organization(host) is same_organization


def test_only_what_was_said_counts_as_declared():
    assert OWN.declares("a.mail.example.com")
    assert not OWN.declares("shop.example")


def test_one_source_is_enough():
    assert make(Declared(owned_domains=("a.example",)), NotApplicable("no message")) == OwnDomains(("a.example",))
    assert make(NotApplicable("nothing"), FromDomain("news.b.example")) == OwnDomains((), "b.example")
    nobodys = make(NotApplicable("nothing"), Unavailable("From cannot be read"))
    assert (nobodys.organizations, nobodys.has("a.example"), nobodys.same_organization("a.example")) == ((), False, False)
