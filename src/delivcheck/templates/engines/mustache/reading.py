"""What a Mustache template reads from its data, partials and parents followed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...model import EACH, Source, Sources, TemplateFault, Use, Variable
from ..sections import Kind, kind, tested
from ..tracing import MAX_DEPTH, MAX_STEPS, MAX_TAGS
from .syntax import Block, Content, Node, Output, Partial, Section, parse

SUFFIXES = ("", ".mustache", ".html", ".mustache.html", ".html.mustache", ".txt", ".hbs")
Names = tuple[str, ...]  # a path as `Variable` has it


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where the data of the innermost section stands, and which paths are tested around it."""

    source: Source
    context: Names
    tested: frozenset[Names]
    blocks: Mapping[str, tuple[Block, Source]]
    stack: tuple[str, ...]


def variables(source: Source, sources: Sources) -> tuple[Variable, ...]:
    """All that is read, once for each place. Raises TemplateFault."""
    reading = _Reading(sources)
    reading.nodes(parse(source.text, source.name), _Scope(source, (), frozenset(), {}, (source.name,)))
    return tuple(reading.found.values())


class _Reading:
    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.found: dict[tuple[Names, Use, str, int], Variable] = {}
        self.seen: set[tuple[str, Names, frozenset[Names], frozenset[str]]] = set()
        self.steps = 0

    def nodes(self, nodes: tuple[Node, ...], scope: _Scope) -> None:
        for node in nodes:
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise TemplateFault(
                    f"has more than {MAX_STEPS:,} tags and texts, its partials counted as often as they are used"
                )
            if isinstance(node, Output):
                self._note(node.name, Use.TEXT, node.name_at, scope)
            elif isinstance(node, Section):
                self._section(node, scope)
            elif isinstance(node, Partial):
                self._partial(node, scope)
            elif isinstance(node, Block):
                block, origin = scope.blocks.get(node.name, (node, scope.source))
                if node.name not in scope.stack:  # a block of the same name in the one that stands for it
                    self.nodes(block.body, replace(scope, source=origin, stack=(*scope.stack, node.name)))

    def _section(self, node: Section, scope: _Scope) -> None:
        names = _path(node.name, scope)
        reads = any(not isinstance(one, Content) for one in node.body)
        what = Kind.FLAG if node.inverted else kind(node.name.rpartition(".")[2], reads_inside=reads)
        self._note(node.name, Use.LIST if what is Kind.LIST else Use.TRUTH, node.name_at, scope)
        if not names or node.inverted:
            self.nodes(node.body, scope)
            return
        context = scope.context if what is Kind.FLAG else names if what is Kind.OBJECT else (*names, EACH)
        self.nodes(node.body, replace(scope, context=context, tested=scope.tested | {names}))

    def _partial(self, node: Partial, scope: _Scope) -> None:
        if node.dynamic:
            self._note(node.name, Use.OTHER, node.name_at, scope)
            return
        try:
            source = self.sources.find(node.name, scope.source, SUFFIXES)
        except TemplateFault as fault:
            raise TemplateFault(fault.message, fault.where or scope.source.where(node.start, node.end)) from None
        blocks: Mapping[str, tuple[Block, Source]] = {}
        if node.blocks is not None:
            blocks = {**{name: (block, scope.source) for name, block in node.blocks.items()}, **scope.blocks}
        key = (source.name, scope.context, scope.tested, frozenset(blocks))
        if source.name in scope.stack or key in self.seen or len(scope.stack) > MAX_DEPTH:
            return
        self.seen.add(key)
        stack = (*scope.stack, source.name)
        self.nodes(parse(source.text, source.name), replace(scope, source=source, blocks=blocks, stack=stack))

    def _note(self, name: str, use: Use, at: int, scope: _Scope) -> None:
        path = _path(name, scope)
        if not path:
            return
        sure = use in {Use.TRUTH, Use.LIST} or tested(path, scope.tested)
        where = scope.source.where(at, at + len(name))
        if len(self.found) >= MAX_TAGS:
            raise TemplateFault(f"reads values at more than {MAX_TAGS:,} places")
        self.found.setdefault((path, use, scope.source.name, at), Variable(path, use, where, sure))


def _path(name: str, scope: _Scope) -> Names:
    """A name is looked up in the innermost context first; which one has it, only the data tells."""
    return scope.context if name == "." else (*scope.context, *name.split("."))
