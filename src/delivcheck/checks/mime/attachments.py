"""Rules about attached files: their names, their types, what is inside them."""

import re
from collections.abc import Iterator
from urllib.parse import quote

from ...engine import rule
from ...facts.archives import NOT_LOOKED_AT, Member, extension, kind_of
from ...facts.content import Attachment, Attachments
from ...mime.fields import Field
from ...mime.headers import Flagged, Parameter, ParameterFault, Parametrized, encoded_words
from ...mime.message import Message, Part
from ...model import Findings, Level, Problem, Undetermined
from ...rulefiles import data
from ...saying import shortened

_BOOK = data("attachments")
BLOCKED_BY_GMAIL = frozenset(_BOOK["blocked"]["gmail"]["extensions"])
BLOCKED_BY_OUTLOOK = frozenset(_BOOK["blocked"]["outlook"]["extensions"])
MACROS = frozenset(_BOOK["macros"]["extensions"])
DOCUMENTS = frozenset(_BOOK["documents"]["extensions"])
EXECUTABLES = frozenset(_BOOK["executables"]["extensions"])

_TURNING = re.compile("[\u202d\u202e\u2066-\u2069]")  # UAX 9 section 2: overrides and isolates; honest names need none
_SPACES = re.compile(r"(?<!\s)\s{10,}+\S*+\Z")  # ours: no word processor makes ten
_SAME_TYPE = {"jpeg": "jpg", "htm": "html", "tiff": "tif"}
_PATH = re.compile(r"[/\\\x00\r\n]")
_LONGEST_SHOWN = 80  # characters of a name in a message

_NAME_FAULTS = {
    ParameterFault.ENCODED_WORD: "is an encoded-word, which RFC 2047 section 5 forbids here",
    ParameterFault.NON_ASCII: "is not ASCII",
    ParameterFault.BAD_EXTENDED: "is no charset'language'value",
    ParameterFault.UNKNOWN_CHARSET: "names a charset that is unknown",
    ParameterFault.UNDECODABLE: "is not in the charset it names",
    ParameterFault.MISSING_SECTION: "lacks its continuation",
    ParameterFault.UNQUOTED_SPECIAL: "has a space or special character without quotes around it",
    ParameterFault.UNBALANCED_QUOTE: "has a quotation mark that is not closed",
    ParameterFault.DUPLICATE: "stands twice",
}
_OF_CONTENT_TYPE = frozenset({ParameterFault.UNQUOTED_SPECIAL, ParameterFault.UNBALANCED_QUOTE, ParameterFault.DUPLICATE})


def _shown(name: str) -> str:
    return shortened(name, _LONGEST_SHOWN)


def _within(member: Member) -> str:
    return " in ".join(_shown(name) for name in member.path)


# --- how names are written ---------------------------------------------------------------------------------------


@rule("mime/filename-encoding")
def filename_encoding(message: Message) -> Findings:
    for part in message.parts:
        for field_name, declared, name in (
            ("content-disposition", part.declared_disposition, "filename"),
            ("content-type", part.declared_type, "name"),
        ):
            field = part.first(field_name)
            if field is not None and declared is not None:
                yield from _written(field, declared, name, part)


def _written(field: Field, declared: Parametrized, name: str, part: Part) -> Iterator[Problem]:
    parameter = declared.parameter(name)
    fix = _rewritten(name, parameter, part) if parameter else None
    seen = set()
    for flagged in declared.faults:
        if flagged.name.partition("*")[0] != name or flagged.fault not in _NAME_FAULTS or flagged.fault in seen:
            continue
        if name == "name" and flagged.fault in _OF_CONTENT_TYPE:  # mime/bad-content-type's
            continue
        seen.add(flagged.fault)
        told = None if flagged.fault is ParameterFault.MISSING_SECTION else fix  # the whole name is not known
        yield Problem(f"{_written_as(flagged)} {_NAME_FAULTS[flagged.fault]}", field.where(*flagged.span), fix=told)
    if parameter is not None:
        odd = _PATH.search(parameter.value)
        if odd:
            what = "is a path" if odd[0] in "/\\" else "has a line end or NUL in it"
            yield Problem(f"{name} {what}: {_shown(parameter.value)}", field.where(*parameter.span), fix=fix)


def _written_as(flagged: Flagged) -> str:
    return flagged.name if "*" in flagged.name or not flagged.fault.startswith(("bad-ext", "missing")) else f"{flagged.name}*"


def _rewritten(name: str, parameter: Parameter, part: Part) -> str:
    """The parameter as RFC 2231 section 4 has it, or quoted if the name is plain ASCII."""
    value = re.split(r"[/\\]", part.filename or parameter.value)[-1]
    value = "".join(character for character in value if character.isprintable())
    if value.isascii() and '"' not in value:
        return f'{name}="{value}"'
    return f"{name}*=utf-8''{quote(value, safe='')}"


# --- what they are -----------------------------------------------------------------------------------------------


@rule("mime/blocked-attachment")
def blocked_attachment(attachments: Attachments) -> Findings:
    for attachment in attachments.each:
        within = f", {attachment.within}," if attachment.within else ""
        level = Level.WARNING if within else None  # whether Gmail undoes uuencode is not known; ClamAV and SpamAssassin do
        for name, last in _blocked(attachment):
            yield Problem(f"{name}{within} is of a type that Gmail refuses (.{last})", attachment.at, level)
        for path, trouble in attachment.contents.troubles if attachment.contents else ():
            if trouble in NOT_LOOKED_AT:
                yield Undetermined(f"{' in '.join(map(_shown, path))} {trouble}", attachment.at)
    for attachment in attachments.late:
        # Whether Gmail reads on after a closing delimiter is not known; rspamd and ClamAV do.
        for name, last in _blocked(attachment):
            what = f"{name}, after the closing delimiter, is of a type that Gmail refuses (.{last})"
            yield Problem(what, attachment.at, Level.WARNING)
    yield from (Undetermined(one.reason, one.where) for one in attachments.unavailable)


def _blocked(attachment: Attachment) -> Iterator[tuple[str, str]]:
    """The names of programs that an attachment has or holds, each with its extension."""
    members = attachment.contents.members if attachment.contents else ()
    for member in (*(Member((name,)) for name in (attachment.name or "", *attachment.other_names)), *members):
        # Catalogue T084: the last extension counts, whatever the declared type; and archives are looked into.
        last = extension(member.name)
        if last in BLOCKED_BY_GMAIL:
            yield _within(member), last


@rule("mime/withheld-attachment")
def withheld_attachment(attachments: Attachments) -> Findings:
    for attachment in attachments.each:
        # Outlook looks at the name of the attachment itself, not into archives.
        last = attachment.extension
        if last in BLOCKED_BY_OUTLOOK - BLOCKED_BY_GMAIL:
            what = f"{_shown(attachment.name or '')} is of a type that Outlook does not let its reader open (.{last})"
            yield Problem(what, attachment.at)


@rule("mime/opaque-archive")
def opaque_archive(attachments: Attachments) -> Findings:
    for attachment in attachments.each:
        if attachment.contents is None:
            continue
        for path, trouble in attachment.contents.troubles:
            name = " in ".join(_shown(one) for one in path) or "an archive without a name"
            kind = Undetermined if trouble in NOT_LOOKED_AT else Problem
            yield kind(f"{name} {trouble}", attachment.at)
        locked = next((one for one in attachment.contents.members if one.encrypted and kind_of(one.name, b"")), None)
        if locked is not None:
            yield Problem(f"{_shown(locked.path[1])} is encrypted and holds the archive {_shown(locked.name)}", attachment.at)


@rule("mime/deceptive-filename")
def deceptive_filename(attachments: Attachments) -> Findings:
    for attachment in attachments.each:
        if attachment.name is None:
            continue
        for what in _deceptions(attachment, attachment.name):
            yield Problem(f"{_shown(attachment.name)} {what}", attachment.at)
        yield from _disagreements(attachment, attachment.name)


def _disagreements(attachment: Attachment, name: str) -> Iterator[Problem]:
    """Names that another parameter gives the file, of another type: which one a reader sees depends on its program."""
    ours = attachment.extension
    for other in attachment.other_names:
        last = extension(other)
        if not last or _SAME_TYPE.get(last, last) == _SAME_TYPE.get(ours, ours) or encoded_words(other):
            continue  # an encoded-word as it stands is no name; what it says is another of these
        harmful = {ours, last} & (BLOCKED_BY_GMAIL | BLOCKED_BY_OUTLOOK | MACROS)
        if ours or harmful:
            what = f"{_shown(name)} is called {_shown(other)} by another parameter"
            yield Problem(what, attachment.at, None if harmful else Level.NOTE)


def _deceptions(attachment: Attachment, name: str) -> Iterator[str]:
    turning = _TURNING.search(name)
    if turning:
        yield f"has the character U+{ord(turning[0]):04X}, which turns the writing round"
    last = attachment.extension
    before = extension(name.rstrip(". ")[: -len(last) - 1]) if last else ""
    if last in BLOCKED_BY_GMAIL | BLOCKED_BY_OUTLOOK and before in DOCUMENTS:
        yield f"ends in two extensions, .{before} and then .{last}"
    if last and _SPACES.search(name.rstrip(". ")):
        yield "has many spaces before its extension"
    if attachment.program is not None and last not in EXECUTABLES:
        yield f"is {attachment.program} by its content"


@rule("mime/macro-document")
def macro_document(attachments: Attachments) -> Findings:
    for attachment in attachments.each:
        shown = _shown(attachment.name or "an attachment without a name")
        if attachment.extension in MACROS:
            yield Problem(f"{shown} is of a type that carries macros", attachment.at)
        elif attachment.macros is not None:
            yield Problem(f"{shown} holds macros in {attachment.macros}", attachment.at)
