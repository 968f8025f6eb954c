"""What the header rules do beside the examples on their pages: cases too large or too dull for a page, fixes, hostile input."""

import asyncio
import time

import pytest

from delivcheck import catalog, policy
from delivcheck.api import Checker, Options
from delivcheck.checks.headers import Places
from delivcheck.engine import MAX_PROBLEMS
from delivcheck.mime.message import parse
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


# --- exactly what is said, and where -----------------------------------------------------------------------------


def said(name, message, **more):
    """Each problem: the message, and the characters pointed at (or line and column, or None)."""
    text = message if "\n\n" in message else f"{message.rstrip()}\n\nText.\n"
    lines = text.split("\n")
    found = []
    result = judged(name, message, **more)
    assert not result.bug
    for problem in result.problems:
        where = problem.where
        place = None if where is None else (where.line, where.column)
        if where is not None and where.end_column is not None:
            octets = lines[where.line - 1].encode()[where.column - 1 : where.end_column - 1]
            place = octets.decode()
        found.append((problem.message, place))
    return found


NOW_IS = {"now": "2026-11-23T12:00:00Z"}
DOMAIN_255 = f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 55}.example"
LOCAL_64 = "l" * 64


def envelope(mail_from, *rcpt):
    return {"envelope": {"mail-from": mail_from, "rcpt": list(rcpt or ["joe@example.net"])}}


@pytest.mark.parametrize(
    ("name", "message", "more", "exactly"),
    [
        # what is missing is missed at the beginning
        ("from-missing", "To: a@example.net", {}, [("the message has no From field", (1, 1))]),
        ("from-missing", "To: a@example.net\nFrom:", {}, [("the From field is empty", (2, 1))]),
        ("no-recipient", FROM, {}, [("the message has neither To nor Cc nor Bcc", (1, 1))]),
        ("date-missing", FROM, {}, [("the message has no Date field", (1, 1))]),
        ("subject-empty", FROM, {}, [("the message has no Subject field", (1, 1))]),
        # From
        ("from-repeated", FROM * 3, {}, [("From stands there 3 times", (2, 1))]),
        ("several-authors", "From: nobody:;", {}, []),
        (
            "several-authors",
            "From: " + ", ".join(f"a{n}@example.org" for n in range(7)),
            {},
            [
                (
                    "From has 7 addresses: " + ", ".join(f"a{n}@example.org" for n in range(5)),
                    "a1@example.org",
                )
            ],
        ),
        (
            "from-invalid",
            f"From: a@{'b' * 110}",
            {},
            [(f"“{'b' * 99}…” is no full domain name in From", "b" * 110)],
        ),
        (
            "no-reply-sender",
            "From: noreply@example.org, ann@example.org",
            {},
            [("noreply@example.org takes no replies, and there is no Reply-To that does", "noreply@example.org")],
        ),
        ("misleading-display-name", f"From: {'n' * 60} <n@example.org>", {}, []),
        (
            "misleading-display-name",
            f"From: {'n' * 61} <n@example.org>\nTo: {'n' * 61} <a@example.net>",
            {},
            [
                ("the name in From has 61 characters", "n" * 61),
                (f"the name in From is the recipient's, {'n' * 59}…", "n" * 61),
            ],
        ),
        ("misleading-display-name", 'From: "n@example.org" <n@example.org>\nTo: b@example.net', {}, []),
        ("misleading-display-name", 'From: "n@example.org" <n@example.org>\nTo: nobody:;', {}, []),
        (
            "display-name-imitates",
            f'From: "{"x" * 1000} bank.com" <n@example.org>',
            {},
            [],  # a name is looked at as far as 1000 characters
        ),
        (
            "display-name-imitates",
            'From: "a@exam\u2488ple.com, b@bank.example" <n@example.org>',
            {},
            [("the name in From shows bank.example, the address is at example.org", '"a@exam\u2488ple.com, b@bank.example"')],
        ),
        # fields of receivers: only of Authentication-Results is it told what it says
        (
            "receiver-fields-at-origin",
            FROM + "BIMI-Location: v=BIMI1\nARC-Seal: i=1\nAuthentication-Results: mx; spf=pass\nAuthentication-Results:",
            {},
            [
                ("BIMI-Location stands in the message before anybody has received it", (2, 1)),
                ("Authentication-Results stands in the message before anybody has received it: mx; spf=pass", (4, 1)),
                ("Authentication-Results stands in the message before anybody has received it", (5, 1)),
                ("ARC-Seal stands in the message before anybody has received it", (3, 1)),
            ],
        ),
        # recipients
        ("no-recipient", FROM + "To:\nCc:", {}, [("the To field is empty", (2, 1))]),
        (
            "no-recipient",
            FROM + "To: nobody:;\nCc: noone:;",
            {"declared": {"class": "bulk"}},
            [("To of a bulk message names nobody", (2, 1))],
        ),
        ("recipients-shown", FROM + "To: nobody:;", {}, []),
        (
            "recipients-shown",
            FROM + "To: a@example.net, b@example.net",
            {},
            [("To and Cc show 2 addresses", "b@example.net")],
        ),
        (
            "bcc-present",
            FROM + "Bcc: joe@example.net",
            {"envelope": {"mail-from": "b@example.org", "rcpt": []}},
            [("Bcc shows 1 address", "joe@example.net")],
        ),
        (
            "null-sender",
            FROM + "Content-Type: multipart/alternative; boundary=b\n\n--b\n\nText.\n--b--\n",
            {"envelope": NULL},
            [("ordinary mail is sent from the null sender, MAIL FROM:<>", (1, 1))],
        ),
        ("recipients-shown", FROM + "To: a@example.net, A@example.net", {}, []),
        (
            "recipients-shown",
            FROM + "To: a@example.net, b@example.net\nCc: c@example.net",
            {},
            [("To and Cc show 3 addresses", "b@example.net")],
        ),
        ("too-many-recipients", FROM, envelope("b@example.org", *(f"r{n}@example.net" for n in range(100))), []),
        (
            "too-many-recipients",
            FROM,
            envelope("b@example.org", *(f"r{n}@example.net" for n in range(101))),
            [("101 recipients in one transaction", (1, 1))],
        ),
        (
            "bcc-present",
            FROM + "Bcc: joe@example.net, ann@example.net, bob@example.net",
            envelope("b@example.org"),
            [("Bcc shows 2 addresses", "ann@example.net")],
        ),
        (
            "bcc-present",
            FROM + "Bcc: joe@example.net",
            envelope("b@example.org", "joe@example.net", "ann@example.net"),
            [("Bcc shows 1 address", "joe@example.net")],
        ),
        # lengths of addresses
        ("address-too-long", f"From: {LOCAL_64}@example.org", {}, []),
        (
            "address-too-long",
            f"From: {LOCAL_64}l@example.org\nTo: {LOCAL_64}m@example.net",
            {},
            [
                ("the address in From has 65 octets before the @, SMTP allows 64", f"{LOCAL_64}l@example.org"),
                ("the address in To has 65 octets before the @, SMTP allows 64", f"{LOCAL_64}m@example.net"),
            ],
        ),
        (
            "address-too-long",
            FROM,
            envelope(f"b@{DOMAIN_255}"),
            [("MAIL FROM has 259 octets with its brackets, SMTP allows 256", None)],
        ),
        (
            "address-too-long",
            FROM,
            envelope(f"b@a{DOMAIN_255}"),
            [("MAIL FROM has 256 octets after the @, SMTP allows 255", None)],
        ),
        ("address-too-long", FROM, envelope(f"b@{DOMAIN_255[3:]}"), []),
        (
            "address-too-long",
            FROM,
            envelope(f"bb@{DOMAIN_255[3:]}"),
            [("MAIL FROM has 257 octets with its brackets, SMTP allows 256", None)],
        ),
        (
            "yahoo-characters",
            FROM,
            envelope(f"{'x' * 60}%{'y' * 60}@{'d' * 60}.{'e' * 60}.example"),
            [(f"MAIL FROM has '%' in {'x' * 60}%{'y' * 38}…@{'d' * 60}.{'e' * 38}…", None)],
        ),
        # Feedback-ID
        ("feedback-id-malformed", FROM + "Feedback-ID: c:u:m:send1", {}, []),
        ("feedback-id-malformed", FROM + "Feedback-ID: c:send1", {}, []),
        ("precedence-missing", FROM + "Precedence: auto", {}, [("Precedence says “auto”, not “bulk”", (2, 1))]),
        ("feedback-id-malformed", FROM + "Feedback-ID: c:u:m:fifteen_letters", {}, []),
        (
            "feedback-id-malformed",
            FROM + "Feedback-ID: c:u:m:send",
            {},
            [("the sender id “send” has 4 characters, Gmail wants 5 to 15", "c:u:m:send")],
        ),
        (
            "feedback-id-malformed",
            FROM + f"Feedback-ID: c:u:m:{'x' * 70}",
            {},
            [(f"the sender id “{'x' * 59}…” has 70 characters, Gmail wants 5 to 15", f"c:u:m:{'x' * 70}")],
        ),
        (
            "feedback-id-malformed",
            FROM + "Feedback-ID: c:u:m:x:sender",
            {},
            [("Feedback-ID has 5 parts, Gmail reads 4 from the right", "c:u:m:x:sender")],
        ),
        (
            "feedback-id-malformed",
            FROM + f"Feedback-ID: c:{'y' * 70}:{'y' * 70}:sender\nFeedback-ID: a:b:c:other1\nFeedback-ID: a:b:c:other2",
            {},
            [
                ("Feedback-ID stands there 3 times", (3, 1)),
                (f"“{'y' * 59}…” stands there twice in Feedback-ID", f"c:{'y' * 70}:{'y' * 70}:sender"),
            ],
        ),
        ("feedback-id-malformed", FROM + "Feedback-ID: ::c:sender", {}, []),
        (
            "feedback-id-malformed",
            FROM + f"Feedback-ID: c:u:m:{'x' * 16}",
            {},
            [(f"the sender id “{'x' * 16}” has 16 characters, Gmail wants 5 to 15", f"c:u:m:{'x' * 16}")],
        ),
        (  # ten parts are looked at
            "feedback-id-malformed",
            FROM + "Feedback-ID: 0:1:2:3:4:5:6:7:8:0:sender",
            {},
            [
                ("Feedback-ID has 11 parts, Gmail reads 4 from the right", "0:1:2:3:4:5:6:7:8:0:sender"),
                ("“0” stands there twice in Feedback-ID", "0:1:2:3:4:5:6:7:8:0:sender"),
            ],
        ),
        (
            "feedback-id-malformed",
            FROM + "Feedback-ID: 0:1:2:3:4:5:6:7:8:9:0:sender",
            {},
            [("Feedback-ID has 12 parts, Gmail reads 4 from the right", "0:1:2:3:4:5:6:7:8:9:0:sender")],
        ),
        (
            "precedence-missing",
            FROM + f"Precedence: {'x' * 70}",
            {},
            [(f"Precedence says “{'x' * 59}…”, not “bulk”", (2, 1))],
        ),
        # Subject
        ("subject-too-long", f"Subject: {'x' * 255}", {}, []),
        ("subject-too-long", f"Subject: {'x' * 256}", {}, [("the subject has 256 characters", (1, 1))]),
        ("subject-too-long", f"Subject: {'x' * 998}", {}, [("the subject has 998 characters", (1, 1))]),
        ("subject-too-long", f"Subject: {'x' * 999}", {}, []),
        ("subject-over-gmail-limit", f"Subject: {'x' * 998}", {}, []),
        ("subject-over-gmail-limit", f"Subject: {'x' * 999}", {}, [("the subject has 999 characters", (1, 1))]),
        (
            "fake-reply",
            "Subject: Re: your order",
            {},
            [("the subject begins with “Re:” and the message answers none", "Re:")],
        ),
        # Date
        ("date-far-off", "Date: Mon, 23 Nov 2026 14:00:00 +0000", NOW_IS, []),
        ("date-far-off", "Date: Mon, 23 Nov 2026 14:00:01 +0000", NOW_IS, [("Date is 2 hours ahead of now", (1, 1))]),
        ("date-far-off", "Date: Tue, 24 Nov 2026 12:00:00 +0000", NOW_IS, [("Date is 24 hours ahead of now", (1, 1))]),
        ("date-far-off", "Date: Tue, 24 Nov 2026 12:00:01 +0000", NOW_IS, []),
        ("date-out-of-range", "Date: Tue, 24 Nov 2026 12:00:00 +0000", NOW_IS, []),
        ("date-out-of-range", "Date: Tue, 24 Nov 2026 12:00:01 +0000", NOW_IS, [("Date is 24 hours ahead of now", (1, 1))]),
        ("date-far-off", "Date: Sun, 22 Nov 2026 12:00:00 +0000", NOW_IS, []),
        ("date-far-off", "Date: Sun, 22 Nov 2026 11:59:59 +0000", NOW_IS, [("Date is 24 hours behind now", (1, 1))]),
        ("date-far-off", "Date: Fri, 20 Nov 2026 12:00:01 +0000", NOW_IS, [("Date is 71 hours behind now", (1, 1))]),
        ("date-far-off", "Date: Fri, 20 Nov 2026 12:00:00 +0000", NOW_IS, [("Date is 3 days behind now", (1, 1))]),
        ("date-far-off", "Date: Thu, 19 Nov 2026 12:00:00 +0000", NOW_IS, [("Date is 4 days behind now", (1, 1))]),
        ("date-far-off", "Date: Thu, 19 Nov 2026 11:59:59 +0000", NOW_IS, []),
        ("date-out-of-range", "Date: Thu, 19 Nov 2026 12:00:00 +0000", NOW_IS, []),
        ("date-out-of-range", "Date: Thu, 19 Nov 2026 11:59:59 +0000", NOW_IS, [("Date is 4 days behind now", (1, 1))]),
        (
            "fake-reply",
            "Subject:  Re: your order",
            {},
            [("the subject begins with “Re:” and the message answers none", "Re:")],
        ),
        ("date-invalid", "Date: Mon, 23 Nov", NOW_IS, [("Date is not a date: the year is missing", (1, 1))]),
        # Message-ID
        ("message-id-malformed", "Message-ID: <1@a.example", {}, [("Message-ID: the identifier is not closed by >", (1, 1))]),
        (
            "message-id-malformed",
            f"Message-ID: <{'a' * 486}@example.org>",
            {},
            [],
        ),
        (
            "message-id-malformed",
            f"Message-ID: <{'a' * 487}@example.org>",
            {},
            [("Message-ID has 501 characters, Gmail takes 500", (1, 1))],
        ),
        (
            "message-id-local",
            f"Message-ID: <1@{'h' * 110}>",
            {},
            [(f"“{'h' * 99}…” is no public host name", f"<1@{'h' * 110}>")],
        ),
        (
            "message-id-malformed",
            "Message-ID: =?utf-8?q?=3C1=40a?= =?utf-8?q?=3E?=",
            {},
            [("an encoded-word stands in Message-ID", "=?utf-8?q?=3C1=40a?=")],
        ),
        # lines and octets
        ("line-too-long", "X: " + "x" * 995, {}, []),
        ("line-too-long", "A: 1\nX: " + "x" * 996, {}, [("a header line has 999 octets", (2, 1))]),
        ("line-over-78", "X: " + "x" * 75, {}, []),
        ("line-over-78", "X: " + "x" * 76, {}, [("a header line has 79 characters", (1, 1))]),
        ("section-too-large", "X-Data: " + "x" * 32_767, {}, []),
        (
            "section-too-large",
            FROM + "X-Data: " + "x" * 32_768,
            {},
            [("the value of X-Data has 32769 octets, Gmail takes 32768", (2, 1))],
        ),
        ("section-too-large", f"{'N' * 1024}: x", {}, []),
        (
            "section-too-large",
            FROM + f"{'N' * 1025}: {'x' * 32_768}",
            {},
            [
                (f"the value of {'N' * 59}… has 32769 octets, Gmail takes 32768", (2, 1)),
                ("a field name of 1025 octets, Gmail takes 1024", (2, 1)),
            ],
        ),
        ("section-too-large", "X: 1\n" * 5000, {}, []),
        ("section-too-large", "X: 1\n" * 5001, {}, [("the header has 5001 fields, Gmail takes 5000", (1, 1))]),
        (
            "repeated-once-only",
            "Subject: a\nSUBJECT: b\nsubject: c",
            {},
            [("Subject stands there 3 times", (2, 1))],
        ),
        (
            "raw-8bit",
            "X-Añ" + "x" * 70 + ": 1",
            {},
            [("the field name 'X-A\\xf1" + "x" * 56 + "' is not ASCII", (1, 1))],
        ),
        # encoded-words
        (
            "bad-encoded-word",
            f"Subject: =?x-{'c' * 50}?q?a?=",
            {},
            [(f"the charset x-{'c' * 37}… is unknown in Subject", f"=?x-{'c' * 50}?q?a?=")],
        ),
    ],
)
def test_exactly_this_is_said_and_pointed_at(name, message, more, exactly):
    assert said(name, message, **more) == exactly


def test_the_header_may_have_500_kilobytes():
    at_most = 500 * 1024
    to = "To: " + "x" * 30_000 + "\r\n"
    rest = at_most - 17 * len(to) - len("To: \r\n\r\n")  # the empty line is counted with it
    for more, expected in ((0, []), (1, [(f"the header has {at_most + 1} octets, Gmail takes {at_most}", (1, 1))])):
        message = to.replace("\r", "") * 17 + "To: " + "x" * (rest + more)
        assert said("section-too-large", message) == expected


def test_places_are_found_for_as_many_problems_as_are_kept():
    field = parse(b"From: a@example.org\r\n\r\n").fields[0]
    place = Places()
    found = [place(field, (0, 1)) for _ in range(MAX_PROBLEMS + 2)]
    assert [one is not None for one in found] == [True] * MAX_PROBLEMS + [False] * 2


def test_a_long_message_id_that_was_used_before_is_cut():
    message = f"From: a@example.org\nMessage-ID: <{'i' * 150}@example.org>\n\n"
    ((text, _),) = said("message-id-reused", message + "Two.\n", earlier=(message + "One.\n",))
    assert text == f"the Message-ID <{'i' * 118}… stood over another text in earlier-1.eml already"


@pytest.mark.parametrize(("length", "shown"), [(60, "s" * 60), (61, "s" * 59 + "…")])
def test_authentication_results_are_told_in_sixty_characters(length, shown):
    ((text, _),) = said("receiver-fields-at-origin", f"{FROM}Authentication-Results: {'s' * length}")
    assert text == f"Authentication-Results stands in the message before anybody has received it: {shown}"


def test_bare_line_ends_are_counted_and_the_first_is_shown():
    raw = "From: a@example.org\r\n\r\nOne.\nTwo.\nThree.\r\n"
    example = Example(name="", is_="", raw=raw)
    result = examples.run(BOOK, BOOK.rules["headers/bare-line-ends"], example)[0]
    assert [(one.message, one.where.line, one.where.column) for one in result.problems] == [
        ("the message has 2 bare LF, the first of them here", 3, 5)
    ]
    result = examples.run(BOOK, BOOK.rules["headers/bare-line-ends"], Example(name="", is_="", raw=raw.replace("Two.\n", "")))[
        0
    ]
    assert [one.message for one in result.problems] == ["the message has 1 bare LF"]


def raw_8bit(*, smtputf8):
    """What is said of a Latin-1 Subject and a field in UTF-8."""
    raw = "From: a@example.org\r\nSubject: caf\xe9\r\nComments: caf\xc3\xa9\r\n\r\nText.\r\n"
    given = {"mail-from": "a@example.org", "rcpt": ["joe@example.net"], "smtputf8": smtputf8}
    result = examples.run(BOOK, BOOK.rules["headers/raw-8bit"], Example(name="", is_="", raw=raw, envelope=given))[0]
    return [(one.message, one.where.line, one.where.column, one.fix) for one in result.problems]


def test_raw_octets_are_utf_8_or_not():
    assert raw_8bit(smtputf8=False) == [
        ("Subject has raw octets above 0x7F, not UTF-8 either", 2, 13, None),
        ("Comments has raw octets above 0x7F", 3, 14, None),
    ]
    assert raw_8bit(smtputf8=True) == [("Subject has raw octets above 0x7F that are not UTF-8", 2, 13, None)]


def test_of_two_fields_the_one_that_is_too_long_is_shown():
    header = f"A: {'x' * 995}\nB: {'x' * 996}\nC: {'x' * 995}"
    assert said("line-too-long", header) == [("a header line has 999 octets", (2, 1))]
