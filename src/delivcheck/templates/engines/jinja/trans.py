"""The tag `trans` without translations: what stands in it is printed from where it stands."""

import re
from typing import Any

from jinja2 import TemplateSyntaxError, nodes
from jinja2.ext import InternationalizationExtension
from jinja2.parser import Parser

from .placing import MAX_TOKENS, At

MAX_WORDS = MAX_TOKENS  # of a message that is trimmed, and runs of white space
_RUN = re.compile(r"\s+|\S+")


class Message(str):
    """The text of a message as gettext would see it, with its parts: template data, or the name of a placeholder."""

    __slots__ = ("parts",)
    parts: "list[tuple[str, int, bool]]"  # text or name, line number with its place, whether it is a name

    @classmethod
    def of(cls, parts: list[tuple[str, int, bool]]) -> "Message":
        """The message of some parts."""
        made = cls("".join(f"%({text})s" if is_name else text for text, _, is_name in parts))
        made.parts = parts
        return made


class Translations(InternationalizationExtension):
    """Writes a message as output of its parts, which is what null translations come to."""

    def _parse_block(self, parser: Parser, allow_pluralize: bool) -> tuple[list[str], str]:
        """Look at the tokens on the way that the inherited method goes, whose errors are kept."""
        recorder = _Recorder(parser.stream)
        parser.stream = recorder  # type: ignore[assignment]  # what `_parse_block` uses of it
        try:
            names, _ = super()._parse_block(parser, allow_pluralize)
        finally:
            parser.stream = recorder.stream
        return names, Message.of(recorder.parts)

    def _trim_whitespace(self, string: str, _ws_re: Any = None) -> str:
        assert isinstance(string, Message)
        return Message.of(_trimmed(string.parts))

    def _make_node(self, *found: Any) -> nodes.Node:  # type: ignore[override]  # any statement is as good as an output
        """Write the parts of `found`: singular, plural, context, variables, what is counted, and two marks for gettext."""
        singular, plural, _, variables, plural_expr, *_ = found
        one = _printed(singular, variables)
        if plural_expr is None or plural is None:
            return one
        test = nodes.Compare(plural_expr, [nodes.Operand("eq", nodes.Const(1))])
        return nodes.If(test, [one], [], [_printed(plural, variables)])


def _printed(message: str, variables: dict[str, nodes.Expr]) -> nodes.Node:
    """Output of a message's parts; its own variables are bound around it."""
    assert isinstance(message, Message)
    output = nodes.Output(
        [
            nodes.Name(text, "load", lineno=at) if is_name else nodes.TemplateData(text, lineno=at)
            for text, at, is_name in message.parts
        ]
    )
    own = {name: value for name, value in variables.items() if not (isinstance(value, nodes.Name) and value.name == name)}
    if not own:
        return output
    return nodes.With([nodes.Name(name, "param") for name in own], list(own.values()), [output])


class _Recorder:
    """A token stream that notes the data and the names in outputs that are read from it."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.parts: list[tuple[str, int, bool]] = []
        self._in_output = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def __next__(self) -> Any:
        token = next(self.stream)
        if token.type == "data":
            self.parts.append((token.value, token.lineno, False))
        self._in_output = token.type == "variable_begin"
        return token

    def expect(self, expr: str) -> Any:
        token = self.stream.expect(expr)
        if self._in_output and token.type == "name":
            self.parts.append((token.value, token.lineno, True))
        self._in_output = False
        return token


class _Space(str):
    """What white space with a line end was trimmed to: no copy of the source."""

    __slots__ = ()


def _trimmed(parts: list[tuple[str, int, bool]]) -> list[tuple[str, int, bool]]:
    """As InternationalizationExtension._trim_whitespace: none at the ends, one space for any that has a line end."""
    made: list[tuple[str, int, bool]] = []
    number = 0
    room: list[tuple[str, int]] = []  # white space whose end is not yet seen
    for text, line, is_name in parts:
        if is_name:
            _settle(made, room)
            made.append((text, line, True))
            continue
        for run in _RUN.finditer(text):
            number += 1
            if number > MAX_WORDS:
                raise TemplateSyntaxError(f"a message of more than {MAX_WORDS:,} words", parts[0][1])
            place = _within(line, text, *run.span())
            if run[0].isspace():
                room.append((run[0], place))
            else:
                _settle(made, room)
                made.append((run[0], place, False))
    return _whole(made)


def _settle(made: list[tuple[str, int, bool]], room: list[tuple[str, int]]) -> None:
    """Write white space that something follows; none at the beginning."""
    if made and any("\n" in text for text, _ in room):
        first, last = room[0][1], room[-1][1]
        made.append(
            (_Space(" "), At(first, first.start, last.end) if isinstance(first, At) and isinstance(last, At) else first, False)
        )
    elif made:
        made += [(text, line, False) for text, line in room]
    room.clear()


def _within(line: int, text: str, start: int, end: int) -> int:
    """The place of a part of data; all of the data's where the lexer writes other line ends than the source has."""
    if isinstance(line, At) and line.end - line.start == len(text):
        return At(line, line.start + start, line.start + end)
    return line


def _whole(parts: list[tuple[str, int, bool]]) -> list[tuple[str, int, bool]]:
    """Neighbours that stand side by side in the source, as one: fewer nodes."""
    made: list[tuple[str, int, bool]] = []
    for text, line, is_name in parts:
        if made and not is_name and not made[-1][2] and not isinstance(text, _Space) and not isinstance(made[-1][0], _Space):
            before, place, _ = made[-1]
            if (
                isinstance(line, At)
                and isinstance(place, At)
                and place.end == line.start
                and place.end - place.start == len(before)
            ):
                made[-1] = (before + text, At(place, place.start, line.end), False)
                continue
        made.append((text, line, is_name))
    return made
