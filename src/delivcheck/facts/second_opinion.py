"""What checkdmarc says of the same domain from the same answers."""

from dataclasses import dataclass

from ..engine import fact
from ..model import Dns, NotApplicable, Probe, Unavailable
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
async def second_opinion(
    wanted: SecondOpinionWanted, audited: AuditedDomain, dns: Dns, probe: Probe | NotApplicable
) -> SecondOpinion:
    """Run it, if the user asked for it; its STARTTLS and BIMI parts with our probes, if those were asked for, too."""
    from ..net.second_opinion import NoOpinion, ask_checkdmarc

    try:
        said = await ask_checkdmarc(audited.name, dns, wanted.timeout, None if isinstance(probe, NotApplicable) else probe)
    except NoOpinion as error:
        raise Unavailable(str(error)) from None
    each = (Opinion(subject, one["valid"], one["error"], tuple(one["warnings"])) for subject, one in said["opinions"].items())
    return SecondOpinion(said["version"], tuple(each))
