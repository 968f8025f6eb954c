"""Two tenants in one gate: nobody sees, or acts upon, what is the other's."""

from tests.gate.trail.place import WHOLE, mail, place
from tests.mta import wait_until
from tests.soak.gates import POLICY, all_off, listen

MORE = """
[gate.trace]
tenants = { red = ["red"], blue = ["blue"] }
[gate.hold]
[gate.webhooks]
networks = ["127.0.0.0/8"]
[gate.credentials.red]
domains = ["red.example.org"]
[gate.credentials.blue]
domains = ["blue.example.org"]
"""
SCOPES = ("send", "read", "suppress", "held", "admin")


def of(tenant, subject="hello", **fields):
    return mail(subject, **fields).replace(b"a@example.org", f"a@{tenant}.example.org".encode())


def test_a_key_sees_and_changes_only_what_is_its_tenant_s(tmp_path):
    (tmp_path / "hold.toml").write_text('on-fail = "hold"\n' + POLICY.format(rules=all_off()))
    doors = [listen("red", received=False, credential="red"), listen("blue", received=False, credential="blue")]
    with place(tmp_path, MORE, listeners=doors, policy="hold.toml") as made:
        keys = {one: made.key("shop", *SCOPES, tenant=one, domains=[f"{one}.example.org"]) for one in ("red", "blue")}

        def send(tenant, **fields):
            return made.refused(of(tenant, **fields), "pat@example.net", sender=f"a@{tenant}.example.org", listener=tenant)

        def ask(tenant, method, path, body=None):
            return made.ask(method, path, body, key=keys[tenant])

        for tenant in keys:
            assert send(tenant) == ""
            assert send(tenant, X_Refuse="yes") == ""
            order = {"from": f"a@{tenant}.example.org", "to": "eve@example.net", "subject": "s", "text": "t"}
            assert ask(tenant, "POST", "/v1/messages", order).status == 200
        foreign = ask("red", "POST", "/v1/messages", {"from": "a@blue.example.org", "to": "x@example.net", "text": "t"})
        assert foreign.status == 422
        made.wait_kinds([*WHOLE, "accepted", "checked", "held"] * 2, recipient="pat@example.net")
        made.wait_kinds(WHOLE * 2, recipient="eve@example.net")

        seen, held, hooks = {}, {}, {}
        for tenant in keys:
            seen[tenant] = {one["id"]: one["mail_from"] for one in ask(tenant, "GET", "/v1/messages").json["messages"]}
            assert set(seen[tenant].values()) == {f"a@{tenant}.example.org"}
            assert len(seen[tenant]) == 3
            told = ask(tenant, "GET", "/v1/events?limit=1000").json["events"]
            assert {one["message_id"] for one in told} <= set(seen[tenant])
            (all_of_it,) = ask(tenant, "GET", "/v1/stats").json["groups"]
            assert (all_of_it["counts"]["sent"]["events"], all_of_it["counts"]["held"]["events"]) == (2, 1)
            (held[tenant],) = [one["id"] for one in ask(tenant, "GET", "/v1/held").json["held"]]
            hook = ask(tenant, "POST", "/v1/webhooks", {"url": f"http://127.0.0.1:9/{tenant}", "kinds": ["complained"]})
            hooks[tenant] = hook.json["id"]
        assert not seen["red"].keys() & seen["blue"].keys()

        theirs = next(iter(seen["blue"]))
        for method, path in [
            ("GET", f"/v1/messages/{theirs}"),
            ("GET", f"/v1/held/{held['blue']}"),
            ("GET", f"/v1/held/{held['blue']}/message"),
            ("POST", f"/v1/held/{held['blue']}/release"),
            ("DELETE", f"/v1/held/{held['blue']}"),
            ("GET", f"/v1/webhooks/{hooks['blue']}"),
            ("DELETE", f"/v1/webhooks/{hooks['blue']}"),
            ("GET", f"/v1/webhooks/{hooks['blue']}/deliveries"),
        ]:
            assert ask("red", method, path).status == 404, path
            assert method != "GET" or ask("blue", method, path).status == 200, path
        assert [one["id"] for one in ask("red", "GET", "/v1/webhooks").json["webhooks"]] == [hooks["red"]]

        assert ask("red", "POST", "/v1/suppressions", {"addresses": ["pat@example.net"]}).status == 200
        assert ask("blue", "GET", "/v1/suppressions").json["suppressions"] == []
        assert ask("blue", "DELETE", "/v1/suppressions?address=pat@example.net").status == 404
        wait_until(lambda: send("red").startswith("550 5.7.1 suppressed"), lambda: "the list does not act")
        assert send("blue") == ""
        assert made.refused(mail(), "pat@example.net") == ""  # the default tenant's
