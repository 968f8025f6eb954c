"""Bounces in words: what Exim, qmail, sendmail, Exchange and others write where there is no message/delivery-status.

Recognised by the sentences that these servers have written for decades, never by a code somewhere in a text: a vacation message
may quote one.
"""

import re
from dataclasses import dataclass

from .model import Action

MAX_TEXT = 65_536  # characters of a text that are read: the explanation stands at its beginning
MAX_RECIPIENTS = 1_000
MAX_DIAGNOSTIC = 1_000  # characters

_ADDRESS = r"[^\s<>@\"'(),;:]{1,64}@(?:[^\s<>@\"'(),;:\[\]/]{1,253}|\[[0-9A-Fa-f.:IPv]{1,60}\])"
_LINE_OF_ADDRESS = re.compile(rf"[ \t]*[<'\"]?({_ADDRESS})[>'\"]?[ \t]*(?:\([^()\n]{{0,200}}\))?[ \t]*(:?)[ \t]*(.*)")
_HEAD_OF_QUOTE = re.compile(
    r"-{2,60} ?(?:This is a copy|The body of|Original message|Below this line|Returned message|Included is a copy"
    r"|Transcript|Message header|Unsent message|Original|Forwarded)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Said:
    """What a text says of one recipient."""

    recipient: str
    action: Action
    text: str


@dataclass(frozen=True, slots=True)
class _Style:
    """How one kind of server begins its text (in lower case), and what follows from that."""

    name: str
    begins: tuple[str, ...]
    delay: tuple[str, ...] = ()  # words that make it a report of delay


_STYLES = (
    _Style(
        "exim",
        ("this message was created automatically by mail delivery software",),
        ("has not been delivered to one or more of its recipients after", "no action is required on your part"),
    ),
    _Style("qmail", ("hi. this is the ", "this is the qmail-send program", "i'm afraid i wasn't able to deliver your message")),
    _Style(
        "postfix",
        ("this is the mail system at host", "this is the postfix program at host", "this is the mail system."),
        ("your message could not be delivered for more than", "this is a warning only"),
    ),
    _Style(
        "sendmail",
        ("the original message was received at", "----- the following addresses had", "the following addresses had permanent"),
        ("had transient non-fatal errors", "this is a warning message only", "warning: message still undelivered"),
    ),
    _Style(
        "opensmtpd",
        (
            "hi!\n\n    this is the mailer-daemon",
            "this is the mailer-daemon, please do not reply",
            "an error has occurred while attempting to deliver",
        ),
        ("a message is delayed for more than", "you do not need to resend your message"),
    ),
    _Style(
        "exchange",
        (
            "your message did not reach some or all of the intended recipients",
            "delivery has failed to these recipients",
            "the following recipient(s) cannot be reached",
            "your message couldn't be delivered",
            "your message wasn't delivered",
            "the following recipient(s) could not be reached",
        ),
        ("delivery is delayed to these recipients",),
    ),
    _Style(
        "other",
        (
            "delivery to the following recipient failed permanently",  # Gmail until 2016, Google Groups
            "delivery to the following recipients failed",
            "your message could not be delivered to",
            "your message cannot be delivered to the following recipients",
            "message could not be delivered to the following",
            "undeliverable to the following",
            "unable to deliver message to the following",
            "could not be delivered to one or more recipients",
            "the following message to <",
            "failed to deliver to '",
            "sorry, we were unable to deliver your message to the following address",  # Yahoo
            "mail delivery failed",
        ),
        ("delivery to the following recipient has been delayed",),
    ),
)


def recognised(text: str) -> str:
    """Which kind of server wrote this, "" where it is no bounce that we know."""
    low = " ".join(text[:4_096].lower().split(" "))
    flat = " ".join(low.split())
    for style in _STYLES:
        if any(" ".join(begin.split()) in flat for begin in style.begins):
            return style.name
    return ""


def delays(text: str) -> bool:
    """Whether it only says that it takes time."""
    flat = " ".join(text[:8_192].lower().split())
    return any(" ".join(words.split()) in flat for style in _STYLES for words in style.delay)


def read(text: str, failed: tuple[str, ...] = ()) -> list[Said]:
    """What a bounce in words says of each recipient. `failed` are those of an X-Failed-Recipients field. Never raises."""
    if not recognised(text) and not failed:
        return []
    action = Action.DELAYED if delays(text) else Action.FAILED
    paragraphs = _paragraphs(text)
    found: dict[str, str] = {}
    for address, said in paragraphs:
        if address not in found and len(found) < MAX_RECIPIENTS:
            found[address] = said
    for address in failed:  # its word is exact, while a text may name the sender as well
        found.setdefault(address, "")
    if failed:
        known = {address.lower() for address in failed}
        found = {address: said for address, said in found.items() if address.lower() in known}
    whole = " ".join(_without_quote(text).split())[:MAX_DIAGNOSTIC]
    return [Said(address, action, said or (whole if len(found) == 1 else "")) for address, said in found.items()]


def _without_quote(text: str) -> str:
    kept = []
    for line in text[:MAX_TEXT].splitlines():
        if _HEAD_OF_QUOTE.match(line.strip()[:200]):
            break
        kept.append(line)
    return "\n".join(kept)


def _paragraphs(text: str) -> list[tuple[str, str]]:
    """Each address that begins a line, with what is written of it, up to the next one or two blank lines further down."""
    found: list[tuple[str, list[str]]] = []
    blank = 0
    for line in _without_quote(text).splitlines():
        stripped = line.strip()
        if not stripped:
            blank += 1
            continue
        begins = _LINE_OF_ADDRESS.fullmatch(line[:1_000])
        # "pat@example.net", "<pat@example.net>:", "'pat@example.net' on 3 May": but no sentence that begins with an address.
        if begins is not None and _stands_alone(line, begins):
            found.append((begins[1].rstrip("."), [begins[3].strip()] if begins[3].strip() else []))
            blank = 0
        elif found and (blank == 0 or not found[-1][1]):
            if sum(map(len, found[-1][1])) < MAX_DIAGNOSTIC:
                found[-1][1].append(stripped)
            blank = 0
    return [(address, " ".join(said)[:MAX_DIAGNOSTIC]) for address, said in found]


def _stands_alone(line: str, begins: re.Match[str]) -> bool:
    return bool(begins[2]) or not begins[3] or line.lstrip()[:1] in "<'\""
