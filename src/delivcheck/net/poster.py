"""Posts to URLs that users gave: to public addresses and to named networks only, no redirect followed, over kept connections.

A name is resolved by our own client and the connection goes to the very address that was held against the policy, so a name
that is something else a moment later (DNS rebinding) leads nowhere. TLS is verified for the name in the URL. Plain http is for
the named networks only. What is answered is read to its end or MAX_BODY, whichever comes first, and forgotten: nobody learns
by way of us what a server says.
"""

import asyncio
import ipaddress
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Self
from urllib.parse import urlsplit

import httpcore

from ..model import Dns, IPAddress
from ..records.names import BadName, to_ascii, unmapped
from . import probe

TIMEOUT = 15.0  # seconds for one request, from the question for its address on; Svix's
MAX_BODY = 65_536  # octets of an answer that are read, so that the connection can be kept
MAX_URL = 2_000  # characters: what fits everywhere
CONNECTIONS = 128  # open at a time; kept ones count
KEPT = 32  # of those without work
KEEP = 30.0  # seconds; common servers close idle ones after 60 to 75
MAX_RETRY_AFTER = 86_400  # seconds that a server may ask us to wait

_TARGET = re.compile(r"[!-~]*", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


class BadUrl(ValueError):  # noqa: N818 -- reads well in an except clause
    """Nothing can be posted there; one clause."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What came of it: the status, or None and what went wrong. `retry_after` is what the server asked for, in seconds."""

    status: int | None
    error: str = ""
    retry_after: int | None = None

    @property
    def ok(self) -> bool:
        """Any 2xx."""
        return self.status is not None and 200 <= self.status < 300


def checked(url: str, networks: Sequence[IPv4Network | IPv6Network] = ()) -> str:
    """A URL as it is kept, its host in ASCII. Says what can be known without asking DNS. Raises BadUrl."""
    if len(url) > MAX_URL:
        raise BadUrl(f"a URL of {MAX_URL} characters at most is wanted")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise BadUrl("it is no URL") from None
    if parts.scheme not in {"https", "http"} or not host:
        raise BadUrl("a URL such as https://app.example.com/hooks is wanted")
    if "@" in parts.netloc:
        raise BadUrl("a URL without user and password is wanted: requests are signed")
    if parts.fragment or not _TARGET.fullmatch(parts.path + parts.query):
        raise BadUrl("a URL without a fragment, and with %XX for all that is not ASCII, is wanted")
    literal = _literal(host)
    if literal is not None:
        name = f"[{literal}]" if literal.version == 6 else str(literal)
        if not probe.public(literal) and not _within(literal, networks):
            raise BadUrl(f"{name} is no public address, and in none of the networks that are allowed")
    else:
        try:
            name = to_ascii(host)
        except BadName as error:
            raise BadUrl(f"{host!r}: {error}") from None
        if "." not in name.rstrip(".") and not networks:
            raise BadUrl(f"{name!r} is no public host's name")
    if parts.scheme == "http" and not networks:
        raise BadUrl("https is wanted: http is for private networks that the configuration allows")
    where = name if port is None else f"{name}:{port}"
    return f"{parts.scheme}://{where}{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"


class Poster:
    """One for a process, in one event loop. `networks` are those beside the public Internet."""

    def __init__(
        self,
        dns: Dns,
        networks: Sequence[IPv4Network | IPv6Network] = (),
        *,
        timeout: float = TIMEOUT,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._timeout = timeout
        trust = trust or ssl.create_default_context()

        def pool(policy: probe.AddressPolicy) -> httpcore.AsyncConnectionPool:
            return httpcore.AsyncConnectionPool(
                ssl_context=trust,
                max_connections=CONNECTIONS,
                max_keepalive_connections=KEPT,
                keepalive_expiry=KEEP,
                network_backend=probe.Guarded(probe.Live(dns, policy, trust=trust).address),
            )

        self._pools = {
            "https": pool(lambda ip: probe.public(ip) or _within(ip, networks)),
            "http": pool(lambda ip: _within(ip, networks)),
        }

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Posted:
        """Post once. Never raises but for cancellation."""
        pool = self._pools.get(url.partition(":")[0])
        if pool is None:
            return Posted(None, "neither https nor http")
        try:
            async with (
                asyncio.timeout(self._timeout),
                pool.stream("POST", url, headers=list(headers.items()), content=body) as got,
            ):
                left = MAX_BODY
                async for chunk in got.aiter_stream():
                    left -= len(chunk)
                    if left < 0:
                        break
                return Posted(got.status, _said(got.status), _retry_after(got.headers))
        except probe.Refused as refused:
            return Posted(None, refused.failed.detail)
        except TimeoutError:
            return Posted(None, f"no answer within {self._timeout:g} s")
        except (
            *(httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, httpcore.TimeoutException),
            *(OSError, UnicodeError, ValueError, TypeError),
        ) as error:
            return Posted(None, probe.told(error)[:200])

    async def close(self) -> None:
        """Let go of all connections."""
        for pool in self._pools.values():
            await pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _literal(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _within(ip: IPAddress, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    address = unmapped(ip)
    return any(address.version == one.version and address in one for one in networks)


def _said(status: int) -> str:
    if 300 <= status < 400:
        return f"it answered {status}: redirects are not followed"
    return "" if 200 <= status < 300 else f"it answered {status}"


def _retry_after(headers: Sequence[tuple[bytes, bytes]]) -> int | None:
    """Seconds only: a date says nothing where the server's clock is wrong (RFC 9110 section 10.2.3)."""
    for name, value in headers:
        text = value.decode("latin-1").strip()
        if name.lower() == b"retry-after" and _SECONDS.fullmatch(text):
            return min(int(text), MAX_RETRY_AFTER)
    return None
