"""What is kept, and what lies encrypted: the trace's store, its keys, held mail, and the places that reports come from."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from .... import keyring
from ... import secret
from ...held import Damaged, HeldError, HeldStore
from ...sealing import Sealing
from ...settings import Gate, Kind, Secret
from .finding import Finding, State

if TYPE_CHECKING:
    from ....trace.store import Store

MOST_HELD = 100  # messages that are tried to be opened
MAX_SECRET = 4_096  # octets, as gate/http/reports.py takes them
GATE = ("sqlalchemy", "alembic", "fastapi", "uvicorn", "python_multipart")  # what the trace and HTTP need of the extra "gate"
LATER = "what happens to mail waits in the journal until then"


def findings(gate: Gate) -> Iterator[Finding]:
    """One for each thing. Nothing is made, and no database is changed."""
    if gate.hold is not None and gate.hold.key is not None:
        yield _held(gate)
    if gate.webhooks.key is not None:
        yield _key("webhooks", gate.webhooks.key, State.PROBLEM)
    if gate.otel is not None:
        yield _extra("OpenTelemetry", "opentelemetry.exporter.otlp.proto.http", "otel", "nothing is told to the collector")
    if gate.trace is None:
        return
    missing = [name for name in GATE if find_spec(name) is None]
    if missing:
        text = f"{', '.join(missing)}: not installed: pip install 'delivcheck[gate]'"
        yield Finding(State.BROKEN, "trace", text)
        return
    yield from _store(gate)
    yield _tokens(gate)
    if any(one.kind is Kind.HTTP for one in gate.listeners) and gate.http.pages:
        yield _extra("pages", "jinja2", "web", "the Web Service is served without them")
    yield from _returning(gate)


def _extra(what: str, module: str, extra: str, without: str) -> Finding:
    """Whether an extra is installed that the gate starts without."""
    try:
        there = find_spec(module) is not None
    except ImportError:  # a package above it is not there
        there = False
    if there:
        return Finding(State.OK, what, "installed")
    return Finding(
        State.WARNING, what, f"{module.partition('.')[0]} is not installed, so {without}: pip install 'delivcheck[{extra}]'"
    )


# --- the store -----------------------------------------------------------------------------------------------------


def _store(gate: Gate) -> Iterator[Finding]:
    """Reachable, ours, and of a version that can be brought to this one."""
    from ....trace.store import StoreError
    from ... import tracing

    try:
        store = tracing.store(gate)
    except StoreError as error:
        yield Finding(State.BROKEN, "trace", str(error))
        return
    try:
        path = Path(store.url.database or "") if store.sqlite else None
        yield _file(store, path) if path is not None else _server(store)
    except StoreError as error:
        yield Finding(State.PROBLEM, "trace", f"{error}; {LATER}")
    finally:
        store.close()


def _file(store: "Store", path: Path) -> Finding:
    import sqlalchemy as sa

    from ....trace import migrations
    from ....trace.store import StoreError

    folder = path.parent
    if not folder.is_dir():
        return Finding(State.PROBLEM, "trace", f"{store}: no such folder; {LATER}")
    if not os.access(folder, os.W_OK | os.X_OK) or (path.exists() and not os.access(path, os.W_OK)):
        return Finding(State.PROBLEM, "trace", f"{store}: not writable for us; {LATER}")
    if not path.exists():
        return Finding(State.OK, "trace", f"{store}: is made at the start")
    # By a connection of its own that can only read: that of the store would switch a foreign file to write-ahead logging.
    engine = sa.create_engine("sqlite://", creator=lambda: sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True))
    try:
        with engine.connect() as connection:
            return _version(store, migrations.version(connection))
    except migrations.NotOurs as error:
        raise StoreError(f"{store}: {error}") from None
    except sa.exc.SQLAlchemyError as error:
        raise StoreError(f"{store}: {getattr(error, 'orig', None) or type(error).__name__}") from None
    finally:
        engine.dispose()


def _server(store: "Store") -> Finding:
    import sqlalchemy as sa

    from ....trace import migrations
    from ....trace.store import StoreError

    with store.read() as connection:
        try:
            version = migrations.version(connection)
        except migrations.NotOurs as error:
            raise StoreError(f"{store}: {error}") from None
        may = connection.scalar(sa.text("SELECT has_schema_privilege(current_schema(), 'CREATE')"))
    if version != migrations.HEAD and not may:
        return Finding(State.PROBLEM, "trace", f"{store}: we may make no tables in its schema (GRANT CREATE); {LATER}")
    return _version(store, version)


def _version(store: "Store", found: str | None) -> Finding:
    from ....trace import migrations

    if found is None:
        return Finding(State.OK, "trace", f"{store}: empty; its tables are made at the start")
    if found == migrations.HEAD:
        return Finding(State.OK, "trace", str(store))
    if found not in migrations.known():
        text = f"{store}: its tables are of a later version of delivcheck ({found}): update delivcheck; {LATER}"
        return Finding(State.PROBLEM, "trace", text)
    return Finding(State.OK, "trace", f"{store}: its tables are brought from {found} to {migrations.HEAD} at the start")


# --- keys ----------------------------------------------------------------------------------------------------------


def _tokens(gate: Gate) -> Finding:
    """The keys of links and return paths: who has them can forge these, and who loses them breaks all that were sent."""
    from ....trace import tokens

    path = gate.state / tokens.FILE
    what = "token keys"
    try:
        if not path.exists():
            return Finding(State.OK, what, f"{path}: made at the first start")
        tokens.load(path)
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        return Finding(
            State.BROKEN, what, str(error) if isinstance(error, ValueError) else f"{path}: {error.strerror or error}"
        )
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding(State.WARNING, what, f"{path}: mode {stat.S_IMODE(mode):04o} lets others read it; 0600 is enough")
    return Finding(State.OK, what, str(path))


def _key(what: str, where: Secret, state: State) -> Finding:
    """Whether keys that encrypt can be had; what it is where they cannot."""
    try:
        Sealing(where).check()
    except keyring.NoKeys as error:
        return Finding(state, f"key of {what}", str(error))
    return Finding(State.OK, f"key of {what}", secret.place(where))


def _held(gate: Gate) -> Finding:
    """The keys of held mail, and whether they open what is held."""
    hold = gate.hold
    assert hold is not None
    assert hold.key is not None
    found = _key("held mail", hold.key, State.BROKEN)
    if found.state is not State.OK or not gate.state.is_dir():
        return found
    store = HeldStore(gate.state, hold)
    try:
        tried = list(islice(store.after(""), MOST_HELD))
    except (HeldError, OSError) as error:
        return Finding(State.PROBLEM, found.what, str(error))
    closed = [one.trace for one in tried if isinstance(one, Damaged)]
    if closed:
        text = f"{found.text}: {len(closed)} of {len(tried)} held messages are not opened with it, {closed[0]} among them"
        return Finding(State.PROBLEM, found.what, text)
    return found


# --- what comes back -----------------------------------------------------------------------------------------------


def _returning(gate: Gate) -> Iterator[Finding]:
    for one in gate.reports:
        if one.secret is None:
            continue
        try:
            secret.read(one.secret, MAX_SECRET)
        except secret.NoSecret as error:
            yield Finding(State.PROBLEM, f"reports {one.name}", f"{error}; each is told to come again")
        else:
            yield Finding(State.OK, f"reports {one.name}", f"{one.provider}, at /hooks/{one.name}")
    if gate.bounces is None:
        return
    if gate.bounces.maildir is not None:
        yield _maildir(gate.bounces.maildir)
    if gate.bounces.postfix_log is not None:
        yield _log(gate.bounces.postfix_log)


def _maildir(path: Path) -> Finding:
    for name in ("new", "cur"):
        folder = path / name
        if not folder.is_dir():
            return Finding(State.PROBLEM, "Maildir", f"{folder}: no such folder")
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            return Finding(State.PROBLEM, "Maildir", f"{folder}: not readable and writable for us")
    return Finding(State.OK, "Maildir", str(path))


def _log(path: Path) -> Finding:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        return Finding(State.PROBLEM, "Postfix log", f"{path}: {error.strerror or error}")
    return Finding(State.OK, "Postfix log", str(path))
