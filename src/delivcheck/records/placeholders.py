"""Placeholders in a mail template's source: Jinja2, Django, Liquid, Handlebars, Mustache, ERB, EJS, and platforms' own tags.

Nothing is parsed as its engine would parse it: this finds where code begins and ends and whether it is one plain variable,
which is what can be told of every engine alike. `scan` never raises and takes linear time.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from ..rulefiles import data

MAX_TEMPLATE = 10_485_760  # characters, as rspamd's max_html_len for what is rendered of it
MAX_CODE = 2_000  # characters between two delimiters; what has more is not looked into. The longest in the corpora has 420
MAX_NAME = 100  # characters of a variable's name

CURLY = ("jinja2", "django", "twig", "liquid", "braze", "handlebars", "mustache")
ENGINES = (
    *CURLY,
    "erb",
    "ejs",
    "mailchimp",
    "sendgrid",
    "salesforce",
    "mjml",
    "html",
)  # the last two have no code of their own


class Kind(StrEnum):
    """What a piece of code does."""

    OUTPUT = "output"  # prints a value
    CODE = "code"  # a condition, a loop, an include
    COMMENT = "comment"  # also what the engine copies unread
    OPAQUE = "opaque"  # a platform's tag: its defaults are kept elsewhere


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One piece of code from `start` up to `end`.

    `name` is the variable where an output is one, perhaps with `filters` (lower case, in order); None for any other expression.
    `raw`: its delimiters, its filters or a block around it switch the escaping of HTML off. `sure`: a condition or loop around
    it, or an assignment before it, sees to the variable's being there. `in_subject`: it stands in a block called subject.
    """

    start: int
    end: int
    kind: Kind
    code: str
    name: str | None = None
    filters: tuple[str, ...] = ()
    raw: bool = False
    sure: bool = False
    in_subject: bool = False

    @property
    def has_default(self) -> bool:
        """Whether a filter brings a value for a missing variable."""
        return not _known("filters", "default").isdisjoint(self.filters)

    @property
    def last_name(self) -> str:
        """The last part of the variable's name, in lower case: "url" of "order.tracking.url"."""
        return re.split(r"[.\]\[/'\"]", (self.name or "").rstrip("]'\""))[-1].lower()

    @property
    def includes(self) -> bool:
        """Whether it brings another template in, or is one of several that make up a template."""
        return (self.kind is Kind.CODE and _INCLUDES.match(self.code) is not None) or _CONTENT_BLOCK in self.code


_INCLUDES = re.compile(
    r"(?:include|extends|import|from|render|partial|layout|embed|block)\b|[=-]?\s*(?:render|yield|include)\b|>"
)
_CONTENT_BLOCK = "content_blocks"  # Braze


@lru_cache(maxsize=16)
def _known(table: str, key: str) -> frozenset[str]:
    return frozenset(data("templates")[table][key])


# --- where code begins and ends ----------------------------------------------------------------------------------

_OPENINGS = re.compile(r"\{\{\{\{|\{\{!--|\{\{\{|\{\{|\{%|\{#|<%|\*\||%%|\[%|(?<![\w-])-(?=[A-Za-z_]\w{1,60}-(?![\w-]))")
_CLOSINGS = {"{{{{": "}}}}", "{{!--": "--}}", "{{{": "}}}", "{{": "}}", "{%": "%}", "{#": "#}", "<%": "%>", "[%": "%]"}
_TAGS = {
    "*|": re.compile(r"\*\|[^|*\r\n]{1,100}\|\*"),
    "%%": re.compile(r"%%[A-Za-z_=\[][^%\r\n]{0,120}%%"),
    "-": re.compile(r"-\w{2,61}-"),
}
_SPEAKS = {  # the openings that are code under an engine; where none is named, all but SendGrid's hyphens are
    **dict.fromkeys(CURLY, frozenset({"{{{{", "{{!--", "{{{", "{{", "{%", "{#"})),
    "erb": frozenset({"<%"}),
    "ejs": frozenset({"<%"}),
    "mailchimp": frozenset({"*|"}),
    "salesforce": frozenset({"%%"}),
    "sendgrid": frozenset({"{{{{", "{{!--", "{{{", "{{", "<%", "[%", "-"}),
}
_ANY = frozenset({*_CLOSINGS, "*|", "%%"})
_VERBATIM = {word: re.compile(rf"\{{%[-+~]?\s{{0,9}}end{word}\b[^%]{{0,20}}%\}}") for word in ("raw", "verbatim", "comment")}
_FIRST_WORD = re.compile(r"[A-Za-z_]\w{0,40}")


def scan(text: str, engine: str | None = None) -> tuple[Placeholder, ...]:
    """All code of a template in its order; `engine` is one of ENGINES, None or another for whatever looks like code."""
    return tuple(_Scan(text, engine).run())


@dataclass
class _Frame:
    """An open block: its word, the variables that it tests or binds, and whether everything inside is its own."""

    word: str
    names: tuple[str, ...] = ()
    own: bool = False
    raw: bool = False
    subject: bool = False


@dataclass
class _Open:
    """The blocks that are open at one point, with counts, so that a question costs the same at any depth."""

    frames: list[_Frame] = field(default_factory=list)
    names: Counter[str] = field(default_factory=Counter)
    words: Counter[str] = field(default_factory=Counter)
    own: int = 0
    raw: int = 0
    subject: int = 0
    bound: set[str] = field(default_factory=set)

    def push(self, frame: _Frame) -> None:
        self.frames.append(frame)
        self._count(frame, 1)

    def close(self, word: str) -> None:
        """Close the last block of a word and what was left open inside; one that was not opened is passed over."""
        while self.words[word]:
            frame = self.frames.pop()
            self._count(frame, -1)
            if frame.word == word:
                return

    def _count(self, frame: _Frame, by: int) -> None:
        self.words[frame.word] += by
        self.own += by * frame.own
        self.raw += by * frame.raw
        self.subject += by * frame.subject
        for name in frame.names:
            self.names[name] += by

    def sees_to(self, name: str) -> bool:
        """Whether a variable, or what it is an attribute of, is tested or bound here."""
        if self.own:
            return True
        pieces = name.split(".")
        return any(self.names[way] > 0 or way in self.bound for way in (pieces[0], ".".join(pieces[:2]), name))


class _Scan:
    def __init__(self, text: str, engine: str | None) -> None:
        self.text, self.engine = text, engine
        self.speaks = _SPEAKS.get(engine or "", _ANY)
        self.ends: dict[str, int] = {}  # where each closing stands next: kept, or a row of openings would take quadratic time
        self.open = _Open()

    def run(self) -> Iterator[Placeholder]:
        at = 0
        while (found := _OPENINGS.search(self.text, at)) is not None:
            one = self._code(found[0], found.start()) if found[0] in self.speaks else None
            if one is None:
                at = found.start() + 1
            else:
                yield one
                at = one.end

    def _next(self, closing: str, at: int) -> int:
        """The place of the next closing at or after a place, -1 if there is none."""
        known = self.ends.get(closing)
        if known is None or 0 <= known < at:
            known = self.ends[closing] = self.text.find(closing, at)
        return known

    def _code(self, opening: str, start: int) -> Placeholder | None:
        if opening in _TAGS:
            tag = _TAGS[opening].match(self.text, start)
            return tag and Placeholder(start, tag.end(), Kind.OPAQUE, tag[0].strip("*|%-="))
        inner = start + len(opening)
        if opening == "{#" and self.engine is None and not self.text[inner : inner + 1].isspace():
            return None  # "@media screen{#outlook a{…": an id in a style sheet
        stop = self._next(_CLOSINGS[opening], inner)
        if stop < 0:
            return None
        end = stop + len(_CLOSINGS[opening])
        if opening == "{{{" and self.text[end : end + 1] == "}":
            end += 1  # the last brace belongs to what is printed, as in {{{${x}}}}
            stop += 1
        elif opening == "{{" and self.text.startswith("}}}", stop) and "{" in self.text[max(inner, stop - MAX_NAME) : stop]:
            stop, end = stop + 1, end + 1  # Braze's {{${first_name}}}
        if opening in {"{{!--", "{#"}:
            return Placeholder(start, end, Kind.COMMENT, "")
        if opening == "{{{{":
            closed = self._next("{{{{/", end)
            last = self._next("}}}}", closed) if closed >= 0 else -1
            return Placeholder(start, last + len("}}}}") if last >= 0 else len(self.text), Kind.COMMENT, "")
        code = self.text[inner:stop] if stop - inner <= MAX_CODE else None
        if opening[:2] == "{{" and (code is None or "{{" in code):
            return None  # one that is never closed, as far as a reader can tell
        return self._read(opening, start, end, code or "")

    def _read(self, opening: str, start: int, end: int, code: str) -> Placeholder:
        if opening == "{%":
            return self._tag(start, end, code.strip("-+~ \t\r\n"))
        if opening == "<%":
            return self._angle(start, end, code)
        if opening == "[%":
            return Placeholder(start, end, Kind.OPAQUE, code.strip())
        code = code.strip("-~ \t\r\n")
        if opening == "{{" and code[:1] in {"#", "^", "/", ">", "!"}:
            return self._block(start, end, code)
        if code in {"else", "^"} or code.startswith("else "):
            return Placeholder(start, end, Kind.CODE, code)
        raw = opening == "{{{" or code.startswith("&")
        return self._output(start, end, code.lstrip("& "), raw=raw)

    # --- what it does

    def _output(self, start: int, end: int, code: str, *, raw: bool) -> Placeholder:
        name, filters = _variable(code)
        sure = name is not None and self.open.sees_to(name)
        raw = raw or bool(self.open.raw) or not _known("filters", "raw").isdisjoint(filters)
        return Placeholder(start, end, Kind.OUTPUT, code, name, filters, raw, sure, self.open.subject > 0)

    def _block(self, start: int, end: int, code: str) -> Placeholder:
        """Handlebars and Mustache: {{#if x}}, {{#each x}}, {{#x}}, {{^x}}, {{/x}}, {{> x}}, {{! a comment }}."""
        mark, words = code[0], code[1:].strip("#^>* ")
        if mark == "!":
            return Placeholder(start, end, Kind.COMMENT, "")
        first = (words.split(None, 1) or [""])[0]
        if mark == "/":
            self.open.close(first)
        elif mark == "#" or (mark == "^" and first):
            conditional = first in {"if", "unless"} or mark == "^"
            self.open.push(_Frame(first, _names(words), own=not conditional))
        return Placeholder(start, end, Kind.CODE, mark if mark == ">" else code)

    def _tag(self, start: int, end: int, code: str) -> Placeholder:
        """Jinja2, Django, Twig and Liquid."""
        found = _FIRST_WORD.match(code)
        word = found[0] if found else ""
        if word in _VERBATIM and word == code:
            closed = _VERBATIM[word].search(self.text, end)
            return Placeholder(start, closed.end() if closed else len(self.text), Kind.COMMENT, "")
        if word.startswith("end"):
            self.open.close(word[len("end") :])
        elif word in {"elif", "elsif", "elseif", "when"} and self.open.frames:
            self.open.push(_Frame("", _names(code)))  # closed with the block that it stands in
        elif word in _BLOCKS:
            self.open.push(_frame(word, code))
        elif word in {"set", "assign", "increment", "let"} and "=" in code:
            self.open.bound.update(_names(code.partition("=")[0]))
        if " as " in code:
            self.open.bound.update(_names(code.rpartition(" as ")[2]))
        return Placeholder(start, end, Kind.CODE, code)

    def _angle(self, start: int, end: int, code: str) -> Placeholder:
        """ERB and EJS: <%= escaped %>, <%- raw in EJS %>, <%== raw in ERB %>, <%# comment %>, <% code %>."""
        if code[:1] in {"#", "%"}:
            return Placeholder(start, end, Kind.COMMENT, "")
        if code.startswith("=") or (code.startswith("-") and self.engine == "ejs"):
            raw = code.startswith(("==", "-"))
            inner = code.lstrip("=-").strip("- _\t\r\n")
            bare = re.sub(r"\Araw[ (]\s{0,9}([^()]{1,100})\)?\Z", r"\1", inner)
            return self._output(start, end, bare, raw=raw or bare != inner)
        inner = code.strip("-_ \t\r\n;")
        if re.match(r"end\b", inner) or (inner.startswith("}") and "{" not in inner):
            self.open.close("<%")
        elif re.search(r"\b(?:if|unless|case|for|forEach|each|while|do|map)\b", inner) and not inner.startswith("}"):
            self.open.push(_Frame("<%", _names(inner)))
        elif assigned := re.match(r"(?:(?:var|let|const)\s+)?(@?[A-Za-z_]\w{0,60})\s{0,9}(?:\|\||\?\?)?=(?!=)", inner):
            self.open.bound.add(assigned[1])
        return Placeholder(start, end, Kind.CODE, inner)


_BLOCKS = frozenset({
    "if", "unless", "for", "with", "macro", "call", "block", "filter", "autoescape", "case", "capture", "tablerow", "ifchanged",
    "ifequal", "ifnotequal", "blocktrans", "blocktranslate", "spaceless", "switch", "foreach", "section",
})  # fmt: skip
_IDENTIFIER = re.compile(r"@?[A-Za-z_][\w.-]{0,100}")
_QUOTED = re.compile(r"\"[^\"]*+\"|'[^']*+'")


def _names(code: str) -> tuple[str, ...]:
    """All words of code that may be variables; keywords among them do no harm."""
    return tuple(dict.fromkeys(_clean(name) for name in _IDENTIFIER.findall(_QUOTED.sub("", code))))


def _frame(word: str, code: str) -> _Frame:
    rest = code[len(word) :].strip()
    off = word == "autoescape" and rest.lower().startswith(("off", "false"))
    subject = word == "block" and rest.split(" ")[0].lower() == "subject"
    return _Frame(word, () if word == "block" else _names(rest), raw=off, subject=subject)


# --- what an output prints ---------------------------------------------------------------------------------------

_PIECES = re.compile(r"\"[^\"]*+\"|'[^']*+'|\|\|?|[^|\"']++|[\"']")
_BRAZE = re.compile(r"(?:[\w.]{0,60}\.)?\$\{([^{}]{1,100})\}\Z")
_VARIABLE = re.compile(r"(?:\.\./|this[./]|@root\.|[@$.])*+[A-Za-z_][\w:-]*+(?:\.[\w-]++|\[[^\[\]{}\r\n]{1,60}\])*+\Z")


def _variable(code: str) -> tuple[str | None, tuple[str, ...]]:
    """The variable that is printed, None where it is another expression, and the filters behind it in lower case."""
    parts = [""]
    for piece in _PIECES.findall(code):
        if piece == "|":
            parts.append("")
        else:
            parts[-1] += piece
    base = parts[0].strip()
    filters = tuple(found[0].lower() for part in parts[1:] if (found := _FIRST_WORD.match(part.strip())))
    braze = _BRAZE.match(base)
    base = braze[1].strip() if braze else base
    if base.endswith(".html_safe"):
        base, filters = base.removesuffix(".html_safe"), (*filters, "html_safe")
    return (_clean(base) if len(base) <= MAX_NAME and _VARIABLE.match(base) else None), filters


def _clean(name: str) -> str:
    """A name without what only says where to look for it."""
    return re.sub(r"\A(?:\.\./|this[./]|@root\.|[@$.])+", "", name)
