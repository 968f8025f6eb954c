"""The chains of MX hosts: what cannot be read hides nothing but itself."""

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from delivcheck.facts.dane import mx_certificates
from delivcheck.facts.inbound_tls import MxGreetings
from delivcheck.model import SmtpAnswer, Unavailable
from tests import mark_certificates as made

HOST = "mx.example.org"
GOOD = made.AUTHORITY.public_bytes(serialization.Encoding.DER)


def der(**changes: str) -> bytes:
    """A certificate whose DER has one run of octets replaced, in hex."""
    signer = ec.generate_private_key(ec.SECP256R1())
    octets = made.request("Example", "Example CA", []).sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    old, new = bytes.fromhex(changes["old"]), bytes.fromhex(changes["new"])
    assert octets.count(old) >= 1
    return octets.replace(old, new)


VERSION = der(old="a003020102", new="a003020109")
KEY = der(old="06032b6570", new="06032b657f")  # Ed25519 becomes an algorithm that nobody knows
HOSTILE = [b"", b"junk", VERSION, KEY]


def chain(*octets: bytes) -> object:
    """What is known of the chain of a host that shows these."""
    return mx_certificates.function(MxGreetings(((HOST, SmtpAnswer("", (), tls="TLSv1.3", chain=octets)),))).of(HOST)


@pytest.mark.parametrize("extra", HOSTILE)
def test_a_further_certificate_that_cannot_be_read_hides_only_itself(extra: bytes) -> None:
    found = chain(GOOD, extra, GOOD)
    assert [(one.der, one.spki is None) for one in found] == [(GOOD, False), (extra, True), (GOOD, False)]


@pytest.mark.parametrize("leaf", HOSTILE)
def test_without_its_own_certificate_nothing_is_known(leaf: bytes) -> None:
    found = chain(leaf, GOOD)
    assert isinstance(found, Unavailable)
    assert found.reason.startswith(f"the certificate of {HOST} cannot be read: ")
    assert found.reason.isprintable()
