"""Whose name a credential may write: MAIL FROM and From against the domains it is bound to (RFC 6409 section 6.1)."""

from collections.abc import Sequence

from ..mime.addresses import parse_addresses
from ..mime.fields import Field
from ..mime.lexer import HeaderError
from ..records.names import BadName, is_within, to_ascii
from .model import Credential

MAX_AUTHORS = 100  # mailboxes in From that are looked at; more is no sender's intention


def owns(credential: Credential, address: str) -> bool:
    """Whether the credential may send under this address; "" (the null sender) is nobody's, and allowed."""
    if not credential.domains or not address:
        return True
    try:
        domain = to_ascii(address.rpartition("@")[2])
    except BadName:
        return False
    return any(is_within(domain, own) for own in credential.domains)


def foreign_author(credential: Credential, header: Sequence[Field]) -> str | None:
    """The first address in From, Sender or Resent-From that is not the credential's; None where all are.

    A From that cannot be read is foreign: what we cannot tell, a receiver may read as anybody's (CVE-2021-34555).
    """
    if not credential.domains:
        return None
    for name in ("from", "sender", "resent-from", "resent-sender"):
        for field in (one for one in header if one.lower == name):
            try:
                authors = parse_addresses(field.text).mailboxes
            except HeaderError:
                return f"a {field.name} that cannot be read"
            for author in authors[:MAX_AUTHORS]:
                if not owns(credential, f"x@{author.domain}"):
                    return author.address
            if len(authors) > MAX_AUTHORS:
                return f"more than {MAX_AUTHORS} addresses in {field.name}"
    return None
