"""Authentication-Results (RFC 8601): what a receiver says it found."""

import re

from msgspec import Struct

from .lexer import HeaderError, Lexer

MAX_UNREAD = 20  # results that a lenient reader passes over; receivers write some ten results in all

_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_VALUE = re.compile(r'[^\s;()"]+')
_NUMBER = re.compile(r"[0-9]+")
_NONE = re.compile(r"none\b(?!\s*[=/])", re.IGNORECASE)  # RFC 8601 section 2.2: no-result
_REST = re.compile(r"[^;]*")


class Property(Struct, frozen=True):
    """One `ptype.property=value`, for example smtp.mailfrom or header.d; names in lower case."""

    ptype: str
    name: str
    value: str
    span: tuple[int, int]


class MethodResult(Struct, frozen=True):
    """One method and what came out; `method` and `result` in lower case. `comments` are those inside this result."""

    method: str
    result: str
    span: tuple[int, int]
    version: int | None = None
    reason: str | None = None
    properties: tuple[Property, ...] = ()
    comments: tuple[str, ...] = ()

    def get(self, name: str) -> str | None:
        """The value of a property by its full name: `get("header.d")`."""
        return next((each.value for each in self.properties if f"{each.ptype}.{each.name}" == name), None)


class AuthenticationResults(Struct, frozen=True):
    """One field. `authserv_id` is "" where it is missing, as in what Microsoft 365 adds inside its own network."""

    authserv_id: str
    results: tuple[MethodResult, ...]
    version: int | None = None
    unread: tuple[HeaderError, ...] = ()  # results that do not follow the grammar, where the reader was told to pass them over

    def of(self, method: str) -> tuple[MethodResult, ...]:
        """The results of one method."""
        return tuple(each for each in self.results if each.method == method)


def parse_authentication_results(value: str, *, lenient: bool = False) -> AuthenticationResults:
    """Read the field by RFC 8601 section 2.2. Raises HeaderError.

    Two liberties, both seen from large receivers: the authserv-id may be missing, and a property's value may be any text
    without white space or semicolon (header.b=ab/+, smtp.mailfrom=<>). A `lenient` reader passes over a result that cannot be
    read, up to the next semicolon, and keeps the error in `unread`; then only a field without any beginning raises.
    """
    lexer = Lexer(value)
    unread: list[HeaderError] | None = [] if lenient else None
    lexer.cfws()
    start = lexer.pos
    authserv_id, version = _value(lexer), None
    lexer.cfws()
    if "=" in authserv_id or lexer.next == "=":
        lexer.pos = start
        authserv_id = ""
        results = _some(lexer, unread)
    else:
        if not authserv_id:
            lexer.fail("there is no authserv-id")
        number = lexer.take(_NUMBER)
        version = int(number[0][:9]) if number else None
        results = []
    lexer.cfws()
    while not lexer.done:
        if unread is None or lexer.next == ";":
            lexer.expect(";", "a semicolon should stand before each result")
        lexer.cfws()
        if lexer.done:
            break
        if lexer.take(_NONE) is None:
            results += _some(lexer, unread)
        if unread is None:
            lexer.cfws()
    return AuthenticationResults(authserv_id, tuple(results), version, tuple(unread or ()))


def _some(lexer: Lexer, unread: list[HeaderError] | None) -> list[MethodResult]:
    """The next result. A lenient reader, which has a list for errors, goes on behind the next semicolon."""
    try:
        return [_result(lexer)]
    except HeaderError as error:
        if unread is None or len(unread) >= MAX_UNREAD:
            raise
        unread.append(error.with_traceback(None))
        lexer.take(_REST)
        return []


def _value(lexer: Lexer) -> str:
    start = lexer.pos
    if lexer.next == '"':
        text = lexer.quoted()
        if lexer.next != "@":
            return text  # else a quoted local part: kept as written
    found = lexer.take(_VALUE)
    return lexer.text[start : lexer.pos] if found else ""


def _keyword(lexer: Lexer, what: str) -> str:
    found = lexer.take(_KEYWORD)
    if found is None:
        lexer.fail(f"the {what} is missing")
    return found[0].lower()


def _result(lexer: Lexer) -> MethodResult:
    """Method [ "/" version ] "=" result, then reason and properties."""
    start, before = lexer.pos, len(lexer.comments)
    method, version = _keyword(lexer, "method"), None
    lexer.cfws()
    if lexer.next == "/":
        lexer.pos += 1
        lexer.cfws()
        number = lexer.take(_NUMBER)
        if number is None:
            lexer.fail("the version of the method is missing")
        version = int(number[0][:9])
        lexer.cfws()
    lexer.expect("=", "an = should follow the method")
    lexer.cfws()
    result = _keyword(lexer, "result")
    end = lexer.pos
    lexer.cfws()
    reason, properties = None, []
    while not lexer.done and lexer.next != ";":
        at = lexer.pos
        name = _keyword(lexer, "property")
        lexer.cfws()
        lexer.expect("=", "an = should follow the property")
        lexer.cfws()
        value = _value(lexer)
        end = lexer.pos
        if name == "reason":
            reason = value
        else:
            ptype, _, rest = name.partition(".")
            properties.append(Property(ptype, rest, value, (at, end)))
        lexer.cfws()
    return MethodResult(method, result, (start, end), version, reason, tuple(properties), tuple(lexer.comments[before:]))
