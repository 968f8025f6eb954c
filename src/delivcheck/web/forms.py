"""Reading a form: within limits of size and time, and only from a page of ours (no cross-site request forgery).

Three things must be true of each POST: the browser says that it comes from this site (Sec-Fetch-Site, or Origin where that is
not sent: over plain HTTP), the session's cookie is SameSite=Strict, and the form holds the visitor's token.
"""

import asyncio
import hmac
from collections.abc import AsyncGenerator
from urllib.parse import parse_qsl, urlsplit

from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from .site import Form, Refusal

FIELDS = 600  # of one form: two for each of the rows that a page shows, and some
FORM = 262_144  # octets of a form without a message; nginx takes 1 MiB by default
AROUND = 65_536  # octets that multipart puts around a message
PATIENCE = 30.0  # seconds that a body may take to come, as nginx's client_body_timeout (60) halved
TOKEN = "token"

_FROM_ELSEWHERE = "this form was not sent from a page of this site"


def hold_origin(request: Request, public_url: str | None) -> None:
    """Raises Refusal for a request that another site's page made."""
    fetched = request.headers.get("sec-fetch-site")
    if fetched is not None:
        if fetched not in {"same-origin", "none"}:  # "none": the person's own doing, a page loaded again
            raise Refusal(403, _FROM_ELSEWHERE)
        return
    # Browsers send Sec-Fetch-Site only to secure places (W3C Fetch Metadata section 2), Origin with every POST.
    host = request.headers.get("host", "")
    known = {f"{scheme}://{host}".lower() for scheme in ("http", "https") if host}
    if public_url is not None:
        parts = urlsplit(public_url)
        known.add(f"{parts.scheme}://{parts.netloc}".lower())
    if request.headers.get("origin", "").lower() not in known:
        raise Refusal(403, _FROM_ELSEWHERE)


def hold_token(form: Form, token: str) -> None:
    """Raises Refusal for a form without the visitor's token: another's, or of a session that is over."""
    if not hmac.compare_digest(form.get(TOKEN).encode(), token.encode()):
        raise Refusal(403, "this form is of another session; please load the page again")


async def read(request: Request, most: int = FORM) -> Form:
    """The form. Raises Refusal: too large, too slow, or no form at all."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        raise Refusal(415, "a form was expected")
    body = await _body(request, most)
    if kind == "application/x-www-form-urlencoded":
        return _urlencoded(body)
    return await _multipart(request, body)


async def _body(request: Request, most: int) -> bytes:
    said = request.headers.get("content-length", "0")
    if not said.isascii() or not said.isdigit() or len(said) > 15 or int(said) > most:
        raise Refusal(413, f"more than {most:,} octets were sent")
    body = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise Refusal(413, f"more than {most:,} octets were sent")
    except TimeoutError:
        raise Refusal(408, "the form came too slowly") from None
    except ClientDisconnect:
        raise Refusal(400, "the form did not come whole") from None
    return bytes(body)


def _urlencoded(body: bytes) -> Form:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=FIELDS)
    except ValueError:  # UnicodeDecodeError is one
        raise Refusal(400, "the form cannot be read") from None
    fields: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        fields[name] = (*fields.get(name, ()), value)
    return Form(fields)


async def _multipart(request: Request, body: bytes) -> Form:
    # As Starlette reads it: it would decode fields with any codec of Python's, some of which take quadratic time (punycode).
    charset = parse_options_header(request.headers["content-type"])[1].get(b"charset", b"utf-8")
    if charset.lower() != b"utf-8":
        raise Refusal(415, "a form in UTF-8 was expected")

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(request.headers, stream(), max_files=2, max_fields=FIELDS, max_part_size=max(len(body), 1))
    fields: dict[str, tuple[str, ...]] = {}
    files: dict[str, bytes] = {}
    try:
        found = await parser.parse()
        for name, value in found.multi_items():
            if isinstance(value, UploadFile):
                files[name] = await value.read()
            else:
                fields[name] = (*fields.get(name, ()), value)
        await found.close()
    except (MultiPartException, UnicodeError, KeyError, ValueError):
        raise Refusal(400, "the form cannot be read") from None
    return Form(fields, files)
