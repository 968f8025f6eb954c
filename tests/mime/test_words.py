"""Encoded-words: each is found as written, decoded, and told with everything that is wrong with it."""

import base64
from email.header import decode_header, make_header
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.mime.headers import display_text
from delivcheck.mime.message import parse
from delivcheck.mime.words import WordFault as F
from delivcheck.mime.words import decode_words, encoded_words


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("=?utf-8?Q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?UTF-8?b?R3LDvMOfZQ==?=", "Grüße"),
        ("=?iso-8859-1?q?a_b?= c", "a b c"),
        ("=?utf-8?Q?a?= =?utf-8?Q?b?=", "ab"),
        ("=?utf-8?Q?a?=\t =?iso-8859-1?Q?b?=", "ab"),
        ("=?utf-8?Q?a?= x =?utf-8?Q?b?=", "a x b"),
        ("=?utf-8?Q?a?= =?x-none?Q?b?=", "a =?x-none?Q?b?="),
        ("=?utf-8*de?Q?a?=", "a"),
        ("=?utf-8?Q?=C3?= =?utf-8?Q?=BC?=", "ü"),
        ("=?utf-8?X?a?=", "=?utf-8?X?a?="),
        ("a =? b ?= c", "a =? b ?= c"),
        ("=?", "=?"),
        ("=?utf-8?Q??=", ""),
        ("=?utf-8?Q?a?b?=", "a?b"),
        ("=?utf-8?Q?never closed", "=?utf-8?Q?never closed"),
    ],
)
def test_a_reader_sees_the_words_decoded(value: str, shown: str) -> None:
    assert decode_words(value) == shown
    assert display_text(value) == shown


def test_a_field_is_shown_unfolded_and_decoded() -> None:
    field = parse(b"Subject: =?utf-8?Q?a?=\r\n =?utf-8?Q?b?= c\r\n\r\n").first("subject")
    assert display_text(field) == "ab c"


@pytest.mark.parametrize(
    ("value", "faults"),
    [
        ("=?utf-8?Q?a?=", [()]),
        ("(=?utf-8?Q?a?=)", [()]),
        ("=?utf-8?Q?a?= =?utf-8?B?YQ==?=", [(), ()]),
        ("=?utf-8?Q?a?==?utf-8?Q?b?=", [(F.NOT_SEPARATED,), (F.NOT_SEPARATED,)]),
        ("x=?utf-8?Q?a?=", [(F.NOT_SEPARATED,)]),
        ("=?utf-8?Q?a?=x", [(F.NOT_SEPARATED,)]),
        ('"=?utf-8?Q?a?="', [(F.NOT_SEPARATED,)]),
        ("=?x-none?Q?a?=", [(F.UNKNOWN_CHARSET,)]),
        ("=?utf-8?X?a?=", [(F.UNKNOWN_ENCODING,)]),
        ("=?utf-8?B?YQ?=", [(F.BAD_BASE64,)]),
        ("=?utf-8?B?Y!==?=", [(F.BAD_BASE64,)]),
        ("=?utf-8?Q?=ZZ?=", [(F.BAD_Q,)]),
        ("=?utf-8?Q?é?=", [(F.BAD_Q,)]),
        ("=?utf-8?Q?a?b?=", [(F.BAD_Q,)]),
        ("=?utf-8?Q?a b?=", [(F.SPACE_INSIDE,)]),
        ("=?utf-8?Q?=FF?=", [(F.UNDECODABLE,)]),
        ("=?utf-8?Q?=C3?= =?utf-8?Q?=BC?=", [(F.SPLIT_CHARACTER,), (F.SPLIT_CHARACTER,)]),
        ("=?utf-8?Q?=C3?= =?utf-8?B?vA==?=", [(F.UNDECODABLE,), (F.UNDECODABLE,)]),
        ("=?utf-8?Q?=C3?= x =?utf-8?Q?=BC?=", [(F.UNDECODABLE,), (F.UNDECODABLE,)]),
        ("=?utf-8?Q?=C3?= =?utf-8?Q?=C3?=", [(F.UNDECODABLE,), (F.UNDECODABLE,)]),
        (f"=?utf-8?Q?{'a' * 64}?=", [(F.TOO_LONG,)]),
        (f"=?utf-8?Q?{'a' * 63}?=", [()]),
        ("=?utf-8?Q?open", [(F.NOT_CLOSED,)]),
        ("=?a(b?Q?x?=", [(F.BAD_CHARSET_NAME, F.UNKNOWN_CHARSET)]),
        ("a =? b ?= c", []),
    ],
)
def test_every_fault_of_a_word_is_told(value: str, faults: list[tuple[F, ...]]) -> None:
    assert [word.faults for word in encoded_words(value)] == faults


def test_a_word_keeps_what_was_written_and_where() -> None:
    value = "x =?UTF-8*en?q?a=20b?= y"
    (word,) = encoded_words(value)
    assert value[slice(*word.span)] == word.raw == "=?UTF-8*en?q?a=20b?="
    assert (word.charset, word.language, word.encoding, word.octets, word.decoded) == ("UTF-8", "en", "Q", b"a b", "a b")


PIECES = st.sampled_from(
    ["=?", "?=", "?", "utf-8", "Q", "b", "=C3", "=BC", "YQ==", " ", "a", "é", "_", "\r", "=", "iso-2022-jp", "*"]
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
def test_it_never_raises_and_spans_follow_one_another(value: str) -> None:
    words = encoded_words(value)
    assert all(value[slice(*word.span)] == word.raw for word in words)
    spans = [word.span for word in words]
    assert spans == sorted(spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    decode_words(value)


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_what_was_encoded_is_shown_as_the_standard_library_shows_it(text: str) -> None:
    value = f"=?utf-8?B?{base64.b64encode(text.encode()).decode()}?="
    assert decode_words(value) == text == str(make_header(decode_header(value)))
