"""Every template of the corpora is rendered with made-up data, or gets one clear finding that says why not."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from delivcheck import policy
from delivcheck.api import Checker, Options
from delivcheck.config import Config
from delivcheck.model import Outcome
from delivcheck.tables import Reader, Section
from delivcheck.templates.run import Run, Wishes

CORPORA = Path(__file__).parents[3] / "shared" / "corpora"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FOLDERS = sorted(path.name for path in CORPORA.glob("tpl-*"))
SUFFIXES = {".html", ".htm", ".txt", ".hbs", ".mjml"}
# What the sites' own programs add to the language.
STUBS = {"stubs": {"filters": ["*"], "tags": ["*"], "tests": ["*"]}}
NOT_FOUND = ("is not found", "may be one of")
SHARE = 0.95  # of the templates whose references are in the corpus, that must render

pytestmark = pytest.mark.skipif(not FOLDERS, reason="../shared/corpora is not there")


def _reports(folder, *, roots=(), every=1):
    """Each file of a folder by itself, as if it had been named, and its report."""
    path = CORPORA / folder
    config = Config(templates=Section(("templates",), STUBS, Reader(Path("delivcheck.toml"), "")))
    run = Run(config, Wishes(roots=tuple(str(path / root) for root in roots), fuzz=False), NOW)
    checker = Checker(Options(policy.load("transactional"), "offline", now=NOW))
    run.sources.add_roots([path])
    files = [one for one in sorted(path.rglob("*")) if one.suffix in SUFFIXES and "_LICENCE" not in one.parts][::every]

    async def all_of_them():
        for file in files:
            for one in run.prepare([str(file)]):
                yield file, one, None if one.error else await run.examine(one, checker, {})

    async def gathered():
        return [found async for found in all_of_them()]

    return asyncio.run(gathered())


def _faults(report):
    (result,) = [one for one in report.results if one.rule == "template/does-not-render"]
    return result.problems if result.outcome is Outcome.FAIL else ()


def _share(reports):
    """Of the templates whose references are there: how many render, and what is said of the others."""
    rendered, others, lacking = 0, Counter(), 0
    for _, one, report in reports:
        assert one.error is None, one
        faults = _faults(report)
        if any(words in fault.message for fault in faults for words in NOT_FOUND):
            lacking += 1
        elif faults:
            others[faults[0].message] += 1
        else:
            rendered += 1
    return rendered, others, lacking


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_file_is_rendered_or_says_why_not(folder, soak):
    reports = _reports(folder, every=1 if soak else 3)

    assert reports
    for file, one, report in reports:
        assert one.error is None, (file, one.error)
        assert not [result for result in report.results if result.bug is not msgspec.UNSET], file
        for fault in _faults(report):
            assert fault.message, file
            assert "\n" not in fault.message, file
            assert fault.where is not None, (file, fault.message)
            assert fault.where.file, (file, fault.message)


def test_all_of_mjml_render():
    reports = _reports("tpl-mjml")

    rendered, others, _ = _share(reports)
    assert (rendered, others) == (25, {})


def test_jinja_templates_render():
    rendered, others, lacking = _share(_reports("tpl-pip-indico", roots=("indico/web/templates",)))

    assert rendered >= SHARE * (rendered + sum(others.values())), others
    assert (rendered, lacking) == (229, 10)  # ten refer to pages of the site that are no mail, and not there


def test_django_templates_render():
    rendered, others, lacking = _share(_reports("tpl-pip-django-allauth"))

    assert rendered >= SHARE * (rendered + sum(others.values())), others
    assert (rendered, lacking) == (50, 6)  # six extend pages of the site, which are not there


def test_handlebars_templates_render():
    rendered, others, lacking = _share(_reports("tpl-mailmason"))

    assert (others, lacking) == ({}, 0)
    assert rendered > 50
