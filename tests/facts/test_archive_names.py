"""Names in rar and 7z archives, which are put together here as their formats say; and whatever else somebody may send."""

import lzma
import struct
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.facts.archive_names import (
    MAX_DICTIONARY,
    MAX_FILES,
    MAX_HEADERS,
    MAX_STEPS,
    Allowance,
    BadArchive,
    Named,
    names_in,
)
from tests.checks.content_world import judge, mixed
from tests.checks.test_mime import attached

PLAIN = [Named("run.exe", encrypted=False), Named("notes/ä.txt", encrypted=False)]
LOCKED = [Named("run.exe", encrypted=True)]

# --- rar ---------------------------------------------------------------------------------------------------------


def rar4(*files, end=True):
    out = b"Rar!\x1a\x07\x00" + struct.pack("<HBHH", 0, 0x73, 0, 13) + bytes(6)
    for name, flags in files:
        encoded = name.encode()
        high = bytes(8) if flags & 0x100 else b""
        head = struct.pack(
            "<HBHHIIBIIBBHI", 0, 0x74, flags | 0x8000, 32 + len(high) + len(encoded), 3, 3, 3, 0, 0, 29, 0x30, len(encoded), 0
        )
        out += head + high + encoded + b"xyz"
    return out + (struct.pack("<HBHH", 0, 0x7B, 0x4000, 7) if end else b"")


def vint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def block(kind, body, *, extra=b"", packed=b""):
    flags = bool(extra) | 2 * bool(packed)
    head = (
        vint(kind) + vint(flags) + (vint(len(extra)) if extra else b"") + (vint(len(packed)) if packed else b"") + body + extra
    )
    return bytes(4) + vint(len(head)) + head + packed


def rar5(*files, end=True):
    out = b"Rar!\x1a\x07\x01\x00" + block(1, vint(0))
    for name, what, extra in files:
        stamps = bytes(4) * (bool(what & 2) + bool(what & 4))
        body = vint(what) + vint(3) + vint(32) + stamps + vint(0) + vint(1) + vint(len(name.encode())) + name.encode()
        out += block(2, body, extra=extra, packed=b"xyz")
    return out + (block(5, vint(0)) if end else b"")


TIME, CRYPT = b"\x02\x03\x00", b"\x02\x01\x00"  # records behind a file's header: size, type, what belongs to it


@pytest.mark.parametrize("end", [True, False])
def test_rar(end):
    assert names_in("rar", rar4(("run.exe", 0), ("folder", 0xE0), ("notes/ä.txt", 0x100), end=end)) == PLAIN
    assert names_in("rar", rar5(("run.exe", 6, b""), ("folder", 1, b""), ("notes/ä.txt", 0, TIME), end=end)) == PLAIN


def test_encrypted_rar():
    assert names_in("rar", rar4(("run.exe", 0x04))) == LOCKED
    assert names_in("rar", rar5(("run.exe", 0, TIME + CRYPT))) == LOCKED


def test_a_unicode_name_of_rar_4_goes_on_behind_a_nul():
    assert names_in("rar", rar4(("a.exe\0\1\2", 0x200))) == [Named("a.exe", encrypted=False)]


# --- 7z ----------------------------------------------------------------------------------------------------------


def number(value):
    if value < 0x80:
        return bytes([value])
    return (
        b"\xc0" + value.to_bytes(2, "little")
        if value < 0x4000
        else bytes([0xE0 | value >> 24]) + (value & 0xFFFFFF).to_bytes(3, "little")
    )


def prop(kind, content):
    return bytes([kind]) + number(len(content)) + content


COPY, AES = b"\x01\x00", b"\x24\x06\xf1\x07\x01\x00"  # coders: flags, id, properties


def header(names, *, coder=COPY, empty=(), files=(), digests=True, more=b"", before=b""):
    """A header with all files in one folder; `empty` and `files` are the bits of those properties."""
    full = len(names) - sum(empty)
    pack = b"\x06" + number(0) + number(1) + b"\x09" + number(3) + b"\x00"
    unpack = b"\x07\x0b" + number(1) + b"\x00" + number(1) + coder + b"\x0c" + number(3)
    unpack += (b"\x0a\x01" + bytes(4) if digests else b"") + b"\x00"
    sizes = b"\x09" + number(1) * (full - 1) if full > 1 else b""
    known = b"\x0a\x00" + bits([True] * full) + bytes(4 * full) if full > 1 or not digests else b""
    sub = b"\x08\x0d" + number(full) + sizes + known + b"\x00"
    listed = (
        number(len(names))
        + (prop(0x0E, bits(empty)) if any(empty) else b"")
        + (prop(0x0F, bits(files)) if files else b"")
        + more
    )
    listed += prop(0x11, b"\x00" + b"".join(name.encode("utf-16-le") + b"\0\0" for name in names)) + b"\x00"
    return b"\x01" + before + b"\x04" + pack + unpack + sub + b"\x00" + b"\x05" + listed + b"\x00"


def bits(values):
    padded = [*values, *[False] * (-len(values) % 8)]
    return bytes(
        sum(value << 7 - index for index, value in enumerate(padded[start : start + 8])) for start in range(0, len(padded), 8)
    )


def seven(head, packed=b"xyz"):
    return b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(4) + struct.pack("<QQ", len(packed), len(head)) + bytes(4) + packed + head


def encoded(head, method=b"\x03\x01\x01", dictionary=1 << 16, size=None):
    """The same header packed, and the header that says how."""
    if method == b"\x21":
        chain, properties = {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 16}, bytes([10])
    else:
        chain, properties = (
            {"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2},
            b"\x5d" + struct.pack("<I", dictionary),
        )
    packed = lzma.compress(head, lzma.FORMAT_RAW, filters=[chain])
    coder = bytes([0x20 | len(method)]) + method + number(len(properties)) + properties
    outer = b"\x17\x06" + number(0) + number(1) + b"\x09" + number(len(packed)) + b"\x0a\x01" + bytes(4) + b"\x00"
    outer += (
        b"\x07\x0b"
        + number(1)
        + b"\x00"
        + number(1)
        + coder
        + b"\x0c"
        + number(len(head) if size is None else size)
        + b"\x00\x00"
    )
    return seven(outer, packed)


NAMES = ["run.exe", "notes/ä.txt"]


@pytest.mark.parametrize(
    "data",
    [
        seven(header(NAMES)),
        seven(header(NAMES, digests=False)),
        seven(header(NAMES, before=b"\x02\x01" + number(2) + b"ab\x00")),
        seven(header(NAMES, before=b"\x03" + b"\x00", more=prop(0x14, b"\x01\x00" + bytes(16)) + prop(0x19, bytes(3)))),
        seven(header([*NAMES, "folder"], empty=[False, False, True])),
        encoded(header(NAMES)),
        encoded(header(NAMES), method=b"\x21"),
    ],
    ids=range(7),
)
def test_seven(data):
    assert names_in("7z", data) == PLAIN


def test_encrypted_seven_and_its_empty_file():
    data = seven(header(["run.exe", "empty.js", "folder"], coder=AES, empty=[False, True, True], files=[True, False]))
    assert names_in("7z", data) == [*LOCKED, Named("empty.js", encrypted=False)]


def test_many_files():
    names = [f"{index}.txt" for index in range(400)]
    assert [one.name for one in names_in("7z", encoded(header(names)))] == names


def test_coders_that_are_bound_together():
    """BCJ2 has four streams in: its bonds and packed streams are counted."""
    bound = b"\x14\x03\x03\x01\x1b" + number(4) + number(1) + COPY + COPY
    data = seven(
        header(["run.exe"])
        .replace(number(1) + COPY, number(3) + bound + number(0) * 4 + number(0) * 4)
        .replace(b"\x0c" + number(3), b"\x0c" + number(3) * 3)
    )
    assert names_in("7z", data) == [Named("run.exe", encrypted=False)]


def test_nothing_in_it():
    assert names_in("7z", seven(b"")) == []
    assert names_in("7z", seven(b"\x01\x00")) == []
    assert names_in("rar", b"Rar!\x1a\x07\x00") == []


@pytest.mark.parametrize(
    "data",
    [
        seven(b"\x17" * 20),
        seven(b"\x01\x04\x99"),
        seven(b"\x01\x04\x07\x00"),
        seven(b"\x01\x04\x07\x0b\x01\x01"),
        seven(b"\x01\x04\x07\x0b\x01\x00\x00"),
        seven(b"\x01\x05" + b"\xff" * 9),
        seven(header(NAMES).replace(b"\x0d" + number(2), b"\x0d" + b"\xe0\xff\xff\xff")),
        seven(header(NAMES)[:-20]),
        encoded(encoded(encoded(encoded(header(NAMES))[32:])[32:])[32:]),
        encoded(header(NAMES), dictionary=MAX_DICTIONARY + 1),
        encoded(header(NAMES), size=100_000_000),
        encoded(header(NAMES)).replace(b"\x23\x03\x01\x01", b"\x23\x03\x01\x02"),
    ],
    ids=range(12),
)
def test_what_cannot_be_read(data):
    with pytest.raises(BadArchive):
        names_in("7z", data)


@pytest.mark.parametrize(
    "data",
    [
        b"Rar!\x1a\x07\x01\x00" + bytes(4) + b"\xff" * 20,
        b"Rar!\x1a\x07\x00" + struct.pack("<HBHH", 0, 0x74, 0, 7) + bytes(3),
        b"Rar!\x1a\x07\x00" + struct.pack("<HBHH", 0, 0x73, 0, 7) * (2 * MAX_FILES + 1),
        b"Rar!\x1a\x07\x01\x00" + block(1, b"") * (2 * MAX_FILES + 1),
    ],
    ids=range(4),
)
def test_what_is_no_rar(data):
    with pytest.raises(BadArchive):
        names_in("rar", data)


def test_a_header_of_rar_5_ends_where_it_says():
    """What reaches beyond it would be copied, and walked through, once for each of the headers."""
    head = rar5(("run.exe", 0, TIME))
    assert names_in("rar", head)
    for beyond in (
        head.replace(b"\x14\x02\x03\x03", b"\x14\x02\x03\x7f"),  # the size of the records
        head.replace(vint(7) + b"run.exe", b"\x7frun.exe"),  # and of the name
    ):
        assert beyond != head
        with pytest.raises(BadArchive):
            names_in("rar", beyond + bytes(500))


def test_a_name_of_rar_4_ends_with_its_header():
    with pytest.raises(BadArchive):
        names_in("rar", rar4(("run.exe", 0)).replace(b"\x07\x00\0\0\0\0run", b"\xff\xff\0\0\0\0run") + bytes(99_999))


def test_long_names_that_overlap_take_no_memory():
    head = rar5(("x", 0, b""), end=False)[len(rar5(end=False)) :].replace(vint(1) + b"x", vint(10_000_000) + b"x")
    data = rar5(end=False) + (bytes(4) + vint(len(head) - 2) + head[5:]) * 4000 + b"y" * 80_000
    tracemalloc.start()
    with pytest.raises(BadArchive):
        names_in("rar", data)
    assert tracemalloc.get_traced_memory()[1] < 10 * len(data)
    tracemalloc.stop()


def unfolding(size):
    """A 7z header of that size: 20,000 packed streams whose digests are told again and again."""
    once = b"\x0a\x00" + bytes(2500)
    return b"\x01\x04\x06" + number(0) + b"\xc0" + (20_000).to_bytes(2, "little") + once * (size // len(once))


def test_a_packed_header_costs_steps_not_its_size():
    data = encoded(unfolding(200_000))  # 800 octets, and 16 MB of the same in 2,400
    allowance = Allowance()
    with pytest.raises(BadArchive, match="more to read"):
        names_in("7z", data, allowance)
    assert allowance.octets < MAX_HEADERS


def test_all_archives_share_an_allowance():
    allowance = Allowance(steps=500, octets=1000)
    data = encoded(header(NAMES))
    assert names_in("7z", data, allowance) == PLAIN
    allowance.octets = 10
    with pytest.raises(BadArchive, match="too large"):
        names_in("7z", data, allowance)
    with pytest.raises(BadArchive):
        names_in("rar", rar5(("run.exe", 0, TIME * 500)), Allowance(steps=100))


def test_twenty_thousand_files_are_allowed():
    names = [f"{index}.txt" for index in range(MAX_FILES)]
    allowance = Allowance()
    assert len(names_in("7z", encoded(header(names)), allowance)) == MAX_FILES
    assert allowance.steps > MAX_STEPS / 2


SAMPLES = [
    ("rar", rar4(("run.exe", 0), ("b", 0x100))),
    ("rar", rar5(("run.exe", 6, TIME), ("b", 0, CRYPT))),
    ("7z", seven(header(NAMES))),
    ("7z", encoded(header(NAMES))),
]


@given(st.data())
def test_it_returns_or_raises_the_one_error(data):
    kind, whole = data.draw(st.sampled_from(SAMPLES))
    octets = bytearray(whole)
    for place in data.draw(st.lists(st.integers(8, len(octets) - 1), max_size=8)):
        octets[place] = data.draw(st.integers(0, 255))
    started = time.process_time()
    try:
        found = names_in(kind, bytes(octets[: data.draw(st.integers(8, len(octets)))]))
        assert len(found) <= 2 * MAX_FILES
    except BadArchive:
        pass
    assert time.process_time() - started < 5


# --- and the rule ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "data"), [("a.rar", SAMPLES[0][1]), ("a.rar", SAMPLES[1][1]), ("a.7z", SAMPLES[3][1])])
def test_a_program_in_such_an_archive_is_blocked(name, data):
    (problem,) = judge("mime/blocked-attachment", mixed(attached(f"filename={name}", data))).problems
    assert f"run.exe in {name}" in problem.message


def test_an_archive_whose_names_cannot_be_read_is_undecided():
    data = mixed(attached("filename=a.7z", seven(b"\x17" * 20)))
    assert judge("mime/blocked-attachment", data).outcome == "unknown"
    assert judge("mime/opaque-archive", data).outcome == "unknown"
