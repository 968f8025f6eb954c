"""Finds in CSS what mail clients do not all support: the features of `client-features.toml`, declaration by declaration."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ..memo import remembered
from ..mime.cascade import colour
from ..mime.css import LONGEST_SHEET, LONGEST_STYLE, MAX_SHEET, MAX_STYLE
from ..mime.css_source import Block, Declaration, blocks, declarations, without_comments
from ..rulefiles import data

OUTLOOK_HIDES = "mso-hide"  # no feature: Word's engine does not show this element

_FUNCTION = re.compile(r"(?<![\w-])([a-z][a-z-]*)\(")
_UNIT = re.compile(r"\d([a-z]{2,4})(?![\w-])")
_NEGATIVE = re.compile(r"(?:^|\s)-0*\.?0*[1-9]")
_SPACED = re.compile(r"(?<![\w-])rgba?\(\s*+[\d.]++%?\s++[\d.]")
_SOME_COLOUR = re.compile(r"#[0-9a-f]{3}|(?<![\w-])(?:rgb|hsl)a?\(")
_BRACKETS = re.compile(r"[()]")
_NOTHING = re.compile(r"0*\.?0+(?:[a-z%]*)\Z")
_SHOWN = re.compile(r"attr\(|[\"'][^\"']*\w")  # of `content`: words, not decoration
_NAME = re.compile(r"\[[^\]]*\]?|::?[a-z-]+(?:\([^)]*\)?)?|[.#]?[\w-]+", re.IGNORECASE)
_NAMED = re.compile(r"\[\s*(class|id)\s*~?=\s*[\"']?([^\"'\]]*)", re.IGNORECASE)
_ADDED = re.compile(r":(before|after)", re.IGNORECASE)
_STATES = ("hover", "focus", "active", "checked", "target", "visited")  # what they change nobody misses
_BACKGROUND = frozenset({"background", "background-color", "background-image"})
_SIZES = frozenset({"max-height", "height", "font-size", "max-width", "width", "opacity"})
MAX_SELECTORS = 200  # of one rule that are looked at
MAX_FAMILIES = 20  # fonts of one sheet that are looked for; a mail loads two or three


class Hit(NamedTuple):
    """A feature, and where in the style attribute or sheet it stands."""

    feature: str
    start: int


class RuleHit(NamedTuple):
    """The same in a rule; `selectors` are the names that must all be there for one of its selectors to fit anything."""

    feature: str
    start: int
    selectors: tuple[frozenset[str], ...]


class SheetHits(NamedTuple):
    """What a style element holds: features, fonts that it loads, and whether any of its rules holds without conditions."""

    hits: tuple[RuleHit, ...]
    families: tuple[str, ...]
    holds: bool


class _Table(NamedTuple):
    """How features are told by declarations."""

    properties: Mapping[str, tuple[tuple[str, frozenset[str]], ...]]  # feature and words; no words: any value
    functions: Mapping[str, str]
    units: Mapping[str, str]
    matters: frozenset[str]
    unless: Mapping[str, frozenset[str]]


@lru_cache(maxsize=1)
def _table() -> _Table:
    judged: Mapping[str, Any] = data("client-features")
    properties: dict[str, list[tuple[str, frozenset[str]]]] = {}
    functions, units = {}, {}
    for name, one in judged["feature"].items():
        for each in one.get("properties", ()):
            properties.setdefault(each, []).append((name, frozenset()))
        for each, words in one.get("values", {}).items():
            properties.setdefault(each, []).append((name, frozenset(words)))
        functions.update(dict.fromkeys(one.get("functions", ()), name))
        units.update(dict.fromkeys(one.get("units", ()), name))
    return _Table(
        {name: tuple(found) for name, found in properties.items()},
        functions,
        units,
        frozenset(judged["matters"]),
        {name: frozenset(one.get("unless", ())) for name, one in judged["feature"].items()},
    )


@remembered(8192, LONGEST_STYLE)
def in_style(text: str) -> tuple[Hit, ...]:
    """The features of a style attribute, in order; those that a declaration beside them makes up for are left out."""
    return _in_block(tuple(declarations(without_comments(text[:MAX_STYLE]))))


@remembered(32, LONGEST_SHEET)
def in_sheet(text: str) -> SheetHits:
    """The features of a style element. What holds only in some media, some clients or some states is let pass."""
    hits: list[RuleHit] = []
    families: dict[str, None] = {}
    holds = False
    for block in blocks(text[:MAX_SHEET]):
        if block.head.startswith("@"):
            for one in block.declarations:
                if one.name == "font-family" and block.head.lower().startswith("@font-face"):
                    families[one.value.strip("\"' ")] = None
        elif not block.conditional:
            holds = holds or any(":" in piece for _, piece in block.pieces)
            hits.extend(_in_rule(block))
    hits.sort(key=lambda hit: hit.start)
    return SheetHits(tuple(hits), tuple(families)[:MAX_FAMILIES], holds)


def has_colour(text: str) -> bool:
    """Whether a style attribute sets a background colour."""
    return any(_colours(one) for one in declarations(without_comments(text[:MAX_STYLE])))


def hides(text: str) -> bool:
    """Whether a style attribute hides its element in a way that all clients know."""
    return any(_hides(one) for one in declarations(without_comments(text[:MAX_STYLE])))


# --- one rule ----------------------------------------------------------------------------------------------------


def _in_rule(block: Block) -> Iterator[RuleHit]:
    if block.nested:
        yield RuleHit("css-nesting", block.start, (frozenset(),))
    added = _ADDED.search(block.head)
    if added is None:
        if len(block.pieces) == 1:  # sheets repeat one another, too
            ((place, text),) = block.pieces
            inside = in_style(text)
        else:
            place, inside = 0, _in_block(block.declarations)
        found = [Hit(hit.feature, place + hit.start) for hit in inside if hit.feature != OUTLOOK_HIDES]
    else:  # what else is said of it decorates
        feature = f"css-pseudo-element-{added[1].lower()}"
        found = [Hit(feature, one.start) for one in block.declarations if one.name == "content" and _SHOWN.search(one.value)]
    if found:
        selectors = tuple(_selectors(block.head))
        for hit in found:
            yield RuleHit(hit.feature, hit.start, selectors)


def _selectors(head: str) -> Iterator[frozenset[str]]:
    """Of each selector the tags, .classes and #ids that it names; selectors of states are left out."""
    for text in head.split(",")[:MAX_SELECTORS]:
        names: list[str] = _NAME.findall(text)
        if not any(name.startswith(":") and name.lstrip(":").lower().startswith(_STATES) for name in names):
            found = {name if name[0] in ".#" else name.lower() for name in names if name[0] not in ":["}
            for attribute, value in _NAMED.findall(text):  # [class="a b"] and [class~=a] ask for no less than .a.b
                found.update((".#"[attribute.lower() == "id"]) + each for each in value.split())
            yield frozenset(found)


def _in_block(written: Sequence[Declaration]) -> tuple[Hit, ...]:
    table = _table()
    found = [(one, each) for one in written for each in _features(one, table)]
    if not found:
        return ()
    by_name: dict[str, list[Declaration]] = {}
    for one in written:
        by_name.setdefault(one.name, []).append(one)
    has = {(one.start, feature) for one, feature in found}
    coloured = hidden = None
    hits: dict[str, Hit] = {}  # each but once: one place is one element
    for one, feature in found:
        unless = table.unless.get(feature, frozenset())
        if "colour" in unless:
            if coloured is None:
                coloured = any(_colours(each) for each in written)
            if coloured:
                continue
        if "hidden" in unless:
            if hidden is None:
                hidden = any(_hides(each) for each in written)
            if hidden:
                continue
        others = by_name[one.name]
        if len(others) == 1 or not any((each.start, feature) not in has and each.value[:1] != "-" for each in others):
            hits.setdefault(feature, Hit(feature, one.start))
    return tuple(hits.values())


def _features(one: Declaration, table: _Table) -> Iterator[str]:
    name, value = one.name, one.value
    for feature, words in table.properties.get(name, ()):
        if (not words and value not in {"none", "normal", "initial", "inherit", "unset", "auto"}) or (
            words and not words.isdisjoint(value.split())
        ):
            yield feature
    if name == OUTLOOK_HIDES:
        if value == "all":
            yield OUTLOOK_HIDES
    elif name in table.matters:
        if "(" in value:
            for function in dict.fromkeys(_FUNCTION.findall(value)):
                if function in table.functions:
                    yield table.functions[function]
            if "rgb" in value and _SPACED.search(value):
                yield "css-rgb"
            if name in _BACKGROUND and "url(" in value:
                yield "css-background-image"
        for unit in dict.fromkeys(_UNIT.findall(value)) if "url(" not in value else ():
            if unit in table.units:
                yield table.units[unit]
        if name.startswith("margin") and "-" in value and _NEGATIVE.search(value):
            yield "css-margin"


def _colours(one: Declaration) -> bool:
    """Whether a declaration gives a background a colour: as such or before and after an image, not in a gradient."""
    if one.name not in {"background", "background-color"}:
        return False
    depth = at = 0
    outside = []
    for found in _BRACKETS.finditer(one.value):
        if not depth:
            outside.append(one.value[at : found.end()])
        depth = depth + 1 if found[0] == "(" else max(depth - 1, 0)
        at = found.end()
    if not depth:
        outside.append(one.value[at:])
    text = " ".join(outside)
    return _SOME_COLOUR.search(text) is not None or any(word.isalpha() and colour(word) is not None for word in text.split())


def _hides(one: Declaration) -> bool:
    return (one.name == "display" and one.value == "none") or (one.name in _SIZES and _NOTHING.match(one.value) is not None)
