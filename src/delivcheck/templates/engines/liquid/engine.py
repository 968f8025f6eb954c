"""The Liquid engine: rendering, and the library's errors as faults."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from liquid.exceptions import LiquidError

from ...model import Host, Piece, Rendered, Source, Sources, TemplateFault, Variable
from ..tracing import MAX_OUTPUT, Trace
from .environment import Context, LiquidEnvironment, Run, current
from .reading import Reading
from .writing import Buffer, origin_of


class Liquid:
    """As `templates.model.Engine`. Values are not escaped: no program that sends Liquid mail does so unasked."""

    def __init__(self, name: str, host: Host) -> None:
        """Take what `host` stubs; its option `autoescape` is for programs that do escape."""
        self.name = name
        self.environment = LiquidEnvironment(host)

    def variables(self, source: Source, sources: Sources) -> tuple[Variable, ...]:
        """As `Engine`."""
        reading = Reading()
        self._run(source, sources, lambda: reading.template(self._template(source)))
        return tuple(reading.found.values())

    def render(self, source: Source, data: Mapping[str, Any], sources: Sources, *, html: bool) -> Rendered:  # noqa: ARG002 -- see above
        """As `Engine`."""
        trace = Trace()
        texts: list[str] = []

        def render() -> None:
            template = self._template(source)
            buffer = Buffer(MAX_OUTPUT)
            template.render_with_context(Context(template, globals=dict(data)), buffer)
            text = buffer.getvalue()
            texts.append(str(text))
            trace.extend(text.segments)

        self._run(source, sources, render)
        if trace.text != texts[0]:  # a node of the library's that writes without our knowing: rather near than wrong
            near = Piece(0, len(texts[0]), source.name, 0, len(source.text), copied=False, exact=False)
            return Rendered(texts[0], (near,), {source.name: source})
        return trace.rendered()

    def _template(self, source: Source) -> Any:
        return self.environment.parsed(source, source.name)

    def _run(self, source: Source, sources: Sources, work: Callable[[], None]) -> None:
        run = Run(sources, source)
        token = current.set(run)
        try:
            work()
        except LiquidError as error:
            raise _fault(error, run) from None
        except RecursionError:
            raise TemplateFault("tags, includes or data stand too deep in one another", source.where(0)) from None
        except (ArithmeticError, LookupError, TypeError, ValueError, MemoryError) as error:
            # what a filter of the library's does not expect of the data: it would raise in the program that sends, too
            raise TemplateFault(f"cannot be rendered: {_line(str(error) or type(error).__name__)}", source.where(0)) from None
        finally:
            current.reset(token)


_MISSING_END = re.compile(r"expected tag end(\w+), found end of expression\Z")
_TAG = re.compile(r"\{%-?\s*(end)?(\w+)")


def _fault(error: LiquidError, run: Run) -> TemplateFault:
    message = _line(str(error.message or type(error).__name__))
    token = error.token
    origin = origin_of(token) or run.opened.get(str(error.template_name), run.main)
    missing = _MISSING_END.match(message)
    if missing is not None:  # the library tells where the template ends; who mends it wants to know where the block begins
        start = _never_closed(origin.text, missing[1])
        return TemplateFault(f"{{% {missing[1]} %}} is never closed", origin.where(start, start + 2))
    if token is None or token.start_index < 0:
        return TemplateFault(message, origin.where(0))
    return TemplateFault(message, origin.where(token.start_index, token.start_index + len(token.value)))


def _never_closed(text: str, name: str) -> int:
    """Where the first block of a name begins that no tag ends."""
    opened: list[int] = []
    for found in _TAG.finditer(text):
        if found[2] != name:
            continue
        if not found[1]:
            opened.append(found.start())
        elif opened:
            opened.pop()
    return opened[0] if opened else 0


def _line(message: str) -> str:
    return " ".join(message.split()).rstrip(".")
