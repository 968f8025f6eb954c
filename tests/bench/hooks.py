"""What a hook costs: `python -m tests.bench.hooks`. Figures of one run, and ratios of what was measured side by side in it.

* what `import delivcheck.smtplib` adds to `import smtplib`, in processes of their own;
* what making a guard takes, once a process;
* what checking a message of 30 KB takes, every one different, rules and DNS warm: a plain text (transactional, unsigned) and a
  newsletter in HTML (bulk, signed), with all that a hook does; and, where `--daemon` is given, the newsletter through a daemon;
* what the hook itself takes of that: the same call with a judge that does nothing;
* what `delivcheck.smtplib` takes beside `smtplib` for the same newsletters into the same server.
"""

import argparse
import random
import smtplib
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import delivcheck
from delivcheck import smtplib as checked
from delivcheck.integrations.ruling import Ruling, Wanted
from delivcheck.net.snapshot import from_mapping
from tests.bench import letters
from tests.integrations import house

IMPORTS = 15  # processes
KILOBYTES = 30
WARM = 20  # letters that are not counted
GOAL_IMPORT, GOAL_CHECK = 60.0, 5.0  # milliseconds
ENVELOPE = (letters.SENDER, [letters.RECIPIENT])


def milliseconds(work):
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def line(what, figures, goal=None, processor=None):
    middle, high = statistics.median(figures), statistics.quantiles(figures, n=20)[-1]
    also = "" if processor is None else f"   CPU {statistics.median(processor):6.2f} ms"
    against = "" if goal is None else f"   goal {goal:g} ms: {'met' if middle < goal else 'MISSED'}"
    sys.stdout.write(f"{what:<46} {middle:8.2f} ms median {high:8.2f} ms p95{also}{against}\n")


def importing(statement):
    text = f"import smtplib, time; start = time.perf_counter(); {statement}; print((time.perf_counter() - start) * 1000)"
    return float(subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True).stdout)


def imports():
    importing("import delivcheck.smtplib")  # which writes the compiled modules
    figures = [importing("import delivcheck.smtplib") for _ in range(IMPORTS)]
    line("import delivcheck.smtplib, beyond smtplib", figures, GOAL_IMPORT)


def making():
    guard()
    line("delivcheck.Guard(), everything imported", [milliseconds(guard) for _ in range(10)])
    text = "import delivcheck; delivcheck.Guard(config=False, dns='offline')"
    line("the same, first in a process", [importing(text) for _ in range(IMPORTS // 3)])


def guard(**options):
    return delivcheck.Guard(**{"config": False, "policy": "bulk", "dns": from_mapping(letters.RECORDS), **options})


def texts(count):
    """Plain ones of the same length."""
    words = letters._VOCABULARY.split()
    for number in range(count):
        dice = random.Random(number)
        lines = [f"{dice.randrange(10**6)} {' '.join(dice.choices(words, k=9))}" for _ in range(KILOBYTES * 1000 // 68)]
        yield house.good("\r\n".join(lines))


def checking(mails, judging, what, goal=GOAL_CHECK):
    for one in mails[:WARM]:
        judging.check(one, *ENVELOPE)
    figures, processor = [], []
    for one in mails[WARM:]:
        begun = time.process_time()  # of all threads; what other processes do does not count
        figures.append(milliseconds(lambda one=one: judging.check(one, *ENVELOPE)))
        processor.append((time.process_time() - begun) * 1000)
    if judging.counts != {"sent": len(mails)}:
        sys.exit(f"not all of them passed: {dict(judging.counts)}")
    line(what, figures, goal, processor)


class Nothing:
    """A judge that lets everything through at once."""

    ruling = Ruling(Wanted.SEND, "pass", 250, "2.0.0", "", "")

    async def rule(self, _case):
        return self.ruling


def hook_itself(mails):
    judging = guard()
    judging._warm._bench = Nothing()
    checking(mails, judging, "the hook itself, judging left out", None)


def through_a_daemon(mails):
    from tests.integrations.daemons import daemon

    with tempfile.TemporaryDirectory() as name, house.name_server(letters.RECORDS) as dns:
        folder = Path(name)
        with daemon(folder, house.configuration(folder, dns.address, policy="bulk")) as running:
            checking(mails, delivcheck.Guard(config=False, daemon=running.socket), "newsletter, checked through a daemon")


def sending(mails, judging):
    """Turn and turn about, so that a busy moment hits both."""
    with (
        house.sink() as sink,
        smtplib.SMTP(sink.host, sink.port) as bare,
        checked.SMTP(sink.host, sink.port, guard=judging) as ours,
    ):
        pairs = [[milliseconds(lambda to=to, one=one: to.sendmail(*ENVELOPE, one)) for to in (bare, ours)] for one in mails]
    ratios = [after / before for before, after in pairs[WARM:]]
    line("smtplib, one letter sent", [before for before, _ in pairs[WARM:]])
    line("delivcheck.smtplib, one letter sent", [after for _, after in pairs[WARM:]])
    sys.stdout.write(f"{'ratio of the two, letter by letter':<46} {statistics.median(ratios):8.2f}    median\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--letters", type=int, default=200)
    parser.add_argument("--daemon", action="store_true", help="through a daemon, too")
    options = parser.parse_args()
    imports()
    making()
    count = options.letters + WARM
    made = letters.letters(KILOBYTES, 3 * count)
    first, second, third = (made[at * count : (at + 1) * count] for at in range(3))
    plain = list(texts(count))
    for what, mails in (("texts", plain), ("newsletters", made)):
        sys.stdout.write(f"{what} of {statistics.mean(map(len, mails)) / 1000:.1f} KB\n")
    checking(plain, guard(policy="transactional"), "text, checked")
    checking(first, guard(), "newsletter, checked")
    hook_itself(first)
    if options.daemon:
        through_a_daemon(third)
    sending(second, guard())


if __name__ == "__main__":
    main()
