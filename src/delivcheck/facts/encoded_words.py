"""The encoded-words of all header fields as they are written, and whether one may stand where each of them stands."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ..engine import fact
from ..mime.headers import EncodedWord, encoded_words
from ..mime.message import Field, Message
from ..model import Where
from .headers import ADDRESS_FIELDS, sections

_LEFT_OUT = frozenset(
    {"message-id", "date", "list-unsubscribe", "list-unsubscribe-post"}  # rules of their own tell of encoded-words there
    | {"return-path", "authentication-results"}  # written by others, on the way
)

_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*+"|\\.|[()<>:@,;]', re.DOTALL)


def _in_addresses(around: str, after: str) -> str | None:
    """RFC 2047 section 5 (3): in place of words of a name, not within a quoted string, never in an address."""
    if around:
        return "inside quotes in" if around == '"' else "inside angle brackets in"
    return None if after in {"<", ":", '"'} else "in an address in"  # neither angle address nor group follows


def _in_list_id(around: str, after: str) -> str | None:  # noqa: ARG001 -- as the others
    """RFC 2919 section 3: in the phrase, not in the identifier."""
    return _in_addresses(around, "<")


def _never(around: str, after: str) -> str | None:  # noqa: ARG001 -- as the others
    return "in"


def _in_uris(around: str, after: str) -> str | None:  # noqa: ARG001 -- as the others
    return "in a URI of"


# Fields that are not free text: says where a word stands that may not, in words that the field's name follows. Comments are
# free text in all of them. Content-Type and Content-Disposition are not here: file names written so are everywhere, no provider
# refuses them, and mime/filename-encoding tells of them.
_STRUCTURED: Mapping[str, Callable[[str, str], str | None]] = {
    **dict.fromkeys((*ADDRESS_FIELDS, "resent-from", "resent-sender", "resent-to", "resent-cc", "resent-bcc"), _in_addresses),
    **dict.fromkeys(("list-help", "list-subscribe", "list-post", "list-owner", "list-archive"), _in_uris),
    **dict.fromkeys(("in-reply-to", "references", "received", "dkim-signature", "mime-version"), _never),
    **dict.fromkeys(("content-transfer-encoding", "content-id"), _never),
    "list-id": _in_list_id,
}


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
    judge = _STRUCTURED.get(field.lower)
    structure = _Structure(field.text) if words and judge is not None else None
    end = 0
    for word in words:
        misplaced = None
        if structure is not None and judge is not None:
            around = structure.around(word.span[0])
            where = judge(around, structure.after(word.span[1])) if around != "(" else None
            misplaced = None if where is None else f"{where} {field.name}"
        yield WordInField(field, word, misplaced, touches=bool(end) and end == word.span[0])
        end = word.span[1]


class _Structure:
    """Quoted strings, comments, angle brackets and delimiters of a structured value, found in one pass."""

    def __init__(self, text: str) -> None:
        self._spans: list[tuple[int, int, str]] = []  # outermost only, in order: start, end and what opens it
        self._marks: list[tuple[int, str]] = []  # delimiters outside comments
        depth, opened, opener = 0, 0, ""
        for token in _STRUCTURE.finditer(text):
            mark = token[0][0]
            if opener != "(" and mark not in "()\\>":
                self._marks.append((token.start(), mark))
            if not opener and mark == '"':
                self._spans.append((*token.span(), mark))
            elif not opener and mark in "(<":
                depth, opened, opener = 1, token.start(), mark
            elif opener == "(" and mark in "()":
                depth += 1 if mark == "(" else -1
            elif opener == "<" and mark == ">":
                depth = 0
            if opener and not depth:
                self._spans.append((opened, token.end(), opener))
                opener = ""
        if opener:
            self._spans.append((opened, len(text), opener))

    def around(self, position: int) -> str:
        """What opens the quotes, comment or brackets around a place; "" if it stands in none."""
        index = bisect_right(self._spans, position, key=lambda span: span[0]) - 1
        return self._spans[index][2] if index >= 0 and position < self._spans[index][1] else ""

    def after(self, position: int) -> str:
        """The next delimiter; "" at the end."""
        index = bisect_left(self._marks, position, key=lambda mark: mark[0])
        return self._marks[index][1] if index < len(self._marks) else ""
