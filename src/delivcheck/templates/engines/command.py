"""`render = "npm run export"`: what no engine here can render is rendered by the user's own command.

The command stands in the configuration, which is the user's; a template never says what is run. It runs without a shell in
the configuration's folder. What it made knows nothing of the template's lines: places are found by like text, and are near.
"""

import contextlib
import json
import os
import re
import selectors
import shlex
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...model import Where
from ..model import Piece, Rendered, Source, Sources, TemplateFault, Variable
from ..sources import MAX_OCTETS, read, text_of

TIMEOUT = 120.0  # seconds: a cold `npm run` with a bundler takes some tens
MAX_STDERR = 64_000  # octets of its errors that are kept, the last ones
MAX_SAID = 300  # characters of them that are told
MAX_BUILT = 20_000  # files below an output folder that are looked at

TEMPLATE, DATA, STEM = "{template}", "{data}", "{stem}"


@dataclass(frozen=True, slots=True)
class _Ended:
    """How a command ended: None for the code of one that was stopped, and why."""

    code: int | None
    stdout: bytes
    stderr: bytes
    stopped: str = ""


class Command:
    """An engine that is a command: arguments, or one line that is split as a shell would split it.

    `{template}` stands for the template's path, `{data}` for that of a JSON file, `{stem}` for the template's name without
    suffixes. A command without `{template}` has the template on its standard input. What it prints is the rendered text, or
    else `output` is: a file, with `{stem}`, or a folder in which the file of that name is looked for. A command that names
    none of them and writes to `output` renders everything at once and is run once.
    """

    name = "command"

    def __init__(
        self, command: Sequence[str] | str, folder: Path, output: str | None = None, *, timeout: float = TIMEOUT
    ) -> None:
        """Take what the configuration says; nothing runs yet."""
        self.command, self.folder, self.output, self.timeout = command, folder, output, timeout
        self._ended: TemplateFault | bool = False  # of a command that renders everything: done, or why not

    def variables(self, source: Source, sources: Sources) -> tuple[Variable, ...]:
        """None are known."""
        del source, sources
        return ()

    def render(self, source: Source, data: Mapping[str, Any], sources: Sources, *, html: bool) -> Rendered:
        """Run it, and read what it made. Raises TemplateFault."""
        del sources, html
        words = self._words(source)
        if self.output is not None and not any(mark in word for word in words for mark in (TEMPLATE, DATA, STEM)):
            self._once(words, source, data)
            text = self._built(source)
        else:
            printed = self._run(words, source, data)
            text = self._built(source) if self.output is not None else self._printed(words, printed, source)
        if not text.strip():
            what = "printed nothing" if self.output is None else "wrote an empty file"
            raise _fault(f"{self._shown(words)} {what}", source)
        return Rendered(text, tuple(alike(source, text)), {source.name: source})

    def _words(self, source: Source) -> list[str]:
        try:
            words = shlex.split(self.command) if isinstance(self.command, str) else list(self.command)
        except ValueError as error:
            raise _fault(f"the render command: {str(error).lower()}", source) from None
        if not words or not words[0]:
            raise _fault("the render command is empty", source)
        return words

    @staticmethod
    def _shown(words: Sequence[str]) -> str:
        shown = " ".join(shlex.join(words).split())
        return shown if len(shown) <= 60 else f"{shown[:60]}…"

    def _printed(self, words: Sequence[str], octets: bytes, source: Source) -> str:
        try:
            return text_of(octets, f"what {self._shown(words)} printed")
        except TemplateFault as fault:
            raise _fault(fault.message, source) from None

    # --- running

    def _once(self, words: Sequence[str], source: Source, data: Mapping[str, Any]) -> None:
        if self._ended is False:
            try:
                self._run(words, source, data)
                self._ended = True
            except TemplateFault as fault:
                self._ended = fault
        if isinstance(self._ended, TemplateFault):
            raise TemplateFault(self._ended.message, self._ended.where)

    def _run(self, words: Sequence[str], source: Source, data: Mapping[str, Any]) -> bytes:
        with tempfile.TemporaryDirectory(prefix="delivcheck-") as made:
            template = source.path.resolve() if source.path is not None else Path(made, "template")
            given, values = Path(made, "stdin"), Path(made, "data.json")
            octets = source.text.encode("utf-8", "surrogatepass")
            for path in {given, template} if source.path is None else {given}:
                path.write_bytes(octets)
            values.write_text(json.dumps(data, default=str), encoding="utf-8")
            told = {TEMPLATE: str(template), DATA: str(values), STEM: _stem(source)}
            arguments = [_filled(word, told) for word in words]
            with (given if not any(TEMPLATE in word for word in words) else Path(os.devnull)).open("rb") as stdin:
                try:
                    ended = _ended(arguments, self.folder, stdin.fileno(), self.timeout)
                except (OSError, ValueError) as error:
                    reason = getattr(error, "strerror", None) or error
                    raise _fault(f"{self._shown(words)} cannot be run: {reason}", source) from None
        if ended.stopped:
            raise _fault(f"{self._shown(words)} {ended.stopped}", source)
        if ended.code:
            how = f"ended with {ended.code}" if ended.code > 0 else f"was ended by signal {-ended.code}"
            lines = _lines(ended.stderr)
            said = f": {lines[-1][:MAX_SAID]}" if lines else ""
            raise _fault(f"{self._shown(words)} {how}{said}", source, lines)
        return ended.stdout

    # --- what it wrote

    def _built(self, source: Source) -> str:
        assert self.output is not None
        stem = _stem(source)
        path = self.folder / _filled(self.output, {STEM: stem})
        name = f"{self.output} of {source.name}"
        if path.is_dir():
            path = self._in(path, stem, source)
        try:
            return read(path, _below(path, self.folder)).text
        except TemplateFault as fault:
            raise _fault(f"{name}: {fault.message}", source) from None

    def _in(self, folder: Path, stem: str, source: Source) -> Path:
        """The built file of a template: of several with its name the one whose folders are most like the template's."""
        fitting = []
        for number, path in enumerate(folder.rglob("*")):
            if number >= MAX_BUILT:
                break
            if path.suffix.lower() in {".html", ".htm"} and path.name.partition(".")[0] == stem and path.is_file():
                fitting.append(path)
        parents = source.path.resolve().parent.parts[::-1] if source.path is not None else ()
        scored = sorted(
            ((_same(path.resolve().parent.parts[::-1], parents), str(path), path) for path in fitting), reverse=True
        )
        if not scored:
            raise _fault(f"{self.output}: no file {stem}.html", source)
        if len(scored) > 1 and scored[0][0] == scored[1][0]:
            raise _fault(f"{self.output}: {len(scored)} files are called {stem}.html", source)
        return scored[0][2]


def _same(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def _stem(source: Source) -> str:
    name = source.path.name if source.path is not None else source.name.replace("\\", "/").rpartition("/")[2]
    return name.partition(".")[0] or name


def _filled(word: str, told: Mapping[str, str]) -> str:
    return re.sub("|".join(map(re.escape, told)), lambda found: told[found[0]], word)


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _ended(arguments: Sequence[str], folder: Path, stdin: int, timeout: float) -> _Ended:
    """Run a command to its end, its own end or ours. Raises OSError, ValueError where it cannot begin."""
    process = subprocess.Popen(  # noqa: S603 -- the user's own command, without a shell
        list(arguments), cwd=folder, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    with process:
        try:
            stdout, stderr, stopped = _output(process, timeout)
            return _Ended(None if stopped else process.wait(timeout), stdout, stderr, stopped)
        except subprocess.TimeoutExpired:
            return _Ended(None, b"", b"", f"took more than {timeout:g} seconds")
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # its own group: its children, too


def _output(process: "subprocess.Popen[bytes]", timeout: float) -> tuple[bytes, bytes, str]:
    """What it prints, the end of its errors, and why it must be stopped."""
    assert process.stdout is not None
    assert process.stderr is not None
    end = time.monotonic() + timeout
    stdout, stderr = bytearray(), b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(end - time.monotonic(), 0))
            if not ready:
                return b"", stderr, f"took more than {timeout:g} seconds"
            for key, _ in ready:
                piece = os.read(key.fd, 65_536)
                if not piece:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    stderr = (stderr + piece)[-MAX_STDERR:]
                else:
                    stdout += piece
                    if len(stdout) > MAX_OCTETS:
                        return b"", stderr, f"printed more than {MAX_OCTETS:,} octets"
    return bytes(stdout), stderr, ""


# --- what it said ------------------------------------------------------------------------------------------------

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def _lines(stderr: bytes) -> list[str]:
    """Its errors as lines that can be shown."""
    text = _COLOURS.sub("", stderr.decode("utf-8", "replace"))
    shown = ("".join(one if one.isprintable() else " " for one in line).strip() for line in text.splitlines())
    return [line for line in shown if line]


def _fault(message: str, source: Source, lines: Sequence[str] = ()) -> TemplateFault:
    """A fault with the place that the errors name, as compilers do (`welcome.tsx:12:5`), or else with the file."""
    name = source.path.name if source.path is not None else source.name
    place = re.compile(rf"{re.escape(name)}[:(](\d{{1,6}})(?:[:,](\d{{1,6}}))?")
    found = next((found for line in lines if (found := place.search(line))), None)
    if found is None:
        return TemplateFault(message, Where(file=source.name))
    column = int(found[2]) if found[2] else None
    return TemplateFault(message, Where(file=source.name, line=int(found[1]), column=column or None))


# --- likeness ----------------------------------------------------------------------------------------------------

MIN_ALIKE = 6  # characters of a text that tell where it came from: "Hello," would do, "or" not
MAX_TIMES = 50  # places of the rendered text that one text of the source may have made
MAX_SEARCHED = 200_000_000  # characters that are gone through: some tenths of a second

_TEXTS = re.compile(r"https?://[^\s\"'<>`{}]{3,500}+|[^<>{}\"`=\n]{3,500}+")


def alike(source: Source, text: str) -> Iterator[Piece]:
    """Pieces for texts that stand once in the source and somewhere in the rendered text; at least one, of everything."""
    found = [(one[0].strip(), one.start() + len(one[0]) - len(one[0].lstrip())) for one in _TEXTS.finditer(source.text)]
    counts = Counter(words for words, _ in found)
    wanted = [one for one in found if counts[one[0]] == 1 and len(one[0]) >= MIN_ALIKE and any(c.isalpha() for c in one[0])]
    made: list[Piece] = []
    for words, at in wanted[: MAX_SEARCHED // (len(text) + 1)]:
        start = text.find(words)
        for _ in range(MAX_TIMES):
            if start < 0:
                break
            made.append(Piece(start, start + len(words), source.name, at, at + len(words), copied=True, exact=False))
            start = text.find(words, start + len(words))
    made.sort(key=lambda piece: (piece.start, -piece.end))
    end = 0
    for piece in made:
        if piece.start >= end:
            yield piece
            end = piece.end
    if not made and text:
        yield Piece(0, len(text), source.name, 0, 0, copied=False, exact=False)
