"""Rules about transfer encodings and the length of lines."""

from collections.abc import Iterator

from ...engine import rule
from ...mime.defects import DefectKind
from ...mime.message import Message, Part
from ...model import Findings, Level, Problem, Where

MAX_LINE = 998  # octets without CRLF, RFC 5322 section 2.1.1 and RFC 5321 section 4.5.3.1.6
QUOTED_PRINTABLE = "Content-Transfer-Encoding: quoted-printable"
BASE64 = "Content-Transfer-Encoding: base64"

MAX_ENCODED = 76  # characters, RFC 2045 sections 6.7 (5) and 6.8
# CPython's EmailMessage writes quoted-printable lines of 78 unless told otherwise, every decoder takes them, and SpamAssassin's
# MIME_QP_LONG_LINE and BASE64_LENGTH_79_INF begin at 79: up to here it is a note.
TOLERATED_ENCODED = 78

_OF_QUOTED_PRINTABLE = frozenset({DefectKind.QP_ESCAPE, DefectKind.QP_OCTET, DefectKind.QP_SPACE})
_OF_BASE64 = frozenset({DefectKind.BASE64_CHARACTER, DefectKind.BASE64_PADDING, DefectKind.BASE64_LENGTH})


def _problems(part: Part, kinds: frozenset[DefectKind], fix: str | None = None) -> Iterator[Problem]:
    """The defects of some kinds, the first of each kind on a line: a line left unencoded has one for every octet."""
    seen = set()
    for defect in part.decoding_defects:
        key = (defect.kind, defect.where.line)
        if defect.kind in kinds and key not in seen:
            seen.add(key)
            yield Problem(defect.message, defect.where, fix=fix)


def _long_lines(part: Part) -> Iterator[Problem]:
    """One problem for all encoded lines that are too long, at the first that is not tolerated."""
    if not any(defect.kind is DefectKind.ENCODED_LINE_TOO_LONG for defect in part.decoding_defects):
        return
    lines = [line for line in part.source.lines(part.body.start, part.body.end) if line.length > MAX_ENCODED]
    first = next((line for line in lines if line.length > TOLERATED_ENCODED), lines[0])
    level = Level.NOTE if first.length <= TOLERATED_ENCODED else None
    more = f", and {len(lines) - 1} more lines are too long" if len(lines) > 1 else ""
    what = f"an encoded line has {first.length} characters, {MAX_ENCODED} are allowed{more}"
    yield Problem(what, Where(line=first.number, column=1, part=part.path), level)


@rule("mime/encoded-composite")
def encoded_composite(message: Message) -> Findings:
    for defect in message.defects:
        if defect.kind is DefectKind.COMPOSITE_ENCODED:  # RFC 2045 section 6.4
            yield Problem(defect.message, defect.where, fix="Content-Transfer-Encoding: 7bit")


@rule("mime/undeclared-8bit")
def undeclared_8bit(message: Message) -> Findings:
    # Catalogue T082: 8bit that says so is legal. Whether the next hop takes it is another rule's.
    kinds = frozenset({DefectKind.EIGHT_BIT, DefectKind.UNKNOWN_ENCODING})
    for part in message.leaves:
        yield from _problems(part, kinds, QUOTED_PRINTABLE if part.main_type == "text" else BASE64)


@rule("mime/line-too-long")
def line_too_long(message: Message) -> Findings:
    longest = message.lines.longest_body
    if longest is None or longest.length <= MAX_LINE:
        return
    for line in message.lines_longer_than(MAX_LINE):
        if line.offset >= message.body.start:  # lines of the header are another rule's
            part = message.part_at(line.offset)
            where = Where(line=line.number, column=1, part=part.path if part is not None else None)
            fix = BASE64 if part is not None and part.main_type not in {"text", "multipart"} else QUOTED_PRINTABLE
            yield Problem(f"the line has {line.length} octets, SMTP carries {MAX_LINE}", where, fix=fix)


@rule("mime/quoted-printable-faults")
def quoted_printable_faults(message: Message) -> Findings:
    for part in message.leaves:
        if part.encoding == "quoted-printable":
            yield from _problems(part, _OF_QUOTED_PRINTABLE)
            yield from _long_lines(part)
        elif part.undeclared_encoding is not None:
            field = part.first("content-transfer-encoding")
            said = f"the transfer encoding {part.encoding}" if field else "no transfer encoding"
            where = part.where(0) if field is None else field.at
            what = f"the text is in quoted-printable, its header declares {said}"
            yield Problem(what, where, Level.ERROR, QUOTED_PRINTABLE)  # readers see =3D and =C3=A9


@rule("mime/base64-faults")
def base64_faults(message: Message) -> Findings:
    for part in message.leaves:
        if part.encoding == "base64":
            yield from _problems(part, _OF_BASE64)
            yield from _long_lines(part)
