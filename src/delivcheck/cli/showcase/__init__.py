"""`delivcheck gate --demo`: a gate with a shop that sends through it and a next hop that keeps nothing, all on loopback.

Everything is the real thing but the world around it: DNS, shop and next hop are a process of their own (`world`), and the days
before are made up (`history`). It ends with Ctrl-C, and leaves nothing behind.
"""

import base64
import contextlib
import importlib.util
import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from . import zone

HOST = "127.0.0.1"
SMTP, HTTP = 2525, 8025  # where they are free; Mailpit's page is on 8025, too

CONFIGURATION = """\
# What `delivcheck gate --demo` runs with. Copy what you like; docs/gate.md says what else there is.
policy = "transactional"
owned-domains = ["{sender}"]
nameservers = ["{host}:{dns}"]

[streams.receipts]
class = "transactional"
[streams.resets]
class = "transactional"
[streams.statements]
class = "transactional"
[streams.news]
class = "bulk"
policy = "bulk"

[gate]
name = "gate.{sender}"
state = "state"
workers = 1
log-level = "error"
egress = ["{address}"]
egress-ehlo = "gate.{sender}"

[[gate.listen]]
kind = "smtp"
address = "{host}:{smtp}"
trusted = ["127.0.0.0/8"]
credential = "shop"

[gate.credentials.shop]
domains = ["{sender}", "gmail.com"]   # gmail.com, so that a rule says what is wrong with that, and not the login
streams = ["receipts", "resets", "statements", "news"]
may-declare = true

[[gate.listen]]
kind = "http"
address = "{host}:{http}"

[[gate.listen]]
kind = "bounces"
address = "{host}:{bounces}"

[[gate.next-hop]]
name = "out"
address = "{host}:{sink}"
security = "none"

[[gate.sign]]
domain = "{sender}"
selector = "{selector}"
key-file = "dkim.pem"

[gate.prepare]
[gate.hold]

[gate.http]
public-url = "https://mail.{sender}"

[gate.trace]
keep = "message"

[gate.tracking]
mode = "aggregate"
[gate.tracking.streams]
resets = "none"

[gate.unsubscribe]
streams = ["news"]

[gate.bounces]
domain = "bounces.{sender}"

[[gate.rule]]
name = "campaigns-are-looked-at"
when.template = "campaign"
hold = true
"""


def run(supervise: Callable[[Path], int]) -> int:
    """Build the world, and serve in it until Ctrl-C. `supervise` runs the gate of a configuration file; its exit code."""
    signal.signal(signal.SIGTERM, _stop)  # until the supervisor has it
    folder = Path(tempfile.mkdtemp(prefix="delivcheck-demo-"))
    try:
        public_key = _make_key(folder / "dkim.pem")
        with _world(public_key) as (tell, dns, sink):
            smtp, http, bounces = _port(SMTP), _port(HTTP), _port(0)
            path = folder / "delivcheck.toml"
            text = CONFIGURATION.format(
                sender=zone.SENDER,
                address=zone.ADDRESS,
                selector=zone.SELECTOR,
                host=HOST,
                dns=dns,
                sink=sink,
                smtp=smtp,
                http=http,
                bounces=bounces,
            )
            path.write_text(text)
            (folder / "state").mkdir(mode=0o700)
            key = _fill(folder / "state")
            _say(path, smtp, http, key)
            tell({"smtp": smtp, "http": http, "bounces": bounces})
            return supervise(path)
    except KeyboardInterrupt:
        return 0
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stop(*_: object) -> None:
    raise SystemExit(0)


def _make_key(path: Path) -> str:
    """A DKIM key; its public half as p= has it."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    made = rsa.generate_private_key(65537, 2048)
    path.write_bytes(
        made.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    path.chmod(0o600)
    public = made.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(public).decode()


@contextlib.contextmanager
def _world(public_key: str) -> Iterator[tuple[Callable[[Mapping[str, int]], None], int, int]]:
    """The world's process: what tells it where the gate is, and its ports for DNS and SMTP."""
    command = [sys.executable, "-m", "delivcheck.cli.showcase.world", HOST, public_key]
    with subprocess.Popen(  # noqa: S603 -- our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            ports = json.loads(process.stdout.readline())

            def tell(ports: Mapping[str, int]) -> None:
                assert process.stdin is not None
                process.stdin.write(json.dumps(ports).encode() + b"\n")
                process.stdin.flush()

            yield tell, ports["dns"], ports["smtp"]
        finally:
            with contextlib.suppress(OSError):
                process.stdin.close()
            process.terminate()


def _port(wanted: int) -> int:
    """That one where it is free, else any."""
    for port in (wanted, 0):
        with contextlib.suppress(OSError), socket.create_server((HOST, port)) as server:
            found: int = server.getsockname()[1]
            return found
    raise OSError(f"no port is free on {HOST}")


def _fill(state: Path) -> str:
    """The last two days, and a key to sign in with, which is returned."""
    from ...gate.tracing import FILE
    from ...trace import keys
    from ...trace.ingest import ingest
    from ...trace.store import Store
    from . import history

    store = Store(f"sqlite:///{state / FILE}")
    store.migrate()
    ingest(store, list(history.records(datetime.now(UTC))))
    with store.write() as db:
        _, secret = keys.add(db, store.tenant(db), "demo", tuple(keys.Scope))
    store.close()
    return secret


def _without_pages() -> str:
    """What to do where they are not installed."""
    return "" if importlib.util.find_spec("jinja2") else "  (not installed: pip install 'delivcheck[web]')"


def _say(path: Path, smtp: int, http: int, key: str) -> None:
    sys.stdout.write(
        f"""
  A gate is running, with a shop that sends through it. Everything is on this machine; no mail leaves it.

  Pages        http://{HOST}:{http}/{_without_pages()}
  Sign in with {key}

  Send your own      swaks --server {HOST}:{smtp} --from me@{zone.SENDER} --to you@example.net
  By Web Service     curl -H 'Authorization: Bearer {key}' \\
                       -H 'Content-Type: application/json' http://{HOST}:{http}/v1/messages \\
                       -d '{{"from": "me@{zone.SENDER}", "to": ["you@example.net"], "subject": "Hello", "text": "Hello!"}}'
  On the terminal    delivcheck trace --last 5 --config {path}
                     delivcheck stats --config {path}

  Ctrl-C ends it, and takes all of it away.

"""
    )
    sys.stdout.flush()
