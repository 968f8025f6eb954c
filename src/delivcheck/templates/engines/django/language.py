"""Django's template language as it is parsed here: its own parser, with stubs, made-up addresses and limits."""

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any
from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured
from django.template import Context, Library, Node, Origin, Template, TemplateSyntaxError
from django.template.base import DebugLexer, FilterExpression, NodeList, Parser, TokenType, Variable, VariableDoesNotExist
from django.template.defaulttags import DebugNode, LoremNode, URLNode
from django.template.engine import Engine
from django.template.library import import_library
from django.template.loader_tags import BlockNode
from django.templatetags.cache import CacheNode
from django.templatetags.i18n import BlockTranslateNode
from django.templatetags.static import PrefixNode, StaticNode

from ...data.values import SITE
from ...model import Host, Source, TemplateFault
from ..ours import is_ours
from .limits import MAX_KEPT, MAX_TAG, MAX_WIDTH, bounded, check_blanks, check_search
from .room import in_a_project
from .trace import Trace, one_line, source_of, traced

LIBRARIES: Mapping[str, str] = {
    **{name: f"django.templatetags.{name}" for name in ("cache", "i18n", "l10n", "static", "tz")},
    "humanize": "django.contrib.humanize.templatetags.humanize",
}

BRANCHES = ("else", "elif", "empty", "plural")  # what may part the contents of a project's own block tag
CHANGING = frozenset({"clear", "pop", "popitem", "remove", "reverse", "sort"})  # methods that change the data of the next one
MAX_NAMED = 9  # tags that a message names
MAX_UP = 16  # folders that `../` may go up
_ROOT = "⌂"
_HERE = "/".join([_ROOT, *["d"] * MAX_UP])  # a folder that no file has, for Django to reckon `./` and `../` from
_ON_LINE = re.compile(r" on line \d+")


# --- what is parsed ----------------------------------------------------------------------------------------------


class Language(Engine):  # type: ignore[misc]  # Django ships no types; so below
    """A Django engine that asks `Sources` for templates and parses each once."""

    def __init__(self, host: Host) -> None:
        libraries, builtins, invalid = _project()
        super().__init__(
            debug=True,  # gives tokens their place
            builtins=builtins,
            string_if_invalid=str(host.options.get("string_if_invalid", invalid)),
        )
        self._host = host
        self._known = {**LIBRARIES, **libraries}
        self._base = str(host.options.get("url_base", SITE)).rstrip("/")
        self._parsed: dict[Source, Parsed] = {}
        self._trace: Trace | None = None
        self.template_libraries = _Libraries(self)

    def parse(self, source: Source) -> "Parsed":
        """The template of a source. Raises TemplateFault."""
        if source not in self._parsed:
            if len(self._parsed) >= MAX_KEPT:
                self._parsed.clear()
            self._parsed[source] = self._parse(source)
        return self._parsed[source]

    def _parse(self, source: Source) -> "Parsed":
        try:
            check_search(source.text)
            return Parsed(source, self)
        except RecursionError as error:
            raise TemplateFault("tags are nested too deeply", _at(error, source)) from None
        except TemplateFault as fault:
            raise TemplateFault(fault.message, fault.where or _at(fault, source)) from None
        except NotHere as error:
            said, library = error.args
            tags = self._unknown(source.text)
            stub = f"stubs.tags = {tags}" if tags else f"options.libraries = {[library]}"
            raise TemplateFault(f"{said}one of the project's own is stubbed by {stub}", _at(error, source)) from None
        except Exception as error:
            if is_ours(error):
                raise
            message = _ON_LINE.sub("", one_line(error)).replace(f"{_HERE}/", "")
            raise TemplateFault(message, _at(error, source)) from None

    def _unknown(self, text: str) -> list[str]:
        """The tags that a template has, as far as no library that is here has them."""
        known = {*BRANCHES, *_tags_of(*self.template_builtins, *(self.template_libraries[name] for name in LIBRARIES))}
        used = (token.contents.split(maxsplit=1)[0] for token in DebugLexer(text).tokenize() if _is_tag(token))
        return [name for name in dict.fromkeys(used) if name not in known and not name.startswith("end")][:MAX_NAMED]

    def find_template(self, name: str, dirs: object = None, skip: Sequence[Origin] | None = None) -> tuple["Parsed", Origin]:
        """The template that another includes or extends. Raises TemplateFault."""
        found = self.parse(self._source(str(name)))
        if skip is not None and found.origin in skip:
            names = " → ".join([*(origin.name for origin in skip), found.origin.name])
            raise TemplateFault(f"templates extend one another in a circle: {names}")
        return found, found.origin

    def select_template(self, template_name_list: Iterable[str]) -> "Parsed":
        """The first that there is. Raises TemplateFault."""
        missing = TemplateFault("no template is named")
        for name in template_name_list:
            try:
                source = self._source(str(name))
            except TemplateFault as fault:
                missing = fault
                continue
            return self.parse(source)
        raise missing

    def _source(self, name: str) -> Source:
        if self._trace is None:
            raise TemplateFault("a template is wanted before rendering")
        asking = source_of(self._trace.node) if self._trace.node is not None else None
        return self._trace.sources.find(as_written(name), asking)

    # --- what a host adds

    def _stubs(self, patterns: tuple[str, ...], name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in patterns)

    def _stubs_library(self, name: str) -> bool:
        named = self._host.options.get("libraries", ())
        return bool(self._host.tags or self._host.filters) or (
            isinstance(named, Sequence) and not isinstance(named, str) and self._stubs(tuple(map(str, named)), name)
        )


def as_written(name: str) -> str:
    """The name of a template, from the one in which it stands if it begins with a dot, as Django has reckoned it."""
    return posixpath.relpath(name, _HERE) if name.startswith(f"{_ROOT}/") else name


def _project() -> tuple[Mapping[str, str], list[str], str]:
    """The libraries, the built-in ones and the mark for missing values of the project in which we run, if any."""
    if in_a_project():
        try:
            theirs = Engine.get_default()
        except ImproperlyConfigured:  # a project without Django's templates
            return {}, [], ""
        return (
            theirs.libraries,
            [one for one in theirs.builtins if one not in Engine.default_builtins],
            theirs.string_if_invalid,
        )
    return {}, [], ""


def _tags_of(*libraries: Library) -> Iterable[str]:
    return (name for library in libraries for name in library.tags)


def _is_tag(token: Any) -> bool:
    return bool(token.token_type == TokenType.BLOCK and token.contents)


def _at(error: BaseException, source: Source) -> Any:
    token = getattr(error, "token", None)
    position = getattr(token, "position", None)
    return source.where(*position) if position else source.where(0, approximate=True)


class Parsed(Template):  # type: ignore[misc]
    """A template whose nodes are watched."""

    def __init__(self, source: Source, engine: Language) -> None:
        origin = Origin(source.name, f"{_HERE}/{posixpath.basename(source.name)}")
        origin._source = source
        super().__init__(source.text, origin, source.name, engine)

    def compile_nodelist(self) -> NodeList:
        """Parse the source."""
        parser = _Parser(DebugLexer(self.source).tokenize(), self.engine, self.origin)
        nodes = parser.parse()
        self.extra_data = parser.extra_data
        return nodes

    def _render(self, context: Context) -> str:
        trace: Trace = context.__dict__["_trace"]
        trace.enter(self.origin._source)
        try:
            return str(super()._render(context))
        finally:
            trace.leave()


class _Parser(Parser):  # type: ignore[misc]
    """Django's parser with a host's stubs."""

    def __init__(self, tokens: list[Any], engine: Language, origin: Origin) -> None:
        self.tags: dict[str, Any]
        super().__init__(tokens, engine.template_libraries, engine.template_builtins, origin)
        for token in tokens:
            if len(token.contents) > MAX_TAG and token.token_type in {TokenType.VAR, TokenType.BLOCK}:
                raise self.error(token, f"a tag of more than {MAX_TAG:,} characters")
        self._engine = engine
        self._host = engine._host
        self.tags = _Tags(self.tags, self._host.tags)
        self._blocks: set[int] | None = None
        self._token: Any = None  # the last that was taken

    def next_token(self) -> Any:
        self._token = super().next_token()
        return self._token

    def compile_filter(self, token: str) -> FilterExpression:
        made = _Expression(token, self)
        made.token_at = self._token
        return made

    def find_filter(self, name: str) -> Callable[..., Any]:
        if name in self.filters:
            return _first if name == "random" else bounded(name, self.filters[name])
        if self._engine._stubs(self._host.filters, name):
            return _same
        raise TemplateSyntaxError(f"Invalid filter: '{name}'; one of the project's own is stubbed by its name in stubs.filters")

    def invalid_block_tag(self, token: Any, command: str, parse_until: Any = None) -> None:
        try:
            super().invalid_block_tag(token, command, parse_until)
        except TemplateSyntaxError as error:
            if command.startswith("end") or command in BRANCHES:
                raise
            said = _ON_LINE.sub("", str(error)).removesuffix(" Did you forget to register or load this tag?").rstrip(".")
            raise self.error(token, f"{said}; one of the project's own is stubbed by its name in stubs.tags") from None

    def extend_nodelist(self, nodelist: NodeList, node: Node, token: Any) -> None:
        super().extend_nodelist(nodelist, node, token)
        if isinstance(node, BlockTranslateNode) and node.trimmed:
            try:
                check_blanks(part.contents for part in (*node.singular, *(node.plural or ())))
            except TemplateFault as fault:
                raise self.error(token, fault) from None
        if type(node) is BlockNode:
            node.__class__ = _Block
        instead = _INSTEAD.get(type(node))
        if instead is not None:
            node.render = partial(instead, node, self._engine)
        node.render_annotated = partial(traced, node)

    def is_block(self, token: Any) -> bool:
        """Whether a tag of the project's own has an end, matched as brackets are."""
        if self._blocks is None:
            self._blocks = _blocks([token, *reversed(self.tokens)])
        return id(token) in self._blocks


def _blocks(tokens: Sequence[Any]) -> set[int]:
    opened: dict[str, list[int]] = {}
    found = set()
    for token in tokens:
        command = token.contents.split(maxsplit=1)[0] if _is_tag(token) else ""
        if command.startswith("end") and opened.get(command[3:]):
            found.add(opened[command[3:]].pop())
        elif command:
            opened.setdefault(command, []).append(id(token))
    return found


# --- stubs -------------------------------------------------------------------------------------------------------


class _Matching(dict[str, Any]):
    """Names that match patterns, each with the same value beside those that are there."""

    def __init__(self, own: Mapping[str, Any], patterns: tuple[str, ...], value: Any) -> None:
        super().__init__(own)
        self._patterns, self._value = patterns, value

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or any(fnmatchcase(str(name), pattern) for pattern in self._patterns)

    def __missing__(self, name: str) -> Any:
        if name in self:
            return self._value
        raise KeyError(name)


class _Tags(_Matching):
    """The tags that a parser knows, and those that a host has."""

    def __init__(self, own: Mapping[str, Any], patterns: tuple[str, ...]) -> None:
        super().__init__(own, patterns, _stub)


class NotHere(TemplateSyntaxError):  # type: ignore[misc]  # noqa: N818 -- a project's own need not be here
    """A tag library that is not installed; its name is the second argument."""


class _Libraries(dict[str, Library]):
    """Tag libraries, imported when they are loaded."""

    def __init__(self, engine: Language) -> None:
        super().__init__()
        self._engine = engine

    def __missing__(self, name: str) -> Library:
        engine = self._engine
        if name in engine._known:
            self[name] = import_library(engine._known[name])
        elif engine._stubs_library(name):
            library = Library()
            library.tags = _Matching({}, engine._host.tags, _stub)
            library.filters = _Matching({}, engine._host.filters, _same)
            self[name] = library
        else:
            raise NotHere(f"'{name}' is not a registered tag library; ", name)
        return self[name]


class StubNode(Node):  # type: ignore[misc]
    """A tag of the project's own: prints what is in it, up to its first branch; by itself nothing."""

    child_nodelists = ("nodelist", "others")

    def __init__(self, nodelist: NodeList, others: NodeList) -> None:
        self.nodelist, self.others = nodelist, others

    def render(self, context: Context) -> str:
        """What is in the tag."""
        return str(self.nodelist.render(context))


def _stub(parser: _Parser, token: Any) -> StubNode:
    if not parser.is_block(token):
        return StubNode(NodeList(), NodeList())
    end = f"end{token.contents.split(maxsplit=1)[0]}"
    nodelist, others = parser.parse((end, *BRANCHES)), NodeList()
    while parser.next_token().contents.split(maxsplit=1)[0] != end:
        others.extend(parser.parse((end, *BRANCHES)))
    return StubNode(nodelist, others)


def _same(value: Any, arg: Any = None) -> Any:
    return value


_same.is_safe = True  # type: ignore[attr-defined]  # Django's flag


def _first(value: Any) -> Any:
    """Stand for `random`: the same report for the same template."""
    try:
        return value[0]
    except (IndexError, KeyError, TypeError):
        return ""


# --- what a template may not reach -------------------------------------------------------------------------------


class _Block(BlockNode):  # type: ignore[misc]
    """A block of which a template sees what Django documents: through the rest it would reach the engine, and files."""

    def __getitem__(self, name: object) -> Any:
        if name == "super":
            return self.super
        if name == "name":
            return self.name
        raise VariableDoesNotExist("a block has no %s", (name,))


class _Expression(FilterExpression):  # type: ignore[misc]
    """An expression that cannot change the data: `{{ items.pop }}` would, for the template after this one."""

    var: Any
    filters: Any
    token_at: Any = None  # the tag that was parsed then: its own, an `elif`'s for one; of some tags the one that ends them

    def __init__(self, token: str, parser: Parser) -> None:
        super().__init__(token, parser)
        self.var = _guarded(self.var)
        self.filters = [(function, [(looked, _guarded(arg)) for looked, arg in args]) for function, args in self.filters]


def _guarded(value: Any) -> Any:
    if isinstance(value, Variable) and value.lookups and not CHANGING.isdisjoint(value.lookups):
        return _Guarded(value.var)
    return value


class _Guarded(Variable):  # type: ignore[misc]
    """A variable of whose steps one is called as a method that changes a dict or a list."""

    __slots__ = ()

    def _resolve_lookup(self, context: Context) -> Any:
        for number, step in enumerate(self.lookups):
            if number and step in CHANGING:
                held = Variable(".".join(self.lookups[:number])).resolve(context)
                if isinstance(held, (dict, list, set, bytearray)) and not (isinstance(held, dict) and step in held):
                    raise VariableDoesNotExist("%s would change the data", (step,))
        return super()._resolve_lookup(context)


# --- tags that ask what is not here ------------------------------------------------------------------------------


def _address(node: Any, engine: Language, path: str, name: str | None) -> str:
    """A made-up address: only its path where a host stands before it, as in `https://{{ domain }}{% url "home" %}`.

    What is given a `name` is printed further on.
    """
    text, at = source_of(node).text, node.token.position[0]
    if name and (printed := re.compile(rf"\{{\{{\s*+{re.escape(name)}\b").search(text, at)):
        at = printed.start()
    before = text[max(at - MAX_TAG, 0) : at]
    while before.endswith("%}") and "{%" in before:
        before = before[: before.rindex("{%")]
    glued = before.endswith("}}") or re.search(r"[\w.\-/]\Z", before) is not None
    return path if glued else engine._base + path


def _url(node: Any, engine: Language, context: Context) -> str:
    if in_a_project():
        from django.urls import NoReverseMatch

        try:
            return str(type(node).render(node, context))
        except NoReverseMatch:
            pass
    steps = [*str(node.view_name.resolve(context)).split(":")]
    steps += [str(arg.resolve(context)) for arg in (*node.args, *node.kwargs.values())]
    path = "".join(f"/{quote(step, safe='')}" for step in steps if step) + "/"
    return _given(context, node.asvar, _address(node, engine, path, node.asvar))


def _static(node: Any, engine: Language, context: Context) -> str:
    if in_a_project():
        return str(type(node).render(node, context))
    path = str(node.path.resolve(context)).lstrip("/")
    return _given(context, node.varname, _address(node, engine, f"/static/{quote(path)}", node.varname))


def _prefix(node: Any, engine: Language, context: Context) -> str:
    if in_a_project():
        return str(type(node).render(node, context))
    path = f"/{node.name.removesuffix('_URL').lower()}/"
    return _given(context, node.varname, _address(node, engine, path, node.varname))


def _given(context: Context, name: str | None, value: str) -> str:
    if name:
        context[name] = value
        return ""
    return value


def _uncached(node: Any, engine: Language, context: Context) -> str:
    return str(node.nodelist.render(context))  # a cache is a server somewhere


def _lorem(node: Any, engine: Language, context: Context) -> str:
    try:
        count = int(node.count.resolve(context))
    except (TypeError, ValueError, OverflowError):
        count = 1
    if count > MAX_WIDTH:
        raise TemplateFault(f"lorem of more than {MAX_WIDTH:,} words or paragraphs")
    node.common = True  # the same report for the same template
    return str(type(node).render(node, context))


def _nothing(node: Any, engine: Language, context: Context) -> str:
    return ""  # `{% debug %}` prints the whole process


_INSTEAD: Mapping[type, Callable[[Any, Language, Context], str]] = {
    URLNode: _url,
    StaticNode: _static,
    PrefixNode: _prefix,
    CacheNode: _uncached,
    LoremNode: _lorem,
    DebugNode: _nothing,
}
