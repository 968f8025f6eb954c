"""Replies: whatever the text, what is written is a reply of SMTP, and what was read comes back."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.gate.reply import MAX_TEXT, Reply, heard

LINE = re.compile(rb"[2-5][0-9][0-9]([ -][\x20-\x7e]*)?")
texts = st.text() | st.text(st.sampled_from(" ab\r\n\0\x1b%\x85é\u2028"), max_size=3000)


@pytest.mark.attack(39, 46)
@given(st.sampled_from((250, 354, 421, 451, 550, 554)), st.sampled_from((None, "5.7.1", "4.3.0")), texts)
def test_any_text_makes_one_reply_of_short_printable_lines(code, enhanced, text):
    octets = Reply(code, enhanced, text).octets()
    *lines, end = octets.split(b"\r\n")
    assert end == b""
    assert all(LINE.fullmatch(line) and len(line) <= 510 for line in lines)
    assert all(line[3:4] == b"-" for line in lines[:-1])
    assert lines[-1][3:4] in (b" ", b"")
    assert all(enhanced is None or line[4:].startswith(enhanced.encode()) for line in lines)


@given(
    st.sampled_from((250, 451, 550)),
    st.sampled_from((None, "x.7.1")),
    st.text(st.characters(min_codepoint=33, max_codepoint=126)),
)
def test_a_reply_that_is_written_and_read_is_the_same(code, enhanced, text):
    enhanced = enhanced and enhanced.replace("x", str(code)[0])
    text = text[:MAX_TEXT]
    reply = Reply(code, enhanced, text)
    lines = reply.lines()
    if len(lines) == 1 and text and not re.match(r"[245]\.\d", text):
        assert heard(code, [line[4:] for line in lines]) == reply


def test_an_enhanced_code_of_another_class_is_text():
    assert heard(250, ["5.7.1 odd"]) == Reply(250, None, "5.7.1 odd")


def test_the_enhanced_code_is_taken_off_every_line():
    assert heard(550, ["5.7.1 one", "5.7.1 two"]) == Reply(550, "5.7.1", "one\ntwo")


def test_a_long_text_breaks_at_a_blank():
    lines = Reply(550, "5.7.1", "word " * 200).lines()
    assert len(lines) > 1
    assert all(line.endswith("word") for line in lines)
