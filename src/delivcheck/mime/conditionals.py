"""Conditional comments: what of a document Outlook for Windows, which renders with Word, sees alone or does not see."""

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

from .html import Comment

_CONDITION = re.compile(r"\s*\[if\s*([^\]]*)\]", re.IGNORECASE)
_OPENS = frozenset({"", ">", "><!", "><!--"})
_CLOSES = frozenset({"<![endif]", "[endif]"})
_NEGATED = re.compile(r"!\s*\(?\s*(?:(?:gte?|lte?)\s+)?(?:mso|vml)")
_WORD = re.compile(r"mso|vml")
_NOT_IE = re.compile(r"!\s*\(?\s*(?:(?:gte?|lte?)\s+)?ie|true")


@dataclass(frozen=True, slots=True)
class Conditionals:
    """What Word alone reads, and what it skips.

    `own` are comments, as their content and the offset of that; `hidden_starts` and `hidden_ends` bound the stretches skipped.
    """

    own: tuple[Comment, ...]
    hidden_starts: tuple[int, ...]
    hidden_ends: tuple[int, ...]

    def hides(self, offset: int) -> bool:
        """Whether Word skips what stands at an offset."""
        number = bisect_right(self.hidden_starts, offset) - 1
        return number >= 0 and offset < self.hidden_ends[number]


def word_sees(condition: str) -> bool:
    """Whether a condition holds in Outlook 2007 and later: `mso` and what has it, `!IE`; whatever version is asked for."""
    condition = condition.lower()
    if _NEGATED.search(condition):
        return False
    return _WORD.search(condition) is not None or _NOT_IE.search(condition) is not None


def conditionals(comments: Iterable[Comment], hidden: Iterable[tuple[int, int]] = ()) -> Conditionals:
    """Read the comments of a document, in order; `hidden` are further stretches that Word skips.

    `<!--[if mso]>…<![endif]-->` is one comment, `<!--[if !mso]><!-->…<!--<![endif]-->` two around what everybody else sees.
    """
    own: list[Comment] = []
    stretches = list(hidden)
    opened: list[tuple[int, bool]] = []
    for comment in comments:
        found = _CONDITION.match(comment.text)
        if found is None:
            if opened and comment.text.strip().lower() in _CLOSES:
                start, seen = opened.pop()
                if not seen:
                    stretches.append((start, comment.offset))
        elif comment.text[found.end() :].strip() in _OPENS:
            opened.append((comment.offset, word_sees(found[1])))
        elif word_sees(found[1]):
            end = found.end() + comment.text.startswith(">", found.end())
            own.append(Comment(comment.text[end:], comment.offset + len("<!--") + end))
    starts: list[int] = []
    ends: list[int] = []
    for start, end in sorted(stretches):
        if ends and start <= ends[-1]:
            ends[-1] = max(end, ends[-1])
        else:
            starts.append(start)
            ends.append(end)
    return Conditionals(tuple(own), tuple(starts), tuple(ends))
