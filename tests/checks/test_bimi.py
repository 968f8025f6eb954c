"""Mark certificates whose logo cannot be compared as it should: what no page's example can make."""

from datetime import UTC, datetime

import pytest
from cryptography import x509

from delivcheck.checks.bimi import bad_certificate
from delivcheck.engine import run
from delivcheck.facts.bimi import BimiAssertion, BimiCertificate, BimiLogo, BimiRecords, Fetched, MarkAuthorities
from delivcheck.facts.roots import Now
from delivcheck.model import HttpAnswer
from delivcheck.records import bimi, mark_certificate, svg_tiny_ps
from tests import mark_certificates as made

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
RECORD = "v=BIMI1; l=https://example.org/logo.svg; a=https://example.org/vmc.pem"


def judged(extension):
    """The rule's word on a certificate that is right but for its logotype extension."""
    certificate = made.certificate(
        "Example",
        "Example Mark CA",
        [
            x509.SubjectAlternativeName([x509.DNSName("example.org")]),
            x509.ExtendedKeyUsage([made.USAGE]),
            x509.UnrecognizedExtension(made.LOGOTYPE, extension),
        ],
    )
    pem = made.pem(certificate, made.AUTHORITY, made.ROOT)
    records = BimiRecords("default", "example.org", "example.org", "example.org", (RECORD,))
    fetched = Fetched("https://example.org/logo.svg", HttpAnswer(200, (), SVG))
    facts = {
        BimiAssertion: BimiAssertion(records, bimi.parse(RECORD)),
        BimiCertificate: BimiCertificate(fetched, mark_certificate.parse(pem)),
        BimiLogo: BimiLogo(fetched, svg_tiny_ps.read(SVG)),
        MarkAuthorities: MarkAuthorities((), "2026-11-22"),
        Now: Now(datetime(2026, 11, 23, tzinfo=UTC)),
    }
    return run(bad_certificate, facts, {"roots": (made.ROOT_SHA256,)})


@pytest.mark.parametrize(
    ("extension", "outcome"),
    [
        (made.logotype(SVG), "pass"),
        (made.logotype(SVG, hashed=b"another"), "pass"),  # the very logo is embedded
        (made.logotype(b"another", hashed=SVG), "pass"),  # its hash is there
        (made.logotype(SVG, uri="https://example.org/logo.svg"), "pass"),
        (made.logotype(b"another"), "fail"),
        (made.logotype(b"another", uri="https://example.org/logo.svg"), "fail"),
        (made.logotype(b"another", uri="data:image/svg+xml;base64,H4sIAAAA"), "fail"),  # gzip that breaks off
        (made.logotype(SVG, uri="https://example.org/logo.svg", algorithm=b"\x01"), "unknown"),  # nothing that can be compared
    ],
)
def test_a_logo_is_compared_by_hash_or_by_its_octets(extension, outcome):
    assert judged(extension).outcome == outcome
