"""Rules about what a template does with the data that it is given: whether it renders, and what its values become."""

import re
from collections.abc import Iterator

from ...engine import rule
from ...facts.leftovers import missing_words, nothing_in
from ...facts.message import HtmlParts, TextParts
from ...facts.roots import PLANTED, DataKind, Rendering
from ...model import Findings, Level, NotApplicable, Problem
from ...saying import in_one_line, listed
from ..html import unread
from .rendered import MaybeSubject, Passage, seen, subject_passage

MOST_NAMED = 3  # values that one message names


@rule("template/does-not-render")
def does_not_render(rendering: Rendering) -> Findings:
    for fault in rendering.faults:
        yield Problem(in_one_line(fault.message, 300) + _with(rendering), fault.where, fix=fault.fix)


def _with(rendering: Rendering) -> str:
    """With which values, where they are not as people gave them or as they were made up."""
    if rendering.kind is DataKind.FULL:
        return ""
    names = f": {listed(rendering.guilty, MOST_NAMED)}" if rendering.guilty else ""
    return f" (with {rendering.kind.words}{names})"


def _whose(rendering: Rendering) -> str:
    """The values that are guilty, after which comes what they do."""
    return listed(rendering.guilty, MOST_NAMED) if rendering.guilty else "a value"


# --- what the data lacks -----------------------------------------------------------------------------------------


@rule("template/undeclared-variable")
def undeclared_variable(rendering: Rendering) -> Findings:
    if rendering.made_up:
        raise NotApplicable("the data was made up")
    for one in rendering.undeclared:
        near = f"; did you mean {in_one_line(one.near, 60)}?" if one.near else ""
        count = f", read {len(one.places)} times," if len(one.places) > 1 else ""
        # With a default, or a test around it, the mail goes out whole: what was not tried is only how it looks with the value.
        level = Level.NOTE if one.sure and not one.near else None
        where = one.places[0] if one.places else None
        yield Problem(f"{in_one_line(one.name, 100)}{count} is in no data set{near}", where, level)


@rule("template/missing-value-shows")
def missing_value_shows(rendering: Rendering, texts: TextParts, html: HtmlParts, subject: MaybeSubject) -> Findings:
    if rendering.kind not in {DataKind.MISSING, DataKind.EMPTY, DataKind.NONE}:
        raise NotApplicable("it was not rendered with values missing")
    yield from unread(html)
    words = missing_words() - rendering.own_words
    for passage in (*subject_passage(subject), *seen(texts, html)):
        known = {one.end for one in nothing_in(passage.text, subject=passage.name == "Subject")}  # template/unrendered-code's
        for start, word in _words(passage, words):
            if start + len(word) not in known:
                place = passage.place(start, start + len(word))
                yield Problem(f"{word} in {passage.name}{_with(rendering)}", place)


def _words(passage: Passage, words: frozenset[str]) -> Iterator[tuple[int, str]]:
    if words and any(word in passage.text for word in words):
        for found in re.finditer(rf"(?<!\w)(?:{'|'.join(sorted(words))})(?!\w)", passage.text):
            yield found.start(), found[0]


# --- what comes of a value's characters --------------------------------------------------------------------------

_INJECTED = re.compile(rf"[\r\n]\s*+{PLANTED}:", re.IGNORECASE)
_ESCAPED = re.compile(rf"&(?:amp;)*lt;b {PLANTED}", re.IGNORECASE)  # the value's "<b", with its "<" written out


def _tried(rendering: Rendering, kind: DataKind) -> None:
    if rendering.kind is not kind:
        raise NotApplicable(f"it was not rendered with {kind.words}")


@rule("template/header-injection")
def header_injection(rendering: Rendering) -> Findings:
    _tried(rendering, DataKind.LINES)
    for header in rendering.headers:
        if found := _INJECTED.search(header.value):
            what = f"{_whose(rendering)} brings line breaks into {header.name}: what follows them is a field of its own"
            yield Problem(what, header.place(found.start(), found.end()))


@rule("template/value-breaks-markup")
def value_breaks_markup(rendering: Rendering, html: HtmlParts) -> Findings:
    _tried(rendering, DataKind.HTML)
    yield from unread(html)
    for part, document in html.readable:
        told: set[int] = set()  # the parser opens a <b> that nobody closed again in the next paragraph
        for element in document.elements:
            planted = element.attribute(PLANTED)
            if planted is None or planted.start in told:
                continue
            told.add(planted.start)
            markup = element.tag == "b"
            where = part.where(element.offset, element.offset + 2) if markup else part.where(planted.start, planted.end)
            what = "arrives as markup" if markup else f"becomes an attribute of <{element.tag}>, which needs quotes"
            yield Problem(f"{_whose(rendering)} {what}", where)


@rule("template/escapes-shown")
def escapes_shown(rendering: Rendering, texts: TextParts, html: HtmlParts, subject: MaybeSubject) -> Findings:
    _tried(rendering, DataKind.HTML)
    yield from unread(html)
    for passage in (*subject_passage(subject), *seen(texts, html)):
        for found in _ESCAPED.finditer(passage.text):
            what = f"{_whose(rendering)} is shown with HTML's escapes in {passage.name}: & as &amp;"
            yield Problem(what, passage.place(found.start(), found.end()))
