"""Rules about the charset that a text is declared to be in and the one it is in."""

import re
from collections.abc import Iterator

from ...engine import rule
from ...facts.content import place
from ...facts.message import HtmlParts
from ...mime.charsets import codec_of
from ...mime.defects import DefectKind
from ...mime.message import Message, Part
from ...model import Findings, Level, Problem
from ...saying import shortened
from . import Beside

# Python's names for what the WHATWG Encoding Standard section 4.2 reads as one and the same.
LATIN = {"iso8859-1": "windows-1252", "cp1252": "windows-1252"}
_UNREAD = frozenset({"utf-7", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"})  # clients gave them up
_CHARSET_DEFECTS = frozenset({DefectKind.NO_CHARSET, DefectKind.UNKNOWN_CHARSET, DefectKind.WRONG_CHARSET})
_OF_WINDOWS = re.compile(rb"[\x80-\x9f]")
_CONTROLS = re.compile("[\x80-\x9f]")  # C1: a text that has one was decoded as Latin-1 when it was windows-1252


def _fix(part: Part) -> str:
    return f'Content-Type: {part.content_type}; charset="utf-8"'


@rule("mime/wrong-charset")
def wrong_charset(message: Message, documents: HtmlParts) -> Findings:
    for part in message.leaves:
        if part.main_type != "text":
            continue
        shown = part in message.body_parts
        for defect in part.decoding_defects:
            if defect.kind in _CHARSET_DEFECTS:
                # An attached file has programs, not mail clients, to read it; and ASCII is read rightly under any name.
                mild = not shown or (defect.kind is DefectKind.UNKNOWN_CHARSET and part.decoded.isascii())
                yield Problem(defect.message, defect.where, level=Level.WARNING if mild else None, fix=_fix(part))
        yield from _mislabelled(part)
    for html, document in documents.readable:
        part, said = html.part, document.charset
        if said is None or part.decoded.isascii() or part.charset is None:
            continue
        declared, other = codec_of(part.charset), codec_of(said[0])
        if declared is not None and LATIN.get(declared, declared) != LATIN.get(other or "", other):
            what = f"the HTML says charset {shortened(said[0], 40)}, its Content-Type says {part.charset}"
            yield Problem(what, html.where(said[1]), Level.WARNING, f'<meta charset="{part.charset}">')


def _mislabelled(part: Part) -> Iterator[Problem]:
    codec = codec_of(part.charset) if part.charset else None
    if codec in _UNREAD:
        where = place(part, "content-type")
        yield Problem(f"the charset {part.charset} is one that mail clients do not read", where, Level.WARNING, _fix(part))
    if codec == "iso8859-1":
        # Catalogue T089: every client reads it as windows-1252, so it is shown rightly and labelled wrongly.
        found = _OF_WINDOWS.search(part.decoded)
        if found:
            octet = f"the octet 0x{found[0][0]:02X}"
            message = f"{octet} in a text labelled {part.charset} is windows-1252"
            yield Problem(message, part.where(found.start(), found.end()), Level.WARNING, _fix(part))


@rule("mime/latin-1")
def latin_1(message: Message) -> Findings:
    beside = Beside(message)
    for part in message.body_parts:
        if part.content_type != "text/html" and next(beside.of(part, "text/html"), None) is not None:
            continue  # Gmail shows the HTML
        codec = codec_of(part.charset) if part.charset else None
        if codec in LATIN:
            yield Problem(f"the text is declared to be in {part.charset}", place(part, "content-type"), fix=_fix(part))
            continue
        control = None if part.text.isascii() else _CONTROLS.search(part.text)
        if control:
            where = part.where_text(control.start(), control.end())
            yield Problem(f"the text has the control character U+{ord(control[0]):04X}, left over from windows-1252", where)
