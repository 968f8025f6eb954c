"""Rules about Reply-To: whether it can be read, whether answers arrive, whose mailbox it is."""

from ...engine import rule
from ...facts.dmarc import FreemailDomains
from ...facts.headers import AddressFields, ReplyDomains, host_of
from ...facts.identity import FromDomain
from ...model import Findings, NotApplicable, Problem, Unavailable, Undetermined
from . import Places
from .author import domain_fault


@rule("headers/reply-to-invalid")
def reply_to_invalid(fields: AddressFields) -> Findings:
    found = fields.of("reply-to")
    if not found:
        raise NotApplicable("there is no Reply-To field")
    place = Places()
    for one in found:
        if one.found is None:
            yield Problem(f"Reply-To cannot be read: {one.fault}", one.fault_at)
        for box in one.mailboxes:
            if fault := domain_fault(box):
                yield Problem(f"{fault} in Reply-To", place(one.field, box.domain_span))


@rule("headers/reply-to-undeliverable")
def reply_to_undeliverable(domains: ReplyDomains) -> Findings:
    place = Places()
    for one, box, takes_mail in domains.each:
        if isinstance(takes_mail, Unavailable):
            yield Undetermined(takes_mail.reason, takes_mail.where)
        elif not takes_mail:
            yield Problem(
                f"{box.domain} takes no mail, so answers to {box.address} are lost", place(one.field, box.address_span)
            )


@rule("headers/reply-to-freemail")
def reply_to_freemail(fields: AddressFields, sender: FromDomain, freemail: FreemailDomains) -> Findings:
    if not fields.of("reply-to"):
        raise NotApplicable("there is no Reply-To field")
    if freemail.provider(sender.name) is not None:
        return
    place = Places()
    for one in fields.of("reply-to"):
        for box in one.mailboxes:
            provider = freemail.provider(host_of(box) or "")
            if provider is not None:
                yield Problem(f"{box.address} is at {provider}, From is at {sender.name}", place(one.field, box.address_span))
