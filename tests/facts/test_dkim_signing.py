"""Signing: what is signed, what comes out, and that it verifies, by us and by dkimpy alone."""

from base64 import b64encode
from datetime import timedelta

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given
from hypothesis import strategies as st

from delivcheck.facts import signing
from delivcheck.facts.signing import CANONICALIZATIONS, SigningError, SigningKey, default_headers, sign, sign_with_all
from tests.facts.dkim_world import MESSAGE, NOW, plain_dkimpy, verdict, verdicts
from tests.keys import pem, record

RSA = SigningKey("example.org", "s1", pem("rsa2048"))
ED = SigningKey("example.org", "e1", pem("ed25519"))
ZONE = {
    "s1._domainkey.example.org TXT": record("rsa2048"),
    "e1._domainkey.example.org TXT": record("ed25519"),
}
BULK = MESSAGE.replace(
    b"Subject:",
    b"List-Unsubscribe: <https://example.org/u/9f2c>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    b"Feedback-ID: may:example:news:1\r\nReply-To: shop@example.org\r\nSubject:",
)


@pytest.mark.parametrize("canonicalization", CANONICALIZATIONS)
@pytest.mark.parametrize("key", [RSA, ED], ids=["rsa", "ed25519"])
def test_what_we_sign_verifies(key, canonicalization):
    field = sign(BULK, key, NOW, canonicalization=canonicalization)
    one = verdict(field + BULK, ZONE)
    assert str(one.result) == "pass"
    assert (one.domain, one.selector) == (key.domain, key.selector)
    assert field.endswith(b"\r\n")
    assert max(map(len, field.split(b"\r\n"))) <= 78
    assert b" t=%d;" % NOW.timestamp() in field
    assert b"l=" not in field.split(b"h=")[0]


def test_dkimpy_alone_verifies_it_too():
    # without t=, which it would hold against the real clock
    old = NOW - timedelta(days=365 * 20)
    assert plain_dkimpy(sign(BULK, RSA, old) + BULK, ZONE) is True
    assert plain_dkimpy(sign(BULK, ED, old) + BULK, ZONE) is True


@given(
    st.lists(st.text("abc-", min_size=1, max_size=60), min_size=1, max_size=40),
    st.text("ab.", min_size=1, max_size=60),
    st.integers(64, 600),  # of octets: b= never fits on the line of bh=
)
@example(["from"], "a.b", 263)  # of a key with 2,100 bits
@example(["from"], "a.b", 317)
def test_the_field_is_folded_as_dkimpy_folds_it_but_for_its_faults(names, domain, octets):
    """Where b= fills its last line, dkimpy folds the CRLF, too: a line of white space, or CR CR LF, that relays take offence at."""
    tags = f"v=1; a=rsa-sha256; d={domain}; h={' : '.join(names)}; bh={'A' * 43}=; b="
    signature = bytes(octets)
    ours = signing._folded(tags) + signing._chopped(signature) + b"\r\n"
    theirs = dkim.fold(tags.encode() + b64encode(signature) + b"\r\n", namelen=len("DKIM-Signature"))
    if (len(b64encode(signature)) + len("b=")) % 71 in {0, 70}:
        assert b"\r\n \r\n" in theirs or b"\r\r\n \n" in theirs
        assert ours[:-2] == theirs.replace(b"\r\r\n \n", b"\r\n").removesuffix(b"\r\n \r\n").removesuffix(b"\r\n")
    else:
        assert ours == theirs
    assert max(map(len, (b"DKIM-Signature: " + ours).split(b"\r\n"))) <= 78
    assert all(line.strip() for line in ours[:-2].split(b"\r\n"))


def test_both_algorithms_side_by_side():
    first, second = verdicts(sign_with_all(BULK, [RSA, ED], NOW) + BULK, ZONE)
    assert (first.algorithm, second.algorithm) == ("rsa-sha256", "ed25519-sha256")
    assert str(first.result) == str(second.result) == "pass"


def test_the_same_input_gives_the_same_field():
    assert sign(BULK, RSA, NOW) == sign(BULK, RSA, NOW)


def test_one_click_and_feedback_id_are_covered_and_nothing_can_be_added():
    signed = verdict(sign(BULK, RSA, NOW) + BULK, ZONE).signed
    for name in ("list-unsubscribe", "list-unsubscribe-post", "feedback-id", "from", "to", "subject", "reply-to", "date"):
        assert signed.count(name) == 2
    assert signed.count("cc") == 1  # absent, and nobody may add one
    for name in ("received", "return-path", "dkim-signature", "bcc", "list-help"):
        assert name not in signed


@pytest.mark.parametrize("added", [b"Cc: x@example.net", b"Subject: other", b"Reply-To: x@example.net", b"From: x@example.net"])
def test_a_field_added_to_what_we_signed_is_noticed(added):
    octets = sign(MESSAGE, RSA, NOW) + added + b"\r\n" + MESSAGE
    one = verdict(octets, ZONE)
    assert str(one.result) == "fail"
    assert added.split(b":")[0].decode() + " field was added after signing" in one.reason


@pytest.mark.parametrize("added", [b"Received: by x", b"X-Spam: no", b"List-Id: <x.example.net>", b"Sender: x@example.net"])
def test_what_relays_add_breaks_nothing(added):
    assert str(verdict(sign(MESSAGE, RSA, NOW) + added + b"\r\n" + MESSAGE, ZONE).result) == "pass"


def test_a_list_of_headers_is_taken_as_it_is():
    assert verdict(sign(BULK, RSA, NOW, ["From", "Subject", "from"]) + BULK, ZONE).signed == ("from", "subject", "from")


def test_an_expiry_is_written_when_asked_for():
    field = sign(BULK, RSA, NOW, expires=NOW + timedelta(days=7))
    assert b" x=%d;" % (NOW.timestamp() + 604_800) in field
    assert str(verdict(field + BULK, ZONE).result) == "pass"


def test_every_instance_of_a_repeated_field_is_signed():
    assert default_headers(["from", "content-id", "content-id", "x-other"]).count("content-id") == 2


def test_pkcs1_keys_work_and_the_key_is_not_shown():
    traditional = serialization.load_pem_private_key(RSA.pem, None).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    key = SigningKey("Example.ORG", "S1", traditional)
    assert sign(BULK, key, NOW) == sign(BULK, RSA, NOW)
    assert "PRIVATE" not in repr(key)


ENCRYPTED = serialization.load_pem_private_key(RSA.pem, None).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
)
EC = ec.derive_private_key(7, ec.SECP256R1()).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)


@pytest.mark.parametrize(
    ("octets", "key", "more", "says"),
    [
        (b"To: a@example.net\r\n\r\nx", RSA, {}, "no From field"),
        (b"", RSA, {}, "the message is empty"),
        (MESSAGE, RSA, {"headers": ["to"]}, "has no From"),
        (MESSAGE, RSA, {"headers": ["from", "a b"]}, "something that is no field name"),
        (MESSAGE, RSA, {"headers": ["from", "x" * 61]}, "something that is no field name"),
        (MESSAGE, RSA, {"headers": ["from", "ü"]}, "something that is no field name"),
        (MESSAGE, RSA, {"canonicalization": "nofws/simple"}, "no canonicalization nofws/simple"),
        (MESSAGE, SigningKey("example.org", "s1", b"nonsense"), {}, "the private key cannot be read"),
        (MESSAGE, SigningKey("example.org", "s1", ENCRYPTED), {}, "the private key cannot be read"),
        (MESSAGE, SigningKey("example.org", "s1", EC), {}, "neither RSA nor Ed25519"),
        (MESSAGE, SigningKey("example.org", "s1", pem("rsa768")), {}, "768 bits"),
        (MESSAGE, SigningKey("a..b", "s1", RSA.pem), {}, "the domain cannot be used: the name has an empty label"),
        (MESSAGE, SigningKey("example.org", "", RSA.pem), {}, "the selector cannot be used: the name is empty"),
        (MESSAGE, SigningKey("example.org", ".".join(["a" * 20] * 4), RSA.pem), {}, "83 characters, more than the 60"),
    ],
)
def test_what_cannot_be_signed_is_refused_with_a_reason(octets, key, more, says):
    with pytest.raises(SigningError, match=says):
        sign(octets, key, NOW, **more)


@given(
    st.lists(st.sampled_from([b"Subject: a", b"X:\tb", b"To: \xc3\xa9", b"Cc:  c \r\n\td", b"Bad line", b" lead"]), max_size=5),
    st.binary(max_size=100),
    st.sampled_from(CANONICALIZATIONS),
    st.text(alphabet="abcdefghij-", min_size=1, max_size=50).filter(lambda name: name[0] != "-" != name[-1]),
)
def test_any_message_with_a_from_field_can_be_signed_and_verifies(lines, body, canonicalization, selector):
    octets = b"From: a@example.org\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body
    key = SigningKey("mail.example.org", selector, pem("ed25519"))
    field = sign(octets, key, NOW, canonicalization=canonicalization)
    zone = {f"{selector}._domainkey.mail.example.org TXT": record("ed25519")}
    assert str(verdicts(field + octets, zone)[0].result) == "pass"
