"""What stands before a template's body, cut off so that every place stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.templates.front import split
from delivcheck.templates.model import Source


def cut(text, *, plain=False):
    body, subject = split(Source("a.html", text), plain=plain)
    return body.text, None if subject is None else subject.text


@pytest.mark.parametrize(
    ("text", "body", "subject"),
    [
        ("---\nsubject: Hi {{ name }}\n---\n<p>", "<p>", "Hi {{ name }}"),
        ("---\r\nSubject:  Hi \r\n---\r\n<p>", "<p>", "Hi"),
        ('---\ntitle: x\nsubject: "Hi: you"\n---\n<p>', "<p>", "Hi: you"),
        ("---\nsubject: 'Hi'\n---\n<p>", "<p>", "Hi"),
        ("---\nsubject: '\n---\n<p>", "<p>", "'"),
        ("---\nsubject:\n---\n<p>", "<p>", ""),
        ("---\ntitle: x\n---\n<p>", "<p>", None),
        ("---\nnested:\n  subject: x\n---\n<p>", "<p>", None),
        ("---  \nsubject: Hi\n---  \n<p>", "<p>", "Hi"),
        ("---\nsubject: a\n---", "", "a"),
    ],
)
def test_front_matter_is_cut_off_and_brings_the_subject(text, body, subject):
    for plain in (False, True):
        found, said = cut(text, plain=plain)
        assert found.strip() == body
        assert (None if said is None else said.strip()) == subject


@pytest.mark.parametrize(
    "text",
    ["---\nsubject: never closed\n<p>", "----\nsubject: x\n----\n", "<p>---\nsubject: x\n---\n", " ---\nsubject: x\n---\n"],
)
def test_what_only_looks_like_front_matter_is_the_body(text):
    assert cut(text) == (text, None)


@pytest.mark.parametrize(
    ("text", "subject"),
    [
        ("Subject: Hi\n\nBody", "Hi"),
        ("SUBJECT:Hi {{ n }}\r\nBody", "Hi {{ n }}"),
        ("\n\n  subject: Hi\nBody", "Hi"),
        ("Subject: Hi", "Hi"),
    ],
)
def test_the_first_line_of_a_plain_text_may_be_its_subject(text, subject):
    body, said = cut(text, plain=True)
    assert said.strip() == subject
    assert body.strip() in {"Body", ""}
    assert cut(text) == (text, None)  # of an HTML it is text


def test_a_subject_further_down_is_text():
    assert cut("Hello\nSubject: Hi\n", plain=True) == ("Hello\nSubject: Hi\n", None)


@given(
    st.lists(
        st.sampled_from(["---\n", "---\r\n", "subject: ", "Subject:", "é", "\t", " ", "\n", "\r", "'", '"', "{{ x }}"]),
        max_size=14,
    ).map("".join),
    st.booleans(),
)
def test_places_stay_whatever_is_cut_off(text, plain):
    body, subject = split(Source("a.html", text), plain=plain)
    for made in (body, subject):
        if made is not None:
            assert len(made.text) <= len(text)
            assert made.text.count("\n") <= text.count("\n")
            assert all(new in {old, " "} for new, old in zip(made.text, text, strict=False))
    assert len(body.text) == len(text)


@pytest.mark.parametrize(
    "text",
    [
        "Subject:" + " " * 300_000 + "\rx",
        "Subject: a" + " " * 300_000 + "b\n",
        "---\n" + ("subject:" + " " * 9_000 + "\rb") * 2 + "\n---\n",
        "---\nsubject" + "\t" * 19_000 + "\n---\n",
        "---\n" * 100_000,
    ],
)
def test_hostile_beginnings_take_no_time(text):
    split(Source("a.txt", text), plain=True)
