"""Live probes: HTTP and SMTP, only when asked for, and kept off private addresses.

A URL or a host name comes out of DNS or a message, so whoever writes those would choose what we connect to: names are resolved
by our own client, each address is held against the address policy, and the connection goes to exactly that address.
"""

import asyncio
import contextlib
import ipaddress
import re
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import httpcore

from ..model import Dns, Failed, Found, HttpAnswer, IPAddress, ProbeFailed, ProbeFault, SmtpAnswer
from ..records.names import BadName, to_ascii, unmapped

MAX_BODY = 65_536  # octets; RFC 8461 section 3.3 suggests 64 KB for a policy, and nothing else we fetch is larger
MAX_REPLY_LINES = 128  # of an EHLO response; the longest seen in public servers have about 20
TIMEOUT = 10.0  # seconds for one probe; RFC 8461 section 3.3 suggests a minute, a person waits here

AddressPolicy = Callable[[IPAddress], bool]


def public(ip: IPAddress) -> bool:
    """The default address policy: globally reachable unicast only (IANA special-purpose registries)."""
    address = unmapped(ip)
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None or address.is_site_local:  # is_global says nothing of either
            return False
        inside = _embedded(address)
        if inside is not None:
            return public(inside)
        if address not in _UNICAST or address in _DOCUMENTATION:
            return False
    return address.is_global and not address.is_multicast


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052 section 2.1
_COMPATIBLE = ipaddress.IPv6Network("::/96")  # RFC 4291 section 2.5.5.1
_UNICAST = ipaddress.IPv6Network("2000::/3")  # all that IANA gives out; Python's own list lags behind its registry
_DOCUMENTATION = ipaddress.IPv6Network("3fff::/20")  # RFC 9637, newer than that list


def _embedded(ip: ipaddress.IPv6Address) -> IPAddress | None:
    """The IPv4 address that a gateway or tunnel on the way would go to, where an IPv6 address has one inside."""
    if ip in _NAT64 or ip in _COMPATIBLE:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    if ip.sixtofour is not None:
        return ip.sixtofour
    return ip.teredo[1] if ip.teredo is not None else None


class Refused(Exception):  # noqa: N818 -- never leaves `net`; reads well in an except clause
    """A connection that must not or cannot be made."""

    def __init__(self, failed: ProbeFailed) -> None:
        super().__init__(str(failed))
        self.failed = failed


class Live:
    """Probes over the real network. `dns` resolves; `allowed` is the address policy."""

    def __init__(
        self,
        dns: Dns,
        allowed: AddressPolicy = public,
        timeout: float = TIMEOUT,
        trust: ssl.SSLContext | None = None,
        ehlo: str = "localhost",
    ) -> None:
        self._dns, self._allowed, self._timeout, self._ehlo = dns, allowed, timeout, ehlo
        self._trust = trust or ssl.create_default_context()

    async def get(self, url: str) -> HttpAnswer | ProbeFailed:
        """Fetch a URL."""
        return await self._http("GET", url, None, None)

    async def post(self, url: str, body: bytes, content_type: str) -> HttpAnswer | ProbeFailed:
        """Post to a URL."""
        return await self._http("POST", url, body, content_type)

    async def _http(self, method: str, url: str, body: bytes | None, content_type: str | None) -> HttpAnswer | ProbeFailed:
        headers = [("User-Agent", "delivcheck"), ("Accept", "*/*")]
        if content_type is not None:
            headers.append(("Content-Type", content_type))
        backend = Guarded(self.address)
        try:
            async with (
                asyncio.timeout(self._timeout),
                httpcore.AsyncConnectionPool(ssl_context=self._trust, network_backend=backend) as pool,
                pool.stream(method, url, headers=headers, content=body) as response,
            ):
                got = bytearray()
                async for chunk in response.aiter_stream():
                    got += chunk
                    if len(got) > MAX_BODY:
                        return ProbeFailed(ProbeFault.TOO_LARGE, f"more than {MAX_BODY} octets", response.status)
                pairs = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers)
                return HttpAnswer(response.status, pairs, bytes(got))
        except Refused as refused:
            return refused.failed
        except TimeoutError:
            return ProbeFailed(ProbeFault.TIMEOUT, f"no answer within {self._timeout:g} s")
        except httpcore.ConnectError as error:
            return ProbeFailed(_tls_or(ProbeFault.CONNECT, error), told(error))
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.UnsupportedProtocol,
            UnicodeError,
            ValueError,
            TypeError,
        ) as error:
            return ProbeFailed(_tls_or(ProbeFault.PROTOCOL, error), told(error))

    async def smtp(self, host: str, port: int = 25) -> SmtpAnswer | ProbeFailed:
        """Greet a mail server and try STARTTLS."""
        try:
            async with asyncio.timeout(self._timeout):
                ip = await self.address(host)
                return await self._greet(host, ip, port)
        except Refused as refused:
            return refused.failed
        except TimeoutError:
            return ProbeFailed(ProbeFault.TIMEOUT, f"no answer within {self._timeout:g} s")
        except (OSError, asyncio.IncompleteReadError) as error:
            return ProbeFailed(ProbeFault.CONNECT, told(error))
        except (ValueError, asyncio.LimitOverrunError) as error:
            return ProbeFailed(ProbeFault.PROTOCOL, told(error))

    async def address(self, host: str) -> IPAddress:
        """An address of a host that may be connected to. Raises Refused."""
        try:
            literal = [ipaddress.ip_address(host.strip("[]"))]
        except ValueError:
            literal = []
        for ip in literal or await self._resolve(host):
            if self._allowed(ip):
                return ip
        raise Refused(ProbeFailed(ProbeFault.ADDRESS, f"{host} has no address that may be probed"))

    async def _resolve(self, host: str) -> list[IPAddress]:
        try:
            name = to_ascii(host)
        except BadName as error:
            raise Refused(ProbeFailed(ProbeFault.DNS, str(error))) from None
        answers = await asyncio.gather(self._dns.ask(name, "A"), self._dns.ask(name, "AAAA"))
        found = [ipaddress.ip_address(record) for answer in answers if isinstance(answer, Found) for record in answer.records]
        if not found:
            why = next((str(answer) for answer in answers if isinstance(answer, Failed)), "no address")
            raise Refused(ProbeFailed(ProbeFault.DNS, f"{host}: {why}"))
        return found

    async def _greet(self, host: str, ip: IPAddress, port: int) -> SmtpAnswer:
        answer = await self._session(host, ip, port, self._trust)
        if answer.certificate_fault is None:
            return answer
        # What it shows is evidence all the same: DANE needs no public authority (RFC 7672 section 3.1.1). A second connection,
        # since a handshake that failed leaves no certificate behind.
        with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return replace(answer, chain=(await self._session(host, ip, port, _unverified())).chain)
        return answer

    async def _session(self, host: str, ip: IPAddress, port: int, trust: ssl.SSLContext) -> SmtpAnswer:
        reader, writer = await asyncio.open_connection(str(ip), port)
        try:
            banner = await _reply(reader, "220")
            extensions, size = await self._hello(reader, writer)
            if "STARTTLS" not in extensions:
                return SmtpAnswer(banner[0], extensions, size=size)
            writer.write(b"STARTTLS\r\n")  # RFC 3207 section 4
            await _reply(reader, "220")
            try:
                await writer.start_tls(trust, server_hostname=host)
            except ssl.SSLCertVerificationError as error:
                return SmtpAnswer(banner[0], extensions, "unverified", error.verify_message, size)
            made = writer.get_extra_info("ssl_object")
            return SmtpAnswer(banner[0], extensions, made.version(), None, size, _chain(made))
        finally:
            with contextlib.suppress(OSError, ssl.SSLError):
                writer.write(b"QUIT\r\n")
                writer.close()
                await writer.wait_closed()

    async def _hello(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[tuple[str, ...], int | None]:
        """The keywords of the EHLO response, and the number behind SIZE."""
        writer.write(f"EHLO {self._ehlo}\r\n".encode())
        words = [line.upper().split(" ") for line in (await _reply(reader, "250"))[1:]]
        sizes = [
            one[1] for one in words if one[0] == "SIZE" and len(one) > 1 and re.fullmatch(r"[0-9]{1,20}", one[1])
        ]  # RFC 1870
        return tuple(one[0] for one in words), int(sizes[0]) if sizes else None


def _unverified() -> ssl.SSLContext:
    """A context that takes any certificate, to look at it and nothing more."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _chain(made: ssl.SSLObject) -> tuple[bytes, ...]:
    """The certificates in DER as the server sent them, leaf first; Python has the chain in public from 3.13 on."""
    if hasattr(made, "get_unverified_chain"):
        return tuple(made.get_unverified_chain())
    inner: Any = getattr(made, "_sslobj", None)
    sent = inner.get_unverified_chain() if hasattr(inner, "get_unverified_chain") else None
    if sent is not None:
        return tuple(ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in sent)
    leaf = made.getpeercert(binary_form=True)
    return (leaf,) if leaf else ()


async def _reply(reader: asyncio.StreamReader, wanted: str) -> list[str]:
    """The texts of one SMTP reply (RFC 5321 section 4.2). Raises ValueError for another code."""
    texts = []
    for _ in range(MAX_REPLY_LINES):
        line = (await reader.readuntil(b"\n")).decode("latin-1").rstrip("\r\n")
        if line[:3] != wanted:
            raise ValueError(f"the server said {line[:80]!r} where {wanted} was expected")
        texts.append(line[4:])
        if line[3:4] != "-":
            return texts
    raise ValueError("the reply has no end")


class Guarded(httpcore.AsyncNetworkBackend):
    """Connects to the one address that the policy allowed, whatever the name is called.

    `address` says which, and raises Refused where there is none.
    """

    def __init__(self, address: Callable[[str], Awaitable[IPAddress]]) -> None:
        self._address = address
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 -- httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, hold against the policy, connect."""
        ip = await self._address(host)
        return await self._network.connect_tcp(str(ip), port, timeout, local_address, socket_options)


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _tls_or(other: ProbeFault, error: BaseException) -> ProbeFault:
    return ProbeFault.TLS if any(isinstance(cause, ssl.SSLError) for cause in _causes(error)) else other


def told(error: BaseException) -> str:
    """What an error of TLS or of the network says, in one line."""
    verified = next((cause.verify_message for cause in _causes(error) if isinstance(cause, ssl.SSLCertVerificationError)), None)
    return verified or str(error).partition("\n")[0] or type(error).__name__


# --- scripted ----------------------------------------------------------------------------------------------------


class Scripted:
    """Answers from a table, for the examples on rule pages and for tests: what is not listed cannot be reached."""

    def __init__(self, http: Mapping[str, HttpAnswer | ProbeFailed], smtp: Mapping[str, SmtpAnswer | ProbeFailed]) -> None:
        self._http, self._smtp = dict(http), dict(smtp)
        self.asked: list[str] = []  # "GET https://…", in order

    async def get(self, url: str) -> HttpAnswer | ProbeFailed:
        """The answer listed for the URL."""
        self.asked.append(f"GET {url}")
        return self._http.get(url, ProbeFailed(ProbeFault.CONNECT, "not listed"))

    async def post(self, url: str, body: bytes, content_type: str) -> HttpAnswer | ProbeFailed:  # noqa: ARG002 -- the protocol's
        """The answer listed for `POST <URL>`."""
        self.asked.append(f"POST {url}")
        return self._http.get(f"POST {url}", ProbeFailed(ProbeFault.CONNECT, "not listed"))

    async def smtp(self, host: str, port: int = 25) -> SmtpAnswer | ProbeFailed:  # noqa: ARG002 -- as above
        """The answer listed for the host."""
        return self._smtp.get(host, ProbeFailed(ProbeFault.CONNECT, "not listed"))


def scripted(http: Mapping[str, Any], smtp: Mapping[str, Any]) -> Scripted:
    """Make a scripted probe of an example's tables.

    `http."<url>" = { status = 200, headers = { … }, body = "…" }`, the body as text or octets, or a word of ProbeFault in
    capitals ("TIMEOUT");
    `smtp."<host>" = { extensions = ["STARTTLS"], tls = "TLSv1.3", certificate-fault = "…", size = 1000,
    chain = ["-----BEGIN CERTIFICATE-----…"] }` likewise.
    """

    def fault(word: str) -> ProbeFailed:
        return ProbeFailed(ProbeFault(word.lower()), "")

    def web(value: Mapping[str, Any]) -> HttpAnswer:
        headers = tuple((str(name).lower(), str(text)) for name, text in value.get("headers", {}).items())
        body = value.get("body", "")
        return HttpAnswer(int(value.get("status", 200)), headers, body if isinstance(body, bytes) else str(body).encode())

    def mail(value: Mapping[str, Any]) -> SmtpAnswer:
        extensions = tuple(value.get("extensions", ()))
        chain = tuple(ssl.PEM_cert_to_DER_cert(one) for one in value.get("chain", ()))
        fault = value.get("certificate-fault")
        return SmtpAnswer(str(value.get("banner", "mail ESMTP")), extensions, value.get("tls"), fault, value.get("size"), chain)

    return Scripted(
        {url: fault(value) if isinstance(value, str) else web(value) for url, value in http.items()},
        {host: fault(value) if isinstance(value, str) else mail(value) for host, value in smtp.items()},
    )
