"""What a template reads of its data: its tree is walked once, with the values that names stand for instead of values.

A name that the template binds itself stands for what it was bound to, as far as that is a path into the data: after
`{% for item in order.items %}`, `item.price` is `order.items[].price`, also inside a macro that is given `item`.

Some 500 lines: one walk with a method for each kind of statement and expression, which share what they know.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jinja2 import nodes

from ...model import Source, Sources, TemplateFault, Use, Variable
from .compiling import Parsed
from .placing import At
from .standing import Macro, Module, Pair, Path, Scope, bind, each, member

if TYPE_CHECKING:
    from .environment import Environment

MAX_WALK = 50_000  # statements and expressions, macros once for each call; Indico's largest template has 600
MAX_DEPTH = 30  # templates and macros in one another, as python-liquid's; Python's own depth is 1,000, and each takes a dozen


_OWN = ("loop", "self", "super", "caller", "varargs", "kwargs")
_EITHER_LIST = frozenset(
    {"sort", "reverse", "list", "unique", "select", "reject", "selectattr", "rejectattr"}
)  # items as before
_ONE_OF = frozenset({"first", "last", "random", "min", "max"})
_OF_LIST = _EITHER_LIST | _ONE_OF | {"join", "map", "sum", "groupby", "batch", "slice"}
_NAMED_FIRST = frozenset({"selectattr", "rejectattr", "groupby"})  # their first argument is an attribute of each item
_PRESENCE = frozenset({"defined", "undefined", "none"})
_SAME = frozenset({"eq", "equalto", "==", "ne", "!=", "sameas", "in", "lt", "le", "gt", "ge"})
_OF_MAPPINGS = frozenset(
    {"items", "keys", "values"}
)  # what is walked over then has no path: a list has steps for its items only
_MAPPED = frozenset({"items", "dictsort", "xmlattr"})  # filters that take a mapping, as if its method were called


def variables_of(
    environment: "Environment", source: Source, sources: Sources, macro: str | None = None
) -> tuple[Variable, ...]:
    """What a template reads, and a macro of it that the program calls. Raises TemplateFault for the template itself."""
    parsed = environment.parsed(source)
    walk = _Walk(environment, sources, parsed)
    walk.template(parsed, walk.scope)
    called = walk.scope.names.get(macro or "")
    if isinstance(called, Macro):
        walk.called(called)
    return tuple(walk.found.values())


class _Walk:
    """Goes through templates in the order in which they are rendered.

    What an expression stands for is a Path, a Pair, a Macro, a Module, or None: nothing of the data's, or not known.
    """

    def __init__(self, environment: "Environment", sources: Sources, parsed: Parsed) -> None:
        self.environment = environment
        self.known = {**environment.globals, **dict.fromkeys(_OWN)}
        self.sources = sources
        self.parsed = parsed
        self.found: dict[tuple[Any, ...], Variable] = {}
        self.scope = Scope()
        self.top = self.scope
        self.sure: frozenset[tuple[str, ...]] = frozenset()  # paths that were tested around here
        self.blocks: dict[str, list[tuple[nodes.Block, Parsed]]] = {}
        self.block: tuple[str, int] | None = None  # the one that is walked, and how many override it
        self.done: set[tuple[Any, ...]] = set()
        self.depth = 0
        self.left = MAX_WALK

    # --- templates

    def template(self, parsed: Parsed, scope: Scope) -> None:
        """One template, and those that it extends, which share its names and blocks."""
        for block in parsed.tree.find_all(nodes.Block):
            self.blocks.setdefault(block.name, []).append((block, parsed))
        parents = [one for one in parsed.tree.body if isinstance(one, nodes.Extends)]
        body = (
            [one for one in parsed.tree.body if not isinstance(one, (nodes.Output, nodes.Block))]
            if parents
            else parsed.tree.body
        )
        with_parsed = self.parsed
        self.parsed = parsed
        self._inside(scope, body)
        for parent in parents[:1]:
            self.read(parent.template, Use.OTHER)
            above = list(self._templates(parent.template))
            for other in above:
                self._deeper(lambda other=other: self.template(other, scope))  # type: ignore[misc]  # bound here, called here
            if not above:  # what it would print is read all the same
                self._inside(scope, [one for one in parsed.tree.body if isinstance(one, nodes.Block)])
        self.parsed = with_parsed

    def _templates(self, name: nodes.Expr) -> Iterator[Parsed]:
        """The templates that an expression may name, as far as they are written in it, can be found, and can be read."""
        for one in _constants(name):
            try:
                yield self.environment.parsed(self.sources.find(one, self.parsed.source))
            except TemplateFault:
                continue  # rendering tells, if it comes there
            if isinstance(name, (nodes.List, nodes.Tuple, nodes.Const)):
                return  # the first that is there

    def _deeper(self, walk: Callable[[], None]) -> None:
        if self.depth < MAX_DEPTH:
            self.depth += 1
            walk()
            self.depth -= 1

    def _inside(self, scope: Scope, body: Iterable[nodes.Node], sure: Iterable[tuple[str, ...]] = ()) -> None:
        """Walk statements with other names, and where more is sure."""
        before = self.scope, self.sure
        self.scope, self.sure = scope, self.sure | frozenset(sure)
        for one in body:
            self.statement(one)
        self.scope, self.sure = before

    # --- statements

    def statement(self, node: nodes.Node) -> None:
        """Walk one statement."""
        self.left -= 1
        if self.left < 0:
            return
        act = _STATEMENTS.get(type(node))
        if act is not None:
            act(self, node)
        elif isinstance(node, nodes.Stmt):
            for child in node.iter_child_nodes():
                self.statement(child) if isinstance(child, nodes.Stmt) else self.read(child, Use.OTHER)

    def output(self, node: nodes.Output) -> None:
        for child in node.nodes:
            self.read(child, Use.TEXT)

    def if_(self, node: nodes.If) -> None:
        missed: set[tuple[str, ...]] = set()
        for branch in (node, *node.elif_):
            with_sure = self.sure
            self.sure |= missed
            self.read(branch.test, Use.TRUTH)
            self.sure = with_sure
            self._inside(self.scope, branch.body, missed | self.tested(branch.test))
            missed |= self.tested(branch.test, holds=False)
        self._inside(self.scope, node.else_, missed)

    def for_(self, node: nodes.For) -> None:
        self.read(node.iter, Use.LIST)
        item = each(self.resolve(node.iter))
        scope = Scope(self.scope, names={"loop": None})
        bind(scope, node.target, item)
        sure = {item.steps} if isinstance(item, Path) else set()
        if node.test is not None:
            before, self.scope = self.scope, scope
            self.read(node.test, Use.TRUTH)
            sure |= self.tested(node.test)
            self.scope = before
        self._inside(scope, node.body, sure)
        self._inside(Scope(self.scope), node.else_)

    def assign(self, node: nodes.Assign) -> None:
        bind(self.scope, node.target, self._taken(node.node))

    def _taken(self, node: nodes.Node) -> Any:
        """The value that a name is given, which is read once here, and wherever the name is."""
        self.read(node, Use.OTHER)
        return self.resolve(node)

    def assign_block(self, node: nodes.AssignBlock) -> None:
        self._inside(Scope(self.scope), node.body)
        bind(self.scope, node.target, None)

    def with_(self, node: nodes.With) -> None:
        scope = Scope(self.scope)
        for target, value in zip(node.targets, node.values, strict=True):
            bind(scope, target, self._taken(value))
        self._inside(scope, node.body)

    def block_(self, node: nodes.Block) -> None:
        self._block(node.name, 0, self.scope if node.scoped else self.top)

    def _block(self, name: str, level: int, scope: Scope) -> None:
        stack = self.blocks.get(name, [])
        if level >= len(stack):
            return
        node, parsed = stack[level]
        before = self.block, self.parsed
        self.block, self.parsed = (name, level), parsed
        self._deeper(lambda: self._inside(Scope(scope), node.body))
        self.block, self.parsed = before

    def include(self, node: nodes.Include) -> None:
        self.read(node.template, Use.OTHER)
        for other in self._templates(node.template):
            self._separate(other, Scope(self.scope, closed=not node.with_context))

    def _separate(self, other: Parsed, scope: Scope) -> None:
        """Another template, which has its own blocks."""
        before = self.blocks, self.block, self.top
        self.blocks, self.block, self.top = {}, None, scope
        self._deeper(lambda: self.template(other, scope))
        self.blocks, self.block, self.top = before

    def _module(self, node: nodes.Import | nodes.FromImport) -> Mapping[str, Any]:
        self.read(node.template, Use.OTHER)
        scope = Scope(self.scope, closed=not node.with_context)
        for other in self._templates(node.template):
            self._separate(other, scope)
        return scope.names

    def import_(self, node: nodes.Import) -> None:
        self.scope.names[node.target] = Module(self._module(node))

    def from_import(self, node: nodes.FromImport) -> None:
        names = self._module(node)
        for one in node.names:
            name, alias = one if isinstance(one, tuple) else (one, one)
            self.scope.names[alias] = names.get(name)

    def macro(self, node: nodes.Macro) -> None:
        self.scope.names[node.name] = Macro(node, self.scope, self.parsed)

    def call_block(self, node: nodes.CallBlock) -> None:
        self.read(node.call, Use.TEXT, caller=Macro(node, self.scope, self.parsed))

    def filter_block(self, node: nodes.FilterBlock) -> None:
        self._inside(Scope(self.scope), node.body)
        used: nodes.Node | None = node.filter
        while isinstance(used, nodes.Filter):
            self._arguments(used, Use.OTHER)
            used = used.node

    # --- what an expression stands for

    def resolve(self, node: nodes.Node | None) -> Any:
        """The value of an expression; nothing is read by it."""
        if isinstance(node, nodes.Name):
            return self.scope.find(node.name, self.known)
        if isinstance(node, nodes.Getattr):
            return member(self.resolve(node.node), node.attr)
        if isinstance(node, nodes.Getitem):
            value = self.resolve(node.node)
            if isinstance(node.arg, nodes.Slice):
                return value
            if isinstance(node.arg, nodes.Const):
                return member(value, node.arg.value)
            return each(value)
        if isinstance(node, nodes.Call):
            value = self.resolve(node.node)
            of_mapping = isinstance(node.node, nodes.Getattr) and node.node.attr in _OF_MAPPINGS
            return value if isinstance(value, Path) and not of_mapping else None
        if isinstance(node, nodes.Filter):
            return self._filtered(node)
        if isinstance(node, nodes.CondExpr):
            first = self.resolve(node.expr1)
            return first if first is not None else self.resolve(node.expr2)
        if isinstance(node, nodes.Or):
            value = self.resolve(node.left)
            return replace(value, sure=True) if isinstance(value, Path) else value
        if isinstance(node, nodes.And):
            return self.resolve(node.right)
        if isinstance(node, (nodes.List, nodes.Tuple)):
            return Pair(tuple(self.resolve(one) for one in node.items))
        return None

    def _filtered(self, node: nodes.Filter) -> Any:
        value = self.resolve(node.node)
        if not isinstance(value, Path):
            return value if node.name in _EITHER_LIST else None
        if node.name in {"default", "d"}:
            return replace(value, sure=True)
        if node.name in _EITHER_LIST:
            return value
        if node.name in _ONE_OF:
            return each(value)
        if node.name in {"batch", "slice"}:
            return replace(value, each=value)
        if node.name == "groupby":
            return replace(value, each=Pair((None, value)))
        if node.name == "map":
            named = _attribute(node)
            return replace(value, each=member(each(value), named) if named else Pair(()))
        return None

    def tested(self, node: nodes.Node, *, holds: bool = True) -> set[tuple[str, ...]]:
        """The paths that are there where a test holds, or where it does not."""
        if isinstance(node, nodes.Not):
            return self.tested(node.node, holds=not holds)
        if isinstance(node, nodes.And if holds else nodes.Or):
            return self.tested(node.left, holds=holds) | self.tested(node.right, holds=holds)
        if isinstance(node, (nodes.And, nodes.Or)):
            return set()
        if isinstance(node, nodes.Test) and node.name in {"undefined", "none"}:
            return self.tested(node.node, holds=not holds)
        if isinstance(node, nodes.Filter) and node.node is not None:
            return self.tested(node.node, holds=holds)
        if not holds:
            return set()
        if isinstance(node, nodes.Test):
            return self.tested(node.node)
        if isinstance(node, nodes.Compare):
            return self.tested(node.expr)
        value = self.resolve(node)
        return {value.steps} if isinstance(value, Path) else set()

    # --- what is read

    def read(
        self,
        node: nodes.Node | None,
        use: Use,
        *,
        sure: bool = False,
        literals: tuple[Any, ...] = (),
        caller: Macro | None = None,
    ) -> None:
        """Note all that an expression reads."""
        self.left -= 1
        if self.left < 0 or node is None or isinstance(node, (nodes.Const, nodes.TemplateData)):
            return
        if isinstance(node, (nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Call)):
            self._read_path(node, use, sure=sure, literals=literals, caller=caller)
        elif isinstance(node, nodes.Filter):
            self._read_filter(node, use, sure=sure)
        elif isinstance(node, nodes.Test):
            presence = node.name in _PRESENCE
            same = _literals(node.args) if node.name in _SAME else ()
            self.read(node.node, Use.TRUTH if presence else Use.OTHER, sure=sure or presence, literals=same)
            self._arguments(node, Use.OTHER)
        elif isinstance(node, nodes.Compare):
            others = [operand.expr for operand in node.ops]
            self.read(node.expr, Use.OTHER, sure=sure, literals=_literals(others))
            for other in others:
                self.read(other, Use.OTHER, sure=sure, literals=_literals([node.expr]))
        elif isinstance(node, nodes.Not):
            self.read(node.node, Use.TRUTH, sure=sure)
        elif isinstance(node, (nodes.And, nodes.Or)):
            is_test = use is Use.TRUTH
            self.read(node.left, Use.TRUTH if is_test or isinstance(node, nodes.And) else use, sure=sure or not is_test)
            self._where(self.tested(node.left, holds=isinstance(node, nodes.And)), node.right, use, sure=sure)
        elif isinstance(node, nodes.CondExpr):
            self.read(node.test, Use.TRUTH)
            self._where(self.tested(node.test), node.expr1, use, sure=sure)
            self._where(self.tested(node.test, holds=False), node.expr2, use, sure=sure)
        else:
            printed = isinstance(node, nodes.Concat) or (isinstance(node, nodes.Mod) and isinstance(node.left, nodes.Const))
            for child in node.iter_child_nodes():
                self.read(child, Use.TEXT if printed else Use.OTHER)

    def _where(self, tested: set[tuple[str, ...]], node: nodes.Expr | None, use: Use, *, sure: bool) -> None:
        before = self.sure
        self.sure |= tested
        self.read(node, use, sure=sure)
        self.sure = before

    def _read_path(self, node: nodes.Expr, use: Use, *, sure: bool, literals: tuple[Any, ...], caller: Macro | None) -> None:
        if isinstance(node, nodes.Call):
            callee = self.resolve(node.node)
            if isinstance(callee, Macro):
                self.called(callee, node, caller)
                return
            if isinstance(node.node, nodes.Name) and node.node.name == "super" and self.block is not None:
                self._block(self.block[0], self.block[1] + 1, self.top)
            if caller is not None:  # what a call of something unknown does with its body is not known either
                self.called(caller)
            self._arguments(node, Use.TEXT if isinstance(node.node, nodes.Getattr) and callee is None else Use.OTHER)
            use = Use.CALL
        value = callee if isinstance(node, nodes.Call) else self.resolve(node)
        base = self._steps(node)
        if isinstance(value, Path):
            self._note(value, use, node, base, sure=sure, literals=literals)
        if not isinstance(base, nodes.Name):
            self.read(base, Use.OTHER)

    def _steps(self, node: nodes.Node | None) -> nodes.Node | None:
        """Where a path begins; the arguments on the way are read."""
        first = node
        while isinstance(node, (nodes.Getattr, nodes.Getitem, nodes.Call)):
            if isinstance(node, nodes.Getitem):
                for child in (node.arg,) if not isinstance(node.arg, nodes.Slice) else node.arg.iter_child_nodes():
                    self.read(child, Use.OTHER)
            elif isinstance(node, nodes.Call) and node is not first:
                self.read(node, Use.OTHER)
            node = node.node
        return node

    def _read_filter(self, node: nodes.Filter, use: Use, *, sure: bool) -> None:
        name = node.name
        is_default = name in {"default", "d"}
        inner = use if is_default else Use.LIST if name in _OF_LIST else Use.OTHER if name in {"length", "count"} else Use.TEXT
        mapped = self.resolve(node.node) if name in _MAPPED else None
        if isinstance(mapped, Path):
            self._note(member(mapped, "items"), Use.CALL, node, self._steps(node.node), sure=sure)
        else:
            self.read(node.node, inner, sure=sure or is_default)
        self._arguments(node, Use.OTHER)
        attribute = _attribute(node)
        value = each(self.resolve(node.node)) if attribute else None
        if isinstance(value, Path) and attribute:
            self._note(member(value, attribute), Use.TEXT, node, node, sure=sure)

    def _arguments(self, node: Any, use: Use) -> None:
        for one in (*node.args, *(pair.value for pair in node.kwargs), node.dyn_args, node.dyn_kwargs):
            self.read(one, use)

    def called(self, macro: Macro, call: nodes.Call | None = None, caller: Macro | None = None) -> None:
        """The body of a macro, with what it is given."""
        given: dict[str, Any] = {}
        names = [one.name for one in macro.node.args]
        if call is not None:
            for name, value in [*zip(names, call.args, strict=False), *((pair.key, pair.value) for pair in call.kwargs)]:
                given[name] = self._taken(value)
            for value in call.args[len(names) :]:
                self.read(value, Use.OTHER)
        key = (id(macro.node), tuple(given.items()), self.sure)
        if caller is None and key in self.done:
            return
        self.done.add(key)
        before = self.parsed, self.scope
        self.parsed, self.scope = macro.parsed, macro.scope
        defaults = dict(zip(reversed(names), reversed(macro.node.defaults), strict=False))
        for name in names:
            if name not in given:
                given[name] = self._taken(defaults[name]) if name in defaults else None
        scope = Scope(macro.scope, names={**given, "caller": caller})
        self._deeper(lambda: self._inside(scope, macro.node.body))
        self.parsed, self.scope = before

    def _note(
        self, value: Path, use: Use, node: nodes.Node, base: nodes.Node | None, *, sure: bool, literals: Sequence[Any] = ()
    ) -> None:
        first = base.lineno if base is not None and isinstance(base.lineno, At) else node.lineno
        placing = self.parsed.placing
        key = (value.steps, use, placing.source.name, first.start if isinstance(first, At) else -1)
        is_sure = sure or value.sure or value.steps in self.sure
        before = self.found.get(key)
        if before is not None:  # of a macro or block that is walked twice
            is_sure = is_sure and before.sure
            literals = [*before.literals, *(one for one in literals if one not in before.literals)]
            at = before.at
        elif isinstance(first, At):
            at = placing.source.where(*placing.span(first.start, _end(node, first, placing.text)))
        else:
            at = placing.where(first)
        self.found[key] = Variable(value.steps, use, at, is_sure, tuple(literals))


_STATEMENTS: dict[type[nodes.Node], Callable[[_Walk, Any], None]] = {
    nodes.Output: _Walk.output,
    nodes.If: _Walk.if_,
    nodes.For: _Walk.for_,
    nodes.Assign: _Walk.assign,
    nodes.AssignBlock: _Walk.assign_block,
    nodes.With: _Walk.with_,
    nodes.Block: _Walk.block_,
    nodes.Include: _Walk.include,
    nodes.Import: _Walk.import_,
    nodes.FromImport: _Walk.from_import,
    nodes.Macro: _Walk.macro,
    nodes.CallBlock: _Walk.call_block,
    nodes.FilterBlock: _Walk.filter_block,
    nodes.Extends: lambda _walk, _node: None,  # by `template`
}


def _constants(name: nodes.Expr) -> Iterator[str]:
    if isinstance(name, nodes.Const):
        yield from [name.value] if isinstance(name.value, str) else [one for one in name.value or () if isinstance(one, str)]
    elif isinstance(name, (nodes.List, nodes.Tuple)):
        for one in name.items:
            yield from _constants(one)
    elif isinstance(name, nodes.CondExpr):
        for branch in (name.expr1, name.expr2):
            if branch is not None:
                yield from _constants(branch)


def _literals(expressions: Iterable[nodes.Expr]) -> tuple[Any, ...]:
    """The constants among some expressions, and in lists among them."""
    made: list[Any] = []
    for one in expressions:
        if isinstance(one, nodes.Const):
            made.append(one.value)
        elif isinstance(one, (nodes.List, nodes.Tuple)):
            made += [item.value for item in one.items if isinstance(item, nodes.Const)]
    return tuple(made)


def _attribute(node: nodes.Filter) -> str | None:
    """The attribute of each item that a filter looks at."""
    named = [pair.value for pair in node.kwargs if pair.key == "attribute"]
    if node.name in _NAMED_FIRST:
        named += node.args[:1]
    found = named[0] if named else None
    return found.value if isinstance(found, nodes.Const) and isinstance(found.value, str) else None


def _end(node: nodes.Node, first: At, text: str) -> int:
    """Where a path ends that begins with a token: after its last name, or after that token."""
    node = node.node if isinstance(node, nodes.Call) else node
    if isinstance(node, nodes.Getattr) and isinstance(node.lineno, At):
        end = node.lineno.end
        if text.startswith(node.attr, end):
            return end + len(node.attr)
    return first.end
