"""The trace of a gate: its store and its token keys, found from the configuration."""

from ..trace import tokens
from ..trace.store import Store, StoreError
from . import secret
from .secret import NoSecret
from .settings import Gate

FILE = "trace.sqlite"  # in the state folder
MAX_PASSWORD = 1_024  # octets


def store(gate: Gate) -> Store:
    """The store, not opened yet. Blocks where a command gives the password. Raises StoreError."""
    trace = gate.trace
    if trace is None or trace.url is None:
        return Store(f"sqlite:///{(gate.state / FILE).absolute()}")
    if trace.password is None:
        return Store(trace.url)
    try:
        password = secret.read(trace.password, MAX_PASSWORD).decode("utf-8").rstrip("\r\n")
    except (NoSecret, UnicodeDecodeError) as error:
        raise StoreError(f"the database's password: {error}") from None
    return Store(trace.url, password)


def keys(gate: Gate) -> tokens.Tokens:
    """The keys of links, one-click and return paths, made at the first start. Blocks. Raises OSError, ValueError."""
    return tokens.load(gate.state / tokens.FILE, make=True)
