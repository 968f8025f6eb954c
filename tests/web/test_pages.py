"""Every page is there for who may see it, says what is in the store, and nothing of another tenant."""

import json
import re

import pytest

from delivcheck.gate.settings import Limits
from delivcheck.trace import audit, suppressions
from delivcheck.trace.model import Kind, Reason
from delivcheck.trace.records import BUCKET, Result
from tests.gate import world
from tests.trace.told import NOON, event, message, refused
from tests.web.fill import LETTER, hold
from tests.web.house import house, token
from tests.web.sample import month

PAGES = {
    "/": "read",
    "/messages": "read",
    "/messages/export?format=csv": "read",
    "/statistics": "read",
    "/rules": "read",
    "/rules/dkim/no-signature": "read",
    "/suppressions": "read",
    "/held": "held",
    "/check": "check",
    "/audit": "admin",
}
POSTS = {"/held/act": "held", "/suppressions": "suppress", "/suppressions/remove": "suppress", "/check": "check"}


@pytest.mark.parametrize("full", [False, True], ids=["empty", "full"])
async def test_every_page_is_shown_without_mail_and_with_it(tmp_path, full):
    async with house(tmp_path) as home:
        if full:
            home.tell(month(messages=60))
        async with home.visitor("admin") as browser:
            for path in PAGES:
                page = await browser.get(path)
                assert page.status_code == 200, (path, page.text)
                assert page.headers["content-security-policy"].startswith("default-src 'none'; ")
                assert "script" not in page.headers["content-security-policy"]
                assert " style=" not in page.text
                assert "<script" not in page.text


async def test_a_page_wants_its_scope_and_no_other(tmp_path):
    async with house(tmp_path) as home:
        for scope in ("read", "held", "suppress", "check", "send"):
            async with home.visitor(scope) as browser:
                for path, wanted in PAGES.items():
                    page = await browser.get(path)
                    assert page.status_code == (200 if wanted == scope else 403), (scope, path)
                for path, wanted in POSTS.items():
                    if wanted != scope:
                        assert (await browser.post(path, data={"token": "x"})).status_code == 403, (scope, path)


async def test_nobody_sees_a_page_without_signing_in(tmp_path):
    async with house(tmp_path) as home, home.client() as browser:
        for path in PAGES:
            page = await browser.get(path)
            assert (page.status_code, page.headers["location"].partition("?")[0]) == (303, "/sign-in"), path
        for path in POSTS:
            assert (await browser.post(path, data={})).status_code == 403, path


async def test_another_tenants_key_sees_nothing(tmp_path):
    async with house(tmp_path) as home:
        one = message(1, NOON, ("secret@example.net",), subject="Top secret", body=LETTER, tags=("hidden",), template="covert")
        home.tell([one, event(one, Kind.ACCEPTED), event(one, Kind.SENT)])
        home.tell(refused(2, NOON, "house/secret-rule", subject="Secret, too"))
        trace = await hold(home, 1, sender="secret@example.org")
        with home.store.write() as db:
            number = home.store.tenant(db)
            suppressions.add(db, number, "secret@example.net", Reason.MANUAL)
            audit.note(db, number, "key:secret", "held.release", trace)
        paths = [*PAGES, f"/messages/{one.trace}", f"/messages/{one.trace}/html", "/rules/house/secret-rule", f"/held/{trace}",
                 f"/held/{trace}/html", f"/held/ask?action=release&trace={trace}", "/suppressions/remove?address=secret@example.net&stream=",
                 "/statistics?by=tag", "/statistics?by=template", "/messages/export?format=jsonl"]  # fmt: skip
        async with home.visitor("admin", tenant="other") as browser:
            for path in paths:
                page = await browser.get(path)
                for word in ("secret@", "Top secret", "Secret, too", "covert", "hidden<", "key:secret"):
                    assert word not in page.text, (path, word)
                assert page.status_code in {200, 404}, path
            fields = {
                "token": token(await browser.get("/suppressions")),
                "address": "secret@example.net",
                "stream": "",
                "note": "x",
            }
            assert (await browser.post("/suppressions/remove", data=fields)).status_code == 404
            answer = await browser.post("/held/act", data={"token": fields["token"], "action": "discard", "trace": trace})
            assert answer.status_code == 404
        assert home.desk.held.entry(trace).trace == trace
        async with home.visitor("admin") as browser:
            assert "Top secret" in (await browser.get("/messages")).text


# --- overview, lists --------------------------------------------------------------------------------------------------


async def test_the_tiles_count_what_happened_and_lead_to_it(tmp_path):
    async with house(tmp_path) as home:
        records = []
        for number in range(4):
            one = message(number, NOON - 60_000, (f"p{number}@gmail.com",))
            records += [one, event(one, Kind.ACCEPTED), event(one, Kind.SENT)]
        records += refused(9, NOON - 60_000)
        home.tell(records)
        async with home.visitor("read") as browser:
            page = await browser.get("/")
            tiles = dict(re.findall(r'<a href="[^"]*">([^<]+)</a></span>\s*<span class="value[^"]*">([0-9,]+)<', page.text))
            assert (tiles["Accepted"], tiles["Sent"], tiles["Refused by policy"]) == ("5", "4", "1")
            assert "dkim/missing" in page.text
            link = re.search(r'href="(/messages\?q=event%3Arefused[^"]*)"', page.text)[1].replace("&amp;", "&")
            assert (await browser.get(link)).text.count('<td class="main"><a href="/messages/') == 1


async def test_who_opened_without_a_name_is_somebody_and_no_message_of_the_list(tmp_path):
    bucket = message(7, to=(), framing=BUCKET, subject="", mail_from="")
    async with house(tmp_path) as home:
        home.tell([bucket, event(bucket, Kind.OPENED, None, 5_000, "1", source="collector")])
        async with home.visitor("read") as browser:
            assert "<span>somebody</span>" in (await browser.get(f"/messages/{bucket.trace}")).text
            assert bucket.trace not in (await browser.get("/messages")).text


async def test_the_list_is_searched_paged_and_written_out(tmp_path):
    async with house(tmp_path) as home:
        home.tell(
            [record for n in range(60) for one in [message(n, NOON - n * 1000)] for record in (one, event(one, Kind.ACCEPTED))]
        )
        async with home.visitor("read") as browser:
            first = await browser.get("/messages")
            assert first.text.count('<td class="main">') == 50
            older = re.search(r'href="(/messages\?after=[^"]+)"', first.text)[1]
            second = await browser.get(older)
            assert second.text.count('<td class="main">') == 10
            traces = re.findall(r'href="/messages/([0-9A-Z]{26})"', first.text + second.text)
            assert len(set(traces)) == 60
            found = await browser.get("/messages", params={"q": 'subject:"Receipt 7"'})
            assert found.text.count('<td class="main">') == 1
            lines = (
                await browser.get("/messages/export", params={"q": 'subject:"Receipt 7"', "format": "jsonl"})
            ).text.splitlines()
            assert [json.loads(line)["subject"] for line in lines] == ["Receipt 7"]
            wrong = await browser.get("/messages", params={"q": "colour:red"})
            assert wrong.status_code == 400
            assert "no key &#39;colour&#39;" in wrong.text
            assert (await browser.get("/messages/export?format=exe")).status_code == 404
            assert (await browser.get("/messages/export?format=csv&q=colour:red")).status_code == 400


async def test_a_message_is_told_recipient_by_recipient_with_findings_header_and_links(tmp_path):
    async with house(tmp_path) as home:
        results = (Result("dkim/no-signature", "fail", "error", ("the message has no DKIM-Signature field",)),)
        one = message(
            1,
            NOON,
            ("a@gmail.com", "b@example.net"),
            results=results,
            headers=b"Subject: hi\r\nX-Odd: yes\r\n",
            links=("https://shop.example/1",),
        )
        home.tell(
            [
                one,
                event(one, Kind.ACCEPTED),
                event(one, Kind.SENT, reply="250 ok"),
                event(one, Kind.BOUNCED, "b@example.net", 9, status="5.1.1", code="550", text="no such user"),
            ]
        )
        async with home.visitor("read") as browser:
            page = (await browser.get(f"/messages/{one.trace.lower()}")).text
            assert page.count('<div class="recipient">') == 2
            for said in (
                "reply: 550 5.1.1 no such user",
                'href="/rules/dkim/no-signature"',
                "<strong>X-Odd</strong>: yes",
                "https://shop.example/1",
            ):
                assert said in page, said
            assert "<iframe" not in page
            rule = (await browser.get("/rules/dkim/no-signature")).text
            assert "The message has no DKIM signature" in rule
            assert one.trace in rule
            assert (await browser.get(f"/messages/{one.trace}/html")).status_code == 404
            assert (await browser.get("/messages/01ARZ3NDEKTSV4RRFFQ69G5FAV")).status_code == 404
            assert (await browser.get("/rules/no/such")).status_code == 404


async def test_a_message_to_many_has_one_timeline(tmp_path):
    async with house(tmp_path) as home:
        one = message(1, NOON, tuple(f"p{n}@gmail.com" for n in range(30)))
        home.tell([one, event(one, Kind.ACCEPTED), event(one, Kind.SENT)])
        async with home.visitor("read") as browser:
            page = (await browser.get(f"/messages/{one.trace}")).text
            assert page.count('<span class="dot') == 2
            assert "and 27 more" in page


async def test_the_content_is_served_for_a_sandbox_only(tmp_path):
    async with house(tmp_path) as home:
        one = message(1, NOON, body=LETTER)
        home.tell([one])
        async with home.visitor("read") as browser:
            page = (await browser.get(f"/messages/{one.trace}")).text
            assert f'<iframe class="frame" src="/messages/{one.trace}/html" sandbox=""' in page
            frame = await browser.get(f"/messages/{one.trace}/html")
            policy = frame.headers["content-security-policy"]
            assert policy.startswith("sandbox; default-src 'none'; img-src data:;")
            assert "frame-ancestors 'self'" in policy
            assert frame.headers["x-frame-options"] == "SAMEORIGIN"
            assert "Thank you, Pat" in frame.text


async def test_statistics_break_down_and_never_say_a_rate_of_few(tmp_path):
    async with house(tmp_path) as home:
        home.tell(month(messages=20))
        async with home.visitor("read") as browser:
            page = (await browser.get("/statistics?by=stream&span=90d")).text
            assert "too few to say" in page
            assert "receipts" in page


# --- suppressions -----------------------------------------------------------------------------------------------------


async def test_an_address_is_added_found_and_removed_with_a_reason_and_all_of_it_is_in_the_audit_log(tmp_path):
    async with house(tmp_path) as home, home.visitor("admin", name="ada") as browser:
        form = {
            "token": token(await browser.get("/suppressions")),
            "address": "Bob@Example.NET",
            "stream": "news",
            "note": "asked",
        }
        answer = await browser.post("/suppressions", data=form)
        assert answer.headers["location"] == "/suppressions?said=added"
        assert (await browser.post("/suppressions", data=form)).headers["location"] == "/suppressions?said=known"
        assert "bob@example.net" in (await browser.get("/suppressions?q=BOB&reason=manual")).text
        assert "bob@example.net" not in (await browser.get("/suppressions?q=alice")).text
        asked = await browser.get("/suppressions/remove?address=bob@example.net&stream=news")
        assert "Remove bob@example.net?" in asked.text
        form |= {"address": "bob@example.net", "note": ""}
        assert (await browser.post("/suppressions/remove", data=form)).status_code == 400
        form["note"] = "they asked again"
        assert (await browser.post("/suppressions/remove", data=form)).headers["location"] == "/suppressions?said=removed"
        assert (await browser.post("/suppressions/remove", data=form)).status_code == 404
        log = (await browser.get("/audit?action=suppression")).text
        assert log.count("suppression.add</a>") == 2
        assert "they asked again" in log
        assert "key:ada" in log


async def test_what_is_no_address_is_told_and_changes_nothing(tmp_path):
    async with house(tmp_path) as home, home.visitor("admin") as browser:
        for address in ("", "nobody", "a@b c", "x" * 400 + "@example.net"):
            form = {"token": token(await browser.get("/suppressions")), "address": address}
            page = await browser.post("/suppressions", data=form)
            assert page.status_code == 400
            assert "is no address" in page.text
        with home.store.read() as db:
            assert suppressions.listed(db, home.store.tenant(db)) == []


async def test_who_may_only_read_has_no_form(tmp_path):
    async with house(tmp_path) as home, home.visitor("read") as browser:
        assert 'action="/suppressions" class="fields"' not in (await browser.get("/suppressions")).text


# --- held mail --------------------------------------------------------------------------------------------------------


async def test_held_mail_is_listed_shown_and_discarded_after_a_question(tmp_path):
    async with house(tmp_path) as home, home.visitor("held", "admin", name="ada") as browser:
        traces = [await hold(home, n) for n in range(3)]
        page = await browser.get("/held")
        assert page.text.count('type="checkbox"') == 3
        shown = await browser.get(f"/held/{traces[0]}")
        assert "a new template: somebody should look" in shown.text
        assert "Thank you, Pat" in (await browser.get(f"/held/{traces[0]}/html")).text
        asked = await browser.get("/held/ask", params={"action": "discard", "trace": traces[:2]})
        assert "Discard 2 messages?" in asked.text
        assert len(home.desk.held.entries()) == 3
        done = await browser.post(
            "/held/act", data={"token": token(asked), "action": "discard", "trace": traces[:2], "note": "spam"}
        )
        assert "2 of 2 messages discarded" in done.text
        assert [one.trace for one in home.desk.held.entries()] == traces[2:]
        assert sorted((one.kind, one.trace) for one in home.noted) == [(Kind.DISCARDED, trace) for trace in traces[:2]]
        assert "spam" in (await browser.get("/audit?action=held.discard")).text
        again = await browser.post("/held/act", data={"token": token(asked), "action": "discard", "trace": traces[:2]})
        assert again.status_code == 404


async def test_what_is_released_is_judged_again_and_reaches_the_next_hop(tmp_path):
    octets, records = world.signed()
    async with house(tmp_path, records=records) as home, home.visitor("held") as browser:
        good, bad = await hold(home, 1, octets, sender="bounces@example.org"), await hold(home, 2, LETTER)
        form = {
            "token": token(await browser.get(f"/held/ask?action=release&trace={good}")),
            "action": "release",
            "trace": [good, bad],
        }
        done = await browser.post("/held/act", data=form)
        assert "1 of 2 messages released" in done.text
        assert "released; the next hop has it" in done.text
        assert [one.trace for one in home.desk.held.entries()] == [bad]
        [one] = home.hop.messages
        assert one.octets.endswith(octets)


@pytest.mark.attack(67)
async def test_a_path_in_the_place_of_a_trace_opens_nothing(tmp_path):
    async with house(tmp_path) as home, home.visitor("held", "read") as browser:
        for trace in ("../../etc/passwd", "..%2f..%2fetc%2fpasswd", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "x", "%00"):
            for path in (
                f"/held/{trace}",
                f"/held/{trace}/html",
                f"/messages/{trace}",
                f"/held/ask?action=discard&trace={trace}",
            ):
                assert (await browser.get(path)).status_code == 404, path
            form = {"token": token(await browser.get("/messages")), "action": "discard", "trace": trace}
            assert (await browser.post("/held/act", data=form)).status_code == 404


async def test_what_was_not_asked_for_rightly_is_not_done(tmp_path):
    async with house(tmp_path) as home, home.visitor("held") as browser:
        trace = await hold(home, 1)
        assert (await browser.get(f"/held/ask?action=burn&trace={trace}")).status_code == 400
        assert (await browser.get("/held/ask?action=discard")).status_code == 400
        form = {"token": token(await browser.get("/held")), "action": "burn", "trace": trace}
        assert (await browser.post("/held/act", data=form)).status_code == 400
        assert (
            await browser.post("/held/act", data=form | {"action": "discard", "trace": [f"{n}" for n in range(101)]})
        ).status_code == 400
        assert len(home.desk.held.entries()) == 1


async def test_an_entry_that_cannot_be_read_is_listed_and_can_be_discarded(tmp_path):
    async with house(tmp_path) as home, home.visitor("held") as browser:
        trace = await hold(home, 1)
        (home.desk.held.folder / f"{trace}.json").write_bytes(b"{")
        assert "cannot be read" in (await browser.get("/held")).text
        form = {"token": token(await browser.get("/held")), "action": "discard", "trace": trace}
        assert "1 of 1 message discarded" in (await browser.post("/held/act", data=form)).text


async def test_without_holding_the_page_says_so(tmp_path):
    async with house(tmp_path, hold=False) as home, home.visitor("held") as browser:
        assert "has no [gate.hold]" in (await browser.get("/held")).text


# --- checking ---------------------------------------------------------------------------------------------------------


async def test_a_pasted_and_an_uploaded_message_are_judged_and_nothing_is_sent(tmp_path):
    octets, records = world.signed()
    async with house(tmp_path, records=records) as home, home.visitor("check") as browser:
        fields = {"token": token(await browser.get("/check")), "sender": "bounces@example.org"}
        good = await browser.post("/check", data=fields, files={"file": ("order.eml", octets)})
        assert "It passes" in good.text, re.sub(r"<[^>]+>", " ", good.text)
        assert "bounces@example.org to pat@example.net" in good.text
        bad = await browser.post("/check", data=fields | {"text": world.message().decode()}, files={"file": ("", b"")})
        assert "It would not pass" in bad.text
        assert 'href="/rules/dkim/no-signature"' in bad.text
        unix = await browser.post("/check", data=fields, files={"file": ("order.eml", octets.replace(b"\r\n", b"\n"))})
        assert "It passes" in unix.text
        assert home.hop.messages == []
        assert home.noted == []


@pytest.mark.attack(67)
async def test_a_message_may_be_as_large_as_the_gate_takes_and_no_larger(tmp_path):
    async with house(tmp_path, limits=Limits(message_size=200_000)) as home, home.visitor("check") as browser:
        fields = {"token": token(await browser.get("/check"))}
        for size, status in ((150_000, 200), (200_001, 413), (400_000, 413)):
            octets = world.message().ljust(size, b"x")
            page = await browser.post("/check", data=fields, files={"file": ("large.eml", octets)})
            assert page.status_code == status, size


async def test_no_message_is_told_and_what_was_typed_is_kept(tmp_path):
    async with house(tmp_path) as home, home.visitor("check") as browser:
        fields = {"token": token(await browser.get("/check")), "sender": "me@example.org", "text": " \r\n"}
        page = await browser.post("/check", data=fields, files={"file": ("x", b"")})
        assert page.status_code == 400
        assert "There was no message in it" in page.text
        assert 'value="me@example.org"' in page.text


async def test_whatever_is_dropped_in_there_is_a_page(tmp_path):
    bad = (
        b"\x00\xff",
        b"no header at all",
        b"From: <\r\n\r\n",
        b"From: a@b\r\nFrom: c@d\r\n\r\n" + b"x" * 2_000,
        b":\r\n" * 50,
    )
    async with house(tmp_path) as home, home.visitor("check") as browser:
        fields = {"token": token(await browser.get("/check"))}
        for octets in bad:
            page = await browser.post("/check", data=fields, files={"file": ("x.eml", octets)})
            assert page.status_code == 200, octets
            assert "not judged" in page.text or "pass" in page.text
