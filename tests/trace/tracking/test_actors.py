"""Who opened or clicked, as far as one request and its neighbours tell."""

import pytest

from delivcheck.trace.model import Actor, Kind
from delivcheck.trace.tracking.actors import BURST, MAX_WATCHED, SOON, Bursts, actor

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("kind", "headers", "since", "said"),
    [
        (Kind.CLICKED, {"user-agent": CHROME}, 3_600_000, Actor.HUMAN),
        (Kind.CLICKED, {"user-agent": CHROME}, None, Actor.HUMAN),
        (Kind.CLICKED, {"user-agent": CHROME}, SOON - 1, Actor.MACHINE),
        (Kind.OPENED, {"user-agent": CHROME}, SOON - 1, Actor.UNKNOWN),
        (Kind.OPENED, {"user-agent": CHROME}, SOON, Actor.HUMAN),
        (Kind.OPENED, {"user-agent": "Mozilla/5.0"}, 3_600_000, Actor.UNKNOWN),  # Apple's prefetch, or anybody
        (Kind.OPENED, {"user-agent": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"}, 3_600_000, Actor.UNKNOWN),
        (Kind.OPENED, {"user-agent": "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"}, 9_999_999, Actor.UNKNOWN),
        (Kind.OPENED, {"user-agent": "Mozilla/5.0 (Linux; Android 12; CUBOT P60) AppleWebKit/537.36"}, 9_999_999, Actor.HUMAN),
        (Kind.OPENED, {"user-agent": "SomeMailer 1.0"}, 9_999_999, Actor.UNKNOWN),
        (Kind.OPENED, {}, 9_999_999, Actor.MACHINE),
        (Kind.CLICKED, {"user-agent": "curl/8.5.0"}, 9_999_999, Actor.MACHINE),
        (Kind.CLICKED, {"user-agent": "Mozilla/5.0 (compatible; bingbot/2.0)"}, 9_999_999, Actor.MACHINE),
        (Kind.CLICKED, {"user-agent": "BarracudaCentral"}, 9_999_999, Actor.MACHINE),
        (Kind.CLICKED, {"user-agent": CHROME, "purpose": "prefetch"}, 9_999_999, Actor.MACHINE),
        (Kind.CLICKED, {"user-agent": CHROME, "sec-purpose": "prefetch;prerender"}, 9_999_999, Actor.MACHINE),
        (Kind.CLICKED, {"user-agent": CHROME, "x-purpose": "preview"}, 9_999_999, Actor.MACHINE),
        (Kind.CLICKED, {"user-agent": CHROME, "x-moz": "prefetch"}, 9_999_999, Actor.MACHINE),
        (Kind.CLICKED, {"user-agent": "x" * 100_000}, 9_999_999, Actor.UNKNOWN),
    ],
)  # fmt: skip
def test_it_is_told_from_what_the_request_says(kind, headers, since, said):
    assert actor(kind, headers, since) is said


def test_three_links_of_a_message_within_seconds_are_no_reader_and_one_link_thrice_is():
    bursts = Bursts()
    for number in range(3):
        bursts.clicked("A", number, 1_000 + number * 1_000)
        bursts.clicked("B", 7, 1_000 + number * 1_000)
        bursts.clicked("C", number, 1_000 + number * 3 * BURST)
    assert bursts.within("A", 2_000)
    assert not bursts.within("B", 2_000)
    assert not bursts.within("C", 1_000)
    assert not bursts.within("D", 1_000)


def test_what_is_remembered_of_clicks_has_an_end():
    bursts = Bursts()
    for number in range(MAX_WATCHED + 5):
        bursts.clicked(str(number), 0, 0)
    for number in range(20_000):
        bursts.clicked("one", number, number * 1_000)
    assert len(bursts._clicks) == MAX_WATCHED
    assert len(bursts._clicks["one"]) <= 2 * BURST // 1_000 + 1
