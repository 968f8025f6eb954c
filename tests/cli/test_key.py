"""`delivcheck key`: a key that signs, a record that a name server publishes as it should, and no key lost."""

import os
import stat

import dns.zone
import pytest

from delivcheck.facts.dkim import Via, published
from delivcheck.facts.signing import SigningKey, sign
from delivcheck.gate.prepare.keys import STRING, zone_line
from delivcheck.model import Found
from tests.facts.dkim_world import MESSAGE, NOW, verdict
from tests.keys import pem, record


@pytest.mark.parametrize(
    ("options", "kind", "bits"),
    [
        ([], "rsa", 2048),
        (["--bits", "1024"], "rsa", 1024),
        (["--bits", "4096"], "rsa", 4096),
        (["--type", "ed25519"], "ed25519", 256),
    ],
)
def test_the_record_goes_into_a_zone_as_it_is_printed(run, options, kind, bits):
    ran = run("key", "new", "Example.org", "--selector", "S1", "--out", "s1.pem", *options)
    assert (ran.code, ran.err) == (0, "")
    zone = dns.zone.from_text(f"$TTL 300\n{ran.out}", origin=".", relativize=False, check_origin=False)
    (found,) = zone.find_rdataset("s1._domainkey.example.org.", "TXT")
    strings = found.strings
    assert all(len(one) <= STRING for one in strings)
    assert len(strings) == (1 if bits in {256, 1024} else 2 if bits == 2048 else 3)
    key = published("s1", "example.org", Via.NAMED, Found((strings,), 300))
    ((_, usable),) = key.usable
    assert (usable.kind, usable.bits) == (kind, bits)
    typed = [line.removeprefix(";   ") for line in ran.out.splitlines() if line.startswith(";   ")]
    assert typed == ["s1._domainkey.example.org", b"".join(strings).decode()], "what is typed into a form is the same record"
    assert max(map(len, ran.out.partition("\n;")[0].splitlines())) <= STRING + len("s1._domainkey.example.org. IN TXT ") + 2


def test_the_key_signs_what_its_record_verifies(run, tmp_path):
    ran = run("key", "new", "example.org", "-s", "s1", "-o", "s1.pem")
    made = (tmp_path / "s1.pem").read_bytes()
    text = "".join(line.strip().strip('"') for line in ran.out.partition(")\n")[0].splitlines()[1:])
    octets = sign(MESSAGE, SigningKey("example.org", "s1", made), NOW) + MESSAGE
    assert str(verdict(octets, {"s1._domainkey.example.org TXT": text}).result) == "pass"
    assert run("key", "show", "s1.pem").out == text + "\n"
    assert run("key", "show", "s1.pem", "--domain", "example.org", "--selector", "s1").out == ran.out


def test_only_the_owner_can_read_the_key(run, tmp_path):
    before = os.umask(0)
    try:
        assert run("key", "new", "example.org", "-s", "s1", "--type", "ed25519", "-o", "key.pem").code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    assert (tmp_path / "key.pem").read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")


def test_a_key_that_is_there_is_never_overwritten(run, tmp_path):
    (tmp_path / "key.pem").write_bytes(b"precious")
    ran = run("key", "new", "example.org", "-s", "s1", "-o", "key.pem")
    assert (ran.code, ran.out) == (2, "")
    assert "key.pem is there already, and a key is never overwritten" in ran.err
    assert (tmp_path / "key.pem").read_bytes() == b"precious"


def test_a_full_disk_leaves_no_half_key(run, tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    ran = run("key", "new", "example.org", "-s", "s1", "-o", "key.pem")
    assert (ran.code, ran.out) == (2, "")
    assert "key.pem cannot be written: No space left on device" in ran.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["new", "exa mple.org", "-s", "s1", "-o", "k"], "'exa mple.org' is no domain"),
        (["new", "example.org", "-s", "", "-o", "k"], "'' is no selector: the name is empty"),
        (["new", "example.org", "-s", "s" * 61, "-o", "k"], "the selector has 61 characters, more than the 60"),
        (["new", "example.org", "-s", "s1", "--bits", "512", "-o", "k"], "an RSA key must have 1024 to 4096 bits"),
        (["new", "example.org", "-s", "s1", "--type", "ed25519", "--bits", "2048", "-o", "k"], "--bits is for RSA keys"),
        (["new", "example.org", "-s", "s1", "--type", "dsa", "-o", "k"], "'dsa' is not one of"),
        (["new", "example.org", "-s", "s1"], "missing option '--out'"),
        (["new", "example.org", "-o", "k"], "missing option '--selector'"),
        (["new", "example.org", "-s", "s1", "-o", "nowhere/k"], "nowhere/k cannot be written: No such file or directory"),
        (["show", "k", "--domain", "example.org"], "--domain and --selector go together"),
        (["make"], "no such command 'make'"),
    ],
)
def test_a_wrong_command_line_gets_one_line_and_makes_nothing(run, tmp_path, arguments, says):
    ran = run("key", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert ran.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("octets", "says"),
    [
        (b"hello", "k: the private key cannot be read"),
        (b"", "k gives nothing"),
        (None, "k cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_is_no_key_is_an_input_that_cannot_be_read(run, tmp_path, octets, says):
    if octets is not None:
        (tmp_path / "k").write_bytes(octets)
    ran = run("key", "show", "k")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith(f"delivcheck: {says}")
    assert ran.err.count("\n") == 1


def test_show_prints_no_private_key(run, tmp_path):
    (tmp_path / "k").write_bytes(pem("rsa2048"))
    ran = run("key", "show", "k")
    assert ran.out == record("rsa2048") + "\n"


def test_a_domain_of_other_letters_is_written_as_dns_has_it(run):
    assert run("key", "new", "bücher.example", "-s", "ü", "--type", "ed25519", "-o", "k").out.startswith(
        'xn--tda._domainkey.xn--bcher-kva.example. IN TXT "v=DKIM1; k=ed25519; p='
    )


def test_a_text_of_exactly_one_string_is_not_divided():
    assert zone_line("a.example", "x" * STRING) == f'a.example. IN TXT "{"x" * STRING}"'
    assert zone_line("a.example", "x" * (STRING + 1)).splitlines()[2].strip() == '"x"'
