"""What is mended, and how: for each rule, the edit at the place of its problem, or none where it would be a guess."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ...model import Problem
from ..model import Source

MAX_TAG = 4_000  # characters of one tag; the longest in the corpora has 1,400


class Edit(NamedTuple):
    """Characters of a source from `start` up to `end`, and what takes their place."""

    start: int
    end: int
    text: str
    rule: str


@dataclass(frozen=True)
class Allowed:
    """What the user declared, without which some repairs would be guesses.

    `language`: the BCP 47 tag of the templates' text. `https_hosts`: hosts, or `*.` and a domain, that serve all by https.
    """

    language: str | None = None
    https_hosts: tuple[str, ...] = ()

    def has_https(self, host: str) -> bool:
        """Whether a host was declared."""
        name = host.lower().rstrip(".")
        return any(name == one or (one.startswith("*.") and name.endswith(one[1:])) for one in self.https_hosts)


def repair(rule: str, problem: Problem, source: Source, allowed: Allowed) -> Edit | None:
    """The edit that mends a problem at its place; None where there is none that is certain."""
    where = problem.where
    made = AT_THE_PLACE.get(rule)
    if made is None or where is None or where.approximate or where.line is None or where.column is None:
        return None
    return made(rule, source.text, source.offset(where.line, where.column), allowed)


def repairs(rule: str, source: Source, allowed: Allowed) -> Iterator[Edit]:
    """The edits in a whole file for a rule that tells only the first of its places."""
    if rule in EVERYWHERE:
        yield from EVERYWHERE[rule](rule, source.text, allowed)


_TAG = re.compile(  # a `>` in a value or in code does not end it
    r"""<(?P<name>[a-z]++)(?:[^<>"'{]++|"[^"]*+"|'[^']*+'|\{\{[^{}]*+\}\}|\{%[^%]*+%\}|\{)*+>""", re.IGNORECASE
)
# Code between the attributes may print more of them. What is in quotes is some attribute's value.
_QUOTED = re.compile(r"""\"[^"<>]*"|'[^'<>]*'""")
_PRINTS = re.compile(r"\{\{|\{%[-+]?\s{0,9}(?:include|call|render)\b|<%|<\?|%%|\*\||\$\{")


def _tag(text: str, start: int, name: str) -> str | None:
    """The start tag of that name at a place, as the source has it, up to its end; None where something else stands there."""
    found = _TAG.match(text, start, start + MAX_TAG)
    return None if found is None or found["name"].lower() != name else found[0]


def _attribute(name: str, value: Callable[[Allowed], str | None], tag: str) -> Callable[..., Edit | None]:
    """Adds an attribute behind the tag's name, if the source has none of it anywhere in the tag."""
    present = re.compile(rf"\b{name}\s{{0,9}}=|\s{name}[\s/>]", re.IGNORECASE)

    def made(rule: str, text: str, start: int, allowed: Allowed) -> Edit | None:
        written, found = value(allowed), _tag(text, start, tag)
        if written is None or found is None or present.search(found) or _PRINTS.search(_QUOTED.sub("", found)):
            return None
        at = start + 1 + len(tag)
        return Edit(at, at, f' {name}="{written}"', rule)

    return made


DECORATION = 32  # px of an image that can say little: icons are 16 to 32 wide
THIN = 4  # px of a rule or a spacer, however long; logos are 20 high and more
_SIZE = re.compile(r"""\s(width|height)\s{0,9}=\s{0,9}["']?([0-9]{1,5})(?:px)?(?=["'\s/>])""", re.IGNORECASE)
_FILE = re.compile(r"""\ssrc\s{0,9}=\s{0,9}["']?([^"'\s<>?#]*+)(?=[?#"'\s>])""", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+")
_DECORATES = frozenset({
    "spacer", "divider", "separator", "line", "shadow", "corner", "border", "pixel", "gradient", "dot", "bullet", "blank",
    "clear", "curve", "edge",
    "spacers", "dividers", "separators", "lines", "shadows", "corners", "borders", "dots", "bullets", "edges",
})  # fmt: skip
_NO_MORE = frozenset({  # what such files' names have beside that; any other word may be what is to be seen: line-chart.png
    "top", "bottom", "left", "right", "middle", "white", "black", "grey", "gray", "red", "blue", "green", "orange", "yellow",
    "dark", "light", "horizontal", "vertical", "dotted", "dashed", "thin", "thick", "small", "large", "full", "half",
    "transparent", "rounded", "header", "footer", "section", "bg", "background", "img", "image", "px", "x", "v", "hr",
})  # fmt: skip
_LINK = re.compile(r"<a[\s>]")


def _described(rule: str, text: str, start: int, allowed: Allowed) -> Edit | None:
    """An image that is decoration gets an empty description. Any other needs words, which only people have."""
    tag = _tag(text, start, "img")
    before = text[max(start - MAX_TAG, 0) : start].lower()
    if tag is None or _LINK.search(before, before.rfind("</a") + 1):  # all that a link has must be said
        return None
    return _EMPTY_ALT(rule, text, start, allowed) if _is_small(tag) or _is_called_so(tag) else None


def _is_small(tag: str) -> bool:
    """Whether its sizes say so: a height alone may be that of a logo."""
    sizes = {name.lower(): int(size) for name, size in _SIZE.findall(tag)}
    return any(size <= THIN for size in sizes.values()) or (
        "width" in sizes and all(size <= DECORATION for size in sizes.values())
    )


def _is_called_so(tag: str) -> bool:
    """Whether its file's name has words for decoration, and no others."""
    found = _FILE.search(tag)
    file, dot, _ = ("" if found is None else found[1].lower().rpartition("/")[2]).rpartition(".")
    words = set(_WORD.findall(file))
    return bool(dot) and "{" not in file and not words.isdisjoint(_DECORATES) and words <= _DECORATES | _NO_MORE


_EMPTY_ALT = _attribute("alt", lambda _allowed: "", "img")

# The whole host, and no code that adds to it; a port that speaks http does not speak https.
_URL = re.compile(
    r"""(?:\s(?:href|src|srcset|background|action|poster|[a-z]{1,20}-url)\s{0,9}=\s{0,9}["']?|\burl\(\s{0,9}["']?)\s{0,9}"""
    r"""(?P<url>http://(?P<host>[a-z0-9.-]{1,253})(?=[/?#\s"'<>)]|\Z))""",
    re.IGNORECASE,
)


def _encrypted(rule: str, text: str, allowed: Allowed) -> Iterator[Edit]:
    """http:// becomes https:// in attributes, where the host was declared to have it."""
    for found in _URL.finditer(text):
        if allowed.has_https(found["host"]):
            yield Edit(found.start("url"), found.start("url") + len("http"), "https", rule)


_TABLE = re.compile(r"<(/?)(table|th|caption)(?=[\s/>])", re.IGNORECASE)
_ROW = re.compile(r"<tr(?=[\s>])", re.IGNORECASE)
_CELL = re.compile(r"<td(?=[\s>])", re.IGNORECASE)
_ROLE = _attribute("role", lambda _allowed: "presentation", "table")
# Outside of cells: code that may print rows or cells, and a loop in a row.
_MORE_CELLS = re.compile(
    r"\{\{(?!~?(?:[#/^!]|else\b))|\{%[-+]?\s{0,9}(?:include|call|render|block|tablerow)\b|<%|<\?|%%|\*\||\$\{"
    r"|<tr(?:\s[^<>]{0,1000})?>\s{0,99}\{(?:%[-+]?\s{0,9}for\b|\{~?#)"
)


@dataclass(slots=True)
class _Open:
    """A table that has not ended: where it began, whether another one is in it, whether it has header cells or a caption."""

    start: int
    has_table: bool = False
    has_headers: bool = False


def _is_one_column(inner: str) -> bool:
    """Whether rows have one cell each, as far as the source tells."""
    lowered = inner.lower()
    outside = "".join(one.partition("<td")[0] for one in lowered[lowered.find(">") + 1 :].split("</td"))
    rows, cells = len(_ROW.findall(inner)), len(_CELL.findall(inner))
    return 0 < cells <= rows and _MORE_CELLS.search(_QUOTED.sub("", outside)) is None


def _laid_out(rule: str, text: str, allowed: Allowed) -> Iterator[Edit]:
    """Tables that can only be layout: another table is in them, or their rows have one cell. Others may hold data."""
    open_: list[_Open] = []
    for found in _TABLE.finditer(text):
        if found[2].lower() != "table":
            if open_:
                open_[-1].has_headers = True
        elif not found[1]:
            open_.append(_Open(found.start()))
        elif open_:
            one = open_.pop()
            if open_:
                open_[-1].has_table = True
            if not one.has_headers and (one.has_table or _is_one_column(text[one.start : found.start()])):
                made = _ROLE(rule, text, one.start, allowed)
                if made is not None:
                    yield made


_CHARSET = re.compile(r"<meta\b[^<>]{0,400}\bcharset\b", re.IGNORECASE)  # in a branch that was not rendered


def _charset(rule: str, text: str, start: int, _allowed: Allowed) -> Edit | None:
    found = _tag(text, start, "head")
    if found is None or "{" in found or _CHARSET.search(text):
        return None
    at = start + len(found)
    return Edit(at, at, '<meta charset="utf-8">', rule)


AT_THE_PLACE: Mapping[str, Callable[[str, str, int, Allowed], Edit | None]] = {
    "html/missing-alt": _described,
    "html/no-meta-charset": _charset,
    "a11y/no-language": _attribute("lang", lambda allowed: allowed.language, "html"),
}
EVERYWHERE: Mapping[str, Callable[[str, str, Allowed], Iterator[Edit]]] = {
    "html/insecure-resource": _encrypted,
    "links/plain-http": _encrypted,
    "a11y/layout-table": _laid_out,
}
REPAIRS = frozenset({*AT_THE_PLACE, *EVERYWHERE})
