"""The shape of the data that a template wants, from the variables that it reads: a tree, whose root is the data set."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from ..model import EACH, Use, Variable

MAX_STEPS = 20  # of one path; Shopify's longest has seven

# What values have by themselves, so that a template that calls it does not ask for a record with that name.
_OF_DATES = frozenset(
    {"strftime", "isoformat", "date", "time", "timestamp", "astimezone", "weekday", "isoweekday", "total_seconds", "timetuple"}
)
_METHODS = frozenset({*_OF_DATES, *(name for kind in (str, list, dict) for name in vars(kind) if not name.startswith("_"))})
_OF_MAPPINGS = frozenset({"items", "keys", "values", "get"})
_OF_LISTS = frozenset({"length", "size", "count", "first", "last", "exists", "join", "forEach", "map"})


class Kind(Enum):
    """What a value is."""

    RECORD = auto()
    LIST = auto()
    TRUTH = auto()
    ONE = auto()


@dataclass(eq=False, slots=True)
class Shape:
    """One value: what is done with it, what it is compared with, and what is read of it."""

    uses: set[Use] = field(default_factory=set)
    literals: list[Any] = field(default_factory=list)
    children: dict[str, "Shape"] = field(default_factory=dict)

    @staticmethod
    def of(variables: Iterable[Variable]) -> "Shape":
        """The shape of the data set that variables are read from."""
        root = Shape()
        for variable in variables:
            at = root
            for step in variable.path[:MAX_STEPS]:
                at = at.children.setdefault(EACH if step.isdigit() else step, Shape())
            if len(variable.path) <= MAX_STEPS:
                at.uses.add(variable.use)
                at.literals += [one for one in variable.literals if one not in at.literals]
        return root

    @property
    def each(self) -> "Shape | None":
        """The shape of its items, where it is walked over or read by number."""
        return self.children.get(EACH)

    @property
    def is_called(self) -> bool:
        """Whether it is called."""
        return Use.CALL in self.uses

    @property
    def names(self) -> tuple[str, ...]:
        """What is read of it by name, without the methods that any text, list, mapping or date has."""
        return tuple(
            name
            for name, child in self.children.items()
            if name != EACH and not (name in _METHODS and child.is_called and not child.children)
        )

    @property
    def kind(self) -> Kind:
        """What it is, where its uses contradict each other what most of them can live with."""
        names = self.names
        if Use.LIST in self.uses or self.each is not None:
            walked = self.each is not None and bool(self.each.children)
            return Kind.LIST if walked or _OF_LISTS.issuperset(names) else Kind.RECORD
        if names or any(name in _OF_MAPPINGS and child.is_called for name, child in self.children.items()):
            return Kind.RECORD
        if self.uses and self.uses <= {Use.TRUTH} and not self.literals and not self.children:
            return Kind.TRUTH
        return Kind.ONE
