"""The Mustache engine: rendering."""

import math
from collections.abc import Mapping
from typing import Any

from ...model import Host, Rendered, Source, Sources, TemplateFault, Variable
from ..handlebars import values
from ..tracing import MAX_DEPTH, MAX_STEPS, Segment, Trace
from .reading import SUFFIXES, variables
from .syntax import Block, Content, Node, Output, Partial, Section, parse

_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
)  # as Ruby's; & < > " are the spec's
MISSING = object()


class Mustache:
    """As `templates.model.Engine`. Every place is exact: each node is written by us, with the place that it stands at."""

    def __init__(self, name: str, host: Host) -> None:
        """Mustache has nothing that a host could add."""
        self.name = name
        self.host = host

    def variables(self, source: Source, sources: Sources) -> tuple[Variable, ...]:
        """As `Engine`."""
        return variables(source, sources)

    def render(self, source: Source, data: Mapping[str, Any], sources: Sources, *, html: bool) -> Rendered:
        """As `Engine`."""
        rendering = _Rendering(sources, html=html)
        try:
            rendering.nodes(parse(source.text, source.name), source, (data,), {}, ())
        except RecursionError:  # we stop at MAX_DEPTH, but who calls us may already stand deep
            raise TemplateFault("sections and partials stand too deep in one another", source.where(0)) from None
        return rendering.trace.rendered()


class _Rendering:
    """One rendering of one template."""

    def __init__(self, sources: Sources, *, html: bool) -> None:
        self.sources, self.html = sources, html
        self.trace = Trace()
        self.steps = self.depth = 0

    def nodes(
        self,
        nodes: tuple[Node, ...],
        source: Source,
        contexts: tuple[Any, ...],
        blocks: Mapping[str, tuple[Block, Source, tuple[Segment, ...]]],
        indent: tuple[Segment, ...],
    ) -> None:
        """Write nodes of one source. `contexts`: the innermost first. `blocks`: what stands for the blocks of that name."""
        self.depth += 1
        self.steps += 1  # also where there is no node: an empty section may be written a million times
        if self.steps > MAX_STEPS:
            raise TemplateFault(f"passes more than {MAX_STEPS:,} tags and texts: loops without end?", source.where(0))
        if self.depth > MAX_DEPTH:
            raise TemplateFault(
                f"sections and partials stand more than {MAX_DEPTH} deep in one another: does one include itself?"
            )
        for node in nodes:
            self.steps += 1
            if isinstance(node, Content):
                self._content(node, source, indent)
            elif isinstance(node, Output):
                self._output(node, source, contexts)
            elif isinstance(node, Section):
                for inner in self._inside(node, contexts):
                    self.nodes(node.body, source, inner, blocks, indent)
            elif isinstance(node, Partial):
                self._partial(node, source, contexts, blocks, indent)
            else:
                block, origin, its_indent = blocks.get(node.name, (node, source, indent))
                others = {name: one for name, one in blocks.items() if name != node.name}
                self.nodes(block.body, origin, contexts, others if node.name in blocks else blocks, its_indent)
        self.depth -= 1

    def _content(self, node: Content, source: Source, indent: tuple[Segment, ...]) -> None:
        at = node.start
        for line in node.lines if indent else ():
            if at < line:
                self.trace.copy(source, at, line)
            self.trace.extend(indent)
            at = line
        if at < node.end:
            self.trace.copy(source, at, node.end)

    def _output(self, node: Output, source: Source, contexts: tuple[Any, ...]) -> None:
        value = _found(node.name, contexts)
        text = "" if value is MISSING else values.text(value)
        if self.html and not node.raw:
            text = text.translate(_ESCAPES)
        self.trace.value(text, source, node.start, node.end)

    def _inside(self, node: Section, contexts: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """The contexts that a section is written with, once for each."""
        value = _found(node.name, contexts)
        held = value is not MISSING and truth(value)
        if node.inverted:
            return [] if held else [contexts]
        if not held:
            return []
        return [(one, *contexts) for one in value] if values.is_list(value) else [(value, *contexts)]

    def _partial(
        self,
        node: Partial,
        source: Source,
        contexts: tuple[Any, ...],
        blocks: Mapping[str, tuple[Block, Source, tuple[Segment, ...]]],
        indent: tuple[Segment, ...],
    ) -> None:
        name = node.name
        if node.dynamic:
            value = _found(name, contexts)
            name = "" if value is MISSING else values.text(value)
        given: Mapping[str, tuple[Block, Source, tuple[Segment, ...]]] = {}
        if node.blocks is not None:
            given = {**{key: (block, source, indent) for key, block in node.blocks.items()}, **blocks}
        if node.indent:
            at, until = node.indent
            indent = (*indent, Segment(source.text[at:until], source, at, until, copied=True))
        try:
            found = self.sources.find(name, source, SUFFIXES)
            self.nodes(parse(found.text, found.name), found, contexts, given, indent)
        except TemplateFault as fault:
            if fault.where is None:
                raise TemplateFault(fault.message, source.where(node.start, node.end)) from None
            raise


def truth(value: Any) -> bool:
    """Whether a section is written: 0 and "" are false as in mustache.js, which the specification leaves open."""
    if values.is_list(value):
        return len(value) > 0
    if isinstance(value, float) and math.isnan(value):
        return False
    return values.truth(value)


def _found(name: str, contexts: tuple[Any, ...]) -> Any:
    """The value of a name: its first part in the nearest context that has it, the others inside of that."""
    if name == ".":
        return contexts[0]
    first, *others = name.split(".")
    for context in contexts:
        if isinstance(context, Mapping) and first in context:
            value = context[first]
            break
    else:
        return MISSING
    for part in others:
        value = values.inside(value, part)
    return value
