"""The rule about a message that was made for somebody else."""

from collections.abc import Iterable

from ...engine import rule
from ...facts.headers import AddressFields
from ...facts.named_recipients import NamedRecipients
from ...facts.own_domains import OwnDomains
from ...facts.roots import Envelope
from ...mime.message import Message
from ...model import Findings, Level, NotApplicable, Problem
from ...records.names import BadName, psl_organizational_domain, to_ascii


@rule("template/another-recipient")
def another_recipient(
    message: Message,
    named: NamedRecipients,
    fields: AddressFields,
    envelope: Envelope | NotApplicable,
    own: OwnDomains,
) -> Findings:
    ours = {*own.organizations, *(_organization(box.address) for one in fields.of("from", "sender") for box in one.mailboxes)}
    everybody = [box.address for one in fields.each for box in one.mailboxes]
    to = [box.address for one in fields.of("to", "cc", "bcc") for box in one.mailboxes]
    rcpt = envelope.rcpt_to if isinstance(envelope, Envelope) else ()
    if not any(_organization(address) not in ours for address in (*rcpt, *to)):
        raise NotApplicable("no recipient outside the sender's own domains is known")
    if not rcpt and (message.first("list-post") or message.first("resent-to")):
        raise NotApplicable("the message goes to a list, whose members are not known")
    known = set(map(_same, (*rcpt, *everybody)))
    told: set[str] = set()
    # With the envelope it is certain who gets this. Without one, To may be an alias that only the server knows.
    level = None if rcpt else Level.WARNING
    for one in named.each:
        if _same(one.address) not in known | told and _organization(one.address) not in ours:
            told.add(_same(one.address))
            yield Problem(
                f"{one.said_in} names the recipient {one.address}, the message goes to {_first((*rcpt, *to))}", one.at, level
            )


def _first(addresses: Iterable[str]) -> str:
    every = list(dict.fromkeys(map(_same, addresses)))
    return every[0] + (f" and {len(every) - 1} more" if len(every) > 1 else "")


def _organization(address: str) -> str:
    try:
        return psl_organizational_domain(to_ascii(address.rpartition("@")[2]))
    except BadName:
        return ""


def _same(address: str) -> str:
    """One form for addresses of the same mailbox: case never matters in practice, at Gmail dots and tags do not either."""
    local, _, domain = address.lower().rpartition("@")
    if domain in {"gmail.com", "googlemail.com"}:
        return f"{local.partition('+')[0].replace('.', '')}@gmail.com"
    return f"{local}@{domain}"
