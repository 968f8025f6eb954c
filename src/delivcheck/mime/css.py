"""CSS as mail uses it: inline declarations, the rules of style sheets, selectors that can be matched in bounded time."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import tinycss2

from ..memo import remembered

MAX_SHEET = 262_144  # characters of all style elements of a document that are read; Gmail drops what goes beyond 16 KB
MAX_STYLE = 8_192  # characters of one style attribute, one list of selectors or one block of declarations that are read
MAX_RULES = 10_000  # of one style element, a rule for each selector of a list; 16 KB, what Gmail takes, hold 1,500
# What is remembered takes hundreds of times the room of its text, and the texts are strangers': only what templates repeat.
LONGEST_STYLE, LONGEST_SELECTOR, LONGEST_SHEET = 512, 128, 16_384  # characters

# The properties that decide whether text can be seen. Everything else is passed over.
PROPERTIES = frozenset({
    "display", "visibility", "opacity", "font-size", "font", "color", "background", "background-color", "background-image",
    "height", "max-height", "width", "max-width", "overflow", "overflow-x", "overflow-y",
    "position", "left", "right", "top", "bottom", "text-indent", "margin", "margin-left", "margin-top", "clip", "clip-path",
})  # fmt: skip

_RELEVANT = re.compile(
    r"display|visibility|opacity|font|color|background|height|width|overflow|position|indent|margin|clip|\\", re.IGNORECASE
)
_PLAIN = re.compile(r"[^{}()\[\]\"'/\\@]*\Z")  # neither strings, nor functions, comments or escapes: split at ; and : and done
_ALWAYS = frozenset({"", "all", "screen", "only screen", "only all"})  # media that every mail client with a screen is
_NEVER = re.compile(r"(?:only )?(?:print|speech|aural|braille|embossed|handheld|projection|tty|tv)\b")
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_BRACE_OR_STRING = re.compile(r"[{}]|\"(?:[^\"\\\n]|\\.)*+\"?|'(?:[^'\\\n]|\\.)*+'?", re.DOTALL)
_STATIC_PSEUDO = frozenset({"link", "any-link", "root"})


class Declaration(NamedTuple):
    """One declaration; name and value in lower case."""

    name: str
    value: str
    important: bool


class Compound(NamedTuple):
    """A compound selector: everything one element must be."""

    tag: str | None
    ids: tuple[str, ...]
    classes: frozenset[str]
    attributes: tuple[tuple[str, str | None, str], ...]  # name, operator, value


class Selector(NamedTuple):
    """Compounds from right to left; those of one group are joined by `>`, the groups by white space.

    `certain` is false where the selector has something that is not looked at (a sibling combinator, :hover, :not …): then it
    matches more than it should.
    """

    groups: tuple[tuple[Compound, ...], ...]
    specificity: tuple[int, int, int]
    certain: bool


class Rule(NamedTuple):
    """A style rule with the declarations that matter. `conditional`: it holds only in some media or states."""

    selector: Selector
    declarations: tuple[Declaration, ...]
    conditional: bool


class Sheet(NamedTuple):
    """The rules of a style sheet that matter, in order.

    `complete` is false where it was cut or could not be read, `cut` tells that a limit was met.
    """

    rules: tuple[Rule, ...]
    complete: bool
    cut: bool = False


# --- declarations ------------------------------------------------------------------------------------------------


@remembered(8192, LONGEST_STYLE)
def parse_style(text: str) -> tuple[Declaration, ...]:
    """The declarations of a style attribute that matter. Never raises; templates repeat themselves, so this remembers."""
    if not _RELEVANT.search(text):
        return ()
    text = text[:MAX_STYLE]
    if _PLAIN.match(text):
        return tuple(_split(text))
    return tuple(_declarations(tinycss2.parse_blocks_contents(text, skip_comments=True, skip_whitespace=True)))


def _split(text: str) -> Iterable[Declaration]:
    for piece in text.split(";"):
        name, colon, value = piece.partition(":")
        name = name.strip().lower()
        if colon and name in PROPERTIES:
            value, bang, word = value.strip().lower().partition("!")
            if not bang or word.strip() == "important":
                yield Declaration(name, value.strip(), bool(bang))


def _declarations(nodes: Iterable[Any]) -> Iterable[Declaration]:
    for node in nodes:
        if node.type == "declaration" and node.lower_name in PROPERTIES:
            yield Declaration(node.lower_name, _text(node.value).strip().lower(), node.important)


def _text(tokens: Sequence[Any]) -> str:
    """Tokens as text, comments left out; "" for brackets nested so deeply that nothing real is in them."""
    if not _shallow(tokens, 8):
        return ""
    return "".join(token.serialize() for token in tokens if token.type != "comment")


def _shallow(tokens: Sequence[Any], depth: int) -> bool:
    for token in tokens:
        inner = getattr(token, "content", None) if token.type != "function" else token.arguments
        if isinstance(inner, list) and (not depth or not _shallow(inner, depth - 1)):
            return False
    return True


# --- sheets ------------------------------------------------------------------------------------------------------


@remembered(32, LONGEST_SHEET)
def parse_sheet(text: str) -> Sheet:
    """The rules of a style element. Never raises.

    Braces are found first, strings and comments passed over; only rules with a property that matters are given to tinycss2,
    which takes 1 ms for 2 KB.
    """
    if not _RELEVANT.search(text):
        return Sheet((), complete=True)
    complete, cut = True, len(text) > MAX_SHEET
    text = _COMMENT.sub(" ", text[:MAX_SHEET]).replace("<!--", " ").replace("-->", " ")
    rules: list[Rule] = []
    open_blocks: list[_Block] = []
    start = 0
    for found in _BRACE_OR_STRING.finditer(text):
        if found[0] == "{":
            head = text[start : found.start()].rpartition(";")[2].strip()
            open_blocks.append(_block(head, open_blocks[-1] if open_blocks else _TOP))
        elif found[0] == "}" and open_blocks:
            block = open_blocks.pop()
            if block.is_rule:
                body = text[start : found.start()]
                rules += _rules(block, body)
                cut |= max(len(block.head), len(body)) > MAX_STYLE
            complete &= not (block.is_rule and bool(open_blocks) and open_blocks[-1].is_rule)  # nested rules are not looked at
        else:  # a string, or a brace too many, which spoils the rule that follows (CSS Syntax section 5.4.1)
            continue
        start = found.end()
        if len(rules) > MAX_RULES:
            cut = True
            break
    return Sheet(tuple(rules), complete and not cut and not open_blocks, cut)


class _Block(NamedTuple):
    """A block that is open: of a style rule or of an at-rule."""

    head: str
    is_rule: bool
    counts: bool  # whether style rules inside are looked at
    conditional: bool


_TOP = _Block("", is_rule=False, counts=True, conditional=False)


def _block(head: str, around: _Block) -> _Block:
    if not head.startswith("@"):
        return _Block(head, is_rule=True, counts=around.counts and not around.is_rule, conditional=around.conditional)
    words = head.lower().split()
    medium = " ".join(words[1:])
    if words[0] == "@media":
        never, always = _NEVER.match(medium) is not None, medium in _ALWAYS
    else:
        never, always = words[0] not in {"@supports", "@layer"}, False
    return _Block(head, is_rule=False, counts=around.counts and not never, conditional=around.conditional or not always)


def _rules(block: _Block, body: str) -> list[Rule]:
    found = parse_style(body) if block.counts else ()
    if not found:
        return []
    return [Rule(each, found, block.conditional or not each.certain) for each in parse_selectors(block.head)]


# --- selectors ---------------------------------------------------------------------------------------------------


@remembered(4096, LONGEST_SELECTOR)
def parse_selectors(text: str) -> tuple[Selector, ...]:
    """The selectors of a list, those that cannot be read left out."""
    found = []
    one: list[Any] = []
    for token in [*tinycss2.parse_component_value_list(text[:MAX_STYLE], skip_comments=True), None]:
        if token is not None and token != ",":
            one.append(token)
            continue
        selector = _selector(one)
        if selector is not None:
            found.append(selector)
        one = []
    return tuple(found)


class _Building:
    """A compound in the making."""

    def __init__(self) -> None:
        self.tag: str | None = None
        self.ids: dict[str, None] = {}  # in order, each once
        self.classes: set[str] = set()
        self.attributes: list[tuple[str, str | None, str]] = []
        self.used = False

    def done(self) -> Compound:
        return Compound(self.tag, tuple(self.ids), frozenset(self.classes), tuple(self.attributes))


def _selector(tokens: list[Any]) -> Selector | None:
    """Read one complex selector; None for what no parser could read."""
    first = next((number for number, token in enumerate(tokens) if token.type != "whitespace"), len(tokens))
    last = next((number for number in range(len(tokens), first, -1) if tokens[number - 1].type != "whitespace"), first)
    tokens = tokens[first:last]
    if not tokens:
        return None
    groups: list[list[Compound]] = [[]]
    building = _Building()
    ids = names = tags = 0
    certain = True
    position = 0
    while position < len(tokens):
        token = tokens[position]
        position += 1
        if token.type == "whitespace" or token in (">", "+", "~"):
            combinator = " " if token.type == "whitespace" else token.value
            while position < len(tokens) and (tokens[position].type == "whitespace" or tokens[position] in (">", "+", "~")):
                if tokens[position].type != "whitespace":
                    combinator = tokens[position].value
                position += 1
            if not building.used:
                return None
            groups[-1].append(building.done())
            building = _Building()
            if combinator == " ":
                groups.append([])
            elif combinator != ">":  # what stands left of a sibling combinator is not looked at
                groups, certain = [[]], False
            continue
        building.used = True
        following = tokens[position] if position < len(tokens) else None
        if token.type == "ident":
            building.tag, tags = token.lower_value, tags + 1
        elif token.type == "hash":
            building.ids[token.value] = None
            ids += 1
        elif token.type == "[] block":
            condition = _attribute(token.content)
            if condition is None:
                return None
            building.attributes.append(condition)
            names += 1
        elif token == "*":
            pass
        elif token == "." and following is not None and following.type == "ident":
            building.classes.add(following.value)
            names, position = names + 1, position + 1
        elif token == ":" and following is not None:
            while position < len(tokens) and tokens[position] == ":":
                position += 1
            if position == len(tokens):
                return None
            pseudo = tokens[position]
            position += 1
            names += 1
            certain &= pseudo.type == "ident" and pseudo.lower_value in _STATIC_PSEUDO
        else:
            return None
    if not building.used:
        return None
    groups[-1].append(building.done())
    return Selector(tuple(tuple(reversed(group)) for group in reversed(groups)), (ids, names, tags), certain)


def _attribute(content: Sequence[Any]) -> tuple[str, str | None, str] | None:
    """[name], [name=value] and the other operators of Selectors section 6."""
    tokens = [token for token in content if token.type not in {"whitespace", "comment"}]
    if not tokens or tokens[0].type != "ident":
        return None
    name = tokens[0].lower_value
    if len(tokens) == 1:
        return name, None, ""
    operator = tokens[1].value if tokens[1].type == "literal" else None
    if operator is None or len(tokens) < 3 or tokens[2].type not in {"ident", "string"}:
        return None
    return name, operator, tokens[2].value


def attribute_matches(actual: str | None, operator: str | None, wanted: str) -> bool:
    """Whether an attribute's value fits a condition (Selectors Level 3 section 6.3)."""
    if actual is None:
        return False
    if operator is None:
        return True
    if operator == "=":
        return actual == wanted
    if operator == "~=":
        return wanted in actual.split()
    if operator == "|=":
        return actual == wanted or actual.startswith(wanted + "-")
    if not wanted:
        return False
    if operator == "^=":
        return actual.startswith(wanted)
    if operator == "$=":
        return actual.endswith(wanted)
    return operator == "*=" and wanted in actual
