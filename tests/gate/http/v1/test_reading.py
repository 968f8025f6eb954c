"""What is shown: a page after a page, each event once, and nothing of another tenant."""

import asyncio
import json

import pytest

from delivcheck.gate.http.v1 import reading
from delivcheck.trace.keys import Scope
from delivcheck.trace.model import Kind
from delivcheck.trace.records import Event, event_id
from tests.gate.http.v1.service import service
from tests.gate.http.v1.test_sending import _holding

SHOWS = ("/v1/messages", "/v1/events", "/v1/stats", "/v1/suppressions", "/v1/held")


async def sent(web, count=1, **more):
    """So many messages; their ids."""
    made = []
    for number in range(count):
        answer = await web.post("/v1/messages", web.mail(subject=f"Order {number}", **more))
        made.append(answer.json()["id"])
    await web.settle()
    return made


async def test_pages_follow_one_another_without_gap_or_repeat(tmp_path):
    async with service(tmp_path) as web:
        made = await sent(web, 5)
        found, after = [], ""
        while after is not None:
            page = (await web.get(f"/v1/messages?limit=2{f'&after={after}' if after else ''}")).json()
            found += [one["id"] for one in page["messages"]]
            after = page["next"]
        assert found == made[::-1]


async def test_messages_are_found_by_what_is_said_of_them(tmp_path):
    async with service(tmp_path) as web:
        first, second = await sent(web, 2)
        for query, ids in (
            ("to:pat@example.net", [second, first]),
            ("subject:%22Order%201%22", [second]),
            ("status:sent%20stream:receipts", [second, first]),
            ("status:bounced", []),
            (first, [first]),
        ):
            found = (await web.get(f"/v1/messages?q={query}")).json()["messages"]
            assert [one["id"] for one in found] == ids, query
        answer = await web.get("/v1/messages?q=colour:red")
        assert (answer.status_code, answer.json()["errors"][0]["at"]) == (422, "query q")


@pytest.mark.attack(67)
async def test_what_is_no_id_is_nothing(tmp_path):
    mint = "01KAT3Q5W1J9Z3M4X7V2N8B6C0"
    async with service(tmp_path, hold=True) as web:
        for name in (
            "../../etc/passwd",
            "..%2f..%2fetc%2fpasswd",
            "%00",
            "x",
            f"{mint}%2e%2e",
            "Z" * 26,
            mint.lower(),
            f"{mint}%00",
        ):
            for path in (f"/v1/messages/{name}", f"/v1/held/{name}", f"/v1/held/{name}/message"):
                assert (await web.get(path)).status_code in {404, 422}
            for method, path in (("POST", f"/v1/held/{name}/release"), ("DELETE", f"/v1/held/{name}")):
                assert (await web.ask(method, path)).status_code in {404, 405, 422}


async def test_events_come_once_each_as_json_and_as_lines(tmp_path):
    async with service(tmp_path) as web:
        made = await sent(web, 2)
        found, after = [], 0
        while True:
            page = (await web.get(f"/v1/events?after={after}&limit=3")).json()
            if not page["events"]:
                break
            found += page["events"]
            after = page["next"]
        assert len(found) == len({one["event_id"] for one in found}) == 8
        assert {one["message_id"] for one in found} == set(made)
        lines = await web.get("/v1/events?kind=sent", Accept="application/x-ndjson")
        assert lines.headers["content-type"] == "application/x-ndjson"
        assert [json.loads(line)["event"] for line in lines.text.splitlines()] == ["sent", "sent"]
        assert lines.headers["delivcheck-next"] == str(after), "what was left out is not looked at again"
        assert (await web.get("/v1/events", Accept="image/png")).status_code == 406


@pytest.mark.parametrize("patience", [-1.0, 2.0])
async def test_a_rare_kind_is_looked_for_bit_by_bit_and_none_is_missed(tmp_path, monkeypatch, patience):
    monkeypatch.setattr(reading, "LOOKED_AT", 2)
    monkeypatch.setattr(reading, "PATIENCE", patience)
    async with service(tmp_path) as web:
        made = await sent(web, 3)
        end = (await web.get("/v1/events")).json()["next"]
        found, after, asked = [], 0, 0
        while after < end:
            page = (await web.get(f"/v1/events?kind=sent&after={after}")).json()
            found, after, asked = [*found, *page["events"]], page["next"], asked + 1
        assert [one["message_id"] for one in found] == made
        nothing = (await web.get("/v1/events?kind=complained")).json()
        assert (nothing["events"], nothing["next"] == end) == ([], patience > 0)
        assert asked <= 7


async def test_who_waits_hears_of_an_event_when_it_comes(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "POLL", 0.02)
    async with service(tmp_path) as web:
        (made,) = await sent(web)
        after = (await web.get("/v1/events")).json()["next"]
        asked = asyncio.ensure_future(web.get(f"/v1/events?after={after}&wait=10"))
        await asyncio.sleep(0.1)
        assert not asked.done()
        await web.desk.note(
            [Event(id=event_id(made, Kind.DELIVERED, None, "x"), trace=made, kind=Kind.DELIVERED, at=1_795_000_000_000)]
        )
        await web.settle()
        assert [one["event"] for one in (await asked).json()["events"]] == ["delivered"]
        nothing = (await web.get(f"/v1/events?after={after + 1}&wait=0.05")).json()
        assert nothing["events"] == []


async def test_nobody_waits_longer_than_a_proxy_would(tmp_path):
    async with service(tmp_path) as web:
        for wait in ("31", "-1", "nan", "inf", "1e300", "x"):
            assert (await web.get(f"/v1/events?wait={wait}")).status_code == 422


async def test_figures_add_up_and_say_how_sure_they_are(tmp_path):
    async with service(tmp_path) as web:
        await sent(web, 3)
        (total,) = (await web.get("/v1/stats")).json()["groups"]
        assert total["counts"]["sent"] == {"events": 3, "recipients": 3}
        assert total["rates"]["refused"]["n"] == 3
        assert not total["rates"]["refused"]["enough"]
        (stream,) = (await web.get("/v1/stats?by=stream&since=2d")).json()["groups"]
        assert (stream["value"], stream["counts"]["sent"]["recipients"]) == ("receipts", 3)
        days = (await web.get("/v1/stats?by=day&since=3d")).json()["groups"]
        assert sum(one["counts"].get("sent", {"recipients": 0})["recipients"] for one in days) == 3
        for bad in (
            "since=x",
            "since=1d&until=2d",
            "by=moon",
            "since=1900-01-01&by=hour",
            "since=0001-01-01",
            "until=9999-12-31T23:59:59Z&by=hour",
        ):
            assert (await web.get(f"/v1/stats?{bad}")).status_code == 422, bad


# --- another tenant ----------------------------------------------------------------------------------------------------


async def test_another_tenants_key_sees_nothing(tmp_path, monkeypatch):
    async with service(tmp_path, hold=True, signs=False) as web:
        _holding(web, monkeypatch)
        theirs = web.key("theirs", tenant="acme")
        held = (await web.post("/v1/messages", web.mail())).json()["id"]
        await web.post("/v1/suppressions", {"addresses": ["pat@example.net"]})
        await web.settle()
        before = [(await web.get(path)).text for path in SHOWS]
        empty = [(await web.get(path, theirs)).json() for path in SHOWS]
        assert [
            one.get("messages", one.get("events", one.get("suppressions", one.get("held"))))
            for one in empty
            if "groups" not in one
        ] == [[]] * 4
        assert empty[2]["groups"][0]["counts"] == {}
        for method, path in (
            ("GET", f"/v1/messages/{held}"),
            ("GET", f"/v1/held/{held}"),
            ("GET", f"/v1/held/{held}/message"),
            ("POST", f"/v1/held/{held}/release"),
            ("DELETE", f"/v1/held/{held}"),
            ("DELETE", "/v1/suppressions?address=pat@example.net"),
        ):
            answer = await web.ask(method, path, None, theirs)
            assert (answer.status_code, answer.json()["status"]) == (404, 404), path
        assert [(await web.get(path)).text for path in SHOWS[3:]] == before[3:]
        assert len(web.desk.held.entries()) == 1


# --- suppressions ------------------------------------------------------------------------------------------------------


async def test_an_address_is_put_on_the_list_and_taken_off_and_who_did_it_is_known(tmp_path):
    from delivcheck.trace import audit

    async with service(tmp_path) as web:
        token = web.key("office", (Scope.SUPPRESS,))
        asked = {
            "addresses": ["Pat@Example.net", "eve@example.net"],
            "stream": "receipts",
            "note": "asked by telephone",
            "days": 30,
        }
        await asyncio.sleep(0.3)
        answer = await web.post("/v1/suppressions", asked, token)
        assert answer.status_code == 200, answer.text
        assert [(one["address"], one["reason"], one["stream"]) for one in answer.json()["suppressions"]] == [
            ("pat@example.net", "manual", "receipts"),
            ("eve@example.net", "manual", "receipts"),
        ]
        page = (await web.get("/v1/suppressions?limit=1")).json()
        assert (len(page["suppressions"]), (await web.get(f"/v1/suppressions?after={page['next']}")).json()["next"]) == (
            1,
            None,
        )
        assert (
            await web.ask("DELETE", "/v1/suppressions?address=PAT@example.net&stream=receipts", None, token)
        ).status_code == 204
        assert (await web.ask("DELETE", "/v1/suppressions?address=pat@example.net", None, token)).status_code == 404
        with web.desk.store.read() as db:
            assert [(one.who, one.action) for one in audit.read(db, 1, action="suppression")] == [
                ("key:office", "suppression.remove"),
                ("key:office", "suppression.add"),
                ("key:office", "suppression.add"),
            ]


async def test_what_is_no_suppression_changes_nothing(tmp_path):
    one = {"addresses": ["a@b"]}
    bad = (
        {},
        {"addresses": []},
        {"addresses": ["x"]},
        {"addresses": ["a@b", "a\0@b"]},
        {**one, "days": 0},
        {**one, "reason": "mood"},
    )
    async with service(tmp_path) as web:
        for asked in bad:
            assert (await web.post("/v1/suppressions", asked)).status_code == 422
        assert (await web.post("/v1/suppressions", "{", Content_Type="text/plain")).status_code == 415
        assert (await web.get("/v1/suppressions")).json()["suppressions"] == []


# --- held mail ---------------------------------------------------------------------------------------------------------


async def test_held_mail_is_shown_released_and_discarded(tmp_path, monkeypatch):
    from delivcheck.trace import audit

    async with service(tmp_path, hold=True, signs=False) as web:
        with monkeypatch.context() as holding:
            _holding(web, holding)
            made = [(await web.post("/v1/messages", web.mail(subject=f"Order {number} ✓"))).json()["id"] for number in range(3)]
            page = (await web.get("/v1/held?limit=2")).json()
            assert ([one["id"] for one in page["held"]], page["next"]) == (made[:2], made[1])
            one = (await web.get(f"/v1/held/{made[0]}")).json()
            assert (one["subject"], one["client"], one["recipients"]) == ("Order 0 ✓", "key:all", ["pat@example.net"])
            assert "dkim/no-signature" in one["rules"]
            message = await web.get(f"/v1/held/{made[0]}/message")
            assert message.headers["content-disposition"] == f'attachment; filename="{made[0]}.eml"'
            assert b"From: Shop <orders@example.org>" in message.content
            again = await web.post(f"/v1/held/{made[0]}/release")
            assert (again.status_code, again.json()["status"]) == (200, "held"), "it was judged again, and does not pass"
        assert (await web.ask("DELETE", f"/v1/held/{made[1]}")).status_code == 204
        assert (await web.ask("DELETE", f"/v1/held/{made[1]}")).status_code == 404
        await web.settle()
        shown = (await web.get(f"/v1/messages/{made[1]}")).json()
        assert shown["recipients"][0]["state"] == "discarded"
        with web.desk.store.read() as db:
            assert [(one.who, one.action, one.object) for one in audit.read(db, 1, action="held")] == [
                ("key:all", "held.discard", made[1]),
                ("key:all", "held.release", made[0]),
            ]


async def test_a_release_sends_what_passes_by_now(tmp_path, monkeypatch):
    async with service(tmp_path, hold=True) as web:
        from dataclasses import replace

        from delivcheck.gate.model import Action, Decision
        from delivcheck.gate.reply import Reply

        real = web.reception.pipeline.process

        async def hold(incoming):
            outcome = await real(incoming)
            return replace(outcome, decision=Decision(Action.HOLD, Reply(250, "2.0.0", "held"), (), "a rule"))

        with monkeypatch.context() as holding:
            holding.setattr(web.reception.pipeline, "process", hold)
            made = (await web.post("/v1/messages", web.mail())).json()["id"]
        answer = await web.post(f"/v1/held/{made}/release")
        assert (answer.status_code, answer.json()["status"], answer.json()["reply"]["code"]) == (200, "sent", 250)
        assert len(web.hop.messages) == 1
        assert (await web.post(f"/v1/held/{made}/release")).status_code == 404


async def test_where_holding_is_off_there_is_nothing(tmp_path):
    async with service(tmp_path) as web:
        answer = await web.get("/v1/held")
        assert (answer.status_code, answer.json()["detail"]) == (404, "holding is off")
