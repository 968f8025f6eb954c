"""Received (RFC 5321 section 4.4): who handed the message to whom, read leniently, since every MTA writes it its own way."""

import ipaddress
import re
from collections.abc import Iterable

from msgspec import Struct

from ..model import IPAddress
from .dates import DateTime, parse_date
from .lexer import HeaderError, Lexer

_ITEM = re.compile(r'"(?:[^"\\]|\\.)*+"?|<[^<>]*>|\[[^\[\]]*\]|[^ \t\r\n()<>\[\]";]+|[<>\[\]"]')
_CLAUSES = frozenset({"from", "by", "via", "with", "id", "for"})
_BRACKETED = re.compile(r"\[(?:IPv6:)?([0-9A-Fa-f.:%]+)\]", re.IGNORECASE)
_BARE_ADDRESS = re.compile(r"(?<![\w.:-])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?![\w.:-])")
_HELO = re.compile(r"\b(?:helo|ehlo)[= ]([^\s()\]]+)", re.IGNORECASE)
_LABEL = re.compile(r"[\w-]+\Z")
# version=TLS1_3 (Google, Microsoft, Yahoo), using TLSv1.3 (Postfix), TLS1.3 (Exim), TLSv1/SSLv3 (older sendmail)
_TLS = re.compile(r"\b(?:TLS[ _]?v?1(?:[._]([0-3]))?|(SSLv?[23]))(?![0-9A-Za-z])", re.IGNORECASE)
# The "with" protocols that say that TLS is in use: RFC 3848 and RFC 6531 section 4.3, and two spellings of large receivers.
_ENCRYPTED = re.compile(r"(?:UTF8)?(?:ESMTP|LMTP|SMTP)SA?\Z|HTTPS\Z", re.IGNORECASE)
_AUTHENTICATED = re.compile(r"(?:UTF8)?(?:ESMTP|LMTP|SMTP)S?A\Z", re.IGNORECASE)


class Received(Struct, frozen=True):
    """One hop. What a clause did not say is None.

    `from_name` is the word after `from`: the EHLO name, except where the MTA writes the name DNS gave there (qmail), then
    `helo` differs from it. `rdns` is the name found by reverse look-up, "unknown" and the like left out; `ip` the client's
    address.
    """

    from_name: str | None = None
    helo: str | None = None
    rdns: str | None = None
    ip: IPAddress | None = None
    by: str | None = None
    protocol: str | None = None  # with: ESMTPS, SMTP, HTTP …
    id: str | None = None
    recipient: str | None = None  # for, without the angle brackets
    date: DateTime | None = None
    date_text: str | None = None
    tls: str | None = None  # "TLSv1.3", where the field tells the version

    @property
    def encrypted(self) -> bool | None:
        """Whether the hop used TLS; None where the field does not tell, as a plain `with SMTP` of some software."""
        return True if self.tls or (self.protocol and _ENCRYPTED.match(self.protocol)) else None

    @property
    def submitted(self) -> bool:
        """Whether the client logged in (RFC 3848: ESMTPA, ESMTPSA): a user's submission, no border between two parties."""
        return bool(self.protocol and _AUTHENTICATED.match(self.protocol))


def parse_received(value: str) -> Received:
    """Read as much as can be read. Raises HeaderError only where there is neither a `from` nor a `by` nor a date."""
    clauses, remarks, date_text = _clauses(value)
    date = None
    if date_text is not None:
        try:
            date = parse_date(date_text)
        except HeaderError:
            date = None
    if not clauses.keys() & {"from", "by"} and date is None:
        Lexer(value).fail("neither from, nor by, nor a date")
    from_name = clauses.get("from")
    comment = " ".join(remarks.get("from", ()))
    greeting = _HELO.search(comment)
    helo = greeting[1].strip("[]") if greeting else from_name
    # What the client said in its greeting is no evidence, even if it is an address: (EHLO [10.0.0.5])
    ip = _address(_HELO.sub(" ", comment)) or (_address(from_name) if from_name else None)
    recipient = clauses.get("for")
    return Received(
        from_name=from_name,
        helo=helo,
        rdns=_reverse_name(from_name, comment, greeting is not None),
        ip=ip,
        by=clauses.get("by"),
        protocol=clauses.get("with"),
        id=clauses.get("id"),
        recipient=recipient.strip("<>") if recipient else None,
        date=date,
        date_text=date_text,
        tls=_tls(remark for each in remarks.values() for remark in each),
    )


def _clauses(value: str) -> tuple[dict[str, str], dict[str, list[str]], str | None]:
    """The word after each keyword, the comments that follow it, and the text behind the last semicolon."""
    lexer = Lexer(value)
    clauses: dict[str, str] = {}
    remarks: dict[str, list[str]] = {}
    current, wants = "", False
    date_text = None
    lexer.space()
    while not lexer.done:
        character = lexer.next
        if character == ";":
            lexer.pos += 1
            date_text = value[lexer.pos :].strip()
        elif character == "(":
            try:
                comment = lexer.comment()
            except HeaderError:
                break
            remarks.setdefault(current, []).append(comment)
        elif character == ")":
            lexer.pos += 1
        else:
            found = lexer.take(_ITEM)
            assert found is not None
            word = found[0]
            if word.lower() in _CLAUSES and word.lower() not in clauses:
                current, wants = word.lower(), True
            elif wants and date_text is None:
                clauses[current], wants = word, False
            elif date_text is None and current == "from":
                remarks.setdefault(current, []).append(word)  # some write the address beside the name without a comment
        lexer.space()
    return clauses, remarks, date_text


def _address(text: str) -> IPAddress | None:
    """The first IP address in a text, one in brackets before a bare one."""
    for found in (*_BRACKETED.finditer(text), *_BARE_ADDRESS.finditer(text)):
        try:
            return ipaddress.ip_address((found[1] if found.re is _BRACKETED else found[0]).partition("%")[0])
        except ValueError:
            continue
    return None


def _tls(remarks: Iterable[str]) -> str | None:
    """The version of TLS in one of the comments, in the words of OpenSSL."""
    for remark in remarks:
        if found := _TLS.search(remark):
            return str(found[2]) if found[2] else f"TLSv1.{found[1] or 0}"
    return None


def _reverse_name(from_name: str | None, comment: str, greeted: bool) -> str | None:
    """Postfix and RFC 5321 put the name from DNS first in the comment; qmail and Exim put it after `from`."""
    first = comment.split(maxsplit=1)[0] if comment.split() else ""
    if _is_name(first):
        return first.rstrip(".")
    return from_name.rstrip(".") if greeted and from_name and _is_name(from_name) else None


def _is_name(text: str) -> bool:
    labels = text.removesuffix(".").split(".")
    return len(labels) > 1 and not labels[-1].isdecimal() and all(map(_LABEL.match, labels))
