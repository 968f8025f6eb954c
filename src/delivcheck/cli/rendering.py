"""Templates as jobs of a run: each is rendered, checked and printed in its turn, and the baseline kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .. import api
    from ..model import TargetReport
    from ..templates.run import Prepared
    from ..templates.run import Run as Templates
    from .options import Run
    from .running import Job


def check(found: Iterator[Prepared], templates: Templates, run: Run, *, write_baseline: bool = False) -> int:
    """Check templates once. Returns the exit code."""
    from . import faults, running

    code = running.check(jobs(found, templates), run, at_once=1)  # there is nothing to wait for
    baseline = templates.baseline
    if write_baseline:
        kept = baseline.write()
        faults.say(f"{baseline.path}: {kept:,} finding{'' if kept == 1 else 's'} kept")
    elif mended := baseline.mended:
        faults.say(f"{baseline.path}: {mended:,} of its findings are no more there; --write-baseline takes them out")
    return code


def jobs(found: Iterator[Prepared], templates: Templates) -> Iterator[Job]:
    """A job a template."""
    from ..model import TargetKind
    from ..report.text import Given
    from .running import Job

    for one in found:
        if one.error is not None:
            yield Job(one.name, TargetKind.TEMPLATE, error=one.error)
            continue
        texts: dict[str, str] = {}
        yield Job(one.name, TargetKind.TEMPLATE, _examine(one, templates, texts), given=Given(files=texts), path=one.path)


def _examine(one: Prepared, templates: Templates, texts: dict[str, str]) -> Callable[[api.Checker], Awaitable[TargetReport]]:
    return lambda checker: templates.examine(one, checker, texts)
