"""Rules about the header as lines and octets: fields, repeats, sizes, what is not ASCII, line ends."""

from collections.abc import Iterator
from email.header import Header

from ...engine import rule
from ...facts.headers import ONCE_ONLY, RepeatedFields, sections
from ...facts.roots import Envelope
from ...mime.message import DefectKind, Field, Message, Spots
from ...model import Findings, NotApplicable, Problem, Where
from ...saying import shortened

MAX_LINE = 998  # octets without the line end, RFC 5322 section 2.1.1
RECOMMENDED_LINE = 78  # characters, the same section

# Gmail message header limits; Google does not say what a KB is, 1024 is assumed
GMAIL_HEADER = 500 * 1024
GMAIL_FIELDS = 5000
GMAIL_VALUE = 32 * 1024
GMAIL_NAME = 1024
_ANY_LENGTH = frozenset({"to", "cc", "references"})

_SYNTAX = frozenset(
    {DefectKind.NO_COLON, DefectKind.NO_NAME, DefectKind.BAD_NAME, DefectKind.SPACE_BEFORE_COLON, DefectKind.MBOX_LINE}
    | {DefectKind.LEADING_CONTINUATION, DefectKind.BLANK_CONTINUATION, DefectKind.NO_BLANK_LINE}
)


@rule("headers/repeated-once-only")
def repeated_once_only(repeated: RepeatedFields) -> Findings:
    for fields in repeated.among(ONCE_ONLY):
        yield Problem(f"{fields[0].name} stands there {len(fields)} times", fields[1].at)


@rule("headers/malformed-field")
def malformed_field(message: Message) -> Findings:
    for part in message.parts:
        if not part.nested:
            yield from (Problem(defect.message, defect.where) for defect in part.defects if defect.kind in _SYNTAX)


@rule("headers/raw-8bit")
def raw_8bit(message: Message, envelope: Envelope | NotApplicable) -> Findings:
    # RFC 6532 section 3.2: with SMTPUTF8 values may be UTF-8, "ftext" of names stays ASCII.
    utf8 = isinstance(envelope, Envelope) and envelope.smtputf8
    for field in _all_fields(message):
        if not field.name.isascii():
            yield Problem(f"the field name {field.name[:60]!a} is not ASCII", field.at)
        if field.raw.isascii():
            continue
        if utf8:
            if field.charset != "utf-8":
                yield Problem(f"{field.name} has raw octets above 0x7F that are not UTF-8", _raw_part(field))
            continue
        in_what = "" if field.charset == "utf-8" else ", not UTF-8 either"
        yield Problem(f"{field.name} has raw octets above 0x7F{in_what}", _raw_part(field), fix=_encoded(field))


def _all_fields(message: Message) -> Iterator[Field]:
    for section in sections(message):
        yield from section


def _raw_part(field: Field) -> Where:
    """From the first octet above 0x7F to the end of the value."""
    start = next((index for index, character in enumerate(field.text) if character > "\x7f"), 0)
    return field.where(start, len(field.text))


def _encoded(field: Field) -> str | None:
    """A Subject as it should be; what other fields should say depends on their structure."""
    if field.lower != "subject" or field.charset != "utf-8":
        return None
    return f"{field.name}: {Header(field.text, 'utf-8', header_name=field.name).encode()}"


@rule("headers/line-too-long")
def line_too_long(message: Message) -> Findings:
    yield from _long_lines(message, MAX_LINE, "octets")


@rule("headers/line-over-78")
def line_over_78(message: Message) -> Findings:
    yield from _long_lines(message, RECOMMENDED_LINE, "characters")


def _long_lines(message: Message, limit: int, unit: str) -> Findings:
    longest = message.lines.longest_header
    if longest is None or longest.length <= limit:
        return
    for field in message.fields:
        octets = message.data[field.offset : field.value_offset + len(field.raw)]
        lengths = [len(line) - line.endswith(b"\r") for line in octets.split(b"\n")]
        if max(lengths) > limit:  # one for each field: whoever wrote it did not fold
            number = next(index for index, length in enumerate(lengths) if length > limit)
            where = Where(line=field.line + number, column=1, header=field.name)
            yield Problem(f"a header line has {lengths[number]} {unit}", where)


@rule("headers/section-too-large")
def section_too_large(message: Message) -> Findings:
    size = len(message.header)
    if size > GMAIL_HEADER:
        yield Problem(f"the header has {size} octets, Gmail takes {GMAIL_HEADER}", Where(line=1, column=1))
    if message.field_count > GMAIL_FIELDS:
        yield Problem(f"the header has {message.field_count} fields, Gmail takes {GMAIL_FIELDS}", Where(line=1, column=1))
    for field in message.fields:
        # To, Cc and References are exempt by name (Gmail message header limits, table)
        if len(field.raw) > GMAIL_VALUE and field.lower not in _ANY_LENGTH:
            yield Problem(
                f"the value of {shortened(field.name, 60)} has {len(field.raw)} octets, Gmail takes {GMAIL_VALUE}", field.at
            )
        if len(field.name) > GMAIL_NAME:
            where = Where(line=field.line, column=1)
            yield Problem(f"a field name of {len(field.name)} octets, Gmail takes {GMAIL_NAME}", where)


@rule("headers/bare-line-ends")
def bare_line_ends(message: Message) -> Findings:
    lines = message.lines
    for what, spots in (("bare CR", lines.bare_cr), ("bare LF", lines.bare_lf), ("NUL", lines.nul)):
        yield from _counted(message, what, spots)


def _counted(message: Message, what: str, spots: Spots) -> Findings:
    """One problem for all of a kind, at the first: ten thousand bare LF are one fault of one program."""
    if spots.total:
        more = "" if spots.total == 1 else ", the first of them here"
        yield Problem(f"the message has {spots.total} {what}{more}", message.where(spots.first[0].offset))
