"""What checkdmarc says of the same domain from the same answers."""

from dataclasses import dataclass

from ..engine import fact
from ..model import Dns, Unavailable
from .roots import AuditedDomain, SecondOpinionWanted


@dataclass(frozen=True, slots=True)
class Opinion:
    """One subject (spf, dmarc, mx, soa, tls-rpt, bimi): valid or not, why not, and what it warns of."""

    subject: str
    valid: bool
    error: str | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """checkdmarc's results; `version` is its own."""

    version: str
    each: tuple[Opinion, ...]


@fact
async def second_opinion(wanted: SecondOpinionWanted, audited: AuditedDomain, dns: Dns) -> SecondOpinion:
    """Run it, if the user asked for it."""
    from ..net.second_opinion import NoOpinion, ask_checkdmarc

    try:
        said = await ask_checkdmarc(audited.name, dns, wanted.timeout)
    except NoOpinion as error:
        raise Unavailable(str(error)) from None
    each = (Opinion(subject, one["valid"], one["error"], tuple(one["warnings"])) for subject, one in said["opinions"].items())
    return SecondOpinion(said["version"], tuple(each))
