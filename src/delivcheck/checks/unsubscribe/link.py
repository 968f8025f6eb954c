"""Rules about the unsubscribe link in the text: that there is one, that it is seen, that Gmail does not cut it off."""

from ...engine import rule
from ...facts.jurisdictions import Jurisdictions
from ...facts.message import Links
from ...facts.unsubscribe_links import UnsubscribeLinks
from ...mime.links import LinkKind
from ...model import Findings, NotApplicable, Problem, Undetermined
from ...rulefiles import data

GMAIL_CLIP: int = data("gmail-clip")["octets"]


@rule("unsubscribe/no-visible-link")
def no_visible_link(
    found: UnsubscribeLinks, links: Links, where: Jurisdictions | NotApplicable, *, url_patterns: tuple[str, ...] = ()
) -> Findings:
    if found.beside:
        return
    # A reader of the HTML does not see what its plain text has.
    followed = [link.url.text for link in links.each if link.kind is LinkKind.LINK and link.part not in found.instead]
    if any(pattern in url for pattern in url_patterns for url in followed):
        return
    if found.unknown is not None:
        yield Undetermined(found.unknown)
        return
    what = f"none of the {len(followed)} links in the text is for unsubscribing" if followed else "the text has no link"
    yield Problem(f"{what}{_asked_for(where)}", found.shown.where(0))


def _asked_for(where: Jurisdictions | NotApplicable) -> str:
    """Which laws ask for it too: one cause, one finding (catalogue LEGAL002)."""
    try:
        return f"; asked for by {where.law('opt-out')}" if isinstance(where, Jurisdictions) else ""
    except NotApplicable:
        return ""


@rule("unsubscribe/link-hidden")
def link_hidden(found: UnsubscribeLinks) -> Findings:
    if not found.beside:
        raise NotApplicable("there is no unsubscribe link in the text")
    if all(one.fault is not None for one in found.beside):
        for one in found.beside:
            yield Problem(f"the unsubscribe link {one.fault}", one.link.at)


@rule("unsubscribe/link-after-clip")
def link_after_clip(found: UnsubscribeLinks, *, max_octets: int = GMAIL_CLIP) -> Findings:
    in_html = [one for one in found.seen if one.link.element is not None and one.link.part is found.shown]
    if not in_html:
        raise NotApplicable("there is no unsubscribe link in HTML")
    before = in_html[0].octets_before
    if before > max_octets:
        yield Problem(f"the first unsubscribe link stands after {before} octets of HTML", in_html[0].link.at)
