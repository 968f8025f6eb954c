"""Finds in a text what a template engine left behind, what a missing value was printed as, and what only a draft says.

Pure functions over one text; the patterns are in `rules/data/leftovers.toml`, each bounded, so that every search takes linear
time.
"""

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from ..memo import remembered
from ..rulefiles import data

MAX_TEXT = 1_000_000  # characters of one text that are searched; ten times what Gmail shows


class Found(NamedTuple):
    """What was found from `start` up to `end`; `text` are those characters, `what` says what they are.

    `level` is set where the characters may mean something else in a text ("warning").
    """

    start: int
    end: int
    text: str
    what: str
    level: str | None = None


class _Pattern(NamedTuple):
    what: str
    marker: str
    pattern: re.Pattern[str]
    level: str | None = None


class _Patterns(NamedTuple):
    """The data file, compiled."""

    code: tuple[_Pattern, ...]
    code_in_urls: tuple[_Pattern, ...]  # for a URL whose percent codes were decoded
    raw_urls: tuple[_Pattern, ...]  # for a URL as it is written
    url_mark: re.Pattern[str]  # what is in every URL with code: a marker, or a percent code that may hide one
    nothing: tuple[str, ...]
    object: str
    greeted_nothing: re.Pattern[str]
    greeted_nobody: re.Pattern[str]
    subject_nothing: re.Pattern[str]
    marked_nothing: re.Pattern[str]
    drafts: tuple["_Draft", ...]


class _Draft(NamedTuple):
    what: str
    place: str
    level: str | None
    pattern: re.Pattern[str]
    also: str  # is in all of it, too
    # One of them is in all that the pattern matches, with a character of it that few texts have, if it has one that is no
    # letter; whether it is looked for in any case, as those in lower case are.
    markers: tuple[tuple[str, str, bool], ...]


_SAMPLE = re.compile(r"```[\s\S]*?```|`[^`\r\n]{1,200}`")  # Markdown's code, which plain-text mail uses too
_HOLE = re.compile(r"\A\s*[,;]|,\s*[,!?](?=\s|\Z)")  # what is left of "{{ name }}, your order" and "Welcome back, {{ name }}!"
_URL_WORDS = frozenset({"undefined", "NaN", "[object Object]"})  # "null" and "None" also mean something in query strings
_FIRST_SEGMENTS = frozenset({"undefined", "null", "None", "NaN"})
_IN_URL = re.compile("|".join(sorted(_FIRST_SEGMENTS | {"object"})))  # one of them is in each of the above


def _alternatives(words: Collection[str]) -> str:
    longest_first = sorted(words, key=len, reverse=True)
    return "|".join(re.escape(word).replace(r"\ ", r"[ \xa0]") for word in longest_first)


def _rare(marker: str) -> str:
    return next((one for one in marker if one in "X]"), "")


def _named(engine: str) -> str:
    return engine if engine.startswith("a ") else f"code of {engine}"


@lru_cache(maxsize=1)
def _patterns() -> _Patterns:
    book = data("leftovers")

    def compiled(entries: list[dict[str, Any]]) -> tuple[_Pattern, ...]:
        return tuple(
            _Pattern(_named(one["name"]), one["marker"], re.compile(one["pattern"]), one.get("level")) for one in entries
        )

    code_in_urls = compiled([one for one in book["syntax"] if one.get("urls", True)])
    raw_urls = compiled(book["url"])
    url_markers = {"%", *(one.marker for one in (*code_in_urls, *raw_urls))}
    nothing = _alternatives(book["nothing"]["words"])
    greeting = _alternatives(book["greetings"]["words"])
    labels = _alternatives(book["nothing"]["labels"])
    # After the word: perhaps the family name that was there, then the end of the greeting.
    ends = r"(?=(?:[ \t\xa0]+[A-ZÀ-Þ][^\s,.!?;:]{0,40}){0,2}[ \t\xa0]*(?:[,.!?;:)\r\n]|\Z))"
    return _Patterns(
        code=compiled(book["syntax"]),
        code_in_urls=code_in_urls,
        raw_urls=raw_urls,
        url_mark=re.compile("|".join(map(re.escape, sorted(url_markers)))),
        nothing=tuple(book["nothing"]["words"]),
        object=book["nothing"]["object"],
        greeted_nothing=re.compile(rf"(?m:^)[ \t\xa0>]{{0,8}}((?i:{greeting})[ \t\xa0]+(?:{nothing})){ends}"),
        greeted_nobody=re.compile(rf"(?m:^)[ \t\xa0>]{{0,8}}((?i:{greeting})[ \t\xa0]+,)"),
        subject_nothing=re.compile(
            rf"\A[\s\W]{{0,4}}({nothing})\s*[,!]"
            rf"|,\s*({nothing})\s*[!.?]*\Z"
            rf"|(?<!\w)(?i:{greeting}|{labels})\.?[ \t:]{{1,3}}({nothing}){ends}"
            rf"|(?<!\w)(?i:{labels})\.?[ \t:]{{1,3}}(undefined|NaN)(?![\w-])"
            rf"|(?<!\w)({nothing})['’]s(?!\w)"
        ),
        marked_nothing=re.compile(rf"[#№$€£¥₹][ \xa0]?({nothing})(?![\w-])"),
        drafts=tuple(
            _Draft(
                one["what"],
                one["in"],
                one.get("level"),
                re.compile(one["pattern"]),
                one.get("also", ""),
                tuple((marker, _rare(marker), marker.islower()) for marker in one.get("markers", ())),
            )
            for one in book["draft"]
        ),
    )


# --- code --------------------------------------------------------------------------------------------------------


def code_in(text: str, fields: Collection[str] = (), *, markdown: bool = False) -> Iterator[Found]:
    """Template code in a text that a reader sees or in a header; `fields` are names that count in single braces too.

    `markdown`: what stands in Markdown's code marks is a sample, as in plain text. HTML has `<code>` for that.
    """
    text = text[:MAX_TEXT]
    if markdown and "`" in text:
        text = _SAMPLE.sub(lambda sample: " " * len(sample[0]), text)
    yield from _code(text, _patterns().code)
    if fields and "{" in text:
        for match in re.finditer(rf"(?<!\{{)\{{(?:{'|'.join(map(re.escape, fields))})\}}(?!\}})", text):
            yield Found(*match.span(), match[0], "a field of your own")


def code_in_url(url: str) -> Iterator[Found]:
    """Template code in a URL, as written or percent-encoded. The spans are those of the decoded URL, good for nothing else."""
    patterns = _patterns()
    url = url[:MAX_TEXT]
    if patterns.url_mark.search(url):
        yield from _code(url, patterns.raw_urls)
        yield from _code(unquote(url), patterns.code_in_urls)


@remembered(2048)
def has_code(url: str) -> bool:
    """Whether template code is left in a URL."""
    return next(code_in_url(url), None) is not None


def _code(text: str, patterns: tuple[_Pattern, ...]) -> Iterator[Found]:
    """All matches in order of place; where two kinds meet, the first of the book counts."""
    found: list[Found] = []
    for what, marker, pattern, level in patterns:
        if marker[0] in text and marker in text:  # one character is found ten times as fast as two
            found += [Found(*match.span(), match[0], what, level) for match in pattern.finditer(text)]
    found.sort(key=lambda one: one.start)
    end = 0
    for one in found:
        if one.start >= end:
            yield one
            end = one.end


# --- missing values ----------------------------------------------------------------------------------------------


def nothing_in(text: str, *, subject: bool = False) -> Iterator[Found]:
    """What a missing value was printed as: after a greeting, a number sign or a currency; in a subject in more places."""
    patterns = _patterns()
    text = text[:MAX_TEXT]
    start = text.find(patterns.object) if "[" in text else -1
    while start >= 0:
        yield Found(start, start + len(patterns.object), patterns.object, "an object printed as text")
        start = text.find(patterns.object, start + 1)
    if not any(word in text for word in patterns.nothing):
        return
    for match in patterns.marked_nothing.finditer(text):
        yield Found(*match.span(1), match[0], "a missing value")
    if not subject:
        for match in patterns.greeted_nothing.finditer(text):
            yield Found(*match.span(1), match[1], "a greeting without its name")
        return
    for match in patterns.subject_nothing.finditer(text):
        group = match.lastindex or 0
        yield Found(*match.span(group), match[group], "a missing value")


def missing_words() -> frozenset[str]:
    """The words that a missing value is printed as."""
    return frozenset(_patterns().nothing)


def nothing_in_url(url: str) -> str | None:
    """The part of a URL that a missing value was printed into, None if there is none."""
    if url.isprintable() and not _IN_URL.search(url):  # from others `urlsplit` takes something out
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    first = parts.path.partition("/")[2].partition("/")[0]
    if first in _FIRST_SEGMENTS:
        return first
    if not any(word in parts.query for word in ("undefined", "NaN", "object")):
        return None
    return next((f"{name}={value}" for name, value in parse_qsl(parts.query[:MAX_TEXT]) if value in _URL_WORDS), None)


def nobody_in(text: str, *, subject: bool = False) -> Iterator[Found]:
    """A greeting whose name was empty: "Hi ,"; and in a subject the comma that is left."""
    if "," not in text and ";" not in text:
        return
    if " ," in text or ("\t" in text and "\t," in text) or "\xa0," in text:  # what such a greeting ends with
        for match in _patterns().greeted_nobody.finditer(text[:MAX_TEXT]):
            yield Found(*match.span(1), match[1], "a greeting without a name")
    if subject:
        match_ = _HOLE.search(text)
        if match_:
            begins = (
                "begins with a comma"
                if match_.start() == 0 and match_[0].strip() in ",;"
                else "has a comma with nothing before it"
            )
            yield Found(*match_.span(), match_[0].strip(), begins)


# --- drafts ------------------------------------------------------------------------------------------------------


def drafts_in(text: str, *, subject: bool = False) -> Iterator[tuple[Found, str | None]]:
    """What only a draft says, each kind once, with the level that the book gives it (None: the rule's own)."""
    place = "subject" if subject else "text"
    text = text[:MAX_TEXT]
    lowered = _lowered(text)
    for one in _patterns().drafts:
        if one.place not in {"both", place} or one.also not in text:
            continue
        if one.markers and not any(
            rare in text and marker in (lowered if folds else text) for marker, rare, folds in one.markers
        ):
            continue
        match = one.pattern.search(text)
        if match:
            yield Found(*match.span(), match[0], one.what), one.level


def _lowered(text: str) -> str:
    """A text in which an ASCII word stands wherever a pattern that ignores case finds it: to `re`, ı is an i and ſ an s."""
    if not text.isascii():
        text = text.replace("\u0130", "i").replace("\u0131", "i").replace("\u017f", "s")
    return text.lower()
