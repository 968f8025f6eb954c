"""What the unsubscribe rules do beside the examples on their pages."""

import email.policy
from email.message import EmailMessage

import pytest

from delivcheck import catalog
from delivcheck.model import Example
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
        (  # one that passes and covers too little, one of another domain that may pass
            "post-not-signed",
            POST,
            {
                "sign": {"each": [signed(), {**OTHER, "headers": ["from", *BOTH]}]},
                "dns": {"e1._domainkey.esp.example TXT": "TIMEOUT"},
            },
            "unknown",
            "esp.example",
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
