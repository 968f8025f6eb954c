"""What may reach a terminal: characters made visible, measured in cells, wrapped, coloured, or brought to ASCII.

Text from mail, DNS and file names is untrusted. Everything of theirs that a report prints goes through `visible`, so that no
escape sequence, no bidirectional control and no line end of theirs acts on the reader's terminal.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

MIN_COLUMNS = 80  # the narrowest width we lay out for (VT100, and what ruff and git assume without a terminal)
MAX_COLUMNS = 120  # prose wider than this is hard to read; source frames use the width too

_CONTROL_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "␡"}  # Unicode's block of control pictures
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})  # general categories that show nothing, or act
_JOINERS = frozenset({"\u200d"})  # zero width joiner: part of ordinary emoji; it acts on nothing but the glyph


@lru_cache(maxsize=4096)
def shown(character: str) -> str:
    """One character as it may be printed: itself, a control picture, or its code in angle brackets."""
    if " " <= character <= "~":
        return character
    code = ord(character)
    if code in _CONTROL_PICTURES:
        return _CONTROL_PICTURES[code]
    if unicodedata.category(character) in _HIDDEN and character not in _JOINERS:
        return f"<{code & 0xFF:02X}>" if 0xDC80 <= code <= 0xDCFF else f"<U+{code:04X}>"
    if character != " " and character.isspace():
        return f"<U+{code:04X}>"  # a no-break or ideographic space looks like the one it is not
    return character


def visible(text: object) -> str:
    """Text of others on one line, with nothing in it that a terminal would obey."""
    plain = str(text)
    if plain.isascii() and plain.isprintable():
        return plain
    return "".join(" " if character == "\t" else shown(character) for character in plain)


def decoded(octets: bytes) -> str:
    """Octets as UTF-8, those that are none as surrogates (shown as <E9>)."""
    return octets.decode("utf-8", "surrogateescape")


@lru_cache(maxsize=4096)
def _cells(character: str) -> int:
    from rich.cells import get_character_cell_size  # the terminal's own view of wide characters; 5 ms, and only when one comes

    return get_character_cell_size(character)


def cells(text: str) -> int:
    """Columns that text takes on a terminal."""
    return len(text) if text.isascii() else sum(_cells(character) for character in text)


# --- ASCII -------------------------------------------------------------------------------------------------------

_TO_ASCII = str.maketrans(
    {
        "✗": "x",
        "✓": "+",
        "·": "-",
        "…": "...",
        "│": "|",
        "┌": "+",
        "└": "+",
        "├": "+",
        "─": "-",
        "→": "->",
        "←": "<-",
        "“": '"',
        "”": '"',
        "‘": "'",
        "’": "'",
        "–": "-",
        "—": "-",
        "≥": ">=",
        "≤": "<=",
        "×": "x",
        "§": "section ",
        **{picture: f"^{chr((code + 0x40) & 0x7F)}" for code, picture in _CONTROL_PICTURES.items()},
    }
)


def to_ascii(text: str) -> str:
    """The same text for a terminal that is not UTF-8; what has no likeness becomes its escape."""
    return text if text.isascii() else text.translate(_TO_ASCII).encode("ascii", "backslashreplace").decode("ascii")


# --- colour ------------------------------------------------------------------------------------------------------

_CODES = {  # ECMA-48 section 8.3.117
    "error": "1;31",
    "warning": "1;33",
    "note": "1;36",
    "unknown": "1;35",
    "pass": "1;32",
    "strong": "1",
    "dim": "2",
    "mark": "1;31",
}


@dataclass(frozen=True)
class Paint:
    """How to write: in colour or not, in Unicode or ASCII, and how many columns there are."""

    colour: bool = False
    unicode: bool = True
    columns: int = MIN_COLUMNS

    def __call__(self, role: str, text: str) -> str:
        """Put text in the colour of its role; words carry the meaning without it."""
        return f"\x1b[{_CODES[role]}m{text}\x1b[0m" if self.colour and text else text

    def plain(self, text: str) -> str:
        """The text in characters that the terminal has."""
        return text if self.unicode else to_ascii(text)

    def finished(self, lines: Iterable[str]) -> str:
        """The lines as one string that the terminal can show, with a line end at its end; empty if there are none."""
        return "".join(f"{self.plain(line.rstrip())}\n" for line in lines)

    @property
    def width(self) -> int:
        """Columns to lay prose out in."""
        return max(MIN_COLUMNS, min(self.columns, MAX_COLUMNS))


# --- wrapping ----------------------------------------------------------------------------------------------------


def wrapped(text: str, width: int, first: str = "", rest: str | None = None) -> list[str]:
    """Break prose at spaces into lines of at most `width` cells; a word that is longer (a URL, a record) stays whole.

    `first` begins the first line and `rest` the others (the hanging indent; as many spaces as `first` has cells unless given).
    """
    return flowed(text.split(), width, first, rest)


def flowed(words: Iterable[str], width: int, first: str = "", rest: str | None = None) -> list[str]:
    """The same for words that may have spaces in them."""
    hang = " " * cells(first) if rest is None else rest
    lines: list[str] = []
    line, used, empty = first, cells(first), True
    for word in words:
        size = cells(word)
        if not empty and used + 1 + size > width:
            lines.append(line)
            line, used, empty = hang, cells(hang), True
        line += word if empty else f" {word}"
        used += size if empty else size + 1
        empty = False
    return [*lines, line]
