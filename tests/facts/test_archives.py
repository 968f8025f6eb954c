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
    assert found.troubles == ((("inner.zip", "a.zip"), Trouble.UNREAD),)


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


# --- what a file could hide behind ----------------------------------------------------------------------------------

PROGRAM = zipped({"evil.exe": b"MZ"})


def entry(name, content=b"", kind=b"0", *, size=None, patch=()):
    """One file of a tar as its format has it, with whatever else is put into its header."""
    head = bytearray(tarfile.TarInfo(name).tobuf(tarfile.USTAR_FORMAT))
    head[124:136] = size or b"%011o\0" % len(content)
    head[156:157] = kind
    for place, octets in patch:
        head[place : place + len(octets)] = octets
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + content + bytes(-len(content) % 512)


def pax(keyword, value, kind=b"x"):
    line = f" {keyword}={value}\n".encode()
    return entry("pax", b"%d" % (len(line) + 2) + line, kind)


def names(name, data):
    return [member.name for member in look_into(name, data).members]


EVIL = entry("evil.exe", b"MZ")
BASE_256 = b"\x80" + bytes(9) + b"\x04\0"  # 1024


@pytest.mark.parametrize(
    "data",
    [
        pax("path", "evil.exe") + entry("readme.txt", b"MZ"),
        pax("path", "evil.exe", b"X") + entry("readme.txt", b"MZ"),
        pax("path", "evil.exe", b"g") + entry("readme.txt", b"MZ"),
        pax("GNU.sparse.name", "evil.exe") + entry("readme.txt", b"MZ"),
        pax("path", "readme.txt") + EVIL,
        entry("evil.exe", b"MZ", b"S"),
        entry("a.txt", bytes(512) + b"map", b"S", size=b"%011o\0" % 3, patch=((482, b"\1"),)) + EVIL,
        entry("evil.exe", b"MZ", b"Z"),
        entry("evil.exe", kind=b"1"),
        entry("evil.exe/", b"MZ"),
        entry("a.txt", bytes(1024), size=BASE_256) + EVIL,
        entry("a.txt", bytes(1024), size=b"\xff" + BASE_256[1:]) + EVIL,
        pax("size", "1024") + entry("a.txt", bytes(1024), size=b"0" * 12) + EVIL,
        entry("folder/", kind=b"5", size=b"%011o\0" % 1024) + EVIL,
        entry("a.txt") + bytes(2048) + EVIL,
    ],
    ids=range(15),
)
def test_every_program_in_a_tar_is_seen(data):
    assert "exe" in {extension(name) for name in names("a.tar", data + bytes(1024))}


def test_a_tar_of_python_has_its_names():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("d" * 300 + "/ä.txt", "notes.txt"):
            archive.addfile(tarfile.TarInfo(name))
        renamed = tarfile.TarInfo("readme.txt")
        renamed.pax_headers = {"path": "evil.exe", "comment": "x"}
        archive.addfile(renamed)
    assert names("a.tar", out.getvalue()) == ["d" * 300 + "/ä.txt", "notes.txt", "evil.exe", "readme.txt"]


@pytest.mark.parametrize("records", [b"x", b"0 path=a\n", b"3 path=a\n", b"99999999999999999999 path=", b"10 size=-1\n", b""])
def test_broken_pax_records_change_no_name(records):
    assert names("a.tar", entry("pax", records, b"x") + EVIL)[-1] == "evil.exe"


def test_pax_records_cost_steps():
    room = archives.Room()
    room.headers.steps = 100
    data = entry("pax", b"4 a\n" * 200, b"x") + EVIL
    assert look_into("a.tar", data, room).troubles == ((("a.tar",), Trouble.UNREAD),)


def test_a_folder_is_no_file():
    assert names("a.tar", entry("a.txt") + entry("x.exe/", kind=b"5") + entry("y.exe/", kind=b"\0")) == ["a.txt"]


def test_a_tar_without_a_header_is_damaged():
    assert look_into("a.tar", b"x" * 2000).troubles == ((("a.tar",), Trouble.DAMAGED),)
    assert not look_into("a.tar", bytes(10_240)).troubles  # an empty one


def test_the_end_of_a_long_name_is_kept():
    (member,) = look_into("a.zip", zipped({"x" * 2000 + ".exe": b""})).members
    assert extension(member.name) == "exe"
    assert len(member.name) == archives.MAX_NAME


@pytest.mark.parametrize(
    "before", [gzip.compress(b"x", mtime=0), b"BZh91AY", b"7z\xbc\xaf\x27\x1c", tarred({"a.txt": b"x"}), b"MZ"]
)
def test_a_zip_is_one_whatever_stands_before_it(before):
    found = look_into("a.zip", before + PROGRAM)
    assert "evil.exe" in {member.name for member in found.members}
    assert Trouble.DAMAGED not in {trouble for _, trouble in found.troubles}


@pytest.mark.parametrize(("name", "data"), [("a.zip", gzip.compress(b"x", mtime=0)), ("a.rar", PROGRAM), ("a.tar", PROGRAM)])
def test_an_archive_under_the_name_of_another_is_what_it_is(name, data):
    found = look_into(name, data)
    assert len(found.members) == 1
    assert not found.troubles


def test_a_part_of_a_document_hides_no_archive():
    whole = zipped({"[Content_Types].xml": b"", "in.zip": PROGRAM})
    assert "evil.exe" in names("a.zip", whole)
    assert "evil.exe" not in names("a.docx", whole)


def test_a_folder_with_content_is_a_file():
    assert names("a.zip", zipped({"evil.exe/": b"MZ", "empty/": b""})) == ["evil.exe"]


def test_a_program_that_unpacks_a_rar_behind_it_is_passed_over():
    assert look_into("a.rar", b"MZ" + bytes(100) + _rar4(0x0080)).troubles == ((("a.rar",), Trouble.HIDDEN),)
    assert look_into("a.rar", b"MZ" + bytes(100)).troubles == ((("a.rar",), Trouble.DAMAGED),)


@pytest.mark.parametrize(("name", "data"), [("a.tar.zst", b"\x28\xb5\x2f\xfd"), ("a", b"\x28\xb5\x2f\xfd"), ("a.LZH", b"x")])
def test_what_has_no_reader_here_is_not_read(name, data):
    assert look_into(name, data).troubles == (((name,), Trouble.UNREAD),)


def test_headers_of_a_message_share_what_they_may_cost():
    room = archives.Room()
    room.headers.steps = 15
    data = b"Rar!\x1a\x07\x00" + struct.pack("<HBHH", 0, 0x73, 0, 13) + bytes(6)
    assert not look_into("a.rar", data, room).troubles
    assert look_into("b.rar", data, room).troubles == ((("b.rar",), Trouble.UNREAD),)


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
