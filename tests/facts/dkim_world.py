"""What the DKIM tests share: a message, a signed one, and what the facts say about it in a closed DNS world."""

import asyncio
from datetime import UTC, datetime

import dkim

from delivcheck.facts.dkim import DkimKeys, DkimSignatures, keys_of_signatures, signatures_of_message, signing_names
from delivcheck.facts.dkim_verdict import verdicts_of_message
from delivcheck.facts.roots import Now
from delivcheck.facts.verdicts import DkimVerdict
from delivcheck.mime.message import parse
from delivcheck.net.snapshot import from_mapping
from tests.keys import sign_example

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SPEC = {"domain": "example.org", "selector": "s1"}
MESSAGE = (
    b"From: Example Shop <news@example.org>\r\n"
    b"To: customer@example.net\r\n"
    b"Subject: Your  order\r\n\t of today\r\n"
    b"Date: Mon, 23 Nov 2026 11:00:00 +0000\r\n"
    b"Message-ID: <1@example.org>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: text/plain\r\n"
    b"\r\n"
    b"Thank you \t for your order. \r\n"
    b".\r\n"
    b"\r\n"
    b"The shop\r\n"
)


def signed(spec=None, octets=MESSAGE, **more):
    """The message signed, and the zone with its keys. No t= unless asked for: plain dkimpy holds it against the real clock."""
    spec = {**SPEC, **(spec or {}), **more}
    return sign_example(octets, {**spec, "tags": {"t": False, **spec.get("tags", {})}}, NOW)


def facts(octets, zone) -> tuple[DkimSignatures, DkimKeys]:
    """What the two providers make of a message in a world where nothing else exists."""
    signatures = signatures_of_message.function(parse(octets))
    return signatures, asyncio.run(keys_of(signatures, from_mapping(zone)))


async def keys_of(signatures, dns) -> DkimKeys:
    """The keys of a message's signatures."""
    return await keys_of_signatures.function(signing_names.function(signatures), dns)


def verdicts(octets, zone, now=NOW) -> tuple[DkimVerdict, ...]:
    """Our verdict on each signature."""
    signatures, keys = facts(octets, zone)
    return verdicts_of_message.function(parse(octets), signatures, keys, Now(now)).each


def verdict(octets, zone, now=NOW) -> DkimVerdict:
    """Our verdict on the only signature."""
    (one,) = verdicts(octets, zone, now)
    return one


def plain_dkimpy(octets, zone, index=0):
    """What dkimpy says by itself: True, False, or the exception it raises."""

    def dns(name, timeout=5):
        found = zone.get(f"{name.decode().rstrip('.')} TXT")
        return None if found is None else (found if isinstance(found, str) else found[0]).encode()

    try:
        return dkim.DKIM(octets).verify(idx=index, dnsfunc=dns)
    except Exception as error:  # noqa: BLE001 -- it raises all sorts
        return error
