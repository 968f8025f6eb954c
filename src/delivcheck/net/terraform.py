"""Terraform plans: what `terraform show -json PLAN` says would become of DNS records, laid over the DNS as it is.

The form is https://developer.hashicorp.com/terraform/internals/json-format (read 2026-11-23), which OpenTofu shares. Only those
`resource_changes` count that create, update or delete something: what a plan leaves alone is as published. Where one resource
is a whole record set (AWS, Azure, Google), it stands for the set; a Cloudflare resource is one record, so it edits the set. A
value "known after apply" makes its name and type unknown, never absent; a change that cannot be placed is in `Zone.unread`.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

import msgspec

from ..model import Failed, Failure, Found, NoData
from ..records.names import has_known_suffix, is_within, psl_organizational_domain
from . import wire
from .names import Alias, Edit, Held
from .octodns import can_be_zone
from .plain import as_set
from .terraform_records import AZURE_TYPE, KINDS, Kind, Says, Values, blocks, text_of
from .zone import Zone, ZoneError, after, owner

MAX_CHANGES = 50_000  # of record resources in one plan; Cloudflare allows 3,500 records a zone, Route 53 10,000
MAX_UNREAD = 50  # changes told one by one, like MAX_PROBLEMS of a rule

_VERSIONS = ("0.", "1.")  # "Reject any input which reports an unsupported major version"
_NULL = msgspec.Raw(b"null")
_SUFFIXES = (".json", ".tfplan", ".plan")


# --- the plan ----------------------------------------------------------------------------------------------------


class _Change(msgspec.Struct):
    actions: list[str]
    before: msgspec.Raw = _NULL
    after: msgspec.Raw = _NULL
    after_unknown: msgspec.Raw = _NULL


class _ResourceChange(msgspec.Struct):
    change: _Change
    type: str
    address: str = ""
    mode: str = "managed"


class _Resource(msgspec.Struct):
    type: str
    values: msgspec.Raw = _NULL


class _Module(msgspec.Struct):
    resources: list[_Resource] = []
    child_modules: "list[_Module]" = []


class _Values(msgspec.Struct):
    root_module: _Module = msgspec.field(default_factory=_Module)


class _State(msgspec.Struct):
    values: _Values | None = None


class _Plan(msgspec.Struct):
    format_version: str | None = None
    resource_changes: list[_ResourceChange] | None = None
    prior_state: _State | None = None
    planned_values: _Values | None = None


def _decoded(raw: msgspec.Raw) -> Values:
    value = msgspec.json.decode(raw)
    return value if isinstance(value, dict) else {}


class _Unplaced(Exception):  # noqa: N818 -- not an error of the file: a change that is told instead of laid over
    """What a resource changes cannot be told; the text is one clause."""


def _unknown(value: Any) -> bool:
    """Whether anything in a part of `after_unknown` is true."""
    if isinstance(value, dict):
        return any(map(_unknown, value.values()))
    return any(map(_unknown, value)) if isinstance(value, list) else value is True


def _after_apply(address: str) -> Failed:
    return Failed(Failure.REFUSED, f"{address[:200]} is known after apply")


# Zones, as resources and as data sources: the fields with their ids, those with their names, and how a private one shows.
_ZONES: Mapping[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "aws_route53_zone": ("aws", ("zone_id", "id"), ("name",)),
    "cloudflare_zone": ("cloudflare", ("id", "zone_id"), ("zone", "name")),
    "google_dns_managed_zone": ("google", ("name", "id"), ("dns_name",)),
}
_ELSEWHERE = re.compile(r"_(?:record|records|record_set|recordset|rrset)\Z")  # records of providers that are not read here
_PRIVATE = re.compile(r"_private_")  # azurerm_private_dns_*: seen from inside a network only


def _is_private(values: Values) -> bool:
    return bool(values.get("private_zone")) or bool(blocks(values.get("vpc"))) or values.get("visibility") == "private"


class _ZoneTable:
    """The zones a plan names, by provider and id."""

    def __init__(self, plan: _Plan) -> None:
        self._names: dict[tuple[str, str], str] = {}
        self._private: set[tuple[str, str]] = set()
        for type_, raw in self._resources(plan):
            if type_ in _ZONES:
                self._add(*_ZONES[type_], _decoded(raw))
            elif type_ == "cloudflare_record":
                self._derive(_decoded(raw))

    def of(self, kind: Kind, values: Values) -> str | None:
        """The zone that a record's resource is in, if the plan says."""
        given = values.get(kind.zone)
        if not isinstance(given, str):
            return None
        return _or_none(given) if kind.family == "azure" else self._names.get((kind.family, _last(given)))

    def private(self, kind: Kind, values: Values) -> bool:
        """Whether the zone is seen from inside a network only."""
        given = values.get(kind.zone)
        return isinstance(given, str) and (kind.family, _last(given)) in self._private

    def _resources(self, plan: _Plan) -> Iterator[tuple[str, msgspec.Raw]]:
        modules = [state.root_module for state in (plan.prior_state and plan.prior_state.values, plan.planned_values) if state]
        while modules:
            module = modules.pop()
            modules += module.child_modules
            for resource in module.resources:
                yield resource.type, resource.values
        for change in plan.resource_changes or ():
            yield change.type, change.change.before
            yield change.type, change.change.after

    def _add(self, family: str, ids: tuple[str, ...], names: tuple[str, ...], values: Values) -> None:
        name = next((_or_none(values[key]) for key in names if isinstance(values.get(key), str)), None)
        for key in ids:
            if isinstance(values.get(key), str) and name:
                self._names[family, _last(values[key])] = name
                if _is_private(values):
                    self._private.add((family, _last(values[key])))

    def _derive(self, values: Values) -> None:
        """Where no resource is the zone: a record of version 4 that is known in full and by its relative name."""
        name, whole, zone = values.get("name"), values.get("hostname"), values.get("zone_id")
        if isinstance(name, str) and isinstance(whole, str) and isinstance(zone, str):
            if name == "@":
                self._names.setdefault(("cloudflare", zone), whole.lower())
            elif name and whole.lower().startswith(f"{name.lower()}."):
                self._names.setdefault(("cloudflare", zone), whole[len(name) + 1 :].lower())


def _last(text: str) -> str:
    """An id without the path before it: "/hostedzone/Z123", "projects/p/managedZones/z"."""
    return text.rpartition("/")[2]


def _or_none(text: str) -> str | None:
    try:
        return owner(text)
    except ValueError:
        return None


# --- laying over -------------------------------------------------------------------------------------------------


class _Reader:
    """Turns the changes into what becomes of each name and type."""

    def __init__(self, file: str, plan: _Plan, origin: str | None) -> None:
        self.file = file
        self.origin = origin
        self.records: dict[tuple[str, str], Held] = {}
        self.unread: list[str] = []
        self._zones = _ZoneTable(plan)
        self._changes = plan.resource_changes or []
        self._going: dict[tuple[str, str], list[Any]] = {}  # of sets that are edited
        self._coming: dict[tuple[str, str], list[Any]] = {}
        self._ttls: dict[tuple[str, str], int] = {}

    def read(self) -> None:
        """Take every change: first what goes, then what comes, since a name may go in one resource and come in another."""
        wanted = []
        for one in self._changes:
            doing = set(one.change.actions) & {"create", "update", "delete"}
            if one.mode != "managed" or not doing:  # no-op, read, and forget, which leaves the record where it is
                continue
            if one.type in KINDS:
                wanted.append((one, doing))
            elif one.type in _ZONES and "delete" in doing:
                self._tell(f"{one.address} is deleted with all its records")
            elif _ELSEWHERE.search(one.type) and not _PRIVATE.search(one.type):
                self._tell(f"{one.address}: records of the kind {one.type} are not read")
        if len(wanted) > MAX_CHANGES:
            raise ZoneError(f"{self.file}: more than {MAX_CHANGES} changes of records")
        for one, doing in wanted:
            if doing & {"delete", "update"}:
                self._side(one, one.change.before, {}, goes=True)
        for one, doing in wanted:
            if doing & {"create", "update"}:
                self._side(one, one.change.after, _decoded(one.change.after_unknown), goes=False)
        for key, ttl in self._ttls.items():
            edit = Edit(tuple(self._going.get(key, ())), tuple(self._coming.get(key, ())), ttl)
            self.records[key] = after(self.records.get(key), edit)

    def _tell(self, what: str) -> None:
        if len(self.unread) < MAX_UNREAD:
            self.unread.append(what[:300])

    def _side(self, one: _ResourceChange, raw: msgspec.Raw, unknown: Values, *, goes: bool) -> None:
        kind, values = KINDS[one.type], _decoded(raw)
        if self._zones.private(kind, values):
            return
        try:
            name = self._name(kind, values, unknown)
            says = self._says(one, kind, values, unknown)
        except _Unplaced as why:
            self._tell(f"{one.address}: {why}")
            return
        except ValueError as error:
            raise ZoneError(f"{self.file}: {one.address}: {str(error)[:200]}") from None
        apex = self._zones.of(kind, values) or psl_organizational_domain(name)
        for type_, held in self._become(kind, says, goes=goes, apex=name == apex):
            if isinstance(held, Edit):
                self._edit(name, type_, held)
            else:
                self.records[name, type_] = held

    def _says(self, one: _ResourceChange, kind: Kind, values: Values, unknown: Values) -> Says:
        if _unknown(unknown.get("type")):
            raise _Unplaced("its type is known after apply")
        azure = AZURE_TYPE.fullmatch(one.type)
        type_ = azure[1].upper() if azure else text_of(values, "type").upper()
        try:
            wire.type_code(type_)
        except ValueError:
            raise _Unplaced(f"the type {type_[:20]} is none that DNS has") from None
        if any(_unknown(unknown.get(field)) for field in kind.decides):
            return Says(type_, instead=_after_apply(one.address))
        try:
            return kind.read(values)
        except ValueError:
            if any(_unknown(unknown.get(field)) for field in kind.may_decide):
                return Says(type_, instead=_after_apply(one.address))
            raise

    def _become(self, kind: Kind, says: Says, *, goes: bool, apex: bool) -> Iterator[tuple[str, Held]]:
        """What holds afterwards for each type that the resource's change touches."""
        flattened = not kind.whole_set and says.type == "CNAME" and apex  # Cloudflare's "CNAME flattening"
        if says.proxied or flattened:
            for type_ in ("A", "AAAA"):
                yield type_, NoData() if goes else says.instead or Alias(says.values[0], says.ttl, flat=True)
        elif says.instead is not None:
            # of several sets by routing policy the others may stay, so that one of them goes does not delete the name
            yield says.type, NoData() if goes and isinstance(says.instead, Alias) else says.instead
        elif kind.whole_set or says.type == "CNAME":
            yield says.type, NoData() if goes or not says.values else Found(as_set(says.values), says.ttl)
        else:
            yield says.type, Edit(says.values if goes else (), () if goes else says.values, says.ttl)

    def _edit(self, name: str, type_: str, edit: Edit) -> None:
        self._going.setdefault((name, type_), []).extend(edit.removed)
        self._coming.setdefault((name, type_), []).extend(edit.added)
        self._ttls[name, type_] = edit.ttl

    def _name(self, kind: Kind, values: Values, unknown: Values) -> str:
        """The name in full. Raises _Unplaced, or ValueError for what is no name."""
        for field in kind.in_full:
            if isinstance(values.get(field), str) and values[field]:
                return owner(values[field].replace("\\052", "*"))  # Route 53 writes a wildcard in octal
        if _unknown(unknown.get("name")):
            raise _Unplaced("its name is known after apply")
        given = values.get("name")
        if given is None and kind.family != "azure":  # there it is optional and means the apex
            raise _Unplaced("it has no name")
        if not isinstance(given, str) and given is not None:
            raise ValueError("its name is no text")
        text = (given or "@").replace("\\052", "*")
        if text.endswith("."):
            return owner(text)
        zone = self._zones.of(kind, values) or self.origin
        if zone is None:
            # Providers take full names, too; a relative one that looks full would need a zone below a top-level domain's name.
            if "." in text and has_known_suffix(text.lower()):
                return owner(text)
            where = "neither the plan nor the file's name, as in example.org.json, says in which zone"
            raise _Unplaced(f"its name {text[:60]!r} is relative, and {where}")
        if text == "@" or not text:
            return zone
        # Azure's names are always relative; the others take the zone's own name at the end for the whole name.
        whole = kind.family != "azure" and is_within(text.lower(), zone)
        return owner(text if whole else f"{text}.{zone}")


def parse(text: str, file: str = "plan.json", origin: str | None = None) -> Zone:
    """Read a plan. `origin` is the zone of relative names where the plan names none. Raises ZoneError, nothing else."""
    try:
        plan = msgspec.json.decode(text, type=_Plan)
        if plan.format_version is None or (plan.resource_changes is None and plan.planned_values is None):
            raise ZoneError(f"{file}: no Terraform plan; what is wanted is what terraform show -json PLAN prints")
        if not plan.format_version.startswith(_VERSIONS):
            raise ZoneError(f"{file}: the plan's format is {plan.format_version[:20]!r}, and this version reads 1.x")
        reader = _Reader(file, plan, _or_none(origin) if origin is not None else _origin_of(file))
        reader.read()
    except RecursionError:
        raise ZoneError(f"{file}: nested too deeply") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        log = ": these are the log lines of terraform plan -json" if text.lstrip().startswith('{"@') else ""
        raise ZoneError(f"{file}: no Terraform plan as terraform show -json PLAN prints it{log or f': {error}'}") from None
    return Zone(reader.origin or "", reader.records, "Terraform plan", file, unread=tuple(dict.fromkeys(reader.unread)))


def _origin_of(file: str) -> str | None:
    """The zone a file is named after, as `example.org.json` is."""
    name = PurePath(file).name.lower()
    while name.endswith(_SUFFIXES):
        name = name.rpartition(".")[0]
    return _or_none(name) if "." in name and can_be_zone(name) else None
