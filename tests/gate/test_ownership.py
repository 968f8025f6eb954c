"""Nobody sends in another's name: MAIL FROM and From against the domains of the credential."""

import pytest

from delivcheck.gate.model import Credential
from delivcheck.gate.ownership import foreign_author, owns
from delivcheck.mime.message import header_of

MINE = Credential("shop", ("example.org", "xn--bcher-kva.example"))

pytestmark = pytest.mark.attack(20)


@pytest.mark.parametrize(
    ("address", "mine"),
    [
        ("a@example.org", True),
        ("a@news.Example.ORG", True),
        ("a@bücher.example", True),
        ("", True),
        ("a@example.com", False),
        ("a@notexample.org", False),
        ("a@example.org.evil.example", False),
        ('"a@example.org"@evil.example', False),
        ("a@", False),
        ("example.org", True),
        ("a@[192.0.2.1]", False),
    ],
)
def test_a_domain_and_what_is_below_it_is_the_credentials(address, mine):
    assert owns(MINE, address) is mine


def test_a_credential_without_domains_is_not_limited():
    assert owns(Credential("any"), "a@example.com")
    assert foreign_author(Credential("any"), header_of(b"From: a@example.com\r\n\r\n")) is None


@pytest.mark.parametrize(
    "header",
    [
        b"From: a@example.com",
        b"From: a@example.org, b@example.com",
        b"From: a@example.org\r\nFrom: b@example.com",
        b"From: a@example.org\r\nSender: b@example.com",
        b"From: Group: a@example.org, b@example.com;",
        b'From: "a@example.org" <b@example.com>',
        b"From: a@example.org <b@example.com>",
        b"From: nobody can read this",
        b"From: " + b",".join(b"a@example.org" for _ in range(101)),
        b"From: a@example.org\r\nResent-From: b@example.com",
    ],
)
@pytest.mark.attack(37)
def test_any_author_of_another_domain_is_found(header):
    assert foreign_author(MINE, header_of(header + b"\r\n\r\nx\r\n")) is not None


@pytest.mark.parametrize(
    "header", [b"From: a@example.org", b"From: Shop <a@news.example.org>\r\nSender: b@example.org", b"To: x@example.com"]
)
def test_own_authors_pass(header):
    assert foreign_author(MINE, header_of(header + b"\r\n\r\nx\r\n")) is None
