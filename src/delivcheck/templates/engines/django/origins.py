"""From what the nodes printed to where each stretch of the text came from.

A node that gives back what its children printed, one after the other, needs no more. For one that changes it (spaceless,
filter, translation) its change is done again on the pieces, and the result compared with its text; where that does not fit,
pieces are found by likeness and say so.
"""

import re
from collections.abc import Iterable, Iterator

from django.template.base import TextNode, TokenType
from django.template.defaulttags import IfChangedNode, SpacelessNode, VerbatimNode
from django.templatetags.i18n import BlockTranslateNode, TranslateNode

from ...model import Piece
from .trace import Printed, source_of

LEAST = 4  # characters that are no coincidence when they come once
WINDOW = 200  # characters that a word may have moved to be found again
_BETWEEN_TAGS = re.compile(r">\s+<")  # as django.utils.html.strip_spaces_between_tags
_LINE_END = re.compile(r"\s*\n\s*")  # as django.utils.translation.trim_whitespace
_CR = re.compile(r"\r\n?")  # as Django's gettext
_WORD = re.compile(r"\S+")
_VALUE = "\0"  # stands for a variable while a translated block is put together

Kept = Iterable[tuple[int, int, int]]  # stretches of a text, and where each is in another


def pieces_of(printed: Iterable[Printed]) -> list[Piece]:
    """The pieces of all that was printed, in the order of the text."""
    return _within(printed)[1]


def _within(printed: Iterable[Printed]) -> tuple[str, list[Piece]]:
    texts: list[str] = []
    pieces: list[Piece] = []
    at = 0
    for one in printed:
        pieces += _moved(_pieces(one), at) if at else _pieces(one)
        texts.append(one.text)
        at += len(one.text)
    return "".join(texts), pieces


def _pieces(one: Printed) -> list[Piece]:
    """The pieces of one node's text, counted from its beginning."""
    text, node = one.text, one.node
    if not text:
        return []
    source, (start, end) = source_of(node), node.token.position
    if isinstance(node, TextNode):
        return [Piece(0, len(text), source.name, start, end, copied=True)]
    if isinstance(node, VerbatimNode) and source.text.startswith(text, end):
        return [Piece(0, len(text), source.name, end, end + len(text), copied=True)]
    if isinstance(node, BlockTranslateNode):
        return _translated(one) or [_whole(one)]
    if isinstance(node, TranslateNode):
        at = source.text.find(text, start, end)
        if at >= 0 and source.text.find(text, at + 1, end) < 0:
            return [Piece(0, len(text), source.name, at, at + len(text), copied=True)]
    if not one.within:
        return [_whole(one)]
    joined, inner = _within(one.within)
    return inner if joined == text else _changed(one, joined, inner)


def _whole(one: Printed, *, exact: bool = True) -> Piece:
    start, end = one.node.token.position
    return Piece(0, len(one.text), source_of(one.node).name, start, end, copied=False, exact=exact)


def _moved(pieces: list[Piece], by: int) -> list[Piece]:
    return [
        Piece(start + by, end + by, file, at, until, copied, exact) for start, end, file, at, until, copied, exact in pieces
    ]


# --- changed by a tag --------------------------------------------------------------------------------------------


def _changed(one: Printed, joined: str, inner: list[Piece]) -> list[Piece]:
    """What a tag made of its contents."""
    text = one.text
    if isinstance(one.node, SpacelessNode):
        kept = list(_spaceless(joined))
        if "".join(joined[start:end] for start, end, _ in kept) == text:
            return _cut(inner, kept)
    if isinstance(one.node, IfChangedNode) and (last := _last(one)) is not None:
        return last
    if len(joined.strip()) >= LEAST and (at := text.find(joined)) >= 0 and text.find(joined, at + 1) < 0:
        return _filled(one, _moved(inner, at), exact=True)
    if len(joined) == len(text) and joined.casefold() == text.casefold():
        return _recased(joined, text, inner)
    found = [piece._replace(exact=False) for piece in _cut(inner, _alike(joined, text))]
    return _filled(one, found, exact=not found)


def _last(one: Printed) -> list[Piece] | None:
    """`ifchanged` renders what it compares, then perhaps what it prints: its text is what the last of its children printed."""
    left = len(one.text)
    for number in reversed(range(len(one.within))):
        left -= len(one.within[number].text)
        if left <= 0:
            joined, pieces = _within(one.within[number:])
            return pieces if joined == one.text else None
    return None


def _spaceless(joined: str) -> Iterator[tuple[int, int, int]]:
    at = len(joined) - len(joined.lstrip())
    stop = len(joined.rstrip())
    new = 0
    for found in _BETWEEN_TAGS.finditer(joined, at, stop):
        yield at, found.start() + 1, new
        new += found.start() + 1 - at
        at = found.end() - 1
    yield at, stop, new


def _cut(pieces: list[Piece], kept: Kept) -> list[Piece]:
    """What is left of pieces where only stretches of the text are kept; both in order."""
    made: list[Piece] = []
    number = 0
    for start, end, new in kept:
        while number < len(pieces) and pieces[number].end <= start:
            number += 1
        for piece in pieces[number:]:
            if piece.start >= end:
                break
            first, last = max(piece.start, start), min(piece.end, end)
            at = piece.at + (first - piece.start if piece.copied else 0)
            until = at + last - first if piece.copied else piece.until
            made.append(piece._replace(start=first - start + new, end=last - start + new, at=at, until=until))
    return made


def _recased(joined: str, text: str, inner: list[Piece]) -> list[Piece]:
    """Letters of another case, each in its place: copied where a whole word is as it was."""
    made: list[Piece] = []
    for piece in inner:
        if not piece.copied:
            made.append(piece)
            continue
        at = piece.start
        for word in _WORD.finditer(joined, piece.start, piece.end):
            if joined[word.start() : word.end()] != text[word.start() : word.end()]:
                if at < word.start():
                    made += _cut([piece], [(at, word.start(), at)])
                (changed,) = _cut([piece], [(word.start(), word.end(), word.start())])
                made.append(changed._replace(copied=False))
                at = word.end()
        if at < piece.end:
            made += _cut([piece], [(at, piece.end, at)])
    return made


def _alike(joined: str, text: str) -> Iterator[tuple[int, int, int]]:
    """Words of a text that are in another, in the same order and not far off."""
    at = 0
    for word in _WORD.finditer(joined):
        found = text.find(word[0], at, at + len(word[0]) + WINDOW)
        if found >= 0:
            yield word.start(), word.end(), found
            at = found + len(word[0])


def _filled(one: Printed, pieces: list[Piece], *, exact: bool) -> list[Piece]:
    """Pieces, and between them the tag itself."""
    made: list[Piece] = []
    at = 0
    whole = _whole(one, exact=exact)
    for piece in pieces:
        if piece.start > at:
            made.append(whole._replace(start=at, end=piece.start))
        made.append(piece)
        at = piece.end
    if at < len(one.text):
        made.append(whole._replace(start=at))
    return made


# --- translated --------------------------------------------------------------------------------------------------


def _translated(one: Printed) -> list[Piece] | None:
    """The pieces of a block for translation, where its text is the one in the template."""
    lists = [one.node.plural, one.node.singular] if one.many else [one.node.singular, one.node.plural]
    for tokens in lists:
        for pattern in (_LINE_END,) if one.node.trimmed else (_CR, None):  # Django looks up a singular alone without CR
            pieces = _put_together(one, tokens or [], pattern)
            if pieces is not None:
                return pieces
    return None


def _put_together(one: Printed, tokens: list[object], pattern: re.Pattern[str] | None) -> list[Piece] | None:
    name = source_of(one.node).name
    message = "".join(_contents(token) for token in tokens)
    kept, gap_at = _message(message, pattern)
    texts: list[str] = []
    made: list[Piece] = []
    start = at = 0  # in the message, in the text
    stretches = iter(kept)
    begin, end = next(stretches, (0, 0))
    for token in tokens:
        position: tuple[int, int] = token.position  # type: ignore[attr-defined]  # Django's Token
        stop = start + len(_contents(token))
        value = one.values.get(token.contents) if token.token_type == TokenType.VAR else None  # type: ignore[attr-defined]
        while begin < stop:
            first, last = max(begin, start), min(end, stop)
            if first < last:
                said = message[first:last] if value is None else value
                if said:
                    if value is None:
                        made.append(
                            Piece(
                                at, at + len(said), name, position[0] + first - start, position[0] + last - start, copied=True
                            )
                        )
                    else:
                        made.append(Piece(at, at + len(said), name, *position, copied=False))
                    texts.append(said)
                    at += len(said)
            if end > stop:
                break
            if end in gap_at:
                between, after = gap_at[end]
                made.append(Piece(at, at + 1, name, position[0] + end - start, position[0] + after - start, copied=False))
                texts.append(between)
                at += 1
            begin, end = next(stretches, (len(message) + 1, len(message) + 1))
        start = stop
    return made if "".join(texts) == one.text else None


def _contents(token: object) -> str:
    return _VALUE if token.token_type == TokenType.VAR else token.contents  # type: ignore[attr-defined]


def _message(message: str, pattern: re.Pattern[str] | None) -> tuple[list[tuple[int, int]], dict[int, tuple[str, int]]]:
    """What is kept of a message, as stretches; and what stands instead of the rest, by where it begins, with where it ends."""
    if pattern is None:
        return [(0, len(message))], {}
    at, stop, between = 0, len(message), "\n"
    if pattern is _LINE_END:
        at, stop, between = len(message) - len(message.lstrip()), len(message.rstrip()), " "
    kept: list[tuple[int, int]] = []
    gaps: dict[int, tuple[str, int]] = {}
    for found in pattern.finditer(message, at, stop):
        kept.append((at, found.start()))
        gaps[found.start()] = (between, found.end())
        at = found.end()
    return [*kept, (at, max(at, stop))], gaps
