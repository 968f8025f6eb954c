"""What the page for leaving shows first, opened under the token that the user set up for that, and under no other."""

import re
from dataclasses import dataclass

from ..engine import fact
from ..mime.html import HtmlDocument, HtmlError, parse_html
from ..mime.links import split_url
from ..model import HttpAnswer, NotApplicable, Probe, Unavailable, Where
from .opt_out import OptOutAddresses
from .roots import UnsubscribeTest
from .unsubscribe_links import says_leave

MAX_CONTROLS = 500  # links, buttons and fields of the page that are looked at

_CONTROLS = frozenset({"a", "button", "input"})
LOGIN = re.compile(r"(?i)(?:^|[/?&=._-])(?:log-?in|log-?on|sign-?in|auth)(?:$|[/?&=._-])")


@dataclass(frozen=True, slots=True)
class OptOutPage:
    """The page behind `url`, which stands for the address at `at`; `login`: it wants a login before one can leave."""

    url: str
    at: Where
    login: bool


@fact
async def opt_out_page(probe: Probe, test: UnsubscribeTest, found: OptOutAddresses) -> OptOutPage:
    """Open the test address, never one of the message: that would be a reader's (catalogue T075)."""
    host = split_url(test.url).host_ascii
    at = next((place() for url, place in found.web if split_url(url).host_ascii == host), None)
    if at is None:
        raise NotApplicable(f"the message offers no address on {host}, where the test address is")
    answer = await probe.get(test.url)
    if not isinstance(answer, HttpAnswer):
        raise Unavailable(f"{test.url} was not opened: {answer}", at)
    if 300 <= answer.status < 400:
        return OptOutPage(test.url, at, LOGIN.search(split_url(answer.header("location") or "").path) is not None)
    if answer.status != 200:
        raise Unavailable(f"{test.url} answered {answer.status}", at)
    try:
        page = parse_html(answer.body.decode("utf-8", "replace"))
    except HtmlError as error:
        raise Unavailable(f"{test.url} was not read: {error}", at) from None
    return OptOutPage(test.url, at, _password_first(page))


def _password_first(page: HtmlDocument) -> bool:
    """Whether a field for a password comes before anything by which one can leave."""
    controls = (element for element in page.elements if element.tag in _CONTROLS)
    for control, _ in zip(controls, range(MAX_CONTROLS), strict=False):
        if (control.get("type") or "").strip().lower() == "password":
            return True
        said = " ".join(text.data for text in control.first_texts(MAX_CONTROLS)) + " " + (control.get("value") or "")
        if says_leave(said):
            return False
    return False
