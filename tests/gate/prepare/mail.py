"""What the tests of preparing share: incoming messages, an MTA's idea of a milter's edits, and edits applied without our code."""

import re
from datetime import UTC, datetime
from ipaddress import ip_address

from delivcheck.gate.model import Client, Credential, Delete, Incoming, Insert
from delivcheck.gate.prepare import Preparer
from delivcheck.gate.settings import Additions

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TRACE = "01JDA2Q4Y0ZN7T3V5W8X9Y0ABC"
GATE = "gate.example.org"

MESSAGE = (
    b"From: Example Shop <news@example.org>\r\n"
    b"To: customer@example.net\r\n"
    b"Subject: Your  order\r\n\t of today\r\n"
    b"Date: Mon, 23 Nov 2026 11:00:00 +0000\r\n"
    b"Message-ID: <1@example.org>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"\r\n"
    b"Thank you \t for your order. \r\n"
    b".\r\n"
    b"\r\n"
    b"The shop\r\n"
)
ANYTHING = Credential("app", may_declare=True)


def client(credential=None, **more):
    return Client(
        **{"ip": ip_address("192.0.2.25"), "helo": "app.example.org", "protocol": "ESMTP", "credential": credential, **more}
    )


def incoming(octets=MESSAGE, credential=None, *, protocol="ESMTP", rcpt_to=("customer@example.net",), **more):
    return Incoming(octets, "news@example.org", tuple(rcpt_to), client(credential, protocol=protocol), TRACE, NOW, **more)


def through_milter(octets=MESSAGE, credential=None, **more):
    """As a milter hands it on: no Received field of ours, so that what a test looks at is alone."""
    return incoming(octets, credential, protocol="milter", **more)


def quiet(**more):
    """A preparer that adds nothing, unless told to."""
    return Preparer(GATE, **more)


def adding(fields=None, *, date=False, message_id=False, list_unsubscribe=None, feedback_id=None, **more):
    additions = Additions(date, message_id, list_unsubscribe, feedback_id, fields or {})
    return Preparer(GATE, additions, **more)


def header_and_body(octets):
    """The header's fields with their line ends, and the rest: split at line ends only, nothing shared with our parser."""
    if octets.startswith(b"\r\n"):
        return [], octets
    head, blank, body = octets.partition(b"\r\n\r\n")
    fields = re.split(rb"(?<=\r\n)(?![ \t])", head + b"\r\n" if blank else head)
    return [field for field in fields if field], b"\r\n" + body if blank else b""


def name_of(field):
    return field.partition(b":")[0].rstrip(b" \t").lower()


def applied(octets, edits):
    """Edits one after the other, each on what the one before left, as octets."""
    for edit in edits:
        fields, rest = header_and_body(octets)
        if isinstance(edit, Delete):
            places = [place for place, field in enumerate(fields) if name_of(field) == edit.name.lower()]
            del fields[places[edit.index - 1]]
        else:
            assert isinstance(edit, Insert)
            fields.insert(len(fields) if edit.last else 0, edit.name + b": " + edit.value + b"\r\n")
        octets = b"".join(fields) + rest
    return octets


def in_a_milter(octets, edits):
    """What an MTA makes of them: pairs of name and value, changed by SMFIR_CHGHEADER with an empty value (the n-th of a name,
    counted in the header as it came), SMFIR_INSHEADER at 0 and SMFIR_ADDHEADER, and the body untouched."""
    fields, rest = header_and_body(octets)
    pairs = [tuple(part.strip(b" \t\r\n") for part in field.split(b":", 1)) for field in fields]
    alive = list(range(len(pairs)))
    for edit in edits:
        if isinstance(edit, Delete):
            numbered = [place for place, (name, _) in enumerate(pairs) if name.lower() == edit.name.lower()]
            alive.remove(numbered[edit.index - 1])
    left = [pairs[place] for place in alive]
    for edit in edits:
        if isinstance(edit, Insert):
            left.insert(len(left) if edit.last else 0, (edit.name, edit.value))
    return left, rest


def values(octets, name):
    """The values of a header field, unfolded, from the top."""
    fields, _ = header_and_body(octets)
    wanted = name.lower().encode()
    return [
        re.sub(rb"\r\n(?=[ \t])", b"", field).partition(b":")[2].strip().decode()
        for field in fields
        if name_of(field) == wanted
    ]
