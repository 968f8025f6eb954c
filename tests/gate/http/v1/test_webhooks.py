"""`/v1/webhooks`: registered, told, tested and replayed by its tenant's admin keys, and by nobody else."""

import asyncio
import json
import time

import pytest

from delivcheck import ulid
from delivcheck.gate import webhooks
from delivcheck.gate.settings import Secret, Webhooks
from delivcheck.trace import audit, schema
from delivcheck.trace.keys import Scope
from delivcheck.trace.model import Kind
from delivcheck.trace.webhooks import deliveries, register, signing
from tests.gate.http.v1.service import service
from tests.trace.webhooks.hearing import LOOPBACK, happened, hearing, until


def test_a_webhook_is_registered_tested_and_told_of_what_happens(tmp_path):
    async def go():
        async with service(tmp_path, webhooks=Webhooks(networks=LOOPBACK)) as web, hearing() as heard:
            made = await web.post("/v1/webhooks", {"url": heard.url, "kinds": ["sent"], "note": "orders"})
            assert made.status_code == 201, made.text
            hook = made.json()
            secret = hook.pop("secret")
            assert (await web.get("/v1/webhooks")).json() == {"webhooks": [hook]}
            assert (await web.get(f"/v1/webhooks/{hook['id']}")).json() == hook
            assert (await web.post(f"/v1/webhooks/{hook['id']}/test")).json() == {"ok": True, "status": 204, "error": ""}
            work = asyncio.create_task(webhooks.run(web.desk))
            sent = await web.post("/v1/messages", web.mail())
            assert sent.status_code == 200, sent.text
            await web.settle()
            await until(lambda: len(heard.requests) == 2)
            _, fields, body = heard.requests[1]
            signing.verify(secret, fields, body, time.time())
            assert json.loads(body)["data"]["rcpt"] == "pat@example.net"
            await asyncio.sleep(0.1)
            work.cancel()
            told = (await web.get(f"/v1/webhooks/{hook['id']}/deliveries?state=done")).json()
            assert [one["event"] for one in told["deliveries"]] == ["sent"]
            rotated = (await web.post(f"/v1/webhooks/{hook['id']}/secret")).json()["secret"]
            assert rotated != secret
            assert (await web.ask("DELETE", f"/v1/webhooks/{hook['id']}")).status_code == 204
            assert (await web.get("/v1/webhooks")).json() == {"webhooks": []}
            with web.desk.store.read() as db:
                notes = audit.read(db, 1, action="webhook")
            assert [one.action for one in notes] == ["webhook.remove", "webhook.rotate", "webhook.add"]
            assert {one.who for one in notes} == {"key:all"}

    asyncio.run(go())


@pytest.mark.attack(65)
@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/",
        "https://127.0.0.1/",
        "https://[::ffff:10.0.0.1]/",
        "http://app.example.com/",
        "gopher://x/",
        "",
    ],
)
def test_a_url_that_leads_inside_is_refused_as_a_problem(tmp_path, url):
    async def go():
        async with service(tmp_path) as web:
            answer = await web.post("/v1/webhooks", {"url": url})
            assert answer.status_code == 422
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["errors"][0]["at"] == "body url"

    asyncio.run(go())


def test_another_tenants_key_and_one_without_the_scope_see_nothing(tmp_path):
    async def go():
        async with service(tmp_path) as web:
            other = web.key("other", [Scope.ADMIN], tenant="other")
            small = web.key("small", [Scope.SEND, Scope.READ, Scope.HELD])
            hook = (await web.post("/v1/webhooks", {"url": "https://app.example.com/"})).json()["id"]
            paths = [
                ("GET", f"/v1/webhooks/{hook}", None),
                ("GET", f"/v1/webhooks/{hook}/deliveries", None),
                ("PATCH", f"/v1/webhooks/{hook}", {"enabled": False}),
                ("POST", f"/v1/webhooks/{hook}/secret", None),
                ("POST", f"/v1/webhooks/{hook}/test", None),
                ("POST", f"/v1/webhooks/{hook}/replay", {}),
                ("DELETE", f"/v1/webhooks/{hook}", None),
            ]
            for method, path, body in paths:
                assert (await web.ask(method, path, body, other)).status_code == 404, path
                assert (await web.ask(method, path, body, small)).status_code == 403, path
                assert (await web.ask(method, path, body, "")).status_code == 401, path
            assert (await web.get("/v1/webhooks", other)).json() == {"webhooks": []}
            assert (await web.get(f"/v1/webhooks/{hook}")).json()["enabled"]

    asyncio.run(go())


def test_dead_deliveries_are_listed_and_replayed(tmp_path):
    async def go():
        async with service(tmp_path) as web:
            hook = (await web.post("/v1/webhooks", {"url": "https://app.example.com/"})).json()["id"]
            happened(web.desk.store, Kind.BOUNCED)
            with web.desk.store.write() as db:
                deliveries.spread(db, 0)
                db.execute(schema.delivery.update().values(state="dead", attempts=10, status=500, error="it answered 500"))
            (dead,) = (await web.get(f"/v1/webhooks/{hook}/deliveries?state=dead")).json()["deliveries"]
            assert (dead["event"], dead["attempts"], dead["status"]) == ("bounced", 10, 500)
            assert (await web.get(f"/v1/webhooks/{hook}")).json()["dead"] == 1
            assert (await web.post(f"/v1/webhooks/{hook}/replay", {"deliveries": [dead["id"] + 1]})).json() == {"replayed": 0}
            assert (await web.post(f"/v1/webhooks/{hook}/replay", {})).json() == {"replayed": 1}
            shown = (await web.ask("PATCH", f"/v1/webhooks/{hook}", {"enabled": False})).json()
            assert not shown["enabled"]

    asyncio.run(go())


def test_a_key_that_is_missing_is_our_fault_and_says_nothing(tmp_path):
    async def go():
        settings = Webhooks(key=Secret(file=tmp_path / "missing"))
        async with service(tmp_path, webhooks=settings) as web:
            answer = await web.post("/v1/webhooks", {"url": "https://app.example.com/"})
            assert answer.status_code == 503
            assert "missing" not in answer.text
            with web.desk.store.read() as db:
                assert register.every(db, 1) == []

    asyncio.run(go())


def test_a_request_is_told_with_its_route_and_never_its_path(tmp_path):
    async def go():
        async with service(tmp_path) as web:
            for path in (f"/v1/webhooks/{ulid.new()}", "/nothing/secret-token"):
                await web.get(path)
            told = [fields for event, fields in web.told if event == "http"]
            assert [(one["route"], one["status"]) for one in told] == [("/v1/webhooks/{id}", 404), ("other", 404)]

    asyncio.run(go())
