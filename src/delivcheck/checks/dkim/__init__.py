"""Rules about DKIM: the keys in DNS, the signatures as written, and what verifying them comes to."""

from collections.abc import Iterable
from dataclasses import dataclass

from ...facts.alignment import Alignment, Mechanism
from ...facts.dkim import DkimSignatures, SignatureField
from ...facts.verdicts import DkimResult, DkimVerdicts
from ...model import Level, NotApplicable, Unavailable
from ...records.dkim import DkimSignature

MaybeAlignment = Alignment | Unavailable | NotApplicable
NO_SIGNATURE = "the message has no DKIM signature"


@dataclass(frozen=True, slots=True)
class Judged:
    """One well-formed signature beside the field it stands in."""

    field: SignatureField
    signature: DkimSignature


def beside_a_good_one(alignment: MaybeAlignment) -> Level | None:
    """The level of a fault in one signature: a note where another one passes and is aligned, else the rule's own.

    DMARC needs one (catalogue T022), and receivers ignore those that fail (RFC 6376 section 6.1).
    """
    if not isinstance(alignment, Alignment):
        return None
    return Level.NOTE if any(one.counts for one in alignment.by(Mechanism.DKIM)) else None


def that_count(signatures: DkimSignatures, verdicts: DkimVerdicts, alignment: MaybeAlignment) -> list[Judged]:
    """The signatures whose h= and c= matter: those that pass, or may; of these the aligned ones, where there are any.

    NotApplicable where there is none.
    """
    if not signatures.each:
        raise NotApplicable(NO_SIGNATURE)
    by_index = {one.index: one.result for one in verdicts.each}
    hopeful = (DkimResult.PASS, DkimResult.UNKNOWN)
    alive = [Judged(one, signature) for one, signature in signatures.readable if by_index.get(one.index) in hopeful]
    if not alive:
        raise NotApplicable("no DKIM signature verifies")
    if isinstance(alignment, Alignment):
        aligned = {one.domain for one in alignment.by(Mechanism.DKIM) if one.aligned is not False}
        return [one for one in alive if one.signature.domain in aligned] or alive
    return alive


def txt(name: str, text: str) -> str:
    """A TXT record in zone-file form; strings of at most 255 octets (RFC 1035 section 3.3.14), nothing between them."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f"{name}. TXT " + " ".join(f'"{escaped[at : at + 255]}"' for at in range(0, len(escaped), 255))


def listed(names: Iterable[str]) -> str:
    """An h= list, on one line."""
    return "h=" + ":".join(names)
