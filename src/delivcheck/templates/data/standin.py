"""A value that stands in for any object of a Python program: whatever a template does with it, something fitting comes out.

Jinja2 and Django templates get objects, not JSON: methods to be called, dates, records of a database. A `StandIn` is a text
that answers attributes, items, calls, iteration, comparison and arithmetic as well. It never raises but for what a sandbox
forbids, never grows, and is the same in every run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from .values import MOMENT, singular, text_for

MAX_DEPTH = 6  # attributes and items below each other; then it is empty, or a template that walks a tree would never end
MAX_TEXT = 1_000  # characters of what its methods make
ITEMS = 2  # as many as there are, also its length and its value as a number: loops show what stands between items

# Names by which engines and Django's models ask what an object is: one that answers everything would be taken for all of them.
_NEVER = frozenset(
    {
        "jinja_pass_arg",
        "environmentfunction",
        "contextfunction",
        "resolve_expression",
        "as_sql",
        "as_widget",
        "render_annotated",
    }
    | {"get_deferred_fields", "mro", "gi_frame", "gi_code", "cr_frame", "cr_code", "ag_frame", "ag_code"}
)
_ANSWERS: Final[Mapping[str, bool]] = {"do_not_call_in_templates": False, "alters_data": False, "unsafe_callable": False}
_GROW = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs", "format", "format_map"})
_TEXT_METHODS = frozenset(name for name in vars(str) if not name.startswith("_")) - _GROW
_DATE_METHODS = frozenset({"strftime", "isoformat", "timestamp", "weekday", "isoweekday", "utcoffset", "tzname", "dst"})
_DATE_PARTS = frozenset({"year", "month", "day", "hour", "minute", "second", "microsecond"})
_UNSET: Any = object()


class StandIn(str):
    """Stands in for an object that prints as a text.

    `children` are the attributes and items that are known, and `known` further names that it has not; every other name is
    answered by another stand-in. `items` are what iterating gives, `value` what calling gives.
    """

    __slots__ = ("_children", "_depth", "_items", "_known", "_method", "_path", "_value")

    _path: tuple[str, ...]
    _depth: int
    _children: Mapping[str, Any]
    _known: frozenset[str]
    _items: Sequence[Any] | None
    _value: Any
    _method: Callable[..., Any] | None

    def __new__(  # noqa: D102, PYI034 -- the class documents it; nobody subclasses it
        cls,
        text: str,
        path: tuple[str, ...] = (),
        *,
        children: Mapping[str, Any] | None = None,
        known: frozenset[str] = frozenset(),
        items: Sequence[Any] | None = None,
        value: Any = _UNSET,
        method: Callable[..., Any] | None = None,
        depth: int = 0,
    ) -> "StandIn":
        made = super().__new__(cls, text)
        made._path = path
        made._depth = depth
        made._children = children or {}
        made._known = known
        made._items = items
        made._value = value
        made._method = method
        return made

    # --- names

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_"):  # a sandbox forbids them, and Python itself needs them
            return super().__getattribute__(name)
        if name in _ANSWERS:
            return _ANSWERS[name]
        if name in _NEVER:
            raise AttributeError(name)
        return self._child(name)

    def _child(self, name: str) -> Any:
        if name in self._children:
            return self._children[name]
        if name in self._known:
            raise AttributeError(name)
        if name in _DATE_PARTS:
            return getattr(MOMENT, name)
        path = (*self._path, name)
        return StandIn(text_for(path), path, method=self._method_of(name), depth=self._depth + 1)

    def _method_of(self, name: str) -> Callable[..., Any] | None:
        """What calling an attribute of that name does, where it is a method of texts, dates or mappings."""
        if name in _TEXT_METHODS:
            return partial(getattr(str, name), str(self))
        if name in _DATE_METHODS:
            return getattr(MOMENT, name)  # type: ignore[no-any-return]  # a method
        if name in {"items", "keys", "values"}:
            pairs = self._children or {f"{name} {number}": one for number, one in enumerate(self, 1)}
            return lambda: list(getattr(pairs, name)())
        if name == "get":
            return self._get
        return None

    def _get(self, name: str = "", default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return str(self)[key]
        if isinstance(key, int) and not isinstance(key, StandIn):
            each = tuple(self)
            if not each:
                raise IndexError(key)
            return each[key % len(each)]
        name = str(key)
        if name.startswith("_"):
            raise KeyError(name)
        try:
            return self._child(name)
        except AttributeError:
            raise KeyError(name) from None

    def __call__(self, *args: Any, **named: Any) -> Any:
        """What its method gives, its value, or itself."""
        if self._value is not _UNSET:
            return self._value
        if self._method is not None:
            try:
                made = self._method(*args, **named)
            except (TypeError, ValueError, AttributeError, OverflowError, LookupError):
                return self
            return made[:MAX_TEXT] if isinstance(made, str) else made
        return self

    # --- a list

    def __iter__(self) -> Iterator[Any]:
        if self._items is not None:
            return iter(tuple(self._items))
        if self._children:
            return iter(self._children)
        if self._depth >= MAX_DEPTH or not str(self):
            return iter(())
        path = (*self._path[:-1], singular(self._path[-1])) if self._path else ("item",)
        return iter([StandIn(text_for(path, number), path, depth=self._depth + 1) for number in range(ITEMS)])

    def __len__(self) -> int:
        return len(tuple(iter(self)))

    def __bool__(self) -> bool:
        return str(self) != "" and self._depth < MAX_DEPTH

    def __contains__(self, _item: object) -> bool:
        return bool(self)

    def __reversed__(self) -> Iterator[Any]:
        return iter(tuple(self)[::-1])

    # --- a number

    @property
    def _number(self) -> float:
        try:
            found = float(str(self))
        except ValueError:
            return ITEMS
        return int(found) if found.is_integer() and abs(found) < 1e15 else found if abs(found) < 1e15 else ITEMS

    def __int__(self) -> int:
        return int(self._number)

    def __index__(self) -> int:
        return min(abs(int(self._number)), 10)  # a range, a width, a place: nothing that grows

    def __float__(self) -> float:
        return float(self._number)

    def __round__(self, digits: int | None = None) -> float:
        return round(self._number) if digits is None else round(float(self._number), digits)

    def __neg__(self) -> float:
        return -self._number

    def __abs__(self) -> float:
        return abs(self._number)

    def __trunc__(self) -> int:
        return int(self._number)

    __floor__ = __trunc__
    __ceil__ = __trunc__

    def _with(self, other: object, work: Callable[[float, float], float]) -> Any:
        """Arithmetic: with what is no number, the stand-in itself; beyond what numbers hold, too."""
        if isinstance(other, StandIn):
            other = other._number  # noqa: SLF001 -- one class
        if isinstance(other, bool) or not isinstance(other, int | float):
            return self
        try:
            return work(self._number, other)
        except (ZeroDivisionError, OverflowError, ValueError):
            return self

    def __add__(self, other: Any) -> Any:
        if type(other) is str:
            return str(self) + other
        return self._with(other, lambda mine, theirs: mine + theirs)

    def __radd__(self, other: Any) -> Any:
        if type(other) is str:
            return other + str(self)
        return self._with(other, lambda mine, theirs: mine + theirs) if isinstance(other, int | float) else other

    def __sub__(self, other: Any) -> Any:
        return self._with(other, lambda mine, theirs: mine - theirs)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, lambda mine, theirs: theirs - mine)

    def __mul__(self, other: Any) -> Any:
        return self._with(other, lambda mine, theirs: mine * theirs)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return self._with(other, lambda mine, theirs: mine / theirs)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with(other, lambda mine, theirs: theirs / mine)

    def __floordiv__(self, other: Any) -> Any:
        return self._with(other, lambda mine, theirs: mine // theirs)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._with(other, lambda mine, theirs: theirs // mine)

    def __mod__(self, other: Any) -> Any:
        return self._with(other, lambda mine, theirs: mine % theirs)

    def __rmod__(self, other: Any) -> Any:
        if isinstance(other, str):
            try:
                return (str(other) % str(self))[:MAX_TEXT]
            except (TypeError, ValueError):
                return self
        return self._with(other, lambda mine, theirs: theirs % mine)

    def __pow__(self, _other: Any) -> Any:
        return self  # a power grows faster than anybody could print it

    __rpow__ = __pow__

    # --- comparison: it is what it is compared with, so that conditions hold

    def __eq__(self, other: object) -> bool:
        return self is other or bool(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, _other: object) -> bool:
        return True

    __le__ = __gt__ = __ge__ = __lt__

    def __hash__(self) -> int:
        return hash(ITEMS)  # a table with a 2 in it is asked for that

    # --- text

    def __str__(self) -> str:
        return str.__str__(self)

    def __format__(self, spec: str) -> str:
        for value in (str(self), self._number, int(self), MOMENT):
            try:
                return format(value, spec)[:MAX_TEXT]
            except ValueError:
                continue
        return str(self)

    def __copy__(self) -> "StandIn":
        return self

    def __deepcopy__(self, _memo: object) -> "StandIn":
        return self


def stand_in(name: str) -> StandIn:
    """A stand-in for a top-level variable."""
    return StandIn(text_for((name,)), (name,))
