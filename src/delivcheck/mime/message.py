"""A message, parsed from its octets and never written back: header fields, MIME tree, line statistics, places.

    message = parse(octets)
    message.first("subject").text          a field's value, unfolded
    message.first("subject").where(0, 5)   line and column of characters of it
    message.html_parts[0].text             decoded when first asked for
    message.defects                        what is wrong with header sections and structure

Parsing is one pass; decoding, line statistics and lists of parts are made when first asked for, and kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ..memo import lazy
from ..model import Where
from .defects import DEFAULT, Defect, DefectKind, Limits, MessageError, of_kind
from .fields import Field, Scanner
from .part import Part, Span
from .source import Line, Lines, Source, Spot, Spots
from .tree import Builder

__all__ = [
    "DEFAULT",
    "Defect",
    "DefectKind",
    "Field",
    "Limits",
    "Line",
    "Lines",
    "Message",
    "MessageError",
    "Part",
    "Source",
    "Span",
    "Spot",
    "Spots",
    "of_kind",
    "parse",
]

_BODY_TYPES = frozenset({"text/plain", "text/html", "text/x-amp-html", "text/enriched", "text/watch-html"})


@dataclass(frozen=True, eq=False)
class Message:
    """A parsed message. `fields` are those of its own header, in order, duplicates kept; at most `limits.fields` of them.

    `field_count` is their number in truth. `header` and `body` are ranges of octets; the blank line belongs to the header.
    `root` is the MIME tree.
    """

    source: Source
    limits: Limits
    fields: tuple[Field, ...]
    field_count: int
    header: Span
    body: Span
    root: Part

    # --- header fields

    @lazy
    def _by_name(self) -> dict[str, tuple[Field, ...]]:
        found: dict[str, list[Field]] = {}
        for field in self.fields:
            found.setdefault(field.lower, []).append(field)
        return {name: tuple(fields) for name, fields in found.items()}

    def all(self, name: str) -> tuple[Field, ...]:
        """The fields of a name, in order; upper and lower case do not matter."""
        return self._by_name.get(name.lower(), ())

    def first(self, name: str) -> Field | None:
        """The first field of a name."""
        found = self.all(name)
        return found[0] if found else None

    # --- octets and lines

    @property
    def data(self) -> bytes:
        """The octets that were parsed."""
        return self.source.data

    @property
    def size(self) -> int:
        """Octets of the whole message."""
        return len(self.source.data)

    @lazy
    def lines(self) -> Lines:
        """Line statistics: longest lines, bare CR and LF, NUL, 8-bit octets."""
        return self.source.statistics(self.header.end)

    def lines_longer_than(self, limit: int) -> Iterator[Line]:
        """The lines of more than `limit` octets, line ends not counted (RFC 5322 section 2.1.1)."""
        return self.source.longer_than(limit)

    def where(self, offset: int, end: int | None = None) -> Where:
        """The place of an octet of the message, with its header field or MIME part; `end` is cut at the end of the line."""
        spot = self.source.spot(offset)
        last = None if end is None else spot.column + max(0, min(end, self.source.line_end(spot.offset)) - spot.offset)
        part = self.part_at(spot.offset)
        fields: tuple[Field, ...] = ()
        if part is None:
            fields = self.fields
        elif spot.offset < part.header.end:
            fields = part.fields
        header = next((field.name for field in reversed(fields) if field.offset <= spot.offset), None)
        return Where(
            line=spot.line,
            column=spot.column,
            end_column=last,
            header=header,
            part=None if part is None else part.path,
        )

    # --- the MIME tree

    @lazy
    def parts(self) -> tuple[Part, ...]:
        """All parts in the order of the message, the root first, those of nested messages too."""
        return tuple(self.root.walk())

    @lazy
    def late_parts(self) -> tuple[Part, ...]:
        """All parts that stand after a closing delimiter, and those inside them; no other list has them."""
        found = []
        waiting = [late for part in reversed(self.parts) for late in reversed(part.late)]
        while waiting:
            part = waiting.pop()
            found.append(part)
            waiting.extend(reversed((*part.children, *part.late)))
        return tuple(found)

    @lazy
    def _parents(self) -> dict[Part, Part]:
        return {child: part for part in self.parts for child in part.children}

    def parent(self, part: Part) -> Part | None:
        """The multipart or message around a part."""
        return self._parents.get(part)

    def part(self, path: str) -> Part | None:
        """The part of a number."""
        return next((part for part in self.parts if part.path == path), None)

    def part_at(self, offset: int) -> Part | None:
        """The innermost part whose header or body holds an octet; None in the message's own header."""
        if offset < self.header.end:
            return None
        found = self.root
        while True:
            inner = next((child for child in found.children if child.header.start <= offset < child.body.end), None)
            if inner is None:
                return found
            found = inner

    @lazy
    def leaves(self) -> tuple[Part, ...]:
        """The parts of this message that hold no others; a message inside counts as one leaf and is not entered."""
        found = []
        waiting = [self.root]
        while waiting:
            part = waiting.pop()
            if part.is_multipart and part.children:
                waiting.extend(reversed(part.children))
            else:
                found.append(part)
        return tuple(found)

    @lazy
    def attachments(self) -> tuple[Part, ...]:
        """The leaves that are not text a reader is shown: files, images (inline ones too), nested messages."""
        return tuple(part for part in self.leaves if not self._is_body(part))

    @lazy
    def body_parts(self) -> tuple[Part, ...]:
        """The leaves that are text a reader is shown."""
        return tuple(part for part in self.leaves if self._is_body(part))

    def _is_body(self, part: Part) -> bool:
        if part.content_type not in _BODY_TYPES or part.disposition == "attachment":
            return False
        # A name alone makes a text a file (RFC 2183 says nothing of this; Dovecot and Thunderbird do the same), except for the
        # first text of a message and inside multipart/alternative, where senders name bodies too.
        if part.filename is None or part.disposition == "inline" or part is self.leaves[0]:
            return True
        around = self.parent(part)
        return around is not None and around.content_type == "multipart/alternative"

    @lazy
    def text_parts(self) -> tuple[Part, ...]:
        """The text/plain parts that a reader is shown."""
        return tuple(part for part in self.body_parts if part.content_type == "text/plain")

    @lazy
    def html_parts(self) -> tuple[Part, ...]:
        """The text/html parts that a reader is shown."""
        return tuple(part for part in self.body_parts if part.content_type == "text/html")

    def alternatives_of(self, part: Part) -> tuple[Part, ...]:
        """The leaves shown in place of a part: those in the other branches of the nearest multipart/alternative around it.

        The way there may lead through multipart/related and others (RFC 2387; Apple Mail puts a multipart/mixed inside), but
        not out of a nested message. Attachments do not count.
        """
        branch, around = part, self.parent(part)
        while around is not None and around.is_multipart:
            if around.content_type == "multipart/alternative":
                others = (leaf for child in around.children if child is not branch for leaf in child.walk() if leaf.is_leaf)
                return tuple(leaf for leaf in others if leaf.disposition != "attachment" and leaf.nested == part.nested)
            branch, around = around, self.parent(around)
        return ()

    # --- what is wrong

    @lazy
    def defects(self) -> tuple[Defect, ...]:
        """Of all header sections and of the structure, in the order of the parts. Decodes nothing."""
        return tuple(defect for part in self.parts for defect in part.defects)

    @lazy
    def decoding_defects(self) -> tuple[Defect, ...]:
        """Of transfer encodings and charsets in this message, not in messages inside. Decodes every leaf."""
        return tuple(defect for part in self.leaves for defect in part.decoding_defects)


def parse(data: bytes, limits: Limits = DEFAULT) -> Message:
    """Parse a message of CRLF octets; bare LF ends a line too, and is counted in `lines`.

    Raises MessageError where there is nothing to parse or more than `limits.octets`; everything else that is wrong becomes a
    defect. Takes time in proportion to the message.
    """
    check(data, limits)
    source = Source(data)
    section, root = Builder(source, limits).build()
    return Message(source, limits, section.fields, section.total, Span(0, section.end), Span(section.end, len(data)), root)


def header_of(data: bytes, limits: Limits = DEFAULT) -> tuple[Field, ...]:
    """The fields of a message's own header as `parse` has them, at a small part of its cost. Raises MessageError."""
    check(data, limits)
    return Scanner(data, limits).message_header()[0].fields


def check(data: bytes, limits: Limits = DEFAULT) -> None:
    """Raise MessageError where `parse` would."""
    if not data.strip(b"\r\n"):
        raise MessageError("the message is empty")
    if len(data) > limits.octets:
        raise MessageError(f"the message has {len(data)} octets, the limit is {limits.octets}", limits.octets)
