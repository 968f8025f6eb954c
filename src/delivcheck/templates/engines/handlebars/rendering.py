"""Rendering of parsed Handlebars templates, as handlebars.js 4.7 runs them (javascript-compiler.js, runtime.js)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...model import Host, Source, Sources, TemplateFault, TemplateMissing
from ..tracing import MAX_DEPTH, MAX_STEPS, Segment, Trace, indented
from . import values
from .helpers import Body, Helper, Invocation, each, helper_of
from .nodes import Block, Call, Comment, Content, Expression, Literal, Node, Output, Partial, Path, Program
from .syntax import parse

SUFFIXES = ("", ".hbs", ".handlebars", ".html", ".hbs.html", ".html.hbs", ".mustache")
PARTIAL_BLOCK = "@partial-block"


@dataclass(slots=True)
class _Template:
    """One template in the making, called from another or by itself: inline partials and blocks belong to it."""

    source: Source
    partials: Mapping[str, "_Bound"]


@dataclass(frozen=True, slots=True)
class _Scope:
    """What names mean at one place. `contexts`: the innermost first."""

    template: _Template
    contexts: tuple[Any, ...]
    data: Mapping[str, Any]
    params: Mapping[str, Any]

    @property
    def this(self) -> Any:
        return self.contexts[0]


@dataclass(frozen=True, slots=True)
class _Bound:
    """A program with the scope that it was written in: a partial block or an inline partial."""

    program: Program
    scope: _Scope


class Rendering:
    """One rendering of one template."""

    def __init__(self, host: Host, sources: Sources, *, html: bool) -> None:
        """Begin."""
        self.host, self.sources, self.html = host, sources, html
        self.trace = Trace()
        self.steps = 0
        self.depth = 0
        self.layouts: list[dict[str, list[tuple[str, Body]]]] = []

    def run(self, source: Source, data: Mapping[str, Any]) -> Trace:
        """Render a template. Raises TemplateFault."""
        program = parse(source.text, source.name)
        try:
            self.program(program, _Scope(_Template(source, {}), (data,), {"root": data}, {}))
        except RecursionError:  # we stop at MAX_DEPTH, but who calls us may already stand deep
            raise TemplateFault("blocks and partials stand too deep in one another", source.where(0)) from None
        return self.trace

    # --- nodes

    def program(self, program: Program, scope: _Scope) -> None:
        """Write a program; inline partials in it hold while it is written."""
        template = scope.template
        before = template.partials
        if program.inlines:
            template.partials = {**before, **self._inlines(program, scope)}
        source = template.source
        try:
            for node in program.body:
                self.step(scope, node)
                if isinstance(node, Content):
                    if node.start < node.end:
                        self.trace.copy(source, node.start, node.end)
                elif isinstance(node, Output):
                    self._output(node, scope)
                elif isinstance(node, Partial):
                    self._partial(node, scope)
                elif isinstance(node, Block) and not node.inline:
                    self._block(node, scope)
        finally:
            template.partials = before

    def step(self, scope: _Scope, node: Node | None) -> None:
        """Count one node, or one time that a block is entered. Raises TemplateFault."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            start = node.start if node is not None and not isinstance(node, Comment) else 0
            where = scope.template.source.where(start)
            raise TemplateFault(f"passes more than {MAX_STEPS:,} tags and texts: loops without end?", where)

    def _inlines(self, program: Program, scope: _Scope) -> dict[str, _Bound]:
        return {
            values.text(self._value(one.call.args[0], scope)): _Bound(one.program, scope)
            for one in program.inlines
            if one.program is not None
        }

    def _output(self, node: Output, scope: _Scope) -> None:
        value = self._called(node.call, scope)
        text = values.text(value)
        if self.html and not node.raw:
            text = values.escape(text)
        self.trace.value(text, scope.template.source, node.start, node.end)

    def _block(self, node: Block, scope: _Scope) -> None:
        main = self._body(node.program, scope)
        inverse = self._body(node.inverse, scope)
        helper = self._helper(node.call, scope)
        invocation = self._invocation(node.call, scope, main, inverse)
        if helper is None:
            self._section(self._value(node.call.path, scope), invocation)
            return
        self.trace.value(values.text(helper(invocation)), scope.template.source, node.start, node.end)

    def _section(self, value: Any, call: Invocation) -> None:
        """A block whose name is no helper's: `blockHelperMissing`."""
        assert call.main is not None
        assert call.inverse is not None
        if value is True:
            call.main(call.this)
        elif value is None or value is False:
            call.inverse(call.this)
        elif values.is_list(value):
            each(call, value)
        else:
            call.main(value)

    def _body(self, program: Program | None, scope: _Scope) -> Body:
        def body(context: Any, *, data: Mapping[str, Any] | None = None, params: tuple[Any, ...] = ()) -> None:
            if program is not None:
                self.entered(program, scope, context, data, params)

        return body

    def entered(
        self, program: Program, scope: _Scope, context: Any, data: Mapping[str, Any] | None, params: tuple[Any, ...]
    ) -> None:
        """Write a program that stands inside of another."""
        contexts = scope.contexts if values.same(context, scope.this) else (context, *scope.contexts)
        bound = {**scope.params, **dict(zip(program.params, params, strict=False))} if program.params else scope.params
        inner = {**scope.data, **data, "_parent": scope.data} if data is not None else scope.data
        self.deeper()
        self.step(scope, program.body[0] if program.body else None)
        self.program(program, _Scope(scope.template, contexts, inner, bound))
        self.depth -= 1

    def deeper(self) -> None:
        """Count one block or partial more inside of the others. Raises TemplateFault."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TemplateFault(
                f"blocks and partials stand more than {MAX_DEPTH} deep in one another: does one include itself?"
            )

    # --- partials

    def _partial(self, node: Partial, scope: _Scope) -> None:
        name = self._partial_name(node.name, scope)
        source = scope.template.source
        context = self._value(node.args[0], scope) if node.args else scope.this
        if node.named:
            named = {key: self._value(value, scope) for key, value in node.named}
            context = {**(context if isinstance(context, Mapping) else {}), **named}
        block = _Bound(node.block, scope) if node.block is not None else None
        inlines = self._inlines(node.block, scope) if node.block is not None and node.block.inlines else {}
        whole, self.trace = self.trace, Trace() if node.indent else self.trace
        whole_size = whole.size
        try:
            self.deeper()
            self.include(name, context, scope, block, inlines)
            self.depth -= 1
        except TemplateFault as fault:
            if fault.where is None:
                raise TemplateFault(fault.message, source.where(node.start, node.end)) from None
            raise
        finally:
            made, self.trace = self.trace, whole
        if node.indent:
            at, until = node.indent
            whole.size = whole_size
            whole.extend(indented(made.segments, Segment(source.text[at:until], source, at, until, copied=True)))

    def _partial_name(self, name: Expression, scope: _Scope) -> str:
        if isinstance(name, Path):
            return PARTIAL_BLOCK if name.data and name.parts == ("partial-block",) else name.original
        if isinstance(name, Literal):
            return name.original
        return values.text(self._called(name, scope))

    def include(
        self, name: str, context: Any, scope: _Scope, block: _Bound | None, inlines: Mapping[str, _Bound] | None = None
    ) -> None:
        """Write a partial: an inline one, the block that the caller gave, or a file. Raises TemplateFault."""
        known = {**scope.template.partials, **(inlines or {})}
        data = {**scope.data, "partial-block": block} if block is not None else scope.data
        bound = data_block(scope.data) if name == PARTIAL_BLOCK else known.get(name)
        if bound is not None:
            if name == PARTIAL_BLOCK:
                self._written_block(bound, context, scope.data)
            else:
                inner = bound.scope
                before = inner.template.partials
                inner.template.partials = {**before, **known}
                self.entered(bound.program, inner, context, {**data}, ())
                inner.template.partials = before
            return
        if name == PARTIAL_BLOCK:
            if block is None:
                raise TemplateFault("{{> @partial-block}} in a template that no partial block called")
            self._written_block(block, context, scope.data)
            return
        try:
            source = self.sources.find(name, scope.template.source, SUFFIXES)
        except TemplateMissing:
            if block is None:
                raise
            self._written_block(block, context, scope.data)  # a partial block is what stands for a partial that is not there
            return
        template = _Template(source, known)
        self.program(parse(source.text, source.name), _Scope(template, (context,), data, {}))

    def _written_block(self, block: _Bound, context: Any, data: Mapping[str, Any]) -> None:
        """Write a partial's block; inside of it, `@partial-block` is again what it was where the block was written."""
        outer = {**data, "partial-block": data_block(block.scope.data)}
        self.entered(block.program, block.scope, context, outer, ())

    # --- expressions

    def _invocation(self, call: Call, scope: _Scope, main: Body | None = None, inverse: Body | None = None) -> Invocation:
        source = scope.template.source

        def write_partial(name: str, context: Any) -> None:
            self.deeper()
            self.include(name, context, scope, None)
            self.depth -= 1

        def write_nothing(body: Body, context: Any) -> None:
            whole, self.trace = self.trace, Trace()
            try:
                body(context)
            finally:
                self.trace = whole

        return Invocation(
            call.path.original,
            scope.this,
            tuple(self._value(one, scope) for one in call.args),
            {key: self._value(one, scope) for key, one in call.named},
            main,
            inverse,
            self.layouts,
            write_partial,
            write_nothing,
            lambda message: TemplateFault(message, source.where(call.start, call.end)),
        )

    def _helper(self, call: Call, scope: _Scope) -> Helper | None:
        """The helper that is called, None where the path is a value's. Raises TemplateFault where a helper is missing."""
        path = call.path
        bound = bool(path.parts) and path.parts[0] in scope.params and not path.depth and not path.scoped
        if not call.has_arguments and (bound or not path.simple):
            return None
        helper = None if bound else helper_of(self.host, path.original, alone=not call.has_arguments)
        if helper is None and call.has_arguments:
            where = scope.template.source.where(path.start, path.end)
            raise TemplateFault(f"missing helper: {path.original!r}", where)
        return helper

    def _called(self, call: Call, scope: _Scope) -> Any:
        """The value of `{{x}}` or `{{x y}}`."""
        helper = self._helper(call, scope)
        return self._value(call.path, scope) if helper is None else helper(self._invocation(call, scope))

    def _value(self, expression: Expression, scope: _Scope) -> Any:
        if isinstance(expression, Literal):
            return expression.value
        if isinstance(expression, Call):
            return self._called(expression, scope)
        parts = expression.parts
        value: Any
        if expression.data:
            data: Any = scope.data
            for _ in range(expression.depth):
                data = data.get("_parent", {}) if isinstance(data, Mapping) else {}
            value = data
            if parts in {("partial-block",), ("_parent",)}:
                return None
        elif expression.depth:
            value = scope.contexts[expression.depth] if expression.depth < len(scope.contexts) else None
        elif not expression.scoped and parts and parts[0] in scope.params:
            value, parts = scope.params[parts[0]], parts[1:]
        else:
            value = scope.this
        for part in parts:
            value = values.inside(value, part)
        return value


def data_block(data: Mapping[str, Any]) -> _Bound | None:
    """The block that `{{> @partial-block}}` stands for."""
    found = data.get("partial-block")
    return found if isinstance(found, _Bound) else None
