"""Templates in a folder, examined as a run examines them."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from delivcheck import policy
from delivcheck.api import Checker, Options
from delivcheck.config import Config, load
from delivcheck.model import Outcome
from delivcheck.templates.run import Run, Wishes

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CHECKER = Checker(Options(policy.load("bulk"), dns="offline", now=NOW))


def write(files):
    """Write files, by their names from here."""
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())


def started(paths=(".",), *, config=None, **wishes):
    """A run, and what it has prepared."""
    if config is not None:
        Path("delivcheck.toml").write_text(config)
    found = load(Path.cwd() / "delivcheck.toml") if Path("delivcheck.toml").exists() else Config()
    run = Run(found, Wishes(**{"fuzz": False, **wishes}), NOW)
    return run, list(run.prepare([str(path) for path in paths]))


def examined(files, paths=(".",), *, checker=CHECKER, **options):
    """The reports of the templates in these files, or their errors, by their names."""
    write(files)
    run, prepared = started(paths, **options)

    async def each():
        return {one.name: one.error or await run.examine(one, checker, {}) for one in prepared}

    return asyncio.run(each())


def problems(report, rule=None):
    """The problems of a report's failed results, or of one rule's."""
    return [
        problem
        for result in report.results
        if result.outcome is Outcome.FAIL and rule in {None, result.rule}
        for problem in result.problems
    ]


def places(report, rule):
    """File and line of each problem of a rule."""
    return [(problem.where.file, problem.where.line) for problem in problems(report, rule)]


def result(report, rule):
    """A rule's result."""
    return next(one for one in report.results if one.rule == rule)
