"""What a URL gives away to whoever sees it: passwords, keys, sessions, and whose mail it stood in.

Pure functions over one URL. A URL stands in browser histories, server logs and Referer fields, and mail is forwarded.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote_plus

from ..memo import remembered
from ..mime.links import Url

MAX_PARAMETERS = 200  # of one URL; browsers and servers stop at a few hundred (PHP: max_input_vars 1,000)
MAX_VALUE = 4_096  # characters of one value that are looked at

# Compared without case, hyphens and underscores.
_PASSWORDS = frozenset(
    {"password", "passwd", "passwort", "kennwort", "motdepasse", "userpassword", "newpassword", "temppassword"}
)
_KEYS = frozenset({"apikey", "apisecret", "clientsecret", "secretkey", "privatekey", "secretaccesskey", "awssecretaccesskey"})
_BEARERS = frozenset({"accesstoken", "refreshtoken", "idtoken", "authtoken", "bearertoken", "bearer", "authorization"})
_SESSIONS = frozenset({"jsessionid", "phpsessid", "cftoken", "connectsid"})  # a sessionId may be that of a conference
_BEARER = "an access token"
_KINDS = (
    (_PASSWORDS, "a password"),
    (_KEYS, "an API key"),
    (_BEARERS, _BEARER),
    (_SESSIONS, "a session"),
)
# Words that a parameter of such a name has when it names an action and holds no secret: ?password=reset
_NO_SECRET = frozenset({"0", "1", "true", "false", "yes", "no", "reset", "forgot", "forgotten", "new", "change", "set", "lost"})
_MIN_SECRET = 4  # characters; ours
_PUBLIC = re.compile(r"pk[._]")  # Mapbox and Stripe call a key so that may be seen by everybody
_KNOWN = (  # keys that say by their form what they are, wherever in a URL they stand; what is in each, and the form
    ("k_live_", re.compile(r"(?<![A-Za-z0-9])[sr]k_live_[0-9A-Za-z]{16,}"), "a secret key of Stripe"),
    ("gh", re.compile(r"(?<![A-Za-z0-9])gh[pousr]_[0-9A-Za-z]{36}"), "a token of GitHub"),
    ("xox", re.compile(r"(?<![A-Za-z0-9])xox[abprs]-[0-9A-Za-z-]{20,}"), "a token of Slack"),
    ("SG.", re.compile(r"(?<![A-Za-z0-9])SG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}"), "an API key of SendGrid"),
)
_JWT = re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}")  # RFC 7519 section 3
_PIECE = re.compile(r"[&;]")
_ASIDE = re.compile(r"[-_.\[\]]")


class Parameter(NamedTuple):
    """One name and value, decoded; of the query, the fragment, or behind a semicolon in the path."""

    name: str
    value: str


class Secret(NamedTuple):
    """What was found and under which name; `is_token` for access tokens and JWTs, which links of one's own may need."""

    what: str
    name: str
    is_token: bool = False


def parameters_of(url: Url) -> tuple[Parameter, ...]:
    """The parameters of a URL. Takes time in proportion to the URL."""
    if "=" not in url.text:
        return ()
    return _parameters_in("&".join(text for text in (url.query, url.fragment, url.path.partition(";")[2]) if text))


@remembered(2048)
def _parameters_in(text: str) -> tuple[Parameter, ...]:
    """The same, each decoded once: several rules ask for those of one URL."""
    found = []
    for piece in _PIECE.split(text, MAX_PARAMETERS)[:MAX_PARAMETERS]:
        name, equals, value = piece.partition("=")
        if equals:
            found.append(Parameter(unquote_plus(name[:MAX_VALUE]), unquote_plus(value[:MAX_VALUE])))
    return tuple(found)


@remembered(1024, 100)
def _kind_of(name: str) -> str | None:
    """What a parameter of a name holds, None for what need not be secret."""
    plain = _ASIDE.sub("", name.lower())
    return next(
        (what for names, what in _KINDS if plain in names or (names is _SESSIONS and plain.startswith("aspsession"))), None
    )


def secrets_in(url: Url) -> Iterator[Secret]:
    """The secrets of one URL."""
    for name, value in parameters_of(url):
        kind = _kind_of(name)
        if kind is not None and len(value) >= _MIN_SECRET and value.lower() not in _NO_SECRET and not _PUBLIC.match(value):
            yield Secret(kind, name, is_token=kind == _BEARER)
    for mark, pattern, what in _KNOWN:
        if mark in url.text and pattern.search(url.text):
            yield Secret(what, "")
    if "eyJ" in url.text and _JWT.search(url.text):
        yield Secret("a signed token (JWT)", "", is_token=True)
