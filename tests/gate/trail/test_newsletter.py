"""A tracked newsletter, from its sender to the click, and to the next one that is not sent any more."""

import re
import time

import pytest

from delivcheck.facts.signing import SigningKey
from delivcheck.gate.prepare.keys import usable
from delivcheck.trace.tracking.actors import SOON
from tests.facts.dkim_world import plain_dkimpy
from tests.gate.trail.place import BROWSER, WHOLE, octets_at, place
from tests.keys import pem
from tests.mta import wait_until

BASE = "https://mail.example.org"
TARGET = "https://shop.example.org/sale?item=7&from=news"
HTML = f'<html><body><p><a href="{TARGET.replace("&", "&amp;")}">The sale</a></p></body></html>'
MORE = f"""
[gate.trace]
[gate.http]
public-url = "{BASE}"
[gate.tracking]
streams = {{ news = "identified" }}
[gate.unsubscribe]
[[gate.sign]]
domain = "example.org"
selector = "s1"
key-file = "dkim.pem"
[streams.news]
class = "bulk"
[streams.receipts]
class = "transactional"
"""
ONE_CLICK = b"List-Unsubscribe=One-Click"
BOUNDARY = "x7"
MULTIPART = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--{BOUNDARY}--\r\n'.encode()
)


@pytest.fixture
def newsroom(tmp_path):
    (tmp_path / "dkim.pem").write_bytes(pem("rsa2048"))
    with place(tmp_path, MORE) as made:
        yield made


def newsletter(stream="news", to="pat@example.net", **fields):
    more = "".join(f"X-Delivcheck-{name}: {value}\r\n" for name, value in {"Stream": stream, **fields}.items())
    head = f"From: a@example.org\r\nTo: {to}\r\nSubject: {stream}\r\n{more}MIME-Version: 1.0\r\nContent-Type: text/html\r\n"
    return f"{head}\r\n{HTML}\r\n".encode()


def verified(octets):
    """The DKIM signature's names, if dkimpy by itself finds it good."""
    key = usable(SigningKey("example.org", "s1", pem("rsa2048")))
    assert plain_dkimpy(octets, {f"{key.name} TXT": key.record}) is True
    unfolded = re.sub(rb"\r\n[ \t]+", b" ", octets.partition(b"\r\n\r\n")[0])
    (found,) = re.findall(rb"(?m)^DKIM-Signature:.*?\bh=([^;]*);", unfolded)
    return {name.strip().lower() for name in found.split(b":")}


def paths(octets, room):
    """Paths of our own URLs, below /c, /o or /u."""
    found = re.findall(rb"https://mail\.example\.org(/" + room.encode() + rb"/[A-Za-z0-9_-]+)", octets.replace(b"\r\n ", b""))
    return [one.decode() for one in found]


def followed(newsroom, octets):
    """A browser shows the message, and its reader clicks."""
    (link,), (pixel,) = paths(octets, "c"), paths(octets, "o")
    assert newsroom.ask("GET", pixel, **BROWSER).octets.startswith(b"GIF89a")
    went = newsroom.ask("GET", link, **BROWSER)
    assert (went.status, went.header["Location"]) == (302, TARGET)


def test_opens_and_clicks_are_in_the_trace_of_the_one_who_consented_and_else_of_nobody(newsroom):
    key = newsroom.key("shop", "send", "read")
    newsroom.send(newsletter())
    order = {"from": "a@example.org", "to": "eve@example.net", "subject": "Sale", "html": HTML, "text": "The sale"}
    begun = time.monotonic()
    said = newsroom.ask("POST", "/v1/messages", {**order, "stream": "news", "tracking": "consent"}, key=key)
    assert said.status == 200, said.json
    by_smtp, by_api = octets_at(newsroom.hop, 2)
    for octets in (by_smtp, by_api):
        assert b"X-Delivcheck" not in octets
        assert TARGET.encode() not in octets
        assert {b"list-unsubscribe", b"list-unsubscribe-post"} <= verified(octets)
        followed(newsroom, octets)
    at_once = (time.monotonic() - begun) * 1000 < SOON  # a machine can be very slow
    trace = said.json["id"]
    newsroom.wait_kinds([*WHOLE, "opened", "clicked"], trace=trace)
    happened = {one.kind: one for one in newsroom.events(trace=trace)}
    assert not at_once or (happened["opened"].actor, happened["clicked"].actor) == ("unknown", "machine")
    assert TARGET in happened["clicked"].detail
    assert {one.address for one in newsroom.events(trace=trace)} == {"eve@example.net"}
    # In aggregate it is the stream's and nobody's: neither the message nor the recipient has it, and the query is not kept.
    wait_until(lambda: len(nobodys(newsroom)) == 2, lambda: str(newsroom.events()))
    assert [(one.kind, one.actor) for one in nobodys(newsroom)] == [("opened", "human-likely"), ("clicked", "human-likely")]
    assert "from=news" not in nobodys(newsroom)[1].detail
    assert newsroom.kinds(recipient="pat@example.net") == WHOLE
    shown = newsroom.ask("GET", f"/v1/messages/{trace}", key=key).json
    assert (shown["tracking"], shown["links"], shown["stream"]) == ("identified", [TARGET], "news")
    assert "clicked" in newsroom.cli("trace", trace)
    counts = newsroom.ask("GET", "/v1/stats?by=stream", key=key).json["groups"]
    assert {one["value"]: one["counts"]["sent"]["recipients"] for one in counts if "sent" in one["counts"]} == {"news": 2}


def nobodys(newsroom):
    ours = {one.message for one in newsroom.events() if one.kind == "sent"}
    return sorted((one for one in newsroom.events() if one.message not in ours), key=lambda one: one.kind, reverse=True)


def test_one_click_stops_the_stream_and_nothing_else_and_only_when_it_is_posted(newsroom):
    key = newsroom.key("shop", "send", "suppress")
    newsroom.send(newsletter())
    (octets,) = octets_at(newsroom.hop, 1)
    (path,) = paths(octets, "u")
    newsroom.wait_kinds(WHOLE, recipient="pat@example.net")
    for method in ("GET", "HEAD"):
        shown = newsroom.ask(method, path, **BROWSER)
        assert (shown.status, "Set-Cookie" in shown.header) == (200, False)
    assert newsroom.ask("POST", path, b"something=else", kind="application/x-www-form-urlencoded").status == 400
    altered = path[:-1] + ("A" if path[-1] != "A" else "B")
    assert newsroom.ask("POST", altered, ONE_CLICK, kind="application/x-www-form-urlencoded").status == 404
    newsroom.send(newsletter())
    newsroom.wait_kinds(WHOLE * 2, recipient="pat@example.net")
    assert newsroom.suppressed() == []
    for body, kind in [
        (ONE_CLICK, "application/x-www-form-urlencoded"),
        (ONE_CLICK, "application/x-www-form-urlencoded"),
        (MULTIPART, f"multipart/form-data; boundary={BOUNDARY}"),
    ]:
        done = newsroom.ask("POST", path, body, kind=kind)
        assert (done.status, done.header["Location"], done.header["Set-Cookie"]) == (200, None, None)
    newsroom.wait_kinds([*WHOLE * 2, "unsubscribed"], recipient="pat@example.net")
    assert newsroom.suppressed() == [("pat@example.net", "news", "unsubscribe")]
    listed = newsroom.ask("GET", "/v1/suppressions", key=key).json["suppressions"]
    assert [(one["address"], one["stream"]) for one in listed] == [("pat@example.net", "news")]
    # The workers' copy of the list follows within a second or so.
    wait_until(lambda: newsroom.refused(newsletter()).startswith("550 5.7.1"), lambda: "the list does not act")
    wait_until(lambda: "suppressed" in newsroom.kinds(recipient="pat@example.net"), lambda: str(newsroom.kinds()))
    assert newsroom.refused(newsletter("receipts")) == ""
    assert newsroom.refused(newsletter(to="eve@example.net"), "eve@example.net") == ""
    order = {"from": "a@example.org", "to": "Pat@EXAMPLE.net", "subject": "s", "text": "t"}
    no = newsroom.ask("POST", "/v1/messages", {**order, "stream": "news"}, key=key)
    assert (no.status, no.json["recipients"][0]["status"], no.json["recipients"][0]["by"]) == (422, "refused", "gate")
    assert newsroom.ask("POST", "/v1/messages", {**order, "stream": "receipts"}, key=key).status == 200
