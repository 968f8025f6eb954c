"""How sending services prove that a request is theirs. Pure: keys and certificates are given; time is, too.

Postmark signs nothing (a password of HTTP Basic, or the path, is its proof); Mailgun has an HMAC over time and token,
SendGrid ECDSA over time and body, Amazon SNS RSA over named fields, by a certificate that stands at Amazon.

Read 2026-11-23: documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks and webhook-retries,
docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html and its page on HTTP (stored copies), and SendGrid's
getting-started-event-webhook.md and -security-features.md (github.com/sendgrid/docs, 2021-06-11); the example in SendGrid's own
Node.js library verifies here.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

MAILGUN_WINDOW = 43_200  # seconds: it tries for 8 hours, with the signature of the first time
SENDGRID_WINDOW = 90_000  # seconds: it tries for 24 hours
AHEAD = 300  # seconds that a service's clock may be ahead of ours
MAX_FIELD = 1_000_000  # characters of what SNS signs: a notification has at most 256 KB

_HOST = re.compile(r"sns\.([a-z]{2}(?:-[a-z]+)+-\d{1,2})\.amazonaws\.com(?:\.cn)?", re.ASCII)
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9a-f]{8,64}\.pem", re.ASCII)
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_HASHES: Mapping[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303 -- version 1 is what SNS signs with unless a topic says 2


def basic(header: str, user: str, password: str) -> bool:
    """Whether an Authorization header has this user and password."""
    scheme, _, given = header.partition(" ")
    if scheme.lower() != "basic":
        return False
    return hmac.compare_digest(given.strip().encode(), base64.b64encode(f"{user}:{password}".encode()))


def same(given: str, secret: str) -> bool:
    """Whether two secrets are one."""
    return hmac.compare_digest(hashlib.sha256(given.encode()).digest(), hashlib.sha256(secret.encode()).digest())


def mailgun(signature: Any, key: str, now: float) -> bool:
    """`signature` is the member of that name: timestamp, token, signature; of a subaccount's events its parent's as well."""
    if not isinstance(signature, Mapping):
        return False
    timestamp, token = (str(signature.get(name, "")) for name in ("timestamp", "token"))
    if not _within(timestamp, now, MAILGUN_WINDOW) or not 20 <= len(token) <= 100:
        return False
    wanted = hmac.new(key.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    given = [str(signature.get(name, "")).lower().encode("utf-8", "replace") for name in ("signature", "parent-signature")]
    return any(hmac.compare_digest(wanted.encode(), one) for one in given)


def sendgrid(key: str, body: bytes, signature: str, timestamp: str, now: float) -> bool:
    """`key` is what SendGrid shows: base 64 of a DER public key; PEM is taken as well."""
    if not _within(timestamp, now, SENDGRID_WINDOW):
        return False
    try:
        text = "".join(line for line in key.split() if not line.startswith("-----") and line not in {"PUBLIC", "BEGIN", "END"})
        public = serialization.load_der_public_key(base64.b64decode(text.replace("KEY-----", ""), validate=False))
        if not isinstance(public, ec.EllipticCurvePublicKey):
            return False
        public.verify(base64.b64decode(signature, validate=True), timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    except (ValueError, TypeError, binascii.Error, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _within(timestamp: str, now: float, window: int) -> bool:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        return False
    return -AHEAD <= now - int(timestamp) <= window


# --- Amazon SNS --------------------------------------------------------------------------------------------------


def of_amazon(url: str, topic: str, *, certificate: bool) -> bool:
    """Whether a URL is SNS's own, in the topic's region: of a signing certificate, or one that confirms a subscription."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme != "https" or port is not None or "@" in parts.netloc or not url.isascii() or not url.isprintable():
        return False
    host = _HOST.fullmatch(parts.netloc)
    if host is None or topic.split(":")[3:4] != [host[1]]:
        return False
    if certificate:
        return _CERTIFICATE.fullmatch(parts.path) is not None and not parts.query and not parts.fragment
    return parts.path in {"", "/"} and "Action=ConfirmSubscription" in parts.query.split("&") and not parts.fragment


def sns(message: Mapping[str, Any], certificate: bytes) -> bool:
    """Whether Amazon signed this message. `certificate` is what stands at its SigningCertURL, PEM."""
    names = _NOTIFICATION if message.get("Type") == "Notification" else _CONFIRMATION
    algorithm = _HASHES.get(str(message.get("SignatureVersion")))
    if algorithm is None:
        return False
    signed = []
    for name in names:
        value = message.get(name)
        if value is None and name == "Subject":
            continue
        if not isinstance(value, str) or len(value) > MAX_FIELD:
            return False
        signed.append(f"{name}\n{value}\n")
    try:
        key = x509.load_pem_x509_certificate(certificate).public_key()
        if not isinstance(key, rsa.RSAPublicKey):
            return False
        given = base64.b64decode(str(message.get("Signature", "")), validate=True)
        key.verify(given, "".join(signed).encode(), padding.PKCS1v15(), algorithm)
    except (ValueError, TypeError, binascii.Error, InvalidSignature, UnsupportedAlgorithm, UnicodeEncodeError):
        return False
    return True
