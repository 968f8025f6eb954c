"""What a message carries besides its text: attachments with the names a reader sees, what they are, what is inside archives."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..engine import fact
from ..mime.defects import MAX_DEFECTS
from ..mime.filenames import filenames
from ..mime.headers import Flagged, ParameterFault
from ..mime.message import DefectKind, Message, Part
from ..mime.uuencode import uuencoded
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
        if part in own or filenames(part) or (part.nested and _is_file(part)):
            if part.is_leaf and not part.is_multipart:
                found.append(_attachment(part, room))
            elif part.filename is not None:  # who takes a multipart for a file finds what is in it there, too
                found.append(_named(part))
    late = [_attachment(part, room) for part in message.late_parts if part.is_leaf and (filenames(part) or _is_file(part))]
    written, more = _written(message, room)
    return Attachments((*found, *written), (*_unread(message), *more), tuple(late))


def _is_file(part: Part) -> bool:
    return part.main_type not in {"text", "message", "multipart"}


# Why a part was not looked into, or not in the way that others do.
_CUT = frozenset({DefectKind.TOO_MANY_PARTS, DefectKind.TOO_DEEP, DefectKind.TOO_MANY_FIELDS, DefectKind.HEADER_TOO_LARGE})
_OTHERWISE = frozenset(
    {
        DefectKind.COMPOSITE_ENCODED,
        DefectKind.BAD_CONTENT_TYPE,
        DefectKind.NO_BOUNDARY,
        DefectKind.BOUNDARY_NOT_FOUND,
        DefectKind.BOUNDARY_REUSED,
        DefectKind.BOUNDARY_IN_CONTENT,
        DefectKind.LEADING_CONTINUATION,
    }
)
_READ = frozenset({"message/rfc822", "message/global"})
_REPORTS = re.compile(r"message/(?:global-)?(?:delivery-status|disposition-notification|headers|feedback-report)")


def _unread(message: Message) -> Iterator[Unavailable]:
    """The first limit that was met, the first part that another reader would take apart otherwise."""
    parts = (*message.parts, *message.late_parts)
    for kinds, what in ((_CUT, "the rest was not looked at"), (_OTHERWISE, "what other readers find there was not looked at")):
        defect = next((one for part in parts for one in part.defects if one.kind in kinds), None)
        if defect is not None:
            yield Unavailable(f"{defect.message}, {what}", defect.where)
    if sum(len(part.defects) for part in parts) >= MAX_DEFECTS:  # among those without room may be one of these
        yield Unavailable(f"the structure has {MAX_DEFECTS} faults or more, the others were not looked at", message.root.at)
    for part in parts:
        doubt = _doubt(part)
        if doubt is not None:
            yield Unavailable(f"{doubt}, what other readers find there was not looked at", place(part, "content-type"))
            return


def _doubt(part: Part) -> str | None:
    """Why readers do not agree on what a part holds, None if they do."""
    fields = part.all("content-type")
    if len({field.text for field in fields}) > 1:
        return "a part has several Content-Type fields"
    if part.main_type == "message" and part.content_type not in _READ and not _REPORTS.fullmatch(part.content_type):
        return f"a part is of the type {part.content_type[:80]}"
    if part.is_multipart and any(_is_doubtful(flagged, part) for flagged in part.params.faults):
        return "the boundary of a multipart is not plain"
    return None


def _is_doubtful(flagged: Flagged, part: Part) -> bool:
    if flagged.fault is ParameterFault.UNQUOTED_SPECIAL:  # an equals sign without quotes, as Outlook Express wrote it, all read
        return flagged.name == "boundary" and _PARTING.search(part.params.get("boundary") or "") is not None
    return flagged.fault is not ParameterFault.EMPTY and flagged.name.partition("*")[0] in {"boundary", ""}


def _written(message: Message, room: Room) -> tuple[list[Attachment], list[Unavailable]]:
    """The files that are uuencoded in plain texts; not in attached ones, which nobody opens for them."""
    found: list[Attachment] = []
    for part in message.parts:
        if part.content_type != "text/plain" or not part.is_leaf or part.disposition == "attachment":
            continue
        for file in uuencoded(part.decoded):
            where = part.where(file.start, file.end)
            if len(found) == MAX_UUENCODED:
                return found, [Unavailable(f"the texts hold more than {MAX_UUENCODED} uuencoded files", where)]
            contents = look_into(file.name, file.octets, room)
            found.append(
                Attachment(
                    part=part,
                    name=file.name,
                    extension=extension(file.name),
                    at=where,
                    program=program_in(file.octets),
                    macros=macros_in(file.octets, contents),
                    contents=contents,
                    within="uuencoded in the text",
                )
            )
    return found, []


def _attachment(part: Part, room: Room) -> Attachment:
    octets = part.decoded
    contents = look_into(part.filename or "", octets, room)  # the declared type is not asked: catalogue T084
    return replace(_named(part), program=program_in(octets), macros=macros_in(octets, contents), contents=contents)


def _named(part: Part) -> Attachment:
    declared = part.declared_disposition
    named = "content-disposition" if declared and declared.parameter("filename") else "content-type"
    others = tuple(name for name in filenames(part) if name != part.filename)
    at = place(part, named, "content-disposition", "content-type")
    return Attachment(part, part.filename, extension(part.filename or ""), at, other_names=others)
