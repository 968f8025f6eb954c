"""The scanner: fields, places, the MIME tree, line statistics, and a defect for everything that is wrong."""

import time

import pytest

from delivcheck.mime.message import DefectKind as K
from delivcheck.mime.message import Limits, Message, MessageError, Part, of_kind, parse
from delivcheck.model import Where


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def message(text: str, **limits: int) -> Message:
    return parse(crlf(text), Limits(**limits) if limits else Limits())


def mixed(*parts: str, kind: str = "mixed", end: str = "--b--\n") -> str:
    return f"Content-Type: multipart/{kind}; boundary=b\n\n" + "".join(f"--b\n{part}\n" for part in parts) + end


# --- what is no message ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\n\n\r\n"])
def test_nothing_is_no_message(data: bytes) -> None:
    with pytest.raises(MessageError) as caught:
        parse(data)
    assert caught.value.position == 0


def test_a_message_over_the_limit_is_refused_where_the_limit_is() -> None:
    with pytest.raises(MessageError) as caught:
        parse(b"A: b\r\n\r\n" + b"x" * 100, Limits(octets=50))
    assert caught.value.position == 50


# --- fields ------------------------------------------------------------------------------------------------------


def test_fields_keep_order_duplicates_spelling_and_raw_octets() -> None:
    found = message("From: a@b.example\nX-One: 1\nx-one:  two\n  lines \nSubject:\n\nbody\n")
    assert [(f.name, f.raw, f.line, f.line_count) for f in found.fields] == [
        ("From", b" a@b.example", 1, 1),
        ("X-One", b" 1", 2, 1),
        ("x-one", b"  two\r\n  lines ", 3, 2),
        ("Subject", b"", 5, 1),
    ]
    assert [field.text for field in found.all("X-ONE")] == ["1", "two  lines"]
    assert found.first("subject").text == ""
    assert found.first("to") is None
    assert found.all("to") == ()
    assert found.field_count == 4
    assert found.size == len(found.data)
    assert found.data[found.body.start :] == b"body\r\n"
    assert all(found.data[f.value_offset :].startswith(f.raw) for f in found.fields)
    assert all(found.data[f.offset :].startswith(f.name.encode()) for f in found.fields)


def test_a_place_in_a_folded_value_is_on_the_line_where_it_stands() -> None:
    field = message("To: x@y.example\nSubject: one\n two three\n\tfour\n\n").first("subject")
    assert field.text == "one two three\tfour"
    for word, line, column in (("one", 2, 10), ("two", 3, 2), ("three", 3, 6), ("four", 4, 2)):
        start = field.text.index(word)
        where = field.where(start, start + len(word))
        assert where == Where(line=line, column=column, end_column=column + len(word), header="Subject")
    across = field.where(0, field.text.index("three"))
    assert (across.line, across.column, across.end_column) == (2, 10, 13), "the end stays on the line of the start"
    assert field.at == Where(line=2, column=1, header="Subject")
    assert field.where(3, 3).end_column == field.where(3).column


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        ("Grüße a".encode(), "utf-8", "Grüße a"),
        ("Grüße a".encode("latin-1"), "iso-8859-1", "Grüße a"),
        (b"Gr\xc3a", "iso-8859-1", "GrÃa"),
        (b"plain a", "us-ascii", "plain a"),
    ],
)
def test_eight_bit_values_are_read_as_utf_8_or_latin_1_and_places_count_octets(raw: bytes, charset: str, text: str) -> None:
    field = parse(b"Subject: " + raw + b"\r\n\r\n").first("subject")
    assert (field.charset, field.text) == (charset, text)
    where = field.where(len(text) - 1, len(text))
    assert (where.column, where.end_column) == (9 + len(raw), 10 + len(raw))


@pytest.mark.parametrize(
    ("header", "kind", "line", "names"),
    [
        ("A: 1\nno colon here\nB: 2\n", K.NO_COLON, 2, ["A", "B"]),
        ("A : 1\nB: 2\n", K.SPACE_BEFORE_COLON, 1, ["A", "B"]),
        (" x\nA: 1\n", K.LEADING_CONTINUATION, 1, ["A"]),
        ("A: 1\n \nB: 2\n", K.BLANK_CONTINUATION, 2, ["A", "B"]),
        ("A: 1\nB c: 2\n", K.BAD_NAME, 2, ["A", "B c"]),
        ("A: 1\nÜber: 2\n", K.BAD_NAME, 2, ["A", "Über"]),
        ("A: 1\n: 2\n", K.NO_NAME, 2, ["A", ""]),
        ("From x@y Mon Jan  1 00:00:00 2026\nA: 1\n", K.MBOX_LINE, 1, ["A"]),
        (">From x@y Mon Jan  1 00:00:00 2026\nA: 1\n", K.MBOX_LINE, 1, ["A"]),
    ],
)
def test_every_fault_of_a_header_line_is_a_defect_and_the_rest_is_read(
    header: str, kind: K, line: int, names: list[str]
) -> None:
    found = message(header + "\nbody\n")
    assert [(defect.kind, defect.where.line) for defect in found.defects] == [(kind, line)]
    assert [field.name for field in found.fields] == names
    assert found.root.raw == b"body\r\n"


def test_the_first_blank_line_ends_the_header_even_after_junk() -> None:
    found = message("A: 1\njunk\n\nB: 2\n")
    assert [field.name for field in found.fields] == ["A"]
    assert found.root.raw == b"B: 2\r\n"


def test_without_a_blank_line_the_first_line_that_is_no_field_begins_the_body() -> None:
    found = message("A: 1\nhello there\nB: 2\n")
    assert [(d.kind, d.where.line) for d in found.defects] == [(K.NO_BLANK_LINE, 2)]
    assert found.root.raw == b"hello there\r\nB: 2\r\n"


def test_a_message_of_fields_alone_is_no_fault() -> None:
    found = message("A: 1\nB: 2\n")
    assert found.defects == ()
    assert len(found.body) == 0
    assert found.field_count == 2


def test_a_message_that_begins_with_a_blank_line_has_no_header() -> None:
    found = message("\nbody\n")
    assert found.fields == ()
    assert found.root.raw == b"body\r\n"
    assert parse(b"\nbody").root.raw == b"body"


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r\r\n"])
def test_line_ends_of_other_kinds_are_read(ends: bytes) -> None:
    found = parse(ends.join([b"A: 1", b"B: 2", b" 3", b"", b"body", b""]))
    assert [(field.name, field.text.replace("\r", "")) for field in found.fields] == [("A", "1"), ("B", "2 3")]
    assert found.root.raw.rstrip() == b"body"


def test_limits_leave_defects_and_the_rest_of_the_message() -> None:
    many = message("".join(f"A{n}: 1\n" for n in range(10)) + "\nbody\n", fields=4)
    assert ([d.kind for d in many.defects], len(many.fields), many.field_count) == ([K.TOO_MANY_FIELDS], 4, 10)
    assert many.root.raw == b"body\r\n"
    large = message("A: 1\n" * 50 + "\nbody\n", header_octets=100)
    assert [d.kind for d in large.defects] == [K.HEADER_TOO_LARGE]
    assert large.root.raw == b"body\r\n"
    part = message(mixed("A: 1\n" * 50 + "\nbody"), header_octets=100)
    assert K.HEADER_TOO_LARGE in {d.kind for d in part.defects}


def test_defects_are_kept_to_a_thousand() -> None:
    assert len(message("junk\n" * 2_000 + "\nbody\n").defects) == 1_000


# --- the tree ----------------------------------------------------------------------------------------------------


def paths(found: Message) -> list[tuple[str, str]]:
    return [(part.path, part.content_type) for part in found.parts]


def test_parts_are_numbered_as_in_imap() -> None:
    inner = "Content-Type: message/rfc822\n\nSubject: in\n" + mixed("\none", "\ntwo").replace("b\n", "c\n").replace(
        "b--", "c--"
    )
    inner = inner.replace("boundary=b", "boundary=c")
    single = "Content-Type: message/rfc822\n\nSubject: in\n\nhello"
    nested = (
        mixed("\nx", "\ny", kind="alternative").replace("b\n", "d\n").replace("b--", "d--").replace("boundary=b", "boundary=d")
    )
    assert paths(message(mixed("\nfirst", inner, single, nested))) == [
        ("", "multipart/mixed"),
        ("1", "text/plain"),
        ("2", "message/rfc822"),
        ("2.TEXT", "multipart/mixed"),
        ("2.1", "text/plain"),
        ("2.2", "text/plain"),
        ("3", "message/rfc822"),
        ("3.1", "text/plain"),
        ("4", "multipart/alternative"),
        ("4.1", "text/plain"),
        ("4.2", "text/plain"),
    ]
    assert paths(message("A: b\n\nx")) == [("1", "text/plain")]


def test_every_octet_of_the_body_belongs_to_what_it_stands_in() -> None:
    found = message("A: 1\n" + mixed("B: 2\n\none\n", "C: 3\n\ntwo").replace("--b\n", "preamble\n--b\n", 1) + "epilogue\n")
    data = found.data
    one, two = found.root.children
    assert one.raw == b"one\r\n", "the line end before the delimiter is the delimiter's"
    assert two.raw == b"two"
    assert data[one.header.start : one.header.end] == b"B: 2\r\n\r\n"
    assert data[found.root.preamble.start : found.root.preamble.end] == b"preamble"
    assert data[found.root.epilogue.start : found.root.epilogue.end] == b"epilogue\r\n"
    assert [(f.name, f.line, f.part) for f in one.fields + two.fields] == [("B", 6, "1"), ("C", 11, "2")]
    assert [field.raw for field in one.all("b")] == [b" 2"]
    assert one.first("b").at == Where(line=6, column=1, header="B", part="1")
    assert one.at.line == 6
    assert found.where(data.index(b"two")) == Where(line=13, column=1, part="2")
    assert found.where(data.index(b"C: 3"), data.index(b"C: 3") + 99) == Where(
        line=11, column=1, end_column=5, header="C", part="2"
    )
    assert found.where(0) == Where(line=1, column=1, header="A")
    assert found.part("2") is two
    assert found.part("9") is None
    assert found.parent(two) is found.root
    assert found.parent(found.root) is None
    assert found.part_at(data.index(b"epilogue")) is found.root


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (mixed("\none", end=""), [K.BOUNDARY_NOT_CLOSED]),
        ("Content-Type: multipart/mixed; boundary=b\n\nnothing\n", [K.BOUNDARY_NOT_FOUND]),
        ("Content-Type: multipart/mixed; boundary=b\n\n--b--\n", [K.BOUNDARY_NOT_FOUND]),
        ("Content-Type: multipart/mixed\n\n--b\n\nx\n--b--\n", [K.NO_BOUNDARY]),
        ('Content-Type: multipart/mixed; boundary=""\n\n--\n\nx\n----\n', [K.NO_BOUNDARY]),
        ('Content-Type: multipart/mixed; boundary="a*b"\n\n--a*b\n\nx\n--a*b--\n', [K.BAD_BOUNDARY]),
        (f"Content-Type: multipart/mixed; boundary={'b' * 71}\n\n--{'b' * 71}\n\nx\n--{'b' * 71}--\n", [K.BAD_BOUNDARY]),
        ('Content-Type: multipart/mixed; boundary="b "\n\n--b\n\nx\n--b--\n', [K.BAD_BOUNDARY]),
        (mixed("\none", "Content-Type: multipart/mixed; boundary=b\n\nx"), [K.BOUNDARY_REUSED]),
        (mixed("\none\n--bee\ntwo"), [K.BOUNDARY_IN_CONTENT]),
        (mixed("--b\n\none").replace("--b\n--b\n", "--b\n--b\n"), [K.DELIMITER_REPEATED]),
        (mixed("Content-Transfer-Encoding: base64\nContent-Type: message/rfc822\n\nQTogYg=="), [K.COMPOSITE_ENCODED]),
        ("Content-Transfer-Encoding: base64\n" + mixed("\none"), [K.COMPOSITE_ENCODED]),
        ("Content-Transfer-Encoding: a b\n" + mixed("\none"), [K.COMPOSITE_ENCODED]),
        ("Content-Transfer-Encoding: 8bit (yes)\n" + mixed("\none"), []),
        (mixed("Content-Type: text\n\none"), [K.BAD_CONTENT_TYPE]),
        (mixed("no field\none"), [K.NO_BLANK_LINE]),
        (mixed("A: b"), []),
        (mixed("\none").replace("--b--", "--b-- \t"), []),
        (mixed("\none\n-- b\n --b\nx--b\n--B"), []),
    ],
)
def test_every_fault_of_structure_is_a_defect(text: str, kinds: list[K]) -> None:
    found = message(text)
    assert [defect.kind for defect in found.defects] == kinds
    assert all(defect.where.line for defect in found.defects)


def test_an_outer_delimiter_ends_everything_inside() -> None:
    inner = "Content-Type: multipart/alternative; boundary=c\n\n--c\n\none\n--c\n\ntwo"
    found = message(mixed(inner, "\nlast"))
    assert paths(found)[1:] == [
        ("1", "multipart/alternative"),
        ("1.1", "text/plain"),
        ("1.2", "text/plain"),
        ("2", "text/plain"),
    ]
    assert [(d.kind, d.where.part) for d in found.defects] == [(K.BOUNDARY_NOT_CLOSED, "1")]
    assert found.part("1.2").raw == b"two"


def test_delimiters_after_the_closing_one_are_epilogue() -> None:
    found = message(mixed("\none") + "--b\n\ntwo\n--b--\n")
    assert [part.path for part in found.parts] == ["", "1"]


def test_parts_after_the_closing_delimiter_are_kept_apart_and_told_once() -> None:
    inner = "Content-Type: multipart/x; boundary=c\n\n--c\n\nthree\n--c--\n--c\n\nfour"
    found = message(mixed("\none") + f"--b\n\ntwo\n--b\n{inner}\n--b--\n--b--\nx\n")
    assert [part.path for part in found.leaves] == ["1"]
    assert [part.path for part in found.late_parts] == ["2", "3", "3.1", "3.2"]
    assert [part.raw for part in found.late_parts] == [b"two", crlf(inner.partition("\n\n")[2]), b"three", b"four"]
    assert [(defect.kind, defect.where.line) for defect in found.defects] == [(K.PART_AFTER_END, 7)]
    assert found.root.epilogue is not None
    assert found.root.epilogue.end == len(found.data)


def test_a_closed_multipart_ends_where_the_one_around_it_goes_on() -> None:
    inner = "Content-Type: multipart/x; boundary=c\n\n--c\n\none\n--c--"
    found = message(mixed(inner, inner))
    assert (found.late_parts, found.defects) == ((), ())
    assert [part.path for part in found.leaves] == ["1.1", "2.1"]


def test_thousands_of_late_parts_take_linear_time() -> None:
    data = crlf(mixed("\none") + "--b\n\nx\n--b--\n" * 9_000)
    begin = time.process_time()
    assert len(parse(data).late_parts) == 9_000
    assert time.process_time() - begin < 5


@pytest.mark.parametrize(
    ("body", "kind", "encoding"),
    [
        ('<p style=3D"x">a=C3=A9b=20c</p>', "text/html", "quoted-printable"),
        ("a=C3=A9 =\nb=20", "text/plain", "quoted-printable"),
        ("a=C3=A9 b=20", "text/plain", None),  # no line is joined: it may be a URL
        ('<p style="x">a=C3=A9=3D</p>', "text/html", None),  # an equals sign that begins no escape
        ("<p>a=3D</p>", "text/html", None),
        ("<p style=3d>=c3=a9</p>", "text/html", None),
        ("a=C3=A9 =\nb=20", "application/x", None),
    ],
)
def test_what_is_plainly_quoted_printable_is_decoded_whatever_is_declared(body: str, kind: str, encoding: str | None) -> None:
    for declared in ("", "Content-Transfer-Encoding: 8bit\n"):
        part = message(f"Content-Type: {kind}; charset=utf-8\n{declared}\n{body}\n").root
        assert part.undeclared_encoding == encoding
        assert ("é" in part.text) is (encoding is not None)
    if encoding:
        place = part.text.index("é")
        assert part.where_text(place).column == body.index("=C3") + 1


def test_parts_of_a_digest_are_messages_by_default() -> None:
    found = message(mixed("\nSubject: a\n\nhello", kind="digest"))
    assert paths(found) == [("", "multipart/digest"), ("1", "message/rfc822"), ("1.1", "text/plain")]
    assert found.part("1.1").first("subject").part == "1"


def test_a_message_inside_is_parsed_and_marked_and_not_taken_for_the_body() -> None:
    found = message(mixed("\nouter", "Content-Type: message/rfc822\n\nContent-Type: text/html\n\n<p>inner"))
    assert [part.nested for part in found.parts] == [False, False, False, True]
    assert [part.path for part in found.leaves] == ["1", "2"]
    assert found.html_parts == ()
    assert [part.path for part in found.attachments] == ["2"]


def test_depth_and_number_of_parts_are_limited() -> None:
    deep = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(300)) + "\nx\n"
    found = message(deep)
    assert len(of_kind(found.defects, K.TOO_DEEP)) == 1
    assert len(found.parts) == 101
    chain = "Content-Type: message/rfc822\n\n" * 300
    assert len(of_kind(message(chain).defects, K.TOO_DEEP)) == 1
    many = message(mixed(*["\nx"] * 30), parts=10)
    assert [d.kind for d in many.defects] == [K.TOO_MANY_PARTS]
    assert len(many.parts) == 10


# --- what a part declares ----------------------------------------------------------------------------------------


def part(header: str, body: str | bytes = "") -> Part:
    return parse(crlf(header + "\n\n") + (body if isinstance(body, bytes) else crlf(body))).root


@pytest.mark.parametrize(
    ("header", "content_type", "charset", "encoding", "disposition", "filename"),
    [
        ("A: b", "text/plain", None, "7bit", None, None),
        ("Content-Type: TEXT/HTML; Charset=UTF-8", "text/html", "utf-8", "7bit", None, None),
        ("Content-Type: text; charset=utf-8; name=a.txt", "text/plain", "utf-8", "7bit", None, "a.txt"),
        ("Content-Type: text/plain (x); charset=us-ascii (c)", "text/plain", "us-ascii", "7bit", None, None),
        ("Content-Transfer-Encoding: Base64 (c)", "text/plain", None, "base64", None, None),
        ("Content-Transfer-Encoding: quoted printable", "text/plain", None, "quoted printable", None, None),
        ('Content-Disposition: Attachment; filename="a b.pdf"', "text/plain", None, "7bit", "attachment", "a b.pdf"),
        ("Content-Disposition: ; filename=x.exe", "text/plain", None, "7bit", None, "x.exe"),
        ("Content-Type: a/b; name=n\nContent-Disposition: inline; filename=f", "a/b", None, "7bit", "inline", "f"),
        ('Content-Disposition: inline; filename="=?utf-8?B?w7w=?=.txt"', "text/plain", None, "7bit", "inline", "ü.txt"),
        ("Content-Disposition: inline; filename=p; filename*=utf-8''%c3%bc", "text/plain", None, "7bit", "inline", "ü"),
        ("Content-Disposition: inline; filename*0*=utf-8''%c3; filename*1*=%bc", "text/plain", None, "7bit", "inline", "ü"),
        ('Content-Disposition: inline; filename*0="a;"; filename*1=b', "text/plain", None, "7bit", "inline", "a;b"),
    ],
)
def test_a_part_says_what_it_declares(
    header: str, content_type: str, charset: str | None, encoding: str, disposition: str | None, filename: str | None
) -> None:
    found = part(header)
    declared = (found.content_type, found.charset, found.encoding, found.disposition, found.filename)
    assert declared == (content_type, charset, encoding, disposition, filename)


def test_content_id_is_without_brackets() -> None:
    assert part("Content-ID: <a@b>").content_id == "a@b"
    assert part("Content-ID: a@b").content_id == "a@b"
    assert part("A: b").content_id is None


# --- decoding ----------------------------------------------------------------------------------------------------

QP, B64 = "Content-Transfer-Encoding: quoted-printable\n", "Content-Transfer-Encoding: base64\n"


@pytest.mark.parametrize(
    ("header", "body", "text", "kinds"),
    [
        ("A: b", b"plain", "plain", []),
        ("A: b", "ü".encode(), "ü", [K.EIGHT_BIT, K.NO_CHARSET]),
        ("A: b", b"\xfc", "ü", [K.EIGHT_BIT, K.NO_CHARSET]),
        ("Content-Transfer-Encoding: 8bit\nContent-Type: text/plain; charset=utf-8", "ü".encode(), "ü", []),
        ("Content-Transfer-Encoding: 8bit\nContent-Type: text/plain; charset=utf-8", b"a\xfc", "a�", [K.WRONG_CHARSET]),
        ("Content-Transfer-Encoding: binary\nContent-Type: text/plain; charset=x-none", "ü".encode(), "ü", [K.UNKNOWN_CHARSET]),
        ("Content-Transfer-Encoding: 8bit\nContent-Type: text/plain; charset=us-ascii", b"a\xfc", "a�", [K.WRONG_CHARSET]),
        ("Content-Transfer-Encoding: 8bit\nContent-Type: text/plain; charset=iso-8859-1", b"\x93a\x94", "“a”", []),
        (QP + "Content-Type: text/plain; charset=iso-8859-1", b"f=FCr =\r\nx \r\ny", "für x\r\ny", [K.QP_SPACE]),
        (QP, b"=G1 100% =\r\n=", "=G1 100% ", [K.QP_ESCAPE]),
        (QP + "Content-Type: text/plain; charset=utf-8", "ü".encode(), "ü", [K.QP_OCTET, K.QP_OCTET]),
        (QP, b"x" * 77, "x" * 77, [K.ENCODED_LINE_TOO_LONG]),
        (B64, b"YWJj\r\nZGVm", "abcdef", []),
        (B64, b"YWJj!ZGVm", "abcdef", [K.BASE64_CHARACTER]),
        (B64, b"YWJjZA==YWJj", "abcd", [K.BASE64_PADDING]),
        (B64, b"YWJjZA", "abcd", [K.BASE64_LENGTH]),
        (B64, b"YWJjZ", "abc", [K.BASE64_LENGTH]),
        (B64, b"YWJj====", "abc", [K.BASE64_PADDING]),
        (B64, b"YWJj" * 20, "abc" * 20, [K.ENCODED_LINE_TOO_LONG]),
        ("Content-Transfer-Encoding: x-gzip", b"abc", "abc", [K.UNKNOWN_ENCODING]),
        ("Content-Transfer-Encoding: x-gzip", b"\xfc", "ü", [K.UNKNOWN_ENCODING, K.NO_CHARSET]),
        ("Content-Type: image/png\n" + B64, b"/9g=", "ÿØ", []),
    ],
)
def test_parts_decode_leniently_and_say_what_was_wrong(header: str, body: bytes, text: str, kinds: list[K]) -> None:
    found = part(header.rstrip("\n"), body)
    assert found.text == text
    assert [defect.kind for defect in found.decoding_defects] == kinds
    assert all(defect.where.line for defect in found.decoding_defects)


def test_a_defect_of_an_encoding_stands_where_the_octet_does() -> None:
    found = part((QP + "Content-Type: text/plain; charset=utf-8"), b"good=20line\r\nbad =XX\r\n")
    (defect,) = found.decoding_defects
    assert (defect.where.line, defect.where.column) == (5, 5)


def test_what_is_decoded_is_limited() -> None:
    found = parse(b"A: b\r\n\r\n" + b"x" * 100, Limits(decoded=10)).root
    assert found.decoded == b"x" * 10
    assert [defect.kind for defect in found.decoding_defects] == [K.DECODED_TOO_LARGE]


def test_multiparts_have_nothing_to_decode() -> None:
    found = message(mixed("\nü"))
    assert found.root.decoding_defects == ()
    assert {d.where.part for d in found.decoding_defects} == {"1"}


@pytest.mark.parametrize(
    ("header", "body", "needle", "line", "column", "end"),
    [
        ("A: b", b"one\r\ntwo needle", "needle", 4, 5, 11),
        (
            "Content-Transfer-Encoding: 8bit\nContent-Type: text/plain; charset=utf-8",
            "ü\r\nöä needle".encode(),
            "needle",
            5,
            6,
            12,
        ),
        (QP + "Content-Type: text/plain; charset=utf-8", b"=C3=BC soft=\r\n=20needle", "needle", 5, 4, 10),
        (QP, b"a \r\nb=20needle", "needle", 4, 5, 11),
        (B64, b"YWFhYWFh\r\nYm5lZWRsZQ==", "needle", 4, None, None),
        (
            "Content-Transfer-Encoding: 8bit\nContent-Type: text/plain; charset=utf-8",
            b"a\xfc\r\n\xc3\xbc needle",
            "needle",
            5,
            None,
            None,
        ),
        ("Content-Type: text/plain; charset=iso-2022-jp", b'\x1b$B$"\x1b(B\r\nneedle', "needle", 4, None, None),
        (
            "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit",
            b"\xfc\xfc needle",
            "needle",
            4,
            4,
            10,
        ),
    ],
)
def test_a_place_in_a_text_leads_back_to_the_line_of_the_message(
    header: str, body: bytes, needle: str, line: int, column: int | None, end: int | None
) -> None:
    found = part(header.rstrip("\n"), body)
    start = found.text.index(needle)
    where = found.where_text(start, start + len(needle))
    assert where == Where(line=line, column=column, end_column=end, part="1")


# --- which parts a reader is shown -------------------------------------------------------------------------------


def test_text_html_and_attachments_are_told_apart() -> None:
    found = message(
        mixed(
            "\nplain",
            "Content-Type: text/html\n\nhtml",
            "Content-Type: text/plain\nContent-Disposition: attachment\n\nfile",
            "Content-Type: text/plain; name=notes.txt\n\nfile",
            "Content-Type: text/plain\nContent-Disposition: inline; filename=sig.txt\n\nshown",
            "Content-Type: image/png\nContent-ID: <x>\n\nimage",
        )
    )
    assert [part.path for part in found.text_parts] == ["1", "5"]
    assert [part.path for part in found.html_parts] == ["2"]
    assert [part.path for part in found.attachments] == ["3", "4", "6"]
    assert [part.path for part in found.body_parts] == ["1", "2", "5"]


def test_a_body_with_a_name_is_still_a_body() -> None:
    assert len(message("Content-Type: text/html; name=body.html\n\nx").html_parts) == 1
    alternative = message(mixed("\nx", "Content-Type: text/html; name=body.html\n\nx", kind="alternative"))
    assert len(alternative.html_parts) == 1


RELATED = (
    "Content-Type: multipart/related; boundary=r\n\n--r\nContent-Type: text/html\n\nx\n--r\nContent-Type: image/png\n\nx\n--r--"
)


@pytest.mark.parametrize(
    ("text", "path", "others"),
    [
        (mixed("\nplain", "Content-Type: text/html\n\nx", kind="alternative"), "2", ["1"]),
        (mixed("\nplain", RELATED, kind="alternative"), "2.1", ["1"]),
        (mixed("\nplain", RELATED, kind="alternative"), "1", ["2.1", "2.2"]),
        (mixed("\nplain", RELATED), "2.1", []),
        (mixed("Content-Disposition: attachment\n\nplain", "Content-Type: text/html\n\nx", kind="alternative"), "2", []),
        (mixed("\nplain", "Content-Type: message/rfc822\n\nContent-Type: text/html\n\nx", kind="alternative"), "2.1", []),
    ],
)
def test_the_alternatives_of_a_part_are_found_through_related(text: str, path: str, others: list[str]) -> None:
    found = message(text)
    assert [part.path for part in found.alternatives_of(found.part(path))] == others


# --- lines -------------------------------------------------------------------------------------------------------


def test_line_statistics_count_and_place() -> None:
    data = b"Subject: \xfc\r\nX: " + b"y" * 20 + b"\r\n\r\nab\rc\nd\0e\r\n" + b"z" * 30 + b"\r\nlast"
    lines = parse(data).lines
    assert (lines.longest_header.number, lines.longest_header.length) == (2, 23)
    assert (lines.longest_body.number, lines.longest_body.length) == (6, 30)
    assert (lines.bare_cr.total, lines.bare_cr.first[0][:2]) == (1, (4, 3))
    assert (lines.bare_lf.total, lines.bare_lf.first[0][:2]) == (1, (4, 5))
    assert (lines.nul.total, lines.nul.first[0][:2]) == (1, (5, 2))
    assert (lines.eight_bit_header.total, lines.eight_bit_header.first[0][:2]) == (1, (1, 10))
    assert lines.eight_bit_body == 0


def test_lines_without_fault_have_none() -> None:
    lines = message("A: b\n\nbody\n").lines
    assert [spots.total for spots in (lines.bare_cr, lines.bare_lf, lines.nul, lines.eight_bit_header)] == [0, 0, 0, 0]
    assert parse(b"A: b\r\n\r\n").lines.longest_body is None
    assert parse(b"A: b\r\n\r\n\xfc\xfc").lines.eight_bit_body == 2


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("final", [b"", b"x"])
def test_lines_over_a_length_are_told_with_their_number(end: bytes, final: bytes) -> None:
    data = b"A: b" + end + end + b"x" * 999 + end + b"x" * 998 + end + b"y" * 2000 + end + final
    assert [(line.number, line.length) for line in parse(data).lines_longer_than(998)] == [(3, 999), (5, 2000)]
    assert list(parse(b"A: b\r\n\r\n").lines_longer_than(998)) == []


def test_large_messages_are_measured_in_pieces_without_losing_a_line() -> None:
    line = b"0123456789" * 7 + b"\r\n"
    data = b"A: b\r\n\r\n" + line * 40_000 + b"x" * 99 + b"\r\n" + line * 10
    found = parse(data)
    assert (found.lines.longest_body.number, found.lines.longest_body.length) == (40_003, 99)
    assert found.where(data.index(b"x" * 99)).line == 40_003
    assert [each.number for each in found.lines_longer_than(98)] == [40_003]
