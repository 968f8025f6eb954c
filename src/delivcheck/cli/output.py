"""Where reports go: a format for stdout and any number of others for files, with colour only where somebody sees it."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import click

from .. import rulefiles
from ..model import Level, Report, Rule, TargetReport
from ..report import concise
from ..report.paint import MIN_COLUMNS, Paint
from ..report.repeats import Repeats
from ..report.text import Given, TextReport
from ..report.words import Exit
from .faults import OutputError, ReaderGone
from .formats import FOR_CI, output_target

if TYPE_CHECKING:
    from ..report.entries import Form, Setting


def paint(color: str, stream: Any = None) -> Paint:
    """How to write to a stream: --color before NO_COLOR before FORCE_COLOR before what the stream is (no-color.org)."""
    stream = stream or sys.stdout
    terminal = bool(getattr(stream, "isatty", bool)())
    if color == "auto":
        wanted = not os.environ.get("NO_COLOR") and (
            bool(os.environ.get("FORCE_COLOR")) or (terminal and os.environ.get("TERM") != "dumb")
        )
    else:
        wanted = color == "always"
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "").replace("_", "")
    return Paint(wanted, encoding == "utf8", shutil.get_terminal_size((MIN_COLUMNS, 24)).columns)


def write(text: str, colour: bool = False) -> None:
    """Put text on stdout; coloured text goes by rich, which knows the terminals that do not take escape sequences.

    Raises ReaderGone, OutputError.
    """
    if not text:
        return
    with _taken():
        if colour:
            from rich.console import Console
            from rich.text import Text

            body = text.rstrip("\n")  # of the line ends after it, some versions of rich lose one
            width = max(len(line) for line in text.split("\n")) + 1  # the lines are laid out already
            console = Console(file=sys.stdout, force_terminal=True, color_system="standard", no_color=False, width=width)
            console.print(Text.from_ansi(body), soft_wrap=True, end=text[len(body) :])
        else:
            sys.stdout.write(text)
        sys.stdout.flush()


def write_octets(octets: bytes) -> None:
    """Put octets on stdout. Raises ReaderGone, OutputError."""
    with _taken():
        sys.stdout.flush()
        sys.stdout.buffer.write(octets)
        sys.stdout.buffer.flush()


# DEL, the C1 controls (which some terminals obey in UTF-8, too) and bidirectional controls; JSON leaves them as they are.
_ACTING = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8e\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]")


def inert(octets: bytes) -> bytes:
    """The same JSON with nothing in it that a terminal obeys: such characters stand in strings alone, as their escapes."""
    return _ACTING.sub(lambda found: b"\\u%04x" % ord(found[0].decode()), octets)


@contextlib.contextmanager
def _taken() -> Iterator[None]:
    """What can go wrong with standard output that is no fault of ours."""
    if sys.stdout is None:
        raise ReaderGone
    try:
        yield
    except BrokenPipeError:
        raise ReaderGone from None
    except OSError as error:
        raise OutputError(f"standard output: {error.strerror or error}") from None


class Writer:
    """One format on its way to one place."""

    def known(self, target: TargetReport) -> None:
        """Take a target as soon as it is known, in any order."""

    def shown(self, target: TargetReport, given: Given) -> None:
        """Take a target when it and all before it are known."""

    def end(self, report: Report, code: Exit) -> None:
        """Take the run as a whole."""


class TextWriter(Writer):
    """The report for people. A single target waits for the end, since its head tells what the run cost."""

    def __init__(self, made: TextReport, put: Callable[[str], None], sink: Sink) -> None:
        self.made, self.put, self.sink = made, put, sink
        self.waiting: tuple[TargetReport, Given] | None = None

    def shown(self, target: TargetReport, given: Given) -> None:
        """Print, or keep the only one."""
        if self.made.single:
            self.waiting = (target, given)
        else:
            self.put(self.made.target(target, given))

    def end(self, report: Report, code: Exit) -> None:
        """Print the only one, and the closing lines."""
        if self.waiting is not None:
            self.put(self.made.target(*self.waiting, report))
        self.put(self.made.closing(report, code, exit_zero=self.sink.exit_zero))


class ConciseWriter(Writer):
    """A line a problem."""

    def __init__(self, put: Callable[[str], None], style: Paint) -> None:
        self.put, self.style = put, style
        self.repeats = Repeats()

    def shown(self, target: TargetReport, given: Given) -> None:  # noqa: ARG002 -- needs no source
        """Print the lines."""
        self.put(concise.target(self.repeats.without(target)[0], self.style))


class JsonWriter(Writer):
    """The whole run as one object."""

    def __init__(self, put: Callable[[bytes], None], *, every: bool) -> None:
        self.put, self.every = put, every

    def end(self, report: Report, code: Exit) -> None:  # noqa: ARG002 -- the exit code is the shell's
        """Print the object."""
        from .. import api  # the whole checker, without which stats, trace and others write as well

        self.put(inert(api.to_json(report, every_result=self.every)) + b"\n")


class LinesWriter(Writer):
    """A target a line, as soon as it is known."""

    def __init__(self, put: Callable[[bytes], None], *, every: bool) -> None:
        self.put, self.every = put, every

    def known(self, target: TargetReport) -> None:
        """Print the line."""
        from .. import api

        self.put(inert(api.to_json(target, every_result=self.every)) + b"\n")


class FormWriter(Writer):
    """A format for CI, written as targets come where it allows that. UTF-8, whatever the terminal."""

    def __init__(self, put: Callable[[bytes], None], form: Form) -> None:
        self.put, self.form = put, form
        self._begun = False

    def shown(self, target: TargetReport, given: Given) -> None:
        """Write what the format has of the target."""
        self._put(self.form.target(target, given.seconds))

    def end(self, report: Report, code: Exit) -> None:
        """Write what stands behind the targets."""
        self._put(self.form.closing(report, code))

    def _put(self, text: str) -> None:
        if not self._begun:
            self._begun = True
            text = self.form.opening() + text
        if text:
            self.put(text.encode("utf-8", "backslashreplace"))


SUMMARY = "GITHUB_STEP_SUMMARY"  # the file that GitHub shows on the page of a run, as Markdown


class Sink:
    """All writers of a run."""

    def __init__(self, given: Mapping[str, Any], policy: str, fail_on: Level | None) -> None:
        """Read the printing options. Raises UsageError."""
        self.format: str = given["format"]
        self.files = [output_target(text) for text in given["outputs"]]
        self._read = (*given.get("zones", ()), given.get("snapshot"), given.get("save_snapshot"), given.get("config"))
        self.verbosity = int(given["verbose"]) - int(given["quiet"])
        self.exit_zero: bool = given["exit_zero"]
        self.fail_on = fail_on
        self.policy = policy
        self.paint = paint(given["color"])
        self.single = True
        self.rules: dict[str, Rule] = {}  # the book of this run, house rules included
        self.before_writing: Callable[[], None] = lambda: None  # takes the progress line off the terminal
        self._opened: list[BinaryIO] = []

    def keep_off(self, inputs: Iterable[str | None]) -> None:
        """Refuse to write a report over what is read, or over another report. Raises UsageError."""
        # realpath: resolve() raises for links in a circle, which whoever reads them tells of.
        taken = {os.path.realpath(name) for name in (*inputs, *self._read) if name}
        for _, path in self.files:
            real = os.path.realpath(path)
            if real in taken and (path.is_file() or not path.exists()):  # /dev/null may be written to by all
                raise click.UsageError(
                    f"--output: {path}: something else is read from or written to it", click.get_current_context()
                )
            taken.add(real)

    @property
    def wants_the_number(self) -> bool:
        """Whether it matters if there is one target or several: to text alone, which then waits for a second one."""
        return "text" in {self.format, *(name for name, _ in self.files)}

    @property
    def keeps_every_result(self) -> bool:
        """Whether the end of the run needs what passed, too: only JSON with -v does."""
        return self.verbosity > 0 and "json" in {self.format, *(name for name, _ in self.files)}

    @cached_property
    def writers(self) -> list[Writer]:
        """The writers, files opened. Raises UsageError."""
        made = [self._writer(self.format, self.paint, self._to_stdout, self._octets_to_stdout)]
        for name, path in self.files:
            octets = self._to_file(path)
            made.append(self._writer(name, Paint(), lambda text, put=octets: put(text.encode()), octets))  # type: ignore[misc]
        summary = os.environ.get(SUMMARY)
        if summary and "github" in {self.format, *(name for name, _ in self.files)}:
            from ..report.markdown import MAX_SUMMARY, Markdown

            made.append(
                FormWriter(
                    self._to_file(Path(summary), "ab", f"the job summary ({SUMMARY})"), Markdown(self._setting, MAX_SUMMARY)
                )
            )
        return made

    @cached_property
    def _setting(self) -> Setting:
        """What the formats for CI rest on; the book of rules grows while files bring policies of their own."""
        from ..report.entries import Setting
        from .places import Disk

        return Setting(self.rules, Disk(), self.fail_on, self.policy)

    def close(self) -> None:
        """Close the files."""
        for file in self._opened:
            file.close()

    def _writer(self, name: str, style: Paint, put: Callable[[str], None], octets: Callable[[bytes], None]) -> Writer:
        every = self.verbosity > 0
        if name == "json":
            return JsonWriter(octets, every=every)
        if name == "jsonl":
            return LinesWriter(octets, every=every)
        if name == "concise":
            return ConciseWriter(put, style)
        if name in FOR_CI:
            form = getattr(importlib.import_module(f"...report.{name}", __name__), name.capitalize())
            return FormWriter(octets, form(self._setting))
        typed = ("delivcheck", *_typed(click.get_current_context()))
        made = TextReport(self.rules, self.policy, style, titles(), self.verbosity, self.single, self.fail_on, typed)
        return TextWriter(made, put, self)

    def _to_stdout(self, text: str) -> None:
        self.before_writing()
        write(text, self.paint.colour and self.format == "text")

    def _octets_to_stdout(self, octets: bytes) -> None:
        self.before_writing()
        write_octets(octets)

    def _to_file(self, path: Path, mode: Literal["wb", "ab"] = "wb", named: str = "--output") -> Callable[[bytes], None]:
        try:
            file: BinaryIO = path.open(mode)
        except OSError as error:
            raise click.UsageError(f"{named}: {path}: {error.strerror or error}", click.get_current_context()) from None
        self._opened.append(file)

        def put(octets: bytes) -> None:
            try:
                file.write(octets)
                file.flush()
            except OSError as error:
                raise OutputError(f"{path}: {error.strerror or error}") from None

        return put


def _typed(context: click.Context) -> list[str]:
    """The words of the command line as they were typed."""
    words = context.find_root().obj
    return list(words) if words is not None else [context.info_name or ""]


def titles() -> dict[str, str]:
    """The providers' names for people."""
    return {name: str(raw.get("title", name)) for name, raw in rulefiles.load()["providers"].items()}


def slim(target: TargetReport) -> TargetReport:
    """A target without what passed: all that the end of a long run has to remember."""
    from .. import api

    told: TargetReport = api.only_telling(target)
    return told
