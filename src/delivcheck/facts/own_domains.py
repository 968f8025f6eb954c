"""Which domains are the sender's own: those that it declares, and the organization that it writes from."""

from dataclasses import dataclass

from ..engine import fact
from ..model import NotApplicable, Unavailable
from ..records.names import BadName, is_within, psl_organizational_domain, to_ascii
from .identity import FromDomain
from .roots import Declared


@dataclass(frozen=True, slots=True)
class OwnDomains:
    """`declared` as `owned-domains` has them, `author` the organizational domain of From, if known; lower-case A-labels.

    Hosts may be asked about in any form: with a final dot, in capitals or in U-labels. What is no name is nobody's.
    """

    declared: tuple[str, ...] = ()
    author: str | None = None

    @property
    def organizations(self) -> tuple[str, ...]:
        """The organizational domains of all of them."""
        every = (*self.declared, *(() if self.author is None else (self.author,)))
        return tuple(dict.fromkeys(map(psl_organizational_domain, every)))

    def declares(self, host: str | None) -> bool:
        """Whether a host is in a declared domain: for rules that ask whether the author's domain itself is the sender's."""
        name = _ascii(host)
        return any(is_within(name, own) for own in self.declared)

    def has(self, host: str | None) -> bool:
        """Whether a host is in one of the domains: a declared sub-domain does not make its siblings the sender's."""
        return self.declares(host) or (self.author is not None and is_within(_ascii(host), self.author))

    def same_organization(self, host: str | None) -> bool:
        """Whether a host is of an organization that has one of the domains."""
        name = _ascii(host)
        return bool(name) and psl_organizational_domain(name) in self.organizations


def _ascii(host: str | None) -> str:
    try:
        return to_ascii(host or "")
    except BadName:
        return ""


@fact(steady=True)
def own_domains(declared: Declared | NotApplicable, sender: FromDomain | NotApplicable | Unavailable) -> OwnDomains:
    """What is declared stands without a From, and From without a declaration."""
    return OwnDomains(
        declared.owned_domains if isinstance(declared, Declared) else (),
        psl_organizational_domain(sender.name) if isinstance(sender, FromDomain) else None,
    )
