"""What one Terraform resource says of DNS records: the attributes of each provider that is read here, before or after a change.

The sources beside each reader are the providers' documents on GitHub, read 2026-11-23. Values that cannot be a record's raise
ValueError.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..model import Failed, Failure
from ..records.zonetext import MAX_STRING
from . import wire
from .client import MAX_TTL
from .names import Alias, Held
from .octodns import MAX_TEXT, strings_of
from .zone import TTL, owner

AUTOMATIC = 300  # seconds that Cloudflare makes of ttl = 1

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Says:
    """The records of one resource on one side of the change: their values, or what stands for them.

    `proxied`: the provider answers with its own addresses, and with no CNAME.
    """

    type: str
    values: tuple[Any, ...] = ()
    ttl: int = TTL
    instead: Held | None = None
    proxied: bool = False


def blocks(value: Any) -> list[Values]:
    """Nested blocks: a list of objects, or one object where the provider nests attributes."""
    several = value if isinstance(value, list) else [value]
    return [one for one in several if isinstance(one, dict)]


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError("its values are no list of texts")
    return value


def text_of(values: Values, *names: str) -> str:
    for name in names:
        value = values.get(name)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return f"{value:g}" if isinstance(value, float) else str(value)  # a whole number may be too large for a float
    raise ValueError(f"{' or '.join(names)} is missing")


def _ttl(values: Values) -> int:
    try:
        ttl = int(values.get("ttl") or TTL)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("the ttl is no number of seconds") from None
    return min(ttl, MAX_TTL) if ttl > 1 else AUTOMATIC


_QUOTED = re.compile(r'[ \t]*(?:"((?:[^"\\]|\\.)*)"|((?:[^"\\\s]|\\.)+))', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:([0-9]{3})|(.))", re.DOTALL)


def _strings(text: str, base: int) -> tuple[bytes, ...]:
    """Character-strings in quotes (or without, parted by spaces); `base` of the numbers after a backslash."""
    found: list[bytes] = []
    at, end = 0, len(text.rstrip())
    if end > MAX_TEXT:
        raise ValueError(f"a TXT record of {end} characters")
    while at < end:
        match = _QUOTED.match(text, at)
        if match is None:
            raise ValueError(f"{text[:60]!r} has a quotation mark that is not closed")
        inside = match[1] if match[1] is not None else match[2]
        octets = b"".join(_unescaped(inside, base))
        if len(octets) > MAX_STRING:
            raise ValueError(f"a character-string of {len(octets)} octets, the limit is {MAX_STRING}")
        found.append(octets)
        at = match.end()
    return tuple(found) or (b"",)


def _unescaped(text: str, base: int) -> Iterator[bytes]:
    at = 0
    for match in _ESCAPE.finditer(text):
        yield text[at : match.start()].encode("utf-8", "surrogatepass")
        at = match.end()
        if match[1] is None:
            yield match[2].encode("utf-8", "surrogatepass")
        else:
            number = int(match[1], base)
            if number > 255:
                raise ValueError(f"\\{match[1]} is no octet")
            yield bytes([number])
    yield text[at:].encode("utf-8", "surrogatepass")


def _chosen(kind: str) -> Failed:
    return Failed(Failure.REFUSED, f"the answer depends on who asks ({kind})")


# hashicorp/aws, website/docs/r/route53_record.html.markdown
def _aws(values: Values) -> Says:
    type_, ttl = text_of(values, "type").upper(), _ttl(values)
    if values.get("set_identifier"):  # "Unique identifier to differentiate records with routing policies from one another"
        return Says(type_, instead=_chosen("a Route 53 routing policy"))
    alias = blocks(values.get("alias"))
    if alias:  # the target's own records of this type, for 60 seconds
        return Says(type_, instead=Alias(owner(text_of(alias[0], "name")), 60, flat=True))
    texts = _texts(values.get("records"))
    if type_ == "TXT":  # the provider puts each value in quotes; Route 53 writes octets as \NNN in octal
        return Says(type_, tuple(_strings(f'"{text}"', 8) for text in texts), ttl)
    return Says(type_, tuple(wire.parse_value(type_, text) for text in texts), ttl)


# hashicorp/google, website/docs/r/dns_record_set.html.markdown: "rrdatas" are in presentation form
def _google(values: Values) -> Says:
    type_, ttl = text_of(values, "type").upper(), _ttl(values)
    if blocks(values.get("routing_policy")):
        return Says(type_, instead=_chosen("a Cloud DNS routing policy"))
    texts = _texts(values.get("rrdatas"))
    read: Callable[[str], Any] = (
        (lambda text: _strings(text, 10)) if type_ == "TXT" else (lambda text: wire.parse_value(type_, text))
    )
    return Says(type_, tuple(map(read, texts)), ttl)


def _caa(fields: Values) -> str:
    value = text_of(fields, "value", "content").replace("\\", "\\\\").replace('"', '\\"')
    return f'{_number(fields, "flags")} {text_of(fields, "tag")} "{value}"'


def _number(fields: Values, name: str) -> str:
    value = fields.get(name)
    if isinstance(value, dict):  # cloudflare 5 keeps flags as {"type": …, "value": …}
        value = value.get("value")
    return str(value) if isinstance(value, (int, str)) and str(value) else "0"


def _srv(fields: Values) -> str:
    return " ".join([*(_number(fields, name) for name in ("priority", "weight", "port")), text_of(fields, "target")])


# hashicorp/azurerm, website/docs/r/dns_*_record.html.markdown: a resource type for each record type, and what holds the values
_AZURE: Mapping[str, Callable[[Values], list[Any]]] = {
    "A": lambda values: [wire.parse_value("A", text) for text in _texts(values.get("records"))],
    "AAAA": lambda values: [wire.parse_value("AAAA", text) for text in _texts(values.get("records"))],
    "CAA": lambda values: [wire.parse_value("CAA", _caa(one)) for one in blocks(values.get("record"))],
    "CNAME": lambda values: [owner(text_of(values, "record"))],
    "MX": lambda values: [
        wire.parse_value("MX", f"{text_of(one, 'preference')} {text_of(one, 'exchange')}")
        for one in blocks(values.get("record"))
    ],
    "NS": lambda values: [owner(text) for text in _texts(values.get("records"))],
    "PTR": lambda values: [owner(text) for text in _texts(values.get("records"))],
    "SRV": lambda values: [wire.parse_value("SRV", _srv(one)) for one in blocks(values.get("record"))],
    "TXT": lambda values: [strings_of(text_of(one, "value")) for one in blocks(values.get("record"))],
}


def _azure(type_: str) -> Callable[[Values], Says]:
    def read(values: Values) -> Says:
        if values.get("target_resource_id"):
            return Says(
                type_, instead=Failed(Failure.REFUSED, "an alias to an Azure resource, whose address is not in the plan")
            )
        return Says(type_, tuple(_AZURE[type_](values)), _ttl(values))

    return read


# cloudflare/cloudflare, docs/resources/record.md (to version 4) and dns_record.md (from 5): `content`, `value` before 4.39
def _cloudflare(values: Values) -> Says:
    type_, ttl = text_of(values, "type").upper(), _ttl(values)
    data = blocks(values.get("data"))
    if values.get("proxied") is True and type_ in {"A", "AAAA", "CNAME"}:
        its_own = Failed(Failure.REFUSED, "proxied: Cloudflare answers with addresses of its own")
        return Says(type_, instead=its_own, proxied=True)
    if type_ in {"CAA", "SRV"} and data:
        return Says(type_, (wire.parse_value(type_, (_caa if type_ == "CAA" else _srv)(data[0])),), ttl)
    if type_ == "TLSA" and data:
        words = [*(_number(data[0], name) for name in ("usage", "selector", "matching_type")), text_of(data[0], "certificate")]
        return Says(type_, (wire.parse_value(type_, " ".join(words)),), ttl)
    content = text_of(values, "content", "value")
    if type_ == "TXT":
        quoted = len(content) > 1 and content[0] == content[-1] == '"'
        return Says(type_, (_strings(content, 10) if quoted else strings_of(content),), ttl)
    if type_ == "MX":
        return Says(type_, (wire.parse_value(type_, f"{text_of(values, 'priority')} {content}"),), ttl)
    return Says(type_, (owner(content) if type_ in {"CNAME", "NS", "PTR"} else wire.parse_value(type_, content),), ttl)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource: how its records are read, what holds its zone, and whether it is a whole record set."""

    read: Callable[[Values], Says]
    zone: str  # the field that names the zone: an id, or the name itself
    decides: tuple[str, ...]  # fields that make the records unknown when they are
    may_decide: tuple[str, ...] = ()  # the same where the records cannot be read without them
    whole_set: bool = True
    in_full: tuple[str, ...] = ()  # fields that have the whole name, once it is known
    family: str = ""  # whose zone ids these are


_CLOUDFLARE = Kind(
    _cloudflare,
    "zone_id",
    ("proxied",),
    may_decide=("content", "value", "data", "priority"),  # of content and value one is computed from the other
    whole_set=False,
    in_full=("hostname",),
    family="cloudflare",
)
KINDS: Mapping[str, Kind] = {
    "aws_route53_record": Kind(_aws, "zone_id", ("records", "alias", "set_identifier"), in_full=("fqdn",), family="aws"),
    "google_dns_record_set": Kind(_google, "managed_zone", ("rrdatas", "routing_policy"), family="google"),
    "cloudflare_record": _CLOUDFLARE,
    "cloudflare_dns_record": _CLOUDFLARE,
    **{
        f"azurerm_dns_{type_.lower()}_record": Kind(
            _azure(type_), "zone_name", ("record", "records", "target_resource_id"), in_full=("fqdn",), family="azure"
        )
        for type_ in _AZURE
    },
}

AZURE_TYPE = re.compile(r"azurerm_dns_([a-z]+)_record")
