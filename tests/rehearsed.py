"""Runs a rule page's example as a template in a file, with every rule: what silences others can only be judged beside them."""

import tempfile
from pathlib import Path

import msgspec

from delivcheck import catalog
from delivcheck.api import Checker, Options
from delivcheck.config import Config
from delivcheck.model import Example, Rule, TargetReport
from delivcheck.templates.run import Run, Wishes


async def silenced(options: Options, book: catalog.Catalog, rule: Rule, example: Example) -> TargetReport:
    """The report of the whole run, of which this rule's result is left."""
    assert example.template is not None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "example.html"
        path.write_text(example.template.removeprefix("\n"))
        run = Run(Config(), Wishes(engine=example.engine, fuzz=False), options.now)
        (prepared,) = run.prepare([str(path)])
        assert prepared.error is None, prepared.error
        report = await run.examine(prepared, Checker(options, book, shown={}), {})
    return msgspec.structs.replace(report, results=tuple(one for one in report.results if one.rule == rule.id))
