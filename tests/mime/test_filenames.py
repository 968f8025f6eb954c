"""The names that one reader or another gives a file."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.mime.filenames import filenames
from delivcheck.mime.message import parse


def names(*fields: str) -> tuple[str, ...]:
    return filenames(parse(("\r\n".join(fields) + "\r\n\r\nx").encode("utf-8", "surrogateescape")).root)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["Content-Disposition: attachment; filename=a.txt"], ("a.txt",)),
        (["Content-Type: image/png; name=a.png", "Content-Disposition: inline; filename=b.png"], ("b.png", "a.png")),
        (["Content-Disposition: inline; name=a.png"], ("a.png",)),  # `name` there, `filename` in Content-Type: some read them
        (["Content-Type: image/png; filename=a.png"], ("a.png",)),
        (["Content-Disposition: x; filename=a", "Content-Disposition: x; filename=b"], ("a", "b")),
        (["Content-Disposition: x; filename=a.txt; filename=b.exe"], ("a.txt", "b.exe")),
        (["Content-Disposition: x; filename*0=a.txt; filename*0=b; filename*1=.exe"], ("a.txt.exe", "a.txtb.exe")),
        (["Content-Disposition: x; filename*=utf-8''%C3%BC; filename=u"], ("ü", "u")),
        (['Content-Disposition: x; filename="=?utf-8?q?a=2Eexe?="'], ("a.exe", "=?utf-8?q?a=2Eexe?=")),
        (["Content-Disposition: x; filename='a.exe'"], ("'a.exe'", "a.exe")),
        (['Content-Disposition: x; x=(; filename="a.exe"'], ("a.exe",)),
        (['Content-Type: image/png; x="y\\"; name="a.exe"'], ("a.exe",)),
        (["Content-Type: image; name=a.exe"], ("a.exe",)),
        (["Content-Disposition: x; x=(; filename=a.exe ; y"], ("a.exe",)),
        (["Content-Disposition: x; filename="], ()),
        (["Subject: name=a.exe"], ()),
    ],
)
def test_every_name_counts_once(fields: list[str], expected: tuple[str, ...]) -> None:
    assert names(*fields) == expected


@given(
    st.lists(
        st.sampled_from(["filename", "name", "*", "0", "=", '"', "'", "(", ")", ";", "\\", "a", " ", "=?utf-8?q?a?=", "%41"])
    )
)
def test_it_never_raises(pieces: list[str]) -> None:
    assert "" not in names("Content-Disposition: x; " + "".join(pieces), "Content-Type: a/b; " + "".join(pieces))


@pytest.mark.parametrize("piece", ["name(", "name=", "name =(a)=", 'name="', "filename=a; ", "name   "])
def test_it_takes_linear_time(piece: str) -> None:
    begin = time.process_time()
    names("Content-Disposition: x; x=(; " + piece * (100_000 // len(piece)))
    assert time.process_time() - begin < 5
