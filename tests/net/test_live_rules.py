"""Pages of links and the one-click endpoint, over a real server with TLS: what is asked, and what is never asked."""

import asyncio
from email import message_from_bytes
from email.policy import HTTP

import pytest

from delivcheck import api, catalog, policy
from delivcheck.model import HttpAnswer, Outcome, ProbeFailed, ProbeFault
from delivcheck.net.once import Once
from tests.net.https_server import with_https

ONE_CLICK = "unsubscribe/one-click-fails"
PAGES = "links/page-fails"


@pytest.fixture(autouse=True)
def any_port(monkeypatch):
    """The server here has an ephemeral port; of a message's addresses only 80 and 443 are contacted."""
    ports = type("Any", (), {"__contains__": lambda *_: True})()
    monkeypatch.setattr("delivcheck.facts.same_for_all.PORTS", ports)


def checked(tmp_path, answers, rule, message, *, test_url=None, copies=1, **how):
    """The result of one rule for a message in which PORT stands for the server's, and the requests that the server got."""

    async def use(server, probe):
        options = api.Options(
            policy.load("bulk"),
            dns="offline",
            probe=Once(probe),
            unsubscribe_test_url=test_url and test_url.replace("PORT", str(server.port)),
        )
        book = catalog.standard()  # the one rule: others open the test address, too, with GET
        checker = api.Checker(options, catalog.Catalog({rule: book.rules[rule]}, book.checks, book.providers), shown={})
        octets = message.replace("PORT", str(server.port)).replace("\n", "\r\n").encode()
        reports = [await checker.message(octets) for _ in range(copies)]
        return next(result for result in reports[-1].results if result.rule == rule)

    result, server = with_https(tmp_path, answers, use, **how)
    return result, server.requests


def told(result):
    return [problem.message for problem in result.problems]


# --- one click ---------------------------------------------------------------------------------------------------

NEWSLETTER = """From: news@example.org
List-Unsubscribe: <https://example.org:PORT/u/7f3a9c41d2e8>
List-Unsubscribe-Post: List-Unsubscribe=One-Click

Buy now.
"""
TEST_URL = "https://example.org:PORT/u/test"


def test_one_click_is_posted_in_both_encodings_without_cookies_to_the_test_address_alone(tmp_path):
    fine = (200, {"Set-Cookie": "session=1"}, "bye")
    result, requests = checked(tmp_path, {"POST /u/test": fine}, ONE_CLICK, NEWSLETTER, test_url=TEST_URL)

    assert result.outcome is Outcome.PASS
    plain, form = requests
    assert {(each.method, each.path) for each in requests} == {("POST", "/u/test")}
    assert not any("cookie" in each.headers for each in requests)
    assert (plain.headers["content-type"], plain.body) == ("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click")
    read = message_from_bytes(f"Content-Type: {form.headers['content-type']}\r\n\r\n".encode() + form.body, policy=HTTP)
    (part,) = read.iter_parts()
    assert part.get_param("name", header="content-disposition") == "List-Unsubscribe"
    assert part.get_content().strip() == "One-Click"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((302, {"Location": "/login"}, ""), "is redirected to /login"),
        ((404, {}, ""), "is answered 404"),
        ((500, {}, ""), "is answered 500"),
        ((200, {}, "<form method=post><input type=password></form>"), "asks for a password"),
    ],
)
def test_what_is_no_success_fails_and_no_redirect_is_followed(tmp_path, answer, words):
    answers = {"POST /u/test": answer, "GET /login": (200, {}, "")}
    result, requests = checked(tmp_path, answers, ONE_CLICK, NEWSLETTER, test_url=TEST_URL)

    assert result.outcome is Outcome.FAIL
    assert len(result.problems) == 1
    assert words in told(result)[0]
    assert len(requests) == 2


def test_an_endpoint_that_takes_one_encoding_only_is_told_which(tmp_path):
    async def use(server, probe):
        class Picky:
            async def post(self, url, body, content_type):
                got = await probe.post(url, body, content_type)
                return HttpAnswer(415, (), b"") if content_type.startswith("multipart") else got

        options = api.Options(
            policy.load("bulk"),
            dns="offline",
            probe=Picky(),
            unsubscribe_test_url=TEST_URL.replace("PORT", str(server.port)),
        )
        report = await api.Checker(options, shown={}).message(NEWSLETTER.replace("PORT", str(server.port)).encode())
        return next(result for result in report.results if result.rule == ONE_CLICK)

    result, _ = with_https(tmp_path, {"POST /u/test": (202, {}, "")}, use)

    assert told(result)[0].endswith("is answered 415 (multipart/form-data)")


def test_an_untrusted_certificate_is_evidence_and_silence_is_none(tmp_path):
    answers = {"POST /u/test": (200, {}, "")}
    result, requests = checked(tmp_path, answers, ONE_CLICK, NEWSLETTER, test_url=TEST_URL, trusted=False)
    assert result.outcome is Outcome.FAIL
    assert "self-signed" in told(result)[0]
    assert requests == []

    result, _ = checked(tmp_path, {"POST /u/test": None}, ONE_CLICK, NEWSLETTER, test_url=TEST_URL)
    assert result.outcome is Outcome.UNKNOWN


def test_without_a_test_address_no_request_leaves(tmp_path):
    result, requests = checked(tmp_path, {"POST /u/7f3a9c41d2e8": (500, {}, "")}, ONE_CLICK, NEWSLETTER)

    assert result.outcome is Outcome.NOT_APPLICABLE
    assert requests == []


def test_a_run_over_many_copies_posts_once(tmp_path):
    _, requests = checked(tmp_path, {"POST /u/test": (200, {}, "")}, ONE_CLICK, NEWSLETTER, test_url=TEST_URL, copies=5)

    assert len(requests) == 2


# --- pages -------------------------------------------------------------------------------------------------------


def letter(*paths):
    return "From: news@example.org\n\n" + "\n".join(f"https://www.example.org:PORT{path}" for path in paths) + "\n"


def test_pages_are_fetched_with_get_once_a_run(tmp_path):
    answers = {"GET /may": (200, {}, "x"), "GET /gone": (404, {}, "")}
    result, requests = checked(tmp_path, answers, PAGES, letter("/may", "/gone", "/may#top"), copies=3)

    assert sorted((each.method, each.path) for each in requests) == [("GET", "/gone"), ("GET", "/may")]
    assert [text.rpartition("/")[2] for text in told(result)] == ["gone leads to a page that answers 404"]


def test_redirects_are_followed_by_hand_and_five_at_most(tmp_path):
    answers = {f"GET /page/{n}": (302, {"Location": f"https://www.example.org:PORT/page/{n + 1}"}, "") for n in range(9)}
    result, requests = checked(tmp_path, answers, PAGES, letter("/page/0"))

    assert told(result)[0].endswith("goes on after 5 redirects")
    assert len(requests) == 6


def test_a_relative_redirect_and_one_to_another_organization(tmp_path):
    answers = {
        "GET /a": (301, {"Location": "b"}, ""),
        "GET /b": (301, {"Location": "https://other.example:PORT/c"}, ""),
        "GET /c": (200, {}, ""),
    }
    result, requests = checked(tmp_path, answers, PAGES, letter("/a"))

    assert [each.path for each in requests] == ["/a", "/b", "/c"]
    assert [text.rpartition(" ")[2] for text in told(result)] == ["other.example"]


def test_a_long_page_has_its_status_all_the_same(tmp_path):
    long = "x" * 100_000
    answers = {"GET /fine": (200, {}, long), "GET /lost": (404, {}, long)}
    result, _ = checked(tmp_path, answers, PAGES, letter("/fine", "/lost"))

    assert [text.rpartition("/")[2] for text in told(result)] == ["lost leads to a page that answers 404"]


def test_links_that_can_act_for_a_reader_are_never_requested(tmp_path):
    paths = ["/unsubscribe", "/u/7f3a9c41d2e8", "/confirm", "/p?id=12345", "/customer/123456", "/opt-out/x", "/logout"]
    result, requests = checked(tmp_path, {}, PAGES, letter(*paths))

    assert result.outcome is Outcome.NOT_APPLICABLE
    assert requests == []


def test_an_untrusted_certificate_of_a_page_is_evidence(tmp_path):
    result, requests = checked(tmp_path, {"GET /may": (200, {}, "")}, PAGES, letter("/may"), trusted=False)

    assert "has no valid encryption: self-signed" in told(result)[0]
    assert requests == []


# --- once --------------------------------------------------------------------------------------------------------


class Counting:
    def __init__(self):
        self.asked = []

    async def get(self, url):
        self.asked.append(url)
        await asyncio.sleep(0)
        return HttpAnswer(200, (), url.encode())

    async def smtp(self, host, port=25):
        self.asked.append(f"{host}:{port}")
        return ProbeFailed(ProbeFault.TIMEOUT)


def test_who_asks_for_what_is_on_its_way_gets_the_same_answer():
    async def run():
        beneath = Counting()
        probe = Once(beneath)
        answers = await asyncio.gather(probe.get("a"), probe.get("a"), probe.get("b"), probe.smtp("mx"), probe.smtp("mx"))
        return beneath.asked, answers

    asked, answers = asyncio.run(run())
    assert sorted(asked) == ["a", "b", "mx:25"]
    assert answers[0] is answers[1]


def test_one_who_gives_up_takes_nothing_from_the_others():
    async def run():
        probe = Once(Counting())
        first, second = asyncio.ensure_future(probe.get("a")), asyncio.ensure_future(probe.get("a"))
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert asyncio.run(run()).body == b"a"


def test_the_memory_of_a_run_is_bounded(monkeypatch):
    monkeypatch.setattr("delivcheck.net.once.KEPT", 3)

    async def run():
        probe = Once(Counting())
        for number in range(20):
            await probe.get(str(number))
        return len(probe._known)

    assert asyncio.run(run()) == 3
