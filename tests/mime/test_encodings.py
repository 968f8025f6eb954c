"""Transfer encodings and charsets decode like the standard library, never raise, and know where each character was."""

import base64
import quopri
import re
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.mime import encodings
from delivcheck.mime.charsets import TextOrigins, codec_of, decode
from delivcheck.mime.defects import DefectKind
from delivcheck.mime.encodings import (
    Origins,
    base64_faults,
    decode_base64,
    decode_quoted_printable,
    is_base64,
    quoted_printable_faults,
)

QP_LIKE = st.lists(
    st.sampled_from(
        [b"=", b"=\r\n", b"=\n", b"=3D", b"=3d", b"=XY", b" ", b"\t", b"\r\n", b"\n", b"\r", b"a", b"=\r", b"\xfc", b"3", b"D"]
    )
).map(b"".join)
BASE64_LIKE = st.lists(st.sampled_from([b"QUJD", b"=", b"\r\n", b" ", b"!", b"A", b"+/", b"\xfc"])).map(b"".join)


@given(st.binary())
def test_what_was_encoded_comes_back_without_fault(data: bytes) -> None:
    for lines in (base64.encodebytes(data), base64.encodebytes(data).replace(b"\n", b"\r\n")):
        assert decode_base64(lines) == data
        assert list(base64_faults(lines)) == []
        assert is_base64(lines.translate(None, b"\r\n"))


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"])).map(str.encode))
def test_quoted_printable_text_comes_back(data: bytes) -> None:
    assert decode_quoted_printable(quopri.encodestring(data, quotetabs=True)) == data


@given(QP_LIKE)
def test_quoted_printable_decodes_as_the_standard_library_but_for_space_at_line_ends(raw: bytes) -> None:
    # One pass: white space that comes to stand before a line end only by taking other white space away is not trailing.
    stripped = re.sub(rb"[ \t]+(?=\r?\n)", b"", raw)
    assert decode_quoted_printable(raw) == quopri.decodestring(stripped)


@given(QP_LIKE)
def test_each_quoted_printable_octet_is_found_where_it_was_written(raw: bytes) -> None:
    decoded, origins = decode_quoted_printable(raw), Origins(raw, "quoted-printable")
    places = [origins(offset) for offset in range(len(decoded))]
    assert places == sorted(set(places))
    for octet, place in zip(decoded, places, strict=True):
        assert raw[place] == octet or raw[place : place + 1] == b"="
    assert origins(len(decoded)) <= len(raw)


@given(BASE64_LIKE)
def test_base64_never_raises_and_its_octets_lie_on_lines_of_the_source(raw: bytes) -> None:
    decoded, origins = decode_base64(raw), Origins(raw, "base64")
    starts = {0, *(offset + 1 for offset, octet in enumerate(raw) if octet == 0x0A)}
    assert {origins(offset) for offset in range(len(decoded) + 1)} <= starts
    if not is_base64(raw.translate(None, b"\r\n")):
        assert list(base64_faults(raw)) != []


@given(st.one_of(st.binary(), QP_LIKE, BASE64_LIKE))
def test_faults_lie_inside_and_are_few(raw: bytes) -> None:
    for fault in [*base64_faults(raw), *quoted_printable_faults(raw)]:
        assert 0 <= fault.offset < max(len(raw), 1)


def test_faults_are_told_fifty_times_at_most() -> None:
    assert len(list(base64_faults(b"!" * 1000 + b"QQ==QQ=="))) == 52  # fifty octets, the padding, the long line
    assert len(list(quoted_printable_faults(b"=XY\r\n" * 1000))) == 50


def test_identity_encodings_have_no_map() -> None:
    assert Origins(b"abc", "8bit")(2) == 2


# --- charsets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("utf-8", True),
        ("UTF8", True),
        (" 'utf-8' ", True),
        ("ISO-8859-1", True),
        ("latin1", True),
        ("us-ascii", True),
        ("ANSI_X3.4-1968", True),
        ("ks_c_5601-1987", True),
        ("windows-1252", True),
        ("iso-8859-8-i", True),
        ("x-sjis", True),
        ("gb2312", True),
        ("utf-7", True),
        ("", False),
        ("unknown-8bit", False),
        ("rot13", False),
        ("base64", False),
        ("idna", False),
        ("punycode", False),
        ("unicode_escape", False),
        ("undefined", False),
        ("x" * 100, False),
        ("utf\x008", False),
        ("ütf-8", False),
        ("../../etc/passwd", False),
    ],
)
def test_charsets_of_mail_are_known_and_codecs_that_are_none_are_not(name: str, known: bool) -> None:
    assert (codec_of(name) is not None) is known


@given(
    st.binary(),
    st.one_of(
        st.none(),
        st.sampled_from(["utf-8", "gbk", "iso-2022-jp", "utf-7", "utf-16", "hz", "big5", "shift_jis", "x"]),
        st.text(),
    ),
)
def test_decoding_never_raises_and_leaves_no_lone_surrogate(data: bytes, name: str | None) -> None:
    decoded = decode(data, name)
    decoded.text.encode()
    assert decoded.fault is None or 0 <= decoded.fault <= len(data)


@pytest.mark.parametrize(
    "charset", ["utf-8", "iso-8859-1", "gbk", "big5", "shift_jis", "euc-jp", "iso-2022-jp", "utf-16", "gb18030"]
)
@given(text=st.text(st.sampled_from("aé漢字か\n,."), max_size=40), repeat=st.sampled_from([1, 700]))
def test_each_character_is_found_where_its_octets_are(charset: str, text: str, repeat: int) -> None:
    data = (text * repeat).encode(charset, "ignore")
    decoded = decode(data, charset)
    origins = TextOrigins(data, decoded)
    for index in range(0, len(decoded.text), max(1, len(decoded.text) // 7)):
        offset = origins(index)
        if origins.exact:
            assert data[:offset].decode(charset) == decoded.text[:index]
        else:
            assert data[:offset].count(b"\n") == decoded.text[:index].count("\n")


def test_octets_that_are_not_in_the_charset_leave_the_line_known() -> None:
    data = b"a\xc3\xbc\xff\nsecond\n"
    origins = TextOrigins(data, decode(data, "utf-8"))
    assert not origins.exact
    assert origins(decode(data, "utf-8").text.index("second")) == data.index(b"second")


PIECES = [b"=", b"=3D", b"=\r\n", b"= \n", b"\r\n", b"\n", b"\r", b" ", b"\t", b"ab", b"=e9", b"==", b"x" * 5]


@given(
    st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join),
    st.randoms(use_true_random=False),
    st.integers(0, 9),
    st.integers(0, 99),
)
def test_places_are_the_same_in_whatever_order_and_pieces_they_are_worked_out(raw, random, block, longest):
    """Every escape and soft line end in one pass over all of it, as it was done before: the slow way."""
    decoded, encoded, shift = [], [], 0
    for token in encodings._QP_TOKEN.finditer(raw):
        decoded.append(token.start() - shift + (token[2] is not None))
        shift = token.end() - decoded[-1]
        encoded.append(token.end())
    offsets = list(range(len(raw) + 2))
    random.shuffle(offsets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encodings, "_BLOCK", block)
        patch.setattr(encodings, "_LONGEST_BLOCK", longest)
        origins = Origins(raw, "quoted-printable")
        for offset in offsets:
            number = bisect_right(decoded, offset) - 1
            assert origins(offset) == (offset if number < 0 else encoded[number] + offset - decoded[number])


@pytest.mark.parametrize("length", [76, 77, 78])
@pytest.mark.parametrize("before", [0, 1, 5000])
def test_a_line_that_is_too_long_is_found_wherever_it_stands(length: int, before: int) -> None:
    raw = b"=41\r\n" * before + b"a" * length + b"\r\nb\r\n"

    faults = [fault for fault in quoted_printable_faults(raw) if fault.kind is DefectKind.ENCODED_LINE_TOO_LONG]

    assert [fault.offset for fault in faults] == ([5 * before] if length > 76 else [])
