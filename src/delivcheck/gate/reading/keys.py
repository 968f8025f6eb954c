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
from ...trace.model import Tracking as Counting
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


def _tenants(reader: Reader, keys: Keys, value: Any) -> Mapping[str, tuple[str, ...]]:
    table = reader.table(keys, value, None)
    for name in table:
        reader.each_as((*keys, name), [name], values.name)
    found = {name: reader.words((*keys, name), names) for name, names in table.items()}
    whose: dict[str, str] = {}
    for tenant, names in found.items():
        for name in names:
            if whose.setdefault(name, tenant) != tenant:
                raise reader.fail((*keys, tenant), f"{name} is the tenant {whose[name]}'s already")
    return found


def _countings(reader: Reader, keys: Keys, value: Any) -> Mapping[str, Counting]:
    table = reader.table(keys, value, None)
    return {name: reader.one_of((*keys, name), mode, Counting) for name, mode in table.items()}


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
    "notice": Key(
        _seconds(MAX_SECONDS),
        "seconds before that in which a stop is only told (/ready is 503), so that balancers go elsewhere",
    ),
    "reuse-port": Key(
        _flag, "a second gate may start at the same addresses, and has all new connections once this one is told to stop"
    ),
    "watchdog": Key(_seconds(MAX_SECONDS), "seconds a worker may be silent before it is replaced"),
    "at-most-once": Key(_flag, "a message of which nobody knows whether the next hop has it is not sent again"),
    "users": Key(_path, "the file of users that `delivcheck user` keeps"),
    "admin": Key(_address(values.listening), "where metrics and health are served over HTTP"),
    "log-format": Key(_word(LogFormat), "text or json"),
    "log-level": Key(_word(LogLevel), "debug, info, warning or error"),
}

LISTEN: Mapping[str, Key] = {
    "name": Key(_as(values.name), "its name in logs and metrics; its kind where it is the only one of it"),
    "kind": Key(
        _word(settings.Kind),
        "milter, smtp (trusted networks), submission (587), submissions (465), lmtp, bounces (SMTP of what comes back) or http",
    ),
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
    "may-declare": Key(_flag, "X-Delivcheck-Class, -Stream, -Tag and -Template are read from its mail"),
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

TRACE: Mapping[str, Key] = {
    "url": Key(
        _as(values.store), "the database, postgresql://user@host/name or sqlite:////path; a file in the state folder else"
    ),
    **secrets("password", "its password"),
    "keep": Key(_word(settings.Keep), "what is kept of a message: facts, headers (the facts, too) or message (all of it)"),
    "keep-days": Key(_whole(36_500, 0), "days that messages and their events are kept; 0: for good"),
    "keep-content-days": Key(_whole(36_500, 0), "days that headers and bodies are kept; 0: as long as the message"),
    "max-octets": Key(_whole(MAX_OCTETS), "octets of the database, above which the oldest messages go"),
    "tenants": Key(_tenants, "a table: each tenant's credentials, users or listeners; all others are the tenant default's"),
}

HTTP: Mapping[str, Key] = {
    "public-url": Key(_as(values.base_url), "how recipients reach us, https://mail.example.com: links and one-click begin so"),
    "pages": Key(_flag, "whether the pages are served beside the Web Service"),
    "trusted-proxies": Key(_each(values.trust), "reverse proxies whose X-Forwarded-For and -Proto are believed"),
    "trusted-user-header": Key(_as(values.field_name), "a field in which a trusted proxy names the person it signed in"),
}

_TRACKING = "none, aggregate (of nobody in particular) or identified (of recipients of whom the message says that they consent)"

TRACKING: Mapping[str, Key] = {
    "mode": Key(_word(Counting), f"how opens and clicks are counted: {_TRACKING}"),
    "streams": Key(_countings, "a table: the mode of a stream"),
    "links": Key(_flag, "whether links lead through us, so that clicks are counted"),
    "pixel": Key(_flag, "whether a pixel is put in, so that opens are counted"),
    "exclude": Key(
        _each(values.link_pattern), "links that stay as they are: hosts, *.bank.example, or URLs, https://example.com/my/*"
    ),
    "attribution-days": Key(_whole(3_650), "days that an open or click counts; a link leads on for good"),
}

UNSUBSCRIBE: Mapping[str, Key] = {
    "mailto": Key(
        _as(values.leaving_mailbox),
        "a mailbox that takes unsubscribing mail, too, or @domain, of which all local parts are ours",
    ),
    "streams": Key(_each(str), "only in mail of these streams; in all bulk mail else"),
}

BOUNCES: Mapping[str, Key] = {
    "domain": Key(_as(own_domain), "the domain of signed return paths; its mail must come back to us"),
    "return-paths": Key(_flag, "whether mail is sent with signed return paths, each recipient in a transaction of its own"),
    "streams": Key(_each(str), "only in mail of these streams, as listener or credential say; in all mail else"),
    "addresses": Key(_each(values.mailbox), "further addresses whose mail is taken in, as those of feedback loops"),
    "maildir": Key(_path, "a Maildir whose new messages are taken in, and moved to cur"),
    "postfix-log": Key(_path, "the next hop's Postfix log, followed for what was delivered, deferred and bounced"),
}

REPORTS: Mapping[str, Key] = {
    "provider": Key(_word(settings.Provider), "whose webhook it is: postmark, mailgun, ses or sendgrid"),
    "user": Key(
        _text, "Postmark alone: the user of HTTP Basic, whose password the secret is; else the secret is the end of the path"
    ),
    **secrets("secret", "Postmark's password, Mailgun's signing key, or SendGrid's public key"),
    "topics": Key(_each(values.topic), "SES alone: the ARNs of the SNS topics that it reports to"),
    "subscribe": Key(_flag, "SES alone: confirm subscriptions of these topics"),
}

HOLD: Mapping[str, Key] = {
    "keep-days": Key(_whole(3_650), "days until held mail expires"),
    "max-octets": Key(_whole(MAX_OCTETS), "octets of held mail; what comes beyond is deferred"),
    **secrets("key", "the keys that held mail is encrypted with, 64 hexadecimal digits on each line, the newest first"),
}

WEBHOOKS: Mapping[str, Key] = {
    "networks": Key(
        _each(values.inner), "private networks that webhooks may be in, over http, too; else public addresses only"
    ),
    **secrets("key", "the keys that webhooks' secrets are encrypted with, as for [gate.hold]"),
}

OTEL: Mapping[str, Key] = {
    "endpoint": Key(_as(values.endpoint), "the OTLP/HTTP receiver, http://127.0.0.1:4318; traces and metrics go there"),
    "service-name": Key(_text, "service.name of what is told"),
    "interval": Key(_seconds(MAX_SECONDS), "seconds between two exports of metrics"),
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
    "[gate.webhooks]": WEBHOOKS,
    "[gate.otel]": OTEL,
    "[gate.trace]": TRACE,
    "[gate.http]": HTTP,
    "[gate.tracking]": TRACKING,
    "[gate.unsubscribe]": UNSUBSCRIBE,
    "[gate.bounces]": BOUNCES,
    "[gate.reports.NAME]": REPORTS,
}
SUBTABLES = (
    "bounces",
    "reports",
    "listen",
    "next-hop",
    "sign",
    "rule",
    "credentials",
    "prepare",
    "limits",
    "hold",
    "webhooks",
    "otel",
    "trace",
    "http",
    "tracking",
    "unsubscribe",
)


def said(reader: Reader, keys: Keys, raw: Any, known: Mapping[str, Key], besides: tuple[str, ...] = ()) -> dict[str, Any]:
    """The values of a table, by the names of the settings' fields. Raises ConfigError."""
    table = reader.table(keys, raw, (*known, *besides))
    return {key.replace("-", "_"): known[key].read(reader, (*keys, key), value) for key, value in table.items() if key in known}
