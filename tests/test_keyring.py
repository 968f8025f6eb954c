"""What is encrypted on a disk: opened in its place and with its key, and otherwise not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.keyring import OVERHEAD, BadKeys, Keyring, NotOpened, UnknownKey, is_sealed

OLD, NEW = b"o" * 32, b"n" * 32


@given(plain=st.binary(max_size=200), place=st.text(max_size=20))
def test_what_was_sealed_is_opened_in_its_place_alone(plain, place):
    piece = Keyring([OLD]).seal(place, plain)
    assert is_sealed(piece)
    assert len(piece) == len(plain) + OVERHEAD
    assert Keyring([NEW, OLD]).open(place, piece) == plain
    with pytest.raises(NotOpened, match="altered"):
        Keyring([OLD]).open(place + "x", piece)
    with pytest.raises(UnknownKey, match="not among ours"):
        Keyring([NEW]).open(place, piece)


@given(plain=st.binary(max_size=50), at=st.integers(0, 200), cut=st.booleans())
def test_every_altered_octet_is_noticed(plain, at, cut):
    ring = Keyring([OLD])
    piece = ring.seal("x", plain)
    at %= len(piece)
    changed = piece[:at] if cut else piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1 :]
    with pytest.raises(NotOpened):
        ring.open("x", changed)


def test_the_first_key_seals():
    piece = Keyring([NEW, OLD]).seal("x", b"")
    assert Keyring([NEW]).open("x", piece) == b""


def test_the_same_is_never_sealed_the_same():
    ring = Keyring([OLD])
    assert ring.seal("x", b"y") != ring.seal("x", b"y")


@given(octets=st.one_of(st.binary(max_size=200), st.text("0123456789abcdef\n ", max_size=200).map(str.encode)))
def test_a_file_is_keys_or_one_error_that_shows_nothing(octets):
    try:
        ring = Keyring.parsed(octets)
    except BadKeys as error:
        assert octets.decode("latin-1").strip()[:20] not in str(error) or len(octets.strip()) < 12
    else:
        assert ring.open("x", ring.seal("x", b"y")) == b"y"
        assert OLD.hex() not in repr(ring)


def test_a_repr_shows_no_key():
    assert "6f6f" not in repr(Keyring([OLD]))
    assert "ooo" not in repr(Keyring([OLD]))
