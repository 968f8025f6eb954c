"""The rule about a Message-ID that stands over more than one message."""

from ...engine import rule
from ...facts.headers import MessageId
from ...facts.roots import Earlier
from ...model import Findings, Problem
from ...saying import shortened

_LONGEST_SHOWN = 120  # characters of an identifier in a message


@rule("headers/message-id-reused")
def message_id_reused(found: MessageId, earlier: Earlier) -> Findings:
    # RFC 5322 section 3.6.4: one identifier, one version of one message.
    if earlier.name is not None:
        shown = shortened(found.field.text.strip(), _LONGEST_SHOWN)
        yield Problem(f"the Message-ID {shown} stood over another text in {earlier.name} already", found.field.at)
