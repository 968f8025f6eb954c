"""Who gets in: sessions that a key began, proxies that are trusted, forms that are ours."""

from ipaddress import ip_network

import pytest
from starlette.requests import Request

from delivcheck.gate.settings import Http
from delivcheck.trace import keys
from delivcheck.web import access, forms
from delivcheck.web.access import Slow
from delivcheck.web.app import _following
from delivcheck.web.site import Refusal
from tests.web.house import house, token

HOUR = 3_600_000


async def test_a_key_signs_in_and_the_cookie_is_as_strict_as_can_be(tmp_path):
    async with house(tmp_path) as home, home.client() as browser:
        secret = home.key("read")
        there = await browser.get("/messages?q=to:a@b.example")
        assert there.headers["location"] == "/sign-in?next=%2Fmessages%3Fq%3Dto%3Aa%40b.example"
        form = await browser.get(there.headers["location"])
        assert 'name="next" value="/messages?q=to:a@b.example"' in form.text
        answer = await browser.post("/sign-in", data={"key": f" {secret} ", "next": "/messages?q=to:a@b.example"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/messages?q=to:a@b.example")
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("delivcheck=")
        assert cookie.endswith("; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200")
        assert secret not in cookie
        assert (await browser.get("/messages")).status_code == 200
        assert (await browser.get("/sign-in")).headers["location"] == "/"


async def test_by_https_the_cookie_is_secure_and_of_this_host_only(tmp_path):
    async with (
        house(tmp_path, http=Http(public_url="https://pages.example")) as home,
        home.client(origin="https://pages.example") as browser,
    ):
        answer = await browser.post("/sign-in", data={"key": home.key("read")})
        assert answer.headers["set-cookie"].startswith("__Host-delivcheck=")
        assert answer.headers["set-cookie"].endswith("; Secure")
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert (await browser.get("/messages")).status_code == 200


async def test_a_session_ends_with_its_time_with_its_key_and_at_the_wish_of_who_has_it(tmp_path):
    async with house(tmp_path) as home:
        async with home.visitor("read") as browser:
            home.clock.now += access.LASTS - 1
            assert (await browser.get("/messages")).status_code == 200
            home.clock.now += 1
            assert (await browser.get("/messages")).status_code == 303
        async with home.visitor("read") as browser:
            out = await browser.post("/sign-out", data={"token": token(await browser.get("/messages"))})
            assert "Max-Age=0" in out.headers["set-cookie"]
            assert (await browser.get("/messages")).status_code == 303
        async with home.visitor("read", expires=keys.now() + 400 * 24 * HOUR) as browser:
            home.clock.now = keys.now() + 401 * 24 * HOUR
            assert (await browser.get("/messages")).status_code == 303


async def test_revoking_a_key_ends_its_sessions(tmp_path, monkeypatch):
    monkeypatch.setattr(access, "FRESH", 0.0)
    async with house(tmp_path) as home, home.visitor("read", name="ada") as browser:
        assert (await browser.get("/messages")).status_code == 200
        with home.store.write() as db:
            keys.revoke(db, home.store.tenant(db), "ada")
        assert (await browser.get("/messages")).status_code == 303


async def test_only_our_own_unaltered_cookie_is_a_session(tmp_path):
    async with house(tmp_path) as home, home.visitor("read") as browser:
        [(name, value)] = [(one.name, one.value) for one in browser.cookies.jar]
        another = home.desk.tokens.sealed("click", b"x")
        for forged in (
            "",
            "x",
            value[:-2],
            ("A" if value[0] != "A" else "B") + value[1:],
            value.swapcase(),
            another,
            home.desk.tokens.sealed("session", b"x"),
        ):
            async with home.client(Cookie=f"{name}={forged}") as stranger:
                assert (await stranger.get("/messages")).status_code == 303, forged


async def test_wrong_keys_are_told_apart_from_nothing_and_slowed_down(tmp_path):
    async with house(tmp_path) as home:
        right = home.key("read")
        wrong = right[:-4] + ("aaaa" if right[-4:] != "aaaa" else "bbbb")
        async with home.client() as browser:
            pages = [
                await browser.post("/sign-in", data={"key": key}) for key in (wrong, "x", "", "dc_" + "a" * 12 + "_" + "a" * 52)
            ]
            assert {page.status_code for page in pages} == {403}
            assert len({page.text for page in pages}) == 1
            assert (await browser.post("/sign-in", data={"key": wrong})).status_code == 403
            slowed = await browser.post("/sign-in", data={"key": right})
            assert slowed.status_code == 429
            assert "try again in 2 s" in slowed.text
        async with home.client("198.51.100.7") as elsewhere:
            assert (await elsewhere.post("/sign-in", data={"key": right})).status_code == 303
        assert [fields["ok"] for fields in home.whole.told.of("auth")] == [False] * 5 + [True]
        assert right not in str(home.whole.told)


def test_who_fails_waits_longer_each_time_and_is_forgiven():
    now = [0.0]
    slow = Slow(lambda: now[0])
    waits = []
    for _ in range(access.FREE + 12):
        slow.failed("a")
        waits.append(slow.wait("a"))
    assert waits[: access.FREE] == [0, 0, 0, 0, 2]
    assert waits == sorted(waits)
    assert waits[-1] == access.LONGEST
    assert slow.wait("b") == 0
    slow.right("a")
    assert slow.wait("a") == 0
    for number in range(access.NETWORKS + 10):
        slow.failed(str(number))
    assert len(slow._failed) == access.NETWORKS


async def test_behind_a_trusted_proxy_a_strangers_wrong_keys_make_only_the_stranger_wait(tmp_path):
    http = Http(trusted_proxies=(ip_network("192.0.2.0/24"),))
    async with house(tmp_path, http=http) as home, home.client() as browser:
        stranger, other = ({"X-Forwarded-For": f"203.0.113.9, {one}"} for one in ("198.51.100.7", "2001:db8::1"))
        for _ in range(access.FREE):
            await browser.post("/sign-in", data={"key": "x"}, headers=stranger)
        good = {"key": home.key("read")}
        assert (await browser.post("/sign-in", data=good, headers=stranger)).status_code == 429
        assert (await browser.post("/sign-in", data=good, headers=other)).status_code == 303
        # What says nothing readable is the proxy's own.
        assert (await browser.post("/sign-in", data=good, headers={"X-Forwarded-For": "?"})).status_code == 303


async def test_nobody_waits_for_others_behind_a_unix_socket():
    slow = Slow(lambda: 0.0)
    for _ in range(access.FREE + 1):
        slow.failed(access.NOWHERE)
    assert slow.wait(access.NOWHERE) == 0


# --- a proxy that signs people in -------------------------------------------------------------------------------------

PROXY = Http(trusted_user_header="X-Forwarded-User", trusted_proxies=(ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")))


async def test_a_trusted_proxy_names_who_it_is_and_nobody_else_does(tmp_path):
    async with house(tmp_path, http=PROXY) as home:
        for address in ("192.0.2.9", "2001:db8::7", "::ffff:192.0.2.9"):
            async with home.client(address, **{"X-Forwarded-User": "ada"}) as browser:
                page = await browser.get("/audit")
                assert page.status_code == 200
                assert "Signed in as proxy:ada" in page.text
                assert "/sign-out" not in page.text
                form = {"token": token(await browser.get("/suppressions")), "address": "a@example.net"}
                assert (await browser.post("/suppressions", data=form)).status_code == 303
                async with home.client(address, **{"X-Forwarded-User": "eve"}) as other:
                    assert (await other.post("/suppressions", data=form)).status_code == 403
        for address in ("198.51.100.1", "::1", "not an address"):
            async with home.client(address, **{"X-Forwarded-User": "ada"}) as browser:
                assert (await browser.get("/audit")).status_code == 303, address
        async with home.client(**{"X-Forwarded-For": "198.51.100.1"}) as nameless:
            assert (await nameless.get("/audit")).status_code == 303
        async with home.client() as twice:
            answer = await twice.get("/audit", headers=[("X-Forwarded-User", "ada"), ("X-Forwarded-User", "eve")])
            assert answer.status_code == 303


async def test_without_the_setting_the_header_says_nothing(tmp_path):
    http = Http(trusted_proxies=(ip_network("192.0.2.0/24"),))
    async with house(tmp_path, http=http) as home, home.client(**{"X-Forwarded-User": "ada"}) as browser:
        assert (await browser.get("/messages")).status_code == 303


# --- forms that others made -------------------------------------------------------------------------------------------


async def test_a_form_of_another_site_or_session_changes_nothing(tmp_path):
    async with house(tmp_path) as home, home.visitor("admin") as browser, home.visitor("admin") as other:
        good, foreign = token(await browser.get("/suppressions")), token(await other.get("/suppressions"))
        assert good != foreign
        form = {"address": "a@example.net"}
        bad = [
            ({"token": good}, {"Sec-Fetch-Site": "cross-site"}),
            ({"token": good}, {"Sec-Fetch-Site": "same-site"}),
            ({"token": good}, {"Sec-Fetch-Site": "", "Origin": "http://pages.example"}),
            ({"token": foreign}, {}),
            ({"token": ""}, {}),
            ({}, {}),
        ]
        for fields, headers in bad:
            assert (await browser.post("/suppressions", data=form | fields, headers=headers)).status_code == 403, (
                fields,
                headers,
            )
        assert (await browser.get("/suppressions")).text.count("a@example.net") == 0
        assert (await browser.post("/suppressions", data=form | {"token": good})).status_code == 303


async def test_another_site_signs_nobody_out(tmp_path):
    async with house(tmp_path) as home, home.client() as browser:
        answer = await browser.post("/sign-out", headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


@pytest.mark.attack(67)
@pytest.mark.parametrize("charset", ["punycode", "idna", "utf-16", "unicode_escape", "latin-1", '"PunyCode"'])
async def test_a_form_is_read_as_utf_8_and_with_no_other_codec(tmp_path, charset):
    # 300 kB of punycode took four seconds of the event loop, 3 MB four hundred.
    async with house(tmp_path) as home, home.visitor("check") as browser:
        body = b'--B\r\nContent-Disposition: form-data; name="text"\r\n\r\n' + b"a" * 50 + b"-a\r\n--B--\r\n"
        kind = {"Content-Type": f"multipart/form-data; boundary=B; charset={charset}"}
        assert (await browser.post("/check", content=body, headers=kind)).status_code == 415
        kind = {"Content-Type": "multipart/form-data; boundary=B; charset=UTF-8"}
        assert (await browser.post("/check", content=body, headers=kind)).status_code == 403  # without our token


def asking(**headers):
    said = [(name.replace("_", "-").lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": said})


@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", "http://pages.example.evil.example", "http://pages.example:81",
                                    "file://pages.example", "pages.example", "http://", "http://pages.example@evil.example", "\xff", "http://[::1"])  # fmt: skip
def test_where_the_browser_says_no_more_than_origin_it_must_be_ours(origin):
    with pytest.raises(Refusal):
        forms.hold_origin(asking(Host="pages.example", Origin=origin), None)
    with pytest.raises(Refusal):
        forms.hold_origin(asking(Host="pages.example", Origin=origin), "https://mail.example")


def test_our_own_origin_is_the_host_or_the_public_url():
    forms.hold_origin(asking(Host="pages.example:8025", Origin="http://pages.example:8025"), None)
    forms.hold_origin(asking(Host="127.0.0.1:8025", Origin="https://mail.example"), "https://mail.example")
    with pytest.raises(Refusal):
        forms.hold_origin(asking(Host="pages.example"), None)


async def test_a_link_from_elsewhere_finds_the_session_by_one_hop(tmp_path):
    # SameSite=Strict: the first request has no cookie, the one that our own page makes has it.
    async with house(tmp_path) as home, home.client() as browser:
        elsewhere = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        page = await browser.get("/messages?q=%22%3E%3Cscript%3E", headers=elsewhere)
        assert page.status_code == 200
        assert '<meta http-equiv="refresh" content="0;url=/messages?q=%22%3E%3Cscript%3E">' in page.text
        assert (await browser.get("/messages")).status_code == 303


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "",
        "/a\r\nSet-Cookie: x=y",
        "/\t/evil.example",
        "/" + "a" * 3_000,
        "/ü",
    ],
)
def test_after_signing_in_nobody_is_led_elsewhere(path):
    assert _following(path) == "/"


def test_after_signing_in_people_are_where_they_wanted_to_be():
    assert _following("/messages?q=to:a@b.example") == "/messages?q=to:a@b.example"


# --- bodies -----------------------------------------------------------------------------------------------------------


@pytest.mark.attack(67)
async def test_a_form_that_is_too_large_too_slow_or_none_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(forms, "PATIENCE", 0.05)
    async with house(tmp_path) as home, home.visitor("admin") as browser:
        secret = token(await browser.get("/suppressions"))
        large = await browser.post("/suppressions", data={"token": secret, "address": "a" * forms.FORM})
        assert large.status_code == 413

        async def unsaid():
            for _ in range(100):
                yield b"a" * 4_096

        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert (await browser.post("/suppressions", content=unsaid(), headers=form)).status_code == 413
        many = "&".join(f"f{n}=1" for n in range(forms.FIELDS + 1))
        assert (await browser.post("/suppressions", content=many, headers=form)).status_code == 400
        assert (await browser.post("/suppressions", content="ü".encode("latin-1"), headers=form)).status_code == 400
        assert (
            await browser.post("/suppressions", content="{}", headers={"Content-Type": "application/json"})
        ).status_code == 415
        for kind in ("multipart/form-data", "multipart/form-data; boundary=x"):
            answer = await browser.post("/suppressions", content=b"--x\r\nnonsense", headers={"Content-Type": kind})
            assert answer.status_code in {400, 403}, kind
        for length in ("-1", "1e9", "99999999999999999999"):
            answer = await browser.post("/suppressions", content=b"", headers={**form, "Content-Length": length})
            assert answer.status_code in {400, 413}, length


@pytest.mark.attack(67)
async def test_a_body_that_comes_too_slowly_is_given_up(monkeypatch):
    import asyncio

    monkeypatch.setattr(forms, "PATIENCE", 0.05)
    request = asking(Content_Type="application/x-www-form-urlencoded")

    async def never():
        await asyncio.sleep(60)

    request._receive = never
    with pytest.raises(Refusal) as refused:
        await forms.read(request)
    assert refused.value.status == 408


@pytest.mark.attack(58)
async def test_a_store_that_cannot_be_read_is_no_fault_of_the_visitor_and_nothing_of_it_is_told(tmp_path):
    async with house(tmp_path) as home, home.visitor("read") as browser:
        with home.store.write() as db:
            db.exec_driver_sql("ALTER TABLE message RENAME TO gone")
        page = await browser.get("/messages")
        assert page.status_code == 503
        assert "no such table" not in page.text
        assert "no such table" in str(home.whole.told.of("fault"))


# --- assets -----------------------------------------------------------------------------------------------------------


async def test_the_style_sheet_is_kept_by_browsers_until_it_changes(tmp_path):
    async with house(tmp_path) as home, home.client() as browser:
        link = (await browser.get("/sign-in")).text.split('rel="stylesheet" href="')[1].partition('"')[0]
        style = await browser.get(link)
        assert style.headers["content-type"] == "text/css; charset=utf-8"
        assert "immutable" in style.headers["cache-control"]
        again = await browser.get(link, headers={"If-None-Match": style.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        for foreign in ("http:", "https:", "//", "@import", "url("):
            assert foreign not in style.text, foreign
        assert (await browser.get("/assets/../app.py")).status_code == 404
        assert (await browser.get("/assets/app.py")).status_code == 404
