"""A template's source as rules read it: every placeholder, and where in the mail its value will stand."""

import re
from bisect import bisect_right
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, lru_cache

from ..engine import fact
from ..model import Where
from ..records.placeholders import Kind, Placeholder, scan
from ..rulefiles import data
from .roots import TemplateRole, TemplateSource, TemplateText
from .unsubscribe_links import says_leave

MAX_FRONT_MATTER = (
    20_000  # characters of the block between two lines of hyphens; Jekyll and Maizzle have no limit, real ones 1,000
)
MAX_SEARCHED = 1_000_000  # characters of one text that are searched for words, from its end, where footers are
NEAR = 160  # characters before a placeholder that can greet
MAX_BEFORE = 2_000  # characters of a URL before a placeholder; as much as Outlook takes of a whole one
STEP = 1_000  # characters between two places whose octets were counted

MASK = "\ue000"  # a private character stands for each of a placeholder's: `{% if a > b %}` must not end a tag


class Context(StrEnum):
    """Where a value will stand."""

    SUBJECT = "subject"
    TEXT = "text"
    URL = "url"  # in an attribute whose value is a URL
    ATTRIBUTE = "attribute"
    UNSEEN = "unseen"  # in a comment, a style sheet, a script, other front matter


@dataclass(frozen=True, slots=True)
class Used:
    """A placeholder in its place.

    `before` is what stands before it in the attribute's value, with MASK for other placeholders. `greeted`: it prints a
    variable and a greeting stands before it. `in_html`: the text it is in becomes HTML.
    """

    placeholder: Placeholder
    context: Context
    at: Where
    attribute: str = ""
    before: str = ""
    greeted: bool = False
    in_html: bool = False

    @property
    def text(self) -> str:
        """The code, short enough to be told."""
        code = " ".join(self.placeholder.code.split())
        return f"{code[:60]}…" if len(code) > 60 else code


@dataclass(frozen=True)
class TemplateBody:
    """One text of a template that a reader will see: the HTML or the plain text."""

    source: TemplateText
    used: tuple[Used, ...]
    includes: bool  # whether other templates belong to it
    at: Where
    _view: "_View"
    _others: tuple[str, ...] = ()  # the texts of what it includes
    _engine: str | None = None

    @cached_property
    def leaves(self) -> bool:
        """Whether it, or what it includes, has a way to leave: a variable, a platform's tag, or a link that says so."""
        if _leaves(self._view, self.used):
            return True
        role = self.source.role
        return any(_leaves(*_seen(TemplateText(text, role), self._engine)) for text in self._others)


@dataclass(frozen=True, slots=True)
class TemplateBodies:
    """All texts with their placeholders; the subject's stand with the text that has it, or in one of its own."""

    each: tuple[TemplateBody, ...]
    required: frozenset[str]
    engine: str | None

    @property
    def used(self) -> Iterator[Used]:
        """The placeholders of all texts."""
        for body in self.each:
            yield from body.used


_TAGS = re.compile(
    r"<(?:!doctype|html|head|body|table|tr|td|div|p|a|span|br|img|h[1-6]|ul|ol|li|strong|em|b|i|center|style|mjml|mj-\w+)\b[^<]*>",
    re.IGNORECASE,
)


def role_of(source: str, name: str) -> TemplateRole:
    """What a text becomes, by its file's name and by whether it has HTML tags."""
    stem = name.replace("\\", "/").rpartition("/")[2].lower()
    if _TAGS.search(source):
        return TemplateRole.HTML
    if re.search(r"(?:\A|[._-])subject(?:[._-]|\Z)", stem):
        return TemplateRole.SUBJECT
    return TemplateRole.PLAIN


@fact
def template_bodies(template: TemplateSource) -> TemplateBodies:
    """Find the placeholders of every text."""
    bodies = tuple(_body(text, template) for text in template.texts)
    return TemplateBodies(bodies, frozenset(template.required), template.engine)


def _body(source: TemplateText, template: TemplateSource) -> TemplateBody:
    view, used = _seen(source, template.engine)
    others = template.others
    includes = others is None and any(one.includes for one in view.found)  # else they have been read
    return TemplateBody(source, used, includes, view.place(0, 0), view, others or (), template.engine)


def _seen(source: TemplateText, engine: str | None) -> tuple["_View", tuple[Used, ...]]:
    view = _View(source, scan(source.text, engine))
    return view, tuple(view.used(one) for one in view.found if one.kind is not Kind.COMMENT)


# --- where a placeholder stands ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Span:
    """A stretch of the source that is no text: an attribute's value, or what nobody sees."""

    start: int
    end: int
    context: Context
    attribute: str = ""


@lru_cache(maxsize=1)
def _url_attributes() -> frozenset[str]:
    return frozenset(data("templates")["attributes"]["url"])


_TAG = re.compile(r"</?([A-Za-z\ue000][^\s/>]*+)")
# The rest of a tag with no placeholder in it, as most are: what `_attributes` finds of it is in nobody's way.
_PLAIN_REST = re.compile(
    rf"""(?:[\s/]*+[^\s=>/"'{MASK}]++(?:\s*+=\s*+(?:"[^"{MASK}]*+"|'[^'{MASK}]*+'|[^\s>"'{MASK}][^\s>{MASK}]*+))?+)*+[\s/]*+>"""
)
_BETWEEN = re.compile(r"[\s/]*+")
_ATTRIBUTE = re.compile(r"([^\s=>/]++)(?:\s*+=\s*+)?")
_BARE = re.compile(r"[^\s>]*+")
_CLOSERS = {tag: re.compile(rf"</{tag}", re.IGNORECASE) for tag in ("style", "script", "mj-style")}
_LINE_SUBJECT = re.compile(r"\A\s*subject:[^\n]*", re.IGNORECASE)
_FRONT_MATTER = re.compile(r"\A\ufeff?---[ \t]*\r?\n")
_FRONT_SUBJECT = re.compile(r"^subject[ \t]*:[^\n]*", re.IGNORECASE | re.MULTILINE)


class _View:
    """A source with its placeholders masked, cut into spans."""

    def __init__(self, source: TemplateText, found: tuple[Placeholder, ...]) -> None:
        self.source, self.text, self.found = source, source.text, found
        pieces: list[str] = []
        at = 0
        for one in found:
            pieces += [self.text[at : one.start], MASK * (one.end - one.start)]
            at = one.end
        self.masked = "".join([*pieces, self.text[at:]])
        self.spans = tuple(self._cut())
        self._starts = [span.start for span in self.spans]

    @property
    def shown(self) -> str:
        """The masked source with blanks for what nobody sees."""
        pieces: list[str] = []
        at = 0
        for span in self.spans:
            if span.context is Context.UNSEEN:
                pieces += [self.masked[at : span.start], " " * (span.end - span.start)]
                at = span.end
        return "".join([*pieces, self.masked[at:]])

    def _cut(self) -> Iterator[_Span]:
        if self.source.role is TemplateRole.SUBJECT:
            yield _Span(0, len(self.text), Context.SUBJECT)
            return
        begin = 0
        opened = _FRONT_MATTER.match(self.masked)
        closed = self.masked.find("\n---", opened.end() - 1, MAX_FRONT_MATTER) if opened else -1
        if closed >= 0:
            begin = closed + len("\n---")
            subject = _FRONT_SUBJECT.search(self.masked, 0, begin)
            yield from _around(0, begin, subject, Context.UNSEEN)
        elif self.source.role is TemplateRole.PLAIN and (first := _LINE_SUBJECT.match(self.masked)):
            yield _Span(first.start(), first.end(), Context.SUBJECT)
        if self.source.role is TemplateRole.HTML:
            yield from self._markup(begin)

    def _markup(self, at: int) -> Iterator[_Span]:
        masked = self.masked
        while (at := masked.find("<", at)) >= 0:
            if masked.startswith("<!--", at):
                end = masked.find("-->", at)
                end = len(masked) if end < 0 else end
                yield _Span(at, end, Context.UNSEEN)
                at = end
            elif tag := _TAG.match(masked, at):
                plain = _PLAIN_REST.match(masked, tag.end())
                at = plain.end() if plain else (yield from self._attributes(tag.end()))
                closer = _CLOSERS.get(tag[1].lower())
                if closer is not None and masked[tag.start() + 1] != "/":
                    closing = closer.search(masked, at)
                    end = closing.start() if closing else len(masked)
                    yield _Span(at, end, Context.UNSEEN)
                    at = end
            else:
                at += 1

    def _attributes(self, at: int) -> Generator[_Span, None, int]:
        """The attributes of a tag from the end of its name on; returns the place after it."""
        masked = self.masked
        while True:
            at = self._after(_BETWEEN, at)
            name = _ATTRIBUTE.match(masked, at)
            if name is None:
                return at + 1 if masked.startswith(">", at) else min(at + 1, len(masked))
            at = name.end()
            if "=" not in name[0]:
                continue
            quote = masked[at : at + 1]
            if quote in {'"', "'"}:
                start, closing = at + 1, masked.find(quote, at + 1)
                end = len(masked) if closing < 0 else closing
                at = min(end + 1, len(masked))
            else:
                start, end = at, self._after(_BARE, at)
                at = end
            attribute = name[1].lower()
            if end > start:
                yield _Span(start, end, Context.URL if attribute in _url_attributes() else Context.ATTRIBUTE, attribute)

    def _after(self, pattern: re.Pattern[str], at: int) -> int:
        found = pattern.match(self.masked, at)
        return found.end() if found else at

    def used(self, one: Placeholder) -> Used:
        where = self.place(one.start, one.end)
        if one.in_subject:
            return Used(one, Context.SUBJECT, where)
        in_html = self.source.role is TemplateRole.HTML
        number = bisect_right(self._starts, one.start) - 1
        span = self.spans[number] if number >= 0 else None
        if span is None or span.end <= one.start:
            greeted = one.name is not None and self._greeted(one.start)
            return Used(one, Context.TEXT, where, greeted=greeted, in_html=in_html)
        before = self.masked[max(span.start, one.start - MAX_BEFORE) : one.start] if span.attribute else ""
        return Used(one, span.context, where, span.attribute, before, in_html=in_html)

    def _greeted(self, start: int) -> bool:
        near = self.masked[max(0, start - NEAR) : start]
        if self.source.role is TemplateRole.HTML:
            near = _INLINE.sub("", _BLOCK.sub("\x00", " ".join(near.rpartition("-->")[2].split("\n")))).replace("\x00", "\n")
        return _greeting().search(near) is not None

    # --- places

    @cached_property
    def _lines(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer("\n", self.text))]

    @cached_property
    def _is_ascii(self) -> bool:
        return self.text.isascii()

    @cached_property
    def _octets(self) -> list[int]:
        """How many octets stand before each STEP characters."""
        sums = [0]
        for at in range(0, len(self.text), STEP):
            sums.append(sums[-1] + len(self.text[at : at + STEP].encode("utf-8", "replace")))
        return sums

    def _octets_before(self, at: int) -> int:
        steps = at // STEP
        return self._octets[steps] + len(self.text[steps * STEP : at].encode("utf-8", "replace"))

    def place(self, start: int, end: int) -> Where:
        number = bisect_right(self._lines, start)
        first = self._lines[number - 1]
        same = end > start and (number == len(self._lines) or end < self._lines[number])
        column = self._octets_between(first, start) + 1
        return Where(
            file=self.source.file,
            line=number,
            column=column,
            end_column=column + self._octets_between(start, end) if same else None,
        )

    def _octets_between(self, start: int, end: int) -> int:
        if self._is_ascii:
            return end - start
        if end - start <= STEP:
            return len(self.text[start:end].encode("utf-8", "replace"))
        return self._octets_before(end) - self._octets_before(start)


def _around(start: int, end: int, subject: re.Match[str] | None, context: Context) -> Iterator[_Span]:
    if subject is None:
        yield _Span(start, end, context)
        return
    yield _Span(start, subject.start(), context)
    yield _Span(subject.start(), subject.end(), Context.SUBJECT)
    yield _Span(subject.end(), end, context)


_BLOCK = re.compile(r"</?(?:p|div|td|th|tr|table|tbody|h[1-6]|br|li|ul|ol|center|body|mj-[\w-]+)\b[^<>]*>", re.IGNORECASE)
_INLINE = re.compile(r"<[^<>]*>|\A[^<>]*>|<[^<>]*\Z")


@lru_cache(maxsize=1)
def _greeting() -> re.Pattern[str]:
    words = sorted(data("leftovers")["greetings"]["words"], key=len, reverse=True)
    return re.compile(rf"(?:\A|[\n.!?:>])[\s\ue000]*+(?:{'|'.join(map(re.escape, words))})[ \t\xa0\ue000]*+\Z", re.IGNORECASE)


# --- the way out -------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _ways_out() -> tuple[re.Pattern[str], re.Pattern[str]]:
    book = data("templates")["unsubscribe"]
    return (
        re.compile("|".join(map(re.escape, book["words"])), re.IGNORECASE),
        re.compile("|".join(book["tags"]), re.IGNORECASE),
    )


_LINK = re.compile(r"<(?:a|area|mj-button|mj-navbar-link)\b([^<>]{0,2000})>", re.IGNORECASE)
_LINK_END = re.compile(r"</(?:a|mj-)", re.IGNORECASE)
_ADDRESS = re.compile(rf"https?://|mailto:|www\.|{MASK}", re.IGNORECASE)
MAX_LINK_TEXT = 500  # characters of a link's text


def _leaves(view: _View, used: tuple[Used, ...]) -> bool:
    """Whether a text has a variable or a tag for leaving the list, or a link whose text or address says so."""
    words, tags = _ways_out()
    if any(words.search(one.placeholder.code) for one in used if one.context is not Context.UNSEEN):
        return True
    shown = view.shown[-MAX_SEARCHED:]
    if tags.search(shown):
        return True
    return _a_link_says(shown) if view.source.role is TemplateRole.HTML else _a_line_says(shown)


def _a_link_says(shown: str) -> bool:
    words, _ = _ways_out()
    for link in _LINK.finditer(shown):
        text = _LINK_END.split(shown[link.end() : link.end() + MAX_LINK_TEXT], maxsplit=1)[0]
        if words.search(link[1]) or says_leave(_INLINE.sub(" ", shown[max(0, link.start() - NEAR) : link.start()] + text)):
            return True
    return False


def _a_line_says(shown: str) -> bool:
    before = ""
    for line in shown.splitlines():
        if _ADDRESS.search(line) and says_leave(before[-NEAR:] + " " + line):
            return True
        before = line.strip() or before
    return False
