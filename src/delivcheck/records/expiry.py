"""Until when an address works, as far as it says so itself: in a parameter, or in a JSON Web Token (RFC 7519)."""

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote

MAX_URL = 8_192  # characters looked at; servers stop there or before (nginx: 8 KB for a header line)

_NAMES = frozenset({
    "exp", "expire", "expires", "expiry", "expiration", "expires_at", "expires-at", "expiresat", "expire_at", "expireat",
    "exp_at", "expiry_date", "expirydate", "expiration_date", "valid_until", "valid-until", "validuntil", "valid_to",
    "validto",
})  # fmt: skip
_TOKEN = re.compile(r"[A-Za-z0-9_-]{4,2000}\.([A-Za-z0-9_-]{4,4000})\.[A-Za-z0-9_-]{0,2000}\Z")  # RFC 7515 section 3.1
_SECONDS, _MILLISECONDS = 10, 13  # digits of a Unix time between 2001 and 2286


def expiries(url: str) -> Iterator[tuple[str, datetime]]:
    """What says so, and the time, always with a zone; never raises. Seconds to live say nothing without their start."""
    path, _, query = url[:MAX_URL].partition("#")[0].partition("?")
    pairs = parse_qsl(query, errors="replace")
    for name, value in pairs:
        time = _time(value.strip()) if name.strip().lower() in _NAMES else None
        if time is not None:
            yield f"{name}={value}", time
    for value in (*(value for _, value in pairs), *(unquote(piece) for piece in path.split("/"))):
        time = _of_token(value)
        if time is not None:
            yield "exp of its token", time


def _time(text: str) -> datetime | None:
    if text.isascii() and text.isdigit() and len(text) in {_SECONDS, _MILLISECONDS}:
        return datetime.fromtimestamp(int(text[:_SECONDS]), UTC)
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def _of_token(text: str) -> datetime | None:
    """The exp claim (RFC 7519 section 4.1.4) of a token that is not encrypted."""
    token = _TOKEN.match(text)
    if token is None:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(token[1] + "=" * (-len(token[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    exp = claims.get("exp") if isinstance(claims, dict) else None
    if isinstance(exp, bool) or not isinstance(exp, int | float) or not 10 ** (_SECONDS - 1) <= exp < 10**_SECONDS:
        return None
    return datetime.fromtimestamp(int(exp), UTC)
