"""A Web Service of real parts before a next hop of the test's: gate, journal, held mail, store, keys, and the clerk's way between.

async with service(tmp_path) as web:
    answer = await web.post("/v1/messages", web.mail())
    assert web.hop.messages[0].octets ...
"""

import contextlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from delivcheck.gate import record, tracing
from delivcheck.gate.desk import Desk
from delivcheck.gate.http.app import application
from delivcheck.gate.http.v1 import auth
from delivcheck.gate.journal import Record
from delivcheck.gate.model import MessageClass
from delivcheck.gate.prepare import load as load_preparer
from delivcheck.gate.release import Releaser
from delivcheck.gate.settings import Address, Gate, Kind, Listener, Secret, SigningKey, Trace
from delivcheck.gate.submission import Submission
from delivcheck.trace import keys
from delivcheck.trace.ingest import ingest
from delivcheck.trace.keys import Scope
from delivcheck.trace.records import decode, encode
from tests import keys as dkim
from tests.gate import world
from tests.gate.next_hop import NextHop
from tests.gate.whole import Told, gate
from tests.trace.conftest import made as made_store

HTTP = Listener("web", Kind.HTTP, Address(host="127.0.0.1", port=80))
RECORDS = {**world.RECORDS, "s1._domainkey.example.org TXT": dkim.record("rsa2048")}
ALL = tuple(Scope)


@dataclass
class Web:
    """What a test has in its hands."""

    desk: Desk
    hop: NextHop
    told: Told
    reception: object
    app: object
    client: httpx.AsyncClient
    tokens: dict = field(default_factory=dict)

    def key(self, name="app", scopes=ALL, tenant="default", **limits):
        """A new key's token."""
        with self.desk.store.write() as db:
            key, token = keys.add(db, self.desk.store.tenant(db, tenant), name, scopes, **limits)
        self.tokens[name] = key.id
        return token

    def mail(self, **more):
        """A message that passes, as JSON."""
        return {
            "from": "Shop <orders@example.org>",
            "to": "Pat <pat@example.net>",
            "subject": "Your order 4711",
            "text": "Your order has been sent.",
            "stream": "receipts",
            **more,
        }

    async def post(self, path, body=None, token=None, **headers):
        return await self.ask("POST", path, body, token, **headers)

    async def get(self, path, token=None, **headers):
        return await self.ask("GET", path, None, token, **headers)

    async def ask(self, method, path, body=None, token=None, **headers):
        """A request with the usual key; `body` a dict, text or octets."""
        said = {"Authorization": f"Bearer {token or self.token}"} if token != "" else {}
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        if body is not None:
            said["Content-Type"] = "application/json"
        said |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, path, content=body, headers=said)

    async def settle(self):
        """Bring what happened into the store, as the clerk does."""
        journal = self.reception.journal
        while rows := await journal.outbox(1_000):
            told = []
            for _, what in rows:
                told += record.told_by(what) if isinstance(what, Record) else [decode(what)] if what else []
            ingest(self.desk.store, told)
            await journal.told([number for number, _ in rows])


@contextlib.asynccontextmanager
async def service(folder: Path, *, records=None, hold=False, signs=True, rates=None, **settings):
    """The service, with a key of every scope in `token`."""
    pem = folder / "s1.pem"
    pem.write_bytes(dkim.pem("rsa2048"))
    signing = (SigningKey("example.org", "s1", Secret(file=pem)),) if signs else ()
    made = {"keys": signing, "trace": Trace(), **settings}
    preparer = load_preparer(
        Gate("gate.example.org", (HTTP,), state=folder, **made), {None: MessageClass.TRANSACTIONAL}.get, {}
    )
    known = RECORDS if records is None else records
    async with NextHop() as hop, gate(folder, hop, known, listener=HTTP, hold=hold, preparer=preparer, **made) as whole:
        reception = whole.reception
        store = tracing.store(reception.gate)
        made_store(store)
        releaser = None
        if reception.held is not None:
            releaser = Releaser(
                store=reception.held,
                pipeline=reception.pipeline,
                relay=reception.relay,
                journal=reception.journal,
                watch=whole.told,
            )

        async def note(records):
            await reception.journal.noted([encode(one) for one in records])

        desk = Desk(
            config=reception.pipeline.judge.config,
            gate=reception.gate,
            store=store,
            tokens=tracing.keys(reception.gate),
            handing=Submission(reception, HTTP, releaser),
            note=note,
            held=reception.held,
            watch=whole.told,
        )
        app = application(desk) if rates is None else limited(desk, rates)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.9", 4_711))
        async with httpx.AsyncClient(transport=transport, base_url="http://gate.example.org") as client:
            web = Web(desk, hop, whole.told, reception, app, client)
            web.token = web.key("all")
            try:
                yield web
            finally:
                store.close()


def limited(desk, rates):
    """The application with other limits than its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auth, "Rates", lambda: rates)
        return application(desk)
