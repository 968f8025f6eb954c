"""What a template may cost: characters and steps, counted, so that the same template always stops at the same place.

Jinja2's sandbox keeps templates from the machine, but not from its memory and time ("Security Considerations" of its manual):
`"a" * 10**9`, `{% for %}` in `{% for %}` and `"%999999999d"` are left to whoever uses it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from string import Formatter
from typing import Any

from ...model import Piece
from ..tracing import MAX_OUTPUT

MAX_STEPS = 200_000  # values printed, rounds of loops, calls: twice the sandbox's MAX_RANGE; indico's largest takes 300
CHARACTERS_A_STEP = 100  # of text made: so that MAX_STEPS allow twice MAX_OUTPUT in passing
CHARACTERS_COMPARED_A_STEP = 10_000  # or copied; a microsecond
ITEMS_COMPARED_A_STEP = 20  # of lists: `{% if x in these %}` in a loop is common, and each is looked at once more here
PIECES_A_STEP = 4  # of that text, which are handed on: each takes a quarter of a microsecond
MAX_ITEMS = 100_000  # of a list made, and of any width: the sandbox's MAX_RANGE
MAX_BITS = 100_000  # of a whole number; Python prints none with more than 4,300 digits, some 14,300 bits
_DIGITS = re.compile(r"\d+")
_PERCENT = re.compile(r"%(?:\([^)]*\))?[#0 +-]*(\d+|\*)?(?:\.(\d+|\*))?")
_CONTAINERS = (list, tuple, set, frozenset, dict)


class LimitReached(Exception):  # noqa: N818 -- a template's, not ours
    """A template costs more than any mail is worth; one clause. `piece` is where it was when that was noticed, if known."""

    piece: Piece | None = None


class Meter:
    """Counts down what one rendering may still cost."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_STEPS

    def reset(self) -> None:
        """Begin a rendering."""
        self.left = MAX_STEPS

    def spend(self, steps: int = 1) -> None:
        """Take steps. Raises LimitReached."""
        self.left -= steps
        if self.left < 0:
            raise LimitReached(f"takes more than {MAX_STEPS:,} steps, which no mail needs")

    def spend_on(self, text: str, pieces: int = 0) -> None:
        """Take one step and those for a text's length and pieces. Raises LimitReached."""
        if len(text) > MAX_OUTPUT:
            raise LimitReached(f"writes more than {MAX_OUTPUT:,} characters, which is more than any mail has")
        self.spend(1 + len(text) // CHARACTERS_A_STEP + pieces // PIECES_A_STEP)

    def walked(self, items: Any) -> Iterator[Any]:
        """The items of a loop, each of which is a step. Raises LimitReached."""
        for item in items:
            self.spend()
            yield item

    def weigh(self, value: Any) -> None:
        """Take a step for all that a value holds, before it is written: lists in lists grow fast. Raises LimitReached."""
        if isinstance(value, str):
            self.spend(len(value) // CHARACTERS_A_STEP)
        elif isinstance(value, _CONTAINERS):
            waiting = [value]
            while waiting:
                one = waiting.pop()
                self.spend(1 + len(one))
                inner = dict.values(one) if isinstance(one, dict) else one  # a key of the data may be called `values`
                waiting += [item for item in inner if isinstance(item, _CONTAINERS)]

    def compared(self, value: Any) -> Any:
        """The value, after steps for what comparing it takes: everything in it, and in lists in lists. Raises LimitReached."""
        if isinstance(value, str):
            self.spend(len(value) // CHARACTERS_COMPARED_A_STEP)
        elif isinstance(value, _CONTAINERS):
            waiting, count, most = [value], 0, (self.left + 1) * ITEMS_COMPARED_A_STEP
            while waiting and count <= most:
                one = waiting.pop()
                count += 1 + len(one)
                inner = (*one, *dict.values(one)) if isinstance(one, dict) else one
                waiting += [item for item in inner if isinstance(item, _CONTAINERS)]
            self.spend(count // ITEMS_COMPARED_A_STEP)
        return value


def width(*numbers: Any) -> None:
    """Refuse a width or a count beyond reason. Raises LimitReached."""
    for number in numbers:
        if isinstance(number, int) and number > MAX_ITEMS:
            raise LimitReached(f"asks for {number:,} of something, more than {MAX_ITEMS:,}")


def before_percent(pattern: str, values: Any) -> None:
    """Refuse the widths of a %-format. Raises LimitReached."""
    for found in _PERCENT.finditer(pattern):
        for size in found.groups():
            if size == "*":
                width(*(values if isinstance(values, tuple) else (values,)))
            elif size:
                width(_number(size))


def before_format(pattern: str, values: Iterable[Any]) -> None:
    """Refuse the widths of str.format, which may stand among its values. Raises LimitReached, ValueError."""
    for _, _, spec, _ in Formatter().parse(pattern):
        if spec:
            width(*map(_number, _DIGITS.findall(spec)))
            if "{" in spec:
                width(*values)


def _number(digits: str) -> int:
    return int(digits) if len(digits) < 10 else MAX_ITEMS + 1


def before_operator(operator: str, left: Any, right: Any) -> None:
    """Refuse arithmetic whose result is too large. Raises LimitReached."""
    if operator == "%":
        if isinstance(left, str):
            before_percent(left, right)
    elif operator == "+":
        if isinstance(left, (str, list, tuple)) and isinstance(right, (str, list, tuple)):
            _sized(left, len(left) + len(right))
    elif operator == "*":
        for one, times in ((left, right), (right, left)):
            if isinstance(one, (str, bytes, list, tuple)) and isinstance(times, int):
                _sized(one, len(one) * max(times, 0))
        if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > MAX_BITS:
            raise LimitReached("computes a number that is too large")
    elif isinstance(left, int) and isinstance(right, int) and left.bit_length() * max(right, 0) > MAX_BITS:
        raise LimitReached("computes a number that is too large")


def _sized(value: Any, length: int) -> None:
    limit = MAX_OUTPUT if isinstance(value, (str, bytes)) else MAX_ITEMS
    if length > limit:
        raise LimitReached(f"makes a {type(value).__name__} of {length:,}, more than {limit:,}")


_PADDING = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs"})


def before_method(owner: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Refuse a call of a string's or number's method that makes too much. Raises LimitReached."""
    if name == "to_bytes" or name in _PADDING:
        width(*args, *kwargs.values())
        if name == "expandtabs" and args and isinstance(args[0], int):
            _sized(owner, owner.count("\t") * args[0])
    elif not isinstance(owner, str):
        return
    elif name == "replace" and len(args) >= 2 and all(isinstance(one, str) for one in args[:2]):
        _sized(owner, len(owner) + owner.count(args[0]) * len(args[1]))
    elif name == "translate" and args and isinstance(args[0], Mapping):
        longest = max((len(one) for one in args[0].values() if isinstance(one, str)), default=1)
        _sized(owner, len(owner) * longest)
