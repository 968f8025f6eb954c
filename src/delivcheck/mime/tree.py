"""The MIME tree: one pass over the delimiter lines, with a stack of what is open (RFC 2046 section 5.1)."""

import re

from ..model import Where
from .defects import DefectKind, Defects, Limits
from .encodings import IDENTITY
from .fields import Field, Scanner, Section
from .lexer import HeaderError
from .parameters import Parametrized, parse_content_type, parse_token
from .part import Part, Span
from .source import Source

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]\Z")  # RFC 2046 section 5.1.1
_MAX_BOUNDARY = 70  # characters, RFC 2046 section 5.1.1
_MAX_LOOKED_AT = 200_000  # lines that begin with "--"; 20 for each part that is read. A dump of a database has some 10,000
_PADDING = b" \t\r\n"
_MESSAGES = frozenset({"message/rfc822", "message/global"})  # RFC 2046 section 5.2.1, RFC 6532 section 3.7


class _Open:
    """A part that has begun and not ended."""

    def __init__(self, section: Section, defects: Defects, start: int, default_type: str, *, nested: bool) -> None:
        self.defects = defects
        self.section = section
        self.start = start
        self.body = section.end
        self.default_type = default_type
        self.nested = nested
        self.path = self.prefix = ""  # the prefix is what stands before the numbers of its children
        self.digest = False
        self.children: list[Part] = []
        self.late: list[Part] = []  # begun after the closing delimiter
        self.boundary = b""  # "" where there is nothing to look for
        self.delimiters = 0
        self.preamble: Span | None = None
        self.epilogue: int | None = None  # where it begins, once the closing delimiter was seen

    @property
    def closed(self) -> bool:
        """Whether its closing delimiter was seen."""
        return self.epilogue is not None

    def first(self, name: str) -> Field | None:
        return next((field for field in self.section.fields if field.lower == name), None)


class Builder:
    """Finds the parts of one message. Used once."""

    def __init__(self, source: Source, limits: Limits) -> None:
        """Prepare for the message."""
        self.source = source
        self.data = source.data
        self.limits = limits
        self.scanner = Scanner(self.data, limits)
        self.stack: list[_Open] = []
        self.parts = 0
        self._boundaries: tuple[bytes, ...] = ()  # delimiter lines of everything open
        self._known_line = (0, 1)  # an offset and the number of its line; only grows

    def build(self) -> tuple[Section, Part]:
        """The top-level header section and the root part."""
        section, defects = self.scanner.message_header()
        self._enter(_Open(section, defects, 0, "text/plain", nested=False), None, "")
        self._scan()
        while True:
            part = self._leave(len(self.data))
            if not self.stack:
                return section, part

    # --- delimiters

    def _scan(self) -> None:
        data, stops = self.data, self.scanner.stops
        position = self.stack[-1].body
        looked_at = 0
        while stops and self.parts <= self.limits.parts:
            if not data.startswith(b"--", position) or (position and data[position - 1] != 0x0A):
                position = data.find(b"\n--", max(position - 1, 0)) + 1
                if not position:
                    return
            looked_at += 1
            if looked_at > _MAX_LOOKED_AT:
                self._give_up(f'more than {_MAX_LOOKED_AT} lines of the message begin with "--"', self._where(position, ""))
                return
            after = data.find(b"\n", position) + 1 or len(data)
            line = data[position:after].rstrip(_PADDING)
            found = stops.get(line)  # RFC 2046 section 5.1.1: white space at the end is padding; nothing else may follow
            if found is not None:
                position = self._delimiter(*found, position, after)
                continue
            if line.startswith(self._boundaries) and not self.stack[0].defects.full:
                self._note_near_miss(line, position)
            position = after

    def _delimiter(self, level: int, closing: bool, position: int, after: int) -> int:
        """A delimiter of the multipart at `level`: end what is open inside it, begin the next part. Gives where to go on."""
        end = max(position - 1, 0)
        end -= self.data[end - 1 : end] == b"\r"  # RFC 2046 section 5.1.1: the CRLF before belongs to the delimiter
        multipart = self.stack[level]
        while len(self.stack) > level + 1:
            self._leave(end)
        if not multipart.delimiters:
            multipart.preamble = Span(multipart.body, max(end, multipart.body))
        multipart.delimiters += 1
        if closing:
            if not multipart.closed:
                multipart.epilogue = after
                self._boundaries = tuple(each for each in self._boundaries if each != b"--" + multipart.boundary)
            return after
        if self.scanner.stops.get(self._line_at(after)) == (level, False):
            # Twice in a row: the line end of the first cannot also begin the second, so there is no empty part between.
            if not multipart.defects.full:
                where = self._where(after, multipart.path)
                multipart.defects.add(DefectKind.DELIMITER_REPEATED, "a delimiter line stands twice", where)
            return after
        if self.parts == self.limits.parts:
            self._give_up(f"the message has more than {self.limits.parts} parts", self._where(position, multipart.path))
            return after
        if multipart.closed and not multipart.late:
            # RFC 2046 section 5.1.1: what follows the closing delimiter is to be ignored, and Python's email package, MimeKit
            # and SpamAssassin do. rspamd and ClamAV read on, so what they find is kept too, but not among the parts.
            name = multipart.boundary.decode("utf-8", "replace")[:_MAX_BOUNDARY]
            what = f"a part begins after the closing delimiter --{name}--"
            multipart.defects.add(DefectKind.PART_AFTER_END, what, self._where(position, multipart.path))
        path = f"{multipart.prefix}{len(multipart.children) + len(multipart.late) + 1}"
        section, defects = self.scanner.part_header(after, self._line_of(after), path)
        self._known_line = (section.end, section.line)
        default_type = "message/rfc822" if multipart.digest else "text/plain"
        return self._enter(_Open(section, defects, after, default_type, nested=multipart.nested), path, f"{path}.")

    def _give_up(self, why: str, where: Where) -> None:
        """Read no further parts; said even where other defects have used up the room."""
        self.parts = self.limits.parts + 1
        self.stack[0].defects.insist(DefectKind.TOO_MANY_PARTS, why, where)

    def _note_near_miss(self, line: bytes, position: int) -> None:
        """A line that begins with an open boundary and goes on: some parsers compare only the beginning."""
        multipart = next(each for each in self.stack if each.boundary and line.startswith(b"--" + each.boundary))
        where = self._where(position, multipart.path)
        multipart.defects.add(DefectKind.BOUNDARY_IN_CONTENT, "a line begins with the boundary and goes on", where)

    # --- parts

    def _enter(self, part: _Open, path: str | None, prefix: str) -> int:
        """Open a part, and with it the message inside if it is one. Gives where its content begins.

        The body of a message has no `path` of its own: a single one counts as its part 1 (RFC 3501 section 6.4.5).
        """
        self.parts += 1
        self.stack.append(part)
        field = part.first("content-type")
        declared = self._content_type(part, field)
        kind = declared.value if declared else ("text/plain" if field else part.default_type)
        if kind.startswith("multipart/"):
            part.path = path if path is not None else (f"{prefix}TEXT" if prefix else "")
            part.prefix = prefix
            part.digest = kind == "multipart/digest"  # RFC 2046 section 5.1.5: its parts are messages by default
            self._note_encoding(part, kind)
            self._open_multipart(part, declared, field)
        else:
            part.path = path if path is not None else f"{prefix}1"
            if kind in _MESSAGES and self._note_encoding(part, kind) and self._has_room(part):
                section, defects = self.scanner.part_header(part.body, self._line_of(part.body), part.path)
                self._known_line = (section.end, section.line)
                inner = _Open(section, defects, part.body, "text/plain", nested=True)
                return self._enter(inner, None, f"{part.path}.")
        return part.body

    def _leave(self, end: int) -> Part:
        """End the innermost open part and hand it to the one around it."""
        part = self.stack.pop()
        if part.boundary:
            if (part.epilogue is None or not part.children) and self.parts <= self.limits.parts:
                self._note_open_end(part)
            self._forget(part, len(self.stack))
        end = max(end, part.body)
        made = Part(
            path=part.path,
            fields=part.section.fields,
            header=Span(part.start, part.body),
            body=Span(part.body, end),
            children=tuple(part.children),
            late=tuple(part.late),
            preamble=part.preamble,
            epilogue=None if part.epilogue is None else Span(min(part.epilogue, end), end),
            nested=part.nested,
            default_type=part.default_type,
            defects=tuple(part.defects),
            source=self.source,
            limits=self.limits,
        )
        if self.stack:
            around = self.stack[-1]
            (around.late if around.closed else around.children).append(made)
        return made

    def _content_type(self, part: _Open, field: Field | None) -> Parametrized | None:
        if field is None:
            return None
        try:
            return parse_content_type(field.text)
        except HeaderError as error:  # RFC 2045 section 5.2: then it counts as text/plain
            part.defects.add(DefectKind.BAD_CONTENT_TYPE, f"{error} in Content-Type", field.where(error.position))
            return None

    def _open_multipart(self, part: _Open, declared: Parametrized | None, field: Field | None) -> None:
        """Look for the delimiters of a multipart from now on, if it has a boundary to look for."""
        parameter = declared.parameter("boundary") if declared else None
        if field is None or parameter is None or not parameter.value.rstrip():
            where = field.at if field else self._where(part.start, part.path)
            part.defects.add(DefectKind.NO_BOUNDARY, "a multipart without a boundary", where)
            return
        if not _BOUNDARY.match(parameter.value):
            length = len(parameter.value)
            what = (
                f"has {length} characters, {_MAX_BOUNDARY} are allowed"
                if length > _MAX_BOUNDARY
                else "has characters it may not have"
            )
            part.defects.add(DefectKind.BAD_BOUNDARY, f"the boundary {what}", field.where(*parameter.span))
        if not self._has_room(part):
            return
        delimiter = b"--" + parameter.value.rstrip().encode("utf-8", "replace")
        stops, level = self.scanner.stops, len(self.stack) - 1
        if delimiter in stops:  # the outer multipart's delimiter ends everything inside, so this one's is never seen
            where = field.where(*parameter.span)
            part.defects.add(DefectKind.BOUNDARY_REUSED, "the boundary is that of an enclosing multipart", where)
            return
        part.boundary = delimiter[2:]
        stops[delimiter] = (level, False)
        stops.setdefault(delimiter + b"--", (level, True))
        self._boundaries = (*self._boundaries, delimiter)

    def _forget(self, part: _Open, level: int) -> None:
        """Look for the delimiters of a multipart no longer."""
        stops, delimiter = self.scanner.stops, b"--" + part.boundary
        for line in (delimiter, delimiter + b"--"):
            if stops.get(line, (-1, False))[0] == level:
                del stops[line]
        self._boundaries = tuple(each for each in self._boundaries if each != delimiter)

    # --- defects and places

    def _note_open_end(self, part: _Open) -> None:
        boundary = part.boundary.decode("utf-8", "replace")[:_MAX_BOUNDARY]
        if part.children:
            kind, message = DefectKind.BOUNDARY_NOT_CLOSED, f"the multipart has no closing delimiter --{boundary}--"
        else:
            kind, message = DefectKind.BOUNDARY_NOT_FOUND, f"the multipart has no delimiter line --{boundary}"
        part.defects.add(kind, message, self._where(part.body, part.path))

    def _note_encoding(self, part: _Open, kind: str) -> bool:
        """RFC 2045 section 6.4: composite types have no encoding but 7bit, 8bit and binary. Tell whether it is so."""
        field = part.first("content-transfer-encoding")
        if field is None:
            return True
        try:
            encoding = parse_token(field.text)
        except HeaderError:
            encoding = field.text.lower()
        if encoding in IDENTITY:
            return True
        where = field.where(0, len(field.text))
        part.defects.add(DefectKind.COMPOSITE_ENCODED, f"{kind[:80]} has the transfer encoding {encoding[:40]!r}", where)
        return False

    def _has_room(self, part: _Open) -> bool:
        if len(self.stack) <= self.limits.depth:
            return True
        message = f"parts are nested more than {self.limits.depth} deep"
        part.defects.add(DefectKind.TOO_DEEP, message, self._where(part.body, part.path))
        return False

    def _line_at(self, offset: int) -> bytes:
        """The line at an offset as a delimiter is compared, if it could be one."""
        if not self.data.startswith(b"--", offset):
            return b""
        return self.data[offset : self.data.find(b"\n", offset) + 1 or len(self.data)].rstrip(_PADDING)

    def _line_of(self, offset: int) -> int:
        known, line = self._known_line
        line += self.data.count(b"\n", known, offset)
        self._known_line = (offset, line)
        return line

    def _where(self, offset: int, part: str) -> Where:
        spot = self.source.spot(offset)
        return Where(line=spot.line, column=spot.column, part=part)
