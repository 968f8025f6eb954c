"""octoDNS zone files: one YAML file a zone, named after it, each key a name and its record or list of records.

The form is that of octoDNS's YamlProvider, https://github.com/octodns/octodns/blob/main/docs/records.md (read 2026-11-23).
octoDNS makes the published zone equal to the file and deletes what is not in it, so the file stands for the whole zone. Files
of its SplitYamlProvider (`example.org./www.yaml`, `example.org./$example.org.yaml`) hold a part of one and are laid over.

Nothing is constructed from the YAML: its events are read one by one into texts, lists and pairs, so that no tag makes an
object, no nesting uses the stack, and an alias costs a reference.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from ..model import Failed, Failure, Found
from ..records.names import has_known_suffix
from ..records.zonetext import chunks
from . import wire
from .client import MAX_TTL
from .names import Alias, Held
from .plain import as_set
from .zone import TTL, Zone, ZoneError, owner

MAX_YAML = 2_000_000  # characters; PyYAML needs a second or two for each million, and 10,000 records are one
MAX_NODES = 1_000_000  # texts, lists and mappings, merged fields counted again; MAX_YAML hardly spells more without aliases
MAX_VALUES = 200_000  # records, as many as a zone file of MAX_ZONE holds
MAX_CHARACTERS = 4 * MAX_YAML  # of all values; each spells its own unless it is an alias, and what two share is copied
MAX_DEPTH = 50  # nested mappings and lists; dynamic records need eight

MAX_TEXT = 262_140  # characters of a TXT record: its 65,535 octets (RFC 1035 section 3.2.1), each written as \\NNN
MERGE = "<<"

# octoDNS leaves these to the DNS provider unless the file has them (root NS: octodns issue "Root NS record support", 2022).
_PROVIDERS_OWN = ("SOA", "NS", "DS", "DNSKEY", "CDS", "CDNSKEY", "NSEC3PARAM")
_SUFFIXES = (".yaml", ".yml")


# --- YAML --------------------------------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class _Text:
    line: int
    text: str
    plain: bool


@dataclass(eq=False, slots=True)
class _List:
    line: int
    items: list[Any] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class _Map:
    line: int
    pairs: dict[str, Any] = field(default_factory=dict)
    merged: dict[str, Any] = field(default_factory=dict)
    key: _Text | None = None  # the one whose value comes next


class _Loader:
    """Puts YAML's events together. Raises ZoneError with the line."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Any = None
        self._anchors: dict[str, Any] = {}
        self._open: list[tuple[Any, str | None]] = []
        self._nodes = 0

    def fault(self, line: int, what: str) -> ZoneError:
        return ZoneError(f"{self.file}:{line}: {what}")

    def read(self, text: str) -> Any:
        """The one document of a text; None for an empty one."""
        yaml = _yaml(self.file)
        documents = 0
        try:
            for event in yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
                line = event.start_mark.line + 1 if event.start_mark is not None else 1
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        raise self.fault(line, "a second document begins; octoDNS reads one a file")
                elif isinstance(event, yaml.AliasEvent):
                    if event.anchor not in self._anchors:
                        raise self.fault(line, f"the alias *{event.anchor[:40]} refers to nothing that ended before it")
                    self._place(self._anchors[event.anchor], line)
                elif isinstance(event, yaml.ScalarEvent):
                    self._check_tag(event, line)
                    self._done(_Text(line, event.value, event.implicit[0]), event.anchor, line)
                elif isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
                    self._check_tag(event, line)
                    if len(self._open) >= MAX_DEPTH:
                        raise self.fault(line, f"more than {MAX_DEPTH} levels of lists and mappings")
                    made = _List(line) if isinstance(event, yaml.SequenceStartEvent) else _Map(line)
                    self._open.append((made, event.anchor))
                elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
                    made, anchor = self._open.pop()
                    if isinstance(made, _Map):
                        made.pairs = {**made.merged, **made.pairs}
                    self._done(made, anchor, line)
        except UnicodeError:  # a surrogate, which no file has and a text given in code may
            raise self.fault(1, "no YAML: not UTF-8") from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            what = getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__
            raise self.fault(
                mark.line + 1 if mark is not None else 1, f"no YAML: {' '.join(str(what).split())[:200]}"
            ) from None
        return self.root

    def _check_tag(self, event: Any, line: int) -> None:
        if event.tag is not None and event.tag != "!" and not event.tag.startswith("tag:yaml.org,2002:"):
            raise self.fault(line, f"the tag {event.tag[:40]} is not read here")
        if event.tag is not None and event.tag.startswith("tag:yaml.org,2002:python"):
            raise self.fault(line, "Python objects are not read here")

    def _done(self, node: Any, anchor: str | None, line: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        self._place(node, line)

    def _place(self, node: Any, line: int) -> None:
        self._count(1, line)
        if not self._open:
            self.root = node
            return
        outer, _ = self._open[-1]
        if isinstance(outer, _List):
            outer.items.append(node)
        elif outer.key is None:
            if not isinstance(node, _Text):
                raise self.fault(line, "a key that is no text")
            if node.text in outer.pairs:
                raise self.fault(line, f"the key {node.text[:40]!r} stands here a second time")
            outer.key = node
        else:
            key, outer.key = outer.key, None
            if key.plain and key.text == MERGE:
                self._merge(outer, node, line)
            else:
                outer.pairs[key.text] = node

    def _merge(self, into: _Map, node: Any, line: int) -> None:
        """YAML's merge key, by which records share fields: a record's own fields stay, of two merged ones the first."""
        for one in node.items if isinstance(node, _List) else [node]:
            if not isinstance(one, _Map):
                raise self.fault(line, f"{MERGE} merges a mapping")
            self._count(len(one.pairs), line)
            for key, value in one.pairs.items():
                into.merged.setdefault(key, value)

    def _count(self, more: int, line: int) -> None:
        self._nodes += more
        if self._nodes > MAX_NODES:
            raise self.fault(line, f"more than {MAX_NODES} values, merged ones counted again")


def _yaml(file: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise ZoneError(f"{file}: reading octoDNS YAML needs PyYAML: pip install 'delivcheck[octodns]'") from None
    return yaml


# --- records -----------------------------------------------------------------------------------------------------

Fields = Mapping[str, str]


def _several(*names: str) -> Callable[[Fields], str]:
    return lambda fields: " ".join(fields[name] for name in names)


def _mx(fields: Fields) -> str:
    older = {"preference": fields.get("priority"), "exchange": fields.get("value")}  # octodns/record/mx.py takes both
    return " ".join(fields.get(name) or older[name] or fields[name] for name in older)


def _caa(fields: Fields) -> str:
    value = fields["value"].replace("\\", "\\\\").replace('"', '\\"')
    return f'{fields.get("flags", "0")} {fields["tag"]} "{value}"'


_FROM_FIELDS: Mapping[str, Callable[[Fields], str]] = {  # to presentation form
    "MX": _mx,
    "CAA": _caa,
    "SRV": _several("priority", "weight", "port", "target"),
    "TLSA": _several("certificate_usage", "selector", "matching_type", "certificate_association_data"),
}
_NAMES = ("CNAME", "NS", "PTR", "DNAME")
_PLAIN = ("A", "AAAA", *_NAMES)
_FLAT = "ALIAS"
_CHOOSING = ("geo", "dynamic")  # docs/geo_records.md, docs/dynamic_records.md: the answer depends on who asks


class _Reader:
    """Makes records of the loaded file. Raises ZoneError."""

    def __init__(self, loader: _Loader, origin: str) -> None:
        self.loader = loader
        self.origin = origin
        self.records: dict[tuple[str, str], Held] = {}
        self.open: set[tuple[str, str]] = set()
        self._values = 0
        self._characters = 0

    def read(self, root: Any) -> None:
        if root is None or (isinstance(root, _Text) and not root.text):
            return
        if not isinstance(root, _Map):
            raise self.loader.fault(root.line, "no octoDNS zone: what is wanted is a mapping of names to records")
        for key, value in root.pairs.items():
            for record in value.items if isinstance(value, _List) else [value]:
                if not isinstance(record, _Map) or not isinstance(record.pairs.get("type"), _Text):
                    raise self.loader.fault(value.line, f"{key[:60]!r} is no octoDNS record: it has no type")
                self._record(key, record)
        for name, type_ in self.records:
            if type_ != "CNAME" and (name, "CNAME") in self.records:  # RFC 2181 section 10.1
                raise ZoneError(f"{self.loader.file}: {name} has a {type_} record beside a CNAME")

    def _record(self, key: str, record: _Map) -> None:
        type_ = record.pairs["type"].text.upper()
        try:
            name = owner(f"{key}.{self.origin}" if key else self.origin)
            wire.type_code("A" if type_ in {_FLAT, "URLFWD"} else type_)
        except ValueError as error:
            raise self.loader.fault(record.line, str(error)) from None
        control = record.pairs.get("octodns")
        if isinstance(control, _Map) and _says_yes(control.pairs.get("ignored")):  # octoDNS does not touch what is published
            self.open.add((name, type_))
            return
        try:
            held = self._held(type_, record)
        except (ValueError, KeyError) as error:
            said = f"the field {error} is missing" if isinstance(error, KeyError) else str(error)
            raise self.loader.fault(record.line, f"{key[:60]!r} {type_}: {said[:200]}") from None
        for kind in ("A", "AAAA") if type_ == _FLAT else (type_,):
            if (name, kind) in self.records and type_ != _FLAT:
                raise self.loader.fault(
                    record.line, f"{key[:60]!r} has a second {type_} record; octoDNS wants one with several values"
                )
            self.records.setdefault((name, kind), held)

    def _held(self, type_: str, record: _Map) -> Held:
        if any(word in record.pairs for word in _CHOOSING):
            return Failed(Failure.REFUSED, "the answer depends on who asks (octoDNS geo or dynamic record)")
        if type_ not in {*_PLAIN, *_FROM_FIELDS, "TXT", _FLAT}:
            return Failed(Failure.REFUSED, f"the file has a {type_} record, which is not read")
        ttl = _ttl(record)
        nodes = list(self._each(record))
        if not nodes:
            raise ValueError("it has neither value nor values")
        if type_ == _FLAT:
            return Alias(owner(_text(nodes[0])), ttl, flat=True)
        return Found(as_set(_value(type_, node) for node in nodes), ttl)

    def _each(self, record: _Map) -> Iterator[Any]:
        """Its value or values; either may be one or a list."""
        node = record.pairs.get("values", record.pairs.get("value"))
        several = node.items if isinstance(node, _List) else [] if node is None else [node]
        self._values += len(several)
        if self._values > MAX_VALUES:
            raise ValueError(f"more than {MAX_VALUES} values in the file")
        self._characters += sum(map(_size, several))
        if self._characters > MAX_CHARACTERS:
            raise ValueError(f"more than {MAX_CHARACTERS} characters of values in the file, aliases counted again")
        yield from several


def _size(node: Any) -> int:
    """The characters of a value: a text, or a mapping of fields."""
    fields = node.pairs.values() if isinstance(node, _Map) else (node,)
    return sum(len(one.text) for one in fields if isinstance(one, _Text))


def _says_yes(node: Any) -> bool:
    return isinstance(node, _Text) and node.text.lower() in {"true", "yes", "on"}


def _ttl(record: _Map) -> int:
    node = record.pairs.get("ttl")
    if node is None:
        return TTL  # YamlProvider's default_ttl is the same hour
    text = _text(node)
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        raise ValueError(f"the ttl {text[:20]!r} is no number of seconds")
    return min(int(text), MAX_TTL)


def _text(node: Any) -> str:
    if not isinstance(node, _Text):
        raise ValueError("a list or mapping stands where one value is due")  # noqa: TRY004 -- one error for all that is wrong
    return node.text


def _value(type_: str, node: Any) -> Any:
    if type_ == "TXT":
        return txt(_text(node))
    if type_ in _FROM_FIELDS:
        if not isinstance(node, _Map):
            raise ValueError("its values are mappings")
        fields = {key: _text(value) for key, value in node.pairs.items()}
        return wire.parse_value(type_, _FROM_FIELDS[type_](fields))
    return owner(_text(node)) if type_ in _NAMES else wire.parse_value(type_, _text(node))


def txt(text: str) -> tuple[bytes, ...]:
    r"""The character-strings of a TXT value as octoDNS writes it.

    A semicolon may stand as `\;`, the whole may be in quotes and cut as `" "`; the provider cuts it anew at 255 octets
    (octodns/record/chunked.py).
    """
    if text[:1] == '"':
        text = text[1:-1].replace('" "', "")
    return strings_of(text.replace("\\;", ";"))


def strings_of(text: str) -> tuple[bytes, ...]:
    """A text as character-strings. Raises ValueError for one that no TXT record can hold."""
    if len(text) > MAX_TEXT:
        raise ValueError(f"a TXT record of {len(text)} characters")
    return chunks(text)


# --- the file ----------------------------------------------------------------------------------------------------


def parse(text: str, file: str = "zone.yaml", origin: str | None = None) -> Zone:
    """Read an octoDNS zone file. The zone is `origin`, else what the file is named after. Raises ZoneError, nothing else."""
    if len(text) > MAX_YAML:
        raise ZoneError(f"{file}: longer than {MAX_YAML} characters of YAML")
    named, whole = _zone_of(file)
    try:
        zone = owner(origin) if origin is not None else named
    except ValueError as error:
        raise ZoneError(f"{file}: {error}") from None
    if zone is None:
        raise ZoneError(
            f"{file}: octoDNS names a zone in its file's name, as in example.org.yaml, and this is named after none"
        )
    loader = _Loader(file)
    reader = _Reader(loader, zone)
    reader.read(loader.read(text))
    whole = whole or (origin is not None and named is None)
    left = {*reader.open, *((zone, type_) for type_ in _PROVIDERS_OWN if (zone, type_) not in reader.records)} if whole else ()
    return Zone(zone, reader.records, "octoDNS file", file, whole, frozenset(left))


def _zone_of(file: str) -> tuple[str | None, bool]:
    """The zone a file is named after, and whether it is the whole of it.

    `example.org.yaml` is; `$example.org.yaml`, and any file in a folder `example.org.` or `example.org`, is a part.
    """
    path = PurePath(file)
    name = path.name
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    for text, whole in ((name, True), (name.removeprefix("$"), False), (path.parent.name, False)):
        bare = text.rstrip(".").lower()
        if "." in bare and "$" not in bare and can_be_zone(bare):
            try:
                return owner(bare), whole
            except ValueError:
                continue
    return None, False


_RESERVED = (".test", ".example", ".invalid", ".localhost", ".arpa")  # RFC 6761 section 6, and reverse zones


def can_be_zone(name: str) -> bool:
    """Tell whether a file's name can be a zone's: `dns.plan` is none."""
    return name.endswith(_RESERVED) or has_known_suffix(name)
