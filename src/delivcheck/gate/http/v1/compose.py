"""A message of the Web Service → its octets: the same for the same content, always, since Idempotency-Key compares them.

So there is no random boundary and no clock here; the gate adds Date and Message-ID. All parts are 7bit, quoted-printable or
base64, so that no next hop has a reason to convert what was signed.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from . import fields

LINE = 76  # characters of an encoded line, RFC 2045 sections 6.7 and 6.8

_LINE_END = re.compile(r"\r\n?|\n")
_UNSAFE = re.compile(rb"[^\x20-\x3c\x3e-\x7e]")  # RFC 2045 section 6.7 (1) and (2)
_MBOX = re.compile(rb"^From ", re.MULTILINE)  # what keeps mail in mbox files changes such a line (RFC 4155)

Box = tuple[str, str]  # a display name, "" for none, and an address


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file. `media_type` is "type/subtype" with its parameters; one with a `cid` belongs to the HTML."""

    octets: bytes
    media_type: str
    parameters: tuple[tuple[str, str], ...] = ()
    name: str = ""
    cid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What one copy says. Texts have no control characters but line ends and tabs in `text` and `html`.

    `headers` are (name, value); `ours` too, and go on top: the gate reads and removes them.
    """

    author: Box
    sender: Box | None = None
    to: tuple[Box, ...] = ()
    cc: tuple[Box, ...] = ()
    reply_to: tuple[Box, ...] = ()
    subject: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    ours: tuple[tuple[str, str], ...] = ()
    text: str | None = None
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class _Part:
    """A body part: its Content-* fields, and what follows the blank line."""

    header: bytes
    body: bytes


class Shared:
    """What the copies of one request have in common, encoded once: a thousand of them may have a hundred files each."""

    def __init__(self) -> None:
        self._fields: dict[Box, bytes] = {}
        self._parts: dict[tuple[str | Attachment, str], _Part] = {}

    def field(self, name: str, value: str) -> bytes:
        """A further field. Raises fields.TooLong."""
        found = self._fields.get((name, value))
        if found is None:
            found = (fields.machine if value.isascii() else fields.text)(name, value)
            self._fields[name, value] = found
        return found

    def text(self, text: str, subtype: str) -> _Part:
        """A text in its encoding."""
        found = self._parts.get((text, subtype))
        if found is None:
            found = self._parts[text, subtype] = _text(text, subtype)
        return found

    def file(self, one: Attachment, disposition: str) -> _Part:
        """An attachment in base64. Raises fields.TooLong."""
        found = self._parts.get((one, disposition))
        if found is None:
            found = self._parts[one, disposition] = _file(one, disposition)
        return found


def composed(content: Content, shared: Shared | None = None) -> bytes:
    """The message, CRLF line ends. Raises fields.TooLong."""
    shared = shared or Shared()
    lines = [shared.field(name, value) for name, value in content.ours]
    lines.append(fields.mailboxes("From", [content.author]))
    if content.sender is not None:
        lines.append(fields.mailboxes("Sender", [content.sender]))
    for name, boxes in (("Reply-To", content.reply_to), ("To", content.to), ("Cc", content.cc)):
        if boxes:
            lines.append(fields.mailboxes(name, boxes))
    if not content.to and not content.cc:
        lines.append(b"To: undisclosed-recipients:;\r\n")  # all are blind copies; RFC 5322 section 3.4 has the empty group
    if content.subject:
        lines.append(fields.text("Subject", content.subject))
    lines += [shared.field(name, value) for name, value in content.headers]
    whole = _body(content, shared)
    return b"".join([*lines, b"MIME-Version: 1.0\r\n", whole.header, b"\r\n", whole.body])


def _body(content: Content, shared: Shared) -> _Part:
    """multipart/mixed of multipart/alternative of text and multipart/related of HTML, as far as each is needed."""
    inline = [one for one in content.attachments if one.cid and content.html is not None]
    files = [one for one in content.attachments if not one.cid or content.html is None]
    bodies: list[_Part] = []
    if content.text is not None:
        bodies.append(shared.text(content.text, "plain"))
    if content.html is not None:
        html = shared.text(content.html, "html")
        related = [html, *(shared.file(one, "inline") for one in inline)]
        bodies.append(_multipart("related", related, [("type", "text/html")]) if inline else html)  # RFC 2387 section 3.1
    if not bodies and not files:
        bodies.append(_text("", "plain"))
    made = bodies if len(bodies) < 2 else [_multipart("alternative", bodies)]
    if files:
        return _multipart("mixed", [*made, *(shared.file(one, "attachment") for one in files)])
    return made[0]


def _multipart(subtype: str, parts: Sequence[_Part], more: Iterable[Box] = ()) -> _Part:
    boundary = _boundary(subtype, parts)
    mark = b"--" + boundary.encode("ascii")
    pieces = [b"".join((mark, b"\r\n", part.header, b"\r\n", part.body, b"\r\n")) for part in parts]
    header = fields.parametrised("Content-Type", f"multipart/{subtype}", [*more, ("boundary", boundary)])
    return _Part(header, b"".join([*pieces, mark, b"--\r\n"]))


def _boundary(subtype: str, parts: Sequence[_Part]) -> str:
    """A boundary that no part has (RFC 2046 section 5.1.1), made of what they say.

    Nobody can write a text that holds the hash of itself; "=_" stands in no encoded body anyway (RFC 2045 section 6.7).
    """
    hashed = hashlib.sha256(f"delivcheck boundary 1 {subtype}\0".encode())
    for part in parts:
        for octets in (part.header, part.body):
            hashed.update(len(octets).to_bytes(8))
            hashed.update(octets)
    return f"=_{hashed.hexdigest()[:32]}"


def _text(text: str, subtype: str) -> _Part:
    octets = "\r\n".join(_LINE_END.split(text)).encode("utf-8")
    if octets and not octets.endswith(b"\r\n"):
        octets += b"\r\n"
    encoding, body = _encoded(octets)
    header = fields.parametrised("Content-Type", f"text/{subtype}", [("charset", "utf-8")])
    return _Part(header + f"Content-Transfer-Encoding: {encoding}\r\n".encode("ascii"), body)


def _encoded(octets: bytes) -> tuple[str, bytes]:
    """7bit where nothing stands against it, else the shorter of quoted-printable and base64."""
    plain = octets.isascii() and b"\t\r\n" not in octets and b" \r\n" not in octets and not _MBOX.search(octets)
    if plain and max(map(len, octets.split(b"\r\n"))) <= fields.HARD:
        return "7bit", octets
    foreign = len(octets.translate(None, bytes(range(128))))
    if foreign * 3 > len(octets):  # three characters for each octet: base64 is shorter
        return "base64", _base64(octets)
    return "quoted-printable", b"\r\n".join(map(_quoted, octets.split(b"\r\n")))


def _quoted(line: bytes) -> bytes:
    """One line in quoted-printable, broken softly (RFC 2045 section 6.7)."""
    escaped = _UNSAFE.sub(lambda found: b"=%02X" % found[0][0], line)
    if escaped.startswith(b"From "):
        escaped = b"=46" + escaped[1:]
    if escaped.endswith(b" "):  # rule (3): no blank before a line end
        escaped = escaped[:-1] + b"=20"
    pieces, at = [], 0
    while len(escaped) - at > LINE:
        end = at + LINE - 1
        if b"=" in (cut := escaped[end - 2 : end]):  # not within "=XX"
            end -= 2 - cut.index(b"=")
        pieces.append(escaped[at:end] + b"=")
        at = end
    return b"\r\n".join([*pieces, escaped[at:]])


def _base64(octets: bytes) -> bytes:
    encoded = base64.b64encode(octets)
    return b"".join(encoded[at : at + LINE] + b"\r\n" for at in range(0, len(encoded), LINE))


def _file(one: Attachment, disposition: str) -> _Part:
    header = fields.parametrised("Content-Type", one.media_type, one.parameters)
    header += b"Content-Transfer-Encoding: base64\r\n"
    header += fields.parametrised("Content-Disposition", disposition, [("filename", one.name)] if one.name else [])
    if one.cid:
        header += f"Content-ID: <{one.cid}>\r\n".encode("ascii")
    return _Part(header, _base64(one.octets))
