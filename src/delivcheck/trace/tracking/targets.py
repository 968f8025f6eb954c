"""Which links may be rewritten, and the URL that a rewritten one leads to. Where there is doubt, a link stays as it is."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from urllib.parse import quote

from ...facts.link_secrets import parameters_of, secrets_in
from ...facts.unsubscribe_links import says_leave
from ...mime.links import Url, split_url
from ...records.names import psl_organizational_domain
from ...rulefiles import data

# Characters of a URL that is rewritten, and of what comes of it: Outlook breaks links at 2,083 (mime/links.py).
MAX_URL = 1_400
MAX_REWRITTEN = 2_000

_WEB = re.compile(r"https?://[^/\\?#]", re.IGNORECASE)
# What an engine left behind, or a system that comes after us fills in: {{ }}, {% %}, *|MERGE|*, %%x%%, [[x]], <% %>, ${x}
_LEFTOVER = re.compile(r"[{}]|\*\||\|\*|%%|\[\[|\]\]|<%|%>|%7b%7b|%7b%25|\$%7b", re.IGNORECASE)
_SITE = re.compile(r"(?:https?://|www\.)[^\s<>\"]+", re.IGNORECASE)
_DOMAIN = re.compile(r"[^\s@/]+\.[^\W\d_]{2,}(?:/\S*)?\Z")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_NOT_IN_URL = re.compile(r"[^!#-;=?-~]+")  # printable ASCII without quotation mark and angle brackets
_WORD = re.compile(r"[a-z0-9]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Exceptions:
    """Links that are left alone: those of List-Unsubscribe, our own, and what the operator named.

    A pattern with "://" is held against the whole URL, one without against the host; "*" stands for anything.
    """

    own: str = ""  # our endpoints begin so
    leaving: frozenset[str] = frozenset()  # URIs of List-Unsubscribe
    patterns: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def _secret_words() -> tuple[frozenset[str], frozenset[str]]:
    book = data("tracking-exceptions")
    return frozenset(book["parameters"]), frozenset(book["path"])


@lru_cache(maxsize=1)
def _leave_words() -> Sequence[str]:
    return tuple(data("unsubscribe-words")["in-urls"])


def target(value: str, exceptions: Exceptions, *, text: str = "", utf8: bool = True) -> str | None:
    """Where a link leads, as an ASCII URL that goes into a Location field; None where the link is left alone.

    `value` is the attribute's value, references resolved; `text` what the reader sees of the link; `utf8` whether the document
    is UTF-8 or ASCII: in others browsers encode a query in the document's charset (URL Standard section 4.4), and we do not.
    """
    if len(value) > MAX_URL:
        return None
    url = split_url(value)
    if url.scheme not in {"http", "https"} or not _WEB.match(url.text) or _CONTROLS.search(url.text):
        return None
    if url.userinfo is not None or not url.host_ascii or "%" in url.host_ascii or "\\" in url.text:
        return None
    if _LEFTOVER.search(url.text) or (not utf8 and not url.text.isascii()):
        return None
    if says_leave(text) or any(word in url.text.lower() for word in _leave_words()) or url.text in exceptions.leaving:
        return None
    if _is_secret(url):
        return None
    port = "" if url.port is None else f":{url.port}"
    found = f"{url.scheme}://{url.host_ascii}{port}{_ascii(url)}"
    if exceptions.own and found.startswith(exceptions.own):
        return None
    host = url.host_ascii.rstrip(".")
    if _shows_another_site(text, exceptions.own):
        return None
    if any(fnmatchcase(found if "://" in one else host, one) for one in exceptions.patterns):
        return None
    return found if len(found) <= MAX_URL else None


def redirectable(url: str) -> bool:
    """Whether a URL out of a token is what `target` makes: the collector asks again, whoever sealed it (attack 66)."""
    return bool(_WEB.match(url)) and not _NOT_IN_URL.search(url) and "\\" not in url and split_url(url).userinfo is None


def _shows_another_site(text: str, own: str) -> bool:
    """Whether a reader would see one site and be led to another: what links/text-shows-another-site warns of."""
    found = _SITE.search(text) or _DOMAIN.match(text.strip())
    if found is None:
        return False
    shown = split_url(found[0] if "://" in found[0] else f"https://{found[0]}").host_ascii or ""
    ours = split_url(own).host_ascii or ""
    return psl_organizational_domain(shown.rstrip(".")) != psl_organizational_domain(ours)


def _ascii(url: Url) -> str:
    """Path, query and fragment, with percent-encoding where a browser would put it."""
    rest = url.path
    rest += "" if url.query is None else f"?{url.query}"
    rest += "" if url.fragment is None else f"#{url.fragment}"
    return _NOT_IN_URL.sub(lambda found: quote(found[0], safe="", errors="replace"), rest)


def _is_secret(url: Url) -> bool:
    """Whether it lets somebody in, or is good once: see rules/data/tracking-exceptions.toml."""
    parameters, path = _secret_words()
    if not parameters.isdisjoint(word for name, _ in parameters_of(url) for word in _words(name)):
        return True
    return not path.isdisjoint(_words(url.path)) or next(secrets_in(url), None) is not None


def _words(text: str) -> list[str]:
    """Words as they are written, camel case taken apart, and the whole without what stands between."""
    found = _WORD.findall(_CAMEL.sub(" ", text).lower())
    return [*found, *_WORD.findall(text.lower()), "".join(found)]
