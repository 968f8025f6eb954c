"""What Liquid writes and where it came from.

Nothing is marked in the text. Nodes that write are subclassed, and tell the buffer where they stand; the text is the library's.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from liquid import RenderContext, Token
from liquid.ast import Node
from liquid.builtin.content import ContentNode, Literal
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.cycle_tag import CycleNode, CycleTag
from liquid.builtin.tags.decrement_tag import DecrementNode, DecrementTag
from liquid.builtin.tags.echo_tag import EchoNode, EchoTag
from liquid.builtin.tags.increment_tag import IncrementNode, IncrementTag
from liquid.builtin.tags.tablerow_tag import TablerowNode, TablerowTag
from liquid.output import LimitedStringIO
from liquid.stringify import to_liquid_string
from liquid.tag import Tag
from liquid.token import TOKEN_TAG

from ...model import Source
from ..tracing import Segment


class Text(str):
    """A template's text that knows its source: the library hands it from token to token."""

    __slots__ = ("origin",)

    origin: Source

    @classmethod
    def of(cls, source: Source) -> "Text":
        """The text of a source."""
        made = cls(source.text)
        made.origin = source
        return made


def origin_of(token: Token | None) -> Source | None:
    """The source that a token stands in."""
    return token.source.origin if token is not None and isinstance(token.source, Text) else None


class Captured(str):
    """What was written to a buffer of its own: `{% capture %}`, `{{ block.super }}`. Printed, it keeps its places."""

    __slots__ = ("segments",)

    segments: tuple[Segment, ...]


class Buffer(LimitedStringIO):
    """Text with its places; a node that writes sets `place` first."""

    def __init__(self, limit: int) -> None:
        """Begin with nothing."""
        super().__init__(limit, newline="\n")  # the default turns CR LF into LF
        self.segments: list[Segment] = []
        self.place: tuple[Source, int, int] | None = None

    def write(self, text: str) -> int:
        """Write what the node at `place` printed, or what another buffer held."""
        if isinstance(text, Captured):
            self.segments.extend(text.segments)
        elif text and self.place is not None:
            source, at, until = self.place
            self.segments.append(Segment(text, source, at, until, copied=False))
        return super().write(text)

    def copy(self, text: str, source: Source, at: int) -> int:
        """Write text as it stands in a source."""
        self.segments.append(Segment(text, source, at, at + len(text), copied=True))
        return super().write(text)

    def getvalue(self) -> Captured:
        """All that was written."""
        made = Captured(super().getvalue())
        made.segments = tuple(self.segments)
        return made

    @contextmanager
    def at(self, token: Token) -> Iterator[None]:
        """Let what is written meanwhile be the code's at a token."""
        before, self.place = self.place, place_of(token)
        try:
            yield
        finally:
            self.place = before


def place_of(token: Token) -> tuple[Source, int, int] | None:
    """Where the code of a token stands: all of `{{ … }}` or `{% … %}`, inside of `{% liquid %}` the name of the tag."""
    source = origin_of(token)
    if source is None:
        return None
    start, end = token.start_index, token.start_index + len(token.value)
    if token.kind == TOKEN_TAG:
        opening = source.text.rfind("{%", 0, start)
        closing = source.text.find("%}", end)
        if opening >= 0 and closing >= 0 and not source.text[opening + 2 : start].strip("- \t\r\n"):
            return source, opening, closing + 2
    return source, start, end


class _Content(ContentNode):
    __slots__ = ("at",)

    def __init__(self, token: Token, text: str) -> None:
        super().__init__(token, text)
        self.at = _content_at(token, text)

    def render_to_output(self, _: RenderContext, buffer: TextIO) -> int:
        source = origin_of(self.token)
        if isinstance(buffer, Buffer) and source is not None and self.at >= 0:
            return buffer.copy(self.text, source, self.at)
        return buffer.write(self.text)


_RAW = re.compile(r"\{%-?\s*raw\s*-?%\}")


def _content_at(token: Token, text: str) -> int:
    """Where text begins: white-space control moves it behind its token, and `{% raw %}` is part of the token."""
    raw = _RAW.match(token.source, token.start_index)
    return token.source.find(text, raw.end() if raw else token.start_index)


class _Literal(Literal):
    node_class = _Content


def _write(node: OutputNode, context: RenderContext, buffer: TextIO) -> int:
    value = node.expression.evaluate(context)
    text = value if isinstance(value, Captured) and not context.autoescape else to_liquid_string(value, context.autoescape)
    if not isinstance(buffer, Buffer):
        return buffer.write(text)
    with buffer.at(node.token):
        return buffer.write(text)


class _Output(OutputNode):
    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return _write(self, context, buffer)


class _Echo(EchoNode):
    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        return _write(self, context, buffer)


class _OutputTag(Output):
    node_class = _Output


class _EchoTag(EchoTag):
    node_class = _Echo


def _placed(tag: type[Tag], node: type[Node]) -> type[Tag]:
    """A tag whose node tells where it stands when it writes by itself."""

    def render_to_output(self: Node, context: RenderContext, buffer: TextIO) -> int:
        if not isinstance(buffer, Buffer):
            return node.render_to_output(self, context, buffer)
        with buffer.at(self.token):
            return node.render_to_output(self, context, buffer)

    written = type(f"_{node.__name__}", (node,), {"__slots__": (), "render_to_output": render_to_output})
    return type(f"_{tag.__name__}", (tag,), {"node_class": written})


TAGS: tuple[type[Tag], ...] = (
    _Literal,
    _OutputTag,
    _EchoTag,
    _placed(CycleTag, CycleNode),
    _placed(IncrementTag, IncrementNode),
    _placed(DecrementTag, DecrementNode),
    _placed(TablerowTag, TablerowNode),
)
