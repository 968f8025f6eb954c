"""`poe bench`: what we cost beside the packages we stand on, as ratios within one run.

Two commands that do the same work take turns, A B A B …, so that a machine whose speed drifts slows both. Figures are medians
of the pairwise ratios A/B with their least and greatest; never a test, since times on a shared machine prove nothing alone.
"""

import asyncio
import email
import email.policy
import logging
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import dkim
from rich.console import Console
from rich.table import Table

from delivcheck.api import Checker, Options
from delivcheck.engine import Roots, gather
from delivcheck.facts.roots import Now, Octets
from delivcheck.facts.verdicts import DkimVerdicts
from delivcheck.model import Dns
from delivcheck.net.dns import Live
from delivcheck.net.snapshot import from_mapping
from delivcheck.policy import load
from tests import servers
from tests.bench import judging
from tests.keys import sign_example

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ROUNDS = 15


def newsletter(kilobytes):
    """A multipart newsletter of about so many KB, the same each time."""
    block = (
        '<tr><td style="padding:24px;color:#333"><h2>A story about harbours and coffee</h2>'
        "<p>Ships come in with the tide, and with them beans from three continents, roasted here the same day.</p>"
        '<a href="https://www.example.org/read?id=17">Read on</a></td></tr>\r\n'
    )
    body = block * (kilobytes * 1000 // len(block))
    return (
        "From: Harbour <news@example.org>\r\nTo: Pat <pat@example.net>\r\nSubject: Coffee and harbours\r\n"
        "Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n"
        "List-Unsubscribe: <https://www.example.org/u?t=abc>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        'Content-Type: multipart/alternative; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nRead it at https://www.example.org/read?id=17\r\n"
        "--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        f"<html><body><table>{body}</table></body></html>\r\n--b--\r\n"
    ).encode()


def versus(ours, theirs, clock=time.process_time, rounds=ROUNDS):
    """Seconds of each, and the ratio pair by pair."""
    ours(), theirs()
    pairs = []
    for _ in range(rounds):
        times = []
        for work in (ours, theirs):
            begin = clock()
            work()
            times.append(clock() - begin)
        pairs.append(times)
    ratios = sorted(a / b for a, b in pairs)
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs), ratios


def message_check(kilobytes):
    data = newsletter(kilobytes)
    checker = Checker(Options(load("bulk"), dns="offline", now=NOW))

    def ours():
        asyncio.run(checker.message(data))

    def theirs():
        parsed = email.message_from_bytes(data, policy=email.policy.default)
        for part in parsed.walk():
            list(part.items())
            if not part.is_multipart():
                part.get_content()

    return versus(ours, theirs)


def dkim_verdict(kilobytes):
    data, published = sign_example(newsletter(kilobytes), {"domain": "example.org", "selector": "s1"}, NOW)
    world = from_mapping(published)
    key = next(iter(published.values())).encode()
    checker = Checker(Options(load("bulk"), dns=world, now=NOW))

    def ours():
        roots = Roots(Octets(data), (Dns, world), Now(NOW))
        facts = asyncio.run(gather(checker.book.planner.plan([DkimVerdicts], roots), roots))
        assert facts[DkimVerdicts].passing

    def theirs():
        assert dkim.verify(data, dnsfunc=lambda _, timeout=5: key)

    return versus(ours, theirs)


def audit(folder):
    import checkdmarc

    with servers.nsd(folder / "nsd") as server, servers.delay_line(folder / "line", server.address) as line:

        def ours():
            checker = Checker(Options(load("bulk"), dns=Live(nameservers=[line.address])))
            asyncio.run(checker.domain("d002.example", selectors=("s1", "ed")))

        def theirs():
            checkdmarc.utils.DNS_CACHE.clear()
            checkdmarc.check_domains(["d002.example"], nameservers=[_Nameserver(*line.address)], timeout=5.0)

        return versus(ours, theirs, time.perf_counter, 5)


class _Nameserver:
    """Made on first use: dnspython is imported by then."""

    def __new__(cls, host, port):
        import dns.nameserver

        return dns.nameserver.Do53Nameserver(host, port)


def main():
    logging.disable(logging.CRITICAL)
    table = Table("what", "ours", "theirs", "ratio", "least", "most")
    for what, measure in (
        ("check a 5 KB message offline / parse it with email.policy.default", lambda: message_check(5)),
        ("check a 50 KB message offline / parse it with email.policy.default", lambda: message_check(50)),
        *(
            (
                f"judge a signed {size} KB newsletter (CPU of one message) / parse it with email.policy.default",
                partial(judging.measure, size),
            )
            for size in judging.SIZES
        ),
        ("DKIM verdict of 50 KB / dkimpy", lambda: dkim_verdict(50)),
    ):
        _row(table, what, measure())
    if servers.program("nsd") is not None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "nsd").mkdir()
            (folder / "line").mkdir()
            _row(table, "audit a domain, 20 ms away (seconds on the clock) / checkdmarc", audit(folder))
    else:
        print("no audit: NSD is not installed", file=sys.stderr)
    Console().print(table)


def _row(table, what, measured):
    ours, theirs, ratios = measured
    table.add_row(
        what,
        f"{ours * 1000:.2f} ms",
        f"{theirs * 1000:.2f} ms",
        f"{statistics.median(ratios):.2f}",
        f"{ratios[0]:.2f}",
        f"{ratios[-1]:.2f}",
    )


if __name__ == "__main__":
    main()
