"""Whether one of many words stands in a text: one pattern in which words that begin alike are tried but once.

For phrases in texts of blanks and words there is a way ten times as fast: most words of a text are of no phrase, and known.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

MAX_KNOWN = 20_000  # words that were seen and are of no phrase; a language has no more in common use
LONGEST_KNOWN = 128  # characters of one: an address counts as one, and stands in a letter more than once


class AnyOf:
    """Some words, ready to be looked for in texts: some ten times as fast as one after the other, or as their alternation."""

    def __init__(self, words: Iterable[str]) -> None:
        words = tuple(words)
        self._all = _pattern(words)
        self._ascii = _pattern(word for word in words if word.isascii())  # in an ASCII text no other can stand

    def stands_in(self, text: str) -> bool:
        """Whether at least one does, as it is written."""
        pattern = self._ascii if text.isascii() else self._all
        return pattern is not None and pattern.search(text) is not None


class AnyPhrase:
    """Some phrases, ready to be looked for in texts that are given as their words, as `str.split` makes them.

    A phrase has no blanks but single ones between words. Of each the longest word is its key: it begins a word of the text if
    it is the last of its phrase, ends one if it is the first, is one if it stands between, is in one if it stands alone.
    """

    def __init__(self, phrases: Iterable[str]) -> None:
        """Take them."""
        phrases = tuple(phrases)
        self._phrases = AnyOf(phrases)
        keys = list(map(_key, phrases))
        self._all = _keys(keys)
        self._ascii = _keys([one for one in keys if one[0].isascii()])
        self._known: set[str] = set()

    def stand_in(self, words: Sequence[str]) -> bool:
        """Whether at least one does."""
        unknown = set(words) - self._known
        doubt = False
        for word in unknown:
            pattern = self._ascii if word.isascii() else self._all
            if pattern is not None and pattern.search(word):
                doubt = True
            elif len(word) <= LONGEST_KNOWN:
                if len(self._known) >= MAX_KNOWN:
                    self._known = set()  # another thread may be reading the one before
                self._known.add(word)
        return doubt and self._phrases.stands_in(" ".join(words))


def _key(phrase: str) -> tuple[str, bool, bool]:
    """The longest word of a phrase; whether a word of the text begins, and whether it ends, where that does."""
    words = phrase.split(" ")
    number = max(range(len(words)), key=lambda each: len(words[each]))
    return words[number], number > 0, number < len(words) - 1


def _keys(keys: Sequence[tuple[str, bool, bool]]) -> re.Pattern[str] | None:
    """What is found in a word of the text that may be the key of a phrase."""
    found = []
    for begins in (False, True):
        for ends in (False, True):
            pattern = _pattern([word for word, *edges in keys if edges == [begins, ends]], r"\Z" if ends else "")
            if pattern is not None:
                found.append(rf"\A(?:{pattern.pattern})" if begins else pattern.pattern)
    return re.compile("|".join(found)) if found else None


def _pattern(words: Iterable[str], end: str = "") -> re.Pattern[str] | None:
    root: dict[str, Any] = {}  # by character; "" where a word ends
    for word in words:
        node = root
        for character in word:
            node = node.setdefault(character, {})
        node[""] = {}
    return re.compile(_alternatives(root, end)) if root else None


def _alternatives(node: dict[str, Any], end: str) -> str:
    if "" in node and not end:  # a word ends here, and whether a longer one stands there, too, does not matter
        return ""
    each = [re.escape(character) + _alternatives(below, end) for character, below in node.items() if character]
    if "" in node:
        each.append(end)
    return each[0] if len(each) == 1 else f"(?:{'|'.join(each)})"
