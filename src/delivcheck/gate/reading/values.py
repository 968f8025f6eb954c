"""Single values of the gate's configuration: addresses, networks, routes, templates of headers. Each raises BadValue."""

import ipaddress
import re
import string
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from ...records.names import BadName, to_ascii, unmapped
from ...tables import nearest
from ..settings import Address, Network

MAX_PORT = 65_535
MAX_UNIX_PATH = 107  # octets: sun_path of Linux has 108 with its NUL; macOS takes 103
PLACEHOLDERS = ("trace", "stream", "recipient")  # of `settings.Additions`
MAX_FIELD = 900  # characters of a value we add: RFC 5322 section 2.1.1 allows lines of 998, and placeholders grow
MAX_BANNER = 400  # characters: with code and name one reply line of RFC 5321 section 4.5.3.1.5
NOT_ADDED = frozenset(  # fields that others are responsible for, or that a second one makes malformed (RFC 5322 section 3.6)
    {
        *("from", "sender", "to", "cc", "bcc", "reply-to", "subject", "date", "message-id"),
        *("received", "return-path", "dkim-signature", "authentication-results"),
        *("mime-version", "content-type", "content-transfer-encoding"),
        *("list-unsubscribe", "list-unsubscribe-post", "feedback-id"),  # have keys of their own
    }
)
# The widest private ranges, 10.0.0.0/8 (RFC 1918) and fc00::/7 (RFC 4193): what is wider is no network of the user's own.
NARROWEST_TRUST = {4: 8, 6: 7}

_HOST = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*\Z")
_PORT = re.compile(r"[0-9]{1,5}\Z")
_OCTAL = re.compile(r"0?[0-7]{3}\Z")
_FIELD_NAME = re.compile(r"[!-9;-~]+\Z")  # RFC 5322 section 3.6.8
_IN_NO_URL = re.compile(r"""[\s<>"'\\^`{|},]""")  # what RFC 3986 has not, and the comma, which ends a URL in a header
_TOPIC = re.compile(r"arn:aws(?:-[a-z]+)*:sns:[a-z0-9-]{4,30}:[0-9]{12}:[A-Za-z0-9_-]{1,256}(?:\.fifo)?", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")  # goes into logs and into labels of metrics


class BadValue(ValueError):  # noqa: N818 -- reads well in an except clause
    """Not what it should be; the text says what it is not."""


def address(text: str, base: Path, least_port: int = 1) -> Address:
    """`unix:/path`, `127.0.0.1:587`, `[::1]:25` or `host:25`; a path that is not absolute is looked for below `base`."""
    kind, colon, rest = text.partition(":")
    if kind.lower() == "unix" and colon:
        if not rest or "\0" in rest:
            raise BadValue(f"{text!r} names no path")
        path = base / rest
        if len(str(path).encode()) > MAX_UNIX_PATH:
            raise BadValue(f"{text!r}: the path of a UNIX socket has {MAX_UNIX_PATH} octets at most")
        return Address(path)
    host, colon, port = text.rpartition(":")
    if not colon or not _PORT.match(port):
        raise BadValue(f"{text!r} is no address such as unix:/path, 127.0.0.1:587 or [::1]:25")
    if not least_port <= int(port) <= MAX_PORT:
        raise BadValue(f"{text!r}: a port from {least_port} to {MAX_PORT}")
    return Address(None, _host(text, host), int(port))


def _host(text: str, host: str) -> str:
    """An IP address, or a name of any kind that a resolver may know ("localhost" and "relay_1" included)."""
    bracketed = host.startswith("[") and host.endswith("]")
    if ":" in host and not bracketed:
        raise BadValue(f"{text!r}: an IPv6 address stands in brackets, [::1]:25")
    bare = host[1:-1] if bracketed else host
    try:
        return str(unmapped(ipaddress.ip_address(bare)))
    except ValueError:
        pass
    try:
        name = to_ascii(bare)
    except BadName as error:
        raise BadValue(f"{text!r}: {error}") from None
    if bracketed or not _HOST.match(name) or name.replace(".", "").isdigit():
        raise BadValue(f"{text!r}: {bare!r} is neither an IP address nor a host's name")
    return name


def store(text: str) -> str:
    """A database's URL, without a password: secrets do not stand in the configuration."""
    scheme, found, rest = text.partition("://")
    place, _, query = rest.partition("?")
    if ":" in place.rpartition("@")[0] or "password" in query.lower():  # of whatever kind: it is not shown, either
        raise BadValue("a password does not stand in the configuration: password-file, -env or -command")
    if not found or scheme.partition("+")[0] not in {"sqlite", "postgresql", "postgres"}:
        raise BadValue(f"{text!r} is no postgresql://user@host/name and no sqlite:////path")
    return text


def base_url(text: str) -> str:
    """https://host, with a port and a path if need be; http:// where somebody tries it out on loopback. No slash at its end."""
    parts = _plain_url(text, "https://mail.example.com")
    host = parts.hostname or ""
    near = host == "localhost" or (is_ip(host) and ipaddress.ip_address(host).is_loopback)
    if parts.scheme == "http" and not near:
        raise BadValue(f"{text!r}: mail clients and providers ask for https")
    return text.rstrip("/")


def link_pattern(text: str) -> str:
    """A host, `*.example.com`, or a URL with "*" for anything."""
    found = text.strip()
    if not found.isascii() or not found.isprintable() or " " in found or found.strip("*./:") == "":
        raise BadValue(f"{text!r} is no pattern such as *.bank.example or https://example.com/account/*")
    if "://" not in found and "/" in found:
        raise BadValue(f"{text!r}: a pattern with a path begins with https:// or *://")
    return found if "://" in found else found.lower()


def mailbox(text: str) -> str:
    """A mail address, lower-case."""
    address = leaving_mailbox(text)
    if address.startswith("@"):
        raise BadValue(f"{text!r} is no mailbox such as complaints@example.com")
    return address.lower()


def leaving_mailbox(text: str) -> str:
    """A mail address, or `@domain`."""
    local, at, domain = text.strip().rpartition("@")
    if not at or not re.fullmatch(r"[A-Za-z0-9.+_=-]{0,64}", local):
        raise BadValue(f"{text!r} is no mailbox such as unsubscribe@example.com, and no @domain")
    return f"{local}@{host_name(domain)}"


def endpoint(text: str) -> str:
    """The base URL of a server of the operator's own, http or https. No slash at its end."""
    _plain_url(text, "http://127.0.0.1:4318")
    return text.rstrip("/")


def _plain_url(text: str, example: str) -> SplitResult:
    """The parts of an http or https URL that something is put behind, and that stands between "<" and ">" in a header."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise BadValue(f"{text!r} is no URL such as {example}") from None
    odd = not text.isascii() or _IN_NO_URL.search(text) is not None
    if odd or parts.scheme not in {"https", "http"} or not parts.hostname or "@" in parts.netloc or port == 0:
        raise BadValue(f"{text!r} is no URL such as {example}")
    if "?" in text or "#" in text:
        raise BadValue(f"{text!r}: something is put behind it, so it ends with a host or a path")
    return parts


def topic(text: str) -> str:
    """The name (ARN) of an SNS topic."""
    if not _TOPIC.fullmatch(text):
        raise BadValue(f"{text!r} is no topic such as arn:aws:sns:eu-west-1:123456789012:name")
    return text


def listening(text: str, base: Path) -> Address:
    """An address to listen on: a name would stand for any number of them. Port 0 lets the kernel choose."""
    found = address(text, base, 0)
    if found.path is None and not is_ip(found.host):
        raise BadValue(
            f"{text!r}: an IP address is wanted here, not a name{'; 127.0.0.1?' if found.host == 'localhost' else ''}"
        )
    return found


def is_ip(host: str) -> bool:
    """Whether a host is an address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def network(text: str) -> Network:
    """A network in CIDR form, or one address. IPv4 inside IPv6 is IPv4, as clients' addresses are compared."""
    try:
        found = ipaddress.ip_network(text.strip())
    except ValueError:
        try:
            meant = ipaddress.ip_network(text.strip(), strict=False)
        except ValueError:
            raise BadValue(f"{text!r} is no network such as 10.0.0.0/8 or 2001:db8::/32") from None
        raise BadValue(f"{text!r} has bits set beyond its prefix; did you mean {meant}?") from None
    if isinstance(found, ipaddress.IPv6Network) and found.prefixlen >= 96 and (inner := found.network_address.ipv4_mapped):
        return ipaddress.IPv4Network((inner, found.prefixlen - 96))
    return found


def trust(text: str) -> Network:
    """A network whose clients are believed: not the whole Internet, nor a large part of it (attack 63)."""
    found = network(text)
    if found.prefixlen < NARROWEST_TRUST[found.version]:
        raise BadValue(f"{text!r} takes in strangers: this would be an open relay; name your own networks")
    return found


def inner(text: str) -> Network:
    """A network of the operator's own that we may be sent into: a large part of the Internet is none."""
    found = network(text)
    if found.prefixlen < NARROWEST_TRUST[found.version]:
        raise BadValue(f"{text!r} takes in more than networks of your own: name these")
    return found


def route(text: str) -> str:
    """Recipient domains of a next hop: a name, `*.name` for all below it, or `*` for all others."""
    text = text.strip()
    if text == "*":
        return text
    star = "*." if text.startswith("*.") else ""
    try:
        name = to_ascii(text.removeprefix(star))
    except BadName as error:
        raise BadValue(f"{text!r} is no domain: {error}") from None
    if not _HOST.match(name):
        raise BadValue(f"{text!r} is no domain, *.domain or *")
    return star + name


def host_name(text: str) -> str:
    """A fully qualified host name, as banner and EHLO have it."""
    try:
        name = to_ascii(text)
    except BadName as error:
        raise BadValue(f"{text!r} is no host name: {error}") from None
    if "." not in name or "_" in name or not _HOST.match(name) or name.replace(".", "").isdigit():
        raise BadValue(f"{text!r} is no fully qualified host name such as gate.example.com")
    return name


def octal(text: str) -> int:
    """Permissions as chmod takes them, in quotes: 0660 without them is another number, or no TOML."""
    if not _OCTAL.match(text):
        raise BadValue(f'{text!r} is no mode such as "0660"')
    return int(text, 8)


def name(text: str) -> str:
    """A name that the user gives to a listener, next hop or credential."""
    if not _NAME.match(text):
        raise BadValue(f"{text!r}: a name has letters, digits, dots, hyphens and underscores, 64 at most")
    return text


def filled_in(text: str) -> str:
    """The value of a header field with placeholders."""
    if not text.isascii() or not text.isprintable() or len(text) > MAX_FIELD:
        raise BadValue(f"{text!r}: printable ASCII in one line is wanted here, {MAX_FIELD} characters at most")
    try:
        used = [(found, spec, conversion) for _, found, spec, conversion in string.Formatter().parse(text) if found is not None]
    except ValueError as error:
        raise BadValue(f"{text!r}: {error}; a brace itself is written twice") from None
    for found, spec, conversion in used:
        if found not in PLACEHOLDERS or spec or conversion:
            known = ", ".join(f"{{{one}}}" for one in PLACEHOLDERS)
            raise BadValue(f"{text!r}: there is no {{{found}}}, only {known}{nearest(found, PLACEHOLDERS)}")
    return text


def banner(text: str) -> str:
    """The greeting's text."""
    if not text.isascii() or not text.isprintable() or len(text) > MAX_BANNER:
        raise BadValue(f"{text!r}: printable ASCII is wanted here, {MAX_BANNER} characters at most")
    return text


def selector(text: str) -> str:
    """A DKIM selector: labels as in a host name (RFC 6376 section 3.1)."""
    try:
        name = to_ascii(text)
    except BadName as error:
        raise BadValue(f"{text!r} is no selector: {error}") from None
    if not _HOST.match(name):
        raise BadValue(f"{text!r} is no selector")
    return name


def https(text: str) -> str:
    """An https URL with placeholders, for List-Unsubscribe: RFC 8058 section 3.1 knows no other."""
    if not filled_in(text).startswith("https://") or re.search(r"[\s<>,\"]", text):
        raise BadValue(f"{text!r} is no https URL")
    return text


def is_field_name(text: str) -> bool:
    """Whether a header field may be called so."""
    return _FIELD_NAME.match(text) is not None and len(text) <= 76


def field_name(text: str) -> str:
    """The name of a header field that may be added."""
    if not is_field_name(text):
        raise BadValue(f"{text!r} is no name of a header field")
    if text.lower() in NOT_ADDED or text.lower().startswith("x-delivcheck-"):
        raise BadValue(f"{text} is not added here")
    return text
