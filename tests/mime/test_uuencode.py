"""Files written into texts as uuencode."""

import binascii
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.mime.uuencode import uuencoded


def written(name: str, octets: bytes, *, mime: bool = False) -> bytes:
    """As the uuencode utility writes it."""
    if mime:
        return f"begin-base64 644 {name}\n".encode() + binascii.b2a_base64(octets) + b"====\n"
    lines = [binascii.b2a_uu(octets[start : start + 45]) for start in range(0, len(octets), 45)]
    return f"begin 644 {name}\n".encode() + b"".join(lines) + b"`\nend\n"


@given(st.binary(min_size=1, max_size=300), st.booleans(), st.sampled_from([b"\n", b"\r\n"]))
def test_what_was_written_is_read(octets: bytes, mime: bool, line_end: bytes) -> None:
    text = (b"Hello\n" + written("a b.exe", octets, mime=mime) + b"Bye\n").replace(b"\n", line_end)
    (found,) = uuencoded(text)
    assert (found.name, found.octets) == ("a b.exe", octets)
    assert text[found.start : found.end].endswith(b" a b.exe")


@pytest.mark.parametrize(
    "text",
    [
        b"begin 644 x.exe\nand then its lines",
        b"begin 644 x.exe\n\nend\n",
        b"begin 644 x.exe",
        b"begin 644 x.exe\n",
        b"begin now x.exe\n" + b'"35H\n',
        b" begin 644 x.exe\n" + b'"35H\n',
        b"begin-base64 644 x.exe\nnot base64!\n",
    ],
)
def test_a_sentence_about_it_is_none(text: bytes) -> None:
    assert list(uuencoded(text)) == []


def test_one_follows_the_other_and_an_end_may_be_missing() -> None:
    text = written("a", b"1" * 50) + b'begin 644 b\n"35H\nbegin 644 c\n"35H'
    assert [(found.name, len(found.octets)) for found in uuencoded(text)] == [("a", 50), ("b", 2), ("c", 2)]


@given(
    st.lists(
        st.sampled_from(
            [b"begin 644 x\n", b"begin-base64 600 y\r\n", b'"35H\n', b"`\n", b"end\n", b"M", b"TVo=\n", b"\xff", b"\n"]
        )
    )
)
def test_it_never_raises(pieces: list[bytes]) -> None:
    for found in uuencoded(b"".join(pieces)):
        assert found.octets
        assert found.start < found.end


@pytest.mark.parametrize("line", [b"begin 644 x\n", b'begin 644 x\n"35H\n', b"begin 644 x\nM" + b"0" * 60 + b"\n"])
def test_it_takes_linear_time(line: bytes) -> None:
    begin = time.process_time()
    assert sum(1 for _ in uuencoded(line * 50_000)) in {0, 50_000}
    assert time.process_time() - begin < 5
