"""What a client asks is made into copies, or refused with every place that is wrong; nothing it writes becomes a header of its own."""

import base64
import json
from email.header import decode_header

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.gate.http.v1 import body, compose, fields
from delivcheck.gate.http.v1.body import Large, Mail, Room, from_json, from_message
from delivcheck.gate.http.v1.strict import Invalid, read
from delivcheck.mime.message import header_of

ROOM = Room(recipients=50, octets=200_000)
PLAIN = {"from": "Ana <ana@example.org>", "to": "pat@example.net", "subject": "Hi", "text": "Hi."}


def order(**more):
    return from_json(json.dumps({**PLAIN, **more}).encode(), ROOM)


def wrong(**more):
    """The places that are wrong."""
    with pytest.raises(Invalid) as raised:
        order(**more)
    return [at for at, _ in raised.value.errors]


def names(octets):
    return [one.lower for one in header_of(octets)]


# --- whatever comes ----------------------------------------------------------------------------------------------------

JSONS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(list(PLAIN)) | st.text(max_size=8), inner, max_size=6)
    ),
    max_leaves=12,
)
SAID = st.fixed_dictionaries(
    {"from": st.text(max_size=40) | st.just("a@example.org")},
    optional={
        name: JSONS | st.text(max_size=60)
        for name in (
            "to",
            "cc",
            "bcc",
            "subject",
            "text",
            "html",
            "headers",
            "attachments",
            "tags",
            "class",
            "personalizations",
        )
    },
)


@given(octets=st.binary(max_size=200) | (SAID | JSONS).map(lambda value: json.dumps(value).encode()))
def test_it_returns_or_raises_invalid_or_large(octets):
    try:
        made = from_json(octets, ROOM)
    except (Invalid, Large):
        return
    assert made.copies


@given(octets=st.binary(max_size=300), sender=st.text(max_size=30), to=st.lists(st.text(max_size=30), max_size=3))
def test_a_whole_message_returns_or_raises_invalid_or_large(octets, sender, to):
    try:
        made = from_message(octets, sender, to, ROOM)
    except (Invalid, Large):
        return
    assert made.copies[0].octets.count(b"\n") == made.copies[0].octets.count(b"\r\n") == made.copies[0].octets.count(b"\r")


HOSTILE = st.text(st.sampled_from('ab:;,<>@"\\ =?\r\n\0\u2028é.X'), max_size=40)


@pytest.mark.attack(15, 67)
@given(
    subject=HOSTILE,
    name=HOSTILE,
    field=st.dictionaries(HOSTILE, HOSTILE, max_size=3),
    file=HOSTILE,
    kind=HOSTILE,
    cid=HOSTILE,
    tag=HOSTILE,
)
def test_no_text_makes_a_field_of_its_own(subject, name, field, file, kind, cid, tag):
    files = [{"name": file or "a", "content": "", "type": kind, "cid": cid}]
    asked = {
        "subject": subject,
        "to": {"address": "pat@example.net", "name": name},
        "headers": field,
        "html": "x",
        "tags": [tag],
    }
    for more in ({**asked, "attachments": files}, asked, {**asked, "headers": {}, "tags": []}):
        try:
            made = order(**more)
        except Invalid:
            continue
        (copy,) = made.copies
        assert copy.recipients == ("pat@example.net",)
        ours = {"from", "to", "subject", "mime-version", "content-type", "content-transfer-encoding", "x-delivcheck-tag"}
        assert set(names(copy.octets)) <= ours | {one.lower() for one in more["headers"]}
        assert names(copy.octets).count("to") == 1


# --- refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.attack(15, 67)
@pytest.mark.parametrize(
    ("more", "at"),
    [
        ({"subject": "a\r\nBcc: eve@example.net"}, "/subject"),
        ({"subject": "a\nb"}, "/subject"),
        ({"from": "Ana\r\nX: y <ana@example.org>"}, "/from"),
        ({"from": "a@example.org, b@example.org"}, "/from"),
        ({"from": "ana"}, "/from"),
        ({"to": "<@one,@two:pat@example.net>"}, "/to"),
        ({"to": ["pat@example.net", "x y@example.net"]}, "/to/1"),
        ({"to": {"address": "pat@example.net>\r\nRCPT TO:<eve@example.net", "name": ""}}, "/to/address"),
        ({"to": {"address": "pat@example.net", "name": "a\x85b"}}, "/to/name"),
        ({"headers": {"X-A": "1\r\nBcc: eve@example.net"}}, "/headers/X-A"),
        ({"headers": {"X A": "1"}}, "/headers"),
        ({"headers": {"X-A:": "1"}}, "/headers"),
        ({"headers": {"": "1"}}, "/headers"),
        ({"headers": {"X-\u00e9": "1"}}, "/headers"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "/headers/x-a"),
        ({"headers": {"List-Id": "\u00e9"}}, "/headers/List-Id"),
        *(
            ({"headers": {name: "x"}}, f"/headers/{name}")
            for name in (
                "From", "tO", "Bcc", "Subject", "Sender", "Reply-To", "Received", "DKIM-Signature", "Return-Path", "MIME-Version",
                "Content-Type", "Content-Transfer-Encoding", "Resent-From", "Authentication-Results", "ARC-Seal", "X-Delivcheck-Class",
            )
        ),
        ({"attachments": [{"name": "../etc/passwd", "content": ""}]}, "/attachments/0/name"),
        ({"attachments": [{"name": "a\r\nb", "content": ""}]}, "/attachments/0/name"),
        ({"attachments": [{"name": "a", "content": "####"}]}, "/attachments/0/content"),
        ({"attachments": [{"name": "a", "content": "YQ"}]}, "/attachments/0/content"),
        ({"attachments": [{"name": "a", "content": "", "type": "multipart/mixed"}]}, "/attachments/0/type"),
        ({"attachments": [{"name": "a", "content": "", "type": "message/rfc822"}]}, "/attachments/0/type"),
        ({"attachments": [{"name": "a", "content": "", "type": "text/plain; x=\r\ny"}]}, "/attachments/0/type"),
        ({"attachments": [{"name": "a", "content": "", "cid": "x>\r\n"}], "html": "x"}, "/attachments/0/cid"),
        ({"attachments": [{"name": "a", "content": "", "cid": "x"}]}, "/attachments"),
        ({"tags": ["a,b"]}, "/tags/0"),
        ({"stream": "a\nb"}, "/stream"),
        ({"class": "spam"}, "/class"),
        ({"to": []}, "/to"),
        ({"text": None}, "/text"),
        ({"text": "a\0b"}, "/text"),
        ({"subject": "a\ud800"}, "/subject"),
        ({"to": [f"{n}@example.net" for n in range(51)]}, "/to"),
        ({"personalizations": [{"to": "a@example.net"}]}, "/personalizations"),
        ({"to": [], "personalizations": [{"to": "a@example.net"}, {"to": "a@example.net"}]}, "/personalizations/1"),
        ({"colour": "red"}, ""),
        ({"return_path": "<>"}, "/return_path"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_impossible_is_refused_with_its_place(more, at):
    assert at in wrong(**more)


@pytest.mark.attack(67)
@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"from": "a@example.org", "from": "b@example.org"}',
        b'{"from": "a@example.org", "headers": {"X": "1", "X": "2"}}',
        b'{"from": NaN}',
        b'{"from": ' + b"9" * 100_000 + b"}",
        b'\xff{"from": "a@example.org"}',
        b'\xef\xbb\xbf{"from": "a@example.org"}',
        b'{"from": "a@example.org"} {}',
        b'"' + b"\\" * 100_001,
    ],
    ids=lambda octets: ascii(octets[:60]),
)
def test_what_is_no_json_or_means_two_things_is_refused(octets):
    with pytest.raises(Invalid):
        read(octets, Mail)


def test_brackets_in_texts_are_no_nesting():
    assert order(html="[{" * 10_000 + '"\\', text='"[' * 100).copies


def test_what_is_too_large_is_said_before_it_is_sent():
    with pytest.raises(Large):
        order(text="x" * 250_000)
    copies = [{"to": f"{n}@example.net"} for n in range(4)]
    with pytest.raises(Large):
        order(to=[], personalizations=copies, text="x" * 150_000)


# --- taken -------------------------------------------------------------------------------------------------------------


def test_addresses_come_in_every_form():
    made = order(
        to=["Pat <pat@example.net>", {"address": "bob@exämple.org", "name": "Bob"}, '"a b"@example.net'], cc="PAT@example.net"
    )
    (copy,) = made.copies
    assert copy.recipients == ("pat@example.net", "bob@xn--exmple-cua.org", '"a b"@example.net', "PAT@example.net")
    assert made.sender == "ana@example.org"


def test_the_same_request_is_the_same_octets():
    more = {
        "attachments": [{"name": "a.pdf", "content": base64.b64encode(b"x").decode()}],
        "html": "<p>x</p>",
        "tags": ["a", "b"],
    }
    assert order(**more) == order(**more)


def test_what_the_gate_is_told_stands_in_fields_that_it_takes_out():
    (copy,) = order(stream="news", tags=["eu", "a b"], template="receipt", tracking="none", **{"class": "bulk"}).copies
    found = [(one.name, one.text.strip()) for one in header_of(copy.octets) if one.lower.startswith("x-delivcheck")]
    assert found == [
        ("X-Delivcheck-Stream", "news"),
        ("X-Delivcheck-Class", "bulk"),
        ("X-Delivcheck-Template", "receipt"),
        ("X-Delivcheck-Tracking", "none"),
        ("X-Delivcheck-Tag", "eu"),
        ("X-Delivcheck-Tag", "a b"),
    ]


def test_a_copy_of_its_own_has_what_it_says_and_else_what_the_message_says():
    copies = [{"to": "a@example.net", "subject": "A", "headers": {"X-A": "2"}}, {"to": "b@example.net", "text": "B."}]
    made = order(to=[], personalizations=copies, headers={"x-a": "1", "X-B": "1"})
    first, second = (one.octets for one in made.copies)
    assert b"Subject: A\r\n" in first
    assert b"X-A: 2\r\n" in first
    assert b"x-a: 1" not in first
    assert b"X-B: 1" in first
    assert b"Hi." in first
    assert b"Subject: Hi\r\n" in second
    assert b"B." in second
    assert b"x-a: 1\r\n" in second


def test_the_shape_is_what_the_document_says():
    (_,), parts = msgspec.json.schema_components([Mail], ref_template="#/$defs/{name}")
    assert parts["Mail"]["additionalProperties"] is False
    assert parts["Mail"]["required"] == ["from"]


# --- what a small request could cost -----------------------------------------------------------------------------------


@pytest.mark.attack(67)
def test_what_all_copies_have_is_encoded_once(monkeypatch):
    # 58 kB asked for 1,000 copies with 100 files each, and stopped the desk for ten seconds.
    calls = []
    for module, name in ((compose, "_file"), (compose, "_text"), (fields, "text")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *said, real=real, name=name: (calls.append((name, said)), real(*said))[1])
    files = [{"name": f"ü{one}.txt", "content": "QQ=="} for one in range(20)]
    to = [{"to": f"a{one}@example.net"} for one in range(50)]
    made = order(to=[], personalizations=to, html="<p>ü</p>", attachments=files, headers={"X-Note": "ü" * 500}, subject="")
    assert len(made.copies) == 50
    assert len(calls) == len(files) + 2 + 1
    assert len({copy.octets.partition(b"MIME-Version")[2] for copy in made.copies}) == 1


@pytest.mark.attack(67)
@pytest.mark.parametrize(
    ("more", "at"),
    [
        ({"to": ["("] * 51}, "/to"),
        ({"to": [], "cc": ["pat@example.net"] * 26, "bcc": ["pat@example.net"] * 25}, "/to"),
        ({"to": [], "personalizations": [{}] * 51}, "/personalizations"),
        ({"to": [], "personalizations": [{"to": ["("] * 26}] * 2}, "/personalizations"),
        ({"reply_to": ["("] * 101}, "/reply_to"),
    ],
)
def test_too_many_addresses_are_refused_before_one_is_read(more, at, monkeypatch):
    monkeypatch.setattr(body, "parse_mailbox", None)
    assert wrong(**more) == [at]


@given(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=400).filter(lambda text: not text.isascii()),
    st.integers(0, 60),
)
def test_encoded_words_are_as_long_as_they_may_be_and_no_longer(text, lead):
    words = list(fields._encoded(text, lead))
    assert max(map(len, words)) <= fields.WORD
    assert len(words[0]) <= max(fields.WORDS - lead, 24)
    decoded = "".join(part.decode("utf-8") if isinstance(part, bytes) else part for part, _ in decode_header(" ".join(words)))
    assert decoded == text
