"""`mj-style inline="inline"`: style sheets written into the elements' style attributes by css-inline, and the way back.

css-inline reads the document as a browser does and writes it anew: attributes are added, entities, line ends and missing tags
settled. Each element carries its number through it; the renderings with and without numbers are compared.
"""

import html
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import css_inline

from ...model import Piece, Rendered, Source, TemplateFault
from .components import VOID
from .reading import Node
from .unmarking import MAX_OUTPUT

MAX_NESTED = 2_000  # elements within elements; css-inline 0.24 does 10,000, and at 100,000 ends the process
MAX_RULES = 5_000_000  # elements × "{" of the style sheets: each rule is tried on each element. Some tenths of a second

_BEFORE = "\0before inlining"  # the name that the document goes by here; no file has it


def inlined(rendered: Rendered, styles: Sequence[Node]) -> Rendered:
    """The document with the style sheets in its elements. Raises TemplateFault."""
    css = [style.source.text[slice(*style.content)] for style in styles if style.content is not None]
    if not css:
        return rendered
    style = styles[0]
    where = style.source.where(style.start, style.name_end or 1)
    before = rendered.text
    tokens = list(_tokens(before))
    if _depth(tokens) > MAX_NESTED:
        raise TemplateFault(f"more than {MAX_NESTED:,} elements within each other, with inlined styles", where)
    if len(tokens) * sum(one.count("{") for one in css) > MAX_RULES:
        raise TemplateFault("too many inlined style rules for so many elements", where)
    word = _word(before)
    try:
        text, numbered = _inline(before, css), _inline(_numbered(before, tokens, word), css)
    except css_inline.InlineError as error:
        raise TemplateFault(" ".join(f"the inlined styles: {error}".split()), where) from None
    if len(text) > MAX_OUTPUT:
        raise TemplateFault(f"more than {MAX_OUTPUT:,} characters are rendered", where)
    back = _Back(before, tokens, numbered, word)
    pieces = back.pieces if back.text == text else _alike(before, tokens, text)
    made = Rendered(text, tuple(pieces), {_BEFORE: Source(_BEFORE, before)})
    return made.through(rendered, _BEFORE)


def _inline(document: str, css: Sequence[str]) -> str:
    """As mrml would, had it been given the style sheets; nothing is fetched."""
    inliner = css_inline.CSSInliner(
        inline_style_tags=False,
        keep_style_tags=True,
        keep_link_tags=True,
        load_remote_stylesheets=False,
        extra_css="".join(css),
    )
    return inliner.inline(document)


# --- tokens ------------------------------------------------------------------------------------------------------


class _Token(NamedTuple):
    """Text (name ""), a comment or declaration ("!"), a tag ("b", or "/b" for a closing one)."""

    name: str
    start: int
    end: int


_TAG = re.compile(r"<(/?[A-Za-z][^\s/>]*+)(?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+>")
_OPAQUE = frozenset({"style", "script", "title", "textarea", "xmp"})


def _tokens(text: str) -> Iterator[_Token]:
    at = begin = 0
    while (at := text.find("<", at)) >= 0:
        if text.startswith("<!", at):
            closing = "-->" if text.startswith("<!--", at) else ">"
            found = text.find(closing, at)
            name, end = "!", found + len(closing) if found >= 0 else len(text)
        elif (tag := _TAG.match(text, at)) is not None:
            name, end = tag[1].lower(), tag.end()
        elif text[at + 1 : at + 2].isalpha() or text.startswith("</", at):
            break  # a tag without an end: so is all that follows, and looking again would take quadratic time
        else:
            at += 1
            continue
        if begin < at:
            yield _Token("", begin, at)
        yield _Token(name, at, end)
        at = begin = end
        if name in _OPAQUE:
            closed = re.compile(rf"</{name}", re.IGNORECASE).search(text, at)
            at = closed.start() if closed is not None else len(text)
    if begin < len(text):
        yield _Token("", begin, len(text))


def _depth(tokens: Sequence[_Token]) -> int:
    """Not less than the depth of the tree that is read of them: a closing tag without an opening one closes nothing."""
    opened: Counter[str] = Counter()
    depth = most = 0
    for token in tokens:
        if token.name.startswith("/"):
            if opened[token.name[1:]] > 0:
                opened[token.name[1:]] -= 1
                depth -= 1
        elif token.name not in {"", "!"} and token.name not in VOID:
            opened[token.name] += 1
            depth += 1
            most = max(most, depth)
    return most


def _word(text: str) -> str:
    """An attribute's name that the document does not have."""
    number = 0
    while f"dlq{number}x" in text:
        number += 1
    return f"dlq{number}x"


def _is_opening(token: _Token) -> bool:
    return token.name[:1] not in {"", "!", "/"}


def _name_end(token: _Token) -> int:
    """Where the name of an opening tag ends."""
    return token.start + 1 + len(token.name)


def _numbered(text: str, tokens: Sequence[_Token], word: str) -> str:
    parts, at = [], 0
    for number, token in enumerate(tokens):
        if _is_opening(token):
            name = _name_end(token)
            parts += [text[at:name], f' {word}="{number}"']
            at = name
    return "".join([*parts, text[at:]])


# --- the way back ------------------------------------------------------------------------------------------------

_ATTRIBUTE = re.compile(r"([^\s=>/\"'<]++)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>]++)))?")


class _Back:
    """The numbered document without its numbers, and the pieces of it.

    From number to number: what did not change is one piece, and only what did is looked into.
    """

    def __init__(self, before: str, tokens: Sequence[_Token], numbered: str, word: str) -> None:
        self.before, self.tokens = before, tokens
        self.made: list[str] = []
        self.length = self.cursor = 0
        self.pieces: list[Piece] = []
        parts = re.split(rf' {word}="(\d+)"', numbered)
        numbers = [int(number) for number in parts[1::2]]
        left = ""  # css-inline writes the class before the number
        for index, part in enumerate(parts[::2]):
            token = tokens[numbers[index - 1]] if index else None
            following = tokens[numbers[index]] if index < len(numbers) else None
            text = left + part
            start = _name_end(token) if token is not None else 0
            stop, cut = len(before), len(text)
            if following is not None:
                stop = _name_end(following)
                cut = max(text.rfind(f"<{following.name}"), 0)
                end = cut + 1 + len(following.name)
                text, left = text[:end], text[end:]
            if stop - start == len(text) and before.startswith(text, start):
                self._add(text, start, stop, copied=True)
                continue
            self.cursor = numbers[index - 1] + 1 if index else 0
            self._chunk(text[:cut], token)
            if following is not None:
                self._add(text[cut:], following.start, stop, copied=text[cut:] == before[following.start : stop])
        self.text = "".join(self.made)

    def _chunk(self, text: str, token: _Token | None) -> None:
        """What stands from behind a tag's name up to the next element."""
        opening = f"<{token.name}" if token is not None else ""
        whole = opening + text
        for number, one in enumerate(_tokens(whole)):
            if number == 0 and token is not None:
                self._attributes(whole[len(opening) : one.end], token)
                continue
            inner = whole[one.start : one.end]
            if one.name[:1] == "/":
                self._closing(inner)
            else:
                self._text(inner)

    def _add(self, text: str, at: int | None = None, until: int = 0, *, copied: bool = False, exact: bool = True) -> None:
        start, self.length = self.length, self.length + len(text)
        self.made.append(text)
        if at is None or not text:
            return
        last = self.pieces[-1] if self.pieces else None
        if last is not None and copied and last.copied and exact and last.end == start and last.until == at:
            self.pieces[-1] = last._replace(end=self.length, until=until)
        else:
            self.pieces.append(Piece(start, self.length, _BEFORE, at, until, copied=copied, exact=exact))

    def _text(self, text: str) -> None:
        """A text or comment: the next one of the source that it may have been."""
        for number in range(self.cursor, len(self.tokens)):
            token = self.tokens[number]
            if _is_opening(token):
                break
            if token.name[:1] == "/" or (runs := _aligned(self.before, token.start, token.end, text)) is None:
                continue
            self.cursor = number + 1
            for run, at, until, copied in runs:
                self._add(run, at, until, copied=copied)
            return
        self._add(text)

    def _closing(self, text: str) -> None:
        """A closing tag: perhaps the next thing in the source too."""
        token = self.tokens[self.cursor] if self.cursor < len(self.tokens) else None
        if token is not None and self.before[token.start : token.end] == text:
            self._add(text, token.start, token.end, copied=True)
            self.cursor += 1
        else:
            self._add(text)

    def _attributes(self, rest: str, token: _Token) -> None:
        first = _name_end(token)
        values: dict[str, re.Match[str]] = {}
        for found in _ATTRIBUTE.finditer(self.before, first, token.end):
            values.setdefault(found[1].lower(), found)
        at = 0
        for found in _ATTRIBUTE.finditer(rest):
            group = found.lastindex or 1
            old = values.get(found[1].lower())
            begin = found.start(group) if group > 1 else found.end()
            where = (token.start, first) if old is None else old.span()
            self._add(rest[at:begin], *where, exact=old is not None)
            at = found.end(group)
            if group == 1:
                at = begin
            elif old is None or not (old.lastindex or 1) > 1:
                self._add(found[group], *where, exact=False)
            else:
                start, end = old.span(old.lastindex or 1)
                runs = _aligned(self.before, start, end, found[group])
                for run, place, until, copied in runs or [(found[group], *where, False)]:
                    self._add(run, place, until, copied=copied, exact=runs is not None)
        self._add(rest[at:])


_SETTLED = re.compile(r"&(?:#\w+;?|\w+;)|\r\n?|[&<>\"\u00a0]")  # what may be written otherwise


def _aligned(text: str, start: int, end: int, wanted: str) -> list[tuple[str, int, int, bool]] | None:
    """Text that was written anew, in runs with the ranges of the source, and whether they are the same. None if it is other."""
    if text[start:end] == wanted:
        return [(wanted, start, end, True)]
    made, at, to = [], start, 0
    for found in _SETTLED.finditer(text, start, end):
        same = text[at : found.start()]
        if not wanted.startswith(same, to):
            return None
        character = "\n" if found[0][0] == "\r" else html.unescape(found[0])
        ways = (html.escape(character), character.replace("\u00a0", "&nbsp;"), found[0], character)
        way = next((one for one in ways if wanted.startswith(one, to + len(same))), None)
        if way is None:
            return None
        if same:
            made.append((same, at, found.start(), True))
        made.append((way, found.start(), found.end(), way == found[0]))
        at, to = found.end(), to + len(same) + len(way)
    if text[at:end] != wanted[to:]:
        return None
    if at < end:
        made.append((wanted[to:], at, end, True))
    return made


def _alike(before: str, tokens: Sequence[_Token], text: str) -> list[Piece]:
    """The texts that stand in both, in their order: where numbers change what css-inline does."""
    made, at = [], 0
    for token in tokens:
        words = before[token.start : token.end].strip() if token.name == "" else ""
        found = text.find(words, at) if words else -1
        if found >= 0:
            start = before.index(words, token.start)
            made.append(Piece(found, found + len(words), _BEFORE, start, start + len(words), copied=True, exact=False))
            at = found + len(words)
    return made
