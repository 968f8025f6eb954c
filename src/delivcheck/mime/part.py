"""One MIME part: what its header declares, its octets decoded when asked for, and the place of everything in it."""

from collections.abc import Iterator

from msgspec import Struct

from ..memo import lazy
from ..model import Where
from .charsets import Decoded, TextOrigins, codec_of, decode
from .defects import Defect, DefectKind, Defects, Limits
from .encodings import (
    IDENTITY,
    KNOWN,
    Origins,
    base64_faults,
    decode_base64,
    decode_quoted_printable,
    looks_quoted_printable,
    quoted_printable_faults,
)
from .fields import Field
from .lexer import HeaderError
from .parameters import Parametrized, parse_content_type, parse_disposition, parse_parameters, parse_token
from .source import Source, eight_bit
from .words import decode_words

_PLAIN = Parametrized("text/plain", ())  # RFC 2045 section 5.2: the default


class Span(Struct, frozen=True):
    """Octets of the message, from `start` up to and without `end`."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


class Part(Struct, frozen=True, eq=False, dict=True, kw_only=True):
    """A part of the MIME tree; the root part is the message's own body.

    `path` is the part number of IMAP (RFC 3501 section 6.4.5): "1" for the only part, "" for a multipart root, "2.1" for a
    part inside, and "3.TEXT" for the body of the message in part 3 where that is a multipart. `header` and `body` are ranges
    of octets in the message; the line end before a delimiter belongs to neither. `preamble` and `epilogue` only multiparts
    have. `late` are parts in the epilogue: readers that obey the standard do not see them (RFC 2046 section 5.1.1), some
    filters do; they count on after the children, and no list of the message's parts has them. `nested` tells that the part
    is inside a message/rfc822. `defects` are those of header and structure.
    """

    path: str
    fields: tuple[Field, ...]
    header: Span
    body: Span
    children: tuple["Part", ...] = ()
    late: tuple["Part", ...] = ()
    preamble: Span | None = None
    epilogue: Span | None = None
    nested: bool = False
    default_type: str = "text/plain"
    defects: tuple[Defect, ...] = ()
    source: Source
    limits: Limits

    # --- what the header says

    def all(self, name: str) -> tuple[Field, ...]:
        """The fields of a name, in order."""
        lower = name.lower()
        return tuple(field for field in self.fields if field.lower == lower)

    def first(self, name: str) -> Field | None:
        """The first field of a name."""
        lower = name.lower()
        return next((field for field in self.fields if field.lower == lower), None)

    @lazy
    def declared_type(self) -> Parametrized | None:
        """The first Content-Type field, read; None if there is none or it is no media type."""
        field = self.first("content-type")
        if field is None:
            return None
        try:
            return parse_content_type(field.text)
        except HeaderError:
            return None

    @lazy
    def content_type(self) -> str:
        """type/subtype in lower case; text/plain (in a digest message/rfc822) where none is declared or it cannot be read."""
        if self.declared_type is not None:
            return self.declared_type.value
        return "text/plain" if self.first("content-type") else self.default_type

    @property
    def main_type(self) -> str:
        """The part of `content_type` before the slash."""
        return self.content_type.partition("/")[0]

    @property
    def is_multipart(self) -> bool:
        """Whether it is declared multipart/*, with children or without."""
        return self.content_type.startswith("multipart/")

    @property
    def is_leaf(self) -> bool:
        """Whether nothing is inside: what has children is a multipart or a message."""
        return not self.children

    @lazy
    def params(self) -> Parametrized:
        """The parameters of Content-Type with their faults, also where the type before them cannot be read."""
        field = self.first("content-type")
        return self.declared_type or (parse_parameters(field.text) if field else _PLAIN)

    @lazy
    def disposition_params(self) -> Parametrized | None:
        """The parameters of Content-Disposition with their faults, also where the word before them is missing."""
        field = self.first("content-disposition")
        return self.declared_disposition or (parse_parameters(field.text) if field else None)

    @property
    def charset(self) -> str | None:
        """The declared charset in lower case, None if there is none."""
        value = self.params.get("charset")
        return value.strip().lower() if value else None

    @lazy
    def encoding(self) -> str:
        """Content-Transfer-Encoding in lower case; "7bit" if there is none (RFC 2045 section 6.1), the text of a broken one."""
        field = self.first("content-transfer-encoding")
        if field is None:
            return "7bit"
        try:
            return parse_token(field.text)
        except HeaderError:
            return field.text.strip().lower()

    @lazy
    def declared_disposition(self) -> Parametrized | None:
        """The first Content-Disposition field, read; None if there is none or it has no type."""
        field = self.first("content-disposition")
        if field is None:
            return None
        try:
            return parse_disposition(field.text)
        except HeaderError:
            return None

    @property
    def disposition(self) -> str | None:
        """inline, attachment …, in lower case."""
        return self.declared_disposition.value if self.declared_disposition else None

    @lazy
    def filename(self) -> str | None:
        """The name a reader sees: `filename`, else `name` of Content-Type; encoded-words decoded as clients do."""
        for parameters, name in ((self.disposition_params, "filename"), (self.params, "name")):
            found = parameters.parameter(name) if parameters else None
            if found is not None:
                return found.value if found.extended else decode_words(found.value)
        return None

    @lazy
    def content_id(self) -> str | None:
        """Content-ID without its angle brackets."""
        field = self.first("content-id")
        return field.text.strip().removeprefix("<").removesuffix(">") if field else None

    # --- the content

    @property
    def raw(self) -> bytes:
        """The body as it stands in the message, still encoded."""
        return self.source.data[self.body.start : self.body.end]

    @lazy
    def decoded(self) -> bytes:
        """The body without its transfer encoding, at most `limits.decoded` octets. Never raises: see `decoding_defects`."""
        raw = self._limited
        encoding = self.undeclared_encoding or self.encoding
        if encoding == "base64":
            return decode_base64(raw)
        if encoding == "quoted-printable":
            return decode_quoted_printable(raw)
        return raw

    @lazy
    def undeclared_encoding(self) -> str | None:
        """Quoted-printable for a text that plainly is so, while its header says 7bit, 8bit, binary or nothing; else None.

        It is decoded, so that one missing field does not make a dozen other faults of it: what readers see is the encoded text.
        """
        if self.main_type != "text" or self.encoding not in IDENTITY:
            return None
        html = self.content_type in {"text/html", "text/x-amp-html"}
        return "quoted-printable" if looks_quoted_printable(self._limited, html=html) else None

    @property
    def _limited(self) -> bytes:
        # No encoding makes octets more than they were, so a limit on the encoded ones is one on the decoded.
        return self.source.data[self.body.start : min(self.body.end, self.body.start + self.limits.decoded)]

    @lazy
    def _text(self) -> Decoded:
        return decode(self.decoded, self.charset)

    @property
    def text(self) -> str:
        """`decoded` in its charset, line ends as they are. Never raises: see `decoding_defects`."""
        return self._text.text

    @property
    def codec(self) -> str:
        """Python's name of the codec that `text` was made with, which need not be the declared one."""
        return self._text.codec

    @lazy
    def decoding_defects(self) -> tuple[Defect, ...]:
        """What is wrong with transfer encoding and charset; the charset only of text. Decodes the part."""
        found = Defects()
        if self.is_multipart or self.children:
            return ()
        self._note_encoding(found)
        if self.main_type == "text":
            self._note_charset(found)
        return tuple(found)

    def _note_encoding(self, found: Defects) -> None:
        raw, start = self._limited, self.body.start
        if len(raw) < len(self.body):
            message = f"the part has {len(self.body)} octets, of which {self.limits.decoded} were decoded"
            found.add(DefectKind.DECODED_TOO_LARGE, message, self._at(start))
        if self.encoding not in KNOWN:
            field = self.first("content-transfer-encoding")
            where = field.where(0, len(field.text)) if field else self._at(start)
            found.add(DefectKind.UNKNOWN_ENCODING, f"the transfer encoding {self.encoding[:40]!r} is unknown", where)
        if self.encoding in {"base64", "quoted-printable"}:
            faults = base64_faults(raw) if self.encoding == "base64" else quoted_printable_faults(raw)
            for fault in faults:
                found.add(fault.kind, fault.message, self._at(start + fault.offset))
        elif self.encoding == "7bit" and not raw.isascii():
            count, offset = eight_bit(raw)
            declared = "declared 7bit" if self.first("content-transfer-encoding") else "that declares no transfer encoding"
            found.add(DefectKind.EIGHT_BIT, f"{count} octets above 0x7F in a part {declared}", self._at(start + offset))

    def _note_charset(self, found: Defects) -> None:
        if self.charset is not None and codec_of(self.charset) is None:
            field = self.first("content-type")
            parameter = self.params.parameter("charset")
            assert field is not None
            assert parameter is not None
            found.add(DefectKind.UNKNOWN_CHARSET, f"the charset {self.charset[:40]!r} is unknown", field.where(*parameter.span))
        elif self.decoded.isascii():
            return
        elif self.charset is None:
            message = "a text with octets above 0x7F declares no charset"
            found.add(DefectKind.NO_CHARSET, message, self.where(eight_bit(self.decoded)[1]))
        elif self._text.fault is not None:
            octet = self.decoded[self._text.fault]
            message = f"the octet 0x{octet:02X} is not valid in {self.charset}"
            found.add(DefectKind.WRONG_CHARSET, message, self.where(self._text.fault))

    # --- places

    @lazy
    def _origins(self) -> Origins:
        return Origins(self._limited, self.undeclared_encoding or self.encoding)

    @lazy
    def _text_origins(self) -> TextOrigins:
        return TextOrigins(self.decoded, self._text)

    @property
    def at(self) -> Where:
        """The place of the part: where its header begins, or its body if it has none."""
        spot = self.source.spot(self.header.start if len(self.header) else self.body.start)
        return Where(line=spot.line, column=spot.column, part=self.path)

    def _at(self, offset: int, end: int | None = None) -> Where:
        spot = self.source.spot(offset)
        last = None
        if end is not None:
            last = spot.column + max(0, min(end, self.source.line_end(offset)) - offset)
        return Where(line=spot.line, column=spot.column, end_column=last, part=self.path)

    def where(self, start: int, end: int | None = None) -> Where:
        """The place in the message of octets `start` to `end` of `decoded`.

        Exact for 7bit, 8bit, binary and quoted-printable; for base64 the line that holds the first octet, without a column.
        """
        first = self.body.start + self._origins(start)
        if not self._origins.exact:
            return Where(line=self.source.line_of(first), part=self.path)
        return self._at(first, None if end is None else self.body.start + self._origins(end))

    def where_text(self, start: int, end: int | None = None) -> Where:
        """The place of characters `start` to `end` of `text`; only the line where the charset hides the octet."""
        first = self._text_origins(start)
        if not self._text_origins.exact:
            return Where(line=self.where(first).line, part=self.path)
        return self.where(first, None if end is None else self._text_origins(end))

    # --- the tree

    def walk(self) -> Iterator["Part"]:
        """This part and everything inside, in the order of the message."""
        waiting = [self]
        while waiting:
            part = waiting.pop()
            yield part
            waiting.extend(reversed(part.children))
