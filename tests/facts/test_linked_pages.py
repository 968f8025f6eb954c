"""Which addresses may be fetched: those that are the same for every reader, and no other."""

import asyncio

import pytest

from delivcheck import api, policy
from delivcheck.facts import linked_pages
from delivcheck.facts.linked_pages import MAX_PAGES
from delivcheck.model import HttpAnswer, Outcome


class Fetching:
    """Answers 200 to everything, after `wait` seconds, and keeps what was asked."""

    def __init__(self, wait=0.0):
        self.asked, self.wait, self.now, self.most = [], wait, 0, 0

    async def get(self, url):
        self.asked.append(url)
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(self.wait)
        self.now -= 1
        return HttpAnswer(200, (), b"")


def fetched(urls, probe=None, to="anna.berg@example.net"):
    probe = probe or Fetching()
    links = "".join(f'<a href="{url}">x</a>\n' for url in urls)
    octets = f"From: a@example.org\r\nTo: {to}\r\nContent-Type: text/html\r\n\r\n{links}".encode()
    checker = api.Checker(api.Options(policy.load("bulk"), dns="offline", probe=probe), shown={})
    report = asyncio.run(checker.message(octets))
    return probe, next(one for one in report.results if one.rule == "links/page-fails")


@pytest.mark.parametrize(
    "url",
    [
        "https://www.example.org",
        "http://example.org/about-us.html",
        "https://example.org/2026/11/black-friday/",
        "https://example.org/Sale",
        "https://example.org/may?utm_source=news&utm_medium=email&lang=de",
        "https://example.org:443/",
        "https://example.org/blog/page/2",
    ],
)
def test_pages_that_are_the_same_for_all_are_fetched(url):
    assert fetched([url])[0].asked == [url]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/unsubscribe",
        "https://example.org/%75nsubscribe",
        "https://example.org/email/opt-out",
        "https://example.org/abmelden",
        "https://example.org/preferences",
        "https://example.org/verify",
        "https://example.org/pay/now",
        "https://example.org/x?t=abc",
        "https://example.org/x?utm_id=a1b2c3d4",
        "https://example.org/7f3a9c41",
        "https://example.org/x/9f8e7",
        "https://example.org/order/12345",
        "https://example.org/AbCdEfG",
        "https://example.org/qwrtplkjh",
        "https://example.org/abcdefghijklmnopqrstuvwxyzabcdef",
        "https://example.org/550e8400-e29b-41d4-a716-446655440000",
        "https://550e8400.example.org/",
        "https://example.org/u/anna.berg",
        "https://example.org/u/x@example.net",
        "https://user@example.org/",
        "https://localhost/",
        "https://10.0.0.1/",
        "ftp://example.org/",
        "https://example.org/{{ user.id }}",
        "https://example.org/bücher",
        "https://exa mple.org/",
        "https:///",
        f"https://example.org/{'a/' * 2000}",
        "https://example.org:8443/",
        "https://example.org:22/",
        "https://example.org/A1B2-C3D4-E5F6",
        "https://example.org/12/34/56/78",
        "https://example.org/leave/4711",
        "https://example.org/x/12",
        "https://example.org/2026/2031",
        "https://example.org/2026/12/31/12",
        "https://example.org/ab/cde/fgh/ijk",
        "https://example.org/abandonedbutverylong",
        "https://example.org/SUMMER",
        "https://example.org/bcdf",
        "https://example.org/aaab-c",
        "https://example.org/bestaetigen",
        "https://example.org/newsletter/potwierdzenie",
        "https://confirm.example.org/",
        "https://berg.example.org/",
        "https://example.org/AnnaBerg",
        "https://example.org/may?utm_content=may",
        "https://example.org/may?utm_campaign=4711",
        "https://example.org/may?lang=a1b2c3",
        "https://example.org/may%2Djune",
        "https://example.org/may;x",
        "https://example.org/may\\june",
        "https://web2.example.org/",
    ],
)
def test_what_may_be_one_readers_own_or_acts_is_not_fetched(url):
    probe, result = fetched([url])

    assert probe.asked == []
    assert result.outcome is Outcome.NOT_APPLICABLE


def test_pages_are_bounded_in_number_and_side_by_side():
    probe, result = fetched([f"https://example.org/{chr(97 + n)}" for n in range(26)], Fetching(0.001))

    assert len(probe.asked) == MAX_PAGES
    assert probe.most <= linked_pages.AT_ONCE
    assert result.reason == "6 more links were not fetched"


def test_slow_pages_do_not_hold_the_run(monkeypatch):
    monkeypatch.setattr(linked_pages, "MAX_SECONDS", 0.05)
    _, result = fetched(["https://example.org/a", "https://example.org/b"], Fetching(30))

    assert result.outcome is Outcome.UNKNOWN
    assert "not fetched within 0.05 s" in result.reason


def judged(header, body, probe):
    options = api.Options(policy.load("bulk"), dns="offline", probe=probe)
    octets = f"From: a@example.org\r\nContent-Type: text/html; charset=utf-8\r\n{header}\r\n{body}".encode()
    report = asyncio.run(api.Checker(options, shown={}).message(octets))
    return next(one for one in report.results if one.rule == "links/page-fails")


class Sending(Fetching):
    """Redirects the first address asked for."""

    def __init__(self, to):
        super().__init__()
        self.to = to

    async def get(self, url):
        await super().get(url)
        return HttpAnswer(302, (("location", self.to),), b"") if len(self.asked) == 1 else HttpAnswer(500, (), b"")


@pytest.mark.parametrize(
    "to",
    [
        "/u/7f3a9c41d2e8",
        "/confirm",
        "/abmelden",
        "/June",
        "https://user@www.example.org/june",
        "https://www.example.org:8443/june",
        "https://anna.example.org/",
        "/june?id=1",
        "https://WWW.example.org/Bye?x=1",
    ],
)
def test_a_redirect_is_held_to_the_same_and_ends_there(to):
    probe = Sending(to)
    header = "To: anna@example.net, June <x@example.net>\r\nList-Unsubscribe: <https://www.example.org/bye>\r\n"
    result = judged(header, '<a href="https://www.example.org/may">May</a>', probe)

    assert probe.asked == ["https://www.example.org/may"]
    assert result.outcome is Outcome.PASS


def test_a_redirect_to_a_page_for_all_is_followed():
    probe = Sending("/june")
    assert judged("", '<a href="https://www.example.org/may">May</a>', probe).outcome is Outcome.FAIL
    assert probe.asked == ["https://www.example.org/may", "https://www.example.org/june"]


def test_in_a_language_whose_words_are_not_known_nothing_is_fetched():
    probe = Fetching()
    result = judged("Content-Language: yo\r\n", '<a href="https://example.org/may">x</a>', probe)

    assert probe.asked == []
    assert result.outcome is Outcome.UNKNOWN
    assert "each may be the one that leaves the list" in result.reason


@pytest.mark.parametrize(
    "header",
    [
        "List-Unsubscribe: <HTTPS://Example.ORG/Bye/?x=1#y>\r\n",
        "List-Unsubscribe: <mailto:a@example.org>\r\nList-Unsubscribe: <http://example.org:443/bye>\r\n",
    ],
)
def test_the_addresses_for_leaving_are_compared_as_places(header):
    probe = Fetching()
    judged(header, '<a href="https://example.org/bye">x</a> <a href="https://example.org/bye?utm_source=may">x</a>', probe)

    assert probe.asked == []


@pytest.mark.parametrize(
    "body",
    [
        '<a href="https://example.org/may">Confirm</a>',
        '<a href="https://example.org/may">Jetzt bestätigen</a>',
        '<a href="https://example.org/may"><img alt="Accept" src="cid:x"></a>',
        '<a href="https://example.org/may" title="Log in">x</a>',
        '<p>To confirm, go <a href="https://example.org/may">here</a></p>',
        '<a href="https://example.org/may">ログイン</a>',
        '<a href="https://example.org/may">Vote</a> and <a href="https://example.org/may">read</a>',
        '<form action="https://example.org/may"></form><a href="https://example.org/may">read</a>',
    ],
)
def test_what_is_said_to_act_is_not_fetched(body):
    probe = Fetching()
    judged("", body, probe)

    assert probe.asked == []
