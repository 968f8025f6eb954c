"""Archives: listed as far as their tables of contents tell, bounded, and never an exception."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import time
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.facts import archives
from delivcheck.facts.archives import Member, Trouble, extension, look_into


def zipped(members, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(members, form=tarfile.GNU_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("setup.exe", "exe"),
        ("SETUP.EXE. ", "exe"),
        ("folder.d/readme", ""),
        ("C:\\x\\run.Js", "js"),
        (".profile", "profile"),
        ("", ""),
        ("a.b.", "b"),
    ],
)
def test_the_last_extension_is_the_one_windows_sees(name, last):
    assert extension(name) == last


TAR = tarred({"docs/run.js": b"x", "y" * 150 + ".txt": b"z"})
PACKED = {"a.tar": TAR, "a.tar.gz": gzip.compress(TAR), "a.tbz2": bz2.compress(TAR), "a.txz": lzma.compress(TAR)}


@pytest.mark.parametrize("name", PACKED)
def test_a_tar_is_listed_however_it_is_compressed(name):
    assert [member.path for member in look_into(name, PACKED[name]).members] == [
        ("docs/run.js", name),
        ("y" * 150 + ".txt", name),
    ]


def test_ustar_prefixes_belong_to_the_name():
    name = "d" * 100 + "/" + "f" * 90 + ".exe"
    assert look_into("a.tar", tarred({name: b"x"}, tarfile.USTAR_FORMAT)).members[0].name == name


@pytest.mark.parametrize(
    ("name", "inside"), [("report.csv.gz", "report.csv"), ("report.gz", "report"), ("gz", None), ("x/run.js.gz", "run.js")]
)
def test_a_compressed_file_is_called_as_its_archive_without_the_ending(name, inside):
    found = look_into(name, gzip.compress(b"a;b"))
    assert [member.name for member in found.members] == [inside or name]


def test_archives_in_archives_are_listed_two_levels_deep():
    third = zipped({"deep.txt": b"x"})
    inner = zipped({"run.exe": b"x", "third.zip": third})
    outer = zipped({"folder/": b"", "inner.zip": inner, "plain.txt": b"x"})
    found = look_into("a.zip", outer)
    assert Member(("run.exe", "inner.zip", "a.zip")) in found.members
    assert found.troubles == ((("third.zip", "inner.zip", "a.zip"), Trouble.NESTED),)


def test_a_tar_may_hold_an_archive_too():
    found = look_into("a.tar", tarred({"inner.zip": zipped({"run.exe": b"x"})}))
    assert Member(("run.exe", "inner.zip", "a.tar")) in found.members


def test_a_document_is_no_archive_though_it_is_a_zip():
    found = look_into("a.docx", zipped({"[Content_Types].xml": b"", "word/embeddings/x.zip": b"no archive"}))
    assert not found.troubles


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_cannot_be_unpacked_up_to_a_limit_is_not_unpacked(method):
    found = look_into("a.zip", zipped({"inner.zip": zipped({"run.exe": b"x"})}, method))
    assert [member.name for member in found.members] == ["inner.zip"]


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.gz", "a.bz2", "a.xz", "a.7z", "a.tgz"])
def test_what_is_no_archive_in_spite_of_its_name_is_damaged(name):
    assert look_into(name, b"hello").troubles == (((name,), Trouble.DAMAGED),)


def test_what_is_no_archive_is_none():
    assert look_into("a.pdf", b"%PDF-1.4") is None


def test_bombs_stop_at_the_limit():
    bomb = zipped({"inner.zip": bytes(2 * archives.MAX_UNPACKED)})
    started = time.monotonic()
    assert look_into("a.zip", bomb).troubles[0][1] is Trouble.LIMIT
    assert look_into("a.gz", gzip.compress(bytes(2 * archives.MAX_UNPACKED))).troubles[0][1] is Trouble.LIMIT
    assert time.monotonic() - started < 50


def test_many_bombs_side_by_side_cost_no_more_than_one():
    bomb = bytes(archives.MAX_UNPACKED + 1)
    many = zipped({f"{number}.zip": bomb for number in range(40)})
    started = time.process_time()
    found = look_into("a.zip", many)
    assert time.process_time() - started < 10
    assert len(found.members) == 40
    assert [trouble for _, trouble in found.troubles] == [Trouble.LIMIT]


def test_all_attachments_of_a_message_share_the_room():
    bomb = gzip.compress(bytes(2 * archives.MAX_UNPACKED))
    room = archives.Room(archives.MAX_UNPACKED + 5)
    found = [look_into("a.gz", bomb, room) for _ in range(3)]
    assert room.left == 0
    assert found[2].troubles == ((("a.gz",), Trouble.LIMIT),)
    assert look_into("a.zip", zipped({"b.zip": zipped({"run.exe": b""})}), room).troubles == (
        (("b.zip", "a.zip"), Trouble.LIMIT),
    )
    assert not look_into("a.zip", zipped({"run.exe": b"x"}), room).troubles  # a table of contents costs nothing


@pytest.mark.parametrize(("name", "pack"), [("a.tar.gz", gzip.compress), ("a.tbz2", bz2.compress), ("a.txz", lzma.compress)])
def test_what_follows_the_first_compressed_member_hides_nothing(name, pack):
    cut = TAR.index(b"docs/run.js") + 512
    found = look_into(name, pack(TAR[:cut]) + pack(TAR[cut:]) + bytes(512))
    assert "docs/run.js" in {member.name for member in found.members}
    assert not found.troubles


def test_a_thousand_compressed_members_are_not_unpacked():
    assert look_into("a.gz", gzip.compress(b"x") * 1000).troubles == ((("a.gz",), Trouble.DAMAGED),)


def test_more_files_than_the_limit_are_not_listed(monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    many = {f"{number}.txt": b"" for number in range(4)}
    assert look_into("a.zip", zipped(many)).troubles == ((("a.zip",), Trouble.LIMIT),)
    found = look_into("a.tar", tarred(many))
    assert len(found.members) == 2
    assert found.troubles == ((("a.tar",), Trouble.LIMIT),)
    nested = look_into("a.zip", zipped({"b.zip": zipped({"1": b"", "2": b""}), "c": b""}))
    assert nested.troubles == ((("b.zip", "a.zip"), Trouble.LIMIT),)


def _rar4(flags):
    return b"Rar!\x1a\x07\x00" + struct.pack("<HBHH", 0, 0x73, flags, 13) + bytes(6)


def _rar5(kind):
    return b"Rar!\x1a\x07\x01\x00" + bytes(4) + b"\x8a\x01" + bytes([kind]) + bytes(8)


def _7z(header):
    return b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(4) + struct.pack("<QQ", 2, len(header)) + bytes(4) + b"xx" + header


@pytest.mark.parametrize(
    ("name", "data", "trouble"),
    [
        ("a.rar", _rar4(0x0000), []),
        ("a.rar", _rar4(0x0080), [Trouble.HIDDEN]),
        ("a.rar", _rar5(5), []),
        ("a.rar", _rar5(4), [Trouble.HIDDEN]),
        ("a.7z", _7z(b"\x01\x04\x06"), [Trouble.UNREAD]),
        ("a.7z", _7z(b"\x17\x06\x24\x06\xf1\x07\x01"), [Trouble.HIDDEN]),
        ("a.7z", _7z(b"\x17\x06\x23\x03\x01\x01"), [Trouble.UNREAD]),
    ],
)
def test_an_encrypted_table_of_contents_is_told_without_reading_it(name, data, trouble):
    assert [each for _, each in look_into(name, data).troubles] == trouble


MAGIC = [b"PK\x03\x04", b"Rar!\x1a\x07\x01\x00", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\x00", b""]


@given(
    st.sampled_from(MAGIC), st.binary(max_size=600), st.sampled_from(["a.zip", "a.tar", "a.tgz", "a.gz", "a.xz", "a.7z", "a"])
)
def test_it_returns_whatever_the_octets(magic, rest, name):
    look_into(name, magic + rest)


@given(st.data())
def test_it_returns_whatever_became_of_an_archive(data):
    name, whole = data.draw(st.sampled_from([("a.zip", zipped({"b.zip": zipped({"c": b"x" * 50})})), *PACKED.items()]))
    octets = bytearray(whole)
    for place in data.draw(st.lists(st.integers(0, len(octets) - 1), max_size=8)):
        octets[place] = data.draw(st.integers(0, 255))
    look_into(name, bytes(octets[: data.draw(st.integers(0, len(octets)))]))
