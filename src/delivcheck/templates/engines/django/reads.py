"""The variables that a Django template takes from its data: read from the parsed tags, nothing is rendered."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.template.base import FilterExpression, NodeList, TextNode, TokenType, Variable, VariableNode
from django.template.defaulttags import (
    CycleNode,
    FilterNode,
    FirstOfNode,
    ForNode,
    IfNode,
    RegroupNode,
    WidthRatioNode,
    WithNode,
)
from django.template.loader_tags import BlockNode, ExtendsNode, IncludeNode
from django.templatetags.i18n import BlockTranslateNode

from ....model import Where
from ... import model
from ...model import EACH, Source, Sources, TemplateFault, Use
from .language import Language, Parsed, as_written
from .limits import MAX_DEPTH
from .trace import source_of

MAX_READ = 50_000  # nodes read of one template: one that includes another in two places has that one's twice
CONSTANTS: Mapping[str, object] = {"True": True, "False": False, "None": None}  # django.template.context.BaseContext
OF_LISTS = frozenset({"length", "first", "last", "random", "join", "dictsort", "dictsortreversed", "unordered_list", "safeseq"})
NAMES = ("asvar", "target_var", "variable", "variable_name", "var_name", "varname")  # what Django's tags call `as name`

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """What `regroup` makes: groups of a list's items, by a step into each."""

    items: Path
    by: Path
    one: bool = False  # one of the groups


Bound = Path | Group | None  # what a name stands for; None for what comes from no data


@dataclass(frozen=True)
class Scope:
    """Where in a template something stands."""

    names: dict[str, Bound] = field(default_factory=dict)  # what tags have bound; `as` adds to it
    tested: frozenset[Path] = frozenset()  # what is true here
    blocks: Mapping[str, Sequence[BlockNode]] = field(default_factory=dict)  # the child's first
    above: Sequence[BlockNode] = ()  # what `block.super` is
    open: tuple[Source, ...] = ()

    def inside(self, **names: Bound) -> "Scope":
        """The same in a tag: what is bound there ends there."""
        return replace(self, names={**self.names, **names})


class Reader:
    """Reads one template, with those that it extends and includes."""

    def __init__(self, language: Language, sources: Sources) -> None:
        self._language, self._sources = language, sources
        self._found: dict[tuple[Path, Use, Where, tuple[Any, ...]], model.Variable] = {}
        self._left = MAX_READ

    def read(self, source: Source) -> tuple[model.Variable, ...]:
        """The variables in the order in which they are read. Raises TemplateFault."""
        self._template(source, Scope())
        return tuple(self._found.values())

    def _template(self, source: Source, scope: Scope) -> None:
        blocks: dict[str, list[BlockNode]] = {}
        opened = scope.open
        while True:
            parsed = self._language.parse(source)
            opened = (*opened, source)
            extends = _extends(parsed)
            own = extends.blocks if extends is not None else _blocks(parsed.nodelist)
            for name, block in own.items():
                blocks.setdefault(name, []).append(block)
            here = replace(scope, blocks=blocks, open=opened, above=())
            if extends is None:
                self._nodes(parsed.nodelist, here)
                return
            parent = _constant(extends.parent_name)
            if parent is None:
                self._expression(extends.parent_name, Use.OTHER, here, extends)
                for block in own.values():
                    self._block(block, here)
                return
            source = self._parent(parent, extends, opened)

    def _parent(self, name: str, extends: ExtendsNode, opened: Sequence[Source]) -> Source:
        where = source_of(extends).where(*extends.token.position)
        try:
            found = self._sources.find(as_written(name), source_of(extends))
        except TemplateFault as fault:
            raise TemplateFault(fault.message, fault.where or where) from None
        if found in opened or len(opened) > MAX_DEPTH:
            names = " → ".join([one.name for one in (*opened, found)])
            raise TemplateFault(f"templates extend one another in a circle: {names}", where)
        return found

    # --- nodes

    def _nodes(self, nodes: Iterable[Any], scope: Scope) -> None:
        for node in nodes:
            self._left -= 1
            if self._left < 0:
                return
            if not isinstance(node, TextNode):
                _HANDLERS.get(_kind(node), Reader._other)(self, node, scope)

    def _variable_node(self, node: VariableNode, scope: Scope) -> None:
        expression = node.filter_expression
        if _lookups(expression) == ("block", "super") and "block" not in scope.names and scope.above:
            self._nodes(scope.above[0].nodelist, replace(scope.inside(), above=scope.above[1:]))
            return
        self._expression(expression, Use.TEXT, scope, node)

    def _block(self, node: BlockNode, scope: Scope) -> None:
        chain = scope.blocks.get(node.name) or [node]
        self._nodes(chain[0].nodelist, replace(scope.inside(), above=chain[1:]))

    def _for(self, node: ForNode, scope: Scope) -> None:
        lookups = _lookups(node.sequence)
        several = len(node.loopvars) > 1
        bound: dict[str, Bound] = dict.fromkeys(node.loopvars)
        if several and lookups is not None and len(lookups) > 1 and lookups[-1] == "items":
            # `for name, value in prices.items`: prices is a mapping, of which no path leads to the values
            path = self._path(lookups[:-1], scope)
            self._add(path, Use.OTHER, scope, _place(node, node.sequence, ".".join(lookups)))
        else:
            each = self._expression(node.sequence, Use.LIST, scope, node)
            if isinstance(each, Group):
                bound[node.loopvars[0]] = replace(each, one=True)
            elif each is not None:
                for number, name in enumerate(node.loopvars):
                    bound[name] = (*each, EACH, str(number)) if several else (*each, EACH)
        self._nodes(node.nodelist_loop, scope.inside(forloop=None, **bound))
        self._nodes(node.nodelist_empty, scope.inside())

    def _if(self, node: IfNode, scope: Scope) -> None:
        so_far = scope.tested
        for condition, nodes in node.conditions_nodelists:
            true = so_far
            if condition is not None:
                positive, negative = self._condition(condition, replace(scope, tested=so_far), node)
                true, so_far = so_far | positive, so_far | negative
            # names that `as` binds in a branch go on after it: Django gives `if` no scope of its own
            self._nodes(nodes, replace(scope, tested=true))

    def _with(self, node: WithNode, scope: Scope) -> None:
        self._nodes(node.nodelist, scope.inside(**self._bindings(node.extra_context, scope, node)))

    def _bindings(self, values: Mapping[str, Any], scope: Scope, node: Any) -> dict[str, Bound]:
        """What `name=value` binds: another name for a plain path, else something that comes from no data."""
        bound: dict[str, Bound] = {}
        for name, value in values.items():
            path = self._expression(value, Use.OTHER, scope, node)
            bound[name] = path if not value.filters else None
        return bound

    def _include(self, node: IncludeNode, scope: Scope) -> None:
        bound = self._bindings(node.extra_context, scope, node)
        name = _constant(node.template)
        if name is None:
            self._expression(node.template, Use.OTHER, scope, node)
            return
        try:
            found = self._sources.find(as_written(name), source_of(node))
            if found not in scope.open and len(scope.open) <= MAX_DEPTH:
                inner = Scope(dict(bound), scope.tested, {}, (), scope.open) if node.isolated_context else scope.inside(**bound)
                self._template(found, inner)
        except TemplateFault:
            return  # it may stand where it is never rendered; rendering says so if not

    def _translate(self, node: BlockTranslateNode, scope: Scope) -> None:
        bound = self._bindings(node.extra_context, scope, node)
        if node.countervar:
            self._expression(node.counter, Use.OTHER, scope, node, literals=(1,))  # Django wants a number
            bound[node.countervar] = None
        if node.message_context:
            self._expression(node.message_context, Use.OTHER, scope, node)
        inner = scope.inside(**bound)
        for token in (*node.singular, *(node.plural or ())):
            if token.token_type == TokenType.VAR:
                lookups = tuple(token.contents.split("."))
                at = source_of(node).where(*token.position)
                self._add(self._path(lookups, inner), Use.TEXT, inner, at)
        if node.asvar:
            scope.names[node.asvar] = None

    def _first_of(self, node: FirstOfNode, scope: Scope) -> None:
        for number, value in enumerate(node.vars):
            self._expression(value, Use.TEXT, scope, node, sure=number + 1 < len(node.vars))
        self._bind(node, scope)

    def _filter(self, node: FilterNode, scope: Scope) -> None:
        self._expression(node.filter_expr, Use.OTHER, scope.inside(var=None), node)  # Django's name for the contents
        self._nodes(node.nodelist, scope)

    def _cycle(self, node: CycleNode, scope: Scope) -> None:
        for value in node.cyclevars:
            self._expression(value, Use.TEXT, scope, node)
        self._bind(node, scope)

    def _ratio(self, node: WidthRatioNode, scope: Scope) -> None:
        for value in (node.val_expr, node.max_expr, node.max_width):
            self._expression(value, Use.OTHER, scope, node, literals=(1,))
        self._bind(node, scope)

    def _regroup(self, node: RegroupNode, scope: Scope) -> None:
        path = self._expression(node.target, Use.LIST, scope, node)
        by = (_lookups(node.expression) or ())[1:]
        bound: Bound = None
        if isinstance(path, tuple):
            bound = Group(path, by)
            self._add((*path, EACH, *by), Use.OTHER, scope, _place(node, None, ".".join(by)))
        scope.names[node.var_name] = bound

    def _other(self, node: Any, scope: Scope) -> None:
        """Any other tag: the expressions that it holds, the tags in it, the name that it binds."""
        for value in vars(node).values():
            for expression in _expressions(value):
                self._expression(expression, Use.OTHER, scope, node)
        for name in node.child_nodelists:
            if isinstance(nodes := getattr(node, name, None), NodeList):
                self._nodes(nodes, scope)
        self._bind(node, scope)

    def _bind(self, node: Any, scope: Scope) -> None:
        for attribute in NAMES:
            name = getattr(node, attribute, None)
            if isinstance(name, str):
                scope.names[name] = None

    # --- conditions

    def _condition(self, condition: Any, scope: Scope, node: Any) -> tuple[frozenset[Path], frozenset[Path]]:
        """Read a condition; what is there where it is true, and where it is false."""
        none: frozenset[Path] = frozenset()
        operator = condition.id
        if operator == "literal":
            path = self._expression(condition.value, Use.TRUTH, scope, node, sure=True)
            return (frozenset({path}), none) if isinstance(path, tuple) else (none, none)
        if operator == "not":
            positive, negative = self._condition(condition.first, scope, node)
            return negative, positive
        if operator in {"and", "or"}:
            first = self._condition(condition.first, scope, node)
            if operator == "and":
                second = self._condition(condition.second, replace(scope, tested=scope.tested | first[0]), node)
                return first[0] | second[0], first[1] & second[1]
            second = self._condition(condition.second, replace(scope, tested=scope.tested | first[1]), node)
            return first[0] & second[0], first[1] | second[1]
        return self._comparison(condition, scope, node)

    def _comparison(self, condition: Any, scope: Scope, node: Any) -> tuple[frozenset[Path], frozenset[Path]]:
        sides = (condition.first, condition.second)
        there: set[Path] = set()
        missing: set[Path] = set()
        for side, other in (sides, sides[::-1]):
            if side.id != "literal":
                self._condition(side, scope, node)
                continue
            known, value = _value(other.value) if other.id == "literal" else (False, None)
            path = self._expression(side.value, Use.OTHER, scope, node, sure=True, literals=(value,) if known else ())
            if not isinstance(path, tuple) or not known:
                continue
            same, truth = condition.id in {"==", "is", ">", ">=", "in"}, value is not None and value != ""
            if condition.id in {"==", "is", "!=", "is not", ">", ">=", "in"}:
                (there if same == truth else missing).add(path)
        return frozenset(there), frozenset(missing)

    # --- expressions

    def _expression(
        self, expression: Any, use: Use, scope: Scope, node: Any, *, sure: bool = False, literals: tuple[Any, ...] = ()
    ) -> Bound:
        """Add what an expression reads; what its value is, filters apart."""
        if isinstance(expression, Variable):
            return self._looked_up(expression, use, scope, node, sure=sure, literals=literals)
        if not isinstance(expression, FilterExpression):
            return None  # what Django has resolved already
        names = [_name(function) for function, _ in expression.filters]
        for _, args in expression.filters:
            for looked_up, arg in args:
                if looked_up:
                    self._looked_up(arg, Use.OTHER, scope, node, inside=expression)
        if not expression.is_var:
            return None
        if names and names[0] in OF_LISTS:
            use = Use.LIST
        sure = sure or "default" in names
        literals = () if names else literals
        return self._looked_up(expression.var, use, scope, node, sure=sure, literals=literals, inside=expression)

    def _looked_up(
        self,
        variable: Any,
        use: Use,
        scope: Scope,
        node: Any,
        *,
        sure: bool = False,
        literals: tuple[Any, ...] = (),
        inside: Any = None,
    ) -> Bound:
        lookups = variable.lookups
        if lookups is None or (len(lookups) == 1 and lookups[0] in CONSTANTS):
            return None
        if lookups[0] == "block" and scope.blocks and "block" not in scope.names:
            return None
        bound = self._path(lookups, scope)
        if isinstance(bound, tuple):
            self._add(bound, use, scope, _place(node, inside, variable.var), sure=sure, literals=literals)
        return bound

    def _path(self, lookups: Sequence[str], scope: Scope) -> Bound:
        """Where in the data some steps lead."""
        head, rest = lookups[0], tuple(EACH if step.isdecimal() else step for step in lookups[1:])
        if head not in scope.names:
            return (head, *rest)
        bound = scope.names[head]
        if isinstance(bound, Group):
            return _into(bound, rest)
        return None if bound is None else (*bound, *rest)

    def _add(
        self, path: Bound, use: Use, scope: Scope, at: Where, *, sure: bool = False, literals: tuple[Any, ...] = ()
    ) -> None:
        if isinstance(path, tuple):
            tested = any(path == one[: len(path)] for one in scope.tested)
            self._found.setdefault((path, use, at, literals), model.Variable(path, use, at, sure or tested, literals))


def _into(group: Group, steps: Path) -> Bound:
    if not steps:
        return group
    if not group.one:
        return _into(replace(group, one=True), steps[1:]) if steps[0] == EACH else None
    if steps[0] == "list":
        return (*group.items, *steps[1:])
    return (*group.items, EACH, *group.by, *steps[1:]) if steps[0] == "grouper" else None


def _place(node: Any, expression: Any, text: str) -> Where:
    """Where a variable is written: in the tag that was read with its expression, or else in the node's."""
    source = source_of(node)
    for token in (getattr(expression, "token_at", None), node.token):
        if token is not None:
            start, end = token.position
            if found := re.search(rf"(?<![\w.'\"]){re.escape(text)}(?![\w.])", source.text[start:end]):
                return source.where(start + found.start(), start + found.end())
    return source.where(*node.token.position)


def _extends(parsed: Parsed) -> Any:
    return next((node for node in parsed.nodelist if isinstance(node, ExtendsNode)), None)


def _blocks(nodes: NodeList) -> dict[str, BlockNode]:
    return {node.name: node for node in nodes.get_nodes_by_type(BlockNode)}


def _constant(expression: Any) -> str | None:
    """The name of a template, where it is a constant."""
    return str(expression.var) if not expression.is_var and not expression.filters and expression.var else None


def _lookups(expression: Any) -> tuple[str, ...] | None:
    """The steps of an expression that is a plain variable."""
    if isinstance(expression, FilterExpression) and expression.is_var and not expression.filters:
        lookups: tuple[str, ...] | None = expression.var.lookups
        return lookups
    return None


def _value(expression: Any) -> tuple[bool, object]:
    """Whether an expression is a constant, and which."""
    if not isinstance(expression, FilterExpression) or expression.filters:
        return False, None
    if not expression.is_var:
        return True, None if expression.var is None else str(expression.var)
    if expression.var.lookups is None:
        return True, expression.var.literal
    name = expression.var.lookups[0]
    return (True, CONSTANTS[name]) if expression.var.lookups == (name,) and name in CONSTANTS else (False, None)


def _name(function: Any) -> str:
    return str(getattr(function, "_filter_name", getattr(function, "__name__", "")))


def _expressions(value: Any) -> Iterable[Any]:
    if isinstance(value, (FilterExpression, Variable)):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _expressions(one)
    elif isinstance(value, (list, tuple)) and not isinstance(value, NodeList):
        for one in value:
            yield from _expressions(one)


_HANDLERS: Mapping[type, Callable[[Reader, Any, Scope], None]] = {
    VariableNode: Reader._variable_node,
    BlockNode: Reader._block,
    ForNode: Reader._for,
    IfNode: Reader._if,
    WithNode: Reader._with,
    IncludeNode: Reader._include,
    BlockTranslateNode: Reader._translate,
    FirstOfNode: Reader._first_of,
    FilterNode: Reader._filter,
    CycleNode: Reader._cycle,
    WidthRatioNode: Reader._ratio,
    RegroupNode: Reader._regroup,
}


def _kind(node: Any) -> type:
    """The kind of a tag, for one that is a more special one too."""
    return next((kind for kind in type(node).__mro__ if kind in _HANDLERS), type(node))
