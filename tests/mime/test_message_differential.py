"""Our parser and the standard library's (compat32) read real messages alike, but for differences that are argued here."""

import email
from collections import Counter
from collections.abc import Iterator
from email.message import Message as StdlibMessage

from delivcheck.mime.message import DefectKind, Message, Part, parse
from tests.mime.corpora import messages, needs_corpora

# Where we differ, why, and that we are right. A difference that none of these explains fails the test.
ARGUED = {
    "header": "a line that is no field does not end the message's header section: the first blank line does (RFC 5322 section 2.1)",
    "space": "a name with white space before its colon is a field (RFC 5322 section 4.5.8)",
    "folded": "a boundary that is folded counts as unfolded (RFC 2045 section 5.1); the library looks for one with a line end",
    "message": "only message/rfc822 and message/global hold messages (RFC 2046 section 5.2); the library opens every message/*",
    "encoded": "an encoded message is not searched for parts (RFC 2045 section 6.4); the library reads its base64 as header lines",
    "spaces": "white space at the end of quoted-printable lines goes (RFC 2045 section 6.7 rule 3)",
    "undeclared": "a text that plainly is quoted-printable is decoded, and the missing field told (mime/quoted-printable-faults)",
    "uuencode": "x-uuencode is no encoding of MIME; the part stays as it is",
    "base64": "broken base64 is decoded as far as it goes; the library hands it back encoded",
    "childless": "a multipart in which no part begins keeps its whole body; the library keeps what stands before a closing delimiter",
    "unclosed": "without a delimiter the last line end belongs to the part; the library takes it away",
    "empty": "a closing delimiter after an opening one closes an empty part; the library goes on with the epilogue",
    "bare-cr": "a bare CR ends no line (RFC 5322 section 2.3)",
}

HEADER_DEFECTS = {DefectKind.NO_COLON, DefectKind.BAD_NAME, DefectKind.NO_NAME, DefectKind.NO_BLANK_LINE}


def theirs_in_order(message: StdlibMessage) -> Iterator[StdlibMessage]:
    if message.is_multipart():
        for part in message.get_payload():
            yield from theirs_in_order(part)
    else:
        yield message


def ours_in_order(part: Part) -> Iterator[Part]:
    return (each for each in part.walk() if each.is_leaf)


def explain_header(ours: Message, kinds: set[DefectKind], theirs: StdlibMessage) -> str | None:
    fields = [(f.name, f.raw.lstrip(b" \t").rstrip(b"\r\n").decode("ascii", "surrogateescape")) for f in ours.fields]
    if fields == theirs._headers:
        return ""
    if ours.lines.bare_cr.total:
        return "bare-cr"
    if DefectKind.SPACE_BEFORE_COLON in kinds:
        return "space"
    return "header" if kinds & HEADER_DEFECTS else None


def explain_types(ours: Message, kinds: set[DefectKind], theirs: StdlibMessage) -> str | None:
    us, them = list(ours_in_order(ours.root)), list(theirs_in_order(theirs))
    if [part.content_type for part in us] == [part.get_content_type() for part in them]:
        return ""
    if DefectKind.COMPOSITE_ENCODED in kinds:
        return "encoded"
    if any(part.main_type == "message" for part in us):
        return "message"
    if any(part.is_multipart and "\n" in (part.get_boundary() or "") for part in [*theirs.walk(), *them]):
        return "folded"
    if any("\n" in str(part.get("content-type", "")) for part in theirs.walk()) and any(
        part.get_content_maintype() == "multipart" for part in them
    ):
        return "folded"
    return None


def explain_payload(part: Part, kinds: set[DefectKind], payload: bytes) -> str | None:
    decoded = part.decoded
    if decoded == payload:
        return ""
    if part.is_multipart:
        return "childless"
    if part.undeclared_encoding is not None:
        return "undeclared"
    if "uuencode" in part.encoding:
        return "uuencode"
    if part.encoding == "base64" and payload.translate(None, b"\r\n") == part.raw.translate(None, b"\r\n"):
        return "base64"
    if not part.raw and not part.fields:
        return "empty"
    if decoded in (payload + b"\r\n", payload + b"\n"):
        return "unclosed"
    if part.encoding == "quoted-printable" and [line.rstrip() for line in decoded.split(b"\n")] == [
        line.rstrip() for line in payload.split(b"\n")
    ]:
        return "spaces"
    if part.path == "1" and kinds & HEADER_DEFECTS:
        return "header"
    return None


def compare(data: bytes) -> Iterator[tuple[str | None, object]]:
    """Why each thing that differs does: "" where it does not, None where nothing explains it."""
    ours, theirs = parse(data), email.message_from_bytes(data)
    kinds = {defect.kind for defect in ours.defects}
    why = explain_header(ours, kinds, theirs)
    yield why, [field.name for field in ours.fields]
    if why:
        return
    why = explain_types(ours, kinds, theirs)
    yield why, [part.content_type for part in ours.parts]
    if why or why is None:
        return
    for us, them in zip(ours_in_order(ours.root), theirs_in_order(theirs), strict=True):
        why = explain_payload(us, kinds, them.get_payload(decode=True))
        if ours.lines.bare_cr.total and why is None:
            why = "bare-cr"
        yield why, (us.path, us.encoding, len(us.decoded))


@needs_corpora
def test_real_messages_are_read_as_the_standard_library_reads_them(soak: bool) -> None:
    unexplained = []
    seen = Counter()
    for name, data in messages(soak=soak):
        for why, what in compare(data):
            seen[why] += 1
            if why is None:
                unexplained.append((name, what))
    assert unexplained == []
    assert seen[""] > 5 * sum(count for why, count in seen.items() if why)
    assert set(seen) - {""} <= set(ARGUED)
    if soak:
        assert set(seen) - {""} == set(ARGUED), "a difference that no message shows is not argued for"


@needs_corpora
def test_charsets_and_file_names_are_those_of_the_standard_library_where_it_has_any(soak: bool) -> None:
    differing = []
    for name, data in messages(soak=soak):
        ours, theirs = parse(data), email.message_from_bytes(data)
        if any(why != "" for why, _ in compare(data)):
            continue
        for us, them in zip(ours_in_order(ours.root), theirs_in_order(theirs), strict=True):
            charset = them.get_content_charset()
            if charset and us.charset != charset:
                differing.append((name, us.path, charset, us.charset))
            filename = them.get_filename()
            plain = filename is not None and filename.isascii() and "=?" not in filename and "\\" not in filename
            if plain and us.filename != filename:
                differing.append((name, us.path, filename, us.filename))
    assert differing == []
