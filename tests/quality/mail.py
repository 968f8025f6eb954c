"""A message under construction: fields, parts, the zone and the session it is sent in; octets only at the end.

The builder writes what a careful sender writes and knows nothing of delivcheck. What is changed before `octets` is a fault of
the message, what is changed in `zone` a fault of the domain.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from delivcheck.facts.roots import Envelope, Sender, Session
from tests.keys import sign_example
from tests.quality.world import ENVELOPE, NOW, SELECTOR, SENDER, SESSION, zone

_ATOM = re.compile(r"[A-Za-z0-9 !#$%&'*+/=?^_`{|}~-]+\Z")


def words(text: str, room: int = 40) -> str:
    """A text as encoded-words in base64, none longer than 75 characters and none splitting one (RFC 2047 sections 2 and 5)."""
    if text.isascii():
        return text
    pieces, piece = [], ""
    for character in text:
        if len((piece + character).encode()) > room:
            pieces.append(piece)
            piece = ""
        piece += character
    return "\r\n ".join(f"=?utf-8?B?{base64.b64encode(one.encode()).decode()}?=" for one in [*pieces, piece])


def mailbox(name: str, address: str) -> str:
    """`name <address>` as From or To writes it."""
    if not name.isascii():
        return f"{words(name)} <{address}>"
    return f"{name} <{address}>" if _ATOM.match(name) else f'"{name}" <{address}>'


def encoded(data: bytes, how: str) -> bytes:
    """Octets in a transfer encoding, with CRLF."""
    if how == "base64":
        return base64.encodebytes(data).replace(b"\n", b"\r\n")
    if how == "quoted-printable":
        return quoted(data)
    return re.sub(rb"\r\n|\r|\n", b"\r\n", data)


def quoted(data: bytes) -> bytes:
    """Quoted-printable, lines of at most 76 characters (RFC 2045 section 6.7). The standard library's encoders write 77 or 78."""
    lines = []
    for line in re.split(rb"\r\n|\r|\n", data):
        units = [
            b"=%02X" % octet if octet == 0x3D or octet > 0x7E or (octet < 0x20 and octet != 9) else bytes([octet])
            for octet in line
        ]
        if units and units[-1] in {b" ", b"\t"}:
            units[-1] = b"=%02X" % units[-1][0]
        out = b""
        for unit in units:
            if len(out) + len(unit) > 75:
                lines.append(out + b"=")
                out = b""
            out += unit
        lines.append(out)
    return b"\r\n".join(lines)


def part(kind: str, body: bytes, how: str | None = None, **fields: str) -> bytes:
    """One MIME part: Content-Type, encoding, further fields (`_` for `-`), body."""
    head = [f"Content-Type: {kind}"]
    if how is not None:
        head.append(f"Content-Transfer-Encoding: {how}")
    head += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + (encoded(body, how) if how else body)


def bag(kind: str, parts: list[bytes], boundary: str) -> bytes:
    """A multipart of parts, as a part."""
    inner = b"".join(b"--" + boundary.encode() + b"\r\n" + each.rstrip(b"\r\n") + b"\r\n" for each in parts)
    semicolon = "" if kind.endswith(";") else ";"
    return (
        f'Content-Type: multipart/{kind}{semicolon}\r\n boundary="{boundary}"\r\n\r\n'.encode()
        + inner
        + f"--{boundary}--\r\n".encode()
    )


@dataclass
class Mail:
    """Everything about one message that a test may change; `fields` keep their order."""

    name: str
    fields: list[list[str]]
    text: str | None = None
    html: str | None = None
    message_class: str = "transactional"
    charset: str = "utf-8"
    encoding: str = "quoted-printable"
    between: list[bytes] = field(default_factory=list)  # alternatives between text and HTML, or after them
    related: list[bytes] = field(default_factory=list)
    attached: list[bytes] = field(default_factory=list)
    content: bytes | None = None  # the whole content as a part, in place of all that
    zone: dict[str, Any] = field(default_factory=zone)
    envelope: Envelope = ENVELOPE
    session: Session = SESSION
    selectors: tuple[str, ...] = ()
    jurisdictions: tuple[str, ...] = ()
    sender: Sender = field(default_factory=Sender)
    sign: list[dict[str, Any]] = field(default_factory=lambda: [{"domain": SENDER, "selector": SELECTOR}])
    before_signing: list[Callable[[bytes], bytes]] = field(default_factory=list)
    afterwards: list[Callable[[bytes], bytes]] = field(default_factory=list)

    def get(self, name: str) -> str:
        """The value of the first field of a name."""
        return next(value for each, value in self.fields if each.lower() == name.lower())

    def set(self, name: str, value: str) -> None:
        """Give the first field of a name another value; put one at the end if there is none."""
        for each in self.fields:
            if each[0].lower() == name.lower():
                each[1] = value
                return
        self.fields.append([name, value])

    def add(self, name: str, value: str) -> None:
        """One more field."""
        self.fields.append([name, value])

    def remove(self, name: str) -> None:
        """Take out all fields of a name."""
        self.fields = [each for each in self.fields if each[0].lower() != name.lower()]

    def _content(self) -> bytes:
        if self.content is not None:
            return self.content
        shown = []
        if self.text is not None:
            shown.append(part(f"text/plain; charset={self.charset}", self.text.encode(self.charset), self.encoding))
        shown += self.between
        if self.html is not None:
            html = part(f"text/html; charset={self.charset}", self.html.encode(self.charset), self.encoding)
            shown.append(bag("related", [html, *self.related], "=_r5c71d") if self.related else html)
        whole = shown[0] if len(shown) == 1 else bag("alternative", shown, "=_a1f2e3d")
        return bag("mixed", [whole, *self.attached], "=_m9b8c7d") if self.attached else whole

    def octets(self) -> bytes:
        """The message, signed by what `sign` says; the keys go into `zone` unless it has them."""
        head = "".join(f"{name}: {value}\r\n" for name, value in self.fields).encode("utf-8", "surrogateescape")
        data = head + self._content()
        for change in self.before_signing:
            data = change(data)
        for spec in self.sign:
            data, keys = sign_example(data, spec, NOW)
            self.zone = {**keys, **self.zone}
        for change in self.afterwards:
            data = change(data)
        return data
