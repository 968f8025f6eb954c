"""Engines one after the other: Jinja2 writes MJML, MJML becomes HTML. The way back leads through all of them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from ...model import Where
from ..model import Engine, Piece, Rendered, Source, Sources, TemplateFault, Variable
from .included import included

BETWEEN = " (rendered)"  # after a template's name: what an engine made of it, for the next one
_CODE = ("{{", "{%")


class Chain:
    """Several engines as one. Only the first has variables, also those of what another engine includes."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        """Take two engines or more, in the order in which they render."""
        self.first, self.others = engines[0], engines[1:]
        self.name = "+".join(one.name for one in engines)

    def variables(self, source: Source, sources: Sources) -> tuple[Variable, ...]:
        """Those of the first engine."""
        found = list(self.first.variables(source, sources))
        for one in included(source, sources) if any(engine.name == "mjml" for engine in self.others) else ():
            if _has_code(one):
                found += self.first.variables(one, sources)
        return tuple(dict.fromkeys(found))

    def render(self, source: Source, data: Mapping[str, Any], sources: Sources, *, html: bool) -> Rendered:
        """Render with each, and lead back through each."""

        def first(one: Source) -> Rendered:
            return self.first.render(one, data, sources, html=html) if one is source or _has_code(one) else _as_it_is(one)

        made = first(source)
        for number, engine in enumerate(self.others):  # what a later engine includes was written by the one before it
            made = then(engine, made, source, sources, _as_it_is if number else first, html=html)
        return made


def _has_code(source: Source) -> bool:
    return any(mark in source.text for mark in _CODE)


def _as_it_is(source: Source) -> Rendered:
    size = len(source.text)
    return Rendered(source.text, (Piece(0, size, source.name, 0, size, copied=True),), {source.name: source})


class _Between:
    """The sources of a later engine: what it includes is rendered by the engine before it first."""

    def __init__(self, sources: Sources, source: Source, first: Rendered, render: Callable[[Source], Rendered]) -> None:
        self._sources, self._render = sources, render
        self.made = {source.name + BETWEEN: first}
        self._written = {source.name + BETWEEN: source}

    def find(self, name: str, asked_by: Source | None = None, suffixes: Sequence[str] = ("",)) -> Source:
        """As `model.Sources`."""
        asking = asked_by if asked_by is None else self._written.get(asked_by.name, asked_by)
        found = self._sources.find(name, asking, suffixes)
        between = found.name + BETWEEN
        if between not in self.made:
            self.made[between] = self._render(found)
            self._written[between] = found
        return Source(between, self.made[between].text, found.path)


def then(
    engine: Engine,
    first: Rendered,
    source: Source,
    sources: Sources,
    render: Callable[[Source], Rendered] = _as_it_is,
    *,
    html: bool,
) -> Rendered:
    """What another engine makes of rendered text; `render` renders what it includes. Raises TemplateFault, led back."""
    between = _Between(sources, source, first, render)
    try:
        made = engine.render(Source(source.name + BETWEEN, first.text, source.path), {}, between, html=html)
    except TemplateFault as fault:
        where = fault.where
        if where is not None and (written := between.made.get(where.file or "")) is not None:
            where = None if where.line is None else _led_back(where, written)
        raise TemplateFault(fault.message, where) from None
    for name, rendered in between.made.items():
        made = made.through(rendered, name)
    return made


def _led_back(where: Where, first: Rendered) -> Where | None:
    text = Source("", first.text)
    start = text.start_of(where.line or 1)
    line = first.text[start:].partition("\n")[0]
    shift = len(line.encode("utf-8", "replace")[: max((where.column or 1) - 1, 0)].decode("utf-8", "ignore"))
    found = first.where(start + shift)
    return found if found is None or where.column is not None else replace(found, column=None, end_column=None)
