"""Signatures after Standard Webhooks 1.0: HMAC-SHA256 of id, time and body, so that a receiver knows who sent it, and when."""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence

PREFIX = "whsec_"
SECRET = 32  # octets that we make; the standard asks for 24 to 64
LEAST, MOST = 24, 64  # octets of a secret that somebody brings along
TOLERANCE = 300  # seconds that a receiver should allow a clock to be wrong; what older libraries of the standard take


class BadSecret(ValueError):  # noqa: N818 -- reads well in an except clause
    """Not a secret; never shows what it was."""


class BadSignature(ValueError):  # noqa: N818 -- as above
    """Not signed with any of these secrets, or not just now; one clause."""


def new_secret() -> str:
    """`whsec_` and 32 random octets in base 64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET)).decode()


def key_of(secret: str) -> bytes:
    """The octets of a secret. Raises BadSecret."""
    if not secret.startswith(PREFIX):
        raise BadSecret(f"a secret begins with {PREFIX}")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise BadSecret(f"behind {PREFIX} base 64 is wanted") from None
    if not LEAST <= len(key) <= MOST:
        raise BadSecret(f"a secret of {LEAST} to {MOST} octets is wanted")
    return key


def headers(keys: Sequence[str], name: str, at: int, body: bytes) -> dict[str, str]:
    """The three fields of a request: `name` is the event's id, `at` Unix seconds; one signature for each secret."""
    signatures = (base64.b64encode(_mac(secret, name, str(at), body)).decode() for secret in keys)
    return {"webhook-id": name, "webhook-timestamp": str(at), "webhook-signature": " ".join(f"v1,{one}" for one in signatures)}


def verify(secret: str, given: dict[str, str], body: bytes, now: float) -> None:
    """What a receiver does. `given` has the three fields in lower case. Raises BadSignature, BadSecret."""
    name, at, signatures = (given.get(f"webhook-{one}", "") for one in ("id", "timestamp", "signature"))
    if not at.isascii() or not at.isdecimal() or len(at) > 12 or abs(now - int(at)) > TOLERANCE:
        raise BadSignature("it is too old, or of no time")
    wanted = base64.b64encode(_mac(secret, name, at, body))
    for one in signatures.split(" "):
        version, _, signature = one.partition(",")
        if version == "v1" and hmac.compare_digest(signature.encode("utf-8", "replace"), wanted):
            return
    raise BadSignature("no signature is of this secret")


def _mac(secret: str, name: str, at: str, body: bytes) -> bytes:
    return hmac.digest(key_of(secret), f"{name}.{at}.".encode("utf-8", "replace") + body, hashlib.sha256)
