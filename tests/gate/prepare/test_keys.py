"""Keys: from file, environment or command, and one clear line for whatever is wrong with them."""

import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from delivcheck.gate import secret as secrets
from delivcheck.gate.prepare import PreparationError, load
from delivcheck.gate.prepare import keys as store
from delivcheck.gate.settings import Gate, Secret, SigningKey
from delivcheck.records.dkim import parse_key
from tests.gate.prepare.mail import GATE, MESSAGE, incoming, values
from tests.keys import pem, record, rsa_key


@pytest.fixture
def keep(tmp_path):
    def write(octets, name="key.pem"):
        file = tmp_path / name
        file.write_bytes(octets)
        return Secret(file=file)

    return write


def one(secret, domain="example.org", selector="s1"):
    return store.load([SigningKey(domain, selector, secret)])


def test_a_key_comes_from_file_environment_or_command(keep, monkeypatch):
    octets = pem("rsa2048")
    from_file = keep(octets)
    monkeypatch.setenv("DKIM_KEY", octets.decode())
    monkeypatch.setenv("DKIM_ONE_LINE", octets.decode().replace("\n", "\\n"))
    command = (sys.executable, "-c", "import pathlib, sys; print(pathlib.Path(sys.argv[1]).read_text())", str(from_file.file))
    for secret in (from_file, Secret(environment="DKIM_KEY"), Secret(environment="DKIM_ONE_LINE"), Secret(command=command)):
        (key,) = one(secret)
        assert (key.name, key.algorithm, key.record) == ("s1._domainkey.example.org", "rsa-sha256", record("rsa2048"))


def test_the_whole_configuration_makes_a_preparer_that_signs(keep):
    keys = (
        SigningKey("Example.ORG", "S1", keep(pem("rsa2048"))),
        SigningKey("example.org", "e1", keep(pem("ed25519"), "e.pem")),
        SigningKey("bücher.example", "b", keep(pem("rsa1024"), "b.pem")),
    )
    preparer = load(Gate(GATE, (), keys=keys))
    assert len(values(preparer.prepare(incoming()).octets, "DKIM-Signature")) == 2
    octets = MESSAGE.replace(b"news@example.org", "news@bücher.example".encode())
    (value,) = values(preparer.prepare(incoming(octets)).octets, "DKIM-Signature")
    assert "d=xn--bcher-kva.example;" in value


SHORT = rsa_key("rsa768").private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
)
ENCRYPTED = rsa_key("rsa2048").private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
)
EC = ec.derive_private_key(7, ec.SECP256R1()).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)


@pytest.mark.parametrize(
    ("octets", "says"),
    [
        (SHORT, "768 bits, and verifiers refuse fewer than 1024"),
        (ENCRYPTED, "cannot be read"),
        (EC, "neither RSA nor Ed25519"),
        (b"hello", "cannot be read"),
        (pem("rsa2048")[:900], "cannot be read"),
        (b" \n", "gives nothing"),
        (b"", "gives nothing"),
        (b"x" * 70_000, "more than 65536 octets"),
        (b"\xff\x00" * 30, "cannot be read"),
    ],
)
def test_what_is_no_key_is_said_in_one_line_without_the_key(keep, octets, says):
    with pytest.raises(PreparationError, match=says) as raised:
        one(keep(octets))
    text = str(raised.value)
    assert text.startswith("DKIM key s1._domainkey.example.org: ")
    assert "\n" not in text
    assert "PRIVATE" not in text
    assert raised.value.__suppress_context__


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        (Secret(file=Path("/nonexistent/key.pem")), "/nonexistent/key.pem cannot be read: No such file"),
        (Secret(file=Path("/")), "/ cannot be read: Is a directory"),
        (Secret(environment="DELIVCHECK_NO_SUCH"), "environment variable DELIVCHECK_NO_SUCH is not set"),
        (Secret(command=("/nonexistent/vault",)), "command /nonexistent/vault cannot be run"),
        (Secret(command=("a\x00b",)), "cannot be run"),
        (Secret(command=(sys.executable, "-c", "raise SystemExit(3)")), "ended with 3"),
        (Secret(), "neither a file nor an environment variable nor a command"),
    ],
)
def test_a_key_that_is_not_there_is_said_in_one_line(secret, says):
    with pytest.raises(PreparationError, match=says):
        one(secret)


def test_a_command_that_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr(secrets, "COMMAND", 0.2)
    with pytest.raises(PreparationError, match=r"took more than 0\.2 seconds"):
        one(Secret(command=(sys.executable, "-c", "import time; time.sleep(60)")))


@pytest.mark.parametrize(
    ("domain", "selector", "says"),
    [
        ("", "s1", "the name is empty"),
        ("exa mple.org", "s1", "no domain name has"),
        ("example.org", "s 1", "no domain name has"),
        ("example.org", "a;b" * 21, "has 63 characters, more than the 60|no domain name"),
        ("x" * 50 + "." + "y" * 50 + ".example", "s1", "more than the 60"),
    ],
)
def test_a_name_that_cannot_be_signed_with_is_said(keep, domain, selector, says):
    with pytest.raises(PreparationError, match=says):
        one(keep(pem("rsa2048")), domain, selector)


def test_the_same_selector_twice_is_an_error(keep):
    secret = keep(pem("rsa2048"))
    with pytest.raises(PreparationError, match="configured twice"):
        store.load([SigningKey("example.org", "s1", secret), SigningKey("EXAMPLE.org", "S1", secret)])


@pytest.mark.parametrize(("kind", "bits"), [("rsa", 1024), ("rsa", 2048), ("ed25519", 256)])
def test_a_new_key_can_be_used_and_its_record_is_one(keep, kind, bits):
    (key,) = one(keep(store.new(kind, bits)))
    published = parse_key(key.record)
    assert (published.kind, published.bits) == (kind, bits)


@pytest.mark.parametrize("bits", [0, -1, 1023, 4097, 10**9])
def test_no_key_of_a_size_that_nobody_should_use_is_made(bits):
    with pytest.raises(PreparationError, match="1024 to 4096"):
        store.new("rsa", bits)


def test_a_key_is_not_shown(keep):
    assert "PRIVATE" not in repr(one(keep(pem("rsa2048"))))
