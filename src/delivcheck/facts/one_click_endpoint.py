"""What the one-click endpoint answers, tried under the token that the user set up for that, and under no other."""

from dataclasses import dataclass
from secrets import token_hex

from ..engine import fact
from ..mime.html import Element, HtmlError, parse_html
from ..mime.links import split_url
from ..model import HttpAnswer, NotApplicable, Probe, ProbeFailed, Where
from ..records.unsubscribe import POST_VALUE
from ..rulefiles import data
from .opt_out_page import LOGIN
from .roots import UnsubscribeTest
from .unsubscribe import ListUnsubscribe, OneClick
from .unsubscribe_links import says_leave

MAX_FORMS = 20  # forms of the answer that are looked at; a page has two or three
MAX_BUTTONS = 20  # of one form


@dataclass(frozen=True, slots=True)
class OneClickAnswer:
    """What the endpoint answered to one encoding of the body; `asks` says what a page of status 200 still wants."""

    encoding: str
    answer: HttpAnswer | ProbeFailed
    asks: str | None = None


@dataclass(frozen=True, slots=True)
class OneClickAnswers:
    """The endpoint's answers; `at` is the place of the address in the message on whose host it is, `url` was posted to."""

    at: Where
    url: str
    each: tuple[OneClickAnswer, ...]


@fact
async def one_click_answers(
    probe: Probe,
    test: UnsubscribeTest,
    offered: ListUnsubscribe,
    post: OneClick,  # noqa: ARG001 -- without it nobody posts
) -> OneClickAnswers:
    """Post to the test address, in both encodings that RFC 8058 section 3.1 has, one after the other.

    Never to the address in the message: that would unsubscribe the person it was made for (catalogue T075). The test address
    stands for it when it lies on the same host.
    """
    wanted = split_url(test.url)
    uri = next((uri for uri in offered.list.of("https") if _origin(uri.text) == _origin(test.url)), None)
    if uri is None:
        raise NotApplicable(f"List-Unsubscribe has no https address on {wanted.host_ascii}, where the test address is")
    boundary = f"delivcheck-{token_hex(8)}"
    name, _, value = POST_VALUE.partition("=")
    multipart = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n--{boundary}--\r\n'
    bodies = (
        ("application/x-www-form-urlencoded", "application/x-www-form-urlencoded", POST_VALUE),
        ("multipart/form-data", f"multipart/form-data; boundary={boundary}", multipart),  # RFC 7578 section 4.1
    )
    found = []
    for encoding, content_type, body in bodies:
        answer = await probe.post(test.url, body.encode("ascii"), content_type)
        asks = _asks(answer) if isinstance(answer, HttpAnswer) and 200 <= answer.status < 300 else None
        found.append(OneClickAnswer(encoding, answer, asks))
    return OneClickAnswers(offered.where(uri), test.url, tuple(found))


def _origin(url: str) -> tuple[str | None, str | None, str]:
    parts = split_url(url)
    return parts.scheme, parts.host_ascii, parts.port or "443"


def _asks(answer: HttpAnswer) -> str | None:
    """What a page still wants of the reader: RFC 8058 section 3.1 has the POST itself be the whole of it."""
    try:
        page = parse_html(answer.body.decode("utf-8", "replace"))
    except HtmlError:
        return None
    if any((field.get("type") or "").strip().lower() == "password" for field in page.all("input")):
        return "a password"
    if any((meta.get("http-equiv") or "").strip().lower() == "refresh" and _to_login(meta) for meta in page.all("meta")):
        return "a log-in"
    for number, form in enumerate(page.all("form")):
        if number == MAX_FORMS:
            break
        said = " ".join([form.text, *(field.get("value") or "" for field in form.descendants if field.tag == "input")])
        if ((form.get("method") or "").strip().lower() == "post" and says_leave(said)) or _confirms(form):
            return "a second confirmation"
    return None


def _to_login(meta: Element) -> bool:
    """Whether a page goes on to a log-in by itself: `content="0; url=/login"` (HTML section 4.2.5.3)."""
    _, _, target = (meta.get("content") or "").partition("=")
    return LOGIN.search(split_url(target.strip(" '\"")).path) is not None


def _confirms(form: Element) -> bool:
    """Whether a button of a form says that it confirms or leaves; "Tell us why" does not."""
    buttons = (one for one in form.descendants if one.tag in {"button", "input"})
    for button, _ in zip(buttons, range(MAX_BUTTONS), strict=False):
        if button.tag == "input" and (button.get("type") or "").strip().lower() not in {"submit", "image", "button"}:
            continue
        said = f"{button.text} {button.get('value') or ''} {button.get('alt') or ''}"
        if says_leave(said) or any(word in said.casefold() for word in data("acting-words")["confirming"]):
            return True
    return False
