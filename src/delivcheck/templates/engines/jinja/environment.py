"""Jinja2's sandbox as it renders one set of templates at a time: limited, and with every printed stretch in its place."""

import functools
from collections.abc import Callable, Iterable, Mapping
from types import BuiltinMethodType, MethodType
from typing import Any, NoReturn

from jinja2 import Template, TemplateNotFound, TemplateRuntimeError, TemplatesNotFound, Undefined, UndefinedError, runtime
from jinja2.lexer import TokenStream
from jinja2.runtime import BlockReference, Context, Macro, TemplateReference
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range
from jinja2.tests import TESTS
from jinja2.utils import pass_context
from markupsafe import Markup

from ...data.made_up import Record
from ...model import Host, Piece, Source, Sources, TemplateMissing
from .compiling import Compiled, Parsed, Spot, compiled, parse, placed_stream
from .faults import Missing
from .filters import filters
from .limits import Meter, before_format, before_method, before_operator, width
from .options import settings
from .placing import Placing, QuickLexer
from .stubs import Stubbed, Tags, true, unchanged
from .text import PlacedMarkup, PlacedText, carried, escaped, filled, joined, marked_safe

_COMPARING = frozenset(
    {"eq", "equalto", "==", "ne", "!=", "lt", "lessthan", "<", "le", "<=", "gt", "greaterthan", ">", "ge", ">=", "in"}
)
_OF_MAPPINGS = frozenset(dir(dict))
LOAD_STEPS = 10  # of the meter for a template that is included: some fifty microseconds
_WORDS = "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore."


class Environment(ImmutableSandboxedEnvironment):
    """Compiles each source once; `begin` starts a rendering."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, host: Host, parsed: dict[Source, Parsed], *, html: bool) -> None:
        """Take what the host adds, the sources that are parsed already, and whether values are escaped. Raises ValueError."""
        super().__init__(autoescape=html, cache_size=0, auto_reload=False, **settings(host.options))
        self.policies["ext.i18n.trimmed"] = host.options.get("i18n_trimmed", False) is True
        self.meter = Meter()
        self.stubs = Tags(host.tags)
        self.filters = Stubbed(filters(self.meter), host.filters, unchanged)
        self.tests = Stubbed(_tests(self.meter), host.tests, true)
        self.globals.update(_GETTEXT, lipsum=_lipsum, range=self._range)
        self.context_class = _Context
        self.concat = lambda texts: joined(PlacedText, texts)  # type: ignore[method-assign]  # the hook for other kinds of text
        self.quick_lexer = QuickLexer(self)
        self.placing: Placing | None = None  # of the source that is being parsed
        self._parsed = parsed
        self._compiled: dict[Source, tuple[Compiled, dict[str, Any]]] = {}
        self._names = _names(self.meter)
        self._sources: Sources | None = None
        self._used: dict[str, Source] = {}
        self._templates: dict[str, Template] = {}

    # --- a rendering

    def begin(self, sources: Sources) -> None:
        """Start anew: all that is kept of templates are their codes."""
        self._sources = sources
        self._used, self._templates = {}, {}
        self.meter.reset()

    @property
    def used(self) -> Mapping[str, Source]:
        """The sources of this rendering."""
        return self._used

    def template(self, source: Source) -> Template:
        """The template of a source. Raises TemplateFault."""
        if self._used.get(source.name) != source:
            if source not in self._compiled:
                self._compiled[source] = self._load(source)
            self._used[source.name] = source
            self._templates[source.name] = Template._from_namespace(  # noqa: SLF001 -- as Template.from_code, whose namespace is bare
                self, self._compiled[source][1], self.make_globals(None)
            )
        return self._templates[source.name]

    def parsed(self, source: Source) -> Parsed:
        """The tree of a source. Raises TemplateFault."""
        if source not in self._parsed:
            self._parsed[source] = parse(self, source)
        return self._parsed[source]

    def _load(self, source: Source) -> tuple[Compiled, dict[str, Any]]:
        code = compiled(self, self.parsed(source))
        space = {
            **self._names,
            "environment": self,
            "needed": self._needed,
            "__file__": source.name,
            "parts": code.parts,
            "spots": code.spots,
            "delivcheck_compiled": code,
        }
        exec(code.code, space)  # noqa: S102 -- what jinja2 generated for its sandbox
        return code, space

    # --- what generated code and the parser ask for

    def get_template(self, name: Any, parent: str | None = None, globals: Any = None) -> Template:  # noqa: A002, ARG002 -- inherited
        """A template by the name that another has for it. Raises TemplateNotFound, TemplateFault, LimitReached."""
        if isinstance(name, Undefined):
            raise TemplateNotFound(name)  # says that the name is undefined
        self.meter.spend(LOAD_STEPS)
        assert self._sources is not None
        try:
            source = self._sources.find(str(name), self._used.get(parent or ""))
        except TemplateMissing as fault:
            raise Missing(fault, str(name)) from None
        return self.template(source)

    def select_template(self, names: Any, parent: str | None = None, globals: Any = None) -> Template:  # noqa: A002
        """The first of several that is there. Raises TemplatesNotFound, TemplateFault."""
        if isinstance(names, Undefined):
            names._fail_with_undefined_error()  # noqa: SLF001 -- as the inherited method
        names = list(names)
        for name in names:
            try:
                return self.get_template(name, parent, globals)
            except (TemplateNotFound, UndefinedError):
                continue
        raise TemplatesNotFound(names)

    def _tokenize(self, source: str, name: str | None, filename: str | None = None, state: str | None = None) -> TokenStream:  # noqa: ARG002 -- inherited; `placing` has them
        return placed_stream(self)

    def _needed(self, kind: str, name: str) -> Callable[..., Any]:
        """A filter or test; one that is missing is told of when it is reached, or in code that is not conditional before."""
        found: Callable[..., Any] | None = getattr(self, kind).get(name)

        def missing(*_: Any, **__: Any) -> NoReturn:
            raise TemplateRuntimeError(f"No {kind[:-1]} named {name!r} found")

        return found or missing

    # --- limits

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805, PYI063 -- as inherited: a keyword may be called `self`
        """Call something for a template. Raises LimitReached, and whatever it raises."""
        __self.meter.spend()
        if isinstance(__obj, BuiltinMethodType) and isinstance(__obj.__self__, (list, tuple, dict, set, frozenset)):
            for one in (__obj.__self__, *args):  # `these.index(one)` compares
                __self.meter.compared(one)
        if not isinstance(__obj, (BuiltinMethodType, MethodType)) or not isinstance(__obj.__self__, (str, bytes, int)):
            return super().call(__context, __obj, *args, **kwargs)
        owner = __obj.__self__
        before_method(owner, __obj.__name__, args, kwargs)
        for one in (owner, *args, *kwargs.values()):
            __self.meter.weigh(one)
        if __obj.__name__ == "join" and isinstance(owner, str) and len(args) == 1 and not kwargs:
            return (owner if isinstance(owner, PlacedText) else _unplaced(owner)).join(list(args[0]))
        made = super().call(__context, __obj, *args, **kwargs)
        if isinstance(made, str):
            __self.meter.spend_on(made)
            if isinstance(owner, PlacedText) and not (isinstance(made, PlacedText) and made.pieces):
                return carried(owner, made)
        return made

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute for a template. Raises LimitReached, and whatever the operator raises."""
        self.meter.spend()
        before_operator(operator, left, right)
        if operator == "%" and isinstance(left, str):
            self.meter.weigh(right)
        made = super().call_binop(context, operator, left, right)
        if isinstance(made, str):
            self.meter.spend_on(made)
        return made

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Reach into a value for a template: of ours, into nothing that str or Markup has not."""
        if type(obj) is Record and attribute in obj and attribute not in _OF_MAPPINGS:
            return obj[attribute]  # as inherited, which looks at what kind of thing it is ten times over
        if isinstance(obj, PlacedText) and not hasattr(_kind(obj), attribute):
            return self.undefined(obj=_kind(obj)(), name=attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """The same for an item, or an attribute that is written as one."""
        if isinstance(obj, PlacedText) and isinstance(argument, str):
            return self.getattr(obj, argument)
        self.meter.compared(argument)
        return super().getitem(obj, argument)

    def is_safe_callable(self, obj: Any) -> bool:
        """Whether it does not say that templates must not call it."""
        # `is True`: an object that answers every name with something is no less safe for that.
        return not (getattr(obj, "unsafe_callable", False) is True or getattr(obj, "alters_data", False) is True)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Give str.format for templates, within limits; None for anything else."""
        wrapped = super().wrap_str_format(value)
        if wrapped is None:
            return None

        @functools.wraps(wrapped)
        def formatted(*args: Any, **kwargs: Any) -> str:
            given = (
                [args[0][key] for key in args[0]]
                if value.__name__ == "format_map" and args and isinstance(args[0], Mapping)
                else args
            )
            before_format(value.__self__, (*given, *kwargs.values()))
            for one in (*given, *kwargs.values()):
                self.meter.weigh(one)
            return wrapped(*args, **kwargs)

        return formatted

    def _range(self, *args: int) -> range:
        made: range = safe_range(*args)
        self.meter.spend(len(made))
        return made


def _tests(meter: Meter) -> dict[str, Callable[..., Any]]:
    """Jinja2's tests, of which those with an argument compare."""

    def metered(test: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(test)  # with the marks that say what is passed to it
        def run(*args: Any) -> Any:
            for one in args:
                meter.compared(one)
            return test(*args)

        return run

    known: Mapping[str, Any] = TESTS  # typed as functions, which mypy does not take for callable
    return {name: metered(test) if name in _COMPARING else test for name, test in known.items()}


def _names(meter: Meter) -> dict[str, Any]:
    """What generated code calls by name: of jinja2.runtime, with our own for all that makes or prints text."""

    def print_html(spot: Spot, value: Any) -> str:
        meter.weigh(value)
        return _printed(spot, value if type(value) is PlacedMarkup else escaped(value))

    def print_text(spot: Spot, value: Any) -> str:
        meter.weigh(value)
        return _printed(spot, value if isinstance(value, PlacedText) else PlacedText(str(value)))

    def _printed(spot: Spot, value: PlacedText) -> str:
        meter.spend_on(value, len(value.pieces))
        if not value:
            return value
        kind = type(value)
        if value.pieces:
            return kind.of(value, filled(value, *spot))
        return kind.of(value, (Piece(0, len(value), spot[0], spot[1], spot[2], copied=False),))

    def placed(spot: Spot, value: Any) -> Any:
        if not isinstance(value, str):
            raise TypeError(f"expected str instance, {type(value).__name__} found")  # as the join of all text would
        return _printed(spot, value if isinstance(value, PlacedText) else _unplaced(value))

    def str_join(values: Iterable[Any]) -> str:
        return _counted(joined(PlacedText, (v if isinstance(v, PlacedText) else _str(v) for v in values)))

    def markup_join(values: Iterable[Any]) -> str:
        texts = [v if isinstance(v, str) else _str(v) for v in values]
        if any(hasattr(one, "__html__") for one in texts):
            return _counted(joined(PlacedMarkup, map(escaped, texts)))
        return _counted(joined(PlacedText, texts))

    def _str(value: Any) -> str:
        meter.weigh(value)
        return str(value)

    def _counted(text: PlacedText) -> str:
        meter.spend_on(text, len(text.pieces))
        return text

    class Metered(_Macro):
        meter_of = meter

    return {
        **{name: getattr(runtime, name) for name in runtime.exported},
        "Markup": marked_safe,
        "escape": escaped,
        "str_join": str_join,
        "markup_join": markup_join,
        "Macro": Metered,
        "TemplateReference": _TemplateReference,
        "print_html": print_html,
        "print_text": print_text,
        "placed": placed,
        "walked": meter.walked,
        "compared": meter.compared,
    }


def _kind(text: PlacedText) -> type[str]:
    return Markup if isinstance(text, Markup) else str


def _unplaced(value: str) -> PlacedText:
    return PlacedMarkup(value) if isinstance(value, Markup) else PlacedText(value)


class _Macro(Macro):
    """A macro whose text keeps its places."""

    meter_of: Meter

    def _invoke(self, arguments: list[Any], autoescape: bool) -> str:
        self.meter_of.spend()
        made = self._func(*arguments)
        assert isinstance(made, PlacedText)  # of `concat`
        self.meter_of.spend_on(made, len(made.pieces))
        return _safe_if(made, autoescape)


def _safe_if(text: PlacedText, autoescape: object) -> str:
    return marked_safe(text) if autoescape else text


class _Block(BlockReference):
    """A block that is called by name, or the one that it overrides; its text keeps its places."""

    @property
    def super(self) -> Any:
        return _placed_block(super().super)

    def __call__(self) -> str:
        made = joined(PlacedText, self._stack[self._depth](self._context))
        return _safe_if(made, self._context.eval_ctx.autoescape)


def _placed_block(found: Any) -> Any:
    if isinstance(found, BlockReference):
        return _Block(found.name, found._context, found._stack, found._depth)  # noqa: SLF001 -- one of our own kind of it
    return found


class _Context(Context):
    def super(self, name: str, current: Any) -> Any:
        return _placed_block(super().super(name, current))


class _TemplateReference(TemplateReference):
    def __repr__(self) -> str:
        return super().__repr__().replace("_", "", 1)

    def __getitem__(self, name: str) -> Any:
        return _placed_block(super().__getitem__(name))


# --- globals -----------------------------------------------------------------------------------------------------


def _lipsum(n: int = 5, html: bool = True, min: int = 20, max: int = 100) -> str:  # noqa: A002, ARG001 -- as Jinja2's
    """Placeholder text, the same each time."""
    width(n)
    return Markup("\n").join([Markup("<p>{}</p>").format(_WORDS)] * n) if html else "\n\n".join([_WORDS] * n)


def _translated(context: Context, message: str, variables: dict[str, Any]) -> str:
    """A message with its variables, if it is given any: newstyle gettext, which old style programs write with `|format`."""
    if not variables:
        return message
    text = Markup(message) if context.eval_ctx.autoescape else message  # noqa: S704 -- as Jinja2: messages are HTML
    return text % variables


@pass_context
def _gettext(context: Context, message: str, /, **variables: Any) -> str:
    return _translated(context, message, variables)


@pass_context
def _ngettext(context: Context, singular: str, plural: str, number: Any, /, **variables: Any) -> str:
    return _translated(context, singular if number == 1 else plural, {"num": number, **variables} if variables else {})


@pass_context
def _pgettext(context: Context, _about: str, message: str, /, **variables: Any) -> str:
    return _translated(context, message, variables)


@pass_context
def _npgettext(context: Context, _about: str, one: str, more: str, number: Any, /, **variables: Any) -> str:
    return _translated(context, one if number == 1 else more, {"num": number, **variables} if variables else {})


_GETTEXT = {"gettext": _gettext, "ngettext": _ngettext, "pgettext": _pgettext, "npgettext": _npgettext}
