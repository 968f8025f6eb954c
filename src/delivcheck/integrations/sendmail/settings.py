"""The `[sendmail]` table of the configuration, read strictly. Raises ConfigError."""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ...config import Config, ConfigError
from ...gate.settings import Address, NextHop, SaslMechanism, Secret, Security
from ...tables import Keys, Reader
from . import addresses
from .sysexits import Exit

MAILNAME = Path("/etc/mailname")  # Debian policy 11.6: what stands behind the @ of this machine's users
PORTS = {"smtp": 25, "smtps": 465, "lmtp": 24}
MAX_CODE = 255

Hop = NextHop | tuple[str, ...]  # a server, or another sendmail and its first arguments


@dataclass(frozen=True, slots=True)
class Sendmail:
    """Where mail goes, and what sendmail itself puts into it.

    `domain` stands behind names without one, and is our name in EHLO. `sender` is the envelope's sender where -f gives none.
    `temporary` is the exit code for "not now": PHP 8.5 takes 75 for mail that was sent, since a sendmail queues.
    """

    next_hop: Hop
    domain: str
    sender: str | None = None
    temporary: int = Exit.TEMPFAIL


def read(found: Config, next_hop: str | None = None) -> Sendmail:
    """What the configuration says; `next_hop` goes before its own. Raises ConfigError."""
    at: Keys = ("sendmail",) if found.sendmail is None else found.sendmail.keys
    if found.sendmail is None:
        if next_hop is None:
            raise ConfigError(f"{found.path or 'no configuration'}: sendmail.next-hop: where mail is handed on to is not said")
        reader, table = Reader(Path("--next-hop"), ""), {}
    else:
        reader = found.sendmail.reader
        table = dict(reader.table(at, found.sendmail.raw, (*_KEYS, *_OF_SERVER, *_SECRET, "next-hop", "password")))
    if "password" in table:
        raise reader.fail((*at, "password"), f"a password does not stand in the configuration; name {', '.join(_SECRET)}")
    said = {field: kind(reader, (*at, key), table[key]) for key, (field, kind) in _KEYS.items() if key in table}
    if "domain" not in said:
        said["domain"] = own_domain()
    raw = next_hop if next_hop is not None else table.get("next-hop")
    return Sendmail(_hop(reader, at, raw, table), **said)


def own_domain() -> str:
    """What this machine says of itself."""
    try:
        named = MAILNAME.read_text("ascii").partition("\n")[0].strip()
    except (OSError, ValueError):
        named = ""
    host = named or socket.gethostname()
    return host if "." in host else socket.getfqdn(host)


# --- the next hop ----------------------------------------------------------------------------------------------------


def _hop(reader: Reader, at: Keys, raw: Any, table: Mapping[str, Any]) -> Hop:
    keys = (*at, "next-hop")
    if isinstance(raw, list):
        for key in (*_OF_SERVER, *_SECRET):
            if key in table:
                raise reader.fail((*at, key), "this is for a server, and next-hop is a command")
        words = reader.words(keys, raw)
        if not words or not Path(words[0]).is_absolute() or any("\0" in word for word in words):
            raise reader.fail(keys, "a command is a list that begins with an absolute path")
        return words
    address, scheme, user = _url(reader, keys, reader.string(keys, raw) or "")
    given = {field: kind(reader, (*at, key), table[key]) for key, (field, kind) in _OF_SERVER.items() if key in table}
    if user is not None:
        given["user"] = user
    if scheme == "smtps":
        if given.setdefault("security", Security.IMPLICIT) is not Security.IMPLICIT:
            raise reader.fail((*at, "security"), "smtps:// is TLS from the first octet: implicit")
    elif address.path is not None:
        given.setdefault("security", Security.NONE)  # nobody listens in on a UNIX socket
    secrets = {field: kind(reader, (*at, key), table[key]) for key, (field, kind) in _SECRET.items() if key in table}
    if len(secrets) > 1 or bool(secrets) != ("user" in given):
        raise reader.fail(keys, f"a user has one of {', '.join(_SECRET)}, and neither goes without the other")
    secret = Secret(**secrets) if secrets else None
    return NextHop(str(address), address, lmtp=scheme == "lmtp", secret=secret, connections=1, **given)


def _url(reader: Reader, keys: Keys, text: str) -> tuple[Address, str, str | None]:
    """Address, scheme and user of smtp://host:25, smtps://user@host, lmtp:///run/lmtp.sock."""
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        raise reader.fail(keys, f"{text!r}: {error}") from None
    if parts.password is not None:
        raise reader.fail(keys, f"a password does not stand in the configuration; name {', '.join(_SECRET)}")
    odd = parts.query or parts.fragment or port == 0 or not text.isprintable() or " " in text
    if parts.scheme not in PORTS or odd or bool(host) == bool(parts.path.strip("/")):
        raise reader.fail(
            keys, f"{text!r} is none of smtp://host:25, smtps://host:465, lmtp://host:24, lmtp:///path, and no list"
        )
    user = None if parts.username is None else unquote(parts.username)
    if not host:
        return Address(Path(parts.path)), parts.scheme, user
    return Address(None, host, port or PORTS[parts.scheme]), parts.scheme, user


# --- keys ------------------------------------------------------------------------------------------------------------


def _text(reader: Reader, keys: Keys, value: Any) -> str:
    found = reader.string(keys, value)
    if found is None or not found.isprintable():
        raise reader.fail(keys, f"a string in one line is wanted here, not {value!r}")
    return found


def _path(reader: Reader, keys: Keys, value: Any) -> Path:
    return reader.path.parent.absolute() / _text(reader, keys, value)


def _command(reader: Reader, keys: Keys, value: Any) -> tuple[str, ...]:
    words = reader.words(keys, value)
    if not words or not words[0]:
        raise reader.fail(keys, "a list of the command and its arguments is wanted here")
    return words


def _domain(reader: Reader, keys: Keys, value: Any) -> str:
    from ...records.names import to_ascii

    return reader.each_as(keys, [_text(reader, keys, value)], to_ascii)[0]


def _sender(reader: Reader, keys: Keys, value: Any) -> str:
    return reader.each_as(keys, [_text(reader, keys, value)], lambda text: addresses.one(text, ""))[0]


def _code(reader: Reader, keys: Keys, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_CODE:
        raise reader.fail(keys, f"an exit code from 1 to {MAX_CODE} is wanted here, not {value!r}")
    return value


_Key = tuple[str, Callable[[Reader, Keys, Any], Any]]  # the field, and how its value is read
_KEYS: Mapping[str, _Key] = {
    "domain": ("domain", _domain),
    "from": ("sender", _sender),
    "temporary-exit-code": ("temporary", _code),
}
_OF_SERVER: Mapping[str, _Key] = {
    "user": ("user", _text),
    "security": ("security", lambda reader, keys, value: reader.one_of(keys, value, Security)),
    "mechanism": ("mechanism", lambda reader, keys, value: reader.one_of(keys, value, SaslMechanism)),
    "ca-file": ("ca_file", _path),
    "server-name": ("server_name", _domain),
}
_SECRET: Mapping[str, _Key] = {
    "password-file": ("file", _path),
    "password-env": ("environment", _text),
    "password-command": ("command", _command),
}
