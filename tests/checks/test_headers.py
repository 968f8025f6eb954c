"""What the header rules do beside the examples on their pages: cases too large or too dull for a page, fixes, hostile input."""

import asyncio
import time

import pytest

from delivcheck import catalog, policy
from delivcheck.api import Checker, Options
from delivcheck.model import Example, MessageClass
from tests import examples

BOOK = catalog.assemble(strict=False)
FROM = "From: news@example.org\n"


def judged(name, message, **more):
    """The result of one header rule for a header section, with a body where none is given."""
    text = message if "\n\n" in message else f"{message.rstrip()}\n\nText.\n"
    example = Example(name="", is_="", message=text, **more)
    return examples.run(BOOK, BOOK.rules[f"headers/{name}"], example)[0]


def told(result):
    return "\n".join([result.reason or "", *(problem.message for problem in result.problems)])


BIG = {"mail-from": f"b@{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 63}.example", "rcpt": ["joe@example.net"]}
LONG = {"mail-from": f"{'b' * 60}@{'a' * 63}.{'b' * 63}.{'c' * 63}.example", "rcpt": ["joe@example.net"]}
NULL = {"mail-from": "", "rcpt": ["joe@example.net"]}


@pytest.mark.parametrize(
    ("name", "message", "more", "outcome", "says"),
    [
        ("from-invalid", FROM.replace("news@example.org", "(x)<@a.example:n@example.org>"), {}, "fail", "a route before"),
        ("from-invalid", "From: news@ example.org", {}, "fail", "white space or a comment inside"),
        ("from-invalid", 'From: "a".b@example.org', {}, "fail", "quoted in pieces"),
        ("from-invalid", "From: news@example.org,", {}, "fail", "a comma with nothing beside it"),
        ("from-invalid", "From: John Q. Public <john@example.org>", {}, "pass", ""),
        ("from-invalid", "From: Board: ann@example.org;", {}, "fail", "From is a group"),
        ("from-invalid", "From: <news@exa mple.org>", {}, "fail", "an address cannot go on with"),
        ("from-invalid", "To: a@example.org", {}, "not-applicable", "no From address"),
        ("from-invalid", f"From: a@{'b' * 64}.example", {}, "fail", "is no full domain name"),
        ("several-authors", "From: nobody", {}, "not-applicable", "From cannot be read"),
        ("no-reply-sender", "From: nobody:;", {}, "not-applicable", "From names no mailbox"),
        ("display-name-imitates", f'From: "a@{"b" * 64}.example" <n@example.org>', {}, "pass", ""),
        ("display-name-imitates", 'From: "a@exam\u2488ple.com" <n@example.org>', {}, "pass", ""),
        ("display-name-imitates", "From: n@example.org", {}, "pass", ""),
        ("misleading-display-name", "From: Joe <n@example.org>\nTo: ann@example.net", {}, "pass", ""),
        ("misleading-display-name", "From: Joe <n@example.org>\nTo: ann@example.net", {"envelope": NULL}, "pass", ""),
        ("misleading-display-name", 'From: "joe@example.net" <n@example.org>', {"envelope": NULL}, "fail", "the recipient's"),
        (
            "mixed-script-domain",
            FROM,
            {"envelope": {"mail-from": "b@xn--ample-ywe6i.com", "rcpt": ["j@example.net"]}},
            "fail",
            "the domain in MAIL FROM",
        ),
        (
            "mixed-script-domain",
            FROM,
            {"sign": {"domain": "xn--ample-ywe6i.com", "selector": "s"}},
            "fail",
            "d= of a DKIM signature",
        ),
        ("mixed-script-domain", FROM, {"sign": {"domain": "example.org", "selector": "s"}}, "pass", ""),
        ("reply-to-invalid", FROM, {}, "not-applicable", "no Reply-To field"),
        ("reply-to-freemail", FROM, {}, "not-applicable", "no Reply-To field"),
        ("reply-to-freemail", FROM + "Reply-To: x@[192.0.2.1]", {}, "pass", ""),
        ("no-recipient", FROM + "To:\nCc:", {}, "fail", "the To field is empty"),
        ("no-recipient", FROM + "To: nobody:;", {}, "unknown", "its class was not declared"),
        ("no-recipient", FROM + "To: not an address", {}, "pass", ""),
        ("bcc-present", FROM + "Bcc: ann@example.net", {}, "fail", "Bcc shows 1 address"),
        ("bcc-present", FROM + "Bcc: not an address", {}, "fail", "cannot be read"),
        ("bcc-present", FROM + "Bcc:", {}, "pass", ""),
        ("address-too-long", FROM, {"envelope": BIG}, "fail", "MAIL FROM has 263 octets after the @"),
        ("address-too-long", FROM, {"envelope": LONG}, "fail", "octets with its brackets"),
        ("yahoo-characters", 'From: "a,b"@example.org', {}, "fail", "','"),
        ("null-sender", FROM + "Auto-Submitted: auto-generated", {"envelope": NULL}, "fail", "null sender"),
        ("null-sender", FROM + "Auto-Submitted: auto-notified; owner-email=a", {"envelope": NULL}, "pass", ""),
        ("null-sender", FROM, {}, "not-applicable", "no envelope was given"),
        ("feedback-id-malformed", FROM, {}, "not-applicable", "no Feedback-ID field"),
        ("feedback-id-malformed", FROM + "Feedback-ID:", {}, "fail", "has 0 characters"),
        ("csa-complaints-not-signed", FROM, {}, "not-applicable", "no X-CSA-Complaints field"),
        ("csa-complaints-not-signed", FROM + "X-CSA-Complaints: a@eco.de", {}, "not-applicable", "no DKIM signature"),
        ("auto-submitted-missing", FROM + "Auto-Submitted: no", {}, "pass", ""),
        ("auto-submitted-missing", FROM + "Auto-Submitted: auto-replied", {"envelope": NULL}, "pass", ""),
        ("raw-8bit", FROM + "X-Data: 7", {}, "pass", ""),
        ("section-too-large", FROM + f"X-Data: {'x' * 40_000}", {}, "fail", "the value of X-Data has 40001 octets"),
        ("section-too-large", FROM + f"To: {'x' * 40_000}", {}, "pass", ""),
        ("section-too-large", FROM + "X-A: 1\n" * 5001, {}, "fail", "the header has 5002 fields"),
        ("section-too-large", FROM + ("To: " + "x" * 30_000 + "\n") * 18, {}, "fail", "the header has 540"),
        ("subject-over-gmail-limit", f"Subject: {'=?utf-8?q?=C3=BC?= ' * 60}", {}, "fail", "as it is encoded"),
        ("subject-too-long", f"Subject: {'=?utf-8?q?=C3=BC?= ' * 60}", {}, "pass", ""),
        ("subject-too-long", FROM, {}, "not-applicable", "no Subject field"),
        ("date-zone-name", "Date: today", {}, "not-applicable", "Date cannot be read"),
        ("date-far-off", "Date: today", {}, "not-applicable", "Date cannot be read"),
        ("date-far-off", "Date: Mon, 23 Nov 2026 12:00:00 +0000", {"now": "2026-11-25T12:00:01Z"}, "fail", "48 hours behind"),
        ("date-invalid", "Date:", {}, "fail", "Date is not a date"),
        ("message-id-malformed", "Message-ID:", {}, "fail", "must begin with <"),
        ("message-id-malformed", "Message-ID: <ü@example.org>", {}, "fail", "not ASCII"),
        ("message-id-malformed", f"Message-ID: <{'a' * 500}@example.org>", {}, "fail", "514 characters"),
        ("message-id-local", "Message-ID: 1", {}, "not-applicable", "Message-ID cannot be read"),
        ("message-id-local", "Message-ID: <1@[192.0.2.1]>", {}, "pass", ""),
        ("message-id-missing", "From: a@example.org", {"options": {"next-hop-adds-it": False}}, "fail", "no Message-ID"),
        ("fake-reply", "Subject: Re[2]: x", {}, "fail", "“Re[2]:”"),
        ("malformed-field", "From a@example.org Mon Nov 23\nFrom: a@example.org", {}, "fail", "mbox"),
        ("malformed-field", " folded\nFrom: a@example.org", {}, "fail", "begins with a continuation line"),
        ("malformed-field", ": a@example.org\nFrom: a@example.org", {}, "fail", "begins with a colon"),
        (
            "malformed-field",
            f"Content-Type: multipart/mixed; boundary=b\n{FROM}\n--b\nContent-Type: message/rfc822\n\nX Y: 1\n\nx\n--b--\n",
            {},
            "pass",
            "",
        ),
    ],
)
def test_cases_that_no_page_has_room_for(name, message, more, outcome, says):
    result = judged(name, message, **more)
    assert (result.outcome, says in told(result)) == (outcome, True), told(result)
    assert not result.bug


@pytest.mark.parametrize(
    ("name", "message", "fix"),
    [
        ("fake-reply", "Subject: Re: your order", "Subject: your order"),
        ("fake-reply", "Subject: =?utf-8?q?Re=3A_=C3=BC?=", None),
        ("raw-8bit", "Subject: Año nuevo", "Subject: =?utf-8?q?A=C3=B1o_nuevo?="),
        ("raw-8bit", "X-Año: 1\nTo: Jörg <j@example.org>", None),
    ],
)
def test_the_exact_header_is_offered_where_it_can_be_told(name, message, fix):
    assert judged(name, message).problems[-1].fix == fix


def test_one_problem_for_each_field_however_often_it_is_wrong():
    words = "=?utf-8?x?a?= " * 50
    result = judged("bad-encoded-word", f"Subject: {words}\nComments: {words}")
    assert [problem.where.header for problem in result.problems] == ["Subject", "Comments"]
    long = "x" * 1000
    result = judged("line-too-long", f"X-A: {long}\n {long}\nX-B: short\n {long}")
    assert [(problem.where.header, problem.where.line) for problem in result.problems] == [("X-A", 1), ("X-B", 4)]


@pytest.mark.parametrize(
    "header",
    [
        "X-A: 1\n" * 50_000,
        "From: a@example.org\n" * 9000,
        "From: " + "a@example.org, " * 20_000,
        "From: " + '"' * 100_000,
        "Subject: " + "=?utf-8?q?x?=" * 20_000,
        "Subject: " + "=?" * 100_000,
        "References: " + "=?utf-8?q?x?= " * 20_000,
        "Feedback-ID: " + "a:" * 100_000,
        "From: " + "a.b." * 20_000 + " <a@example.org>",
        "X: " + "x" * 100 + "\n " + "y" * 100 + "\n" + ("Y: " + "z" * 100 + "\n") * 9000,
        "List-Unsubscribe: " + "<" * 200_000,
    ],
)
def test_hostile_headers_take_linear_time(header):
    rules = {name: rule for name, rule in BOOK.rules.items() if rule.family in {"headers", "unsubscribe"}}
    options = Options(policy.load("bulk"), dns="offline", message_class=MessageClass.BULK)
    checker = Checker(options, catalog.Catalog(rules, BOOK.checks, BOOK.providers), shown={})
    started = time.process_time()
    report = asyncio.run(checker.message(f"{header}\n\nText.\n".encode()))
    assert time.process_time() - started < 50
    assert not any(result.bug is True for result in report.results)
