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
        "https://example.org:8443/",
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
