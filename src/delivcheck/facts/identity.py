"""Who sends: the From domain, the MAIL FROM identity and the host, each from whichever root tells it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..engine import fact
from ..model import IPAddress, NotApplicable, Unavailable, Where
from ..records.names import BadName, to_ascii, unmapped
from .roots import AddressesApart, AuditedDomain, Envelope, Session


@dataclass(frozen=True, slots=True)
class FromDomain:
    """The author domain (RFC 9989 section 3.2.2): lower-case A-labels. `at` is the From field, or nothing in a domain audit."""

    name: str
    at: Where | None = None


@dataclass(frozen=True, slots=True)
class SendingHost:
    """The address the message leaves from (never IPv4-mapped) and the EHLO name it gives, if known."""

    ip: IPAddress
    ehlo: str | None = None


@dataclass(frozen=True, slots=True)
class MailFromDomain:
    """The domain SPF is asked about: of MAIL FROM, or the EHLO name for the null sender (RFC 7208 section 2.4).

    `sender` is the address SPF macros see; `identity` is "mailfrom" or "helo". Two are equal whatever `sender` is, as bounce
    addresses differ from message to message: nothing but macros may read it (see `spf.is_personal`).
    """

    name: str
    sender: str = field(compare=False)
    identity: str = "mailfrom"


@dataclass(frozen=True, slots=True)
class SenderDomains:
    """The From domain and, where it is another, the MAIL FROM domain: what each is, by domain, at least one.

    The EHLO name, which stands in for a null sender, is none of them: it is a host, which need not take mail or have records
    of a mail domain (RFC 7208 section 2.4).
    """

    roles: Mapping[str, str]


@fact
def host_of_session(session: Session) -> SendingHost:
    """What the user or the gate says about the session."""
    return SendingHost(unmapped(session.ip), session.ehlo)


@fact
def host_apart(apart: AddressesApart) -> SendingHost:  # noqa: ARG001 -- that it is there is all it says
    """No one address is this target's."""
    raise NotApplicable("each sending address is a target of its own")


@fact
def from_domain_audited(audited: AuditedDomain) -> FromDomain:
    """A domain audit judges the domain as if it stood in From."""
    return FromDomain(audited.name)


@fact
def mail_from_of_envelope(envelope: Envelope, host: SendingHost | NotApplicable) -> MailFromDomain:
    """MAIL FROM of the transaction; the null sender is postmaster@ the EHLO name."""
    if not envelope.mail_from:
        ehlo = host.ehlo if isinstance(host, SendingHost) else None
        if ehlo is None:
            raise NotApplicable("the sender is null (<>) and no EHLO name was given (--ehlo)")
        try:
            return MailFromDomain(to_ascii(ehlo), f"postmaster@{ehlo}", "helo")
        except BadName as error:
            raise NotApplicable(f"the EHLO name {ehlo!r} is no domain name: {error}") from None
    local, _, domain = envelope.mail_from.rpartition("@")
    try:
        return MailFromDomain(to_ascii(domain), f"{local or 'postmaster'}@{domain}")
    except BadName as error:
        raise NotApplicable(f"MAIL FROM has no usable domain: {error}") from None


@fact
def mail_from_audited(audited: AuditedDomain) -> MailFromDomain:
    """A domain audit judges the domain as if it stood in MAIL FROM."""
    return MailFromDomain(audited.name, f"postmaster@{audited.name}")


@fact(steady=True)
def sender_domains(
    sender: FromDomain | NotApplicable | Unavailable, mail_from: MailFromDomain | NotApplicable | Unavailable
) -> SenderDomains:
    """Take what is known of both; with neither, what the From domain lacks is the reason."""
    roles: dict[str, str] = {}
    if isinstance(sender, FromDomain):
        roles[sender.name] = "the From domain"
    if isinstance(mail_from, MailFromDomain) and mail_from.identity == "mailfrom":
        roles.setdefault(mail_from.name, "the MAIL FROM domain")
    if not roles and not isinstance(sender, FromDomain):
        raise sender
    return SenderDomains(roles)
