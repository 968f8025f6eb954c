"""Rule about fields in which a receiver says what it found, in a message that nobody has received yet."""

from ...engine import rule
from ...mime.message import Field, Message
from ...model import Findings, Problem

# "BIMI-Location header MUST NOT be set by email senders", and the other two are made with it (draft-brand-indicators sections
# 5.2 to 5.6 and 6.4)
_BIMI = ("bimi-location", "bimi-indicator", "bimi-logo-preference")
# Whoever passes a message on keeps what was found when it came in (RFC 8601 section 5, RFC 8617 section 5.1). At its origin
# nothing was found yet. Catalogue T102: that ARC is not there is never a finding.
_FOUND = ("authentication-results", "arc-authentication-results", "arc-message-signature", "arc-seal")
# One of these shows that the message came from elsewhere: a hop, somebody who sent it again, a mailing list
_CAME_IN = ("received", "resent-from", "resent-date", "list-post")


@rule("headers/receiver-fields-at-origin")
def receiver_fields_at_origin(message: Message) -> Findings:
    names = _BIMI if any(message.first(name) is not None for name in _CAME_IN) else (*_BIMI, *_FOUND)
    for name in names:
        for field in message.all(name):
            yield Problem(f"{field.name} stands in the message before anybody has received it{_said(field)}", field.at)


def _said(field: Field) -> str:
    """What Authentication-Results says, to tell one from another."""
    if field.lower != "authentication-results":
        return ""
    text = field.text if len(field.text) <= 60 else field.text[:59] + "…"
    return f": {text}" if text.isprintable() and text else ""
