"""Rules about the unsubscribe link in the text: that there is one, that it is seen, that Gmail does not cut it off."""

from ...engine import rule
from ...facts.message import Links
from ...facts.unsubscribe_links import UnsubscribeLinks
from ...mime.links import LinkKind
from ...model import Findings, NotApplicable, Problem, Undetermined
from ...rulefiles import data

GMAIL_CLIP: int = data("gmail-clip")["octets"]


@rule("unsubscribe/no-visible-link")
def no_visible_link(found: UnsubscribeLinks, links: Links, *, url_patterns: tuple[str, ...] = ()) -> Findings:
    if found.each:
        return
    followed = [link.url.text for link in links.each if link.kind is LinkKind.LINK]
    if any(pattern in url for pattern in url_patterns for url in followed):
        return
    if found.unknown is not None:
        yield Undetermined(found.unknown)
        return
    what = f"none of the {len(followed)} links in the text is for unsubscribing" if followed else "the text has no link"
    yield Problem(what, found.shown.where(0))


@rule("unsubscribe/link-hidden")
def link_hidden(found: UnsubscribeLinks) -> Findings:
    if not found.each:
        raise NotApplicable("there is no unsubscribe link in the text")
    if not found.seen:
        for one in found.each:
            yield Problem(f"the unsubscribe link {one.fault}", one.link.at)


@rule("unsubscribe/link-after-clip")
def link_after_clip(found: UnsubscribeLinks, *, max_octets: int = GMAIL_CLIP) -> Findings:
    in_html = [one for one in found.seen if one.link.element is not None and one.link.part is found.shown]
    if not in_html:
        raise NotApplicable("there is no unsubscribe link in HTML")
    before = in_html[0].octets_before
    if before > max_octets:
        yield Problem(f"the first unsubscribe link stands after {before} octets of HTML", in_html[0].link.at)
