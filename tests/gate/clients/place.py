"""The place that real clients are sent to: `delivcheck gate` with TLS and users, DNS before it, a next hop behind it.

    with place(folder) as one:                                  # a next hop that can all; place(folder, extensions=…) one that cannot
        said = CLIENTS["swaks"](one.way("submission"), letter)
        got = one.arrived(letter)                               # as the next hop has it, and as it was judged

DNS has what example.com ought to publish, and the gate signs for it; its users are made with `delivcheck user add`.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from tests import keys
from tests.gate.deploy.site import IP, KEY, message, name_server
from tests.gate.next_hop import ALL, Message, NextHop
from tests.gate.serve.running import ROOT, Running, gate
from tests.gate.serve.test_gate import next_hop
from tests.gate.smtp.support import issue
from tests.servers import loopback

NAME = "mail.example.com"  # the gate's, and what its certificate is for
USER, PASSWORD = "shop", "correct horse battery"
RECIPIENTS = 100  # that one transaction may have, the least that RFC 5321 section 4.5.3.1.8 allows
POOR = ("PIPELINING", "SIZE 36700160", "ENHANCEDSTATUSCODES")  # a next hop without 8BITMIME, SMTPUTF8 and DSN

_numbers = count(4711)


@dataclass(frozen=True)
class Letter:
    """A message with its envelope; `name` stands in its subject, so that it is found again."""

    octets: bytes
    name: str
    sender: str = "orders@example.com"
    to: tuple[str, ...] = ("pat@example.net",)

    @property
    def utf8(self) -> bool:
        """Whether the envelope needs SMTPUTF8."""
        return not all(one.isascii() for one in (self.sender, *self.to))


def letter(text: str = "Your order has been sent.", *, to: Sequence[str] = ("pat@example.net",), header: str = "") -> Letter:
    """A message that passes."""
    name = f"{os.getpid()}-{next(_numbers)}"
    return Letter(message(text, header=header, name=name), name, to=tuple(to))


def faulty() -> Letter:
    """A message that is refused, as it has two From fields."""
    made = letter()
    return Letter(b"From: orders@example.com\r\n" + made.octets, made.name)


@dataclass(frozen=True)
class Way:
    """How a client comes to the gate."""

    host: str
    port: int
    implicit: bool  # TLS from the first octet
    authority: Path  # the certificate to trust
    mechanism: str = "PLAIN"
    user: str = USER
    password: str = field(default=PASSWORD, repr=False)


@dataclass
class Place:
    """A running gate and its surroundings."""

    gate: Running
    hop: NextHop
    other: NextHop  # for example.org
    folder: Path
    authority: Path

    def way(self, listener: str, **more: Any) -> Way:
        """The way to a listener of this name."""
        host, port = self.gate.address(listener)
        return Way(host, port, listener == "submissions", self.authority, **more)

    def judged(self, one: Letter) -> list[dict[str, Any]]:
        """What the log says of a message, by its Message-ID."""
        return [each for each in self.gate.events("message") if f"<{one.name}." in each["message_id"]]

    def found(self, one: Letter) -> list[Message]:
        """What the next hop has of a message."""
        wanted = f"\r\nSubject: Your order {one.name}\r\n".encode()
        return [each for hop in (self.hop, self.other) for each in hop.messages if wanted in each.octets]

    def arrived(self, one: Letter) -> Message:
        """The message at the next hop; it came once, and has the octets that were judged: a signature that verified on top of its own."""
        self.gate.wait(lambda: self.judged(one), f"the judgement of {one.name}")
        (judged,) = self.judged(one)
        assert judged["action"] == "send", judged
        (got,) = self.found(one)
        assert hashlib.sha256(got.octets).hexdigest() == judged["sha256"]
        assert b"DKIM-Signature: " in got.octets
        return got

    def never(self, one: Letter) -> None:
        """Nothing of the message came to the next hop."""
        assert self.found(one) == []


def users(folder: Path) -> Path:
    """A users' file as an operator makes it."""
    path = folder / "users.toml"
    command = [sys.executable, "-m", "delivcheck", "user", "add", USER, "--domain", "example.com"]
    done = subprocess.run(
        [*command, "--password-file", "-", "--file", str(path)],
        input=f"{PASSWORD}\n".encode(),
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return path


@contextmanager
def place(folder: Path, *, extensions: Sequence[str] = ALL, lmtp: bool = False, **hop: Any) -> Iterator[Place]:
    """A gate with a listener of each kind; `lmtp`: its next hop speaks that. Mail for example.org has a next hop of its own."""
    host = loopback()
    folder.mkdir(exist_ok=True)
    certificate = issue(folder, NAME, (host,))
    (folder / "s1.pem").write_bytes(keys.pem(KEY))
    (folder / "state").mkdir()
    with (
        next_hop(extensions=extensions, lmtp=lmtp, **hop) as out,
        next_hop(extensions=extensions) as other,
        name_server() as dns,
    ):
        path = folder / "delivcheck.toml"
        tls = f'certificate = "{certificate.chain}"\nkey = "{certificate.key}"'
        trusted = 'trusted = ["127.0.0.0/8"]'
        kinds = {"smtp": f"{tls}\n{trusted}", "submission": tls, "submissions": tls, "lmtp": trusted}
        listeners = "".join(
            f'[[gate.listen]]\nkind = "{kind}"\naddress = "{host}:0"\n{lines}\n' for kind, lines in kinds.items()
        )
        path.write_text(f"""
policy = "transactional"
owned-domains = ["example.com"]
nameservers = ["{dns}"]
[gate]
name = "{NAME}"
mode = "enforce"
egress = ["{IP}"]
state = "state"
users = "{users(folder)}"
workers = 1
log-format = "json"
{listeners}
[[gate.sign]]
domain = "example.com"
selector = "s1"
key-file = "s1.pem"
[[gate.next-hop]]
name = "out"
address = "{host}:{out.port}"
security = "none"
lmtp = {str(lmtp).lower()}
[[gate.next-hop]]
name = "other"
address = "{host}:{other.port}"
security = "none"
domains = ["example.org"]
[gate.limits]
recipients = {RECIPIENTS}
""")
        with gate(folder, arguments=["gate", "--config", str(path)], workers=1) as running:
            yield Place(running, out, other, folder, certificate.chain)
