"""Rules about the MIME tree: version, types, boundaries, alternatives, size of the tree."""

from collections.abc import Iterator

from ...engine import rule
from ...facts.content import Attachments, place
from ...facts.message import HtmlParts, TextParts
from ...mime.defects import DefectKind
from ...mime.headers import MAX_PARAMETERS, HeaderError, ParameterFault
from ...mime.lexer import TOKEN, Lexer
from ...mime.message import Message, Part
from ...model import Findings, Problem
from . import Beside

MIME_FIELDS = frozenset({"content-type", "content-transfer-encoding", "content-disposition"})
MAX_PARTS = 250  # Exchange Online limits, "Number of MIME parts"
MAX_ATTACHMENTS = 250  # Exchange Online limits, "File attachments limit"
MAX_DEPTH = 30  # Exchange Online limits, "Multipart message limit" of embedded messages

_BOUNDARY_DEFECTS = frozenset(
    {
        DefectKind.NO_BOUNDARY,
        DefectKind.BAD_BOUNDARY,
        DefectKind.BOUNDARY_NOT_FOUND,
        DefectKind.BOUNDARY_NOT_CLOSED,
        DefectKind.BOUNDARY_REUSED,
        DefectKind.BOUNDARY_IN_CONTENT,
        DefectKind.PART_AFTER_END,
    }
)
_TYPE_FAULTS = {  # RFC 2045 section 5.1; faults of RFC 2231 are mime/filename-encoding's
    ParameterFault.UNQUOTED_SPECIAL: "has a space or special character without quotes around it",
    ParameterFault.UNBALANCED_QUOTE: "has a quotation mark that is not closed",
    ParameterFault.DUPLICATE: "stands twice",
    ParameterFault.NO_VALUE: "has no value",
    ParameterFault.BAD_NAME: "has no proper name",
    ParameterFault.NO_SEMICOLON: "does not begin with a semicolon",
    ParameterFault.TOO_MANY: f"is beyond the {MAX_PARAMETERS} that are read",
}
_VALUE_FAULTS = _TYPE_FAULTS | {  # of other parameters than `name`: there no reader agrees with another on what they say
    ParameterFault.TWO_FORMS: "stands there in two forms, and RFC 2231 does not say which counts",
    ParameterFault.MISSING_SECTION: "lacks one of its sections",
    ParameterFault.ENCODED_WORD: "has an encoded-word, which RFC 2047 section 5 forbids here",
    ParameterFault.NON_ASCII: "is not ASCII",
    ParameterFault.BAD_EXTENDED: "is no charset'language'value",
    ParameterFault.UNKNOWN_CHARSET: "names a charset that is unknown",
    ParameterFault.UNDECODABLE: "is not in the charset it names",
}


def _version(text: str) -> str:
    """MIME-Version without comments and white space (RFC 2045 section 4). Raises HeaderError."""
    lexer = Lexer(text)
    pieces: list[str] = []
    while True:
        lexer.cfws()
        token = lexer.take(TOKEN)
        if token is None:
            return "".join(pieces) + text[lexer.pos :]
        pieces.append(token[0])


@rule("mime/version-missing")
def version_missing(message: Message) -> Findings:
    versions = message.all("mime-version")
    for field in versions:
        try:
            version = _version(field.text)
        except HeaderError as error:
            yield Problem(f"MIME-Version cannot be read: {error}", field.where(error.position), fix="MIME-Version: 1.0")
            continue
        if version != "1.0":
            where = field.where(0, len(field.text)) if field.text else field.at
            yield Problem(f"MIME-Version is {field.text[:40] or 'empty'}", where, fix="MIME-Version: 1.0")
    first = next((field for field in message.fields if field.lower in MIME_FIELDS), None)
    if not versions and first is not None:
        yield Problem(f"there is {first.name} but no MIME-Version", first.at, fix="MIME-Version: 1.0")


@rule("mime/bad-content-type")
def bad_content_type(message: Message) -> Findings:
    for part in message.parts:
        for defect in part.defects:
            if defect.kind is DefectKind.BAD_CONTENT_TYPE:
                yield Problem(defect.message, defect.where)
        field = part.first("content-type")
        for flagged in part.params.faults if field is not None else ():
            faults = _TYPE_FAULTS if flagged.name.partition("*")[0] in {"", "name"} else _VALUE_FAULTS
            if flagged.fault in faults and field is not None:
                name = f"the parameter {flagged.name}" if flagged.name else "a parameter"
                yield Problem(f"{name} of Content-Type {faults[flagged.fault]}", field.where(*flagged.span))


@rule("mime/broken-boundary")
def broken_boundary(message: Message) -> Findings:
    # RFC 2046 section 5.1.1: what counts is the boundary after -- at the start of a line (catalogue T090); the parser tells.
    for defect in message.defects:
        if defect.kind in _BOUNDARY_DEFECTS:
            yield Problem(defect.message, defect.where)


@rule("mime/html-only")
def html_only(message: Message) -> Findings:
    beside = Beside(message)
    for part in message.html_parts:
        # Catalogue T083: an alternative of this very part, not any text that is somewhere in the message.
        if next(beside.of(part, "text/plain"), None) is None:
            yield Problem("the HTML has no plain-text alternative", place(part, "content-type"))


def _alternatives(message: Message) -> Iterator[tuple[Part, ...]]:
    for part in message.parts:
        if part.content_type == "multipart/alternative":
            yield tuple(child for child in part.children if child.disposition != "attachment")


def _is_rich(part: Part) -> bool:
    return part.content_type == "text/html" or (
        part.is_multipart and any(inner.content_type == "text/html" for inner in part.walk())
    )


@rule("mime/alternatives-out-of-order")
def alternatives_out_of_order(message: Message) -> Findings:
    for children in _alternatives(message):
        rich = None
        for child in children:
            if child.content_type == "text/plain" and rich is not None:
                # RFC 2046 section 5.1.4: increasing faithfulness, the last is the best
                yield Problem(f"text/plain comes after {rich.content_type}", place(child, "content-type"))
            elif rich is None and _is_rich(child):
                rich = child


@rule("mime/amp-without-fallback")
def amp_without_fallback(message: Message) -> Findings:
    for children in _alternatives(message):
        kinds = ["text/html" if _is_rich(child) else child.content_type for child in children]
        lacking = [needed for needed in ("text/plain", "text/html") if needed not in kinds]
        before: set[str] = set()
        for child, kind in zip(children, kinds, strict=True):
            if kind == "text/x-amp-html":
                where = place(child, "content-type")
                for needed in lacking:
                    yield Problem(f"text/x-amp-html stands beside no {needed}", where)
                if "text/html" in before:
                    yield Problem("text/x-amp-html comes after text/html", where)
                if kind in before:  # AMP for Email, "Structure and rendering": no more than one
                    yield Problem("a second text/x-amp-html stands in the same multipart/alternative", where)
            before.add(kind)
    for part in message.parts:
        around = message.parent(part)
        if part.content_type == "text/x-amp-html" and (around is None or around.content_type != "multipart/alternative"):
            yield Problem("text/x-amp-html stands outside multipart/alternative", place(part, "content-type"))


@rule("mime/empty-body")
def empty_body(message: Message, texts: TextParts, documents: HtmlParts, attachments: Attachments) -> Findings:
    forwarded = any(part.main_type == "message" for part in message.attachments)  # message/rfc822 is no leaf
    if attachments.each or forwarded or any(text.text.strip() for text in texts.each):
        return
    for _, document in documents.readable:
        if document.visible_text.strip("\xa0 \n") or next(document.all("img", "v:image", "v:imagedata"), None) is not None:
            return
    if documents.unavailable:  # what is too large to be read is not empty
        return
    yield Problem("there is nothing in the message: no text, no image, no attachment", message.root.at)


@rule("mime/too-deep-or-wide")
def too_deep_or_wide(
    message: Message,
    files: Attachments,
    *,
    parts: int = MAX_PARTS,
    attachments: int = MAX_ATTACHMENTS,
    depth: int = MAX_DEPTH,
) -> Findings:
    for kind in (DefectKind.TOO_MANY_PARTS, DefectKind.TOO_DEEP):
        defect = next((one for one in message.defects if one.kind is kind), None)
        if defect is not None:
            yield Problem(defect.message, defect.where)
    where = place(message.root, "content-type")
    if len(message.parts) > parts:
        yield Problem(f"the message has {len(message.parts)} parts, {parts} are accepted", where)
    if len(files.each) > attachments:
        yield Problem(f"the message has {len(files.each)} attachments, {attachments} are accepted", where)
    deepest, levels = _deepest(message.root)
    if levels > depth:
        where = place(deepest, "content-type")
        yield Problem(f"{levels} messages stand inside one another, {depth} are accepted", where)


def _deepest(root: Part) -> tuple[Part, int]:
    """The part that is the innermost message in others, and how many of them there are down to it."""
    best, most = root, 0
    waiting = [(root, 0)]
    while waiting:
        part, above = waiting.pop()
        levels = above + part.content_type.startswith(("message/rfc822", "message/global"))
        if levels > most:
            best, most = part, levels
        waiting.extend((child, levels) for child in part.children)
    return best, most
