"""sendmail(8)'s command line as real callers write it, and our own options in front of it.

Options end at the first recipient, as in sendmail's and Postfix's own (POSIX getopt). What names a queue, a log or another
configuration (-X, -C, -O, -q) is taken and does nothing, or is refused: mail programs pass on text of strangers here
(CVE-2016-10033). For the same reason our own options count only before the first of sendmail's: there the administrator writes.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

OWN = ("config", "policy", "stream", "mode", "on-unknown", "next-hop")  # --NAME VALUE, or DELIVCHECK_NAME in the environment

_WITH_VALUE = frozenset("ABCDFLMNOQRVXbefhopr")
_MAYBE_VALUE = frozenset("dq")  # only where it stands in the same word: -d0.1, -q30m
_FLAGS = frozenset("GIUTcimnstvx")
_QUEUE = "there is no queue here: mail is handed on at once, or not at all"
_MODES = {  # -b
    "p": _QUEUE,
    "i": "there is no alias database here",
    "d": "it is no daemon: the gate is (delivcheck gate)",
    "D": "it is no daemon: the gate is (delivcheck gate)",
}
_CONDITIONS = frozenset({"never", "success", "failure", "delay"})
_RETURN = {"full": "FULL", "hdrs": "HDRS"}
_BODY = frozenset({"7BIT", "8BITMIME"})


class UsageError(Exception):
    """A command line that cannot be carried out; one line that says why."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What was asked for. `sender` None: nothing said; "": the null sender. `own` are our own options by name."""

    recipients: tuple[str, ...] = ()
    sender: str | None = None  # -f, -r
    full_name: str | None = None  # -F
    from_header: bool = False  # -t: the recipients stand in the message
    dot_ends: bool = True  # without -i
    smtp: bool = False  # -bs
    notify: tuple[str, ...] = ()  # -N, of NEVER, SUCCESS, FAILURE, DELAY
    ret: str | None = None  # -R: FULL, HDRS
    envid: str | None = None  # -V
    body: str | None = None  # -B: 7BIT, 8BITMIME; a hint, the message itself is looked at
    verbose: bool = False  # -v
    own: Mapping[str, str] = field(default_factory=dict)


def parse(argv: Sequence[str], environment: Mapping[str, str]) -> Arguments:
    """Read the words behind `delivcheck sendmail`. Raises UsageError."""
    own, rest = _own(argv)
    for name in OWN:
        if value := environment.get(f"DELIVCHECK_{name.upper().replace('-', '_')}"):
            own.setdefault(name, value)
    said = _Said()
    words = iter(rest)
    recipients: list[str] = []
    for word in words:
        if word == "--":
            recipients += words
        elif word == "-" or not word.startswith("-"):
            recipients += [word, *_no_options(words)]
        elif word.startswith("--"):
            raise UsageError(f"{word}: our own options stand before those of sendmail")
        else:
            for letter, value in _cluster(word, words):
                said.take(letter, value)
    return Arguments(recipients=tuple(recipients), own=own, **said.values)


def _own(argv: Sequence[str]) -> tuple[dict[str, str], Sequence[str]]:
    """Our own options, and what comes behind them."""
    found: dict[str, str] = {}
    at = 0
    while at < len(argv) and argv[at].startswith("--") and argv[at] != "--":
        name, equals, value = argv[at][2:].partition("=")
        if name not in OWN:
            raise UsageError(f"--{name}: no such option; there are {', '.join(f'--{one}' for one in OWN)}")
        if not equals:
            at += 1
            if at == len(argv):
                raise UsageError(f"--{name}: its value is missing")
            value = argv[at]
        found[name] = value
        at += 1
    return found, argv[at:]


def _cluster(word: str, words: Iterator[str]) -> Iterator[tuple[str, str]]:
    """The options of one word: -ti, -fADDRESS, -f ADDRESS."""
    at = 1
    while at < len(word):
        letter, rest = word[at], word[at + 1 :]
        if letter in _WITH_VALUE:
            value = rest or next(words, None)
            if value is None:
                raise UsageError(f"-{letter}: its value is missing")
            yield letter, value
            return
        if letter in _MAYBE_VALUE:
            yield letter, rest
            return
        if letter not in _FLAGS:
            raise UsageError(f"-{letter}: no such option")
        yield letter, ""
        at += 1


def _no_options(words: Iterator[str]) -> Iterator[str]:
    """The words behind the first recipient."""
    for word in words:
        if word == "--":
            yield from words
        elif len(word) > 1 and word.startswith("-"):
            raise UsageError(f"{word}: options stand before the recipients")
        else:
            yield word


class _Said:
    """Collects the fields of Arguments, option by option; of an option that comes twice the last one holds."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def take(self, letter: str, value: str) -> None:
        """One option. Those that are not named here do nothing."""
        match letter:
            case "f" | "r":
                self.values["sender"] = "" if value.strip() == "<>" else value
            case "F":
                self.values["full_name"] = _name(value)
            case "t":
                self.values["from_header"] = True
            case "i":
                self.values["dot_ends"] = False
            case "o" if value.startswith("i"):
                self.values["dot_ends"] = False
            case "O" if re.fullmatch(r"IgnoreDots(?:=?[Tt].*)?", value):
                self.values["dot_ends"] = False
            case "v":
                self.values["verbose"] = True
            case "b":
                self._mode(value)
            case "N":
                self.values["notify"] = _notify(value)
            case "R":
                if value.lower() not in _RETURN:
                    raise UsageError("-R: full or hdrs")
                self.values["ret"] = _RETURN[value.lower()]
            case "V":
                if not re.fullmatch(r"[\x21-\x7e]{1,100}", value):  # RFC 3461 section 4.4
                    raise UsageError("-V: an envelope id is printable ASCII without blanks, 100 characters at most")
                self.values["envid"] = value
            case "B":
                if value.upper() not in _BODY:
                    raise UsageError("-B: 7BIT or 8BITMIME")
                self.values["body"] = value.upper()
            case "q":
                raise UsageError(f"-q: {_QUEUE}")
            case "I":
                raise UsageError(f"-I: {_MODES['i']}")

    def _mode(self, value: str) -> None:
        if value not in {"m", "s"}:
            raise UsageError(f"-b{value}: {_MODES.get(value, 'only -bm and -bs are known here')}")
        self.values["smtp"] = value == "s"


def _name(value: str) -> str:
    """What may stand in From. Raises UsageError."""
    name = os.fsencode(value).decode("utf-8", "replace")
    if not name.isprintable():
        raise UsageError("-F: a control character stands in the name")
    return name.strip()


def _notify(value: str) -> tuple[str, ...]:
    """RFC 3461 section 4.1: never, or any of the others."""
    words = tuple(dict.fromkeys(word.strip().lower() for word in value.split(",")))
    if not set(words) <= _CONDITIONS or ("never" in words and len(words) > 1):
        raise UsageError("-N: never, or a list of success, failure, delay")
    return tuple(word.upper() for word in words)
