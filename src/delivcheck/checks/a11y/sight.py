"""Rules about what those with weak sight can make out."""

from ...engine import rule
from ...facts.accessibility import AccessibilityTree, AccessibilityTrees
from ...mime.cascade import Rgb, Style, contrast
from ...mime.html import Element, Text
from ...model import Findings, Problem, Undetermined
from ...saying import in_one_line
from . import and_more, unread

MIN_CONTRAST = 4.5  # WCAG 2.2 section 1.4.3
MIN_LARGE_CONTRAST = 3.0  # the same, of large text
LARGE = 18.66  # px: 14 pt, from which bold text is large; text from 24 px, 18 pt, is anyway (WCAG 2.2, "large scale")
# What is fainter is meant not to be seen: preview texts, mostly. What is hidden altogether ends at cascade.SAME_COLOUR.
UNSEEN = 1.2
SHOWN = 40  # characters of a text in a message
_LARGE_TAGS = frozenset({"h1", "h2", "h3"})  # 2, 1.5 and 1.17 em, bold, where no style says otherwise (HTML section 15.3.7)


@rule("a11y/low-contrast")
def low_contrast(trees: AccessibilityTrees, *, min_contrast: float = MIN_CONTRAST) -> Findings:
    yield from unread(trees)
    for tree in trees.each:
        if tree.document.styles_cut:
            yield Undetermined("the styles of the HTML are too many to be worked out in full", tree.part.part.at)
            continue
        for (ink, paper, asked), texts in _faint(tree, min_contrast).items():
            shown = in_one_line(texts[0].data.strip(), SHOWN)
            data = texts[0].data
            ratio = int(contrast(ink, paper) * 100) / 100  # never rounded up: 4.499 does not do (WCAG 2.2, Understanding 1.4.3)
            what = f"{shown!r} in {_hex(ink)} on {_hex(paper)} has a contrast of {ratio}:1, below {asked:g}:1"
            where = tree.part.where(texts[0].offset_of(len(data) - len(data.lstrip())))
            yield Problem(what + and_more(len(texts)), where)


def _faint(tree: AccessibilityTree, min_contrast: float) -> dict[tuple[Rgb, Rgb, float], list[Text]]:
    """The texts whose contrast is too low, by their colours: a pair is mended in one go."""
    found: dict[tuple[Rgb, Rgb, float], list[Text]] = {}
    contrasts: dict[int, float | None] = {}  # of each style: most texts share theirs with others
    styles = tree.document.styles
    for text in tree.texts:
        style = styles[text.parent.index]
        if style.hidden is not None:
            continue
        number = id(style)
        if number not in contrasts:
            contrasts[number] = style.contrast
        seen = contrasts[number]
        if seen is None or seen >= min_contrast or seen < UNSEEN:
            continue
        asked = min(MIN_LARGE_CONTRAST, min_contrast) if _may_be_large(tree, text.parent, style) else min_contrast
        if seen < asked and _is_words(text.data) and not _is_coloured_by_client(tree, text.parent):
            assert style.colour is not None
            assert style.background is not None
            found.setdefault((style.colour, style.background, asked), []).append(text)
    return found


def _may_be_large(tree: AccessibilityTree, element: Element, style: Style) -> bool:
    """Whether a text is large; in doubt, when it is large only if bold, it is."""
    heading = tree.around(element).heading
    return style.font_size >= LARGE or (heading is not None and heading.element.tag in _LARGE_TAGS)


def _is_words(data: str) -> bool:
    """Whether it is more than a bar or a dot between words, which is decoration."""
    return any(map(str.isalnum, data))


def _is_coloured_by_client(tree: AccessibilityTree, element: Element) -> bool:
    """Whether a text may have a colour that no style of ours says: a link has the client's own where nothing sets one."""
    around = tree.around(element)
    if around.link is None:
        return False
    link = around.link.element
    styles = tree.document.styles
    outside = styles[link.parent.index] if link.parent is not None else Style()
    return styles[element.index].colour == outside.colour and "color" not in (link.get("style") or "")


def _hex(colour: Rgb) -> str:
    return "#" + "".join(f"{channel:02x}" for channel in colour)
