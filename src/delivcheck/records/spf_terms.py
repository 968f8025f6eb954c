"""One term of an SPF record: mechanism or modifier (RFC 7208 sections 5, 6 and 12)."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

from .spf_macros import Macro, MacroString, SpfSyntaxError, letters, parse_macros

QUERYING = frozenset({"include", "a", "mx", "ptr", "exists", "redirect"})  # section 4.6.4: these count
MECHANISMS = frozenset({"all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"})

_DOMAIN_MUST = {"include", "exists"}
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=")
_NAME = re.compile(r"[A-Za-z0-9_.-]*")
_TOP_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\Z")
_MAX_ADDRESS = 45  # characters of the longest IPv6 address in text, INET6_ADDRSTRLEN less its NUL
_SLIPS = {
    "ipv4": "ip4",
    "ip": "ip4",
    "ipv6": "ip6",
    "prt": "ptr",
    "inlcude": "include",
    "includes": "include",
    "exist": "exists",
}


@dataclass(frozen=True, slots=True)
class Term:
    """One mechanism or modifier.

    `text` as written, at `span` in the record. `qualifier` is "+", "-", "~" or "?", and "" for a modifier. `value` is what
    follows the ":" or "=" without prefix lengths, None when nothing does; `macros` the same, parsed, for a domain-spec.
    `prefix4` and `prefix6` only where written; `network` for ip4 and ip6.
    """

    text: str
    span: tuple[int, int]
    name: str  # lower case
    qualifier: str = ""
    value: str | None = None
    macros: MacroString = ()
    prefix4: int | None = None
    prefix6: int | None = None
    network: IPv4Network | IPv6Network | None = None

    @property
    def asks(self) -> bool:
        """Whether evaluating it needs DNS, so that it counts (RFC 7208 section 4.6.4)."""
        return self.name in QUERYING and (self.name == "redirect" or bool(self.qualifier))

    @property
    def letters(self) -> frozenset[str]:
        """The macro letters in it."""
        return letters(self.macros)


def parse_term(text: str, at: int = 0) -> Term:
    """Read one term without the spaces around it; `at` is where it stands in the record. Raises SpfSyntaxError."""
    span = (at, at + len(text))
    modifier = _MODIFIER.match(text)
    if modifier is not None:
        name, value, begins = modifier[1].lower(), text[modifier.end() :], at + modifier.end()
        if name in {"redirect", "exp"}:
            return Term(text, span, name, "", value, _domain_spec(value, begins, f"{name}=", span))
        parse_macros(value, begins, explanation=True)  # section 6: even an unknown modifier must be a macro-string
        return Term(text, span, name, "", value)
    qualifier, written, after = _parts(text)
    name = written.lower()
    if name not in MECHANISMS:
        raise SpfSyntaxError(_unknown(text, written, after), span)
    qualifier = qualifier or "+"  # section 4.6.2
    if name == "all":
        if after:
            raise SpfSyntaxError(f"all takes no argument, here it has {short(after)}", span)
        return Term(text, span, name, qualifier)
    if name in {"ip4", "ip6"}:
        return _network(text, span, name, qualifier, after)
    prefix4 = prefix6 = None
    begins = span[1] - len(after) + 1
    if name in {"a", "mx"}:
        after, prefix4, prefix6 = _dual_cidr(after, text, span)
    if not after:
        if name in _DOMAIN_MUST:
            raise SpfSyntaxError(f"{name} names no domain", span)
        return Term(text, span, name, qualifier, None, (), prefix4, prefix6)
    if after[0] != ":":
        raise SpfSyntaxError(f"{short(text)} has {after[0]} where a colon is due", span)
    value = after[1:]
    if _is_address(value):
        raise SpfSyntaxError(f"{name}: is followed by the IP address {value}", span)
    return Term(text, span, name, qualifier, value, _domain_spec(value, begins, f"{name}:", span), prefix4, prefix6)


def meant(text: str) -> str | None:
    """The term that a faulty one must have been meant as, if one of the usual slips explains it; None when it is not plain."""
    qualifier, name, after = _parts(text)
    name, after = name.lower().rstrip("."), after.rstrip(",;")
    name = _SLIPS.get(name, name)
    if name in {"redirect", "exp"} and after[:1] == ":":
        fixed = f"{name}={after[1:]}"
    elif _is_address(name + after):  # no ip4: before it
        fixed = qualifier + _ip(name + after)
    elif name in {"a", "mx", "include", "ip4", "ip6"} and after[:1] in {":", "="} and _is_address(after[1:]):
        fixed = qualifier + _ip(after[1:])
    elif name in MECHANISMS and after[:1] == "=":
        fixed = f"{qualifier}{name}:{after[1:]}"
    else:
        fixed = qualifier + name + after
    try:
        return parse_term(fixed).text
    except SpfSyntaxError:
        return None


def short(text: str) -> str:
    """A text for a message: its beginning, if it is long."""
    return text if len(text) <= 40 else f"{text[:37]}…"


def _parts(text: str) -> tuple[str, str, str]:
    qualifier = text[0] if text[:1] in {"+", "-", "~", "?"} else ""
    match = _NAME.match(text, len(qualifier))
    end = match.end() if match is not None else len(qualifier)
    return qualifier, text[len(qualifier) : end], text[end:]


def _domain_spec(value: str, at: int, whose: str, term: tuple[int, int]) -> MacroString:
    """Read a domain-spec: a macro-string that ends in a macro or in a dot and a top label (section 7.1)."""
    if not value:
        raise SpfSyntaxError(f"{whose} names no domain", term)
    parts = parse_macros(value, at)
    last = parts[-1]
    if isinstance(last, Macro):
        return parts
    _, dot, label = last.removesuffix(".").rpartition(".")
    if not dot:
        raise SpfSyntaxError(f"{whose} is followed by {short(value)}, which is no full domain name", (at, at + len(value)))
    if not _TOP_LABEL.match(label) or label.isdigit():
        raise SpfSyntaxError(
            f"{short(value)} ends in {short(label) or 'two dots'}, which is no top-level name", (at, at + len(value))
        )
    return parts


def _dual_cidr(after: str, text: str, span: tuple[int, int]) -> tuple[str, int | None, int | None]:
    """Take the prefix lengths off the end of an a or mx term: "/24", "//64" or "/24//64"."""
    prefix6 = None
    head, slashes, digits = after.rpartition("//")
    if slashes and _is_number(digits):
        after, prefix6 = head, _prefix(digits, 128, text, span)
    head, slash, digits = after.rpartition("/")
    if slash and _is_number(digits):
        return head, _prefix(digits, 32, text, span), prefix6
    return after, None, prefix6


def _prefix(digits: str, most: int, text: str, span: tuple[int, int]) -> int:
    """A prefix length: no leading zeros, at most 32 or 128 (section 12, ip4-cidr-length and ip6-cidr-length)."""
    if not _is_number(digits) or (len(digits) > 1 and digits[0] == "0") or len(digits) > len(str(most)) or int(digits) > most:
        raise SpfSyntaxError(
            f"{short(text)} has the prefix length {short(digits) or 'nothing'}, which is not 0 to {most}", span
        )
    return int(digits)


def _is_number(digits: str) -> bool:
    return digits.isascii() and digits.isdigit()


def _network(text: str, span: tuple[int, int], name: str, qualifier: str, after: str) -> Term:
    if not after.startswith(":"):
        raise SpfSyntaxError(f"{name} names no address", span)
    written, slash, digits = after[1:].partition("/")
    if not _is_address(written):
        raise SpfSyntaxError(f"{name}: is followed by {short(written) or 'nothing'}, which is no IP address", span)
    address = ip_address(written)
    if f"ip{address.version}" != name:
        raise SpfSyntaxError(f"{name}: is followed by the IPv{address.version} address {written}", span)
    length = _prefix(digits, address.max_prefixlen, text, span) if slash else address.max_prefixlen
    network = (IPv4Network if name == "ip4" else IPv6Network)((address.packed, length), strict=False)
    return Term(text, span, name, qualifier, after[1:], (), network=network)


def _is_address(text: str) -> bool:
    """Tell whether a text, up to a slash, is an IP address as the ABNF has it (no zone index, no leading zeros)."""
    address = text.partition("/")[0]
    if len(address) > _MAX_ADDRESS or "%" in address:
        return False
    try:
        ip_address(address)
    except ValueError:
        return False
    return True


def _ip(address: str) -> str:
    return f"ip{ip_address(address.partition('/')[0]).version}:{address}"


def _unknown(text: str, written: str, after: str) -> str:
    if written.lower() in {"redirect", "exp"}:
        return f"{written} is a modifier: it takes = and no qualifier, here {short(text)}"
    if _is_address(text):
        return f"the address {text} stands without ip4: or ip6:"
    return f"unknown mechanism {short(written or after[:1])}"
