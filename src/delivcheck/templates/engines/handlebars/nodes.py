"""What a Handlebars template is made of. Offsets are those of characters in its source."""

from dataclasses import dataclass, field


@dataclass(slots=True, frozen=True)
class Literal:
    """A string, a number, true, false, null or undefined."""

    value: str | float | bool | None
    original: str
    start: int
    end: int


@dataclass(slots=True, frozen=True)
class Path:
    """`name.of.something`, `../name`, `this`, `@index`. `scoped`: it begins with `this` or `.`, and so names no helper."""

    original: str
    parts: tuple[str, ...]
    depth: int
    data: bool
    scoped: bool
    start: int
    end: int

    @property
    def simple(self) -> bool:
        """Whether it may name a helper by itself: `AST.helpers.simpleId` of handlebars.js."""
        return len(self.parts) == 1 and not self.scoped and not self.depth and not self.data


@dataclass(slots=True, frozen=True)
class Call:
    """A path with arguments: a helper's call, or the plain value where it has none."""

    path: Path
    args: "tuple[Expression, ...]"
    named: "tuple[tuple[str, Expression], ...]"
    start: int
    end: int

    @property
    def has_arguments(self) -> bool:
        """Whether only a helper can be meant."""
        return bool(self.args or self.named)


Expression = Literal | Path | Call


@dataclass(slots=True, frozen=True)
class Strip:
    """Whether a tag has a tilde at its left and at its right."""

    left: bool = False
    right: bool = False


@dataclass(slots=True)
class Content:
    """Literal text. White-space control moves `start` and `end`; `first` and `last` stay where the text began and ended."""

    start: int
    end: int
    first: int = 0
    last: int = 0
    left_stripped: bool = False
    right_stripped: bool = False

    def __post_init__(self) -> None:
        self.first, self.last = self.start, self.end


@dataclass(slots=True)
class Comment:
    """`{{! … }}`, `{{!-- … --}}`."""

    strip: Strip


@dataclass(slots=True)
class Output:
    """`{{x}}`, `{{{x}}}`, `{{&x}}`."""

    call: Call
    raw: bool
    strip: Strip
    start: int
    end: int


@dataclass(slots=True)
class Program:
    """What stands between two tags. `chained`: it is only the `else if` behind another one."""

    body: "list[Node]" = field(default_factory=list)
    params: tuple[str, ...] = ()
    chained: bool = False
    inlines: "list[Block]" = field(default_factory=list)


@dataclass(slots=True)
class Block:
    """`{{#x}} … {{else}} … {{/x}}`; `{{^x}}` has only an inverse. `inline`: an inline partial of that name's expression."""

    call: Call
    program: Program | None
    inverse: Program | None
    open: Strip
    middle: Strip
    close: Strip
    start: int
    end: int  # of the opening tag
    inline: bool = False


@dataclass(slots=True)
class Partial:
    """`{{> name context key=value}}`; `{{#> name}}` has a block. `indent` is where the white space before it stands."""

    name: Expression
    args: tuple[Expression, ...]
    named: tuple[tuple[str, Expression], ...]
    block: Program | None
    open: Strip
    close: Strip
    start: int
    end: int
    indent: tuple[int, int] | None = None


Node = Content | Comment | Output | Block | Partial
