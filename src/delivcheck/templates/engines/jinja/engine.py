"""Renders Jinja2 templates, and tells what they read."""

from collections.abc import Mapping
from typing import Any

from jinja2.runtime import Macro

from ...model import Host, Rendered, Source, Sources, TemplateFault, Variable
from ..ours import is_ours
from .compiling import TOO_DEEP, Parsed
from .environment import Environment
from .faults import fault_of
from .limits import LimitReached
from .options import settings
from .text import PlacedText, joined, merged
from .variables import variables_of


class Jinja:
    """`templates.model.Engine`; keeps the code of what it rendered for as long as it lives."""

    name = "jinja2"

    def __init__(self, host: Host) -> None:
        """Take what the program adds to the language. Raises ValueError, one line, for options that Jinja2 does not have."""
        self._host = host
        self._macro: str | None = host.options.get("macro")
        self._parsed: dict[Source, Parsed] = {}
        settings(host.options)  # tells of what cannot be
        self._environments: dict[bool, Environment] = {}

    def variables(self, source: Source, sources: Sources) -> tuple[Variable, ...]:
        """See `Engine.variables`. What cannot be found or read of other templates is left to `render` to tell."""
        try:
            return variables_of(self._environment(html=True), source, sources, self._macro)
        except RecursionError:
            raise TemplateFault(TOO_DEEP, source.where(0)) from None

    def render(self, source: Source, data: Mapping[str, Any], sources: Sources, *, html: bool) -> Rendered:
        """See `Engine.render`."""
        environment = self._environment(html=html)
        environment.begin(sources)
        template = environment.template(source)
        try:
            context = template.new_context(dict(data))
            made = joined(PlacedText, template.root_render_func(context))
            macro = context.get_exported().get(self._macro) if self._macro else None
            if isinstance(macro, Macro):
                made = joined(PlacedText, [environment.call(context, macro)])
        except TemplateFault as fault:
            if fault.where is not None:
                raise
            raise fault_of(fault) from None
        except Exception as error:
            if is_ours(error):
                raise
            found = fault_of(error)
            if found.where is None:  # between two stretches of text, not in code
                piece = error.piece if isinstance(error, LimitReached) else None
                where = (
                    environment.used[piece.file].where(piece.at, approximate=True)
                    if piece
                    else source.where(0, approximate=True)
                )
                found = TemplateFault(found.message, where)
            raise found from None
        rendered = Rendered(str(made), merged(made.pieces), dict(environment.used))
        try:
            rendered.text.encode()
        except UnicodeEncodeError as error:  # from "\\ud800" in the template or its data
            raise TemplateFault(
                "writes half a surrogate pair, which no message can carry", rendered.where(error.start)
            ) from None
        return rendered

    def _environment(self, *, html: bool) -> Environment:
        if html not in self._environments:
            self._environments[html] = Environment(self._host, self._parsed, html=html)
        return self._environments[html]


def make(name: str, host: Host) -> Jinja:  # noqa: ARG001 -- of the modules that have several engines
    """The engine, for the registry. Raises ValueError for options that it does not have."""
    return Jinja(host)
