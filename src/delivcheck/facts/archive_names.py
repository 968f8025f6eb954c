"""The names in rar and 7z archives, read from their headers; nothing of the files themselves is unpacked.

Formats: RARLAB's "RAR 5.0 archive format" and unrar's headers for RAR 4, 7-Zip's DOC/7zFormat.txt. Takes octets, does no I/O,
raises BadArchive and nothing else.
"""

import lzma
import struct
from collections.abc import Iterator
from typing import NamedTuple

MAX_FILES = 20_000  # of one archive; as many as `archives` keeps of an attachment
MAX_HEADER = 16_777_216  # octets of an unpacked 7z header: 20,000 names of 255 UTF-16 characters have 10 MB
MAX_HEADERS = 4 * MAX_HEADER  # octets of all unpacked 7z headers of a message
MAX_STEPS = 1_000_000  # numbers, flags and blocks read in all of them; a 7z of 20,000 files takes about 100,000
MAX_DICTIONARY = 67_108_864  # octets; what 7-Zip's "ultra" takes, and an attacker could ask for 4 GB

_STEPS_OF_BLOCK = 10  # a header of rar has about as many numbers
_LZMA, _LZMA2, _AES = b"\x03\x01\x01", b"\x21", b"\x06\xf1\x07\x01"  # 7-Zip's DOC/Methods.txt


class BadArchive(ValueError):  # noqa: N818 -- reads well in an except clause
    """The headers are not what the format says, or more than is read here."""


class Named(NamedTuple):
    """One file in an archive."""

    name: str
    encrypted: bool


class Allowance:
    """What reading headers may still cost, for all archives of one message together."""

    def __init__(self, steps: int = MAX_STEPS, octets: int = MAX_HEADERS) -> None:
        """Begin with all of it."""
        self.steps = steps
        self.octets = octets

    def step(self, count: int = 1) -> None:
        """Take that many steps. Raises BadArchive when none are left."""
        self.steps -= count
        if self.steps < 0:
            raise BadArchive("more to read than is allowed")

    def unpack(self, octets: int) -> None:
        """Take what a header unpacks to. Raises BadArchive when nothing is left, or for one header that is too large."""
        if octets > min(self.octets, MAX_HEADER):
            raise BadArchive("the header is too large")
        self.octets -= octets


def names_in(kind: str, data: bytes, allowance: Allowance | None = None) -> list[Named]:
    """The files of a "rar" or "7z" archive, folders left out. Raises BadArchive, also when the allowance is used up."""
    read = _seven if kind == "7z" else _rar5 if data[6:8] == b"\x01\x00" else _rar4
    try:
        return list(read(data, allowance or Allowance()))
    except (IndexError, struct.error, lzma.LZMAError, MemoryError, ValueError) as error:
        raise BadArchive(str(error)) from None


# --- rar ---------------------------------------------------------------------------------------------------------


def _rar4(data: bytes, allowance: Allowance) -> Iterator[Named]:
    """Blocks of CRC, type, flags and size; a file's has the type 0x74. A name may go on as Unicode behind a NUL."""
    position = 7
    for _ in range(2 * MAX_FILES):
        if position + 7 > len(data):
            return
        allowance.step(_STEPS_OF_BLOCK)
        kind, flags, size = struct.unpack_from("<BHH", data, position + 2)
        if size < 7 or kind == 0x7B:  # the end of the archive
            return
        more = struct.unpack_from("<I", data, position + 7)[0] if flags & 0x8000 or kind == 0x74 else 0
        if kind == 0x74:
            (length,) = struct.unpack_from("<H", data, position + 26)
            start = position + (40 if flags & 0x100 else 32)
            if start + length > position + size:
                raise BadArchive("a name goes on behind its header")
            if flags & 0xE0 != 0xE0:  # all three bits of the dictionary's size: a folder
                yield Named(data[start : start + length].partition(b"\0")[0].decode("utf-8", "replace"), bool(flags & 0x04))
        position += size + more
    raise BadArchive("too many files")


def _rar5(data: bytes, allowance: Allowance) -> Iterator[Named]:
    """Blocks of CRC and a header that tells its size; type 2 is a file, 5 the end."""
    position = 8
    for _ in range(2 * MAX_FILES):
        if position + 7 > len(data):
            return
        allowance.step(_STEPS_OF_BLOCK)
        size, start = _vint(data, position + 4)
        kind, at = _vint(data, start)
        flags, at = _vint(data, at)
        extra, at = _vint(data, at) if flags & 1 else (0, at)
        packed, at = _vint(data, at) if flags & 2 else (0, at)
        if kind == 5 or not size:
            return
        records_at = start + size - extra
        if extra > size:
            raise BadArchive("more behind a header than its size")
        if kind == 2:
            what, at = _vint(data, at)
            _, at = _vint(data, at)  # unpacked size
            _, at = _vint(data, at)  # attributes
            at += 4 * bool(what & 2) + 4 * bool(what & 4)  # time, CRC
            _, at = _vint(data, at)  # compression
            _, at = _vint(data, at)  # system
            length, at = _vint(data, at)
            if at + length > records_at:
                raise BadArchive("a name goes on behind its header")
            if not what & 1:  # a folder
                records = data[records_at : start + size]
                yield Named(data[at : at + length].decode("utf-8", "replace"), _is_encrypted(records, allowance))
        position = start + size + packed
    raise BadArchive("too many files")


def _is_encrypted(records: bytes, allowance: Allowance) -> bool:
    """Whether one of the records behind a file's header says so: each is a size, a type, and what belongs to it."""
    at = 0
    while at < len(records):
        allowance.step()
        size, start = _vint(records, at)
        kind, _ = _vint(records, start)
        if kind == 1:
            return True
        at = start + max(size, 1)
    return False


def _vint(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits an octet, lowest first, at most ten octets; and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        octet = data[at]
        at += 1
        value |= (octet & 0x7F) << shift
        if not octet & 0x80:
            return value, at
    raise BadArchive("a number is too long")


# --- 7z ----------------------------------------------------------------------------------------------------------


def _seven(data: bytes, allowance: Allowance) -> Iterator[Named]:
    offset, size = struct.unpack_from("<QQ", data, 12)
    if not size:
        return
    header = _Reader(data[32 + offset : 32 + offset + size], allowance)
    for _ in range(4):  # 7-Zip packs a header once
        if header.octet() == 0x01:
            break
        streams = header.streams()
        header = _Reader(streams.unpacked(data, allowance), allowance)
    else:
        raise BadArchive("a header in a header")
    kind = header.octet()
    if kind == 0x02:
        while header.octet():
            header.take(header.number())
        kind = header.octet()
    if kind == 0x03:
        header.streams()
        kind = header.octet()
    encrypted = False
    if kind == 0x04:
        encrypted = any(coder == _AES for folder in header.streams().folders for coder, _ in folder)
        kind = header.octet()
    if kind == 0x05:
        yield from header.files(encrypted=encrypted)


class _Streams(NamedTuple):
    """Where packed streams begin, their sizes, each folder's coders with their properties, and what it unpacks to."""

    position: int
    packed: list[int]
    folders: list[list[tuple[bytes, bytes]]]
    unpacked_sizes: list[int]

    def unpacked(self, data: bytes, allowance: Allowance) -> bytes:
        """The first folder, if it is packed by LZMA alone, as headers are."""
        ((method, properties),) = self.folders[0]
        allowance.unpack(self.unpacked_sizes[0])
        packed = data[32 + self.position : 32 + self.position + self.packed[0]]
        decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[_filter(method, properties)])
        return decoder.decompress(packed, self.unpacked_sizes[0])


def _filter(method: bytes, properties: bytes) -> dict[str, int]:
    """What liblzma must know of a coder."""
    chain: dict[str, int] = {}
    if method == _LZMA:
        rest, lc = divmod(properties[0], 9)
        pb, lp = divmod(rest, 5)
        (size,) = struct.unpack_from("<I", properties, 1)
        chain = {"id": lzma.FILTER_LZMA1, "lc": lc, "lp": lp, "pb": pb}
    elif method == _LZMA2:
        size = (2 | properties[0] & 1) << (properties[0] // 2 + 11)
        chain = {"id": lzma.FILTER_LZMA2}
    if not chain or size > MAX_DICTIONARY:
        raise BadArchive("the header is packed in a way that is not read here")
    return {**chain, "dict_size": max(size, 4096)}


class _Reader:
    """Reads a header's numbers and lists one after the other."""

    def __init__(self, data: bytes, allowance: Allowance) -> None:
        self._data = data
        self._at = 0
        self._allowance = allowance

    def octet(self) -> int:
        self._allowance.step()
        self._at += 1
        return self._data[self._at - 1]

    def take(self, size: int) -> bytes:
        if size > len(self._data) - self._at:
            raise BadArchive("cut short")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self) -> int:
        """7zFormat.txt, "NUMBER": ones at the top of the first octet count the octets that follow, lowest first."""
        first, mask, value = self.octet(), 0x80, 0
        for place in range(8):
            if not first & mask:
                return value | (first & (mask - 1)) << (8 * place)
            value |= self.octet() << (8 * place)
            mask >>= 1
        return value

    def count(self) -> int:
        found = self.number()
        if found > MAX_FILES:
            raise BadArchive("too many files")
        return found

    def bits(self, count: int) -> list[bool]:
        self._allowance.step(count)
        octets = self.take((count + 7) // 8)
        return [bool(octets[index // 8] & (0x80 >> index % 8)) for index in range(count)]

    def digests(self, count: int) -> list[bool]:
        """Skipped, but for which of them are there."""
        defined = [True] * count if self.octet() else self.bits(count)
        self._allowance.step(count)
        self.take(4 * sum(defined))
        return defined

    def streams(self) -> _Streams:
        """PackInfo, UnpackInfo and SubStreamsInfo, each perhaps missing."""
        position, packed = 0, [0]
        folders: list[list[tuple[bytes, bytes]]] = []
        sizes: list[int] = []
        known: list[bool] = []
        while kind := self.octet():
            if kind == 0x06:
                position = self.number()
                packed = self._packed(self.count())
            elif kind == 0x07:
                folders, sizes, known = self._unpack_info()
            elif kind == 0x08:
                self._substreams(known)
            else:
                raise BadArchive("an unknown property")
        return _Streams(position, packed, folders, sizes)

    def _packed(self, count: int) -> list[int]:
        sizes = [0]
        while kind := self.octet():
            if kind == 0x09:
                sizes = [self.number() for _ in range(count)]
            else:
                self.digests(count)
        return sizes

    def _unpack_info(self) -> tuple[list[list[tuple[bytes, bytes]]], list[int], list[bool]]:
        """The folders' coders, what each unpacks to, and whether its digest is known."""
        if self.octet() != 0x0B:
            raise BadArchive("no folder")
        count = self.count()
        if self.octet():
            raise BadArchive("folders elsewhere")
        read = [self._folder() for _ in range(count)]
        sizes = []
        known = [False] * count
        while kind := self.octet():
            if kind == 0x0C:
                for _, outputs in read:
                    sizes.append([self.number() for _ in range(outputs)][-1])
            else:
                known = self.digests(count)
        return [folder for folder, _ in read], sizes, known

    def _folder(self) -> tuple[list[tuple[bytes, bytes]], int]:
        """The coders of a folder, and how many streams they put out together."""
        coders, inputs, outputs = [], 0, 0
        for _ in range(self._few()):
            flags = self.octet()
            method = self.take(flags & 0x0F)
            ins, outs = (self._few(), self._few()) if flags & 0x10 else (1, 1)
            coders.append((method, self.take(self.number()) if flags & 0x20 else b""))
            inputs, outputs = inputs + ins, outputs + outs
        bonds = outputs - 1
        for _ in range(2 * bonds):
            self.number()
        if inputs - bonds > 1:
            for _ in range(inputs - bonds):
                self.number()
        return coders, outputs

    def _few(self) -> int:
        found = self.number()
        if not 0 < found <= 32:  # 7-Zip's own limit of coders and of streams in a folder
            raise BadArchive("no folder")
        return found

    def _substreams(self, known: list[bool]) -> None:
        """Skipped: how many files each folder holds, their sizes but for the last of each, digests not known yet."""
        self._allowance.step(len(known))
        counts = [1] * len(known)
        kind = self.octet()
        if kind == 0x0D:
            counts = [self.count() for _ in known]
            kind = self.octet()
        if sum(counts) > MAX_FILES:
            raise BadArchive("too many files")
        if kind == 0x09:
            for _ in range(sum(count - 1 for count in counts if count)):
                self.number()
            kind = self.octet()
        missing = sum(count for count, is_known in zip(counts, known, strict=True) if count != 1 or not is_known)
        while kind:
            self.digests(missing)
            kind = self.octet()

    def files(self, *, encrypted: bool) -> Iterator[Named]:
        """FilesInfo: properties with their sizes, among them the names and which files are folders."""
        count = self.count()
        names: list[str] = []
        empty = [False] * count
        files: list[bool] = []
        while kind := self.octet():
            inside = _Reader(self.take(self.number()), self._allowance)
            if kind == 0x11 and not inside.octet():
                names = inside.rest().decode("utf-16-le", "replace").split("\0", count)[:count]
            elif kind == 0x0E:
                empty = inside.bits(count)
            elif kind == 0x0F:
                self._allowance.step(count)
                files = inside.bits(sum(empty))
        of_empty = iter(files)
        for name, is_empty in zip(names, empty, strict=False):
            if not is_empty:
                yield Named(name, encrypted)
            elif next(of_empty, False):
                yield Named(name, encrypted=False)

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)
