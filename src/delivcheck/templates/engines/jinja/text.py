"""Strings that know where each stretch of them came from, through what templates do with captured text.

A marked render (sentinel characters in the text, taken out afterwards) was tried first: whatever looks at the text (a length, a
trim, a comparison) sees the marks, so a second, unmarked render has to say what is true. Here the text is never touched: an
operation that is known carries the places along, any other loses them or, with `carried`, finds them again by likeness.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter, index
from typing import Any, Self, SupportsIndex, TypeVar

from markupsafe import Markup, escape

from ...model import Piece
from ..tracing import MAX_OUTPUT
from .limits import LimitReached

REACH = 400  # characters within which a word of changed text is looked for in what it was made of: some six lines
Kind = TypeVar("Kind", bound="PlacedText")

_SPECIAL = re.compile(r"[&<>'\"]")
_INK = re.compile(r"\S+")
_END = attrgetter("end")
_WORD = re.compile(r"\w+|[^\w\s]+")


class PlacedText(str):
    """A string with pieces, whose `start` and `end` count in it; a stretch without a piece came from nowhere known."""

    __slots__ = ("pieces",)
    pieces: tuple[Piece, ...]

    def __new__(cls, value: object = "", *_: object) -> Self:
        """Make one without pieces."""
        made = str.__new__(cls, value)
        made.pieces = ()
        return made

    @classmethod
    def of(cls, text: str, pieces: Iterable[Piece]) -> Self:
        """A text and its pieces."""
        made = str.__new__(cls, text)
        made.pieces = tuple(pieces)
        return made

    def cut(self, start: int, end: int) -> Self:
        """The characters from `start` up to `end`, as a slice of them."""
        return self.of(str.__getitem__(self, slice(start, end)), clipped(self.pieces, start, end))

    # --- what str and Markup do, with the places

    def __add__(self, other: Any) -> Any:
        if isinstance(self, Markup) or isinstance(other, Markup):
            return joined(PlacedMarkup, (escaped(self), escaped(other)))
        return joined(PlacedText, (self, other)) if isinstance(other, str) else NotImplemented

    def __radd__(self, other: Any) -> Any:
        if isinstance(self, Markup) or isinstance(other, Markup):
            return joined(PlacedMarkup, (escaped(other), escaped(self)))
        return joined(PlacedText, (other, self)) if isinstance(other, str) else NotImplemented

    def __getitem__(self, key: SupportsIndex | slice) -> Self:
        if isinstance(key, slice):
            if key.step in (None, 1):
                start, end, _ = key.indices(len(self))
                return self.cut(start, max(start, end))
            return type(self)(str.__getitem__(self, key))
        at = index(key)  # TypeError for a name: that is how Jinja2 finds out that there is no such item
        at += len(self) if at < 0 else 0
        return self.cut(at, at + 1) if 0 <= at < len(self) else type(self)(str.__getitem__(self, key))

    def strip(self, chars: str | None = None, /) -> Self:
        """As str."""
        return self.lstrip(chars).rstrip(chars)

    def lstrip(self, chars: str | None = None, /) -> Self:
        """As str."""
        return self.cut(len(self) - len(str.lstrip(self, chars)), len(self))

    def rstrip(self, chars: str | None = None, /) -> Self:
        """As str."""
        return self.cut(0, len(str.rstrip(self, chars)))

    def splitlines(self, keepends: bool = False) -> list[Self]:  # type: ignore[override]  # as Markup's, for the same reason
        """As Markup: lines of its own kind."""
        lines, at = [], 0
        for line, whole in zip(str.splitlines(self, keepends), str.splitlines(self, keepends=True), strict=True):
            lines.append(self.cut(at, at + len(line)))
            at += len(whole)
        return lines

    def replace(self, old: str, new: str, count: SupportsIndex = -1, /) -> Self:
        """As str, or as Markup."""
        if not old:
            return type(self)(str.replace(self, old, self._own(new), count))
        kept: list[str] = []
        at, left = 0, index(count)
        while left != 0 and (found := self.find(old, at)) >= 0:
            kept += (self.cut(at, found), self._own(new))
            at, left = found + len(old), left - 1
        return joined(type(self), [*kept, self.cut(at, len(self))])

    def join(self, iterable: Iterable[Any], /) -> Self:
        """As str, or as Markup."""
        return joined(type(self), separated(self, map(self._own, iterable)))

    def _own(self, value: Any) -> str:
        """What is put into this one: escaped for markup, as it is for text."""
        return escaped(value) if isinstance(self, Markup) else value


class PlacedMarkup(PlacedText, Markup):
    """The same for text that is HTML already."""

    __slots__ = ()

    @classmethod
    def escape(cls, s: Any, /) -> "PlacedMarkup":
        """As Markup."""
        return escaped(s)

    def __repr__(self) -> str:
        return f"Markup({str.__repr__(self)})"


PlacedText.__name__, PlacedMarkup.__name__ = "str", "Markup"  # as Python's own errors call them, which people will read


def clipped(pieces: Sequence[Piece], start: int, end: int) -> list[Piece]:
    """The pieces within a stretch of the text, counted from its beginning."""
    made = []
    for number in range(bisect_right(pieces, start, key=_END), len(pieces)):
        piece = pieces[number]
        begin, stop = max(piece.start, start), min(piece.end, end)
        if begin >= stop:
            break
        at, until = piece.at, piece.until
        if piece.copied:
            at += begin - piece.start
            until = at + stop - begin
        made.append(Piece(begin - start, stop - start, piece.file, at, until, piece.copied, piece.exact))
    return made


def separated(separator: str, texts: Iterable[Any]) -> Iterable[Any]:
    """The texts with the separator between them."""
    first = True
    for text in texts:
        if not first:
            yield separator
        first = False
        yield text


def joined(kind: type[Kind], texts: Iterable[Any]) -> Kind:
    """The texts one after the other. Raises TypeError for what is no string, as str.join does; LimitReached."""
    parts: list[str] = []
    pieces: list[Piece] = []
    length = 0
    for text in texts:
        if isinstance(text, PlacedText):
            if length:
                pieces += [
                    Piece(start + length, end + length, file, at, until, copied, exact)
                    for start, end, file, at, until, copied, exact in text.pieces
                ]
            else:
                pieces += text.pieces
        elif not isinstance(text, str):
            raise TypeError(f"sequence item {len(parts)}: expected str instance, {type(text).__name__} found")
        parts.append(text)
        length += len(text)
        if length > MAX_OUTPUT:
            reached = LimitReached(f"writes more than {MAX_OUTPUT:,} characters, which is more than any mail has")
            reached.piece = pieces[-1] if pieces else None
            raise reached
    return kind.of("".join(parts), pieces)


def marked_safe(value: Any) -> Markup:
    """As Markup(value)."""
    if isinstance(value, PlacedMarkup):
        return value
    return PlacedMarkup.of(value, value.pieces) if isinstance(value, PlacedText) else Markup(value)  # noqa: S704 -- what a template says is safe is its own business


def escaped(value: Any) -> PlacedMarkup:
    """As markupsafe.escape(value); each character that is written as an entity has its place."""
    if isinstance(value, PlacedMarkup):
        return value
    if not isinstance(value, PlacedText):
        return PlacedMarkup(escape(value))
    text = escape(str(value))
    if len(text) == len(value):
        return PlacedMarkup.of(text, value.pieces)
    return joined(PlacedMarkup, _escaped_parts(value))


def _escaped_parts(value: PlacedText) -> Iterable[PlacedText]:
    at = 0
    for special in _SPECIAL.finditer(value):
        yield value.cut(at, special.start())
        at = special.end()
        entity = str(escape(special[0]))
        pieces = clipped(value.pieces, special.start(), at)
        yield PlacedText.of(entity, [piece._replace(start=0, end=len(entity), copied=False) for piece in pieces])
    yield value.cut(at, len(value))


def filled(value: PlacedText, file: str, at: int, until: int) -> tuple[Piece, ...]:
    """The pieces of a text that was printed by the code at a place: that is where all came from that has no other place."""
    made: list[Piece] = []
    done = 0
    for piece in value.pieces:
        if piece.start > done:
            made.append(Piece(done, piece.start, file, at, until, copied=False))
        made.append(piece)
        done = piece.end
    if done < len(value):
        made.append(Piece(done, len(value), file, at, until, copied=False))
    return tuple(made)


# --- text that something unknown was done to ---------------------------------------------------------------------


def carried(before: PlacedText, after: str) -> PlacedText:
    """What something made of a text, with the places that are still certain, or else those of the words that are alike."""
    kind = PlacedMarkup if isinstance(after, Markup) else PlacedText
    if len(after) == len(before) and (after == before or _same_but_for_case(before, after)):
        return kind.of(after, before.pieces)
    if "".join(before.split()) == "".join(after.split()):
        return kind.of(after, _respaced(before, after))
    return kind.of(after, _by_likeness(before, after))


def _same_but_for_case(before: str, after: str) -> bool:
    return all(one == other or one.casefold() == other.casefold() for one, other in zip(before, after, strict=True))


def _moved(before: PlacedText, start: int, end: int, to: int) -> Iterator[Piece]:
    """The pieces of a stretch that stands elsewhere now."""
    for piece in clipped(before.pieces, start, end):
        yield piece._replace(start=piece.start + to, end=piece.end + to)


def _respaced(before: PlacedText, after: str) -> Iterator[Piece]:
    """The pieces where only white space was changed: wrapped, or without indentation."""
    ink = [at for at, character in enumerate(before) if not character.isspace()]
    text, number, done, left = str(before), 0, 0, 0  # of `after` and `before`, what is done
    for word in _INK.finditer(after):
        at = word.start()
        if after[done:at] == text[left : ink[number]]:
            yield from _moved(before, left, ink[number], done)
        while at < word.end():  # once, unless a word was broken or put together
            first = ink[number]
            length = 1
            while at + length < word.end() and ink[number + length] == first + length:
                length += 1
            yield from _moved(before, first, first + length, at)
            at, number, left = at + length, number + length, first + length
        done = at
    if after[done:] == text[left:]:
        yield from _moved(before, left, len(text), done)


def _by_likeness(before: PlacedText, after: str) -> Iterator[Piece]:
    """The pieces of each word that stands in both in the same order; none of them is certain: words repeat."""
    text, at = str(before), 0
    for word in _WORD.finditer(after):
        found = text.find(word[0], at, at + len(word[0]) + REACH)
        if found >= 0:
            at = found + len(word[0])
            for piece in _moved(before, found, at, word.start()):
                yield piece._replace(exact=False)


def merged(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Pieces that go on where the one before ends, in text and source, as one."""
    made: list[Piece] = []
    for piece in pieces:
        last = made[-1] if made else None
        if (
            last is not None
            and last.end == piece.start
            and (last.file, last.copied, last.exact) == (piece.file, piece.copied, piece.exact)
            and (
                last.until == piece.at if piece.copied else (last.at, last.until) == (piece.at, piece.until) and not last.exact
            )
        ):
            made[-1] = last._replace(end=piece.end, until=piece.until)
        else:
            made.append(piece)
    return tuple(made)
