"""Where tokens stand: Jinja2's lexer gives lines, this adds the exact offsets.

They travel in the line numbers, which the parser hands on to every node it makes, syntax error it raises, and line of
generated code.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, Self

from jinja2 import Environment, TemplateSyntaxError
from jinja2.lexer import Lexer, Token

from ....model import Where
from ...model import Piece, Source

MAX_TOKENS = 100_000  # of one template: as many as the sandbox's MAX_RANGE; the largest in the corpora has 1,100
MAX_LINES = 100_000  # of a stretch with other line ends than the text gets, each of which has a place of its own
MAX_DIGITS = 4_300  # of a number, as Python's own; the lexer's pattern takes 200 octets of memory for each
LARGE = 100_000  # characters; smaller templates are not looked through for such numbers
_DIGITS = re.compile(r"[0-9_]+")
_NEWLINE = re.compile(r"\r\n|\r|\n")  # what the lexer takes for one
_SLOW = "(.*?)"  # how the lexer's rule for data begins
_INK = re.compile(r"\S")
_BEGINS = frozenset({"variable_begin", "block_begin", "linestatement_begin", "raw_begin"})
_ENDS = frozenset({"variable_end", "block_end", "linestatement_end", "raw_end"})


class QuickLexer(Lexer):
    """Jinja2's lexer, which looks for the next code in one step and takes texts whose line ends are line feeds.

    The inherited rule tries all delimiters at every character, for 150 ns each: most of what a template of 10 KB takes.
    """

    def __init__(self, environment: Environment) -> None:
        """Take the environment's delimiters."""
        super().__init__(environment)
        rule = self.rules["root"][0]
        pattern = rule.pattern.pattern
        if pattern.startswith(_SLOW) and not environment.line_statement_prefix and not environment.line_comment_prefix:
            starts = (environment.block_start_string, environment.variable_start_string, environment.comment_start_string)
            search: Any = _Search("|".join(map(re.escape, starts)), pattern.removeprefix(_SLOW))
            self.rules["root"][0] = rule._replace(pattern=search)

    def _normalize_newlines(self, value: str) -> str:
        return value if self.newline_sequence == "\n" else value.replace("\n", self.newline_sequence)


class _Search:
    """In place of a compiled pattern that begins with data: finds where code begins, then matches it there."""

    def __init__(self, starts: str, code: str) -> None:
        self._starts = re.compile(starts)
        self._code = re.compile(code, re.MULTILINE | re.DOTALL)

    def match(self, text: str, at: int) -> "_Found | None":
        start = self._starts.search(text, at)
        code = self._code.match(text, start.start()) if start else None
        return _Found(text[at : code.start()], code) if code else None


class _Found:
    """A match whose first group is the data before it."""

    __slots__ = ("_code", "_data", "end", "group", "groupdict")

    def __init__(self, data: str, code: re.Match[str]) -> None:
        self._data = data
        self._code = code
        self.end, self.groupdict = code.end, code.groupdict
        self.group = code.group  # its end is looked at, which is that of the whole

    def groups(self) -> tuple[str | Any, ...]:
        return (self._data, *self._code.groups())


class At(int):
    """A line number that knows the token's offsets, in the text with every line end a line feed."""

    start: int
    end: int

    def __new__(cls, line: int, start: int, end: int) -> Self:
        """Make one of a line, from 1, and two offsets."""
        made = int.__new__(cls, line)
        made.start = start
        made.end = end
        return made


class Placing:
    """The places in one source: of its tokens, and of its code from delimiter to delimiter."""

    def __init__(self, source: Source) -> None:
        """Take a source; `text` is it as the lexer sees it."""
        self.source = source
        self.text = source.text
        self._crlf: list[int] = []  # offsets in `text` of line ends that are two characters in the source
        self._plain = "\r" not in source.text
        if not self._plain:
            self.text = _NEWLINE.sub("\n", source.text)
            self._crlf = [found.start() - number for number, found in enumerate(re.finditer("\r\n", source.text))]
        self._tags: list[int] = []
        self._ends: list[int] = []

    # --- tokens

    def tokens(self, lexer: Lexer) -> Iterator[Token]:
        """The lexer's tokens, with At for line numbers. Raises TemplateSyntaxError."""
        spot = [0]
        if len(self.text) > LARGE:
            for found in _DIGITS.finditer(self.text):
                if found.end() - found.start() > MAX_DIGITS:
                    line = self.text.count("\n", 0, found.start()) + 1
                    raise TemplateSyntaxError(f"has a number of more than {MAX_DIGITS:,} digits", At(line, *found.span()))
        try:
            yield from lexer.wrap(self._placed(lexer, spot))
        except TemplateSyntaxError as error:
            if not isinstance(error.lineno, At):  # the lexer's own: at or just after the last token
                at = spot[0]
                error.lineno = At(error.lineno, at, at) if self.text.count("\n", 0, at) + 1 == error.lineno else error.lineno
            raise

    def _placed(self, lexer: Lexer, spot: list[int]) -> Iterator[tuple[int, str, str]]:
        text, done, number = self.text, 0, 0
        for line, kind, value in lexer.tokeniter(text, None):
            start = done
            if not text.startswith(value, done):  # white space before it was stripped; what is left begins with some, or not
                ink = _INK.search(text, done)
                start = (ink.start() if ink else len(text)) - (len(value) - len(value.lstrip()))
            spot[0] = done = start + len(value)
            if kind == "whitespace":
                continue
            number += 1
            if number > MAX_TOKENS:
                raise TemplateSyntaxError(f"has more than {MAX_TOKENS:,} tokens, which no mail needs", line)
            if kind in _BEGINS:
                self._tags.append(start)
                self._ends.append(done)
            elif kind in _ENDS and self._ends:
                self._ends[-1] = start + len(value.rstrip())
            yield At(line, start, done), kind, value

    # --- places

    def original(self, at: int) -> int:
        """The offset in the source of one in `text`; of a line end of two characters, its second."""
        return at + bisect_right(self._crlf, at) if self._crlf else at

    def span(self, start: int, end: int) -> tuple[int, int]:
        """A stretch of `text` in the source."""
        first = self.original(start)
        return first, self.original(end - 1) + 1 if end > start else first

    def tag(self, at: At) -> tuple[int, int]:
        """The code that a token stands in, with its delimiters, in the source; the token itself where it is in none."""
        number = bisect_right(self._tags, at.start) - 1
        if number >= 0 and at.start < self._ends[number]:
            return self.span(self._tags[number], self._ends[number])
        return self.span(at.start, at.end)

    def where(self, line: int | None, *, tag: bool = False) -> Where:
        """The place of a line number: of a token, or of the code around it."""
        if isinstance(line, At):
            start, end = self.tag(line) if tag else self.span(line.start, line.end)
            return self.source.where(start, end)
        return Where(file=self.source.name, line=line)

    def pieces(self, text: str, line: Any, line_end: str) -> tuple[Piece, ...]:
        """Those of template data, which a token of the source became; `line_end` is what the lexer wrote for each."""
        if not isinstance(line, At):
            return ()
        name, start, end = self.source.name, line.start, line.end
        raw = self.text[start:end]
        if raw == text and (self._plain or "\n" not in raw):
            at = self.original(start)
            return (Piece(0, len(text), name, at, at + len(text), copied=True),)
        lines = raw.split("\n")
        if len(lines) > MAX_LINES:
            return (Piece(0, len(text), name, *self.span(start, end), copied=False, exact=False),)
        if line_end.join(lines) != text:
            return (Piece(0, len(text), name, *self.span(start, end), copied=False),)
        return tuple(self._by_lines(lines, start, line_end))

    def _by_lines(self, lines: list[str], start: int, line_end: str) -> Iterator[Piece]:
        """A copy in which line ends are not those of the source."""
        name, done = self.source.name, 0
        for number, one in enumerate(lines):
            if number:
                at = self.original(start)
                alike = line_end == self.source.text[at]
                first = at - 1 if self.source.text[at - 1 : at + 1] == "\r\n" and not alike else at
                yield Piece(done, done + len(line_end), name, first, at + 1, copied=alike)
                done, start = done + len(line_end), start + 1
            if one:
                at = self.original(start)
                yield Piece(done, done + len(one), name, at, at + len(one), copied=True)
                done, start = done + len(one), start + len(one)
