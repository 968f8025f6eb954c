"""The whole rule book over messages of the fixture, beside what two spam filters take to a verdict on the same messages.

All are told the same session and envelope. rspamd has one worker, the rules it comes with, HTTP and four connections; SpamAssassin's
spamd one child and no network tests (-L). Ours and rspamd's DNS is the fixture's NSD. All three judge the same octets, turn by turn;
what counts is the processor time of the process that judges. They run other rules than ours, and more of them: what is compared is
the cost of a verdict, not of a rule.
"""

import asyncio
import gc
import http.client
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import ip_address

from delivcheck.api import Checker, Options
from delivcheck.facts.roots import Envelope, Session
from delivcheck.model import Verdict
from delivcheck.net.dns import Live
from delivcheck.policy import load
from tests import servers
from tests.bench import peers
from tests.bench.install import lacking
from tests.bench.table import Row

DOMAINS, MESSAGES = 24, 60  # of the fixture; messages of each size
CONCURRENT = 4  # requests to rspamd
SIZES = (5, 30, 200)  # KB
RSPAMD = {5: 200, 30: 100, 200: 30}  # messages in a turn: a second of its time, so that the kernel's ticks do not show
SPAMASSASSIN = {5: 10, 30: 4, 200: 1}
QUICKLY = 5  # a quick run has so many times fewer


@dataclass(frozen=True)
class Mail:
    """A message, and what everybody is told about how it came."""

    octets: bytes
    sender: str
    ip: str
    recipient: str = "pat.sample@rcpt.test"

    @property
    def name(self):
        """The sending host's name, which its address's PTR has, too."""
        return f"out1.{self.sender.partition('@')[2]}"

    @property
    def received(self):
        """With the fields that an MTA writes on top: SpamAssassin is told no other way."""
        return (
            f"Return-Path: <{self.sender}>\r\nReceived: from {self.name} ({self.name} [{self.ip}]) by mx.rcpt.test with ESMTPS id 1 "
            f"for <{self.recipient}>; {self._date}\r\n"
        ).encode() + self.octets

    @property
    def _date(self):
        [line] = [line for line in self.octets.partition(b"\r\n\r\n")[0].split(b"\r\n") if line.lower().startswith(b"date:")]
        return line[5:].strip().decode()


def mails(folder, count=MESSAGES):
    """The fixture's messages by size in KB, so many of each; its zones are already there."""
    script = servers.FIXTURE / "gen_messages.py"
    subprocess.run([sys.executable, str(script), str(folder), "--count", str(count)], check=True, capture_output=True)
    index = json.loads((folder / "msgs" / "index.json").read_text())
    return {
        size: [
            Mail(path.read_bytes(), f"bounce@{index[int(path.stem)]['domain']}", index[int(path.stem)]["sender_ip"])
            for path in sorted((folder / "msgs" / f"{size}k-rsa").glob("*.eml"))
        ]
        for size in SIZES
    }


# --- who judges --------------------------------------------------------------------------------------------------------


class Ours:
    """The whole rule book, warm, in this process; as a gate has it, no report for people."""

    def __init__(self, nameserver):
        self._loop = asyncio.new_event_loop()
        self._checker = Checker(Options(load("bulk"), dns=Live(nameservers=[nameserver])), shown={}, outlooks=False)

    def __call__(self, batch):
        """Seconds of processor."""
        roots = [
            (one.octets, Envelope(one.sender, (one.recipient,)), Session(ip_address(one.ip), one.name, tls="TLSv1.3"))
            for one in batch
        ]
        begun = time.process_time()
        for octets, envelope, session in roots:
            report = self._loop.run_until_complete(self._checker.message(octets, envelope=envelope, session=session))
            assert report.verdict is Verdict.PASS, [one.rule for one in report.targets[0].results if one.outcome == "fail"]
        return time.process_time() - begun

    def close(self):
        """End its loop."""
        self._loop.close()


class Rspamd:
    """rspamd's HTTP, several requests at once."""

    def __init__(self, address, pids):
        self._address, self._pids = address, pids

    def __call__(self, batch):
        """Seconds of processor of its worker."""
        before = peers.cpu(self._pids)
        with ThreadPoolExecutor(CONCURRENT) as threads:
            list(threads.map(self._some, [batch[at::CONCURRENT] for at in range(CONCURRENT)]))
        return peers.cpu(self._pids) - before

    def _some(self, batch):
        connection = http.client.HTTPConnection(*self._address, timeout=60)
        for one in batch:
            fields = {"From": one.sender, "Rcpt": one.recipient, "IP": one.ip, "Helo": one.name, "Hostname": one.name}
            connection.request("POST", "/checkv2", one.octets, fields)
            said = json.loads(connection.getresponse().read())
            assert "R_DKIM_ALLOW" in said["symbols"], said["symbols"].keys()  # its DNS works, too
        connection.close()


class SpamAssassin:
    """spamd's protocol; one message after the other, for it has one child."""

    def __init__(self, address, parent):
        self._address, self._parent = address, parent

    def __call__(self, batch):
        """Seconds of processor of its child, which may not end meanwhile."""
        pids = peers.children(self._parent)
        before = peers.cpu(pids)
        for one in batch:
            with socket.create_connection(self._address, 60) as sock:
                octets = one.received
                sock.sendall(b"CHECK SPAMC/1.5\r\nContent-length: %d\r\n\r\n" % len(octets) + octets)
                sock.shutdown(socket.SHUT_WR)
                said = b"".join(iter(lambda sock=sock: sock.recv(65536), b""))
            assert b"Spam: False" in said, said
        assert peers.children(self._parent) == pids
        return peers.cpu(pids) - before


# --- rows --------------------------------------------------------------------------------------------------------------


def measure(quick):
    """Rows for each size and filter, and our own cost at 30 KB."""
    if reason := lacking("nsd"):
        yield from (_row(size, peer, reason) for size in SIZES for peer in ("rspamd", "SpamAssassin"))
        yield Row.missing("check/30k/cpu", reason)
        return
    without = {"rspamd": lacking("rspamd") or lacking_root(), "SpamAssassin": lacking("spamd")}
    with ExitStack() as stack:
        folder = stack.enter_context(peers.room())
        (folder / "nsd").mkdir()
        nsd = stack.enter_context(servers.nsd(folder / "nsd", DOMAINS))
        sized = mails(nsd.folder, MESSAGES // (QUICKLY if quick else 1))
        ours, judges = Ours(nsd.address), {}
        stack.callback(ours.close)
        if not without["rspamd"]:
            address, pids = stack.enter_context(peers.rspamd_http(folder / "rspamd", nsd.address))
            judges["rspamd"] = Rspamd(address, pids), RSPAMD
        if not without["SpamAssassin"]:
            judges["SpamAssassin"] = SpamAssassin(*stack.enter_context(peers.spamd(folder / "spamd"))), SPAMASSASSIN
        taken = {size: _turns(sized[size], ours, judges, size, quick) for size in SIZES}
    for size, rounds in taken.items():
        for peer, reason in without.items():
            yield _row(size, peer, reason, [(1 / one["ours"], 1 / one[peer]) for one in rounds if peer in one])
    yield Row.figures("check/30k/cpu", [one["ours"] * 1000 for one in taken[30]])


def lacking_root():
    """rspamd is run under a user of its own."""
    return "" if os.geteuid() == 0 else "rspamd needs root to become its user"


def _row(size, peer, reason, pairs=()):
    name = f"check/{size}k/{peer.lower()}"
    about = {"what": f"message check, whole rule book, {size} KB", "unit": "messages per CPU-second", "peer": peer}
    return Row.missing(name, reason, **about) if reason else Row.rates(name, pairs, **about)


def _turns(batch, ours, judges, size, quick):
    """Seconds of processor a message, of each, turn by turn."""
    ours(batch)
    for judge, counts in judges.values():
        judge(batch[: 2 if counts is SPAMASSASSIN else CONCURRENT * 2])
    gc.collect()
    gc.freeze()  # as the gate's workers do
    around, rounds = itertools.cycle(batch), []
    try:
        for _ in range(2 if quick else 7):
            found = {"ours": ours(batch) / len(batch)}
            for name, (judge, counts) in judges.items():
                some = list(itertools.islice(around, max(counts[size] // (QUICKLY if quick else 1), 1)))
                found[name] = judge(some) / len(some)
            rounds.append(found)
    finally:
        gc.unfreeze()
    return rounds
