"""Pixels, links and one-click unsubscribing through a real server on loopback, asked by curl."""

import asyncio
import contextlib
import re
import time
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest
import sqlalchemy as sa
import uvicorn
from fastapi import FastAPI

from delivcheck import ulid
from delivcheck.config import Config
from delivcheck.gate import settings
from delivcheck.gate.desk import Desk
from delivcheck.gate.http import collector
from delivcheck.gate.http.collector import GIF, Collector, is_one_click
from delivcheck.gate.journal import JournalError
from delivcheck.trace import schema
from delivcheck.trace.ingest import ingest
from delivcheck.trace.model import Actor, Kind
from delivcheck.trace.store import Store, StoreError
from delivcheck.trace.tokens import KEY, Tokens
from delivcheck.trace.tracking import marks
from delivcheck.trace.tracking.leaving import leave
from delivcheck.trace.tracking.marks import CLICK, DAY, LEAVE, OPEN, Bucket, Mark
from tests.trace.conftest import made as migrated
from tests.trace.told import message

TOKENS = Tokens([b"k" * KEY])
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PAT = "pat@example.net"
TARGET = "https://shop.example/a?x=1&y=2#part"


class World:
    """A desk of real parts but for the journal, which is a list that can fail, and the clock."""

    def __init__(self, folder):
        self.store = Store(f"sqlite:///{folder / 'trace.sqlite'}")
        migrated(self.store)
        self.noted, self.broken, self.told = [], False, []
        self.now = int(time.time() * 1000)
        gate = settings.Gate("gate.example.org", (), state=folder)
        self.desk = Desk(
            config=Config(),
            gate=gate,
            store=self.store,
            tokens=TOKENS,
            handing=None,
            note=self.note,
            held=None,
            watch=self.watch,
        )
        self.collector = Collector(self.desk, now=lambda: self.now)
        self.base = ""

    def watch(self, event, /, **fields):
        self.told.append((event, fields))

    async def note(self, records):
        if self.broken:
            raise JournalError("disk full")
        self.noted += records
        await asyncio.to_thread(ingest, self.store, records)

    def sent(self, days=0, to=PAT, **more):
        """The trace of a message that went out so many days ago."""
        at = self.now - days * DAY
        trace = ulid.floor(_moment(at))[:10] + ulid.new()[10:]
        ingest(self.store, [replace_trace(message(at=at, to=(to,), **more), trace)])
        return trace

    @property
    def events(self):
        return [one for one in self.noted if hasattr(one, "kind")]

    async def settled(self):
        """The events, when all is noted."""
        self.now += 10_000
        async with asyncio.timeout(30):
            while self.collector._waiting:  # noqa: ASYNC110 -- a list, no event
                await asyncio.sleep(0.02)
        if self.collector._task is not None:
            await asyncio.wait_for(asyncio.shield(self.collector._task), 30)
        return self.events

    async def curl(self, path, *options, agent=BROWSER):
        """Status, header and body."""
        command = ["curl", "-sS", "-i", "--max-time", "10", "-A", agent, *options, f"{self.base}{path}"]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        said, _ = await process.communicate()
        head, _, body = said.partition(b"\r\n\r\n")
        while head.startswith(b"HTTP/1.1 100"):
            head, _, body = body.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        return (
            int(lines[0].split()[1]),
            dict(
                line.lower().split(": ", 1) if not line.lower().startswith("location") else ("location", line.split(": ", 1)[1])
                for line in lines[1:]
            ),
            body,
        )


def _moment(at):
    return datetime.fromtimestamp(at / 1000, UTC)


def replace_trace(record, trace):
    return msgspec.structs.replace(record, trace=trace)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(collector, "PAUSE", 0.01)


@contextlib.asynccontextmanager
async def running(folder):
    world = World(folder)
    app = FastAPI(openapi_url=None)
    app.include_router(collector.router(world.desk, world.collector))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_config=None))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 -- a flag of uvicorn, no event
        await asyncio.sleep(0.01)
    world.base = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield world
    finally:
        server.should_exit = True
        await task
        world.store.close()


def click(trace="", number=0, url=TARGET, bucket=None):
    return f"/c/{marks.sealed(TOKENS, CLICK, Mark(1, trace, bucket, number, url))}"


def pixel(trace="", bucket=None):
    return f"/o/{marks.sealed(TOKENS, OPEN, Mark(1, trace, bucket))}"


def unsubscribe(trace, to=PAT, stream="news"):
    return f"/u/{marks.sealed(TOKENS, LEAVE, leave(trace, to, stream, 'default'))}"


# --- opens and clicks -------------------------------------------------------------------------------------------------


async def test_a_click_leads_on_and_is_counted_for_the_recipient(tmp_path):
    async with running(tmp_path) as world:
        trace = world.sent(days=3)
        status, header, body = await world.curl(click(trace, 4))
        assert (status, header["location"], body) == (302, TARGET, b"")
        assert "set-cookie" not in header
        assert "no-store" in header["cache-control"]
        [event] = await world.settled()
        assert (event.kind, event.recipient, event.actor) == (Kind.CLICKED, PAT, Actor.HUMAN)
        assert event.detail == {"link": 4, "url": TARGET}
        assert BROWSER not in str(event)
        assert "127.0.0.1" not in str(event)
        with world.store.read() as db:  # and it is in the trace, with no open before it
            assert db.scalar(sa.select(schema.recipient.c.seen)) & Kind.CLICKED.bit


async def test_a_pixel_is_a_gif_that_nobody_keeps(tmp_path):
    async with running(tmp_path) as world:
        status, header, body = await world.curl(pixel(world.sent(days=1)))
        assert (status, header["content-type"], body) == (200, "image/gif", GIF)
        assert "no-store" in header["cache-control"]
        [event] = await world.settled()
        assert (event.kind, event.recipient) == (Kind.OPENED, PAT)


@pytest.mark.attack(66)
async def test_head_is_answered_and_not_counted(tmp_path):
    async with running(tmp_path) as world:
        trace = world.sent(days=1)
        assert (await world.curl(click(trace), "--head"))[0] == 302
        assert (await world.curl(pixel(trace), "--head"))[0] == 200
        assert await world.settled() == []


@pytest.mark.attack(66)
async def test_prefetching_is_told_from_people(tmp_path):
    async with running(tmp_path) as world:
        trace = world.sent(days=1)
        await world.curl(click(trace), "-H", "Sec-Purpose: prefetch")
        await world.curl(click(trace), agent="curl/8")
        await world.curl(pixel(trace), agent="Mozilla/5.0")
        assert [one.actor for one in await world.settled()] == [Actor.MACHINE, Actor.MACHINE, Actor.UNKNOWN]


async def test_a_scanner_that_follows_all_links_on_delivery_is_a_machine(tmp_path):
    async with running(tmp_path) as world:
        early, late = world.sent(), world.sent(days=2)
        await world.curl(click(early))
        for number in range(3):
            await world.curl(click(late, number))
        assert {one.actor for one in await world.settled()} == {Actor.MACHINE}


async def test_a_year_old_link_leads_on_and_is_not_attributed_any_more(tmp_path):
    async with running(tmp_path) as world:
        for days in (366, 400, 4_000):
            status, header, _ = await world.curl(click(world.sent(days=days)))
            assert (status, header["location"]) == (302, TARGET)
        assert await world.settled() == []


async def test_in_aggregate_mode_it_is_counted_for_the_stream_and_nobody(tmp_path):
    async with running(tmp_path) as world:
        bucket = Bucket(world.now // DAY, "news", "letter", ("eu",))
        await world.curl(click(bucket=bucket, url="https://shop.example/a?who=pat#x"))
        await world.curl(pixel(bucket=bucket))
        events = await world.settled()
        assert [one.recipient for one in events] == [None, None]
        assert events[0].detail["url"] == "https://shop.example/a"
        assert [one.trace for one in world.noted if not hasattr(one, "kind")] == [bucket.trace]  # told once
        with world.store.read() as db:
            assert db.scalar(sa.select(schema.message.c.stream)) == "news"


@pytest.mark.attack(66)
async def test_no_token_that_was_altered_leads_anywhere(tmp_path):
    async with running(tmp_path) as world:
        trace = world.sent()
        token = click(trace).removeprefix("/c/")
        for path in (
            f"/c/{token[:40]}{'A' if token[40] != 'A' else 'B'}{token[41:]}",
            f"/c/{token}?url=https://evil.example/",
            f"/c/{pixel(trace).removeprefix('/o/')}",
            f"/o/{token}",
            "/c/https://evil.example/",
            "/c/" + "A" * 9_000,
            f"/u/{token}",
        ):
            status, header, _ = await world.curl(path)
            if "?url=" in path:
                assert (status, header["location"]) == (302, TARGET)  # what is asked besides is not heard
            else:
                assert status == 404
                assert "location" not in header
        world.now += DAY
        assert [one.kind for one in await world.settled()] == [Kind.CLICKED]


@pytest.mark.attack(66)
@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "https://a.example/\r\nSet-Cookie: x=1", "https://a@evil.example/", "https:\\\\evil.example", "ftp://a.example/", "", "https://"]
)  # fmt: skip
async def test_not_even_with_our_own_seal(tmp_path, url):
    async with running(tmp_path) as world:
        status, header, _ = await world.curl(click(world.sent(), url=url))
        assert status == 404
        assert not {"location", "set-cookie"} & set(header)


async def test_redirects_wait_for_neither_journal_nor_store(tmp_path):
    async with running(tmp_path) as world:
        trace, world.broken = world.sent(days=1), True
        assert (await world.curl(click(trace)))[0] == 302
        world.now += 10_000
        async with asyncio.timeout(5):
            while not any("disk full" in str(told) for told in world.told):  # noqa: ASYNC110 -- a list of the test's, no event
                await asyncio.sleep(0.02)
        assert (await world.curl(click(trace)))[0] == 302
        world.broken = False
        world.now += collector.SLOW + 1
        assert len(await world.settled()) == 2  # nothing is lost that memory had room for


async def test_what_memory_has_no_room_for_is_dropped_and_counted(tmp_path, monkeypatch):
    async with running(tmp_path) as world:
        monkeypatch.setattr(collector, "PER_HOUR", 3)
        mark = Mark(1, world.sent(days=1), None, 0, TARGET)
        for _ in range(10):
            world.collector.counted(Kind.CLICKED, mark, {"user-agent": BROWSER})
        assert len(await world.settled()) == 3
        assert world.collector.dropped == 7
        assert any("dropped" in str(told) and "'count': 7" in str(told) for told in world.told)


async def test_a_recipient_whom_the_store_does_not_know_yet_is_waited_for_and_then_it_is_nobody(tmp_path):
    async with running(tmp_path) as world:
        trace = ulid.floor(_moment(world.now - DAY))[:10] + ulid.new()[10:]
        world.collector.counted(Kind.OPENED, Mark(1, trace), {"user-agent": BROWSER})
        async with asyncio.timeout(30):
            while not world.collector._task.done():
                world.now += max(collector.LATER)
                await asyncio.sleep(0.05)
        assert [one.recipient for one in world.events] == [None]


async def test_a_process_that_ends_notes_what_waits(tmp_path):
    async with running(tmp_path) as world:
        world.collector.counted(Kind.OPENED, Mark(1, world.sent(days=1)), {"user-agent": BROWSER})
        await asyncio.sleep(0)
        world.collector._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await world.collector._task
        assert [one.recipient for one in world.events] == [PAT]


async def test_a_store_that_is_down_costs_the_name_and_not_the_event(tmp_path):
    async with running(tmp_path) as world:
        trace = world.sent(days=1)

        def down():
            raise StoreError("gone")

        world.collector._desk = replace(world.desk, store=type("Down", (), {"read": staticmethod(down)})())
        world.collector.counted(Kind.OPENED, Mark(1, trace), {"user-agent": BROWSER})
        await world.collector.flush()
        assert [one.recipient for one in world.events] == [None]


# --- one click --------------------------------------------------------------------------------------------------------


def suppressed(store):
    with store.read() as db:
        return [(row.address, row.stream, row.reason) for row in db.execute(sa.select(schema.suppression))]


async def test_get_and_head_show_a_page_with_a_button_and_change_nothing(tmp_path):
    async with running(tmp_path) as world:
        path = unsubscribe(world.sent())
        status, header, body = await world.curl(path)
        page = body.decode()
        assert status == 200
        assert header["content-type"].startswith("text/html")
        assert "default-src 'none'" in header["content-security-policy"]
        assert re.search(r'<form method="post">.*<button>', page)
        assert "<script" not in page
        assert 'lang="en"' in page
        assert PAT not in page  # whoever was sent a copy does not learn it
        assert "p\u2026@example.net" in page
        assert (await world.curl(path, "--head"))[0] == 200
        assert "set-cookie" not in header
        assert (world.noted, suppressed(world.store)) == ([], [])


@pytest.mark.parametrize(
    "form",
    [
        ["-F", "List-Unsubscribe=One-Click"],
        ["-d", "List-Unsubscribe=One-Click"],
        ["--data-urlencode", "List-Unsubscribe=One-Click"],
    ],
)
async def test_a_post_unsubscribes_once_without_redirect_or_cookie(tmp_path, form):
    async with running(tmp_path) as world:
        path = unsubscribe(world.sent(days=59))  # RFC 8058 gives no time, laws ask for 30 days (CAN-SPAM) and 60 (CASL)
        for _ in range(2):
            status, header, _ = await world.curl(path, *form)
            assert status == 200
            assert not {"location", "set-cookie"} & set(header)
        assert suppressed(world.store) == [(PAT, "news", "unsubscribe")]
        with world.store.read() as db:
            assert db.scalar(sa.select(sa.func.count()).where(schema.event.c.kind == "unsubscribed")) == 1


async def test_the_token_works_when_the_message_is_long_forgotten(tmp_path):
    async with running(tmp_path) as world:
        at = world.now - 400 * DAY
        trace = ulid.floor(_moment(at))[:10] + ulid.new()[10:]
        assert (await world.curl(unsubscribe(trace), "-d", "List-Unsubscribe=One-Click"))[0] == 200
        assert suppressed(world.store) == [(PAT, "news", "unsubscribe")]


async def test_a_post_that_does_not_say_so_changes_nothing(tmp_path):
    async with running(tmp_path) as world:
        path = unsubscribe(world.sent())
        for options in (["-d", "List-Unsubscribe=No"], ["-d", ""], ["-F", "x=One-Click"], ["-d", "x" * 10_000]):
            assert (await world.curl(path, *options))[0] == 400
        assert (await world.curl(f"{path[:-1]}{'A' if path[-1] != 'A' else 'Q'}x", "-d", "List-Unsubscribe=One-Click"))[
            0
        ] == 404
        assert (await world.curl(path, "-X", "DELETE"))[0] == 405
        assert world.noted == []


@pytest.mark.attack(57, 58)
async def test_a_post_that_could_not_be_written_down_says_so(tmp_path):
    async with running(tmp_path) as world:
        path, world.broken = unsubscribe(world.sent()), True
        status, header, body = await world.curl(path, "-d", "List-Unsubscribe=One-Click")
        assert (status, header["retry-after"]) == (503, "60")
        assert b"disk full" not in body


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded", True),
        (b"List-Unsubscribe=One-Click\r\n", "", True),
        (b"list%2Dunsubscribe=one%2Dclick", "application/x-www-form-urlencoded; charset=utf-8", True),
        (b"a=b&List-Unsubscribe=One-Click", "text/plain", True),
        (b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n', "multipart/form-data; boundary=x", True),
        (b"--x\nContent-Disposition: form-data; name=List-Unsubscribe\nContent-Type: text/plain\n\nOne-Click\n--x--\n", "Multipart/Form-Data; boundary=x", True),
        (b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nNo\r\n--x--\r\n', "multipart/form-data; boundary=x", False),
        (b"One-Click", "multipart/form-data; boundary=x", False),
        (b"\xff\xfe", "application/x-www-form-urlencoded", False),
        (b"&".join([b"a=b"] * 100), "", False),
        (b'name="List-Unsubscribe"\n' * 300, "multipart/form-data", False),
    ],
)  # fmt: skip
def test_what_providers_post_is_read(body, kind, says):
    assert is_one_click(body, kind) is says
