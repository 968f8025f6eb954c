"""A whole desk with its pages, in this process: a real store, gate, journal, held mail and next hop; only the clock is set.

async with house(tmp_path) as home:
    async with home.visitor("read") as browser:
        page = await browser.get("/messages")
"""

import contextlib
from dataclasses import dataclass, field, replace

import httpx

from delivcheck.config import Config
from delivcheck.gate.desk import Desk
from delivcheck.gate.http.app import application
from delivcheck.gate.release import Releaser
from delivcheck.gate.settings import Http, Trace
from delivcheck.gate.submission import Submission
from delivcheck.trace import keys
from delivcheck.trace.ingest import ingest
from delivcheck.trace.keys import Scope
from delivcheck.trace.store import Store
from delivcheck.trace.tokens import KEY, Tokens
from delivcheck.web.app import router
from tests.gate.next_hop import NextHop
from tests.gate.whole import TRUSTED, gate
from tests.trace.told import NOON

ORIGIN = "http://pages.example"


@dataclass
class Clock:
    """Unix ms, moved by the test."""

    now: int = NOON

    def __call__(self):
        return self.now


@dataclass
class Home:
    desk: Desk
    store: Store
    whole: object
    hop: NextHop
    clock: Clock
    app: object
    noted: list = field(default_factory=list)

    def key(self, *scopes, tenant="default", name=None, **more):
        """A new key's token."""
        with self.store.write() as db:
            number = self.store.tenant(db, tenant)
            return keys.add(db, number, name or f"k{keys.now()}-{'-'.join(scopes)}"[:64], map(Scope, scopes), **more)[1]

    def client(self, address="192.0.2.9", origin=ORIGIN, **headers):
        """A browser that is not signed in."""
        transport = httpx.ASGITransport(self.app, client=(address, 4711))
        return httpx.AsyncClient(transport=transport, base_url=origin, headers={"Sec-Fetch-Site": "same-origin", **headers})

    @contextlib.asynccontextmanager
    async def visitor(self, *scopes, tenant="default", **more):
        """A browser that is signed in."""
        async with self.client() as browser:
            answer = await browser.post("/sign-in", data={"key": self.key(*scopes, tenant=tenant, **more)})
            assert answer.status_code == 303, answer.text
            yield browser

    def tell(self, records):
        ingest(self.store, list(records))


@contextlib.asynccontextmanager
async def house(folder, *, http=None, hold=True, store=None, **settings):
    made = store or Store(f"sqlite:///{folder / 'trace.sqlite'}")
    if store is None:
        made.migrate()
    with made.write() as db:
        made.tenant(db)
    async with NextHop() as hop, gate(folder, hop, hold=hold, trace=Trace(), http=http or Http(), **settings) as whole:
        reception, clock, noted = whole.reception, Clock(), []
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
            noted.extend(records)
            ingest(made, records)

        desk = Desk(
            config=Config(),
            gate=reception.gate,
            store=made,
            tokens=Tokens([bytes(range(KEY))]),
            handing=Submission(reception, replace(TRUSTED, name="web"), releaser),
            note=note,
            held=reception.held,
            watch=whole.told,
            waiting=reception.journal.backlog,
        )
        app = application(desk, [lambda desk: router(desk, clock=clock)])
        try:
            yield Home(desk, made, whole, hop, clock, app, noted)
        finally:
            made.close()


def token(page):
    """The token in the forms of a page."""
    return page.text.split('name="token" value="')[1].partition('"')[0]
