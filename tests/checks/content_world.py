"""What the tests of content rules share: a message in one line, and what one rule says of it in a closed DNS world."""

import asyncio

from delivcheck import catalog
from delivcheck.engine import Roots, gather, run
from delivcheck.facts import roots
from delivcheck.facts.roots import Declared, Octets
from delivcheck.mime.storage import with_crlf
from delivcheck.model import Dns

BOOK = catalog.assemble(strict=False)


def html(body, subject="May", charset="utf-8", sender="news@shop.com"):
    """A message of nothing but HTML."""
    head = f"From: {sender}\nSubject: {subject}\nMIME-Version: 1.0\nContent-Type: text/html; charset={charset}\n"
    return (head + "Content-Transfer-Encoding: 8bit\n\n" + body + "\n").encode()


def text(body, subject="May", sender="news@shop.com"):
    """A message of nothing but plain text."""
    head = f"From: {sender}\nSubject: {subject}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
    return (head + "Content-Transfer-Encoding: 8bit\n\n" + body + "\n").encode()


def mixed(*parts, kind="mixed"):
    """A multipart of parts that are written with their headers."""
    head = f"From: news@shop.com\nMIME-Version: 1.0\nContent-Type: multipart/{kind}; boundary=b1\n\n"
    return (head + "".join(f"--b1\n{part}\n" for part in parts) + "--b1--\n").encode()


def judge(rule, data, *, dns=None, declared=None, extra=(), **options):
    """One rule's outcome. Options as a policy writes them, with underscores; `extra` are further roots."""
    more = [*extra, *([] if dns is None else [(Dns, dns)])]
    given = Roots(Octets(*with_crlf(data)), declared or Declared(), *more, why_absent=roots.WHY_ABSENT)
    check = BOOK.checks[rule]
    kept = []

    async def gathered():
        kept.append(await gather(BOOK.planner.plan([need.fact for need in check.needs], given), given))

    asyncio.run(gathered())  # what it returns it would write out, to compare signal handlers (CPython 3.11)
    (facts,) = kept
    judged = run(check, facts, options)
    assert not judged.bug, judged.reason
    return judged


def said(rule, data, **options):
    """The messages of the problems a rule finds."""
    return [problem.message for problem in judge(rule, data, **options).problems]
