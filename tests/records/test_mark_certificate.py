"""Mark certificates: what they say of themselves, how far their issuers can be followed, and the logo inside."""

import base64
import contextlib
import hashlib
import importlib.util
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given
from hypothesis import strategies as st

from delivcheck.records import logotype
from delivcheck.records.logotype import LogotypeError
from delivcheck.records.mark_certificate import MAX_CERTIFICATES, Kind, MarkCertificateError, Root, Standing, parse
from delivcheck.rulefiles import data
from tests import mark_certificates as made
from tests.keys import rsa_key

NOW = datetime(2026, 11, 23, tzinfo=UTC)
SVG = b"<svg/>"
LISTED = Root("Example Marks", "Example Mark Root", made.ROOT_SHA256, "")


def mark(**spec):
    return made.mark({"domains": ["Example.ORG", "brand._bimi.example.net"], **spec}, SVG)


CHAIN = made.pem(mark(), made.AUTHORITY, made.ROOT)


# --- what it says of itself --------------------------------------------------------------------------------------


def test_a_chain_is_read():
    found = parse(CHAIN)
    assert (found.subject, found.issuer, found.faults) == ("Example", "Example Mark CA", ())
    assert (f"{found.not_before:%F}", f"{found.not_after:%F}") == (made.SINCE, made.UNTIL)
    assert found.has_usage
    assert len(found.others) == 2
    assert found.logo.is_of(SVG)
    assert found.logo.media_type == "image/svg+xml"


def test_names_cover_domains_with_or_without_the_selector():
    found = parse(CHAIN)
    assert found.covers(["example.org"], "default")
    assert found.covers(["a.example", "example.net"], "brand")
    assert not found.covers(["example.net"], "default")
    assert not found.covers(["www.example.org"], "default")


@pytest.mark.parametrize(
    ("kind", "is_"),
    [
        ("Registered Mark", Kind.VMC),
        ("Government Mark", Kind.VMC),
        ("Prior Use Mark", Kind.CMC),
        ("Nice Mark", None),
        (None, None),
    ],
)
def test_the_mark_type_tells_vmc_from_cmc(kind, is_):
    assert parse(made.pem(mark(kind=kind))).kind is is_


def test_what_is_missing_is_absent():
    found = parse(made.pem(mark(domains=[], usage=False, logo=False)))
    assert (found.names, found.has_usage, found.logo) == ((), False, None)
    assert isinstance(parse(made.pem(mark(logo=""))).logo, LogotypeError)


@pytest.mark.parametrize(
    ("certificates", "faults"),
    [
        ((made.AUTHORITY, mark(), made.ROOT), ("the mark certificate is not the first in it",)),
        ((mark(), made.AUTHORITY, made.AUTHORITY), ("it has the same certificate twice",)),
        ((mark(), mark(usage=False), made.AUTHORITY), ("it has 2 certificates that are no authority's",)),
    ],
)
def test_what_is_wrong_with_the_file_is_told(certificates, faults):
    assert parse(made.pem(*certificates)).faults == faults


BROKEN = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("octets", "says"),
    [
        (b"", "it has no certificate in PEM"),
        (b"\xff" * 1000, "it has no certificate in PEM"),
        (made.pem(made.AUTHORITY), "all its certificates are those of authorities"),
        (made.pem(made.AUTHORITY) * (MAX_CERTIFICATES + 1), "it has more than 10 certificates"),
        (BROKEN, "a certificate in it cannot be read: "),
        (b"-----BEGIN CERTIFICATE-----\n", "a certificate in it cannot be read: "),
    ],
)
def test_what_is_no_chain_is_refused(octets, says):
    with pytest.raises(MarkCertificateError) as caught:
        parse(octets)
    assert str(caught.value).startswith(says)


@example(place=15, octets=b"\x80")  # a negative serial number
@given(st.integers(0, len(CHAIN)), st.binary(max_size=8))
@example(100, b"A")
def test_it_returns_or_raises_the_one_declared_error(place, octets):
    lines = CHAIN[:place] + octets + CHAIN[place + len(octets) :]
    der = bytearray(mark().public_bytes(serialization.Encoding.DER))
    der[place % len(der)] ^= octets[0] if octets else 1
    for damaged in (lines, b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(bytes(der)) + b"-----END CERTIFICATE-----\n"):
        try:
            found = parse(damaged)
        except MarkCertificateError:
            continue
        assert found.chain([LISTED], NOW).standing in Standing


# --- who stands behind it ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("certificates", "standing", "reason"),
    [
        ((mark(), made.AUTHORITY, made.ROOT), Standing.KNOWN, None),
        ((mark(), made.ROOT, made.AUTHORITY), Standing.KNOWN, None),
        ((mark(issuer="Example Mark Root"), made.ROOT), Standing.KNOWN, None),
        ((mark(), made.ROOT), Standing.BROKEN, "no certificate in the file is that of its issuer Example Mark CA"),
        ((mark(issuer="Example"),), Standing.BROKEN, "no authority has issued it: it is its own issuer"),
        (
            (mark(), made.authority("Example Mark CA", "Example Mark Root", until="2026-10-01"), made.ROOT),
            Standing.BROKEN,
            "the certificate of its issuer Example Mark CA is not valid at this time",
        ),
        (
            (mark(issuer="Other CA"), made.authority("Other CA", "Other Root"), made.authority("Other Root", "Other Root")),
            Standing.UNKNOWN,
            "its root Other Root is not in the list of mark authorities",
        ),
        (  # there, but another key made the signature
            (made.certificate("Example", "Example Mark CA", [], signer=made.key("x")), made.AUTHORITY, made.ROOT),
            Standing.BROKEN,
            "no certificate in the file is that of its issuer Example Mark CA",
        ),
        (  # of the right name, but no authority
            (mark(), made.certificate("Example Mark CA", "Example Mark Root", []), made.ROOT),
            Standing.BROKEN,
            "no certificate in the file is that of its issuer Example Mark CA",
        ),
        (  # of the right name, but signed with another key
            (mark(), made.certificate("Example Mark CA", "Example Mark Root", made.AUTHORITY_ONLY, signer=made.key("x"))),
            Standing.BROKEN,
            "no certificate in the file is that of its issuer Example Mark Root",
        ),
        (
            (made.mark({"issuer": "Example Mark CA"}, SVG), made.certificate("Example Mark CA", "x", made.AUTHORITY_ONLY)),
            Standing.BROKEN,
            "no certificate in the file is that of its issuer x",
        ),
    ],
)
def test_the_chain_is_followed_to_its_root(certificates, standing, reason):
    chain = parse(made.pem(*certificates)).chain([LISTED], NOW)
    assert (chain.standing, chain.reason) == (standing, reason)


def test_an_issuer_of_an_organization_that_nobody_knows_is_unknown():
    chain = parse(made.pem(mark())).chain([Root("Other", "Other Root", "", "")], NOW)
    assert (chain.standing, chain.reason) == (
        Standing.UNKNOWN,
        "its issuer Example Mark CA is not in the list of mark authorities",
    )


def public(key):
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def issued_by(key, hashing=None):
    """A mark certificate and its issuer, whose root with this key is left out."""
    request = made.request("Example Mark CA", "Left Out Root", made.AUTHORITY_ONLY, "2020-01-01", "2040-01-01")
    return parse(made.pem(mark(), request.sign(key, hashing or hashes.SHA256())))


RSA, EC = rsa_key("rsa2048"), ec.derive_private_key(123456789, ec.SECP256R1())


@pytest.mark.parametrize(
    ("key", "listed", "standing"),
    [
        (RSA, RSA, Standing.KNOWN),
        (EC, EC, Standing.KNOWN),
        (RSA, rsa_key("rsa2048-other"), Standing.BROKEN),
        (RSA, EC, Standing.BROKEN),
        (EC, RSA, Standing.BROKEN),
    ],
)
def test_a_root_that_is_left_out_is_known_by_its_key(key, listed, standing):
    chain = issued_by(key).chain([Root("Somebody", "Left Out Root", "", public(listed))], NOW)
    assert chain.standing is standing
    assert (chain.reason is None) is (standing is Standing.KNOWN)


def test_the_list_has_the_keys_of_the_very_roots():
    """checkdmarc brings the certificates; a root that one of the two lists has and the other has not is no fault."""
    where = Path(importlib.util.find_spec("checkdmarc").origin).parent / "resources" / "MVACAs.pem"
    there = {one.fingerprint(hashes.SHA256()).hex(): one for one in x509.load_pem_x509_certificates(where.read_bytes())}
    listed = {root["sha256"]: root for root in data("mark-authorities")["root"]}
    both = there.keys() & listed.keys()
    assert len(both) >= 3
    for sha256 in both:
        one, root = there[sha256], listed[sha256]
        assert root["name"] in one.subject.rfc4514_string()
        assert base64.b64decode(root["key"]) == one.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        assert root["until"] == f"{one.not_valid_after_utc:%F}"


# --- the logo inside ---------------------------------------------------------------------------------------------


def test_a_logo_somewhere_else_has_only_its_hash():
    found = logotype.parse(made.logotype(SVG, uri="https://example.org/logo.svg"))
    assert (found.hashes, found.embedded) == ((("sha256", hashlib.sha256(SVG).digest()),), None)


def test_data_uris_are_decoded():
    assert logotype.parse(made.logotype(SVG, uri="DATA:image/svg+xml,%3Csvg/%3E")).embedded == SVG
    for broken in ("data:image/svg+xml;base64,A", "data:image/svg+xml", "other:,x"):
        assert logotype.parse(made.logotype(SVG, uri=broken)).embedded is None


def test_a_hash_of_an_unknown_kind_is_passed_over():
    found = logotype.parse(made.logotype(SVG, algorithm=b"\x01"))
    assert found.hashes == ()
    assert not found.is_of(SVG)


GOOD = made.logotype(SVG)


@pytest.mark.parametrize(
    ("der", "says"),
    [
        (b"", "the extension is missing"),
        (b"\x30", "it breaks off"),
        (b"\x30\x05\x00", "it breaks off"),
        (b"\x30\x80", "a length in it cannot be read"),
        (b"\x30\x85\x01\x01\x01\x01\x01", "a length in it cannot be read"),
        (b"\x30\x82\x01", "a length in it cannot be read"),
        (b"\x30\x00", "subjectLogo is missing"),
        (made.der(0x30, b"\x05\x00" * 200), "it has more than 100 values in one place"),
        (made.der(0x30, made.der(0xA2, made.der(0xA1))), "a logo in the certificate itself is missing"),
        (made.details(made.der(0x16, b"x"), made.der(0x30, b"\x05\x00")), "a hash algorithm is missing"),
        (made.details(made.der(0x16, b"x"), made.der(0x30)), "the list of addresses is missing"),
        (made.details(), "the media type is missing"),
    ],
)
def test_an_extension_that_is_something_else_is_told(der, says):
    with pytest.raises(LogotypeError) as caught:
        logotype.parse(der)
    assert str(caught.value) == says


@given(
    st.one_of(
        st.binary(max_size=100),
        st.integers(0, len(GOOD) - 1).map(lambda at: GOOD[:at] + bytes([GOOD[at] ^ 3]) + GOOD[at + 1 :]),
    )
)
def test_an_extension_returns_or_raises_the_one_declared_error(der):
    with contextlib.suppress(LogotypeError):
        logotype.parse(der)


# --- what cryptography does not know -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a3023000", "a5023000"])  # x400Address, ediPartyName
def test_a_name_of_a_kind_that_is_not_known_is_refused_with_the_one_declared_error(name):
    names = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), bytes.fromhex(f"3004{name}"))
    with pytest.raises(MarkCertificateError, match="cannot be read"):
        parse(made.pem(made.certificate("Example", "Example Mark CA", [names])))


def test_a_signature_of_a_kind_that_is_not_known_is_none_of_the_root():
    signed = made.request("Example", "Example Mark Root", []).sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    known, unknown = (bytes.fromhex(f"06082a8648ce3d0403{last}") for last in ("02", "09"))
    der = signed.public_bytes(serialization.Encoding.DER).replace(known, unknown)
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    root = Root("Example Marks", "Example Mark Root", made.ROOT_SHA256, base64.b64encode(spki).decode())
    chain = parse(pem).chain([root], NOW)
    assert (chain.standing, chain.reason) == (
        Standing.BROKEN,
        "Example is not signed by the root Example Mark Root that it names",
    )
