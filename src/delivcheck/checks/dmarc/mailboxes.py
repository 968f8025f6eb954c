"""The rule about a policy of reject on a domain under which people write mail."""

from ...engine import rule
from ...facts.dmarc_discovery import DmarcDiscovery
from ...facts.roots import Sender
from ...model import Findings, NotApplicable, Problem, Unavailable
from ...records.dmarc import Policy
from . import at, tag_span, the_record


@rule("dmarc/reject-with-mailboxes")
def reject_with_mailboxes(discovery: DmarcDiscovery, sender: Sender) -> Findings:
    if discovery.domain not in sender.mailbox_domains:
        raise NotApplicable(f"nobody declared that people have mailboxes at {discovery.domain} ([sender] mailbox-domains)")
    found_at, record = the_record(discovery)
    if isinstance(discovery.policy, Unavailable):
        raise discovery.policy
    if discovery.policy is Policy.REJECT:
        names = ("p",) if found_at == discovery.domain else ("sp", "p")
        tag = next((span for name in names if (span := tag_span(record, name))), None)
        yield Problem(f"the policy for {discovery.domain}, where people have mailboxes, comes to reject", at(discovery, tag))
