"""Django's templates: rendered by Django itself, without a project, each stretch of the text led back to its source exactly.

`render` = a lent `room` of settings + the `language` with a host's stubs + a `trace` of what each node printed, of which
`origins` makes pieces. `reads` tells the variables. The package has Django's name; `import django` is Django all the same.
"""

from collections.abc import Mapping
from typing import Any

from django.template import Context

from ...model import Host, Rendered, Source, Sources, TemplateFault, Variable
from .language import Language
from .limits import MAX_KEPT, MAX_OUTPUT
from .origins import pieces_of
from .reads import Reader
from .room import in_a_project, room
from .trace import Trace


class DjangoEngine:
    """Django's template language."""

    name = "django"

    def __init__(self, host: Host) -> None:
        """`host.options`: `url_base` of made-up addresses, `string_if_invalid`, `libraries` (patterns of those to stub)."""
        self._host = host
        self._languages: dict[bool, Language] = {}
        self._read: dict[tuple[Source, int], tuple[Sources, tuple[Variable, ...]]] = {}

    @property
    def _language(self) -> Language:
        """One language, and another if Django's project is set up meanwhile."""
        here = in_a_project()
        if here not in self._languages:
            self._languages[here] = Language(self._host)
        return self._languages[here]

    def variables(self, source: Source, sources: Sources) -> tuple[Variable, ...]:
        """As `model.Engine`."""
        key = (source, id(sources))
        if key not in self._read:
            if len(self._read) >= MAX_KEPT:
                self._read.clear()
            try:
                with room():
                    self._read[key] = sources, Reader(self._language, sources).read(source)
            except RecursionError:
                raise TemplateFault("tags are nested too deeply", source.where(0, approximate=True)) from None
        return self._read[key][1]

    def render(self, source: Source, data: Mapping[str, Any], sources: Sources, *, html: bool) -> Rendered:
        """As `model.Engine`. Without `html` nothing is escaped, which Django itself does in text too."""
        with room():
            language = self._language
            template = language.parse(source)
            trace = Trace(sources)
            context = Context(dict(data), autoescape=html)
            context._trace = trace
            before, language._trace = language._trace, trace
            try:
                text = str(template.render(context))
            except RecursionError:
                raise TemplateFault("tags are nested too deeply to be rendered", source.where(0, approximate=True)) from None
            finally:
                language._trace = before
            if len(text) > MAX_OUTPUT:
                raise TemplateFault(f"renders to more than {MAX_OUTPUT:,} characters", source.where(0))
            return Rendered(text, tuple(pieces_of(trace.printed)), trace.touched)


def make(name: str, host: Host) -> DjangoEngine:
    """The engine for a run."""
    return DjangoEngine(host)
