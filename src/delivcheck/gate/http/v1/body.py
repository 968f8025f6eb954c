"""What a client asks to be sent, as JSON or as a whole message: read, checked, and made into copies.

Whatever is wrong is `Invalid`, which names every place (a JSON pointer, RFC 6901) and never what stands there.
"""

import base64
import binascii
import mimetypes
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from ....mime.addresses import parse_mailbox
from ....mime.lexer import HeaderError
from ....mime.parameters import parse_content_type
from ....records.names import BadName, to_ascii
from ...desk import Copy
from ...prepare.strip import MAX_TAG, MAX_TAGS
from ...smtp.syntax import BadCommand, checked
from . import compose
from .compose import Attachment, Box, Content
from .fields import TooLong
from .strict import Invalid, escaped, read

MAX_ATTACHMENTS = 100  # Postmark and SES name no number; Gmail's compose window takes as many
MAX_HEADERS = 100  # further fields
MAX_REPLY_TO = 100
MAX_TEXT = 998  # characters of a name, a subject, a field: an unfolded line (RFC 5322 section 2.1.1)
MAX_URL_LIKE = 8_190  # characters of a machine's field such as References

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_FIELD_NAME = re.compile(r"[!-9;-~]{1,60}\Z")  # RFC 5322 section 2.2
_CID = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,120}(?:@[A-Za-z0-9.-]{1,120})?\Z"
)  # RFC 5322 section 3.6.4, the right side optional
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:/@+-]{0,127}\Z")  # a stream, a template, a tag
_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\Z")  # RFC 6838 section 4.2
_PARAMETER = re.compile(r"[A-Za-z0-9!#$&+.^_-]{1,40}\Z")

# Written by us from other members, by the gate, by signers and receivers; or what would make another message of it.
_TAKEN = re.compile(
    r"(?:from|sender|to|cc|bcc|reply-to|subject|received|return-path|delivered-to|dkim-signature|domainkey-signature|"
    r"authentication-results|received-spf|mime-version|content-.*|resent-.*|arc-.*|x-delivcheck-.*)\Z"
)
# Programs read these; encoded-words in them are wrong.
_MACHINE = re.compile(r"(?:message-id|in-reply-to|references|date|list-.*|auto-submitted|precedence|feedback-id|importance)\Z")

_TYPES = mimetypes.MimeTypes()  # Python's own table: what a machine has installed must not change the octets

RFC822 = "message/rfc822"


class Large(Exception):  # noqa: N818 -- as above
    """A message would have more octets than the gate takes."""


# --- the JSON --------------------------------------------------------------------------------------------------------

Line = Annotated[str, Meta(max_length=MAX_TEXT)]


class Mailbox(Struct, frozen=True, forbid_unknown_fields=True):
    """A mailbox; as a string it is `Pat <pat@example.net>`, or the address alone."""

    address: Annotated[str, Meta(max_length=320, examples=["pat@example.net"])]
    name: Line = ""


Address = Annotated[str, Meta(max_length=MAX_TEXT, examples=["Pat <pat@example.net>"])] | Mailbox
Addresses = Annotated[str, Meta(max_length=MAX_TEXT, examples=["pat@example.net"])] | Mailbox | list[Address]


class File(Struct, frozen=True, forbid_unknown_fields=True):
    """An attachment. With a `cid` it belongs to the HTML, which names it as `cid:…`."""

    name: Annotated[str, Meta(min_length=1, max_length=255, examples=["invoice.pdf"])]
    content: Annotated[str, Meta(description="Base64 (RFC 4648 section 4).", examples=["SGVsbG8K"])]
    type: Annotated[str, Meta(max_length=255, description="Media type; found by the name's ending if missing.")] = ""
    cid: Annotated[str, Meta(max_length=240)] = ""


class Personal(Struct, frozen=True, forbid_unknown_fields=True):
    """A copy of its own. What is not given here is that of the message; `headers` are added to the message's."""

    to: Addresses = field(default_factory=list)
    cc: Addresses = field(default_factory=list)
    bcc: Addresses = field(default_factory=list)
    subject: Line | None = None
    html: str | None = None
    text: str | None = None
    headers: dict[str, Annotated[str, Meta(max_length=MAX_URL_LIKE)]] = field(default_factory=dict)
    attachments: Annotated[list[File], Meta(max_length=MAX_ATTACHMENTS)] | None = None


class Mail(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A message. `to`, `cc` and `bcc`, or `personalizations` with those of their own."""

    author: Address = field(name="from")
    to: Addresses = field(default_factory=list)
    cc: Addresses = field(default_factory=list)
    bcc: Addresses = field(default_factory=list)
    reply_to: Addresses = field(default_factory=list)
    sender: Address | None = None
    return_path: (
        Annotated[str, Meta(max_length=320, description="The envelope's sender; that of `from` if missing.")] | None
    ) = None
    subject: Line | None = None
    html: str | None = None
    text: str | None = None
    headers: dict[str, Annotated[str, Meta(max_length=MAX_URL_LIKE)]] = field(default_factory=dict)
    attachments: Annotated[list[File], Meta(max_length=MAX_ATTACHMENTS)] = field(default_factory=list)
    stream: Annotated[str, Meta(max_length=128)] | None = None
    message_class: Literal["bulk", "transactional"] | None = field(default=None, name="class")
    template: Annotated[str, Meta(max_length=128)] | None = None
    tags: Annotated[list[Annotated[str, Meta(max_length=MAX_TAG)]], Meta(max_length=MAX_TAGS)] = field(default_factory=list)
    tracking: (
        Annotated[
            Literal["none", "aggregate", "consent"],
            Meta(description="How opens and clicks may be counted; consent: the recipient agreed to being identified."),
        ]
        | None
    ) = None
    personalizations: list[Personal] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be sent: the envelope's sender, the copies, and the stream that was asked for."""

    sender: str
    copies: tuple[Copy, ...]
    stream: str | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """What one request may have: recipients, and octets of one message; all copies together have twice as many."""

    recipients: int
    octets: int


# --- reading ---------------------------------------------------------------------------------------------------------


def from_json(octets: bytes, room: Room) -> Order:
    """Read and make the copies. Raises Invalid, Large."""
    return _order(read(octets, Mail), room)


def from_message(octets: bytes, sender: str, recipients: Sequence[str], room: Room) -> Order:
    """The same of a whole message (message/rfc822) and its envelope. Raises Invalid, Large.

    Its octets stay as they are; one that has no CR at all was saved by a system whose lines end with LF, and gets CRLF.
    """
    errors: list[tuple[str, str]] = []
    if b"\r" not in octets:
        octets = octets.replace(b"\n", b"\r\n")
    pairs = octets.count(b"\r\n")
    if octets.count(b"\r") != pairs or octets.count(b"\n") != pairs:
        errors.append(("", "a CR or LF that is no part of CRLF"))  # what would be smuggled, DESIGN section 8
    if b"\0" in octets:
        errors.append(("", "a NUL"))
    if not octets.strip():
        errors.append(("", "the message is empty"))
    mail_from = _address(sender, "header Mail-From", errors)
    to = tuple(dict.fromkeys(_address(one, "header Rcpt-To", errors) for one in recipients))
    if not to:
        errors.append(("header Rcpt-To", "no recipient"))
    if len(to) > room.recipients:
        errors.append(("header Rcpt-To", f"more than {room.recipients} recipients"))
    if errors:
        raise Invalid(*errors)
    if len(octets) > room.octets:
        raise Large
    return Order(mail_from, (Copy(octets, to),))


# --- checking --------------------------------------------------------------------------------------------------------


def _order(mail: Mail, room: Room) -> Order:
    _check_counts(mail, room)
    errors: list[tuple[str, str]] = []
    author = _box(mail.author, "/from", errors)
    sender = author[1] if mail.return_path is None else _address(mail.return_path, "/return_path", errors)
    base = Content(
        author=author,
        sender=None if mail.sender is None else _box(mail.sender, "/sender", errors),
        reply_to=_boxes(mail.reply_to, "/reply_to", errors),
        subject=_line(mail.subject, "/subject", errors),
        headers=_headers(mail.headers, "/headers", errors),
        ours=_ours(mail, errors),
        text=mail.text,
        html=mail.html,
        attachments=_files(mail.attachments, "/attachments", errors),
    )
    asked = [_shared(mail, base, errors)] if not mail.personalizations else _personal(mail, base, errors)
    _check_recipients(asked, room, errors)
    if errors:
        raise Invalid(*errors)
    copies, total, shared = [], 0, compose.Shared()
    for content, recipients, at in asked:
        try:
            octets = compose.composed(content, shared)
        except TooLong as error:
            raise Invalid((at, str(error))) from None
        total += len(octets)
        if len(octets) > room.octets or total > 2 * room.octets:
            raise Large
        copies.append(Copy(octets, recipients))
    return Order(sender, tuple(copies), mail.stream)


def _check_counts(mail: Mail, room: Room) -> None:
    """Before anything is read that is too much anyway: a million addresses took half a minute. Raises Invalid."""
    if len(mail.personalizations) > room.recipients:
        raise Invalid(("/personalizations", f"more than {room.recipients} recipients"))
    named = [mail.to, mail.cc, mail.bcc, *(some for one in mail.personalizations for some in (one.to, one.cc, one.bcc))]
    if sum(len(some) if isinstance(some, list) else 1 for some in named) > room.recipients:
        raise Invalid(("/personalizations" if mail.personalizations else "/to", f"more than {room.recipients} recipients"))
    if isinstance(mail.reply_to, list) and len(mail.reply_to) > MAX_REPLY_TO:
        raise Invalid(("/reply_to", f"more than {MAX_REPLY_TO} addresses"))


_Asked = tuple[Content, tuple[str, ...], str]  # what a copy says, who gets it, and where that was asked for


def _shared(mail: Mail, base: Content, errors: list[tuple[str, str]]) -> _Asked:
    to, cc, bcc = (_boxes(some, f"/{name}", errors) for name, some in (("to", mail.to), ("cc", mail.cc), ("bcc", mail.bcc)))
    return replace(base, to=to, cc=cc), _recipients(to, cc, bcc), ""


def _personal(mail: Mail, base: Content, errors: list[tuple[str, str]]) -> list[_Asked]:
    if mail.to or mail.cc or mail.bcc:
        errors.append(("/personalizations", "recipients stand here, or in the message; not in both"))
    asked = []
    for number, one in enumerate(mail.personalizations):
        at = f"/personalizations/{number}"
        to, cc, bcc = (
            _boxes(some, f"{at}/{name}", errors) for name, some in (("to", one.to), ("cc", one.cc), ("bcc", one.bcc))
        )
        own = _headers(one.headers, f"{at}/headers", errors)
        names = {name.lower() for name, _ in own}
        content = replace(
            base,
            to=to,
            cc=cc,
            subject=base.subject if one.subject is None else _line(one.subject, f"{at}/subject", errors),
            text=base.text if one.text is None else one.text,
            html=base.html if one.html is None else one.html,
            headers=(*(pair for pair in base.headers if pair[0].lower() not in names), *own),
            attachments=base.attachments if one.attachments is None else _files(one.attachments, f"{at}/attachments", errors),
        )
        asked.append((content, _recipients(to, cc, bcc), at))
    return asked


def _recipients(*boxes: Iterable[Box]) -> tuple[str, ...]:
    """Whom the envelope names, once each: `bcc` stands in no header."""
    return tuple(dict.fromkeys(address for some in boxes for _, address in some))


def _check_recipients(asked: Sequence[_Asked], room: Room, errors: list[tuple[str, str]]) -> None:
    seen: set[str] = set()
    for content, recipients, at in asked:
        if not recipients:
            errors.append((f"{at}/to", "no recipient"))
        if seen.intersection(recipients):
            errors.append((at, "an address that another copy goes to already"))
        seen.update(recipients)
        if content.text is None and content.html is None and not content.attachments:
            errors.append((f"{at}/text", "neither text nor html nor an attachment"))
        if content.html is None and any(one.cid for one in content.attachments):
            errors.append((f"{at}/attachments", "a cid without html"))
    if len(seen) > room.recipients:
        errors.append(("/to", f"more than {room.recipients} recipients"))


def _boxes(value: Addresses, at: str, errors: list[tuple[str, str]]) -> tuple[Box, ...]:
    if not isinstance(value, list):
        return (_box(value, at, errors),)
    return tuple(_box(one, f"{at}/{number}", errors) for number, one in enumerate(value))


def _box(value: Address, at: str, errors: list[tuple[str, str]]) -> Box:
    if isinstance(value, Mailbox):
        return _line(value.name, f"{at}/name", errors) or "", _address(value.address, f"{at}/address", errors)
    if _CONTROLS.search(value):
        errors.append((at, "control characters"))
        return "", ""
    if _LONE.match(value):  # an address alone, which needs no parser
        return "", _address(value, at, errors)
    try:
        found = parse_mailbox(value)
    except HeaderError:
        errors.append((at, "no mailbox: `Pat <pat@example.net>`, or an address alone"))
        return "", ""
    if found.obsolete or found.comments:
        errors.append((at, "an obsolete form of address, or a comment"))
    return found.display_name or "", _address(found.address, at, errors)


_LONE = re.compile(r"[^\s<>\"(),:;@]+@[^\s<>\"(),:;@]+\Z")


def _address(value: str, at: str, errors: list[tuple[str, str]]) -> str:
    """An address of the envelope, its domain ASCII: SMTPUTF8 is needed only for what cannot be said without."""
    if _CONTROLS.search(value):
        errors.append((at, "control characters"))
        return ""
    local, _, domain = value.rpartition("@")
    if not domain.isascii():
        try:
            domain = to_ascii(domain)
        except BadName:
            errors.append((at, "bad internationalised domain"))
            return ""
    address = f"{local}@{domain}"
    try:
        return checked(address, True, "5.1.3")
    except BadCommand as error:
        errors.append((at, error.reply.text))
        return ""


def _line(value: str | None, at: str, errors: list[tuple[str, str]]) -> str | None:
    """A text of one line."""
    if value is not None and _CONTROLS.search(value):
        errors.append((at, "control characters"))
        return None
    return None if value is None else value.strip()


def _headers(given: Mapping[str, str], at: str, errors: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Further fields; nothing that is said elsewhere, or that is not a sender's to say."""
    if len(given) > MAX_HEADERS:
        errors.append((at, f"more than {MAX_HEADERS} fields"))
        return ()
    found: dict[str, tuple[str, str]] = {}
    for name, value in given.items():
        where, lower = f"{at}/{escaped(name)}", name.lower()
        if not _FIELD_NAME.match(name):
            errors.append((at, "a name that no header field may have"))
        elif _TAKEN.match(lower):
            errors.append((where, "this field is not set here"))
        elif lower in found:
            errors.append((where, "the same field twice"))
        elif _CONTROLS.search(value):
            errors.append((where, "control characters"))
        elif not value.strip():
            errors.append((where, "an empty field"))
        elif _MACHINE.match(lower) and not value.isascii():
            errors.append((where, "this field is ASCII"))
        else:
            found[lower] = (name, value.strip())
    return tuple(found.values())


def _ours(mail: Mail, errors: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """What the gate is told, in fields that it takes out again (`prepare.strip`)."""
    said = [
        ("/stream", "X-Delivcheck-Stream", mail.stream),
        ("/class", "X-Delivcheck-Class", mail.message_class),
        ("/template", "X-Delivcheck-Template", mail.template),
        ("/tracking", "X-Delivcheck-Tracking", mail.tracking),
        *((f"/tags/{number}", "X-Delivcheck-Tag", tag) for number, tag in enumerate(mail.tags)),
    ]
    found = []
    for at, name, value in said:
        if value is not None and not _WORD.match(value):
            errors.append((at, "letters, digits, blanks and ._:/@+- are taken here, beginning with a letter or digit"))
        elif value is not None:
            found.append((name, value.rstrip()))
    return tuple(found)


def _files(given: Sequence[File], at: str, errors: list[tuple[str, str]]) -> tuple[Attachment, ...]:
    found = []
    cids: set[str] = set()
    for number, one in enumerate(given):
        where = f"{at}/{number}"
        if _CONTROLS.search(one.name) or set("/\\") & set(one.name) or one.name.strip(". ") == "":
            errors.append((f"{where}/name", "a file's name without a path or control characters is wanted"))
        if one.cid and (not _CID.match(one.cid) or one.cid in cids):
            errors.append((f"{where}/cid", "no Content-ID, or that of another attachment"))
        cids.add(one.cid)
        kind, parameters = _media_type(one, f"{where}/type", errors)
        found.append(Attachment(_decoded(one.content, f"{where}/content", errors), kind, parameters, one.name, one.cid))
    return tuple(found)


def _media_type(one: File, at: str, errors: list[tuple[str, str]]) -> tuple[str, tuple[tuple[str, str], ...]]:
    if not one.type:
        return _TYPES.guess_type(f"x.{one.name.rpartition('.')[2]}", strict=True)[0] or "application/octet-stream", ()
    try:
        if _CONTROLS.search(one.type) or not one.type.isascii():
            raise HeaderError("control characters", 0)
        found = parse_content_type(one.type)
    except HeaderError:
        errors.append((at, "no media type"))
        return "application/octet-stream", ()
    kind = found.value.lower()
    pairs = tuple((each.name, each.value) for each in found.parameters if each.name not in {"name", "boundary"})
    if not _TYPE.match(kind) or found.faults or not all(_PARAMETER.match(name) for name, _ in pairs):
        errors.append((at, "no media type"))
    elif kind.startswith(("multipart/", "message/")):
        errors.append((at, "a multipart or a message cannot be attached as base64 (RFC 2045 section 6.4)"))
    return kind, pairs


def _decoded(content: str, at: str, errors: list[tuple[str, str]]) -> bytes:
    try:
        plain = content.translate(_BLANKS) if "\n" in content else content
        if len(plain) % 4 or not plain.isascii():
            raise binascii.Error
        return base64.b64decode(plain, validate=True)
    except binascii.Error:
        errors.append((at, "no base64"))
        return b""


_BLANKS = str.maketrans("", "", "\r\n")  # as MIME breaks it into lines
