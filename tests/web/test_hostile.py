"""What others wrote stays text: in every field of every page, whatever it looks like."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.gate.model import Credential
from delivcheck.trace import audit, suppressions
from delivcheck.trace.model import Kind, Reason
from delivcheck.trace.records import Result
from delivcheck.web import letters, words
from delivcheck.web.pages.message import details
from delivcheck.web.pages.rules import prose
from tests.trace.told import NOON, event, message
from tests.web.fill import hold
from tests.web.house import house

# What filters forget: OWASP's cheat sheet, PortSwigger's, and what mail brings (read 2026-11-23).
CORPUS = (
    "<script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    '" autofocus onfocus=alert(1) x="',
    "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "</textarea></pre></style><iframe srcdoc='<script>alert(1)</script>'>",
    "{{ 7*7 }}{% print(config) %}",
    "<!--><script>alert(1)</script>-->",
    "\u202egnp.exe\u2066 \u200b\u2028\x1b[31m\x07",
    "]]><x:script xmlns:x='http://www.w3.org/1999/xhtml'>alert(1)</x:script>",
    "&lt;script&gt;&#60;b&#62;",
    "\ufeff<\u0000script>",
    "`<code onclick=alert(1)>`",
)
TAGS = frozenset(
    [
        "html",
        "head",
        "meta",
        "title",
        "link",
        "body",
        "a",
        "header",
        "div",
        "img",
        "nav",
        "ul",
        "li",
        "form",
        "input",
        "button",
        "span",
        "main",
        "h1",
        "h2",
        "h3",
        "p",
        "section",
        "svg",
        "g",
        "line",
        "rect",
        "details",
        "summary",
        "table",
        "caption",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "small",
        "footer",
        "label",
        "search",
        "code",
        "strong",
        "time",
        "ol",
        "dl",
        "dt",
        "dd",
        "pre",
        "article",
        "select",
        "option",
        "textarea",
        "iframe",
        "br",
    ]
)


class Page(HTMLParser):
    """The elements and attributes of a page, as a browser would have them, nearly."""

    def __init__(self, text):
        super().__init__()
        self.wrong, self.inside_title = [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in TAGS:
            self.wrong.append(f"<{tag}>")
        for name, value in attrs:
            if name.startswith("on") or name in {"style", "srcdoc", "formaction", "xmlns"}:
                self.wrong.append(f"{tag} {name}={value}")
            if name in {"href", "src", "action"} and not re.match(r"/(?![/\\])|#|https://", value or ""):
                self.wrong.append(f"{tag} {name}={value}")


def sound(page):
    assert page.status_code < 500, page.text
    assert Page(page.text).wrong == []
    for character in "\u202e\u2066\u200b\u2028\x1b\x07\x00":
        assert character not in page.text.replace("\n", ""), repr(character)
    assert "49{" not in page.text
    return page.text


@pytest.mark.attack(67, 68)
async def test_every_field_of_every_page_stays_text(tmp_path):
    async with house(tmp_path) as home:
        traces = []
        for number, bad in enumerate(CORPUS):
            one = message(
                number, NOON - number * 1000, (f"{bad}@example.net", f"{bad}"), subject=bad, mail_from=f"{bad}@example.com", from_domain=bad,
                stream=bad, template=bad, tags=(bad,), client=bad, listener=bad[:60], message_id=bad, queue_id=bad, policy=bad, reason=bad,
                bypass=bad, next_hop=bad, rules=(bad[:100],), framing=bad[:16], action="refuse", verdict="fail",
                results=(Result(bad[:100], "fail", "error", (bad,)), Result("dkim/no-signature", bad[:16], bad[:8], (bad,))),
                headers=f"Subject: {bad}\r\n{bad}: {bad}\r\nX-Other: {bad}\r\n".encode("utf-8", "replace"), links=(bad,),
                body=f"Subject: {bad}\r\nContent-Type: text/plain\r\n\r\n{bad}\r\n".encode("utf-8", "replace"),
            )  # fmt: skip
            traces.append(one.trace)
            home.tell([
                one, event(one, Kind.ACCEPTED, source=bad[:32]), event(one, Kind.REFUSED, reply=bad, rules=[bad], by=bad),
                event(one, Kind.BOUNCED, bad, 9, code=bad, status=bad, text=bad, rule=bad, **{"class": bad, bad: bad, "more": {bad: [bad]}}),
                event(one, Kind.CLICKED, bad, 9, url=bad, link=1, source=bad[:32]),
            ])  # fmt: skip
            octets = f'Subject: {bad}\r\nX: {bad}\r\nContent-Type: text/html; name="{bad}"\r\n\r\n<p>{bad}\r\n'.encode(
                "utf-8", "replace"
            )
            await hold(
                home,
                number,
                octets,
                reason=bad,
                sender=f"{bad}@example.net",
                to=f"{bad}@example.net",
                credential=Credential(bad),
            )
        with home.store.write() as db:
            tenant = home.store.tenant(db)
            for bad in CORPUS:
                audit.note(db, tenant, bad, bad[:64], bad, {bad: bad, "note": bad})
                address = "".join(character for character in bad if character.isprintable() and not character.isspace())
                suppressions.add(db, tenant, f'"{address}"@example.net', Reason.MANUAL, note=bad, stream=address)
        async with home.visitor("admin") as browser:
            for path in ("/", "/messages", "/statistics?span=90d", "/rules?span=90d", "/held", "/suppressions", "/audit"):
                text = sound(await browser.get(path))
                assert "&lt;script&gt;alert(1)" in text, path
            for by in ("stream", "tag", "template", "domain", "rule"):
                sound(await browser.get(f"/statistics?by={by}&span=90d"))
            for trace in traces:
                sound(await browser.get(f"/messages/{trace}"))
            for one in home.desk.held.entries():
                sound(await browser.get(f"/held/{one.trace}"))
                sound(await browser.get("/held/ask", params={"action": "discard", "trace": one.trace}))
            for bad in CORPUS:
                for path, name in (("/messages", "q"), ("/messages", "after"), ("/suppressions", "q"), ("/suppressions", "said"), ("/suppressions", "before"),
                                   ("/audit", "action"), ("/statistics", "by"), ("/", "span"), ("/held", "after"), ("/sign-in", "next")):  # fmt: skip
                    sound(await browser.get(path, params={name: bad}))
                sound(await browser.get(f"/rules/{words_of(bad)}"))
            for link in re.findall(r'href="(/[^"]*)"', (await browser.get("/suppressions")).text):
                if link.startswith("/suppressions/remove"):
                    assert (await browser.get(link.replace("&amp;", "&"))).status_code == 200, link
            for link in re.findall(r'href="(/rules/[^"]*)"', (await browser.get("/rules?span=90d")).text):
                sound(await browser.get(link.replace("&amp;", "&")))


def words_of(text):
    from urllib.parse import quote

    return quote(text, safe="")


async def test_what_is_typed_wrongly_comes_back_as_text(tmp_path):
    async with house(tmp_path) as home, home.visitor("admin") as browser:
        token = (await browser.get("/check")).text.split('name="token" value="')[1].partition('"')[0]
        for bad in CORPUS:
            sound(await browser.post("/suppressions", data={"token": token, "address": bad, "stream": bad, "note": bad}))
            sound(await browser.post("/check", data={"token": token, "sender": bad, "recipient": bad, "text": ""}))
            sound(
                await browser.post(
                    "/check", data={"token": token, "sender": bad, "text": f"From: {bad}\nSubject: {bad}\n\n{bad}"}
                )
            )
            sound(await browser.post("/sign-in", data={"key": bad, "next": bad}))


@given(st.text(max_size=200))
def test_a_rules_prose_is_only_paragraphs_and_code(text):
    assert set(re.findall(r"<[^>]*>", str(prose(text)))) <= {"<p>", "</p>", "<code>", "</code>", '<pre tabindex="0">', "</pre>"}


@given(st.text(max_size=100))
def test_no_expression_of_a_template_lets_a_control_through(text):
    made = words.shown(text)
    assert all(character.isprintable() or character == "\u200d" for character in made)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda more: st.lists(more, max_size=3) | st.dictionaries(st.text(max_size=5), more, max_size=3),
    max_leaves=9,
)


@given(st.dictionaries(st.sampled_from(["reply", "code", "status", "text", "url", "link", "rules", "as", "x"]), _json))
def test_any_detail_of_an_event_can_be_told(detail):
    assert all(isinstance(name, str) and isinstance(value, str) for name, value in details(detail))


@given(
    st.binary(max_size=300)
    | st.text(max_size=200).map(lambda text: f"Content-Type: text/html\r\n\r\n{text}".encode("utf-8", "replace"))
)
def test_any_octets_can_be_shown_or_not(octets):
    letters.letter(octets)
    letters.fields(octets)
    answer = letters.framed(octets)
    assert answer is None or answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


@pytest.mark.parametrize(
    "bad",
    [
        "<link rel=preconnect href=//e>",
        "<LINK/rel=x>",
        "<meta http-equiv=refresh content=0>",
        "<base href=//e>",
        "<iframe src=//e>",
        "</script>",
        "<object data=//e>",
        "<link\nrel=x>",
    ],
)
def test_what_fetches_before_any_policy_is_asked_is_taken_out(bad):
    assert not re.search(r"</?(?:link|meta|base|iframe|script|object)\b", letters.harmless(f"<p>{bad}"), re.IGNORECASE)


@pytest.mark.parametrize(
    "bad", ["<a href=//e>", "<A\nHREF\t=\n'//e'>", "<svg><a xlink:href=//e>", "<form action=//e>", "<button formaction =//e>"]
)
def test_what_a_click_would_open_a_connection_to_is_taken_out(bad):
    tag = next(one for one in HTMLTags.of(letters.harmless(f"<p>{bad}")) if one)
    assert all(name.startswith(("data-was-", "xlink:data-was-", "formdata-was-")) for name, _ in tag)


class HTMLTags(HTMLParser):
    """The attributes of each tag, as the standard library reads them."""

    @classmethod
    def of(cls, html):
        parser = cls()
        parser.found = []
        parser.feed(html)
        return parser.found

    def handle_starttag(self, _tag, attributes):
        self.found.append(attributes)


@given(st.integers(-(2**70), 2**70))
def test_any_time_can_be_told(at):
    assert all((str(words.moment(at)), str(words.precisely(at)), words.ago(at)))
