"""Rules about links that lead elsewhere than they seem to."""

import re
from typing import NamedTuple

from ...engine import rule
from ...facts.link_secrets import parameters_of
from ...facts.message import Links
from ...facts.own_domains import OwnDomains
from ...mime.links import Link, split_url
from ...model import Findings, Level, Problem
from ...records.lookalikes import imitates, whole_script
from ...records.names import has_known_suffix, psl_organizational_domain
from ...records.scripts import mixed_scripts
from ...saying import shortened
from ..html import unread
from ._walk import followed

# --- hosts that look like others ---------------------------------------------------------------------------------


@rule("links/lookalike-host")
def lookalike_host(links: Links, own: OwnDomains) -> Findings:
    yield from unread(links)
    told = set()
    for link, _ in followed(links):
        host = (link.host_ascii or "").rstrip(".")
        if host in told or own.same_organization(host) or mixed_scripts(host) is not None:
            continue  # of several scripts headers/mixed-script-domain tells
        told.add(host)
        taken_for, foreign = imitates(host, own.organizations), whole_script(host)
        if taken_for is not None:
            yield Problem(f"the link leads to {host}, which looks like {taken_for}", link.at)
        elif foreign is not None:
            label, script, latin = foreign
            yield Problem(f"the link leads to {host}: “{label}” is {script} throughout and looks like {latin}", link.at)


# --- addresses inside addresses ----------------------------------------------------------------------------------

# What programs call the address they send a reader on to.
_REDIRECTS = frozenset(
    {
        *("url", "uri", "u", "r", "redirect", "redirect_url", "redirecturl", "redirect_to", "redir", "return", "return_url"),
        *("returnurl", "return_to", "next", "goto", "go", "to", "out", "link", "dest", "destination", "target", "continue"),
        *("forward", "location", "q"),
    }
)
_SHARES = re.compile(
    r"share|sharer|intent|submit|translate|login|signin|oauth|authorize|preview|validator|compose|calendar", re.IGNORECASE
)
_SIGNED = re.compile(r"[A-Za-z0-9_+/=.-]{16,}\Z")  # a second value of this form can be what the server checks


class _Nested(NamedTuple):
    """The URL in a parameter, and the name of that parameter."""

    host: str
    name: str


@rule("links/nested-url")
def nested_url(links: Links, own: OwnDomains) -> Findings:
    yield from unread(links)
    told = set()
    for link, shown in followed(links):
        nested = _nested(link)
        if nested is None:
            continue
        outer = psl_organizational_domain((link.host_ascii or "").rstrip("."))
        inside = psl_organizational_domain(nested.host) == outer or own.same_organization(nested.host)
        if inside or (outer, link.url.path) in told:
            continue
        told.add((outer, link.url.path))
        what = f"the link {shown} sends its reader on to {nested.host}, by its parameter {nested.name}"
        yield Problem(what, link.at, None if own.same_organization(outer) else Level.NOTE)


def _nested(link: Link) -> _Nested | None:
    """An address that stands in a parameter in plain sight, and that nothing beside it seems to vouch for."""
    if "=" not in link.url.text:
        return None  # no parameter, and most links have none
    if _SHARES.search(link.url.path[:500]):
        return None
    found = None
    for name, value in parameters_of(link.url):
        inside = (
            split_url(value)
            if name.lower() in _REDIRECTS and value[:8].lower().startswith(("http://", "https://", "//"))
            else None
        )
        host = (inside.host_ascii or "").rstrip(".") if inside is not None else ""
        if found is None and host and has_known_suffix(host):
            found = _Nested(host, shortened(name, 40))
        elif _SIGNED.match(value) and not name.lower().startswith("utm_"):
            return None
    return found
