"""The header section of a message about to be edited: its fields as spans of octets, and edits done on the octets.

Only the header section is scanned: a message that needs no edit costs the same whatever its size.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

from ...mime.defects import DEFAULT, DefectKind
from ...mime.fields import Field, Scanner
from ..model import Delete, Edit, Insert
from .errors import NotPreparedError

# With these, where the header ends or what its fields are is one thing to us and another to the next reader (Postfix takes the
# first line that is no field for the body's first): what we put in or took out would not be what that reader sees.
_UNSAFE = {
    DefectKind.LEADING_CONTINUATION: "the header begins with a continuation line",  # it would continue what we put before it
    DefectKind.MBOX_LINE: "an mbox separator line stands before the header",
    DefectKind.NO_COLON: "a line in the header is no field",
    DefectKind.NO_NAME: "a line in the header begins with a colon",
    DefectKind.BAD_NAME: "a field name in the header has octets that no name may have",  # attack 31
    DefectKind.NO_BLANK_LINE: "no blank line ends the header",
    DefectKind.TOO_MANY_FIELDS: f"the header has more than {DEFAULT.fields} fields",  # attack 30
    DefectKind.HEADER_TOO_LARGE: f"the header has more than {DEFAULT.header_octets} octets",
}


class Line(NamedTuple):
    """One field: its name as written, lower case, and where it begins and ends, the final line end included."""

    field: Field
    name: bytes
    start: int
    end: int


class Header:
    """The header section of one message. Raises NotPreparedError where it cannot be edited safely."""

    def __init__(self, octets: bytes) -> None:
        """Scan the header; the body is not looked at."""
        if not octets.strip(b"\r\n"):
            raise NotPreparedError("the message is empty")
        section, defects = Scanner(octets, DEFAULT).message_header()
        for defect in defects:
            if defect.kind in _UNSAFE:
                raise NotPreparedError(_UNSAFE[defect.kind])
        self.octets = octets
        self.body = section.end  # where the body begins
        self.end = _before_blank_line(octets, section.end)  # where the last field's line ends
        head = octets[: section.end]
        pairs = head.count(b"\r\n")
        if head.count(b"\n") != pairs or head.count(b"\r") != pairs:
            raise NotPreparedError("the header has a CR or LF that is not part of CRLF")  # RFC 5322 section 2.2
        if self.end and not head.endswith(b"\n"):
            raise NotPreparedError("the last line of the header has no line end")
        self.fields = section.fields

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """The fields with their spans. Names as octets: lower case of Unicode would make a K of the Kelvin sign."""
        octets = self.octets
        return tuple(
            Line(
                one,
                octets[one.offset : one.value_offset - 1].rstrip(b" \t").lower(),
                one.offset,
                octets.index(b"\n", one.value_offset + len(one.raw)) + 1,
            )
            for one in self.fields
        )

    @cached_property
    def names(self) -> frozenset[bytes]:
        """The names that occur, lower case."""
        return frozenset(line.name for line in self.lines)

    def all(self, name: bytes) -> tuple[Line, ...]:
        """The fields of a name (lower case), in order."""
        return tuple(line for line in self.lines if line.name == name) if name in self.names else ()

    def delete(self, gone: Sequence[Line]) -> list[Delete]:
        """The edits that take these fields out, the last field first, so that no index moves under the next."""
        counts: dict[bytes, int] = {}
        numbers = {}
        for line in self.lines:
            counts[line.name] = counts.get(line.name, 0) + 1
            numbers[line.start] = counts[line.name]
        last_first = sorted(gone, key=lambda line: -line.start)
        return [Delete(self.octets[line.start :][: len(line.name)], numbers[line.start]) for line in last_first]

    def edited(self, gone: Iterable[Line], insertions: Iterable[Insert]) -> bytes:
        """The octets with fields taken out and put in; every octet that stays is copied as it was."""
        pieces: list[bytes] = []
        below: list[bytes] = []
        for insertion in insertions:
            if insertion.last:
                below.append(written(insertion))
            else:
                pieces.insert(0, written(insertion))  # each goes above those before it
        at = 0
        for line in sorted(gone, key=lambda line: line.start):
            pieces.append(self.octets[at : line.start])
            at = line.end
        # Without a body there may be no blank line either (RFC 5322 section 3.5): then `end` is the end of everything.
        return b"".join([*pieces, self.octets[at : self.end], *below, self.octets[self.end :]])


def written(insertion: Insert) -> bytes:
    """A field as it stands in the header."""
    return insertion.name + b": " + insertion.value + b"\r\n"


def apply(octets: bytes, edits: Iterable[Edit]) -> bytes:
    """Apply edits in order, each to what the one before left. Raises NotPreparedError; IndexError for a field not there."""
    for edit in edits:
        header = Header(octets)
        if isinstance(edit, Delete):
            octets = header.edited([header.all(edit.name.lower())[edit.index - 1]], [])
        else:
            octets = header.edited([], [edit])
    return octets


def _before_blank_line(octets: bytes, end: int) -> int:
    """Where the blank line begins that ends a header section; `end` itself if none does."""
    start = octets.rfind(b"\n", 0, max(end - 1, 0)) + 1
    return end if octets[start:end].strip(b"\r\n") else start
