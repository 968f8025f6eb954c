"""What is inside an archive, as far as its table of contents tells: names, whether they are encrypted, archives within.

Nothing is unpacked but archives inside archives, and of those no more than the limits below; of rar and 7z only the names are
read. Takes octets, does no I/O, never raises.
"""

import bz2
import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, NamedTuple

from msgspec import Struct

from .archive_names import BadArchive, names_in

MAX_LEVELS = 2  # archives within archives that are looked into; the catalogue's number (MIME015), ClamAV's default is 17
MAX_MEMBERS = 20_000  # of one attachment, all levels together; twice ClamAV's MaxFiles
MAX_UNPACKED = 33_554_432  # octets of one archive inside another, or of a compressed tar; a mail of 25 MB holds no more useful
MAX_UNPACKED_OF_MESSAGE = 4 * MAX_UNPACKED  # octets, all attachments together: a mail can hold hundreds of small bombs
MAX_STREAMS = 100  # compressed members one after the other in a file: each costs a copy of what follows; split logs have a few
MAX_NAME = 1024  # characters of one name; Linux's PATH_MAX is 4096, Windows' 260

_KINDS = (  # what an archive begins with
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),  # an empty one
    (b"Rar!\x1a\x07", "rar"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
)
_EXTENSIONS = {
    "zip": "zip",
    "rar": "rar",
    "7z": "7z",
    "tar": "tar",
    "gz": "gzip",
    "tgz": "gzip",
    "bz2": "bzip2",
    "tbz2": "bzip2",
    "tbz": "bzip2",
    "xz": "xz",
    "txz": "xz",
}
_TAR_BY_EXTENSION = {"tgz", "tbz", "tbz2", "txz"}
_TAR_BLOCK = 512  # POSIX.1-2017 pax, ustar interchange format
_FAULTS = (  # what zipfile and the decompressors raise on hostile input
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    IndexError,
    KeyError,
)
_AES_OF_7Z = b"\x06\xf1\x07\x01"  # the coder id of AES-256 in 7-Zip's DOC/7zFormat.txt


class Trouble(StrEnum):
    """Why an archive, or one inside it, could not be looked into."""

    DAMAGED = "cannot be opened"
    NESTED = f"is nested more than {MAX_LEVELS} archives deep"
    HIDDEN = "has an encrypted table of contents"
    LIMIT = f"holds more than {MAX_MEMBERS} files or {MAX_UNPACKED} octets, the rest was not looked at"
    UNREAD = "has a table of contents that cannot be read here"  # damaged, or in a form of rar or 7z that is not known here


NOT_LOOKED_AT = frozenset({Trouble.LIMIT, Trouble.UNREAD})  # says nothing about the archive: what is in it is not known


class Member(NamedTuple):
    """One file: its name, behind it the archives it is in, innermost first, and whether it is encrypted."""

    path: tuple[str, ...]
    encrypted: bool = False

    @property
    def name(self) -> str:
        """The file's own name with the folders that the archive gives it."""
        return self.path[0]


class Contents(Struct, frozen=True):
    """What an archive holds. `troubles` pairs the archive concerned, with those around it, and why."""

    kind: str
    members: tuple[Member, ...] = ()
    troubles: tuple[tuple[tuple[str, ...], Trouble], ...] = ()


def extension(name: str) -> str:
    """The last extension as Windows sees it: no dots or spaces at the end, lower case; empty if there is none."""
    plain = re.split(r"[/\\]", name)[-1].rstrip(". \t\x00")
    return plain.rpartition(".")[2].casefold() if "." in plain else ""


def kind_of(name: str, head: bytes) -> str | None:
    """Which kind of archive this is, by what it begins with, else by its name; None for what is none."""
    for magic, kind in _KINDS:
        if head.startswith(magic):
            return kind
    if head[257:262] == b"ustar":
        return "tar"
    return _EXTENSIONS.get(extension(name))


class Room:
    """How many octets may still be unpacked, for all attachments of one message together."""

    def __init__(self, octets: int = MAX_UNPACKED_OF_MESSAGE) -> None:
        """Begin with all of it."""
        self.left = octets


def look_into(name: str, data: bytes, room: Room | None = None) -> Contents | None:
    """List an archive, and those inside it down to MAX_LEVELS; None for what is no archive.

    `room` is what the message has left to unpack; what this archive takes of it is taken off.
    """
    kind = kind_of(name, data[:512])
    if kind is None:
        return None
    room = room or Room()
    reader = _Reader(min(MAX_UNPACKED, room.left))
    had = reader.room
    reader.read((name,), kind, data, 1)
    room.left -= had - max(reader.room, 0)
    return Contents(kind, tuple(reader.members), tuple(reader.troubles))


class _Reader:
    """Collects the members of one attachment and keeps count of what that costs."""

    def __init__(self, room: int) -> None:
        self.members: list[Member] = []
        self.troubles: list[tuple[tuple[str, ...], Trouble]] = []
        self.room = room

    def read(self, path: tuple[str, ...], kind: str, data: bytes, level: int) -> None:
        """List one archive at `path`; level 1 is the attachment itself."""
        try:
            if kind == "zip":
                self._zip(path, data, level)
            elif kind == "tar":
                self._tar(path, data, level)
            elif kind in {"rar", "7z"}:
                self._by_headers(path, kind, data)
            else:
                self._compressed(path, kind, data, level)
        except _FAULTS:
            self.troubles.append((path, Trouble.DAMAGED))

    def _by_headers(self, path: tuple[str, ...], kind: str, data: bytes) -> None:
        """The names of a rar or 7z archive; archives in it stay closed, since nothing unpacks them here."""
        if (_hidden_in_rar if kind == "rar" else _hidden_in_7z)(data):
            self.troubles.append((path, Trouble.HIDDEN))
            return
        try:
            named = names_in(kind, data)
        except BadArchive:
            self.troubles.append((path, Trouble.UNREAD))
            return
        for one in named:
            if not self._note(Member((one.name[:MAX_NAME], *path), one.encrypted)):
                return

    def _note(self, member: Member) -> bool:
        if len(self.members) >= MAX_MEMBERS:
            if not self.troubles or self.troubles[-1][1] is not Trouble.LIMIT:
                self.troubles.append((member.path[1:], Trouble.LIMIT))
            return False
        self.members.append(member)
        return True

    def _zip(self, path: tuple[str, ...], data: bytes, level: int) -> None:
        if data.count(b"PK\x01\x02") > MAX_MEMBERS:  # central directory entries: zipfile would make an object of each
            self.troubles.append((path, Trouble.LIMIT))
            return
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            # An Office document (ECMA-376 part 2) is no archive to its reader: what is in it is not opened.
            office = any(entry.filename == "[Content_Types].xml" for entry in entries)
            for entry in entries:
                member = Member((entry.filename[:MAX_NAME], *path), bool(entry.flag_bits & 0x1))
                if entry.is_dir():
                    continue
                if not self._note(member):
                    return
                kind = None if office or member.encrypted else _EXTENSIONS.get(extension(entry.filename))
                if (
                    kind is not None
                    and self._may_enter(member.path, level)
                    and entry.compress_type
                    in {
                        zipfile.ZIP_STORED,
                        zipfile.ZIP_DEFLATED,  # the others cannot be unpacked up to a limit
                    }
                ):
                    with archive.open(entry) as inside:
                        self._enter(member.path, kind, inside.read(self.room + 1), level)

    def _tar(self, path: tuple[str, ...], data: bytes, level: int) -> None:
        if len(data) < _TAR_BLOCK:
            raise ValueError("shorter than one header")
        for name, content in _tar_members(data):
            member = Member((name[:MAX_NAME], *path))
            if not self._note(member):
                return
            kind = _EXTENSIONS.get(extension(name))
            if kind is not None and self._may_enter(member.path, level):
                self._enter(member.path, kind, content, level)

    def _compressed(self, path: tuple[str, ...], kind: str, data: bytes, level: int) -> None:
        """One compressed file, or a tar; both are one level, as every program shows them."""
        if self.room <= 0:
            self.troubles.append((path, Trouble.LIMIT))
            return
        unpacked = _unpack(kind, data, self.room)
        self.room -= len(unpacked)
        name = path[0].rpartition("/")[2]
        if unpacked[257:262] == b"ustar" or extension(name) in _TAR_BY_EXTENSION:
            self._tar(path, unpacked, level)
        else:
            self._note(Member((name.rpartition(".")[0] or name, *path)))
        if self.room <= 0:
            self.troubles.append((path, Trouble.LIMIT))

    def _may_enter(self, path: tuple[str, ...], level: int) -> bool:
        if level == MAX_LEVELS:
            self.troubles.append((path, Trouble.NESTED))
            return False
        if self.room <= 0:  # told once: each bomb of a thousand side by side would cost all of the room again
            if all(trouble is not Trouble.LIMIT for _, trouble in self.troubles):
                self.troubles.append((path, Trouble.LIMIT))
            return False
        return True

    def _enter(self, path: tuple[str, ...], kind: str, data: bytes, level: int) -> None:
        if len(data) > self.room:
            self.room = 0
            self.troubles.append((path, Trouble.LIMIT))
            return
        self.room -= len(data)
        self.read(path, kind_of(path[0], data[:512]) or kind, data, level + 1)


def _unpack(kind: str, data: bytes, room: int) -> bytes:
    """The first `room` octets of a compressed file. Raises ValueError where it ends before its end.

    What follows the first member is unpacked too, as gunzip, bunzip2 and xz do (RFC 1952 section 2.2): a file could hide there.
    """
    unpacked = bytearray()
    for _ in range(MAX_STREAMS):
        unpacker = _unpacker(kind)
        unpacked += unpacker.decompress(data, room - len(unpacked))
        if not unpacker.eof:
            if len(unpacked) < room:
                raise ValueError("cut short")
            return bytes(unpacked)
        data = unpacker.unused_data
        if len(unpacked) >= room or not _begins(kind, data):  # what follows is padding, which programs pass over
            return bytes(unpacked)
    raise ValueError("too many members")


def _unpacker(kind: str) -> Any:
    if kind == "gzip":
        return zlib.decompressobj(wbits=31)
    return bz2.BZ2Decompressor() if kind == "bzip2" else lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=4 * MAX_UNPACKED)


def _begins(kind: str, data: bytes) -> bool:
    return any(of == kind and data.startswith(magic) for magic, of in _KINDS)


def _tar_members(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files in a tar, with GNU's long names; stops at the first block that is no header."""
    position, long_name = 0, None
    while position + _TAR_BLOCK <= len(data):
        header = data[position : position + _TAR_BLOCK]
        if not header.strip(b"\0"):
            return
        digits = header[124:136].strip(b" \0")
        size = int(digits, 8) if digits.isdigit() else 0  # base 256 is for files over 8 GiB, none of which is in a mail
        content = data[position + _TAR_BLOCK : position + _TAR_BLOCK + size]
        kind = header[156:157]
        if kind == b"L":
            long_name = content.rstrip(b"\0").decode("utf-8", "replace")
        elif kind in {b"0", b"\0", b"7"}:
            prefix = header[345:500].rstrip(b"\0") if header[257:262] == b"ustar" else b""
            short = (prefix + b"/" if prefix else b"") + header[:100].rstrip(b"\0")
            yield long_name or short.decode("utf-8", "replace"), content
            long_name = None
        position += _TAR_BLOCK + -(-size // _TAR_BLOCK) * _TAR_BLOCK


def _hidden_in_rar(data: bytes) -> bool:
    """Whether even the names are encrypted: the first header of RAR 5 is of type 4; a flag of RAR 4's main header."""
    if data[6:8] == b"\x01\x00":  # RAR 5: CRC of 4 octets, then two numbers of seven bits an octet, the size and the type
        position = 12
        while position < len(data) and data[position] & 0x80:
            position += 1
        return data[position + 1 : position + 2] == b"\x04"
    return data[9:10] == b"\x73" and bool(data[10] & 0x80)


def _hidden_in_7z(data: bytes) -> bool:
    """Whether the end header is packed (property 0x17) by a chain of coders with AES in it."""
    offset, size = struct.unpack_from("<QQ", data, 12)
    header = data[32 + offset : 32 + offset + size]
    return header[:1] == b"\x17" and _AES_OF_7Z in header
