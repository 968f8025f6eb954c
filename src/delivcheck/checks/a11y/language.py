"""Rules about the language of the text and the direction it runs in."""

import re
from collections import Counter
from functools import lru_cache

from ...engine import rule
from ...facts.accessibility import AccessibilityTree, AccessibilityTrees
from ...facts.leftovers import code_in
from ...mime.html import Element, Text
from ...model import Findings, Level, Problem, Where
from ...records.scripts import letters_by_script
from ...rulefiles import data
from ...saying import in_one_line, shortened
from . import and_more, unread

MIN_UNSAID_SHARE = 0.1  # of the characters that a screen reader reads: a preview text outside the wrapper is none of it
MIN_LETTERS = 40  # from which the script of a text is judged: a name or a slogan may be in any; ours
MIN_OWN_SHARE = 0.1  # of the letters, in a script of the language declared: Japanese mail is full of Latin names; ours
MIN_RIGHT_TO_LEFT = 20  # letters, from which direction is judged: a language menu has the languages' own names; ours
SHOWN = 40  # characters of a text or tag in a message

# RFC 5646 section 2.1, for as much as can be told without the registry. It has no primary subtag of four letters or more.
_TAG = re.compile(r"(?:[a-z]{2,3}|[ix]-[a-z0-9]{1,8})(?:-[a-z0-9]{1,8})*\Z", re.IGNORECASE)
_UNSAID = frozenset({"", "und", "mul", "zxx"})  # ISO 639-2: undetermined, several, no language
_STRONG = re.compile("[^\\W\\d_]")
# The letters of the blocks whose default is right-to-left (Unicode Standard Annex 9, section 3.2; DerivedBidiClass).
_RIGHT_TO_LEFT = re.compile("[\u05be-\u08ff\ufb1d-\ufdfd\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
_SHEET_DIRECTION = re.compile(r"[{;]\s*direction\s*:\s*rtl", re.IGNORECASE)


# --- language ----------------------------------------------------------------------------------------------------


@rule("a11y/no-language")
def no_language(trees: AccessibilityTrees, *, inside_body: bool = False) -> Findings:
    yield from unread(trees)
    for tree in trees.each:
        unsaid = [text for text in tree.texts if not tree.around(text.parent).language]
        if not tree.texts:
            if not any((image.get("alt") or "").strip() and not tree.around(image).language for image in tree.images):
                continue
        elif _characters(unsaid) <= MIN_UNSAID_SHARE * _characters(tree.texts):
            if inside_body and any(_is_said_outside(tree, text) for text in tree.texts):
                what = "only <html> or <body> says the language, and some clients take those away"
                yield Problem(what, tree.part.where(tree.first), Level.NOTE)
            continue
        if 0 < len(unsaid) < len(tree.texts):
            first = unsaid[0]
            what = f"nothing says which language {in_one_line(first.data.strip(), SHOWN)!r} is in{and_more(len(unsaid))}"
            yield Problem(what, tree.part.where(first.offset_of(len(first.data) - len(first.data.lstrip()))))
        else:
            yield Problem("nothing says which language the text is in", tree.part.where(tree.first))


def _characters(texts: list[Text]) -> int:
    return sum(len(text.data) for text in texts)


def _is_said_outside(tree: AccessibilityTree, text: Text) -> bool:
    at = tree.around(text.parent).language_at
    return at is not None and at.tag in {"html", "body"}


@rule("a11y/wrong-language")
def wrong_language(trees: AccessibilityTrees) -> Findings:
    yield from unread(trees)
    for tree in trees.each:
        for tag, (elements, texts) in _by_language(tree).items():
            if tag.lower() in _UNSAID or next(code_in(tag), None) is not None:
                continue
            if not _TAG.match(tag):
                mended = tag.replace("_", "-").partition(".")[0]
                fix = f'lang="{mended}"' if _TAG.match(mended) else None
                what = f"{shortened(tag, SHOWN)!r} is no language tag{and_more(len(elements))}"
                yield Problem(what, _where(tree, elements[0]), fix=fix)
            elif texts and (against := _contradiction(tag, texts)):
                yield Problem(against, _where(tree, elements[0]))


def _by_language(tree: AccessibilityTree) -> dict[str, tuple[list[Element], list[Text]]]:
    """Of each language tag the elements that say it, and the texts that are in it for that."""
    found: dict[str, tuple[list[Element], list[Text]]] = {}
    for element in tree.languages:
        if tag := (element.get("lang") or "").strip():
            found.setdefault(tag, ([], []))[0].append(element)
    for text in tree.texts:
        if said := tree.around(text.parent).language:
            found[said][1].append(text)
    return found


def _contradiction(tag: str, texts: list[Text]) -> str | None:
    """How the letters of some texts contradict their language tag."""
    expected = _scripts(tag.lower())
    if not expected or ("Latin" in expected and all(text.data.isascii() for text in texts)):
        return None
    letters = letters_by_script("".join(text.data for text in texts))
    known = Counter({script: count for script, count in letters.items() if script in _known()})
    total = known.total()
    if total < MIN_LETTERS or sum(known[script] for script in expected) >= MIN_OWN_SHARE * total:
        return None
    script, count = known.most_common(1)[0]
    return f"the language is said to be {tag}, and {count} of {total} letters are {script}"


@lru_cache(maxsize=256)
def _scripts(tag: str) -> frozenset[str]:
    """The scripts that a language tag lets expect, empty where nobody can tell."""
    book = data("languages")
    primary, *others = tag.split("-")
    for subtag in others[:2]:  # a script comes after the language and its extension (RFC 5646 section 2.1)
        if len(subtag) == 4 and subtag.isalpha():
            return frozenset(book["subtags"].get(subtag, ()))
    return frozenset(script for script, languages in book["written"].items() if primary in languages)


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset(data("languages")["written"])


def _where(tree: AccessibilityTree, element: Element) -> Where:
    at = element.attribute("lang")
    return tree.part.where(max(element.offset, 0)) if at is None else tree.part.where(at.start, at.end)


# --- direction ---------------------------------------------------------------------------------------------------


@rule("a11y/right-to-left-without-dir")
def right_to_left_without_dir(trees: AccessibilityTrees) -> Findings:
    yield from unread(trees)
    for tree in trees.each:
        turned = [text for text in tree.texts if _is_against(tree, text)]
        if turned and not any(_SHEET_DIRECTION.search(sheet.text) for sheet in tree.document.all("style")):
            first = turned[0]
            where = tree.part.where(first.offset_of(len(first.data) - len(first.data.lstrip())))
            yield Problem(f"text that runs from right to left is set from left to right{and_more(len(turned))}", where)


def _is_against(tree: AccessibilityTree, text: Text) -> bool:
    """Whether most of a text runs from right to left, and nothing around it says so."""
    if text.data.isascii() or tree.around(text.parent).direction in {"rtl", "auto"}:
        return False
    right_to_left = len(_RIGHT_TO_LEFT.findall(text.data))
    return right_to_left >= MIN_RIGHT_TO_LEFT and 2 * right_to_left > len(_STRONG.findall(text.data))
