"""The trace's nouns: what can happen to a message, who opened it, why an address is suppressed; addresses and times."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from ..records.names import BadName, to_ascii

DEFAULT_TENANT = "default"

_PAIR = re.compile(r"\\(.)", re.DOTALL)  # RFC 5321 section 4.1.2: quoted-pairSMTP
_ATOM = r"[^\x00-\x20\x7f\"(),.:;<>@\[\\\]]+"
_DOT_STRING = re.compile(rf"{_ATOM}(?:\.{_ATOM})*\Z")
_LAST = 253_402_300_799_999  # Unix milliseconds: the last of the year 9999, after which RFC 3339 has no times


class Kind(StrEnum):
    """What can happen to one recipient of a message (DESIGN section 9). Order is the usual one, and fixes the bits of `seen`.

    `sent`: the next hop took it; `delivered` needs evidence; `uncertain`: the next hop may have it, nobody knows (RFC 1047).
    """

    ACCEPTED = "accepted"  # it came in, from somebody who may send
    CHECKED = "checked"  # it was judged; detail: verdict, rules
    PASSED = "passed"  # nothing stands against it (behind a milter the last that we know)
    REFUSED = "refused"  # by us or by the next hop, 5xx; detail: by ("gate", "rule", "next-hop"), reply, rules
    HELD = "held"
    RELEASED = "released"
    DISCARDED = "discarded"  # held mail that a person discarded, or that expired; detail: why
    BYPASSED = "bypassed"  # sent though it was not judged, or did not pass; detail: cause
    SENT = "sent"  # detail: next_hop, reply, repeats (traces of earlier attempts that this one repeats, or may repeat)
    UNCERTAIN = "uncertain"
    DEFERRED = "deferred"  # 4xx, or a next hop's report of delay; detail: by, reply
    DELIVERED = "delivered"
    BOUNCED = "bounced"  # detail: class, status, code, text, rule
    COMPLAINED = "complained"
    OPENED = "opened"
    CLICKED = "clicked"  # detail: link (number), url
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"  # not sent to this recipient, who is on the suppression list

    @property
    def bit(self) -> int:
        """Its bit in `recipient.seen`."""
        return 1 << _ORDER[self]


_ORDER = {kind: number for number, kind in enumerate(Kind)}


class Actor(StrEnum):
    """Who opened or clicked, as far as that can be told. Apple's prefetch cannot be told apart from a person for sure."""

    HUMAN = "human-likely"
    MACHINE = "machine"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why an address is suppressed."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    UNSUBSCRIBE = "unsubscribe"
    MANUAL = "manual"


class Tracking(StrEnum):
    """How opens and clicks of a message are counted."""

    NONE = "none"
    AGGREGATE = "aggregate"  # for the message, of nobody in particular
    IDENTIFIED = "identified"  # for the recipient, who consented


def normal(address: str) -> str:
    """An address as it is compared: NFC, the domain as lower-case A-labels, the local part case-folded.

    RFC 5321 section 2.4 lets hosts tell "Smith" from "smith"; none of any size does, and a person who unsubscribed as one must
    not be written to as the other. Quotation marks that are not needed say nothing (section 4.1.2). What cannot be read stays
    as it is, lower-case. Never raises.
    """
    local, at, domain = unicodedata.normalize("NFC", address.strip()).rpartition("@")
    if not at:
        return address.strip().casefold()
    try:
        domain = to_ascii(domain)
    except BadName:
        domain = domain.casefold()
    if local.startswith('"') and local.endswith('"') and len(local) > 1:
        local = _unquoted(local[1:-1])
    return unicodedata.normalize("NFC", f"{local.casefold()}@{domain}")


def _unquoted(content: str) -> str:
    """A quoted local part in its shortest form: "pat" is the mailbox pat, and so it is with a backslash before each letter."""
    plain = _PAIR.sub(r"\1", content)
    if _DOT_STRING.match(plain):
        return plain
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def iso(milliseconds: int) -> str:
    """A time (Unix milliseconds) by RFC 3339, in UTC; "for ever", as some lists say by a huge number, is the year 9999."""
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=min(max(milliseconds, 0), _LAST))
    return f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}Z"
