"""What the tests of the formats for CI share: a run written whole, targets with few findings, and text that wants to act."""

import msgspec
from hypothesis import strategies as st

from delivcheck.cli.places import Disk
from delivcheck.model import Counts, DeclaredClass, Level, Outcome, Problem, Report, Result, TargetKind, TargetReport, Verdict
from delivcheck.report.entries import Setting
from delivcheck.report.words import Exit
from tests.report import made

HOSTILE = (
    "\x1b[31mred\x00 \r\n::error::x\n##[error]y ]]> &amp; <b>\"quoted\" 'single'</b> \u202egnp.exe\u2066 \ud800\ufffe\x85 "
    "| `code` ``` @everyone #1 !2 [k](https://evil.example/) ![i](https://evil.example/i.png) {0} {{name}} % %0A , : \\ # SKIP "
    "/close <script>alert(1)</script> https://evil.example/ 東京 \U0001f468\u200d\U0001f469"
)

acting = st.text(
    alphabet=st.one_of(st.characters(), st.sampled_from("`|\\<>[](){}#%:,@!*_~\n\r\x00\x1b\u202e-.\"'& ")), max_size=80
)


def setting(folder=None, **more):
    """A setting whose files are those of a folder."""
    return Setting(made.RULES, Disk(None if folder is None else str(folder)), policy="bulk", **more)


def target(*results, name="a.html", kind=TargetKind.TEMPLATE, error=msgspec.UNSET, verdict=Verdict.FAIL):
    """A target with these results."""
    tally = made.counted(results) if results else Counts()
    return TargetReport(name, kind, verdict, DeclaredClass(), tally, results, {}, {}, error=error)


def unreadable(name="gone.eml", why="no such file or directory"):
    return target(name=name, kind=TargetKind.MESSAGE, error=why, verdict=Verdict.UNKNOWN)


def failing(*problems, rule="html/missing-alt", level=Level.WARNING, **more):
    """A target in which one rule fails."""
    return target(Result(rule, Outcome.FAIL, level, problems=problems), **more)


def found(message, where=None, **more):
    return Problem(message, where, **more)


def report(*targets):
    """The run of the targets, as its end knows it."""
    return Report(
        version="0.1.0", policy="bulk", verdict=Verdict.FAIL, elapsed_ms=5, dns=made.report(made.receipt()).dns, targets=targets
    )


def written(form, *targets, code=Exit.FAIL, seconds=0.25):
    """All that a form writes about a run."""
    parts = [form.opening(), *(form.target(one, seconds) for one in targets), form.closing(report(*targets), code)]
    return "".join(parts)


def acts(text):
    """The characters of text that a terminal, a log or an XML parser would obey or refuse; the line ends are ours."""
    return {character for character in text if character != "\n" and not character.isprintable() and character != "\u200d"}
