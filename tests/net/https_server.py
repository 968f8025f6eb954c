"""A web server with TLS on loopback that answers as a test says and keeps every request it got."""

import asyncio
import contextlib
import datetime as dt
import ssl
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from delivcheck.model import Found, NoSuchName
from delivcheck.net.probe import Live

NAMES = ("www.example.org", "example.org", "other.example")


def certificate(folder, names=NAMES):
    """A certificate for the names that signs itself, with its key: the file for the server, and for who trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(1))
        .not_valid_after(now + dt.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    path = folder / "server.pem"
    pem = made.public_bytes(encoding)
    path.write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()) + pem)
    return path


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """`answers` maps "METHOD /path" to (status, headers, body); None hangs up without an answer."""

    port: int
    answers: dict
    requests: list[Request] = field(default_factory=list)

    async def serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *fields = head.strip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in fields)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append(Request(method, path, headers, body))
        answer = self.answers.get(f"{method} {path}", (404, {}, ""))
        if answer is None:
            return
        status, more, text = answer
        lines = [f"HTTP/1.1 {status} x", f"Content-Length: {len(text)}", "Connection: close"]
        lines += [f"{name}: {value.replace('PORT', str(self.port))}" for name, value in more.items()]
        writer.write("\r\n".join([*lines, "", text]).encode())
        await writer.drain()


class Names:
    """DNS in which all names are this machine's."""

    async def ask(self, name, type):  # noqa: A002 -- the DNS word
        return Found(("127.0.0.1",)) if type == "A" and name in NAMES else NoSuchName()


def with_https(folder, answers, use, *, trusted=True, timeout=5.0):
    """Run `use(server, probe)` against the server; returns what it returns, and the server with the requests it got."""
    path = certificate(folder)

    async def main():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        server = Server(0, answers)

        async def serve(reader, writer):
            try:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    await server.serve(reader, writer)
            finally:
                with contextlib.suppress(OSError, ssl.SSLError):
                    writer.close()
                    await writer.wait_closed()

        listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        server.port = listening.sockets[0].getsockname()[1]
        trust = ssl.create_default_context(cafile=path) if trusted else None
        async with listening:
            return await use(server, Live(Names(), lambda ip: ip.is_loopback, timeout, trust)), server

    return asyncio.run(main())
