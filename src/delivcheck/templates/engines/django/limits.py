"""What a template may cost, and filters that keep to it."""

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ....records.placeholders import MAX_TEMPLATE
from ...model import TemplateFault

MAX_OUTPUT = MAX_TEMPLATE  # characters of one value or text
MAX_WRITTEN = 10 * MAX_OUTPUT  # characters that all nodes together may give back; each counts at every level it passes
MAX_STEPS = 200_000  # nodes that one rendering may run; the largest of the corpora runs 300
MAX_DEPTH = 40  # templates inside one another: what Python's 1,000 frames hold. Liquid allows 100 (blocks and renders)
MAX_WIDTH = 10_000  # characters that a filter pads to, places after a decimal point, words of lorem ipsum
MAX_KEPT = 1_000  # parsed templates that are kept, and what was read of them; a long --watch parses many versions
MAX_TAG = 10_000  # characters of one tag; the longest in the corpora has 420
MAX_SEARCH = 100_000_000  # characters that Django's lexer may go over in search of the ends of tags that have none


def check_search(text: str) -> None:
    """Refuse lines on which many tags open and none ends: Django's lexer goes to the line's end for each.

    Raises TemplateFault.
    """
    cost = 0
    for line in text.split("\n"):
        if len(line) > MAX_WIDTH:
            for opening, closing in (("{%", "%}"), ("{{", "}}"), ("{#", "#}")):
                rest = len(line) - max(line.rfind(closing), 0)
                cost += line.count(opening, len(line) - rest) * rest
    if cost > MAX_SEARCH:
        raise TemplateFault("a line with thousands of tags that have no end")


_BLANKS = re.compile(r"[^\S\n]++")


def check_blanks(texts: Iterable[str]) -> None:
    """Refuse what Django's `trimmed` would go over again and again: long runs of blanks without a line's end.

    Raises TemplateFault.
    """
    if sum(len(run[0]) ** 2 for text in texts for run in _BLANKS.finditer(text)) > MAX_SEARCH:
        raise TemplateFault("thousands of blanks in a row, which take too long to trim")


def _wide(value: Any, arg: Any = None) -> bool:
    try:
        return abs(int(str(arg).rstrip("gu"))) > MAX_WIDTH if not isinstance(arg, float) else abs(arg) > MAX_WIDTH
    except ValueError:
        return False  # Django has its own word on that


def _format(value: Any, arg: Any = None) -> bool:
    return any(int(number[-9:]) > MAX_WIDTH or len(number) > 9 for number in re.findall(r"\d+", str(arg)))


def _joined(value: Any, arg: Any = None) -> bool:
    return isinstance(value, Sequence) and len(value) * len(str(arg)) > MAX_OUTPUT


_TOO_MUCH: dict[str, Callable[..., bool]] = {
    "center": _wide,
    "ljust": _wide,
    "rjust": _wide,
    "floatformat": _wide,
    "stringformat": _format,
    "join": _joined,
}


def bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that refuses to make what is too large, before it does where its arguments tell."""
    too_much = _TOO_MUCH.get(name)

    @functools.wraps(function)  # also Django's flags, such as `is_safe`, and the arguments that it counts
    def filtered(value: Any, *args: Any, **kwargs: Any) -> Any:
        if too_much is not None and too_much(value, *args):
            raise TemplateFault(
                f"filter {name} would make more than {MAX_OUTPUT:,} characters, or pads to more than {MAX_WIDTH:,}"
            )
        made = function(value, *args, **kwargs)
        if isinstance(made, (str, list, tuple)) and len(made) > MAX_OUTPUT:
            raise TemplateFault(f"filter {name} makes more than {MAX_OUTPUT:,} characters")
        return made

    return filtered
