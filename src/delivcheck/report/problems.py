"""One failed rule as a person reads it: what was found, the place in a frame, the exact replacement, the page to read."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from ..model import Problem, Result, Rule, Where
from . import frame
from .paint import Paint, visible, wrapped
from .prose import prose
from .words import joined, level_of, near, place, undecided_at

MAX_SHOWN = 5  # problems of one rule before the rest is counted; -v shows them all
MAX_FIELD_LINES = 100  # how far up a folded header field's first line is looked for; RFC 5322 sets no limit, real ones have 30

HANG = "  "
LABEL = "  fix   "


class Source:
    """The octets of a target by line, numbered from 1 as checks number them."""

    def __init__(self, octets: bytes) -> None:
        """Keep the octets; lines are found when one is asked for."""
        self._octets = octets
        self._starts: list[int] | None = None

    def line(self, number: int) -> bytes | None:
        """The line without its line end; a bare CR or LF inside or after it is part of the evidence and stays."""
        if self._starts is None:
            self._starts = list(_line_starts(self._octets))
        if not 1 <= number <= len(self._starts):
            return None
        start = self._starts[number - 1]
        end = self._starts[number] if number < len(self._starts) else len(self._octets)
        return self._octets[start:end].removesuffix(b"\r\n")


def _line_starts(octets: bytes) -> Iterator[int]:
    start = 0
    while start < len(octets):
        yield start
        found = octets.find(b"\n", start)
        if found < 0:
            return
        start = found + 1


@dataclass(frozen=True)
class Problems:
    """Prints failed rules of one target."""

    paint: Paint
    rules: Mapping[str, Rule]
    source: Source | None = None
    files: Mapping[str, Source] = field(default_factory=dict)  # by name, where a target has several
    every: bool = False
    engine: str | None = None  # of a template: fixes need no other language

    def rule(self, result: Result, following: Sequence[str] = (), *, with_fix: bool = True) -> list[str]:
        """All problems of one rule, then its fix where no problem brought its own, what follows from it, where to read on."""
        lines: list[str] = []
        shown = result.problems if self.every else result.problems[:MAX_SHOWN]
        for problem in shown:
            lines += self.headline(problem, result)
            lines += self.where(problem.where)
            if problem.data is not None:
                lines += wrapped(visible(problem.data), self.paint.width, "  with  ")
            if problem.fix is not None:
                lines += self.exact(problem.fix)
        if len(shown) < len(result.problems):
            lines.append(f"{HANG}and {len(result.problems) - len(shown)} more of the same rule (-v shows all)")
        page = self.rules.get(result.rule)
        if page is not None and is_house(page):  # there is no page of ours to read on
            lines += prose(page.why, self.paint.width, "  why   ")
        if page is not None and with_fix and not any(problem.fix for problem in shown):
            lines += prose(in_language(page.fix, self.engine), self.paint.width, LABEL)
        if following:
            lines += wrapped(
                f"{joined(list(following))} {'fails' if len(following) == 1 else 'fail'}, too",
                self.paint.width,
                "  so    ",
                HANG,
            )
        if result.reason is not None:
            lines += wrapped(f"and undecided: {visible(result.reason)}{undecided_at(result)}", self.paint.width, HANG, HANG)
        lines.append(f"{HANG}rule  {self.paint('dim', how_to_read(page, result.rule))}")
        return lines

    def short(self, result: Result) -> list[str]:
        """A note: what was found and where, without frame and fix."""
        lines: list[str] = []
        for problem in result.problems if self.every else result.problems[:1]:
            more = "" if self.every or len(result.problems) == 1 else f" (and {len(result.problems) - 1} more)"
            at = "" if problem.where is None or of_the_whole(problem.where) else near(problem.where) + place(problem.where)
            data = "" if problem.data is None else f"with {visible(problem.data)}"
            said = ", ".join(filter(None, (at, data)))
            text = f"{visible(problem.message)}{f' ({said})' if said else ''}{more} [{result.rule}]"
            level = str(level_of(problem, result))
            lines += _coloured(self.paint, level, wrapped(text, self.paint.width, f"{level}: ", HANG))
        return lines

    def headline(self, problem: Problem, result: Result) -> list[str]:
        """What was found, its level first."""
        level = str(level_of(problem, result))
        return _coloured(self.paint, level, wrapped(visible(problem.message), self.paint.width, f"{level}: ", HANG))

    def where(self, where: Where | None) -> list[str]:
        """The place: a framed line of the message or DNS record, or its name alone."""
        if where is None or of_the_whole(where):
            return []
        number = "" if where.line is None else str(where.line)
        margin = " " * max(4, len(number) + 1)
        corner = f"{margin} ┌─ {near(where)}{place(where)}"
        if where.name is not None:
            if where.record is None:
                return [f"{margin} at {place(where)}"]
            body = frame.of_text(where.record, where.span, self.paint, f"{margin} │ ")
            return [corner, *body]
        source = self.files.get(where.file or "", self.source)
        line = None if where.line is None or source is None else source.line(where.line)
        if line is None or where.line is None:
            return [f"{margin} {near(where) or 'at '}{place(where)}"]
        gutter = f"{margin} │ "
        body = frame.of_octets(line, _mark(where, line), self.paint, gutter)
        body[0] = number.rjust(len(margin)) + body[0][len(margin) :]
        return [corner, *self._field_start(source, where, len(margin)), *body]

    def _field_start(self, source: Source | None, where: Where, margin: int) -> list[str]:
        """For a place in a folded header field: the field's first line, so that the reader sees which field it is."""
        if source is None or where.header is None or where.line is None:
            return []
        for number in range(where.line, max(0, where.line - MAX_FIELD_LINES), -1):
            line = source.line(number)
            if line is None or not line[:1].isspace():
                if line is None or number == where.line:
                    return []
                shown = frame.of_octets(line, None, self.paint, f"{str(number).rjust(margin)} │ ")
                return shown if number == where.line - 1 else [*shown, f"{' ' * margin} │ …"]
        return []

    def exact(self, fix: str) -> list[str]:
        """The exact record, header or line to put there: never broken, so that it can be copied."""
        first, *rest = fix.replace("\r\n", "\n").rstrip("\n").split("\n")
        return [f"{LABEL}{visible(first)}", *(f"{' ' * len(LABEL)}{visible(line)}" for line in rest)]


_LANGUAGES = {
    "jinja2": "Jinja2",
    "django": "Django",
    "liquid": "Liquid",
    "braze": "Braze",
    "handlebars": "Handlebars",
    "mustache": "Handlebars",
}
_LINE_OF = re.compile(r"^[ \t]+(?P<names>[A-Z][A-Za-z0-9]*(?:, [A-Z][A-Za-z0-9]*)*) {2,}\S")


def in_language(fix: str, engine: str | None) -> str:
    """A fix without the lines for other template languages than the engine's, where it has one for that."""
    wanted = _LANGUAGES.get((engine or "").partition("+")[0])
    names = [found["names"].split(", ") if (found := _LINE_OF.match(line)) else None for line in fix.split("\n")]
    if wanted is None or not any(one is not None and wanted in one for one in names):
        return fix
    lines = zip(fix.split("\n"), names, strict=True)
    return "\n".join(
        line for line, one in lines if one is None or wanted in one or not set(one) & {*_LANGUAGES.values(), "ERB", "EJS"}
    )


def how_to_read(page: Rule | None, name: str) -> str:
    """The command that shows a rule's page; a house rule's is shown with its policy."""
    return f"{name} ({page.source[0].name})" if page is not None and is_house(page) else f"delivcheck explain {name}"


def is_house(page: Rule) -> bool:
    """Whether a rule is of a user's policy file: nobody has read it anywhere."""
    return bool(page.source) and page.source[0].checked == date.min


def of_the_whole(where: Where) -> bool:
    """Whether a place is but the beginning of the file: what a message lacks stands nowhere, and a frame would mislead."""
    return (where.line, where.column) == (1, 1) and where.end_column is None and where.header is None and where.part is None


def _mark(where: Where, line: bytes) -> tuple[int, int] | None:
    """The octets of the line to mark. A place at the start of a field without an end means the field: its name is marked."""
    if where.column is None or where.approximate:
        return None
    start = where.column - 1
    if where.end_column is not None:
        return start, where.end_column - 1
    if start == 0 and where.header is not None and line[: len(where.header) + 1].lower() == f"{where.header}:".lower().encode():
        return 0, len(where.header)
    return start, start + 1


def _coloured(paint: Paint, level: str, lines: list[str]) -> list[str]:
    """The level word in its colour, at the head of the first line."""
    return [paint(level, level) + lines[0][len(level) :], *lines[1:]]
