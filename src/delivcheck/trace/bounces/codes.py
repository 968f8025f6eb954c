"""SMTP replies: the basic code, the enhanced status of RFC 3463, and the words, found in what servers write."""

import re
from dataclasses import dataclass

# Three numbers of RFC 3463 section 2: no part of an address, a version or a domain.
_STATUS = re.compile(r"(?<![\w.:/\[-])([245])\.(\d{1,3})\.(\d{1,3})(?![\w:/\]]|\.\w)")
# A reply's beginning: "550 5.1.1 …", "550-5.1.1 …", "550: …", and Postfix's "said: 550 …". No part of a longer number.
_REPLY = re.compile(r"(?<![\w.:/\[-])([245]\d\d)(?:[ :-]+(?=\S)|$)(?:\[?#?([245]\.\d{1,3}\.\d{1,3})(?![\w]|\.\w))?")
_AHEAD = 600  # characters in which a reply is looked for


@dataclass(frozen=True, slots=True)
class Reply:
    """What a text says. `code` 0 and `status` "" where it does not."""

    code: int = 0
    status: str = ""


def reply(text: str) -> Reply:
    """The first reply in a text: the status that belongs to its code, else one that stands anywhere. Never raises."""
    begin = text[:_AHEAD]
    found = _REPLY.search(begin)
    code = int(found[1]) if found else 0
    status = (found[2] or "") if found else ""
    if not status:
        anywhere = _STATUS.search(begin)
        status = anywhere[0] if anywhere else ""
    if code and status and status[0] != str(code)[0]:
        status = ""  # "450 … 5.1.1": who says two things is believed the one that RFC 5321 knows
    return Reply(code, status)


def status(text: str) -> str:
    """The status of a Status field, with comments and leading zeros taken away; "" where there is none."""
    found = _STATUS.search(text[:_AHEAD])
    return "" if found is None else ".".join(str(int(part)) for part in found.groups())


def specific(status: str) -> bool:
    """Whether a status says more than its class: "5.0.0" is what is written where nothing is known (RFC 3463 section 3.1)."""
    return bool(status) and not status.endswith(".0.0")
