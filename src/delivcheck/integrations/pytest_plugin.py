"""The pytest plugin: fixtures that hold messages against the rules, replay DNS, and take the mail that a test sends.

Every pytest run of an installation with delivcheck loads this module, so it imports nothing but pytest; the rest comes with the
first fixture that is used.
"""

import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..config import Config
    from ..model import Report
    from ..net.client import Client
    from .testing import SentMail
    from .testing.examine import Examined
    from .testing.octets import Outgoing
    from .testing.recording import Snapshots

MARKER = (
    "delivcheck(policy=None, stream=None, ignore=(), fail_on=None, snapshot=None): what holds for the mail of this test; "
    "ignore are rule ids or patterns, snapshot is a file of DNS answers beside the test file"
)
_MARKED = ("policy", "stream", "ignore", "fail_on", "snapshot")
_TALLY = ("checked", "offline")
_SUFFIX = ".dns.json"  # of a snapshot beside its test file: test_mail.py has test_mail.dns.json

_COUNTS = pytest.StashKey[dict[str, int]]()
_SNAPSHOTS: "pytest.StashKey[Snapshots]" = pytest.StashKey()
_WRITTEN = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the options; `pytest --help` shows them."""
    group = parser.getgroup("delivcheck", "delivcheck, for the mail that tests make")
    group.addoption(
        "--delivcheck-record",
        action="store_true",
        help="The fixture dns_snapshot asks live DNS, and its answers are kept in the snapshot files.",
    )
    group.addoption("--delivcheck-policy", metavar="NAME|FILE", help="The policy where a test names none.")
    group.addoption(
        "--delivcheck-fail-on",
        metavar="LEVEL",
        choices=("error", "warning", "note"),
        help="The lowest level that fails a test.",
    )
    parser.addini("delivcheck_policy", "The policy where a test names none (default: the configuration's, or transactional).")
    parser.addini("delivcheck_stream", "The stream of delivcheck's configuration that the mail of the tests belongs to.")
    parser.addini("delivcheck_ignore", "Ids or patterns of rules that may fail, one a line.", type="linelist")
    parser.addini("delivcheck_fail_on", "The lowest level that fails a test: error (the default), warning or note.")
    parser.addini("delivcheck_snapshot", "The DNS answers of all tests (default: TEST_FILE.dns.json beside each test file).")
    parser.addini("delivcheck_config", "delivcheck's configuration (default: found from the root of the project up).")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and begin to count."""
    config.addinivalue_line("markers", MARKER)
    config.stash[_COUNTS] = {name: -count for name, count in _tally().items()}  # a run inside a run has counted, too


# --- fixtures ----------------------------------------------------------------------------------------------------


@pytest.fixture
def deliverable(request: pytest.FixtureRequest) -> "Iterator[Deliverable]":
    """Fails the test unless a message would be sent; it is called with the message.

    It takes what delivcheck.testing.assert_deliverable takes: deliverable(message, policy=…, ignore=[…], …). What is not given
    comes from the marker delivcheck, the command line and the ini file, in this order. Offline, unless the test uses
    dns_snapshot or a snapshot is named.
    """
    made = Deliverable(request)
    yield made
    made.warn_of_idle()


@pytest.fixture
def dns_snapshot(request: pytest.FixtureRequest) -> "Client":
    """DNS answers from a file: that of the marker delivcheck, of the ini file, or TEST_FILE.dns.json beside the test file.

    With --delivcheck-record live DNS is asked, and the file is written.
    """
    from ..net.snapshot import SnapshotError

    config = request.config
    path = _Marked(request).snapshot or _beside(config, "delivcheck_snapshot") or request.path.with_suffix(_SUFFIX)
    if _SNAPSHOTS not in config.stash:
        from .testing.recording import Snapshots

        config.stash[_SNAPSHOTS] = Snapshots(record=config.getoption("delivcheck_record"))
    try:
        return config.stash[_SNAPSHOTS].client(path, _configuration(config))
    except SnapshotError as error:
        why = str(error) if path.exists() else f"{error} (--delivcheck-record makes one)"
    return pytest.fail(why, pytrace=False)


@pytest.fixture
def sent_mail(deliverable: "Deliverable") -> "Iterator[SentMail]":
    """The mail that the test sends by smtplib, aiosmtplib or Django, as a sequence; none of it leaves.

    sent_mail.assert_deliverable(…) holds all of it against the rules.
    """
    from .testing import capture

    with capture(deliverable.hold, "sent_mail") as mailbox:
        yield mailbox


class Deliverable:
    """The fixture: `assert_deliverable` with what the test's surroundings say."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        """Read the marker and the options."""
        self._request = request
        self._marked = marked = _Marked(request)
        config = request.config
        said = [
            *marked.chosen,
            (config.getoption("delivcheck_policy"), None),
            (config.getini("delivcheck_policy") or None, config.getini("delivcheck_stream") or None),
        ]
        self._chosen = next((one for one in said if any(one)), (None, None))
        self._fail_on = (
            marked.fail_on or config.getoption("delivcheck_fail_on") or config.getini("delivcheck_fail_on") or "error"
        )
        self._standing = (*marked.ignore, *config.getini("delivcheck_ignore"))
        self._idle: set[str] | None = None  # of the marker's patterns, those that had nothing to ignore in any call

    def __call__(
        self,
        message: Any,
        policy: str | None = None,
        ignore: Iterable[str] = (),
        *,
        mail_from: str | None = None,
        rcpt_to: Sequence[str] = (),
        **more: Any,
    ) -> "Report":
        """Fail unless the message would be sent; returns its report. As `delivcheck.testing.assert_deliverable`."""
        __tracebackhide__ = True
        from .testing.deliverable import enveloped
        from .testing.octets import outgoing

        taken = enveloped(outgoing(message), mail_from, rcpt_to)
        return self.hold([taken], policy, ignore, stacklevel=4, **more)

    def hold(
        self,
        messages: "Sequence[Outgoing]",
        policy: str | None = None,
        ignore: Iterable[str] = (),
        *,
        stream: str | None = None,
        dns: Any = None,
        fail_on: str | None = None,
        config: Any = None,
        stacklevel: int = 4,
    ) -> "Report":
        """The same for several."""
        __tracebackhide__ = True
        from .testing.deliverable import hold

        if policy is None and stream is None:
            policy, stream = self._chosen
        return hold(
            messages,
            policy,
            ignore,
            standing=self._standing,
            stream=stream,
            dns=self._dns() if dns is None else dns,
            fail_on=fail_on or self._fail_on,
            config=_configuration(self._request.config) if config is None else config,
            noticed=self._notice,
            stacklevel=stacklevel,
        )

    def warn_of_idle(self) -> None:
        """Warn of what the test's own marker ignores for nothing."""
        from .testing import UnusedIgnore

        for pattern in self._marked.own:
            if pattern in (self._idle or ()):
                at = self._request.node.location
                what = f"mark delivcheck: ignore: {pattern}: nothing to ignore here"
                warnings.warn_explicit(what, UnusedIgnore, str(self._request.path), at[1] + 1 if at[1] is not None else 1)

    def _dns(self) -> "Client | None":
        named = self._marked.snapshot or self._request.config.getini("delivcheck_snapshot")
        if named or "dns_snapshot" in self._request.fixturenames:
            client: Client = self._request.getfixturevalue("dns_snapshot")
            return client
        return None

    def _notice(self, examined: "Examined") -> None:
        self._idle = set(examined.idle) if self._idle is None else self._idle & examined.idle


class _Marked:
    """What the markers of a test say, the nearest first. `own` are patterns of the test's own marker, not of its class's."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        """Read them; one that says something else is a mistake."""
        self.chosen: list[tuple[str | None, str | None]] = []
        self.ignore: list[str] = []
        self.own: list[str] = []
        self.fail_on: str | None = None
        self.snapshot: Path | None = None
        for mark in request.node.iter_markers("delivcheck"):
            if mark.args or not mark.kwargs.keys() <= set(_MARKED):
                wrong = ", ".join([*map(repr, mark.args), *(name for name in mark.kwargs if name not in _MARKED)])
                raise pytest.UsageError(f"mark delivcheck: it takes {', '.join(_MARKED)} by name, not {wrong}")
            said = mark.kwargs
            ignored = said.get("ignore", ())
            patterns = [ignored] if isinstance(ignored, str) else list(ignored)
            self.chosen.append((said.get("policy"), said.get("stream")))
            self.ignore += patterns
            self.own += patterns if mark in request.node.own_markers else []
            self.fail_on = self.fail_on or said.get("fail_on")
            if self.snapshot is None and "snapshot" in said:
                self.snapshot = request.path.parent / said["snapshot"]


def _beside(config: pytest.Config, name: str) -> Path | None:
    """The path that an ini option names, from the folder of the ini file."""
    named = config.getini(name)
    return (config.inipath.parent if config.inipath else config.rootpath) / named if named else None


def _configuration(config: pytest.Config) -> "Config":
    """The configuration of delivcheck itself. Raises ConfigError."""
    from .. import config as configuration

    named = _beside(config, "delivcheck_config")
    return configuration.discover(None if named is None else str(named), config.rootpath)


# --- failures ------------------------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: "pytest.CallInfo[None]") -> Any:
    """Where pytest colours, the findings have the colours of the command line."""
    report = yield
    error = call.excinfo.value if call.excinfo is not None else None
    text = getattr(error, "text", None)
    if type(error).__name__ == "NotDeliverable" and callable(text) and not hasattr(item.config, "workerinput"):
        _paint(report.longrepr, text(colour=True))
    return report


def _paint(longrepr: Any, text: str) -> None:
    """Show `text` for the lines of the failure, on terminals with colours; files and pytest-xdist keep the plain ones."""
    entries = getattr(getattr(longrepr, "reprtraceback", None), "reprentries", None)
    if not entries or type(entries[-1]).__name__ != "ReprEntry":
        return

    kind: Any = type(entries[-1])  # pytest's own, which has no public name

    class Painted(kind):  # type: ignore[misc] # see above
        lines: list[str]

        def _write_entry_lines(self, tw: Any) -> None:
            whole = self.lines
            plain = [number for number, line in enumerate(whole) if line.startswith("E   ")]
            if not tw.hasmarkup or not plain:
                super()._write_entry_lines(tw)
                return
            self.lines = whole[: plain[0]]
            super()._write_entry_lines(tw)
            self.lines = whole
            name, _, _ = whole[plain[0]].partition(": ")
            margin = name[: name.find(name.split()[1])]  # "E" and the indent of the source line that failed
            first, *rest = text.split("\n")
            tw.line(f"{name}: {first}")
            for line in rest:
                tw.line(f"{margin}{line}")

    entries[-1].__class__ = Painted


# --- the end of a run --------------------------------------------------------------------------------------------


def _tally() -> dict[str, int]:
    """What this process has checked; nothing is imported to find out."""
    module = sys.modules.get("delivcheck.integrations.testing.deliverable")
    return {name: module.tally[name] if module is not None else 0 for name in _TALLY}


def _add(config: pytest.Config, counts: dict[str, int], recorded: dict[str, str]) -> None:
    """Add what a process has done, and write what it has recorded: this one alone writes files."""
    for name, count in counts.items():
        config.stash[_COUNTS][name] += count
    if recorded:
        from ..net.snapshot import SnapshotError
        from .testing.recording import write

        written = config.stash.setdefault(_WRITTEN, [])
        for path, text in recorded.items():
            try:
                written.append(f"{path}: {write(Path(path), text)} DNS answers")
            except SnapshotError as error:
                written.append(f"not recorded: {error}")


def _done(config: pytest.Config) -> dict[str, str]:
    return config.stash[_SNAPSHOTS].recorded() if _SNAPSHOTS in config.stash else {}


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a process of pytest-xdist has done."""
    said = getattr(node, "workeroutput", {}).get("delivcheck")
    if said is not None:
        _add(node.config, *said)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write down, or hand on, what this process has done."""
    config = session.config
    output = getattr(config, "workeroutput", None)
    if output is None:
        _add(config, _tally(), _done(config))
        return
    counts = {name: count + config.stash[_COUNTS][name] for name, count in _tally().items()}
    output["delivcheck"] = (counts, _done(config))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say once what was not asked, and what was recorded."""
    counts = config.stash[_COUNTS]
    for line in config.stash.get(_WRITTEN, []):
        terminalreporter.write_line(f"delivcheck: {line}")
    if counts["offline"] > 0 and config.get_verbosity() >= 0:
        terminalreporter.write_line(
            f"delivcheck: {counts['checked']} checked, {counts['offline']} of them offline: rules that ask DNS did not run"
        )
