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

from .archive_names import Allowance, BadArchive, names_in

MAX_LEVELS = 2  # archives within archives that are looked into; the catalogue's number (MIME015), ClamAV's default is 17
MAX_MEMBERS = 20_000  # of one attachment, all levels together; twice ClamAV's MaxFiles
MAX_UNPACKED = 33_554_432  # octets of one archive inside another, or of a compressed tar; a mail of 25 MB holds no more useful
MAX_UNPACKED_OF_MESSAGE = 4 * MAX_UNPACKED  # octets, all attachments together: a mail can hold hundreds of small bombs
MAX_STREAMS = 100  # compressed members one after the other in a file: each costs a copy of what follows; split logs have a few
MAX_NAME = 1024  # characters of one name, its last, for they tell its type; Linux's PATH_MAX is 4096, Windows' 260
MAX_PREFIX = 2_097_152  # octets of a program before a rar archive; unrar's MAXSFXSIZE

_KINDS = (  # what an archive begins with
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),  # an empty one
    (b"Rar!\x1a\x07", "rar"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),  # RFC 8878 section 3.1.1
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"LZIP", "lzip"),
    (b"MSCF", "cab"),  # [MS-CAB] section 2.1
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
    "zst": "zstd",
    "tzst": "zstd",
    "lz4": "lz4",
    "lz": "lzip",
    "lzma": "lzma",
    "tlz": "lzma",
    "z": "compress",
    "taz": "compress",
    "cab": "cab",
    "lzh": "lzh",
    "lha": "lzh",
    "arj": "arj",
    "ace": "ace",
}
_UNREAD = frozenset({"zstd", "lz4", "lzip", "lzma", "compress", "cab", "lzh", "arj", "ace"})  # no reader for them here
_TAR_BY_EXTENSION = {"tgz", "tbz", "tbz2", "txz"}
_TAR_BLOCK = 512  # POSIX.1-2017 pax, ustar interchange format
_TAR_SIZE, _TAR_CHECKSUM = slice(124, 136), slice(148, 156)
_PAX = frozenset({b"x", b"X", b"g"})  # records for the next file, Solaris' for it, and for all that follow
_PAX_KEYWORDS = frozenset({b"path", b"size", b"GNU.sparse.name"})
_PAX_LENGTH = re.compile(rb"(\d{1,20}) ")
_TAR_NO_FILE = frozenset({b"2", b"3", b"4", b"5", b"6", b"K", b"D", b"V"})  # symbolic links, devices, folders, GNU's notes
_TAR_ELSEWHERE = frozenset({b"1", b"S"})  # hard links and sparse files: the content is not what stands behind the header
_TAR_WITHOUT_CONTENT = frozenset({b"1", b"2", b"3", b"4", b"5", b"6"})  # for Python's tarfile, even where a size is told
_SPARSE_MORE = (482, 504)  # where GNU's header of a sparse file says that more of its map follows, and where that block does
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
        self.headers = Allowance()


def look_into(name: str, data: bytes, room: Room | None = None) -> Contents | None:
    """List an archive, and those inside it down to MAX_LEVELS; None for what is no archive.

    `room` is what the message has left to unpack; what this archive takes of it is taken off.
    """
    kind = kind_of(name, data[:512])
    if kind is None:
        return None
    room = room or Room()
    reader = _Reader(min(MAX_UNPACKED, room.left), room.headers)
    had = reader.room
    reader.read_as_all((name,), kind, data, 1)
    room.left -= had - max(reader.room, 0)
    return Contents(kind, tuple(reader.members), tuple(reader.troubles))


class _Reader:
    """Collects the members of one attachment and keeps count of what that costs."""

    def __init__(self, room: int, headers: Allowance) -> None:
        self.members: list[Member] = []
        self.troubles: list[tuple[tuple[str, ...], Trouble]] = []
        self.room = room
        self._headers = headers

    def read_as_all(self, path: tuple[str, ...], kind: str, data: bytes, level: int) -> None:
        """List an archive as what it begins with, and as what its name says: a zip is read from its end, after any octets."""
        self.read(path, kind, data, level)
        named = _EXTENSIONS.get(extension(path[0]), kind)
        if named == kind or named in _UNREAD:
            return
        told = len(self.troubles)
        self.read(path, named, data, level)
        doubt = {(path, Trouble.DAMAGED), (path, Trouble.UNREAD)}
        if any(trouble in doubt for trouble in self.troubles[told:]):  # it is what it begins with, and only that
            self.troubles[told:] = [trouble for trouble in self.troubles[told:] if trouble not in doubt]
        else:
            self.troubles = [trouble for trouble in self.troubles if trouble != (path, Trouble.DAMAGED)]

    def read(self, path: tuple[str, ...], kind: str, data: bytes, level: int) -> None:
        """List one archive at `path`; level 1 is the attachment itself."""
        try:
            if kind == "zip":
                self._zip(path, data, level)
            elif kind == "tar":
                self._tar(path, data, level)
            elif kind in {"rar", "7z"}:
                self._by_headers(path, kind, data)
            elif kind in _UNREAD:
                self.troubles.append((path, Trouble.UNREAD))
            else:
                self._compressed(path, kind, data, level)
        except BadArchive:
            self.troubles.append((path, Trouble.UNREAD))
        except _FAULTS:
            self.troubles.append((path, Trouble.DAMAGED))

    def _by_headers(self, path: tuple[str, ...], kind: str, data: bytes) -> None:
        """The names of a rar or 7z archive; archives in it stay closed, since nothing unpacks them here."""
        if kind == "rar":  # unrar passes over a program that unpacks the archive behind it
            start = data.find(b"Rar!\x1a\x07", 0, MAX_PREFIX)
            if start < 0:
                raise ValueError("no rar")
            data = data[start:]
        if (_hidden_in_rar if kind == "rar" else _hidden_in_7z)(data):
            self.troubles.append((path, Trouble.HIDDEN))
            return
        try:
            named = names_in(kind, data, self._headers)
        except BadArchive:
            self.troubles.append((path, Trouble.UNREAD))
            return
        for one in named:
            if not self._note(Member((one.name[-MAX_NAME:], *path), one.encrypted)):
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
            # An Office document (ECMA-376 part 2) is no archive to its reader: what is in it is not opened. What is called an
            # archive is opened as one.
            office = any(entry.filename == "[Content_Types].xml" for entry in entries) and extension(path[0]) not in _EXTENSIONS
            for entry in entries:
                if entry.is_dir() and not entry.file_size:  # some programs write a file for a folder that has content
                    continue
                member = Member((entry.filename.rstrip("/")[-MAX_NAME:], *path), bool(entry.flag_bits & 0x1))
                if not self._note(member):
                    return
                kind = None if office or member.encrypted else _EXTENSIONS.get(extension(member.name))
                if kind is None or not self._may_enter(member.path, level):
                    continue
                if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                    self.troubles.append((member.path, Trouble.UNREAD))  # the others cannot be unpacked up to a limit
                else:
                    with archive.open(entry) as inside:
                        self._enter(member.path, kind, inside.read(self.room + 1), level)

    def _tar(self, path: tuple[str, ...], data: bytes, level: int) -> None:
        if len(data) < _TAR_BLOCK:
            raise ValueError("shorter than one header")
        for names, content in _tar_members(data, self._headers):
            members = [Member((name[-MAX_NAME:], *path)) for name in names]
            if not all(map(self._note, members)):
                return
            member = members[0]
            kind = _EXTENSIONS.get(extension(member.name)) if content else None
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
        inside = name.rpartition(".")[0] or name
        if kind_of(inside, unpacked[:512]) == "tar" or extension(name) in _TAR_BY_EXTENSION:
            self._tar(path, unpacked, level)
        else:
            self._note(Member((inside, *path)))
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
        self.read_as_all(path, kind_of(path[0], data[:512]) or kind, data, level + 1)


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


def _tar_members(data: bytes, allowance: Allowance) -> Iterator[tuple[list[str], bytes]]:
    """Names and contents of the files in a tar. Raises ValueError where it does not begin as one.

    The first name is the one that programs of today take; another is there if it has another extension, for those that know
    nothing of GNU's or pax' names. Blocks that are no header are passed over, as by `tar --ignore-zeros`: a file could hide
    behind them.
    """
    position, seen = 0, False
    overall: dict[str, str] = {}
    own: dict[str, str] = {}
    while position + _TAR_BLOCK <= len(data):
        header = data[position : position + _TAR_BLOCK]
        position += _TAR_BLOCK
        if not _is_tar_header(header):
            if not seen and header.strip(b"\0"):
                raise ValueError("no tar")
            continue
        seen, kind = True, header[156:157]
        said = {} if kind == b"L" or kind in _PAX else {**overall, **own}
        size = _tar_number(header[_TAR_SIZE])
        if said.get("size", "").isdecimal():
            size = int(said["size"][:20])
        if kind == b"S":
            position = _after_map(data, header, position)
        content = data[position : position + size]
        if kind == b"L":
            own["path"] = _text(content.rstrip(b"\0"))
        elif kind in _PAX:
            (overall if kind == b"g" else own).update(_pax_records(content, allowance))
        else:
            if kind not in _TAR_NO_FILE:
                yield from ((names, b"" if kind in _TAR_ELSEWHERE else content) for names in _tar_names(header, said, size))
            own = {}
        if kind not in _TAR_WITHOUT_CONTENT:
            position += -(-size // _TAR_BLOCK) * _TAR_BLOCK


def _is_tar_header(block: bytes) -> bool:
    """Whether the checksum is right, of octets with a sign too as some old programs count."""
    field = block[_TAR_CHECKSUM]
    told = _tar_number(field)
    if not told:
        return False
    rest = 32 * len(field) - sum(field)
    return told in {sum(block) + rest, sum(memoryview(block).cast("b")) + 32 * len(field) - sum(memoryview(field).cast("b"))}


def _tar_number(field: bytes) -> int:
    """Octal digits, or GNU's base 256 behind a first octet of 0x80; 0 for anything else."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    try:
        return max(int(field.partition(b"\0")[0], 8), 0)
    except ValueError:
        return 0


def _after_map(data: bytes, header: bytes, position: int) -> int:
    """Where a sparse file's content begins: behind blocks with more of its map, each of which tells whether another follows."""
    more = header[_SPARSE_MORE[0]]
    while more and position + _TAR_BLOCK <= len(data):
        more = data[position + _SPARSE_MORE[1]]
        position += _TAR_BLOCK
    return position


def _pax_records(content: bytes, allowance: Allowance) -> Iterator[tuple[str, str]]:
    """The records that are used here, each its length, a space, a keyword, "=", a value and a line end; up to a broken one."""
    position = 0
    while found := _PAX_LENGTH.match(content, position):
        allowance.step()
        end = position + int(found[1])
        if not found.end() < end <= len(content):
            return
        keyword, _, value = content[found.end() : end - 1].partition(b"=")
        if keyword in _PAX_KEYWORDS:
            yield keyword.decode(), _text(value)
        position = end


def _tar_names(header: bytes, said: dict[str, str], size: int) -> Iterator[list[str]]:
    """The names of one file, none for a folder as old programs wrote it."""
    prefix = header[345:500].rstrip(b"\0") if header[257:263] == b"ustar\0" else b""  # GNU has its sparse map there
    short = _text((prefix + b"/" if prefix else b"") + header[:100].partition(b"\0")[0])
    long = said.get("GNU.sparse.name") or said.get("path") or short
    last = "" if b"\0" not in header[:100] else extension(short.rstrip("/"))  # a field without a NUL is a long name cut off
    names = [long, short] if last not in {"", extension(long.rstrip("/"))} else [long]
    if size or not long.endswith("/"):
        yield [name.rstrip("/") for name in names]


def _text(octets: bytes) -> str:
    return octets[-4 * MAX_NAME :].decode("utf-8", "replace")


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
