"""What template engines take and give: sources, the variables they read, and rendered text with the way back to the source.

Positions in texts are offsets in characters, half-open; only `Where` counts lines and columns (from 1, columns in octets).
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ..model import Where


class TemplateFault(Exception):  # noqa: N818 -- what is wrong with somebody's template is a finding, not an error of ours
    """A template that cannot be rendered, and why: the engine's own message in one line, with the place where it is known."""

    def __init__(self, message: str, where: Where | None = None) -> None:
        """Keep the message, one clause without a final stop, and the place."""
        super().__init__(message)
        self.message = message
        self.where = where


class TemplateMissing(TemplateFault):
    """A name that no template has: what `ignore missing`, and a list of names to choose from, pass over."""


# --- sources -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """The text of one template file, line ends as in the file; `name` is how reports call it: the path as it was given."""

    name: str
    text: str
    path: Path | None = None  # None for one that stands in no file

    @cached_property
    def _starts(self) -> list[int]:
        starts, at = [0], self.text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = self.text.find("\n", at + 1)
        return starts

    def line_of(self, at: int) -> int:
        """The line of a character, from 1."""
        return bisect_right(self._starts, at)

    def start_of(self, line: int) -> int:
        """The offset at which a line begins; of one beyond the end, the last."""
        return self._starts[min(max(line, 1), len(self._starts)) - 1]

    def offset(self, line: int, column: int) -> int:
        """The offset of a line and a column as `where` counts them; of what is not there, one near it."""
        line, column = max(line, 1), max(column, 1)
        start = self.start_of(line)
        stop = self._starts[line] if line < len(self._starts) else len(self.text)
        octets = self.text[start:stop].encode("utf-8", "replace")[: column - 1]
        return start + len(octets.decode("utf-8", "ignore"))

    def where(self, start: int, end: int | None = None, *, approximate: bool = False) -> Where:
        """The place of some characters; `end_column` where they end on the line on which they begin."""
        line = self.line_of(start)
        first = self._starts[line - 1]
        same = end is not None and end > start and self.line_of(end - 1) == line
        return Where(
            file=self.name,
            line=line,
            column=self._octets(first, start) + 1,
            end_column=self._octets(first, end) + 1 if same and end is not None else None,
            approximate=approximate,
        )

    def _octets(self, start: int, end: int) -> int:
        if self.text.isascii():  # known without looking, so that a megabyte on one line costs no more than any other
            return min(end, len(self.text)) - start
        return len(self.text[start:end].encode("utf-8", "replace"))


class Sources(Protocol):
    """Where an engine finds the templates that another includes, extends or imports. Who asked is remembered, for --watch."""

    def find(self, name: str, asked_by: Source | None = None, suffixes: Sequence[str] = ("",)) -> Source:
        """The template of a name, as the engine's language writes it, tried with each suffix.

        Looked for beside the one that asks, above it, and in the configured folders. Raises TemplateMissing where there is
        none, TemplateFault where it cannot be had.
        """
        ...


# --- variables ---------------------------------------------------------------------------------------------------


class Use(StrEnum):
    """What a template does with a value, as far as its source tells: what kind of value must be made up for it."""

    TEXT = "text"  # printed, perhaps through filters
    TRUTH = "truth"  # tested
    LIST = "list"  # walked over
    CALL = "call"  # called
    OTHER = "other"  # compared, passed on, reached into


EACH = "[]"  # the step of a path into a list: any of its items


@dataclass(frozen=True, slots=True)
class Variable:
    """A value that a template takes from its data, once for each place: `("order", "items", "[]", "price")`.

    `sure`: a default, or a test of it around it, sees to its being missing. `literals` are the constants that it is compared
    with.
    """

    path: tuple[str, ...]
    use: Use
    at: Where
    sure: bool = False
    literals: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """The path as people write it: `order.items[].price`."""
        return ".".join(self.path).replace(f".{EACH}", EACH)


# --- what was rendered -------------------------------------------------------------------------------------------


class Piece(NamedTuple):
    """A stretch of rendered text and the stretch of a source that it came from.

    `copied`: character for character, so that each has its own place. Otherwise it is a value, and its place is that of the
    code that printed it. `exact` is False for a place found by likeness.
    """

    start: int  # of the rendered text
    end: int
    file: str  # a name in `Rendered.sources`
    at: int  # of the source's text
    until: int
    copied: bool
    exact: bool = True


@dataclass(frozen=True)
class Rendered:
    """Rendered text, and where it came from: pieces in order, none over another; what no piece has came from nowhere known."""

    text: str
    pieces: Sequence[Piece] = ()
    sources: Mapping[str, Source] = field(default_factory=dict)

    @cached_property
    def _starts(self) -> list[int]:
        return [piece.start for piece in self.pieces]

    def piece(self, at: int) -> tuple[Piece | None, bool]:
        """The piece that has a character, or else the one before it, or the first; and whether it has it."""
        if not self.pieces:
            return None, False
        found = self.pieces[max(bisect_right(self._starts, at) - 1, 0)]
        return found, found.start <= at < found.end

    def where(self, start: int, end: int | None = None) -> Where | None:
        """The place in a source of some rendered characters, approximate where it can only be near; None without any piece."""
        piece, has = self.piece(start)
        if piece is None:
            return None
        source = self.sources[piece.file]
        if not has:
            return source.where(piece.until if start >= piece.end else piece.at, approximate=True)
        if not piece.copied:
            return source.where(piece.at, piece.until, approximate=not piece.exact)
        begin = piece.at + start - piece.start
        stop = piece.at + end - piece.start if end is not None and start < end <= piece.end else None
        return source.where(begin, stop, approximate=not piece.exact)

    def through(self, first: "Rendered", between: str) -> "Rendered":
        """The same text, led back through an earlier rendering: pieces of the source `between` stand for `first.text`."""
        made: list[Piece] = []
        for piece in self.pieces:
            if piece.file != between:
                made.append(piece)
            elif piece.copied:
                made.extend(_cut(piece, first))
            else:
                origin, has = first.piece(piece.at)
                if origin is not None:
                    copied = has and origin.copied
                    at = origin.at + (piece.at - origin.start if copied else 0)
                    until = min(at + piece.until - piece.at, origin.until) if copied else origin.until
                    exact = has and origin.exact and piece.exact
                    made.append(Piece(piece.start, piece.end, origin.file, at, max(at, until), False, exact))
        others = {name: source for name, source in self.sources.items() if name != between}
        return Rendered(self.text, tuple(made), {**others, **first.sources})

    def without(self, characters: int) -> "Rendered":
        """The same without its first characters."""
        made = [
            piece._replace(
                start=max(piece.start - characters, 0),
                end=piece.end - characters,
                at=piece.at + max(characters - piece.start, 0) if piece.copied else piece.at,
            )
            for piece in self.pieces
            if piece.end > characters
        ]
        return Rendered(self.text[characters:], tuple(made), self.sources)


def _cut(piece: Piece, first: Rendered) -> list[Piece]:
    """A copied piece, cut where the text that it copies changes its origin."""
    made = []
    number = max(bisect_right(first._starts, piece.at) - 1, 0)  # noqa: SLF001 -- one class
    for origin in first.pieces[number:]:
        if origin.start >= piece.until:
            break
        begin, stop = max(origin.start, piece.at), min(origin.end, piece.until)
        if begin < stop:
            at = origin.at + (begin - origin.start if origin.copied else 0)
            until = at + stop - begin if origin.copied else origin.until
            shift = piece.start - piece.at
            made.append(Piece(begin + shift, stop + shift, origin.file, at, until, origin.copied, origin.exact and piece.exact))
    return made


# --- engines -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Host:
    """What the program that sends adds to the engine's language, as far as rendering needs to know.

    Names may be patterns (`fmt_*`); a stubbed filter gives its input back, a stubbed tag nothing, a stubbed test true.
    """

    filters: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)  # of the engine itself: trim_blocks, extensions …


class Engine(Protocol):
    """A template language. Instances are made per run by `engines.registry.engine(name, host)` and keep no template's state."""

    name: str

    def variables(self, source: Source, sources: Sources) -> tuple[Variable, ...]:
        """What the template reads, includes and parents followed, without what it binds itself. Raises TemplateFault."""
        ...

    def render(self, source: Source, data: Mapping[str, Any], sources: Sources, *, html: bool) -> Rendered:
        """Render with one data set; `html` says that values are escaped as the engine does for HTML. Raises TemplateFault."""
        ...
