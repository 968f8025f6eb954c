"""Whether one of many words stands in a text: one pattern in which words that begin alike are tried but once."""

import re
from collections.abc import Iterable
from typing import Any


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


def _pattern(words: Iterable[str]) -> re.Pattern[str] | None:
    root: dict[str, Any] = {}  # by character; "" where a word ends
    for word in words:
        node = root
        for character in word:
            node = node.setdefault(character, {})
        node[""] = {}
    return re.compile(_alternatives(root)) if root else None


def _alternatives(node: dict[str, Any]) -> str:
    if "" in node:  # a word ends here, and whether a longer one stands there, too, does not matter
        return ""
    each = [re.escape(character) + _alternatives(below) for character, below in node.items()]
    return each[0] if len(each) == 1 else f"(?:{'|'.join(each)})"
