"""What the unsubscribe rules do beside the examples on their pages."""

import email.policy
import hashlib
from email.message import EmailMessage

import pytest

from delivcheck import catalog
from delivcheck.facts.one_click_endpoint import OneClickAnswer, OneClickAnswers
from delivcheck.model import Example, HttpAnswer, ProbeFailed, ProbeFault, Where
from tests import examples

BOOK = catalog.assemble(strict=False)
POST = "List-Unsubscribe-Post: List-Unsubscribe=One-Click"
HTML = "From: n@example.org\nMIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n\n"


def judged(name, message, **more):
    text = message if "\n\n" in message else f"From: n@example.org\n{message.rstrip()}\n\nText.\n"
    return examples.run(BOOK, BOOK.rules[f"unsubscribe/{name}"], Example(name="", is_="", message=text, **more))[0]


def told(result):
    return "\n".join([result.reason or "", *(problem.message for problem in result.problems)])


def signed(*headers, **more):
    return {"domain": "example.org", "selector": "s1", "headers": ["from", *headers], **more}


BOTH = ("list-unsubscribe", "list-unsubscribe-post")
OTHER = {"domain": "esp.example", "selector": "e1"}


@pytest.mark.parametrize(
    ("name", "message", "more", "outcome", "says"),
    [
        ("no-https-uri", "List-Unsubscribe: NO", {}, "not-applicable", "no address that can be read"),
        ("malformed", "List-Unsubscribe: <https://a.example/[x]>,", {}, "fail", "nothing after the last comma"),
        ("malformed", "List-Unsubscribe: =?utf-8?q?=3Chttps?=", {}, "pass", ""),
        ("encoded-word", "List-Unsubscribe: nothing", {}, "pass", ""),
        ("list-id-malformed", "Subject: x", {}, "not-applicable", "no List-Id field"),
        ("list-id-malformed", "List-Id:", {}, "fail", "the field is empty"),
        ("token-is-address", "List-Unsubscribe: <mailto:u@a.example>", {}, "not-applicable", "no web address"),
        ("token-is-address", "List-Unsubscribe: <https://a.example/u>", {}, "not-applicable", "names no recipient"),
        (
            "token-is-address",
            "To: Joe@Example.net\nList-Unsubscribe: <https://a.example/joe@example.net/42>",
            {},
            "fail",
            "Joe",
        ),
        (
            "token-is-address",
            "To: joe@example.net\nList-Unsubscribe: <https://a.example/joe@example.net/0123456789abcdef>",
            {},
            "pass",
            "",
        ),
        ("not-recipient-specific", "List-Unsubscribe: <https://a.example/abmelden/>", {}, "fail", "names no recipient"),
        ("mailto-undeliverable", "List-Unsubscribe: <mailto:u@localhost>", {}, "fail", "no mail address"),
        # signatures
        ("post-not-signed", POST, {"sign": {**OTHER, "headers": ["from", *BOTH]}}, "fail", "only the signature of esp.example"),
        ("post-not-signed", POST.replace("List", "X", 1), {"sign": signed()}, "not-applicable", "no List-Unsubscribe-Post"),
        (
            "post-not-signed",
            POST,
            {"sign": {"each": [signed("list-unsubscribe"), {**signed("list-unsubscribe-post"), "selector": "s2"}]}},
            "fail",
            "no passing signature covers both",
        ),
        (  # the aligned one may pass, so it is not known that only the other does
            "post-not-signed",
            POST,
            {
                "sign": {"each": [signed(*BOTH), {**OTHER, "headers": ["from", *BOTH]}]},
                "dns": {"s1._domainkey.example.org TXT": "TIMEOUT"},
            },
            "unknown",
            "example.org",
        ),
        (  # one that passes and covers too little, one of another domain: whatever its key, it is another's
            "post-not-signed",
            POST,
            {
                "sign": {"each": [signed(), {**OTHER, "headers": ["from", *BOTH]}]},
                "dns": {"e1._domainkey.esp.example TXT": "TIMEOUT"},
            },
            "fail",
            "only the signature of esp.example",
        ),
        # links
        ("no-visible-link", "Subject: x", {}, "fail", "the text has no link"),
        ("no-visible-link", HTML + "<p>To unsubscribe <a href='https://a.example/1'>go here</a></p>", {}, "pass", ""),
        ("no-visible-link", HTML + "<a href='mailto:u@a.example?subject=leave%20this%20list'>Write</a>", {}, "pass", ""),
        ("no-visible-link", HTML + "<a href='https://a.example/1' title='Se désabonner'>x</a>", {}, "pass", ""),
        ("no-visible-link", HTML + "<a href='https://a.example/optout/1'>x</a>", {}, "pass", ""),
        ("no-visible-link", HTML + "<a>no address</a>", {}, "fail", "the text has no link"),
        (
            "no-visible-link",
            "List-Unsubscribe: <https://a.example/l/0123456789>\n" + HTML + "<a href='https://a.example/p?t=0123456789'>x</a>",
            {},
            "pass",
            "",
        ),
        ("no-visible-link", "Content-Language: mt\n" + HTML + "<a href='https://a.example/1'>x</a>", {}, "unknown", "'mt'"),
        ("no-visible-link", "Content-Language: nb-NO\n" + HTML + "<a href='https://a.example/1'>x</a>", {}, "fail", "of the 1"),
        ("no-visible-link", "Content-Language: nb\n" + HTML + "<a href='https://a.example/1'>Meld deg av</a>", {}, "pass", ""),
        ("no-visible-link", "Content-Type: application/pdf\n\nx\n", {}, "not-applicable", "the message has no text"),
        ("link-hidden", HTML + "<a href='https://a.example/1'>Buy</a>", {}, "not-applicable", "no unsubscribe link"),
        ("link-hidden", HTML + "<a href='https://a.example/unsubscribe/1'></a>", {}, "fail", "has no text"),
        (
            "link-hidden",
            HTML + "<a href='https://a.example/unsubscribe/1'><img src='cid:x' alt='Unsubscribe'></a>",
            {},
            "pass",
            "",
        ),
        (
            "link-hidden",
            HTML + "<table background='x.png'><td><a style='color:#fff' href='https://a.example/1'>Unsubscribe</a></table>",
            {},
            "pass",  # on an image nobody knows the contrast
            "",
        ),
        ("link-after-clip", HTML + "<p>Buy</p>", {}, "not-applicable", "no unsubscribe link in HTML"),
        ("link-after-clip", "Subject: x\n\nTo unsubscribe: https://a.example/1\n", {}, "not-applicable", "in HTML"),
    ],
)
def test_cases_that_no_page_has_room_for(name, message, more, outcome, says):
    result = judged(name, message, **more)
    assert (result.outcome, says in told(result)) == (outcome, True), told(result)
    assert not result.bug


@pytest.mark.parametrize(
    ("name", "message"),
    [("post-missing", "List-Unsubscribe: <https://a.example/u/1>"), ("post-value-wrong", "List-Unsubscribe-Post: yes")],
)
def test_the_exact_field_is_offered(name, message):
    assert judged(name, message).problems[0].fix == POST


def test_an_unread_part_makes_the_link_unknown():
    result = judged("no-visible-link", HTML + "<b>" * 40_000 + "<p>x</p>" * 40_000)
    assert result.outcome == "unknown"


def test_the_cure_on_the_page_cures_this_python():
    """The page tells Python's users what to write: what it tells must work, and be needed."""
    address = f"<https://example.com/unsubscribe/{'a1b2c3d4e5' * 9}>, <mailto:unsub@example.com>"
    scope = {"EmailMessage": EmailMessage}
    code = BOOK.rules["unsubscribe/encoded-word"].fix.split("```")[1]
    exec(compile(code, "the page's fix", "exec"), scope)
    for made, outcome in ((EmailMessage(policy=email.policy.SMTP), "fail"), (scope["message"], "pass")):
        made["From"] = "news@example.com"
        made["Subject"] = "Angebote für schöne Tage"
        made["List-Unsubscribe"] = address
        made.set_content("Buy now.\n")
        result = judged("encoded-word", made.as_bytes().decode().replace("\r\n", "\n"))
        assert result.outcome == outcome, told(result)


# --- exactly what is said, and where -----------------------------------------------------------------------------


def said(name, message, **more):
    """Each problem: the message, and the characters pointed at (or the line and column)."""
    text = message if "\n\n" in message else f"From: n@example.org\n{message.rstrip()}\n\nText.\n"
    lines = text.split("\n")
    found = []
    result = judged(name, message, **more)
    assert not result.bug
    for problem in result.problems:
        where = problem.where
        place = (where.line, where.column)
        if where.end_column is not None:
            place = lines[where.line - 1][where.column - 1 : where.end_column - 1]
        found.append((problem.message, place))
    return found


LONG = "https://a.example/" + "u" * 300
LONG_REPLY = f"mailto:no-reply@{'d' * 60}.{'e' * 60}.example"


@pytest.mark.parametrize(
    ("name", "message", "exactly"),
    [
        ("missing", "Subject: x", [("the message has no List-Unsubscribe field", (1, 1))]),
        ("no-list-id", "Subject: x", [("the message has no List-Id field", (1, 1))]),
        (
            "no-https-uri",
            "List-Unsubscribe: <mailto:u@a.example>, <http://a.example/1>",
            [("List-Unsubscribe has only mailto and http addresses", "mailto:u@a.example")],
        ),
        ("several-web-uris", f"List-Unsubscribe: <mailto:u@a.example>\n{POST}", []),
        (
            "several-web-uris",
            f"List-Unsubscribe: <https://a.example/1>, <https://b.example/2>, <https://c.example/3>\n{POST}",
            [("List-Unsubscribe has 3 web addresses, one-click takes one", "https://b.example/2")],
        ),
        (
            "plain-http",
            f"List-Unsubscribe: <http://a.example/1>, <http://b.example/2>\n{POST}",
            [("the one-click address is http://a.example/1", "http://a.example/1")],
        ),
        (
            "plain-http",
            f"List-Unsubscribe: <{LONG.replace('https', 'http')}>\n{POST}",
            [("the one-click address is http://a.example/" + "u" * 182 + "…", LONG.replace("https", "http"))],
        ),
        (
            "repeated-header",
            "List-Unsubscribe: <https://a.example/1>\nLIST-UNSUBSCRIBE: <https://a.example/2>\nlist-unsubscribe: <https://a.example/3>",
            [("List-Unsubscribe stands there 3 times", (3, 1))],
        ),
        (  # both faults are told, whatever comes first
            "malformed",
            "List-Unsubscribe: =?utf-8?q?x?=, <https://a.example/1>,",
            [("List-Unsubscribe: nothing after the last comma", ",")],
        ),
        (
            "malformed",
            "List-Unsubscribe: <https://a.example/\n 1>,",
            [
                ("List-Unsubscribe is folded inside a URI", " "),
                ("List-Unsubscribe: nothing after the last comma", ","),
            ],
        ),
        ("malformed", "List-Unsubscribe: <https://a.example/ 1>", [("List-Unsubscribe: white space stands inside a URI", " ")]),
        ("malformed", "List-Unsubscribe:", [("List-Unsubscribe: the field is empty", (2, 1))]),
        (
            "encoded-word",
            "List-Unsubscribe: =?us-ascii?q?=3C" + "x" * 120 + "?=",
            [("encoded-words stand where the address " + "x" * 99 + "… belongs", "=?us-ascii?q?=3C" + "x" * 120 + "?=")],
        ),
        ("encoded-word", "List-Unsubscribe: nothing, at all", []),
        (
            "on-transactional",
            f"{POST}\n{POST}",
            [("one-click unsubscribe is offered on transactional mail", (2, 1))],
        ),
        (
            "list-id-malformed",
            "List-Id: Our news\nList-Id: <news.example.org>",
            [("List-Id: no list identifier stands in angle brackets", "Our news")],
        ),
        (
            "list-id-malformed",
            "List-Id:\nList-Id: <news.example.org>",
            [("List-Id: the field is empty", (2, 1))],
        ),
        (
            "mailto-undeliverable",
            f"List-Unsubscribe: <mailto:no-reply@{'d' * 60}.{'e' * 60}.example>",
            [
                (f"the unsubscribe address no-reply@{'d' * 60}.{'e' * 29}… is a no-reply address", LONG_REPLY),
                (f"{LONG_REPLY[16:]} takes no mail, so nobody leaves by no-reply@{'d' * 60}.{'e' * 29}…", LONG_REPLY),
            ],
        ),
        ("not-recipient-specific", "List-Unsubscribe: <https://r7f3a9c4.example.org/unsubscribe>", []),
        ("not-recipient-specific", "List-Unsubscribe: <https://a.b.r7f3a9c4.example.org/unsubscribe>", []),
        (
            "not-recipient-specific",
            "List-Unsubscribe: <https://r7f3a9c.example.org/unsubscribe>",
            [("https://r7f3a9c.example.org/unsubscribe names no recipient", "https://r7f3a9c.example.org/unsubscribe")],
        ),
        (
            "not-recipient-specific",
            "List-Unsubscribe: <https://campaigns.example.org/unsubscribe>",
            [("https://campaigns.example.org/unsubscribe names no recipient", "https://campaigns.example.org/unsubscribe")],
        ),
        (
            "not-recipient-specific",
            "List-Unsubscribe: <https://shop2026.org/unsubscribe>",
            [("https://shop2026.org/unsubscribe names no recipient", "https://shop2026.org/unsubscribe")],
        ),
        (
            "not-recipient-specific",
            "List-Unsubscribe: <https://a.example" + "/u" * 150 + ">",
            [("https://a.example" + "/u" * 91 + "… names no recipient", "https://a.example" + "/u" * 150)],
        ),
    ],
)
def test_exactly_this_is_said_and_pointed_at(name, message, exactly):
    assert said(name, message) == exactly


@pytest.mark.parametrize(
    ("beside", "outcome"),
    [
        ("/0123456789abcde", "fail"),  # 60 bits
        ("/0123456789abcdef", "pass"),  # 64
        ("/1234567890123456789", "fail"),  # 63.1 bits
        ("/12345678901234567890", "pass"),  # 66.4
        ("/a1b2c3d4e5z6", "fail"),  # 62 bits
        ("/a1b2c3d4e5z6y", "pass"),  # 67.2
        ("/a1b2_c3d4z", "fail"),  # 60 bits
        ("/a1b2_c3d4zy", "pass"),  # 66
        ("?id=0123456789ab", "fail"),
        ("/kundenpraeferenzen", "fail"),  # a word
        ("/KUNDENPRAEFERENZEN", "fail"),
        ("/KundenPraeferenzen", "pass"),  # letters of both kinds may be base64
        ("", "fail"),
    ],
)
def test_what_stands_beside_the_address_is_a_token_from_64_bits_on(beside, outcome):
    message = f"To: joe@example.net\nList-Unsubscribe: <https://a.example/joe@example.net{beside}>"
    assert judged("token-is-address", message).outcome == outcome


def test_an_address_is_told_once_and_held_against_ten_recipients():
    url = "<https://a.example/joe@example.net>"
    once = said("token-is-address", f"To: Joe@Example.net\nList-Unsubscribe: {url}")
    assert once == [("the unsubscribe address says nothing but Joe@Example.net", url[1:-1])]
    for others, outcome in ((9, "fail"), (10, "pass")):
        recipients = ", ".join([*(f"r{n}@example.net" for n in range(others)), "joe@example.net"])
        assert judged("token-is-address", f"To: {recipients}\nList-Unsubscribe: {url}").outcome == outcome


def test_long_addresses_are_cut():
    long = f"{'j' * 60}@{'x' * 60}.example"
    (told_of,) = said("token-is-address", f"To: {long}\nList-Unsubscribe: <https://a.example/{long}>")
    assert told_of[0] == f"the unsubscribe address says nothing but {long[:99]}…"
    digest = hashlib.md5(b"joe@example.net", usedforsecurity=False).hexdigest()
    (told_of,) = said("token-is-address", f"To: joe@example.net\nList-Unsubscribe: <https://a.example/{digest}>")
    assert told_of[0] == "the unsubscribe address says nothing but joe@example.net as an MD5 hash"


def test_every_mailto_address_is_looked_at():
    message = f"List-Unsubscribe: <mailto:u@localhost>, <mailto:no-reply@a.example>, <mailto:u@{'d' * 60}.{'e' * 60}.example>"
    assert [text for text, _ in said("mailto-undeliverable", message, dns={"a.example MX": "10 mx.a.example"})][1:] == [
        "the unsubscribe address no-reply@a.example is a no-reply address",
        f"{'d' * 60}.{'e' * 60}.example takes no mail, so nobody leaves by u@{'d' * 60}.{'e' * 36}…",
    ]


# --- the one-click endpoint --------------------------------------------------------------------------------------

ENDPOINT = BOOK.checks["unsubscribe/one-click-fails"].function
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"


def http(status):
    return HttpAnswer(status, (), b"")


def posted(*answers, url="https://a.example/u"):
    """What is said when the two encodings are answered so."""
    each = tuple(OneClickAnswer(encoding, answer) for encoding, answer in zip((FORM, MULTIPART), answers, strict=False))
    return [
        getattr(one, "message", None) or f"unknown: {one.reason}" for one in ENDPOINT(OneClickAnswers(Where(line=2), url, each))
    ]


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (199, ["a POST to https://a.example/u is answered 199"]),
        (200, []),
        (299, []),
        (300, ["a POST to https://a.example/u is redirected to nowhere"]),
        (399, ["a POST to https://a.example/u is redirected to nowhere"]),
        (400, ["a POST to https://a.example/u is answered 400"]),
    ],
)
def test_success_is_2xx_and_a_redirect_3xx(status, says):
    assert posted(http(status), http(status)) == says


def test_where_one_encoding_fails_it_is_named():
    assert posted(http(200), http(415)) == [f"a POST to https://a.example/u is answered 415 ({MULTIPART})"]
    assert posted(http(404), http(415)) == [
        f"a POST to https://a.example/u is answered 404 ({FORM})",
        f"a POST to https://a.example/u is answered 415 ({MULTIPART})",
    ]


def test_no_answer_to_one_encoding_does_not_hide_what_is_wrong_with_the_other():
    first, second = posted(ProbeFailed(ProbeFault.TIMEOUT), http(415))
    assert first.startswith("unknown: https://a.example/u: ")
    assert second == f"a POST to https://a.example/u is answered 415 ({MULTIPART})"


def test_a_long_endpoint_is_cut():
    assert posted(http(500), url=LONG) == [f"a POST to {LONG[:199]}… is answered 500"]


# --- the link ----------------------------------------------------------------------------------------------------


def test_the_clip_lies_behind_the_first_link_that_is_seen():
    message = (
        HTML
        + "<p>x</p><a href='https://a.example/unsubscribe/1'>Unsubscribe</a><a href='https://a.example/unsubscribe/2'>Unsubscribe</a>"
    )
    assert said("link-after-clip", message, options={"max-octets": 11}) == []
    ((text, _),) = said("link-after-clip", message, options={"max-octets": 10})
    assert text == "the first unsubscribe link stands after 11 octets of HTML"
