"""What a block list in DNS answers (RFC 5782), and what the answers of those that we know mean (`rules/data/blocklists.toml`).

`known` describes a list by its zone; `read` turns the addresses of one answer into listings, or raises BlockListError when they
say nothing about what was asked: a refusal, a hijacked answer, a code that the list does not document.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ..model import IPAddress
from ..rulefiles import data
from .names import is_within, unmapped

TEST, CLEAN = "test", "invalid"  # RFC 5782 section 5: a list of domains has the one and never the other
TEST_IP, CLEAN_IP = "2.0.0.127", "1.0.0.127"  # likewise 127.0.0.2 and 127.0.0.1, reversed


class BlockListError(ValueError):
    """An answer that is no evidence about what was asked; the text goes on from the list's name: "refuses the question"."""


@dataclass(frozen=True, slots=True)
class BlockList:
    """A list by its zone.

    `name` is how it may be shown: a zone can have the user's key in it. `ips` and `domains` say what it lists, both None when
    that is not known; `tests` are the domains of which one must be listed.
    """

    zone: str
    name: str
    title: str
    ips: bool | None = None
    domains: bool | None = None
    ipv6: bool | None = None
    codes: Mapping[str, str] = field(default_factory=dict)
    bits: Mapping[int, str] = field(default_factory=dict)
    policy: frozenset[str] = frozenset()
    errors: Mapping[str, str] = field(default_factory=dict)
    tests: tuple[str, ...] = (TEST,)

    @property
    def documented(self) -> bool:
        """Whether we know what its answers mean."""
        return bool(self.codes or self.bits)

    def question(self, label: str) -> str:
        """The name to ask for; the user's key is in it, so it is not for a report."""
        return f"{label}.{self.zone}"

    def shown(self, label: str) -> str:
        """The same name as a report has it."""
        return f"{label}.{self.name}"


@dataclass(frozen=True, slots=True)
class Listing:
    """One answer that says "listed". `policy`: no evidence of spam, the address should not send mail itself."""

    code: str
    meaning: str = ""
    policy: bool = False

    def __str__(self) -> str:
        return f"{self.meaning}: {self.code}" if self.meaning else self.code


def default() -> tuple[str, ...]:
    """The zones that are asked when the user names none."""
    return tuple(data("blocklists")["default"])


@lru_cache(maxsize=64)
def known(zone: str) -> BlockList:
    """Describe the list of a zone, a lower-case name; of one that we do not know, what it lists is open."""
    book = data("blocklists")
    lists: Mapping[str, Mapping[str, Any]] = book["list"]
    name = next((one for one in lists if zone == one or (lists[one].get("keyed") and is_within(zone, one))), None)
    if name is None:
        return BlockList(zone, zone, zone, errors=book["errors"])
    entry = lists[lists[name].get("like", name)]
    return BlockList(
        zone,
        name,
        entry["title"],
        ips=entry["lists"] == "ip",
        domains=entry["lists"] == "domain",
        ipv6=entry.get("ipv6", False),
        codes=entry.get("codes", {}),
        bits={int(bit): meaning for bit, meaning in entry.get("bits", {}).items()},
        policy=frozenset(entry.get("policy", ())),
        errors={**book["errors"], **entry.get("errors", {})},
        tests=(TEST, *entry.get("test", ())),
    )


def label_of(ip: IPAddress) -> str:
    """An address as it is asked about: octets or nibbles reversed (RFC 5782 sections 2.1 and 2.4), IPv4-mapped as IPv4."""
    return unmapped(ip).reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")


def read(asked: BlockList, records: Iterable[str]) -> tuple[Listing, ...]:
    """Read the addresses of an answer. Raises BlockListError when they say nothing about what was asked."""
    codes = sorted(set(records))
    for code in codes:
        if code in asked.errors:
            raise BlockListError(f"{asked.errors[code]} ({code})")
        if not code.startswith("127."):  # RFC 5782 section 2.1: what is listed has an address in 127.0.0.0/8
            raise BlockListError(f"answers {code}, outside 127.0.0.0/8, as a hijacked name server does")
        if code.startswith("127.255.255."):  # Spamhaus's range for errors, to which it adds
            raise BlockListError(f"answers {code}, an error")
    if not asked.documented:
        return tuple(Listing(code) for code in codes)
    found = tuple(Listing(code, meaning, code in asked.policy) for code in codes if (meaning := _meaning(asked, code)))
    if codes and not found:
        raise BlockListError(f"answers {codes[0]}, which it does not document")
    return found


def _meaning(asked: BlockList, code: str) -> str:
    if asked.bits:
        sum_of = int(code.rpartition(".")[2])
        return ", ".join(meaning for bit, meaning in asked.bits.items() if sum_of & bit)
    return asked.codes.get(code, "")
