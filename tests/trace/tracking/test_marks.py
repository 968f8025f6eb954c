"""Tokens of links, pixels and unsubscribing: only ours open, each for its purpose only, and they never expire."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck import ulid
from delivcheck.trace.tokens import KEY, BadToken, Tokens
from delivcheck.trace.tracking import marks
from delivcheck.trace.tracking.leaving import Left, leave, mailto, unsubscribe_from_mail, unsubscribed
from delivcheck.trace.tracking.marks import CLICK, LEAVE, OPEN, Bucket, Leaving, Mark

TOKENS = Tokens([b"k" * KEY])
TRACE = ulid.new()
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)


@given(st.binary(min_size=16, max_size=16).filter(lambda octets: octets[0] < 0x80))
def test_a_trace_is_its_sixteen_octets(octets):
    assert marks.packed(marks.unpacked(octets)) == octets
    assert ulid.valid(marks.unpacked(octets))


@given(stream=TEXT, template=TEXT, tags=st.lists(TEXT, max_size=5).map(tuple), day=st.integers(0, 2**20))
def test_a_bucket_has_one_trace_of_its_day(stream, template, tags, day):
    bucket = Bucket(day, stream, template, tags)
    assert bucket.trace == Bucket(day, stream, template, tags).trace
    assert ulid.minted(bucket.trace) == datetime.fromtimestamp(day * 86_400, UTC)


@given(number=st.integers(0, 1000), url=TEXT)
def test_a_mark_comes_back(number, url):
    mark = Mark(1, TRACE, None, number, url)
    assert marks.opened(TOKENS, CLICK, marks.sealed(TOKENS, CLICK, mark)) == mark


def test_in_aggregate_mode_everybody_has_the_same_token_and_none_of_his_own():
    one, two = (marks.sealed(TOKENS, CLICK, Mark(1, "", Bucket(20_000, "news"), 0, "https://a.example/")) for _ in range(2))
    assert one == two
    assert marks.sealed(TOKENS, CLICK, Mark(1, TRACE, None, 0, "https://a.example/")) != one


@pytest.mark.attack(66)
@given(position=st.integers(0, 10_000), to=st.sampled_from("ABCabc019-_"))
def test_a_token_that_was_altered_opens_nothing(position, to):
    for purpose, made in (
        (CLICK, Mark(1, TRACE, None, 1, "https://a.example/x")),
        (LEAVE, Leaving(1, TRACE, "a@b.example", "news")),
    ):
        token = marks.sealed(TOKENS, purpose, made)
        position %= len(token)
        altered = token[:position] + to + token[position + 1 :]
        opener = marks.leaving if purpose == LEAVE else lambda tokens, text: marks.opened(tokens, CLICK, text)
        if altered == token:
            assert opener(TOKENS, altered) == made
            continue
        with pytest.raises(BadToken):
            opener(TOKENS, altered)


@pytest.mark.attack(66)
def test_a_token_has_one_spelling():
    for length in range(4):
        for token, opened in (
            (TOKENS.sealed(CLICK, b"x" * length), lambda text: TOKENS.opened(CLICK, text)),
            (TOKENS.short(CLICK, b"x" * (length + 1)), lambda text: TOKENS.short_opened(CLICK, text)),
        ):
            assert opened(token) is not None
            others = [
                token + "=",
                token + "==",
                *(token[:-1] + one for one in "ABCDabcdxyz234567-_" if one.lower() != token[-1].lower()),
            ]
            for other in (*others, token.replace("-", "+"), token.replace("_", "/")):
                if other != token:
                    with pytest.raises(BadToken):
                        opened(other)


@pytest.mark.attack(66)
@given(st.text(max_size=200))
def test_any_text_opens_or_is_a_bad_token(text):
    for opener in (
        lambda: marks.opened(TOKENS, OPEN, text),
        lambda: marks.leaving(TOKENS, text),
        lambda: marks.short_opened(TOKENS, text),
    ):
        with pytest.raises(BadToken):
            opener()


@pytest.mark.attack(66)
def test_a_token_for_one_door_opens_no_other_and_neither_does_one_of_another_gate():
    token = marks.sealed(TOKENS, OPEN, Mark(1, TRACE))
    with pytest.raises(BadToken):
        marks.opened(TOKENS, CLICK, token)
    with pytest.raises(BadToken):
        marks.opened(Tokens([b"x" * KEY]), OPEN, token)
    assert marks.opened(Tokens([b"n" * KEY, b"k" * KEY]), OPEN, token).trace == TRACE  # a new key in front of it


@pytest.mark.parametrize("mark", [Mark(2, TRACE), Mark(1, "not a trace"), Mark(1)])
def test_a_mark_that_we_do_not_make_opens_nothing(mark):
    with pytest.raises(BadToken):
        marks.opened(TOKENS, OPEN, marks.sealed(TOKENS, OPEN, mark))


# --- by mail ----------------------------------------------------------------------------------------------------------

LEAVING = leave(TRACE, "Pat@Example.net", "news", "default")


def mail(to="unsubscribe@example.org", subject="", author="pat@example.net", **fields):
    header = {"From": author, "To": to, "Subject": subject, **{name.replace("_", "-"): value for name, value in fields.items()}}
    return "\r\n".join([*(f"{name}: {value}" for name, value in header.items()), "", "unsubscribe", ""]).encode()


def subject_of(uri):
    return uri.partition("subject=")[2].replace("%20", " ")


def test_the_subject_says_who_leaves_what():
    uri = mailto(TOKENS, "unsubscribe@example.org", LEAVING)
    assert uri.startswith("mailto:unsubscribe@example.org?subject=unsubscribe%20")
    left = Left(TRACE, "Pat@Example.net", "news", "default")
    for subject in (
        subject_of(uri),
        f"Re: {subject_of(uri)}",
        f"{subject_of(uri)} please",
        subject_of(uri).replace(" ", "\r\n "),
    ):
        assert unsubscribe_from_mail(mail(subject=subject, author="other@example.com"), TOKENS) == left


def test_the_address_says_it_for_the_recipient_who_writes():
    address = mailto(TOKENS, "@u.example.org", LEAVING).removeprefix("mailto:")
    local = address.partition("@")[0]
    assert len(local) <= 64  # RFC 5321 section 4.5.3.1.1
    found = unsubscribe_from_mail(mail(to=address.upper()), TOKENS)
    assert (found.trace, found.recipient) == (TRACE, "pat@example.net")
    assert unsubscribe_from_mail(mail(), TOKENS, [address]) == found
    other = unsubscribe_from_mail(mail(to=address, author="x@example.com"), TOKENS)
    assert (other.trace, other.recipient, other.check) == (TRACE, None, marks.check("pat@EXAMPLE.net"))


def test_a_vacation_notice_a_report_and_a_letter_leave_nothing():
    subject = subject_of(mailto(TOKENS, "unsubscribe@example.org", LEAVING))
    assert unsubscribe_from_mail(mail(subject=subject, Auto_Submitted="auto-generated"), TOKENS) is not None
    for octets in (
        mail(subject=subject, Auto_Submitted="auto-replied (vacation)"),
        mail(subject=subject, Content_Type="multipart/report; report-type=delivery-status; boundary=x"),
        mail(subject="unsubscribe me from everything"),
        mail(subject=f"unsubscribe {'A' * 150}"),
        mail(to="u-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa@example.org"),
        b"",
    ):
        assert unsubscribe_from_mail(octets, TOKENS) is None


@given(st.binary(max_size=300))
def test_any_mail_is_read(octets):
    assert unsubscribe_from_mail(octets, TOKENS) is None


def test_told_twice_on_a_day_it_is_one_event_and_feeds_the_suppression_list():
    left = Left(TRACE, "Pat@Example.net", "news", "default")
    one, two = (
        unsubscribed(left, 1_000, "one-click"),
        unsubscribed(left._replace(recipient="pat@example.net"), 80_000_000, "mail"),
    )
    assert one.id == two.id
    assert one.detail["suppress"] == {"reason": "unsubscribe", "stream": "news"}
    assert unsubscribed(left, 90_000_000, "one-click").id != one.id
