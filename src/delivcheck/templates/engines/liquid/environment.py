"""python-liquid's environment with our hands on it: templates from `Sources`, and limits for one whole run."""

import functools
import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import TextIO

from liquid import BoundTemplate, Environment, RenderContext
from liquid.exceptions import LoopIterationLimitError, TemplateNotFoundError
from liquid.extra import BlockTag, ExtendsTag
from liquid.loader import BaseLoader, TemplateSource
from liquid.output import LimitedStringIO
from liquid.tag import Tag

from ...model import Host, Source, Sources, TemplateFault
from ..tracing import MAX_OUTPUT, MAX_STEPS, MAX_TAGS
from .hosting import PLATFORM_FILTERS, Stub, Stubbed, bounded, dated, given_back
from .writing import TAGS, Buffer, Text

MAX_SPACES = 200  # white space in a row inside of a tag: the library's lexer takes quadratic time for it
MAX_UNCLOSED = 5  # tags behind the last end of one: the library's lexer looks for an end from each of them
MAX_TAIL = 100_000  # characters behind such a tag
KEPT = 128  # parsed templates that are kept; each partial of a run is parsed once
MAX_ASSIGNED = 4 * MAX_OUTPUT  # octets of all values that are assigned, as `sys.getsizeof` has them
SUFFIXES = ("", ".liquid", ".html", ".html.liquid", ".liquid.html", ".txt", ".txt.liquid")


@dataclass
class Run:
    """What one rendering needs beside the environment, which is the run's of all templates."""

    sources: Sources
    main: Source
    opened: dict[str, Source] = field(default_factory=dict)  # by name, for errors
    iterations: int = 0


current: ContextVar[Run] = ContextVar("current")


def spend(steps: int) -> None:
    """Count what filters cost as rounds of loops. Raises LoopIterationLimitError; nothing where nothing is rendered."""
    run = current.get(None)
    if run is not None:
        run.iterations += steps
        if run.iterations > MAX_STEPS:
            raise LoopIterationLimitError(f"takes more than {MAX_STEPS:,} steps, which no mail needs", token=None)


class Context(RenderContext):
    """Buffers with places, and one count of all loops of a run."""

    def get_buffer(self, buf: TextIO | None = None) -> Buffer:
        """A new buffer, with what is left of the limit."""
        return Buffer(MAX_OUTPUT - (buf.size if isinstance(buf, LimitedStringIO) else 0))

    def raise_for_loop_limit(self, length: int = 1) -> None:
        """Count all iterations: the library looks at loops inside of others only."""
        run = current.get()
        run.iterations += length
        if run.iterations > MAX_STEPS:
            raise LoopIterationLimitError(f"loops more than {MAX_STEPS:,} times", token=None)


class Template(BoundTemplate):
    """A parsed template."""

    context_class = Context


class _LayoutTag(ExtendsTag):
    """LiquidJS's `{% layout "x" %}`."""

    name = "layout"


class _Loader(BaseLoader):
    """Finds what a template includes; never called for what is parsed already."""

    def get_source(self, env: Environment, template_name: str, **_: object) -> TemplateSource:
        raise NotImplementedError

    def load(
        self,
        env: Environment,
        name: str,
        *,
        globals: Mapping[str, object] | None = None,  # noqa: A002, ARG002 -- the library's name; data are the context's
        context: RenderContext | None = None,
        **_: object,
    ) -> BoundTemplate:
        """Find a template by the name that another gives it. Raises TemplateFault."""
        run = current.get()
        asking = context.template.matter.get("source") if context is not None else None
        try:
            source = run.sources.find(name, asking if isinstance(asking, Source) else run.main, SUFFIXES)
        except TemplateFault as fault:
            if fault.where is not None:
                raise
            raise TemplateNotFoundError(fault.message) from None  # the library adds the place of the tag that asks
        run.opened[source.name] = source
        assert isinstance(env, LiquidEnvironment)
        return env.parsed(source, PurePosixPath(name).name)


class LiquidEnvironment(Environment):
    """Strict about syntax and filters, lenient about what is missing in the data, as Shopify and Jekyll are."""

    template_class = Template
    output_stream_limit = MAX_OUTPUT
    local_namespace_limit = MAX_ASSIGNED
    loop_iteration_limit = MAX_STEPS
    ternary_expressions = True
    shorthand_indexes = True

    def __init__(self, host: Host) -> None:
        """Take the filters and tags that `host` stubs; its option `now` is the time that "now" and "today" stand for."""
        super().__init__(loader=_Loader(), autoescape=bool(host.options.get("autoescape", False)))
        tags: tuple[type[Tag], ...] = (*TAGS, ExtendsTag, _LayoutTag, BlockTag)
        for tag in tags:
            self.add_tag(tag)
        now = host.options.get("now")
        if now is not None:
            self.add_filter("date", dated(self.filters["date"], datetime.fromisoformat(str(now))))
        known = {name: bounded(name, function, spend) for name, function in self.filters.items()}
        self.filters = Stubbed(known, (*PLATFORM_FILTERS, *host.filters), given_back)
        self.tags = Stubbed(self.tags, host.tags, Stub(self))
        self.parsed = functools.lru_cache(maxsize=KEPT)(self._parsed)

    def _parsed(self, source: Source, name: str) -> BoundTemplate:
        check(source)
        return self.from_string(Text.of(source), name=name, path=source.name, matter={"source": source})


# --- what the library's lexer would take minutes for ------------------------------------------------------------------

_LONG_SPACE = re.compile(rf"(?<!\s)\s{{{MAX_SPACES}}}")
_ENDS_AND_SPACE = re.compile(rf"\{{\{{|\{{%|\}}\}}|%\}}|(?<!\s)\s{{{MAX_SPACES}}}")
_RAWS = re.compile(r"\{%-?\s{0,9}(end)?(?:raw|doc)\b")


def check(source: Source) -> None:
    """Refuse it. Raises TemplateFault."""
    text = source.text
    for opening, closing, allowed in (("{%", "%}", 0), ("{{", "}}", MAX_UNCLOSED)):  # `{{` may stand in a raw block
        end = max(text.rfind(closing), 0)
        at = text.find(opening, end)
        if at >= 0 and (text.count(opening, end) > allowed or len(text) - at > MAX_TAIL):
            raise TemplateFault(f"a tag is never closed: {closing} is missing", source.where(at, at + 2))
    if text.count("{{") + text.count("{%") > MAX_TAGS:
        raise TemplateFault(f"more than {MAX_TAGS:,} tags", source.where(0))
    unclosed: list[int] = []
    for found in _RAWS.finditer(text):
        unclosed = [] if found[1] else [*unclosed[: MAX_UNCLOSED + 1], found.start()]
    if len(unclosed) > MAX_UNCLOSED:
        raise TemplateFault("a raw block is never closed", source.where(unclosed[0], unclosed[0] + 2))
    if _LONG_SPACE.search(text) is None:
        return
    opened = -1
    for found in _ENDS_AND_SPACE.finditer(text):
        if not found[0].isspace():
            opened = found.start() if found[0][0] == "{" else -1
        elif opened >= 0:
            raise TemplateFault(f"more than {MAX_SPACES:,} spaces in a row inside of a tag", source.where(opened, opened + 2))
