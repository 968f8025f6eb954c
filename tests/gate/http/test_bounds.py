"""A request has bounds: octets, time, memory, and no compression; every answer has the fields that keep a browser from harm."""

import asyncio
import contextlib
import gzip
import socket

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from delivcheck.gate.http import problem
from delivcheck.gate.http.bounds import HEADERS, Bounds
from delivcheck.gate.http.serving import Patience, Server
from delivcheck.gate.ports import unwatched
from delivcheck.gate.settings import Address, Kind, Limits, Listener

HTTP = Listener("web", Kind.HTTP, Address(host="127.0.0.1", port=80))


@contextlib.asynccontextmanager
async def serving(*, patience=None, connections=1_000, **bounds):
    """A real server whose one route says how many octets came."""
    app = FastAPI()
    problem.install(app)

    @app.post("/length")
    async def length(request: Request) -> JSONResponse:
        return JSONResponse({"length": len(await request.body())})

    @app.get("/large")
    async def large() -> Response:
        return Response(bytes(8_000_000))

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("secret")

    app.add_middleware(Bounds, most=lambda path: 1_000, **bounds)
    server = Server(app, Limits(connections=connections), unwatched, patience or Patience())

    async def talk():
        with socket.create_server(("127.0.0.1", 0)) as listening:
            ours = socket.create_connection(listening.getsockname())
            theirs, _ = listening.accept()
        theirs.setblocking(False)
        await server.connect(theirs, HTTP)
        return await asyncio.open_connection(sock=ours)

    try:
        yield talk
    finally:
        server.drain()


async def ask(talk, octets, *, slowly=(), closes=True):
    """Send, piece by piece, and read what comes until the end of the connection."""
    reader, writer = await talk()
    try:
        writer.write(octets)
        heard = asyncio.ensure_future(reader.read() if closes else reader.readuntil(b"\r\n\r\n"))
        for piece in slowly:
            await asyncio.wait([heard], timeout=0.05)
            if heard.done():
                break
            writer.write(piece)
        async with asyncio.timeout(5):
            return (await heard).decode("latin-1")
    finally:
        writer.close()


def request(body=b"", *fields, length=None):
    lines = ["POST /length HTTP/1.1", "Host: x", "Connection: close", *fields]
    lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunked(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


CHUNKED = b"POST /length HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_what_is_within_bounds_comes_through():
    async with serving() as talk:
        assert '{"length":1000}' in await ask(talk, request(b"x" * 1_000))
        assert '{"length":1000}' in await ask(talk, CHUNKED + chunked(b"x" * 500, b"x" * 500, b""))


@pytest.mark.attack(67)
async def test_a_body_that_says_that_it_is_too_large_is_not_read():
    async with serving() as talk:
        said = await ask(talk, request(b"x" * 10, length=10**12), closes=False)
        assert said.startswith("HTTP/1.1 413")
        assert "application/problem+json" in said


@pytest.mark.attack(67)
async def test_a_body_that_grows_too_large_is_not_read_on():
    async with serving() as talk:
        said = await ask(talk, CHUNKED + chunked(*[b"x" * 400] * 3), closes=False)
        assert said.startswith("HTTP/1.1 413")


@pytest.mark.attack(47, 67)
async def test_a_body_that_comes_too_slowly_is_not_waited_for():
    async with serving(idle=0.1, grace=10.0) as talk:
        assert (await ask(talk, request(b"x", length=100), closes=False)).startswith("HTTP/1.1 408")
    async with serving(idle=1.0, grace=0.2, rate=1_000_000) as talk:
        pieces = [b"x"] * 20
        assert (await ask(talk, request(b"x", length=100), slowly=pieces, closes=False)).startswith("HTTP/1.1 408")


@pytest.mark.attack(34, 67)
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, gzip", "x"])
async def test_a_compressed_body_is_refused_unread(coding):
    async with serving() as talk:
        said = await ask(talk, request(gzip.compress(bytes(50_000)), f"Content-Encoding: {coding}"))
        assert said.startswith("HTTP/1.1 415")
        assert "accept-encoding: identity" in said.lower()


@pytest.mark.attack(67)
async def test_all_bodies_together_have_a_bound_and_it_is_free_again():
    async with serving(in_flight=1_200) as talk:
        reader, writer = await talk()
        writer.write(request(b"x" * 900, length=1_000))
        await asyncio.sleep(0.05)
        said = await ask(talk, request(b"x" * 900))
        assert said.startswith("HTTP/1.1 503")
        assert "retry-after: 2" in said.lower()
        writer.write(b"x" * 100)
        assert b'{"length":1000}' in await reader.read()
        writer.close()
        for _ in range(3):
            assert '{"length":900}' in await ask(talk, request(b"x" * 900))


async def test_a_fault_says_nothing_of_itself():
    async with serving() as talk:
        said = await ask(talk, b"GET /broken HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert said.startswith("HTTP/1.1 503")
        assert "secret" not in said
        assert "retry-after" in said.lower()


async def test_every_answer_has_the_fields_of_safety_and_no_other_site_may_read_it():
    async with serving() as talk:
        for path in ("length", "nosuch", "broken"):
            said = (
                await ask(
                    talk,
                    f"GET /{path} HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.example\r\nConnection: close\r\n\r\n".encode(),
                )
            ).lower()
            assert all(f"{name}: {value}".lower() in said for name, value in HEADERS.items())
            assert "access-control" not in said
            assert "application/problem+json" in said


SHORT = Patience(head=0.2, unread=0.2, look=0.05)


@pytest.mark.attack(47)
@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET /len",
        b"POST /length HTTP/1.1\r\nHost: x\r\nX: ",
        b"GET /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n",
    ],
)
async def test_a_head_that_does_not_come_to_its_end_is_not_waited_for(said):
    async with serving(patience=SHORT) as talk:
        reader, writer = await talk()
        writer.write(said)
        ended = asyncio.ensure_future(reader.read())
        for _ in range(40):  # drop by drop
            await asyncio.wait([ended], timeout=0.05)
            if ended.done():
                break
            writer.write(b"a")
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(1):
                await ended
        assert ended.done()
        writer.close()


@pytest.mark.attack(47)
async def test_a_client_that_reads_nothing_is_let_go():
    async with serving(patience=SHORT) as talk:
        reader, writer = await talk()
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(0.8)
        with contextlib.suppress(ConnectionError):
            assert len(await reader.read()) < 8_000_000
        writer.close()


async def test_an_answer_that_is_taken_slowly_but_steadily_comes_whole():
    async with serving(patience=SHORT) as talk:
        reader, writer = await talk()
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        octets = 0
        while piece := await reader.read(400_000):
            octets += len(piece)
            await asyncio.sleep(0.02)
        assert octets > 8_000_000
        writer.close()


@pytest.mark.attack(48)
async def test_who_only_holds_connections_keeps_nobody_out():
    async with serving(connections=3) as talk:
        held = [await talk() for _ in range(3)]
        for _ in range(3):
            assert '{"length":3}' in await ask(talk, request(b"abc"))
        for _, writer in held:
            writer.close()


@pytest.mark.attack(67)
async def test_a_body_of_two_lengths_is_refused_and_nothing_behind_it_is_read():
    async with serving() as talk:
        body = b"0\r\n\r\nPOST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        head = b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        said = await ask(talk, head + body)
        assert said.startswith("HTTP/1.1 400")
        assert said.count("HTTP/1.1") == 1


async def test_a_client_that_goes_away_in_its_body_is_no_fault_of_ours(caplog):
    async with serving() as talk:
        _, writer = await talk()
        writer.write(request(b"x", length=100))
        await asyncio.sleep(0.05)
        writer.close()
        await asyncio.sleep(0.05)
    assert not [one for one in caplog.records if one.name == "delivcheck.gate"]
