"""From a source to code that keeps places: Jinja2's own parser and code generator, with other words for what is printed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any, NamedTuple

from jinja2 import TemplateSyntaxError, nodes
from jinja2.compiler import CodeGenerator, DependencyFinderVisitor, Frame, operators
from jinja2.lexer import TokenStream
from jinja2.parser import Parser

from ...model import Piece, Source, TemplateFault
from .faults import one_line
from .placing import At, Placing
from .text import PlacedText, joined

TOO_DEEP = "expressions are nested too deeply"


class Spot(NamedTuple):
    """The code of one printed expression, in the source."""

    file: str
    at: int
    until: int


@dataclass(frozen=True)
class Parsed:
    """A source, its syntax tree, and its places."""

    source: Source
    tree: nodes.Template
    placing: Placing


@dataclass(frozen=True)
class Compiled:
    """Code of a source, with what it names: `parts`, the constant texts, and `spots`, the places of what is printed."""

    parsed: Parsed
    code: CodeType
    parts: tuple[PlacedText, ...]
    spots: tuple[Spot, ...]
    lines: tuple[tuple[int, At], ...]  # line of generated code: of the source, ascending

    def line(self, number: int) -> At | None:
        """The place in the source that a line of the code was generated for."""
        found = None
        for line, at in self.lines:
            if line > number:
                break
            found = at
        return found


class _Parser(Parser):
    """Reads tokens with their places; knows the tags of the host."""

    def __init__(self, environment: Any, placing: Placing) -> None:
        environment.placing = placing  # Parser asks the environment for its tokens
        super().__init__(environment, placing.source.text, placing.source.name)
        self.extensions = environment.stubs.of(self.extensions)


def parse(environment: Any, source: Source) -> Parsed:
    """Raises TemplateFault."""
    placing = Placing(source)
    try:
        tree = _Parser(environment, placing).parse()
    except TemplateSyntaxError as error:
        raise TemplateFault(one_line(error), placing.where(error.lineno)) from None
    except RecursionError:
        raise TemplateFault(TOO_DEEP, source.where(0)) from None
    except ValueError as error:  # a number with more digits than Python reads
        raise TemplateFault(one_line(error), source.where(0)) from None
    _mark_leaves(tree)
    return Parsed(source, tree, placing)


def _mark_leaves(tree: nodes.Template) -> None:
    """Tell most nodes that they have no children: Jinja2 walks through a tree twenty times, and asks every field of each."""
    waiting: list[nodes.Node] = [tree]
    while waiting:
        node = waiting.pop()
        if type(node) in _LEAVES:
            node.iter_child_nodes = _no_children  # type: ignore[method-assign]
        else:
            waiting.extend(node.iter_child_nodes())


_LEAVES = frozenset({nodes.TemplateData, nodes.Const, nodes.Name})


def _no_children(*_: Any, **__: Any) -> Iterator[nodes.Node]:
    return iter(())


def compiled(environment: Any, parsed: Parsed) -> Compiled:
    """Raises TemplateFault."""
    generator = _Generator(environment, parsed)
    try:
        generator.visit(parsed.tree)
        code = compile(generator.stream.getvalue(), f"<template {parsed.source.name}>", "exec", dont_inherit=True)  # type: ignore[attr-defined]  # a StringIO when none is given
    except TemplateSyntaxError as error:
        raise TemplateFault(one_line(error), parsed.placing.where(error.lineno)) from None
    except RecursionError:
        raise TemplateFault(TOO_DEEP, parsed.source.where(0)) from None
    except (MemoryError, SyntaxError, ValueError) as error:  # Python's own limits: 20 blocks in one another …
        raise TemplateFault(f"cannot be compiled: {one_line(error)}", parsed.source.where(0)) from None
    return Compiled(parsed, code, tuple(generator.parts), tuple(generator.spots), tuple(generator.placed_lines))


class _Generator(CodeGenerator):
    """Writes constants as `parts[n]` and prints through `print_html(spots[n], …)`, names that the environment brings."""

    def __init__(self, environment: Any, parsed: Parsed) -> None:
        super().__init__(environment, parsed.source.name, parsed.source.name, optimized=environment.optimized)
        self.placing = parsed.placing
        self.parts: list[PlacedText] = []
        self.spots: list[Spot] = []
        self.placed_lines: list[tuple[int, At]] = []
        self._line_end: str = environment.newline_sequence
        self._walked: set[int] = set()
        self._written: set[int] = set()
        self._near = At(1, 0, 0)  # of the last node that has a place: some extensions make nodes without

    # --- lines

    def writeline(self, x: str, node: nodes.Node | None = None, extra: int = 0) -> None:
        if x.startswith("from jinja2.runtime import "):
            x = "pass"  # the environment brings these names, some of them our own
        super().writeline(x, node, extra)

    def newline(self, node: nodes.Node | None = None, extra: int = 0) -> None:
        super().newline(node, extra)
        if node is not None and isinstance(node.lineno, At):
            self._near = node.lineno
            self._last_line = node.lineno
            self._write_debug_info = node.lineno  # also for another node of the same line

    def write(self, x: str) -> None:
        before = self._write_debug_info
        super().write(x)
        if before is not None and self._write_debug_info is None and isinstance(before, At):
            self.placed_lines.append((self.code_lineno, before))

    def pull_dependencies(self, nodes: Iterable[nodes.Node]) -> None:
        """As inherited, in one line of code for each filter and test instead of six."""
        finder = DependencyFinderVisitor()
        for node in nodes:
            finder.visit(node)
        for known, names, kind in ((self.filters, finder.filters, "filters"), (self.tests, finder.tests, "tests")):
            for name in sorted(names):
                if name not in known:
                    known[name] = self.temporary_identifier()
                self.writeline(f"{known[name]} = needed({kind!r}, {name!r})")

    # --- loops

    def visit_For(self, node: nodes.For, frame: Frame) -> None:
        self._walked.add(id(node.iter))
        super().visit_For(node, frame)

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        if id(node) not in self._walked:
            return super().visit(node, *args, **kwargs)
        self._walked.discard(id(node))
        self.write("walked(")
        super().visit(node, *args, **kwargs)
        self.write(")")
        return None

    # --- what Python compares and hashes by itself: a list of twice the same list, forty deep, would take it for ever

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:
        self.write("(")
        self._visit_compared(node.expr, frame)
        for operand in node.ops:
            self.write(f" {operators[operand.op]} ")
            self._visit_compared(operand.expr, frame)
        self.write(")")

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        self.write("{")
        for item in node.items:
            self._visit_compared(item.key, frame)
            self.write(": ")
            self.visit(item.value, frame)
            self.write(", ")
        self.write("}")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        if isinstance(node.arg, nodes.Slice):  # a copy
            self.write("compared(")
            super().visit_Getitem(node, frame)
            self.write(")")
        else:
            super().visit_Getitem(node, frame)

    def _visit_compared(self, node: nodes.Node, frame: Frame) -> None:
        if isinstance(node, nodes.Const):
            self.visit(node, frame)
            return
        self.write("compared(")
        self.visit(node, frame)
        self.write(")")

    # --- what is written without being printed: the results of `filter` and `call` blocks

    def visit_FilterBlock(self, node: nodes.FilterBlock, frame: Frame) -> None:
        self._written.add(id(node.filter))
        super().visit_FilterBlock(node, frame)

    def visit_Filter(self, node: nodes.Filter, frame: Frame) -> None:
        if id(node) in self._written:
            self._written.discard(id(node))
            self._write_placed(node)
            super().visit_Filter(node, frame)
            self.write(")")
        else:
            super().visit_Filter(node, frame)

    def visit_Call(self, node: nodes.Call, frame: Frame, **how: Any) -> None:  # type: ignore[override]
        if how.get("forward_caller"):
            self._write_placed(node)
            super().visit_Call(node, frame, **how)
            self.write(")")
        else:
            super().visit_Call(node, frame, **how)

    def _write_placed(self, node: nodes.Node) -> None:
        self.spots.append(self._spot(node))
        self.write(f"placed(spots[{len(self.spots) - 1}], ")

    # --- what is printed

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> str:
        if isinstance(node, nodes.TemplateData):
            return PlacedText.of(node.data, self.placing.pieces(node.data, node.lineno, self._line_end))
        text = super()._output_child_to_const(node, frame, finalize)
        return PlacedText.of(text, [Piece(0, len(text), *self._spot(node), copied=False)] if text else ())

    def _output_const_repr(self, group: Any) -> str:
        self.parts.append(joined(PlacedText, group))
        return f"parts[{len(self.parts) - 1}]"

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        if frame.eval_ctx.volatile:
            name = "(print_html if context.eval_ctx.autoescape else print_text)"
        else:
            name = "print_html" if frame.eval_ctx.autoescape else "print_text"
        self.spots.append(self._spot(node))
        self.write(f"{name}(spots[{len(self.spots) - 1}], ")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write(")")

    def _spot(self, node: nodes.Node) -> Spot:
        at = node.lineno if isinstance(node.lineno, At) else self._near
        return Spot(self.placing.source.name, *self.placing.tag(at))


def placed_stream(environment: Any) -> TokenStream:
    """The tokens of the source that is being parsed."""
    placing: Placing = environment.placing
    return TokenStream(placing.tokens(environment.quick_lexer), placing.source.name, placing.source.name)
