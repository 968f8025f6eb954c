"""The Web Service of a running gate: what was sent, once; who hears of it; and every event exactly once."""

import base64
import hashlib
import hmac
import json
import os
import signal
import sqlite3
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import sqlalchemy as sa

from delivcheck.trace import answered, schema
from tests.gate.trail.place import TRACE, WHOLE, mail, octets_at, place
from tests.mta import wait_until
from tests.servers import loopback
from tests.soak.gates import gate

ORDER = {"from": "Shop <a@example.org>", "subject": "Your order", "text": "It was sent."}


def but_eve(session, line):
    return "550 5.1.1 no such user" if b"eve@" in line else "250 2.1.5 ok"


def test_each_personal_copy_has_its_own_result_message_and_events(tmp_path):
    with place(tmp_path, RCPT=but_eve) as made:
        key = made.key("shop", "send", "check", "read")
        people = ["pat@example.net", "eve@example.net", "ada@example.net"]
        copies = [{"to": one, "text": f"Dear {one}"} for one in people]
        said = made.ask("POST", "/v1/messages", {**ORDER, "personalizations": copies, "tags": ["eu"]}, key=key)
        assert (said.status, said.json["status"]) == (200, "partial")
        found = {one["recipient"]: one for one in said.json["recipients"]}
        assert {who: (one["status"], one["by"]) for who, one in found.items()} == {
            "pat@example.net": ("sent", "next-hop"),
            "eve@example.net": ("refused", "next-hop"),
            "ada@example.net": ("sent", "next-hop"),
        }
        assert found["eve@example.net"]["reply"]["status"] == "5.1.1"
        assert sorted(octets.count(b"Dear pat") for octets in octets_at(made.hop, 2)) == [0, 1]
        for who in ("pat@example.net", "ada@example.net"):
            made.wait_kinds(WHOLE, recipient=who)
            shown = made.ask("GET", f"/v1/messages/{found[who]['id']}", key=key).json
            assert [one["rcpt"] for one in shown["recipients"]] == [who]
            assert sorted(one["event"] for one in shown["events"]) == WHOLE
            assert (shown["client"], shown["tags"], shown["framing"]) == ("key:shop", ["eu"], "HTTP")
        wait_until(lambda: "refused" in made.kinds(recipient="eve@example.net"), lambda: "not refused")
        checked = made.ask("POST", "/v1/check", {**ORDER, "to": "pat@example.net", "headers": {"X-Refuse": "yes"}}, key=key)
        assert (checked.status, checked.header["Delivcheck-Action"], checked.json["verdict"]) == (200, "refuse", "fail")
        no = made.ask("POST", "/v1/messages", {**ORDER, "to": "pat@example.net", "headers": {"X-Refuse": "yes"}}, key=key)
        assert (no.status, no.json["findings"][0]["rule"]) == (422, "test/refused")
        assert len(made.hop.messages) == 2


class Everything:
    """Ends a gate as a power cut does."""

    def __init__(self, running):
        self._pids = [running.process.pid, *running.workers()]

    def __call__(self):
        for pid in self._pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_a_request_is_sent_once_though_the_gate_was_killed_before_it_could_answer(tmp_path):
    """The next hop has said 250, the journal has that, and the answer waits for the store, when everything is killed."""
    arrived, locked = threading.Event(), threading.Event()

    def dot(session, line):
        arrived.set()
        locked.wait(20)  # in the next hop's own thread; it has nobody else to serve
        return "250 2.0.0 queued"

    with place(tmp_path, DOT=dot) as made:
        key = made.key("shop", "send")
        body, result = {**ORDER, "to": "pat@example.net"}, []

        def ask():
            with suppress(OSError, Exception):
                result.append(made.ask("POST", "/v1/messages", body, key=key, Idempotency_Key="order-1"))

        client = threading.Thread(target=ask)
        client.start()
        assert arrived.wait(20)
        with sqlite3.connect(made.state / "trace.sqlite", timeout=20, isolation_level=None) as store:
            store.execute("BEGIN IMMEDIATE")
            locked.set()
            made.running.wait(lambda: made.running.events("sent"), "the next hop")
            Everything(made.running)()
            store.execute("ROLLBACK")
        client.join(30)
        assert result == []
        assert len(made.hop.messages) == 1
        made.running.process.wait(20)
        with gate(tmp_path, made.path, workers=2) as made.running:
            again = made.ask("POST", "/v1/messages", body, key=key, Idempotency_Key="order-1")
            assert (again.status, again.header["Retry-After"]) == (409, "5")  # perhaps another gate is at it
            with made.store.write() as db:
                db.execute(schema.answered.update().values(at=schema.answered.c.at - answered.LEASE))
            again = made.ask("POST", "/v1/messages", body, key=key, Idempotency_Key="order-1")
            assert (again.status, again.json["status"]) == (200, "sent")
            third = made.ask("POST", "/v1/messages", body, key=key, Idempotency_Key="order-1")
            assert (third.status, third.json, third.header["Idempotency-Replayed"]) == (200, again.json, "true")
            other = made.ask("POST", "/v1/messages", {**body, "text": "?"}, key=key, Idempotency_Key="order-1")
            assert (other.status, len(made.hop.messages)) == (409, 1)
            made.wait_kinds(WHOLE, trace=again.json["id"])


@contextmanager
def receiver():
    """A server on loopback that hears webhooks: (url, requests as (header, body))."""
    heard = []

    class Hears(BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append((dict(self.headers.items()), self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer((loopback(), 0), Hears)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://{server.server_address[0]}:{server.server_address[1]}/hooks", heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def verified(secret, header, body):
    """As docs/webhooks.md has it."""
    header = {name.lower(): value for name, value in header.items()}
    signed = f"{header['webhook-id']}.{header['webhook-timestamp']}.".encode() + body
    mac = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256)
    fresh = abs(time.time() - int(header["webhook-timestamp"])) < 300
    return fresh and header["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"


def test_a_webhook_hears_signed_what_the_api_tells(tmp_path):
    more = f'{TRACE}[gate.webhooks]\nnetworks = ["127.0.0.0/8"]\n'
    with receiver() as (url, heard), place(tmp_path, more) as made:
        admin = made.key("boss", "admin")
        assert made.ask("POST", "/v1/webhooks", {"url": "http://169.254.169.254/"}, key=admin).status == 422
        hook = made.ask("POST", "/v1/webhooks", {"url": url, "kinds": ["sent", "refused"]}, key=admin)
        assert hook.status == 201, hook.json
        said = made.ask("POST", "/v1/messages", {**ORDER, "to": "pat@example.net"}, key=admin)
        assert made.refused(mail(X_Refuse="yes")).startswith("550")
        wait_until(lambda: len(heard) >= 2, lambda: f"{heard}")
        told = {(event := json.loads(body))["type"]: event["data"] for _, body in heard}
        assert all(verified(hook.json["secret"], *one) for one in heard)
        assert not verified(hook.json["secret"], heard[0][0], heard[0][1] + b" ")
        shown = made.ask("GET", f"/v1/messages/{said.json['id']}", key=admin).json
        (sent,) = [one for one in shown["events"] if one["event"] == "sent"]
        assert told["sent"]["event_id"] == sent["event_id"]
        assert told["refused"]["detail"]["rules"] == ["test/refused"]
        done = f"/v1/webhooks/{hook.json['id']}/deliveries?state=done"
        wait_until(lambda: len(made.ask("GET", done, key=admin).json["deliveries"]) == 2, lambda: "not settled")


def test_the_cursor_sees_every_event_once_while_mail_keeps_coming(tmp_path):
    count = 40
    with place(tmp_path, workers=2) as made:
        key = made.key("reader", "read")
        sender = threading.Thread(target=lambda: [made.send(mail(str(number))) for number in range(count)])
        sender.start()
        seen, cursor = [], "0"
        try:
            end = time.monotonic() + 30
            while len(seen) < 4 * count and time.monotonic() < end:
                page = made.ask("GET", f"/v1/events?after={cursor}&limit=7&wait=1", key=key, Accept="application/x-ndjson")
                assert page.status == 200
                seen += [json.loads(line) for line in page.octets.splitlines()]
                cursor = page.header["Delivcheck-Next"]
        finally:
            sender.join()
        with made.store.read() as db:
            stored = set(db.scalars(sa.select(schema.event.c.id)))
        ids = [one["event_id"] for one in seen]
        assert (len(ids), set(ids)) == (4 * count, stored)
        assert [one["cursor"] for one in seen] == sorted(one["cursor"] for one in seen)
        rest = made.ask("GET", f"/v1/events?after={cursor}", key=key).json
        assert (rest["events"], str(rest["next"])) == ([], cursor)
