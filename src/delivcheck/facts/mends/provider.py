"""What mends the failures of a message: looked up, proposed, proved, the smallest first."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from msgspec import Struct

from ...engine import fact
from ...model import Dns, NotApplicable
from ...records.spf import MAX_LOOKUPS
from .. import spf
from ..verdicts import DkimResult, DmarcResult, SpfResult
from .proof import Limited, MendProof, judge, overlay
from .proposals import MendStep, Proposal, proposals
from .reasons import why_not
from .scouting import Scouted, scout
from .situation import Failing, Situation, failures

if TYPE_CHECKING:
    from ...net.client import Client

MAX_PROOFS = 30  # proposals judged; each may verify signatures over the whole message


class Mend(Struct, frozen=True):
    """Changes that, made together, mend what `mends` names; proved.

    `smallest_for` names those of them for which nothing smaller is known. `because` is what the proposal goes by,
    `assumes` what the proof cannot show.
    """

    mends: tuple[str, ...]
    smallest_for: tuple[str, ...]
    changes: tuple[MendStep, ...]
    because: str | None
    assumes: tuple[str, ...]
    proof: MendProof


class NotMended(Struct, frozen=True):
    """A failure that no change we know of mends, and why."""

    failure: str
    reason: str


class Mends(Struct, frozen=True):
    """All failures: "spf", "dkim <selector>._domainkey.<domain>", "dkim" (no signature at all), "dmarc".

    `mends` are in the order of what they change, the least first.
    """

    failures: tuple[str, ...]
    mends: tuple[Mend, ...]
    not_mended: tuple[NotMended, ...]


@fact
async def mends(s: Situation, dns: Dns) -> Mends:
    """Look up, propose, prove. NotApplicable where nothing fails."""
    failed = failures(s)
    if not failed:
        raise NotApplicable("SPF, DKIM and DMARC do not fail for this message")
    limited = Limited(cast("Client", dns))  # only `ask` of the client beneath is called
    try:
        scouted = await scout(s, limited)
        proved = await _prove(s, scouted, failed, limited)
    finally:
        await limited.close()
    shown, mended = _smallest(proved)
    left = [one for one in failed if one.name not in mended]
    return Mends(
        tuple(one.name for one in failed),
        tuple(shown),
        tuple(NotMended(one.name, why_not(one, s, scouted)) for one in left),
    )


async def _prove(
    s: Situation, scouted: Scouted, failed: Sequence[Failing], dns: Dns
) -> list[tuple[Proposal, tuple[str, ...], MendProof]]:
    """Each proposal that mends something, with what it mends."""
    tried = proposals(s, scouted)[:MAX_PROOFS]
    proofs = await asyncio.gather(*(_proof(s, one, dns) for one in tried))
    proved = []
    for one, proof in zip(tried, proofs, strict=True):
        mended = tuple(failure.name for failure in failed if proof is not None and _passes_now(failure, proof))
        if proof is not None and mended:
            proved.append((one, mended, proof))
    return proved


async def _proof(s: Situation, one: Proposal, dns: Dns) -> MendProof | None:
    """What it comes to; None where the SPF record would break its limits, or no zone can hold a text."""
    from ...net.zone import ZoneError

    try:
        changed = overlay(one.world.zone, dns)
    except ZoneError:
        return None
    proof, within = await asyncio.gather(judge(s.it, one.world, changed), _within_budget(one.budget, changed, dns))
    return proof if within else None


def _passes_now(failure: Failing, proof: MendProof) -> bool:
    if failure.name == "spf":
        return proof.spf == SpfResult.PASS
    if failure.name == "dmarc":
        return proof.dmarc == DmarcResult.PASS
    if failure.index is None:
        return any(one.result == DkimResult.PASS for one in proof.dkim)
    return failure.index < len(proof.dkim) and proof.dkim[failure.index].result == DkimResult.PASS


async def _within_budget(name: str | None, changed: Dns, dns: Dns) -> bool:
    """Whether the new record keeps to ten look-ups for everybody, or at least costs no more than the old (RFC 7208, 4.6.4)."""
    if name is None:
        return True
    new = await spf.tree(name, changed)
    return new.lookups <= MAX_LOOKUPS or new.lookups <= (await spf.tree(name, dns)).lookups


def _smallest(proved: Sequence[tuple[Proposal, tuple[str, ...], MendProof]]) -> tuple[list[Mend], set[str]]:
    """Mark for each failure the first that mends it; leave out another value for the same place that mends no more."""
    mended: set[str] = set()
    done: dict[frozenset[str], set[str]] = {}
    shown = []
    for one, names, proof in proved:
        places = frozenset(change.where for change in one.changes)
        if done.setdefault(places, set()).issuperset(names):
            continue
        done[places].update(names)
        first = tuple(name for name in names if name not in mended)
        mended.update(names)
        shown.append(Mend(names, first, one.changes, one.because, one.assumes, proof))
    return shown, mended
