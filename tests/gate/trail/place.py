"""A whole gate as its operator runs it, with a next hop behind it, its Web Service, and its command line: `with place(tmp_path)`."""

import contextlib
import http.client
import io
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message as Header
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from delivcheck.cli import main
from delivcheck.trace import schema
from delivcheck.trace.store import Store
from tests.gate.serve.running import Running
from tests.gate.serve.test_gate import next_hop
from tests.mta import wait_until
from tests.soak.gates import configuration, gate, listen
from tests.soak.queueing import Mail, Refused, Session

TRACE = "[gate.trace]\n"
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
WHOLE = ["accepted", "checked", "passed", "sent"]  # what happens to every message that nothing stands against


@dataclass
class Answer:
    """What came back over HTTP; field names of the header in any case."""

    status: int
    header: Header
    octets: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.octets)


@dataclass
class Place:
    """The gate, and everything around it."""

    folder: Path
    path: Path  # of the configuration
    running: Running
    hop: Any = None
    _stores: list[Store] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def store(self) -> Store:
        """A second reader of the trace, as the command line is one."""
        if not self._stores:
            self._stores.append(Store(f"sqlite:///{self.state}/trace.sqlite"))
        return self._stores[0]

    def close(self) -> None:
        for one in self._stores:
            one.close()

    # --- mail

    def send(self, octets, *recipients, sender="a@example.org", listener="smtp") -> str:
        """Hand it in over SMTP; what is said to the dot. Raises Refused."""
        with Session(self.running.address(listener)) as session:
            return session.send(Mail("", octets, sender, recipients or ("pat@example.net",)))

    def refused(self, octets, *recipients, **more) -> str:
        """Why it is not taken; "" where it is."""
        try:
            self.send(octets, *recipients, **more)
        except Refused as no:
            return str(no)
        return ""

    # --- HTTP

    def ask(self, method, path, body=None, *, key=None, listener="http", kind="application/json", **fields) -> Answer:
        """One request; `body` is JSON, or octets of the type `kind`."""
        header = {name.replace("_", "-"): value for name, value in fields.items()}
        if key is not None:
            header["Authorization"] = f"Bearer {key}"
        if body is not None:
            header["Content-Type"] = kind
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        return asked(self.running.address(listener), method, path, body, header)

    # --- the command line

    def cli(self, *words, code=0) -> str:
        """What `delivcheck …` prints, with this configuration."""
        return cli(*words, "--config", str(self.path), code=code)

    def key(self, name, *scopes, tenant="default", domains=()) -> str:
        """A key of the Web Service."""
        options = [*(f"--scope={one}" for one in scopes), *(f"--domain={one}" for one in domains), f"--tenant={tenant}"]
        return self.cli("key", "api", "add", name, *options).strip()

    # --- the trace

    def kinds(self, recipient=None, trace=None) -> list[str]:
        """Everything that happened, sorted: to a recipient, or of a message."""
        return sorted(one.kind for one in self.events(recipient, trace))

    def events(self, recipient=None, trace=None) -> list[Any]:
        """Events in the order in which the store got them; `detail` as JSON."""
        e, r = schema.event.c, schema.recipient.c
        wanted = sa.select(e.kind, e.actor, e.detail, e.source, e.message, r.address, e.seq)
        wanted = wanted.outerjoin(schema.recipient, r.id == e.recipient).order_by(e.seq)
        if recipient is not None:
            wanted = wanted.where(r.normal == recipient)
        if trace is not None:
            wanted = wanted.where(e.message == trace)
        if not self.store_is_there():
            return []
        with self.store.read() as db:
            return list(db.execute(wanted).all())

    def store_is_there(self) -> bool:
        return bool(self._stores) or (self.state / "trace.sqlite").exists()

    def wait_kinds(self, wanted, **which) -> None:
        """Until exactly this happened."""
        wait_until(lambda: self.kinds(**which) == sorted(wanted), lambda: f"{self.kinds(**which)}, not {sorted(wanted)}")

    def suppressed(self) -> list[tuple[str, str, str]]:
        """The list: address, stream, reason."""
        s = schema.suppression.c
        with self.store.read() as db:
            return [tuple(one) for one in db.execute(sa.select(s.address, s.stream, s.reason).order_by(s.id))]


def asked(address, method, path, body=None, header=None) -> Answer:
    """One request to anybody."""
    connection = http.client.HTTPConnection(*address, timeout=30)
    try:
        connection.request(method, path, body, header or {})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


def cli(*words, code=0) -> str:
    """Run a command in this process; its standard output."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    with contextlib.redirect_stdout(out):
        done = main(list(words))
    said = out.buffer.getvalue().decode()
    assert done == code, f"{words}: {done}\n{said}"
    return said


@contextmanager
def place(folder, more=TRACE, *, listeners=(), hop=None, policy=None, workers=1, lines="", hops="", **says):
    """The gate, its next hop (its own, or the one at `hop`), one listener of SMTP and one of HTTP, and what `listeners` adds."""
    with contextlib.ExitStack() as stack:
        behind = None
        if hop is None:
            behind = stack.enter_context(next_hop(says=says))
            hop = (behind.host, behind.port)
        opened = [listen("smtp", received=False, credential="smtp"), listen("http", "http"), *listeners]
        credential = "" if "[gate.credentials.smtp]" in more else "[gate.credentials.smtp]\nmay-declare = true\n"
        path = configuration(
            folder, *opened, hop=hop, workers=workers, more=more + credential, lines=lines, hops=hops, policy=policy
        )
        running = stack.enter_context(gate(folder, path, workers=workers + 1))
        made = Place(folder, path, running, behind)
        stack.callback(made.close)
        yield made


def mail(subject="hello", text="Hello.", **fields) -> bytes:
    """A small message."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    return f"From: a@example.org\r\nTo: pat@example.net\r\nSubject: {subject}\r\n{more}\r\n{text}\r\n".encode()


def octets_at(hop, count) -> list[bytes]:
    """What the next hop took, as soon as there are so many."""
    wait_until(lambda: len(hop.messages) >= count, lambda: f"{len(hop.messages)} of {count} messages came")
    return [one.octets for one in hop.messages]
