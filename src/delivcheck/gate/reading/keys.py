"""The keys of the `[gate]` table: how each value is read, and what it means. The documentation is made of these tables.

Names are those of `settings`, with hyphens. Defaults stand there, and in no second place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ...model import MessageClass
from ...records.identities import own_domain, sending_address
from ...tables import Keys, Reader, nearest
from .. import settings
from ..profiles import PROFILES
from . import values

MAX_WORKERS = 256  # twice the cores of the largest machines one meets
MAX_COUNT = 1_000_000  # of connections and recipients; file descriptors end long before
MAX_OCTETS = 1 << 50  # a pebibyte: more is a slip of the finger
MAX_SECONDS = 86_400  # a day
MAX_DEADLINE = 300  # seconds: Postfix's milter_content_timeout, and RFC 5321 section 4.5.3.2.6 gives clients ten minutes

Read = Callable[[Reader, Keys, Any], Any]


@dataclass(frozen=True, slots=True)
class Key:
    """One key: how its value is read, and what it means to the operator."""

    read: Read
    means: str


# --- how values are read -------------------------------------------------------------------------------------------


def _text(reader: Reader, keys: Keys, value: Any) -> str:
    """A string that is not blank, in one line."""
    found = reader.string(keys, value)
    if found is None or not found.isprintable():
        raise reader.fail(keys, f"a string in one line is wanted here, not {value!r}")
    return found


def _as(read: Callable[[str], Any]) -> Read:
    """A string that a parser reads."""
    return lambda reader, keys, value: reader.each_as(keys, [_text(reader, keys, value)], read)[0]


def _each(read: Callable[[str], Any]) -> Read:
    """A list of strings that a parser reads, or one string."""

    def every(reader: Reader, keys: Keys, value: Any) -> tuple[Any, ...]:
        return reader.each_as(keys, reader.words(keys, [value] if isinstance(value, str) else value), read)

    return every


def _address(read: Callable[[str, Path], settings.Address]) -> Read:
    return lambda reader, keys, value: _as(lambda text: read(text, reader.path.parent))(reader, keys, value)


def _word(words: type[StrEnum]) -> Read:
    return lambda reader, keys, value: reader.one_of(keys, value, words)


def _path(reader: Reader, keys: Keys, value: Any) -> Path:
    """A path, beside the configuration where it is not absolute: where somebody happens to stand must not matter."""
    return reader.path.parent / _text(reader, keys, value)


def _flag(reader: Reader, keys: Keys, value: Any) -> bool:
    return reader.flag(keys, value)


def _whole(most: int, least: int = 1) -> Read:
    def whole(reader: Reader, keys: Keys, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise reader.fail(keys, f"a whole number from {least} to {most} is wanted here, not {value!r}")
        return value

    return whole


def _seconds(most: float) -> Read:
    return lambda reader, keys, value: float(reader.number(keys, value, most, f"a number of seconds below {most} and"))


def _command(reader: Reader, keys: Keys, value: Any) -> tuple[str, ...]:
    """A command as a list of words: no shell is involved."""
    words = reader.words(keys, value)
    if not words or not words[0] or any("\0" in word for word in words):
        raise reader.fail(keys, f"a list of the command and its arguments is wanted here, not {value!r}")
    return words


def _classes(reader: Reader, keys: Keys, value: Any) -> tuple[MessageClass, ...]:
    return tuple(dict.fromkeys(reader.one_of(keys, word, MessageClass) for word in reader.words(keys, value)))


def _profile(reader: Reader, keys: Keys, value: Any) -> str:
    if not isinstance(value, str) or value not in PROFILES:
        raise reader.fail(keys, f"{value!r} is none of {', '.join(PROFILES)}{nearest(str(value), PROFILES)}")
    return value


def _fields(reader: Reader, keys: Keys, value: Any) -> Mapping[str, str]:
    table = reader.table(keys, value, None)
    for name in table:
        reader.each_as((*keys, name), [name], values.field_name)
    return {name: _as(values.filled_in)(reader, (*keys, name), text) for name, text in table.items()}


def secrets(prefix: str, what: str) -> Mapping[str, Key]:
    """The keys that say where a secret is."""
    return {
        f"{prefix}-file": Key(_path, f"a file with {what}"),
        f"{prefix}-env": Key(_text, f"an environment variable with {what}"),
        f"{prefix}-command": Key(_command, f"a command, as a list of words, that prints {what}"),
    }


# --- the tables ----------------------------------------------------------------------------------------------------


class LogFormat(StrEnum):
    """How the log is written."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """From where on events are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


_MODE = "whether the verdict has consequences: observe (judge, log and count, accept everything) or enforce"
_ON_FAULT = "what becomes of a message that cannot be judged through a fault of ours: defer, send or hold"

GATE: Mapping[str, Key] = {
    "name": Key(
        _as(values.host_name), "our fully qualified host name, for banner, EHLO, Authentication-Results and Message-ID"
    ),
    "mode": Key(_word(settings.Mode), _MODE),
    "on-fault": Key(_word(settings.OnFault), _ON_FAULT),
    "state": Key(
        _path, "journal, held mail, DNS answers: a folder that is there, and belongs to the user that the gate runs as"
    ),
    "egress": Key(_each(sending_address), "the addresses that mail leaves from, for which SPF is judged"),
    "egress-ehlo": Key(_as(values.host_name), "the name said in EHLO where mail leaves, for SPF of the null sender"),
    "workers": Key(_whole(MAX_WORKERS), "how many processes; one per core where it is not said"),
    "deadline": Key(_seconds(MAX_DEADLINE), "seconds from the end of a message to our answer"),
    "drain": Key(_seconds(MAX_SECONDS), "seconds that messages in flight have at a stop"),
    "watchdog": Key(_seconds(MAX_SECONDS), "seconds a worker may be silent before it is replaced"),
    "at-most-once": Key(_flag, "a message of which nobody knows whether the next hop has it is not sent again"),
    "users": Key(_path, "the file of users that `delivcheck user` keeps"),
    "admin": Key(_address(values.listening), "where metrics and health are served over HTTP"),
    "log-format": Key(_word(LogFormat), "text or json"),
    "log-level": Key(_word(LogLevel), "debug, info, warning or error"),
}

LISTEN: Mapping[str, Key] = {
    "name": Key(_as(values.name), "its name in logs and metrics; its kind where it is the only one of it"),
    "kind": Key(_word(settings.Kind), "milter, smtp (trusted networks), submission (587), submissions (465) or lmtp"),
    "address": Key(
        _address(values.listening), "unix:/path, 127.0.0.1:587 or [::1]:25; port 0: the kernel chooses, the log says"
    ),
    "networks": Key(_each(values.network), "who may connect; everyone who can reach it where it is not said"),
    "trusted": Key(
        _each(values.trust),
        "who may relay without AUTH; of a milter: clients of the MTA who have the credential without a login",
    ),
    "credential": Key(
        _as(values.name),
        "what clients of trusted networks, and of a milter, may send: a [gate.credentials.NAME]; else that of its name",
    ),
    "certificate": Key(_path, "the certificate chain, PEM; STARTTLS is offered with it"),
    "key": Key(_path, "the certificate's private key, PEM; in the same file where it is not said"),
    "xclient": Key(_each(values.trust), "who may say XCLIENT"),
    "xforward": Key(_each(values.network), "who may say XFORWARD"),
    "proxy": Key(_each(values.trust), "who must begin with a PROXY header"),
    "stream": Key(_text, "the stream of its mail where the mail does not say"),
    "mode": Key(_word(settings.Mode), _MODE),
    "on-fault": Key(_word(settings.OnFault), _ON_FAULT),
    "pre-sign": Key(_flag, "a DKIM signer comes after us, so signatures are not judged"),
    "received": Key(_flag, "whether our own Received field is put on top; behind XFORWARD it is not where this is not said"),
    "banner": Key(_as(values.banner), "the text of the greeting after our name"),
    "group": Key(_text, "the group of the UNIX socket"),
    "socket-mode": Key(_as(values.octal), 'the permissions of the UNIX socket, "0660"'),
}

NEXT_HOP: Mapping[str, Key] = {
    "name": Key(_as(values.name), "its name in logs, metrics and journal; its address where it is not said"),
    "address": Key(_address(values.address), "host:port or unix:/path"),
    "lmtp": Key(_flag, "it speaks LMTP"),
    "security": Key(
        _word(settings.Security),
        "TLS: none, opportunistic (not verified), required (STARTTLS, verified) or implicit (465, verified)",
    ),
    "ca-file": Key(_path, "certificates to trust beside the system's, PEM"),
    "server-name": Key(_as(values.host_name), "the name in its certificate where that is not the host"),
    "user": Key(_text, "the user to log in as"),
    **secrets("password", "the password or token"),
    "mechanism": Key(_word(settings.SaslMechanism), "PLAIN, LOGIN or XOAUTH2; the best that is offered where it is not said"),
    "domains": Key(_each(values.route), "recipient domains: a name, *.name for all below it, * for all others"),
    "profile": Key(_profile, f"what it does with mail: {', '.join(PROFILES)}"),
    "connections": Key(_whole(MAX_COUNT), "connections at most, for each worker"),
    "xforward": Key(_flag, "tell it who the client was (`smtpd_proxy_filter`)"),
}

SIGN: Mapping[str, Key] = {
    "domain": Key(_as(own_domain), "d=: From domains it signs for, itself and below"),
    "selector": Key(_as(values.selector), "s="),
    **secrets("key", "the private key, PEM, RSA or Ed25519"),
}

CREDENTIAL: Mapping[str, Key] = {
    "domains": Key(_each(own_domain), "domains that From and MAIL FROM may be in, each with all below it"),
    "streams": Key(_each(str), "streams its mail may belong to; the first is taken where the mail names none"),
    "classes": Key(_classes, "classes that a header may declare"),
    "may-declare": Key(_flag, "X-Delivcheck-Class, -Stream and -Tag are read from its mail"),
}

PREPARE: Mapping[str, Key] = {
    "date": Key(_flag, "add Date where it is missing"),
    "message-id": Key(_flag, "add Message-ID where it is missing"),
    "list-unsubscribe": Key(_as(values.https), "an https URL for List-Unsubscribe and one click, in bulk mail"),
    "feedback-id": Key(_as(values.filled_in), "the value of Feedback-ID"),
    "fields": Key(_fields, "a table of further header fields"),
}

LIMITS: Mapping[str, Key] = {
    "message-size": Key(_whole(MAX_OCTETS), "octets of a message"),
    "recipients": Key(_whole(MAX_COUNT, 100), "recipients of a transaction; RFC 5321 section 4.5.3.1.8 asks for 100"),
    "connections": Key(_whole(MAX_COUNT), "connections, for each worker"),
    "connections-per-client": Key(_whole(MAX_COUNT), "connections of one address, for each worker"),
    "in-flight": Key(_whole(MAX_OCTETS), "octets of messages in memory, for each worker"),
    "repair-line-ends": Key(_flag, "bare CR and LF become CRLF before judging, instead of a refusal"),
}

HOLD: Mapping[str, Key] = {
    "keep-days": Key(_whole(3_650), "days until held mail expires"),
    "max-octets": Key(_whole(MAX_OCTETS), "octets of held mail; what comes beyond is deferred"),
}

TABLES: Mapping[str, Mapping[str, Key]] = {  # as the documentation names them
    "[gate]": GATE,
    "[[gate.listen]]": LISTEN,
    "[[gate.next-hop]]": NEXT_HOP,
    "[[gate.sign]]": SIGN,
    "[gate.credentials.NAME]": CREDENTIAL,
    "[gate.prepare]": PREPARE,
    "[gate.limits]": LIMITS,
    "[gate.hold]": HOLD,
}
SUBTABLES = ("listen", "next-hop", "sign", "credentials", "prepare", "limits", "hold")


def said(reader: Reader, keys: Keys, raw: Any, known: Mapping[str, Key], besides: tuple[str, ...] = ()) -> dict[str, Any]:
    """The values of a table, by the names of the settings' fields. Raises ConfigError."""
    table = reader.table(keys, raw, (*known, *besides))
    return {key.replace("-", "_"): known[key].read(reader, (*keys, key), value) for key, value in table.items() if key in known}
