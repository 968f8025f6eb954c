"""What every node of a template printed, in one rendering: Django's own, which is watched and not changed.

No marks stand in the text, so none can be imitated by data or altered by a filter, and the text is what Django makes of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.template import Context
from django.template.base import VariableDoesNotExist, render_value_in_context
from django.templatetags.i18n import BlockTranslateNode

from ....model import Where
from ...model import Source, Sources, TemplateFault
from ..ours import is_ours
from .limits import MAX_DEPTH, MAX_STEPS, MAX_WRITTEN

MAX_SAID = 400  # characters of what an engine says is wrong


@dataclass(slots=True)
class Printed:
    """What a node gave back, and what the nodes gave back that it ran meanwhile."""

    node: Any  # django.template.base.Node
    text: str
    within: "list[Printed]"
    values: Mapping[str, str] = field(default_factory=dict)  # of a translated block: its variables, as they are printed
    many: bool = False  # of a translated block: its plural was asked for


def source_of(node: Any) -> Source:
    """The template in which a node stands."""
    source: Source = node.origin._source
    return source


def where(node: Any) -> Where:
    """The place of a node's tag."""
    return source_of(node).where(*node.token.position)


def one_line(error: BaseException) -> str:
    """What an exception says, in one clause."""
    if isinstance(error, VariableDoesNotExist) and error.params:  # of a filter's argument; Django says all the data with it
        return f"Failed lookup for key [{error.params[0]}]"
    said = " ".join(str(error).split()).rstrip(".")
    if not said or isinstance(error, (KeyError, AttributeError, TypeError)):
        said = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return said if len(said) <= MAX_SAID else f"{said[:MAX_SAID]}…"


class Trace:
    """One rendering as it runs."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.printed: list[Printed] = []  # by the node that runs, so far
        self.node: Any = None  # the one that runs
        self.open: list[Source] = []  # the templates that are being rendered, the outermost first
        self.touched: dict[str, Source] = {}
        self._steps = 0
        self._written = 0

    def enter(self, source: Source) -> None:
        """Begin a template. Raises TemplateFault where too many are open."""
        self.touched[source.name] = source
        self.open.append(source)
        if len(self.open) > MAX_DEPTH:
            names = [one.name for one in self.open]
            first = next((at for at, name in enumerate(names) if name in names[at + 1 :]), None)
            if first is not None:
                circle = " → ".join(names[first : names.index(names[first], first + 1) + 1])
                raise TemplateFault(f"templates include one another in a circle: {circle}")
            raise TemplateFault(f"more than {MAX_DEPTH} templates inside one another")

    def leave(self) -> None:
        """End the template that began last."""
        self.open.pop()

    def run(self, node: Any, context: Context) -> str:
        """Render a node and keep what it printed. Raises TemplateFault with the place of the innermost node."""
        outer, printed = self.printed, Printed(node, "", [])
        before, self.node, self.printed = self.node, node, printed.within
        try:
            if isinstance(node, BlockTranslateNode):
                node.render_token_list = partial(_listen, node, context, printed)
            text: str = type(node).render_annotated(node, context)
            if not isinstance(text, str):  # `{% filter length %}`: Django fails at the next join
                raise TemplateFault(f"the tag makes {type(text).__name__} and no text")
            self._count(text)
        except TemplateFault as fault:
            raise fault if fault.where is not None else TemplateFault(fault.message, where(node)) from None
        except RecursionError:
            raise TemplateFault("tags are nested too deeply to be rendered", where(node)) from None
        except Exception as error:
            if is_ours(error):
                raise
            raise TemplateFault(one_line(error), where(node)) from None
        finally:
            self.node, self.printed = before, outer
        printed.text = text
        outer.append(printed)
        return text

    def _count(self, text: str) -> None:
        self._steps += 1
        self._written += len(text)
        if self._steps > MAX_STEPS:
            raise TemplateFault(f"rendering takes more than {MAX_STEPS:,} steps")
        if self._written > MAX_WRITTEN:
            raise TemplateFault(f"rendering writes more than {MAX_WRITTEN:,} characters")


def _listen(node: Any, context: Context, printed: Printed, tokens: list[Any]) -> Any:
    """Stand in for a translated block's `render_token_list`: Django calls it when all that it prints is in the context."""
    listed = BlockTranslateNode.render_token_list(node, tokens)
    wanted = [*printed.values, *listed[1]]
    printed.values = {key: render_value_in_context(context[key], context) if key in context else "" for key in wanted}
    printed.many = tokens is node.plural and context[node.countervar] != 1
    return listed


def traced(node: Any, context: Context) -> str:
    """Stand in for a node's `render_annotated`."""
    trace: Trace | None = context.__dict__.get("_trace")
    if trace is None:  # the contents of `verbatim` are rendered while they are parsed
        return str(type(node).render_annotated(node, context))
    return trace.run(node, context)
