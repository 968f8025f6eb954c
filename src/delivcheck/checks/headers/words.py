"""Rules about encoded-words (RFC 2047): whether they can be decoded, and whether one may stand there."""

from collections.abc import Callable, Iterator

from ...engine import rule
from ...facts.encoded_words import EncodedWords, WordInField
from ...mime.headers import WordFault
from ...mime.words import MAX_WORD
from ...model import Findings, Problem
from ...saying import shortened

_UNDECODABLE = {
    WordFault.BAD_CHARSET_NAME: "the charset name of an encoded-word has characters that no name has",
    WordFault.UNKNOWN_ENCODING: "the encoding of an encoded-word is neither B nor Q",
    WordFault.BAD_BASE64: "the base64 of an encoded-word is broken",
    WordFault.BAD_Q: "an encoded-word has a = without two hexadecimal digits, or an octet it must encode",
    WordFault.NOT_CLOSED: "an encoded-word is not closed",
    WordFault.UNDECODABLE: "an encoded-word has octets that are not in its charset",
    WordFault.SPACE_INSIDE: "white space stands inside an encoded-word",
}

# File names in encoded-words are everywhere, Gmail writes them, and no provider refuses them: mime/filename-encoding tells
# of them.
_FILE_NAMES = frozenset({"content-type", "content-disposition"})


def _first_of_each_field(words: Iterator[WordInField], wanted: Callable[[WordInField], bool]) -> Iterator[WordInField]:
    """One program made all words of a field the same way, and one place is enough to find it."""
    seen = set()
    for one in words:
        if id(one.field) not in seen and wanted(one):
            seen.add(id(one.field))
            yield one


@rule("headers/bad-encoded-word")
def bad_encoded_word(words: EncodedWords) -> Findings:
    for one in _first_of_each_field(iter(words.in_place), lambda one: _undecodable(one) is not None):
        yield Problem(f"{_undecodable(one)} in {one.field.name}", one.at)


def _undecodable(one: WordInField) -> str | None:
    faults = one.word.faults
    if WordFault.UNKNOWN_CHARSET in faults and WordFault.BAD_CHARSET_NAME not in faults:
        return f"the charset {shortened(one.word.charset, 40)} is unknown"
    fault = next((_UNDECODABLE[fault] for fault in faults if fault in _UNDECODABLE), None)
    if fault is None and one.word.raw.endswith("??="):  # RFC 2047 section 2: encoded-text has at least one character
        return "an encoded-word has nothing encoded in it"
    return fault


@rule("headers/encoded-word-too-long")
def encoded_word_too_long(words: EncodedWords) -> Findings:
    for one in _first_of_each_field(iter(words.in_place), lambda one: WordFault.TOO_LONG in one.word.faults):
        yield Problem(f"an encoded-word has {len(one.word.raw)} characters, {MAX_WORD} are allowed", one.at)


@rule("headers/encoded-word-splits-character")
def encoded_word_splits_character(words: EncodedWords) -> Findings:
    for one in _first_of_each_field(iter(words.in_place), lambda one: WordFault.SPLIT_CHARACTER in one.word.faults):
        yield Problem(f"a character is torn between two encoded-words in {one.field.name}", one.at)


@rule("headers/adjacent-encoded-words")
def adjacent_encoded_words(words: EncodedWords) -> Findings:
    for one in _first_of_each_field(iter(words.in_place), lambda one: one.touches and one.field.lower not in _FILE_NAMES):
        yield Problem(f"two encoded-words touch one another in {one.field.name}", one.at)


@rule("headers/encoded-word-not-separated")
def encoded_word_not_separated(words: EncodedWords) -> Findings:
    for one in _first_of_each_field(iter(words.in_place), _touches_text):
        yield Problem(f"an encoded-word touches the text beside it in {one.field.name}", one.at)


def _touches_text(one: WordInField) -> bool:
    """Whether something other than white space, a comment's parenthesis or another encoded-word stands next to it."""
    if WordFault.NOT_SEPARATED not in one.word.faults or one.field.lower in _FILE_NAMES:
        return False
    text, (start, end) = one.field.text, one.word.span
    before, after = text[start - 1 : start] if start and not one.touches else " ", text[end : end + 2] or " "
    return before not in " \t\r\n(" or (after[0] not in " \t\r\n)" and after != "=?")


@rule("headers/encoded-word-misplaced")
def encoded_word_misplaced(words: EncodedWords) -> Findings:
    for one in _first_of_each_field(iter(words.each), lambda one: one.misplaced is not None):
        yield Problem(f"an encoded-word {one.misplaced}", one.at)
