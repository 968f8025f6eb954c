"""Changes the values of a data set to see what the template does then: missing, empty, None, long, from right to left, hostile.

One case for each kind changes all values at once, so that a template is rendered nine times and not nine times for each
variable; where one shows something, `narrow` finds out by halving whose value it was.
"""

import re
from collections.abc import Callable, Collection, Generator, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from ...facts.roots import PLANTED, DataKind
from ...rulefiles import data as book
from ..model import EACH, Use, Variable
from .made_up import Printed
from .values import is_machines, is_the_senders

LONG = 150  # characters: as long as Django's accounts take a first and a last name (django.contrib.auth.models.AbstractUser)
LONG_LIST = 50  # items: an order, or what a week's digest lists
MAX_LENGTH = 10_000  # characters of one changed value
MAX_LEAVES = 20_000  # values of one data set that are changed
MAX_NARROWING = 16  # renders of one case in search of who is guilty: one of a thousand takes ten, three of ten about as many

# What is judged in each kind, beside that it renders: what else a message with such values has is no fault of the template's.
_ALWAYS = frozenset({"template/does-not-render"})
_ABSENCE = _ALWAYS | {
    "template/empty-greeting",
    "template/unrendered-code",
    "template/missing-value-shows",
    "links/placeholder",
    "mime/empty-body",
}
JUDGED_BY: Mapping[DataKind, frozenset[str]] = {
    DataKind.MISSING: _ABSENCE,
    DataKind.EMPTY: _ABSENCE,
    DataKind.NONE: _ABSENCE,
    DataKind.LONG: _ALWAYS | {"headers/subject-too-long", "headers/subject-over-gmail-limit", "html/clipped-by-gmail"},
    DataKind.RIGHT_TO_LEFT: _ALWAYS | {"a11y/right-to-left-without-dir"},
    DataKind.EMOJI: _ALWAYS,
    DataKind.HTML: _ALWAYS | {"template/value-breaks-markup", "template/escapes-shown"},
    DataKind.LINES: _ALWAYS | {"template/header-injection"},
}

Step = str | int
Path = tuple[Step, ...]
Key = TypeVar("Key", bound=Hashable)

_GONE: Any = object()
_ARABIC = "محمد الأمين"
_MARKUP = re.compile(r"<[a-z!/]|&[a-z#]", re.IGNORECASE)
_TYPED = re.compile(r"[^\W\d_]")  # a letter: without one it is a number, a price, a time
_OF_PROGRAMS = re.compile(  # a URL, a path, a colour, an address, or a code: one word with a digit in it
    r"\A\s*+(?:[a-z][a-z0-9+.-]{1,20}://|(?:mailto|tel|sms|cid|data):|/|#[0-9a-f]{3,8}\Z|[^\s@]++@[^\s@]++\Z|www\.|(?=\S*\d)\S++\Z)",
    re.IGNORECASE,
)


# --- changes -----------------------------------------------------------------------------------------------------


def _long(text: str) -> str:
    wanted = min(max(LONG, 4 * len(text)), MAX_LENGTH)
    return " ".join([text or "long"] * (wanted // max(len(text), 4) + 1))[:wanted].rstrip()


_CHANGES: Mapping[DataKind, Callable[[str], Any]] = {
    DataKind.MISSING: lambda _text: _GONE,
    DataKind.EMPTY: lambda _text: "",
    DataKind.NONE: lambda _text: None,
    DataKind.LONG: _long,
    DataKind.RIGHT_TO_LEFT: lambda _text: _ARABIC,
    DataKind.EMOJI: lambda text: f"{text} \U0001f469\u200d\U0001f680\U0001f389",
    # Closes whatever quotes and tag it stands in. Escaped, in an attribute without quotes, the space still begins another one.
    DataKind.HTML: lambda text: f'{text}"\'><b {PLANTED}="x">&',
    DataKind.LINES: lambda text: f"{text}\r\n{PLANTED}: x",
}
_ABSENT = frozenset({DataKind.MISSING, DataKind.EMPTY, DataKind.NONE})


@dataclass(frozen=True)
class Case:
    """A data set of which some values were changed; `changed` are the names whose values they are."""

    name: str
    kind: DataKind
    data: Mapping[str, Any]
    changed: tuple[str, ...]
    _base: Mapping[str, Any]
    _leaves: Mapping[str, tuple[Path, ...]]

    def only(self, names: Collection[str]) -> "Case":
        """The same with only these names' values changed."""
        chosen = tuple(name for name in self.changed if name in names)
        return replace(self, data=_changed(self._base, self.kind, self._leaves, chosen), changed=chosen)

    def narrow(
        self, shown: Collection[Key], most: int = MAX_NARROWING
    ) -> Generator["Case", Collection[Key], Mapping[Key, tuple[str, ...]]]:
        """Find out whose values are guilty of what this case shows: yields cases, wants what each shows, returns names.

        What is shown may be anything hashable that is the same in every render. Where several values must come together, and
        where `most` renders do not tell, the names are those it was narrowed down to, or none if that is nearly all.
        """
        guilty: dict[Key, tuple[str, ...]] = {}
        open_: list[tuple[tuple[str, ...], frozenset[Key]]] = [(self.changed, frozenset(shown))]
        while open_:
            names, wanted = open_.pop(0)
            if len(names) == 1 or most <= 0:
                _blame(guilty, wanted, names)
                continue
            middle = len(names) // 2
            left: frozenset[Key] = wanted
            for half in (names[:middle], names[middle:]):
                if most > 0:
                    most -= 1
                    found = wanted & frozenset((yield self.only(half)))
                    left -= found
                    if found:
                        open_.append((half, found))
            _blame(guilty, left, names)
        return {key: names if len(names) == 1 or len(names) < len(self.changed) else () for key, names in guilty.items()}


def _blame(guilty: dict[Key, tuple[str, ...]], keys: Iterable[Key], names: tuple[str, ...]) -> None:
    for key in keys:
        guilty[key] = (*guilty.get(key, ()), *names)


def cases(
    name: str,
    data: Mapping[str, Any],
    variables: Iterable[Variable] = (),
    kinds: Collection[DataKind] = frozenset(DataKind),
    required: Collection[str] = (),
) -> Iterator[Case]:
    """A case for each kind but the full one, where the data has values for it.

    Only what the variables read is changed; without any (an engine that cannot tell), everything. `required` are names, or
    first parts of them, whose values are always there.
    """
    leaves = _leaves_of(data, tuple(variables))
    for kind, belongs in _BELONGS.items():
        if kind not in kinds:
            continue
        chosen = {
            leaf.name: leaf.paths
            for leaf in leaves
            if belongs(leaf) and not (kind in _ABSENT and _is_required(leaf.name, required))
        }
        if chosen:
            names = tuple(chosen)
            yield Case(f"{name}, {kind.words}", kind, _changed(data, kind, chosen, names), names, data, chosen)


def _is_required(name: str, required: Collection[str]) -> bool:
    return any(name == one or name.startswith((f"{one}.", f"{one}{EACH}")) for one in required)


# --- what can be changed -----------------------------------------------------------------------------------------


@dataclass
class _Leaf:
    """The values of one name: where they are, and what the template does with them."""

    name: str
    steps: tuple[str, ...]
    paths: tuple[Path, ...]
    values: tuple[Any, ...]
    printed: bool = True
    called: bool = False
    compared: bool = False

    @property
    def is_text(self) -> bool:
        return any(isinstance(one, str) for one in self.values)

    @cached_property
    def is_peoples(self) -> bool:
        """Whether people write such values: no URLs, numbers, colours and codes."""
        named = tuple(step for step in self.steps if step != EACH)
        if not self.is_text or is_machines(named):
            return False
        texts = [one[:MAX_LENGTH] for one in self.values if isinstance(one, str)]
        return all(_TYPED.search(one) and not _OF_PROGRAMS.match(one) for one in texts if one)

    @property
    def may_lack(self) -> bool:
        """Whether it may be missing, and that shows: a reader may have no name, but an order has its number.

        What is called is no value.
        """
        return self.is_peoples and self.printed and not self.called and not is_the_senders(self.steps)

    @property
    def is_typed(self) -> bool:
        """Whether anything may stand in it that people type: nothing that the template compares with words of its own."""
        return self.is_peoples and not self.compared

    @cached_property
    def is_markup(self) -> bool:
        """Whether it is HTML by intention: its name says so, or it has some."""
        last = next((step for step in reversed(self.steps) if step != EACH), "").lower()
        if any(last == name or last.endswith(f"_{name}") for name in book("templates")["names"]["html"]):
            return True
        return any(isinstance(one, str) and _MARKUP.search(one[:MAX_LENGTH]) for one in self.values)

    @property
    def is_list(self) -> bool:
        return any(isinstance(one, list) for one in self.values)


_BELONGS: Mapping[DataKind, Callable[[_Leaf], bool]] = {
    DataKind.MISSING: lambda leaf: leaf.may_lack and leaf.steps[-1] != EACH,
    DataKind.EMPTY: lambda leaf: leaf.may_lack,
    DataKind.NONE: lambda leaf: leaf.may_lack,
    DataKind.LONG: lambda leaf: leaf.is_list or leaf.is_typed,
    DataKind.RIGHT_TO_LEFT: lambda leaf: leaf.is_typed,
    DataKind.EMOJI: lambda leaf: leaf.is_typed,
    DataKind.HTML: lambda leaf: leaf.is_typed and not leaf.is_markup,
    DataKind.LINES: lambda leaf: leaf.is_typed,
}


def _leaves_of(data: Mapping[str, Any], variables: tuple[Variable, ...]) -> list[_Leaf]:
    found: dict[tuple[str, ...], list[tuple[Path, Any]]] = {}
    for number, (path, value) in enumerate(_walk((), data)):
        if number >= MAX_LEAVES:
            break
        found.setdefault(tuple(EACH if isinstance(step, int) else step for step in path), []).append((path, value))
    leaves = []
    read = _Read(variables)
    for steps, each in found.items():
        if read.has(steps):
            leaf = _Leaf(_named(steps), steps, tuple(path for path, _ in each), tuple(value for _, value in each))
            leaf.printed, leaf.called, leaf.compared = read.uses(steps)
            leaves.append(leaf)
    return leaves


def _walk(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    """Every single value with its path; of lists the outermost, too."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _walk((*path, str(name)), inner)
    elif isinstance(value, list):
        if value and not any(isinstance(step, int) for step in path):
            yield path, value
        for number, inner in enumerate(value):
            yield from _walk((*path, number), inner)
    elif path:
        yield path, value


def _named(steps: tuple[str, ...]) -> str:
    return ".".join(steps).replace(f".{EACH}", EACH)


class _Read:
    """What a template does with the value at a path."""

    def __init__(self, variables: tuple[Variable, ...]) -> None:
        self._by: dict[tuple[str, ...], list[Variable]] = {}
        for one in variables:
            steps = tuple(EACH if step.isdigit() else step for step in one.path)
            self._by.setdefault(steps, []).append(one)
        self._ways = {steps[:end] for steps in self._by for end in range(1, len(steps) + 1)}

    def has(self, steps: tuple[str, ...]) -> bool:
        """Whether it is read, by its own name or with what it stands in."""
        return not self._by or steps in self._ways or any(steps[:end] in self._by for end in range(1, len(steps)))

    def uses(self, steps: tuple[str, ...]) -> tuple[bool, bool, bool]:
        """Whether it is printed, called and compared; what is handed on whole may be printed anywhere."""
        own = self._by.get(steps)
        if own is None:
            return steps not in self._ways or not self._by, False, False
        printed = any(one.use is Use.TEXT for one in own)
        return printed, any(one.use is Use.CALL for one in own), any(one.literals for one in own)


# --- changing ----------------------------------------------------------------------------------------------------


def _changed(
    data: Mapping[str, Any], kind: DataKind, leaves: Mapping[str, tuple[Path, ...]], names: Collection[str]
) -> Mapping[str, Any]:
    """The data with these names' values changed; what is not changed is shared with it."""
    made: Any = data
    # Lists are lengthened last, with the items that were changed before.
    paths = sorted((path for name in names for path in leaves[name]), key=len, reverse=True)
    copied: dict[Path, Any] = {}
    for path in paths:
        made = _with(made, path, kind, copied)
    return made if isinstance(made, Mapping) else data


def _with(root: Any, path: Path, kind: DataKind, copied: dict[Path, Any]) -> Any:
    """Change one value in place, in copies of what it stands in; `copied` are those that were made, by their paths."""
    at: Any = None
    for end in range(len(path)):
        way = path[:end]
        if way not in copied:
            original = root if end == 0 else at[path[end - 1]]
            copied[way] = _copy(original)
            if end:
                at[path[end - 1]] = copied[way]
        at = copied[way]
    last = path[-1]
    value = at[last]
    if isinstance(value, list):
        at[last] = [value[number % len(value)] for number in range(max(LONG_LIST, len(value)))]
    else:
        changed = _CHANGES[kind](value if isinstance(value, str) else str(value))
        if changed is _GONE:
            del at[last]
        else:
            at[last] = changed
    return copied[()]


def _copy(value: Any) -> Any:
    if isinstance(value, Printed):
        return Printed(value, value.text)
    return list(value) if isinstance(value, list) else dict(value)
