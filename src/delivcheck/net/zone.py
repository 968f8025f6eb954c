"""Zone files laid over another client, so that records can be judged before they are published."""

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer
import dns.transaction
import dns.zonefile

from ..model import Answer, Failed, Failure, Found, NoData, NoSuchName, Question
from . import wire
from .client import MAX_ALIASES, MAX_TTL, Chain, Client, Over, normal
from .names import Alias, Edit, Held, Names, Wild
from .plain import as_set

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

Records = Mapping[tuple[str, str], Held]


class ZoneError(Exception):
    """A zone file that cannot be used; one line with file and line number."""


@dataclass(frozen=True, slots=True)
class Zone:
    """What a file says of the DNS, whatever its format (`zonefile` has them all).

    `origin` is what its relative names were taken from, "" if it has none and needs none. In `records`, Found stands for the
    set that is published, NoData deletes it, Failed says that it becomes something unknown, Edit changes single records of it.
    `kind` names the format for people and `file` the file. `whole`: nothing exists below the origin but what is here and the
    names and types in `open`. `unread` are changes that could not be laid over the DNS, one clause each.
    """

    origin: str
    records: Records
    kind: str = "zone file"
    file: str = "zone"
    whole: bool = False
    open: frozenset[tuple[str, str]] = frozenset()
    unread: tuple[str, ...] = ()

    @property
    def closes(self) -> bool:
        """Whether what it does not list does not exist: by its format, or by an SOA in it."""
        return self.whole or any(type_ == "SOA" for _, type_ in self.records)


# --- reading -----------------------------------------------------------------------------------------------------


def owner(text: str) -> str:
    """A name written in full, with or without the final dot, as records are kept under it. Raises ValueError."""
    try:
        name = dns.name.from_text(text if text.endswith(".") else f"{text}.", dns.name.root, dns.name.IDNA_2008_UTS_46)
    except dns.exception.DNSException as error:
        raise ValueError(f"{text[:80]!r} is no domain name: {error}") from None
    return wire.name_text(name)


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
        records: dict[tuple[str, str], Held] = {}
        for key, rdatas in self._rdatas.items():
            records[key] = Found(as_set(map(wire.value, rdatas)), self._ttls[key])
        for name, type_ in records:
            at = f"{self._tokenizer.filename}:{self._lines[name, type_]}"
            if type_ not in _BESIDE_CNAME and (name, "CNAME") in records:  # RFC 2181 section 10.1
                raise ZoneError(f"{at}: {name} has a {type_} record, and a CNAME in line {self._lines[name, 'CNAME']}")
            if type_ in _ALONE and len(set(self._rdatas[name, type_])) > 1:
                raise ZoneError(f"{at}: {name or '.'} has several {type_} records")
        return Zone("" if self._origin == _NOWHERE else wire.name_text(self._origin), records, file=self._tokenizer.filename)


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
    not exist, down to a delegation. A file may also delete and edit what is beneath (see `Zone`).
    """

    def __init__(self, zones: Iterable[Zone], beneath: Client) -> None:
        super().__init__(beneath)
        self.zones = tuple(zones)
        records = _laid_over(self.zones)
        self._names = Names(
            records,
            whole=[zone.origin for zone in self.zones if zone.whole],
            open=[each for zone in self.zones for each in zone.open],
        )
        self._apexes = {name for name, type_ in records if type_ == "SOA"} - {name for name, type_ in records if type_ == "DS"}
        self._without_cname = {name for (name, type_), held in records.items() if type_ == "CNAME" and isinstance(held, NoData)}

    async def ask(self, name: str, type: str) -> Answer:  # noqa: A002 -- the DNS word
        """Answer from the files or from beneath; a chain of CNAMEs may lead from one into the other and back."""
        return await self._ask(normal(name, type), 0)

    async def _ask(self, question: Question, depth: int) -> Answer:
        chain = Chain(question.name)
        while True:
            found = await self._find(question)
            if isinstance(found, Alias) and found.flat:
                return chain.end(await self._flattened(found, question.type, depth))
            step: tuple[str, ...] = (found.target,) if isinstance(found, Alias) else self._led_back(found, question.type)
            if isinstance(found, Failed) or (not step and not isinstance(found, Alias)):
                return chain.end(found)
            if failed := chain.follow(step, found.ttl, getattr(found, "authentic", False)):
                return failed
            question = Question(step[-1], question.type)

    async def _find(self, question: Question) -> Answer | Alias:
        if question.type == "DS" and question.name in self._apexes:
            return await self._published(question)  # the parent's record (RFC 4035 section 3.1.4.1), and no file here has it
        found = self._names.find(question.name, question.type)
        if isinstance(found, Wild):
            return await self._wild(question, found)
        if isinstance(found, Edit):
            return await self._edited(question, found)
        return await self._published(question) if found is None else found

    async def _published(self, question: Question) -> Answer:
        """What the client beneath says, but for what the files make of the name itself."""
        below = await self.beneath.ask(question.name, question.type)
        if isinstance(below, Failed):
            return below
        if question.name in self._without_cname and below.aliases:
            return NoData(below.ttl)  # where the alias led is no longer of interest
        if isinstance(below, NoSuchName) and self._names.has((question.name, *below.aliases)[-1]):
            return NoData(below.ttl, below.aliases)  # once the files are published, the name exists
        return below

    async def _edited(self, question: Question, edit: Edit) -> Answer:
        """The published set with some records taken out and others put in."""
        below = await self._published(question)
        if isinstance(below, Failed):
            return below
        old = below.records if isinstance(below, Found) and not below.aliases else ()
        removed = {_content(value) for value in edit.removed}
        merged = as_set([*(value for value in old if _content(value) not in removed), *edit.added])
        return Found(merged, edit.ttl) if merged else NoData(edit.ttl)

    async def _flattened(self, alias: Alias, type_: str, depth: int) -> Answer:
        """The target's records as if they stood at the name itself."""
        if depth >= MAX_ALIASES:
            return Failed(Failure.SERVFAIL, f"more than {MAX_ALIASES} aliases lead to {alias.target}")
        answer = await self._ask(Question(alias.target, type_), depth + 1)
        if isinstance(answer, Found):
            return Found(answer.records, min(alias.ttl, answer.ttl))
        return answer if isinstance(answer, Failed) else NoData(alias.ttl)

    async def _wild(self, question: Question, wild: Wild) -> Answer | Alias:
        # A wildcard without its zone: it answers for names that do not exist (RFC 4592 section 2.2.1), and for those that seem
        # to exist only because a wildcard is published at the same place, which it replaces: they are answered like that one.
        star = Question(wild.owner, question.type)
        below, published = await asyncio.gather(
            self.beneath.ask(question.name, question.type), self.beneath.ask(star.name, star.type)
        )
        if isinstance(wild.finds, NoData) and wild.gone:
            return NoSuchName(below.ttl) if isinstance(below, Found) and _alike(below, published) else below
        if not isinstance(below, NoSuchName) and not _alike(below, published):
            return below
        return await self._edited(star, wild.finds) if isinstance(wild.finds, Edit) else wild.finds

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
    nodes: dict[str, dict[str, Held]] = {}
    for zone in zones:
        new: dict[str, dict[str, Held]] = {}
        for (name, type_), held in zone.records.items():
            new.setdefault(name, {})[type_] = held
        for name, node in new.items():
            old = nodes.setdefault(name, {})
            if isinstance(node.get("CNAME", _NOTHING), Found) or isinstance(old.get("CNAME", _NOTHING), Found):
                old.clear()
            for type_, held in node.items():
                old[type_] = after(old.get(type_), held)
    return {(name, type_): held for name, node in nodes.items() for type_, held in node.items()}


_NOTHING = NoData()


def after(old: Held | None, new: Held) -> Held:
    """What holds once a later change comes to an earlier one."""
    if not isinstance(new, Edit) or old is None or isinstance(old, Alias):
        return new
    if isinstance(old, Failed):
        return old
    if isinstance(old, Edit):
        going = {_content(value) for value in new.removed}
        added = tuple(value for value in old.added if _content(value) not in going)
        return Edit((*old.removed, *new.removed), (*added, *new.added), new.ttl)
    before = old.records if isinstance(old, Found) else ()
    going = {_content(value) for value in new.removed}
    merged = as_set([*(value for value in before if _content(value) not in going), *new.added])
    return Found(merged, new.ttl) if merged else NoData(new.ttl)


def _content(value: Any) -> Any:
    """What makes two records the same to a reader: of TXT the joined strings, wherever they are cut."""
    return b"".join(value) if isinstance(value, tuple) and all(isinstance(each, bytes) for each in value) else value


def _alike(one: Answer, other: Answer) -> bool:
    """The same answer but for its age."""
    if isinstance(one, Found) and isinstance(other, Found):
        return (one.records, one.aliases) == (other.records, other.aliases)
    return isinstance(one, NoData) and isinstance(other, NoData)
