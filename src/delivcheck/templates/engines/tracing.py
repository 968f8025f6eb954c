"""Rendered text as it grows, each stretch with the stretch of source behind it: for engines whose nodes we render ourselves."""

from collections.abc import Iterable
from typing import NamedTuple

from ...records.placeholders import MAX_TEMPLATE
from ..model import Piece, Rendered, Source, TemplateFault

MAX_OUTPUT = MAX_TEMPLATE  # characters that a template may write: as many as it may have
MAX_STEPS = 200_000  # nodes that one rendering may pass; the largest template of the corpora passes 900 with full data
MAX_TAGS = 20_000  # tags of one template, and places at which values are read; the largest of the corpora has 150
MAX_DEPTH = 100  # blocks, loops and partials in one another; python-liquid stops at 30, Jinja2 where Python does, at 1,000


class Segment(NamedTuple):
    """A stretch of text and where it came from: copied character for character, or printed by the code that stands there."""

    text: str
    source: Source
    at: int
    until: int
    copied: bool


class Trace:
    """What was written so far."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.segments: list[Segment] = []
        self.size = 0

    def copy(self, source: Source, at: int, until: int) -> None:
        """Write a stretch of a source as it stands there."""
        self.add(Segment(source.text[at:until], source, at, until, copied=True))

    def value(self, text: str, source: Source, at: int, until: int) -> None:
        """Write what the code between two places of a source printed."""
        self.add(Segment(text, source, at, until, copied=False))

    def add(self, segment: Segment) -> None:
        """Write one stretch. Raises TemplateFault where the text becomes too long."""
        if segment.text:
            self.size += len(segment.text)
            if self.size > MAX_OUTPUT:
                where = segment.source.where(segment.at, segment.until)
                raise TemplateFault(f"writes more than {MAX_OUTPUT:,} characters, which is more than any mail has", where)
            self.segments.append(segment)

    def extend(self, segments: Iterable[Segment]) -> None:
        """Write several stretches."""
        for segment in segments:
            self.add(segment)

    @property
    def text(self) -> str:
        """All text."""
        return "".join(segment.text for segment in self.segments)

    def rendered(self) -> Rendered:
        """The text with its pieces; copies that stand side by side in text and source are one."""
        pieces: list[Piece] = []
        sources: dict[str, Source] = {}
        start = 0
        for text, source, at, until, copied in self.segments:
            end = start + len(text)
            sources.setdefault(source.name, source)
            last = pieces[-1] if pieces else None
            if copied and last is not None and last.copied and last.file == source.name and last.until == at:
                pieces[-1] = last._replace(end=end, until=until)
            else:
                pieces.append(Piece(start, end, source.name, at, until, copied))
            start = end
        return Rendered(self.text, tuple(pieces), sources)


def indented(segments: Iterable[Segment], indent: Segment) -> list[Segment]:
    """The stretches with `indent` before every line but an empty last one, as a partial that stands alone is indented."""
    made: list[Segment] = []
    fresh = True
    for segment in segments:
        at = segment.at
        for line in _lines(segment.text):
            if fresh:
                made.append(indent)
            if segment.copied:
                made.append(Segment(line, segment.source, at, at + len(line), copied=True))
                at += len(line)
            else:
                made.append(segment._replace(text=line))
            fresh = line.endswith("\n")
    return made


def _lines(text: str) -> list[str]:
    """The lines of a text with their ends, which are line feeds and nothing else."""
    lines = text.split("\n")
    return [*(f"{line}\n" for line in lines[:-1]), *lines[-1:]] if lines[-1] else [f"{line}\n" for line in lines[:-1]]
