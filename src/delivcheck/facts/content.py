"""What a message carries besides its text: attachments with the names a reader sees, what they are, what is inside archives."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..engine import fact
from ..mime.headers import Parametrized, decode_words
from ..mime.message import DefectKind, Message, Part, of_kind
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
_VBA_STORAGE = "_VBA_PROJECT".encode("utf-16-le")  # [MS-OVBA] section 2.2.1; directory entries are UTF-16


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attached file: of the message, or of a message inside it.

    `name` is what a reader sees (RFC 2231 before RFC 2047 before nothing), `extension` its last one in lower case. `at` is the
    field that names it, else the part. `program` and `macros` say what its octets show it to be. `contents` is None for what is
    no archive. `other_names` are those that other readers see: clients do not agree on which of several parameters counts.
    """

    part: Part
    name: str | None
    extension: str
    at: Where
    program: str | None = None
    macros: str | None = None
    contents: Contents | None = None
    other_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attachments:
    """All attachments in the order of the message; `unavailable` tells of parts that the parser did not look into."""

    each: tuple[Attachment, ...]
    unavailable: tuple[Unavailable, ...] = ()


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
    unread = of_kind(message.defects, DefectKind.TOO_MANY_PARTS, DefectKind.TOO_DEEP)
    return Attachments(
        tuple(found), tuple(Unavailable(f"{defect.message}, the rest was not looked at", defect.where) for defect in unread[:1])
    )


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
    """Every name that the header gives the file, each once: of both fields, extended and plain, as written and decoded."""
    declared = [*_named_by(part.disposition_params, "filename"), *_named_by(part.params, "name")]
    return dict.fromkeys(text for value in declared for text in (value, decode_words(value)))


def _named_by(parameters: Parametrized | None, name: str) -> Iterable[str]:
    return (one.value for one in parameters.parameters if one.name == name) if parameters else ()
