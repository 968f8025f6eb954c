"""Whatever the octets, the parser returns or raises MessageError, covers every octet, and its places are true."""

import email
import time
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.mime import fields
from delivcheck.mime.fields import Field
from delivcheck.mime.headers import (
    HeaderError,
    display_text,
    encoded_words,
    parse_addresses,
    parse_authentication_results,
    parse_date,
    parse_identifiers,
    parse_received,
)
from delivcheck.mime.html import parse_html
from delivcheck.mime.links import links_in_html, links_in_text
from delivcheck.mime.message import Limits, Message, MessageError, Part, parse
from tests.mime.corpora import messages, needs_corpora
from tests.mime.outcomes import is_inside, outcome

PIECES = st.sampled_from(
    [b"\r\n", b"\n", b"\r", b"--b", b"--b--", b"--c", b" ", b"\t", b": ", b":", b"A", b"Subject: ", b"Content-Type: ", b"multipart/mixed; boundary=b",
     b"multipart/alternative; boundary=c", b"multipart/digest; boundary=b", b"message/rfc822", b"text/html; charset=utf-8", b"text/plain; charset=x",
     b"Content-Transfer-Encoding: ", b"base64", b"quoted-printable", b"8bit", b"=3D", b"=", b"QUJD", b"\xc3\xbc", b"\xff", b"\x00", b"From x", b"<p>x</p>",
     b"Content-Disposition: attachment; filename=a", b"\r\n\r\n", b"\r\n--b\r\n", b"\r\n--b--\r\n", b"\r\n--c\r\n"]
)  # fmt: skip
OCTETS = st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=60).map(b"".join))
TINY = Limits(octets=10_000, header_octets=60, fields=3, depth=3, parts=4, decoded=20)


def touch(message: Message) -> None:
    """Ask for everything that is worked out late."""
    assert message.lines is not None
    list(message.lines_longer_than(10))
    for defect in (*message.defects, *message.decoding_defects):
        assert defect.where.line is not None
        assert 1 <= defect.where.line <= message.data.count(b"\n") + 1
    for part in message.parts:
        assert (part.filename, part.charset, part.disposition, part.content_id, part.codec) is not None
        message.alternatives_of(part)
        assert message.part(part.path) is not None


def check_ranges(part: Part, end: int) -> None:
    assert part.header.start <= part.header.end == part.body.start <= part.body.end <= end
    position = part.body.start
    for child in part.children:
        assert child.header.start >= position
        check_ranges(child, part.body.end)
        position = child.body.end


@given(OCTETS, st.sampled_from([Limits(), TINY]))
def test_it_returns_or_raises_message_error(data: bytes, limits: Limits) -> None:
    message = outcome(parse, data, limits)
    if isinstance(message, MessageError):
        assert 0 <= message.position <= len(data)
        return
    check_ranges(message.root, len(data))
    assert message.body.end == len(data)
    assert len({part.path for part in message.parts}) == len(message.parts)
    touch(message)


@given(OCTETS.filter(lambda data: data.strip(b"\r\n")))
def test_fields_are_the_octets_they_claim(data: bytes) -> None:
    message = parse(data)
    for part in message.parts:
        for field in part.fields:
            assert data[field.value_offset : field.value_offset + len(field.raw)] == field.raw
            assert field.line == data.count(b"\n", 0, field.offset) + 1
            assert field.line_count == field.raw.count(b"\n") + 1
            assert message.where(field.offset).line == field.line


@given(st.text(st.sampled_from("ab ü漢\t"), min_size=1, max_size=40), st.integers(0, 40), st.integers(1, 5))
def test_places_in_a_long_field_are_those_in_a_short_one(text: str, index: int, step: int) -> None:
    raw = b" " + text.strip(" \t").replace(" ", "\r\n ").encode()
    field = Field("A", "a", raw, 0, 2, 1, 1)
    index = min(index, len(field.text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fields, "STEP", step)
        place = Field("A", "a", raw, 0, 2, 1, 1).raw_offset(index)
    before = len(field.text[:index].encode())
    assert len(raw[:place].replace(b"\r\n", b"")) == before + 1
    assert place == field.raw_offset(index)


def test_places_in_a_huge_field_take_linear_time() -> None:
    field = Field("A", "a", b" " + "é\r\n ".encode() * 200_000, 0, 2, 1, 1)
    begin = time.process_time()
    assert field.where(0, 1).line == 1
    assert {field.where(index, index + 1).line for index in range(0, 200_000, 100)} >= {1, 51, 99_951}
    assert time.process_time() - begin < 5


@given(st.text(st.sampled_from("ab ü漢\t"), min_size=1, max_size=40), st.data())
def test_a_span_of_a_field_leads_to_its_octets(text: str, data: st.DataObject) -> None:
    folded = text.strip(" \t").replace(" ", data.draw(st.sampled_from([" ", "\r\n ", "\r\n  \t"])))
    if not folded:
        return
    source = b"Subject:" + data.draw(st.sampled_from([b" ", b"", b"  "])) + folded.encode() + b"\r\nTo: x\r\n\r\n"
    message = parse(source)
    field = message.first("subject")
    start = data.draw(st.integers(0, len(field.text) - 1))
    stop = data.draw(st.integers(start + 1, len(field.text)))
    where = field.where(start, stop)
    line = source.split(b"\r\n")[where.line - 1]
    there = line[where.column - 1 : where.end_column - 1].decode()
    assert field.text[start:stop].startswith(there)
    assert there or field.text[start] in " \t"
    if "\n" not in folded:
        assert there == field.text[start:stop]


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=60),
            st.sampled_from(["base64", "quoted-printable", "8bit"]),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_what_the_standard_library_wrote_is_read_back(texts: list[tuple[str, str]]) -> None:
    written = EmailMessage()
    written["Subject"] = "x"
    written.make_mixed()
    for text, encoding in texts:
        part = EmailMessage()
        part.set_content(text, cte=encoding)
        written.attach(part)
    data = written.as_bytes(policy=email.policy.SMTP.clone(cte_type="8bit"))
    message = parse(data)
    assert message.defects == ()
    assert [part.text.replace("\r\n", "\n").removesuffix("\n") for part in message.leaves] == [text for text, _ in texts]
    for part, (text, _) in zip(message.leaves, texts, strict=True):
        for index, character in enumerate(text):
            where = part.where_text(index)
            line = data.split(b"\r\n")[where.line - 1]
            if where.column is not None:
                octet = character.encode()[:1]
                assert line[where.column - 1 : where.column] in {octet, b"="}


@needs_corpora
def test_every_real_message_is_read_to_the_last_value(soak: bool) -> None:
    readers = (parse_addresses, parse_date, parse_identifiers, parse_received, parse_authentication_results)
    for name, data in messages(soak=soak):
        message = parse(data)
        touch(message)
        for part in message.parts:
            for field in part.fields:
                text = field.text
                text.encode()
                display_text(field)
                encoded_words(text)
                field.where(0, len(text))
                field.where(len(text) // 2, len(text) // 2 + 1)
                for reader in readers:
                    found = outcome(reader, text)
                    if isinstance(found, HeaderError):
                        assert is_inside(found, text), name
                        field.where(found.position)
        for part in message.body_parts:
            if part.content_type == "text/html":
                document = parse_html(part.text)
                assert document.visible_text is not None
                found = list(links_in_html(document, part))
            else:
                found = list(links_in_text(part.text, part))
            assert all(link.at.line is not None for link in found), name
