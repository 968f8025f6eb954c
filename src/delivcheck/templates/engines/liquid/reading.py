"""What a Liquid template reads from its data: python-liquid's syntax tree, its includes and parents followed."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from liquid import BoundTemplate, Token
from liquid.ast import ConditionalBlockNode, Node
from liquid.builtin.expressions import BooleanExpression, FilteredExpression, Path
from liquid.builtin.expressions.logical import (
    ContainsExpression,
    EqExpression,
    GeExpression,
    GtExpression,
    LeExpression,
    LogicalAndExpression,
    LogicalNotExpression,
    LogicalOrExpression,
    LtExpression,
    NeExpression,
)
from liquid.builtin.expressions.loop import LoopExpression
from liquid.builtin.expressions.primitive import Literal, StringLiteral
from liquid.builtin.output import OutputNode
from liquid.builtin.tags.assign_tag import AssignNode
from liquid.builtin.tags.capture_tag import CaptureNode
from liquid.builtin.tags.case_tag import CaseNode
from liquid.builtin.tags.for_tag import ForNode
from liquid.builtin.tags.if_tag import IfNode
from liquid.builtin.tags.include_tag import IncludeNode
from liquid.builtin.tags.render_tag import RenderNode
from liquid.builtin.tags.tablerow_tag import TablerowNode
from liquid.builtin.tags.unless_tag import UnlessNode
from liquid.expression import Expression
from liquid.extra.tags.extends_tag import ExtendsNode

from ...model import EACH, TemplateFault, Use, Variable
from ..sections import tested
from ..tracing import MAX_DEPTH, MAX_STEPS, MAX_TAGS
from .environment import Context
from .writing import origin_of

Names = tuple[str, ...]  # a path as `Variable` has it
_COMPARED = (EqExpression, NeExpression, LtExpression, GtExpression, LeExpression, GeExpression, ContainsExpression)


@dataclass(frozen=True, slots=True)
class _Scope:
    """What names mean at one place, and which paths are tested around it."""

    template: BoundTemplate
    names: dict[str, Names | None]  # of the template's own; None for what is not the data's
    tested: frozenset[Names] = frozenset()
    stack: tuple[str, ...] = ()

    def knowing(self, names: Mapping[str, Names | None]) -> "_Scope":
        """The same inside of a block that binds names. What is assigned there is forgotten behind it: it may not have run."""
        return replace(self, names={**self.names, **names})


class Reading:
    """All that is read, once for each place."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.found: dict[tuple[Names, Use, str, int], Variable] = {}
        self.seen: set[tuple[Any, ...]] = set()
        self.steps = 0

    def template(self, template: BoundTemplate) -> None:
        """Read a whole template. Raises TemplateFault, or an error of the library's."""
        self._nodes(template.nodes, _Scope(template, {}))

    # --- nodes

    def _nodes(self, nodes: Iterable[Node], scope: _Scope) -> None:
        for node in nodes:
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise TemplateFault(
                    f"has more than {MAX_STEPS:,} tags and texts, its includes counted as often as they are used"
                )
            self._node(node, scope)

    def _node(self, node: Node, scope: _Scope) -> None:
        if isinstance(node, OutputNode):
            self._value(node.expression, scope, Use.TEXT)
        elif isinstance(node, IfNode | UnlessNode):
            self._test(node, scope)
        elif isinstance(node, ForNode | TablerowNode):
            self._loop(node, scope)
        elif isinstance(node, AssignNode):
            self._value(node.expression, scope, Use.OTHER)
            scope.names[str(node.name)] = self._path_of(node.expression, scope)
        elif isinstance(node, CaptureNode):
            self._nodes([node.block], scope)
            scope.names[str(node.name)] = None
        elif isinstance(node, CaseNode):
            self._case(node, scope)
        elif isinstance(node, IncludeNode | RenderNode):
            self._include(node, scope)
        elif isinstance(node, ExtendsNode):
            self._included(node, str(node.name), scope, scope.names)
        else:
            for one in node.expressions():
                self._value(one, scope, Use.OTHER)
            bound = {str(one): None for one in node.block_scope()}
            self._nodes(node.children(Context(scope.template)), scope.knowing(bound) if bound else scope)

    def _test(self, node: IfNode | UnlessNode, scope: _Scope) -> None:
        self._value(node.condition, scope, Use.TRUTH)
        held = replace(scope, tested=scope.tested | set(self._tested(node.condition, scope)))
        is_if = isinstance(node, IfNode)
        self._nodes([node.consequence], held if is_if else scope)
        for one in node.alternatives:
            assert isinstance(one, ConditionalBlockNode)
            self._value(one.expression, scope, Use.TRUTH)
            inner = replace(scope, tested=scope.tested | set(self._tested(one.expression, scope)))
            self._nodes([one.block], inner)
        if node.default is not None:
            self._nodes([node.default], scope if is_if else held)

    def _loop(self, node: ForNode | TablerowNode, scope: _Scope) -> None:
        loop = node.expression
        assert isinstance(loop, LoopExpression)
        self._value(loop.iterable, scope, Use.LIST)
        for one in (loop.limit, loop.offset, loop.cols):
            if isinstance(one, Expression):
                self._value(one, scope, Use.OTHER)
        path = self._path_of(loop.iterable, scope)
        item = None if path is None else (*path, EACH)
        bound: dict[str, Names | None] = {loop.identifier: item, "forloop": None, "tablerowloop": None}
        self._nodes([node.block], scope.knowing(bound))
        if isinstance(node, ForNode) and node.default is not None:
            self._nodes([node.default], scope)

    def _case(self, node: CaseNode, scope: _Scope) -> None:
        literals: list[Any] = []
        for block in node.blocks:
            for expression in block.expressions():
                literals.extend(one.value for one in expression.children() if isinstance(one, Literal))
                for one in expression.children():
                    if one is not node.expression:
                        self._value(one, scope, Use.OTHER)
        self._value(node.expression, scope, Use.OTHER, literals=tuple(literals))
        path = self._path_of(node.expression, scope)
        tested = replace(scope, tested=scope.tested | ({path} if path else set()))
        for block in node.blocks:
            inner = tested if any(True for _ in block.expressions()) else scope
            self._nodes(block.children(Context(scope.template)), inner)

    def _include(self, node: IncludeNode | RenderNode, scope: _Scope) -> None:
        named = {str(one.name): one.value for one in node.args}
        for one in (*named.values(), *((node.var,) if node.var is not None else ())):
            self._value(one, scope, Use.OTHER)
        if not isinstance(node.name, StringLiteral):
            if isinstance(node.name, Path):
                self._value(node.name, scope, Use.OTHER)
            return
        bound = {name: self._path_of(value, scope) for name, value in named.items()}
        if node.var is not None:
            path = self._path_of(node.var, scope)
            walks = path is not None and isinstance(node, RenderNode) and node.loop
            key = str(node.alias or node.name.value.rpartition("/")[2].partition(".")[0])
            bound[key] = (*path, EACH) if path is not None and walks else path
        names = bound if isinstance(node, RenderNode) else {**scope.names, **bound}
        self._included(node, node.name.value, scope, {**names, "forloop": None})

    def _included(self, node: Node, name: str, scope: _Scope, names: dict[str, Names | None]) -> None:
        """Read what a tag brings in. What is assigned there is known behind it, if the language has it so."""
        key = (name, scope.template.path, tuple(sorted(names.items())), scope.tested)
        if key in self.seen or len(scope.stack) > MAX_DEPTH or name in scope.stack:
            return
        self.seen.add(key)
        context = Context(scope.template)
        nodes = list(node.children(context))
        origin = next((found for one in nodes if (found := origin_of(one.token)) is not None), None)
        template = (
            scope.template
            if origin is None
            else BoundTemplate(scope.template.env, nodes, path=origin.name, matter={"source": origin})
        )
        inner = dict(names)
        self._nodes(nodes, _Scope(template, inner, scope.tested, (*scope.stack, name)))
        if not isinstance(node, RenderNode):
            scope.names.update({one: path for one, path in inner.items() if one not in names})

    # --- expressions

    def _value(
        self, expression: Expression, scope: _Scope, use: Use, *, sure: bool = False, literals: tuple[Any, ...] = ()
    ) -> None:
        """What an expression reads; `use` is what is done with what it gives."""
        if isinstance(expression, Path):
            self._path(expression, scope, use, sure=sure, literals=literals)
        elif isinstance(expression, FilteredExpression):
            filters = expression.filters or []
            has_default = any(each.name == "default" for each in filters)
            self._value(expression.left, scope, use, sure=sure or has_default, literals=literals)
            for argument in (argument for each in filters for argument in each.children()):
                self._value(argument, scope, Use.OTHER)
        elif isinstance(expression, BooleanExpression):
            self._value(expression.expression, scope, use)
        elif isinstance(expression, _COMPARED):
            sides = (expression.left, expression.right)
            said = tuple(one.value for one in sides if isinstance(one, Literal))
            for one in sides:
                self._value(one, scope, Use.OTHER, sure=True, literals=said)
        elif isinstance(expression, LogicalAndExpression | LogicalOrExpression | LogicalNotExpression):
            for child in expression.children():
                self._value(child, scope, use)
        else:
            for child in expression.children():
                self._value(child, scope, Use.OTHER)

    def _path(self, path: Path, scope: _Scope, use: Use, *, sure: bool, literals: tuple[Any, ...]) -> None:
        for one in path.path:
            if isinstance(one, Path):
                self._path(one, scope, Use.OTHER, sure=False, literals=())
        names = self._path_of(path, scope)
        origin = origin_of(path.token)
        if not names or origin is None:
            return
        if names[-1] == "size" and len(names) > 1:
            names, use = names[:-1], Use.LIST
        start = path.token.start_index
        sure = sure or use in {Use.TRUTH, Use.LIST} or tested(names, scope.tested)
        at = origin.where(start, _end_of(path.token, origin.text))
        if len(self.found) >= MAX_TAGS:
            raise TemplateFault(f"reads values at more than {MAX_TAGS:,} places")
        self.found.setdefault((names, use, origin.name, start), Variable(names, use, at, sure, literals))

    def _path_of(self, expression: Expression, scope: _Scope) -> Names | None:
        """Where in the data an expression's value stands, None where it does not or cannot be told."""
        if isinstance(expression, FilteredExpression):
            return None if expression.filters else self._path_of(expression.left, scope)
        if not isinstance(expression, Path) or not isinstance(expression.path[0], str):
            return None
        root, *others = expression.path
        rest = tuple(one if isinstance(one, str) and one not in {"first", "last"} else EACH for one in others)
        assert isinstance(root, str)
        if root in scope.names:
            base = scope.names[root]
            return None if base is None else (*base, *rest)
        return None if root in _BUILT_IN else (root, *rest)

    def _tested(self, expression: Expression, scope: _Scope) -> Iterator[Names]:
        """The paths that are there where a test holds."""
        if isinstance(expression, BooleanExpression):
            yield from self._tested(expression.expression, scope)
        elif isinstance(expression, LogicalAndExpression):
            yield from self._tested(expression.left, scope)
            yield from self._tested(expression.right, scope)
        elif isinstance(expression, _COMPARED):
            for one in (expression.left, expression.right):
                yield from self._tested(one, scope)
        elif path := self._path_of(expression, scope):
            yield path


_BUILT_IN = frozenset({"now", "today"})  # of the library's context


def _end_of(token: Token, text: str) -> int:
    """Where a path ends: the library keeps its first name only."""
    end = token.start_index + len(token.value)
    while end < len(text) and (text[end].isalnum() or text[end] in "._-?[]"):
        end += 1
    return end
