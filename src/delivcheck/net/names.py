"""Which names a set of records makes exist, and what a question for one of them finds (RFC 1034 section 4.3.2, RFC 4592)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ..model import Answer, Failed, Found, NoData, NoSuchName
from .client import DEFAULT_TTL, upward


@dataclass(frozen=True, slots=True)
class Alias:
    """A CNAME stands at the name: the question goes on at `target`.

    `flat`: the name server follows it by itself and shows no CNAME, as providers do for their ALIAS records.
    """

    target: str
    ttl: int
    authentic: bool = False
    flat: bool = False


@dataclass(frozen=True, slots=True)
class Edit:
    """What becomes of a record set whose other records are not known here: some go, some come."""

    removed: tuple[Any, ...]
    added: tuple[Any, ...]
    ttl: int


Held = Answer | Alias | Edit


@dataclass(frozen=True, slots=True)
class Wild:
    """A wildcard at `owner` would answer, if the name does not exist in the part of its zone that we do not have.

    `gone`: it is there no longer.
    """

    owner: str
    finds: Held
    gone: bool = False


class Names:
    """Records by name and type.

    An answer kept for a name and type may also be a failure or an absence, so that a test can say what DNS did, or a zone what
    it deletes. `closed`: nothing exists but what is here. Otherwise an SOA closes what is below it, down to a delegation, and
    so does a name in `whole`. `open` are names and types left to others in a part that is closed.
    """

    def __init__(
        self,
        records: Mapping[tuple[str, str], Held],
        *,
        closed: bool = False,
        whole: Collection[str] = (),
        open: Collection[tuple[str, str]] = (),  # noqa: A002 -- the opposite of closed
    ) -> None:
        self._at: dict[str, dict[str, Held]] = {}
        self._exists: set[str] = set()
        self._closed = closed
        self._whole = frozenset(whole)
        self._open = frozenset(open)
        for (name, type_), answer in records.items():
            self._at.setdefault(name, {})[type_] = answer
            if not isinstance(answer, NoSuchName):
                self._add(name)
        for name, _ in self._open:
            self._add(name)

    def _add(self, name: str) -> None:
        for each in upward(name):  # empty non-terminals exist, RFC 4592 section 2.2.2
            if each in self._exists:
                break
            self._exists.add(each)

    def has(self, name: str) -> bool:
        """Tell whether a record stands at the name or below it."""
        return name in self._exists

    def find(self, name: str, type: str) -> Held | Wild | None:  # noqa: A002 -- the DNS word
        """What the records say; None if they leave it to others."""
        closed, absence = (True, DEFAULT_TTL) if self._closed else self._authority(name, type)
        node = self._at.get(name)
        found = node and self._of(node, type)
        if found:
            return found
        if name in self._exists:
            left = (name, type) in self._open or (name, "CNAME") in self._open
            return NoData(absence) if closed and not left else None
        wild = self._wildcard(name, type, absence)
        if closed:
            return wild.finds if wild else NoSuchName(absence)
        return wild if wild and (wild.gone or not isinstance(wild.finds, NoData)) else None

    @staticmethod
    def _of(node: Mapping[str, Held], type_: str) -> Held | None:
        if type_ in node:
            return node[type_]
        cname = node.get("CNAME")  # stands for every type but its own, RFC 1034 section 3.6.2
        if isinstance(cname, Found):
            return Alias(cname.records[0], cname.ttl, cname.authentic)
        return cname if isinstance(cname, Failed) else None

    def _wildcard(self, name: str, type_: str, absence: int) -> Wild | None:
        # RFC 4592 section 3.3.1: only the wildcard right below the closest name that exists is looked at.
        encloser = next((each for each in upward(name) if each in self._exists), None)
        if encloser is None:
            return None
        owner = f"*.{encloser}" if encloser else "*"
        node = self._at.get(owner)
        if not node:
            return None
        gone = isinstance(node.get(type_), NoData) or isinstance(node.get("CNAME"), NoData)
        return Wild(owner, self._of(node, type_) or NoData(absence), gone)

    def _authority(self, name: str, type_: str) -> tuple[bool, int]:
        """Whether an SOA here speaks for the name, and how long its "no" may be kept (RFC 2308 section 5)."""
        cut = False
        for each in upward(name):
            if each in self._whole:
                return not cut, DEFAULT_TTL
            node = self._at.get(each)
            if not node:
                continue
            soa = node.get("SOA")
            if isinstance(soa, Found):
                return not cut, min(soa.ttl, soa.records[0][6])
            if "NS" in node and not (each == name and type_ in ("NS", "DS")):
                cut = True  # delegated: the child's servers know (RFC 1034 section 4.2.1); DS belongs to the parent
        return False, DEFAULT_TTL
