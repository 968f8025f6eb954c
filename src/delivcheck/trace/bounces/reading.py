"""Reads a message that came back: what it is, and what it says of whom. Pure; takes time in proportion to the message."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ...mime.message import Limits, Message, MessageError, parse
from ...mime.part import Part
from . import blocks, causes, codes, mtas, paths
from .blocks import Group
from .model import PASSING, Action, Cause, Complaint, Fate, Report, ReportError, What

MAX_OCTETS = 26_214_400  # of a report: it may return a message as large as Gmail takes, 25 MB
MAX_READ = 1_048_576  # octets that are looked at: what is reported stands before what is returned; 2 s at the worst
MAX_FATES = 1_000  # recipients of one report: what a transaction can have
MAX_DIAGNOSTIC = 1_000  # characters that are kept of a reply
_LIMITS = Limits(octets=MAX_OCTETS, header_octets=262_144, fields=2_000, depth=20, parts=200, decoded=MAX_OCTETS)

_STATUS_TYPES = frozenset({"message/delivery-status", "message/global-delivery-status"})
_FEEDBACK = "message/feedback-report"
_RECEIPTS = frozenset({"message/disposition-notification", "message/global-disposition-notification"})
_HEADERS = frozenset({"text/rfc822-headers", "message/global-headers", "text/rfc822-header"})
_MESSAGES = frozenset({"message/rfc822", "message/global"})
_ENVELOPE = ("return-path", "x-original-to", "delivered-to", "x-envelope-to", "envelope-to", "to", "x-failed-recipients")
_AUTOMATIC_SUBJECTS = ("auto:", "automatic reply", "out of office", "out of the office", "autoreply", "auto-reply", "vacation")
_RECIPIENT = frozenset({"final-recipient", "original-recipient"})
_OF_MESSAGE = frozenset({"reporting-mta", "original-envelope-id", "dsn-gateway", "received-from-mta", "arrival-date"})
_EXPIRED = ("envelope expired", "delivery time expired", "message expired")
_UTF8 = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_UNPRINTED = dict.fromkeys((*range(32), *range(127, 160), 0x2028, 0x2029), " ")


def read(octets: bytes) -> Report:
    """What a message says that came back. Raises ReportError, and nothing else."""
    try:
        message = parse(octets if len(octets) > MAX_OCTETS else octets[:MAX_READ], _LIMITS)
    except MessageError as error:
        raise ReportError(str(error)) from None
    parts = _Parts(message)
    report = Report(
        what=What.OTHER,
        id=_id(message, octets),
        returned_id=_clean(parts.returned("message-id"), 998),
        addresses=tuple(parts.addresses()),
    )
    if parts.feedback:
        return replace(report, what=What.COMPLAINT, complaint=_complaint(parts.feedback))
    if parts.receipt:
        return replace(report, what=What.RECEIPT)
    if parts.status:
        about, fates = _delivery(parts)
        if fates:
            return replace(report, what=What.DELIVERY, fates=fates, reporting_mta=about)
    if parts.junked:
        return replace(report, what=What.COMPLAINT, complaint=Complaint(agent="Microsoft JMRP", recipients=parts.junked))
    fates = _in_words(message, parts)
    if fates:
        return replace(report, what=What.DELIVERY, fates=fates)
    return replace(report, what=What.AUTOMATIC if _automatic(message) else What.OTHER)


class _Parts:
    """The parts of a report, found by their types, or by what they say where the type is wrong."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self.status: list[Group] = []
        self.feedback: list[Group] = []
        self.receipt = False
        self.texts: list[str] = []
        self._relabelled: list[Group] = []
        self._returned: Part | None = None
        self._returned_text = ""
        for part in message.parts:
            if not part.nested:
                self._sort(part)
        self.status = self.status or self._relabelled
        self.alone = sum(name == "final-recipient" for group in self.status for name, _ in group) == 1
        self.junked = self._junked()

    def _sort(self, part: Part) -> None:
        kind = part.content_type
        if kind in _STATUS_TYPES:
            self.status = self.status or blocks.groups(_text(part))
        elif kind == _FEEDBACK:
            self.feedback = self.feedback or blocks.groups(_text(part)) or [(("feedback-type", ""),)]
        elif kind in _RECEIPTS:
            self.receipt = True
        elif kind in _MESSAGES:
            self._returned = self._returned or part
        elif kind in _HEADERS:
            self._returned_text = self._returned_text or _text(part)
        elif part.is_leaf and kind in {"text/plain", "application/octet-stream"}:
            # Gateways and virus scanners re-label the part: what it says counts, at the beginning of a part only.
            text = _text(part)
            begin = text.lstrip()[:200].lower()
            if not self._relabelled and begin.startswith(("reporting-mta:", "original-envelope-id:", "final-recipient:")):
                self._relabelled = blocks.groups(text)
            elif not self.feedback and begin.startswith("feedback-type:"):
                self.feedback = blocks.groups(text)
            elif kind == "text/plain":
                self.texts.append(text)
        elif part.is_leaf and kind == "text/html":
            self.texts.append(_tagless(_text(part)))

    def _fields(self) -> Iterable[tuple[str, str]]:
        """The header of the message that is returned."""
        part = self._returned
        if part is not None:
            inner = part.children[0] if part.children else None
            if inner is not None and inner.fields:
                return [(field.lower, field.text) for field in inner.fields]
            return blocks.groups(_text(part))[:1][0] if blocks.groups(_text(part))[:1] else ()
        found = blocks.groups(self._returned_text)
        return found[0] if found else ()

    def returned(self, name: str) -> str:
        """The first field of this name in the header of the message that is returned."""
        return next((value for known, value in self._fields() if known == name), "")

    def addresses(self) -> list[str]:
        """Where a return path of ours may stand: the report's own envelope, ARF's, and what receivers wrote into the header."""
        own = [field.text for name in _ENVELOPE for field in self.message.all(name)]
        said = [value for group in self.feedback for name, value in group if name in {"original-mail-from", "original-rcpt-to"}]
        found: dict[str, None] = {}
        for text in (*own, *said, *(value for _, value in self._fields())):
            for one in paths.found_in(text):
                found.setdefault(one)
        return list(found)[: paths.MAX_FOUND]

    def _junked(self) -> tuple[str, ...]:
        """Microsoft's JMRP sends what was reported without any feedback report; its own field names the recipient."""
        fields = [*((field.lower, field.text) for field in self.message.fields), *self._fields()]
        found = [value for name, value in fields if name == "x-hmxmroriginalrecipient"]
        return tuple(_address(value) for value in found[:1])


def _text(part: Part) -> str:
    """A part's text, for reading: what is no UTF-8 is Latin-1, which loses nothing of ASCII."""
    octets = part.decoded[: blocks.MAX_TEXT]
    if part.main_type == "text" and part.charset not in {None, "us-ascii", "utf-8"}:
        return part.text[: blocks.MAX_TEXT]
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _tagless(html: str) -> str:
    """The words of an HTML part, a line for each tag: enough to recognise what a server wrote. Linear."""
    pieces = html[: mtas.MAX_TEXT].split("<")
    return "\n".join(piece.partition(">")[2] if ">" in piece else piece for piece in pieces)


# --- delivery status notifications -------------------------------------------------------------------------------


def _delivery(parts: _Parts) -> tuple[str, tuple[Fate, ...]]:
    """The reporting MTA, and what becomes of each recipient (RFC 3464 section 2)."""
    about, each = _by_recipient(parts.status)
    about_mta = blocks.typed(blocks.first(about, "reporting-mta"))[1]
    texts = "\n".join(parts.texts)[: mtas.MAX_TEXT]
    found = [fate for fields in each[:MAX_FATES] if (fate := _fate(fields, texts, parts)) is not None]
    return _clean(about_mta, 255), tuple(found)


def _by_recipient(found: Sequence[Group]) -> tuple[list[tuple[str, str]], list[list[tuple[str, str]]]]:
    """The fields of the message, and those of each recipient.

    A blank line stands before each recipient (RFC 3464 section 2.1), but some write none, and some one after every field; Exim
    writes Action before Final-Recipient.
    """
    about: list[tuple[str, str]] = []
    each: list[list[tuple[str, str]]] = []
    for group in found:
        own = [pair for pair in group if pair[0] not in _OF_MESSAGE]
        about += [pair for pair in group if pair[0] in _OF_MESSAGE]
        finals = sum(name == "final-recipient" for name, _ in own)
        if finals == 1:
            if each and _names(each[-1]).isdisjoint(_RECIPIENT - {"original-recipient"}):
                each[-1] += own  # what stood before it, a blank line between
            else:
                each.append(own)
            continue
        for name, value in own:
            if (
                not each
                or (name in _RECIPIENT and name in _names(each[-1]))
                or (name in _RECIPIENT and "status" in _names(each[-1]))
            ):
                each.append([])
            each[-1].append((name, value))
    return about, each


def _names(fields: Sequence[tuple[str, str]]) -> set[str]:
    return {name for name, _ in fields}


def _fate(fields: Sequence[tuple[str, str]], texts: str, parts: _Parts) -> Fate | None:
    recipient = _typed_address(blocks.first(fields, "final-recipient"))
    original = _typed_address(blocks.first(fields, "original-recipient"))
    if not (recipient or original):
        return None
    diagnostic = " ".join(
        text for kind, text in map(blocks.typed, blocks.every(fields, "diagnostic-code")) if kind != "x-postfix" or text
    )
    given = codes.status(blocks.first(fields, "status"))
    said = codes.reply(diagnostic)
    if not given:
        said_of_status = codes.reply(blocks.first(fields, "status"))  # "Status: 550", as some write
        said = said if said.code or said.status else said_of_status
    action = _action(blocks.first(fields, "action"), given or said.status, parts)
    status = causes.settled(given, said)
    if not diagnostic and action in {Action.FAILED, Action.DELAYED}:
        diagnostic = _of_text(texts, recipient or original) if parts.alone else ""
        if not codes.specific(status):
            status = causes.settled(status, codes.reply(diagnostic))
    if action is Action.DELAYED and not blocks.first(fields, "will-retry-until") and diagnostic.lower().startswith(_EXPIRED):
        action = Action.FAILED  # OpenSMTPD says "delayed" of what it has just given up
    remote = blocks.typed(blocks.first(fields, "remote-mta"))[1]
    return _judged(recipient or original, original, action, status, said.code, diagnostic, remote)


def _action(word: str, status: str, parts: _Parts) -> Action:
    """The action, from the status where it is missing or none of RFC 3464's."""
    try:
        return Action(word.partition(" ")[0].partition("(")[0].strip().lower())
    except ValueError:
        pass
    if status.startswith("2"):
        return Action.DELIVERED
    if status.startswith("4") or any(mtas.delays(text) for text in parts.texts):
        return Action.DELAYED
    return Action.FAILED


def _of_text(texts: str, recipient: str) -> str:
    """What the notice in words says of the one recipient."""
    for said in mtas.read(texts, (recipient,)):
        if said.text:
            return said.text
    return ""


def _judged(  # noqa: PLR0917 -- the fields of a fate, in their order
    recipient: str, original: str, action: Action, status: str, code: int, diagnostic: str, remote: str
) -> Fate:
    told = action in {Action.FAILED, Action.DELAYED}
    why = causes.why(status, code, diagnostic, remote=remote, action=action) if told else causes.Why(Cause.UNKNOWN)
    permanent = action is Action.FAILED and status.startswith("5") and not 400 <= code < 500 and why.cause not in PASSING
    return Fate(
        recipient=recipient,
        original=original if original != recipient else "",
        action=action,
        status=status,
        code=code,
        remote_mta=_clean(remote, 255),
        diagnostic=_clean(diagnostic, MAX_DIAGNOSTIC),
        cause=why.cause,
        permanent=permanent,
        provider=why.provider,
        rules=why.rules,
    )


# --- bounces in words --------------------------------------------------------------------------------------------


def _in_words(message: Message, parts: _Parts) -> tuple[Fate, ...]:
    failed = tuple(
        dict.fromkeys(
            address
            for field in message.all("x-failed-recipients")
            for one in field.text.split(",")[:MAX_FATES]
            if (address := _address(one)).count("@")
        )
    )
    for text in parts.texts:
        if mtas.recognised(text) or failed:
            found = [
                _judged(
                    _address(said.recipient),
                    "",
                    said.action,
                    _status_of(reply, said.action),
                    reply.code,
                    said.text,
                    "",
                )
                for said in mtas.read(text, failed)[:MAX_FATES]
                for reply in (codes.reply(said.text),)
            ]
            if found:
                return tuple(found)
    return ()


def _status_of(reply: codes.Reply, action: Action) -> str:
    """Its status, else the class of its code, else what follows from its being delayed or not (RFC 3463 section 2)."""
    if reply.status:
        return reply.status
    if reply.code:
        return f"{str(reply.code)[0]}.0.0"
    return "4.0.0" if action is Action.DELAYED else "5.0.0"


# --- the others --------------------------------------------------------------------------------------------------


def _complaint(groups: Sequence[Group]) -> Complaint:
    fields = [pair for group in groups for pair in group]
    recipients = [_address(value) for value in blocks.every(fields, "original-rcpt-to")]
    recipients += [_typed_address(value) for value in blocks.every(fields, "removal-recipient")]
    # RFC 6590: a redacted local part is a hash, or "redacted": nobody's address, and only the token says whose it was.
    return Complaint(
        feedback=_clean(blocks.first(fields, "feedback-type"), 40).lower() or "abuse",
        agent=_clean(blocks.first(fields, "user-agent"), 200),
        recipients=tuple(dict.fromkeys(one for one in recipients if one.count("@") == 1 and not one.startswith("redacted@"))),
    )


def _automatic(message: Message) -> bool:
    """Whether a program answered: RFC 3834's field, and what was used before it."""
    said = message.first("auto-submitted")
    if said is not None and said.text.partition(";")[0].strip().lower() not in {"no", ""}:
        return True
    if any(message.first(name) for name in ("x-autoreply", "x-autorespond", "x-autoresponder", "x-auto-response-suppress")):
        return True
    precedence = message.first("precedence")
    if precedence is not None and precedence.text.strip().lower() in {"auto_reply", "auto-reply"}:
        return True
    subject = message.first("subject")
    return subject is not None and subject.text.lower().startswith(_AUTOMATIC_SUBJECTS)


def _id(message: Message, octets: bytes) -> str:
    """The Message-ID; without one a hash of the body, as each server on the way adds fields above."""
    field = message.first("message-id")
    if field is not None and field.text:
        return _clean(field.text, 998)
    return hashlib.sha256(octets[message.body.start :]).hexdigest()[:32]


# --- addresses and texts -----------------------------------------------------------------------------------------


def _typed_address(value: str) -> str:
    """The address alone of `rfc822;pat@example.net`, or of utf-8 with escaped characters (RFC 6533 section 3)."""
    kind, rest = blocks.typed(value)
    if kind == "utf-8":
        rest = _UTF8.sub(_character, rest)
    return _address(rest)


def _character(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    return chr(number) if 32 <= number < 0x110000 and not 0xD800 <= number < 0xE000 else ""


def _address(text: str) -> str:
    """An address without brackets, comments and blanks, at most 320 characters (64 and 255, RFC 5321 section 4.5.3.1)."""
    text = text.strip()
    start = text.find("<")
    if start >= 0:
        text = text[start + 1 :].partition(">")[0]
    elif "(" in text and not text.startswith('"'):
        text = text.partition("(")[0]
    return _clean(text.strip().strip("'"), 320)


def _clean(text: str, most: int) -> str:
    """One line without control characters."""
    return text[:most].translate(_UNPRINTED).strip()
