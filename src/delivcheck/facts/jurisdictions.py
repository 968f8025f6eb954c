"""The law that holds where the recipients live, as the sender declared it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from ..engine import fact
from ..model import NotApplicable
from ..records.jurisdictions import spread
from ..rulefiles import data
from .roots import Declared


@dataclass(frozen=True, slots=True)
class Jurisdictions:
    """The countries declared, and with them the members of the groups among them and the groups they belong to."""

    declared: tuple[str, ...]
    all: frozenset[str]

    def statutes(self, element: str, now: datetime | None = None) -> tuple[tuple[str, Any], ...]:
        """(code, statute) for each law of `rules/data/statutes.toml` that asks for an element here, and is in force at `now`.

        Without a time a law that has a first day is left out. NotApplicable where there is none.
        """
        found = tuple(self._in_force(element, now))
        if not found:
            raise NotApplicable(f"not asked for by the laws that delivcheck knows of {', '.join(self.declared)}")
        return found

    def _in_force(self, element: str, now: datetime | None) -> Iterator[tuple[str, Any]]:
        for code, statute in data("statutes")[element].items():
            first = statute.get("from")
            if code in self.all and (first is None or (now is not None and now.date() >= date.fromisoformat(first))):
                yield code, statute

    def law(self, element: str, now: datetime | None = None) -> str:
        """The same in words: "CASL section 11 (CA)"."""
        return ", ".join(f"{statute['law']} ({code})" for code, statute in self.statutes(element, now))


@fact(steady=True)
def jurisdictions(declared: Declared) -> Jurisdictions:
    """Never guessed from language or domain (catalogue T098): NotApplicable where nothing was declared."""
    if not declared.jurisdictions:
        raise NotApplicable("no jurisdiction of the recipients was declared (--jurisdiction)")
    return Jurisdictions(declared.jurisdictions, spread(declared.jurisdictions))
