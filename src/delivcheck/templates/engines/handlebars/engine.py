"""The Handlebars engine."""

from collections.abc import Mapping
from typing import Any

from ...model import Host, Rendered, Source, Sources, Variable
from .reading import variables
from .rendering import Rendering


class Handlebars:
    """As `templates.model.Engine`. Every place is exact: each node is written by us, with the place that it stands at."""

    def __init__(self, name: str, host: Host) -> None:
        """Take the helpers that `host` stubs: `filters` give their first argument or block, `tags` nothing, `tests` true."""
        self.name = name
        self.host = host

    def variables(self, source: Source, sources: Sources) -> tuple[Variable, ...]:
        """As `Engine`."""
        return variables(source, sources, self.host)

    def render(self, source: Source, data: Mapping[str, Any], sources: Sources, *, html: bool) -> Rendered:
        """As `Engine`."""
        return Rendering(self.host, sources, html=html).run(source, data).rendered()
