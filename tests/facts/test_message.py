"""The facts of a message: texts, documents and links per part, and who From says it is."""

import asyncio
import time
from typing import Any

import pytest

from delivcheck.engine import Planner, Provider, Roots, gather
from delivcheck.facts import identity, message, roots
from delivcheck.facts.identity import FromDomain
from delivcheck.facts.message import FromField, HtmlParts, Links, TextParts
from delivcheck.facts.roots import Octets
from delivcheck.mime import links as mime_links
from delivcheck.mime.addresses import AddressList
from delivcheck.mime.html import HtmlDocument
from delivcheck.mime.lexer import HeaderError
from delivcheck.mime.links import MAX_LINKS
from delivcheck.mime.message import Message, MessageError, parse
from delivcheck.model import NotApplicable, Unavailable, Where

PROVIDERS = [value for value in vars(message).values() if isinstance(value, Provider)]


def facts(text: str, *wanted: type) -> Any:
    """What the engine makes of a message; one fact, or several."""
    given = Roots(Octets(text.replace("\n", "\r\n").encode()), why_absent=roots.WHY_ABSENT)
    planner = Planner([identity.from_domain_audited, *PROVIDERS])
    found = asyncio.run(gather(planner.plan(wanted, given), given))
    return found[wanted[0]] if len(wanted) == 1 else tuple(found[each] for each in wanted)


MIXED = (
    "From: A <a@b.example>\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nsee https://t.example\n--b\n"
    "Content-Type: text/html\n\n<p>{{ name }}</p>\n<a href='https://h.example/'>go</a>\n--b--\n"
)


def test_texts_documents_and_links_come_part_by_part() -> None:
    texts, html, links = facts(MIXED, TextParts, HtmlParts, Links)
    assert [(each.part.path, each.text) for each in texts.each] == [("1", "see https://t.example")]
    assert texts.each[0].where(4, 9) == Where(line=6, column=5, end_column=10, part="1")
    ((part, document),) = html.readable
    assert isinstance(document, HtmlDocument)
    assert part.where(document.source.index("<a")) == Where(line=11, column=1, part="2")
    start = document.visible_text.index("{{")
    assert part.where_visible(start, start + 10) == Where(line=10, column=4, end_column=14, part="2")
    assert part.where_visible(start).end_column is None
    assert [(link.host_ascii, link.part.path, link.at.line) for link in links.each] == [
        ("t.example", "1", 6),
        ("h.example", "2", 11),
    ]
    assert (html.unavailable, links.unavailable) == ((), ())


def test_html_that_is_too_large_hides_only_itself() -> None:
    big = "<p>x" * 60_000
    text = f"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n\n{big}\n--b\nContent-Type: text/html\n\n<a href=https://h.example>x</a>\n--b--\n"
    html, links = facts(text, HtmlParts, Links)
    assert [type(each.document) for each in html.each] == [Unavailable, HtmlDocument]
    (why,) = html.unavailable
    assert why.where.part == "1"
    assert [link.host_ascii for link in links.each] == ["h.example"]
    assert links.unavailable == (why,)


def test_a_message_without_text_has_no_parts_and_no_links() -> None:
    texts, html, links = facts("Content-Type: image/png\n\nx\n", TextParts, HtmlParts, Links)
    assert (texts.each, html.each, links.each) == ((), (), ())


def test_a_parsed_message_may_be_given_as_a_root() -> None:
    parsed = parse(b"From: a@b.example\r\n\r\n")
    given = Roots(Octets(b"ignored"), parsed)
    planner = Planner(PROVIDERS)
    assert asyncio.run(gather(planner.plan([Message], given), given))[Message] is parsed


def test_octets_that_are_no_message_are_refused_before_any_rule() -> None:
    with pytest.raises(MessageError):
        message.message.function(Octets(b""))


@pytest.mark.parametrize(
    ("header", "domain", "column"),
    [
        ("From: a@B.Example", "b.example", 9),
        ('From: "x@y.example, z" <a@b.example>', "b.example", 27),
        ("From: a@exämple.de", "xn--exmple-cua.de", 9),
        ("From: (c@d.example) a@b.example (e)", "b.example", 23),
        ("From:\n A\n <a@b.example>", "b.example", 5),
    ],
)
def test_the_author_domain_is_that_of_the_one_mailbox(header: str, domain: str, column: int) -> None:
    found = facts(f"{header}\n\n", FromDomain)
    assert found.name == domain
    assert (found.at.line, found.at.column, found.at.header) == (header.count("\n") + 1, column, "From")


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("To: a@b.example", "the message has no From field"),
        ("From: a@b.example\nFrom: a@b.example", "the message has 2 From fields, so no one author domain"),
        ("From: a@b.example, c@d.example", "From has 2 mailboxes, so no one author domain"),
        ("From: G: a@b.example;", "From holds a group, so no one author domain"),
        ("From: nobody", "From cannot be read: no @ in the address 'nobody'"),
        ("From:", "From cannot be read: there is no address"),
        ("From: a@[192.0.2.1]", "the domain in From is an address literal"),
        (
            "From: a@" + "x" * 64 + ".example",
            f"the domain in From is no domain name: the label {'x' * 20}… has 64 characters, the limit is 63",
        ),
    ],
)
def test_without_one_mailbox_there_is_no_author_domain(header: str, why: str) -> None:
    found = facts(f"{header}\n\n", FromDomain)
    assert isinstance(found, NotApplicable)
    assert found.reason == why


def test_every_from_field_is_read() -> None:
    found = facts("From: a@b.example\nFrom: nobody\n\n", FromField)
    assert [type(each) for each in found.parsed] == [AddressList, HeaderError]
    assert found.mailbox is None
    assert found.at.line == 1
    assert facts("To: x\n\n", FromField).at is None
    assert facts("From: A <a@b.example>\n\n", FromField).mailbox.display_name == "A"
    assert facts("From: nobody\n\n", FromField).mailbox is None


def test_links_past_the_limit_are_not_known():
    body = b"https://example.org/a\r\n" * (MAX_LINKS + 1)
    found = links_of(b"From: a@example.org\r\nContent-Type: text/plain\r\n\r\n" + body)
    assert len(found.each) == MAX_LINKS
    assert [one.reason for one in found.unavailable] == [f"only the first {MAX_LINKS} links of the message were looked at"]


def test_the_parts_of_a_message_share_the_limits_of_its_links(monkeypatch):
    monkeypatch.setattr(mime_links, "MAX_LINKS", 5)
    text = b"--b\r\n\r\nhttps://example.org/ https://example.org/\r\n"
    html = b"--b\r\nContent-Type: text/html\r\n\r\n<a href=https://example.org/><a href=https://example.org/>\r\n"
    head = b"From: a@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    found = links_of(head + text + html + text + html + b"--b--\r\n")
    assert len(found.each) == 5
    (told,) = found.unavailable
    assert told.reason == "only the first 5 links of the message were looked at"
    assert links_of(head + text + html + b"--b--\r\n").unavailable == ()


def test_thousands_of_texts_take_linear_time():
    parts = b"--b\r\n\r\nhttps://example.org/\r\n" * 9000
    started = time.process_time()
    found = links_of(b"From: a@example.org\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n")
    assert (len(found.each), time.process_time() - started < 50) == (9000, True)


def links_of(data):
    parsed = parse(data)
    return message.links.function(parsed, message.text_parts.function(parsed), message.html_parts.function(parsed))
