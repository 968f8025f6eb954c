"""The commands and the data that we write to a next hop: nothing that would end a line where we do not mean it."""

import base64
import re
from collections.abc import Mapping

from ..model import Client, MailFrom, RcptTo
from .protocol import Offers

MAX_COMMAND = 2_048  # octets with CRLF: 512 (RFC 5321 section 4.5.3.1.4) and what extensions add; Postfix's line_length_limit
MAX_AUTH = 12_288  # octets of an AUTH line, RFC 4954 section 4
MAX_XFORWARD = 512  # octets of one XFORWARD command, Postfix's XFORWARD_README

# What may stand between the angle brackets: quoted strings, and other characters that are neither white space, brackets nor
# controls (C1 included). The front door parses addresses; here it is only made sure that none can end early or hold a command.
_ADDRESS = re.compile(r'(?:"(?:[^"\\\x00-\x1f\x7f-\x9f\u2028\u2029]|\\[\x20-\x7e])*"|[^"\\<>\s\x00-\x20\x7f-\x9f])*')
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_NOT_XCHAR = re.compile(rb"[^\x21-\x2a\x2c-\x3c\x3e-\x7e]")  # RFC 3461 section 4: what xtext must write as "+" and two digits
_NOT_UTF8_XCHAR = re.compile(r"[^\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e]")  # RFC 6533 section 3: utf-8-addr-xtext


class Unspeakable(Exception):  # noqa: N818 -- reads well in an except clause
    """This cannot be said to the next hop. `needs` is the extension that would allow it, "" where none would."""

    def __init__(self, text: str, needs: str = "") -> None:
        super().__init__(text)
        self.needs = needs


def line(text: str) -> bytes:
    """One command line. Raises Unspeakable where it would be more than one, or too long."""
    try:
        octets = text.encode("utf-8") + b"\r\n"
    except UnicodeEncodeError:
        raise Unspeakable("a command with half a character") from None
    if _CONTROL.search(octets, 0, len(octets) - 2):
        raise Unspeakable("a command with control characters")
    if len(octets) > MAX_COMMAND:
        raise Unspeakable(f"a command of more than {MAX_COMMAND} octets")
    return octets


def mail(sender: MailFrom, offers: Offers) -> bytes:
    """The MAIL command, with the parameters that the next hop knows. Raises Unspeakable.

    A client's AUTH= is never passed on: it would vouch for somebody whom the next hop cannot ask us about (RFC 4954 section 5).
    """
    parameters = [f"MAIL FROM:<{_address(sender.address, utf8=sender.smtputf8)}>"]
    if sender.size is not None and "SIZE" in offers:
        parameters.append(f"SIZE={sender.size}")
    if sender.body == "8BITMIME" and "8BITMIME" not in offers:
        raise Unspeakable("the next hop takes no 8-bit mail", "8BITMIME")  # never converted: it is signed, gate.md attack 41
    if "8BITMIME" in offers:
        # MAIL goes before the content is known. What is not declared a next hop may convert (RFC 6152 section 3), and
        # many clients send 8-bit content without a word.
        parameters.append(f"BODY={sender.body or '8BITMIME'}")
    if sender.smtputf8:
        if "SMTPUTF8" not in offers:
            raise Unspeakable("the next hop takes no internationalized mail", "SMTPUTF8")
        parameters.append("SMTPUTF8")
    if "DSN" in offers:
        if sender.ret is not None:
            parameters.append(f"RET={sender.ret}")
        if sender.envid is not None:
            parameters.append(f"ENVID={xtext(sender.envid)}")
    return line(" ".join(parameters))


def rcpt(recipient: RcptTo, offers: Offers, *, utf8: bool) -> bytes:
    """The RCPT command. Raises Unspeakable."""
    parameters = [f"RCPT TO:<{_address(recipient.address, utf8=utf8)}>"]
    if "DSN" in offers:
        if recipient.notify:
            parameters.append(f"NOTIFY={','.join(recipient.notify)}")
        if recipient.orcpt is not None:
            kind, address = recipient.orcpt
            parameters.append(f"ORCPT={kind};{_utf8_xtext(address) if kind.lower() == 'utf-8' else xtext(address)}")
    return line(" ".join(parameters))


def _address(address: str, *, utf8: bool) -> str:
    if not _ADDRESS.fullmatch(address):
        raise Unspeakable("an address that would not stay between its brackets")
    if not address.isascii() and not utf8:
        raise Unspeakable("an address beyond ASCII in a transaction without SMTPUTF8", "SMTPUTF8")
    return address


def xtext(text: str) -> str:
    """Text as xtext (RFC 3461 section 4)."""
    return _NOT_XCHAR.sub(lambda found: b"+%02X" % found[0][0], text.encode("utf-8", "replace")).decode("ascii")


def _utf8_xtext(text: str) -> str:
    r"""An address of type "utf-8" in ASCII, the rest as \x{HEX}: right with or without SMTPUTF8 (RFC 6533 section 3)."""
    return _NOT_UTF8_XCHAR.sub(lambda found: f"\\x{{{ord(found[0]):02X}}}", text)


# --- who the client was ----------------------------------------------------------------------------------------------


def forwarded(client: Client) -> dict[str, str]:
    """The XFORWARD attributes of a client: those that were forwarded to us, or else what we see of it ourselves."""
    if client.forwarded:
        return dict(client.forwarded)
    found = {"SOURCE": "LOCAL" if client.ip is None else "REMOTE"}
    if client.ip is not None:
        found["ADDR"] = f"IPV6:{client.ip}" if client.ip.version == 6 else str(client.ip)
        found["PORT"] = str(client.port)
    if client.helo:
        found["HELO"] = client.helo
    found["PROTO"] = client.protocol
    return found


def xforward(attributes: Mapping[str, str], offers: Offers) -> list[bytes]:
    """The XFORWARD commands for what the next hop wants to know, one per 512 octets."""
    commands: list[str] = []
    for name in offers.keywords.get("XFORWARD", ()):
        value = attributes.get(name.upper())
        piece = f"{name.upper()}={xtext(value) if value else '[UNAVAILABLE]'}"
        if len(piece) + len("XFORWARD \r\n") > MAX_XFORWARD:
            piece = f"{name.upper()}=[UNAVAILABLE]"
        if commands and len(commands[-1]) + len(piece) + 3 <= MAX_XFORWARD:
            commands[-1] += f" {piece}"
        else:
            commands.append(f"XFORWARD {piece}")
    return [line(each) for each in commands]


# --- logging in ------------------------------------------------------------------------------------------------------


def auth(mechanism: str, user: str, secret: str) -> tuple[bytes, list[bytes]]:
    """The AUTH command, and the answers to the 334s that follow it (RFC 4954 section 4). Raises Unspeakable."""
    match mechanism:
        case "PLAIN":  # RFC 4616 section 2
            if "\0" in user or "\0" in secret:
                raise Unspeakable("a NUL in the credentials")
            return _auth_line("AUTH PLAIN", f"\0{user}\0{secret}"), []
        case "XOAUTH2":  # one answer to the JSON that tells of an error: an empty line (Google's and Microsoft's description)
            return _auth_line("AUTH XOAUTH2", f"user={user}\1auth=Bearer {secret}\1\1"), [b"\r\n"]
        case _:  # LOGIN: draft-murchison-sasl-login, first the name, then the password
            return b"AUTH LOGIN\r\n", [_auth_line("", user), _auth_line("", secret)]


def _auth_line(command: str, text: str) -> bytes:
    blob = base64.b64encode(text.encode()).decode()
    octets = f"{command} {blob}".strip().encode() + b"\r\n"
    if len(octets) > MAX_AUTH:
        raise Unspeakable(f"credentials of more than {MAX_AUTH} octets")
    return octets


# --- the message -----------------------------------------------------------------------------------------------------

DOT = b".\r\n"  # the end of the data, after a CRLF


def relayable(octets: bytes) -> bool:
    """Whether CR and LF come as CRLF only, at the end, too: anything else may be an end of data to somebody behind us.

    Three counts, as each runs at memory speed: as many CRLF as CR, and as LF, means that none stands alone.
    """
    ends = octets.count(b"\r\n")
    return octets.endswith(b"\r\n") and ends == octets.count(b"\r") == octets.count(b"\n")


def dot_stuffed(octets: bytes) -> bytes:
    """The message with the dot doubled at the start of each line that has one (RFC 5321 section 4.5.2), and nothing else."""
    stuffed = octets.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed
