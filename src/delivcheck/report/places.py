"""Where a finding is, as CI systems take it: a path from the root of the repository, a line, columns in UTF-16 code units.

Our columns count octets. Editors, GitHub and SARIF count characters, so a column is told only where the line can be read again.
"""

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol
from urllib.parse import quote

from ..model import TargetKind, TargetReport, Where
from .problems import of_the_whole

STDIN = re.compile(r"-(?:#\d+)?\Z")  # a message or an mbox on standard input
BOM = b"\xef\xbb\xbf"

# RFC 3986 section 3.3: pchar and "/". Not ":", which in the first segment of a relative reference would end a scheme (4.2).
_SAFE = "/-._~!$&'()*+,;=@"


@dataclass(frozen=True, slots=True)
class File:
    """A file as reports outside of this machine name it.

    `path` has forward slashes and starts at the root of the repository, or is absolute where the file lies outside of it.
    `member`: the target is but a part of the file (a message of an mbox), so that its lines are not the file's.
    """

    path: str
    member: bool = False

    @property
    def relative(self) -> bool:
        """Whether the path starts at the root of the repository."""
        return not PurePath(self.path).is_absolute()

    @property
    def uri(self) -> str:
        """The path as a URI reference: relative, or with the scheme `file`."""
        quoted = quote(self.path.encode("utf-8", "surrogatepass"), safe=_SAFE)
        return quoted if self.relative else f"file://{quoted}"


class Files(Protocol):
    """What reports may know of files: their place in the repository, and their lines. Made by the command line."""

    def find(self, name: str) -> File:
        """The file that a target or a place names; it need not exist."""
        ...

    def line(self, name: str, number: int) -> bytes | None:
        """A line of a file, from 1, without its line end; None where it cannot be read again."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file. Columns are in UTF-16 code units from 1; `text` is the line, where it could be read."""

    file: File
    line: int | None = None
    column: int | None = None
    end_column: int | None = None
    text: str | None = None
    continued: bool = False  # the next line belongs to it as well: a folded header field (RFC 5322 section 2.2.3)

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file.path, self.line, self.column) if part is not None)


_WITHOUT_FILE = frozenset({TargetKind.DOMAIN, TargetKind.SENDING_IP})


def located(where: Where | None, target: TargetReport, files: Files) -> Place | None:
    """The place in a file; the file alone for what is in DNS or concerns the whole; None where there is no file at all."""
    name = where.file if where is not None and where.file is not None else None
    if name is None:
        if target.kind in _WITHOUT_FILE:
            return None
        name = target.target
    if STDIN.match(name):
        return None
    file = files.find(name)
    if where is None or where.line is None or file.member or of_the_whole(where):
        return Place(file)
    octets = files.line(name, where.line)
    if octets is None or where.column is None or where.approximate:
        return Place(file, where.line)
    if where.line == 1 and octets.startswith(BOM):  # SARIF 2.1.0 section 3.30.2: columns do not count a byte order mark
        skipped, octets = len(BOM), octets.removeprefix(BOM)
    else:
        skipped = 0
    column = _units(octets, where.column - skipped)
    end = None if where.end_column is None or column is None else _units(octets, where.end_column - skipped)
    text = None if column is None else octets.decode("utf-8", "replace")
    if end is not None and column is not None and end <= column:
        end = None
    following = files.line(name, where.line + 1) if where.header is not None else None
    return Place(file, where.line, column, end, text, continued=following is not None and following[:1] in {b" ", b"\t"})


def _units(line: bytes, column: int) -> int | None:
    """A column in octets as one in UTF-16 code units; None where it is beyond the line, or inside of a character."""
    if not 1 <= column <= len(line) + 1:
        return None
    try:
        line.decode()  # a line that is no UTF-8 will be read as something else, with who knows which columns
        return units(line[: column - 1].decode()) + 1
    except UnicodeDecodeError:
        return None


def units(text: str) -> int:
    """The length of text in UTF-16 code units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2
