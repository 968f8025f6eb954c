"""Rules about the names of links and images: what is read out for them."""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from ...engine import rule
from ...facts.accessibility import AccessibilityTree, AccessibilityTrees, Named
from ...memo import remembered
from ...model import Findings, Problem, Where
from ...rulefiles import data
from ...saying import shortened
from ..html import lacks_alt
from . import and_more, unread

MAX_ADDRESS = 40  # characters of an address that somebody may yet listen to, as a link's text: https://www.example.org/help
SHOWN = 60  # characters of a name in a message

_ADDRESS = re.compile(r"(?:https?://|www\.)\S+\Z", re.IGNORECASE)
_FILE = re.compile(r".{1,200}\.(?:png|jpe?g|gif|webp|svg|bmp|tiff?|avif|heic)\Z", re.IGNORECASE)
# What cameras, screens and programs call a picture: F30's "picture 1", "0001", "Intro#1".
_UNNAMED = re.compile(
    r"(?:(?:picture|image|photo|graphic|img|dsc[nf]?|pxl|screenshot|untitled|bild|imagen|foto)[ _#-]{0,3}\d[\d _-]{0,40}"
    r"|0\d{2,40}|\d{5,40})\Z",
    re.IGNORECASE,
)


# --- links -------------------------------------------------------------------------------------------------------


@rule("a11y/link-without-text")
def link_without_text(trees: AccessibilityTrees) -> Findings:
    yield from unread(trees)
    for tree in trees.each:
        bare = [link for link in tree.links if not link.is_named_elsewhere and not link.name and not _is_told(link)]
        if bare:
            first = bare[0]
            inside = "only images without words" if first.images else "nothing"
            what = f"a link to {shortened(first.element.get('href') or '', SHOWN) or 'nowhere'} holds {inside}"
            yield Problem(what + and_more(len(bare)), _at(tree, first))


def _is_told(link: Named) -> bool:
    """Whether html/missing-alt tells of it."""
    return any(lacks_alt(image) for image in link.images)


@rule("a11y/link-text-says-nothing")
def link_text_says_nothing(trees: AccessibilityTrees) -> Findings:
    yield from unread(trees)
    for tree in trees.each:
        named = [(link, link.name) for link in tree.links if not link.is_named_elsewhere]
        poor = [(link, name) for link, name in named if _says_nothing(name)]
        if poor:
            link, name = poor[0]
            yield Problem(f"all that a link says is {shortened(name, SHOWN)!r}{and_more(len(poor))}", _at(tree, link))
        yield from _spelled_out(tree, named)


def _spelled_out(tree: AccessibilityTree, named: list[tuple[Named, str]]) -> Iterator[Problem]:
    """Long addresses that are read out letter by letter, where no link with words leads to the same place."""
    spelled = [link for link, name in named if len(name) > MAX_ADDRESS and _ADDRESS.match(name)]
    if spelled:
        # Below a button, "if it does not work, copy this address" is a kindness.
        others = {link.element.get("href") for link, name in named if name and not _ADDRESS.match(name)}
        spelled = [link for link in spelled if link.element.get("href") not in others]
    if spelled:
        what = f"all that a link says is its address, {shortened(spelled[0].name, SHOWN)}{and_more(len(spelled))}"
        yield Problem(what, _at(tree, spelled[0]))


@remembered(2048, 100)
def _says_nothing(name: str) -> bool:
    return _plain(name) in _words("links")


# --- images ------------------------------------------------------------------------------------------------------


@rule("a11y/alt-says-nothing")
def alt_says_nothing(trees: AccessibilityTrees) -> Findings:
    yield from unread(trees)
    for tree in trees.each:
        poor = [(image, alt) for image in tree.images if (alt := (image.get("alt") or "").strip()) and _is_no_text(alt)]
        if poor:
            image, alt = poor[0]
            where = tree.part.where(max(image.offset, 0))
            yield Problem(f"the text for an image is {shortened(alt, SHOWN)!r}{and_more(len(poor))}", where)


@remembered(2048, 100)
def _is_no_text(alt: str) -> bool:
    return bool(_FILE.match(alt) or _UNNAMED.match(alt) or _plain(alt) in _words("images"))


# --- words -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def _words(of: str) -> frozenset[str]:
    return frozenset(_plain(word) for words in data("spoken-names")[of].values() for word in words)


def _plain(text: str) -> str:
    """A name without what is not read out: case, arrows and punctuation around it."""
    text = " ".join(text.casefold().split())
    if text.isascii():
        return text.strip(_ASCII_ASIDE)
    start, end = 0, len(text)
    while start < end and _is_aside(text[start]):
        start += 1
    while end > start and _is_aside(text[end - 1]):
        end -= 1
    return text[start:end]


def _is_aside(character: str) -> bool:
    return unicodedata.category(character)[0] in "PSZC"


_ASCII_ASIDE = "".join(filter(_is_aside, map(chr, range(128))))


def _at(tree: AccessibilityTree, link: Named) -> Where:
    return tree.part.where(max(link.element.offset, 0))
