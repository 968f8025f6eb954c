"""What is taken out of a header: results in our own name, and the fields by which a client tells the gate something."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from ...mime.fields import Field
from ...mime.headers import HeaderError, display_text, parse_authentication_results
from ...model import MessageClass
from ...records.names import BadName, to_ascii
from ..model import Credential
from .errors import NotPreparedError
from .header import Header

OURS = "x-delivcheck-"
RESULTS = "authentication-results"
MAX_RESULTS = 32_768  # characters of one Authentication-Results; Gmail's limit for any header field
MAX_WORDS = 100  # of its beginning, which has two; and comments in all of it
MAX_TAGS = 10  # of one message; Mailgun's limit
MAX_TAG = 128  # characters; Mailgun's limit
MAX_KEY = 256  # characters of an idempotency key; Resend's limit

_NAME_LIKE = re.compile(r"[^\s;=\"()<>,]+")
_PIECE = re.compile(r"[()]|(?:[^()\\]|\\.|\\$)+", re.DOTALL)
_DOT = re.compile(r"\s*\.\s*")
_BETWEEN = re.compile(r"[\s\\]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


# --- Authentication-Results ------------------------------------------------------------------------------------------


def forged(header: Header, own: Collection[str]) -> list[Field]:
    """The Authentication-Results fields that carry one of our names (A-labels). Those of others stay (RFC 8601 section 5)."""
    return [one for one in header.all(RESULTS) if _carries(one, own)]


def _carries(one: Field, own: Collection[str]) -> bool:
    """Whether any reader could take the authserv-id for ours: comments and quotes aside, and in what we cannot read ourselves.

    More than RFC 8601 section 2.2 allows: a reader that takes an id for a token ends it at "/", one like OpenDMARC's joins what
    stands around dots, and a lenient one looks for the name anywhere before the first result.
    """
    text = one.text
    if len(text) > MAX_RESULTS or text.count("(") > MAX_WORDS:
        return True  # nobody's results are like that, and to find out whose these are would take long
    bare = _without_comments(text)
    squeezed = _BETWEEN.sub("", bare + text).lower()
    named = any(name in squeezed for name in own)
    if not named and squeezed.isascii():
        return False  # the usual case, at a small cost
    head = bare.partition(";")[0]
    words = _NAME_LIKE.findall(head) + _NAME_LIKE.findall(_DOT.sub(".", head))
    if len(words) > MAX_WORDS:
        return True
    try:
        words.append(parse_authentication_results(head, lenient=True).authserv_id)
    except HeaderError:  # it has no beginning that could be read: whatever stands in it
        return named or any(_same(word, own) for word in words)
    return any(_same(part, own) for word in words for part in (word, word.partition("/")[0]))


def _without_comments(text: str) -> str:
    """The text without comments, nested ones too (RFC 5322 section 3.2.2); one that is not closed goes on to the end."""
    kept: list[str] = []
    depth = 0
    for found in _PIECE.findall(text):
        if found == "(":
            depth += 1
        elif found == ")":
            depth = max(depth - 1, 0)
        elif not depth:
            kept.append(found)
    return "".join(kept)


def _same(word: str, own: Collection[str]) -> bool:
    if word.isascii():
        return word.rstrip(".").lower() in own  # RFC 8601 section 2.5: compared as a domain name, case aside
    try:
        return to_ascii(word) in own
    except BadName:
        return False


# --- X-Delivcheck-* --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Declared:
    """What a message says of itself, as far as its sender may say it. `ignored` names, in words, what was not taken."""

    message_class: MessageClass | None = None
    stream: str | None = None
    tags: tuple[str, ...] = ()
    idempotency_key: str | None = None
    template: str | None = None
    ignored: tuple[str, ...] = field(default=())


def own_fields(header: Header) -> list[Field]:
    """Every X-Delivcheck-* field: none of them is ever handed on."""
    return [one for one in header.fields if one.lower.startswith(OURS)]


def declared(fields: Collection[Field], credential: Credential | None) -> Declared:
    """Read X-Delivcheck-Class, -Stream, -Tag, -Template and -Idempotency-Key of a credential that may set them."""
    if not fields:
        return Declared()
    if credential is None or not credential.may_declare:
        return Declared(ignored=("X-Delivcheck fields, which this client may not set",))
    ignored: list[str] = []
    values: dict[str, list[str]] = {}
    for one in fields:
        values.setdefault(one.lower.removeprefix(OURS), []).append(_plain(display_text(one)))
    message_class = _class(values.get("class", []), credential, ignored)
    stream = _only(values.get("stream", []), "X-Delivcheck-Stream", ignored)
    if stream is not None and credential.streams and stream not in credential.streams:
        ignored.append("X-Delivcheck-Stream: this client may not use that stream")
        stream = None
    tags = [tag for value in values.get("tag", []) for part in value.split(",") if (tag := part.strip())]
    kept = tuple(dict.fromkeys(tag for tag in tags if len(tag) <= MAX_TAG))[:MAX_TAGS]
    if len(kept) < len(set(tags)):
        ignored.append(f"X-Delivcheck-Tag: more than {MAX_TAGS} tags, or one of more than {MAX_TAG} characters")
    key = _only([*values.get("idempotency-key", []), *values.get("idempotency", [])], "X-Delivcheck-Idempotency-Key", ignored)
    if key is not None and len(key) > MAX_KEY:
        ignored.append(f"X-Delivcheck-Idempotency-Key: more than {MAX_KEY} characters")
        key = None
    template = _only(values.get("template", []), "X-Delivcheck-Template", ignored)
    if template is not None and len(template) > MAX_TAG:
        ignored.append(f"X-Delivcheck-Template: more than {MAX_TAG} characters")
        template = None
    return Declared(message_class, stream, kept, key, template, tuple(ignored))


def idempotency_key(octets: bytes, credential: Credential | None) -> str | None:
    """The key that a client gave to its message, to be asked for before anything else is done with it; None for none.

    Raises nothing: a header that cannot be read has none, and preparing it will say so.
    """
    if credential is None or not credential.may_declare:
        return None
    try:
        return declared(own_fields(Header(octets)), credential).idempotency_key
    except NotPreparedError:
        return None


def _class(values: list[str], credential: Credential, ignored: list[str]) -> MessageClass | None:
    value = _only([value.lower() for value in values], "X-Delivcheck-Class", ignored)
    if value is None:
        return None
    try:
        found = MessageClass(value)
    except ValueError:
        ignored.append("X-Delivcheck-Class names no class")
        return None
    if credential.classes and found not in credential.classes:
        ignored.append(f"X-Delivcheck-Class: this client may not declare {found}")
        return None
    return found


def _only(values: list[str], name: str, ignored: list[str]) -> str | None:
    """The one value; fields that disagree say nothing."""
    if len(set(values)) > 1:
        ignored.append(f"{name} fields that disagree")
        return None
    return (values[0] or None) if values else None


def _plain(text: str) -> str:
    return _CONTROLS.sub("", text).strip()
