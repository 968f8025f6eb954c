"""Rules about DKIM: the keys in DNS, the signatures as written, and what verifying them comes to."""

from collections.abc import Iterable
from dataclasses import dataclass

from ...facts.alignment import Alignment, Mechanism
from ...facts.dkim import DkimSignatures, SignatureField
from ...facts.verdicts import DkimResult, DkimVerdicts
from ...model import Finding, Level, NotApplicable, Problem, Unavailable, Undetermined, Where
from ...records.dkim import DkimSignature

MaybeAlignment = Alignment | Unavailable | NotApplicable
NO_SIGNATURE = "the message has no DKIM signature"


@dataclass(frozen=True, slots=True)
class Judged:
    """One well-formed signature beside the field it stands in."""

    field: SignatureField
    signature: DkimSignature


def fault_of_one(message: str, where: Where | None, alignment: MaybeAlignment, fix: str | None = None) -> Finding:
    """A fault that spoils one signature: a note where another one passes and is aligned, unknown where another may.

    DMARC needs one (catalogue T022), and receivers ignore those that fail (RFC 6376 section 6.1).
    """
    others = alignment.by(Mechanism.DKIM) if isinstance(alignment, Alignment) else ()
    if any(one.counts for one in others):
        return Problem(message, where, Level.NOTE, fix)
    for one in others:
        if one.counts is None:
            why = one.reason or f"whether {one.domain} is aligned could not be found out"
            return Undetermined(f"{message}; another signature may be enough: {why}", where)
    return Problem(message, where, fix=fix)


@dataclass(frozen=True, slots=True)
class Candidates:
    """The signatures whose h= and c= matter: the aligned ones where there are any, split into those that pass and that may."""

    passing: tuple[Judged, ...]
    unknown: tuple[Judged, ...]

    def unsure(self, one: Judged, message: str) -> Undetermined:
        """What holds only if a signature passes whose key could not be had."""
        return Undetermined(f"{message}, and whether it passes could not be found out", one.field.at)


def candidates(signatures: DkimSignatures, verdicts: DkimVerdicts, alignment: MaybeAlignment) -> Candidates:
    """Choose them. NotApplicable where no signature passes or may."""
    if not signatures.each:
        raise NotApplicable(NO_SIGNATURE)
    result = {one.index: one.result for one in verdicts.each}
    aligned = (
        {one.domain for one in alignment.by(Mechanism.DKIM) if one.aligned is not False and one.passes is not False}
        if isinstance(alignment, Alignment)
        else set()
    )

    def of(wanted: DkimResult) -> tuple[Judged, ...]:
        found = [Judged(one, signature) for one, signature in signatures.readable if result[one.index] is wanted]
        return tuple(one for one in found if not aligned or one.signature.domain in aligned)

    passing, unknown = of(DkimResult.PASS), of(DkimResult.UNKNOWN)
    if not passing and not unknown:
        raise NotApplicable("no DKIM signature verifies")
    return Candidates(passing, unknown)


def listed(names: Iterable[str]) -> str:
    """An h= list, on one line."""
    return "h=" + ":".join(names)
