"""The page for leaving: whether a login comes first."""

import asyncio

import pytest

from delivcheck.facts.opt_out import OptOutAddresses
from delivcheck.facts.opt_out_page import opt_out_page
from delivcheck.facts.roots import UnsubscribeTest
from delivcheck.model import NotApplicable, Unavailable, Where
from delivcheck.net.probe import scripted

URL = "https://example.org/u/test-1"


def opened(answer, url="https://EXAMPLE.org/u/77"):
    found = OptOutAddresses(((url, lambda: Where(line=5)),), ())
    probe = scripted({URL: answer}, {})
    return asyncio.run(opt_out_page.function(probe, UnsubscribeTest(URL), found))


def page(body, status=200, **headers):
    return {"status": status, "headers": headers, "body": body}


@pytest.mark.parametrize(
    ("answer", "login"),
    [
        (page(b"<input type=password>"), True),
        (page(b"<input TYPE=' Password '><button>Unsubscribe</button>"), True),
        (page(b"<a href=/>Home</a><input name=mail><input type=password>"), True),
        (page(b"<button>Abmelden</button><input type=password>"), False),
        (page(b"<input type=submit value=Unsubscribe><input type=password>"), False),
        (page(b"<p>You are off the list.</p>"), False),
        (page(b""), False),
        (page(b"", 302, location="/login"), True),
        (page(b"", 303, location="https://sso.example/Sign-In?x=1"), True),
        (page(b"", 302, location="/authors"), False),
        (page(b"", 302), False),
    ],
)
def test_a_login_comes_first_or_it_does_not(answer, login):
    assert opened(answer).login == login


@pytest.mark.parametrize("answer", [page(b"", 404), page(b"", 500), page(b"<p>" * 1_100_000)])
def test_what_is_no_page_says_nothing(answer):
    with pytest.raises(Unavailable):
        opened(answer)


def test_another_hosts_page_is_not_opened():
    with pytest.raises(NotApplicable):
        opened(page(b"<input type=password>"), url="https://example.com/u/77")
