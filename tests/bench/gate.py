"""The gate: what it carries over SMTP, what it adds to a message's time, and the milter beside others behind Postfix.

The processes are real ones: `delivcheck gate` with its log, metrics and journal, Postfix with its queue in memory. Both sides of a
ratio take turns. `python -m tests.bench --only gate` measures this alone.
"""

import os
import statistics
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests import keys
from tests.bench import load, peers
from tests.bench.install import lacking
from tests.bench.letters import DOMAIN, GATE, IP, KEY, RECIPIENT, RECORDS, SELECTOR, SENDER, letters
from tests.bench.table import Row
from tests.servers import program
from tests.soak import gates

SESSIONS = 10
SIZES = (10, 100)  # KB, beside other milters and relays
SIZE = 30  # KB, of the goals
MEMORY = Path("/dev/shm")  # Postfix's queue: its disk is not what is measured
OFFERED = (50, 250)  # messages a second
CONNECTIONS = 48  # then, more than there are messages on the way; a worker takes 50 of one client
SUSTAINED = 0.7  # of what goes through when nothing waits: beyond it a queue grows, and latency says nothing
SECONDS = 4  # of an offered rate, in a round
TTL = 3  # seconds, of the records whose name server falls silent
OUTSIDE = f"ADDR={IP} NAME={GATE}"  # the session that all milters are told of; a local client would be spared much by some
_SIGNED = f"""
[[gate.sign]]
domain = "{DOMAIN}"
selector = "{SELECTOR}"
key-file = "key.pem"
[gate.prepare]
list-unsubscribe = "https://www.{DOMAIN}/u?t={{trace}}"
feedback-id = "17:news:harbour"
fields.X-Entity-Ref-ID = "{{trace}}"
"""


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    rounds: int = 5
    messages: int = 2_000  # of 10 KB, without rules; fewer of larger ones, or with all rules

    def count(self, kilobytes, *, rules=False):
        return self.messages // (1 if kilobytes < 50 else 3) // (5 if rules else 1)


QUICK = Scale(2, 1_000)


# --- ours --------------------------------------------------------------------------------------------------------------


@contextmanager
def gate(folder, *listeners, policy="off.toml", **settings):
    """`delivcheck gate`; gives what runs, and the pids of its workers."""
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "off.toml").write_text(f'extends = "bulk"\n[rules]\n{gates.all_off()}\n')
    (folder / "key.pem").write_bytes(keys.pem(KEY))
    (folder / "key.pem").chmod(0o600)
    path = gates.configuration(folder, *listeners, policy=policy, **settings)
    with gates.gate(folder, path, workers=settings.get("workers", 2)) as running:
        yield running, sorted(running.workers())


def one_listener(path):
    """A milter on a UNIX socket that Postfix can use."""
    return gates.listen("milter", kind="milter", address=f"unix:{path}", socket_mode="0666")


# --- rows --------------------------------------------------------------------------------------------------------------


def take_turns(rounds, *works):
    """What each work gives, round by round; the first round warms up and does not count."""
    for work in works:
        work()
    return [[work() for work in works] for _ in range(rounds)]


def through_postfix(mta, messages):
    """Messages a second, sent by our own client: no two are the same."""
    sent = load.smtp(mta.address, messages, sessions=SESSIONS)
    assert not sent.refused, sent.refused[:3]
    return sent.rate


def with_smtp_source(address, octets, count, folder):
    """Messages a second, sent by smtp-source: one message again and again, several in a connection."""
    file = folder / f"letter{len(octets)}"
    file.write_bytes(octets.replace(b"\r\n", b"\n"))
    where = "inet:{}:{}".format(*address)
    options = ["-d", "-s", str(SESSIONS), "-m", str(count), "-f", SENDER, "-t", RECIPIENT, "-F", str(file)]
    begun = time.perf_counter()
    subprocess.run([program("smtp-source"), *options, where], check=True, capture_output=True)
    return count / (time.perf_counter() - begun)


def to_milter(path, messages):
    """Messages a second over the milter protocol itself."""
    sent = load.milter(str(path), messages, sessions=SESSIONS)
    assert not sent.refused, sent.refused[:3]
    return sent.rate


def beside_pymilter(scale, folder):
    """The milter without rules: without Postfix, and behind one each; with a worker for each processor as it comes, and with one."""
    for workers in (os.cpu_count() or 1, 1):
        yield from _beside_pymilter(scale, folder / f"by{workers}", workers)


def _beside_pymilter(scale, folder, workers):
    from tests.mta import postfix

    folder.mkdir(mode=0o755)

    with ExitStack() as stack:
        ours = stack.enter_context(postfix({"smtpd_milters": "unix:delivcheck/milter.sock"}))
        theirs = stack.enter_context(postfix({"smtpd_milters": "unix:delivcheck/milter.sock"}))
        bare = stack.enter_context(postfix())
        own, their = (one.queue / "delivcheck" / "milter.sock" for one in (ours, theirs))
        _, pids = stack.enter_context(gate(folder / "gate", one_listener(own), workers=workers))
        their_pids = stack.enter_context(peers.pymilter(folder, their))
        for kilobytes in SIZES:
            messages = load.many(letters(kilobytes, 100), scale.count(kilobytes))
            found, ticks = counted(
                [pids, their_pids], scale, partial(to_milter, own, messages), partial(to_milter, their, messages)
            )
            yield beside(
                f"gate/milter/{kilobytes}k/by{workers}", "milter, no rules", kilobytes, workers, "pymilter", found, ticks, 1
            )
        for kilobytes in SIZES:
            octets, count = letters(kilobytes, 1)[0], scale.count(kilobytes)
            works = [partial(with_smtp_source, mta.address, octets, count, folder) for mta in (ours, theirs, bare)]
            found, ticks = counted([pids, their_pids, ()], scale, *works)
            what, name = "milter, no rules, behind Postfix", f"gate/milter-postfix/{kilobytes}k/by{workers}"
            yield beside(f"{name}/pymilter", what, kilobytes, workers, "pymilter", found, ticks, 1)
            alone = [(a, c) for a, _, c in found]
            yield beside(f"{name}/alone", what, kilobytes, workers, "Postfix alone", alone, (ticks[0], ticks[2]), None)


def beside_aiosmtpd(scale, folder):
    """SMTP without rules, to a sink; with a worker for each processor as it comes, and with one."""
    for workers in (os.cpu_count() or 1, 1):
        yield from _beside_aiosmtpd(scale, folder / f"by{workers}", workers)


def _beside_aiosmtpd(scale, folder, workers):
    folder.mkdir(mode=0o755)
    with ExitStack() as stack:
        sink = stack.enter_context(peers.sink(folder))
        running, pids = stack.enter_context(gate(folder / "gate", gates.listen("smtp"), hop=sink, workers=workers))
        theirs, their_pids = stack.enter_context(peers.relay(folder, sink))
        for kilobytes in SIZES:
            octets, count = letters(kilobytes, 1)[0], scale.count(kilobytes)
            works = [partial(with_smtp_source, one, octets, count, folder) for one in (running.address("smtp"), theirs)]
            found, ticks = counted([pids, their_pids], scale, *works)
            name, peer = f"gate/smtp/{kilobytes}k/by{workers}", "aiosmtpd and aiosmtplib"
            yield beside(name, "SMTP, no rules", kilobytes, workers, peer, found, ticks, 2)


def throughput(scale, folder):
    """Messages for each second of the workers' processors: without rules, and with all."""
    with ExitStack() as stack:
        sink = stack.enter_context(peers.sink(folder))
        dns = stack.enter_context(peers.name_server(folder / "dns", RECORDS))
        address = gates.listen("smtp")
        bare, pids = stack.enter_context(gate(folder / "bare", address, hop=sink, nameserver=dns))
        ruled, ruled_pids = stack.enter_context(gate(folder / "ruled", address, hop=sink, **judging(dns)))
        count = scale.count(SIZE)
        messages = letters(SIZE, scale.count(SIZE, rules=True))
        works = [
            partial(with_smtp_source, bare.address("smtp"), messages[0], count, folder),
            partial(to_gate, ruled.address("smtp"), messages),
        ]
        found = take_turns(scale.rounds, *map(partial(a_core_second), works, (pids, ruled_pids), (count, len(messages))))
        all_judged(ruled)
        for at, name in enumerate(("gate/no-op", "gate/rules")):
            yield Row.figures(name, [one[at] for one in found])


def latency(scale, folder):
    """What the gate adds to a message's time at an offered rate, all rules on and facts warm; with DNS, and without."""
    with ExitStack() as stack:
        sink = stack.enter_context(peers.sink(folder))
        dns = stack.enter_context(peers.name_server(folder / "dns", RECORDS, TTL))
        running, pids = stack.enter_context(gate(folder / "gate", gates.listen("smtp"), hop=sink, **judging(dns)))
        address = running.address("smtp")
        messages = letters(SIZE, max(OFFERED) * (1 if scale is QUICK else SECONDS))
        begun = time.perf_counter()
        to_gate(address, messages)
        able = int(len(messages) / (time.perf_counter() - begun) * SUSTAINED)  # messages a second
        rates = {max(OFFERED)} if scale is QUICK else {*OFFERED, *([able] if able < max(OFFERED) else [])}
        for offered in sorted(rates):
            some = messages[: offered * (1 if scale is QUICK or offered > able else SECONDS)]
            rounds, notes, spent = _added(scale, address, sink, some, offered, pids)
            name = "sustained" if offered == able else str(offered)
            at = f"gate over SMTP: {{}} added at {offered} messages a second{', which it sustains' * (offered == able)}"
            yield Row.figures(f"gate/p50/{name}", [one[0] for one in rounds], notes, what=at.format("p50"), unit="ms")
            yield Row.figures(f"gate/p99/{name}", [one[1] for one in rounds], notes, what=at.format("p99"), unit="ms")
            about = {"what": f"gate over SMTP: its processors at {offered} messages a second", "unit": "ms CPU a message"}
            yield Row.figures(f"gate/cpu/{name}", [spent], **about)
        all_judged(running)
        with peers.mute(folder / "dns"):
            time.sleep(TTL + 1)
            offered, refused = max(OFFERED), []
            rounds, notes, _ = _added(scale, address, sink, some, offered, pids, refused)
        yield Row.figures(f"gate/p99/{offered}/dns-down", [one[1] for one in rounds], notes)
        yield Row.figures("gate/false-defers", [len(refused)], refused[0] if refused else "")


def _added(scale, address, sink, messages, offered, pids, refused=None):
    """(p50, p99) in milliseconds beyond the sink alone, round by round; what is to be noted; CPU of a message, in ms."""
    rounds, rates, spent = [], [], 0.0

    def paced(address):
        sent = load.smtp(address, messages, sessions=CONNECTIONS, rate=offered)
        if refused is None:
            assert not sent.refused, sent.refused[:3]
        else:
            refused.extend(sent.refused)
        return sent

    for _ in range(scale.rounds):
        before = peers.cpu(pids)
        ours = paced(address)
        spent += peers.cpu(pids) - before
        alone = paced(sink)
        rates.append(ours.rate)
        rounds.append([(ours.worst(part) - alone.worst(part)) * 1000 for part in (0.5, 0.99)])
    served = statistics.median(rates)
    notes = f"served {served:.0f} a second" if served < 0.95 * offered * len(messages) / (len(messages) + offered / 10) else ""
    return rounds, notes, spent / len(messages) / scale.rounds * 1000


def prepared(scale, folder):
    """The same where the gate signs and prepares, too."""
    with ExitStack() as stack:
        sink = stack.enter_context(peers.sink(folder))
        dns = stack.enter_context(peers.name_server(folder / "dns", RECORDS))
        settings = {"hop": sink, "more": _SIGNED, **judging(dns)}
        running, pids = stack.enter_context(gate(folder / "gate", gates.listen("smtp"), **settings))
        messages, offered = letters(SIZE, min(OFFERED) * SECONDS, signed=False), min(OFFERED)
        to_gate(running.address("smtp"), messages[:offered])
        rounds, notes, _ = _added(scale, running.address("smtp"), sink, messages, offered, pids)
        what = f"gate over SMTP that signs and prepares: p99 added at {offered} messages a second"
        yield Row.figures(f"gate/prepared/p99/{offered}", [one[1] for one in rounds], notes, what=what, unit="ms")
        all_judged(running)


def behind_postfix(scale, folder):
    """What each milter adds to the time of a message, which is sent alone: all rules, beside rspamd and OpenDKIM with OpenDMARC."""
    without = {"rspamd": lacking("rspamd"), "opendkim": lacking("opendkim", "opendmarc")}
    with ExitStack() as stack:
        dns = stack.enter_context(peers.name_server(folder / "dns", RECORDS))
        sides = {"alone": _postfix(stack, folder), "ours": _postfix(stack, folder, "milter")}
        listener = one_listener(sides["ours"].queue / "delivcheck" / "milter")
        running, _ = stack.enter_context(gate(folder / "gate", listener, **judging(dns)))
        if not without["rspamd"]:
            sides["rspamd"] = _postfix(stack, folder, "milter")
            stack.enter_context(peers.rspamd(folder / "rspamd", sides["rspamd"].queue / "delivcheck" / "milter", dns))
        if not without["opendkim"]:
            sides["opendkim"] = _postfix(stack, folder, "dkim", "dmarc")
            sockets = sides["opendkim"].queue / "delivcheck"
            stack.enter_context(peers.opendkim(folder / "opendkim", sockets / "dkim", RECORDS))
            stack.enter_context(peers.opendmarc(folder / "opendmarc", sockets / "dmarc", RECORDS))
        messages = letters(SIZE, scale.messages // 25)
        found = take_turns(scale.rounds, *(partial(_alone_on_the_way, mta, messages) for mta in sides.values()))
        all_judged(running)
        if not without["opendkim"]:
            sides["opendkim"].wait("milter-header-warning: header Authentication-Results:.*dkim=pass")
            sides["opendkim"].wait("milter-header-warning: header Authentication-Results:.*dmarc=pass")
        rounds = [dict(zip(sides, one, strict=True)) for one in found]
        for peer, reason in without.items():
            if reason:
                yield Row.missing(f"gate/postfix/{peer}", reason)
            else:
                yield Row.costs(
                    f"gate/postfix/{peer}", [(one["ours"] - one["alone"], one[peer] - one["alone"]) for one in rounds]
                )


def _postfix(stack, folder, *milters):
    """One with milters at these sockets, that says in its log what they found."""
    from tests.mta import postfix

    checks = folder / "found"
    checks.write_text("/^Authentication-Results:/ WARN\n")
    settings = {
        "smtpd_milters": ", ".join(f"unix:delivcheck/{one}" for one in milters),
        "milter_header_checks": f"regexp:{checks}",
        "smtpd_authorized_xclient_hosts": "127.0.0.0/8",
        "mynetworks": f"127.0.0.0/8, {IP}",
    }
    return stack.enter_context(postfix(settings))


def _alone_on_the_way(mta, messages):
    """Milliseconds that half of the messages take, one at a time."""
    sent = load.smtp(mta.address, messages, sessions=1, xclient=OUTSIDE)
    assert not sent.refused, sent.refused[:3]
    return sent.worst(0.5) * 1000


def rates_behind_postfix(scale, folder):
    """Messages a second, all rules, beside rspamd: two workers each, several connections."""
    with ExitStack() as stack:
        dns = stack.enter_context(peers.name_server(folder / "dns", RECORDS))
        ours, theirs = (_postfix(stack, folder, "milter") for _ in range(2))
        own, their = (one.queue / "delivcheck" / "milter" for one in (ours, theirs))
        running, pids = stack.enter_context(gate(folder / "gate", one_listener(own), **judging(dns)))
        their_pids = stack.enter_context(peers.rspamd(folder / "rspamd", their, dns))
        for kilobytes in SIZES:
            messages = letters(kilobytes, scale.count(kilobytes, rules=True))
            works = [partial(through_postfix, mta, messages) for mta in (ours, theirs)]
            found, ticks = counted([pids, their_pids], scale, *works)
            name = f"gate/milter-rules/{kilobytes}k"
            yield beside(name, "milter, all rules, behind Postfix", kilobytes, 2, "rspamd", found, ticks, 3)
        all_judged(running)


# --- counting ----------------------------------------------------------------------------------------------------------


def judging(dns):
    """Settings of a gate with the whole rule book."""
    return {"policy": "bulk", "nameserver": dns, "lines": f'egress = ["{IP}"]'}


def to_gate(address, messages):
    """Send them as fast as it goes; all pass."""
    sent = load.smtp(address, messages, sessions=SESSIONS)
    assert not sent.refused, sent.refused[:3]


def a_core_second(work, pids, count):
    """The same work, that gives messages for each second of processor that these processes had."""

    def watched():
        before = peers.cpu(pids)
        work()
        return count / (peers.cpu(pids) - before)

    return watched


def beside(name, what, kilobytes, workers, peer, found, ticks, least):
    """A row of messages a second; what a message takes of processors is noted."""
    by = f"{workers} worker{'s' * (workers > 1)}"
    about = {"what": f"{what}, {kilobytes} KB, {by}", "unit": "messages a second", "peer": peer, "least": least}
    return Row.rates(name, [one[:2] for one in found], f"{ticks[0]:.2f} ms CPU a message, theirs {ticks[1]:.2f}", **about)


def counted(processes, scale, *works):
    """The rounds, and for each of the works the milliseconds of processor that its processes had for a message."""
    spent, sent = [0.0] * len(works), [0.0] * len(works)

    def watched(number):
        before, begun = peers.cpu(processes[number]), time.perf_counter()
        rate = works[number]()
        spent[number] += peers.cpu(processes[number]) - before
        sent[number] += rate * (time.perf_counter() - begun)
        return rate

    found = take_turns(scale.rounds, *(partial(watched, number) for number in range(len(works))))
    return found, [1000 * a / b for a, b in zip(spent, sent, strict=True)]


def all_judged(running):
    """Only mail that was judged, and passed, tells anything about what judging costs."""
    other = [one for one in running.events("message") if one["action"] != "send" or one["bypass"] or one["rules"]]
    assert not other, other[0]
    assert not running.events("fault"), running.events("fault")[0]


# --- telling -----------------------------------------------------------------------------------------------------------

GOALS = {  # what each measurement needs, and the goals that it reaches
    throughput: (("smtp-sink", "smtp-source", "nsd"), ("gate/no-op", "gate/rules")),
    latency: (("smtp-sink", "nsd"), ("gate/p99/250", "gate/p99/250/dns-down", "gate/false-defers")),
    behind_postfix: (("postfix", "nsd"), ("gate/postfix/rspamd", "gate/postfix/opendkim")),
}
MORE = {
    prepared: (("smtp-sink", "nsd"), ()),
    beside_pymilter: (("Milter", "postfix", "smtp-source"), ()),
    rates_behind_postfix: (("rspamd", "postfix", "nsd"), ()),
    beside_aiosmtpd: (("aiosmtpd", "aiosmtplib", "smtp-source", "smtp-sink"), ()),
}


def measure(quick):
    """The goals; in a full run also what was measured beside others before there were goals."""
    scale = QUICK if quick else Scale()
    before, tempfile.tempdir = tempfile.tempdir, str(MEMORY) if MEMORY.is_dir() else None  # tests.mta makes its folders there
    try:
        for rows, (needs, goals) in (GOALS if quick else GOALS | MORE).items():
            if reason := lacking(*needs):
                yield from (Row.missing(one, reason) for one in goals)
                continue
            with peers.room() as folder:
                yield from rows(scale, folder)
    finally:
        tempfile.tempdir = before
