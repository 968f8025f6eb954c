"""The syntax of SMTP commands: lines, paths, parameters and xtext, as strict as what stands behind us would have it.

A line that is not right is refused and never mended: what we hand on must be what we read (CVE-2026-23829 and its kin).
"""

import ipaddress
import re
import unicodedata
from collections.abc import Mapping

from ...model import IPAddress
from ...records.names import BadName, to_ascii, unmapped
from ..model import Extensions, MailFrom, RcptTo
from ..reply import Reply
from .limits import MAX_DIGITS, MAX_HELO

MAX_ADDRESS = 254  # octets: a path has 256 with its angle brackets, RFC 5321 section 4.5.3.1.3
# Of the local part the RFC wants 64 octets to be possible at least (section 4.5.3.1.1). VERP and SRS addresses are longer, and
# Postfix and Exim carry them, so that the path's limit is the only one here.
MAX_LABEL = 63  # RFC 1035 section 2.3.4
MAX_ENVID = 100  # RFC 3461 section 4.4
MAX_ORCPT = 500  # RFC 3461 section 4.2

_VERB = re.compile(r"[A-Za-z]{1,16}\Z")
_ATEXT = r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~\u0080-\U0010ffff]"
_DOT_STRING = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*\Z")
_QUOTED = re.compile(r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e\u0080-\U0010ffff]|\\[\x20-\x7e])*"\Z')
# Underscores are no part of a host name, but of domains in use; Postfix takes them.
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z")
_PATH = re.compile(r'<(?:(?P<route>@[^"<>\\ ]*):)?(?P<address>(?:"(?:[^"\\]|\\.)*"|[^"<>\\ ])*)>(?:$| +)')
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*\Z")
_XTEXT = re.compile(r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*\Z")  # RFC 3461 section 4
_HEX = re.compile(r"\+([0-9A-F]{2})")
_NAME = re.compile(r"[\x21-\x7e]+\Z")
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9-]+\Z")


class BadCommand(Exception):  # noqa: N818 -- it is the client's mistake, and reads well in an except clause
    """Not a command that can be carried out; the reply says why."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(f"{code} {enhanced} {text}")
        self.reply = Reply(code, enhanced, text)


# --- lines -----------------------------------------------------------------------------------------------------------


def command(line: bytes) -> tuple[str, str]:
    """The verb in upper case and the argument of a line without its CRLF. Raises BadCommand."""
    try:
        text = line.decode("utf-8").rstrip(" ")  # trailing white space SHOULD be tolerated, RFC 5321 section 4.1.1
    except UnicodeDecodeError:
        raise BadCommand(501, "5.5.2", "neither ASCII nor UTF-8") from None
    word, _, argument = text.partition(" ")
    verb = word.upper() if _VERB.match(word) else ""
    if not text.isprintable() and any(map(_is_control, text)):
        raise BadCommand(501, _ADDRESS_CODES.get(verb, "5.5.2"), "control characters are not allowed")
    if not verb:
        raise BadCommand(500, "5.5.2", "not a command")
    return verb, argument.lstrip(" ")


_ADDRESS_CODES = {"MAIL": "5.1.7", "RCPT": "5.1.3"}  # RFC 3463: bad sender's, bad destination mailbox address syntax


def _is_control(character: str) -> bool:
    """C0, DEL and C1, and the separators that some take for a line's end."""
    return unicodedata.category(character) in {"Cc", "Zl", "Zp"}


def helo_name(argument: str) -> str:
    """The name a client gives itself. Only what could do harm is refused: real clients say "localhost", "[::1]", "my_pc"."""
    if not argument:
        raise BadCommand(501, "5.5.4", "your name is missing")
    if len(argument) > MAX_HELO or not _NAME.match(argument):
        raise BadCommand(501, "5.5.4", "that is no host name")
    return argument


# --- paths -----------------------------------------------------------------------------------------------------------


def mail(argument: str, offered: Extensions) -> MailFrom:
    """MAIL's argument, `FROM:<path> [parameters]`, as far as what we offered goes. Raises BadCommand."""
    address, parameters = _path(argument, "FROM:", "5.1.7")
    given = _parameters(parameters)
    smtputf8 = _take_flag(given, "SMTPUTF8", offered=offered.smtputf8)
    size, body = _take_size(given), _take_body(given, offered)
    ret, envid = given.pop("RET", None), given.pop("ENVID", None)
    _only_with_dsn(offered, ret, envid)
    if ret is not None and ret.upper() not in {"FULL", "HDRS"}:
        raise BadCommand(501, "5.5.4", "RET is FULL or HDRS")
    if (auth := given.pop("AUTH", None)) is not None:
        _mailbox(xtext(auth))  # taken and not believed: whom a client vouches for is nothing to us (RFC 4954 section 5)
    if given:
        raise BadCommand(555, "5.5.4", f"unknown parameter {next(iter(given))}")
    return MailFrom(
        checked(address, smtputf8, "5.1.7") if address else "",
        size,
        body,
        smtputf8,
        ret.upper() if ret else None,
        _limited(xtext(envid), MAX_ENVID, "ENVID") if envid is not None else None,
    )


def rcpt(argument: str, offered: Extensions, *, smtputf8: bool) -> RcptTo:
    """RCPT's argument, `TO:<path> [parameters]`. Raises BadCommand."""
    address, parameters = _path(argument, "TO:", "5.1.3")
    given = _parameters(parameters)
    notify, orcpt = given.pop("NOTIFY", None), given.pop("ORCPT", None)
    _only_with_dsn(offered, notify, orcpt)
    if given:
        raise BadCommand(555, "5.5.4", f"unknown parameter {next(iter(given))}")
    if not address:
        raise BadCommand(501, "5.1.3", "the recipient is missing")
    return RcptTo(
        address if address.lower() == "postmaster" else checked(address, smtputf8, "5.1.3"),  # RFC 5321 section 4.5.1
        _notify(notify) if notify is not None else (),
        _orcpt(orcpt, smtputf8) if orcpt is not None else None,
    )


def checked(address: str, smtputf8: bool, code: str) -> str:
    """A mailbox as it came, if it is one: `code` is the enhanced code where it is not. Raises BadCommand."""
    if not address.isascii() and not smtputf8:
        raise BadCommand(553, "5.6.7", "a non-ASCII address needs SMTPUTF8")  # RFC 6531 section 3.5
    if len(address.encode()) > MAX_ADDRESS:
        raise BadCommand(501, code, f"the address has more than {MAX_ADDRESS} octets")
    # A quoted local part may have "@" in it, a domain never has.
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        raise BadCommand(501, code, "an address is local-part@domain")
    if not (_DOT_STRING.match(local) or _QUOTED.match(local)):
        raise BadCommand(501, code, "bad local part")
    if domain.startswith("["):
        _literal(domain, code)
    else:
        _domain(domain, code)
    return address


def _path(argument: str, label: str, code: str) -> tuple[str, str]:
    """The address between the angle brackets, without a source route, and what follows."""
    if argument[: len(label)].upper() != label:
        raise BadCommand(501, "5.5.4", f"{label}<address> is expected")
    # Blanks after the colon are wrong (RFC 5321 section 3.3), and so common that everyone takes them.
    found = _PATH.match(argument[len(label) :].lstrip(" "))
    if found is None:
        raise BadCommand(501, code, f"{label}<address> is expected")
    if found["route"] is not None:
        # A route must be understood and should be ignored: RFC 5321 section 4.1.1.3 and appendix C.
        if not found["address"]:
            raise BadCommand(501, code, "bad source route")
        for hop in found["route"].split(","):
            if not hop.startswith("@"):
                raise BadCommand(501, code, "bad source route")
            _domain(hop[1:], code)
    return found["address"], found.string[found.end() :]


def _domain(domain: str, code: str) -> None:
    if not domain.isascii():
        try:
            domain = to_ascii(domain)
        except BadName:
            raise BadCommand(501, code, "bad internationalised domain") from None
    if not all(map(_LABEL.match, domain.split("."))):
        raise BadCommand(501, code, "bad domain")


def _literal(domain: str, code: str) -> None:
    """An address literal, RFC 5321 section 4.1.3. General-address-literals are registered nowhere, hence refused."""
    inner = domain[1:-1] if domain.endswith("]") else ""
    try:
        if inner[:5].upper() == "IPV6:":
            if "%" in inner:  # Python would take a scope
                raise ValueError
            ipaddress.IPv6Address(inner[5:])
        else:
            ipaddress.IPv4Address(inner)
    except ValueError:
        raise BadCommand(501, code, "bad address literal") from None


# --- parameters ------------------------------------------------------------------------------------------------------


def _parameters(text: str) -> dict[str, str | None]:
    """`KEYWORD[=value]` by keyword in upper case, each once (RFC 5321 section 4.1.2)."""
    given: dict[str, str | None] = {}
    for one in filter(None, text.split(" ")):
        keyword, equals, value = one.partition("=")
        if not _KEYWORD.match(keyword) or (equals and not value):
            raise BadCommand(501, "5.5.4", "bad parameter")
        if keyword.upper() in given:
            raise BadCommand(501, "5.5.4", f"{keyword.upper()} twice")
        given[keyword.upper()] = value if equals else None
    return given


def _take_flag(given: dict[str, str | None], keyword: str, *, offered: bool) -> bool:
    if keyword not in given:
        return False
    if not offered:
        raise BadCommand(555, "5.5.4", f"{keyword} was not offered")
    if given.pop(keyword) is not None:
        raise BadCommand(501, "5.5.4", f"{keyword} has no value")
    return True


def _take_size(given: dict[str, str | None]) -> int | None:
    if "SIZE" not in given:
        return None
    return digits(given.pop("SIZE") or "", "SIZE")


def _take_body(given: dict[str, str | None], offered: Extensions) -> str | None:
    if "BODY" not in given:
        return None
    if not offered.eight_bit:
        raise BadCommand(555, "5.5.4", "BODY was not offered")
    body = (given.pop("BODY") or "").upper()
    if body not in {"7BIT", "8BITMIME"}:  # BINARYMIME would have to be re-encoded for most next hops; we never do
        raise BadCommand(501, "5.5.4", "BODY is 7BIT or 8BITMIME")
    return body


def _only_with_dsn(offered: Extensions, *values: str | None) -> None:
    if not offered.dsn and any(value is not None for value in values):
        raise BadCommand(555, "5.5.4", "DSN was not offered")


def digits(text: str, what: str) -> int:
    """A decimal number of at most 20 digits. Raises BadCommand."""
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise BadCommand(501, "5.5.4", f"{what} is a number")
    return int(text)


def xtext(value: str | None) -> str:
    """The text that xtext stands for (RFC 3461 section 4); what is not printable ASCII then is refused. Raises BadCommand."""
    if not value or not _XTEXT.match(value):
        raise BadCommand(501, "5.5.4", "bad xtext")
    text = _HEX.sub(lambda one: chr(int(one[1], 16)), value)
    if not (text.isascii() and text.isprintable()):
        raise BadCommand(501, "5.5.4", "bad xtext")
    return text


def _limited(text: str, most: int, what: str) -> str:
    if len(text) > most:
        raise BadCommand(501, "5.5.4", f"{what} is too long")
    return text


def _mailbox(text: str) -> str:
    """The value of AUTH=: "<>" or a mailbox (RFC 4954 section 5)."""
    return text if text == "<>" else checked(text, smtputf8=False, code="5.5.4")


def _notify(value: str) -> tuple[str, ...]:
    """RFC 3461 section 4.1: NEVER alone, or a list of the others."""
    words = tuple(value.upper().split(","))
    if set(words) - {"SUCCESS", "FAILURE", "DELAY"} and words != ("NEVER",):
        raise BadCommand(501, "5.5.4", "NOTIFY is NEVER, or a list of SUCCESS, FAILURE and DELAY")
    return tuple(dict.fromkeys(words))


def _orcpt(value: str, smtputf8: bool) -> tuple[str, str]:
    """RFC 3461 section 4.2, and RFC 6533 section 3 for the type utf-8, which is brought to its form in ASCII."""
    kind, semicolon, text = value.partition(";")
    if not semicolon or not _ADDRESS_TYPE.match(kind):
        raise BadCommand(501, "5.5.4", "ORCPT is type;address")
    if kind.lower() == "utf-8" and smtputf8:
        text = "".join(one if one.isascii() else f"\\x{{{ord(one):X}}}" for one in text)
    return kind, _limited(xtext(text), MAX_ORCPT, "ORCPT")


# --- XCLIENT, XFORWARD -----------------------------------------------------------------------------------------------


def attributes(argument: str, known: frozenset[str]) -> Mapping[str, str | None]:
    """Postfix's `NAME=xtext …` by name in upper case; None for [UNAVAILABLE] and [TEMPUNAVAIL]. Raises BadCommand."""
    given: dict[str, str | None] = {}
    for one in filter(None, argument.split(" ")):
        name, _, value = one.partition("=")
        name = name.upper()
        if name not in known or name in given:
            raise BadCommand(501, "5.5.4", "bad attribute")
        unavailable = value.upper() in {"[UNAVAILABLE]", "[TEMPUNAVAIL]"}
        given[name] = None if unavailable else _limited(xtext(value), MAX_HELO, name)
    if not given:
        raise BadCommand(501, "5.5.4", "the attributes are missing")
    return given


def client_address(text: str | None) -> IPAddress | None:
    """XCLIENT's ADDR: IPv4, or IPv6 with "IPV6:" before it; None where it is not known. Raises BadCommand."""
    if text is None:
        return None
    try:
        if "%" in text:  # Python would take a scope
            raise ValueError(text)
        return unmapped(ipaddress.ip_address(text[5:] if text[:5].upper() == "IPV6:" else text))
    except ValueError:
        raise BadCommand(501, "5.5.4", "bad address") from None


def client_port(text: str | None) -> int:
    """XCLIENT's PORT; 0 where it is not known. Raises BadCommand."""
    port = 0 if text is None else digits(text, "PORT")
    if port > 65_535:
        raise BadCommand(501, "5.5.4", "bad port")
    return port
