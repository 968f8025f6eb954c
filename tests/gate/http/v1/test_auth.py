"""Who may ask: one answer for every key that is not good, nothing of another tenant, and no more often than a key may."""

import asyncio

import pytest

from delivcheck.gate.http.v1 import auth
from delivcheck.gate.http.v1.auth import Rates, client_ip
from delivcheck.trace import keys
from delivcheck.trace.keys import Scope
from delivcheck.trace.store import Store, StoreError
from tests.gate.http.v1.service import service

PATHS = (
    ("GET", "/v1/messages"),
    ("GET", "/v1/messages/01KAT3Q5W1J9Z3M4X7V2N8B6C0"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/check"),
    ("GET", "/v1/events"),
    ("GET", "/v1/stats"),
    ("GET", "/v1/suppressions"),
    ("POST", "/v1/suppressions"),
    ("DELETE", "/v1/suppressions"),
    ("GET", "/v1/held"),
    ("GET", "/v1/held/01KAT3Q5W1J9Z3M4X7V2N8B6C0"),
    ("GET", "/v1/held/01KAT3Q5W1J9Z3M4X7V2N8B6C0/message"),
    ("POST", "/v1/held/01KAT3Q5W1J9Z3M4X7V2N8B6C0/release"),
    ("DELETE", "/v1/held/01KAT3Q5W1J9Z3M4X7V2N8B6C0"),
    ("GET", "/v1/webhooks"),
)


@pytest.mark.attack(27, 67)
async def test_every_key_that_is_not_good_gets_the_same_answer(tmp_path):
    async with service(tmp_path) as web:
        good = web.key("good")
        made, secret = keys.parts(good)
        tokens = [f"dc_{'a' * 12}_{secret}", f"dc_{made}_{'a' * 52}", good + "a", good.upper(), "x", "\x7f" * 10_000, "dc__"]
        for method, path in PATHS:
            answers = [await web.ask(method, path, None, token) for token in tokens]
            assert {one.status_code for one in answers} == {401}
            assert len({one.text for one in answers}) == 1
            assert {one.headers["www-authenticate"] for one in answers} == {'Bearer realm="delivcheck", error="invalid_token"'}
            nobody = await web.ask(method, path, None, "")
            assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, 'Bearer realm="delivcheck"')


@pytest.mark.attack(67)
async def test_an_unknown_and_a_wrong_key_are_the_same_work(tmp_path, monkeypatch):
    async with service(tmp_path) as web:
        made, secret = keys.parts(web.token)
        did = []
        monkeypatch.setattr(keys.hmac, "compare_digest", lambda a, b: did.append((len(a), len(b))) or a == b)
        await web.get("/v1/messages", f"dc_{'a' * 12}_{secret}")
        await web.get("/v1/messages", f"dc_{made}_{'a' * 52}")
        assert did == [(64, 64)] * 4


async def test_a_scope_opens_its_own_doors_only(tmp_path):
    opens = {
        Scope.SEND: {"/v1/messages POST"},
        Scope.CHECK: {"/v1/check POST"},
        Scope.READ: {"/v1/messages GET", "/v1/messages/X GET", "/v1/events GET", "/v1/stats GET"},
        Scope.SUPPRESS: {f"/v1/suppressions {method}" for method in ("GET", "POST", "DELETE")},
        Scope.HELD: {
            "/v1/held GET",
            "/v1/held/X GET",
            "/v1/held/X/message GET",
            "/v1/held/X/release POST",
            "/v1/held/X DELETE",
        },
    }
    async with service(tmp_path) as web:
        tokens = {scope: web.key(scope.value, (scope,)) for scope in opens}
        for scope, doors in opens.items():
            token = tokens[scope]
            found = set()
            for method, path in PATHS:
                answer = await web.ask(method, path, None, token)
                if answer.status_code != 403:
                    found.add(f"{path.replace('01KAT3Q5W1J9Z3M4X7V2N8B6C0', 'X')} {method}")
            assert found == doors


async def test_a_revoked_key_is_out_in_seconds_and_an_expired_one_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(auth, "FRESH", 0.05)
    async with service(tmp_path) as web:
        token = web.key("short", expires=keys.now() + 60_000)
        await asyncio.sleep(0.1)
        assert (await web.get("/v1/messages", token)).status_code == 200
        with monkeypatch.context() as later:
            later.setattr(keys, "now", lambda: 4_000_000_000_000)
            assert (await web.get("/v1/messages", token)).status_code == 401
        with web.desk.store.write() as db:
            keys.revoke(db, 1, "short")
        await asyncio.sleep(0.1)
        assert (await web.get("/v1/messages", token)).status_code == 401


@pytest.mark.attack(58)
async def test_a_store_that_fails_for_a_moment_turns_nobody_away_and_then_says_later(tmp_path, monkeypatch):
    async with service(tmp_path) as web:
        assert (await web.post("/v1/check", web.mail())).status_code == 200

        def fails(_):
            raise StoreError("database is locked")

        monkeypatch.setattr(Store, "read", fails)
        monkeypatch.setattr(auth, "FRESH", 0.0)
        assert (await web.post("/v1/check", web.mail())).status_code == 200
        monkeypatch.setattr(auth, "STALE", 0.0)
        answer = await web.post("/v1/check", web.mail())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "locked" not in answer.text


async def test_use_is_noted_now_and_then(tmp_path, monkeypatch):
    monkeypatch.setattr(auth, "NOTED", 0.0)
    async with service(tmp_path) as web:
        used = None
        for _ in range(200):  # it is noted behind the answer's back, with the next transaction
            await web.get("/v1/messages")
            await asyncio.sleep(0.05)
            with web.desk.store.read() as db:
                used = keys.listing(db, 1)[0].used
            if used is not None:
                break
        assert used is not None


@pytest.mark.attack(67)
async def test_who_asks_too_often_is_told_when_to_come_again(tmp_path):
    async with service(tmp_path, rates=Rates(rate=0.001, burst=3)) as web:
        answers = [await web.get("/v1/messages") for _ in range(5)]
        assert [one.status_code for one in answers] == [200, 200, 200, 429, 429]
        assert int(answers[-1].headers["retry-after"]) > 0
        await asyncio.sleep(0.3)
        assert (await web.get("/v1/messages", web.key("another"))).status_code == 200, "its own bucket"


class Asked:
    """A request, as far as `client_ip` looks at it."""

    def __init__(self, host, *chain):
        from starlette.datastructures import Address, Headers

        self.client = None if host is None else Address(host, 1)
        self.headers = Headers(raw=[(b"x-forwarded-for", one.encode()) for one in chain])


@pytest.mark.parametrize(
    ("asked", "ip"),
    [
        (Asked("192.0.2.1"), "192.0.2.1"),
        (Asked("192.0.2.1", "203.0.113.5"), "192.0.2.1"),
        (Asked("10.0.0.1", "203.0.113.5"), "203.0.113.5"),
        (Asked("10.0.0.1", "1.1.1.1, 203.0.113.5, 10.0.0.2"), "203.0.113.5"),
        (Asked("10.0.0.1", "1.1.1.1", "203.0.113.5"), "203.0.113.5"),
        (Asked("10.0.0.1", "evil\r\n"), None),
        (Asked("10.0.0.1"), "10.0.0.1"),
        (Asked(None), None),
        (Asked("unix:/run/x"), None),
        (Asked("2001:db8::1"), "2001:db8::1"),
    ],
    ids=map(str, range(10)),
)
@pytest.mark.attack(29)
def test_only_a_trusted_proxy_says_who_the_client_is(asked, ip):
    from ipaddress import ip_network

    assert client_ip(asked, [ip_network("10.0.0.0/8")]) == ip
