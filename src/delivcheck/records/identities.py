"""What a configuration says of who sends: From addresses, domains, sending addresses, the address to try unsubscribing at."""

import ipaddress
from urllib.parse import urlsplit

from ..model import IPAddress
from .names import BadName, is_hostname, to_ascii, unmapped


class BadIdentity(ValueError):  # noqa: N818 -- reads well in an except clause
    """Not what it should be; the text says what it is not."""


def author(text: str) -> str:
    """A From address as it is compared: lower case, the domain in A-labels. Raises BadIdentity."""
    local, _, domain = text.strip().rpartition("@")
    if not local:
        raise BadIdentity(f"{text!r} is no mail address")
    try:
        return f"{local.lower()}@{to_ascii(domain)}"
    except BadName as error:
        raise BadIdentity(f"{text!r} is no mail address: {error}") from None


def own_domain(text: str) -> str:
    """A domain of the sender's as names are compared: lower-case A-labels. Raises BadIdentity."""
    try:
        name = to_ascii(text)
    except BadName as error:
        raise BadIdentity(f"{text!r} is no domain: {error}") from None
    if not is_hostname(name):  # an address, a URL, a pattern
        raise BadIdentity(f"{text!r} is no domain")
    return name


def sending_address(text: str) -> IPAddress:
    """A sending address, never IPv4-mapped. Raises BadIdentity."""
    try:
        return unmapped(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise BadIdentity(f"{text!r} is no IP address") from None


def test_url(text: str) -> str:
    """An https address that can be posted to; RFC 8058 section 3.1 knows no other. Raises BadIdentity."""
    try:
        parts = urlsplit(text)
        fine = parts.scheme == "https" and parts.hostname and parts.username is None and (parts.port or 443) > 0
    except ValueError:
        fine = False
    if not fine or not text.isascii() or not text.isprintable() or " " in text:
        raise BadIdentity(f"{text!r} is no https address")
    return text
