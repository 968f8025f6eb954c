"""Zone files laid over another client, so that records can be judged before they are published."""

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer
import dns.transaction
import dns.zonefile

from ..model import Answer, Failed, Found, NoData, NoSuchName, Question
from . import wire
from .client import MAX_TTL, Chain, Client, Over, normal
from .names import Alias, Names, Wild

MAX_ZONE = 16_000_000  # characters, some 200,000 records; a sender's zone has hundreds
TTL = (
    3600  # seconds, for records that state none and follow on none that does; BIND refuses those, but a draft may leave it out
)

_DIRECTIVES = ("$ORIGIN", "$TTL")  # not $INCLUDE, which reads other files, nor BIND's $GENERATE, which has no bound
_NOWHERE = dns.name.Name((b"relative\0name", b""))  # stands for an origin that is not known
_SUFFIXES = (".zone", ".db", ".dns", ".txt")  # what people append to a zone's name
_PREFIXES = ("db.", "pri.")  # and put before it: Debian, SUSE

_BESIDE_CNAME = ("CNAME", "RRSIG", "NSEC")
_ALONE = ("CNAME", "SOA")
_NOISE = re.compile(r"caught exception <class '[\w.]+'>: ")  # dnspython's words around an error in a record

Records = dict[tuple[str, str], Found]


class ZoneError(Exception):
    """A zone file that cannot be used; one line with file and line number."""


@dataclass(frozen=True, slots=True)
class Zone:
    """What a zone file says. `origin` is what its relative names were taken from, "" if it has none and needs none."""

    origin: str
    records: Records


# --- reading -----------------------------------------------------------------------------------------------------


def read_zone(path: str | Path) -> Zone:
    """Read a zone file (RFC 1035 section 5, UTF-8). Raises ZoneError."""
    path = Path(path)
    try:
        if path.stat().st_size > MAX_ZONE:
            raise ZoneError(f"{path}: longer than {MAX_ZONE} octets")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ZoneError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ZoneError(f"{path}:{line}: not UTF-8") from None
    return parse_zone(text, str(path))


def parse_zone(text: str, file: str = "zone", origin: str | None = None) -> Zone:
    """Parse a zone file's text; SOA and NS may be missing, since people write only what changes.

    Relative names are taken to be below `origin`, else $ORIGIN, the name of the first SOA, or the file's name
    (`example.org.zone`). Raises ZoneError, nothing else.
    """
    if len(text) > MAX_ZONE:
        raise ZoneError(f"{file}: longer than {MAX_ZONE} characters")
    if origin is not None:
        octets = wire.name_octets(normal(origin, "").name)
        if octets is None:
            raise ZoneError(f"{file}: the origin {origin[:80]!r} is no domain name")
        return _read(text, file, dns.name.from_wire(octets, 0)[0]).zone()
    first = _read(text, file, _NOWHERE)
    if first.relative is None:
        return first.zone()
    guess = first.apex or _origin_of(file)
    if guess is None:
        raise ZoneError(
            f"{file}:{first.relative}: a relative name, and neither $ORIGIN, an SOA nor the file's name says relative to what"
        )
    return _read(text, file, guess).zone()


class _Tokenizer(dns.tokenizer.Tokenizer):
    """Knows the line a record began at; dnspython's own count is past its end by the time an error shows."""

    began = 1

    def get(self, want_leading: bool = False, want_comment: bool = False) -> dns.tokenizer.Token:
        if want_leading and want_comment:  # how the reader asks for the first token of a line
            self.began = self.line_number
        return super().get(want_leading, want_comment)

    def where(self) -> tuple[str, int]:
        return self.filename, self.began


class _Collector:
    """What dns.zonefile.Reader reads into: as much of dnspython's transactions as it uses.

    A transaction of its own would copy a record set for each record added to it, which takes quadratic time for a large one.
    """

    def __init__(self, tokenizer: _Tokenizer, origin: dns.name.Name) -> None:
        self.manager = self  # the reader asks a transaction for its manager, and that for the zone's origin
        self.apex: dns.name.Name | None = None
        self.relative: int | None = None  # the line of the first relative name, while the origin is not known
        self._tokenizer = tokenizer
        self._origin = origin
        self._rdatas: dict[tuple[str, str], list[dns.rdata.Rdata]] = {}
        self._ttls: dict[tuple[str, str], int] = {}
        self._lines: dict[tuple[str, str], int] = {}

    def origin_information(self) -> tuple[dns.name.Name, bool, dns.name.Name]:
        """The root: the reader leaves out what is not below the origin, but a file of changes may touch several zones."""
        return dns.name.root, False, dns.name.root

    def check_put_rdataset(self, check: object) -> None:
        """Take no check: those of the reader are for record sets put one by one."""

    def _set_origin(self, origin: dns.name.Name) -> None:
        if origin.is_subdomain(_NOWHERE):
            self.relative = self.relative or self._tokenizer.began
        elif self._origin == _NOWHERE:
            self._origin = origin

    def add(self, name: dns.name.Name, ttl: int, rdata: dns.rdata.Rdata) -> None:
        """Take one record."""
        line = self._tokenizer.began
        nowhere = name.is_subdomain(_NOWHERE)
        if self.relative is None and self._origin == _NOWHERE and (nowhere or rdata.to_text(_NOWHERE) != rdata.to_text()):
            self.relative = line  # the record is written differently when names below nowhere are written relatively
        if rdata.rdtype == dns.rdatatype.SOA and self.apex is None and not nowhere:
            self.apex = name
        key = (wire.name_text(name), dns.rdatatype.to_text(rdata.rdtype))
        self._rdatas.setdefault(key, []).append(rdata)
        self._ttls[key] = min(ttl, self._ttls.get(key, MAX_TTL))  # one TTL for the set, RFC 2181 section 5.2
        self._lines.setdefault(key, line)

    def zone(self) -> Zone:
        """What was read. Raises ZoneError for what no name server would load."""
        records = {key: Found(wire.as_set(map(wire.value, rdatas)), self._ttls[key]) for key, rdatas in self._rdatas.items()}
        for (name, type_), found in records.items():
            at = f"{self._tokenizer.filename}:{self._lines[name, type_]}"
            if type_ not in _BESIDE_CNAME and (name, "CNAME") in records:  # RFC 2181 section 10.1
                raise ZoneError(f"{at}: {name} has a {type_} record, and a CNAME in line {self._lines[name, 'CNAME']}")
            if type_ in _ALONE and len(found.records) > 1:
                raise ZoneError(f"{at}: {name or '.'} has several {type_} records")
        return Zone("" if self._origin == _NOWHERE else wire.name_text(self._origin), records)


def _read(text: str, file: str, origin: dns.name.Name) -> _Collector:
    tokenizer = _Tokenizer(text, file, dns.name.IDNA_2008_UTS_46)
    collector = _Collector(tokenizer, origin)
    reader = dns.zonefile.Reader(
        tokenizer,
        dns.rdataclass.IN,
        cast("dns.transaction.Transaction", collector),
        allow_directives=_DIRECTIVES,
    )
    reader.current_origin = reader.last_name = origin
    reader.last_ttl, reader.last_ttl_known = TTL, True
    try:
        reader.read()
    except (dns.exception.DNSException, ValueError) as error:
        line = tokenizer.began
        said = _NOISE.sub("", str(error)).removeprefix(f"{file}:{line}: ").rstrip(".") or type(error).__name__
        record = text.split("\n", line)[line - 1].strip()
        raise ZoneError(f"{file}:{line}: {said[:200]!s}: {record[:80]!r}") from None
    return collector


def _origin_of(file: str) -> dns.name.Name | None:
    """The zone that a file is named after: `example.org.zone`, `db.example.org`."""
    name = Path(file).name.lower()
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    while name.endswith(_SUFFIXES):
        name = name.rpartition(".")[0]
    octets = wire.name_octets(name) if "." in name else None
    return None if octets is None else dns.name.from_wire(octets, 0)[0]


# --- asking ------------------------------------------------------------------------------------------------------


class ZoneOverlay(Over):
    """Zone files laid over another client.

    A record set in a file stands for the one published, a CNAME for all types, and a later file for an earlier one. What the
    files do not have is asked of the client beneath, unless an SOA in them makes them speak for the whole zone: then it does
    not exist, down to a delegation. Raises ZoneError.
    """

    def __init__(self, files: Iterable[str | Path | Zone], beneath: Client) -> None:
        super().__init__(beneath)
        self.zones = tuple(file if isinstance(file, Zone) else read_zone(file) for file in files)
        self._names = Names(_laid_over(self.zones))

    async def ask(self, name: str, type: str) -> Answer:  # noqa: A002 -- the DNS word
        """Answer from the files or from beneath; a chain of CNAMEs may lead from one into the other and back."""
        question = normal(name, type)
        chain = Chain(question.name)
        while True:
            found = self._names.find(question.name, question.type)
            if found is None or isinstance(found, Wild):
                found = await self._beneath(question, found)
            step: tuple[str, ...] = (found.target,) if isinstance(found, Alias) else self._led_back(found, question.type)
            if isinstance(found, Failed) or (not step and not isinstance(found, Alias)):
                return chain.end(found)
            if failed := chain.follow(step, found.ttl, getattr(found, "authentic", False)):
                return failed
            question = Question(step[-1], question.type)

    async def _beneath(self, question: Question, wild: Wild | None) -> Answer | Alias:
        if wild is None:
            below = await self.beneath.ask(question.name, question.type)
            if isinstance(below, NoSuchName) and self._names.has((question.name, *below.aliases)[-1]):
                return NoData(below.ttl, below.aliases)  # once the files are published, the name exists
            return below
        # A wildcard without its zone: it answers for names that do not exist (RFC 4592 section 2.2.1), and for those that seem
        # to exist only because a wildcard is published at the same place, which it replaces: they are answered like that one.
        below, star = await asyncio.gather(
            self.beneath.ask(question.name, question.type), self.beneath.ask(wild.owner, question.type)
        )
        return wild.finds if isinstance(below, NoSuchName) or _alike(below, star) else below

    def _led_back(self, answer: Answer, type_: str) -> tuple[str, ...]:
        """The aliases up to the first for which the files have something of their own."""
        aliases = () if isinstance(answer, Failed) else answer.aliases
        for count, alias in enumerate(aliases, 1):
            if not isinstance(self._names.find(alias, type_), (Wild, type(None))):
                return aliases[:count]
        return ()


def overlay_of_text(text: str, beneath: Client) -> ZoneOverlay:
    """One zone, given as text, over another client. Raises ZoneError."""
    return ZoneOverlay([parse_zone(text)], beneath)


def _laid_over(zones: Iterable[Zone]) -> Records:
    """The records of all zones; at each name the later zone's, and no CNAME beside other records."""
    nodes: dict[str, dict[str, Found]] = {}
    for zone in zones:
        new: dict[str, dict[str, Found]] = {}
        for (name, type_), found in zone.records.items():
            new.setdefault(name, {})[type_] = found
        for name, node in new.items():
            old = nodes.setdefault(name, {})
            if "CNAME" in node or "CNAME" in old:
                old.clear()
            old.update(node)
    return {(name, type_): found for name, node in nodes.items() for type_, found in node.items()}


def _alike(one: Answer, other: Answer) -> bool:
    """The same answer but for its age."""
    if isinstance(one, Found) and isinstance(other, Found):
        return (one.records, one.aliases) == (other.records, other.aliases)
    return isinstance(one, NoData) and isinstance(other, NoData)
