"""The pages in a real Chromium, served by a real uvicorn: what the browser says of them, who can use them, what they let out.

Screenshots are kept in `.pytest_cache/d/screenshots`.
"""

import re
import socket
import threading
from contextlib import closing

import pytest

from delivcheck.trace.model import Kind
from tests import servers
from tests.conftest import require
from tests.trace.told import NOON, event, message
from tests.web.fill import fill
from tests.web.serving import SCREENSHOTS, Watched, chromium, served

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 320, "height": 800}
IN_THE_DARK = {"overview", "message", "statistics", "held-ask"}  # have every colour that there is; --soak looks at all
REMOTE = "https://pictures.example/lamp.png"  # in the sample letter: asked for, and blocked


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    require("chromium")
    pytest.importorskip("playwright")
    with served(tmp_path_factory.mktemp("site"), fill) as running:
        yield running


@pytest.fixture(scope="module")
def browser(site):
    with chromium() as running:
        yield running


def signed_in(browser, site, *scopes, **settings):
    """A page of a new visitor, signed in, and what is told of it."""
    context = browser.new_context(viewport=WIDE, **settings)
    page = context.new_page()
    watched = Watched().on(page, site.url)
    page.goto(f"{site.url}/sign-in")
    page.fill("#key", site.home.key(*scopes or ("admin",)))
    page.press("#key", "Enter")
    page.wait_for_url(f"{site.url}/")
    return page, watched


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_is_sound_accessible_and_readable_on_a_telephone(site, browser, scheme, soak):
    from axe_playwright_python.sync_playwright import Axe

    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page, watched = signed_in(browser, site, color_scheme=scheme)
    axe, wrong = Axe(), []
    light = scheme == "light"

    def look(name):
        # All rules once; what the colours of the other scheme change is contrast.
        options = {} if light else {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}
        found = axe.run(page, options=options).response["violations"]
        wrong.extend((name, one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found)
        page.screenshot(path=SCREENSHOTS / f"{name}-{scheme}.png", full_page=True)
        if not light:
            return
        page.set_viewport_size(NARROW)
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > NARROW["width"]:
            wrong.append((name, "is wider than a telephone", wide))
        if name in {"overview", "message", "held", "check"}:
            page.screenshot(path=SCREENSHOTS / f"{name}-320.png", full_page=True)
        page.set_viewport_size(WIDE)

    for name, path in site.home.paths.items():
        if not light and not soak and name not in IN_THE_DARK:
            continue
        answer = page.goto(site.url + path)
        assert answer.status == 200, path
        look(name)
    page.goto(f"{site.url}/check")
    page.fill(
        "#text", "From: Shop <orders@example.org>\nTo: Pat <pat@example.net>\nSubject: Your order\n\nhttp://192.0.2.7/x\n"
    )
    page.click("main button")
    page.wait_for_selector(".verdict")
    look("checked")
    page.goto(f"{site.url}/messages?q=colour:red")
    look("wrong-search")
    page.click("text=Sign out")
    page.wait_for_url(f"{site.url}/sign-in")
    look("sign-in")
    page.fill("#key", "dc_wrong")
    page.press("#key", "Enter")
    page.wait_for_selector("#wrong")
    look("sign-in-wrong")
    assert wrong == []
    expected = [f"Loading the image '{REMOTE}' violates", "status of 400", "status of 403"]
    assert [said for said in watched.console if not any(one in said for one in expected)] == []
    assert {url for url in watched.foreign if url != REMOTE} == set()
    page.context.close()


def test_all_of_it_works_by_the_keyboard_alone(site, browser):
    context = browser.new_context(viewport=WIDE)
    page = context.new_page()
    page.goto(site.url)
    assert page.evaluate("document.activeElement.id") == "key"
    page.keyboard.type(site.home.key("read"))
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.url}/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    reached(page, 'a[href="/messages"]')
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.url}/messages")
    reached(page, "#q")
    page.keyboard.type('subject:"Your order 4711"')
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/messages\?q="))
    reached(page, 'main td a[href^="/messages/"]')
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/messages/[0-9A-Z]{26}$"))
    assert page.inner_text("h1") == "Your order 4711"
    page.go_back()  # the browser's own key for it does nothing without a window
    page.wait_for_url(re.compile(r"/messages\?q="))
    assert page.input_value("#q") == 'subject:"Your order 4711"'
    context.close()


def reached(page, selector, most=80):
    """Press Tab until it has the focus, which must be seen."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            return
    raise AssertionError(f"{selector} was not reached")


def test_everything_can_be_done_without_scripts(site, browser):
    page, _ = signed_in(browser, site, java_script_enabled=False)
    page.goto(f"{site.url}/suppressions")
    page.fill("#address", "noscript@example.net")
    page.click("text=Add >> nth=-1")
    page.wait_for_url(re.compile("said=added"))
    assert "The address is on the list now." in page.inner_text("main")
    held = len(site.home.desk.held.entries())
    page.goto(f"{site.url}/held")
    page.check("tbody tr:last-child input")
    page.click("text=Discard chosen")
    page.wait_for_url(re.compile("/held/ask"))
    page.fill("#note", "not needed")
    page.click("button.danger")
    page.wait_for_url(f"{site.url}/held/act")
    assert "1 of 1 message discarded" in page.inner_text("h1")
    assert len(site.home.desk.held.entries()) == held - 1
    page.context.close()


@pytest.mark.attack(67)
def test_nothing_of_a_message_gets_out_of_its_frame(site, browser):
    with listening() as (port, came):
        there = f"{servers.loopback()}:{port}"
        html = f"""<!doctype html><head><base href="http://{there}/base/"><meta http-equiv="refresh" content="0;url=http://{there}/refresh">
<link rel="preconnect" href="http://{there}"><link rel="dns-prefetch" href="//{there}"><link rel="prefetch" href="http://{there}/p">
<link rel="stylesheet" href="http://{there}/s.css"><style>@import "http://{there}/i.css"; body {{ background: url(http://{there}/b.png) }}
@font-face {{ font-family: f; src: url(http://{there}/f.woff) }} p {{ font-family: f }}</style></head>
<body><script>parent.document.title = 'ours'; fetch('http://{there}/x')</script><img src="http://{there}/1.png" onerror="top.location='http://{there}/'">
<img srcset="http://{there}/2.png 1x"><picture><source srcset="http://{there}/3.png"><img></picture><video src="http://{there}/v" poster="http://{there}/4.png" autoplay></video>
<audio src="http://{there}/a" autoplay></audio><object data="http://{there}/o"></object><embed src="http://{there}/e"><iframe src="http://{there}/f"></iframe>
<svg><image href="http://{there}/5.png"/><use href="http://{there}/u.svg#a"/></svg><input type="image" src="http://{there}/6.png"><table background="http://{there}/7.png"></table>
<form action="http://{there}/form"><button id="send">send</button></form><a id="link" href="http://{there}/link" ping="http://{there}/ping">a link</a>
<a id="top" href="http://{there}/top" target="_top">top</a><a id="new" href="http://{there}/new" target="_blank">new</a><p>the text</p>
<a id="own" href="/audit">ours</a>"""
        one = message(
            8_000_000, NOON - 5_000, subject="Out", body=b"Subject: Out\r\nContent-Type: text/html\r\n\r\n" + html.encode()
        )
        site.home.tell([one, event(one, Kind.ACCEPTED)])
        page, _ = signed_in(browser, site)
        page.goto(f"{site.url}/messages/{one.trace}")
        frame = page.frame(url=re.compile("/html$"))
        frame.wait_for_selector("text=the text")
        for what in ("#link", "#top", "#new", "#send", "#own"):
            frame = next((one for one in page.frames if one.url.endswith("/html")), None)
            if frame is not None:
                frame.click(what, no_wait_after=True)
            page.wait_for_timeout(60)
            page.goto(f"{site.url}/messages/{one.trace}")
        assert "Out" in page.title()
        assert len(page.context.pages) == 1
        # The frame by itself, as somebody may open it, is as tight.
        page.goto(f"{site.url}/messages/{one.trace}/html")
        page.wait_for_selector("text=the text")
        page.wait_for_timeout(100)
        assert page.url == f"{site.url}/messages/{one.trace}/html"
        assert page.evaluate("self.origin") == "null"
        page.context.close()
    assert came == []


def listening():
    """A server that notes who comes."""
    came, server = [], socket.create_server((servers.loopback(), 0))

    def accept():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            came.append("somebody")  # who connects and asks for nothing has told already that the letter is looked at
            came.append(connection.recv(200))
            connection.close()

    threading.Thread(target=accept, daemon=True).start()

    class Listening(closing):
        def __enter__(self):
            return server.getsockname()[1], came

    return Listening(server)
