"""What a Handlebars template reads from its data: found in the syntax tree, partials and layouts followed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ...model import EACH, Host, Source, Sources, TemplateFault, TemplateMissing, Use, Variable
from ..sections import Kind, kind, tested
from ..tracing import MAX_DEPTH, MAX_STEPS, MAX_TAGS
from .helpers import helper_of
from .nodes import Block, Call, Expression, Literal, Output, Partial, Path, Program
from .rendering import PARTIAL_BLOCK, SUFFIXES
from .syntax import parse

Names = tuple[str, ...]  # a path as `Variable` has it


@dataclass(frozen=True, slots=True)
class _Context:
    """What names are looked up in: the data at a path, None for what is not the data's; `named` goes before it."""

    path: Names | None
    named: tuple[tuple[str, Names | None], ...] = ()


@dataclass(frozen=True, slots=True)
class _Scope:
    """What names mean at one place, and which paths are tested around it."""

    source: Source
    contexts: tuple[_Context, ...]  # the innermost first
    params: Mapping[str, Names | None]
    tested: frozenset[Names]
    inlines: frozenset[str]  # names of partials that stand in a template
    stack: tuple[str, ...]  # the names of the templates that lead here


def variables(source: Source, sources: Sources, host: Host) -> tuple[Variable, ...]:
    """All that is read, once for each place. Raises TemplateFault."""
    reading = _Reading(sources, host)
    scope = _Scope(source, (_Context(()),), {}, frozenset(), frozenset(), (source.name,))
    reading.program(parse(source.text, source.name), scope)
    return tuple(reading.found.values())


class _Reading:
    def __init__(self, sources: Sources, host: Host) -> None:
        self.sources, self.host = sources, host
        self.found: dict[tuple[Names, Use, str, int], Variable] = {}
        self.seen: set[tuple[Any, ...]] = set()
        self.steps = 0

    # --- nodes

    def program(self, program: Program, scope: _Scope) -> None:
        scope = self._knowing(program, scope)
        for node in program.body:
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise TemplateFault(
                    f"has more than {MAX_STEPS:,} tags and texts, its partials counted as often as they are used"
                )
            if isinstance(node, Output):
                self._call(node.call, scope, Use.TEXT)
            elif isinstance(node, Partial):
                self._partial(node, scope)
            elif isinstance(node, Block):
                self._block(node, scope)

    def _knowing(self, program: Program | None, scope: _Scope) -> _Scope:
        names = {
            argument.original
            for one in (program.inlines if program else ())
            if isinstance(argument := one.call.args[0], Literal | Path)
        }
        return replace(scope, inlines=scope.inlines | names) if names else scope

    def _block(self, node: Block, scope: _Scope) -> None:
        call = node.call
        name, args = call.path.original, call.args
        if node.inline:
            self._bodies(node, scope, scope)
        elif name in {"if", "unless"} and args:
            self._value(args[0], scope, Use.TRUTH)
            inner = replace(scope, tested=scope.tested | set(self._tested(args[0], scope)))
            self._bodies(node, *((scope, inner) if name == "unless" else (inner, scope)))
        elif name in {"each", "with"} and args:
            use = Use.LIST if name == "each" else Use.OTHER
            self._value(args[0], scope, use)
            path = self._path_of(args[0], scope)
            item = path if path is None or name == "with" else (*path, EACH)
            self._bodies(node, self._inside(node.program, scope, item), scope)
        elif helper_of(self.host, name, alone=not call.has_arguments) is not None or call.has_arguments:
            self._call(call, scope, Use.OTHER)
            if name in {"extend", "embed"} and args and isinstance(args[0], Literal):
                self._included(args[0].original, scope.contexts[0], scope, node.start, node.end)
            inner = replace(scope, tested=scope.tested | set(self._tested(call, scope)))
            self._bodies(node, inner, scope)
        else:
            self._section(node, scope)

    def _section(self, node: Block, scope: _Scope) -> None:
        path = node.call.path
        names = self._path_of(path, scope)
        what = kind(path.parts[-1] if path.parts else "", reads_inside=_reads(node.program))
        use = Use.LIST if what is Kind.LIST else Use.TRUTH
        self._value(path, scope, use)
        inner = replace(scope, tested=scope.tested | ({names} if names else set()))
        if what is not Kind.FLAG:
            item = names if names is None or what is Kind.OBJECT else (*names, EACH)
            inner = self._inside(node.program, inner, item)
        self._bodies(node, inner, scope)

    def _bodies(self, node: Block, main: _Scope, inverse: _Scope) -> None:
        if node.program is not None:
            self.program(node.program, main)
        if node.inverse is not None:
            self.program(node.inverse, inverse)

    def _inside(self, program: Program | None, scope: _Scope, path: Names | None) -> _Scope:
        """The scope of a block that changes the context."""
        names = program.params if program else ()
        params = {**scope.params, **dict.fromkeys(names[1:2]), **dict.fromkeys(names[:1], path)}
        return replace(scope, contexts=(_Context(path), *scope.contexts), params=params)

    # --- partials

    def _partial(self, node: Partial, scope: _Scope) -> None:
        for one in node.args:
            self._value(one, scope, Use.OTHER)
        for _, value in node.named:
            self._value(value, scope, Use.TEXT)
        context = scope.contexts[0]
        if node.args:
            context = _Context(self._path_of(node.args[0], scope))
        if node.named:
            named = tuple((key, self._path_of(value, scope)) for key, value in node.named)
            context = _Context(context.path, (*context.named, *named))
        inner = self._knowing(node.block, scope)
        if node.block is not None:
            self.program(node.block, replace(inner, contexts=(context, *scope.contexts)) if node.args or node.named else inner)
        name = node.name.original if isinstance(node.name, Literal | Path) else None
        if name is not None and name != PARTIAL_BLOCK and name not in inner.inlines:
            self._included(name, context, inner, node.start, node.end, optional=node.block is not None)

    def _included(self, name: str, context: _Context, scope: _Scope, start: int, end: int, *, optional: bool = False) -> None:
        try:
            source = self.sources.find(name, scope.source, SUFFIXES)
        except TemplateFault as fault:
            if optional and isinstance(fault, TemplateMissing):
                return
            raise TemplateFault(fault.message, fault.where or scope.source.where(start, end)) from None
        key = (source.name, context, scope.tested, scope.inlines)
        if key in self.seen or source.name in scope.stack or len(scope.stack) > MAX_DEPTH:
            return
        self.seen.add(key)
        inner = _Scope(source, (context,), {}, scope.tested, scope.inlines, (*scope.stack, source.name))
        self.program(parse(source.text, source.name), inner)

    # --- expressions

    def _call(self, call: Call, scope: _Scope, use: Use) -> None:
        """What a call reads; `use` is what is done with what it gives."""
        if not call.has_arguments:
            if helper_of(self.host, call.path.original, alone=True) is None or not call.path.simple:
                self._value(call.path, scope, use)
            return
        has_default = call.path.original == "insert" and len(call.args) > 1
        literals = tuple(one.value for one in call.args if isinstance(one, Literal))
        compares = call.path.original in _COMPARES
        for one in (*call.args, *(value for _, value in call.named)):
            inner = Use.OTHER if compares else Use.TRUTH if call.path.original in _LOGIC else use
            self._value(one, scope, inner, sure=has_default, literals=literals if compares else ())

    def _value(
        self, expression: Expression, scope: _Scope, use: Use, *, sure: bool = False, literals: tuple[Any, ...] = ()
    ) -> None:
        if isinstance(expression, Call):
            self._call(expression, scope, use)
            return
        path = self._path_of(expression, scope)
        if not path or not isinstance(expression, Path):
            return
        if path[-1] == "length" and len(path) > 1:
            path, use = path[:-1], Use.LIST
        sure = sure or use in {Use.TRUTH, Use.LIST} or tested(path, scope.tested)
        at = scope.source.where(expression.start, expression.end)
        variable = Variable(path, use, at, sure, literals)
        if len(self.found) >= MAX_TAGS:
            raise TemplateFault(f"reads values at more than {MAX_TAGS:,} places")
        self.found.setdefault((path, use, scope.source.name, expression.start), variable)

    def _path_of(self, expression: Expression, scope: _Scope) -> Names | None:
        """Where in the data an expression's value stands, None where it does not or cannot be told."""
        if not isinstance(expression, Path):
            return None
        parts = tuple(EACH if part.isdecimal() else part for part in expression.parts)
        base: Names | None
        if expression.data:
            return parts[1:] if parts[:1] == ("root",) else None
        if expression.depth:
            base = scope.contexts[expression.depth].path if expression.depth < len(scope.contexts) else None
        elif not expression.scoped and parts and parts[0] in scope.params:
            base, parts = scope.params[parts[0]], parts[1:]
        else:
            context = scope.contexts[0]
            base, named = context.path, dict(context.named)
            if parts and parts[0] in named:
                base, parts = named[parts[0]], parts[1:]
        return None if base is None else (*base, *parts)

    def _tested(self, expression: Expression, scope: _Scope) -> Iterator[Names]:
        """The paths that are there where a test holds."""
        path = self._path_of(expression, scope)
        if path:
            yield path
        elif isinstance(expression, Call) and expression.path.original in _HOLDS:
            for one in expression.args:
                yield from self._tested(one, scope)


_COMPARES = frozenset({"equals", "notEquals", "greaterThan", "lessThan", "eq", "ne", "gt", "lt", "gte", "lte"})
_LOGIC = frozenset({"and", "or", "not"})
_HOLDS = frozenset({"and", "equals", "greaterThan", "lessThan", "eq", "gt", "lt", "gte", "lte"})


def _reads(program: Program | None) -> bool:
    """Whether anything is read in what a block holds: by a name, or as a whole."""
    return any(isinstance(node, Output | Block | Partial) for node in (program.body if program else ()))
