"""Rules about what links give away."""

from collections.abc import Iterator
from urllib.parse import unquote

from ...engine import rule
from ...facts.headers import Recipients
from ...facts.link_secrets import MAX_VALUE, secrets_in
from ...facts.message import Links
from ...facts.own_domains import OwnDomains
from ...mime.links import Link
from ...model import Findings, NotApplicable, Problem
from ...saying import shortened
from ..html import unread

MAX_RECIPIENTS = 10  # looked for in each link; mail with personal links has one


def _once(links: Links) -> Iterator[Link]:
    """Each http and https URL of a part once."""
    seen = set()
    for link in links.web:
        if link.raw not in seen:
            seen.add(link.raw)
            yield link


def _bare(link: Link) -> str:
    """A URL without its query: what is secret in it must not get into a report."""
    return f"{link.scheme}://{link.host_ascii or ''}{shortened(link.url.path.partition(';')[0], 60)}"


@rule("links/secret-in-url")
def secret_in_url(links: Links, own: OwnDomains) -> Findings:
    yield from unread(links)
    for link in _once(links):
        for secret in secrets_in(link.url):
            if secret.is_token and own.has(link.host_ascii):
                continue  # the link that resets a password, or leaves a list: the token is what makes it work
            named = f" in the parameter {shortened(secret.name, 40)}" if secret.name else ""
            yield Problem(f"the link to {_bare(link)} carries {secret.what}{named}", link.at)


@rule("links/recipient-in-url")
def recipient_in_url(links: Links, recipients: Recipients) -> Findings:
    yield from unread(links)
    wanted = [address.lower() for address in dict.fromkeys(recipients.addresses[:MAX_RECIPIENTS]) if "@" in address]
    if not wanted:
        raise NotApplicable("no recipient is known")
    told = set()
    for link in _once(links):
        host = link.host_ascii or ""
        text = unquote(link.url.text[: 4 * MAX_VALUE]).lower()
        if host not in told and any(address in text for address in wanted):
            told.add(host)
            yield Problem(f"the link to {_bare(link)} has the recipient's address in it", link.at)
