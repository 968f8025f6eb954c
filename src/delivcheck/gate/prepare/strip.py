"""What is taken out of a header: results in our own name, and the fields by which a client tells the gate something."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from ...mime.fields import Field
from ...mime.headers import HeaderError, display_text, parse_authentication_results
from ...model import MessageClass
from ...records.names import BadName, to_ascii
from ..model import Credential
from .header import Header, Line

OURS = b"x-delivcheck-"
RESULTS = b"authentication-results"
MAX_TAGS = 10  # of one message; Mailgun's limit
MAX_TAG = 128  # characters; Mailgun's limit
MAX_KEY = 256  # characters of an idempotency key; Resend's limit

_NAME_LIKE = re.compile(r"[^\s;=\"()<>,]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


# --- Authentication-Results ------------------------------------------------------------------------------------------


def forged(header: Header, own: Collection[str]) -> list[Line]:
    """The Authentication-Results fields that carry one of our names (A-labels). Those of others stay (RFC 8601 section 5)."""
    return [line for line in header.all(RESULTS) if _carries(line.field, own)]


def _carries(one: Field, own: Collection[str]) -> bool:
    """Whether any reader could take the authserv-id for ours: comments and quotes aside, and in what we cannot read ourselves.

    More than RFC 8601 section 2.2 allows: a reader that takes an id for a token ends it at "/", and a lenient one looks for the
    name anywhere before the first result.
    """
    text = one.text
    head = text.partition(";")[0]
    candidates = [word for found in _NAME_LIKE.findall(head) for word in (found, *found.split("/"))]
    try:
        candidates.append(parse_authentication_results(text, lenient=True).authserv_id)
    except HeaderError:  # it has no beginning that could be read: whatever stands in it
        candidates += _NAME_LIKE.findall(text.replace("\\", ""))
    return any(_same(word, own) for word in candidates)


def _same(word: str, own: Collection[str]) -> bool:
    try:
        return to_ascii(word) in own  # RFC 8601 section 2.5: compared as a domain name, case aside
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
    ignored: tuple[str, ...] = field(default=())


def own_fields(header: Header) -> list[Line]:
    """Every X-Delivcheck-* field: none of them is ever handed on."""
    return [line for line in header.lines if line.name.startswith(OURS)]


def declared(lines: Collection[Line], credential: Credential | None) -> Declared:
    """Read X-Delivcheck-Class, -Stream, -Tag and -Idempotency-Key of a credential that may set them."""
    if not lines:
        return Declared()
    if credential is None or not credential.may_declare:
        return Declared(ignored=("X-Delivcheck fields, which this client may not set",))
    ignored: list[str] = []
    values: dict[bytes, list[str]] = {}
    for line in lines:
        values.setdefault(line.name.removeprefix(OURS), []).append(_plain(display_text(line.field)))
    message_class = _class(values.get(b"class", []), credential, ignored)
    stream = _only(values.get(b"stream", []), "X-Delivcheck-Stream", ignored)
    if stream is not None and credential.streams and stream not in credential.streams:
        ignored.append("X-Delivcheck-Stream: this client may not use that stream")
        stream = None
    tags = [tag for value in values.get(b"tag", []) for part in value.split(",") if (tag := part.strip())]
    kept = tuple(dict.fromkeys(tag for tag in tags if len(tag) <= MAX_TAG))[:MAX_TAGS]
    if len(kept) < len(set(tags)):
        ignored.append(f"X-Delivcheck-Tag: more than {MAX_TAGS} tags, or one of more than {MAX_TAG} characters")
    key = _only([*values.get(b"idempotency-key", []), *values.get(b"idempotency", [])], "X-Delivcheck-Idempotency-Key", ignored)
    if key is not None and len(key) > MAX_KEY:
        ignored.append(f"X-Delivcheck-Idempotency-Key: more than {MAX_KEY} characters")
        key = None
    return Declared(message_class, stream, kept, key, tuple(ignored))


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
