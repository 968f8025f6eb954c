"""The messages of the shared corpora that carry DKIM signatures: as they are, and signed anew in the same way with keys we have.

The real keys are gone from DNS or not at hand, so as they stand none verifies. Signed anew, each signature keeps its algorithm,
canonicalization, h=, l=, d=, s= and i=, over whatever header fields and body somebody else once wrote.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from delivcheck.facts.dkim import signatures_of_message
from delivcheck.mime.message import parse
from delivcheck.mime.storage import with_crlf
from tests import keys
from tests.mime.corpora import FOLDER

SIGNED = datetime(2026, 1, 5, 9, tzinfo=UTC)
MAX = 200_000  # octets; none of the signed ones is larger

# What happens to mail on its way: the name, and the change
CHANGES = {
    "nothing": lambda octets: octets,
    "a line below the body": lambda octets: octets + b"-- \r\nfooter of a list\r\n",
    "empty lines below the body": lambda octets: octets + b"\r\n\r\n",
    "the last line end lost": lambda octets: octets.removesuffix(b"\r\n"),
    "white space at line ends": lambda octets: _body(octets, lambda body: body.replace(b"\r\n", b" \r\n", 1)),
    "white space inside lines": lambda octets: _body(octets, lambda body: body.replace(b" ", b"  ", 1)),
    "a letter of the body": lambda octets: _body(octets, lambda body: body.replace(b"e", b"E", 1)),
    "a tag in the Subject": lambda octets: re.sub(rb"(?im)^subject: ?", b"Subject: [list] ", octets, count=1),
    "field names in capitals": lambda octets: re.sub(rb"(?im)^(from|subject|to)(?=:)", lambda name: name[0].upper(), octets),
    "the From folded anew": lambda octets: re.sub(rb"(?im)^from: *", b"From:\r\n ", octets, count=1),
    "a second From on top": lambda octets: b"From: other@elsewhere.example\r\n" + octets,
    "a Received on top": lambda octets: b"Received: from a by b; Mon, 05 Jan 2026 09:00:00 +0000\r\n" + octets,
    "the Date gone": lambda octets: re.sub(rb"(?im)^date:.*\r\n(?:[ \t].*\r\n)*", b"", octets, count=1),
}


def _body(octets: bytes, change) -> bytes:
    head, blank, body = octets.partition(b"\r\n\r\n")
    return head + blank + change(body)


def messages() -> Iterator[tuple[str, bytes]]:
    """Path and CRLF octets of each message that has a DKIM-Signature field."""
    for folder in sorted(FOLDER.glob("msg-*")):
        for path in sorted(folder.rglob("*")):
            if not path.is_file() or path.stat().st_size > MAX:
                continue
            octets, _ = with_crlf(path.read_bytes())
            if re.search(rb"(?im)^dkim-signature[ \t]*:", octets.partition(b"\r\n\r\n")[0]):
                yield str(path.relative_to(FOLDER)), octets


def signatures(octets: bytes):
    """Our reading of each DKIM-Signature field."""
    return signatures_of_message.function(parse(octets)).each


def signed_anew(octets: bytes) -> tuple[bytes, dict[str, str]] | None:
    """The message with each well-formed signature made again; and the keys. None where there is none."""
    specs = []
    for one in signatures(octets):
        was = one.signature
        if was is None:
            continue
        kind = "ed25519" if was.algorithm == "ed25519-sha256" else "rsa2048"
        tags = {"t": False, "i": was.identity or False, "l": was.length if was.length is not None else False}
        specs.append(
            {
                "domain": was.domain,
                "selector": was.selector,
                "algorithm": was.algorithm,
                "canonicalization": f"{was.header_canonicalization}/{was.body_canonicalization}",
                "headers": list(was.signed),
                "key": kind,
                "tags": tags,
            }
        )
    if not specs:
        return None
    bare = re.sub(rb"(?im)^dkim-signature[ \t]*:.*\r\n(?:[ \t].*\r\n)*", b"", octets.partition(b"\r\n\r\n")[0] + b"\r\n")
    return keys.sign_example(bare + b"\r\n" + octets.partition(b"\r\n\r\n")[2], {"each": specs}, SIGNED)
