"""Rules about what the unsubscribe address says of the recipient (RFC 8058 section 3.1)."""

import base64
import hashlib
import math
import re
from collections.abc import Iterator
from urllib.parse import unquote

from ...engine import rule
from ...facts.headers import Recipients
from ...facts.unsubscribe import ListUnsubscribe
from ...memo import remembered
from ...model import Findings, NotApplicable, Problem
from ...records.unsubscribe import ListedUri
from ...saying import shortened

MIN_TOKEN = 8  # characters, the catalogue's
HARD_TO_FORGE = 64  # bits, the catalogue's; UUIDs have 122
MAX_RECIPIENTS = 10  # held against the address; one-click mail has one recipient

_PIECE = re.compile(r"[^/?&=;,.]+")
_ALPHABETS = ((re.compile(r"[0-9]+\Z"), 10), (re.compile(r"[0-9a-fA-F-]+\Z"), 16), (re.compile(r"[A-Za-z0-9]+\Z"), 36))


@rule("unsubscribe/not-recipient-specific")
def not_recipient_specific(found: ListUnsubscribe, *, min_token: int = MIN_TOKEN) -> Findings:
    web = found.list.of("https")
    if not web:
        raise NotApplicable("List-Unsubscribe has no https address")
    for uri in web:
        if not any(len(piece) >= min_token for piece in _varying(uri)):
            yield Problem(f"{shortened(uri.text, 200)} names no recipient", found.where(uri))


def _varying(uri: ListedUri) -> Iterator[str]:
    """The parts of a URI that can be different for each recipient, without the words that programs use for the page."""
    if uri.query:
        yield "x" * 64  # any query can name the recipient: what it means is the server's business
    for piece in uri.path.split("/"):
        if piece.lower() not in _PAGES and not _PROGRAM.match(piece):
            yield piece
    # A label of the host can be the token as well, if it looks like one
    yield from (label for label in (uri.host or "").split(".")[:-2] if len(label) >= MIN_TOKEN and re.search(r"\d", label))


_PROGRAM = re.compile(r"[A-Za-z_-]{1,40}\.(?:aspx?|cfm|cgi|do|html?|jsp|php|pl)\Z")  # the same for everybody
_PAGES = frozenset(
    {"unsubscribe", "newsletter", "newsletters", "preferences", "subscription", "subscriptions", "one-click", "oneclick"}
    | {"mailinglist", "list-unsubscribe", "email-preferences", "abmelden", "abmeldung", "desabonnement"}
)


@rule("unsubscribe/token-is-address")
def token_is_address(found: ListUnsubscribe, recipients: Recipients) -> Findings:
    web = found.list.web
    if not web:
        raise NotApplicable("List-Unsubscribe has no web address")
    if not recipients.addresses:
        raise NotApplicable("the message names no recipient")
    for uri in web:
        plain = unquote(f"{uri.path}?{uri.query}")
        lowered = plain.lower()
        for address in recipients.addresses[:MAX_RECIPIENTS]:
            for how, derived in _derived(address):
                if derived.lower() in lowered and _rest(plain, derived) < HARD_TO_FORGE:
                    what = "" if how == "itself" else f" as {how}"
                    yield Problem(f"the unsubscribe address says nothing but {shortened(address, 100)}{what}", found.where(uri))
                    break


@remembered(256, 320)  # octets of an address: a local part of 64, a domain of 255 (RFC 5321 section 4.5.3.1)
def _derived(address: str) -> tuple[tuple[str, str], ...]:
    """What anybody can make of a mail address: how, and what comes of it."""
    return tuple(_made_of(address))


def _made_of(address: str) -> Iterator[tuple[str, str]]:
    for text in dict.fromkeys((address, address.lower())):
        octets = text.encode("utf-8", "replace")
        yield "itself", text
        yield "base64", base64.b64encode(octets).decode().rstrip("=")
        yield "base64", base64.urlsafe_b64encode(octets).decode().rstrip("=")
        yield "hexadecimal digits", octets.hex()
        yield "an MD5 hash", hashlib.md5(octets, usedforsecurity=False).hexdigest()
        yield "a SHA-1 hash", hashlib.sha1(octets, usedforsecurity=False).hexdigest()
        yield "a SHA-256 hash", hashlib.sha256(octets).hexdigest()


def _rest(plain: str, derived: str) -> float:
    """The bits of the longest other piece, taking each character as drawn at random from the smallest alphabet that has it."""
    start = plain.lower().index(derived.lower())
    others = _PIECE.findall(plain[:start] + "/" + plain[start + len(derived) :])
    return max((_bits(piece) for piece in others), default=0.0)


def _bits(piece: str) -> float:
    if not re.search(r"\d", piece) and (piece.islower() or piece.isupper()):
        return 0.0  # a word, not a token
    size = next((size for pattern, size in _ALPHABETS if pattern.match(piece)), 64)
    return len(piece) * math.log2(size)
