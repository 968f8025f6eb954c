"""DNS answers as data: recorded into a file, replayed from it, or written down by hand for a test."""

import contextlib
import ipaddress
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import msgspec

from ..model import Answer, DnsUse, Failed, Failure, Found, NoData, NoSuchName, Question
from ..records.zonetext import MAX_STRING, chunks
from .client import DEFAULT_TTL, Chain, Client, Over, normal
from .names import Alias, Edit, Names, Wild

FORMAT = "delivcheck-dns/1"
MAX_SNAPSHOT = 64_000_000  # octets; one domain's audit takes about 10,000
MAX_AGE = 50 * 366 * 86_400  # seconds; what claims to be older than the DNS still has a date before it


class SnapshotError(Exception):
    """A snapshot or a mapping that cannot be used; one line that says where and why."""


# --- the file ----------------------------------------------------------------------------------------------------

_Seconds = Annotated[int, msgspec.Meta(ge=0)]


class _Found(msgspec.Struct, tag_field="is", tag="found"):
    records: Annotated[list[Any], msgspec.Meta(min_length=1)]  # by type, see `_plain`
    ttl: _Seconds
    authentic: bool = False
    aliases: tuple[str, ...] = ()


class _NoData(msgspec.Struct, tag_field="is", tag="no-data"):
    ttl: _Seconds
    aliases: tuple[str, ...] = ()


class _NoSuchName(msgspec.Struct, tag_field="is", tag="no-such-name"):
    ttl: _Seconds
    aliases: tuple[str, ...] = ()


class _Failed(msgspec.Struct, tag_field="is", tag="failed"):
    kind: Failure
    detail: str = ""


_Entry = _Found | _NoData | _NoSuchName | _Failed


class _Version(msgspec.Struct):
    format: str


class _File(msgspec.Struct):
    taken: Annotated[datetime, msgspec.Meta(tz=True)]
    answers: dict[str, _Entry]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Answers by question, failures included, and when the first of them was had."""

    answers: Mapping[Question, Answer]
    taken: datetime

    @classmethod
    def parse(cls, text: str | bytes, source: str = "snapshot") -> "Snapshot":
        """Read the JSON that `dump` writes. Raises SnapshotError, nothing else."""
        try:
            version = msgspec.json.decode(text, type=_Version).format
            if version != FORMAT:
                raise SnapshotError(f"{source}: the format is {version[:40]!r}, and this version reads {FORMAT}")
            file = msgspec.json.decode(text, type=_File)
            return cls(dict(_read_entry(key, entry) for key, entry in file.answers.items()), file.taken)
        except (ValueError, RecursionError) as error:  # msgspec's and Unicode errors are ValueErrors
            raise SnapshotError(f"{source}: {error}") from None

    @classmethod
    def load(cls, path: str | Path) -> "Snapshot":
        """Read a snapshot file. Raises SnapshotError."""
        path = Path(path)
        try:
            if path.stat().st_size > MAX_SNAPSHOT:
                raise SnapshotError(f"{path}: longer than {MAX_SNAPSHOT} octets")
            return cls.parse(path.read_bytes(), str(path))
        except OSError as error:
            raise SnapshotError(f"{path}: {error.strerror}") from None

    def dump(self) -> str:
        """JSON with a line for each question, in order, so that two snapshots can be compared line by line."""
        entries = {str(question): _entry(question, answer) for question, answer in self.answers.items()}
        lines = ",\n".join(f"  {_json(key)}: {_json(entry)}" for key, entry in sorted(entries.items()))
        taken = self.taken.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return f'{{\n "format": {_json(FORMAT)},\n "taken": {_json(taken)},\n "answers": {{\n{lines}\n }}\n}}\n'

    def save(self, path: str | Path) -> None:
        """Write the file, whole or not at all. Raises SnapshotError."""
        path = Path(path)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            draft.unlink(missing_ok=True)  # of a run that was killed
            with draft.open("x", encoding="utf-8") as file:  # a link that somebody put there is not followed
                file.write(self.dump())
            draft.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise SnapshotError(f"{path}: {error.strerror}") from None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _question(key: str) -> Question:
    name, space, type_ = key.rpartition(" ")
    if not space or not name:
        raise ValueError(f"{key[:80]!r} is no question: a name, a space and a type")
    return normal(name, type_)


def _read_entry(key: str, entry: _Entry) -> tuple[Question, Answer]:
    question = _question(key)
    try:
        return question, _answer(question.type, entry)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from None


def _entry(question: Question, answer: Answer) -> dict[str, Any]:
    """What stands in the file for an answer; what is empty is left out."""
    match answer:
        case Failed(kind, detail):
            return {"is": "failed", "kind": str(kind)} | ({"detail": detail} if detail else {})
        case Found():
            entry: dict[str, Any] = {"is": "found", "records": [_plain(question.type, each) for each in answer.records]}
        case NoData():
            entry = {"is": "no-data"}
        case NoSuchName():
            entry = {"is": "no-such-name"}
    entry["ttl"] = answer.ttl
    if isinstance(answer, Found) and answer.authentic:
        entry["authentic"] = True
    if answer.aliases:
        entry["aliases"] = answer.aliases
    return entry


def _answer(type_: str, entry: _Entry) -> Answer:
    match entry:
        case _Found():
            return Found(tuple(_valued(type_, each) for each in entry.records), entry.ttl, entry.authentic, entry.aliases)
        case _NoData():
            return NoData(entry.ttl, entry.aliases)
        case _NoSuchName():
            return NoSuchName(entry.ttl, entry.aliases)
        case _Failed():
            return Failed(entry.kind, entry.detail)


def _plain(type_: str, value: Any) -> Any:
    """A record in JSON: TXT a list of strings, one that is not UTF-8 as {"hex": …}; else the value as it is."""
    return [_string(octets) for octets in value] if type_ == "TXT" else value


def _string(octets: bytes) -> str | dict[str, str]:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return {"hex": octets.hex()}


def _valued(type_: str, plain: Any) -> Any:
    """The record that `_plain` made JSON of. Raises ValueError."""
    match type_, plain:
        case "TXT", [_, *_]:
            return tuple(map(_octets, plain))
        case "A", str():
            return str(ipaddress.IPv4Address(plain))
        case "AAAA", str():
            return str(ipaddress.IPv6Address(plain))
        case "MX", [preference, str()] if _unsigned(preference, 16):
            return tuple(plain)
        case "SOA", [str(), str(), *numbers] if len(numbers) == 5 and all(_unsigned(each, 32) for each in numbers):
            return tuple(plain)
        case (("TXT" | "MX" | "SOA"), _):
            pass
        case _, str():
            return plain
    raise ValueError(f"{_json(plain)[:80]} is no {type_} record")


def _unsigned(value: Any, bits: int) -> bool:
    return type(value) is int and 0 <= value < 1 << bits  # true is an int to isinstance


def _octets(string: Any) -> bytes:
    match string:
        case str():
            octets = string.encode()
        case {"hex": str(digits)}:
            octets = bytes.fromhex(digits)
        case _:
            raise ValueError(f"{_json(string)[:80]} is no character-string")
    if len(octets) > MAX_STRING:
        raise ValueError(f"a character-string of {len(octets)} octets, the limit is {MAX_STRING}")
    return octets


# --- recording and replaying -------------------------------------------------------------------------------------


class Recorder(Over):
    """Notes every answer that the client beneath gives, failures too; for a question asked again, the last."""

    def __init__(self, beneath: Client) -> None:
        super().__init__(beneath)
        self._answers: dict[Question, Answer] = {}
        self._taken: datetime | None = None

    async def ask(self, name: str, type: str) -> Answer:  # noqa: A002 -- the DNS word
        """Answer from beneath."""
        if self._taken is None:
            # What a snapshot beneath answers is as old as that.
            self._taken = datetime.now(UTC) - timedelta(seconds=min(self.snapshot_age_s or 0, MAX_AGE))
        answer = self._answers[normal(name, type)] = await self.beneath.ask(name, type)
        return answer

    def snapshot(self) -> Snapshot:
        """All answers so far."""
        return Snapshot(dict(self._answers), self._taken or datetime.now(UTC))

    def dump(self) -> str:
        """All answers so far as JSON."""
        return self.snapshot().dump()

    def save(self, path: str | Path) -> None:
        """All answers so far into a file. Raises SnapshotError."""
        self.snapshot().save(path)


class Replay:
    """Answers from a snapshot and asks nobody. What was not asked when it was taken is unknown, not absent."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    async def ask(self, name: str, type: str) -> Answer:  # noqa: A002 -- the DNS word
        """The answer that was recorded."""
        return self.snapshot.answers.get(normal(name, type), Failed(Failure.REFUSED, "not in the snapshot"))

    @property
    def snapshot_age_s(self) -> int:
        """Seconds since the snapshot was taken."""
        return max(0, int((datetime.now(UTC) - self.snapshot.taken).total_seconds()))

    def use(self) -> DnsUse:
        """Nothing is asked on the wire."""
        return DnsUse(snapshot_age_s=self.snapshot_age_s)


# --- written down by hand ----------------------------------------------------------------------------------------

_WORDS: dict[str, Answer] = {
    **{kind.name: Failed(kind) for kind in Failure},
    "NODATA": NoData(DEFAULT_TTL),
    "NXDOMAIN": NoSuchName(DEFAULT_TTL),
}


class Listed:
    """A closed world: what is not listed does not exist. `asked` has every question, in the order asked."""

    snapshot_age_s: int | None = None

    def __init__(self, records: Mapping[tuple[str, str], Answer]) -> None:
        self.asked: list[Question] = []
        self._names = Names(records, closed=True)

    async def ask(self, name: str, type: str) -> Answer:  # noqa: A002 -- the DNS word
        """Answer from the list, over CNAMEs and wildcards."""
        question = normal(name, type)
        self.asked.append(question)
        chain = Chain(question.name)
        while True:
            found = self._names.find(question.name, question.type)
            if not isinstance(found, Alias):
                assert found is not None  # the names are closed
                assert not isinstance(found, (Wild, Edit))
                return chain.end(found)
            if failed := chain.follow((found.target,), found.ttl, found.authentic):
                return failed
            question = Question(found.target, question.type)

    def use(self) -> DnsUse:
        """Nothing is asked on the wire."""
        return DnsUse()


def from_mapping(mapping: Mapping[str, Any]) -> Listed:
    """A closed world from `{"_dmarc.example.org TXT": "v=DMARC1; p=none"}`, as in rule pages. Raises SnapshotError.

    A value is one record as text; a list of records; TIMEOUT, SERVFAIL, REFUSED, BOGUS, NODATA or NXDOMAIN; or a table
    `{records = …, ttl = 300, authentic = true}`. Text of a TXT record is cut into character-strings of 255 octets, and a list
    in the list gives the strings of one record; other types are in presentation form ("10 mail.example."). A name above a
    listed one exists, `*` is a wildcard, a CNAME is followed.
    """
    records: dict[tuple[str, str], Answer] = {}
    for key, value in mapping.items():
        try:
            question = _question(key)
            records[question.name, question.type] = _listed(question.type, value)
        except ValueError as error:
            raise SnapshotError(f"{key}: {error}") from None
    return Listed(records)


def _listed(type_: str, value: Any) -> Answer:
    if isinstance(value, str) and value in _WORDS:
        return _WORDS[value]
    ttl: Any = DEFAULT_TTL
    authentic: Any = False
    if isinstance(value, Mapping):
        table = {"records": [], "ttl": ttl, "authentic": authentic, **value}
        value, ttl, authentic = table["records"], table["ttl"], table["authentic"]
        if len(table) != 3 or not isinstance(ttl, int) or not isinstance(authentic, bool):
            raise ValueError("a table has records, ttl in seconds and authentic, which is true or false")
    each = value if isinstance(value, (list, tuple)) else [value]
    if not each:
        raise ValueError("a list of no records; NODATA says that there is none")
    return Found(tuple(sorted({_record(type_, one) for one in each})), ttl, authentic)


def _record(type_: str, value: Any) -> Any:
    if type_ == "TXT" and isinstance(value, str):
        return chunks(value)
    if type_ == "TXT":
        return _valued(type_, value)
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")  # noqa: TRY004 -- one error for all that can be wrong
    from . import wire  # dnspython's records take 50 ms to load

    return wire.parse_value(type_, value)
