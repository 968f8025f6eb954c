"""What can be wrong with a message short of not being one, and the limits the parser keeps."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..model import Where

MAX_DEFECTS = 1000  # of the headers and structure of one message, and of the encoding of one part; the stdlib has no limit


class MessageError(ValueError):
    """The octets cannot be a message at all. `position` is an offset in octets."""

    def __init__(self, message: str, position: int = 0) -> None:
        """Keep the reason, one clause, and the offset."""
        super().__init__(message)
        self.position = position


@dataclass(frozen=True, slots=True)
class Limits:
    """Where the parser stops looking closer. Only `octets` refuses the message; the others leave a defect behind."""

    octets: int = 150_000_000  # whole message; the most that Exchange Online can be set to take
    header_octets: int = 1_048_576  # one header section; Exim's header_maxsize
    part_headers: int = 4_194_304  # octets of the header sections of all parts together: 400 for each of 10,000
    fields: int = 10_000  # of one header section; twice what Gmail takes (5,000)
    depth: int = 100  # nested multiparts and messages; Postfix's mime_nesting_limit and Dovecot's parser
    parts: int = 10_000  # of one message; Dovecot's MESSAGE_PARSER_DEFAULT_MAX_TOTAL_MIME_PARTS
    decoded: int = 100_000_000  # octets of one part; ClamAV's MaxFileSize is 100 MB


DEFAULT = Limits()


class DefectKind(StrEnum):
    """What is wrong, in the words rules use."""

    # a header section
    NO_COLON = "no-colon"
    NO_NAME = "no-name"
    BAD_NAME = "bad-name"
    SPACE_BEFORE_COLON = "space-before-colon"
    LEADING_CONTINUATION = "leading-continuation"
    BLANK_CONTINUATION = "blank-continuation"
    NO_BLANK_LINE = "no-blank-line"
    MBOX_LINE = "mbox-line"
    TOO_MANY_FIELDS = "too-many-fields"
    HEADER_TOO_LARGE = "header-too-large"
    # the structure
    BAD_CONTENT_TYPE = "bad-content-type"
    NO_BOUNDARY = "no-boundary"
    BAD_BOUNDARY = "bad-boundary"
    BOUNDARY_NOT_FOUND = "boundary-not-found"
    BOUNDARY_NOT_CLOSED = "boundary-not-closed"
    BOUNDARY_REUSED = "boundary-reused"
    BOUNDARY_IN_CONTENT = "boundary-in-content"
    DELIMITER_REPEATED = "delimiter-repeated"
    PART_AFTER_END = "part-after-end"
    COMPOSITE_ENCODED = "composite-encoded"
    TOO_DEEP = "too-deep"
    TOO_MANY_PARTS = "too-many-parts"
    # the transfer encoding of a part
    UNKNOWN_ENCODING = "unknown-encoding"
    EIGHT_BIT = "eight-bit"
    BASE64_CHARACTER = "base64-character"
    BASE64_PADDING = "base64-padding"
    BASE64_LENGTH = "base64-length"
    QP_ESCAPE = "qp-escape"
    QP_OCTET = "qp-octet"
    QP_SPACE = "qp-space"
    ENCODED_LINE_TOO_LONG = "encoded-line-too-long"
    DECODED_TOO_LARGE = "decoded-too-large"
    # the charset of a text
    NO_CHARSET = "no-charset"
    UNKNOWN_CHARSET = "unknown-charset"
    WRONG_CHARSET = "wrong-charset"


@dataclass(frozen=True, slots=True)
class Defect:
    """One thing that is wrong: the kind, a clause that says what was found, and the place."""

    kind: DefectKind
    message: str
    where: Where


class Room:
    """How many more defects a message may note: all parts share it, so that a hostile message cannot fill the memory."""

    def __init__(self, left: int = MAX_DEFECTS) -> None:
        """Begin with all of it."""
        self.left = left


class Defects(list[Defect]):
    """Defects as they are found, while there is room."""

    def __init__(self, room: Room | None = None) -> None:
        """Begin empty, with room of its own or a share in one."""
        super().__init__()
        self._room = room or Room()

    @property
    def full(self) -> bool:
        """Whether another would not be kept: then its place need not be worked out."""
        return self._room.left <= 0

    def add(self, kind: DefectKind, message: str, where: Where) -> None:
        """Note one."""
        if not self.full:
            self._room.left -= 1
            self.append(Defect(kind, message, where))

    def insist(self, kind: DefectKind, message: str, where: Where) -> None:
        """Note one whether there is room or not: that something was not read must not go unsaid."""
        self._room.left -= 1
        self.append(Defect(kind, message, where))


def of_kind(defects: Sequence[Defect], *kinds: DefectKind) -> tuple[Defect, ...]:
    """Those of the given kinds, in order."""
    return tuple(defect for defect in defects if defect.kind in kinds)
