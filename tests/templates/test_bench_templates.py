"""The templates that the benchmark measures render, and are judged by as many rules as a mail of a shop is."""

import asyncio
from datetime import UTC, datetime

from delivcheck import policy
from delivcheck.api import Checker, Options
from delivcheck.config import load
from delivcheck.model import MessageClass, Outcome, Verdict
from delivcheck.templates.run import Run, Wishes
from tests.bench import mails
from tests.bench.templates import ran

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LEAST = 40  # rules


def _checked(folder):
    run = Run(load(folder / "delivcheck.toml"), Wishes(fuzz=False), NOW)
    options = Options(policy.load("transactional"), "offline", MessageClass.TRANSACTIONAL, now=NOW)
    checker = Checker(options)

    async def reports():
        return [await run.examine(one, checker, {}) for one in run.prepare([str(folder)])]

    return asyncio.run(reports())


def test_every_engine_is_there_and_every_template_renders_and_passes(tmp_path):
    written = mails.write(tmp_path, dict.fromkeys(mails.SHARES, 2))

    reports = _checked(tmp_path)

    assert sorted(report.target for report in reports) == sorted(map(str, written))
    for report in reports:
        outcomes = {one.rule: one.outcome for one in report.results}
        assert outcomes["template/does-not-render"] is Outcome.PASS, report.target
        assert report.verdict is Verdict.PASS, report.target


def test_at_least_forty_rules_run_on_each(tmp_path):
    mails.write(tmp_path, dict.fromkeys(mails.SHARES, 1))

    counts = ran(
        [
            {"counts": {"pass": one.counts.pass_, "fail": one.counts.fail, "unknown": one.counts.unknown}}
            for one in _checked(tmp_path)
        ]
    )

    assert min(counts) >= LEAST


def test_there_are_two_hundred():
    assert sum(mails.SHARES.values()) == 200


def test_the_same_templates_are_written_each_time(tmp_path):
    texts = []
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        mails.write(folder, dict.fromkeys(mails.SHARES, 1))
        texts.append({path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()})

    assert texts[0] == texts[1]
