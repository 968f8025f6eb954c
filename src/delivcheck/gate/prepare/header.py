"""The header section of a message about to be edited: its fields as spans of octets, and edits done on the octets.

Only the header section is scanned: a message that needs no edit costs the same whatever its size.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property

from ...mime.defects import DEFAULT, MAX_DEFECTS, DefectKind
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
    DefectKind.HEADER_TOO_LARGE: "the header is too large",
}


MAX_LINES = 20_000  # of the header: twice the fields that are read (mime/defects.py)


class Header:
    """The header section of one message. Raises NotPreparedError where it cannot be edited safely."""

    def __init__(self, octets: bytes) -> None:
        """Scan the header; the body is not looked at."""
        if not octets.strip(b"\r\n"):
            raise NotPreparedError("the message is empty")
        _check_size(octets)
        section, defects = Scanner(octets, DEFAULT).message_header()
        for defect in defects:
            if defect.kind in _UNSAFE:
                raise NotPreparedError(_UNSAFE[defect.kind])
        if defects.full:  # harmless ones have used up the room, and what else there is was not noted
            raise NotPreparedError(f"the header has {MAX_DEFECTS} faults or more")
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
    def names(self) -> frozenset[str]:
        """The names that occur, lower case. All are ASCII: the lower case of others would make a K of the Kelvin sign."""
        return frozenset([field.lower for field in self.fields])

    def all(self, name: str) -> list[Field]:
        """The fields of a name (lower case), in order."""
        return [field for field in self.fields if field.lower == name] if name in self.names else []

    def delete(self, gone: Sequence[Field]) -> list[Delete]:
        """The edits that take these fields out, the last field first, so that no index moves under the next."""
        if not gone:
            return []
        counts: Counter[str] = Counter()
        numbers = {}
        for field in self.fields:
            counts[field.lower] += 1
            numbers[field.offset] = counts[field.lower]
        last_first = sorted(gone, key=lambda field: -field.offset)
        return [Delete(field.name.encode("ascii"), numbers[field.offset]) for field in last_first]

    def edited(self, gone: Iterable[Field], insertions: Iterable[Insert]) -> bytes:
        """The octets with fields taken out and put in; every octet that stays is copied as it was."""
        pieces: list[bytes] = []
        below: list[bytes] = []
        for insertion in insertions:
            if insertion.last:
                below.append(written(insertion))
            else:
                pieces.insert(0, written(insertion))  # each goes above those before it
        at = 0
        for field in sorted(gone, key=lambda field: field.offset):
            pieces.append(self.octets[at : field.offset])
            at = self.octets.index(b"\n", field.value_offset + len(field.raw)) + 1
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
            octets = header.edited([header.all(edit.name.decode("ascii").lower())[edit.index - 1]], [])
        else:
            octets = header.edited([], [edit])
    return octets


def _check_size(octets: bytes) -> None:
    """Refuse at once what the scanner would walk through to its end: it counts all fields. Attack 30."""
    blank = octets.find(b"\r\n\r\n")
    end = len(octets) if blank < 0 else blank
    if end > DEFAULT.header_octets:
        raise NotPreparedError(f"the header has more than {DEFAULT.header_octets} octets")
    if octets.count(b"\n", 0, end) > MAX_LINES:
        raise NotPreparedError(f"the header has more than {MAX_LINES} lines")


def _before_blank_line(octets: bytes, end: int) -> int:
    """Where the blank line begins that ends a header section; `end` itself if none does."""
    start = octets.rfind(b"\n", 0, max(end - 1, 0)) + 1
    return end if octets[start:end].strip(b"\r\n") else start
