"""What a hook may be told: by its caller, or by the `[hooks]` table of the configuration, read strictly. Raises ConfigError."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from ..config import Config
from ..model import IPAddress
from ..tables import Keys, Reader

MAX_DEADLINE = 600.0  # seconds: smtplib's callers wait that long for nobody
DEADLINE = 10.0  # seconds a caller is kept waiting for the verdict; a web request has rarely more than 30


class Mode(StrEnum):
    """Whether the verdict has consequences."""

    OBSERVE = "observe"  # judge and record; mail is sent, whatever breaks
    ENFORCE = "enforce"


class OnUnknown(StrEnum):
    """What becomes of a message of which it could not be found out whether it may be sent."""

    SEND = "send"  # and record a bypass: behind an application there is no queue that would try again
    RAISE = "raise"  # for callers that try again themselves


@dataclass(frozen=True, slots=True)
class Hooks:
    """The `[hooks]` table. `deadline` in seconds; paths are absolute.

    `signed_later` None: what carries no DKIM-Signature is signed by the next hop. `daemon` is the socket of
    `delivcheck daemon`. `ips` and `ehlo` are how the next hop's mail leaves, for SPF; without them its rules about the session
    do not apply.
    """

    mode: Mode = Mode.ENFORCE
    on_unknown: OnUnknown = OnUnknown.SEND
    stream: str | None = None
    deadline: float = DEADLINE
    record: Path | None = None
    daemon: Path | None = None
    signed_later: bool | None = None
    ips: tuple[IPAddress, ...] = ()
    ehlo: str | None = None


def read(found: Config) -> Hooks:
    """What the configuration says of hooks; a configuration without the table says nothing. Raises ConfigError."""
    if found.hooks is None:
        return Hooks()
    reader, at = found.hooks.reader, found.hooks.keys
    table = reader.table(at, found.hooks.raw, _KEYS)
    said = {name.replace("-", "_"): _KEYS[name](reader, (*at, name), value) for name, value in table.items()}
    if (stream := said.get("stream")) is not None and stream not in found.streams:
        found.stream(stream)  # raises, with the name that was meant
    if "ip" in said:
        said["ips"] = said.pop("ip")
    return replace(Hooks(), **said)


def _path(reader: Reader, keys: Keys, value: Any) -> Path:
    text = reader.string(keys, value)
    assert text is not None  # TOML has no null
    return reader.path.parent.absolute() / text


def _addresses(reader: Reader, keys: Keys, value: Any) -> tuple[IPAddress, ...]:
    return reader.each_as(keys, reader.words(keys, [value] if isinstance(value, str) else value), ip_address)


_KEYS: Mapping[str, Callable[[Reader, Keys, Any], Any]] = {
    "mode": lambda reader, keys, value: reader.one_of(keys, value, Mode),
    "on-unknown": lambda reader, keys, value: reader.one_of(keys, value, OnUnknown),
    "stream": lambda reader, keys, value: reader.string(keys, value),
    "deadline": lambda reader, keys, value: reader.number(keys, value, MAX_DEADLINE, "a number of seconds"),
    "record": _path,
    "daemon": _path,
    "signed-later": lambda reader, keys, value: reader.flag(keys, value),
    "ip": _addresses,
    "ehlo": lambda reader, keys, value: reader.string(keys, value),
}
