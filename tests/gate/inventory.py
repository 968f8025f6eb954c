"""The inventory of attacks and faults that the gate must survive, and which tests stand for each.

    python -m tests.gate.inventory            # number, title, how many tests in which module; what lacks one
    python -m tests.gate.inventory --names    # and each test by its name
    python -m tests.gate.inventory --run      # and runs them: passed, failed or skipped, number by number (--run --soak: in full)

The table goes to standard output, and what pytest says to standard error. A test says what it stands for with
`@pytest.mark.attack(14, 15)`.
"""

import argparse
import contextlib
import io
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WHERE = ("tests/gate", "tests/soak", "tests/cli", "tests/net")

TITLES = {
    1: "bare line ends around a dot never end DATA",
    2: "CR CRLF and NUL around the dot neither",
    3: "what goes upstream has no bare CR or LF and is dot-stuffed",
    4: "BDAT with bare line ends",
    5: "BDAT after a refusal, BDAT sizes, LAST twice",
    6: "DATA after BDAT",
    7: "leading dots, lone dots, lines of 998 octets and more",
    8: "a line of 100 MB",
    9: "command lines and AUTH lines that are too long",
    10: "command lines that end in a bare LF",
    11: "NUL, control characters and 8-bit octets in commands",
    12: "talk before the banner, bad pipelining",
    13: "HTTP at the SMTP port",
    14: "junk commands, floods of NOOP, RSET, VRFY",
    15: "CR, LF, NUL, DEL inside quoted local parts",
    16: "source routes, null recipient, two @, literals, very long addresses, homographs",
    17: "injection by ESMTP parameters",
    18: "the limit on recipients",
    19: "the null sender where policy allows it",
    20: "a sender that the credential does not own",
    21: "commands injected after STARTTLS",
    22: "state from before STARTTLS is forgotten",
    23: "no AUTH before TLS",
    24: "STARTTLS twice, in a transaction, on implicit TLS",
    25: "our client: injected replies, stripped STARTTLS, wrong certificates",
    26: "guessing passwords, AUTH at the wrong time and in odd forms",
    27: "which users there are is not told",
    28: "TLS versions, renegotiation, handshakes without end",
    29: "PROXY, XCLIENT, XFORWARD from those not listed",
    30: "very many, very long, very folded header fields",
    31: "malformed header names and values",
    32: "very deep, very wide, ambiguous MIME",
    33: "input for quadratic parsers",
    34: "encoding bombs and archive bombs",
    35: "hostile HTML, entities, SVG and XML",
    36: "input for slow regular expressions",
    37: "duplicate and ambiguous author and content fields",
    38: "forged Authentication-Results and X-Delivcheck fields",
    39: "control characters and % in our replies and logs",
    40: "attachment names, RFC 2231 and plain",
    41: "8-bit and UTF-8 mail before a next hop without the extension",
    42: "header fields named like attributes",
    43: "broken milter packets",
    44: "many messages, ABORT, QUIT_NC: no state leaks",
    45: "an MTA that offers less",
    46: "milter replies that could break the dialogue",
    47: "slow clients, idle clients",
    48: "floods of connections, no descriptors left",
    49: "a client that leaves at any octet",
    50: "the next hop is down, refuses, says 421",
    51: "the next hop dies during DATA",
    52: "the next hop dies after the dot",
    53: "we die after the next hop's 250",
    54: "the next hop is slow",
    55: "garbage from the next hop",
    56: "a reply is never taken for another message's",
    57: "disk full, read-only, fsync fails",
    58: "the database is locked or corrupt",
    59: "DNS faults and floods",
    60: "the clock jumps",
    61: "SIGTERM and SIGHUP during messages",
    62: "one key, two payloads; one key at the same time",
    63: "open relay probes",
    64: "loops",
    65: "webhooks to private addresses, replayed webhooks",
    66: "forged tracking links",
    67: "hostile requests to the HTTP API",
    68: "log injection, secrets in logs",
    69: "normal forms of addresses on the suppression list",
    70: "a rule that exits, hangs or takes all memory",
}


@dataclass(eq=False)  # plugins of pytest are hashed
class Found:
    """The tests of each number, by the function's place; their parameters are counted."""

    tests: dict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    marks: dict[str, set[int]] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)  # by the reason

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.note(items)
        items[:] = [item for item in items if item.nodeid in self.marks]

    def note(self, items: Iterable[pytest.Item]) -> None:
        """Note what these stand for."""
        for item in items:
            numbers = {number for mark in item.iter_markers("attack") for number in mark.args}
            if not numbers:
                continue
            self.marks[item.nodeid] = numbers
            for number in numbers:
                self.tests[number][item.nodeid.partition("[")[0]] += 1

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[report.nodeid] = report.outcome
        if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
            self.skipped[report.longrepr[2].removeprefix("Skipped: ")] += 1

    def lacking(self) -> list[int]:
        """The numbers that no test stands for."""
        return [number for number in TITLES if not self.tests.get(number)]

    def unknown(self) -> list[int]:
        """Numbers that tests name and the inventory does not."""
        return [number for number in self.tests if number not in TITLES]


def collected() -> Found:
    """Every test that names an attack, not run."""
    found = Found()
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = pytest.main([*_options(), "--collect-only", "-q"], plugins=[found])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise SystemExit(said.getvalue())
    return found


def run(arguments: Iterable[str]) -> Found:
    """The same, run in this process."""
    found = Found()
    with contextlib.redirect_stdout(sys.stderr):
        code = pytest.main([*_options(), "-q", *arguments], plugins=[found])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise SystemExit(f"pytest ended with {code!r}")
    return found


def _options() -> list[str]:
    return [
        *(str(ROOT / one) for one in WHERE),
        "--rootdir",
        str(ROOT),
        "-n",
        "0",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
    ]


def table(found: Found, *, names: bool = False) -> str:
    """For people; Markdown takes it as it is. `names`: each test's, where else its module is enough."""
    ran = bool(found.outcomes)
    lines = [
        "| no. | attack or fault | tests |" + (" result |" if ran else ""),
        "| --- | --- | --- |" + (" --- |" if ran else ""),
    ]
    for number, title in TITLES.items():
        said = _tests(found.tests.get(number, Counter()), names=names)
        lines.append(f"| {number} | {title} | {said or '**none**'} |" + (f" {_result(found, number)} |" if ran else ""))
    lacking = ", ".join(map(str, found.lacking())) or "none"
    total = sum(sum(tests.values()) for tests in found.tests.values())
    lines += ["", f"{len(found.marks)} tests, named {total} times; numbers without a test: {lacking}."]
    if found.skipped:
        lines.append("Skipped: " + "; ".join(f"{count} ({reason})" for reason, count in found.skipped.most_common()) + ".")
    return "\n".join(lines)


def _tests(tests: Counter[str], *, names: bool) -> str:
    if names:
        return "<br>".join(f"`{name}`{f' ×{count}' if count > 1 else ''}" for name, count in sorted(tests.items()))
    modules: Counter[str] = Counter()
    for name, count in tests.items():
        modules[name.partition("::")[0].removeprefix("tests/").removesuffix(".py")] += count
    return ", ".join(f"`{name}` {count}" for name, count in sorted(modules.items()))


def _result(found: Found, number: int) -> str:
    outcomes = Counter(found.outcomes.get(test, "not run") for test, numbers in found.marks.items() if number in numbers)
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gate.inventory", description=__doc__.partition("\n")[0])
    parser.add_argument("--run", action="store_true", help="run the tests; what follows goes to pytest (--soak)")
    parser.add_argument("--names", action="store_true", help="name each test, not only its module")
    given, rest = parser.parse_known_args()
    os.chdir(ROOT)
    found = run(rest) if given.run else collected()
    sys.stdout.write(table(found, names=given.names) + "\n")
    return 1 if found.lacking() or found.unknown() or "failed" in found.outcomes.values() else 0


if __name__ == "__main__":
    sys.exit(main())
