"""A message with its links rewritten and a pixel in it; all else stays, octet for octet, or nothing is changed at all.

What is rewritten is the value of `href` in the HTML that a reader is shown: not attachments, not messages inside, not the AMP
alternative, not plain text. Links in conditional comments, which Outlook alone reads, stay as they are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

from ...mime.charsets import codec_of
from ...mime.encodings import KNOWN, decode_base64, decode_quoted_printable
from ...mime.html_source import HtmlError, HtmlSource
from ...mime.links import split_url
from ...mime.message import Message, MessageError, parse
from ...mime.part import Part
from ...records.unsubscribe import scan_list_unsubscribe
from . import wire
from .anchors import anchors, end_of_body
from .targets import MAX_REWRITTEN, Exceptions, target

MAX_LINKS = 1_000  # of one message; the widest newsletter of our corpora has 300
MAX_MESSAGE = 8_388_608  # octets: Postfix takes 10,240,000 (message_size_limit), and what is near it must not grow beyond

_SIGNATURES = ("dkim-signature", "arc-message-signature", "arc-seal", "domainkey-signature")
_SEALED = frozenset({"multipart/signed", "multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"})
# In these, octets below 0x80 are ASCII wherever they stand: the markup is found without decoding, whatever the rest may be.
_TRANSPARENT = frozenset(
    {
        "ascii",
        "utf-8",
        "koi8-r",
        "koi8-u",
        "euc_jp",
        "euc_kr",
        *(f"iso8859-{n}" for n in range(1, 17)),
        *(f"cp{n}" for n in range(1250, 1259)),
    }
)
_OTHERS = frozenset({"gb2312", "gbk", "gb18030", "big5", "big5hkscs", "shift_jis", "cp932", "cp949", "iso2022_jp"})
_UTF8 = frozenset({"ascii", "utf-8"})


class NotTrackedError(ValueError):
    """The message is better left as it is; one clause."""


class Rewritten(NamedTuple):
    """The octets, the targets of rewritten links in the order of their numbers, whether a pixel is in, what was not done."""

    octets: bytes
    links: tuple[str, ...] = ()
    pixel: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to do: `link` makes a URL of a link's number and target, `pixel` is a pixel's URL; None: not wanted."""

    link: Callable[[int, str], str] | None = None
    pixel: str | None = None
    exceptions: Exceptions = field(default_factory=Exceptions)


def rewritten(octets: bytes, wanted: Wanted) -> Rewritten:
    """Rewrite what may be rewritten. Raises NotTrackedError where the message is none that may be touched."""
    if len(octets) > MAX_MESSAGE:
        raise NotTrackedError(f"the message has more than {MAX_MESSAGE} octets")
    try:
        message = parse(octets)
    except MessageError as error:
        raise NotTrackedError(str(error)) from None
    _check(message)
    work = _Work(wanted, _of_the_list(message, wanted.exceptions))
    for part in message.html_parts:
        work.add(part)
    if not work.changes:
        return Rewritten(octets, notes=tuple(work.notes))
    made = _applied(octets, work.changes)
    _compare(message, made, work.meant)
    return Rewritten(made, tuple(work.numbers), work.pixel, tuple(work.notes))


def _check(message: Message) -> None:
    """Raise NotTrackedError for what is signed or encrypted already, and for what can be read in two ways."""
    for name in _SIGNATURES:
        if message.first(name) is not None:
            raise NotTrackedError(f"the message is signed already ({name})")
    if sealed := next((part.content_type for part in message.parts if part.content_type in _SEALED), None):
        raise NotTrackedError(f"the message is signed or encrypted ({sealed})")
    if message.late_parts:
        raise NotTrackedError("the message has parts after its end")


def _of_the_list(message: Message, exceptions: Exceptions) -> Exceptions:
    """The exceptions with the URIs of List-Unsubscribe among them, read as far as they can be."""
    found: set[str] = set(exceptions.leaving)
    for one in message.all("list-unsubscribe"):
        found.update(split_url(uri.text).text for uri in scan_list_unsubscribe(one.text).uris)
    return replace(exceptions, leaving=frozenset(found))


class _Work:
    """What is to be changed in one message."""

    def __init__(self, wanted: Wanted, exceptions: Exceptions) -> None:
        self.wanted, self.exceptions = wanted, exceptions
        self.numbers: dict[str, int] = {}  # of each target
        self.pixel = False  # whether it is in; one for a message
        self.changes: list[wire.Change] = []
        self.meant: dict[str, bytes] = {}  # the decoded octets of each part that is changed, by its path
        self.notes: list[str] = []
        self._links = 0

    def add(self, part: Part) -> None:
        """Find out what changes in a part, or why nothing does."""
        before = dict(self.numbers)
        try:
            edits = self._edits(part)
            if edits:
                self._place(part, edits)
                self.pixel = self.wanted.pixel is not None  # the first part that is edited has it
        except NotTrackedError as why:
            self.numbers = before
            self.notes.append(f"part {part.path} is not tracked: {why}")

    def _place(self, part: Part, edits: Sequence[wire.Edit]) -> None:
        meant = wire.edited(part.decoded, edits)
        changes = wire.in_place(part, edits)
        if changes is None or not _same_in(part, changes, meant):
            if b"\n" in meant.replace(b"\r\n", b"") or b"\r" in meant.replace(b"\r\n", b""):
                raise NotTrackedError("it has bare line ends")
            changes = wire.as_quoted_printable(part, edits)
        self.changes += changes
        self.meant[part.path] = meant

    def _edits(self, part: Part) -> list[wire.Edit]:
        if part.encoding not in KNOWN or part.undeclared_encoding is not None or len(part.raw) > part.limits.decoded:
            raise NotTrackedError("its encoding is not sure")
        if part.first("content-md5") is not None:  # RFC 1864: a checksum of what would be changed
            raise NotTrackedError("it has a Content-MD5")
        if len(part.all("content-transfer-encoding")) > 1:
            raise NotTrackedError("it has several Content-Transfer-Encoding fields")
        octets, codec = part.decoded, codec_of(part.charset or "ascii") or part.codec
        try:
            if codec in _TRANSPARENT:
                text = octets.decode("latin-1")  # a character for each octet: places in one are places in the other
                decode = _by_octets(codec)
            elif codec in _OTHERS:
                text, decode = octets.decode(codec), _as_is
            else:
                raise NotTrackedError(f"its charset is {codec}")
            found = self._edits_of(HtmlSource(text), decode, utf8=codec in _UTF8)
        except UnicodeError:
            raise NotTrackedError(f"it is not in its charset, {codec}") from None
        except HtmlError as error:
            raise NotTrackedError(str(error)) from None
        return found if codec in _TRANSPARENT else _in_octets(text, octets, codec, found)

    def _edits_of(self, source: HtmlSource, decode: Callable[[str], str], *, utf8: bool) -> list[wire.Edit]:
        """Edits of a document; offsets count characters."""
        edits = [] if self.wanted.link is None else [*self._links_of(source, decode, utf8=utf8)]
        if self.wanted.pixel is not None and not self.pixel:
            place = end_of_body(source)
            image = f'<img src="{self.wanted.pixel}" width="1" height="1" alt="" style="border:0">'.encode("ascii")
            edits.append(wire.Edit(place, place, image))
        return sorted(edits)

    def _links_of(self, source: HtmlSource, decode: Callable[[str], str], *, utf8: bool) -> list[wire.Edit]:
        assert self.wanted.link is not None
        edits = []
        for anchor in anchors(source, decode):
            if self._links == MAX_LINKS:
                self.notes.append(f"only the first {MAX_LINKS} links are tracked")
                break
            leads_to = target(anchor.value, self.exceptions, text=anchor.text, utf8=utf8)
            if leads_to is None:
                continue
            url = self.wanted.link(self.numbers.get(leads_to, len(self.numbers)), leads_to)
            if len(url) > MAX_REWRITTEN:
                continue
            self._links += 1
            self.numbers.setdefault(leads_to, len(self.numbers))
            edits.append(wire.Edit(anchor.start, anchor.end, url.encode("ascii")))
        return edits


def _by_octets(codec: str) -> Callable[[str], str]:
    return lambda text: text.encode("latin-1").decode(codec)


def _as_is(text: str) -> str:
    return text


def _in_octets(text: str, octets: bytes, codec: str, edits: Sequence[wire.Edit]) -> list[wire.Edit]:
    """Edits at octets instead of characters. Raises NotTrackedError where the charset does not let us say which these are."""
    cuts = sorted({0, len(text), *(place for edit in edits for place in edit[:2])})
    pieces = [text[start:end].encode(codec) for start, end in pairwise(cuts)]
    if b"".join(pieces) != octets:  # a character that comes back as other octets, or an escape sequence at a cut
        raise NotTrackedError(f"its places cannot be told in {codec}")
    at, places = 0, {0: 0}
    for cut, piece in zip(cuts[1:], pieces, strict=True):
        at += len(piece)
        places[cut] = at
    return [wire.Edit(places[one.start], places[one.end], one.octets) for one in edits]


# --- whether it came out as it was meant ---------------------------------------------------------------------------


def _applied(octets: bytes, changes: Sequence[wire.Change]) -> bytes:
    return wire.edited(octets, [wire.Edit(*one) for one in sorted(changes)])


def _same_in(part: Part, changes: Sequence[wire.Change], meant: bytes) -> bool:
    """Whether a part that was changed in its own encoding decodes to what was meant."""
    start = part.body.start
    raw = wire.edited(part.raw, [wire.Edit(one.start - start, one.end - start, one.octets) for one in changes])
    if part.encoding == "quoted-printable":
        return decode_quoted_printable(raw) == meant
    return (decode_base64(raw) if part.encoding == "base64" else raw) == meant


def _compare(before: Message, octets: bytes, meant: dict[str, bytes]) -> None:
    """Read the message anew: the same parts, the same fields but for an encoding, the same content but for what was meant."""
    after = parse(octets)
    if [part.path for part in before.parts] != [part.path for part in after.parts]:
        raise NotTrackedError("its parts would be others afterwards")
    for old, new in zip(before.parts, after.parts, strict=True):
        if not old.is_leaf:
            continue
        wants = meant.get(old.path)
        same = new.raw == old.raw if wants is None else new.decoded == wants
        if not same or _other_fields(old) != _other_fields(new):
            raise NotTrackedError("it would not be the same afterwards")


def _other_fields(part: Part) -> list[tuple[str, bytes]]:
    return [(one.name, one.raw) for one in part.fields if one.lower != "content-transfer-encoding"]
