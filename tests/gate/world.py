"""A sending domain for the gate's tests: its records, a signed message, and the configuration around it."""

from datetime import UTC, datetime
from pathlib import Path

from delivcheck import config
from delivcheck.net.snapshot import from_mapping
from tests.keys import sign_example

DOMAIN = "example.org"
IP = "192.0.2.25"
RECORDS = {
    "example.org TXT": f"v=spf1 ip4:{IP} -all",
    "example.org MX": "10 mx.example.org.",
    "example.org A": "192.0.2.80",
    "mx.example.org A": IP,
    "gate.example.org A": IP,
    "_dmarc.example.org TXT": "v=DMARC1; p=reject; rua=mailto:dmarc@example.org",
    "25.2.0.192.in-addr.arpa PTR": "gate.example.org",
    "example.net MX": "10 mx.example.net.",
    "mx.example.net A": "198.51.100.4",
}
SPEC = {"domain": DOMAIN, "selector": "s1"}


def message(text="Your order has been sent.", **fields):
    """A plain transactional message that passes once it is signed."""
    now = datetime.now(UTC)
    header = {
        "From": "Shop <orders@example.org>",
        "To": "Pat <pat@example.net>",
        "Subject": "Your order 4711",
        "Date": now.strftime("%a, %d %b %Y %H:%M:%S +0000"),
        "Message-ID": f"<{now.timestamp()}@example.org>",
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=utf-8",
        **{name.replace("_", "-"): value for name, value in fields.items()},
    }
    lines = [f"{name}: {value}" for name, value in header.items() if value is not None]
    return "\r\n".join([*lines, "", text, ""]).encode()


def signed(octets=None, **spec):
    """The message with its signature, and the records with its key."""
    made, keys = sign_example(message() if octets is None else octets, {**SPEC, **spec}, datetime.now(UTC))
    return made, {**RECORDS, **keys}


def dns(records=None):
    return from_mapping(RECORDS if records is None else records)


def configuration(folder: Path, text: str = "", policy: str = "transactional") -> config.Config:
    """A configuration file, read."""
    path = folder / "delivcheck.toml"
    path.write_text(f'policy = "{policy}"\nowned-domains = ["{DOMAIN}"]\n{text}')
    return config.load(path)
