"""What a message carries besides its text: attachments with the names a reader sees, what they are, what is inside archives."""

import re
from binascii import Error as BinasciiError
from binascii import a2b_base64, a2b_uu
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..engine import fact
from ..mime.fields import Field
from ..mime.headers import (
    Flagged,
    HeaderError,
    ParameterFault,
    Parametrized,
    decode_words,
    parse_content_type,
    parse_disposition,
)
from ..mime.message import DefectKind, Message, Part, of_kind
from ..mime.parameters import parse_parameters
from ..model import Unavailable, Where
from .archives import Contents, Room, extension, look_into

_PE_POINTER = slice(0x3C, 0x40)  # where a DOS header says that the Windows header begins (PE format, "MS-DOS Stub")
_MAGIC = (
    (b"\x7fELF", "a Linux program"),
    (b"\xfe\xed\xfa\xce", "a macOS program"),
    (b"\xfe\xed\xfa\xcf", "a macOS program"),
    (b"\xce\xfa\xed\xfe", "a macOS program"),
    (b"\xcf\xfa\xed\xfe", "a macOS program"),
    (b"\xca\xfe\xba\xbe", "a Java or macOS program"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # [MS-CFB] section 2.2
# POSIX.1-2017 uuencode, output; Exchange and Outlook, ClamAV and SpamAssassin make a file of it (MS-OXCMAIL section 2.1.3.4)
_UUENCODED = re.compile(rb"^begin(-base64)? [0-7]{3,4} ([^\r\n]{1,255})\r?\n", re.MULTILINE)
_PARTING = re.compile(r"[\s\"(),;\\]")  # where some readers end a value without quotes
MAX_UUENCODED = 250  # files in the texts of a message; as many attachments as Exchange Online takes
_VBA_STORAGE = "_VBA_PROJECT".encode("utf-16-le")  # [MS-OVBA] section 2.2.1; directory entries are UTF-16


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attached file: of the message, or of a message inside it.

    `name` is what a reader sees (RFC 2231 before RFC 2047 before nothing), `extension` its last one in lower case. `at` is the
    field that names it, else the part. `program` and `macros` say what its octets show it to be. `contents` is None for what is
    no archive. `other_names` are those that other readers see: clients do not agree on which of several parameters counts.
    `within` says where it stands if it is no part of its own.
    """

    part: Part
    name: str | None
    extension: str
    at: Where
    program: str | None = None
    macros: str | None = None
    contents: Contents | None = None
    other_names: tuple[str, ...] = ()
    within: str | None = None


@dataclass(frozen=True, slots=True)
class Attachments:
    """All attachments in the order of the message, then the files that are uuencoded in its texts.

    `late` are those that only some filters see (`Part.late`). `unavailable` tells of parts that were not looked into, or that
    another reader takes apart otherwise.
    """

    each: tuple[Attachment, ...]
    unavailable: tuple[Unavailable, ...] = ()
    late: tuple[Attachment, ...] = ()


def place(part: Part, *names: str) -> Where:
    """The place of the first of some fields that a part has, else of the part."""
    for name in names:
        field = part.first(name)
        if field is not None:
            return field.at
    return part.at


def program_in(octets: bytes) -> str | None:
    """What kind of program octets are, None for what is none."""
    if octets.startswith(b"MZ") and len(octets) >= _PE_POINTER.stop:
        header = int.from_bytes(octets[_PE_POINTER], "little")
        return "a Windows program" if octets[header : header + 4] == b"PE\0\0" else None
    return next((what for magic, what in _MAGIC if octets.startswith(magic)), None)


def macros_in(octets: bytes, contents: Contents | None) -> str | None:
    """What holds macros in an Office document of the old (OLE) or the new (OOXML) format, None if nothing does."""
    if octets.startswith(_OLE):
        return "a VBA project" if _VBA_STORAGE in octets else None
    for member in contents.members if contents and contents.kind == "zip" else ():
        if len(member.path) == 2 and member.name.rpartition("/")[2].lower() == "vbaproject.bin":
            return member.name
    return None


@fact
def attachments(message: Message) -> Attachments:
    """Files by disposition, name or type, those of nested messages too."""
    own = set(message.attachments)
    found = []
    room = Room()
    for part in message.parts:
        if not part.is_leaf or part.is_multipart:
            continue
        if part in own or part.filename is not None or (part.nested and part.main_type not in {"text", "message"}):
            found.append(_attachment(part, room))
    late = [_attachment(part, room) for part in message.late_parts if part.is_leaf and _is_file(part)]
    written, more = _uuencoded(message, room)
    return Attachments((*found, *written), (*_unread(message), *more), tuple(late))


def _is_file(part: Part) -> bool:
    return not part.is_multipart and (part.filename is not None or part.main_type not in {"text", "message"})


_CUT = (DefectKind.TOO_MANY_PARTS, DefectKind.TOO_DEEP)


def _unread(message: Message) -> Iterator[Unavailable]:
    """The first limit that was met, the first part that another reader would take apart otherwise."""
    defects = (*message.defects, *(defect for part in message.late_parts for defect in part.defects))
    for defect in of_kind(defects, *_CUT)[:1]:
        yield Unavailable(f"{defect.message}, the rest was not looked at", defect.where)
    for defect in of_kind(defects, DefectKind.COMPOSITE_ENCODED)[:1]:
        yield Unavailable(f"{defect.message}, it was not looked into", defect.where)
    for part in (*message.parts, *message.late_parts):
        doubt = _doubt(part)
        if doubt is not None:
            yield Unavailable(f"{doubt}, and what other readers see was not looked at", place(part, "content-type"))
            return


def _doubt(part: Part) -> str | None:
    """Why readers do not agree on what a part holds, None if they do."""
    fields = part.all("content-type")
    if len({field.text for field in fields}) > 1:
        return "a part has several Content-Type fields"
    if part.is_multipart and any(_is_doubtful(flagged, part) for flagged in part.params.faults):
        return "the boundary of a multipart is not plain"
    return None


def _is_doubtful(flagged: Flagged, part: Part) -> bool:
    if flagged.fault is ParameterFault.UNQUOTED_SPECIAL:  # an equals sign without quotes, as Outlook Express wrote it, all read
        return flagged.name == "boundary" and _PARTING.search(part.params.get("boundary") or "") is not None
    return flagged.fault is not ParameterFault.EMPTY and flagged.name.partition("*")[0] in {"boundary", ""}


def _uuencoded(message: Message, room: Room) -> tuple[list[Attachment], list[Unavailable]]:
    """The files that are written into plain texts, as before MIME; not into attached ones, which nobody opens for them."""
    found: list[Attachment] = []
    for part in message.parts:
        if part.content_type != "text/plain" or not part.is_leaf or part.disposition == "attachment":
            continue
        octets, position = part.decoded, 0
        while begin := _UUENCODED.search(octets, position):
            position, data = _uudecoded(octets, begin)
            if not data:
                continue
            where = part.where(begin.start(), begin.end(2))
            if len(found) == MAX_UUENCODED:
                return found, [Unavailable(f"the texts hold more than {MAX_UUENCODED} uuencoded files", where)]
            name = begin[2].decode("utf-8", "replace").strip()
            contents = look_into(name, data, room)
            found.append(
                Attachment(
                    part=part,
                    name=name,
                    extension=extension(name),
                    at=where,
                    program=program_in(data),
                    macros=macros_in(data, contents),
                    contents=contents,
                    within="uuencoded in the text",
                )
            )
    return found, []


def _uudecoded(octets: bytes, begin: re.Match[bytes]) -> tuple[int, bytes]:
    """Where to go on behind a uuencoded file, and what is in it; nothing where the lines that follow are none."""
    position, pieces = begin.end(), []
    while position < len(octets):
        after = octets.find(b"\n", position) + 1 or len(octets)
        line = octets[position:after].rstrip(b"\r\n")
        try:
            piece = a2b_base64(line, strict_mode=True) if begin[1] else a2b_uu(line)
        except BinasciiError:
            break
        if not piece:  # the line of length 0 ends the file, or is no line of it
            break
        pieces.append(piece)
        position = after
    return position, b"".join(pieces)


def _attachment(part: Part, room: Room) -> Attachment:
    named = (
        "content-disposition"
        if part.declared_disposition and part.declared_disposition.parameter("filename")
        else "content-type"
    )
    octets = part.decoded
    contents = look_into(part.filename or "", octets, room)  # the declared type is not asked: catalogue T084
    return Attachment(
        part,
        part.filename,
        extension(part.filename or ""),
        place(part, named, "content-type"),
        program_in(octets),
        macros_in(octets, contents),
        contents,
        tuple(name for name in _names(part) if name != part.filename),
    )


def _names(part: Part) -> Iterable[str]:
    """Every name that the header gives the file, each once: of both fields, repeated ones too, as written and decoded."""
    declared: list[str] = []
    for field_name in ("content-disposition", "content-type"):
        for field in part.all(field_name):
            parameters = _read(field)
            given = (*parameters.parameters, *parameters.others)
            declared += (one.value for one in given if one.name in {"filename", "name"})
    return dict.fromkeys(text for value in declared for text in (value, decode_words(value)))


def _read(field: Field) -> Parametrized:
    try:
        return parse_content_type(field.text) if field.lower == "content-type" else parse_disposition(field.text)
    except HeaderError:
        return parse_parameters(field.text)
