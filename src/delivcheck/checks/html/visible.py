"""Rules about what a reader sees of the HTML: pictures in place of text, hidden text, characters without a shape."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator

from ...engine import rule
from ...facts.accessibility import AccessibilityTrees
from ...facts.headers import AddressFields, Subject
from ...facts.message import HtmlParts, TextParts
from ...mime.cascade import Hidden
from ...mime.html import Element, HtmlDocument, Text
from ...model import Findings, NotApplicable, Problem, Unavailable, Undetermined, Where
from ...saying import shortened
from . import is_pixel, lacks_alt, size_of, unread

MIN_CHARACTERS = (
    200  # of visible text beside images; ours (catalogue HTML005). SpamAssassin's steps go from 400 to 3,200 octets
)
MIN_RATIO = 0.02  # octets of visible text to octets of HTML without styles and comments; ours (catalogue HTML005)
ENOUGH_CHARACTERS = 400  # of visible text, from which no ratio counts; where SpamAssassin's HTML_IMAGE_ONLY_04 ends
COVERING = 60_000  # square px of an image that is content: 300 by 200; a logo is smaller
COVERING_WIDTH, COVERING_HEIGHT = 300, 200  # px, where only one of the two is known

MAX_HIDDEN = 300  # characters (catalogue HTML006); also what one preview text may have
MAX_HIDDEN_SHARE = 0.3  # of the visible characters (catalogue HTML006)
MIN_HIDDEN = 40  # characters below which no share counts: a hidden label or two hides nothing; ours

MAX_INVISIBLE = 5  # characters (catalogue HTML007)

_HOW = {
    Hidden.DISPLAY: "display: none",
    Hidden.VISIBILITY: "visibility: hidden",
    Hidden.OPACITY: "opacity",
    Hidden.FONT_SIZE: "font-size",
    Hidden.COLLAPSED: "no height or width",
    Hidden.COLOUR: "the colour of its background",
    Hidden.OFF_SCREEN: "a place off the screen",
    Hidden.CLIPPED: "clipping",
}
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u034f\u180e"
_INSIDE_WORD = re.compile(rf"(?<=\w)[{_INVISIBLE}]{{1,50}}(?=\w)")
# Hebrew to Mongolian: scripts that join letters or set no spaces, and need U+200B to U+200D for it (Unicode 23.2).
_NEEDING = re.compile("[\u0590-\u18af\ufb1d-\ufefc]")
_WORD_END, _WORD_START = re.compile("[\\w\u00ad]*\\Z"), re.compile("\\A[\\w\u00ad]*")
_LONG_WORD, _WIDEST_WORD = 10, 80  # letters from which a word is worth hyphenating, and that are looked at; ours


# --- pictures ----------------------------------------------------------------------------------------------------


@rule("html/image-only")
def image_only(html: HtmlParts, *, min_characters: int = MIN_CHARACTERS) -> Findings:
    yield from unread(html)
    for part, document in html.readable:
        # Catalogue T086: what is seen counts; neither alternative text nor white space.
        seen = document.visible_text.replace("\xa0", " ")
        enough = max(min_characters, ENOUGH_CHARACTERS)
        if len(" ".join(seen[: 10 * enough].split())) >= enough:
            continue  # as in most: the rest need not be looked at
        images = [image for image in document.all("img") if image.hidden is None and not is_pixel(image)]
        if not images:
            continue
        characters = len(" ".join(seen.split()))
        covering = next((image for image in images if _covers(image)), None)
        if characters < min_characters and covering is not None:
            what = f"{characters} characters of text beside {_count(images)}, fewer than {min_characters}"
            yield Problem(what, part.where(max(covering.offset, 0)))
        elif covering is not None and characters < ENOUGH_CHARACTERS:
            markup = _markup(document)
            if len(seen.encode("utf-8", "replace")) < MIN_RATIO * markup:
                what = f"{characters} characters of text in {markup} octets of markup with {_count(images)}"
                yield Problem(what, part.where(max(covering.offset, 0)))


def _markup(document: HtmlDocument) -> int:
    """Octets of HTML that are no style and no comment: how a mail is dressed says nothing of what it has to say."""
    aside = sum(len(text.data) for style in document.all("style") for text in style.texts)
    aside += sum(len(comment.text) for comment in document.comments)
    return len(document.source.encode("utf-8", "replace")) - aside


def _covers(image: Element) -> bool:
    """Whether an image is, or could be, the content: a large one, or one whose size is not told."""
    width, height = size_of(image)
    if width is not None and height is not None:
        return width * height >= COVERING
    return (width is None or width >= COVERING_WIDTH) and (height is None or height >= COVERING_HEIGHT)


def _count(images: list[Element]) -> str:
    return "an image" if len(images) == 1 else f"{len(images)} images"


@rule("html/missing-alt")
def missing_alt(html: HtmlParts, trees: AccessibilityTrees) -> Findings:
    yield from unread(html)
    for (part, document), tree in zip(html.readable, trees.each, strict=True):
        for image in document.all("img"):
            if lacks_alt(image):
                name = (image.get("src") or "").partition("?")[0].rpartition("/")[2] or "without a name"
                link = tree.around(image).link
                alone = ", which is all that its link holds" if link is not None and not link.name else ""
                yield Problem(f"the image {shortened(name, 80)} has no alt attribute{alone}", part.where(max(image.offset, 0)))


# --- hidden text -------------------------------------------------------------------------------------------------


@rule("html/hidden-text")
def hidden_text(html: HtmlParts, *, max_hidden: int = MAX_HIDDEN) -> Findings:
    yield from unread(html)
    for part, document in html.readable:
        # Catalogue T085: one preview text, conditional comments and what another screen shows are legitimate.
        hidden = [text for text in document.hidden_texts if text.hidden is not Hidden.RESPONSIVE]
        preview = {text.index for text in document.preheader}
        if _characters(text for text in hidden if text.index in preview) <= MAX_HIDDEN:
            hidden = [text for text in hidden if text.index not in preview]
        unseen = _characters(hidden)
        seen = len("".join(document.visible_text.split())) if hidden else 0  # which nobody asks then
        if unseen > max_hidden or (unseen >= MIN_HIDDEN and unseen > MAX_HIDDEN_SHARE * seen):
            for how in dict.fromkeys(text.hidden for text in hidden if text.hidden is not None):
                same = [text for text in hidden if text.hidden is how]
                longest = max(same, key=lambda text: len(text.data))
                what = f"{_characters(same)} characters are hidden by {_HOW.get(how, how)}, {seen} are seen"
                yield Problem(what, part.where(longest.offset_of(len(longest.data) - len(longest.data.lstrip()))))
        if document.styles_cut:
            yield Undetermined("the styles of the HTML are too many to be worked out in full", part.part.at)


def _characters(texts: Iterable[Text]) -> int:
    """Characters without white space and padding."""
    return sum(1 for text in texts for character in text.data if not character.isspace() and character not in _INVISIBLE)


# --- invisible characters ----------------------------------------------------------------------------------------


@rule("html/invisible-characters")
def invisible_characters(
    html: HtmlParts, texts: TextParts, addresses: AddressFields, subject: Subject | NotApplicable | Unavailable
) -> Findings:
    yield from unread(html)
    if isinstance(subject, Subject):
        yield from _obfuscated(subject.text, "the subject", _always(subject.field.at))
    for one in addresses.of("from"):
        for box in one.mailboxes:
            yield from _obfuscated(box.display_name or "", "the name in From", _always(one.field.at))
    for text in texts.each:
        yield from _obfuscated(text.text, "the text", text.where)
    for part, document in html.readable:
        yield from _obfuscated(document.visible_text, "the HTML", part.where_visible)


def _always(where: Where) -> Callable[[int], Where]:
    return lambda _: where


def _obfuscated(text: str, what: str, place: Callable[[int], Where]) -> Iterator[Problem]:
    if text.isascii():
        return
    found = [span for span in _INSIDE_WORD.finditer(text) if not _is_needed(text, *span.span())]
    count = sum(len(span[0]) for span in found)
    if count > MAX_INVISIBLE:
        first = found[0]
        name = f"U+{ord(first[0][0]):04X} {unicodedata.name(first[0][0], '')}".rstrip()
        yield Problem(f"{count} invisible characters inside words of {what}, the first is {name}", place(first.start()))


def _is_needed(text: str, start: int, end: int) -> bool:
    """Whether the script needs them, or they are the soft hyphens of a long word, with two letters or more between them."""
    if _NEEDING.match(text[start - 1]) or _NEEDING.match(text[end]):
        return True
    if text[start:end] != "\u00ad":
        return False
    word = _WORD_END.findall(text[max(0, start - _WIDEST_WORD) : start])[0] + text[start:end]
    word += _WORD_START.findall(text[end : end + _WIDEST_WORD])[0]
    pieces = word.split("\u00ad")
    return len(word) - len(pieces) + 1 >= _LONG_WORD and min(map(len, pieces)) > 1
