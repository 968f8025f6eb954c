"""Rules about what links give away (family links)."""

from collections.abc import Iterator
from urllib.parse import unquote

from ..engine import rule
from ..facts.headers import Recipients
from ..facts.identity import FromDomain
from ..facts.link_secrets import MAX_VALUE, secrets_in
from ..facts.message import Links
from ..facts.roots import Declared
from ..mime.links import Link
from ..model import Findings, NotApplicable, Problem, Unavailable
from ..records.names import is_within, psl_organizational_domain
from .links import is_unrendered, unread

MAX_RECIPIENTS = 10  # looked for in each link; mail with personal links has one

MaybeDomain = FromDomain | NotApplicable | Unavailable


def _web(links: Links) -> Iterator[Link]:
    """Each http and https URL of a part once."""
    seen = set()
    for link in links.each:
        if link.scheme in {"http", "https"} and link.raw not in seen and not is_unrendered(link):
            seen.add(link.raw)
            yield link


def _bare(link: Link) -> str:
    """A URL without its query: what is secret in it must not get into a report."""
    return f"{link.scheme}://{link.host_ascii or ''}{link.url.path.partition(';')[0][:60]}"


@rule("links/secret-in-url")
def secret_in_url(links: Links, declared: Declared, sender: MaybeDomain) -> Findings:
    yield from unread(links)
    own = [name.lower().rstrip(".") for name in declared.owned_domains]
    if isinstance(sender, FromDomain):
        own.append(psl_organizational_domain(sender.name))
    for link in _web(links):
        host = (link.host_ascii or "").rstrip(".")
        for secret in secrets_in(link.url):
            if secret.is_token and any(is_within(host, name) for name in own):
                continue  # the link that resets a password, or leaves a list: the token is what makes it work
            named = f" in the parameter {secret.name[:40]}" if secret.name else ""
            yield Problem(f"the link to {_bare(link)} carries {secret.what}{named}", link.at)


@rule("links/recipient-in-url")
def recipient_in_url(links: Links, recipients: Recipients) -> Findings:
    yield from unread(links)
    wanted = [address.lower() for address in dict.fromkeys(recipients.addresses[:MAX_RECIPIENTS]) if "@" in address]
    if not wanted:
        raise NotApplicable("no recipient is known")
    told = set()
    for link in _web(links):
        host = link.host_ascii or ""
        text = unquote(link.url.text[: 4 * MAX_VALUE]).lower()
        if host not in told and any(address in text for address in wanted):
            told.add(host)
            yield Problem(f"the link to {_bare(link)} has the recipient's address in it", link.at)
