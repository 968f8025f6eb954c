"""Scripts of letters: which ones a text has, and whether a domain label keeps to one (UTS 39 section 5.2)."""

import unicodedata
from collections import Counter
from functools import lru_cache

MAX_LABEL = 63  # characters looked at; RFC 1035 section 2.3.4

# "Highly restrictive": one script, or one of these sets, each with Latin.
_TOGETHER = tuple(frozenset(("Latin", "Han", *more)) for more in (("Hiragana", "Katakana"), ("Bopomofo",), ("Hangul",)))
_HAN = frozenset({"CJK", "IDEOGRAPHIC"})
_NO_SCRIPT = frozenset({"COMBINING", "MODIFIER", "KATAKANA-HIRAGANA", "VARIATION", "ZERO"})  # common or inherited


def mixed_scripts(name: str) -> tuple[str, tuple[str, ...]] | None:
    """The first label of a domain name that mixes scripts which are not written together, as U-label, and its scripts in order.

    None if every label is "highly restrictive" or better. Labels are judged one by one: a Cyrillic name under .com is fine.
    """
    for label in name.split("."):
        shown = u_label(label)
        scripts = _scripts(shown[:MAX_LABEL])
        if len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER):
            return shown, tuple(sorted(scripts))
    return None


def u_label(label: str) -> str:
    """The characters that an A-label stands for; any other label, and one that cannot be decoded, as it is."""
    if label[:4].lower() != "xn--" or len(label) > MAX_LABEL:
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except UnicodeError:
        return label


def _scripts(label: str) -> frozenset[str]:
    return frozenset(script for script in map(_script, label) if script)


@lru_cache(maxsize=4096)
def _script(character: str) -> str | None:
    """The script of a letter or mark, None for what all scripts share.

    Python's database has no script property; the first word of a letter's name is its script, with the few exceptions above.
    """
    if unicodedata.category(character)[0] not in "LM" and character != "\N{IDEOGRAPHIC NUMBER ZERO}":
        return None
    first = unicodedata.name(character, "").partition(" ")[0]
    if first in _NO_SCRIPT or not first:
        return None
    return "Han" if first in _HAN else first.capitalize()


def letters_by_script(text: str) -> Counter[str]:
    """How many letters and marks a text has of each script (`Latin`, `Han`); what all scripts share is not counted."""
    found: Counter[str] = Counter()
    for character, times in Counter(text).items():
        script = _script(character)
        if script is not None:
            found[script] += times
    return found
