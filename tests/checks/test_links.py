"""Link rules where a page example would be too long, or shows only a sub-case."""

import pytest

from delivcheck.facts import link_hosts
from delivcheck.facts.roots import Declared
from delivcheck.model import Level, Outcome
from delivcheck.net.snapshot import from_mapping
from tests.checks.content_world import html, judge, said, text


def link(href, words="Shop"):
    return html(f'<a href="{href}">{words}</a>')


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("www.bank.com", "www.bank.com"),
        ("Go to https://bank.com/login now", "bank.com"),
        ("HTTP://BANK.COM", "bank.com"),
        ("bank.com", "bank.com"),
        ("bank.com/offers »", "bank.com"),
        ("bank.com and more", None),
        ("bücher.de", "xn--bcher-kva.de"),
        ("README.md", None),
        ("invoice.pdf", None),
        ("me@bank.com", None),
        ("https://[::1]/", None),
        ("www.", None),
        ("1.2.3", None),
        ("Shop", None),
        ("", None),
        ("a\u0640b.com", None),
    ],
)
def test_only_an_address_that_is_shown_is_compared(words, shown):
    found = said("links/text-shows-another-site", link("https://other.com/", words))
    assert found == ([] if shown is None else [f"the link shows {shown} and leads to other.com"])


@pytest.mark.parametrize("domain", ["other.com", "click.other.com"])
def test_a_domain_that_is_known_may_be_behind_it(domain):
    data = link("https://click.other.com/", "bank.com")
    known = said("links/text-shows-another-site", data, tracking_domains=[domain])
    owned = said("links/text-shows-another-site", data, declared=Declared(owned_domains=(domain,)))
    assert known == owned == []


def test_plain_text_shows_what_it_leads_to():
    assert not said("links/text-shows-another-site", text("https://a.com https://b.com"))


@pytest.mark.parametrize(
    ("href", "what"),
    [
        ("https://user:word@shop.com/", "has a user name before the host shop.com"),
        ("https://shop.com\\evil.com/", "has a backslash"),
        ("https://shop.com/a b", "has white space inside"),
        ("https://shop.com/a\u200bb", "has the invisible character U+200B"),
        ("https://shop.com:80a/", "has '80a' where the port belongs"),
        ("https://shop.com:99999/", "has '99999' where the port belongs"),
        ("https://?page", "has no host"),
        ("https://shop..com/", "has no valid host name: the name has an empty label"),
        ("https://a b.com/", "has no valid host name"),
        (
            f"https://{'a' * 64}.com/",
            "has no valid host name: the label aaaaaaaaaaaaaaaaaaaa… has 64 characters, the limit is 63",
        ),
        (f"https://{'a.' * 130}com/", "has no valid host name: the name has 263 characters, the limit is 253"),
        ("data:text/html,x", "has the scheme data:, which mail clients do not open"),
    ],
)
def test_what_is_wrong_with_a_url_is_told(href, what):
    found = said("links/dangerous-url", link(href))
    assert any(what in one for one in found), found


@pytest.mark.parametrize(
    "href",
    [
        "https://shop.com:8443/",
        "https://[2001:db8::1]/",
        "mailto:a@b.com?subject=Hello you",
        "https://",
        "javascript:void(0)",  # html/active-content's
        "{{ url }}",
        "https://shop.com/{{ user id }}",  # template/unrendered-code's
        "page.html",
    ],
)
def test_what_is_allowed_or_told_elsewhere_is_passed_over(href):
    assert not said("links/dangerous-url", link(href))


def test_images_are_not_followed():
    assert not said("links/dangerous-url", html("<img src='file:///a.png'>"))
    assert said("links/dangerous-url", html("<form action='ftp://a.com/x'></form>"))


def test_a_url_is_told_once_with_its_number():
    data = html("<a href='http://shop.com/'>a</a>" * 3 + "<a href='http://shop.com/b'>b</a>")
    assert said("links/plain-http", data) == [
        "the link http://shop.com/ (3 times) is not encrypted",
        "the link http://shop.com/b is not encrypted",
    ]


def test_long_urls_are_cut():
    (message,) = said("links/plain-http", link(f"http://shop.com/{'x' * 500}"))
    assert len(message) < 200


def test_names_without_a_scheme_are_not_called_unencrypted():
    assert not said("links/plain-http", text("See www.shop.com"))


@pytest.mark.parametrize(
    ("href", "written"),
    [
        ("http://203.0.113.9/", ""),
        ("http://3405803785/", ", written as 3405803785"),
        ("http://0313.0.0161.9/", ", written as 0313.0.0161.9"),
    ],
)
def test_an_address_is_known_however_it_is_written(href, written):
    (message,) = said("links/ip-address", link(href))
    assert message.endswith(f"the IP address 203.0.113.9{written}")


@pytest.mark.parametrize(
    ("markup", "message"),
    [
        ('<a href="">Buy</a>', 'the link "Buy" leads nowhere: its address is empty'),
        ('<a href="">Buy</a><a href="">Sell</a>', 'the link "Buy" leads nowhere: its address is empty (2 times)'),
        ('<a href="#"><img alt="Logo"></a>', 'the link "Logo" leads nowhere: its address is #'),
        ('<a href="HTTPS://"></a>', 'the link "without text" leads nowhere: its address is HTTPS://'),
        ('<a href="/may">Buy</a>', 'the link "Buy" leads nowhere: its address is /may'),
        ('<img src="https://example.com/a.png">', "https://example.com/a.png leads to example.com, a name kept for examples"),
        ('<a href="https://staging.shop.com/">x</a>', "https://staging.shop.com/ leads to staging.shop.com, a staging host"),
        ('<base href="https://shop.com/"><a href="/may">Buy</a>', None),
        ('<a href="{{ url }}">Buy</a>', None),
        ('<a name="top">Top</a><a href="#top">Top</a>', None),
        ('<link href="https://example.com/a.css">', None),
    ],
)
def test_links_that_lead_nowhere(markup, message):
    found = said("links/placeholder", html(markup), staging=["staging.*", "*.test-shop.com"])
    assert found == ([] if message is None else [message])


# --- hosts -------------------------------------------------------------------------------------------------------


def test_what_needs_no_dns_is_told_without_it():
    rule = "links/unresolvable-host"
    assert judge(rule, link("http://localhost/")).outcome is Outcome.FAIL
    assert judge(rule, link("https://shop.com/")).outcome is Outcome.NOT_APPLICABLE
    assert judge(rule, link("mailto:a@shop.com")).outcome is Outcome.PASS
    both = judge(rule, html("<a href='http://localhost/'>a</a><a href='https://shop.com/'>b</a>"))
    assert [one.level for one in both.problems] == [Level.ERROR]


def test_a_sender_of_a_test_network_may_link_into_it():
    data = html("<a href='https://www.shop.test/'>a</a>", sender="news@shop.test")
    assert judge("links/unresolvable-host", data).outcome is Outcome.PASS
    owned = judge("links/unresolvable-host", link("https://a.corp/"), declared=Declared(owned_domains=("a.corp",)))
    assert owned.outcome is Outcome.PASS


def test_a_problem_beats_a_dns_failure():
    zone = from_mapping({"a.com A": "TIMEOUT", "a.com AAAA": "TIMEOUT"})
    data = html("<a href='https://a.com/'>a</a><a href='https://b.com/'>b</a>")
    judged = judge("links/unresolvable-host", data, dns=zone)
    assert judged.outcome is Outcome.FAIL
    assert [one.message for one in judged.problems] == ["the host b.com of a link does not exist in DNS"]
    assert "a.com" in judged.reason


def test_hosts_that_were_not_asked_about_are_unknown(monkeypatch):
    monkeypatch.setattr(link_hosts, "MAX_HOSTS", 1)
    zone = from_mapping({"a.com A": "192.0.2.7"})
    data = html("<a href='https://a.com/'>a</a><a href='https://b.com/'>b</a>")
    assert judge("links/unresolvable-host", data, dns=zone).outcome is Outcome.UNKNOWN
