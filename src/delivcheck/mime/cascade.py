"""What of a document can be seen: the CSS cascade over the few properties that hide text, resolved once for all elements.

Conservative on purpose: text counts as hidden only where the style sheet as understood here leaves no doubt. Media queries
are not evaluated; what one of them shows is `Hidden.RESPONSIVE`, not hidden for good. Where a sheet was not understood in
full, text is never said to have the colour of its background.
"""

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple, Protocol

from msgspec import Struct
from tinycss2.color3 import parse_color

from ..memo import remembered
from .css import (
    LONGEST_STYLE,
    MAX_RULES,
    MAX_SHEET,
    MAX_STYLE,
    Compound,
    Declaration,
    Rule,
    Selector,
    attribute_matches,
    parse_sheet,
    parse_style,
)

MAX_WORK = 1_000_000  # steps, see Work; 5 times what a 100 KB newsletter with a 16 KB sheet takes
MAX_INLINE = 1_048_576  # characters of all style attributes that are read
MAX_CLASSES = 8_192  # characters of one class attribute that are read
MAX_VARIANTS = 20  # values that media queries set one property to; with more of them, one is taken to show what it hides
READING = 2  # steps that a character of a style takes, which tinycss2 reads in a microsecond or two
CHEAP = 8  # looks at a list that take as long as one step
BITS = 256  # of the filter of what stands around an element; a deep newsletter has 50 names above one
COMPARED = 500  # characters of an attribute's value that are searched in the time of one step
SPLIT = 20  # characters of one that are split into words in that time, for [name~=word]

TINY = 1.0  # px; SpamAssassin's HTML_FONT_TINY and rspamd's ZERO_FONT count sizes to 1 as hidden
FAINT = 0.01  # opacity at which nothing is left to see
OFF_SCREEN = -300.0  # px; the classic is -9999px, responsive layouts move things by less than a phone's width
SAME_COLOUR = 1.05  # contrast ratio up to which nobody can tell text from background (WCAG 2.2 section 1.4.3 asks for 4.5)
DEFAULT_SIZE = 16.0  # px, the initial font-size of every browser

Rgb = tuple[int, int, int]


class Hidden(StrEnum):
    """Why a reader does not see a text."""

    NOT_RENDERED = "not-rendered"  # head, title, style, script, template …
    DISPLAY = "display"
    VISIBILITY = "visibility"
    OPACITY = "opacity"
    FONT_SIZE = "font-size"
    COLLAPSED = "collapsed"  # no height or width, and what overflows is cut
    COLOUR = "colour"  # that of the background, or transparent
    OFF_SCREEN = "off-screen"
    CLIPPED = "clipped"
    RESPONSIVE = "responsive"  # hidden here, shown by a media query


class Style(Struct, frozen=True, gc=False):
    """The computed style of an element, as far as it decides what can be seen.

    `colour` and `background` are None where they cannot be known (an image, a value not understood). `font_size` is in px.
    """

    hidden: Hidden | None = None
    font_size: float = DEFAULT_SIZE
    colour: Rgb | None = (0, 0, 0)
    background: Rgb | None = (255, 255, 255)
    opacity: float = 1.0
    subtree: Hidden | None = None  # hides everything inside too, whatever it says
    visible: bool = True  # the inherited `visibility`

    @property
    def contrast(self) -> float | None:
        """The contrast of text with its background, 1 to 21 (WCAG 2.2), None if either colour is unknown."""
        if self.colour is None or self.background is None:
            return None
        return contrast(self.colour, self.background)


class Styled(Protocol):
    """An element as the cascade sees it."""

    @property
    def tag(self) -> str:
        """Its name in lower case."""
        ...

    @property
    def index(self) -> int:
        """Its number in document order."""
        ...

    @property
    def parent(self) -> "Styled | None":
        """The element around."""
        ...

    @property
    def attributes(self) -> tuple[tuple[str, str], ...]:
        """Its attributes."""
        ...

    def get(self, name: str) -> str | None:
        """The value of an attribute."""
        ...


class Work:
    """Steps that may still be taken: each is a comparison of an element with a selector, or one declaration put in its place.

    The documents of a message share it: a mail can hold thousands of small ones that take a second each.
    """

    __slots__ = ("left",)

    def __init__(self) -> None:
        """Begin with all of it."""
        self.left = MAX_WORK


class Resolved(NamedTuple):
    """The style of each element; whether everything was understood; and whether a limit cut the work off."""

    styles: tuple[Style, ...]
    complete: bool
    cut: bool


NOT_RENDERED = frozenset({
    "head", "title", "style", "script", "template", "meta", "link", "base", "noframes", "datalist", "param", "source", "track",
    "area", "audio", "video", "object", "iframe", "canvas", "svg", "math", "select", "xml",
})  # fmt: skip


def resolve(elements: Sequence[Styled], sheets: Iterable[str], work: Work | None = None) -> Resolved:
    """The style of each element. Elements come parents first, numbered from 0.

    Takes time in proportion to the elements and rules, and never more steps than `work` has left.
    """
    work = work or Work()
    rules, complete, cut = _rules(sheets, work)
    matcher = _Matcher(rules, work)
    styles: list[Style] = []
    known: dict[object, Style] = {}  # rows and cells of a table repeat one another
    inline = 0
    for element in elements:
        around = element.parent
        parent = _INITIAL if around is None else styles[around.index]
        attributes = dict(element.attributes) if element.attributes else _NO_ATTRIBUTES
        matched = matcher.matching(element, attributes) if rules and work.left > 0 else ()
        text = attributes.get("style", "")
        inline += len(text)
        if inline > MAX_INLINE or work.left <= 0:
            cut = cut or bool(text)
            text = ""
        cut = cut or len(text) > MAX_STYLE
        hints = () if _HINTING.isdisjoint(attributes) else _hints(element.tag, attributes)
        rendered = element.tag not in NOT_RENDERED
        if not matched and not text and not hints and rendered:
            styles.append(parent)
            continue
        key = (id(parent), rendered, text, hints, matched)
        style = known.get(key)
        if style is None:
            work.left -= len(text) * READING + sum(len(rules[number].declarations) for number in matched)
            blocks = tuple(_block(rules[number]) for number in matched)
            work_out = _remembered_style if _is_short(hints, blocks, text) else _style
            style = known[key] = work_out(parent, "" if rendered else element.tag, hints, blocks, text)
        styles.append(style)
    cut = cut or matcher.cut or (bool(rules) and work.left <= 0)
    complete = complete and not cut
    if not complete:
        styles = [_without_colour(style) for style in styles]
    return Resolved(tuple(styles), complete, cut)


# Of a rule that fits: its declarations, its specificity, whether it holds only in some media or states.
_Block = tuple[tuple[Declaration, ...], tuple[int, int, int], bool]


def _block(rule: Rule) -> _Block:
    return rule.declarations, rule.selector.specificity, rule.conditional


def _is_short(hints: Sequence[tuple[str, str]], blocks: Sequence[_Block], text: str) -> bool:
    """Whether a style may be remembered: what is, is other people's, and must not fill the memory."""
    size = len(text) + sum(len(value) for _, value in hints)
    return size + sum(len(one.name) + len(one.value) for block in blocks for one in block[0]) <= LONGEST_STYLE


def _style(parent: Style, tag: str, hints: Sequence[tuple[str, str]], blocks: Sequence[_Block], text: str) -> Style:
    """Put declarations in the order of the cascade: importance, style attribute, specificity, place (CSS Cascade 6.1).

    The tag is "" for an element that is rendered: of those it says nothing here.
    """
    own: list[tuple[tuple[bool, bool, tuple[int, int, int], int], Declaration]] = []
    shown: dict[str, list[str]] = {}
    for number, (declarations, specificity, conditional) in enumerate(blocks):
        for declaration in declarations:
            if not is_known(declaration.name, declaration.value):
                continue
            if conditional:
                shown.setdefault(declaration.name, []).append(declaration.value)
            else:
                own.append(((declaration.important, False, specificity, number), declaration))
    for number, declaration in enumerate(parse_style(text)):
        own.append(((declaration.important, True, (0, 0, 0), number), declaration))
    own.sort(key=lambda pair: pair[0])
    values = dict(hints)
    for _, declaration in own:
        _assign(values, declaration)
    return _computed(parent, tag, values, shown)


_remembered_style = lru_cache(maxsize=4096)(_style)  # templates repeat themselves, in a message and in the next one

_INITIAL = Style()
_NO_ATTRIBUTES: Mapping[str, str] = {}
_HINTING = frozenset({"hidden", "bgcolor", "background", "color", "size", "text"})  # the attributes that `_hints` reads


def _rules(sheets: Iterable[str], work: Work) -> tuple[list[Rule], bool, bool]:
    rules: list[Rule] = []
    complete, cut, left = True, False, MAX_SHEET
    for text in sheets:
        left -= len(text)
        if left < 0 or work.left <= 0 or len(rules) > MAX_RULES:
            return rules, False, True
        work.left -= len(text) * READING
        sheet = parse_sheet(text)
        rules += sheet.rules
        complete, cut = complete and sheet.complete, cut or sheet.cut
    return rules, complete, cut


def _without_colour(style: Style) -> Style:
    if style.hidden is not Hidden.COLOUR:
        return style
    return Style(None, style.font_size, style.colour, style.background, style.opacity, style.subtree, style.visible)


# --- matching ----------------------------------------------------------------------------------------------------


# A rule's number, its selector, the bits that must be above an element for it to fit, whether looking it up says all there is.
_Entry = tuple[int, Selector, int, bool]


@lru_cache(maxsize=4096)
def _bit(name: str) -> int:
    """One of BITS bits for a tag, `.class` or `#id`, as in a Bloom filter: most rules are ruled out without a comparison."""
    return int(1 << zlib.crc32(name.encode("utf-8", "replace")) % BITS)


def _needed(selector: Selector) -> int:
    """The bits of everything that the elements around one must be."""
    needed = 0
    first, *others = selector.groups
    for compound in (*first[1:], *(compound for group in others for compound in group)):
        if compound.tag is not None:
            needed |= _bit(compound.tag)
        for each in compound.classes:
            needed |= _bit("." + each)
        for each in compound.ids:
            needed |= _bit("#" + each)
    return needed


_NO_CLASSES: tuple[dict[str, None], int] = {}, 0


class _Matcher:
    """Finds the rules that fit an element: those that could are looked up by id, class and tag, then compared."""

    def __init__(self, rules: Sequence[Rule], work: Work) -> None:
        self.work = work
        self.cut = False
        self._classes: dict[str, tuple[dict[str, None], int]] = {}
        # Of each element its id and classes: selectors ask for those of one element as often as there is something inside it.
        self._named: list[tuple[str | None, dict[str, None]]] = []
        self._paths: list[int] = []  # of each element: the bits of it and of all around it
        self._tags: dict[str, tuple[list[_Entry], int]] = {}  # of each tag: the rules that may fit by it alone, and its bit
        self.by_id: dict[str, list[_Entry]] = {}
        self.by_class: dict[str, list[_Entry]] = {}
        self.by_tag: dict[str, list[_Entry]] = {}
        for number, rule in enumerate(rules):
            last = rule.selector.groups[0][0]
            simple = len(rule.selector.groups) == len(rule.selector.groups[0]) == 1 and not last.attributes
            simple = simple and (last.tag is not None) + len(last.ids) + len(last.classes) <= 1
            entry = (number, rule.selector, _needed(rule.selector), simple)
            if last.ids:
                self.by_id.setdefault(last.ids[0], []).append(entry)
            elif last.classes:
                self.by_class.setdefault(min(last.classes), []).append(entry)
            else:
                self.by_tag.setdefault(last.tag or "*", []).append(entry)

    def matching(self, element: Styled, attributes: Mapping[str, str]) -> tuple[int, ...]:
        """The numbers of the rules that apply, in order. To be asked for every element, parents first."""
        candidates, bit = self._tags.get(element.tag) or self._look_up(element.tag)
        name, written = attributes.get("id"), attributes.get("class")
        classes, bits = self.classes(written) if written else _NO_CLASSES
        self._named.append((name, classes))
        above = 0 if element.parent is None else self._paths[element.parent.index]
        path = above | bit
        if name:
            path |= _bit("#" + name)
            candidates = [*candidates, *self.by_id.get(name, ())]
        if classes:
            path |= bits
            if self.by_class:
                self.work.left -= len(classes) // CHEAP
                candidates = [*candidates, *(entry for each in classes for entry in self.by_class.get(each, ()))]
        self._paths.append(path)
        if not candidates:
            return ()
        self.work.left -= len(candidates) // CHEAP
        found = []
        for number, selector, needed, simple in candidates:
            if simple:
                self.work.left -= 1
                if self.work.left >= 0:
                    found.append(number)
            elif not needed & ~above and self._matches(element, selector):
                found.append(number)
        return tuple(sorted(found))

    def _look_up(self, tag: str) -> tuple[list[_Entry], int]:
        found = self._tags[tag] = [*self.by_tag.get(tag, ()), *self.by_tag.get("*", ())], _bit(tag)
        return found

    def classes(self, written: str) -> tuple[dict[str, None], int]:
        """The classes of a class attribute in order, and their bits; each attribute is taken apart but once."""
        found = self._classes.get(written)
        if found is None:
            self.cut = self.cut or len(written) > MAX_CLASSES
            classes = dict.fromkeys(written[:MAX_CLASSES].split())
            bits = 0
            for each in classes:
                bits |= _bit("." + each)
            found = self._classes[written] = classes, bits
        return found

    def _matches(self, element: Styled, selector: Selector) -> bool:
        """Nearest ancestor first: if a group fits anywhere above, the nearest place leaves the most room for the next."""
        place: Styled | None = element
        for number, group in enumerate(selector.groups):
            while place is not None and not self._fits(place, group):
                place = place.parent if number else None
            if place is None:
                return False
            for _ in group:
                place = place.parent if place is not None else None
        return True

    def _fits(self, place: Styled, group: tuple[Compound, ...]) -> bool:
        """Whether a chain of compounds joined by `>` begins here."""
        current: Styled | None = place
        for compound in group:
            self.work.left -= 1
            if current is None or self.work.left < 0 or not self._fits_one(current, compound):
                return False
            current = current.parent
        return True

    def _fits_one(self, element: Styled, compound: Compound) -> bool:
        if compound.tag is not None and compound.tag != element.tag:
            return False
        if compound.ids and (len(compound.ids) > 1 or self._named[element.index][0] != compound.ids[0]):
            return False
        if compound.classes:
            self.work.left -= len(compound.classes) // CHEAP
            if not compound.classes <= self._named[element.index][1].keys():
                return False
        for name, operator, value in compound.attributes:
            actual = element.get(name)
            characters = SPLIT if operator == "~=" else COMPARED
            self.work.left -= 1 + len(element.attributes) // CHEAP + len(actual or "") // characters
            if self.work.left < 0 or not attribute_matches(actual, operator, value):
                return False
        return True


# --- values ------------------------------------------------------------------------------------------------------

_LENGTH = re.compile(r"([+-]?(?:\d++(?:\.\d*+)?|\.\d++)(?:e[+-]?\d{1,3})?)\s*+(px|pt|em|rem|ex|ch|%|in|cm|mm|pc|vw|vh)?\Z")
_PX = {None: 1.0, "px": 1.0, "pt": 4 / 3, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4, "pc": 16.0, "rem": DEFAULT_SIZE}
_KEYWORDS = {
    "xx-small": 9.0, "x-small": 10.0, "small": 13.0, "medium": 16.0, "large": 18.0, "x-large": 24.0, "xx-large": 32.0,
}  # fmt: skip
_FONT_TAG = (10.0, 13.0, 16.0, 18.0, 24.0, 32.0, 48.0)  # <font size=1> to 7, HTML section 15.3.1
_FONT_SIZE = re.compile(
    r"(?:^|\s)([+-]?[\d.]++(?:px|pt|em|rem|%|ex|in|cm|mm|pc)|0|xx-small|x-small|small|medium|large|x-large|xx-large)(?=[\s/]|\Z)"
)
_HAS_IMAGE = re.compile(r"url\(|gradient\(|image\(|image-set\(|var\(")
_TOO_LARGE = 1e9


def length(value: str, *, relative_to: float = 0.0) -> float | None:
    """A CSS length in px, percentages and em of `relative_to`; None for what is no length."""
    found = _LENGTH.match(value)
    if found is None:
        return None
    number, unit = float(found[1]), found[2]
    factor = _PX.get(unit)
    if factor is None:
        factor = {"em": relative_to, "%": relative_to / 100, "ex": relative_to / 2, "ch": relative_to / 2}.get(unit, 10.0)
    return max(-_TOO_LARGE, min(number * factor, _TOO_LARGE))


class Paint(NamedTuple):
    """A colour with its alpha."""

    rgb: Rgb
    alpha: float


@remembered(2048)
def colour(value: str) -> Paint | None:
    """A CSS colour; None for what is none, `inherit` and `currentcolor` among them."""
    found = parse_color(value)
    if found is None or isinstance(found, str):
        return None
    red, green, blue, alpha = (min(1.0, max(0.0, channel)) for channel in found)
    return Paint((round(red * 255), round(green * 255), round(blue * 255)), alpha)


def contrast(one: Rgb, other: Rgb) -> float:
    """The contrast ratio of two colours, from 1 to 21 (WCAG 2.2, definition of contrast ratio)."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@lru_cache(maxsize=2048)
def _luminance(rgb: Rgb) -> float:
    linear = [channel / 255 / 12.92 if channel <= 10 else ((channel / 255 + 0.055) / 1.055) ** 2.4 for channel in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _hints(tag: str, attributes: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What HTML attributes say about presentation (HTML section 15.3), as declarations of no weight."""
    found = []
    if "hidden" in attributes:
        found.append(("display", "none"))
    if background := attributes.get("bgcolor"):
        found.append(("background-color", _legacy_colour(background)))
    if attributes.get("background"):
        found.append(("background-image", "url()"))
    if tag == "font":
        if ink := attributes.get("color"):
            found.append(("color", _legacy_colour(ink)))
        size = attributes.get("size", "").strip()
        if size.isdecimal() and size.isascii():
            found.append(("font-size", f"{_FONT_TAG[max(1, min(int(size[:3]), 7)) - 1]}px"))
    elif tag == "body" and (ink := attributes.get("text")):
        found.append(("color", _legacy_colour(ink)))
    return tuple(found)


def _legacy_colour(value: str) -> str:
    value = value.strip().lower()
    return f"#{value}" if re.fullmatch("[0-9a-f]{6}", value) else value


def _assign(values: dict[str, str], declaration: Declaration) -> None:
    """Set a property; shorthands set their longhands. What browsers do not know they pass over (CSS Syntax section 2.2)."""
    name, value = declaration.name, declaration.value
    if not is_known(name, value):
        return
    if name == "background":
        values["background-image"] = "url()" if _HAS_IMAGE.search(value) else "none"
        values["background-color"] = _colour_in(value)
    elif name == "font":
        found = _FONT_SIZE.search(value)
        if found:
            values["font-size"] = found[1]
    elif name == "margin":
        sides = value.split()
        if sides:
            values["margin-top"] = sides[0]
            values["margin-left"] = sides[3] if len(sides) > 3 else sides[min(1, len(sides) - 1)]
    elif name == "overflow":
        values["overflow-x"] = values["overflow-y"] = value.split()[0] if value else ""
    else:
        values[name] = value


_EVERYWHERE = frozenset({"inherit", "initial", "unset", "revert", "revert-layer"})  # CSS Cascade Level 5 section 7.3
_WORDS = {
    "display": frozenset({  # CSS Display Level 3 section 2; ruby and math of Level 4
        *("none", "contents", "block", "inline", "run-in", "flow", "flow-root", "list-item", "inline-block", "flex", "grid"),
        *("inline-flex", "inline-grid", "inline-table", "table", "table-cell", "table-row", "table-row-group", "table-caption"),
        *("table-header-group", "table-footer-group", "table-column", "table-column-group", "math"),
        *("ruby", "ruby-base", "ruby-text", "ruby-base-container", "ruby-text-container"),
    }),
    "visibility": frozenset({"visible", "hidden", "collapse"}),  # CSS Display Level 3 section 4
    "opacity": frozenset(),
    "font-size": frozenset({*_KEYWORDS, "xxx-large", "smaller", "larger", "math"}),  # CSS Fonts Level 4 section 2.5
}  # fmt: skip
_VENDORS = ("-webkit-", "-moz-", "-ms-")
_NUMBER_AND_UNIT = re.compile(r"(\+|-)?(?:\d++(?:\.\d++)?|\.\d++)(?:e[+-]?\d++)?(%|[a-z]*+)\Z")
_UNITS = {  # "" for font-size, too: HTML without a doctype is read so (Quirks Mode section 3.2)
    "opacity": frozenset({"", "%"}),
    "font-size": frozenset({
        *("", "%", "px", "pt", "pc", "in", "cm", "mm", "q", "em", "rem", "ex", "rex", "ch", "rch", "cap", "rcap", "ic", "ric"),
        *("lh", "rlh", "vw", "vh", "vi", "vb", "vmin", "vmax", "cqw", "cqh", "cqi", "cqb", "cqmin", "cqmax"),
        *(size + side for size in "sld" for side in ("vw", "vh", "vi", "vb", "vmin", "vmax")),
    }),
}  # fmt: skip


def is_known(name: str, value: str) -> bool:
    """Whether browsers take a value; one in doubt (a function, a vendor's word) counts as taken, and other properties' all."""
    words = _WORDS.get(name)
    if words is None or value in _EVERYWHERE or "(" in value or value.startswith(_VENDORS):
        return True
    if name == "display":
        return bool(value) and words.issuperset(value.split())
    found = _NUMBER_AND_UNIT.match(value)
    if found is None:
        return value in words
    return found[2] in _UNITS.get(name, ()) and (name == "opacity" or found[1] != "-")


def _colour_in(value: str) -> str:
    """The colour in a background shorthand, "transparent" if it has none."""
    whole = re.search(r"(?:rgba?|hsla?)\([^()]*\)", value)
    if whole:
        return whole[0]
    return next((word for word in value.split() if colour(word) is not None), "transparent")


# --- one element -------------------------------------------------------------------------------------------------


def _computed(parent: Style, tag: str, values: dict[str, str], shown: dict[str, list[str]]) -> Style:
    size = _font_size(values.get("font-size"), parent.font_size)
    visible = parent.visible
    if "visibility" in values:
        visible = values["visibility"] not in {"hidden", "collapse"} if values["visibility"] != "inherit" else parent.visible
    opacity = parent.opacity * _opacity(values.get("opacity"))
    background = _background(parent, values)
    ink, transparent = parent.colour, False
    if "color" in values:
        painted = colour(values["color"])
        if painted is not None:
            transparent = painted.alpha <= FAINT
            ink = painted.rgb
        elif values["color"] not in {"inherit", "currentcolor"}:
            ink = None
    subtree = parent.subtree
    if subtree is None:
        subtree = _hides_subtree(tag, values, opacity)
        if subtree is not None and _revealed(subtree, values, shown):
            subtree = Hidden.RESPONSIVE
    hidden = subtree
    if hidden is None and not visible:
        hidden = Hidden.RESPONSIVE if any(value == "visible" for value in shown.get("visibility", ())) else Hidden.VISIBILITY
    if hidden is None and size <= TINY:
        bigger = any((_font_size(value, parent.font_size) or 0) > TINY for value in shown.get("font-size", ()))
        hidden = Hidden.RESPONSIVE if bigger else Hidden.FONT_SIZE
    if hidden is None and (
        transparent or (ink is not None and background is not None and contrast(ink, background) <= SAME_COLOUR)
    ):
        repainted = shown.keys() & {"color", "background", "background-color"}
        hidden = Hidden.RESPONSIVE if repainted else Hidden.COLOUR
    return Style(hidden, size, ink, background, opacity, subtree, visible)


def _font_size(value: str | None, inherited: float) -> float:
    if value is None:
        return inherited
    if value in _KEYWORDS:
        return _KEYWORDS[value]
    if value in {"smaller", "larger"}:
        return inherited * (1.2 if value == "larger" else 1 / 1.2)
    found = length(value, relative_to=inherited)
    return inherited if found is None or found < 0 else found


def _opacity(value: str | None) -> float:
    if value is None:
        return 1.0
    number = length(value, relative_to=1.0)
    return 1.0 if number is None else max(0.0, min(number, 1.0))


def _background(parent: Style, values: dict[str, str]) -> Rgb | None:
    """What stands behind the text: an image is unknown, a colour with some transparency is mixed with what is below."""
    if "background-image" in values and values["background-image"] not in {"none", "initial", ""}:
        return None
    value = values.get("background-color")
    if value is None or value in {"transparent", "initial", "unset", "none"}:
        return parent.background
    painted = colour(value)
    if painted is None:
        return parent.background if value == "inherit" else None
    if painted.alpha >= 1.0:
        return painted.rgb
    if parent.background is None:
        return None
    below = parent.background
    red, green, blue = (
        round(painted.alpha * top + (1 - painted.alpha) * under) for top, under in zip(painted.rgb, below, strict=True)
    )
    return red, green, blue


def _hides_subtree(tag: str, values: dict[str, str], opacity: float) -> Hidden | None:
    """What hides an element with everything inside."""
    if tag in NOT_RENDERED:
        return Hidden.NOT_RENDERED
    if values.get("display") == "none":
        return Hidden.DISPLAY
    if opacity <= FAINT:
        return Hidden.OPACITY
    cut = {"hidden", "clip"}
    for sides, overflow in ((("height", "max-height"), "overflow-y"), (("width", "max-width"), "overflow-x")):
        if values.get(overflow) in cut and any(_is_nothing(values.get(side)) for side in sides):
            return Hidden.COLLAPSED
    if values.get("position") in {"absolute", "fixed"}:
        if any(_far(values.get(side)) for side in ("left", "right", "top", "bottom")):
            return Hidden.OFF_SCREEN
        if re.fullmatch(r"rect\((?:[01](?:px)?[\s,]*){4}\)", values.get("clip", "")):
            return Hidden.CLIPPED
    if any(_far(values.get(side)) for side in ("text-indent", "margin-left", "margin-top")):
        return Hidden.OFF_SCREEN
    if re.match(r"inset\((?:50|100)%", values.get("clip-path", "")):
        return Hidden.CLIPPED
    return None


def _is_nothing(value: str | None) -> bool:
    return value is not None and length(value) == 0 and not value.endswith("%")


def _far(value: str | None) -> bool:
    found = None if value is None else length(value, relative_to=DEFAULT_SIZE)
    return found is not None and found <= OFF_SCREEN


_REVEALS = {
    Hidden.DISPLAY: ("display",),
    Hidden.OPACITY: ("opacity",),
    Hidden.COLLAPSED: ("height", "max-height", "width", "max-width", "overflow"),
    Hidden.OFF_SCREEN: ("position", "left", "right", "top", "bottom", "text-indent", "margin", "margin-left", "margin-top"),
    Hidden.CLIPPED: ("clip", "clip-path", "position"),
}


def _revealed(hidden: Hidden, values: dict[str, str], shown: dict[str, list[str]]) -> bool:
    """Whether some media query sets one of the properties that hide to something that does not."""
    for name in _REVEALS.get(hidden, ()):
        variants = dict.fromkeys(shown.get(name, ()))
        if len(variants) > MAX_VARIANTS:
            return True
        for value in variants:
            changed = dict(values)
            _assign(changed, Declaration(name, value, important=False))
            if _hides_subtree("", changed, _opacity(changed.get("opacity"))) is None:
                return True
    return False
