"""A cursor over a field's value that knows the tokens all structured fields share (RFC 5322 section 3.2)."""

import re
from typing import NoReturn

WSP = " \t\r\n"  # the value is unfolded; a CR or LF that is still there was bare

_SPACE = re.compile(r"[ \t\r\n]*")
_IN_COMMENT = re.compile(r"[()\\]")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_ATEXT = r"[^\x00-\x20()<>@,;:\\\".\[\]\x7f]"  # RFC 5322 section 3.2.3, with RFC 6532 section 3.2: everything beyond ASCII too
ATOM = re.compile(rf"{_ATEXT}+")
DOT_ATOM = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*")
TOKEN = re.compile(r"[^\x00-\x20()<>@,;:\\\"/\[\]?=\x7f]+")  # RFC 2045 section 5.1
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


MAX_VALUE = 102_400  # characters of one value: Postfix's header_size_limit, three times what Gmail takes


class HeaderError(ValueError):
    """A field's value does not follow its grammar. `position` is the index of the first character that does not fit."""

    def __init__(self, message: str, position: int) -> None:
        """Keep the reason, one clause, and the place in the value."""
        super().__init__(message)
        self.position = position


def within_limit(value: str) -> str:
    """The value, if it is one that is read at all. Raises HeaderError."""
    if len(value) > MAX_VALUE:
        raise HeaderError(f"the value has {len(value)} characters, of which {MAX_VALUE} would be read", MAX_VALUE)
    return value


class Lexer:
    """The cursor: `pos` only grows, so every parser over it takes time in proportion to the value's length.

    `comments` collects what stood in comments, nested ones flattened, `spans` where they stood, parentheses included.
    """

    __slots__ = ("comments", "pos", "spans", "text")

    def __init__(self, text: str, pos: int = 0) -> None:
        """Stand at `pos` of the value."""
        self.text = text
        self.pos = pos
        self.comments: list[str] = []
        self.spans: list[tuple[int, int]] = []

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self.pos >= len(self.text)

    @property
    def next(self) -> str:
        """The character under the cursor, "" at the end."""
        return self.text[self.pos : self.pos + 1]

    def fail(self, message: str, position: int | None = None) -> NoReturn:
        """Give up."""
        raise HeaderError(message, self.pos if position is None else position)

    def space(self) -> bool:
        """Skip white space; tell whether there was any."""
        start = self.pos
        self.pos = _SPACE.match(self.text, start).end()  # type: ignore[union-attr]  # the pattern matches everywhere
        return self.pos > start

    def cfws(self) -> bool:
        """Skip comments and white space (RFC 5322 section 3.2.2); tell whether there was any."""
        start = self.pos
        self.space()
        while self.next == "(":
            self.comment()
            self.space()
        return self.pos > start

    def comment(self) -> str:
        """Read a comment, which may hold others, and keep its text."""
        start = self.pos
        depth, position = 1, start + 1
        while depth:
            found = _IN_COMMENT.search(self.text, position)
            if found is None:
                self.fail("a comment is not closed", start)
            position = found.end() + (found[0] == "\\")
            depth += {"(": 1, ")": -1}.get(found[0], 0)
        self.pos = min(position, len(self.text))
        text = unquoted(self.text[start + 1 : self.pos - 1]).strip()
        self.comments.append(text)
        self.spans.append((start, self.pos))
        return text

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Match here and move behind the match, if there is one."""
        found = pattern.match(self.text, self.pos)
        if found:
            self.pos = found.end()
        return found

    def quoted(self, *, controls: bool = False) -> str:
        """Read a quoted-string (RFC 5322 section 3.2.4) and give its content, quoted-pairs resolved."""
        found = self.take(_QUOTED)
        if found is None:
            self.fail("a quoted string is not closed")
        control = None if controls else _CONTROLS.search(found[1])
        if control:
            self.fail("a control character stands in a quoted string", found.start(1) + control.start())
        return unquoted(found[1])

    def expect(self, character: str, what: str) -> None:
        """Skip a character that must be here."""
        if self.next != character:
            self.fail(what)
        self.pos += 1


def unquoted(text: str) -> str:
    """Resolve quoted-pairs (RFC 5322 section 3.2.1)."""
    return _QUOTED_PAIR.sub(r"\1", text) if "\\" in text else text


def quoted(text: str) -> str:
    """Write as a quoted-string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
