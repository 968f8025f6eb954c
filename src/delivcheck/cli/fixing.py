"""`delivcheck template --fix` and `--diff`: what would be mended, and mending it."""

from __future__ import annotations

import asyncio
import difflib
import re
import sys
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..report.paint import Paint, visible
from .faults import say

if TYPE_CHECKING:
    from ..templates.fix.mending import Mended
    from ..templates.run import Run as Templates
    from .options import Run

CONTEXT = 3  # lines around a change, as diff -u has them


def fix(paths: Sequence[str], templates: Templates, run: Run, *, write: bool, write_baseline: bool = False) -> int:
    """Show the changes, or make them and check what is left. Returns the exit code: of --diff 1 if anything would change."""
    from ..api import Checker
    from ..templates.fix.mending import Mending
    from ..templates.fix.repairs import Allowed
    from .faults import OutputError
    from .output import write as put
    from .output import write_octets

    allowed = Allowed(templates.settings.language, templates.settings.https_hosts)
    mended = asyncio.run(Mending(templates, Checker(run.options), allowed).mend(paths))
    if not write:
        for one in mended:
            text = "".join(_diff(one, run.sink.paint))
            if sys.stdout.isatty():
                put(text)
            else:  # to a file that `patch` or `git apply` reads: the very octets
                write_octets(text.encode())
        say(_summary(mended, "would be mended") if mended else "nothing to mend")
        return 1 if mended and not run.sink.exit_zero else 0
    for one in mended:
        before, after = _octets(one)
        try:
            with one.path.open("r+b") as file:  # as it stands: a link, its mode and its owner stay
                if file.read() != before:
                    raise OutputError(f"{one.name}: has changed meanwhile, and was left alone")
                file.seek(0)
                file.write(after)
                file.truncate()
        except OSError as error:
            raise OutputError(f"{one.name}: {error.strerror or error}") from None
    if mended:
        say(_summary(mended, "mended"))
    from .rendering import check

    return check(templates.prepare(paths), templates, run, write_baseline=write_baseline)


def _octets(one: Mended) -> tuple[bytes, bytes]:
    """What the file has, and what it is to have; the mark at its beginning, which is no part of a template's text, stays."""
    before, after = one.before.encode(), one.after.encode()
    try:
        with one.path.open("rb") as file:
            marked = file.read(len(BOM_UTF8)) == BOM_UTF8
    except OSError:  # whoever writes the file will see
        marked = False
    return (BOM_UTF8 + before, BOM_UTF8 + after) if marked else (before, after)


def _diff(one: Mended, paint: Paint) -> Iterator[str]:
    before, after = (_lines(octets.decode()) for octets in _octets(one))
    name = one.name.lstrip("/")  # neither program takes names from the root
    if " " in name:
        name += "\t"  # where a name with blanks ends, for both of them
    for line in difflib.unified_diff(before, after, f"a/{name}", f"b/{name}", n=CONTEXT):
        text = line.removesuffix("\n")
        shown = visible(text.rstrip("\r")) if sys.stdout.isatty() else text  # a file of it goes to patch
        role = {"+": "pass", "-": "error", "@": "dim"}.get(line[:1])
        yield (shown if role is None else paint(role, shown)) + "\n"
        if text == line:
            yield "\\ No newline at end of file\n"


def _lines(text: str) -> list[str]:
    """Lines as diff has them, which knows no other line end than LF."""
    return [line for line in re.split(r"(?<=\n)", text) if line]


def _summary(mended: Sequence[Mended], what: str) -> str:
    rules: dict[str, int] = {}
    for one in mended:
        for rule, count in one.rules.items():
            rules[rule] = rules.get(rule, 0) + count
    said = ", ".join(f"{rule} {count}" for rule, count in sorted(rules.items()))
    return f"{len(mended)} file{'' if len(mended) == 1 else 's'} {what}: {said}"
