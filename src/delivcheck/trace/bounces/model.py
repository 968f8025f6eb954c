"""What comes back, as values: a report, and what it says of each recipient."""

from dataclasses import dataclass, field
from enum import StrEnum


class What(StrEnum):
    """What a message that came back is."""

    DELIVERY = "delivery"  # a delivery status notification (RFC 3464), or a bounce in words
    COMPLAINT = "complaint"  # a feedback report (RFC 5965)
    RECEIPT = "receipt"  # a message disposition notification (RFC 8098): somebody, or something, opened or deleted it
    AUTOMATIC = "automatic"  # vacation and the like (RFC 3834)
    OTHER = "other"


class Action(StrEnum):
    """RFC 3464 section 2.3.3."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"  # to a system that sends no such reports: nothing more will be heard
    EXPANDED = "expanded"  # to the addresses of a list or an alias


class Cause(StrEnum):
    """Why a message did not arrive. Only the first three and DISABLED are about the address."""

    BAD_MAILBOX = "bad-mailbox"
    BAD_DOMAIN = "bad-domain"
    DISABLED = "disabled"
    FULL = "full"
    POLICY = "policy"
    CONTENT = "content"  # spam, viruses, malformed or unwanted content
    REPUTATION = "reputation"  # of our address, network or domain
    AUTH = "auth"  # SPF, DKIM, DMARC
    TOO_LARGE = "too-large"
    THROTTLED = "throttled"  # greylisted, or too much at a time
    NETWORK = "network"
    DELAYED = "delayed"  # no reason is told, only that it takes time
    UNKNOWN = "unknown"


# Whatever the class of its code says: these pass, so that they are no reason never to write to somebody again.
PASSING = frozenset({Cause.FULL, Cause.THROTTLED, Cause.NETWORK, Cause.DELAYED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What a report says of one recipient.

    `status` is RFC 3463's, "5.1.1", the remote server's own where its reply has one; "" where nobody said. `code` is the SMTP
    reply's, 0 where there is none. `permanent`: the next attempt would end the same way, as far as the report can be believed;
    a full mailbox is not, whatever its code. `rules` are those of our rule book that would have told before it was sent.
    """

    recipient: str
    original: str = ""  # the address as we wrote it, where an alias led elsewhere
    action: Action = Action.FAILED
    status: str = ""
    code: int = 0
    remote_mta: str = ""
    diagnostic: str = ""
    cause: Cause = Cause.UNKNOWN
    permanent: bool = False
    provider: str = ""
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What a feedback report says. `recipients` is empty where they were redacted (RFC 6590)."""

    feedback: str = "abuse"  # Feedback-Type: abuse, fraud, virus, other, not-spam, auth-failure …
    agent: str = ""
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A message that came back, read.

    `addresses` look like return paths of ours, in its own envelope fields or in the header of what it returns. `id` tells it
    from others: its Message-ID, or a hash of its body.
    """

    what: What
    id: str
    fates: tuple[Fate, ...] = ()
    complaint: Complaint | None = None
    reporting_mta: str = ""
    returned_id: str = ""  # Message-ID of the message it is about
    addresses: tuple[str, ...] = field(default=())


class ReportError(ValueError):
    """The octets are no message at all, or too many; one line."""
