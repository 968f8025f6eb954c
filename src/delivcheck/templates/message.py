"""Rendered parts → the octets of a message, with the way back from a place in the message to one in a template.

The parts stand in it as they are, in UTF-8 without a transfer encoding, so that a line of the message is a line of a part.
"""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from ..facts.roots import TemplateRole
from ..model import Where
from .model import Rendered

SUBJECT = "Subject: "
BOUNDARY = "=_delivcheck"
_LINE_END = re.compile(r"\r\n?|\n")
_SUBTYPES = {TemplateRole.PLAIN: "plain", TemplateRole.HTML: "html"}  # least rich first, RFC 2046 section 5.1.4


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Lines of the message that one rendered text is, after `lead` octets; `starts` is where they begin in that text."""

    first: int  # line of the message, from 1
    rendered: Rendered
    starts: tuple[int, ...]
    lead: int = 0
    joined: bool = False  # the line is several of the text's


@dataclass(frozen=True)
class Built:
    """A message made of rendered parts; `octets` have CRLF."""

    octets: bytes
    _stretches: tuple[_Stretch, ...]

    def place(self, where: Where) -> Where:
        """Where the template has what stands at a place of the message; a place without a template's line stays what it is."""
        stretch = self._stretch(where.line)
        if stretch is None or where.line is None:
            return Where(header=where.header, part=where.part)
        number = where.line - stretch.first
        start = stretch.starts[number]
        text = stretch.rendered.text
        stop = stretch.starts[number + 1] if number + 1 < len(stretch.starts) else len(text)
        line = text[start:stop]
        begin = start if stretch.joined else start + _characters(line, (where.column or 1) - 1 - stretch.lead)
        end = None
        if where.end_column is not None and not stretch.joined:
            end = start + _characters(line, where.end_column - 1 - stretch.lead)
        found = stretch.rendered.where(begin, end)
        if found is None:
            return Where(header=where.header, part=where.part)
        if where.column is None and not found.approximate:  # about the whole line
            found = replace(found, column=None, end_column=None)
        return found

    def _stretch(self, line: int | None) -> _Stretch | None:
        if line is None or not self._stretches:
            return None
        number = bisect_right([one.first for one in self._stretches], line) - 1
        stretch = self._stretches[number] if number >= 0 else None
        return stretch if stretch is not None and line < stretch.first + len(stretch.starts) else None


def _sent(text: str) -> str:
    """A text as the message has it: RFC 5322 has no NUL (section 4), and nothing would show it."""
    return text.replace("\0", "\ufffd")


def _characters(line: str, octets: int) -> int:
    """How many characters the first octets of a line of the message are."""
    line = _sent(line)
    if octets <= 0:
        return 0
    if line.isascii():
        return min(octets, len(line))
    return len(line.encode("utf-8", "replace")[:octets].decode("utf-8", "ignore"))


def build(parts: Mapping[TemplateRole, Rendered], author: str | None) -> Built:
    """Put a message together; `author` is what stands in From. Without an HTML or plain part the body is empty."""
    lines: list[str] = []
    stretches: list[_Stretch] = []
    if author is not None:
        lines.append(f"From: {' '.join(author.split())}")
    if (subject := parts.get(TemplateRole.SUBJECT)) is not None:
        said = _sent(subject.text.strip())
        cleaned = " ".join(said.split()) if len(said.splitlines()) > 1 else said
        lead = len(subject.text) - len(subject.text.lstrip())
        stretches.append(_Stretch(len(lines) + 1, subject, (lead,), len(SUBJECT), cleaned != said))
        lines.append(SUBJECT + cleaned)
    lines.append("MIME-Version: 1.0")
    bodies = [(role, parts[role]) for role in _SUBTYPES if role in parts]
    if len(bodies) > 1:
        boundary = _boundary(rendered.text for _, rendered in bodies)
        lines += [f'Content-Type: multipart/alternative; boundary="{boundary}"', ""]
        for role, rendered in bodies:
            lines += [f"--{boundary}", f"Content-Type: text/{_SUBTYPES[role]}; charset=utf-8"]
            _body(rendered, lines, stretches)
        lines += [f"--{boundary}--", ""]
    else:
        for role, rendered in bodies:
            lines.append(f"Content-Type: text/{_SUBTYPES[role]}; charset=utf-8")
            _body(rendered, lines, stretches)
        if not bodies:
            lines += ["", ""]
    return Built("\r\n".join(lines).encode("utf-8", "replace"), tuple(stretches))


def _body(rendered: Rendered, lines: list[str], stretches: list[_Stretch]) -> None:
    lines += ["Content-Transfer-Encoding: 8bit", ""]
    starts, texts = [], []
    for start, line in _lines(rendered.text):
        starts.append(start)
        texts.append(_sent(line))
    stretches.append(_Stretch(len(lines) + 1, rendered, tuple(starts)))
    lines += texts


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with where they begin; the ends CRLF, LF and CR are all line ends, as in HTML."""
    if "\r" not in text:
        at = 0
        for line in text.split("\n"):
            yield at, line
            at += len(line) + 1
        return
    at = 0
    for end in _LINE_END.finditer(text):
        yield at, text[at : end.start()]
        at = end.end()
    yield at, text[at:]


def _boundary(texts: Iterator[str]) -> str:
    """A boundary that no text has (RFC 2046 section 5.1.1)."""
    whole = "\n".join(texts)
    if BOUNDARY not in whole:
        return BOUNDARY
    # Whoever writes ours into a template does not know the hash of the whole, in which this would have to stand.
    return f"{BOUNDARY}_{hashlib.sha256(whole.encode('utf-8', 'replace')).hexdigest()[:32]}"
