"""The daemon's side of the protocol that `delivcheck.hook` describes: lines into a request, a ruling into octets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..hook import MAX_LINE, VERSION, ProtocolError, escaped, unescaped
from .case import Case
from .ruling import Ruling
from .settings import MAX_DEADLINE

_NO_REPORT = Case(b"", "", report=False)
_CONTROL = bytes((*range(32), 127))


@dataclass(frozen=True, slots=True)
class Request:
    """What a client says of a message whose octets are still to come; `deadline` in seconds, None where it has none."""

    case: Case
    deadline: float | None = None


def length(line: bytes) -> int:
    """The octets that the first line of a request announces. Raises ProtocolError."""
    word, blank, number = line.partition(b" ")
    if word != VERSION.encode() or not blank:
        raise ProtocolError(f"not {VERSION}: {line[:60]!r}")
    if not number.isdigit() or len(number) > 12:
        raise ProtocolError(f"not a number of octets: {number[:60]!r}")
    return int(number)


def request(lines: Sequence[bytes]) -> Request:
    """What the lines after the first say. Raises ProtocolError."""
    made, once, rcpt_to, rules = Request(_NO_REPORT), set(), [], []
    for line in lines:
        name, colon, rest = line.partition(b": ")
        if not colon or len(line) > MAX_LINE or not _is_plain(rest):
            raise ProtocolError(f"not a line of a request: {line[:60]!r}")
        value = unescaped(rest)
        if name == b"rcpt-to":
            rcpt_to.append(value)
        elif name == b"rule":
            rules.append(_rule(value))
        elif name not in _ONCE:
            raise ProtocolError(f"nothing of a request is called {name[:60]!r}")
        elif name in once:
            raise ProtocolError(f"{name.decode()} comes twice")
        else:
            once.add(name)
            made = _ONCE[name](made, value)
    return replace(made, case=replace(made.case, rcpt_to=tuple(rcpt_to), rules=tuple(rules)))


def answer(ruling: Ruling) -> bytes:
    """A ruling as a client reads it."""
    head = " ".join((ruling.wanted, ruling.verdict, str(ruling.code), ruling.enhanced or "-", ruling.trace))
    said = {"text": ruling.text, "rules": " ".join(ruling.rules), "reason": ruling.reason}
    lines = [escaped(head), *(b"%s: %s" % (name.encode(), escaped(value)) for name, value in said.items() if value)]
    if ruling.bypass is not None:
        lines.append(b"bypass: " + escaped(ruling.bypass))
    if ruling.octets:
        lines.append(b"report: %d" % len(ruling.octets))
    return b"\n".join([*lines, b"", ruling.octets])


def error(what: str) -> bytes:
    """What is said before a connection is closed."""
    return b"error " + escaped(what) + b"\n"


# --- values ----------------------------------------------------------------------------------------------------------


def _is_plain(octets: bytes) -> bool:
    """Whether nothing stands there that is to be escaped: a client that does not will one day send a newline, too."""
    return len(octets.translate(None, _CONTROL)) == len(octets)


def _rule(value: str) -> tuple[str, str]:
    pattern, equals, level = value.rpartition("=")
    if not equals:
        raise ProtocolError(f"rule: ID=LEVEL, not {value[:60]!r}")
    return pattern, level


def _flag(name: str, value: str) -> bool:
    if value not in {"yes", "no"}:
        raise ProtocolError(f"{name}: yes or no, not {value[:60]!r}")
    return value == "yes"


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < MAX_DEADLINE:
        raise ProtocolError(f"deadline: seconds above 0 and below {MAX_DEADLINE:g}, not {value[:60]!r}")
    return seconds


def _of_case(name: str) -> Callable[[Request, str], Request]:
    def said(made: Request, value: str) -> Request:
        changed: Mapping[str, Any] = {name: value}
        return replace(made, case=replace(made.case, **changed))

    return said


def _flag_of_case(name: str, wire_name: str) -> Callable[[Request, str], Request]:
    def said(made: Request, value: str) -> Request:
        changed: Mapping[str, Any] = {name: _flag(wire_name, value)}
        return replace(made, case=replace(made.case, **changed))

    return said


_ONCE: Mapping[bytes, Callable[[Request, str], Request]] = {
    b"mail-from": _of_case("mail_from"),
    b"stream": _of_case("stream"),
    b"policy": _of_case("policy"),
    b"class": _of_case("message_class"),
    b"signed-later": _flag_of_case("signed_later", "signed-later"),
    b"smtputf8": _flag_of_case("smtputf8", "smtputf8"),
    b"report": _flag_of_case("report", "report"),
    b"deadline": lambda made, value: replace(made, deadline=_seconds(value)),
}
