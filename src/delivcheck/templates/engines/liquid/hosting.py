"""What an application or a mail platform adds to Liquid, by stand-ins; and bounds for the library's own filters."""

import fnmatch
import functools
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Generic, TextIO, TypeVar

from liquid import RenderContext, TokenStream
from liquid.ast import Node
from liquid.exceptions import FilterValueError
from liquid.tag import Tag
from liquid.token import TOKEN_EXPRESSION

from ..tracing import MAX_OUTPUT, MAX_STEPS

Kind = TypeVar("Kind")


class _Nothing(Node):
    """A tag of the application's, which writes nothing here."""

    __slots__ = ()

    def render_to_output(self, _: RenderContext, __: TextIO) -> int:
        return 0


class Stub(Tag):
    """Stands for any tag of the application's that has no end."""

    block = False

    def parse(self, stream: TokenStream) -> Node:
        """Take the tag, and what stands in it."""
        token = stream.current
        if stream.peek.kind == TOKEN_EXPRESSION:
            next(stream)
        return _Nothing(token)


class Stubbed(dict[str, Kind], Generic[Kind]):
    """What the language has by name, and one stand-in for whatever fits the host's patterns."""

    def __init__(self, known: Mapping[str, Kind], patterns: tuple[str, ...], stand_in: Kind) -> None:
        super().__init__(known)
        self.patterns, self.stand_in = patterns, stand_in

    def __missing__(self, name: str) -> Kind:
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in self.patterns):
            return self.stand_in
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        """As of a dictionary, stand-ins included."""
        try:
            return self[name]
        except KeyError:
            return default


def given_back(value: object, *_: object, **__: object) -> object:
    return value


PLATFORM_FILTERS = (
    # Shopify notifications (shopify.dev/docs/api/liquid/filters)
    "money*", "weight_with_unit", "img_url", "image_url", "asset_url", "shopify_asset_url", "file_url", "file_img_url",
    "link_to*", "handle", "handleize", "pluralize", "t", "translate", "format_address", "format_code", "time_tag",
    "json", "md5", "sha1", "sha256", "hmac_sha1", "hmac_sha256", "camelcase", "highlight", "customer_*",
    "default_errors", "payment_*", "placeholder_svg_tag",
    # Braze, Customer.io, Klaviyo, Iterable (their documentation of filters)
    "hash", "property_accessor", "number_with_delimiter", "json_escape", "format_number", "currency",
    "rounded_currency", "timezone", "to_json", "titlecase", "sanitize", "md5_hex", "add_time", "subtract_time",
    "format_date", "localize", "days_later", "where_exp",
    # Jekyll (jekyllrb.com/docs/liquid/filters)
    "relative_url", "absolute_url", "date_to_*", "jsonify", "markdownify", "smartify", "slugify", "xml_escape",
    "cgi_escape", "uri_escape", "number_of_words", "array_to_sentence_string", "normalize_whitespace", "inspect",
    "push", "pop", "shift", "unshift",
)  # fmt: skip
# Each gives its input back: what it would make of it belongs to the platform. Others are named by the configuration.
CHARACTERS_A_STEP = 1_000  # or items of a list that a filter goes over: some microseconds, as a round of a loop takes
PAIRS_A_STEP = 1_000  # of items: the library's `uniq` looks each of them up in the list
MAX_BITS = 100_000  # of a whole number; Python prints none with more than 4,300 digits, some 14,300 bits
_GUARDED = frozenset({"replace", "replace_first", "replace_last", "join"})


def bounded(name: str, function: Callable[..., Any], spend: Callable[[int], None]) -> Callable[..., Any]:
    """A filter that does not make gigabytes of a small template, nor takes hours; `spend` is told what it costs."""

    @functools.wraps(function)
    def within(value: Any, *args: Any, **named: Any) -> Any:
        if isinstance(value, range) and len(value) > MAX_STEPS:
            raise FilterValueError(f"a range of more than {MAX_STEPS:,} numbers", token=None)
        if isinstance(value, (str, list, tuple, range)):
            spend(len(value) ** 2 // PAIRS_A_STEP if name == "uniq" else len(value) // CHARACTERS_A_STEP)
        if name == "times" and sum(one.bit_length() for one in (value, *args) if isinstance(one, int)) > MAX_BITS:
            raise FilterValueError("a number that is too large", token=None)
        if name in _GUARDED:
            times = (
                value.count(str(args[0])) if isinstance(value, str) and args else len(value) if hasattr(value, "__len__") else 0
            )
            if times * max((len(one) for one in args if isinstance(one, str)), default=0) > MAX_OUTPUT:
                raise FilterValueError(f"writes more than {MAX_OUTPUT:,} characters", token=None)
        return function(value, *args, **named)

    return within


def dated(function: Callable[..., Any], now: datetime) -> Callable[..., Any]:
    @functools.wraps(function)
    def date(value: Any, *args: Any, **named: Any) -> Any:
        return function(now if value in ("now", "today") else value, *args, **named)

    return date
