"""Probes connect only where the address policy allows, to the address it allowed, and every failure has a name."""

import asyncio
import contextlib
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from delivcheck.model import Failed, Failure, Found, HttpAnswer, NoSuchName, ProbeFailed, ProbeFault, SmtpAnswer
from delivcheck.net.probe import MAX_BODY, Live, public, scripted
from tests.net import https_server


class Zone:
    def __init__(self, **answers):
        self.answers = {name.replace("_", "."): answer for name, answer in answers.items()}

    async def ask(self, name, type):  # noqa: A002
        return self.answers.get(name, NoSuchName()) if type == "A" else NoSuchName()


LOOPBACK = Zone(mail_example=Found(("127.0.0.1",)))


def loopback(ip):
    return ip.is_loopback


@pytest.mark.parametrize(
    ("ip", "allowed"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("::1", False),
        ("::ffff:10.0.0.1", False),
        ("fe80::1", False),
        ("224.0.0.1", False),
        ("0.0.0.0", False),
        ("64:ff9b::808:808", True),  # NAT64, to a public address
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::a00:1", False),
        ("2002:808:808::1", True),  # 6to4
        ("2002:7f00:1::", False),
        ("2001:0:808:808:0:0:f5ff:fffe", False),  # Teredo, from 10.0.0.1
        ("::7f00:1", False),
        ("fec0::1", False),
        ("3fff::1", False),
        ("5f00::1", False),
        ("2606:4700::1111%lo", False),
    ],
)
def test_only_public_addresses_are_probed_by_default(ip, allowed):
    assert public(ipaddress.ip_address(ip)) is allowed


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for mail.example that signs itself: (file with key and certificate)."""
    return https_server.certificate(tmp_path_factory.mktemp("tls"), ("mail.example",))


def with_server(handle, use, certificate=None):
    """Run `use(port)` against a server whose connections are served by `handle`."""

    async def main():
        context = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)

        serving = set()

        async def serve(reader, writer):
            serving.add(asyncio.current_task())
            try:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    await handle(reader, writer)
            finally:
                with contextlib.suppress(OSError, ssl.SSLError):
                    writer.close()
                    await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        async with server:
            result = await use(server.sockets[0].getsockname()[1])
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)
        return result

    return asyncio.run(main())


def web(response):
    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)
        await writer.drain()

    return handle


def test_a_page_is_fetched_with_its_status_headers_and_body():
    response = b"HTTP/1.1 301 Moved\r\nLocation: https://else.example/\r\nContent-Length: 2\r\n\r\nhi"

    got = with_server(web(response), lambda port: Live(LOOPBACK, loopback).get(f"http://mail.example:{port}/x"))

    assert isinstance(got, HttpAnswer)
    assert (got.status, got.header("location"), got.body) == (301, "https://else.example/", b"hi")


def test_post_sends_its_body():
    async def echo(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(3)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Type: " + head.split(b"Content-Type: ")[1].split(b"\r\n")[0])
        writer.write(b"\r\n\r\n" + body)
        await writer.drain()

    got = with_server(echo, lambda port: Live(LOOPBACK, loopback).post(f"http://mail.example:{port}/", b"a=1", "text/x"))

    assert (got.body, got.header("x-type")) == (b"a=1", "text/x")


@pytest.mark.parametrize(
    ("response", "fault"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b"x" * 70000, ProbeFault.TOO_LARGE),
        (b"this is not HTTP\r\n\r\n", ProbeFault.PROTOCOL),
        (b"", ProbeFault.PROTOCOL),
    ],
)
def test_a_bad_answer_has_a_name(response, fault):
    assert len(response) < 10 or fault is not ProbeFault.TOO_LARGE or len(response) > MAX_BODY
    got = with_server(web(response), lambda port: Live(LOOPBACK, loopback).get(f"http://mail.example:{port}/"))

    assert isinstance(got, ProbeFailed)
    assert got.fault is fault


def test_a_silent_server_is_a_timeout():
    async def silent(reader, writer):
        await asyncio.sleep(5)

    got = with_server(silent, lambda port: Live(LOOPBACK, loopback, timeout=0.1).get(f"http://mail.example:{port}/"))

    assert got.fault is ProbeFault.TIMEOUT


def test_an_untrusted_certificate_is_evidence(certificate):
    got = with_server(web(b""), lambda port: Live(LOOPBACK, loopback).get(f"https://mail.example:{port}/"), certificate)

    assert got.fault is ProbeFault.TLS
    assert "self-signed" in got.detail


@pytest.mark.parametrize(
    ("dns", "url", "fault"),
    [
        (LOOPBACK, "http://mail.example/", ProbeFault.ADDRESS),
        (LOOPBACK, "http://127.0.0.1/", ProbeFault.ADDRESS),
        (LOOPBACK, "http://[::1]/", ProbeFault.ADDRESS),
        (Zone(mail_example=Failed(Failure.SERVFAIL)), "http://mail.example/", ProbeFault.DNS),
        (Zone(), "http://mail.example/", ProbeFault.DNS),
        (LOOPBACK, "ftp://mail.example/", ProbeFault.PROTOCOL),
        (LOOPBACK, "http://\udcff/", ProbeFault.PROTOCOL),
    ],
)
def test_what_must_not_or_cannot_be_reached_is_told_apart(dns, url, fault):
    got = asyncio.run(Live(dns).get(url))

    assert isinstance(got, ProbeFailed)
    assert got.fault is fault


def test_nothing_listening_is_a_connect_fault():
    assert asyncio.run(Live(LOOPBACK, loopback).get("http://mail.example:9/")).fault is ProbeFault.CONNECT
    assert asyncio.run(Live(LOOPBACK, loopback).smtp("mail.example", 9)).fault is ProbeFault.CONNECT


# --- SMTP ----------------------------------------------------------------------------------------------------------


def mail_server(certificate=None, banner=b"220 mail.example ESMTP\r\n"):
    async def handle(reader, writer):
        writer.write(banner)
        await reader.readline()
        writer.write(b"250-mail.example\r\n" + (b"250-STARTTLS\r\n" if certificate else b"") + b"250 SIZE 1000\r\n")
        line = await reader.readline()
        if certificate and line == b"STARTTLS\r\n":
            writer.write(b"220 go\r\n")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            with contextlib.suppress(ssl.SSLError):
                await writer.start_tls(context)
                await reader.readline()

    return handle


def der(certificate):
    """The certificate of the file that holds it behind its key."""
    return x509.load_pem_x509_certificate(
        certificate.read_bytes().partition(b"KEY-----\n")[2].partition(b"KEY-----\n")[2]
    ).public_bytes(serialization.Encoding.DER)


def test_a_mail_server_is_greeted_and_its_tls_told(certificate):
    trust = ssl.create_default_context(cafile=str(certificate))

    got = with_server(mail_server(certificate), lambda port: Live(LOOPBACK, loopback, trust=trust).smtp("mail.example", port))

    assert got == SmtpAnswer("mail.example ESMTP", ("STARTTLS", "SIZE"), "TLSv1.3", None, 1000, (der(certificate),))


def test_an_untrusted_mail_server_certificate_is_told(certificate):
    got = with_server(mail_server(certificate), lambda port: Live(LOOPBACK, loopback).smtp("mail.example", port))

    assert got.tls == "unverified"
    assert "self-signed" in got.certificate_fault
    assert got.chain == (der(certificate),)  # what DANE compares, though no authority vouches for it


def test_a_mail_server_without_starttls_is_told():
    got = with_server(mail_server(), lambda port: Live(LOOPBACK, loopback).smtp("mail.example", port))

    assert (got.extensions, got.tls, got.size, got.chain) == (("SIZE",), None, 1000, ())


@pytest.mark.parametrize(
    ("banner", "fault"),
    [
        (b"554 no\r\n", ProbeFault.PROTOCOL),
        (b"220-x\r\n" * 200, ProbeFault.PROTOCOL),
        (b"x" * 100_000, ProbeFault.PROTOCOL),
        (b"220", ProbeFault.TIMEOUT),
    ],
)
def test_a_server_that_speaks_something_else_has_a_name(banner, fault):
    got = with_server(mail_server(banner=banner), lambda port: Live(LOOPBACK, loopback, timeout=0.3).smtp("mail.example", port))

    assert got.fault is fault


# --- scripted ------------------------------------------------------------------------------------------------------


def test_a_scripted_probe_answers_from_its_table_alone():
    probe = scripted(
        {
            "https://a.example/": {"status": 404, "headers": {"Content-Type": "text/plain"}, "body": "x"},
            "https://b.example/": "TIMEOUT",
        },
        {"mx.example": {"extensions": ["STARTTLS"], "tls": "TLSv1.2"}, "slow.example": "TIMEOUT"},
    )

    async def all_of_it():
        return [
            await probe.get("https://a.example/"),
            await probe.get("https://b.example/"),
            await probe.get("https://c.example/"),
            await probe.post("https://a.example/", b"", "text/x"),
            await probe.smtp("mx.example"),
            await probe.smtp("slow.example"),
        ]

    page, late, missing, posted, mx, slow = asyncio.run(all_of_it())
    assert (page.status, page.header("content-type"), page.header("x"), page.body) == (404, "text/plain", None, b"x")
    assert (late.fault, missing.fault, posted.fault, slow.fault) == (
        ProbeFault.TIMEOUT,
        ProbeFault.CONNECT,
        ProbeFault.CONNECT,
        ProbeFault.TIMEOUT,
    )
    assert mx.tls == "TLSv1.2"
    assert str(late) == "timeout"
    assert str(missing) == "connect: not listed"
