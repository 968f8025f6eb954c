"""The encoded-words of all header fields as they are written, and whether one may stand where each of them stands."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..engine import fact
from ..mime.headers import EncodedWord, encoded_words
from ..mime.message import Field, Message
from ..model import Where
from .headers import ADDRESS_FIELDS, sections

_URI_LISTS = frozenset({"list-help", "list-subscribe", "list-post", "list-owner", "list-archive"})
_PARAMETERS = frozenset({"content-type", "content-disposition"})
_ADDRESSES = frozenset({*ADDRESS_FIELDS, "resent-from", "resent-sender", "resent-to", "resent-cc", "resent-bcc"})
_NO_TEXT = frozenset(
    {"in-reply-to", "references", "received", "dkim-signature", "mime-version", "content-transfer-encoding", "content-id"}
)
_LEFT_OUT = frozenset(
    {"message-id", "date", "list-unsubscribe", "list-unsubscribe-post"}  # rules of their own tell of encoded-words there
    | {"return-path", "authentication-results"}  # written by others, on the way
)

_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*+"|\\.|[()<>]', re.DOTALL)
_AFTER_WORD = re.compile(r'[<:@,;"]')


@dataclass(frozen=True, slots=True)
class WordInField:
    """One encoded-word of one field. `misplaced` says where it stands that none may (RFC 2047 section 5), None if it may.

    `touches` is the encoded-word just before it without white space between the two.
    """

    field: Field
    word: EncodedWord
    misplaced: str | None = None
    touches: bool = False

    @property
    def at(self) -> Where:
        """Its place."""
        return self.field.where(*self.word.span)


@dataclass(frozen=True, slots=True)
class EncodedWords:
    """All encoded-words of all header fields but those that have rules of their own or are written on the way."""

    each: tuple[WordInField, ...]

    @property
    def in_place(self) -> tuple[WordInField, ...]:
        """Those that stand where they may."""
        return tuple(one for one in self.each if one.misplaced is None)


@fact
def words_of_fields(message: Message) -> EncodedWords:
    """Find them as raw tokens: a lenient decoder hides what is wrong with them."""
    found: list[WordInField] = []
    for section in sections(message):
        for field in section:
            if b"=?" in field.raw and field.lower not in _LEFT_OUT:
                found += _words_of(field)
    return EncodedWords(tuple(found))


def _words_of(field: Field) -> Iterator[WordInField]:
    words = encoded_words(field.text)
    nowhere = _nowhere(field)
    spans = _structure(field.text) if words and nowhere else []
    end = index = 0
    for word in words:
        start = word.span[0]
        while index < len(spans) and spans[index][1] <= start:
            index += 1
        around = spans[index][2] if index < len(spans) and spans[index][0] <= start else ""
        misplaced = None
        if nowhere and around != "(":
            misplaced = _misplaced(field, word.span[1], around, nowhere)
        yield WordInField(field, word, misplaced, touches=bool(end) and end == start)
        end = word.span[1]


def _nowhere(field: Field) -> str:
    """What a structured field has instead of text; empty for fields of text, where an encoded-word may stand anywhere."""
    name = field.lower
    if name in _ADDRESSES:
        return "an address"
    if name in _PARAMETERS:
        return "a parameter of"
    if name in _URI_LISTS or name == "list-id":
        return "angle brackets"
    return "all" if name in _NO_TEXT else ""


def _misplaced(field: Field, end: int, around: str, nowhere: str) -> str | None:
    """Where a word stands that it may not, in words that follow "an encoded-word"."""
    if nowhere == "all":
        return f"in {field.name}"
    if nowhere == "a parameter of":
        return f"in a parameter of {field.name}"
    if field.lower in _URI_LISTS:
        return f"in a URI of {field.name}"
    if around == '"':
        return f"inside quotes in {field.name}"  # RFC 2047 section 5 (3): not within a quoted-string
    if around == "<":
        return f"inside angle brackets in {field.name}"
    if nowhere == "an address":
        after = _AFTER_WORD.search(field.text, end)
        if after is None or after[0] in "@,;":  # no angle address and no group follows: it is meant as the address itself
            return f"in an address in {field.name}"
    return None


def _structure(text: str) -> list[tuple[int, int, str]]:
    """Quoted strings, comments and angle brackets of a structured value, outermost only, in order: start, end and opener."""
    found: list[tuple[int, int, str]] = []
    depth, opened, opener = 0, 0, ""
    for token in _STRUCTURE.finditer(text):
        mark = token[0][0]
        if not opener:
            if mark == '"':
                found.append((*token.span(), '"'))
            elif mark in "(<":
                depth, opened, opener = 1, token.start(), mark
        elif opener == "(" and mark in "()":
            depth += 1 if mark == "(" else -1
            if not depth:
                found.append((opened, token.end(), "("))
                opener = ""
        elif opener == "<" and mark == ">":
            found.append((opened, token.end(), "<"))
            opener = ""
    if opener:
        found.append((opened, len(text), opener))
    return found
