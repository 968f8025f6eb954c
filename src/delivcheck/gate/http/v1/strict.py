"""JSON bodies and texts of requests, read strictly: no name twice, nothing deep, no character that is none."""

import json
import re
from typing import Any, TypeVar

import msgspec
from fastapi import Request

from ..problem import Problem

MAX_DEPTH = 16  # of objects and lists in one another; ours have five

NO_TEXT = re.compile("[\0\ud800-\udfff]")  # neither mail nor a database has these
_SURROGATE = re.compile(rb"\\u(?:[dD][89a-fA-F]|0000)")
_MARK = re.compile(rb'["\[\]{}]')
_ENDS = re.compile(rb'["\\]')
_STEP = re.compile(r"\.([^.\[]+)|\[([0-9]+)\]|\[\.\.\.\]")

T = TypeVar("T")

JSON = "application/json"


class Invalid(Exception):  # noqa: N818 -- reads well in an except clause
    """It cannot be carried out: (JSON pointer, what is wrong) of every fault; `malformed`: it is no JSON at all."""

    def __init__(self, *errors: tuple[str, str], malformed: bool = False) -> None:
        super().__init__("; ".join(f"{at}: {said}" for at, said in errors))
        self.errors, self.malformed = errors, malformed

    def problem(self) -> Problem:
        """400 or 422."""
        return Problem(400 if self.malformed else 422, errors=self.errors)


async def body(request: Request, kind: type[T]) -> T:
    """The body of a request as a Struct. Raises Problem."""
    if (request.headers.get("content-type") or "").partition(";")[0].strip().lower() != JSON:
        raise Problem(415, f"{JSON} is taken here", headers={"Accept": JSON})
    try:
        return read(await request.body(), kind)
    except Invalid as invalid:
        raise invalid.problem() from None


def texts(**given: str | None) -> None:
    """Refuse what no database takes, in query parameters. Raises Problem."""
    for name, text in given.items():
        if text is not None and NO_TEXT.search(text):
            raise Problem(422, errors=[(f"query {name}", "a NUL, or half of a surrogate pair")])


def read(octets: bytes, kind: type[T]) -> T:
    """JSON (RFC 8259) as a value of this type. Raises Invalid."""
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid(("", f"no UTF-8 at octet {error.start}"), malformed=True) from None
    _check_depth(octets)
    try:
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number, parse_int=_number)
    except json.JSONDecodeError as error:
        raise Invalid(("", f"no JSON: {error.msg}, at character {error.pos}"), malformed=True) from None
    if _SURROGATE.search(octets):
        _check_text(found, "")
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        said, _, at = str(error).partition(" - at `")
        raise Invalid((_pointer(at.removesuffix("`")), said[:1].lower() + said[1:])) from None


def _check_depth(octets: bytes) -> None:
    """Refuse what is nested deeper than anything of ours, before a parser goes down there. Raises Invalid."""
    if octets.count(b"[") + octets.count(b"{") <= MAX_DEPTH:
        return
    depth, at = 0, 0
    while (found := _MARK.search(octets, at)) is not None:
        at = found.end()
        if found[0] == b'"':
            at = _behind_string(octets, at)
        elif found[0] in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise Invalid(("", f"nested more than {MAX_DEPTH} deep"), malformed=True)
        else:
            depth -= 1


def _behind_string(octets: bytes, at: int) -> int:
    """The place behind the string that begins before this one; the end where nothing closes it."""
    while (found := _ENDS.search(octets, at)) is not None:
        if found[0] == b'"':
            return found.end()
        at = found.end() + 1  # whatever is escaped
    return len(octets)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; a name that stands twice is the first to some readers and the last to others (RFC 8259 section 4)."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Invalid(("", "an object has the same name twice"), malformed=True)
    return found


def _no_number(_: str) -> Any:
    raise Invalid(("", "NaN and Infinity are no JSON"), malformed=True)


def _number(text: str) -> int | float:
    return int(text) if len(text) < 20 else float(text)  # what is longer is no number of ours, and would take long


def _check_text(value: Any, at: str) -> None:
    """Refuse characters that are none. Raises Invalid."""
    if isinstance(value, str):
        if NO_TEXT.search(value):
            raise Invalid((at, "a NUL, or half of a surrogate pair"))
    elif isinstance(value, dict):
        for name, one in value.items():
            _check_text(name, at)
            _check_text(one, f"{at}/{escaped(name)}")
    elif isinstance(value, list):
        for number, one in enumerate(value):
            _check_text(one, f"{at}/{number}")


def _pointer(path: str) -> str:
    """A path of msgspec's, `$.to[0].name`, as a JSON pointer."""
    return "".join(f"/{found[1] or found[2] or '*'}" for found in _STEP.finditer(path))


def escaped(name: str) -> str:
    """A name as a step of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")[:100]
