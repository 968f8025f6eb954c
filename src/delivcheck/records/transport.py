"""What a domain says about TLS of its inbound mail: MTA-STS records and policies, TLS-RPT records."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .errors import ParseError
from .names import BadName, to_ascii

MAX_POLICY_LINES = 1000  # RFC 8461 names no limit; 64 KB of the shortest lines would be 10,000
MAX_AGE_LIMIT = 31_557_600  # seconds, about a year: RFC 8461 section 3.2
MAX_AGE_LOW = 86_400  # seconds; RFC 8461 section 3.2 expects weeks, under a day a policy hardly protects

_ID = re.compile(r"[A-Za-z0-9]{1,32}\Z")  # RFC 8461 section 3.1, sts-id
_STS = re.compile(r"v=STSv1[ \t]*(;|\Z)")  # RFC 8461 section 3.1: the version comes first; records are told apart by it
_RPT = re.compile(r"v=TLSRPTv1[ \t]*(;|\Z)")  # RFC 8460 section 3
_EXTENSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[\x21-\x3a\x3c\x3e-\x7e]+\Z")  # sts-extension, tlsrpt-extension
_TLS_URI = re.compile(r"(mailto:[^@\s,;]+@[^@\s,;]+|https://[^\s,;]+)\Z", re.IGNORECASE)


class TransportError(ParseError):
    """A record or policy that cannot be used. `span` is the half-open range of characters of the text at fault."""


@dataclass(frozen=True, slots=True)
class TlsReporting:
    """A TLS-RPT record: where reports about failed TLS go."""

    rua: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MtaStsPolicy:
    """An MTA-STS policy (RFC 8461 section 3.2). `faults` are what is wrong with it, one clause each."""

    mode: str | None
    max_age: int | None
    mx: tuple[str, ...]
    faults: tuple[str, ...] = ()

    def covers(self, host: str) -> bool:
        """Tell whether a pattern matches an MX host; `*.` stands for exactly one label (RFC 8461 section 4.1)."""
        return any(
            host == pattern or (pattern.startswith("*.") and host.partition(".")[2] == pattern[2:]) for pattern in self.mx
        )


def join(strings: Iterable[bytes]) -> str:
    """The character-strings of one TXT record as one text, without separators (RFC 8461 section 3.1, RFC 8460 section 3)."""
    return b"".join(strings).decode("utf-8", "replace")


def select_mta_sts(records: Iterable[Iterable[bytes]]) -> list[str]:
    """The TXT records at `_mta-sts` that are MTA-STS records."""
    return [text for text in map(join, records) if _STS.match(text)]


def select_tls_rpt(records: Iterable[Iterable[bytes]]) -> list[str]:
    """The TXT records at `_smtp._tls` that are TLS-RPT records."""
    return [text for text in map(join, records) if _RPT.match(text)]


@dataclass(frozen=True, slots=True)
class _Field:
    """One `name=value`, and where its value stands (the whole field where that is empty)."""

    name: str
    value: str
    span: tuple[int, int]


def _fields(text: str, known: str) -> list[_Field]:
    """The fields of a record, in order; one that is not `known` must have the form of an extension. Raises TransportError.

    White space may stand around a semicolon and not beside the equals sign, and only the last semicolon may have nothing
    behind it (RFC 8461 section 3.1, sts-text-record; RFC 8460 section 3, tlsrpt-record).
    """
    fields: list[_Field] = []
    start = 0
    for piece in text.split(";"):
        written = piece.strip(" \t")
        begin = start + len(piece) - len(piece.lstrip(" \t"))
        end = begin + len(written)
        start += len(piece) + 1
        name, equals, value = written.partition("=")
        if not written and start <= len(text):
            raise TransportError("a field is empty", (start - 1 - len(piece), start))
        if name != name.rstrip() or value != value.lstrip():
            raise TransportError(f"white space stands beside the equals sign of {name.rstrip()[:40]!r}", (begin, end))
        if written and (not equals or (name != known and not _EXTENSION.match(written))):
            raise TransportError(f"{written[:40]!r} is no field", (begin, end))
        if written:
            fields.append(_Field(name, value, (end - len(value) if value else begin, end)))
    return fields


def parse_mta_sts(text: str) -> str:
    """The id of an MTA-STS record. Raises TransportError."""
    given = next((field for field in _fields(text, "id") if field.name == "id"), None)  # of a repeated field the first counts
    if given is None:
        raise TransportError("there is no id", (0, len(text)))
    if not _ID.match(given.value):
        raise TransportError(f"the id {given.value[:40]!r} is not 1 to 32 letters and digits", given.span)
    return given.value


def parse_tls_rpt(text: str) -> TlsReporting:
    """A TLS-RPT record. Raises TransportError."""
    given = [field for field in _fields(text, "rua") if field.name == "rua"]
    if not given:
        raise TransportError("there is no rua", (0, len(text)))
    uris: list[str] = []
    for field in given:  # "supports the ability to declare more than one rua" (RFC 8460 section 3)
        for uri in (each.strip(" \t") for each in field.value.split(",")):
            if not _TLS_URI.match(uri):
                raise TransportError(f"{uri[:60]!r} is neither a mailto: nor an https: address", field.span)
            uris.append(uri)
    return TlsReporting(tuple(uris))


def parse_policy(text: str) -> MtaStsPolicy:
    """An MTA-STS policy file, with everything that is wrong with it; never raises."""
    values: dict[str, str] = {}
    mx: list[str] = []
    faults: list[str] = []
    for line in text.splitlines()[:MAX_POLICY_LINES]:
        name, colon, value = (part.strip() for part in line.partition(":"))
        if not line.strip():
            continue
        if not colon:
            faults.append(f"{line.strip()[:40]!r} is no field")
        elif name == "mx":
            pattern = value.removeprefix("*.")
            try:
                mx.append(value[: len(value) - len(pattern)] + to_ascii(pattern))
            except BadName:
                faults.append(f"mx: {value[:60]!r} is no host name")
        else:
            values.setdefault(name, value)  # RFC 8461 section 3.2: of repeated fields the first counts
    if values.get("version") != "STSv1":
        faults.append("the version is not STSv1" if "version" in values else "there is no version")
    mode = values.get("mode")
    if mode not in {"enforce", "testing", "none"}:
        faults.append(f"the mode {mode!r} is none of enforce, testing, none" if mode else "there is no mode")
    max_age = values.get("max_age", "")
    if not re.fullmatch(r"[0-9]{1,10}", max_age) or int(max_age) > MAX_AGE_LIMIT:
        faults.append(
            f"max_age {max_age[:20]!r} is not a number of seconds up to {MAX_AGE_LIMIT}" if max_age else "there is no max_age"
        )
        max_age = ""
    if mode in {"enforce", "testing"} and not mx:
        faults.append(f"the mode is {mode}, but there is no mx")
    return MtaStsPolicy(mode, int(max_age) if max_age else None, tuple(mx), tuple(faults))
