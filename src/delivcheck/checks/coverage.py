"""Which DKIM signatures cover a set of header fields and speak for the author domain, for rules of several families."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..facts.alignment import Alignment, Mechanism, any_of
from ..facts.verdicts import DkimResult, DkimVerdict, DkimVerdicts
from ..model import Undetermined


@dataclass(frozen=True, slots=True)
class Coverage:
    """Signatures that cover all of the fields and pass, those that cover all and may pass, and which fields are never covered.

    `missing`: fields that no passing signature covers; where none passes, that no signature covers that may pass.
    """

    passing: tuple[DkimVerdict, ...]
    unknown: tuple[DkimVerdict, ...]
    missing: tuple[str, ...]
    some_unknown: bool


def coverage(dkim: DkimVerdicts, names: Iterable[str]) -> Coverage:
    """Hold h= of every signature against the names, in lower case. h= may fold and vary in case (RFC 6376 section 3.5)."""
    wanted = tuple(names)
    maybe = tuple(one for one in dkim.each if one.result is DkimResult.UNKNOWN)

    def covers(one: DkimVerdict) -> bool:
        return set(wanted) <= {name.lower() for name in one.signed}

    seen = {name.lower() for one in (dkim.passing or maybe) for name in one.signed}
    return Coverage(
        tuple(one for one in dkim.passing if covers(one)),
        tuple(one for one in maybe if covers(one)),
        tuple(name for name in wanted if name not in seen),
        bool(maybe),
    )


def from_author(signatures: Iterable[DkimVerdict], alignment: Alignment) -> bool | Undetermined:
    """Whether one of the signatures passes and is aligned with the author domain, as DMARC asks (RFC 9989 section 4.4.1).

    By the tree walk or by the Public Suffix List of RFC 7489: receivers go by either.
    """
    unsure: Undetermined | None = None
    for one in signatures:
        held = (found for found in alignment.by(Mechanism.DKIM) if found.at == one.at)
        counts = any_of(by for found in held for by in (found.counts, found.rfc7489_counts))
        if counts:
            return True
        if counts is None and unsure is None:
            unknown = (
                f"passes is unknown: {one.reason}" if one.result is DkimResult.UNKNOWN else "is aligned with From is unknown"
            )
            unsure = Undetermined(f"whether the signature of {one.domain} {unknown}", one.at)
    return unsure or False
