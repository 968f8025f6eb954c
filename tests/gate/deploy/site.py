"""What the tests of the guide share: the configurations in deploy/ as they are, run in a folder of the test's own.

`gate_with` runs `delivcheck gate` with one of deploy/gate/*.toml, `signer` OpenDKIM with deploy/opendkim/opendkim.conf,
`settings_of` and `services_of` read deploy/postfix for `tests.mta.postfix`. What is exchanged are paths, ports and addresses, and
`nameservers` is added: DNS here has what example.com ought to publish.
"""

import re
import shutil
import socketserver
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests import keys
from tests.gate.serve.running import Running, gate
from tests.servers import loopback, program, running

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
GUIDE = ROOT / "docs" / "gate.md"

KEY = "rsa2048"  # of tests.keys: what signs, and what DNS has
IP = "192.0.2.25"
RECORDS = {
    "example.com TXT": f"v=spf1 ip4:{IP} -all",
    "example.com MX": "10 mail.example.com.",
    "example.com A": "192.0.2.80",
    "mail.example.com A": IP,
    "smtp.example.com A": IP,
    "_dmarc.example.com TXT": "v=DMARC1; p=reject; rua=mailto:dmarc@example.com",
    "25.2.0.192.in-addr.arpa PTR": "mail.example.com.",
    "s1._domainkey.example.com TXT": keys.record(KEY),
    "example.net MX": "10 mx.example.net.",
    "mx.example.net A": "198.51.100.4",
}


def message(
    text: str = "Your order has been sent.", *, header: str = "", sender: str = "orders@example.com", name: str = "4711"
) -> bytes:
    """A plain message that passes once it is signed; Postfix would add what is left out."""
    now = datetime.now(UTC)
    fields = (
        f"From: Shop <{sender}>\r\nTo: Pat <pat@example.net>\r\nSubject: Your order {name}\r\n"
        f"Date: {now:%a, %d %b %Y %H:%M:%S} +0000\r\nMessage-ID: <{name}.{now.timestamp()}@example.com>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
    )
    return f"{fields}{header}\r\n{text}\r\n".encode()


def without_received(octets: bytes) -> bytes:
    """The message without the first Received field, Postfix's own, which no milter sees; fields that were inserted are above it."""
    return re.sub(rb"(?m)^Received: (?s:.*?)\r\n(?![ \t])", b"", octets, count=1)


# --- configurations ---------------------------------------------------------------------------------------------------


def logical_lines(text: str) -> list[str]:
    """Lines of main.cf or master.cf: comments away, continuations joined (postconf(5))."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return re.sub(r"\n[ \t]+", " ", "\n".join(lines)).splitlines()


def exchanged(text: str, exchange: Mapping[str, str]) -> str:
    """The text with some of its words exchanged; each must be there, or the test would not test what it says."""
    for old, new in exchange.items():
        assert old in text, f"{old!r} is not in the file any more"
        text = text.replace(old, new)
    return text


def settings_of(name: str, **exchange: str) -> dict[str, str]:
    """The settings of a piece of main.cf in deploy/postfix."""
    text = exchanged((DEPLOY / "postfix" / name).read_text(), exchange)
    pairs = (line.partition("=") for line in logical_lines(text))
    return {name.strip(): value.strip() for name, _, value in pairs}


def services_of(name: str, exchange: Mapping[str, str]) -> list[str]:
    """The lines of a piece of master.cf in deploy/postfix."""
    return logical_lines(exchanged((DEPLOY / "postfix" / name).read_text(), exchange))


def enforcing(text: str) -> str:
    """A configuration of the gate as it is after the weeks of observing."""
    made, count = re.subn(r'^mode( *)= "observe"', r'mode\1= "enforce"', text, flags=re.MULTILINE)
    assert count == 1, "the examples observe"
    return made


# --- DNS --------------------------------------------------------------------------------------------------------------


def answer(query: bytes, records: Mapping[str, str]) -> bytes:
    asked = dns.message.from_wire(query)
    question = asked.question[0]
    name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
    response = dns.message.make_response(asked, recursion_available=True)
    text = records.get(f"{name} {kind}")
    if text is not None:
        data = " ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255)) if kind == "TXT" else text
        response.answer.append(dns.rrset.from_text(question.name, 300, "IN", kind, data))
    elif not any(f"{one.partition(' ')[0]}".endswith(name) for one in records):
        response.set_rcode(dns.rcode.NXDOMAIN)
    return response.to_wire()


@contextmanager
def name_server(records: Mapping[str, str] = RECORDS) -> Iterator[str]:
    """A name server on loopback that knows these records, and that there is nothing else; gives its host:port."""

    class Answering(socketserver.DatagramRequestHandler):
        def handle(self) -> None:
            self.wfile.write(answer(self.rfile.read(), records))

    with socketserver.ThreadingUDPServer((loopback(), 0), Answering) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"{server.server_address[0]}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


# --- what runs ----------------------------------------------------------------------------------------------------------


@contextmanager
def gate_with(
    name: str, folder: Path, exchange: Mapping[str, str], *, enforce: bool = True, under: Sequence[str] = ()
) -> Iterator[Running]:
    """`delivcheck gate` with deploy/gate/<name>; enforcing, for that is what has consequences. `under`: a command that runs it."""
    text = exchanged((DEPLOY / "gate" / name).read_text(), {"127.0.0.1:9125": f"{loopback()}:0", **exchange})
    if enforce:
        text = enforcing(text)
    (folder / "state").mkdir(exist_ok=True)
    own = f'[gate]\nstate = "{folder / "state"}"\nworkers = 1\nlog-format = "json"'
    with name_server() as address:
        path = folder / "delivcheck.toml"
        path.write_text(f'nameservers = ["{address}"]\n' + text.replace("[gate]", own, 1))
        program = [*under, sys.executable, "-m", "delivcheck", "gate", "--config", str(path)]
        with gate(folder, program=program, workers=1) as running:
            yield running


@contextmanager
def signer(queue: Path, folder: Path) -> Iterator[None]:
    """OpenDKIM with deploy/opendkim/opendkim.conf, its socket in a Postfix's queue directory."""
    where = queue / "opendkim"
    where.mkdir()
    key = folder / "s1.private"
    key.write_bytes(keys.pem(KEY))
    exchange = {
        "/var/spool/postfix/opendkim": str(where),
        "/etc/dkimkeys/s1.private": str(key),
        "opendkim:postfix": "root:postfix",
    }
    conf = folder / "opendkim.conf"
    # A test's folders are below one that all can write to, which OpenDKIM rightly does not like.
    text = exchanged((DEPLOY / "opendkim" / "opendkim.conf").read_text(), exchange) + "RequireSafeKeys no\n"
    conf.write_text(text)
    path = program("opendkim")
    assert path is not None
    shutil.chown(where, "root", "postfix")
    where.chmod(0o2750)
    with running([path, "-f", "-x", str(conf)], folder / "opendkim.log", (where / "opendkim.sock").exists) as process:
        yield
        process.kill()  # asked to stop, libmilter takes seconds
